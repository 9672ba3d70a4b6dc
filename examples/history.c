/* Prints what was said in a Slack channel, the newest message first: the order in which Slack hands
 * the pages out, so that nothing has to be kept.
 *
 * Build:  cc examples/history.c -o history -lbearssl
 * Run:    SLACK_API_TOKEN=xoxb-... ./history C0123456789
 *
 * The callback of one page submits the next. Rate limits are the library's matter. SLACK_API_URL
 * points it at another server, such as the sandbox.
 */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct walk {
    const char *channel;
    bool done, failed;
} walk;

static void on_page(rtm_client *slack, const rtm_response *page, void *user_data);

static void fail(walk *way, const char *why) {
    fprintf(stderr, "history: %s\n", why);
    way->done = way->failed = true;
}

/* Asks for the page at a cursor; NULL: the first one. */
static void ask(rtm_client *slack, walk *way, const char *cursor) {
    const char *fields[] = { "channel", way->channel, "limit", "100", "cursor", cursor, NULL };
    rtm_request request = { .method = "conversations.history", .fields = fields,
                            .callback = on_page, .user_data = way };
    if (rtm_submit(slack, &request) < 0) fail(way, rtm_error_detail(slack));
}

static void print_message(rtm_json message) {
    static char text[4 * 40000 + 1]; /* Slack's longest */
    char ts[32], when[32] = "", who[64];
    rtm_json name = rtm_json_get(message, "user");
    if (!rtm_json_raw(name, NULL)) name = rtm_json_get(message, "username");
    rtm_json_string(rtm_json_get(message, "ts"), ts, sizeof ts);
    rtm_json_string(name, who, sizeof who);
    rtm_json_string(rtm_json_get(message, "text"), text, sizeof text);
    time_t seconds = (time_t)strtoll(ts, NULL, 10);
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime(&seconds));
    for (char *c = text; *c; c++) /* what others wrote shall not steer the terminal */
        if ((unsigned char)*c < ' ' && *c != '\n' && *c != '\t') *c = '?';
    printf("%s %s: %s\n", when, who, text);
}

static void on_page(rtm_client *slack, const rtm_response *page, void *user_data) {
    walk *way = user_data;
    char cursor[256];
    if (page->result != RTM_OK) {
        fail(way, page->detail);
        return;
    }
    rtm_json messages = rtm_json_get(page->data, "messages");
    for (size_t i = 0; i < rtm_json_count(messages); i++) print_message(rtm_json_at(messages, i));
    rtm_json next = rtm_json_get(page->data, "response_metadata.next_cursor");
    if (rtm_json_string(next, cursor, sizeof cursor)) ask(slack, way, cursor);
    else way->done = true;
}

int main(int argc, char **argv) {
    rtm_client *slack;
    rtm_config config = { .token = getenv("SLACK_API_TOKEN"), .base_url = getenv("SLACK_API_URL") };
    if (argc != 2) return fputs("usage: history CHANNEL\n", stderr), 2;
    if (rtm_create(&config, &slack) != RTM_OK)
        return fprintf(stderr, "history: %s\n", rtm_error_detail(NULL)), 1;
    walk way = { .channel = argv[1] };
    ask(slack, &way, NULL);
    while (!way.done && rtm_poll(slack, -1) >= 0) {}
    rtm_destroy(slack); /* runs the callback of a page that will not come any more */
    return way.failed;
}
