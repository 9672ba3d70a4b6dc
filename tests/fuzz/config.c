/* A configuration with any text in any member, and allocations that may fail. Input: the number of
   the allocation that fails (0 = none), the member, the text. */
#include "fuzz.h"
#include "../ca.h"

/* Makes a client with the text in one member: it is refused, or its requests have the expected
   lines. */
static void create(const char *text, unsigned place) {
    const char *headers[] = { place == 0 ? text : "X-A: b", NULL };
    rtm_client *client;
    rtm_config config = { .token = place == 1 ? text : "xoxb-1", .headers = headers,
                          .base_url = place == 2 ? text : "http://a.test/api",
                          .proxy = place == 3 ? text : "", .ca_file = text,
                          .ca_pem = place == 4 ? NULL : CA_PEM };
    rtm_result result = rtm_create(&config, &client);
    CHECK((result == RTM_OK) == (client != NULL) && (client || *rtm_error_detail(NULL)));
    CHECK(result != RTM_E_MEMORY || (test_fail_at && test_allocations >= test_fail_at));
    CHECK(client == NULL || !test_fail_at || test_allocations < test_fail_at);
    test_fail_at = 0;
    rtmi_buf out = { 0 };
    size_t lines = 0;
    const rtmi_settings *made = client ? &client->settings : NULL;
    if (made) rtmi_write_request(&out, "GET", made->base_path, strlen(made->base_path), &made->api,
                                 made->headers);
    for (size_t i = 0; i < out.size; i++) {
        lines += out.data[i] == '\n';
        CHECK(out.data[i] && (out.data[i] != '\n' || out.data[i - 1] == '\r'));
    }
    CHECK(!client || (lines >= 3 && lines <= 4));
    rtmi_buf_free(&out);
    rtm_destroy(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    char *text = fuzz_text(data + 2, size - 2);
    fuzz_begin(1);
    test_fail_at = data[0];
    create(text, data[1] % 5);
    CHECK(test_blocks == 0);
    free(text);
    return 0;
}
