/* The JSON layer: any bytes may be scanned, strings are decoded, and quoted strings are valid JSON.
   Input: a path up to the first line feed, the text. */
#include "fuzz.h"

static bool is_json(const char *text, size_t size) {
    rtmi_document scratch = { 0 };
    rtm_json root;
    return rtmi_document_open_at(&scratch, text, size, NULL, &root);
}

/* A string is decoded completely, or truncated at a whole character; other values give the
   fallback. */
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

/* A quoted string is valid JSON, and decodes to the original if that is UTF-8. */
static void quote(const char *text) {
    rtmi_buf out = { 0 };
    rtmi_json_quote(&out, text);
    CHECK(is_json(out.data, out.size));
    bool same = rtm_json_equals((rtm_json){ out.data, out.size, NULL }, text);
    CHECK(same || !rtmi_is_utf8(text, strlen(text)));
    rtmi_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *line_feed = size ? memchr(data, '\n', size) : NULL;
    rtmi_document document = { 0 };
    size_t wanted_size = line_feed ? (size_t)(line_feed - data) : size;
    size_t skip = line_feed ? wanted_size + 1 : size;
    char *wanted = fuzz_text(data, wanted_size), *text = fuzz_block(data + skip, size - skip);
    fuzz_begin(1);
    quote(wanted);
    rtm_json raw = { text, size - skip, NULL }, value = rtmi_json_member(&raw, wanted, wanted_size);
    if (value.text) {
        CHECK(value.text >= text && value.text + value.size <= text + size - skip);
        if (value.size && *value.text == '"') look(value);
    }
    rtm_json root;
    if (rtmi_document_open_at(&document, text, size - skip, NULL, &root)) {
        CHECK(!strchr("{[\"", *root.text) || !is_json(root.text, root.size - 1));
        rtm_json found = rtm_json_get(root, wanted);
        jsmn_parser parser;
        jsmn_init(&parser);
        CHECK(jsmn_parse(&parser, root.text, root.size, NULL, 0) == (int)document.values);
        look(root);
        if (found.size) look(found);
        CHECK(!found.size || is_json(found.text, found.size));
    }
    rtmi_document_free(&document);
    CHECK(test_blocks == 0);
    free(wanted);
    free(text);
    return 0;
}
