/* handshake PORT CA COUNT full|resumed - the cost of a TLS handshake in rtm.h, from the end of
   TCP's to the moment when a request can be sent. Prints the median CPU time of COUNT handshakes in
   us, kernel included. Under callgrind with --collect-atstart=no only its instructions are
   counted. */
#define RTM_IMPLEMENTATION
#include "rtm.h"

#if defined(__has_include)
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#endif
#endif
#ifndef CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_TOGGLE_COLLECT (void)0
#endif

static rtmi_network network;
static rtmi_host *host; /* the server, whose TLS session is resumed */

static double cpu_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Waits until the socket or the lookup is ready for the next step. */
static void wait_for(rtmi_conn *conn) {
    struct pollfd fds[1 + RTMI_ADDRESSES] = { { network.wake[0], POLLIN, 0 } };
    unsigned count = rtmi_conn_pollfds(conn, fds + 1);
    if (poll(fds, count + 1, 5000) < 1) {
        fprintf(stderr, "handshake: no answer\n");
        exit(1);
    }
    rtmi_conn_polled(conn, fds + 1);
    if (fds[0].revents) rtmi_wake_clear(network.wake[0]);
}

/* One handshake, on its own connection: its CPU time in us. */
static double handshake(const rtmi_peer *peer, bool resumed, bool counted) {
    const br_ssl_session_parameters *known = &host->session;
    br_ssl_session_parameters before = *known;
    double spent = 0;
    rtmi_conn conn = { .network = &network };
    rtmi_conn_open(&conn, peer);
    conn.deadline = RTM_NOW_MS() + 5000;
    rtm_result result;
    for (;;) {
        bool count = counted && conn.phase != RTMI_CONN_LOOKUP;
        conn.budget = RTMI_BUDGET;
        double start = cpu_us();
        if (count) CALLGRIND_TOGGLE_COLLECT;
        result = rtmi_conn_step(&conn, RTM_NOW_MS());
        if (count) CALLGRIND_TOGGLE_COLLECT;
        if (count) spent += cpu_us() - start;
        if (result != RTM_E_AGAIN) break;
        wait_for(&conn);
    }
    bool same = known->session_id_len && known->session_id_len == before.session_id_len &&
                !memcmp(known->session_id, before.session_id, before.session_id_len);
    if (result != RTM_OK || same != resumed) {
        fprintf(stderr, "handshake: %s\n",
                result == RTM_OK ? "not as it should be" : conn.error.text);
        exit(1);
    }
    rtmi_conn_shutdown(&conn);
    return spent;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    static double spent[1000];
    rtmi_peer peer = { .host = "localhost", .tls = true };
    int count = argc == 5 ? atoi(argv[3]) : 0;
    if (count < 1 || count > 1000) return 2;
    bool resumed = !strcmp(argv[4], "resumed");
    snprintf(peer.port, sizeof peer.port, "%s", argv[1]);
    network.ca_file = argv[2];
    host = rtmi_network_use_host(&network, &peer);
    if (!rtmi_network_open(&network) || !host) return 1;
    if (resumed) handshake(&peer, false, false); /* the one that is resumed */
    for (int i = 0; i < count; i++) {
        if (!resumed) host->session.session_id_len = 0;
        spent[i] = handshake(&peer, resumed, true);
    }
    rtmi_network_close(&network);
    qsort(spent, (size_t)count, sizeof *spent, by_value);
    printf("us=%.1f\n", spent[count / 2]);
    return 0;
}
