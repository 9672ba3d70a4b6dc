/* HTTP: the response parser against RFC 9112 and RFC 9110, each vector whole, byte by byte and cut
   at every place; then URLs, requests, forms, NO_PROXY. Inputs end at a guard page. */
#include "support.h"

#define OK_LINE "HTTP/1.1 200 OK\r\n"

typedef enum ending { OPEN, CUT, CLEAN } ending; /* of the connection: none, broken, in order */

typedef struct vector {
    const char *in;
    size_t size;
    rtmi_http_kind kind;
    ending ending;
    rtmi_http_what what; /* the last result of the parser */
    int status;
    const char *body;
    size_t rest;    /* bytes after the response, which do not belong to it */
    int retry;      /* seconds of Retry-After; 0 = there is none */
    bool closes;    /* the connection must not be kept alive */
} vector;

typedef struct outcome {
    rtmi_http_what what;
    rtmi_http http;
    char error[64];
    rtmi_buf body;
    size_t used;
} outcome;

/* Runners ------------------------------------------------------------------------------------- */

static void begin(outcome *out, rtmi_http_kind kind) {
    memset(out, 0, sizeof *out);
    rtmi_http_start(&out->http, kind);
}

/* Parses one piece up to its end, or to the end of the response. */
static void feed(outcome *out, const char *data, size_t size) {
    size_t at = 0, used;
    if (out->what != RTMI_HTTP_MORE) return;
    char *piece = at_guard(data, size);
    do {
        out->what = rtmi_http_parse(&out->http, piece + at, size - at, &used);
        assert_true(used <= size - at);
        at += used;
        if (out->what != RTMI_HTTP_BODY) continue;
        assert_true(out->http.body_size > 0);
        assert_true(out->http.body >= piece);
        assert_true(out->http.body + out->http.body_size <= piece + at);
        rtmi_buf_add(&out->body, out->http.body, out->http.body_size);
    } while (out->what == RTMI_HTTP_BODY);
    assert_true(out->what != RTMI_HTTP_MORE || at == size);
    out->used += at;
}

static void finish(outcome *out, ending how) {
    if (out->what == RTMI_HTTP_MORE && how != OPEN)
        out->what = rtmi_http_end(&out->http, how == CLEAN);
    if (out->what == RTMI_HTTP_BAD) {
        assert_non_null(out->http.error);
        snprintf(out->error, sizeof out->error, "%s", out->http.error);
    }
}

/* In two pieces; whole when the cut is at the end. */
static outcome run_cut(const vector *v, size_t cut) {
    outcome out;
    begin(&out, v->kind);
    feed(&out, v->in, cut);
    if (cut < v->size) feed(&out, v->in + cut, v->size - cut);
    finish(&out, v->ending);
    return out;
}

static outcome run_steps(const vector *v, size_t step) {
    outcome out;
    begin(&out, v->kind);
    for (size_t at = 0; at < v->size; at += step)
        feed(&out, v->in + at, step < v->size - at ? step : v->size - at);
    finish(&out, v->ending);
    return out;
}

static void assert_same(const outcome *a, const outcome *b) {
    assert_int_equal(a->what, b->what);
    assert_string_equal(a->error, b->error);
    assert_int_equal(a->used, b->used);
    assert_int_equal(a->http.status, b->http.status);
    assert_int_equal(a->http.keep_alive, b->http.keep_alive);
    assert_int_equal(a->http.retry_after, b->http.retry_after);
    assert_int_equal(a->http.upgrade_websocket, b->http.upgrade_websocket);
    assert_int_equal(a->http.connection_upgrade, b->http.connection_upgrade);
    assert_int_equal(a->http.extension, b->http.extension);
    assert_string_equal(a->http.accept, b->http.accept);
    assert_int_equal(a->body.size, b->body.size);
    if (a->body.size) assert_memory_equal(a->body.data, b->body.data, a->body.size);
}

/* All three must give the same result; vectors of many KiB are cut near both ends and at
   samples. */
static outcome run_all_ways(const vector *v) {
    outcome whole = run_cut(v, v->size);
    for (size_t step = 1; step <= 7; step += 2) {
        outcome stepped = run_steps(v, step);
        assert_same(&stepped, &whole);
        rtmi_buf_free(&stepped.body);
    }
    for (size_t cut = 0; cut < v->size; cut += v->size < 2048 || cut % 509 < 16 ? 1 : 493) {
        outcome halves = run_cut(v, cut);
        assert_same(&halves, &whole);
        rtmi_buf_free(&halves.body);
    }
    return whole;
}

static void check_vector(const vector *v) {
    outcome out = run_all_ways(v);
    const char *body = v->body ? v->body : "";
    if (out.what != v->what)
        fail_msg("got %d, want %d (%s): %.300s", out.what, v->what, out.error, v->in);
    if (v->what == RTMI_HTTP_DONE) {
        if (out.http.status != v->status || v->size - out.used != v->rest ||
            out.http.keep_alive == v->closes || out.body.size != strlen(body) ||
            out.http.retry_after != (v->retry ? v->retry : -1))
            fail_msg("status %d, rest %zu, keep-alive %d, body %zu, retry %d: %.300s",
                     out.http.status, v->size - out.used, out.http.keep_alive, out.body.size,
                     out.http.retry_after, v->in);
        if (*body) assert_memory_equal(out.body.data, body, out.body.size);
    }
    rtmi_buf_free(&out.body);
}

static void check_vectors(const vector *table, size_t count) {
    for (size_t i = 0; i < count; i++) check_vector(&table[i]);
}

/* Tables of good responses: the result of each row is DONE. */
static void check_good(vector *table, size_t count) {
    for (size_t i = 0; i < count; i++) {
        table[i].what = RTMI_HTTP_DONE;
        if (!table[i].status) table[i].status = 200;
    }
    check_vectors(table, count);
}

/* A response of status 200 with these lines and an empty body is refused. */
static void assert_lines_refused(const char *lines, size_t size) {
    char text[1024];
    memcpy(text, OK_LINE, sizeof OK_LINE - 1);
    memcpy(text + sizeof OK_LINE - 1, lines, size);
    memcpy(text + sizeof OK_LINE - 1 + size, "\r\n", 2);
    vector v = { .in = text, .size = sizeof OK_LINE + 1 + size, .what = RTMI_HTTP_BAD };
    check_vector(&v);
}

/* Responses ----------------------------------------------------------------------------------- */

