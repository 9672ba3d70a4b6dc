/* rtm.h receives the responses of bodies.js:   bodies https://localhost:PORT/ submit|perform

   A request body of 100 MB is streamed: its hash and the memory used are checked. Then a response
   in every form that HTTP/1.1 has is requested. */
#define RTM_IMPLEMENTATION
#include "rtm.h"

enum { LARGE = 100 * 1000 * 1000, MEMORY_KIB = 512 };

static const struct form {
    const char *path;
    rtm_result result;
    int status;
    size_t size;
    enum { KEPT, ENDS, DROPPED } after; /* the connection; DROPPED: closed without close_notify */
} forms[] = {
    { "plain", RTM_OK, 200, 1000, KEPT },
    { "chunked", RTM_OK, 200, 650000, KEPT },
    { "chunks", RTM_OK, 200, 1000, KEPT },
    { "bytes", RTM_OK, 200, 260, KEPT },
    { "chunkbytes", RTM_OK, 200, 260, KEPT },
    { "empty", RTM_OK, 200, 0, KEPT },
    { "204", RTM_OK, 204, 0, KEPT },
    { "trailers", RTM_OK, 200, 1000, KEPT },
    { "hints", RTM_OK, 200, 1000, KEPT },
    { "302", RTM_E_HTTP, 302, 0, KEPT },
    { "500", RTM_E_HTTP, 500, 1000, KEPT },
    { "nothing", RTM_E_HTTP, 404, 0, KEPT },
    { "close", RTM_OK, 200, 100000, ENDS },
    { "last", RTM_OK, 200, 1000, ENDS },
    { "drop", RTM_OK, 200, 1000, DROPPED },
    { "cut", RTM_E_HTTP, 0, 0, ENDS },
    { "plain", RTM_OK, 200, 1000, KEPT },
};

static const char *server;
static bool submit;
static int failures;

/* The contents of a response. */
typedef struct heard {
    int calls, status;
    rtm_result result;
    size_t size;
    bool letters; /* the body is the alphabet, repeated */
    long long connections, followed, length;
    char sha256[65], type[64], detail[256];
    bool chunked;
} heard;

static void hear(rtm_client *bot, const rtm_response *response, void *user_data) {
    heard *h = user_data;
    (void)bot;
    h->calls++;
    h->status = response->status;
    h->result = response->result;
    h->size = response->body_size;
    h->letters = true;
    for (size_t i = 0; i < h->size; i++)
        h->letters = h->letters && response->body[i] == (char)('a' + i % 26);
    h->connections = rtm_json_int(rtm_json_get(response->data, "connections"), -1);
    h->followed = rtm_json_int(rtm_json_get(response->data, "followed"), -1);
    h->length = rtm_json_int(rtm_json_get(response->data, "size"), -1);
    h->chunked = rtm_json_bool(rtm_json_get(response->data, "chunked"), true);
    rtm_json_string(rtm_json_get(response->data, "sha256"), h->sha256, sizeof h->sha256);
    rtm_json_string(rtm_json_get(response->data, "type"), h->type, sizeof h->type);
    snprintf(h->detail, sizeof h->detail, "%s", response->detail);
}

static heard ask(rtm_client *bot, const char *path, rtm_request request) {
    heard h = { 0 };
    char url[256];
    snprintf(url, sizeof url, "%s%s", server, path);
    request.url = url;
    request.callback = hear;
    if (!request.user_data) request.user_data = &h; /* read_body has its own */
    if (!submit) {
        rtm_response response;
        rtm_perform(bot, &request, &response);
        hear(bot, &response, &h);
        return h;
    }
    int result = rtm_submit(bot, &request);
    while (result >= 0 && !((heard *)request.user_data)->calls) result = rtm_poll(bot, 1000);
    if (result < 0) snprintf(h.detail, sizeof h.detail, "%s", rtm_error_detail(bot));
    return *(heard *)request.user_data;
}

