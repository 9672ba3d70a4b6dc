/* What the test programs share: a clock that stands still, random numbers that repeat, memory that
   is counted and can run out, inputs that end at a guard page. Each test program includes this
   first; it brings in rtm.h with its implementation, so that private functions can be tested. */
#ifndef SUPPORT_H
#define SUPPORT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#endif

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* The clock: advance it by hand. */
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

/* Memory: test_blocks is what is allocated now, test_allocations what was ever asked for. The
   allocation number test_fail_at (counted from 1) fails; with test_fail_ever, all after it too.
   test_bytes is what the blocks hold, as the C library rounds them. */
static long test_blocks, test_bytes, test_allocations, test_fail_at, test_fail_ever;
/* While test_secret is set, blocks that still hold it when they are freed are counted. */
static const char *test_secret;
static long test_secrets_left;
static inline void *counted_realloc(void *ptr, size_t size) {
    test_allocations++;
    if (test_fail_at && (test_allocations == test_fail_at ||
                         (test_fail_ever && test_allocations > test_fail_at))) return NULL;
    size_t before = malloc_usable_size(ptr);
    void *block = (realloc)(ptr, size);
    if (block) test_bytes += (long)malloc_usable_size(block) - (long)before;
    if (!ptr && block) test_blocks++;
    if (!ptr && block && test_secret) memset(block, 0, malloc_usable_size(block));
    return block;
}
static inline void counted_free(void *ptr) {
    if (ptr) test_blocks--;
    test_bytes -= (long)malloc_usable_size(ptr);
    if (ptr && test_secret &&
        memmem(ptr, malloc_usable_size(ptr), test_secret, strlen(test_secret)))
        test_secrets_left++;
    (free)(ptr);
}
#define RTM_REALLOC(ptr, size) counted_realloc(ptr, size)
#define RTM_FREE(ptr) counted_free(ptr)

#define RTM_IMPLEMENTATION
#include "../rtm.h"
#include "ca.h"

/* A copy of `data` whose last byte is the last of its page; the next page cannot be read, so that
   one byte too far crashes. Freed by guard_free. */
typedef struct guarded {
    char *data;
    size_t size;
    void *map;
    size_t map_size;
} guarded;

static inline guarded guard(const void *data, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (size + page - 1) / page + 1;
    guarded copy = { NULL, size, NULL, (pages + 1) * page };
    copy.map = mmap(NULL, copy.map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                    -1, 0);
    assert_true(copy.map != MAP_FAILED);
    assert_int_equal(mprotect((char *)copy.map + pages * page, page, PROT_NONE), 0);
    copy.data = (char *)copy.map + pages * page - size;
    if (data && size) memcpy(copy.data, data, size);
    return copy;
}

static inline void guard_free(guarded *copy) {
    munmap(copy->map, copy->map_size);
}

/* A copy at the end of one guarded area that is used again and again, so that the bytes of an
   earlier piece are gone when the next one comes. */
static inline char *at_guard(const void *data, size_t size) {
    static guarded area;
    if (!area.data) area = guard(NULL, 2 << 20);
    assert_true(size <= area.size);
    char *copy = area.data + area.size - size;
    if (size) memcpy(copy, data, size);
    return copy;
}

/* Tables of cases, and inputs that may hold a NUL. */
#define COUNT(table) (sizeof(table) / sizeof *(table))
#define IN(text) .in = text, .size = sizeof text - 1

#endif
