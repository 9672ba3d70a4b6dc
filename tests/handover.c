/* Handovers, in RTM and in Socket Mode: another session takes over from one that Slack will end. No
   event may be lost or delivered twice, and no open or close event is generated. Each test runs in
   both modes. */
#include "server.h"

/* The stages of a handover. */
enum stage { BEGUN, CONNECTING, UPGRADING, SECOND_OPEN, TAKEN_OVER, STAGES };

static bool app;      /* Socket Mode */
static server second; /* the second session; `slack` has the first */
static request got;   /* the last request of the second */

#define BOTH_MODES for (int mode_ = 0; mode_ < 2; mode_++, next_mode()) if (app = mode_, true)

static void next_mode(void) {
    end_bot();
    if (second.listener) server_free(&second);
    memset(&second, 0, sizeof second);
    second.fd = -1;
    server_close(&slack);
    received_count = received_next = 0;
}

static void make(void) {
    rtm_config config = app ? app_config() : usual_config();
    make_bot(&config);
    server_share(&second, &slack);
}

/* Opens a session and lets it last long enough for the next one to follow at once. */
static void open_first(void) {
    make();
    open_session_with_hello();
    pass_time(&slack, 30000);
}

static void say_goodbye(server *s) {
    if (!app) {
        server_send_text(s, "{\"type\":\"goodbye\"}");
        next_event("goodbye");
        return;
    }
    server_send_text(s, "{\"type\":\"disconnect\",\"reason\":\"warning\"}");
    for (int i = 0; i < 5; i++) server_round(i);
}

static void send_event(server *s, int n) {
    char id[16], members[200], text[64];
    snprintf(text, sizeof text, "{\"type\":\"message\",\"ts\":\"1.2\",\"n\":%d}", n);
    snprintf(id, sizeof id, "E%d", n);
    snprintf(members, sizeof members, "\"accepts_response_payload\":false,\"payload\":{"
             "\"event_id\":\"Ev%d\",\"event\":%s}", n, text);
    if (app) server_send_envelope(s, id, "events_api", members);
    else server_send_text(s, text);
}

/* Sends an event and checks that it is delivered. */
static void event_arrives(server *s, int n) {
    char text[64], id[16];
    send_event(s, n);
    snprintf(text, sizeof text, "{\"type\":\"message\",\"ts\":\"1.2\",\"n\":%d}", n);
    snprintf(id, sizeof id, "E%d", n);
    assert_string_equal(next_event("message")->data, text);
    if (app) server_expect_ack(s, id);
}

/* Answers the upgrade of the second session, which is then open, without "hello". */
static void open_second(void) {
    take_upgrade_on(&second, &got);
    server_answer_upgrade(&second, &got);
    for (int i = 0; i < 5; i++) server_round(i);
}

static void expect_silence(server *s) {
    for (int i = 0; i < 5; i++) server_round(i);
    server_fill(s);
    assert_int_equal(s->in_size, 0);
    assert_false(s->ended);
}

/* The second session receives "hello" and takes over. The first gets no CLOSE for that. */
static void take_over(server *first, server *next) {
    say_hello(next);
    expect_silence(first);
}

/* Slack closes the first session. */
static void close_first(server *first) {
    server_send_close(first, 1000, "");
    server_expect_close(first, 1000);
    server_ends(first);
}

/* Opens a first session, and brings a second one to this stage. */
static void reach_stage(enum stage stage) {
    open_first();
    say_goodbye(&slack);
    if (stage == BEGUN) return;
    test_now_ms += 1000;
    if (stage == CONNECTING) take_call_on(&second, &got);
    if (stage == UPGRADING) take_upgrade_on(&second, &got);
    if (stage >= SECOND_OPEN) open_second();
    if (stage == TAKEN_OVER) take_over(&slack, &second);
    assert_int_equal(rtm_get_state(bot), RTM_STATE_OPEN);
}

/* The second session is used, whether the first is still open or not. */
static void second_is_used(int n) {
    assert_true(rtm_is_connected(bot));
    event_arrives(&second, n);
    if (app) return;
    frame sent;
    int id = rtm_send_message(bot, "C1", "a");
    assert_true(id > 0);
    server_read_frame(&second, &sent);
    assert_non_null(strstr(sent.payload, "\"message\""));
    char answer[64];
    snprintf(answer, sizeof answer, "{\"ok\":true,\"reply_to\":%d}", id);
    server_send_text(&second, answer);
    assert_int_equal(next_event("Unknown")->id, id);
}

/* Taking over ---------------------------------------------------------------------------------- */

static void another_session_takes_over_without_open_or_close(void **state) {
    static const char *const texts[] = {
        "{\"type\":\"goodbye\"}",
        "{\"type\":\"disconnect\",\"reason\":\"warning\",\"debug_info\":{\"host\":\"a\"}}",
        "{\"type\":\"disconnect\",\"reason\":\"refresh_requested\"}",
        "{\"type\":\"disconnect\",\"reason\":\"brand_new_reason\"}",
        "{\"type\":\"disconnect\"}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        app = i > 0;
        open_first();
        server_send_text(&slack, texts[i]);
        if (!app) next_event("goodbye");
        no_event();
        event_arrives(&slack, 1);
        test_now_ms += 1000;
        open_second();
        no_event();
        event_arrives(&slack, 2); /* still the first */
        assert_true(rtm_is_connected(bot));
        take_over(&slack, &second);
        event_arrives(&second, 3);
        event_arrives(&slack, 4); /* still read, and acknowledged */
        close_first(&slack);
        second_is_used(5);
        no_event();
        assert_non_null(strstr(shown, "handover: "));
        next_mode();
    }
}

static void the_first_stays_open_for_15_s_at_most(void **state) {
    (void)state;
    BOTH_MODES {
        reach_stage(TAKEN_OVER);
        for (int i = 0; i < 2; i++) { /* with both alive */
            test_now_ms += 7500 - i;
            event_arrives(&slack, 2 * i + 1);
            event_arrives(&second, 2 * i + 2);
        }
        assert_int_equal(rtm_timeout_ms(bot), 1);
        expect_silence(&slack);
        test_now_ms++;
        server_expect_close(&slack, 1000);
        test_now_ms += 999;
        for (int i = 0; i < 5; i++) server_round(i);
        assert_false((server_fill(&slack), slack.ended));
        test_now_ms++;
        server_ends(&slack);
        second_is_used(5);
        no_event();
    }
}

/* The draining session is closed, and a third one takes over from the second. */
static void replace_draining(void) {
    server_expect_close(&slack, 1000);
    server_send_close(&slack, 1000, "");
    server_ends(&slack);
    server_close(&slack);
    test_now_ms += 1000;
    take_upgrade_on(&slack, &got);
    server_answer_upgrade(&slack, &got);
    take_over(&second, &slack);
}

