/* An echo client for a fuzzing server that speaks the protocol of the Autobahn testsuite: the
   server sends the number of its cases, runs each over a connection of its own, and writes the
   report that says which of them passed. The client consists of the connection and WebSocket layers
   of rtm.h only, or with --session of a whole session: each case has a client of its own, driven by
   rtm_poll, that gets the URL of the case from a Web API in this program.

     wstest -m fuzzingserver -s spec.json         the server, say on port 9001
     ws_echo ws://127.0.0.1:9001                  all its cases
     ws_echo wss://localhost:9002 ca.pem          the same over TLS, trusting this CA
     ws_echo --session ws://127.0.0.1:9001        through sessions; with wss:// too

   Over TLS the host is a name that the certificate has, such as localhost: BearSSL does not check
   addresses, so no certificate is accepted for 127.0.0.1.

   Exits 0 if all cases were run, whatever the report says; else 1 with an error message. */
#define RTM_IMPLEMENTATION
#include "../rtm.h"

enum {
    SILENCE_MS = 60000,     /* of a server that should send */
    GOODBYE_MS = 1000,      /* for the server to close TCP, which is its part (RFC 6455 7.1.1) */
    LONGEST = 16 * 1048576, /* bytes of a message */
    STRIDE = 50             /* cases to a line of output */
};

typedef struct echo_client {
    rtmi_network network;   /* no proxy; the CA */
    rtmi_peer peer;
    rtmi_exchange exchange; /* that opens the WebSocket, and its connection */
    rtmi_ws ws;
    long long number;       /* that the server last sent as a text */
    bool silent;            /* do not echo */
    const char *url;        /* of the server, with --session; else NULL */
} echo_client;

/* Waits until the connection has something to do, or a lookup an answer; false when the time is
   over. */
static bool wait_until(rtmi_conn *conn, long long deadline) {
    long long left = rtmi_conn_due(conn, deadline) - RTM_NOW_MS();
    struct pollfd fds[1 + RTMI_ADDRESSES] = { { conn->network->wake[0], POLLIN, 0 } };
    unsigned count = rtmi_conn_pollfds(conn, fds + 1);
    if (poll(fds, count + 1, left > 0 ? (int)left : 0) > 0) {
        rtmi_conn_polled(conn, fds + 1);
        if (fds[0].revents) rtmi_wake_clear(fds[0].fd);
    }
    conn->budget = RTMI_BUDGET;
    return RTM_NOW_MS() < deadline;
}

