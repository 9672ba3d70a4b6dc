/* rtm_call, and how rtm_create checks a configuration. */
#include "server.h"

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}"

/* The server of the Web API: while rtm_call waits, it reads requests and sends these responses, the
   last one repeatedly. NULL = no response; the clock advances to the next timeout. */
static server web;
static const char *answers[4];
static int answer_next, rounds;
static bool hang_up, reset; /* after each answer, in order or not */
static request asked[4];
static int asked_count;

static int serve_calls(int timeout_ms) {
    assert_true(rounds++ < SERVER_ROUNDS);
    if (server_try_accept(&web)) return 0;
    if (web.fd >= 0 && server_try_request(&web, &asked[asked_count % 4])) {
        const char *answer = answers[answer_next];
        asked_count++;
        if (answer_next < 3 && answers[answer_next + 1]) answer_next++;
        if (answer) server_send(&web, answer);
        if (hang_up && reset) server_reset(&web);
        else if (hang_up) server_close(&web);
    } else if (!answers[0]) {
        test_now_ms += timeout_ms;
    }
    return 0;
}

/* From now on the calls are answered with this. */
static void serve(const char *answer) {
    memset(answers, 0, sizeof answers);
    answers[0] = answer;
    answer_next = rounds = asked_count = 0;
    server_idle = serve_calls;
}

static int begin_web(void **state) {
    begin_test(state);
    server_share(&web, &slack);
    hang_up = reset = false;
    serve(OK_ANSWER);
    return 0;
}

static int end_web(void **state) {
    server_free(&web);
    return end_test(state);
}

/* Requests ------------------------------------------------------------------------------------- */

static void a_call_is_a_form_with_the_token_in_the_header(void **state) {
    rtm_response response;
    char host[32];
    (void)state;
    make_bot(NULL);
    assert_int_equal(rtm_call(bot, &response, "chat.postMessage", "channel", "C1", "text", "hello",
                              NULL), RTM_OK);
    expect_line(&asked[0], "POST /api/chat.postMessage HTTP/1.1");
    snprintf(host, sizeof host, "127.0.0.1:%d", slack.port);
    assert_string_equal(header(&asked[0], "Host"), host);
    assert_string_equal(header(&asked[0], "Authorization"), "Bearer " TOKEN);
    assert_string_equal(header(&asked[0], "Content-Type"), "application/x-www-form-urlencoded");
    assert_string_equal(header(&asked[0], "Content-Length"), "21");
    assert_non_null(header(&asked[0], "User-Agent"));
    assert_string_equal(asked[0].body, "channel=C1&text=hello");
    assert_null(strstr(asked[0].body, TOKEN));
    assert_int_equal(response.status, 200);
    assert_true(response.ok);
    assert_string_equal(response.error, "");
    assert_int_equal(response.retry_after, 0);
    assert_string_equal(rtm_error_detail(bot), "");
    assert_int_equal(received_count, 0);
}

static void form_fields_are_encoded(void **state) {
    static const struct { const char *name, *value, *body; } rows[] = {
        { "a", "", "a=" },
        { "a", "a b+c", "a=a+b%2Bc" },
        { "a", "&=?#%/:", "a=%26%3D%3F%23%25%2F%3A" },
        { "a", "-._*~", "a=-._*%7E" },
        { "a", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", "a=gr%C3%BC%C3%9F+%F0%9F%98%80" },
        { "a", "\r\n\t\"{}[]", "a=%0D%0A%09%22%7B%7D%5B%5D" },
        { "n m", "1", "n+m=1" },
        { "a", NULL, "" },
        { NULL, NULL, "" },
    };
    (void)state;
    make_bot(NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        serve(OK_ANSWER);
        assert_int_equal(rtm_call(bot, NULL, "api.test", rows[i].name, rows[i].value, NULL),
                         RTM_OK);
        assert_string_equal(asked[0].body, rows[i].body);
    }
    serve(OK_ANSWER);
    assert_int_equal(rtm_call(bot, NULL, "api.test", "a", "1", "b", NULL, "c", "3", NULL), RTM_OK);
    assert_string_equal(asked[0].body, "a=1&c=3");
}

static void a_large_form_arrives_whole(void **state) {
    static char text[60001];
    int small = 4096;
    (void)state;
    setsockopt(web.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    make_bot(NULL);
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(rtm_call(bot, NULL, "chat.postMessage", "text", text, NULL), RTM_OK);
    assert_int_equal(strlen(asked[0].body), 60005);
    assert_string_equal(asked[0].body + 5, text);
}

static void bad_method_names_are_refused(void **state) {
    static const char *const names[] = { NULL, "", "a b", "a/b", "../a", "a?b=c", "a\r\nb",
                                         "\xc3" };
    rtm_response response;
    (void)state;
    make_bot(NULL);
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(rtm_call(bot, &response, names[i], NULL), RTM_E_ARGUMENT);
        assert_int_equal(response.status, 0);
        assert_false(response.ok);
        assert_string_equal(response.error, "");
        assert_null(rtm_json_raw(response.data, NULL));
        assert_true(strlen(rtm_error_detail(bot)) > 10);
    }
    assert_int_equal(rtm_call(bot, NULL, NULL, NULL), RTM_E_ARGUMENT);
    assert_int_equal(server_resolves, 0);
}

static void headers_replace_those_of_rtm_h_on_both_legs(void **state) {
    static const char *const headers[] = {
        "user-agent: mine/1", "X-Extra:tight", "Cookie: " COOKIE, "Content-Type: text/plain",
        "ACCEPT: */*", "Host: front.example", NULL };
    static const struct { const char *name, *value; } expected[] = {
        { "User-Agent", "mine/1" }, { "Cookie", COOKIE }, { "Host", "front.example" } };
    rtm_config config = usual_config();
    request got;
    (void)state;
    config.headers = headers;
    make_bot(&config);
    server_idle = NULL;
    take_call(&got);
    for (size_t i = 0; i < COUNT(expected); i++)
        assert_string_equal(header(&got, expected[i].name), expected[i].value);
    assert_non_null(strstr(got.head, "X-Extra:tight"));
    assert_string_equal(header(&got, "Content-Type"), "text/plain");
    assert_string_equal(header(&got, "Accept"), "*/*");
    assert_string_equal(header(&got, "Authorization"), "Bearer " TOKEN);
    server_answer_connect(&slack, "link");
    server_accept(&slack);
    server_upgrade(&slack, &got);
    for (size_t i = 0; i < COUNT(expected); i++)
        assert_string_equal(header(&got, expected[i].name), expected[i].value);
    assert_non_null(strstr(got.head, "X-Extra:tight"));
    assert_null(strstr(got.head, TOKEN));
    next_event("open");
    server_idle = serve_calls;
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
    for (size_t i = 0; i < COUNT(expected); i++)
        assert_string_equal(header(&asked[0], expected[i].name), expected[i].value);
}

static void an_authorization_of_the_users_replaces_the_token(void **state) {
    static const char *const headers[] = { "Authorization: Basic dXNlcjpwYXNz", NULL };
    rtm_config config = usual_config();
    (void)state;
    config.headers = headers;
    make_bot(&config);
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
    assert_string_equal(header(&asked[0], "Authorization"), "Basic dXNlcjpwYXNz");
    assert_null(strstr(asked[0].head, TOKEN));
}

/* Answers -------------------------------------------------------------------------------------- */

/* A response with its length; header lines may follow `status`. */
static const char *answer_of(const char *status, const char *body) {
    static char answer[6000];
    int size = snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s",
                        status, strlen(body), body);
    assert_in_range(size, 1, sizeof answer - 1);
    return answer;
}

