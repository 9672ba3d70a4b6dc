/* Socket Mode: envelopes and their acknowledgements, what is delivered of them and how often, what
   cannot be read, floods, and the ways in which Slack ends a session. For handovers: handover.c. */
#include "server.h"

#define EVENT(id, event)                                                                     \
    "\"accepts_response_payload\":false,\"payload\":{\"type\":\"event_callback\",\"event_id\":\"" \
    id "\",\"event\":" event "}"
#define COMMAND(name) "\"accepts_response_payload\":true,\"payload\":{\"command\":\"" name "\"}"

enum { LIMIT = 4096 }; /* the least max_message_size */

static server other; /* the connection of a request, or of a blocking call */

static void open_app(void) {
    rtm_config config = app_config();
    make_bot(&config);
    open_session();
}

/* Skips events until one of this type. */
static record *await_event(const char *type) {
    for (;;) {
        WAIT_FOR(received_count > received_next);
        if (!strcmp(received[received_next++].type, type)) return &received[received_next - 1];
    }
}

/* Checks that the client has sent nothing more. */
static void expect_nothing(void) {
    frame got;
    for (int i = 0; i < 5; i++) server_round(i);
    if (server_try_frame(&slack, &got)) fail_msg("sent: %s", got.payload);
}

/* Checks that the session answers a PING, so that everything before it was read. */
static void expect_life(void) {
    server_send_frame(&slack, RTMI_WS_PING, FIN, "", 0);
    server_expect(&slack, RTMI_WS_PONG, "");
}

/* Opening -------------------------------------------------------------------------------------- */

static void the_app_token_is_only_for_the_opening_call(void **state) {
    request got;
    rtm_config config = app_config();
    config.app_token = " " APP_TOKEN "\n";
    (void)state;
    make_bot(&config);
    take_call(&got);
    assert_string_equal(header(&got, "Authorization"), "Bearer " APP_TOKEN);
    assert_non_null(strstr(header(&got, "Content-Type"), "application/x-www-form-urlencoded"));
    assert_string_equal(got.body, "");
    server_answer_connect(&slack, "link/?ticket=1&app_id=A1");
    server_accept(&slack);
    server_read_request(&slack, &got);
    expect_line(&got, "GET /link/?ticket=1&app_id=A1 HTTP/1.1");
    assert_false(has_header(&got, "Authorization"));
    server_answer_upgrade(&slack, &got);
    assert_non_null(strstr(next_event("open")->data, "\"ok\":true"));
    say_hello(&slack);
    server_share(&other, &slack);
    assert_true(rtm_call_async(bot, NULL, NULL, "auth.test", NULL) > 0);
    server_accept(&other);
    server_read_request(&other, &got);
    assert_string_equal(header(&got, "Authorization"), "Bearer " TOKEN);
    server_free(&other);
}

static void each_token_has_its_place(void **state) {
    static const struct {
        const char *token, *app_token;
        rtm_result result;
        const char *message; /* names this */
    } rows[] = { /* an empty app_token counts as not set */
        { NULL, APP_TOKEN, RTM_OK, NULL },
        { TOKEN, APP_TOKEN, RTM_OK, NULL },
        { NULL, NULL, RTM_E_ARGUMENT, "token" },
        { APP_TOKEN, NULL, RTM_E_ARGUMENT, "app_token" },
        { " " APP_TOKEN, NULL, RTM_E_ARGUMENT, "app_token" },
        { APP_TOKEN, APP_TOKEN, RTM_E_ARGUMENT, "app_token" },
        { NULL, TOKEN, RTM_E_ARGUMENT, "set it as token" },
        { TOKEN, TOKEN, RTM_E_ARGUMENT, "set it as token" },
        { TOKEN, "xoxp-1-2-3", RTM_E_ARGUMENT, "set it as token" },
        { TOKEN, "", RTM_OK, NULL },
        { NULL, "", RTM_E_ARGUMENT, "token" },
        { APP_TOKEN, "", RTM_E_ARGUMENT, "app_token" },
        { TOKEN, " \n", RTM_E_ARGUMENT, "app_token" },
        { TOKEN, "xapp-1\r\nEvil: 1", RTM_E_ARGUMENT, "app_token" },
        { "", APP_TOKEN, RTM_E_ARGUMENT, "token" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        rtm_config config = usual_config();
        config.token = rows[i].token;
        config.app_token = rows[i].app_token;
        rtm_client *made = NULL;
        rtm_result result = rtm_create(&config, &made);
        const char *detail = rtm_error_detail(NULL);
        if (result != rows[i].result ||
            (rows[i].message && (made || !strstr(detail, rows[i].message))))
            fail_msg("row %zu: %d, %s", i, result, detail);
        bool app = rows[i].app_token && *rows[i].app_token;
        if (made) assert_int_equal(made->socket_mode, app);
        note_shown(detail);
        rtm_destroy(made);
    }
}

static void a_failed_call_has_the_same_results_as_in_rtm(void **state) {
    static const struct {
        const char *body;
        rtm_result result;
        bool final;
        const char *message;
    } rows[] = {
        { "{\"ok\":true}", RTM_E_SLACK, false, "url" },
        { "{\"ok\":true,\"url\":7}", RTM_E_SLACK, false, "url" },
        { "{\"ok\":false,\"error\":\"internal_error\"}", RTM_E_SLACK, false, "internal_error" },
        { "{\"ok\":false,\"error\":\"ratelimited\"}", RTM_E_RATE_LIMITED, false, "" },
        { "no JSON", RTM_E_JSON, false, "" },
        { "{\"ok\":false,\"error\":\"missing_scope\"}", RTM_E_AUTH, true, "connections:write" },
        { "{\"ok\":false,\"error\":\"not_allowed_token_type\"}", RTM_E_AUTH, true, "xapp-" },
        { "{\"ok\":false,\"error\":\"forbidden_team\"}", RTM_E_AUTH, true, "forbidden_team" },
        { "{\"ok\":false,\"error\":\"insecure_request\"}", RTM_E_AUTH, true, "insecure_request" },
        { "{\"ok\":false,\"error\":\"missing_args\"}", RTM_E_AUTH, true, "missing_args" },
    };
    request got;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        rtm_config config = app_config();
        make_bot(&config);
        take_call(&got);
        server_answer(&slack, "200 OK", "Connection: close\r\n", rows[i].body);
        record *error_event = next_event("error");
        if (rows[i].result == RTM_E_SLACK && error_event->result != RTM_E_SLACK)
            assert_string_equal(rows[i].message, "url"); /* any result will do for a bad answer */
        else assert_int_equal(error_event->result, rows[i].result);
        if (!strstr(error_event->detail, rows[i].message)) fail_msg("%s", error_event->detail);
        assert_int_equal(error_event->retry_ms >= 0, !rows[i].final);
        assert_int_equal(rtm_poll(bot, 0), rows[i].final ? RTM_E_AUTH : 0);
        end_bot();
    }
}

static void hello_is_delivered_each_time_and_its_connections_are_logged(void **state) {
    (void)state;
    open_app();
    say_hello(&slack);
    assert_null(strstr(shown, "1 connections"));
    server_send_text(&slack, "{\"type\":\"hello\",\"num_connections\":3}");
    next_event("hello");
    assert_non_null(strstr(shown, "3 connections"));
    expect_life();
}

/* What is delivered ---------------------------------------------------------------------------- */

static char kept[128], kept_data[512], kept_envelope[512];
static int keeps;

static void keep(rtm_client *client, const rtm_event *event, void *user_data) {
    size_t size = 0;
    const char *raw = rtm_json_raw(event->data, &size);
    (void)client, (void)user_data;
    keeps++;
    snprintf(kept, sizeof kept, "%s", event->type);
    snprintf(kept_data, sizeof kept_data, "%.*s", (int)size, raw ? raw : "");
    size = 0;
    raw = rtm_json_raw(event->envelope, &size);
    snprintf(kept_envelope, sizeof kept_envelope, "%.*s", (int)size, raw ? raw : "");
}

static void each_kind_of_envelope_arrives_as_its_event(void **state) {
#define PAYLOAD(payload) "\"payload\":" payload
    static const struct {
        const char *type, *members, *received_as, *handler, *data;
    } rows[] = {
        { "events_api", EVENT("Ev1", "{\"type\":\"message\",\"text\":\"a\"}"), "message",
          "message", "{\"type\":\"message\",\"text\":\"a\"}" },
        { "events_api", EVENT("Ev2", "{\"type\":\"message\",\"subtype\":\"bot_message\"}"),
          "message", "message::bot_message", "{\"type\":\"message\",\"subtype\":\"bot_message\"}" },
        { "events_api", EVENT("Ev3", "{\"type\":\"new\\/\\u0041\"}"), "new/A", "new/A",
          "{\"type\":\"new\\/\\u0041\"}" },
        { "events_api", PAYLOAD("{\"type\":\"app_rate_limited\",\"minute\":5}"),
          "app_rate_limited", "app_rate_limited", "{\"type\":\"app_rate_limited\",\"minute\":5}" },
        { "events_api", EVENT("Ev4", "{\"type\":\"open\"}"), "Unknown", "Unknown",
          "{\"type\":\"open\"}" },
        { "events_api", EVENT("Ev5", "{\"type\":\"close\"}"), "Unknown", "Unknown",
          "{\"type\":\"close\"}" },
        { "events_api", EVENT("Ev6", "{\"type\":\"Unknown\"}"), "Unknown", "Unknown",
          "{\"type\":\"Unknown\"}" },
        { "events_api", EVENT("Ev7", "{\"text\":\"no type\"}"), "Unknown", "Unknown",
          "{\"text\":\"no type\"}" },
        { "events_api", EVENT("Ev8", "{\"type\":\"disconnect\",\"reason\":\"warning\"}"),
          "disconnect", "disconnect", "{\"type\":\"disconnect\",\"reason\":\"warning\"}" },
        { "events_api", EVENT("Ev9", "{\"type\":\"goodbye\"}"), "goodbye", "goodbye",
          "{\"type\":\"goodbye\"}" },
        { "events_api", EVENT("Ev10", "{\"type\":\"team_migration_started\"}"),
          "team_migration_started", "team_migration_started",
          "{\"type\":\"team_migration_started\"}" },
        { "events_api", EVENT("Ev11", "{\"type\":\"hello\"}"), "hello", "hello",
          "{\"type\":\"hello\"}" },
        { "slash_commands", COMMAND("/weather"), "slash_commands", "slash_commands::/weather",
          "{\"command\":\"/weather\"}" },
        { "slash_commands", COMMAND("\\/weather"), "slash_commands", "slash_commands::/weather",
          "{\"command\":\"\\/weather\"}" },
        { "slash_commands", COMMAND("/w"), "slash_commands", "slash_commands",
          "{\"command\":\"/w\"}" },
        { "interactive", PAYLOAD("{\"type\":\"block_actions\"}"), "interactive",
          "interactive::block_actions", "{\"type\":\"block_actions\"}" },
        { "interactive", PAYLOAD("{\"type\":\"view_submission\"}"), "interactive", "interactive",
          "{\"type\":\"view_submission\"}" },
        { "options", PAYLOAD("{\"type\":\"new\"}"), "options", "options", "{\"type\":\"new\"}" },
        { "open", PAYLOAD("{\"a\":1}"), "Unknown", "Unknown", "{\"a\":1}" },
        { "close", PAYLOAD("{\"a\":1}"), "Unknown", "Unknown", "{\"a\":1}" },
        { "Unknown", PAYLOAD("{\"a\":1}"), "Unknown", "Unknown", "{\"a\":1}" },
    };
    char id[16], envelope[512];
    (void)state;
    open_app();
    say_hello(&slack);
    for (size_t i = 0; i < COUNT(rows); i++) {
        keeps = 0;
        assert_int_equal(rtm_on(bot, rows[i].handler, keep, NULL), RTM_OK);
        snprintf(id, sizeof id, "E%zu", i);
        server_send_envelope(&slack, id, rows[i].type, rows[i].members);
        record *received_event = next_event(rows[i].received_as);
        if (strcmp(received_event->data, rows[i].data))
            fail_msg("row %zu: %s", i, received_event->data);
        assert_int_equal(received_event->result, RTM_OK);
        assert_int_equal(keeps, 1); /* a handler with its type or "*", called once */
        assert_string_equal(kept_data, rows[i].data);
        snprintf(envelope, sizeof envelope, "{\"envelope_id\":\"%s\",\"type\":\"%s\",%s}", id,
                 rows[i].type, rows[i].members);
        assert_string_equal(kept_envelope, envelope);
        server_expect_ack(&slack, id);
        rtm_off(bot, rows[i].handler, keep, NULL);
    }
    no_event();
    expect_life();
    assert_int_equal(rtm_get_state(bot), RTM_STATE_OPEN); /* no inner event ends a session */
}

