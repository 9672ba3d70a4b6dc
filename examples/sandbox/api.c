/* api.c - requests: authentication, arguments, and the choice of the function that handles them.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"

/* Failures that /ratelimit and /fail have set for one method. */
static struct rule {
    struct rule *next;
    lws_usec_t limited_until;
    long failures; /* number of calls that will still fail */
    char error[64];
    char name[];
} *rules;

static struct rule *find_rule(const char *name) {
    struct rule *rule = rules;
    while (rule && strcmp(rule->name, name) != 0) rule = rule->next;
    return rule;
}

static struct rule *rule_for(const char *name) {
    struct rule *rule = find_rule(name);
    if (rule) return rule;
    rule = need(calloc(1, sizeof *rule + strlen(name) + 1));
    memcpy(rule->name, name, strlen(name));
    rule->next = rules;
    rules = rule;
    return rule;
}

void limit_method(const char *name, long seconds) {
    rule_for(name)->limited_until = now() + seconds * LWS_US_PER_SEC;
}

bool fail_method(const char *name, const char *error, long count) {
    if (!find_method(name) || strlen(error) >= sizeof rules->error) return false;
    struct rule *rule = rule_for(name);
    snprintf(rule->error, sizeof rule->error, "%s", error);
    rule->failures = count;
    return true;
}

/* The error that /fail has set for this call, or NULL. */
static const char *ordered_error(const char *name) {
    struct rule *rule = find_rule(name);
    if (!rule || rule->failures == 0) return NULL;
    rule->failures--;
    return rule->error;
}

/* Whole seconds until the method is no longer rate limited, or 0. */
static int limited_for(const char *name) {
    struct rule *rule = find_rule(name);
    lws_usec_t left = rule ? rule->limited_until - now() : 0;
    return left > 0 ? (int)((left + LWS_US_PER_SEC - 1) / LWS_US_PER_SEC) : 0;
}

static void answer_late(lws_sorted_usec_list_t *timer) {
    struct conn *conn = lws_container_of(timer, struct conn, slow);
    struct frame *frame = conn->late;
    conn->late = NULL;
    push(conn, frame);
}

/* Responds now, or after the delay of /slow. `wait`: the value of Retry-After, -1 = none. */
static void respond(struct conn *conn, const struct answer *answer, int wait) {
    unsigned char head[1024], *p = head, *end = head + sizeof head;
    char number[16];
    bool failed = lws_add_http_common_headers(conn->wsi, (unsigned)answer->status, answer->type,
                                              answer->size, &p, end);
    if (wait >= 0) {
        int digits = snprintf(number, sizeof number, "%d", wait);
        failed |= lws_add_http_header_by_name(conn->wsi, (const unsigned char *)"retry-after:",
                                              (unsigned char *)number, digits, &p, end);
    }
    failed |= lws_finalize_http_header(conn->wsi, &p, end);
    if (failed) abort();
    size_t head_size = (size_t)(p - head);
    struct frame *frame = new_frame(SEND_HTTP, NULL, head_size + answer->size);
    memcpy(frame->data + LWS_PRE, head, head_size);
    memcpy(frame->data + LWS_PRE + head_size, answer->body, answer->size);
    lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0);
    if (!orders.slow_ms) {
        push(conn, frame);
        return;
    }
    conn->late = frame;
    lws_sul_schedule(box.context, 0, &conn->slow, answer_late, orders.slow_ms * LWS_US_PER_MS);
}

static void respond_with(struct conn *conn, int status, const char *type, const char *text,
                         int wait) {
    struct answer answer = { status, type, need(strdup(text)), strlen(text) };
    respond(conn, &answer, wait);
    free(answer.body);
}

static void get_header(struct conn *conn, enum lws_token_indexes which, char *text, int size) {
    if (lws_hdr_copy(conn->wsi, text, size, which) < 0) *text = '\0';
}

/* The kind of a token by its beginning. */
static enum token token_kind(const char *token) {
    static const char *const bots[] = { "xoxb-", "xoxp-", "xoxc-", "xoxe.xoxb-", "xoxe.xoxp-" };
    if (!strncmp(token, "xapp-", 5) && token[5]) return APP_TOKEN;
    for (size_t i = 0; i < LWS_ARRAY_SIZE(bots); i++)
        if (!strncmp(token, bots[i], strlen(bots[i])) && token[strlen(bots[i])]) return BOT_TOKEN;
    return NO_TOKEN;
}

