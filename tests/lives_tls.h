/* The server's side of TLS for lives.c: BearSSL's server between the simulated bytes of lives_net.h
   and the server in lives.c. Without LIVES_TLS, bytes pass as they are. All random numbers are the
   life's own, so the same seed gives the same records.

   Two streams go to the client: the server counts the bytes that it says (`said`), and the socket
   counts the bytes of records (`in_size`). A mark after each record relates both. */
#ifndef LIVES_TLS_H
#define LIVES_TLS_H

#include "lives_net.h"

#include <bearssl.h>

#ifndef LIVES_TLS
#define LIVES_TLS 0
#define TLS_S ""
#else
#define TLS_S "s"
#endif

typedef struct tls_mark {
    size_t wire, said; /* the ends of a record in both streams */
} tls_mark;

struct net_tls {
    br_ssl_server_context server;
    bool silent;
    tls_mark *mark;
    size_t marks, capacity;
    unsigned char buffer[BR_SSL_BUFSIZE_BIDI];
};

/* A self-signed certificate for *.test, which is its own trust anchor, and its key. */
static const char tls_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBYzCCAQqgAwIBAgIUUQP3wlcovqhFzaLIRjeO8mxyX6wwCgYIKoZIzj0EAwIw\n"
    "DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjgwNzI4MzZaGA8yMTI2MTEwNDA3Mjgz\n"
    "NlowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABE9n\n"
    "pCBGJ4NdCWgCsxQn6zOqdhd/Kxc97lM5H6Xdjd7f7q0tZfwsW1ORFV42AEvHHRvZ\n"
    "wlISCAAzfAPR5qKET/+jQjBAMBEGA1UdEQQKMAiCBioudGVzdDAMBgNVHRMBAf8E\n"
    "AjAAMB0GA1UdDgQWBBQMs9bp69NgVqaYrY1Aqb+GDkUhhDAKBggqhkjOPQQDAgNH\n"
    "ADBEAiAV6DYsbnWMKzjaWXYKBPdpfXz2NNJ+V4NNOC7IoqL3GAIgbXfqweweYMo2\n"
    "6iNf0sJyiHR3qYEqDIaxVYEbEOmzqTM=\n"
    "-----END CERTIFICATE-----\n";

static unsigned char tls_secret[] = {
    0x5d, 0x82, 0xfc, 0x18, 0xe2, 0xd5, 0x64, 0x82, 0x0f, 0x64, 0x54, 0xde, 0xc1, 0x5c, 0x57, 0xb3,
    0xda, 0x2a, 0x32, 0xb4, 0x44, 0x04, 0xa0, 0x37, 0xf6, 0x4c, 0x82, 0x76, 0x88, 0xba, 0x4b, 0xd9
};

static struct {
    unsigned char certificate[600];
    br_x509_certificate chain;
    br_ec_private_key key;
    br_ssl_session_cache_lru sessions;
    unsigned char session[2000];
    bool resumes;
} tls_life;

/* Whether this connection begins with TLS, or has begun it. */
static bool net_is_secure(net_socket *s);
static bool net_is_hostile(void);

static void tls_append(void *context, const void *data, size_t size) {
    (void)context;
    memcpy(tls_life.certificate + tls_life.chain.data_len, data, size);
    tls_life.chain.data_len += size;
}

/* For a new life. */
static void tls_begin_life(bool resumes) {
    br_pem_decoder_context pem;
    const char *at = tls_pem;
    size_t left = sizeof tls_pem - 1;
    tls_life.chain = (br_x509_certificate){ tls_life.certificate, 0 };
    tls_life.key = (br_ec_private_key){ BR_EC_secp256r1, tls_secret, sizeof tls_secret };
    tls_life.resumes = resumes;
    br_ssl_session_cache_lru_init(&tls_life.sessions, tls_life.session, sizeof tls_life.session);
    br_pem_decoder_init(&pem);
    while (left) {
        size_t used = br_pem_decoder_push(&pem, at, left);
        at += used;
        left -= used;
        if (br_pem_decoder_event(&pem) == BR_PEM_BEGIN_OBJ)
            br_pem_decoder_setdest(&pem, tls_append, NULL);
    }
}

/* The same cipher suite on every machine, and no random numbers from the system. */
static void tls_repeat(br_ssl_engine_context *engine) {
    static const uint16_t suite[] = { BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 };
    br_ssl_engine_set_suites(engine, suite, 1);
    engine->rng_os_rand_done = 1; /* not in BearSSL's manual: what was injected is enough */
}

/* config.tls_setup */
static void tls_setup(void *client, void *user_data) {
    (void)user_data;
    tls_repeat(&((br_ssl_client_context *)client)->eng);
}

