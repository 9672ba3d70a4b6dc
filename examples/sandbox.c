/*
 * sandbox.c - a local imitation of Slack, to develop a bot without a workspace or a network.
 *
 * It answers the few Web API methods that a real-time bot needs and serves the WebSocket, both
 * on one loopback port. What you type becomes a message from a person, what the bot sends is
 * printed. Lines that begin with '/' are commands that make Slack misbehave; /help lists them.
 *
 *     cc examples/sandbox.c -o build/sandbox -lwebsockets -lssl -lcrypto -lcjson
 *     sh tests/certs.sh build/certs
 *     build/sandbox
 *
 * and in another terminal a bot whose base_url is "https://localhost:8443/api/":
 *
 *     SLACK_API_TOKEN=xoxb-anything SSL_CERT_FILE=build/certs/ca.pem build/bot
 *
 * It is built on libwebsockets, so that a client meets code here that is not its own. Lines
 * are carried out strictly in order; those that speak to a bot wait until one is connected.
 * A Socket Mode client (apps.connections.open) gets its events in envelopes.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* POLLRDHUP, vasprintf, memrchr */

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libwebsockets.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_RTM = 16 * 1024,          /* Slack cuts off who sends more in one message */
    MAX_BODY = 256 * 1024,        /* of a Web API request */
    MAX_LINE = 4 * 1024 * 1024,   /* of input; a longer one is split */
    MAX_SEEN = 8 * 1024 * 1024,   /* bytes of the bot's messages kept for /expect */
    HIGH_WATER = 256 * 1024,      /* bytes queued for one connection: others have to wait */
    MAX_QUEUE = 16 * 1024 * 1024, /* bytes queued for one connection: it is cut */
    BURST = 64,                   /* frames written to one connection in one turn */
    TICKETS = 256,                /* WebSocket URLs remembered */
    TICKET_SECONDS = 30,
    EXPECT_SECONDS = 10,
    GOODBYE_SECONDS = 10          /* from "goodbye" to the close */
};

#define UNUSED __attribute__((unused))
#define JSON_TYPE "application/json; charset=utf-8"

/* What is to be done to a connection once it is writeable and all before is done. */
enum action { SEND_TEXT, SEND_HTTP, SEND_CLOSE, CUT_FIN, CUT_RST };

struct frame {
    struct frame *next;
    enum action action;
    int code; /* of a CLOSE */
    size_t size;
    unsigned char data[]; /* LWS_PRE bytes for libwebsockets, then the payload */
};

struct ticket { /* the single-use part of a WebSocket URL */
    unsigned long long id;
    lws_usec_t expires;
    bool used, is_app;
};

struct conn { /* an HTTP connection, or the WebSocket it was upgraded to */
    struct conn *next;
    struct lws *wsi;
    bool is_ws, is_app; /* is_app: Socket Mode */
    bool leaving;       /* gets no more events: goodbye, CLOSE or a cut is on its way */
    bool cut;           /* nothing that still arrives counts */
    bool deaf;          /* not read from, by back-pressure or /mute */
    bool last;          /* close after the response */
    int close_code;
    struct frame *head, **tail;
    size_t queued;
    char *in; /* the request's body, or the WebSocket message, so far */
    size_t in_size;
};

struct seen { /* a message of the bot, for /expect */
    struct seen *next;
    char text[];
};

static struct {
    const char *cert, *key, *script, *port_file;
    int port;
    bool plain, quiet;
} options = { "build/certs/server.pem", "build/certs/server.key", NULL, NULL, 8443, false, false };

static struct {
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct conn *conns;
    struct ticket tickets[TICKETS];
    unsigned issued;
    bool done;
    int status; /* of the program */
} box;

static struct { /* how Slack is to misbehave */
    bool muted;
    int ratelimit; /* -1: not */
    int http_status, http_count, refuse_status, refuse_count, fail_count;
    char fail_code[64];
} orders = { .ratelimit = -1 };

static struct { /* stdin or the script */
    struct lws *wsi;
    int fd, line;
    char *data;
    size_t start, size, room;
    bool readable, eof, gone, hangs_up;
} input;

static struct { /* the line at work */
    char *line;
    lws_usec_t deadline;
    lws_sorted_usec_list_t timer;
    long progress;
    bool lonely; /* it waits for a bot to connect */
} work;

static struct {
    struct seen *first, **last;
    size_t size;
} seen = { NULL, &seen.first, 0 };

static volatile sig_atomic_t stopped;

static void advance(void), take_input(void); /* carry out lines; see Input */

/* ---- Text --------------------------------------------------------------------------- */

/* The size of the UTF-8 sequence at `s`, 0 if it is none. */
static int utf8_size(const unsigned char *s) {
    static const unsigned char lead[] = { 0, 0, 0xC2, 0xE0, 0xF0 }; /* the lowest, by size */
    int size = *s < 0x80 ? 1 : *s < 0xE0 ? 2 : *s < 0xF0 ? 3 : 4;
    if (*s < lead[size] || *s > 0xF4) return 0;
    for (int i = 1; i < size; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    /* overlong, a surrogate, beyond U+10FFFF */
    if ((*s == 0xE0 && s[1] < 0xA0) || (*s == 0xED && s[1] > 0x9F) ||
        (*s == 0xF0 && s[1] < 0x90) || (*s == 0xF4 && s[1] > 0x8F))
        return 0;
    return size;
}

/* Foreign text: what is no printable UTF-8, or would end a JSON string, is spelled out. */
static void put_escaped(FILE *to, const char *text, bool json) {
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int size = utf8_size(s);
        if (json && strchr("\"\\/", *s)) putc('\\', to); /* as Slack does, the slash too */
        if (size == 0) fputs(json ? "\\ufffd" : "\\?", to);
        else if (*s == '\n') fputs("\\n", to);
        else if (*s < 0x20 || *s == 0x7F || (*s == 0xC2 && s[1] < 0xA0))
            fprintf(to, "\\u%04x", s[size - 1]);
        else fwrite(s, 1, (size_t)size, to);
        s += size ? size : 1;
    }
}

/* One line on the terminal: who, and what happened. */
__attribute__((format(printf, 3, 4)))
static void put_line(FILE *to, const char *actor, const char *format, ...) {
    char *line;
    va_list values;
    if (to == stdout && options.quiet) return;
    va_start(values, format);
    if (vasprintf(&line, format, values) < 0) abort();
    va_end(values);
    fprintf(to, "%-7s | ", actor);
    put_escaped(to, line, false);
    putc('\n', to);
    free(line);
}

