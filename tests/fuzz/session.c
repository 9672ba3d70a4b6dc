/* A client from rtm_create to rtm_destroy; the input is everything that it receives. Input:
   options, a byte that chooses the pieces (from 128 on: Socket Mode), the number of the allocation
   that fails (0 = none), then bytes and happenings as in network.h. */
#define FUZZ_NETWORK
#include "fuzz.h"
#include "../ca.h"
#include "../states.h"

/* Not only letters: an echoed word is not masked. */
#define TOKEN "xoxb-1a2b3c4d5e"
#define APP_TOKEN "xapp-1a2b3c4d5e"
enum { FOREIGN_LOOP = 1, ONE_SESSION = 2, PROXY = 4, RTM_START = 8, SMALL = 0x20, TLS = 0x40 };

long replay_reached; /* sessions opened */

static bool is_open, stopped, owed[1 << 10]; /* owed: ids without an answer or an error */
static int deferral;                         /* the last one */
static long long called_ms;                  /* spent in rtm_call */
static int submitted;                        /* messages that went to the queue of requests */

static void stop(rtm_client *client) {
    stopped = true;
    rtm_stop(client);
}

static void call(rtm_client *client) {
    long long before = test_now_ms;
    rtm_response response;
    rtm_result result = rtm_call(client, &response, "chat.postMessage", "text", "a b", NULL);
    CHECK((result != RTM_OK || response.ok) && response.error && test_now_ms - before <= 30000);
    rtm_json_at(rtm_json_get(response.data, "list"), 1);
    called_ms += test_now_ms - before;
}

static void send_message(rtm_client *client) {
    int id = rtm_send_message(client, "C1", "hello");
    CHECK(id < 0 || !stopped);
    if (id > 0) owed[id % 1024] = true;
    submitted += id > 0 && client->socket_mode;
}

static void on_event(rtm_client *client, const rtm_event *event, void *user_data) {
    rtm_json text = rtm_json_get(event->data, "text");
    bool opens = !strcmp(event->type, "open"), closes = !strcmp(event->type, "close");
    CHECK(!stopped || closes || !strcmp(event->type, "error") || event->id > 0);
    CHECK(event->reason && event->detail && rtm_poll(client, 0) == RTM_E_BUSY);
    CHECK(!strstr(event->detail, TOKEN) && !strstr(event->detail, APP_TOKEN));
    CHECK(!opens || !is_open); /* each session has one of each */
    replay_reached += opens;
    CHECK(!closes || is_open);
    is_open = opens || (is_open && !closes);
    if (event->id > 0) owed[event->id % 1024] = false;
    for (size_t i = 0; i < rtm_json_count(rtm_json_get(event->data, "blocks")) && i < 9; i++)
        rtm_json_at(rtm_json_get(event->data, "blocks"), i);
    if (rtm_json_equals(text, "stop")) stop(client);
    if (rtm_json_equals(text, "drop")) rtm_reconnect(client);
    if (rtm_json_equals(text, "send")) send_message(client);
    if (rtm_json_equals(text, "call")) call(client);
    if (rtm_json_equals(text, "reply")) rtm_reply(client, event, "{\"text\":\"x\"}");
    if (rtm_json_equals(text, "defer")) deferral = rtm_defer(client, event);
    if (rtm_json_equals(text, "later")) rtm_reply_deferred(client, deferral, "{\"text\":\"y\"}");
    if (rtm_json_equals(text, "off")) rtm_off(client, "message::x", on_event, user_data);
    if (rtm_json_equals(text, "on")) rtm_on(client, "message::x", on_event, user_data);
}

static void on_log(const char *line, void *user_data) {
    (void)user_data;
    /* No other line begins with a capital. */
    CHECK(*line < 'A' || *line > 'Z' || rtmi_is_one_of(line, state_transitions));
    CHECK(!strstr(line, TOKEN));
}

/* The events that an external loop waits for are those that the connection needs, at any time. */
static void check_watched(const rtm_client *client) {
    const rtmi_conn *conn = &client->session[0]->exchange.conn;
    for (unsigned i = 0; i < conn->sockets; i++)
        CHECK(conn->socket[i].fd < 0 || conn->socket[i].watched == rtmi_conn_events(conn));
}

/* One turn of the program's loop, which waits itself or lets rtm_poll wait; then the clock advances
   by the rest of the wait. */
static int turn(rtm_client *client, unsigned options) {
    size_t rest = net_rest();
    int wait = options & FOREIGN_LOOP ? 0 : 1000;
    long long before = test_now_ms;
    called_ms = 0;
    int result = rtm_poll(client, wait);
    CHECK(test_now_ms - before - called_ms <= wait);
    /* It may have changed. */
    const rtmi_exchange *exchange = &client->session[0]->exchange;
    CHECK(!rtm_is_connected(client) || exchange->conn.sockets == 1);
    CHECK(exchange->conn.phase != RTMI_CONN_READY || exchange->begun || !exchange->head.size);
    int timeout = rtm_timeout_ms(client);
    if (net_rest() == rest && result == 0) test_now_ms += timeout > 0 ? timeout : 1;
    return result;
}

static void act(rtm_client *client, int command) {
    if (command == 'S') stop(client);
    if (command == 'D') rtm_reconnect(client);
    if (command == 'M') send_message(client);
    if (command == 'C') call(client);
    if (command == 'J') rtm_send(client, "{\"type\":\"typing\"}");
    if (command != 'T' || !net.left) return;
    test_now_ms += 1LL * *net.in * *net.in;
    net.in++;
    net.left--;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rtm_client *client;
    if (size < 3) return 0;
    unsigned options = data[0];
    rtm_config config = { .token = TOKEN, .ca_pem = CA_PEM, .log = on_log,
        .base_url = options & TLS ? "https://a.test/api" : "http://a.test/api",
        .proxy = options & PROXY ? "http://u:p@p.test" : "",
        .app_token = data[1] & 0x80 ? APP_TOKEN : NULL,
        .connect_method = options & RTM_START ? "rtm.start" : NULL,
        .max_message_size = options & SMALL ? 4096 : 0,
        .no_auto_reconnect = (options & ONE_SESSION) != 0 };
    fuzz_begin(data[1]);
    test_fail_at = data[2];
    net_start(data + 3, size - 3, options);
    is_open = stopped = false;
    submitted = deferral = 0;
    memset(owed, 0, sizeof owed);
    int result = rtm_create(&config, &client), turns = 0, command;
    if (result == RTM_OK) result = rtm_on(client, "*", on_event, NULL);
    for (; result >= 0 && net_rest(); turns++) {
        CHECK((size_t)turns < 64 + 8 * size);
        if ((command = net_command()) != 0) act(client, command);
        else result = turn(client, options);
        check_watched(client);
    }
    for (turns = 0; result >= 0; turns++) {
        CHECK(turns < 16 + submitted); /* after rtm_stop each call ends one request at least */
        if (turns == 8) stop(client);
        result = turn(client, options);
    }
    CHECK(!is_open && (result == RTM_E_MEMORY || !memchr(owed, true, sizeof owed)));
    rtm_destroy(client);
    for (int i = 0; i < NET_FDS; i++) CHECK(!net.socket[i].open);
    CHECK(!net.pipe_ends && test_blocks == 0);
    return 0;
}
