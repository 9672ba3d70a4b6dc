/* A bot in GLib's main loop, which GTK programs and many system services use: the client is a
 * GSource. The bot replies to "uptime"; Ctrl-C ends it.
 *
 * Build:  cc examples/loops/glib.c -o gbot -lbearssl $(pkg-config --cflags --libs glib-2.0)
 * Run:    SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./gbot
 */
#define RTM_IMPLEMENTATION
#include "../rtm.h"
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bot_source {
    GSource source;
    rtm_client *bot;
    gpointer descriptor;
    GMainLoop *loop;
    int result; /* why it has ended */
} bot_source;

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

/* Before each wait of the loop: how long it may be. */
static gboolean bot_prepare(GSource *source, gint *timeout) {
    *timeout = rtm_timeout_ms(((bot_source *)source)->bot);
    return *timeout == 0;
}

/* After the wait: whether there is something to do. */
static gboolean bot_check(GSource *source) {
    bot_source *it = (bot_source *)source;
    return g_source_query_unix_fd(source, it->descriptor) != 0 || rtm_timeout_ms(it->bot) == 0;
}

static gboolean bot_dispatch(GSource *source, GSourceFunc callback, gpointer data) {
    bot_source *it = (bot_source *)source;
    (void)callback;
    (void)data;
    it->result = rtm_poll(it->bot, 0);
    if (it->result >= 0) return G_SOURCE_CONTINUE;
    g_main_loop_quit(it->loop); /* a program with more in its loop would continue without the bot */
    return G_SOURCE_REMOVE;
}

static GSourceFuncs functions = { bot_prepare, bot_check, bot_dispatch, NULL, NULL, NULL };

static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    char channel[64], answer[64];
    (void)user_data;
    if (!rtm_json_equals(rtm_json_get(event->data, "text"), "uptime")) return;
    if (!copy_string(event->data, "channel", channel, sizeof channel)) return;
    int size = snprintf(answer, sizeof answer, "up %d minutes",
                        (int)(g_get_monotonic_time() / 60000000));
    if (size < 0 || (size_t)size >= sizeof answer) return;
    if (rtm_send_message(bot, channel, answer) < 0)
        g_printerr("gbot: not sent: %s\n", rtm_error_detail(bot));
}

static void on_error(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    (void)user_data;
    g_printerr("gbot: %s\n", event->result != RTM_OK ? event->detail : "Slack reports an error");
}

static gboolean on_signal(gpointer bot) {
    rtm_stop(bot); /* makes its descriptor readable */
    return G_SOURCE_CONTINUE;
}

/* Runs the bot in the loop until it has ended. */
static void run(bot_source *it, GMainContext *context) {
    GSource *source = &it->source;
    it->descriptor = g_source_add_unix_fd(source, rtm_fd(it->bot), G_IO_IN);
    guint interrupt = g_unix_signal_add(SIGINT, on_signal, it->bot);
    guint terminate = g_unix_signal_add(SIGTERM, on_signal, it->bot);
    if (g_source_attach(source, context) > 0) g_main_loop_run(it->loop);
    g_source_destroy(source); /* before rtm_destroy closes the descriptor */
    if (!g_source_remove(interrupt) || !g_source_remove(terminate))
        g_printerr("gbot: the signals were not caught\n");
}

int main(void) {
    static const rtm_handler handlers[] = { { "message", on_message, NULL },
                                            { "error", on_error, NULL }, { NULL, NULL, NULL } };
    rtm_config config = { .token = setting("SLACK_API_TOKEN"),
                          .app_token = setting("SLACK_APP_TOKEN"),
                          .base_url = setting("SLACK_API_URL"), .handlers = handlers };
    GSource *source = g_source_new(&functions, sizeof(bot_source));
    bot_source *it = (bot_source *)source;
    it->loop = g_main_loop_new(NULL, FALSE);
    it->result = rtm_create(&config, &it->bot);
    if (it->result == RTM_OK) run(it, NULL);
    bool stopped = it->result == RTM_E_STOPPED;
    if (!stopped) g_printerr("gbot: %s\n", rtm_error_detail(it->bot));
    rtm_destroy(it->bot);
    g_main_loop_unref(it->loop);
    g_source_unref(source);
    return stopped ? 0 : 1;
}
