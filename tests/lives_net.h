/* A simulated system for lives.c: sockets, poll, epoll, the resolver, and the clock. Nothing of it
   touches the real network, so the same seed gives the same life. Bytes to the client are in
   segments, each with the time of its arrival. net_deliver() in lives_tls.h receives what the
   client sends; the server in lives.c reads it in net_server_input(), and acts in
   net_server_tick(), which the clock calls. */
#ifndef LIVES_NET_H
#define LIVES_NET_H

#define RTM_NO_THREADS
#include "fake_clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#endif

enum { NET_WAKE = 90, NET_EPOLL = 92, NET_FIRST = 100, NET_SOCKETS = 40, NET_SEGMENTS = 4096 };
#define NEVER 0x7fffffffffffffffLL

typedef struct net_segment {
    long long at;
    size_t end; /* of the stream of bytes to the client */
} net_segment;

typedef struct net_socket {
    bool open, watched;
    int serial;                     /* never used again in a life */
    short watch;                    /* the events that the epoll instance watches */
    unsigned long stamp, blocks;    /* stamp: of what the epoll instance has reported */
    long long connected_at, fin_at, reset_at, blocked_until;
    int error;                      /* of connect() */
    char *in;                       /* the stream to the client */
    size_t in_size, in_capacity, in_read;
    size_t said;                    /* sent by the server: less than in_size with TLS */
    struct net_tls *tls;            /* lives_tls.h */
    net_segment *segment;
    int segments, first;            /* first: not arrived at the last look */
    char *got;                      /* from the client, not yet understood by the server */
    size_t got_size, got_capacity;
    char *group;                    /* bytes that the server will send as one segment */
    size_t group_size, group_capacity;
} net_socket;

static struct {
    net_socket socket[NET_SOCKETS];
    int serial, wake_ends, epoll_open;
    size_t wake_bytes;
    unsigned long wake_stamp, wake_seen, edges, edges_seen;
    bool wake_watched;
    int trouble;        /* percent of system calls that are short or fail at random */
    bool only_level;    /* spurious EAGAIN is allowed with a level-triggered loop only */
    int resolver;       /* percent of lookups that fail */
    unsigned long work; /* bytes that the client has received or sent, connections begun */
    bool misused;       /* a system call on a descriptor that is not open */
    long long next_tick;
} net;

static void net_deliver(net_socket *socket, const char *data, size_t size);
static void tls_free(net_socket *socket);
static void net_server_input(net_socket *socket);
static void net_server_tick(void);
static void net_closed(net_socket *socket);
static unsigned rnd(unsigned below);
static bool chance(unsigned percent);
static int net_max_connect_ms(void);

static inline void net_append(char **data, size_t *size, size_t *capacity, const void *add,
                              size_t n) {
    if (*size + n > *capacity) {
        *capacity = (*size + n) * 2 + 256;
        *data = (realloc)(*data, *capacity);
        if (!*data) abort();
    }
    if (n) memcpy(*data + *size, add, n);
    *size += n;
}

static inline net_socket *net_at(int fd) {
    if (fd < NET_FIRST || fd >= NET_FIRST + NET_SOCKETS || !net.socket[fd - NET_FIRST].open) {
        net.misused = true;
        return NULL;
    }
    return &net.socket[fd - NET_FIRST];
}

/* How much of the stream has arrived. */
static inline size_t net_arrived(net_socket *s) {
    while (s->first < s->segments && s->segment[s->first].at <= test_now_ms) s->first++;
    return s->first ? s->segment[s->first - 1].end : 0;
}

static inline bool net_connected(const net_socket *s) { return s->connected_at <= test_now_ms; }

static inline bool net_is_reset(const net_socket *s) { return s->reset_at <= test_now_ms; }

static inline bool net_can_send(const net_socket *s) {
    return net_connected(s) && !s->error && !net_is_reset(s) && s->blocked_until <= test_now_ms;
}

