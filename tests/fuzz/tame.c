/* Taming: of a server's text no 8 letters and digits in a row of a mixed run pass, no 7 digits, no
   control character and no byte above 0x7e. A run passes whole or becomes one "?". The text never
   grows, and taming it again changes nothing. */
#include "fuzz.h"

/* Written without rtm.h's own functions, which are under test. */
static bool is_within(char c, char first, char last) { return c >= first && c <= last; }

static size_t run_of(const char *text) {
    size_t length = 0;
    while (is_within(text[length], '0', '9') || is_within(text[length], 'A', 'Z') ||
           is_within(text[length], 'a', 'z')) length++;
    return length;
}

/* Whether a run has letters and digits, or small letters and a capital that is not its first. */
static bool is_mixed(const char *run, size_t length) {
    size_t digits = 0, small = 0, capitals_within = 0;
    for (size_t i = 0; i < length; i++) {
        digits += is_within(run[i], '0', '9');
        small += is_within(run[i], 'a', 'z');
        capitals_within += i && is_within(run[i], 'A', 'Z');
    }
    return digits ? digits < length : small && capitals_within;
}

static void check_passed(const char *tamed) {
    size_t digits = 0;
    for (; *tamed; tamed++) {
        CHECK(is_within(*tamed, ' ', '~'));
        digits = is_within(*tamed, '0', '9') ? digits + 1 : 0;
        CHECK(digits < 7);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_begin(1);
    char *given = fuzz_text((const char *)data, size), *tamed = fuzz_text(given, strlen(given));
    rtmi_tame(tamed);
    CHECK(strlen(tamed) <= strlen(given));
    check_passed(tamed);
    const char *at = tamed;
    for (const char *p = given; *p;) {
        size_t run = run_of(p), length = run ? run : 1;
        bool passed = !strncmp(at, p, length);
        CHECK(passed ? run < 8 || !is_mixed(p, run) : *at == '?');
        at += passed ? length : 1;
        p += length;
    }
    CHECK(!*at);
    char *again = fuzz_text(tamed, strlen(tamed));
    rtmi_tame(again);
    CHECK(!strcmp(again, tamed));
    free(again);
    free(tamed);
    free(given);
    CHECK(test_blocks == 0);
    return 0;
}
