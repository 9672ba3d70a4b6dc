#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdlib.h>

static void on_message(rtm_client *bot, const rtm_event *event, void *user) {
    (void)user;
    char channel[32];
    rtm_json_string(rtm_json_get(event->data, "channel"), channel, sizeof channel);
    if (rtm_json_equals(rtm_json_get(event->data, "text"), "ping"))
        rtm_send_message(bot, channel, "pong");
}

int main(void) {
    rtm_client *bot;
    if (rtm_create(&(rtm_config){ .token = getenv("SLACK_API_TOKEN") }, &bot) != RTM_OK) return 1;
    rtm_on(bot, "message", on_message, NULL);
    while (rtm_poll(bot, 1000) >= 0) {
        // the rest of your loop
    }
    rtm_destroy(bot);
}
