/* The events of the benchmark, created before they are sent: the events of a workspace on a busy
   day, in WebSocket frames, and the totals that a client must have read. */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct event {
    size_t end;          /* of its frame, in pool.bytes */
    bool message;
    uint64_t hash;       /* of channel, user and text */
    long long length;    /* of these, in bytes of UTF-8 */
    long long units;     /* of these, in UTF-16, as JavaScript counts */
} event;

typedef struct pool {
    char *bytes;
    size_t size, capacity;
    event *events;
    size_t count;
    uint32_t seed;
    long long payload; /* bytes of JSON */
} pool;

typedef struct text {
    char bytes[2048];
    size_t size;
} text;

static inline void pool_reserve(pool *p, size_t more) {
    if (p->size + more <= p->capacity) return;
    p->capacity = (p->size + more) * 2;
    p->bytes = realloc(p->bytes, p->capacity);
    if (!p->bytes) abort();
}

static inline void pool_put(pool *p, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    pool_reserve(p, (size_t)size + 1);
    vsnprintf(p->bytes + p->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    p->size += (size_t)size;
}

/* The same numbers in every run: xorshift. */
static inline unsigned pool_random(pool *p, unsigned below) {
    p->seed ^= p->seed << 13;
    p->seed ^= p->seed >> 17;
    p->seed ^= p->seed << 5;
    return p->seed % below;
}

/* Words, links, mentions, line ends, quotes, and characters beyond ASCII and beyond 16 bits. */
static inline void text_make(pool *p, text *t, size_t size) {
    static const char *const words[] = {
        "the", "deploy", "is", "done", "on", "staging", "and", "we", "should", "look", "at",
        "latency", "again", "before", "lunch", "please", "review", "it", "thanks", "everyone",
        "build", "failed", "for", "branch", "main", "why", "not", "tomorrow", "then", "maybe",
        "<@U024BE7LH>", "<https://example.com/build/4711?tab=log&amp;line=3>", "\"quoted\"",
        "line\nbreak", ":tada:", "*bold*", "`code\\n`", "&lt;tag&gt;", "\xc3\xbc" "ber",
        "na\xc3\xafve", "\xe6\x97\xa5\xe6\x9c\xac", "\xf0\x9f\x99\x82", "caf\xc3\xa9"
    };
    t->size = 0;
    while (t->size < size) {
        const char *word = words[pool_random(p, sizeof words / sizeof *words)];
        size_t length = strlen(word);
        memcpy(t->bytes + t->size, word, length);
        t->size += length;
        t->bytes[t->size++] = ' ';
    }
    t->bytes[--t->size] = '\0';
}

static inline unsigned text_code(const unsigned char **at) {
    const unsigned char *p = *at;
    int more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
    unsigned code = *p & (more ? 0x3fu >> more : 0x7fu);
    for (int i = 1; i <= more; i++) code = code << 6 | (p[i] & 0x3fu);
    *at = p + more + 1;
    return code;
}

/* Escaped as Slack does: slashes and all non-ASCII characters, but one text in four is plain
   UTF-8. */
static inline void put_text(pool *p, const text *t, bool plain) {
    const unsigned char *at = (const unsigned char *)t->bytes, *end = at + t->size;
    while (at < end) {
        const unsigned char *from = at;
        unsigned code = text_code(&at);
        if (code == '\n') pool_put(p, "\\n");
        else if (code == '"' || code == '\\' || code == '/') pool_put(p, "\\%c", (int)code);
        else if (code < 0x80 || plain) pool_put(p, "%.*s", (int)(at - from), (const char *)from);
        else if (code < 0x10000) pool_put(p, "\\u%04x", code);
        else pool_put(p, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10), 0xdc00 + (code & 0x3ff));
    }
}

static inline uint64_t event_fnv(uint64_t hash, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211u;
    return (hash ^ 0xff) * 1099511628211u;
}

static inline void event_note(event *e, const char *channel, const char *user, const char *bytes,
                              size_t length) {
    e->message = true;
    e->hash = event_fnv(14695981039346656037u, channel, strlen(channel));
    e->hash = event_fnv(e->hash, user, strlen(user));
    e->hash = event_fnv(e->hash, bytes, length);
    e->length = (long long)(strlen(channel) + strlen(user) + length);
    e->units = (long long)(strlen(channel) + strlen(user));
    for (size_t i = 0; i < length; i++) /* a head byte each, and two units for four bytes */
        e->units += (bytes[i] & 0xc0) != 0x80 ? 1 + ((unsigned char)bytes[i] >= 0xf0) : 0;
}