/* Opens a WebSocket to this path of the server. */
static rtm_result open_websocket(echo_client *echo, const char *path) {
    char key[25];
    unsigned char nonce[16];
    rtmi_exchange *exchange = &echo->exchange;
    rtmi_conn *conn = &exchange->conn;
    rtmi_buf text = { key, 0, sizeof key, false }, *request = &exchange->head;
    if (RTM_RANDOM(nonce, sizeof nonce)) return rtmi_no_random(&conn->error);
    rtmi_base64(&text, nonce, sizeof nonce);
    key[24] = '\0';
    rtmi_write_request(request, "GET", path, strlen(path), &echo->peer, NULL);
    rtmi_buf_text(request, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ", key, "\r\n\r\n");
    rtmi_exchange_start(exchange, RTMI_HTTP_UPGRADE, &echo->peer, RTM_NOW_MS(), SILENCE_MS);
    rtm_result result;
    conn->budget = RTMI_BUDGET;
    while ((result = rtmi_exchange_step(exchange, RTM_NOW_MS())) == RTM_E_AGAIN)
        wait_until(conn, conn->deadline); /* when that has passed, the next step says so */
    if (result != RTM_OK) return result;
    if (conn->http.status != 101)
        return rtmi_fail(&conn->error, RTM_E_HTTP, "refused with status %d", conn->http.status);
    const char *wrong = rtmi_ws_check_upgrade(&conn->http, key);
    if (wrong) return rtmi_fail(&conn->error, RTM_E_WEBSOCKET, "bad handshake: %s", wrong);
    rtmi_ws_start(&echo->ws, LONGEST);
    return RTM_OK;
}

/* Queues a frame; the loop of converse() sends it. */
static rtm_result queue(echo_client *echo, int opcode, const void *data, size_t size) {
    rtmi_conn *conn = &echo->exchange.conn;
    unsigned char mask[4];
    if (RTM_RANDOM(mask, sizeof mask)) return rtmi_no_random(&conn->error);
    if (!rtmi_ws_frame(&conn->out, opcode, data, size, mask))
        return rtmi_out_of_memory(&conn->error);
    return RTM_OK;
}

static rtm_result queue_close(echo_client *echo, int code) {
    unsigned char payload[2] = { (unsigned char)(code >> 8), (unsigned char)code };
    return queue(echo, RTMI_WS_CLOSE, payload, code == RTMI_CLOSE_NO_STATUS ? 0 : 2);
}

/* Answers a frame from the parser; *closing if the answer is a CLOSE. */
static rtm_result answer(echo_client *echo, rtmi_ws_what what, bool *closing) {
    rtmi_ws *ws = &echo->ws;
    if (what == RTMI_WS_SKIPPED)
        return rtmi_fail(&echo->exchange.conn.error, ws->skip,
                         "a message that could not be kept: %s", rtm_strerror(ws->skip));
    *closing = what == RTMI_WS_BAD || ws->opcode == RTMI_WS_CLOSE;
    if (*closing) return queue_close(echo, ws->code);
    if (ws->opcode == RTMI_WS_PONG) return RTM_OK;
    if (ws->opcode == RTMI_WS_PING) return queue(echo, RTMI_WS_PONG, ws->data, ws->size);
    if (echo->silent)
        echo->number = rtm_json_int((rtm_json){ ws->data, ws->size, NULL }, 0);
    return echo->silent ? RTM_OK : queue(echo, ws->opcode, ws->data, ws->size);
}

/* Echoes until the server ends the connection, or has had its time to do so after a CLOSE. */
static rtm_result converse(echo_client *echo) {
    rtmi_conn *conn = &echo->exchange.conn;
    long long deadline = RTM_NOW_MS() + SILENCE_MS;
    bool closing = false;
    for (;;) {
        const char *data;
        size_t size, used;
        rtmi_conn_flush(conn); /* if it fails, the read reports why */
        rtm_result result = rtmi_conn_read(conn, &data, &size);
        if (result == RTM_E_AGAIN) {
            if (wait_until(conn, deadline)) continue;
            if (closing) return RTM_OK;
            return rtmi_fail(&conn->error, RTM_E_TIMEOUT, "the server fell silent");
        }
        if (result != RTM_OK) return RTM_OK; /* the report says whether this was right */
        used = size;                         /* nothing counts after a CLOSE (RFC 6455 5.5.1) */
        if (!closing) {
            rtmi_ws_what what = rtmi_ws_parse(&echo->ws, data, size, &used);
            if (what != RTMI_WS_MORE && (result = answer(echo, what, &closing)) != RTM_OK)
                return result;
            deadline = RTM_NOW_MS() + (closing ? GOODBYE_MS : SILENCE_MS);
        }
        rtmi_conn_consume(conn, used);
    }
}

/* Through a session --------------------------------------------------------------------------- */

static echo_client *in_session; /* on_text has no pointer of the program's */

/* Sends a message back. Slack's limits for messages are not those of the suite, so the frame does
   not go the way of rtm_send. */
static void echo_message(rtm_client *client, rtmi_session *session, int opcode, const char *data,
                         size_t size) {
    unsigned char mask[4];
    if (in_session->silent) {
        in_session->number = rtm_json_int((rtm_json){ data, size, NULL }, 0);
    } else if (RTM_RANDOM(mask, sizeof mask) ||
               !rtmi_ws_frame(&session->exchange.conn.out, opcode, data, size, mask)) {
        fprintf(stderr, "ws_echo: a message cannot be sent back\n");
        rtm_stop(client);
    } else {
        rtmi_flush(session);
    }
}

static void on_text(rtm_client *client, rtmi_session *session, const char *text, size_t size) {
    echo_message(client, session, RTMI_WS_TEXT, text, size);
}

/* The session reports a binary message as an error, once a second at most: unless this is reset. */
static void on_error(rtm_client *client, const rtm_event *event, void *user_data) {
    rtmi_session *session = client->session[0];
    const rtmi_ws *ws = &session->ws;
    (void)user_data;
    session->notice_at = LLONG_MIN;
    if (event->result == RTM_E_WEBSOCKET && !event->retry_ms && ws->opcode == RTMI_WS_BINARY)
        echo_message(client, session, RTMI_WS_BINARY, ws->data, ws->size);
}

/* The server of the suite sends no "hello". */
static void on_open(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)event;
    rtmi_note_hello(client, client->session[0]);
    *(bool *)user_data = true;
}

