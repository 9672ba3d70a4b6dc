/* Through a proxy: against tinyproxy, which connects to the sandbox, and against a scripted proxy,
   which sends exactly the bytes of a test and runs in the same thread (same_thread_server.h). */
#include "counted_memory.h"
#include "same_thread_server.h"
#include "ca.h"

/* The credentials of nearly all tests: as they are, in a URL, and on the wire. No log
   line and no message of rtm.h may contain any of these, or a larger part of one. */
#define PASSWORD "p@ss:w%rd/x+Secret"
#define ENCODED "p%40ss%3Aw%25rd%2Fx+Secret"
#define BASE64 "Ym90OnBAc3M6dyVyZC94K1NlY3JldA=="
#define TOKEN "xoxb-test-token"
static const char *const secrets[] = { "p@ss:w%r", "p%40ss%3A", "Ym90OnBAc3M6", "3M6dyVyZC94",
                                       "94K1NlY3JldA", "Secret", "Ym90OlNlY3Jl" };
static char leaked[1200];

static void find_leak(const char *line, void *user_data) {
    (void)user_data;
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        if (strstr(line, secrets[i])) snprintf(leaked, sizeof leaked, "%s", line);
}

/* The scripted proxy -------------------------------------------------------------------------- */

typedef struct proxy {
    int listener, fd, port, accepts;
    /* its script */
    const char *answer; /* to CONNECT */
    size_t step;        /* bytes of it that are sent between two polls of the client; 0 = all */
    bool hangs_up;      /* after the answer, which may be empty */
    bool rudely;        /* as soon as there is a connection */
    const char *reply;  /* to the request inside of the tunnel */
    bool silent;        /* sends nothing more: the wait is skipped */
    /* what it has received */
    char in[4000];
    size_t in_size, sent;
    bool replied;
} proxy;

static proxy scripted = { .listener = -1, .fd = -1 };

static void proxy_open(void) {
    scripted.listener = loopback_listen(SOCK_NONBLOCK, &scripted.port);
}

static void proxy_hang_up(void) {
    if (scripted.fd >= 0) close(scripted.fd);
    scripted.fd = -1;
}

/* Forgets what was received; the listener stays open. */
static void proxy_script(const proxy *script) {
    proxy kept = scripted;
    proxy_hang_up();
    scripted = *script;
    scripted.listener = kept.listener;
    scripted.port = kept.port;
    scripted.fd = -1;
}

static void proxy_answer(void) {
    size_t left = strlen(scripted.answer) - scripted.sent;
    if (scripted.step && left > scripted.step) left = scripted.step;
    while (left) {
        ssize_t n = send(scripted.fd, scripted.answer + scripted.sent, left, MSG_NOSIGNAL);
        if (n <= 0) return;
        scripted.sent += (size_t)n;
        left -= (size_t)n;
    }
    if (scripted.hangs_up && !scripted.answer[scripted.sent]) proxy_hang_up();
}

