/* WebSocket: the frame parser and writer against RFC 6455, in the groups of the public conformance
   suites. Each vector runs whole, byte by byte, cut at every place; inputs end at a guard page. */
#include "support.h"


/* The results of the parser are written as a string, one word for each event: "text:Hello",
   "binary:", "ping:x", "pong:x", "close:1000:reason", "skipped:<result>", "bad:1002"; for long data
   "size#hash". */
typedef struct outcome {
    rtmi_ws ws;
    char log[4096];
    size_t logged;
    bool bad;
    size_t used; /* bytes taken, up to and with the piece that was bad */
} outcome;

typedef struct vector {
    const char *in;
    size_t size;
    const char *log;
    size_t limit; /* 0 = none to speak of */
} vector;

/* Runners ------------------------------------------------------------------------------------- */

static void note_data(char *log, size_t room, const char *data, size_t size) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)data[i]) * 16777619u;
    if (size <= 24 && !memchr(data, '\0', size)) snprintf(log, room, "%.*s ", (int)size, data);
    else snprintf(log, room, "%zu#%08lx ", size, (unsigned long)hash);
}

static void note(outcome *out, rtmi_ws_what what) {
    static const char *const name[16] = { "?", "text", "binary", "?", "?", "?", "?", "?", "close",
                                          "ping", "pong", "?", "?", "?", "?", "?" };
    rtmi_ws *ws = &out->ws;
    char *log = out->log + out->logged;
    size_t room = sizeof out->log - out->logged;
    assert_true(room > 128);
    if (what == RTMI_WS_BAD) {
        snprintf(log, room, "bad:%d ", ws->code);
        assert_non_null(ws->error);
    } else if (what == RTMI_WS_SKIPPED) {
        snprintf(log, room, "skipped:%d ", ws->skip);
    } else if (ws->opcode == RTMI_WS_CLOSE) {
        int n = snprintf(log, room, "close:%d:", ws->code);
        size_t reason = ws->size > 2 ? ws->size - 2 : 0;
        note_data(log + n, room - (size_t)n, reason ? ws->data + 2 : "", reason);
    } else {
        int n = snprintf(log, room, "%s:", name[ws->opcode & 15]);
        note_data(log + n, room - (size_t)n, ws->size ? ws->data : "", ws->size);
    }
    out->logged += strlen(log);
}

static void begin(outcome *out, size_t limit) {
    memset(out, 0, sizeof *out);
    rtmi_ws_start(&out->ws, limit ? limit : 1 << 20);
}

static void feed(outcome *out, const char *data, size_t size) {
    char *piece = at_guard(data, size);
    for (size_t at = 0, used; !out->bad; at += used) {
        rtmi_ws_what what = rtmi_ws_parse(&out->ws, piece + at, size - at, &used);
        assert_true(used <= size - at);
        out->used += used;
        out->bad = what == RTMI_WS_BAD;
        if (what != RTMI_WS_MORE) {
            note(out, what);
            continue;
        }
        assert_int_equal(at + used, size);
        break;
    }
}

static void finish(outcome *out) {
    if (out->logged) out->log[out->logged - 1] = '\0';
    rtmi_buf_free(&out->ws.buffer);
}

static void run_steps(outcome *out, const vector *v, size_t step) {
    begin(out, v->limit);
    for (size_t at = 0; at < v->size; at += step)
        feed(out, v->in + at, step < v->size - at ? step : v->size - at);
    finish(out);
}

static void run_cut(outcome *out, const vector *v, size_t cut) {
    begin(out, v->limit);
    feed(out, v->in, cut);
    if (cut < v->size) feed(out, v->in + cut, v->size - cut);
    finish(out);
}

static void assert_log(const outcome *out, const vector *v, const char *how, size_t at) {
    if (strcmp(out->log, v->log))
        fail_msg("%s %zu: got '%s', want '%s', at %02x %02x %02x...", how, at, out->log, v->log,
                 v->in[0] & 0xff, v->size > 1 ? v->in[1] & 0xff : 0,
                 v->size > 2 ? v->in[2] & 0xff : 0);
    if (!out->bad) assert_int_equal(out->used, v->size);
}

/* Whole, in steps, cut in two; vectors of many KiB are cut at both ends and at samples. */
static void check(const vector *v) {
    static outcome out;
    run_cut(&out, v, v->size);
    assert_log(&out, v, "whole", 0);
    for (size_t step = 1; step <= 9; step += 2) {
        run_steps(&out, v, step);
        assert_log(&out, v, "steps of", step);
    }
    for (size_t cut = 0; cut < v->size;) {
        run_cut(&out, v, cut);
        assert_log(&out, v, "cut at", cut);
        cut += v->size < 2048 || cut < 32 || v->size - cut < 32 ? 1 : v->size / 64;
    }
}

static void check_all(const vector *table, size_t count) {
    for (size_t i = 0; i < count; i++) check(&table[i]);
}

/* Building frames ----------------------------------------------------------------------------- */

typedef struct made {
    char data[400000];
    size_t size;
} made;

static void put(made *m, const void *data, size_t size) {
    assert_true(size <= sizeof m->data - m->size);
    if (size) memcpy(m->data + m->size, data, size);
    m->size += size;
}

/* A server's frame: first byte (FIN and opcode), the shortest length, the payload. */
static void put_frame(made *m, unsigned first, const void *data, size_t size) {
    unsigned char header[10] = { (unsigned char)first, (unsigned char)size };
    size_t bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
    if (bytes) header[1] = bytes == 2 ? 126 : 127;
    for (size_t i = 0; i < bytes; i++)
        header[2 + i] = (unsigned char)((uint64_t)size >> 8 * (bytes - 1 - i));
    put(m, header, 2 + bytes);
    put(m, data, size);
}