static void a_new_handover_closes_the_draining_session_at_once(void **state) {
    (void)state;
    BOTH_MODES {
        reach_stage(TAKEN_OVER);
        say_goodbye(&second);
        replace_draining();
        event_arrives(&slack, 1);
        no_event();
    }
}

static void reply_slowly(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)user_data;
    test_now_ms += 60;
    assert_int_equal(rtm_reply(client, event, "{\"a\":1}"), RTM_OK);
}

/* Commands of the draining session that wait for their callbacks when Slack asks for the next
   handover: each reply is sent before CLOSE. */
static void a_new_handover_waits_for_the_replies_of_the_draining_session(void **state) {
    char text[64];
    (void)state;
    app = true;
    reach_stage(TAKEN_OVER);
    rtm_on(bot, "slash_commands", reply_slowly, NULL);
    for (int i = 0; i < 4; i++) {
        snprintf(text, sizeof text, "C%d", i);
        server_send_envelope(&slack, text, "slash_commands", "\"accepts_response_payload\":true,"
                             "\"payload\":{\"command\":\"/x\"}");
    }
    server_send_text(&second, "{\"type\":\"disconnect\",\"reason\":\"warning\"}");
    for (int i = 0; i < 4; i++) {
        snprintf(text, sizeof text, "{\"envelope_id\":\"C%d\",\"payload\":{\"a\":1}}", i);
        server_expect(&slack, RTMI_WS_TEXT, text);
        next_event("slash_commands");
    }
    replace_draining();
    next_mode();
}

static void sessions_take_over_one_after_the_other(void **state) {
    (void)state;
    BOTH_MODES {
        server *first = &slack, *next = &second;
        open_first();
        for (int i = 0; i < 10; i++) {
            say_goodbye(first);
            test_now_ms += 1000;
            take_upgrade_on(next, &got);
            server_answer_upgrade(next, &got);
            take_over(first, next);
            if (i & 1) { /* already, while the first is draining */
                say_goodbye(next);
                server_expect_close(first, 1000);
                server_send_close(first, 1000, "");
                server_ends(first);
            } else {
                close_first(first);
            }
            server_close(first);
            event_arrives(next, i);
            pass_time(next, i & 1 ? 10000 : 30000); /* an attempt that has begun takes 30 s */
            server *other = first;
            first = next;
            next = other;
            assert_int_equal(received_count, received_next);
        }
    }
}

static void a_goodbye_said_twice_begins_one_handover(void **state) {
    (void)state;
    BOTH_MODES {
        reach_stage(CONNECTING);
        say_goodbye(&slack);
        say_goodbye(&slack);
        test_now_ms += 2000;
        no_event();
        assert_false(server_pending(&slack));
        server_answer_connect(&second, "link?ticket=1&x=%2F");
        server_accept(&second);
        server_upgrade(&second, &got);
        take_over(&slack, &second);
        close_first(&slack);
        test_now_ms += 5000;
        no_event();
        assert_false(server_pending(&slack));
        second_is_used(1);
    }
}

static void the_second_attempt_waits_as_after_an_end(void **state) {
    static const struct { int lasted, lo, hi; } rows[] = {
        { 30000, 0, 99 }, { 1000, 0, 99 }, { 29999, 2000, 2999 }, { 1500, 4000, 4999 },
        { 30000, 0, 99 }, { 1500, 0, 99 },
    };
    (void)state;
    BOTH_MODES {
        server *first = &slack, *next = &second;
        make();
        open_session_with_hello();
        for (size_t i = 0; i < COUNT(rows); i++) {
            pass_time(first, rows[i].lasted);
            say_goodbye(first);
            int wait = rtm_timeout_ms(bot);
            if (wait < rows[i].lo || wait > rows[i].hi) fail_msg("row %zu: %d ms", i, wait);
            if (wait) {
                test_now_ms += wait - 1;
                no_event();
                assert_false(server_pending(&slack));
                test_now_ms++;
            }
            take_upgrade_on(next, &got);
            server_answer_upgrade(next, &got);
            take_over(first, next);
            close_first(first);
            server_close(first);
            server *other = first;
            first = next;
            next = other;
        }
    }
}

static void without_auto_reconnect_there_is_no_handover(void **state) {
    (void)state;
    BOTH_MODES {
        rtm_config config = app ? app_config() : usual_config();
        config.no_auto_reconnect = true;
        make_bot(&config);
        server_share(&second, &slack);
        open_session_with_hello();
        pass_time(&slack, 30000);
        if (app) server_send_text(&slack, "{\"type\":\"disconnect\",\"reason\":\"warning\"}");
        else server_send_text(&slack, "{\"type\":\"goodbye\"}");
        if (!app) next_event("goodbye");
        WAIT_FOR(rtm_poll(bot, 0) < 0);
        while (received_next < received_count && strcmp(received[received_next].type, "close"))
            received_next++;
        record *closed = next_event("close");
        assert_int_equal(closed->retry_ms, -1);
        assert_int_equal(closed->code, 1000);
        assert_false(server_pending(&slack));
    }
}

/* The second cannot be opened ------------------------------------------------------------------ */

static void fail_with(const char *status, const char *fields, const char *body) {
    char lines[128];
    take_call_on(&second, &got);
    snprintf(lines, sizeof lines, "Connection: close\r\n%s", fields);
    server_answer(&second, status, lines, body);
}

static void fail_500(void) { fail_with("500 Oops", "", ""); }
static void fail_429(void) { fail_with("429 Slow", "Retry-After: 7\r\n", ""); }
static void fail_json(void) { fail_with("200 OK", "", "no JSON"); }
static void fail_slack(void) {
    fail_with("200 OK", "", "{\"ok\":false,\"error\":\"internal_error\"}");
}
static void fail_fin(void) {
    take_call_on(&second, &got);
    server_close(&second);
}
static void fail_upgrade(void) {
    take_upgrade_on(&second, &got);
    server_answer(&second, "409 Conflict", "Connection: close\r\n", "");
}
static void fail_silent(void) {
    take_call_on(&second, &got);
    event_arrives(&slack, 1000); /* the first is not silent */
    pass_time(&slack, 29000);
    event_arrives(&slack, 1001);
    test_now_ms += 1000;
}
static void fail_hello(void) { /* it opens, and ends before hello */
    open_second();
    server_send_close(&second, 1001, "");
}
static void fail_too_many(void) {
    open_second();
    server_send_text(&second, "{\"type\":\"disconnect\",\"reason\":\"too_many_websockets\"}");
}
static void fail_link(void) {
    open_second();
    server_send_text(&second, "{\"type\":\"disconnect\",\"reason\":\"link_disabled\"}");
}

