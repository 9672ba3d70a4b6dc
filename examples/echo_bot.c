/* A bot that repeats what users write, over RTM or in Socket Mode, and prints what happens.
 *
 * Build:  cc examples/echo_bot.c -o echo_bot -lbearssl
 * Run:    SLACK_API_TOKEN=xoxb-... ./echo_bot                              RTM
 *         SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./echo_bot     Socket Mode
 *
 * SLACK_API_URL names another server, such as the sandbox. Ctrl-C ends the bot.
 */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 3000 }; /* bytes that are repeated; Slack accepts 3,000 characters in a block */

/* Returns an environment variable, or NULL if it is unset or empty. */
static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* Replaces in a server's text what could control a terminal: control characters (C0, DEL, C1), line
   and paragraph separators, and the characters that change the direction of text. Returns text. */
static char *printable(char *text) {
    const unsigned char *from = (const unsigned char *)text;
    char *to = text;
    while (*from) {
        size_t size = 0; /* bytes to be replaced */
        if (from[0] < ' ' || from[0] == 127) size = 1;
        if (from[0] == 0xc2 && from[1] >= 0x80 && from[1] <= 0x9f) size = 2; /* C1 */
        if (from[0] == 0xd8 && from[1] == 0x9c) size = 2;                    /* U+061C */
        if (from[0] == 0xe2 && from[1] == 0x80) {
            if (from[2] == 0x8e || from[2] == 0x8f) size = 3; /* U+200E, U+200F */
            if (from[2] >= 0xa8 && from[2] <= 0xae) size = 3; /* U+2028 to U+202E */
        }
        if (from[0] == 0xe2 && from[1] == 0x81 && from[2] >= 0xa6 && from[2] <= 0xa9) size = 3;
        if (size == 0) *to = (char)*from;
        else *to = *from == '\n' || *from == '\t' ? ' ' : '?';
        from += size ? size : 1;
        to++;
    }
    *to = '\0';
    return text;
}

/* Copies the string at a path. Returns whether it exists, fits, is not empty and has no NUL. */
static bool copy_string(rtm_json data, const char *path, char *out, size_t size) {
    size_t length = rtm_json_string(rtm_json_get(data, path), out, size);
    return length > 0 && length < size && strlen(out) == length;
}

/* Slack sends "&", "<" and ">" that a user typed as "&amp;", "&lt;" and "&gt;": undoes it. What is
   left, such as "<!channel>", can then be escaped like any other text: it notifies no one. */
static void unescape(char *text) {
    static const struct { const char *escaped; char character; } table[] = {
        { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' } };
    const char *from = text;
    char *to = text;
    while (*from) {
        size_t size = 1;
        *to = *from;
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
            size_t length = strlen(table[i].escaped);
            if (strncmp(from, table[i].escaped, length) != 0) continue;
            *to = table[i].character;
            size = length;
            break;
        }
        from += size;
        to++;
    }
    *to = '\0';
}

static void send_text(rtm_client *bot, const char *channel, const char *text) {
    if (rtm_send_message(bot, channel, text) < 0)
        printf("echo_bot: not sent: %s\n", rtm_error_detail(bot));
}

static void on_open(rtm_client *bot, const rtm_event *event, void *user_data) {
    char name[256];
    (void)bot;
    (void)user_data;
    if (copy_string(event->data, "self.name", name, sizeof name))
        printf("echo_bot: connected as %s\n", printable(name));
    else printf("echo_bot: connected, in Socket Mode\n");
}

static void on_posted(rtm_client *bot, const rtm_response *response, void *user_data) {
    (void)bot;
    (void)user_data;
    if (response->result == RTM_OK) printf("echo_bot: chat.postMessage: success\n");
    else printf("echo_bot: not posted: %s\n", response->detail);
}

/* "stop" ends the bot; "post TEXT" posts over the Web API; any other text is repeated. */
static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    char channel[64];
    char text[MAX_TEXT + 1];
    char answer[16 + 5 * MAX_TEXT]; /* "&" becomes "&amp;" */
    (void)user_data;
    if (rtm_json_raw(rtm_json_get(event->data, "bot_id"), NULL)) return; /* never answer a bot */
    if (!copy_string(event->data, "channel", channel, sizeof channel)) return;
    size_t length = rtm_json_string(rtm_json_get(event->data, "text"), text, sizeof text);
    if (length == 0) return; /* an edited message, or a file */
    if (length >= sizeof text) {
        send_text(bot, channel, "that is too long to repeat");
        return;
    }
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\0') text[i] = '?'; /* a NUL would end the text */
    if (!strcmp(text, "stop")) {
        rtm_stop(bot);
        return;
    }
    bool is_post = !strncmp(text, "post ", 5);
    size_t start = is_post ? 0 : strlen("you said: ");
    if (!is_post) memcpy(answer, "you said: ", start);
    unescape(text);
    length = rtm_escape(is_post ? text + 5 : text, answer + start, sizeof answer - start);
    if (length >= sizeof answer - start) return; /* cannot happen: answer is large enough */
    if (is_post) {
        if (rtm_call_async(bot, on_posted, NULL, "chat.postMessage", "channel", channel,
                           "text", answer, NULL) < 0)
            printf("echo_bot: not posted: %s\n", rtm_error_detail(bot));
        return;
    }
    int typing = rtm_send_typing(bot, channel);
    if (typing < 0 && typing != RTM_E_UNSUPPORTED) /* Socket Mode has no such message */
        printf("echo_bot: typing not sent: %s\n", rtm_error_detail(bot));
    send_text(bot, channel, answer);
}

