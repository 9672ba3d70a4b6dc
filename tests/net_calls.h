/* Shared by the simulated networks of tests/lives_net.h and tests/fuzz/network.h: the addresses of
   any host, and the system calls that rtm.h makes. Included after all system headers. */
#ifndef NET_CALLS_H
#define NET_CALLS_H

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

static inline struct addrinfo *net_addresses(void) {
    static struct sockaddr_in v4 = { .sin_family = AF_INET };
    static struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    static struct addrinfo second = { .ai_family = AF_INET, .ai_addr = (struct sockaddr *)&v4,
                                      .ai_addrlen = sizeof v4 };
    static struct addrinfo first = { .ai_family = AF_INET6, .ai_addr = (struct sockaddr *)&v6,
                                     .ai_addrlen = sizeof v6, .ai_next = &second };
    return &first;
}

#define RTM_GETADDRINFO(host, port, hints, list) ((void)(hints), net_resolve(list))
#define RTM_FREEADDRINFO(list) ((void)(list))
#define socket(family, type, protocol) net_socket_call()
#define connect(fd, address, size) ((void)(address), (void)(size), net_connect(fd))
#define send(fd, data, size, flags) net_send(fd, data, size)
#define recv(fd, data, size, flags) net_recv(fd, data, size)
#define poll(fds, count, timeout) net_poll(fds, count, timeout)
#define fcntl(fd, command, value) net_option(fd)
#define setsockopt(fd, level, name, value, size) ((void)(value), net_option(fd))
#define getsockopt(fd, level, name, value, size) ((void)(size), net_error(fd, value))
#define shutdown(fd, how) net_option(fd)
#define close(fd) net_close(fd)
#define pipe(ends) net_pipe(ends)
#define write(fd, data, size) ((void)(data), net_write(fd, size))

#endif