#define NOT_FOUND "{\"ok\":false,\"error\":\"channel_not_found\"}"
#define LIMITED "{\"ok\":false,\"error\":\"ratelimited\"}"

static const struct answer {
    const char *status, *body;
    rtm_result result;
    bool ok, json;
    const char *error;
    int retry_after;
} results[] = {
    { "200 OK", "{\"ok\":true,\"error\":\"none\"}", RTM_OK, true, true, "", 0 },
    { "200 OK", NOT_FOUND, RTM_E_SLACK, false, true, "channel_not_found", 0 },
    { "200 OK", "{\"ok\":false,\"error\":\"new_one\"}", RTM_E_SLACK, false, true, "new_one", 0 },
    { "200 OK", "{\"ok\":false,\"error\":\"invalid_auth\"}", RTM_E_AUTH, false, true,
      "invalid_auth", 0 },
    { "403 No", "{\"ok\":false,\"error\":\"account_inactive\"}", RTM_E_AUTH, false, true,
      "account_inactive", 0 },
    { "200 OK", "{\"ok\":false}", RTM_E_SLACK, false, true, "", 0 },
    { "200 OK", "{\"ok\":false,\"error\":5}", RTM_E_SLACK, false, true, "", 0 },
    { "200 OK", "{}", RTM_E_SLACK, false, true, "", 0 },
    { "429 Slow\r\nRetry-After: 7", LIMITED, RTM_E_RATE_LIMITED, false, true, "ratelimited", 7 },
    { "429 Slow", "", RTM_E_RATE_LIMITED, false, false, "", 0 },
    { "200 OK", LIMITED, RTM_E_RATE_LIMITED, false, true, "ratelimited", 0 },
    { "503 Busy\r\nRetry-After: 60", "", RTM_E_HTTP, false, false, "", 60 },
    { "500 Oops", "{\"ok\":true}", RTM_E_HTTP, true, true, "", 0 },
    { "404 Not Found", "never", RTM_E_HTTP, false, false, "", 0 },
    { "302 Found\r\nLocation: http://127.0.0.1/", "", RTM_E_HTTP, false, false, "", 0 },
    { "200 OK", "<html>", RTM_E_JSON, false, false, "", 0 },
    { "200 OK", "", RTM_E_JSON, false, false, "", 0 },
};

static void every_answer_has_its_result(void **state) {
    rtm_response response;
    (void)state;
    make_bot(NULL);
    for (size_t i = 0; i < COUNT(results); i++) {
        const struct answer *row = &results[i];
        serve(answer_of(row->status, row->body));
        rtm_result result = rtm_call(bot, &response, "api.test", NULL);
        if (result != row->result) print_error("row %zu: %s\n", i, rtm_error_detail(bot));
        assert_int_equal(result, row->result);
        assert_int_equal(response.status, atoi(row->status));
        assert_int_equal(response.ok, row->ok);
        assert_int_equal(rtm_json_raw(response.data, NULL) != NULL, row->json);
        assert_string_equal(response.error, row->error);
        assert_int_equal(response.retry_after, row->retry_after);
        if (result) assert_true(strlen(rtm_error_detail(bot)) > 10);
        if (result && *row->error) assert_non_null(strstr(rtm_error_detail(bot), result ==
                                          RTM_E_RATE_LIMITED ? "" : row->error));
        assert_int_equal(asked_count, 1); /* never repeated, not redirected */
        note_shown(response.error);
    }
    assert_int_equal(rtm_get_state(bot), RTM_STATE_IDLE); /* none of this is about the session */
    assert_int_equal(received_count, 0);
}

static void the_response_can_be_looked_into(void **state) {
    static const char body[] =
        "{\"ok\":true,\"members\":[{\"id\":\"U1\"},{\"id\":\"U2\"}],\"n\":{\"a\":[1]}}";
    rtm_response response;
    char text[8];
    (void)state;
    make_bot(NULL);
    serve(answer_of("200 OK", body));
    assert_int_equal(rtm_call(bot, &response, "users.list", NULL), RTM_OK);
    rtm_json members = rtm_json_get(response.data, "members");
    assert_int_equal(rtm_json_count(members), 2);
    rtm_json_string(rtm_json_get(rtm_json_at(members, 1), "id"), text, sizeof text);
    assert_string_equal(text, "U2");
    assert_int_equal(rtm_json_int(rtm_json_get(response.data, "n.a.0"), 0), 1);
}

static void a_response_is_kept_until_the_next_call(void **state) {
    rtm_response response;
    (void)state;
    make_bot(NULL);
    serve(answer_of("200 OK", NOT_FOUND));
    assert_int_equal(rtm_call(bot, &response, "chat.postMessage", NULL), RTM_E_SLACK);
    server_idle = NULL;
    open_session();
    server_send_text(&slack, "{\"type\":\"message\",\"text\":[1,2]}");
    next_event("message");
    assert_string_equal(response.error, "channel_not_found");
    assert_true(rtm_json_equals(rtm_json_get(response.data, "error"), "channel_not_found"));
}

static void a_huge_response_gives_its_memory_back_at_the_next_call(void **state) {
    enum { LISTED = 50000 };
    static char body[2 * LISTED + 64], answer[sizeof body + 64];
    static const char small[] = "{\"ok\":true,\"list\":[1]}";
    rtm_response response;
    long before = 0;
    (void)state;
    size_t at = (size_t)snprintf(body, sizeof body, "{\"ok\":true,\"list\":[1");
    for (int i = 1; i < LISTED; i++, at += 2) memcpy(body + at, ",1", 2);
    snprintf(body + at, sizeof body - at, "]}");
    snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    make_bot(NULL);
    for (int i = 0; i < 5; i++) { /* the huge one comes second and fourth */
        serve(i % 2 ? answer : answer_of("200 OK", small));
        assert_int_equal(rtm_call(bot, &response, "api.test", NULL), RTM_OK);
        if (i && i % 2 == 0) assert_in_range(test_bytes, before - 4096, before + 4096);
        rtm_json list = rtm_json_get(response.data, "list");
        assert_int_equal(rtm_json_int(rtm_json_at(list, i % 2 ? LISTED - 1 : 0), 0), 1);
        if (i == 0) before = test_bytes;
        if (i % 2) assert_true(test_bytes > before + 10 * LISTED);
    }
}

