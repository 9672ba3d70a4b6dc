/* A network made of the fuzzer's input instead of rtm.h's socket calls, so that a run takes
   microseconds. The input is what all peers send, one after the other; 0xff begins a happening,
   named by the next byte:

     instead of bytes     G rtm.connect's answer   W a Web API answer   U the upgrade's answer
                          P a proxy's answer       0xff this byte itself
     to the connection    F FIN   R reset   I interrupted   A nothing yet   B sends block, or not
     to the next attempt  N no such host   X refused at once   Y refused later
     to the client        S stop   D disconnect   M message   C call   J JSON   T time: net_command

   Other bytes are ignored. Checked here: no call on a descriptor that is not open, no wait longer
   than a call may take. rtm.h is built as for systems without epoll, which has fewer calls to
   replace, and looks names up without a thread, so that each run is the same. */
#define RTMI_EPOLL 0
#define RTM_NO_THREADS
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NET_FDS = 8, NET_WAKE = 90, NET_FIRST = 100, NET_LAZY = 0x10, NET_SILENT = 0x80 };

typedef struct net_socket {
    bool open, ended, blocked;
    int error;       /* of connect(), reported later */
    char said[2048]; /* the first bytes from the client, NUL-terminated */
    size_t said_size;
} net_socket;

static struct {
    const uint8_t *in;
    size_t left;
    unsigned options; /* NET_LAZY: do less than could be; NET_SILENT: no FIN at the end */
    net_socket socket[NET_FDS];
    int pipe_ends;     /* NET_WAKE and NET_WAKE + 1, a bit each: the open ones */
    size_t pipe_bytes; /* in it */
    char answer[256]; /* bytes answer_at..answer_end come before the input */
    size_t answer_at, answer_end;
} net;

static void rtmi_ws_accept(const char *key, char accept[29]);
static size_t fuzz_piece(size_t left, bool whole);

static inline void net_start(const uint8_t *in, size_t size, unsigned options) {
    memset(&net, 0, sizeof net);
    net.in = in;
    net.left = size;
    net.options = options;
}

static inline void net_check_pipe(int fd) {
    CHECK((fd == NET_WAKE || fd == NET_WAKE + 1) && (net.pipe_ends & 1 << (fd - NET_WAKE)));
}

static inline net_socket *net_at(int fd) {
    CHECK(fd >= NET_FIRST && fd < NET_FIRST + NET_FDS && net.socket[fd - NET_FIRST].open);
    return &net.socket[fd - NET_FIRST];
}

/* The number of bytes and happenings left. */
static inline size_t net_rest(void) { return net.left + net.answer_end - net.answer_at; }

/* The next happening; 0 = bytes are next, -1 = the input is used up. */
static inline int net_next(void) {
    while (net.answer_at == net.answer_end && net.left > 1 && net.in[0] == 0xff) {
        if (net.in[1] == 0xff) return 0;
        if (strchr("GWUPFRIABNXYSDMCJT", net.in[1])) return net.in[1];
        net.in += 2;
        net.left -= 2;
    }
    return net.answer_at == net.answer_end && !net.left ? -1 : 0;
}

static inline bool net_take(int happening) {
    if (net_next() != happening) return false;
    net.in += 2;
    net.left -= 2;
    return true;
}

/* What the client itself should do now, or 0. */
static inline int net_command(void) {
    int next = net_next();
    return next > 0 && strchr("SDMCJT", next) && net_take(next) ? next : 0;
}

static inline bool net_lazy(void) {
    unsigned char random = 0;
    if (net.options & NET_LAZY) test_random(&random, 1);
    return random & 1;
}

static inline int net_fail(int error) {
    errno = error;
    return -1;
}

