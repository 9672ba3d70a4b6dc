/* A whole session over TLS, in RTM, and in Socket Mode with a handover in it, disturbed after every
   byte of either direction: cut, reset, stalled or delayed; then with every allocation failing,
   once and for ever. The client must report it, recover, deliver no incomplete message and no
   envelope twice, leak nothing, and never wait longer than rtm_poll may.
   The server is BearSSL's, in this process and on a fake clock, so that each run is the same. */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/socket.h>

static int longest_wait, waited;
static int counted_poll(struct pollfd *fds, nfds_t count, int timeout);
#define poll(fds, count, timeout) counted_poll(fds, count, timeout)
static ssize_t client_send(int fd, const void *data, size_t size, int flags);
#define send(fd, data, size, flags) client_send(fd, data, size, flags)
#define RTM_NO_THREADS /* so that each run is the same */
#include "support.h"
#undef poll
#undef send
#include "sockets.h"

static int counted_poll(struct pollfd *fds, nfds_t count, int timeout) {
    waited += timeout;
    if (timeout > longest_wait || timeout < 0) longest_wait = timeout < 0 ? 1 << 30 : timeout;
    return poll(fds, count, 0); /* on loopback, everything that was sent has arrived */
}

/* Sends of the client; with `send_blocked` its sockets accept nothing. */
static bool send_blocked;
static size_t send_refused; /* bytes, at the last refusal */

static ssize_t client_send(int fd, const void *data, size_t size, int flags) {
    if (!send_blocked) return send(fd, data, size, flags);
    send_refused = size;
    errno = EAGAIN;
    return -1;
}

/* The server ---------------------------------------------------------------------------------- */

enum fault { NONE, CUT, RESET, STALL, DELAY, FAULTS };

/* Whether a fault is tried at this byte: all with FAULTS_ALL, a few with FAULTS_FEW (for emulated
   machines), else one at each. */
static bool is_chosen(long n, int fault) {
    if (getenv("FAULTS_ALL")) return true;
    return n % (FAULTS - CUT) == fault - CUT && (n % 9 == 0 || !getenv("FAULTS_FEW"));
}

/* A connection. The client has three at a time: a session, and the one or two legs of another. */
typedef struct peer {
    int fd;
    br_ssl_server_context tls;
    unsigned char buffer[BR_SSL_BUFSIZE_BIDI];
    char input[4096];
    size_t input_size;
    bool websocket, stalled;
} peer;

enum { PEERS = 3 };

static struct {
    peer peers[PEERS];
    int listener, port;
    enum fault fault;
    bool of_input;      /* which direction `left` counts */
    long left;          /* bytes until the fault happens */
    long input_total, output_total;
    int connections;
    bool app;           /* Socket Mode */
    bool acknowledged;  /* its event was: the handover begins */
    br_x509_certificate chain[1];
    br_ec_private_key key;
    unsigned char certificate_bytes[2048], key_bytes[64];
} server;

static const char *ca_pem;
static int requests_read; /* complete requests to /hook */

static char *file_text(const char *path) {
    FILE *in = fopen(path, "rb");
    char *text = (malloc)(65536);
    assert_non_null(in);
    text[fread(text, 1, 65535, in)] = '\0';
    fclose(in);
    return text;
}

static void append_certificate(void *context, const void *data, size_t size) {
    (void)context;
    memcpy(server.certificate_bytes + server.chain[0].data_len, data, size);
    server.chain[0].data_len += size;
}

static void append_key(void *context, const void *data, size_t size) {
    br_skey_decoder_push(context, data, size);
}

/* Runs the first object of a PEM file through a function. */
static void decode(const char *path, void (*push)(void *, const void *, size_t), void *context,
                   const char *name) {
    br_pem_decoder_context pem;
    char *text = file_text(path), *p = text;
    size_t size = strlen(text);
    bool wanted = false;
    br_pem_decoder_init(&pem);
    while (size) {
        size_t used = br_pem_decoder_push(&pem, p, size);
        p += used;
        size -= used;
        int event = br_pem_decoder_event(&pem);
        if (event == BR_PEM_BEGIN_OBJ) {
            wanted = strstr(br_pem_decoder_name(&pem), name) != NULL;
            br_pem_decoder_setdest(&pem, wanted ? push : NULL, context);
        }
        if (event == BR_PEM_END_OBJ && wanted) break;
    }
    (free)(text);
}

