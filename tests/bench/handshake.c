/* handshake PORT CA COUNT full|resumed - what a TLS handshake costs rtm.h, from the end of TCP's to
   the moment when a request can be sent. Prints the median CPU time of COUNT of them, kernel
   included, in us. Under callgrind with --collect-atstart=no its instructions alone are counted. */
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
static rtmi_why why;

static double cpu_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void wait_for(const rtmi_conn *conn) {
    struct pollfd pollfd = { conn->fd, rtmi_conn_events(conn), 0 };
    if (poll(&pollfd, 1, 5000) == 1) return;
    fprintf(stderr, "handshake: no answer\n");
    exit(1);
}

/* One handshake, on its own connection: its CPU time in us. */
static double handshake(const rtmi_peer *peer, bool resumed, bool counted) {
    const br_ssl_session_parameters *known = &network.tls_session[0].session;
    br_ssl_session_parameters before = *known;
    double spent = 0;
    rtm_result result;
    rtmi_conn conn = { 0 };
    rtmi_conn_init(&conn, &network, &why);
    result = rtmi_conn_open(&conn, peer, RTM_NOW_MS(), RTM_NOW_MS() + 5000);
    if (result == RTM_OK) result = RTM_E_AGAIN;
    while (result == RTM_E_AGAIN) {
        wait_for(&conn);
        conn.drained = false;
        double start = cpu_us();
        if (counted) CALLGRIND_TOGGLE_COLLECT;
        result = rtmi_conn_step(&conn, RTM_NOW_MS());
        if (counted) CALLGRIND_TOGGLE_COLLECT;
        spent += cpu_us() - start;
    }
    bool same = known->session_id_len && known->session_id_len == before.session_id_len &&
                !memcmp(known->session_id, before.session_id, before.session_id_len);
    if (result != RTM_OK || same != resumed) {
        fprintf(stderr, "handshake: %s\n", result == RTM_OK ? "not as it should be" : why.text);
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
    if (resumed) handshake(&peer, false, false); /* the one that is resumed */
    for (int i = 0; i < count; i++) {
        if (!resumed) memset(network.tls_session, 0, sizeof network.tls_session);
        spent[i] = handshake(&peer, resumed, true);
    }
    qsort(spent, (size_t)count, sizeof *spent, by_value);
    printf("us=%.1f\n", spent[count / 2]);
    return 0;
}
