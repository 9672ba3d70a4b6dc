/* A server that runs in the same thread as the client, with the clock and the host names of
   sandbox_process.h: for tls.c and proxy.c. Whenever the client would wait in poll(),
   poll_and_serve() below calls serve(), which the test program defines. */
#ifndef SAME_THREAD_SERVER_H
#define SAME_THREAD_SERVER_H

#define _GNU_SOURCE /* as in sandbox_process.h, which is included from here */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>

static int poll_and_serve(struct pollfd *fds, nfds_t count, int timeout_ms);
#define RTM_NO_THREADS /* a clock that skips waits would skip a thread's lookup too */
#define poll(fds, count, timeout_ms) poll_and_serve(fds, count, timeout_ms)
#include "sandbox_process.h"
#undef poll
#include "sockets.h"

/* Does what the server can do without blocking. Returns the descriptor whose input continues it,
   -1 = no server is running; sets *idle if the server will send nothing more, so that the client's
   wait can be skipped. */
static int serve(bool *idle);

static int client_fd; /* the client's socket in the last poll() */

/* While frozen, the server does nothing, and the clock jumps to the end of each wait. */
static bool frozen;
static int waits, ready_waits;

/* poll() of the client: waits for its socket, fds[1], and runs the server meanwhile. */
static int poll_and_serve(struct pollfd *fds, nfds_t count, int timeout_ms) {
    struct pollfd all[2] = { { -1, 0, 0 }, { -1, POLLIN, 0 } };
    if (count > 1) all[0] = fds[1];
    bool socket = all[0].fd >= 0;
    long long end = now_ms() + timeout_ms, left = timeout_ms;
    if (!timeout_ms) return poll(fds, count, 0);
    if (socket) client_fd = all[0].fd;
    if (frozen) {
        int ready = poll(fds, count, 0);
        waits++;
        if (ready <= 0) skipped_ms += timeout_ms;
        else ready_waits++;
        return ready;
    }
    while (left > 0) {
        bool idle = !socket; /* between two attempts */
        all[1].fd = serve(&idle);
        if (all[1].fd < 0 && !idle) return poll(fds, count, (int)left);
        int slice = idle ? 1 : 20;
        int ready = poll(all, 2, left > slice ? slice : (int)left);
        if (ready < 0) return -1;
        if (ready > 0 && all[0].revents) return poll(fds, count, 0);
        if (!ready && idle) skipped_ms += left;
        left = end - now_ms();
    }
    return 0;
}

/* HTTP 200 with this body. */
static inline const char *reply_with(const char *body) {
    static char reply[500];
    snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
             body);
    return reply;
}

/* The error message of the last attempt or call, and the check of result and message. */
static char detail[300];

static inline void expect(rtm_result result, rtm_result expected, const char *words) {
    if (result != expected || !strstr(detail, words))
        fail_msg("%s (%s), expected %s (...%s...)", rtm_strerror(result), detail,
                 rtm_strerror(expected), words);
}

#endif
