/* Makes the calls of calls.txt with rtm.h:   calls calls.txt submit|perform

   SLACK_API_URL, SLACK_API_TOKEN and SSL_CERT_FILE are taken from the environment. Prints for each
   call its name, its result, and the members that the file asks for, as calls.js does. */
#define _GNU_SOURCE /* strchrnul */
#define RTM_IMPLEMENTATION
#include "rtm.h"

enum { MOST = 16, ROOM = 4096 };

/* One call of the file. */
typedef struct call {
    const char *name, *body, *json;
    const char *fields[2 * MOST + 1];
    size_t field_count;
    struct { const char *name, *path; } asked[MOST]; /* name: a variable; NULL: is printed */
    size_t asked_count;
    bool done;
} call;

static struct { char name[32], value[512]; } variables[MOST] = { { "server", "" } };
static char room[ROOM]; /* the values of one call, with variables replaced */
static size_t used;

static const char *variable(const char *name, size_t length) {
    for (size_t i = 0; i < MOST && *variables[i].name; i++)
        if (strlen(variables[i].name) == length && !memcmp(variables[i].name, name, length))
            return variables[i].value;
    return "";
}

static void keep(const char *name, rtm_json value) {
    size_t i = 0;
    while (*variables[i].name && strcmp(variables[i].name, name)) i++;
    snprintf(variables[i].name, sizeof variables[i].name, "%s", name);
    rtm_json_string(value, variables[i].value, sizeof variables[i].value);
}

/* Replaces the variables in a value, and "\n" by a line end if it is a string. */
static const char *fill(const char *value, bool text) {
    char *start = room + used, *out = start;
    while (*value && out < room + ROOM - 512) {
        size_t name = *value == '$' ? strspn(value + 1, "abcdefghijklmnopqrstuvwxyz") : 0;
        if (name) {
            out += sprintf(out, "%s", variable(value + 1, name));
            value += name + 1;
        } else if (text && value[0] == '\\' && value[1] == 'n') {
            *out++ = '\n';
            value += 2;
        } else {
            *out++ = *value++;
        }
    }
    *out++ = '\0';
    used = (size_t)(out - room);
    return start;
}

static void finish(rtm_client *bot, const rtm_response *response, void *user_data) {
    call *c = user_data;
    (void)bot;
    const char *error = *response->error ? response->error : "failed";
    printf("%s %s\n", c->name, response->result == RTM_OK ? "ok" : error);
    if (response->result != RTM_OK && !*response->error)
        fprintf(stderr, "calls: %s: %s\n", c->name, response->detail);
    for (size_t i = 0; i < c->asked_count; i++) {
        char text[ROOM];
        rtm_json value = rtm_json_get(response->data, c->asked[i].path);
        rtm_json_string(value, text, sizeof text);
        if (c->asked[i].name) keep(c->asked[i].name, value);
        else printf("  %s = %s\n", c->asked[i].path, text);
    }
    c->done = true;
}

static void run(rtm_client *bot, call *c, bool submit) {
    rtm_request request = { .callback = finish, .user_data = c };
    int result;
    if (*c->name == '$') request.url = fill(c->name, false);
    else request.method = c->name;
    if (c->json) request.json = c->json;
    else if (c->body) request.body = c->body, request.body_size = strlen(c->body);
    else request.fields = c->fields;
    if (submit) {
        result = rtm_submit(bot, &request);
        while (result >= 0 && !c->done) result = rtm_poll(bot, 1000);
    } else {
        rtm_response response;
        while ((result = rtm_perform(bot, &request, &response)) == RTM_E_RATE_LIMITED)
            sleep((unsigned)response.retry_after);
        finish(bot, &response, c);
        result = 0;
    }
    if (result >= 0) return;
    fprintf(stderr, "calls: %s: %s\n", c->name, rtm_error_detail(bot));
    exit(1);
}

/* "  >name=path", "  ?path", "  name=value" or "  name:value". */
static void take(call *c, char *line) {
    line += strspn(line, " ");
    char *mark = line + strcspn(line, "=:"), kind = *mark;
    if (kind) *mark++ = '\0';
    if (*line == '?') {
        c->asked[c->asked_count++].path = line + 1;
    } else if (*line == '>') {
        c->asked[c->asked_count].name = line + 1;
        c->asked[c->asked_count++].path = mark;
    } else {
        const char *value = fill(mark, kind == '=');
        if (!strcmp(line, "body")) c->body = value;
        else if (!strcmp(line, "json")) c->json = value;
        c->fields[c->field_count++] = line;
        c->fields[c->field_count++] = value;
    }
}

int main(int argc, char **argv) {
    rtm_client *bot;
    rtm_config config = { .token = getenv("SLACK_API_TOKEN"), .base_url = getenv("SLACK_API_URL") };
    static char file[65536];
    FILE *in = argc == 3 ? fopen(argv[1], "r") : NULL;
    if (!in || fread(file, 1, sizeof file - 1, in) == 0) return 2;
    fclose(in);
    if (!config.base_url || rtm_create(&config, &bot) != RTM_OK) {
        fprintf(stderr, "calls: %s\n", rtm_error_detail(NULL));
        return 1;
    }
    snprintf(variables[0].value, sizeof variables[0].value, "%.*s",
             (int)strlen(config.base_url) - (int)strlen("/api/"), config.base_url);
    call c = { 0 };
    for (char *line = file, *next; *line; line = next) {
        next = strchrnul(line, '\n');
        if (*next) *next++ = '\0';
        if (!*line || *line == '#') continue;
        if (*line == ' ') {
            take(&c, line);
            continue;
        }
        if (c.name) run(bot, &c, !strcmp(argv[2], "submit"));
        c = (call){ .name = line };
        used = 0;
    }
    rtm_destroy(bot);
    return c.name && !strcmp(c.name, "end") ? 0 : 1;
}
