/* sandbox.h - what the files of the sandbox share. main.c describes the sandbox.
   SPDX-License-Identifier: MIT */
#ifndef SANDBOX_H
#define SANDBOX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POLLRDHUP, vasprintf, memrchr */
#endif

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libwebsockets.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_RTM = 16 * 1024,          /* bytes of a message to Slack; a larger one ends the session */
    MAX_APP = 20480,              /* the same limit in Socket Mode */
    MAX_BODY = 256 * 1024,        /* of a Web API request */
    MAX_UPLOAD = 1024 * 1024 * 1024,
    MAX_SHARED = 64 * 1024 * 1024, /* of a file that /share offers */
    MAX_THINGS = 1000,            /* uploads, shared files and response URLs remembered */
    MAX_LINE = 4 * 1024 * 1024,   /* of input; a longer one is split */
    MAX_SEEN = 8 * 1024 * 1024,   /* bytes of the bot's messages kept for /expect */
    HIGH_WATER = 256 * 1024,      /* bytes queued for one connection: others have to wait */
    MAX_QUEUE = 16 * 1024 * 1024, /* bytes queued for one connection: it is cut */
    MAX_MESSAGES = 1000,          /* of one channel, kept */
    MAX_KEPT = 64 * 1024 * 1024,  /* bytes of all kept messages */
    MAX_CHANNELS = 1000,
    MAX_REACTIONS = 23,           /* to one message, of one user: as Slack */
    MAX_TEXT = 40000,             /* characters of a message's text */
    MAX_BLOCKS = 50,              /* of a message; a view may have 100 */
    MAX_VIEW_BLOCKS = 100,
    MAX_VIEWS = 100,              /* open at once: the oldest are closed */
    MAX_CONNECTIONS = 10,         /* of one app, in Socket Mode */
    MAX_WAITING = 100,            /* connections without a whole request: the oldest is closed */
    REQUEST_SECONDS = 10,         /* for TLS and the head of a request */
    BURST = 64,                   /* frames written to one connection in one turn */
    TICKETS = 256,                /* WebSocket URLs remembered */
    TICKET_SECONDS = 30,
    EXPECT_SECONDS = 10,
    GOODBYE_SECONDS = 10,         /* from "goodbye" or "disconnect" to the close */
    PING_SECONDS = 10             /* between two PINGs to a Socket Mode client */
};

#define UNUSED __attribute__((unused))
#define JSON_TYPE "application/json; charset=utf-8"
#define TEXT_TYPE "text/plain; charset=utf-8"

/* An action for a connection, done once it is writeable and all earlier actions are done. */
enum action { SEND_TEXT, SEND_PING, SEND_HTTP, SEND_CLOSE, CUT_FIN, CUT_RST };

struct frame {
    struct frame *next;
    enum action action;
    int code; /* of a CLOSE */
    size_t size;
    unsigned char data[]; /* LWS_PRE bytes for libwebsockets, then the payload */
};

struct ticket { /* the single-use part of a WebSocket URL */
    unsigned long long id;
    lws_usec_t expires;
    bool used, is_app;
    unsigned app; /* a hash of the app's token */
};

struct conn { /* an HTTP connection, or the WebSocket it was upgraded to */
    struct conn *next;
    struct lws *wsi;
    bool is_ws, is_app; /* is_app: Socket Mode */
    unsigned app;       /* the ticket's */
    bool leaving;       /* gets no more events: goodbye, CLOSE or a cut is queued */
    bool cut;           /* what still arrives is ignored */
    bool deaf;          /* not read from, because of back-pressure or /mute */
    bool last;          /* close after the response */
    bool pinged;        /* a PING was sent and not answered yet */
    bool waiting;       /* for a request, or for the rest of one */
    lws_usec_t waiting_since;
    lws_usec_t next_ping, ends; /* when; 0: never */
    enum action end_how;
    int close_code;
    struct frame *head, **tail;
    size_t queued;
    char *in; /* the request's body, or the WebSocket message, so far */
    size_t in_size;
    struct upload *upload;       /* an upload, whose body is not kept */
    struct frame *late;          /* a response that /slow delays */
    lws_sorted_usec_list_t slow; /* and until when */
};

