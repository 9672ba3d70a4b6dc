/* A modal of an app in Socket Mode: /report opens a form, with a select menu whose options come
 * from the Web API while the user types. The submission is checked, and posted to the chosen
 * channel.
 *
 * Build:  cc examples/modal.c -o modal -lbearssl
 * Run:    SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./modal
 *
 * The app needs the command /report, interactivity with a select menu, and the scopes commands,
 * chat:write and channels:read. Ctrl-C ends the bot.
 *
 * The select offers the first 200 channels of conversations.list: Slack waits 3 s for the options,
 * and limits these calls to about 20 a minute. A bot for more channels would read the whole list
 * once, at its start (history.c shows how pages are read).
 */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_TEXT = 4000,    /* bytes of a report: 1,000 characters, as the form allows */
    MIN_TEXT = 10,      /* characters */
    MAX_OPTIONS = 20,   /* that one reply offers; Slack accepts 100, and 20,479 bytes */
    MAX_SUGGESTIONS = 8 /* that wait for the Web API at the same time */
};

/* A select that waits for its options. */
typedef struct suggestion {
    int id; /* of the deferred reply; 0: this entry is free */
    char typed[128];
} suggestion;

static suggestion suggestions[MAX_SUGGESTIONS];

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

/* Reports a call that has failed. */
static void check(rtm_client *bot, const char *what, int result) {
    if (result < 0) fprintf(stderr, "modal: %s: %s\n", what, rtm_error_detail(bot));
}

/* The callback of requests whose response is not needed. */
static void on_done(rtm_client *bot, const rtm_response *response, void *user_data) {
    const char *method = user_data;
    (void)bot;
    if (response->result != RTM_OK) fprintf(stderr, "modal: %s: %s\n", method, response->detail);
}

/* ---- /report TEXT ---- */

static const char view_format[] =
    "{\"type\":\"modal\",\"callback_id\":\"report\","
    "\"title\":{\"type\":\"plain_text\",\"text\":\"Report\"},"
    "\"submit\":{\"type\":\"plain_text\",\"text\":\"Post\"},"
    "\"blocks\":["
    "{\"type\":\"input\",\"block_id\":\"where\","
    "\"label\":{\"type\":\"plain_text\",\"text\":\"Channel\"},"
    "\"element\":{\"type\":\"external_select\",\"action_id\":\"channel\",\"min_query_length\":1}},"
    "{\"type\":\"input\",\"block_id\":\"what\","
    "\"label\":{\"type\":\"plain_text\",\"text\":\"What has happened?\"},"
    "\"element\":{\"type\":\"plain_text_input\",\"action_id\":\"text\",\"multiline\":true,"
    "\"max_length\":1000,\"initial_value\":%s}}]}";

/* Opens the form. Slack accepts the trigger_id for 3 s. */
static void on_command(rtm_client *bot, const rtm_event *event, void *user_data) {
    static char method[] = "views.open";
    char trigger[256], text[1001], quoted[6 * sizeof text + 3];
    char view[sizeof quoted + sizeof view_format];
    (void)user_data;
    if (!copy_string(event->data, "trigger_id", trigger, sizeof trigger)) return;
    /* a longer text is cut: the user sees what is left of it, and can change it */
    rtm_json_string(rtm_json_get(event->data, "text"), text, sizeof text);
    if (rtm_json_quote(text, quoted, sizeof quoted) >= sizeof quoted) return;
    int size = snprintf(view, sizeof view, view_format, quoted);
    if (size < 0 || (size_t)size >= sizeof view) return;
    int request = rtm_call_async(bot, on_done, method, method, "trigger_id", trigger,
                                 "view", view, NULL);
    check(bot, method, request);
    if (request < 0)
        check(bot, "no reply", rtm_reply(bot, event, "{\"text\":\"Please try again later.\"}"));
}

/* ---- The options of the select ---- */

/* Does a name contain what is typed? "A" to "Z" are the same as "a" to "z". */
static bool contains(const char *name, const char *typed) {
    size_t length = strlen(typed);
    while (*name != '\0') {
        if (!strncasecmp(name, typed, length)) return true;
        name++;
    }
    return false;
}

/* Writes one option, with a comma before it unless it is the first. Returns its size, or 0 if the
   channel is not wanted or does not fit. */
static size_t write_option(rtm_json channel, const char *typed, bool is_first, char *out,
                           size_t room) {
    char id[64], name[72], label[80], quoted_id[400], quoted_label[500];
    rtm_json full_name = rtm_json_get(channel, "name");
    size_t length = rtm_json_string(full_name, name, sizeof name); /* Slack shows 75 characters */
    if (length == 0 || !copy_string(channel, "id", id, sizeof id)) return 0;
    if (!contains(name, typed)) return 0;
    int size = snprintf(label, sizeof label, "#%s", name);
    if (size < 0 || (size_t)size >= sizeof label) return 0;
    if (rtm_json_quote(id, quoted_id, sizeof quoted_id) >= sizeof quoted_id) return 0;
    if (rtm_json_quote(label, quoted_label, sizeof quoted_label) >= sizeof quoted_label) return 0;
    size = snprintf(out, room, "%s{\"text\":{\"type\":\"plain_text\",\"text\":%s},\"value\":%s}",
                    is_first ? "" : ",", quoted_label, quoted_id);
    if (size < 0 || (size_t)size >= room) return 0;
    return (size_t)size;
}

/* Replies to the suggestion with the channels whose name contains what is typed; with no channels
   if the call has failed. */
