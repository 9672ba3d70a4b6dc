/* Shared by the test programs with a fake clock (fake_clock.h): inputs that end at a guard page,
   tables of cases. Each of them includes this first, or server.h, which does. It includes rtm.h
   with its implementation, so that private functions can be tested. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include "fake_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "seen_messages.h"
#define RTM_IMPLEMENTATION
#include "../rtm.h"
#undef vsnprintf
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

/* A copy at the end of a guarded area that is used repeatedly, so that the bytes of an earlier
   piece are overwritten by the next one. */
static inline char *at_guard(const void *data, size_t size) {
    static guarded area;
    if (!area.data) area = guard(NULL, 2 << 20);
    assert_true(size <= area.size);
    char *copy = area.data + area.size - size;
    if (data && size) memcpy(copy, data, size);
    return copy;
}

/* Tables of cases, and inputs that may hold a NUL. */
#define COUNT(table) (sizeof(table) / sizeof *(table))
#define IN(text) .in = text, .size = sizeof text - 1

#endif