static void server_open(void) {
    br_skey_decoder_context key;
    server.listener = loopback_listen(SOCK_NONBLOCK, &server.port);
    for (int i = 0; i < PEERS; i++) server.peers[i].fd = -1;
    server.chain[0].data = server.certificate_bytes;
    decode("build/certs/server.pem", append_certificate, NULL, "CERTIFICATE");
    br_skey_decoder_init(&key);
    decode("build/certs/server.key", append_key, &key, "PRIVATE KEY");
    assert_int_equal(br_skey_decoder_key_type(&key), BR_KEYTYPE_EC);
    server.key = *br_skey_decoder_get_ec(&key);
    memcpy(server.key_bytes, server.key.x, server.key.xlen);
    server.key.x = server.key_bytes;
    ca_pem = file_text("build/certs/ca.pem");
}

static void hang_up(peer *p, bool reset) {
    struct linger linger = { 1, 0 };
    if (reset) setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(p->fd);
    p->fd = -1;
}

static void hang_up_all(void) {
    for (int i = 0; i < PEERS; i++)
        if (server.peers[i].fd >= 0) hang_up(&server.peers[i], false);
}

/* Whether `size` bytes may pass; cuts `size`, and lets the fault happen, at its byte. */
static bool passes(bool input, size_t *size) {
    if (server.fault == NONE || server.of_input != input) return true;
    if ((long)*size > server.left) *size = (size_t)server.left;
    server.left -= (long)*size;
    return *size > 0;
}

static void fault_happens(peer *p) {
    enum fault fault = server.fault;
    server.fault = NONE;
    p->stalled = fault == STALL;
    if (fault == CUT || fault == RESET) hang_up(p, fault == RESET);
    if (fault == DELAY) test_now_ms += 20;
}

/* Replaces a connection that has ended, else one that is stalled. */
static void accept_client(void) {
    int fd = accept(server.listener, NULL, NULL), i = 0;
    unsigned char seed[32];
    if (fd < 0) return;
    while (i < PEERS && server.peers[i].fd >= 0) i++;
    for (int k = 0; i == PEERS && k < PEERS; k++)
        if (server.peers[k].stalled) hang_up(&server.peers[i = k], false);
    assert_true(i < PEERS);
    peer *p = &server.peers[i];
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* nothing is on its way for long */
    fcntl(fd, F_SETFL, O_NONBLOCK);
    p->fd = fd;
    server.connections++;
    p->websocket = p->stalled = false;
    p->input_size = 0;
    br_ssl_server_init_full_ec(&p->tls, server.chain, 1, BR_KEYTYPE_EC, &server.key);
    br_ssl_engine_set_buffer(&p->tls.eng, p->buffer, sizeof p->buffer, 1);
    memset(seed, 7, sizeof seed); /* every run is the same */
    br_ssl_engine_inject_entropy(&p->tls.eng, seed, sizeof seed);
    br_ssl_server_reset(&p->tls);
}

static void answer_bytes(peer *p, const void *data, size_t size) {
    size_t room;
    unsigned char *to = br_ssl_engine_sendapp_buf(&p->tls.eng, &room);
    assert_true(to && room >= size);
    memcpy(to, data, size);
    br_ssl_engine_sendapp_ack(&p->tls.eng, size);
}

static void answer_frame(peer *p, int opcode, const char *text) {
    size_t size = strlen(text), head = size < 126 ? 2 : 4;
    char frame[256] = { (char)(0x80 | opcode), (char)size };
    assert_true(size < 250);
    if (head == 4) frame[1] = 126, frame[3] = (char)size;
    memcpy(frame + head, text, size);
    answer_bytes(p, frame, head + size);
}

