/* Lookups of host names, in a thread, which hangs if the name server does not answer. The resolver
   here answers when the test lets it. Built three times: with the address sanitizer, with the
   thread sanitizer, and with RTM_NO_THREADS, where a lookup cannot hang. */
#define _GNU_SOURCE
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static int lookup_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                              struct addrinfo **list);
#define RTM_GETADDRINFO(host, port, hints, list) lookup_getaddrinfo(host, port, hints, list)
#define RTM_FREEADDRINFO(list) freeaddrinfo(list)
#ifndef RTM_NO_THREADS
static int start_thread(pthread_t *thread, const pthread_attr_t *attributes,
                        void *(*start)(void *), void *argument);
#define pthread_create(thread, attributes, start, argument) \
    start_thread(thread, attributes, start, argument)
#endif
#include "server.h"
#undef pthread_create

/* The resolver, used by several threads. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static struct {
    bool hangs;              /* answers nothing while this is true */
    int error;               /* its result; 0 = 127.0.0.1 */
    int asked, running;      /* all lookups so far, and those running */
    bool in_caller, signals; /* one ran in the test's thread; in one a signal could arrive */
} resolver;
static pthread_t test_thread;
static bool no_threads_left;
static int threads_started;
static size_t least_stack; /* that this machine accepts */

static int lookup_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                              struct addrinfo **list) {
    static const int numbers[] = { SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGALRM, SIGCHLD };
    sigset_t mask;
    if (rtmi_is_address(host)) return getaddrinfo(host, port, hints, list);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    pthread_mutex_lock(&lock);
    resolver.asked++;
    resolver.running++;
    if (pthread_equal(pthread_self(), test_thread)) resolver.in_caller = true;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!sigismember(&mask, numbers[i])) resolver.signals = true;
    while (resolver.hangs) pthread_cond_wait(&change, &lock);
    int error = resolver.error;
    resolver.running--;
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
    return error ? error : getaddrinfo("127.0.0.1", port, hints, list);
}

#ifndef RTM_NO_THREADS
static size_t stack; /* of the last thread */

static int start_thread(pthread_t *thread, const pthread_attr_t *attributes,
                        void *(*start)(void *), void *argument) {
    pthread_attr_t usual;
    pthread_attr_init(&usual);
    pthread_attr_getstacksize(attributes ? attributes : &usual, &stack);
    pthread_attr_destroy(&usual);
    if (stack < least_stack) return EINVAL;
    threads_started++;
    return no_threads_left ? EAGAIN : pthread_create(thread, attributes, start, argument);
}
#endif

static void set_resolver(bool hangs, int error) {
    pthread_mutex_lock(&lock);
    resolver.hangs = hangs;
    resolver.error = error;
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
}

static int lookups(void) {
    pthread_mutex_lock(&lock);
    int asked = resolver.asked;
    pthread_mutex_unlock(&lock);
    return asked;
}

#ifndef RTM_NO_THREADS
/* Lookups now hang until answer() or the end of the test. */
static void hang(void) {
    set_resolver(true, 0);
}
#endif

/* Ends all lookups with this result. */
static inline void answer(int error) {
    set_resolver(false, error);
    pthread_mutex_lock(&lock);
    while (resolver.running) pthread_cond_wait(&change, &lock);
    pthread_mutex_unlock(&lock);
}

static char base_url[64];

static rtm_config named_config(void) {
    rtm_config config = usual_config();
    snprintf(base_url, sizeof base_url, "http://slack.test:%d/api/", slack.port);
    config.base_url = base_url;
    return config;
}

static void make_named_bot(void) {
    rtm_config config = named_config();
    make_bot(&config);
}

#ifndef RTM_NO_THREADS
/* Waits until the thread of the first lookup is running. */
static void begin_lookup(void) {
    make_named_bot();
    WAIT_FOR(lookups() == 1);
}
#endif

static int begin_lookups(void **state) {
    test_thread = pthread_self();
    memset(&resolver, 0, sizeof resolver);
    no_threads_left = false;
    threads_started = 0;
    least_stack = 0;
    return begin_test(state);
}

