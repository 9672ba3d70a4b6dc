/* One descriptor for external event loops: a client that is called only when rtm_fd is readable or
   rtm_timeout_ms is 0, by poll(2), by epoll in both ways, and by libuv; and by rtm_poll itself,
   which is all there is with RTMI_EPOLL=0. Built with the address and the thread sanitizer. */
#include "unresponsive_server.h"

#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#if RTMI_EPOLL
#include <uv.h>
#endif

/* A loop: `wait` returns whether rtm_poll must be called: rtm_fd is readable, or `due` is 0. If it
   may `block`, it waits for that: for ever, if `due` is -1. */
typedef struct loop {
    const char *name;
    void (*open)(void);
    bool (*wait)(int due, bool block);
    void (*close)(void);
} loop;

static const loop *used;
static int fd_at_first, turns; /* turns: calls of rtm_poll */
static long long most_taken;   /* bytes received in one of them */

static void nothing(void) {}

static bool never_wait(int due, bool block) {
    (void)due;
    (void)block;
    return true;
}

#if RTMI_EPOLL

static bool poll_wait(int due, bool block) {
    struct pollfd pollfd = { rtm_fd(bot), POLLIN, 0 };
    return poll(&pollfd, 1, block ? due : 0) == 1 || !due;
}

static int epoll_fd;

static void epoll_open(uint32_t events) {
    struct epoll_event event = { .events = events };
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, rtm_fd(bot), &event), 0);
}

static void level_open(void) { epoll_open(EPOLLIN); }
static void edge_open(void) { epoll_open(EPOLLIN | EPOLLET); }
static void epoll_close(void) { close(epoll_fd); }

static bool epoll_loop_wait(int due, bool block) {
    struct epoll_event event;
    return epoll_wait(epoll_fd, &event, 1, block ? due : 0) == 1 || !due;
}

static uv_loop_t uv;
static uv_poll_t uv_fd;
static uv_timer_t uv_timer;
static bool uv_ready;

static void on_readable(uv_poll_t *handle, int status, int events) {
    (void)handle;
    assert_int_equal(status, 0);
    assert_int_equal(events, UV_READABLE);
    uv_ready = true;
}

static void on_timer(uv_timer_t *handle) {
    (void)handle;
    uv_ready = true;
}

static void libuv_open(void) {
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_int_equal(uv_poll_init(&uv, &uv_fd, rtm_fd(bot)), 0);
    assert_int_equal(uv_poll_start(&uv_fd, UV_READABLE, on_readable), 0);
    assert_int_equal(uv_timer_init(&uv, &uv_timer), 0);
}

static bool libuv_wait(int due, bool block) {
    uv_ready = false;
    /* The clock of the client is fake: a timeout cannot become due while libuv waits. */
    if (due) uv_timer_stop(&uv_timer);
    else uv_timer_start(&uv_timer, on_timer, 0, 0);
    uv_run(&uv, block ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    return uv_ready;
}

static void libuv_close(void) {
    uv_close((uv_handle_t *)&uv_fd, NULL);
    uv_close((uv_handle_t *)&uv_timer, NULL);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&uv), 0);
}

#endif

static const loop loops[] = {
    { "rtm_poll", nothing, never_wait, nothing },
#if RTMI_EPOLL
    { "poll", nothing, poll_wait, nothing },
    { "epoll, level-triggered", level_open, epoll_loop_wait, epoll_close },
    { "epoll, edge-triggered", edge_open, epoll_loop_wait, epoll_close },
    { "libuv", libuv_open, libuv_wait, libuv_close },
#endif
};

/* Whether rtm_poll waits by itself, and turns cannot be counted. */
static bool is_external(void) { return used->wait != never_wait; }

static int turn(void) {
    long long before = client_taken;
    int result = rtm_poll(bot, 0);
    turns++;
    if (client_taken - before > most_taken) most_taken = client_taken - before;
    assert_int_equal(rtm_fd(bot), fd_at_first);
    return result;
}

static void drive(void) {
    if (used->wait(rtm_timeout_ms(bot), false)) turn();
}

/* The client under test in the loop under test. */
static void make_looped_bot(const rtm_config *config) {
    make_bot(config);
    fd_at_first = rtm_fd(bot);
    assert_true(RTMI_EPOLL ? fd_at_first >= 0 : fd_at_first == -1);
    used->open();
    server_drive = drive;
}

/* As open_session does it. */
static void open_here(void) {
    request got;
    take_upgrade(&got);
    server_answer_upgrade(&slack, &got);
    next_event("open");
}

