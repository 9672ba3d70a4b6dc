/* Downloads one file with rtm.h, in pieces:   downloads submit|perform URL FILE [TOKEN]

   SLACK_API_URL and SSL_CERT_FILE are taken from the environment. Prints the status, the type and
   the bytes of the response. The client's own token is valid, but must not be sent to a URL. */
#define RTM_IMPLEMENTATION
#include "rtm.h"

typedef struct download {
    FILE *out;
    size_t size;
    bool done, good;
} download;

static bool write_piece(const void *data, size_t size, void *user_data) {
    download *it = user_data;
    it->size += size;
    return fwrite(data, 1, size, it->out) == size;
}

static void finish(rtm_client *bot, const rtm_response *response, void *user_data) {
    download *it = user_data;
    (void)bot;
    it->done = true;
    it->good = response->result == RTM_OK;
    printf("%d %s %zu\n", response->status, response->content_type, it->size);
    if (!it->good) fprintf(stderr, "downloads: %s\n", response->detail);
}

int main(int argc, char **argv) {
    rtm_client *bot;
    rtm_config config = { .token = "xoxb-interop", .base_url = getenv("SLACK_API_URL") };
    if (argc < 4 || argc > 5 || !config.base_url) return 2;
    download it = { .out = fopen(argv[3], "wb") };
    if (!it.out || rtm_create(&config, &bot) != RTM_OK) return 1;
    rtm_request request = { .url = argv[2], .http_method = "GET", .token = argv[4], /* or NULL */
                            .write_body = write_piece, .callback = finish, .user_data = &it };
    int result = 0;
    if (!strcmp(argv[1], "submit")) {
        result = rtm_submit(bot, &request);
        while (result >= 0 && !it.done) result = rtm_poll(bot, 1000);
    } else {
        rtm_response response;
        rtm_perform(bot, &request, &response);
        finish(bot, &response, &it);
    }
    if (result < 0) fprintf(stderr, "downloads: %s\n", rtm_error_detail(bot));
    rtm_destroy(bot);
    return fclose(it.out) == 0 && it.done && it.good ? 0 : 1;
}