static inline short net_revents(net_socket *s) {
    int ready = 0;
    if (!net_connected(s)) return 0;
    if (s->error) return POLLERR | POLLHUP | POLLIN | POLLOUT;
    if (net_arrived(s) > s->in_read || s->fin_at <= test_now_ms || net_is_reset(s)) ready |= POLLIN;
#ifdef __linux__
    if (s->fin_at <= test_now_ms || net_is_reset(s)) ready |= (short)EPOLLRDHUP;
#endif
    if (net_is_reset(s)) ready |= POLLERR | POLLHUP | POLLOUT;
    if (s->blocked_until <= test_now_ms) ready |= POLLOUT;
    return (short)ready;
}

/* Changes whenever something new can be reported for this socket. */
static inline unsigned long net_stamp(net_socket *s) {
    net_arrived(s);
    unsigned long stamp = 0;
    if (s->watch & POLLIN)
        stamp += (unsigned long)s->first + (s->fin_at <= test_now_ms);
    if (s->watch & POLLOUT) stamp += (s->blocks * 2 + (s->blocked_until <= test_now_ms)) << 18;
    return stamp + (net_connected(s) ? 1UL << 16 : 0) + (net_is_reset(s) ? 1UL << 17 : 0);
}

/* The socket accepts nothing for this long. */
static inline void net_block(net_socket *s, int ms) {
    s->blocked_until = test_now_ms + ms;
    s->blocks++;
}

/* The next time at which something changes without an action of the client. */
static inline long long net_next_change(void) {
    long long next = net.next_tick;
    for (int i = 0; i < NET_SOCKETS; i++) {
        net_socket *s = &net.socket[i];
        if (!s->open) continue;
        net_arrived(s);
        const long long times[] = { s->connected_at, s->fin_at, s->reset_at, s->blocked_until,
            s->first < s->segments ? s->segment[s->first].at : NEVER };
        for (size_t t = 0; t < sizeof times / sizeof *times; t++)
            if (times[t] > test_now_ms && times[t] < next) next = times[t];
    }
    return next;
}

/* Lets time pass; the server acts at its times. */
static inline void net_advance(long long ms) {
    long long until = test_now_ms + ms;
    while (net.next_tick <= until) {
        if (net.next_tick > test_now_ms) test_now_ms = net.next_tick;
        net_server_tick();
    }
    test_now_ms = until;
}

/* Waits for a condition, at most `timeout` ms (-1: without limit). */
static inline bool net_wait(bool (*ready)(void *), void *of, long long timeout) {
    long long until = timeout < 0 ? test_now_ms + 86400000 : test_now_ms + timeout;
    while (!ready(of)) {
        if (test_now_ms >= until) return false;
        long long next = net_next_change();
        if (next > until) next = until;
        net_advance(next > test_now_ms ? next - test_now_ms : 1);
    }
    return true;
}

static inline bool net_epoll_ready(void *unused) {
    (void)unused;
    bool ready = false;
    if (net.wake_watched && net.wake_stamp != net.wake_seen) net.edges++;
    net.wake_seen = net.wake_stamp;
    for (int i = 0; i < NET_SOCKETS; i++) {
        net_socket *s = &net.socket[i];
        if (!s->open || !s->watched) continue;
        unsigned long stamp = net_stamp(s);
        if (stamp != s->stamp) net.edges++;
        s->stamp = stamp;
        if (net_revents(s) & (s->watch | POLLERR | POLLHUP)) ready = true;
    }
    return ready || (net.wake_watched && net.wake_bytes);
}

/* The events that an edge-triggered loop sees at the epoll instance. */
static inline bool net_epoll_edge(void *unused) {
    bool ready = net_epoll_ready(unused);
    bool edge = ready && net.edges != net.edges_seen;
    if (edge) net.edges_seen = net.edges;
    return edge;
}

/* The server's side ---------------------------------------------------------------------------- */

/* Sends bytes to the client, which arrive after `delay`; piece: 0 = in one segment, else in
   segments of this size, each `gap` ms later. */
