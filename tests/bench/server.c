/* server CERT_DIR PORT_FILE - the Slack of the benchmark: Web API and WebSocket over TLS 1.2 with
   ECDHE-ECDSA-AES128-GCM-SHA256, a thread for each connection, blocking sockets.

   What a connection receives is set by the path, from "mode=" on: base_url is
     https://localhost:PORT/mode=flood,n=100000,tag=x/api/
   and the WebSocket's URL has the same parameters, since some clients drop a query.

     mode=flood    n events in records of 16 KiB
     mode=single   n events, each in a record of its own, many records in a write
     mode=latency  n messages, one a ms, their text the time of sending in ns, monotonic and real
     mode=echo     n round trips: a message, the client's message, its acknowledgement
     mode=idle     nothing
     size=N        messages of N bytes instead of the mix
     gate=K        K connections with this tag wait for one another before the first event
     tag=T         the name under which the line about this connection is printed

   All records are made before the first is sent, so that no client waits for the server. The last
   are a message END and a CLOSE. A line on standard output says what was sent; after a call of
   bench.end, another says how many requests this connection has sent. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "../sockets.h"
#include "events.h"

enum { POOL = 2048, BATCH = 96 << 20, GATES = 64 };

typedef struct conn {
    int fd;
    SSL *ssl;
    char parameters[256];
    char in[65536]; /* received, not yet used */
    size_t in_size;
    long long bytes, events, length, units; /* sent */
    long requests;                          /* received, of the Web API */
    uint64_t checksum;
} conn;

typedef struct gate {
    char tag[64];
    long waiting;
} gate;

static int port;
static SSL_CTX *tls;
static pool mix;
static gate gates[GATES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;

static long long clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
}

static const char *parameter(const conn *c, const char *name, char *out, size_t size) {
    size_t length = strlen(name);
    *out = '\0';
    for (const char *p = c->parameters; *p; p += strcspn(p, ","), p += *p == ',')
        if (!strncmp(p, name, length) && p[length] == '=')
            snprintf(out, size, "%.*s", (int)strcspn(p + length + 1, ","), p + length + 1);
    return out;
}

static long number(const conn *c, const char *name, long fallback) {
    char value[32];
    return *parameter(c, name, value, sizeof value) ? strtol(value, NULL, 10) : fallback;
}

/* Output --------------------------------------------------------------------------------------- */

/* Sends the records that were made since the last push. */
static bool push(conn *c) {
    char *data;
    long size = BIO_get_mem_data(SSL_get_wbio(c->ssl), &data);
    while (size > 0) {
        ssize_t n = send(c->fd, data, (size_t)size, MSG_NOSIGNAL);
        if (n <= 0) return false;
        data += n;
        size -= n;
    }
    /* A new buffer: a reset would clear all of it, 96 MiB after a flood. */
    SSL_set0_wbio(c->ssl, BIO_new(BIO_s_mem()));
    return true;
}

static bool is_large(conn *c) {
    char *data;
    return BIO_get_mem_data(SSL_get_wbio(c->ssl), &data) > BATCH;
}

