/* files.c - URLs outside /api/: uploads, shared files, response URLs, incoming webhooks.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"

enum { RESPONSE_USES = 5, RESPONSE_SECONDS = 30 * 60 };

/* A file, or a response URL. */
static struct thing {
    struct thing *next;
    lws_usec_t expires;
    int uses;
    long length;
    bool uploaded;
    char id[24], about[128];
    char *path; /* of a shared file, on this machine */
} *things;

/* Removes the oldest file or response URL if there are too many. */
static void limit_things(void) {
    struct thing **link = &things;
    for (int count = 0; *link && count < MAX_THINGS; count++) link = &(*link)->next;
    if (!*link) return;
    free((*link)->path);
    free(*link);
    *link = NULL;
}

static struct thing *new_thing(char kind, const char *about) {
    static unsigned count;
    struct thing *thing = need(calloc(1, sizeof *thing));
    snprintf(thing->id, sizeof thing->id, "%c0SANDBOX%u", kind, ++count);
    snprintf(thing->about, sizeof thing->about, "%.127s", about);
    thing->next = things;
    things = thing;
    limit_things();
    return thing;
}

static struct thing *find_thing(const char *id) {
    struct thing *thing = things;
    while (thing && strcmp(thing->id, id) != 0) thing = thing->next;
    return thing;
}

/* The MIME type for the extension of the name. */
static const char *mime_type(const char *name) {
    static const char *const types[][2] = {
        { ".txt", "text/plain" },       { ".json", "application/json" }, { ".csv", "text/csv" },
        { ".html", "text/html" },       { ".pdf", "application/pdf" },   { ".png", "image/png" },
        { ".jpg", "image/jpeg" },       { ".gif", "image/gif" },         { ".md", "text/markdown" },
        { ".zip", "application/zip" },
    };
    const char *end = strrchr(name, '.');
    for (size_t i = 0; end && i < LWS_ARRAY_SIZE(types); i++)
        if (!strcasecmp(end, types[i][0])) return types[i][1];
    return "application/octet-stream";
}