/* The loop never calls a client that has nothing to do. */
static void expect_idle(void) {
    for (int i = 0; i < 10; i++) drive();
    if (!is_external()) return;
    int before = turns;
    for (int i = 0; i < 50; i++) drive();
    assert_int_equal(turns, before);
    struct pollfd pollfd = { rtm_fd(bot), POLLIN, 0 };
    assert_int_equal(poll(&pollfd, 1, 0), 0);
}

/* Advances the clock to the next timeout. */
static void skip_wait(void) {
    int wait = rtm_timeout_ms(bot);
    assert_true(wait >= 0);
    test_now_ms += wait;
}

static int begin_loop(void **state) {
    turns = 0;
    most_taken = 0;
    return begin_test(state);
}

static int end_loop(void **state) {
    server_drive = NULL;
    server_waits = false;
    if (bot) used->close();
    return end_test(state);
}

/* States and ends ------------------------------------------------------------------------------ */

static void every_step_to_a_session_wakes_the_loop(void **state) {
    request got;
    (void)state;
    make_looped_bot(NULL);
    take_call(&got);
    expect_idle();
    server_send(&slack, "HTTP/1.1 200 OK\r\n"); /* a response in pieces */
    expect_idle();
    server_send(&slack, "Content-Le");
    expect_idle();
    server_close(&slack);
    next_error(RTM_E_HTTP);
    expect_idle(); /* BACKOFF */
    skip_wait();
    open_here();
    expect_idle();
    assert_int_equal(rtm_timeout_ms(bot), 30000);
}

/* Of four addresses, two refuse and one never answers. The attempt that connects is a new socket
   for the loop: it must not miss that it is connected. */
static void several_attempts_wake_the_loop(void **state) {
    static struct sockaddr_in address[4];
    static struct addrinfo list[4];
    request got;
    server closed;
    (void)state;
    server_open(&closed);
    server_free(&closed);
    unresponsive_open();
    memset(list, 0, sizeof list);
    for (int i = 0; i < 4; i++) {
        address[i] = loopback(i == 3 ? slack.port : i == 1 ? unresponsive.port : closed.port);
        list[i].ai_family = AF_INET;
        list[i].ai_addrlen = sizeof address[i];
        list[i].ai_addr = (struct sockaddr *)&address[i];
        if (i) list[i - 1].ai_next = &list[i];
    }
    server_addresses = list;
    make_looped_bot(NULL);
    for (int i = 0; i < 3; i++) { /* the second time, the last address is the first */
        if (!i) WAIT_FOR(bot->session[0]->exchange.conn.sockets == 2);
        if (!i) expect_idle();
        if (!i) assert_int_equal(rtm_timeout_ms(bot), RTMI_STAGGER_MS);
        if (!i) skip_wait();
        take_call(&got);
        expect_idle();
        server_close(&slack);
        next_error(RTM_E_CLOSED);
        expect_idle();
        skip_wait();
    }
    open_here();
    expect_idle();
    unresponsive_close();
}

static void every_end_of_a_session_wakes_the_loop(void **state) {
    (void)state;
    make_looped_bot(NULL);
    for (int i = 0; i < 6; i++) {
        open_here();
        say_hello(&slack);
        if (i == 0) server_close(&slack);
        if (i == 1) server_reset(&slack);
        if (i == 2) server_send_close(&slack, 1001, "bye");
        if (i == 3) server_send_text(&slack, "{\"type\":\"team_migration_started\"}");
        if (i == 4) rtm_reconnect(bot);
        if (i == 5) server_send(&slack, "\xff\xff\xff");
        if (i == 3) next_event("team_migration_started");
        if (i == 0 || i == 1 || i == 5) next_event("error");
        next_event("close");
        assert_int_equal(rtm_get_state(bot), RTM_STATE_BACKOFF);
        expect_idle();
        skip_wait();
    }
    open_here();
    rtm_stop(bot);
    server_expect_close(&slack, 1000);
    server_send_close(&slack, 1000, "");
    next_event("close");
    assert_int_equal(rtm_get_state(bot), RTM_STATE_FINISHED);
    expect_idle();
    assert_int_equal(rtm_timeout_ms(bot), -1);
}

