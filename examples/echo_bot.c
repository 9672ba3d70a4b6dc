/* A bot that answers what it hears, in both of Slack's worlds, and says what happens.
 *
 * Build:  cc examples/echo_bot.c -o echo_bot -lbearssl
 * Run:    SLACK_API_TOKEN=xoxb-... ./echo_bot                              RTM
 *         SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./echo_bot     Socket Mode
 *
 * SLACK_API_URL points it at another server, such as the sandbox; Ctrl-C ends it.
 */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_open(rtm_client *bot, const rtm_event *event, void *user_data) {
    char name[64];
    (void)bot, (void)user_data;
    size_t length = rtm_json_string(rtm_json_get(event->data, "self.name"), name, sizeof name);
    printf("echo_bot: connected%s%s\n", length ? " as " : ", in Socket Mode", name);
}

static void on_posted(rtm_client *bot, const rtm_response *response, void *user_data) {
    (void)bot, (void)user_data;
    printf("echo_bot: chat.postMessage: %s\n", rtm_strerror(response->result));
}

static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    char channel[32], text[512], answer[600];
    (void)user_data;
    if (rtm_json_raw(rtm_json_get(event->data, "bot_id"), NULL)) return; /* never answer a bot */
    rtm_json_string(rtm_json_get(event->data, "channel"), channel, sizeof channel);
    if (!rtm_json_string(rtm_json_get(event->data, "text"), text, sizeof text)) return; /* edits */
    if (!strcmp(text, "stop")) {
        rtm_stop(bot);
    } else if (!strncmp(text, "post ", 5)) {
        rtm_call_async(bot, on_posted, NULL, "chat.postMessage", "channel", channel,
                       "text", text + 5, NULL);
    } else {
        snprintf(answer, sizeof answer, "you said: %s", text);
        rtm_send_typing(bot, channel); /* which Socket Mode has not: no harm */
        if (rtm_send_message(bot, channel, answer) < 0)
            printf("echo_bot: not sent: %s\n", rtm_error_detail(bot));
    }
}

/* /echo TEXT: the answer goes back in the acknowledgement, with a button under it. */
static void on_command(rtm_client *bot, const rtm_event *event, void *user_data) {
    size_t size;
    char answer[16384];
    const char *text = rtm_json_raw(rtm_json_get(event->data, "text"), &size); /* with its quotes */
    (void)user_data;
    if (!text) return;
    snprintf(answer, sizeof answer,
             "{\"blocks\":[{\"type\":\"section\",\"text\":{\"type\":\"plain_text\","
             "\"text\":\"you said: %.*s}},{\"type\":\"actions\",\"elements\":[{\"type\":\"button\","
             "\"action_id\":\"again\",\"text\":{\"type\":\"plain_text\",\"text\":\"Again\"}}]}]}",
             (int)size - 1, text + 1);
    if (rtm_reply(bot, event, answer) != RTM_OK)
        printf("echo_bot: not answered: %s\n", rtm_error_detail(bot));
}

static void on_click(rtm_client *bot, const rtm_event *event, void *user_data) {
    char channel[32];
    (void)user_data;
    rtm_json_string(rtm_json_get(event->data, "channel.id"), channel, sizeof channel);
    rtm_send_message(bot, channel, "you clicked it");
}

static void on_close(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot, (void)user_data;
    printf("echo_bot: closed (%d) %s\n", event->code, event->reason);
}

static void on_error(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot, (void)user_data;
    printf("echo_bot: %s\n", event->result ? event->detail : "Slack reports an error");
}

int main(void) {
    static const rtm_handler handlers[] = { { "open", on_open, NULL },
                                            { "message", on_message, NULL },
                                            { "slash_commands::/echo", on_command, NULL },
                                            { "interactive::block_actions", on_click, NULL },
                                            { "close", on_close, NULL },
                                            { "error", on_error, NULL },
                                            { NULL, NULL, NULL } };
    rtm_config config = { .token = getenv("SLACK_API_TOKEN"),
                          .app_token = getenv("SLACK_APP_TOKEN"),
                          .base_url = getenv("SLACK_API_URL"), .handlers = handlers };
    setvbuf(stdout, NULL, _IOLBF, 0);
    rtm_client *bot = NULL;
    rtm_result result = rtm_create(&config, &bot);
    if (result == RTM_OK) result = rtm_run(bot);
    if (result == RTM_OK) printf("echo_bot: stopped\n");
    else fprintf(stderr, "echo_bot: %s\n", rtm_error_detail(bot));
    rtm_destroy(bot);
    return result == RTM_OK ? 0 : 1;
}
