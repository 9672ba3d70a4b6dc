/* The client over TLS against the sandbox, which is libwebsockets and OpenSSL. */
#include "sandbox_process.h"

/* What the callbacks have received. */
typedef struct received {
    int opens, closes, errors, messages, hellos, last_code, last_id;
    rtm_result last_error, last_close;
    char detail[256], text[256], reason[128];
} received;

static void on_event(rtm_client *bot, const rtm_event *event, void *user_data) {
    received *got = user_data;
    (void)bot;
    check_line(event->detail, NULL);
    check_line(event->reason, NULL);
    if (!strcmp(event->type, "open")) got->opens++;
    if (!strcmp(event->type, "hello")) got->hellos++;
    if (!strcmp(event->type, "message")) {
        got->messages++;
        rtm_json_string(rtm_json_get(event->data, "text"), got->text, sizeof got->text);
    }
    if (!strcmp(event->type, "error") && event->result != RTM_OK) {
        got->errors++;
        got->last_error = event->result;
        snprintf(got->detail, sizeof got->detail, "%s", event->detail);
    }
    if (!strcmp(event->type, "close")) {
        got->closes++;
        got->last_code = event->code;
        got->last_close = event->result;
        snprintf(got->reason, sizeof got->reason, "%s", event->reason);
    }
    if (!strcmp(event->type, "Unknown") || !strcmp(event->type, "pong")) got->last_id = event->id;
}

static sandbox ecdsa, rsa;

static rtm_client *make_bot(received *got, const char *url, rtm_config *config) {
    rtm_client *bot = NULL;
    memset(got, 0, sizeof *got);
    if (!config->token) config->token = "xoxb-test-token";
    config->base_url = url;
    config->proxy = "";
    config->log = check_line;
    if (!config->ca_pem && !config->ca_file) config->ca_file = "build/certs/ca.pem";
    assert_int_equal(rtm_create(config, &bot), RTM_OK);
    assert_int_equal(rtm_on(bot, "*", on_event, got), RTM_OK);
    return bot;
}

/* Polls until *counter has reached `value`; jumps over the waits between two attempts. */
static void until(rtm_client *bot, const int *counter, int value) {
    long long end = now_ms() - skipped_ms + 10000;
    while (*counter < value && now_ms() - skipped_ms < end) {
        if (rtm_get_state(bot) == RTM_STATE_BACKOFF) skipped_ms += rtm_timeout_ms(bot);
        if (rtm_poll(bot, 50) < 0) break;
    }
    assert_true(*counter >= value);
}

static void stop_and_destroy(rtm_client *bot) {
    int result;
    rtm_stop(bot);
    while ((result = rtm_poll(bot, 50)) >= 0) continue;
    assert_int_equal(result, RTM_E_STOPPED);
    rtm_destroy(bot);
}

/* The first attempt must fail with this result and these words. */
static void must_fail(const char *url, rtm_config config, rtm_result result, const char *words) {
    received got;
    config.no_auto_reconnect = true;
    rtm_client *bot = make_bot(&got, url, &config);
    assert_int_equal(rtm_run(bot), result);
    assert_int_equal(got.opens, 0);
    assert_int_equal(got.closes, 0);
    assert_int_equal(got.errors, 1);
    assert_int_equal(got.last_error, result);
    assert_non_null(strstr(rtm_error_detail(bot), words));
    assert_string_equal(got.detail, rtm_error_detail(bot));
    rtm_destroy(bot);
}

static char *url_of_host(char *out, size_t size, const char *host) {
    snprintf(out, size, "https://%s%s", host, strchr(ecdsa.url + 8, ':'));
    return out;
}