static void answer_request(peer *p) {
    char out[1024], accept[29], url[128], *key = strstr(p->input, "Sec-WebSocket-Key: ");
    if (!strstr(p->input, "\r\n\r\n")) return;
    if (!strncmp(p->input, "POST /hook ", 11)) {
        static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nDone";
        if (!strstr(p->input, "a=b")) return;
        requests_read++;
        answer_bytes(p, ok, sizeof ok - 1);
    } else if (!key) {
        snprintf(url, sizeof url, "{\"ok\":true,\"url\":\"wss:\\/\\/localhost:%d\\/x\"}",
                 server.port);
        snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(url), url);
        answer_bytes(p, out, strlen(out));
    } else {
        key[19 + 24] = '\0';
        rtmi_ws_accept(key + 19, accept);
        snprintf(out, sizeof out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
        answer_bytes(p, out, strlen(out));
        answer_frame(p, RTMI_WS_TEXT, "{\"type\":\"hello\"}");
        if (!server.app) {
            answer_frame(p, RTMI_WS_TEXT,
                         "{\"type\":\"message\",\"channel\":\"C1\",\"text\":\"whole\"}");
        } else if (!server.acknowledged) { /* the same again until it is */
            answer_frame(p, RTMI_WS_TEXT, "{\"envelope_id\":\"E\",\"type\":\"events_api\","
                         "\"payload\":{\"event_id\":\"Ev1\",\"event\":{\"type\":\"message\","
                         "\"text\":\"whole\"}}}");
        } else {
            answer_frame(p, RTMI_WS_TEXT, "{\"envelope_id\":\"C\",\"type\":\"slash_commands\","
                         "\"accepts_response_payload\":true,\"payload\":{\"command\":\"/x\"}}");
        }
        p->websocket = true;
    }
    p->input_size = 0;
}

/* Acknowledges each message of the client, and answers its CLOSE; a `disconnect` follows the first
   acknowledgement. */
static void answer_frames(peer *p) {
    while (p->input_size >= 6) {
        size_t size = (size_t)(p->input[1] & 0x7f);
        assert_true(size < 126 && (p->input[1] & 0x80));
        if (p->input_size < size + 6) return;
        int opcode = p->input[0] & 0xf;
        if (opcode == RTMI_WS_TEXT && server.app && !server.acknowledged) {
            server.acknowledged = true;
            answer_frame(p, RTMI_WS_TEXT, "{\"type\":\"disconnect\",\"reason\":\"warning\"}");
        } else if (opcode == RTMI_WS_TEXT && !server.app) {
            char text[] = "{\"ok\":true,\"reply_to\":1}";
            text[sizeof text - 3] = (char)(p->input[6 + 6] ^ p->input[2 + 2]); /* of {"id":N */
            answer_frame(p, RTMI_WS_TEXT, text);
        }
        if (opcode == RTMI_WS_CLOSE) answer_frame(p, RTMI_WS_CLOSE, "\x03\xe8");
        p->input_size -= size + 6;
        memmove(p->input, p->input + size + 6, p->input_size);
    }
}

/* Moves bytes once in some direction; false if nothing can move. */
static bool peer_move(peer *p) {
    br_ssl_engine_context *engine = &p->tls.eng;
    size_t size;
    unsigned char *data;
    if (p->fd < 0 || p->stalled) return false;
    if ((data = br_ssl_engine_sendrec_buf(engine, &size)) != NULL) {
        if (!passes(false, &size)) return fault_happens(p), true;
        ssize_t n = send(p->fd, data, size, MSG_NOSIGNAL);
        if (n <= 0) return hang_up(p, false), true;
        server.output_total += n;
        return br_ssl_engine_sendrec_ack(engine, (size_t)n), true;
    }
    if ((data = br_ssl_engine_recvapp_buf(engine, &size)) != NULL) {
        assert_true(p->input_size + size < sizeof p->input);
        memcpy(p->input + p->input_size, data, size);
        p->input_size += size;
        p->input[p->input_size] = '\0';
        br_ssl_engine_recvapp_ack(engine, size);
        if (p->websocket) answer_frames(p);
        else answer_request(p);
        return br_ssl_engine_flush(engine, 0), true;
    }
    if ((data = br_ssl_engine_recvrec_buf(engine, &size)) == NULL)
        return hang_up(p, false), true;
    struct pollfd readable = { p->fd, POLLIN, 0 };
    if (poll(&readable, 1, 0) <= 0) return false;
    if (!passes(true, &size)) return fault_happens(p), true;
    ssize_t n = recv(p->fd, data, size, 0);
    if (n <= 0) return hang_up(p, false), true;
    if (server.fault != NONE && server.of_input) server.left += (long)size - n;
    server.input_total += n;
    return br_ssl_engine_recvrec_ack(engine, (size_t)n), true;
}

