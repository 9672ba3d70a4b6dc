/* text.c - lines on the terminal, JSON, what the bot has said.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"

struct seen *seen_first;
static struct seen **seen_last = &seen_first;
static size_t seen_size;

/* The size of the UTF-8 sequence at `s`, 0 if it is none. */
static int utf8_size(const unsigned char *s) {
    static const unsigned char lead[] = { 0, 0, 0xC2, 0xE0, 0xF0 }; /* the lowest, by size */
    int size = *s < 0x80 ? 1 : *s < 0xE0 ? 2 : *s < 0xF0 ? 3 : 4;
    if (*s < lead[size] || *s > 0xF4) return 0;
    for (int i = 1; i < size; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    /* overlong, a surrogate, beyond U+10FFFF */
    if ((*s == 0xE0 && s[1] < 0xA0) || (*s == 0xED && s[1] > 0x9F) ||
        (*s == 0xF0 && s[1] < 0x90) || (*s == 0xF4 && s[1] > 0x8F))
        return 0;
    return size;
}

/* Writes untrusted text: bytes that are not printable UTF-8, or would end a JSON string, are
   escaped. */
static void put_escaped(FILE *to, const char *text, bool json) {
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int size = utf8_size(s);
        if (json && strchr("\"\\/", *s)) putc('\\', to); /* Slack escapes the slash too */
        if (size == 0) fputs(json ? "\\ufffd" : "\\?", to);
        else if (*s == '\n') fputs("\\n", to);
        else if (*s < 0x20 || *s == 0x7F || (*s == 0xC2 && s[1] < 0xA0))
            fprintf(to, "\\u%04x", s[size - 1]);
        else fwrite(s, 1, (size_t)size, to);
        s += size ? size : 1;
    }
}

/* Ends the sandbox if a file could not be written completely. */
void check_output(FILE **file, const char *option) {
    if (!*file || (fflush(*file) == 0 && !ferror(*file))) return;
    const char *reason = strerror(errno);
    fclose(*file);
    *file = NULL;
    warn("cannot write the file of %s: %s", option, reason);
    box.status = 1;
    box.done = true;
}

static void write_transcript(const char *actor, const char *line) {
    fprintf(options.transcript, "%-7s | ", actor);
    put_escaped(options.transcript, line, false);
    putc('\n', options.transcript);
    check_output(&options.transcript, "--transcript");
}

/* Prints a line on the terminal: the actor, and what happened. */
void put_line(FILE *to, const char *actor, const char *format, ...) {
    char *line;
    va_list values;
    if (to == stdout && options.quiet) return;
    va_start(values, format);
    if (vasprintf(&line, format, values) < 0) abort();
    va_end(values);
    const char *colour = colour_of(to, actor);
    hide_line();
    fprintf(to, "%s%-7s |%s ", colour, actor, *colour ? "\033[0m" : "");
    put_escaped(to, line, false);
    putc('\n', to);
    show_line();
    if (options.transcript) write_transcript(actor, line);
    free(line);
}

void lws_log(UNUSED int level, const char *line) {
    warn("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

void *need(void *memory) {
    if (memory) return memory;
    warn("out of memory");
    exit(1);
}

/* Makes JSON from a format: ' becomes ", %s is escaped, %d is an int, %j is JSON. */
char *json(const char *format, ...) {
    char *text = NULL;
    size_t size;
    FILE *to = need(open_memstream(&text, &size));
    va_list values;
    va_start(values, format);
    for (; *format; format++) {
        if (*format != '%') putc(*format == '\'' ? '"' : *format, to);
        else if (*++format == 's') put_escaped(to, va_arg(values, const char *), true);
        else if (*format == 'd') fprintf(to, "%d", va_arg(values, int));
        else if (*format == 'j') fputs(va_arg(values, const char *), to);
    }
    va_end(values);
    fclose(to);
    return need(text);
}

const char *member(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

size_t characters(const char *text) {
    size_t count = 0;
    for (; *text; text++) count += (*text & 0xC0) != 0x80;
    return count;
}

/* Slack's time stamps identify messages, so each is unique. */
const char *new_ts(void) {
    static long long last;
    static char text[32];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    long long us = (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    last = us > last ? us : last + 1;
    snprintf(text, sizeof text, "%lld.%06lld", last / 1000000, last % 1000000);
    return text;
}

/* The clock for Slack's limits and waits; /later advances it. */
lws_usec_t now(void) { return lws_now_usecs() + box.skipped; }

void drop_seen(void) {
    struct seen *entry = seen_first;
    seen_first = entry->next;
    if (!seen_first) seen_last = &seen_first;
    seen_size -= strlen(entry->text);
    free(entry);
}

void note_seen(const char *text) {
    size_t size = strlen(text);
    struct seen *entry = need(calloc(1, sizeof *entry + size + 1));
    memcpy(entry->text, text, size);
    *seen_last = entry;
    seen_last = &entry->next;
    seen_size += size;
    while (seen_size > MAX_SEEN) drop_seen();
}
