/* Appends each error message that rtm.h formats during the tests, once, preceded by its format, to
   the file that the environment variable RTM_MESSAGES names. errors.py reads this file. */
#ifndef SEEN_MESSAGES_H
#define SEEN_MESSAGES_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *messages_file;

/* Opened before main(): some tests count the open descriptors, others use up all of them. */
__attribute__((constructor)) static void open_messages_file(void) {
    const char *name = getenv("RTM_MESSAGES");
    messages_file = name ? fopen(name, "ae") : NULL;
}

static inline int seen_vsnprintf(char *to, size_t size, const char *format, va_list values) {
    enum { BITS = 1 << 20 };
    static unsigned char seen[BITS / 8];
    unsigned hash = 2166136261u;
    int length = vsnprintf(to, size, format, values);
    if (!messages_file) return length;
    for (const char *c = to; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
    unsigned char *byte = &seen[hash % BITS / 8], bit = (unsigned char)(1 << hash % 8);
    if (*byte & bit) return length;
    *byte |= bit;
    fprintf(messages_file, "%s\t%s\n", format, to);
    fflush(messages_file);
    return length;
}
#define vsnprintf(to, size, format, values) seen_vsnprintf(to, size, format, values)

#endif
