/* server.c - libwebsockets: the callbacks, and how it listens.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"

static int on_server(struct lws *wsi, enum lws_callback_reasons reason, UNUSED void *user, void *in,
                     size_t size) {
    const unsigned char *bytes = in;
    bool is_new = reason == LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED ||
                  reason == LWS_CALLBACK_HTTP || reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE;
    struct conn *conn = is_new ? conn_of(wsi) : wsi ? lws_get_opaque_user_data(wsi) : NULL;
    if (!conn) return 0;
    switch (reason) {
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED: start_waiting(conn); break;
    case LWS_CALLBACK_HTTP: return on_request(conn);
    case LWS_CALLBACK_HTTP_BODY: return on_body(conn, in, size);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION: return on_call(conn);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return on_upgrade(conn, in);
    case LWS_CALLBACK_ESTABLISHED: on_open(conn); break;
    case LWS_CALLBACK_RECEIVE: return on_receive(conn, in, size);
    case LWS_CALLBACK_HTTP_WRITEABLE:
    case LWS_CALLBACK_SERVER_WRITEABLE: return on_writeable(conn);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        conn->close_code = size >= 2 ? bytes[0] << 8 | bytes[1] : LWS_CLOSE_STATUS_NO_STATUS;
        conn->leaving = true;
        break;
    case LWS_CALLBACK_RECEIVE_PONG: conn->pinged = false; break;
    case LWS_CALLBACK_CLOSED: on_closed(conn); break;
    case LWS_CALLBACK_WSI_DESTROY: forget(conn); break;
    default: break;
    }
    return 0;
}

/* The buffer has room for a whole TLS record: lws loses bytes that OpenSSL still holds when reading
   stops. */
static const struct lws_protocols protocols[] = {
    { "sandbox", on_server, 0, MAX_RTM + 512, 0, NULL, 0 },
    { "input", on_input, 0, 0, 0, NULL, 0 },
    { NULL, NULL, 0, 0, 0, NULL, 0 },
};
static struct lws_vhost *listen_on(const char *address, uint64_t flags) {
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.vhost_name = info.iface = address;
    info.port = options.port;
    info.protocols = protocols;
    info.options = flags | LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND;
    info.keepalive_timeout = 60;
    info.alpn = "http/1.1";
    if (!options.plain) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = options.cert;
        info.ssl_private_key_filepath = options.key;
        info.ssl_options_set = (long)(SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1);
    }
    return lws_create_vhost(box.context, &info);
}

static bool is_certificate_good(void) {
    char reason[256];
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    bool good = tls && SSL_CTX_use_certificate_chain_file(tls, options.cert) == 1 &&
                SSL_CTX_use_PrivateKey_file(tls, options.key, SSL_FILETYPE_PEM) == 1;
    ERR_error_string_n(ERR_get_error(), reason, sizeof reason);
    if (!good)
        warn("cannot use the certificate %s with the key %s (tests/certs.sh makes both): %s",
             options.cert, options.key, reason);
    SSL_CTX_free(tls);
    return good;
}

static bool start_listening(void) {
    if (!options.plain && !is_certificate_good()) return false;
    lws_set_log_level(0, NULL); /* the message below is clearer */
    box.vhost = listen_on("127.0.0.1", LWS_SERVER_OPTION_DISABLE_IPV6);
    if (!box.vhost) {
        warn("cannot listen on 127.0.0.1:%d: taken, or not allowed", options.port);
        return false;
    }
    options.port = lws_get_vhost_listen_port(box.vhost);
    listen_on("::1", LWS_SERVER_OPTION_IPV6_V6ONLY_MODIFY | LWS_SERVER_OPTION_IPV6_V6ONLY_VALUE);
    lws_set_log_level(LLL_ERR | LLL_WARN, lws_log);
    say("sandbox", "listening on %s://localhost:%d/api/", options.plain ? "http" : "https",
        options.port);
    return true;
}

/* When this file appears, it contains the whole number and the port is open. */
static bool write_port_file(void) {
    char temporary[4096];
    if (!options.port_file) return true;
    snprintf(temporary, sizeof temporary, "%s.%ld", options.port_file, (long)getpid());
    FILE *file = fopen(temporary, "w");
    bool ok = file && fprintf(file, "%d\n", options.port) > 0;
    if (file && fclose(file)) ok = false;
    if (ok && !rename(temporary, options.port_file)) return true;
    warn("cannot write %s: %s", options.port_file, strerror(errno));
    unlink(temporary);
    return false;
}

static volatile sig_atomic_t stopped;

static void on_signal(UNUSED int number) {
    stopped = 1;
    lws_cancel_service(box.context); /* async-signal-safe: only writes to a pipe */
}

int serve(void) {
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_VALIDATE_UTF8 |
                   (options.plain ? 0 : LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT);
    info.server_string = "sandbox";
    info.max_http_header_data = 16 * 1024;
    info.max_http_header_pool = 256;
    info.pt_serv_buf_size = 2 * MAX_RTM;
    info.timeout_secs = REQUEST_SECONDS;
    box.context = need(lws_create_context(&info));
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);

    if (start_listening() && write_port_file()) {
        watch_input();
        advance();
        while (!stopped && !box.done && lws_service(box.context, 0) >= 0) advance();
    } else {
        box.status = 1;
    }
    signal(SIGINT, SIG_IGN); /* on_signal() would use the context */
    signal(SIGTERM, SIG_IGN);
    close_terminal();
    finish_line();
    options.quiet = true; /* do not report the connections that end now */
    lws_context_destroy(box.context);
    forget_envelopes();
    forget_views();
    while (seen_first) drop_seen();
    free(input.data);
    return box.status;
}