/* An abandoned lookup ends by itself, and closes its descriptor. */
static int end_lookups(void **state) {
    end_bot();
    server_free(&slack);
    answer(0);
    files_are_closed(); /* no thread is left that could receive a signal */
    bool signals = resolver.signals;
#ifdef RTM_NO_THREADS
    signals = false;
#endif
    if (signals) print_error("a signal could arrive in the thread of a lookup\n");
    return end_test(state) || signals ? -1 : 0;
}

#ifndef RTM_NO_THREADS

static void poll_returns_while_a_lookup_hangs(void **state) {
    (void)state;
    hang();
    begin_lookup();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rtm_poll(bot, 0), 0);
        assert_int_equal(rtm_get_state(bot), RTM_STATE_CONNECTING);
        assert_int_equal(rtm_timeout_ms(bot), 30000); /* and asks not to be called again */
        if (RTMI_EPOLL) assert_false(has_something_to_do());
    }
    assert_false(resolver.in_caller);
    assert_int_equal(lookups(), 1);
}

static void the_caller_keeps_its_signal_mask(void **state) {
    sigset_t before, after;
    (void)state;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    hang();
    begin_lookup();
    pthread_sigmask(SIG_UNBLOCK, &before, &after);
    for (int number = 1; number < 32; number++)
        assert_int_equal(sigismember(&after, number), number == SIGUSR2);
}

static void an_answer_wakes_a_waiting_poll(void **state) {
    request got;
    (void)state;
    hang();
    begin_lookup();
    set_resolver(false, 0);
    server_waits = true; /* the next rtm_poll ends with the answer, or by the alarm */
    while (rtm_poll(bot, -1) == 0 && !server_pending(&slack)) continue;
    server_waits = false;
    take_call(&got);
    assert_int_equal(lookups(), 1);
}

static void an_answer_wakes_an_external_loop(void **state) {
    struct pollfd pollfd = { -1, POLLIN, 0 };
    request got;
    (void)state;
    if (!RTMI_EPOLL) skip();
    hang();
    begin_lookup();
    assert_false(has_something_to_do());
    set_resolver(false, 0);
    pollfd.fd = rtm_fd(bot);
    while (poll(&pollfd, 1, -1) != 1) continue;
    take_call(&got);
    assert_int_equal(lookups(), 1);
}

static void a_lookup_that_takes_too_long_is_named(void **state) {
    (void)state;
    hang();
    begin_lookup();
    test_now_ms += 29999;
    no_event();
    test_now_ms++;
    assert_non_null(strstr(next_error(RTM_E_TIMEOUT)->detail,
                           "resolving slack.test timed out after 30000 ms"));
    assert_int_equal(rtm_get_state(bot), RTM_STATE_BACKOFF);
}

static void a_stop_does_not_wait_for_a_lookup(void **state) {
    (void)state;
    hang();
    begin_lookup();
    rtm_stop(bot);
    assert_int_equal(rtm_poll(bot, 0), RTM_E_STOPPED);
    assert_int_equal(rtm_get_state(bot), RTM_STATE_FINISHED);
    end_bot();
    assert_int_equal(test_blocks, 0);
}

/* Its memory must be freed by its own thread: the sanitizers check this. */
static void an_answer_after_destroy_is_discarded(void **state) {
    static const int errors[] = { 0, EAI_NONAME };
    (void)state;
    for (int i = 0; i < 2; i++) {
        hang();
        make_named_bot();
        WAIT_FOR(lookups() == i + 1);
        end_bot();
        assert_int_equal(test_blocks, 0);
        answer(errors[i]);
    }
}

/* The lookup and the client may end at the same moment. */
static void destroy_may_race_with_the_answer(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        hang();
        make_named_bot();
        WAIT_FOR(lookups() == i + 1);
        set_resolver(false, 0);
        if (i % 2) rtm_poll(bot, 0);
        end_bot();
        answer(0);
    }
}

/* An attempt fails at its lookup; then the next begins. */
static void time_out(void) {
    test_now_ms += rtm_timeout_ms(bot);
    next_error(RTM_E_TIMEOUT);
    test_now_ms += rtm_timeout_ms(bot);
}