#define say(...) put_line(stdout, __VA_ARGS__)
#define warn(...) put_line(stderr, "sandbox", __VA_ARGS__)

static void lws_log(UNUSED int level, const char *line) {
    warn("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

static void *need(void *memory) {
    if (memory) return memory;
    warn("out of memory");
    exit(1);
}

/* JSON by format: ' stands for ", %s is escaped, %d is an int, %j is JSON. */
static char *json(const char *format, ...) {
    char *text = NULL;
    size_t size;
    FILE *to = need(open_memstream(&text, &size));
    va_list values;
    va_start(values, format);
    for (; *format; format++) {
        if (*format != '%') putc(*format == '\'' ? '"' : *format, to);
        else if (*++format == 's') put_escaped(to, va_arg(values, const char *), true);
        else if (*format == 'd') fprintf(to, "%d", va_arg(values, int));
        else if (*format == 'j') fputs(va_arg(values, const char *), to);
    }
    va_end(values);
    fclose(to);
    return need(text);
}

static const char *member(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

/* Slack's time stamps name messages, so no two are the same. */
static const char *new_ts(void) {
    static long long last;
    static char text[32];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    long long us = (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    last = us > last ? us : last + 1;
    snprintf(text, sizeof text, "%lld.%06lld", last / 1000000, last % 1000000);
    return text;
}

static void drop_seen(void) {
    struct seen *entry = seen.first;
    seen.first = entry->next;
    if (!seen.first) seen.last = &seen.first;
    seen.size -= strlen(entry->text);
    free(entry);
}

static void note_seen(const char *text) {
    size_t size = strlen(text);
    struct seen *entry = need(calloc(1, sizeof *entry + size + 1));
    memcpy(entry->text, text, size);
    *seen.last = entry;
    seen.last = &entry->next;
    seen.size += size;
    while (seen.size > MAX_SEEN) drop_seen();
}

/* ---- Connections and their queues --------------------------------------------------- */

static struct conn *conn_of(struct lws *wsi) {
    /* Not lws's per-session memory: that is freed after every HTTP transaction. */
    struct conn *conn = lws_get_opaque_user_data(wsi);
    if (conn) return conn;
    conn = need(calloc(1, sizeof *conn));
    conn->wsi = wsi;
    conn->tail = &conn->head;
    conn->next = box.conns;
    box.conns = conn;
    lws_set_opaque_user_data(wsi, conn);
    return conn;
}

static void clear_queue(struct conn *conn) {
    while (conn->head) {
        struct frame *frame = conn->head;
        conn->head = frame->next;
        free(frame);
    }
    conn->tail = &conn->head;
    conn->queued = 0;
}

static void forget_input(struct conn *conn) {
    free(conn->in);
    conn->in = NULL;
    conn->in_size = 0;
}

static void forget(struct conn *conn) {
    struct conn **link = &box.conns;
    while (*link != conn) link = &(*link)->next;
    *link = conn->next;
    clear_queue(conn);
    forget_input(conn);
    free(conn);
}

/* A muted connection is neither read from nor written to, except to cut it. */
static bool is_muted(const struct conn *conn) { return orders.muted && conn->is_ws && !conn->cut; }

/* Starts and stops reading and writing, as the queue and /mute want it. */
static void regulate(struct conn *conn) {
    bool deaf = is_muted(conn) || conn->queued >= HIGH_WATER;
    if (conn->is_ws && deaf != conn->deaf) {
        conn->deaf = deaf;
        lws_rx_flow_control(conn->wsi, !deaf);
    }
    if (conn->head && !is_muted(conn)) lws_callback_on_writable(conn->wsi);
}

static struct frame *new_frame(enum action action, const char *payload, size_t size) {
    struct frame *frame = need(calloc(1, sizeof *frame + LWS_PRE + size));
    frame->action = action;
    frame->size = size;
    memcpy(frame->data + LWS_PRE, payload, size);
    return frame;
}

static void push(struct conn *conn, struct frame *frame) {
    *conn->tail = frame;
    conn->tail = &frame->next;
    conn->queued += frame->size;
    regulate(conn);
}

/* Ends the connection without a word. What was sent before still goes, unless muted. */
static void cut(struct conn *conn, enum action how) {
    if (orders.muted) clear_queue(conn);
    conn->leaving = conn->cut = true;
    push(conn, new_frame(how, "", 0));
}

static void send_close(struct conn *conn, int code, const char *reason) {
    struct frame *frame = new_frame(SEND_CLOSE, reason, strlen(reason));
    frame->code = code;
    conn->leaving = true;
    push(conn, frame);
}

static void send_text(struct conn *conn, const char *text) {
    size_t size = strlen(text);
    if (conn->cut) return;
    if (conn->queued + size <= MAX_QUEUE) {
        push(conn, new_frame(SEND_TEXT, text, size));
        return;
    }
    say("slack", "the bot does not read what it is sent: connection cut");
    clear_queue(conn);
    cut(conn, CUT_FIN);
}

/* Sends a text and frees it. */
static void reply(struct conn *conn, char *text) {
    send_text(conn, text);
    free(text);
}

static bool is_bot(const struct conn *conn) { return conn->is_ws && !conn->leaving; }

#define EACH_BOT(conn) (struct conn *conn = box.conns; conn; conn = conn->next) if (is_bot(conn))

static void broadcast(const char *text) {
    for EACH_BOT(conn) send_text(conn, text);
}

/* An event; Socket Mode wraps it in an envelope, which the bot has to acknowledge. */
static void broadcast_event(const char *event) {
    static int count;
    for EACH_BOT(conn) {
        char id[16];
        snprintf(id, sizeof id, "%012d", count++);
        if (conn->is_app)
            reply(conn, json("{'envelope_id':'00000000-0000-4000-8000-%s','type':'events_api',"
                             "'accepts_response_payload':false,'payload':{'type':"
                             "'event_callback','team_id':'T0SANDBOX','event_id':'Ev%s',"
                             "'event':%j}}", id, id, event));
        else
            send_text(conn, event);
    }
}

static void cut_now(struct conn *conn, enum action how) {
    struct linger linger = { 1, 0 };
    int fd = lws_get_socket_fd(conn->wsi);
    /* No close_notify either, but the session may be resumed. */
    if (!options.plain) SSL_set_shutdown(lws_get_ssl(conn->wsi), SSL_SENT_SHUTDOWN);
    if (how == CUT_RST) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    } else { /* to close at once would send a RST, if there is unread input */
        shutdown(fd, SHUT_WR);
        lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_OK, 1);
    }
}

static int deliver(struct conn *conn, struct frame *frame) {
    unsigned char *payload = frame->data + LWS_PRE;
    switch (frame->action) {
    case SEND_TEXT: return lws_write(conn->wsi, payload, frame->size, LWS_WRITE_TEXT) < 0 ? -1 : 0;
    case SEND_HTTP:
        if (lws_write(conn->wsi, payload, frame->size, LWS_WRITE_HTTP_FINAL) < 0) return -1;
        return conn->last || lws_http_transaction_completed(conn->wsi) ? -1 : 0;
    case SEND_CLOSE:
        conn->close_code = frame->code;
        lws_close_reason(conn->wsi, (enum lws_close_status)frame->code, payload, frame->size);
        return -1; /* lws sends it now, and awaits the answer */
    default: cut_now(conn, frame->action); return 0;
    }
}

static int on_writeable(struct conn *conn) {
    for (int n = 0; conn->head && n < BURST; n++) {
        struct frame *frame = conn->head;
        if (is_muted(conn) || lws_partial_buffered(conn->wsi)) break;
        conn->head = frame->next;
        if (!conn->head) conn->tail = &conn->head;
        conn->queued -= frame->size;
        int result = deliver(conn, frame);
        free(frame);
        if (result) return result;
    }
    regulate(conn);
    return 0;
}

/* ---- The Web API -------------------------------------------------------------------- */

static void respond(struct conn *conn, int status, const char *type, const char *body) {
    unsigned char head[1024], *p = head, *end = head + sizeof head;
    char number[16], *text;
    size_t size = strlen(body);
    bool failed = lws_add_http_common_headers(conn->wsi, (unsigned)status, type, size, &p, end);
    if (orders.ratelimit >= 0) { /* then this is the answer to say so */
        int digits = snprintf(number, sizeof number, "%d", orders.ratelimit);
        failed |= lws_add_http_header_by_name(conn->wsi, (const unsigned char *)"retry-after:",
                                              (unsigned char *)number, digits, &p, end);
    }
    failed |= lws_finalize_http_header(conn->wsi, &p, end);
    int length = failed ? -1 : asprintf(&text, "%.*s%s", (int)(p - head), (char *)head, body);
    if (length < 0) abort();
    push(conn, new_frame(SEND_HTTP, text, (size_t)length));
    free(text);
}

/* A fresh URL at the host that the client called. */
static const char *new_url(struct conn *conn, bool is_app) {
    static char url[256];
    struct ticket *ticket = &box.tickets[box.issued++ % TICKETS];
    char host[128] = "", *colon;
    lws_hdr_copy(conn->wsi, host, sizeof host, WSI_TOKEN_HOST);
    if ((colon = strrchr(host, ':')) && !strchr(colon, ']')) *colon = '\0';
    lws_get_random(box.context, &ticket->id, sizeof ticket->id);
    ticket->expires = lws_now_usecs() + (lws_usec_t)TICKET_SECONDS * LWS_US_PER_SEC;
    ticket->used = false;
    ticket->is_app = is_app;
    snprintf(url, sizeof url, "%s://%s:%d/link?ticket=%llu&app_id=A0SANDBOX&v=1",
             options.plain ? "ws" : "wss", *host ? host : "localhost", options.port, ticket->id);
    return url;
}

/* Each returns the response, or NULL with `*error` set. */
#define METHOD(name)                                                                          \
    static char *name(UNUSED struct conn *conn, UNUSED const cJSON *args, UNUSED const char **error)

METHOD(rtm_connect) {
    if (orders.fail_count > 0) {
        orders.fail_count--;
        *error = orders.fail_code;
        return NULL;
    }
    return json("{'ok':true,'url':'%s','self':{'id':'U0BOT','name':'sandbox-bot'},"
                "'team':{'id':'T0SANDBOX','name':'Sandbox','domain':'sandbox'}}",
                new_url(conn, false));
}

METHOD(connections_open) { return json("{'ok':true,'url':'%s'}", new_url(conn, true)); }

METHOD(auth_test) {
    return json("{'ok':true,'url':'https:\\/\\/sandbox.slack.com\\/','team':'Sandbox',"
                "'user':'sandbox-bot','team_id':'T0SANDBOX','user_id':'U0BOT','bot_id':'B0BOT'}");
}

METHOD(post_message) {
    const char *channel = member(args, "channel"), *text = member(args, "text"), *ts = new_ts();
    if (!*channel || !*text) {
        *error = *channel ? "no_text" : "channel_not_found";
        return NULL;
    }
    say("bot/api", "posted: %s", text);
    note_seen(text);
    char *event = json("{'type':'message','subtype':'bot_message','channel':'%s','text':'%s',"
                       "'ts':'%s','username':'sandbox-bot','bot_id':'B0BOT','team':'T0SANDBOX'}",
                       channel, text, ts);
    broadcast_event(event);
    char *body = json("{'ok':true,'channel':'%s','ts':'%s','message':%j}", channel, ts, event);
    free(event);
    return body;
}

static const struct method {
    const char *name, *report; /* report: what the terminal says of a success */
    bool is_app;               /* takes an app-level token */
    char *(*run)(struct conn *conn, const cJSON *args, const char **error);
} methods[] = {
    { "rtm.connect", "ok, new url", false, rtm_connect },
    { "rtm.start", "ok, new url", false, rtm_connect },
    { "auth.test", "ok", false, auth_test },
    { "chat.postMessage", NULL, false, post_message },
    { "apps.connections.open", "ok, new url", true, connections_open },
};

/* NULL if the caller may pass, Slack's error code if not. The token is never printed. */
static const char *check_token(struct lws *wsi, bool is_app) {
    static const char *const prefixes[] = { "xapp-", "xoxb-", "xoxp-", "xoxc-" };
    char header[512] = "";
    int size = lws_hdr_copy(wsi, header, sizeof header, WSI_TOKEN_HTTP_AUTHORIZATION);
    if (size == 0) return "not_authed";
    if (size > 0 && !strncasecmp(header, "Bearer ", 7))
        for (int i = is_app ? 0 : 1; i < (is_app ? 1 : 4); i++)
            if (!strncmp(header + 7, prefixes[i], 5) && header[12]) return NULL;
    return "invalid_auth";
}

static void add_argument(cJSON *args, char *pair, bool encoded) {
    char *value = strchr(pair, '=');
    if (!value) return;
    *value++ = '\0';
    if (encoded && (lws_urldecode(pair, pair, (int)strlen(pair)) ||
                    lws_urldecode(value, value, (int)strlen(value))))
        return;
    cJSON_AddStringToObject(args, pair, value);
}

/* From a body in JSON, or form-encoded, and from the query. */
static cJSON *parse_arguments(struct conn *conn) {
    char pair[4096], *rest = conn->in;
    cJSON *args = rest && *rest == '{' ? cJSON_Parse(rest) : NULL;
    if (args) return args;
    args = need(cJSON_CreateObject());
    while (rest && *rest) add_argument(args, strsep(&rest, "&"), true);
    for (int i = 0; lws_hdr_copy_fragment(conn->wsi, pair, sizeof pair,
                                          WSI_TOKEN_HTTP_URI_ARGS, i) > 0; i++)
        add_argument(args, pair, false); /* lws has decoded it */
    return args;
}

static char *call_method(struct conn *conn, const char *name) {
    const struct method *end = methods + LWS_ARRAY_SIZE(methods), *method = methods;
    while (method < end && strcmp(name, method->name) != 0) method++;
    const char *error = method < end ? check_token(conn->wsi, method->is_app) : "unknown_method";
    char *body = NULL;
    if (!error) {
        cJSON *args = parse_arguments(conn);
        body = method->run(conn, args, &error);
        cJSON_Delete(args);
    }
    if (error) body = json("{'ok':false,'error':'%s'}", error);
    else error = method->report;
    if (error) say("slack", "%s: %s", name, error);
    return body;
}

/* A request is complete: answer it. */
static int on_call(struct conn *conn) {
    char *uri = NULL, name[64];
    int size = 0;
    take_input();
    if (conn->head || conn->deaf) return -1; /* pipelined requests: lws gets lost in them */
    if (lws_http_get_uri_and_method(conn->wsi, &uri, &size) < 0) return -1;
    char *slash = memrchr(uri, '/', (size_t)size), *start = slash ? slash + 1 : uri;
    snprintf(name, sizeof name, "%.*s", (int)(uri + size - start), start);

    if (orders.muted) {
        say("slack", "%s: no answer", name);
        conn->deaf = true; /* until /unmute or the client ends it */
        lws_rx_flow_control(conn->wsi, 0);
    } else if (orders.ratelimit >= 0) {
        say("slack", "%s: ratelimited for %d s", name, orders.ratelimit);
        respond(conn, 429, JSON_TYPE, "{\"ok\":false,\"error\":\"ratelimited\"}");
        orders.ratelimit = -1;
    } else if (orders.http_count > 0) {
        orders.http_count--;
        say("slack", "%s: HTTP %d", name, orders.http_status);
        bool empty = orders.http_status == 204 || orders.http_status == 304;
        respond(conn, orders.http_status, "text/plain", empty ? "" : "This was ordered.\n");
    } else {
        char *body = call_method(conn, name);
        respond(conn, 200, JSON_TYPE, body);
        free(body);
    }
    forget_input(conn);
    return 0;
}

/* The headers are complete. Of a body that has a length, lws will tell. */
static int on_request(struct conn *conn) {
    char length[24] = "";
    bool is_post = lws_hdr_total_length(conn->wsi, WSI_TOKEN_POST_URI) > 0;
    int size = lws_hdr_copy(conn->wsi, length, sizeof length, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    if (size > 0 && (is_post || atoi(length) > 0)) return 0;
    conn->last = is_post; /* for lws now waits for a body, like that of "curl -X POST" */
    lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0);
    return on_call(conn);
}

/* Adds to a body or a message; always ends it with a NUL. */
static bool collect(struct conn *conn, const void *data, size_t size, size_t most) {
    if (conn->in_size + size > most) return false;
    conn->in = need(realloc(conn->in, conn->in_size + size + 1));
    if (size) memcpy(conn->in + conn->in_size, data, size);
    conn->in_size += size;
    conn->in[conn->in_size] = '\0';
    return true;
}

/* ---- The WebSocket ------------------------------------------------------------------ */

/* Why the ticket is no good, with the status to refuse it with; NULL and 0 if it is. */
static const char *use_ticket(struct conn *conn, int *status) {
    char text[32];
    const char *digits = lws_get_urlarg_by_name(conn->wsi, "ticket=", text, sizeof text);
    unsigned long long id = digits ? strtoull(digits, NULL, 10) : 0;
    struct ticket *ticket = box.tickets, *end = ticket + TICKETS;
    while (ticket < end && ticket->id != id) ticket++;
    if (!id || ticket == end) return *status = 409, "unknown url";
    if (ticket->used) return *status = 404, "url used before";
    if (ticket->expires < lws_now_usecs()) return *status = 408, "url expired";
    ticket->used = true;
    conn->is_app = ticket->is_app;
    return *status = 0, NULL;
}

static int on_upgrade(struct conn *conn, const char *protocol) {
    take_input();
    int status = orders.refuse_status;
    const char *why = "as ordered";
    if (strcasecmp(protocol, "websocket") != 0) return -1;
    if (orders.refuse_count > 0) orders.refuse_count--;
    else why = use_ticket(conn, &status);
    if (!why) return 0;
    say("slack", "websocket refused: HTTP %d, %s", status, why);
    lws_return_http_status(conn->wsi, (unsigned)status, NULL);
    return -1;
}

static void on_open(struct conn *conn) {
    conn->is_ws = true;
    say("slack", "bot connected%s", conn->is_app ? " (Socket Mode)" : "");
    reply(conn, json(conn->is_app ? "{'type':'hello','num_connections':1,'connection_info':"
                                    "{'app_id':'A0SANDBOX'},'debug_info':{'host':'sandbox',"
                                    "'approximate_connection_time':18060}}"
                                  : "{'type':'hello'}"));
}

static void on_closed(struct conn *conn) {
    if (conn->cut) return; /* that has been said */
    if (conn->close_code) say("slack", "bot disconnected (%d)", conn->close_code);
    else say("slack", "bot disconnected (no CLOSE)");
}

static void on_bot_message(struct conn *conn, const char *id, const char *text) {
    if (!*text) {
        say("slack", "message refused: its text is missing");
        reply(conn, json("{'ok':false,'reply_to':%j,'error':{'code':2,"
                         "'msg':'message text is missing'}}", id));
        return;
    }
    say("bot", "%s", text);
    note_seen(text);
    reply(conn, json("{'ok':true,'reply_to':%j,'ts':'%s','text':'%s'}", id, new_ts(), text));
}

/* The pong is the ping, less what is not flat. */
static void on_bot_ping(struct conn *conn, const char *id, cJSON *ping) {
    char *pong = json("{'reply_to':%j,'type':'pong'", id);
    const cJSON *item;
    cJSON_ArrayForEach(item, ping) {
        if (cJSON_IsObject(item) || cJSON_IsArray(item) || !strcmp(item->string, "id") ||
            !strcmp(item->string, "type"))
            continue;
        char *value = need(cJSON_PrintUnformatted(item)), *head = pong;
        pong = json("%j,'%s':%j", head, item->string, value);
        free(head);
        free(value);
    }
    reply(conn, json("%j}", pong));
    free(pong);
}

/* A whole message of the bot is in conn->in. */
static void on_message(struct conn *conn) {
    bool has_nul = strlen(conn->in) != conn->in_size;
    cJSON *message = has_nul ? NULL : cJSON_ParseWithOpts(conn->in, NULL, true);
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(message, "id");
    char *id = cJSON_IsNumber(number) ? cJSON_PrintUnformatted(number) : strdup("null");
    const char *type = member(message, "type");
    if (!cJSON_IsObject(message)) {
        say("slack", "not JSON: %.60s", conn->in);
        reply(conn, json("{'type':'error','error':{'code':3,'msg':'not a JSON object'}}"));
    } else if (*member(message, "envelope_id")) {
        say("bot", "acknowledged %s", member(message, "envelope_id"));
    } else if (!strcmp(type, "message")) {
        on_bot_message(conn, need(id), member(message, "text"));
    } else if (!strcmp(type, "ping")) {
        on_bot_ping(conn, need(id), message);
    } else if (!strcmp(type, "typing")) {
        say("bot", "is typing");
    } else {
        say("bot", "sent a \"%s\": no answer", type);
    }
    free(id);
    cJSON_Delete(message);
}

static int on_receive(struct conn *conn, const void *data, size_t size) {
    static unsigned char reason[] = "message too long";
    take_input();
    if (conn->cut) return 0;
    if (!collect(conn, data, size, MAX_RTM)) {
        say("slack", "message over 16 KB: connection closed");
        conn->close_code = LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE;
        lws_close_reason(conn->wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, reason, sizeof reason - 1);
        return -1;
    }
    if (!lws_is_final_fragment(conn->wsi)) return 0;
    on_message(conn);
    forget_input(conn);
    return 0;
}

/* ---- What libwebsockets calls ------------------------------------------------------- */

static int on_server(struct lws *wsi, enum lws_callback_reasons reason, UNUSED void *user, void *in,
                     size_t size) {
    const unsigned char *bytes = in;
    bool is_new = reason == LWS_CALLBACK_HTTP || reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE;
    struct conn *conn = is_new ? conn_of(wsi) : wsi ? lws_get_opaque_user_data(wsi) : NULL;
    if (!conn) return 0;
    switch (reason) {
    case LWS_CALLBACK_HTTP: return on_request(conn);
    case LWS_CALLBACK_HTTP_BODY: return collect(conn, in, size, MAX_BODY) ? 0 : -1;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION: return on_call(conn);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return on_upgrade(conn, in);
    case LWS_CALLBACK_ESTABLISHED: on_open(conn); break;
    case LWS_CALLBACK_RECEIVE: return on_receive(conn, in, size);
    case LWS_CALLBACK_HTTP_WRITEABLE:
    case LWS_CALLBACK_SERVER_WRITEABLE: return on_writeable(conn);
    case LWS_CALLBACK_TIMER: send_close(conn, LWS_CLOSE_STATUS_NORMAL, ""); break; /* goodbye */
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        conn->close_code = size >= 2 ? bytes[0] << 8 | bytes[1] : LWS_CLOSE_STATUS_NO_STATUS;
        break;
    case LWS_CALLBACK_CLOSED: on_closed(conn); break;
    case LWS_CALLBACK_WSI_DESTROY: forget(conn); break;
    default: break;
    }
    return 0;
}

/* lws only says that there is input. It is read when there is use for it, not ahead, so that
   whoever writes it feels back-pressure. */
static int on_input(struct lws *wsi, enum lws_callback_reasons reason, UNUSED void *user,
                    UNUSED void *in, UNUSED size_t size) {
    if (reason == LWS_CALLBACK_RAW_CLOSE_FILE) input.gone = true;
    if (reason != LWS_CALLBACK_RAW_RX_FILE) return 0;
    input.readable = true;
    lws_rx_flow_control(wsi, 0); /* read_more() undoes it */
    advance();
    return 0;
}

/* The buffer takes a whole TLS record: what OpenSSL has left when reading stops, lws mislays. */
static const struct lws_protocols protocols[] = {
    { "sandbox", on_server, 0, MAX_RTM + 512, 0, NULL, 0 },
    { "input", on_input, 0, 0, 0, NULL, 0 },
    { NULL, NULL, 0, 0, 0, NULL, 0 },
};

/* ---- The commands ------------------------------------------------------------------- */

enum verdict { DONE, AGAIN, WRONG }; /* AGAIN: once more with the same line, when things change */

#define COMMAND(name) static enum verdict name(UNUSED char *args)

/* Takes a number from the front of `*args`. */
static bool number(char **args, long least, long most, long *result) {
    char *end;
    errno = 0;
    *result = strtol(*args, &end, 10);
    if (end == *args || errno || (*end && *end != ' ')) return false;
    *args = end + strspn(end, " ");
    return *result >= least && *result <= most;
}

static bool last_number(char *args, long least, long most, long *result) {
    return number(&args, least, most, result) && !*args;
}

static void wake(UNUSED lws_sorted_usec_list_t *timer) { lws_cancel_service(box.context); }

/* False once `ms` milliseconds have gone since the line at work first asked. */
static bool still_time(long ms) {
    if (!work.deadline) {
        work.deadline = lws_now_usecs() + ms * LWS_US_PER_MS;
        lws_sul_schedule(box.context, 0, &work.timer, wake, ms * LWS_US_PER_MS);
    }
    return lws_now_usecs() < work.deadline;
}

/* Is a bot connected, and room in the queues? Else the line has to wait. */
static bool ready(void) {
    bool any = false, room = true;
    for EACH_BOT(conn) {
        any = true;
        room &= conn->queued < HIGH_WATER;
    }
    if (!any && !work.lonely) say("sandbox", "no bot is connected, waiting for one");
    work.lonely = !any;
    return any && room;
}

static void broadcast_and_free(char *event) {
    broadcast_event(event);
    free(event);
}

static enum verdict human(const char *text) {
    if (!*text) return DONE;
    if (!ready()) return AGAIN;
    say("human", "%s", text);
    broadcast_and_free(json("{'type':'message','channel':'C0SANDBOX','user':'U0HUMAN',"
                            "'text':'%s','ts':'%s','team':'T0SANDBOX'}", text, new_ts()));
    return DONE;
}

COMMAND(cmd_goodbye) {
    say("slack", "/goodbye: sent");
    for EACH_BOT(conn) {
        send_text(conn, "{\"type\":\"goodbye\"}");
        conn->leaving = true; /* what follows is for the connection that replaces it */
        lws_set_timer_usecs(conn->wsi, (lws_usec_t)GOODBYE_SECONDS * LWS_US_PER_SEC);
    }
    return DONE;
}

COMMAND(cmd_close) {
    long code = LWS_CLOSE_STATUS_NORMAL;
    if (*args && !number(&args, 0, 65535, &code)) return WRONG;
    if (strlen(args) > 123) return WRONG;
    say("slack", "/close: CLOSE %ld sent", code);
    for EACH_BOT(conn) send_close(conn, (int)code, args);
    return DONE;
}

COMMAND(cmd_drop) {
    say("slack", "/drop: connection cut");
    for EACH_BOT(conn) cut(conn, CUT_FIN);
    return DONE;
}

COMMAND(cmd_reset) {
    say("slack", "/reset: connection reset");
    for EACH_BOT(conn) cut(conn, CUT_RST);
    return DONE;
}

COMMAND(cmd_migrate) {
    say("slack", "/migrate: team_migration_started, connection closed");
    broadcast("{\"type\":\"team_migration_started\"}");
    for EACH_BOT(conn) send_close(conn, LWS_CLOSE_STATUS_NORMAL, "");
    return DONE;
}

COMMAND(cmd_error) {
    long code;
    if (!number(&args, 0, 65535, &code) || !*args) return WRONG;
    say("slack", "/error: %ld %s", code, args);
    char *text = json("{'type':'error','error':{'code':%d,'msg':'%s'}}", (int)code, args);
    broadcast(text);
    free(text);
    return DONE;
}

COMMAND(cmd_typing) {
    say("human", "is typing");
    broadcast_event("{\"type\":\"user_typing\",\"channel\":\"C0SANDBOX\",\"user\":\"U0HUMAN\"}");
    return DONE;
}

COMMAND(cmd_event) {
    if (!*args) return WRONG;
    say("slack", "/event: %s", args);
    broadcast_and_free(json("{'type':'%s'}", args));
    return DONE;
}

COMMAND(cmd_raw) {
    say("slack", "/raw: %.60s%s", args, strlen(args) > 60 ? "..." : "");
    broadcast(args);
    return DONE;
}

/* One event like Slack's own, of about 430 bytes on average. */
static void flood_one(long i) {
    static const char words[] = "the build of the night is green again but the one before it "
                                "was not and nobody knows why, so would you look at it please";
    char event[1024];
    int size = (int)(i * 37 % 121);
    snprintf(event, sizeof event,
             "{\"type\":\"message\",\"channel\":\"C0SANDBOX\",\"user\":\"U0HUMAN\","
             "\"client_msg_id\":\"5f2b9f3c-6a51-4c0e-9d7a-%012ld\",\"text\":\"#%ld %.*s\","
             "\"ts\":\"%s\",\"team\":\"T0SANDBOX\",\"blocks\":[{\"type\":\"rich_text\","
             "\"block_id\":\"bX%03ld\",\"elements\":[{\"type\":\"rich_text_section\","
             "\"elements\":[{\"type\":\"text\",\"text\":\"#%ld %.*s\"}]}]}]}",
             i, i, size, words, new_ts(), i % 1000, i, size, words);
    broadcast_event(event);
}

COMMAND(cmd_flood) {
    long count;
    if (!last_number(args, 1, 100000000, &count)) return WRONG;
    while (work.progress < count) {
        if (!ready()) return AGAIN;
        flood_one(++work.progress);
    }
    say("human", "/flood: %ld messages", count);
    return DONE;
}

COMMAND(cmd_ratelimit) {
    long seconds;
    if (!last_number(args, 0, 86400, &seconds)) return WRONG;
    orders.ratelimit = (int)seconds;
    return DONE;
}

COMMAND(cmd_fail) {
    char *code = strsep(&args, " ");
    long count = 1;
    if (!*code || strlen(code) >= sizeof orders.fail_code) return WRONG;
    if (args && !last_number(args, 1, 1000000, &count)) return WRONG;
    snprintf(orders.fail_code, sizeof orders.fail_code, "%s", code);
    orders.fail_count = (int)count;
    return DONE;
}

static enum verdict status_and_count(char *args, int *status, int *count) {
    long first, second = 1;
    if (!number(&args, 200, 599, &first)) return WRONG;
    if (*args && !last_number(args, 1, 1000000, &second)) return WRONG;
    *status = (int)first;
    *count = (int)second;
    return DONE;
}

COMMAND(cmd_http) { return status_and_count(args, &orders.http_status, &orders.http_count); }
COMMAND(cmd_refuse) { return status_and_count(args, &orders.refuse_status, &orders.refuse_count); }

COMMAND(cmd_mute) {
    say("slack", "/mute: no answer to anything");
    orders.muted = true;
    for (struct conn *conn = box.conns; conn; conn = conn->next) regulate(conn);
    return DONE;
}

/* Who has left while nobody looked must not be taken for a bot by the next line; nor will
   a Web API call that was met with silence be answered now. */
COMMAND(cmd_unmute) {
    say("slack", "/unmute: back again");
    orders.muted = false;
    for (struct conn *conn = box.conns; conn; conn = conn->next) {
        struct pollfd fd = { lws_get_socket_fd(conn->wsi), POLLRDHUP, 0 };
        if (conn->deaf && (!conn->is_ws || poll(&fd, 1, 0) > 0)) {
            conn->leaving = true;
            lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
        }
        regulate(conn);
    }
    return DONE;
}

COMMAND(cmd_wait) { return DONE; /* the table says that it needs a bot */ }

COMMAND(cmd_expect) {
    bool found = false;
    if (!*args) return WRONG;
    while (seen.first && !found) {
        found = strstr(seen.first->text, args) != NULL;
        drop_seen();
    }
    if (!found && still_time(EXPECT_SECONDS * 1000L)) return AGAIN;
    if (found) {
        say("sandbox", "/expect %s: seen", args);
        return DONE;
    }
    warn("/expect %s: the bot has not said this within %d s", args, EXPECT_SECONDS);
    box.status = 1;
    box.done = true;
    return DONE;
}

COMMAND(cmd_sleep) {
    long ms;
    if (!last_number(args, 1, 86400000, &ms)) return WRONG;
    return still_time(ms) ? AGAIN : DONE;
}

COMMAND(cmd_quit) {
    bool busy = false;
    for (struct conn *conn = box.conns; conn; conn = conn->next) busy |= conn->head != NULL;
    if (busy && still_time(1000)) return AGAIN; /* what was sent before shall go out */
    box.done = true;
    return DONE;
}

COMMAND(cmd_help);

static const struct command {
    const char *name, *args, *help;
    bool needs_bot;
    enum verdict (*run)(char *args);
} commands[] = {
    { "goodbye", "", "send goodbye; close 10 s later", true, cmd_goodbye },
    { "close", "[CODE [REASON]]", "send a CLOSE frame", true, cmd_close },
    { "drop", "", "end the TCP connection (FIN), with no CLOSE", true, cmd_drop },
    { "reset", "", "reset the TCP connection (RST)", true, cmd_reset },
    { "migrate", "", "send team_migration_started, then close", true, cmd_migrate },
    { "error", "CODE MESSAGE", "send an error event", true, cmd_error },
    { "typing", "", "the person is typing", true, cmd_typing },
    { "event", "TYPE", "send a bare event of this type", true, cmd_event },
    { "raw", "TEXT", "send this verbatim, as one text frame", true, cmd_raw },
    { "flood", "N", "send N messages as fast as the bot takes them", true, cmd_flood },
    { "ratelimit", "SECONDS", "answer the next Web API call with HTTP 429", false, cmd_ratelimit },
    { "fail", "ERROR [COUNT]", "answer the next rtm.connect calls with it", false, cmd_fail },
    { "http", "STATUS [COUNT]", "answer the next Web API calls with it", false, cmd_http },
    { "refuse", "STATUS [COUNT]", "refuse the next WebSockets with it", false, cmd_refuse },
    { "mute", "", "read and answer nothing, not even PINGs", false, cmd_mute },
    { "unmute", "", "undo /mute", false, cmd_unmute },
    { "wait", "", "wait until a bot is connected", true, cmd_wait },
    { "expect", "TEXT", "wait for TEXT from the bot, or exit 1 after 10 s", false, cmd_expect },
    { "sleep", "MS", "wait so many milliseconds", false, cmd_sleep },
    { "help", "", "this list", false, cmd_help },
    { "quit", "", "exit 0", false, cmd_quit },
};

COMMAND(cmd_help) {
    say("sandbox", "A line is a message to the bot, or a command:");
    for (const struct command *c = commands; c < commands + LWS_ARRAY_SIZE(commands); c++)
        say("sandbox", "  /%s %-*s %s", c->name, 22 - (int)strlen(c->name), c->args, c->help);
    return DONE;
}

static enum verdict execute(const char *line) {
    if (*line != '/') return human(line);
    size_t size = strcspn(line + 1, " ");
    for (const struct command *c = commands; c < commands + LWS_ARRAY_SIZE(commands); c++) {
        if (strlen(c->name) != size || strncmp(c->name, line + 1, size) != 0) continue;
        if (c->needs_bot && !ready()) return AGAIN;
        const char *rest = line + 1 + size;
        char *args = need(strdup(rest + strspn(rest, " "))); /* `line` may be needed again */
        enum verdict verdict = c->run(args);
        free(args);
        if (verdict == WRONG) warn("usage: /%s %s", c->name, c->args);
        return verdict;
    }
    warn("no such command: %.*s (/help lists them)", (int)size + 1, line);
    return WRONG;
}

/* ---- Input -------------------------------------------------------------------------- */

static void read_more(void) {
    enum { PIECE = 16384 };
    if (input.start) memmove(input.data, input.data + input.start, input.size);
    input.start = 0;
    if (input.room < input.size + PIECE) {
        input.room = 2 * input.room + PIECE;
        input.data = need(realloc(input.data, input.room));
    }
    ssize_t got = read(input.fd, input.data + input.size, PIECE);
    if (got > 0) input.size += (size_t)got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR)) input.eof = true;
    input.readable = false;
    if (!input.eof && !input.gone) lws_rx_flow_control(input.wsi, 1);
}