static void failures_of_the_connection_are_results(void **state) {
    static const struct { const char *answer; rtm_result result; } rows[] = {
        { "", RTM_E_CLOSED },
        { "HTTP/1.1 200", RTM_E_HTTP },
        { "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"ok\":true}", RTM_E_HTTP },
        { "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{\"ok\":true}", RTM_E_HTTP },
        { "hello\r\n", RTM_E_HTTP },
#define OK200 "HTTP/1.1 200 OK\r\n"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
        { OK200 "Transfer-Encoding: gzip\r\n\r\n", RTM_E_HTTP },
        { OK200 "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", RTM_E_HTTP },
        { OK200 "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", RTM_E_HTTP },
        { OK200 "Sec-WebSocket-Accept: a\r\nSec-WebSocket-Accept: b\r\n\r\n", RTM_E_HTTP },
        { OK200 "Content-Length: " ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS "\r\n\r\n",
          RTM_E_HTTP },
        { OK200 "Retry-After: 1\r2\r\n\r\n", RTM_E_HTTP },
#undef ZEROS
#undef OK200
    };
    rtm_response response;
    (void)state;
    make_bot(NULL);
    hang_up = true;
    for (size_t i = 0; i < COUNT(rows); i++) {
        serve(rows[i].answer);
        assert_int_equal(rtm_call(bot, &response, "api.test", NULL), rows[i].result);
        assert_int_equal(response.status, 0);
        assert_false(response.ok);
        assert_string_equal(response.error, "");
        assert_null(rtm_json_raw(response.data, NULL));
        assert_true(strlen(rtm_error_detail(bot)) > 10);
        assert_int_equal(asked_count, 1); /* it may have been executed: not repeated */
    }
    end_bot();
    make_bot(NULL); /* which knows no address from before */
    server_resolve_error = EAI_NONAME;
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_E_RESOLVE);
    server_resolve_error = 0;
    serve(OK_ANSWER);
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
}

static void a_refused_call_is_a_result(void **state) {
    rtm_config config = usual_config();
    server closed;
    (void)state;
    server_open(&closed);
    config.base_url = closed.base_url;
    server_free(&closed);
    make_bot(&config);
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_E_CONNECT);
}

static void a_call_takes_no_longer_than_timeout_ms(void **state) {
    rtm_config config = usual_config();
    (void)state;
    for (int i = 0; i < 2; i++) {
        config.timeout_ms = i ? 2500 : 0;
        make_bot(&config);
        serve(NULL);
        long long begin = test_now_ms;
        server_waited_ms = 0;
        assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_E_TIMEOUT);
        assert_int_equal(asked_count, 1);
        assert_in_range(test_now_ms - begin, i ? 2500 : 30000, i ? 2500 : 30000);
        assert_true(strlen(rtm_error_detail(bot)) > 10);
        server_fill(&web);
        assert_true(web.ended); /* so that a late answer is not taken for that of the next call */
        serve(OK_ANSWER);
        assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
        end_bot();
    }
}

static void a_response_over_max_message_is_too_big(void **state) {
    rtm_config config = usual_config();
    static char body[5000];
    (void)state;
    config.max_message_size = 4096;
    make_bot(&config);
    for (int size = 4096; size <= 4097; size++) {
        snprintf(body, sizeof body, "%*s", size, "{\"ok\":true}");
        serve(answer_of("200 OK", body));
        assert_int_equal(rtm_call(bot, NULL, "api.test", NULL),
                         size > 4096 ? RTM_E_TOO_BIG : RTM_OK);
    }
    serve(OK_ANSWER);
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
}

/* The error message names the cause: the nesting of the response. */
static void a_response_nested_too_deep_is_reported_as_such(void **state) {
    char body[400] = "{\"ok\":";
    (void)state;
    make_bot(NULL);
    memset(body + 6, '[', 128);
    memset(body + 6 + 128, ']', 128);
    strcpy(body + 6 + 256, "}");
    serve(answer_of("200 OK", body));
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_E_JSON);
    assert_non_null(strstr(rtm_error_detail(bot), "nested deeper than 128 levels"));
    serve(answer_of("200 OK", "{\"ok\":"));
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_E_JSON);
    assert_non_null(strstr(rtm_error_detail(bot), "not valid JSON"));
}

static void the_advice_on_a_token_type_depends_on_the_method(void **state) {
    static const char refused[] = "{\"ok\":false,\"error\":\"not_allowed_token_type\"}";
    (void)state;
    make_bot(NULL);
    serve(answer_of("200 OK", refused));
    assert_int_equal(rtm_call(bot, NULL, "search.messages", NULL), RTM_E_AUTH);
    assert_string_equal(rtm_error_detail(bot), "Slack refused search.messages: "
                        "not_allowed_token_type: this method does not accept this type of token");
    serve(answer_of("200 OK", refused));
    assert_int_equal(rtm_call(bot, NULL, "rtm.connect", NULL), RTM_E_AUTH);
    assert_non_null(strstr(rtm_error_detail(bot), "cannot use RTM; set app_token"));
}

static void an_accessor_without_memory_is_reported_at_once(void **state) {
    rtm_response response;
    (void)state;
    make_bot(NULL);
    serve(answer_of("200 OK", "{\"ok\":true,\"list\":[1,2]}"));
    assert_int_equal(rtm_call(bot, &response, "api.test", NULL), RTM_OK);
    test_fail_at = test_allocations + 1;
    assert_int_equal(rtm_json_count(rtm_json_get(response.data, "list")), 0);
    assert_non_null(strstr(rtm_error_detail(bot), "out of memory parsing"));
    assert_int_equal(rtm_json_count(rtm_json_get(response.data, "list")), 2);
}

/* Arguments ------------------------------------------------------------------------------------ */

static void a_piece_of_the_last_response_can_be_an_argument(void **state) {
    rtm_response response;
    (void)state;
    make_bot(NULL);
    serve(answer_of("200 OK", NOT_FOUND));
    assert_int_equal(rtm_call(bot, &response, "api.test", NULL), RTM_E_SLACK);
    serve(OK_ANSWER);
    assert_int_equal(rtm_call(bot, &response, "api.test", response.error, response.error, NULL),
                     RTM_OK);
    assert_string_equal(asked[0].body, "channel_not_found=channel_not_found");
    assert_string_equal(response.error, "");
}

static void invalid_utf8_is_not_sent(void **state) {
    static const char *const pairs[][2] = { { "text", "\xff" }, { "\xc3", "value" },
        { "text", "half \xe2\x82" }, { "text", "\xed\xa0\x80" } };
    (void)state;
    make_bot(NULL);
    for (size_t i = 0; i < COUNT(pairs); i++) {
        assert_int_equal(rtm_call(bot, NULL, "api.test", "a", "b", pairs[i][0], pairs[i][1], NULL),
                         RTM_E_ARGUMENT);
        assert_non_null(strstr(rtm_error_detail(bot), "UTF-8"));
    }
    assert_int_equal(asked_count, 0);
    assert_false(server_pending(&slack));
}

