/* A whole session over TLS, disturbed after every byte of either direction: cut, reset, stalled or
   delayed; then with every allocation failing, once and for ever. The client must tell, recover,
   deliver nothing that was not whole, leak nothing, and never wait longer than rtm_poll may.
   The server is BearSSL's, in this process and on a fake clock, so that each run is the same. */
#define _GNU_SOURCE
#include <poll.h>

static int longest_wait, waits;
static int counted_poll(struct pollfd *fds, nfds_t count, int timeout);
#define poll(fds, count, timeout) counted_poll(fds, count, timeout)
#define RTM_NO_THREADS /* each run is to be the same */
#include "support.h"
#undef poll
#include "sockets.h"

static int counted_poll(struct pollfd *fds, nfds_t count, int timeout) {
    waits += timeout;
    if (timeout > longest_wait || timeout < 0) longest_wait = timeout < 0 ? 1 << 30 : timeout;
    return poll(fds, count, 0); /* on loopback, what can come has come */
}

/* The server ---------------------------------------------------------------------------------- */

enum fault { NONE, CUT, RESET, STALL, DELAY, FAULTS };

static struct {
    int listener, fd, port;
    br_ssl_server_context tls;
    unsigned char buffer[BR_SSL_BUFSIZE_BIDI];
    char input[4096];
    size_t input_size;
    bool websocket, ended;
    enum fault fault;
    bool of_input;      /* which direction `left` counts */
    long left;          /* bytes until the fault happens */
    long input_total, output_total;
    int connections;
    br_x509_certificate chain[1];
    br_ec_private_key key;
    unsigned char certificate_bytes[2048], key_bytes[64];
} server;

static const char *ca_pem;
static int requests_read; /* whole ones, to /hook */

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
    server.fd = -1;
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