static struct answer answer_text(int status, const char *type, const char *text) {
    return (struct answer){ status, type, need(strdup(text)), strlen(text) };
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

/* The body is counted and hashed, but not kept. Slack's own SDK for Node sends the file as a part
   of a form: then the body has a head before the file, and a tail after it. */
struct upload {
    EVP_MD_CTX *hash;
    size_t size, announced; /* of the file; announced in files.getUploadURLExternal */
    size_t total;           /* of the body */
    bool is_form;
    size_t head; /* bytes of "\r\n\r\n", the end of the head, that have arrived */
};

void begin_upload(struct conn *conn, const char *id, const char *type) {
    const struct thing *file = find_thing(id);
    struct upload *upload = need(calloc(1, sizeof *upload));
    upload->hash = need(EVP_MD_CTX_new());
    EVP_DigestInit_ex(upload->hash, EVP_sha256(), NULL);
    upload->announced = file ? (size_t)file->length : 0;
    upload->is_form = !strncmp(type, "multipart/form-data", 19);
    conn->upload = upload;
}

/* The bytes at the start of `data` that belong to the head of a form. */
static size_t skip_head(struct upload *upload, const char *data, size_t size) {
    static const char end[] = "\r\n\r\n";
    size_t at = 0;
    while (at < size && upload->head < strlen(end)) {
        if (data[at] == end[upload->head]) upload->head++;
        else upload->head = data[at] == '\r';
        at++;
    }
    return at;
}

bool add_to_upload(struct conn *conn, const char *data, size_t size) {
    struct upload *upload = conn->upload;
    upload->total += size;
    if (upload->is_form) {
        size_t skipped = skip_head(upload, data, size);
        data += skipped;
        size -= skipped;
        size_t left = upload->announced - upload->size;
        if (size > left) size = left; /* the tail is not part of the file */
    }
    upload->size += size;
    return EVP_DigestUpdate(upload->hash, data, size) == 1 && upload->total <= MAX_UPLOAD;
}

void forget_upload(struct conn *conn) {
    if (!conn->upload) return;
    EVP_MD_CTX_free(conn->upload->hash);
    free(conn->upload);
    conn->upload = NULL;
}

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
    if (*channel) {
        channel = find_channel(channel);
        if (!channel) call->error = "channel_not_found";
        else check_thread(call, channel);
    }
    if (call->error) return cJSON_Delete(files), NULL;
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

char *list_files(UNUSED struct call *call) {
    char *list = need(strdup(""));
    int count = 0;
    for (const struct thing *thing = things; thing; thing = thing->next) {
        if (!thing->uploaded && !thing->path) continue;
        char *head = list;
        list = json("%j%j{'id':'%s','name':'%s','mimetype':'%s','user':'%s'}", head,
                    *head ? "," : "", thing->id, thing->about, mime_type(thing->about),
                    thing->path ? "U0HUMAN" : "U0BOT");
        free(head);
        count++;
    }
    char *body = json("{'ok':true,'files':[%j],'paging':{'count':%d,'total':%d,'page':1,"
                      "'pages':1}}", list, count, count);
    free(list);
    return body;
}

static bool has_token(struct conn *conn) {
    return lws_hdr_total_length(conn->wsi, WSI_TOKEN_HTTP_AUTHORIZATION) > 0;
}

static struct answer on_upload(struct conn *conn, const char *id) {
    struct thing *file = find_thing(id);
    unsigned char hash[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
    unsigned hash_size = 0;
    size_t size = conn->upload ? conn->upload->size : 0;
    if (conn->upload) EVP_DigestFinal_ex(conn->upload->hash, hash, &hash_size);
    for (unsigned i = 0; i < hash_size; i++) snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    if (has_token(conn)) say("slack", "upload: warning: a token was sent, the URL needs none");
    if (!file || (long)size != file->length) {
        say("slack", "upload: %zu bytes, %ld were announced", size, file ? file->length : 0);
        return answer_text(400, TEXT_TYPE, "refused");
    }
    say("bot/api", "uploaded %s: %zu bytes, SHA-256 %s", file->about, size, hex);
    file->uploaded = true;
    return answer_text(200, TEXT_TYPE, "OK");
}

/* ---- Files that the user shares ----------------------------------------------------- */

/* The whole file, to be freed, or NULL with errno set. */
static char *read_file(const char *path, size_t *size) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return NULL;
    bool good = !fstat(fd, &info) && S_ISREG(info.st_mode) && info.st_size <= MAX_SHARED;
    if (!good) {
        close(fd);
        errno = S_ISREG(info.st_mode) ? EFBIG : EINVAL;
        return NULL;
    }
    char *data = need(malloc((size_t)info.st_size + 1));
    *size = 0;
    ssize_t got = 1;
    while (got > 0 && *size < (size_t)info.st_size) {
        got = read(fd, data + *size, (size_t)info.st_size - *size);
        if (got > 0) *size += (size_t)got;
    }
    close(fd);
    return data;
}

char *share(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t size;
    char *data = read_file(path, &size);
    if (!data) return NULL;
    free(data);
    struct thing *file = new_thing('F', name);
    file->path = need(strdup(path));
    char encoded[3 * sizeof file->about + 1], number[24];
    lws_urlencode(encoded, name, sizeof encoded);
    char *url = json("%j/%j", own_url("files", file->id), encoded);
    snprintf(number, sizeof number, "%zu", size);
    char *files = json("[{'id':'%s','name':'%s','title':'%s','mimetype':'%s','size':%j,"
                       "'user':'U0HUMAN','mode':'hosted','url_private':'%j',"
                       "'url_private_download':'%j'}]", file->id, name, name, mime_type(name),
                       number, url, url);
    free(url);
    return files;
}

/* Without a valid token, Slack sends a login page with status 200. */
static struct answer login_page(const char *why) {
    say("slack", "download: %s: a login page is sent", why);
    return answer_text(200, "text/html; charset=utf-8",
                       "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head>"
                       "<body>Sign in to your workspace</body></html>\n");
}

static struct answer on_download(struct conn *conn, const char *id) {
    const char *refusal = refuse_download(conn);
    const struct thing *file = find_thing(id);
    struct answer answer = { 200, NULL, NULL, 0 };
    if (refusal) return login_page(refusal);
    if (file && file->path) answer.body = read_file(file->path, &answer.size);
    if (!answer.body) return answer_text(404, TEXT_TYPE, "file_not_found");
    answer.type = mime_type(file->path);
    say("bot/api", "downloaded %s: %zu bytes", file->about, answer.size);
    return answer;
}

/* ---- Responses without a token ------------------------------------------------------ */

static struct answer on_response(struct conn *conn, const char *id) {
    struct thing *thing = find_thing(id);
    cJSON *message = conn->in ? cJSON_Parse(conn->in) : NULL;
    const char *error = NULL;
    int status = 404;
    if (has_token(conn)) {
        error = "a token was sent";
    } else if (!thing || thing->expires < now() || thing->uses == 0) {
        error = "expired_url";
    } else if (!cJSON_IsObject(message)) {
        status = 400;
        error = "invalid_payload";
    }
    if (error) {
        say("slack", "response_url: %s", error);
        cJSON_Delete(message);
        char *body = json("{'ok':false,'error':'%s'}", error);
        return (struct answer){ status, JSON_TYPE, body, strlen(body) };
    }
    thing->uses--;
    char *text = message_text(message);
    bool all = !strcmp(member(message, "response_type"), "in_channel");
    say("bot", "answers %s%s: %s", thing->about, all ? "" : " (only for you)", text);
    note_seen(text);
    free(text);
    cJSON_Delete(message);
    return answer_text(200, TEXT_TYPE, "ok");
}

static struct answer on_webhook(struct conn *conn, UNUSED const char *id) {
    cJSON *message = conn->in ? cJSON_Parse(conn->in) : NULL;
    bool good = cJSON_IsObject(message) && !has_token(conn);
    if (good) {
        char *text = message_text(message);
        say("webhook", "%s", text);
        note_seen(text);
        free(text);
    }
    cJSON_Delete(message);
    return answer_text(good ? 200 : 400, TEXT_TYPE, good ? "ok" : "invalid_payload");
}

static const struct route routes[] = {
    { "/upload/", on_upload },     { "/response/", on_response },
    { "/services/", on_webhook }, { "/files/", on_download },
};

const struct route *find_route(const char *path) {
    for (size_t i = 0; i < LWS_ARRAY_SIZE(routes); i++)
        if (!strncmp(path, routes[i].prefix, strlen(routes[i].prefix))) return &routes[i];
    return NULL;
}