static void a_session_works_with_ecdsa_and_rsa_certificates(void **state) {
    sandbox *boxes[] = { &ecdsa, &rsa };
    (void)state;
    for (int i = 0; i < 2; i++) {
        received got;
        rtm_client *bot = make_bot(&got, boxes[i]->url, &(rtm_config){ .timeout_ms = 5000 });
        assert_int_equal(rtm_connect(bot), RTM_OK);
        assert_true(rtm_is_connected(bot));
        sandbox_line(boxes[i], "Gr\xc3\xbc\xc3\x9f Gott");
        until(bot, &got.messages, 1);
        assert_string_equal(got.text, "Gr\xc3\xbc\xc3\x9f Gott");
        assert_int_equal(got.hellos, 1);
        assert_int_equal(rtm_send_message(bot, "C0SANDBOX", "answer"), 1);
        until(bot, &got.last_id, 1);
        assert_int_equal(rtm_send_ping(bot), 2);
        until(bot, &got.last_id, 2);
        rtm_response response;
        assert_int_equal(rtm_call(bot, &response, "chat.postMessage", "channel", "C0SANDBOX",
                                  "text", "a&b=c +%\n\xe2\x82\xac", NULL), RTM_OK);
        assert_true(rtm_json_equals(rtm_json_get(response.data, "message.text"),
                                    "a&b=c +%\n\xe2\x82\xac"));
        assert_int_equal(rtm_call(bot, &response, "auth.test", NULL), RTM_OK);
        assert_int_equal(rtm_call(bot, &response, "no.such", NULL), RTM_E_SLACK);
        assert_string_equal(response.error, "unknown_method");
        stop_and_destroy(bot);
        assert_int_equal(got.closes, 1);
        assert_int_equal(got.last_code, 1000);
        assert_int_equal(got.errors, 0);
    }
}

/* Every way in which the sandbox can end a session, one after the other. */
static void reconnects_after_every_kind_of_end(void **state) {
    static const struct { const char *line; int code; rtm_result result; } ends[] = {
        { "/drop", 1006, RTM_E_CLOSED }, { "/reset", 1006, RTM_E_CLOSED },
        { "/close 1001 going away", 1001, RTM_OK }, { "/close", 1000, RTM_OK },
        { "/migrate", 1000, RTM_OK },
        { "/error 1 Socket URL has expired", 1000, RTM_OK } };
    received got;
    (void)state;
    rtm_client *bot = make_bot(&got, ecdsa.url, &(rtm_config){ .timeout_ms = 5000 });
    for (int i = 0; i < (int)(sizeof ends / sizeof *ends); i++) {
        until(bot, &got.hellos, i + 1);
        sandbox_line(&ecdsa, ends[i].line);
        until(bot, &got.closes, i + 1);
        assert_int_equal(got.closes, i + 1);
        assert_int_equal(got.last_close, ends[i].result);
        assert_int_equal(got.last_code, ends[i].code);
    }
    until(bot, &got.hellos, (int)(sizeof ends / sizeof *ends) + 1);
    stop_and_destroy(bot);
}

static void retries_what_the_web_api_and_the_upgrade_refuse(void **state) {
    static const struct { const char *line; rtm_result result; const char *words; } fails[] = {
        { "/ratelimit 7", RTM_E_RATE_LIMITED, "retry after 7 s" },
        { "/fail internal_error", RTM_E_SLACK, "internal_error" },
        { "/http 503", RTM_E_HTTP, "503" }, { "/http 404", RTM_E_HTTP, "check base_url" },
        { "/refuse 409", RTM_E_WEBSOCKET, "409" } };
    (void)state;
    for (int i = 0; i < (int)(sizeof fails / sizeof *fails); i++) {
        received got;
        rtm_client *bot = make_bot(&got, ecdsa.url, &(rtm_config){ .timeout_ms = 5000 });
        sandbox_line(&ecdsa, fails[i].line);
        until(bot, &got.errors, 1);
        assert_int_equal(got.last_error, fails[i].result);
        assert_non_null(strstr(got.detail, fails[i].words));
        until(bot, &got.hellos, 1);
        assert_int_equal(got.errors, 1);
        stop_and_destroy(bot);
    }
}

static void a_wrong_token_is_final(void **state) {
    (void)state;
    must_fail(ecdsa.url, (rtm_config){ .token = "wrong" }, RTM_E_AUTH, "invalid_auth");
}

static void certificates_that_do_not_fit_are_refused(void **state) {
    static char other[4096];
    char url[128];
    FILE *in = popen("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
                     "-keyout /dev/null -subj /CN=other -days 2 2>/dev/null", "r");
    (void)state;
    other[fread(other, 1, sizeof other - 1, in)] = '\0';
    pclose(in);
    must_fail(ecdsa.url, (rtm_config){ .ca_pem = other }, RTM_E_CERTIFICATE, "trusted CA");
    must_fail(url_of_host(url, sizeof url, "wrong.test"), (rtm_config){ .token = NULL },
              RTM_E_CERTIFICATE, "another host name");
    clock_offset_s = 3600L * 24 * 365;
    must_fail(ecdsa.url, (rtm_config){ .token = NULL }, RTM_E_CERTIFICATE, "clock");
    clock_offset_s = -3600L * 24 * 365 * 40;
    must_fail(ecdsa.url, (rtm_config){ .token = NULL }, RTM_E_CERTIFICATE, "clock");
    clock_offset_s = 0;
}