static bool server_move(void) {
    bool moved = false;
    for (int i = 0; i < PEERS; i++)
        if (peer_move(&server.peers[i])) moved = true;
    return moved;
}

/* The client ---------------------------------------------------------------------------------- */

static struct {
    int messages, answers, errors, opens, closes;
} counts;

static void on_event(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)user_data;
    assert_null(strstr(event->detail, "-faults"));
    if (!strcmp(event->type, "open")) counts.opens++;
    if (!strcmp(event->type, "close")) counts.closes++;
    if (!strcmp(event->type, "error")) counts.errors++;
    if (!strcmp(event->type, "message")) {
        counts.messages++;
        assert_true(rtm_json_equals(rtm_json_get(event->data, "text"), "whole"));
        if (!server.app) rtm_send_message(bot, "C1", "answer");
    }
    if (!strcmp(event->type, "Unknown") || !strcmp(event->type, "slash_commands")) {
        counts.answers++;
        rtm_stop(bot);
    }
}

/* Runs a client until it has finished: if nothing moves, the clock advances. Returns the number of
   polls. */
static int run(rtm_client *bot, bool may_be_stuck) {
    int result = 0, polls = 0;
    for (; result >= 0 && polls < 3000; polls++) {
        bool moved = false;
        longest_wait = waited = 0;
        result = rtm_poll(bot, 20);
        assert_true(longest_wait <= 20 && waited <= 20);
        accept_client();
        while (server_move()) moved = true;
        if (result == 0 && !moved && polls % 4 == 3) {
            int due = rtm_timeout_ms(bot);
            test_now_ms += due > 0 ? due : 0;
        }
        if (may_be_stuck && polls > 200) rtm_stop(bot);
    }
    assert_int_equal(result, RTM_E_STOPPED);
    return polls;
}

static void check_line(const char *line, void *user_data) {
    (void)user_data;
    assert_null(strstr(line, "-faults"));
}

static rtm_client *make_bot(void) {
    char url[64];
    rtm_client *bot = NULL;
    snprintf(url, sizeof url, "https://localhost:%d/api/", server.port);
    rtm_config config = { .token = "xoxb-faults", .base_url = url, .ca_pem = ca_pem, .proxy = "",
                          .log = check_line };
    memset(&counts, 0, sizeof counts);
    test_random_state = 2463534242u;
    if (server.app) config.app_token = "xapp-faults";
    server.acknowledged = false;
    if (rtm_create(&config, &bot) != RTM_OK) return NULL;
    if (rtm_on(bot, "*", on_event, NULL) == RTM_OK) return bot;
    rtm_destroy(bot);
    return NULL;
}

static void disturbed(enum fault fault, bool of_input, long after) {
    int files = open_files();
    rtm_client *bot = make_bot();
    server.fault = fault;
    server.of_input = of_input;
    server.left = after;
    server.connections = 0;
    server.input_total = server.output_total = 0;
    run(bot, false);
    assert_int_equal(counts.opens, counts.closes);
    assert_int_equal(counts.answers, 1);
    assert_in_range(counts.messages, 1, server.app ? 1 : 2);
    /* A disturbed client reports it, unless it was at the very end, after everything was delivered,
       or only the session that is replaced was disturbed. */
    if (server.connections > (server.app ? 4 : 2))
        assert_true(counts.errors >= 1 || counts.closes >= 2);
    rtm_destroy(bot);
    hang_up_all();
    server.fault = NONE;
    assert_int_equal(test_blocks, 0);
    assert_int_equal(open_files(), files);
}

