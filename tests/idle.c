/* An idle client in rtm_run, for tests/strace.sh to look at: idle SECONDS PING_INTERVAL_MS. What it
   writes to standard error marks the beginning in the trace; SIGALRM is the end. */
#include "sandbox_process.h"

static rtm_client *client;

static void on_hello(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot, (void)event;
    alarm(*(unsigned *)user_data);
    if (write(2, "idle from here\n", 15) != 15) abort();
}

static void on_alarm(int number) {
    (void)number;
    rtm_stop(client);
}

int main(int argc, char **argv) {
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 20;
    sandbox box;
    signal(SIGALRM, on_alarm);
    sandbox_start(&box, "server");
    rtm_config config = { .token = "xoxb-idle", .base_url = box.url, .proxy = "",
                          .ca_file = "build/certs/ca.pem",
                          .ping_interval_ms = argc > 2 ? atoi(argv[2]) : 5000 };
    if (rtm_create(&config, &client) != RTM_OK) return 1;
    rtm_on(client, "hello", on_hello, &seconds);
    rtm_result result = rtm_run(client);
    if (result != RTM_OK) printf("idle: %s\n", rtm_error_detail(client));
    rtm_destroy(client);
    sandbox_stop(&box);
    return result != RTM_OK;
}