static void on_channels(rtm_client *bot, const rtm_response *response, void *user_data) {
    suggestion *it = user_data;
    char reply[16384] = "{\"options\":[";
    const size_t room = sizeof reply - 3; /* for the end */
    size_t size = strlen(reply);
    int options = 0;
    rtm_json channels = rtm_json_get(response->data, "channels");
    size_t count = rtm_json_count(channels);
    if (response->result != RTM_OK)
        fprintf(stderr, "modal: conversations.list: %s\n", response->detail);
    for (size_t i = 0; i < count && options < MAX_OPTIONS; i++) {
        size_t added = write_option(rtm_json_at(channels, i), it->typed, options == 0,
                                    reply + size, room - size);
        size += added;
        if (added > 0) options++;
    }
    memcpy(reply + size, "]}", 3);
    if (response->result != RTM_E_STOPPED)
        check(bot, "no reply", rtm_reply_deferred(bot, it->id, reply));
    it->id = 0;
}

/* The user types into the select. The reply needs a call of the Web API, so it is deferred: no
   callback waits, and other events are handled meanwhile. */
static void on_suggestion(rtm_client *bot, const rtm_event *event, void *user_data) {
    suggestion *it = NULL;
    (void)user_data;
    for (size_t i = 0; i < MAX_SUGGESTIONS; i++) {
        if (suggestions[i].id == 0) it = &suggestions[i];
    }
    if (!it || !copy_string(event->data, "value", it->typed, sizeof it->typed)) {
        check(bot, "no reply", rtm_reply(bot, event, "{\"options\":[]}"));
        return;
    }
    int id = rtm_defer(bot, event);
    check(bot, "no reply", id);
    if (id < 0) return;
    it->id = id;
    int request = rtm_call_async(bot, on_channels, it, "conversations.list", "limit", "200",
                                 "exclude_archived", "true", NULL);
    check(bot, "conversations.list", request);
    if (request >= 0) return;
    check(bot, "no reply", rtm_reply_deferred(bot, id, "{\"options\":[]}"));
    it->id = 0;
}

/* ---- The submission ---- */

static void refuse(rtm_client *bot, const rtm_event *event, const char *block, const char *why) {
    char reply[512];
    int size = snprintf(reply, sizeof reply,
                        "{\"response_action\":\"errors\",\"errors\":{\"%s\":\"%s\"}}", block, why);
    if (size < 0 || (size_t)size >= sizeof reply) return;
    check(bot, "no reply", rtm_reply(bot, event, reply));
}

/* The characters of a UTF-8 text: the bytes that begin one. */
static size_t count_characters(const char *text) {
    size_t count = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80) count++;
    }
    return count;
}

/* Checks what the user has entered. An error message keeps the form open; the empty
   acknowledgement, which rtm.h sends by itself, closes it. */
static void on_submission(rtm_client *bot, const rtm_event *event, void *user_data) {
    static char method[] = "chat.postMessage";
    char text[MAX_TEXT + 1], channel[64], name[256] = "a user";
    char report[sizeof text + sizeof name + 16], escaped[5 * sizeof report];
    (void)user_data;
    if (!rtm_json_equals(rtm_json_get(event->data, "view.callback_id"), "report")) return;
    rtm_json values = rtm_json_get(event->data, "view.state.values");
    if (!copy_string(values, "where.channel.selected_option.value", channel, sizeof channel)) {
        refuse(bot, event, "where", "Please choose a channel.");
        return;
    }
    if (!copy_string(values, "what.text.value", text, sizeof text) ||
        count_characters(text) < MIN_TEXT) {
        refuse(bot, event, "what", "Please write 10 to 1,000 characters.");
        return;
    }
    if (!copy_string(event->data, "user.username", name, sizeof name)) strcpy(name, "a user");
    int size = snprintf(report, sizeof report, "Report of %s: %s", name, text);
    if (size < 0 || (size_t)size >= sizeof report) return;
    if (rtm_escape(report, escaped, sizeof escaped) >= sizeof escaped) return;
    int request = rtm_call_async(bot, on_done, method, method, "channel", channel,
                                 "text", escaped, NULL);
    check(bot, method, request);
    if (request < 0) refuse(bot, event, "what", "It cannot be posted now. Please try again later.");
}

static void on_error(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    (void)user_data;
    fprintf(stderr, "modal: %s\n",
            event->result != RTM_OK ? event->detail : "Slack reports an error");
}

int main(void) {
    static const rtm_handler handlers[] = {
        { "slash_commands::/report", on_command, NULL },
        { "interactive::block_suggestion", on_suggestion, NULL },
        { "interactive::view_submission", on_submission, NULL },
        { "error", on_error, NULL },
        { NULL, NULL, NULL },
    };
    rtm_config config = { .token = setting("SLACK_API_TOKEN"),
                          .app_token = setting("SLACK_APP_TOKEN"),
                          .base_url = setting("SLACK_API_URL"), .handlers = handlers };
    rtm_client *bot = NULL;
    if (!config.token || !config.app_token) {
        fprintf(stderr, "modal: set SLACK_API_TOKEN and SLACK_APP_TOKEN: RTM has no modals\n");
        return 1;
    }
    rtm_result result = rtm_create(&config, &bot);
    if (result == RTM_OK) result = rtm_run(bot);
    if (result != RTM_OK) fprintf(stderr, "modal: %s\n", rtm_error_detail(bot));
    rtm_destroy(bot);
    return result == RTM_OK ? 0 : 1;
}
