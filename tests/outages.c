/* A bot for outages.py, which is the server and the clock, and checks the results. Uses only the
   public functions of rtm.h. The server sets the time in rtm.h: nothing here waits for real time,
   except for bytes that are on their way on loopback.

   outages PORT rtm|socket_mode MAX_MESSAGE_SIZE RANDOM_NUMBER
     reads   "now MS PORT:BYTES ...": wait until these bytes have arrived at the socket of this port
             (BYTES is followed by "f" after a FIN, "r" after a RST), then do everything that needs
             no waiting at this time
     writes  "event TYPE TEXT" for each event; "error RESULT DETAIL"; "end RESULT DETAIL" when the
             client has finished; then "wait MS POLLS PORT:BYTES ...": the client's timeout, the
             number of calls of rtm_poll, its open sockets and the bytes that each has sent */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static long long server_ms;
static int same_number(void *buf, size_t size);

/* Counts the bytes of each socket, so that both sides know when everything has arrived. */
#define SOCKETS 64
static long long bytes_sent[SOCKETS], bytes_received[SOCKETS];

static int counted_socket(int domain, int type, int protocol) {
    int fd = socket(domain, type, protocol);
    if (fd >= 0 && fd < SOCKETS) bytes_sent[fd] = bytes_received[fd] = 0;
    return fd;
}

static ssize_t counted_send(int fd, const void *data, size_t size, int flags) {
    ssize_t n = send(fd, data, size, flags);
    if (n > 0 && fd < SOCKETS) bytes_sent[fd] += n;
    return n;
}

static ssize_t counted_recv(int fd, void *data, size_t size, int flags) {
    ssize_t n = recv(fd, data, size, flags);
    if (n > 0 && fd < SOCKETS) bytes_received[fd] += n;
    return n;
}

#define RTM_NOW_MS() server_ms
#define RTM_RANDOM(buf, size) same_number(buf, size)
#define RTM_NO_THREADS
#define RTM_IMPLEMENTATION
#define socket(domain, type, protocol) counted_socket(domain, type, protocol)
#define send(fd, data, size, flags) counted_send(fd, data, size, flags)
#define recv(fd, data, size, flags) counted_recv(fd, data, size, flags)
#include "../rtm.h"
#undef socket
#undef send
#undef recv

/* Every random number is this one. 450 makes jitter 0.45 s, or 0.05 s if the wait is 0. */
static uint32_t number;

static int same_number(void *buf, size_t size) {
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)buf)[i] = ((const unsigned char *)&number)[i % sizeof number];
    return 0;
}

/* The state of a TCP socket as in tcp(7), 0 if this is none; its port on this side. */
static int socket_state(int fd, int *port) {
    struct sockaddr_in here;
    struct tcp_info info;
    socklen_t size = sizeof here;
    if (getsockname(fd, (struct sockaddr *)&here, &size) || here.sin_family != AF_INET) return 0;
    size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size)) return 0;
    *port = ntohs(here.sin_port);
    return info.tcpi_state;
}

/* Whether what the server has sent to this port has arrived: `bytes`, then `end`. */
static bool has_arrived(int port, long long bytes, char end) {
    for (int fd = 3, its_port; fd < SOCKETS; fd++) {
        int state = socket_state(fd, &its_port), waiting = 0;
        if (!state || state == TCP_CLOSE || its_port != port) continue;
        struct pollfd hung_up = { fd, POLLRDHUP, 0 };
        if (end == 'r') return false;
        ioctl(fd, FIONREAD, &waiting);
        return bytes_received[fd] + waiting >= bytes && (end != 'f' || poll(&hung_up, 1, 0) == 1);
    }
    return true; /* it is closed */
}

static bool is_connecting(void) {
    for (int fd = 3, port; fd < SOCKETS; fd++)
        if (socket_state(fd, &port) == TCP_SYN_SENT) return true;
    return false;
}

static void on_event(rtm_client *bot, const rtm_event *event, void *user_data) {
    char text[64];
    (void)user_data;
    rtm_json_string(rtm_json_get(event->data, "text"), text, sizeof text);
    if (!strcmp(event->type, "error"))
        printf("error %s: %s\n", rtm_strerror(event->result), event->detail);
    else printf("event %s %s\n", event->type, text);
    if (!strcmp(event->type, "slash_commands")) {
        rtm_result result = rtm_reply(bot, event, "{\"text\":\"done\"}");
        if (result != RTM_OK) printf("error reply to %s: %s\n", text, rtm_strerror(result));
    }
}

/* Returns false once the client has finished. */
static bool step(rtm_client *bot) {
    struct pollfd ready = { rtm_fd(bot), POLLIN, 0 };
    int polls = 0, result, port;
    do {
        while (is_connecting() && poll(&ready, 1, 1) == 0) continue;
        result = rtm_poll(bot, 0);
        polls++;
    } while (result >= 0 && polls < 10000 &&
             (is_connecting() || poll(&ready, 1, 0) > 0 || rtm_timeout_ms(bot) == 0));
    if (result < 0) printf("end %s: %s\n", rtm_strerror(result), rtm_error_detail(bot));
    printf("wait %d %d", rtm_timeout_ms(bot), polls);
    for (int fd = 3; fd < SOCKETS; fd++) {
        int state = socket_state(fd, &port);
        if (state && state != TCP_CLOSE) printf(" %d:%lld", port, bytes_sent[fd]);
    }
    printf("\n");
    fflush(stdout);
    return result >= 0;
}

/* Returns false if the line cannot be read, or if something that it names never arrives. */
static bool take_line(const char *line) {
    int read = 0, port, tries = 0;
    long long bytes;
    char end;
    if (sscanf(line, "now %lld%n", &server_ms, &read) != 1) return false;
    for (line += read; sscanf(line, " %d:%lld%c%n", &port, &bytes, &end, &read) == 3; line += read)
        while (!has_arrived(port, bytes, end))
            if (poll(NULL, 0, 1) || ++tries > 20000) return false;
    return true;
}

int main(int argc, char **argv) {
    char url[64], line[4096];
    rtm_client *bot;
    if (argc != 5) return 2;
    number = (uint32_t)atol(argv[4]);
    snprintf(url, sizeof url, "http://127.0.0.1:%s/api/", argv[1]);
    rtm_config config = { .token = "xoxb-days", .base_url = url, .proxy = "",
                          .max_message_size = (size_t)atol(argv[3]) };
    if (!strcmp(argv[2], "socket_mode")) config.app_token = "xapp-days";
    if (rtm_create(&config, &bot) != RTM_OK || rtm_on(bot, "*", on_event, NULL) != RTM_OK) {
        fprintf(stderr, "outages: %s\n", rtm_error_detail(NULL));
        return 1;
    }
    while (fgets(line, sizeof line, stdin))
        if (!take_line(line) || !step(bot)) break;
    rtm_destroy(bot);
    return 0;
}
