/* Follows a channel in the terminal, like tail -f: the last 10 messages, then each new one.
 *
 * Build:  cc examples/follow.c -o follow -lbearssl
 * Run:    SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./follow C0123456789
 *
 * The token needs the scopes channels:history and users:read; without the second, ids are shown
 * instead of names. SLACK_API_URL: another server, such as the sandbox.
 *
 * After a loss of the connection it requests the messages that it has missed. Each message is shown
 * once, in order. If it has missed more than 5,000, it shows 5,000 and reports this. If a missed
 * message has more than 2 MB, it reports this and shows neither it nor the older ones. An edited
 * message is shown again, unless it was edited while the connection was lost.
 */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 5000, TS = 18 /* bytes of "1732500000.000100" and its NUL */, RETRY_MS = 3000 };

typedef struct message {
    struct message *next;
    char ts[TS];
    char *user;  /* an id, whose name is asked for; or NULL */
    char *name;  /* of a webhook or bot; or NULL */
    char *text;
    bool edited;
} message;

typedef struct list {
    message *first, *last;
    int count;
} list;

typedef struct person {
    struct person *next;
    char *id;
    char *name;  /* NULL: unknown, the id is shown */
    bool asked;  /* a request is in progress, or its answer is final */
    bool waits;  /* a request is in progress */
} person;

static rtm_client *bot;
static const char *channel;
static bool colours, refused;
static person *people;
static list history;       /* from conversations.history, oldest first: not complete yet */
static list ready;         /* to be shown, as soon as the names are known */
static list live;          /* received while the history was not complete */
static bool skipped;       /* that messages were too many has been reported */
static char shown[TS];     /* the latest time stamp that was shown, or is in `ready` */
static char covered[TS];   /* the history had all up to here */
static char oldest[TS];    /* start of the history to fetch, "" = the last 10 */
static char *cursor;       /* its next page, or NULL */
static int page;           /* the messages in a page */
static bool asking;        /* the history is not complete */
static bool ask_again;     /* a session has begun since: another history is to follow */
static long long ask_at;   /* when it is to be asked for (again), or 0 */

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

/* One line on stderr. rtm.h's messages have printable ASCII characters only. */
static void report(const char *subject, const char *what) {
    fprintf(stderr, "follow: %s: %s\n", subject, what);
}

