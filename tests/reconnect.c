/* Reconnecting: every way in which an attempt or a session ends, the wait after each, and what must
   never be tried again. */
#include "server.h"

#define FATAL(code) "{\"ok\":false,\"error\":\"" code "\"}"

/* Answers the next call with this, and expects the attempt to fail. */
static record *fail_call(const char *status, const char *fields, const char *body,
                         rtm_result result) {
    request got;
    take_call(&got);
    char lines[256];
    snprintf(lines, sizeof lines, "Connection: close\r\n%s", fields);
    server_answer(&slack, status, lines, body);
    return next_error(result);
}

static void fail_500(void) {
    fail_call("500 Internal Server Error", "", "", RTM_E_HTTP);
}

static void end_session(void) {
    server_send_close(&slack, 1001, "");
    next_event("close");
    server_close(&slack);
}

/* Checks that the next attempt begins when the last event said, not a ms earlier. Returns after how
   many ms. */
static int next_attempt(void) {
    int wait = received[received_next - 1].retry_ms;
    if (wait < 0) fail_msg("no other attempt: %d", wait);
    if (wait > 0) { /* else it may have begun already */
        assert_int_equal(rtm_timeout_ms(bot), wait);
        test_now_ms += wait - 1;
        no_event();
        assert_false(server_pending(&slack));
        test_now_ms++;
    }
    WAIT_FOR(server_pending(&slack));
    return wait;
}

/* The next attempt is after this many seconds plus the random part: below a second, or below 0.1 s
   if the wait is 0. */
static void expect_seconds(int seconds) {
    assert_in_range(next_attempt(), seconds * 1000, seconds * 1000 + (seconds ? 999 : 99));
}

/* Backoff: more of it below, where sessions end ------------------------------------------------ */

static void each_failure_doubles_the_wait_up_to_300_s(void **state) {
    static const int seconds[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256 };
    (void)state;
    make_bot(NULL);
    for (size_t i = 0; i < COUNT(seconds); i++) {
        fail_500();
        expect_seconds(seconds[i]);
    }
    for (int i = 0; i < 60; i++) { /* also where 2^n would overflow */
        fail_500();
        expect_seconds(300);
    }
}

static void fail_with_2_s(void) {
    fail_call("429 Slow", "Retry-After: 2\r\n", "", RTM_E_RATE_LIMITED);
}

static void fail_with_429(void) {
    fail_call("429 Slow", "", "", RTM_E_RATE_LIMITED);
}

static void end_early(void) {
    open_session_with_hello();
    end_session();
}

static void end_late(void) {
    open_session_with_hello();
    pass_time(&slack, 30000);
    end_session();
}

