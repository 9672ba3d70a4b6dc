/* Submitted requests: each is reported once and sent at most once; rate limits, bodies, URLs,
   limits, and blocking calls at the same time. */
#include "server.h"

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}"
#define LIMITED(fields) \
    "HTTP/1.1 429 Slow\r\n" fields "Content-Length: 34\r\n\r\n" \
    "{\"ok\":false,\"error\":\"ratelimited\"}"

/* Measures the work of the client in basic blocks: each of them calls this
   (-fsanitize-coverage). */
static long blocks;
void __sanitizer_cov_trace_pc(void);
#ifndef __clang__ /* clang does not instrument a function of this name */
__attribute__((no_sanitize_coverage))
#endif
void __sanitizer_cov_trace_pc(void) { blocks++; }

/* Slack: several connections, those of the session among them ---------------------------------- */

enum { PEERS = 6, OTHER = 4, LAST = 8, MOST = 3000 }; /* from OTHER on they are of another host */

typedef struct peer {
    server s;
    request got;
    size_t left; /* of the body, while its request is read */
    bool in_body, websocket;
} peer;

static peer peers[PEERS];
static server other; /* another host */

/* How rtm.connect and the upgrade are handled. */
static enum { OPENS, NO_ANSWER, NO_UPGRADE, FAILS, FATAL, LIMITS } session;
static bool answers_close; /* of the session */

/* The responses to the other requests, in order of arrival; then "ok" with the number of the
   request. NULL: no response; EARLY: sent before the body was read. */
typedef struct reply {
    const char *answer;
    enum after { KEEP, HANG_UP, RESET, EARLY, EARLY_HANG_UP } then;
} reply;
static reply script[20];
static int script_at, script_size;
static bool stalls; /* nothing is read */

/* The complete requests received: the last letters of their methods, the numbers in their fields;
   and the last request. */
static char order[MOST];
static int numbers[MOST], asked_count;
static struct asked {
    request got;
    peer *from;
    size_t size;  /* of the body */
    bool pattern; /* which is what pattern() gives */
} asked[LAST];
static int hung_up; /* connections that the client closed */

#define ECHO "echo"

static const char *numbered(int number) {
    static char text[100];
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n"
             "{\"ok\":true,\"number\":%9d}", number);
    return text;
}

static void play(const reply *replies, size_t count) {
    assert_true(count <= COUNT(script));
    for (size_t i = 0; i < count; i++) script[i] = replies[i];
    script_at = 0;
    script_size = (int)count;
}
#define PLAY(...) \
    play((const reply[]){ __VA_ARGS__ }, sizeof (const reply[]){ __VA_ARGS__ } / sizeof(reply))

static struct asked *last_asked(void) { return &asked[(asked_count - 1) % LAST]; }

static char pattern(size_t at) { return (char)('a' + at % 23); }

static reply next_reply(void) {
    static const reply echo = { ECHO, KEEP };
    return script_at < script_size ? script[script_at] : echo;
}

static void answer(peer *p) {
    char *end = strstr(p->got.head, " HTTP/1.1\r\n"), *n = strstr(p->got.body, "n=");
    assert_non_null(end);
    if (strstr(p->got.head, "/rtm.connect ") || strstr(p->got.head, "/apps.connections.open ")) {
        if (session == OPENS || session == NO_UPGRADE) server_answer_connect(&p->s, "link");
        if (session == FAILS) server_answer(&p->s, "500 No", "", "");
        if (session == LIMITS) {
            static char page[7295];
            memset(page, 'x', sizeof page - 1);
            server_answer(&p->s, "429 Slow", "Retry-After: 60\r\n", page);
        }
        if (session == FATAL)
            server_answer(&p->s, "200 OK", "", "{\"ok\":false,\"error\":\"invalid_auth\"}");
        return;
    }
    if (!strncmp(p->got.head, "GET /link", 9)) {
        if (session != OPENS) return;
        server_answer_upgrade(&p->s, &p->got);
        p->websocket = true;
        return;
    }
    assert_true(asked_count < MOST - 1);
    order[asked_count] = end[-1];
    numbers[asked_count++] = n ? atoi(n + 2) : 0;
    last_asked()->got = p->got;
    last_asked()->from = p;
    reply now = next_reply();
    script_at++;
    if (now.answer && !strcmp(now.answer, ECHO)) now.answer = numbered(numbers[asked_count - 1]);
    if (now.answer) server_send(&p->s, now.answer);
    if (now.then == HANG_UP || now.then == EARLY_HANG_UP) server_close(&p->s);
    if (now.then == RESET) server_reset(&p->s);
}

/* Reads a request; true if it is complete and answered. */
static bool take_request(peer *p) {
    server *s = &p->s;
    server_fill(s);
    if (!p->in_body) {
        char *end = s->in_size < 4 ? NULL : memmem(s->in, s->in_size, "\r\n\r\n", 4);
        if (!end) return false;
        size_t head = (size_t)(end - s->in);
        assert_true(head < sizeof p->got.head);
        memcpy(p->got.head, s->in, head);
        p->got.head[head] = '\0';
        server_use(s, head + 4);
        const char *length = header(&p->got, "Content-Length");
        p->left = length ? (size_t)atol(length) : 0;
        p->in_body = true;
        asked[asked_count % LAST].size = 0;
        asked[asked_count % LAST].pattern = true;
        p->got.body[0] = '\0';
        if (next_reply().then >= EARLY) {
            answer(p);
            stalls = true;
            return true;
        }
    }
    struct asked *now = &asked[asked_count % LAST];
    while (p->left && s->in_size) {
        size_t size = s->in_size < p->left ? s->in_size : p->left;
        for (size_t i = 0; i < size; i++) {
            if (s->in[i] != pattern(now->size + i)) now->pattern = false;
            if (now->size + i < sizeof p->got.body - 1) {
                p->got.body[now->size + i] = s->in[i];
                p->got.body[now->size + i + 1] = '\0';
            }
        }
        now->size += size;
        p->left -= size;
        server_use(s, size);
        server_fill(s);
    }
    if (p->left) return false;
    p->in_body = false;
    answer(p);
    return true;
}

static int serve(int timeout_ms) {
    static frame got;
    (void)timeout_ms;
    for (peer *p = peers; p < peers + PEERS; p++) {
        if (p->s.fd < 0) {
            if (!server_try_accept(&p->s)) continue;
            p->in_body = p->websocket = false;
        }
        if (p->websocket) {
            while (server_try_frame(&p->s, &got))
                if (got.opcode == RTMI_WS_CLOSE && answers_close)
                    server_send_close(&p->s, 1000, "");
        } else {
            while (!stalls && p->s.fd >= 0 && take_request(p)) continue;
        }
        if (p->s.fd < 0 || !p->s.ended) continue;
        server_close(&p->s);
        hung_up++;
    }
    return 0;
}

/* For blocking calls that get no answer. */
static int serve_and_skip(int timeout_ms) {
    int before = asked_count;
    serve(timeout_ms);
    if (asked_count == before) test_now_ms += timeout_ms;
    return 0;
}

static int accepted(void) {
    int count = 0;
    for (peer *p = peers; p < peers + PEERS; p++) count += p->s.accepts;
    return count;
}

static peer *session_peer(void) {
    for (peer *p = peers; p < peers + PEERS; p++)
        if (p->s.fd >= 0 && p->websocket) return p;
    fail_msg("%s", "there is no session");
    return NULL;
}

/* The client's side ---------------------------------------------------------------------------- */

static struct outcome {
    int runs; /* of its callback */
    bool submitted, ok, json;
    rtm_result result;
    int status, retry_after, number; /* number: expected in its response, or 0 */
    char error[64], detail[256], body[200], type[200];
} done[MOST]; /* by id */
static int done_count;
static void (*in_done)(rtm_client *client, const rtm_response *response); /* in the callback */
static void (*in_message)(rtm_client *client, const rtm_event *event);
static char tag; /* what is given as `user` */

static void on_response(rtm_client *client, const rtm_response *response, void *user_data) {
    assert_ptr_equal(user_data, &tag);
    assert_ptr_equal(client, bot);
    assert_in_range(response->id, 1, MOST - 1);
    struct outcome *kept = &done[response->id];
    assert_true(kept->submitted);
    assert_int_equal(kept->runs++, 0);
    done_count++;
    kept->result = response->result;
    kept->status = response->status;
    kept->ok = response->ok;
    kept->json = rtm_json_raw(response->data, NULL) != NULL;
    kept->retry_after = response->retry_after;
    snprintf(kept->error, sizeof kept->error, "%s", response->error);
    snprintf(kept->detail, sizeof kept->detail, "%s", response->detail);
    snprintf(kept->type, sizeof kept->type, "%s", response->content_type);
    snprintf(kept->body, sizeof kept->body, "%.*s",
             (int)(response->body_size < 199 ? response->body_size : 199), response->body);
    if (response->result == RTM_OK && kept->number) /* not the answer of another request */
        assert_int_equal(rtm_json_int(rtm_json_get(response->data, "number"), kept->number),
                         kept->number);
    assert_int_equal(strlen(response->detail) > 10, response->result != RTM_OK);
    note_shown(response->detail);
    if (in_done) in_done(client, response);
}

static void on_message(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)user_data;
    if (in_message) in_message(client, event);
}

/* Submits a request, whose callback is on_response unless it has another. */
static int put(rtm_request asking) {
    if (!asking.callback) {
        asking.callback = on_response;
        asking.user_data = &tag;
    }
    int id = rtm_submit(bot, &asking);
    if (id < 0) return id;
    assert_in_range(id, 1, MOST - 1);
    assert_false(done[id].submitted); /* no id is given twice */
    done[id].submitted = true;
    return id;
}

/* Submits a request to this method; only its number matters. */
static int submit(const char *method, int number) {
    char text[16];
    const char *fields[] = { "n", text, NULL };
    snprintf(text, sizeof text, "%d", number);
    int id = put((rtm_request){ .method = method, .fields = fields });
    if (id < 0) fail_msg("%s: %s", rtm_strerror((rtm_result)id), rtm_error_detail(bot));
    done[id].number = number;
    return id;
}

/* Like an external event loop: rtm_poll is called if rtm_fd or rtm_timeout_ms says so, and must
   return the number of callbacks. */
static int last_poll;

static void drive(void) {
    int before = received_count + done_count;
    if (rtm_timeout_ms(bot) == 0 || has_something_to_do()) {
        last_poll = rtm_poll(bot, 0);
        if (last_poll >= 0) assert_int_equal(last_poll, received_count + done_count - before);
    }
    serve(0);
}

static void nothing_happens(void) {
    int asked_before = asked_count, done_before = done_count;
    no_event();
    assert_int_equal(asked_count, asked_before);
    assert_int_equal(done_count, done_before);
}

static void has_result(int id, rtm_result result, int status) {
    if (done[id].result != result) print_error("%s\n", done[id].detail);
    assert_int_equal(done[id].runs, 1);
    assert_int_equal(done[id].result, result);
    assert_int_equal(done[id].status, status);
}

static rtm_config request_config(void) {
    rtm_config config = usual_config();
    config.ping_interval_ms = -1; /* no PINGs: only the queue has timeouts */
    return config;
}

static void start(void) {
    rtm_config config = request_config();
    make_bot(&config);
    rtm_on(bot, "message", on_message, NULL);
}

static void begin_session(void) {
    next_event("open");
    say_hello(&session_peer()->s);
}

static void start_open(void) {
    start();
    begin_session();
}

/* Checked at the end of each test: each request had its callback, once. */
static bool each_was_reported_once(void) {
    bool good = true;
    for (int id = 1; id < MOST; id++) {
        if (done[id].submitted == (done[id].runs == 1)) continue;
        print_error("request %d: %d callbacks\n", id, done[id].runs);
        good = false;
    }
    return good;
}

static void forget(void) {
    memset(done, 0, sizeof done);
    memset(order, 0, sizeof order);
    done_count = asked_count = hung_up = script_size = script_at = 0;
    received_count = received_next = 0;
    session = OPENS;
    answers_close = true;
    stalls = false;
    in_done = NULL;
    in_message = NULL;
    last_poll = 0;
}

/* Ends a client and its connections, for the next row of a table. */
static void end_client(void) {
    if (!bot) return;
    in_done = NULL;
    end_bot();
    assert_true(each_was_reported_once());
    for (peer *p = peers; p < peers + PEERS; p++) server_close(&p->s);
    while (server_try_accept(&other)) continue;
    server_close(&other);
    forget();
}

static int begin_requests(void **state) {
    begin_test(state);
    server_open(&other);
    for (int i = 0; i < PEERS; i++) server_share(&peers[i].s, i < OTHER ? &slack : &other);
    forget();
    server_drive = drive;
    server_idle = serve;
    return 0;
}

static int end_requests(void **state) {
    in_done = NULL;
    test_fail_at = 0;
    end_bot();
    bool good = each_was_reported_once();
    for (int i = 0; i < PEERS; i++) server_free(&peers[i].s);
    server_free(&other);
    return end_test(state) || !good ? -1 : 0;
}

/* The `read` callback: returns the pattern, `piece` bytes at a time, 0 = all that is asked for,
   TOO_MUCH = more; up to read_end, 0 = without end. */
enum { TOO_MUCH = -1 };
static int piece, read_calls;
static size_t read_end, read_at;
static long most_bytes; /* of memory, seen in it */

static size_t read_pattern(void *buf, size_t size, void *user_data) {
    (void)user_data;
    read_calls++;
    if (test_bytes > most_bytes) most_bytes = test_bytes;
    if (piece == TOO_MUCH) return size + 1;
    if (piece && size > (size_t)piece) size = (size_t)piece;
    if (read_end && size > read_end - read_at) size = read_end - read_at;
    for (size_t i = 0; i < size; i++) ((char *)buf)[i] = pattern(read_at + i);
    read_at += size;
    return size;
}

static void begin_read(int at_a_time, size_t end) {
    piece = at_a_time;
    read_end = end;
    read_at = 0;
    read_calls = 0;
    most_bytes = 0;
}

/* Exactly once --------------------------------------------------------------------------------- */

