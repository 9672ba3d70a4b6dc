/* socket_mode.c - envelopes: each goes to one connection of the app, and comes again until it is
   acknowledged.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"

enum { ANSWER_SECONDS = 3, ACKNOWLEDGED = 256 };

/* When an event comes again, in seconds after it was first sent, and how: the retry of 4 s is an
   envelope of its own, the one of 15 s the first once more. */
static const struct { int seconds, attempt; } again[] = {
    { 4, 1 }, { 15, 0 }, { 60, 2 }, { 300, 3 } };

static struct envelope { /* not acknowledged yet */
    struct envelope *next;
    char *type, *label, *payload;
    bool accepts, sent;
    size_t times; /* that it came again */
    lws_usec_t since;
    unsigned id, retry_id; /* of the first, and of the latest retry */
} *first, **last = &first;

static unsigned acknowledged[ACKNOWLEDGED], acknowledged_count;
static unsigned ids;

static void look_after(lws_sorted_usec_list_t *timer);
static lws_sorted_usec_list_t retry_timer, ping_timer;

static bool is_app(const struct conn *conn) { return is_bot(conn) && conn->is_app; }

int app_connections(void) {
    int count = 0;
    for (struct conn *conn = box.conns; conn; conn = conn->next) count += is_app(conn);
    return count;
}

/* Any one of the app's connections: a program must be ready for each. */
static struct conn *any_app(void) {
    int count = app_connections(), n = count ? rand() % count : 0;
    for (struct conn *conn = box.conns; conn; conn = conn->next)
        if (is_app(conn) && n-- == 0) return conn;
    return NULL;
}

static void send_once(struct envelope *envelope, unsigned id, int attempt) {
    struct conn *conn = any_app();
    if (!conn) return;
    char number[16], *retry;
    snprintf(number, sizeof number, "%012u", id);
    retry = json(attempt ? ",'retry_attempt':%d,'retry_reason':'timeout'"
                         : !strcmp(envelope->type, "events_api") ? ",'retry_attempt':%d" : "",
                 attempt);
    reply(conn, json("{'envelope_id':'00000000-0000-4000-8000-%s','payload':%j,'type':'%s',"
                     "'accepts_response_payload':%j%j}", number, envelope->payload, envelope->type,
                     envelope->accepts ? "true" : "false", retry));
    free(retry);
    envelope->sent = true;
}

static void remove_envelope(struct envelope **link) {
    struct envelope *envelope = *link;
    *link = envelope->next;
    if (!*link) last = link;
    free(envelope->type);
    free(envelope->label);
    free(envelope->payload);
    free(envelope);
}

static void set_timer(void) {
    lws_sul_schedule(box.context, 0, &retry_timer, look_after,
                     first ? 200 * LWS_US_PER_MS : LWS_SET_TIMER_USEC_CANCEL);
}

/* Sends again what is due. A person does not wait longer than 3 s for an answer. */
static void look_after(UNUSED lws_sorted_usec_list_t *timer) {
    for (struct envelope **link = &first; *link;) {
        struct envelope *envelope = *link;
        lws_usec_t age = lws_now_usecs() - envelope->since;
        if (!envelope->sent && !app_connections()) {
            envelope->since = lws_now_usecs(); /* it waits for a connection */
        } else if (!envelope->sent) {
            send_once(envelope, envelope->id, 0);
        } else if (strcmp(envelope->type, "events_api") != 0) {
            if (age >= ANSWER_SECONDS * LWS_US_PER_SEC) {
                say("slack", "%s: no acknowledgement within 3 s, the person sees a failure",
                    envelope->label);
                remove_envelope(link);
                continue;
            }
        } else if (envelope->times == LWS_ARRAY_SIZE(again)) {
            remove_envelope(link);
            continue;
        } else if (age >= again[envelope->times].seconds * LWS_US_PER_SEC) {
            int attempt = again[envelope->times].attempt;
            say("slack", "%s: not acknowledged for %d s, sent again", envelope->label,
                again[envelope->times].seconds);
            if (attempt) envelope->retry_id = ++ids;
            send_once(envelope, attempt ? envelope->retry_id : envelope->id, attempt);
            envelope->times++;
        }
        link = &envelope->next;
    }
    set_timer();
}

void send_envelope(const char *type, const char *label, const char *payload, bool accepts) {
    struct envelope *envelope = need(calloc(1, sizeof *envelope));
    envelope->type = need(strdup(type));
    envelope->label = need(strdup(label));
    envelope->payload = need(strdup(payload));
    envelope->accepts = accepts;
    envelope->since = lws_now_usecs();
    envelope->id = ++ids;
    *last = envelope;
    last = &envelope->next;
    send_once(envelope, envelope->id, 0);
    if (envelope == first) set_timer();
}

