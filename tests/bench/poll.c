/* poll rtm|socket_mode COUNT - receives COUNT events, one per read, over plain ws from a server in
   this program. For run.sh, which counts the instructions inside rtm_poll: the server runs
   outside of rtm_poll, and is not counted. */
#define _GNU_SOURCE
#define RTM_IMPLEMENTATION
#include "rtm.h"

#include "../sockets.h"

/* A message of 700 bytes as Slack sends it. */
#define WORDS \
    "The deploy is done on staging, and we should look at latency again before lunch: please " \
    "review the branch. Its build has failed every night"
#define EVENT \
    "{\"type\":\"message\",\"client_msg_id\":\"1b9f3c27-63c1-4a55-b3a5-00000000002a\",\"text\":\"" \
    WORDS ".\",\"user\":\"U3141B001\",\"team\":\"T024BE7LD\",\"blocks\":[{\"type\":\"rich_text\"," \
    "\"block_id\":\"1b9f3c\",\"elements\":[{\"type\":\"rich_text_section\",\"elements\":[{" \
    "\"type\":\"text\",\"text\":\"" WORDS ".\"},{\"type\":\"user\",\"user_id\":\"U3141B001\"" \
    "}]}]}],\"user_team\":\"T024BE7LD\",\"source_team\":\"T024BE7LD\",\"channel\":\"C2147A001\"," \
    "\"event_ts\":\"1700000001.000100\",\"ts\":\"1700000001.000100\"}"
#define ENVELOPE \
    "{\"envelope_id\":\"5d6f1b8e-2c07-4a64-9d0e-%012ld\",\"payload\":{\"team_id\":\"T024BE7LD\"," \
    "\"api_app_id\":\"A0123ABCD\",\"event\":" EVENT ",\"type\":\"event_callback\",\"event_id\":" \
    "\"Ev%010ld\",\"event_time\":1700000001},\"type\":\"events_api\"," \
    "\"accepts_response_payload\":false}"

static rtm_client *bot;
static long received;
static size_t length;
static bool connected;

static void on_hello(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client;
    (void)event;
    (void)user_data;
    connected = true;
}

static void on_message(rtm_client *client, const rtm_event *event, void *user_data) {
    char text[256];
    (void)client;
    (void)user_data;
    received++;
    length += rtm_json_string(rtm_json_get(event->data, "channel"), text, sizeof text);
    length += rtm_json_string(rtm_json_get(event->data, "user"), text, sizeof text);
    length += rtm_json_string(rtm_json_get(event->data, "text"), text, sizeof text);
}

static void fail(const char *what) {
    fprintf(stderr, "poll: %s: %s\n", what, rtm_error_detail(bot));
    exit(1);
}

static void poll_client(void) {
    if (rtm_poll(bot, 10) < 0) fail("rtm_poll");
}

/* The connection that the client opens next, and its request. */
static int serve(int listener, char *request, size_t size) {
    int fd;
    size_t used = 0;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) < 0) poll_client();
    for (*request = '\0'; !strstr(request, "\r\n\r\n"); request[used] = '\0') {
        ssize_t n = recv(fd, request + used, size - 1 - used, 0);
        if (n > 0) used += (size_t)n;
        else poll_client();
    }
    return fd;
}

static void answer(int fd, const char *format, ...) {
    char bytes[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(bytes, sizeof bytes, format, arguments);
    va_end(arguments);
    if (send(fd, bytes, (size_t)size, 0) != size) fail("send");
}

static int open_session(int listener, int port) {
    char request[4096], body[128], accept[29];
    int fd = serve(listener, request, sizeof request);
    int size = snprintf(body, sizeof body, "{\"ok\":true,\"url\":\"ws://127.0.0.1:%d/\"}", port);
    answer(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", size, body);
    close(fd);
    fd = serve(listener, request, sizeof request);
    const char *key = strstr(request, "Sec-WebSocket-Key: ");
    if (!key) fail("no upgrade");
    rtmi_ws_accept(strtok(strchr(key, ' ') + 1, "\r"), accept);
    answer(fd, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: %s\r\n\r\n\x81\x10{\"type\":\"hello\"}", accept);
    while (!connected) poll_client();
    return fd;
}

int main(int argc, char **argv) {
    int port, listener = loopback_listen(SOCK_NONBLOCK, &port);
    bool socket_mode = argc == 3 && !strcmp(argv[1], "socket_mode");
    char url[64], frame[2048], acknowledgements[4096];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/api/", port);
    rtm_config config = { .token = "xoxb-bench", .app_token = socket_mode ? "xapp-bench" : NULL,
                          .base_url = url, .proxy = "" };
    if (argc != 3 || sizeof EVENT - 1 != 700) return 2;
    if (rtm_create(&config, &bot) != RTM_OK) fail("rtm_create");
    rtm_on(bot, "hello", on_hello, NULL);
    rtm_on(bot, "message", on_message, NULL);
    int fd = open_session(listener, port);
    for (long i = 1, count = strtol(argv[2], NULL, 10); i <= count; i++) {
        int size = snprintf(frame + 4, sizeof frame - 4, socket_mode ? ENVELOPE : EVENT, i, i);
        memcpy(frame, (char[]){ '\x81', 126, (char)(size >> 8), (char)size }, 4);
        if (send(fd, frame, (size_t)size + 4, 0) != size + 4) fail("send");
        poll_client();
        if (received != i) fail("not one event in one rtm_poll");
        while (recv(fd, acknowledgements, sizeof acknowledgements, 0) > 0) continue;
    }
    printf("events=%ld length=%zu\n", received, length);
    rtm_destroy(bot);
    close(fd);
    close(listener);
    return 0;
}
