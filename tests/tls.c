/* TLS: which certificates, versions and ends of a connection the client accepts, against OpenSSL.
   The server runs in the same thread (same_thread_server.h); tests/tls_certs.sh makes the
   certificates. */
#define _GNU_SOURCE
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

static ssize_t client_recv(int fd, void *data, size_t size, int flags);
#define recv(fd, data, size, flags) client_recv(fd, data, size, flags)
#include "same_thread_server.h"
#undef recv

/* Reads of the client from its socket; `before_recv` is called first. */
static long long client_taken;
static void (*before_recv)(int fd);

static ssize_t client_recv(int fd, void *data, size_t size, int flags) {
    if (before_recv) before_recv(fd);
    ssize_t n = recv(fd, data, size, flags);
    if (n > 0) client_taken += n;
    return n;
}

#define CERTS "build/certs-tls/"

/* The server ----------------------------------------------------------------------------------- */

/* A response to a request shows that the handshake succeeded; status 418 cannot be from Slack. */
#define TEAPOT "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
#define SERVED RTM_E_HTTP, "418"

typedef enum ending { NOTIFY, CUT, JUNK, KEEP, SEND_FAILS } ending; /* after the reply */

typedef struct script {
    const char *chain;   /* certificate and key: NAME.pem, NAME.key; NULL = no TLS */
    int min, max;        /* versions of TLS, 0 = any */
    const char *ciphers; /* OpenSSL's names; NULL = any */
    const char *groups;  /* curves; NULL = any */
    int verify;          /* SSL_VERIFY_...: of a client certificate */
    bool forgetful;      /* resumes no session */
    const char *reply;   /* NULL = TEAPOT */
    ending end;
    size_t step;  /* bytes that go out between two polls of the client; 0 = all */
    size_t limit; /* with step: bytes after which it hangs up, 0 = none */
    /* Without TLS: sent in response to the first bytes, before it closes the connection */
    const char *raw;
    size_t raw_size;
    bool rude;   /* hangs up at once */
    bool silent; /* never sends anything */
    bool exact;  /* BearSSL's server and a whole session: see "Record by record" */
} script;

static struct server {
    script script;
    int listener, fd, port;
    SSL_CTX *context;
    SSL *ssl;
    bool draining; /* until the client closes: an earlier close() would discard what was sent */
    char in[4000], out[60000]; /* out: waits to be sent in steps */
    size_t in_size, out_size, out_at;
    /* of all connections since the start */
    int accepts, handshakes, reused, requests, client_certificates, version, fragment;
    char sni[256];
} server = { .listener = -1, .fd = -1 };

static void server_hang_up(void) {
    if (server.ssl) SSL_free(server.ssl);
    if (server.fd >= 0) close(server.fd);
    server.ssl = NULL;
    server.fd = -1;
}

static void server_stop(void) {
    server_hang_up();
    if (server.context) SSL_CTX_free(server.context);
    if (server.listener >= 0) close(server.listener);
    memset(&server, 0, sizeof server);
    server.listener = server.fd = -1;
}

static SSL_CTX *server_context(const script *it) {
    char file[100];
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    /* Level 0: the server must offer weak algorithms, and the client must refuse them. */
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    assert_int_equal(SSL_CTX_set_min_proto_version(context, it->min), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(context, it->max), 1);
    assert_int_equal(SSL_CTX_set_cipher_list(context, it->ciphers ? it->ciphers
                                                                      : "ALL:@SECLEVEL=0"), 1);
    if (it->groups) assert_int_equal(SSL_CTX_set1_groups_list(context, it->groups), 1);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"tls", 3);
    SSL_CTX_set_session_cache_mode(context, it->forgetful ? SSL_SESS_CACHE_OFF
                                                              : SSL_SESS_CACHE_SERVER);
    snprintf(file, sizeof file, CERTS "%s.pem", it->chain);
    if (SSL_CTX_use_certificate_chain_file(context, file) != 1) fail_msg("%s", file);
    snprintf(file, sizeof file, CERTS "%s.key", it->chain);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(context, file, SSL_FILETYPE_PEM), 1);
    SSL_CTX_set_verify(context, it->verify, NULL);
    assert_int_equal(SSL_CTX_load_verify_file(context, CERTS "ca-root.pem"), 1);
    SSL_CTX_set_dh_auto(context, 1);
    return context;
}

static void server_start(const script *it) {
    server_stop();
    server.script = *it;
    if (!it->reply) server.script.reply = TEAPOT;
    if (it->chain && !it->exact) server.context = server_context(it);
    server.listener = loopback_listen(SOCK_NONBLOCK, &server.port);
}

/* With steps, OpenSSL writes to memory. */
static void server_collect(void) {
    if (!server.script.step || !server.ssl) return;
    int n = BIO_read(SSL_get_wbio(server.ssl), server.out + server.out_size,
                     (int)(sizeof server.out - server.out_size));
    if (n > 0) server.out_size += (size_t)n;
}

static void server_send_step(void) {
    size_t size = server.out_size - server.out_at;
    if (size > server.script.step) size = server.script.step;
    ssize_t n = send(server.fd, server.out + server.out_at, size, MSG_NOSIGNAL);
    if (n > 0) server.out_at += (size_t)n;
    if (n < 0 && errno != EAGAIN) server_hang_up(); /* the client has closed the connection */
    else if (server.script.limit && server.out_at >= server.script.limit) server_hang_up();
    else if (server.draining && server.out_at == server.out_size) shutdown(server.fd, SHUT_WR);
}

/* Sends nothing more; reads what still arrives, so that the last bytes are delivered. */
static void server_drain(void) {
    server_collect();
    if (server.ssl) {
        /* Closed like this, since otherwise OpenSSL would not let the session be resumed. */
        SSL_set_shutdown(server.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(server.ssl);
    }
    server.ssl = NULL;
    if (server.out_at == server.out_size) shutdown(server.fd, SHUT_WR);
    server.draining = true;
}

static void server_reply(void) {
    static const char junk[] = "\x17\x03\x03\x00\x20" "0123456789abcdef0123456789abcdef";
    const char *reply = server.script.reply;
    server.requests++;
    server.in_size = 0;
    if (*reply) SSL_write(server.ssl, reply, (int)strlen(reply));
    if (server.script.end == KEEP) return;
    if (server.script.end == NOTIFY || server.script.end == SEND_FAILS) SSL_shutdown(server.ssl);
    if (server.script.end == SEND_FAILS) shutdown(client_fd, SHUT_WR);
    if (server.script.end == JUNK) send(server.fd, junk, sizeof junk - 1, MSG_NOSIGNAL);
    server_drain();
}

static void server_run_tls(void) {
    ERR_clear_error();
    if (!SSL_is_init_finished(server.ssl)) {
        int done = SSL_accept(server.ssl);
        if (done != 1) {
            int error = SSL_get_error(server.ssl, done);
            if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) server_drain();
            return;
        }
        const char *sni = SSL_get_servername(server.ssl, TLSEXT_NAMETYPE_host_name);
        snprintf(server.sni, sizeof server.sni, "%s", sni ? sni : "(none)");
        server.handshakes++;
        server.reused += SSL_session_reused(server.ssl);
        server.version = SSL_version(server.ssl);
        server.fragment = SSL_SESSION_get_max_fragment_length(SSL_get0_session(server.ssl));
        server.client_certificates += SSL_get0_peer_certificate(server.ssl) != NULL;
    }
    int n = SSL_read(server.ssl, server.in + server.in_size,
                     (int)(sizeof server.in - 1 - server.in_size));
    if (n <= 0) {
        int error = SSL_get_error(server.ssl, n);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) server_drain();
        return;
    }
    server.in_size += (size_t)n;
    server.in[server.in_size] = '\0';
    if (strstr(server.in, "\r\n\r\n")) server_reply();
}

static void exact_begin(void);
static void exact_run(void);

static void server_run(void) {
    char bytes[4096];
    if (server.fd < 0) {
        server.fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (server.fd < 0) return;
        server.accepts++;
        server.draining = false;
        server.in_size = server.out_size = server.out_at = 0;
        if (server.script.rude) server_hang_up();
        if (server.script.exact) exact_begin();
        if (!server.context || server.fd < 0) return;
        server.ssl = SSL_new(server.context);
        SSL_set_fd(server.ssl, server.fd);
        if (server.script.step) SSL_set0_wbio(server.ssl, BIO_new(BIO_s_mem()));
        SSL_set_accept_state(server.ssl);
    }
    if (server.script.exact) {
        exact_run();
        return;
    }
    if (server.out_at < server.out_size) {
        server_send_step();
        return;
    }
    if (server.ssl) {
        server_run_tls();
        server_collect();
        if (server.out_at < server.out_size) server_send_step();
        return;
    }
    ssize_t n = recv(server.fd, bytes, sizeof bytes, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) server_hang_up();
    if (n <= 0 || server.draining || server.script.silent) return;
    if (server.script.raw_size)
        send(server.fd, server.script.raw, server.script.raw_size, MSG_NOSIGNAL);
    if (server.script.end != KEEP) server_drain();
}

