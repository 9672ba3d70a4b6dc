/* A bot for socket_mode.mjs: it posts a report of each event that it receives, and does what the
 * event asks for. Its clock is advanced instead of waiting.
 *
 *   SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... SLACK_API_URL=... socket_mode
 *
 * A report is "TYPE|MARK|ENVELOPE|RESULTS": `mark` is a member of the event's data, as are the
 * orders: `call` (a blocking call of api.test), `answer` (rtm_reply with this value, twice), `skip`
 * (advance the clock by this many milliseconds), `freeze` (true: stop the clock; false: let it
 * continue), `stop`. For `close` the mark is the code, for `error` the result; instead of the
 * envelope both have the seconds until the next attempt.
 */
static long long now_ms(void);
#define RTM_NOW_MS() now_ms()
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long long skipped, frozen_at; /* 0: the clock is not frozen */

static long long real_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static long long now_ms(void) {
    return skipped + (frozen_at ? frozen_at : real_ms());
}

static void post(rtm_client *bot, const rtm_event *event, const char *mark, const char *envelope,
                 const char *results) {
    char text[400];
    const char *const fields[] = { "channel", "C1", "text", text, NULL };
    const rtm_request request = { .method = "chat.postMessage", .fields = fields,
                                  .timeout_ms = 3600000 }; /* the clock skips minutes */
    snprintf(text, sizeof text, "%s|%s|%s|%s", event->type, mark, envelope, results);
    int id = rtm_submit(bot, &request);
    if (id < 0 && id != RTM_E_STOPPED) {
        printf("socket_mode: not posted: %s\n", rtm_error_detail(bot));
        exit(1);
    }
}

static void on_end(rtm_client *bot, const rtm_event *event, void *user_data) {
    char mark[16], wait[16];
    (void)user_data;
    printf("socket_mode: %s %d: %s\n", event->type, event->code, event->detail);
    snprintf(mark, sizeof mark, "%d", *event->type == 'c' ? event->code : event->result);
    snprintf(wait, sizeof wait, "%d", event->retry_ms < 0 ? -1 : event->retry_ms / 1000);
    post(bot, event, mark, wait, "");
    if (event->retry_ms > 0) skipped += event->retry_ms;
}

static void on_anything(rtm_client *bot, const rtm_event *event, void *user_data) {
    static char answer[32768];
    char mark[64], envelope[64], results[64] = "";
    rtm_json json = rtm_json_get(event->data, "answer");
    size_t size = 0, used = 0;
    if (!strcmp(event->type, "close") || !strcmp(event->type, "error")) {
        on_end(bot, event, user_data);
        return;
    }
    rtm_json_string(rtm_json_get(event->data, "mark"), mark, sizeof mark);
    rtm_json_string(rtm_json_get(event->envelope, "envelope_id"), envelope, sizeof envelope);
    skipped += rtm_json_int(rtm_json_get(event->data, "skip"), 0);
    bool freeze = rtm_json_bool(rtm_json_get(event->data, "freeze"), frozen_at != 0);
    if (freeze != (frozen_at != 0)) frozen_at = freeze ? real_ms() : 0;
    if (rtm_json_bool(rtm_json_get(event->data, "call"), false)) {
        int result = rtm_call(bot, NULL, "api.test", "mark", mark, NULL);
        used += (size_t)snprintf(results, sizeof results, "%d,", result);
    }
    const char *text = rtm_json_raw(json, &size);
    if (text && size < sizeof answer) {
        memcpy(answer, text, size);
        answer[size] = '\0';
        rtm_result first = rtm_reply(bot, event, answer), second = rtm_reply(bot, event, answer);
        snprintf(results + used, sizeof results - used, "%d,%d", first, second);
    }
    post(bot, event, mark, envelope, results);
    if (rtm_json_bool(rtm_json_get(event->data, "stop"), false)) rtm_stop(bot);
}

static void on_log(const char *line, void *user_data) {
    (void)user_data;
    printf("socket_mode: | %s\n", line);
}

int main(void) {
    static const rtm_handler handlers[] = { { "*", on_anything, NULL }, { NULL, NULL, NULL } };
    rtm_config config = { .app_token = getenv("SLACK_APP_TOKEN"),
                          .token = getenv("SLACK_API_TOKEN"), .base_url = getenv("SLACK_API_URL"),
                          .max_queue_size = 1 << 20, .handlers = handlers, .log = on_log };
    rtm_client *bot;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (rtm_create(&config, &bot) != RTM_OK) {
        printf("socket_mode: %s\n", rtm_error_detail(NULL));
        return 1;
    }
    rtm_result result = rtm_run(bot);
    printf("socket_mode: %s\n", result == RTM_OK ? "stopped" : rtm_error_detail(bot));
    rtm_destroy(bot);
    return -result;
}