static char *next_line(void) {
    for (;;) {
        char *start = input.data + input.start;
        char *newline = input.size ? memchr(start, '\n', input.size) : NULL;
        if (newline || (input.size && input.eof) || input.size >= MAX_LINE) {
            size_t size = newline ? (size_t)(newline - start) : input.size;
            char *line = need(strndup(start, size - (size && start[size - 1] == '\r')));
            input.start += size + (newline != NULL);
            input.size -= size + (newline != NULL);
            input.line++;
            return line;
        }
        if (input.eof) return input.hangs_up ? need(strdup("/quit")) : NULL;
        if (!input.readable && !input.gone) return NULL;
        read_more();
    }
}

static void finish_line(void) {
    free(work.line);
    lws_sul_schedule(box.context, 0, &work.timer, wake, LWS_SET_TIMER_USEC_CANCEL);
    memset(&work, 0, sizeof work);
}

/* Carries out as many lines as can be; called after every turn of the event loop. */
static void advance(void) {
    while (!box.done && (work.line || (work.line = next_line()))) {
        enum verdict verdict = execute(work.line);
        if (verdict == AGAIN) break;
        finish_line();
        if (verdict == WRONG && options.script) {
            warn("%s, line %d: stopped here", options.script, input.line);
            box.status = 2;
            box.done = true;
        }
    }
    /* Whoever fed us is gone: do not wait for a bot that he would have started. */
    if (input.hangs_up && (input.eof || input.gone) && work.lonely) box.done = true;
}