static void every_ending_is_reported_once_and_the_next_request_is_sent(void **state) {
    static char too_big[4200];
    static const struct {
        reply reply;
        rtm_result result;
        int status;
        const char *error;
    } rows[] = {
        { { OK_ANSWER, KEEP }, RTM_OK, 200, "" },
        { { OK_ANSWER, HANG_UP }, RTM_OK, 200, "" },
        { { "HTTP/1.1 200 OK\r\n\r\n{\"ok\":true}", HANG_UP }, RTM_OK, 200, "" },
        { { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"ok\":true}\r\n0\r\n\r\n",
            KEEP }, RTM_OK, 200, "" },
        { { "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"
            "{\"ok\":false,\"error\":\"channel_not_found\"}", KEEP },
          RTM_E_SLACK, 200, "channel_not_found" },
        { { "HTTP/1.1 200 OK\r\nContent-Length: 35\r\n\r\n"
            "{\"ok\":false,\"error\":\"invalid_auth\"}", KEEP }, RTM_E_AUTH, 200, "invalid_auth" },
        { { "HTTP/1.1 500 No\r\nContent-Length: 6\r\n\r\n<html>", KEEP }, RTM_E_HTTP, 500, "" },
        { { "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", KEEP }, RTM_E_HTTP, 404, "" },
        { { "HTTP/1.1 302 No\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", KEEP },
          RTM_E_HTTP, 302, "" },
        { { "HTTP/1.1 503 No\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n", KEEP },
          RTM_E_HTTP, 503, "" },
        { { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", KEEP }, RTM_E_JSON, 200, "" },
        { { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", KEEP }, RTM_E_JSON, 200, "" },
        { { too_big, KEEP }, RTM_E_TOO_BIG, 0, "" },
        { { "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{", KEEP }, RTM_E_HTTP, 0, "" },
        { { "hello\r\n", KEEP }, RTM_E_HTTP, 0, "" },
        { { "", HANG_UP }, RTM_E_CLOSED, 0, "" },
        { { "", RESET }, RTM_E_CLOSED, 0, "" },
        { { "HTTP/1.1 200", HANG_UP }, RTM_E_HTTP, 0, "" },
        { { "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\"", HANG_UP }, RTM_E_HTTP, 0, "" },
        { { NULL, KEEP }, RTM_E_TIMEOUT, 0, "" },
    };
    (void)state;
    snprintf(too_big, sizeof too_big, "HTTP/1.1 200 OK\r\nContent-Length: 4097\r\n\r\n%4097s", "");
    for (size_t i = 0; i < 3 * COUNT(rows); i++) {
        size_t row = i / 3;
        rtm_config config = request_config();
        config.max_message_size = 4096;
        make_bot(&config);
        session = i % 3 == 0 ? OPENS : i % 3 == 1 ? NO_ANSWER : FAILS;
        if (session == OPENS) next_event("open");
        if (session == FAILS) next_error(RTM_E_HTTP);
        play(&rows[row].reply, 1);
        int first = submit("test.a", 1), second = submit("test.b", 2);
        WAIT_FOR(asked_count);
        if (!rows[row].reply.answer) {
            nothing_happens();
            test_now_ms += 30000;
        }
        WAIT_FOR(done_count == 2);
        if (done[first].result != rows[row].result) print_error("row %zu\n", row);
        has_result(first, rows[row].result, rows[row].status);
        assert_string_equal(done[first].error, rows[row].error);
        assert_int_equal(done[first].ok, rows[row].result == RTM_OK);
        has_result(second, RTM_OK, 200);
        assert_string_equal(order, "ab"); /* nothing was sent twice */
        end_client();
    }
}

static void a_request_that_finds_no_server_is_reported(void **state) {
    server closed;
    (void)state;
    server_open(&closed);
    server_free(&closed);
    for (int i = 0; i < 2; i++) {
        rtm_config config = request_config();
        if (i == 0) config.base_url = closed.base_url;
        else server_resolve_error = EAI_NONAME;
        make_bot(&config);
        int first = put((rtm_request){ .method = "test.a", .no_retry = true });
        int second = put((rtm_request){ .method = "test.b", .no_retry = true });
        WAIT_FOR(done_count == 2);
        has_result(first, i ? RTM_E_RESOLVE : RTM_E_CONNECT, 0);
        has_result(second, i ? RTM_E_RESOLVE : RTM_E_CONNECT, 0);
        end_client();
    }
}

static void the_timeout_of_a_request_begins_with_its_turn(void **state) {
    (void)state;
    start_open();
    PLAY({ NULL, KEEP }, { NULL, KEEP });
    int first = put((rtm_request){ .method = "test.a", .timeout_ms = 5000 });
    int second = put((rtm_request){ .method = "test.b", .timeout_ms = 200 });
    WAIT_FOR(asked_count == 1);
    assert_int_equal(rtm_timeout_ms(bot), 5000);
    test_now_ms += 4999;
    nothing_happens();
    test_now_ms++;
    WAIT_FOR(asked_count == 2);
    has_result(first, RTM_E_TIMEOUT, 0);
    assert_int_equal(rtm_timeout_ms(bot), 200);
    test_now_ms += 199;
    nothing_happens();
    test_now_ms++;
    WAIT_FOR(done_count == 2);
    has_result(second, RTM_E_TIMEOUT, 0);
    int third = submit("test.c", 3); /* which gets no late response of another */
    WAIT_FOR(done_count == 3);
    has_result(third, RTM_OK, 200);
}

/* Timeouts are checked after reading ---------------------------------------------------------- */

static void sleep_in_message(rtm_client *client, const rtm_event *event) {
    (void)client;
    (void)event;
    for (int i = 0; i < 20; i++) serve(0);
    test_now_ms += 1200;
}

static void sleep_in_done(rtm_client *client, const rtm_response *response) {
    if (response->result == RTM_E_CANCELLED) sleep_in_message(client, NULL);
}

static server *late_server;

static void answer_in_message(rtm_client *client, const rtm_event *event) {
    (void)client;
    (void)event;
    server_send(late_server, OK_ANSWER);
    test_now_ms += 1200;
}

static void a_response_during_an_events_callback_is_no_timeout(void **state) {
    (void)state;
    start_open();
    PLAY({ NULL, KEEP });
    int id = put((rtm_request){ .method = "test.a", .timeout_ms = 1000 });
    WAIT_FOR(asked_count == 1);
    late_server = &last_asked()->from->s;
    in_message = answer_in_message;
    server_send_text(&session_peer()->s, "{\"type\":\"message\"}");
    WAIT_FOR(done_count == 1);
    has_result(id, RTM_OK, 200);
}

/* The pause ends while the connection of the request is established. */
static void a_request_whose_time_is_over_is_not_sent(void **state) {
    (void)state;
    start_open();
    int id = put((rtm_request){ .method = "test.a", .timeout_ms = 1000, .no_retry = true });
    rtm_poll(bot, 0);
    test_now_ms += 1500;
    WAIT_FOR(done_count == 1);
    has_result(id, RTM_E_TIMEOUT, 0);
    for (int i = 0; i < 20; i++) serve(0);
    assert_string_equal(order, "");
}

static void the_callback_of_a_cancelled_request_takes_no_time_of_the_next(void **state) {
    (void)state;
    start_open();
    submit("test.a", 1); /* the others use its connection */
    WAIT_FOR(done_count == 1);
    in_done = sleep_in_done;
    int first = submit("test.a", 2);
    int second = put((rtm_request){ .method = "test.b", .timeout_ms = 1000 });
    assert_int_equal(rtm_cancel(bot, first), RTM_OK);
    for (int i = 0; i < 10; i++) rtm_poll(bot, 0);
    WAIT_FOR(done_count == 3);
    has_result(first, RTM_E_CANCELLED, 0);
    has_result(second, RTM_OK, 200);
}

/* One counter of ids --------------------------------------------------------------------------- */

static void a_message_in_socket_mode_is_cancelled_by_its_id(void **state) {
    (void)state;
    rtm_config config = app_config();
    make_bot(&config);
    PLAY({ NULL, KEEP });
    int first = submit("test.a", 1), second = submit("test.b", 2);
    int message = rtm_send_message(bot, "C1", "hello");
    assert_in_range(message, 1, MOST - 1);
    assert_true(message != first && message != second);
    assert_int_equal(rtm_cancel(bot, message), RTM_OK);
    assert_int_equal(rtm_cancel(bot, message), RTM_OK); /* its callback is still to be called */
    WAIT_FOR(asked_count == 1);
    server_send(&last_asked()->from->s, OK_ANSWER);
    WAIT_FOR(done_count == 2);
    has_result(first, RTM_OK, 200);
    has_result(second, RTM_OK, 200);
    for (int i = 0; i < 20; i++) server_round(i);
    assert_string_equal(order, "ab");
    assert_int_equal(rtm_cancel(bot, message), RTM_E_ARGUMENT);
}

static void messages_and_requests_take_ids_from_one_counter(void **state) {
    const rtm_request asking = { .method = "test.a" };
    (void)state;
    start_open();
    PLAY({ NULL, KEEP });
    assert_int_equal(rtm_submit(bot, &asking), 1);
    assert_int_equal(rtm_send_message(bot, "C1", "a"), 2);
    assert_int_equal(rtm_submit(bot, &asking), 3);
    assert_int_equal(rtm_send(bot, "{\"id\":2147483646,\"type\":\"message\"}"), 2147483646);
    assert_int_equal(rtm_submit(bot, &asking), 2147483647);
    assert_int_equal(rtm_submit(bot, &asking), 4); /* 1 to 3 are in use */
    assert_int_equal(rtm_send_message(bot, "C1", "a"), 5);
    assert_int_equal(rtm_send(bot, "{\"id\":3,\"type\":\"typing\"}"), 3);
    assert_int_equal(rtm_submit(bot, &asking), 6);
}

/* Cancelling ----------------------------------------------------------------------------------- */

static int victim, cancelled;

static void cancel_in_done(rtm_client *client, const rtm_response *response) {
    if (response->id == victim) return;
    cancelled = rtm_cancel(client, victim);
    in_done = NULL;
}

static void cancel_in_message(rtm_client *client, const rtm_event *event) {
    (void)event;
    cancelled = rtm_cancel(client, victim);
}

static void a_cancelled_request_is_reported_once_and_the_others_continue(void **state) {
    enum { QUEUED, UNDER_WAY, HELD };
    enum { OUTSIDE, IN_EVENT, IN_ANOTHERS };
    (void)state;
    for (int i = 0; i < 9; i++) {
        int which = i % 3, where = i / 3;
        start_open();
        if (which == HELD) PLAY({ LIMITED("Retry-After: 7\r\n"), KEEP }, { NULL, KEEP });
        else PLAY({ NULL, KEEP });
        int first = submit("test.a", 1), second = submit("test.b", 2), third = submit("test.c", 3);
        WAIT_FOR(asked_count == (which == HELD ? 2 : 1));
        victim = which == QUEUED ? second : first;
        cancelled = 1;
        if (which == UNDER_WAY) /* the answer of the cancelled request */
            server_send(&last_asked()->from->s, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
        if (where == OUTSIDE) cancelled = rtm_cancel(bot, victim);
        in_done = cancel_in_done;
        in_message = cancel_in_message;
        if (where == IN_ANOTHERS) assert_int_equal(rtm_cancel(bot, third), RTM_OK);
        if (where == IN_EVENT) server_send_text(&session_peer()->s, "{\"type\":\"message\"}");
        if (where == OUTSIDE) {
            drive();
            assert_int_equal(done[victim].runs, 1); /* in the next rtm_poll */
        }
        WAIT_FOR(done[victim].runs);
        assert_int_equal(cancelled, RTM_OK);
        has_result(victim, RTM_E_CANCELLED, 0);
        assert_int_equal(rtm_cancel(bot, victim), RTM_E_ARGUMENT);
        if (which != UNDER_WAY) /* the response of the other request */
            server_send(&asked[which == HELD].from->s,
                        "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
        WAIT_FOR(done_count == 3);
        if (which == QUEUED) has_result(first, RTM_E_HTTP, 500);
        if (which == UNDER_WAY) has_result(second, RTM_OK, 200);
        if (which == HELD) has_result(second, RTM_E_HTTP, 500);
        if (where == IN_ANOTHERS) has_result(third, RTM_E_CANCELLED, 0);
        else has_result(third, RTM_OK, 200);
        test_now_ms += 7000; /* a cancelled one that was held is not sent again */
        for (int j = 0; j < 20; j++) server_round(j);
        assert_string_equal(order, where == IN_ANOTHERS ? which == QUEUED ? "a" : "ab" :
                                   which == QUEUED ? "ac" : "abc");
        end_client();
    }
}

static void cancel_itself(rtm_client *client, const rtm_response *response) {
    cancelled = rtm_cancel(client, response->id);
}

static void only_a_request_that_is_there_can_be_cancelled(void **state) {
    static const int ids[] = { 0, -1, 5, 2147483647, -2147483647 - 1 };
    (void)state;
    start_open();
    for (size_t i = 0; i < COUNT(ids); i++) {
        assert_int_equal(rtm_cancel(bot, ids[i]), RTM_E_ARGUMENT);
        assert_true(strlen(rtm_error_detail(bot)) > 10);
    }
    cancelled = 1;
    in_done = cancel_itself;
    int id = submit("test.a", 1);
    WAIT_FOR(done_count);
    assert_int_equal(cancelled, RTM_E_ARGUMENT);
    assert_int_equal(rtm_cancel(bot, id), RTM_E_ARGUMENT);
    has_result(id, RTM_OK, 200);
    id = submit("test.b", 2);
    assert_int_equal(rtm_cancel(bot, id), RTM_OK);
    rtm_cancel(bot, id); /* twice: one callback */
    WAIT_FOR(done_count == 2);
    nothing_happens();
    assert_string_equal(order, "a");
}

/* Also if no other request is waiting: the server may stop working on it. */
static void the_connection_of_a_cancelled_request_is_closed_at_once(void **state) {
    (void)state;
    start_open();
    PLAY({ NULL, KEEP });
    int id = submit("test.a", 1);
    WAIT_FOR(asked_count);
    assert_int_equal(rtm_cancel(bot, id), RTM_OK);
    int closed = hung_up;
    drive();
    assert_int_equal(hung_up, closed + 1);
}

/* The end of the client ------------------------------------------------------------------------ */

static void poll_to_the_end(void) {
    for (int i = 0; last_poll >= 0; i++) {
        assert_true(i < SERVER_ROUNDS);
        int before = received_count + done_count;
        last_poll = rtm_poll(bot, 0);
        if (last_poll >= 0) assert_int_equal(last_poll, received_count + done_count - before);
        serve(0);
        if (i == 20) test_now_ms += 1000; /* the second in which Slack may answer the CLOSE */
    }
}

static void stop_ends_all_requests_in_each_state(void **state) {
    static const rtm_state states[] = { RTM_STATE_IDLE, RTM_STATE_CONNECTING, RTM_STATE_UPGRADING,
                                        RTM_STATE_OPEN, RTM_STATE_BACKOFF };
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(states); i++) {
        rtm_state at = states[i / 2];
        answers_close = i % 2;
        session = at == RTM_STATE_CONNECTING ? NO_ANSWER : at == RTM_STATE_UPGRADING ? NO_UPGRADE :
                  at == RTM_STATE_BACKOFF ? FAILS : OPENS;
        bool held = i % 2 && at != RTM_STATE_IDLE; /* the first has got a 429 */
        if (held) PLAY({ LIMITED(""), KEEP }, { NULL, KEEP });
        else PLAY({ NULL, KEEP });
        start();
        int ids[] = { submit("test.a", 1), submit("test.a", 2), submit("test.b", 3) };
        if (at != RTM_STATE_IDLE) WAIT_FOR(rtm_get_state(bot) == at && asked_count == 1 + held);
        rtm_stop(bot);
        poll_to_the_end();
        assert_int_equal(last_poll, RTM_E_STOPPED);
        for (size_t j = 0; j < COUNT(ids); j++) has_result(ids[j], RTM_E_STOPPED, 0);
        assert_string_equal(order, at == RTM_STATE_IDLE ? "" : held ? "ab" : "a");
        assert_int_equal(rtm_submit(bot, &(rtm_request){ .method = "test.c" }), RTM_E_STOPPED);
        assert_int_equal(rtm_cancel(bot, ids[0]), RTM_E_ARGUMENT);
        end_client();
    }
}

static void a_request_in_progress_may_finish_while_the_session_closes(void **state) {
    (void)state;
    answers_close = false;
    PLAY({ NULL, KEEP });
    start_open();
    int first = submit("test.a", 1), second = submit("test.b", 2);
    WAIT_FOR(asked_count == 1);
    rtm_stop(bot);
    rtm_poll(bot, 0);
    assert_int_equal(rtm_get_state(bot), RTM_STATE_CLOSING);
    assert_int_equal(rtm_submit(bot, &(rtm_request){ .method = "test.c" }), RTM_E_STOPPED);
    test_now_ms += 999;
    server_send(&last_asked()->from->s, OK_ANSWER);
    WAIT_FOR(done[first].runs);
    has_result(first, RTM_OK, 200);
    test_now_ms++;
    poll_to_the_end();
    has_result(second, RTM_E_STOPPED, 0);
    assert_string_equal(order, "a");
}

static void stop_in_done(rtm_client *client, const rtm_response *response) {
    rtm_request again = { .method = "test.z" };
    (void)response;
    rtm_stop(client);
    assert_int_equal(rtm_submit(client, &again), RTM_E_STOPPED);
}

static void stop_in_the_callback_of_a_request_ends_the_others(void **state) {
    (void)state;
    start_open();
    in_done = stop_in_done;
    int first = submit("test.a", 1), second = submit("test.b", 2);
    poll_to_the_end();
    assert_int_equal(last_poll, RTM_E_STOPPED);
    has_result(first, RTM_OK, 200);
    has_result(second, RTM_E_STOPPED, 0);
    assert_string_equal(order, "a");
}

/* The token of a new-style app cannot open RTM, but can post. */
static void requests_are_sent_after_the_end_of_the_last_session(void **state) {
    (void)state;
    for (int fatal = 0; fatal < 2; fatal++) {
        rtm_config config = request_config();
        config.no_auto_reconnect = !fatal;
        PLAY({ NULL, KEEP });
        session = fatal ? NO_ANSWER : OPENS;
        make_bot(&config);
        int first = submit("test.a", 1), second = submit("test.b", 2);
        WAIT_FOR(asked_count && (fatal || rtm_is_connected(bot)));
        if (!fatal) server_close(&session_peer()->s);
        for (peer *p = peers; fatal && p < peers + PEERS; p++)
            if (p->s.fd >= 0 && strstr(p->got.head, "/rtm.connect "))
                server_answer(&p->s, "200 OK", "", "{\"ok\":false,\"error\":\"invalid_auth\"}");
        WAIT_FOR(rtm_get_state(bot) == RTM_STATE_FINISHED);
        assert_true(rtm_poll(bot, 0) >= 0);
        int third = submit("test.c", 3);
        server_send(&last_asked()->from->s, OK_ANSWER);
        poll_to_the_end();
        assert_int_equal(last_poll, fatal ? RTM_E_AUTH : RTM_E_CLOSED);
        has_result(first, RTM_OK, 200);
        has_result(second, RTM_OK, 200);
        has_result(third, RTM_OK, 200);
        end_client();
    }
}

static void begin_something(rtm_client *client, const rtm_response *response) {
    rtm_request again = { .method = "test.z" };
    assert_int_equal(response->result, RTM_E_STOPPED);
    assert_int_equal(rtm_submit(client, &again), RTM_E_STOPPED);
    assert_int_equal(rtm_perform(client, &again, NULL), RTM_E_STOPPED);
    assert_int_equal(rtm_call(client, NULL, "test.z", NULL), RTM_E_STOPPED);
    assert_true(rtm_poll(client, 0) < 0);
    assert_true(rtm_connect(client) < 0);
    assert_true(rtm_send_message(client, "C1", "hello") < 0);
}

static void destroy_ends_all_requests(void **state) {
    (void)state;
    for (int polled = 0; polled < 2; polled++) {
        PLAY({ NULL, KEEP });
        start();
        if (polled) next_event("open");
        int ids[] = { submit("test.a", 1), submit("test.b", 2), submit("test.c", 3) };
        if (polled) WAIT_FOR(asked_count);
        if (polled) assert_int_equal(rtm_cancel(bot, ids[2]), RTM_OK);
        in_done = polled ? NULL : begin_something;
        rtm_client *client = bot;
        rtm_destroy(client);
        bot = NULL;
        for (int i = 0; i < 2; i++) has_result(ids[i], RTM_E_STOPPED, 0);
        has_result(ids[2], polled ? RTM_E_CANCELLED : RTM_E_STOPPED, 0);
        assert_int_equal(done_count, 3);
        assert_string_equal(order, polled ? "a" : "");
        for (peer *p = peers; p < peers + PEERS; p++) server_close(&p->s);
        forget();
    }
}

static void out_of_memory_is_reported_once(void **state) {
    (void)state;
    for (int ever = 0; ever < 2; ever++) {
        bool hit = true;
        for (long at = 1; hit; at++) {
            start_open();
            PLAY({ "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"ok\":true,\"a\":1}", KEEP });
            test_fail_at = test_allocations + at;
            test_fail_ever = ever;
            int first = put((rtm_request){ .method = "test.a", .json = "{\"a\":1}" });
            for (int i = 0; i < 30; i++) server_round(i);
            hit = test_allocations >= test_fail_at;
            test_fail_at = 0;
            if (first < 0) assert_int_equal(first, RTM_E_MEMORY);
            else if (hit) has_result(first, RTM_E_MEMORY, 0);
            else has_result(first, RTM_OK, 200);
            assert_int_equal(done_count, first > 0);
            int second = submit("test.b", 2);
            WAIT_FOR(done[second].runs);
            has_result(second, RTM_OK, 200);
            assert_true(hit || at > 4);
            end_client();
            assert_int_equal(test_blocks, 0);
        }
    }
}

/* Rate limits ---------------------------------------------------------------------------------- */

static void numbers_are(const int *expected, int count) {
    assert_int_equal(asked_count, count);
    for (int i = 0; i < count; i++) assert_int_equal(numbers[i], expected[i]);
}

static void a_429_holds_its_method_in_order_and_lets_the_others_pass(void **state) {
    static const int sent[] = { 1, 2, 3, 4, 5, 2, 7, 1, 6, 8, 9 };
    (void)state;
    start_open();
    PLAY({ LIMITED("Retry-After: 7\r\n"), KEEP }, { LIMITED("Retry-After: 3\r\n"), KEEP });
    submit("test.a", 1);
    submit("test.b", 2);
    for (int i = 3; i <= 5; i++) submit("test.c", i);
    submit("test.a", 6);
    submit("test.b", 7);
    submit("test.a", 8);
    WAIT_FOR(done_count == 3);
    nothing_happens();
    assert_string_equal(order, "abccc");
    assert_int_equal(rtm_timeout_ms(bot), 3000);
    test_now_ms += 2999;
    nothing_happens();
    assert_int_equal(rtm_timeout_ms(bot), 1);
    test_now_ms++;
    assert_int_equal(rtm_timeout_ms(bot), 0);
    WAIT_FOR(done_count == 5);
    nothing_happens();
    assert_int_equal(rtm_timeout_ms(bot), 4000);
    test_now_ms += 3999;
    submit("test.a", 9); /* after those that wait */
    nothing_happens();
    test_now_ms++;
    WAIT_FOR(done_count == 9);
    assert_string_equal(order, "abcccbbaaaa");
    numbers_are(sent, (int)COUNT(sent));
    for (int id = 1; id <= 9; id++) has_result(id, RTM_OK, 200);
}

static void a_429_is_waited_for_as_long_as_it_says(void **state) {
    static const struct { const char *answer; int wait_ms; } rows[] = {
        { LIMITED(""), 30000 },
        { LIMITED("Retry-After: 1\r\n"), 1000 },
        { LIMITED("Retry-After: 0\r\n"), 1000 }, /* no storm */
        { LIMITED("Retry-After: 600\r\n"), 600000 },
        { LIMITED("Retry-After: soon\r\n"), 30000 },
        { LIMITED("Retry-After:\r\n"), 30000 },
        { "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", 30000 },
        { "HTTP/1.1 429 Slow\r\nRetry-After: 2\r\nContent-Length: 6\r\n\r\n<html>", 2000 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        start_open();
        PLAY({ rows[i].answer, KEEP }, { rows[i].answer, HANG_UP });
        /* The wait does not count for the timeout of the request. */
        int id = put((rtm_request){ .method = "test.a", .timeout_ms = 500 });
        for (int again = 1; again <= 2; again++) {
            WAIT_FOR(asked_count == again);
            long long due = test_now_ms + rows[i].wait_ms;
            while (test_now_ms < due) {
                nothing_happens();
                int wait = rtm_timeout_ms(bot); /* also until an idle connection is closed */
                assert_true(wait > 0 && test_now_ms + wait <= due);
                test_now_ms += wait;
                if (test_now_ms < due) continue;
                test_now_ms--;
                nothing_happens();
                test_now_ms++;
            }
        }
        WAIT_FOR(done_count);
        has_result(id, RTM_OK, 200);
        assert_string_equal(order, "aaa");
        assert_int_equal(received_count, received_next);
        end_client();
    }
}

static void a_429_is_returned_with_no_retry_and_with_read_body(void **state) {
    (void)state;
    for (int reads = 0; reads < 2; reads++) {
        start_open();
        begin_read(0, 0);
        PLAY({ LIMITED("Retry-After: 7\r\n"), KEEP });
        int id = put(reads ? (rtm_request){ .method = "test.a", .read_body = read_pattern,
                                            .body_size = 100 }
                           : (rtm_request){ .method = "test.a", .no_retry = true });
        WAIT_FOR(done_count);
        has_result(id, RTM_E_RATE_LIMITED, 429);
        assert_int_equal(done[id].retry_after, 7);
        assert_string_equal(done[id].error, "ratelimited");
        test_now_ms += 7000;
        nothing_happens();
        end_client();
    }
}

/* With no_retry the method is held, too: the next request would fail as well. */
static void what_follows_a_429_that_is_a_result_waits(void **state) {
    (void)state;
    start_open();
    PLAY({ LIMITED("Retry-After: 7\r\n"), KEEP });
    int first = put((rtm_request){ .method = "test.a", .no_retry = true });
    int second = put((rtm_request){ .method = "test.a", .no_retry = true });
    int third = submit("test.b", 3);
    WAIT_FOR(done_count == 2);
    has_result(first, RTM_E_RATE_LIMITED, 429);
    has_result(third, RTM_OK, 200);
    test_now_ms += 6999;
    nothing_happens();
    test_now_ms++;
    WAIT_FOR(done_count == 3);
    has_result(second, RTM_OK, 200);
    assert_string_equal(order, "aba");
}

/* The header of a 429 is enough: its body may be too large, cut short, endless or invalid. */
static void a_429_counts_even_if_its_body_fails(void **state) {
#define HEAD(fields) "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n" fields "\r\n"
    static char page[8000];
    static const struct { const char *answer; enum after then; int wait_ms; } rows[] = {
        { page, KEEP, 0 }, { page, HANG_UP, 0 },
        { HEAD("Content-Length: 100\r\n") "<html>", HANG_UP, 0 },
        { HEAD("Content-Length: 100\r\n") "<html>", RESET, 0 },
        { HEAD("Content-Length: 100\r\n") "<html>", KEEP, 1000 },
        { HEAD("Transfer-Encoding: chunked\r\n") "6\r\n<html>\r\nx\r\n", KEEP, 0 },
        { HEAD("Transfer-Encoding: chunked\r\n"), HANG_UP, 0 },
        { HEAD(""), HANG_UP, 0 },
    };
#undef HEAD
    (void)state;
    int head = snprintf(page, sizeof page, "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n"
                        "Content-Length: 7295\r\n\r\n");
    memset(page + head, 'x', 7295);
    for (size_t i = 0; i < 3 * COUNT(rows); i++) {
        size_t row = i / 3;
        bool held = i % 3 == 0, blocking = i % 3 == 2;
        rtm_config config = request_config();
        config.max_message_size = 4096;
        make_bot(&config);
        next_event("open");
        PLAY({ rows[row].answer, rows[row].then });
        rtm_request asking = { .method = "test.a", .timeout_ms = 1000, .no_retry = !held };
        rtm_response response;
        if (blocking) {
            server_idle = serve_and_skip;
            assert_int_equal(rtm_perform(bot, &asking, &response), RTM_E_RATE_LIMITED);
            server_idle = serve;
            assert_int_equal(response.status, 429);
            assert_int_equal(response.retry_after, 7);
            end_client();
            continue;
        }
        int id = put(asking);
        WAIT_FOR(asked_count == 1);
        for (int round = 0; round < 20; round++) server_round(round);
        test_now_ms += rows[row].wait_ms;
        for (int round = 0; round < 20; round++) server_round(round);
        if (held) {
            nothing_happens();
            test_now_ms += 6999;
            nothing_happens();
            test_now_ms++;
            WAIT_FOR(done_count);
            has_result(id, RTM_OK, 200);
            assert_string_equal(order, "aa");
        } else {
            WAIT_FOR(done_count);
            has_result(id, RTM_E_RATE_LIMITED, 429);
            assert_int_equal(done[id].retry_after, 7);
        }
        end_client();
    }
}

static void a_429_with_a_large_page_is_waited_for_by_a_session_too(void **state) {
    rtm_config config = request_config();
    (void)state;
    config.max_message_size = 4096;
    session = LIMITS;
    make_bot(&config);
    assert_int_equal(next_error(RTM_E_RATE_LIMITED)->result, RTM_E_RATE_LIMITED);
    assert_in_range(rtm_timeout_ms(bot), 60000, 61000);
}

static void a_gzip_body_is_reported_as_one(void **state) {
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x01",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x01",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++) {
        start_open();
        PLAY({ answers[i], KEEP });
        int id = submit("test.a", 1);
        WAIT_FOR(done_count);
        has_result(id, RTM_E_JSON, 200);
        assert_non_null(strstr(done[id].detail, "gzip"));
        end_client();
    }
}

static void at_most_64_holds_exist(void **state) {
    enum { METHODS = 300 };
    (void)state;
    start_open();
    long before = 0;
    for (int i = 0; i < METHODS; i++) {
        char method[400];
        snprintf(method, sizeof method, "test.%0300d", i);
        PLAY({ LIMITED("Retry-After: 50\r\n"), KEEP });
        int id = put((rtm_request){ .method = method, .no_retry = true });
        WAIT_FOR(done[id].runs);
        has_result(id, RTM_E_RATE_LIMITED, 429);
        if (i == 63) before = test_bytes;
    }
    assert_true(test_bytes <= before + 1000); /* further ones allocate nothing */
    PLAY({ LIMITED("Retry-After: 50\r\n"), KEEP });
    int id = submit("test.b", 1); /* it would be held if there were room */
    WAIT_FOR(done[id].runs);
    has_result(id, RTM_E_RATE_LIMITED, 429);
    test_now_ms += 50000;
    PLAY({ LIMITED("Retry-After: 1\r\n"), KEEP });
    id = submit("test.b", 2);
    WAIT_FOR(script_at == 1);
    nothing_happens();
    test_now_ms += 1000;
    WAIT_FOR(done[id].runs);
    has_result(id, RTM_OK, 200);
}

static void a_held_request_that_is_cancelled_leaves_the_others_held(void **state) {
    (void)state;
    start_open();
    PLAY({ LIMITED("Retry-After: 7\r\n"), KEEP });
    int first = submit("test.a", 1), second = submit("test.a", 2);
    WAIT_FOR(asked_count == 1);
    nothing_happens();
    assert_int_equal(rtm_cancel(bot, first), RTM_OK);
    WAIT_FOR(done_count == 1);
    test_now_ms += 6999;
    nothing_happens();
    test_now_ms++;
    WAIT_FOR(done_count == 2);
    has_result(first, RTM_E_CANCELLED, 0);
    has_result(second, RTM_OK, 200);
    assert_string_equal(order, "aa");
}

static void a_429_of_a_url_holds_only_that_url(void **state) {
    char urls[2][100];
    (void)state;
    start_open();
    PLAY({ LIMITED("Retry-After: 7\r\n"), KEEP });
    for (int i = 0; i < 2; i++)
        snprintf(urls[i], sizeof urls[i], "http://127.0.0.1:%d/hook/%c", other.port, 'x' + i);
    put((rtm_request){ .url = urls[0] });
    put((rtm_request){ .url = urls[0] });
    put((rtm_request){ .url = urls[1] });
    WAIT_FOR(done_count == 1);
    submit("test.a", 1);
    WAIT_FOR(done_count == 2);
    nothing_happens();
    assert_string_equal(order, "xya");
    test_now_ms += 7000;
    WAIT_FOR(done_count == 4);
    assert_string_equal(order, "xyaxx");
}

/* Never twice ---------------------------------------------------------------------------------- */

static char *big;
enum { BIG = 16 << 20 }; /* more than the buffers of two sockets take */

static rtm_config big_config(void) {
    rtm_config config = request_config();
    int small = 4096;
    setsockopt(slack.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    config.max_queue_size = 2 * BIG;
    config.max_message_size = 2 << 20;
    if (!big) big = (malloc)(BIG);
    assert_non_null(big);
    for (size_t i = 0; i < BIG; i++) big[i] = pattern(i);
    return config;
}

/* The connection of the queue with data that the server has not read. */
static peer *stalled_peer(void) {
    for (peer *p = peers; p < peers + PEERS; p++) {
        struct pollfd pollfd = { p->s.fd, POLLIN, 0 };
        if (p->s.fd >= 0 && !p->websocket && poll(&pollfd, 1, 0) == 1) return p;
    }
    return NULL;
}

static void cut_off(peer *p, bool reset) {
    if (reset) server_reset(&p->s);
    else shutdown(p->s.fd, SHUT_WR);
}

/* The server may have handled it: it is not sent again, on a kept connection either. */
static void a_connection_lost_while_a_request_is_written_ends_the_request(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) {
        bool reset = i & 1, fresh = i & 2, reads = i & 4;
        rtm_config config = big_config();
        make_bot(&config);
        begin_session();
        if (!fresh) submit("test.a", 1);
        WAIT_FOR(done_count == !fresh);
        stalls = true;
        begin_read(0, 0);
        int id = put(reads ? (rtm_request){ .method = "test.b", .read_body = read_pattern,
                                            .body_size = BIG }
                           : (rtm_request){ .method = "test.b", .body = big, .body_size = BIG });
        WAIT_FOR(stalled_peer());
        for (int j = 0; j < 20; j++) server_round(j);
        assert_int_equal(done[id].runs, 0);
        int before = accepted();
        cut_off(stalled_peer(), reset);
        WAIT_FOR(done[id].runs);
        has_result(id, RTM_E_CLOSED, 0);
        assert_int_equal(accepted(), before);
        stalls = false;
        int next = submit("test.c", 2);
        WAIT_FOR(done[next].runs);
        has_result(next, RTM_OK, 200);
        assert_int_equal(done[id].runs, 1);
        /* The next request uses a new connection, or that of the other lane. */
        bool kept = reads && !fresh && RTMI_LANES == 2;
        assert_int_equal(accepted(), before + !kept);
        assert_string_equal(order, fresh ? "c" : "ac");
        end_client();
    }
}

static void a_connection_closed_while_idle_is_replaced(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) {
        start_open();
        for (int i = 1; i <= 5; i++) {
            int id = submit("test.a", i);
            WAIT_FOR(done_count == i);
            has_result(id, RTM_OK, 200);
            if (how == 2) /* which is no answer to what comes next */
                server_send(&last_asked()->from->s,
                            "HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n");
            if (how == 1) server_reset(&last_asked()->from->s);
            else server_close(&last_asked()->from->s);
            if (i % 2) nothing_happens(); /* seen before the next request, or with it */
        }
        assert_string_equal(order, "aaaaa");
        assert_int_equal(received_count, received_next);
        assert_string_equal(rtm_error_detail(bot), ""); /* nothing has failed */
        end_client();
    }
}

static peer *doomed;

static void close_before_send(char call) {
    if (call != 's' || !doomed) return;
    server_close(&doomed->s);
    doomed = NULL;
}

/* It was written completely; that the connection is dead shows too late. */
static void a_request_written_whole_into_a_dead_connection_is_not_sent_again(void **state) {
    (void)state;
    start_open();
    submit("test.a", 1);
    WAIT_FOR(done_count == 1);
    doomed = last_asked()->from;
    client_before = close_before_send;
    int id = submit("test.b", 2);
    WAIT_FOR(done_count == 2);
    assert_null(doomed);
    has_result(id, RTM_E_CLOSED, 0);
    assert_string_equal(order, "a");
}

/* Bodies --------------------------------------------------------------------------------------- */

static void a_body_is_sent_as_it_was_given(void **state) {
    static const char *const fields[] = { "a", "1 &", "none", NULL, "b", "gr\xc3\xbc\xc3\x9f", NULL,
                                          "never", NULL };
    static const char *const nothing[] = { "none", NULL, NULL };
    static const struct {
        rtm_request request;
        const char *type, *body;
    } rows[] = {
        { { .method = "test.a", .fields = fields }, "application/x-www-form-urlencoded",
          "a=1+%26&b=gr%C3%BC%C3%9F" },
        { { .method = "test.a", .fields = nothing }, "application/x-www-form-urlencoded", "" },
        { { .method = "test.a" }, NULL, "" },
        { { .method = "test.a", .json = "{\"a\":[1,\"\xc3\xbc\"]}" }, "application/json",
          "{\"a\":[1,\"\xc3\xbc\"]}" },
        { { .method = "test.a", .json = " [ ] " }, "application/json", " [ ] " },
        { { .method = "test.a", .json = "5" }, "application/json", "5" },
        { { .method = "test.a", .body = "a&b\r\n=c", .body_size = 7 }, "application/octet-stream",
          "a&b\r\n=c" },
        { { .method = "test.a", .body = "<a>", .body_size = 3, .content_type = "text/xml; a=b" },
          "text/xml; a=b", "<a>" },
        { { .method = "test.a", .read_body = read_pattern, .body_size = 5 },
          "application/octet-stream",
          "abcde" },
        { { .method = "test.a", .read_body = read_pattern, .body_size = 3, .content_type = "a/b" },
          "a/b", "abc" },
    };
    (void)state;
    start_open();
    for (size_t i = 0; i < 2 * COUNT(rows); i++) {
        int before = asked_count;
        rtm_request asking = rows[i / 2].request;
        begin_read(0, 0);
        if (i % 2 == 0) {
            put(asking);
            WAIT_FOR(done_count == (int)i / 2 + 1);
        } else {
            assert_int_equal(rtm_perform(bot, &asking, NULL), RTM_OK);
        }
        assert_int_equal(asked_count, before + 1);
        const struct asked *got = last_asked();
        char length[24];
        snprintf(length, sizeof length, "%zu", strlen(rows[i / 2].body));
        expect_line(&got->got, "POST /api/test.a HTTP/1.1");
        assert_string_equal(header(&got->got, "Content-Length"), length);
        assert_string_equal(header(&got->got, "Authorization"), "Bearer " TOKEN);
        if (rows[i / 2].type)
            assert_int_equal(strncmp(header(&got->got, "Content-Type"), rows[i / 2].type,
                                     strlen(rows[i / 2].type)), 0);
        assert_int_equal(got->size, strlen(rows[i / 2].body));
        assert_string_equal(got->got.body, rows[i / 2].body);
        assert_false(has_header(&got->got, "Expect"));
        assert_false(has_header(&got->got, "Transfer-Encoding"));
    }
}

/* The whole body, in pieces of any size, through sockets that accept little at a time. */
static void a_read_body_may_have_pieces_of_any_size(void **state) {
    static const int pieces[] = { 1, 7, 4095, 4096, 4097, 0 };
    (void)state;
    rtm_config config = big_config();
    make_bot(&config);
    next_event("open");
    for (size_t i = 0; i < COUNT(pieces); i++) {
        size_t size = pieces[i] == 1 ? 20000 : 300000;
        begin_read(pieces[i], 0);
        put((rtm_request){ .method = "test.a", .read_body = read_pattern, .body_size = size });
        WAIT_FOR(done_count == (int)i + 1);
        has_result((int)i + 1, RTM_OK, 200);
        assert_int_equal(last_asked()->size, size);
        assert_true(last_asked()->pattern);
        assert_int_equal(read_at, size); /* and not one byte more */
    }
}

static void a_read_of_the_wrong_size_ends_the_request_and_the_connection(void **state) {
    static const struct { int piece; size_t end; } rows[] = {
        { 0, 100 }, { 10, 999 }, { 1, 1 }, { TOO_MUCH, 0 } };
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(rows); i++) {
        bool blocking = i % 2;
        rtm_request asking = { .method = "test.a", .read_body = read_pattern, .body_size = 1000 };
        start_open();
        begin_read(rows[i / 2].piece, rows[i / 2].end);
        int first = blocking ? 0 : put(asking), second = submit("test.b", 2);
        if (blocking) assert_int_equal(rtm_perform(bot, &asking, NULL), RTM_E_ARGUMENT);
        if (blocking) assert_non_null(strstr(rtm_error_detail(bot), "read"));
        WAIT_FOR(done_count == 1 + !blocking && hung_up);
        if (!blocking) has_result(first, RTM_E_ARGUMENT, 0);
        has_result(second, RTM_OK, 200);
        assert_string_equal(order, "b"); /* the other did not come to be a request */
        end_client();
    }
}

static void a_read_that_returns_nothing_is_reported(void **state) {
    (void)state;
    start_open();
    begin_read(0, 1);
    read_at = 1;
    int id = put((rtm_request){ .method = "test.a", .read_body = read_pattern, .body_size = 10 });
    WAIT_FOR(done_count);
    has_result(id, RTM_E_ARGUMENT, 0);
    assert_int_equal(read_calls, 1);
}

static void a_large_upload_uses_no_more_memory_than_a_small_one(void **state) {
    static const size_t sizes[] = { 100000, 100000000 };
    long most[2];
    (void)state;
    start_open();
    begin_read(0, 0);
    put((rtm_request){ .method = "test.b", .read_body = read_pattern, .body_size = 1 });
    WAIT_FOR(done_count); /* the connection is there */
    for (int i = 0; i < 2; i++) {
        begin_read(0, 0);
        int id = put((rtm_request){ .method = "test.a", .read_body = read_pattern,
                                    .body_size = sizes[i] });
        while (!done[id].runs) drive();
        has_result(id, RTM_OK, 200);
        assert_int_equal(last_asked()->size, sizes[i]);
        assert_true(last_asked()->pattern);
        most[i] = most_bytes;
    }
    assert_int_equal(most[1], most[0]);
}

/* A response before the end of the request is its response; the connection is not used again. */
static void an_answer_before_the_end_of_the_body_counts(void **state) {
    static const char too_large[] = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
    (void)state;
    for (int i = 0; i < 8; i++) {
        bool reads = i & 1, hang_up = i & 2, blocking = i & 4;
        rtm_config config = big_config();
        rtm_response response = { .result = RTM_OK };
        make_bot(&config);
        next_event("open");
        PLAY({ too_large, hang_up ? EARLY_HANG_UP : EARLY });
        begin_read(0, 0);
        rtm_request asking = { .method = "test.a", .body_size = BIG };
        if (reads) asking.read_body = read_pattern;
        else asking.body = big;
        int id = 0;
        if (blocking) {
            assert_int_equal(rtm_perform(bot, &asking, &response), RTM_E_HTTP);
            assert_int_equal(response.status, 413);
        } else {
            id = put(asking);
            WAIT_FOR(done_count);
            has_result(id, RTM_E_HTTP, 413);
        }
        assert_true(read_at < BIG);
        stalls = false;
        for (peer *p = peers; p < peers + PEERS; p++) p->in_body = false;
        WAIT_FOR(hang_up || hung_up);
        int next = submit("test.b", 2);
        WAIT_FOR(done[next].runs);
        has_result(next, RTM_OK, 200);
        end_client();
    }
}

/* URLs ----------------------------------------------------------------------------------------- */

static const char *other_url(const char *path) {
    static char url[200];
    snprintf(url, sizeof url, "http://localhost:%d/%s", other.port, path);
    return url;
}

static void a_request_to_a_url_carries_no_header_but_user_agent(void **state) {
    static const char *const headers[] = {
        "Authorization: Basic dXNlcjpwYXNz", "Cookie: " COOKIE, "X-Api-Key: 1234567",
        "X-Extra: 5", "User-Agent: mine/1", "X-Other: has-a-token-in-it", NULL };
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool own = i % 2, blocking = i / 2; /* own: to the host of the Web API */
        char host[32], url[100];
        rtm_config config = request_config();
        if (!own) config.headers = headers;
        make_bot(&config);
        if (own) snprintf(url, sizeof url, "http://127.0.0.1:%d/hook?x=%%2Fy", slack.port);
        else snprintf(url, sizeof url, "%s", other_url("hook?x=%2Fy"));
        rtm_request asking = { .url = url, .json = "{\"text\":\"hello\"}" };
        submit("test.a", 1); /* of which nothing is left for the next */
        if (blocking) assert_int_equal(rtm_perform(bot, &asking, NULL), RTM_OK);
        else put(asking);
        WAIT_FOR(done_count == 1 + !blocking);
        const struct asked *got = &asked[strchr(order, 'y') - order];
        expect_line(&got->got, "POST /hook?x=%2Fy HTTP/1.1");
        snprintf(host, sizeof host, "%s:%d", own ? "127.0.0.1" : "localhost",
                 own ? slack.port : other.port);
        assert_string_equal(header(&got->got, "Host"), host);
        assert_true((got->from >= peers + OTHER) == !own);
        assert_false(has_header(&got->got, "Authorization"));
        assert_false(has_header(&got->got, "Cookie"));
        assert_false(has_header(&got->got, "X-Api-Key"));
        assert_false(has_header(&got->got, "X-Extra"));
        assert_false(has_header(&got->got, "X-Other"));
        assert_null(strstr(got->got.head, TOKEN));
        assert_string_equal(got->got.body, "{\"text\":\"hello\"}");
        const struct asked *method = &asked[strchr(order, 'a') - order]; /* gets all of them */
        if (!own) assert_string_equal(header(&method->got, "X-Extra"), "5");
        if (!own) assert_string_equal(header(&method->got, "User-Agent"), "mine/1");
        if (!own) assert_string_equal(header(&got->got, "User-Agent"), "mine/1");
        end_client();
    }
}

static void the_answer_of_a_url_may_be_anything(void **state) {
    static const struct {
        const char *status, *body;
        rtm_result result;
        bool ok, json;
    } rows[] = {
        { "200 OK", "ok", RTM_OK, true, false },
        { "200 OK", "", RTM_OK, true, false },
        { "200 OK", "{\"a\":1}", RTM_OK, true, true },
        { "200 OK", "{\"ok\":false}", RTM_OK, true, true },
        { "201 Made", "<html>", RTM_OK, true, false },
        { "299 OK", "x", RTM_OK, true, false },
        { "302 Found\r\nLocation: https://127.0.0.1/", "moved", RTM_E_HTTP, false, false },
        { "307 Found\r\nLocation: /x", "", RTM_E_HTTP, false, false },
        { "404 No", "{\"ok\":true}", RTM_E_HTTP, false, true },
        { "403 No", "no_service", RTM_E_HTTP, false, false },
        { "500 No", "x", RTM_E_HTTP, false, false },
    };
    (void)state;
    start_open();
    for (size_t i = 0; i < 2 * COUNT(rows); i++) {
        char text[300];
        size_t row = i / 2;
        int before = asked_count;
        snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s",
                 rows[row].status, strlen(rows[row].body), rows[row].body);
        PLAY({ text, KEEP });
        rtm_request asking = { .url = other_url("x"), .body = "1", .body_size = 1 };
        if (i % 2) {
            rtm_response response;
            rtm_result result = rtm_perform(bot, &asking, &response);
            if (result != rows[row].result) print_error("row %zu\n", row);
            assert_int_equal(result, rows[row].result);
            assert_int_equal(response.status, atoi(rows[row].status));
            assert_int_equal(response.ok, rows[row].ok);
            assert_int_equal(response.id, 0);
            assert_int_equal(rtm_json_raw(response.data, NULL) != NULL, rows[row].json);
            assert_int_equal(response.body_size, strlen(rows[row].body));
            assert_memory_equal(response.body, rows[row].body, response.body_size);
        } else {
            int id = put(asking);
            WAIT_FOR(done[id].runs);
            if (done[id].result != rows[row].result) print_error("row %zu\n", row);
            has_result(id, rows[row].result, atoi(rows[row].status));
            assert_int_equal(done[id].ok, rows[row].ok);
            assert_int_equal(done[id].json, rows[row].json);
            assert_string_equal(done[id].body, rows[row].body);
        }
        assert_int_equal(asked_count, before + 1); /* no redirect was followed */
    }
}

/* Its path is a webhook's password: everyone who knows it may post. */
static void the_path_of_a_url_is_never_shown(void **state) {
    static const reply replies[] = {
        { OK_ANSWER, KEEP }, { "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", KEEP },
        { "HTTP/1.1 302 No\r\nLocation: /PaThSecret\r\nContent-Length: 0\r\n\r\n", KEEP },
        { LIMITED("Retry-After: 1\r\n"), KEEP }, { "", HANG_UP }, { "HTTP/1.1 2", HANG_UP },
        { NULL, KEEP },
        { "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n", KEEP },
    };
    (void)state;
    for (size_t i = 0; i <= 2 * COUNT(replies) + 1; i++) {
        bool blocking = i % 2;
        start_open();
        char url[200];
        snprintf(url, sizeof url, "%s", other_url("PaThSecret/T0?q=PaThSecret"));
        if (i / 2 < COUNT(replies)) play(&replies[i / 2], 1);
        else snprintf(url, sizeof url, "http://127.0.0.1:1/PaThSecret"); /* no server listens */
        rtm_request asking = { .url = url, .timeout_ms = 1000 };
        server_idle = serve_and_skip;
        if (blocking) rtm_perform(bot, &asking, NULL);
        else put(asking);
        for (int round = 0; round < 100; round++) {
            server_round(0);
            if (round % 30 == 29) test_now_ms += 1000;
        }
        assert_int_equal(done_count, !blocking);
        rtm_request bad = { .url = "http://PaThSecret@host/PaThSecret" };
        assert_int_equal(rtm_submit(bot, &bad), RTM_E_ARGUMENT);
        note_shown(rtm_error_detail(bot));
        assert_null(strstr(shown, "PaThSecret"));
        server_idle = serve;
        end_client();
    }
}

static void a_url_is_https_unless_that_of_the_web_api_is_not(void **state) {
    rtm_config config = request_config();
    (void)state;
    config.base_url = "https://127.0.0.1:1/api/";
    make_bot(&config);
    rtm_request asking = { .url = "http://127.0.0.1:1/hook", .callback = on_response };
    assert_int_equal(rtm_submit(bot, &asking), RTM_E_ARGUMENT);
    assert_non_null(strstr(rtm_error_detail(bot), "https"));
    assert_int_equal(rtm_perform(bot, &asking, NULL), RTM_E_ARGUMENT);
    asking.url = "https://127.0.0.1:1/hook";
    asking.no_retry = true;
    asking.user_data = &tag;
    int id = put(asking);
    WAIT_FOR(done_count);
    has_result(id, RTM_E_CONNECT, 0);
}

/* Limits --------------------------------------------------------------------------------------- */

static void a_full_queue_accepts_nothing_until_there_is_room(void **state) {
    rtm_config config = request_config();
    static char body[4000];
    (void)state;
    config.max_queue_size = 10000;
    config.max_message_size = 10000;
    make_bot(&config);
    next_event("open");
    PLAY({ NULL, KEEP });
    submit("test.a", 0);
    WAIT_FOR(asked_count);
    rtm_request asking = { .method = "test.b", .body = body, .body_size = sizeof body };
    int taken = 0, id;
    while ((id = put(asking)) > 0) assert_true(++taken < 4);
    assert_int_equal(taken, 2);
    assert_int_equal(id, RTM_E_AGAIN);
    assert_true(strlen(rtm_error_detail(bot)) > 10);
    long bytes = test_bytes, count = test_blocks;
    assert_int_equal(put(asking), RTM_E_AGAIN);
    assert_int_equal(test_bytes, bytes);
    assert_int_equal(test_blocks, count);
    asking.body_size = 10001;
    char large[10001] = { 0 };
    asking.body = large;
    assert_int_equal(put(asking), RTM_E_TOO_BIG);
    assert_non_null(strstr(rtm_error_detail(bot), "max_queue_size"));
    submit("test.c", 1); /* for a small one there is room */
    int upload = put((rtm_request){ .method = "test.d", .read_body = read_pattern,
                                    .body_size = 1000000 }); /* which accepts none */
    assert_true(upload > 0);
    begin_read(0, 0);
    server_send(&last_asked()->from->s, OK_ANSWER);
    WAIT_FOR(done_count == 5);
    asking.body = body;
    asking.body_size = sizeof body;
    for (int i = 0; i < 2; i++) assert_true(put(asking) > 0);
    WAIT_FOR(done_count == 7);
    assert_string_equal(order, "abbcdbb");
}

static void a_cancelled_request_makes_room(void **state) {
    rtm_config config = request_config();
    static char body[4000];
    (void)state;
    config.max_queue_size = 5000;
    make_bot(&config);
    next_event("open");
    rtm_request asking = { .method = "test.b", .body = body, .body_size = sizeof body };
    for (int i = 0; i < 5; i++) {
        int id = put(asking);
        assert_true(id > 0);
        assert_int_equal(rtm_cancel(bot, id), RTM_OK);
        WAIT_FOR(done[id].runs);
        has_result(id, RTM_E_CANCELLED, 0);
    }
}

static rtm_config long_queue(void) {
    rtm_config config = request_config();
    config.max_queue_size = 16 << 20;
    return config;
}

static void queued_requests_take_memory_by_their_bytes(void **state) {
    static char body[2000];
    static const size_t sizes[] = { 10, 2000 };
    rtm_config config = long_queue();
    long taken[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        make_bot(&config);
        next_event("open");
        PLAY({ NULL, KEEP });
        long before = test_bytes;
        for (int j = 0; j < 1000; j++)
            assert_true(put((rtm_request){ .method = "test.a", .body = body,
                                           .body_size = sizes[i] }) > 0);
        taken[i] = test_bytes - before;
        if (i == 0) assert_in_range(taken[0], 0, 1000 * (10 + 500));
        end_client();
        assert_int_equal(test_blocks, 0);
    }
    assert_in_range(taken[1] - taken[0], 1990 * 950, 1990 * 1050);
}

static int system_calls;

static void count_call(char call) {
    (void)call;
    system_calls++;
}

/* The cost of a step in which nothing happens: in basic blocks and in system calls. */
static void step_cost(long *work, int *calls) {
    client_before = count_call;
    for (int i = 0; i < 20; i++) {
        system_calls = 0;
        blocks = 0;
        rtm_poll(bot, 0);
        rtm_timeout_ms(bot);
        *work = blocks;
        *calls = system_calls;
    }
    client_before = NULL;
}

static void a_step_costs_the_same_with_a_thousand_requests_as_with_one(void **state) {
    rtm_config config = long_queue();
    (void)state;
    for (int held = 0; held < 2; held++) {
        long work[2];
        int calls[2];
        for (int i = 0; i < 2; i++) {
            make_bot(&config);
            next_event("open");
            PLAY({ held ? LIMITED("") : NULL, KEEP });
            for (int j = 0; j < (i ? 1000 : 1); j++) submit("test.a", j);
            WAIT_FOR(asked_count);
            nothing_happens();
            step_cost(&work[i], &calls[i]);
            end_client();
        }
        assert_true(work[0] > 0); /* or it is not counted */
        assert_int_equal(calls[1], calls[0]);
        if (labs(work[1] - work[0]) > 20)
            fail_msg("%ld and %ld basic blocks (held: %d)", work[0], work[1], held);
    }
}

/* The scan for the next request needs little work for each waiting request. */
static void a_thousand_requests_cost_each_what_a_hundred_do(void **state) {
    rtm_config config = long_queue();
    (void)state;
    for (int held = 0; held < 2; held++) {
        long work[2];
        for (int i = 0; i < 2; i++) {
            int count = i ? 1000 : 100;
            make_bot(&config);
            next_event("open");
            if (held) PLAY({ LIMITED(""), KEEP });
            for (int j = 0; held && j < count; j++) submit("test.a", j);
            for (int j = 0; j < count; j++) submit("test.b", j);
            blocks = 0;
            while (done_count < count) drive();
            work[i] = blocks / count;
            end_client();
        }
        if (work[1] > 20 * work[0])
            fail_msg("%ld and %ld basic blocks (held: %d)", work[0], work[1], held);
    }
}

static void submit_again(rtm_client *client, const rtm_response *response) {
    (void)client;
    (void)response;
    if (done_count < MOST - 10) submit("test.a", done_count);
}

static long messages;

static void count_message(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client;
    (void)event;
    (void)user_data;
    messages++;
}

static void requests_and_a_flood_of_events_both_progress(void **state) {
    enum { STEPS = 300 };
    static unsigned char flood[50000];
    static const char text[] = "{\"type\":\"flood\",\"text\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}";
    size_t size = 0, at = 0;
    (void)state;
    for (; size + sizeof text + 1 < sizeof flood; size += sizeof text + 1) {
        flood[size] = 0x80 | RTMI_WS_TEXT;
        flood[size + 1] = sizeof text - 1;
        memcpy(flood + size + 2, text, sizeof text - 1);
    }
    start_open();
    assert_int_equal(rtm_off(bot, "*", record_event, NULL), RTM_OK);
    assert_int_equal(rtm_on(bot, "flood", count_message, NULL), RTM_OK);
    messages = 0;
    in_done = submit_again;
    submit("test.a", 0);
    int fd = session_peer()->s.fd;
    for (int i = 0; i < STEPS; i++) {
        ssize_t n;
        while ((n = send(fd, flood + at, size - at, MSG_NOSIGNAL)) > 0)
            at = (at + (size_t)n) % size;
        long before = messages + done_count;
        int polled = rtm_poll(bot, 0);
        assert_int_equal(polled, messages + done_count - before);
        serve(0);
    }
    in_done = NULL;
    if (done_count < STEPS / 3 || messages < 100 * STEPS)
        fail_msg("%d responses, %ld events in %d steps", done_count, messages, STEPS);
}

static void submit_and_cancel(rtm_client *client, const rtm_response *response) {
    (void)response;
    if (done_count < MOST - 10)
        assert_int_equal(rtm_cancel(client, submit("test.a", done_count)), RTM_OK);
}

/* A callback that always submits again does not keep rtm_poll from returning. */
static void a_callback_that_submits_what_fails_at_once_leaves_rtm_poll(void **state) {
    server closed;
    (void)state;
    server_open(&closed);
    server_free(&closed);
    for (int refused = 0; refused < 2; refused++) {
        rtm_config config = request_config();
        if (refused) config.base_url = closed.base_url;
        make_bot(&config);
        if (!refused) next_event("open");
        in_done = refused ? submit_again : submit_and_cancel;
        int id = refused ? put((rtm_request){ .method = "test.a", .no_retry = true })
                         : submit("test.a", 0);
        if (!refused) assert_int_equal(rtm_cancel(bot, id), RTM_OK);
        for (int i = 0; i < 20; i++) {
            int before = done_count;
            rtm_poll(bot, 0);
            assert_true(done_count - before <= 10);
        }
        assert_true(done_count > 0);
        end_client();
    }
}

/* Two lanes ------------------------------------------------------------------------------------ */

static void a_dead_webhook_does_not_delay_a_method(void **state) {
    char url[100];
    (void)state;
    if (RTMI_LANES == 1) skip();
    start_open();
    PLAY({ NULL, KEEP });
    snprintf(url, sizeof url, "http://127.0.0.1:%d/hook/x", other.port);
    int hook = put((rtm_request){ .url = url });
    WAIT_FOR(asked_count == 1);
    begin_read(0, 0);
    int upload = put((rtm_request){ .method = "test.u", .read_body = read_pattern,
                                    .body_size = 10 });
    int first = submit("test.a", 1), second = submit("test.b", 2);
    WAIT_FOR(done_count == 2);
    has_result(first, RTM_OK, 200);
    has_result(second, RTM_OK, 200);
    nothing_happens();
    int before = hung_up;
    server_send(&asked[0].from->s, OK_ANSWER);
    WAIT_FOR(done_count == 4);
    has_result(hook, RTM_OK, 200);
    has_result(upload, RTM_OK, 200);
    assert_string_equal(order, "xabu");
    /* Each connection is kept for a minute. */
    test_now_ms += 59999;
    nothing_happens();
    assert_int_equal(hung_up, before + 1); /* the webhook's, which the upload replaced */
    test_now_ms++;
    nothing_happens();
    assert_int_equal(hung_up, before + 3);
    assert_int_equal(rtm_timeout_ms(bot), -1);
}

static void an_upload_keeps_its_place_among_requests_of_its_method(void **state) {
    (void)state;
    start_open();
    PLAY({ NULL, KEEP });
    begin_read(0, 0);
    submit("test.a", 1);
    put((rtm_request){ .method = "test.a", .read_body = read_pattern, .body_size = 10 });
    submit("test.a", 3);
    WAIT_FOR(asked_count == 1);
    nothing_happens();
    server_send(&last_asked()->from->s, numbered(1));
    WAIT_FOR(done_count == 3);
    assert_int_equal(numbers[0], 1);
    assert_int_equal(numbers[2], 3);
}

static void a_429_holds_requests_with_the_same_token_only(void **state) {
    (void)state;
    start_open();
    PLAY({ LIMITED("Retry-After: 7\r\n"), KEEP });
    int first = submit("test.a", 1);
    int same = submit("test.a", 2);
    int others = put((rtm_request){ .method = "test.a", .token = "xoxb-other" });
    WAIT_FOR(done_count == 1);
    has_result(others, RTM_OK, 200);
    nothing_happens();
    assert_int_equal(rtm_set_token(bot, "xoxb-new"), RTM_OK); /* the client owns it in any case */
    nothing_happens();
    test_now_ms += 7000;
    WAIT_FOR(done_count == 3);
    has_result(first, RTM_OK, 200);
    has_result(same, RTM_OK, 200);
}

/* Retries -------------------------------------------------------------------------------------- */

static void requests_that_were_never_sent_are_retried(void **state) {
    (void)state;
    for (int seconds = 1; seconds <= 16; seconds *= 2) {
        char urls[2][100];
        for (int i = 0; i < 2; i++)
            snprintf(urls[i], sizeof urls[i], "http://127.0.0.1:%d/%c", other.port, 'x' + i);
        start_open();
        server_resolve_error = EAI_AGAIN;
        int first = put((rtm_request){ .url = urls[0] });
        int same = put((rtm_request){ .url = urls[0], .body = "n=2", .body_size = 3 });
        int method = submit("test.a", 3);
        long long began = test_now_ms;
        WAIT_FOR(done_count == 1);
        has_result(method, RTM_OK, 200);
        for (int wait = 1; wait <= seconds; wait *= 2) {
            nothing_happens();
            int after_ms = wait < 16 ? 1000 * (2 * wait - 1) : 30000; /* then its time is over */
            assert_int_equal(rtm_timeout_ms(bot), began + after_ms - test_now_ms);
            test_now_ms += rtm_timeout_ms(bot) - 1;
            nothing_happens();
            if (wait == seconds) server_resolve_error = 0;
            test_now_ms++;
            if (wait < seconds) nothing_happens();
        }
        if (seconds == 16) {
            WAIT_FOR(done_count == 3);
            has_result(first, RTM_E_RESOLVE, 0);
        } else {
            WAIT_FOR(done_count == 3);
            has_result(first, RTM_OK, 200);
            has_result(same, RTM_OK, 200);
            assert_string_equal(order, "axx"); /* none twice */
            assert_int_equal(numbers[2], 2);
        }
        server_resolve_error = 0;
        end_client();
    }
}

static void a_request_that_is_never_sent_fails_after_its_time_with_the_last_cause(void **state) {
    char url[100];
    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/x", other.port);
    for (int how = 0; how < 5; how++) {
        server_resolve_error = 0;
        start_open();
        server_resolve_error = EAI_AGAIN;
        rtm_request asking = { .url = url, .timeout_ms = 10000, .no_retry = how == 1 };
        int id = put(asking);
        if (how == 1) {
            WAIT_FOR(done_count);
            has_result(id, RTM_E_RESOLVE, 0);
            end_client();
            continue;
        }
        nothing_happens();
        if (how == 2) assert_int_equal(rtm_cancel(bot, id), RTM_OK);
        if (how == 3) rtm_stop(bot);
        if (how == 2 || how == 3) {
            WAIT_FOR(done_count);
            has_result(id, how == 2 ? RTM_E_CANCELLED : RTM_E_STOPPED, 0);
        }
        if (how == 4) {
            assert_int_equal(rtm_perform(bot, &asking, NULL), RTM_E_RESOLVE); /* one attempt */
            end_client(); /* rtm_destroy calls the callback */
            continue;
        }
        for (int wait = 1; how == 0 && wait <= 3; wait++) {
            test_now_ms += rtm_timeout_ms(bot);
            nothing_happens(); /* after 1, 3, 7 s */
        }
        if (how == 0) {
            assert_int_equal(rtm_timeout_ms(bot), 3000);
            test_now_ms += 3000;
            WAIT_FOR(done_count);
            has_result(id, RTM_E_RESOLVE, 0);
            assert_non_null(strstr(done[id].detail, "127.0.0.1"));
        }
        assert_string_equal(order, "");
        end_client();
    }
    server_resolve_error = 0;
}

/* The server accepts the connection and never answers the TLS handshake. */
static void an_attempt_to_connect_takes_a_third_of_the_time(void **state) {
    static const int waits[] = { 3000, 1000, 3000, 2000 }; /* attempt, pause, attempt, pause */
    char url[100];
    (void)state;
    start_open();
    snprintf(url, sizeof url, "https://127.0.0.1:%d/x", other.port);
    int id = put((rtm_request){ .url = url, .timeout_ms = 9000 });
    for (size_t i = 0; i < COUNT(waits); i++) {
        nothing_happens();
        assert_int_equal(rtm_timeout_ms(bot), waits[i]);
        test_now_ms += waits[i];
    }
    WAIT_FOR(done_count);
    has_result(id, RTM_E_TIMEOUT, 0);
    assert_non_null(strstr(done[id].detail, "TLS"));
}

/* With RTM_ONE_LANE a connection to another host is closed at once. */
static void the_second_lane_is_kept_unless_there_is_one_only(void **state) {
    (void)state;
    start_open();
    put((rtm_request){ .url = other_url("x") });
    WAIT_FOR(done_count == 1);
    nothing_happens();
    assert_int_equal(bot->queue.lane[RTMI_LANES - 1].exchange != NULL, RTMI_LANES == 2);
    submit("test.a", 1);
    WAIT_FOR(done_count == 2);
    nothing_happens();
    assert_non_null(bot->queue.lane[0].exchange);
}

/* Downloads ------------------------------------------------------------------------------------ */

static long long taken_size;
static bool refuse_piece;

static bool write_pattern(const void *data, size_t size, void *user_data) {
    (void)user_data;
    const char *bytes = data;
    assert_true(size > 0);
    if (test_bytes > most_bytes) most_bytes = test_bytes;
    if (bytes[0] != pattern((size_t)taken_size) ||
        bytes[size - 1] != pattern((size_t)taken_size + size - 1)) fail_msg("at %lld", taken_size);
    taken_size += (long long)size;
    return !refuse_piece;
}

static void begin_write(void) {
    taken_size = 0;
    refuse_piece = false;
    most_bytes = 0;
}

/* Sends the pattern in the pieces that the socket accepts. */
static void send_pattern(server *s, long long from, long long to) {
    static char piece_of_it[23 * 2000];
    for (size_t i = 0; i < sizeof piece_of_it; i++) piece_of_it[i] = pattern(i);
    while (from < to) {
        size_t at = (size_t)(from % 23), size = sizeof piece_of_it - at;
        if ((long long)size > to - from) size = (size_t)(to - from);
        ssize_t n = send(s->fd, piece_of_it + at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) from += n;
        rtm_poll(bot, 0);
    }
}

static void a_large_download_uses_constant_memory(void **state) {
    static const long long sizes[] = { 100000, 100000000 };
    long most[2];
    char head[200];
    (void)state;
    start_open();
    for (int i = 0; i < 2; i++) {
        begin_write();
        PLAY({ NULL, KEEP });
        int before = asked_count;
        int id = put((rtm_request){ .url = other_url("x"), .http_method = "GET",
                                    .write_body = write_pattern });
        WAIT_FOR(asked_count == before + 1);
        expect_line(&last_asked()->got, "GET /x HTTP/1.1");
        assert_false(has_header(&last_asked()->got, "Content-Type"));
        assert_false(has_header(&last_asked()->got, "Content-Length"));
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"
                 "Content-Length: %lld\r\n\r\n", sizes[i]);
        server_send(&last_asked()->from->s, head);
        send_pattern(&last_asked()->from->s, 0, sizes[i]);
        WAIT_FOR(done[id].runs);
        has_result(id, RTM_OK, 200);
        assert_true(taken_size == sizes[i]);
        assert_string_equal(done[id].body, "");
        assert_string_equal(done[id].type, "image/png");
        most[i] = most_bytes;
    }
    assert_int_equal(most[1], most[0]);
}

