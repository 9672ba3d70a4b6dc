/* console.c - the lines that are typed or read from a script.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"

static struct { /* the current line */
    char *line;
    lws_usec_t deadline;
    lws_sorted_usec_list_t timer;
    long progress;
    bool lonely; /* it waits for a bot to connect */
} work;

enum verdict { DONE, AGAIN, WRONG }; /* AGAIN: try the same line again later; WRONG: usage */

#define COMMAND(name) static enum verdict name(UNUSED char *args)

/* Takes a number from the front of `*args`. */
static bool number(char **args, long least, long most, long *result) {
    char *end;
    errno = 0;
    *result = strtol(*args, &end, 10);
    if (end == *args || errno || (*end && *end != ' ')) return false;
    *args = end + strspn(end, " ");
    return *result >= least && *result <= most;
}

bool last_number(char *args, long least, long most, long *result) {
    return number(&args, least, most, result) && !*args;
}

static void wake(UNUSED lws_sorted_usec_list_t *timer) { lws_cancel_service(box.context); }

/* Whether less than `ms` milliseconds have passed since the first call for the current line. */
static bool still_time(long ms) {
    if (!work.deadline) {
        work.deadline = lws_now_usecs() + ms * LWS_US_PER_MS;
        lws_sul_schedule(box.context, 0, &work.timer, wake, ms * LWS_US_PER_MS);
    }
    return lws_now_usecs() < work.deadline;
}

/* Whether a bot is connected and the queues have room; else the line must wait. */
static bool ready(void) {
    bool any = false, room = true;
    for EACH_BOT(conn) {
        any = true;
        room &= conn->queued < HIGH_WATER;
    }
    if (!any && !work.lonely) say("sandbox", "no bot is connected, waiting for one");
    work.lonely = !any;
    return any && room;
}

static enum verdict human(const char *text) {
    if (!*text) return DONE;
    if (!ready()) return AGAIN;
    say("human", "%s", text);
    static const char event[] = "{'type':'%s','channel':'C0SANDBOX','channel_type':'channel',"
                                "'user':'U0HUMAN','text':'%s','ts':'%s','event_ts':'%s',"
                                "'team':'T0SANDBOX'}";
    char *escaped = escape_typed(text), *ts = need(strdup(new_ts()));
    char *message = json(event, "message", escaped, ts, ts);
    keep("C0SANDBOX", message);
    broadcast_and_free(message);
    if (strstr(escaped, "<@U0BOT>")) { /* RTM has no such event */
        char *mention = json(event, "app_mention", escaped, ts, ts);
        send_to_app(mention);
        free(mention);
    }
    free(escaped);
    free(ts);
    return DONE;
}

COMMAND(cmd_share) {
    if (!*args) return WRONG;
    char *files = share(args);
    if (!files) {
        warn("cannot share %s: %s", args, strerror(errno));
        return input.is_person ? DONE : WRONG;
    }
    say("human", "shares %s", args);
    char *event = json("{'type':'message','subtype':'file_share','channel':'C0SANDBOX',"
                       "'channel_type':'channel','user':'U0HUMAN','text':'','ts':'%s',"
                       "'team':'T0SANDBOX','upload':false,'files':%j}", new_ts(), files);
    free(files);
    keep("C0SANDBOX", event);
    broadcast_and_free(event);
    return DONE;
}

COMMAND(cmd_scope) {
    orders.no_files = !strcmp(args, "off");
    if (!orders.no_files && strcmp(args, "on") != 0) return WRONG;
    say("slack", "/scope: the token has %s", orders.no_files ? "no files:read" : "files:read");
    return DONE;
}

COMMAND(cmd_goodbye) {
    say("slack", "/goodbye: sent");
    for EACH_BOT(conn) {
        if (conn->is_app) continue;
        send_text(conn, "{\"type\":\"goodbye\"}");
        conn->leaving = true; /* later events go to the connection that replaces it */
        end_later(conn, SEND_CLOSE);
    }
    return DONE;
}

COMMAND(cmd_close) {
    long code = LWS_CLOSE_STATUS_NORMAL;
    if (*args && !number(&args, 0, 65535, &code)) return WRONG;
    if (strlen(args) > 123) return WRONG;
    say("slack", "/close: CLOSE %ld sent", code);
    for EACH_BOT(conn) send_close(conn, (int)code, args);
    return DONE;
}