/* A run with FAULTS_ALL takes minutes: says how far it is. */
static void show_progress(long n, long total) {
    if (!getenv("FAULTS_ALL") || n % 500 != 0) return;
    printf("byte %ld of %ld\n", n, total);
    fflush(stdout);
}

static void every_byte(bool of_input) {
    disturbed(NONE, false, 0);
    assert_int_equal(counts.errors, 0);
    assert_int_equal(counts.opens, 1);
    assert_int_equal(server.connections, server.app ? 4 : 2);
    long total = of_input ? server.input_total : server.output_total;
    assert_true(total > 500); /* two handshakes and what is said after them */
    for (long n = 0; n < total; n++) {
        show_progress(n, total);
        for (int fault = CUT; fault < FAULTS; fault++)
            if (is_chosen(n, fault)) disturbed((enum fault)fault, of_input, n);
    }
}

static void disturbed_after_every_byte_of_the_server(void **state) {
    (void)state;
    server.app = false;
    every_byte(false);
}

static void disturbed_after_every_byte_of_the_client(void **state) {
    (void)state;
    server.app = false;
    every_byte(true);
}

static void a_handover_disturbed_after_every_byte_of_the_server(void **state) {
    (void)state;
    server.app = true;
    every_byte(false);
}

static void a_handover_disturbed_after_every_byte_of_the_client(void **state) {
    (void)state;
    server.app = true;
    every_byte(true);
}

/* Submitted requests: no server for the session is running, so only these requests are
   disturbed. */
static struct {
    int submitted, reported, failed;
} requests;

static void submit_hook(rtm_client *bot);

static void on_response(rtm_client *bot, const rtm_response *response, void *user_data) {
    (void)user_data;
    requests.reported++;
    assert_int_equal(response->id, requests.submitted); /* of each one, once */
    assert_int_equal(requests.reported, requests.submitted);
    if (response->result == RTM_OK) {
        assert_int_equal(response->body_size, 4);
        assert_memory_equal(response->body, "Done", 4);
    } else {
        assert_true(strlen(response->detail) > 10);
        requests.failed++;
    }
    if (requests.submitted < 3) submit_hook(bot);
    else rtm_stop(bot);
}

static void submit_hook(rtm_client *bot) {
    static const char *const fields[] = { "a", "b", NULL };
    char url[64];
    snprintf(url, sizeof url, "https://localhost:%d/hook", server.port);
    rtm_request request = { .url = url, .fields = fields, .callback = on_response };
    requests.submitted++;
    assert_int_equal(rtm_submit(bot, &request), requests.submitted);
}

static void request_disturbed(enum fault fault, bool of_input, long after) {
    int files = open_files();
    rtm_client *bot = NULL;
    rtm_config config = { .token = "xoxb-faults", .base_url = "https://localhost:1/", .proxy = "",
                          .ca_pem = ca_pem, .log = check_line };
    test_random_state = 2463534242u;
    assert_int_equal(rtm_create(&config, &bot), RTM_OK);
    memset(&requests, 0, sizeof requests);
    server.fault = fault;
    server.of_input = of_input;
    server.left = after;
    server.input_total = server.output_total = requests_read = 0;
    submit_hook(bot);
    run(bot, false);
    assert_int_equal(requests.reported, 3);
    assert_true(requests.failed <= (fault != NONE && fault != DELAY)); /* of the one disturbed */
    assert_true(requests_read >= 3 - requests.failed && requests_read <= 3); /* none twice */
    rtm_destroy(bot);
    assert_int_equal(requests.reported, 3);
    hang_up_all();
    server.fault = NONE;
    assert_int_equal(test_blocks, 0);
    assert_int_equal(open_files(), files);
}

static void a_submitted_request_disturbed_after_every_byte(void **state) {
    (void)state;
    for (int of_input = 0; of_input < 2; of_input++) {
        request_disturbed(NONE, false, 0);
        long total = of_input ? server.input_total : server.output_total;
        assert_true(requests.failed == 0 && total > 500);
        for (long n = 0; n < total; n++) {
            show_progress(n, total);
            for (int fault = CUT; fault < FAULTS; fault++)
                if (is_chosen(n, fault))
                    request_disturbed((enum fault)fault, of_input, n);
        }
    }
}

