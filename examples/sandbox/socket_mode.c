/* socket_mode.c - envelopes: each is sent to one connection of the app, and again until it is
   acknowledged.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"

#define ID_PREFIX "00000000-0000-4000-8000-"

enum { ANSWER_SECONDS = 3, FORGET_SECONDS = 600, ACKNOWLEDGED = 256 };

/* When an event is sent again, in seconds after it was first sent: after 4 s in a new envelope,
   after 15 s in the first envelope again. */
enum { AGAIN = 4 };
static const struct { int seconds, attempt; } again[AGAIN] = {
    { 4, 1 }, { 15, 0 }, { 60, 2 }, { 300, 3 } };

static struct envelope { /* not acknowledged yet */
    struct envelope *next;
    char *type, *label, *payload;
    char *view; /* the id of the submitted view, or "" */
    bool accepts, sent;
    int times; /* the number of times it was sent again */
    lws_usec_t since;
    unsigned ids[1 + AGAIN]; /* its own id, and those of retries; 0: none */
} *first, **last = &first;

static unsigned acknowledged[ACKNOWLEDGED], acknowledged_count;
static unsigned last_id;

static bool is_app(const struct conn *conn) { return is_bot(conn) && conn->is_app; }

int app_connections(void) {
    int count = 0;
    for (struct conn *conn = box.conns; conn; conn = conn->next) count += is_app(conn);
    return count;
}

/* A random connection of the app: programs must accept events on each of them. */
static struct conn *any_app(void) {
    int count = app_connections(), n = count ? rand() % count : 0;
    for (struct conn *conn = box.conns; conn; conn = conn->next)
        if (is_app(conn) && n-- == 0) return conn;
    return NULL;
}