static inline void net_say(net_socket *s, const void *data, size_t size, long long delay,
                           size_t piece, int gap) {
    long long at = test_now_ms + delay;
    if (!s->open || s->fin_at != NEVER || s->reset_at != NEVER) return;
    if (!s->segment) s->segment = (calloc)(NET_SEGMENTS, sizeof *s->segment);
    if (!s->segment) abort();
    if (s->segments && s->segment[s->segments - 1].at > at) at = s->segment[s->segments - 1].at;
    while (size) {
        size_t n = piece && piece < size && s->segments < NET_SEGMENTS - 64 ? piece : size;
        if (s->segments == NET_SEGMENTS) {
            s->segments--; /* appended to the last segment */
            at = s->segment[s->segments].at;
        }
        net_append(&s->in, &s->in_size, &s->in_capacity, data, n);
        s->segment[s->segments++] = (net_segment){ at, s->in_size };
        data = (const char *)data + n;
        size -= n;
        at += gap;
    }
}

/* Arrives after everything sent before. */
static inline long long net_last_at(const net_socket *s) {
    return s->segments && s->segment[s->segments - 1].at > test_now_ms
               ? s->segment[s->segments - 1].at : test_now_ms;
}

static inline void net_fin(net_socket *s, long long delay) {
    if (s->fin_at == NEVER) s->fin_at = net_last_at(s) + delay;
}

static inline void net_reset(net_socket *s) {
    if (s->reset_at == NEVER) s->reset_at = net_last_at(s);
}

/* The system calls ----------------------------------------------------------------------------- */

static inline int net_fail(int error) {
    errno = error;
    return -1;
}

static inline int net_socket_call(void) {
    int i = 0;
    if (net.trouble && rnd(400) < (unsigned)net.trouble) return net_fail(EMFILE);
    while (i < NET_SOCKETS && net.socket[i].open) i++;
    if (i == NET_SOCKETS) return net_fail(EMFILE);
    net_socket *s = &net.socket[i];
    memset(s, 0, sizeof *s);
    s->open = true;
    s->serial = ++net.serial;
    s->connected_at = s->fin_at = s->reset_at = NEVER;
    s->blocked_until = test_now_ms; /* also on a clock below 0 */
    net.work++;
    return NET_FIRST + i;
}

static inline int net_connect(int fd) {
    net_socket *s = net_at(fd);
    if (!s) return net_fail(EBADF);
    int longest = net_max_connect_ms();
    s->connected_at = test_now_ms + (longest ? (int)rnd((unsigned)longest) : 0);
    if (longest && chance(3)) s->connected_at = NEVER; /* a black hole */
    if (longest && chance(4)) s->error = ECONNREFUSED;
    if (longest && chance(2)) return net_fail(ECONNREFUSED);
    return net_fail(EINPROGRESS);
}

static inline ssize_t net_recv(int fd, void *to, size_t size) {
    net_socket *s = net_at(fd);
    if (!s) return net_fail(EBADF);
    if (net.trouble && net.only_level && chance((unsigned)net.trouble))
        return net_fail(EINTR);
    size_t left = net_arrived(s) - s->in_read;
    if (!left && net_is_reset(s)) return net_fail(ECONNRESET);
    if (!left && s->fin_at <= test_now_ms) return 0;
    if (!left) return net_fail(EAGAIN);
    if (size > left) size = left;
    if (net.trouble && net.only_level && chance((unsigned)net.trouble))
        size = 1 + rnd((unsigned)size);
    memcpy(to, s->in + s->in_read, size);
    s->in_read += size;
    net.work += size;
    return (ssize_t)size;
}

static inline ssize_t net_send(int fd, const void *data, size_t size) {
    net_socket *s = net_at(fd);
    if (!s) return net_fail(EBADF);
    if (net_is_reset(s)) return net_fail(ECONNRESET);
    if (!net_can_send(s)) return net_fail(EAGAIN);
    if (net.trouble && chance((unsigned)net.trouble)) {
        net_block(s, 1 + (int)rnd(20));
        return net_fail(EAGAIN);
    }
    if (net.trouble && chance((unsigned)net.trouble)) { /* the rest of it does not fit */
        size = 1 + rnd((unsigned)size);
        net_block(s, 1 + (int)rnd(20));
    }
    net.work += size;
    net_deliver(s, data, size);
    return (ssize_t)size;
}

typedef struct net_polled {
    struct pollfd *fds;
    nfds_t count;
} net_polled;

