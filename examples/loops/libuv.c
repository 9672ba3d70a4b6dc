/* A bot in libuv's event loop, together with other handles: here a timer and signals. It replies to
 * "ticks" with the number of ticks of the timer.
 *
 * Build:  cc examples/loops/libuv.c -o uvbot -lbearssl -luv
 * Run:    SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./uvbot
 */
#define RTM_IMPLEMENTATION
#include "../rtm.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* What a client needs in a loop: its descriptor watched, and a timer for rtm_timeout_ms. */
typedef struct uv_bot {
    rtm_client *client;
    uv_poll_t readable;
    uv_timer_t due;
    int result; /* why it has ended; 0 before */
} uv_bot;

static int ticks;

/* Returns an environment variable, or NULL if it is unset or empty. */
static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* Copies the string at a path. Returns whether it exists, fits, is not empty and has no NUL. */
static bool copy_string(rtm_json data, const char *path, char *out, size_t size) {
    size_t length = rtm_json_string(rtm_json_get(data, path), out, size);
    return length > 0 && length < size && strlen(out) == length;
}

/* Reports a call of libuv that has failed. Returns whether it succeeded. */
static bool check(const char *what, int result) {
    if (result < 0) fprintf(stderr, "uvbot: %s: %s\n", what, uv_strerror(result));
    return result >= 0;
}

static void on_due(uv_timer_t *handle);

/* Ends the loop. A program with more in its loop would continue without the bot. */
static void end(uv_bot *bot, int result) {
    bot->result = result;
    uv_stop(bot->due.loop);
}

static void step(uv_bot *bot) {
    int result = rtm_poll(bot->client, 0);
    if (result < 0) {
        end(bot, result);
        return;
    }
    int ms = rtm_timeout_ms(bot->client); /* changes with every call */
    int started = ms < 0 ? uv_timer_stop(&bot->due)
                         : uv_timer_start(&bot->due, on_due, (uint64_t)ms, 0);
    if (!check("timer", started)) end(bot, RTM_E_MEMORY);
}

static void on_readable(uv_poll_t *handle, int status, int events) {
    (void)events;
    if (check("poll", status)) step(handle->data);
    else end(handle->data, RTM_E_MEMORY);
}

static void on_due(uv_timer_t *handle) {
    step(handle->data);
}

static void on_message(rtm_client *client, const rtm_event *event, void *user_data) {
    char channel[64], answer[64];
    (void)user_data;
    if (!rtm_json_equals(rtm_json_get(event->data, "text"), "ticks")) return;
    if (!copy_string(event->data, "channel", channel, sizeof channel)) return;
    int size = snprintf(answer, sizeof answer, "%d ticks so far", ticks);
    if (size < 0 || (size_t)size >= sizeof answer) return;
    if (rtm_send_message(client, channel, answer) < 0)
        fprintf(stderr, "uvbot: not sent: %s\n", rtm_error_detail(client));
}

static void on_error(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client;
    (void)user_data;
    fprintf(stderr, "uvbot: %s\n",
            event->result != RTM_OK ? event->detail : "Slack reports an error");
}

static void on_tick(uv_timer_t *handle) {
    (void)handle;
    ticks++;
}

static void on_signal(uv_signal_t *handle, int number) {
    const uv_bot *bot = handle->data;
    (void)number;
    rtm_stop(bot->client); /* makes its descriptor readable */
}

static void close_handle(uv_handle_t *handle, void *unused) {
    (void)unused;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

/* Runs the bot in the loop until it has ended. */
static void run(uv_bot *bot, uv_loop_t *loop) {
    uv_timer_t tick;
    uv_signal_t interrupt, terminate;
    bool good = check("poll", uv_poll_init(loop, &bot->readable, rtm_fd(bot->client))) &&
                check("timer", uv_timer_init(loop, &bot->due)) &&
                check("timer", uv_timer_init(loop, &tick)) &&
                check("signal", uv_signal_init(loop, &interrupt)) &&
                check("signal", uv_signal_init(loop, &terminate));
    if (good) {
        bot->readable.data = bot;
        bot->due.data = bot;
        interrupt.data = bot;
        terminate.data = bot;
        good = check("poll", uv_poll_start(&bot->readable, UV_READABLE, on_readable)) &&
               check("timer", uv_timer_start(&tick, on_tick, 1000, 1000)) &&
               check("signal", uv_signal_start(&interrupt, on_signal, SIGINT)) &&
               check("signal", uv_signal_start(&terminate, on_signal, SIGTERM));
    }
    if (good) step(bot);
    if (good && bot->result == 0) uv_run(loop, UV_RUN_DEFAULT); /* until uv_stop */
    uv_walk(loop, close_handle, NULL);
    if (uv_run(loop, UV_RUN_DEFAULT) != 0) fprintf(stderr, "uvbot: handles are still open\n");
}

int main(void) {
    static const rtm_handler handlers[] = { { "message", on_message, NULL },
                                            { "error", on_error, NULL }, { NULL, NULL, NULL } };
    rtm_config config = { .token = setting("SLACK_API_TOKEN"),
                          .app_token = setting("SLACK_APP_TOKEN"),
                          .base_url = setting("SLACK_API_URL"), .handlers = handlers };
    uv_loop_t loop;
    uv_bot bot = { .client = NULL };
    if (!check("loop", uv_loop_init(&loop))) return 1;
    if (rtm_create(&config, &bot.client) == RTM_OK) run(&bot, &loop);
    bool stopped = bot.result == RTM_E_STOPPED;
    if (!stopped) fprintf(stderr, "uvbot: %s\n", rtm_error_detail(bot.client));
    rtm_destroy(bot.client);
    if (!check("loop", uv_loop_close(&loop))) return 1;
    return stopped ? 0 : 1;
}