static void every_wait_has_a_random_part(void **state) {
    static const struct { void (*end)(void); int seconds; } rows[] = {
        { fail_500, 1 }, { fail_with_2_s, 2 }, { fail_with_429, 30 }, { end_early, 0 },
        { end_late, 0 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int base = rows[i].seconds * 1000, most = base ? 1000 : 100, lowest = most, highest = 0;
        for (int n = 0; n < 60; n++) {
            make_bot(NULL);
            rows[i].end();
            int part = received[received_next - 1].retry_ms - base;
            assert_in_range(part, 0, most - 1);
            if (part < lowest) lowest = part;
            if (part > highest) highest = part;
            end_bot();
        }
        if (lowest >= most / 5 || highest <= most * 4 / 5)
            fail_msg("row %zu: from %d to %d ms only", i, lowest, highest);
        received_count = received_next = 0;
    }
}

static void the_longer_of_retry_after_and_backoff_is_waited(void **state) {
    static const char ratelimited[] = FATAL("ratelimited");
    static const struct {
        const char *status, *fields, *body;
        rtm_result result;
        int seconds;
    } rows[] = {
        { "429 Slow", "Retry-After: 77\r\n", ratelimited, RTM_E_RATE_LIMITED, 77 },
        { "429 Slow", "Retry-After: 2\r\n", ratelimited, RTM_E_RATE_LIMITED, 2 },
        { "429 Slow", "Retry-After: 1\r\n", ratelimited, RTM_E_RATE_LIMITED, 1 },
        { "429 Slow", "Retry-After: 0\r\n", ratelimited, RTM_E_RATE_LIMITED, 1 },
        { "429 Slow", "retry-after:  31 \r\n", "", RTM_E_RATE_LIMITED, 31 },
        { "429 Slow", "Retry-After: 600\r\n", "", RTM_E_RATE_LIMITED, 600 },
        { "429 Slow", "", ratelimited, RTM_E_RATE_LIMITED, 30 },
        { "429 Slow", "", "<html>", RTM_E_RATE_LIMITED, 30 },
        { "200 OK", "", ratelimited, RTM_E_RATE_LIMITED, 30 },
        { "200 OK", "", FATAL("rate_limited"), RTM_E_RATE_LIMITED, 30 },
        { "503 Busy", "Retry-After: 50\r\n", "", RTM_E_HTTP, 50 },
        { "503 Busy", "Retry-After: 3\r\n", "", RTM_E_HTTP, 3 },
        { "503 Busy", "Retry-After: 0\r\n", "", RTM_E_HTTP, 1 },
        { "503 Busy", "Retry-After: soon\r\n", "", RTM_E_HTTP, 1 },
        { "503 Busy", "Retry-After: -50\r\n", "", RTM_E_HTTP, 1 },
        { "503 Busy", "", "", RTM_E_HTTP, 1 },
        { "200 OK", "Retry-After: 9\r\n", FATAL("internal_error"), RTM_E_SLACK, 9 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        make_bot(NULL);
        fail_call(rows[i].status, rows[i].fields, rows[i].body, rows[i].result);
        expect_seconds(rows[i].seconds);
        end_bot();
        make_bot(NULL);
        for (int n = 1; n <= 8; n *= 2) { /* the fifth failure: 16 s */
            fail_500();
            expect_seconds(n);
        }
        fail_call(rows[i].status, rows[i].fields, rows[i].body, rows[i].result);
        expect_seconds(rows[i].seconds > 16 ? rows[i].seconds : 16);
        end_bot();
        received_count = received_next = 0;
    }
}

static void retry_after_counts_for_one_wait_only(void **state) {
    (void)state;
    make_bot(NULL);
    fail_call("429 Slow", "Retry-After: 100\r\n", "", RTM_E_RATE_LIMITED);
    expect_seconds(100);
    server_accept(&slack);
    server_close(&slack);
    next_error(RTM_E_CLOSED);
    expect_seconds(2); /* the second failure in a row: the first was the 429 */
    fail_call("429 Slow", "Retry-After: 5\r\n", "", RTM_E_RATE_LIMITED);
    expect_seconds(5);
    fail_500();
    expect_seconds(8);
}

static void the_upgrade_may_ask_for_a_wait_too(void **state) {
    static const struct { const char *status, *fields; rtm_result result; int seconds; } rows[] = {
        { "429 Slow", "Retry-After: 2\r\n", RTM_E_RATE_LIMITED, 2 },
        { "429 Slow", "Retry-After: 40\r\n", RTM_E_RATE_LIMITED, 40 },
        { "429 Slow", "", RTM_E_RATE_LIMITED, 30 },
        { "503 Busy", "Retry-After: 40\r\n", RTM_E_WEBSOCKET, 40 },
        { "503 Busy", "", RTM_E_WEBSOCKET, 1 },
        { "409 Conflict", "", RTM_E_WEBSOCKET, 1 },
    };
    request got;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        make_bot(NULL);
        take_upgrade(&got);
        server_answer(&slack, rows[i].status, rows[i].fields, "");
        next_error(rows[i].result);
        expect_seconds(rows[i].seconds);
        end_bot();
    }
}

/* Its body may never arrive. */
static void a_refused_upgrade_is_over_with_its_head(void **state) {
    static const char refusal[] = "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n\r\n";
    request got;
    (void)state;
    make_bot(NULL);
    take_upgrade(&got);
    server_send_bytes(&slack, refusal, sizeof refusal - 1);
    next_error(RTM_E_RATE_LIMITED);
    expect_seconds(7);
}

/* It sent Retry-After, and opened the session. */
static void a_good_answer_asks_for_no_wait(void **state) {
    char body[100];
    request got;
    (void)state;
    make_bot(NULL);
    take_call(&got);
    snprintf(body, sizeof body, "{\"ok\":true,\"url\":\"ws://127.0.0.1:%d/\"}", slack.port);
    server_answer(&slack, "200 OK", "Retry-After: 77\r\nConnection: close\r\n", body);
    server_accept(&slack);
    server_close(&slack);
    next_event("error");
    expect_seconds(1);
}

/* Counts the calls within an hour to a server that only closes the connection: when it is accepted,
   instead of the 101, after the 101, and after hello. */
static void a_server_that_closes_at_once_causes_no_hot_loop(void **state) {
    static const struct { int lo, hi; } calls[] = {
        { 15, 25 }, { 15, 25 }, { 15, 25 }, { 110, 130 },
    };
    request got;
    (void)state;
    for (int leg = 0; leg < 4; leg++) {
        int count = 0;
        long long begin = test_now_ms;
        make_bot(NULL);
        while (test_now_ms - begin < 3600 * 1000) {
            if (leg == 0) server_accept(&slack);
            if (leg > 0) take_upgrade(&got);
            if (leg >= 2) server_answer_upgrade(&slack, &got);
            if (leg >= 2) next_event("open");
            if (leg == 3) say_hello(&slack);
            server_close(&slack);
            next_error(RTM_E_CLOSED);
            if (leg >= 2) next_event("close");
            next_attempt();
            count++;
        }
        assert_in_range(count, calls[leg].lo, calls[leg].hi);
        end_bot();
        received_count = received_next = 0;
    }
}

/* Errors of Slack ------------------------------------------------------------------------------ */

static void fatal_codes_end_the_client(void **state) {
    static const char *const codes[] = {
        "not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired",
        "missing_post_type",
        "not_allowed_token_type", "missing_scope", "no_permission", "user_removed_from_team",
        "team_disabled", "access_denied", "accesslimited", "ekm_access_denied",
        "enterprise_is_restricted", "team_access_not_granted", "two_factor_setup_required",
        "deprecated_endpoint", "unknown_method", "invalid_arg_name", "invalid_arguments",
        "invalid_array_arg", "invalid_charset", "invalid_form_data", "invalid_post_type",
        "legacy_custom_bots_deprecated", "forbidden_team", "insecure_request", "missing_args",
        "method_deprecated",
    };
    char body[128];
    (void)state;
    for (size_t i = 0; i < COUNT(codes); i++) {
        make_bot(NULL);
        snprintf(body, sizeof body, "{\"ok\":false,\"error\":\"%s\"}", codes[i]);
        record *event = fail_call("200 OK", "", body, RTM_E_AUTH);
        assert_non_null(strstr(event->detail, codes[i]));
        assert_int_equal(event->retry_ms, -1);
        assert_int_equal(rtm_poll(bot, 0), RTM_E_AUTH);
        assert_non_null(strstr(rtm_error_detail(bot), codes[i]));
        test_now_ms += 1000000;
        assert_int_equal(rtm_poll(bot, -1), RTM_E_AUTH);
        assert_int_equal(rtm_timeout_ms(bot), -1);
        assert_int_equal(session_socket(), -1);
        assert_false(server_pending(&slack));
        assert_int_equal(received_count, received_next); /* no `close`: no session was open */
        end_bot();
    }
}

static void other_codes_are_tried_again(void **state) {
    static const char *const codes[] = {
        "internal_error", "fatal_error", "service_unavailable", "request_timeout",
        "migration_in_progress", "team_added_to_org", "org_login_required", "something_new",
        "INVALID_AUTH", "invalid_auth_", "",
    };
    char body[128];
    (void)state;
    for (size_t i = 0; i < COUNT(codes); i++) {
        make_bot(NULL);
        snprintf(body, sizeof body, "{\"ok\":false,\"error\":\"%s\"}", codes[i]);
        record *event = fail_call("200 OK", "", body, RTM_E_SLACK);
        assert_non_null(strstr(event->detail, codes[i]));
        expect_seconds(1);
        open_session();
        end_bot();
    }
}

static void a_token_of_the_wrong_type_gets_advice(void **state) {
    (void)state;
    make_bot(NULL);
    record *event = fail_call("200 OK", "", FATAL("not_allowed_token_type"), RTM_E_AUTH);
    assert_non_null(strstr(event->detail, "app_token"));
    assert_non_null(strstr(event->detail, "Socket Mode"));
    assert_string_equal(rtm_error_detail(bot), event->detail);
}

static void connect_method_chooses_the_path(void **state) {
    static const struct { const char *method, *line; } rows[] = {
        { NULL, "POST /api/rtm.connect HTTP/1.1" },
        { "rtm.connect", "POST /api/rtm.connect HTTP/1.1" },
        { "rtm.start", "POST /api/rtm.start HTTP/1.1" },
        { "rtm_start", "POST /api/rtm.start HTTP/1.1" },
    };
    request got;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        rtm_config config = usual_config();
        config.connect_method = rows[i].method;
        make_bot(&config);
        server_accept(&slack);
        server_read_request(&slack, &got);
        expect_line(&got, rows[i].line);
        server_answer_connect(&slack, "link");
        server_accept(&slack);
        server_upgrade(&slack, &got);
        next_event("open");
        end_bot();
    }
}

