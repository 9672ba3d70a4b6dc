/* An allocator that counts blocks and bytes and can be made to fail. Included by fake_clock.h, and
   so by all tests with the fake clock, and by proxy.c. Include it before the implementation of
   rtm.h. */
#ifndef COUNTED_MEMORY_H
#define COUNTED_MEMORY_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* test_blocks: blocks allocated now; test_allocations: calls of the allocator so far. Allocation
   number test_fail_at (counted from 1) fails; with test_fail_ever, all later ones fail too.
   test_bytes: size of the blocks, as rounded up by the C library; test_most: its maximum. */
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
