/* The session: states and end of a client, rtm_poll, events, sends, keep-alive. */
#include "unresponsive_server.h"

#include <sys/epoll.h>

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

static int calls; /* of the callback that a test watches */

static void count_call(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client;
    (void)event;
    (void)user_data;
    calls++;
}

/* A session for a client without the recorder. */
static void open_session_silently(void) {
    request got;
    take_upgrade(&got);
    server_answer_upgrade(&slack, &got);
    WAIT_FOR(rtm_is_connected(bot));
}

/* From rtm_create to rtm_destroy --------------------------------------------------------------- */

static void create_opens_no_connection(void **state) {
    (void)state;
    make_bot(NULL);
    assert_int_equal(server_resolves, 0);
    assert_int_equal(session_socket(), -1);
    assert_false(has_something_to_do());
    assert_int_equal(rtm_timeout_ms(bot), 0);
    assert_false(rtm_is_connected(bot));
    assert_string_equal(rtm_error_detail(bot), "");
    assert_false(server_pending(&slack));
    assert_int_equal(received_count, 0);
}

static void without_a_descriptor_there_is_no_client(void **state) {
    rtm_config config = usual_config();
    rtm_client *other;
    struct rlimit limit, none;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    rtm_result result = rtm_create(&config, &other);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(result, RTM_E_MEMORY);
    assert_null(other);
    assert_non_null(strstr(rtm_error_detail(NULL), "no file descriptor"));
}

static void everything_in_the_config_is_copied(void **state) {
    char token[] = TOKEN, url[64], field[] = "Cookie: " COOKIE, type[] = "message";
    char method[] = "rtm.connect";
    const char *headers[] = { field, NULL };
    rtm_handler handlers[] = { { type, count_call, NULL }, { NULL, NULL, NULL } };
    rtm_config config = usual_config();
    request got;
    (void)state;
    snprintf(url, sizeof url, "%s", slack.base_url);
    config.token = token;
    config.base_url = url;
    config.headers = headers;
    config.handlers = handlers;
    config.connect_method = method;
    make_bot(&config);
    memset(token, 'x', sizeof token - 1);
    memset(url, 'x', strlen(url));
    memset(field, 'x', sizeof field - 1);
    memset(type, 'x', sizeof type - 1);
    memset(method, 'x', sizeof method - 1);
    memset(headers, 0, sizeof headers);
    memset(handlers, 0, sizeof handlers);
    memset(&config, 0, sizeof config);
    take_call(&got);
    assert_string_equal(header(&got, "Authorization"), "Bearer " TOKEN);
    assert_string_equal(header(&got, "Cookie"), COOKIE);
    server_answer_connect(&slack, "link");
    server_accept(&slack);
    server_upgrade(&slack, &got);
    next_event("open");
    calls = 0;
    server_send_text(&slack, "{\"type\":\"message\"}");
    next_event("message");
    assert_int_equal(calls, 1);
}

static void a_null_client_is_an_argument_error(void **state) {
    rtm_response response;
    (void)state;
    assert_int_equal(rtm_poll(NULL, 0), RTM_E_ARGUMENT);
    assert_int_equal(rtm_connect(NULL), RTM_E_ARGUMENT);
    assert_int_equal(rtm_run(NULL), RTM_E_ARGUMENT);
    assert_int_equal(rtm_reconnect(NULL), RTM_E_ARGUMENT);
    assert_int_equal(rtm_on(NULL, "a", count_call, NULL), RTM_E_ARGUMENT);
    assert_int_equal(rtm_off(NULL, "a", count_call, NULL), RTM_E_ARGUMENT);
    assert_int_equal(rtm_send(NULL, "{}"), RTM_E_ARGUMENT);
    assert_int_equal(rtm_send_message(NULL, "C1", "a"), RTM_E_ARGUMENT);
    assert_int_equal(rtm_send_typing(NULL, "C1"), RTM_E_ARGUMENT);
    assert_int_equal(rtm_send_ping(NULL), RTM_E_ARGUMENT);
    assert_int_equal(rtm_call(NULL, &response, "api.test", NULL), RTM_E_ARGUMENT);
    assert_string_equal(response.error, "");
    assert_int_equal(rtm_call(NULL, NULL, "api.test", NULL), RTM_E_ARGUMENT);
    assert_int_equal(rtm_fd(NULL), -1);
    rtm_wake(NULL);
    assert_int_equal(rtm_get_state(NULL), RTM_STATE_FINISHED);
    rtm_timeout_ms(NULL);
    assert_false(rtm_is_connected(NULL));
    assert_non_null(rtm_error_detail(NULL));
    rtm_stop(NULL);
    rtm_destroy(NULL);
}

static void every_result_has_its_own_description(void **state) {
    (void)state;
    for (int a = RTM_E_UNACKNOWLEDGED; a <= RTM_OK; a++) {
        assert_true(strlen(rtm_strerror((rtm_result)a)) > 5);
        for (int b = a + 1; b <= RTM_OK; b++)
            assert_string_not_equal(rtm_strerror((rtm_result)a), rtm_strerror((rtm_result)b));
    }
    assert_int_equal(RTM_OK, 0);
    assert_non_null(rtm_strerror((rtm_result)(RTM_E_UNACKNOWLEDGED - 1)));
    assert_non_null(rtm_strerror((rtm_result)1));
    assert_string_equal(rtm_version(), RTM_VERSION);
}

static void open_carries_the_whole_connect_response(void **state) {
    request got;
    char expected[256];
    (void)state;
    make_bot(NULL);
    take_upgrade(&got);
    assert_int_equal(received_count, 0);
    server_answer_upgrade(&slack, &got);
    record *event = next_event("open");
    snprintf(expected, sizeof expected,
             "{\"ok\":true,\"url\":\"ws:\\/\\/127.0.0.1:%d\\/link?ticket=1&x=%%2F\","
             "\"self\":{\"id\":\"U1\"}}", slack.port);
    assert_string_equal(event->data, expected);
    assert_int_equal(event->result, RTM_OK);
    no_event();
}

static size_t open_members;
static char open_name[16];
static long long open_last;

static void look_into_open(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client;
    (void)user_data;
    rtm_json pad = rtm_json_get(event->data, "pad");
    open_members = rtm_json_count(event->data);
    rtm_json_string(rtm_json_key(event->data, 2), open_name, sizeof open_name);
    open_last = rtm_json_int(rtm_json_at(pad, rtm_json_count(pad) - 1), -1);
}

/* The response must outlive the handshake of the WebSocket, which uses the same buffers. */
static void the_data_of_open_can_be_looked_into_whatever_its_size(void **state) {
    static const int numbers[] = { 1, 3000, 20000 }; /* beyond what buffers keep: 16 KiB, 2,048 */
    static char body[200000];
    request got;
    (void)state;
    for (int i = 0; i < 3; i++) {
        size_t size = (size_t)snprintf(body, sizeof body, "{\"ok\":true,\"url\":"
                                       "\"ws:\\/\\/127.0.0.1:%d\\/\",\"pad\":[0", slack.port);
        for (int n = 1; n <= numbers[i]; n++)
            size += (size_t)snprintf(body + size, sizeof body - size, ",%d", n);
        snprintf(body + size, sizeof body - size, "]}");
        make_bot(NULL);
        rtm_on(bot, "open", look_into_open, NULL);
        take_call(&got);
        server_answer(&slack, "200 OK", "Connection: close\r\n", body);
        server_accept(&slack);
        server_upgrade(&slack, &got);
        next_event("open");
        assert_int_equal(open_members, 3);
        assert_string_equal(open_name, "pad");
        assert_int_equal(open_last, numbers[i]);
        end_bot();
        received_next = received_count;
    }
}

static void upgrade_request_is_complete_and_has_no_token(void **state) {
    static const char *const headers[] = { "Cookie: " COOKIE, NULL };
    rtm_config config = usual_config();
    request got;
    char host[32], key[32];
    (void)state;
    config.headers = headers;
    make_bot(&config);
    snprintf(host, sizeof host, "127.0.0.1:%d", slack.port);
    take_upgrade(&got);
    assert_string_equal(header(&got, "Host"), host);
    assert_string_equal(header(&got, "Connection"), "Upgrade");
    assert_int_equal(strcasecmp(header(&got, "Upgrade"), "websocket"), 0);
    assert_string_equal(header(&got, "Sec-WebSocket-Version"), "13");
    assert_string_equal(header(&got, "Cookie"), COOKIE);
    assert_non_null(header(&got, "User-Agent"));
    snprintf(key, sizeof key, "%s", header(&got, "Sec-WebSocket-Key"));
    assert_int_equal(strlen(key), 24);
    assert_string_equal(key + 22, "==");
    assert_false(has_header(&got, "Authorization"));
    assert_false(has_header(&got, "Sec-WebSocket-Extensions"));
    assert_null(strstr(got.head, TOKEN));
    server_close(&slack);
    next_error(RTM_E_CLOSED);
    test_now_ms += 3000;
    take_upgrade(&got);
    assert_string_not_equal(header(&got, "Sec-WebSocket-Key"), key);
}

static void connect_request_has_the_token_only_in_the_header(void **state) {
    rtm_config config = usual_config();
    request got;
    char host[32], *at;
    (void)state;
    config.token = " \t" TOKEN "\r\n ";
    make_bot(&config);
    take_call(&got);
    snprintf(host, sizeof host, "127.0.0.1:%d", slack.port);
    assert_string_equal(header(&got, "Host"), host);
    assert_string_equal(header(&got, "Authorization"), "Bearer " TOKEN);
    assert_string_equal(header(&got, "Content-Length"), "0");
    at = strstr(got.head, TOKEN);
    assert_non_null(at);
    assert_null(strstr(at + 1, TOKEN));
}

static void frames_in_the_same_segment_as_the_101_are_delivered(void **state) {
    request got;
    char accept[29], answer[300];
    (void)state;
    make_bot(NULL);
    take_upgrade(&got);
    rtmi_ws_accept(header(&got, "Sec-WebSocket-Key"), accept);
    int size = snprintf(answer, sizeof answer,
                        "HTTP/1.1 101 \r\nupgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n"
                        "sec-websocket-accept: %s\r\n\r\n\x81\x10{\"type\":\"hello\"}", accept);
    server_send_bytes(&slack, answer, (size_t)size);
    next_event("open");
    assert_string_equal(next_event("hello")->data, "{\"type\":\"hello\"}");
}

static void base_url_needs_no_slash_at_its_end(void **state) {
    rtm_config config = usual_config();
    char url[64];
    (void)state;
    snprintf(url, sizeof url, "HTTP://127.0.0.1:%d/api", slack.port);
    config.base_url = url;
    make_bot(&config);
    open_session();
}

/* What the functions return in each state; the wait of BACKOFF has a random part. */
static const struct {
    rtm_state state;
    int timeout_lo, timeout_hi;
    bool socket, connected, final;
} states[] = {
    { RTM_STATE_IDLE, 0, 0, false, false, false },
    { RTM_STATE_CONNECTING, 30000, 30000, true, false, false },
    { RTM_STATE_UPGRADING, 30000, 30000, true, false, false },
    { RTM_STATE_OPEN, 30000, 30000, true, true, false },
    { RTM_STATE_CLOSING, 1000, 1000, true, false, false },
    { RTM_STATE_BACKOFF, 1000, 1999, false, false, false },
    { RTM_STATE_FINISHED, -1, -1, false, false, true },
};
enum { STATES = sizeof states / sizeof *states };

static void each_state_says_what_to_wait_for(void **state) {
    (void)state;
    for (int i = 0; i < STATES; i++) {
        reach(states[i].state);
        int due = rtm_timeout_ms(bot);
        assert_true(due >= states[i].timeout_lo && due <= states[i].timeout_hi);
        assert_int_equal(session_socket() >= 0, states[i].socket);
        assert_false(has_something_to_do());
        assert_int_equal(rtm_is_connected(bot), states[i].connected);
        if (due > 0) { /* and it follows the clock */
            test_now_ms += 500;
            assert_int_equal(rtm_timeout_ms(bot), due - 500);
        }
        end_bot();
        received_next = received_count;
    }
}

static void poll_never_waits_longer_than_it_may(void **state) {
    static const int timeouts[] = { 0, 1, 999, 1500 };
    (void)state;
    for (int i = 1; i < STATES; i++) {
        reach(states[i].state);
        int due = rtm_timeout_ms(bot);
        for (int t = 0; t < 4; t++) {
            int most = due >= 0 && due < timeouts[t] ? due : timeouts[t];
            server_waited_ms = 0;
            int result = rtm_poll(bot, timeouts[t]);
            assert_int_equal(result, states[i].final ? RTM_E_STOPPED : 0);
            assert_int_equal(server_waited_ms, states[i].final ? 0 : most);
        }
        server_waited_ms = 0;
        if (!states[i].final) assert_int_equal(rtm_poll(bot, -1), 0);
        assert_int_equal(server_waited_ms, states[i].final ? 0 : due);
        end_bot();
        received_next = received_count;
    }
}

static void poll_of_an_idle_client_waits_no_longer_than_it_may(void **state) {
    (void)state;
    make_bot(NULL);
    assert_int_equal(rtm_poll(bot, 0), 0);
    assert_int_equal(server_waited_ms, 0);
    assert_true(server_pending(&slack));
}

static int interrupt(int timeout_ms) {
    (void)timeout_ms;
    return -1;
}

static void poll_returns_when_a_signal_arrives(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    server_idle = interrupt;
    server_waited_ms = 0;
    assert_int_equal(rtm_poll(bot, -1), 0);
    assert_int_equal(server_waited_ms, 30000); /* one wait, not another after the signal */
}

static void poll_counts_the_events_that_callbacks_ran_for(void **state) {
    (void)state;
    make_bot(NULL);
    assert_int_equal(rtm_on(bot, "message", count_call, NULL), RTM_OK);
    open_session();
    assert_int_equal(rtm_off(bot, "*", record_event, NULL), RTM_OK);
    calls = 0;
    server_send_text(&slack, "{\"type\":\"presence_change\"}");
    server_send_text(&slack, "{\"type\":\"message\"}");
    server_send_text(&slack, "{\"type\":\"message\"}");
    server_send_frame(&slack, RTMI_WS_PONG, FIN, "", 0);
    int sum = 0;
    WAIT_FOR((sum += rtm_poll(bot, 0), sum >= 2));
    assert_int_equal(sum, 2);
    assert_int_equal(calls, 2);
    assert_int_equal(rtm_poll(bot, 0), 0);
}

