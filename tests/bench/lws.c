/* lws - libwebsockets and cJSON: rtm.connect, the WebSocket, and of each event its type, of each
   message its channel, user and text. */
#define _GNU_SOURCE
#include <cjson/cJSON.h>
#include <libwebsockets.h>

#include "bench.h"

static bench b;
static struct lws_context *context;
static char host[64], path[512], url[1024], body[4096];
static int port;
static size_t body_size;
static char *message; /* of several pieces */
static size_t message_size, message_capacity;
static char reply[LWS_PRE + 512];
static int reply_size, last_id;
static bool failed;

static const char *text_of(const cJSON *event, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, name));
    return text ? text : "";
}

static void on_event(struct lws *wsi, const char *json, size_t size) {
    cJSON *event = cJSON_ParseWithLength(json, size);
    const char *type = text_of(event, "type");
    if (!strcmp(type, "hello")) {
        bench_hello(&b);
    } else if (*type) {
        bench_event(&b);
        if (!strcmp(type, "message")) {
            const char *channel = text_of(event, "channel"), *user = text_of(event, "user");
            const char *text = text_of(event, "text");
            if (bench_message(&b, channel, strlen(channel), user, strlen(user), text,
                              strlen(text)) && b.echo) {
                reply_size = snprintf(reply + LWS_PRE, sizeof reply - LWS_PRE,
                                      "{\"id\":%d,\"type\":\"message\",\"channel\":\"%s\","
                                      "\"text\":\"%s\"}", ++last_id, channel, text);
                lws_callback_on_writable(wsi);
            }
        }
    }
    cJSON_Delete(event);
}

/* Most events arrive whole; the others are assembled first. */
static void on_piece(struct lws *wsi, const char *in, size_t size) {
    bool last = lws_is_final_fragment(wsi) && !lws_remaining_packet_payload(wsi);
    if (!message_size && last) {
        on_event(wsi, in, size);
        return;
    }
    if (message_size + size > message_capacity) {
        message_capacity = 2 * (message_size + size);
        message = realloc(message, message_capacity);
    }
    memcpy(message + message_size, in, size);
    message_size += size;
    if (!last) return;
    on_event(wsi, message, message_size);
    message_size = 0;
}

static int on_websocket(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                        size_t size) {
    (void)user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_RECEIVE: on_piece(wsi, in, size); break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        if (reply_size)
            lws_write(wsi, (unsigned char *)reply + LWS_PRE, (size_t)reply_size, LWS_WRITE_TEXT);
        reply_size = 0;
        break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_CLOSED: failed = !b.ended; break;
    default: break;
    }
    return failed ? -1 : 0;
}

static void connect_to(const char *to, const char *method, const char *protocol) {
    struct lws_client_connect_info info;
    memset(&info, 0, sizeof info);
    info.context = context;
    info.address = info.host = info.origin = host;
    info.port = port;
    info.path = to;
    info.method = method;
    info.local_protocol_name = protocol;
    info.ssl_connection = LCCSCF_USE_SSL;
    if (!lws_client_connect_via_info(&info)) failed = true;
}

/* The response of rtm.connect is complete: connects to its URL, which is on the same host. */
static void on_connect_response(void) {
    cJSON *response = cJSON_ParseWithLength(body, body_size);
    const char *slash = strstr(text_of(response, "url"), "://");
    slash = slash ? strchr(slash + 3, '/') : NULL;
    snprintf(url, sizeof url, "%s", slash ? slash : "");
    failed = !slash;
    cJSON_Delete(response);
    if (!failed) connect_to(url, NULL, "bench");
}

static int on_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                   size_t size) {
    char buffer[LWS_PRE + 2048], *at = buffer + LWS_PRE;
    int room = sizeof buffer - LWS_PRE;
    (void)user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return lws_add_http_header_by_name(wsi, (const unsigned char *)"authorization:",
                                           (const unsigned char *)"Bearer xoxb-bench", 17,
                                           (unsigned char **)in, *(unsigned char **)in + size);
    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP: return lws_http_client_read(wsi, &at, &room) < 0;
    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
        if (body_size + size > sizeof body) return -1;
        memcpy(body + body_size, in, size);
        body_size += size;
        return 0;
    case LWS_CALLBACK_COMPLETED_CLIENT_HTTP: on_connect_response(); return -1;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        fprintf(stderr, "lws: %s\n", in ? (char *)in : "no connection");
        failed = true;
        return 0;
    default: return 0;
    }
}

int main(int argc, char **argv) {
    static const struct lws_protocols protocols[] = {
        { "http", on_http, 0, 0, 0, NULL, 0 },
        { "bench", on_websocket, 0, 16384, 0, NULL, 0 }, { 0 }
    };
    struct lws_context_creation_info info;
    (void)argc;
    bench_begin(&b, argv);
    if (sscanf(b.base, "https://%63[^:/]:%d%480s", host, &port, path) != 3) return 2;
    strncat(path, "rtm.connect", sizeof path - strlen(path) - 1);
    memset(&info, 0, sizeof info);
    lws_set_log_level(LLL_ERR, NULL);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = protocols;
    info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.client_ssl_ca_filepath = b.ca;
    info.pt_serv_buf_size = 32768;
    context = lws_create_context(&info);
    if (!context) return 1;
    connect_to(path, "GET", "http");
    while (!b.ended && !failed) lws_service(context, 0);
    bench_print(&b, "libwebsockets");
    return failed;
}
