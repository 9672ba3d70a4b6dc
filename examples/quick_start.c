#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>

static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)user_data;
    char channel[32];
    if (!rtm_json_equals(rtm_json_get(event->data, "text"), "ping")) return;
    rtm_json id = rtm_json_get(event->data, "channel");
    if (rtm_json_string(id, channel, sizeof channel) >= sizeof channel) return; // truncated
    if (rtm_send_message(bot, channel, "pong") < 0)
        fprintf(stderr, "%s\n", rtm_error_detail(bot));
}

static void on_error(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    (void)user_data;
    fprintf(stderr, "%s\n", event->detail); // temporary ones are retried
}

int main(void) {
    rtm_client *bot = NULL;
    rtm_config cfg = { .token = getenv("SLACK_API_TOKEN"), .app_token = getenv("SLACK_APP_TOKEN"),
                       .base_url = getenv("SLACK_API_URL") };
    rtm_result result = rtm_create(&cfg, &bot);
    if (result == RTM_OK) result = rtm_on(bot, "message", on_message, NULL);
    if (result == RTM_OK) result = rtm_on(bot, "error", on_error, NULL);
    if (result != RTM_OK) fprintf(stderr, "%s\n", rtm_error_detail(bot));
    while (result == RTM_OK && rtm_poll(bot, 1000) >= 0) {} // the rest of your loop
    rtm_destroy(bot);
    return 1;
}
