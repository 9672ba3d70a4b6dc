/* A bot with worker threads: it replies to "factor 1234567" with the prime factors when a thread
 * has found them. Meanwhile the bot replies to other messages.
 *
 * Build:  cc examples/threads.c -o threads -pthread -lbearssl
 * Run:    SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./threads
 *
 * A client is not thread-safe: only the main thread uses it. The workers take jobs from one queue,
 * put the results into another, and call rtm_wake, which any thread may call. The main thread sends
 * the results. Ctrl-C ends the bot.
 */
#define _POSIX_C_SOURCE 200809L
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 4, MAX_JOBS = 100, MAX_DIGITS = 18 };

typedef struct job {
    struct job *next;
    unsigned long long number;
    char channel[64];
    char result[512];
} job;

typedef struct queue {
    job *first, *last;
} queue;

/* What all threads use. The mutex protects everything but the client, which only the main thread
   uses, except for rtm_wake. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* a job has been added, or the workers shall end */
    queue waiting, done;
    int jobs; /* in the queues and in work */
    bool ending;
    rtm_client *bot;
} shared = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

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

/* These fail only if the program is wrong. */
static void must(int error) {
    if (error == 0) return;
    fprintf(stderr, "threads: %s\n", strerror(error));
    abort();
}

static void lock(void) {
    must(pthread_mutex_lock(&shared.mutex));
}

static void unlock(void) {
    must(pthread_mutex_unlock(&shared.mutex));
}

static void push(queue *to, job *it) {
    it->next = NULL;
    if (to->last) to->last->next = it;
    else to->first = it;
    to->last = it;
}

static job *pop(queue *from) {
    job *it = from->first;
    if (!it) return NULL;
    from->first = it->next;
    if (!from->first) from->last = NULL;
    return it;
}

/* ---- The workers ---- */

static bool is_ending(void) {
    lock();
    bool ending = shared.ending;
    unlock();
    return ending;
}

static void add_factor(job *it, unsigned long long factor) {
    size_t used = strlen(it->result);
    const char *sign = it->result[used - 1] == '=' ? "" : " *";
    int size = snprintf(it->result + used, sizeof it->result - used, "%s %llu", sign, factor);
    if (size < 0 || (size_t)size >= sizeof it->result - used) /* 60 factors have room */
        it->result[used] = '\0';
}

/* Slow on purpose: seconds for a large prime number. */
static void factor(job *it) {
    unsigned long long rest = it->number, divisor = 2;
    int size = snprintf(it->result, sizeof it->result, "%llu =", it->number);
    if (size < 0) return;
    while (divisor * divisor <= rest) {
        if (divisor % 1048576 == 0 && is_ending()) return;
        if (rest % divisor == 0) {
            add_factor(it, divisor);
            rest /= divisor;
        } else {
            divisor++;
        }
    }
    add_factor(it, rest);
}

/* Waits for the next job. Returns NULL if the worker shall end. */
static job *next_job(void) {
    lock();
    while (!shared.ending && !shared.waiting.first)
        must(pthread_cond_wait(&shared.changed, &shared.mutex));
    job *it = shared.ending ? NULL : pop(&shared.waiting);
    unlock();
    return it;
}

static void *work(void *unused) {
    job *it = next_job();
    (void)unused;
    while (it) {
        factor(it);
        lock();
        push(&shared.done, it);
        unlock();
        rtm_wake(shared.bot);
        it = next_job();
    }
    return NULL;
}

/* ---- The main thread ---- */

static void send_text(rtm_client *bot, const char *channel, const char *text) {
    if (rtm_send_message(bot, channel, text) < 0)
        fprintf(stderr, "threads: not sent: %s\n", rtm_error_detail(bot));
}

/* Queues a job. Returns false if there are too many, or if out of memory. */
static bool add_job(const char *channel, unsigned long long number) {
    job *it = calloc(1, sizeof *it);
    if (!it) return false;
    it->number = number;
    strcpy(it->channel, channel); /* both have the same size */
    lock();
    bool has_room = shared.jobs < MAX_JOBS;
    if (has_room) {
        push(&shared.waiting, it);
        shared.jobs++;
        must(pthread_cond_signal(&shared.changed));
    }
    unlock();
    if (!has_room) free(it);
    return has_room;
}

