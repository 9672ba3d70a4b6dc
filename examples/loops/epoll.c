/* Several workspaces and a terminal in one epoll loop: prints what is said in each, and sends what
 * is typed, as "WORKSPACE CHANNEL TEXT".
 *
 * Build:  cc examples/loops/epoll.c -o chat -lbearssl
 * Run:    acme_API_TOKEN=xoxb-... acme_APP_TOKEN=xapp-... club_API_TOKEN=xoxb-... ./chat acme club
 *
 * Without an _APP_TOKEN over RTM; acme_API_URL points at another server. Ctrl-D ends it.
 */
#define RTM_IMPLEMENTATION
#include "../rtm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16 }; /* workspaces */

typedef struct workspace {
    const char *name;
    rtm_client *bot; /* NULL once it has finished for good */
} workspace;

static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    char channel[32], from[32], text[4096];
    (void)bot;
    rtm_json_string(rtm_json_get(event->data, "channel"), channel, sizeof channel);
    rtm_json_string(rtm_json_get(event->data, "user"), from, sizeof from);
    if (!rtm_json_string(rtm_json_get(event->data, "text"), text, sizeof text)) return; /* edits */
    for (char *p = text; *p; p++) /* nothing that steers the terminal */
        if ((unsigned char)*p < ' ' || *p == 127) *p = ' ';
    printf("%s %s %s: %s\n", ((workspace *)user_data)->name, channel, from, text);
}

static void on_error(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    fprintf(stderr, "%s: %s\n", ((workspace *)user_data)->name, event->detail);
}

static const char *setting(const char *name, const char *suffix) {
    char variable[128]; /* acme_API_TOKEN */
    snprintf(variable, sizeof variable, "%s%s", name, suffix);
    return getenv(variable);
}

static int start(workspace *w, int epoll) {
    rtm_config config = { .token = setting(w->name, "_API_TOKEN"),
                          .app_token = setting(w->name, "_APP_TOKEN"),
                          .base_url = setting(w->name, "_API_URL") };
    struct epoll_event watch = { .events = EPOLLIN, .data.ptr = w };
    if (rtm_create(&config, &w->bot) != RTM_OK)
        return fprintf(stderr, "%s: %s\n", w->name, rtm_error_detail(NULL)), 0;
    rtm_on(w->bot, "message", on_message, w);
    rtm_on(w->bot, "error", on_error, w);
    return epoll_ctl(epoll, EPOLL_CTL_ADD, rtm_fd(w->bot), &watch) == 0;
}

/* One line of the terminal. */
static void send_line(workspace *list, int count, const char *line) {
    char name[64], channel[32], text[4096];
    if (sscanf(line, "%63s %31s %4095[^\n]", name, channel, text) != 3)
        fprintf(stderr, "WORKSPACE CHANNEL TEXT, please\n"), count = 0;
    for (int i = 0; i < count; i++)
        if (!strcmp(list[i].name, name) && rtm_send_message(list[i].bot, channel, text) < 0)
            fprintf(stderr, "%s: not sent: %s\n", name, rtm_error_detail(list[i].bot));
}

int main(int argc, char **argv) {
    static workspace list[MOST];
    char line[5000];
    int epoll = epoll_create1(EPOLL_CLOEXEC), count = argc - 1, alive = 0;
    struct epoll_event ready, terminal = { .events = EPOLLIN };
    if (count < 1 || count > MOST) return fprintf(stderr, "usage: chat WORKSPACE...\n"), 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0); /* no line waits in a buffer that epoll does not see */
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &terminal);
    for (; alive < count; alive++) {
        list[alive].name = argv[alive + 1];
        if (!start(&list[alive], epoll)) return 1;
    }
    while (alive) {
        int wait = -1; /* until the first of them is due */
        for (int i = 0; i < count; i++) {
            int due = rtm_timeout_ms(list[i].bot); /* -1 for NULL */
            if (due >= 0 && (wait < 0 || due < wait)) wait = due;
        }
        if (epoll_wait(epoll, &ready, 1, wait) > 0 && !ready.data.ptr) {
            if (!fgets(line, sizeof line, stdin)) break;
            send_line(list, count, line);
        }
        for (int i = 0; i < count; i++) {
            if (!list[i].bot || rtm_poll(list[i].bot, 0) >= 0) continue;
            fprintf(stderr, "%s: ended: %s\n", list[i].name, rtm_error_detail(list[i].bot));
            rtm_destroy(list[i].bot); /* which takes its descriptor out of the loop */
            list[i].bot = NULL;
            alive--;
        }
    }
    for (int i = 0; i < count; i++) rtm_destroy(list[i].bot);
    return alive < count;
}