static void send_once(struct envelope *envelope, unsigned id, int attempt) {
    struct conn *conn = any_app();
    if (!conn) return;
    char name[40], *retry;
    snprintf(name, sizeof name, ID_PREFIX "%012u", id);
    retry = json(attempt ? ",'retry_attempt':%d,'retry_reason':'timeout'"
                         : !strcmp(envelope->type, "events_api") ? ",'retry_attempt':%d" : "",
                 attempt);
    reply(conn, json("{'envelope_id':'%s','payload':%j,'type':'%s',"
                     "'accepts_response_payload':%j%j}", name, envelope->payload, envelope->type,
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
    free(envelope->view);
    free(envelope);
}

/* Sends the envelopes again that are due; after 3 s without a reply, a user sees a failure. Returns
   whether any are left. */
bool resend(void) {
    for (struct envelope **link = &first; *link;) {
        struct envelope *envelope = *link;
        lws_usec_t age = now() - envelope->since;
        if (!envelope->sent && !app_connections()) {
            envelope->since = now(); /* the envelope waits for a connection */
        } else if (!envelope->sent) {
            send_once(envelope, envelope->ids[0], 0);
        } else if (strcmp(envelope->type, "events_api") != 0) {
            if (age >= ANSWER_SECONDS * LWS_US_PER_SEC) {
                say("slack", "%s: no acknowledgement within 3 s, the user sees a failure",
                    envelope->label);
                remove_envelope(link);
                continue;
            }
        } else if (envelope->times < AGAIN && app_connections() &&
                   age >= again[envelope->times].seconds * LWS_US_PER_SEC) {
            int attempt = again[envelope->times].attempt;
            say("slack", "%s: not acknowledged for %d s, sent again", envelope->label,
                again[envelope->times].seconds);
            unsigned *id = &envelope->ids[attempt];
            if (!*id) *id = ++last_id;
            send_once(envelope, *id, attempt);
            envelope->times++;
        } else if (age >= FORGET_SECONDS * LWS_US_PER_SEC) {
            remove_envelope(link);
            continue;
        }
        link = &envelope->next;
    }
    return first;
}

void send_envelope(const char *type, const char *label, const char *payload, bool accepts,
                   const char *view) {
    struct envelope *envelope = need(calloc(1, sizeof *envelope));
    envelope->type = need(strdup(type));
    envelope->label = need(strdup(label));
    envelope->payload = need(strdup(payload));
    envelope->view = need(strdup(view));
    envelope->accepts = accepts;
    envelope->since = now();
    envelope->ids[0] = ++last_id;
    *last = envelope;
    last = &envelope->next;
    send_once(envelope, envelope->ids[0], 0);
}

/* The contents of a reply besides its action: error messages, or the texts of a view. */
static char *reply_details(const cJSON *payload) {
    const cJSON *errors = cJSON_GetObjectItemCaseSensitive(payload, "errors"), *error;
    const cJSON *view = cJSON_GetObjectItemCaseSensitive(payload, "view");
    char *text = NULL, *contents = message_text(view);
    size_t size;
    FILE *to = need(open_memstream(&text, &size));
    cJSON_ArrayForEach(error, errors)
        if (cJSON_IsString(error)) fprintf(to, ", %s: %s", error->string, error->valuestring);
    if (*contents) fprintf(to, ": %s", contents);
    fclose(to);
    free(contents);
    return need(text);
}

/* The texts of the options in the reply to a block_suggestion. */
static char *option_texts(const cJSON *list) {
    char *text = NULL;
    const char *comma = "";
    size_t size;
    FILE *to = need(open_memstream(&text, &size));
    const cJSON *each;
    cJSON_ArrayForEach(each, list) {
        const cJSON *label = cJSON_GetObjectItemCaseSensitive(each, "text");
        fprintf(to, "%s%s", comma, member(label, "text"));
        comma = ", ";
    }
    fclose(to);
    return need(text);
}

/* Shows the payload of an acknowledgement, and does what it asks for. */
static void apply(const struct envelope *envelope, const cJSON *payload) {
    const cJSON *offered = cJSON_GetObjectItemCaseSensitive(payload, "options");
    char *all = need(cJSON_PrintUnformatted(payload)), *text = message_text(payload);
    if (!envelope->accepts) {
        say("slack", "%s: a payload that is not accepted: %s", envelope->label, all);
    } else if (*member(payload, "response_action")) {
        char *details = reply_details(payload);
        say("bot", "answers %s: %s%s", envelope->label, member(payload, "response_action"),
            details);
        free(details);
    } else if (offered) {
        char *texts = option_texts(offered);
        say("bot", "answers %s: %d options: %s", envelope->label, cJSON_GetArraySize(offered),
            texts);
        free(texts);
    } else if (*text) {
        bool to_all = !strcmp(member(payload, "response_type"), "in_channel");
        say("bot", "answers %s%s: %s", envelope->label, to_all ? "" : " (only for you)", text);
    } else {
        say("bot", "answers %s: %s", envelope->label, all);
    }
    note_seen(*text ? text : all);
    free(text);
    free(all);
}

void on_acknowledged(const cJSON *acknowledgement) {
    const char *text = member(acknowledgement, "envelope_id");
    const cJSON *payload = cJSON_GetObjectItemCaseSensitive(acknowledgement, "payload");
    unsigned id = 0;
    int size = 0;
    if (sscanf(text, ID_PREFIX "%12u%n", &id, &size) != 1 || text[size]) id = 0;
    for (struct envelope **link = &first; id && *link; link = &(*link)->next) {
        struct envelope *envelope = *link;
        int n = 0;
        while (n <= AGAIN && envelope->ids[n] != id) n++;
        if (n > AGAIN) continue;
        say("bot", "acknowledged %s", envelope->label);
        /* Node's clients send an empty one with every acknowledgement. */
        if (payload && (envelope->accepts || payload->child)) apply(envelope, payload);
        if (*envelope->view) answer_view(envelope->view, payload);
        for (n = 0; n <= AGAIN; n++)
            if (envelope->ids[n])
                acknowledged[acknowledged_count++ % ACKNOWLEDGED] = envelope->ids[n];
        remove_envelope(link);
        return;
    }
    for (int i = 0; i < ACKNOWLEDGED; i++)
        if (id && acknowledged[i] == id) {
            say("bot", "acknowledged %s again", text);
            return;
        }
    say("slack", "acknowledgement of an unknown envelope: %.60s", text);
}

/* Cuts a connection that has not answered a PING before the next one is due. */
void ping(struct conn *conn) {
    if (now() < conn->next_ping || conn->leaving || conn->deaf || orders.muted) return;
    conn->next_ping = now() + PING_SECONDS * LWS_US_PER_SEC;
    if (conn->pinged) {
        say("slack", "no answer to a PING: connection cut");
        cut(conn, CUT_FIN);
    } else {
        conn->pinged = true;
        push(conn, new_frame(SEND_PING, "Ping from the sandbox", 21));
    }
}

static void disconnect(struct conn *conn, const char *reason) {
    say("slack", "disconnect: %s", reason);
    reply(conn, json("{'type':'disconnect','reason':'%s','debug_info':{'host':'sandbox'}}",
                     reason));
}

/* Sends `disconnect` to every connection of the app; ends them at once, or later by `how`. */
void disconnect_apps(const char *reason, bool later, enum action how) {
    for EACH_BOT(conn) {
        if (!conn->is_app) continue;
        disconnect(conn, reason);
        if (later) end_later(conn, how);
        else send_close(conn, LWS_CLOSE_STATUS_NORMAL, "");
    }
}

/* Called when a WebSocket of an app is open. */
void open_app(struct conn *conn) {
    int count = app_connections();
    if (orders.link_off || count > MAX_CONNECTIONS) {
        disconnect(conn, orders.link_off ? "link_disabled" : "too_many_websockets");
        send_close(conn, LWS_CLOSE_STATUS_NORMAL, "");
        return;
    }
    reply(conn, json("{'type':'hello','num_connections':%d,'connection_info':"
                     "{'app_id':'A0SANDBOX'},'debug_info':{'host':'sandbox','build_number':1,"
                     "'approximate_connection_time':18060}}", count));
    conn->next_ping = now() + PING_SECONDS * LWS_US_PER_SEC;
}

void forget_envelopes(void) {
    while (first) remove_envelope(&first);
}
