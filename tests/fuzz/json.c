/* The JSON layer: any bytes may be scanned, strings are decoded, what is quoted is JSON.
   Input: a path up to the first line feed, the text. */
#include "fuzz.h"

/* A string decodes to its full length, or cut at a whole character; others give the fallback. */
static void look(rtm_json json) {
    size_t length = rtm_json_string(json, NULL, 0);
    char *full = malloc(length + 1);
    CHECK(full && rtm_json_string(json, full, length + 1) == length && !full[length]);
    CHECK(*json.text != '"' || strlen(full) < length || rtm_json_equals(json, full));
    for (size_t size = 1; size <= length && size < 9; size++) {
        char *cut = fuzz_block("........", size);
        CHECK(rtm_json_string(json, cut, size) == length && memchr(cut, '\0', size));
        CHECK(!strncmp(cut, full, strlen(cut)));
        CHECK(!rtmi_is_utf8(json.text, json.size) || rtmi_is_utf8(cut, strlen(cut)));
        free(cut);
    }
    free(full);
    CHECK(rtm_json_int(json, 1) == rtm_json_int(json, 2) || rtm_json_int(json, 2) == 2);
    CHECK(rtm_json_bool(json, true) == rtm_json_bool(json, false) || !strchr("tf", *json.text));
}

/* What is quoted is JSON, and says what was quoted. */
static void quote(const char *text) {
    rtmi_buf out = { NULL, 0, 0, false };
    rtmi_json_quote(&out, text);
    CHECK(rtmi_json_check(out.data, out.size));
    CHECK(rtm_json_equals(rtmi_json_value(out.data, out.size, NULL), text));
    rtmi_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *line_feed = size ? memchr(data, '\n', size) : NULL;
    rtmi_document document = { 0 };
    const char *value;
    size_t value_size, wanted_size = line_feed ? (size_t)(line_feed - data) : size;
    size_t skip = line_feed ? wanted_size + 1 : size;
    char *wanted = fuzz_text(data, wanted_size), *text = fuzz_block(data + skip, size - skip);
    fuzz_begin(1);
    quote(wanted);
    if (rtmi_json_member(text, size - skip, wanted, wanted_size, &value, &value_size)) {
        CHECK(value >= text && value + value_size <= text + size - skip);
        if (value_size && *value == '"') look(rtmi_json_value(value, value_size, NULL));
    }
    rtm_json root;
    if (rtmi_document_open(&document, text, size - skip, &root)) {
        CHECK(!strchr("{[\"", *root.text) || !rtmi_json_check(root.text, root.size - 1));
        rtm_json found = rtm_json_get(root, wanted);
        look(root);
        if (found.size) look(found);
        CHECK(!found.size || rtmi_json_check(found.text, found.size));
    }
    rtmi_document_free(&document);
    CHECK(fuzz_blocks == 0);
    free(wanted);
    free(text);
    return 0;
}
