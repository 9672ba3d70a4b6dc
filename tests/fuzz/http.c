/* The HTTP response parser: the result must not depend on the pieces in which a response arrives.
   Input: a byte of options, a byte that chooses the pieces, the response. */
#include "fuzz.h"

enum { CLEAN = 0x10 }; /* option: the connection ends with a close_notify; the rest is the kind */

typedef struct parsing {
    rtmi_http http;
    rtmi_http_what what;
    rtmi_buf body;
    size_t used;
} parsing;

static void parse(parsing *run, unsigned options, const uint8_t *data, size_t size, bool whole) {
    rtmi_http *http = &run->http;
    rtmi_http_start(http, (rtmi_http_kind)(options % 3));
    run->what = RTMI_HTTP_MORE;
    while (run->used < size && run->what == RTMI_HTTP_MORE) {
        size_t piece = fuzz_piece(size - run->used, whole), at = 0, used;
        char *block = fuzz_block(data + run->used, piece);
        while (at < piece) {
            run->what = rtmi_http_parse(http, block + at, piece - at, &used);
            CHECK(used <= piece - at && (used || run->what == RTMI_HTTP_DONE));
            if (run->what == RTMI_HTTP_BODY) {
                CHECK(http->body_size && http->body >= block + at);
                CHECK(http->body + http->body_size == block + at + used);
                rtmi_buf_add(&run->body, http->body, http->body_size);
                run->what = http->part == RTMI_HTTP_COMPLETE ? RTMI_HTTP_DONE : RTMI_HTTP_MORE;
            } else if (run->what == RTMI_HTTP_MORE) {
                CHECK(used == piece - at);
            }
            at += used;
            if (run->what != RTMI_HTTP_MORE) break;
        }
        run->used += at;
        free(block);
    }
    if (run->what == RTMI_HTTP_MORE)
        run->what = rtmi_http_end(http, (options & CLEAN) != 0);
    CHECK(run->what == RTMI_HTTP_DONE || http->error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    parsing once = { 0 }, again = { 0 };
    if (size < 2) return 0;
    fuzz_begin(data[1]);
    parse(&once, data[0], data + 2, size - 2, true);
    parse(&again, data[0], data + 2, size - 2, false);
    once.http.body = again.http.body = NULL; /* of the last piece, and its size */
    once.http.body_size = again.http.body_size = 0;
    CHECK(once.what == again.what && once.used == again.used);
    CHECK(!memcmp(&once.http, &again.http, sizeof once.http));
    CHECK(once.body.size == again.body.size);
    CHECK(!once.body.size || !memcmp(once.body.data, again.body.data, once.body.size));
    rtmi_buf_free(&once.body);
    rtmi_buf_free(&again.body);
    CHECK(test_blocks == 0);
    return 0;
}
