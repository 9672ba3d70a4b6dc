/* Time and order: when timeouts are checked, what is sent before which callback, and how long a
   client waits. Each test is a rule of the manual with a fake clock. A slow callback advances the
   clock; the server may send and answer meanwhile. */
#include "server.h"

static bool app;      /* Socket Mode */
static server second; /* the session alongside that of `slack` */
static request got;
static frame sent;

static long long callback_ms; /* how long a slow callback takes */
static int called;            /* how often it was called */

/* Helpers -------------------------------------------------------------------------------------- */

static int begin_order(void **state) {
    app = false;
    callback_ms = called = 0;
    memset(&second, 0, sizeof second);
    second.fd = second.listener = -1;
    return begin_test(state);
}

static int end_order(void **state) {
    if (bot) end_bot();
    server_free(&second);
    return end_test(state);
}

/* Ends the client, so that the test can begin with another. */
static void next_life(void) {
    end_bot();
    server_close(&second);
    server_close(&slack);
    received_count = received_next = called = 0;
}

static void settle(void) {
    for (int i = 0; i < 20; i++) server_round(i);
}

/* Reads the frames that have arrived at the server. */
static int count_frames(server *s, int opcode) {
    int count = 0;
    while (server_try_frame(s, &sent)) count += sent.opcode == opcode;
    return count;
}

static void answer_pings(server *s) {
    while (server_try_frame(s, &sent))
        if (sent.opcode == RTMI_WS_PING)
            server_send_frame(s, RTMI_WS_PONG, FIN, sent.payload, sent.size);
}

static void count(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client;
    (void)event;
    (void)user_data;
    called++;
    test_now_ms += callback_ms;
}

/* While it is called, the server answers PINGs. */
static void slow(rtm_client *client, const rtm_event *event, void *user_data) {
    count(client, event, user_data);
    if (slack.fd >= 0) answer_pings(&slack);
    if (second.fd >= 0) answer_pings(&second);
}

static void hello_from(server *s) {
    server_send_text(s, "{\"type\":\"hello\",\"num_connections\":1}");
    next_event("hello");
}

static rtm_config config_of(bool socket_mode) {
    app = socket_mode;
    return socket_mode ? app_config() : usual_config();
}

/* An open session that has received "hello". */
static void begin_with(const rtm_config *config) {
    make_bot(config);
    if (second.listener < 0) server_share(&second, &slack);
    open_session();
    hello_from(&slack);
}

static void begin(bool socket_mode) {
    rtm_config config = config_of(socket_mode);
    begin_with(&config);
}

static void send_refresh(server *s) {
    server_send_text(s, app ? "{\"type\":\"disconnect\",\"reason\":\"refresh_requested\"}"
                            : "{\"type\":\"goodbye\"}");
    if (app) settle();
    else next_event("goodbye");
}

/* A second session is open; it has not received "hello". */
static void begin_second(void) {
    test_now_ms += 40000;
    server_send_frame(&slack, RTMI_WS_PING, FIN, "", 0);
    settle();
    send_refresh(&slack);
    test_now_ms += 1000;
    take_upgrade_on(&second, &got);
    server_answer_upgrade(&second, &got);
    settle();
}

static void send_command(server *s, int n) {
    char id[16];
    snprintf(id, sizeof id, "C%d", n);
    server_send_envelope(s, id, "slash_commands",
                         "\"accepts_response_payload\":true,\"payload\":{\"command\":\"/a\"}");
}

static void send_event(server *s, int n) {
    char id[16], members[200];
    snprintf(id, sizeof id, "E%d", n);
    snprintf(members, sizeof members, "\"accepts_response_payload\":false,\"payload\":{"
             "\"event_id\":\"Ev%d\",\"event\":{\"type\":\"message\",\"n\":%d}}", n, n);
    server_send_envelope(s, id, "events_api", members);
}

/* RTM: an event with a time stamp. */
static void send_message(server *s, int n) {
    char text[100];
    snprintf(text, sizeof text, "{\"type\":\"message\",\"ts\":\"1700000000.%06d\",\"n\":%d}", n, n);
    server_send_text(s, text);
}

/* Counts the recorded events of this type; marks all recorded events as seen. */
static int count_events(const char *type) {
    int count = 0;
    settle();
    for (; received_next < received_count; received_next++)
        count += !strcmp(received[received_next].type, type);
    return count;
}

/* The next event of this type; events of other types before it are skipped. */
static record *skip_to(const char *type) {
    for (;;) {
        WAIT_FOR(received_count > received_next);
        record *next = &received[received_next++];
        if (!strcmp(next->type, type)) return next;
    }
}

/* Rule 1: nothing is too late on old knowledge ------------------------------------------------- */

static void a_pong_that_waits_in_the_socket_is_a_sign_of_life(void **state) {
    rtm_config config = config_of(true);
    (void)state;
    config.ping_interval_ms = 5000;
    begin_with(&config);
    rtm_on(bot, "message", slow, NULL);
    callback_ms = 3000;
    for (int i = 0; i < 20; i++) send_event(&slack, i);
    WAIT_FOR(called == 20);
    assert_int_equal(count_events("message"), 20);
    assert_true(rtm_is_connected(bot));
}

/* Answers the Web API call after 18 s. */
static int answer_late(int timeout_ms) {
    (void)timeout_ms;
    server_try_accept(&second);
    if (second.fd < 0 || !server_try_request(&second, &got)) return 0;
    test_now_ms += 18000;
    answer_pings(&slack);
    server_answer(&second, "200 OK", "", "{\"ok\":true}");
    return 0;
}

static void call_in_callback(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event;
    (void)user_data;
    assert_int_equal(rtm_call(client, NULL, "auth.test", NULL), RTM_OK);
    called++;
}

static void a_blocking_call_of_18_seconds_is_no_silence(void **state) {
    rtm_config config = config_of(true);
    (void)state;
    config.ping_interval_ms = 5000;
    begin_with(&config);
    rtm_on(bot, "message", call_in_callback, NULL);
    server_idle = answer_late;
    for (int i = 0; i < 5; i++) send_event(&slack, i);
    WAIT_FOR(called == 5);
    assert_int_equal(count_events("message"), 5);
    assert_true(rtm_is_connected(bot));
}

