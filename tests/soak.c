/* A thousand sessions in RTM and a thousand in Socket Mode, each ended by force, drop, handover,
   reset and refusal in turn: nothing may grow, and no message sent while the client was connected
   may be missing. Prints what it sees; exits 1 when something is wrong. Another number of sessions
   may be given. */
#include <stddef.h>

static void *counted_realloc(void *ptr, size_t size);
static void counted_free(void *ptr);
#define RTM_REALLOC(ptr, size) counted_realloc(ptr, size)
#define RTM_FREE(ptr) counted_free(ptr)

#include "sandbox_process.h"
#include "sockets.h"

enum { EVERY = 100, RSS_SLACK_KIB = 256, NUMBERS = 100000 };

/* The heap is counted by the sizes that rtm.h asks for. mallinfo() is not usable: it includes what
   the C library adds and keeps, which differs by some bytes from run to run. */
typedef union counted {
    size_t size;
    long double alignment;
} counted;

static size_t heap;

static void *counted_realloc(void *ptr, size_t size) {
    counted *block = ptr ? (counted *)ptr - 1 : NULL;
    size_t before = block ? block->size : 0;
    block = realloc(block, sizeof *block + size);
    if (!block) return NULL;
    block->size = size;
    heap = heap - before + size;
    return block + 1;
}

static void counted_free(void *ptr) {
    counted *block = ptr ? (counted *)ptr - 1 : NULL;
    if (block) heap -= block->size;
    free(block);
}

static int hellos, messages, wrong; /* wrong: out of order in RTM, delivered twice in Socket Mode */
static bool app;
static int delivered_as[NUMBERS]; /* the number of its last delivery, for each message */
static int deliveries; /* messages, and repeated ones that the client no longer knows */

static void count(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot, (void)event;
    ++*(int *)user_data;
}

static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    char text[32];
    (void)bot, (void)user_data;
    rtm_json_string(rtm_json_get(event->data, "text"), text, sizeof text);
    int number = atoi(text);
    if (number < 1 || number >= NUMBERS || (!app && number != messages + 1)) {
        wrong++;
        return;
    }
    /* An event whose acknowledgement was lost is repeated; the client knows the last 512 events. */
    deliveries++;
    if (!delivered_as[number]) messages++;
    else if (deliveries - delivered_as[number] < 500) wrong++;
    delivered_as[number] = deliveries;
}

static long rss_kib(void) {
    long pages = 0;
    FILE *in = fopen("/proc/self/statm", "r");
    if (!in || fscanf(in, "%*d %ld", &pages) != 1) pages = 0;
    if (in) fclose(in);
    return pages * sysconf(_SC_PAGESIZE) / 1024;
}

/* Polls until *counter is `value`, jumping over waits; false after 10 s. In a handover the first
   session must live: it gets a moment of real time for each second that is jumped over. */
static bool until(rtm_client *bot, const int *counter, int value) {
    long long end = now_ms() - skipped_ms + 10000;
    while (*counter < value && now_ms() - skipped_ms < end) {
        const rtmi_session *second = bot->session[1];
        bool begins = second && second->fate != RTMI_RETIRED &&
                      (second->state == RTM_STATE_IDLE || second->state == RTM_STATE_BACKOFF);
        int due = rtm_timeout_ms(bot);
        if (rtm_get_state(bot) == RTM_STATE_BACKOFF) skipped_ms += due;
        else if (begins && due > 0) skipped_ms += due < 1000 ? due : 1000;
        if (rtm_poll(bot, begins ? 10 : 100) < 0) return false;
    }
    return *counter >= value;
}

static bool one_round(rtm_client *bot, sandbox *box, int round) {
    static const char *const ends[2][6] = {
        { "/drop", "/goodbye", "/reset", "/refuse 409\n/drop", "/fail internal_error\n/close 1001",
          "/http 503\n/reset" },
        { "/drop", "/refresh", "/reset", "/refuse 409\n/warning", "/fail internal_error\n/refresh",
          "/close 1001" } };
    char line[32];
    if (!until(bot, &hellos, round)) return false;
    for (int i = 0; i < 3; i++) {
        snprintf(line, sizeof line, "%d", 3 * round - 2 + i);
        sandbox_line(box, line);
    }
    if (!until(bot, &messages, 3 * round)) return false;
    skipped_ms += 30000; /* it has lasted, so that no wait is long */
    sandbox_line(box, ends[app][round % 6]);
    return until(bot, &hellos, round + 1);
}

static bool soak(sandbox *box, int rounds) {
    rtm_client *bot;
    int files = 0; /* the maximum of each in */
    size_t most = 0;
    long rss = 0;
    bool good = true;
    rtm_config config = { .token = "xoxb-soak", .app_token = app ? "xapp-soak" : NULL,
                          .base_url = box->url, .proxy = "", .ca_file = "build/certs/ca.pem",
                          .timeout_ms = 5000 };
    if (rtm_create(&config, &bot) != RTM_OK) return false;
    hellos = messages = deliveries = wrong = 0;
    memset(delivered_as, 0, sizeof delivered_as);
    rtm_on(bot, "hello", count, &hellos);
    rtm_on(bot, "message", on_message, NULL);
    for (int round = 1; round <= rounds && good; round++) {
        good = one_round(bot, box, round);
        if (!good) printf("soak: stuck in round %d: %s\n", round, rtm_error_detail(bot));
        if (round % EVERY == 0)
            printf("soak: %4d sessions: %d files, %zu bytes of heap, %ld KiB resident\n", round,
                   open_files(), heap, rss_kib());
        if (round <= EVERY) {
            if (open_files() > files) files = open_files();
            if (heap > most) most = heap;
            if (rss_kib() > rss) rss = rss_kib();
        }
    }
    /* A handover in progress need not have been among the first hundred. */
    for (int i = 0; i < 200 && bot->session[1]; i++, skipped_ms += 100) rtm_poll(bot, 2);
    printf("soak: at the end: %d files (%d), %zu bytes of heap (%zu), %ld KiB resident (%ld)\n",
           open_files(), files, heap, most, rss_kib(), rss);
    good = good && open_files() <= files && heap <= most && rss_kib() <= rss + RSS_SLACK_KIB;
    rtm_destroy(bot);
    good = good && heap == 0 && !wrong;
    printf("soak: %s: %d messages, %d wrong: %s\n", app ? "Socket Mode" : "RTM", messages, wrong,
           good ? "passed" : "FAILED");
    return good;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 1000;
    sandbox box;
    signal(SIGPIPE, SIG_IGN);
    sandbox_start(&box, "server");
    bool good = soak(&box, rounds);
    app = true;
    good = good && soak(&box, rounds);
    sandbox_stop(&box);
    return good ? 0 : 1;
}
