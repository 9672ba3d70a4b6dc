/* Needed by every server in the tests: a listener on a free port of loopback, its address, and the
   number of open descriptors, so that leaks are found. For server.h, same_thread_server.h,
   faults.c, threads.c, soak.c, bench/server.c and bench/poll.c. Some of these do not use cmocka:
   failures abort. */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static inline struct sockaddr_in loopback(int port) {
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    return address;
}

/* Returns the listener and its port; `flags` is SOCK_NONBLOCK or 0. */
static inline int loopback_listen(int flags, int *port) {
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (bind(fd, (struct sockaddr *)&address, size) || listen(fd, SOMAXCONN) ||
        getsockname(fd, (struct sockaddr *)&address, &size)) {
        perror("a listener on loopback");
        abort();
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static inline int open_files(void) {
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    if (!directory) abort();
    while (readdir(directory)) count++;
    closedir(directory);
    return count - 3; /* ".", "..", and the directory itself */
}

#endif