static void a_callback_of_the_first_session_is_no_silence_of_the_second(void **state) {
    rtm_config config = config_of(false);
    (void)state;
    config.ping_interval_ms = 5000;
    config.timeout_ms = 600000; /* for its "hello" */
    begin_with(&config);
    rtm_on(bot, "message", slow, NULL);
    begin_second();
    test_now_ms += 5000;
    settle(); /* both sessions have sent a PING */
    callback_ms = 16000;
    send_message(&slack, 1);
    WAIT_FOR(called == 1);
    next_event("message");
    settle();
    server_fill(&second);
    assert_false(second.ended);
    no_event();
    hello_from(&second);
}

static int message_id;

static void acknowledgement_arrives(rtm_client *client, const rtm_event *event, void *user_data) {
    char text[64];
    (void)client;
    (void)event;
    (void)user_data;
    test_now_ms += callback_ms;
    snprintf(text, sizeof text, "{\"ok\":true,\"reply_to\":%d}", message_id);
    server_send_text(&slack, text);
}

static void an_acknowledgement_on_a_replaced_session_is_read_after_a_long_callback(void **state) {
    static const int durations[] = { 1000, 14000, 16000, 60000 };
    (void)state;
    for (size_t i = 0; i < COUNT(durations); i++) {
        begin(false);
        rtm_on(bot, "message", acknowledgement_arrives, NULL);
        begin_second();
        message_id = rtm_send_message(bot, "C1", "a");
        assert_true(message_id > 0);
        hello_from(&second);
        callback_ms = durations[i];
        send_message(&second, 1);
        next_event("message");
        assert_int_equal(next_event("Unknown")->id, message_id);
        server_send_close(&slack, 1000, "");
        no_event();
        next_life();
    }
}

static void (*in_callback)(void); /* what arrives during a callback */

static void long_callback(rtm_client *client, const rtm_event *event, void *user_data) {
    count(client, event, user_data);
    in_callback();
}

static void hello_arrives(void) {
    server_send_text(&second, "{\"type\":\"hello\",\"num_connections\":1}");
}

static void a_hello_that_arrives_during_a_callback_is_in_time(void **state) {
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        begin(mode);
        rtm_on(bot, "message", long_callback, NULL);
        begin_second();
        in_callback = hello_arrives;
        callback_ms = 40000; /* timeout_ms is 30 s */
        if (mode) send_event(&slack, 1);
        else send_message(&slack, 1);
        next_event("message");
        next_event("hello");
        no_event();
        next_life();
    }
}

static void a_ping_arrives(void) {
    server_send_frame(&second, RTMI_WS_PING, FIN, "", 0);
}

static void a_ping_that_arrives_during_a_callback_is_no_sign_of_a_zombie(void **state) {
    (void)state;
    begin(true);
    rtm_on(bot, "message", long_callback, NULL);
    begin_second();
    server_send_text(&second, "{\"type\":\"hello\",\"num_connections\":1}");
    for (int i = 0; i < 2; i++) a_ping_arrives();
    next_event("hello");
    in_callback = a_ping_arrives;
    callback_ms = 65000;
    send_event(&slack, 1); /* the draining session is read first */
    next_event("message");
    settle();
    assert_true(rtm_is_connected(bot));
    no_event();
}

/* Rule 2: before callbacks --------------------------------------------------------------------- */

static int frames_at_callback, awaited_opcode;

/* Counts the frames that the server has received when the first callback is called. */
static void look(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client;
    (void)event;
    (void)user_data;
    if (!called++) frames_at_callback = count_frames(&slack, awaited_opcode);
}

static void acknowledgements_leave_before_an_error_is_reported(void **state) {
    (void)state;
    begin(true);
    rtm_on(bot, "error", look, NULL);
    awaited_opcode = RTMI_WS_TEXT;
    for (int i = 0; i < 3; i++) send_event(&slack, i);
    server_send_text(&slack, "{\"type\":\"hello\",");
    WAIT_FOR(called);
    assert_int_equal(frames_at_callback, 3);
}

static void a_pong_leaves_before_an_error_is_reported(void **state) {
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        begin(mode);
        rtm_on(bot, "error", look, NULL);
        awaited_opcode = RTMI_WS_PONG;
        server_send_frame(&slack, RTMI_WS_PING, FIN, "a", 1);
        server_send_frame(&slack, 2, FIN, "binary", 6);
        WAIT_FOR(called);
        assert_int_equal(frames_at_callback, 1);
        next_life();
    }
}

static void acknowledgements_leave_before_callbacks_when_fin_follows(void **state) {
    (void)state;
    begin(true);
    rtm_on(bot, "message", look, NULL);
    awaited_opcode = RTMI_WS_TEXT;
    for (int i = 0; i < 3; i++) send_event(&slack, i);
    shutdown(slack.fd, SHUT_WR);
    WAIT_FOR(called == 3);
    assert_int_equal(frames_at_callback, 3);
}

/* Rule 3: handlers that are registered late ---------------------------------------------------- */

static void register_message(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event;
    (void)user_data;
    assert_int_equal(rtm_on(client, "message", count, NULL), RTM_OK);
}

static void a_handler_registered_in_hello_receives_the_next_event(void **state) {
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        rtm_handler handlers[] = { { "open", record_event, NULL },
                                   { "hello", register_message, NULL }, { NULL, NULL, NULL } };
        rtm_config config = config_of(mode);
        config.handlers = handlers;
        assert_int_equal(rtm_create(&config, &bot), RTM_OK);
        open_session();
        server_send_text(&slack, "{\"type\":\"hello\"}");
        if (mode) send_event(&slack, 1);
        else send_message(&slack, 1);
        settle();
        assert_int_equal(called, 1);
        if (mode) server_expect_ack(&slack, "E1");
        next_life();
    }
}

/* Rule 4: slices ------------------------------------------------------------------------------- */

static long long longest_poll;

/* For server_drive: measures how long the callbacks of one rtm_poll take. */
static void timed_poll(void) {
    long long before = test_now_ms;
    rtm_poll(bot, 0);
    if (test_now_ms - before > longest_poll) longest_poll = test_now_ms - before;
}

static void backlog_in_slices(server *s) {
    longest_poll = 0;
    callback_ms = 20;
    for (int i = 0; i < 300; i++) send_event(s, i);
}

