/* A scripted Slack: a TCP server that sends the exact bytes of a test, plain http and ws on
   loopback, in the same thread as the client. It never blocks: functions that wait for something
   call rtm_poll meanwhile, and give up after a bounded number of rounds.

   A test program includes this instead of support.h, which is included from here after rtm.h's
   system calls were replaced: poll() and getaddrinfo(), which could block, so that time passes only
   on the fake clock and a blocking rtm_call can be answered; the others, so that a test can count
   bytes and act at any point. */
#ifndef SERVER_H
#define SERVER_H

#define _GNU_SOURCE /* strcasestr, as in support.h */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>

static int server_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
static inline int server_getaddrinfo(const char *host, const char *port,
                                     const struct addrinfo *hints, struct addrinfo **list);
static inline void server_freeaddrinfo(struct addrinfo *list);
static int client_socket(int family, int type, int protocol);
static int client_connect(int fd, const struct sockaddr *address, socklen_t size);
static ssize_t client_recv(int fd, void *data, size_t size, int flags);
static ssize_t client_send(int fd, const void *data, size_t size, int flags);

#define poll(fds, count, timeout_ms) server_poll(fds, count, timeout_ms)
#define socket(family, type, protocol) client_socket(family, type, protocol)
#define connect(fd, address, size) client_connect(fd, address, size)
#define recv(fd, data, size, flags) client_recv(fd, data, size, flags)
#define send(fd, data, size, flags) client_send(fd, data, size, flags)
#ifndef RTM_GETADDRINFO /* a test of lookups has its own */
#define RTM_GETADDRINFO(host, port, hints, list) server_getaddrinfo(host, port, hints, list)
#define RTM_FREEADDRINFO(list) server_freeaddrinfo(list)
#endif
#include "support.h"
#undef poll
#undef socket
#undef connect
#undef recv
#undef send
#include "sockets.h"
#include "states.h"

enum { SERVER_ROUNDS = 2000 }; /* more than any test needs */

/* The client's system calls. `client_before` is called before each of them with its first letter,
   or with 'o' for socket() and 'n' for a lookup. */
static void (*client_before)(char call);
static int client_fd, client_type; /* the socket that was made last, and its type as asked for */
static long long client_taken;     /* bytes that recv() gave since the last reset */

static void client_calls(char call) {
    if (client_before) client_before(call);
}

static int client_socket(int family, int type, int protocol) {
    client_calls('o');
    client_type = type;
    return client_fd = socket(family, type, protocol);
}

static int client_connect(int fd, const struct sockaddr *address, socklen_t size) {
    client_calls('c');
    return connect(fd, address, size);
}

static ssize_t client_recv(int fd, void *data, size_t size, int flags) {
    client_calls('r');
    ssize_t n = recv(fd, data, size, flags);
    if (n > 0) client_taken += n;
    return n;
}

static ssize_t client_send(int fd, const void *data, size_t size, int flags) {
    client_calls('s');
    return send(fd, data, size, flags);
}

/* Name resolution: counts; takes server_resolve_ms, fails with server_resolve_error, returns
   server_addresses if set. */
static int server_resolves, server_resolve_error, server_resolve_ms;
static struct addrinfo *server_addresses;

static inline int server_getaddrinfo(const char *host, const char *port,
                                     const struct addrinfo *hints, struct addrinfo **list) {
    client_calls('n');
    server_resolves++;
    test_now_ms += server_resolve_ms;
    *list = server_addresses;
    if (server_resolve_error || server_addresses) return server_resolve_error;
    return getaddrinfo(host, port, hints, list);
}

static inline void server_freeaddrinfo(struct addrinfo *list) {
    if (list != server_addresses) freeaddrinfo(list);
}

/* The sum of the timeouts that rtm.h passed to poll() since the last reset: it never really waits.
   Instead of a wait, `server_idle` is called; if it returns a negative number, the wait ends with
   EINTR. */
static long long server_waited_ms;
static int server_polls;
static int (*server_idle)(int timeout_ms);
static bool server_waits; /* it really waits: for tests of wake-ups */

static int server_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    client_calls('p');
    int ready = poll(fds, count, server_waits ? timeout_ms : 0);
    assert_true(server_polls++ < 50 * SERVER_ROUNDS); /* else rtm.h is in an endless loop */
    if (ready || !timeout_ms) return ready;
    server_waited_ms += timeout_ms;
    if (!server_idle) return 0;
    if (server_idle(timeout_ms) < 0) {
        errno = EINTR;
        return -1;
    }
    return poll(fds, count, 0);
}