/* The token from the Authorization header, which is copied to `header`, or from the arguments. */
static const char *find_token(struct conn *conn, const cJSON *args, char *header, int size) {
    get_header(conn, WSI_TOKEN_HTTP_AUTHORIZATION, header, size);
    return !strncasecmp(header, "Bearer ", 7) ? header + 7 : member(args, "token");
}

/* NULL if the token is accepted, else Slack's error code. The token is never printed. */
static const char *check_token(struct conn *conn, const cJSON *args, enum token wanted) {
    char header[512];
    const char *token = find_token(conn, args, header, sizeof header);
    bool bearer = token == header + 7;
    if (wanted == NO_TOKEN) return NULL;
    if (!*header && !*token) return "not_authed";
    enum token kind = token_kind(token);
    if (kind == NO_TOKEN) return "invalid_auth";
    if (wanted == APP_TOKEN && !bearer) return "invalid_auth"; /* only in the header */
    if (kind != wanted && wanted != ANY_TOKEN) return "not_allowed_token_type";
    return kind == BOT_TOKEN ? accept_bot_token(token) : NULL;
}

/* Why the download of a file is refused, or NULL. */
const char *refuse_download(struct conn *conn) {
    const char *error = check_token(conn, NULL, BOT_TOKEN);
    if (error) return error;
    return orders.no_files ? "missing_scope" : NULL;
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

/* multipart/form-data: takes the parts that have a name, without the contents of files. */
static void add_parts(cJSON *args, char *body, const char *boundary) {
    char mark[80];
    boundary += *boundary == '"';
    snprintf(mark, sizeof mark, "\r\n--%.*s", (int)strcspn(boundary, "\";"), boundary);
    char *part = strstr(body, mark + 2), *next; /* the first has no line before it */
    for (; part && (next = strstr(part + 2, mark)); part = next + 2) {
        char *name = strstr(part, " name=\""), *value = strstr(part, "\r\n\r\n");
        if (!name || !value || name > value || value + 4 > next) continue;
        *value = *next = '\0';
        if (!strstr(part, "filename")) {
            name += 7;
            name[strcspn(name, "\"")] = '\0';
            cJSON_AddStringToObject(args, name, value + 4);
        }
    }
}

/* The arguments from the body (JSON, multipart or form) and the query. NULL: invalid JSON. */
static cJSON *parse_arguments(struct conn *conn, const char *type) {
    char pair[4096], *rest = conn->in;
    const char *boundary = strstr(type, "boundary=");
    if (!strncmp(type, "application/json", 16) && rest && *rest) { /* slack-go sends it empty */
        cJSON *args = cJSON_ParseWithOpts(rest, NULL, true);
        if (cJSON_IsObject(args)) return args;
        cJSON_Delete(args);
        return NULL;
    }
    cJSON *args = need(cJSON_CreateObject());
    if (!strncmp(type, "multipart/form-data", 19) && boundary && rest) {
        add_parts(args, rest, boundary + 9);
        rest = NULL;
    }
    while (rest && *rest) add_argument(args, strsep(&rest, "&"), true);
    for (int i = 0; lws_hdr_copy_fragment(conn->wsi, pair, sizeof pair,
                                          WSI_TOKEN_HTTP_URI_ARGS, i) > 0; i++)
        add_argument(args, pair, false); /* lws has decoded it */
    return args;
}

/* Writes a line of --log: method, kind of token, type of the body, names of the arguments. Of a URL
   outside the Web API it writes only the beginning. */
static void log_call(struct conn *conn, const char *name, const char *type, const cJSON *args) {
    static const char *const kinds[] = { "any", "bot", "app", "none" };
    char header[512];
    const cJSON *item;
    const char *comma = "";
    if (!options.log) return;
    enum token kind = token_kind(find_token(conn, args, header, sizeof header));
    fprintf(options.log, "%s token=%s type=%.*s args=", name, kinds[kind],
            (int)strcspn(type, ";"), type);
    cJSON_ArrayForEach(item, args) {
        fprintf(options.log, "%s%s", comma, item->string);
        comma = ",";
    }
    putc('\n', options.log);
    check_output(&options.log, "--log");
}

/* The error for the first argument that is missing, or NULL. */
static const char *missing(const struct method *method, const cJSON *args) {
    static char error[64];
    for (const char *need = method->needs; need && *need; need += strcspn(need, " ")) {
        need += strspn(need, " ");
        char name[64];
        sscanf(need, "%63[^:]:%63s", name, error);
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(args, name);
        if (!item || (cJSON_IsString(item) && !*item->valuestring)) return error;
    }
    return NULL;
}

static char *failure(const struct call *call) {
    if (!call->detail) return json("{'ok':false,'error':'%s'}", call->error);
    return json("{'ok':false,'error':'%s','response_metadata':{'messages':['[ERROR] %s']}}",
                call->error, call->detail);
}

static char *call_method(struct conn *conn, const char *name, const cJSON *args) {
    const struct method *method = find_method(name);
    struct call call = { conn, args, NULL, NULL };
    char *body = NULL;
    if (!method) call.error = "unknown_method";
    else if (!args) call.error = "invalid_json";
    if (!call.error) call.error = check_token(conn, args, method->token);
    if (!call.error) call.error = missing(method, args);
    if (!call.error) call.error = ordered_error(name);
    if (!call.error) body = method->run(&call);
    if (call.error) body = failure(&call);
    const char *report = call.error ? call.error : method->report;
    if (report) say("slack", "%s: %s", name, report);
    return body;
}

/* Handles a complete request. */
int on_call(struct conn *conn) {
    char *uri = NULL, path[256], kind[256];
    int size = 0;
    conn->waiting = false;
    take_input();
    if (conn->head || conn->late || conn->deaf) return -1; /* lws cannot handle pipelining */
    if (lws_http_get_uri_and_method(conn->wsi, &uri, &size) < 0) return -1;
    snprintf(path, sizeof path, "%.*s", size, uri);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const struct route *route = find_route(path);
    int wait = limited_for(name);
    get_header(conn, WSI_TOKEN_HTTP_CONTENT_TYPE, kind, sizeof kind);
    cJSON *args = route ? NULL : parse_arguments(conn, kind);
    log_call(conn, route ? route->prefix : name, kind, args);

    if (orders.muted) {
        say("slack", "%s: no answer", name);
        conn->deaf = true; /* until /unmute, or until the client closes */
        lws_rx_flow_control(conn->wsi, 0);
    } else if (orders.ratelimit >= 0 || wait) {
        if (orders.ratelimit >= 0) wait = orders.ratelimit;
        say("slack", "%s: ratelimited for %d s", name, wait);
        respond_with(conn, 429, JSON_TYPE, "{\"ok\":false,\"error\":\"ratelimited\"}", wait);
        orders.ratelimit = -1;
    } else if (orders.http_count > 0) {
        orders.http_count--;
        say("slack", "%s: HTTP %d", name, orders.http_status);
        bool empty = orders.http_status == 204 || orders.http_status == 304;
        respond_with(conn, orders.http_status, TEXT_TYPE, empty ? "" : "This was ordered.\n", -1);
    } else if (route) {
        char *id = path + strlen(route->prefix);
        id[strcspn(id, "/")] = '\0';
        struct answer answer = route->answer(conn, id);
        respond(conn, &answer, -1);
        free(answer.body);
    } else {
        char *body = call_method(conn, name, args);
        respond_with(conn, 200, JSON_TYPE, body, -1);
        free(body);
    }
    cJSON_Delete(args);
    forget_input(conn);
    return 0;
}

/* The headers are complete. If there is a Content-Length, lws calls back for the body. */
int on_request(struct conn *conn) {
    char length[24] = "", type[256], path[64], *uri = NULL;
    bool is_post = lws_hdr_total_length(conn->wsi, WSI_TOKEN_POST_URI) > 0;
    int size = lws_hdr_copy(conn->wsi, length, sizeof length, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    int uri_size = 0;
    if (size > 0 && (is_post || atoi(length) > 0)) {
        int got = lws_http_get_uri_and_method(conn->wsi, &uri, &uri_size);
        if (got < 0 || strncmp(uri, "/upload/", 8) != 0) return 0;
        snprintf(path, sizeof path, "%.*s", uri_size, uri);
        get_header(conn, WSI_TOKEN_HTTP_CONTENT_TYPE, type, sizeof type);
        begin_upload(conn, path + 8, type);
        return 0;
    }
    conn->last = is_post; /* because lws now waits for a body, as with "curl -X POST" */
    lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0);
    return on_call(conn);
}

/* Takes a piece of a body. */
int on_body(struct conn *conn, const void *data, size_t size) {
    start_waiting(conn);
    if (!conn->upload) return collect(conn, data, size, MAX_BODY) ? 0 : -1;
    lws_set_timeout(conn->wsi, PENDING_TIMEOUT_HTTP_CONTENT, 60);
    return add_to_upload(conn, data, size) ? 0 : -1;
}
