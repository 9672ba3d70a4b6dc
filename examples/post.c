/* Posts what it reads, or a file, to a Slack channel, and prints the time stamp of each message.
 * Build:  cc examples/post.c -o post -lbearssl
 * Run:    uptime | SLACK_API_TOKEN=xoxb-... ./post '#ops'
 *         ./post -t 1732500000.000100 -f photo.jpg C0123456789
 * -t: in that message's thread; -f: a file, to a channel by its id; SLACK_API_URL: another server.
 */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 4000 }; /* characters that Slack recommends for one message, at most */

static void fail(const char *what, const char *why) {
    fprintf(stderr, "post: %s%s%s\n", what, *why ? ": " : "", why);
    exit(1);
}

/* The size of the first message of a text: all of it, or up to the last line end that fits. */
static size_t first_message(const char *text) {
    size_t size = 0, line_end = 0;
    for (int characters = 0; text[size]; size++) {
        if (text[size] == '\n') line_end = size;
        characters += ((unsigned char)text[size] & 0xc0) != 0x80; /* where one of UTF-8 begins */
        if (characters > MOST || size == 4 * MOST) return line_end ? line_end : size;
    }
    return size;
}

static rtm_result post_text(rtm_client *slack, const char *channel, const char *thread) {
    static char escaped[4 * 5 * MOST + 1]; /* 4 bytes a character at most, 5 for "&amp;" */
    char *text = NULL, ts[32];
    size_t room = 0;
    ssize_t length = getdelim(&text, &room, '\0', stdin); /* all of it: a text has no NUL */
    rtm_response response = { .result = RTM_OK };
    if (length < 0 || !text[strspn(text, " \t\r\n")]) fail("there is nothing to post", "");
    if (strlen(text) < (size_t)length) fail("this is not a text", "-f posts it as a file");
    for (char *rest = text; *(rest += strspn(rest, "\n")) && response.result == RTM_OK;) {
        size_t size = first_message(rest);
        char next = rest[size];
        rest[size] = '\0';
        rtm_escape(rest, escaped, sizeof escaped);
        while (rtm_call(slack, &response, "chat.postMessage", "channel", channel, "text", escaped,
                        "thread_ts", thread, NULL) == RTM_E_RATE_LIMITED)
            sleep(response.retry_after ? (unsigned)response.retry_after : 30);
        if (rtm_json_string(rtm_json_get(response.data, "ts"), ts, sizeof ts)) puts(ts);
        *(rest += size) = next;
    }
    free(text);
    return response.result;
}

static size_t read_file(void *buf, size_t size, void *user_data) { return fread(buf, 1, size, user_data); }

/* Three requests: where to send the bytes, the bytes, and what to do with them. */
static rtm_result post_file(rtm_client *slack, const char *channel, const char *thread,
                            const char *path) {
    char length[24], url[2048], id[64], files[96];
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    rtm_response where;
    struct stat about;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &about)) fail(path, strerror(errno));
    if (!S_ISREG(about.st_mode) || !about.st_size) fail(path, "empty, or not a regular file");
    snprintf(length, sizeof length, "%lld", (long long)about.st_size);
    rtm_result result = rtm_call(slack, &where, "files.getUploadURLExternal",
                                 "filename", name, "length", length, NULL);
    rtm_json_string(rtm_json_get(where.data, "upload_url"), url, sizeof url);
    rtm_json_string(rtm_json_get(where.data, "file_id"), id, sizeof id);
    snprintf(files, sizeof files, "[{\"id\":\"%s\"}]", id);
    rtm_request upload = { .url = url, .body_size = (size_t)about.st_size, .read_body = read_file,
                           .user_data = file, .timeout_ms = 3600000 }; /* the line may be slow */
    if (result == RTM_OK) result = rtm_perform(slack, &upload, NULL);
    fclose(file);
    if (result != RTM_OK) return result;
    return rtm_call(slack, NULL, "files.completeUploadExternal", "files", files, "channel_id",
                    channel, "thread_ts", thread, NULL);
}

int main(int argc, char **argv) {
    const char *thread = NULL, *file = NULL;
    rtm_client *slack;
    rtm_config config = { .token = getenv("SLACK_API_TOKEN"), .base_url = getenv("SLACK_API_URL") };
    for (int option; (option = getopt(argc, argv, "t:f:")) != -1;) {
        if (option == 't') thread = optarg;
        else if (option == 'f') file = optarg;
        else optind = argc; /* the usage is shown */
    }
    if (optind != argc - 1) return fputs("usage: post [-t THREAD] [-f FILE] CHANNEL\n", stderr), 2;
    if (rtm_create(&config, &slack) != RTM_OK) fail(rtm_error_detail(NULL), "");
    rtm_result result = file ? post_file(slack, argv[optind], thread, file)
                             : post_text(slack, argv[optind], thread);
    if (result != RTM_OK) fail(rtm_error_detail(slack), "");
    rtm_destroy(slack);
}