static void a_deprecated_rtm_start_is_final_and_gets_advice(void **state) {
    static const char advice[] = ": set connect_method to rtm.connect";
    rtm_config config = usual_config();
    request got;
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool start = i & 1, keep = i & 2; /* keep: the connection, for a second call */
        config.connect_method = start ? "rtm.start" : "rtm.connect";
        make_bot(&config);
        server_accept(&slack);
        server_read_request(&slack, &got);
        expect_line(&got, start ? "POST /api/rtm.start HTTP/1.1"
                                : "POST /api/rtm.connect HTTP/1.1");
        server_answer(&slack, "200 OK", keep ? "" : "Connection: close\r\n",
                      FATAL("method_deprecated"));
        record *event = next_error(RTM_E_AUTH);
        assert_int_equal(event->retry_ms, -1);
        assert_non_null(strstr(event->detail, "method_deprecated"));
        assert_true((strstr(event->detail, advice) != NULL) == start);
        assert_int_equal(rtm_poll(bot, 0), RTM_E_AUTH);
        assert_string_equal(rtm_error_detail(bot), event->detail);
        test_now_ms += 1000000;
        assert_int_equal(rtm_poll(bot, -1), RTM_E_AUTH);
        assert_int_equal(session_socket(), -1); /* no call of the other method */
        assert_false(server_pending(&slack));
        end_bot();
    }
}

/* The first leg -------------------------------------------------------------------------------- */

