/* conn.c - connections, and what is queued for each.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"

struct conn *conn_of(struct lws *wsi) {
    /* Not in lws's per-session memory, which is freed after every HTTP transaction. */
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

/* The connection that has waited longest for a request, if there are too many of them. */
static struct conn *longest_waiting(void) {
    struct conn *longest = NULL;
    int count = 0;
    for (struct conn *conn = box.conns; conn; conn = conn->next) {
        if (!conn->waiting) continue;
        count++;
        if (!longest || conn->waiting_since < longest->waiting_since) longest = conn;
    }
    return count > MAX_WAITING ? longest : NULL;
}

/* The connection begins to wait for a request, or for the rest of one. Clients that never send a
   whole request must not keep others out. */
void start_waiting(struct conn *conn) {
    conn->waiting = true;
    conn->waiting_since = lws_now_usecs();
    struct conn *longest = longest_waiting();
    if (!longest) return;
    longest->waiting = false;
    shutdown(lws_get_socket_fd(longest->wsi), SHUT_RDWR); /* lws notices, and closes it */
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

void forget_input(struct conn *conn) {
    free(conn->in);
    conn->in = NULL;
    conn->in_size = 0;
    forget_upload(conn);
}

void forget(struct conn *conn) {
    struct conn **link = &box.conns;
    while (*link != conn) link = &(*link)->next;
    *link = conn->next;
    clear_queue(conn);
    forget_input(conn);
    lws_sul_schedule(box.context, 0, &conn->slow, NULL, LWS_SET_TIMER_USEC_CANCEL);
    free(conn->late);
    free(conn);
}

/* A muted connection is neither read from nor written to, except to cut it. */
static bool is_muted(const struct conn *conn) { return orders.muted && conn->is_ws && !conn->cut; }

/* Starts and stops reading and writing, depending on the queue and /mute. */
void regulate(struct conn *conn) {
    bool deaf = is_muted(conn) || conn->queued >= HIGH_WATER;
    if (conn->is_ws && deaf != conn->deaf) {
        conn->deaf = deaf;
        lws_rx_flow_control(conn->wsi, !deaf);
    }
    if (conn->head && !is_muted(conn)) lws_callback_on_writable(conn->wsi);
}

struct frame *new_frame(enum action action, const char *payload, size_t size) {
    struct frame *frame = need(calloc(1, sizeof *frame + LWS_PRE + size));
    frame->action = action;
    frame->size = size;
    if (payload) memcpy(frame->data + LWS_PRE, payload, size);
    return frame;
}

void push(struct conn *conn, struct frame *frame) {
    *conn->tail = frame;
    conn->tail = &frame->next;
    conn->queued += frame->size;
    regulate(conn);
}

/* Ends the connection without CLOSE. Frames that were queued before are still sent, unless
   muted. */
void cut(struct conn *conn, enum action how) {
    if (orders.muted) clear_queue(conn);
    conn->leaving = conn->cut = true;
    conn->ends = 0;
    push(conn, new_frame(how, "", 0));
}

void send_close(struct conn *conn, int code, const char *reason) {
    struct frame *frame = new_frame(SEND_CLOSE, reason, strlen(reason));
    frame->code = code;
    conn->leaving = true;
    conn->ends = 0;
    push(conn, frame);
}

void send_text(struct conn *conn, const char *text) {
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

void reply(struct conn *conn, char *text) {
    send_text(conn, text);
    free(text);
}

bool is_bot(const struct conn *conn) { return conn->is_ws && !conn->leaving; }

static void cut_now(struct conn *conn, enum action how) {
    struct linger linger = { 1, 0 };
    int fd = lws_get_socket_fd(conn->wsi);
    /* Without close_notify too, but the TLS session may be resumed. */
    if (!options.plain) SSL_set_shutdown(lws_get_ssl(conn->wsi), SSL_SENT_SHUTDOWN);
    if (how == CUT_RST) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    } else { /* closing at once would send a RST if there is unread input */
        shutdown(fd, SHUT_WR);
        lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_OK, 1);
    }
}

static int deliver(struct conn *conn, struct frame *frame) {
    unsigned char *payload = frame->data + LWS_PRE;
    switch (frame->action) {
    case SEND_TEXT: return lws_write(conn->wsi, payload, frame->size, LWS_WRITE_TEXT) < 0 ? -1 : 0;
    case SEND_PING: return lws_write(conn->wsi, payload, frame->size, LWS_WRITE_PING) < 0 ? -1 : 0;
    case SEND_HTTP:
        if (lws_write(conn->wsi, payload, frame->size, LWS_WRITE_HTTP_FINAL) < 0) return -1;
        if (conn->last || lws_http_transaction_completed(conn->wsi)) return -1;
        start_waiting(conn);
        return 0;
    case SEND_CLOSE:
        conn->close_code = frame->code;
        lws_close_reason(conn->wsi, (enum lws_close_status)frame->code, payload, frame->size);
        return -1; /* lws sends the CLOSE now, and waits for the reply */
    default: cut_now(conn, frame->action); return 0;
    }
}

int on_writeable(struct conn *conn) {
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

/* Adds to a body or a message; always ends it with a NUL. */
bool collect(struct conn *conn, const void *data, size_t size, size_t most) {
    if (conn->in_size + size > most) return false;
    conn->in = need(realloc(conn->in, conn->in_size + size + 1));
    if (size) memcpy(conn->in + conn->in_size, data, size);
    conn->in_size += size;
    conn->in[conn->in_size] = '\0';
    return true;
}
