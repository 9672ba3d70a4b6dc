/* rtmh - rtm.h as a program uses it: a callback that reads the channel, user and text of messages.
     listen=all       one listener for "*" (default); message: one for "message"; none: for neither
     listeners=K      K more for "message", each counting
     strangers=K      K more for types that never come
     clients=K        K clients in one epoll loop */
#define _GNU_SOURCE
#define RTM_IMPLEMENTATION
#include "rtm.h"

#include <sys/epoll.h>

#include "bench.h"

enum { TEXT = 1 << 20, CLIENTS = 10000 };

static bench b;
static long long extra;
static long clients, ended, hellos;

static void read_message(rtm_client *bot, const rtm_event *event) {
    static char text[TEXT + 1];
    char channel[32], user[32];
    size_t channel_size, user_size, text_size;
    channel_size = rtm_json_string(rtm_json_get(event->data, "channel"), channel, sizeof channel);
    user_size = rtm_json_string(rtm_json_get(event->data, "user"), user, sizeof user);
    text_size = rtm_json_string(rtm_json_get(event->data, "text"), text, sizeof text);
    if (bench_message(&b, channel, channel_size, user, user_size, text, text_size)) {
        if (b.echo) rtm_send_message(bot, channel, text);
        return;
    }
    ended++;
    b.cpu = bench_cpu_us() - b.start_cpu; /* of the last client */
}

static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)user_data;
    bench_event(&b);
    read_message(bot, event);
}

static void on_any(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)user_data;
    if (!strcmp(event->type, "message")) {
        bench_event(&b);
        read_message(bot, event);
    } else if (strcmp(event->type, "hello") && strcmp(event->type, "open") &&
               strcmp(event->type, "close") && strcmp(event->type, "Unknown")) {
        bench_event(&b);
    }
}

static void on_extra(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    (void)event;
    (void)user_data;
    extra++;
}

static void on_hello(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    (void)event;
    (void)user_data;
    bench_hello(&b);
    hellos++;
    b.start_cpu = bench_cpu_us(); /* for listen=none, which sees no first event */
}

/* With listen=none only this callback sees the end. */
static void on_close(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    (void)user_data;
    if (!b.ended) b.cpu = bench_cpu_us() - b.start_cpu;
    b.ended = true;
    ended = clients;
    if (event->result != RTM_OK) fprintf(stderr, "rtmh: %d %s\n", event->code, event->reason);
}

static rtm_client *make_client(void) {
    rtm_client *bot;
    rtm_config config = { .token = "xoxb-bench", .base_url = b.base, .ca_file = b.ca,
                          .proxy = "", .max_message_size = 2 * TEXT, .no_auto_reconnect = true };
    if (rtm_create(&config, &bot) != RTM_OK) {
        fprintf(stderr, "rtmh: %s\n", rtm_error_detail(NULL));
        exit(1);
    }
    const char *listen = bench_option(&b, "listen", "all");
    rtm_on(bot, "hello", on_hello, NULL);
    if (!strcmp(listen, "all")) rtm_on(bot, "*", on_any, NULL);
    else if (!strcmp(listen, "message")) rtm_on(bot, "message", on_message, NULL);
    if (!strcmp(listen, "none")) rtm_on(bot, "close", on_close, NULL);
    long listeners = bench_number(&b, "listeners", 0), strangers = bench_number(&b, "strangers", 0);
    for (long i = 0; i < listeners; i++) rtm_on(bot, "message", on_extra, (char *)&extra + i);
    for (long i = 0; i < strangers; i++) {
        char type[32];
        snprintf(type, sizeof type, "stranger_%ld", i);
        rtm_on(bot, type, on_extra, NULL);
    }
    return bot;
}

static void fail(rtm_client *bot, int result) {
    fprintf(stderr, "rtmh: %s: %s\n", rtm_strerror((rtm_result)result), rtm_error_detail(bot));
    exit(1);
}

/* Many clients in one loop: each is asked for its timeout only after it was called, so that the
   cost of a turn depends on its events, not on the number of idle clients. */
typedef struct seat {
    rtm_client *bot;
    long long due; /* ms */
} seat;

static seat seats[CLIENTS];
static long long earliest;

static void step_seat(seat *s) {
    int result = rtm_poll(s->bot, 0);
    if (result < 0 && !b.ended) fail(s->bot, result);
    int timeout = result < 0 ? -1 : rtm_timeout_ms(s->bot);
    s->due = timeout < 0 ? LLONG_MAX : bench_clock() / 1000000 + timeout;
    if (s->due < earliest) earliest = s->due;
}

static void step_due(void) {
    long long now = bench_clock() / 1000000;
    if (now < earliest) return;
    earliest = LLONG_MAX;
    for (long i = 0; i < clients; i++) {
        if (seats[i].due <= now) step_seat(&seats[i]);
        if (seats[i].due < earliest) earliest = seats[i].due;
    }
}

static void run_many(void) {
    struct epoll_event ready[256];
    bench_allow_files();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (long i = 0; i < clients; i++) {
        struct epoll_event wanted = { .events = EPOLLIN, .data.u32 = (uint32_t)i };
        seats[i].bot = make_client();
        epoll_ctl(epoll, EPOLL_CTL_ADD, rtm_fd(seats[i].bot), &wanted);
        while (hellos <= i) { /* one handshake at a time, as a server would like it */
            int result = rtm_poll(seats[i].bot, 100);
            if (result < 0) fail(seats[i].bot, result);
        }
        step_seat(&seats[i]);
    }
    b.start_cpu = bench_cpu_us();
    b.started = true;
    while (ended < clients) {
        long long wait = earliest - bench_clock() / 1000000;
        int n = epoll_wait(epoll, ready, 256, wait < 0 ? 0 : wait > 1000 ? 1000 : (int)wait);
        for (int i = 0; i < n; i++) step_seat(&seats[ready[i].data.u32]);
        step_due();
    }
}

int main(int argc, char **argv) {
    (void)argc;
    bench_begin(&b, argv);
    clients = bench_number(&b, "clients", 1);
    if (clients > CLIENTS) return 2;
    if (bench_option(&b, "clients", NULL)) {
        run_many();
    } else {
        rtm_client *bot = make_client();
        while (ended < clients) {
            int result = rtm_poll(bot, 1000);
            if (result < 0 && !b.ended) fail(bot, result);
        }
    }
    printf("extra=%lld ", extra);
    bench_print(&b, "rtm.h");
    return 0;
}