static void a_bad_answer_to_the_call_is_retried(void **state) {
    static const char headless[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    static const struct { const char *answer; rtm_result result; } rows[] = {
        { "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", RTM_E_HTTP },
        { "HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\noops!", RTM_E_HTTP },
        { "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", RTM_E_HTTP },
        { "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", RTM_E_HTTP },
        { "HTTP/1.1 500 Oops\r\nContent-Length: 11\r\n\r\n{\"ok\":true}", RTM_E_HTTP },
        { "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", RTM_E_JSON },
        { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", RTM_E_JSON },
        { "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"ok\":\"\xff\"}  ", RTM_E_JSON },
        { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", RTM_E_SLACK },
        { "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"url\":\"ws://h\"}", RTM_E_SLACK },
        { "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}", RTM_E_SLACK },
        { "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"ok\":true", RTM_E_HTTP },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"ok\"", RTM_E_HTTP },
        { "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", RTM_E_HTTP },
        { "HTTP/1.1 200", RTM_E_HTTP },
        { "SSH-2.0-OpenSSH\r\n", RTM_E_HTTP },
        { "", RTM_E_CLOSED },
        { headless, RTM_E_HTTP },
    };
    request got;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        make_bot(NULL);
        take_call(&got);
        server_send(&slack, rows[i].answer);
        server_close(&slack);
        next_error(rows[i].result);
        expect_seconds(1); /* without a `close` event: no session was open */
        open_session();
        end_bot();
    }
}

static void a_bad_url_is_tried_again(void **state) {
    static const char *const urls[] = {
        "\"\"", "null", "17", "\"slack.com/link\"", "\"ftp://h/\"", "\"ws://\"", "\"ws:///x\"",
        "\"ws://h:0/\"", "\"ws://h:65536/\"", "\"ws://h:x/\"", "\"ws://u:p@h/\"", "\"ws://h h/\"",
        "\"ws://h/a b\"", "\"ws://h/\\r\\nX: y\"", "\"ws://h/\\u0000\"", "\"ws://[::1/\"",
        "\"ws://h/\xc3\xbc\"",
    };
    char body[128];
    (void)state;
    for (size_t i = 0; i < COUNT(urls); i++) {
        make_bot(NULL);
        snprintf(body, sizeof body, "{\"ok\":true,\"url\":%s}", urls[i]);
        fail_call("200 OK", "", body, RTM_E_SLACK);
        expect_seconds(1);
        end_bot();
    }
    char long_url[RTMI_HEAD + 100];
    make_bot(NULL);
    snprintf(long_url, sizeof long_url, "{\"ok\":true,\"url\":\"ws://h/%0*d\"}", RTMI_HEAD, 0);
    fail_call("200 OK", "", long_url, RTM_E_SLACK);
    expect_seconds(1);
    end_bot();
    /* None of these hosts was asked for. */
    assert_int_equal(server_resolves, (COUNT(urls) + 1) * 2);
}

static void a_ws_url_from_an_https_api_is_not_followed(void **state) {
    request got;
    (void)state;
    make_bot(NULL);
    take_call(&got);
    bot->settings.api.tls = true; /* as if it had come over TLS */
    server_answer_connect(&slack, "link");
    record *event = next_error(RTM_E_WEBSOCKET);
    assert_non_null(strstr(event->detail, "wss://"));
    assert_in_range(event->retry_ms, 1000, 1999);
    assert_false(server_pending(&slack));
    assert_int_equal(server_resolves, 1);
}

static void odd_but_good_answers_open_a_session(void **state) {
    static const char *const forms[] = {
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
        "HTTP/1.0 200\r\ncontent-length:%zu\r\n\r\n%s",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%zx;a=b\r\n%s\r\n0\r\nX: y\r\n\r\n",
    };
    char body[128], answer[400];
    request got;
    (void)state;
    snprintf(body, sizeof body, "{\"url\":\"WS://127.0.0.1:%d?q#f\",\"ok\":true}", slack.port);
    for (size_t i = 0; i < COUNT(forms); i++) {
        make_bot(NULL);
        take_call(&got);
        snprintf(answer, sizeof answer, forms[i], strlen(body), body);
        server_send(&slack, answer);
        WAIT_FOR((server_try_accept(&slack), server_try_request(&slack, &got)));
        expect_line(&got, "GET /?q HTTP/1.1");
        server_answer_upgrade(&slack, &got);
        next_event("open");
        end_bot();
    }
}

static void a_refused_connection_is_tried_again(void **state) {
    static const int seconds[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300 };
    rtm_config config = usual_config();
    server closed;
    (void)state;
    server_open(&closed);
    config.base_url = closed.base_url;
    server_free(&closed);
    make_bot(&config);
    for (size_t i = 0; i < COUNT(seconds); i++) {
        record *event = next_error(RTM_E_CONNECT);
        assert_non_null(strstr(event->detail, "127.0.0.1"));
        assert_in_range(event->retry_ms, seconds[i] * 1000, seconds[i] * 1000 + 999);
        test_now_ms += event->retry_ms - 1;
        no_event();
        test_now_ms++;
    }
}

static void a_host_that_is_not_found_is_tried_again(void **state) {
    (void)state;
    make_bot(NULL);
    server_resolve_error = EAI_AGAIN;
    record *event = next_error(RTM_E_RESOLVE);
    assert_non_null(strstr(event->detail, "127.0.0.1"));
    server_resolve_error = 0;
    expect_seconds(1);
    open_session();
}

static void all_addresses_of_a_host_are_tried(void **state) {
    struct sockaddr_in good, bad;
    struct sockaddr_storage other;
    struct addrinfo list[4];
    server closed;
    (void)state;
    server_open(&closed);
    memset(&other, 0, sizeof other);
    good = loopback(slack.port);
    bad = loopback(closed.port);
    other.ss_family = AF_UNIX;
    server_free(&closed);
    memset(list, 0, sizeof list);
    for (int i = 0; i < 4; i++) {
        list[i].ai_family = i == 0 ? AF_UNIX : AF_INET;
        list[i].ai_addrlen = i == 0 ? sizeof other : sizeof good;
        list[i].ai_addr = i == 0 ? (void *)&other : i == 3 ? (void *)&good : (void *)&bad;
        if (i) list[i - 1].ai_next = &list[i];
    }
    server_addresses = list;
    make_bot(NULL);
    open_session();
    end_bot();
    list[2].ai_next = NULL;
    make_bot(NULL);
    next_error(RTM_E_CONNECT);
    end_bot();
    list[0].ai_next = NULL;
    make_bot(NULL);
    next_error(RTM_E_RESOLVE);
}

static void silence_of_either_leg_is_a_timeout(void **state) {
    rtm_config config = usual_config();
    request got;
    (void)state;
    for (int leg = 0; leg < 4; leg++) {
        config.timeout_ms = leg < 2 ? 0 : 700;
        make_bot(&config);
        if (leg % 2) take_upgrade(&got);
        else take_call(&got);
        int timeout = leg < 2 ? 30000 : 700;
        assert_int_equal(rtm_timeout_ms(bot), timeout);
        server_send(&slack, "HTTP/1.1 200 OK\r\n"); /* a trickle does not prolong it */
        test_now_ms += timeout - 1;
        no_event();
        test_now_ms++;
        next_error(RTM_E_TIMEOUT);
        server_ends(&slack);
        expect_seconds(1);
        end_bot();
    }
}

static void an_answer_larger_than_max_message_is_refused(void **state) {
    static char body[5000];
    rtm_config config = usual_config();
    (void)state;
    config.max_message_size = 4096;
    make_bot(&config);
    memset(body, ' ', sizeof body - 1);
    memcpy(body, "{\"ok\":true}", 11);
    fail_call("200 OK", "", body, RTM_E_TOO_BIG);
    expect_seconds(1);
    open_session();
}

/* The second leg ------------------------------------------------------------------------------- */

static void a_refused_upgrade_is_tried_again(void **state) {
    static const char *const statuses[] = {
        "404 Not Found", "408 Request Timeout", "409 Conflict", "500 Oops", "200 OK",
        "302 Found", "401 Unauthorized", "426 Upgrade Required",
    };
    request got;
    (void)state;
    for (size_t i = 0; i < COUNT(statuses); i++) {
        make_bot(NULL);
        take_upgrade(&got);
        server_answer(&slack, statuses[i], "Location: /\r\n", "{\"ok\":false}");
        record *event = next_error(RTM_E_WEBSOCKET);
        char status[4] = { statuses[i][0], statuses[i][1], statuses[i][2] };
        assert_non_null(strstr(event->detail, status));
        server_ends(&slack);
        expect_seconds(1);
        end_bot();
    }
}

static void a_wrong_handshake_is_tried_again(void **state) {
#define SWITCHING "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: "
    static const struct { const char *before; bool right; const char *after; } rows[] = {
        { SWITCHING UPGRADE CONNECTION "X: ", true, "\r\n\r\n" },
        { SWITCHING UPGRADE CONNECTION ACCEPT, false, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" },
        { SWITCHING UPGRADE CONNECTION ACCEPT, true, "A\r\n\r\n" },
        { SWITCHING UPGRADE ACCEPT, true, "\r\n\r\n" },
        { SWITCHING CONNECTION ACCEPT, true, "\r\n\r\n" },
        { SWITCHING "Upgrade: h2c\r\n" CONNECTION ACCEPT, true, "\r\n\r\n" },
        { SWITCHING UPGRADE "Connection: close\r\n" ACCEPT, true, "\r\n\r\n" },
        { SWITCHING UPGRADE CONNECTION ACCEPT, true,
          "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n" },
        { SWITCHING UPGRADE CONNECTION ACCEPT, true, "\r\nSec-WebSocket-Protocol: chat\r\n\r\n" },
    };
    char accept[29];
    request got;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        make_bot(NULL);
        take_upgrade(&got);
        rtmi_ws_accept(header(&got, "Sec-WebSocket-Key"), accept);
        server_send(&slack, rows[i].before);
        if (rows[i].right) server_send(&slack, accept);
        server_send(&slack, rows[i].after);
        next_error(RTM_E_WEBSOCKET);
        server_ends(&slack);
        expect_seconds(1);
        end_bot();
    }
}

static void a_broken_connection_to_the_second_host_is_tried_again(void **state) {
    static const char *const answers[] = { "", "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n" };
    request got;
    (void)state;
    for (int i = 0; i < 4; i++) {
        make_bot(NULL);
        take_upgrade(&got);
        server_send(&slack, answers[i % 2]);
        if (i < 2) server_close(&slack);
        else server_reset(&slack);
        record *event = next_event("error");
        assert_true(event->result == RTM_E_CLOSED || (i % 2 && event->result == RTM_E_HTTP));
        expect_seconds(1);
        end_bot();
    }
}

static void a_second_host_that_refuses_is_tried_again(void **state) {
    server closed;
    char body[128];
    (void)state;
    make_bot(NULL);
    server_open(&closed);
    snprintf(body, sizeof body, "{\"ok\":true,\"url\":\"ws://127.0.0.1:%d/\"}", closed.port);
    server_free(&closed);
    fail_call("200 OK", "", body, RTM_E_CONNECT);
    expect_seconds(1);
}

/* The ends of a session ------------------------------------------------------------------------ */

static void send_moving(void) { server_send_text(&slack, "{\"type\":\"team_migration_started\"}"); }
static void send_error(void) {
    server_send_text(&slack, "{\"type\":\"error\",\"error\":{\"code\":1,\"msg\":\"expired\"}}");
}
static void send_close(void) { server_send_close(&slack, 4321, "because"); }
static void send_empty_close(void) { server_send_frame(&slack, RTMI_WS_CLOSE, FIN, "", 0); }
static void send_fin(void) { server_close(&slack); }
static void send_half_a_frame(void) {
    server_send_bytes(&slack, "\x81\x12{\"type\":\"mess", 15);
    server_close(&slack);
}
static void send_half_a_message(void) {
    server_send_frame(&slack, RTMI_WS_TEXT, MORE, "{\"type\":\"message\"}", 18);
    server_close(&slack);
}
static void send_reset(void) { server_reset(&slack); }
static void send_nothing(void) {
    test_now_ms += 30000;
    server_expect(&slack, RTMI_WS_PING, "");
    test_now_ms += 7500;
    server_expect(&slack, RTMI_WS_PING, "");
    test_now_ms += 7500;
}
static void disconnect(void) { assert_int_equal(rtm_reconnect(bot), RTM_OK); }

static const struct end {
    void (*end)(void);
    const char *event;  /* Slack's own event before it, or NULL */
    rtm_result result;  /* of the `error` event, or RTM_OK: none */
    int code;           /* of `close` */
    const char *reason;
    int sees;           /* the code of the CLOSE that the server sees; 1 = one without, 0 = none */
} ends[] = {
    { send_moving, "team_migration_started", RTM_OK, 1000, "", 1000 },
    { send_error, "error", RTM_OK, 1000, "", 1000 },
    { send_close, NULL, RTM_OK, 4321, "because", 4321 },
    { send_empty_close, NULL, RTM_OK, 1005, "", 1 },
    { send_fin, NULL, RTM_E_CLOSED, 1006, "", 0 },
    { send_half_a_frame, NULL, RTM_E_CLOSED, 1006, "", 0 },
    { send_half_a_message, NULL, RTM_E_CLOSED, 1006, "", 0 },
    { send_reset, NULL, RTM_E_CLOSED, 1006, "", 0 },
    { send_nothing, NULL, RTM_E_TIMEOUT, 1006, "", 0 },
    { disconnect, NULL, RTM_OK, 1000, "", 1000 },
};

/* Ends the session, and checks all effects. */
static void end_and_check(const struct end *how) {
    how->end();
    if (how->event) assert_int_equal(next_event(how->event)->result, RTM_OK);
    if (how->result) next_error(how->result);
    record *event = next_event("close");
    assert_int_equal(event->code, how->code);
    assert_string_equal(event->reason, how->reason);
    assert_int_equal(event->result, how->result);
    assert_int_equal(event->id, 0);
    if (how->result) assert_int_equal(event->retry_ms, received[received_next - 2].retry_ms);
    assert_false(rtm_is_connected(bot));
    if (how->sees) server_expect_close(&slack, how->sees == 1 ? 0 : how->sees);
    if (slack.fd >= 0) server_ends(&slack); /* the old socket is closed before there is a new one */
    assert_int_equal(slack.in_size, 0);
}

static void every_end_of_a_session_is_reported_once_and_followed_by_another(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(ends); i++) {
        make_bot(NULL);
        open_session_with_hello();
        end_and_check(&ends[i]);
        expect_seconds(0);
        open_session_with_hello();
        pass_time(&slack, 30000);
        end_and_check(&ends[i]);
        expect_seconds(0);
        open_session();
        no_event();
        end_bot();
    }
}