static void events_of_an_ended_session_are_delivered_in_slices(void **state) {
    (void)state;
    begin(true);
    test_now_ms += 31000;
    rtm_on(bot, "message", count, NULL);
    backlog_in_slices(&slack);
    server_drive = timed_poll;
    server_send_close(&slack, 1001, "");
    WAIT_FOR(called);
    while (called < 300) {
        for (; received_next < received_count; received_next++)
            assert_string_equal(received[received_next].type, "message");
        assert_false(rtm_is_connected(bot) && slack.ended);
        timed_poll();
        server_fill(&slack);
    }
    int at_end = received_count;
    record *closed = skip_to("close");
    server_drive = NULL;
    assert_true(longest_poll < 50 + 20 + 1);
    assert_true(closed - received >= at_end - 1);
    assert_int_equal(closed->retry_ms, 0); /* the wait began when the connection ended */
    server_close(&slack);
    open_session();
}

static void the_state_is_backoff_while_events_of_an_ended_session_wait(void **state) {
    (void)state;
    begin(true);
    rtm_on(bot, "message", count, NULL);
    backlog_in_slices(&slack);
    server_send_close(&slack, 1001, "");
    WAIT_FOR(called > 2);
    WAIT_FOR(rtm_get_state(bot) != RTM_STATE_OPEN);
    assert_in_range(called, 1, 299);
    assert_int_equal(rtm_get_state(bot), RTM_STATE_BACKOFF);
    while (called < 300) {
        assert_int_equal(rtm_get_state(bot), RTM_STATE_BACKOFF);
        assert_int_equal(rtm_timeout_ms(bot), 0);
        rtm_poll(bot, 0);
    }
    skip_to("close");
}

static void a_session_is_acknowledged_while_an_ended_one_is_delivered(void **state) {
    (void)state;
    begin(true);
    rtm_on(bot, "message", count, NULL);
    begin_second();
    hello_from(&second);
    backlog_in_slices(&slack);
    server_drive = timed_poll;
    server_send_close(&slack, 1000, "");
    WAIT_FOR(called);
    send_event(&second, 1000);
    for (int i = 0; i < 5 && called < 250; i++) timed_poll();
    server_fill(&second);
    assert_true(server_try_frame(&second, &sent));
    assert_non_null(strstr(sent.payload, "E1000"));
    assert_true(called < 300);
    WAIT_FOR(called == 301);
    server_drive = NULL;
    assert_true(longest_poll < 50 + 20 + 1);
}

static void the_end_of_a_replaced_session_leaves_the_backlog_of_the_new_in_slices(void **state) {
    (void)state;
    begin(true);
    rtm_on(bot, "message", count, NULL);
    begin_second();
    hello_from(&second);
    backlog_in_slices(&second);
    server_send_close(&slack, 1000, "");
    server_drive = timed_poll;
    WAIT_FOR(called == 300);
    server_drive = NULL;
    assert_true(longest_poll < 50 + 20 + 1);
}

/* Rule 5: back-pressure ------------------------------------------------------------------------ */

static int refused, accepted, late_replies;
static char large_reply[10100];

static void reply(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)user_data;
    called++;
    test_now_ms += callback_ms;
    rtm_result result = rtm_reply(client, event, large_reply);
    if (result == RTM_OK) accepted++;
    else if (result == RTM_E_NOT_CONNECTED) late_replies++;
    else refused++;
}

static void begin_replies(size_t size) {
    refused = accepted = late_replies = 0;
    snprintf(large_reply, sizeof large_reply, "{\"text\":\"%0*d\"}", (int)size, 0);
    rtm_on(bot, "slash_commands", reply, NULL);
}

static void no_reply_is_refused_while_the_socket_is_congested(void **state) {
    (void)state;
    for (int sessions = 1; sessions <= 3; sessions++) { /* 3: the second has taken over */
        begin(true);
        if (sessions > 1) begin_second();
        if (sessions > 2) hello_from(&second);
        begin_replies(10000);
        server *s = sessions == 1 ? &slack : sessions == 2 ? &slack : &second;
        for (int i = 0; i < 900; i++) send_command(s, i);
        settle();
        int replies = 0;
        WAIT_FOR((replies += count_frames(s, RTMI_WS_TEXT)) >= 900);
        settle();
        assert_int_equal(refused, 0);
        assert_int_equal(accepted, 900);
        next_life();
    }
}

static void a_close_that_waits_in_the_socket_is_read_after_the_second_is_over(void **state) {
    char text[64];
    (void)state;
    begin(false);
    int id = rtm_send_message(bot, "C1", "a");
    assert_true(id > 0);
    rtm_stop(bot);
    settle();
    snprintf(text, sizeof text, "{\"ok\":true,\"reply_to\":%d}", id);
    server_send_text(&slack, text);
    server_send_close(&slack, 1000, "bye");
    test_now_ms += 5000;
    assert_int_equal(next_event("Unknown")->id, id);
    record *closed = next_event("close");
    assert_int_equal(closed->code, 1000);
    assert_string_equal(closed->reason, "bye");
}

static void silence_does_not_count_while_the_client_does_not_read(void **state) {
    (void)state;
    begin(true);
    begin_replies(10000);
    for (int i = 0; i < 900; i++) send_command(&slack, i);
    settle();
    assert_in_range(called, 1, 899); /* the socket is congested */
    for (int i = 0; i < 20; i++) {
        test_now_ms += 10000;
        settle();
        assert_true(rtm_is_connected(bot));
    }
    int replies = 0;
    WAIT_FOR((replies += count_frames(&slack, RTMI_WS_TEXT)) >= 900);
    assert_int_equal(refused, 0);
    assert_true(rtm_is_connected(bot));
}

static void a_reply_on_a_replaced_session_counts_until_the_close(void **state) {
    (void)state;
    begin(true);
    begin_second();
    hello_from(&second);
    begin_replies(10);
    callback_ms = 2000;
    for (int i = 0; i < 20; i++) send_command(&slack, i);
    WAIT_FOR(called == 20);
    settle();
    int replies = 0;
    bool closed = false;
    server_fill(&slack);
    while (server_try_frame(&slack, &sent)) {
        closed = closed || sent.opcode == RTMI_WS_CLOSE;
        replies += !closed && strstr(sent.payload, "\"payload\"");
    }
    assert_true(replies > 0);
    assert_int_equal(accepted, replies);
    assert_int_equal(refused, 0);
}

/* Rule 6: the first cause of an end ------------------------------------------------------------ */

static char last_detail[256];

static void keep_detail(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event;
    (void)user_data;
    snprintf(last_detail, sizeof last_detail, "%s", rtm_error_detail(client));
}