static void a_dead_name_server_costs_one_thread(void **state) {
    (void)state;
    hang();
    begin_lookup();
    for (int i = 0; i < 20; i++) {
        time_out();
        no_event();
        assert_int_equal(rtm_get_state(bot), RTM_STATE_CONNECTING);
        assert_int_equal(lookups(), 1);
    }
}

/* The answer arrives after the attempt was given up; it is available as soon as the thread of the
   lookup reports it. */
static void answer_too_late(int error) {
    hang();
    begin_lookup();
    test_now_ms += rtm_timeout_ms(bot);
    next_error(RTM_E_TIMEOUT);
    answer(error);
    WAIT_FOR(RTMI_LOAD(&bot->network.hosts->lookup->progress) == RTMI_LOOKUP_DONE);
}

static void a_late_answer_is_used_by_the_next_attempt(void **state) {
    request got;
    (void)state;
    answer_too_late(0);
    no_event(); /* it wakes the client, but begins nothing */
    assert_int_equal(rtm_get_state(bot), RTM_STATE_BACKOFF);
    hang();
    test_now_ms += rtm_timeout_ms(bot);
    take_call(&got);
    assert_int_equal(lookups(), 1);
}

/* The name server may be available again by now. */
static void a_late_failure_counts_for_nothing(void **state) {
    request got;
    (void)state;
    answer_too_late(EAI_AGAIN);
    answer(0);
    test_now_ms += rtm_timeout_ms(bot);
    take_call(&got);
    assert_int_equal(lookups(), 2);
}

static void previous_addresses_are_used_when_a_lookup_is_late(void **state) {
    request got;
    (void)state;
    make_named_bot();
    open_session();
    hang();
    server_close(&slack);
    next_error(RTM_E_CLOSED);
    next_event("close");
    test_now_ms += rtm_timeout_ms(bot);
    WAIT_FOR(lookups() == 2);
    no_event();
    assert_int_equal(rtm_timeout_ms(bot), RTMI_LOOKUP_MS);
    test_now_ms += RTMI_LOOKUP_MS - 1;
    no_event();
    assert_false(server_pending(&slack));
    test_now_ms++;
    take_call(&got);
    assert_int_equal(lookups(), 2);
    /* The next attempt starts no lookup either: the first one is still running. */
    server_close(&slack);
    next_error(RTM_E_CLOSED);
    test_now_ms += rtm_timeout_ms(bot);
    no_event();
    test_now_ms += RTMI_LOOKUP_MS;
    take_call(&got);
    assert_int_equal(lookups(), 2);
}

/* rtm_call uses the lookup of the session. */
static int call_error;

static int answer_and_serve(int timeout_ms) {
    if (lookups() == 1 && !resolver.error) answer(call_error);
    if (slack.fd < 0 && server_try_accept(&slack)) timeout_ms = 0;
    static request got;
    if (slack.fd >= 0 && server_try_request(&slack, &got))
        server_answer(&slack, "200 OK", "Connection: close\r\n", "{\"ok\":true}");
    if (timeout_ms) poll(NULL, 0, 1);
    return 0;
}

static void two_connections_to_a_host_share_its_lookup(void **state) {
    request got;
    (void)state;
    hang();
    begin_lookup();
    call_error = 0;
    server_idle = answer_and_serve;
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_OK);
    server_idle = NULL;
    server_close(&slack);
    take_call(&got);
    assert_int_equal(lookups(), 1);
}

static void a_lookup_that_fails_for_one_is_done_again_for_the_other(void **state) {
    request got;
    (void)state;
    hang();
    begin_lookup();
    call_error = EAI_AGAIN;
    server_idle = answer_and_serve;
    assert_int_equal(rtm_call(bot, NULL, "api.test", NULL), RTM_E_RESOLVE);
    assert_non_null(strstr(rtm_error_detail(bot), gai_strerror(EAI_AGAIN)));
    server_idle = NULL;
    set_resolver(false, 0);
    take_call(&got);
    assert_int_equal(lookups(), 2);
}

/* Calls to more hosts than are remembered, whose lookups hang: none of them replaces a host whose
   lookup a connection waits for, and no more than four run. */