static inline bool net_poll_ready(void *of) {
    net_polled *polled = of;
    bool ready = false;
    for (nfds_t i = 0; i < polled->count; i++) {
        struct pollfd *p = &polled->fds[i];
        p->revents = 0;
        if (p->fd < 0) continue;
        if (p->fd < NET_FIRST) p->revents = net.wake_bytes ? POLLIN : 0;
        else if (net_at(p->fd))
            p->revents = (short)(net_revents(net_at(p->fd)) & (p->events | POLLERR | POLLHUP));
        ready = ready || p->revents;
    }
    return ready;
}

static inline int net_poll(struct pollfd *fds, nfds_t count, int timeout) {
    net_polled polled = { fds, count };
    if (timeout && net.trouble && chance((unsigned)net.trouble)) {
        net_advance((int)rnd((unsigned)(timeout > 0 && timeout < 100 ? timeout : 100)));
        return net_fail(EINTR);
    }
    if (!net_wait(net_poll_ready, &polled, timeout)) return 0;
    int ready = 0;
    for (nfds_t i = 0; i < count; i++) ready += fds[i].revents != 0;
    return ready;
}

static inline void net_free(net_socket *s) {
    tls_free(s);
    (free)(s->in);
    (free)(s->segment);
    (free)(s->got);
    (free)(s->group);
    s->in = s->got = s->group = NULL;
    s->segment = NULL;
    s->open = false;
}

static inline int net_close(int fd) {
    if (fd == NET_EPOLL) {
        net.misused = net.misused || !net.epoll_open;
        net.epoll_open = 0;
    } else if (fd == NET_WAKE || fd == NET_WAKE + 1) {
        net.misused = net.misused || !(net.wake_ends & 1 << (fd - NET_WAKE));
        net.wake_ends &= ~(1 << (fd - NET_WAKE));
    } else if (net_at(fd)) {
        net_closed(net_at(fd));
        net_free(net_at(fd));
    }
    return 0;
}

static inline int net_pipe(int ends[2]) {
    ends[0] = NET_WAKE;
    ends[1] = NET_WAKE + 1;
    net.wake_ends = 3;
    return 0;
}

static inline int net_eventfd(void) {
    net.wake_ends = 1;
    return NET_WAKE;
}

static inline ssize_t net_write(int fd, size_t size) {
    if (fd < 0) return net_fail(EBADF);
    net.wake_bytes += size;
    net.wake_stamp++;
    return (ssize_t)size;
}

static inline ssize_t net_read(size_t size) {
    if (!net.wake_bytes) return net_fail(EAGAIN);
    if (net.wake_ends == 1 || size > net.wake_bytes) size = net.wake_ends == 1 ? 8 : net.wake_bytes;
    net.wake_bytes = net.wake_ends == 1 ? 0 : net.wake_bytes - size;
    return (ssize_t)size;
}

#ifdef __linux__
static inline int net_epoll_ctl(int operation, int fd, const struct epoll_event *event) {
    if (fd < NET_FIRST) {
        net.wake_watched = operation != EPOLL_CTL_DEL;
        return 0;
    }
    net_socket *s = net_at(fd);
    if (!s) return net_fail(EBADF);
    s->watched = operation != EPOLL_CTL_DEL;
    if (!s->watched) return 0;
    s->watch = (short)event->events;
    s->stamp = net_stamp(s);
    if (net_revents(s) & (s->watch | POLLERR | POLLHUP)) net.edges++;
    return 0;
}
#endif

/* fcntl, setsockopt, shutdown */
static inline int net_option(int fd) { return fd >= NET_FIRST && !net_at(fd) ? -1 : 0; }

static inline int net_error(int fd, int *error) {
    net_socket *s = net_at(fd);
    *error = s && net_connected(s) ? s->error : 0;
    return 0;
}

#include "net_calls.h"

static inline int net_resolve(struct addrinfo **list) {
    *list = net_addresses();
    return chance((unsigned)net.resolver) ? EAI_AGAIN : 0;
}

#define read(fd, data, size) ((void)(fd), (void)(data), net_read(size))
#define epoll_create1(flags) (net.epoll_open = 1, NET_EPOLL)
#define epoll_ctl(epoll, operation, fd, event) ((void)(epoll), net_epoll_ctl(operation, fd, event))
#define eventfd(value, flags) net_eventfd()

#endif