static void refuse_upgrade(void) {
    request got;
    take_upgrade(&got);
    server_answer(&slack, "409 Conflict", "", "");
    next_error(RTM_E_WEBSOCKET);
}

static void hang_up(void) {
    server_accept(&slack);
    server_close(&slack);
    next_error(RTM_E_CLOSED);
}

/* Makes one attempt or one session, by its letter: f(ails), n(o "hello", ends after 29,999 ms),
   s(hort: ends 29,999 ms after "hello"), l(ong: 30,000 ms after it). `kind` varies how it fails or
   ends. */
static void run_step(char letter, size_t kind) {
    static void (*const fails[])(void) = { fail_500, refuse_upgrade, hang_up };
    if (letter == 'f') {
        fails[kind % COUNT(fails)]();
        return;
    }
    open_session();
    test_now_ms += 5000; /* the time counts from "hello" */
    if (letter != 'n') say_hello(&slack);
    test_now_ms += letter == 'l' ? 30000 : letter == 's' ? 29999 : 24999;
    if (ends[kind % COUNT(ends)].end == send_nothing) kind++; /* it takes 45 s */
    end_and_check(&ends[kind % COUNT(ends)]);
}

static void failures_in_a_row_decide_the_wait(void **state) {
    static const struct { const char *steps; int seconds[12]; } rows[] = {
        { "ffffffffffff", { 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300 } },
        { "nnnnnnnnnnnn", { 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300 } },
        { "ssssssss", { 0, 2, 4, 8, 16, 30, 30, 30 } },
        { "llll", { 0, 0, 0, 0 } },
        { "fffflff", { 1, 2, 4, 8, 0, 1, 2 } }, /* a long session resets the number of failures */
        { "ssslss", { 0, 2, 4, 0, 0, 2 } },
        { "nlnln", { 1, 0, 1, 0, 1 } },
        { "fnfn", { 1, 2, 4, 8 } },
        { "fffsss", { 1, 2, 4, 0, 16, 30 } }, /* the first short one is followed at once */
        { "sfsfs", { 0, 2, 4, 8, 16 } },      /* only once */
        { "nsns", { 1, 0, 4, 8 } },           /* without "hello" it does not count as a session */
        { "fffffffffsf", { 1, 2, 4, 8, 16, 32, 64, 128, 256, 0, 300 } },
        { "sssssssff", { 0, 2, 4, 8, 16, 30, 30, 128, 256 } }, /* the cap is not a count */
        { "ffffffffss", { 1, 2, 4, 8, 16, 32, 64, 128, 0, 30 } },
        { "sffls", { 0, 2, 4, 0, 0 } },
    };
    (void)state;
    for (size_t row = 0; row < COUNT(rows); row++) {
        make_bot(NULL);
        for (size_t i = 0; rows[row].steps[i]; i++) {
            run_step(rows[row].steps[i], row + i);
            int wait = next_attempt(), lo = rows[row].seconds[i] * 1000;
            if (wait < lo || wait > lo + (lo ? 999 : 99))
                fail_msg("%s, step %zu: waits %d ms, not %d", rows[row].steps, i, wait, lo);
        }
        end_bot();
        received_count = received_next = 0;
    }
}