COMMAND(cmd_drop) {
    say("slack", "/drop: connection cut");
    for EACH_BOT(conn) cut(conn, CUT_FIN);
    return DONE;
}

COMMAND(cmd_reset) {
    say("slack", "/reset: connection reset");
    for EACH_BOT(conn) cut(conn, CUT_RST);
    return DONE;
}

COMMAND(cmd_migrate) {
    say("slack", "/migrate: team_migration_started, connection closed");
    broadcast("{\"type\":\"team_migration_started\"}");
    for EACH_BOT(conn) send_close(conn, LWS_CLOSE_STATUS_NORMAL, "");
    return DONE;
}

COMMAND(cmd_error) {
    long code;
    if (!number(&args, 0, 65535, &code) || !*args) return WRONG;
    say("slack", "/error: %ld %s", code, args);
    char *text = json("{'type':'error','error':{'code':%d,'msg':'%s'}}", (int)code, args);
    broadcast(text);
    free(text);
    return DONE;
}

COMMAND(cmd_typing) {
    say("human", "is typing");
    broadcast_event("{\"type\":\"user_typing\",\"channel\":\"C0SANDBOX\",\"user\":\"U0HUMAN\"}");
    return DONE;
}

COMMAND(cmd_event) {
    if (!*args) return WRONG;
    say("slack", "/event: %s", args);
    broadcast_and_free(json("{'type':'%s'}", args));
    return DONE;
}

COMMAND(cmd_raw) {
    say("slack", "/raw: %.60s%s", args, strlen(args) > 60 ? "..." : "");
    broadcast(args);
    return DONE;
}

/* An event like those of Slack, of about 430 bytes on average. */
static void flood_one(long i) {
    static const char words[] = "the build of the night is green again but the one before it "
                                "was not and no one knows why, so would you look at it please";
    char event[1024];
    int size = (int)(i * 37 % 121);
    snprintf(event, sizeof event,
             "{\"type\":\"message\",\"channel\":\"C0SANDBOX\",\"user\":\"U0HUMAN\","
             "\"client_msg_id\":\"5f2b9f3c-6a51-4c0e-9d7a-%012ld\",\"text\":\"#%ld %.*s\","
             "\"ts\":\"%s\",\"team\":\"T0SANDBOX\",\"blocks\":[{\"type\":\"rich_text\","
             "\"block_id\":\"bX%03ld\",\"elements\":[{\"type\":\"rich_text_section\","
             "\"elements\":[{\"type\":\"text\",\"text\":\"#%ld %.*s\"}]}]}]}",
             i, i, size, words, new_ts(), i % 1000, i, size, words);
    broadcast_event(event);
}

COMMAND(cmd_flood) {
    long count;
    if (!last_number(args, 1, 100000000, &count)) return WRONG;
    while (work.progress < count) {
        if (!ready()) return AGAIN;
        flood_one(++work.progress);
    }
    say("human", "/flood: %ld messages", count);
    return DONE;
}

/* Limits one method for some seconds, or the next call of any method. */
COMMAND(cmd_ratelimit) {
    long seconds;
    size_t size = strcspn(args, " ");
    if (last_number(args, 0, 86400, &seconds)) {
        orders.ratelimit = (int)seconds;
        return DONE;
    }
    if (!args[size] || !last_number(args + size + 1, 0, 86400, &seconds)) return WRONG;
    args[size] = '\0';
    if (!find_method(args)) return WRONG;
    limit_method(args, seconds);
    say("slack", "/ratelimit: %s for %ld s", args, seconds);
    return DONE;
}

COMMAND(cmd_slow) {
    if (!last_number(args, 0, 86400000, &orders.slow_ms)) return WRONG;
    say("slack", "/slow: the Web API answers after %ld ms", orders.slow_ms);
    return DONE;
}

/* An action of a user in Socket Mode, to which the app replies. */
static enum verdict interact(const char *type, const char *label, char *payload,
                             const char *view) {
    bool possible = app_connections() > 0;
    if (possible) send_envelope(type, label, payload, true, view);
    else warn("%s: no app is connected in Socket Mode", label);
    free(payload);
    return possible ? DONE : WRONG;
}