static void proxy_run(void) {
    if (scripted.fd < 0) {
        scripted.fd = accept4(scripted.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (scripted.fd < 0) return;
        scripted.accepts++;
        scripted.in_size = scripted.sent = 0;
        scripted.replied = false;
    }
    ssize_t n = recv(scripted.fd, scripted.in + scripted.in_size,
                     sizeof scripted.in - 1 - scripted.in_size, 0);
    if (n > 0) scripted.in_size += (size_t)n;
    scripted.in[scripted.in_size] = '\0';
    if (scripted.rudely || n == 0 || (n < 0 && errno != EAGAIN)) {
        proxy_hang_up();
        return;
    }
    char *tunnel = strstr(scripted.in, "\r\n\r\n");
    if (!tunnel || !scripted.answer) return;
    tunnel += 4;
    if (scripted.answer[scripted.sent] || !*scripted.answer) {
        proxy_answer();
    } else if (*tunnel == 0x16) { /* a ClientHello: the tunnel is open */
        if (!scripted.silent) proxy_hang_up();
    } else if (scripted.reply && !scripted.replied && strstr(tunnel, "\r\n\r\n")) {
        scripted.replied = true;
        send(scripted.fd, scripted.reply, strlen(scripted.reply), MSG_NOSIGNAL);
    }
}

static int serve(bool *idle) {
    if (scripted.listener < 0) return -1;
    proxy_run();
    if (scripted.silent && strstr(scripted.in, "\r\n\r\n") &&
        (!scripted.answer || !scripted.answer[scripted.sent])) *idle = true;
    return scripted.fd < 0 ? scripted.listener : scripted.fd;
}

/* The client ---------------------------------------------------------------------------------- */

static void note_detail(const rtm_client *bot) {
    char shown[sizeof leaked];
    snprintf(detail, sizeof detail, "%s", rtm_error_detail(bot));
    find_leak(detail, NULL);
    memcpy(shown, leaked, sizeof shown);
    *leaked = '\0';
    assert_string_equal(shown, "");
}

static rtm_client *make_bot(const char *url, const char *proxy_url, rtm_config config) {
    rtm_client *bot = NULL;
    if (!config.token) config.token = TOKEN;
    if (!config.ca_pem) config.ca_file = "build/certs/ca.pem";
    config.base_url = url;
    config.proxy = proxy_url;
    config.log = find_leak;
    if (rtm_create(&config, &bot) != RTM_OK) fail_msg("%s", rtm_error_detail(NULL));
    return bot;
}

/* One attempt to open a session; `detail` then has its error message. */
static rtm_result attempt(const char *url, const char *proxy_url, rtm_config config) {
    config.no_auto_reconnect = true;
    rtm_client *bot = make_bot(url, proxy_url, config);
    rtm_result result = rtm_run(bot);
    note_detail(bot);
    rtm_destroy(bot);
    return result;
}

/* The URL of the scripted proxy, with this text before its host. */
static const char *scripted_url(const char *user_info) {
    static char url[200];
    snprintf(url, sizeof url, "http://%s127.0.0.1:%d", user_info, scripted.port);
    return url;
}

static int open_proxy(void **state) {
    (void)state;
    proxy_open();
    return 0;
}

static int close_proxy(void **state) {
    (void)state;
    proxy_hang_up();
    close(scripted.listener);
    scripted.listener = -1;
    return 0;
}

/* Exact bytes --------------------------------------------------------------------------------- */

static void the_connect_request_is_exact(void **state) {
    static const struct { const char *url, *user_info, *target, *credentials; } cases[] = {
        { "https://slack.test/api/", "", "slack.test:443", NULL },
        { "https://slack.test:8443/api/", "", "slack.test:8443", NULL },
        { "http://slack.test/", "", "slack.test:80", NULL },
        { "http://slack.test:443", "", "slack.test:443", NULL },
        { "https://192.0.2.7/api/", "", "192.0.2.7:443", NULL },
        { "https://[2001:db8::7]/api/", "", "[2001:db8::7]:443", NULL },
        { "http://[::1]:81/api/", "", "[::1]:81", NULL },
        { "https://slack.test/", "bot:" ENCODED "@", "slack.test:443", BASE64 },
        { "https://[::1]/", "bot:" ENCODED "@", "[::1]:443", BASE64 },
        { "https://slack.test/", "user:pass@", "slack.test:443", "dXNlcjpwYXNz" },
        { "https://slack.test/", "us%65r:%70%61%73%73@", "slack.test:443", "dXNlcjpwYXNz" },
        { "https://slack.test/", "user@", "slack.test:443", "dXNlcjo=" },
        { "https://slack.test/", "user:@", "slack.test:443", "dXNlcjo=" },
        { "https://slack.test/", ":pass@", "slack.test:443", "OnBhc3M=" },
        { "https://slack.test/", "user:pass@word@", "slack.test:443", "dXNlcjpwYXNzQHdvcmQ=" },
        { "https://slack.test/", "%C3%BCser:%e2%82%AC%20@", "slack.test:443",
          "w7xzZXI64oKsIA==" } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[300];
        proxy_script(&(proxy){ .answer = "", .hangs_up = true });
        rtm_result result = attempt(cases[i].url, scripted_url(cases[i].user_info),
                                    (rtm_config){ .timeout_ms = 5000 });
        expect(result, RTM_E_PROXY, "closed the connection");
        snprintf(expected, sizeof expected, "CONNECT %s HTTP/1.1\r\nHost: %s%s%s\r\n\r\n",
                 cases[i].target, cases[i].target,
                 cases[i].credentials ? "\r\nProxy-Authorization: Basic " : "",
                 cases[i].credentials ? cases[i].credentials : "");
        assert_string_equal(scripted.in, expected);
        assert_int_equal(scripted.accepts, 1);
    }
}

/* The proxy receives the destination, and nothing that is meant for Slack: token, headers,
   address. */
static void the_proxy_gets_nothing_that_is_for_slack(void **state) {
    static const char *const headers[] = { "Cookie: d=CookieCookie", NULL };
    (void)state;
    proxy_script(&(proxy){ .answer = "HTTP/1.1 200 OK\r\n\r\n" });
    *looked_up = '\0';
    rtm_result result = attempt("https://slack.lost/api/", scripted_url(""),
                                (rtm_config){ .timeout_ms = 5000, .headers = headers });
    expect(result, RTM_E_TLS, "slack.lost closed the connection");
    assert_string_equal(looked_up, "127.0.0.1 ");
    assert_null(memmem(scripted.in, scripted.in_size, "Cookie", 6));
    assert_null(memmem(scripted.in, scripted.in_size, TOKEN, strlen(TOKEN)));
    assert_int_equal(strstr(scripted.in, "\r\n\r\n")[4], 0x16);
}

/* Requests to Slack in the tunnel contain nothing about the proxy. */
static void plain_http_goes_through_connect_too(void **state) {
    (void)state;
    proxy_script(&(proxy){ .answer = "HTTP/1.1 200 OK\r\n\r\n",
        .reply = reply_with("{\"ok\":true,\"url\":\"ws://slack.lost/ws?ticket\"}") });
    *looked_up = '\0';
    rtm_client *bot = make_bot("http://slack.lost/api/", scripted_url("bot:" ENCODED "@"),
                               (rtm_config){ .timeout_ms = 5000, .no_auto_reconnect = true });
    while (!strstr(scripted.in, "POST ") || !scripted.replied)
        assert_int_equal(rtm_poll(bot, 10), 0);
    const char *tunnel = strstr(scripted.in, "\r\n\r\n") + 4;
    assert_int_equal(strncmp(tunnel, "POST /api/rtm.connect HTTP/1.1\r\nHost: slack.lost\r\n", 50),
                     0);
    assert_null(strstr(tunnel, "Proxy-"));
    assert_null(strstr(tunnel, BASE64));
    scripted.reply = "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n";
    rtm_result result = rtm_run(bot);
    note_detail(bot);
    expect(result, RTM_E_WEBSOCKET, "409");
    assert_int_equal(scripted.accepts, 2);
    assert_string_equal(looked_up, "127.0.0.1 127.0.0.1 ");
    rtm_destroy(bot);
}

/* Answers of the proxy and their results; each is sent at once and byte by byte. If the tunnel
   opens, the server at its other end answers 418. */
typedef struct answer {
    const char *text;
    bool hangs_up;
    rtm_result result;
    const char *words;
} answer;

static void try_answers(const answer *row, size_t count) {
    for (size_t i = 0; i < 2 * count; i++, row += i % 2 ? 0 : 1) {
        proxy_script(&(proxy){ .answer = row->text, .hangs_up = row->hangs_up, .step = i % 2,
            .reply = "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n" });
        rtm_result result = attempt("http://slack.lost/api/", scripted_url("bot:" ENCODED "@"),
                                    (rtm_config){ .timeout_ms = 3000 });
        if (result != row->result) print_error("%.60s\n", row->text);
        expect(result, row->result, row->words);
        assert_int_equal(scripted.accepts, 1);
    }
}

static void every_form_of_success_opens_the_tunnel(void **state) {
    static const answer rows[] = {
        { "HTTP/1.1 200 OK\r\n\r\n", false, RTM_E_HTTP, "418" },
        { "HTTP/1.1 200 Connection established\r\nProxy-agent: x/1\r\nVia: 1.1 a, 1.1 b\r\n\r\n",
          false, RTM_E_HTTP, "418" },
        { "HTTP/1.0 200 Connection Established\r\n\r\n", false, RTM_E_HTTP, "418" },
        { "HTTP/1.1 200\r\n\r\n", false, RTM_E_HTTP, "418" },
        { "HTTP/1.1 200 \r\n\r\n", false, RTM_E_HTTP, "418" },
        { "HTTP/1.1 299 Even so\r\n\r\n", false, RTM_E_HTTP, "418" },
        { "HTTP/1.1 200 OK\n\n", false, RTM_E_HTTP, "418" },
        { "HTTP/1.1 200 OK\r\nConnection: close\r\nProxy-Connection: close\r\n\r\n", false,
          RTM_E_HTTP, "418" },
        { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false, RTM_E_HTTP, "418" },
        /* Content-Length has no meaning here (RFC 9110 section 9.3.6). */
        { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, RTM_E_HTTP, "418" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, RTM_E_HTTP, "418" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, RTM_E_HTTP, "418" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", false,
          RTM_E_HTTP, "418" } };
    (void)state;
    try_answers(rows, sizeof rows / sizeof *rows);
}

static void every_refusal_is_reported_with_its_status(void **state) {
    static const answer rows[] = {
        { "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!\n", false, RTM_E_PROXY,
          "the proxy 127.0.0.1 refused CONNECT to slack.lost: HTTP 403" },
        { "HTTP/1.0 403 Forbidden\r\n\r\n", true, RTM_E_PROXY, "HTTP 403" },
        { "HTTP/1.1 403 Forbidden\r\n\r\n<html>no</html>", true, RTM_E_PROXY, "HTTP 403" },
        { "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", false, RTM_E_PROXY,
          "HTTP 502" },
        { "HTTP/1.1 503\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n", false,
          RTM_E_PROXY, "HTTP 503" },
        { "HTTP/1.1 302 Found\r\nLocation: http://slack.lost/\r\nContent-Length: 0\r\n\r\n", false,
          RTM_E_PROXY, "HTTP 302" },
        { "HTTP/1.1 429 Slow\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n", false, RTM_E_PROXY,
          "HTTP 429" },
        { "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
          "Content-Length: 0\r\n\r\n", false, RTM_E_PROXY, "credentials" },
        { "HTTP/1.1 407\r\nContent-Length: 2\r\n\r\nno", false, RTM_E_PROXY, "credentials" },
        { "HTTP/1.1 407 Who?\r\nConnection: close\r\n\r\n", true, RTM_E_PROXY, "credentials" },
        /* An announced body that does not arrive changes nothing. */
        { "HTTP/1.1 407 Who?\r\nContent-Length: 500\r\n\r\n", false, RTM_E_PROXY, "credentials" },
        { "HTTP/1.1 407 Who?\r\nTransfer-Encoding: chunked\r\n\r\n", true, RTM_E_PROXY,
          "credentials" } };
    (void)state;
    try_answers(rows, sizeof rows / sizeof *rows);
}

static void invalid_responses_are_reported_as_such(void **state) {
    static char endless[20001], header[20100];
    const answer rows[] = {
        { "SSH-2.0-OpenSSH_9.2p1\r\n\r\n", false, RTM_E_PROXY, "invalid response" },
        { "\r\n\r\n", false, RTM_E_PROXY, "invalid response" },
        { "\x15\x03\x01\n", false, RTM_E_PROXY, "invalid response" },
        { "HTTP/2 200 OK\r\n\r\n", false, RTM_E_PROXY, "not an HTTP/1.1 response" },
        { "HTTP/1.1  200 OK\r\n\r\n", false, RTM_E_PROXY, "no status code" },
        { "HTTP/1.1 20 OK\r\n\r\n", false, RTM_E_PROXY, "no status code" },
        { "HTTP/1.1 2000 OK\r\n\r\n", false, RTM_E_PROXY, "no status code" },
        { "HTTP/1.1 099 OK\r\n\r\n", false, RTM_E_PROXY, "no status code" },
        { "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", false, RTM_E_PROXY, "101" },
        { "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", false, RTM_E_PROXY, "invalid response" },
        { "HTTP/1.1 200 OK\r\n: no name\r\n\r\n", false, RTM_E_PROXY, "invalid response" },
        { endless, false, RTM_E_PROXY, "16 KiB" },
        { header, false, RTM_E_PROXY, "16 KiB" } };
    (void)state;
    memset(endless, 'x', sizeof endless - 1);
    strcpy(header, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 2000; i++) strcat(header, "A: a\r\n");
    strcat(header, "B: ");
    memset(header + strlen(header), 'b', 6000);
    try_answers(rows, sizeof rows / sizeof *rows);
}

static void a_proxy_that_hangs_up_is_named(void **state) {
    static const answer rows[] = {
        { "", true, RTM_E_PROXY, "the proxy 127.0.0.1 closed the connection" },
        { "\x15\x03\x03", true, RTM_E_PROXY, "the proxy 127.0.0.1 closed the connection" },
        { "HTTP/1.1 2", true, RTM_E_PROXY, "the proxy 127.0.0.1 closed the connection" },
        { "HTTP/1.1 200 OK\r\n", true, RTM_E_PROXY, "the proxy 127.0.0.1 closed the connection" },
        { "HTTP/1.1 100 Continue\r\n\r\n", true, RTM_E_PROXY, "closed the connection" } };
    (void)state;
    try_answers(rows, sizeof rows / sizeof *rows);
    proxy_script(&(proxy){ .rudely = true });
    rtm_result result = attempt("https://slack.lost/", scripted_url(""),
                                (rtm_config){ .timeout_ms = 3000 });
    expect(result, RTM_E_PROXY, "the proxy 127.0.0.1 closed the connection");
}

/* Bytes after the empty line arrive before anything was requested inside the tunnel: the proxy is
   broken, or wants to speak for Slack. */
static void bytes_after_the_answer_are_refused(void **state) {
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\n\r\nx", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}" };
    static const char *const urls[] = { "http://slack.lost/", "https://slack.lost/" };
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        proxy_script(&(proxy){ .answer = answers[i / 2] });
        rtm_result result = attempt(urls[i % 2], scripted_url(""),
                                    (rtm_config){ .timeout_ms = 3000 });
        expect(result, RTM_E_PROXY, "unexpected data after");
        assert_null(strstr(scripted.in, "POST"));
    }
}

