/* A bridge between MQTT and a Slack channel: what is published under one topic is posted in the
 * channel, what people write there is published under another.
 *
 * Build:  cc examples/mqtt_bridge.c -o mqtt_bridge -lbearssl -lmosquitto
 * Run:    MQTT_HOST=localhost SLACK_API_TOKEN=xoxb-... ./mqtt_bridge C0123 'home/+/alarm' home/said
 *
 * SLACK_APP_TOKEN, SLACK_API_URL, MQTT_PORT, MQTT_USER, MQTT_PASSWORD, MQTT_CA (a file:
 * TLS) as needed. While Slack is away the broker keeps the messages, while the broker is away
 * libmosquitto does. A post that the network lost is sent again, and may be seen twice.
 */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <mosquitto.h>

enum { ROOM = 64, MOST = 16, SIZE = 4000, PAUSE = 3 /* s until the next try */ };
static rtm_client *slack;
static const char *channel, *from, *to;
static char posts[ROOM][5 * SIZE]; /* a ring: what Slack has not taken yet; "&" takes 5 bytes */
static int first, count, posting, up; /* posting: the first one's request, or 0; up: MQTT is */
static time_t again, dial; /* when the next post, or connection to the broker, may begin */

static void say(const char *line, void *user_data) { (void)user_data, fprintf(stderr, "%s\n", line); }
static void on_signal(int number) { (void)number, rtm_stop(slack); }

static void on_posted(rtm_client *bot, const rtm_response *got, void *user_data) {
    (void)bot, posting = 0;
    if (got->result != RTM_OK) say(got->detail, user_data);
    if (got->result == RTM_OK || got->result == RTM_E_SLACK) first = (first + 1) % ROOM, count--;
    else again = time(NULL) + PAUSE; /* that was not the post's fault */
}

static void on_published(struct mosquitto *mqtt, void *user_data, const struct mosquitto_message *got) {
    char text[SIZE];
    (void)mqtt;
    if (got->retain) return; /* old news, which comes with each subscription */
    int size = snprintf(text, SIZE, "%s: %.*s", got->topic, got->payloadlen, (char *)got->payload);
    if (size >= SIZE || count == ROOM) say("a message is too long, or one too many", user_data);
    else rtm_escape(text, posts[(first + count++) % ROOM], sizeof *posts);
}

static void on_broker(struct mosquitto *mqtt, void *user_data, int refused) {
    if (refused) say(mosquitto_connack_string(refused), user_data);
    else up = 1, mosquitto_subscribe(mqtt, NULL, from, 1);
}

static void on_message(rtm_client *bot, const rtm_event *event, void *mqtt) {
    static char text[4 * 40000 + 1], *in, *out; /* Slack's longest */
    if (!rtm_json_equals(rtm_json_get(event->data, "channel"), channel)) return;
    if (rtm_json_raw(rtm_json_get(event->data, "bot_id"), NULL)) return; /* what it posted itself */
    if (!rtm_json_string(rtm_json_get(event->data, "text"), text, sizeof text)) return; /* edits */
    for (in = out = text; *in; out++) { /* what rtm_escape does, undone */
        *out = !strncmp(in, "&lt;", 4) ? '<' : !strncmp(in, "&gt;", 4) ? '>' : *in;
        in += *out != *in ? 4 : !strncmp(in, "&amp;", 5) ? 5 : 1;
    }
    int error = mosquitto_publish(mqtt, NULL, to, (int)(out - text), text, 1, false);
    if (error && error != MOSQ_ERR_NO_CONN) say(mosquitto_strerror(error), bot);
}

int main(int argc, char **argv) {
    const char *host = getenv("MQTT_HOST"), *ca = getenv("MQTT_CA");
    int port = getenv("MQTT_PORT") ? atoi(getenv("MQTT_PORT")) : 1883, ended = 0;
    rtm_config cfg = { .token = getenv("SLACK_API_TOKEN"), .app_token = getenv("SLACK_APP_TOKEN"),
                       .base_url = getenv("SLACK_API_URL"), .log = say };
    bool circle = true;
    if (argc == 4) mosquitto_topic_matches_sub(from = argv[2], to = argv[3], &circle);
    if (circle) return say("usage: mqtt_bridge CHANNEL FROM TO, where TO is not in FROM", NULL), 2;
    mosquitto_lib_init();
    struct mosquitto *mqtt = mosquitto_new(channel = argv[1], false, NULL); /* it will be back */
    mosquitto_username_pw_set(mqtt, getenv("MQTT_USER"), getenv("MQTT_PASSWORD"));
    if (ca && mosquitto_tls_set(mqtt, ca, NULL, NULL, NULL, NULL)) return say("MQTT_CA?", NULL), 1;
    mosquitto_connect_callback_set(mqtt, on_broker);
    mosquitto_message_callback_set(mqtt, on_published);
    if (rtm_create(&cfg, &slack) != RTM_OK) return say(rtm_error_detail(NULL), NULL), 1;
    rtm_on(slack, "message", on_message, mqtt);
    signal(SIGINT, on_signal), signal(SIGTERM, on_signal), signal(SIGPIPE, SIG_IGN);
    for (; ended >= 0; ended = rtm_poll(slack, 0)) {
        time_t late = mosquitto_socket(mqtt) < 0 ? dial : up ? time(NULL) + 1 : dial + 2 * PAUSE;
        if (time(NULL) >= late) { /* the connection is lost, or does not come about */
            up = 0, dial = time(NULL) + PAUSE;
            if (mosquitto_connect_async(mqtt, host, port, 60)) say("no broker at MQTT_HOST", NULL);
        }
        if (count && !posting && time(NULL) >= again)
            posting = rtm_call_async(slack, on_posted, NULL, "chat.postMessage", "channel", channel,
                                     "text", posts[first], NULL);
        if (posting < 0) say(rtm_error_detail(slack), NULL); /* not UTF-8 */
        if (posting < 0) posting = 0, first = (first + 1) % ROOM, count--;
        int wait = rtm_timeout_ms(slack), read = !up || (rtm_is_connected(slack) && count < MOST);
        struct pollfd fds[] = { { rtm_fd(slack), POLLIN, 0 }, { mosquitto_socket(mqtt), 0, 0 } };
        fds[1].events = (short)((read ? POLLIN : 0) | (mosquitto_want_write(mqtt) ? POLLOUT : 0));
        int most = up ? 1000 : 100; /* libmosquitto has timers, and no end to a broken handshake */
        poll(fds, up ? 2 : 1, wait < 0 || wait > most ? most : wait);
        if (!up) poll(fds + 1, 1, 0);
        if (fds[1].revents & ~POLLOUT) mosquitto_loop_read(mqtt, 1);
        if (fds[1].revents & POLLOUT) mosquitto_loop_write(mqtt, 1);
        mosquitto_loop_misc(mqtt);
    }
    mosquitto_disconnect(mqtt), mosquitto_destroy(mqtt), rtm_destroy(slack);
    return ended != RTM_E_STOPPED;
}
