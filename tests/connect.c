#define RTM_NO_THREADS /* no lookup thread: the clock is fake */
/* Connecting to a host with several addresses, of both families: some refuse, some never answer,
   and some answer late. On the fake clock: addresses that never answer are listeners whose queue
   is full. */
#include "unresponsive_server.h"

#include <sys/resource.h>

/* What any host name resolves to: 4 is slack, 6 is slack at ::1, d never answers, r refuses, R
   refuses at ::1. */
static int sockets; /* made by the client since resolve_to() */
static server six = { .listener = -1, .fd = -1 };
static int refused_port;

static void count_sockets(char call) {
    sockets += call == 'o';
}

static void resolve_to(const char *kinds) {
    static rtmi_address address[20];
    static struct addrinfo list[20];
    memset(list, 0, sizeof list);
    memset(address, 0, sizeof address);
    for (int i = 0; kinds[i]; i++) {
        bool v6 = strchr("6R", kinds[i]) != NULL;
        int port = kinds[i] == '4' ? slack.port : kinds[i] == '6' ? six.port
                   : kinds[i] == 'd' ? unresponsive.port : refused_port;
        if (v6) {
            address[i].v6.sin6_family = AF_INET6;
            address[i].v6.sin6_addr = in6addr_loopback;
            address[i].v6.sin6_port = htons((uint16_t)port);
        } else {
            address[i].v4 = loopback(port);
        }
        list[i].ai_family = v6 ? AF_INET6 : AF_INET;
        list[i].ai_addrlen = v6 ? sizeof address[i].v6 : sizeof address[i].v4;
        list[i].ai_addr = &address[i].any;
        if (i) list[i - 1].ai_next = &list[i];
    }
    server_addresses = list;
    sockets = 0;
    client_before = count_sockets;
}

/* A listener at ::1, if this machine has that address. */
static bool six_open(void) {
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, 5)) {
        if (fd >= 0) close(fd);
        return false;
    }
    getsockname(fd, (struct sockaddr *)&address, &size);
    six = (server){ .listener = fd, .fd = -1, .port = ntohs(address.sin6_port) };
    return true;
}

static int begin_connect(void **state) {
    server closed;
    int result = begin_test(state);
    server_open(&closed); /* a port that refuses */
    refused_port = closed.port;
    server_free(&closed);
    unresponsive_open();
    return result;
}

static int end_connect(void **state) {
    unresponsive_close();
    server_free(&six);
    return end_test(state);
}

/* Everything that takes no time, such as eight refused attempts. */
static void rounds(void) {
    for (int i = 0; i < 20; i++) rtm_poll(bot, 0);
}

/* Milliseconds until the server has a connection; the clock advances to each timeout. */
static long long connect_to(server *s) {
    long long begin = test_now_ms;
    for (int i = 0;; i++) {
        assert_true(i < 100);
        rounds();
        if (server_pending(s)) break;
        test_now_ms += rtm_timeout_ms(bot);
    }
    return test_now_ms - begin;
}

static int open_sockets(void) {
    const rtmi_conn *conn = &bot->session[0]->exchange.conn;
    int count = 0;
    for (unsigned i = 0; i < conn->sockets; i++) count += conn->socket[i].fd >= 0;
    return count;
}

static void drop(server *s, rtm_result result) {
    server_try_accept(s);
    server_close(s);
    next_error(result);
    test_now_ms += rtm_timeout_ms(bot);
}

