/* Watches a number in a file, such as a temperature, and reports in a channel when it is too high.
 *
 * Build:  cc examples/alert.c -o alert -lbearssl
 * Run:    ./alert C0123456789 /sys/class/thermal/thermal_zone0/temp 80000 70000
 *
 * with SLACK_API_TOKEN=xoxb-... in the environment (scope chat:write). The alarm begins when the
 * number is 80000 or more and ends when it is 70000 or less. Each alarm is posted once; its end is
 * posted in its thread. A file without a number is an alarm too. A fifth argument sets the interval
 * in seconds at which the file is read: 1 to 86400, default 5.
 *
 * The file is also read while Slack does not respond. Posts that wait are kept in a file in the
 * current directory, alert-HASH.queue; HASH is computed from the first four arguments. They are
 * sent later, if necessary after a restart with the same arguments. A post may be sent twice if the
 * connection or the power fails, or the program is ended, after Slack has received the post and
 * before the queue file is updated. At most 100 posts wait; while 100 wait, the number is not read.
 *
 * The program exits with status 1 if Slack refuses the token or the channel. Any other failure is
 * reported on stderr, and the post is repeated. The program needs no Slack session: it opens one
 * only if the token may use RTM.
 */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST = 100,        /* posts in the queue */
    NAME = 300,        /* bytes of FILE's and CHANNEL's name */
    VALUE = 64,        /* bytes of a number */
    RETRY_MS = 3000    /* from a failed post to the next attempt */
};

/* A post: an alarm begins, or ends, with this value. */
typedef struct post {
    bool raised;
    char value[VALUE];
} post;

static rtm_client *slack;
static struct {
    const char *channel, *file;
    double high, low;
    char queue_file[64], new_file[64], lock_file[64];
} watch;
static struct {
    bool on;         /* the alarm that was posted last has not ended */
    char thread[32]; /* its time stamp, or "-" */
    post posts[MOST];
    int count;
} queue = { .thread = "-" };
static bool posting;       /* a request for the first post is in progress */
static bool refused;       /* Slack refused the token or the channel */
static long long retry_at; /* when the next request may begin */

/* One line on stderr. rtm.h's messages have printable ASCII characters only. */
static void report(const char *subject, const char *what) {
    fprintf(stderr, "alert: %s: %s\n", subject, what);
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
    rtm_stop(slack);
}

/* A whole string as a finite number. */
static bool parse_number(const char *text, double *number) {
    char *end;
    *number = strtod(text, &end);
    return end != text && !*end && isfinite(*number);
}

/* The queue's file --------------------------------------------------------------------------- */

/* The first line is "off", or "on" and the time stamp of the alarm. Each other line is a post: "!"
   begins an alarm, "." ends one, and the value. */
static bool parse_line(const char *line, int number) {
    if (number == 1 && !strcmp(line, "off")) return true;
    if (number == 1) {
        queue.on = true;
        if (strncmp(line, "on ", 3) != 0 || strlen(line + 3) >= sizeof queue.thread) return false;
        strcpy(queue.thread, line + 3);
        return line[3] && line[3 + strspn(line + 3, "0123456789.-")] == '\0';
    }
    if (queue.count == MOST || (*line != '!' && *line != '.')) return false;
    double value;
    if (strcmp(line + 1, "no number") != 0 && !parse_number(line + 1, &value)) return false;
    post *last = &queue.posts[queue.count];
    queue.count++;
    last->raised = *line == '!';
    int length = snprintf(last->value, sizeof last->value, "%s", line + 1);
    return length < (int)sizeof last->value;
}