static void destroy_in_each_state_leaks_nothing(void **state) {
    (void)state;
    for (int i = 0; i < STATES; i++) {
        reach(states[i].state);
        int before = received_count;
        end_bot();
        assert_int_equal(test_blocks, 0);
        assert_int_equal(received_count, before); /* no callback runs */
        received_next = received_count;
    }
}

static void no_freed_memory_holds_the_token(void **state) {
    (void)state;
    test_secret = TOKEN;
    test_secrets_left = 0;
    for (int i = 0; i < STATES; i++) { /* half-sent requests included */
        reach(states[i].state);
        end_bot();
    }
    test_secret = NULL;
    assert_int_equal(test_secrets_left, 0);
}

/* The head of the first request holds the token, and the response may be large. */
static void the_request_and_response_that_opened_a_session_are_freed(void **state) {
    static char response[60000];
    long opened[2];
    request got;
    (void)state;
    for (int large = 0; large < 2; large++) {
        make_bot(NULL);
        const rtmi_exchange *exchange = &bot->session[0]->exchange;
        take_call(&got);
        snprintf(response, sizeof response, "{\"ok\":true,\"url\":\"ws://127.0.0.1:%d/link\","
                 "\"self\":{\"id\":\"U1\"},\"more\":\"%0*d\"}", slack.port, large ? 50000 : 1, 0);
        server_answer(&slack, "200 OK", "Connection: close\r\n", response);
        server_accept(&slack);
        server_upgrade(&slack, &got);
        next_event("open");
        assert_null(exchange->head.data);
        assert_null(exchange->body.data);
        server_send_text(&slack, "{\"type\":\"message\"}");
        next_event("message");
        opened[large] = test_bytes;
        end_bot();
    }
    assert_in_range(opened[1], opened[0] - 4096, opened[0] + 4096);
}

static void destroy_sends_close(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    end_bot();
    server_expect_close(&slack, 1000);
    server_ends(&slack);
    assert_int_equal(slack.in_size, 0);
}

/* Only some of the functions are forbidden in a callback. */
static void try_forbidden(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event;
    (void)user_data;
    assert_int_equal(rtm_poll(client, 0), RTM_E_BUSY);
    assert_int_equal(rtm_poll(client, -1), RTM_E_BUSY);
    assert_int_equal(rtm_connect(client), RTM_E_BUSY);
    assert_int_equal(rtm_run(client), RTM_E_BUSY);
    calls++;
}

static void poll_connect_and_run_are_busy_in_callbacks(void **state) {
    (void)state;
    make_bot(NULL);
    rtm_on(bot, "*", try_forbidden, NULL);
    calls = 0;
    open_session();
    server_send_text(&slack, "{\"type\":\"message\"}");
    next_event("message");
    server_close(&slack);
    next_error(RTM_E_CLOSED);
    next_event("close");
    assert_int_equal(calls, 4);
}

/* Stop ----------------------------------------------------------------------------------------- */

/* The client has finished: each call returns that, and it no longer connects. */
static void expect_finished(rtm_result result) {
    for (int i = 0; i < 10; i++) {
        assert_int_equal(rtm_poll(bot, 0), result);
        test_now_ms += 400000;
    }
    assert_int_equal(rtm_poll(bot, -1), result);
    assert_int_equal(rtm_timeout_ms(bot), -1);
    assert_int_equal(session_socket(), -1);
    assert_false(has_something_to_do());
    assert_false(rtm_is_connected(bot));
    assert_false(server_pending(&slack));
    assert_int_equal(received_count, received_next);
    assert_int_equal(rtm_connect(bot), result);
    assert_int_equal(rtm_run(bot), result == RTM_E_STOPPED ? RTM_OK : result);
    assert_int_equal(rtm_send_ping(bot), RTM_E_NOT_CONNECTED);
    assert_int_equal(rtm_reconnect(bot), RTM_E_NOT_CONNECTED);
    assert_false(server_pending(&slack));
}

static void stop_sends_close_1000_and_waits_for_the_answer(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    rtm_stop(bot);
    rtm_stop(bot);
    assert_false(rtm_is_connected(bot));
    assert_int_equal(rtm_timeout_ms(bot), 0);
    assert_int_equal(rtm_send_ping(bot), RTM_E_NOT_CONNECTED);
    assert_int_equal(rtm_poll(bot, 0), 0);
    server_expect_close(&slack, 1000);
    no_event();
    server_send_text(&slack, "{\"type\":\"message\"}");
    server_send_close(&slack, 1000, "bye");
    record *event = next_event("close");
    assert_int_equal(event->code, 1000);
    assert_string_equal(event->reason, "bye");
    assert_int_equal(event->result, RTM_OK);
    expect_finished(RTM_E_STOPPED);
    server_ends(&slack);
    assert_int_equal(slack.in_size, 0); /* one CLOSE, not two */
}

static void after_a_stop_the_message_is_about_the_stop(void **state) {
    (void)state;
    for (int answered = 0; answered < 2; answered++) {
        reach(RTM_STATE_CLOSING);
        server_expect_close(&slack, 1000);
        if (answered) server_send_close(&slack, 1000, "");
        else server_close(&slack);
        next_event("close");
        assert_int_equal(rtm_poll(bot, 0), RTM_E_STOPPED);
        const char *detail = rtm_error_detail(bot);
        if (!strstr(detail, "stopped") || strstr(detail, "Slack closed")) fail_msg("%s", detail);
        end_bot();
    }
}

static void stop_waits_a_second_at_most(void **state) {
    (void)state;
    reach(RTM_STATE_CLOSING);
    server_expect_close(&slack, 1000);
    test_now_ms += 999;
    server_send_text(&slack, "{\"type\":\"message\"}");
    no_event();
    assert_int_equal(rtm_poll(bot, 0), 0);
    test_now_ms++;
    record *event = next_event("close");
    assert_int_equal(event->code, 1006);
    assert_int_equal(event->result, RTM_OK);
    expect_finished(RTM_E_STOPPED);
    server_ends(&slack);
}

static void stop_also_ends_with_a_fin_or_reset_or_invalid_data(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) {
        reach(RTM_STATE_CLOSING);
        if (how == 0) server_close(&slack);
        else if (how == 1) server_reset(&slack);
        else server_send(&slack, "\xff\xff");
        next_event("close");
        assert_int_equal(rtm_poll(bot, 0), RTM_E_STOPPED);
        assert_int_equal(received_count, received_next);
        end_bot();
    }
}

static void stop_in_each_state_finishes_without_an_event(void **state) {
    (void)state;
    for (int i = 0; i < STATES; i++) {
        if (states[i].state == RTM_STATE_OPEN || states[i].state == RTM_STATE_CLOSING) continue;
        reach(states[i].state);
        rtm_stop(bot);
        assert_int_equal(rtm_poll(bot, -1), RTM_E_STOPPED);
        if (server_pending(&slack)) assert_true(server_try_accept(&slack));
        expect_finished(RTM_E_STOPPED);
        end_bot();
    }
}

static void stop_it(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event;
    (void)user_data;
    rtm_stop(client);
}

static void after_stop_only_close_and_error_callbacks_run(void **state) {
    (void)state;
    make_bot(NULL);
    rtm_on(bot, "message", stop_it, NULL);
    rtm_on(bot, "message", count_call, NULL); /* not even of the same event */
    open_session();
    calls = 0;
    assert_int_equal(rtm_send_message(bot, "C1", "never answered"), 1);
    server_send_text(&slack, "{\"type\":\"message\",\"n\":1}");
    server_send_text(&slack, "{\"type\":\"message\",\"n\":2}");
    server_send_text(&slack, "{\"type\":\"hello\"}");
    next_event("message");
    no_event();
    server_send_close(&slack, 1000, "");
    assert_int_equal(next_error(RTM_E_UNACKNOWLEDGED)->id, 1);
    next_event("close");
    assert_int_equal(calls, 0);
    expect_finished(RTM_E_STOPPED);
}

static void stop_in_a_callback_of_any_type_ends_the_client(void **state) {
    static const char *const types[] = { "open", "hello", "error", "close", "goodbye" };
    (void)state;
    for (int i = 0; i < 5; i++) {
        request got;
        make_bot(NULL);
        rtm_on(bot, types[i], stop_it, NULL);
        take_upgrade(&got);
        server_answer_upgrade(&slack, &got);
        next_event("open");
        if (i == 1 || i == 4) {
            server_send_text(&slack, i == 1 ? "{\"type\":\"hello\"}" : "{\"type\":\"goodbye\"}");
            next_event(types[i]);
        }
        if (i == 2 || i == 3) server_close(&slack);
        else server_expect_close(&slack, 1000), server_send_close(&slack, 1000, "");
        if (i == 2 || i == 3) next_error(RTM_E_CLOSED);
        next_event("close");
        expect_finished(RTM_E_STOPPED);
        end_bot();
    }
}

static void stop_after_goodbye_does_not_spin(void **state) {
    (void)state;
    make_bot(NULL);
    rtm_on(bot, "goodbye", stop_it, NULL);
    open_session();
    server_send_text(&slack, "{\"type\":\"goodbye\"}");
    next_event("goodbye");
    rtm_poll(bot, 0);
    assert_int_equal(rtm_get_state(bot), RTM_STATE_CLOSING);
    assert_int_equal(rtm_timeout_ms(bot), 1000);
}

static void acknowledgements_received_while_closing_are_delivered(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    assert_int_equal(rtm_send_message(bot, "C1", "bye"), 1);
    rtm_stop(bot);
    rtm_poll(bot, 0);
    server_send_text(&slack, "{\"type\":\"message\"}");
    server_send_text(&slack, "{\"ok\":true,\"reply_to\":1}");
    server_send_close(&slack, 1000, "");
    assert_int_equal(next_event("Unknown")->id, 1); /* and no message */
    record *closed = next_event("close"); /* and no error about message 1 */
    assert_int_equal(closed->result, RTM_OK);
    assert_int_equal(closed->retry_ms, -1);
    assert_int_equal(rtm_poll(bot, 0), RTM_E_STOPPED);
}

static void functions_after_stop_say_so(void **state) {
    rtm_response response;
    (void)state;
    reach(RTM_STATE_OPEN);
    rtm_stop(bot);
    assert_int_equal(rtm_send(bot, "{}"), RTM_E_NOT_CONNECTED);
    assert_int_equal(rtm_send_message(bot, "C", "t"), RTM_E_NOT_CONNECTED);
    assert_int_equal(rtm_send_typing(bot, "C"), RTM_E_NOT_CONNECTED);
    assert_int_equal(rtm_reconnect(bot), RTM_E_NOT_CONNECTED);
    assert_int_equal(rtm_call(bot, &response, "api.test", NULL), RTM_E_STOPPED);
    assert_int_equal(rtm_on(bot, "a", count_call, NULL), RTM_OK);
}

/* rtm_connect and rtm_run ---------------------------------------------------------------------- */

static int serve_and_skip_waits(int timeout_ms) {
    rtm_state now = rtm_get_state(bot);
    if (now != RTM_STATE_BACKOFF && now != RTM_STATE_CLOSING) return serve_sessions(timeout_ms);
    test_now_ms += timeout_ms;
    return 0;
}

static void connect_of_a_session_given_up_begins_another(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    server_idle = serve_and_skip_waits;
    assert_int_equal(rtm_reconnect(bot), RTM_OK);
    server_close(&slack); /* it can serve one connection at a time */
    assert_int_equal(rtm_connect(bot), RTM_OK);
    assert_true(rtm_is_connected(bot));
    rtm_stop(bot);
    assert_int_equal(rtm_connect(bot), RTM_E_STOPPED);
}

static void connect_returns_when_a_session_is_open(void **state) {
    (void)state;
    make_bot(NULL);
    server_idle = serve_sessions;
    assert_int_equal(rtm_connect(bot), RTM_OK);
    assert_true(rtm_is_connected(bot));
    next_event("open");
    assert_int_equal(rtm_connect(bot), RTM_OK); /* it is open already */
    assert_int_equal(slack.accepts, 2);
}

static int refuse_calls(int timeout_ms) {
    static request got;
    server_try_accept(&slack);
    if (slack.fd >= 0 && server_try_request(&slack, &got))
        server_answer(&slack, "500 Oops", "Connection: close\r\n", "");
    else if (slack.fd < 0 || slack.ended)
        test_now_ms += timeout_ms;
    server_fill(&slack);
    return 0;
}

static void connect_says_why_the_attempt_failed_and_can_be_called_again(void **state) {
    (void)state;
    make_bot(NULL);
    server_idle = refuse_calls;
    assert_int_equal(rtm_connect(bot), RTM_E_HTTP);
    assert_true(strlen(rtm_error_detail(bot)) > 10);
    next_error(RTM_E_HTTP);
    assert_int_equal(rtm_connect(bot), RTM_E_HTTP);
    next_error(RTM_E_HTTP);
    assert_true(test_now_ms >= 1001000);
    server_close(&slack);
    test_now_ms += 10000;
    server_idle = serve_sessions;
    assert_int_equal(rtm_connect(bot), RTM_OK);
}

static void connect_of_a_stopped_client_is_stopped(void **state) {
    (void)state;
    make_bot(NULL);
    rtm_stop(bot);
    assert_int_equal(rtm_connect(bot), RTM_E_STOPPED);
    expect_finished(RTM_E_STOPPED);
}

/* Acts as the server until the session is open, then sends this signal to its own process. */
static int signal_to_raise, rounds_after;
static struct sigaction action_within;

static int serve_and_raise(int timeout_ms) {
    if (!rtm_is_connected(bot)) {
        test_now_ms += rtm_get_state(bot) == RTM_STATE_CLOSING ? timeout_ms : 0;
        return serve_sessions(timeout_ms);
    }
    assert_true(rounds_after++ < 3);
    sigaction(signal_to_raise, NULL, &action_within);
    raise(signal_to_raise);
    return -1;
}

static volatile sig_atomic_t signals;

static void count_signal(int number) {
    (void)number;
    signals++;
}

