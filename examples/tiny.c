/* A bot for the smallest machines: no heap, no file of certificates, a clock that starts in 1970.
 * It answers "status".
 *
 * Build:  cc -Os examples/tiny.c -o tiny -DBUILD_TIME=$(date +%s) -lbearssl
 * Run:    SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./tiny     without the first over RTM
 *
 * Memory: rtm.h's comes from a pool of -DPOOL=BYTES; what the C library takes while a name is
 * looked up does not. The end tells how much was in use at most.
 * Time: that of the build where the clock is behind it, so that a new machine connects before its
 * clock is set. Until it is, a certificate that expired after the build is accepted, and one issued
 * after it refused and tried again. Slack's are new every few weeks: NTP is needed all the same.
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
#define RTM_NO_THREADS /* a lookup may wait: this bot has nothing else to do */
#include <stddef.h>
static void *pool_realloc(void *old, size_t size);
static void pool_free(void *old);
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <sys/sysinfo.h>

/* Stands before each block, and keeps it aligned. Sizes are numbers of these. */
typedef union head { struct part { size_t size, used; } is; long long strict; } head;
static head pool[POOL / sizeof(head)], *const pool_end = pool + POOL / sizeof(head);
static size_t in_use, most;

static void pool_free(void *old) {
    if (!old) return;
    head *block = (head *)old - 1;
    block->is.used = 0;
    in_use -= block->is.size;
}

/* The first free block that is large enough; free neighbours become one on the way. */
static void *pool_realloc(void *old, size_t size) {
    size_t need = size / sizeof(head) + 2, kept = old ? ((head *)old)[-1].is.size : 0;
    if (!pool->is.size) pool->is.size = (size_t)(pool_end - pool);
    for (head *block = pool, *next; block < pool_end; block += block->is.size) {
        if (block->is.used) continue;
        while ((next = block + block->is.size) < pool_end && !next->is.used)
            block->is.size += next->is.size;
        if (block->is.size < need) continue;
        if (block->is.size > need) block[need].is = (struct part){ block->is.size - need, 0 };
        block->is = (struct part){ need, 1 };
        if ((in_use += need) > most) most = in_use;
        if (old) memcpy(block + 1, old, ((kept < need ? kept : need) - 1) * sizeof(head));
        pool_free(old);
        return block + 1;
    }
    return NULL; /* `old` is as it was */
}

static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    char channel[32], answer[160];
    struct sysinfo now;
    (void)user_data, sysinfo(&now);
    if (!rtm_json_equals(rtm_json_get(event->data, "text"), "status")) return;
    rtm_json_string(rtm_json_get(event->data, "channel"), channel, sizeof channel);
    snprintf(answer, sizeof answer, "up %ld minutes, %llu KiB free; pool: %zu of %d bytes in use",
             (long)now.uptime / 60, (unsigned long long)now.freeram * now.mem_unit / 1024,
             in_use * sizeof(head), POOL);
    if (rtm_send_message(bot, channel, answer) < 0)
        fprintf(stderr, "tiny: %s\n", rtm_error_detail(bot));
}

static void on_log(const char *line, void *user_data) {
    (void)user_data;
    fprintf(stderr, "tiny: %s\n", line);
}

int main(void) {
    rtm_client *bot = NULL;
    rtm_config cfg = { .app_token = getenv("SLACK_APP_TOKEN"), .token = getenv("SLACK_API_TOKEN"),
                       .base_url = getenv("SLACK_API_URL"), .log = on_log,
                       .max_message_size = 8192, .max_queue_size = 4096, /* what is longer is skipped */
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