static void a_download_ends_as_its_status_and_write_body_say(void **state) {
    static const struct {
        const char *answer;
        int refuses, runs; /* runs: write_body is called */
        rtm_result result;
        int status;
        const char *body, *type;
    } rows[] = {
        { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 0, 1, RTM_OK, 200, "", "" },
        { "HTTP/1.1 206 OK\r\nContent-Length: 3\r\n\r\nabc", 0, 1, RTM_OK, 206, "", "" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type:a/b; c=d\r\n\r\n", 0, 0, RTM_OK,
          200, "", "a/b; c=d" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 1, 1, RTM_E_CANCELLED, 0, "", "" },
        { "HTTP/1.1 404 No\r\nContent-Length: 3\r\nContent-Type: text/html\r\n\r\nno!", 1, 0,
          RTM_E_HTTP, 404, "no!", "text/html" },
        { LIMITED("Retry-After: 1\r\n"), 1, 0, RTM_E_RATE_LIMITED, 429,
          "{\"ok\":false,\"error\":\"ratelimited\"}", "" },
    };
    (void)state;
    for (size_t i = 0; i < 3 * COUNT(rows); i++) {
        size_t row = i / 3;
        rtm_request asking = { .write_body = write_pattern };
        rtm_response response;
        start_open();
        begin_write();
        refuse_piece = rows[row].refuses;
        PLAY({ rows[row].answer, KEEP });
        if (i % 3 == 0) asking.method = "test.a";
        else asking.url = other_url("a");
        if (i % 3 == 2) {
            assert_int_equal(rtm_perform(bot, &asking, &response), rows[row].result);
            assert_string_equal(response.content_type, rows[row].type);
        } else {
            int id = put(asking);
            WAIT_FOR(done_count);
            has_result(id, rows[row].result, rows[row].status);
            assert_string_equal(done[id].body, rows[row].body);
            assert_string_equal(done[id].type, rows[row].type);
        }
        assert_int_equal(taken_size, rows[row].runs ? 3 : 0);
        test_now_ms += 5000;
        nothing_happens();
        assert_string_equal(order, "a");
        end_client();
    }
}