static void an_event_of_rtm_has_no_envelope(void **state) {
    (void)state;
    make_bot(NULL);
    open_session();
    rtm_on(bot, "slash_commands", keep, NULL);
    keeps = 0;
    server_send_envelope(&slack, "E1", "slash_commands", COMMAND("/x"));
    next_event("slash_commands");
    assert_int_equal(keeps, 1);
    assert_string_equal(kept_envelope, "");
    expect_nothing();
}

static void an_event_without_a_handler_is_acknowledged(void **state) {
    static const char *const types[] = { "events_api", "slash_commands", "strange" };
    (void)state;
    open_app();
    rtm_off(bot, "*", record_event, NULL);
    for (size_t i = 0; i < COUNT(types); i++) {
        char id[8];
        snprintf(id, sizeof id, "E%zu", i);
        server_send_envelope(&slack, id, types[i], COMMAND("/x"));
        server_expect_ack(&slack, id);
    }
    expect_nothing();
}

/* Acknowledgements ----------------------------------------------------------------------------- */

/* What a callback of a test does, and what the server has received when it begins and ends. */
static const char *reply_json;
static rtm_result replied[3];
static int ack_before, ack_after;
static bool calls_api;

static int count_acks(void) {
    frame got;
    int count = 0;
    while (server_try_frame(&slack, &got)) count += strstr(got.payload, "envelope_id") != NULL;
    return count;
}

static int answer_other(int timeout_ms) {
    request got;
    (void)timeout_ms;
    server_try_accept(&other);
    if (other.fd < 0 || !server_try_request(&other, &got)) return 0;
    ack_before = count_acks();
    server_answer(&other, "200 OK", "", "{\"ok\":true}");
    return 0;
}

static void react(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)user_data;
    ack_before = count_acks();
    if (calls_api) assert_int_equal(rtm_call(client, NULL, "auth.test", NULL), RTM_OK);
    if (reply_json)
        for (int i = 0; i < 3; i++) replied[i] = rtm_reply(client, event, i ? "{}" : reply_json);
    ack_after = count_acks();
}

/* Three replies, the first with the text of the row. */
static int replies;
static void reply(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)user_data;
    for (replies = 0; replies < 3; replies++)
        replied[replies] = rtm_reply(client, event, replies ? "{}" : reply_json);
}

static rtm_event late;
static void reply_late(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client, (void)user_data;
    late = *event;
}

static void pass_2_s(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client, (void)event, (void)user_data;
    test_now_ms += 2000;
}

static void end_by_program(rtm_client *client, const rtm_event *event, void *user_data) {
    if (*(bool *)user_data) rtm_stop(client);
    else assert_int_equal(rtm_reconnect(client), RTM_OK);
    if (reply_json) assert_int_equal(rtm_reply(client, event, reply_json), RTM_OK);
}

static void answer_message(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)user_data;
    if (rtm_json_equals(rtm_json_get(event->data, "text"), "ping"))
        assert_int_equal(rtm_send_message(client, "C1", "pong"), 1);
}

static void begin_reactions(void) {
    open_app();
    say_hello(&slack);
    server_share(&other, &slack);
    rtm_on(bot, "message", react, NULL);
    rtm_on(bot, "slash_commands", react, NULL);
    rtm_on(bot, "interactive", react, NULL);
    rtm_on(bot, "strange", react, NULL);
    rtm_on(bot, "hello", react, NULL);
    reply_json = NULL;
    calls_api = false;
    ack_before = ack_after = -1;
    server_idle = answer_other;
}

static void each_envelope_is_acknowledged_once_and_in_time(void **state) {
    static const struct {
        const char *type, *members, *reply;
        bool calls;
        int before, after, later; /* acknowledgements that the server has by then */
    } rows[] = {
        { "events_api", EVENT("Ev1", "{\"type\":\"message\"}"), NULL, false, 1, 0, 0 },
        { "strange", "\"payload\":{}", NULL, false, 1, 0, 0 },
        { "slash_commands", COMMAND("/x"), NULL, false, 0, 0, 1 },
        { "slash_commands", COMMAND("/x"), "{\"text\":\"a\"}", false, 0, 1, 0 },
        { "slash_commands", COMMAND("/x"), NULL, true, 1, 0, 0 },
        { "slash_commands", COMMAND("/x"), "{\"text\":\"a\"}", true, 1, 0, 0 },
        { "interactive", "\"accepts_response_payload\":true,\"payload\":{}", NULL, false, 0, 0, 1 },
        { "interactive", "\"accepts_response_payload\":true,\"payload\":{}", "{}", false, 0, 1, 0 },
        { "interactive", "\"accepts_response_payload\":false,\"payload\":{}", NULL, false, 1, 0,
          0 },
        { "interactive", "\"payload\":{}", NULL, false, 1, 0, 0 },
    };
    (void)state;
    begin_reactions();
    for (size_t i = 0; i < COUNT(rows); i++) {
        char id[8];
        snprintf(id, sizeof id, "E%zu", i);
        reply_json = rows[i].reply;
        calls_api = rows[i].calls;
        ack_before = ack_after = -1;
        server_send_envelope(&slack, id, rows[i].type, rows[i].members);
        WAIT_FOR(ack_after >= 0);
        if (ack_before != rows[i].before || ack_after != rows[i].after)
            fail_msg("row %zu: %d before, %d within", i, ack_before, ack_after);
        if (rows[i].later) server_expect_ack(&slack, id);
        expect_life(); /* nothing else was received */
    }
    server_free(&other);
}

static void a_reply_has_its_result_and_travels_in_the_acknowledgement(void **state) {
    static char fits[20480], over[20481];
    static const struct {
        const char *type, *members, *json;
        rtm_result first, second, third; /* the second and third replies are "{}" */
        const char *sent; /* payload of the acknowledgement, "" without one, NULL not looked at */
    } rows[] = {
        { "slash_commands", COMMAND("/x"), "{\"text\":\"\\u00e4 \xc3\xa4\"}", RTM_OK, RTM_E_BUSY,
          RTM_E_BUSY, "{\"text\":\"\\u00e4 \xc3\xa4\"}" },
        { "slash_commands", COMMAND("/x"), "{}", RTM_OK, RTM_E_BUSY, RTM_E_BUSY, "{}" },
        { "interactive", "\"accepts_response_payload\":true,\"payload\":{}",
          "{\"response_action\":\"clear\"}", RTM_OK, RTM_E_BUSY, RTM_E_BUSY,
          "{\"response_action\":\"clear\"}" },
        { "strange", "\"accepts_response_payload\":true,\"payload\":{}", "{\"a\":1}", RTM_OK,
          RTM_E_BUSY, RTM_E_BUSY, "{\"a\":1}" },
        { "events_api", EVENT("Ev1", "{\"type\":\"message\"}"), "{}", RTM_E_UNSUPPORTED,
          RTM_E_UNSUPPORTED, RTM_E_UNSUPPORTED, "" },
        { "interactive", "\"accepts_response_payload\":\"true\",\"payload\":{}", "{}",
          RTM_E_UNSUPPORTED, RTM_E_UNSUPPORTED, RTM_E_UNSUPPORTED, "" },
        { "slash_commands", COMMAND("/x"), "[]", RTM_E_JSON, RTM_OK, RTM_E_BUSY, "{}" },
        { "slash_commands", COMMAND("/x"), "\"text\"", RTM_E_JSON, RTM_OK, RTM_E_BUSY, "{}" },
        { "slash_commands", COMMAND("/x"), "{\"a\":", RTM_E_JSON, RTM_OK, RTM_E_BUSY, "{}" },
        { "slash_commands", COMMAND("/x"), "{} {}", RTM_E_JSON, RTM_OK, RTM_E_BUSY, "{}" },
        { "slash_commands", COMMAND("/x"), "{\"a\":\"\xff\"}", RTM_E_JSON, RTM_OK, RTM_E_BUSY,
          "{}" },
        { "slash_commands", COMMAND("/x"), over, RTM_E_TOO_BIG, RTM_OK, RTM_E_BUSY, "{}" },
        { "slash_commands", COMMAND("/x"), fits, RTM_OK, RTM_E_BUSY, RTM_E_BUSY, fits },
    };
    static frame got;
    static char sent[20600];
    char id[8];
    (void)state;
    /* The frame may have 20,479 bytes; {"envelope_id":"E00","payload":} are 32 of them. */
    snprintf(fits, sizeof fits, "{\"a\":\"%0*d\"}", 20479 - 32 - 8, 0);
    snprintf(over, sizeof over, "{\"a\":\"%0*d\"}", 20479 - 32 - 7, 0);
    begin_reactions();
    for (size_t i = 0; i < COUNT(rows); i++) {
        snprintf(id, sizeof id, "E%02zu", i);
        reply_json = rows[i].json;
        rtm_off(bot, rows[i].type, react, NULL);
        rtm_off(bot, "message", react, NULL);
        rtm_on(bot, strcmp(rows[i].type, "events_api") ? rows[i].type : "message", reply, NULL);
        replies = 0;
        server_send_envelope(&slack, id, rows[i].type, rows[i].members);
        server_read_frame(&slack, &got);
        WAIT_FOR(replies == 3);
        if (replied[0] != rows[i].first || replied[1] != rows[i].second ||
            replied[2] != rows[i].third)
            fail_msg("row %zu: %d, %d, %d", i, replied[0], replied[1], replied[2]);
        snprintf(sent, sizeof sent, "{\"envelope_id\":\"%s\"%s%s}", id,
                 *rows[i].sent ? ",\"payload\":" : "", rows[i].sent);
        assert_string_equal(got.payload, sent);
        expect_life();
    }
    server_free(&other);
}

static void nothing_else_accepts_a_reply(void **state) {
    (void)state;
    begin_reactions();
    reply_json = "{}";
    server_send_text(&slack, "{\"type\":\"hello\"}");
    next_event("hello");
    WAIT_FOR(ack_after >= 0);
    for (int i = 0; i < 3; i++) assert_int_equal(replied[i], RTM_E_UNSUPPORTED);
    assert_true(strlen(rtm_error_detail(bot)) > 10);
    reply_json = NULL;
    rtm_on(bot, "slash_commands", reply_late, NULL);
    server_send_envelope(&slack, "E1", "slash_commands", COMMAND("/x"));
    server_expect_ack(&slack, "E1");
    assert_int_not_equal(rtm_reply(bot, &late, "{}"), RTM_OK); /* its callback has returned */
    assert_int_equal(rtm_reply(NULL, &late, "{}"), RTM_E_ARGUMENT);
    assert_int_equal(rtm_reply(bot, NULL, "{}"), RTM_E_ARGUMENT);
    expect_nothing();
    server_free(&other);
}