static void run_stops_on_a_signal_and_restores_the_handlers(void **state) {
    static const int numbers[] = { SIGHUP, SIGTERM, SIGINT };
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct sigaction mine, old, now;
        memset(&mine, 0, sizeof mine);
        mine.sa_handler = count_signal;
        sigaction(numbers[i], &mine, &old);
        signals = rounds_after = 0;
        signal_to_raise = numbers[i];
        make_bot(NULL);
        server_idle = serve_and_raise;
        assert_int_equal(rtm_run(bot), RTM_OK);
        sigaction(numbers[i], &old, &now);
        assert_true(now.sa_handler == count_signal);
        assert_true(action_within.sa_handler != count_signal);
        assert_int_equal(signals, 0);
        next_event("open");
        next_event("close");
        server_idle = NULL;
        expect_finished(RTM_E_STOPPED);
        end_bot();
    }
}

static void run_with_no_signals_keeps_the_old_handlers(void **state) {
    struct sigaction mine, old;
    rtm_config config = usual_config();
    (void)state;
    memset(&mine, 0, sizeof mine);
    mine.sa_handler = count_signal;
    sigaction(SIGTERM, &mine, &old);
    signals = rounds_after = 0;
    signal_to_raise = SIGTERM;
    config.no_signals = true;
    config.no_auto_reconnect = true;
    config.ping_interval_ms = 1000;
    make_bot(&config);
    rtm_on(bot, "open", stop_it, NULL);
    server_idle = serve_and_raise;
    assert_int_equal(rtm_run(bot), RTM_OK);
    raise(SIGTERM);
    assert_int_equal(signals, 1);
    sigaction(SIGTERM, &old, &mine);
    assert_true(mine.sa_handler == count_signal);
}

/* The same, but the client must continue: the server sends one more event. */
static int serve_and_raise_and_send(int timeout_ms) {
    int result = serve_and_raise(timeout_ms);
    if (rounds_after == 1) server_send_text(&slack, "{\"type\":\"message\"}");
    return result;
}

static void run_with_no_signals_installs_no_handler(void **state) {
    struct sigaction mine, old;
    rtm_config config = usual_config();
    (void)state;
    memset(&mine, 0, sizeof mine);
    mine.sa_handler = count_signal;
    sigaction(SIGTERM, &mine, &old);
    signals = rounds_after = 0;
    signal_to_raise = SIGTERM;
    config.no_signals = true;
    make_bot(&config);
    rtm_on(bot, "message", stop_it, NULL);
    server_idle = serve_and_raise_and_send;
    assert_int_equal(rtm_run(bot), RTM_OK);
    assert_true(action_within.sa_handler == count_signal);
    assert_true(signals > 0);
    next_event("open");
    next_event("message"); /* the signal did not stop the client */
    sigaction(SIGTERM, &old, NULL);
}

/* Under nohup the bot is not to end with the terminal. */
static void run_leaves_ignored_signals_ignored(void **state) {
    static const int numbers[] = { SIGHUP, SIGTERM, SIGINT };
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct sigaction now;
        signal(numbers[i], SIG_IGN);
        rounds_after = 0;
        signal_to_raise = numbers[i];
        make_bot(NULL);
        rtm_on(bot, "message", stop_it, NULL);
        server_idle = serve_and_raise_and_send;
        assert_int_equal(rtm_run(bot), RTM_OK);
        assert_true(action_within.sa_handler == SIG_IGN);
        sigaction(numbers[i], NULL, &now);
        assert_true(now.sa_handler == SIG_IGN);
        signal(numbers[i], SIG_DFL);
        server_idle = NULL;
        next_event("open");
        next_event("message");
        next_event("close");
        end_bot();
    }
}

/* rtm_stop at the point number stop_at of a session: system calls, log lines, events. */
static int stop_at, points;

static void point(char call) {
    (void)call;
    if (points++ == stop_at) rtm_stop(bot);
}

static void point_of_log(const char *line, void *user_data) {
    (void)line;
    (void)user_data;
    point('l');
}

static void point_of_event(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client;
    (void)event;
    (void)user_data;
    point('e');
}

/* A session that ends with CLOSE, or with FIN, once the client has nothing more to read. */
static bool end_by_fin;

static int serve_one_session(int timeout_ms) {
    static request got;
    server_try_accept(&slack);
    if (slack.fd < 0) return 0;
    if (rtm_is_connected(bot)) {
        if (!end_by_fin) server_send_close(&slack, 1001, "that was all");
        server_close(&slack);
    } else if (server_try_request(&slack, &got)) {
        if (strncmp(got.head, "POST ", 5)) server_answer_upgrade(&slack, &got);
        else server_answer_connect(&slack, "link");
    } else if (slack.ended) { /* it was stopped */
        server_close(&slack);
    } else {
        test_now_ms += timeout_ms > 100 ? 100 : timeout_ms; /* the closing second */
    }
    return 0;
}

static void a_stop_at_any_point_is_no_failure(void **state) {
    (void)state;
    for (int by_run = 0; by_run < 2; by_run++) {
        for (int fin = 0; fin < 2; fin++) {
            end_by_fin = fin;
            for (stop_at = 0, points = 1; points > stop_at; stop_at++) {
                rtm_config config = usual_config();
                config.no_auto_reconnect = true;
                config.log = point_of_log;
                make_bot(&config);
                rtm_off(bot, "*", record_event, NULL);
                rtm_on(bot, "*", point_of_event, NULL);
                client_before = point;
                server_idle = serve_one_session;
                points = server_polls = 0;
                int result = 0;
                if (by_run) result = rtm_run(bot);
                else while (result >= 0) result = rtm_poll(bot, 1000);
                bool stopped = points > stop_at;
                int expected = !stopped ? RTM_E_CLOSED : by_run ? RTM_OK : RTM_E_STOPPED;
                if (result != expected) print_error("stopped at point %d\n", stop_at);
                assert_int_equal(result, expected);
                server_idle = NULL;
                end_bot();
                server_close(&slack);
            }
            assert_true(stop_at > 20);
        }
    }
}

static int refuse_token(int timeout_ms) {
    static request got;
    (void)timeout_ms;
    server_try_accept(&slack);
    if (slack.fd >= 0 && server_try_request(&slack, &got))
        server_answer(&slack, "200 OK", "", "{\"ok\":false,\"error\":\"invalid_auth\"}");
    return 0;
}

static void run_returns_what_ended_the_client(void **state) {
    (void)state;
    make_bot(NULL);
    server_idle = refuse_token;
    assert_int_equal(rtm_run(bot), RTM_E_AUTH);
    next_error(RTM_E_AUTH);
    expect_finished(RTM_E_AUTH);
}

/* Addresses and phases ------------------------------------------------------------------------- */

static int end_unresponsive(void **state) {
    unresponsive_close();
    return end_test(state);
}

#define UNRESPONSIVE(test) cmocka_unit_test_setup_teardown(test, begin_test, end_unresponsive)

/* What every host name resolves to: servers on this machine. */
static void resolve_to(const server *const *servers, int count) {
    static struct sockaddr_in address[4];
    static struct addrinfo list[4];
    memset(list, 0, sizeof list);
    for (int i = 0; i < count; i++) {
        address[i] = loopback(servers[i]->port);
        list[i].ai_family = AF_INET;
        list[i].ai_addrlen = sizeof address[i];
        list[i].ai_addr = (struct sockaddr *)&address[i];
        if (i) list[i - 1].ai_next = &list[i];
    }
    server_addresses = list;
}

static void sockets_are_closed_on_exec_from_the_start(void **state) {
    (void)state;
    make_bot(NULL);
    rtm_poll(bot, 0);
    assert_true(client_type & SOCK_CLOEXEC);
    assert_true(client_type & SOCK_NONBLOCK);
}

/* Daemons often close their standard input. */
static void descriptor_0_is_a_valid_descriptor(void **state) {
    (void)state;
    int input = dup(0);
    assert_true(input > 0);
    close(0);
    rtm_config config = usual_config();
    rtm_result result = rtm_create(&config, &bot);
    bool used = fcntl(0, F_GETFD) >= 0;
    end_bot();
    bool closed = fcntl(0, F_GETFD) < 0;
    dup2(input, 0);
    close(input);
    assert_int_equal(result, RTM_OK);
    assert_true(used && closed);
}

/* The steps after a slow lookup have their whole time, although the lookup used all of its own. */
static void a_slow_lookup_costs_the_attempt_nothing(void **state) {
    request got;
    (void)state;
    for (int i = 0; i < 3; i++) {
        server_resolve_ms = i == 0 ? 29999 : i == 1 ? 30000 : 90000;
        make_bot(NULL);
        take_call(&got);
        no_event();
        test_now_ms += 29999;
        no_event();
        server_answer_connect(&slack, "link");
        server_accept(&slack);
        server_read_request(&slack, &got);
        no_event();
        test_now_ms += 29999;
        no_event();
        server_answer_upgrade(&slack, &got);
        next_event("open");
        end_bot();
    }
}

static void a_slow_lookup_that_fails_is_named(void **state) {
    (void)state;
    server_resolve_ms = 30000;
    server_resolve_error = EAI_AGAIN;
    make_bot(NULL);
    record *event = next_event("error");
    assert_true(event->result == RTM_E_RESOLVE || event->result == RTM_E_TIMEOUT);
    if (!strstr(event->detail, "resolv") || !strstr(event->detail, "127.0.0.1"))
        fail_msg("%s", event->detail);
}

typedef enum phase { CONNECTING, HANDSHAKE, ANSWER, UPGRADE } phase;

static void a_timeout_names_the_phase(void **state) {
    static const server *const dead[] = { &unresponsive };
    char https[80];
    const char *const words[] = { "connecting to 127.0.0.1 port ",
                                  "the TLS handshake with 127.0.0.1",
                                  "the response from 127.0.0.1", "the response from 127.0.0.1" };
    request got;
    (void)state;
    unresponsive_open();
    snprintf(https, sizeof https, "https://127.0.0.1:%d/api/", slack.port);
    for (int i = 0; i < 2 * UPGRADE + 1; i++) {
        phase now = (phase)(i / 2);
        rtm_config config = usual_config();
        if (now == HANDSHAKE) config.base_url = https;
        server_addresses = NULL;
        if (now == CONNECTING) resolve_to(dead, 1);
        make_bot(&config);
        if (now == UPGRADE) take_upgrade(&got);
        server_idle = skip_time;
        if (i % 2) {
            assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_E_TIMEOUT);
        } else {
            while (received_count == received_next) rtm_poll(bot, -1);
            next_error(RTM_E_TIMEOUT);
        }
        const char *detail = rtm_error_detail(bot);
        if (!strstr(detail, words[now])) fail_msg("%s: not %s", detail, words[now]);
        server_idle = NULL;
        end_bot();
    }
}

/* Handlers ------------------------------------------------------------------------------------- */

static char order[64]; /* which handlers were called, a letter each */

static void note(rtm_client *client, const rtm_event *event, void *user_data) {
    size_t length = strlen(order);
    (void)client;
    (void)event;
    assert_true(length < sizeof order - 1);
    order[length] = *(const char *)user_data;
    order[length + 1] = '\0';
}

/* Sends an event and compares which handlers were called. */
static void expect_order(const char *json, const char *expected) {
    order[0] = '\0';
    int before = received_count;
    server_send_text(&slack, json);
    WAIT_FOR(received_count > before);
    received_next = received_count;
    assert_string_equal(order, expected);
}

static void handlers_run_in_the_order_registered(void **state) {
    (void)state;
    make_bot(NULL);
    rtm_on(bot, "message", note, "c");
    rtm_on(bot, "*", note, "a");
    rtm_on(bot, "message::bot_message", note, "s");
    rtm_on(bot, "message", note, "b");
    rtm_on(bot, "message", note, "c"); /* twice is once, at its first place */
    rtm_on(bot, "hello", note, "h");
    rtm_on(bot, "messages", note, "x");
    rtm_on(bot, "mess", note, "x");
    open_session();
    expect_order("{\"type\":\"message\"}", "cab");
    expect_order("{\"type\":\"message\",\"subtype\":\"bot_message\"}", "casb");
    expect_order("{\"type\":\"message\",\"subtype\":\"bot_messages\"}", "cab");
    expect_order("{\"type\":\"message\",\"subtype\":\"b\\u006ft_message\"}", "casb");
    expect_order("{\"type\":\"message\",\"subtype\":null}", "cab");
    expect_order("{\"subtype\":\"bot_message\",\"type\":\"hello\"}", "ah");
    expect_order("{\"type\":\"\\u0068ello\"}", "ah");
    expect_order("{\"type\":\"Hello\"}", "a");
}

static void handlers_are_compared_by_type_callback_and_user(void **state) {
    static char a[] = "a", also_a[] = "a";
    (void)state;
    make_bot(NULL);
    rtm_on(bot, "message", note, a);
    rtm_on(bot, "message", note, also_a);
    open_session();
    expect_order("{\"type\":\"message\"}", "aa");
    assert_int_equal(rtm_off(bot, "hello", note, a), RTM_E_ARGUMENT);
    assert_int_equal(rtm_off(bot, "message", count_call, a), RTM_E_ARGUMENT);
    assert_int_equal(rtm_off(bot, "message", note, order), RTM_E_ARGUMENT);
    assert_int_equal(rtm_off(bot, NULL, note, a), RTM_E_ARGUMENT);
    assert_int_equal(rtm_off(bot, "message", note, a), RTM_OK);
    assert_int_equal(rtm_off(bot, "message", note, a), RTM_E_ARGUMENT);
    expect_order("{\"type\":\"message\"}", "a");
    rtm_on(bot, "message", note, a);
    expect_order("{\"type\":\"message\"}", "aa");
}

static void bad_handlers_are_refused(void **state) {
    static const rtm_handler handlers[] = {
        { "open", count_call, NULL }, { "message", NULL, NULL }, { NULL, NULL, NULL }
    };
    const rtm_config config = { .token = "xoxb-1", .handlers = handlers };
    char type[129];
    (void)state;
    assert_int_equal(rtm_create(&config, &bot), RTM_E_ARGUMENT);
    assert_string_equal(rtm_error_detail(NULL), "handlers[1]: no callback or invalid type");
    make_bot(NULL);
    memset(type, 'a', 128);
    type[128] = '\0';
    assert_int_equal(rtm_on(bot, "message", NULL, NULL), RTM_E_ARGUMENT);
    assert_true(strlen(rtm_error_detail(bot)) > 10);
    assert_int_equal(rtm_on(bot, NULL, count_call, NULL), RTM_E_ARGUMENT);
    assert_int_equal(rtm_on(bot, "", count_call, NULL), RTM_E_ARGUMENT);
    assert_int_equal(rtm_on(bot, type, count_call, NULL), RTM_E_ARGUMENT);
    type[127] = '\0';
    assert_int_equal(rtm_on(bot, type, count_call, NULL), RTM_OK);
    calls = 0;
    open_session();
    char event[200];
    snprintf(event, sizeof event, "{\"type\":\"%s\"}", type);
    server_send_text(&slack, event);
    WAIT_FOR(calls == 1);
}

