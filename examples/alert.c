/* Watches a number in a file, such as a temperature, and tells a channel when it is too high: an
 * alarm once, and in its thread that all is well again. A file without a number is an alarm too.
 *
 * Build:  cc examples/alert.c -o alert -lbearssl
 * Run:    ./alert C0123456789 /sys/class/thermal/thermal_zone0/temp 80000 70000
 *
 * with SLACK_API_TOKEN=xoxb-... in the environment. The alarm goes off at the first number and ends
 * at the second; a third is the seconds between two looks. What could not be told waits in the file
 * alert.queue, for the next start too; a program that is killed between Slack's answer and that
 * file tells it twice.
 */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 100 };

/* alert.queue: the time stamp of the alarm that is on, or "-"; then what is to be told, by lines:
   "!" begins an alarm, "." its end. */
static struct {
    char thread[32], text[MOST][200];
    int count;
} queue = { .thread = "-" };

static void load(void) {
    FILE *in = fopen("alert.queue", "r");
    if (!in) return;
    if (fscanf(in, "%31s ", queue.thread) != 1) strcpy(queue.thread, "-");
    while (queue.count < MOST && fscanf(in, "%199[^\n] ", queue.text[queue.count]) == 1)
        queue.count += *queue.text[queue.count] == '!' || *queue.text[queue.count] == '.';
    fclose(in);
}

/* The whole of it or the old one, also when the power fails. */
static void save(void) {
    FILE *out = fopen("alert.queue.new", "w");
    bool good = out && fprintf(out, "%s\n", queue.thread) > 0;
    for (int i = 0; good && i < queue.count; i++) good = fprintf(out, "%s\n", queue.text[i]) > 0;
    good = good && !fflush(out) && !fsync(fileno(out));
    if (out) fclose(out);
    if (!good || rename("alert.queue.new", "alert.queue")) perror("alert: alert.queue");
}

static void push(bool raised, const char *file, const char *value) {
    char escaped[160], *line = queue.text[queue.count++];
    rtm_escape(file, escaped, sizeof escaped);
    snprintf(line, sizeof *queue.text, "%c%s: %s", raised ? '!' : '.', escaped, value);
    for (char *c = line; *c; c++) if ((unsigned char)*c < ' ' || *c == '"' || *c == '\\') *c = '?';
    save();
}

/* Tells Slack the first of the queue, whose answer names the thread for the end of an alarm. */
static rtm_result tell(rtm_client *slack, const char *channel, rtm_response *response) {
    char blocks[512], *line = *queue.text;
    bool raised = *line++ == '!';
    snprintf(blocks, sizeof blocks, "[{\"type\":\"section\",\"text\":{\"type\":\"mrkdwn\",\"text\":"
             "\"%s\\n%s\"}}]", raised ? ":rotating_light: *Alarm*" : ":white_check_mark: *Over*",
             line);
    rtm_call(slack, response, "chat.postMessage", "channel", channel, "text", line, "blocks",
             blocks, "thread_ts", raised ? NULL : queue.thread, NULL);
    if (response->result != RTM_OK) return response->result;
    strcpy(queue.thread, "-");
    rtm_json ts = rtm_json_get(response->data, "ts");
    if (raised) rtm_json_string(ts, queue.thread, sizeof queue.thread);
    memmove(queue.text[0], queue.text[1], (size_t)--queue.count * sizeof *queue.text);
    save();
    return RTM_OK;
}

int main(int argc, char **argv) {
    rtm_config config = { .token = getenv("SLACK_API_TOKEN"), .base_url = getenv("SLACK_API_URL") };
    rtm_client *slack;
    if (argc < 5) return fputs("usage: alert CHANNEL FILE HIGH LOW [SECONDS]\n", stderr), 2;
    double high = atof(argv[3]), low = atof(argv[4]);
    if (rtm_create(&config, &slack) != RTM_OK)
        return fprintf(stderr, "alert: %s\n", rtm_error_detail(NULL)), 1;
    load();
    for (int wait = argc > 5 ? atoi(argv[5]) : 5, more = 0;; sleep((unsigned)(wait + more))) {
        rtm_response response = { .result = RTM_OK };
        char value[40] = "no number";
        FILE *in = fopen(argv[2], "r");
        if (in && fscanf(in, "%39s", value) != 1) strcpy(value, "no number");
        if (in) fclose(in);
        char *end;
        double now = strtod(value, &end);
        bool bad = *end || end == value;
        bool raised = queue.count ? *queue.text[queue.count - 1] == '!' : *queue.thread != '-';
        if (queue.count < MOST && (raised ? !bad && now <= low : bad || now >= high))
            push(!raised, argv[2], value);
        while (queue.count && tell(slack, argv[1], &response) == RTM_OK) {}
        more = response.retry_after;
        if (response.result == RTM_OK) continue;
        fprintf(stderr, "alert: %s\n", response.detail);
        if (response.result != RTM_E_RATE_LIMITED && response.status == 200) return 1; /* refused */
    }
}