static void a_reply_on_a_connection_that_ended_is_not_connected(void **state) {
    (void)state;
    open_app();
    say_hello(&slack);
    reply_json = "{}";
    rtm_on(bot, "message", pass_2_s, NULL);
    rtm_on(bot, "slash_commands", reply, NULL);
    server_send_envelope(&slack, "E1", "events_api", EVENT("Ev1", "{\"type\":\"message\"}"));
    server_send_envelope(&slack, "E2", "slash_commands", COMMAND("/x"));
    next_event("message");
    assert_int_equal(received_count, received_next); /* the command waits */
    server_reset(&slack);
    next_event("slash_commands");
    next_error(RTM_E_CLOSED);
    next_event("close");
    assert_int_equal(replied[0], RTM_E_NOT_CONNECTED);
}

/* Whatever the callback does to the session, its command is not left without an answer. */
static void an_end_requested_in_a_callback_follows_the_acknowledgement(void **state) {
    (void)state;
    for (int row = 0; row < 4; row++) {
        begin_reactions();
        rtm_off(bot, "slash_commands", react, NULL);
        bool stop = row & 1;
        rtm_on(bot, "slash_commands", end_by_program, &stop);
        reply_json = row & 2 ? "{}" : NULL;
        server_send_envelope(&slack, "E1", "slash_commands", COMMAND("/x"));
        server_expect(&slack, RTMI_WS_TEXT, reply_json ? "{\"envelope_id\":\"E1\",\"payload\":{}}"
                                                       : "{\"envelope_id\":\"E1\"}");
        server_expect_close(&slack, 1000);
        server_free(&other);
        end_bot();
        received_count = received_next = 0;
    }
}

/* Deferred replies ----------------------------------------------------------------------------- */

static int deferred[100], deferred_count; /* what rtm_defer returned */
static const char *reply_at_once;         /* the callback replies with this, too */
static rtm_result at_once[3];

static void defer(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)user_data;
    assert_in_range(deferred_count, 0, COUNT(deferred) - 1);
    int id = deferred[deferred_count++] = rtm_defer(client, event);
    if (id < 0 && id != RTM_E_MEMORY)
        assert_non_null(strstr(rtm_error_detail(client), "rtm_defer: "));
    if (id < 0) note_shown(rtm_error_detail(client));
}

/* Defers a reply, then replies in the same callback: with the deferral's id, then twice more. */
static void defer_and_reply(rtm_client *client, const rtm_event *event, void *user_data) {
    bool by_event = *(bool *)user_data;
    defer(client, event, NULL);
    int id = deferred[deferred_count - 1];
    assert_int_equal(rtm_defer(client, event), id);
    at_once[0] = by_event ? rtm_reply(client, event, reply_at_once)
                          : rtm_reply_deferred(client, id, reply_at_once);
    at_once[1] = rtm_reply(client, event, "{}");
    at_once[2] = rtm_reply_deferred(client, id, "{}");
    if (at_once[0] == RTM_OK) assert_int_equal(rtm_defer(client, event), RTM_E_BUSY);
}

static void begin_deferring(void) {
    rtm_config config = app_config();
    config.ping_interval_ms = -1;
    make_bot(&config);
    open_session();
    say_hello(&slack);
    if (!other.listener || other.listener < 0) server_share(&other, &slack);
    deferred_count = 0;
    rtm_on(bot, "slash_commands", defer, NULL);
    rtm_on(bot, "function_executed", defer, NULL);
}

static void end_deferring(void) {
    end_bot();
    server_close(&slack);
    server_free(&other);
    memset(&other, 0, sizeof other);
    received_count = received_next = 0;
}

static void send_command(server *s, const char *id) {
    server_send_envelope(s, id, "slash_commands", COMMAND("/x"));
}

static void send_function(server *s, const char *id) {
    char members[200];
    snprintf(members, sizeof members, EVENT("Ev%s", "{\"type\":\"function_executed\"}"), id);
    server_send_envelope(s, id, "events_api", members);
}

static void expect_none(server *s) {
    frame got;
    for (int i = 0; i < 5; i++) server_round(i);
    if (server_try_frame(s, &got)) fail_msg("sent: %s", got.payload);
}

/* A command whose reply is deferred: the deferral's id. */
static int defer_command(server *s, const char *id) {
    int before = deferred_count;
    send_command(s, id);
    next_event("slash_commands");
    assert_int_equal(deferred_count, before + 1);
    assert_true(deferred[before] > 0);
    expect_none(s);
    return deferred[before];
}

static void expect_reply(server *s, const char *id, const char *json) {
    char text[200];
    snprintf(text, sizeof text, "{\"envelope_id\":\"%s\",\"payload\":%s}", id, json);
    server_expect(s, RTMI_WS_TEXT, text);
}

static void is_refused(int id, const char *json, rtm_result result, const char *about) {
    assert_int_equal(rtm_reply_deferred(bot, id, json), result);
    const char *detail = rtm_error_detail(bot);
    if (!strstr(detail, about)) fail_msg("%s is not about %s", detail, about);
    note_shown(detail);
}

static void a_reply_is_deferred_within_its_callback(void **state) {
    (void)state;
    for (int by_event = 0; by_event < 2; by_event++) {
        bool user_data = by_event;
        begin_deferring();
        rtm_off(bot, "slash_commands", defer, NULL);
        rtm_on(bot, "slash_commands", defer_and_reply, &user_data);
        reply_at_once = "{\"a\":1}";
        send_command(&slack, "E1");
        expect_reply(&slack, "E1", "{\"a\":1}");
        expect_life();
        assert_int_equal(at_once[0], RTM_OK);
        assert_int_equal(at_once[1], RTM_E_BUSY);
        assert_int_equal(at_once[2], RTM_E_BUSY);
        is_refused(deferred[0], "{}", RTM_E_BUSY, "already replied");
        /* One that fails leaves the deferral open, for the next in the callback. */
        reply_at_once = "[]";
        send_command(&slack, "E2");
        expect_reply(&slack, "E2", "{}");
        expect_life();
        assert_int_equal(at_once[0], RTM_E_JSON);
        assert_int_equal(at_once[1], RTM_OK);
        assert_int_equal(at_once[2], RTM_E_BUSY);
        end_deferring();
    }
}

static void reply_only(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)user_data;
    assert_int_equal(rtm_reply(client, event, "{}"), RTM_OK);
}

static void a_reply_that_is_sent_leaves_no_error_message(void **state) {
    (void)state;
    begin_deferring();
    int id = defer_command(&slack, "E1");
    assert_int_equal(rtm_reply_deferred(bot, id, "{}"), RTM_OK);
    assert_string_equal(rtm_error_detail(bot), "");
    rtm_off(bot, "slash_commands", defer, NULL);
    rtm_on(bot, "slash_commands", reply_only, NULL);
    send_command(&slack, "E2");
    next_event("slash_commands");
    assert_string_equal(rtm_error_detail(bot), "");
    end_deferring();
}

static void two_callbacks_share_a_deferral(void **state) {
    (void)state;
    begin_deferring();
    rtm_on(bot, "slash_commands::/x", defer, NULL);
    send_command(&slack, "E1");
    next_event("slash_commands");
    expect_nothing();
    assert_int_equal(deferred_count, 2);
    assert_true(deferred[0] > 0);
    assert_int_equal(deferred[0], deferred[1]);
    assert_int_equal(rtm_reply_deferred(bot, deferred[1], "{}"), RTM_OK);
    expect_reply(&slack, "E1", "{}");
    is_refused(deferred[0], "{}", RTM_E_BUSY, "already replied");
    expect_life();
    end_deferring();
}

static rtm_result late_result;

static void reply_in_callback(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event;
    late_result = rtm_reply_deferred(client, deferred[0], user_data);
}

static void reply_in_response(rtm_client *client, const rtm_response *response, void *user_data) {
    assert_int_equal(response->result, RTM_OK);
    late_result = rtm_reply_deferred(client, deferred[0], user_data);
}

static void a_deferred_reply_leaves_outside_callbacks_in_another_or_after_a_call(void **state) {
    static char json[] = "{\"options\":[]}";
    (void)state;
    for (int way = 0; way < 4; way++) {
        begin_deferring();
        late_result = 1;
        int id = defer_command(&slack, "E1");
        if (way == 0) late_result = rtm_reply_deferred(bot, id, json);
        if (way == 1) {
            rtm_on(bot, "message", reply_in_callback, json);
            server_send_envelope(&slack, "E2", "events_api",
                                 EVENT("Ev2", "{\"type\":\"message\"}"));
            server_expect_ack(&slack, "E2");
        }
        if (way == 2) {
            request got;
            assert_true(rtm_call_async(bot, reply_in_response, json, "test.a", NULL) > 0);
            server_accept(&other);
            server_read_request(&other, &got);
            expect_nothing();
            server_answer(&other, "200 OK", "", "{\"ok\":true}");
        }
        if (way == 3) late_result = rtm_reply_deferred(bot, id, NULL);
        if (way == 3) server_expect_ack(&slack, "E1");
        else expect_reply(&slack, "E1", json);
        assert_int_equal(late_result, RTM_OK);
        is_refused(id, json, RTM_E_BUSY, "already replied");
        expect_life();
        end_deferring();
    }
}

static void what_is_deferred_and_never_replied_to_is_not_acknowledged(void **state) {
    (void)state;
    begin_deferring();
    defer_command(&slack, "E1");
    for (int i = 0; i < 100; i++) {
        test_now_ms += 1000;
        expect_nothing();
    }
    defer_command(&slack, "E2");
    expect_life();
    rtm_stop(bot);
    server_expect_close(&slack, 1000);
    end_deferring();
}

static void a_blocking_call_does_not_acknowledge_what_is_deferred(void **state) {
    (void)state;
    begin_reactions();
    calls_api = true;
    rtm_off(bot, "slash_commands", react, NULL);
    deferred_count = 0;
    rtm_on(bot, "slash_commands", defer, NULL);
    rtm_on(bot, "slash_commands", react, NULL); /* called after it */
    send_command(&slack, "E1");
    WAIT_FOR(ack_after >= 0);
    assert_int_equal(ack_before, 0); /* when the call was answered */
    assert_int_equal(ack_after, 0);
    expect_nothing();
    assert_int_equal(rtm_reply_deferred(bot, deferred[0], "{}"), RTM_OK);
    expect_reply(&slack, "E1", "{}");
    server_free(&other);
    memset(&other, 0, sizeof other);
}