/* The part before "::" is the type: fewer than 128 bytes, like the types of events. */
static void a_type_that_no_event_has_is_refused(void **state) {
    char type[170];
    (void)state;
    make_bot(NULL);
    for (size_t colons = 0; colons < 3; colons++) {
        memset(type, 'x', sizeof type);
        memcpy(type + 20, "::", colons); /* one is nothing special */
        type[166] = '\0';
        rtm_result expected = colons == 2 ? RTM_OK : RTM_E_ARGUMENT;
        assert_int_equal(rtm_on(bot, type, record_event, NULL), expected);
        type[127] = '\0';
        assert_int_equal(rtm_on(bot, type, record_event, NULL), RTM_OK);
        memset(type + 20, 'x', 146);
        memcpy(type + 128, "::y", 4);
        assert_int_equal(rtm_on(bot, type, record_event, NULL), RTM_E_ARGUMENT);
    }
    assert_non_null(strstr(rtm_error_detail(bot), "128 bytes"));
}

/* The first "id" and "type" count; the text goes out as it was given. */
static void a_message_with_two_ids_or_types_goes_out_as_given(void **state) {
    static const struct { const char *json; int id; } rows[] = {
        { "{\"id\":5,\"id\":6}", 5 },
        { "{\"id\":7,\"type\":\"ping\",\"a\":{\"id\":1},\"type\":\"message\"}", 7 },
        { "{ \"id\" : 8 , \"a\":[1,2], \"\\u0069d\":9}", 8 },
        { "{\"id\":10,\"a\":{\"id\":6},\"ids\":7,\"type\":\"x\"}", 10 },
    };
    (void)state;
    make_bot(NULL);
    open_session();
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(rtm_send(bot, rows[i].json), rows[i].id);
        server_expect(&slack, RTMI_WS_TEXT, rows[i].json);
    }
    assert_int_equal(rtm_send(bot, "{\"id\":\"x\",\"id\":6}"), RTM_E_JSON);
}

/* Connections ---------------------------------------------------------------------------------- */

static void the_connection_is_kept_for_the_next_call(void **state) {
    (void)state;
    make_bot(NULL);
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(rtm_call(bot, NULL, "api.test", "n", "1", NULL), RTM_OK);
        assert_int_equal(asked_count, i);
        test_now_ms += 59000;
    }
    assert_int_equal(web.accepts, 1);
    serve(answer_of("200 OK", NOT_FOUND)); /* after a refusal as well */
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_E_SLACK);
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_E_SLACK);
    assert_int_equal(web.accepts, 1);
}

/* It may be dead without a FIN: after a minute without use, a new one is safer. */
static void a_connection_idle_for_a_minute_is_replaced(void **state) {
    (void)state;
    make_bot(NULL);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
        assert_int_equal(web.accepts, i);
        test_now_ms += 59000;
        assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
        assert_int_equal(web.accepts, i);
        test_now_ms += 60001;
    }
    assert_string_equal(rtm_error_detail(bot), ""); /* nothing has failed */
}

/* rtm_poll does not read it: a loop that waits for rtm_fd would be busy. */
static void a_kept_connection_that_the_server_closes_leaves_rtm_fd_quiet(void **state) {
    (void)state;
    make_bot(NULL);
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
    assert_int_equal(rtm_poll(bot, 0), 0);
    server_close(&web);
    for (int i = 0; i < 3; i++) rtm_poll(bot, 0);
    assert_false(has_something_to_do());
}

/* It ends with FIN; a reset may have truncated it anywhere. */
static void a_body_without_a_length_must_end_in_order(void **state) {
    (void)state;
    make_bot(NULL);
    hang_up = true;
    for (int i = 0; i < 2; i++) {
        reset = i;
        serve("HTTP/1.1 200 OK\r\n\r\n{\"ok\":true}");
        rtm_result result = rtm_call(bot, NULL, "api.test", NULL);
        if (!i) assert_int_equal(result, RTM_OK);
        else assert_true(result == RTM_E_HTTP || result == RTM_E_CLOSED);
        assert_int_equal(asked_count, 1);
    }
    serve(OK_ANSWER); /* with a Content-Length the response was complete */
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
}

static void a_connection_that_the_server_closed_is_replaced(void **state) {
    static const char *const once[] = {
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\n{\"ok\":true}",
        "HTTP/1.0 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}",
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}HTTP/1.1 200 OK\r\n",
    };
    (void)state;
    make_bot(NULL);
    hang_up = true; /* without a response, as an idle connection is closed */
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
        assert_int_equal(web.accepts, i);
        assert_string_equal(rtm_error_detail(bot), ""); /* nothing has failed */
    }
    hang_up = false;
    for (int i = 0; i < 3; i++) {
        int before = web.accepts;
        serve(once[i]);
        assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
        server_fill(&web);
        assert_int_equal(web.ended, i < 2);
        serve(OK_ANSWER);
        assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
        assert_int_equal(web.accepts - before, i ? 1 : 2);
        assert_int_equal(asked_count, 1);
    }
}

static void a_session_continues_with_nothing_lost(void **state) {
    (void)state;
    make_bot(NULL);
    server_idle = NULL;
    open_session();
    server_send_text(&slack, "{\"type\":\"message\",\"n\":1}");
    server_idle = serve_calls;
    assert_int_equal(rtm_send_message(bot, "C1", "before"), 1);
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
    assert_int_equal(received_count, received_next); /* no callback ran meanwhile */
    server_idle = NULL;
    server_send_text(&slack, "{\"type\":\"message\",\"n\":2}");
    assert_string_equal(next_event("message")->data, "{\"type\":\"message\",\"n\":1}");
    assert_string_equal(next_event("message")->data, "{\"type\":\"message\",\"n\":2}");
    server_send_text(&slack, "{\"ok\":true,\"reply_to\":1}");
    assert_int_equal(next_event("Unknown")->id, 1);
    no_event();
    assert_int_equal(slack.accepts, 2);
    assert_int_equal(web.accepts, 1);
}

static void a_call_is_possible_in_each_state(void **state) {
    (void)state;
    for (int s = RTM_STATE_IDLE; s <= RTM_STATE_FINISHED; s++) {
        bool stopped = s == RTM_STATE_CLOSING || s == RTM_STATE_FINISHED;
        server_idle = NULL;
        reach((rtm_state)s);
        received_next = received_count;
        serve(OK_ANSWER);
        server_resolves = 0;
        assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), stopped ? RTM_E_STOPPED : RTM_OK);
        assert_int_equal(server_resolves, stopped ? 0 : 1); /* no connection after rtm_stop */
        assert_int_equal(rtm_get_state(bot), s);
        assert_int_equal(received_count, received_next);
        end_bot();
        server_close(&web);
    }
}

static int called;

