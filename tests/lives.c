/* Random lives of a client, on a virtual clock, against a hostile server within this process: the
   judge of the rules of time and order. lives_net.h simulates the system. It uses
   public functions, config.log and what the server sees, and no private field. With LIVES_TLS
   everything is over TLS (lives_tls.h).

     lives                  a few hundred lives, one line, 1 on a violation
     lives SEED COUNT       the lives SEED, SEED + 1, ...
     lives SEED COUNT -k    counts the violations of each rule, with the first seed of each
     lives SEED COUNT RULE  prints the first three lives that break this rule
     lives SEED 1 -v        prints the whole trace of a life */
#include "lives_tls.h"

#include <stdarg.h>
#include <time.h>

#define RTM_TIME() ((time_t)1800000000)
#define RTM_IMPLEMENTATION
#include "../rtm.h"
#include "states.h"

/* The rules: a name, and a description of the violation. */
#define RULES(X) \
    X(CALLBACK_ONCE, "the callback of a request was not called exactly once") \
    X(SENT_TWICE, "a request that had reached the server was sent again, and not after a 429") \
    X(REQUEST_ORDER, "requests of one method overtook each other") \
    X(REQUEST_LATE, "a request was reported as timed out although its response was in the socket") \
    X(REQUEST_SENT_LATE, "a request was sent and reported as timed out at the same time") \
    X(REQUEST_EARLY, "a request was reported as timed out before its timeout was over") \
    X(CANCEL_OTHER, "a request was cancelled without rtm_cancel") \
    X(CANCEL_LOST, "rtm_cancel of an id from rtm_send_message found no request") \
    X(HOLD_SHORT, "a request was sent again in less than a second after its 429") \
    X(ACK_TWICE, "an envelope was acknowledged more often than it was sent") \
    X(ACK_ELSEWHERE, "an envelope was acknowledged on a connection that did not bring it") \
    X(ACK_LOST, "an envelope was acknowledged and its event never delivered or reported") \
    X(ACK_AFTER, "an envelope was acknowledged after a callback of later bytes") \
    X(ACK_EMPTY, "an envelope that takes a reply was acknowledged empty before its callbacks") \
    X(PONG_AFTER, "a PING was answered after a callback of later bytes") \
    X(PONG_MISSING, "a PING got no PONG of its own before the next event") \
    X(DELIVERED_TWICE, "an event was delivered twice") \
    X(EVENT_SKIPPED, "an event was not delivered although a later one of its session was") \
    X(EVENT_ORDER, "events of one session were delivered in another order than sent") \
    X(PRESENCE_LOST, "an event without a time stamp was taken for a copy") \
    X(REPLY_OTHER, "a reply went to another envelope than the event's") \
    X(REPLY_STALE, "rtm_reply with an event of an earlier callback returned RTM_OK") \
    X(REPLY_CLOSED, "rtm_reply returned RTM_OK after the CLOSE was sent") \
    X(REPLY_AGAIN, "rtm_reply returned RTM_E_AGAIN although reading should have paused") \
    X(DEFER_ID, "rtm_defer did not return the same id for the same event, or an id of another") \
    X(DEFER_FULL, "rtm_defer was refused below 64 deferrals, or accepted more") \
    X(DEFER_ACK, "an envelope was acknowledged although its reply was deferred") \
    X(DEFER_TWICE, "a deferral was replied to twice") \
    X(DEFER_REFUSED, "a deferred reply was refused although its connection was open") \
    X(DEFER_LOST, "a deferred reply returned RTM_OK and was not sent") \
    X(ZOMBIE, "a session whose server sent nothing by itself for 80 s was kept") \
    X(MESSAGE_BOTH, "a message had more than one outcome") \
    X(MESSAGE_NONE, "a message had no outcome") \
    X(ANSWER_LATE, "a message was reported as unanswered although its answer was in the socket") \
    X(SESSION_DEAD, "a session was declared dead although bytes waited in its socket") \
    X(ATTEMPT_LATE, "an attempt was reported as timed out although bytes waited in its socket") \
    X(NO_SESSION, "no session was opened although nothing was in its way") \
    X(SLICE, "a callback of Socket Mode began more than 50 ms after the first of its rtm_poll") \
    X(POLL_LONG, "rtm_poll took longer than its timeout and its callbacks") \
    X(STORM, "more than 15 attempts in a minute") \
    X(LINK_DISABLED, "an attempt began within 300 s after link_disabled") \
    X(CAUSE_LOST, "link_disabled or too_many_websockets was not reported as the cause") \
    X(RETRY_AFTER, "an attempt began before Retry-After was over") \
    X(SPIN, "more than 200 polls in a second found nothing to do") \
    X(MISSED, "rtm_fd and rtm_timeout_ms said to wait, and rtm_poll had something to do") \
    X(UNREAD, "bytes waited in the socket of a session for more than 5 s") \
    X(TRANSITION, "a transition that the manual does not have") \
    X(OPEN_CLOSE, "open and close were not reported in turn") \
    X(CLOSE_UNOPENED, "close was reported to a handler that could not receive open") \
    X(STOP_EVENT, "an event was reported after rtm_stop") \
    X(STOP_RETRY, "close after rtm_stop had a retry_ms") \
    X(STOP_SLOW, "rtm_poll had not finished 3 s after rtm_stop") \
    X(STOP_RESULT, "rtm_poll did not return RTM_E_STOPPED after rtm_stop") \
    X(DETAIL_OLD, "rtm_error_detail in close was about something older") \
    X(BUSY, "rtm_poll in a callback did not return RTM_E_BUSY") \
    X(TOKEN, "a token was in a log line, a detail or a reason") \
    X(BAD_CALL, "a system call on a descriptor that is not open") \
    X(LEAK, "memory was not freed") \
    X(LEAK_FD, "a descriptor was not closed")

enum rule {
#define X(name, text) name,
    RULES(X)
#undef X
    RULE_COUNT
};

static const char *const rule_name[] = {
#define X(name, text) #name,
    RULES(X)
#undef X
};

static const char *const rule_text[] = {
#define X(name, text) text,
    RULES(X)
#undef X
};

enum { MOST = 8192, CONNS = 4096, REQUESTS = 1024, MESSAGES = 1024, TRACE = 40, METHODS = 3 };
#define LONG_AGO (-NEVER / 4)
enum driver { BY_POLL, BY_CLOCK, BY_FD, BY_EDGE, DRIVERS };
enum kind { EVENT, PRESENCE, ENVELOPE, PING, BAD, HELLO, DISCONNECT, ANSWER, OTHER };

#define SECRET "SECRET7secret42Secret"
#define BOT_TOKEN "xoxb-" SECRET
#define APP_TOKEN "xapp-" SECRET

/* What the server sent over a WebSocket, in order. */
typedef struct item {
    enum kind kind;
    int conn, n;  /* n: the event, or the number of a PING */
    size_t end;   /* its last byte in the stream */
    bool done;    /* PING: answered; BAD: reported; PRESENCE: delivered */
} item;

typedef struct sent_event {
    bool accepts, stamped, should; /* should: a handler was there in time */
    bool deferred;                 /* and no reply was tried since */
    int delivered, acks, copies, first_conn;
    unsigned long delivered_as; /* the number of its delivery */
    long long delivered_at;
} sent_event;

/* A connection, as the server sees it; the index is its serial number. */
typedef struct conn {
    int slot;
    bool open, websocket, tunnel, hello, silent, ended, close_seen, was_blocked, unread_at_end,
        fatal, too_many, program_hello;
    /* Zombies: the end of what the session sent by itself, and how much of it each rtm_poll has
       read; the same of PINGs, and the longest time between two. */
    bool zombie;
    size_t own_end, own_read, ping_end, ping_read;
    long long own_at, ping_at, ping_gap;
    int pings;
    size_t final_read, final_arrived, poll_arrived; /* poll_arrived: when rtm_poll was called */
    int checked, last;             /* items: all before `checked` were judged */
    int served, stuck_polls;       /* served: requests */
    long long stuck_since;
    size_t stuck_read;
} conn;

/* A deferred reply of the program. */
typedef struct deferral {
    int id, n;
    bool done;
} deferral;

typedef struct request {
    int id, method, callbacks, reached, status, conn;
    bool limited, cancelled, no_retry, blocking, submitted, reused; /* reused: a kept connection */
    long long submitted_at, reached_at, response_at, limited_at;
    long long tried_from;          /* its first attempt began then or later; LONG_AGO: no retry */
    size_t response_end;
    int timeout_ms;
} request;

typedef struct message {
    int id, outcomes;
    bool sent, cancelled;
} message;

static struct {
    unsigned long long seed;
    rtm_client *client;
    bool socket_mode, proxy, everything, late, flood, alloc, quiet, stopped, finished, open, opened;
    bool destroyed, registered, refuses, stop_in_open, printed, dirty;
    bool broken[RULE_COUNT];
    enum driver driver;
    int hostile, slow, slow_ms, depth, timeout_ms, ping_ms, latency;
    long lines, stop_at_line;
    long long started, poll_started, callback_ms, stopped_at, slice_at, quiet_from;
    unsigned long callbacks, deliveries;
    int polls, second_open, second_close, items, events, pings, requests, messages, reconnects;
    int attempts, opens, lost_reported;
    long long attempt_at[15], attempt_begun, link_disabled_at, not_before;
    int asked_by;                  /* the connection of `not_before` */
    int pending_cause;             /* the connection whose cause must be reported; 0 = none */
    bool cause_reported;
    bool dropping;                 /* rtm_reconnect was called for this session */
    bool ended;                    /* a session has ended whose `close` is still to come */
    bool dropped, no_reconnect;    /* dropped: at Slack's request; it delivers without a pause */
    int last_closed, last_closed_poll; /* the last connection that the client closed, and when */
    int presence_delivered;
    long long lane_ended[2];
    char old_detail[256];
    rtm_event kept;                /* an event of an earlier callback */
    int kept_n, current_n;
    item item[MOST];
    sent_event event[MOST];
    conn conn[CONNS];
    request request[REQUESTS];
    message message[MESSAGES];
    deferral deferral[MOST];
    int deferrals;
    bool defers;
    char trace[TRACE][200];
    unsigned traced;
} life;