static void other_hosts_do_not_disturb_a_lookup_in_progress(void **state) {
    rtm_request asked = { .url = base_url, .json = "{}", .timeout_ms = 100 };
    request got;
    (void)state;
    make_named_bot();
    open_session();
    hang();
    server_close(&slack);
    next_error(RTM_E_CLOSED);
    next_event("close");
    test_now_ms += rtm_timeout_ms(bot);
    WAIT_FOR(lookups() == 2);
    server_idle = skip_time;
    for (int i = 0; i < 8; i++) {
        snprintf(base_url, sizeof base_url, "http://host%d.test:1/", i);
        assert_int_equal(rtm_perform(bot, &asked, NULL), RTM_E_TIMEOUT);
        assert_non_null(strstr(rtm_error_detail(bot), "host"));
    }
    snprintf(base_url, sizeof base_url, "http://slack.test:%d/", slack.port);
    assert_int_equal(rtm_perform(bot, &asked, NULL), RTM_E_TIMEOUT);
    server_idle = NULL;
    test_now_ms += RTMI_LOOKUP_MS;
    for (int i = 0; i < 3; i++) rtm_poll(bot, 0);
    assert_int_not_equal(rtm_timeout_ms(bot), 0); /* else it is called again and again */
    take_call(&got);
    assert_in_range(lookups(), 2, 1 + 4);
    answer(0);
}

static int let_all_end(int timeout_ms) {
    (void)timeout_ms;
    assert_int_equal(threads_started, 4);
    server_idle = NULL;
    server_waits = true;
    set_resolver(false, 0);
    return 0;
}

/* The addresses of its host are not known, and the maximum number of lookups is running. */
static void a_fifth_lookup_waits_until_another_ends(void **state) {
    rtm_request asked = { .url = base_url, .json = "{}", .timeout_ms = 100 };
    request got;
    (void)state;
    hang();
    begin_lookup();
    server_idle = skip_time;
    for (int i = 0; i < 3; i++) {
        snprintf(base_url, sizeof base_url, "http://host%d.test:1/", i);
        assert_int_equal(rtm_perform(bot, &asked, NULL), RTM_E_TIMEOUT);
    }
    WAIT_FOR(lookups() == 4);
    snprintf(base_url, sizeof base_url, "http://host3.test:1/");
    server_idle = let_all_end;
    assert_int_equal(rtm_perform(bot, &asked, NULL), RTM_E_CONNECT); /* its address was found */
    assert_int_equal(lookups(), 5);
    server_waits = false;
    take_call(&got);
}

/* mlockall() locks the whole stack of a thread, which is 8 MiB by default. */
static void a_thread_has_a_small_stack_if_it_is_enough(void **state) {
    pthread_attr_t usual;
    size_t usual_stack;
    (void)state;
    pthread_attr_init(&usual);
    pthread_attr_getstacksize(&usual, &usual_stack);
    pthread_attr_destroy(&usual);
    for (int i = 0; i < 2; i++) {
        least_stack = i ? usual_stack : 0;
        make_named_bot();
        WAIT_FOR(lookups() == i + 1);
        assert_int_equal(stack, i ? usual_stack : 262144 + (size_t)sysconf(_SC_THREAD_STACK_MIN));
        end_bot();
    }
}