static void call_it(rtm_client *client, const rtm_event *event, void *user_data) {
    rtm_response response;
    char detail[256];
    size_t size, after;
    (void)user_data;
    snprintf(detail, sizeof detail, "%s", event->detail);
    const char *data = rtm_json_raw(event->data, &size);
    char copy[600];
    snprintf(copy, sizeof copy, "%.*s", (int)size, data ? data : "");
    serve(answer_of("200 OK", NOT_FOUND));
    assert_int_equal(rtm_call(client, &response, "chat.postMessage", NULL), RTM_E_SLACK);
    assert_string_equal(response.error, "channel_not_found");
    assert_ptr_equal(rtm_json_raw(event->data, &after), data); /* the event is as it was */
    assert_int_equal(after, size);
    if (data) assert_memory_equal(data, copy, size);
    assert_string_equal(event->detail, detail);
    server_idle = NULL;
    called++;
}

static int serve_in_1500_ms(int timeout_ms) {
    int before = asked_count;
    serve_calls(timeout_ms);
    if (asked_count > before) test_now_ms += 1500;
    return 0;
}

/* The time of the calls does not count for the attempt that they delay. */
static void calls_do_not_use_up_the_time_of_an_attempt(void **state) {
    rtm_config config = usual_config();
    request got;
    (void)state;
    config.timeout_ms = 2500;
    for (int i = 0; i < 4; i++) {
        bool upgrading = i / 2, early = i % 2; /* early: answered before the calls */
        make_bot(&config);
        server_idle = NULL;
        if (upgrading) take_upgrade(&got);
        else take_call(&got);
        if (early && upgrading) server_answer_upgrade(&slack, &got);
        if (early && !upgrading) server_answer_connect(&slack, "link");
        serve(OK_ANSWER);
        server_idle = serve_in_1500_ms;
        for (int j = 0; j < 2; j++)
            assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
        server_idle = NULL;
        if (!early) no_event();
        if (!early && upgrading) server_answer_upgrade(&slack, &got);
        if (!early && !upgrading) server_answer_connect(&slack, "link");
        if (!upgrading) {
            server_accept(&slack);
            server_upgrade(&slack, &got);
        }
        next_event("open");
        end_bot();
    }
}

static void a_call_is_possible_in_callbacks(void **state) {
    (void)state;
    make_bot(NULL);
    server_idle = NULL;
    rtm_on(bot, "*", call_it, NULL);
    called = 0;
    open_session();
    server_send_text(&slack, "{\"type\":\"message\",\"list\":[1,2,3]}");
    server_send_text(&slack, "{\"type\":\"message\",\"list\":[4]}");
    next_event("message");
    assert_string_equal(next_event("message")->data, "{\"type\":\"message\",\"list\":[4]}");
    server_close(&slack);
    next_error(RTM_E_CLOSED);
    next_event("close");
    assert_int_equal(called, 5);
    assert_int_equal(web.accepts, 1);
    expect_wait(1000, 1999);
}

static int stop_meanwhile(int timeout_ms) {
    (void)timeout_ms;
    rtm_stop(bot);
    return -1;
}

static int signal_it(int timeout_ms) {
    if (rtmi_is_stopped(bot)) test_now_ms += timeout_ms;
    else raise(SIGTERM);
    return 0;
}

static void call_and_wait(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event;
    server_idle = signal_it;
    *(int *)user_data = rtm_call(client, NULL, "api.test", NULL);
}

static void a_signal_ends_a_call_in_a_callback_of_run(void **state) {
    int result = RTM_OK;
    (void)state;
    make_bot(NULL);
    rtm_on(bot, "message", call_and_wait, &result);
    server_idle = NULL;
    open_session();
    server_send_text(&slack, "{\"type\":\"message\"}");
    assert_int_equal(rtm_run(bot), RTM_OK);
    assert_int_equal(result, RTM_E_STOPPED);
}

static void stop_ends_a_call_that_waits(void **state) {
    (void)state;
    make_bot(NULL);
    server_idle = stop_meanwhile;
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_E_STOPPED);
    assert_int_equal(rtm_poll(bot, 0), RTM_E_STOPPED);
}

static int interrupts;

static int interrupt_and_serve(int timeout_ms) {
    if (interrupts++ % 2) return -1;
    return serve_calls(timeout_ms);
}

static void a_call_survives_signals(void **state) {
    (void)state;
    make_bot(NULL);
    interrupts = 0;
    server_idle = interrupt_and_serve;
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
    assert_true(interrupts > 1);
}

static void out_of_memory_is_a_result_and_the_next_call_works(void **state) {
    bool hit = true;
    (void)state;
    for (long at = 1; hit; at++) {
        rtm_response response;
        make_bot(NULL);
        serve(answer_of("200 OK", "{\"ok\":true,\"a\":[1]}"));
        test_fail_at = test_allocations + at;
        rtm_result result = rtm_call(bot, &response, "api.test", "a", "b", NULL);
        hit = test_allocations >= test_fail_at;
        test_fail_at = 0;
        assert_int_equal(result, hit ? RTM_E_MEMORY : RTM_OK);
        assert_int_equal(response.result, result);
        assert_int_equal(rtm_call(bot, &response, "api.test", "a", "b", NULL), RTM_OK);
        assert_int_equal(rtm_json_count(rtm_json_get(response.data, "a")), 1);
        assert_true(hit || at > 4);
        end_bot();
        assert_int_equal(test_blocks, 0);
    }
}

/* Secrets -------------------------------------------------------------------------------------- */

static void a_token_echoed_by_the_server_is_not_shown(void **state) {
    rtm_response response;
    char body[300];
    (void)state;
    make_bot(NULL);
    for (int pad = 0; pad < 64; pad++) {
        snprintf(body, sizeof body, "{\"ok\":false,\"error\":\"%.*s" TOKEN "\"}", pad,
                 "................................................................");
        serve(answer_of("200 OK", body));
        assert_int_equal(rtm_call(bot, &response, "api.test", NULL), RTM_E_SLACK);
        note_shown(response.error);
        note_shown(rtm_error_detail(bot));
    }
}

/* An unknown token begins like the token of the client. */
static void a_token_of_another_client_is_not_shown(void **state) {
    rtm_response response;
    (void)state;
    make_bot(NULL);
    serve(answer_of("200 OK", "{\"ok\":false,\"error\":"
                              "\"xoxb-1234567890-OTHERsecretOTHERsecret\"}"));
    assert_int_equal(rtm_call(bot, &response, "api.test", NULL), RTM_E_SLACK);
    note_shown(response.error);
    note_shown(rtm_error_detail(bot));
    assert_null(strstr(shown, "OTHER"));
    assert_null(strstr(shown, "ERsecret"));
    assert_null(strstr(shown, "1234567"));
    assert_string_equal(response.error, "xoxb-?-?");
    assert_string_equal(rtm_error_detail(bot), "Slack refused api.test: xoxb-?-?");
}

/* Masking is for messages and log lines: it neither changes the result of a code nor alters a
   string that looks like a code. */