static void a_close_does_not_hide_the_disconnect_before_it(void **state) {
    static const struct { const char *reason; int lo; } rows[] = {
        { "link_disabled", 300000 }, { "too_many_websockets", 1000 } };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int fin = 0; fin < 2; fin++) {
            char text[100];
            begin(true);
            test_now_ms += 31000;
            rtm_on(bot, "close", keep_detail, NULL);
            snprintf(text, sizeof text, "{\"type\":\"disconnect\",\"reason\":\"%s\"}",
                     rows[i].reason);
            server_send_text(&slack, text);
            server_send_close(&slack, 1000, "");
            if (fin) shutdown(slack.fd, SHUT_WR);
            record *failed = next_error(RTM_E_SLACK);
            assert_non_null(strstr(failed->detail, rows[i].reason));
            assert_in_range(failed->retry_ms, rows[i].lo, rows[i].lo + 999);
            record *closed = next_event("close");
            assert_int_equal(closed->result, RTM_E_SLACK);
            assert_int_equal(closed->code, 1000);
            assert_non_null(strstr(last_detail, rows[i].reason));
            next_life();
        }
}

static void link_disabled_is_waited_for_though_another_session_was_to_take_over(void **state) {
    (void)state;
    for (int connecting = 0; connecting < 2; connecting++) {
        begin(true);
        test_now_ms += 40000;
        server_send_frame(&slack, RTMI_WS_PING, FIN, "", 0);
        settle();
        send_refresh(&slack);
        if (connecting) {
            test_now_ms += 1000;
            take_call_on(&second, &got);
        }
        server_send_text(&slack, "{\"type\":\"disconnect\",\"reason\":\"link_disabled\"}");
        record *failed = next_error(RTM_E_SLACK);
        assert_non_null(strstr(failed->detail, "link_disabled"));
        record *closed = next_event("close");
        if (!connecting) {
            assert_in_range(closed->retry_ms, 299000, 301000);
            test_now_ms += 290000;
            no_event();
            assert_false(server_pending(&slack));
        }
        next_life();
    }
}

static void the_error_message_in_a_close_callback_is_about_that_close(void **state) {
    (void)state;
    begin(false);
    rtm_on(bot, "close", keep_detail, NULL);
    assert_int_equal(rtm_send(bot, "no JSON"), RTM_E_JSON);
    server_send_close(&slack, 1001, "");
    record *closed = next_event("close");
    assert_int_equal(closed->code, 1001);
    assert_non_null(strstr(last_detail, "1001"));
}

/* Rule 7: close and stop ----------------------------------------------------------------------- */

static void stop(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event;
    (void)user_data;
    rtm_stop(client);
}

static void a_handler_that_received_no_open_receives_no_close(void **state) {
    rtm_handler handlers[] = { { "*", count, NULL }, { "open", stop, NULL },
                               { "*", record_event, NULL }, { NULL, NULL, NULL } };
    rtm_config config = usual_config();
    (void)state;
    config.handlers = handlers;
    assert_int_equal(rtm_create(&config, &bot), RTM_OK);
    take_upgrade(&got);
    server_answer_upgrade(&slack, &got);
    WAIT_FOR(called == 1);
    server_expect_close(&slack, 1000);
    server_send_close(&slack, 1000, "");
    WAIT_FOR(rtm_get_state(bot) == RTM_STATE_FINISHED);
    int opens = 0, closes = 0;
    for (; received_next < received_count; received_next++) {
        opens += !strcmp(received[received_next].type, "open");
        closes += !strcmp(received[received_next].type, "close");
    }
    assert_int_equal(opens, closes);
    assert_int_equal(called, 2); /* `open` and `close` */
}

static void there_is_no_next_attempt_after_a_stop(void **state) {
    (void)state;
    begin(false);
    rtm_on(bot, "error", stop, NULL);
    test_now_ms += 1000;
    server_send_frame(&slack, 11, FIN, "", 0); /* a protocol error */
    WAIT_FOR(received_count > received_next);
    next_error(RTM_E_WEBSOCKET);
    assert_int_equal(next_event("close")->retry_ms, -1);
    WAIT_FOR(rtm_poll(bot, 0) == RTM_E_STOPPED);
}

static void an_acknowledgement_within_the_closing_second_is_delivered(void **state) {
    char text[64];
    (void)state;
    begin(false);
    int id = rtm_send_message(bot, "C1", "a");
    assert_true(id > 0);
    rtm_stop(bot);
    settle();
    server_read_frame(&slack, &sent);
    server_expect_close(&slack, 1000);
    test_now_ms += 500;
    snprintf(text, sizeof text, "{\"ok\":true,\"reply_to\":%d}", id);
    server_send_text(&slack, text);
    assert_int_equal(next_event("Unknown")->id, id);
    send_message(&slack, 1); /* any other event is not */
    server_send_close(&slack, 1000, "");
    next_event("close");
    no_event();
}

/* Rule 8: serial numbers ----------------------------------------------------------------------- */

static rtm_event kept_event;
static rtm_result kept_result;

static void reply_with_kept(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)user_data;
    if (!called++) kept_event = *event;
    else kept_result = rtm_reply(client, &kept_event, "{\"text\":\"for the first\"}");
}

static void an_event_kept_from_an_earlier_callback_replies_to_nothing(void **state) {
    (void)state;
    begin(true);
    rtm_on(bot, "slash_commands", reply_with_kept, NULL);
    send_command(&slack, 1);
    server_expect_ack(&slack, "C1");
    send_command(&slack, 2);
    server_expect_ack(&slack, "C2");
    assert_int_equal(called, 2);
    assert_int_equal(kept_result, RTM_E_BUSY);
}

static void a_repeated_command_that_waits_is_acknowledged_with_its_reply(void **state) {
    (void)state;
    begin(true);
    begin_replies(10);
    send_event(&slack, 1);
    send_command(&slack, 1);
    send_command(&slack, 1);
    settle();
    assert_int_equal(called, 1);
    assert_int_equal(refused, 0);
    server_expect_ack(&slack, "E1");
    int replies = 0;
    while (server_try_frame(&slack, &sent)) {
        assert_non_null(strstr(sent.payload, "\"payload\":{\"text\""));
        replies++;
    }
    assert_in_range(replies, 1, 2);
}

/* Rule 9: an RTM handover ---------------------------------------------------------------------- */

