/* A bot for bad_days.py, which is the server, the clock and the judge. Uses the public functions of
   rtm.h only. The time in rtm.h is what the server says: nothing here waits for real time, except
   for bytes that are on their way on loopback.

   bad_days PORT rtm|socket_mode MAX_MESSAGE_SIZE
     reads   "now MS": do everything that needs no waiting at this time; "stop": end
     writes  "event TYPE TEXT" for each event; "error RESULT DETAIL"; "end RESULT DETAIL" when the
             client has finished; then "wait MS SOCKETS POLLS": the client's timeout, its open
             sockets, how many times rtm_poll was called */
#define _GNU_SOURCE
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

#define RTM_NOW_MS() server_ms
#define RTM_RANDOM(buf, size) same_number(buf, size)
#define RTM_NO_THREADS
#define RTM_IMPLEMENTATION
#include "../rtm.h"

/* Every random number is 450, so jitter is 0.45 s, or 0.05 s after a wait of 0: about the mean. */
static int same_number(void *buf, size_t size) {
    const uint32_t number = 450;
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)buf)[i] = ((const unsigned char *)&number)[i % sizeof number];
    return 0;
}

/* Counts the open sockets; sets *busy if the other side has not yet received everything. */
static int count_sockets(bool *busy) {
    int count = 0, domain, waiting;
    *busy = false;
    for (int fd = 3; fd < 64; fd++) {
        socklen_t size = sizeof domain;
        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) || domain != AF_INET) continue;
        struct tcp_info info;
        size = sizeof info;
        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size)) continue;
        if (info.tcpi_state == TCP_SYN_SENT) *busy = true;
        if (info.tcpi_state == TCP_CLOSE) continue; /* refused or reset */
        if (!ioctl(fd, TIOCOUTQ, &waiting) && waiting) *busy = true;
        count++;
    }
    return count;
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
    int polls = 0, sockets, result;
    bool busy;
    do {
        result = rtm_poll(bot, 0);
        polls++;
        sockets = count_sockets(&busy);
    } while (result >= 0 &&
             (busy || poll(&ready, 1, 0) > 0 || (rtm_timeout_ms(bot) == 0 && polls < 10000)));
    if (result < 0) printf("end %s: %s\n", rtm_strerror(result), rtm_error_detail(bot));
    printf("wait %d %d %d\n", rtm_timeout_ms(bot), sockets, polls);
    fflush(stdout);
    return result >= 0;
}

int main(int argc, char **argv) {
    char url[64], line[64];
    rtm_client *bot;
    if (argc != 4) return 2;
    snprintf(url, sizeof url, "http://127.0.0.1:%s/api/", argv[1]);
    rtm_config config = { .token = "xoxb-days", .base_url = url, .proxy = "",
                          .max_message_size = (size_t)atol(argv[3]) };
    if (!strcmp(argv[2], "socket_mode")) config.app_token = "xapp-days";
    if (rtm_create(&config, &bot) != RTM_OK || rtm_on(bot, "*", on_event, NULL) != RTM_OK) {
        fprintf(stderr, "bad_days: %s\n", rtm_error_detail(NULL));
        return 1;
    }
    while (fgets(line, sizeof line, stdin) && sscanf(line, "now %lld", &server_ms) == 1)
        if (!step(bot)) break;
    rtm_destroy(bot);
    return 0;
}
