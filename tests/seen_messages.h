/* Every sentence that rtm.h makes in a test, once, with its format before it, in the file that
   RTM_SENTENCES names: for errors.py. */
#ifndef SENTENCES_H
#define SENTENCES_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *noted_in;

/* Before the tests, of which some count descriptors, and some have none left. */
__attribute__((constructor)) static void open_notes(void) {
    const char *name = getenv("RTM_SENTENCES");
    noted_in = name ? fopen(name, "ae") : NULL;
}

static inline int noted_vsnprintf(char *to, size_t size, const char *format, va_list values) {
    enum { BITS = 1 << 20 };
    static unsigned char noted[BITS / 8];
    unsigned hash = 2166136261u;
    int length = vsnprintf(to, size, format, values);
    for (const char *c = to; noted_in && *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
    unsigned char *byte = &noted[hash % BITS / 8], bit = (unsigned char)(1 << hash % 8);
    if (!noted_in || *byte & bit) return length;
    *byte |= bit;
    fprintf(noted_in, "%s\t%s\n", format, to);
    fflush(noted_in);
    return length;
}
#define vsnprintf(to, size, format, values) noted_vsnprintf(to, size, format, values)

#endif