static void an_acknowledgement_on_the_new_session_counts(void **state) {
    char text[64];
    (void)state;
    begin(false);
    begin_second();
    int id = rtm_send_message(bot, "C1", "a");
    assert_true(id > 0);
    hello_from(&second);
    snprintf(text, sizeof text, "{\"ok\":true,\"reply_to\":%d}", id);
    server_send_text(&second, text);
    assert_int_equal(next_event("Unknown")->id, id);
    server_send_close(&slack, 1000, "");
    test_now_ms += 16000;
    no_event(); /* it is not reported as unacknowledged too */
}

static void a_message_acknowledged_after_the_end_of_its_session_is_reported_once(void **state) {
    char text[64];
    (void)state;
    begin(false);
    begin_second();
    int id = rtm_send_message(bot, "C1", "a");
    hello_from(&second);
    server_send_close(&slack, 1000, "");
    settle();
    server_close(&slack);
    snprintf(text, sizeof text, "{\"ok\":true,\"reply_to\":%d}", id);
    server_send_text(&second, text);
    test_now_ms += 16000;
    settle();
    int reports = 0;
    for (; received_next < received_count; received_next++)
        reports += received[received_next].id == id;
    assert_int_equal(reports, 1);
}

static void three_hundred_events_and_their_copies_are_delivered_once(void **state) {
    (void)state;
    begin(false);
    begin_second();
    for (int i = 0; i < 300; i++) send_message(&slack, i);
    assert_int_equal(count_events("message"), 300);
    hello_from(&second);
    for (int i = 0; i < 300; i++) send_message(&second, i);
    assert_int_equal(count_events("message"), 0);
}

static void a_copy_is_recognized_until_15_seconds_after_the_take_over(void **state) {
    (void)state;
    begin(false);
    begin_second();
    for (int i = 1; i < 4; i++) send_message(&slack, i);
    assert_int_equal(count_events("message"), 3);
    hello_from(&second);
    server_send_close(&slack, 1000, "");
    settle();
    server_close(&slack);
    test_now_ms += 1000;
    send_message(&second, 1);
    assert_int_equal(count_events("message"), 0);
    test_now_ms += 13900;
    send_message(&second, 2);
    send_message(&second, 4);
    assert_int_equal(count_events("message"), 1);
}

static void a_presence_that_returns_is_a_new_event(void **state) {
    static const char active[] = "{\"type\":\"presence_change\",\"presence\":\"active\"}",
                      away[] = "{\"type\":\"presence_change\",\"presence\":\"away\"}";
    (void)state;
    begin(false);
    begin_second();
    server_send_text(&slack, active);
    next_event("presence_change");
    hello_from(&second);
    server_send_text(&second, away);
    next_event("presence_change");
    server_send_text(&second, active);
    assert_non_null(strstr(next_event("presence_change")->data, "active"));
}

/* Rule 10: bounds ------------------------------------------------------------------------------ */

static void at_most_1024_messages_await_their_acknowledgement(void **state) {
    (void)state;
    begin(false);
    for (int i = 0; i < 1024; i++) {
        assert_true(rtm_send_message(bot, "C1", "a") > 0);
        if (i % 64 == 63) {
            rtm_poll(bot, 0);
            server_fill(&slack);
            slack.in_size = 0;
        }
    }
    assert_int_equal(rtm_send_message(bot, "C1", "a"), RTM_E_AGAIN);
    server_send_text(&slack, "{\"ok\":true,\"reply_to\":1}");
    next_event("Unknown");
    assert_true(rtm_send_message(bot, "C1", "a") > 0);
}

static void the_inbox_takes_four_messages_and_one_read(void **state) {
    static char members[60000];
    static char text[61000];
    (void)state;
    begin(true);
    rtm_on(bot, "message", count, NULL);
    callback_ms = 50;
    memset(members, 'a', sizeof members - 1);
    long before = test_bytes;
    test_most = test_bytes;
    for (int i = 0; i < 200; i++) {
        int size = snprintf(text, sizeof text, "{\"envelope_id\":\"E%d\",\"type\":\"events_api\","
                            "\"payload\":{\"event_id\":\"Ev%d\",\"event\":{\"type\":\"message\","
                            "\"text\":\"%s\"}}}", i, i, members);
        assert_in_range(size, 1, sizeof text - 1);
        server_send_text(&slack, text);
    }
    WAIT_FOR(called == 200);
    long limit = 5 * 1048576 + 2 * 262144; /* and the old buffer while it grows */
    if (test_most - before > 2 * limit || bot->session[0]->inbox.capacity > (size_t)limit)
        fail_msg("%ld bytes", test_most - before);
}

/* On 32-bit machines four times this number is 0. */
static void events_are_delivered_if_one_may_have_1_gib(void **state) {
    rtm_config config = config_of(true);
    (void)state;
    config.max_message_size = 1 << 30;
    begin_with(&config);
    send_event(&slack, 1);
    next_event("message");
    no_event();
    assert_true(rtm_timeout_ms(bot) > 0);
}

static void a_clock_below_zero_opens_a_session(void **state) {
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        test_now_ms = -5000000;
        begin(mode);
        test_now_ms += 31000;
        server_send_close(&slack, 1001, "");
        assert_in_range(next_event("close")->retry_ms, 0, 999);
        server_close(&slack);
        test_now_ms += 1000;
        open_session();
        hello_from(&slack);
        next_life();
    }
}

/* PINGs of the server -------------------------------------------------------------------------- */

static void ten_pings_are_answered_by_ten_pongs(void **state) {
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        char payload[32];
        begin(mode);
        for (int i = 0; i < 10; i++) {
            snprintf(payload, sizeof payload, "ping %d", i);
            server_send_frame(&slack, RTMI_WS_PING, FIN, payload, strlen(payload));
        }
        for (int i = 0; i < 10; i++) {
            snprintf(payload, sizeof payload, "ping %d", i);
            server_expect(&slack, RTMI_WS_PONG, payload);
        }
        next_life();
    }
}

static void pongs_leave_before_the_next_event(void **state) {
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        begin(mode);
        rtm_on(bot, "message", look, NULL);
        awaited_opcode = RTMI_WS_PONG;
        for (int i = 0; i < 3; i++) server_send_frame(&slack, RTMI_WS_PING, FIN, "a", 1);
        if (mode) send_event(&slack, 1);
        else send_message(&slack, 1);
        WAIT_FOR(called);
        assert_int_equal(frames_at_callback, 3);
        next_life();
    }
}