static void expect(bool condition, const char *what, const heard *h) {
    if (condition) return;
    failures++;
    printf("bodies: FAILED: %s by %s: result %d, status %d, %zu bytes: %s\n", what,
           submit ? "rtm_submit" : "rtm_perform", h->result, h->status, h->size, h->detail);
}

static void ask_for_all(rtm_client *bot) {
    /* rtm_poll also calls rtm.connect; the server asks it to wait an hour: no effect here */
    while (submit && rtm_get_state(bot) != RTM_STATE_BACKOFF) rtm_poll(bot, 1000);
    heard h = ask(bot, "counts", (rtm_request){ 0 });
    long long connections = h.connections;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const struct form *f = &forms[i];
        h = ask(bot, f->path, (rtm_request){ 0 });
        bool told = h.calls == 1 && h.result == f->result && h.status == f->status;
        expect(told && h.size == f->size && h.letters, f->path, &h);
        if (f->after == DROPPED) poll(NULL, 0, 100); /* until the FIN has arrived */
        if (f->after != KEPT) connections++;
    }
    h = ask(bot, "counts", (rtm_request){ 0 });
    expect(h.connections == connections, "connections are kept, or not", &h);
    expect(h.followed == 0, "a redirect is not followed", &h);
}

/* The large body: server and client compute the same bytes; in pieces of all sizes. */
typedef struct source {
    heard heard; /* first, so that one pointer is valid for callback and read_body */
    br_sha256_context sha;
    unsigned seed;
} source;

static size_t hand_out(void *buf, size_t size, void *user_data) {
    source *s = user_data;
    s->seed = s->seed * 1103515245u + 12345u;
    size_t n = s->seed % 3 ? size : 1 + (s->seed >> 8) % size;
    for (size_t i = 0; i < n; i++) ((unsigned char *)buf)[i] = (unsigned char)(s->seed >> 16 ^ i);
    br_sha256_update(&s->sha, buf, n);
    return n;
}

/* The peak memory of this process, in KiB. */
static long peak_kib(void) {
    char line[256];
    long kib = 0;
    FILE *in = fopen("/proc/self/status", "r");
    while (in && fgets(line, sizeof line, in))
        if (!strncmp(line, "VmHWM:", 6)) kib = strtol(line + 6, NULL, 10);
    if (in) fclose(in);
    return kib;
}

static void stream(rtm_client *bot, size_t size) {
    source s = { .seed = 1 };
    unsigned char hash[br_sha256_SIZE];
    char text[65];
    br_sha256_init(&s.sha);
    s.heard = ask(bot, "hash", (rtm_request){ .read_body = hand_out, .body_size = size,
                                              .user_data = &s, .timeout_ms = 120000 });
    br_sha256_out(&s.sha, hash);
    for (size_t i = 0; i < sizeof hash; i++) snprintf(text + 2 * i, 3, "%02x", hash[i]);
    const heard *h = &s.heard;
    expect(h->result == RTM_OK && h->length == (long long)size, "a body by read", h);
    expect(!strcmp(h->sha256, text) && !h->chunked, "its hash", h);
    expect(!strcmp(h->type, "application/octet-stream"), "its type", h);
}

int main(int argc, char **argv) {
    rtm_client *bot;
    char base[256];
    if (argc != 3) return 2;
    server = argv[1];
    submit = !strcmp(argv[2], "submit");
    snprintf(base, sizeof base, "%sapi/", server);
    if (rtm_create(&(rtm_config){ .token = "xoxb-interop", .base_url = base, .proxy = "" }, &bot)) {
        fprintf(stderr, "bodies: %s\n", rtm_error_detail(NULL));
        return 1;
    }
    stream(bot, 1); /* before the large responses, which raise the peak */
    long before = peak_kib();
    stream(bot, LARGE);
    long grown = peak_kib() - before;
    expect(grown <= MEMORY_KIB, "a large body takes no memory", &(heard){ .size = 0 });
    ask_for_all(bot);
    printf("bodies: rtm_%s: %zu forms of answers, and 100 MB, which took %ld KiB of memory\n",
           argv[2], sizeof forms / sizeof *forms, grown);
    rtm_destroy(bot);
    return failures != 0;
}
