/* files.c - what is not under /api/: uploads, response URLs, incoming webhooks.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"

enum { RESPONSE_USES = 5, RESPONSE_SECONDS = 30 * 60 };

/* A file on its way, or an answer that may still be given. */
static struct thing {
    struct thing *next;
    lws_usec_t expires;
    int uses;
    long length;
    bool uploaded;
    char id[16], about[128];
} *things;

static struct thing *new_thing(char kind, const char *about) {
    static unsigned count;
    struct thing *thing = need(calloc(1, sizeof *thing));
    snprintf(thing->id, sizeof thing->id, "%c0SANDBOX%u", kind, ++count);
    snprintf(thing->about, sizeof thing->about, "%.127s", about);
    thing->next = things;
    things = thing;
    return thing;
}

static struct thing *find_thing(const char *id) {
    struct thing *thing = things;
    while (thing && strcmp(thing->id, id) != 0) thing = thing->next;
    return thing;
}

const char *own_url(const char *place, const char *id) {
    static char url[256];
    snprintf(url, sizeof url, "%s://%s:%d/%s/%s", options.plain ? "http" : "https",
             options.files_host, options.port, place, id);
    return url;
}

char *new_response_url(const char *about) {
    struct thing *thing = new_thing('R', about);
    thing->uses = RESPONSE_USES;
    thing->expires = now() + (lws_usec_t)RESPONSE_SECONDS * LWS_US_PER_SEC;
    return need(strdup(own_url("response", thing->id)));
}

/* ---- Uploads ------------------------------------------------------------------------ */

char *get_upload_url(struct call *call) {
    const cJSON *length = cJSON_GetObjectItemCaseSensitive(call->args, "length");
    long bytes = cJSON_IsNumber(length) ? (long)length->valuedouble
                                        : atol(member(call->args, "length"));
    if (bytes <= 0) return call->error = "invalid_arguments", NULL;
    struct thing *file = new_thing('F', member(call->args, "filename"));
    file->length = bytes;
    return json("{'ok':true,'upload_url':'%s','file_id':'%s'}", own_url("upload", file->id),
                file->id);
}

char *complete_upload(struct call *call) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->args, "files");
    cJSON *files = cJSON_IsString(item) ? cJSON_Parse(item->valuestring)
                                        : cJSON_Duplicate(item, true), *entry;
    const char *channel = member(call->args, "channel_id");
    char *list = need(strdup("")), *body = NULL;
    cJSON_ArrayForEach(entry, files) {
        struct thing *file = find_thing(member(entry, "id"));
        if (!file || !file->uploaded) {
            call->error = "file_not_found";
            break;
        }
        char *head = list;
        const char *title = *member(entry, "title") ? member(entry, "title") : file->about;
        list = json("%j%j{'id':'%s','name':'%s','title':'%s'}", head, *head ? "," : "", file->id,
                    file->about, title);
        free(head);
        say("bot/api", "shared the file %s", file->about);
    }
    if (!call->error && !*list) call->error = "invalid_arguments";
    if (!call->error) {
        body = json("{'ok':true,'files':[%j]}", list);
        char *more = json(",'files':[%j]", list);
        if (*channel)
            free(post(channel, member(call->args, "initial_comment"), more,
                      member(call->args, "thread_ts")));
        free(more);
    }
    free(list);
    cJSON_Delete(files);
    return body;
}

static bool has_token(struct conn *conn) {
    return lws_hdr_total_length(conn->wsi, WSI_TOKEN_HTTP_AUTHORIZATION) > 0;
}

static char *on_upload(struct conn *conn, const char *id, int *status, const char **type) {
    struct thing *file = find_thing(id);
    unsigned char hash[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
    unsigned size = 0;
    *type = TEXT_TYPE;
    *status = 400;
    if (conn->upload) EVP_DigestFinal_ex(conn->upload, hash, &size);
    for (unsigned i = 0; i < size; i++) snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    size_t got = conn->in_size;
    if (has_token(conn)) {
        say("slack", "upload: a token came along: refused");
    } else if (!file || (long)got != file->length) {
        say("slack", "upload: %zu bytes, %ld were announced", got, file ? file->length : 0);
    } else {
        say("bot/api", "uploaded %s: %zu bytes, SHA-256 %s", file->about, got, hex);
        file->uploaded = true;
        *status = 200;
    }
    return need(strdup(*status == 200 ? "OK" : "refused"));
}

/* ---- Answers without a token -------------------------------------------------------- */

static char *on_response(struct conn *conn, const char *id, int *status, const char **type) {
    struct thing *thing = find_thing(id);
    cJSON *answer = conn->in ? cJSON_Parse(conn->in) : NULL;
    const char *error = NULL;
    *status = 404;
    if (has_token(conn)) error = "a token came along";
    else if (!thing || thing->expires < now() || thing->uses == 0) error = "expired_url";
    else if (!cJSON_IsObject(answer)) *status = 400, error = "invalid_payload";
    if (error) {
        say("slack", "response_url: %s", error);
        cJSON_Delete(answer);
        return json("{'ok':false,'error':'%s'}", error);
    }
    thing->uses--;
    *status = 200;
    char *text = message_text(answer);
    bool all = !strcmp(member(answer, "response_type"), "in_channel");
    say("bot", "answers %s%s: %s", thing->about, all ? "" : " (for you alone)", text);
    note_seen(text);
    free(text);
    cJSON_Delete(answer);
    *type = TEXT_TYPE;
    return need(strdup("ok"));
}

static char *on_webhook(struct conn *conn, UNUSED const char *id, int *status, const char **type) {
    cJSON *message = conn->in ? cJSON_Parse(conn->in) : NULL;
    bool good = cJSON_IsObject(message) && !has_token(conn);
    *type = TEXT_TYPE;
    if (good) {
        char *text = message_text(message);
        say("webhook", "%s", text);
        note_seen(text);
        free(text);
    }
    cJSON_Delete(message);
    *status = good ? 200 : 400;
    return need(strdup(good ? "ok" : "invalid_payload"));
}

static const struct route routes[] = {
    { "/upload/", on_upload }, { "/response/", on_response }, { "/services/", on_webhook },
};

const struct route *find_route(const char *path) {
    for (size_t i = 0; i < LWS_ARRAY_SIZE(routes); i++)
        if (!strncmp(path, routes[i].prefix, strlen(routes[i].prefix))) return &routes[i];
    return NULL;
}