static struct {
    bool count, verbose;
    int only; /* the rule to print; -1 = all */
    long long failed, broken[RULE_COUNT];
    unsigned long long first_seed[RULE_COUNT];
    int printed;
    unsigned long long events, requests, sessions;
} judge;

static uint64_t rng;

static unsigned rnd(unsigned below) {
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return below ? (unsigned)((rng >> 16) % below) : 0;
}

static bool chance(unsigned percent) { return rnd(100) < percent; }

static int net_max_connect_ms(void) { return life.hostile ? 400 : 20; }

__attribute__((format(printf, 1, 2))) static void trace(const char *format, ...) {
    va_list list;
    char *line = life.trace[life.traced++ % TRACE];
    int at = snprintf(line, sizeof *life.trace, "%9lld ", test_now_ms - life.started);
    va_start(list, format);
    vsnprintf(line + at, sizeof *life.trace - (size_t)at, format, list);
    va_end(list);
    if (judge.verbose) puts(line);
}

static void violate(enum rule rule, int what) {
    trace("VIOLATION %s (%d)", rule_name[rule], what);
    if (life.broken[rule]) return;
    life.broken[rule] = true;
    life.printed = true;
    if (!judge.broken[rule]++) judge.first_seed[rule] = life.seed;
    if (judge.count || (judge.only >= 0 && judge.only != (int)rule) || judge.printed++ >= 3) return;
    printf("life %llu: %s\n", life.seed, rule_text[rule]);
    unsigned from = life.traced > TRACE ? life.traced - TRACE : 0;
    for (unsigned i = from; i < life.traced && !judge.verbose; i++)
        printf("    %s\n", life.trace[i % TRACE]);
}

static void check_text(const char *text) {
    if (strstr(text, SECRET)) violate(TOKEN, 0);
}

/* A failing allocation excuses what cannot be done without memory, and the end of a life excuses
   what would come later. */
static bool is_excused(void) { return life.alloc || life.dirty; }

/* The server ----------------------------------------------------------------------------------- */

static net_socket *socket_of(int number) {
    conn *c = &life.conn[number];
    return c->open && net.socket[c->slot].serial == number ? &net.socket[c->slot] : NULL;
}

static conn *conn_of(net_socket *s) {
    conn *c = &life.conn[s->serial % CONNS];
    c->slot = (int)(s - net.socket);
    c->open = true;
    return c;
}

static size_t conn_read(int number) {
    net_socket *s = socket_of(number);
    return s ? peer_read(s) : life.conn[number].final_read;
}

static bool is_received(const item *of) { return conn_read(of->conn) >= of->end; }

static void net_closed(net_socket *s) {
    conn *c = conn_of(s);
    c->final_read = peer_read(s);
    c->final_arrived = peer_arrived(s);
    c->open = false;
    /* A response that was not read asks for no wait: rtm_reconnect abandoned the attempt. */
    if (s->serial == life.asked_by && life.dropping && peer_read(s) < s->said)
        life.not_before = LONG_AGO;
    life.last_closed = s->serial;
    life.last_closed_poll = life.polls;
    trace("client closes connection %d", s->serial);
}

static void say(net_socket *s, const char *data, size_t size, int delay) {
    int kind = life.hostile ? (int)rnd(12) : 11;
    if (kind == 0 && size < 400) peer_say(s, data, size, delay, 1, (int)rnd(8), 0);
    else if (kind == 1)
        peer_say(s, data, size, delay, 1 + rnd((unsigned)size), (int)rnd(300), 0);
    else if (kind == 2 && LIVES_TLS && size < 2000) /* in many records */
        peer_say(s, data, size, delay, 0, (int)rnd(2) * (int)rnd(50), 1 + rnd((unsigned)size));
    else peer_say(s, data, size, delay, 0, 0, 0);
}

__attribute__((format(printf, 3, 4)))
static void respond(net_socket *s, int delay, const char *format, ...) {
    char text[2048];
    va_list list;
    va_start(list, format);
    int size = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    say(s, text, (size_t)size, delay);
}

static void respond_json(net_socket *s, int delay, const char *status, const char *extra,
                         const char *json) {
    respond(s, delay, "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%s"
            "Content-Length: %zu\r\n\r\n%s", status, extra, strlen(json), json);
}

static void add_frame(net_socket *s, int opcode, const void *data, size_t size) {
    unsigned char head[10] = { (unsigned char)(0x80 | opcode) };
    size_t n = 2;
    if (size < 126) {
        head[1] = (unsigned char)size;
    } else {
        head[1] = 126;
        head[2] = (unsigned char)(size >> 8);
        head[3] = (unsigned char)size;
        n = 4;
    }
    net_append(&s->group, &s->group_size, &s->group_capacity, head, n);
    net_append(&s->group, &s->group_size, &s->group_capacity, data, size);
}

static void add_item(net_socket *s, enum kind kind, int n) {
    if (life.items == MOST) return;
    if (kind != OTHER) conn_of(s)->own_end = s->said + s->group_size;
    if (kind == PING) conn_of(s)->ping_end = s->said + s->group_size;
    life.item[life.items++] = (item){ kind, s->serial, n, s->said + s->group_size, false };
    conn_of(s)->last = life.items;
}

__attribute__((format(printf, 4, 5)))
static void add_text(net_socket *s, enum kind kind, int n, const char *format, ...) {
    char text[2048];
    va_list list;
    va_start(list, format);
    int size = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    add_frame(s, 1, text, (size_t)size);
    add_item(s, kind, n);
    trace("server %d: %.120s", s->serial, text);
}

static void flush_group(net_socket *s, int delay) {
    if (s->group_size) say(s, s->group, s->group_size, delay);
    s->group_size = 0;
}

static void add_close(net_socket *s, int code) {
    char body[64] = { (char)(code >> 8), (char)code };
    int size = 2;
    if (chance(50))
        size += snprintf(body + 2, sizeof body - 2, "bye %s", chance(50) ? BOT_TOKEN : "");
    add_frame(s, 8, body, (size_t)size);
    conn_of(s)->ended = true;
    trace("server %d: CLOSE %d", s->serial, code);
}

static int new_event(net_socket *s, bool accepts, bool stamped) {
    if (life.events + 1 == MOST) return 0;
    int n = ++life.events;
    conn *c = conn_of(s);
    life.event[n] = (sent_event){ .accepts = accepts, .stamped = stamped, .first_conn = s->serial,
                             .should = life.everything || (life.late && c->hello) };
    return n;
}

static void add_event(net_socket *s, int n) {
    if (!n) return;
    life.event[n].copies++;
    add_text(s, EVENT, n, "{\"type\":\"message\",\"n\":%d,\"channel\":\"C1\",\"text\":\"x\","
             "\"ts\":\"1700000000.%06d\",\"event_ts\":\"1700000000.%06d\"}", n, n, n);
}

static void add_envelope(net_socket *s, int n) {
    if (!n) return;
    static const char pad[] = "-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789"
                              "-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789";
    const char *tail = life.flood ? pad : "";
    life.event[n].copies++;
    if (life.event[n].accepts)
        add_text(s, ENVELOPE, n, "{\"envelope_id\":\"E%d%s\",\"type\":\"slash_commands\","
                 "\"accepts_response_payload\":true,\"payload\":{\"command\":\"/x\",\"n\":%d}}", n,
                 tail, n);
    else
        add_text(s, ENVELOPE, n, "{\"envelope_id\":\"E%d%s\",\"type\":\"events_api\","
                 "\"accepts_response_payload\":false,\"payload\":{\"type\":\"event_callback\","
                 "\"event_id\":\"Ev%d\",\"event\":{\"type\":\"message\",\"n\":%d}}}",
                 n, tail, n, n);
}

static void add_hello(net_socket *s) {
    conn_of(s)->hello = true;
    add_text(s, HELLO, 0, life.socket_mode
             ? "{\"type\":\"hello\",\"num_connections\":1,\"connection_info\":{\"app_id\":\"A1\"}}"
             : "{\"type\":\"hello\"}");
}

/* Another WebSocket that is alive, or NULL. */
static net_socket *other_websocket(const net_socket *not_this) {
    for (int i = 0; i < NET_SOCKETS; i++) {
        net_socket *s = &net.socket[i];
        conn *c = s->open ? conn_of(s) : NULL;
        if (c && s != not_this && c->websocket && !c->ended && s->fin_at == NEVER &&
            s->reset_at == NEVER) return s;
    }
    return NULL;
}

static void add_disconnect(net_socket *s, const char *reason) {
    conn *c = conn_of(s);
    bool fatal = !strcmp(reason, "link_disabled"), many = !strcmp(reason, "too_many_websockets");
    add_text(s, DISCONNECT, 0, "{\"type\":\"disconnect\",\"reason\":\"%s\",\"debug_info\":{}}",
             reason);
    if (fatal) c->fatal = true;
    if (many) c->too_many = true;
    if (!fatal && !many) return;
    c->ended = true;
    if (chance(60)) add_close(s, 1000);
}

static void add_presence(net_socket *s, const char *presence) {
    add_text(s, PRESENCE, 0, "{\"type\":\"presence_change\",\"user\":\"U1\",\"presence\":\"%s\"}",
             presence);
}