static void remove_self(rtm_client *client, const rtm_event *event, void *user_data) {
    note(client, event, user_data);
    assert_int_equal(rtm_off(client, "message", remove_self, user_data), RTM_OK);
}

static void remove_next(rtm_client *client, const rtm_event *event, void *user_data) {
    note(client, event, user_data);
    rtm_off(client, "message", note, "n");
}

static void handlers_can_be_removed_in_callbacks(void **state) {
    (void)state;
    make_bot(NULL);
    rtm_on(bot, "message", remove_self, "s");
    rtm_on(bot, "message", note, "a");
    rtm_on(bot, "message", remove_next, "r");
    rtm_on(bot, "message", note, "n");
    rtm_on(bot, "message", note, "z");
    open_session();
    expect_order("{\"type\":\"message\"}", "sarz");
    expect_order("{\"type\":\"message\"}", "arz");
}

static void add_many(rtm_client *client, const rtm_event *event, void *user_data) {
    note(client, event, user_data);
    for (int i = 0; i < 20; i++) /* enough for the table to move */
        assert_int_equal(rtm_on(client, "message", note, &"abcdefghijklmnopqrst"[i]), RTM_OK);
}

static void handlers_added_in_a_callback_receive_the_next_event(void **state) {
    (void)state;
    make_bot(NULL);
    rtm_on(bot, "message", add_many, "A");
    open_session();
    expect_order("{\"type\":\"message\"}", "A");
    expect_order("{\"type\":\"message\"}", "Aabcdefghijklmnopqrst");
}

static void swap_places(rtm_client *client, const rtm_event *event, void *user_data) {
    note(client, event, user_data);
    rtm_off(client, "message", note, "y");
    rtm_on(client, "message", note, "y");
}

static void a_handler_removed_and_added_again_receives_the_next_event(void **state) {
    (void)state;
    make_bot(NULL);
    rtm_on(bot, "message", swap_places, "x");
    rtm_on(bot, "message", note, "y");
    open_session();
    expect_order("{\"type\":\"message\"}", "x");
    rtm_off(bot, "message", swap_places, "x");
    expect_order("{\"type\":\"message\"}", "y");
}

static void handlers_belong_to_one_client(void **state) {
    rtm_config config = usual_config();
    rtm_client *other;
    (void)state;
    make_bot(NULL);
    assert_int_equal(rtm_create(&config, &other), RTM_OK);
    rtm_on(other, "message", note, "o");
    rtm_on(bot, "message", note, "b");
    open_session();
    expect_order("{\"type\":\"message\"}", "b");
    rtm_destroy(other);
}

static void the_table_in_the_config_comes_first(void **state) {
    static char first[] = "1", second[] = "2";
    static const rtm_handler handlers[] = {
        { "message", note, first }, { "*", note, second }, { NULL, NULL, NULL } };
    rtm_config config = usual_config();
    (void)state;
    config.handlers = handlers;
    make_bot(&config);
    rtm_on(bot, "message", note, "3");
    open_session();
    expect_order("{\"type\":\"message\"}", "123");
}

/* Events --------------------------------------------------------------------------------------- */

static void events_without_a_usable_type_are_unknown(void **state) {
    static const char *const events[] = {
        "{\"a\":1}", "{}", "[]", "\"text\"", "null", " 17 ", "{\"type\":null}", "{\"type\":5}",
        "{\"type\":\"open\"}", "{\"type\":\"close\",\"code\":1000}", "{\"type\":\"Unknown\"}",
        "{\"type\":\"op\\u0065n\"}", "{\"type\":\"a\\u0000b\"}", "{\"data\":{\"type\":\"hello\"}}",
    };
    (void)state;
    reach(RTM_STATE_OPEN);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        server_send_text(&slack, events[i]);
        record *event = next_event("Unknown");
        assert_string_equal(event->data, strcmp(events[i], " 17 ") ? events[i] : "17");
        assert_int_equal(event->id, 0);
        assert_int_equal(event->result, RTM_OK);
    }
    assert_true(rtm_is_connected(bot));
}

static void an_event_has_its_data_whole(void **state) {
    static const char json[] =
        " {\"n\": 1, \"type\":\"message\",\"text\":\"gr\xc3\xbc\xc3\x9f\"}\n";
    (void)state;
    reach(RTM_STATE_OPEN);
    server_send_text(&slack, json);
    record *event = next_event("message");
    assert_memory_equal(event->data, json + 1, strlen(json) - 2);
    assert_int_equal(strlen(event->data), strlen(json) - 2);
    assert_string_equal(event->reason, "");
    assert_string_equal(event->detail, "");
    assert_int_equal(event->code, 0);
}

static void invalid_json_is_an_error_and_the_session_lives(void **state) {
    static const char *const texts[] = {
        "", " ", "hello", "{\"type\":\"message\"", "{\"type\":\"message\",}", "{'type':'message'}",
        "{\"type\":\"message\"} x", "[1,]", "{\"type\":\"message\",\"a\":01}", "nul",
    };
    (void)state;
    reach(RTM_STATE_OPEN);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        server_send_text(&slack, texts[i]);
        record *event = next_error(RTM_E_JSON);
        assert_string_equal(event->data, "");
        assert_int_equal(event->id, 0);
        test_now_ms += 1001;
    }
    server_send_text(&slack, "{\"type\":\"message\"}");
    next_event("message");
}

static void deep_nesting_is_refused_and_the_session_lives(void **state) {
    static char json[2 * 100000 + 64];
    static const int depths[] = { 127, 128, 100000 }; /* of the arrays, within an object */
    (void)state;
    reach(RTM_STATE_OPEN);
    for (int i = 0; i < 3; i++) {
        size_t depth = (size_t)depths[i];
        char *end = json + sprintf(json, "{\"type\":\"deep\",\"a\":");
        memset(end, '[', depth);
        memset(end + depth, ']', depth);
        strcpy(end + 2 * depth, "}");
        server_send_text(&slack, json);
        if (i) next_error(RTM_E_JSON);
        else next_event("deep");
        test_now_ms += 1001;
    }
    assert_true(rtm_is_connected(bot));
}

static void a_binary_message_is_reported_and_the_session_lives(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    server_send_frame(&slack, RTMI_WS_BINARY, FIN, "\xff\x00", 2);
    next_error(RTM_E_WEBSOCKET);
    server_send_text(&slack, "{\"type\":\"message\"}");
    next_event("message");
}

static void a_message_over_the_limit_is_skipped_and_reported(void **state) {
    static char json[70001];
    rtm_config config = usual_config();
    (void)state;
    config.max_message_size = 4096;
    make_bot(&config);
    open_session();
    memset(json, ' ', sizeof json - 1);
    memcpy(json, "{\"type\":\"message\"}", 18);
    server_send_frame(&slack, RTMI_WS_TEXT, FIN, json, 4096);
    next_event("message");
    static const size_t sizes[] = { 4097, 65535, 70000 };
    for (int i = 0; i < 3; i++) {
        server_send_frame(&slack, RTMI_WS_TEXT, FIN, json, sizes[i]);
        next_error(RTM_E_TOO_BIG);
        test_now_ms += 1001;
    }
    server_send_frame(&slack, RTMI_WS_TEXT, MORE, json, 4000); /* only together too big */
    server_send_frame(&slack, RTMI_WS_PING, FIN, "p", 1);
    server_send_frame(&slack, RTMI_WS_CONTINUATION, MORE, json, 97);
    server_send_frame(&slack, RTMI_WS_CONTINUATION, FIN, json, 1);
    next_error(RTM_E_TOO_BIG);
    server_expect(&slack, RTMI_WS_PONG, "p");
    server_send_text(&slack, "{\"type\":\"hello\"}");
    next_event("hello");
    no_event();
}

/* The failures that the `error` events of one kind report: one each, and the number in the
   detail. */
static int errors, failures;
static long long last_error_ms;

static void count_failures(rtm_client *client, const rtm_event *event, void *user_data) {
    const char *more = strstr(event->detail, " more"), *digits = more;
    (void)client;
    if (event->result != *(const rtm_result *)user_data) return;
    if (errors++) assert_true(test_now_ms - last_error_ms >= 1000);
    last_error_ms = test_now_ms;
    while (digits && digits > event->detail && digits[-1] >= '0' && digits[-1] <= '9') digits--;
    failures += 1 + (digits < more ? atoi(digits) : 0);
}

static void a_flood_of_errors_is_reported_once_a_second_with_its_number(void **state) {
    enum { FRAMES = 30000, STEP = 1000 };
    rtm_result kind = RTM_E_WEBSOCKET;
    (void)state;
    reach(RTM_STATE_OPEN);
    rtm_on(bot, "error", count_failures, &kind);
    rtm_off(bot, "*", record_event, NULL);
    errors = failures = 0;
    for (int i = 0; i < FRAMES / STEP; i++) {
        test_now_ms += i ? 100 : 0;
        for (int j = 0; j < STEP; j++) server_send_bytes(&slack, "\x82\0", 2);
        server_send_frame(&slack, RTMI_WS_PING, FIN, "", 0);
        server_expect(&slack, RTMI_WS_PONG, ""); /* it has seen all of them */
        assert_true(failures <= (i + 1) * STEP);
    }
    assert_int_equal(errors, 3); /* in 2.9 s */
    assert_true(failures < FRAMES);
    int due = rtm_timeout_ms(bot);
    assert_in_range(due, 1, 1000);
    test_now_ms += due - 1;
    rtm_poll(bot, 0);
    assert_true(failures < FRAMES);
    test_now_ms++;
    rtm_poll(bot, 0);
    assert_int_equal(failures, FRAMES);
    assert_true(rtm_timeout_ms(bot) > 1000); /* no further report is due */
}

static void deferred_errors_are_reported_before_the_session_ends(void **state) {
    rtm_result kind = RTM_E_WEBSOCKET;
    (void)state;
    for (int fin = 0; fin < 2; fin++) {
        reach(RTM_STATE_OPEN);
        rtm_on(bot, "error", count_failures, &kind);
        rtm_off(bot, "*", record_event, NULL);
        rtm_on(bot, "close", record_event, NULL);
        errors = failures = 0;
        server_send_bytes(&slack, "\x82\0", 2);
        WAIT_FOR(errors == 1);
        last_error_ms -= 1000; /* the end does not wait */
        for (int i = 0; i < 41; i++) server_send_bytes(&slack, "\x82\0", 2);
        if (!fin) server_send_close(&slack, 1001, "");
        server_close(&slack);
        next_event("close");
        assert_int_equal(errors, 2);
        assert_int_equal(failures, 42);
        end_bot();
    }
}

/* One report a second, whatever the messages were: the first one at once, then the last one and a
   number. */
static void skipped_messages_of_all_kinds_share_one_report(void **state) {
    static char json[4097];
    rtm_config config = usual_config();
    (void)state;
    config.max_message_size = 4096;
    make_bot(&config);
    open_session();
    for (int i = 0; i < 3; i++) {
        server_send_frame(&slack, RTMI_WS_BINARY, FIN, "", 0);
        server_send_text(&slack, "hello");
        server_send_frame(&slack, RTMI_WS_TEXT, FIN, json, sizeof json);
        if (i == 0) assert_null(strstr(next_error(RTM_E_WEBSOCKET)->detail, "more"));
        no_event();
    }
    int due = rtm_timeout_ms(bot);
    assert_in_range(due, 1, 1000);
    test_now_ms += due - 1;
    no_event();
    test_now_ms++;
    assert_non_null(strstr(next_error(RTM_E_TOO_BIG)->detail, "(and 7 more)"));
    no_event();
    server_send_text(&slack, "hello"); /* within the second after that report */
    no_event();
    test_now_ms += 1000;
    assert_null(strstr(next_error(RTM_E_JSON)->detail, "more"));
    server_send_frame(&slack, RTMI_WS_BINARY, FIN, "", 0);
    server_send_text(&slack, "hello");
    server_send_close(&slack, 1001, ""); /* the end of the session does not wait */
    assert_non_null(strstr(next_error(RTM_E_JSON)->detail, "(and 1 more)"));
    next_event("close");
}

static void events_arrive_in_any_chunking(void **state) {
    static const char json[] = "{\"type\":\"message\",\"text\":\"\xe2\x82\xac\"}";
    char bytes[64] = { '\x81', sizeof json - 1 };
    (void)state;
    reach(RTM_STATE_OPEN);
    memcpy(bytes + 2, json, sizeof json - 1);
    for (size_t i = 0; i < sizeof json + 1; i++) {
        assert_int_equal(received_count, received_next);
        server_send_bytes(&slack, bytes + i, 1);
        server_round(0);
    }
    assert_string_equal(next_event("message")->data, json);
    server_send_frame(&slack, RTMI_WS_TEXT, MORE, json, 28); /* within the euro sign */
    server_send_frame(&slack, RTMI_WS_PING, FIN, "between", 7);
    server_send_frame(&slack, RTMI_WS_CONTINUATION, MORE, "", 0);
    server_expect(&slack, RTMI_WS_PONG, "between");
    server_send_frame(&slack, RTMI_WS_CONTINUATION, FIN, json + 28, sizeof json - 29);
    assert_string_equal(next_event("message")->data, json);
}

/* The session ends with this close code, and the server receives it. */
static void expect_broken(int code) {
    record *event = next_error(RTM_E_WEBSOCKET);
    assert_true(strlen(event->detail) > 20);
    event = next_event("close");
    assert_int_equal(event->code, code);
    assert_int_equal(event->result, RTM_E_WEBSOCKET);
    server_expect_close(&slack, code);
    server_ends(&slack);
    assert_int_equal(rtm_get_state(bot), RTM_STATE_BACKOFF);
}

