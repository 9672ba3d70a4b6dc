/* A thousand sessions, each ended by force, drop, goodbye, reset and refusal in turn: nothing may
   grow, and no message sent while the client was connected may be missing. Prints what it sees;
   exits 1 when something is wrong. */
#include "box.h"
#include <dirent.h>
#include <malloc.h>

enum { ROUNDS = 1000, EVERY = 100 };

static int opens, closes, expected = 1, missed;

static void count(rtm_client *bot, const rtm_event *event, void *user) {
    (void)bot;
    if (event->result == RTM_OK || !strcmp(event->type, "close")) ++*(int *)user;
}

static void on_message(rtm_client *bot, const rtm_event *event, void *user) {
    char text[32];
    (void)bot, (void)user;
    rtm_json_string(rtm_json_get(event->data, "text"), text, sizeof text);
    if (atoi(text) != expected) missed++;
    expected = atoi(text) + 1;
}

static int open_files(void) {
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir)) n++;
    closedir(dir);
    return n - 3; /* ".", "..", and the directory itself */
}

static long rss_kib(void) {
    long pages = 0;
    FILE *in = fopen("/proc/self/statm", "r");
    if (!in || fscanf(in, "%*d %ld", &pages) != 1) pages = 0;
    if (in) fclose(in);
    return pages * sysconf(_SC_PAGESIZE) / 1024;
}

/* Polls until *counter is `value`, jumping over waits; false after 10 s. */
static bool until(rtm_client *bot, const int *counter, int value) {
    long long end = now_ms() - skipped_ms + 10000;
    while (*counter < value && now_ms() - skipped_ms < end) {
        if (rtm_fd(bot) < 0 && rtm_timeout_ms(bot) > 0) skipped_ms += rtm_timeout_ms(bot);
        if (rtm_poll(bot, 100) < 0) return false;
    }
    return *counter >= value;
}

static bool one_round(rtm_client *bot, sandbox *box, int round) {
    static const char *const ends[] = { "/drop", "/goodbye", "/reset", "/refuse 409\n/drop",
                                        "/fail internal_error\n/close 1001", "/http 503\n/reset" };
    char line[32];
    if (!until(bot, &opens, round)) return false;
    for (int i = 0; i < 3; i++) {
        snprintf(line, sizeof line, "%d", 3 * round - 2 + i);
        sandbox_line(box, line);
    }
    if (!until(bot, &expected, 3 * round + 1)) return false;
    sandbox_line(box, ends[round % 6]);
    return until(bot, &closes, round);
}

int main(void) {
    sandbox box;
    rtm_client *bot;
    int files = 0;
    size_t heap = 0;
    long rss = 0;
    bool good = true;
    setvbuf(stdout, NULL, _IONBF, 0); /* its buffer would count as heap */
    signal(SIGPIPE, SIG_IGN);
    sandbox_start(&box, "server");
    rtm_config config = { .token = "xoxb-soak", .base_url = box.url, .proxy = "",
                          .ca_file = "build/certs/ca.pem", .timeout_ms = 5000 };
    if (rtm_create(&config, &bot) != RTM_OK) return 1;
    rtm_on(bot, "open", count, &opens);
    rtm_on(bot, "close", count, &closes);
    rtm_on(bot, "message", on_message, NULL);
    for (int round = 1; round <= ROUNDS && good; round++) {
        good = one_round(bot, &box, round);
        if (!good) printf("soak: stuck in round %d: %s\n", round, rtm_error_detail(bot));
        if (round % EVERY == 0)
            printf("soak: %4d sessions: %d files, %zu bytes of heap, %ld KiB resident\n", round,
                   open_files(), mallinfo2().uordblks, rss_kib());
        if (round == EVERY) { /* after the C library has what it keeps for printing */
            files = open_files();
            heap = mallinfo2().uordblks;
            rss = rss_kib();
        }
    }
    good = good && open_files() == files && mallinfo2().uordblks <= heap && rss_kib() <= rss + 64;
    rtm_destroy(bot);
    sandbox_stop(&box);
    printf("soak: %d messages, %d missed: %s\n", expected - 1, missed,
           good && !missed ? "passed" : "FAILED");
    return good && !missed ? 0 : 1;
}