static void a_silent_proxy_costs_timeout_ms_and_no_more(void **state) {
    static const struct { const char *url, *answer; } cases[] = {
        { "http://slack.lost/", NULL }, { "http://slack.lost/", "HTTP/1.1 200 OK\r\n" },
        { "https://slack.lost/", NULL }, { "https://slack.lost/", "HTTP/1.1 100 Wait\r\n\r\n" },
        { "https://slack.lost/", "HTTP/1.1 200 OK\r\n\r\n" } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        long long start = now_ms();
        proxy_script(&(proxy){ .answer = cases[i].answer, .silent = true });
        rtm_result result = attempt(cases[i].url, scripted_url(""),
                                    (rtm_config){ .timeout_ms = 20000 });
        expect(result, RTM_E_TIMEOUT, "20000 ms");
        assert_in_range(now_ms() - start, 20000, 20999);
    }
}

static void a_call_reports_errors_of_the_proxy_too(void **state) {
    static const struct { proxy script; rtm_result result; const char *words; } cases[] = {
        { { .answer = "HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n" }, RTM_E_PROXY,
          "credentials" },
        { { .answer = "HTTP/1.1 502 Oh\r\nContent-Length: 0\r\n\r\n" }, RTM_E_PROXY, "502" },
        { { .answer = "", .hangs_up = true }, RTM_E_PROXY, "closed the connection" },
        { { .silent = true }, RTM_E_TIMEOUT, "ms" } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rtm_response response;
        proxy_script(&cases[i].script);
        rtm_client *bot = make_bot("https://slack.lost/api/", scripted_url("bot:" ENCODED "@"),
                                   (rtm_config){ .timeout_ms = 7000 });
        rtm_result result = rtm_call(bot, &response, "auth.test", NULL);
        note_detail(bot);
        expect(result, cases[i].result, cases[i].words);
        assert_int_equal(response.status, 0);
        assert_false(response.ok);
        rtm_destroy(bot);
    }
}