/* A line written before a client does something is carried out before that is looked at:
   tests rely on it. */
static void take_input(void) {
    struct pollfd fd = { input.fd, POLLIN, 0 };
    if (!input.eof && poll(&fd, 1, 0) > 0) input.readable = true;
    advance();
}

static bool open_input(void) {
    struct stat info;
    if (fcntl(STDIN_FILENO, F_GETFD) < 0) open("/dev/null", O_RDONLY); /* keep 0 taken */
    if (options.script) input.fd = open(options.script, O_RDONLY | O_CLOEXEC);
    if (input.fd < 0 || fstat(input.fd, &info) < 0) {
        warn("cannot read %s: %s", options.script ? options.script : "stdin", strerror(errno));
        return false;
    }
    input.hangs_up = !options.script && (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode) ||
                                         isatty(input.fd));
    return true;
}

static void watch_input(void) {
    int flags = fcntl(input.fd, F_GETFL);
    lws_sock_file_fd_type copy = { .filefd = dup(input.fd) };
    input.wsi = lws_adopt_descriptor_vhost(box.vhost, LWS_ADOPT_RAW_FILE_DESC, copy, "input", NULL);
    input.gone = !input.wsi;
    /* lws has made it non-blocking, and with it the terminal, which stdout shares. */
    fcntl(input.fd, F_SETFL, flags);
}

