/* The JSON accessors: in a valid text they return the same as a complete scan, value by value and
   by the path from the root, also in interleaved loops. Input: the text. */
#include "fuzz.h"

static rtm_json root;
static char path[1024]; /* from the root, "$", to where walk() is */

/* Scans all values, and compares. `used` bytes of path lead here; 0 = no path can. */
static void walk(rtm_json json, size_t used) {
    const char *p = json.text, *end = p + json.size;
    bool object = *p == '{', array = *p == '[', more = object || array;
    size_t count = 0;
    for (; more && !strchr("]}", *(p = rtmi_json_space(p + 1, end))); more = *p == ',', count++) {
        char name[64];
        const char *key = p;
        const char *after = object ? rtmi_json_string_end(p + 1, end) : p;
        size_t length = array ? (size_t)snprintf(name, sizeof name, "%zu", count)
            : rtm_json_string((rtm_json){ p, (size_t)(after - p), NULL }, name, sizeof name);
        if (object) p = rtmi_json_colon(after, end);
        size_t size = (size_t)(rtmi_json_skip(p, end) - p);
        rtm_json value = { p, size, json.document }, at = rtm_json_at(json, count);
        CHECK(at.text == p && at.size == size);
        rtm_json called = rtm_json_key(json, count);
        CHECK(object ? called.text == key && called.size == (size_t)(after - key) : !called.size);
        bool plain = length && length == strlen(name) && !strchr(name, '.');
        rtm_json found = plain ? rtm_json_get(json, name) : value; /* the first of its name */
        CHECK(found.text && (object || (found.text == p && found.size == size)));
        bool leads = plain && found.text == p && used && used + length + 2 < sizeof path;
        if (leads) snprintf(path + used, sizeof path - used, ".%s", name);
        CHECK(!leads || rtm_json_get(root, path + 2).text == p); /* after "$." */
        walk(value, leads ? used + 1 + length : 0);
        p = rtmi_json_space(p + size, end);
    }
    CHECK(rtm_json_count(json) == count && !rtm_json_at(json, count).size);
}

/* Interleaves loops over arrays and objects, nested and side by side: each must continue at its own
   place, whatever the other loops looked up in between. */
static void interleave(rtm_json json) {
    struct { rtm_json json; size_t at; const char *after; } loop[8] = { { json, 0, json.text } };
    size_t loops = 1, turn = 0;
    for (int steps = 0; steps < 4096 && loops; steps++) {
        if (++turn >= loops) turn = 0;
        rtm_json next = rtm_json_at(loop[turn].json, loop[turn].at);
        CHECK(!next.size == (loop[turn].at >= rtm_json_count(loop[turn].json)));
        if (!next.size) {
            loop[turn] = loop[--loops];
            continue;
        }
        loop[turn].at++;
        CHECK(next.text > loop[turn].after); /* in order */
        loop[turn].after = next.text + next.size - 1;
        CHECK(loop[turn].after < loop[turn].json.text + loop[turn].json.size);
        if (loops == 8 || (*next.text != '[' && *next.text != '{')) continue;
        loop[loops].json = next;
        loop[loops].at = 0;
        loop[loops++].after = next.text;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rtmi_document document = { 0 };
    char *text = fuzz_block(data, size);
    fuzz_begin(1);
    if (rtmi_document_open_at(&document, text, size, NULL, &root)) {
        strcpy(path, "$");
        walk(root, 1);
        interleave(root);
        CHECK(!document.failed);
    }
    rtmi_document_free(&document);
    CHECK(test_blocks == 0);
    free(text);
    return 0;
}
