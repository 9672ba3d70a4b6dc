/* listen - prints what it hears, and why it ends. For compare.py. */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>

static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    char text[200];
    (void)bot, (void)user_data;
    rtm_json_string(rtm_json_get(event->data, "text"), text, sizeof text);
    printf("heard %s\n", text);
}

int main(void) {
    rtm_config config = { .token = getenv("SLACK_API_TOKEN"),
                          .app_token = getenv("SLACK_APP_TOKEN"),
                          .base_url = getenv("SLACK_API_URL") };
    rtm_client *bot = NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (rtm_create(&config, &bot) == RTM_OK && rtm_on(bot, "message", on_message, NULL) == RTM_OK &&
        rtm_run(bot) == RTM_OK)
        return rtm_destroy(bot), 0;
    printf("ended: %s\n", rtm_error_detail(bot));
    rtm_destroy(bot);
    return 1;
}