/* ---- Start and end ------------------------------------------------------------------ */

static struct lws_vhost *listen_on(const char *address, uint64_t flags) {
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.vhost_name = info.iface = address;
    info.port = options.port;
    info.protocols = protocols;
    info.options = flags | LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND;
    info.keepalive_timeout = 60;
    info.alpn = "http/1.1";
    if (!options.plain) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = options.cert;
        info.ssl_private_key_filepath = options.key;
        info.ssl_options_set = (long)(SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1);
    }
    return lws_create_vhost(box.context, &info);
}

static bool is_certificate_good(void) {
    char reason[256];
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    bool good = tls && SSL_CTX_use_certificate_chain_file(tls, options.cert) == 1 &&
                SSL_CTX_use_PrivateKey_file(tls, options.key, SSL_FILETYPE_PEM) == 1;
    ERR_error_string_n(ERR_get_error(), reason, sizeof reason);
    if (!good)
        warn("cannot use the certificate %s with the key %s (tests/certs.sh makes both): %s",
             options.cert, options.key, reason);
    SSL_CTX_free(tls);
    return good;
}

static bool start_listening(void) {
    if (!options.plain && !is_certificate_good()) return false;
    lws_set_log_level(0, NULL); /* here we know better */
    box.vhost = listen_on("127.0.0.1", LWS_SERVER_OPTION_DISABLE_IPV6);
    if (!box.vhost) {
        warn("cannot listen on 127.0.0.1:%d: taken, or not allowed", options.port);
        return false;
    }
    options.port = lws_get_vhost_listen_port(box.vhost);
    listen_on("::1", LWS_SERVER_OPTION_IPV6_V6ONLY_MODIFY | LWS_SERVER_OPTION_IPV6_V6ONLY_VALUE);
    lws_set_log_level(LLL_ERR | LLL_WARN, lws_log);
    say("sandbox", "listening on %s://localhost:%d/api/", options.plain ? "http" : "https",
        options.port);
    return true;
}