/* A transfer may be slow as long as it progresses. */
static void the_timeout_of_a_stream_counts_time_without_progress(void **state) {
    (void)state;
    for (int dies = 0; dies < 2; dies++) {
        start_open();
        begin_write();
        PLAY({ NULL, KEEP });
        int id = put((rtm_request){ .url = other_url("x"), .write_body = write_pattern,
                                    .timeout_ms = 1000 });
        WAIT_FOR(asked_count == 1);
        server *s = &last_asked()->from->s;
        test_now_ms += 900;
        server_send(s, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n");
        for (int i = 0; i < (dies ? 10 : 20); i++) {
            char c = pattern((size_t)i);
            nothing_happens();
            test_now_ms += 900;
            server_send_bytes(s, &c, 1);
        }
        if (dies) {
            nothing_happens();
            test_now_ms += 999;
            nothing_happens();
            test_now_ms++;
        }
        WAIT_FOR(done_count);
        has_result(id, dies ? RTM_E_TIMEOUT : RTM_OK, dies ? 0 : 200);
        end_client();
    }
}

/* rtm_stop promises an end within a second, even during a transfer. */
static void a_stream_has_a_second_after_stop(void **state) {
    (void)state;
    start_open();
    begin_write();
    PLAY({ NULL, KEEP });
    int id = put((rtm_request){ .url = other_url("x"), .write_body = write_pattern });
    WAIT_FOR(asked_count == 1);
    server *s = &last_asked()->from->s;
    server_send(s, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n");
    rtm_stop(bot);
    for (int i = 0; i < 4; i++) {
        char c = pattern((size_t)i);
        test_now_ms += i ? 333 : 0;
        server_send_bytes(s, &c, 1);
        WAIT_FOR(taken_size == i + 1);
    }
    assert_int_equal(done[id].runs, 0);
    test_now_ms++;
    WAIT_FOR(done[id].runs);
    has_result(id, RTM_E_STOPPED, 0);
}

static void a_slow_upload_is_not_cut(void **state) {
    enum { SIZE = 8 << 20 };
    rtm_config config = big_config();
    (void)state;
    make_bot(&config);
    next_event("open");
    begin_read(0, 0);
    stalls = true;
    int id = put((rtm_request){ .method = "test.a", .read_body = read_pattern, .body_size = SIZE,
                                .timeout_ms = 1000 });
    WAIT_FOR(stalled_peer());
    for (int i = 0; i < 30; i++) rtm_poll(bot, 0);
    for (int i = 0; i < 200 && !done[id].runs; i++) {
        stalls = false;
        serve(0);
        stalls = i < 20;
        rtm_poll(bot, 0);
        test_now_ms += i < 20 ? 700 : 0;
    }
    stalls = false;
    WAIT_FOR(done[id].runs);
    has_result(id, RTM_OK, 200);
    assert_int_equal(last_asked()->size, SIZE);
}

/* A URL gets a token only with TLS: the request is read before it is encrypted. */
static void a_token_goes_to_the_url_that_it_was_given_with(void **state) {
    (void)state;
    start_open();
    for (int i = 0; i < 2; i++) {
        char url[100];
        snprintf(url, sizeof url, "https://127.0.0.1:%d/x", other.port);
        int id = put((rtm_request){ .url = url, .http_method = "GET",
                                    .token = i ? "xoxb-for-this" : NULL });
        rtm_poll(bot, 0);
        const rtmi_buf *kept = &bot->queue.lane[RTMI_LANES - 1].exchange->head;
        char head[500];
        snprintf(head, sizeof head, "%.*s", (int)kept->size, kept->data);
        assert_int_equal(strstr(head, "\r\nAuthorization: Bearer xoxb-for-this\r\n") != NULL, i);
        assert_int_equal(strstr(head, "Authorization") != NULL, i);
        assert_int_equal(rtm_cancel(bot, id), RTM_OK);
        WAIT_FOR(done[id].runs);
    }
}

static void an_empty_queue_accepts_one_large_request(void **state) {
    rtm_config config = request_config();
    static char body[50001];
    (void)state;
    config.max_queue_size = 5000;
    config.max_message_size = 50000;
    make_bot(&config);
    next_event("open");
    rtm_request asking = { .method = "test.a", .body = body, .body_size = 50001 };
    assert_int_equal(put(asking), RTM_E_TOO_BIG);
    asking.body_size = 50000;
    int id = put(asking);
    assert_true(id > 0);
    assert_int_equal(put(asking), RTM_E_AGAIN);
    assert_int_equal(put((rtm_request){ .method = "test.a" }), RTM_E_AGAIN);
    WAIT_FOR(done_count == 1);
    has_result(id, RTM_OK, 200);
    assert_true(put(asking) > 0);
    WAIT_FOR(done_count == 2);
}

/* Messages of Slack in a response -------------------------------------------------------------- */

static void a_message_names_what_slack_says_beyond_the_code(void **state) {
    static const struct { const char *body, *detail; } rows[] = {
        { "{\"ok\":false,\"error\":\"not_allowed_token_type\"}",
          "Slack refused chat.postMessage: not_allowed_token_type: this method does not accept "
          "this type of token" },
        { "{\"ok\":false,\"error\":\"missing_scope\",\"needed\":\"chat:write\"}",
          "Slack refused chat.postMessage: missing_scope (needed: chat:write)" },
        { "{\"ok\":false,\"error\":\"invalid_arguments\",\"response_metadata\":{\"messages\":"
          "[\"[ERROR] missing required field: channel\",\"more\"]}}",
          "Slack refused chat.postMessage: invalid_arguments: [ERROR] missing required field: "
          "channel" },
        { "{\"ok\":false,\"error\":\"invalid_arguments\",\"response_metadata\":{\"messages\":"
          "[\"\x1b[31m xoxb-1234567890-AbCd12EfGh\"]}}",
          NULL },
        { "{\"ok\":false,\"error\":\"channel_not_found\",\"needed\":7,\"response_metadata\":1}",
          "Slack refused chat.postMessage: channel_not_found" },
    };
    (void)state;
    start_open();
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[500];
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(rows[i].body), rows[i].body);
        PLAY({ text, KEEP });
        int id = submit("chat.postMessage", 1);
        WAIT_FOR(done[id].runs);
        if (i == 3) assert_null(strstr(done[id].detail, "AbCd"));
        else assert_string_equal(done[id].detail, rows[i].detail);
    }
}