/* The proxy is repaired, and the client connects without help. */
static void a_refused_client_tries_again(void **state) {
    (void)state;
    proxy_script(&(proxy){ .answer = "HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n" });
    rtm_client *bot = make_bot("http://slack.lost/api/", scripted_url("bot:" ENCODED "@"),
                               (rtm_config){ .timeout_ms = 3000 });
    for (int i = 1; i < 4; i++) {
        expect(rtm_connect(bot), RTM_E_PROXY, "");
        note_detail(bot);
        expect(RTM_OK, RTM_OK, "credentials");
        assert_int_equal(scripted.accepts, i);
        assert_true(rtm_timeout_ms(bot) > 1000);
    }
    scripted.answer = "HTTP/1.1 200 OK\r\n\r\n";
    scripted.reply = "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n";
    expect(rtm_connect(bot), RTM_E_HTTP, "");
    rtm_destroy(bot);
}

static void an_unreachable_proxy_is_named(void **state) {
    (void)state;
    proxy_script(&(proxy){ .answer = "" });
    rtm_result result = attempt("https://slack.lost/", "http://127.0.0.1:1",
                                (rtm_config){ .timeout_ms = 3000 });
    expect(result, RTM_E_CONNECT, "cannot connect to the proxy 127.0.0.1 port 1");
    result = attempt("https://slack.test/", "http://bot:" ENCODED "@proxy.lost:3128",
                     (rtm_config){ .timeout_ms = 3000 });
    expect(result, RTM_E_RESOLVE, "proxy.lost");
}

/* Secrets ------------------------------------------------------------------------------------- */

static void a_hostile_proxy_cannot_make_a_message_show_the_password(void **state) {
    static const answer rows[] = {
        { "HTTP/1.1 407 " PASSWORD " " BASE64 "\r\nProxy-Authenticate: Basic realm=\"" PASSWORD
          "\"\r\nX: " BASE64 "\r\nContent-Length: 29\r\n\r\n" BASE64, false, RTM_E_PROXY,
          "credentials" },
        { "HTTP/1.1 403 " PASSWORD "\r\n" PASSWORD ": " ENCODED "\r\n\r\n", true, RTM_E_PROXY,
          "invalid response" },
        { "HTTP/1.1 403 " ENCODED "\r\nX: " PASSWORD "\r\nContent-Length: 3\r\n\r\n" PASSWORD,
          false, RTM_E_PROXY, "403" },
        { PASSWORD "\r\n\r\n", false, RTM_E_PROXY, "invalid response" },
        { "HTTP/1.1 " BASE64 "\r\n\r\n", false, RTM_E_PROXY, "invalid response" },
        { "HTTP/1.1 200 " PASSWORD "\r\nContent-Length: " BASE64 "\r\n\r\n", false, RTM_E_HTTP,
          "418" } };
    (void)state;
    try_answers(rows, sizeof rows / sizeof *rows);
}

/* With a plain http target the proxy can answer for Slack, whose error code is shown in messages:
   it might put the credentials there, also a part of them at the end of a truncated code. */
static void credentials_echoed_through_a_proxy_are_masked(void **state) {
    /* PASSWORD itself consists of words, which are not masked; its encoded form is. */
    static const char *const echoes[] = { BASE64, "x" BASE64 "x", "Basic " BASE64,
                                          "\\u0059" BASE64, BASE64 " " BASE64 };
    char body[300];
    (void)state;
    for (size_t i = 0; i < sizeof echoes / sizeof *echoes + 64; i++) {
        if (i < 5) snprintf(body, sizeof body, "{\"ok\":false,\"error\":\"%s\"}", echoes[i]);
        else snprintf(body, sizeof body, "{\"ok\":false,\"error\":\"%0*d%s\"}", (int)i, 0, BASE64);
        proxy_script(&(proxy){ .answer = "HTTP/1.1 200 OK\r\n\r\n", .reply = reply_with(body) });
        rtm_result result = attempt("http://slack.lost/", scripted_url("bot:" ENCODED "@"),
                                    (rtm_config){ .timeout_ms = 3000 });
        expect(result, RTM_E_SLACK, "Slack refused rtm.connect: ");
    }
}