static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
    static const char command[] = "factor ";
    char text[64], channel[64];
    (void)user_data;
    if (rtm_json_raw(rtm_json_get(event->data, "bot_id"), NULL)) return; /* never answer a bot */
    if (!copy_string(event->data, "text", text, sizeof text)) return;
    if (!copy_string(event->data, "channel", channel, sizeof channel)) return;
    if (strncmp(text, command, strlen(command)) != 0) return;
    const char *digits = text + strlen(command);
    size_t count = strspn(digits, "0123456789");
    unsigned long long number = strtoull(digits, NULL, 10);
    if (count == 0 || count > MAX_DIGITS || digits[count] != '\0' || number < 2)
        send_text(bot, channel, "Please write: factor NUMBER, from 2, of at most 18 digits.");
    else if (!add_job(channel, number))
        send_text(bot, channel, "There is too much to do already. Please try again later.");
}

static void on_error(rtm_client *bot, const rtm_event *event, void *user_data) {
    (void)bot;
    (void)user_data;
    fprintf(stderr, "threads: %s\n",
            event->result != RTM_OK ? event->detail : "Slack reports an error");
}

/* Sends the results. Returns false if the first of them has to wait: there is no session now, or
   the queue of the client is full. */
static bool send_results(void) {
    while (true) {
        lock();
        const job *first = shared.done.first;
        unlock();
        if (!first) return true;
        int id = rtm_send_message(shared.bot, first->channel, first->result);
        if (id == RTM_E_NOT_CONNECTED || id == RTM_E_AGAIN) return false;
        if (id < 0) fprintf(stderr, "threads: not sent: %s\n", rtm_error_detail(shared.bot));
        lock();
        free(pop(&shared.done)); /* still the first: the workers add at the end */
        shared.jobs--;
        unlock();
    }
}

static void on_signal(int number) {
    (void)number;
    rtm_stop(shared.bot);
}

static bool catch_signals(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    return sigemptyset(&action.sa_mask) == 0 && sigaction(SIGINT, &action, NULL) == 0 &&
           sigaction(SIGTERM, &action, NULL) == 0;
}

/* Called before rtm_destroy: on_signal must not use a client that is freed. From here on a signal
   ends the program at once. */
static void restore_signals(void) {
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
}

static int start_workers(pthread_t *workers) {
    int count = 0;
    int error = 0;
    while (error == 0 && count < WORKERS) {
        error = pthread_create(&workers[count], NULL, work, NULL);
        if (error == 0) count++;
    }
    if (error != 0) fprintf(stderr, "threads: pthread_create: %s\n", strerror(error));
    return count;
}

static void end_workers(const pthread_t *workers, int count) {
    lock();
    shared.ending = true;
    must(pthread_cond_broadcast(&shared.changed));
    unlock();
    for (int i = 0; i < count; i++) must(pthread_join(workers[i], NULL));
}

static void free_jobs(queue *from) {
    job *it = pop(from);
    while (it) {
        free(it);
        it = pop(from);
    }
}

int main(void) {
    static const rtm_handler handlers[] = { { "message", on_message, NULL },
                                            { "error", on_error, NULL }, { NULL, NULL, NULL } };
    rtm_config config = { .token = setting("SLACK_API_TOKEN"),
                          .app_token = setting("SLACK_APP_TOKEN"),
                          .base_url = setting("SLACK_API_URL"), .handlers = handlers };
    pthread_t workers[WORKERS];
    int result = rtm_create(&config, &shared.bot);
    int count = 0;
    if (result == RTM_OK && catch_signals()) count = start_workers(workers);
    bool started = count > 0;
    while (started && result >= 0) {
        bool all_sent = send_results();
        result = rtm_poll(shared.bot, all_sent ? -1 : 1000);
    }
    bool good = result == RTM_E_STOPPED;
    if (result < 0 && !good) fprintf(stderr, "threads: %s\n", rtm_error_detail(shared.bot));
    end_workers(workers, count);
    restore_signals();
    rtm_destroy(shared.bot); /* after the last rtm_wake */
    if (shared.jobs > 0) fprintf(stderr, "threads: %d results were not sent\n", shared.jobs);
    free_jobs(&shared.waiting);
    free_jobs(&shared.done);
    return good ? 0 : 1;
}