static void a_message_in_socket_mode_may_have_40000_characters(void **state) {
    enum { MOST_CHARACTERS = 40000 };
    static char text[2 * MOST_CHARACTERS + 3];
    rtm_config config = app_config();
    (void)state;
    session = NO_ANSWER;
    make_bot(&config);
    for (int i = 0; i <= MOST_CHARACTERS; i++) memcpy(text + 2 * i, "\xc3\xbc", 2);
    assert_int_equal(rtm_send_message(bot, "C1", text), RTM_E_TOO_BIG);
    assert_non_null(strstr(rtm_error_detail(bot), "40000"));
    text[2 * MOST_CHARACTERS] = '\0';
    assert_true(rtm_send_message(bot, "C1", text) > 0);
    WAIT_FOR(asked_count == 1);
    assert_int_equal(last_asked()->size, strlen("channel=C1&text=") + 6 * MOST_CHARACTERS);
}

/* Blocking calls and the queue ----------------------------------------------------------------- */

static rtm_response blocked;
static rtm_result blocked_result;

static void call_in_message(rtm_client *client, const rtm_event *event) {
    blocked_result = rtm_call(client, &blocked, "test.b", "n", "2", NULL);
    assert_true(rtm_json_equals(rtm_json_get(event->data, "type"), "message"));
}