static int serve(bool *idle) {
    server_run();
    if (server.script.silent && server.accepts) *idle = true;
    return server.fd < 0 ? server.listener : server.fd;
}

/* The client ---------------------------------------------------------------------------------- */

static char *read_file(const char *name) {
    static char text[8][20000];
    static int turn;
    char *kept = text[turn++ % 8], path[200];
    snprintf(path, sizeof path, CERTS "%s.pem", name);
    FILE *in = fopen(path, "r");
    if (!in) fail_msg("%s", path);
    kept[fread(kept, 1, sizeof text[0] - 1, in)] = '\0';
    fclose(in);
    return kept;
}

/* NULL if rtm_create fails: `detail` has its message, `refusal` its result. */
static rtm_result refusal;

static rtm_client *try_bot(const char *host, rtm_config config) {
    char url[400];
    rtm_client *bot;
    snprintf(url, sizeof url, "https://%s:%d/api/", host, server.port);
    config.token = "xoxb-test-token";
    config.log = check_line;
    config.base_url = url;
    config.proxy = "";
    if (!config.timeout_ms) config.timeout_ms = 5000;
    refusal = rtm_create(&config, &bot);
    snprintf(detail, sizeof detail, "%s", rtm_error_detail(NULL));
    check_line(detail, NULL);
    return bot;
}

static rtm_client *make_bot(const char *host, rtm_config config) {
    rtm_client *bot = try_bot(host, config);
    if (!bot) fail_msg("%s", detail);
    return bot;
}

/* One attempt to get a session. */
static rtm_result attempt(const char *host, rtm_config config) {
    config.no_auto_reconnect = true;
    rtm_client *bot = try_bot(host, config);
    if (!bot) return refusal;
    rtm_result result = rtm_run(bot);
    snprintf(detail, sizeof detail, "%s", rtm_error_detail(bot));
    check_line(detail, NULL);
    rtm_destroy(bot);
    return result;
}

/* A call over a connection of its own: the server closes after each. */
static rtm_result call(rtm_client *bot) {
    rtm_result result = rtm_call(bot, NULL, "auth.test", NULL);
    snprintf(detail, sizeof detail, "%s", rtm_error_detail(bot));
    check_line(detail, NULL);
    return result;
}

/* Certificates -------------------------------------------------------------------------------- */

typedef struct trial {
    const char *chain, *ca; /* NAME.pem that the server sends, ca-NAME.pem that is trusted */
    const char *host;
    rtm_result result;
    const char *words;
    long long days; /* that the client's clock is ahead */
} trial;

static void try_certificates(const trial *trials, size_t count) {
    for (const trial *t = trials; t < trials + count; t++) {
        char ca[100];
        snprintf(ca, sizeof ca, "ca-%s", t->ca);
        server_start(&(script){ .chain = t->chain });
        clock_offset_s = t->days * 86400;
        rtm_result result = attempt(t->host, (rtm_config){ .ca_pem = read_file(ca) });
        if (result != t->result) print_error("%s at %s:\n", t->chain, t->host);
        expect(result, t->result, t->words);
        assert_int_equal(server.requests, t->result == RTM_E_HTTP);
    }
}

#define TRY(trials) try_certificates(trials, sizeof trials / sizeof *trials)

static void good_chains_are_accepted(void **state) {
    static const trial trials[] = {
        { "ec0", "root", "sandbox.test", SERVED, 0 },
        { "ec1", "root", "sandbox.test", SERVED, 0 },
        { "ec1", "root", "first.test", SERVED, 0 },
        { "ec1", "root", "SandBox.TEST", SERVED, 0 },
        { "ec1", "root", "a.wild.test", SERVED, 0 },
        { "ec2", "root", "sandbox.test", SERVED, 0 },
        { "rsa1", "rsa-root", "rsa.test", SERVED, 0 },
        { "rsa2", "rsa2-root", "rsa.test", SERVED, 0 },
        { "sha384", "root", "sandbox.test", SERVED, 0 },
        { "ec384", "root384", "sandbox.test", SERVED, 0 },
        { "rooted", "root", "sandbox.test", SERVED, 0 }, /* the root may be sent, too */
        { "ec0", "root", "sandbox.test", SERVED, 28 },
        /* a trusted intermediate is enough: nothing above it is needed */
        { "ec1", "inter1", "sandbox.test", SERVED, 0 },
        { "ec2", "inter1", "sandbox.test", SERVED, 0 },
        { "missing", "inter1", "sandbox.test", SERVED, 0 } };
    (void)state;
    TRY(trials);
}

static void a_certificate_that_is_trusted_itself_is_accepted(void **state) {
    static const trial trials[] = {
        { "self", "self", "sandbox.test", SERVED, 0 },
        { "self-ca", "self-ca", "sandbox.test", SERVED, 0 },
        { "ec0", "ec0", "sandbox.test", SERVED, 0 },
        { "self", "self", "first.test", RTM_E_CERTIFICATE, "another host name", 0 },
        { "self-ca", "self-ca", "first.test", RTM_E_CERTIFICATE, "another host name", 0 },
        { "self", "self", "sandbox.test", RTM_E_CERTIFICATE, "clock", 40 },
        { "self-ca", "self-ca", "sandbox.test", RTM_E_CERTIFICATE, "clock", 40 } };
    (void)state;
    TRY(trials);
}

static void chains_without_a_trusted_root_are_refused(void **state) {
    static const trial trials[] = {
        { "ec1", "rsa-root", "sandbox.test", RTM_E_CERTIFICATE, "trusted CA", 0 },
        { "rsa1", "root", "rsa.test", RTM_E_CERTIFICATE, "trusted CA", 0 },
        { "rooted", "rsa-root", "sandbox.test", RTM_E_CERTIFICATE, "trusted CA", 0 },
        { "self", "root", "sandbox.test", RTM_E_CERTIFICATE, "trusted CA", 0 },
        { "self-ca", "root", "sandbox.test", RTM_E_CERTIFICATE, "trusted CA", 0 },
        { "self", "self-ca", "sandbox.test", RTM_E_CERTIFICATE, "trusted CA", 0 },
        { "missing", "root", "sandbox.test", RTM_E_CERTIFICATE, "trusted CA", 0 },
        { "gap", "root", "sandbox.test", RTM_E_CERTIFICATE, "incomplete or out of order", 0 },
        { "disorder", "root", "sandbox.test", RTM_E_CERTIFICATE, "incomplete or out of order", 0 },
        { "leaf-signed", "root", "sandbox.test", RTM_E_CERTIFICATE, "not a CA", 0 },
        /* trusted as a server, not as an authority */
        { "leaf-signed", "ec0", "sandbox.test", RTM_E_CERTIFICATE, "not a CA", 0 },
        { "forged", "root", "sandbox.test", RTM_E_CERTIFICATE, "trusted CA", 0 } };
    (void)state;
    TRY(trials);
}

static void a_certificate_for_another_name_is_refused(void **state) {
    static const char other[] = "another host name";
    static const trial trials[] = {
        { "ec1", "root", "wrong.test", RTM_E_CERTIFICATE, other, 0 },
        { "ec1", "root", "notsandbox.test", RTM_E_CERTIFICATE, other, 0 },
        { "ec1", "root", "a.sandbox.test", RTM_E_CERTIFICATE, other, 0 },
        { "ec1", "root", "sandbox.test.evil.test", RTM_E_CERTIFICATE, other, 0 },
        { "ec1", "root", "wild.test", RTM_E_CERTIFICATE, other, 0 },
        { "ec1", "root", "127.0.0.2", RTM_E_CERTIFICATE, "IP address", 0 },
        { "wild", "root", "a.sandbox.test", SERVED, 0 },
        { "wild", "root", "A-1.Sandbox.Test", SERVED, 0 },
        { "wild", "root", "a.b.sandbox.test", RTM_E_CERTIFICATE, other, 0 },
        { "wild", "root", "sandbox.test", RTM_E_CERTIFICATE, other, 0 },
        { "wild", "root", "xsandbox.test", RTM_E_CERTIFICATE, other, 0 },
        { "star", "root", "sandbox.test", SERVED, 0 }, /* by *.test: RFC 6125 permits that */
        { "star", "root", "www.sandbox.test", RTM_E_CERTIFICATE, other, 0 },
        { "star", "root", "localhost", RTM_E_CERTIFICATE, other, 0 },
        { "other-names", "root", "other.test", SERVED, 0 },
        /* the common name counts only where there are no other names */
        { "other-names", "root", "sandbox.test", RTM_E_CERTIFICATE, other, 0 },
        { "common-name", "root", "sandbox.test", SERVED, 0 },
        { "common-name", "root", "first.test", RTM_E_CERTIFICATE, other, 0 } };
    (void)state;
    TRY(trials);
}

/* BearSSL checks only DNS names: an address must be one of these, which some certificates take into
   account. */
static void an_address_counts_only_as_a_dns_name(void **state) {
    static const trial trials[] = {
        { "address", "root", "127.0.0.1", RTM_E_CERTIFICATE, "IP address", 0 },
        { "ec1", "root", "127.0.0.1", RTM_E_CERTIFICATE, "IP address", 0 },
        { "named-address", "root", "127.0.0.1", SERVED, 0 },
        { "named-address", "root", "127.0.0.2", RTM_E_CERTIFICATE, "IP address", 0 } };
    (void)state;
    TRY(trials);
}