static void tls_begin(net_socket *s) {
    unsigned char seed[32];
    s->tls = (calloc)(1, sizeof *s->tls);
    if (!s->tls) abort();
    br_ssl_server_context *server = &s->tls->server;
    for (size_t i = 0; i < sizeof seed; i++) seed[i] = (unsigned char)rnd(256);
    br_ssl_server_init_full_ec(server, &tls_life.chain, 1, BR_KEYTYPE_EC, &tls_life.key);
    br_ssl_engine_set_versions(&server->eng, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_buffer(&server->eng, s->tls->buffer, sizeof s->tls->buffer, 1);
    if (tls_life.resumes) br_ssl_server_set_cache(server, &tls_life.sessions.vtable);
    br_ssl_engine_inject_entropy(&server->eng, seed, sizeof seed);
    tls_repeat(&server->eng);
    br_ssl_server_reset(server);
}

static void tls_free(net_socket *s) {
    if (s->tls) (free)(s->tls->mark);
    (free)(s->tls);
    s->tls = NULL;
}

/* Sends the complete records. */
static void tls_pump(net_socket *s, long long delay, size_t piece, int gap) {
    br_ssl_engine_context *engine = &s->tls->server.eng;
    const unsigned char *record;
    size_t size;
    while ((record = br_ssl_engine_sendrec_buf(engine, &size)) != NULL) {
        net_say(s, record, size, delay, piece, gap);
        br_ssl_engine_sendrec_ack(engine, size);
    }
}

/* How much of what the server sent is in the first `wire` bytes of the socket's stream. Only a
   complete record counts. */
static size_t tls_said_at(const net_socket *s, size_t wire) {
    if (!s->tls) return wire;
    size_t low = 0, high = s->tls->marks;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->tls->mark[middle].wire <= wire) low = middle + 1;
        else high = middle;
    }
    return low ? s->tls->mark[low - 1].said : 0;
}

static size_t peer_read(const net_socket *s) { return tls_said_at(s, s->in_read); }

static size_t peer_arrived(net_socket *s) { return tls_said_at(s, net_arrived(s)); }

/* Like net_say, in records of at most `most` bytes (0: as large as possible). */
static void peer_say(net_socket *s, const char *data, size_t size, long long delay, size_t piece,
                     int gap, size_t most) {
    while (size) {
        size_t n = size, before = s->in_size;
        if (s->tls) {
            br_ssl_engine_context *engine = &s->tls->server.eng;
            unsigned char *to = br_ssl_engine_sendapp_buf(engine, &n);
            if (!to) return; /* the client has sent close_notify */
            if (n > size) n = size;
            if (most && n > most) n = most;
            memcpy(to, data, n);
            br_ssl_engine_sendapp_ack(engine, n);
            br_ssl_engine_flush(engine, 0);
            tls_pump(s, delay, piece, gap);
        } else {
            net_say(s, data, n, delay, piece, gap);
        }
        if (s->in_size == before) return; /* the server has closed already */
        s->said += n;
        data += n;
        size -= n;
        if (!s->tls) continue;
        struct net_tls *t = s->tls;
        if (t->marks == t->capacity) {
            t->capacity = t->capacity * 2 + 64;
            t->mark = (realloc)(t->mark, t->capacity * sizeof *t->mark);
            if (!t->mark) abort();
        }
        t->mark[t->marks++] = (tls_mark){ s->in_size, s->said };
        delay += gap;
    }
}

/* Sends FIN, mostly after a close_notify. The server still reads what the client sends, so the
   closed engine is replaced by its previous state. */
static void peer_fin(net_socket *s, long long delay) {
    if (s->tls && s->fin_at == NEVER && chance(75)) {
        br_ssl_server_context open = s->tls->server;
        br_ssl_engine_close(&s->tls->server.eng);
        tls_pump(s, net_last_at(s) - test_now_ms + delay, 0, 0);
        s->tls->server = open;
        delay = chance(50) ? 0 : (int)rnd(500);
    }
    net_fin(s, delay);
}

/* A record that was made without the key. */
static void tls_say_forged(net_socket *s) {
    static const char record[] = "\x17\x03\x03\x00\x20" "0123456789abcdef0123456789abcdef";
    net_say(s, record, sizeof record - 1, 0, 0, 0);
}

static void tls_take(net_socket *s) {
    size_t size;
    unsigned char *data;
    while ((data = br_ssl_engine_recvapp_buf(&s->tls->server.eng, &size)) != NULL) {
        net_append(&s->got, &s->got_size, &s->got_capacity, data, size);
        br_ssl_engine_recvapp_ack(&s->tls->server.eng, size);
    }
}

/* The client begins the handshake. A hostile server may never answer, or end the connection. */
static void tls_accept(net_socket *s) {
    tls_begin(s);
    unsigned roll = net_is_hostile() ? rnd(100) : 0;
    if (roll > 97) net_reset(s);
    else if (roll > 95) net_fin(s, 0);
    s->tls->silent = roll > 93;
}

/* The engine's own records: of the handshake, and the answer to a close_notify. */
static void tls_say_own(net_socket *s) {
    size_t size;
    if (!br_ssl_engine_sendrec_buf(&s->tls->server.eng, &size)) return;
    bool slow = net_is_hostile() && chance(20), split = slow && chance(50);
    tls_pump(s, slow ? (int)rnd(3000) : (int)rnd(50), split ? 1 + rnd(200) : 0,
             split ? (int)rnd(100) : 0);
}

/* Bytes from the client. */
static void net_deliver(net_socket *s, const char *data, size_t size) {
    size_t whole = size, room;
    if (!s->tls && net_is_secure(s)) tls_accept(s);
    if (!s->tls) net_append(&s->got, &s->got_size, &s->got_capacity, data, size);
    while (s->tls && !s->tls->silent && size) {
        br_ssl_engine_context *engine = &s->tls->server.eng;
        unsigned char *to = br_ssl_engine_recvrec_buf(engine, &room);
        if (!to) return; /* the client has sent close_notify */
        if (room > size) room = size;
        memcpy(to, data, room);
        br_ssl_engine_recvrec_ack(engine, room);
        data += room;
        size -= room;
        /* A close_notify is not work: any later rtm_poll may close an idle connection. */
        if (engine->shutdown_recv) net.work -= whole;
        tls_take(s);
        tls_say_own(s);
    }
    if (s->got_size) net_server_input(s);
}

#endif
