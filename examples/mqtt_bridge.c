/* Posts the messages of an MQTT topic in a Slack channel.
 *
 * Build:  cc examples/mqtt_bridge.c -o mqtt_bridge -lbearssl -lmosquitto -lpthread
 * Run:    MQTT_HOST=localhost SLACK_API_TOKEN=xoxb-... ./mqtt_bridge C0123456789 'home/+/alarm'
 *
 * The token needs the scope chat:write. MQTT_PORT (1883), MQTT_USER, MQTT_PASSWORD, MQTT_CA (a file
 * of CA certificates: the connection uses TLS) and SLACK_API_URL as needed.
 *
 * Guaranteed: while the bridge is connected to the broker, each message is posted, in order, even
 * if Slack is unreachable for some time. Up to 1,000 messages wait in memory; further ones are
 * dropped, and a post says how many. After SIGTERM or SIGINT the bridge accepts no more messages
 * and posts the waiting ones, for 10 s at most; then it reports how many it did not post.
 * Not guaranteed: a message that is published while the bridge is not running, or not connected to
 * the broker, is lost, and so are the waiting messages if the bridge is killed. A message may be
 * posted twice if the network fails before Slack's response. Retained messages, which the broker
 * sends after each subscription, are not posted. Messages are truncated to 4,000 bytes.
 * Each start is a new MQTT session with an id of its own, so several bridges can run.
 *
 * libmosquitto runs in a thread of its own, which calls on_broker, on_subscribed, on_published and
 * on_lost. The main thread uses the Slack client. Both threads use the queue. No Slack session is
 * needed: the client opens one only if the token may use RTM.
 */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <errno.h>
#include <mosquitto.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST = 1000,       /* messages in the queue */
    SIZE = 4000,       /* bytes of a message */
    RETRY_MS = 3000,   /* from a failed post to the next attempt */
    TRIES = 10,        /* of a post that Slack refuses for a reason that is unknown here */
    DRAIN_MS = 10000,  /* from a signal to the end, at most */
    KEEPALIVE_S = 10   /* the broker must respond within this time */
};

static rtm_client *slack;
static const char *topic;
static volatile sig_atomic_t stopping;

/* What both threads use; the lock belongs to it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char *posts[MOST]; /* a ring of JSON strings */
    int first, count, dropped;
    bool connected;
} queue;

/* Of the main thread. */
static char *channel_json;
static bool posting; /* a request for the first post is in progress */
static bool refused; /* Slack refused the token or the channel */
static int tries;    /* of the first post */
static long long retry_at; /* when the next attempt may begin */

/* One line on stderr. rtm.h's messages have printable ASCII characters only. */
static void report(const char *subject, const char *what) {
    fprintf(stderr, "mqtt_bridge: %s: %s\n", subject, what);
}