static inline void put_message(pool *p, event *e, unsigned number, bool blocks) {
    text t;
    char channel[16], user[16];
    snprintf(channel, sizeof channel, "C%08X", 0x2147a000 + pool_random(p, 40));
    snprintf(user, sizeof user, "U%08X", 0x3141b000 + pool_random(p, 300));
    text_make(p, &t, blocks ? 20 + pool_random(p, 178) : 10 + pool_random(p, 200));
    event_note(e, channel, user, t.bytes, t.size);
    bool plain = pool_random(p, 4) == 0, type_first = pool_random(p, 2) == 0;
    pool_put(p, type_first ? "{\"type\":\"message\",\"client_msg_id\":" : "{\"client_msg_id\":");
    pool_put(p, "\"%08x-63c1-4a55-b3a5-%012x\",", pool_random(p, 1u << 31), number);
    pool_put(p, type_first ? "\"text\":\"" : "\"suppress_notification\":false,"
                                             "\"type\":\"message\",\"text\":\"");
    put_text(p, &t, plain);
    pool_put(p, "\",\"user\":\"%s\",\"team\":\"T024BE7LD\",", user);
    if (blocks) {
        pool_put(p, "\"blocks\":[{\"type\":\"rich_text\",\"block_id\":\"%05x\",\"elements\":[{"
                    "\"type\":\"rich_text_section\",\"elements\":[{\"type\":\"text\",\"text\":\"",
                 pool_random(p, 1u << 20));
        put_text(p, &t, plain);
        pool_put(p, "\"},{\"type\":\"user\",\"user_id\":\"%s\"}]}]}],\"user_team\":\"T024BE7LD\","
                    "\"source_team\":\"T024BE7LD\",", user);
    }
    pool_put(p, "\"channel\":\"%s\",\"event_ts\":\"17%08u.%06u\",\"ts\":\"17%08u.%06u\"}", channel,
             number, number % 1000000, number, number % 1000000);
}

static inline void put_small(pool *p, unsigned number) {
    unsigned channel = 0x2147a000 + pool_random(p, 40), user = 0x3141b000 + pool_random(p, 300);
    switch (pool_random(p, 8)) {
    case 0: case 1: case 2:
        pool_put(p, "{\"type\":\"reaction_added\",\"user\":\"U%08X\","
                    "\"item\":{\"type\":\"message\",\"channel\":\"C%08X\","
                    "\"ts\":\"17%08u.000200\"},\"reaction\":\"thumbsup\","
                    "\"item_user\":\"U%08X\",\"event_ts\":\"17%08u.000300\","
                    "\"ts\":\"17%08u.000300\"}", user, channel, number, user + 1, number, number);
        break;
    case 3: case 4:
        pool_put(p, "{\"type\":\"user_typing\",\"channel\":\"C%08X\",\"id\":1,\"user\":\"U%08X\"}",
                 channel, user);
        break;
    case 5: case 6:
        pool_put(p, "{\"type\":\"presence_change\",\"presence\":\"%s\",\"user\":\"U%08X\"}",
                 number & 1 ? "away" : "active", user);
        break;
    default:
        pool_put(p, "{\"type\":\"channel_created\",\"channel\":{\"id\":\"C%08X\","
                    "\"is_channel\":true,"
                    "\"name\":\"project-%u\",\"created\":17%08u,\"creator\":\"U%08X\"},"
                    "\"event_ts\":\"17%08u.000400\"}", channel, number, number, user, number);
    }
}

/* One message with `size` bytes of JSON, with an escape in the text now and then. */
static inline void put_sized(pool *p, event *e, size_t size) {
    static const char head[] = "{\"type\":\"message\",\"channel\":\"C2147A001\","
                               "\"user\":\"U3141B001\",\"ts\":\"1700000001.000100\",\"text\":\"";
    static const char word[] = "and then the whole team went to lunch ";
    size_t room = size > sizeof head + 2 ? size - (sizeof head - 1) - 2 : 3;
    char *decoded = malloc(room + 1);
    size_t length = 0, used = 0;
    pool_put(p, "%s", head);
    pool_reserve(p, room);
    while (used < room) {
        if (length % 64 == 63 && room - used >= 2) { /* "\n" */
            memcpy(p->bytes + p->size + used, "\\n", 2);
            decoded[length++] = '\n';
            used += 2;
        } else {
            p->bytes[p->size + used++] = decoded[length] = word[length % (sizeof word - 1)];
            length++;
        }
    }
    p->size += room;
    pool_put(p, "\"}");
    event_note(e, "C2147A001", "U3141B001", decoded, length);
    free(decoded);
}

/* Writes the frame header before the payload that begins at `start`; servers do not mask. */
static inline void close_frame(pool *p, size_t start, int opcode) {
    size_t size = p->size - start, head = size < 126 ? 2 : size < 65536 ? 4 : 10;
    pool_reserve(p, head);
    memmove(p->bytes + start + head, p->bytes + start, size);
    unsigned char *at = (unsigned char *)p->bytes + start;
    at[0] = (unsigned char)(0x80 | opcode);
    at[1] = (unsigned char)(head == 2 ? size : head == 4 ? 126 : 127);
    for (size_t i = 2; i < head; i++) at[i] = (unsigned char)(size >> (8 * (head - 1 - i)));
    p->size += head;
}

/* `count` events of the mix, or messages of `size` bytes when that is not 0. */
static inline void pool_make(pool *p, size_t count, size_t size) {
    memset(p, 0, sizeof *p);
    p->seed = 2463534242u;
    p->events = calloc(count, sizeof *p->events);
    for (p->count = 0; p->count < count; p->count++) {
        size_t start = p->size;
        unsigned number = (unsigned)p->count + 1, kind = pool_random(p, 100);
        event *e = &p->events[p->count];
        if (size) put_sized(p, e, size);
        else if (kind < 80) put_message(p, e, number, kind < 37);
        else put_small(p, number);
        p->payload += (long long)(p->size - start);
        close_frame(p, start, 1);
        e->end = p->size;
    }
}

#endif