/* Given to all clients here, and never to appear in a log line or an error message. */
#define TOKEN "xoxb-1234567890-SecretSecretSecret"
#define TOKEN_PART "xoxb-1234567890-Secret" /* a truncated token is secret, too */
#define COOKIE "d=xoxd-CookieCookieCookie"
#define APP_TOKEN "xapp-1-A1-1234567890-SecretSecretSecret" /* of clients in Socket Mode */
#define APP_TOKEN_PART "xapp-1-A1-1234567890-Secret"

/* The client under test: only one, so that helpers need no parameter for it. */
static rtm_client *bot;

/* Its session's socket, -1 until it is connected. */
static inline int session_socket(void) {
    const rtmi_conn *conn = &bot->session[0]->exchange.conn;
    return conn->phase > RTMI_CONN_TCP ? conn->socket[0].fd : -1;
}

/* Whether poll() would report rtm_fd as readable. */
static inline bool has_something_to_do(void) {
    struct pollfd pollfd = { rtm_fd(bot), POLLIN, 0 };
    return poll(&pollfd, 1, 0) == 1;
}

/* Secrets: every log line and error text of every test ---------------------------------------- */

static char *shown;
static size_t shown_size;
static int shown_lines;

static inline void note_shown(const char *text) {
    size_t length = strlen(text) + 1;
    if (shown_size >= length && !strncmp(shown + shown_size - length, text, length - 1) &&
        (shown_size == length || shown[shown_size - length - 1] == '\n')) return; /* repeated */
    shown = (realloc)(shown, shown_size + length + 1);
    assert_non_null(shown);
    memcpy(shown + shown_size, text, length - 1);
    shown[shown_size + length - 1] = '\n';
    shown[shown_size + length] = '\0';
    shown_size += length;
    shown_lines++;
}

static bool transitions_seen[sizeof state_transitions / sizeof *state_transitions];

static inline void log_line(const char *line, void *user_data) {
    (void)user_data;
    note_shown(line);
    assert_null(strpbrk(line, "\r\n"));
    if (!strstr(line, " -> ")) return;
    size_t i = 0, length = strcspn(line, "("); /* "A -> B", or "A -> B (new session)" */
    if (line[length]) assert_true(!strcmp(line + length, "(new session)") ||
                                  !strcmp(line + length, "(old session)"));
    if (line[length]) length--;
    while (state_transitions[i] && (strlen(state_transitions[i]) != length ||
                                    strncmp(state_transitions[i], line, length) != 0)) i++;
    if (!state_transitions[i]) fail_msg("%s is not in states.h", line);
    transitions_seen[i] = true;
}

/* The recorder: a "*" handler that keeps every event ------------------------------------------- */

typedef struct record {
    char type[64];
    rtm_result result;
    int id, code, retry_ms;
    char reason[128], detail[256], data[600];
} record;

static record received[1024];
static int received_count, received_next; /* next: the first that no test has checked */

static inline void record_event(rtm_client *client, const rtm_event *event, void *user_data) {
    size_t size;
    const char *data = rtm_json_raw(event->data, &size);
    (void)client;
    (void)user_data;
    assert_true(received_count < 1024);
    record *kept = &received[received_count++];
    memset(kept, 0, sizeof *kept);
    kept->result = event->result;
    kept->id = event->id;
    kept->code = event->code;
    kept->retry_ms = event->retry_ms;
    snprintf(kept->type, sizeof kept->type, "%s", event->type);
    snprintf(kept->reason, sizeof kept->reason, "%s", event->reason);
    snprintf(kept->detail, sizeof kept->detail, "%s", event->detail);
    snprintf(kept->data, sizeof kept->data, "%.*s", (int)(size < 599 ? size : 599),
             data ? data : "");
    note_shown(event->detail);
}

/* Calls rtm_poll(bot, 0) in tests with a loop of their own; NULL = it is always called. */
static void (*server_drive)(void);

/* One call of the client, and now and then some time for the kernel. */
static inline void server_round(int round) {
    if (bot) {
        if (server_drive) server_drive();
        else rtm_poll(bot, 0);
        note_shown(rtm_error_detail(bot));
    }
    if (round > 50) poll(NULL, 0, 1);
}