static void another_name_in_the_certificate_is_accepted(void **state) {
    char url[128];
    received got;
    (void)state;
    rtm_client *bot = make_bot(&got, url_of_host(url, sizeof url, "sandbox.test"),
                               &(rtm_config){ .timeout_ms = 5000 });
    assert_int_equal(rtm_connect(bot), RTM_OK);
    stop_and_destroy(bot);
}

static void failures_to_connect_are_reported(void **state) {
    (void)state;
    must_fail("https://localhost:1/api/", (rtm_config){ .token = NULL }, RTM_E_CONNECT, "port 1");
    must_fail("https://no-such-host.invalid/api/", (rtm_config){ .token = NULL }, RTM_E_RESOLVE,
              "no-such-host.invalid");
}

static int hook_runs;
static void hook(void *tls, void *user_data) {
    br_ssl_client_context *client = tls;
    assert_ptr_equal(user_data, &hook_runs);
    assert_string_equal(br_ssl_engine_get_server_name(&client->eng), ""); /* not begun */
    hook_runs++;
}

static void the_hook_sees_every_handshake(void **state) {
    received got;
    (void)state;
    rtm_client *bot = make_bot(&got, ecdsa.url, &(rtm_config){ .tls_setup = hook,
                                                               .tls_user_data = &hook_runs });
    assert_int_equal(rtm_connect(bot), RTM_OK);
    assert_int_equal(hook_runs, 2);
    stop_and_destroy(bot);
}

static void a_flood_arrives_whole_and_in_order(void **state) {
    received got;
    (void)state;
    rtm_client *bot = make_bot(&got, ecdsa.url, &(rtm_config){ .timeout_ms = 5000 });
    assert_int_equal(rtm_connect(bot), RTM_OK);
    sandbox_line(&ecdsa, "/flood 20000");
    until(bot, &got.messages, 20000);
    sandbox_line(&ecdsa, "the last one");
    until(bot, &got.messages, 20001);
    assert_string_equal(got.text, "the last one");
    assert_int_equal(got.messages, 20001);
    assert_int_equal(got.errors, 0);
    stop_and_destroy(bot);
}

static void bad_events_are_reported_and_the_session_lives(void **state) {
    received got;
    (void)state;
    rtm_client *bot = make_bot(&got, ecdsa.url, &(rtm_config){ .max_message_size = 4096 });
    assert_int_equal(rtm_connect(bot), RTM_OK);
    sandbox_line(&ecdsa, "/raw this is not JSON");
    until(bot, &got.errors, 1);
    assert_int_equal(got.last_error, RTM_E_JSON);
    char line[5100];
    snprintf(line, sizeof line, "%05000d", 1);
    sandbox_line(&ecdsa, line);
    until(bot, &got.errors, 2);
    assert_int_equal(got.last_error, RTM_E_TOO_BIG);
    sandbox_line(&ecdsa, "still there?");
    until(bot, &got.messages, 1);
    assert_string_equal(got.text, "still there?");
    assert_int_equal(got.opens, 1);
    stop_and_destroy(bot);
}

static int start_boxes(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    sandbox_start(&ecdsa, "server");
    sandbox_start(&rsa, "server-rsa");
    return 0;
}

static int stop_boxes(void **state) {
    (void)state;
    sandbox_stop(&ecdsa);
    sandbox_stop(&rsa);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_works_with_ecdsa_and_rsa_certificates),
        cmocka_unit_test(reconnects_after_every_kind_of_end),
        cmocka_unit_test(retries_what_the_web_api_and_the_upgrade_refuse),
        cmocka_unit_test(a_wrong_token_is_final),
        cmocka_unit_test(certificates_that_do_not_fit_are_refused),
        cmocka_unit_test(another_name_in_the_certificate_is_accepted),
        cmocka_unit_test(failures_to_connect_are_reported),
        cmocka_unit_test(the_hook_sees_every_handshake),
        cmocka_unit_test(a_flood_arrives_whole_and_in_order),
        cmocka_unit_test(bad_events_are_reported_and_the_session_lives)
    };
    return cmocka_run_group_tests(tests, start_boxes, stop_boxes);
}