static const struct failure {
    const char *name;
    void (*happens)(void);
    rtm_result result;
    int lo, hi; /* the wait after it, when it is the first failure */
    bool app_only;
} failures[] = {
    { "HTTP 500", fail_500, RTM_E_HTTP, 1000, 1999, false },
    { "HTTP 429", fail_429, RTM_E_RATE_LIMITED, 7000, 7999, false },
    { "not JSON", fail_json, RTM_E_JSON, 1000, 1999, false },
    { "internal_error", fail_slack, RTM_E_SLACK, 1000, 1999, false },
    { "FIN", fail_fin, RTM_E_CLOSED, 1000, 1999, false },
    { "upgrade", fail_upgrade, RTM_E_WEBSOCKET, 1000, 1999, false },
    { "silence", fail_silent, RTM_E_TIMEOUT, 1000, 1999, false },
    { "no hello", fail_hello, RTM_E_CLOSED, 1000, 1999, false },
    { "too_many_websockets", fail_too_many, RTM_E_SLACK, 1000, 1999, true },
    { "link_disabled", fail_link, RTM_E_SLACK, 300000, 300999, true },
};

static void the_first_stays_in_use_while_the_second_cannot_be_opened(void **state) {
    (void)state;
    BOTH_MODES
        for (size_t i = 0; i < COUNT(failures); i++) {
            const struct failure *row = &failures[i];
            if (row->app_only && !app) continue;
            open_first();
            say_goodbye(&slack);
            test_now_ms += 1000;
            row->happens();
            while (received_next < received_count &&
                   !strcmp(received[received_next].type, "message")) received_next++;
            WAIT_FOR(received_count > received_next);
            record *error_event = next_event("error");
            if (error_event->result != row->result || error_event->retry_ms < row->lo ||
                error_event->retry_ms > row->hi || strlen(error_event->detail) < 10)
                fail_msg("%s: %d, %d ms, %s", row->name, error_event->result, error_event->retry_ms,
                         error_event->detail);
            no_event();
            assert_true(rtm_is_connected(bot));
            assert_int_equal(rtm_get_state(bot), RTM_STATE_OPEN);
            event_arrives(&slack, 1);
            server_close(&second);
            pass_time(&slack, error_event->retry_ms - 1);
            event_arrives(&slack, 3);
            assert_false(server_pending(&slack));
            test_now_ms++;
            open_second();
            take_over(&slack, &second);
            second_is_used(2);
            no_event();
            next_mode();
        }
}

static void failures_of_the_second_are_counted(void **state) {
    (void)state;
    BOTH_MODES {
        open_first();
        say_goodbye(&slack);
        test_now_ms += 1000;
        for (int i = 0; i < 4; i++) {
            fail_500();
            record *error_event = next_error(RTM_E_HTTP);
            assert_in_range(error_event->retry_ms, (1 << i) * 1000, (1 << i) * 1000 + 999);
            test_now_ms += error_event->retry_ms - 1;
            event_arrives(&slack, i);
            assert_false(server_pending(&slack));
            test_now_ms++;
        }
    }
}

static void a_fatal_refusal_of_the_second_lets_the_first_live(void **state) {
    (void)state;
    BOTH_MODES {
        open_first();
        say_goodbye(&slack);
        test_now_ms += 1000;
        say_goodbye(&slack); /* again, while the second is on its way */
        fail_with("200 OK", "", "{\"ok\":false,\"error\":\"invalid_auth\"}");
        record *error_event = next_error(RTM_E_AUTH);
        assert_int_equal(error_event->retry_ms, -1);
        for (int i = 0; i < 40; i++) {
            pass_time(&slack, 15000);
            event_arrives(&slack, i);
        }
        say_goodbye(&slack); /* said again */
        test_now_ms += 2000;
        no_event();
        assert_false(server_pending(&slack));
        assert_true(rtm_is_connected(bot));
        server_send_close(&slack, 1001, "");
        assert_in_range(next_event("close")->retry_ms, 0, 99);
        server_close(&slack);
        test_now_ms += 1000;
        fail_with("200 OK", "", "{\"ok\":false,\"error\":\"invalid_auth\"}");
        next_error(RTM_E_AUTH);
        assert_int_equal(rtm_poll(bot, 0), RTM_E_AUTH);
    }
}

/* The first dies ------------------------------------------------------------------------------- */

static void die_fin(void) { server_close(&slack); }
static void die_reset(void) { server_reset(&slack); }
static void die_close(void) { server_send_close(&slack, 1001, ""); }

static void (*const deaths[])(void) = { die_fin, die_reset, die_close };

static void a_first_that_dies_while_the_second_is_open_loses_nothing(void **state) {
    (void)state;
    BOTH_MODES
        for (size_t i = 0; i < COUNT(deaths); i++) {
            reach_stage(SECOND_OPEN);
            event_arrives(&slack, 1);
            deaths[i]();
            no_event();
            second_is_used(2);
            say_hello(&second);
            second_is_used(3);
            no_event();
            assert_false(server_pending(&slack));
            next_mode();
        }
}

static void a_first_that_dies_earlier_is_reported_and_the_second_opens(void **state) {
    (void)state;
    BOTH_MODES
        for (size_t i = 0; i < COUNT(deaths); i++)
            for (int stage = BEGUN; stage < SECOND_OPEN; stage++) {
                reach_stage((enum stage)stage);
                event_arrives(&slack, 1);
                int wait = stage == BEGUN ? (int)(bot->session[1]->deadline - test_now_ms) : 0;
                assert_in_range(wait, 0, 99);
                deaths[i]();
                WAIT_FOR(received_count > received_next);
                if (!strcmp(received[received_next].type, "error")) received_next++;
                record *closed = next_event("close");
                assert_int_equal(closed->retry_ms, wait);
                assert_false(rtm_is_connected(bot));
                test_now_ms += wait;
                if (stage == BEGUN) {
                    take_upgrade_on(&second, &got);
                } else if (stage == CONNECTING) {
                    server_answer_connect(&second, "link?ticket=1&x=%2F");
                    server_accept(&second);
                    server_read_request(&second, &got);
                }
                server_answer_upgrade(&second, &got);
                next_event("open");
                say_hello(&second);
                second_is_used(2);
                no_event();
                assert_false(server_pending(&slack));
                next_mode();
            }
}

/* Both the end of the first and the attempt of the second are due when the program polls again. */
static void a_first_that_dies_when_the_second_is_due_has_no_wait(void **state) {
    (void)state;
    BOTH_MODES {
        reach_stage(BEGUN);
        event_arrives(&slack, 1);
        test_now_ms += 5000;
        deaths[0]();
        WAIT_FOR(received_count > received_next);
        if (!strcmp(received[received_next].type, "error")) received_next++;
        assert_int_equal(next_event("close")->retry_ms, 0);
        open_second();
        next_event("open");
    }
}