#define PERSON "'team':{'id':'T0SANDBOX'},'user':{'id':'U0HUMAN','username':'human'}," \
               "'api_app_id':'A0SANDBOX','trigger_id':'13.%s'"

COMMAND(cmd_slash) {
    char *name = strsep(&args, " ");
    if (*name != '/') return WRONG;
    say("human", "%s%s%s", name, args ? " " : "", args ? args : "");
    char *url = new_response_url(name);
    char *payload = json("{'token':'x','team_id':'T0SANDBOX','team_domain':'sandbox',"
                         "'channel_id':'C0SANDBOX','channel_name':'general','user_id':'U0HUMAN',"
                         "'user_name':'human','command':'%s','text':'%s','api_app_id':'A0SANDBOX',"
                         "'response_url':'%s','trigger_id':'13.%s'}", name, args ? args : "", url,
                         new_ts());
    free(url);
    return interact("slash_commands", name, payload, "");
}

/* The members of an interaction's payload that tell where an element is; to be freed. */
static char *place_of(const char *action, struct element *found) {
    const char *channel = "C0SANDBOX";
    char *view = view_with(action, found);
    if (view) {
        char *place = json("'container':{'type':'view'},'view':%j", view);
        free(view);
        return place;
    }
    const cJSON *message = message_with(action, found, &channel);
    char *text = message ? need(cJSON_PrintUnformatted(message))
                         : json("{'type':'message','ts':'%s'}", new_ts());
    cJSON *parsed = need(cJSON_Parse(text));
    char *object = channel_object(channel);
    char *place = json("'container':{'type':'message','message_ts':'%s','channel_id':'%s'},"
                       "'channel':%j,'message':%j", member(parsed, "ts"), channel, object, text);
    free(object);
    free(text);
    cJSON_Delete(parsed);
    return place;
}

static const char *id_of_block(const struct element *found) {
    const char *id = member(found->block, "block_id");
    return *id ? id : "b1";
}

/* The clicked element, with the value that was typed, or the element's own value. */
static char *action_object(const char *action, const struct element *found, const char *value) {
    const char *type = member(found->element, "type");
    char *text = json("{'type':'%s','action_id':'%s','block_id':'%s','action_ts':'%s'}",
                      *type ? type : "button", action, id_of_block(found), new_ts());
    cJSON *object = need(cJSON_Parse(text));
    free(text);
    set_value(object, found->element, value ? value : member(found->element, "value"));
    text = need(cJSON_PrintUnformatted(object));
    cJSON_Delete(object);
    return text;
}

COMMAND(cmd_click) {
    char *action = strsep(&args, " ");
    struct element found = { NULL, NULL };
    if (!*action) return WRONG;
    say("human", "clicks %s", action);
    char *place = place_of(action, &found), *url = new_response_url(action);
    char *object = action_object(action, &found, args);
    char *payload = json("{'type':'block_actions'," PERSON ",%j,'response_url':'%s',"
                         "'actions':[%j]}", new_ts(), place, url, object);
    free(object);
    free(url);
    free(place);
    return interact("interactive", action, payload, "");
}

COMMAND(cmd_submit) {
    char *name = strsep(&args, " "), empty[] = "";
    if (!*name) return WRONG;
    const char *found = view_id(name);
    if (!found) {
        warn("/submit %s: no such view is open", name);
        return input.is_person ? DONE : WRONG;
    }
    char *id = need(strdup(found)), *view = submit_view(id, args ? args : empty);
    enum verdict verdict = WRONG;
    if (view) {
        say("human", "submits %s", name);
        char *payload = json("{'type':'view_submission'," PERSON ",'view':%j,"
                             "'response_urls':[]}", new_ts(), view);
        verdict = interact("interactive", name, payload, id);
    }
    free(view);
    free(id);
    return verdict;
}

COMMAND(cmd_suggest) {
    char *action = strsep(&args, " ");
    struct element found = { NULL, NULL };
    if (!*action || !args) return WRONG;
    say("human", "types \"%s\" into %s", args, action);
    char *place = place_of(action, &found);
    char *payload = json("{'type':'block_suggestion'," PERSON ",%j,'action_id':'%s',"
                         "'block_id':'%s','value':'%s'}", new_ts(), place, action,
                         id_of_block(&found), args);
    free(place);
    return interact("interactive", action, payload, "");
}