/* The Web API, in this program: answers each call with the URL of the case. */
static void serve_api(int listener, int *fd, const char *url, const char *path) {
    char in[4096], body[512], response[1024];
    if (*fd < 0 && (*fd = accept(listener, NULL, NULL)) < 0) return;
    fcntl(*fd, F_SETFL, O_NONBLOCK);
    ssize_t size = recv(*fd, in, sizeof in, 0);
    if (size < 0) return; /* not yet */
    int host_size = (int)strlen(url); /* without a "/" at its end */
    while (host_size && url[host_size - 1] == '/') host_size--;
    snprintf(body, sizeof body, "{\"ok\":true,\"url\":\"%.*s%s\"}", host_size, url, path);
    snprintf(response, sizeof response, "HTTP/1.1 200 OK\r\nConnection: close\r\n"
             "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    if (size > 0 && send(*fd, response, strlen(response), MSG_NOSIGNAL) < 0) perror("ws_echo");
    shutdown(*fd, SHUT_WR);
    while (size > 0) size = recv(*fd, in, sizeof in, 0); /* or close() would reset it */
    close(*fd);
    *fd = -1;
}

static int listen_on_loopback(int *port) {
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, 4) ||
        getsockname(fd, (struct sockaddr *)&address, &size) || fcntl(fd, F_SETFL, O_NONBLOCK)) {
        perror("ws_echo: a listener on loopback");
        exit(1);
    }
    *port = ntohs(address.sin_port);
    return fd;
}

/* One client: it opens one session, echoes until that ends, and opens no other. */
static bool visit_in_session(echo_client *echo, const char *path) {
    char base_url[64];
    bool opened = false;
    int port, listener = listen_on_loopback(&port), fd = -1, result;
    rtm_handler handlers[] = { { "open", on_open, &opened }, { "error", on_error, NULL },
                               { NULL, NULL, NULL } };
    rtm_config config = { .token = "xoxb-echo", .base_url = base_url, .proxy = "",
                          .ca_file = echo->network.ca_file, .no_auto_reconnect = true,
                          .timeout_ms = SILENCE_MS, .ping_interval_ms = SILENCE_MS,
                          .max_message_size = LONGEST, .handlers = handlers };
    rtm_client *client;
    in_session = echo;
    snprintf(base_url, sizeof base_url, "http://127.0.0.1:%d/api/", port);
    result = rtm_create(&config, &client);
    if (result == RTM_OK) client->on_text = on_text;
    while (result >= 0) {
        if (!opened) serve_api(listener, &fd, echo->url, path);
        client->session[0]->notice_at = LLONG_MIN;
        result = rtm_poll(client, opened ? -1 : 1);
    }
    if (!opened) fprintf(stderr, "ws_echo: %s: %s\n", path, rtm_error_detail(client));
    rtm_destroy(client);
    if (fd >= 0) close(fd);
    close(listener);
    return opened;
}

/* One connection from its beginning to its end. */
static bool visit(echo_client *echo, const char *path) {
    if (echo->url) return visit_in_session(echo, path);
    rtm_result result = open_websocket(echo, path);
    if (result == RTM_OK) result = converse(echo);
    rtmi_conn_close(&echo->exchange.conn);
    if (result != RTM_OK)
        fprintf(stderr, "ws_echo: %s: %s\n", path, echo->exchange.conn.error.text);
    return result == RTM_OK;
}

static bool run_cases(echo_client *echo) {
    char path[64];
    echo->silent = true;
    if (!visit(echo, "/getCaseCount")) return false;
    long long count = echo->number, n = 1;
    if (count <= 0) fprintf(stderr, "ws_echo: the server has no number of cases to tell\n");
    echo->silent = false;
    for (; n <= count; n++) {
        snprintf(path, sizeof path, "/runCase?case=%lld&agent=rtm.h", n);
        if (!visit(echo, path)) break;
        if (n % STRIDE && n != count) continue;
        printf("%lld of %lld cases run\n", n, count);
        fflush(stdout);
    }
    return visit(echo, "/updateReports?agent=rtm.h") && count > 0 && n > count;
}

int main(int argc, char **argv) {
    static echo_client echo;
    const char *path;
    size_t length;
    bool session = argc > 1 && !strcmp(argv[1], "--session");
    if (session) {
        argc--;
        argv++;
        echo.url = argv[1];
    }
    if (argc < 2 || argc > 3 || !rtmi_parse_url(argv[1], &echo.peer, &path, &length) ||
        (session && length > 1)) {
        fprintf(stderr, "usage: ws_echo [--session] ws://HOST:PORT, or wss://HOST:PORT CA.pem\n");
        return 1;
    }
    echo.network.ca_file = argc == 3 ? argv[2] : NULL;
    rtmi_exchange_init(&echo.exchange, &echo.network, &echo.exchange.conn.error);
    bool done = rtmi_network_open(&echo.network) && run_cases(&echo);
    rtmi_exchange_free(&echo.exchange);
    rtmi_network_close(&echo.network);
    rtmi_buf_free(&echo.ws.buffer);
    return done ? 0 : 1;
}