/* One random action of the server. */
static void add_something(net_socket *s) {
    static const char *const reasons[] = { "warning", "refresh_requested", "link_disabled",
                                           "too_many_websockets" };
    net_socket *other = other_websocket(s);
    conn *c = conn_of(s);
    unsigned roll = life.flood && chance(15) ? 99 : rnd(life.hostile ? 100 : 45);
    if (roll < 40 && life.socket_mode) {
        add_envelope(s, new_event(s, chance(35), false));
    } else if (roll < 30) {
        int n = new_event(s, false, true);
        add_event(s, n);
        if (other && chance(70)) {
            add_event(other, n);
            flush_group(other, (int)rnd(3000));
        }
    } else if (roll < 40) {
        net_socket *to = other && chance(40) ? other : s;
        add_presence(to, chance(50) ? "active" : "away");
        if (to == other) flush_group(other, 0);
    } else if (roll < 55) {
        for (int i = 0, count = 1 + (int)rnd(12); i < count; i++) {
            char body[8];
            int size = snprintf(body, sizeof body, "p%d", ++life.pings % 100000);
            add_frame(s, 9, body, (size_t)size);
            add_item(s, PING, life.pings % 100000);
        }
        trace("server %d: PINGs up to p%d", s->serial, life.pings);
    } else if (roll < 60) {
        add_text(s, BAD, 0, "{\"type\":\"message\",\"text\":}");
    } else if (roll < 64) {
        add_frame(s, 2, "\1\2\3", 3);
        add_item(s, BAD, 0);
        trace("server %d: binary", s->serial);
    } else if (roll < 70 && life.socket_mode && life.events) {
        int n = 1 + (int)rnd((unsigned)life.events); /* a copy of an envelope */
        if (life.events - n < 100) add_envelope(s, n);
    } else if (roll < 80 && c->hello) {
        if (!life.socket_mode) add_text(s, OTHER, 0, "{\"type\":\"goodbye\"}");
        else add_disconnect(s, reasons[chance(70) ? rnd(2) : 2 + rnd(2)]);
    } else if (roll < 82) {
        add_close(s, chance(50) ? 1000 : 1001);
    } else if (roll < 84) {
        flush_group(s, 0);
        net_reset(s);
        c->ended = true;
        trace("server %d: RST", s->serial);
    } else if (roll < 87) {
        flush_group(s, 0);
        peer_fin(s, (int)rnd(2) * (int)rnd(500));
        c->ended = true;
        trace("server %d: FIN", s->serial);
    } else if (roll < 90) {
        c->silent = chance(50);
        c->zombie = !c->silent && chance(50); /* answers PINGs, sends nothing by itself */
        trace("server %d: %s", s->serial,
              c->silent ? "silent" : c->zombie ? "zombie" : "not silent");
    } else if (roll < 92) {
        net_block(s, (int)rnd(life.flood ? 20000 : 3000));
        c->was_blocked = true;
        trace("server %d: takes nothing until %lld", s->serial, s->blocked_until - life.started);
    } else if (roll < 93 && !life.socket_mode) {
        add_text(s, OTHER, 0,
                 "{\"type\":\"error\",\"error\":{\"code\":1,\"msg\":\"" BOT_TOKEN "\"}}");
        c->ended = true;
    } else if (roll < 94) {
        bool forged = s->tls && chance(50);
        if (forged) flush_group(s, 0);
        if (forged) tls_say_forged(s);
        else add_frame(s, 11, "x", 1); /* an opcode that does not exist */
        c->ended = true;
        trace("server %d: %s", s->serial, forged ? "forged record" : "bad opcode");
    } else if (life.flood) {
        unsigned accepts = chance(50) ? 20 : 90;
        if (life.socket_mode && chance(50)) {
            net_block(s, 20000);
            c->was_blocked = true;
            add_disconnect(s, "warning");
        }
        for (int i = 0, count = 100 + (int)rnd(250); i < count; i++) {
            int n = new_event(s, life.socket_mode && chance(accepts), true);
            if (life.socket_mode) add_envelope(s, n);
            else add_event(s, n);
            if (other && !life.socket_mode) add_event(other, n);
        }
        if (other) flush_group(other, (int)rnd(2000));
    }
}

static void net_server_tick(void) {
    net_socket *live[NET_SOCKETS];
    unsigned count = 0;
    int longest = life.hostile ? 3000 : 12000;
    net.next_tick = test_now_ms + 1 + (int)rnd((unsigned)(chance(20) ? longest * 8 : longest));
    if (life.quiet || life.items > MOST - 2000) return; /* the tables are nearly full */
    for (int i = 0; i < NET_SOCKETS; i++) {
        net_socket *s = &net.socket[i];
        conn *c = s->open ? conn_of(s) : NULL;
        if (c && c->websocket && !c->ended && s->fin_at == NEVER && s->reset_at == NEVER &&
            !c->zombie && s->segments < NET_SEGMENTS - 200) live[count++] = s;
    }
    if (!count) return;
    net_socket *s = live[rnd(count)];
    for (int i = 0, things = 1 + (int)rnd(4); i < things && !conn_of(s)->ended; i++)
        add_something(s);
    flush_group(s, 0);
    if (conn_of(s)->ended && chance(60)) peer_fin(s, (int)rnd(300));
}

/* Requests of the client ----------------------------------------------------------------------- */

static const char *const method_name[METHODS] = { "chat.postMessage", "test.one", "test.two" };

static int number_after(const char *text, const char *key) {
    const char *at = strstr(text, key);
    return at ? atoi(at + strlen(key)) : 0;
}

/* A submitted request has reached the server as a whole. */
static void judge_request(net_socket *s, request *r) {
    conn *c = conn_of(s);
    int number = (int)(r - life.request);
    if (r->reached && !(r->limited && !r->blocking && !r->no_retry)) violate(SENT_TWICE, number);
    if (r->limited && test_now_ms - r->limited_at < 1000) violate(HOLD_SHORT, number);
    if (r->callbacks) violate(SENT_TWICE, number);
    for (int i = 1; i < number && !r->blocking; i++) {
        const request *e = &life.request[i];
        if (e->submitted && e->method == r->method && !e->callbacks && !e->cancelled &&
            (!e->reached || e->limited) && !is_excused()) violate(REQUEST_ORDER, i);
    }
    r->reached++;
    r->limited = false;
    r->reached_at = test_now_ms;
    r->conn = s->serial;
    r->response_at = NEVER;
    r->reused = c->served++ > 0;
}

static void respond_api(net_socket *s, request *r) {
    unsigned roll = rnd(life.hostile ? 100 : 60);
    int delay = (int)rnd(chance(15) ? 20000 : 300), number = (int)(r - life.request);
    size_t before = s->said;
    trace("server %d: request %d arrives, roll %u, delay %d", s->serial, number, roll, delay);
    if (roll < 60) {
        respond_json(s, delay, "200 OK", "", "{\"ok\":true,\"ts\":\"1.2\"}");
    } else if (roll < 75) {
        static const char *const after[] = { "", "Retry-After: 0\r\n", "Retry-After: 1\r\n",
                                             "Retry-After: 3\r\n" };
        respond_json(s, delay, "429 Too Many", after[rnd(4)],
                     "{\"ok\":false,\"error\":\"ratelimited\"}");
        r->limited = !r->blocking && s->said > before;
        r->limited_at = test_now_ms;
        r->tried_from = LONG_AGO; /* its next attempt counts as the first */
    } else if (roll < 80) {
        respond_json(s, delay, "200 OK", "", "{\"ok\":false,\"error\":\"" BOT_TOKEN "\"}");
    } else if (roll < 84) {
        respond_json(s, delay, "503 " BOT_TOKEN, "Retry-After: 2\r\n", "oops");
    } else if (roll < 88) {
        respond(s, delay, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"ok\":tr");
        peer_fin(s, 0);
    } else if (roll < 91) {
        respond(s, delay, "garbage " BOT_TOKEN "\r\n\r\n");
    } else if (roll < 94) {
        peer_fin(s, delay);
    } else if (roll < 97) {
        net_reset(s);
    }
    if (s->said > before && roll < 84) { /* not if the server has closed already */
        r->response_at = s->segment[s->segments - 1].at;
        r->response_end = s->said;
        if (roll < 75 && chance(20)) peer_fin(s, (int)rnd(2000));
    }
}

static void judge_attempt(void) {
    long long oldest = life.attempt_at[life.attempts % 15];
    if (life.attempts >= 15 && test_now_ms - oldest < 60000 && life.reconnects < 3)
        violate(STORM, life.attempts);
    life.attempt_at[life.attempts % 15] = test_now_ms;
    life.attempts++;
    if (test_now_ms - life.link_disabled_at < 300000 &&
        life.attempt_begun > life.link_disabled_at)
        violate(LINK_DISABLED, (int)(test_now_ms - life.link_disabled_at));
    if (test_now_ms < life.not_before) violate(RETRY_AFTER, (int)(life.not_before - test_now_ms));
}