static void a_first_that_falls_silent_ends_as_always(void **state) {
    (void)state;
    BOTH_MODES {
        int interval = app ? 10000 : 30000, rest = app ? 10000 : 15000;
        open_first();
        say_goodbye(&slack); /* its last bytes */
        test_now_ms += interval - 5000;
        open_second();
        event_arrives(&second, 1); /* which has not received "hello" */
        test_now_ms += 5000;
        no_event();
        for (int i = 0; i < 2; i++) {
            server_expect(&slack, RTMI_WS_PING, "");
            event_arrives(&second, 2 + i);
            test_now_ms += rest / 2 - 1;
            expect_silence(&slack);
            test_now_ms++;
        }
        server_ends(&slack);
        no_event();
        second_is_used(4);
        say_hello(&second);
        no_event();
    }
}

static void a_second_that_dies_after_taking_over_ends_as_any_session(void **state) {
    (void)state;
    BOTH_MODES
        for (int draining = 0; draining < 2; draining++) {
            reach_stage(TAKEN_OVER);
            if (!draining) close_first(&slack);
            server_send_close(&second, 1001, "because");
            record *closed = next_event("close");
            assert_int_equal(closed->code, 1001);
            assert_in_range(closed->retry_ms, 0, 99);
            assert_false(rtm_is_connected(bot));
            server_close(&second);
            test_now_ms += 1000;
            open_second();
            next_event("open");
            say_hello(&second);
            second_is_used(1);
            no_event();
            next_mode();
        }
}

static enum stage slow_stage;

/* A handler that takes a minute; meanwhile the second session receives what it waits for. */
static void take_a_minute(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event, (void)user_data;
    rtm_off(client, "message", take_a_minute, NULL);
    if (slow_stage == CONNECTING) server_answer_connect(&second, "link?ticket=1&x=%2F");
    if (slow_stage == UPGRADING) server_answer_upgrade(&second, &got);
    if (slow_stage == SECOND_OPEN) server_send_text(&second, "{\"type\":\"hello\"}");
    test_now_ms += 60000;
}

static void a_slow_callback_of_the_first_is_no_silence_of_the_second(void **state) {
    (void)state;
    BOTH_MODES
        for (slow_stage = CONNECTING; slow_stage <= SECOND_OPEN; slow_stage++) {
            reach_stage(slow_stage);
            rtm_on(bot, "message", take_a_minute, NULL);
            event_arrives(&slack, 1);
            if (slow_stage == CONNECTING) {
                server_accept(&second);
                server_upgrade(&second, &got);
            }
            if (slow_stage == SECOND_OPEN) next_event("hello");
            else say_hello(&second);
            second_is_used(2);
            no_event();
            next_mode();
        }
}

/* Delivered once ------------------------------------------------------------------------------- */

static void an_event_on_both_sessions_is_delivered_once(void **state) {
    static const struct {
        const char *what;
        const char *sent; /* events and who sends them: "1a" is event 1 on the first, "A" second */
        const char *received;
    } rows[] = {
        { "the first is earlier", "1a 1A 2a 2A", "12" },
        { "the second is earlier", "1A 1a 2A 2a", "12" },
        { "one after the other", "1a 2a 3a 1A 2A 3A", "123" },
        { "mixed", "1a 2a 1A 3A 2A 3a 4A 4a", "1234" },
        { "only one brings it", "1a 2A 3a 3A", "123" },
        { "equal ones, each twice on both", "1a 1a 1A 1A", "11" },
        { "equal ones, alternating", "1a 1A 1a 1A", "11" },
        { "equal ones on only one", "1a 1a 1a", "111" },
        { "once more on one than on the other", "1a 1A 1A", "11" },
    };
    (void)state;
    app = false;
    for (int stage = SECOND_OPEN; stage <= TAKEN_OVER; stage++)
        for (size_t i = 0; i < COUNT(rows); i++) {
            reach_stage((enum stage)stage);
            int before = received_next;
            for (const char *p = rows[i].sent; *p; p += p[2] ? 3 : 2) {
                send_event(p[1] == 'a' ? &slack : &second, *p - '0');
                for (int n = 0; n < 3; n++) server_round(n);
            }
            char order[16] = "";
            for (; received_next < received_count; received_next++)
                snprintf(order + (received_next - before), 2, "%d",
                         atoi(strstr(received[received_next].data, "\"n\":") + 4));
            if (strcmp(order, rows[i].received)) fail_msg("%s: %s", rows[i].what, order);
            next_mode();
        }
}

static void events_are_compared_until_15_s_after_the_take_over(void **state) {
    (void)state;
    app = false;
    for (int late = 0; late < 2; late++) {
        open_first();
        event_arrives(&slack, 1);
        event_arrives(&slack, 1);
        say_goodbye(&slack);
        test_now_ms += 1000;
        open_second();
        event_arrives(&slack, 2);
        take_over(&slack, &second);
        close_first(&slack);
        pass_time(&second, 14999 + late);
        no_event();
        if (!late) send_event(&second, 2); /* the copy */
        no_event();
        event_arrives(&second, 2); /* another event with the same bytes */
        event_arrives(&second, 2);
        next_mode();
    }
}

/* A second event with the same bytes is a new one if it has no time stamp. */
static void only_events_with_a_time_stamp_are_compared(void **state) {
    static const struct { const char *text; bool compared; } rows[] = {
        { "{\"type\":\"presence_change\",\"user\":\"U1\"}", false },
        { "{\"type\":\"message\",\"message\":{\"ts\":\"1.2\"}}", false },
        { "{\"type\":\"message\",\"ts\":\"1.2\"}", true },
        { "{\"type\":\"team_join\",\"event_ts\":\"1.2\"}", true },
    };
    (void)state;
    app = false;
    for (int stage = SECOND_OPEN; stage <= TAKEN_OVER; stage++)
        for (size_t i = 0; i < COUNT(rows); i++) {
            reach_stage((enum stage)stage);
            int before = received_count;
            server_send_text(&slack, rows[i].text);
            WAIT_FOR(received_count > before);
            server_send_text(&second, rows[i].text);
            if (!rows[i].compared) WAIT_FOR(received_count > before + 1);
            received_next = received_count;
            no_event();
            assert_int_equal(received_count, before + (rows[i].compared ? 1 : 2));
            next_mode();
        }
}

