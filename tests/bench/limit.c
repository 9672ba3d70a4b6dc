/* limit - the lower limit of the cost of any client: BearSSL decrypts, the bytes are counted,
   nothing is parsed. Records, buffers and reads are the same as in rtm.h. It opens the WebSocket
   without rtm.connect. */
#define _GNU_SOURCE
#include <bearssl.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { AHEAD_MAX = 65536 };

typedef struct limit {
    br_ssl_client_context tls;
    br_x509_minimal_context x509;
    unsigned char in[BR_SSL_BUFSIZE_INPUT], out[1024 + 85], ahead[AHEAD_MAX];
    size_t ahead_at, ahead_end, ahead_size;
    int fd;
    bool drained;
    br_x509_trust_anchor anchor;
    unsigned char dn[512], key[512];
    size_t dn_size;
} limit;

static limit l;
static bench b;

static void add_name(void *context, const void *data, size_t size) {
    (void)context;
    memcpy(l.dn + l.dn_size, data, size);
    l.dn_size += size;
}

static void add_der(void *context, const void *data, size_t size) {
    br_x509_decoder_push(context, data, size);
}

/* The one certificate of build/certs/ca.pem, an ECDSA one. */
static void load_anchor(const char *path) {
    static char pem[8192];
    static br_pem_decoder_context decoder;
    static br_x509_decoder_context x509;
    FILE *in = fopen(path, "r");
    size_t size = in ? fread(pem, 1, sizeof pem, in) : 0;
    br_pem_decoder_init(&decoder);
    br_x509_decoder_init(&x509, add_name, NULL);
    for (size_t at = 0; at < size;) {
        at += br_pem_decoder_push(&decoder, pem + at, size - at);
        if (br_pem_decoder_event(&decoder) == BR_PEM_BEGIN_OBJ)
            br_pem_decoder_setdest(&decoder, add_der, &x509);
    }
    if (in) fclose(in);
    const br_x509_pkey *key = br_x509_decoder_get_pkey(&x509);
    if (!key || key->key_type != BR_KEYTYPE_EC || key->key.ec.qlen > sizeof l.key) {
        fprintf(stderr, "limit: no ECDSA certificate in %s\n", path);
        exit(1);
    }
    memcpy(l.key, key->key.ec.q, key->key.ec.qlen);
    l.anchor.dn.data = l.dn;
    l.anchor.dn.len = l.dn_size;
    l.anchor.flags = BR_X509_TA_CA;
    l.anchor.pkey = *key;
    l.anchor.pkey.key.ec.q = l.key;
}