COMMAND(cmd_refresh) { return disconnect_apps("refresh_requested", true, SEND_CLOSE), DONE; }
COMMAND(cmd_warning) { return disconnect_apps("warning", true, CUT_FIN), DONE; }
COMMAND(cmd_toomany) { return disconnect_apps("too_many_websockets", false, SEND_CLOSE), DONE; }

COMMAND(cmd_link) {
    orders.link_off = !strcmp(args, "off");
    if (!orders.link_off && strcmp(args, "on") != 0) return WRONG;
    if (orders.link_off) disconnect_apps("link_disabled", false, SEND_CLOSE);
    else say("slack", "/link: Socket Mode is on again");
    return DONE;
}

/* Every method's name has a dot. Without a method, the calls that open a session fail. */
COMMAND(cmd_fail) {
    char *method = strchr(args, '.') ? strsep(&args, " ") : NULL;
    char *code = args ? strsep(&args, " ") : NULL;
    long count = 1;
    if (!code || !*code || strlen(code) >= sizeof orders.fail_code) return WRONG;
    if (args && !last_number(args, 1, 1000000, &count)) return WRONG;
    if (method) return fail_method(method, code, count) ? DONE : WRONG;
    snprintf(orders.fail_code, sizeof orders.fail_code, "%s", code);
    orders.fail_count = (int)count;
    return DONE;
}

static enum verdict status_and_count(char *args, int *status, int *count) {
    long first, second = 1;
    if (!number(&args, 200, 599, &first)) return WRONG;
    if (*args && !last_number(args, 1, 1000000, &second)) return WRONG;
    *status = (int)first;
    *count = (int)second;
    return DONE;
}

COMMAND(cmd_http) { return status_and_count(args, &orders.http_status, &orders.http_count); }
COMMAND(cmd_refuse) { return status_and_count(args, &orders.refuse_status, &orders.refuse_count); }

COMMAND(cmd_mute) {
    say("slack", "/mute: no answer to anything");
    orders.muted = true;
    for (struct conn *conn = box.conns; conn; conn = conn->next) regulate(conn);
    return DONE;
}

/* Clients that have closed meanwhile must not count as bots for the next line, and Web API calls
   that got no response must not get one now. */
COMMAND(cmd_unmute) {
    say("slack", "/unmute: responding again");
    orders.muted = false;
    for (struct conn *conn = box.conns; conn; conn = conn->next) {
        struct pollfd fd = { lws_get_socket_fd(conn->wsi), POLLRDHUP, 0 };
        if (conn->deaf && (!conn->is_ws || poll(&fd, 1, 0) > 0)) {
            conn->leaving = true;
            lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
        }
        regulate(conn);
    }
    return DONE;
}

COMMAND(cmd_wait) {
    long wanted = 1, count = 0;
    if (*args && !last_number(args, 1, 1000, &wanted)) return WRONG;
    for EACH_BOT(conn) count++;
    return count < wanted ? AGAIN : DONE;
}

COMMAND(cmd_note) {
    say("note", "%s", args);
    return DONE;
}

COMMAND(cmd_expect) {
    bool found = false;
    if (!*args) return WRONG;
    while (seen_first && !found) {
        found = strstr(seen_first->text, args) != NULL;
        drop_seen();
    }
    if (!found && still_time(EXPECT_SECONDS * 1000L)) return AGAIN;
    if (found) {
        say("sandbox", "/expect %s: seen", args);
        return DONE;
    }
    warn("/expect %s: the bot has not said this within %d s", args, EXPECT_SECONDS);
    if (input.is_person) return DONE;
    box.status = 1;
    box.done = true;
    return DONE;
}

COMMAND(cmd_sleep) {
    long ms;
    if (!last_number(args, 1, 86400000, &ms)) return WRONG;
    return still_time(ms) ? AGAIN : DONE;
}

