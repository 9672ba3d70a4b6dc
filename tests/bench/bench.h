/* Shared by the C clients of the benchmark: arguments, measurements, and the line that they print.
   All of them do the same with an event, so that only the libraries differ. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

typedef struct bench {
    char **options; /* "name=value" */
    const char *base, *ca;
    bool check;     /* the full checksum: slow, so not in the runs that are timed */
    bool latency;   /* texts hold the time at which they were sent */
    bool echo;      /* answer each message with a message */
    bool started, ended;
    long events;        /* but `hello` and the last one */
    long long length;   /* decoded bytes of all channels, users and texts */
    uint64_t checksum;  /* of the same, and of their order */
    long long start_cpu, cpu, hello_ns;
    long long *delay;   /* ns from the server to the callback */
    size_t delays, capacity;
} bench;

static inline long long bench_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline long long bench_cpu_us(void) {
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (long long)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 +
           use.ru_utime.tv_usec + use.ru_stime.tv_usec;
}

/* A line of /proc/self/status, in KiB. ru_maxrss is not usable: it starts with the value of the
   parent. */
static inline long bench_status_kib(const char *name) {
    char line[256];
    long kib = 0;
    FILE *in = fopen("/proc/self/status", "r");
    while (in && fgets(line, sizeof line, in))
        if (!strncmp(line, name, strlen(name))) kib = strtol(line + strlen(name) + 1, NULL, 10);
    if (in) fclose(in);
    return kib;
}

/* A connected client has three descriptors: a thousand need more than the usual limit of 1,024. */
static inline void bench_allow_files(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static inline const char *bench_option(const bench *b, const char *name, const char *fallback) {
    size_t length = strlen(name);
    for (char **option = b->options; *option; option++)
        if (!strncmp(*option, name, length) && (*option)[length] == '=')
            return *option + length + 1;
    return fallback;
}

static inline long bench_number(const bench *b, const char *name, long fallback) {
    const char *value = bench_option(b, name, NULL);
    return value ? strtol(value, NULL, 10) : fallback;
}

static inline void bench_begin(bench *b, char **argv) {
    memset(b, 0, sizeof *b);
    b->options = argv + 1;
    b->base = bench_option(b, "base", "https://localhost:8443/mode=flood/api/");
    b->ca = bench_option(b, "ca", "build/certs/ca.pem");
    b->check = bench_number(b, "check", 0) != 0;
    b->latency = strstr(b->base, "mode=latency") != NULL;
    b->echo = strstr(b->base, "mode=echo") != NULL;
}

/* `hello`: launch.c has put the time at which it started this process into the environment. */
static inline void bench_hello(bench *b) {
    const char *start = getenv("BENCH_START");
    if (!b->hello_ns && start) b->hello_ns = bench_clock() - strtoll(start, NULL, 10);
}

/* Before the first event after `hello`, and again for each. */
static inline void bench_event(bench *b) {
    if (!b->started) {
        b->started = true;
        b->start_cpu = bench_cpu_us();
    }
    b->events++;
}

static inline uint64_t bench_fnv(uint64_t hash, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
    return (hash ^ 0xff) * 1099511628211u; /* the end of a text counts too */
}

static inline void bench_delay(bench *b, const char *text, long long now) {
    if (b->delays == b->capacity) {
        b->capacity = b->capacity ? 2 * b->capacity : 4096;
        b->delay = realloc(b->delay, b->capacity * sizeof *b->delay);
    }
    b->delay[b->delays++] = now - strtoll(text, NULL, 10);
}

/* The decoded channel, user and text of a message, of these lengths. False if it was the last
   one. */
static inline bool bench_message(bench *b, const char *channel, size_t channel_length,
                                 const char *user, size_t user_length, const char *text,
                                 size_t text_length) {
    if (text_length == 3 && !memcmp(text, "END", 3)) {
        if (!b->ended) b->cpu = bench_cpu_us() - b->start_cpu;
        b->ended = true;
        b->events--;
        return false;
    }
    b->length += (long long)(channel_length + user_length + text_length);
    if (b->latency) bench_delay(b, text, bench_clock());
    if (!b->check) return true;
    uint64_t hash = bench_fnv(14695981039346656037u, channel, channel_length);
    hash = bench_fnv(hash, user, user_length);
    b->checksum = b->checksum * 1099511628211u + bench_fnv(hash, text, text_length);
    return true;
}

static inline int bench_compare(const void *a, const void *b) {
    long long x = *(const long long *)a, y = *(const long long *)b;
    return (x > y) - (x < y);
}

static inline void bench_print(bench *b, const char *client) {
    printf("client=%s events=%ld length=%lld cpu_us=%lld rss_kib=%ld hello_us=%lld", client,
           b->events, b->length, b->cpu, bench_status_kib("VmHWM:"), b->hello_ns / 1000);
    if (b->check) printf(" checksum=%016llx", (unsigned long long)b->checksum);
    if (b->delays) {
        qsort(b->delay, b->delays, sizeof *b->delay, bench_compare);
        printf(" p50_us=%.1f p99_us=%.1f", (double)b->delay[b->delays / 2] / 1000,
               (double)b->delay[b->delays * 99 / 100] / 1000);
    }
    printf("\n");
}

#endif
