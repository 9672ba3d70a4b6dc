/* A bot for the smallest machines: without a heap or a file of certificates, and with a clock that
 * starts in 1970. It replies to the message "status".
 *
 * Build:  cc -Os examples/tiny.c -o tiny -DBUILD_TIME=$(date +%s) -lbearssl
 * Run:    SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./tiny     (without xapp: RTM)
 *
 * Memory: rtm.h allocates from a pool of -DPOOL=BYTES; the C library uses its own heap to resolve
 * host names. At the end the program reports the highest use of the pool.
 * Time: if the clock is earlier than the build, the time of the build is used, so that a new
 * machine connects before its clock is set. Until the clock is set, a certificate that expired
 * after the build is accepted; one that was issued after the build is refused, and the bot retries.
 * Slack's certificates are renewed every few weeks, so the machine still needs NTP.
 */
#ifndef POOL
#define POOL 98304
#endif
#ifndef BUILD_TIME
#define BUILD_TIME 1767225600 /* 1 January 2026 */
#endif
#ifndef ROOTS
#define ROOTS "tiny_roots.h" /* others: -DROOTS='"roots.h"' */
#endif
#define RTM_REALLOC(block, size) pool_realloc(block, size)
#define RTM_FREE(block) pool_free(block)
#define RTM_TIME() (time(NULL) > BUILD_TIME ? time(NULL) : BUILD_TIME)
#define RTM_NO_THREADS /* a lookup may block: this bot has nothing else to do */
#define RTM_ONE_LANE   /* one connection for all requests */
#include <stddef.h>
static void *pool_realloc(void *old, size_t size);
static void pool_free(void *old);
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>

/* An environment variable; NULL if it is unset or empty. */
static const char *environment(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The pool ------------------------------------------------------------------------------------ */

/* Is before each block, and keeps it aligned. Sizes are numbers of heads. */
typedef struct part {
    size_t size;
    bool used;
} part;
typedef union head {
    part is;
    long long aligned;
    double aligned_too;
} head;
enum { HEADS = POOL / sizeof(head) };
static head pool[HEADS];
static size_t in_use, most; /* heads */

static void pool_free(void *old) {
    if (!old) return;
    head *block = (head *)old - 1;
    block->is.used = false;
    in_use -= block->is.size;
}

/* Joins a free block with the free blocks after it. */
static void join(size_t at) {
    size_t next = at + pool[at].is.size;
    while (next < HEADS && !pool[next].is.used) {
        pool[at].is.size += pool[next].is.size;
        next = at + pool[at].is.size;
    }
}

/* Takes the first `need` heads of a free block; the rest is a free block. */
static void *take(size_t at, size_t need) {
    size_t rest = pool[at].is.size - need;
    if (rest) {
        pool[at + need].is.size = rest;
        pool[at + need].is.used = false;
    }
    pool[at].is.size = need;
    pool[at].is.used = true;
    in_use += need;
    if (in_use > most) most = in_use;
    return &pool[at + 1];
}

/* Takes the first free block that is large enough. NULL: there is none, and `old` is unchanged. */
static void *pool_realloc(void *old, size_t size) {
    if (size > POOL) return NULL;
    size_t need = size / sizeof(head) + 2; /* the head, and the size rounded up */
    if (pool[0].is.size == 0) pool[0].is.size = HEADS;
    for (size_t at = 0; at < HEADS; at += pool[at].is.size) {
        if (pool[at].is.used) continue;
        join(at);
        if (pool[at].is.size < need) continue;
        head *new_block = take(at, need);
        if (old) {
            size_t kept = ((head *)old - 1)->is.size;
            if (kept > need) kept = need;
            memcpy(new_block, old, (kept - 1) * sizeof(head));
            pool_free(old);
        }
        return new_block;
    }
    return NULL;
}

/* The bot ------------------------------------------------------------------------------------- */

static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    char channel[32], reply[160];
    struct sysinfo now;
    (void)user_data;
    if (!rtm_json_equals(rtm_json_get(event->data, "text"), "status")) return;
    rtm_json id = rtm_json_get(event->data, "channel");
    if (rtm_json_string(id, channel, sizeof channel) >= sizeof channel) return; /* truncated */
    if (sysinfo(&now) != 0) {
        perror("tiny: sysinfo");
        return;
    }
    int length = snprintf(reply, sizeof reply,
                          "up %ld minutes, %llu KiB free; pool: %zu of %d bytes in use",
                          (long)now.uptime / 60,
                          (unsigned long long)now.freeram * now.mem_unit / 1024,
                          in_use * sizeof(head), POOL);
    if (length < 0 || (size_t)length >= sizeof reply) return;
    if (rtm_send_message(bot, channel, reply) < 0)
        fprintf(stderr, "tiny: %s\n", rtm_error_detail(bot));
}

/* rtm.h's log lines and error messages have printable ASCII characters only. */
static void on_log(const char *line, void *user_data) {
    (void)user_data;
    fprintf(stderr, "tiny: %s\n", line);
}

int main(void) {
    rtm_client *bot = NULL;
    rtm_config cfg = { .app_token = environment("SLACK_APP_TOKEN"),
                       .token = environment("SLACK_API_TOKEN"),
                       .base_url = environment("SLACK_API_URL"), .log = on_log,
                       .max_message_size = 8192, /* longer messages are skipped */
                       .max_queue_size = 4096,
                       .ca_pem =
#include ROOTS
    };
    rtm_result result = rtm_create(&cfg, &bot);
    if (result == RTM_OK) result = rtm_on(bot, "message", on_message, NULL);
    if (result == RTM_OK) result = rtm_run(bot);
    if (result != RTM_OK) fprintf(stderr, "tiny: %s\n", rtm_error_detail(bot));
    rtm_destroy(bot);
    fprintf(stderr, "tiny: %zu of %d bytes were in use at most\n", most * sizeof(head), POOL);
    return result != RTM_OK;
}