static void broken_frames_end_the_session_with_their_code(void **state) {
    static const struct { const char *bytes; size_t size; int code; } broken[] = {
        { "\xc1\x02{}", 4, 1002 },             /* RSV1: compression, not negotiated */
        { "\x81\x82mask\x16\x1c", 8, 1002 },   /* masked */
        { "\x83\x00", 2, 1002 },               /* opcode 3 */
        { "\x8b\x00", 2, 1002 },               /* opcode 11 */
        { "\x09\x00", 2, 1002 },               /* PING in fragments */
        { "\x89\x7e\x00\x7e", 4, 1002 },       /* PING over 125 bytes */
        { "\x80\x00", 2, 1002 },               /* continuation of nothing */
        { "\x81\x7e\x00\x05", 4, 1002 },       /* a length not in its shortest form */
        { "\x81\x7f\x80", 3, 1002 },           /* a length of 2^63 or more */
        { "\x01\x01{\x81\x01}", 6, 1002 },     /* a message within a message */
        { "\x88\x01\x03", 3, 1002 },           /* half a close code */
        { "\x88\x02\x03\xed", 4, 1002 },       /* 1005 is never sent */
        { "\x81\x01\xff", 3, 1007 },
        { "\x81\x02\xc0\xaf", 4, 1007 },       /* overlong */
        { "\x81\x03\xed\xa0\x80", 5, 1007 },   /* surrogate */
        { "\x81\x02\xe2\x82", 4, 1007 },       /* cut short */
        { "\x01\x7d\xff", 3, 1007 },           /* as soon as it is seen */
        { "\x88\x03\x03\xe8\xff", 5, 1007 },   /* in the close reason */
    };
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        reach(RTM_STATE_OPEN);
        server_send_bytes(&slack, broken[i].bytes, broken[i].size);
        expect_broken(broken[i].code);
        end_bot();
    }
}

static int poll_bytes; /* of the events that callbacks saw */

static void count_bytes(rtm_client *client, const rtm_event *event, void *user_data) {
    size_t size = 0;
    (void)client;
    (void)user_data;
    rtm_json_raw(event->data, &size);
    poll_bytes += (int)size;
}

static void a_flood_does_not_keep_rtm_poll_from_returning(void **state) {
    static char flood[1 << 20];
    (void)state;
    make_bot(NULL);
    open_session();
    rtm_off(bot, "*", record_event, NULL);
    rtm_on(bot, "flood", count_bytes, NULL);
    for (size_t i = 0; i < sizeof flood; i += 1024) {
        memset(flood + i, ' ', 1024);
        memcpy(flood + i, "\x81\x7e\x03\xfc{\"type\":\"flood\"", 19);
        flood[i + 1023] = '}';
    }
    ssize_t sent = send(slack.fd, flood, sizeof flood, MSG_NOSIGNAL); /* as much as fits */
    assert_true(sent > 300000);
    int polls = 0, total = 0, whole = (int)sent / 1024 * 1020;
    for (; total < whole; polls++) {
        assert_true(polls < 1000);
        poll_bytes = 0;
        rtm_poll(bot, 0);
        assert_true(poll_bytes <= 262144);
        total += poll_bytes;
    }
    assert_true(polls >= 2);
    assert_int_equal(total, whole);
}

/* Floods without an end: whenever the client reads, the server sends as much as the kernel takes.
   In segments of 1400 bytes, as outside of this machine. */
static char water[65536];
static size_t water_size, water_at;

static void pour(char call) {
    int before = errno;
    if (call != 'r') return;
    if (client_taken > 4 << 20) fail_msg("%s", "one rtm_poll has read 4 MiB, and continues");
    for (ssize_t n = 0; n >= 0; water_at = (water_at + (size_t)(n > 0 ? n : 0)) % water_size)
        n = send(slack.fd, water + water_at, water_size - water_at, MSG_NOSIGNAL);
    errno = before;
}

/* Begins the flood; then, and before each rtm_poll, the socket holds more than 256 KiB. */
static void pour_these(const char *drop) {
    size_t size = strlen(drop);
    for (water_size = 0; water_size + size <= sizeof water; water_size += size)
        memcpy(water + water_size, drop, size);
    water_at = 0;
    client_before = pour;
}

static int poll_in_the_flood(void) {
    int held = 0;
    client_taken = 0;
    for (int i = 0; held < 300000 && i < SERVER_ROUNDS; i++) {
        pour('r');
        assert_int_equal(ioctl(client_fd, FIONREAD, &held), 0);
        if (i > 50) poll(NULL, 0, 1); /* a delayed ACK */
    }
    assert_true(held >= 300000);
    int result = rtm_poll(bot, 0);
    assert_in_range(client_taken, 1, 262144);
    return result;
}

static void widen(char call) {
    int size = 1 << 20;
    if (call != 'c') return;
    setsockopt(client_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static void make_bot_for_floods(void) {
    rtm_config config = usual_config();
    int size = 1400;
    setsockopt(slack.listener, IPPROTO_TCP, TCP_MAXSEG, &size, sizeof size);
    config.max_message_size = 1 << 28;
    make_bot(&config);
    rtm_off(bot, "*", record_event, NULL);
    client_before = widen;
}

#define FLOOD_FRAME "\x81\x10{\"type\":\"flood\"}"

static void no_flood_makes_a_poll_read_more_than_256_kib(void **state) {
    static const struct { rtm_state state; const char *first; size_t size; const char *drop; }
    floods[] = {
        { RTM_STATE_CONNECTING, "HTTP/1.1 200 OK\r\n\r\n", 19, "{\"ok\":true}  " },
        { RTM_STATE_CONNECTING, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 47,
          "1;x\r\n \r\n" },
        { RTM_STATE_OPEN, "", 0, FLOOD_FRAME },
        { RTM_STATE_OPEN, "", 0, "\x8a\x01p" }, /* PONG */
        { RTM_STATE_OPEN, "\x81\x7f\0\0\0\0\x08\0\0\0", 10, "a message without an end" },
        { RTM_STATE_OPEN, "\x81\x7f\0\0\0\0\x18\0\0\0", 10, "a message that is too big" },
    };
    request got;
    (void)state;
    for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
        make_bot_for_floods();
        if (floods[i].state == RTM_STATE_CONNECTING) take_call(&got);
        else open_session_silently();
        server_send_bytes(&slack, floods[i].first, floods[i].size);
        pour_these(floods[i].drop);
        for (int poll = 0; poll < 4; poll++) {
            assert_true(poll_in_the_flood() >= 0);
            assert_int_equal(rtm_timeout_ms(bot), 0); /* more is at hand */
        }
        end_bot();
    }
}

static void endless_interim_responses_end_the_attempt(void **state) {
    request got;
    (void)state;
    for (int upgrade = 0; upgrade < 2; upgrade++) {
        make_bot_for_floods();
        rtm_on(bot, "*", record_event, NULL);
        if (upgrade) take_upgrade(&got);
        else take_call(&got);
        pour_these("HTTP/1.1 100 Continue\r\n\r\n");
        poll_in_the_flood();
        next_error(RTM_E_HTTP);
        end_bot();
    }
}

static int stopped_at; /* what had been read by then */

static void stop_late(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event;
    (void)user_data;
    if (client_taken <= 200000 || stopped_at) return;
    stopped_at = (int)client_taken;
    rtm_stop(client);
}

/* A stop during the flood ends the reading: no second 256 KiB are read, and the closing second is
   one second. */
static void a_stop_in_a_flood_is_seen_and_costs_no_more(void **state) {
    (void)state;
    make_bot_for_floods();
    open_session_silently();
    rtm_on(bot, "flood", stop_late, NULL);
    stopped_at = 0;
    pour_these(FLOOD_FRAME);
    for (int poll = 0; poll < 4; poll++) {
        assert_true(poll_in_the_flood() >= 0);
        assert_in_range(stopped_at, 200001, 262144);
        assert_int_equal(rtm_timeout_ms(bot), 0);
    }
    test_now_ms += 1000;
    assert_int_equal(poll_in_the_flood(), RTM_E_STOPPED);
}

static int looked_into;
static void look_into(rtm_client *client, const rtm_event *event, void *user_data) {
    char text[64];
    (void)client;
    (void)user_data;
    rtm_json_string(rtm_json_get(event->data, "text"), text, sizeof text);
    assert_true(rtm_json_equals(rtm_json_get(event->data, "blocks.0.elements.1.text"), "deep"));
    looked_into++;
}

static void answer_it(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event;
    (void)user_data;
    assert_true(rtm_send_message(client, "C1", "an answer") > 0);
    assert_true(rtm_send_typing(client, "C1") > 0);
}

static void events_and_answers_cost_no_allocation(void **state) {
    static const char json[] = "{\"type\":\"message\",\"text\":\"t\",\"blocks\":[{\"elements\":[1,"
                               "{\"text\":\"deep\"}]}]}";
    long before = 0;
    frame got;
    (void)state;
    make_bot(NULL);
    open_session();
    rtm_off(bot, "*", record_event, NULL);
    rtm_on(bot, "message", look_into, NULL);
    rtm_on(bot, "message", answer_it, NULL);
    looked_into = 0;
    for (int i = 1; i <= 200; i++) {
        char ack[64];
        if (i == 3) before = test_allocations; /* once the buffers have grown */
        if (i % 2) { /* whole in one read, and in pieces that are put together */
            server_send_text(&slack, json);
        } else {
            server_send_frame(&slack, RTMI_WS_TEXT, 0, json, 20);
            server_send_frame(&slack, RTMI_WS_PING, FIN, "?", 1);
            server_send_frame(&slack, RTMI_WS_CONTINUATION, FIN, json + 20, sizeof json - 21);
            server_expect(&slack, RTMI_WS_PONG, "?");
        }
        server_read_frame(&slack, &got);
        server_read_frame(&slack, &got);
        assert_int_equal(looked_into, i);
        snprintf(ack, sizeof ack, "{\"ok\":true,\"reply_to\":%d}", 2 * i - 1);
        server_send_text(&slack, ack);
        WAIT_FOR(rtmi_unanswered_count(bot) == 0);
    }
    assert_int_equal(test_allocations, before);
}

/* Memory after a huge event -------------------------------------------------------------------- */

enum { MIB = 1048576, LISTED = 50000 };

/* Sends an event of this size: a list of numbers with 19 digits. */
static void send_event_of(size_t size) {
    static char json[MIB];
    size_t at = (size_t)snprintf(json, sizeof json, "{\"type\":\"message\",\"list\":[0");
    size_t numbers = size < at + 2 ? 0 : (size - at - 2) / 20;
    if (numbers >= LISTED) numbers = LISTED - 1;
    for (size_t i = 0; i < numbers; i++, at += 20) memcpy(json + at, ",1000000000000000000", 20);
    json[at++] = ']';
    while (at + 1 < size) json[at++] = ' ';
    json[at++] = '}';
    server_send_frame(&slack, RTMI_WS_TEXT, FIN, json, at);
    next_event("message");
}

static size_t list_size;

static void look_into_list(rtm_client *client, const rtm_event *event, void *user_data) {
    rtm_json list = rtm_json_get(event->data, "list");
    (void)client;
    (void)user_data;
    list_size = rtm_json_count(list);
    for (size_t i = 0; i < list_size; i++) assert_true(rtm_json_int(rtm_json_at(list, i), -1) >= 0);
}

static void next_small_event(void) { send_event_of(100); }

static void next_ping_of_slack(void) {
    server_send_frame(&slack, RTMI_WS_PING, FIN, "?", 1);
    server_expect(&slack, RTMI_WS_PONG, "?");
}

static void next_ping_of_ours(void) { server_expect(&slack, RTMI_WS_PING, ""); }

/* A client that received a huge event 30 s ago. Returns its allocated bytes before the event. */
static long receive_a_huge_event(void) {
    make_bot(NULL);
    open_session_with_hello();
    assert_int_equal(rtm_on(bot, "message", look_into_list, NULL), RTM_OK);
    next_small_event();
    long before = test_bytes;
    send_event_of(MIB);
    assert_int_equal(list_size, LISTED);
    assert_true(test_bytes > before + MIB);
    test_now_ms += 30000;
    server_expect(&slack, RTMI_WS_PING, "");
    server_send_frame(&slack, RTMI_WS_PONG, FIN, "", 0);
    no_event();
    return before;
}

static void expect_heap(long before, bool given_back) {
    no_event();
    if (!given_back) assert_true(test_bytes > before + MIB);
    else assert_in_range(test_bytes, before - 4096, before + 4096);
}

static void a_minute_after_a_huge_event_its_memory_is_given_back(void **state) {
    static void (*const nexts[])(void) = { next_small_event, next_ping_of_slack,
                                           next_ping_of_ours };
    (void)state;
    for (int i = 0; i < 3; i++) {
        long before = receive_a_huge_event();
        test_now_ms += 29999;
        if (nexts[i] != next_ping_of_ours) nexts[i]();
        expect_heap(before, false);
        test_now_ms++;
        nexts[i]();
        expect_heap(before, true);
        if (nexts[i] == next_ping_of_ours) server_send_frame(&slack, RTMI_WS_PONG, FIN, "", 0);
        send_event_of(MIB); /* and taken again */
        assert_int_equal(list_size, LISTED);
        end_bot();
    }
}

static void an_event_over_16_kib_keeps_the_memory_for_another_minute(void **state) {
    (void)state;
    for (int over = 0; over < 2; over++) {
        long before = receive_a_huge_event();
        send_event_of(over ? 20000 : 16384);
        test_now_ms += 29999;
        next_small_event();
        test_now_ms++;
        next_small_event();
        expect_heap(before, !over);
        test_now_ms += 29999;
        next_small_event();
        expect_heap(before, !over);
        test_now_ms++;
        next_small_event();
        expect_heap(before, true);
        end_bot();
    }
}

/* Sending -------------------------------------------------------------------------------------- */

static void ids_count_up_from_one(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    assert_int_equal(rtm_send_message(bot, "C024BE91L", "Hello world"), 1);
    assert_int_equal(rtm_send_ping(bot), 2);
    assert_int_equal(rtm_send_typing(bot, "C01234567"), 3);
    assert_int_equal(rtm_send(bot, "{\"type\":\"presence_sub\",\"ids\":[\"U1\"]}"), 4);
    server_expect(&slack, RTMI_WS_TEXT, "{\"id\":1,\"type\":\"message\","
                  "\"channel\":\"C024BE91L\",\"text\":\"Hello world\"}");
    server_expect(&slack, RTMI_WS_TEXT, "{\"id\":2,\"type\":\"ping\"}");
    server_expect(&slack, RTMI_WS_TEXT, "{\"id\":3,\"type\":\"typing\",\"channel\":\"C01234567\"}");
    server_expect(&slack, RTMI_WS_TEXT, "{\"id\":4,\"type\":\"presence_sub\",\"ids\":[\"U1\"]}");
}

static void ids_are_added_if_they_are_missing(void **state) {
    static const struct { const char *json, *sent; int id; } rows[] = {
        { "{}", "{\"id\":1}", 1 },
        { "{ }", "{\"id\":2 }", 2 },
        { " {\"type\":\"x\"} ", "{\"id\":3,\"type\":\"x\"} ", 3 },
        { "{\"a\":{\"id\":9}}", "{\"id\":4,\"a\":{\"id\":9}}", 4 },
        { "{\"ids\":1}", "{\"id\":5,\"ids\":1}", 5 },
        { "{\"a\":\"id\"}", "{\"id\":6,\"a\":\"id\"}", 6 },
        { "{\"type\":\"x\",\"id\":100}", "{\"type\":\"x\",\"id\":100}", 100 },
        { "{\"id\":7}", "{\"id\":7}", 7 },
        { "{\"\\u0069d\":50}", "{\"\\u0069d\":50}", 50 },
        { "{\"b\":1}", "{\"id\":101,\"b\":1}", 101 },
        { "{\"id\":1}", "{\"id\":1}", 1 },
        { "{\"b\":2}", "{\"id\":102,\"b\":2}", 102 },
    };
    (void)state;
    reach(RTM_STATE_OPEN);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(rtm_send(bot, rows[i].json), rows[i].id);
        server_expect(&slack, RTMI_WS_TEXT, rows[i].sent);
    }
}