static void an_event_that_came_before_the_upgrade_was_sent_is_not_expected_again(void **state) {
    (void)state;
    app = false;
    reach_stage(CONNECTING);
    event_arrives(&slack, 1); /* before the second connects */
    server_answer_connect(&second, "link?ticket=1&x=%2F");
    server_accept(&second);
    server_upgrade(&second, &got);
    for (int i = 0; i < 5; i++) server_round(i);
    event_arrives(&second, 1); /* so this is another that says the same */
    next_mode();
}

static void the_copy_of_an_event_in_flight_at_the_upgrade_is_dropped(void **state) {
    (void)state;
    app = false;
    open_first();
    say_goodbye(&slack);
    test_now_ms += 1000;
    take_upgrade_on(&second, &got);
    event_arrives(&slack, 1); /* after the upgrade's request, before its answer */
    server_answer_upgrade(&second, &got);
    send_event(&second, 1);
    no_event();
    next_mode();
}

static void an_envelope_is_repeated_on_the_other_session(void **state) {
    (void)state;
    app = true;
    for (int stage = SECOND_OPEN; stage <= TAKEN_OVER; stage++) {
        reach_stage((enum stage)stage);
        if (stage == SECOND_OPEN) event_arrives(&slack, 1);
        else event_arrives(&second, 1);
        send_event(&second, 1); /* its acknowledgement was lost */
        server_expect_ack(&second, "E1");
        server_send_envelope(&second, "E1b", "events_api", "\"retry_attempt\":1,\"payload\":{"
                             "\"event_id\":\"Ev1\",\"event\":{\"type\":\"message\"}}");
        server_expect_ack(&second, "E1b");
        no_event();
        server_send_envelope(&second, "E2", "events_api", "\"retry_attempt\":1,\"payload\":{"
                             "\"event_id\":\"Ev2\",\"event\":{\"type\":\"message\"}}");
        server_expect_ack(&second, "E2");
        next_event("message"); /* a retry of an event that was lost */
        no_event();
        next_mode();
    }
}

/* What belongs to a session -------------------------------------------------------------------- */

/* The message waits for the second session, which does not open. */
static void a_message_is_reported_if_the_second_does_not_open(void **state) {
    (void)state;
    app = false;
    frame sent;
    reach_stage(UPGRADING);
    int id = rtm_send_message(bot, "C1", "a");
    assert_true(id > 0);
    server_read_frame(&slack, &sent);
    server_close(&slack);
    next_error(RTM_E_CLOSED);
    next_event("close");
    server_answer(&second, "409 Conflict", "Connection: close\r\n", "");
    next_error(RTM_E_WEBSOCKET);
    assert_int_equal(next_error(RTM_E_UNACKNOWLEDGED)->id, id);
    no_event();
    next_mode();
}

/* If the first session ends without an acknowledgement, the second may still bring it: the message
   is reported once, at the second session's end at the latest. */
static void a_message_is_acknowledged_on_either_session(void **state) {
    enum { NEITHER, FIRST, SECOND, SECOND_AFTER_THE_FIRST, WAYS };
    (void)state;
    app = false;
    for (int by = NEITHER; by < WAYS; by++) {
        frame sent;
        reach_stage(SECOND_OPEN);
        int id = rtm_send_message(bot, "C1", "a");
        assert_true(id > 0);
        server_read_frame(&slack, &sent);
        assert_int_equal(sent.opcode, RTMI_WS_TEXT);
        take_over(&slack, &second);
        second_is_used(1);
        char text[64];
        snprintf(text, sizeof text, "{\"ok\":true,\"reply_to\":%d}", id);
        if (by == FIRST || by == SECOND) {
            server_send_text(by == FIRST ? &slack : &second, text);
            assert_int_equal(next_event("Unknown")->id, id);
        }
        close_first(&slack);
        no_event();
        if (by == SECOND_AFTER_THE_FIRST) {
            server_send_text(&second, text);
            assert_int_equal(next_event("Unknown")->id, id);
        }
        server_send_close(&second, 1000, "");
        if (by == NEITHER) assert_int_equal(next_error(RTM_E_UNACKNOWLEDGED)->id, id);
        next_event("close");
        no_event();
        next_mode();
    }
}

static void answer_command(rtm_client *client, const rtm_event *event, void *user_data) {
    if (*(bool *)user_data) assert_int_equal(rtm_reply(client, event, "{}"), RTM_OK);
}

static void acknowledgements_go_to_the_session_that_brought_the_envelope(void **state) {
    (void)state;
    app = true;
    for (int stage = BEGUN; stage < STAGES; stage++)
        for (int replies = 0; replies < 2; replies++) {
            bool does = replies;
            const char *end = replies ? ",\"payload\":{}}" : "}";
            char a[64], b[64];
            snprintf(a, sizeof a, "{\"envelope_id\":\"Ea\"%s", end);
            snprintf(b, sizeof b, "{\"envelope_id\":\"Eb\"%s", end);
            reach_stage((enum stage)stage);
            rtm_on(bot, "slash_commands", answer_command, &does);
            server_send_envelope(&slack, "Ea", "slash_commands",
                                 "\"accepts_response_payload\":true,\"payload\":{}");
            next_event("slash_commands");
            server_expect(&slack, RTMI_WS_TEXT, a);
            if (stage >= SECOND_OPEN) {
                server_send_envelope(&second, "Eb", "slash_commands",
                                     "\"accepts_response_payload\":true,\"payload\":{}");
                next_event("slash_commands");
                server_expect(&second, RTMI_WS_TEXT, b);
            }
            no_event();
            next_mode();
        }
}

/* Stop, destroy, disconnect -------------------------------------------------------------------- */

static void stop_and_destroy_end_a_handover_at_every_stage(void **state) {
    (void)state;
    BOTH_MODES
        for (int stage = BEGUN; stage < STAGES; stage++)
            for (int stops = 0; stops < 2; stops++) {
                reach_stage((enum stage)stage);
                if (stops) {
                    rtm_stop(bot);
                    for (int i = 0; i < 5; i++) server_round(i);
                    assert_true(rtm_timeout_ms(bot) <= 1000);
                    server_expect_close(&slack, 1000);
                    if (stage >= SECOND_OPEN) server_expect_close(&second, 1000);
                    test_now_ms += 1000;
                    WAIT_FOR(rtm_poll(bot, 0) == RTM_E_STOPPED);
                    assert_int_equal(next_event("close")->retry_ms, -1);
                    no_event();
                    assert_int_equal(rtm_get_state(bot), RTM_STATE_FINISHED);
                    if (stage >= SECOND_OPEN) server_ends(&second);
                    server_ends(&slack);
                }
                end_bot();
                if (!stops) server_expect_close(&slack, 1000);
                if (!stops && stage >= SECOND_OPEN) server_expect_close(&second, 1000);
                next_mode();
            }
}

static void stop_now(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event, (void)user_data;
    rtm_stop(client);
}