static void call_in_done(rtm_client *client, const rtm_response *response) {
    const struct outcome *kept = &done[response->id];
    const char *body = response->body;
    in_done = NULL;
    blocked_result = rtm_call(client, &blocked, "test.b", "n", "2", NULL);
    /* The arguments of the callback are unchanged. */
    assert_ptr_equal(response->body, body);
    assert_int_equal(response->body_size, strlen(kept->body));
    assert_memory_equal(body, kept->body, response->body_size);
    assert_int_equal(rtm_json_int(rtm_json_get(response->data, "number"), 0), 1);
    assert_int_equal(response->status, kept->status);
    assert_string_equal(response->error, kept->error);
    assert_string_equal(response->detail, kept->detail);
}

static void a_blocking_call_and_a_submitted_one_get_their_own_answers(void **state) {
    enum { OUTSIDE, IN_EVENT, IN_DONE };
    static const struct {
        int where;
        const char *first, *order; /* the answer to the first request */
    } rows[] = {
        { OUTSIDE, NULL, "abc" },
        { IN_EVENT, NULL, "abc" },
        { IN_DONE, ECHO, "abc" },
        { IN_DONE, "HTTP/1.1 500 No\r\nContent-Length: 24\r\n\r\n{\"texts\":\"a\",\"number\":1}",
          "abc" },
        /* The call does not wait for the end of the 429, even if it is of the same method. */
        { OUTSIDE, LIMITED("Retry-After: 5\r\n"), "acba" },
        { IN_EVENT, LIMITED("Retry-After: 5\r\n"), "acba" },
    };
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(rows); i++) {
        bool held = rows[i / 2].first && strstr(rows[i / 2].first, "429");
        bool same = i % 2; /* the blocking call and the first request are of one method */
        start_open();
        PLAY({ rows[i / 2].first, KEEP });
        blocked_result = RTM_E_ARGUMENT;
        in_message = call_in_message;
        in_done = rows[i / 2].where == IN_DONE ? call_in_done : NULL;
        int first = submit(same ? "test.b" : "test.a", 1), last = submit("test.c", 3);
        WAIT_FOR(asked_count >= (held ? 2 : 1));
        if (held) WAIT_FOR(done[last].runs);
        if (rows[i / 2].where == OUTSIDE)
            blocked_result = rtm_call(bot, &blocked, "test.b", "n", "2", NULL);
        if (rows[i / 2].where == IN_EVENT)
            server_send_text(&session_peer()->s, "{\"type\":\"message\"}");
        WAIT_FOR(blocked_result != RTM_E_ARGUMENT);
        if (rows[i / 2].where == IN_EVENT) next_event("message");
        assert_int_equal(blocked_result, RTM_OK);
        assert_int_equal(blocked.id, 0);
        assert_int_equal(rtm_json_int(rtm_json_get(blocked.data, "number"), 0), 2);
        if (!rows[i / 2].first) server_send(&asked[0].from->s, numbered(1));
        if (held) nothing_happens();
        if (held) test_now_ms += 5000;
        WAIT_FOR(done_count == 2);
        if (i / 2 == 3) has_result(first, RTM_E_HTTP, 500);
        else has_result(first, RTM_OK, 200);
        has_result(last, RTM_OK, 200);
        for (size_t j = 0; j < strlen(rows[i / 2].order); j++)
            assert_int_equal(order[j], same && rows[i / 2].order[j] == 'a' ? 'b'
                                                                          : rows[i / 2].order[j]);
        end_client();
    }
}

