/* Memory that is counted and can run out: for support.h, and with it all tests on the fake clock,
   for proxy.c and for fuzz/fuzz.h. Comes before the implementation of rtm.h. */
#ifndef COUNTED_H
#define COUNTED_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* test_blocks is what is allocated now, test_allocations what was ever asked for. The
   allocation number test_fail_at (counted from 1) fails; with test_fail_ever, all after it too.
   test_bytes is what the blocks hold, as the C library rounds them, test_most the most of it. */
static long test_blocks, test_bytes, test_most, test_allocations, test_fail_at, test_fail_ever;
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
    if (test_bytes > test_most) test_most = test_bytes;
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

#endif