/* False if the file exists but cannot be used: it is not overwritten then. */
static bool load(void) {
    char line[128];
    int number = 0;
    struct stat about;
    FILE *in = NULL;
    int fd = open(watch.queue_file, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* waits for nothing */
    if (fd < 0 && errno == ENOENT) return true;
    if (fd >= 0) in = fdopen(fd, "r");
    if (!in || fstat(fd, &about) != 0) {
        report(watch.queue_file, strerror(errno));
        return false;
    }
    bool good = S_ISREG(about.st_mode);
    while (good && fgets(line, sizeof line, in)) {
        size_t length = strcspn(line, "\n");
        number++;
        good = line[length] == '\n';
        line[length] = '\0';
        good = good && parse_line(line, number);
    }
    if (ferror(in)) good = false;
    if (fclose(in) != 0) good = false;
    if (!good) report(watch.queue_file, "not a queue of this program; repair or remove it");
    return good;
}

/* Creates the new file; NULL if that fails. What is in its place is removed, not opened: it is left
   from an earlier run, or could be a FIFO, for which this program would wait. */
static FILE *create_file(void) {
    if (unlink(watch.new_file) != 0 && errno != ENOENT) return NULL;
    int fd = open(watch.new_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (fd >= 0 && !out) close(fd);
    return out;
}

/* The new name of a file survives a power failure when its directory is on the disk, too. Some file
   systems cannot do that on demand: EINVAL. */
static bool sync_directory(void) {
    int fd = open(".", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool good = fsync(fd) == 0 || errno == EINVAL;
    int error = errno;
    if (close(fd) != 0) return false;
    errno = error;
    return good;
}

/* Writes a new file and renames it, so that there is always a whole one. */
static bool save(void) {
    FILE *out = create_file();
    bool good = out != NULL;
    if (good && queue.on) good = fprintf(out, "on %s\n", queue.thread) > 0;
    if (good && !queue.on) good = fprintf(out, "off\n") > 0;
    for (int i = 0; good && i < queue.count; i++) {
        const post *next = &queue.posts[i];
        good = fprintf(out, "%c%s\n", next->raised ? '!' : '.', next->value) > 0;
    }
    if (good) good = fflush(out) == 0 && fsync(fileno(out)) == 0;
    int error = errno;
    if (out && fclose(out) != 0 && good) {
        error = errno;
        good = false;
    }
    if (good && (rename(watch.new_file, watch.queue_file) != 0 || !sync_directory())) {
        error = errno;
        good = false;
    }
    if (!good) report(watch.queue_file, strerror(error));
    return good;
}

/* One program at a time uses the queue. The lock ends with the program. */
static bool lock(void) {
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int fd = open(watch.lock_file, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        report(watch.lock_file, strerror(errno));
        return false;
    }
    if (fcntl(fd, F_SETLK, &whole) == 0) return true;
    report(watch.lock_file, "another alert with these arguments is running");
    close(fd);
    return false;
}

/* The file ------------------------------------------------------------------------------------ */

/* Reads the number; false if there is none. It never waits: what is not a regular file, such as a
   FIFO, has no number. */
static bool read_value(char *value, double *number) {
    char text[VALUE + 1];
    struct stat about;
    int fd = open(watch.file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t size = -1;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) size = read(fd, text, sizeof text - 1);
    close(fd);
    if (size <= 0) return false;
    text[size] = '\0';
    const char *start = text + strspn(text, " \t\r\n");
    size_t length = strcspn(start, " \t\r\n");
    if (length >= VALUE - 1) return false; /* it may be longer than what was read */
    memcpy(value, start, length);
    value[length] = '\0';
    return parse_number(value, number);
}

/* Compares the number with the limits, and queues a post if an alarm begins or ends. */
static void look(void) {
    char value[VALUE];
    double number = 0;
    bool raised = queue.count ? queue.posts[queue.count - 1].raised : queue.on;
    if (queue.count == MOST) return;
    bool good = read_value(value, &number);
    if (!good) strcpy(value, "no number");
    if (raised && (!good || number > watch.low)) return;
    if (!raised && good && number < watch.high) return;
    post *last = &queue.posts[queue.count];
    queue.count++;
    last->raised = !raised;
    strcpy(last->value, value);
    save(); /* it has reported a failure: the post is in memory */
}

/* Slack --------------------------------------------------------------------------------------- */

static bool is_one_of(const char *error, const char *const *list) {
    for (; *list; list++)
        if (!strcmp(error, *list)) return true;
    return false;
}

static void on_posted(rtm_client *client, const rtm_response *response, void *user_data) {
    static const char *const channel_errors[] = {
        "channel_not_found", "not_in_channel", "is_archived", "restricted_action",
        "invalid_channel", NULL
    };
    static const char *const thread_errors[] = {
        "thread_not_found", "cannot_reply_to_message", "message_not_found", "invalid_thread_ts",
        NULL
    };
    (void)user_data;
    posting = false;
    if (response->result == RTM_E_STOPPED) return;
    if (response->result != RTM_OK) {
        report("chat.postMessage", response->detail);
        retry_at = now_ms() + RETRY_MS;
        if (is_one_of(response->error, thread_errors)) strcpy(queue.thread, "-");
        refused = response->result == RTM_E_AUTH || is_one_of(response->error, channel_errors);
        if (refused) rtm_stop(client);
        return;
    }
    queue.on = queue.posts[0].raised;
    size_t length = rtm_json_string(rtm_json_get(response->data, "ts"), queue.thread,
                                    sizeof queue.thread);
    bool good = length > 0 && length < sizeof queue.thread &&
                strspn(queue.thread, "0123456789.") == length;
    if (!queue.on || !good) strcpy(queue.thread, "-");
    queue.count--;
    memmove(queue.posts, queue.posts + 1, (size_t)queue.count * sizeof *queue.posts);
    save(); /* it has reported a failure: the post may be repeated by the next start */
}

/* Begins to post the first of the queue. What is not UTF-8 in a name becomes U+FFFD. */
static void post_first(void) {
    char text[NAME + VALUE + 8], escaped[5 * sizeof text], shown[sizeof escaped + 64];
    char channel_json[6 * NAME + 3], text_json[6 * sizeof escaped], shown_json[6 * sizeof shown];
    char thread[64] = "", json[sizeof channel_json + sizeof text_json + sizeof shown_json + 256];
    const post *first = &queue.posts[0];
    int length = snprintf(text, sizeof text, "%s: %s", watch.file, first->value);
    bool fits = length >= 0 && (size_t)length < sizeof text;
    if (rtm_escape(text, escaped, sizeof escaped) >= sizeof escaped) fits = false;
    length = snprintf(shown, sizeof shown, "%s\n%s", first->raised ? ":rotating_light: *Alarm*" :
                      ":white_check_mark: *Over*", escaped);
    if (length < 0 || (size_t)length >= sizeof shown) fits = false;
    if (rtm_json_quote(watch.channel, channel_json, sizeof channel_json) >= sizeof channel_json)
        fits = false;
    if (rtm_json_quote(escaped, text_json, sizeof text_json) >= sizeof text_json) fits = false;
    if (rtm_json_quote(shown, shown_json, sizeof shown_json) >= sizeof shown_json) fits = false;
    if (!first->raised && strcmp(queue.thread, "-") != 0)
        snprintf(thread, sizeof thread, ",\"thread_ts\":\"%s\"", queue.thread); /* digits only */
    length = snprintf(json, sizeof json, "{\"channel\":%s,\"text\":%s,\"blocks\":[{\"type\":"
                      "\"section\",\"text\":{\"type\":\"mrkdwn\",\"text\":%s}}]%s}",
                      channel_json, text_json, shown_json, thread);
    if (length < 0 || (size_t)length >= sizeof json) fits = false;
    rtm_request request = { .method = "chat.postMessage", .json = json, .callback = on_posted };
    posting = fits && rtm_submit(slack, &request) > 0;
    if (posting) return;
    report("chat.postMessage", fits ? rtm_error_detail(slack) : "the post is too long");
    retry_at = now_ms() + RETRY_MS;
}

/* So that a wrong token is not found at the first alarm only. */
static void on_checked(rtm_client *client, const rtm_response *response, void *user_data) {
    (void)user_data;
    if (response->result == RTM_OK || response->result == RTM_E_STOPPED) return;
    report("auth.test", response->detail);
    refused = response->result == RTM_E_AUTH;
    if (refused) rtm_stop(client);
}

/* Looks at the file and posts, until a signal arrives or Slack refuses. */
static void run(int seconds) {
    long long look_at = now_ms();
    while (!refused) {
        long long now = now_ms();
        if (now >= look_at) {
            look();
            look_at = now + seconds * 1000LL;
        }
        if (queue.count && !posting && now >= retry_at) post_first();
        long long next = queue.count && !posting && retry_at < look_at ? retry_at : look_at;
        long long wait = next > now ? next - now : 0;
        int result = rtm_poll(slack, (int)wait);
        if (result == RTM_E_STOPPED) break;
        /* Without a session and without a request rtm_poll does not wait. A signal ends this wait:
           it is a second at most, so that one that arrived before it is noticed soon. */
        if (result < 0) poll(NULL, 0, wait > 1000 ? 1000 : (int)wait);
    }
}

/* Files of its own for each set of arguments: the name is a hash (FNV-1a) of them. */
static void name_files(char **arguments) {
    unsigned long long hash = 14695981039346656037u;
    for (int i = 1; i <= 4; i++) {
        for (size_t at = 0; at <= strlen(arguments[i]); at++) { /* the NUL too */
            hash ^= (unsigned char)arguments[i][at];
            hash *= 1099511628211u;
        }
    }
    snprintf(watch.queue_file, sizeof watch.queue_file, "alert-%016llx.queue", hash);
    snprintf(watch.new_file, sizeof watch.new_file, "alert-%016llx.queue.new", hash);
    snprintf(watch.lock_file, sizeof watch.lock_file, "alert-%016llx.queue.lock", hash);
}

static bool read_arguments(int argc, char **argv, int *seconds) {
    double number = 5;
    struct stat about;
    if (argc < 5 || argc > 6) return false;
    watch.channel = argv[1];
    watch.file = argv[2];
    if (!*watch.channel || strlen(watch.channel) > NAME) return false;
    if (!*watch.file || strlen(watch.file) > NAME) return false;
    if (!parse_number(argv[3], &watch.high) || !parse_number(argv[4], &watch.low)) return false;
    if (watch.low > watch.high) return false;
    if (argc == 6 && !parse_number(argv[5], &number)) return false;
    if (number < 1 || number > 86400) return false;
    *seconds = (int)number;
    if (stat(watch.file, &about) == 0 && !S_ISREG(about.st_mode)) {
        report(watch.file, "not a regular file");
        return false;
    }
    return true;
}

int main(int argc, char **argv) {
    rtm_config config = { .token = environment("SLACK_API_TOKEN"),
                          .base_url = environment("SLACK_API_URL"), .no_auto_reconnect = true };
    int seconds;
    if (!read_arguments(argc, argv, &seconds)) {
        fputs("usage: alert CHANNEL FILE HIGH LOW [SECONDS], with LOW <= HIGH, SECONDS >= 1\n",
              stderr);
        return 2;
    }
    name_files(argv);
    if (!lock() || !load() || !save()) return 1;
    if (rtm_create(&config, &slack) != RTM_OK) {
        report("Slack", rtm_error_detail(NULL));
        return 1;
    }
    struct sigaction action = { .sa_handler = on_signal };
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0) {
        report("sigaction", strerror(errno));
        rtm_destroy(slack);
        return 1;
    }
    if (rtm_call_async(slack, on_checked, NULL, "auth.test", NULL) < 0)
        report("auth.test", rtm_error_detail(slack));
    run(seconds);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    rtm_destroy(slack);
    return refused ? 1 : 0;
}