/* Environment and configuration --------------------------------------------------------------- */

static const char *const variables[] = { "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
                                         "NO_PROXY", "no_proxy" };

static int clear_environment(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) unsetenv(variables[i]);
    return 0;
}

/* The host that the client resolves: the proxy, or the host of the URL. */
static const char *first_host(const char *url, const char *proxy_url) {
    *looked_up = '\0';
    expect(attempt(url, proxy_url, (rtm_config){ .timeout_ms = 3000 }), RTM_E_RESOLVE, "");
    return looked_up;
}

static void the_first_variable_that_is_not_empty_counts(void **state) {
    static const char *const urls[] = { "http://a.lost:3128", "http://b.lost:3128/", "c.lost:3128",
                                        "HTTP://bot:" ENCODED "@d.lost" };
    static const char *const hosts[] = { "a.lost ", "b.lost ", "c.lost ", "d.lost " };
    (void)state;
    for (int first = 0; first < 4; first++) {
        for (int i = 0; i < 4; i++) setenv(variables[i], i < first ? "" : urls[i], 1);
        assert_string_equal(first_host("https://slack.lost/", NULL), hosts[first]);
        assert_string_equal(first_host("http://slack.lost/", NULL), hosts[first]);
        for (int i = 0; i < first; i++) unsetenv(variables[i]);
        assert_string_equal(first_host("https://slack.lost/", NULL), hosts[first]);
        assert_string_equal(first_host("https://slack.lost/", ""), "slack.lost ");
        assert_string_equal(first_host("https://slack.lost/", "http://own.lost"), "own.lost ");
        clear_environment(NULL);
    }
    for (int i = 0; i < 4; i++) setenv(variables[i], "", 1);
    assert_string_equal(first_host("https://slack.lost/", NULL), "slack.lost ");
}

static const struct { const char *list, *host; bool direct; } exceptions[] = {
    { "example.lost", "example.lost", true },      { "example.lost", "EXAMPLE.Lost", true },
    { "EXAMPLE.LOST", "example.lost", true },      { "example.lost", "www.example.lost", true },
    { ".example.lost", "a.www.example.lost", true }, { ".example.lost", "example.lost", true },
    { "example.lost", "notexample.lost", false },  { ".example.lost", "notexample.lost", false },
    { "www.example.lost", "example.lost", false }, { "lost", "example.lost", true },
    { "ost", "example.lost", false },              { "example", "example.lost", false },
    { "*", "example.lost", true },                 { "*x", "example.lost", false },
    { "a.lost, *", "example.lost", true },         { "", "example.lost", false },
    { " , ,,", "example.lost", false },            { ".", "example.lost", false },
    { "a.lost,example.lost,b.lost", "example.lost", true },
    { "a.lost , example.lost", "example.lost", true },
    { "  example.lost  ", "example.lost", true },  { "a.lost b.lost example.lost", "b.lost", true },
    { "a.lost,b.lost", "example.lost", false },    { "example.lost.", "example.lost", true },
    { "*.example.lost", "www.example.lost", true }, { "example.lost:443", "example.lost", true },
    { "example.lost:80", "example.lost", false }
};

static void no_proxy_excludes_hosts_and_domains(void **state) {
    (void)state;
    setenv("HTTPS_PROXY", "http://proxy.lost:3128", 1);
    for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++) {
        char url[100], direct[100];
        snprintf(url, sizeof url, "https://%s/api/", exceptions[i].host);
        snprintf(direct, sizeof direct, "%s ", exceptions[i].host);
        for (int lower = 0; lower < 2; lower++) {
            setenv(lower ? "no_proxy" : "NO_PROXY", exceptions[i].list, 1);
            const char *host = first_host(url, NULL);
            if (strcmp(host, exceptions[i].direct ? direct : "proxy.lost "))
                fail_msg("%s in \"%s\": %s", exceptions[i].host, exceptions[i].list, host);
            unsetenv(lower ? "no_proxy" : "NO_PROXY");
        }
        /* The environment must not override the configuration. */
        setenv("NO_PROXY", exceptions[i].list, 1);
        assert_string_equal(first_host(url, "http://own.lost:8080"), "own.lost ");
        unsetenv("NO_PROXY");
    }
    setenv("NO_PROXY", "other.lost", 1);
    setenv("no_proxy", "example.lost", 1);
    assert_string_equal(first_host("https://example.lost/", NULL), "proxy.lost ");
    setenv("NO_PROXY", "", 1);
    assert_string_equal(first_host("https://example.lost/", NULL), "example.lost ");
}

static void no_proxy_knows_addresses(void **state) {
    static const char *const lists[] = { "127.0.0.1,[::1]", "127.0.0.1 ::1" };
    static const char *const urls[] = { "https://127.0.0.1:1/", "https://[::1]:1/" };
    (void)state;
    setenv("HTTPS_PROXY", "http://proxy.lost:3128", 1);
    for (int i = 0; i < 4; i++) {
        setenv("NO_PROXY", lists[i / 2], 1);
        *looked_up = '\0';
        attempt(urls[i % 2], NULL, (rtm_config){ .timeout_ms = 3000 });
        assert_string_equal(looked_up, i % 2 ? "::1 " : "127.0.0.1 ");
    }
}

