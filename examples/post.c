/* post - posts what it is given to a Slack channel:   uptime | post '#ops'
 *
 *     post [-t THREAD] CHANNEL            standard input, as it is
 *     post [-t THREAD] -f FILE CHANNEL    a file (CHANNEL by its id), streamed
 *
 * Build:  cc examples/post.c -o post -lbearssl
 * The token is in SLACK_API_TOKEN; SLACK_API_URL points it at another server. It tells the time
 * stamp of each message, which -t takes. A longer text becomes several messages.
 */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 4000 }; /* characters that Slack recommends for one message, at most */

/* A response, or the end of the program. */
static rtm_response call(rtm_client *slack, const rtm_request *request) {
    rtm_response response;
    if (rtm_perform(slack, request, &response) == RTM_OK) return response;
    fprintf(stderr, "post: %s\n", rtm_error_detail(slack));
    exit(1);
}

static void post_text(rtm_client *slack, const char *channel, const char *thread, char *text) {
    char escaped[5 * MOST + 1], ts[32];
    while (*text) {
        size_t length = strlen(text), cut = length;
        if (length > MOST) { /* at the end of a line, if there is one; not within a character */
            for (cut = MOST; cut && text[cut - 1] != '\n';) cut--;
            for (cut = cut ? cut : MOST; ((unsigned char)text[cut] & 0xc0) == 0x80;) cut--;
        }
        char next = text[cut];
        text[cut] = '\0';
        rtm_escape(text, escaped, sizeof escaped);
        const char *fields[] = { "channel", channel, "text", escaped, "thread_ts", thread, NULL };
        rtm_response response = call(slack, &(rtm_request){ .method = "chat.postMessage",
                                                            .fields = fields });
        rtm_json_string(rtm_json_get(response.data, "ts"), ts, sizeof ts);
        printf("%s\n", ts);
        text[cut] = next;
        text += cut;
    }
}

static size_t read_file(void *buf, size_t size, void *user) {
    return fread(buf, 1, size, user);
}

/* Slack's flow of three: ask where to, send the bytes there, and say what they are for. */
static void post_file(rtm_client *slack, const char *channel, const char *thread,
                      const char *path) {
    char length[24], url[1024], id[64], files[128];
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) {
        perror(path);
        exit(1);
    }
    long size = ftell(file);
    rewind(file);
    snprintf(length, sizeof length, "%ld", size);
    const char *ask[] = { "filename", name, "length", length, NULL };
    rtm_response response = call(slack, &(rtm_request){ .method = "files.getUploadURLExternal",
                                                        .fields = ask });
    rtm_json_string(rtm_json_get(response.data, "upload_url"), url, sizeof url);
    rtm_json_string(rtm_json_get(response.data, "file_id"), id, sizeof id);
    call(slack, &(rtm_request){ .url = url, .read = read_file, .user = file,
                                .body_size = (size_t)size, .timeout_ms = 600000 });
    fclose(file);
    snprintf(files, sizeof files, "[{\"id\":\"%s\"}]", id);
    const char *done[] = { "files", files, "channel_id", channel, "thread_ts", thread, NULL };
    call(slack, &(rtm_request){ .method = "files.completeUploadExternal", .fields = done });
}

int main(int argc, char **argv) {
    const char *thread = NULL, *file = NULL;
    static char text[1 << 20];
    rtm_client *slack;
    for (int option; (option = getopt(argc, argv, "t:f:")) != -1;) {
        if (option == 't') thread = optarg;
        else if (option == 'f') file = optarg;
        else optind = argc;
    }
    if (optind != argc - 1) return fputs("usage: post [-t THREAD] [-f FILE] CHANNEL\n", stderr), 2;
    rtm_config config = { .token = getenv("SLACK_API_TOKEN"), .base_url = getenv("SLACK_API_URL") };
    if (rtm_create(&config, &slack) != RTM_OK)
        return fprintf(stderr, "post: %s\n", rtm_error_detail(NULL)), 1;
    if (file) post_file(slack, argv[optind], thread, file);
    else if (fread(text, 1, sizeof text - 1, stdin)) post_text(slack, argv[optind], thread, text);
    rtm_destroy(slack);
}
