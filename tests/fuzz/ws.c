/* The WebSocket frame parser: the result must not depend on the pieces in which frames arrive; and
   it parses what the frame writer writes. Input: a byte for the limit of a message, a byte that
   chooses the pieces, frames of a server. */
#include "fuzz.h"

/* Appends all that the parser finds: its kind, opcode, close code, size, bytes. */
static void parse(rtmi_buf *found, size_t limit, const uint8_t *data, size_t size, bool whole) {
    rtmi_ws ws = { 0 };
    rtmi_ws_what what = RTMI_WS_MORE;
    rtmi_ws_start(&ws, limit);
    for (size_t from = 0; from < size && what != RTMI_WS_BAD;) {
        size_t piece = fuzz_piece(size - from, whole), at = 0, used;
        char *block = fuzz_block(data + from, piece);
        for (from += piece; at < piece && what != RTMI_WS_BAD; at += used) {
            what = rtmi_ws_parse(&ws, block + at, piece - at, &used);
            bool message = what == RTMI_WS_MESSAGE;
            CHECK(used && used <= piece - at);
            CHECK(ws.buffer.size <= limit || ws.buffer.size <= RTMI_LINE);
            CHECK(!message || ws.size <= (ws.opcode & 8 ? 125 : limit));
            CHECK(!message || ws.opcode != RTMI_WS_TEXT || rtmi_is_utf8(ws.data, ws.size));
            CHECK(what != RTMI_WS_BAD || (ws.error && (ws.code == 1002 || ws.code == 1007)));
            CHECK(what != RTMI_WS_SKIPPED || ws.skip == RTM_E_TOO_BIG);
            if (what == RTMI_WS_MORE) break;
            rtmi_buf_number(found, what * 100000LL + (message ? ws.opcode : ws.code));
            rtmi_buf_number(found, message ? (long long)ws.size : -1);
            if (message) rtmi_buf_add(found, ws.data, ws.size);
        }
        free(block);
    }
    rtmi_buf_free(&ws.buffer);
}

/* Writes a frame, unmasks it as a server does, and parses it as a frame from a server. */
static void write_and_parse(const uint8_t *data, size_t size) {
    rtmi_ws ws = { 0 };
    rtmi_buf frame = { 0 };
    size_t used, head = size < 126 ? 2 : size < 65536 ? 4 : 10;
    CHECK(rtmi_ws_frame(&frame, RTMI_WS_BINARY, data, size, data));
    CHECK(frame.size == head + 4 + size && (frame.data[1] & 0x80));
    char *to = frame.data + head;
    for (size_t i = 0; i < size; i++) to[i] = (char)((unsigned char)to[i + 4] ^ data[i & 3]);
    frame.data[1] = (char)(frame.data[1] & 0x7f);
    rtmi_ws_start(&ws, size);
    CHECK(rtmi_ws_parse(&ws, frame.data, head + size, &used) == RTMI_WS_MESSAGE);
    CHECK(used == head + size && ws.size == size && !memcmp(ws.data, data, size));
    rtmi_buf_free(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rtmi_buf once = { 0 }, again = { 0 };
    if (size < 4) return 0;
    fuzz_begin(data[1]);
    parse(&once, (size_t)1 << data[0] % 20, data + 2, size - 2, true);
    parse(&again, (size_t)1 << data[0] % 20, data + 2, size - 2, false);
    CHECK(once.size == again.size && (!once.size || !memcmp(once.data, again.data, once.size)));
    write_and_parse(data, size);
    rtmi_buf_free(&once);
    rtmi_buf_free(&again);
    CHECK(test_blocks == 0);
    return 0;
}