/* Puts an answer before the rest of the input. */
static inline void net_say(const net_socket *to, int which) {
    static const char field[] = "Sec-WebSocket-Key: ";
    const char *key = strstr(to->said, field), *body = "{\"ok\":true,\"list\":[1,[2]]}";
    if (which == 'G') body = "{\"ok\":true,\"url\":\"ws:\\/\\/b.test\\/s?t=1\"}";
    char first[25] = "", accept[29];
    if (key) snprintf(first, sizeof first, "%s", key + sizeof field - 1);
    rtmi_ws_accept(first, accept);
    char *out = net.answer;
    size_t room = sizeof net.answer;
    if (which == 'P')
        snprintf(out, room, "HTTP/1.1 200 OK\r\n\r\n");
    else if (which == 'U')
        snprintf(out, room, "HTTP/1.1 101 Now\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 "Sec-WebSocket-Accept: %s\r\n\r\n", accept);
    else
        snprintf(out, room, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(body), body);
    net.answer_at = 0;
    net.answer_end = strlen(out);
}

/* The next bytes to this socket; 0 if something else is next. */
static inline size_t net_bytes(const net_socket *socket, char *to, size_t size) {
    size_t got = 0;
    while (got < size) {
        int next = net_next();
        if (net.answer_at < net.answer_end) {
            to[got++] = net.answer[net.answer_at++];
        } else if (next && (got || !strchr("GWUP", next))) {
            break; /* an answer may be for the next connection: not in the same recv() */
        } else if (next) {
            net_take(next);
            net_say(socket, next);
        } else {
            size_t escaped = net.left > 1 && net.in[0] == 0xff;
            to[got++] = (char)net.in[escaped];
            net.in += 1 + escaped;
            net.left -= 1 + escaped;
        }
    }
    return got;
}

static inline ssize_t net_recv(int fd, void *buf, size_t size) {
    net_socket *socket = net_at(fd);
    CHECK(size > 0);
    if (net_take('B')) socket->blocked = !socket->blocked;
    if (net_take('I')) return net_fail(EINTR);
    if (net_take('A')) return net_fail(EAGAIN);
    if (net_take('R')) return net_fail(ECONNRESET);
    if (net_take('F')) socket->ended = true;
    if (socket->ended) return 0;
    if (net.options & NET_LAZY) size = 1 + fuzz_piece(size - 1, false);
    size_t got = net_bytes(socket, buf, size);
    if (got) return (ssize_t)got;
    if (net_next() >= 0 || (net.options & NET_SILENT)) return net_fail(EAGAIN);
    socket->ended = true;
    return 0;
}

static inline ssize_t net_send(int fd, const void *data, size_t size) {
    net_socket *socket = net_at(fd);
    CHECK(size > 0);
    if (socket->ended && net_lazy()) return net_fail(EPIPE);
    if (socket->blocked || net_lazy()) return net_fail(EAGAIN);
    if (net.options & NET_LAZY) size = 1 + fuzz_piece(size - 1, false);
    size_t room = sizeof socket->said - 1 - socket->said_size;
    memcpy(socket->said + socket->said_size, data, size < room ? size : room);
    socket->said_size += size < room ? size : room;
    return (ssize_t)size;
}

static inline short net_revents(const struct pollfd *poll) {
    int next = net_next();
    bool data = next < 0 ? !(net.options & NET_SILENT) : !next || !strchr("SDMCJTNXY", next);
    if (poll->fd < 0) return 0;
    if (poll->fd < NET_FIRST) {
        net_check_pipe(poll->fd);
        return net.pipe_bytes ? POLLIN : 0;
    }
    const net_socket *socket = net_at(poll->fd);
    int ready = data || socket->ended ? POLLIN : 0;
    if (!socket->blocked && !net_lazy()) ready |= POLLOUT;
    return (short)(ready & poll->events);
}

static inline int net_poll(struct pollfd *fds, nfds_t count, int timeout) {
    int ready = 0;
    CHECK(count >= 1 && count <= 33 && timeout >= 0 && timeout <= 30000);
    for (nfds_t i = 0; i < count; i++) {
        fds[i].revents = net_revents(&fds[i]);
        ready += fds[i].revents != 0;
    }
    if (!ready) test_now_ms += timeout;
    return ready;
}

static inline int net_pipe(int ends[2]) {
    CHECK(!net.pipe_ends);
    net.pipe_ends = 3;
    ends[0] = NET_WAKE;
    ends[1] = NET_WAKE + 1;
    return 0;
}

static inline ssize_t net_write(int fd, size_t size) {
    if (fd < 0) return net_fail(EBADF); /* a client that failed to get its descriptors */
    net_check_pipe(fd);
    net.pipe_bytes += size;
    return (ssize_t)size;
}

static inline ssize_t net_read(int fd, size_t size) {
    net_check_pipe(fd);
    if (!net.pipe_bytes) return net_fail(EAGAIN);
    if (size > net.pipe_bytes) size = net.pipe_bytes;
    net.pipe_bytes -= size;
    return (ssize_t)size;
}

static inline int net_socket_call(void) {
    int i = 0;
    while (i < NET_FDS && net.socket[i].open) i++;
    CHECK(i < NET_FDS); /* else the last one was not closed */
    memset(&net.socket[i], 0, sizeof net.socket[i]);
    net.socket[i].open = true;
    return NET_FIRST + i;
}

static inline int net_connect(int fd) {
    if (net_take('X')) return net_fail(ECONNREFUSED);
    net_at(fd)->error = net_take('Y') ? ECONNREFUSED : 0;
    return net_fail(EINPROGRESS);
}

static inline int net_error(int fd, int *error) {
    *error = net_at(fd)->error;
    return 0;
}

/* fcntl, setsockopt, shutdown */
static inline int net_option(int fd) {
    if (fd < NET_FIRST) net_check_pipe(fd);
    else net_at(fd);
    return 0;
}

static inline int net_close(int fd) {
    net_option(fd);
    if (fd < NET_FIRST) net.pipe_ends &= ~(1 << (fd - NET_WAKE));
    else net_at(fd)->open = false;
    return 0;
}

#include "../net_calls.h"

static inline int net_resolve(struct addrinfo **list) {
    *list = net_addresses();
    return net_take('N') ? EAI_NONAME : 0;
}

#define read(fd, data, size) ((void)(data), net_read(fd, size))