/* As after daemon(3): the child has the client, but not the thread of its lookup. */
static void a_child_looks_up_again_at_once(void **state) {
    int status;
    request got;
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* it allows no threads after a fork */
#endif
    for (int known = 0; known < 2; known++) {
        make_named_bot();
        if (known) {
            open_session();
            server_close(&slack);
            next_error(RTM_E_CLOSED);
            next_event("close");
            test_now_ms += rtm_timeout_ms(bot);
        }
        hang();
        int before = lookups();
        WAIT_FOR(lookups() > before);
        assert_int_not_equal(rtm_timeout_ms(bot), 0);
        pid_t child = fork();
        if (!child) {
            int due = rtm_timeout_ms(bot);
            for (int i = 0; i < 200 && lookups() < before + 2; i++) {
                rtm_poll(bot, 0);
                if (bot->session[0]->exchange.conn.phase != RTMI_CONN_LOOKUP) break;
                poll(NULL, 0, 10);
            }
            /* Addresses of an earlier lookup are used. */
            bool good = known ? bot->session[0]->exchange.conn.phase == RTMI_CONN_TCP
                              : lookups() == before + 2;
            if (good && !due) kill(getpid(), SIGKILL); /* unseen by a leak checker */
            _exit(1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        if (known) server_try_accept(&slack); /* the child's */
        answer(0);
        take_call(&got);
        end_bot();
    }
}

static void without_a_thread_the_attempt_fails(void **state) {
    request got;
    (void)state;
    no_threads_left = true;
    make_named_bot();
    assert_non_null(strstr(next_error(RTM_E_RESOLVE)->detail, "cannot resolve slack.test: no "));
    assert_int_equal(lookups(), 0);
    no_threads_left = false;
    test_now_ms += rtm_timeout_ms(bot);
    take_call(&got);
}

#else

static void a_lookup_runs_in_the_callers_thread(void **state) {
    request got;
    (void)state;
    make_named_bot();
    take_call(&got);
    assert_true(resolver.in_caller);
    assert_int_equal(lookups(), 1);
}

#endif

static void a_failed_lookup_is_named(void **state) {
    (void)state;
    set_resolver(false, EAI_NONAME);
    make_named_bot();
    record *event = next_error(RTM_E_RESOLVE);
    assert_non_null(strstr(event->detail, "cannot resolve slack.test: "));
    assert_non_null(strstr(event->detail, gai_strerror(EAI_NONAME)));
    assert_int_equal(lookups(), 1);
    test_now_ms += rtm_timeout_ms(bot);
    next_error(RTM_E_RESOLVE);
    assert_int_equal(lookups(), 2);
}

static void previous_addresses_are_used_when_a_lookup_fails(void **state) {
    request got;
    (void)state;
    make_named_bot();
    open_session();
    server_close(&slack);
    next_error(RTM_E_CLOSED);
    next_event("close");
    set_resolver(false, EAI_AGAIN);
    test_now_ms += rtm_timeout_ms(bot);
    take_call(&got);
    assert_int_equal(lookups(), 2);
}

static void each_attempt_asks_again(void **state) {
    request got;
    (void)state;
    make_named_bot();
    for (int i = 1; i < 4; i++) {
        take_call(&got);
        assert_int_equal(lookups(), i);
        server_close(&slack);
        next_error(RTM_E_CLOSED);
        test_now_ms += rtm_timeout_ms(bot);
    }
}

#define LOOKUP(function) cmocka_unit_test_setup_teardown(function, begin_lookups, end_lookups)

static const struct CMUnitTest tests[] = {
#ifndef RTM_NO_THREADS
    LOOKUP(poll_returns_while_a_lookup_hangs),
    LOOKUP(the_caller_keeps_its_signal_mask),
    LOOKUP(an_answer_wakes_a_waiting_poll),
    LOOKUP(an_answer_wakes_an_external_loop),
    LOOKUP(a_lookup_that_takes_too_long_is_named),
    LOOKUP(a_stop_does_not_wait_for_a_lookup),
    LOOKUP(an_answer_after_destroy_is_discarded),
    LOOKUP(destroy_may_race_with_the_answer),
    LOOKUP(a_dead_name_server_costs_one_thread),
    LOOKUP(a_late_answer_is_used_by_the_next_attempt),
    LOOKUP(a_late_failure_counts_for_nothing),
    LOOKUP(previous_addresses_are_used_when_a_lookup_is_late),
    LOOKUP(two_connections_to_a_host_share_its_lookup),
    LOOKUP(a_lookup_that_fails_for_one_is_done_again_for_the_other),
    LOOKUP(other_hosts_do_not_disturb_a_lookup_in_progress),
    LOOKUP(a_fifth_lookup_waits_until_another_ends),
    LOOKUP(a_thread_has_a_small_stack_if_it_is_enough),
    LOOKUP(a_child_looks_up_again_at_once),
    LOOKUP(without_a_thread_the_attempt_fails),
#else
    LOOKUP(a_lookup_runs_in_the_callers_thread),
#endif
    LOOKUP(a_failed_lookup_is_named),
    LOOKUP(previous_addresses_are_used_when_a_lookup_fails),
    LOOKUP(each_attempt_asks_again),
};

int main(void) {
    alarm(120); /* instead of hanging for ever */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
