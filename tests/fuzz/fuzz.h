/* What the fuzz targets share: a clock that stands still, random numbers that repeat, memory that
   is counted and can run out, and the input handed out in pieces that end where their block ends,
   so that a sanitizer sees one byte too far. Brings in rtm.h with its implementation. */
#ifndef FUZZ_H
#define FUZZ_H

#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold, in any build. */
#define CHECK(condition) \
    ((condition) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), \
                              abort()))

static long long fuzz_now;
#define RTM_NOW_MS() fuzz_now
#define RTM_TIME() ((time_t)1700000000)

/* xorshift32: of no use to an attacker here, and the same in every run. */
static uint32_t fuzz_seed;
static inline int fuzz_random(void *out, size_t size) {
    unsigned char *byte = out;
    for (; size; size--) {
        fuzz_seed ^= fuzz_seed << 13;
        fuzz_seed ^= fuzz_seed >> 17;
        fuzz_seed ^= fuzz_seed << 5;
        *byte++ = (unsigned char)(fuzz_seed >> 8);
    }
    return 0;
}
#define RTM_RANDOM(buf, size) fuzz_random(buf, size)

/* Allocation number fuzz_fail_at, counted from 1, fails; 0 = none does. */
static long fuzz_blocks, fuzz_allocations, fuzz_fail_at;
static inline void *fuzz_realloc(void *ptr, size_t size) {
    if (++fuzz_allocations == fuzz_fail_at) return NULL;
    void *block = realloc(ptr, size);
    if (!ptr && block) fuzz_blocks++;
    return block;
}
static inline void fuzz_free(void *ptr) {
    if (ptr) fuzz_blocks--;
    free(ptr);
}
#define RTM_REALLOC(ptr, size) fuzz_realloc(ptr, size)
#define RTM_FREE(ptr) fuzz_free(ptr)

#ifdef FUZZ_NETWORK
#include "network.h"
#endif
#define RTM_IMPLEMENTATION
#include "../../rtm.h"

/* Every run begins like this, so that it depends on its input alone. */
static inline void fuzz_begin(uint32_t seed) {
    fuzz_now = 1000000;
    fuzz_seed = seed * 2654435761u | 1;
    fuzz_blocks = fuzz_allocations = fuzz_fail_at = 0;
}

/* A block of its own with these bytes, exactly as long; or as a text, with a NUL behind it. */
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

/* The size of the next piece: small ones mostly, all that is left where `whole`. */
static inline size_t fuzz_piece(size_t left, bool whole) {
    unsigned char random;
    if (whole) return left;
    fuzz_random(&random, 1);
    size_t piece = random & 0x80 ? (random & 3u) + 1 : random;
    return piece < left ? piece : left;
}

#endif
