/* URLs, and the parts of a request. Input: the text. */
#include "fuzz.h"

/* Host and port of a parsed URL, written out, parse to the same host and port. */
static void parse_url(const char *text) {
    rtmi_peer peer, again;
    const char *path;
    size_t length;
    rtmi_buf out = { 0 };
    if (!rtmi_parse_url(text, &peer, &path, &length)) return;
    CHECK(path >= text && length <= strlen(path) && *peer.host && atoi(peer.port) > 0);
    rtmi_write_authority(&out, &peer, true);
    CHECK(rtmi_parse_authority(out.data, out.size, &again, 80));
    CHECK(!strcmp(peer.host, again.host) && !strcmp(peer.port, again.port));
    rtmi_buf_free(&out);
    rtmi_network network = { .proxy = peer, .no_proxy = peer.host };
    /* A dot at the end of an entry is ignored, and "a:1" is a host and a port. */
    bool dotted = *peer.host == '.' || peer.host[strlen(peer.host) - 1] == '.';
    const char *colon = strchr(peer.host, ':');
    CHECK(rtmi_is_direct(&network, &peer) || dotted || (colon && !strchr(colon + 1, ':')));
    network.no_proxy = fuzz_text(text, strlen(text));
    rtmi_is_direct(&network, &peer);
    free(network.no_proxy);
}

/* Decoding undoes percent-encoding; base64 has the right length and digits. */
static void encode(const char *text, size_t size) {
    rtmi_buf form = { 0 }, base64 = { 0 };
    const char *p = text;
    rtmi_write_form(&form, text);
    for (size_t i = 0; i < form.size; i++, p++) {
        char c = form.data[i];
        if (c == '%') c = (char)(rtmi_hex(form.data[i + 1]) << 4 | rtmi_hex(form.data[i + 2]));
        else CHECK(rtmi_is_alnum(c) || strchr("-._*+", c));
        CHECK(*p == (form.data[i] == '+' ? ' ' : c));
        if (form.data[i] == '%') i += 2;
    }
    CHECK(!*p);
    rtmi_base64(&base64, text, size);
    CHECK(base64.size == (size + 2) / 3 * 4);
    for (size_t i = 0; i < base64.size; i++)
        CHECK(rtmi_is_alnum(base64.data[i]) || strchr("+/=", base64.data[i]));
    rtmi_list_has(text, "close");
    rtmi_buf_free(&form);
    rtmi_buf_free(&base64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size);
    fuzz_begin(1);
    parse_url(text);
    encode(text, size);
    CHECK(test_blocks == 0);
    free(text);
    return 0;
}