static void dates_are_checked_and_the_clock_is_suspected(void **state) {
    static const trial trials[] = {
        { "ec0", "root", "sandbox.test", RTM_E_CERTIFICATE, "clock", 32 },
        { "ec2", "root", "sandbox.test", RTM_E_CERTIFICATE, "clock", 32 },
        { "rsa1", "rsa-root", "rsa.test", RTM_E_CERTIFICATE, "clock", 40000 },
        { "ec0", "root", "sandbox.test", RTM_E_CERTIFICATE, "clock", -8 },
        { "ec0", "root", "sandbox.test", RTM_E_CERTIFICATE, "clock", -30000 }, /* before 1970 */
        { "old", "root", "sandbox.test", SERVED, 0 },
        { "old", "root", "sandbox.test", RTM_E_CERTIFICATE, "clock", 4 } }; /* the intermediate */
    (void)state;
    TRY(trials);
}

static void weak_and_unknown_signatures_and_keys_are_refused(void **state) {
    static const trial trials[] = {
        { "sha1", "root", "sandbox.test", RTM_E_CERTIFICATE, "SHA-1", 0 },
        { "under-sha1", "root", "sandbox.test", RTM_E_CERTIFICATE, "SHA-1", 0 },
        { "weak", "root", "sandbox.test", RTM_E_CERTIFICATE, "less than 2048 bits", 0 },
        { "under-weak", "root", "sandbox.test", RTM_E_CERTIFICATE, "less than 2048 bits", 0 },
        { "under-weak", "weak-inter", "sandbox.test", SERVED, 0 }, /* trusted is trusted */
        { "ed25519", "root", "sandbox.test", RTM_E_TLS, "cipher suite", 0 } };
    (void)state;
    TRY(trials);
}

static void certificates_that_bearssl_cannot_check_are_named(void **state) {
    static const trial trials[] = {
        { "pss", "rsa-root", "sandbox.test", RTM_E_CERTIFICATE, "RSA-PSS", 0 },
        { "critical", "root", "sandbox.test", RTM_E_CERTIFICATE, "critical extension", 0 },
        { "under-constrained", "root", "sandbox.test", RTM_E_CERTIFICATE, "critical extension", 0 },
        { "under-misused", "root", "sandbox.test", RTM_E_CERTIFICATE, "key usage", 0 } };
    (void)state;
    TRY(trials);
}

/* Versions, suites, client certificates ------------------------------------------------------- */

static void expect_script(const char *host, const script *it, const char *ca, rtm_result result,
                          const char *words) {
    server_start(it);
    expect(attempt(host, (rtm_config){ .ca_pem = read_file(ca) }), result, words);
    assert_int_equal(server.requests, result == RTM_E_HTTP);
}

static void only_tls_1_2_is_supported(void **state) {
    static const struct { int min, max; rtm_result result; const char *words; } cases[] = {
        { TLS1_2_VERSION, TLS1_2_VERSION, SERVED }, { TLS1_VERSION, TLS1_3_VERSION, SERVED },
        { TLS1_2_VERSION, TLS1_3_VERSION, SERVED },
        /* the server finds no common cipher suite before it checks the version */
        { TLS1_VERSION, TLS1_VERSION, RTM_E_TLS, "no cipher suite in common" },
        { TLS1_1_VERSION, TLS1_1_VERSION, RTM_E_TLS, "no cipher suite in common" },
        { TLS1_3_VERSION, TLS1_3_VERSION, RTM_E_TLS, "does not support TLS 1.2" } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_script("sandbox.test", &(script){ .chain = "ec1", .min = cases[i].min,
                                                 .max = cases[i].max },
                      "ca-root", cases[i].result, cases[i].words);
        if (server.requests) assert_int_equal(server.version, TLS1_2_VERSION);
    }
}

static void only_ecdhe_with_aead_is_supported(void **state) {
    static const struct { const char *suite; rtm_result result; const char *words; } cases[] = {
        { "AES128-GCM-SHA256", SERVED }, { "AES256-GCM-SHA384", SERVED },
        { "CHACHA20-POLY1305", SERVED }, { "AES128-SHA256", RTM_E_TLS, "cipher suite" },
        { "AES256-SHA", RTM_E_TLS, "cipher suite" } };
    static const char *const others[] = { "DHE-RSA-AES128-GCM-SHA256", "AES128-GCM-SHA256",
                                          "AES128-SHA", "NULL-SHA256", "ADH-AES128-SHA256" };
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        char suite[100];
        bool rsa = i % 2;
        snprintf(suite, sizeof suite, "ECDHE-%s-%s:@SECLEVEL=0", rsa ? "RSA" : "ECDSA",
                 cases[i / 2].suite);
        expect_script(rsa ? "rsa.test" : "sandbox.test",
                      &(script){ .chain = rsa ? "rsa1" : "ec1", .ciphers = suite,
                                 .max = TLS1_2_VERSION },
                      rsa ? "ca-rsa-root" : "ca-root", cases[i / 2].result, cases[i / 2].words);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        expect_script("rsa.test", &(script){ .chain = "rsa1", .ciphers = others[i],
                                             .max = TLS1_2_VERSION },
                      "ca-rsa-root", RTM_E_TLS, "cipher suite");
}

static void the_usual_curves_are_supported(void **state) {
    static const struct { const char *groups; rtm_result result; const char *words; } cases[] = {
        { "X25519", SERVED }, { "P-256", SERVED }, { "P-384", SERVED }, { "P-521", SERVED },
        { "X448", RTM_E_TLS, "in common" } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_script("rsa.test", &(script){ .chain = "rsa1", .groups = cases[i].groups,
                                             .max = TLS1_2_VERSION },
                      "ca-rsa-root", cases[i].result, cases[i].words);
}

static void a_client_certificate_may_be_asked_for_and_not_demanded(void **state) {
    (void)state;
    expect_script("sandbox.test", &(script){ .chain = "ec1", .verify = SSL_VERIFY_PEER }, "ca-root",
                  SERVED);
    assert_int_equal(server.client_certificates, 0);
    expect_script("sandbox.test", &(script){ .chain = "ec1", .verify = SSL_VERIFY_PEER |
                                             SSL_VERIFY_FAIL_IF_NO_PEER_CERT },
                  "ca-root", RTM_E_TLS, "client certificate");
}

/* The code for a client certificate in the hook: as README and rtm.h promise, with BearSSL's own
   functions. */
typedef struct identity {
    unsigned char *certificate, *key;
    br_x509_certificate chain;
    br_skey_decoder_context decoder;
} identity;

static void identity_load(identity *me, const char *name) {
    char file[100];
    snprintf(file, sizeof file, CERTS "%s.pem", name);
    FILE *in = fopen(file, "r");
    X509 *certificate = PEM_read_X509(in, NULL, NULL, NULL);
    fclose(in);
    snprintf(file, sizeof file, CERTS "%s.key", name);
    in = fopen(file, "r");
    EVP_PKEY *key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
    fclose(in);
    memset(me, 0, sizeof *me);
    me->chain.data_len = (size_t)i2d_X509(certificate, &me->certificate);
    me->chain.data = me->certificate;
    int size = i2d_PrivateKey(key, &me->key);
    br_skey_decoder_init(&me->decoder);
    br_skey_decoder_push(&me->decoder, me->key, (size_t)size);
    assert_int_equal(br_skey_decoder_key_type(&me->decoder), BR_KEYTYPE_EC);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void show_identity(void *tls, void *user_data) {
    identity *me = user_data;
    br_ssl_client_set_single_ec(tls, &me->chain, 1, br_skey_decoder_get_ec(&me->decoder),
                                BR_KEYTYPE_SIGN, BR_KEYTYPE_EC, br_ec_get_default(),
                                br_ecdsa_sign_asn1_get_default());
}

static void the_hook_can_give_a_client_certificate(void **state) {
    identity me;
    (void)state;
    for (int i = 0; i < 2; i++) { /* one that the server knows, and one that it does not */
        identity_load(&me, i ? "self" : "client");
        server_start(&(script){ .chain = "ec1", .max = TLS1_2_VERSION, .verify = SSL_VERIFY_PEER |
                                SSL_VERIFY_FAIL_IF_NO_PEER_CERT });
        rtm_result result = attempt("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root"),
                                    .tls_setup = show_identity, .tls_user_data = &me });
        if (i) expect(result, RTM_E_TLS, "the server sent alert 48 (unknown_ca)");
        else expect(result, SERVED);
        assert_int_equal(server.client_certificates, !i);
        OPENSSL_free(me.certificate);
        OPENSSL_free(me.key);
    }
}

static void a_name_is_sent_to_the_server_but_no_address(void **state) {
    static const char *const hosts[][2] = { { "sandbox.test", "sandbox.test" },
                                            { "127.0.0.1", "(none)" } };
    (void)state;
    for (int i = 0; i < 2; i++) {
        server_start(&(script){ .chain = i ? "named-address" : "ec1" });
        expect(attempt(hosts[i][0], (rtm_config){ .ca_pem = read_file("ca-root") }), SERVED);
        assert_string_equal(server.sni, hosts[i][1]);
    }
}