static void count_timeout(rtm_client *bot, const rtm_response *response, void *user_data) {
    (void)bot;
    ++*(int *)user_data;
    assert_int_equal(response->result, RTM_E_TIMEOUT);
}

/* The request is a record in the TLS engine; the socket accepts it again when its deadline is
   over. */
static void a_request_in_the_tls_engine_is_not_sent_after_its_deadline(void **state) {
    (void)state;
    static int timeouts;
    char url[64];
    const char *fields[] = { "a", "b", NULL };
    rtm_client *bot = NULL;
    rtm_config config = { .token = "xoxb-faults", .base_url = "https://localhost:1/", .proxy = "",
                          .ca_pem = ca_pem, .log = check_line };
    assert_int_equal(rtm_create(&config, &bot), RTM_OK);
    snprintf(url, sizeof url, "https://localhost:%d/hook", server.port);
    rtm_request request = { .url = url, .fields = fields, .callback = count_timeout,
                            .user_data = &timeouts, .timeout_ms = 5000 };
    assert_true(rtm_submit(bot, &request) > 0);
    const peer *p = &server.peers[0];
    bool ready = false;
    server.fault = NONE;
    requests_read = 0;
    for (int polls = 0; !ready; polls++) {
        assert_true(polls < 100 && rtm_poll(bot, 20) >= 0);
        accept_client();
        while (server_move()) {}
        ready = p->fd >= 0 && br_ssl_engine_current_state(&p->tls.eng) & BR_SSL_SENDAPP;
    }
    send_blocked = true;
    for (int polls = 0; send_refused < 100; polls++)
        assert_true(polls < 100 && rtm_poll(bot, 20) >= 0);
    send_blocked = false;
    test_now_ms += 5000;
    for (int polls = 0; !timeouts; polls++) {
        assert_true(polls < 100 && rtm_poll(bot, 20) >= 0);
        while (server_move()) {}
    }
    assert_int_equal(timeouts, 1);
    assert_int_equal(requests_read, 0);
    rtm_destroy(bot);
    hang_up_all();
}

static void every_allocation_fails(bool ever) {
    bool hit = true;
    for (long i = 1; hit; i++) {
        test_fail_at = test_allocations + i;
        test_fail_ever = ever;
        rtm_client *bot = make_bot();
        if (bot) {
            server.fault = NONE;
            run(bot, ever);
            rtm_result result = rtm_call(bot, NULL, "auth.test", NULL);
            bool no_memory = result == RTM_E_MEMORY && test_allocations >= test_fail_at;
            assert_true(result == RTM_E_STOPPED || no_memory);
        }
        hit = test_allocations >= test_fail_at;
        test_fail_at = 0;
        if (bot && !ever) assert_int_equal(counts.answers, 1);
        if (bot && hit && ever) assert_true(counts.errors > 0 || counts.answers == 1);
        rtm_destroy(bot);
        hang_up_all();
        assert_int_equal(test_blocks, 0);
        assert_true(i < 1000);
    }
}

static void every_allocation_fails_once(void **state) {
    (void)state;
    for (int app = 0; app < 2; app++) {
        server.app = app;
        every_allocation_fails(false);
    }
}

static void every_allocation_fails_from_then_on(void **state) {
    (void)state;
    for (int app = 0; app < 2; app++) {
        server.app = app;
        every_allocation_fails(true);
    }
}

static int open_server(void **state) {
    (void)state;
    server_open();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disturbed_after_every_byte_of_the_server),
        cmocka_unit_test(disturbed_after_every_byte_of_the_client),
        cmocka_unit_test(a_handover_disturbed_after_every_byte_of_the_server),
        cmocka_unit_test(a_handover_disturbed_after_every_byte_of_the_client),
        cmocka_unit_test(a_submitted_request_disturbed_after_every_byte),
        cmocka_unit_test(a_request_in_the_tls_engine_is_not_sent_after_its_deadline),
        cmocka_unit_test(every_allocation_fails_once),
        cmocka_unit_test(every_allocation_fails_from_then_on)
    };
    return cmocka_run_group_tests(tests, open_server, NULL);
}