static void bodies_of_known_length_end_there(void **state) {
    static vector table[] = {
        { IN(OK_LINE "Content-Length: 5\r\n\r\nhello"), .body = "hello" },
        { IN(OK_LINE "Content-Length: 5\r\n\r\nhelloHTTP/1.1"), .body = "hello", .rest = 8 },
        { IN(OK_LINE "Content-Length: 0\r\n\r\n") },
        { IN(OK_LINE "Content-Length: 0\r\n\r\nx"), .rest = 1 },
        { IN(OK_LINE "content-LENGTH:5\r\n\r\nhello"), .body = "hello" },
        { IN(OK_LINE "Content-Length: \t 5 \t\r\n\r\nhello"), .body = "hello" },
        { IN(OK_LINE "Content-Length: 005\r\n\r\nhello"), .body = "hello" },
        { IN(OK_LINE "A: b\r\nContent-Length: 2\r\nC: d\r\n\r\n\r\n"), .body = "\r\n" },
        { IN("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!"), .status = 404,
          .body = "no!" },
        { IN("HTTP/1.1 503\r\nContent-Length: 1\r\n\r\nx"), .status = 503, .body = "x" },
        { IN("HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx"), .body = "x" },
        { IN("HTTP/1.1 200 Caf\xc3\xa9 200 \t :\r\nContent-Length: 1\r\n\r\nx"), .body = "x" },
        { IN("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"), .body = "x", .closes = true },
        { IN("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi"), .body = "hi" },
        { IN("HTTP/1.1 200 OK\nContent-Length: 2\r\n\nhi"), .body = "hi" },
        { IN(OK_LINE "Content-Length: 2\r\nConnection: close\r\n\r\nhi"), .body = "hi",
          .closes = true },
        { IN(OK_LINE "Content-Length: 2\r\nConnection: x, Close ,y\r\n\r\nhi"), .body = "hi",
          .closes = true },
        { IN(OK_LINE "Content-Length: 2\r\nConnection: keep-alive\r\n\r\nhi"), .body = "hi" },
        { IN(OK_LINE "Content-Length: 2\r\nConnection: closed\r\n\r\nhi"), .body = "hi" },
        { IN(OK_LINE "X-Content-Length: 9\r\nContent-Length: 1\r\nContent-Lengths: 9\r\n\r\nx"),
          .body = "x" },
        { IN(OK_LINE "Empty:\r\nOnly-Space: \t \r\nContent-Length: 1\r\n\r\nx"), .body = "x" },
        { IN(OK_LINE "!#$%&'*+-.^_`|~0aZ: v\r\nContent-Length: 1\r\n\r\nx"),
          .body = "x" },
        { IN(OK_LINE "Set-Cookie: a=b; c:d, \xff\x80\tx\r\nContent-Length: 1\r\n\r\nx"),
          .body = "x" },
    };
    (void)state;
    check_good(table, COUNT(table));
}

