/* slash_commands - slash commands and a button of an app in Socket Mode, for a few people alone.
 *
 * Build:  cc examples/slash_commands.c -o slash_commands -lbearssl
 * Run:    SLACK_APP_TOKEN=xapp-... ALLOWED_USERS="U0123 U0456" ./slash_commands
 *
 * /load answers at once. /backup takes a while: the acknowledgement says so within Slack's 3 s, and
 * the result goes to the response_url when it is there, for which no token is needed.
 */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char answer_to[512]; /* the response_url of the backup that is under way; "" = none is */
static time_t due;

static bool is_allowed(const rtm_event *event) {
    char id[32], ids[1024];
    rtm_json user = rtm_json_get(event->data, "user_id"); /* of a command; of a click: */
    if (!rtm_json_raw(user, NULL)) user = rtm_json_get(event->data, "user.id");
    rtm_json_string(user, id, sizeof id);
    snprintf(ids, sizeof ids, "%s", getenv("ALLOWED_USERS") ? getenv("ALLOWED_USERS") : "");
    for (const char *one = strtok(ids, " ,"); one; one = strtok(NULL, " ,"))
        if (!strcmp(one, id)) return true;
    return false;
}

static void answer_load(rtm_client *bot, const rtm_event *event) {
    char load[32] = "unknown", answer[512];
    FILE *file = fopen("/proc/loadavg", "r");
    if (file && fscanf(file, "%31s", load) != 1) strcpy(load, "unknown");
    if (file) fclose(file);
    snprintf(answer, sizeof answer,
             "{\"blocks\":[{\"type\":\"section\","
             "\"text\":{\"type\":\"mrkdwn\",\"text\":\"load *%s*\"},\"accessory\":{"
             "\"type\":\"button\",\"action_id\":\"backup\","
             "\"text\":{\"type\":\"plain_text\",\"text\":\"Back up\"}}}]}", load);
    rtm_reply(bot, event, answer);
}

static void begin_backup(rtm_client *bot, const rtm_event *event) {
    bool busy = *answer_to != '\0';
    rtm_reply(bot, event, busy ? "{\"text\":\"one is under way\"}"
                               : "{\"text\":\"backing up ...\"}");
    if (busy) return;
    rtm_json_string(rtm_json_get(event->data, "response_url"), answer_to, sizeof answer_to);
    due = time(NULL) + 2;
}

static const struct command {
    const char *name; /* as typed, or the action_id of a button */
    void (*run)(rtm_client *bot, const rtm_event *event);
} commands[] = {
    { "/load", answer_load }, { "/backup", begin_backup }, { "backup", begin_backup },
};

static void on_command(rtm_client *bot, const rtm_event *event, void *user_data) {
    bool allowed = is_allowed(event);
    if (!allowed) rtm_reply(bot, event, "{\"text\":\"this is not for you\"}");
    for (size_t i = 0; allowed && i < sizeof commands / sizeof *commands; i++)
        if (rtm_json_equals(rtm_json_get(event->data, user_data), commands[i].name))
            commands[i].run(bot, event);
}

static void on_error(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot, (void)user_data;
    fprintf(stderr, "slash_commands: %s\n", event->result ? event->detail : "Slack reports an error");
}

static void on_told(rtm_client *bot, const rtm_response *response, void *user_data) {
    (void)bot, (void)user_data;
    if (response->result != RTM_OK) fprintf(stderr, "slash_commands: %s\n", response->detail);
}

static void end_backup(rtm_client *bot) {
    rtm_request request = { .url = answer_to, .callback = on_told,
                            .json = "{\"text\":\"backed up\",\"replace_original\":true}" };
    if (rtm_submit(bot, &request) < 0) fprintf(stderr, "slash_commands: %s\n", rtm_error_detail(bot));
    *answer_to = '\0';
}

int main(void) {
    rtm_client *bot = NULL;
    rtm_config config = { .app_token = getenv("SLACK_APP_TOKEN"),
                          .base_url = getenv("SLACK_API_URL") };
    if (rtm_create(&config, &bot) == RTM_OK) {
        /* the last argument says where in the event the name is */
        rtm_on(bot, "slash_commands", on_command, "command");
        rtm_on(bot, "interactive::block_actions", on_command, "actions.0.action_id");
        rtm_on(bot, "error", on_error, NULL);
        while (rtm_poll(bot, 1000) >= 0)
            if (*answer_to && time(NULL) >= due) end_backup(bot);
    }
    fprintf(stderr, "slash_commands: %s\n", rtm_error_detail(bot));
    rtm_destroy(bot);
    return 1;
}
