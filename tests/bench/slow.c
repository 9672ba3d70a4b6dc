/* slow - the latency of events, from a line typed into the sandbox to the callback: without a
   request, and during a request that the sandbox answers 5 s late. */
#include "../sandbox_process.h"

#include "bench.h"

enum { EVENTS = 1000, SLOW_MS = 5000 };

static sandbox box;
static long received;
static bool connected, answered;

static void on_event(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    (void)user_data;
    if (!strcmp(event->type, "hello")) connected = true;
    if (!strcmp(event->type, "message")) received++;
}

static void on_response(rtm_client *bot, const rtm_response *response, void *user_data) {
    (void)bot;
    (void)user_data;
    answered = response->ok;
}

static void until(rtm_client *bot, const bool *condition) {
    while (!*condition) {
        if (rtm_poll(bot, 1000) >= 0) continue;
        fprintf(stderr, "slow: %s\n", rtm_error_detail(bot));
        exit(1);
    }
}

/* Types EVENTS lines, each after the event of the previous one was received; p50 and p99 in us.
   Returns how many events were received before the response to the request. */
static long converse(rtm_client *bot, double *p50, double *p99) {
    static long long took[EVENTS];
    long during = 0;
    for (long i = 0; i < EVENTS; i++) {
        long before = received;
        long long start = bench_clock();
        sandbox_line(&box, "a message");
        while (received == before) if (rtm_poll(bot, 1000) < 0) exit(1);
        took[i] = bench_clock() - start;
        if (!answered) during++;
    }
    qsort(took, EVENTS, sizeof *took, bench_compare);
    *p50 = (double)took[EVENTS / 2] / 1000;
    *p99 = (double)took[EVENTS * 99 / 100] / 1000;
    return during;
}

int main(void) {
    rtm_client *bot;
    double quiet50, quiet99, slow50, slow99;
    char line[32];
    sandbox_start(&box, "server");
    rtm_config config = { .token = "xoxb-test", .base_url = box.url, .proxy = "" };
    if (rtm_create(&config, &bot) != RTM_OK) return 1;
    rtm_on(bot, "*", on_event, NULL);
    until(bot, &connected);
    converse(bot, &quiet50, &quiet99); /* warm */
    converse(bot, &quiet50, &quiet99);
    snprintf(line, sizeof line, "/slow %d", SLOW_MS);
    sandbox_line(&box, line);
    long long start = bench_clock();
    if (rtm_call_async(bot, on_response, NULL, "auth.test", NULL) < 0) return 1;
    long during = converse(bot, &slow50, &slow99);
    until(bot, &answered);
    printf("events=%d during=%ld quiet50=%.1f quiet99=%.1f slow50=%.1f slow99=%.1f slow_ms=%lld\n",
           EVENTS, during, quiet50, quiet99, slow50, slow99, (bench_clock() - start) / 1000000);
    rtm_destroy(bot);
    sandbox_stop(&box);
    return 0;
}