/* A message in frames of `piece` bytes, a ping between them if asked for. */
static void put_fragments(made *m, unsigned opcode, const char *data, size_t size, size_t piece,
                          bool pings) {
    for (size_t at = 0; at < size; at += piece, opcode = 0) {
        bool last = size - at <= piece;
        put_frame(m, opcode | (last ? 0x80 : 0), data + at, last ? size - at : piece);
        if (pings && !last) put_frame(m, 0x89, "p", 1);
    }
}

static void check_made(const made *m, const char *log, size_t limit) {
    vector v = { m->data, m->size, log, limit };
    check(&v);
}

static const char *pattern(size_t size) {
    static char data[100000];
    for (size_t i = 0; i < size; i++) data[i] = (char)('!' + (i * 7 + i / 90) % 90);
    return data;
}

static void expect(char *log, const char *name, const char *data, size_t size) {
    sprintf(log, "%s:", name);
    note_data(log + strlen(log), 64, data, size);
    log[strlen(log) - 1] = '\0';
}

/* Framing ------------------------------------------------------------------------------------- */

static const size_t lengths[] = { 0, 1, 2, 7, 8, 9, 124, 125, 126, 127, 128, 129, 255, 256, 257,
    4096,
                                  65534, 65535, 65536, 65537, 70000 };

static void messages_of_all_lengths_arrive(void **state) {
    static made m;
    char log[128];
    (void)state;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        for (unsigned opcode = 1; opcode <= 2; opcode++) {
            m.size = 0;
            put_frame(&m, 0x80 | opcode, pattern(lengths[i]), lengths[i]);
            expect(log, opcode == 1 ? "text" : "binary", pattern(lengths[i]), lengths[i]);
            check_made(&m, log, 0);
        }
    }
}

static void messages_follow_each_other(void **state) {
    static const vector table[] = {
        { IN("\x81\x05Hello"), .log = "text:Hello" }, /* RFC 6455 section 5.7 */
        { IN("\x01\x03Hel\x80\x02lo"), .log = "text:Hello" },
        { IN("\x89\x05Hello"), .log = "ping:Hello" },
        { IN("\x81\x01" "a\x81\x01" "b"), .log = "text:a text:b" },
        { IN("\x81\x00\x82\x00\x81\x00"), .log = "text: binary: text:" },
        { IN("\x82\x01\xff\x81\x01" "a\x82\x02\xc3\x28"),
          .log = "binary:\xff text:a binary:\xc3\x28" },
        { IN("\x81\x01" "a\x89\x00\x8a\x01x\x81\x01" "b\x88\x02\x03\xe8"),
          .log = "text:a ping: pong:x text:b close:1000:" },
        /* an end within a frame delivers nothing */
        { IN("\x81\x01" "a\x81\x05" "b"), .log = "text:a" },
        { IN("\x81"), .log = "" }, { IN("\x01\x03Hel"), .log = "" },
        { IN("\x01\x03Hel\x80"), .log = "" },
        { IN("\x81\x7e\x01"), .log = "" }, { IN("\x88\x02\x03"), .log = "" }, { IN(""), .log = "" },
    };
    (void)state;
    check_all(table, COUNT(table));
}