static void disconnect_now(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event, (void)user_data;
    rtm_reconnect(client);
}

static void a_stop_in_a_callback_of_either_session_ends_both(void **state) {
    (void)state;
    BOTH_MODES
        for (int of_second = 0; of_second < 2; of_second++) {
            reach_stage(SECOND_OPEN);
            rtm_on(bot, "message", stop_now, NULL);
            send_event(of_second ? &second : &slack, 1);
            next_event("message");
            frame sent;
            if (app) server_read_frame(of_second ? &second : &slack, &sent);
            server_expect_close(&slack, 1000);
            server_expect_close(&second, 1000);
            server_send_close(&slack, 1000, "");
            server_send_close(&second, 1000, "");
            WAIT_FOR(rtm_poll(bot, 0) == RTM_E_STOPPED);
            next_event("close");
            no_event();
            next_mode();
        }
}

/* The program drops the session that is in use; the second continues, or is opened. */
static void disconnect_drops_the_first_at_every_stage(void **state) {
    (void)state;
    BOTH_MODES
        for (int stage = BEGUN; stage < SECOND_OPEN; stage++)
            for (int in_callback = 0; in_callback < 2; in_callback++) {
                reach_stage((enum stage)stage);
                if (in_callback) {
                    rtm_on(bot, "message", disconnect_now, NULL);
                    event_arrives(&slack, 1);
                } else {
                    assert_int_equal(rtm_reconnect(bot), RTM_OK);
                }
                server_expect_close(&slack, 1000);
                record *closed = next_event("close");
                assert_int_equal(closed->code, 1000);
                assert_in_range(closed->retry_ms, 0, 99);
                no_event();
                next_mode();
            }
}

static void rtm_reconnect_during_a_handover_drops_both(void **state) {
    (void)state;
    BOTH_MODES {
        reach_stage(SECOND_OPEN);
        assert_int_equal(rtm_reconnect(bot), RTM_OK);
        server_expect_close(&slack, 1000);
        server_expect_close(&second, 1000);
        for (int i = 0; i < 5; i++) server_round(i);
        assert_false(rtm_is_connected(bot));
    }
}

static void rtm_reconnect_keeps_the_wait_that_slack_asked_the_second_for(void **state) {
    (void)state;
    BOTH_MODES {
        open_first();
        say_goodbye(&slack);
        test_now_ms += 1000;
        fail_429();
        assert_in_range(next_event("error")->retry_ms, 7000, 7999);
        assert_int_equal(rtm_reconnect(bot), RTM_OK);
        server_expect_close(&slack, 1000);
        assert_int_equal(next_event("close")->retry_ms, 7000);
        next_mode();
    }
}

/* Ten thousand events -------------------------------------------------------------------------- */

enum { EVENTS = 10000, EVERY = 100 };
enum mode { PLAIN, REFUSED, LIMITED, SILENT, DIES_OPEN, DIES_EARLY, MODES };

static unsigned char was_sent[EVENTS], was_received[EVENTS], was_acked[EVENTS], sent_by[EVENTS];
static int last_of[256]; /* the last event of each session, modulo 256 */
static int opens, closes, errors, retry_ms, grown;
static unsigned random_state = 1;
static server *closing; /* the session whose CLOSE came last */

static void on_number(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client, (void)user_data;
    long long n = rtm_json_int(rtm_json_get(event->data, "n"), -1);
    assert_in_range(n, 0, EVENTS - 1);
    if (was_received[n]++) fail_msg("event %d came twice", (int)n);
    if (!app) return; /* RTM: both sessions send it */
    if (n <= last_of[sent_by[n]]) fail_msg("event %d came after %d", (int)n, last_of[sent_by[n]]);
    last_of[sent_by[n]] = (int)n;
}

static void count_ends(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client, (void)user_data;
    if (!strcmp(event->type, "open")) opens++;
    if (!strcmp(event->type, "close")) closes++;
    if (!strcmp(event->type, "error")) errors++, retry_ms = event->retry_ms;
}

static void receive_numbers(void) {
    rtm_off(bot, "*", record_event, NULL);
    rtm_on(bot, "message", on_number, NULL);
    rtm_on(bot, "open", count_ends, NULL);
    rtm_on(bot, "close", count_ends, NULL);
    rtm_on(bot, "error", count_ends, NULL);
    memset(was_sent, 0, sizeof was_sent);
    memset(was_received, 0, sizeof was_received);
    memset(was_acked, 0, sizeof was_acked);
    memset(last_of, -1, sizeof last_of);
    opens = closes = errors = grown = 0;
}

/* Lets the client read, and takes what it sends. */
static void take_frames(server *s) {
    frame sent;
    int n;
    while (s->fd >= 0 && server_try_frame(s, &sent)) {
        if (sscanf(sent.payload, "{\"envelope_id\":\"E%d\"}", &n) == 1) was_acked[n] = 1;
        if (sent.opcode == RTMI_WS_PING) server_send_frame(s, RTMI_WS_PONG, FIN, "", 0);
        if (sent.opcode == RTMI_WS_CLOSE) closing = s;
    }
}

static void pump(server *a, server *b) {
    for (int i = 0; i < 2; i++) {
        rtm_poll(bot, 0);
        take_frames(a);
        take_frames(b);
    }
}

static void fail_second(enum mode mode, server *b) {
    if (mode == REFUSED && errors % 2) {
        take_upgrade_on(b, &got);
        server_answer(b, "409 Conflict", "Connection: close\r\n", "");
        return;
    }
    take_call_on(b, &got);
    if (mode == REFUSED) server_answer(b, "500 Oops", "Connection: close\r\n", "");
    if (mode == LIMITED)
        server_answer(b, "429 Slow", "Connection: close\r\nRetry-After: 7\r\n", "");
    if (mode == SILENT) test_now_ms += 30000;
}

