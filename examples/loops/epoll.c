/* Several workspaces and standard input in one epoll loop: prints the messages of each workspace,
 * and sends each line of the input, "WORKSPACE CHANNEL TEXT".
 *
 * Build:  cc examples/loops/epoll.c -o chat -lbearssl
 * Run:    acme_API_TOKEN=xoxb-... acme_APP_TOKEN=xapp-... club_API_TOKEN=xoxb-... ./chat acme club
 *
 * A workspace without an _APP_TOKEN uses RTM; acme_API_URL: another server. The end of the input
 * (Ctrl-D) ends the program. Each line is sent when its workspace is connected and Slack has
 * acknowledged the previous line, so the input can also be a file or a pipe. The exit code is 1 if
 * a line was not sent, or was refused by Slack.
 */
#define RTM_IMPLEMENTATION
#include "../rtm.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_WORKSPACES = 16, MAX_LINE = 4000 };

typedef struct workspace {
    const char *name;
    rtm_client *bot; /* NULL after it has ended */
    int sent;        /* id of the message that Slack has not acknowledged, or 0 */
} workspace;

static struct {
    workspace list[MAX_WORKSPACES];
    int count, alive;
} all;

static struct {
    char data[MAX_LINE + 1]; /* ends with a NUL */
    size_t size;
    bool is_regular; /* a regular file: it can always be read, and epoll does not accept it */
    bool is_watched, is_ready, is_long, ended;
    bool failed; /* it could not be read, or a line was not sent */
} input;

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

static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    char channel[64], from[64], text[16384];
    const workspace *w = user_data;
    (void)bot;
    size_t size = rtm_json_string(rtm_json_get(event->data, "text"), text, sizeof text);
    if (size == 0 || !copy_string(event->data, "channel", channel, sizeof channel)) return;
    if (!copy_string(event->data, "user", from, sizeof from)) strcpy(from, "?");
    for (size_t i = 0; i < size && i + 1 < sizeof text; i++)
        if (text[i] == '\0') text[i] = '?'; /* a NUL would end the text */
    printf("%s %s %s: %s%s\n", w->name, printable(channel), printable(from), printable(text),
           size >= sizeof text ? " [...]" : "");
}

/* Slack has acknowledged a message, or refused it. Returns whether it was the one that was sent. */
static bool forget_sent(workspace *w, const rtm_event *event) {
    if (event->id <= 0 || event->id != w->sent) return false;
    w->sent = 0;
    return true;
}

static void on_acknowledged(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    (void)forget_sent(user_data, event);
}

static void on_error(rtm_client *bot, const rtm_event *event, void *user_data) {
    workspace *w = user_data;
    (void)bot;
    if (forget_sent(w, event)) input.failed = true;
    fprintf(stderr, "%s: %s\n", w->name,
            event->result != RTM_OK ? event->detail : "Slack reports an error");
}

/* Returns the variable of a workspace, such as acme_API_TOKEN, or NULL if it is unset or empty. */
static const char *setting(const char *name, const char *suffix) {
    char variable[128];
    int size = snprintf(variable, sizeof variable, "%s%s", name, suffix);
    if (size < 0 || (size_t)size >= sizeof variable) return NULL;
    const char *value = getenv(variable);
    return value && *value ? value : NULL;
}

static bool start(workspace *w, int epoll) {
    const rtm_handler handlers[] = { { "message", on_message, w }, { "error", on_error, w },
                                     { "Unknown", on_acknowledged, w }, { NULL, NULL, NULL } };
    rtm_config config = { .token = setting(w->name, "_API_TOKEN"),
                          .app_token = setting(w->name, "_APP_TOKEN"),
                          .base_url = setting(w->name, "_API_URL"), .handlers = handlers };
    struct epoll_event watch = { .events = EPOLLIN, .data.ptr = w };
    if (rtm_create(&config, &w->bot) != RTM_OK) {
        fprintf(stderr, "%s: %s\n", w->name, rtm_error_detail(NULL));
        return false;
    }
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, rtm_fd(w->bot), &watch) != 0) {
        fprintf(stderr, "%s: epoll_ctl: %s\n", w->name, strerror(errno));
        return false;
    }
    return true;
}

/* ---- The input ---- */

/* The workspace that a line begins with, or NULL. */
static workspace *find_workspace(const char *line) {
    const char *name = line + strspn(line, " \t");
    size_t size = strcspn(name, " \t\n");
    for (int i = 0; i < all.count; i++) {
        workspace *w = &all.list[i];
        if (strlen(w->name) == size && !strncmp(w->name, name, size)) return w;
    }
    return NULL;
}

/* Cuts the next word off a line. Returns it; it is empty if there is none. */
static char *next_word(char **line) {
    char *word = *line + strspn(*line, " \t");
    char *end = word + strcspn(word, " \t");
    *line = end;
    if (*end != '\0') {
        *end = '\0';
        *line = end + 1 + strspn(end + 1, " \t");
    }
    return word;
}

/* Returns whether the line is on its way; reports why it is not. */
static bool send_line(char *line) {
    char escaped[5 * MAX_LINE + 1]; /* "&" becomes "&amp;" */
    workspace *to = find_workspace(line);
    const char *name = next_word(&line);
    const char *channel = next_word(&line);
    if (*line == '\0') fprintf(stderr, "expected WORKSPACE CHANNEL TEXT\n");
    else if (!to) fprintf(stderr, "not sent: no such workspace: %s\n", name);
    else if (!to->bot) fprintf(stderr, "%s: not sent: the workspace has ended\n", to->name);
    else if (rtm_escape(line, escaped, sizeof escaped) >= sizeof escaped)
        fprintf(stderr, "%s: not sent: the line is too long\n", to->name);
    else {
        to->sent = rtm_send_message(to->bot, channel, escaped);
        if (to->sent > 0) return true;
        fprintf(stderr, "%s: not sent: %s\n", to->name, rtm_error_detail(to->bot));
        to->sent = 0;
    }
    return false;
}

