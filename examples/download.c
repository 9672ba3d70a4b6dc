/* Saves the files that users share in the bot's channels to a directory.
 *
 * Build:  cc examples/download.c -o download -lbearssl
 * Run:    SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./download DIRECTORY
 *
 * The app needs the scopes channels:history and files:read. A file is written as it arrives, so it
 * can be of any size; an incomplete file is removed. Existing files are never overwritten. The
 * token is sent only to URLs below FILES_URL (default https://files.slack.com/), because users can
 * also share files on other servers. Ctrl-C ends the bot.
 */
#define _POSIX_C_SOURCE 200809L
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_NAME = 100, MAX_PATH = 1024, MAX_SAME_NAME = 1000, MAX_PAGE = 1 << 20 };

typedef struct settings {
    const char *directory, *token, *files_url;
} settings;

typedef struct download {
    const settings *settings;
    char name[MAX_NAME + 1]; /* safe to use in a path */
    char path[MAX_PATH];     /* of the file; "" before it exists */
    char type[128];          /* the MIME type that Slack has announced */
    long long announced, received; /* bytes */
    int fd;                  /* -1: not open */
    int error;               /* errno, or 0 */
} download;

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

/* Makes a name from the server's: letters, digits, "-", "_" and "." stay, and it begins with no
   dot, so that it is neither hidden nor the name of a directory. */
static void make_safe(char *name) {
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (*name == '\0') strcpy(name, "file");
    for (char *c = name; *c; c++) {
        if (!strchr(safe, *c)) *c = '_';
    }
    if (*name == '.' || *name == '-') *name = '_';
}

