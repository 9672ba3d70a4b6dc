/* Slash commands and a button of an app in Socket Mode, for allowed users only.
 *
 * Build:  cc examples/slash_commands.c -o slash_commands -lbearssl
 * Run:    SLACK_APP_TOKEN=xapp-... ALLOWED_USERS="U0123 U0456" ./slash_commands
 *
 * /load replies at once. /backup takes longer than the 3 s that Slack allows for a reply: the
 * acknowledgement says that the backup has begun, and the result is posted to the command's
 * response_url, for which no token is needed. Ctrl-C ends the bot.
 */
#define _POSIX_C_SOURCE 200809L
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BACKUP_MS = 2000 };

static struct {
    bool is_running;
    char response_url[2048]; /* for the result */
    long long end_ms;
} backup;

static rtm_client *stopped_by_signal;

/* Returns an environment variable, or NULL if it is unset or empty. */
static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* Copies the string at a path. Returns whether it exists, fits, is not empty and has no NUL. */
static bool copy_string(rtm_json data, const char *path, char *out, size_t size) {
    size_t length = rtm_json_string(rtm_json_get(data, path), out, size);
    return length > 0 && length < size && strlen(out) == length;
}

/* The time of the monotonic clock, which is never set. */
static long long now_ms(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0;
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_signal(int number) {
    (void)number;
    rtm_stop(stopped_by_signal);
}

/* Is the user in ALLOWED_USERS? A command has user_id, a click has user.id. */
static bool is_allowed(const rtm_event *event) {
    char id[64];
    const char *rest = setting("ALLOWED_USERS");
    bool is_command = rtm_json_raw(rtm_json_get(event->data, "user_id"), NULL) != NULL;
    if (!rest || !copy_string(event->data, is_command ? "user_id" : "user.id", id, sizeof id))
        return false;
    while (*rest) {
        size_t size = strcspn(rest, " ,");
        if (size == strlen(id) && !strncmp(rest, id, size)) return true;
        rest += size;
        rest += strspn(rest, " ,");
    }
    return false;
}

static void reply(rtm_client *bot, const rtm_event *event, const char *json) {
    if (rtm_reply(bot, event, json) != RTM_OK)
        fprintf(stderr, "slash_commands: no reply: %s\n", rtm_error_detail(bot));
}

/* Replies with the load of the machine, and a button for a backup. */
static void reply_load(rtm_client *bot, const rtm_event *event) {
    char load[32] = "unknown", text[64], quoted[400], json[800];
    FILE *file = fopen("/proc/loadavg", "r");
    if (file) {
        if (fscanf(file, "%31s", load) != 1) strcpy(load, "unknown");
        if (fclose(file) != 0) fprintf(stderr, "slash_commands: cannot close /proc/loadavg\n");
    }
    int size = snprintf(text, sizeof text, "load *%s*", load);
    if (size < 0 || (size_t)size >= sizeof text) return;
    if (rtm_json_quote(text, quoted, sizeof quoted) >= sizeof quoted) return;
    size = snprintf(json, sizeof json,
                    "{\"blocks\":[{\"type\":\"section\","
                    "\"text\":{\"type\":\"mrkdwn\",\"text\":%s},\"accessory\":{"
                    "\"type\":\"button\",\"action_id\":\"backup\","
                    "\"text\":{\"type\":\"plain_text\",\"text\":\"Back up\"}}}]}", quoted);
    if (size < 0 || (size_t)size >= sizeof json) return;
    reply(bot, event, json);
}

static void begin_backup(rtm_client *bot, const rtm_event *event) {
    if (backup.is_running) {
        reply(bot, event, "{\"text\":\"a backup is running already\"}");
        return;
    }
    if (!copy_string(event->data, "response_url", backup.response_url,
                     sizeof backup.response_url)) {
        reply(bot, event, "{\"text\":\"no backup: there is no usable response_url\"}");
        return;
    }
    reply(bot, event, "{\"text\":\"backing up ...\"}");
    backup.is_running = true;
    backup.end_ms = now_ms() + BACKUP_MS;
}

static const struct command {
    const char *name; /* as typed, or the action_id of a button */
    void (*run)(rtm_client *bot, const rtm_event *event);
} commands[] = {
    { "/load", reply_load },
    { "/backup", begin_backup },
    { "backup", begin_backup },
};

/* user_data is the path of the command's name in the event. */
static void on_command(rtm_client *bot, const rtm_event *event, void *user_data) {
    char name[64];
    if (!copy_string(event->data, user_data, name, sizeof name)) return;
    if (!is_allowed(event)) {
        reply(bot, event, "{\"text\":\"this is not for you\"}");
        return;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (!strcmp(name, commands[i].name)) commands[i].run(bot, event);
    }
}

static void on_error(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    (void)user_data;
    fprintf(stderr, "slash_commands: %s\n",
            event->result != RTM_OK ? event->detail : "Slack reports an error");
}

static void on_result_posted(rtm_client *bot, const rtm_response *response, void *user_data) {
    (void)bot;
    (void)user_data;
    if (response->result != RTM_OK)
        fprintf(stderr, "slash_commands: the result is not posted: %s\n", response->detail);
}

static void end_backup(rtm_client *bot) {
    rtm_request request = { .url = backup.response_url, .callback = on_result_posted,
                            .json = "{\"text\":\"backed up\",\"replace_original\":true}" };
    if (rtm_submit(bot, &request) < 0)
        fprintf(stderr, "slash_commands: the result is not posted: %s\n", rtm_error_detail(bot));
    backup.is_running = false;
}

/* Stops the bot on Ctrl-C and SIGTERM. */
static bool catch_signals(rtm_client *bot) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    stopped_by_signal = bot;
    return sigemptyset(&action.sa_mask) == 0 && sigaction(SIGINT, &action, NULL) == 0 &&
           sigaction(SIGTERM, &action, NULL) == 0;
}

/* Called before rtm_destroy: on_signal must not use a client that is freed. From here on a signal
   ends the program at once. */
static void restore_signals(void) {
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
}

int main(void) {
    static char command[] = "command", action[] = "actions.0.action_id";
    static const rtm_handler handlers[] = { { "slash_commands", on_command, command },
                                            { "interactive::block_actions", on_command, action },
                                            { "error", on_error, NULL }, { NULL, NULL, NULL } };
    rtm_config config = { .app_token = setting("SLACK_APP_TOKEN"),
                          .base_url = setting("SLACK_API_URL"), .handlers = handlers };
    rtm_client *bot = NULL;
    rtm_result result = rtm_create(&config, &bot);
    if (result == RTM_OK && !catch_signals(bot)) {
        fprintf(stderr, "slash_commands: cannot catch signals\n");
        restore_signals();
        rtm_destroy(bot);
        return 1;
    }
    int events = result;
    while (events >= 0) {
        events = rtm_poll(bot, 1000);
        if (backup.is_running && now_ms() >= backup.end_ms) end_backup(bot);
    }
    bool good = events == RTM_E_STOPPED;
    if (!good) fprintf(stderr, "slash_commands: %s\n", rtm_error_detail(bot));
    if (backup.is_running) fprintf(stderr, "slash_commands: the backup was interrupted\n");
    restore_signals();
    rtm_destroy(bot);
    return good ? 0 : 1;
}
