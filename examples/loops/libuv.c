/* A bot in libuv's loop, beside whatever else runs there: here a timer that ticks, and Ctrl-C. It
 * answers "ticks" with their number.
 *
 * Build:  cc examples/loops/libuv.c -o uvbot -lbearssl -luv
 * Run:    SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./uvbot
 */
#define RTM_IMPLEMENTATION
#include "../rtm.h"
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

/* What a client needs in a loop: its descriptor watched, and a timer for what is due. */
typedef struct uv_bot {
    rtm_client *client;
    uv_poll_t readable;
    uv_timer_t due;
    int result; /* why it has ended */
} uv_bot;

static int ticks;

static void on_due(uv_timer_t *handle);

static void step(uv_bot *bot) {
    bot->result = rtm_poll(bot->client, 0);
    if (bot->result >= 0) { /* what is due changes with every call */
        int ms = rtm_timeout_ms(bot->client);
        if (ms < 0) uv_timer_stop(&bot->due);
        else uv_timer_start(&bot->due, on_due, (uint64_t)ms, 0);
    } else {
        uv_poll_stop(&bot->readable);
        uv_stop(bot->due.loop); /* a program with more in its loop would go on without the bot */
    }
}

static void on_readable(uv_poll_t *handle, int status, int events) {
    (void)status, (void)events;
    step(handle->data);
}

static void on_due(uv_timer_t *handle) {
    step(handle->data);
}

static void on_message(rtm_client *client, const rtm_event *event, void *user_data) {
    char channel[32], answer[64];
    (void)user_data;
    if (!rtm_json_equals(rtm_json_get(event->data, "text"), "ticks")) return;
    rtm_json_string(rtm_json_get(event->data, "channel"), channel, sizeof channel);
    snprintf(answer, sizeof answer, "%d ticks so far", ticks);
    rtm_send_message(client, channel, answer);
}

static void on_error(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client, (void)user_data;
    fprintf(stderr, "uvbot: %s\n", event->detail);
}

static void on_tick(uv_timer_t *handle) {
    (void)handle;
    ticks++;
}

static void on_signal(uv_signal_t *handle, int number) {
    (void)number;
    rtm_stop(((uv_bot *)handle->data)->client); /* makes its descriptor readable */
}

int main(void) {
    static const rtm_handler handlers[] = { { "message", on_message, NULL },
                                            { "error", on_error, NULL }, { NULL, NULL, NULL } };
    rtm_config config = { .token = getenv("SLACK_API_TOKEN"),
                          .app_token = getenv("SLACK_APP_TOKEN"),
                          .base_url = getenv("SLACK_API_URL"), .handlers = handlers };
    uv_loop_t *loop = uv_default_loop();
    uv_bot bot = { .result = rtm_create(&config, &bot.client) };
    if (bot.result == RTM_OK) {
        uv_timer_t tick;
        uv_signal_t interrupt;
        uv_poll_init(loop, &bot.readable, rtm_fd(bot.client));
        uv_timer_init(loop, &bot.due);
        uv_timer_init(loop, &tick);
        uv_signal_init(loop, &interrupt);
        bot.readable.data = bot.due.data = interrupt.data = &bot;
        uv_poll_start(&bot.readable, UV_READABLE, on_readable);
        uv_timer_start(&tick, on_tick, 1000, 1000);
        uv_signal_start(&interrupt, on_signal, SIGINT);
        step(&bot);
        uv_run(loop, UV_RUN_DEFAULT);
    }
    if (bot.result != RTM_E_STOPPED) fprintf(stderr, "uvbot: %s\n", rtm_error_detail(bot.client));
    rtm_destroy(bot.client);
    return bot.result != RTM_E_STOPPED;
}
