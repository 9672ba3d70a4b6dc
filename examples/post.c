/* Posts its standard input, or a file, to a Slack channel, and prints the time stamp of each
 * message.
 *
 * Build:  cc examples/post.c -o post -lbearssl
 * Run:    uptime | SLACK_API_TOKEN=xoxb-... ./post '#ops'
 *         ./post -t 1732500000.000100 -f photo.jpg C0123456789
 *
 * -t TS    posts into the thread of the message with this time stamp
 * -f FILE  uploads a file; the channel must be given by its id
 * SLACK_API_URL: another server. A text of more than 4,000 characters is split into several
 * messages.
 */
#define _POSIX_C_SOURCE 200809L
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_CHARACTERS = 4000 }; /* of one message, as Slack recommends */

typedef struct target {
    const char *channel;
    const char *thread; /* NULL: none */
} target;

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

/* Reports what is wrong. Returns false, for the caller to return. */
static bool fail(const char *what, const char *why) {
    fprintf(stderr, "post: %s%s%s\n", what, *why ? ": " : "", why);
    return false;
}

/* Is this an HTTP 429? Then waits as long as Slack asks for. */
static bool wait_for_limit(rtm_result result, const rtm_response *response) {
    if (result != RTM_E_RATE_LIMITED) return false;
    unsigned left = response->retry_after > 0 ? (unsigned)response->retry_after : 30;
    fprintf(stderr, "post: rate limited: the next attempt is in %u s\n", left);
    while (left > 0) left = sleep(left);
    return true;
}

/* ---- A text ---- */

/* The size of the first message of a text: all of it, or up to the last line end that fits. */
static size_t first_message(const char *text) {
    size_t size = 0, line_end = 0;
    int characters = 0;
    while (text[size]) {
        if (text[size] == '\n') line_end = size;
        if (((unsigned char)text[size] & 0xc0) != 0x80) characters++; /* a UTF-8 character begins */
        if (characters > MAX_CHARACTERS || size == 4 * MAX_CHARACTERS)
            return line_end ? line_end : size;
        size++;
    }
    return size;
}

static bool post_message(rtm_client *slack, const target *to, const char *text) {
    static char escaped[4 * 5 * MAX_CHARACTERS + 1]; /* 4 bytes a character; "&" becomes "&amp;" */
    char ts[64];
    rtm_response response;
    rtm_result result;
    if (rtm_escape(text, escaped, sizeof escaped) >= sizeof escaped)
        return fail("the message is too long", "");
    do {
        result = rtm_call(slack, &response, "chat.postMessage", "channel", to->channel, "text",
                          escaped, "thread_ts", to->thread, NULL);
    } while (wait_for_limit(result, &response));
    if (result != RTM_OK) return fail(rtm_error_detail(slack), "");
    if (!copy_string(response.data, "ts", ts, sizeof ts) || strspn(ts, "0123456789.") < strlen(ts))
        return fail("posted, but the response has no time stamp", "");
    printf("%s\n", ts);
    if (fflush(stdout) != 0)
        return fail("posted, but the output cannot be written", strerror(errno));
    return true;
}

static bool is_blank(const char *text) {
    return text[strspn(text, " \t\r\n")] == '\0';
}

static bool post_text(rtm_client *slack, const target *to, char *text) {
    char *rest = text + strspn(text, "\n");
    bool good = true;
    while (good && *rest) {
        size_t size = first_message(rest);
        char next = rest[size];
        rest[size] = '\0';
        if (!is_blank(rest)) good = post_message(slack, to, rest); /* Slack refuses a blank one */
        rest[size] = next;
        rest += size;
        rest += strspn(rest, "\n");
    }
    return good;
}

static bool post_input(rtm_client *slack, const target *to) {
    char *text = NULL;
    size_t room = 0;
    bool good = false;
    ssize_t length = getdelim(&text, &room, '\0', stdin); /* all of it: a text has no NUL */
    if (ferror(stdin)) fail("standard input", strerror(errno));
    else if (length < 0 || is_blank(text))
        fail("there is nothing to post", "");
    else if (strlen(text) < (size_t)length || getc(stdin) != EOF)
        fail("this is not a text", "-f posts it as a file");
    else good = post_text(slack, to, text);
    free(text);
    return good;
}

/* ---- A file ---- */