/* Can the next line be sent: is its workspace connected, and the line before it acknowledged? */
static bool can_send(void) {
    const workspace *to = find_workspace(input.data);
    for (int i = 0; i < all.count; i++) {
        if (all.list[i].bot && all.list[i].sent > 0) return false;
    }
    return !to || !to->bot || rtm_is_connected(to->bot);
}

/* Sends the first line of the input, if there is a whole one. */
static bool take_line(void) {
    char *end = memchr(input.data, '\n', input.size);
    if (!end && input.ended && input.size > 0) end = input.data + input.size;
    if (!end && input.size == MAX_LINE) { /* the rest of the line is dropped, too */
        if (!input.is_long) fprintf(stderr, "not sent: a line of over %d bytes\n", MAX_LINE - 1);
        input.is_long = true;
        input.failed = true;
        input.size = 0;
        input.data[0] = '\0';
        return true;
    }
    if (!end) return false;
    size_t size = (size_t)(end - input.data);
    *end = '\0';
    if (input.is_long) input.is_long = false; /* that was the rest */
    else if (strlen(input.data) != size) {
        fprintf(stderr, "not sent: a line with a NUL\n");
        input.failed = true;
    } else if (!send_line(input.data)) input.failed = true;
    if (size < input.size) size++; /* the line end */
    input.size -= size;
    memmove(input.data, input.data + size, input.size);
    input.data[input.size] = '\0';
    return true;
}

/* Reads what is there; does not wait for the rest of a line. */
static void read_input(void) {
    ssize_t size = read(STDIN_FILENO, input.data + input.size, MAX_LINE - input.size);
    input.is_ready = false;
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (size < 0) {
        fprintf(stderr, "standard input: %s\n", strerror(errno));
        input.failed = true;
    }
    if (size <= 0) input.ended = true;
    else input.size += (size_t)size;
    input.data[input.size] = '\0';
}

/* Reads and sends as much as is possible now. Returns false after the last line. */
static bool handle_input(void) {
    while (can_send()) {
        if (take_line()) continue;
        if (input.ended) return false;
        if (!input.is_regular && !input.is_ready) return true;
        read_input();
    }
    return true;
}

/* Adds the input to what epoll watches, or removes it: epoll would report a closed pipe again and
   again while its last lines wait. */
static bool watch_input(int epoll, bool wanted) {
    struct epoll_event watch = { .events = EPOLLIN, .data.ptr = NULL };
    if (input.is_regular || input.is_watched == wanted) return true;
    if (epoll_ctl(epoll, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, STDIN_FILENO, &watch) == 0) {
        input.is_watched = wanted;
        return true;
    }
    input.is_regular = wanted && errno == EPERM;
    if (!input.is_regular) fprintf(stderr, "standard input: %s\n", strerror(errno));
    return input.is_regular;
}

/* ---- The loop ---- */

/* How long epoll may wait: until the first workspace has something to do. */
static int time_to_wait(void) {
    int wait = -1;
    for (int i = 0; i < all.count; i++) {
        int due = rtm_timeout_ms(all.list[i].bot); /* -1 for NULL */
        if (due >= 0 && (wait < 0 || due < wait)) wait = due;
    }
    return wait;
}

static void poll_workspaces(void) {
    for (int i = 0; i < all.count; i++) {
        workspace *w = &all.list[i];
        if (!w->bot || rtm_poll(w->bot, 0) >= 0) continue;
        fprintf(stderr, "%s: ended: %s\n", w->name, rtm_error_detail(w->bot));
        rtm_destroy(w->bot); /* removes its descriptor from the epoll instance */
        w->bot = NULL;
        all.alive--;
    }
}

/* Returns whether the input has ended and all of it is sent. */
static bool loop(int epoll) {
    while (all.alive > 0) {
        struct epoll_event ready;
        bool wanted = can_send() && !input.is_ready && !input.ended;
        if (!watch_input(epoll, wanted)) return false;
        int count = epoll_wait(epoll, &ready, 1, time_to_wait());
        if (count < 0 && errno != EINTR) {
            fprintf(stderr, "epoll_wait: %s\n", strerror(errno));
            return false;
        }
        if (count == 1 && !ready.data.ptr) input.is_ready = true;
        poll_workspaces();
        if (!handle_input()) return true;
    }
    return false;
}

static bool run(int epoll) {
    for (int i = 0; i < all.count; i++) {
        if (!start(&all.list[i], epoll)) return false;
        all.alive++;
    }
    return watch_input(epoll, true) && loop(epoll) && all.alive == all.count && !input.failed;
}

int main(int argc, char **argv) {
    all.count = argc - 1;
    if (all.count < 1 || all.count > MAX_WORKSPACES) {
        fprintf(stderr, "usage: chat WORKSPACE... (%d at most)\n", MAX_WORKSPACES);
        return 2;
    }
    for (int i = 0; i < all.count; i++) all.list[i].name = argv[i + 1];
    if (setvbuf(stdout, NULL, _IOLBF, 0) != 0) fprintf(stderr, "the output is delayed\n");
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) {
        fprintf(stderr, "epoll_create1: %s\n", strerror(errno));
        return 1;
    }
    bool good = run(epoll);
    for (int i = 0; i < all.count; i++) rtm_destroy(all.list[i].bot);
    if (close(epoll) != 0) good = false;
    return good ? 0 : 1;
}