struct options {
    const char *cert, *key, *script, *port_file, *files_host;
    FILE *log, *transcript;
    int port;
    unsigned seed;
    bool plain, quiet, lenient;
};

struct box {
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct conn *conns;
    struct ticket tickets[TICKETS];
    unsigned issued;
    lws_usec_t skipped; /* time by which /later has advanced the clock */
    bool done;
    int status; /* exit status of the program */
};

struct orders { /* failures that were ordered by commands */
    bool muted, link_off, no_files; /* no_files: the token lacks the scope files:read */
    int ratelimit; /* Retry-After for the next call; -1: no limit */
    long slow_ms;
    int http_status, http_count, refuse_status, refuse_count, fail_count;
    char fail_code[64];
};

struct input { /* stdin or the script */
    struct lws *wsi;
    int fd, line;
    char *data;
    size_t start, size, room;
    bool readable, eof, gone, hangs_up;
    bool is_person, by_hand; /* at a terminal; with the line editor */
};

struct seen { /* a message of the bot, for /expect */
    struct seen *next;
    char text[];
};

extern struct options options;
extern struct box box;
extern struct orders orders;
extern struct input input;
extern struct seen *seen_first;

/* text.c */
__attribute__((format(printf, 3, 4)))
void put_line(FILE *to, const char *actor, const char *format, ...);
#define say(...) put_line(stdout, __VA_ARGS__)
#define warn(...) put_line(stderr, "sandbox", __VA_ARGS__)
void check_output(FILE **file, const char *option);
void lws_log(int level, const char *line);
void *need(void *memory);
char *json(const char *format, ...); /* ' becomes ", %s is escaped, %d is an int, %j is JSON */
const char *member(const cJSON *object, const char *name);
size_t characters(const char *text);
const char *new_ts(void);
lws_usec_t now(void);
void note_seen(const char *text);
void drop_seen(void);

/* terminal.c */
const char *colour_of(FILE *to, const char *actor);
void hide_line(void);
void show_line(void);
bool open_terminal(void);
char *edit_line(bool *eof);
void close_terminal(void);

/* conn.c */
#define EACH_BOT(conn) (struct conn *conn = box.conns; conn; conn = conn->next) if (is_bot(conn))
struct conn *conn_of(struct lws *wsi);
void start_waiting(struct conn *conn);
void forget(struct conn *conn);
void forget_input(struct conn *conn);
void regulate(struct conn *conn);
struct frame *new_frame(enum action action, const char *payload, size_t size); /* NULL: zeros */
void push(struct conn *conn, struct frame *frame);
void cut(struct conn *conn, enum action how);
void send_close(struct conn *conn, int code, const char *reason);
void send_text(struct conn *conn, const char *text);
void reply(struct conn *conn, char *text); /* sends and frees it */
bool is_bot(const struct conn *conn);
bool collect(struct conn *conn, const void *data, size_t size, size_t most);
int on_writeable(struct conn *conn);

/* api.c */
int on_request(struct conn *conn);
int on_body(struct conn *conn, const void *data, size_t size);
int on_call(struct conn *conn);
void limit_method(const char *name, long seconds);
bool fail_method(const char *name, const char *error, long count);
const char *refuse_download(struct conn *conn);

/* methods.c: each method returns the response, or NULL with *error set */
struct call {
    struct conn *conn;
    const cJSON *args;
    const char *error, *detail; /* detail: for response_metadata.messages */
};
struct method {
    const char *name;
    char *(*run)(struct call *call);
    const char *needs; /* "ARGUMENT:ERROR ...": ERROR is returned if ARGUMENT is missing */
    const char *report; /* printed after a success, or NULL */
    enum token { ANY_TOKEN, BOT_TOKEN, APP_TOKEN, NO_TOKEN } token;
};
const struct method *find_method(const char *name);
const char *accept_bot_token(const char *token); /* NULL, or Slack's error code */
void list_methods(void);
void check_thread(struct call *call, const char *channel);