/* Waits before the next attempt ---------------------------------------------------------------- */

static void refuse_429(void) {
    take_call(&got);
    server_answer(&slack, "429 Slow", "Retry-After: 0\r\nConnection: close\r\n", "");
}

static void refuse_503(void) {
    take_call(&got);
    server_answer(&slack, "503 Busy", "Retry-After: 0\r\nConnection: close\r\n", "");
}

static void refuse_upgrade(void) {
    take_upgrade(&got);
    server_answer(&slack, "503 Busy", "Retry-After: 0\r\nConnection: close\r\n", "");
}

static void retry_after_0_does_not_shorten_the_backoff(void **state) {
    static void (*const refusals[])(void) = { refuse_429, refuse_503, refuse_upgrade };
    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        make_bot(NULL);
        for (int n = 0; n < 6; n++) {
            refusals[i]();
            int wait = next_event("error")->retry_ms;
            assert_in_range(wait, (1 << n) * 1000, (1 << n) * 1000 + 999);
            test_now_ms += wait;
        }
        next_life();
    }
}

static void retry_after_counts_whatever_the_body_is(void **state) {
    static char page[7296];
    static const char cut[] = "HTTP/1.1 429 Slow\r\nRetry-After: 70\r\n"
                              "Content-Length: 100\r\n\r\n{";
    (void)state;
    memset(page, 'a', sizeof page - 1);
    for (int row = 0; row < 4; row++) {
        rtm_config config = usual_config();
        config.max_message_size = 4096;
        make_bot(&config);
        take_call(&got);
        if (row == 0) server_answer(&slack, "429 Slow", "Retry-After: 70\r\n", page);
        if (row == 1) server_answer(&slack, "429 Slow", "Retry-After: 70\r\n", "no JSON");
        if (row >= 2) server_send(&slack, cut);
        if (row == 2) server_close(&slack);
        if (row == 3) {
            settle();
            server_reset(&slack);
        }
        record *failed = next_event("error");
        if (failed->result != RTM_E_RATE_LIMITED || failed->retry_ms < 70000 ||
            failed->retry_ms > 70999)
            fail_msg("row %d: %d, %d ms, %s", row, failed->result, failed->retry_ms,
                     failed->detail);
        next_life();
    }
}

static void a_larger_backoff_wins_over_retry_after(void **state) {
    (void)state;
    make_bot(NULL);
    for (int n = 0; n < 5; n++) {
        take_call(&got);
        server_answer(&slack, "503 Busy", "Retry-After: 3\r\nConnection: close\r\n", "");
        int wait = next_event("error")->retry_ms, own = 1000 << n;
        assert_in_range(wait, own > 3000 ? own : 3000, (own > 3000 ? own : 3000) + 999);
        test_now_ms += wait;
    }
}

static void the_jitter_after_a_session_that_lasted_is_below_100_ms(void **state) {
    (void)state;
    begin(false);
    for (int i = 0; i < 30; i++) {
        test_now_ms += 40000;
        server_send_close(&slack, 1001, "");
        int wait = next_event("close")->retry_ms;
        assert_in_range(wait, 0, 99);
        server_close(&slack);
        test_now_ms += wait;
        open_session();
        hello_from(&slack);
    }
}

static void a_session_lasted_if_it_ends_30_seconds_after_hello(void **state) {
    static const struct { int ms, lo, hi; } rows[] = {
        { 29999, 0, 99 }, { 29999, 2000, 2999 }, { 29999, 4000, 4999 }, { 30000, 0, 99 },
        { 1000, 0, 99 }, { 29999, 2000, 2999 },
    };
    (void)state;
    begin(false);
    for (size_t i = 0; i < COUNT(rows); i++) {
        test_now_ms += rows[i].ms;
        server_send_close(&slack, 1001, "");
        int wait = next_event("close")->retry_ms;
        if (wait < rows[i].lo || wait > rows[i].hi) fail_msg("row %zu: %d ms", i, wait);
        server_close(&slack);
        test_now_ms += wait;
        open_session();
        test_now_ms += 5000; /* which do not count: there was no "hello" */
        hello_from(&slack);
    }
}

static void a_session_without_hello_ends_as_a_failure(void **state) {
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        rtm_config config = config_of(mode);
        make_bot(&config);
        for (int n = 0; n < 4; n++) {
            open_session();
            for (int i = 0; i < 29; i++) {
                test_now_ms += 1000;
                server_send_frame(&slack, RTMI_WS_PING, FIN, "", 0);
                server_expect(&slack, RTMI_WS_PONG, "");
            }
            assert_true(rtm_is_connected(bot));
            test_now_ms += 1000;
            record *failed = next_error(RTM_E_TIMEOUT);
            assert_non_null(strstr(failed->detail, "hello"));
            record *closed = next_event("close");
            assert_in_range(closed->retry_ms, (1 << n) * 1000, (1 << n) * 1000 + 999);
            server_close(&slack);
            test_now_ms += closed->retry_ms;
        }
        end_bot();
    }
}

static void sessions_cut_before_hello_are_no_storm(void **state) {
    (void)state;
    make_bot(NULL);
    for (int n = 0; n < 6; n++) {
        open_session();
        test_now_ms += 11000;
        server_send_close(&slack, 1001, "");
        int wait = next_event("close")->retry_ms;
        assert_in_range(wait, (1 << n) * 1000, (1 << n) * 1000 + 999);
        server_close(&slack);
        test_now_ms += wait;
    }
}

/* Silence and zombies -------------------------------------------------------------------------- */

/* Returns after how many ms the silent session ends. */
static int silence(int step_ms) {
    long long began = test_now_ms;
    while (rtm_is_connected(bot) && test_now_ms - began < 600000) {
        test_now_ms += step_ms;
        settle();
    }
    return (int)(test_now_ms - began);
}

static void silence_ends_a_session(void **state) {
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        begin(mode);
        assert_int_equal(silence(500), mode ? 20000 : 45000);
        assert_int_equal(count_frames(&slack, RTMI_WS_PING), 2);
        next_error(RTM_E_TIMEOUT);
        next_event("close");
        next_life();
    }
}

/* Returns after how many ms a session ends whose server answers PINGs and sends none; a day at
   most. */
