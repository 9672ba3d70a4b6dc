/* Taming: nothing is left but words, and again changes nothing. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char plain[] = " .,:;!?'()_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    fuzz_begin(1);
    char *told = fuzz_text((const char *)data, size);
    size_t length = strlen(told);
    rtmi_tame(told);
    CHECK(strlen(told) == length && strspn(told, plain) == length);
    char *again = fuzz_text(told, length);
    rtmi_tame(again);
    CHECK(!strcmp(again, told));
    free(again);
    free(told);
    CHECK(test_blocks == 0);
    return 0;
}
