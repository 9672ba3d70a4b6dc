/* An address that never answers: a listener whose queue is full lets the kernel drop each SYN. For
   session.c, connect.c and loops.c, after server.h. */
#ifndef DEAF_H
#define DEAF_H

#include "server.h"

static server deaf = { .listener = -1, .fd = -1 };
static int fillers[8], filler_count;

static inline void deaf_open(void) {
    struct pollfd pollfd = { -1, POLLOUT, 0 };
    server_open(&deaf);
    assert_int_equal(listen(deaf.listener, 0), 0);
    struct sockaddr_in address = loopback(deaf.port);
    filler_count = 0;
    do {
        assert_true(filler_count < 8);
        pollfd.fd = fillers[filler_count++] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(pollfd.fd, (struct sockaddr *)&address, sizeof address);
    } while (poll(&pollfd, 1, 20) > 0);
}

static inline void deaf_close(void) {
    while (filler_count) close(fillers[--filler_count]);
    server_free(&deaf);
}

#endif
