/* Prints the messages of a Slack channel, newest first: Slack returns the pages in this order, so
 * no message must be kept in memory.
 *
 * Build:  cc examples/history.c -o history -lbearssl
 * Run:    SLACK_API_TOKEN=xoxb-... ./history C0123456789
 *
 * The callback of one page submits the request for the next page. rtm.h obeys rate limits by
 * itself. If a page is too large, it is requested again with half as many messages. SLACK_API_URL:
 * another server, such as the sandbox.
 */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_LIMIT = 100 }; /* messages of a page */

typedef struct walk {
    const char *channel;
    char cursor[512]; /* of the page that is asked for; "" = the first */
    int limit;
    bool done, failed;
} walk;

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

static void fail(walk *way, const char *why) {
    fprintf(stderr, "history: %s\n", why);
    way->done = true;
    way->failed = true;
}

static void on_page(rtm_client *slack, const rtm_response *page, void *user_data);

static void ask(rtm_client *slack, walk *way) {
    char limit[16];
    const char *cursor = *way->cursor ? way->cursor : NULL;
    const char *fields[] = { "channel", way->channel, "limit", limit, "cursor", cursor, NULL };
    rtm_request request = { .method = "conversations.history", .fields = fields,
                            .callback = on_page, .user_data = way };
    int size = snprintf(limit, sizeof limit, "%d", way->limit);
    if (size < 0 || (size_t)size >= sizeof limit) fail(way, "the limit is too long");
    else if (rtm_submit(slack, &request) < 0) fail(way, rtm_error_detail(slack));
}

/* Copies the string at a path, for the screen. A string that does not fit is marked. */
static void copy_for_screen(rtm_json data, const char *path, char *out, size_t size) {
    static const char mark[] = " [...]";
    size_t length = rtm_json_string(rtm_json_get(data, path), out, size);
    for (size_t i = 0; i < length && i + 1 < size; i++)
        if (out[i] == '\0') out[i] = '?'; /* a NUL in the string */
    if (length >= size) {
        size_t end = strlen(out);
        if (end > size - sizeof mark) end = size - sizeof mark;
        while (end > 0 && (out[end] & 0xc0) == 0x80) end--; /* between two characters */
        strcpy(out + end, mark);
    }
    printable(out);
}

/* Writes the time of a time stamp, "1732500000.000100", or "?" if it is none. */
static void copy_time(const char *ts, char *out, size_t size) {
    char *end = NULL;
    long long seconds = strtoll(ts, &end, 10);
    time_t when = (time_t)seconds;
    struct tm *local = NULL;
    if (end != ts && *end == '.' && seconds > 0 && (long long)when == seconds)
        local = localtime(&when);
    if (!local || strftime(out, size, "%Y-%m-%d %H:%M:%S", local) == 0)
        snprintf(out, size, "?");
}

static void print_message(rtm_json message) {
    static char text[200000]; /* Slack's longest has 40,000 characters */
    char ts[32], when[64], who[256];
    bool has_user = rtm_json_raw(rtm_json_get(message, "user"), NULL) != NULL;
    copy_for_screen(message, "ts", ts, sizeof ts);
    copy_for_screen(message, has_user ? "user" : "username", who, sizeof who);
    copy_for_screen(message, "text", text, sizeof text);
    copy_time(ts, when, sizeof when);
    printf("%s %s: %s\n", when, who, text);
}

static void on_page(rtm_client *slack, const rtm_response *page, void *user_data) {
    walk *way = user_data;
    if (page->result == RTM_E_TOO_BIG && way->limit > 1) { /* for config.max_message_size */
        way->limit /= 2;
        ask(slack, way);
        return;
    }
    if (page->result != RTM_OK) {
        fail(way, page->detail);
        return;
    }
    rtm_json messages = rtm_json_get(page->data, "messages");
    size_t count = rtm_json_count(messages);
    for (size_t i = 0; i < count; i++) print_message(rtm_json_at(messages, i));
    rtm_json next = rtm_json_get(page->data, "response_metadata.next_cursor");
    size_t length = rtm_json_string(next, way->cursor, sizeof way->cursor);
    way->limit = MAX_LIMIT;
    if (length >= sizeof way->cursor) fail(way, "the cursor of the next page is too long");
    else if (length == 0) way->done = true;
    else ask(slack, way);
}

int main(int argc, char **argv) {
    rtm_client *slack = NULL;
    rtm_config config = { .token = setting("SLACK_API_TOKEN"),
                          .base_url = setting("SLACK_API_URL") };
    if (argc != 2) {
        fprintf(stderr, "usage: history CHANNEL\n");
        return 2;
    }
    if (rtm_create(&config, &slack) != RTM_OK) {
        fprintf(stderr, "history: %s\n", rtm_error_detail(NULL));
        return 1;
    }
    walk way = { .channel = argv[1], .limit = MAX_LIMIT };
    ask(slack, &way);
    while (!way.done && !ferror(stdout)) {
        if (rtm_poll(slack, -1) < 0) break;
    }
    rtm_destroy(slack); /* calls the callback of a page that has not arrived */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "history: the output cannot be written\n");
        return 1;
    }
    return way.done && !way.failed ? 0 : 1;
}