#define WAIT_FOR(condition)                                                  \
    do {                                                                     \
        for (int round_ = 0; !(condition); round_++) {                       \
            if (round_ == SERVER_ROUNDS) fail_msg("in vain: %s", #condition); \
            server_round(round_);                                            \
        }                                                                    \
    } while (0)

/* The next event, which must be of this type. */
static inline record *next_event(const char *type) {
    WAIT_FOR(received_count > received_next);
    record *next = &received[received_next++];
    if (strcmp(next->type, type)) print_error("%s: %s\n", next->type, next->detail);
    assert_string_equal(next->type, type);
    return next;
}

/* The next event is an error with this result and a message. */
static inline record *next_error(rtm_result result) {
    record *next = next_event("error");
    if (next->result != result) print_error("%s\n", next->detail);
    assert_int_equal(next->result, result);
    if (result != RTM_OK) assert_true(strlen(next->detail) > 10);
    return next;
}

static inline void no_event(void) {
    for (int i = 0; i < 20; i++) server_round(i);
    if (received_count > received_next)
        print_error("%s: %s\n", received[received_next].type, received[received_next].detail);
    assert_int_equal(received_count, received_next);
}

/* The server ----------------------------------------------------------------------------------- */

typedef struct server {
    int listener, fd; /* fd: the connection that is served; -1 = none */
    int port, accepts;
    char base_url[64];
    char in[200000]; /* received and not yet read by a test */
    size_t in_size;
    bool ended; /* FIN or RST was received */
    unsigned char mask[4];
} server;

typedef struct request {
    char head[20000]; /* to the empty line, which is left out */
    char body[70000];
} request;

static server slack;

static inline void server_open(server *s) {
    memset(s, 0, sizeof *s);
    s->fd = -1;
    s->listener = loopback_listen(SOCK_NONBLOCK, &s->port);
    snprintf(s->base_url, sizeof s->base_url, "http://127.0.0.1:%d/api/", s->port);
}

/* A second connection to the same server. */
static inline void server_share(server *s, const server *other) {
    memset(s, 0, sizeof *s);
    s->fd = -1;
    s->port = other->port;
    s->listener = dup(other->listener);
}

/* FIN. */
static inline void server_close(server *s) {
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
}

static inline void server_reset(server *s) {
    struct linger now = { 1, 0 };
    assert_int_equal(setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    server_close(s);
}

static inline void server_free(server *s) {
    server_close(s);
    if (s->listener >= 0) close(s->listener);
    s->listener = -1;
}

/* Whether a connection waits to be accepted. */
static inline bool server_pending(const server *s) {
    struct pollfd pollfd = { s->listener, POLLIN, 0 };
    return poll(&pollfd, 1, 0) > 0;
}

static inline bool server_try_accept(server *s) {
    int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK), one = 1;
    if (fd < 0) return false;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* or each frame takes 40 ms */
    server_close(s);
    s->fd = fd;
    s->in_size = 0;
    s->ended = false;
    s->accepts++;
    return true;
}

static inline void server_accept(server *s) {
    WAIT_FOR(server_try_accept(s));
}

/* Reads what has arrived. */
static inline void server_fill(server *s) {
    while (s->fd >= 0 && !s->ended && s->in_size < sizeof s->in) {
        ssize_t n = recv(s->fd, s->in + s->in_size, sizeof s->in - s->in_size, 0);
        if (n < 0 && errno == EAGAIN) return;
        s->ended = n <= 0;
        if (n > 0) s->in_size += (size_t)n;
    }
}

static inline void server_use(server *s, size_t size) {
    s->in_size -= size;
    memmove(s->in, s->in + size, s->in_size);
}

/* Waits for the client's FIN (or RST) after what it sent. */
static inline void server_ends(server *s) {
    WAIT_FOR((server_fill(s), s->ended));
}

static inline void server_send_bytes(server *s, const void *data, size_t size) {
    const char *bytes = data;
    for (int round = 0; size; round++) {
        ssize_t n = send(s->fd, bytes, size, MSG_NOSIGNAL);
        if (n < 0) {
            assert_true(errno == EAGAIN && round < SERVER_ROUNDS);
            server_round(round);
            continue;
        }
        bytes += n;
        size -= (size_t)n;
    }
}

static inline void server_send(server *s, const char *text) {
    server_send_bytes(s, text, strlen(text));
}

/* HTTP: requests and answers ------------------------------------------------------------------- */

static inline bool server_try_request(server *s, request *got) {
    server_fill(s);
    char *end = s->in_size < 4 ? NULL : memmem(s->in, s->in_size, "\r\n\r\n", 4);
    if (!end) return false;
    size_t head = (size_t)(end - s->in), body = 0;
    assert_true(head < sizeof got->head);
    memcpy(got->head, s->in, head);
    got->head[head] = '\0';
    const char *length = strcasestr(got->head, "\r\nContent-Length: ");
    if (length) body = (size_t)atol(length + 18);
    assert_true(body < sizeof got->body);
    if (s->in_size < head + 4 + body) return false;
    memcpy(got->body, end + 4, body);
    got->body[body] = '\0';
    server_use(s, head + 4 + body);
    return true;
}

static inline void server_read_request(server *s, request *got) {
    WAIT_FOR(server_try_request(s, got));
}

/* The value of a header field, in a static buffer; NULL if it is missing or repeated. */
static inline const char *header(const request *got, const char *name) {
    static char value[512];
    char line[80];
    snprintf(line, sizeof line, "\r\n%s: ", name);
    const char *at = strcasestr(got->head, line);
    if (!at || strcasestr(at + 1, line)) return NULL;
    at += strlen(line);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

static inline bool has_header(const request *got, const char *name) {
    char line[80];
    snprintf(line, sizeof line, "\r\n%s:", name);
    return strcasestr(got->head, line) != NULL;
}

static inline void expect_line(const request *got, const char *line) {
    size_t length = strlen(line);
    if (strncmp(got->head, line, length)) print_error("%s\n", got->head);
    assert_memory_equal(got->head, line, length);
    assert_memory_equal(got->head + length, "\r\n", 2);
}

/* An answer with a length; `fields` are lines with their ends, or "". */
static inline void server_answer(server *s, const char *status, const char *fields,
                                 const char *body) {
    char head[1024];
    snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status,
             strlen(body), fields);
    server_send(s, head);
    server_send(s, body);
}

/* The response to rtm.connect, with the URL escaped as Slack does it. */
static inline void server_answer_connect(server *s, const char *path) {
    char body[512];
    snprintf(body, sizeof body,
             "{\"ok\":true,\"url\":\"ws:\\/\\/127.0.0.1:%d\\/%s\",\"self\":{\"id\":\"U1\"}}",
             s->port, path);
    server_answer(s, "200 OK", "Connection: close\r\n", body);
}

/* 101 with the right Accept. */
static inline void server_answer_upgrade(server *s, const request *got) {
    char accept[29], answer[256];
    const char *key = header(got, "Sec-WebSocket-Key");
    assert_non_null(key);
    rtmi_ws_accept(key, accept);
    snprintf(answer, sizeof answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    server_send(s, answer);
}

static inline void server_upgrade(server *s, request *got) {
    server_read_request(s, got);
    server_answer_upgrade(s, got);
}

/* WebSocket ------------------------------------------------------------------------------------ */

enum { FIN = 1, MORE = 0 };

static inline void server_send_frame(server *s, int opcode, int fin, const void *data,
                                     size_t size) {
    unsigned char head[10] = { (unsigned char)(fin << 7 | opcode), (unsigned char)size };
    size_t head_size = 2;
    if (size > 125) {
        size_t bytes = size > 65535 ? 8 : 2;
        head[1] = bytes == 8 ? 127 : 126;
        for (size_t i = 0; i < bytes; i++)
            head[2 + i] = (unsigned char)((uint64_t)size >> 8 * (bytes - 1 - i));
        head_size += bytes;
    }
    server_send_bytes(s, head, head_size);
    server_send_bytes(s, data, size);
}

static inline void server_send_text(server *s, const char *json) {
    server_send_frame(s, RTMI_WS_TEXT, FIN, json, strlen(json));
}

static inline void server_send_close(server *s, int code, const char *reason) {
    char payload[125] = { (char)(code >> 8), (char)(code & 0xff) };
    snprintf(payload + 2, sizeof payload - 2, "%s", reason);
    server_send_frame(s, RTMI_WS_CLOSE, FIN, payload, 2 + strlen(reason));
}

typedef struct frame {
    int opcode;
    size_t size;
    char payload[70000];
} frame;

/* Checks a client's frame by RFC 6455: FIN, no RSV, masked, with a new mask each time. */
static inline bool server_try_frame(server *s, frame *got) {
    server_fill(s);
    const unsigned char *in = (const unsigned char *)s->in;
    if (s->in_size < 6) return false;
    size_t size = in[1] & 0x7f, head = size == 126 ? 4 : size == 127 ? 10 : 2;
    if (s->in_size < head + 4) return false;
    assert_int_equal(in[0] & 0xf0, 0x80);
    assert_int_equal(in[1] & 0x80, 0x80);
    if (head > 2) {
        size = 0;
        for (size_t i = 2; i < head; i++) size = size << 8 | in[i];
    }
    assert_true(size < sizeof got->payload);
    if (s->in_size < head + 4 + size) return false;
    assert_memory_not_equal(s->mask, in + head, 4);
    memcpy(s->mask, in + head, 4);
    for (size_t i = 0; i < size; i++) got->payload[i] = (char)(in[head + 4 + i] ^ s->mask[i & 3]);
    got->payload[size] = '\0';
    got->opcode = in[0] & 0xf;
    got->size = size;
    server_use(s, head + 4 + size);
    return true;
}

static inline void server_read_frame(server *s, frame *got) {
    WAIT_FOR(server_try_frame(s, got));
}

/* The client sends this frame next. */
static inline void server_expect(server *s, int opcode, const char *payload) {
    frame got;
    server_read_frame(s, &got);
    assert_string_equal(got.payload, payload);
    assert_int_equal(got.opcode, opcode);
    assert_int_equal(got.size, strlen(payload));
}

/* The client sends a CLOSE with this code next; 0 = without a code. */
static inline void server_expect_close(server *s, int code) {
    frame got;
    server_read_frame(s, &got);
    assert_int_equal(got.opcode, RTMI_WS_CLOSE);
    assert_int_equal(got.size, code ? 2 : 0);
    const unsigned char *bytes = (const unsigned char *)got.payload;
    if (code) assert_int_equal(bytes[0] << 8 | bytes[1], code);
}

/* Socket Mode: an envelope with these members in addition to its id and type, and its
   acknowledgement. */
static inline void server_send_envelope(server *s, const char *id, const char *type,
                                        const char *members) {
    char text[2048];
    int size = snprintf(text, sizeof text, "{\"envelope_id\":\"%s\",\"type\":\"%s\",%s}", id, type,
                        members);
    assert_in_range(size, 1, sizeof text - 1);
    server_send_text(s, text);
}

static inline void server_expect_ack(server *s, const char *id) {
    char text[256];
    snprintf(text, sizeof text, "{\"envelope_id\":\"%s\"}", id);
    server_expect(s, RTMI_WS_TEXT, text);
}

/* A client and its states ---------------------------------------------------------------------- */

static inline rtm_config usual_config(void) {
    rtm_config config;
    memset(&config, 0, sizeof config);
    config.token = TOKEN;
    config.base_url = slack.base_url;
    config.proxy = "";
    config.log = log_line;
    return config;
}

/* In Socket Mode. */
static inline rtm_config app_config(void) {
    rtm_config config = usual_config();
    config.app_token = APP_TOKEN;
    return config;
}

/* Creates the client under test, with the recorder as a handler. NULL = the usual configuration. */
static inline void make_bot(const rtm_config *config) {
    rtm_config usual = usual_config();
    assert_null(bot);
    assert_int_equal(rtm_create(config ? config : &usual, &bot), RTM_OK);
    assert_non_null(bot);
    assert_int_equal(rtm_on(bot, "*", record_event, NULL), RTM_OK);
}

/* Receives the request of the first leg; then also answers it and receives the upgrade; then opens
   the whole session. The functions with `_on` do this for a second session. */
static inline void take_call_on(server *s, request *got) {
    server_accept(s);
    server_read_request(s, got);
    expect_line(got, bot->socket_mode ? "POST /api/apps.connections.open HTTP/1.1"
                                            : "POST /api/rtm.connect HTTP/1.1");
}

static inline void take_upgrade_on(server *s, request *got) {
    take_call_on(s, got);
    server_answer_connect(s, "link?ticket=1&x=%2F");
    server_accept(s);
    server_read_request(s, got);
    expect_line(got, "GET /link?ticket=1&x=%2F HTTP/1.1");
}

static inline void take_call(request *got) { take_call_on(&slack, got); }
static inline void take_upgrade(request *got) { take_upgrade_on(&slack, got); }

static inline void open_session(void) {
    request got;
    take_upgrade(&got);
    server_answer_upgrade(&slack, &got);
    next_event("open");
    assert_true(rtm_is_connected(bot));
}

/* Slack's "hello", without which a session ends after timeout_ms. */
static inline void say_hello(server *s) {
    server_send_text(s, "{\"type\":\"hello\",\"num_connections\":1}");
    next_event("hello");
}

static inline void open_session_with_hello(void) {
    open_session();
    say_hello(&slack);
}

/* Lets time pass in a session that is not silent: Slack sends a PONG every 9 s. */
static inline void pass_time(server *s, long long ms) {
    for (; ms > 0; ms -= 9000) {
        test_now_ms += ms < 9000 ? ms : 9000;
        server_send_frame(s, RTMI_WS_PONG, FIN, "", 0);
        for (int i = 0; i < 3; i++) server_round(i);
    }
}

/* Opens sessions without calls from the test, for calls that block: to be used as server_idle. */
static inline int serve_sessions(int timeout_ms) {
    static request got;
    (void)timeout_ms;
    server_try_accept(&slack);
    if (slack.fd < 0 || !server_try_request(&slack, &got)) return 0;
    if (!strncmp(got.head, "POST ", 5)) server_answer_connect(&slack, "link");
    else server_answer_upgrade(&slack, &got);
    return 0;
}

/* Advances the clock to the next timeout, for calls that block and get no response. */
static inline int skip_time(int timeout_ms) {
    test_now_ms += timeout_ms;
    return 0;
}

/* A new client that is in this state. */
static inline void reach(rtm_state state) {
    request got;
    make_bot(NULL);
    if (state == RTM_STATE_CONNECTING) take_call(&got);
    if (state == RTM_STATE_UPGRADING) take_upgrade(&got);
    if (state == RTM_STATE_OPEN || state == RTM_STATE_CLOSING) open_session();
    if (state == RTM_STATE_CLOSING || state == RTM_STATE_FINISHED) {
        rtm_stop(bot);
        rtm_poll(bot, 0);
    }
    if (state == RTM_STATE_BACKOFF) {
        take_call(&got);
        server_close(&slack);
        next_event("error");
    }
    assert_int_equal(rtm_get_state(bot), state);
}

/* Checks that the client waits between lo and hi ms, and then calls. */
static inline int expect_wait(int lo, int hi) {
    int wait = rtm_timeout_ms(bot);
    assert_int_equal(rtm_get_state(bot), RTM_STATE_BACKOFF);
    assert_int_equal(session_socket(), -1);
    assert_in_range(wait, lo, hi);
    test_now_ms += wait - 1;
    no_event();
    assert_int_equal(rtm_timeout_ms(bot), 1);
    assert_false(server_pending(&slack));
    test_now_ms++;
    assert_int_equal(rtm_timeout_ms(bot), 0);
    WAIT_FOR(server_pending(&slack));
    return wait;
}

/* Before and after each test ------------------------------------------------------------------- */

static int files_before;

static inline int begin_test(void **state) {
    static const char *const names[] = { "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
                                         "NO_PROXY", "no_proxy", "SSL_CERT_FILE", NULL };
    (void)state;
    for (const char *const *name = names; *name; name++) unsetenv(*name);
    files_before = open_files();
    test_now_ms = 1000000;
    received_count = received_next = 0;
    server_waited_ms = server_polls = server_resolves = server_resolve_error = 0;
    server_idle = NULL;
    server_waits = false;
    server_addresses = NULL;
    server_resolve_ms = 0;
    client_before = NULL;
    test_fail_at = test_fail_ever = 0;
    server_open(&slack);
    return 0;
}

/* Destroys the client under test, and forgets the connections that it began. */
static inline void end_bot(void) {
    client_before = NULL;
    if (!bot) return;
    note_shown(rtm_error_detail(bot));
    bot->polling = false; /* a failed test may have jumped out of a callback */
    rtm_destroy(bot);
    bot = NULL;
    while (server_try_accept(&slack)) continue;
}

/* Whether all descriptors of a test are closed. A lookup's thread runs on after the client has its
   answer or has given it up, and closes its own descriptor last. */
static inline bool files_are_closed(void) {
    for (int i = 0; i < SERVER_ROUNDS && open_files() != files_before; i++) poll(NULL, 0, 1);
    return open_files() == files_before;
}

static inline int end_test(void **state) {
    (void)state;
    test_fail_at = 0;
    end_bot();
    server_free(&slack);
    bool secret = shown && (strstr(shown, "1234567890") || strstr(shown, "SecretS") ||
                           strstr(shown, "CookieC"));
    if (secret) print_error("a secret was shown\n");
    (free)(shown);
    shown = NULL;
    shown_size = 0;
    if (test_blocks) print_error("%ld blocks leaked\n", test_blocks);
    bool closed = files_are_closed();
    if (!closed) print_error("a socket leaked\n");
    bool bad = secret || test_blocks || !closed;
    test_blocks = 0;
    return bad ? -1 : 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin_test, end_test)

#endif