/* Makes records of 16 KiB, the last one smaller. */
static bool put(conn *c, const char *bytes, size_t size) {
    while (size) {
        int n = SSL_write(c->ssl, bytes, size > 1 << 30 ? 1 << 30 : (int)size);
        if (n <= 0) return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

static bool put_frame(conn *c, int opcode, const char *payload, size_t size) {
    pool p = { 0 };
    pool_put(&p, "%.*s", (int)size, payload);
    close_frame(&p, 0, opcode);
    c->bytes += (long long)p.size;
    bool done = put(c, p.bytes, p.size);
    free(p.bytes);
    return done;
}

static void count(conn *c, const event *e) {
    c->events++;
    if (!e->message) return;
    c->length += e->length;
    c->units += e->units;
    c->checksum = c->checksum * 1099511628211u + e->hash;
}

/* Input ---------------------------------------------------------------------------------------- */

static bool more(conn *c) {
    if (c->in_size == sizeof c->in - 1) return false;
    int n = SSL_read(c->ssl, c->in + c->in_size, (int)(sizeof c->in - 1 - c->in_size));
    if (n <= 0) return false;
    c->in_size += (size_t)n;
    c->in[c->in_size] = '\0';
    return true;
}

static void drop(conn *c, size_t size) {
    c->in_size -= size;
    memmove(c->in, c->in + size, c->in_size + 1);
}

/* One frame of the client, unmasked, in `out`; its opcode, or -1. */
static int read_frame(conn *c, char *out, size_t room, size_t *size) {
    while (c->in_size < 2) if (!more(c)) return -1;
    const unsigned char *in = (const unsigned char *)c->in;
    size_t head = (in[1] & 0x7f) == 126 ? 8 : (in[1] & 0x7f) == 127 ? 14 : 6;
    while (c->in_size < head) if (!more(c)) return -1;
    *size = in[1] & 0x7f;
    if (head == 8) *size = (size_t)in[2] << 8 | in[3];
    if (head == 14 || *size >= room) return -1;
    while (c->in_size < head + *size) if (!more(c)) return -1;
    for (size_t i = 0; i < *size; i++) out[i] = (char)(in[head + i] ^ in[head - 4 + i % 4]);
    out[*size] = '\0';
    int opcode = in[0] & 15;
    drop(c, head + *size);
    return opcode;
}

/* The modes ------------------------------------------------------------------------------------ */

static bool flood(conn *c, long n, bool single) {
    const pool *p = &mix;
    pool own;
    long size = number(c, "size", 0);
    if (size) {
        pool_make(&own, size > 65536 ? 4 : 64, (size_t)size);
        p = &own;
    }
    bool done = true;
    while (n && done) {
        size_t events = (size_t)n < p->count ? (size_t)n : p->count, start = 0;
        for (size_t i = 0; i < events; i++) {
            count(c, &p->events[i]);
            if (single) done = done && put(c, p->bytes + start, p->events[i].end - start);
            start = p->events[i].end;
        }
        if (!single) done = put(c, p->bytes, start);
        c->bytes += (long long)start;
        n -= (long)events;
        if (is_large(c)) done = done && push(c);
    }
    if (size) {
        free(own.bytes);
        free(own.events);
    }
    return done;
}

static bool send_message(conn *c, const char *words) {
    char json[256];
    event e = { 0 };
    int size = snprintf(json, sizeof json,
                        "{\"type\":\"message\",\"channel\":\"C2147A001\",\"user\":\"U3141B001\","
                        "\"text\":\"%s\",\"ts\":\"1700000001.000100\"}", words);
    event_note(&e, "C2147A001", "U3141B001", words, strlen(words));
    count(c, &e);
    return put_frame(c, 1, json, (size_t)size) && push(c);
}

static bool latency(conn *c, long n) {
    struct timespec pause = { 0, 1000000 };
    char words[64];
    for (long i = 0; i < n; i++) {
        nanosleep(&pause, NULL);
        snprintf(words, sizeof words, "%lld %lld", clock_ns(CLOCK_MONOTONIC),
                 clock_ns(CLOCK_REALTIME));
        if (!send_message(c, words)) return false;
    }
    return true;
}

static int compare(const void *a, const void *b) {
    long long x = *(const long long *)a, y = *(const long long *)b;
    return (x > y) - (x < y);
}

/* Waits for the client's message; returns its id, or 0. Answers the pings of clients that send
   some. */
static long await_message(conn *c) {
    char in[16384], out[128];
    size_t size;
    for (;;) {
        int opcode = read_frame(c, in, sizeof in, &size);
        if (opcode < 0 || opcode == 8) return 0;
        if (opcode == 9 && !(put_frame(c, 10, in, size) && push(c))) return 0;
        const char *id = opcode == 1 ? strstr(in, "\"id\":") : NULL;
        if (!id) continue;
        if (strstr(in, "\"type\":\"message\"")) return strtol(id + 5, NULL, 10);
        int n = snprintf(out, sizeof out, "{\"type\":\"pong\",\"reply_to\":%ld}",
                         strtol(id + 5, NULL, 10));
        if (!put_frame(c, 1, out, (size_t)n) || !push(c)) return 0;
    }
}

static bool echo(conn *c, long n, double *p50, double *p99) {
    long long *took = calloc((size_t)n, sizeof *took);
    char words[64], reply[128];
    bool done = true;
    for (long i = 0; i < n && done; i++) {
        snprintf(words, sizeof words, "ping %ld", i);
        long long start = clock_ns(CLOCK_MONOTONIC);
        done = send_message(c, words);
        long id = done ? await_message(c) : 0;
        took[i] = clock_ns(CLOCK_MONOTONIC) - start;
        int size = snprintf(reply, sizeof reply, "{\"ok\":true,\"reply_to\":%ld,\"ts\":"
                            "\"1700000001.000200\",\"text\":\"%s\"}", id, words);
        done = id > 0 && put_frame(c, 1, reply, (size_t)size); /* goes with the next message */
    }
    qsort(took, (size_t)n, sizeof *took, compare);
    *p50 = (double)took[n / 2] / 1000;
    *p99 = (double)took[n * 99 / 100] / 1000;
    free(took);
    return done;
}

/* Connections with the same tag begin together. */
static void wait_at_gate(conn *c) {
    char tag[64];
    long all = number(c, "gate", 0);
    if (!all) return;
    parameter(c, "tag", tag, sizeof tag);
    pthread_mutex_lock(&lock);
    int i = 0;
    while (i < GATES - 1 && *gates[i].tag && strcmp(gates[i].tag, tag)) i++;
    snprintf(gates[i].tag, sizeof gates[i].tag, "%s", tag);
    gates[i].waiting++;
    pthread_cond_broadcast(&opened);
    while (gates[i].waiting % all) pthread_cond_wait(&opened, &lock);
    pthread_mutex_unlock(&lock);
}

static void session(conn *c) {
    char mode[16], tag[64], in[16384];
    double p50 = 0, p99 = 0;
    size_t size;
    bool done = put_frame(c, 1, "{\"type\":\"hello\"}", 16) && push(c);
    long n = number(c, "n", 10000);
    parameter(c, "mode", mode, sizeof mode);
    parameter(c, "tag", tag, sizeof tag);
    wait_at_gate(c);
    if (!strcmp(mode, "flood")) done = done && flood(c, n, false);
    else if (!strcmp(mode, "single")) done = done && flood(c, n, true);
    else if (!strcmp(mode, "latency")) done = done && latency(c, n);
    else if (!strcmp(mode, "echo")) done = done && echo(c, n, &p50, &p99);
    if (strcmp(mode, "idle")) {
        static const char end[] = "{\"type\":\"message\",\"channel\":\"C2147A001\",\"user\":"
                                  "\"U3141B001\",\"text\":\"END\",\"ts\":\"1700000001.000300\"}";
        if (done) done = put_frame(c, 1, end, sizeof end - 1) && put_frame(c, 8, "\x03\xe8", 2);
        printf("tag=%s mode=%s done=%d sent=%lld bytes=%lld length=%lld units=%lld "
               "checksum=%016llx rtt50_us=%.1f rtt99_us=%.1f\n", tag, mode, done, c->events,
               c->bytes, c->length, c->units, (unsigned long long)c->checksum, p50, p99);
        fflush(stdout);
        if (!done || !push(c)) return;
        SSL_shutdown(c->ssl);
        push(c);
        shutdown(c->fd, SHUT_WR);
    }
    int opcode;
    while ((opcode = read_frame(c, in, sizeof in, &size)) >= 0 && opcode != 8)
        if (opcode == 9 && !(put_frame(c, 10, in, size) && push(c))) break;
}

/* HTTP ----------------------------------------------------------------------------------------- */

static const char *header(const char *head, const char *name) {
    const char *found = strcasestr(head, name);
    return found ? found + strlen(name) + strspn(found + strlen(name), " ") : NULL;
}

static bool upgrade(conn *c, const char *key) {
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char out[256], accept[64];
    unsigned char hash[SHA_DIGEST_LENGTH];
    int size = snprintf(out, sizeof out, "%.24s%s", key, magic);
    SHA1((unsigned char *)out, (size_t)size, hash);
    EVP_EncodeBlock((unsigned char *)accept, hash, sizeof hash);
    size = snprintf(out, sizeof out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    return put(c, out, (size_t)size) && push(c);
}

/* The same response to every method: it has what rtm.connect and auth.test need. */
static bool respond(conn *c) {
    char body[1024], head[256];
    int size = snprintf(body, sizeof body, "{\"ok\":true,"
                        "\"url\":\"wss:\\/\\/localhost:%d\\/%s\\/ws\","
                        "\"self\":{\"id\":\"U0BENCH\",\"name\":\"bench\"},\"user_id\":\"U0BENCH\","
                        "\"team\":{\"id\":\"T0BENCH\",\"name\":\"Bench\",\"domain\":\"bench\"}}",
                        port, c->parameters);
    int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     "Content-Length: %d\r\n\r\n", size);
    return put(c, head, (size_t)n) && put(c, body, (size_t)size) && push(c);
}

static void print_requests(const conn *c) {
    char tag[64];
    printf("tag=%s requests=%ld\n", parameter(c, "tag", tag, sizeof tag), c->requests);
    fflush(stdout);
}

/* Answers requests until one is an upgrade. */
static void serve(conn *c) {
    for (;;) {
        char *end;
        while (!(end = c->in_size ? strstr(c->in, "\r\n\r\n") : NULL)) if (!more(c)) return;
        *end = '\0';
        const char *length = header(c->in, "content-length:"), *mode = strstr(c->in, "mode=");
        const char *key = header(c->in, "sec-websocket-key:");
        size_t size = (size_t)(end + 4 - c->in) + (length ? strtoul(length, NULL, 10) : 0);
        if (mode) snprintf(c->parameters, sizeof c->parameters, "%.*s",
                           (int)strcspn(mode, "/? \r\n"), mode);
        while (c->in_size < size) if (!more(c)) return;
        c->requests++;
        if (strstr(c->in, "/bench.end ")) print_requests(c);
        if (key ? !upgrade(c, key) : !respond(c)) return;
        drop(c, size);
        if (key) {
            session(c);
            return;
        }
    }
}

static void *serve_connection(void *argument) {
    conn *c = argument;
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->ssl = SSL_new(tls);
    SSL_set_fd(c->ssl, c->fd);
    if (SSL_accept(c->ssl) == 1) {
        SSL_set0_wbio(c->ssl, BIO_new(BIO_s_mem()));
        serve(c);
    }
    /* else SSL_free would forget the session of a connection that was cut */
    SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(c->ssl);
    close(c->fd);
    free(c);
    return NULL;
}

static bool start_tls(const char *directory) {
    char pem[512], key[512];
    snprintf(pem, sizeof pem, "%s/server.pem", directory);
    snprintf(key, sizeof key, "%s/server.key", directory);
    tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET); /* sessions are resumed by id, as BearSSL does */
    SSL_CTX_set_session_id_context(tls, (const unsigned char *)"bench", 5);
    SSL_CTX_sess_set_cache_size(tls, 20000);
    return SSL_CTX_set_cipher_list(tls, "ECDHE-ECDSA-AES128-GCM-SHA256:"
                                        "ECDHE-RSA-AES128-GCM-SHA256") &&
           SSL_CTX_use_certificate_file(tls, pem, SSL_FILETYPE_PEM) == 1 &&
           SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) == 1;
}

static int start_listening(const char *port_file) {
    int fd = loopback_listen(0, &port);
    FILE *out = fopen(port_file, "w");
    if (!out) return -1;
    fprintf(out, "%d\n", port);
    fclose(out);
    return fd;
}

int main(int argc, char **argv) {
    pthread_attr_t small;
    signal(SIGPIPE, SIG_IGN);
    pool_make(&mix, POOL, 0);
    if (argc != 3 || !start_tls(argv[1])) {
        fprintf(stderr, "usage: server CERT_DIR PORT_FILE\n");
        return 2;
    }
    int fd = start_listening(argv[2]);
    if (fd < 0) {
        perror("server");
        return 1;
    }
    printf("mean=%.1f\n", (double)mix.payload / POOL);
    fflush(stdout);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 << 10);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    for (;;) {
        pthread_t thread;
        conn *c = calloc(1, sizeof *c);
        c->fd = accept(fd, NULL, NULL);
        if (c->fd < 0 || pthread_create(&thread, &small, serve_connection, c)) {
            if (c->fd >= 0) close(c->fd);
            free(c);
        }
    }
}
