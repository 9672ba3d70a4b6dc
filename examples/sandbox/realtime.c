/* realtime.c - the WebSockets: their URLs, RTM messages, events.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"

/* A hash of the caller's token, which is another for each app. */
static unsigned hash_token(struct conn *conn) {
    char header[512] = "";
    unsigned hash = 2166136261u;
    lws_hdr_copy(conn->wsi, header, sizeof header, WSI_TOKEN_HTTP_AUTHORIZATION);
    for (const char *c = header; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
    return hash;
}

/* A new URL at the host that the client has called; for RTM the ticket is in its path, as with
   Slack. */
const char *new_url(struct conn *conn, bool is_app) {
    static char url[256];
    struct ticket *ticket = &box.tickets[box.issued++ % TICKETS];
    char host[128] = "", *colon;
    lws_hdr_copy(conn->wsi, host, sizeof host, WSI_TOKEN_HOST);
    if ((colon = strrchr(host, ':')) && !strchr(colon, ']')) *colon = '\0';
    lws_get_random(box.context, &ticket->id, sizeof ticket->id);
    ticket->expires = now() + (lws_usec_t)TICKET_SECONDS * LWS_US_PER_SEC;
    ticket->used = false;
    ticket->is_app = is_app;
    ticket->app = hash_token(conn);
    snprintf(url, sizeof url, is_app ? "%s://%s:%d/link/?ticket=%llu&app_id=A0SANDBOX"
                                     : "%s://%s:%d/websocket/%llu?v=1",
             options.plain ? "ws" : "wss", *host ? host : "localhost", options.port, ticket->id);
    return url;
}

void broadcast(const char *text) {
    for EACH_BOT(conn) send_text(conn, text);
}

/* Sends an event to one connection of the app, in an envelope. */
void send_to_app(const char *event) {
    static unsigned count;
    if (!app_connections()) return;
    char id[16], label[64];
    snprintf(id, sizeof id, "Ev%08u", ++count);
    cJSON *parsed = cJSON_Parse(event);
    snprintf(label, sizeof label, "%.40s %s", member(parsed, "type"), id);
    cJSON_Delete(parsed);
    char *payload = json("{'type':'event_callback','team_id':'T0SANDBOX','api_app_id':'A0SANDBOX',"
                         "'event_id':'%s','event':%j}", id, event);
    send_envelope("events_api", label, payload, false, "");
    free(payload);
}

/* Sends an event to every RTM session, and to the app. */
void broadcast_event(const char *event) {
    for EACH_BOT(conn)
        if (!conn->is_app) send_text(conn, event);
    send_to_app(event);
}

void broadcast_and_free(char *event) {
    broadcast_event(event);
    free(event);
}

static void on_tick(UNUSED lws_sorted_usec_list_t *timer) { tick(); }

/* Does what is due: closes connections, sends PINGs, sends envelopes again. */
void tick(void) {
    static lws_sorted_usec_list_t timer;
    bool any = resend();
    for (struct conn *conn = box.conns; conn; conn = conn->next) {
        if (!conn->is_ws) continue;
        any = true;
        if (conn->ends && now() >= conn->ends) {
            if (conn->end_how == CUT_FIN) say("slack", "connection cut");
            if (conn->end_how == CUT_FIN) cut(conn, CUT_FIN);
            else send_close(conn, LWS_CLOSE_STATUS_NORMAL, "");
        } else if (conn->is_app) {
            ping(conn);
        }
    }
    lws_sul_schedule(box.context, 0, &timer, on_tick,
                     any ? 200 * LWS_US_PER_MS : LWS_SET_TIMER_USEC_CANCEL);
}

void end_later(struct conn *conn, enum action how) {
    conn->end_how = how;
    conn->ends = now() + (lws_usec_t)GOODBYE_SECONDS * LWS_US_PER_SEC;
}

/* Why the ticket is refused, and the HTTP status for it; NULL and 0 if it is valid. */
static const char *use_ticket(struct conn *conn, int *status) {
    char text[32], path[64] = "", *slash;
    const char *digits = lws_get_urlarg_by_name(conn->wsi, "ticket=", text, sizeof text);
    lws_hdr_copy(conn->wsi, path, sizeof path, WSI_TOKEN_GET_URI);
    if (!digits && (slash = strrchr(path, '/'))) digits = slash + 1;
    unsigned long long id = digits ? strtoull(digits, NULL, 10) : 0;
    struct ticket *ticket = box.tickets, *end = ticket + TICKETS;
    while (ticket < end && ticket->id != id) ticket++;
    if (!id || ticket == end) return *status = 409, "unknown url";
    if (ticket->used) return *status = 404, "url used before";
    if (ticket->expires < now()) return *status = 408, "url expired";
    ticket->used = true;
    conn->is_app = ticket->is_app;
    conn->app = ticket->app;
    return *status = 0, NULL;
}

int on_upgrade(struct conn *conn, const char *protocol) {
    take_input();
    int status = orders.refuse_status;
    conn->waiting = false;
    const char *why = "as ordered";
    if (strcasecmp(protocol, "websocket") != 0) return -1;
    if (orders.refuse_count > 0) orders.refuse_count--;
    else why = use_ticket(conn, &status);
    if (!why) return 0;
    say("slack", "websocket refused: HTTP %d, %s", status, why);
    lws_return_http_status(conn->wsi, (unsigned)status, NULL);
    return -1;
}

void on_open(struct conn *conn) {
    bool others = false;
    for (const struct conn *c = box.conns; c; c = c->next)
        others = others || (is_bot(c) && c->is_app && c->app != conn->app);
    conn->is_ws = true;
    say("slack", "bot connected%s", conn->is_app ? " (Socket Mode)" : "");
    if (conn->is_app && others)
        warn("this is a second app (another xapp- token): both count as one app here, so each "
             "event goes to only one of them");
    if (conn->is_app) open_app(conn);
    else send_text(conn, "{\"type\":\"hello\"}");
    tick();
}

void on_closed(struct conn *conn) {
    if (conn->cut) return; /* has been reported already */
    if (conn->close_code) say("slack", "bot disconnected (%d)", conn->close_code);
    else say("slack", "bot disconnected (no CLOSE)");
}

static void on_bot_message(struct conn *conn, const char *id, const cJSON *message) {
    const char *text = member(message, "text"), *thread = member(message, "thread_ts");
    const char *channel = member(message, "channel"), *ts = new_ts();
    if (!*text) {
        say("slack", "message refused: its text is missing");
        reply(conn, json("{'ok':false,'reply_to':%j,'error':{'code':2,"
                         "'msg':'message text is missing'}}", id));
        return;
    }
    say("bot", "%s%s%s%s", *thread ? "in thread " : "", thread, *thread ? ": " : "", text);
    note_seen(text);
    char *tail = json(*thread ? ",'thread_ts':'%s'" : "", thread);
    char *event = json("{'type':'message','channel':'%s','channel_type':'%s','user':'U0BOT',"
                       "'bot_id':'B0BOT','text':'%s','ts':'%s','team':'T0SANDBOX'%j}", channel,
                       channel_type(channel), text, ts, tail);
    const char *known = find_channel(channel);
    if (known) keep(known, event);
    else say("slack", "the message went to an unknown channel: %s", channel);
    free(event);
    free(tail);
    reply(conn, json("{'ok':true,'reply_to':%j,'ts':'%s','text':'%s'}", id, ts, text));
}

/* The pong repeats the members of the ping, except objects and arrays. */
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

/* Handles a whole message from the bot, in conn->in. */
static void on_message(struct conn *conn) {
    bool has_nul = strlen(conn->in) != conn->in_size;
    cJSON *message = has_nul ? NULL : cJSON_ParseWithOpts(conn->in, NULL, true);
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(message, "id");
    char *id = cJSON_IsNumber(number) ? cJSON_PrintUnformatted(number) : strdup("null");
    const char *type = member(message, "type");
    if (!cJSON_IsObject(message)) {
        say("slack", "not JSON: %.60s", conn->in);
        reply(conn, json("{'type':'error','error':{'code':3,'msg':'not a JSON object'}}"));
    } else if (conn->is_app && *member(message, "envelope_id")) {
        on_acknowledged(message);
    } else if (conn->is_app) {
        say("slack", "Socket Mode accepts only acknowledgements: %.60s", conn->in);
    } else if (!strcmp(type, "message")) {
        on_bot_message(conn, need(id), message);
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

int on_receive(struct conn *conn, const void *data, size_t size) {
    size_t most = conn->is_app ? MAX_APP : MAX_RTM;
    char reason[64];
    take_input();
    if (conn->cut) return 0;
    if (!collect(conn, data, size, most)) {
        int length = snprintf(reason, sizeof reason, "Max frame length of %zu has been exceeded.",
                              most);
        say("slack", "message over %zu bytes: connection closed", most);
        conn->close_code = LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE;
        lws_close_reason(conn->wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, (unsigned char *)reason,
                         (size_t)length);
        return -1;
    }
    if (!lws_is_final_fragment(conn->wsi)) return 0;
    on_message(conn);
    forget_input(conn);
    return 0;
}