/* /echo TEXT: the acknowledgement carries the reply, with a button below it. */
static void on_command(rtm_client *bot, const rtm_event *event, void *user_data) {
    char text[16 + MAX_TEXT] = "you said: ";
    char quoted[6 * sizeof text + 3]; /* a control character becomes "\u001f" */
    char reply[sizeof quoted + 256];
    size_t start = strlen(text);
    (void)user_data;
    if (!copy_string(event->data, "text", text + start, MAX_TEXT - start))
        strcpy(text, "Enter /echo and a text of up to 2,900 bytes.");
    size_t length = rtm_json_quote(text, quoted, sizeof quoted);
    if (length >= sizeof quoted) return; /* cannot happen: quoted is large enough */
    int size = snprintf(reply, sizeof reply,
                        "{\"blocks\":[{\"type\":\"section\",\"text\":{\"type\":\"plain_text\","
                        "\"text\":%s}},{\"type\":\"actions\",\"elements\":[{\"type\":\"button\","
                        "\"action_id\":\"repeat\",\"text\":{\"type\":\"plain_text\","
                        "\"text\":\"Repeat\"}}]}]}", quoted);
    if (size < 0 || (size_t)size >= sizeof reply) return;
    if (rtm_reply(bot, event, reply) != RTM_OK)
        printf("echo_bot: not answered: %s\n", rtm_error_detail(bot));
}

static void on_click(rtm_client *bot, const rtm_event *event, void *user_data) {
    char channel[64];
    (void)user_data;
    if (copy_string(event->data, "channel.id", channel, sizeof channel))
        send_text(bot, channel, "you clicked it");
}

static void on_close(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    (void)user_data;
    printf("echo_bot: closed (%d) %s\n", event->code, event->reason);
}

static void on_error(rtm_client *bot, const rtm_event *event, void *user_data) {
    char message[256];
    (void)bot;
    (void)user_data;
    if (event->result != RTM_OK) printf("echo_bot: %s\n", event->detail);
    else if (copy_string(event->data, "error.msg", message, sizeof message))
        printf("echo_bot: Slack reports an error: %s\n", printable(message));
    else printf("echo_bot: Slack reports an error\n");
}

int main(void) {
    static const rtm_handler handlers[] = { { "open", on_open, NULL },
                                            { "message", on_message, NULL },
                                            { "slash_commands::/echo", on_command, NULL },
                                            { "interactive::block_actions", on_click, NULL },
                                            { "close", on_close, NULL },
                                            { "error", on_error, NULL },
                                            { NULL, NULL, NULL } };
    rtm_config config = { .token = setting("SLACK_API_TOKEN"),
                          .app_token = setting("SLACK_APP_TOKEN"),
                          .base_url = setting("SLACK_API_URL"), .handlers = handlers };
    rtm_client *bot = NULL;
    if (setvbuf(stdout, NULL, _IOLBF, 0) != 0) fprintf(stderr, "echo_bot: output is delayed\n");
    rtm_result result = rtm_create(&config, &bot);
    if (result == RTM_OK) result = rtm_run(bot);
    if (result == RTM_OK) printf("echo_bot: stopped\n");
    else fprintf(stderr, "echo_bot: %s\n", rtm_error_detail(bot));
    rtm_destroy(bot);
    return result == RTM_OK ? 0 : 1;
}