static void lengths_must_be_in_their_shortest_form(void **state) {
    static const vector table[] = {
        { IN("\x81\x7e\x00\x00"), .log = "bad:1002" },
        { IN("\x81\x7e\x00\x01" "a"), .log = "bad:1002" },
        { IN("\x82\x7e\x00\x7d"), .log = "bad:1002" },
        { IN("\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x01" "a"), .log = "bad:1002" },
        { IN("\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x7e"), .log = "bad:1002" },
        { IN("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"), .log = "bad:1002" },
        { IN("\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x00"), .log = "bad:1002" },
        { IN("\x01\x01" "a\x80\x7e\x00\x01" "b"), .log = "bad:1002" },
        { IN("\x82\x7f\x80\x00\x00\x00\x00\x01\x00\x00"), .log = "bad:1002" },
        { IN("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), .log = "bad:1002" },
        { IN("\x82\x7f\x80"), .log = "bad:1002" }, /* section 5.2: the highest bit must be 0 */
        { IN("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff" "aaaaaaaa"), .log = "" },
        { IN("\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x05" "hello\x81\x01x"), .log = "" },
    };
    (void)state;
    check_all(table, COUNT(table));
}

static void masked_frames_are_refused(void **state) {
    static const vector table[] = {
        { IN("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), .log = "bad:1002" },
        { IN("\x81\x80\0\0\0\0"), .log = "bad:1002" }, { IN("\x81\x80"), .log = "bad:1002" },
        { IN("\x89\x80\0\0\0\0"), .log = "bad:1002" },
        { IN("\x88\x82\0\0\0\0\x03\xe8"), .log = "bad:1002" },
        { IN("\x82\xfe"), .log = "bad:1002" }, { IN("\x82\xff"), .log = "bad:1002" },
        { IN("\x01\x01" "a\x80\x81\0\0\0\0b"), .log = "bad:1002" },
    };
    (void)state;
    check_all(table, COUNT(table));
}

/* Every possible first byte, by itself, after a message, within a message: RSV bits, opcodes,
   FIN. */
static void every_first_byte_is_checked(void **state) {
    (void)state;
    for (int open = 0; open <= 1; open++) {
        for (unsigned first = 0; first < 256; first++) {
            unsigned opcode = first & 15;
            bool control = opcode >= 8, fin = first & 0x80;
            bool good = !(first & 0x70) && (opcode <= 2 || (opcode >= 8 && opcode <= 10));
            if (control && !fin) good = false;
            if (!control && (opcode == 0) != open) good = false;
            static made m;
            m.size = 0;
            put_frame(&m, 0x81, "a", 1);
            if (open) put_frame(&m, 0x01, "b", 1);
            char byte = (char)first;
            put(&m, &byte, 1); /* refused with this very byte, or waited for */
            check_made(&m, good ? "text:a" : "text:a bad:1002", 0);
            put(&m, "\0", 1);
            char log[64] = "text:a bad:1002";
            static const char *const name[] = { "text:b", "text:", "binary:", "close:1005:",
                "ping:",
                                                "pong:" };
            if (good) sprintf(log, "text:a %s", fin ? name[control ? opcode - 5 : opcode] : "");
            if (good && !fin) log[6] = '\0';
            check_made(&m, log, 0);
        }
    }
}

static void reserved_bits_and_opcodes_are_refused_at_any_size(void **state) {
    static made m;
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        unsigned opcode = first & 15;
        if (!(first & 0x70) && (opcode <= 2 || (opcode >= 8 && opcode <= 10))) continue;
        static const size_t size[] = { 0, 5, 200 };
        for (size_t i = 0; i < COUNT(size); i++) {
            m.size = 0;
            put_frame(&m, 0x81, "Hello", 5);
            put_frame(&m, first, pattern(size[i]), size[i]);
            put_frame(&m, 0x89, "", 0);
            check_made(&m, "text:Hello bad:1002", 0);
        }
    }
}

/* Control frames ------------------------------------------------------------------------------ */

static void pings_and_pongs_carry_up_to_125_bytes(void **state) {
    static made m;
    char log[128];
    (void)state;
    for (size_t size = 0; size <= 125; size++) {
        m.size = 0;
        put_frame(&m, size & 1 ? 0x8a : 0x89, pattern(size), size);
        expect(log, size & 1 ? "pong" : "ping", pattern(size), size);
        check_made(&m, log, 0);
    }
    static const size_t over[] = { 126, 127, 200, 65535, 65536 };
    for (size_t i = 0; i < COUNT(over); i++) {
        for (unsigned first = 0x88; first <= 0x8a; first++) {
            m.size = 0;
            put_frame(&m, first, pattern(over[i]), over[i]);
            check_made(&m, "bad:1002", 0);
            m.size = 2; /* refused as soon as the length byte is there */
            check_made(&m, "bad:1002", 0);
        }
    }
}

static void control_frames_come_between_fragments(void **state) {
    static const vector table[] = {
        { IN("\x89\x02\x00\xff"), .log = "ping:2#d277c7a0" },
        { IN("\x8a\x03" "unx"), .log = "pong:unx" },
        { IN("\x01\x03Hel\x89\x01x\x80\x02lo"), .log = "ping:x text:Hello" },
        { IN("\x01\x03Hel\x8a\x00\x89\x01y\x00\x01l\x89\x03" "abc\x80\x01o"),
          .log = "pong: ping:y ping:abc text:Hello" },
        { IN("\x01\x01\xe2\x89\x01\xff\x00\x01\x82\x89\x01x\x80\x01\xac"),
          .log = "ping:\xff ping:x text:\xe2\x82\xac" },
        { IN("\x01\x03Hel\x88\x02\x03\xe8\x80\x02lo"), .log = "close:1000: text:Hello" },
        { IN("\x01\x00\x89\x04" "data\x80\x00"), .log = "ping:data text:" },
        { IN("\x02\x00\x89\x04" "data\x80\x02xy"), .log = "ping:data binary:xy" },
        { IN("\x02\x02xy\x89\x04" "data\x80\x00"), .log = "ping:data binary:xy" },
        { IN("\x09\x00"), .log = "bad:1002" }, { IN("\x0a\x01x"), .log = "bad:1002" },
        { IN("\x08\x02\x03\xe8"), .log = "bad:1002" },
        { IN("\x01\x01" "a\x09\x00"), .log = "bad:1002" },
        { IN("\x09\x01" "a\x80\x01" "b"), .log = "bad:1002" },
    };
    (void)state;
    check_all(table, COUNT(table));
}

/* Fragmentation ------------------------------------------------------------------------------- */

static void fragments_must_come_in_order(void **state) {
    static const vector table[] = {
        { IN("\x01\x01" "a\x00\x01" "b\x80\x01" "c"), .log = "text:abc" },
        { IN("\x02\x01" "a\x80\x01" "b\x01\x01" "c\x80\x01" "d"), .log = "binary:ab text:cd" },
        { IN("\x01\x00\x00\x00\x80\x00"), .log = "text:" },
        { IN("\x01\x00\x00\x00\x80\x05Hello"), .log = "text:Hello" },
        { IN("\x01\x05Hello\x00\x00\x80\x00"), .log = "text:Hello" },
        { IN("\x01\x00\x00\x05Hello\x80\x00"), .log = "text:Hello" },
        { IN("\x80\x01" "a"), .log = "bad:1002" }, { IN("\x00\x01" "a"), .log = "bad:1002" },
        { IN("\x80\x00"), .log = "bad:1002" }, { IN("\x00\x00"), .log = "bad:1002" },
        { IN("\x81\x01" "a\x80\x01" "b"), .log = "text:a bad:1002" },
        { IN("\x81\x01" "a\x00\x01" "b\x81\x01" "c"), .log = "text:a bad:1002" },
        { IN("\x01\x01" "a\x80\x01" "b\x80\x01" "c"), .log = "text:ab bad:1002" },
        { IN("\x01\x01" "a\x80\x01" "b\x00\x01" "c"), .log = "text:ab bad:1002" },
        { IN("\x01\x01" "a\x81\x01" "b"), .log = "bad:1002" },
        { IN("\x01\x01" "a\x01\x01" "b"), .log = "bad:1002" },
        { IN("\x01\x01" "a\x82\x01" "b"), .log = "bad:1002" },
        { IN("\x02\x01" "a\x02\x01" "b"), .log = "bad:1002" },
        { IN("\x01\x00\x81\x00"), .log = "bad:1002" },
        { IN("\x01\x01" "a\x00\x01" "b\x81\x01" "c"), .log = "bad:1002" },
        { IN("\x01\x01" "a\x89\x00\x81\x01" "c"), .log = "ping: bad:1002" },
        { IN("\x89\x00\x80\x00"), .log = "ping: bad:1002" },
        { IN("\x88\x00\x00\x00"), .log = "close:1005: bad:1002" },
    };
    (void)state;
    check_all(table, COUNT(table));
}

static void fragments_of_all_sizes_are_put_together(void **state) {
    static const size_t size[] = { 1, 2, 13, 126, 300, 1000, 70000 };
    static const size_t piece[] = { 1, 2, 3, 64, 125, 126, 127, 999, 65536 };
    static made m;
    char log[128];
    (void)state;
    for (size_t i = 0; i < COUNT(size); i++) {
        for (size_t k = 0; k < COUNT(piece); k++) {
            if (size[i] / piece[k] > 1000) continue;
            m.size = 0;
            put_fragments(&m, 2 - (k & 1), pattern(size[i]), size[i], piece[k], false);
            expect(log, k & 1 ? "text" : "binary", pattern(size[i]), size[i]);
            check_made(&m, log, 0);
        }
    }
    for (size_t k = 0; k < 20; k++) {
        char pings[512] = "";
        m.size = 0;
        put_fragments(&m, 1, pattern(20), 20, k + 1, true);
        for (size_t n = 1; n < (20 + k) / (k + 1); n++) strcat(pings, "ping:p ");
        expect(pings + strlen(pings), "text", pattern(20), 20);
        check_made(&m, pings, 0);
    }
}

/* UTF-8 --------------------------------------------------------------------------------------- */

typedef struct utf8_row {
    const char *text;
    size_t size;
    size_t refused; /* index of the first invalid byte, size = incomplete at the end */
} utf8_row;

#define GOOD(text) { text, sizeof text - 1, (size_t)-1 }
#define BAD(text, at) { text, sizeof text - 1, at }

static const utf8_row utf8_table[] = {
    GOOD(""), GOOD("Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!"),
    GOOD("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"), GOOD("\x7f"), GOOD("\x01"),
    GOOD("\xc2\x80"), GOOD("\xdf\xbf"), GOOD("\xe0\xa0\x80"), GOOD("\xed\x9f\xbf"),
    GOOD("\xee\x80\x80"), GOOD("\xef\xbf\xbd"), GOOD("\xef\xbf\xbe"), GOOD("\xef\xbf\xbf"),
    GOOD("\xef\xbb\xbf"), GOOD("\xf0\x90\x80\x80"), GOOD("\xf4\x8f\xbf\xbf"),
    GOOD("\xf0\x9f\xbf\xbe"),
    GOOD("\xf1\x80\x80\x80\xf3\xbf\xbf\xbf"), GOOD("aaaaaaaa\xe2\x82\xac" "aaaaaaaaaaaaaaaa"),
    BAD("\x80", 0), BAD("\xbf", 0), BAD("a\x80", 1), BAD("\xc3\xa9\x80", 2), BAD("\xfe", 0),
    BAD("\xff", 0), BAD("\xc0\x80", 0), BAD("\xc1\xbf", 0), BAD("\xe0\x80\x80", 1),
    BAD("\xe0\x9f\xbf", 1), BAD("\xf0\x80\x80\x80", 1), BAD("\xf0\x8f\xbf\xbf", 1),
    BAD("\xed\xa0\x80", 1), BAD("\xed\xbf\xbf", 1), BAD("\xed\xa0\xbd\xed\xb8\x80", 1),
    BAD("\xf4\x90\x80\x80", 1), BAD("\xf5\x80\x80\x80", 0), BAD("\xf8\x88\x80\x80\x80", 0),
    BAD("\xfc\x84\x80\x80\x80\x80", 0), BAD("\xc3(", 1), BAD("\xe2(\xa1", 1), BAD("\xe2\x82(", 2),
    BAD("\xf0\x9f\x98(", 3), BAD("\xc3\xc3\xa9", 1), BAD("\xe2\x82\xff", 2),
    BAD("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80" "edited", 12),
    BAD("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80" "edited", 12),
    BAD("0123456789abcde\xff" "0123456789abcdef", 15), BAD("01234567\x80", 8),
    BAD("\xc3", 1), BAD("\xe2\x82", 2), BAD("\xf0\x9f\x98", 3), BAD("\xce\xba\xe1\xbd", 4),
    BAD("Hello \xf0", 7),
};

static void texts_must_be_utf8_however_they_are_cut(void **state) {
    static made m;
    (void)state;
    for (size_t i = 0; i < COUNT(utf8_table); i++) {
        const utf8_row *row = &utf8_table[i];
        bool good = row->refused == (size_t)-1;
        char log[128] = "bad:1007";
        if (good) expect(log, "text", row->text, row->size);
        m.size = 0;
        put_frame(&m, 0x81, row->text, row->size);
        check_made(&m, log, 0);
        for (size_t cut = 0; cut <= row->size; cut++) { /* two fragments, an empty one too */
            m.size = 0;
            put_frame(&m, 0x01, row->text, cut);
            put_frame(&m, 0x80, row->text + cut, row->size - cut);
            check_made(&m, log, 0);
        }
        if (!row->size) continue;
        m.size = 0;
        put_fragments(&m, 1, row->text, row->size, 1, false);
        check_made(&m, log, 0);
        m.size = 0; /* the same bytes are a good binary message */
        put_frame(&m, 0x82, row->text, row->size);
        expect(log, "binary", row->text, row->size);
        check_made(&m, log, 0);
    }
}

/* The index of the byte at which the parser gives up, feeding byte by byte. */
static size_t given_up_at(const made *m) {
    static outcome out;
    size_t at = 0;
    begin(&out, 0);
    while (at < m->size && !out.bad) feed(&out, m->data + at++, 1);
    bool bad = out.bad;
    finish(&out);
    return bad ? at - 1 : m->size;
}

static void invalid_utf8_is_refused_at_the_exact_byte(void **state) {
    static made m;
    (void)state;
    for (size_t i = 0; i < COUNT(utf8_table); i++) {
        const utf8_row *row = &utf8_table[i];
        if (row->refused >= row->size) continue;
        m.size = 0;
        put_frame(&m, 0x81, row->text, row->size);
        assert_int_equal(given_up_at(&m), 2 + row->refused);
        m.size = 0; /* a frame that is far from complete */
        put_frame(&m, 0x81, pattern(70000), 70000);
        memcpy(m.data + 10 + 5, row->text, row->size);
        assert_int_equal(given_up_at(&m), 10 + 5 + row->refused);
        m.size = 0;
        put_fragments(&m, 1, row->text, row->size, 1, false);
        assert_int_equal(given_up_at(&m), 3 * row->refused + 2);
    }
}

static void each_text_message_is_checked_from_its_first_byte(void **state) {
    static const vector table[] = {
        { IN("\x81\x02\xc3\xa9\x81\x01" "a\x82\x01\xc3\x81\x01" "b"),
          .log = "text:\xc3\xa9 text:a binary:\xc3 text:b" },
        { IN("\x82\x01\xe2\x81\x02\x82\xac"), .log = "binary:\xe2 bad:1007" },
        { IN("\x81\x01\xe2\x81\x02\x82\xac"), .log = "bad:1007" },
        { IN("\x02\x01\xe2\x80\x01\xff\x81\x01x"), .log = "binary:\xe2\xff text:x" },
    };
    (void)state;
    check_all(table, COUNT(table));
}

/* Close --------------------------------------------------------------------------------------- */

/* may be in a frame */
static void every_close_code_is_checked(void **state) {
    static made m;
    (void)state;
    for (int code = 0; code <= 65535; code += code < 5100 ? 1 : 101) {
        unsigned char payload[2] = { (unsigned char)(code >> 8), (unsigned char)code };
        bool good = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                    (code >= 3000 && code <= 4999);
        char log[64];
        m.size = 0;
        put_frame(&m, 0x88, payload, 2);
        sprintf(log, good ? "close:%d:" : "bad:1002", code);
        check_made(&m, log, 0);
    }
}

static void close_frames_are_checked(void **state) {
    static const vector table[] = {
        { IN("\x88\x00"), .log = "close:1005:" },
        { IN("\x88\x01\x03"), .log = "bad:1002" },
        { IN("\x88\x01\xff"), .log = "bad:1002" },
        { IN("\x88\x05\x03\xe8" "bye"), .log = "close:1000:bye" },
        { IN("\x88\x06\x0f\xa1\xf0\x9f\x98\x80"), .log = "close:4001:\xf0\x9f\x98\x80" },
        { IN("\x88\x03\x03\xe8\xff"), .log = "bad:1007" },
        { IN("\x88\x03\x03\xe8\xc3"), .log = "bad:1007" },
        { IN("\x88\x05\x03\xe8\xed\xa0\x80"), .log = "bad:1007" },
        { IN("\x88\x06\x03\xe8\xf4\x90\x80\x80"), .log = "bad:1007" },
        { IN("\x88\x03\x03\xec\xff"), .log = "bad:1002" },
        { IN("\x81\x01" "a\x88\x02\x03\xe9"), .log = "text:a close:1001:" },
    };
    static made m;
    char payload[125] = { 0x03, (char)0xe8 }, log[128];
    (void)state;
    check_all(table, COUNT(table));
    memcpy(payload + 2, pattern(123), 123);
    for (size_t size = 120; size <= 125; size++) {
        m.size = 0;
        put_frame(&m, 0x88, payload, size);
        expect(log, "close:1000", payload + 2, size - 2);
        check_made(&m, log, 0);
    }
}

/* Limits -------------------------------------------------------------------------------------- */

static void a_message_over_the_limit_is_skipped_and_the_session_continues(void **state) {
    static const vector table[] = { /* -7 is RTM_E_TOO_BIG */
        { IN("\x81\x05Hello\x81\x01x"), .log = "text:Hello text:x", .limit = 5 },
        { IN("\x81\x06Hello!\x81\x01x"), .log = "skipped:-7 text:x", .limit = 5 },
        { IN("\x82\x06Hello!\x82\x01x"), .log = "skipped:-7 binary:x", .limit = 5 },
        { IN("\x01\x03Hel\x80\x02lo\x81\x01x"), .log = "text:Hello text:x", .limit = 5 },
        { IN("\x01\x03Hel\x80\x03lo!\x81\x01x"), .log = "skipped:-7 text:x", .limit = 5 },
        { IN("\x01\x05Hello\x80\x00\x81\x01x"), .log = "text:Hello text:x", .limit = 5 },
        { IN("\x01\x05Hello\x00\x01!\x80\x00\x81\x01x"), .log = "skipped:-7 text:x", .limit = 5 },
        { IN("\x01\x06Hello!\x80\x01!\x81\x01x"), .log = "skipped:-7 text:x", .limit = 5 },
        { IN("\x01\x06Hello!\x89\x01p\x00\x01!\x89\x01q\x80\x01!\x81\x05world"),
          .log = "ping:p ping:q skipped:-7 text:world", .limit = 5 },
        { IN("\x01\x06Hello!\x80\x00\x01\x02he\x80\x03llo"), .log = "skipped:-7 text:hello",
          .limit = 5 },
        { IN("\x81\x06Hello!\x81\x06World!\x81\x01x"), .log = "skipped:-7 skipped:-7 text:x",
          .limit = 5 },
        { IN("\x89\x0a long ping\x81\x01x"), .log = "ping: long ping text:x", .limit = 5 },
        { IN("\x01\x06Hello!\x81\x01x"), .log = "bad:1002", .limit = 5 },
        { IN("\x81\x06Hello!\x80\x01x"), .log = "skipped:-7 bad:1002", .limit = 5 },
        { IN("\x01\x06Hello!\x80\x81"), .log = "bad:1002", .limit = 5 },
        { IN("\x81\x06Hello!\x81\x02\xc3\xa9\x81\x01\xff"),
          .log = "skipped:-7 text:\xc3\xa9 bad:1007", .limit = 5 },
        { IN("\x01\x01\xe2\x00\x05Hello\x80\x01x\x81\x01x"), .log = "skipped:-7 text:x",
          .limit = 5 },
    };
    (void)state;
    assert_int_equal(RTM_E_TOO_BIG, -7);
    check_all(table, COUNT(table));
}

static void large_messages_are_skipped_with_little_memory(void **state) {
    static made m;
    (void)state;
    for (unsigned opcode = 1; opcode <= 2; opcode++) {
        m.size = 0;
        put_frame(&m, 0x80 | opcode, pattern(70000), 70000);
        put_frame(&m, 0x81, "after", 5);
        check_made(&m, "skipped:-7 text:after", 69999);
        check_made(&m, "skipped:-7 text:after", 5);
    }
    m.size = 0;
    put_frame(&m, 0x01, "x", 1);
    for (int i = 0; i < 300; i++) put_frame(&m, 0x00, "y", 1);
    put_frame(&m, 0x80, "z", 1);
    put_frame(&m, 0x81, "after", 5);
    check_made(&m, "skipped:-7 text:after", 301);
    outcome out; /* nothing is allocated for a length of 2^63-1 */
    test_allocations = 0;
    begin(&out, 1000);
    feed(&out, "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff" "aaaa", 14);
    feed(&out, pattern(70000), 70000);
    assert_true(out.ws.buffer.capacity < 1024);
    assert_int_equal(out.logged, 0);
    finish(&out);
}

/* Each allocation fails in turn: the message is reported as skipped (-2 is RTM_E_MEMORY), the ones
   around it arrive, and from some number on none is needed any more. */
static void a_message_without_memory_is_skipped_and_the_session_continues(void **state) {
    static made m;
    char good[128] = "text:before ", log[128];
    static outcome out;
    (void)state;
    expect(good + 12, "text", pattern(3000), 3000);
    strcat(good, " text:after");
    m.size = 0;
    put_frame(&m, 0x81, "before", 6);
    put_fragments(&m, 1, pattern(3000), 3000, 700, false);
    put_frame(&m, 0x81, "after", 5);
    vector v = { m.data, m.size, log, 0 };
    bool failed = true;
    for (int i = 1; failed; i++) {
        test_allocations = 0;
        test_fail_at = i;
        run_cut(&out, &v, v.size);
        test_fail_at = 0;
        failed = test_allocations >= i;
        strcpy(log, failed ? "text:before skipped:-2 text:after" : good);
        assert_log(&out, &v, "failing allocation", (size_t)i);
        assert_int_equal(test_blocks, 0);
        assert_true(failed || i > 3);
    }
    assert_int_equal(RTM_E_MEMORY, -2);
}

static void whole_messages_cost_no_memory_and_no_copy(void **state) {
    static made m;
    static outcome out;
    size_t used;
    (void)state;
    m.size = 0;
    put_frame(&m, 0x81, pattern(70000), 70000);
    char *piece = at_guard(m.data, m.size);
    test_allocations = 0;
    begin(&out, 0);
    assert_int_equal(rtmi_ws_parse(&out.ws, piece, m.size, &used), RTMI_WS_MESSAGE);
    assert_ptr_equal(out.ws.data, piece + 10);
    assert_int_equal(test_allocations, 0);
    finish(&out);
}

/* The buffer is kept from message to message and from session to session. */
static void steady_state_costs_no_memory(void **state) {
    static made m;
    static outcome out;
    (void)state;
    m.size = 0;
    put_fragments(&m, 2, pattern(5000), 5000, 600, true);
    begin(&out, 0);
    feed(&out, m.data, m.size);
    test_allocations = 0;
    for (int i = 0; i < 5; i++) feed(&out, m.data, m.size);
    rtmi_ws_start(&out.ws, 1 << 20);
    feed(&out, m.data, m.size);
    assert_int_equal(test_allocations, 0);
    finish(&out);
}

static void a_new_session_forgets_the_old_one(void **state) {
    static const char *const broken[] = { "\x01", "\x01\x03He", "\x01\x02He", "\x81\x7e",
        "\x01\x01\xe2",
                                          "\x89\x02x" };
    static outcome out;
    (void)state;
    for (size_t i = 0; i < COUNT(broken); i++) {
        begin(&out, 100);
        feed(&out, broken[i], strlen(broken[i]));
        rtmi_ws_start(&out.ws, 100);
        feed(&out, "\x81\x02hi\x01\x01" "a\x80\x01" "b", 10);
        finish(&out);
        assert_string_equal(out.log, "text:hi text:ab");
    }
}

/* The writer ---------------------------------------------------------------------------------- */

/* Reads a client's frame back by section 5.2 and 5.3. */
static void assert_frame(const rtmi_buf *out, size_t from, unsigned opcode, const char *payload,
                         size_t size, const unsigned char mask[4]) {
    const unsigned char *p = (const unsigned char *)out->data + from;
    size_t bytes = size < 126 ? 0 : size < 65536 ? 2 : 8, length = p[1] & 0x7f;
    assert_int_equal(out->size - from, 2 + bytes + 4 + size);
    assert_int_equal(p[0], 0x80 | opcode);
    assert_true(p[1] & 0x80);
    if (bytes) assert_int_equal(length, bytes == 2 ? 126 : 127);
    p += 2;
    for (size_t i = 0; i < bytes; i++) length = (i ? length << 8 : 0) | *p++;
    assert_int_equal(length, size);
    assert_memory_equal(p, mask, 4);
    p += 4;
    for (size_t i = 0; i < size; i++)
        if ((char)(p[i] ^ mask[i % 4]) != payload[i]) fail_msg("byte %zu of %zu", i, size);
}

static void check_frame(size_t size, unsigned opcode) {
    rtmi_buf out = { 0 };
    unsigned char mask[4], raw[4] = { 0x37, 0xfa, 0x21, 0x3d };
    test_random(mask, 4);
    rtmi_buf_add(&out, pattern(size % 13), size % 13); /* it is appended to what is there */
    assert_true(rtmi_ws_frame(&out, (int)opcode, at_guard(pattern(size), size), size, mask));
    assert_frame(&out, size % 13, opcode, pattern(size), size, mask);
    assert_memory_equal(out.data, pattern(size % 13), size % 13);
    size_t before = out.size;
    assert_true(rtmi_ws_frame(&out, 10, at_guard("x", 1), 1, raw));
    assert_frame(&out, before, 10, "x", 1, raw);
    rtmi_buf_free(&out);
}

static void frames_are_masked_and_read_back(void **state) {
    static const size_t large[] = { 301, 4096, 16384, 65534, 65535, 65536, 65537, 70000 };
    (void)state;
    for (size_t size = 0; size <= 300; size++) check_frame(size, 1 + (unsigned)size % 2);
    for (size_t size = 0; size <= 125; size++) check_frame(size, 8 + (unsigned)size % 3);
    for (size_t i = 0; i < COUNT(large); i++) check_frame(large[i], 1);
}

static void the_masked_hello_of_the_rfc_comes_out(void **state) {
    static const unsigned char mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
    static const char expected[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    rtmi_buf out = { 0 };
    (void)state;
    assert_true(rtmi_ws_frame(&out, RTMI_WS_TEXT, "Hello", 5, mask));
    assert_int_equal(out.size, sizeof expected - 1);
    assert_memory_equal(out.data, expected, out.size);
    rtmi_buf_clear(&out);
    assert_true(rtmi_ws_frame(&out, RTMI_WS_PING, NULL, 0, mask));
    assert_int_equal(out.size, 6);
    assert_memory_equal(out.data, "\x89\x80\x37\xfa\x21\x3d", 6);
    rtmi_buf_free(&out);
}

static void a_frame_without_memory_appends_nothing(void **state) {
    static const unsigned char mask[4] = { 1, 2, 3, 4 };
    rtmi_buf out = { 0 };
    (void)state;
    rtmi_buf_add(&out, "abc", 3);
    test_allocations = 0;
    test_fail_at = 1;
    assert_false(rtmi_ws_frame(&out, RTMI_WS_TEXT, pattern(1000), 1000, mask));
    test_fail_at = 0;
    assert_int_equal(out.size, 3);
    rtmi_buf_free(&out);
}

/* The handshake ------------------------------------------------------------------------------- */

#define NONCE "dGhlIHNhbXBsZSBub25jZQ==" /* the example of section 1.3 */
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\n"

static void the_accept_of_the_rfc_comes_out(void **state) {
    char accept[29];
    (void)state;
    rtmi_ws_accept(NONCE, accept);
    assert_string_equal(accept, ACCEPT);
    rtmi_ws_accept("x3JJHMbDL1EzLkh9GBhXDw==", accept);
    assert_string_equal(accept, "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
}

/* Whether the response with these lines completes the handshake for NONCE. */
static bool upgrades(const char *lines) {
    static char text[4096];
    rtmi_http http;
    size_t used;
    int size = snprintf(text, sizeof text, "%s%s\r\n", SWITCH, lines);
    rtmi_http_start(&http, RTMI_HTTP_UPGRADE);
    if (rtmi_http_parse(&http, at_guard(text, (size_t)size), (size_t)size, &used) != RTMI_HTTP_DONE)
        return false;
    assert_int_equal(http.status, 101);
    return rtmi_ws_check_upgrade(&http, NONCE) == NULL;
}

static void only_a_valid_upgrade_opens_a_session(void **state) {
#define UP "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define PROOF "Sec-WebSocket-Accept: " ACCEPT "\r\n"
    static const struct { const char *lines; bool good; } row[] = {
        { UP CONNECTION PROOF, true }, { PROOF CONNECTION UP, true },
        { "upgrade:WebSocket\r\nCONNECTION:  keep-alive ,UPGRADE \r\nsec-websocket-ACCEPT:\t" ACCEPT
          " \r\nX: y\r\n", true },
        { CONNECTION PROOF, false }, { UP PROOF, false }, { UP CONNECTION, false }, { "", false },
        { "Upgrade: h2c\r\n" CONNECTION PROOF, false },
        { "Upgrade: websockets\r\n" CONNECTION PROOF, false },
        { "Upgrade:\r\n" CONNECTION PROOF, false },
        { "Upgrade: web socket\r\n" CONNECTION PROOF, false },
        { UP "Connection: close\r\n" PROOF, false }, { UP "Connection: upgrades\r\n" PROOF, false },
        { UP "Connection:\r\n" PROOF, false }, { UP CONNECTION "Sec-WebSocket-Accept:\r\n", false },
        { UP CONNECTION "Sec-WebSocket-Accept: x" ACCEPT "\r\n", false },
        { UP CONNECTION "Sec-WebSocket-Accept: " ACCEPT "x\r\n", false },
        { UP CONNECTION "Sec-WebSocket-Accept: " ACCEPT "xxxxxxxxxxxxxxxxx\r\n", false },
        { UP CONNECTION "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", false },
        { UP CONNECTION "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n", false },
        { UP CONNECTION "Sec-WebSocket-Accept: " NONCE "\r\n", false },
        { UP CONNECTION "X-Sec-WebSocket-Accept: " ACCEPT "\r\n", false },
        { UP CONNECTION PROOF "Sec-WebSocket-Extensions: permessage-deflate\r\n", false },
        { UP CONNECTION PROOF "Sec-WebSocket-Protocol: chat\r\n", false },
        { UP CONNECTION PROOF "sec-websocket-protocol: chat\r\n", false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++)
        if (upgrades(row[i].lines) != row[i].good) fail_msg("%s", row[i].lines);
}

/* A line longer than what is kept of one must not hide that an extension is in use. */
static void a_long_line_does_not_hide_an_extension(void **state) {
    static const char *const name[] = { "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol" };
    char lines[2048], value[1200];
    (void)state;
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (size_t i = 0; i < COUNT(name); i++) {
        snprintf(lines, sizeof lines, "%s%s%s%s: y; %s\r\n", UP, CONNECTION, PROOF, name[i], value);
        assert_false(upgrades(lines));
    }
}

static void nothing_is_leaked(void **state) {
    (void)state;
    assert_int_equal(test_blocks, 0);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_all_lengths_arrive),
        cmocka_unit_test(messages_follow_each_other),
        cmocka_unit_test(lengths_must_be_in_their_shortest_form),
        cmocka_unit_test(masked_frames_are_refused),
        cmocka_unit_test(every_first_byte_is_checked),
        cmocka_unit_test(reserved_bits_and_opcodes_are_refused_at_any_size),
        cmocka_unit_test(pings_and_pongs_carry_up_to_125_bytes),
        cmocka_unit_test(control_frames_come_between_fragments),
        cmocka_unit_test(fragments_must_come_in_order),
        cmocka_unit_test(fragments_of_all_sizes_are_put_together),
        cmocka_unit_test(texts_must_be_utf8_however_they_are_cut),
        cmocka_unit_test(invalid_utf8_is_refused_at_the_exact_byte),
        cmocka_unit_test(each_text_message_is_checked_from_its_first_byte),
        cmocka_unit_test(every_close_code_is_checked),
        cmocka_unit_test(close_frames_are_checked),
        cmocka_unit_test(a_message_over_the_limit_is_skipped_and_the_session_continues),
        cmocka_unit_test(large_messages_are_skipped_with_little_memory),
        cmocka_unit_test(a_message_without_memory_is_skipped_and_the_session_continues),
        cmocka_unit_test(whole_messages_cost_no_memory_and_no_copy),
        cmocka_unit_test(steady_state_costs_no_memory),
        cmocka_unit_test(a_new_session_forgets_the_old_one),
        cmocka_unit_test(frames_are_masked_and_read_back),
        cmocka_unit_test(the_masked_hello_of_the_rfc_comes_out),
        cmocka_unit_test(a_frame_without_memory_appends_nothing),
        cmocka_unit_test(the_accept_of_the_rfc_comes_out),
        cmocka_unit_test(only_a_valid_upgrade_opens_a_session),
        cmocka_unit_test(a_long_line_does_not_hide_an_extension),
        cmocka_unit_test(nothing_is_leaked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