static int zombie(int gap_ms, int pings) {
    for (int i = 0; i < pings; i++) {
        for (int ms = 0; i && ms < gap_ms; ms += 5000) {
            test_now_ms += 5000;
            settle();
            answer_pings(&slack);
        }
        server_send_frame(&slack, RTMI_WS_PING, FIN, "", 0);
        server_expect(&slack, RTMI_WS_PONG, "");
    }
    long long began = test_now_ms;
    while (rtm_is_connected(bot) && test_now_ms - began < 1000000) {
        test_now_ms += 1000;
        rtm_poll(bot, 0);
        answer_pings(&slack);
        rtm_poll(bot, 0);
    }
    return (int)(test_now_ms - began);
}

static void a_server_that_only_answers_pings_is_a_zombie(void **state) {
    static const struct { int gap, pings, ping_interval, dead; bool app; } rows[] = {
        { 5000, 2, 0, 60000, true }, { 5000, 3, 0, 60000, true }, { 50000, 2, 0, 150000, true },
        { 5000, 1, 0, 1000000, true }, { 5000, 0, 0, 1000000, true },
        { 5000, 2, -1, 1000000, true }, { 5000, 2, 0, 1000000, false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        rtm_config config = config_of(rows[i].app);
        config.ping_interval_ms = rows[i].ping_interval;
        begin_with(&config);
        int dead = zombie(rows[i].gap, rows[i].pings);
        if (dead != rows[i].dead) fail_msg("row %zu: %d ms", i, dead);
        if (dead < 1000000) next_error(RTM_E_TIMEOUT);
        next_life();
    }
}

static void an_event_in_time_keeps_a_zombie_alive(void **state) {
    (void)state;
    begin(true);
    for (int i = 0; i < 2; i++) server_send_frame(&slack, RTMI_WS_PING, FIN, "", 0);
    settle();
    for (int i = 0; i < 10; i++) {
        for (int ms = 0; ms < 59000; ms += 1000) {
            test_now_ms += 1000;
            rtm_poll(bot, 0);
            answer_pings(&slack);
            rtm_poll(bot, 0);
        }
        send_event(&slack, i);
        next_event("message");
    }
}

/* Handover ------------------------------------------------------------------------------------- */

static void the_first_session_acknowledges_until_slack_closes_it(void **state) {
    (void)state;
    begin(true);
    begin_second();
    hello_from(&second);
    begin_replies(10);
    count_frames(&slack, RTMI_WS_TEXT);
    for (int i = 0; i < 14; i++) {
        test_now_ms += 1000;
        send_command(&slack, i);
        next_event("slash_commands");
        assert_int_equal(accepted, i + 1);
        server_read_frame(&slack, &sent);
        assert_non_null(strstr(sent.payload, "\"payload\""));
        send_event(&slack, i);
        next_event("message");
        server_read_frame(&slack, &sent);
        assert_int_equal(sent.opcode, RTMI_WS_TEXT);
    }
    server_send_close(&slack, 1000, "");
    server_ends(&slack);
    send_event(&second, 100);
    next_event("message");
    no_event();
}

static void the_first_session_is_closed_after_15_seconds(void **state) {
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        begin(mode);
        begin_second();
        count_frames(&slack, RTMI_WS_TEXT);
        hello_from(&second);
        for (int i = 0; i < 5; i++) {
            test_now_ms += i < 4 ? 3000 : 2999;
            server_send_frame(&slack, RTMI_WS_PING, FIN, "", 0);
            server_expect(&slack, RTMI_WS_PONG, "");
        }
        settle();
        assert_false(server_try_frame(&slack, &sent));
        test_now_ms += 1;
        server_expect_close(&slack, 1000);
        no_event();
        next_life();
    }
}

static void a_further_refresh_closes_the_draining_session(void **state) {
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        begin(mode);
        begin_second();
        count_frames(&slack, RTMI_WS_TEXT);
        hello_from(&second);
        test_now_ms += 3000;
        settle();
        assert_false(server_try_frame(&slack, &sent));
        send_refresh(&second);
        server_expect_close(&slack, 1000);
        server_send_close(&slack, 1000, "");
        server_ends(&slack);
        server_close(&slack);
        WAIT_FOR((test_now_ms += 10, server_pending(&slack)));
        take_upgrade(&got);
        server_answer_upgrade(&slack, &got);
        hello_from(&slack);
        no_event();
        next_life();
    }
}

static void a_refresh_every_3_seconds_is_without_a_gap(void **state) {
    (void)state;
    begin(true);
    begin_replies(10);
    test_now_ms += 40000;
    server_send_frame(&slack, RTMI_WS_PING, FIN, "", 0);
    settle();
    server *old = &slack, *new = &second;
    for (int i = 0, n = 0; i < 10; i++) {
        while (!server_pending(&slack)) {
            if (n % 6 == 0) send_refresh(old);
            test_now_ms += 500;
            send_event(old, n++);
            next_event("message");
            count_frames(old, RTMI_WS_TEXT);
            assert_true(rtm_is_connected(bot));
        }
        take_upgrade_on(new, &got);
        server_answer_upgrade(new, &got);
        hello_from(new);
        assert_true(rtm_is_connected(bot));
        send_command(old, i); /* which was on its way */
        next_event("slash_commands");
        server_read_frame(old, &sent);
        assert_non_null(strstr(sent.payload, "\"payload\""));
        server *s = old;
        old = new;
        new = s;
    }
    assert_int_equal(accepted, 10);
}

/* Duplicates and replies ----------------------------------------------------------------------- */

static void a_copy_of_the_512th_last_event_is_recognized(void **state) {
    (void)state;
    begin(true);
    for (int i = 0; i < 512; i++) {
        send_event(&slack, i);
        if (i % 50 == 49) settle();
        count_frames(&slack, RTMI_WS_TEXT);
    }
    assert_int_equal(count_events("message"), 512);
    for (int i = 0; i < 200; i++) send_event(&slack, i);
    assert_int_equal(count_events("message"), 0);
}

