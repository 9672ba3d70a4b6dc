/* memory - what rtm.h takes: heap to the byte, by an allocator that counts, and RSS. Against the
   benchmark's server, whose URL is the first argument, without "mode=…/api/".
     memory URL CA_FILE CLIENTS */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t live, peak;
static long allocations;

/* The size of a block is stored before it. A block that grows is counted twice while it is copied:
   no allocator is guaranteed to grow it in place. */
static void *count_realloc(void *block, size_t size) {
    enum { HEAD = 16 };
    char *old = block ? (char *)block - HEAD : NULL, *grown = malloc(size + HEAD);
    if (!grown) return NULL;
    size_t old_size = 0;
    if (old) memcpy(&old_size, old, sizeof old_size);
    memcpy(grown, &size, sizeof size);
    if (old) memcpy(grown + HEAD, old + HEAD, old_size < size ? old_size : size);
    allocations++;
    live += size;
    if (live > peak) peak = live;
    live -= old_size;
    free(old);
    return grown + HEAD;
}

static void count_free(void *block) {
    size_t size;
    if (!block) return;
    memcpy(&size, (char *)block - 16, sizeof size);
    live -= size;
    free((char *)block - 16);
}

#define RTM_REALLOC(ptr, size) count_realloc(ptr, size)
#define RTM_FREE(ptr) count_free(ptr)
#define RTM_IMPLEMENTATION
#include "rtm.h"

#include "bench.h"

/* A text that form encoding does not change, so that its length is known. */
#define TEXT "the-deploy-is-done-on-staging-and-we-should-look-at-it-again"

static char *url;
static long events, steady_from, steady_allocations;
static size_t length;
static bool ended, said_hello;

static void hear(rtm_client *bot, const rtm_event *event, void *user_data) {
    static char text[4096];
    (void)bot;
    (void)user_data;
    if (!strcmp(event->type, "hello")) said_hello = true;
    if (!strcmp(event->type, "close")) ended = true;
    if (!strcmp(event->type, "message")) {
        length += rtm_json_string(rtm_json_get(event->data, "text"), text, sizeof text);
        length += rtm_json_string(rtm_json_get(event->data, "blocks.0.block_id"), text, 100);
        if (!strcmp(text, "END")) ended = true;
    }
    if (++events == steady_from) steady_allocations = allocations;
}

static rtm_client *connect_client(const char *parameters, const char *ca_file, const char *ca_pem) {
    char base[256];
    rtm_client *bot;
    snprintf(base, sizeof base, "%s/%s/api/", url, parameters);
    rtm_config config = { .token = "xoxb-bench", .base_url = base, .ca_file = ca_file,
                          .ca_pem = ca_pem, .proxy = "", .no_auto_reconnect = true,
                          .max_queue_size = 1 << 20 };
    said_hello = ended = false;
    if (rtm_create(&config, &bot) != RTM_OK) exit(1);
    rtm_on(bot, "*", hear, NULL);
    while (!said_hello) {
        if (rtm_poll(bot, 1000) >= 0) continue;
        fprintf(stderr, "memory: %s\n", rtm_error_detail(bot));
        exit(1);
    }
    return bot;
}

static char *read_file(const char *path) {
    static char buffer[1 << 20];
    FILE *in = fopen(path, "r");
    size_t size = in ? fread(buffer, 1, sizeof buffer - 1, in) : 0;
    if (in) fclose(in);
    buffer[size] = '\0';
    return buffer;
}

static void one_root(const char *ca_file) {
    peak = live;
    rtm_client *bot = connect_client("mode=idle", NULL, read_file(ca_file));
    printf("idle_heap=%zu peak_one_root=%zu ", live, peak);
    rtm_destroy(bot);
}

/* Debian's bundle, followed by our root. Then the anchors are loaded without a connection, to
   measure what only they need. */
static void whole_bundle(const char *ca_file) {
    static const char bundle[] = "/etc/ssl/certs/ca-certificates.crt";
    char path[] = "/tmp/rtm-bench-XXXXXX";
    FILE *out = fdopen(mkstemp(path), "w");
    fputs(read_file(bundle), out);
    fputs(read_file(ca_file), out);
    fclose(out);
    rtmi_trust trust;
    memset(&trust, 0, sizeof trust);
    trust.ca_file = path;
    size_t before = live;
    rtmi_trust_load(&trust);
    size_t anchors = live - before, count = trust.count;
    rtmi_trust_free_anchors(&trust);
    peak = live;
    rtm_client *bot = connect_client("mode=idle", path, NULL);
    printf("peak_bundle=%zu anchors=%zu anchors_heap=%zu ", peak, count, anchors);
    rtm_destroy(bot);
    unlink(path);
}

static void steady_state(const char *ca_file) {
    events = 0;
    steady_from = 4096; /* the pool of events, twice */
    rtm_client *bot = connect_client("mode=flood,n=50000", ca_file, NULL);
    while (!ended && rtm_poll(bot, 1000) >= 0) continue;
    printf("steady_events=%ld steady_allocations=%ld ", events - steady_from,
           allocations - steady_allocations);
    rtm_destroy(bot);
}

static long responses;

static void on_response(rtm_client *bot, const rtm_response *response, void *user_data) {
    (void)bot;
    (void)user_data;
    if (response->ok) responses++;
}

/* Submits `count` requests at once; measures their heap while they wait, and its maximum. */
static size_t submit(rtm_client *bot, long count, size_t *waiting) {
    static const char *const fields[] = { "channel", "C2147A001", "text", TEXT, NULL };
    rtm_request request = { .method = "chat.postMessage", .fields = fields,
                            .callback = on_response };
    size_t before = live;
    peak = live;
    responses = 0;
    for (long i = 0; i < count; i++)
        if (rtm_submit(bot, &request) < 0) exit(1);
    *waiting = live - before;
    while (responses < count && rtm_poll(bot, 1000) >= 0) continue;
    return peak - before;
}

static void queue(const char *ca_file) {
    size_t waiting;
    rtm_client *bot = connect_client("mode=idle", NULL, read_file(ca_file));
    size_t idle = live, one = submit(bot, 1, &waiting);
    printf("queue_one=%zu queue_kept=%zu ", one, live - idle);
    size_t all = submit(bot, 1000, &waiting);
    printf("queue_form=%zu queue_waiting=%zu queue_peak=%zu queue_after=%zu ",
           strlen("channel=C2147A001&text=" TEXT), waiting, all, live - idle);
    rtm_destroy(bot);
}

static void many_clients(const char *ca_file, long clients) {
    rtm_client **bots = calloc((size_t)clients, sizeof *bots);
    size_t before = live;
    long rss = bench_status_kib("VmRSS:");
    for (long i = 0; i < clients; i++) bots[i] = connect_client("mode=idle", ca_file, NULL);
    printf("clients=%ld clients_heap=%zu clients_rss_kib=%ld process_rss_kib=%ld ", clients,
           live - before, bench_status_kib("VmRSS:") - rss, bench_status_kib("VmRSS:"));
    for (long i = 0; i < clients; i++) rtm_destroy(bots[i]);
    free(bots);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    url = argv[1];
    bench_allow_files();
    one_root(argv[2]);
    whole_bundle(argv[2]);
    steady_state(argv[2]);
    queue(argv[2]);
    many_clients(argv[2], strtol(argv[3], NULL, 10));
    printf("sizeof_client=%zu leaked=%zu\n", sizeof(rtm_client) + sizeof(rtmi_session),
           live);
    return live != 0;
}