COMMAND(cmd_later) {
    long seconds;
    if (!last_number(args, 1, 1000000, &seconds)) return WRONG;
    box.skipped += seconds * LWS_US_PER_SEC;
    say("slack", "/later: %ld s have passed", seconds);
    tick();
    return DONE;
}

COMMAND(cmd_quit) {
    bool busy = false;
    for (struct conn *conn = box.conns; conn; conn = conn->next) busy |= conn->head != NULL;
    if (busy && still_time(1000)) return AGAIN; /* what was sent before shall go out */
    box.done = true;
    return DONE;
}

COMMAND(cmd_help);

static const struct command {
    const char *name, *args, *help;
    bool needs_bot;
    enum verdict (*run)(char *args);
} commands[] = {
    { "share", "FILE", "share FILE: a message with files", true, cmd_share },
    { "scope", "on|off", "give or take the token's scope files:read", false, cmd_scope },
    { "goodbye", "", "send goodbye; close 10 s later", true, cmd_goodbye },
    { "close", "[CODE [REASON]]", "send a CLOSE frame", true, cmd_close },
    { "drop", "", "end the TCP connection (FIN), with no CLOSE", true, cmd_drop },
    { "reset", "", "reset the TCP connection (RST)", true, cmd_reset },
    { "migrate", "", "send team_migration_started, then close", true, cmd_migrate },
    { "error", "CODE MESSAGE", "send an error event", true, cmd_error },
    { "typing", "", "send a typing indicator", true, cmd_typing },
    { "event", "TYPE", "send an event with only this type", true, cmd_event },
    { "raw", "TEXT", "send this verbatim, as one text frame", true, cmd_raw },
    { "flood", "N", "send N messages as fast as the bot reads them", true, cmd_flood },
    { "ratelimit", "[METHOD] SECONDS", "answer the next call, or METHOD for SECONDS, with HTTP 429",
      false, cmd_ratelimit },
    { "slow", "MS", "delay Web API responses by MS", false, cmd_slow },
    { "fail", "[METHOD] ERROR [COUNT]",
      "fail the next COUNT connect calls, or calls of METHOD, with ERROR", false, cmd_fail },
    { "http", "STATUS [COUNT]", "answer the next COUNT Web API calls with STATUS", false,
      cmd_http },
    { "refuse", "STATUS [COUNT]", "refuse the next COUNT WebSocket upgrades with STATUS", false,
      cmd_refuse },
    { "slash", "/COMMAND [TEXT]", "Socket Mode: a user enters a command", true, cmd_slash },
    { "click", "ACTION [VALUE]", "Socket Mode: a user clicks a button", true, cmd_click },
    { "submit", "VIEW [BLOCK.ACTION=VALUE ...]", "Socket Mode: a user submits an open view", true,
      cmd_submit },
    { "suggest", "ACTION TEXT", "Socket Mode: a user types TEXT into an external select", true,
      cmd_suggest },
    { "refresh", "", "Socket Mode: disconnect, refresh_requested", true, cmd_refresh },
    { "warning", "", "Socket Mode: disconnect, warning; cut 10 s later", true, cmd_warning },
    { "toomany", "", "Socket Mode: disconnect, too_many_websockets", true, cmd_toomany },
    { "link", "on|off", "Socket Mode: switch it on or off", false, cmd_link },
    { "mute", "", "read and answer nothing, not even PINGs", false, cmd_mute },
    { "unmute", "", "undo /mute", false, cmd_unmute },
    { "wait", "[N]", "wait until N connections of bots are open (1)", true, cmd_wait },
    { "expect", "TEXT", "wait up to 10 s for TEXT from the bot, else fail (a script exits with 1)",
      false, cmd_expect },
    { "note", "TEXT", "print TEXT: what a script shows next", false, cmd_note },
    { "sleep", "MS", "wait for MS milliseconds", false, cmd_sleep },
    { "later", "SECONDS", "advance Slack's clock: rate limits, retries, PINGs", false,
      cmd_later },
    { "help", "", "this list", false, cmd_help },
    { "quit", "", "exit 0", false, cmd_quit },
};