/* In `read` no call is allowed: the connection is in the middle of a request. */
static rtm_result in_read[2];

static size_t read_and_call(void *buf, size_t size, void *user_data) {
    (void)user_data;
    in_read[0] = rtm_call(bot, NULL, "test.z", NULL);
    in_read[1] = (rtm_result)rtm_poll(bot, 0);
    memset(buf, 'x', size);
    return size;
}

static void a_call_in_read_is_refused(void **state) {
    (void)state;
    start_open();
    rtm_request asking = { .method = "test.a", .read_body = read_and_call, .body_size = 10 };
    put(asking);
    WAIT_FOR(done_count);
    for (int i = 0; i < 2; i++) assert_int_equal(in_read[i], RTM_E_BUSY);
    in_read[0] = in_read[1] = RTM_OK;
    assert_int_equal(rtm_perform(bot, &asking, NULL), RTM_OK);
    for (int i = 0; i < 2; i++) assert_int_equal(in_read[i], RTM_E_BUSY);
}

/* Requests and the session --------------------------------------------------------------------- */

static void requests_continue_during_a_reconnect(void **state) {
    (void)state;
    for (int failing = 0; failing < 2; failing++) {
        start_open();
        in_done = submit_again;
        submit("test.a", 0);
        WAIT_FOR(done_count == 10);
        if (failing) session = FAILS;
        server_close(&session_peer()->s);
        next_error(RTM_E_CLOSED);
        next_event("close");
        WAIT_FOR(done_count == 40); /* while it waits */
        if (failing) {
            assert_int_equal(rtm_get_state(bot), RTM_STATE_BACKOFF);
            test_now_ms += 2000;
            next_error(RTM_E_HTTP);
            session = OPENS;
        }
        test_now_ms += 4000;
        next_event("open");
        int now = done_count;
        WAIT_FOR(done_count == now + 20);
        in_done = NULL;
        WAIT_FOR(done_count == now + 21);
        for (int id = 1; id <= done_count; id++) has_result(id, RTM_OK, 200);
        assert_int_equal(asked_count, done_count);
        end_client();
    }
}

/* A submitted request makes rtm_poll necessary: no deadline of the session does that here. */
static void a_submitted_request_wakes_a_loop_that_has_nothing_else_to_do(void **state) {
    (void)state;
    start_open();
    nothing_happens();
    assert_int_equal(rtm_timeout_ms(bot), -1);
    assert_false(has_something_to_do());
    int id = submit("test.a", 1);
    assert_true(rtm_timeout_ms(bot) == 0 || has_something_to_do());
    WAIT_FOR(asked_count); /* through drive(), which calls rtm_poll only for these two */
    WAIT_FOR(done_count);
    has_result(id, RTM_OK, 200);
}

static void an_idle_queue_costs_no_wake_up_and_after_a_minute_nothing_at_all(void **state) {
    (void)state;
    start_open();
    submit("test.a", 1);
    WAIT_FOR(done_count == 1);
    test_now_ms += 61000;
    WAIT_FOR(hung_up);
    nothing_happens();
    long bytes = test_bytes, count = test_blocks;
    int files = open_files();
    int already = hung_up;
    submit("test.a", 2);
    submit("test.b", 3);
    WAIT_FOR(done_count == 3);
    nothing_happens();
    assert_int_equal(rtm_timeout_ms(bot), 60000);
    assert_false(has_something_to_do());
    client_before = count_call;
    system_calls = 0;
    test_now_ms += 59999;
    for (int i = 0; i < 20; i++) drive();
    assert_int_equal(system_calls, 0); /* there was no reason to call rtm_poll */
    client_before = NULL;
    assert_int_equal(hung_up, already);
    test_now_ms++;
    WAIT_FOR(hung_up > already);
    assert_int_equal(rtm_timeout_ms(bot), -1);
    assert_false(has_something_to_do());
    assert_int_equal(test_bytes, bytes);
    assert_int_equal(test_blocks, count);
    assert_int_equal(open_files(), files);
}

static void a_connection_that_the_server_closes_while_idle_leaves_the_loop_quiet(void **state) {
    (void)state;
    start_open();
    submit("test.a", 1);
    WAIT_FOR(done_count == 1);
    server_close(&last_asked()->from->s);
    for (int i = 0; i < 3; i++) drive();
    assert_false(has_something_to_do());
    assert_true(rtm_timeout_ms(bot) != 0);
    nothing_happens();
}

static void the_connection_is_kept_for_a_minute(void **state) {
    (void)state;
    start_open();
    int before = accepted();
    for (int i = 1; i <= 5; i++) {
        submit("test.a", i);
        WAIT_FOR(done_count == i);
        test_now_ms += 59999;
        nothing_happens();
    }
    int after = accepted();
    assert_int_equal(after, before + 1);
}

/* Tokens --------------------------------------------------------------------------------------- */

#define NEW_TOKEN "xoxb-1234567890-SecretOtherSecret"

static void a_new_token_is_used_from_the_next_request_on(void **state) {
    (void)state;
    start_open();
    PLAY({ NULL, KEEP }, { LIMITED("Retry-After: 2\r\n"), KEEP });
    for (int i = 1; i <= 3; i++) submit(i == 2 ? "test.b" : "test.a", i);
    WAIT_FOR(asked_count == 1);
    assert_int_equal(rtm_set_token(bot, " " NEW_TOKEN "\n"), RTM_OK);
    server_send(&last_asked()->from->s, OK_ANSWER);
    WAIT_FOR(done_count == 2);
    assert_string_equal(header(&asked[0].got, "Authorization"), "Bearer " TOKEN);
    for (int i = 1; i <= 2; i++)
        assert_string_equal(header(&asked[i].got, "Authorization"), "Bearer " NEW_TOKEN);
    assert_int_equal(rtm_set_token(bot, TOKEN), RTM_OK);
    test_now_ms += 2000;
    WAIT_FOR(done_count == 3); /* and so does one that was held */
    assert_string_equal(header(&asked[3].got, "Authorization"), "Bearer " TOKEN);
    assert_int_equal(rtm_set_token(bot, NEW_TOKEN), RTM_OK);
    assert_int_equal(rtm_call(bot, NULL, "test.d", NULL), RTM_OK);
    assert_string_equal(header(&last_asked()->got, "Authorization"), "Bearer " NEW_TOKEN);
    server_close(&session_peer()->s); /* and the next session */
    next_error(RTM_E_CLOSED);
    next_event("close");
    test_now_ms += 3000;
    session = NO_ANSWER;
    request *got = NULL;
    for (int i = 0; i < 20; i++) server_round(i);
    for (peer *p = peers; p < peers + PEERS; p++)
        if (p->s.fd >= 0 && !strncmp(p->got.head, "POST /api/rtm.connect ", 22)) got = &p->got;
    assert_non_null(got);
    assert_string_equal(header(got, "Authorization"), "Bearer " NEW_TOKEN);
}

/* Masking needs no list of tokens: also tokens that the client never had, or no longer has, are
   masked. */
static void a_token_that_a_server_echoes_is_tamed(void **state) {
#define CALL_TOKEN "xoxp-2345678901-ForOneCall1"
    static const char *const echoed[] = { TOKEN, NEW_TOKEN, CALL_TOKEN,
                                          "xoxe.xoxp-1-Mi0yLTEyMzQ1Njc4OTAx" };
    static const char *const tamed[] = { "xoxb-?-?", "xoxb-?-?", "xoxp-?-?", "xoxe.xoxp-1-?" };
    (void)state;
    start_open();
    assert_int_equal(rtm_set_token(bot, NEW_TOKEN), RTM_OK);
    for (size_t i = 0; i < 2 * COUNT(echoed); i++) {
        const char *token = echoed[i / 2];
        char text[200];
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n"
                 "{\"ok\":false,\"error\":\"%s\"}", 23 + strlen(token), token);
        PLAY({ text, KEEP });
        int id = put((rtm_request){ .method = "test.a", .token = i % 2 ? CALL_TOKEN : NULL });
        WAIT_FOR(done[id].runs);
        assert_string_equal(header(&last_asked()->got, "Authorization"),
                            i % 2 ? "Bearer " CALL_TOKEN : "Bearer " NEW_TOKEN);
        has_result(id, RTM_E_SLACK, 200);
        assert_string_equal(done[id].error, tamed[i / 2]);
        assert_null(strstr(shown, token));
        assert_null(strstr(shown, strrchr(token, '-') + 1));
    }
    assert_null(strstr(shown, "1234567"));
    assert_null(strstr(shown, "2345678"));
}

static void an_invalid_token_changes_nothing(void **state) {
    static const char *const bad[] = { NULL, "", " \t\r\n", "xoxb-1\n2", "xoxb 1", "xoxb-\xc3\xbc",
                                       "\x01xoxb", "xoxb\x7f" };
    (void)state;
    start_open();
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(rtm_set_token(bot, bad[i]), RTM_E_ARGUMENT);
        assert_true(strlen(rtm_error_detail(bot)) > 10);
        rtm_request asking = { .method = "test.a", .token = bad[i] };
        if (bad[i]) assert_int_equal(rtm_submit(bot, &asking), RTM_E_ARGUMENT);
    }
    for (long at = 1, hit = 1; hit; at++) {
        test_fail_at = test_allocations + at;
        rtm_result result = rtm_set_token(bot, NEW_TOKEN);
        hit = test_allocations >= test_fail_at;
        test_fail_at = 0;
        assert_int_equal(result, hit ? RTM_E_MEMORY : RTM_OK);
        int id = submit("test.b", 1);
        WAIT_FOR(done[id].runs);
        assert_string_equal(header(&last_asked()->got, "Authorization"),
                            hit ? "Bearer " TOKEN : "Bearer " NEW_TOKEN);
        assert_true(hit || at > 1);
    }
    assert_int_equal(rtm_set_token(NULL, NEW_TOKEN), RTM_E_ARGUMENT);
}

/* Arguments ------------------------------------------------------------------------------------ */