static void server_hang_up(bool reset) {
    struct linger linger = { 1, 0 };
    if (reset) setsockopt(server.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(server.fd);
    server.fd = -1;
}

/* Whether `size` bytes may pass; cuts `size`, and lets the fault happen, at its byte. */
static bool passes(bool input, size_t *size) {
    if (server.fault == NONE || server.of_input != input) return true;
    if ((long)*size > server.left) *size = (size_t)server.left;
    server.left -= (long)*size;
    return *size > 0;
}

static void fault_happens(void) {
    enum fault fault = server.fault;
    server.fault = fault == STALL ? STALL : NONE;
    if (fault == CUT || fault == RESET) server_hang_up(fault == RESET);
    if (fault == DELAY) test_now_ms += 20;
}

static void accept_client(void) {
    int fd = accept(server.listener, NULL, NULL);
    unsigned char seed[32];
    if (fd < 0) return;
    if (server.fd >= 0) server_hang_up(false);
    if (server.fault == STALL && server.left == 0) server.fault = NONE; /* it has happened */
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* nothing is on its way for long */
    fcntl(fd, F_SETFL, O_NONBLOCK);
    server.fd = fd;
    server.connections++;
    server.websocket = server.ended = false;
    server.input_size = 0;
    br_ssl_server_init_full_ec(&server.tls, server.chain, 1, BR_KEYTYPE_EC, &server.key);
    br_ssl_engine_set_buffer(&server.tls.eng, server.buffer, sizeof server.buffer, 1);
    memset(seed, 7, sizeof seed); /* every run is the same */
    br_ssl_engine_inject_entropy(&server.tls.eng, seed, sizeof seed);
    br_ssl_server_reset(&server.tls);
}

static void answer_bytes(const void *data, size_t size) {
    size_t room;
    unsigned char *to = br_ssl_engine_sendapp_buf(&server.tls.eng, &room);
    assert_true(to && room >= size);
    memcpy(to, data, size);
    br_ssl_engine_sendapp_ack(&server.tls.eng, size);
}

static void answer_frame(int opcode, const char *text, size_t size) {
    char frame[256] = { (char)(0x80 | opcode), (char)size };
    assert_true(size < 126);
    memcpy(frame + 2, text, size);
    answer_bytes(frame, size + 2);
}

static void answer_request(void) {
    char out[1024], accept[29], *key = strstr(server.input, "Sec-WebSocket-Key: ");
    char url[128];
    static const char message[] = "{\"type\":\"message\",\"channel\":\"C1\",\"text\":\"whole\"}";
    if (!strstr(server.input, "\r\n\r\n")) return;
    if (!strncmp(server.input, "POST /hook ", 11)) {
        static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nDone";
        if (!strstr(server.input, "a=b")) return;
        requests_read++;
        answer_bytes(ok, sizeof ok - 1);
    } else if (!key) {
        snprintf(url, sizeof url, "{\"ok\":true,\"url\":\"wss:\\/\\/localhost:%d\\/x\"}",
                 server.port);
        snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(url), url);
        answer_bytes(out, strlen(out));
    } else {
        key[19 + 24] = '\0';
        rtmi_ws_accept(key + 19, accept);
        snprintf(out, sizeof out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
        answer_bytes(out, strlen(out));
        answer_frame(RTMI_WS_TEXT, "{\"type\":\"hello\"}", 16);
        answer_frame(RTMI_WS_TEXT, message, sizeof message - 1);
        server.websocket = true;
    }
    server.input_size = 0;
}

/* A message of the client is acknowledged, its CLOSE answered. */
static void answer_frames(void) {
    static const char ack[] = "{\"ok\":true,\"reply_to\":1}";
    while (server.input_size >= 6) {
        size_t size = (size_t)(server.input[1] & 0x7f);
        assert_true(size < 126 && (server.input[1] & 0x80));
        if (server.input_size < size + 6) return;
        int opcode = server.input[0] & 0xf;
        char number = (char)(server.input[6 + 6] ^ server.input[2 + 2]); /* of {"id":N */
        if (opcode == RTMI_WS_TEXT) {
            char text[sizeof ack];
            memcpy(text, ack, sizeof ack);
            text[sizeof ack - 3] = number;
            answer_frame(RTMI_WS_TEXT, text, sizeof ack - 1);
        }
        if (opcode == RTMI_WS_CLOSE) answer_frame(RTMI_WS_CLOSE, "\x03\xe8", 2);
        server.input_size -= size + 6;
        memmove(server.input, server.input + size + 6, server.input_size);
    }
}

/* One movement of bytes; false when nothing can move. */
static bool server_move(void) {
    br_ssl_engine_context *engine = &server.tls.eng;
    size_t size;
    unsigned char *data;
    if (server.fd < 0 || (server.fault == STALL && server.left == 0)) return false;
    if ((data = br_ssl_engine_sendrec_buf(engine, &size)) != NULL) {
        if (!passes(false, &size)) return fault_happens(), true;
        ssize_t n = send(server.fd, data, size, MSG_NOSIGNAL);
        if (n <= 0) return server_hang_up(false), true;
        server.output_total += n;
        return br_ssl_engine_sendrec_ack(engine, (size_t)n), true;
    }
    if ((data = br_ssl_engine_recvapp_buf(engine, &size)) != NULL) {
        assert_true(server.input_size + size < sizeof server.input);
        memcpy(server.input + server.input_size, data, size);
        server.input_size += size;
        server.input[server.input_size] = '\0';
        br_ssl_engine_recvapp_ack(engine, size);
        if (server.websocket) answer_frames();
        else answer_request();
        return br_ssl_engine_flush(engine, 0), true;
    }
    if ((data = br_ssl_engine_recvrec_buf(engine, &size)) == NULL)
        return server_hang_up(false), true;
    struct pollfd readable = { server.fd, POLLIN, 0 };
    if (poll(&readable, 1, 0) <= 0) return false;
    if (!passes(true, &size)) return fault_happens(), true;
    ssize_t n = recv(server.fd, data, size, 0);
    if (n <= 0) return server_hang_up(false), true;
    if (server.fault != NONE && server.of_input) server.left += (long)size - n;
    server.input_total += n;
    return br_ssl_engine_recvrec_ack(engine, (size_t)n), true;
}

/* The client ---------------------------------------------------------------------------------- */

static struct {
    int messages, answers, errors, opens, closes;
} told;

static void hear(rtm_client *bot, const rtm_event *event, void *user) {
    (void)user;
    assert_null(strstr(event->detail, "xoxb-faults"));
    if (!strcmp(event->type, "open")) told.opens++;
    if (!strcmp(event->type, "close")) told.closes++;
    if (!strcmp(event->type, "error")) told.errors++;
    if (!strcmp(event->type, "message")) {
        told.messages++;
        assert_true(rtm_json_equals(rtm_json_get(event->data, "text"), "whole"));
        rtm_send_message(bot, "C1", "answer");
    }
    if (!strcmp(event->type, "Unknown")) {
        told.answers++;
        rtm_stop(bot);
    }
}

/* Runs a client to its end: when nothing moves, the clock does. Gives the number of polls. */
static int run(rtm_client *bot, bool may_be_stuck) {
    int result = 0, polls = 0;
    for (; result >= 0 && polls < 3000; polls++) {
        bool moved = false;
        longest_wait = waits = 0;
        result = rtm_poll(bot, 20);
        assert_true(longest_wait <= 20 && waits <= 20);
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

static void check_line(const char *line, void *user) {
    (void)user;
    assert_null(strstr(line, "xoxb-faults"));
}

static rtm_client *make_bot(void) {
    char url[64];
    rtm_client *bot = NULL;
    snprintf(url, sizeof url, "https://localhost:%d/api/", server.port);
    rtm_config config = { .token = "xoxb-faults", .base_url = url, .ca_pem = ca_pem, .proxy = "",
                          .log = check_line };
    memset(&told, 0, sizeof told);
    test_random_state = 2463534242u;
    if (rtm_create(&config, &bot) != RTM_OK) return NULL;
    if (rtm_on(bot, "*", hear, NULL) == RTM_OK) return bot;
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
    assert_int_equal(told.opens, told.closes);
    assert_true(told.answers == 1 && told.messages >= 1 && told.messages <= 2);
    /* Who was disturbed says so, unless it was at the very end, when all was said. */
    if (server.connections > 2) assert_true(told.errors >= 1 || told.closes >= 2);
    rtm_destroy(bot);
    if (server.fd >= 0) server_hang_up(false);
    server.fault = NONE;
    assert_int_equal(test_blocks, 0);
    assert_int_equal(open_files(), files);
}

static void every_byte(bool of_input) {
    disturbed(NONE, false, 0);
    assert_int_equal(told.errors, 0);
    long total = of_input ? server.input_total : server.output_total;
    bool all = getenv("FAULTS_ALL") != NULL;
    assert_true(total > 500); /* two handshakes and what is said after them */
    for (long n = 0; n < total; n++)
        for (int fault = CUT; fault < FAULTS; fault++)
            if (all || n % (FAULTS - CUT) == fault - CUT) disturbed((enum fault)fault, of_input, n);
}

static void disturbed_after_every_byte_of_the_server(void **state) {
    (void)state;
    every_byte(false);
}

static void disturbed_after_every_byte_of_the_client(void **state) {
    (void)state;
    every_byte(true);
}

/* Submitted requests: the session's server is not there, so that theirs alone is disturbed. */
static struct {
    int submitted, told, failed;
} requests;

static void submit_hook(rtm_client *bot);

static void hear_response(rtm_client *bot, const rtm_response *response, void *user) {
    (void)user;
    requests.told++;
    assert_int_equal(response->id, requests.submitted); /* of each one, once */
    assert_int_equal(requests.told, requests.submitted);
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
    rtm_request request = { .url = url, .fields = fields, .callback = hear_response };
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
    assert_int_equal(requests.told, 3);
    assert_true(requests.failed <= (fault != NONE && fault != DELAY)); /* of the one disturbed */
    assert_true(requests_read >= 3 - requests.failed && requests_read <= 3); /* none twice */
    rtm_destroy(bot);
    assert_int_equal(requests.told, 3);
    if (server.fd >= 0) server_hang_up(false);
    server.fault = NONE;
    assert_int_equal(test_blocks, 0);
    assert_int_equal(open_files(), files);
}

static void a_submitted_request_disturbed_after_every_byte(void **state) {
    bool all = getenv("FAULTS_ALL") != NULL;
    (void)state;
    for (int of_input = 0; of_input < 2; of_input++) {
        request_disturbed(NONE, false, 0);
        long total = of_input ? server.input_total : server.output_total;
        assert_true(requests.failed == 0 && total > 500);
        for (long n = 0; n < total; n++)
            for (int fault = CUT; fault < FAULTS; fault++)
                if (all || n % (FAULTS - CUT) == fault - CUT)
                    request_disturbed((enum fault)fault, of_input, n);
    }
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
            assert_int_equal(rtm_call(bot, NULL, "auth.test", NULL), RTM_E_STOPPED);
        }
        hit = test_allocations >= test_fail_at;
        test_fail_at = 0;
        if (bot && !ever) assert_int_equal(told.answers, 1);
        if (bot && hit && ever) assert_true(told.errors > 0 || told.answers == 1);
        rtm_destroy(bot);
        if (server.fd >= 0) server_hang_up(false);
        assert_int_equal(test_blocks, 0);
        assert_true(i < 1000);
    }
}

static void every_allocation_fails_once(void **state) {
    (void)state;
    every_allocation_fails(false);
}

static void every_allocation_fails_from_then_on(void **state) {
    (void)state;
    every_allocation_fails(true);
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
        cmocka_unit_test(a_submitted_request_disturbed_after_every_byte),
        cmocka_unit_test(every_allocation_fails_once),
        cmocka_unit_test(every_allocation_fails_from_then_on)
    };
    return cmocka_run_group_tests(tests, open_server, NULL);
}