static void a_deferral_lives_as_long_as_its_connection_in_a_handover(void **state) {
    (void)state;
    begin_deferring();
    int early = defer_command(&slack, "E1"), late_one = defer_command(&slack, "E2");
    int last = defer_command(&slack, "E3");
    request got;
    test_now_ms += 30000;
    server_send_text(&slack, "{\"type\":\"disconnect\",\"reason\":\"warning\"}");
    for (int i = 0; i < 5; i++) server_round(i);
    test_now_ms += 1000;
    take_upgrade_on(&other, &got);
    server_answer_upgrade(&other, &got);
    assert_int_equal(rtm_reply_deferred(bot, early, "{\"n\":1}"), RTM_OK);
    expect_reply(&slack, "E1", "{\"n\":1}");
    say_hello(&other);
    int on_new = defer_command(&other, "E4");
    assert_int_equal(rtm_reply_deferred(bot, late_one, "{\"n\":2}"), RTM_OK);
    expect_reply(&slack, "E2", "{\"n\":2}");
    is_refused(early, "{}", RTM_E_BUSY, "already replied");
    is_refused(late_one, "{}", RTM_E_BUSY, "already replied");
    test_now_ms += 14000; /* the first is open for 15 s */
    int again = defer_command(&slack, "E5");
    assert_int_equal(rtm_reply_deferred(bot, again, "{\"n\":5}"), RTM_OK);
    expect_reply(&slack, "E5", "{\"n\":5}");
    test_now_ms += 1000;
    server_expect_close(&slack, 1000);
    server_send_close(&slack, 1000, "");
    server_ends(&slack);
    is_refused(last, "{}", RTM_E_NOT_CONNECTED, "session has ended");
    is_refused(again, "{}", RTM_E_BUSY, "already replied");
    assert_int_equal(rtm_reply_deferred(bot, on_new, "{\"n\":4}"), RTM_OK);
    expect_reply(&other, "E4", "{\"n\":4}");
    is_refused(on_new, "{}", RTM_E_BUSY, "already replied");
    expect_none(&other);
    end_deferring();
}

static void a_deferral_ends_with_its_connection(void **state) {
    (void)state;
    for (int how = 0; how < 6; how++) {
        begin_deferring();
        int id = defer_command(&slack, "E1"), used = defer_command(&slack, "E2");
        assert_int_equal(rtm_reply_deferred(bot, used, "{}"), RTM_OK);
        expect_reply(&slack, "E2", "{}");
        if (how == 0) server_reset(&slack);
        if (how == 1) server_close(&slack);
        if (how == 2) server_send_close(&slack, 1001, "");
        if (how == 3) server_send_frame(&slack, 3, FIN, "", 0); /* a protocol error */
        if (how == 4) assert_int_equal(rtm_reconnect(bot), RTM_OK);
        if (how == 5) rtm_stop(bot);
        for (int i = 0; i < 5; i++) server_round(i); /* CLOSING is too late too */
        if (how < 5) await_event("close");
        is_refused(id, "{}", RTM_E_NOT_CONNECTED, "session has ended");
        is_refused(used, "{}", RTM_E_BUSY, "already replied");
        /* Another session makes no difference, nor does a third; each has ids of its own. */
        for (int n = 0; n < 2 && how < 5; n++) {
            char name[16];
            test_now_ms += rtm_timeout_ms(bot);
            server_close(&slack);
            open_session();
            say_hello(&slack);
            is_refused(id, "{}", RTM_E_NOT_CONNECTED, "session has ended");
            is_refused(used, "{}", RTM_E_BUSY, "already replied");
            expect_nothing();
            send_command(&slack, "E1"); /* Slack sends it again: it was delivered */
            server_expect_ack(&slack, "E1");
            expect_life();
            assert_int_equal(received_count, received_next);
            snprintf(name, sizeof name, "F%d", n);
            int next = defer_command(&slack, name);
            assert_int_not_equal(next, id);
            assert_int_not_equal(next, used);
            is_refused(id, "{}", RTM_E_NOT_CONNECTED, "session has ended");
            assert_int_equal(rtm_reply_deferred(bot, next, "{}"), RTM_OK);
            expect_reply(&slack, name, "{}");
            is_refused(next, "{}", RTM_E_BUSY, "already replied");
            expect_life();
            server_send_close(&slack, 1001, "");
            await_event("close");
        }
        end_deferring();
    }
}

/* Its callback is called after the end of the connection. */
static void a_reply_is_not_deferred_after_the_end_of_its_connection(void **state) {
    (void)state;
    for (int another = 0; another < 2; another++) {
        request got;
        begin_deferring();
        rtm_on(bot, "message", pass_2_s, NULL);
        if (another) { /* another session is open */
            test_now_ms += 30000;
            server_send_text(&slack, "{\"type\":\"disconnect\",\"reason\":\"warning\"}");
            for (int i = 0; i < 5; i++) server_round(i);
            test_now_ms += 1000;
            take_upgrade_on(&other, &got);
            server_answer_upgrade(&other, &got);
            say_hello(&other);
        }
        server_send_envelope(&slack, "E1", "events_api", EVENT("Ev1", "{\"type\":\"message\"}"));
        send_command(&slack, "E2");
        next_event("message");
        assert_int_equal(received_count, received_next); /* the command waits */
        server_reset(&slack);
        next_event("slash_commands");
        assert_int_equal(deferred_count, 1);
        assert_int_equal(deferred[0], RTM_E_NOT_CONNECTED);
        assert_non_null(strstr(shown, "rtm_defer: the session has ended"));
        if (another) expect_none(&other);
        end_deferring();
    }
}

static void at_most_64_replies_are_deferred(void **state) {
    enum { MOST = 64 };
    char id[16], json[32];
    (void)state;
    begin_deferring();
    for (int i = 0; i < MOST; i++) {
        snprintf(id, sizeof id, "E%d", i);
        defer_command(&slack, id);
        for (int j = 0; j < i; j++) assert_int_not_equal(deferred[j], deferred[i]);
    }
    for (int i = 0; i < 2; i++) { /* not deferred: acknowledged when its callback returns */
        snprintf(id, sizeof id, "E%d", MOST + i);
        send_command(&slack, id);
        server_expect_ack(&slack, id);
        assert_int_equal(deferred[MOST + i], RTM_E_AGAIN);
    }
    for (int i = MOST - 1; i >= 0; i -= 2) { /* in another order than they came */
        snprintf(id, sizeof id, "E%d", i);
        snprintf(json, sizeof json, "{\"n\":%d}", i);
        assert_int_equal(rtm_reply_deferred(bot, deferred[i], json), RTM_OK);
        expect_reply(&slack, id, json);
    }
    received_next = received_count;
    defer_command(&slack, "F");
    for (int i = 0; i < MOST; i++) {
        bool used = i % 2;
        assert_int_equal(rtm_reply_deferred(bot, deferred[i], NULL), used ? RTM_E_BUSY : RTM_OK);
        snprintf(id, sizeof id, "E%d", i);
        if (!used) server_expect_ack(&slack, id);
    }
    expect_life();
    deferred_count = 0;
    for (int i = 1; i < MOST; i++) { /* one is outstanding */
        snprintf(id, sizeof id, "G%d", i);
        defer_command(&slack, id);
    }
    send_command(&slack, "H");
    server_expect_ack(&slack, "H");
    assert_int_equal(deferred[MOST - 1], RTM_E_AGAIN);
    server_send_close(&slack, 1001, ""); /* the end of a connection makes room for others */
    await_event("close");
    test_now_ms += rtm_timeout_ms(bot);
    open_session();
    say_hello(&slack);
    for (int i = 0; i < MOST; i++) {
        deferred_count = 0;
        snprintf(id, sizeof id, "I%d", i);
        defer_command(&slack, id);
    }
    end_deferring();
}

static void a_deferred_reply_that_fails_leaves_the_deferral_open(void **state) {
    static char fits[20480], over[20481];
    static const char *const wrong[] = { "", "[]", "7", "\"a\"", "{\"a\":", "{} {}",
                                         "{\"a\":\"\xff\"}" };
    char text[20600];
    frame got;
    (void)state;
    snprintf(fits, sizeof fits, "{\"a\":\"%0*d\"}", 20479 - 32 - 8, 0);
    snprintf(over, sizeof over, "{\"a\":\"%0*d\"}", 20479 - 32 - 7, 0);
    begin_deferring();
    int id = defer_command(&slack, "E01");
    for (size_t i = 0; i < COUNT(wrong); i++)
        is_refused(id, wrong[i], RTM_E_JSON, "rtm_reply_deferred: json");
    is_refused(id, over, RTM_E_TOO_BIG, "limit 20479");
    expect_nothing();
    assert_int_equal(rtm_reply_deferred(bot, id, fits), RTM_OK);
    server_read_frame(&slack, &got);
    snprintf(text, sizeof text, "{\"envelope_id\":\"E01\",\"payload\":%s}", fits);
    assert_string_equal(got.payload, text);
    expect_life();
    end_deferring();
}