static void error_codes_have_their_result_and_are_returned_unchanged(void **state) {
#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DOTS "............................................................" /* 60 */
    static const struct {
        const char *code;
        rtm_result result;
        const char *error, *detail, *hidden; /* to the program; in the message; nowhere in it */
    } rows[] = {
        { "account_inactive", RTM_E_AUTH, "account_inactive", ": account_inactive", NULL },
        { "channel_not_found", RTM_E_SLACK, "channel_not_found", ": channel_not_found", NULL },
        { "legacy_custom_bots_deprecated", RTM_E_AUTH, "legacy_custom_bots_deprecated",
          "Socket Mode", NULL },
        { "forbidden_team", RTM_E_AUTH, "forbidden_team", ": forbidden_team", NULL },
        { "ratelimited", RTM_E_RATE_LIMITED, "ratelimited", ": ratelimited", NULL },
        { "TOKEN_REVOKED", RTM_E_SLACK, "TOKEN_REVOKED", ": TOKEN_REVOKED", NULL },
        /* letters, digits, "_" and ".": as received, even if the message must not have it so */
        { "Code_1234567890.SecretSecret", RTM_E_SLACK, "Code_1234567890.SecretSecret",
          ": Code_?.?", "1234567" },
        { "tooManyThings", RTM_E_SLACK, "tooManyThings", ": ?", "many" },
        { "\\u0078oxb_0a1b2c3d", RTM_E_SLACK, "xoxb_0a1b2c3d", ": xoxb_?", "0a1b" },
        { "A24abcdefghijklmnopqrstuvw", RTM_E_SLACK, "A24abcdefghijklmnopqrstuvw", ": ?", "A24" },
        { A63 "1", RTM_E_SLACK, A63, ": ?", "aaa" },
        /* any other byte: tamed for the program too */
        { "a\\u0007b\\u009bc\\u202ed", RTM_E_SLACK, "a?b??c???d", ": a?b??c???d", NULL },
        { "a_" TOKEN, RTM_E_SLACK, "a_xoxb-?-?", ": a_xoxb-?-?", "1234567" },
        { "invalid_auth ", RTM_E_SLACK, "invalid_auth ", ": invalid_auth ", NULL },
        { "invalid_auth\\u007f", RTM_E_SLACK, "invalid_auth?", ": invalid_auth?", NULL },
        { "Code-1234567", RTM_E_SLACK, "Code-?", ": Code-?", "1234567" },
        /* 63 bytes at most; in the message a run that was cut is "?" */
        { DOTS "abc", RTM_E_SLACK, DOTS "abc", ": " DOTS "abc", NULL },
        { DOTS "xyzxyzxy1", RTM_E_SLACK, DOTS "xyz", ": " DOTS "?", ".x" },
        { "-" DOTS "kl1", RTM_E_SLACK, "-" DOTS "?", ": -" DOTS "?", ".k" },
        { DOTS "ab-cdefgh1", RTM_E_SLACK, DOTS "ab-", ": " DOTS "ab-", "-c" },
    };
    (void)state;
    make_bot(NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char body[200];
        rtm_response response;
        snprintf(body, sizeof body, "{\"ok\":false,\"error\":\"%s\"}", rows[i].code);
        serve(answer_of("200 OK", body));
        assert_int_equal(rtm_call(bot, &response, "api.test", NULL), rows[i].result);
        assert_string_equal(response.error, rows[i].error);
        note_shown(rtm_error_detail(bot));
        if (!strstr(rtm_error_detail(bot), rows[i].detail)) fail_msg("%s", rtm_error_detail(bot));
        if (rows[i].hidden && strstr(shown, rows[i].hidden)) /* in the log either */
            fail_msg("%s in %s", rows[i].hidden, shown);
    }
}

/* A message from Slack that is too long for the error message is masked where it was truncated. */
static void a_secret_truncated_in_an_error_message_is_not_shown(void **state) {
    (void)state;
    make_bot(NULL);
    open_session();
    for (int pad = 80; pad < 130; pad++) {
        char json[400], dots[131];
        memset(dots, '.', sizeof dots);
        int id = rtm_send_message(bot, "C1", "hello");
        snprintf(json, sizeof json, "{\"ok\":false,\"reply_to\":%d,\"error\":{\"code\":2,\"msg\":\""
                 "%.*s" TOKEN "\"}}", id, pad, dots);
        server_send_text(&slack, json);
        const char *detail = next_error(RTM_E_SLACK)->detail;
        assert_null(strstr(detail, "1234567"));
        assert_null(strstr(detail, "SecretS"));
        dots[pad < 127 ? pad : 127] = '\0';
        assert_non_null(strstr(detail, dots));
        if (pad < 90) assert_non_null(strstr(detail, ".xoxb-?-? (code 2)"));
    }
}

/* Configuration -------------------------------------------------------------------------------- */

static char last_detail[256];

/* A configuration that is refused: no client, no leak, an error message. */
static void refused(const rtm_config *config, rtm_result result, const char *about) {
    rtm_client *client = (rtm_client *)(void *)last_detail; /* anything but NULL */
    assert_int_equal(rtm_create(config, &client), result);
    assert_null(client);
    assert_int_equal(test_blocks, 0);
    const char *detail = rtm_error_detail(NULL);
    if (!strcasestr(detail, about)) fail_msg("\"%s\" is not about %s", detail, about);
    assert_true(strlen(detail) > 10);
    note_shown(detail);
    assert_int_equal(server_resolves, 0);
}

static void a_config_needs_a_usable_token(void **state) {
    static const struct { const char *token, *about; } rows[] = {
        { NULL, "token is not set" }, { "", "empty" }, { " \t\r\n", "empty" },
        { "xoxb-1\n2", "character" },
        { "xoxb-1\r2", "character" }, { "xoxb 1", "character" }, { "xoxb-\xc3\xbc", "character" },
        { "xoxb-\x7f", "character" }, { "\x01xoxb", "character" },
    };
    rtm_client *client;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        rtm_config config = usual_config();
        config.token = rows[i].token;
        refused(&config, RTM_E_ARGUMENT, rows[i].about);
    }
    refused(NULL, RTM_E_ARGUMENT, "config");
    rtm_config config = usual_config();
    assert_int_equal(rtm_create(&config, NULL), RTM_E_ARGUMENT);
    assert_true(strlen(rtm_error_detail(NULL)) > 10);
    assert_int_equal(rtm_create(&config, &client), RTM_OK);
    assert_string_equal(rtm_error_detail(NULL), "");
    rtm_destroy(client);
}

static void a_base_url_must_be_a_url(void **state) {
    static const char *const urls[] = {
        "slack.com", "ftp://slack.com/", "ws://slack.com/api/", "wss://slack.com/api/",
        "https://", "https:///api/", "http://a\r\nb/", "http://a\nX: y/api/", "http://a b/",
        "http://a/api\r\n/", "http://a:0/", "http://a:65536/", "http://a:b/", "http://u:p@a/",
        "http://[::1/api/", "http://a/api/?token=x", "https://a\xc3\xbc/",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(urls); i++) {
        rtm_config config = usual_config();
        config.base_url = urls[i];
        refused(&config, RTM_E_ARGUMENT, "base_url");
    }
}

