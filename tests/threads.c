/* rtm_stop from another thread during rtm_run: built with -fsanitize=thread, which must find no
   data race. The clock and the sockets are real; this thread is also the server. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RTM_IMPLEMENTATION
#include "../rtm.h"
#include "sockets.h"

/* How far the session gets before it is stopped. */
typedef enum moment { AT_ONCE, CALLED, CONNECTED, OPEN, MOMENTS } moment;

static int listener, port;

static void check(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "threads: %s\n", what);
    exit(1);
}

/* Accepts a connection and reads a request without a body. */
static int take_request(char *head, size_t size) {
    int fd = accept(listener, NULL, NULL);
    size_t length = 0;
    check(fd >= 0, "accept");
    for (*head = '\0'; !strstr(head, "\r\n\r\n"); head[length] = '\0') {
        ssize_t n = recv(fd, head + length, size - 1 - length, 0);
        check(n > 0, "no request came");
        length += (size_t)n;
    }
    return fd;
}

static void answer(int fd, const char *text) {
    check(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text), "send");
}

/* Reads what comes, until the client's end of it. */
static void read_to_the_end(int fd) {
    char bytes[1000];
    while (recv(fd, bytes, sizeof bytes, 0) > 0) continue;
    close(fd);
}

static void *run(void *client) {
    static rtm_result result;
    result = rtm_run(client);
    return &result;
}

static void stop_at(moment when) {
    char url[64], head[4000], body[200], text[400], accept_key[29];
    pthread_t thread;
    rtm_client *client;
    void *result;
    int fd = -1;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/api/", port);
    rtm_config config = { .token = "xoxb-test-token", .base_url = url, .proxy = "",
                          .ping_interval_ms = 100, .timeout_ms = 2000 };
    check(rtm_create(&config, &client) == RTM_OK, "rtm_create");
    check(!pthread_create(&thread, NULL, run, client), "pthread_create");
    if (when >= CALLED) fd = take_request(head, sizeof head);
    if (when >= CONNECTED) {
        snprintf(body, sizeof body, "{\"ok\":true,\"url\":\"ws://127.0.0.1:%d/\"}", port);
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu"
                 "\r\n\r\n%s", strlen(body), body);
        answer(fd, text);
        read_to_the_end(fd);
        fd = take_request(head, sizeof head);
    }
    if (when >= OPEN) {
        char *key = strstr(head, "Sec-WebSocket-Key: ");
        check(key != NULL, "no key came");
        key[19 + 24] = '\0';
        rtmi_ws_accept(key + 19, accept_key);
        snprintf(text, sizeof text, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept_key);
        answer(fd, text);
    }
    rtm_stop(client);
    /* Its CLOSE, if the session was open by then, is answered by the end. */
    if (when == OPEN && recv(fd, head, 1, 0) == 1) shutdown(fd, SHUT_WR);
    if (fd >= 0) read_to_the_end(fd);
    check(!pthread_join(thread, &result), "pthread_join");
    check(*(rtm_result *)result == RTM_OK, "rtm_run did not end well");
    rtm_destroy(client);
}

int main(void) {
    alarm(60); /* instead of waiting for ever */
    listener = loopback_listen(0, &port);
    for (int i = 0; i < 5 * MOMENTS; i++) {
        stop_at((moment)(i % MOMENTS));
        if (i % MOMENTS == AT_ONCE) { /* which may have connected, and waits to be accepted */
            close(listener);
            listener = loopback_listen(0, &port);
        }
    }
    close(listener);
    puts("[       OK ] a_stop_from_another_thread_is_no_data_race");
    return 0;
}