/* A refresh every 100 events; a round is one refresh. `a` is in use, `b` takes over. */
static void refresh_round(enum mode mode, int round, server *a, server *b) {
    bool open = false, hello = false, dead = false, gap = false;
    int refused = errors;
    long before = test_allocations;
    for (int i = 0; i < EVERY; i++) {
        int n = round * EVERY + i;
        /* Events need no allocation; but a buffer may grow when the numbers get one more digit. */
        if (i == 20 && round > 1 && test_allocations != before) grown++;
        assert_true(grown <= 2);
        if (i == 20) {
            server_send_text(a, app ? "{\"type\":\"disconnect\",\"reason\":\"refresh_requested\"}"
                                    : "{\"type\":\"goodbye\"}");
            pump(a, b);
        }
        if (i == 25 && mode == DIES_EARLY) {
            pump(a, b);
            server_close(a);
            WAIT_FOR(closes == round + 1);
            dead = gap = true;
        }
        if (i == 25) test_now_ms += 1000;
        if (i == 26 && (mode == REFUSED || mode == LIMITED || mode == SILENT))
            for (int tries = 1; tries <= 3; tries++) {
                fail_second(mode, b);
                WAIT_FOR((take_frames(a), errors == refused + tries));
                test_now_ms += retry_ms;
            }
        if (i == 30) {
            take_upgrade_on(b, &got);
            server_answer_upgrade(b, &got);
            open = true;
            pump(a, b);
        }
        if (i == 45 && mode == DIES_OPEN) {
            if (app && round % 2) { /* without what came last */
                pump(a, b);
                send_event(a, n);
                server_reset(a);
            } else {
                pump(a, b);
                server_close(a);
            }
            dead = true;
        }
        if (i == 60) {
            server_send_text(b, "{\"type\":\"hello\"}");
            hello = true;
            pump(a, b);
            if (!dead) assert_int_equal(bot->session[1]->fate, RTMI_RETIRED);
            gap = false;
        }
        if (i == 80 && !dead) {
            pump(a, b);
            closing = NULL;
            if (round % 3 == 0) { /* Slack does not close it: the client does */
                test_now_ms += 15000;
                WAIT_FOR((take_frames(a), take_frames(b), closing == a));
            }
            server_send_close(a, 1000, "");
            server_ends(a);
            server_close(a);
            dead = true;
        }
        if (i == 80 && app) /* what was not acknowledged comes again */
            for (int old = round * EVERY; old < n; old++)
                if (!was_acked[old]) {
                    if (!was_received[old]) sent_by[old] = (unsigned char)(round + 128);
                    was_sent[old] = 1;
                    send_event(b, old);
                    pump(a, b);
                }
        random_state = random_state * 1103515245 + 12345;
        bool to_b = app && hello && (dead || (random_state >> 16 & 1));
        if (gap || (app && dead && !hello)) continue; /* no session; in Socket Mode: later */
        was_sent[n] = 1;
        sent_by[n] = (unsigned char)((round + to_b) % 128);
        if (!dead && !to_b) send_event(a, n);
        if (to_b || (!app && open)) send_event(b, n);
        if (i % 7 == 0) pump(a, b);
    }
    pump(a, b);
    test_now_ms += 30000;
    if (mode != DIES_EARLY) assert_int_equal(closes, 0);
}

static void ten_thousand(enum mode mode) {
    server *a = &slack, *b = &second;
    open_first();
    receive_numbers();
    for (int round = 0; round < EVENTS / EVERY; round++) {
        refresh_round(mode, round, a, b);
        server *other = a;
        a = b;
        b = other;
    }
    for (int i = 0; i < 20; i++) pump(a, b);
    for (int n = 0; n < EVENTS; n++) {
        if (was_received[n] != was_sent[n]) fail_msg("mode %d: event %d is missing", mode, n);
        if (app && !was_acked[n]) fail_msg("mode %d: event %d not acknowledged", mode, n);
    }
    bool fails = mode == REFUSED || mode == LIMITED || mode == SILENT;
    if (mode != DIES_EARLY) assert_int_equal(errors, fails ? 3 * EVENTS / EVERY : 0);
    assert_int_equal(closes, mode == DIES_EARLY ? EVENTS / EVERY : 0);
    assert_int_equal(opens, closes);
}

static void ten_thousand_events_and_a_hundred_refreshes_lose_and_double_none(void **state) {
    (void)state;
    BOTH_MODES ten_thousand(PLAIN);
}

static void ten_thousand_events_while_the_second_is_refused(void **state) {
    (void)state;
    BOTH_MODES ten_thousand(REFUSED);
}

static void ten_thousand_events_while_the_second_is_rate_limited(void **state) {
    (void)state;
    BOTH_MODES ten_thousand(LIMITED);
}

static void ten_thousand_events_while_the_second_receives_nothing(void **state) {
    (void)state;
    BOTH_MODES ten_thousand(SILENT);
}

static void ten_thousand_events_while_each_first_dies_after_its_second_opens(void **state) {
    (void)state;
    BOTH_MODES ten_thousand(DIES_OPEN);
}

static void ten_thousand_events_while_each_first_dies_before_its_second_opens(void **state) {
    (void)state;
    BOTH_MODES ten_thousand(DIES_EARLY);
}

/* Memory --------------------------------------------------------------------------------------- */

static void a_handover_allocates_a_second_session_and_frees_it(void **state) {
    (void)state;
    BOTH_MODES {
        open_first();
        event_arrives(&slack, 1);
        long one = test_bytes;
        test_most = 0;
        say_goodbye(&slack);
        test_now_ms += 1000;
        open_second();
        event_arrives(&slack, 2);
        take_over(&slack, &second);
        close_first(&slack);
        second_is_used(3);
        pass_time(&second, 15000);
        no_event();
        assert_in_range(test_most, one, 2 * one + RTMI_SEEN * (long)sizeof(uint64_t));
        assert_true(test_bytes <= one + 320); /* the ids of messages, and rounding */
    }
}

/* A server that answers without calls from the test. */
static struct peer {
    server s;
    bool websocket;
} peers[4];

static bool serve(struct peer *peer) {
    server *s = &peer->s;
    frame sent;
    int n;
    if (s->fd < 0) return peer->websocket = false, server_try_accept(s);
    server_fill(s);
    if (s->ended) return server_close(s), true;
    if (!peer->websocket) {
        if (!server_try_request(s, &got)) return false;
        peer->websocket = !strncmp(got.head, "GET ", 4);
        if (!peer->websocket) return server_answer_connect(s, "link"), true;
        server_answer_upgrade(s, &got);
        server_send_text(s, "{\"type\":\"hello\"}");
        return true;
    }
    if (!server_try_frame(s, &sent)) return false;
    if (sscanf(sent.payload, "{\"envelope_id\":\"E%d\"}", &n) == 1) was_acked[n] = 1;
    if (sent.opcode == RTMI_WS_CLOSE) server_send_close(s, 1000, ""), server_close(s);
    return true;
}

/* Runs client and server for this number of rounds, with events on one of its sessions, or on
   all. */
static void run_peers(int rounds, int *n) {
    for (int round = 0; round < rounds; round++) {
        bool moved = false;
        int due = rtm_timeout_ms(bot);
        if (rtm_poll(bot, 0) > 0) moved = true;
        for (size_t i = 0; i < COUNT(peers); i++)
            if (serve(&peers[i])) moved = true;
        if (!moved && due > 0) test_now_ms += due < 500 ? due : 500;
        bool had = false;
        for (size_t i = 0; i < COUNT(peers); i++)
            if (peers[i].websocket && peers[i].s.fd >= 0 && !(had && app) && round % 4 == 3) {
                server_fill(&peers[i].s);
                if (peers[i].s.ended) continue;
                had = true;
                was_sent[*n] = 1;
                send_event(&peers[i].s, *n);
            }
        *n += had;
    }
}