static void respond_session(net_socket *s) {
    unsigned roll = rnd(life.hostile ? 100 : 70);
    int delay = (int)rnd(chance(10) ? 8000 : 200);
    if (life.refuses) roll = 80 + roll % 20;
    judge_attempt();
    trace("server %d: attempt %d, roll %u, delay %d", s->serial, life.attempts, roll, delay);
    if (roll < 76) {
        respond_json(s, delay, "200 OK", "",
                     "{\"ok\":true,\"url\":\"ws" TLS_S ":\\/\\/ws.test\\/l?t=" BOT_TOKEN "\"}");
    } else if (roll < 80) {
        respond_json(s, 0, "429 Too Many", "Retry-After: 7\r\n", "{\"ok\":false}");
        if (peer_read(s) == 0 && life.hostile < 2 && !is_excused())
            life.not_before = test_now_ms + 7000;
        life.asked_by = s->serial;
    } else if (roll < 83) {
        respond_json(s, delay, "429 Too Many", chance(50) ? "" : "Retry-After: 0\r\n", "{}");
    } else if (roll < 86) {
        respond_json(s, delay, "503 Down", "", "down");
    } else if (roll < 89) {
        respond_json(s, delay, "200 OK", "", "{\"ok\":false,\"error\":\"internal_error\"}");
    } else if (roll < 90 && chance(20)) {
        respond_json(s, delay, "200 OK", "", "{\"ok\":false,\"error\":\"invalid_auth\"}");
    } else if (roll < 93) {
        respond_json(s, delay, "200 OK", "", "{\"ok\":" BOT_TOKEN);
    } else if (roll < 95) {
        peer_fin(s, delay);
    } else if (roll < 97) {
        net_reset(s);
    }
}

static void base64(const unsigned char *in, size_t size, char *out) {
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        unsigned v = (unsigned)in[i] << 16;
        if (i + 1 < size) v |= (unsigned)in[i + 1] << 8;
        if (i + 2 < size) v |= in[i + 2];
        *out++ = digit[v >> 18];
        *out++ = digit[v >> 12 & 63];
        *out++ = i + 1 < size ? digit[v >> 6 & 63] : '=';
        *out++ = i + 2 < size ? digit[v & 63] : '=';
    }
    *out = '\0';
}