static void an_empty_base_url_is_the_default(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        rtm_config config = usual_config();
        config.base_url = i ? "" : NULL;
        make_bot(&config);
        assert_string_equal(bot->settings.api.host, "slack.com");
        assert_string_equal(bot->settings.base_path, "/api/");
        assert_true(bot->settings.api.tls);
        end_bot();
    }
}

static void headers_must_be_well_formed_and_not_rtm_hs_own(void **state) {
    static const char *const headers[] = {
        "", "Name", ":", ": value", "Na me: value", "Name\t: value", "Name: a\r\nX: b", "Name: a\n",
        "Name: a\rb", "Na\nme: a", "Name: \x01", "Name: \x7f", "N\xc3\xbc: a", "Name : a",
        "Content-Length: 5", "transfer-encoding: chunked", "Connection: close", "UPGRADE: h2c",
        "Sec-WebSocket-Key: a", "Sec-WebSocket-Version: 8", "Sec-WebSocket-Extensions: a",
        "Sec-WebSocket-Protocol: a", "Expect: 100-continue",
        "Proxy-Authorization: Basic dTpw", /* a header for the proxy, not for Slack */
    };
    (void)state;
    for (size_t i = 0; i < COUNT(headers); i++) {
        const char *const both[] = { "Good: one", headers[i], NULL };
        rtm_config config = usual_config();
        config.headers = both;
        refused(&config, RTM_E_ARGUMENT, "header");
    }
}

static void a_proxy_must_be_well_formed(void **state) {
    static const struct { const char *proxy; rtm_result result; } rows[] = {
        { "http://", RTM_E_ARGUMENT }, { "http://a b:1", RTM_E_ARGUMENT },
        { "http://a:1\r\nX: y", RTM_E_ARGUMENT }, { "http://a:x", RTM_E_ARGUMENT },
        { "http://a:65536", RTM_E_ARGUMENT }, { "http://u:%0d%0a@a:1", RTM_E_ARGUMENT },
        { "http://u:%00@a:1", RTM_E_ARGUMENT }, { "http://u:%4@a:1", RTM_E_ARGUMENT },
        { "http://u:p@", RTM_E_ARGUMENT }, { "http://a:1\n", RTM_E_ARGUMENT },
        { "http://a:1/x", RTM_E_ARGUMENT }, { "http://a:1//", RTM_E_ARGUMENT },
        { "http://a:1?x", RTM_E_ARGUMENT }, { "http://a:1#x", RTM_E_ARGUMENT },
        { "http://bob:1234/xyz@proxy:3128", RTM_E_ARGUMENT }, { "a:1/?", RTM_E_ARGUMENT },
        { "https://a:1", RTM_E_UNSUPPORTED }, { "socks5://a:1", RTM_E_UNSUPPORTED },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        rtm_config config = usual_config();
        config.proxy = rows[i].proxy;
        refused(&config, rows[i].result, rows[i].result == RTM_E_ARGUMENT ? "proxy" : "prox");
        config.proxy = NULL;
        setenv("https_proxy", rows[i].proxy, 1);
        refused(&config, rows[i].result, "https_proxy: ");
        config.proxy = ""; /* none, whatever the environment says */
        make_bot(&config);
        end_bot();
        unsetenv("https_proxy");
    }
}

static void numbers_and_methods_must_make_sense(void **state) {
    static const rtm_handler no_callback[] = { { "message", NULL, NULL }, { NULL, NULL, NULL } };
    static const rtm_handler no_type[] = { { "", record_event, NULL }, { NULL, NULL, NULL } };
    static const char *const methods[] = { "", "rtm", "rtm.connect ", "RTM.START", "auth.test" };
    (void)state;
    for (size_t i = 0; i < COUNT(methods); i++) {
        rtm_config config = usual_config();
        config.connect_method = methods[i];
        refused(&config, RTM_E_ARGUMENT, "connect_method");
    }
    for (int i = 0; i < 8; i++) {
        static const char *const about[] = { "timeout_ms", "ping_interval_ms", "max_message_size",
                                             "handler", "handler", "app_token",
                                             "max_message_size", "max_queue_size" };
        rtm_config config = usual_config();
        if (i == 0) config.timeout_ms = -1;
        if (i == 1) config.ping_interval_ms = -2;
        if (i == 2) config.max_message_size = ((size_t)1 << 30) + 1;
        if (i == 3) config.handlers = no_callback;
        if (i == 4) config.handlers = no_type;
        if (i == 5) config.app_token = "xoxb-1";
        if (i == 6) config.max_message_size = 4095; /* too little for rtm.connect's answer */
        if (i == 7) config.max_queue_size = ((size_t)1 << 30) + 1;
        refused(&config, RTM_E_ARGUMENT, about[i]);
    }
}

static void the_limits_themselves_are_accepted(void **state) {
    static const char *const headers[] = { "A:", "x-1_.~: \ttext \xc3\xbc", NULL };
    rtm_config config = usual_config();
    (void)state;
    config.token = "\t xoxp-1 \n";
    config.max_message_size = (size_t)1 << 30; /* "at most 1 GiB" */
    config.timeout_ms = 2147483647;
    config.ping_interval_ms = 2147483647;
    config.headers = headers;
    config.proxy = "http://us%40er:p%3Aw@[::1]:3128/";
    config.base_url = "https://127.0.0.1:65535";
    config.ca_file = "/nowhere"; /* ca_pem has priority */
    config.ca_pem = CA_PEM;
    make_bot(&config);
    end_bot();
}

/* A bundle that cannot be used is reported when the client is made, not at each handshake.
   SSL_CERT_FILE is for all programs: it does not matter to a client that uses http only. */