static struct peer *any_session(void) {
    for (size_t i = 0; i < COUNT(peers); i++)
        if (peers[i].websocket && peers[i].s.fd >= 0 && !peers[i].s.ended) return &peers[i];
    return NULL;
}

/* `tries` = the number of allocations that fail, beginning with this one. */
static void handover_without_memory(long tries) {
    bool hit = true;
    for (long fail = 1; hit; fail++) {
        int n = 0;
        make();
        server_free(&second);
        for (size_t i = 0; i < COUNT(peers); i++) server_share(&peers[i].s, &slack);
        receive_numbers();
        run_peers(40, &n);
        assert_true(rtm_is_connected(bot) && n > 3);
        struct peer *first = any_session();
        assert_non_null(first);
        test_now_ms += 30000;
        test_fail_at = test_allocations + fail;
        test_fail_ever = tries > 1;
        server_send_text(&first->s, app ? "{\"type\":\"disconnect\",\"reason\":\"warning\"}"
                                        : "{\"type\":\"goodbye\"}");
        for (int i = 0; i < 60; i++) {
            if (test_allocations >= test_fail_at + tries) test_fail_at = 0;
            run_peers(1, &n);
        }
        hit = test_allocations >= test_fail_at;
        test_fail_at = test_fail_ever = 0;
        run_peers(200, &n);
        assert_true(rtm_is_connected(bot));
        int alive = 0;
        for (size_t i = 0; i < COUNT(peers); i++)
            alive += peers[i].websocket && peers[i].s.fd >= 0 && !peers[i].s.ended;
        assert_int_equal(alive, 1);
        int from = n;
        run_peers(40, &n);
        run_peers(3, &n);
        for (int i = 0; i < n; i++) {
            if (app && was_acked[i] && !was_received[i])
                fail_msg("allocation %ld: event %d acknowledged, and lost", fail, i);
            if (i >= from && !was_received[i] && i < n - 1)
                fail_msg("allocation %ld: event %d not delivered", fail, i);
        }
        end_bot();
        for (size_t i = 0; i < COUNT(peers); i++) {
            server_free(&peers[i].s);
            peers[i].websocket = false;
        }
        assert_int_equal(test_blocks, 0);
        assert_true(fail < 300);
    }
}

static void a_failure_of_any_allocation_of_a_handover_is_survived(void **state) {
    (void)state;
    BOTH_MODES handover_without_memory(1);
}

static void a_failure_of_ten_allocations_of_a_handover_is_survived(void **state) {
    (void)state;
    BOTH_MODES handover_without_memory(10);
}

/* Fails each allocation in turn, until the second session waits for its attempt. */
static void a_handover_without_memory_is_reported(void **state) {
    (void)state;
    BOTH_MODES {
        bool hit = true;
        for (long at = 1; hit; at++) {
            open_first();
            test_fail_at = test_allocations + at;
            server_send_text(&slack, app ? "{\"type\":\"disconnect\",\"reason\":\"warning\"}"
                                         : "{\"type\":\"goodbye\"}");
            WAIT_FOR(bot->session[1] || test_allocations >= test_fail_at);
            for (int i = 0; i < 5; i++) server_round(i);
            hit = test_allocations >= test_fail_at;
            test_fail_at = 0;
            if (!app && received_count > received_next && !received[received_next].result)
                next_event("goodbye");
            if (hit && !bot->session[1]) assert_int_equal(next_error(RTM_E_MEMORY)->retry_ms, -1);
            assert_true(hit || at > 1);
            assert_true(rtm_is_connected(bot));
            next_mode();
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(another_session_takes_over_without_open_or_close),
        TEST(the_first_stays_open_for_15_s_at_most),
        TEST(a_new_handover_closes_the_draining_session_at_once),
        TEST(a_new_handover_waits_for_the_replies_of_the_draining_session),
        TEST(sessions_take_over_one_after_the_other),
        TEST(a_goodbye_said_twice_begins_one_handover),
        TEST(the_second_attempt_waits_as_after_an_end),
        TEST(without_auto_reconnect_there_is_no_handover),
        TEST(the_first_stays_in_use_while_the_second_cannot_be_opened),
        TEST(failures_of_the_second_are_counted),
        TEST(a_fatal_refusal_of_the_second_lets_the_first_live),
        TEST(a_first_that_dies_while_the_second_is_open_loses_nothing),
        TEST(a_first_that_dies_earlier_is_reported_and_the_second_opens),
        TEST(a_first_that_dies_when_the_second_is_due_has_no_wait),
        TEST(a_first_that_falls_silent_ends_as_always),
        TEST(a_second_that_dies_after_taking_over_ends_as_any_session),
        TEST(a_slow_callback_of_the_first_is_no_silence_of_the_second),
        TEST(an_event_on_both_sessions_is_delivered_once),
        TEST(events_are_compared_until_15_s_after_the_take_over),
        TEST(only_events_with_a_time_stamp_are_compared),
        TEST(an_event_that_came_before_the_upgrade_was_sent_is_not_expected_again),
        TEST(the_copy_of_an_event_in_flight_at_the_upgrade_is_dropped),
        TEST(an_envelope_is_repeated_on_the_other_session),
        TEST(a_message_is_reported_if_the_second_does_not_open),
        TEST(a_message_is_acknowledged_on_either_session),
        TEST(acknowledgements_go_to_the_session_that_brought_the_envelope),
        TEST(stop_and_destroy_end_a_handover_at_every_stage),
        TEST(a_stop_in_a_callback_of_either_session_ends_both),
        TEST(disconnect_drops_the_first_at_every_stage),
        TEST(rtm_reconnect_during_a_handover_drops_both),
        TEST(rtm_reconnect_keeps_the_wait_that_slack_asked_the_second_for),
        TEST(ten_thousand_events_and_a_hundred_refreshes_lose_and_double_none),
        TEST(ten_thousand_events_while_the_second_is_refused),
        TEST(ten_thousand_events_while_the_second_is_rate_limited),
        TEST(ten_thousand_events_while_the_second_receives_nothing),
        TEST(ten_thousand_events_while_each_first_dies_after_its_second_opens),
        TEST(ten_thousand_events_while_each_first_dies_before_its_second_opens),
        TEST(a_handover_allocates_a_second_session_and_frees_it),
        TEST(a_failure_of_any_allocation_of_a_handover_is_survived),
        TEST(a_failure_of_ten_allocations_of_a_handover_is_survived),
        TEST(a_handover_without_memory_is_reported)
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