static void hello_counts_without_a_handler(void **state) {
    (void)state;
    make_bot(NULL);
    rtm_off(bot, "*", record_event, NULL);
    rtm_on(bot, "open", record_event, NULL);
    rtm_on(bot, "close", record_event, NULL);
    open_session();
    server_send_text(&slack, "{\"type\":\"hello\"}");
    send_moving();
    next_event("close");
    expect_seconds(0);
}

/* Messages that are similar to "hello". */
static void nothing_but_hello_is_hello(void **state) {
    static const char *const texts[] = {
        "{\"type\":\"message\",\"text\":\"hello\"}", "{\"type\":\"hello_\"}",
        "{\"type\":\"Hello\"}", "{\"data\":{\"type\":\"hello\"}}", "{\"type\":[\"hello\"]}",
        "[\"hello\"]", "hello",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        make_bot(NULL);
        open_session();
        server_send_text(&slack, texts[i]);
        WAIT_FOR(received_count > received_next);
        received_next = received_count;
        end_session();
        expect_seconds(1);
        end_bot();
    }
}

static void a_stopped_client_reports_no_other_attempt(void **state) {
    (void)state;
    make_bot(NULL);
    open_session_with_hello();
    rtm_stop(bot);
    server_expect_close(&slack, 1000);
    server_close(&slack);
    assert_int_equal(next_event("close")->retry_ms, -1);
}

/* The table in PARITY.md ----------------------------------------------------------------------- */

static void hang_up_after_the_101(void) {
    open_session();
    server_close(&slack);
    next_error(RTM_E_CLOSED);
    next_event("close");
}

/* What happens repeatedly: the end of a session, or the failure of attempts after a FIN. */
static const struct trouble {
    const char *name;
    void (*end)(void), (*meet)(void);
} troubles[] = {
    { "FIN without CLOSE", send_fin, NULL },
    { "RST", send_reset, NULL },
    { "`team_migration_started`", send_moving, NULL },
    { "HTTP 429, `Retry-After: 2`", send_fin, fail_with_2_s },
    { "HTTP 429 without it", send_fin, fail_with_429 },
    { "HTTP 500", send_fin, fail_500 },
    { "HTTP 409 at the upgrade", send_fin, refuse_upgrade },
    { "closes at once", send_fin, hang_up },
    { "closes at once after the 101", send_fin, hang_up_after_the_101 },
};

static void pass_a_session(const struct trouble *trouble, int seconds) {
    open_session_with_hello();
    test_now_ms += seconds * 1000;
    trouble->end();
    while (strcmp(received[received_next - 1].type, "close")) {
        WAIT_FOR(received_count > received_next);
        received_next++;
    }
}

/* Writes two cells: seconds from the first event to the next attempt, calls in the 20 s after
   it. */
static void measure(const struct trouble *trouble, int session_seconds, char cells[64]) {
    int first = -1, calls = 0;
    long long begin = 0;
    make_bot(NULL);
    pass_a_session(trouble, session_seconds);
    if (trouble->meet) next_attempt();
    for (;;) {
        if (trouble->meet) trouble->meet();
        else if (first >= 0) pass_a_session(trouble, session_seconds);
        if (first < 0) begin = test_now_ms;
        int wait = next_attempt();
        if (first < 0) first = wait;
        if (test_now_ms - begin >= 20000) break;
        calls++;
    }
    assert_int_equal(first % 1000, 0);
    snprintf(cells, 64, "%d | %d", first / 1000, calls);
    end_bot();
    received_count = received_next = 0;
}

static void the_waits_are_those_of_parity_md(void **state) {
    static char file[65536];
    char table[2048], early[64], late[64];
    int size = snprintf(table, sizeof table,
                        "| what happens | early: s | calls in 20 s | late: s | calls in 20 s |\n"
                        "|---|---|---|---|---|\n");
    (void)state;
    test_random_state = 0; /* all bytes are 0, and so is the random part of each wait */
    for (size_t i = 0; i < COUNT(troubles); i++) {
        measure(&troubles[i], 1, early);
        measure(&troubles[i], 40, late);
        size += snprintf(table + size, sizeof table - (size_t)size, "| %s | %s | %s |\n",
                         troubles[i].name, early, late);
        assert_true((size_t)size < sizeof table);
    }
    FILE *parity = fopen("tests/PARITY.md", "r");
    assert_non_null(parity); /* tests are run from the top of the repository */
    file[fread(file, 1, sizeof file - 1, parity)] = '\0';
    fclose(parity);
    if (!strstr(file, table)) fail_msg("tests/PARITY.md has another table than this:\n%s", table);
}

static int end_without_chance(void **state) {
    test_random_state = 2463534242u;
    return end_test(state);
}

/* Reconnecting switched off -------------------------------------------------------------------- */

