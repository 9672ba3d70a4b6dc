/* Shared by the fuzz targets: the same run each time (fake_clock.h), and the input handed out in
   pieces that end where their block ends, so that a sanitizer sees one byte too far. Brings in
   rtm.h with its implementation. */
#ifndef FUZZ_H
#define FUZZ_H

#include "../fake_clock.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold, in any build. */
#define CHECK(condition) \
    ((condition) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), \
                              abort()))

#define RTM_TIME() ((time_t)1700000000)

#ifdef FUZZ_NETWORK
#include "network.h"
#endif
#define RTM_IMPLEMENTATION
#include "../../rtm.h"

/* Every run begins like this, so that it depends only on its input. */
static inline void fuzz_begin(uint32_t seed) {
    test_now_ms = 1000000;
    test_random_state = seed * 2654435761u | 1;
    test_blocks = test_allocations = test_fail_at = 0;
}

/* A copy of these bytes in a block of exactly their size; fuzz_text adds a NUL. */
static inline char *fuzz_block(const void *data, size_t size) {
    char *block = malloc(size ? size : 1);
    CHECK(block);
    if (size) memcpy(block, data, size);
    return block;
}
static inline char *fuzz_text(const void *data, size_t size) {
    char *text = malloc(size + 1);
    CHECK(text);
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* The size of the next piece: mostly small; all that is left if `whole`. */
static inline size_t fuzz_piece(size_t left, bool whole) {
    unsigned char random;
    if (whole) return left;
    test_random(&random, 1);
    size_t piece = random & 0x80 ? (random & 3u) + 1 : random;
    return piece < left ? piece : left;
}

#endif