/* The WebSocket URL from Slack names another host, for which the same rules hold. */
static void no_proxy_is_asked_for_each_connection(void **state) {
    (void)state;
    setenv("http_proxy", scripted_url("bot:" ENCODED "@"), 1);
    setenv("NO_PROXY", "direct.lost", 1);
    proxy_script(&(proxy){ .answer = "HTTP/1.1 200 OK\r\n\r\n",
        .reply = reply_with("{\"ok\":true,\"url\":\"ws://direct.lost/\"}") });
    assert_string_equal(first_host("http://slack.lost/", NULL), "127.0.0.1 direct.lost ");
    assert_int_equal(scripted.accepts, 1);
}

static const struct { const char *proxy; rtm_result result; const char *words; } refused[] = {
    { "https://proxy.test:3128", RTM_E_UNSUPPORTED, "only http:// proxies" },
    { "https://bot:" ENCODED "@proxy.test", RTM_E_UNSUPPORTED, "only http:// proxies" },
    { "socks5://proxy.test:1080", RTM_E_UNSUPPORTED, "only http:// proxies" },
    { "socks5h://bot:" ENCODED "@proxy.test", RTM_E_UNSUPPORTED, "only http:// proxies" },
    { "SOCKS4://proxy.test", RTM_E_UNSUPPORTED, "only http:// proxies" },
    { "://proxy.test", RTM_E_UNSUPPORTED, "only http:// proxies" },
    { "http://", RTM_E_ARGUMENT, "http://user:password@host:port" },
    { "http://:3128", RTM_E_ARGUMENT, "http://user:password@host:port" },
    { "http:///path", RTM_E_ARGUMENT, "http://user:password@host:port" },
    { "http://bot:" ENCODED "@", RTM_E_ARGUMENT, "http://user:password@host:port" },
    { "http://proxy.test:0", RTM_E_ARGUMENT, "http://user:password@host:port" },
    { "http://proxy.test:65536", RTM_E_ARGUMENT, "http://user:password@host:port" },
    { "http://proxy.test:99999999999999999999", RTM_E_ARGUMENT, "http://user:" },
    { "http://proxy.test:-1", RTM_E_ARGUMENT, "http://user:password@host:port" },
    { "http://proxy.test:80x", RTM_E_ARGUMENT, "http://user:password@host:port" },
    { "http://proxy.test:http", RTM_E_ARGUMENT, "http://user:password@host:port" },
    { "http://[::1", RTM_E_ARGUMENT, "http://user:password@host:port" },
    { "http://[::1]3128", RTM_E_ARGUMENT, "http://user:password@host:port" },
    { "http://::1:3128", RTM_E_ARGUMENT, "http://user:password@host:port" },
    { "http://pro<xy.test", RTM_E_ARGUMENT, "http://user:password@host:port" },
    { "http://bot:p@ss:w%rd/x+Secret@proxy.test", RTM_E_ARGUMENT, "" }, /* not encoded */
    { "http://proxy.test\r\n", RTM_E_ARGUMENT, "character" },
    { "http://proxy.test:3128\n", RTM_E_ARGUMENT, "character" },
    { "http://pro\rxy.test", RTM_E_ARGUMENT, "character" },
    { " http://proxy.test", RTM_E_ARGUMENT, "character" },
    { "http://pro\txy.test", RTM_E_ARGUMENT, "character" },
    { "http://pro\x7fxy.test", RTM_E_ARGUMENT, "character" },
    { "http://pr\xc3\xb6xy.test", RTM_E_ARGUMENT, "character" },
    { "http://bot:Secret\r\nX: y@proxy.test", RTM_E_ARGUMENT, "character" },
    { "http://bot:Secret%0d%0aX:y@proxy.test", RTM_E_ARGUMENT, "percent-encoding" },
    { "http://bot:Secret%00@proxy.test", RTM_E_ARGUMENT, "percent-encoding" },
    { "http://bot%7f:Secret@proxy.test", RTM_E_ARGUMENT, "percent-encoding" },
    { "http://bot:Secret%@proxy.test", RTM_E_ARGUMENT, "percent-encoding" },
    { "http://bot:Secret%4@proxy.test", RTM_E_ARGUMENT, "percent-encoding" },
    { "http://bot:Secret%zz@proxy.test", RTM_E_ARGUMENT, "percent-encoding" },
    { "http://%@proxy.test", RTM_E_ARGUMENT, "percent-encoding" },
    { "http://bot:%+1@proxy.test", RTM_E_ARGUMENT, "percent-encoding" }
};

static void an_invalid_proxy_makes_no_client(void **state) {
    (void)state;
    for (size_t i = 0; i < 2 * sizeof refused / sizeof *refused; i++) {
        static void *anything; /* what rtm_create must overwrite */
        rtm_client *bot = (rtm_client *)&anything;
        rtm_config config = { .token = TOKEN, .log = find_leak };
        if (i % 2) setenv("http_proxy", refused[i / 2].proxy, 1);
        else config.proxy = refused[i / 2].proxy;
        rtm_result result = rtm_create(&config, &bot);
        note_detail(NULL);
        if (result != refused[i / 2].result) print_error("%s\n", refused[i / 2].proxy);
        expect(result, refused[i / 2].result, refused[i / 2].words);
        assert_true(strlen(detail) > 10);
        assert_null(bot);
        unsetenv("http_proxy");
    }
    char long_name[400];
    memset(long_name, 'a', sizeof long_name);
    snprintf(long_name + 256, 100, ".test:3128");
    rtm_client *bot;
    assert_int_equal(rtm_create(&(rtm_config){ .token = TOKEN, .proxy = long_name }, &bot),
                     RTM_E_ARGUMENT);
}

/* The proxy may be set in the environment and forgotten: the message names the variable. */
static void a_bad_proxy_in_the_environment_is_named(void **state) {
    static const char *const urls[] = { "socks5://proxy.test:1080", "http://proxy.test:0",
                                        "http://proxy.test\r\n" };
    (void)state;
    for (int i = 0; i < 12; i++) {
        rtm_client *bot;
        rtm_config config = { .token = TOKEN, .log = find_leak };
        setenv(variables[i % 4], urls[i / 4], 1);
        rtm_result result = rtm_create(&config, &bot);
        note_detail(NULL);
        expect(result, i / 4 ? RTM_E_ARGUMENT : RTM_E_UNSUPPORTED, variables[i % 4]);
        unsetenv(variables[i % 4]);
    }
}