static void without_auto_reconnect_the_first_end_is_final(void **state) {
    rtm_config config = usual_config();
    (void)state;
    config.no_auto_reconnect = true;
    for (size_t i = 0; i < COUNT(ends); i++) {
        rtm_result final = ends[i].result ? ends[i].result : RTM_E_CLOSED;
        make_bot(&config);
        open_session_with_hello();
        pass_time(&slack, 20000);
        end_and_check(&ends[i]);
        assert_int_equal(received[received_next - 1].retry_ms, -1);
        for (int n = 0; n < 5; n++) {
            assert_int_equal(rtm_poll(bot, 0), final);
            test_now_ms += 400000;
        }
        if (!*rtm_error_detail(bot)) fail_msg("row %zu: no message", i);
        assert_false(server_pending(&slack));
        no_event();
        end_bot();
    }
}

static void without_auto_reconnect_the_first_failure_is_final(void **state) {
    rtm_config config = usual_config();
    (void)state;
    config.no_auto_reconnect = true;
    make_bot(&config);
    fail_500();
    assert_int_equal(received[received_next - 1].retry_ms, -1);
    assert_int_equal(rtm_poll(bot, 0), RTM_E_HTTP);
    test_now_ms += 1000000;
    assert_int_equal(rtm_poll(bot, -1), RTM_E_HTTP);
    assert_int_equal(rtm_connect(bot), RTM_E_HTTP);
    assert_int_equal(rtm_run(bot), RTM_E_HTTP);
    assert_non_null(strstr(rtm_error_detail(bot), "500"));
    assert_false(server_pending(&slack));
    no_event();
}

static void the_detail_explains_what_rtm_poll_returns(void **state) {
    rtm_config config = usual_config();
    (void)state;
    config.no_auto_reconnect = true;
    make_bot(&config);
    open_session();
    assert_int_equal(rtm_send_message(bot, "C1", "text"), 1);
    server_close(&slack);
    record *event = next_error(RTM_E_CLOSED);
    next_error(RTM_E_UNACKNOWLEDGED); /* later, but not why it ended */
    next_event("close");
    assert_int_equal(rtm_poll(bot, 0), RTM_E_CLOSED);
    assert_string_equal(rtm_error_detail(bot), event->detail);
}

static void events_before_the_end_are_delivered(void **state) {
    (void)state;
    make_bot(NULL);
    open_session();
    server_send_text(&slack, "{\"type\":\"message\"}");
    send_half_a_frame();
    next_event("message");
    next_error(RTM_E_CLOSED);
    next_event("close");
}

static void slacks_error_event_arrives_with_its_data(void **state) {
    (void)state;
    make_bot(NULL);
    open_session();
    send_error();
    record *event = next_error(RTM_OK);
    assert_string_equal(event->data,
                        "{\"type\":\"error\",\"error\":{\"code\":1,\"msg\":\"expired\"}}");
    next_event("close");
}

static void leaving_events_count_without_a_handler(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        make_bot(NULL);
        open_session();
        rtm_off(bot, "*", record_event, NULL);
        ends[i].end();
        server_expect_close(&slack, 1000);
        expect_wait(1000, 1999);
        end_bot();
    }
}

static void each_attempt_asks_for_a_new_url(void **state) {
    char path[32], line[64];
    request got;
    (void)state;
    make_bot(NULL);
    for (int i = 0; i < 4; i++) {
        take_call(&got);
        snprintf(path, sizeof path, "link-%d", i);
        snprintf(line, sizeof line, "GET /link-%d HTTP/1.1", i);
        server_answer_connect(&slack, path);
        server_accept(&slack);
        server_read_request(&slack, &got);
        expect_line(&got, line);
        if (i == 1) {
            server_close(&slack);
            next_error(RTM_E_CLOSED);
        } else {
            server_answer_upgrade(&slack, &got);
            next_event("open");
            end_session();
        }
        test_now_ms += 300000;
    }
    assert_int_equal(slack.accepts, 8);
}

/* rtm_reconnect and similar calls in callbacks ------------------------------------------------ */

static void reconnect_in_callback(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event;
    assert_int_equal(rtm_reconnect(client), *(const int *)user_data);
    assert_false(rtm_is_connected(client));
}

static void reconnect_in_callbacks(void **state) {
    static int fine = RTM_OK;
    request got;
    (void)state;
    make_bot(NULL);
    rtm_on(bot, "open", reconnect_in_callback, &fine);
    take_upgrade(&got);
    server_answer_upgrade(&slack, &got);
    next_event("open");
    assert_int_equal(next_event("close")->code, 1000);
    server_expect_close(&slack, 1000);
    expect_seconds(1);
    rtm_off(bot, "open", reconnect_in_callback, &fine);
    rtm_on(bot, "close", reconnect_in_callback, &fine);
    open_session();
    end_session();
    assert_in_range(rtm_timeout_ms(bot), 0, 1000); /* the wait ends: one attempt a second at most */
}

/* The network is available again: connect now. */
static void reconnect_ends_a_wait(void **state) {
    (void)state;
    make_bot(NULL);
    for (int i = 0; i < 5; i++) {
        fail_500();
        if (i < 4) expect_seconds(1 << i);
    }
    assert_int_equal(rtm_get_state(bot), RTM_STATE_BACKOFF);
    test_now_ms += 1500;
    assert_true(rtm_timeout_ms(bot) > 10000);
    assert_int_equal(rtm_reconnect(bot), RTM_OK);
    assert_int_equal(rtm_timeout_ms(bot), 0);
    WAIT_FOR(server_pending(&slack));
    fail_500(); /* the number of failures in a row continues to grow */
    assert_in_range(rtm_timeout_ms(bot), 32000, 32999);
    for (int i = 0; i < 20; i++) { /* however often a program calls it */
        assert_int_equal(rtm_reconnect(bot), RTM_OK);
        rtm_poll(bot, 0);
        assert_false(server_pending(&slack));
        test_now_ms += 40;
    }
    assert_in_range(rtm_timeout_ms(bot), 1, 1000);
}

static void reconnect_does_not_end_a_wait_that_slack_asks_for(void **state) {
    (void)state;
    make_bot(NULL);
    fail_with_429();
    test_now_ms += 5000;
    assert_int_equal(rtm_reconnect(bot), RTM_OK);
    rtm_poll(bot, 0);
    assert_int_equal(rtm_timeout_ms(bot), 25000);
}