/* If a command is too long for one line, its description is on the next line. */
static void help_on(const struct command *command) {
    enum { COLUMN = 32 };
    int width = COLUMN - 1 - (int)strlen(command->name);
    if ((int)strlen(command->args) <= width) {
        say("sandbox", "  /%s %-*s %s", command->name, width, command->args, command->help);
        return;
    }
    say("sandbox", "  /%s %s", command->name, command->args);
    say("sandbox", "   %*s %s", COLUMN, "", command->help);
}

COMMAND(cmd_help) {
    say("sandbox", "A line is a message from the user human (U0HUMAN) to #general (C0SANDBOX),");
    say("sandbox", "or one of these commands. @sandbox-bot mentions the bot.");
    for (const struct command *c = commands; c < commands + LWS_ARRAY_SIZE(commands); c++)
        help_on(c);
    say("sandbox", "Methods of the Web API:");
    list_methods();
    say("sandbox", "For a client in Node.js: slackApiUrl \"%s://localhost:%d/api/\";",
        options.plain ? "http" : "https", options.port);
    say("sandbox", "set NODE_EXTRA_CA_CERTS=build/certs/ca.pem, or use --plain here.");
    say("sandbox", "An incoming webhook is any URL below %s", own_url("services", ""));
    return DONE;
}

/* The further characters that all commands with this beginning have in common. */
void complete_command(const char *start, size_t size, char *rest, size_t room) {
    const char *first = NULL;
    for (const struct command *c = commands; c < commands + LWS_ARRAY_SIZE(commands); c++) {
        size_t same = 0;
        if (strncmp(c->name, start, size) != 0) continue;
        if (!first) snprintf(rest, room, "%s", c->name + size);
        while (rest[same] && rest[same] == c->name[size + same]) same++;
        rest[same] = '\0';
        first = c->name;
    }
}

static enum verdict execute(const char *line) {
    if (*line != '/') return human(line);
    size_t size = strcspn(line + 1, " ");
    for (const struct command *c = commands; c < commands + LWS_ARRAY_SIZE(commands); c++) {
        if (strlen(c->name) != size || strncmp(c->name, line + 1, size) != 0) continue;
        if (c->needs_bot && !ready()) return AGAIN;
        const char *rest = line + 1 + size;
        char *args = need(strdup(rest + strspn(rest, " "))); /* `line` may be needed again */
        enum verdict verdict = c->run(args);
        free(args);
        if (verdict == WRONG) warn("usage: /%s %s", c->name, c->args);
        return verdict;
    }
    warn("no such command: %.*s (/help lists them)", (int)size + 1, line);
    return WRONG;
}
/* lws only reports that there is input. It is read when it is needed, not ahead, so that its writer
   has to wait (back-pressure). */
int on_input(struct lws *wsi, enum lws_callback_reasons reason, UNUSED void *user,
                    UNUSED void *in, UNUSED size_t size) {
    if (reason == LWS_CALLBACK_RAW_CLOSE_FILE) input.gone = true;
    if (reason != LWS_CALLBACK_RAW_RX_FILE) return 0;
    input.readable = true;
    lws_rx_flow_control(wsi, 0); /* read_more() undoes it */
    advance();
    return 0;
}

/* Like read(). At a terminal it reads each key, and returns a line when it is complete. */
static ssize_t take(char *to, size_t size) {
    bool end;
    if (!input.by_hand) return read(input.fd, to, size);
    char *line = edit_line(&end);
    errno = EAGAIN;
    if (!line) return end ? 0 : -1;
    size_t length = strlen(line);
    if (length > size) length = size;
    memcpy(to, line, length);
    to[length - 1] = '\n';
    free(line);
    return (ssize_t)length;
}

static void read_more(void) {
    enum { PIECE = 16384 };
    if (input.start) memmove(input.data, input.data + input.start, input.size);
    input.start = 0;
    if (input.room < input.size + PIECE) {
        input.room = 2 * input.room + PIECE;
        input.data = need(realloc(input.data, input.room));
    }
    ssize_t got = take(input.data + input.size, PIECE);
    if (got > 0) input.size += (size_t)got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR)) input.eof = true;
    input.readable = false;
    if (!input.eof && !input.gone) lws_rx_flow_control(input.wsi, 1);
}