static void a_bad_request_is_refused_with_its_own_message(void **state) {
    static const char *const fields[] = { "a", "b", NULL };
    static const char *const no_utf8[] = { "a", "\xff", NULL };
    static const char *const no_utf8_name[] = { "\xff", "a", NULL };
#define M .method = "test.a"
#define URL .url = "http://127.0.0.1/x"
    static const struct {
        rtm_request request;
        rtm_result result;
        int like; /* the message may be the same as in the row above */
    } rows[] = {
        { { M, .url = "http://127.0.0.1/x" }, RTM_E_ARGUMENT, 0 },
        { { .json = "{}" }, RTM_E_ARGUMENT, 1 },
        { { M, .fields = fields, .json = "{}" }, RTM_E_ARGUMENT, 0 },
        { { M, .fields = fields, .body = "a", .body_size = 1 }, RTM_E_ARGUMENT, 1 },
        { { M, .json = "{}", .body = "a", .body_size = 1 }, RTM_E_ARGUMENT, 1 },
        { { M, .json = "{}", .read_body = read_pattern, .body_size = 1 }, RTM_E_ARGUMENT, 1 },
        { { M, .body = "a", .read_body = read_pattern, .body_size = 1 }, RTM_E_ARGUMENT, 1 },
        { { M, .json = "{\"a\":" }, RTM_E_JSON, 0 },
        { { M, .json = "" }, RTM_E_JSON, 1 },
        { { M, .json = "{} x" }, RTM_E_JSON, 1 },
        { { M, .read_body = read_pattern }, RTM_E_ARGUMENT, 0 },
        { { M, .body_size = 5 }, RTM_E_ARGUMENT, 0 },
        { { M, .read_body = read_pattern, .body_size = (size_t)-1 }, RTM_E_ARGUMENT, 1 },
        { { M, .body = "a", .body_size = 1, .content_type = "a\r\nX: b" }, RTM_E_ARGUMENT, 0 },
        { { M, .body = "a", .body_size = 1, .content_type = "a\nb" }, RTM_E_ARGUMENT, 1 },
        { { M, .json = "{}", .content_type = "a/b" }, RTM_E_ARGUMENT, 0 },
        { { .url = "" }, RTM_E_ARGUMENT, 0 },
        { { .url = "/path" }, RTM_E_ARGUMENT, 1 },
        { { .url = "ftp://127.0.0.1/" }, RTM_E_ARGUMENT, 1 },
        { { .url = "http://127.0.0.1:0/" }, RTM_E_ARGUMENT, 1 },
        { { .url = "http://a\r\nb/" }, RTM_E_ARGUMENT, 1 },
        { { .url = "http://127.0.0.1/a b" }, RTM_E_ARGUMENT, 1 },
        { { .url = "http://127.0.0.1/a\r\nX: y" }, RTM_E_ARGUMENT, 1 },
        { { M, .timeout_ms = -1 }, RTM_E_ARGUMENT, 0 },
        { { M, .fields = no_utf8 }, RTM_E_ARGUMENT, 0 },
        { { M, .fields = no_utf8_name }, RTM_E_ARGUMENT, 1 },
        { { M, .token = "a\r\nb" }, RTM_E_ARGUMENT, 0 },
        { { .url = "http://127.0.0.1/x", .token = "xoxb-a" }, RTM_E_ARGUMENT, 0 },
        { { M, .http_method = "PUT" }, RTM_E_ARGUMENT, 0 },
        { { M, .http_method = "post" }, RTM_E_ARGUMENT, 1 },
        { { M, .http_method = "" }, RTM_E_ARGUMENT, 1 },
        { { .url = "http://127.0.0.1/x", .http_method = "GET " }, RTM_E_ARGUMENT, 1 },
        { { M, .http_method = "GET" }, RTM_E_ARGUMENT, 1 },
        { { URL, .http_method = "GET", .fields = fields }, RTM_E_ARGUMENT, 0 },
        { { URL, .http_method = "GET", .json = "{}" }, RTM_E_ARGUMENT, 1 },
        { { URL, .http_method = "GET", .body = "a" }, RTM_E_ARGUMENT, 1 },
        { { URL, .http_method = "GET", .body_size = 1 }, RTM_E_ARGUMENT, 1 },
        { { URL, .http_method = "GET", .read_body = read_pattern, .body_size = 1 }, RTM_E_ARGUMENT,
          1 },
        { { URL, .http_method = "GET", .content_type = "a/b" }, RTM_E_ARGUMENT, 1 },
        { { .method = "" }, RTM_E_ARGUMENT, 0 },
        { { .method = "a/b" }, RTM_E_ARGUMENT, 1 },
        { { .method = "a b" }, RTM_E_ARGUMENT, 1 },
        { { .method = "a\r\nb" }, RTM_E_ARGUMENT, 1 },
    };
#undef M
#undef URL
    static char details[COUNT(rows)][256];
    (void)state;
    start_open();
    int accepts = accepted();
    for (size_t i = 0; i < COUNT(rows); i++) {
        rtm_request asking = rows[i].request;
        rtm_response response;
        asking.callback = on_response;
        assert_int_equal(rtm_perform(bot, &asking, &response), rows[i].result);
        assert_int_equal(response.result, rows[i].result);
        assert_int_equal(response.status, 0);
        assert_string_equal(response.error, "");
        snprintf(details[i], sizeof details[i], "%s", rtm_error_detail(bot));
        assert_string_equal(response.detail, details[i]);
        if (rtm_submit(bot, &asking) != (int)rows[i].result) fail_msg("row %zu", i);
        assert_string_equal(rtm_error_detail(bot), details[i]);
        assert_true(strlen(details[i]) > 10);
        for (size_t j = 0; j < i && !rows[i].like; j++)
            if (!strcmp(details[j], details[i])) fail_msg("%zu, %zu: %s", i, j, details[i]);
    }
    assert_int_equal(rtm_submit(bot, NULL), RTM_E_ARGUMENT);
    assert_true(strlen(rtm_error_detail(bot)) > 10);
    assert_int_equal(rtm_perform(bot, NULL, NULL), RTM_E_ARGUMENT);
    rtm_request good = { .method = "test.a" };
    rtm_response response;
    assert_int_equal(rtm_submit(NULL, &good), RTM_E_ARGUMENT);
    assert_int_equal(rtm_perform(NULL, &good, &response), RTM_E_ARGUMENT);
    assert_int_equal(rtm_cancel(NULL, 1), RTM_E_ARGUMENT);
    assert_int_equal(rtm_call_async(NULL, NULL, NULL, "test.a", NULL), RTM_E_ARGUMENT);
    nothing_happens();
    assert_int_equal(accepts, accepted());
}

static void a_submitted_request_is_a_copy(void **state) {
    char method[] = "test.a", name[] = "n", value[] = "5", token[] = "xoxb-of-its-own";
    char url[100], type[] = "a/b", body[] = "n=6";
    const char *fields[] = { name, value, NULL };
    (void)state;
    start();
    snprintf(url, sizeof url, "%s", other_url("x"));
    put((rtm_request){ .method = method, .fields = fields, .token = token });
    put((rtm_request){ .url = url, .body = body, .body_size = 3, .content_type = type });
    memset(method, '!', 6);
    memset(token, '!', sizeof token - 1);
    memset(url, '!', strlen(url));
    memset(body, '!', 3);
    name[0] = value[0] = type[0] = '!';
    fields[0] = NULL;
    WAIT_FOR(done_count == 2);
    expect_line(&asked[0].got, "POST /api/test.a HTTP/1.1");
    assert_string_equal(asked[0].got.body, "n=5");
    assert_string_equal(header(&asked[0].got, "Authorization"), "Bearer xoxb-of-its-own");
    assert_string_equal(asked[1].got.body, "n=6");
    assert_string_equal(header(&asked[1].got, "Content-Type"), "a/b");
}

static void call_async_is_a_submitted_call(void **state) {
    (void)state;
    start_open();
    int id = rtm_call_async(bot, on_response, &tag, "test.a", "n", "1", "no", NULL, "b", "&",
                            NULL);
    assert_int_equal(id, 1);
    done[id].submitted = true;
    WAIT_FOR(done_count);
    has_result(id, RTM_OK, 200);
    assert_string_equal(asked[0].got.body, "n=1&b=%26");
    assert_int_equal(rtm_call_async(bot, on_response, &tag, "test.a", "n", "\xff", NULL),
                     RTM_E_ARGUMENT);
    assert_int_equal(rtm_call_async(bot, on_response, &tag, NULL, NULL), RTM_E_ARGUMENT);
    nothing_happens();
}

static void a_request_without_a_callback_fails_as_an_error_event(void **state) {
    (void)state;
    start_open();
    PLAY({ OK_ANSWER, KEEP }, { "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", KEEP },
         { NULL, KEEP });
    rtm_request asking = { .method = "test.a" };
    for (int i = 0; i < 3; i++) assert_true(rtm_submit(bot, &asking) > 0);
    next_error(RTM_E_HTTP); /* the first succeeded: no event */
    WAIT_FOR(asked_count == 3);
    test_now_ms += 30000;
    record *late = next_error(RTM_E_TIMEOUT);
    assert_int_equal(late->retry_ms, 0);
    assert_int_equal(rtm_call_async(bot, NULL, NULL, "test.b", NULL), 4);
    rtm_stop(bot);
    poll_to_the_end();
    next_error(RTM_E_STOPPED);
    next_event("close");
    no_event();
    assert_true(rtm_is_connected(bot) == false);
}

/* Escapes -------------------------------------------------------------------------------------- */

static void escape_writes_what_slack_shows_as_it_is(void **state) {
    static const struct { const char *text, *escaped; } rows[] = {
        { "", "" }, { "hello", "hello" }, { "a < b & c > d", "a &lt; b &amp; c &gt; d" },
        { "&amp;", "&amp;amp;" }, { "<@U1>", "&lt;@U1&gt;" }, { "\"'`*_~\n", "\"'`*_~\n" },
        { "gr\xc3\xbc\xc3\x9f<\xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f&lt;\xf0\x9f\x98\x80" },
        { "&&&&", "&amp;&amp;&amp;&amp;" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *whole = rows[i].escaped;
        size_t length = strlen(whole);
        assert_int_equal(rtm_escape(rows[i].text, NULL, 0), length);
        for (size_t size = 0; size <= length + 3; size++) {
            guarded out = guard(NULL, size);
            if (size) memset(out.data, 'x', size);
            assert_int_equal(rtm_escape(rows[i].text, out.data, size), length);
            if (size) {
                size_t written = strlen(out.data);
                if (size > length) assert_int_equal(written, length);
                else assert_true(written < size && written + 5 >= size);
                assert_memory_equal(out.data, whole, written);
                /* It is cut after a whole character and a whole "&...;". */
                const char *last = strrchr(out.data, '&');
                if (last) assert_non_null(strchr(last, ';'));
                assert_true(((unsigned char)whole[written] & 0xc0) != 0x80);
            }
            guard_free(&out);
        }
    }
}

#define REQUEST(function) \
    cmocka_unit_test_setup_teardown(function, begin_requests, end_requests)

static const struct CMUnitTest tests[] = {
    REQUEST(every_ending_is_reported_once_and_the_next_request_is_sent),
    REQUEST(a_request_that_finds_no_server_is_reported),
    REQUEST(the_timeout_of_a_request_begins_with_its_turn),
    REQUEST(a_response_during_an_events_callback_is_no_timeout),
    REQUEST(a_request_whose_time_is_over_is_not_sent),
    REQUEST(the_callback_of_a_cancelled_request_takes_no_time_of_the_next),
    REQUEST(a_message_in_socket_mode_is_cancelled_by_its_id),
    REQUEST(messages_and_requests_take_ids_from_one_counter),
    REQUEST(a_cancelled_request_is_reported_once_and_the_others_continue),
    REQUEST(only_a_request_that_is_there_can_be_cancelled),
    REQUEST(the_connection_of_a_cancelled_request_is_closed_at_once),
    REQUEST(stop_ends_all_requests_in_each_state),
    REQUEST(a_request_in_progress_may_finish_while_the_session_closes),
    REQUEST(stop_in_the_callback_of_a_request_ends_the_others),
    REQUEST(requests_are_sent_after_the_end_of_the_last_session),
    REQUEST(destroy_ends_all_requests),
    REQUEST(out_of_memory_is_reported_once),
    REQUEST(a_429_holds_its_method_in_order_and_lets_the_others_pass),
    REQUEST(a_429_is_waited_for_as_long_as_it_says),
    REQUEST(a_429_is_returned_with_no_retry_and_with_read_body),
    REQUEST(what_follows_a_429_that_is_a_result_waits),
    REQUEST(a_429_counts_even_if_its_body_fails),
    REQUEST(a_429_with_a_large_page_is_waited_for_by_a_session_too),
    REQUEST(a_gzip_body_is_reported_as_one),
    REQUEST(at_most_64_holds_exist),
    REQUEST(a_held_request_that_is_cancelled_leaves_the_others_held),
    REQUEST(a_429_of_a_url_holds_only_that_url),
    REQUEST(a_connection_lost_while_a_request_is_written_ends_the_request),
    REQUEST(a_connection_closed_while_idle_is_replaced),
    REQUEST(a_request_written_whole_into_a_dead_connection_is_not_sent_again),
    REQUEST(a_body_is_sent_as_it_was_given),
    REQUEST(a_read_body_may_have_pieces_of_any_size),
    REQUEST(a_read_of_the_wrong_size_ends_the_request_and_the_connection),
    REQUEST(a_read_that_returns_nothing_is_reported),
    REQUEST(a_large_upload_uses_no_more_memory_than_a_small_one),
    REQUEST(an_answer_before_the_end_of_the_body_counts),
    REQUEST(a_request_to_a_url_carries_no_header_but_user_agent),
    REQUEST(the_answer_of_a_url_may_be_anything),
    REQUEST(the_path_of_a_url_is_never_shown),
    REQUEST(a_url_is_https_unless_that_of_the_web_api_is_not),
    REQUEST(a_full_queue_accepts_nothing_until_there_is_room),
    REQUEST(a_cancelled_request_makes_room),
    REQUEST(queued_requests_take_memory_by_their_bytes),
    REQUEST(a_step_costs_the_same_with_a_thousand_requests_as_with_one),
    REQUEST(a_thousand_requests_cost_each_what_a_hundred_do),
    REQUEST(requests_and_a_flood_of_events_both_progress),
    REQUEST(a_callback_that_submits_what_fails_at_once_leaves_rtm_poll),
    REQUEST(a_dead_webhook_does_not_delay_a_method),
    REQUEST(an_upload_keeps_its_place_among_requests_of_its_method),
    REQUEST(a_429_holds_requests_with_the_same_token_only),
    REQUEST(requests_that_were_never_sent_are_retried),
    REQUEST(a_request_that_is_never_sent_fails_after_its_time_with_the_last_cause),
    REQUEST(an_attempt_to_connect_takes_a_third_of_the_time),
    REQUEST(the_second_lane_is_kept_unless_there_is_one_only),
    REQUEST(a_large_download_uses_constant_memory),
    REQUEST(a_download_ends_as_its_status_and_write_body_say),
    REQUEST(the_timeout_of_a_stream_counts_time_without_progress),
    REQUEST(a_stream_has_a_second_after_stop),
    REQUEST(a_slow_upload_is_not_cut),
    REQUEST(a_token_goes_to_the_url_that_it_was_given_with),
    REQUEST(an_empty_queue_accepts_one_large_request),
    REQUEST(a_message_names_what_slack_says_beyond_the_code),
    REQUEST(a_message_in_socket_mode_may_have_40000_characters),
    REQUEST(a_blocking_call_and_a_submitted_one_get_their_own_answers),
    REQUEST(a_call_in_read_is_refused),
    REQUEST(requests_continue_during_a_reconnect),
    REQUEST(a_submitted_request_wakes_a_loop_that_has_nothing_else_to_do),
    REQUEST(an_idle_queue_costs_no_wake_up_and_after_a_minute_nothing_at_all),
    REQUEST(a_connection_that_the_server_closes_while_idle_leaves_the_loop_quiet),
    REQUEST(the_connection_is_kept_for_a_minute),
    REQUEST(a_new_token_is_used_from_the_next_request_on),
    REQUEST(a_token_that_a_server_echoes_is_tamed),
    REQUEST(an_invalid_token_changes_nothing),
    REQUEST(a_bad_request_is_refused_with_its_own_message),
    REQUEST(a_submitted_request_is_a_copy),
    REQUEST(call_async_is_a_submitted_call),
    REQUEST(a_request_without_a_callback_fails_as_an_error_event),
    REQUEST(escape_writes_what_slack_shows_as_it_is),
};

int main(void) {
    return cmocka_run_group_tests(tests, NULL, NULL);
}