/* Whoever waits for this file finds the whole number in it, and somebody listening. */
static bool write_port_file(void) {
    char temporary[4096];
    if (!options.port_file) return true;
    snprintf(temporary, sizeof temporary, "%s.%ld", options.port_file, (long)getpid());
    FILE *file = fopen(temporary, "w");
    bool ok = file && fprintf(file, "%d\n", options.port) > 0;
    if (file && fclose(file)) ok = false;
    if (ok && !rename(temporary, options.port_file)) return true;
    warn("cannot write %s: %s", options.port_file, strerror(errno));
    unlink(temporary);
    return false;
}

static void on_signal(UNUSED int number) {
    stopped = 1;
    lws_cancel_service(box.context); /* writes to a pipe, no more */
}

static int serve(void) {
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_VALIDATE_UTF8 |
                   (options.plain ? 0 : LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT);
    info.server_string = "sandbox";
    info.max_http_header_data = 16 * 1024;
    info.max_http_header_pool = 256;
    info.pt_serv_buf_size = 2 * MAX_RTM;
    box.context = need(lws_create_context(&info));
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);

    if (start_listening() && write_port_file()) {
        watch_input();
        advance();
        while (!stopped && !box.done && lws_service(box.context, 0) >= 0) advance();
    } else {
        box.status = 1;
    }
    signal(SIGINT, SIG_IGN); /* on_signal() would use the context */
    signal(SIGTERM, SIG_IGN);
    finish_line();
    options.quiet = true; /* the connections that end now are no news */
    lws_context_destroy(box.context);
    while (seen.first) drop_seen();
    free(input.data);
    return box.status;
}