static void a_ca_bundle_without_a_certificate_is_refused_with_its_name(void **state) {
    static const struct { const char *file, *variable, *pem, *about; } rows[] = {
        { "/nowhere/ca.pem", NULL, NULL, "ca_file /nowhere/ca.pem: " },
        { "/", NULL, NULL, "ca_file /: " },
        { "/dev/null", NULL, NULL, "ca_file /dev/null: no certificate" },
        { NULL, "/nowhere/ca.pem", NULL, "SSL_CERT_FILE /nowhere/ca.pem: " },
        { NULL, NULL, "no PEM", "ca_pem: no certificate" },
        { NULL, "/nowhere/ca.pem", "", "ca_pem: no certificate" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int https = 0; https < 2; https++) {
            rtm_config config = usual_config();
            if (https) config.base_url = "https://127.0.0.1:1/api/";
            config.ca_file = rows[i].file;
            config.ca_pem = rows[i].pem;
            if (rows[i].variable) setenv("SSL_CERT_FILE", rows[i].variable, 1);
            if (!https && rows[i].variable && !rows[i].pem) make_bot(&config);
            else refused(&config, RTM_E_ARGUMENT, rows[i].about);
            unsetenv("SSL_CERT_FILE");
            end_bot();
        }
}

static void out_of_memory_makes_no_client(void **state) {
    static const char *const headers[] = { "Cookie: " COOKIE, "X-Other: value", NULL };
    static const rtm_handler handlers[] = { { "message", record_event, NULL },
                                            { NULL, NULL, NULL } };
    (void)state;
    setenv("no_proxy", "localhost", 1);
    for (int i = 0; i < 2; i++) {
        bool hit = true;
        for (long at = 1; hit; at++) {
            rtm_config config = usual_config();
            rtm_client *client;
            config.headers = headers;
            config.handlers = handlers;
            config.proxy = i ? NULL : "http://user:password@127.0.0.1:3128";
            config.ca_file = "/nowhere";
            config.ca_pem = CA_PEM;
            setenv("HTTPS_PROXY", "http://127.0.0.1:3128", 1);
            test_fail_at = test_allocations + at;
            rtm_result result = rtm_create(&config, &client);
            hit = test_allocations >= test_fail_at;
            test_fail_at = 0;
            unsetenv("HTTPS_PROXY");
            bool made = client != NULL;
            rtm_destroy(client);
            if (result != (hit ? RTM_E_MEMORY : RTM_OK)) fail_msg("allocation %ld: %d", at, result);
            assert_int_equal(made, !hit);
            if (hit) assert_non_null(strstr(rtm_error_detail(NULL), "memory"));
            assert_true(hit || at > 10);
            assert_int_equal(test_blocks, 0);
        }
    }
    unsetenv("no_proxy");
}

#define WEB(function) cmocka_unit_test_setup_teardown(function, begin_web, end_web)

/* Requests after the end ---------------------------------------------------------------------- */

static server requests;
static rtm_result request_result;

static void on_response(rtm_client *client, const rtm_response *response, void *user_data) {
    (void)client, (void)user_data;
    request_result = response->result;
}

/* The session's call waits at `slack`, a submitted request at `requests`; its id. */
static int submit_during_a_call(void) {
    request got;
    make_bot(NULL);
    take_call(&got);
    int id = rtm_call_async(bot, on_response, NULL, "auth.test", NULL);
    server_share(&requests, &slack);
    server_accept(&requests);
    server_read_request(&requests, &got);
    return id;
}

static int last_result(void) {
    int result = 0;
    for (int i = 0; i < 50 && (result = rtm_poll(bot, 0)) >= 0; i++) poll(NULL, 0, 1);
    return result;
}

static void a_stop_after_a_final_end_is_reported_as_a_stop(void **state) {
    (void)state;
    submit_during_a_call();
    server_answer(&slack, "200 OK", "", "{\"ok\":false,\"error\":\"invalid_auth\"}");
    next_error(RTM_E_AUTH);
    rtm_stop(bot);
    rtm_poll(bot, 0);
    test_now_ms += 2000;
    assert_int_equal(last_result(), RTM_E_STOPPED);
    assert_int_equal(request_result, RTM_E_STOPPED);
    server_free(&requests);
}

static void a_request_cancelled_before_the_destroy_is_reported_as_cancelled(void **state) {
    (void)state;
    int id = submit_during_a_call();
    assert_int_equal(rtm_cancel(bot, id), RTM_OK);
    end_bot();
    assert_int_equal(request_result, RTM_E_CANCELLED);
    server_free(&requests);
}

static void the_detail_is_of_the_result_and_not_of_a_request(void **state) {
    (void)state;
    submit_during_a_call();
    server_answer(&slack, "200 OK", "", "{\"ok\":false,\"error\":\"account_inactive\"}");
    next_error(RTM_E_AUTH);
    server_answer(&requests, "500 Oops", "", "x");
    assert_int_equal(last_result(), RTM_E_AUTH);
    assert_int_equal(request_result, RTM_E_HTTP);
    assert_non_null(strstr(rtm_error_detail(bot), "account_inactive"));
    server_free(&requests);
}

static const struct CMUnitTest tests[] = {
    WEB(a_call_is_a_form_with_the_token_in_the_header),
    WEB(form_fields_are_encoded),
    WEB(a_large_form_arrives_whole),
    WEB(bad_method_names_are_refused),
    WEB(headers_replace_those_of_rtm_h_on_both_legs),
    WEB(an_authorization_of_the_users_replaces_the_token),
    WEB(every_answer_has_its_result),
    WEB(the_response_can_be_looked_into),
    WEB(a_response_is_kept_until_the_next_call),
    WEB(a_huge_response_gives_its_memory_back_at_the_next_call),
    WEB(failures_of_the_connection_are_results),
    WEB(a_refused_call_is_a_result),
    WEB(a_call_takes_no_longer_than_timeout_ms),
    WEB(a_response_over_max_message_is_too_big),
    WEB(a_response_nested_too_deep_is_reported_as_such),
    WEB(the_advice_on_a_token_type_depends_on_the_method),
    WEB(an_accessor_without_memory_is_reported_at_once),
    WEB(a_piece_of_the_last_response_can_be_an_argument),
    WEB(invalid_utf8_is_not_sent),
    WEB(a_type_that_no_event_has_is_refused),
    WEB(a_message_with_two_ids_or_types_goes_out_as_given),
    WEB(the_connection_is_kept_for_the_next_call),
    WEB(a_kept_connection_that_the_server_closes_leaves_rtm_fd_quiet),
    WEB(a_connection_idle_for_a_minute_is_replaced),
    WEB(a_connection_that_the_server_closed_is_replaced),
    WEB(a_body_without_a_length_must_end_in_order),
    WEB(a_session_continues_with_nothing_lost),
    WEB(a_call_is_possible_in_each_state),
    WEB(calls_do_not_use_up_the_time_of_an_attempt),
    WEB(a_call_is_possible_in_callbacks),
    WEB(a_signal_ends_a_call_in_a_callback_of_run),
    WEB(stop_ends_a_call_that_waits),
    WEB(a_call_survives_signals),
    WEB(out_of_memory_is_a_result_and_the_next_call_works),
    WEB(a_token_echoed_by_the_server_is_not_shown),
    WEB(a_token_of_another_client_is_not_shown),
    WEB(error_codes_have_their_result_and_are_returned_unchanged),
    WEB(a_secret_truncated_in_an_error_message_is_not_shown),
    WEB(a_config_needs_a_usable_token),
    WEB(a_base_url_must_be_a_url),
    WEB(an_empty_base_url_is_the_default),
    WEB(headers_must_be_well_formed_and_not_rtm_hs_own),
    WEB(a_proxy_must_be_well_formed),
    WEB(numbers_and_methods_must_make_sense),
    WEB(the_limits_themselves_are_accepted),
    WEB(a_ca_bundle_without_a_certificate_is_refused_with_its_name),
    WEB(out_of_memory_makes_no_client),
    TEST(a_stop_after_a_final_end_is_reported_as_a_stop),
    TEST(a_request_cancelled_before_the_destroy_is_reported_as_cancelled),
    TEST(the_detail_is_of_the_result_and_not_of_a_request),
};

int main(void) {
    return cmocka_run_group_tests(tests, NULL, NULL);
}