/* A client that lost its credentials or exceptions must not be created. */
static void memory_that_runs_out_makes_no_client(void **state) {
    rtm_client *bot;
    rtm_config config = { .token = TOKEN };
    (void)state;
    setenv("HTTPS_PROXY", "http://bot:" ENCODED "@proxy.test:3128", 1);
    setenv("NO_PROXY", "localhost", 1);
    for (long at = 1;; at++) {
        test_allocations = 0;
        test_fail_at = at;
        rtm_result result = rtm_create(&config, &bot);
        test_fail_at = 0;
        if (test_allocations < at) {
            assert_int_equal(result, RTM_OK);
            rtm_destroy(bot);
            assert_true(at > 5);
            return;
        }
        if (result != RTM_E_MEMORY) print_error("allocation %ld\n", at);
        assert_null(bot);
        assert_int_equal(result, RTM_E_MEMORY);
        note_detail(NULL);
    }
}

/* tinyproxy in front of the sandbox ----------------------------------------------------------- */

/* tinyproxy's configuration accepts only letters, digits, and - . _ */
#define TINY_PASSWORD "Secret-w.x_rd"
#define TINY_ENCODED "%53ecret%2Dw%2ex%5Frd"

typedef struct program {
    pid_t pid;
    int port;
    char url[100];
    char log[100];
} program;

static char directory[] = "/tmp/rtm-proxy-XXXXXX";
static program open_tinyproxy, closed_tinyproxy;
static sandbox box;

/* In the child: ends with the test program, however that ends. */
static void execute(int input, char *const argv[]) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(input, 0);
    execvp(argv[0], argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void program_stop(program *it) {
    if (it->pid <= 0) return;
    kill(it->pid, SIGTERM);
    for (int i = 0; i < 300 && waitpid(it->pid, NULL, WNOHANG) == 0; i++) {
        if (i == 200) kill(it->pid, SIGKILL);
        usleep(10000);
    }
    memset(it, 0, sizeof *it);
}

static char *read_log(const program *it, char *text, size_t size) {
    FILE *in = fopen(it->log, "r");
    text[in ? fread(text, 1, size - 1, in) : 0] = '\0';
    if (in) fclose(in);
    return text;
}

/* Returns a port that was free just now. */
static int free_port(void) {
    proxy_open();
    close(scripted.listener);
    scripted.listener = -1;
    return scripted.port;
}

/* False if it did not start: another program may have taken the port. */
static bool tinyproxy_try(program *it, const char *name, const char *more) {
    char file[100], text[20000];
    char *argv[] = { "tinyproxy", "-d", "-c", file, NULL };
    it->port = free_port();
    snprintf(it->log, sizeof it->log, "%s/%s-%d.log", directory, name, it->port);
    snprintf(file, sizeof file, "%s/%s.conf", directory, name);
    FILE *out = fopen(file, "w");
    fprintf(out, "Port %d\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nLogFile \"%s\"\n"
                 "LogLevel Info\n%s\n", it->port, it->log, more);
    fclose(out);
    FILE *null = fopen("/dev/null", "re");
    it->pid = fork();
    if (it->pid == 0) execute(fileno(null), argv);
    fclose(null);
    for (int i = 0; i < 500; i++) {
        if (strstr(read_log(it, text, sizeof text), "Accepting connections")) return true;
        if (waitpid(it->pid, NULL, WNOHANG)) break;
        usleep(10000);
    }
    program_stop(it);
    return false;
}

static void tinyproxy_start(program *it, const char *name, const char *more, const char *user) {
    bool up = false;
    for (int i = 0; i < 5 && !up; i++) up = tinyproxy_try(it, name, more);
    if (!up) fail_msg("%s", "tinyproxy does not start (package tinyproxy-bin)");
    snprintf(it->url, sizeof it->url, "http://%s127.0.0.1:%d", user, it->port);
}

/* Returns the number of tunnels to the sandbox. */
static int tunnels(const program *it) {
    static char text[200000];
    char line[100];
    int count = 0;
    snprintf(line, sizeof line, "CONNECT localhost:%d HTTP/1.1", box.port);
    for (char *at = read_log(it, text, sizeof text); (at = strstr(at, line)) != NULL; at++) count++;
    return count;
}

#define GREETING "Gr\xc3\xbc\xc3\x9f Gott"

static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    if (rtm_json_equals(rtm_json_get(event->data, "text"), GREETING)) ++*(int *)user_data;
}

/* A session, its events and sends, and a call: everything is in tunnels, three in all. */
static void everything_passes_through_tinyproxy(void **state) {
    program *proxies[] = { &open_tinyproxy, &closed_tinyproxy };
    (void)state;
    for (int i = 0; i < 2; i++) {
        int messages = 0, before = tunnels(proxies[i]);
        rtm_response response;
        rtm_client *bot = make_bot(box.url, proxies[i]->url,
                                   (rtm_config){ .timeout_ms = 5000 });
        rtm_on(bot, "message", on_message, &messages);
        if (rtm_connect(bot) != RTM_OK) fail_msg("%s", rtm_error_detail(bot));
        assert_int_equal(tunnels(proxies[i]), before + 2);
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        int fd = bot->session[0]->exchange.conn.socket[0].fd;
        assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &size), 0);
        assert_int_equal(ntohs(peer.sin_port), proxies[i]->port);
        sandbox_line(&box, GREETING);
        for (int j = 0; j < 500 && !messages; j++) assert_true(rtm_poll(bot, 10) >= 0);
        assert_int_equal(messages, 1);
        assert_int_equal(rtm_send_message(bot, "C0SANDBOX", "answer"), 1);
        for (int j = 0; j < 2; j++)
            assert_int_equal(rtm_call(bot, &response, "auth.test", NULL), RTM_OK);
        assert_int_equal(tunnels(proxies[i]), before + 3);
        rtm_stop(bot);
        assert_int_equal(rtm_run(bot), RTM_OK);
        note_detail(bot);
        rtm_destroy(bot);
    }
}