/* Data for one record of 16 KiB would otherwise arrive in many. */
static void servers_are_not_asked_for_smaller_records(void **state) {
    (void)state;
    server_start(&(script){ .chain = "ec1" });
    expect(attempt("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") }), SERVED);
    assert_int_equal(server.fragment, TLSEXT_max_fragment_length_DISABLED);
}

/* Ends of a connection, and invalid TLS ------------------------------------------------------- */

#define NO "{\"ok\":false,\"error\":\"enough\"}" /* 29 bytes */

/* An attacker who can cut a connection must not be able to make a part pass for the whole
   response. */
static void a_response_cut_short_is_not_taken_for_complete(void **state) {
    static const struct { const char *reply; ending end; rtm_result result; const char *words; }
    cases[] = {
        { "HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n" NO, CUT, RTM_E_SLACK, "enough" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n" NO, NOTIFY, RTM_E_SLACK, "enough" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n" NO, JUNK, RTM_E_SLACK, "enough" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n" NO, CUT, RTM_E_HTTP, "before the end" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n" NO, NOTIFY, RTM_E_HTTP,
          "before the end" },
        { "HTTP/1.1 200 OK\r\n\r\n" NO, NOTIFY, RTM_E_SLACK, "enough" },
        { "HTTP/1.1 200 OK\r\n\r\n" NO, CUT, RTM_E_HTTP, "before the end" },
        { "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" NO, NOTIFY, RTM_E_SLACK, "enough" },
        { "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" NO, CUT, RTM_E_HTTP, "before the end" },
        { "HTTP/1.0 200 OK\r\n\r\n" NO, CUT, RTM_E_HTTP, "before the end" },
        { "HTTP/1.1 200 OK\r\n\r\n", CUT, RTM_E_HTTP, "before the end" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1d\r\n" NO "\r\n0\r\n\r\n", CUT,
          RTM_E_SLACK, "enough" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1d\r\n" NO "\r\n0\r\n", NOTIFY,
          RTM_E_HTTP, "before the end" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1d\r\n" NO "\r\n", CUT,
          RTM_E_HTTP, "before the end" },
        { "HTTP/1.1 200 OK\r\nContent-Len", CUT, RTM_E_HTTP, "before the end" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 29\r\n", NOTIFY, RTM_E_HTTP, "before the end" },
        { "", CUT, RTM_E_CLOSED, "sandbox.test closed the connection" },
        { "", NOTIFY, RTM_E_CLOSED, "sandbox.test closed the connection" },
        { "", JUNK, RTM_E_TLS, "integrity check" } };
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        server_start(&(script){ .chain = "ec1", .reply = cases[i / 2].reply,
                                .end = cases[i / 2].end });
        rtm_config config = { .ca_pem = read_file("ca-root"), .no_auto_reconnect = true };
        rtm_client *bot = make_bot("sandbox.test", config);
        rtm_result result = i % 2 ? call(bot) : rtm_run(bot);
        snprintf(detail, sizeof detail, "%s", rtm_error_detail(bot));
    check_line(detail, NULL);
        if (result != cases[i / 2].result) print_error("case %zu\n", i / 2);
        expect(result, cases[i / 2].result, cases[i / 2].words);
        rtm_destroy(bot);
    }
}