/* The program uses the two largest ids, in this order. The next ones begin at 1, and differ. */
static void ids_after_the_largest_are_different(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    assert_int_equal(rtm_send(bot, "{\"id\":2147483647,\"type\":\"message\"}"), INT_MAX);
    assert_int_equal(rtm_send(bot, "{\"id\":2147483646,\"type\":\"message\"}"), INT_MAX - 1);
    for (int id = 1; id <= 3; id++) assert_int_equal(rtm_send(bot, "{\"type\":\"x\"}"), id);
    assert_int_equal(rtm_send_ping(bot), 4);
    assert_int_equal(rtm_send_typing(bot, "C01234567"), 5);
}

static void strings_are_escaped_and_read_back_the_same(void **state) {
    static const char *const texts[] = {
        "", "plain", "\"quoted\" \\ /", "line\nbreak\ttab\r", "\x01\x1f\x7f",
        "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", "<@U1> & 'x'", "\\u0041", "}{",
    };
    frame got;
    rtmi_document document;
    char text[256];
    (void)state;
    memset(&document, 0, sizeof document);
    reach(RTM_STATE_OPEN);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(rtm_send_message(bot, texts[i], texts[i]), (int)i + 1);
        server_read_frame(&slack, &got);
        rtm_json sent;
        assert_true(rtmi_document_open(&document, got.payload, got.size, &sent));
        for (size_t c = 0; c < got.size; c++) assert_true((unsigned char)got.payload[c] >= 0x20);
        assert_int_equal(rtm_json_int(rtm_json_get(sent, "id"), 0), (int)i + 1);
        assert_true(rtm_json_equals(rtm_json_get(sent, "type"), "message"));
        rtm_json_string(rtm_json_get(sent, "text"), text, sizeof text);
        assert_string_equal(text, texts[i]);
        rtm_json_string(rtm_json_get(sent, "channel"), text, sizeof text);
        assert_string_equal(text, texts[i]);
    }
    rtmi_document_free(&document);
}

static void only_json_objects_are_sent(void **state) {
    static const char *const texts[] = {
        "", " ", "[]", "1", "\"a\"", "null", "{", "}", "{}}", "{} {}", "{\"a\":}", "{a:1}", "x{}",
        "{\"a\":\"\xff\"}", "{\"a\":\"\xc3\"}", "{\"a\":\"\n\"}", "{\"a\":01}", "{\"a\":1,}",
        "{\"id\":0}", "{\"id\":-1}", "{\"id\":\"1\"}", "{\"id\":1.5}", "{\"id\":2147483648}",
        "{\"id\":null}", "{\"id\":1e2}", "{\"id\":99999999999999999999}", "{\"id\":[]}",
    };
    (void)state;
    reach(RTM_STATE_OPEN);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (rtm_send(bot, texts[i]) != RTM_E_JSON) fail_msg("accepted: %s", texts[i]);
        assert_true(strlen(rtm_error_detail(bot)) > 10);
    }
    assert_int_equal(rtm_send_message(bot, "C1", "\xff"), RTM_E_JSON);
    assert_int_equal(rtm_send_message(bot, "\xc3", "a"), RTM_E_JSON);
    assert_int_equal(rtm_send_typing(bot, "\xc3"), RTM_E_JSON);
    assert_int_equal(rtm_send_ping(bot), 1); /* and no id is lost */
    server_expect(&slack, RTMI_WS_TEXT, "{\"id\":1,\"type\":\"ping\"}");
}

static void missing_strings_are_argument_errors_with_a_message(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    assert_int_equal(rtm_send_message(bot, NULL, "t"), RTM_E_ARGUMENT);
    assert_string_equal(rtm_error_detail(bot), "rtm_send_message: channel is NULL");
    assert_int_equal(rtm_send_message(bot, "C1", NULL), RTM_E_ARGUMENT);
    assert_string_equal(rtm_error_detail(bot), "rtm_send_message: text is NULL");
    assert_int_equal(rtm_send_typing(bot, NULL), RTM_E_ARGUMENT);
    assert_string_equal(rtm_error_detail(bot), "rtm_send_typing: channel is NULL");
    assert_int_equal(rtm_send(bot, NULL), RTM_E_ARGUMENT);
    assert_string_equal(rtm_error_detail(bot), "rtm_send: json is NULL");
}

static void a_message_may_have_16384_bytes_and_no_more(void **state) {
    static char text[17000];
    frame got;
    size_t frames = strlen("{\"id\":1,\"type\":\"message\",\"channel\":\"C\",\"text\":\"\"}");
    (void)state;
    reach(RTM_STATE_OPEN);
    memset(text, 'x', 16384 - frames + 1);
    assert_int_equal(rtm_send_message(bot, "C", text), RTM_E_TOO_BIG);
    text[16384 - frames] = '\0';
    assert_int_equal(rtm_send_message(bot, "C", text), 1);
    server_read_frame(&slack, &got);
    assert_int_equal(got.size, 16384);
    memset(text, ' ', sizeof text - 1);
    memcpy(text, "{\"id\":2}", 8);
    assert_int_equal(rtm_send(bot, text), RTM_E_TOO_BIG);
    text[16384] = '\0';
    assert_int_equal(rtm_send(bot, text), 2);
    server_read_frame(&slack, &got);
    assert_int_equal(got.size, 16384);
    no_event();
}

static void nothing_is_sent_without_a_session(void **state) {
    (void)state;
    for (int i = 0; i < STATES; i++) {
        if (states[i].connected) continue;
        reach(states[i].state);
        assert_int_equal(rtm_send(bot, "{}"), RTM_E_NOT_CONNECTED);
        assert_int_equal(rtm_send_message(bot, "C1", "a"), RTM_E_NOT_CONNECTED);
        assert_int_equal(rtm_send_typing(bot, "C1"), RTM_E_NOT_CONNECTED);
        assert_int_equal(rtm_send_ping(bot), RTM_E_NOT_CONNECTED);
        assert_string_equal(rtm_error_detail(bot),
                            "not connected: wait for the `open` event");
        end_bot();
        received_next = received_count;
    }
}

