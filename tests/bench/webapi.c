/* webapi - n small requests with rtm_submit during an open session: each is submitted in the
   callback of the previous one, as a program with an event loop would. queued=1: all at once.

   A request before them opens the connection, and bench.end after them makes the server print how
   many it has received. webapi_curl.c and webapi.mjs do the same. */
#define _GNU_SOURCE
#define RTM_IMPLEMENTATION
#include "rtm.h"

#include "bench.h"
#include "webapi.h"

static bench b;
static bool queued, ended;

static void submit(rtm_client *bot, const char *method, rtm_request_callback callback) {
    const char *const fields[] = { "channel", WEBAPI_CHANNEL, "text", WEBAPI_TEXT, NULL };
    rtm_request request = { .method = method, .fields = fields, .callback = callback };
    if (rtm_submit(bot, &request) > 0) return;
    fprintf(stderr, "webapi: %s\n", rtm_error_detail(bot));
    exit(1);
}

static void on_end(rtm_client *bot, const rtm_response *response, void *user_data) {
    (void)bot;
    (void)user_data;
    ended = response->ok;
}

static void on_response(rtm_client *bot, const rtm_response *response, void *user_data) {
    (void)user_data;
    if (!response->ok || !rtm_json_equals(rtm_json_get(response->data, "self.name"), "bench")) {
        fprintf(stderr, "webapi: %s\n", response->detail);
        exit(1);
    }
    if (!webapi_response(&b)) {
        submit(bot, "bench.end", on_end);
        return;
    }
    long more = !queued ? 1 : b.events == 0 ? webapi_count(&b) : 0;
    while (more-- > 0) submit(bot, "chat.postMessage", on_response);
}

static void on_hello(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)event;
    (void)user_data;
    submit(bot, "chat.postMessage", on_response);
}

int main(int argc, char **argv) {
    (void)argc;
    rtm_client *bot;
    bench_begin(&b, argv);
    queued = bench_number(&b, "queued", 0) != 0;
    rtm_config config = { .token = "xoxb-bench", .base_url = b.base, .ca_file = b.ca, .proxy = "",
                          .max_queue_size = 4 << 20, .no_auto_reconnect = true };
    if (rtm_create(&config, &bot) != RTM_OK) return 1;
    rtm_on(bot, "hello", on_hello, NULL);
    while (!ended) {
        if (rtm_poll(bot, 1000) >= 0) continue;
        fprintf(stderr, "webapi: %s\n", rtm_error_detail(bot));
        return 1;
    }
    webapi_print(&b, "rtm.h");
    rtm_destroy(bot);
    return 0;
}
