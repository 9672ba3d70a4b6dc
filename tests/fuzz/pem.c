/* CA bundles: any text, any certificate.
   Input: the number of the allocation that fails (0 = none), with 0x80 when what follows is DER, to
   be wrapped in PEM here; the bundle. */
#include "fuzz.h"

static char *wrap(const uint8_t *data, size_t size) {
    rtmi_buf pem = { 0 };
    rtmi_buf_text(&pem, "-----BEGIN CERTIFICATE-----\n");
    rtmi_base64(&pem, data, size);
    rtmi_buf_text(&pem, "\n-----END CERTIFICATE-----\n");
    char *text = fuzz_text(pem.data, pem.size);
    rtmi_buf_free(&pem);
    return text;
}

/* Reads a block from end to end, for a sanitizer to see. */
static void touch(const volatile unsigned char *data, size_t size) {
    while (size--) (void)data[size];
}

/* Loads and frees a bundle; returns the number of anchors, or -1 if an error says why some are
   missing. */
static long load(const char *text, long fail_at) {
    rtmi_trust trust = { 0 };
    fuzz_begin(1);
    test_fail_at = fail_at;
    trust.ca_pem = text;
    rtmi_trust_load(&trust);
    CHECK(trust.anchors.size == trust.count * sizeof(br_x509_trust_anchor));
    CHECK(trust.count || trust.error);
    long count = trust.error ? -1 : (long)trust.count;
    for (size_t i = 0; i < trust.count; i++) {
        const br_x509_trust_anchor *anchor = (br_x509_trust_anchor *)(void *)trust.anchors.data + i;
        const br_x509_pkey *key = &anchor->pkey;
        bool rsa = key->key_type == BR_KEYTYPE_RSA;
        CHECK(rsa || key->key_type == BR_KEYTYPE_EC);
        touch(anchor->dn.data, anchor->dn.len);
        if (rsa) touch(key->key.rsa.n, key->key.rsa.nlen);
        if (rsa) touch(key->key.rsa.e, key->key.rsa.elen);
        if (!rsa) touch(key->key.ec.q, key->key.ec.qlen);
    }
    rtmi_trust_free_anchors(&trust);
    CHECK(test_blocks == 0);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    fuzz_begin(1);
    char *text = data[0] & 0x80 ? wrap(data + 1, size - 1) : fuzz_text(data + 1, size - 1);
    long count = load(text, 0), again = load(text, data[0] & 0x7f);
    CHECK(again == count || again < 0);
    free(text);
    return 0;
}
