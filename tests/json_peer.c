/* Looks up paths in JSON documents and quotes texts for json_peer.py, which knows the right
 * results.
   In:  "doc HEX", then any number of "get HEX" with a path; or "quote HEX" with a text.
   Out: "valid" or "refused"; for each path: kind, size, int, bool, string in hex; for a text: the
        length of the JSON string, then what is written for each size from 0 on, in hex. */
#include "support.h"

static char *unhex(const char *hex, size_t *size) {
    size_t length = strlen(hex) / 2;
    char *out = (malloc)(length + 1);
    for (size_t i = 0; i < length; i++)
        out[i] = (char)(rtmi_hex(hex[2 * i]) << 4 | rtmi_hex(hex[2 * i + 1]));
    out[length] = '\0';
    *size = length;
    return out;
}

static void answer(rtm_json json) {
    static char text[1 << 20];
    const char *raw = rtm_json_raw(json, NULL);
    size_t length = rtm_json_string(json, text, sizeof text);
    printf("%c %zu %lld %d ", raw ? *raw : '-', rtm_json_count(json), rtm_json_int(json, -99),
           rtm_json_bool(json, false) + 2 * rtm_json_bool(json, true));
    for (size_t i = 0; i < length; i++) printf("%02x", (unsigned)(unsigned char)text[i]);
    printf("\n");
}

/* The last size has two bytes more than are needed. */
static void quote(const char *text) {
    size_t length = rtm_json_quote(text, NULL, 0);
    printf("%zu", length);
    for (size_t size = 0; size < length + 3; size++) {
        char *out = at_guard(NULL, size);
        memset(out, '?', size);
        if (rtm_json_quote(text, out, size) != length) printf(" another length");
        printf(" ");
        for (size_t i = 0; i < size && out[i]; i++) printf("%02x", (unsigned)(unsigned char)out[i]);
    }
    printf("\n");
}

int main(void) {
    static char line[1 << 21];
    rtmi_document document;
    rtm_json root = rtmi_json_none;
    guarded copy = guard("", 0);
    memset(&document, 0, sizeof document);
    while (fgets(line, sizeof line, stdin)) {
        size_t size;
        line[strcspn(line, "\n")] = '\0';
        char *data = unhex(strchr(line, ' ') + 1, &size);
        if (line[0] == 'q') {
            quote(data);
        } else if (line[0] == 'd') {
            guard_free(&copy);
            copy = guard(data, size);
            bool valid = rtmi_is_utf8(copy.data, size) &&
                         rtmi_document_open(&document, copy.data, size, &root);
            if (!valid) root = rtmi_json_none;
            printf("%s\n", valid ? "valid" : "refused");
        } else {
            answer(*data ? rtm_json_get(root, data) : root);
        }
        (free)(data);
    }
    guard_free(&copy);
    rtmi_document_free(&document);
    return 0;
}