static void respond_upgrade(net_socket *s, const char *head) {
    unsigned roll = rnd(life.hostile ? 100 : 85);
    const char *key = strstr(head, "Sec-WebSocket-Key: ");
    unsigned char hash[20];
    char accept[32];
    conn *c = conn_of(s);
    br_sha1_context sha;
    br_sha1_init(&sha);
    if (key) br_sha1_update(&sha, key + 19, 24);
    br_sha1_update(&sha, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    br_sha1_out(&sha, hash);
    base64(hash, 20, accept);
    trace("server %d: upgrade, roll %u", s->serial, roll);
    if (roll < 88) {
        respond(s, (int)rnd(200), "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
        c->websocket = true;
        c->checked = life.items;
        if (life.socket_mode && roll == 87) add_disconnect(s, "too_many_websockets");
        else if (roll < 84) add_hello(s);
        net_socket *other = other_websocket(s);
        if (!life.socket_mode && other && chance(50)) { /* a new event on both connections */
            add_presence(other, "active");
            add_presence(other, "away");
            flush_group(other, 0);
            add_presence(s, "active");
        }
        if (chance(40) && !c->ended) add_something(s);
        flush_group(s, (int)rnd(2) * (int)rnd(400));
    } else if (roll < 92) {
        respond_json(s, 0, "503 Down", chance(50) ? "Retry-After: 2\r\n" : "", "x");
    } else if (roll < 95) {
        respond_json(s, 0, "404 Not Found", "", "x");
    } else if (roll < 97) {
        peer_fin(s, 0);
    }
}

static void client_acks(net_socket *s, const char *text) {
    conn *c = conn_of(s);
    int n = number_after(text, "\"envelope_id\":\"E"), in_payload = number_after(text, "\"re\":");
    if (n < 1 || n > life.events) return;
    sent_event *e = &life.event[n];
    e->acks++;
    trace("client %d: acknowledges %d%s", s->serial, n, in_payload ? " with a reply" : "");
    if (e->acks > e->copies) violate(ACK_TWICE, n);
    if (in_payload && in_payload != n) violate(REPLY_OTHER, n);
    bool brought = false;
    for (int i = 0; i < life.items && !brought; i++)
        brought = life.item[i].kind == ENVELOPE && life.item[i].n == n &&
                  life.item[i].conn == s->serial;
    if (!brought) violate(ACK_ELSEWHERE, n);
    /* After the end of its connection, a copy on another is acknowledged as any duplicate. */
    if (e->deferred && e->copies == 1 && c->open && !is_excused()) violate(DEFER_ACK, n);
    if (e->accepts && !in_payload && e->should && !e->delivered && !life.stopped && !is_excused() &&
        c->open) violate(ACK_EMPTY, n);
}

static void client_message(net_socket *s, const char *text) {
    int id = number_after(text, "\"id\":"), m = number_after(text, "\"text\":\"m");
    net_socket *to = s, *other = other_websocket(s);
    if (m <= 0 || m >= MESSAGES) return;
    unsigned roll = rnd(life.hostile ? 100 : 80);
    trace("client %d: message m%d, roll %u", s->serial, m, roll);
    if (conn_of(s)->ended) return;
    /* That is, on a newer connection: the one before it is about to end. */
    if (other && other->serial > s->serial && chance(30) && !conn_of(other)->ended) to = other;
    if (roll < 80)
        add_text(to, ANSWER, m, "{\"ok\":true,\"reply_to\":%d,\"ts\":\"1.2\",\"text\":\"m%d\"}",
                 id, m);
    else if (roll < 90)
        add_text(to, ANSWER, m, "{\"ok\":false,\"reply_to\":%d,\"error\":{\"code\":2,\"msg\":\"no "
                 BOT_TOKEN "\"}}", id);
    flush_group(to, (int)rnd(1500));
}

/* A frame of the client. */
static void client_frame(net_socket *s, int opcode, char *data, size_t size) {
    conn *c = conn_of(s);
    char text[1024];
    if (opcode == 8) {
        trace("client %d: CLOSE", s->serial);
        c->close_seen = true;
        if (c->silent || (life.hostile && chance(20))) return;
        if (!c->ended) {
            if (chance(20) && !life.quiet) add_something(s);
            add_frame(s, 8, data, size < 2 ? 0 : 2);
            flush_group(s, (int)rnd(600));
        }
        c->ended = true;
        if (chance(70)) peer_fin(s, (int)rnd(300));
    } else if (opcode == 9) {
        trace("client %d: PING", s->serial);
        if (c->silent || c->ended) return;
        add_frame(s, 10, data, size);
        add_item(s, OTHER, 0);
        flush_group(s, (int)rnd((unsigned)(life.latency)));
    } else if (opcode == 10 && size && *data == 'p') {
        snprintf(text, sizeof text, "%.*s", (int)size, data);
        for (int i = life.items - 1; i >= 0; i--)
            if (life.item[i].kind == PING && life.item[i].conn == s->serial &&
                life.item[i].n == atoi(text + 1)) {
                life.item[i].done = true;
                break;
            }
    } else if (opcode == 1) {
        snprintf(text, sizeof text, "%.*s", (int)size, data);
        if (strstr(text, "envelope_id")) client_acks(s, text);
        else client_message(s, text);
    }
}

static size_t take_frame(net_socket *s) {
    unsigned char *in = (unsigned char *)s->got;
    if (s->got_size < 6) return 0;
    size_t size = in[1] & 127, head = 6;
    if (size == 126) {
        if (s->got_size < 8) return 0;
        size = (size_t)in[2] << 8 | in[3];
        head = 8;
    } else if (size == 127) {
        if (s->got_size < 14) return 0;
        size = (size_t)in[6] << 24 | (size_t)in[7] << 16 | (size_t)in[8] << 8 | in[9];
        head = 14;
    }
    if (s->got_size < head + size) return 0;
    for (size_t i = 0; i < size; i++) in[head + i] ^= in[head - 4 + i % 4];
    client_frame(s, in[0] & 15, (char *)in + head, size);
    return head + size;
}

static size_t take_request(net_socket *s) {
    char *end = memmem(s->got, s->got_size, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = (size_t)(end - s->got) + 4;
    char text[4096];
    snprintf(text, sizeof text, "%.*s", (int)head, s->got);
    size_t body = (size_t)number_after(text, "Content-Length: ");
    if (s->got_size < head + body) return 0;
    size_t used = strlen(text);
    snprintf(text + used, sizeof text - used, "%.*s", (int)body, s->got + head);
    conn *c = conn_of(s);
    if (!strncmp(text, "CONNECT ", 8)) {
        c->tunnel = true;
        if (life.hostile && chance(5)) respond(s, 0, "HTTP/1.1 502 Bad\r\n\r\n");
        else if (!life.hostile || chance(98)) respond(s, 0, "HTTP/1.1 200 OK\r\n\r\n");
    } else if (!strncmp(text, "GET ", 4)) {
        respond_upgrade(s, text);
    } else if (strstr(text, "rtm.connect") || strstr(text, "apps.connections.open")) {
        respond_session(s);
    } else {
        int number = number_after(text, "r=");
        if (number > 0 && number <= life.requests) {
            judge_request(s, &life.request[number]);
            respond_api(s, &life.request[number]);
        } else {
            respond_json(s, (int)rnd(500), "200 OK", "", "{\"ok\":true}");
        }
    }
    return head + body;
}

static bool net_is_hostile(void) { return life.hostile != 0; }

static bool net_is_secure(net_socket *s) {
    return LIVES_TLS && (!life.proxy || conn_of(s)->tunnel);
}

static void net_server_input(net_socket *s) {
    size_t used;
    do {
        used = conn_of(s)->websocket ? take_frame(s) : take_request(s);
        s->got_size -= used;
        if (used) memmove(s->got, s->got + used, s->got_size);
    } while (used && s->got_size);
}

/* Checking what the program sees --------------------------------------------------------------- */

/* What the server sent before item `to` on its connection must have been answered before a callback
   that is called because of that item; `to` itself too, if it is an envelope. */
static void judge_answers(int to) {
    const conn *c = &life.conn[life.item[to].conn];
    net_socket *s = socket_of(life.item[to].conn);
    int pings = 0;
    bool last_answered = true, all_answered = true;
    if (!s || !net_can_send(s) || s->reset_at != NEVER || c->was_blocked || net.trouble ||
        c->close_seen || is_excused() || life.stopped) return;
    for (int i = c->checked; i <= to; i++) {
        const item *of = &life.item[i];
        if (of->conn != life.item[to].conn) continue;
        if (of->kind == PING) {
            pings++;
            last_answered = of->done;
            all_answered = all_answered && of->done;
        } else if (of->kind == ENVELOPE && !life.event[of->n].accepts && !life.event[of->n].acks) {
            violate(ACK_AFTER, of->n);
        }
    }
    if (pings > 60) return; /* there is room for 1,024 bytes of PONGs between two flushes */
    if (pings && !last_answered) violate(PONG_AFTER, pings);
    if (pings && last_answered && !all_answered) violate(PONG_MISSING, pings);
}

/* Whether the event was sent on another connection, too: then the order there counts. */
static bool waits_elsewhere(const item *of) {
    for (int i = 0; i < life.items && life.event[of->n].copies > 1; i++) {
        const item *other = &life.item[i];
        if (other->n == of->n && other->kind == of->kind && other->conn != of->conn &&
            is_received(other)) return true;
    }
    return false;
}

/* The events before item `to` on its connection must have been delivered. */
static void judge_before(int to) {
    conn *c = &life.conn[life.item[to].conn];
    judge_answers(to);
    for (int i = c->checked; i < to && !is_excused() && !life.stopped; i++) {
        const item *of = &life.item[i];
        if (of->conn != life.item[to].conn) continue;
        if ((of->kind == EVENT || of->kind == ENVELOPE) && life.event[of->n].should &&
            !life.event[of->n].delivered && !waits_elsewhere(of)) violate(EVENT_SKIPPED, of->n);
    }
    c->checked = to;
}

static void judge_event(int n) {
    sent_event *e = &life.event[n];
    int found = -1, received = 0;
    life.current_n = n;
    e->delivered++;
    /* The last 512 events are remembered, those of RTM until 15 s after a handover. */
    if (e->delivered > 1 && life.deliveries - e->delivered_as < 500 && !is_excused() &&
        (life.socket_mode || test_now_ms - e->delivered_at < 15000)) violate(DELIVERED_TWICE, n);
    e->delivered_as = ++life.deliveries;
    e->delivered_at = test_now_ms;
    for (int i = 0; i < life.items; i++) {
        if (life.item[i].n != n || (life.item[i].kind != EVENT && life.item[i].kind != ENVELOPE))
            continue;
        if (!is_received(&life.item[i])) continue;
        received++;
        found = i;
    }
    if (received != 1) return; /* it cannot be said which copy this is */
    if (found < life.conn[life.item[found].conn].checked) violate(EVENT_ORDER, n);
    else judge_before(found);
}

/* A report of an unreadable message: everything before it must have been handled. */
static void judge_bad(void) {
    for (int i = 0; i < life.items; i++) {
        item *of = &life.item[i];
        if (of->kind != BAD || of->done || !is_received(of)) continue;
        of->done = true;
        judge_answers(i);
        return;
    }
}

/* The program ---------------------------------------------------------------------------------- */

static void act(bool inside);

static void stop(void) {
    trace("program: rtm_stop");
    if (!life.stopped) life.stopped_at = test_now_ms;
    life.stopped = true;
    rtm_stop(life.client);
}

static void pass_time(void) {
    if (chance((unsigned)life.slow)) {
        int ms = life.slow_ms > 1000 ? (int)rnd((unsigned)life.slow_ms) : life.slow_ms;
        trace("program: the callback takes %d ms", ms);
        net_advance(ms);
    }
}

static long long enter_callback(void) {
    life.callbacks++;
    if (rtm_poll(life.client, 0) != RTM_E_BUSY && !life.destroyed) violate(BUSY, 0);
    return life.depth++ ? NEVER : test_now_ms;
}

static void leave_callback(long long entered) {
    life.depth--;
    if (entered != NEVER) life.callback_ms += test_now_ms - entered;
}

static message *message_by_id(int id) {
    for (int i = 1; i <= life.messages; i++)
        if (life.message[i].id == id && life.message[i].sent) return &life.message[i];
    return NULL;
}

static void message_outcome(int id) {
    message *m = message_by_id(id);
    if (m && ++m->outcomes > 1) violate(MESSAGE_BOTH, id);
}

/* The time of its first attempt, at the earliest. */
static long long request_begun(const request *r) {
    long long ended = life.lane_ended[r->method == METHODS];
    return ended > r->submitted_at ? ended : r->submitted_at;
}

static void on_request(rtm_client *client, const rtm_response *response, void *user_data) {
    request *r = &life.request[(size_t)user_data];
    int number = (int)(size_t)user_data, lane = r->method == METHODS;
    (void)client;
    long long entered = enter_callback();
    r->callbacks++;
    trace("callback of request %d: %s, HTTP %d", number, rtm_strerror(response->result),
          response->status);
    check_text(response->detail);
    check_text(response->error);
    if (r->callbacks > 1) violate(CALLBACK_ONCE, number);
    if (response->result == RTM_E_CANCELLED && !r->cancelled) violate(CANCEL_OTHER, number);
    if (response->result == RTM_E_TIMEOUT && !life.stopped && !life.destroyed) {
        net_socket *s = socket_of(r->conn);
        if (r->reached && !r->limited && r->response_at <= life.poll_started && (!s ||
            s->reset_at == NEVER) && r->response_at != NEVER && r->response_at > r->reached_at - 1)
            violate(REQUEST_LATE, number);
        if (r->reached == 1 && r->reached_at == test_now_ms && life.depth == 1)
            violate(REQUEST_SENT_LATE, number);
        long long from = r->tried_from == LONG_AGO ? request_begun(r) : r->tried_from;
        if (r->reused && r->reached_at > from && !net.trouble)
            from = r->reached_at - r->timeout_ms / 3;
        if (r->reached == 1 && test_now_ms - from < r->timeout_ms)
            violate(REQUEST_EARLY, (int)(test_now_ms - from));
    }
    if (!life.destroyed) {
        pass_time();
        if (chance(15)) act(true);
    }
    if (r->reached || response->result == RTM_E_CANCELLED) {
        bool in_flight = r->reached && !r->limited;
        if (in_flight) life.lane_ended[lane] = test_now_ms;
    }
    leave_callback(entered);
}

static void submit(void) {
    if (life.requests + 1 >= REQUESTS) return;
    char number[16];
    int r = ++life.requests;
    request *of = &life.request[r];
    snprintf(number, sizeof number, "%d", r);
    const char *fields[] = { "r", number, "text", "hello", NULL };
    *of = (request){ .method = (int)rnd(METHODS + 1), .no_retry = chance(15),
                     .submitted_at = test_now_ms, .tried_from = LONG_AGO,
                     .timeout_ms = chance(50) ? 1000 + (int)rnd(9000) : 0 };
    rtm_request given = { .method = of->method < METHODS ? method_name[of->method] : NULL,
                          .url = of->method == METHODS ? "http" TLS_S "://hook.test/h" : NULL,
                          .fields = fields, .callback = on_request, .user_data = (void *)(size_t)r,
                          .no_retry = of->no_retry, .timeout_ms = of->timeout_ms };
    if (!of->timeout_ms) of->timeout_ms = life.timeout_ms;
    of->id = rtm_submit(life.client, &given);
    of->submitted = of->id > 0;
    trace("program: submits request %d (%s): %d", r, given.method ? given.method : given.url,
          of->id);
}

static void call(bool perform) {
    if (life.requests + 1 >= REQUESTS) return;
    char number[16];
    int r = ++life.requests;
    rtm_response response;
    snprintf(number, sizeof number, "%d", r);
    const char *fields[] = { "r", number, NULL };
    life.request[r] = (request){ .blocking = true, .timeout_ms = life.timeout_ms };
    trace("program: calls request %d", r);
    long long before = test_now_ms;
    rtm_request given = { .method = "test.one", .fields = fields };
    rtm_result result = perform ? rtm_perform(life.client, &given, &response)
                                : rtm_call(life.client, &response, "test.one", "r", number, NULL);
    for (int i = 0; i < NET_SOCKETS; i++) /* nothing was read meanwhile */
        if (net.socket[i].open) conn_of(&net.socket[i])->own_at += test_now_ms - before;
    trace("program: call returns %s after %lld ms", rtm_strerror(result), test_now_ms - before);
    if (test_now_ms - before > life.timeout_ms) violate(POLL_LONG, (int)(test_now_ms - before));
    check_text(response.detail);
}

static void send_message(void) {
    if (life.messages + 1 >= MESSAGES) return;
    char text[16];
    int m = ++life.messages;
    snprintf(text, sizeof text, "m%d", m);
    int id = rtm_send_message(life.client, "C1", text);
    life.message[m] = (message){ .id = id, .sent = id > 0 };
    trace("program: sends m%d: %d", m, id);
    if (id <= 0 || !life.socket_mode || !chance(20)) return;
    rtm_result result = rtm_cancel(life.client, id);
    life.message[m].cancelled = true;
    trace("program: cancels message %d: %s", id, rtm_strerror(result));
    if (result != RTM_OK) violate(CANCEL_LOST, id);
}

static void cancel(void) {
    if (!life.requests) return;
    int r = chance(70) ? life.requests - (int)rnd(3) : 1 + (int)rnd((unsigned)life.requests);
    if (r < 1) return;
    request *of = &life.request[r];
    if (!of->submitted || of->callbacks) return;
    rtm_result result = rtm_cancel(life.client, of->id);
    trace("program: cancels request %d: %s", r, rtm_strerror(result));
    if (result == RTM_OK) of->cancelled = true;
}

static void reconnect(void) {
    life.reconnects++;
    life.link_disabled_at = LONG_AGO;
    rtm_result result = rtm_reconnect(life.client);
    trace("program: rtm_reconnect: %s", rtm_strerror(result));
    life.pending_cause = 0;
    life.dropping = result == RTM_OK;
}

/* A failure of the program's own call, whose message must not be reported as the cause of a
   close. */
static void fail(void) {
    rtm_request none = { .method = NULL };
    rtm_submit(life.client, &none);
    snprintf(life.old_detail, sizeof life.old_detail, "%s", rtm_error_detail(life.client));
}

static void reply_later(void);

static void act(bool inside) {
    unsigned roll = rnd(100);
    if (life.quiet) return;
    for (int i = 0; life.defers && i < 4 && chance(50); i++) reply_later();
    if (roll < 25) {
        for (int i = 0, count = 1 + (int)rnd(3); i < count; i++) submit();
        return;
    }
    if (roll < 50) send_message();
    else if (roll < 60) cancel();
    else if (roll < 66) call(chance(50));
    else if (roll < 70) fail();
    else if (roll < 74) rtm_send(life.client, "{\"type\":\"typing\",\"channel\":\"C1\"}");
    else if (roll < 77) rtm_send_ping(life.client);
    else if (roll < 79 && life.hostile) reconnect();
    else if (roll < 84) rtm_set_token(life.client, BOT_TOKEN);
    else if (roll < 85 && life.hostile && chance(20)) stop();
    else if (roll < 90) rtm_wake(life.client);
    else if (inside) pass_time();
}

/* Whether the connection of this event certainly accepts replies; `must`: whether it sends them at
   once. */
static bool takes_replies(int n, bool must) {
    const sent_event *e = &life.event[n];
    net_socket *s = socket_of(e->first_conn);
    const conn *c = &life.conn[e->first_conn];
    if (!s || e->copies != 1 || c->close_seen || c->ended || s->fin_at != NEVER ||
        s->reset_at != NEVER || life.dropping || life.dropped || life.stopped || is_excused() ||
        c->was_blocked || net.trouble) return false;
    return !must || net_can_send(s);
}

static int outstanding_deferrals(bool most) {
    int count = 0;
    for (int i = 1; i <= life.deferrals; i++) {
        const sent_event *e = &life.event[life.deferral[i].n];
        bool open = e->copies > 1 ? most : socket_of(e->first_conn) != NULL &&
                    (most || takes_replies(life.deferral[i].n, false));
        count += !life.deferral[i].done && open;
    }
    return count;
}

/* Replies to a deferral, which may have been replied to, or whose connection may have ended. */
static void reply_deferred(int i) {
    deferral *d = &life.deferral[i];
    sent_event *e = &life.event[d->n];
    char json[64];
    bool bad = chance(10), empty = !bad && chance(20), was = e->deferred;
    bool open = takes_replies(d->n, false), at_once = takes_replies(d->n, true);
    int acks = e->acks;
    snprintf(json, sizeof json, bad ? "{\"re\":%d" : "{\"re\":%d}", d->n);
    e->deferred = e->deferred && bad;
    rtm_result result = rtm_reply_deferred(life.client, d->id, empty ? NULL : json);
    trace("program: deferred reply %d to %d: %s", d->id, d->n, rtm_strerror(result));
    if (result != RTM_OK) e->deferred = was;
    if (result == RTM_OK && (bad || d->done)) violate(DEFER_TWICE, d->n);
    if (open && d->done && result != RTM_E_BUSY) violate(DEFER_TWICE, d->n);
    if (open && !d->done && !bad && result != RTM_OK && result != RTM_E_AGAIN)
        violate(DEFER_REFUSED, d->n);
    if (open && !d->done && bad && result != RTM_E_JSON) violate(DEFER_REFUSED, d->n);
    if (result == RTM_OK && at_once && e->acks == acks) violate(DEFER_LOST, d->n);
    if (result == RTM_OK) d->done = true;
}

static void reply_later(void) {
    if (!life.deferrals) return;
    reply_deferred(chance(80) && life.deferrals > 8 ? life.deferrals - (int)rnd(8)
                                                    : 1 + (int)rnd((unsigned)life.deferrals));
}

/* Defers the reply to an event: replies to it now, or later, or never. */
static void defer(rtm_client *client, const rtm_event *event, int n) {
    if (life.deferrals + 1 >= MOST) return;
    int least = outstanding_deferrals(false), most = outstanding_deferrals(true);
    bool takes = takes_replies(n, false);
    int id = rtm_defer(client, event);
    trace("program: defers the reply to %d: %d", n, id);
    if (id == RTM_E_AGAIN && most < 64) violate(DEFER_FULL, most);
    if (id > 0 && least >= 64) violate(DEFER_FULL, least);
    if (id <= 0 && id != RTM_E_AGAIN && takes) violate(DEFER_REFUSED, n);
    if (id <= 0) return;
    if (rtm_defer(client, event) != id) violate(DEFER_ID, n);
    for (int i = 1; i <= life.deferrals; i++)
        if (life.deferral[i].id == id) violate(DEFER_ID, n);
    life.deferral[++life.deferrals] = (deferral){ id, n, false };
    life.event[n].deferred = true;
    if (chance(15)) {
        char json[64];
        snprintf(json, sizeof json, "{\"re\":%d}", n);
        life.event[n].deferred = false;
        rtm_result result = rtm_reply(client, event, json);
        trace("program: replies to %d after all: %s", n, rtm_strerror(result));
        if (result == RTM_OK) life.deferral[life.deferrals].done = true;
        else life.event[n].deferred = true;
    } else if (chance(20)) {
        reply_deferred(life.deferrals);
    }
}

static void reply(rtm_client *client, const rtm_event *event, int n) {
    char json[64];
    snprintf(json, sizeof json, "{\"re\":%d}", n);
    if (life.kept_n && life.kept_n != n && chance(50)) {
        char stale[64];
        snprintf(stale, sizeof stale, "{\"re\":%d}", life.kept_n);
        rtm_result result = rtm_reply(client, &life.kept, stale);
        trace("program: replies to %d, of an earlier callback: %s", life.kept_n,
              rtm_strerror(result));
        if (result == RTM_OK) violate(REPLY_STALE, life.kept_n);
    }
    life.kept = *event;
    life.kept_n = n;
    if (life.defers && chance(60)) {
        defer(client, event, n);
        return;
    }
    if (chance(40)) return;
    const sent_event *e = &life.event[n];
    bool closed = e->copies == 1 && life.conn[e->first_conn].close_seen;
    rtm_result result = rtm_reply(client, event, json);
    trace("program: replies to %d: %s", n, rtm_strerror(result));
    if (result == RTM_OK && closed) violate(REPLY_CLOSED, n);
    /* A session that is being closed delivers all that it has received, without a pause. */
    const net_socket *s = socket_of(e->first_conn); /* a reset connection is read to its end */
    if (result == RTM_E_AGAIN && !life.dropping && !life.dropped &&
        (!s || s->reset_at > test_now_ms)) violate(REPLY_AGAIN, n);
}

static void on_slack_event(rtm_client *client, const rtm_event *event) {
    int n = (int)rtm_json_int(rtm_json_get(event->data, "n"), 0);
    if (life.socket_mode && strcmp(event->type, "Unknown") != 0) {
        if (life.slice_at == NEVER) life.slice_at = test_now_ms;
        else if (test_now_ms - life.slice_at > 50)
            violate(SLICE, (int)(test_now_ms - life.slice_at));
    }
    if (!strcmp(event->type, "presence_change")) life.presence_delivered++;
    if (n > 0 && n <= life.events) {
        judge.events++;
        judge_event(n);
        if (life.event[n].accepts) reply(client, event, n);
    }
}

static void on_close(rtm_client *client, const rtm_event *event) {
    if (!life.open) violate(OPEN_CLOSE, 0);
    life.open = life.dropping = life.dropped = life.ended = false;
    if (life.stopped && event->retry_ms != -1) violate(STOP_RETRY, event->retry_ms);
    if (*life.old_detail && !strcmp(rtm_error_detail(client), life.old_detail) && !life.alloc &&
        !life.stopped)
        violate(DETAIL_OLD, 0);
    if (life.pending_cause && !life.stopped && !life.cause_reported && !is_excused() &&
        event->result != RTM_E_SLACK) violate(CAUSE_LOST, life.pending_cause);
    life.pending_cause = 0;
    life.cause_reported = false;
}

static void judge_unanswered(int id) {
    const message *m = message_by_id(id);
    for (int i = 0; m && i < life.items && !life.dropping && !is_excused(); i++) {
        const item *of = &life.item[i];
        const conn *c = &life.conn[of->conn];
        if (of->kind == ANSWER && &life.message[of->n] == m && !c->open &&
            c->final_arrived >= of->end && c->final_read < of->end) violate(ANSWER_LATE, id);
    }
}

/* Whether a "hello" was in the socket, unread, when rtm_poll was called. */
static bool hello_waited(int number) {
    const conn *c = &life.conn[number];
    for (int i = 0; i < life.items; i++) {
        const item *of = &life.item[i];
        if (of->conn == number && of->kind == HELLO && of->end > c->final_read &&
            of->end <= c->poll_arrived) return true;
    }
    return false;
}

static void on_error(const rtm_event *event) {
    const conn *c = &life.conn[life.last_closed];
    bool attempt = event->result == RTM_E_TIMEOUT && event->retry_ms;
    /* Without "hello", other bytes do not matter. */
    bool no_hello = strstr(event->detail, "no \"hello\"") != NULL;
    if (attempt && life.last_closed_poll == life.polls &&
        (no_hello ? hello_waited(life.last_closed) : c->unread_at_end))
        violate(c->websocket ? SESSION_DEAD : ATTEMPT_LATE, life.last_closed);
    if (event->result == RTM_E_STOPPED) life.lost_reported++;
    if (event->result == RTM_E_UNACKNOWLEDGED) judge_unanswered(event->id);
    if (event->result == RTM_E_SLACK && event->retry_ms) life.cause_reported = true;
    if (event->id && event->result != RTM_OK) message_outcome(event->id);
    if ((event->result == RTM_E_JSON || event->result == RTM_E_WEBSOCKET ||
         event->result == RTM_E_UNSUPPORTED) && !event->retry_ms) judge_bad();
}

static void on_event(rtm_client *client, const rtm_event *event, void *user_data) {
    long long entered = enter_callback();
    bool own = !strcmp(event->type, "open") || !strcmp(event->type, "close") ||
               !strcmp(event->type, "error");
    (void)user_data;
    trace("event %s n %lld result %d id %d code %d retry %d %.80s", event->type,
          rtm_json_int(rtm_json_get(event->data, "n"), 0), event->result, event->id, event->code,
          event->retry_ms, event->detail);
    check_text(event->detail);
    check_text(event->reason);
    check_text(rtm_error_detail(client));
    if (life.stopped && strcmp(event->type, "close") != 0 && strcmp(event->type, "error") != 0 &&
        !(event->id > 0 && !strcmp(event->type, "Unknown"))) violate(STOP_EVENT, 0);
    if (!strcmp(event->type, "open")) {
        if (life.open) violate(OPEN_CLOSE, 1);
        life.open = life.opened = true;
        judge.sessions++;
        if (life.stop_in_open && chance(30)) stop();
    } else if (!strcmp(event->type, "close")) {
        on_close(client, event);
    } else if (!strcmp(event->type, "error")) {
        on_error(event);
    } else {
        on_slack_event(client, event);
        if (event->id > 0 && !strcmp(event->type, "Unknown")) message_outcome(event->id);
    }
    if (life.late && !strcmp(event->type, "hello") && !life.registered) {
        life.registered = true;
        rtm_on(client, "message", on_event, NULL);
        rtm_on(client, "slash_commands", on_event, NULL);
    }
    pass_time();
    if (chance(own ? 12 : 8)) act(true);
    leave_callback(entered);
}

/* Registered after on_event: actions of on_event decide whether this one is called. */
static void on_second(rtm_client *client, const rtm_event *event, void *user_data) {
    (void)client;
    (void)user_data;
    if (!strcmp(event->type, "open")) life.second_open++;
    else if (++life.second_close > life.second_open) violate(CLOSE_UNOPENED, 0);
}

/* "chat.postMessage: ...; next attempt in 1000 ms": the oldest request of this kind. Its timeout
   begins with its first attempt, whatever requests of its lane end until the next one. */
static void note_retry(const char *line) {
    if (!strstr(line, "; next attempt in ")) return;
    for (int i = 1; i <= life.requests; i++) {
        request *r = &life.request[i];
        const char *name = r->method < METHODS ? method_name[r->method] : "request to a URL";
        if (!r->submitted || r->callbacks || strncmp(line, name, strlen(name)) != 0) continue;
        for (int m = 1; m <= life.messages && r->method == 0 && life.socket_mode; m++)
            if (life.message[m].sent && !life.message[m].outcomes && life.message[m].id < r->id)
                return; /* it may be about this message */
        if (r->tried_from == LONG_AGO) r->tried_from = request_begun(r);
        return;
    }
}

static void on_log(const char *line, void *user_data) {
    (void)user_data;
    check_text(line);
    trace("log: %.150s", line);
    life.lines++;
    if (!strcmp(line, "disconnect: link_disabled") && !life.stopped)
        life.link_disabled_at = test_now_ms;
    /* An attempt that was in progress by then may continue; if it succeeds, the app is on again. */
    if (strstr(line, " -> CONNECTING")) life.attempt_begun = test_now_ms;
    if (!strncmp(line, "OPEN -> ", 8)) life.ended = true;
    if (!strncmp(line, "UPGRADING -> OPEN", 17) || strstr(line, " takes over")) life.ended = false;
    if (!strncmp(line, "UPGRADING -> OPEN", 17)) life.link_disabled_at = LONG_AGO;
    if (!strncmp(line, "disconnect: ", 12) && (life.no_reconnect || strchr("lt", line[12]))) {
        life.dropped = true;
        if (!strchr("lt", line[12])) life.pending_cause = 0; /* this was the first cause */
    }
    if (!strcmp(line, "handover: the new session takes over")) life.pending_cause = 0;
    note_retry(line);
    if (*line >= 'A' && *line <= 'Z' && strstr(line, " -> ")) {
        bool known = false;
        for (int i = 0; state_transitions[i]; i++)
            known = known || !strncmp(line, state_transitions[i], strlen(state_transitions[i]));
        if (!known) violate(TRANSITION, 0);
        for (int i = 0; i < NET_SOCKETS && !strstr(line, "-> CLOSING"); i++) {
            net_socket *s = &net.socket[i];
            if (s->open) conn_of(s)->unread_at_end = net_arrived(s) > s->in_read;
        }
    }
    if (life.lines == life.stop_at_line && life.client) stop();
}

/* A life --------------------------------------------------------------------------------------- */

/* link_disabled and too_many_websockets, once the client has read them. */
static void note_causes(void) {
    int websockets = 0;
    for (int i = 0; i < NET_SOCKETS; i++)
        websockets += net.socket[i].open && conn_of(&net.socket[i])->websocket;
    for (int i = 0; i < NET_SOCKETS; i++) {
        net_socket *s = &net.socket[i];
        conn *c = s->open ? conn_of(s) : NULL;
        if (c) c->poll_arrived = peer_arrived(s);
        if (!c || !c->websocket || (!c->fatal && !c->too_many)) continue;
        if (net_arrived(s) < s->in_size || websockets != 1 || c->close_seen || !life.open ||
            life.dropping || life.dropped || life.ended) {
            if (websockets != 1 || life.dropping || life.dropped) c->fatal = c->too_many = false;
            continue;
        }
        life.pending_cause = s->serial;
        life.cause_reported = false;
        c->fatal = c->too_many = false;
    }
}

static void note_unread(void) {
    for (int i = 0; i < NET_SOCKETS; i++) {
        net_socket *s = &net.socket[i];
        conn *c = s->open ? conn_of(s) : NULL;
        if (!c || !c->websocket) continue;
        bool waits = net_arrived(s) > s->in_read && s->blocked_until <= test_now_ms;
        c->stuck_polls++; /* a few may fail to read: net.trouble */
        if (!waits || s->in_read != c->stuck_read) c->stuck_since = c->stuck_polls = 0;
        else if (!c->stuck_since) c->stuck_since = test_now_ms;
        c->stuck_read = s->in_read;
        if (c->stuck_since && !life.flood && c->stuck_polls > 6 &&
            test_now_ms - c->stuck_since > 5000 + life.callback_ms)
            violate(UNREAD, s->serial);
    }
}

/* A session must be replaced if it has sent two PINGs and then nothing but PONGs for 60 s, or for
   three times the longest interval between PINGs; 20 s are added for an attempt to detect it. */
static void note_zombies(void) {
    for (int i = 0; i < NET_SOCKETS; i++) {
        net_socket *s = &net.socket[i];
        conn *c = s->open ? conn_of(s) : NULL;
        if (!c || !c->websocket) continue;
        if (c->own_read < c->own_end && peer_read(s) > c->own_read) { /* some of it was read */
            c->own_at = test_now_ms;
            c->own_read = peer_read(s);
        }
        if (c->ping_read < c->ping_end && peer_read(s) >= c->ping_end) {
            if (c->pings++ && test_now_ms - c->ping_at > c->ping_gap)
                c->ping_gap = test_now_ms - c->ping_at;
            c->ping_at = test_now_ms;
            c->ping_read = c->ping_end;
        }
        long long quiet = 3 * c->ping_gap > 60000 ? 3 * c->ping_gap : 60000;
        if (life.socket_mode && life.ping_ms >= 0 && c->pings >= 2 && !c->ended && c->own_at &&
            net_arrived(s) == s->in_read && !c->was_blocked && !life.stopped && !is_excused() &&
            !net.trouble && peer_read(s) >= c->own_end && s->fin_at == NEVER &&
            test_now_ms - c->own_at > quiet + 20000 + life.callback_ms)
            violate(ZOMBIE, s->serial);
    }
}

static unsigned long work(void) {
    return net.work + life.callbacks + (unsigned long)life.lines;
}

static int poll_once(int timeout) {
    note_causes();
    life.polls++;
    life.poll_started = test_now_ms;
    life.callback_ms = 0;
    life.slice_at = NEVER;
    int result = rtm_poll(life.client, timeout);
    long long took = test_now_ms - life.poll_started - life.callback_ms;
    if (timeout >= 0 && took > timeout) violate(POLL_LONG, (int)took);
    note_unread();
    note_zombies();
    if (net.misused) violate(BAD_CALL, 0);
    net.misused = false;
    return result;
}

/* One turn of the program's loop. */
static int turn(int *idle, long long *second) {
    unsigned long before = work();
    bool fd = life.driver >= BY_FD && rtm_fd(life.client) >= 0;
    int timeout = fd || life.driver == BY_CLOCK ? 0 : (int)rnd(2) * (int)rnd(20000);
    bool (*ready)(void *) = life.driver == BY_EDGE ? net_epoll_edge : net_epoll_ready;
    long long began = test_now_ms;
    if (fd) {
        int wait = rtm_timeout_ms(life.client);
        bool now = wait != 0 && ready(NULL); /* an edge is seen once */
        if (wait != 0 && !now && chance(30)) {
            unsigned long did = work();
            int result = poll_once(0);
            if (work() != did && result >= 0) violate(MISSED, wait);
            if (result < 0) return result;
            wait = rtm_timeout_ms(life.client);
        }
        if (wait && !now) net_wait(ready, NULL, wait < 0 || wait > 60000 ? 60000 : wait);
    }
    int result = poll_once(timeout);
    if (life.driver == BY_CLOCK) net_advance(1 + (int)rnd(chance(20) ? 3000 : 100));
    if (test_now_ms - *second >= 1000) {
        *second = test_now_ms;
        *idle = 0;
    }
    if (work() == before && (fd || timeout > 50) && test_now_ms - began < 50) ++*idle;
    if (*idle > 200) {
        violate(SPIN, (int)(test_now_ms - *second));
        *idle = 0;
        net_advance(1000);
    }
    return result;
}

static void judge_end(void) {
    for (int i = 1; i <= life.requests; i++) {
        const request *r = &life.request[i];
        if (r->submitted && r->callbacks != 1) violate(CALLBACK_ONCE, i);
    }
}

/* Nothing new happens before the end, so that everything can be delivered. */
static bool settle(void) {
    int idle = 0;
    long long second = test_now_ms, until = test_now_ms + 120000;
    life.quiet = true;
    for (int i = 0; i < 20000 && test_now_ms < until && !life.stopped; i++) {
        unsigned long before = life.deliveries;
        if (turn(&idle, &second) < 0) return false;
        /* Slow callbacks may need minutes for the events of a flood. */
        if (life.deliveries != before && until < test_now_ms + 60000) until = test_now_ms + 60000;
        if (i == 19999) return false;
    }
    return !life.stopped;
}

static void finish(void) {
    int result = 0;
    long long callbacks = 0, from = test_now_ms;
    stop();
    for (int i = 0; i < 5000 && result >= 0; i++) {
        result = poll_once(life.driver == BY_CLOCK ? 0 : 100);
        if (life.driver == BY_CLOCK && result == 0) net_advance(20); /* else there may be more */
        callbacks += life.callback_ms;
        if (test_now_ms - from - callbacks > 3000) {
            violate(STOP_SLOW, (int)(test_now_ms - from));
            break;
        }
    }
    if (result >= 0) return;
    if (result != RTM_E_STOPPED && !life.finished) violate(STOP_RESULT, result);
    if (life.open && !life.alloc) violate(OPEN_CLOSE, 2);
    for (int m = 1; m <= life.messages && !is_excused(); m++)
        if (life.message[m].sent && !life.message[m].cancelled && !life.message[m].outcomes)
            violate(MESSAGE_NONE, m);
}

static void begin_life(unsigned long long seed) {
    memset(&life, 0, sizeof life);
    memset(&net, 0, sizeof net);
    life.seed = seed;
    rng = (seed + 1) * 0x9e3779b97f4a7c15ULL;
    for (int i = 0; i < 8; i++) rnd(2);
    test_now_ms = life.started = chance(3) ? -5000000 : 1000000;
    test_random_state = (uint32_t)rng | 1;
    test_blocks = test_allocations = test_fail_at = test_fail_ever = 0;
    net.next_tick = test_now_ms + 100;
    life.link_disabled_at = life.not_before = life.lane_ended[0] = life.lane_ended[1] = LONG_AGO;
    life.socket_mode = chance(60);
    life.proxy = chance(20);
    life.everything = chance(60);
    life.late = !life.everything && chance(60);
    life.flood = chance(10);
    life.hostile = chance(25) ? 0 : 1 + (int)rnd(2);
    life.driver = (enum driver)rnd(DRIVERS);
    life.alloc = chance(12);
    life.refuses = life.hostile && chance(4);
    life.stop_in_open = chance(15);
    life.defers = life.socket_mode && chance(40);
    life.latency = chance(30) ? 4000 : 50;
    life.slow = chance(40) ? 0 : chance(50) ? 100 : 15;
    life.slow_ms = life.slow == 100 ? 20 : 1000 + (int)rnd(4000);
    life.timeout_ms = chance(50) ? 30000 : 3000 + (int)rnd(10000);
    life.ping_ms = chance(40) ? 0 : chance(15) ? -1 : 2000 + (int)rnd(8000);
    net.trouble = chance(30) ? 1 + (int)rnd(8) : 0;
    net.only_level = life.driver != BY_EDGE;
    net.resolver = life.hostile ? (int)rnd(8) : 0;
    if (chance(15)) life.stop_at_line = 1 + (int)rnd(120);
    if (LIVES_TLS) tls_begin_life(chance(60));
}

static void live(unsigned long long seed) {
    begin_life(seed);
    rtm_config config = { .token = BOT_TOKEN, .app_token = life.socket_mode ? APP_TOKEN : NULL,
        .base_url = "http" TLS_S "://api.test/api/", .ca_pem = LIVES_TLS ? tls_pem : NULL,
        .tls_setup = tls_setup, .proxy = life.proxy ? "http://u:" SECRET "@p.test" : "",
        .log = on_log, .timeout_ms = life.timeout_ms, .ping_interval_ms = life.ping_ms,
        .no_auto_reconnect = life.no_reconnect = chance(8), .max_queue_size = chance(20) ? 2048 : 0,
        .max_message_size = chance(20) ? 4096 : 0 };
    if (life.alloc) test_fail_at = 20 + (long)rnd(400);
    if (rtm_create(&config, &life.client) != RTM_OK) return;
    static const char *const some[] = { "hello", "open", "close", "error", "Unknown" };
    if (life.everything) rtm_on(life.client, "*", on_event, NULL);
    for (size_t i = 0; !life.everything && i < sizeof some / sizeof *some; i++)
        rtm_on(life.client, some[i], on_event, NULL);
    rtm_on(life.client, "open", on_second, NULL);
    rtm_on(life.client, "close", on_second, NULL);
    trace("life %llu: %s, driver %d, hostile %d, slow %d x %d ms, ping %d, timeout %d%s%s%s%s",
          seed, life.socket_mode ? "Socket Mode" : "RTM", (int)life.driver, life.hostile, life.slow,
          life.slow_ms, life.ping_ms, life.timeout_ms, life.late ? ", late" : "",
          life.flood ? ", flood" : "", life.alloc ? ", allocations fail" : "",
          net.trouble ? ", system calls fail" : "");
    if (life.started < 0) trace("the clock begins below 0");
    int idle = 0, turns = 40 + (int)rnd(300), result = 0;
    long long second = test_now_ms;
    for (int i = 0; i < turns && result >= 0 && net.serial < CONNS - 64; i++) {
        result = turn(&idle, &second);
        if (result >= 0 && chance(12)) act(false);
        if (result >= 0 && life.slow && chance(3)) net_advance((int)rnd(20000)); /* it is busy */
    }
    bool settled = result >= 0 && chance(60) && settle();
    life.finished = result < 0;
    if (!settled) life.dirty = true;
    for (int n = 1; settled && n <= life.events; n++)
        if (life.event[n].acks && life.event[n].should && !life.event[n].delivered && !is_excused())
            violate(ACK_LOST, n);
    int presence = 0;
    for (int i = 0; i < life.items; i++)
        presence += life.item[i].kind == PRESENCE && is_received(&life.item[i]);
    if (settled && life.everything && presence > life.presence_delivered && !is_excused() &&
        !life.reconnects) violate(PRESENCE_LOST, presence - life.presence_delivered);
    if (settled && !life.hostile && !net.trouble && !is_excused() && !life.opened &&
        !config.no_auto_reconnect) violate(NO_SESSION, 0);
    life.dirty = life.alloc;
    if (result >= 0 && chance(85)) finish();
    life.destroyed = true;
    rtm_destroy(life.client);
    life.client = NULL;
    if (test_blocks) violate(LEAK, (int)test_blocks);
    bool open = net.wake_ends || net.epoll_open;
    for (int i = 0; i < NET_SOCKETS; i++) open = open || net.socket[i].open;
    if (open) violate(LEAK_FD, 0);
    for (int i = 0; i < NET_SOCKETS; i++) net_free(&net.socket[i]);
    judge_end();
    judge.requests += (unsigned long long)life.requests;
}

int main(int argc, char **argv) {
    unsigned long long seed = 1, count = LIVES_TLS ? 100 : 300;
    if (argc > 2) {
        seed = strtoull(argv[1], NULL, 10);
        count = strtoull(argv[2], NULL, 10);
    }
    judge.count = argc > 3 && !strcmp(argv[3], "-k");
    judge.verbose = argc > 3 && !strcmp(argv[3], "-v");
    judge.only = -1;
    for (int i = 0; i < RULE_COUNT && argc > 3; i++)
        if (!strcmp(argv[3], rule_name[i])) judge.only = i;
    for (unsigned long long i = 0; i < count; i++) {
        live(seed + i);
        judge.failed += life.printed;
    }
    for (int i = 0; i < RULE_COUNT && judge.count; i++)
        if (judge.broken[i])
            printf("%7lld  %-17s first seed %llu: %s\n", judge.broken[i], rule_name[i],
                   judge.first_seed[i], rule_text[i]);
    printf("lives: %llu lives from %llu, %llu sessions, %llu events, %llu requests: "
           "%lld broke a rule\n", count, seed, judge.sessions, judge.events, judge.requests,
           judge.failed);
    return judge.failed != 0;
}
