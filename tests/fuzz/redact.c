/* Redaction: secrets that begin alike, in a text of anything else, cut anywhere.
   Input: for each of three secrets how much of the common beginning it has, what is left out at the
   end (0 = nothing was cut), then the text: 0..2 = that secret, 3..5 = so many bytes of it as the
   next one says, other bytes as they are, unless they could belong to a secret. */
#include "fuzz.h"

enum { SECRETS = 3, TAIL = 8 };

static char secret[SECRETS][64];

/* Whether the text ends in a secret, or in the beginning of one. */
static bool ends_in_secret(const char *text) {
    for (const char *end = text; *end; end++)
        for (int i = 0; i < SECRETS; i++)
            if (!strncmp(secret[i], end, strlen(end))) return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* A beginning shared by all, with a character of more bytes in it; a tail like no other. */
    static const char common[] = "xoxb-abcdefghij-\xc3\xa9klm-";
    rtmi_buf list = { 0 }, text = { 0 };
    if (size < SECRETS + 1) return 0;
    fuzz_begin(1);
    for (int i = 0; i < SECRETS; i++) {
        int shared = 1 + (int)(data[i] % (sizeof common - 1)); /* so that none begins like a tail */
        snprintf(secret[i], sizeof secret[i], "%.*s%08d", shared, common, 12345670 + i);
        rtmi_buf_add(&list, secret[i], strlen(secret[i]) + 1);
    }
    rtmi_buf_add(&list, "", 1);
    size_t left_out = data[SECRETS];
    for (size_t i = SECRETS + 1; i < size; i++) {
        const char *which = secret[data[i] % 3];
        size_t length = strlen(which), part = i + 1 < size ? data[i + 1] % length : 0;
        char other = (char)data[i];
        if (!other || strchr("?*-", other) || rtmi_is_alnum(other)) other = ' ';
        if (data[i] < 3) rtmi_buf_add(&text, which, length);
        else if (data[i] < 6) rtmi_buf_add(&text, which, part), i++;
        else rtmi_buf_add(&text, &other, 1);
    }
    bool cut = left_out != 0;
    size_t length = text.size > left_out ? text.size - left_out : 0;
    char *told = fuzz_text(text.data, length);
    bool ascii_end = length && !(told[length - 1] & 0x80);
    bool starred = rtmi_redact(told, cut, list.data);
    CHECK(strlen(told) <= length && rtmi_is_utf8(told, strlen(told)));
    for (int i = 0; i < SECRETS; i++)
        CHECK(!strstr(told, secret[i] + strlen(secret[i]) - TAIL));
    CHECK(!cut || !ascii_end || !ends_in_secret(told));
    CHECK(starred == (strchr(told, '*') != NULL));
    char *again = fuzz_text(told, strlen(told));
    CHECK(!rtmi_redact(again, false, list.data) && !strcmp(again, told));
    free(again);
    free(told);
    rtmi_buf_free(&list);
    rtmi_buf_free(&text);
    CHECK(test_blocks == 0);
    return 0;
}