static char *next_line(void) {
    for (;;) {
        char *start = input.data + input.start;
        char *newline = input.size ? memchr(start, '\n', input.size) : NULL;
        if (newline || (input.size && input.eof) || input.size >= MAX_LINE) {
            size_t size = newline ? (size_t)(newline - start) : input.size;
            char *line = need(strndup(start, size - (size && start[size - 1] == '\r')));
            input.start += size + (newline != NULL);
            input.size -= size + (newline != NULL);
            input.line++;
            return line;
        }
        if (input.eof) return input.hangs_up ? need(strdup("/quit")) : NULL;
        if (!input.readable && !input.gone) return NULL;
        read_more();
    }
}

void finish_line(void) {
    free(work.line);
    lws_sul_schedule(box.context, 0, &work.timer, wake, LWS_SET_TIMER_USEC_CANCEL);
    memset(&work, 0, sizeof work);
}

/* Removes "/help" or "/quit" from the lines typed while another line waits; NULL: neither. */
static char *urgent_line(void) {
    static const char *const urgent[] = { "/help", "/quit" };
    char *end = input.data + input.start + input.size, *line = input.data + input.start, *newline;
    for (; line < end && (newline = memchr(line, '\n', (size_t)(end - line))); line = newline + 1) {
        size_t size = (size_t)(newline - line);
        for (size_t i = 0; i < LWS_ARRAY_SIZE(urgent); i++) {
            if (strlen(urgent[i]) != size || strncmp(line, urgent[i], size) != 0) continue;
            memmove(line, newline + 1, (size_t)(end - newline - 1));
            input.size -= size + 1;
            return need(strdup(urgent[i]));
        }
    }
    return NULL;
}

/* Executes /help and /quit at once, while another line waits for a bot or for time. */
static void advance_urgent(void) {
    char *line = urgent_line();
    if (!line) return;
    if (!strcmp(line, "/quit")) { /* waiting lines are dropped */
        finish_line();
        input.size = 0;
        work.line = line;
        return;
    }
    execute(line);
    free(line);
}

/* Executes as many lines as possible; called after every turn of the event loop. */
void advance(void) {
    if (input.is_person && input.readable) read_more(); /* also while a line waits */
    if (input.is_person && work.line && input.size) advance_urgent();
    while (!box.done && (work.line || (work.line = next_line()))) {
        enum verdict verdict = execute(work.line);
        if (verdict == AGAIN) break;
        finish_line();
        if (verdict == WRONG && options.script) {
            warn("%s, line %d: stopped here", options.script, input.line);
            box.status = 2;
            box.done = true;
        }
    }
    /* Our input has ended: do not wait for a bot that its writer would have started. */
    if (input.hangs_up && (input.eof || input.gone) && work.lonely) box.done = true;
}

/* A line that was written before a client acts must be executed before the sandbox handles what the
   client does: tests rely on this. */
void take_input(void) {
    struct pollfd fd = { input.fd, POLLIN, 0 };
    if (!input.eof && poll(&fd, 1, 0) > 0) input.readable = true;
    advance();
}

bool open_input(void) {
    struct stat info;
    if (fcntl(STDIN_FILENO, F_GETFD) < 0) open("/dev/null", O_RDONLY); /* keep 0 in use */
    if (options.script) input.fd = open(options.script, O_RDONLY | O_CLOEXEC);
    if (input.fd < 0 || fstat(input.fd, &info) < 0) {
        warn("cannot read %s: %s", options.script ? options.script : "stdin", strerror(errno));
        return false;
    }
    if (options.script && S_ISDIR(info.st_mode)) {
        warn("cannot read %s: %s", options.script, strerror(EISDIR));
        return false;
    }
    input.is_person = !options.script && isatty(input.fd);
    input.hangs_up = !options.script && (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode) ||
                                         input.is_person);
    return true;
}

void watch_input(void) {
    int flags = fcntl(input.fd, F_GETFL);
    lws_sock_file_fd_type copy = { .filefd = dup(input.fd) };
    input.wsi = lws_adopt_descriptor_vhost(box.vhost, LWS_ADOPT_RAW_FILE_DESC, copy, "input", NULL);
    input.gone = !input.wsi;
    input.by_hand = input.is_person && open_terminal();
    /* lws has made stdin non-blocking, and with it the terminal, which stdout shares. */
    fcntl(input.fd, F_SETFL, flags);
}
