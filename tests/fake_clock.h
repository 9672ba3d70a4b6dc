/* Makes each run of a test the same: a fake clock that only the test advances, random numbers with
   a fixed seed, and counted_memory.h. For support.h, lives_net.h and fuzz/fuzz.h. */
#ifndef FAKE_CLOCK_H
#define FAKE_CLOCK_H

#include "counted_memory.h"
#include <stddef.h>
#include <stdint.h>

/* The clock: tests advance it by assigning to test_now_ms. */
static long long test_now_ms = 1000000;
static inline long long test_clock(void) { return test_now_ms; }
#define RTM_NOW_MS() test_clock()

/* Random bytes: xorshift32, the same in every run. test_random_fails makes it fail. */
static uint32_t test_random_state = 2463534242u;
static int test_random_fails;
static inline int test_random(void *out, size_t size) {
    unsigned char *byte = out;
    if (test_random_fails) return -1;
    while (size--) {
        test_random_state ^= test_random_state << 13;
        test_random_state ^= test_random_state >> 17;
        test_random_state ^= test_random_state << 5;
        *byte++ = (unsigned char)(test_random_state >> 8);
    }
    return 0;
}
#define RTM_RANDOM(buf, size) test_random(buf, size)

#endif