static void events_are_the_same_if_id_and_type_are(void **state) {
    static const struct { const char *id, *event_id, *type; bool delivered; } rows[] = {
        { "A", "\"Ev1\"", "message", true }, { "B", "\"Ev1\"", "message", false },
        { "C", "\"Ev1\"", "app_mention", true }, { "D", "\"Ev1\"", "app_mention", false },
        { "E", "null", "message", true }, { "F", "null", "message", true },
        { "G", "null", "message", true }, { "G", "null", "message", false },
        { "H", "7", "message", true }, { "I", "7", "message", true },
    };
    (void)state;
    begin(true);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char members[200];
        snprintf(members, sizeof members, "\"payload\":{\"event_id\":%s,\"event\":{\"type\":"
                 "\"%s\"}}", rows[i].event_id, rows[i].type);
        server_send_envelope(&slack, rows[i].id, "events_api", members);
        server_expect_ack(&slack, rows[i].id);
        int delivered = count_events(rows[i].type);
        if (delivered != rows[i].delivered) fail_msg("row %zu: %d", i, delivered);
    }
}

static size_t reply_size;
static rtm_result reply_result;

static void reply_with_size(rtm_client *client, const rtm_event *event, void *user_data) {
    static char json[30000];
    /* {"envelope_id":"C1","payload":{"text":"..."}} */
    size_t rest = strlen("{\"envelope_id\":\"C1\",\"payload\":{\"text\":\"\"}}");
    (void)user_data;
    snprintf(json, sizeof json, "{\"text\":\"%0*d\"}", (int)(reply_size - rest), 0);
    reply_result = rtm_reply(client, event, json);
}

static void a_reply_has_at_most_20479_bytes(void **state) {
    (void)state;
    for (reply_size = 20478; reply_size <= 20480; reply_size++) {
        begin(true);
        rtm_on(bot, "slash_commands", reply_with_size, NULL);
        send_command(&slack, 1);
        server_read_frame(&slack, &sent);
        bool fits = reply_size < 20480;
        assert_int_equal(reply_result, fits ? RTM_OK : RTM_E_TOO_BIG);
        if (fits) assert_int_equal(sent.size, reply_size);
        next_event("slash_commands");
        next_life();
    }
}

static void function_executed_is_acknowledged_after_its_callbacks(void **state) {
    (void)state;
    begin(true);
    rtm_on(bot, "function_executed", look, NULL);
    awaited_opcode = RTMI_WS_TEXT;
    server_send_envelope(&slack, "F1", "events_api", "\"accepts_response_payload\":false,"
                         "\"payload\":{\"event_id\":\"Ev1\",\"event\":{\"type\":"
                         "\"function_executed\",\"function_execution_id\":\"Fx1\"}}");
    next_event("function_executed");
    assert_int_equal(called, 1);
    assert_int_equal(frames_at_callback, 0);
    server_expect_ack(&slack, "F1");
}

#undef TEST
#define TEST(function) cmocka_unit_test_setup_teardown(function, begin_order, end_order)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_pong_that_waits_in_the_socket_is_a_sign_of_life),
        TEST(a_blocking_call_of_18_seconds_is_no_silence),
        TEST(a_callback_of_the_first_session_is_no_silence_of_the_second),
        TEST(an_acknowledgement_on_a_replaced_session_is_read_after_a_long_callback),
        TEST(a_hello_that_arrives_during_a_callback_is_in_time),
        TEST(a_ping_that_arrives_during_a_callback_is_no_sign_of_a_zombie),
        TEST(acknowledgements_leave_before_an_error_is_reported),
        TEST(a_pong_leaves_before_an_error_is_reported),
        TEST(acknowledgements_leave_before_callbacks_when_fin_follows),
        TEST(a_handler_registered_in_hello_receives_the_next_event),
        TEST(events_of_an_ended_session_are_delivered_in_slices),
        TEST(the_state_is_backoff_while_events_of_an_ended_session_wait),
        TEST(a_session_is_acknowledged_while_an_ended_one_is_delivered),
        TEST(the_end_of_a_replaced_session_leaves_the_backlog_of_the_new_in_slices),
        TEST(no_reply_is_refused_while_the_socket_is_congested),
        TEST(silence_does_not_count_while_the_client_does_not_read),
        TEST(a_close_that_waits_in_the_socket_is_read_after_the_second_is_over),
        TEST(a_reply_on_a_replaced_session_counts_until_the_close),
        TEST(a_close_does_not_hide_the_disconnect_before_it),
        TEST(link_disabled_is_waited_for_though_another_session_was_to_take_over),
        TEST(the_error_message_in_a_close_callback_is_about_that_close),
        TEST(a_handler_that_received_no_open_receives_no_close),
        TEST(there_is_no_next_attempt_after_a_stop),
        TEST(an_acknowledgement_within_the_closing_second_is_delivered),
        TEST(an_event_kept_from_an_earlier_callback_replies_to_nothing),
        TEST(a_repeated_command_that_waits_is_acknowledged_with_its_reply),
        TEST(an_acknowledgement_on_the_new_session_counts),
        TEST(a_message_acknowledged_after_the_end_of_its_session_is_reported_once),
        TEST(three_hundred_events_and_their_copies_are_delivered_once),
        TEST(a_copy_is_recognized_until_15_seconds_after_the_take_over),
        TEST(a_presence_that_returns_is_a_new_event),
        TEST(at_most_1024_messages_await_their_acknowledgement),
        TEST(the_inbox_takes_four_messages_and_one_read),
        TEST(events_are_delivered_if_one_may_have_1_gib),
        TEST(a_clock_below_zero_opens_a_session),
        TEST(ten_pings_are_answered_by_ten_pongs),
        TEST(pongs_leave_before_the_next_event),
        TEST(retry_after_0_does_not_shorten_the_backoff),
        TEST(retry_after_counts_whatever_the_body_is),
        TEST(a_larger_backoff_wins_over_retry_after),
        TEST(the_jitter_after_a_session_that_lasted_is_below_100_ms),
        TEST(a_session_lasted_if_it_ends_30_seconds_after_hello),
        TEST(a_session_without_hello_ends_as_a_failure),
        TEST(sessions_cut_before_hello_are_no_storm),
        TEST(silence_ends_a_session),
        TEST(a_server_that_only_answers_pings_is_a_zombie),
        TEST(an_event_in_time_keeps_a_zombie_alive),
        TEST(the_first_session_acknowledges_until_slack_closes_it),
        TEST(the_first_session_is_closed_after_15_seconds),
        TEST(a_further_refresh_closes_the_draining_session),
        TEST(a_refresh_every_3_seconds_is_without_a_gap),
        TEST(a_copy_of_the_512th_last_event_is_recognized),
        TEST(events_are_the_same_if_id_and_type_are),
        TEST(a_reply_has_at_most_20479_bytes),
        TEST(function_executed_is_acknowledged_after_its_callbacks)
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