/* An external loop calls rtm_poll only because of rtm_fd and rtm_timeout_ms. */
static void rtm_fd_is_readable_when_a_full_socket_accepts_more(void **state) {
    static char text[8000];
    int small = 4096, sent = 0, waiting;
    (void)state;
    reach(RTM_STATE_OPEN);
    if (rtm_fd(bot) < 0) skip();
    setsockopt(session_socket(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    setsockopt(slack.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    memset(text, 'x', sizeof text - 1);
    while (rtm_send_message(bot, "C", text) > 0) assert_true(++sent < 5000);
    const rtmi_conn *conn = &bot->session[0]->exchange.conn;
    waiting = (int)(conn->out.size - conn->out_at);
    assert_true(waiting > 0);
    for (int round = 0; waiting && round < 10000; round++) {
        while (recv(slack.fd, text, sizeof text, MSG_DONTWAIT) > 0) continue;
        poll(NULL, 0, round > 50);
        if (has_something_to_do()) rtm_poll(bot, 0);
        waiting = (int)(conn->out.size - conn->out_at);
    }
    assert_int_equal(waiting, 0);
    assert_false(has_something_to_do());
}

/* Data that arrives together with the end of the connection must not hide the end from an
   edge-triggered loop. */
static void an_edge_of_rtm_fd_reports_the_end_after_an_event(void **state) {
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    (void)state;
    reach(RTM_STATE_OPEN);
    if (rtm_fd(bot) < 0) skip();
    int loop = epoll_create1(EPOLL_CLOEXEC);
    assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, rtm_fd(bot), &event), 0);
    while (epoll_wait(loop, &event, 1, 0) == 1) rtm_poll(bot, 0);
    server_send_text(&slack, "{\"type\":\"message\"}");
    server_close(&slack);
    poll(NULL, 0, 20); /* the kernel has both before the client looks */
    for (int round = 0; round < 10; round++)
        if (!rtm_timeout_ms(bot) || epoll_wait(loop, &event, 1, 0) == 1) rtm_poll(bot, 0);
    close(loop);
    next_event("message");
    assert_int_equal(rtm_get_state(bot), RTM_STATE_BACKOFF);
    next_error(RTM_E_CLOSED);
    next_event("close");
}

static void a_full_send_buffer_accepts_nothing_and_loses_nothing(void **state) {
    static char text[8000];
    frame got;
    int small = 4096, sent = 0, id, taken = 0;
    char start[32];
    (void)state;
    reach(RTM_STATE_OPEN);
    setsockopt(session_socket(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    setsockopt(slack.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    memset(text, 'x', sizeof text - 1);
    while ((id = rtm_send_message(bot, "C", text)) > 0) {
        assert_int_equal(id, ++sent);
        assert_true(sent < 5000);
    }
    assert_int_equal(id, RTM_E_AGAIN);
    assert_int_equal(rtm_send_message(bot, "C", text), RTM_E_AGAIN);
    assert_true(strlen(rtm_error_detail(bot)) > 10);
    assert_true(sent >= 65536 / 8100);
    assert_false(has_something_to_do());
    for (taken = 1; taken <= sent; taken++) {
        server_read_frame(&slack, &got);
        snprintf(start, sizeof start, "{\"id\":%d,\"type\"", taken);
        assert_memory_equal(got.payload, start, strlen(start));
        assert_true(got.size > 8000 && got.payload[got.size - 1] == '}');
    }
    assert_false(has_something_to_do());
    assert_int_equal(rtm_send_message(bot, "C", "last"), sent + 1); /* no id was lost */
    server_read_frame(&slack, &got);
    for (int i = 1; i <= sent + 1; i++) assert_true(rtmi_unanswered_remove(bot, i));
    assert_int_equal(rtmi_unanswered_count(bot), 0);
}

/* Otherwise a server could cause any number of error events. */
static void a_refusal_of_an_unknown_message_is_no_error(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    server_send_text(&slack, "{\"ok\":false,\"reply_to\":7,\"error\":{\"msg\":\"no\"}}");
    assert_int_equal(next_event("Unknown")->id, 7);
}

static void answers_are_matched_and_refusals_are_errors(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    for (int i = 1; i <= 4; i++) assert_int_equal(rtm_send_message(bot, "C1", "text"), i);
    assert_int_equal(rtm_send_ping(bot), 5);
    server_send_text(&slack, "{\"ok\":true,\"reply_to\":2,\"ts\":\"1.2\"}"); /* in any order */
    record *event = next_event("Unknown");
    assert_int_equal(event->id, 2);
    assert_string_equal(event->data, "{\"ok\":true,\"reply_to\":2,\"ts\":\"1.2\"}");
    server_send_text(&slack, "{\"type\":\"pong\",\"reply_to\":5}");
    assert_int_equal(next_event("pong")->id, 5);
    static const char refusal[] =
        "{\"ok\":false,\"reply_to\":1,\"error\":{\"code\":2,\"msg\":\"text is missing\"}}";
    server_send_text(&slack, refusal);
    event = next_error(RTM_E_SLACK);
    assert_int_equal(event->id, 1);
    assert_string_equal(event->data, refusal);
    assert_non_null(strstr(event->detail, "text is missing"));
    server_send_text(&slack, "{\"ok\":true,\"reply_to\":77}");
    assert_int_equal(next_event("Unknown")->id, 77);
    server_close(&slack);
    next_error(RTM_E_CLOSED);
    assert_int_equal(next_error(RTM_E_UNACKNOWLEDGED)->id, 3); /* one each, none of the others */
    assert_int_equal(next_error(RTM_E_UNACKNOWLEDGED)->id, 4);
    next_event("close");
    no_event();
}

static void only_messages_and_pings_expect_an_answer(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    assert_int_equal(rtm_send_typing(bot, "C1"), 1);
    assert_int_equal(rtm_send(bot, "{\"type\":\"presence_sub\",\"ids\":[]}"), 2);
    assert_int_equal(rtm_send(bot, "{}"), 3);
    assert_int_equal(rtm_send(bot, "{\"type\":\"message\",\"id\":42}"), 42);
    assert_int_equal(rtm_send(bot, "{\"type\":\"p\\u0069ng\"}"), 43);
    assert_int_equal(rtm_send_ping(bot), 44);
    assert_int_equal(rtm_send_message(bot, "C1", "text"), 45);
    server_send_close(&slack, 1001, "");
    for (int id = 42; id <= 45; id++)
        assert_int_equal(next_error(RTM_E_UNACKNOWLEDGED)->id, id);
    next_event("close");
    no_event();
}

static void a_late_answer_is_not_reported_again(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    assert_int_equal(rtm_send_message(bot, "C1", "text"), 1);
    test_now_ms += 10000;
    server_close(&slack);
    next_error(RTM_E_CLOSED);
    assert_int_equal(next_error(RTM_E_UNACKNOWLEDGED)->id, 1);
    test_now_ms += next_event("close")->retry_ms;
    open_session();
    server_send_text(&slack, "{\"ok\":true,\"reply_to\":1}");
    assert_int_equal(next_event("Unknown")->id, 1);
    assert_int_equal(rtm_send_message(bot, "C1", "text"), 2); /* ids continue */
    server_send_text(&slack, "{\"ok\":true,\"reply_to\":2}");
    assert_int_equal(next_event("Unknown")->id, 2);
    server_send_close(&slack, 1000, "");
    next_event("close");
    no_event();
}

static void one_message_that_is_never_answered_uses_one_place(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    assert_int_equal(rtm_send_ping(bot), 1);
    for (int i = 2; i < 70000; i++) { /* rtm_send_ping and its answer, without the wire */
        if (rtmi_unanswered_add(bot, i) != RTM_OK)
            fail_msg("no room for message %d", i);
        assert_true(rtmi_unanswered_remove(bot, i));
    }
    assert_true(bot->unanswered.capacity <= 256);
}

static void after_1024_unacknowledged_messages_there_is_no_room(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    for (int i = 1; i <= 1024; i++)
        assert_int_equal(rtmi_unanswered_add(bot, i), RTM_OK);
    assert_int_equal(rtm_send_message(bot, "C", "text"), RTM_E_AGAIN);
    assert_int_equal(rtm_send_typing(bot, "C"), 1025); /* no id that is in use */
    assert_true(rtmi_unanswered_remove(bot, 500));
    assert_int_equal(rtm_send_message(bot, "C", "text"), 1026);
    bot->unanswered.size = 0; /* spare the recorder */
}

static void send_in_event(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)user_data;
    calls = rtm_send_message(client, "C1", event->type);
}

static void an_answer_received_before_a_drop_counts(void **state) {
    static const char answer[] = "\x81\x18{\"ok\":true,\"reply_to\":1}"; /* in one segment */
    (void)state;
    reach(RTM_STATE_OPEN);
    assert_int_equal(rtm_send_message(bot, "C1", "text"), 1);
    server_send_bytes(&slack, answer, sizeof answer - 1);
    assert_int_equal(rtm_reconnect(bot), RTM_OK);
    assert_int_equal(next_event("Unknown")->id, 1);
    assert_int_equal(next_event("close")->code, 1000);
    no_event();
}

static void an_event_before_a_broken_send_is_delivered(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    no_event(); /* the socket has been read empty */
    server_send_text(&slack, "{\"type\":\"message\"}");
    server_send_close(&slack, 1012, "restart");
    server_close(&slack);
    for (int i = 0; i < 3; i++) rtm_send_typing(bot, "C1"); /* RST, then EPIPE */
    rtm_poll(bot, 1000);
    next_event("message");
    assert_int_equal(next_event("close")->code, 1012);
}

/* More than one rtm_poll reads, all of it in the socket of the client before a send fails. */
static void many_events_before_a_broken_send_are_delivered(void **state) {
    enum { EVENTS = 800, SIZE = 443 };
    static char events[EVENTS * SIZE];
    (void)state;
    memset(events, ' ', sizeof events);
    for (char *event = events; event < events + sizeof events; event += SIZE) {
        memcpy(event, "\x81\x7e\x01\xb7{\"type\":\"message\"", 21);
        event[SIZE - 1] = '}';
    }
    for (int reset = 0; reset < 2; reset++) {
        make_bot_for_floods();
        open_session_silently();
        client_before = NULL;
        rtm_on(bot, "close", record_event, NULL);
        rtm_on(bot, "message", count_call, NULL);
        calls = 0;
        size_t sent = 0;
        for (int held = 0, i = 0; held < (int)sizeof events; i++) {
            assert_true(i < SERVER_ROUNDS);
            ssize_t n = send(slack.fd, events + sent, sizeof events - sent, MSG_NOSIGNAL);
            if (n > 0) sent += (size_t)n;
            assert_int_equal(ioctl(client_fd, FIONREAD, &held), 0);
            poll(NULL, 0, i > 50);
        }
        if (reset) server_reset(&slack);
        else server_close(&slack);
        for (int i = 0; i < 3; i++) rtm_send_typing(bot, "C1"); /* RST, then EPIPE */
        next_event("close");
        assert_int_equal(calls, EVENTS);
        end_bot();
    }
}

/* A send fails, and there is nothing to read that would show the end of the connection. */
static void a_failed_send_ends_the_session(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    assert_int_equal(shutdown(session_socket(), SHUT_WR), 0);
    rtm_send_typing(bot, "C1");
    record *event = next_error(RTM_E_CLOSED);
    assert_non_null(strstr(event->detail, strerror(EPIPE)));
    assert_int_equal(next_event("close")->result, RTM_E_CLOSED);
    assert_int_equal(test_now_ms, 1000000); /* long before the keep-alive would have noticed */
}

static void a_refused_message_keeps_no_memory(void **state) {
    static char text[200000];
    (void)state;
    reach(RTM_STATE_OPEN);
    memset(text, 1, sizeof text - 1);
    assert_int_equal(rtm_send_message(bot, "C1", text), RTM_E_TOO_BIG);
    memset(text, ' ', sizeof text - 1);
    memcpy(text, "{}", 2);
    assert_int_equal(rtm_send(bot, text), RTM_E_TOO_BIG);
    assert_true(bot->compose.capacity < 65536);
}

static void the_first_skipped_message_is_reported_before_the_next_event(void **state) {
    static const char bytes[] = "\x81\x03{,}\x81\x12{\"type\":\"message\"}";
    (void)state;
    reach(RTM_STATE_OPEN);
    server_send_bytes(&slack, bytes, sizeof bytes - 1);
    next_error(RTM_E_JSON);
    next_event("message");
}

static char accessor_detail[256];

static void look_without_memory(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)user_data;
    test_fail_at = test_allocations + 1;
    assert_int_equal(rtm_json_at(event->data, 0).size, 0);
    test_fail_at = 0;
    snprintf(accessor_detail, sizeof accessor_detail, "%s", rtm_error_detail(client));
}

static void an_accessor_without_memory_is_reported(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    rtm_on(bot, "message", look_without_memory, NULL);
    server_send_text(&slack, "{\"type\":\"message\",\"text\":\"a\"}");
    next_event("message");
    record *event = next_error(RTM_E_MEMORY);
    assert_non_null(strstr(accessor_detail, "memory"));
    assert_non_null(strstr(event->detail, "memory"));
    assert_true(rtm_is_connected(bot));
}

static void sends_are_possible_in_callbacks(void **state) {
    (void)state;
    make_bot(NULL);
    rtm_on(bot, "*", send_in_event, NULL);
    open_session();
    assert_int_equal(calls, 1);
    server_expect(&slack, RTMI_WS_TEXT,
                  "{\"id\":1,\"type\":\"message\",\"channel\":\"C1\",\"text\":\"open\"}");
    server_close(&slack);
    next_error(RTM_E_CLOSED);
    next_error(RTM_E_UNACKNOWLEDGED);
    next_event("close");
    assert_int_equal(calls, RTM_E_NOT_CONNECTED);
}

/* Keep-alive ----------------------------------------------------------------------------------- */

static bool pong_was_first;

static void look_for_pong(rtm_client *client, const rtm_event *event, void *user_data) {
    static frame got;
    (void)client;
    (void)event;
    (void)user_data;
    pong_was_first = server_try_frame(&slack, &got) && got.opcode == RTMI_WS_PONG &&
                     !strcmp(got.payload, "are you there?");
}

static void a_ping_is_answered_before_the_next_event_is_dispatched(void **state) {
    static const char bytes[] = "\x89\x0e" "are you there?\x81\x12{\"type\":\"message\"}";
    (void)state;
    make_bot(NULL);
    open_session();
    rtm_on(bot, "message", look_for_pong, NULL);
    pong_was_first = false;
    server_send_bytes(&slack, bytes, sizeof bytes - 1);
    next_event("message");
    assert_true(pong_was_first);
}

static void a_pong_has_the_payload_of_its_ping(void **state) {
    static const size_t sizes[] = { 0, 1, 124, 125 };
    char payload[126];
    (void)state;
    reach(RTM_STATE_OPEN);
    memset(payload, 'p', 125);
    for (int i = 0; i < 4; i++) {
        payload[sizes[i]] = '\0';
        server_send_frame(&slack, RTMI_WS_PING, FIN, payload, sizes[i]);
        server_expect(&slack, RTMI_WS_PONG, payload);
        payload[sizes[i]] = 'p';
    }
    no_event();
}

/* RFC 6455 section 5.5.3; with one send for each, a server could cause much work. */
static int sends;

static void count_sends(char call) {
    sends += call == 's';
}

static void each_ping_gets_its_own_pong(void **state) {
    char pings[3 * 146], payload[2] = "";
    (void)state;
    reach(RTM_STATE_OPEN);
    for (int i = 0; i < 146; i++) {
        char ping[] = { '\x89', 1, (char)('0' + i % 64) };
        memcpy(pings + 3 * i, ping, 3);
    }
    sends = 0;
    client_before = count_sends;
    server_send_bytes(&slack, pings, sizeof pings);
    for (int i = 0; i < 146; i++) { /* 1,022 bytes of PONGs */
        payload[0] = (char)('0' + i % 64);
        server_expect(&slack, RTMI_WS_PONG, payload);
    }
    assert_int_equal(sends, 1); /* they leave together */
    no_event();
    assert_int_equal((server_fill(&slack), slack.in_size), 0);
}

static void of_pings_beyond_1024_bytes_of_pongs_the_last_is_answered(void **state) {
    char pings[3000];
    (void)state;
    reach(RTM_STATE_OPEN);
    for (int i = 0; i < 1000; i++) memcpy(pings + 3 * i, i < 999 ? "\x89\1a" : "\x89\1b", 3);
    server_send_bytes(&slack, pings, sizeof pings);
    for (int i = 0; i < 146; i++) server_expect(&slack, RTMI_WS_PONG, "a");
    server_expect(&slack, RTMI_WS_PONG, "b");
    server_send_frame(&slack, RTMI_WS_PING, FIN, "c", 1); /* and there is room again */
    server_expect(&slack, RTMI_WS_PONG, "c");
    no_event();
    assert_int_equal((server_fill(&slack), slack.in_size), 0);
}

/* A handler: both PONGs for the PINGs before the event have left. */
static void expect_two_pongs(rtm_client *client, const rtm_event *event, void *user_data) {
    frame got;
    (void)client;
    (void)event;
    for (int i = 0; i < 2; i++) {
        assert_true(server_try_frame(&slack, &got));
        assert_int_equal(got.opcode, RTMI_WS_PONG);
        assert_string_equal(got.payload, i ? "d" : "c");
    }
    assert_int_equal(slack.in_size, 0);
    *(bool *)user_data = true;
}

static void pongs_leave_before_the_next_callback(void **state) {
    static const char bytes[] = "\x89\1c\x89\1d\x81\x10{\"type\":\"hello\"}\x89\1e";
    bool called = false;
    (void)state;
    reach(RTM_STATE_OPEN);
    rtm_on(bot, "hello", expect_two_pongs, &called);
    server_send_bytes(&slack, bytes, sizeof bytes - 1);
    next_event("hello");
    assert_true(called);
    server_expect(&slack, RTMI_WS_PONG, "e");
    no_event();
}

static void a_ping_before_close_is_answered_before_it(void **state) {
    static const char bytes[] = "\x89\x0e" "are you there?\x88\x02\x03\xe8";
    (void)state;
    reach(RTM_STATE_OPEN);
    server_send_bytes(&slack, bytes, sizeof bytes - 1);
    server_expect(&slack, RTMI_WS_PONG, "are you there?");
    server_expect_close(&slack, 1000);
    server_ends(&slack);
    assert_int_equal(slack.in_size, 0);
}

static void silence_is_answered_with_two_pings_and_then_the_end(void **state) {
    static const int intervals[] = { 30000, 1000, 7000, 60000 };
    static const int rests[] = { 15000, 10000, 10000, 30000 };
    (void)state;
    for (int i = 0; i < 4; i++) {
        rtm_config config = usual_config();
        config.ping_interval_ms = i ? intervals[i] : 0;
        make_bot(&config);
        open_session_with_hello();
        for (int round = 0; round < 4; round++) { /* the first counts like any other */
            assert_int_equal(rtm_timeout_ms(bot), intervals[i]);
            test_now_ms += intervals[i] - 1;
            no_event();
            assert_int_equal((server_fill(&slack), slack.in_size), 0);
            test_now_ms++;
            for (int ping = 0; ping < 2; ping++) {
                server_expect(&slack, RTMI_WS_PING, "");
                if (round == ping) break;
                assert_int_equal(rtm_timeout_ms(bot), rests[i] / 2);
                test_now_ms += rests[i] / 2 - 1;
                no_event();
                assert_int_equal((server_fill(&slack), slack.in_size), 0); /* one PING, not two */
                if (ping == 0 || round == 3) test_now_ms++;
            }
            if (round == 3) break;
            server_send_frame(&slack, RTMI_WS_PONG, FIN, "", 0); /* even in the last ms */
            no_event();
        }
        next_error(RTM_E_TIMEOUT);
        record *event = next_event("close");
        assert_int_equal(event->code, 1006);
        assert_int_equal(event->result, RTM_E_TIMEOUT);
        server_ends(&slack);
        end_bot();
    }
}

static void the_first_ping_unanswered_counts(void **state) {
    (void)state;
    for (int late = 0; late < 2; late++) {
        make_bot(NULL);
        open_session_with_hello();
        test_now_ms += 30000;
        server_expect(&slack, RTMI_WS_PING, "");
        if (late) { /* with the second PING */
            test_now_ms += 14999;
            server_expect(&slack, RTMI_WS_PING, "");
            assert_int_equal(rtm_timeout_ms(bot), 1);
            test_now_ms++;
        } else {
            test_now_ms += 15000;
        }
        next_error(RTM_E_TIMEOUT);
        next_event("close");
        end_bot();
    }
}

static void any_byte_is_a_sign_of_life(void **state) {
    static const char bytes[] = "\x81\x05[1,2]"; /* an event, a byte at a time */
    (void)state;
    make_bot(NULL);
    open_session_with_hello();
    for (size_t i = 0; i < sizeof bytes - 2; i++) {
        test_now_ms += 44000;
        server_expect(&slack, RTMI_WS_PING, "");
        assert_int_equal(rtm_timeout_ms(bot), 7500);
        server_send_bytes(&slack, bytes + i, 1);
        WAIT_FOR(rtm_timeout_ms(bot) == 30000);
        assert_true(rtm_is_connected(bot));
    }
    no_event();
}

static void no_ping_at_all_when_the_interval_is_minus_one(void **state) {
    rtm_config config = usual_config();
    (void)state;
    config.ping_interval_ms = -1;
    make_bot(&config);
    open_session_with_hello();
    assert_int_equal(rtm_timeout_ms(bot), -1);
    test_now_ms += 1000000000;
    no_event();
    assert_true(rtm_is_connected(bot));
    assert_int_equal((server_fill(&slack), slack.in_size), 0);
}

static void a_late_rtm_poll_still_answers_a_ping(void **state) {
    (void)state;
    make_bot(NULL);
    open_session_with_hello();
    test_now_ms += 60000; /* the program was busy, or the machine suspended: not a fault of Slack */
    server_expect(&slack, RTMI_WS_PING, "");
    assert_true(rtm_is_connected(bot));
    server_send_frame(&slack, RTMI_WS_PONG, FIN, "", 0);
    no_event();
    assert_true(rtm_is_connected(bot));
}

static void take_a_minute(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client;
    (void)event;
    (void)user_data;
    test_now_ms += 60000;
}

static void a_slow_callback_is_no_silence(void **state) {
    (void)state;
    make_bot(NULL);
    rtm_on(bot, "message", take_a_minute, NULL);
    open_session_with_hello();
    server_send_text(&slack, "{\"type\":\"message\"}");
    next_event("message");
    no_event();
    assert_true(rtm_is_connected(bot));
}

static void send_hello(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client;
    (void)event;
    (void)user_data;
    server_send_text(&slack, "{\"type\":\"hello\"}");
}

static void a_slow_callback_of_open_is_no_silence(void **state) {
    (void)state;
    make_bot(NULL);
    rtm_on(bot, "open", send_hello, NULL); /* it is in the socket when the callback returns */
    rtm_on(bot, "open", take_a_minute, NULL);
    open_session();
    next_event("hello");
    no_event();
    assert_true(rtm_is_connected(bot));
}

/* Secrets -------------------------------------------------------------------------------------- */

/* A CLOSE frame has room for 123 bytes of it, and the server may cut it anywhere. */
static void a_token_cut_by_the_end_of_a_reason_is_tamed(void **state) {
    (void)state;
    for (size_t part = 0; part <= strlen(TOKEN); part++) {
        char payload[125] = "\x03\xe8", expected[124] = "";
        reach(RTM_STATE_OPEN);
        memset(payload + 2, '.', 123);
        memcpy(payload + 125 - part, TOKEN, part);
        server_send_frame(&slack, RTMI_WS_CLOSE, FIN, payload, sizeof payload);
        record *event = next_event("close");
        memset(expected, '.', 123 - part);
        assert_memory_equal(event->reason, expected, 123 - part);
        assert_null(strstr(event->reason, "1234567"));
        assert_null(strstr(event->reason, "SecretS"));
        if (part == strlen(TOKEN))
            assert_string_equal(event->reason + 123 - part, "xoxb-?-?");
        end_bot();
    }
}

static void secrets_that_a_server_echoes_are_not_shown(void **state) {
    static const char *const headers[] = { "Cookie: " COOKIE, "X-Key: " TOKEN_PART,
                                           "X-Tab: a\tTabSecret", NULL };
    static const char *const bodies[] = {
        "{\"ok\":false,\"error\":\"" TOKEN "\"}",
        "{\"ok\":false,\"error\":\"\\u0078oxb-1234567890-SecretSecretSecret\"}",
        "{\"ok\":false,\"error\":\"a" COOKIE "b\"}",
        "{\"ok\":false,\"error\":\"a\\tTabSecret\"}",
        "{\"ok\":false,\"error\":\"TabSecret\"}",
        "{\"ok\":false,\"error\":\"line\\r\\nbreak\"}",
        "{\"ok\":true,\"url\":\"ws://" TOKEN "/\"}",
        "{\"ok\":true,\"url\":\"" TOKEN "\"}",
    };
    rtm_config config = usual_config();
    request got;
    (void)state;
    config.headers = headers;
    make_bot(&config);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        take_call(&got);
        server_answer(&slack, "200 " TOKEN, "Connection: close\r\n", bodies[i]);
        if (strstr(bodies[i], "ws://")) server_resolve_error = EAI_NONAME;
        next_event("error");
        server_resolve_error = 0;
        test_now_ms += 400000;
    }
    open_session();
    assert_int_equal(rtm_send_message(bot, "C", "x"), 1);
    server_send_text(&slack, "{\"ok\":false,\"reply_to\":1,\"error\":{\"msg\":\"" TOKEN "\"}}");
    next_error(RTM_E_SLACK);
    server_send_close(&slack, 4000, TOKEN);
    next_event("close");
    assert_true(shown_lines > 20);
    assert_null(strstr(shown, "TabSecret"));
}

static void a_truncated_secret_is_not_shown_either(void **state) {
    char body[400], pad[200];
    (void)state;
    make_bot(NULL);
    for (size_t i = 20; i < 64; i++) {
        request got;
        memset(pad, 'x', i);
        pad[i] = '\0';
        take_call(&got);
        snprintf(body, sizeof body, "{\"ok\":false,\"error\":\"%s" TOKEN "\"}", pad);
        server_answer(&slack, "200 OK", "Connection: close\r\n", body);
        next_error(RTM_E_SLACK);
        test_now_ms += 400000;
    }
    open_session();
    for (size_t i = 60; i < 130; i++) {
        memset(pad, 'x', i);
        pad[i] = '\0';
        int id = rtm_send_message(bot, "C", "x");
        snprintf(body, sizeof body,
                 "{\"ok\":false,\"reply_to\":%d,\"error\":{\"msg\":\"%s" TOKEN "\"}}", id, pad);
        server_send_text(&slack, body);
        next_error(RTM_E_SLACK);
    }
}

/* Last, because the program ends if this overflows an int. */
static void the_largest_id_leads_to_no_overflow(void **state) {
    (void)state;
    reach(RTM_STATE_OPEN);
    assert_int_equal(rtm_send(bot, "{\"id\":2147483647}"), 2147483647);
    for (int i = 0; i < 2; i++) {
        int id = i ? rtm_send(bot, "{}") : rtm_send_ping(bot);
        assert_true(id > 0 || (id < 0 && id >= RTM_E_UNACKNOWLEDGED));
    }
}

static void every_transition_of_the_diagram_has_happened_by_now(void **state) {
    rtm_config config = usual_config();
    (void)state;
    config.no_auto_reconnect = true;
    make_bot(&config);
    open_session_silently();
    server_close(&slack);
    WAIT_FOR(rtm_get_state(bot) == RTM_STATE_FINISHED);
    for (size_t i = 0; state_transitions[i]; i++)
        if (!transitions_seen[i]) fail_msg("%s never happened", state_transitions[i]);
}

static const struct CMUnitTest tests[] = {
    TEST(create_opens_no_connection),
    TEST(without_a_descriptor_there_is_no_client),
    TEST(everything_in_the_config_is_copied),
    TEST(a_null_client_is_an_argument_error),
    TEST(every_result_has_its_own_description),
    TEST(open_carries_the_whole_connect_response),
    TEST(the_data_of_open_can_be_looked_into_whatever_its_size),
    TEST(upgrade_request_is_complete_and_has_no_token),
    TEST(connect_request_has_the_token_only_in_the_header),
    TEST(frames_in_the_same_segment_as_the_101_are_delivered),
    TEST(base_url_needs_no_slash_at_its_end),
    TEST(each_state_says_what_to_wait_for),
    TEST(poll_never_waits_longer_than_it_may),
    TEST(poll_of_an_idle_client_waits_no_longer_than_it_may),
    TEST(poll_returns_when_a_signal_arrives),
    TEST(poll_counts_the_events_that_callbacks_ran_for),
    TEST(destroy_in_each_state_leaks_nothing),
    TEST(no_freed_memory_holds_the_token),
    TEST(the_request_and_response_that_opened_a_session_are_freed),
    TEST(destroy_sends_close),
    TEST(poll_connect_and_run_are_busy_in_callbacks),
    TEST(stop_sends_close_1000_and_waits_for_the_answer),
    TEST(after_a_stop_the_message_is_about_the_stop),
    TEST(stop_waits_a_second_at_most),
    TEST(stop_also_ends_with_a_fin_or_reset_or_invalid_data),
    TEST(stop_in_each_state_finishes_without_an_event),
    TEST(after_stop_only_close_and_error_callbacks_run),
    TEST(stop_in_a_callback_of_any_type_ends_the_client),
    TEST(stop_after_goodbye_does_not_spin),
    TEST(acknowledgements_received_while_closing_are_delivered),
    TEST(functions_after_stop_say_so),
    TEST(connect_of_a_session_given_up_begins_another),
    TEST(connect_returns_when_a_session_is_open),
    TEST(connect_says_why_the_attempt_failed_and_can_be_called_again),
    TEST(connect_of_a_stopped_client_is_stopped),
    TEST(run_stops_on_a_signal_and_restores_the_handlers),
    TEST(run_with_no_signals_keeps_the_old_handlers),
    TEST(run_with_no_signals_installs_no_handler),
    TEST(run_leaves_ignored_signals_ignored),
    TEST(a_stop_at_any_point_is_no_failure),
    TEST(run_returns_what_ended_the_client),
    TEST(sockets_are_closed_on_exec_from_the_start),
    TEST(descriptor_0_is_a_valid_descriptor),
    TEST(a_slow_lookup_costs_the_attempt_nothing),
    TEST(a_slow_lookup_that_fails_is_named),
    UNRESPONSIVE(a_timeout_names_the_phase),
    TEST(handlers_run_in_the_order_registered),
    TEST(handlers_are_compared_by_type_callback_and_user),
    TEST(bad_handlers_are_refused),
    TEST(handlers_can_be_removed_in_callbacks),
    TEST(handlers_added_in_a_callback_receive_the_next_event),
    TEST(a_handler_removed_and_added_again_receives_the_next_event),
    TEST(handlers_belong_to_one_client),
    TEST(the_table_in_the_config_comes_first),
    TEST(events_without_a_usable_type_are_unknown),
    TEST(an_event_has_its_data_whole),
    TEST(invalid_json_is_an_error_and_the_session_lives),
    TEST(deep_nesting_is_refused_and_the_session_lives),
    TEST(a_binary_message_is_reported_and_the_session_lives),
    TEST(a_message_over_the_limit_is_skipped_and_reported),
    TEST(a_flood_of_errors_is_reported_once_a_second_with_its_number),
    TEST(deferred_errors_are_reported_before_the_session_ends),
    TEST(skipped_messages_of_all_kinds_share_one_report),
    TEST(events_arrive_in_any_chunking),
    TEST(broken_frames_end_the_session_with_their_code),
    TEST(a_flood_does_not_keep_rtm_poll_from_returning),
    TEST(no_flood_makes_a_poll_read_more_than_256_kib),
    TEST(endless_interim_responses_end_the_attempt),
    TEST(a_stop_in_a_flood_is_seen_and_costs_no_more),
    TEST(events_and_answers_cost_no_allocation),
    TEST(a_minute_after_a_huge_event_its_memory_is_given_back),
    TEST(an_event_over_16_kib_keeps_the_memory_for_another_minute),
    TEST(ids_count_up_from_one),
    TEST(ids_are_added_if_they_are_missing),
    TEST(ids_after_the_largest_are_different),
    TEST(strings_are_escaped_and_read_back_the_same),
    TEST(only_json_objects_are_sent),
    TEST(missing_strings_are_argument_errors_with_a_message),
    TEST(a_message_may_have_16384_bytes_and_no_more),
    TEST(nothing_is_sent_without_a_session),
    TEST(rtm_fd_is_readable_when_a_full_socket_accepts_more),
    TEST(an_edge_of_rtm_fd_reports_the_end_after_an_event),
    TEST(a_full_send_buffer_accepts_nothing_and_loses_nothing),
    TEST(answers_are_matched_and_refusals_are_errors),
    TEST(a_refusal_of_an_unknown_message_is_no_error),
    TEST(only_messages_and_pings_expect_an_answer),
    TEST(a_late_answer_is_not_reported_again),
    TEST(one_message_that_is_never_answered_uses_one_place),
    TEST(after_1024_unacknowledged_messages_there_is_no_room),
    TEST(an_answer_received_before_a_drop_counts),
    TEST(an_event_before_a_broken_send_is_delivered),
    TEST(many_events_before_a_broken_send_are_delivered),
    TEST(a_failed_send_ends_the_session),
    TEST(a_refused_message_keeps_no_memory),
    TEST(the_first_skipped_message_is_reported_before_the_next_event),
    TEST(an_accessor_without_memory_is_reported),
    TEST(sends_are_possible_in_callbacks),
    TEST(a_ping_is_answered_before_the_next_event_is_dispatched),
    TEST(a_pong_has_the_payload_of_its_ping),
    TEST(a_ping_before_close_is_answered_before_it),
    TEST(each_ping_gets_its_own_pong),
    TEST(of_pings_beyond_1024_bytes_of_pongs_the_last_is_answered),
    TEST(pongs_leave_before_the_next_callback),
    TEST(silence_is_answered_with_two_pings_and_then_the_end),
    TEST(the_first_ping_unanswered_counts),
    TEST(any_byte_is_a_sign_of_life),
    TEST(no_ping_at_all_when_the_interval_is_minus_one),
    TEST(a_late_rtm_poll_still_answers_a_ping),
    TEST(a_slow_callback_is_no_silence),
    TEST(a_slow_callback_of_open_is_no_silence),
    TEST(a_token_cut_by_the_end_of_a_reason_is_tamed),
    TEST(secrets_that_a_server_echoes_are_not_shown),
    TEST(a_truncated_secret_is_not_shown_either),
    TEST(the_largest_id_leads_to_no_overflow),
    TEST(every_transition_of_the_diagram_has_happened_by_now), /* the last */
};

int main(void) {
    return cmocka_run_group_tests(tests, NULL, NULL);
}
