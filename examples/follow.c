/* Follows a channel in the terminal, like tail -f: what was said last, then what is said.
 * Build:  cc examples/follow.c -o follow -lbearssl
 * Run:    SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./follow C0123456789
 * The token wants channels:history and users:read; SLACK_API_URL points at another server. */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *channel;
static char last[32]; /* the time stamp of what was shown last */
static bool colours, refused;

/* Slack's markup as a person would read it: "&lt;" is "<", "<@U1>" "@U1", "<url|text>" "text"; and
   nothing that steers the terminal. */
static void print_text(const char *s) {
    for (; *s; s++) {
        const char *bar = *s == '<' ? strpbrk(s, "|>") : NULL, *end = strchr(s, ';');
        if (bar && *bar == '|') s = bar;
        else if (*s == '&' && end) putchar(s[1] == 'l' ? '<' : s[1] == 'g' ? '>' : '&'), s = end;
        else if (*s != '<' && *s != '>') putchar((unsigned char)*s < ' ' || *s == 127 ? ' ' : *s);
    }
}

/* Asked for once, and waited for: this program has nothing else to do. */
static const char *name_of(rtm_client *bot, const char *id) {
    static struct person { struct person *next; char id[32], name[64]; } *people, *p;
    rtm_response response;
    for (p = people; p && strcmp(p->id, id) != 0;) p = p->next;
    if (p || !(p = calloc(1, sizeof *p))) return p ? p->name : id;
    strcpy(p->id, id);
    p->next = people, people = p;
    rtm_call(bot, &response, "users.info", "user", id, NULL);
    rtm_json user = rtm_json_get(response.data, "user");
    if (!rtm_json_string(rtm_json_get(user, "profile.display_name"), p->name, sizeof p->name) &&
        !rtm_json_string(rtm_json_get(user, "real_name"), p->name, sizeof p->name))
        strcpy(p->name, id);
    return p->name;
}

static void show(rtm_client *bot, rtm_json message, const char *mark) {
    static char text[4 * 40000 + 1]; /* Slack's longest */
    char id[32], ts[32], when[8];
    rtm_json_string(rtm_json_get(message, "text"), text, sizeof text);
    rtm_json_string(rtm_json_get(message, "ts"), ts, sizeof ts);
    if (strcmp(ts, last) > 0) strcpy(last, ts);
    else if (!*mark) return; /* the history had it */
    if (!rtm_json_string(rtm_json_get(message, "user"), id, sizeof id) &&
        !rtm_json_string(rtm_json_get(message, "username"), id, sizeof id)) strcpy(id, "?");
    time_t seconds = (time_t)strtoll(ts, NULL, 10);
    strftime(when, sizeof when, "%H:%M", localtime(&seconds));
    printf(colours ? "%s \033[%um" : "%s ", when, 31 + (unsigned char)id[strlen(id) - 1] % 6u);
    print_text(name_of(bot, id));
    printf(colours ? "\033[0m %s" : ": %s", mark);
    print_text(text);
    puts("");
}

static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    rtm_json edited = rtm_json_get(event->data, "message");
    (void)user_data;
    if (!rtm_json_equals(rtm_json_get(event->data, "channel"), channel)) return;
    if (rtm_json_raw(edited, NULL)) show(bot, edited, "(edited) ");
    else if (!rtm_json_bool(rtm_json_get(event->data, "hidden"), false)) show(bot, event->data, "");
}

/* At first, and after each loss of the connection: what was said meanwhile, the newest first. */
static void on_history(rtm_client *bot, const rtm_response *response, void *user_data) {
    rtm_json messages = rtm_json_get(response->data, "messages");
    (void)user_data;
    if (response->result != RTM_OK) fprintf(stderr, "follow: %s\n", response->detail);
    refused = response->result == RTM_E_SLACK || response->result == RTM_E_AUTH;
    if (refused) rtm_stop(bot);
    for (size_t i = rtm_json_count(messages); i; i--) show(bot, rtm_json_at(messages, i - 1), "");
}

static void on_hello(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)event, (void)user_data;
    rtm_call_async(bot, on_history, NULL, "conversations.history", "channel", channel,
                   "oldest", *last ? last : NULL, "limit", *last ? "200" : "10", NULL);
}

int main(int argc, char **argv) {
    static const rtm_handler handlers[] = { { "hello", on_hello, NULL },
                                            { "message", on_message, NULL }, { 0 } };
    rtm_config config = { .token = getenv("SLACK_API_TOKEN"),
                          .app_token = getenv("SLACK_APP_TOKEN"),
                          .base_url = getenv("SLACK_API_URL"), .handlers = handlers };
    rtm_client *bot;
    if (argc != 2) return fputs("usage: follow CHANNEL\n", stderr), 2;
    channel = argv[1], colours = isatty(1) && !getenv("NO_COLOR");
    setvbuf(stdout, NULL, _IOLBF, 0);
    bool stopped = rtm_create(&config, &bot) == RTM_OK && rtm_run(bot) == RTM_OK;
    if (!stopped) fprintf(stderr, "follow: %s\n", rtm_error_detail(bot));
    rtm_destroy(bot);
    return !stopped || refused;
}