static void reconnect_abandons_an_attempt(void **state) {
    request got;
    (void)state;
    make_bot(NULL);
    assert_int_equal(rtm_reconnect(bot), RTM_OK); /* there is nothing to do */
    for (int upgrading = 0; upgrading < 2; upgrading++) {
        if (upgrading) take_upgrade(&got);
        else take_call(&got);
        test_now_ms += 2000;
        assert_int_equal(rtm_reconnect(bot), RTM_OK);
        WAIT_FOR(rtm_get_state(bot) != (upgrading ? RTM_STATE_UPGRADING : RTM_STATE_CONNECTING) ||
                 server_pending(&slack));
        server_close(&slack);
        WAIT_FOR(server_pending(&slack));
        no_event();
    }
    take_upgrade(&got);
    server_answer_upgrade(&slack, &got);
    next_event("open");
    rtm_stop(bot);
    assert_int_equal(rtm_reconnect(bot), RTM_E_NOT_CONNECTED);
    while (rtm_poll(bot, 1000) >= 0) test_now_ms += 1000;
    assert_int_equal(rtm_reconnect(bot), RTM_E_NOT_CONNECTED);
    assert_true(strlen(rtm_error_detail(bot)) > 5);
    received_next = received_count;
}

static void connect_fails_when_the_session_is_dropped_in_open(void **state) {
    static int fine = RTM_OK;
    (void)state;
    make_bot(NULL);
    rtm_on(bot, "open", reconnect_in_callback, &fine);
    server_idle = serve_sessions;
    assert_int_equal(rtm_connect(bot), RTM_E_CLOSED);
    assert_true(strlen(rtm_error_detail(bot)) > 5);
}

/* Memory --------------------------------------------------------------------------------------- */

/* Opens a session, breaks it once, and opens another: an allocation fails somewhere on the way. */
static int serve_through(int timeout_ms) {
    static request got;
    if (rtm_get_state(bot) == RTM_STATE_BACKOFF) test_now_ms += timeout_ms;
    server_try_accept(&slack);
    if (slack.fd < 0 || !server_try_request(&slack, &got)) return 0;
    if (!strncmp(got.head, "POST ", 5)) server_answer_connect(&slack, "link");
    else server_answer_upgrade(&slack, &got);
    return 0;
}

static void out_of_memory_is_one_more_reason_to_try_again(void **state) {
    static const char json[] = "{\"type\":\"message\",\"text\":\"in two frames\"}";
    bool hit = true;
    (void)state;
    for (long at = 1; hit; at++) {
        make_bot(NULL);
        server_idle = serve_through;
        test_fail_at = test_allocations + at;
        for (int i = 0; !rtm_is_connected(bot); i++) {
            assert_true(i < 200);
            assert_true(rtm_poll(bot, 1000) >= 0);
        }
        int id = rtm_send_message(bot, "C1", "text");
        assert_true(id == 1 || id == RTM_E_MEMORY);
        server_send_frame(&slack, RTMI_WS_TEXT, MORE, json, 10);
        server_send_frame(&slack, RTMI_WS_CONTINUATION, FIN, json + 10, sizeof json - 11);
        received_next = received_count;
        WAIT_FOR(received_count > received_next);
        if (strcmp(received[received_next].type, "message")) next_error(RTM_E_MEMORY);
        hit = test_allocations >= test_fail_at;
        test_fail_at = 0;
        assert_int_equal(rtm_send_message(bot, "C1", "text"), id > 0 ? 2 : 1);
        for (int i = 0; hit && i < received_next; i++)
            if (received[i].result) assert_int_equal(received[i].result, RTM_E_MEMORY);
        assert_true(hit || at > 10);
        end_bot();
        assert_int_equal(test_blocks, 0);
        received_count = received_next = 0;
    }
}

static const struct CMUnitTest tests[] = {
    TEST(each_failure_doubles_the_wait_up_to_300_s),
    TEST(every_wait_has_a_random_part),
    TEST(the_longer_of_retry_after_and_backoff_is_waited),
    TEST(retry_after_counts_for_one_wait_only),
    TEST(the_upgrade_may_ask_for_a_wait_too),
    TEST(a_refused_upgrade_is_over_with_its_head),
    TEST(a_good_answer_asks_for_no_wait),
    TEST(a_server_that_closes_at_once_causes_no_hot_loop),
    TEST(fatal_codes_end_the_client),
    TEST(other_codes_are_tried_again),
    TEST(a_token_of_the_wrong_type_gets_advice),
    TEST(connect_method_chooses_the_path),
    TEST(a_deprecated_rtm_start_is_final_and_gets_advice),
    TEST(a_bad_answer_to_the_call_is_retried),
    TEST(a_bad_url_is_tried_again),
    TEST(a_ws_url_from_an_https_api_is_not_followed),
    TEST(odd_but_good_answers_open_a_session),
    TEST(a_refused_connection_is_tried_again),
    TEST(a_host_that_is_not_found_is_tried_again),
    TEST(all_addresses_of_a_host_are_tried),
    TEST(silence_of_either_leg_is_a_timeout),
    TEST(an_answer_larger_than_max_message_is_refused),
    TEST(a_refused_upgrade_is_tried_again),
    TEST(a_wrong_handshake_is_tried_again),
    TEST(a_broken_connection_to_the_second_host_is_tried_again),
    TEST(a_second_host_that_refuses_is_tried_again),
    TEST(every_end_of_a_session_is_reported_once_and_followed_by_another),
    TEST(failures_in_a_row_decide_the_wait),
    TEST(hello_counts_without_a_handler),
    TEST(nothing_but_hello_is_hello),
    TEST(a_stopped_client_reports_no_other_attempt),
    cmocka_unit_test_setup_teardown(the_waits_are_those_of_parity_md, begin_test,
                                    end_without_chance),
    TEST(without_auto_reconnect_the_first_end_is_final),
    TEST(without_auto_reconnect_the_first_failure_is_final),
    TEST(the_detail_explains_what_rtm_poll_returns),
    TEST(events_before_the_end_are_delivered),
    TEST(slacks_error_event_arrives_with_its_data),
    TEST(leaving_events_count_without_a_handler),
    TEST(each_attempt_asks_for_a_new_url),
    TEST(reconnect_in_callbacks),
        TEST(reconnect_ends_a_wait),
        TEST(reconnect_does_not_end_a_wait_that_slack_asks_for),
    TEST(reconnect_abandons_an_attempt),
    TEST(connect_fails_when_the_session_is_dropped_in_open),
    TEST(out_of_memory_is_one_more_reason_to_try_again),
};

int main(void) {
    return cmocka_run_group_tests(tests, NULL, NULL);
}
