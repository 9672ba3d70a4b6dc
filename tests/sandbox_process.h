/* For tests through the public functions against the sandbox, which runs as a child process: starts
   and stops it, and includes rtm.h with the real clock (skipped_ms skips waits) and with host names
   that resolve to this machine. For sandbox.c, soak.c, idle.c and bench/slow.c, and for tls.c and
   proxy.c through same_thread_server.h. */
#ifndef SANDBOX_PROCESS_H
#define SANDBOX_PROCESS_H

#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static long long skipped_ms, clock_offset_s;
static inline long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000 + skipped_ms;
}
struct addrinfo;
static inline int resolve(const char *host, const char *port, const struct addrinfo *hints,
                          struct addrinfo **list);
#define RTM_NOW_MS() now_ms()
#define RTM_TIME() (time(NULL) + clock_offset_s)
#define RTM_GETADDRINFO(host, port, hints, list) resolve(host, port, hints, list)

#include "seen_messages.h"
#define RTM_IMPLEMENTATION
#include "../rtm.h"
#undef vsnprintf

/* The names that were looked up, each followed by a space. Not kept if lookups run in threads,
   which would write it concurrently. */
#ifdef RTM_NO_THREADS
static char looked_up[1000];
#endif

/* Names in .test, and 127.0.0.2, resolve to this machine; names in .lost do not resolve. */
static inline int resolve(const char *host, const char *port, const struct addrinfo *hints,
                          struct addrinfo **list) {
    const char *dot = strrchr(host, '.');
    bool here = !strcmp(host, "127.0.0.2") || (dot && !strcasecmp(dot, ".test"));
#ifdef RTM_NO_THREADS
    size_t length = strlen(looked_up);
    snprintf(looked_up + length, sizeof looked_up - length, "%s ", host);
#endif
    if (dot && !strcmp(dot, ".lost")) return EAI_NONAME;
    return getaddrinfo(here ? "127.0.0.1" : host, port, hints, list);
}

/* No log line and no error message of any test may contain the token. */
static inline void check_line(const char *line, void *user_data) {
    (void)user_data;
    assert_null(strstr(line, "xoxb-test"));
}

/* The sandbox as a child process; its commands are written to its standard input. */
typedef struct sandbox {
    pid_t pid;
    FILE *input;
    int port;
    char url[64];
} sandbox;

static inline void sandbox_start(sandbox *box, const char *certificate) {
    char file[] = "/tmp/rtm-sandbox-XXXXXX", cert[64], key[64];
    int ends[2];
    box->port = 0;
    close(mkstemp(file));
    snprintf(cert, sizeof cert, "build/certs/%s.pem", certificate);
    snprintf(key, sizeof key, "build/certs/%s.key", certificate);
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    box->pid = fork();
    if (box->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* it ends with the test program, however that ends */
        dup2(ends[0], 0);
        execl("build/sandbox", "sandbox", "--quiet", "--port", "0", "--port-file", file, "--cert",
              cert, "--key", key, (char *)NULL);
        _exit(127);
    }
    close(ends[0]);
    box->input = fdopen(ends[1], "w");
    for (int i = 0; i < 500 && !box->port; i++) {
        FILE *in = fopen(file, "r");
        if (in && fscanf(in, "%d", &box->port) != 1) box->port = 0;
        if (in) fclose(in);
        usleep(10000);
    }
    unlink(file);
    assert_int_not_equal(box->port, 0);
    snprintf(box->url, sizeof box->url, "https://localhost:%d/api/", box->port);
}

static inline void sandbox_stop(sandbox *box) {
    if (!box->input) return;
    fclose(box->input);
    kill(box->pid, SIGTERM);
    waitpid(box->pid, NULL, 0);
}

/* A command to the sandbox, which runs it before it handles anything that the client does later. */
static inline void sandbox_line(sandbox *box, const char *line) {
    fprintf(box->input, "%s\n", line);
    fflush(box->input);
}

#endif
