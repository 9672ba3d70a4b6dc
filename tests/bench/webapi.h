/* Shared by webapi.c and webapi_curl.c: the request, and the measurement of its time. */
#ifndef WEBAPI_H
#define WEBAPI_H

#include "bench.h"

#define WEBAPI_CHANNEL "C2147A001"
#define WEBAPI_TEXT \
    "the deploy is done on staging & \"we\" should look at it again: gr\xc3\xbc\xc3\x9f"

static long long webapi_start, webapi_last, webapi_cpu;

static inline long webapi_count(const bench *b) { return bench_number(b, "n", 1000); }

/* Called for each response; false if it was the last. The first has opened the connection and is
   not counted. */
static inline bool webapi_response(bench *b) {
    long long now = bench_clock();
    if (!b->started) {
        b->started = true;
        webapi_start = webapi_last = now;
        webapi_cpu = bench_cpu_us();
        return true;
    }
    if (!b->delay) b->delay = calloc((size_t)webapi_count(b), sizeof *b->delay);
    b->delay[b->delays++] = now - webapi_last;
    webapi_last = now;
    b->events++;
    if (b->events < webapi_count(b)) return true;
    webapi_cpu = bench_cpu_us() - webapi_cpu;
    return false;
}

static inline void webapi_print(bench *b, const char *client) {
    qsort(b->delay, b->delays, sizeof *b->delay, bench_compare);
    printf("client=%s requests=%ld wall_us=%lld p50_us=%.1f p99_us=%.1f cpu_us=%lld rss_kib=%ld\n",
           client, b->events, (webapi_last - webapi_start) / 1000,
           (double)b->delay[b->delays / 2] / 1000, (double)b->delay[b->delays * 99 / 100] / 1000,
           webapi_cpu, bench_status_kib("VmHWM:"));
}

#endif
