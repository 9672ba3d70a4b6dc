/* An address where connect() gets no answer: the queue of its listener is full, so the kernel drops
   each SYN. For session.c, connect.c and loops.c. */
#ifndef UNRESPONSIVE_SERVER_H
#define UNRESPONSIVE_SERVER_H

#include "server.h"

static server unresponsive = { .listener = -1, .fd = -1 };
static int fillers[8], filler_count;

static inline void unresponsive_open(void) {
    struct pollfd pollfd = { -1, POLLOUT, 0 };
    server_open(&unresponsive);
    assert_int_equal(listen(unresponsive.listener, 0), 0);
    struct sockaddr_in address = loopback(unresponsive.port);
    filler_count = 0;
    do {
        assert_true(filler_count < 8);
        pollfd.fd = fillers[filler_count++] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(pollfd.fd, (struct sockaddr *)&address, sizeof address);
    } while (poll(&pollfd, 1, 20) > 0);
}

static inline void unresponsive_close(void) {
    while (filler_count) close(fillers[--filler_count]);
    server_free(&unresponsive);
}

#endif
