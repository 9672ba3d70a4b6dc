#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>

static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)user_data;
    char channel[32];
    rtm_json_string(rtm_json_get(event->data, "channel"), channel, sizeof channel);
    if (rtm_json_equals(rtm_json_get(event->data, "text"), "ping"))
        rtm_send_message(bot, channel, "pong");
}

int main(void) {
    rtm_client *bot = NULL;
    rtm_config cfg = { .token = getenv("SLACK_API_TOKEN"), .app_token = getenv("SLACK_APP_TOKEN"),
                       .base_url = getenv("SLACK_API_URL") };
    if (rtm_create(&cfg, &bot) == RTM_OK) {
        rtm_on(bot, "message", on_message, NULL);
        while (rtm_poll(bot, 1000) >= 0) {} // the rest of your loop
    }
    fprintf(stderr, "%s\n", rtm_error_detail(bot));
    rtm_destroy(bot);
    return 1;
}