static int connect_to(const char *port) {
    struct addrinfo hints = { 0 }, *found;
    int one = 1, fd = -1;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo("localhost", port, &hints, &found)) return -1;
    for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM, 0);
        if (connect(fd, a->ai_addr, a->ai_addrlen)) close(fd), fd = -1;
    }
    freeaddrinfo(found);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void start_tls(void) {
    static const uint16_t suites[] = { BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 };
    br_ssl_client_init_full(&l.tls, &l.x509, &l.anchor, 1);
    br_ssl_engine_set_versions(&l.tls.eng, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_suites(&l.tls.eng, suites, 1);
    br_ssl_engine_set_buffers_bidi(&l.tls.eng, l.in, sizeof l.in, l.out, sizeof l.out);
    l.tls.eng.log_max_frag_len = 14;
    br_ssl_client_reset(&l.tls, "localhost", 0);
}

/* One read, through the read-ahead or, if the rest of a record is as large, past it. */
static bool feed(void) {
    size_t room;
    unsigned char *to = br_ssl_engine_recvrec_buf(&l.tls.eng, &room);
    if (l.ahead_at == l.ahead_end) {
        bool direct = room >= l.ahead_size;
        size_t size = direct ? room : l.ahead_size;
        struct pollfd wait = { l.fd, POLLIN, 0 };
        ssize_t n;
        if (l.drained) poll(&wait, 1, -1);
        while ((n = recv(l.fd, direct ? to : l.ahead, size, 0)) < 0 && errno == EAGAIN)
            poll(&wait, 1, -1);
        if (n <= 0) return false;
        l.drained = (size_t)n < size;
        if (direct) {
            br_ssl_engine_recvrec_ack(&l.tls.eng, (size_t)n);
            return true;
        }
        l.ahead_at = 0;
        l.ahead_end = (size_t)n;
    }
    size_t size = l.ahead_end - l.ahead_at;
    if (size > room) size = room;
    memcpy(to, l.ahead + l.ahead_at, size);
    l.ahead_at += size;
    br_ssl_engine_recvrec_ack(&l.tls.eng, size);
    return true;
}

/* One record's worth of work, without application data; false at the end. */
static bool step(void) {
    size_t size;
    unsigned state = br_ssl_engine_current_state(&l.tls.eng);
    if (state & BR_SSL_CLOSED) return false;
    if (!(state & BR_SSL_SENDREC)) return (state & BR_SSL_RECVREC) && feed();
    unsigned char *record = br_ssl_engine_sendrec_buf(&l.tls.eng, &size);
    ssize_t n = send(l.fd, record, size, MSG_NOSIGNAL);
    if (n < 0) return false;
    br_ssl_engine_sendrec_ack(&l.tls.eng, (size_t)n);
    return true;
}

/* Points at decrypted bytes; NULL at the end. */
static const char *next_bytes(size_t *size) {
    while (!(br_ssl_engine_current_state(&l.tls.eng) & BR_SSL_RECVAPP))
        if (!step()) return NULL;
    return (const char *)br_ssl_engine_recvapp_buf(&l.tls.eng, size);
}

static bool send_upgrade(const char *path, size_t path_size, const char *port) {
    char request[1024];
    size_t room, sent = 0;
    int size = snprintf(request, sizeof request,
                        "GET %.*s/ws HTTP/1.1\r\nHost: localhost:%s\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                        (int)path_size, path, port);
    while (sent < (size_t)size) {
        while (!(br_ssl_engine_current_state(&l.tls.eng) & BR_SSL_SENDAPP))
            if (!step()) return false;
        unsigned char *to = br_ssl_engine_sendapp_buf(&l.tls.eng, &room);
        if (room > (size_t)size - sent) room = (size_t)size - sent;
        memcpy(to, request + sent, room);
        br_ssl_engine_sendapp_ack(&l.tls.eng, room);
        sent += room;
    }
    br_ssl_engine_flush(&l.tls.eng, 0);
    while (br_ssl_engine_current_state(&l.tls.eng) & BR_SSL_SENDREC)
        if (!step()) return false;
    return true;
}

/* Counts until the end of the connection. The head of the response and `hello` are in records of
   their own, before the first event. */
static long long count_bytes(void) {
    static const char mark[] = "\"text\":\"";
    size_t size;
    long long bytes = 0;
    int records = 0;
    const char *data;
    while ((data = next_bytes(&size)) != NULL) {
        if (b.latency) {
            long long now = bench_clock();
            const char *text = memmem(data, size, mark, sizeof mark - 1);
            if (text && text[8] != 'E') bench_delay(&b, text + 8, now);
        }
        if (++records == 3) b.start_cpu = bench_cpu_us();
        if (records == 2) bench_hello(&b);
        if (records > 1) bytes += (long long)size;
        br_ssl_engine_recvapp_ack(&l.tls.eng, size);
    }
    b.cpu = bench_cpu_us() - b.start_cpu;
    return bytes;
}

int main(int argc, char **argv) {
    (void)argc;
    bench_begin(&b, argv);
    char port[8] = "";
    const char *colon = strchr(b.base + 8, ':'), *path = colon ? strchr(colon, '/') : NULL;
    const char *api = path ? strstr(path, "/api/") : NULL;
    if (!api || path - colon > 6) return 2;
    memcpy(port, colon + 1, (size_t)(path - colon - 1));
    l.ahead_size = (size_t)bench_number(&b, "ahead", 4096);
    if (l.ahead_size > AHEAD_MAX) return 2;
    load_anchor(b.ca);
    l.fd = connect_to(port);
    start_tls();
    if (l.fd < 0 || !send_upgrade(path, (size_t)(api - path), port)) {
        fprintf(stderr, "limit: no connection (error %d)\n", br_ssl_engine_last_error(&l.tls.eng));
        return 1;
    }
    long long bytes = count_bytes();
    printf("bytes=%lld ", bytes);
    bench_print(&b, "limit");
    return 0;
}