static void each_dead_address_costs_a_quarter_second_once(void **state) {
    static const struct { const char *kinds; int ms, sockets; } rows[] = {
        { "4", 0, 1 },       { "d4", 250, 2 },     { "dd4", 500, 3 },  { "dddd4", 1000, 5 },
        { "ddddddd4", 1750, 8 }, { "r4", 0, 2 },   { "rrrrrrr4", 0, 8 }, { "drd4", 500, 4 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        resolve_to(rows[i].kinds);
        make_bot(NULL);
        client_before = count_sockets;
        long long ms = connect_to(&slack);
        if (ms != rows[i].ms) fail_msg("%s: %lld ms", rows[i].kinds, ms);
        assert_int_equal(sockets, rows[i].sockets);
        assert_int_equal(open_sockets(), 1);
        drop(&slack, RTM_E_CLOSED);
        sockets = 0;
        assert_int_equal(connect_to(&slack), 0); /* the address that connected is now tried first */
        assert_int_equal(sockets, 1);
        end_bot();
    }
}

/* Eight unreachable IPv6 addresses, as NAT64 makes them, leave time for those of IPv4. */
static void families_take_turns(void **state) {
    static const struct { const char *kinds, *order; } rows[] = {
        { "RRRRRRRR4444rrrr", "R4R4R4R4" }, { "rrrrrrrr6", "r6rrrrrr" }, { "4RR", "4RR" },
        { "RR4", "R4R" }, { "44RRRR", "4R4RRR" }, { "4", "4" },
    };
    (void)state;
    if (!six_open()) skip();
    for (size_t i = 0; i < COUNT(rows); i++) {
        rtmi_lookup lookup = { .peer = { .host = "slack.test", .port = "1" } };
        resolve_to(rows[i].kinds);
        rtmi_lookup_run(&lookup);
        assert_int_equal(lookup.found.count, strlen(rows[i].order));
        for (unsigned k = 0; k < lookup.found.count; k++) {
            bool v6 = lookup.found.at[k].any.sa_family == AF_INET6;
            int port = ntohs(v6 ? lookup.found.at[k].v6.sin6_port : lookup.found.at[k].v4.sin_port);
            char kind = v6 ? (port == six.port ? '6' : 'R') : (port == slack.port ? '4' : 'r');
            assert_int_equal(kind, rows[i].order[k]);
        }
    }
    resolve_to("RRRRRRRR44444444");
    make_bot(NULL);
    assert_int_equal(connect_to(&slack), 0);
    end_bot();
    resolve_to("ddddddddd6");
    make_bot(NULL);
    assert_int_equal(connect_to(&six), 250);
    drop(&six, RTM_E_CLOSED);
    assert_int_equal(connect_to(&six), 0);
}

static void addresses_that_fail_are_reported(void **state) {
    static const struct { const char *kinds; rtm_result result; const char *detail; } rows[] = {
        { "r", RTM_E_CONNECT, "Connection refused" },
        { "rrrr", RTM_E_CONNECT, "Connection refused" },
        { "d", RTM_E_TIMEOUT, "30000 ms" },
        { "ddr", RTM_E_TIMEOUT, "30000 ms; another address failed: Conn" },
        { "rdd", RTM_E_TIMEOUT, "30000 ms; another address failed: Conn" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        resolve_to(rows[i].kinds);
        make_bot(NULL);
        long long begin = test_now_ms;
        for (int k = 0; received_count == received_next && k < 100; k++) {
            rounds();
            if (received_count == received_next) test_now_ms += rtm_timeout_ms(bot);
        }
        record *event = next_error(rows[i].result);
        if (!strstr(event->detail, rows[i].detail)) fail_msg("%s", event->detail);
        assert_int_equal(test_now_ms - begin, rows[i].result == RTM_E_TIMEOUT ? 30000 : 0);
        assert_int_equal(open_sockets(), 0);
        end_bot();
    }
}

static void every_address_has_a_turn_in_a_short_time(void **state) {
    rtm_config config = usual_config();
    (void)state;
    for (int timeout_ms = 80; timeout_ms <= 5120; timeout_ms *= 2) {
        config.timeout_ms = timeout_ms;
        resolve_to("ddddddd4");
        make_bot(&config);
        assert_in_range(connect_to(&slack), 7, timeout_ms - 1);
        end_bot();
    }
}

/* All attempts stay open, so that one with a round trip of 4.2 s connects. The next time it is
   tried first, and no other attempt begins before it can have connected. */
static void a_slow_link_connects_and_is_known_then(void **state) {
    (void)state;
    resolve_to("dddddddd");
    make_bot(NULL);
    client_before = count_sockets;
    for (int i = 0; i < 10; i++) {
        rtm_poll(bot, 0);
        if (i < 7) test_now_ms += 250;
    }
    assert_int_equal(open_sockets(), 8);
    test_now_ms += 4200 - 7 * 250;
    while (filler_count) close(fillers[--filler_count]);
    listen(unresponsive.listener, 16);
    while (server_try_accept(&unresponsive)) continue;
    for (int i = 0; session_socket() < 0; i++) { /* a SYN is repeated after 1 s */
        assert_true(i < 20000);
        rtm_poll(bot, 0);
        poll(NULL, 0, 1);
    }
    assert_int_equal(open_sockets(), 1);
    assert_in_range(bot->network.hosts->connect_ms, 4200 - 7 * 250, 4200);
    bot->network.hosts->connect_ms = 4200;
    while (server_try_accept(&unresponsive)) continue;
    unresponsive_close();
    next_error(RTM_E_CLOSED);
    unresponsive_open();
    resolve_to("ddd4");
    client_before = count_sockets;
    test_now_ms += rtm_timeout_ms(bot);
    rtm_poll(bot, 0);
    assert_int_equal(sockets, 1);
    assert_int_equal(rtm_timeout_ms(bot), 4300);
    test_now_ms += 4299;
    rtm_poll(bot, 0);
    assert_int_equal(sockets, 1);
    test_now_ms++;
    rtm_poll(bot, 0);
    assert_int_equal(sockets, 2);
}

/* The oldest attempt makes room for the next one. */
static void without_descriptors_the_oldest_attempt_is_given_up(void **state) {
    struct rlimit before, tight;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (int room = 1; room < 4; room++) {
        resolve_to("dddd4");
        make_bot(NULL);
        int next = dup(0);
        close(next);
        tight = before;
        tight.rlim_cur = (rlim_t)(next + room);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        long long ms = connect_to(&slack);
        setrlimit(RLIMIT_NOFILE, &before);
        assert_int_equal(ms, 1000);
        assert_int_equal(open_sockets(), 1);
        end_bot();
    }
}

/* An address that accepts connections and never answers must not remain the first one. */
static void an_address_without_an_answer_is_tried_last(void **state) {
    rtm_config config = usual_config();
    char https[64];
    (void)state;
    snprintf(https, sizeof https, "https://127.0.0.1:%d/api/", slack.port);
    config.base_url = https;
    resolve_to("d4");
    make_bot(&config);
    assert_int_equal(connect_to(&slack), 250);
    test_now_ms += 29749;
    rtm_poll(bot, 0);
    assert_int_equal(bot->network.hosts->worked.any.sa_family, AF_INET);
    test_now_ms++;
    next_error(RTM_E_TIMEOUT);
    assert_int_equal(bot->network.hosts->worked.any.sa_family, 0);
    server_try_accept(&slack);
    server_close(&slack);
    test_now_ms += rtm_timeout_ms(bot);
    assert_int_equal(connect_to(&slack), 250);
}

static void the_way_to_a_proxy_is_the_same(void **state) {
    static const char *const kinds[] = { "dd4", "rd4", "ddRr4" };
    static const int ms[] = { 500, 250, 500 };
    rtm_config config = usual_config();
    char proxy[64];
    request got;
    (void)state;
    snprintf(proxy, sizeof proxy, "http://proxy.test:%d", slack.port);
    config.base_url = "https://slack.test/api/";
    config.proxy = proxy;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        resolve_to(kinds[i]);
        make_bot(&config);
        client_before = count_sockets;
        assert_int_equal(connect_to(&slack), ms[i]);
        server_accept(&slack);
        server_read_request(&slack, &got);
        expect_line(&got, "CONNECT slack.test:443 HTTP/1.1");
        drop(&slack, RTM_E_PROXY);
        sockets = 0;
        assert_int_equal(connect_to(&slack), 0);
        assert_int_equal(sockets, 1);
        end_bot();
    }
}

/* As `getenv` returns it for an empty variable. */
static void empty_settings_count_as_not_set(void **state) {
    rtm_config config = usual_config();
    (void)state;
    config.app_token = config.base_url = "";
    config.ca_pem = CA_PEM;
    make_bot(&config);
    assert_false(bot->socket_mode);
    assert_string_equal(bot->settings.api.host, "slack.com");
    end_bot();
    config.token = NULL;
    assert_int_equal(rtm_create(&config, &bot), RTM_E_ARGUMENT);
    end_bot();
}

static void files_are_closed_on_exec(void **state) {
    (void)state;
    FILE *file = rtmi_open_file("/dev/null");
    assert_non_null(file);
    assert_true(fcntl(fileno(file), F_GETFD) & FD_CLOEXEC);
    fclose(file);
    assert_null(rtmi_open_file("/nowhere"));
}

#define CONNECT(function) cmocka_unit_test_setup_teardown(function, begin_connect, end_connect)

static const struct CMUnitTest tests[] = {
    CONNECT(each_dead_address_costs_a_quarter_second_once),
    CONNECT(families_take_turns),
    CONNECT(addresses_that_fail_are_reported),
    CONNECT(every_address_has_a_turn_in_a_short_time),
    CONNECT(a_slow_link_connects_and_is_known_then),
    CONNECT(without_descriptors_the_oldest_attempt_is_given_up),
    CONNECT(an_address_without_an_answer_is_tried_last),
    CONNECT(the_way_to_a_proxy_is_the_same),
    CONNECT(empty_settings_count_as_not_set),
    CONNECT(files_are_closed_on_exec),
};

int main(void) {
    return cmocka_run_group_tests(tests, NULL, NULL);
}
