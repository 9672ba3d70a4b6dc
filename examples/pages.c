/* pages - prints what was said in a channel, the latest first:   pages C0123456789
 *
 * It walks conversations.history by its cursor: the callback of one page submits the next. Nothing
 * waits, so that a program could do anything else meanwhile; rate limits are the library's matter.
 *
 * Build:  cc examples/pages.c -o pages -lbearssl
 * The token is in SLACK_API_TOKEN; SLACK_API_URL points it at another server, PAGE says how many
 * messages to ask for at once.
 */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct history {
    const char *channel;
    bool done, failed;
} history;

static void on_page(rtm_client *slack, const rtm_response *response, void *user);

static void ask_for_page(rtm_client *slack, history *walk, const char *cursor) {
    int id = rtm_call_async(slack, on_page, walk, "conversations.history", "channel", walk->channel,
                            "limit", getenv("PAGE"), "cursor", cursor, NULL);
    if (id > 0) return;
    fprintf(stderr, "pages: %s\n", rtm_error_detail(slack));
    walk->done = walk->failed = true;
}

static void on_page(rtm_client *slack, const rtm_response *response, void *user) {
    history *walk = user;
    char ts[32], who[64], text[4096], cursor[256];
    if (response->result != RTM_OK) {
        fprintf(stderr, "pages: %s\n", response->detail);
        walk->done = walk->failed = true;
        return;
    }
    rtm_json messages = rtm_json_get(response->data, "messages");
    for (size_t i = 0; i < rtm_json_size(messages); i++) {
        rtm_json message = rtm_json_at(messages, i), user_id = rtm_json_get(message, "user");
        if (!rtm_json_raw(user_id, NULL)) user_id = rtm_json_get(message, "username");
        rtm_json_string(rtm_json_get(message, "ts"), ts, sizeof ts);
        rtm_json_string(user_id, who, sizeof who);
        rtm_json_string(rtm_json_get(message, "text"), text, sizeof text);
        printf("%s %s: %s\n", ts, who, text);
    }
    rtm_json next = rtm_json_get(response->data, "response_metadata.next_cursor");
    walk->done = rtm_json_string(next, cursor, sizeof cursor) == 0;
    if (!walk->done) ask_for_page(slack, walk, cursor);
}

int main(int argc, char **argv) {
    rtm_client *slack;
    rtm_config config = { .token = getenv("SLACK_API_TOKEN"),
                          .app_token = getenv("SLACK_APP_TOKEN"),
                          .base_url = getenv("SLACK_API_URL") };
    if (argc != 2) return fputs("usage: pages CHANNEL\n", stderr), 2;
    if (rtm_create(&config, &slack) != RTM_OK)
        return fprintf(stderr, "pages: %s\n", rtm_error_detail(NULL)), 1;
    history walk = { .channel = argv[1] };
    ask_for_page(slack, &walk, NULL);
    while (!walk.done)
        if (rtm_poll(slack, -1) < 0) break; /* the session beside it was refused */
    rtm_destroy(slack); /* the callback of a request that is still there runs here */
    return walk.failed ? 1 : 0;
}