/* Creates the file: "name", or "name.1", "name.2", ... if it exists. Returns whether it is open. */
static bool create_file(download *it) {
    for (int number = 0; it->fd < 0 && number < MAX_SAME_NAME; number++) {
        int size = number == 0 ? snprintf(it->path, sizeof it->path, "%s/%s",
                                          it->settings->directory, it->name)
                               : snprintf(it->path, sizeof it->path, "%s/%s.%d",
                                          it->settings->directory, it->name, number);
        errno = ENAMETOOLONG;
        if (size >= 0 && (size_t)size < sizeof it->path)
            it->fd = open(it->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (it->fd < 0 && errno != EEXIST) break;
    }
    if (it->fd >= 0) return true;
    it->error = errno;
    it->path[0] = '\0';
    return false;
}

/* Writes a piece of the response. Called by rtm_poll while the response arrives. */
static bool write_piece(const void *data, size_t size, void *user_data) {
    download *it = user_data;
    const char *rest = data;
    if (it->fd < 0 && !create_file(it)) return false;
    it->received += (long long)size;
    /* More than Slack has announced is not written. It is read up to MAX_PAGE, because it can be
       the login page, which on_response recognizes. */
    if (it->received > it->announced) return it->received - it->announced <= MAX_PAGE;
    while (size > 0) {
        ssize_t written = write(it->fd, rest, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            it->error = errno;
            return false;
        }
        rest += written;
        size -= (size_t)written;
    }
    return true;
}

static bool is_html(const char *type) {
    return !strncmp(type, "text/html", 9);
}

/* What is wrong with the file, or NULL. */
static const char *find_fault(const download *it, const rtm_response *response) {
    bool is_success = response->status >= 200 && response->status <= 299;
    if (it->error != 0) return strerror(it->error);
    if (is_success && is_html(response->content_type) && !is_html(it->type))
        return "Slack sent its login page: the token needs the scope files:read";
    if (it->received > it->announced) return "it is larger than announced";
    if (response->result != RTM_OK) return response->detail;
    if (it->received < it->announced) return "it is smaller than announced";
    return NULL;
}

static void on_response(rtm_client *bot, const rtm_response *response, void *user_data) {
    download *it = user_data;
    (void)bot;
    if (response->result == RTM_OK && it->fd < 0 && it->error == 0)
        create_file(it); /* an empty file has no piece; a failure is in it->error */
    if (it->fd >= 0 && close(it->fd) != 0 && it->error == 0) it->error = errno;
    const char *fault = find_fault(it, response);
    if (!fault) printf("download: %s: %lld bytes\n", it->path, it->received);
    else fprintf(stderr, "download: %s is not saved: %s\n", it->name, fault);
    if (fault && it->path[0] != '\0' && unlink(it->path) != 0)
        fprintf(stderr, "download: cannot remove %s: %s\n", it->path, strerror(errno));
    free(it);
}

/* Submits the request for one file. */
static void save(rtm_client *bot, rtm_json file, const settings *with) {
    char url[2048];
    download *it = calloc(1, sizeof *it);
    if (!it) {
        fprintf(stderr, "download: out of memory\n");
        return;
    }
    it->settings = with;
    it->fd = -1;
    it->announced = rtm_json_int(rtm_json_get(file, "size"), -1);
    /* a name that does not fit is cut: it need not be the same */
    size_t length = rtm_json_string(rtm_json_get(file, "name"), it->name, sizeof it->name);
    if (length > MAX_NAME) fprintf(stderr, "download: a name is cut to %d bytes\n", MAX_NAME);
    make_safe(it->name);
    if (!copy_string(file, "mimetype", it->type, sizeof it->type)) it->type[0] = '\0';
    const char *fault = NULL;
    if (!copy_string(file, "url_private_download", url, sizeof url)) fault = "it has no usable URL";
    else if (strncmp(url, with->files_url, strlen(with->files_url)) != 0)
        fault = "its URL is not one of FILES_URL";
    else if (it->announced < 0) fault = "its size is not announced";
    if (!fault) {
        rtm_request request = { .url = url, .http_method = "GET", .token = with->token,
                                .write_body = write_piece, .callback = on_response,
                                .user_data = it };
        if (rtm_submit(bot, &request) >= 0) return; /* on_response frees it */
        fault = rtm_error_detail(bot);
    }
    fprintf(stderr, "download: %s is not saved: %s\n", it->name, fault);
    free(it);
}

static void on_share(rtm_client *bot, const rtm_event *event, void *user_data) {
    rtm_json files = rtm_json_get(event->data, "files");
    size_t count = rtm_json_count(files);
    if (rtm_json_raw(rtm_json_get(event->data, "bot_id"), NULL)) return;
    for (size_t i = 0; i < count; i++) save(bot, rtm_json_at(files, i), user_data);
}

static void on_error(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    (void)user_data;
    fprintf(stderr, "download: %s\n",
            event->result != RTM_OK ? event->detail : "Slack reports an error");
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: download DIRECTORY\n");
        return 2;
    }
    settings with = { .directory = argv[1], .token = setting("SLACK_API_TOKEN"),
                      .files_url = setting("FILES_URL") };
    rtm_handler handlers[] = { { "message::file_share", on_share, &with },
                               { "error", on_error, NULL }, { NULL, NULL, NULL } };
    rtm_config config = { .token = with.token, .app_token = setting("SLACK_APP_TOKEN"),
                          .base_url = setting("SLACK_API_URL"), .handlers = handlers };
    rtm_client *bot = NULL;
    if (!with.files_url) with.files_url = "https://files.slack.com/";
    if (!with.token || with.files_url[strlen(with.files_url) - 1] != '/') {
        fprintf(stderr, "download: set SLACK_API_TOKEN; FILES_URL must end with \"/\"\n");
        return 1;
    }
    if (access(with.directory, W_OK | X_OK) != 0) {
        fprintf(stderr, "download: %s: %s\n", with.directory, strerror(errno));
        return 1;
    }
    if (setvbuf(stdout, NULL, _IOLBF, 0) != 0) fprintf(stderr, "download: output is delayed\n");
    rtm_result result = rtm_create(&config, &bot);
    if (result == RTM_OK) result = rtm_run(bot);
    if (result != RTM_OK) fprintf(stderr, "download: %s\n", rtm_error_detail(bot));
    rtm_destroy(bot); /* calls on_response for the downloads that have not ended */
    return result == RTM_OK ? 0 : 1;
}