static int usage(FILE *to) {
    fputs("usage: sandbox [OPTION]...\n"
          "A local imitation of Slack. Type messages to the bot, or /help.\n"
          "  --port N          where to listen (8443); 0: on any free port\n"
          "  --port-file FILE  write the port's number there, once listening\n"
          "  --cert FILE       certificate (build/certs/server.pem)\n"
          "  --key FILE        and its key (build/certs/server.key)\n"
          "  --plain           http and ws, without TLS\n"
          "  --script FILE     take the lines from FILE, not from stdin\n"
          "  --quiet           print warnings only\n"
          "  --help            print this\n", to);
    return to == stdout ? 0 : 2;
}

int main(int argc, char **argv) {
    static const struct option names[] = {
        { "port", required_argument, NULL, 'p' },   { "port-file", required_argument, NULL, 'f' },
        { "cert", required_argument, NULL, 'c' },   { "key", required_argument, NULL, 'k' },
        { "script", required_argument, NULL, 's' }, { "plain", no_argument, NULL, 'n' },
        { "quiet", no_argument, NULL, 'q' },        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    long port = options.port;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (c) {
        case 'p': if (!last_number(optarg, 0, 65535, &port)) return usage(stderr); break;
        case 'f': options.port_file = optarg; break;
        case 'c': options.cert = optarg; break;
        case 'k': options.key = optarg; break;
        case 's': options.script = optarg; break;
        case 'n': options.plain = true; break;
        case 'q': options.quiet = true; break;
        case 'h': return usage(stdout);
        default: return usage(stderr);
        }
    }
    if (optind < argc) return usage(stderr);
    options.port = (int)port;
    setvbuf(stdout, NULL, _IOLBF, 0);
    lws_set_log_level(LLL_ERR | LLL_WARN, lws_log);
    return open_input() ? serve() : 1;
}