/* An environment variable; NULL if it is unset or empty. */
static const char *environment(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* Of the monotonic clock, which is never set. */
static long long now_ms(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 1;
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000 + 1; /* never 0 */
}

static void on_signal(int number) {
    (void)number;
    rtm_stop(bot);
}

/* Ends the program after a failure that does not go away. */
static void end(void) {
    refused = true;
    rtm_stop(bot);
}

/* A JSON string as a C string, to be freed; NULL if it is empty or no string, or out of memory. A
   NUL within it becomes "?". */
static char *copy_string(rtm_json value) {
    size_t length = rtm_json_string(value, NULL, 0);
    if (length == 0) return NULL;
    char *copy = malloc(length + 1);
    if (!copy) {
        report("message", "out of memory");
        return NULL;
    }
    if (rtm_json_string(value, copy, length + 1) != length) copy[0] = '\0';
    for (size_t i = 0; i < length; i++)
        if (!copy[i]) copy[i] = '?';
    return copy;
}

/* A time stamp of Slack's, "" if it is none: they can be compared with strcmp then. */
static void copy_ts(rtm_json value, char *ts) {
    size_t length = rtm_json_string(value, ts, TS);
    bool good = length == TS - 1 && strspn(ts, "0123456789") == 10 && ts[10] == '.' &&
                strspn(ts + 11, "0123456789") == 6;
    if (!good) *ts = '\0';
}

/* Lists --------------------------------------------------------------------------------------- */

static void free_message(message *one) {
    free(one->user);
    free(one->name);
    free(one->text);
    free(one);
}

static void append(list *to, message *one) {
    one->next = NULL;
    if (to->last) to->last->next = one;
    else to->first = one;
    to->last = one;
    to->count++;
}

/* Keeps the list in the order of time stamps, whatever the order of Slack's pages is. */
static void insert(list *to, message *one) {
    message *before = NULL, *after = to->first;
    while (after && strcmp(after->ts, one->ts) < 0) {
        before = after;
        after = after->next;
    }
    one->next = after;
    if (before) before->next = one;
    else to->first = one;
    if (!after) to->last = one;
    to->count++;
}

static message *take_first(list *from) {
    message *one = from->first;
    if (!one) return NULL;
    from->first = one->next;
    if (!from->first) from->last = NULL;
    from->count--;
    return one;
}

static void free_list(list *of) {
    while (of->first) free_message(take_first(of));
}

static message *new_message(rtm_json json, bool edited) {
    message *one = calloc(1, sizeof *one);
    if (!one) {
        report("message", "out of memory");
        return NULL;
    }
    copy_ts(rtm_json_get(json, "ts"), one->ts);
    one->text = copy_string(rtm_json_get(json, "text"));
    one->name = copy_string(rtm_json_get(json, "username"));
    if (!one->name) one->user = copy_string(rtm_json_get(json, "user"));
    one->edited = edited;
    return one;
}

/* Names --------------------------------------------------------------------------------------- */

static void show_ready(void);

static void on_person(rtm_client *client, const rtm_response *response, void *user_data) {
    person *who = user_data;
    (void)client;
    who->waits = false;
    if (response->result == RTM_OK) {
        rtm_json user = rtm_json_get(response->data, "user");
        who->name = copy_string(rtm_json_get(user, "profile.display_name"));
        if (!who->name) who->name = copy_string(rtm_json_get(user, "real_name"));
    } else if (response->result != RTM_E_STOPPED) {
        report("users.info", response->detail);
        /* After a failure that may go away, the next message asks again. */
        who->asked = response->result == RTM_E_SLACK || response->result == RTM_E_AUTH;
    }
    if (response->result != RTM_E_STOPPED) show_ready();
}

static void ask_for_person(person *who) {
    const char *fields[] = { "user", who->id, NULL };
    rtm_request request = { .method = "users.info", .fields = fields, .callback = on_person,
                            .user_data = who, .timeout_ms = 5000, .no_retry = true };
    who->waits = rtm_submit(bot, &request) > 0;
    who->asked = who->waits;
    if (!who->waits) report("users.info", rtm_error_detail(bot));
}

/* The person with this id, whose name has been asked for; NULL if out of memory. */
static person *person_of(const char *id) {
    person *who = people;
    while (who && strcmp(who->id, id) != 0) who = who->next;
    if (!who) {
        who = calloc(1, sizeof *who);
        if (!who) return NULL;
        who->id = malloc(strlen(id) + 1);
        if (!who->id) {
            free(who);
            return NULL;
        }
        strcpy(who->id, id);
        who->next = people;
        people = who;
    }
    return who;
}

/* Showing ------------------------------------------------------------------------------------- */

/* Slack's markup as a user would read it, in place: "&lt;" is "<", "<@U1>" is "@U1", "<url|text>"
   is "text". */
static void simplify(char *text) {
    char *out = text;
    const char *in = text;
    while (*in) {
        const char *bar = *in == '<' ? strpbrk(in, "|>") : NULL;
        size_t size = 1;
        char c = *in;
        if (bar && *bar == '|') size = (size_t)(bar - in) + 1;
        if (c == '<' || c == '>') c = '\0';
        if (!strncmp(in, "&lt;", 4)) {
            c = '<';
            size = 4;
        }
        if (!strncmp(in, "&gt;", 4)) {
            c = '>';
            size = 4;
        }
        if (!strncmp(in, "&amp;", 5)) size = 5;
        if (c) {
            *out = c;
            out++;
        }
        in += size;
    }
    *out = '\0';
}

static void show(message *one, char *name) {
    char when[8] = "--:--";
    time_t seconds = (time_t)strtoll(one->ts, NULL, 10);
    const struct tm *local = *one->ts ? localtime(&seconds) : NULL;
    unsigned sum = 0;
    for (const char *c = name; *c; c++) sum += (unsigned char)*c;
    if (local && strftime(when, sizeof when, "%H:%M", local) == 0) strcpy(when, "--:--");
    printf("%s ", when);
    if (colours) printf("\033[%um", 31 + sum % 6);
    printf("%s%s", printable(name), colours ? "\033[0m " : ": ");
    if (one->edited) printf("(edited) ");
    if (one->text) {
        simplify(one->text);
        printf("%s", printable(one->text));
    }
    putchar('\n');
    if (fflush(stdout) == 0) return;
    report("stdout", strerror(errno));
    end();
}

/* Shows messages until one needs a name that Slack has not sent yet. */
static void show_ready(void) {
    static char nobody[] = "?";
    while (ready.first && !refused) {
        const message *first = ready.first;
        char *name = first->name ? first->name : first->user;
        person *who = first->user ? person_of(first->user) : NULL;
        if (who && who->waits) return;
        if (who && who->name) name = who->name;
        message *one = take_first(&ready);
        show(one, name ? name : nobody);
        free_message(one);
    }
}

/* Asks for a name as early as possible, and puts the message where it is shown in its turn. */
static void make_ready(message *one) {
    person *who = one->user ? person_of(one->user) : NULL;
    if (who && !who->asked && !who->name) ask_for_person(who);
    if (strcmp(one->ts, shown) > 0) strcpy(shown, one->ts);
    append(&ready, one);
}

/* Live messages ------------------------------------------------------------------------------- */

/* A message that the history had is not shown again; an edited one is. */
static void add_live(message *one) {
    if (!one->edited && *one->ts && strcmp(one->ts, covered) <= 0) free_message(one);
    else make_ready(one);
}

/* Slack also reports a message as changed when it has added the preview of a link, for example. */
static bool has_new_text(rtm_json event) {
    char *before = copy_string(rtm_json_get(event, "previous_message.text"));
    char *after = copy_string(rtm_json_get(event, "message.text"));
    bool is_same = !before && !after;
    if (before && after) is_same = !strcmp(before, after);
    free(before);
    free(after);
    return !is_same;
}

static void on_message(rtm_client *client, const rtm_event *event, void *user_data) {
    rtm_json edited = rtm_json_get(event->data, "message");
    bool is_edited = rtm_json_raw(edited, NULL) != NULL;
    (void)client;
    (void)user_data;
    if (!rtm_json_equals(rtm_json_get(event->data, "channel"), channel)) return;
    if (is_edited && !has_new_text(event->data)) return;
    if (!is_edited && rtm_json_bool(rtm_json_get(event->data, "hidden"), false)) return;
    if ((asking ? live.count : ready.count) >= MOST) {
        if (!skipped) report("message", "too many at once: some are skipped");
        skipped = true;
        return;
    }
    message *one = new_message(is_edited ? edited : event->data, is_edited);
    if (!one) return;
    if (asking) append(&live, one);
    else add_live(one);
    show_ready();
}

/* The history --------------------------------------------------------------------------------- */

static void ask_later(void) { ask_at = now_ms() + RETRY_MS; }

/* The main loop asks for its first page. */
static void begin_history(void) {
    strcpy(oldest, shown);
    page = *oldest ? 200 : 10;
    asking = true;
    ask_at = now_ms();
}

/* All that can be had is here: what was received meanwhile comes after it. */
static void end_history(bool complete) {
    if (!complete) printf("--:-- (more than %d messages were missed: not all are shown)\n", MOST);
    while (history.first) {
        message *one = take_first(&history);
        if (strcmp(one->ts, covered) > 0) strcpy(covered, one->ts);
        make_ready(one);
    }
    free(cursor);
    cursor = NULL;
    if (ask_again) {
        ask_again = false;
        begin_history();
    } else {
        while (live.first) add_live(take_first(&live));
        asking = false;
    }
    show_ready();
}

static void on_history(rtm_client *client, const rtm_response *response, void *user_data) {
    static const char *const temporary[] = { "internal_error", "fatal_error", "request_timeout",
                                             "service_unavailable", "team_added_to_org", NULL };
    (void)client;
    (void)user_data;
    if (response->result == RTM_E_STOPPED || response->result == RTM_E_CANCELLED) return;
    if (response->result == RTM_E_TOO_BIG && page > 1) {
        page /= 2;
        ask_at = now_ms();
        return;
    }
    if (response->result == RTM_E_TOO_BIG) {
        /* One message is too large. Slack does not tell where the page after it begins. */
        report("conversations.history", "a message is too large: it and older ones are not shown");
        end_history(true);
        return;
    }
    if (response->result != RTM_OK) {
        bool again = response->result != RTM_E_SLACK && response->result != RTM_E_AUTH;
        report("conversations.history", response->detail);
        for (int i = 0; temporary[i]; i++)
            if (!strcmp(response->error, temporary[i])) again = true;
        if (again) ask_later();
        else end();
        return;
    }
    rtm_json messages = rtm_json_get(response->data, "messages");
    size_t count = rtm_json_count(messages), room = (size_t)(MOST - history.count);
    for (size_t i = 0; i < count && i < room; i++) {
        message *one = new_message(rtm_json_at(messages, i), false);
        if (one) insert(&history, one);
    }
    free(cursor);
    cursor = copy_string(rtm_json_get(response->data, "response_metadata.next_cursor"));
    if (*oldest && cursor && history.count < MOST) ask_at = now_ms();
    else end_history(!*oldest || (!cursor && count <= room));
}

static void ask_for_history(void) {
    char limit[16];
    ask_at = 0;
    snprintf(limit, sizeof limit, "%d", page);
    int id = rtm_call_async(bot, on_history, NULL, "conversations.history", "channel", channel,
                            "oldest", *oldest ? oldest : NULL, "cursor", cursor,
                            "limit", limit, NULL);
    if (id > 0) return;
    report("conversations.history", rtm_error_detail(bot));
    if (id == RTM_E_AGAIN || id == RTM_E_MEMORY) ask_later();
    else end();
}

/* A new session. If a history was asked for in an earlier session, it may lack what was said
   between the two: another one follows it. */
static void on_hello(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client;
    (void)event;
    (void)user_data;
    if (asking) ask_again = true;
    else begin_history();
}

static void on_error(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client;
    (void)user_data;
    report("Slack", *event->detail ? event->detail : "an error event");
}

int main(int argc, char **argv) {
    static const rtm_handler handlers[] = { { "hello", on_hello, NULL },
                                            { "error", on_error, NULL },
                                            { "message", on_message, NULL }, { 0 } };
    rtm_config config = { .token = environment("SLACK_API_TOKEN"),
                          .app_token = environment("SLACK_APP_TOKEN"),
                          .base_url = environment("SLACK_API_URL"), .handlers = handlers,
                          .max_message_size = 2 * 1024 * 1024 };
    struct sigaction action = { .sa_handler = on_signal };
    if (argc != 2 || !*argv[1]) {
        fputs("usage: follow CHANNEL\n", stderr);
        return 2;
    }
    if (!config.token) {
        report("SLACK_API_TOKEN", "not set: the history and the names need it");
        return 1;
    }
    channel = argv[1];
    colours = isatty(1) && !environment("NO_COLOR");
    int result = rtm_create(&config, &bot);
    if (result != RTM_OK) {
        report("Slack", rtm_error_detail(NULL));
        return 1;
    }
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0) {
        report("sigaction", strerror(errno));
        end();
    }
    while (result >= 0) {
        if (ask_at && now_ms() >= ask_at) ask_for_history();
        result = rtm_poll(bot, ask_at ? 1000 : -1);
    }
    if (result != RTM_E_STOPPED) {
        report("Slack", rtm_error_detail(bot));
        refused = true;
    }
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    rtm_destroy(bot); /* names that were asked for will not arrive any more */
    show_ready();
    free_list(&history);
    free_list(&ready);
    free_list(&live);
    free(cursor);
    while (people) {
        person *who = people;
        people = who->next;
        free(who->id);
        free(who->name);
        free(who);
    }
    return refused ? 1 : 0;
}