/* The client's answer to close_notify fails, as after a reset; but the response was complete. */
static void a_complete_response_counts_though_nothing_can_be_sent(void **state) {
    (void)state;
    server_start(&(script){ .chain = "ec1", .end = SEND_FAILS,
                            .reply = "HTTP/1.1 200 OK\r\n\r\n{\"ok\":true}" });
    rtm_client *bot = make_bot("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
    expect(call(bot), RTM_OK, "");
    rtm_destroy(bot);
}

static void a_kept_connection_that_was_closed_in_order_is_not_used(void **state) {
    (void)state;
    server_start(&(script){ .chain = "ec1", .end = KEEP, .reply =
                            "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}" });
    rtm_client *bot = make_bot("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
    expect(call(bot), RTM_OK, "");
    expect(call(bot), RTM_OK, "");
    assert_int_equal(server.accepts, 1);
    SSL_shutdown(server.ssl);
    server_drain();
    expect(call(bot), RTM_OK, "");
    assert_int_equal(server.accepts, 2);
    assert_int_equal(server.requests, 3);
    rtm_destroy(bot);
}

/* The record after the first half of a response is altered: the half must not pass for all of
   it. */
static void an_altered_record_ends_the_response(void **state) {
    (void)state;
    server_start(&(script){ .chain = "ec1", .end = JUNK,
                            .reply = "HTTP/1.1 200 OK\r\n\r\n" NO });
    rtm_result result = attempt("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
    expect(result, RTM_E_TLS, "integrity check");
}

#define RAW(bytes) bytes, sizeof bytes - 1
#define THIRTY_TWO "0123456789abcdef0123456789abcdef"

static void invalid_tls_is_reported_as_such(void **state) {
    static const struct { const char *raw; size_t size; const char *words; } cases[] = {
        { RAW("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), "not TLS" },
        { RAW("SSH-2.0-OpenSSH_9.2p1\r\n"), "not TLS" }, { RAW("220 mail ready\r\n"), "not TLS" },
        { RAW("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "not TLS" },
        { RAW("\xff\xff\xff\xff\xff\xff\xff\xff"), "not TLS" },
        { RAW("\x80\x2e\x01\x03\x03\x00\x15\x00"), "not TLS" },   /* SSLv2's frame */
        { RAW("\x16\x03\x03\xff\xff\x02\x00"), "invalid TLS" },    /* 65,535 bytes in a record */
        { RAW("\x16\x03\x03\x00\x00"), "closed the connection" },        /* none at all */
        { RAW("\x17\x03\x03\x00\x01x"), "invalid TLS" },           /* data before the handshake */
        { RAW("\x16\x03\x03\x00\x04\x0e\x00\x00\x00"), "invalid TLS" }, /* ServerHelloDone first */
        { RAW("\x16\x03\x03\x00\x04\x02\xff\xff\xff"), "closed the" }, /* 16 MiB to come */
        { RAW("\x16\x03\x03\x00\x40\x02\x00"), "closed the connection" },
        { RAW("\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02" THIRTY_TWO "\x00\xc0\x2b\x00"),
          "a version other than TLS 1.2" },
        { RAW("\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03" THIRTY_TWO "\x00\x00\x2f\x00"),
          "invalid TLS" }, /* a suite that was not offered */
        { RAW("\x15\x03\x03\x00\x02\x02\x28"), "no cipher suite in common" },
        { RAW("\x15\x03\x01\x00\x02\x02\x46"), "does not support TLS 1.2" },
        { RAW("\x15\x03\x03\x00\x02\x02\x70"), "alert 112 (unrecognized_name)" }, /* unknown name */
        { RAW("\x15\x03\x03\x00\x02\x02\x50"), "alert 80 (internal_error)" }, /* internal error */
        { RAW("\x15\x03\x03\x00\x02\x01\x00"), "during the TLS handshake" }, /* close_notify */
        { NULL, 0, "sandbox.test closed the connection during the TLS handshake" } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        server_start(&(script){ .raw = cases[i].raw, .raw_size = cases[i].size });
        rtm_result result = attempt("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
        if (result != RTM_E_TLS) print_error("case %zu\n", i);
        expect(result, RTM_E_TLS, cases[i].words);
        assert_int_equal(server.accepts, 1);
    }
    server_start(&(script){ .rude = true });
    rtm_result result = attempt("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
    expect(result, RTM_E_TLS, "sandbox.test closed the connection during the TLS handshake");
}

/* handshake_failure has several causes, and the server does not say which. */
static void a_refused_handshake_is_reported_with_all_its_causes(void **state) {
    static const char *const causes[] = { "cipher suite", "client certificate",
                                          "extended master secret" };
    (void)state;
    server_start(&(script){ .raw = "\x15\x03\x03\x00\x02\x02\x28", .raw_size = 7 });
    rtm_result result = attempt("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
    for (int i = 0; i < 3; i++) expect(result, RTM_E_TLS, causes[i]);
}

/* A number is useful only with the name of the library. */
static void numbers_of_errors_are_bearssls(void **state) {
    static const struct { const char *raw; size_t size; } cases[] = {
        { RAW("\x15\x03\x03\x00\x02\x02\x70") }, { RAW("\x15\x03\x03\x00\x02\x02\x28") },
        { RAW("\x16\x03\x03\xff\xff\x02\x00") }, { RAW("SSH-2.0-OpenSSH_9.2p1\r\n") } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        server_start(&(script){ .raw = cases[i].raw, .raw_size = cases[i].size });
        attempt("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
        const char *number = strstr(detail, "rror ");
        bool named = !number || number[5] < '0' || number[5] > '9' ||
                     (number - detail >= 9 && !strncmp(number - 9, "BearSSL error ", 14));
        if (!named) fail_msg("%s", detail);
    }
}

static void a_silent_server_costs_timeout_ms_and_no_more(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        server_start(&(script){ .silent = true });
        rtm_client *bot = make_bot("sandbox.test", (rtm_config){ .timeout_ms = 20000,
                                   .ca_pem = read_file("ca-root"), .no_auto_reconnect = true });
        long long start = now_ms();
        expect(i ? call(bot) : rtm_run(bot), RTM_E_TIMEOUT, "");
        snprintf(detail, sizeof detail, "%s", rtm_error_detail(bot));
        expect(RTM_E_TIMEOUT, RTM_E_TIMEOUT, "the TLS handshake with sandbox.test");
        expect(RTM_E_TIMEOUT, RTM_E_TIMEOUT, "20000 ms");
        assert_in_range(now_ms() - start, 20000, 20999);
        rtm_destroy(bot);
    }
}

/* The same bytes in pieces of any size, of records larger and smaller than the read-ahead. */
static void records_may_come_in_pieces_of_any_size(void **state) {
    static const size_t steps[] = { 1, 2, 5, 6, 7, 100, 4095, 4096, 4097, 5000, 20000, 60000 };
    static char reply[41000], expected[40001], got[40001];
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int size = steps[i] < 8 ? 4000 : 40000;
        for (int j = 0; j < size; j++) expected[j] = (char)('a' + j % 23);
        expected[size] = '\0';
        snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d"
                 "\r\n\r\n{\"ok\":true,\"text\":\"%s\"}", size + 21, expected);
        server_start(&(script){ .chain = "ec2", .reply = reply, .step = steps[i] });
        rtm_client *bot = make_bot("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
        for (int j = 0; j < 2; j++) {
            rtm_response response;
            rtm_result result = rtm_call(bot, &response, "auth.test", NULL);
            snprintf(detail, sizeof detail, "%s", rtm_error_detail(bot));
    check_line(detail, NULL);
            expect(result, RTM_OK, "");
            rtm_json value = rtm_json_get(response.data, "text");
            assert_int_equal(rtm_json_string(value, got, sizeof got), size);
            assert_string_equal(got, expected);
            assert_int_equal(server.reused, j);
        }
        rtm_destroy(bot);
    }
}

/* A handshake that is cut at any byte fails as a handshake, and its anchors are freed (checked by
   the sanitizer). */
static void a_handshake_may_be_cut_anywhere(void **state) {
    (void)state;
    for (size_t limit = 1; limit < 1000; limit += limit < 20 ? 1 : 23) {
        server_start(&(script){ .chain = "ec1", .step = limit, .limit = limit });
        rtm_result result = attempt("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
        expect(result, RTM_E_TLS, "sandbox.test closed the connection during the TLS handshake");
        assert_int_equal(server.handshakes, 0);
    }
}

/* Bundles ------------------------------------------------------------------------------------- */

static char text[300000], bundle_file[100];

/* Concatenates: names are replaced by CA files, everything else is copied. */
static const char *bundle(const char *const *parts) {
    *text = '\0';
    for (; *parts; parts++) strcat(text, strncmp(*parts, "ca-", 3) ? *parts : read_file(*parts));
    return text;
}

static const char *replaced(const char *in, const char *what, const char *with) {
    static char out[300000];
    const char *at;
    for (*out = '\0'; (at = strstr(in, what)) != NULL; in = at + strlen(what)) {
        strncat(out, in, (size_t)(at - in));
        strcat(out, with);
    }
    return strcat(out, in);
}

/* A file with this text; stop_server removes it. */
static const char *file_with(const char *pem) {
    snprintf(bundle_file, sizeof bundle_file, CERTS "bundle-%ld", (long)getpid());
    FILE *out = fopen(bundle_file, "w");
    assert_int_equal(fwrite(pem, 1, strlen(pem), out), strlen(pem));
    fclose(out);
    return bundle_file;
}

/* The same text as ca_pem, in ca_file, and in SSL_CERT_FILE. */
static void try_bundle(const char *pem, rtm_result result, const char *words) {
    const char *file = file_with(pem);
    server_start(&(script){ .chain = "ec1" });
    expect(attempt("sandbox.test", (rtm_config){ .ca_pem = pem }), result, words);
    expect(attempt("sandbox.test", (rtm_config){ .ca_file = file }), result, words);
    setenv("SSL_CERT_FILE", file, 1);
    expect(attempt("sandbox.test", (rtm_config){ .timeout_ms = 4000 }), result, words);
    unsetenv("SSL_CERT_FILE");
}

static void a_bundle_may_have_these_forms(void **state) {
    static const char *const all[][8] = {
        { "ca-root", NULL }, { "ca-rsa-root", "ca-root", NULL }, { "ca-root", "ca-rsa-root", NULL },
        { "ca-rsa-root", "ca-rsa2-root", "ca-self", "ca-root", "ca-root384", "ca-wild", NULL },
        { "ca-root", "ca-root", "ca-root", NULL }, { "ca-impostor", "ca-root", NULL },
        { "# the root\n\n", "ca-root", "\nthe end", NULL },
        { "subject=CN = rsa\n", "ca-rsa-root", "\n\n  root:\n", "ca-root", NULL },
        { "ca-ed25519", "ca-weak", "ca-root", NULL } };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) try_bundle(bundle(all[i]), SERVED);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        try_bundle(replaced(bundle(all[i]), "\n", "\r\n"), SERVED);
    const char *pem = bundle(all[1]);
    text[strlen(pem) - 1] = '\0'; /* no newline after the last line */
    try_bundle(pem, SERVED);
    try_bundle(replaced(bundle(all[0]), "CERTIFICATE", "X509 CERTIFICATE"), SERVED);
}

/* A damaged certificate is skipped, at any position; the others are used. */
static void a_damaged_certificate_is_left_out(void **state) {
    char damaged[6][3000];
    (void)state;
    for (int i = 0; i < 6; i++) strcpy(damaged[i], read_file("ca-rsa-root"));
    memset(strchr(damaged[0], '\n') + 100, '!', 3);           /* not base64 */
    memset(strchr(damaged[1], '\n') + 100, 'A', 200);         /* base64, not DER */
    strcpy(strstr(damaged[2], "-----END") - 201, "\n-----END CERTIFICATE-----\n"); /* cut */
    strcpy(strchr(damaged[3], '\n'), "\n-----END CERTIFICATE-----\n");             /* empty */
    strcpy(strstr(damaged[4], "\n-----END"), "\n-----EN\n"); /* another end */
    strcpy(damaged[5], "-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n");
    for (int i = 0; i < 6; i++) {
        try_bundle(bundle((const char *[]){ "ca-root", damaged[i], NULL }), SERVED);
        try_bundle(bundle((const char *[]){ damaged[i], "ca-root", NULL }), SERVED);
        try_bundle(bundle((const char *[]){ "ca-root384", damaged[i], "ca-root", NULL }), SERVED);
        try_bundle(damaged[i], RTM_E_ARGUMENT, "no certificate");
    }
    /* One without an END line swallows the next. */
    bundle((const char *[]){ "ca-rsa-root", "ca-root384", "ca-root", NULL });
    char *end = strstr(text, "-----END CERTIFICATE-----\n");
    memmove(end, end + 26, strlen(end + 26) + 1);
    try_bundle(text, SERVED);
}

/* Refused by rtm_create: such a client could never connect. */
static void refuse_bundle(rtm_config config, const char *words) {
    server_start(&(script){ .chain = "ec1" });
    expect(attempt("sandbox.test", config), RTM_E_ARGUMENT, words);
    assert_int_equal(server.accepts, 0);
}

static void an_unusable_bundle_is_refused_with_its_name(void **state) {
    static const char *const pems[] = {
        "", "\n\n", "-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" };
    static const char *const files[] = { CERTS "nothing.pem", CERTS, CERTS "root.key" };
    (void)state;
    for (int i = 0; i < 3; i++) {
        refuse_bundle((rtm_config){ .ca_file = files[i] }, files[i]);
        setenv("SSL_CERT_FILE", files[i], 1);
        refuse_bundle((rtm_config){ .timeout_ms = 4000 }, files[i]);
        expect(refusal, RTM_E_ARGUMENT, "SSL_CERT_FILE");
        unsetenv("SSL_CERT_FILE");
    }
    for (int i = 0; i < 4; i++) {
        refuse_bundle((rtm_config){ .ca_pem = pems[i] }, "ca_pem");
        refuse_bundle((rtm_config){ .ca_file = file_with(pems[i]) }, bundle_file);
    }
    const char *fifo = file_with(""); /* it is not waited for */
    unlink(fifo);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    refuse_bundle((rtm_config){ .ca_file = fifo }, fifo);
    unlink(fifo);
}

/* As editors write them: blanks at the ends of lines, or CRLF, or both. */
static void blanks_in_a_bundle_change_nothing(void **state) {
    static const char *const ends[] = { "\n", " \n", "\t \n", "\r\n", "  \r\n" };
    const char *root = read_file("ca-root");
    (void)state;
    for (int i = 0; i < 5; i++) {
        static char pem[20000];
        char *to = pem;
        for (const char *p = root; *p; p++) {
            if (*p == '\n') to += sprintf(to, "%s", ends[i]);
            else *to++ = *p;
        }
        *to = '\0';
        try_bundle(pem, SERVED);
    }
}

static void without_https_the_variable_does_not_matter(void **state) {
    rtm_config config = { .token = "xoxb-test", .base_url = "http://sandbox.test:1/api/" };
    rtm_client *plain = NULL;
    (void)state;
    setenv("SSL_CERT_FILE", "/nowhere", 1);
    rtm_result from_variable = rtm_create(&config, &plain);
    rtm_destroy(plain);
    config.ca_file = "/nowhere";
    rtm_result from_config = rtm_create(&config, &plain);
    unsetenv("SSL_CERT_FILE");
    assert_int_equal(from_variable, RTM_OK);
    assert_int_equal(from_config, RTM_E_ARGUMENT);
}

static void a_bundle_in_the_config_overrides_the_environment(void **state) {
    const char *root = read_file("ca-root"), *other = read_file("ca-rsa-root");
    (void)state;
    server_start(&(script){ .chain = "ec1" });
    setenv("SSL_CERT_FILE", CERTS "ca-rsa-root.pem", 1);
    expect(attempt("sandbox.test", (rtm_config){ .ca_file = CERTS "ca-root.pem" }), SERVED);
    expect(attempt("sandbox.test", (rtm_config){ .ca_pem = root }), SERVED);
    expect(attempt("sandbox.test", (rtm_config){ .ca_pem = root, .ca_file = "/nowhere" }), SERVED);
    setenv("SSL_CERT_FILE", CERTS "ca-root.pem", 1);
    expect(attempt("sandbox.test", (rtm_config){ .ca_file = CERTS "ca-rsa-root.pem" }),
           RTM_E_CERTIFICATE, "trusted CA");
    expect(attempt("sandbox.test", (rtm_config){ .ca_pem = other, .ca_file = CERTS "ca-root.pem" }),
           RTM_E_CERTIFICATE, "trusted CA");
    setenv("SSL_CERT_FILE", "", 1); /* the system's, if there is one: without our CA */
    expect(attempt("sandbox.test", (rtm_config){ .timeout_ms = 4000 }), RTM_E_CERTIFICATE, "CA");
    unsetenv("SSL_CERT_FILE");
}

/* Resumption ---------------------------------------------------------------------------------- */

static void a_second_connection_resumes_and_needs_no_anchors(void **state) {
    const char *file = file_with(read_file("ca-root"));
    (void)state;
    server_start(&(script){ .chain = "ec1" });
    rtm_client *bot = make_bot("sandbox.test", (rtm_config){ .ca_file = file });
    expect(call(bot), SERVED);
    assert_int_equal(server.reused, 0);
    unlink(file);
    for (int i = 1; i < 4; i++) {
        expect(call(bot), SERVED);
        assert_int_equal(server.handshakes, i + 1);
        assert_int_equal(server.reused, i);
    }
    SSL_CTX_flush_sessions(server.context, LONG_MAX); /* now it must check the chain, and cannot */
    expect(call(bot), RTM_E_CERTIFICATE, "cannot be opened");
    assert_int_equal(server.reused, 3);
    rtm_destroy(bot);
}

static void all_connections_to_a_host_resume_the_same_session(void **state) {
    (void)state;
    server_start(&(script){ .chain = "ec1" });
    rtm_client *bot = make_bot("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root"),
                                                             .no_auto_reconnect = true });
    expect(call(bot), SERVED); /* on rtm_call's connection, then on the session's */
    rtm_result result = rtm_run(bot);
    snprintf(detail, sizeof detail, "%s", rtm_error_detail(bot));
    expect(result, SERVED);
    assert_int_equal(server.handshakes, 2);
    assert_int_equal(server.reused, 1);
    rtm_destroy(bot);
}

static void a_handshake_keeps_the_sessions_of_other_hosts(void **state) {
    (void)state;
    server_start(&(script){ .chain = "ec1" });
    rtm_client *bot = make_bot("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
    rtmi_peer other = { .host = "socket.test", .port = "443", .tls = true };
    rtmi_host *known = rtmi_network_use_host(&bot->network, &other);
    known->session.session_id_len = 7;
    expect(call(bot), SERVED);
    for (int i = 1; i < 4; i++) {
        expect(call(bot), SERVED);
        assert_int_equal(server.reused, i);
    }
    server.script.rude = true;
    assert_int_not_equal(call(bot), RTM_OK);
    server.script.rude = false;
    expect(call(bot), SERVED);
    assert_int_equal(server.reused, 3); /* what may be the cause is not tried again */
    assert_ptr_equal(rtmi_network_use_host(&bot->network, &other), known);
    assert_int_equal(known->session.session_id_len, 7);
    rtm_destroy(bot);
}

static void the_host_used_longest_ago_makes_room(void **state) {
    rtmi_network network = { .epoll = -1, .wake = { -1, -1 } };
    rtmi_peer peer = { .tls = true, .port = "443" };
    (void)state;
    for (const char *host = "abcdaefg"; *host; host++) { /* a is used again in time, b is not */
        *peer.host = *host;
        rtmi_host *known = rtmi_network_use_host(&network, &peer);
        assert_int_equal(known->session.session_id_len, host[1] == 'e' ? 'a' : 0);
        known->session.session_id_len = (unsigned char)*host;
    }
    for (const char *host = "fgeab"; *host; host++) {
        *peer.host = *host;
        int kept = rtmi_network_use_host(&network, &peer)->session.session_id_len;
        assert_int_equal(kept, *host == 'b' ? 0 : *host);
    }
    strcpy(peer.port, "8443");
    assert_int_equal(rtmi_network_use_host(&network, &peer)->session.session_id_len, 0);
    rtmi_network_close(&network);
}

static void a_server_that_resumes_nothing_works_as_well(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        server_start(&(script){ .chain = i ? "rsa1" : "ec1", .forgetful = true });
        rtm_client *bot = make_bot(i ? "rsa.test" : "sandbox.test", (rtm_config){
                                   .ca_pem = read_file(i ? "ca-rsa-root" : "ca-root") });
        for (int j = 0; j < 3; j++) expect(call(bot), SERVED);
        assert_int_equal(server.handshakes, 3);
        assert_int_equal(server.reused, 0);
        rtm_destroy(bot);
    }
}

/* The server has lost its sessions, and has another certificate: that is checked like the first. */
static void a_refused_resumption_checks_the_certificate_again(void **state) {
    (void)state;
    server_start(&(script){ .chain = "ec1" });
    rtm_client *bot = make_bot("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
    expect(call(bot), SERVED);
    for (int i = 0; i < 3; i++) {
        SSL_CTX *before = server.context;
        server.context = server_context(&(script){ .chain = i == 1 ? "ec2" : "self" });
        SSL_CTX_free(before);
        if (i == 1) expect(call(bot), SERVED);
        else expect(call(bot), RTM_E_CERTIFICATE, "trusted CA");
        assert_int_equal(server.reused, 0);
    }
    rtm_destroy(bot);
}

/* A session replaces the certificate check only for its own host: the WebSocket URL names another
   host, on the same port of the same server, which would resume it. */
static void a_session_is_resumed_for_its_own_host_only(void **state) {
    char body[100];
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool good = i % 2;
        server_start(&(script){ .chain = "ec1", .end = i < 2 ? NOTIFY : KEEP });
        snprintf(body, sizeof body, "{\"ok\":true,\"url\":\"wss://%s:%d/\"}",
                 good ? "first.test" : "wrong.test", server.port);
        server.script.reply = reply_with(body);
        rtm_result result = attempt("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
        if (good) expect(result, RTM_E_WEBSOCKET, "HTTP 200");
        else expect(result, RTM_E_CERTIFICATE, "wrong.test: certificate is for another host name");
        assert_int_equal(server.accepts, 2);
        assert_int_equal(server.reused, 0);
    }
}

/* A failed handshake is not remembered as a successful one. */
static void a_refused_certificate_is_refused_again(void **state) {
    (void)state;
    server_start(&(script){ .chain = "ec1" });
    rtm_client *bot = make_bot("wrong.test", (rtm_config){ .ca_pem = read_file("ca-root") });
    for (int i = 0; i < 3; i++) expect(call(bot), RTM_E_CERTIFICATE, "another host name");
    assert_int_equal(server.requests, 0);
    assert_int_equal(server.reused, 0);
    rtm_destroy(bot);
}

static void each_leg_resumes_its_own_session(void **state) {
    char body[100];
    (void)state;
    server_start(&(script){ .chain = "ec1" });
    snprintf(body, sizeof body, "{\"ok\":true,\"url\":\"wss://first.test:%d/\"}", server.port);
    server.script.reply = reply_with(body);
    rtm_client *bot = make_bot("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
    for (int i = 0; i < 3; i++) {
        expect(rtm_connect(bot), RTM_E_WEBSOCKET, "");
        assert_int_equal(server.handshakes, 2 * i + 2);
        assert_int_equal(server.reused, 2 * i);
    }
    rtm_destroy(bot);
}

/* Record by record ----------------------------------------------------------------------------- */

/* BearSSL's server can do what OpenSSL's cannot be made to do: send records without data, and start
   a renegotiation. It runs a session up to the WebSocket. */
static struct exact {
    br_ssl_server_context tls;
    unsigned char buffer[BR_SSL_BUFSIZE_BIDI];
    identity me;
    bool known, open;
} exact;

static void exact_begin(void) {
    if (!exact.known) identity_load(&exact.me, server.script.chain);
    exact.known = true;
    exact.open = false;
    br_ssl_server_init_full_ec(&exact.tls, &exact.me.chain, 1, BR_KEYTYPE_EC,
                               br_skey_decoder_get_ec(&exact.me.decoder));
    br_ssl_engine_set_buffer(&exact.tls.eng, exact.buffer, sizeof exact.buffer, 1);
    assert_true(br_ssl_server_reset(&exact.tls));
}

/* Sends what is ready, as far as the socket takes it: false when there is more. */
static bool exact_flush(void) {
    unsigned char *record;
    size_t size;
    while ((record = br_ssl_engine_sendrec_buf(&exact.tls.eng, &size)) != NULL) {
        ssize_t n = send(server.fd, record, size, MSG_NOSIGNAL);
        if (n <= 0) return false;
        br_ssl_engine_sendrec_ack(&exact.tls.eng, (size_t)n);
    }
    return true;
}

static void exact_send(const void *data, size_t length) {
    size_t size;
    unsigned char *to = br_ssl_engine_sendapp_buf(&exact.tls.eng, &size);
    assert_true(to && size >= length);
    memcpy(to, data, length);
    br_ssl_engine_sendapp_ack(&exact.tls.eng, length);
    br_ssl_engine_flush(&exact.tls.eng, 0);
    exact_flush();
}

/* The response to rtm.connect is a URL of this server; the response to any GET is 101. */
static void exact_answer(void) {
    char answer[400], body[100], accept[29];
    char *key = strstr(server.in, "Sec-WebSocket-Key: ");
    snprintf(body, sizeof body, "{\"ok\":true,\"url\":\"wss://sandbox.test:%d/\"}", server.port);
    if (key) key[19 + 24] = '\0';
    if (key) rtmi_ws_accept(key + 19, accept);
    if (key) snprintf(answer, sizeof answer, "HTTP/1.1 101 Switching Protocols\r\n"
                      "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: %s\r\n\r\n", accept);
    else snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nConnection: close\r\n"
                  "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    server.in_size = 0;
    exact.open = key != NULL;
    exact_send(answer, strlen(answer));
}

static void exact_run(void) {
    size_t size;
    unsigned char *data;
    for (;;) {
        if (!exact_flush()) return;
        if ((data = br_ssl_engine_recvapp_buf(&exact.tls.eng, &size)) != NULL) {
            if (exact.open) size = size < 1000 ? size : 1000; /* frames: not looked at */
            else memcpy(server.in + server.in_size, data, size);
            server.in_size += exact.open ? 0 : size;
            server.in[server.in_size] = '\0';
            br_ssl_engine_recvapp_ack(&exact.tls.eng, size);
            if (strstr(server.in, "\r\n\r\n")) exact_answer();
            continue;
        }
        data = br_ssl_engine_recvrec_buf(&exact.tls.eng, &size);
        ssize_t n = data ? recv(server.fd, data, size, 0) : 0;
        if (n == 0) server_hang_up(); /* it has ended, with close_notify or only with FIN */
        if (n <= 0) return;
        br_ssl_engine_recvrec_ack(&exact.tls.eng, (size_t)n);
    }
}

/* OpenSSL's server would not use such a certificate. */
static void a_certificate_that_may_not_sign_is_named(void **state) {
    (void)state;
    server_start(&(script){ .exact = true, .chain = "no-signing" });
    rtm_result result = attempt("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
    expect(result, result == RTM_E_TLS ? RTM_E_TLS : RTM_E_CERTIFICATE, "key usage");
}

static void count_end(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    (void)event;
    ++*(int *)user_data;
}

/* In segments of the usual size outside of this machine; those of loopback hold 64 KB. */
static void small_segments(void) {
    int size = 1400;
    setsockopt(server.listener, IPPROTO_TCP, TCP_MAXSEG, &size, sizeof size);
}

static rtm_client *open_exact(void) {
    server_start(&(script){ .exact = true, .chain = "ec0" });
    small_segments();
    rtm_client *bot = make_bot("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
    for (int i = 0; !rtm_is_connected(bot); i++) {
        if (i == 100) fail_msg("%s", rtm_error_detail(bot));
        rtm_poll(bot, 1000);
    }
    return bot;
}

/* Floods without an end: whenever the client reads, the server sends what the kernel takes. */
static const char alert[] = "\x15\x03\x03\x00\x02\x01\x5a"; /* a warning: user_canceled */

static struct { void (*pour)(void); rtm_client *stop; int reads, stop_at, ms; size_t at; } flood;

static void pour_alerts(void) {
    static char alerts[9000 * 7];
    if (!*alerts)
        for (size_t i = 0; i < sizeof alerts; i++) alerts[i] = alert[i % 7];
    for (ssize_t n = 0; n >= 0; flood.at = (flood.at + (size_t)(n > 0 ? n : 0)) % sizeof alerts)
        n = send(server.fd, alerts + flood.at, sizeof alerts - flood.at, MSG_NOSIGNAL);
}

static void pour_empty_records(void) {
    while (exact_flush()) br_ssl_engine_flush(&exact.tls.eng, 1);
}

static void pour(int fd) {
    int before = errno;
    (void)fd;
    if (client_taken > 1 << 20) fail_msg("%s", "it has read 1 MiB, and continues");
    if (server.fd >= 0) flood.pour();
    skipped_ms += flood.ms;
    if (++flood.reads == flood.stop_at) rtm_stop(flood.stop);
    errno = before;
}

/* Until more than 256 KiB are there to be read. */
static void fill(void) {
    int held = 0;
    for (int i = 0; held < 300000; i++) {
        assert_true(i < 2000);
        flood.pour();
        assert_int_equal(ioctl(client_fd, FIONREAD, &held), 0);
        poll(NULL, 0, i > 50);
    }
}

static void begin_flood(void (*pours)(void)) {
    int size = 1 << 20;
    memset(&flood, 0, sizeof flood);
    flood.pour = pours;
    setsockopt(client_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    before_recv = pour;
    client_taken = 0;
}

static void polls_in_the_flood(rtm_client *bot, void (*pours)(void)) {
    begin_flood(pours);
    for (int i = 0; i < 4; i++) {
        fill();
        client_taken = 0;
        assert_true(rtm_poll(bot, 0) >= 0);
        assert_in_range(client_taken, 1, 262144);
        assert_int_equal(rtm_timeout_ms(bot), 0); /* more is at hand */
    }
}

static void endless_alerts_before_the_handshake_do_not_block(void **state) {
    (void)state;
    server_start(&(script){ .silent = true });
    small_segments();
    rtm_client *bot = make_bot("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root") });
    for (int i = 0; server.fd < 0; i++) {
        assert_true(i < 100);
        rtm_poll(bot, 10);
    }
    polls_in_the_flood(bot, pour_alerts);
    rtm_destroy(bot);
}

static void endless_records_without_data_do_not_block(void **state) {
    (void)state;
    rtm_client *bot = open_exact();
    polls_in_the_flood(bot, pour_empty_records);
    rtm_destroy(bot);
}

/* Each by rtm_stop from within the flood, and by its deadline. */
static void blocking_calls_in_a_flood_end_on_time(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool by_call = i % 2, stopped = i / 2;
        server_start(&(script){ .raw = alert, .raw_size = 7, .end = KEEP });
        small_segments();
        rtm_client *bot = make_bot("sandbox.test", (rtm_config){ .ca_pem = read_file("ca-root"),
                                   .timeout_ms = stopped ? 5000 : 300 });
        begin_flood(pour_alerts);
        flood.stop = bot;
        flood.stop_at = stopped ? 20 : -1;
        flood.ms = stopped ? 0 : 5; /* a read */
        rtm_result result = by_call ? call(bot) : rtm_connect(bot);
        assert_int_equal(result, stopped ? RTM_E_STOPPED : RTM_E_TIMEOUT);
        assert_true(flood.reads >= 20);
        before_recv = NULL;
        rtm_destroy(bot);
    }
}

static void run_ends_in_a_flood_when_it_is_stopped(void **state) {
    (void)state;
    rtm_client *bot = open_exact();
    begin_flood(pour_empty_records);
    fill();
    flood.stop = bot;
    flood.stop_at = 20;
    flood.ms = 20; /* a read: the closing second passes as well */
    assert_int_equal(rtm_run(bot), RTM_OK);
    before_recv = NULL;
    rtm_destroy(bot);
}

/* Fills the client's socket to a server that no longer reads, then the send buffer. */
static void fill_up(rtm_client *bot) {
    static char message[8000];
    int small = 4096, id;
    memset(message, 'x', sizeof message - 1);
    setsockopt(client_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    setsockopt(server.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    frozen = true;
    do {
        id = rtm_send_message(bot, "C1", message);
        poll(NULL, 0, 1);
    } while (id > 0);
    assert_int_equal(id, RTM_E_AGAIN);
    waits = ready_waits = 0;
}

/* Before the end is read, there may be a HelloRequest to be answered. */
static void a_full_socket_does_not_hide_the_end(void **state) {
    (void)state;
    for (int hello = 0; hello < 2; hello++) {
        int ends = 0;
        rtm_client *bot = open_exact();
        assert_int_equal(rtm_on(bot, "close", count_end, &ends), RTM_OK);
        fill_up(bot);
        if (hello) {
            exact.tls.eng.record_type_out = SSL3_RT_HANDSHAKE;
            exact_send("\0\0\0\0", 4);
            exact.tls.eng.record_type_out = SSL3_RT_APPLICATION_DATA;
        }
        br_ssl_engine_close(&exact.tls.eng);
        assert_true(exact_flush());
        shutdown(server.fd, SHUT_WR);
        for (int i = 0; i < 50 && !ends; i++) rtm_poll(bot, 100);
        if (ready_waits > 5 || !ends) fail_msg("%d ends, %d of %d waits were over at once", ends,
                                               ready_waits, waits);
        assert_int_equal(ends, 1);
        frozen = false;
        rtm_destroy(bot);
    }
}

/* All that is to be sent is in a TLS record, and the socket is full: poll() must wait for room. */
static void a_record_waits_for_room_in_the_socket(void **state) {
    static const char junk[4096];
    (void)state;
    rtm_client *bot = open_exact();
    const rtmi_conn *conn = &bot->session[0]->exchange.conn;
    frozen = true;
    while (send(client_fd, junk, sizeof junk, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) poll(NULL, 0, 1);
    while (send(client_fd, junk, 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) continue;
    assert_int_equal(rtm_send_message(bot, "C1", "a"), 1);
    assert_int_equal(conn->out_at, conn->out.size);
    assert_true(rtmi_conn_events(conn) & POLLOUT);
    frozen = false;
    rtm_destroy(bot);
}

/* The keys of a bundle are read one after the other into the same memory. */
static void each_certificate_of_a_bundle_keeps_its_key(void **state) {
    static const char *const names[][2] = { { "rsa1", "rsa.test" }, { "rsa2", "rsa.test" },
                                            { "ec0", "sandbox.test" } };
    static char bundle[60000];
    (void)state;
    snprintf(bundle, sizeof bundle, "%s%s%s", read_file("ca-rsa-root"), read_file("ca-rsa2-root"),
             read_file("ca-root"));
    for (int i = 0; i < 3; i++) {
        server_start(&(script){ .chain = names[i][0] });
        expect(attempt(names[i][1], (rtm_config){ .ca_pem = bundle }), SERVED);
    }
}

static void count_event(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    if (!strcmp(event->type, "message")) ++*(int *)user_data;
}

/* The trust anchors are freed after the first handshake: there must be no second one. */
static void renegotiation_is_refused(void **state) {
    static const char frame[] = "\x81\x12{\"type\":\"message\"}";
    (void)state;
    int events = 0, ends = 0;
    rtm_client *bot = open_exact();
    rtm_on(bot, "message", count_event, &events);
    rtm_on(bot, "close", count_end, &ends);
    exact.tls.eng.record_type_out = SSL3_RT_HANDSHAKE;
    exact_send("\0\0\0\0", 4); /* HelloRequest */
    exact.tls.eng.record_type_out = SSL3_RT_APPLICATION_DATA;
    for (int i = 0; i < 5; i++) {
        rtm_poll(bot, 0);
        poll(NULL, 0, 1);
        server_run();
    }
    unsigned char *room;
    size_t size;
    assert_non_null(room = br_ssl_engine_sendapp_buf(&exact.tls.eng, &size));
    exact_send(frame, sizeof frame - 1);
    for (int i = 0; i < 50 && !events && !ends; i++) rtm_poll(bot, 100);
    assert_int_equal(events, 1);
    assert_int_equal(ends, 0);
    rtm_destroy(bot);
}

/* Sends an alert: the session ends, with a message that contains `about`. */
static void end_with_alert(rtm_client *bot, const char *bytes, const char *about) {
    int ends = 0;
    rtm_on(bot, "close", count_end, &ends);
    exact.tls.eng.record_type_out = SSL3_RT_ALERT;
    exact_send(bytes, 2);
    for (int i = 0; i < 50 && !ends; i++) rtm_poll(bot, 100);
    assert_int_equal(ends, 1);
    assert_non_null(strstr(rtm_error_detail(bot), about));
    rtm_destroy(bot);
}

static void an_alert_without_a_name_is_reported_with_its_number(void **state) {
    (void)state;
    end_with_alert(open_exact(), "\2\143", "fatal alert (BearSSL error 355)");
}

/* OpenSSL sends this when its HelloRequest was refused. */
static void a_server_that_requires_renegotiation_is_named_as_such(void **state) {
    (void)state;
    rtm_client *bot = open_exact();
    exact.tls.eng.record_type_out = SSL3_RT_HANDSHAKE;
    exact_send("\0\0\0\0", 4); /* HelloRequest */
    end_with_alert(bot, "\2\50", "renegotiation");
}

static int set_up(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    unsetenv("SSL_CERT_FILE");
    return system("sh tests/tls_certs.sh " CERTS);
}

static int stop_server(void **state) {
    (void)state;
    server_stop();
    frozen = false;
    before_recv = NULL;
    if (exact.known) OPENSSL_free(exact.me.certificate);
    if (exact.known) OPENSSL_free(exact.me.key);
    exact.known = false;
    if (*bundle_file) unlink(bundle_file);
    unsetenv("SSL_CERT_FILE");
    clock_offset_s = 0;
    return 0;
}

#define SERVER(test) cmocka_unit_test_teardown(test, stop_server)

int main(void) {
    const struct CMUnitTest tests[] = {
        SERVER(good_chains_are_accepted),
        SERVER(a_certificate_that_is_trusted_itself_is_accepted),
        SERVER(chains_without_a_trusted_root_are_refused),
        SERVER(a_certificate_for_another_name_is_refused),
        SERVER(an_address_counts_only_as_a_dns_name),
        SERVER(dates_are_checked_and_the_clock_is_suspected),
        SERVER(weak_and_unknown_signatures_and_keys_are_refused),
        SERVER(certificates_that_bearssl_cannot_check_are_named),
        SERVER(only_tls_1_2_is_supported),
        SERVER(only_ecdhe_with_aead_is_supported),
        SERVER(the_usual_curves_are_supported),
        SERVER(a_client_certificate_may_be_asked_for_and_not_demanded),
        SERVER(the_hook_can_give_a_client_certificate),
        SERVER(a_name_is_sent_to_the_server_but_no_address),
        SERVER(servers_are_not_asked_for_smaller_records),
        SERVER(a_response_cut_short_is_not_taken_for_complete),
        SERVER(a_complete_response_counts_though_nothing_can_be_sent),
        SERVER(a_kept_connection_that_was_closed_in_order_is_not_used),
        SERVER(an_altered_record_ends_the_response),
        SERVER(invalid_tls_is_reported_as_such),
        SERVER(a_refused_handshake_is_reported_with_all_its_causes),
        SERVER(numbers_of_errors_are_bearssls),
        SERVER(a_silent_server_costs_timeout_ms_and_no_more),
        SERVER(records_may_come_in_pieces_of_any_size),
        SERVER(a_handshake_may_be_cut_anywhere),
        SERVER(a_bundle_may_have_these_forms),
        SERVER(a_damaged_certificate_is_left_out),
        SERVER(an_unusable_bundle_is_refused_with_its_name),
        SERVER(blanks_in_a_bundle_change_nothing),
        SERVER(without_https_the_variable_does_not_matter),
        SERVER(a_bundle_in_the_config_overrides_the_environment),
        SERVER(a_second_connection_resumes_and_needs_no_anchors),
        SERVER(all_connections_to_a_host_resume_the_same_session),
        SERVER(a_handshake_keeps_the_sessions_of_other_hosts),
        SERVER(the_host_used_longest_ago_makes_room),
        SERVER(a_server_that_resumes_nothing_works_as_well),
        SERVER(a_refused_resumption_checks_the_certificate_again),
        SERVER(a_session_is_resumed_for_its_own_host_only),
        SERVER(a_refused_certificate_is_refused_again),
        SERVER(each_leg_resumes_its_own_session),
        SERVER(a_certificate_that_may_not_sign_is_named),
        SERVER(endless_alerts_before_the_handshake_do_not_block),
        SERVER(endless_records_without_data_do_not_block),
        SERVER(blocking_calls_in_a_flood_end_on_time),
        SERVER(run_ends_in_a_flood_when_it_is_stopped),
        SERVER(a_full_socket_does_not_hide_the_end),
        SERVER(a_record_waits_for_room_in_the_socket),
        SERVER(each_certificate_of_a_bundle_keeps_its_key),
        SERVER(renegotiation_is_refused),
        SERVER(a_server_that_requires_renegotiation_is_named_as_such),
        SERVER(an_alert_without_a_name_is_reported_with_its_number)
    };
    return cmocka_run_group_tests(tests, set_up, stop_server);
}