/* An environment variable; NULL if it is unset or empty. */
static const char *environment(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static long long now_ms(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0;
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_signal(int number) {
    (void)number;
    stopping = 1;
    rtm_wake(slack);
}

/* The text as a JSON string, to be freed; NULL if out of memory. What is not UTF-8 becomes
   U+FFFD. */
static char *quote(const char *text) {
    size_t size = rtm_json_quote(text, NULL, 0) + 1;
    char *json = malloc(size);
    if (json && rtm_json_quote(text, json, size) >= size) *json = '\0';
    return json;
}

/* The queue ----------------------------------------------------------------------------------- */

/* Called with the lock held. Takes `post`, which may be NULL. */
static void push(char *post) {
    if (!post || queue.count == MOST) {
        if (!queue.dropped) report("the queue is full", "messages are dropped");
        queue.dropped++;
        free(post);
        return;
    }
    queue.posts[(queue.first + queue.count) % MOST] = post;
    queue.count++;
}

/* Frees the first post, and says in a new one how many were dropped. */
static void pop(void) {
    char text[64];
    tries = 0;
    retry_at = 0;
    pthread_mutex_lock(&lock);
    free(queue.posts[queue.first]);
    queue.first = (queue.first + 1) % MOST;
    queue.count--;
    if (queue.dropped) {
        snprintf(text, sizeof text, "(%d messages were dropped: too many at once)", queue.dropped);
        queue.dropped = 0;
        push(quote(text));
    }
    pthread_mutex_unlock(&lock);
}

/* The first post, NULL without one. It stays in the queue. */
static const char *first_post(void) {
    pthread_mutex_lock(&lock);
    const char *post = queue.count ? queue.posts[queue.first] : NULL;
    pthread_mutex_unlock(&lock);
    return post;
}

/* MQTT ---------------------------------------------------------------------------------------- */

static void on_published(struct mosquitto *mqtt, void *user_data,
                         const struct mosquitto_message *message) {
    char text[2 * SIZE + 64], escaped[5 * sizeof text];
    const unsigned char *payload = message->payload;
    size_t size = message->payloadlen > 0 ? (size_t)message->payloadlen : 0, used = 0;
    bool truncated = size > SIZE || strlen(message->topic) > SIZE - 1;
    (void)mqtt;
    (void)user_data;
    if (message->retain) return;
    if (size > SIZE) {
        size = SIZE;
        while (size > SIZE - 4 && (payload[size] & 0xc0) == 0x80) size--; /* a whole character */
    }
    int length = snprintf(text, SIZE, "%s", message->topic);
    if (length < 0) return;
    used = strlen(text);
    text[used] = ':';
    text[used + 1] = ' ';
    used += 2;
    for (size_t i = 0; i < size; i++) { /* a NUL would end the text */
        text[used] = payload[i] ? (char)payload[i] : '?';
        used++;
    }
    text[used] = '\0';
    if (truncated) strcpy(text + used, " ... (truncated)");
    char *post = rtm_escape(text, escaped, sizeof escaped) < sizeof escaped ? quote(escaped) : NULL;
    pthread_mutex_lock(&lock);
    push(post);
    pthread_mutex_unlock(&lock);
    rtm_wake(slack);
}

static void set_connected(bool connected) {
    pthread_mutex_lock(&lock);
    queue.connected = connected;
    pthread_mutex_unlock(&lock);
}

static void on_broker(struct mosquitto *mqtt, void *user_data, int code) {
    (void)user_data;
    if (code) {
        report("the broker refuses", mosquitto_connack_string(code));
        return;
    }
    set_connected(true);
    int error = mosquitto_subscribe(mqtt, NULL, topic, 1);
    if (error) report("MQTT subscription", mosquitto_strerror(error));
}

static void on_subscribed(struct mosquitto *mqtt, void *user_data, int id, int count,
                          const int *granted) {
    (void)mqtt;
    (void)user_data;
    (void)id;
    for (int i = 0; i < count; i++) {
        if (granted[i] > 2) report("the broker refuses the topic", topic);
        else report("connected to the broker", topic);
    }
}

static void on_lost(struct mosquitto *mqtt, void *user_data, int code) {
    (void)mqtt;
    (void)user_data;
    set_connected(false);
    if (code) report("the connection to the broker has ended", mosquitto_strerror(code));
}

/* Slack --------------------------------------------------------------------------------------- */

static bool is_one_of(const char *error, const char *const *list) {
    for (; *list; list++)
        if (!strcmp(error, *list)) return true;
    return false;
}

/* Slack refused, and will again. */
static bool is_final(const rtm_response *response) {
    static const char *const errors[] = {
        "channel_not_found", "not_in_channel", "is_archived", "restricted_action",
        "invalid_channel", NULL
    };
    return response->result == RTM_E_AUTH || is_one_of(response->error, errors);
}

static void on_posted(rtm_client *client, const rtm_response *response, void *user_data) {
    static const char *const temporary[] = { "internal_error", "fatal_error", "request_timeout",
                                             "service_unavailable", "team_added_to_org", NULL };
    (void)client;
    (void)user_data;
    posting = false;
    if (response->result == RTM_OK) {
        pop();
        return;
    }
    if (response->result == RTM_E_STOPPED) return;
    report("chat.postMessage", response->detail);
    refused = is_final(response);
    retry_at = now_ms() + RETRY_MS;
    if (response->result == RTM_E_SLACK && !is_one_of(response->error, temporary)) tries++;
    if (refused || tries < TRIES) return;
    report("chat.postMessage", "this message is dropped");
    pop();
}

static void post_first(const char *post) {
    size_t size = strlen(channel_json) + strlen(post) + 32;
    char *json = malloc(size);
    rtm_request request = { .method = "chat.postMessage", .json = json, .callback = on_posted };
    retry_at = now_ms() + RETRY_MS;
    if (!json) {
        report("chat.postMessage", "out of memory");
        return;
    }
    int length = snprintf(json, size, "{\"channel\":%s,\"text\":%s}", channel_json, post);
    posting = length > 0 && (size_t)length < size && rtm_submit(slack, &request) > 0;
    if (!posting) report("chat.postMessage", rtm_error_detail(slack));
    free(json);
}

/* So that a wrong token is not found at the first message only. */
static void on_checked(rtm_client *client, const rtm_response *response, void *user_data) {
    (void)client;
    (void)user_data;
    if (response->result == RTM_OK || response->result == RTM_E_STOPPED) return;
    report("auth.test", response->detail);
    refused = is_final(response);
}

/* Posts what is in the queue; `until` 0: until a signal, else until the queue is empty or it is
   that late. */
static void run(long long until) {
    long long warn_at = now_ms() + KEEPALIVE_S * 1000;
    while (!refused) {
        long long now = now_ms(), wait = 1000;
        const char *post = first_post();
        pthread_mutex_lock(&lock);
        bool connected = queue.connected;
        pthread_mutex_unlock(&lock);
        if (until ? !post || now >= until : stopping) break;
        if (connected) warn_at = now + KEEPALIVE_S * 1000;
        if (now >= warn_at) {
            report("MQTT", "no connection to the broker at MQTT_HOST");
            warn_at = now + KEEPALIVE_S * 1000;
        }
        if (post && !posting && now >= retry_at) post_first(post);
        if (post && !posting && retry_at - now < wait) wait = retry_at > now ? retry_at - now : 0;
        int result = rtm_poll(slack, (int)wait);
        /* Without a session and without a request rtm_poll does not wait. */
        struct pollfd woken = { .fd = rtm_fd(slack), .events = POLLIN };
        if (result < 0 && !posting) poll(&woken, 1, (int)wait);
    }
}

/* main ---------------------------------------------------------------------------------------- */

static int fail(const char *subject, const char *what) {
    report(subject, what);
    return 1;
}

/* A port; 0 if it is none. */
static int parse_port(const char *text) {
    char *end;
    long port = text ? strtol(text, &end, 10) : 1883;
    if (text && (*end || end == text || port < 1 || port > 65535)) return 0;
    return (int)port;
}

static struct mosquitto *begin_mqtt(void) {
    const char *host = environment("MQTT_HOST"), *ca = environment("MQTT_CA");
    struct mosquitto *mqtt = mosquitto_new(NULL, true, NULL);
    int error = mqtt ? MOSQ_ERR_SUCCESS : MOSQ_ERR_NOMEM;
    if (!error)
        error = mosquitto_username_pw_set(mqtt, environment("MQTT_USER"),
                                          environment("MQTT_PASSWORD"));
    if (!error && ca) error = mosquitto_tls_set(mqtt, ca, NULL, NULL, NULL, NULL);
    if (!error) error = mosquitto_reconnect_delay_set(mqtt, 1, 5, false);
    if (!error) {
        mosquitto_connect_callback_set(mqtt, on_broker);
        mosquitto_disconnect_callback_set(mqtt, on_lost);
        mosquitto_subscribe_callback_set(mqtt, on_subscribed);
        mosquitto_message_callback_set(mqtt, on_published);
        error = mosquitto_connect_async(mqtt, host, parse_port(environment("MQTT_PORT")),
                                        KEEPALIVE_S);
        /* What the network causes is tried again in the thread. */
        if (error == MOSQ_ERR_ERRNO || error == MOSQ_ERR_EAI) {
            report("MQTT_HOST", mosquitto_strerror(error));
            error = MOSQ_ERR_SUCCESS;
        }
    }
    if (!error) error = mosquitto_loop_start(mqtt);
    if (!error) return mqtt;
    report("MQTT (MQTT_HOST, MQTT_CA)", mosquitto_strerror(error));
    if (mqtt) mosquitto_destroy(mqtt);
    return NULL;
}

/* The thread may be in a call that waits, if there is no connection: it is cancelled then. */
static void end_mqtt(struct mosquitto *mqtt) {
    pthread_mutex_lock(&lock);
    bool connected = queue.connected;
    pthread_mutex_unlock(&lock);
    int error = mosquitto_disconnect(mqtt);
    if (error && error != MOSQ_ERR_NO_CONN) report("MQTT", mosquitto_strerror(error));
    error = mosquitto_loop_stop(mqtt, !connected);
    if (error) report("MQTT", mosquitto_strerror(error));
    mosquitto_destroy(mqtt);
}

static bool arguments_are_good(int argc, char **argv) {
    if (argc != 3 || !*argv[1] || !*argv[2]) return false;
    if (mosquitto_validate_utf8(argv[1], (int)strlen(argv[1])) != MOSQ_ERR_SUCCESS) return false;
    if (mosquitto_validate_utf8(argv[2], (int)strlen(argv[2])) != MOSQ_ERR_SUCCESS) return false;
    return mosquitto_sub_topic_check(argv[2]) == MOSQ_ERR_SUCCESS;
}

/* Runs the bridge. The Slack client exists. */
static int bridge(void) {
    struct sigaction action = { .sa_handler = on_signal };
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0)
        return fail("sigaction", strerror(errno));
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) return fail("signal", strerror(errno));
    if (rtm_call_async(slack, on_checked, NULL, "auth.test", NULL) < 0)
        return fail("auth.test", rtm_error_detail(slack));
    struct mosquitto *mqtt = begin_mqtt();
    if (!mqtt) return 1;
    run(0);
    end_mqtt(mqtt);
    run(now_ms() + DRAIN_MS);
    int lost = queue.count + queue.dropped;
    if (lost) fprintf(stderr, "mqtt_bridge: %d messages were not posted\n", lost);
    while (queue.count) pop();
    return lost || refused ? 1 : 0;
}

int main(int argc, char **argv) {
    rtm_config config = { .token = environment("SLACK_API_TOKEN"),
                          .base_url = environment("SLACK_API_URL"), .no_auto_reconnect = true };
    if (!arguments_are_good(argc, argv)) {
        fputs("usage: mqtt_bridge CHANNEL TOPIC\n", stderr);
        return 2;
    }
    if (!environment("MQTT_HOST")) return fail("MQTT_HOST", "not set");
    if (!parse_port(environment("MQTT_PORT"))) return fail("MQTT_PORT", "not a port");
    topic = argv[2];
    channel_json = quote(argv[1]);
    if (!channel_json) return fail("main", "out of memory");
    if (rtm_create(&config, &slack) != RTM_OK) {
        free(channel_json);
        return fail("Slack", rtm_error_detail(NULL));
    }
    if (mosquitto_lib_init() != MOSQ_ERR_SUCCESS) {
        rtm_destroy(slack);
        free(channel_json);
        return fail("MQTT", "libmosquitto does not work");
    }
    int code = bridge();
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    rtm_destroy(slack);
    mosquitto_lib_cleanup();
    free(channel_json);
    return code;
}
