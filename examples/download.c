/* Saves the files that users share in the bot's channels to a directory.
 *
 * Build:  cc examples/download.c -o download -lbearssl
 * Run:    SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./download DIRECTORY
 *
 * The app needs the scopes channels:history and files:read. A file is written to .NAME.part as it
 * arrives, so it can be of any size; it is renamed when it is complete, and removed if it stays
 * incomplete. Existing files are never overwritten. Only one such bot at a time can use the
 * directory.
 *
 * Files are requested one after the other. A file is not saved if Slack limits the rate 5 times for
 * it, or if 1,000 files wait already. This is reported.
 *
 * The token is sent only to URLs below FILES_URL (default https://files.slack.com/), because users
 * can also share files on other servers. Ctrl-C ends the bot.
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

enum {
    MAX_NAME = 100,
    MAX_PATH = 1024,
    MAX_SAME_NAME = 1000,
    MAX_PAGE = 1 << 20,
    MAX_WAITING = 1000, /* files */
    MAX_ATTEMPTS = 5    /* for one file, if Slack limits the rate */
};

struct download;

typedef struct settings {
    const char *directory, *token, *files_url;
    struct download *first, *last; /* of those that wait; the first one is requested */
    int waiting;
} settings;

typedef struct download {
    struct download *next;
    settings *settings;
    char url[2048];
    int attempts;
    char name[MAX_NAME + 1]; /* safe to use in a path */
    char part[MAX_PATH];     /* path of the incomplete file; "" before it exists */
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

/* Makes the path of a file in the directory from these three. Returns whether it fits. */
static bool make_path(const download *it, const char *before, const char *after, char *path) {
    int size = snprintf(path, MAX_PATH, "%s/%s%s%s", it->settings->directory, before, it->name,
                        after);
    if (size >= 0 && size < MAX_PATH) return true;
    errno = ENAMETOOLONG;
    return false;
}

/* Creates the file that is written: .NAME.part. No shared file is saved under such a name, so one
   that exists is of an earlier run. Returns whether it is open. */
static bool create_part(download *it) {
    bool good = make_path(it, ".", ".part", it->part);
    if (good) good = unlink(it->part) == 0 || errno == ENOENT;
    if (good) it->fd = open(it->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (it->fd >= 0) return true;
    it->error = errno;
    it->part[0] = '\0';
    return false;
}

/* Gives the complete file its name: "name", or "name.1", "name.2", ... if that exists. The name is
   taken with an empty file first, which cannot overwrite anything. */
static bool name_file(download *it, char *path) {
    char after[16] = "";
    int fd = -1;
    for (int number = 1; fd < 0 && number <= MAX_SAME_NAME; number++) {
        if (make_path(it, "", after, path))
            fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST) break;
        snprintf(after, sizeof after, ".%d", number);
    }
    if (fd >= 0 && close(fd) == 0 && rename(it->part, path) == 0) return true;
    it->error = errno;
    if (fd >= 0 && unlink(path) != 0)
        fprintf(stderr, "download: cannot remove %s: %s\n", path, strerror(errno));
    return false;
}

/* Writes a piece of the response. Called by rtm_poll while the response arrives. */
static bool write_piece(const void *data, size_t size, void *user_data) {
    download *it = user_data;
    const char *rest = data;
    if (it->fd < 0 && !create_part(it)) return false;
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

static void request_first(rtm_client *bot, settings *with);

/* Takes the first file off the list and reports why it is not saved, unless `fault` is NULL. */
static void drop_first(settings *with, const char *fault) {
    download *it = with->first;
    if (fault) fprintf(stderr, "download: %s is not saved: %s\n", it->name, fault);
    with->first = it->next;
    if (!with->first) with->last = NULL;
    with->waiting--;
    free(it);
}

static void on_response(rtm_client *bot, const rtm_response *response, void *user_data) {
    download *it = user_data;
    settings *with = it->settings;
    char path[MAX_PATH];
    if (response->result == RTM_E_RATE_LIMITED && it->attempts < MAX_ATTEMPTS) {
        fprintf(stderr, "download: %s waits: %s\n", it->name, response->detail);
        request_first(bot, with); /* rtm.h waits as long as Slack asks for */
        return;
    }
    if (response->result == RTM_OK && it->fd < 0 && it->error == 0)
        create_part(it); /* an empty file has no piece; a failure is in it->error */
    if (it->fd >= 0 && response->result == RTM_OK && fsync(it->fd) != 0) it->error = errno;
    if (it->fd >= 0 && close(it->fd) != 0 && it->error == 0) it->error = errno;
    const char *fault = find_fault(it, response);
    if (!fault && !name_file(it, path)) fault = strerror(it->error);
    if (!fault) printf("download: %s: %lld bytes\n", path, it->received);
    if (fault && it->part[0] != '\0' && unlink(it->part) != 0)
        fprintf(stderr, "download: cannot remove %s: %s\n", it->part, strerror(errno));
    drop_first(with, fault);
    request_first(bot, with);
}

/* Submits the request for the first file of the list; for the next one if that fails. */
static void request_first(rtm_client *bot, settings *with) {
    while (with->first) {
        download *it = with->first;
        rtm_request request = { .url = it->url, .http_method = "GET", .token = with->token,
                                .write_body = write_piece, .callback = on_response,
                                .user_data = it };
        it->attempts++;
        if (rtm_submit(bot, &request) >= 0) return;
        drop_first(with, rtm_error_detail(bot));
    }
}

/* Adds a file to the list. */
static void save(rtm_client *bot, rtm_json file, settings *with) {
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
    if (!copy_string(file, "url_private_download", it->url, sizeof it->url))
        fault = "it has no usable URL";
    else if (strncmp(it->url, with->files_url, strlen(with->files_url)) != 0)
        fault = "its URL is not one of FILES_URL";
    else if (it->announced < 0) fault = "its size is not announced";
    else if (with->waiting == MAX_WAITING) fault = "too many files wait";
    if (fault) {
        fprintf(stderr, "download: %s is not saved: %s\n", it->name, fault);
        free(it);
        return;
    }
    if (with->last) with->last->next = it;
    else with->first = it;
    with->last = it;
    with->waiting++;
    if (with->waiting == 1) request_first(bot, with);
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
    rtm_destroy(bot); /* calls on_response for the one that has not ended */
    return result == RTM_OK ? 0 : 1;
}