/* The send buffer is full (64 KiB): no reply is accepted, and none is lost. */
static void a_deferred_reply_waits_for_room(void **state) {
    static char large[20000];
    static frame got;
    char id[16];
    int small = 4096, sent = 0, refused = 0;
    (void)state;
    snprintf(large, sizeof large, "{\"a\":\"%0*d\"}", 19000, 0);
    setsockopt(slack.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    begin_deferring();
    setsockopt(session_socket(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    for (int i = 0; i < 60; i++) {
        snprintf(id, sizeof id, "E%d", i);
        defer_command(&slack, id);
    }
    for (; sent < 60 && !refused; sent += !refused) {
        rtm_result result = rtm_reply_deferred(bot, deferred[sent], large);
        if (result != RTM_OK) assert_int_equal(result, RTM_E_AGAIN);
        refused = result != RTM_OK;
    }
    assert_true(refused);
    assert_int_equal(rtm_reply_deferred(bot, deferred[sent], large), RTM_E_AGAIN);
    for (int i = 0; i < 60; i++) {
        if (i >= sent) assert_int_equal(rtm_reply_deferred(bot, deferred[i], large), RTM_OK);
        server_read_frame(&slack, &got);
        snprintf(id, sizeof id, "\"E%d\"", i);
        assert_non_null(strstr(got.payload, id));
    }
    expect_life();
    end_deferring();
}

/* The first session accepts the reply; the second, which has sent a copy, has no room for it: a
   second reply must not acknowledge the envelope again on the first. */
static void a_reply_that_one_of_two_sessions_accepts_is_sent(void **state) {
    static char large[20000];
    request got;
    int small = 4096, id, sent = 1;
    rtm_result result = RTM_OK;
    (void)state;
    snprintf(large, sizeof large, "{\"a\":\"%0*d\"}", 19000, 0);
    setsockopt(slack.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    begin_deferring();
    id = defer_command(&slack, "E1");
    test_now_ms += 30000;
    server_send_text(&slack, "{\"type\":\"disconnect\",\"reason\":\"warning\"}");
    for (int i = 0; i < 5; i++) server_round(i);
    test_now_ms += 1000;
    take_upgrade_on(&other, &got);
    server_answer_upgrade(&other, &got);
    say_hello(&other);
    int fd = session_socket();
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    send_command(&other, "E1");
    for (int i = 0; i < 60; i++) {
        char name[16];
        snprintf(name, sizeof name, "F%d", i);
        defer_command(&other, name);
    }
    while (sent < 60 && result == RTM_OK) result = rtm_reply_deferred(bot, deferred[sent++], large);
    assert_int_equal(result, RTM_E_AGAIN);
    snprintf(large, sizeof large, "{\"a\":\"%0*d\"}", 18000, 0);
    assert_int_equal(rtm_reply_deferred(bot, id, large), RTM_OK);
    is_refused(id, large, RTM_E_BUSY, "already replied");
    static frame one;
    server_read_frame(&slack, &one);
    assert_non_null(strstr(one.payload, "\"E1\",\"payload\":{"));
    expect_nothing();
    end_deferring();
}

static void function_executed_is_acknowledged_after_its_callbacks_or_deferred(void **state) {
    (void)state;
    begin_deferring();
    send_function(&slack, "E1");
    next_event("function_executed");
    expect_nothing();
    int id = deferred[0];
    assert_true(id > 0);
    is_refused(id, "{}", RTM_E_UNSUPPORTED, "accepts no payload");
    expect_nothing();
    assert_int_equal(rtm_reply_deferred(bot, id, NULL), RTM_OK);
    server_expect_ack(&slack, "E1");
    is_refused(id, NULL, RTM_E_BUSY, "already replied");
    rtm_off(bot, "function_executed", defer, NULL);
    rtm_on(bot, "function_executed", react, NULL);
    reply_json = NULL;
    calls_api = false;
    ack_before = ack_after = -1;
    send_function(&slack, "E2");
    WAIT_FOR(ack_after >= 0);
    assert_int_equal(ack_before, 0);
    assert_int_equal(ack_after, 0);
    server_expect_ack(&slack, "E2");
    expect_life();
    end_deferring();
}

static void keep_event(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client;
    *(rtm_event *)user_data = *event;
}

static void an_event_without_a_reply_cannot_be_deferred(void **state) {
    static const struct { const char *type, *members, *received_as; } rows[] = {
        { "events_api", EVENT("Ev1", "{\"type\":\"message\"}"), "message" },
        { "interactive", "\"accepts_response_payload\":false,\"payload\":{}", "interactive" },
        { "interactive", "\"payload\":{}", "interactive" },
        { "strange", "\"payload\":{}", "strange" },
    };
    rtm_event event;
    (void)state;
    begin_deferring();
    for (size_t i = 0; i < COUNT(rows); i++) {
        char id[8];
        snprintf(id, sizeof id, "E%zu", i);
        rtm_on(bot, rows[i].received_as, defer, NULL);
        server_send_envelope(&slack, id, rows[i].type, rows[i].members);
        server_expect_ack(&slack, id);
        next_event(rows[i].received_as);
        rtm_off(bot, rows[i].received_as, defer, NULL);
        assert_int_equal(deferred_count, i + 1);
        assert_int_equal(deferred[i], RTM_E_UNSUPPORTED);
    }
    rtm_on(bot, "hello", defer, NULL);
    say_hello(&slack);
    assert_int_equal(deferred[COUNT(rows)], RTM_E_UNSUPPORTED);
    assert_int_equal(rtm_defer(bot, NULL), RTM_E_ARGUMENT);
    rtm_on(bot, "slash_commands", keep_event, &event);
    defer_command(&slack, "E9");
    assert_int_equal(rtm_defer(NULL, &event), RTM_E_ARGUMENT);
    assert_int_equal(rtm_defer(bot, &event), RTM_E_BUSY); /* its callbacks have returned */
    assert_int_equal(rtm_reply(bot, &event, "{}"), RTM_E_BUSY);
    expect_life();
    end_deferring();

    make_bot(NULL); /* RTM */
    open_session_with_hello();
    deferred_count = 0;
    rtm_on(bot, "slash_commands", defer, NULL);
    send_command(&slack, "E1");
    next_event("slash_commands");
    assert_int_equal(deferred[0], RTM_E_UNSUPPORTED);
    is_refused(2, "{}", RTM_E_ARGUMENT, "rtm_reply_deferred: ");
    expect_nothing();
}

static void unknown_ids_are_refused(void **state) {
    static const int ids[] = { 0, -1, INT_MIN, INT_MAX, 100000, INT_MAX / 2, RTM_E_AGAIN };
    (void)state;
    begin_deferring();
    for (int made = 0; made < 3; made++) {
        for (size_t i = 0; i < COUNT(ids); i++)
            is_refused(ids[i], "{}", RTM_E_ARGUMENT, "rtm_reply_deferred: ");
        if (made) is_refused(deferred[made - 1] + 2, "{}", RTM_E_ARGUMENT, "no deferral");
        assert_int_equal(rtm_reply_deferred(NULL, made ? deferred[0] : 1, "{}"), RTM_E_ARGUMENT);
        defer_command(&slack, made ? made > 1 ? "E3" : "E2" : "E1");
    }
    expect_life();
    end_deferring();
}

/* A second copy waits too: at most one acknowledgement leaves on each connection. */
static void a_copy_of_what_is_deferred_gets_its_reply(void **state) {
    request got;
    (void)state;
    begin_deferring();
    int id = defer_command(&slack, "E1");
    send_command(&slack, "E1");
    expect_life();
    assert_int_equal(received_count, received_next); /* it is delivered once */
    assert_int_equal(rtm_reply_deferred(bot, id, "{\"n\":1}"), RTM_OK);
    expect_reply(&slack, "E1", "{\"n\":1}");
    expect_life();
    send_command(&slack, "E1"); /* that was lost */
    server_expect_ack(&slack, "E1");
    id = defer_command(&slack, "E2");
    send_function(&slack, "E3");
    next_event("function_executed");
    int function = deferred[deferred_count - 1];
    test_now_ms += 30000;
    server_send_text(&slack, "{\"type\":\"disconnect\",\"reason\":\"warning\"}");
    for (int i = 0; i < 5; i++) server_round(i);
    test_now_ms += 1000;
    take_upgrade_on(&other, &got);
    server_answer_upgrade(&other, &got);
    say_hello(&other);
    send_command(&other, "E2");
    send_function(&other, "E3");
    expect_none(&other);
    assert_int_equal(rtm_reply_deferred(bot, id, "{\"n\":2}"), RTM_OK);
    expect_reply(&slack, "E2", "{\"n\":2}");
    expect_reply(&other, "E2", "{\"n\":2}");
    assert_int_equal(rtm_reply_deferred(bot, function, NULL), RTM_OK);
    server_expect_ack(&slack, "E3");
    server_expect_ack(&other, "E3");
    expect_none(&slack);
    expect_none(&other);
    assert_int_equal(received_count, received_next);
    end_deferring();
}

static void deferring_without_memory_loses_no_reply(void **state) {
    static char json[3000], text[3100];
    static frame got;
    bool hit = true, deferred_once = false, refused_once = false;
    (void)state;
    snprintf(json, sizeof json, "{\"a\":\"%02900d\"}", 1);
    snprintf(text, sizeof text, "{\"envelope_id\":\"E1\",\"payload\":%s}", json);
    for (long fail = 1; hit; fail++) {
        begin_deferring();
        rtm_off(bot, "*", record_event, NULL);
        send_command(&slack, "E0");
        WAIT_FOR(deferred_count == 1); /* one-time allocations are done */
        test_fail_at = test_allocations + fail;
        send_command(&slack, "E1");
        for (int i = 0; i < 5; i++) server_round(i);
        bool alive = deferred_count == 2, mine = alive && deferred[1] > 0;
        if (alive && !mine) {
            assert_int_equal(deferred[1], RTM_E_MEMORY);
            refused_once = true;
        }
        rtm_result result = mine ? rtm_reply_deferred(bot, deferred[1], json) : RTM_OK;
        hit = test_allocations >= test_fail_at;
        test_fail_at = 0;
        if (mine && result != RTM_OK) {
            assert_int_equal(result, RTM_E_MEMORY);
            assert_int_equal(rtm_reply_deferred(bot, deferred[1], json), RTM_OK);
            deferred_once = true;
        }
        if (mine) server_read_frame(&slack, &got);
        if (mine) assert_string_equal(got.payload, text);
        if (alive && !mine) server_expect_ack(&slack, "E1");
        if (alive) expect_life();
        end_deferring();
        assert_true(fail < 50);
    }
    assert_true(refused_once && deferred_once);
}

/* Repeated envelopes --------------------------------------------------------------------------- */

static void a_repeated_envelope_is_acknowledged_again_and_delivered_once(void **state) {
    static const struct {
        const char *what, *id, *type, *members;
        int after_ms;
        bool new_session;  /* it is sent on another session than the one before */
        const char *received; /* NULL: not delivered */
    } rows[] = {
#define MESSAGE(event_id, more) EVENT(event_id, "{\"type\":\"message\"}") more
        { "the first time", "E1", "events_api", MESSAGE("Ev1", ""), 0, false, "message" },
        { "the same at once", "E1", "events_api", MESSAGE("Ev1", ""), 0, false, NULL },
        { "a retry after 4 s", "E2", "events_api",
          MESSAGE("Ev1", ",\"retry_attempt\":1,\"retry_reason\":\"timeout\""), 4000, false, NULL },
        { "the same after 15 s", "E1", "events_api", MESSAGE("Ev1", ",\"retry_attempt\":0"), 11000,
          false, NULL },
        { "a retry of what never came", "E3", "events_api", MESSAGE("Ev2", ",\"retry_attempt\":1"),
          0, false, "message" },
        { "a second retry of it", "E4", "events_api", MESSAGE("Ev2", ",\"retry_attempt\":2"), 0,
          false, NULL },
        { "the same text, another event", "E5", "events_api", MESSAGE("Ev3", ""), 0, false,
          "message" },
        { "a command", "E7", "slash_commands", COMMAND("/x"), 0, false, "slash_commands" },
        { "the same command", "E7", "slash_commands", COMMAND("/x"), 0, false, NULL },
        { "a like command", "E8", "slash_commands", COMMAND("/x"), 0, false, "slash_commands" },
        { "a strange one", "E9", "strange", "\"payload\":{\"event_id\":\"S1\"}", 0, false,
          "strange" },
        { "the same strange one", "E9", "strange", "\"payload\":{\"event_id\":\"S1\"}", 0, false,
          NULL },
        { "on a new session", "E1", "events_api", MESSAGE("Ev1", ""), 0, true, NULL },
        { "a retry on a new session", "E10", "events_api", MESSAGE("Ev3", ",\"retry_attempt\":1"),
          0, true, NULL },
        { "a new one on a new session", "E11", "events_api", MESSAGE("Ev9", ""), 0, false,
          "message" },
    };
    (void)state;
    open_app();
    say_hello(&slack);
    for (size_t i = 0; i < COUNT(rows); i++) {
        test_now_ms += rows[i].after_ms;
        if (rows[i].new_session) {
            server_send_close(&slack, 1001, "");
            next_event("close");
            test_now_ms += rtm_timeout_ms(bot);
            open_session();
            say_hello(&slack);
        }
        server_send_envelope(&slack, rows[i].id, rows[i].type, rows[i].members);
        server_expect_ack(&slack, rows[i].id);
        expect_life();
        bool delivered = received_count > received_next;
        if (delivered != (rows[i].received != NULL))
            fail_msg("%s: %s", rows[i].what, delivered ? "delivered" : "not delivered");
        if (delivered) next_event(rows[i].received);
    }
}

/* A repetition of the last 512 events is not delivered; of older events it is. */
static void ids_are_remembered_for_512_events(void **state) {
    enum { MOST = 512 };
    char id[16], members[128];
    (void)state;
    open_app();
    say_hello(&slack);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < MOST + round; i++) { /* in the second round one more, a new one */
            snprintf(id, sizeof id, "E%d", i);
            snprintf(members, sizeof members, EVENT("Ev%d", "{\"type\":\"message\"}"), i);
            server_send_envelope(&slack, id, "events_api", members);
            server_expect_ack(&slack, id);
        }
    expect_life();
    assert_int_equal(received_count - received_next, MOST + 1);
    for (int i = 1; i >= 0; i--) {
        snprintf(id, sizeof id, "E%d", i);
        snprintf(members, sizeof members, EVENT("Ev%d", "{\"type\":\"message\"}"), i);
        server_send_envelope(&slack, id, "events_api", members);
        server_expect_ack(&slack, id);
    }
    expect_life();
    assert_int_equal(received_count - received_next, MOST + 2); /* the first was forgotten */
}

/* Bad input ------------------------------------------------------------------------------------ */

static void bad_envelopes_are_reported_and_acknowledged_if_possible(void **state) {
    static char long_id[10001], huge_id[30001], big[4096];
    static char with_long_id[11000], with_huge_id[31000], large[6000], large_without[6000];
    static const struct {
        const char *text;
        const char *id;   /* acknowledged with it; NULL: not acknowledged */
        const char *event; /* its type; NULL: none */
        rtm_result result;
    } rows[] = {
        { "{\"type\":\"events_api\",\"payload\":{\"event\":{\"type\":\"message\"}}}", NULL,
          "events_api", RTM_OK },
        { "{\"type\":\"slash_commands\",\"payload\":{}}", NULL, "slash_commands", RTM_OK },
        { "{\"envelope_id\":7,\"type\":\"strange\"}", NULL, "strange", RTM_OK },
        { "{\"envelope_id\":null,\"type\":\"strange\"}", NULL, "strange", RTM_OK },
        { "{\"envelope_id\":\"N1\"}", "N1", "Unknown", RTM_OK },
        { "{\"envelope_id\":\"N2\",\"type\":7}", "N2", "Unknown", RTM_OK },
        { "{\"envelope_id\":\"N3\",\"type\":\"strange\"}", "N3", "strange", RTM_OK },
        { "{\"envelope_id\":\"a\\\"b\\/\\u00e4\",\"type\":\"strange\"}", "a\\\"b\\/\\u00e4",
          "strange", RTM_OK },
        { "{\"payload\":{\"envelope_id\":\"inner\"},\"type\":\"strange\","
          "\"envelope_id\":\"outer\"}", "outer", "strange", RTM_OK },
        { with_long_id, long_id, "strange", RTM_OK },
        { with_huge_id, NULL, "strange", RTM_OK },
        { "{\"envelope_id\":\"P1\",\"type\":\"events_api\",\"payload\":7}", "P1", "Unknown",
          RTM_OK },
        { "{\"envelope_id\":\"P2\",\"type\":\"events_api\",\"payload\":[{\"event\":1}]}", "P2",
          "Unknown", RTM_OK },
        { "{\"envelope_id\":\"P3\",\"type\":\"events_api\"}", "P3", "events_api", RTM_OK },
        { "{\"envelope_id\":\"P4\",\"type\":\"events_api\",\"payload\":{\"type\":\"x\","
          "\"event\":7}}", "P4", "x", RTM_OK },
        { "{\"envelope_id\":\"P5\",\"type\":\"slash_commands\",\"payload\":\"/x\"}", "P5",
          "slash_commands", RTM_OK },
        { "{\"envelope_id\":\"J1\",\"type\":\"events_api\",\"payload\":", "J1", "error",
          RTM_E_JSON },
        { "{\"envelope_id\":\"J2\",\"type\":\"events_api\"} x", "J2", "error", RTM_E_JSON },
        { "{\"type\":\"events_api\",\"envelope_id\":\"J3\",\"payload\":tru}", "J3", "error",
          RTM_E_JSON },
        { "no JSON at all", NULL, "error", RTM_E_JSON },
        { "", NULL, "error", RTM_E_JSON },
        { "[\"envelope_id\"]", NULL, "Unknown", RTM_OK },
        { large, "B1", "error", RTM_E_TOO_BIG },
        { large_without, NULL, "error", RTM_E_TOO_BIG },
        { "{\"type\":\"disconnect\"", NULL, "error", RTM_E_JSON },
    };
    static char ack[11000], was[11000];
    static frame got;
    rtm_config config = app_config();
    (void)state;
    snprintf(long_id, sizeof long_id, "%010000d", 1);
    snprintf(huge_id, sizeof huge_id, "%030000d", 1);
    snprintf(big, sizeof big, "%04000d", 1);
    snprintf(with_long_id, sizeof with_long_id, "{\"envelope_id\":\"%s\",\"type\":\"strange\"}",
             long_id);
    snprintf(with_huge_id, sizeof with_huge_id, "{\"envelope_id\":\"%s\",\"type\":\"strange\"}",
             huge_id);
    snprintf(large, sizeof large, "{\"envelope_id\":\"B1\",\"payload\":\"%0*d\"}", LIMIT, 1);
    snprintf(large_without, sizeof large_without,
             "{\"payload\":\"%0*d\",\"envelope_id\":\"B2\"}", LIMIT, 1);
    for (int limit = 0; limit < 2; limit++) {
        if (limit) config.max_message_size = LIMIT;
        make_bot(&config);
        open_session();
        say_hello(&slack);
        for (size_t i = 0; i < COUNT(rows); i++) {
            bool is_large = rows[i].text == large || rows[i].text == large_without;
            if (is_large != (limit == 1)) continue;
            test_now_ms += 2000; /* errors are reported once a second */
            server_send_text(&slack, rows[i].text);
            server_send_frame(&slack, RTMI_WS_PING, FIN, "", 0);
            *was = '\0';
            for (;;) {
                server_read_frame(&slack, &got);
                if (got.opcode == RTMI_WS_PONG) break;
                if (*was) fail_msg("row %zu: also %s", i, got.payload);
                snprintf(was, sizeof was, "%.10900s", got.payload);
            }
            for (int n = 0; !*was && rows[i].id && n < 5; n++) { /* perhaps after its callbacks */
                server_round(n);
                if (server_try_frame(&slack, &got))
                    snprintf(was, sizeof was, "%.10900s", got.payload);
            }
            snprintf(ack, sizeof ack, "{\"envelope_id\":\"%s\"}", rows[i].id ? rows[i].id : "");
            if (strcmp(was, rows[i].id ? ack : "")) fail_msg("row %zu: %.200s", i, was);
            for (int n = 0; n < 5; n++) server_round(n);
            if (received_count - received_next != 1)
                fail_msg("row %zu: %d events", i, received_count - received_next);
            record *got_event = next_event(rows[i].event);
            if (got_event->result != rows[i].result)
                fail_msg("row %zu: %d %s", i, got_event->result, got_event->detail);
        }
        assert_int_equal(rtm_get_state(bot), RTM_STATE_OPEN);
        end_bot();
        received_count = received_next = 0;
    }
}

static void unreadable_messages_are_reported_once_a_second_and_all_acknowledged(void **state) {
    char text[64], id[16];
    (void)state;
    open_app();
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "{\"envelope_id\":\"E%d\",\"type\":", i);
        snprintf(id, sizeof id, "E%d", i);
        server_send_text(&slack, text);
        server_expect_ack(&slack, id);
    }
    next_error(RTM_E_JSON);
    no_event();
    test_now_ms += 1000;
    assert_non_null(strstr(next_error(RTM_E_JSON)->detail, "98 more"));
}

/* Floods --------------------------------------------------------------------------------------- */

enum { FLOOD = 5000 };
static long long sent_at[FLOOD], worst_ms;
static int flood_sent, flood_acked, flood_received, flood_text; /* text: bytes of one's text */

static void on_flood(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client, (void)user_data;
    if (rtm_json_int(rtm_json_get(event->data, "n"), -1) != flood_received)
        fail_msg("not event %d", flood_received);
    flood_received++;
    test_now_ms++;
}

static void take_flood_acks(void) {
    frame got;
    while (server_try_frame(&slack, &got)) {
        char expected[48];
        snprintf(expected, sizeof expected, "{\"envelope_id\":\"E%d\"}", flood_acked);
        assert_string_equal(got.payload, expected);
        if (test_now_ms - sent_at[flood_acked] > worst_ms)
            worst_ms = test_now_ms - sent_at[flood_acked];
        flood_acked++;
    }
}

static void begin_flood_with(const rtm_config *config) {
    make_bot(config);
    open_session();
    say_hello(&slack);
    rtm_off(bot, "*", record_event, NULL);
    rtm_on(bot, "message", on_flood, NULL);
    flood_sent = flood_acked = flood_received = 0;
    flood_text = 1;
    worst_ms = 0;
}

static void begin_flood(void) {
    rtm_config config = app_config();
    begin_flood_with(&config);
}

/* In one piece: the kernel takes little of a flood in small ones. */
static void send_flood(int count) {
    static char flood[FLOOD * 600];
    size_t size = 0;
    for (int i = 0; i < count; i++, flood_sent++) {
        int length = snprintf(flood + size + 4, 596, "{\"envelope_id\":\"E%d\",\"type\":"
                              "\"events_api\"," EVENT("Ev%d", "{\"type\":\"message\",\"n\":%d,"
                              "\"text\":\"%0*d\"}") "}", flood_sent, flood_sent, flood_sent,
                              flood_text, 0);
        assert_in_range(length, 126, 595);
        memcpy(flood + size, (char[]){ (char)0x81, 126, (char)(length >> 8), (char)length }, 4);
        size += 4 + (size_t)length;
        sent_at[flood_sent] = test_now_ms;
    }
    server_send_bytes(&slack, flood, size);
}

static void a_flood_of_5000_is_acknowledged_within_3_s_and_delivered_in_order(void **state) {
    (void)state;
    begin_flood();
    flood_text = 400; /* a usual size */
    long long began = test_now_ms;
    send_flood(FLOOD);
    while (flood_acked < FLOOD) {
        assert_true(test_now_ms - began <= 3000);
        rtm_poll(bot, 0);
        take_flood_acks();
        poll(NULL, 0, 2); /* a moment for the kernel */
    }
    assert_true(worst_ms <= 3000);
    assert_true(flood_received < FLOOD); /* otherwise this has tested nothing */
    WAIT_FOR(flood_received == FLOOD);
    expect_nothing();
}

static void a_step_runs_callbacks_for_50_ms_and_is_wanted_again(void **state) {
    (void)state;
    begin_flood();
    send_flood(2000);
    WAIT_FOR((take_flood_acks(), flood_acked == 2000));
    assert_true(flood_received < 1900);
    while (flood_received < 2000) {
        long long before = test_now_ms;
        int received_before = flood_received;
        assert_int_equal(rtm_timeout_ms(bot), 0);
        int called = rtm_poll(bot, 1000);
        assert_int_equal(called, flood_received - received_before);
        assert_in_range(test_now_ms - before, flood_received < 2000 ? 50 : 1, 51);
    }
    assert_true(rtm_timeout_ms(bot) > 0);
    assert_int_equal(server_waited_ms, 0);
}

static void queued_events_use_4_times_max_message_at_most(void **state) {
    rtm_config config = app_config();
    (void)state;
    config.max_message_size = LIMIT;
    begin_flood_with(&config);
    long before = test_bytes;
    test_most = 0;
    send_flood(2000);
    WAIT_FOR((take_flood_acks(), flood_acked == 2000 && flood_received == 2000));
    assert_true(test_most - before > 2 * LIMIT); /* some did wait */
    assert_true(test_most - before < 4 * LIMIT + 32768 + 10000); /* and acknowledgements */
}

static void the_inbox_is_delivered_before_the_close(void **state) {
    (void)state;
    for (int row = 0; row < 3; row++) {
        begin_flood();
        rtm_on(bot, "close", record_event, NULL);
        send_flood(1500);
        if (row == 0) server_send_close(&slack, 1001, "");
        if (row == 1) WAIT_FOR((take_flood_acks(), flood_acked == 1500));
        if (row == 1) server_reset(&slack);
        if (row == 2) server_close(&slack);
        next_event("close");
        if (row != 2) assert_int_equal(flood_received, 1500);
        end_bot();
    }
}

static void the_number_of_events_dropped_by_a_stop_is_reported(void **state) {
    (void)state;
    begin_flood();
    rtm_on(bot, "error", record_event, NULL);
    send_flood(1500);
    WAIT_FOR((take_flood_acks(), flood_acked == 1500));
    int before = flood_received;
    char number[16];
    assert_in_range(before, 1, 1400);
    snprintf(number, sizeof number, "%d", 1500 - before);
    rtm_stop(bot);
    record *error_event = next_error(RTM_E_STOPPED);
    if (!strstr(error_event->detail, number)) fail_msg("%s: %s", number, error_event->detail);
    server_expect_close(&slack, 1000);
    server_send_close(&slack, 1000, "");
    WAIT_FOR(rtm_poll(bot, 0) == RTM_E_STOPPED);
    assert_int_equal(flood_received, before);
    no_event();
}

/* Commands are not acknowledged before their callbacks: those that a stop drops are not counted. */
static void commands_dropped_by_a_stop_are_not_called_acknowledged(void **state) {
    rtm_config config = app_config();
    (void)state;
    make_bot(&config);
    open_session();
    say_hello(&slack);
    rtm_on(bot, "slash_commands", pass_2_s, NULL);
    send_command(&slack, "E1");
    send_command(&slack, "E2");
    next_event("slash_commands");
    server_expect_ack(&slack, "E1");
    rtm_stop(bot);
    server_expect_close(&slack, 1000);
    server_send_close(&slack, 1000, "");
    next_event("close");
    no_event();
}

/* A session with a server that reads nothing, and sends until the client pauses reading. */
static void stop_reading(void) {
    int small = 4096;
    char id[16];
    assert_int_equal(setsockopt(slack.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    open_app();
    say_hello(&slack);
    assert_int_equal(setsockopt(session_socket(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    rtm_off(bot, "*", record_event, NULL);
    rtm_on(bot, "close", record_event, NULL);
    long before = test_bytes;
    static char flood[400000];
    size_t size = 0, at = 0;
    for (int i = 0; size < sizeof flood - 100; i++) {
        char text[100];
        snprintf(id, sizeof id, "E%d", i);
        int length = snprintf(text, sizeof text, "{\"envelope_id\":\"%s\",\"type\":\"x\"}", id);
        flood[size++] = (char)0x81;
        flood[size++] = (char)length;
        memcpy(flood + size, text, (size_t)length);
        size += (size_t)length;
    }
    client_taken = 0;
    for (int round = 0; round < 200; round++) { /* as much as it takes */
        ssize_t n = send(slack.fd, flood + at, size - at, MSG_NOSIGNAL);
        if (n > 0) at += (size_t)n;
        rtm_poll(bot, 0);
    }
    assert_in_range(client_taken, 20000, sizeof flood / 2);
    assert_true(test_bytes - before < 256 * 1024);
}

/* Otherwise its envelopes would fill the memory with acknowledgements that the server does not
   read. Silence does not count while the session is not read. */
static void a_server_that_reads_nothing_is_not_read_and_has_no_timeout(void **state) {
    (void)state;
    for (int dropped = 0; dropped < 2; dropped++) {
        stop_reading();
        long long taken = client_taken;
        for (int i = 0; i < 3; i++) {
            rtm_poll(bot, 0);
            assert_int_equal(client_taken, taken);
            assert_false(has_something_to_do()); /* no busy loop meanwhile */
            assert_int_equal(rtm_timeout_ms(bot), -1);
            assert_true(rtm_is_connected(bot));
            test_now_ms += 3600000;
        }
        if (dropped) {
            assert_int_equal(rtm_reconnect(bot), RTM_OK);
            assert_int_equal(rtm_timeout_ms(bot), 0);
            record *closed = next_event("close");
            assert_int_equal(closed->result, RTM_OK);
            assert_int_equal(closed->code, 1000);
            assert_int_equal(client_taken, taken);
        } else {
            server_reset(&slack);
            assert_int_equal(next_event("close")->result, RTM_E_CLOSED);
        }
        end_bot();
    }
}

static int slow_commands;

static void on_command(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client, (void)event, (void)user_data;
    slow_commands++;
}

/* Events wait for room for their acknowledgements, but not once the session is to be dropped. */
static void a_session_is_dropped_though_the_server_reads_nothing(void **state) {
    enum { COMMANDS = 100 };
    (void)state;
    stop_reading();
    rtm_on(bot, "slash_commands", on_command, NULL);
    slow_commands = 0;
    bot->session[0]->exchange.conn.paused = false;
    for (int i = 0; i < COMMANDS; i++) { /* as if they had been read before */
        char text[100];
        int size = snprintf(text, sizeof text, "{\"envelope_id\":\"C%d\",\"type\":"
                            "\"slash_commands\",\"accepts_response_payload\":true,"
                            "\"payload\":{}}", i);
        bot->on_text(bot, bot->session[0], at_guard(text, (size_t)size), (size_t)size);
    }
    for (int i = 0; i < 5; i++) rtm_poll(bot, 0);
    assert_int_equal(slow_commands, 0);
    assert_int_equal(rtm_reconnect(bot), RTM_OK);
    for (int i = 0; i < 5; i++) rtm_poll(bot, 0); /* at once, before the socket takes more */
    assert_int_equal(slow_commands, COMMANDS);
    assert_int_equal(next_event("close")->code, 1000);
}

/* In RTM a server that reads nothing is no problem: only the program sends. Here the client
   continues when the server reads again. */
static void a_server_that_reads_late_gets_every_acknowledgement(void **state) {
    int small = 4096;
    (void)state;
    assert_int_equal(setsockopt(slack.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    begin_flood();
    assert_int_equal(setsockopt(session_socket(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    send_flood(1200);
    for (int i = 0; i < 100; i++) rtm_poll(bot, 0);
    WAIT_FOR((take_flood_acks(), flood_acked == 1200 && flood_received == 1200));
}

/* Ends ----------------------------------------------------------------------------------------- */

static void some_disconnects_end_the_session(void **state) {
    static const struct {
        const char *reason;
        bool hello;
        int lasts_ms, lo, hi;
        const char *message;
    } rows[] = {
        { "too_many_websockets", false, 0, 1000, 1999, "too_many_websockets" },
        { "too_many_websockets", true, 0, 1000, 1999, "too_many_websockets" },
        { "too_many_websockets", true, 40000, 1000, 1999, "too_many_websockets" },
        { "link_disabled", false, 0, 300000, 300999, "link_disabled" },
        { "link_disabled", true, 40000, 300000, 300999, "link_disabled" },
    };
    char text[128];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        open_app();
        if (rows[i].hello) say_hello(&slack);
        test_now_ms += rows[i].lasts_ms;
        snprintf(text, sizeof text, "{\"type\":\"disconnect\",\"reason\":\"%s\"}", rows[i].reason);
        server_send_text(&slack, text);
        server_expect_close(&slack, 1000);
        server_ends(&slack);
        for (int n = 0; n < 5; n++) server_round(n);
        assert_false(server_pending(&slack));
        bool reported = false, closed = false;
        int wait = -1;
        while (received_next < received_count) {
            record *next = &received[received_next++];
            if (!strcmp(next->type, "close")) closed = true, wait = next->retry_ms;
            else if (strcmp(next->type, "error")) fail_msg("row %zu: %s", i, next->type);
            else reported = strlen(next->detail) > strlen(rows[i].message) + 10;
        }
        if (!reported || !closed || wait < rows[i].lo || wait > rows[i].hi)
            fail_msg("row %zu: reported %d, closed %d, wait %d", i, reported, closed, wait);
        expect_wait(rows[i].lo, rows[i].hi);
        end_bot();
        received_count = received_next = 0;
    }
}

static void too_many_websockets_again_and_again_is_waited_for_longer(void **state) {
    (void)state;
    rtm_config config = app_config();
    make_bot(&config);
    for (int i = 0; i < 6; i++) {
        open_session();
        say_hello(&slack);
        test_now_ms += 40000;
        server_send_text(&slack, "{\"type\":\"disconnect\",\"reason\":\"too_many_websockets\"}");
        await_event("close");
        expect_wait((1 << i) * 1000, (1 << i) * 1000 + 999);
        received_next = received_count;
    }
}

/* Sending -------------------------------------------------------------------------------------- */

static void functions_of_rtm_only_are_unsupported(void **state) {
    (void)state;
    open_app();
    assert_int_equal(rtm_send(bot, "{\"type\":\"message\"}"), RTM_E_UNSUPPORTED);
    assert_non_null(strstr(rtm_error_detail(bot), "rtm_"));
    assert_int_equal(rtm_send_typing(bot, "C1"), RTM_E_UNSUPPORTED);
    assert_int_equal(rtm_send_ping(bot), RTM_E_UNSUPPORTED);
    assert_non_null(strstr(rtm_error_detail(bot), "rtm_send_ping need RTM"));
    assert_true(strlen(rtm_error_detail(bot)) > 20);
    expect_nothing();
}

static void a_message_without_a_token_is_refused_with_an_explanation(void **state) {
    rtm_config config = app_config();
    config.token = NULL;
    (void)state;
    make_bot(&config);
    open_session();
    assert_int_equal(rtm_send_message(bot, "C1", "a"), RTM_E_ARGUMENT);
    assert_non_null(strstr(rtm_error_detail(bot), "token"));
    assert_int_equal(rtm_send_message(bot, NULL, "a"), RTM_E_ARGUMENT);
    assert_string_equal(rtm_error_detail(bot), "rtm_send_message: channel is NULL");
    assert_int_equal(rtm_set_token(bot, TOKEN), RTM_OK);
    assert_true(rtm_send_message(bot, "C1", "a") > 0);
}

static void a_message_is_posted_and_answered_as_in_rtm(void **state) {
    static const struct {
        const char *status, *body;
        const char *received;
        rtm_result result;
    } rows[] = {
        { "200 OK", "{\"ok\":true,\"ts\":\"1.2\",\"channel\":\"C1\"}", "Unknown", RTM_OK },
        { "200 OK", "{\"ok\":false,\"error\":\"channel_not_found\"}", "error", RTM_E_SLACK },
        { "200 OK", "{\"ok\":false,\"error\":\"not_in_channel\"}", "error", RTM_E_SLACK },
        { "500 Oops", "", "error", RTM_E_HTTP },
        { "200 OK", "no JSON", "error", RTM_E_JSON },
    };
    request got;
    (void)state;
    for (int session = 0; session < 2; session++) {
        rtm_config config = app_config();
        make_bot(&config);
        if (session) open_session();
        else take_call(&got); /* an attempt in progress: no session is needed */
        server_share(&other, &slack);
        for (size_t i = 0; i < COUNT(rows); i++) {
            int id = rtm_send_message(bot, "C1", "a & b");
            assert_int_equal(id, (int)i + 1);
            if (!i || other.ended) server_accept(&other);
            server_read_request(&other, &got);
            expect_line(&got, "POST /api/chat.postMessage HTTP/1.1");
            assert_string_equal(header(&got, "Authorization"), "Bearer " TOKEN);
            assert_non_null(strstr(got.body, "C1"));
            server_answer(&other, rows[i].status, "", rows[i].body);
            record *answer = next_event(rows[i].received);
            assert_int_equal(answer->id, id);
            assert_int_equal(answer->result, rows[i].result);
            if (rows[i].result == RTM_OK) assert_string_equal(answer->data, rows[i].body);
            else assert_true(strlen(answer->detail) > 10);
        }
        no_event();
        server_free(&other);
        end_bot();
        received_count = received_next = 0;
    }
}

/* Memory --------------------------------------------------------------------------------------- */

static void an_envelope_costs_no_allocation(void **state) {
    static const char *const types[] = { "events_api", "slash_commands", "interactive", "strange" };
    long before = 0;
    char id[16], members[160];
    (void)state;
    open_app();
    rtm_off(bot, "*", record_event, NULL);
    rtm_on(bot, "message", keep, NULL);
    rtm_on(bot, "slash_commands", keep, NULL);
    for (int i = 0; i < 400; i++) {
        if (i == 20) before = test_allocations;
        snprintf(id, sizeof id, "E%d", i);
        snprintf(members, sizeof members, EVENT("Ev%d", "{\"type\":\"message\"}"), i);
        server_send_envelope(&slack, id, types[i % 4], i % 4 ? COMMAND("/x") : members);
        server_expect_ack(&slack, id);
    }
    assert_int_equal(test_allocations, before);
}

/* An envelope without memory for its event must not be acknowledged and lost. */
static void out_of_memory_loses_no_acknowledged_event(void **state) {
    bool hit = true;
    (void)state;
    for (long fail = 1; hit; fail++) {
        char id[16], members[1200], acked[20] = { 0 };
        frame got;
        rtm_config config = app_config();
        make_bot(&config);
        open_session();
        say_hello(&slack);
        keeps = 0;
        rtm_on(bot, "big", keep, NULL);
        test_fail_at = test_allocations + fail;
        for (int i = 0; i < 20; i++) {
            snprintf(id, sizeof id, "E%d", i);
            snprintf(members, sizeof members,
                     EVENT("Ev%d", "{\"type\":\"big\",\"text\":\"%0*d\"}"), i, 50 * i, i);
            server_send_envelope(&slack, id, "events_api", members);
            for (int n = 0; n < 5; n++) server_round(n);
            if (slack.fd < 0) break;
        }
        int acks = 0;
        for (int n = 0; n < 20; n++) {
            server_round(n);
            while (server_try_frame(&slack, &got)) {
                int number;
                if (sscanf(got.payload, "{\"envelope_id\":\"E%d\"", &number) != 1) continue;
                acks += !acked[number];
                acked[number] = 1;
            }
        }
        hit = test_allocations >= test_fail_at;
        test_fail_at = 0;
        if (acks > keeps) fail_msg("allocation %ld: %d of %d", fail, keeps, acks);
        end_bot();
        received_count = received_next = 0;
        assert_true(fail < 100);
    }
}

static void one_bot_runs_in_both_modes(void **state) {
    (void)state;
    for (int app = 0; app < 2; app++) {
        rtm_config config = app ? app_config() : usual_config();
        make_bot(&config);
        open_session();
        say_hello(&slack);
        rtm_on(bot, "message", answer_message, NULL);
        if (app) server_send_envelope(&slack, "E1", "events_api",
                                      EVENT("Ev1", "{\"type\":\"message\",\"text\":\"ping\"}"));
        else server_send_text(&slack, "{\"type\":\"message\",\"text\":\"ping\"}");
        assert_string_equal(next_event("message")->data,
                            "{\"type\":\"message\",\"text\":\"ping\"}");
        request got;
        if (app) {
            server_expect_ack(&slack, "E1");
            server_share(&other, &slack);
            server_accept(&other);
            server_read_request(&other, &got);
            server_answer(&other, "200 OK", "", "{\"ok\":true,\"ts\":\"1.2\"}");
        } else {
            frame sent;
            server_read_frame(&slack, &sent);
            assert_non_null(strstr(sent.payload, "\"pong\""));
            server_send_text(&slack, "{\"ok\":true,\"reply_to\":1,\"ts\":\"1.2\"}");
        }
        assert_int_equal(next_event("Unknown")->id, 1);
        server_free(&other);
        end_bot();
        received_count = received_next = 0;
    }
}

/* Bursts, and the memory after them ----------------------------------------------------------- */

/* Takes what the client has sent, while it is about to send more. */
static void take_all_when_paused(char call) {
    static char waste[65536];
    if (call != 's' || !bot->session[0]->exchange.conn.paused) return;
    for (int i = 0; i < 20; i++) {
        while (recv(slack.fd, waste, sizeof waste, 0) > 0) continue;
        poll(NULL, 0, 1);
    }
}

static void a_session_is_read_again_once_its_acknowledgements_have_left(void **state) {
    static char flood[400000];
    size_t size = 0, at = 0;
    int small = 4096;
    (void)state;
    setsockopt(slack.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    open_app();
    setsockopt(session_socket(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    rtm_off(bot, "*", record_event, NULL);
    for (int i = 0; size < sizeof flood - 100; i++) {
        int length = snprintf(flood + size + 2, 98, "{\"envelope_id\":\"E%d\",\"type\":\"x\"}",
                              i);
        flood[size] = (char)0x81;
        flood[size + 1] = (char)length;
        size += 2 + (size_t)length;
    }
    client_before = take_all_when_paused;
    for (int round = 0; round < 200; round++) {
        ssize_t n = send(slack.fd, flood + at, size - at, MSG_NOSIGNAL);
        if (n > 0) at += (size_t)n;
        rtm_poll(bot, 0);
        const rtmi_conn *conn = &bot->session[0]->exchange.conn;
        assert_false(conn->paused && conn->out_at == conn->out.size);
    }
    client_before = NULL;
}

static void quiet_minutes(int minutes) {
    static char waste[65536];
    for (int i = 0; i < 3 * minutes; i++) {
        while (recv(slack.fd, waste, sizeof waste, 0) > 0) continue;
        test_now_ms += 20000;
        server_send_frame(&slack, RTMI_WS_PONG, FIN, "", 0);
        for (int k = 0; k < 5; k++) server_round(k);
    }
}

static int burst_received;
static void on_burst(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client, (void)event, (void)user_data;
    burst_received++;
}

static void the_inbox_gives_back_what_a_burst_took(void **state) {
    static char flood[3000 * 400];
    size_t size = 0;
    (void)state;
    open_app();
    say_hello(&slack);
    rtm_off(bot, "*", record_event, NULL);
    rtm_on(bot, "message", on_burst, NULL);
    quiet_minutes(2);
    for (int i = 0; i < 3000; i++) {
        int length = snprintf(flood + size + 4, 396,
                              "{\"envelope_id\":\"E%d\",\"type\":\"events_api\",\"payload\":"
                              "{\"event\":{\"type\":\"message\",\"text\":\"%0200d\"}}}", i, i);
        char header[] = { (char)0x81, 126, (char)(length >> 8), (char)length };
        memcpy(flood + size, header, sizeof header);
        size += sizeof header + (size_t)length;
    }
    burst_received = 0;
    server_send_bytes(&slack, flood, size);
    WAIT_FOR(burst_received == 3000);
    assert_true(bot->session[0]->inbox.capacity > RTMI_KEPT);
    quiet_minutes(2);
    assert_true(bot->session[0]->inbox.capacity <= RTMI_KEPT);
}

static void a_truncated_reason_shows_no_secret(void **state) {
    (void)state;
    open_app();
    for (int pad = 20; pad < 64; pad++) { /* so that it is cut at each place of the token */
        char text[200];
        snprintf(text, sizeof text, "{\"type\":\"disconnect\",\"reason\":\"cut at %.*s" APP_TOKEN
                 "\"}", pad, "................................................................");
        server_send_text(&slack, text);
        for (int k = 0; k < 5; k++) server_round(k);
        snprintf(text, sizeof text, "disconnect: cut at %.*s", pad < 56 ? pad : 56,
                 "................................................................");
        assert_non_null(strstr(shown, text));
    }
    assert_non_null(strstr(shown, "xapp-1-A1-?-"));
    assert_null(strstr(shown, "1234567"));
    assert_null(strstr(shown, "SecretS"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_app_token_is_only_for_the_opening_call),
        TEST(each_token_has_its_place),
        TEST(a_failed_call_has_the_same_results_as_in_rtm),
        TEST(hello_is_delivered_each_time_and_its_connections_are_logged),
        TEST(each_kind_of_envelope_arrives_as_its_event),
        TEST(an_event_of_rtm_has_no_envelope),
        TEST(an_event_without_a_handler_is_acknowledged),
        TEST(each_envelope_is_acknowledged_once_and_in_time),
        TEST(a_reply_has_its_result_and_travels_in_the_acknowledgement),
        TEST(nothing_else_accepts_a_reply),
        TEST(a_reply_on_a_connection_that_ended_is_not_connected),
        TEST(an_end_requested_in_a_callback_follows_the_acknowledgement),
        TEST(a_reply_is_deferred_within_its_callback),
        TEST(a_reply_that_is_sent_leaves_no_error_message),
        TEST(two_callbacks_share_a_deferral),
        TEST(a_deferred_reply_leaves_outside_callbacks_in_another_or_after_a_call),
        TEST(what_is_deferred_and_never_replied_to_is_not_acknowledged),
        TEST(a_blocking_call_does_not_acknowledge_what_is_deferred),
        TEST(a_deferral_lives_as_long_as_its_connection_in_a_handover),
        TEST(a_deferral_ends_with_its_connection),
        TEST(a_reply_is_not_deferred_after_the_end_of_its_connection),
        TEST(at_most_64_replies_are_deferred),
        TEST(a_deferred_reply_that_fails_leaves_the_deferral_open),
        TEST(a_deferred_reply_waits_for_room),
        TEST(a_reply_that_one_of_two_sessions_accepts_is_sent),
        TEST(function_executed_is_acknowledged_after_its_callbacks_or_deferred),
        TEST(an_event_without_a_reply_cannot_be_deferred),
        TEST(unknown_ids_are_refused),
        TEST(a_copy_of_what_is_deferred_gets_its_reply),
        TEST(deferring_without_memory_loses_no_reply),
        TEST(a_repeated_envelope_is_acknowledged_again_and_delivered_once),
        TEST(ids_are_remembered_for_512_events),
        TEST(bad_envelopes_are_reported_and_acknowledged_if_possible),
        TEST(unreadable_messages_are_reported_once_a_second_and_all_acknowledged),
        TEST(a_flood_of_5000_is_acknowledged_within_3_s_and_delivered_in_order),
        TEST(a_step_runs_callbacks_for_50_ms_and_is_wanted_again),
        TEST(queued_events_use_4_times_max_message_at_most),
        TEST(the_inbox_is_delivered_before_the_close),
        TEST(the_number_of_events_dropped_by_a_stop_is_reported),
        TEST(commands_dropped_by_a_stop_are_not_called_acknowledged),
        TEST(a_server_that_reads_nothing_is_not_read_and_has_no_timeout),
        TEST(a_session_is_dropped_though_the_server_reads_nothing),
        TEST(a_server_that_reads_late_gets_every_acknowledgement),
        TEST(some_disconnects_end_the_session),
        TEST(too_many_websockets_again_and_again_is_waited_for_longer),
        TEST(functions_of_rtm_only_are_unsupported),
        TEST(a_message_without_a_token_is_refused_with_an_explanation),
        TEST(a_message_is_posted_and_answered_as_in_rtm),
        TEST(an_envelope_costs_no_allocation),
        TEST(out_of_memory_loses_no_acknowledged_event),
        TEST(a_session_is_read_again_once_its_acknowledgements_have_left),
        TEST(the_inbox_gives_back_what_a_burst_took),
        TEST(a_truncated_reason_shows_no_secret),
        TEST(one_bot_runs_in_both_modes)
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