/* What an acknowledgement carries: shown, and what a person would see of it done. */
static void apply(const struct envelope *envelope, const cJSON *payload) {
    char *all = need(cJSON_PrintUnformatted(payload));
    if (!envelope->accepts && !payload->child) {
        free(all); /* Node's clients send an empty one with every acknowledgement */
        return;
    }
    if (!envelope->accepts) {
        say("slack", "%s: a payload that is not accepted: %s", envelope->label, all);
    } else if (*member(payload, "response_action")) {
        say("bot", "answers %s: %s", envelope->label, member(payload, "response_action"));
    } else if (*member(payload, "text") ||
               cJSON_GetObjectItemCaseSensitive(payload, "blocks")) {
        char *text = message_text(payload);
        bool to_all = !strcmp(member(payload, "response_type"), "in_channel");
        say("bot", "answers %s%s: %s", envelope->label, to_all ? "" : " (for you alone)", text);
        free(text);
    } else {
        say("bot", "answers %s: %s", envelope->label, all);
    }
    note_seen(all);
    free(all);
}

void on_acknowledged(const cJSON *acknowledgement) {
    const char *text = member(acknowledgement, "envelope_id"), *dash = strrchr(text, '-');
    const cJSON *payload = cJSON_GetObjectItemCaseSensitive(acknowledgement, "payload");
    unsigned id = dash ? (unsigned)strtoul(dash + 1, NULL, 10) : 0;
    for (struct envelope **link = &first; *link; link = &(*link)->next) {
        struct envelope *envelope = *link;
        if (envelope->id != id && envelope->retry_id != id) continue;
        say("bot", "acknowledged %s", envelope->label);
        if (payload) apply(envelope, payload);
        acknowledged[acknowledged_count++ % ACKNOWLEDGED] = envelope->id;
        if (envelope->retry_id)
            acknowledged[acknowledged_count++ % ACKNOWLEDGED] = envelope->retry_id;
        remove_envelope(link);
        return;
    }
    for (int i = 0; i < ACKNOWLEDGED; i++)
        if (id && acknowledged[i] == id) {
            say("bot", "acknowledged %s again", text);
            return;
        }
    say("slack", "acknowledgement of an envelope that nobody sent: %.60s", text);
}

/* Who does not answer a PING before the next is due is cut. */
static void ping(UNUSED lws_sorted_usec_list_t *timer) {
    for (struct conn *conn = box.conns; conn; conn = conn->next) {
        if (!is_app(conn) || orders.muted) continue;
        if (conn->pinged) {
            say("slack", "no answer to a PING: connection cut");
            cut(conn, CUT_FIN);
        } else {
            conn->pinged = true;
            push(conn, new_frame(SEND_PING, "Ping from the sandbox", 21));
        }
    }
    lws_sul_schedule(box.context, 0, &ping_timer, ping,
                     app_connections() ? PING_SECONDS * LWS_US_PER_SEC : LWS_SET_TIMER_USEC_CANCEL);
}

static void disconnect(struct conn *conn, const char *reason, int seconds) {
    say("slack", "disconnect: %s", reason);
    reply(conn, json("{'type':'disconnect','reason':'%s','debug_info':{'host':'sandbox'}}",
                     reason));
    if (seconds > 0) lws_set_timer_usecs(conn->wsi, (lws_usec_t)seconds * LWS_US_PER_SEC);
    if (seconds == 0) send_close(conn, LWS_CLOSE_STATUS_NORMAL, "");
}

void disconnect_apps(const char *reason, int seconds) {
    for EACH_BOT(conn)
        if (conn->is_app) disconnect(conn, reason, seconds);
}

/* A WebSocket of an app is open. */
void open_app(struct conn *conn) {
    int count = app_connections();
    if (orders.link_off || count > MAX_CONNECTIONS) {
        disconnect(conn, orders.link_off ? "link_disabled" : "too_many_websockets", 0);
        return;
    }
    reply(conn, json("{'type':'hello','num_connections':%d,'connection_info':"
                     "{'app_id':'A0SANDBOX'},'debug_info':{'host':'sandbox','build_number':1,"
                     "'approximate_connection_time':18060}}", count));
    if (count == 1)
        lws_sul_schedule(box.context, 0, &ping_timer, ping, PING_SECONDS * LWS_US_PER_SEC);
}

void forget_envelopes(void) {
    while (first) remove_envelope(&first);
}