static void chunked_bodies_end_with_the_last_chunk(void **state) {
#define CHUNKED OK_LINE "Transfer-Encoding: chunked\r\n\r\n"
    static vector table[] = {
        { IN(CHUNKED "5\r\nhello\r\n0\r\n\r\n"), .body = "hello" },
        { IN(CHUNKED "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), .body = "hello world" },
        { IN(CHUNKED "0\r\n\r\n") },
        { IN(CHUNKED "0\r\n\r\nmore"), .rest = 4 },
        { IN(CHUNKED "000\r\n\r\n") },
        { IN(CHUNKED "00005\r\nhello\r\n0\r\n\r\n"), .body = "hello" },
        { IN(CHUNKED "A\r\n0123456789\r\n0\r\n\r\n"), .body = "0123456789" },
        { IN(CHUNKED "a\r\n0123456789\r\n0\r\n\r\n"), .body = "0123456789" },
        { IN(CHUNKED "10\r\n0123456789abcdef\r\n0\r\n\r\n"), .body = "0123456789abcdef" },
        { IN(CHUNKED "1f\r\n0123456789abcdef0123456789abcde\r\n0\r\n\r\n"),
          .body = "0123456789abcdef0123456789abcde" },
        { IN(CHUNKED "4\r\n\r\n\r\n\r\n0\r\n\r\n"), .body = "\r\n\r\n" },
        { IN(CHUNKED "5;name=value\r\nhello\r\n0;last\r\n\r\n"), .body = "hello" },
        { IN(CHUNKED "5;a=\"5;0\"\r\nhello\r\n0\r\n\r\n"), .body = "hello" },
        { IN(CHUNKED "5 \t;a\r\nhello\r\n0 ; b\r\n\r\n"), .body = "hello" },
        { IN(CHUNKED "5 \r\nhello\r\n0  \r\n\r\n"), .body = "hello" },
        { IN(CHUNKED "5\r\nhello\r\n0\r\nTrailer: x\r\nAnother: y\r\n\r\nrest"), .body = "hello",
          .rest = 4 },
        { IN(CHUNKED "1\r\nx\r\n0\r\nContent-Length: 99\r\nRetry-After: 9\r\n\r\n"), .body = "x" },
        { IN("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nhi\n0\n\n"), .body = "hi" },
        { IN(OK_LINE "TRANSFER-encoding:\tChunked \r\n\r\n1\r\nx\r\n0\r\n\r\n"), .body = "x" },
        { IN(OK_LINE "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"),
          .closes = true },
        { IN("HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
          .body = "x",
          .status = 500 },
    };
    (void)state;
    check_good(table, COUNT(table));
}

static void bad_chunks_are_refused(void **state) {
    static vector table[] = {
        { IN(CHUNKED "\r\nhello\r\n") },
        { IN(CHUNKED "g\r\nhello\r\n") },
        { IN(CHUNKED "-5\r\nhello\r\n") },
        { IN(CHUNKED "+5\r\nhello\r\n") },
        { IN(CHUNKED " 5\r\nhello\r\n") },
        { IN(CHUNKED "0x5\r\nhello\r\n") },
        { IN(CHUNKED "5h\r\nhello\r\n") },
        { IN(CHUNKED "5 5\r\nhello\r\n") },
        { IN(CHUNKED "5.\r\nhello\r\n") },
        { IN(CHUNKED "5,5\r\nhello\r\n") },
        { IN(CHUNKED ";a=b\r\nhello\r\n") },
        { IN(CHUNKED "5\0\r\nhello\r\n") },
        { IN(CHUNKED "5\rx\r\nhello\r\n") },
        { IN(CHUNKED "5;\r;\nhello\r\n") },
        { IN(CHUNKED "5\r\nhello0\r\n\r\n") },
        { IN(CHUNKED "5\r\nhello world\r\n0\r\n\r\n") },
        { IN(CHUNKED "5\r\nhello!\r\n0\r\n\r\n") },
        { IN(CHUNKED "5\r\nhello \r\n0\r\n\r\n") },
        { IN(CHUNKED "5\r\nhel\r\n0\r\n\r\n") },
        { IN(CHUNKED "5\r\nhello\r\r\n0\r\n\r\n") },
        { IN(CHUNKED "10000000000000000\r\nhello\r\n") },
        { IN(CHUNKED "ffffffffffffffff\r\nhello\r\n"), .ending = CUT },
        { IN(CHUNKED "FFFFFFFFFFFFFFFFFFFFF\r\nhello\r\n") },
        { IN(CHUNKED "100000000000000000000005\r\nhello\r\n0\r\n\r\n") },
        { IN(CHUNKED "5\r\nhello\r\n0\r\nA\0: b\r\n\r\n") },
        { IN(CHUNKED "5\r\nhello\r\n0\r\n"), .ending = CLEAN },
        { IN(CHUNKED "5\r\nhello\r\n"), .ending = CLEAN },
        { IN(CHUNKED "5\r\nhello"), .ending = CLEAN },
        { IN(CHUNKED "5\r\nhel"), .ending = CLEAN },
        { IN(CHUNKED "5"), .ending = CLEAN },
        { IN(CHUNKED), .ending = CLEAN },
        { IN(CHUNKED "5\r\nhello\r\n0\r\nA: b\r\n"), .ending = CUT },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) table[i].what = RTMI_HTTP_BAD;
    check_vectors(table, COUNT(table));
}

static void interim_responses_are_skipped(void **state) {
    static vector table[] = {
        { IN("HTTP/1.1 100 Continue\r\n\r\n" OK_LINE "Content-Length: 2\r\n\r\nhi"), .body = "hi" },
        { IN("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100\r\n\r\n"
             "HTTP/1.1 102 P\r\n\r\n" OK_LINE "Content-Length: 2\r\n\r\nhi"), .body = "hi" },
        { IN("HTTP/1.1 100 C\r\nContent-Length: 9\r\n\r\n" OK_LINE "Content-Length: 2\r\n\r\nhi"),
          .body = "hi" },
        { IN("HTTP/1.1 100 C\r\nTransfer-Encoding: chunked\r\n\r\n" OK_LINE
             "Content-Length: 2\r\n\r\nhi"), .body = "hi" },
        { IN("HTTP/1.1 100 C\r\nConnection: close\r\nRetry-After: 5\r\n\r\n" OK_LINE
             "Content-Length: 2\r\n\r\nhi"), .body = "hi" },
        { IN("HTTP/1.0 100 C\r\n\r\nHTTP/1.1 204 N\r\n\r\n"), .status = 204 },
    };
    (void)state;
    check_good(table, COUNT(table));
}

static void responses_without_a_body_end_with_their_head(void **state) {
    static vector table[] = {
        { IN("HTTP/1.1 204 No Content\r\n\r\nrest"), .status = 204, .rest = 4 },
        { IN("HTTP/1.1 304 Not Modified\r\n\r\nrest"), .status = 304, .rest = 4 },
        { IN("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"), .status = 304,
          .rest = 5 },
        { IN("HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), .status = 204,
          .rest = 5 },
        { IN("HTTP/1.1 200 Connection established\r\n\r\n\x16\x03\x01"), .kind = RTMI_HTTP_CONNECT,
          .rest = 3 },
        { IN("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n\x16\x03\x01"), .kind = RTMI_HTTP_CONNECT,
          .rest = 3, .closes = true },
        { IN("HTTP/1.1 299 OK\r\nTransfer-Encoding: chunked\r\n\r\n5"), .kind = RTMI_HTTP_CONNECT,
          .rest = 1, .status = 299 },
        { IN("HTTP/1.1 407 Auth\r\nContent-Length: 2\r\n\r\nno"), .kind = RTMI_HTTP_CONNECT,
          .rest = 2, .status = 407 },
        { IN("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Content-Length: 9\r\n\r\n\x81\x02hi"), .kind = RTMI_HTTP_UPGRADE, .status = 101,
          .rest = 4 },
        { IN("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 101 S\r\n\r\n\x81"), .kind = RTMI_HTTP_UPGRADE,
          .status = 101, .rest = 1 },
        { IN("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"), .kind = RTMI_HTTP_UPGRADE,
          .status = 403, .rest = 2 },
    };
    (void)state;
    check_good(table, COUNT(table));
}

static void bodies_may_end_with_a_clean_close_only(void **state) {
    static const vector table[] = {
        { IN(OK_LINE "\r\nhello"), .ending = CLEAN, .what = RTMI_HTTP_DONE, .status = 200,
          .body = "hello", .closes = true },
        { IN(OK_LINE "A: b\r\n\r\n"), .ending = CLEAN, .what = RTMI_HTTP_DONE, .status = 200,
          .closes = true },
        { IN("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello"), .ending = CLEAN,
          .what = RTMI_HTTP_DONE, .status = 200, .body = "hello", .closes = true },
        { IN(OK_LINE "Connection: keep-alive\r\n\r\nx"), .ending = CLEAN, .what = RTMI_HTTP_DONE,
          .status = 200, .body = "x", .closes = true },
        { IN(OK_LINE "\r\nhello"), .ending = CUT, .what = RTMI_HTTP_BAD },
        { IN(OK_LINE "\r\nhello"), .ending = OPEN, .what = RTMI_HTTP_MORE },
        { IN(OK_LINE "Content-Length: 6\r\n\r\nhello"), .ending = CLEAN, .what = RTMI_HTTP_BAD },
        { IN(OK_LINE "Content-Length: 6\r\n\r\nhello"), .ending = CUT, .what = RTMI_HTTP_BAD },
        { IN(OK_LINE "Content-Length: 6\r\n\r\n"), .ending = CLEAN, .what = RTMI_HTTP_BAD },
        { IN(OK_LINE "Content-Length: 5\r\n\r\nhello"), .ending = CUT, .what = RTMI_HTTP_DONE,
          .status = 200, .body = "hello" },
        { IN(OK_LINE "A: b\r\n"), .ending = CLEAN, .what = RTMI_HTTP_BAD },
        { IN(OK_LINE), .ending = CLEAN, .what = RTMI_HTTP_BAD },
        { IN("HTTP/1.1 200 OK"), .ending = CLEAN, .what = RTMI_HTTP_BAD },
        { IN("HTTP/1.1 100 C\r\n\r\n"), .ending = CLEAN, .what = RTMI_HTTP_BAD },
        { IN(""), .ending = CLEAN, .what = RTMI_HTTP_BAD },
        { IN("HTTP/1.1 200 OK"), .ending = OPEN, .what = RTMI_HTTP_MORE },
        { IN(""), .ending = OPEN, .what = RTMI_HTTP_MORE },
        { IN(OK_LINE "Content-Length: 5\r\n\r\nhell"), .ending = OPEN, .what = RTMI_HTTP_MORE },
        { IN("HTTP/1.1 100 C\r\n\r\n"), .ending = OPEN, .what = RTMI_HTTP_MORE },
    };
    (void)state;
    check_vectors(table, COUNT(table));
}

static void invalid_http_is_refused(void **state) {
    static vector table[] = {
        { IN("\x15\x03\x01\x00\x02\x02\x0a\n") }, { IN("SSH-2.0-OpenSSH_9.2\r\n") }, { IN("\r\n") },
        { IN("\r\n" OK_LINE "\r\n") }, { IN(" " OK_LINE "\r\n") }, { IN("HTTP/2 200 OK\r\n\r\n") },
        { IN("HTTP/2.0 200 OK\r\n\r\n") }, { IN("HTTP/0.9 200 OK\r\n\r\n") },
        { IN("HTTP/11 200 OK\r\n\r\n") }, { IN("HTTP/1. 200 OK\r\n\r\n") },
        { IN("HTTP/1.x 200 OK\r\n\r\n") }, { IN("HTTP/1.10 200 OK\r\n\r\n") },
        { IN("http/1.1 200 OK\r\n\r\n") }, { IN("HTTP/1.1200 OK\r\n\r\n") },
        { IN("HTTP/1.1\r\n\r\n") },
        { IN("HTTP/1.1 \r\n\r\n") }, { IN("HTTP/1.1 OK\r\n\r\n") },
        { IN("HTTP/1.1  200 OK\r\n\r\n") },
        { IN("HTTP/1.1 20 OK\r\n\r\n") }, { IN("HTTP/1.1 2000 OK\r\n\r\n") },
        { IN("HTTP/1.1 20x OK\r\n\r\n") }, { IN("HTTP/1.1 -20 OK\r\n\r\n") },
        { IN("HTTP/1.1 +20 OK\r\n\r\n") }, { IN("HTTP/1.1 099 OK\r\n\r\n") },
        { IN("HTTP/1.1 000 OK\r\n\r\n") }, { IN("HTTP/1.1 200OK\r\n\r\n") },
        { IN("HTTP/1.1 200 O\0K\r\n\r\n") }, { IN("HTTP/1.1 200 O\rK\r\n\r\n") },
        { IN("HTTP/1.1 2\0000 OK\r\n\r\n") }, { IN("GET / HTTP/1.1\r\n\r\n") },
        { IN("<html>\n") }, { IN("\n") }, { IN("HTTP/1.1 101 S\r\n\r\n") },
        { IN("HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n") },
        { IN("HTTP/1.1 101 S\r\n\r\n"), .kind = RTMI_HTTP_CONNECT },
        { IN("HTTP/1.1 100 C\r\n\r\njunk\r\n") },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) table[i].what = RTMI_HTTP_BAD;
    check_vectors(table, COUNT(table));
}

static void bad_header_lines_are_refused(void **state) {
#define L(text) { text, sizeof text - 1 }
    static const struct { const char *lines; size_t size; } table[] = {
        L("Content-Length: 5\r\nContent-Length: 6\r\n"), L("Content-Length: 5, 6\r\n"),
        L("Content-Length: 5\r\nContent-Length: 5\r\n"), L("Content-Length: 5, 5\r\n"),
        L("Content-Length: 5,5 , 5\r\n"),
        L("Content-Length: 0\r\nContent-Length: 5\r\n"),
        L("Content-Length: 5\r\nContent-Length: 0\r\n"),
        L("Content-Length: 0, 5\r\n"), L("Content-Length: 5 5\r\n"), L("Content-Length: -5\r\n"),
        L("Content-Length: +5\r\n"), L("Content-Length: 0x5\r\n"), L("Content-Length: 5.0\r\n"),
        L("Content-Length: 5a\r\n"), L("Content-Length: \r\n"), L("Content-Length:\r\n"),
        L("Content-Length: ,\r\n"), L("Content-Length: 5,\r\n"), L("Content-Length: ,5\r\n"),
        L("Content-Length: \"5\"\r\n"), L("Content-Length: five\r\n"), L("Content-Length: 1e3\r\n"),
        L("Content-Length: 18446744073709551616\r\n"),
        L("Content-Length: 18446744073709551621\r\n"),
        L("Content-Length: 99999999999999999999999999\r\n"), L("Content-Length: 5;x\r\n"),
        L("Content-Length: 5\0\r\n"), L("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        L("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        L("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), L("Transfer-Encoding: gzip\r\n"),
        L("Transfer-Encoding: gzip, chunked\r\n"), L("Transfer-Encoding: chunked, gzip\r\n"),
        L("Transfer-Encoding: chunked, chunked\r\n"), L("Transfer-Encoding: identity\r\n"),
        L("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        L("Transfer-Encoding:\r\n"),
        L("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
        L("Transfer-Encoding: xchunked\r\n"), L("Transfer-Encoding: chunked;q=1\r\n"),
        L("Transfer-Encoding: \"chunked\"\r\n"), L("Content-Length : 5\r\n"),
        L("Transfer-Encoding : chunked\r\n"), L("Content-Length\t: 5\r\n"), L("A : b\r\n"),
        L(" A: b\r\n"), L("\tA: b\r\n"), L("A: b\r\n c\r\n"), L("A: b\r\n\tc\r\n"),
        L("A: b\r\n \r\n"),
        L(": b\r\n"), L("A\r\n"), L("A b\r\n"), L("A\0: b\r\n"), L("A: b\0\r\n"), L("A: \0\r\n"),
        L("\0A: b\r\n"), L("A: b\rc\r\n"), L("A\r: b\r\n"), L("A: b\r\r\n"), L("\r\r\n"),
        L("A(: b\r\n"),
        L("A@: b\r\n"), L("A\xc3\xa9: b\r\n"), L("\"A\": b\r\n"), L("A\x01: b\r\n"),
        L("[A]: b\r\n"),
        L("Content-Length\0: 5\r\n"), L("A,B: c\r\n"), L("A/B: c\r\n"), L("A\x7f: c\r\n"),
        L("\0"), L(OK_LINE),
    };
    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) assert_lines_refused(table[i].lines, table[i].size);
}

static void lengths_beyond_all_memory_allocate_nothing(void **state) {
    static const vector table[] = {
        { IN(OK_LINE "Content-Length: 9223372036854775807\r\n\r\nx"), .what = RTMI_HTTP_MORE },
        { IN(OK_LINE "Content-Length: 4294967297\r\n\r\nx"), .what = RTMI_HTTP_MORE },
        { IN(CHUNKED "100000001\r\nx"), .what = RTMI_HTTP_MORE },
        { IN(CHUNKED "fffffffffffffff\r\nx"), .what = RTMI_HTTP_MORE },
    };
    (void)state;
    check_vectors(table, COUNT(table));
}

static void retry_after_is_read_in_seconds(void **state) {
#define RETRY(value) IN(OK_LINE "Retry-After:" value "\r\nContent-Length: 0\r\n\r\n")
    static vector table[] = {
        { RETRY(" 30"), .retry = 30 }, { RETRY("1"), .retry = 1 }, { RETRY(" 007 "), .retry = 7 },
        { RETRY(" 86400"), .retry = 86400 }, { RETRY(" 86401"), .retry = 86400 },
        { RETRY(" 4294967297"), .retry = 86400 }, { RETRY(" 9223372036854775807"), .retry = 86400 },
        { RETRY("") }, { RETRY(" -5") }, { RETRY(" +5") }, { RETRY(" 1.5") }, { RETRY(" 5s") },
        { RETRY(" 5 6") }, { RETRY(" Fri, 31 Dec 1999 23:59:59 GMT") },
        { IN("HTTP/1.1 429 Slow down\r\nretry-after: 12\r\nContent-Length: 2\r\n\r\n{}"),
          .retry = 12,
          .status = 429, .body = "{}" },
        { IN(OK_LINE "X-Retry-After: 9\r\nContent-Length: 0\r\n\r\n") },
    };
    (void)state;
    check_good(table, COUNT(table));
    vector zero = { RETRY(" 0") };
    outcome out = run_all_ways(&zero);
    assert_int_equal(out.http.retry_after, 0);
}

/* Limits -------------------------------------------------------------------------------------- */

typedef struct made {
    char data[200000];
    size_t size;
} made;

static void make(made *m, const char *text) {
    size_t length = strlen(text);
    memcpy(m->data + m->size, text, length);
    m->size += length;
}

static void make_many(made *m, char c, size_t count) {
    memset(m->data + m->size, c, count);
    m->size += count;
}

static void check_made(const made *m, rtmi_http_what what, const char *body, ending how) {
    vector v = { .in = m->data, .size = m->size, .what = what, .status = 200, .body = body,
                 .ending = how };
    check_vector(&v);
}

/* Fills up to `limit` bytes with header lines of `length` bytes without meaning. */
static void make_lines(made *m, size_t limit, size_t length) {
    while (m->size < limit) {
        size_t line = limit - m->size < 2 * length ? limit - m->size : length;
        make(m, "X-Y: ");
        make_many(m, 'z', line - 7);
        make(m, "\r\n");
    }
}

static void header_blocks_may_have_16_kib(void **state) {
    static made m;
    static const size_t length[] = { 20, 500, 511, 512, 513, 514, 5000, 16000 };
    (void)state;
    for (size_t i = 0; i < COUNT(length); i++) {
        for (size_t over = 0; over <= 1; over++) {
            m.size = 0;
            make(&m, OK_LINE "Content-Length: 1\r\n");
            make_lines(&m, 16384 - 2 + over, length[i]);
            make(&m, "\r\nx");
            check_made(&m, over ? RTMI_HTTP_BAD : RTMI_HTTP_DONE, "x", OPEN);
        }
    }
}

static void interim_responses_share_the_limit(void **state) {
    static made m;
    (void)state;
    for (int many = 0; many <= 1; many++) {
        m.size = 0;
        for (int i = 0; i < (many ? 1000 : 500); i++) make(&m, "HTTP/1.1 100 Continue\r\n\r\n");
        make(&m, OK_LINE "Content-Length: 1\r\n\r\nx");
        check_made(&m, many ? RTMI_HTTP_BAD : RTMI_HTTP_DONE, "x", OPEN);
    }
}

static void endless_lines_are_refused_without_their_end(void **state) {
    static const char *const before[] = { "", "HTTP/1.1 200 ", OK_LINE, OK_LINE "X: ", CHUNKED "5;",
                                          CHUNKED "1\r\nx", CHUNKED "0\r\n", CHUNKED "0\r\nX: " };
    static made m;
    (void)state;
    for (size_t i = 0; i < COUNT(before); i++) {
        m.size = 0;
        make(&m, before[i]);
        make_many(&m, 'a', 16400);
        check_made(&m, RTMI_HTTP_BAD, NULL, OPEN);
    }
    m.size = 0;
    make(&m, CHUNKED "0\r\n");
    for (int i = 0; i < 2000; i++) make(&m, "Trailer: x\r\n");
    check_made(&m, RTMI_HTTP_BAD, NULL, OPEN);
}

/* Lines longer than the part that is kept: allowed in headers without a meaning here, fatal in
   those that frame the body. */
static void long_lines_never_frame_a_body(void **state) {
    static const struct { const char *before, *after; } refused[] = {
        { OK_LINE "Content-Length: ", "5\r\n\r\nhello" },
        { OK_LINE "content-length:", "5\r\n\r\nhello" },
        { OK_LINE "Transfer-Encoding:", "chunked\r\n\r\n0\r\n\r\n" },
        { OK_LINE "Connection: ", "close\r\nContent-Length: 0\r\n\r\n" },
        { CHUNKED, "5\r\nhello\r\n0\r\n\r\n" },
    };
    static const size_t many[] = { 480, 493, 494, 495, 496, 497, 509, 510, 511, 512, 513, 600,
        5000 };
    static made m;
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        for (size_t k = 0; k < COUNT(many); k++) {
            bool space = strchr(refused[i].before, ':') && i != 4;
            m.size = 0;
            make(&m, refused[i].before);
            make_many(&m, space ? ' ' : '0', many[k]);
            make(&m, refused[i].after);
            vector v = { .in = m.data, .size = m.size };
            outcome out = run_all_ways(&v);
            if (many[k] > 512) assert_int_equal(out.what, RTMI_HTTP_BAD);
            bool hello = i != 2 && i != 3; /* what the sender meant: all of it, or nothing */
            if (out.what == RTMI_HTTP_DONE) assert_int_equal(out.body.size, hello ? 5 : 0);
            if (out.what == RTMI_HTTP_DONE && i == 3) assert_false(out.http.keep_alive);
            rtmi_buf_free(&out.body);
        }
    }
}

static void long_lines_without_meaning_are_skipped(void **state) {
    static const char *const before[] = { "HTTP/1.1 200 ", OK_LINE "X: ", OK_LINE "Set-Cookie: a:",
                                          OK_LINE "Server: Content-Length: 3" };
    static made m;
    (void)state;
    for (size_t i = 0; i < COUNT(before); i++) {
        for (size_t many = 480; many < 520; many++) {
            m.size = 0;
            make(&m, before[i]);
            make_many(&m, 'a', many);
            make(&m, "\r\nContent-Length: 2\r\n\r\nhi");
            check_made(&m, RTMI_HTTP_DONE, "hi", OPEN);
        }
    }
    m.size = 0;
    make(&m, CHUNKED "2;x=");
    make_many(&m, 'a', 3000);
    make(&m, "\r\nhi\r\n0\r\nTrailer: ");
    make_many(&m, 'a', 3000);
    make(&m, "\r\n\r\n");
    check_made(&m, RTMI_HTTP_DONE, "hi", OPEN);
    m.size = 0;
    make(&m, OK_LINE);
    make_many(&m, 'n', 600);
    make(&m, ": x\r\nContent-Length: 2\r\n\r\nhi"); /* a name of this length is refused */
    check_made(&m, RTMI_HTTP_BAD, NULL, OPEN);
}

static void large_bodies_are_transferred(void **state) {
    static made m;
    static char body[70001];
    char line[64];
    (void)state;
    for (size_t i = 0; i + 1 < sizeof body; i++) body[i] = (char)('a' + i % 23);
    m.size = 0;
    make(&m, OK_LINE "Content-Length: 70000\r\n\r\n");
    make(&m, body);
    check_made(&m, RTMI_HTTP_DONE, body, OPEN);
    m.size = 0;
    make(&m, CHUNKED);
    for (size_t at = 0, size = 1; at < 70000; at += size, size = size * 2 + 1) {
        if (size > 70000 - at) size = 70000 - at;
        snprintf(line, sizeof line, "%zX\r\n%.*s", size, 0, "");
        make(&m, line);
        memcpy(m.data + m.size, body + at, size);
        m.size += size;
        make(&m, "\r\n");
    }
    make(&m, "0\r\n\r\n");
    check_made(&m, RTMI_HTTP_DONE, body, OPEN);
    m.size = 0; /* more bytes of chunk lines than a header may have: each line has its own limit */
    make(&m, CHUNKED);
    for (size_t i = 0; i < 4000; i++) {
        make(&m, "1;x\r\na\r\n");
        body[i] = 'a';
    }
    body[4000] = '\0';
    make(&m, "0\r\n\r\n");
    check_made(&m, RTMI_HTTP_DONE, body, OPEN);
}

/* After the end of a response, the parser must consume nothing. */
static void a_complete_response_consumes_nothing_more(void **state) {
    size_t used = 9;
    outcome out;
    (void)state;
    begin(&out, RTMI_HTTP_ORDINARY);
    feed(&out, "HTTP/1.1 204 N\r\n\r\n", 18);
    assert_int_equal(rtmi_http_parse(&out.http, at_guard("HTTP", 4), 4, &used), RTMI_HTTP_DONE);
    assert_int_equal(used, 0);
}

/* Requests and URLs --------------------------------------------------------------------------- */

typedef struct url_row {
    const char *url, *host, *port;
    bool tls, usual;
    const char *path;
} url_row;

static void check_url(const url_row *row) {
    rtmi_peer peer;
    const char *path;
    size_t length, size = strlen(row->url) + 1;
    memset(&peer, 'x', sizeof peer);
    bool good = rtmi_parse_url(at_guard(row->url, size), &peer, &path, &length);
    if (good != (row->host != NULL)) fail_msg("%s: %d", row->url, good);
    if (!good) return;
    assert_string_equal(peer.host, row->host);
    assert_string_equal(peer.port, row->port);
    assert_int_equal(peer.tls, row->tls);
    assert_int_equal(peer.default_port, row->usual);
    assert_int_equal(length, strlen(row->path));
    assert_memory_equal(path, row->path, length);
}

static void urls_are_parsed(void **state) {
    static const url_row good[] = {
        { "https://slack.com/api/", "slack.com", "443", true, true, "/api/" },
        { "http://slack.com", "slack.com", "80", false, true, "" },
        { "ws://h/", "h", "80", false, true, "/" },
        { "wss://a.b/link/?ticket=1&x=y%20z", "a.b", "443", true, true, "/link/?ticket=1&x=y%20z" },
        { "HTTPS://Slack.Com/", "Slack.Com", "443", true, true, "/" },
        { "wSs://h?q", "h", "443", true, true, "?q" },
        { "https://h:443/", "h", "443", true, true, "/" },
        { "https://h:80/", "h", "80", true, false, "/" },
        { "http://h:443/", "h", "443", false, false, "/" },
        { "http://h:8080?a:b@c", "h", "8080", false, false, "?a:b@c" },
        { "http://h:/x", "h", "80", false, true, "/x" },
        { "http://h:0080/x", "h", "80", false, true, "/x" },
        { "http://h:65535", "h", "65535", false, false, "" },
        { "http://h:1", "h", "1", false, false, "" },
        { "http://127.0.0.1:9/", "127.0.0.1", "9", false, false, "/" },
        { "http://[::1]/", "::1", "80", false, true, "/" },
        { "https://[::1]:8443/x", "::1", "8443", true, false, "/x" },
        { "http://[2001:db8::1:2]", "2001:db8::1:2", "80", false, true, "" },
        { "http://[::ffff:1.2.3.4]:80/", "::ffff:1.2.3.4", "80", false, true, "/" },
        { "http://h/a@b:c", "h", "80", false, true, "/a@b:c" },
        { "http://h/a#b", "h", "80", false, true, "/a" },
        { "http://h#b/c", "h", "80", false, true, "" },
        { "http://h?a/b#c", "h", "80", false, true, "?a/b" },
        { "http://my_host-1.x/", "my_host-1.x", "80", false, true, "/" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) check_url(&good[i]);
}

static void bad_urls_are_refused(void **state) {
    static const char *const bad[] = {
        "", "h", "/", "slack.com/api/", "//slack.com/", "ftp://h/", "http:/h", "http:h", "http//h",
        "http", "http:", "http://", "https://", "http:///x", "http://?x", "http://#x",
        "http://:80/",
        "https:/slack.com/", "httpss://h/", "xhttp://h/", "file:///etc/passwd", "javascript:1",
        "http://user@h/", "http://user:pass@h/", "http://@h/", "http://:@h/", "http://user:@h:80/",
        "http://h:80@evil/", "http://a@b@c/", "http://user:80@[::1]/", "http://h\\@evil/",
        "http://h:0/", "http://h:00000/", "http://h:65536/", "http://h:65537/", "http://h:99999/",
        "http://h:4294967376/", "http://h:18446744073709551696/", "http://h:-1/", "http://h:+80/",
        "http://h:80x/", "http://h:x/", "http://h:8 0/", "http://h:80:80/", "http://h::80/",
        "http://::1/",
        "http://[::1/", "http://[]/", "http://[]:80/", "http://[::1]x/", "http://[::1]80/",
        "http://[::1]:x/", "http://[::1]:0/", "http://[::1]]/", "http://[[::1]]/", "http://::1]/",
        "http://h]/", "http://h[/", "http://a b/", "http://h /", " http://h/", "http://h/ ",
        "http://h/a b", "http://h/\r\nX: y", "http://h\r\n/", "http://h/\n", "http://h/\t",
        "http://h/\x01", "http://h/\x7f", "http://h/\xc3\xa9", "http://\xc3\xa9/", "http://h,i/",
        "http://h;i/", "http://h'/", "http://h\"/", "http://<h>/", "http://h!/", "http://h*/",
        "http://h{}/", "http://h|/", "http://$h/", "http://h&i/", "http://h=i/", "http://(h)/",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        url_row row = { bad[i], NULL, NULL, false, false, NULL };
        check_url(&row);
    }
}

static void hosts_have_at_most_255_bytes(void **state) {
    char url[400], host[300];
    (void)state;
    for (int length = 250; length < 260; length++) {
        memset(host, 'h', sizeof host);
        host[length] = '\0';
        url_row row = { url, length < 256 ? host : NULL, "81", false, false, "/" };
        snprintf(url, sizeof url, "http://%s:81/", host);
        check_url(&row);
    }
}

/* What rtmi_write_request makes of a URL and the user's header lines. */
static void assert_request(const char *method, const char *url, const char *lines,
                           const char *expected) {
    rtmi_buf out = { 0 };
    rtmi_peer peer;
    const char *path;
    size_t length;
    assert_true(rtmi_parse_url(url, &peer, &path, &length));
    rtmi_write_request(&out, method, path, length, &peer, lines);
    rtmi_buf_add(&out, "", 1);
    assert_false(out.failed);
    assert_string_equal(out.data, expected);
    rtmi_buf_free(&out);
}

static void requests_are_written_in_full(void **state) {
#define AGENT "User-Agent: rtm.h/" RTM_VERSION "\r\n"
    (void)state;
    assert_request("GET", "http://h", NULL, "GET / HTTP/1.1\r\nHost: h\r\n" AGENT);
    assert_request("POST", "https://slack.com/api/x", NULL,
                   "POST /api/x HTTP/1.1\r\nHost: slack.com\r\n" AGENT);
    assert_request("GET", "wss://h:444/a?b=c#d", NULL,
                   "GET /a?b=c HTTP/1.1\r\nHost: h:444\r\n" AGENT);
    assert_request("GET", "ws://h?b=c", NULL, "GET /?b=c HTTP/1.1\r\nHost: h\r\n" AGENT);
    assert_request("GET", "http://[::1]:8080/", NULL,
                   "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n" AGENT);
    assert_request("GET", "https://[::1]/", NULL, "GET / HTTP/1.1\r\nHost: [::1]\r\n" AGENT);
    assert_request("GET", "http://h/", "A: b\r\nC: d\r\n",
                   "GET / HTTP/1.1\r\nHost: h\r\n" AGENT "A: b\r\nC: d\r\n");
    assert_request("GET", "http://h/", "A: Host\r\nX-Host: y\r\nHos: z\r\n",
                   "GET / HTTP/1.1\r\nHost: h\r\n" AGENT "A: Host\r\nX-Host: y\r\nHos: z\r\n");
    assert_request("GET", "http://h/", "User-Agent: mine\r\n",
                   "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: mine\r\n");
    assert_request("GET", "http://h/", "A: b\r\nhOST:other\r\n",
                   "GET / HTTP/1.1\r\n" AGENT "A: b\r\nhOST:other\r\n");
    assert_request("GET", "http://h/", "user-AGENT: a\r\nHost: b\r\n",
                   "GET / HTTP/1.1\r\nuser-AGENT: a\r\nHost: b\r\n");
}

static void a_header_of_the_user_replaces_that_of_rtm_h(void **state) {
    static const struct { const char *lines; bool written; } row[] = {
        { NULL, true },          { "", true },           { "B: Name: x\r\n", true },
        { "Name: x\r\n", false }, { "nAME:\r\n", false }, { "B: c\r\nNAME: x\r\n", false },
        { "Names: x\r\n", true }, { "Nam: x\r\n", true }, { "B: c\r\nX-Name: x\r\n", true },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        rtmi_buf out = { 0 };
        rtmi_write_header(&out, row[i].lines, "Name", "value");
        assert_int_equal(out.size, row[i].written ? 13 : 0);
        if (out.size) assert_memory_equal(out.data, "Name: value\r\n", 13);
        rtmi_buf_free(&out);
    }
}

/* Every byte as the WHATWG URL standard says: alphanumerics and *-._ are kept, space is +. */
static void forms_are_percent_encoded(void **state) {
    (void)state;
    for (int c = 1; c < 256; c++) {
        char text[2] = { (char)c, '\0' }, expected[4];
        bool stays = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     c == '*' || c == '-' || c == '.' || c == '_';
        snprintf(expected, sizeof expected, stays ? "%c" : c == ' ' ? "+" : "%%%02X", c);
        rtmi_buf out = { 0 };
        rtmi_write_form(&out, at_guard(text, 2));
        assert_int_equal(out.size, strlen(expected));
        assert_memory_equal(out.data, expected, out.size);
        rtmi_buf_free(&out);
    }
    rtmi_buf out = { 0 };
    rtmi_write_form(&out, "");
    assert_int_equal(out.size, 0);
    rtmi_write_form(&out, "a b&c=\xc3\xa9");
    assert_int_equal(out.size, 16);
    assert_memory_equal(out.data, "a+b%26c%3D%C3%A9", 16);
    rtmi_buf_free(&out);
}

static void lists_are_searched_by_whole_tokens(void **state) {
    static const struct { const char *list; bool has; } row[] = {
        { "upgrade", true }, { "Upgrade", true }, { "keep-alive, Upgrade", true },
        { "UPGRADE ,x", true }, { " \tupgrade\t ", true }, { ",,upgrade,,", true },
        { "a,upgrade", true },
        { "a ,\tupgrade , b", true }, { "", false }, { " ", false }, { ",", false },
        { " , ,", false },
        { "upgrades", false }, { "upgrad", false }, { "xupgrade", false }, { "up grade", false },
        { "a upgrade", false }, { "upgrade x", false }, { "upgrade;q=1", false },
        { "\"upgrade\"", false },
        { "up,grade", false }, { "upgrade-insecure, x", false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        const char *list = at_guard(row[i].list, strlen(row[i].list) + 1);
        if (rtmi_list_has(list, "upgrade") != row[i].has) fail_msg("'%s'", row[i].list);
    }
}

static bool is_direct(const char *proxy, const char *no_proxy, const char *host) {
    rtmi_network network;
    rtmi_peer peer = { .port = "443" };
    memset(&network, 0, sizeof network);
    snprintf(peer.host, sizeof peer.host, "%s", host);
    snprintf(network.proxy.host, sizeof network.proxy.host, "%s", proxy);
    char *list = no_proxy ? strdup(no_proxy) : NULL;
    network.no_proxy = list;
    bool direct = rtmi_is_direct(&network, &peer);
    free(list);
    return direct;
}

static void no_proxy_names_hosts_and_domains(void **state) {
    static const struct { const char *list, *host; bool direct; } row[] = {
        { NULL, "slack.com", false }, { "", "slack.com", false }, { " , ,", "slack.com", false },
        { "slack.com", "slack.com", true }, { "SLACK.com", "slack.COM", true },
        { "slack.com", "wss.slack.com", true }, { ".slack.com", "wss.slack.com", true },
        { ".slack.com", "slack.com", true }, { "slack.com", "notslack.com", false },
        { ".slack.com", "notslack.com", false }, { "slack.com", "slack.com.evil", false },
        { "slack.com", "slack.co", false }, { "wss.slack.com", "slack.com", false },
        { "a,slack.com,b", "slack.com", true }, { "a, slack.com ,b", "slack.com", true },
        { "a slack.com b", "slack.com", true }, { ",,slack.com", "slack.com", true },
        { "a,b", "slack.com", false }, { "*", "slack.com", true }, { "a,*", "slack.com", true },
        { "* ", "slack.com", true }, { ".", "slack.com", false }, { "m", "slack.com", false },
        { "com", "slack.com", true }, { "127.0.0.1", "127.0.0.1", true },
        { "127.0.0.1", "127.0.0.11", false }, { "::1", "::1", true }, { "[::1]", "::1", true },
        { "localhost", "localhost", true }, { "localhost", "h", false }, { "[]", "h", false },
        { "*.slack.com", "wss.slack.com", true }, { "*.slack.com", "slack.com", true },
        { "*.slack.com", "notslack.com", false }, { "*slack.com", "slack.com", false },
        { "*.", "slack.com", false }, { "a.*", "a.b", false },
        { "slack.com.", "slack.com", true }, { ".slack.com.", "wss.slack.com", true },
        { "slack.com..", "slack.com", false },
        { "slack.com:443", "slack.com", true }, { "slack.com:80", "slack.com", false },
        { "slack.com:80,slack.com", "slack.com", true }, { "a:443", "slack.com", false },
        { "*.slack.com:443", "wss.slack.com", true }, { "slack.com.:443", "slack.com", true },
        { "slack.com:x", "slack.com", false }, { "127.0.0.1:443", "127.0.0.1", true },
        { "127.0.0.1:44", "127.0.0.1", false }, { "[::1]:443", "::1", true },
        { "[::1]:80", "::1", false }, { "2001:db8::443", "2001:db8::443", true },
        { "2001:db8::443", "2001:db8::", false }, { ":443", "slack.com", false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++)
        if (is_direct("proxy", row[i].list, row[i].host) != row[i].direct)
            fail_msg("%s in %s", row[i].host, row[i].list ? row[i].list : "(none)");
    assert_true(is_direct("", NULL, "slack.com"));
    assert_true(is_direct("", "a", "slack.com"));
}

static void nothing_is_leaked(void **state) {
    (void)state;
    assert_int_equal(test_blocks, 0);
}

/* Masking of server text ---------------------------------------------------------------------- */

#define A24 "abcdefghijklmnopqrstuvwx"

/* Words, short numbers and printable ASCII stay; any other run of letters and digits, and any other
   byte, becomes one "?". */
static void server_text_is_tamed_by_one_rule(void **state) {
    static const struct { const char *text, *tamed; } rows[] = {
        { "", "" }, { " ", " " }, { "?", "?" }, { "_", "_" }, { "a", "a" }, { "A", "A" },
        { "7", "7" }, { "z0Z", "z0Z" },
        /* letters: lower case, upper case or capitalized, at most 24 */
        { A24, A24 }, { A24 "y", "?" }, { "." A24 "y.", ".?." },
        { "ABCDEFGHIJKLMNOPQRSTUVWX", "ABCDEFGHIJKLMNOPQRSTUVWX" },
        { "ABCDEFGHIJKLMNOPQRSTUVWXY", "?" },
        { "Abcdefghijklmnopqrstuvwx", "Abcdefghijklmnopqrstuvwx" },
        { "Abcdefghijklmnopqrstuvwxy", "?" },
        { "aB", "?" }, { "AB", "AB" }, { "Ab", "Ab" }, { "ab", "ab" }, { "ABc", "?" },
        { "AbC", "?" }, { "abC", "?" }, { "camelCase", "?" }, { "PascalCase", "?" },
        { "zZ", "?" }, { "ZZ", "ZZ" }, { "Zz", "Zz" }, { "HTTP is A", "HTTP is A" },
        /* digits: at most 6 */
        { "012345", "012345" }, { "0123456", "?" }, { "123456-1234567-1", "123456-?-1" },
        { "9999999", "?" },
        /* mixed: at most 3 */
        { "a1", "a1" }, { "1aB", "1aB" }, { "ab1", "ab1" }, { "abc1", "?" }, { "1abc", "?" },
        { "12a4", "?" }, { "aB3d", "?" }, { "123456a", "?" }, { A24 "1", "?" },
        /* what separates two runs: all bytes that are neither a letter nor a digit */
        { "/:@[`{ ~!", "/:@[`{ ~!" }, { "a1b/2c3", "a1b/2c3" }, { "abcd_1234", "abcd_1234" },
        { "abcd\xc3\xa9" "1234", "abcd??1234" }, { "ab\x01" "12", "ab?12" },
        /* other bytes */
        { "\x1f \x7e\x7f\x80", "? ~??" }, { "\x1b[31m\n\x7f ok", "?[31m?? ok" },
        { "\t\r\n", "???" }, { "\xc3\xa9t\xc3\xa9", "??t??" }, { "a\xe2\x80\xae" "b", "a???b" },
        { "\xff\x80\xc0", "???" }, { "\xc2\x9b", "??" },
        /* messages of Slack, and secrets in them */
        { "channel_not_found", "channel_not_found" },
        { "Message text is missing.", "Message text is missing." },
        { "(Going away: it's time!)", "(Going away: it's time!)" },
        { "xoxb-1-AAAA", "xoxb-1-AAAA" }, { "a xoxb-1234567890-SecretSecret, b", "a xoxb-?-?, b" },
        { "xapp-1-A012BCD-1234567-0a1b2c3d", "xapp-1-?-?-?" },
        { "d=xoxd-CookieCookie%2BAb1", "d=xoxd-?%?" }, { "YWxhZGRpbjpvcGVu", "?" },
        { "Basic QWxhZGRpbg==", "Basic ?==" },
        { "wss://a.test/link/?ticket=0123abcd-4567", "wss://a.test/link/?ticket=?-4567" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *text = at_guard(rows[i].text, strlen(rows[i].text) + 1);
        rtmi_tame(text);
        assert_string_equal(text, rows[i].tamed);
        rtmi_tame(text);
        assert_string_equal(text, rows[i].tamed); /* taming twice changes nothing */
    }
}

/* Each byte by itself, and between two words. */
static void every_byte_of_server_text_is_kept_or_one_question_mark(void **state) {
    (void)state;
    for (int c = 1; c < 256; c++) {
        bool kept = c >= ' ' && c <= '~';
        const char alone[] = { (char)c, '\0' }, within[] = { 'a', (char)c, 'b', '\0' };
        char *text = at_guard(alone, sizeof alone);
        rtmi_tame(text);
        assert_string_equal(text, kept ? alone : "?");
        text = at_guard(within, sizeof within);
        rtmi_tame(text);
        bool camel = c >= 'A' && c <= 'Z'; /* aBb */
        assert_string_equal(text, camel ? "?" : kept ? within : "a?b");
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_of_known_length_end_there),
        cmocka_unit_test(chunked_bodies_end_with_the_last_chunk),
        cmocka_unit_test(bad_chunks_are_refused),
        cmocka_unit_test(interim_responses_are_skipped),
        cmocka_unit_test(responses_without_a_body_end_with_their_head),
        cmocka_unit_test(bodies_may_end_with_a_clean_close_only),
        cmocka_unit_test(invalid_http_is_refused),
        cmocka_unit_test(bad_header_lines_are_refused),
        cmocka_unit_test(lengths_beyond_all_memory_allocate_nothing),
        cmocka_unit_test(retry_after_is_read_in_seconds),
        cmocka_unit_test(header_blocks_may_have_16_kib),
        cmocka_unit_test(interim_responses_share_the_limit),
        cmocka_unit_test(endless_lines_are_refused_without_their_end),
        cmocka_unit_test(long_lines_never_frame_a_body),
        cmocka_unit_test(long_lines_without_meaning_are_skipped),
        cmocka_unit_test(large_bodies_are_transferred),
        cmocka_unit_test(a_complete_response_consumes_nothing_more),
        cmocka_unit_test(urls_are_parsed),
        cmocka_unit_test(bad_urls_are_refused),
        cmocka_unit_test(hosts_have_at_most_255_bytes),
        cmocka_unit_test(requests_are_written_in_full),
        cmocka_unit_test(a_header_of_the_user_replaces_that_of_rtm_h),
        cmocka_unit_test(forms_are_percent_encoded),
        cmocka_unit_test(lists_are_searched_by_whole_tokens),
        cmocka_unit_test(no_proxy_names_hosts_and_domains),
        cmocka_unit_test(nothing_is_leaked),
        cmocka_unit_test(server_text_is_tamed_by_one_rule),
        cmocka_unit_test(every_byte_of_server_text_is_kept_or_one_question_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