static size_t read_file(void *buf, size_t size, void *user_data) {
    return fread(buf, 1, size, user_data);
}

/* Opens a regular file: to open a pipe would wait for its other end. */
static FILE *open_file(const char *path, size_t *size) {
    struct stat about;
    FILE *file = NULL;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) != 0) fail(path, strerror(errno));
    else if (!S_ISREG(about.st_mode)) fail(path, "not a regular file");
    else if (about.st_size <= 0) fail(path, "the file is empty");
    else {
        *size = (size_t)about.st_size;
        file = fdopen(fd, "rb");
        if (!file) fail(path, strerror(errno));
    }
    if (fd >= 0 && !file) close(fd);
    return file;
}

/* Sends the bytes of the file to the URL that Slack has returned. */
static bool upload(rtm_client *slack, const char *url, const char *path, FILE *file, size_t size) {
    rtm_response response;
    rtm_result result;
    rtm_request request = { .url = url, .body_size = size, .read_body = read_file,
                            .user_data = file };
    do {
        rewind(file);
        result = rtm_perform(slack, &request, &response);
    } while (wait_for_limit(result, &response));
    if (result == RTM_OK) return true;
    if (ferror(file)) return fail(path, "the file cannot be read");
    if (feof(file)) return fail(path, "the file became shorter while it was read");
    return fail(rtm_error_detail(slack), "");
}

/* Three requests: one for an upload URL, the upload, and one that shares the file. */
static bool post_opened(rtm_client *slack, const target *to, const char *path, FILE *file,
                        size_t size) {
    char length[24], url[4096], id[64], quoted[400], files[440];
    const char *slash = strrchr(path, '/');
    rtm_response response;
    rtm_result result;
    int written = snprintf(length, sizeof length, "%zu", size);
    if (written < 0 || (size_t)written >= sizeof length) return fail(path, "the file is too large");
    do {
        result = rtm_call(slack, &response, "files.getUploadURLExternal", "filename",
                          slash ? slash + 1 : path, "length", length, NULL);
    } while (wait_for_limit(result, &response));
    if (result != RTM_OK) return fail(rtm_error_detail(slack), "");
    if (!copy_string(response.data, "upload_url", url, sizeof url) ||
        !copy_string(response.data, "file_id", id, sizeof id))
        return fail("files.getUploadURLExternal", "the response has no usable URL and id");
    if (!upload(slack, url, path, file, size)) return false;
    if (rtm_json_quote(id, quoted, sizeof quoted) >= sizeof quoted)
        return fail("the id of the file is too long", "");
    written = snprintf(files, sizeof files, "[{\"id\":%s}]", quoted);
    if (written < 0 || (size_t)written >= sizeof files)
        return fail("the id of the file is too long", "");
    do {
        result = rtm_call(slack, &response, "files.completeUploadExternal", "files", files,
                          "channel_id", to->channel, "thread_ts", to->thread, NULL);
    } while (wait_for_limit(result, &response));
    return result == RTM_OK || fail(rtm_error_detail(slack), "");
}

static bool post_file(rtm_client *slack, const target *to, const char *path) {
    size_t size = 0;
    FILE *file = open_file(path, &size);
    if (!file) return false;
    bool good = post_opened(slack, to, path, file, size);
    if (fclose(file) != 0) return fail(path, strerror(errno));
    return good;
}

int main(int argc, char **argv) {
    target to = { NULL, NULL };
    const char *path = NULL;
    bool wrong = false;
    int option = getopt(argc, argv, "t:f:");
    while (option != -1) {
        if (option == 't') to.thread = optarg;
        else if (option == 'f') path = optarg;
        else wrong = true;
        option = getopt(argc, argv, "t:f:");
    }
    if (wrong || optind != argc - 1) {
        fprintf(stderr, "usage: post [-t THREAD] [-f FILE] CHANNEL\n");
        return 2;
    }
    to.channel = argv[optind];
    rtm_client *slack = NULL;
    rtm_config config = { .token = setting("SLACK_API_TOKEN"),
                          .base_url = setting("SLACK_API_URL") };
    bool good = rtm_create(&config, &slack) == RTM_OK || fail(rtm_error_detail(NULL), "");
    if (good) good = path ? post_file(slack, &to, path) : post_input(slack, &to);
    rtm_destroy(slack);
    return good ? 0 : 1;
}