static void an_idle_client_is_called_only_for_its_pings(void **state) {
    (void)state;
    make_looped_bot(NULL);
    open_here();
    say_hello(&slack);
    for (int i = 0; i < 6; i++) {
        int wait = 30000, before;
        for (int ping = 0; ping < 1 + i % 2; ping++) {
            expect_idle();
            assert_int_equal(rtm_timeout_ms(bot), wait);
            test_now_ms += wait - 1;
            expect_idle();
            test_now_ms++;
            before = turns;
            server_expect(&slack, RTMI_WS_PING, "");
            if (is_external()) assert_int_equal(turns, before + 1);
            wait = 7500;
        }
        expect_idle();
        assert_int_equal(rtm_timeout_ms(bot), wait);
        before = turns;
        server_send_frame(&slack, RTMI_WS_PONG, FIN, "", 0);
        drive();
        assert_int_equal(turns, before + 1);
    }
}

/* Bytes ---------------------------------------------------------------------------------------- */

static void each_event_costs_one_turn(void **state) {
    char text[64];
    int at_once = 1;
    (void)state;
    make_looped_bot(NULL);
    open_here();
    expect_idle();
    setsockopt(slack.fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    for (int i = 0; i < 100; i++) {
        int before = turns;
        snprintf(text, sizeof text, "{\"type\":\"message\",\"n\":%d}", i);
        server_send_text(&slack, text);
        assert_string_equal(next_event("message")->data, text);
        if (i % 10 == 0) no_event();
        if (is_external()) assert_int_equal(turns, before + 1);
    }
}

/* Sends as much as the socket of the client accepts. */
static const char *flood_at, *flood_end;

static void send_flood(char call) {
    if (call != 'r' && call != 'p') return;
    while (flood_at < flood_end) {
        ssize_t n = send(slack.fd, flood_at, (size_t)(flood_end - flood_at), MSG_NOSIGNAL);
        if (n <= 0) return;
        flood_at += n;
    }
}

static void widen(char call) {
    int size = 1 << 20;
    if (call == 'c') setsockopt(client_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static void a_flood_is_delivered_once_and_in_order(void **state) {
    enum { EVENTS = 500, SIZE = 2000 };
    char *flood = malloc(EVENTS * (SIZE + 4)), *end = flood;
    int size = 1400, held = 0;
    (void)state;
    assert_non_null(flood);
    for (int i = 0; i < EVENTS; i++) {
        *end++ = (char)(0x80 | RTMI_WS_TEXT);
        *end++ = 126;
        *end++ = (char)(SIZE >> 8);
        *end++ = (char)(SIZE & 0xff);
        memset(end, ' ', SIZE);
        int length = snprintf(end, SIZE, "{\"type\":\"message\",\"n\":%d}", i);
        end[length] = ' ';
        end += SIZE;
    }
    /* So that a socket can hold more than one step reads. */
    setsockopt(slack.listener, IPPROTO_TCP, TCP_MAXSEG, &size, sizeof size);
    client_before = widen;
    make_looped_bot(NULL);
    open_here();
    expect_idle();
    flood_at = flood;
    flood_end = end;
    client_before = send_flood;
    for (int i = 0; held < 300000 && i < SERVER_ROUNDS; i++) {
        send_flood('p');
        assert_int_equal(ioctl(session_socket(), FIONREAD, &held), 0);
        if (i > 50) poll(NULL, 0, 1); /* a delayed ACK */
    }
    for (int i = 0; i < EVENTS; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"type\":\"message\",\"n\":%d}", i);
        assert_memory_equal(next_event("message")->data, text, strlen(text));
    }
    assert_ptr_equal(flood_at, flood_end);
    no_event();
    assert_int_equal(most_taken, RTMI_BUDGET); /* the budget has limited a step */
    expect_idle();
    free(flood);
}

/* Reads what the client has sent after the bytes that server_fill has read; returns its size. */
static size_t drain(void) {
    static char waste[65536];
    size_t size = 0;
    ssize_t n;
    while ((n = recv(slack.fd, waste, sizeof waste, 0)) > 0) size += (size_t)n;
    return size;
}

static void a_full_send_buffer_wakes_the_loop_when_it_drains(void **state) {
    static char text[15001];
    size_t sent = 0, drained = 0;
    int small = 4096;
    (void)state;
    memset(text, 'x', sizeof text - 1);
    make_looped_bot(NULL);
    open_here();
    expect_idle();
    setsockopt(session_socket(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    for (int i = 0; rtm_send_message(bot, "C1", text) > 0; i++) {
        sent += 4 + 4 + bot->compose.size; /* head, mask, payload */
        assert_true(i < SERVER_ROUNDS);
    }
    assert_non_null(strstr(rtm_error_detail(bot), "send buffer full (64 KiB)"));
    expect_idle(); /* as long as the server takes nothing */
    WAIT_FOR((drained += drain()) == sent);
    expect_idle();
    assert_true(rtm_send_message(bot, "C1", "y") > 0);
    sent += 2 + 4 + bot->compose.size;
    WAIT_FOR((drained += drain()) == sent);
    expect_idle();
}

/* Wake-ups ------------------------------------------------------------------------------------- */

static void on_signal_wake(int number) {
    (void)number;
    rtm_wake(bot);
}

static void on_signal_stop(int number) {
    (void)number;
    rtm_stop(bot);
}

/* Waits until the thread under test sleeps in its loop. */
static void until_asleep(pid_t thread) {
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    for (const char *name_end = NULL; !name_end || name_end[2] != 'S'; usleep(200)) {
        FILE *in = fopen(path, "r");
        if (!in) return;
        if (!fgets(line, sizeof line, in)) *line = '\0';
        fclose(in);
        name_end = strrchr(line, ')');
    }
}

static pthread_t test_thread;
static pid_t test_task;

static void *wake_it(void *nothing_) {
    until_asleep(test_task);
    rtm_wake(bot);
    return nothing_;
}

static void *stop_it(void *nothing_) {
    until_asleep(test_task);
    rtm_stop(bot);
    return nothing_;
}

static void *signal_it(void *nothing_) {
    until_asleep(test_task);
    pthread_kill(test_thread, SIGUSR1);
    return nothing_;
}

static void handle_signal(void (*handler)(int)) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigaction(SIGUSR1, &action, NULL);
    test_thread = pthread_self();
    test_task = (pid_t)syscall(SYS_gettid);
}

/* Calls rtm_poll without a timeout; alarm() ends the program if it hangs. */
static int block(void) {
    if (is_external()) {
        while (!used->wait(-1, true)) continue; /* a signal may end it early */
        return turn();
    }
    server_waits = true;
    int result = rtm_poll(bot, -1);
    server_waits = false;
    return result;
}

static void open_without_pings(void) {
    rtm_config config = usual_config();
    config.ping_interval_ms = -1;
    make_looped_bot(&config);
    open_here();
    say_hello(&slack);
    expect_idle();
    assert_int_equal(rtm_timeout_ms(bot), -1);
}

/* rtm_wake from a thread, from a signal handler during the wait, and from one before it. */
static void a_wake_up_ends_the_wait(void **state) {
    void *(*const from[])(void *) = { wake_it, signal_it, NULL };
    (void)state;
    open_without_pings();
    handle_signal(on_signal_wake);
    for (int i = 0; i < 60; i++) {
        pthread_t thread;
        bool threaded = from[i % 3] != NULL;
        if (threaded) assert_int_equal(pthread_create(&thread, NULL, from[i % 3], NULL), 0);
        else raise(SIGUSR1);
        assert_int_equal(block(), 0);
        if (threaded) pthread_join(thread, NULL);
        if (i % 5 == 0) expect_idle(); /* it is over by then, however often it was requested */
    }
    for (int i = 0; i < 1000; i++) rtm_wake(bot);
    assert_int_equal(block(), 0);
    expect_idle();
}

/* A handler may interrupt a program between a failed call and its reading of errno. */
static void a_wake_up_does_not_change_errno(void **state) {
    static const uint64_t almost = UINT64_MAX - 1; /* the maximum of an eventfd */
    (void)state;
    open_without_pings();
    handle_signal(on_signal_wake);
    assert_true(fcntl(bot->network.wake[1], F_GETFL) & O_NONBLOCK);
    while (write(bot->network.wake[1], &almost, sizeof almost) > 0) continue;
    assert_int_equal(errno, EAGAIN);
    errno = ENOENT;
    raise(SIGUSR1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(block(), 0);
}

/* With RTMI_EPOLL=0 they are the two ends of a pipe. */
static void both_wake_descriptors_are_non_blocking_and_closed(void **state) {
    (void)state;
    int before = open_files();
    open_without_pings();
    for (int i = 0; i < 2; i++) {
        assert_true(fcntl(bot->network.wake[i], F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(bot->network.wake[i], F_GETFD) & FD_CLOEXEC);
    }
    used->close();
    end_bot();
    server_close(&slack);
    assert_int_equal(open_files(), before);
}

static void a_stop_ends_the_wait(void **state) {
    void *(*const from[])(void *) = { stop_it, signal_it, NULL };
    (void)state;
    for (int i = 0; i < 9; i++) {
        pthread_t thread;
        bool threaded = from[i % 3] != NULL;
        open_without_pings();
        handle_signal(on_signal_stop);
        if (threaded) assert_int_equal(pthread_create(&thread, NULL, from[i % 3], NULL), 0);
        else raise(SIGUSR1);
        while (rtm_get_state(bot) == RTM_STATE_OPEN) assert_int_equal(block(), 0);
        if (threaded) pthread_join(thread, NULL);
        assert_int_equal(rtm_get_state(bot), RTM_STATE_CLOSING);
        server_expect_close(&slack, 1000);
        server_close(&slack);
        next_event("close");
        assert_int_equal(rtm_poll(bot, 0), RTM_E_STOPPED);
        expect_idle();
        server_drive = NULL;
        used->close();
        end_bot();
    }
}

static void a_stop_ends_the_wait_in_every_state(void **state) {
    static const rtm_state states[] = { RTM_STATE_CONNECTING, RTM_STATE_UPGRADING,
                                        RTM_STATE_BACKOFF };
    request got;
    (void)state;
    if (!is_external()) skip(); /* these have deadlines, which would end it, too */
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        make_looped_bot(NULL);
        take_call(&got);
        if (states[i] == RTM_STATE_UPGRADING) {
            server_answer_connect(&slack, "link");
            server_accept(&slack);
            server_read_request(&slack, &got);
        }
        if (states[i] == RTM_STATE_BACKOFF) {
            server_close(&slack);
            next_event("error");
        }
        expect_idle();
        assert_int_equal(rtm_get_state(bot), states[i]);
        handle_signal(on_signal_stop);
        assert_int_equal(pthread_create(&thread, NULL, stop_it, NULL), 0);
        assert_int_equal(block(), RTM_E_STOPPED);
        pthread_join(thread, NULL);
        server_drive = NULL;
        used->close();
        end_bot();
    }
}

/* Events while rtm_call waits for its response, which arrives one round later. */
static server web;
static void (*meanwhile)(void);

static int serve_call(int timeout_ms) {
    static request got;
    (void)timeout_ms;
    if (meanwhile) {
        meanwhile();
        meanwhile = NULL;
    } else if ((web.fd >= 0 || server_try_accept(&web)) && server_try_request(&web, &got)) {
        server_answer(&web, "200 OK", "", "{\"ok\":true}");
    }
    return 0;
}

static void wake_meanwhile(void) { rtm_wake(bot); }
static void stop_meanwhile(void) { rtm_stop(bot); }
static void send_meanwhile(void) { server_send_text(&slack, "{\"type\":\"message\"}"); }

static void what_happens_during_a_call_wakes_the_loop_after_it(void **state) {
    void (*const happens[])(void) = { wake_meanwhile, send_meanwhile, stop_meanwhile };
    (void)state;
    open_without_pings();
    server_share(&web, &slack);
    server_idle = serve_call;
    for (int i = 0; i < 3; i++) {
        meanwhile = happens[i];
        assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), i == 2 ? RTM_E_STOPPED : RTM_OK);
        assert_null(meanwhile);
        server_idle = NULL;
        assert_int_equal(block(), i == 1);
        server_idle = serve_call;
        if (i == 1) next_event("message");
        if (i < 2) expect_idle();
    }
    assert_int_equal(rtm_get_state(bot), RTM_STATE_CLOSING);
    server_free(&web);
}

#define LOOP(function) cmocka_unit_test_setup_teardown(function, begin_loop, end_loop)

static const struct CMUnitTest tests[] = {
    LOOP(every_step_to_a_session_wakes_the_loop),
    LOOP(several_attempts_wake_the_loop),
    LOOP(every_end_of_a_session_wakes_the_loop),
    LOOP(an_idle_client_is_called_only_for_its_pings),
    LOOP(each_event_costs_one_turn),
    LOOP(a_flood_is_delivered_once_and_in_order),
    LOOP(a_full_send_buffer_wakes_the_loop_when_it_drains),
    LOOP(a_wake_up_ends_the_wait),
    LOOP(a_wake_up_does_not_change_errno),
    LOOP(both_wake_descriptors_are_non_blocking_and_closed),
    LOOP(a_stop_ends_the_wait),
    LOOP(a_stop_ends_the_wait_in_every_state),
    LOOP(what_happens_during_a_call_wakes_the_loop_after_it),
};

int main(void) {
    int failed = 0;
    alarm(120); /* instead of hanging for ever */
#if RTMI_EPOLL
    assert_int_equal(uv_loop_init(&uv), 0); /* opens what the library keeps open */
    assert_int_equal(uv_loop_close(&uv), 0);
#endif
    for (used = loops; used < loops + sizeof loops / sizeof *loops; used++)
        failed += cmocka_run_group_tests_name(used->name, tests, NULL, NULL);
    return failed;
}