static void tinyproxy_is_taken_from_the_environment(void **state) {
    (void)state;
    setenv("HTTPS_PROXY", closed_tinyproxy.url, 1);
    for (int i = 0; i < 2; i++) {
        int before = tunnels(&closed_tinyproxy);
        if (i) setenv("NO_PROXY", "localhost", 1);
        rtm_client *bot = make_bot(box.url, NULL, (rtm_config){ .timeout_ms = 5000 });
        assert_int_equal(rtm_connect(bot), RTM_OK);
        assert_int_equal(tunnels(&closed_tinyproxy), before + (i ? 0 : 2));
        rtm_destroy(bot);
    }
}

static void tinyproxy_refuses_wrong_and_missing_credentials(void **state) {
    static const char *const users[] = { "", "bot:wrong@", "bot@", "tob:" TINY_ENCODED "@",
                                         "bot:" TINY_ENCODED "x@", "bot:" ENCODED "@" };
    (void)state;
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        char url[200];
        snprintf(url, sizeof url, "http://%s127.0.0.1:%d", users[i], closed_tinyproxy.port);
        rtm_result result = attempt(box.url, url, (rtm_config){ .timeout_ms = 5000 });
        expect(result, RTM_E_PROXY, "credentials");
        expect(result, RTM_E_PROXY, "http://user:password@host:port");
        rtm_client *bot = make_bot(box.url, url, (rtm_config){ .timeout_ms = 5000 });
        result = rtm_call(bot, NULL, "auth.test", NULL);
        note_detail(bot);
        expect(result, RTM_E_PROXY, "credentials");
        rtm_destroy(bot);
    }
}

/* tinyproxy allows only the port of the sandbox; and it cannot resolve the second host. */
static void refusals_of_tinyproxy_are_reported(void **state) {
    (void)state;
    rtm_result result = attempt("https://localhost:1/api/", open_tinyproxy.url,
                                (rtm_config){ .timeout_ms = 5000 });
    expect(result, RTM_E_PROXY, "refused CONNECT to localhost: HTTP 403");
    char url[100];
    snprintf(url, sizeof url, "https://no-such-host.invalid:%d/api/", box.port);
    result = attempt(url, open_tinyproxy.url, (rtm_config){ .timeout_ms = 20000 });
    expect(result, RTM_E_PROXY, "refused CONNECT to no-such-host.invalid: HTTP 5");
}

/* The certificate of the sandbox is checked against its own name, not against the name of the
   proxy. */
static void a_proxy_does_not_weaken_the_certificate_check(void **state) {
    char url[100];
    (void)state;
    rtm_result result = attempt(box.url, open_tinyproxy.url,
                                (rtm_config){ .ca_pem = CA_PEM, .timeout_ms = 5000 });
    expect(result, RTM_E_CERTIFICATE, "trusted CA");
    /* 127.0.0.1 to those who connect, and no name in the certificate */
    snprintf(url, sizeof url, "https://127.1:%d/api/", box.port);
    result = attempt(url, open_tinyproxy.url, (rtm_config){ .timeout_ms = 5000 });
    expect(result, RTM_E_CERTIFICATE, "TLS with 127.1: ");
}

static int start_programs(void **state) {
    char more[100];
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    clear_environment(NULL);
    assert_non_null(mkdtemp(directory));
    sandbox_start(&box, "server");
    snprintf(more, sizeof more, "ConnectPort %d", box.port);
    tinyproxy_start(&open_tinyproxy, "open", more, "");
    tinyproxy_start(&closed_tinyproxy, "closed", "BasicAuth bot " TINY_PASSWORD,
                    "bot:" TINY_ENCODED "@");
    return 0;
}

static int stop_programs(void **state) {
    char command[100];
    (void)state;
    program_stop(&open_tinyproxy);
    program_stop(&closed_tinyproxy);
    sandbox_stop(&box);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

#define SCRIPTED(test) cmocka_unit_test_setup_teardown(test, open_proxy, close_proxy)

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPTED(the_connect_request_is_exact),
        SCRIPTED(the_proxy_gets_nothing_that_is_for_slack),
        SCRIPTED(plain_http_goes_through_connect_too),
        SCRIPTED(every_form_of_success_opens_the_tunnel),
        SCRIPTED(every_refusal_is_reported_with_its_status),
        SCRIPTED(invalid_responses_are_reported_as_such),
        SCRIPTED(a_proxy_that_hangs_up_is_named),
        SCRIPTED(bytes_after_the_answer_are_refused),
        SCRIPTED(a_silent_proxy_costs_timeout_ms_and_no_more),
        SCRIPTED(a_call_reports_errors_of_the_proxy_too),
        SCRIPTED(a_refused_client_tries_again),
        SCRIPTED(an_unreachable_proxy_is_named),
        SCRIPTED(a_hostile_proxy_cannot_make_a_message_show_the_password),
        SCRIPTED(credentials_echoed_through_a_proxy_are_masked),
        SCRIPTED(no_proxy_is_asked_for_each_connection),
        cmocka_unit_test_teardown(the_first_variable_that_is_not_empty_counts, clear_environment),
        cmocka_unit_test_teardown(no_proxy_excludes_hosts_and_domains, clear_environment),
        cmocka_unit_test_teardown(no_proxy_knows_addresses, clear_environment),
        cmocka_unit_test_teardown(an_invalid_proxy_makes_no_client, clear_environment),
        cmocka_unit_test_teardown(a_bad_proxy_in_the_environment_is_named, clear_environment),
        cmocka_unit_test_teardown(memory_that_runs_out_makes_no_client, clear_environment),
        cmocka_unit_test(everything_passes_through_tinyproxy),
        cmocka_unit_test_teardown(tinyproxy_is_taken_from_the_environment, clear_environment),
        cmocka_unit_test(tinyproxy_refuses_wrong_and_missing_credentials),
        cmocka_unit_test(refusals_of_tinyproxy_are_reported),
        cmocka_unit_test(a_proxy_does_not_weaken_the_certificate_check)
    };
    return cmocka_run_group_tests(tests, start_programs, stop_programs);
}