/* workspace.c */
struct element { /* of a block, with an action_id */
    const cJSON *block, *element;
};
const cJSON *all_users(void);
const cJSON *find_user(const char *id);
const cJSON *all_channels(void);
const char *find_channel(const char *name); /* id of a channel by id, name or user; or NULL */
bool add_channel(const char *id);
char *channel_object(const char *id);
const char *channel_type(const char *channel);
cJSON *messages_of(const char *channel);
cJSON *find_message(const char *channel, const char *ts);
void set_member(cJSON *message, const char *name, cJSON *value);
void delete_message(const char *channel, cJSON *message);
void keep(const char *channel, const char *event);
char *post(const char *channel, const char *text, const char *more, const char *thread);
cJSON *parsed_argument(const cJSON *args, const char *name); /* JSON, also if in a string */
char *json_argument(const cJSON *args, const char *name); /* the same as text; "" if absent */
char *message_text(const cJSON *message); /* what a user would read in it; to be freed */
bool find_element(const cJSON *blocks, const char *action, struct element *found);
const cJSON *message_with(const char *action, struct element *found, const char **channel);
char *escape_typed(const char *text);

/* views.c */
char *open_view(struct call *call);
char *push_view(struct call *call);
char *update_view(struct call *call);
char *publish_view(struct call *call);
const char *view_id(const char *name); /* of the open view with this id or callback_id, or NULL */
char *submit_view(const char *id, char *values); /* the view with its state, or NULL */
char *view_with(const char *action, struct element *found); /* the view, to be freed, or NULL */
void set_value(cJSON *to, const cJSON *element, const char *value);
void answer_view(const char *id, const cJSON *payload);
void forget_views(void);

/* files.c: URLs outside /api/ */
struct answer { /* an HTTP response */
    int status;
    const char *type;
    char *body; /* to be freed */
    size_t size;
};
struct route {
    const char *prefix;
    struct answer (*answer)(struct conn *conn, const char *id);
};
const struct route *find_route(const char *path);
const char *own_url(const char *place, const char *id); /* https://files.localhost:PORT/place/id */
char *new_response_url(const char *about);
void begin_upload(struct conn *conn, const char *id, const char *type);
bool add_to_upload(struct conn *conn, const char *data, size_t size);
void forget_upload(struct conn *conn);
char *share(const char *name); /* the member "files" of a message with this file, or NULL */
char *get_upload_url(struct call *call);
char *complete_upload(struct call *call);
char *list_files(struct call *call);

/* realtime.c */
const char *new_url(struct conn *conn, bool is_app);
void broadcast(const char *text);
void broadcast_event(const char *event);
void send_to_app(const char *event);
void broadcast_and_free(char *event);
void tick(void);
void end_later(struct conn *conn, enum action how);
int on_upgrade(struct conn *conn, const char *protocol);
void on_open(struct conn *conn);
void on_closed(struct conn *conn);
int on_receive(struct conn *conn, const void *data, size_t size);

/* socket_mode.c */
int app_connections(void);
void open_app(struct conn *conn);
void send_envelope(const char *type, const char *label, const char *payload, bool accepts,
                   const char *view); /* view: the id of the submitted view, or "" */
void on_acknowledged(const cJSON *acknowledgement);
void disconnect_apps(const char *reason, bool later, enum action how);
void ping(struct conn *conn);
bool resend(void);
void forget_envelopes(void);

/* console.c */
void advance(void);
void take_input(void);
bool last_number(char *args, long least, long most, long *result);
bool open_input(void);
void watch_input(void);
void finish_line(void);
void complete_command(const char *start, size_t size, char *rest, size_t room);
int on_input(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size);

/* server.c */
int serve(void);

#endif
