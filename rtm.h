/* rtm.h 0.1.0 - a Slack real-time client for C programs, in one file          SPDX: MIT

   DO THIS
     In exactly one C file:   #define RTM_IMPLEMENTATION
                              #include "rtm.h"
     In any other, C or C++:  #include "rtm.h"
     To build:                cc bot.c -lbearssl      (and jsmn.h, which is a header alone;
                              Debian: apt install libbearssl-dev libjsmn-dev)

   CONTENTS (search for the tag)
     QUICK START, CONVENTIONS, STATES, EVENTS, ERRORS, SECURITY, OPTIONS       this comment
     >>api      the public part
     >>base     results, errors, buffers, encodings
     >>json     check, scan, jsmn tokens
     >>http     URLs, requests, the response parser (RFC 9112)
     >>ws       handshake, frame parser and writer (RFC 6455)
     >>trust    X.509 trust anchors
     >>conn     resolve, TCP, proxy, TLS, bytes: all socket calls
     >>call     one HTTP exchange
     >>session  states, timers, backoff, dispatch, sends
     >>config   what the user gave, checked and copied
     >>public   the public functions

   QUICK START
  #define RTM_IMPLEMENTATION
  #include "rtm.h"
  #include <stdlib.h>

  static void on_message(rtm_client *bot, const rtm_event *event, void *user) {
      (void)user;
      char channel[32];
      rtm_json_string(rtm_json_get(event->data, "channel"), channel, sizeof channel);
      if (rtm_json_equals(rtm_json_get(event->data, "text"), "ping"))
          rtm_send_message(bot, channel, "pong");
  }

  int main(void) {
      rtm_client *bot;
      if (rtm_create(&(rtm_config){ .token = getenv("SLACK_API_TOKEN") }, &bot) != RTM_OK) return 1;
      rtm_on(bot, "message", on_message, NULL);
      while (rtm_poll(bot, 1000) >= 0) {
          // the rest of your loop
      }
      rtm_destroy(bot);
  }
     With SLACK_API_TOKEN=xoxb-... in the environment it answers "pong" to every "ping".
     Nothing happens unless rtm_poll() is called: a bot that never hears anything lacks that call.

   CONVENTIONS
     Results    rtm_result is 0 for success and negative for an error. Functions that give a number
                (an id, a count) give it >= 0, or a negative rtm_result.
     Arguments  A NULL client gives RTM_E_ARGUMENT, and nothing in rtm_stop and rtm_destroy. Texts
                are NUL-terminated UTF-8. What a text must be is checked; that a pointer is good
                cannot be.
     Ownership  rtm_create copies everything from the config. An event and all it points at live
                until the callback returns; an rtm_response until the client's next rtm_call.
                rtm_json values point into these and own nothing.
     Callbacks  run inside rtm_poll (rtm_run, rtm_connect) on the caller's thread, in the order of
                events, handlers of one event in the order registered. In a callback every function
                is legal but rtm_poll, rtm_connect, rtm_run (RTM_E_BUSY) and rtm_destroy. config.log
                and config.tls_setup may call nothing but rtm_stop.
     Threads    A client belongs to one thread at a time; different clients share nothing. rtm_stop
                may be called from any thread and from a signal handler.
     Processes  After fork() one side alone may use a client, the other not even destroy it: both
                would write to the same connection, with the same keys.
     Time       All times are milliseconds of a monotonic clock. Only getaddrinfo may block longer
                than asked for; define RTM_GETADDRINFO to put something else in its place.
     Memory     taken once per connection, in bytes (64-bit):
                  the client                           5,848
                  TLS: engine, record buffers         21,544   while connected
                  read-ahead                           4,096   while connected
                  certificate check                    5,200   during a handshake
                  trust anchors        about 540 per anchor   during a full handshake
                  event buffer     up to max_message, grown on demand, kept
                  JSON tokens       24 per value and name of an event or response that
                                   rtm_json_at, _name or _size looked into; kept, but over 48 KiB
                                   only until 100 in a row needed less
                rtm_call takes a second connection's worth, kept until the next rtm_call finds it
                closed, or rtm_destroy.
                No event costs an allocation once the buffers have grown.

   STATES
     IDLE -----> CALLING -----> UPGRADING -----> OPEN -----> CLOSING -----> FINISHED
                 ^     |            |              |
                 |     v            v              v
                 WAITING <----------+--------------+
     IDLE, CALLING, UPGRADING and WAITING go to FINISHED when rtm_stop is called, OPEN by CLOSING;
     CALLING, UPGRADING and OPEN also when their end is final.

     state       entered                   rtm_poll                        deadline
     IDLE        by rtm_create             begins                          none
     CALLING     to get a URL              connects, POSTs rtm.connect     timeout_ms
     UPGRADING   with that URL             connects, opens the WebSocket   timeout_ms
     OPEN        after HTTP 101            dispatches events               ping_interval_ms
     CLOSING     by rtm_stop               waits for Slack's CLOSE         1 s
     WAITING     after an end, to retry    waits                           the backoff
     FINISHED    stopped, or fatal         returns the result              none

     One rtm_poll call, in this order:
       1. does what the state can do without waiting, and runs the callbacks of what has come;
       2. if no callback ran, waits for the socket, for the state's deadline, or timeout_ms;
       3. does again what can be done now.
     A PING of the server is answered before the next event is dispatched. One call takes in at most
     256 KiB of events, so that a flood leaves the caller his turn.

     Reconnecting: each attempt gets a new URL. The wait is min(2^failures + U[0,1), 300) seconds,
     or what Retry-After asks for if that is longer (30 s after a 429 without one). A session that
     lasted 10 s or more is followed by the next at once, and sets `failures` back to 0.

   EVENTS (type, then what the fields of rtm_event beside type hold)
     Slack's own   data: the whole event. "hello", "message", "reaction_added", ... as Slack sends
                   them, "goodbye" and "team_migration_started" too (a reconnect follows).
     open          data: the whole rtm.connect response.
     close         once for each session that was open. code, reason: of Slack's CLOSE frame, 1005
                   when it had none, 1006 without a CLOSE frame, also after rtm_stop; 1000 after
                   rtm_disconnect or goodbye; 1002 and 1007 where Slack broke the protocol.
                   result: RTM_OK, or what went wrong.
     error         result: why, detail: a sentence; id: the message concerned, or 0. The client goes
                   on by itself unless rtm_poll returns a negative result. Slack's own
                   {"type":"error"} arrives with result RTM_OK and its data; a reconnect follows.
     Unknown       data: a frame without a type, or with one of 128 bytes or more. Slack's
                   acknowledgement of a message is one; its id is the message's. (A server's "open"
                   or "close" would arrive here too.)
     *             a handler for "*" hears every event; one for "message::bot_message" hears those
                   with that subtype.

   ERRORS (result, cause, what the client does, what you can do)
     ARGUMENT        a bad argument or config         nothing         rtm_error_detail says which
     MEMORY          no memory                        retries         -
     BUSY            called in a callback             nothing         call it outside
     UNSUPPORTED     not supported (yet)              nothing         -
     AGAIN           send buffer full                 nothing         send later
     NOT_CONNECTED   no open session                  nothing         send after "open"
     TOO_BIG         over 16,384 bytes out, or over   skips it        send less; raise max_message
                     max_message in
     STOPPED         rtm_stop was called              is finished     rtm_destroy
     RESOLVE         host name not found              retries         check base_url, DNS
     CONNECT         no address answered              retries         check the network
     TIMEOUT         nothing came in time             retries         -
     CLOSED          the peer closed                  retries         -
     PROXY           the proxy refused                retries         check its URL and credentials
     TLS             the handshake or a record        retries         -
     CERTIFICATE     unknown CA, other host, dates    retries         set ca_file; set the clock
     HTTP            bad response or status           retries         check base_url
     WEBSOCKET       refused, or protocol broken      retries         -
     JSON            not JSON                         skips, retries  -
     SLACK           ok:false                         retries         see the code in the detail
     AUTH            ok:false, no retry can help      is finished     see the code in the detail
     RATE_LIMITED    HTTP 429                         waits           call less often
     UNACKNOWLEDGED  session ended before the answer  reports the id  send it again, perhaps

   SECURITY
     Trusted: the program, its config and environment, the CA certificates, getaddrinfo only so far
     that a wrong address fails the certificate check. Not trusted: the network, the proxy, and the
     server, which may send any bytes at any time.
     Promised: TLS 1.2 with ECDHE and AEAD ciphers, certificates checked against the host name, no
     switch that turns this off, no downgrade from https to ws. The token goes to base_url's host
     only, in a header only; it is wiped from memory by rtm_destroy, and no log line or error text
     holds it, the proxy's password, or the value of a header that is secret by its name or value
     (rtm_config.headers), of four bytes or more. Every length is checked before it is believed,
     every buffer has a limit, every wait a deadline.

   OPTIONS (#define before the implementation, each has a default)
     RTM_REALLOC(ptr, size), RTM_FREE(ptr)        memory                      realloc, free
     RTM_NOW_MS()      long long, monotonic ms                                clock_gettime
     RTM_TIME()        time_t, for certificates                               time(NULL)
     RTM_RANDOM(buf, size)   fills with secure random bytes, 0 = success    getrandom(2), else
                                                         getentropy(3), else /dev/urandom
     RTM_GETADDRINFO(host, port, hints, &list), RTM_FREEADDRINFO(list)        getaddrinfo
     RTM_ASSERT(condition)   for mistakes of the program                      assert
*/
#ifndef RTM_H
#define RTM_H

#include <stdbool.h> /* bool */
#include <stddef.h>  /* size_t */

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------
 * >>api
 * --------------------------------------------------------------------------------------------- */

#define RTM_VERSION "0.1.0"

/* name, number, and what rtm_strerror says; the table ERRORS above tells more. */
#define RTM_RESULTS(X)                                                            \
    X(RTM_OK, 0, "success")                                                       \
    X(RTM_E_ARGUMENT, -1, "invalid argument or configuration")                    \
    X(RTM_E_MEMORY, -2, "out of memory")                                          \
    X(RTM_E_BUSY, -3, "not allowed inside a callback")                            \
    X(RTM_E_UNSUPPORTED, -4, "not supported")                                     \
    X(RTM_E_AGAIN, -5, "send buffer full, try again later")                       \
    X(RTM_E_NOT_CONNECTED, -6, "not connected")                                   \
    X(RTM_E_TOO_BIG, -7, "message too big")                                       \
    X(RTM_E_STOPPED, -8, "stopped")                                               \
    X(RTM_E_RESOLVE, -9, "host name not found")                                   \
    X(RTM_E_CONNECT, -10, "cannot connect")                                       \
    X(RTM_E_TIMEOUT, -11, "timed out")                                            \
    X(RTM_E_CLOSED, -12, "connection closed")                                     \
    X(RTM_E_PROXY, -13, "proxy failed")                                           \
    X(RTM_E_TLS, -14, "TLS failed")                                               \
    X(RTM_E_CERTIFICATE, -15, "certificate not accepted")                         \
    X(RTM_E_HTTP, -16, "bad HTTP response")                                       \
    X(RTM_E_WEBSOCKET, -17, "WebSocket refused or protocol broken")               \
    X(RTM_E_JSON, -18, "not valid JSON")                                          \
    X(RTM_E_SLACK, -19, "refused by Slack")                                       \
    X(RTM_E_AUTH, -20, "refused by Slack for good: token or call not accepted")   \
    X(RTM_E_RATE_LIMITED, -21, "rate limited by Slack")                           \
    X(RTM_E_UNACKNOWLEDGED, -22, "message was not acknowledged")

typedef enum rtm_result {
#define RTMI_ENUM(name, number, text) name = (number),
    RTM_RESULTS(RTMI_ENUM)
#undef RTMI_ENUM
} rtm_result;

/* A client: one bot, one session at a time. */
typedef struct rtm_client rtm_client;

/* A JSON value, or a missing one: a small thing to pass by value. The fields are not for use; see
   rtm_json_get and the functions after it. Valid as long as what it was taken from. */
typedef struct rtm_json {
    const char *text;
    size_t size;
    void *document;
} rtm_json;

/* What a callback gets; all of it is valid until the callback returns. Table EVENTS above. */
typedef struct rtm_event {
    const char *type;   /* Slack's type, or "open", "close", "error", "Unknown" */
    rtm_json data;      /* the event as sent; missing where there is nothing */
    rtm_result result;  /* error, close: why; RTM_OK elsewhere */
    int id;             /* the message of ours that this is about, or 0 */
    int code;           /* close: the WebSocket close code */
    const char *reason; /* close: Slack's reason, "" without one; never NULL */
    const char *detail; /* error: a sentence for humans, else ""; never NULL */
} rtm_event;

/* `user` is the pointer given with the callback. */
typedef void (*rtm_callback)(rtm_client *client, const rtm_event *event, void *user);

/* A row of config.handlers; the last row has a NULL type. */
typedef struct rtm_handler {
    const char *type;
    rtm_callback callback;
    void *user;
} rtm_handler;

/* A Web API response; valid until the client's next rtm_call. */
typedef struct rtm_response {
    int status;        /* HTTP status, 0 when there was no response */
    bool ok;           /* Slack's "ok" */
    rtm_json data;     /* the whole response; missing when it was not JSON */
    const char *error; /* Slack's error code, "" without one; never NULL */
    int retry_after;   /* seconds that Slack asked to wait, or 0 */
} rtm_response;

/* How to make a client. All zero but the token is a good configuration. */
typedef struct rtm_config {
    const char *token;          /* required: xoxb-... or xoxp-...; white space around it is cut */
    const char *app_token;      /* xapp-...: Socket Mode; NULL = RTM. Not supported yet: refused */
    const char *connect_method; /* "rtm.connect" (default) or "rtm.start" */
    const char *base_url;       /* of the Web API; default "https://slack.com/api/" */
    const char *proxy;          /* "http://user:password@host:port", percent-encoded (a "/" in the
                                   password is %2F: nothing may follow but one "/"); "" = none;
                                   NULL = the first of HTTPS_PROXY, https_proxy, HTTP_PROXY,
                                   http_proxy that is not empty, less the hosts in NO_PROXY */
    const char *const *headers; /* "Name: value", ended by NULL: in Web API and WebSocket requests,
                                   in place of rtm.h's own of that name. The value of a Cookie is
                                   secret, and of all but User-Agent where name or value contains
                                   token, key, secret, password or auth */
    const char *ca_file;        /* PEM file of trusted CAs; default: SSL_CERT_FILE, else the
                                   system's bundle. With no certificate in it: refused */
    const char *ca_pem;         /* the same as a text; goes before ca_file */
    int timeout_ms;             /* for each connection and each call; default 30000 */
    int ping_interval_ms;       /* silence before a PING, dead after half as much again; default
                                   30000; -1 = never */
    bool no_auto_reconnect;     /* the end of the first session, or attempt, is final */
    bool no_signals;            /* rtm_run leaves signal handlers alone */
    size_t max_message;         /* bytes of one event or response; default 1 MiB, 4 KiB to 1 GiB */
    const rtm_handler *handlers; /* registered before anything else, as by rtm_on; or NULL */
    void (*log)(const char *line, void *user); /* gets one line without its end; no secrets in it */
    void *log_user;
    void (*tls_setup)(void *tls, void *user);  /* may change the br_ssl_client_context before each
                                                  handshake: client certificates, own anchors */
    void *tls_user;
} rtm_config;

/* Life ---------------------------------------------------------------------------------------- */

/* Makes a client. Opens no connection: the first rtm_poll does.
   config  copied, as is all it points at
   client  receives the client, or NULL
   Returns RTM_OK; RTM_E_ARGUMENT or RTM_E_UNSUPPORTED for a field that cannot be used, or
   RTM_E_MEMORY. rtm_error_detail(NULL) then has a sentence on it. Runs no callback. */
rtm_result rtm_create(const rtm_config *config, rtm_client **client);

/* Frees a client; NULL is fine. An open session is told goodbye as far as the socket takes it at
   once; no callback runs. Use rtm_stop first to hear `close`. Not in a callback. */
void rtm_destroy(rtm_client *client);

/* Ends the session for good: CLOSE 1000 is sent, its answer awaited for at most a second in later
   rtm_polls, then they return RTM_E_STOPPED. From now on only `close` and `error` callbacks run.
   May be called at any time, again, in a callback, in a signal handler, from another thread (a loop
   of your own must be woken by you then). */
void rtm_stop(rtm_client *client);

/* Drops the open session at the next rtm_poll; then the reconnect rules decide, as if Slack had
   closed it. Returns RTM_OK, or RTM_E_NOT_CONNECTED. Runs no callback itself. */
rtm_result rtm_disconnect(rtm_client *client);

/* Whether a session is open, so that a message can be sent. */
bool rtm_is_connected(const rtm_client *client);

/* What a result means, in a few words; never NULL, static. */
const char *rtm_strerror(rtm_result result);

/* One sentence on the client's last failure and what to do about it; "" before the first; never
   NULL, valid until the next call with this client. With NULL: on this thread's last rtm_create. */
const char *rtm_error_detail(const rtm_client *client);

/* The version of the implementation, "major.minor.patch"; static. */
const char *rtm_version(void);

/* The step ------------------------------------------------------------------------------------ */

/* Does all that can be done now, and waits for something to do if there is nothing (STATES above).
   timeout_ms  how long to wait at most: 0 = not at all, -1 = without bound
   Returns the number of events that callbacks ran for, perhaps 0: also before timeout_ms is over,
   when a signal came, or something happened that is no event. Once the client has finished for
   good, a negative result: RTM_E_STOPPED after rtm_stop, the cause otherwise. RTM_E_BUSY in a
   callback. Runs callbacks. */
int rtm_poll(rtm_client *client, int timeout_ms);

/* For a loop of your own (epoll, libuv, GLib): before waiting, ask what to wait for; when it
   happens or the time is over, call rtm_poll(client, 0). The answers change with every rtm_poll,
   and with every send. A new socket often has the old one's number: with epoll, after each
   rtm_poll, EPOLL_CTL_MOD, and EPOLL_CTL_ADD where that says ENOENT. */

/* The socket to wait for, or -1 when there is only the timeout to wait for. */
int rtm_fd(const rtm_client *client);

/* POLLIN, POLLOUT, or both. */
short rtm_poll_events(const rtm_client *client);

/* How long to wait at most, in ms: 0 = call rtm_poll at once (TLS may hold bytes that the socket
   no longer shows), -1 = as long as you like. */
int rtm_timeout_ms(const rtm_client *client);

/* Loops over rtm_poll until a session is open: RTM_OK, or why the next attempt failed (call again,
   or rtm_poll, to let it retry), or the result of a finished client. RTM_E_BUSY in a callback. */
rtm_result rtm_connect(rtm_client *client);

/* Loops over rtm_poll until the client has finished: RTM_OK after rtm_stop, else the cause. SIGHUP,
   SIGTERM and SIGINT stop it, and have their old handlers again afterwards, unless
   config.no_signals: set that on all threads but one. RTM_E_BUSY in a callback. */
rtm_result rtm_run(rtm_client *client);

/* Events -------------------------------------------------------------------------------------- */

/* Registers a callback; the same type, callback and user twice count once.
   type      an event type of less than 128 bytes, "type::subtype", or "*"; copied
   callback  not NULL
   Returns RTM_OK, RTM_E_ARGUMENT or RTM_E_MEMORY. In a callback: heard from the next event on. */
rtm_result rtm_on(rtm_client *client, const char *type, rtm_callback callback, void *user);

/* Removes what rtm_on registered: RTM_OK, or RTM_E_ARGUMENT when it was not there. In a callback:
   not heard any more, from now on. */
rtm_result rtm_off(rtm_client *client, const char *type, rtm_callback callback, void *user);

/* Sending ------------------------------------------------------------------------------------- */

/* Sends a JSON object over the WebSocket. Slack takes one message a second, and 16,384 bytes.
   json  an object; {"id":N} is added when it has no "id"
   Returns the message's id, 1 or more; or RTM_E_ARGUMENT, RTM_E_NOT_CONNECTED, RTM_E_JSON (not an
   object, not UTF-8, an id that is no positive int, "id" or "type" twice), RTM_E_TOO_BIG,
   RTM_E_AGAIN (64 KiB wait for the socket, or 65,536 messages for an answer: nothing was taken),
   RTM_E_MEMORY, RTM_E_TLS (there are no random numbers).
   Slack's answer comes as an `Unknown` event with this id, or as an `error` event when it refuses.
   A "message" or "ping" unanswered when the session ends comes as RTM_E_UNACKNOWLEDGED. */
int rtm_send(rtm_client *client, const char *json);

/* The same for {"type":"message"}: `text` in Slack's own markup, to a channel by its id. */
int rtm_send_message(rtm_client *client, const char *channel, const char *text);

/* The same for {"type":"typing"}; Slack allows one in 3 s, and answers none. */
int rtm_send_typing(rtm_client *client, const char *channel);

/* The same for {"type":"ping"}; answered by a "pong" event with this id. rtm.h sends WebSocket
   PINGs by itself: this one is for those who want to see an answer. */
int rtm_send_ping(rtm_client *client);

/* The Web API --------------------------------------------------------------------------------- */

/* Calls a Web API method and waits for the response, at most timeout_ms. The session goes on
   afterwards, with nothing lost. Works before it opens, while it is open, and in callbacks; no
   callback runs meanwhile. The connection is kept for the next call.
   response  receives the response, or NULL
   method    "chat.postMessage", ...
   ...       pairs of texts, name and value, ended by NULL: the form fields, encoded here. A pair
             with a NULL value is left out. What is not UTF-8 is refused: RTM_E_ARGUMENT.
   Returns RTM_OK for HTTP 200 with "ok":true, else an error: RTM_E_SLACK with response->error,
   RTM_E_AUTH, RTM_E_RATE_LIMITED with response->retry_after, RTM_E_HTTP, RTM_E_JSON, RTM_E_TOO_BIG,
   RTM_E_TIMEOUT, RTM_E_STOPPED, or what went wrong with the connection. A call that failed after it
   was sent may have been carried out. */
rtm_result rtm_call(rtm_client *client, rtm_response *response, const char *method, ...);

/* JSON ---------------------------------------------------------------------------------------- */

/* Every function takes any value, a missing one too, and never fails: where there is nothing of the
   kind asked for, the result is the missing value, or the fallback. Of members with the same name
   the first counts. */

/* What is at a path: members by name, array elements by number, as "item.channel",
   "blocks.0.text". A name with a dot in it cannot be reached. */
rtm_json rtm_json_get(rtm_json json, const char *path);

/* Element `index` of an array, or the value of member `index` of an object, in the order sent. Each
   look-up, at random or in order, takes the logarithm of the number of values in the whole event or
   response: loops are linear but for that, however they are nested and interleaved. The first
   look-up of this kind prepares the whole (Memory above). */
rtm_json rtm_json_at(rtm_json json, size_t index);

/* The name of member `index` of an object: a string, as rtm_json_string takes it. */
rtm_json rtm_json_name(rtm_json json, size_t index);

/* The number of elements of an array, or of members of an object; else 0. */
size_t rtm_json_size(rtm_json json);

/* The text of a string, decoded to UTF-8, lone surrogates as U+FFFD. Anything but a string is "".
   out   receives the text, cut at a whole character to fit, always NUL-terminated; or NULL
   size  bytes of out; 0 = only the length is asked for
   Returns the length of the whole text, as snprintf does: it was cut if that is >= size. */
size_t rtm_json_string(rtm_json json, char *out, size_t size);

/* Whether it is a string that says `text`. */
bool rtm_json_equals(rtm_json json, const char *text);

/* An integer; the fallback for anything else, fractions, exponents and what overflows included. */
long long rtm_json_int(rtm_json json, long long fallback);

/* true or false; the fallback for anything else. */
bool rtm_json_bool(rtm_json json, bool fallback);

/* The text of the value as sent, not NUL-terminated, its first character telling the kind; NULL for
   a missing value.   size  receives the number of bytes, or NULL */
const char *rtm_json_raw(rtm_json json, size_t *size);

#ifdef __cplusplus
}
#endif
#endif /* RTM_H */

/* ------------------------------------------------------------------------------------------------
 * The implementation
 * --------------------------------------------------------------------------------------------- */
#if defined(RTM_IMPLEMENTATION) && !defined(RTM_IMPLEMENTATION_DONE)
#define RTM_IMPLEMENTATION_DONE

#ifdef __cplusplus
#error "rtm.h: compile the file with RTM_IMPLEMENTATION as C; any other may be C++"
#endif

/* -std=c99 hides POSIX unless this is set before the first system header. */
#if defined(__STRICT_ANSI__) && !defined(_POSIX_C_SOURCE) && !defined(_GNU_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#if defined(__APPLE__) && !defined(_DARWIN_C_SOURCE)
#define _DARWIN_C_SOURCE /* SO_NOSIGPIPE */
#endif

#include <assert.h>      /* assert */
#include <errno.h>       /* errno */
#include <fcntl.h>       /* fcntl */
#include <limits.h>      /* INT_MAX, LLONG_MAX */
#include <netdb.h>       /* getaddrinfo */
#include <netinet/in.h>  /* sockaddr_in, IPPROTO_TCP */
#include <netinet/tcp.h> /* TCP_NODELAY */
#include <poll.h>        /* poll */
#include <signal.h>      /* sigaction, sig_atomic_t */
#include <stdarg.h>      /* va_list */
#include <stdint.h>      /* uint64_t */
#include <stdio.h>       /* snprintf, fopen */
#include <stdlib.h>      /* realloc, getenv */
#include <string.h>      /* memcpy */
#include <sys/socket.h>  /* socket */
#include <time.h>        /* clock_gettime, time */
#include <unistd.h>      /* close */

#if defined(__has_include)
#if __has_include(<sys/random.h>)
#include <sys/random.h> /* getrandom, getentropy */
#endif
#endif

#if !defined(EAI_FAIL) || !defined(SA_RESTART)
#error "rtm.h: POSIX is hidden: include rtm.h first, or compile with -D_POSIX_C_SOURCE=200809L"
#endif

/* Warnings in other people's headers are not ours to mend. */
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wundef"
#endif
#include <bearssl.h>

/* jsmn for us alone: under names of our own, with settings of our own (parent links make it linear
   in the width of a document; it need not be strict, for it only sees what our own check has
   passed), whatever the program did with jsmn.h before or will do after. */
#pragma push_macro("JSMN_H")
#pragma push_macro("JSMN_API")
#pragma push_macro("JSMN_STATIC")
#pragma push_macro("JSMN_HEADER")
#pragma push_macro("JSMN_STRICT")
#pragma push_macro("JSMN_PARENT_LINKS")
#undef JSMN_H
#undef JSMN_API
#undef JSMN_STATIC
#undef JSMN_HEADER
#undef JSMN_STRICT
#undef JSMN_PARENT_LINKS
#define JSMN_STATIC
#define JSMN_PARENT_LINKS
#define jsmntype_t rtmi_jsmntype_t
#define jsmntok_t rtmi_jsmntok_t
#define jsmntok rtmi_jsmntok
#define jsmn_parser rtmi_jsmn_parser
#define jsmnerr rtmi_jsmnerr
#define jsmn_init rtmi_jsmn_init
#define jsmn_parse rtmi_jsmn_parse
#define jsmn_alloc_token rtmi_jsmn_alloc_token
#define jsmn_fill_token rtmi_jsmn_fill_token
#define jsmn_parse_primitive rtmi_jsmn_parse_primitive
#define jsmn_parse_string rtmi_jsmn_parse_string
#define JSMN_UNDEFINED RTMI_JSMN_UNDEFINED
#define JSMN_OBJECT RTMI_JSMN_OBJECT
#define JSMN_ARRAY RTMI_JSMN_ARRAY
#define JSMN_STRING RTMI_JSMN_STRING
#define JSMN_PRIMITIVE RTMI_JSMN_PRIMITIVE
#define JSMN_ERROR_NOMEM RTMI_JSMN_ERROR_NOMEM
#define JSMN_ERROR_INVAL RTMI_JSMN_ERROR_INVAL
#define JSMN_ERROR_PART RTMI_JSMN_ERROR_PART
#include <jsmn.h>
#undef jsmntype_t
#undef jsmntok_t
#undef jsmntok
#undef jsmn_parser
#undef jsmnerr
#undef jsmn_init
#undef jsmn_parse
#undef jsmn_alloc_token
#undef jsmn_fill_token
#undef jsmn_parse_primitive
#undef jsmn_parse_string
#undef JSMN_UNDEFINED
#undef JSMN_OBJECT
#undef JSMN_ARRAY
#undef JSMN_STRING
#undef JSMN_PRIMITIVE
#undef JSMN_ERROR_NOMEM
#undef JSMN_ERROR_INVAL
#undef JSMN_ERROR_PART
#pragma pop_macro("JSMN_H")
#pragma pop_macro("JSMN_API")
#pragma pop_macro("JSMN_STATIC")
#pragma pop_macro("JSMN_HEADER")
#pragma pop_macro("JSMN_STRICT")
#pragma pop_macro("JSMN_PARENT_LINKS")
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#define RTMI_PRINTF(at) __attribute__((format(printf, at, at + 1)))
#define RTMI_THREAD __thread
#else
#define RTMI_PRINTF(at)
#define RTMI_THREAD
#endif

#ifndef MSG_NOSIGNAL /* macOS: SO_NOSIGPIPE does it */
#define MSG_NOSIGNAL 0
#endif

#ifndef RTM_REALLOC
#define RTM_REALLOC(ptr, size) realloc(ptr, size)
#define RTM_FREE(ptr) free(ptr)
#endif
#ifndef RTM_ASSERT
#define RTM_ASSERT(condition) assert(condition)
#endif
#ifndef RTM_TIME
#define RTM_TIME() time(NULL)
#endif
#ifndef RTM_GETADDRINFO
#define RTM_GETADDRINFO(host, port, hints, list) getaddrinfo(host, port, hints, list)
#endif
#ifndef RTM_FREEADDRINFO
#define RTM_FREEADDRINFO(list) freeaddrinfo(list)
#endif

#ifndef RTM_NOW_MS
#define RTM_NOW_MS() rtmi_now_ms()
static long long rtmi_now_ms(void) {
    struct timespec now = { 0, 0 };
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
#endif

#ifndef RTM_RANDOM
#define RTM_RANDOM(buf, size) rtmi_random(buf, size)
#if defined(GRND_NONBLOCK)
#define RTMI_GETRANDOM(buf, size) getrandom(buf, size, GRND_NONBLOCK)
#elif defined(__APPLE__) || defined(__OpenBSD__)
#define RTMI_GETRANDOM(buf, size) (getentropy(buf, size) ? -1 : (ssize_t)(size))
#else
#define RTMI_GETRANDOM(buf, size) (errno = ENOSYS, (ssize_t)-1)
#endif
/* The kernel's random numbers: never the processor's alone (BearSSL's seeder may be RDRAND). A
   machine that has just started may have none yet: that is a failure, to be tried again. */
static int rtmi_random(void *out, size_t size) {
    unsigned char *at = out, *end = at + size;
    ssize_t got;
    do {
        if ((got = RTMI_GETRANDOM(at, (size_t)(end - at))) > 0) at += got;
    } while (at < end && (got > 0 || errno == EINTR));
    FILE *file = at == end || errno == EAGAIN ? NULL : fopen("/dev/urandom", "rb");
    if (!file) return at == end ? 0 : -1;
    setvbuf(file, NULL, _IONBF, 0); /* no more than is wanted, and no copy left in a buffer */
    at += fread(at, 1, (size_t)(end - at), file);
    fclose(file);
    return at == end ? 0 : -1;
}
#endif

/* ------------------------------------------------------------------------------------------------
 * >>base   results, errors, buffers, encodings
 * --------------------------------------------------------------------------------------------- */

enum {
    RTMI_DEPTH = 128,          /* levels of nesting that a JSON document may have */
    RTMI_TYPE = 128,           /* bytes of an event type, NUL included */
    RTMI_CODE = 64,            /* bytes of a Web API error code, NUL included */
    RTMI_HOST = 256,           /* bytes of a host name, NUL included (RFC 1035: 253) */
    RTMI_ADDRESSES = 8,        /* addresses tried per host */
    RTMI_LINE = 512,           /* bytes kept of one HTTP header line */
    RTMI_HEAD = 16384,         /* bytes of an HTTP header block, 1xx and trailers included */
    RTMI_MESSAGE_OUT = 16384,  /* Slack cuts the connection on a larger message */
    RTMI_MIN_MESSAGE = 4096,   /* what max_message must be at least: rtm.connect's answer fits in */
    RTMI_MAX_MESSAGE = 1 << 30, /* what max_message may be at most: jsmn counts in int */
    RTMI_OUT = 65536,          /* bytes that may wait for the socket */
    RTMI_OUT_CONTROL = 1024,   /* and so many more for control frames */
    RTMI_UNANSWERED = 65536,   /* messages that may wait for Slack's answer */
    RTMI_AHEAD = 4096,         /* read-ahead in front of the TLS engine */
    RTMI_TLS_OUT = 1024 + 85,  /* TLS output buffer: records of 1 KiB */
    RTMI_BUDGET = 262144,      /* bytes of events that one rtm_poll takes in */
    RTMI_LASTED_MS = 10000,    /* a session this long was a success */
    RTMI_CLOSING_MS = 1000,    /* wait for the answer to our CLOSE */
    RTMI_BACKOFF_S = 300,      /* cap of the exponential backoff */
    RTMI_RATE_LIMIT_S = 30,    /* wait after a 429 without Retry-After */
    RTMI_RETRY_AFTER_S = 86400 /* what a Retry-After may ask for at most */
};

/* Why the last thing failed: a sentence, and what must never stand in it. */
typedef struct rtmi_why {
    char text[256];
    const char *secrets; /* texts, each with its NUL, an empty one at the end; or NULL */
} rtmi_why;

typedef struct rtmi_buf {
    char *data;
    size_t size, capacity;
    bool failed; /* sticky: an append found no memory, and what is here is incomplete */
} rtmi_buf;

/* A plain memset before free may be optimized away; this one may not. */
static void rtmi_wipe(void *data, size_t size) {
    volatile unsigned char *byte = data;
    while (size--) *byte++ = 0;
}

/* Frees what may be NULL; its first `size` bytes may be secret. */
static void rtmi_free(void *block, size_t size) {
    if (!block) return;
    rtmi_wipe(block, size);
    RTM_FREE(block);
}

static void *rtmi_alloc(size_t size) {
    void *block = RTM_REALLOC(NULL, size);
    if (block) memset(block, 0, size);
    return block;
}

/* The array with room for one more item; NULL when there is no memory (the array is as it was). */
static void *rtmi_grow(void *array, size_t count, size_t *capacity, size_t item_size) {
    if (count < *capacity) return array;
    if (*capacity > (size_t)-1 / 2 / item_size) return NULL;
    size_t doubled = *capacity ? *capacity * 2 : 8;
    void *grown = RTM_REALLOC(array, doubled * item_size);
    if (grown) *capacity = doubled;
    return grown;
}

static char *rtmi_copy(const char *text, size_t length) {
    char *copy = RTM_REALLOC(NULL, length + 1);
    if (!copy) return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

/* Makes room for `more` bytes. The old block is wiped, not realloc'd: it may have held a token. */
static bool rtmi_buf_reserve(rtmi_buf *buf, size_t more) {
    if (buf->failed || more > ((size_t)-1) / 4 - buf->size) return !(buf->failed = true);
    if (buf->size + more <= buf->capacity) return true;
    size_t capacity = buf->capacity ? buf->capacity : 256;
    while (capacity < buf->size + more) capacity += capacity / 2;
    char *data = RTM_REALLOC(NULL, capacity);
    if (!data) return !(buf->failed = true);
    if (buf->size) memcpy(data, buf->data, buf->size);
    rtmi_free(buf->data, buf->capacity);
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

static void rtmi_buf_add(rtmi_buf *buf, const void *data, size_t size) {
    if (!size || !rtmi_buf_reserve(buf, size) || !buf->data) return;
    memcpy(buf->data + buf->size, data, size);
    buf->size += size;
}

/* Appends texts, up to a NULL that the macro adds. */
#define rtmi_buf_text(buf, ...) rtmi_buf_texts(buf, __VA_ARGS__, (const char *)NULL)
static void rtmi_buf_texts(rtmi_buf *buf, ...) {
    va_list texts;
    va_start(texts, buf);
    for (const char *text; (text = va_arg(texts, const char *)) != NULL;)
        rtmi_buf_add(buf, text, strlen(text));
    va_end(texts);
}

static void rtmi_buf_number(rtmi_buf *buf, long long number) {
    char text[24];
    snprintf(text, sizeof text, "%lld", number);
    rtmi_buf_text(buf, text);
}

static void rtmi_buf_clear(rtmi_buf *buf) {
    buf->size = 0;
    buf->failed = false;
}

static void rtmi_buf_free(rtmi_buf *buf) {
    rtmi_free(buf->data, buf->capacity);
    memset(buf, 0, sizeof *buf);
}

static bool rtmi_is_digit(char c) { return c >= '0' && c <= '9'; }

static bool rtmi_is_alnum(char c) {
    return rtmi_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char rtmi_lower(char c) { return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c); }

static int rtmi_hex(char c) {
    if (rtmi_is_digit(c)) return c - '0';
    c = rtmi_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Printable ASCII and nothing else: what a token, a host or a URL may consist of. */
static bool rtmi_is_visible(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f) return false;
    return true;
}

/* Compares `length` bytes with a NUL-terminated word, ASCII letters of either case alike. */
static bool rtmi_same_word(const char *text, size_t length, const char *word) {
    for (; length && *word; length--, text++, word++)
        if (rtmi_lower(*text) != rtmi_lower(*word)) return false;
    return length == 0 && *word == '\0';
}

static void rtmi_base64(rtmi_buf *out, const void *data, size_t size) {
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = data;
    for (; size; in += 3, size -= size < 3 ? size : 3) {
        unsigned group = (unsigned)in[0] << 16;
        if (size > 1) group |= (unsigned)in[1] << 8;
        if (size > 2) group |= in[2];
        for (size_t i = 0; i < 4; i++, group <<= 6)
            rtmi_buf_add(out, i <= size ? &digit[group >> 18 & 63] : "=", 1);
    }
}

/* Eight bytes at any address, the first in the lowest bits on every machine: one instruction where
   that is the machine's own order, two elsewhere. */
static uint64_t rtmi_load(const void *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

#define RTMI_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The number of the lowest byte whose highest bit is set in a word that has one. */
static unsigned rtmi_lowest(uint64_t word) {
#if defined(__GNUC__)
    return (unsigned)__builtin_ctzll(word) / 8;
#else
    unsigned n = 0;
    for (; !(word & 0x80); word >>= 8) n++;
    return n;
#endif
}

/* UTF-8 (RFC 3629), in pieces: `need` continuation bytes are due, the next within low..high. */
typedef struct rtmi_utf8 {
    unsigned char need, low, high;
} rtmi_utf8;

/* Whether so much of a text can be UTF-8; it is complete when `need` is 0 at the end. */
static bool rtmi_utf8_check(rtmi_utf8 *state, const void *data, size_t size) {
    const unsigned char *p = data, *end = p + size;
    while (p < end) {
        if (!state->need) {
            /* ASCII, a word at a time: a seventh of the time of a loop over bytes. */
            while (end - p >= 32 && !((rtmi_load(p) | rtmi_load(p + 8) | rtmi_load(p + 16) |
                                       rtmi_load(p + 24)) & RTMI_EACH(0x80))) p += 32;
            while (end - p >= 8 && !(rtmi_load(p) & RTMI_EACH(0x80))) p += 8;
            if (p == end) break;
        }
        unsigned char c = *p++;
        if (state->need) {
            if (c < state->low || c > state->high) return false;
            state->need--;
            state->low = 0x80;
            state->high = 0xbf;
        } else if (c >= 0x80) {
            if (c < 0xc2 || c > 0xf4) return false;
            state->need = (unsigned char)(c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3);
            /* no overlong forms, no surrogates, nothing above U+10FFFF */
            state->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
            state->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        }
    }
    return true;
}

static bool rtmi_is_utf8(const char *text, size_t size) {
    rtmi_utf8 state = { 0 };
    return rtmi_utf8_check(&state, text, size) && !state.need;
}

/* How far the stars reach that the longest secret at `at` needs, or those before it; where the text
   was cut, up to `end`, it may be the beginning of one. */
static const char *rtmi_stars_end(const char *at, const char *end, bool cut, const char *secret,
                                  const char *stars_end) {
    for (size_t length; secret && *secret; secret += length + 1) {
        length = strlen(secret);
        size_t left = (size_t)(end - at), same = left < length ? left : length;
        if ((cut || same == length) && at + same > stars_end && !memcmp(at, secret, same))
            stars_end = at + same;
    }
    return stars_end;
}

/* What a terminal or a log viewer acts on: C0, DEL, C1, and what turns the direction of text. */
static bool rtmi_is_control(unsigned long code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || code == 0x200e ||
           code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

/* Makes a text fit for people to read: stars for every secret that a server managed to get into it,
   by echoing it, say, and "?" for controls and for what is not UTF-8. `cut`: the text does not end
   where it did, but perhaps within a secret or a character. It looks ahead at what is as it came,
   writes behind, never more than it read. True when there was a secret. */
static bool rtmi_redact(char *text, bool cut, const char *secrets) {
    const char *p = text, *end = text + strlen(text), *stars_end = text;
    bool starred = false;
    for (size_t size; p < end; p += size) {
        rtmi_utf8 state = { 0 };
        unsigned long code = 0;
        bool valid = true;
        for (size = 0; p + size < end && (!size || state.need); size++) {
            unsigned char c = (unsigned char)p[size];
            stars_end = rtmi_stars_end(p + size, end, cut, secrets, stars_end);
            if (!(valid = rtmi_utf8_check(&state, &c, 1))) break;
            code = code << 6 | (c < 0x80 ? c : c < 0xc0 ? c & 0x3f : c & (0x3fu >> state.need));
        }
        bool stars = stars_end > p, whole = valid && !state.need;
        if (cut && valid && !whole && !stars) break;
        size += !size; /* a byte that begins no character */
        size_t kept = stars || (whole && !rtmi_is_control(code)) ? size : 0;
        memmove(text, p, kept);
        if (stars) memset(text, '*', kept);
        text += kept;
        if (!kept) *text++ = '?';
        starred = starred || stars;
    }
    *text = '\0';
    return starred;
}

/* Records why something failed, and returns `result`, so that a caller can return this. */
RTMI_PRINTF(3)
static rtm_result rtmi_fail(rtmi_why *why, rtm_result result, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool cut = vsnprintf(why->text, sizeof why->text, format, arguments) >= (int)sizeof why->text;
    va_end(arguments);
    rtmi_redact(why->text, cut, why->secrets);
    return result;
}

static rtm_result rtmi_out_of_memory(rtmi_why *why) {
    return rtmi_fail(why, RTM_E_MEMORY, "out of memory");
}

static rtm_result rtmi_no_random(rtmi_why *why) {
    return rtmi_fail(why, RTM_E_TLS, "no source of random numbers");
}

/* ------------------------------------------------------------------------------------------------
 * >>json   one check of the whole text; after it, look-ups that need not doubt it
 * --------------------------------------------------------------------------------------------- */

enum {
    RTMI_MEMBERS = 24,
    RTMI_TOKENS_KEPT = 2048, /* more are given back when so many documents had no use for them: */
    RTMI_TOKENS_IDLE = 100
};

static const rtm_json rtmi_json_none = { NULL, 0, NULL };

/* A document: where the members of its outermost object are, as the check came by them (without
   this, each look-up is a scan: twice the time of an event); and, once an accessor asks by number,
   the jsmn tokens of all of it, exactly as many as the check has counted. Behind the tokens stands
   the table of elements: those of the first array or object, then those of the second, and so on,
   each by the number of its token (in an object, its name's). Where the part of an array or object
   ends, its token's `parent` says. */
typedef struct rtmi_document {
    const char *text; /* one value, no white space around it */
    size_t size;
    const char *wrong; /* what the text is, where it was refused */
    unsigned members;  /* noted; RTMI_MEMBERS = there may be more */
    size_t values;     /* all values and names */
    size_t capacity;   /* of tokens, and of elements */
    rtmi_jsmntok_t *token;
    int *element;    /* NULL = not tokenized yet */
    unsigned idle;   /* documents since so large a capacity was needed */
    bool failed;     /* an accessor found no memory for tokens and gave its fallback */
    rtmi_why *why;   /* is told so; or NULL */
    struct {
        unsigned name, value, value_size; /* offsets in the text, behind the name's quote */
    } member[RTMI_MEMBERS];
} rtmi_document;

static const char *rtmi_json_space(const char *p, const char *end) {
    while (p < end && (unsigned char)*p <= ' ' &&
           (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
    return p;
}

static bool rtmi_json_is_escape(char c) {
    switch (c) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't': case 'u':
        return true;
    default: return false;
    }
}

/* From behind the opening quote to behind the closing one; NULL when the string is not valid. */
static const char *rtmi_json_string_end(const char *p, const char *end) {
    for (;;) {
        /* A word at a time to the next quote, backslash or control character: a third of the time
           of a loop over bytes, which ends what is shorter than a word. In each mask the lowest bit
           is right; those above it may be borrowed. */
        uint64_t found = 0;
        while (!found && end - p >= 8) {
            uint64_t word = rtmi_load(p);
            /* '"' ^ 2 is 0x20, and what was below 0x20 stays there: one test for both. */
            uint64_t low = (word ^ RTMI_EACH(2)) - RTMI_EACH(0x21);
            uint64_t slash = (word ^ RTMI_EACH('\\')) - RTMI_EACH(1);
            found = (low | slash) & ~word & RTMI_EACH(0x80);
            p += found ? rtmi_lowest(found) : 8;
        }
        while (!found && p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) p++;
        if (p == end || (unsigned char)*p < 0x20) return NULL;
        if (*p++ == '"') return p;
        if (p == end || !rtmi_json_is_escape(*p)) return NULL;
        if (*p++ != 'u') continue;
        for (int i = 0; i < 4; i++, p++)
            if (p == end || rtmi_hex(*p) < 0) return NULL;
    }
}

/* Behind one digit or more; NULL when there is none, or no text. */
static const char *rtmi_json_digits(const char *p, const char *end) {
    const char *digits = p;
    while (p && p < end && rtmi_is_digit(*p)) p++;
    return p == digits ? NULL : p;
}

/* Behind a number (RFC 8259 section 6) or a literal name; NULL when it is neither. */
static const char *rtmi_json_scalar_end(const char *p, const char *end) {
    const char *name = p == end ? "" : *p == 't' ? "true" : *p == 'f' ? "false" : "null";
    size_t length = strlen(name), left = (size_t)(end - p);
    if (length && *p == *name)
        return left >= length && !memcmp(p, name, length) ? p + length : NULL;
    if (p < end && *p == '-') p++;
    p = p < end && *p == '0' ? p + 1 : rtmi_json_digits(p, end); /* "01" ends behind its 0 */
    if (p && p < end && *p == '.') p = rtmi_json_digits(p + 1, end);
    if (p && p < end && (*p == 'e' || *p == 'E')) {
        if (++p < end && (*p == '+' || *p == '-')) p++;
        p = rtmi_json_digits(p, end);
    }
    return p;
}

/* From behind a member's name to its value; NULL when no colon stands between them. */
static const char *rtmi_json_colon(const char *p, const char *end) {
    p = rtmi_json_space(p, end);
    return p < end && *p == ':' ? rtmi_json_space(p + 1, end) : NULL;
}

/* From the quote of a member's name to its value; NULL when something else stands there. Notes the
   member, where it is one of the outermost object. */
static const char *rtmi_document_key(rtmi_document *document, const char *p, const char *end,
                                     bool outermost) {
    const char *name = p + 1;
    if (p == end || *p != '"' || !(p = rtmi_json_string_end(name, end))) return NULL;
    document->values++;
    if ((p = rtmi_json_colon(p, end)) && outermost && document->members < RTMI_MEMBERS) {
        unsigned i = document->members++;
        document->member[i].name = (unsigned)(name - document->text);
        document->member[i].value = (unsigned)(p - document->text);
        document->member[i].value_size = 0; /* until its end is seen */
    }
    return p;
}

static void rtmi_document_value_end(rtmi_document *document, const char *p) {
    unsigned last = document->members - 1;
    if (!document->members || document->member[last].value_size) return;
    document->member[last].value_size =
        (unsigned)(p - document->text) - document->member[last].value;
}

static void rtmi_document_clear(rtmi_document *document) {
    document->text = NULL;
    document->element = NULL;
    document->wrong = "not JSON";
    document->members = 0;
    document->values = 0;
    document->failed = false;
}

/* Whether the text is one JSON value (RFC 8259) of at most RTMI_DEPTH levels. jsmn accepts some
   texts that are not, and is quadratic in depth: it only ever sees what has passed here. */
static bool rtmi_document_check(rtmi_document *document) {
    const char *p = document->text, *end = p + document->size;
    char closer[RTMI_DEPTH];
    int depth = 0;
    for (;;) {
        p = rtmi_json_space(p, end);
        if (p == end) return false;
        document->values++;
        if (*p == '{' || *p == '[') {
            if (depth == RTMI_DEPTH)
                return document->wrong = "nested deeper than 128 levels", false;
            closer[depth++] = (char)(*p == '{' ? '}' : ']');
            bool object = *p == '{';
            p = rtmi_json_space(p + 1, end);
            if (p == end) return false;
            if (*p != closer[depth - 1]) {
                if (object && !(p = rtmi_document_key(document, p, end, depth == 1))) return false;
                continue;
            }
            depth--;
            p++;
        } else {
            p = *p == '"' ? rtmi_json_string_end(p + 1, end) : rtmi_json_scalar_end(p, end);
            if (!p) return false;
        }
        for (;;) { /* values end here, as many as close */
            if (depth == 1) rtmi_document_value_end(document, p);
            p = rtmi_json_space(p, end);
            if (!depth || p == end || *p != closer[depth - 1]) break;
            depth--;
            p++;
        }
        if (!depth) return p == end;
        if (p == end || *p++ != ',') return false;
        p = rtmi_json_space(p, end);
        if (closer[depth - 1] == '}' && !(p = rtmi_document_key(document, p, end, depth == 1)))
            return false;
    }
}

static void rtmi_document_free(rtmi_document *document) {
    rtmi_free(document->token, 0);
    document->token = NULL;
    document->element = NULL;
    document->capacity = 0;
    document->idle = 0;
}

/* The root of a text that is JSON, less the white space around it; false when it is not. */
static bool rtmi_document_open(rtmi_document *document, const char *text, size_t size,
                               rtm_json *root) {
    const char *end = text + size, *start = rtmi_json_space(text, end);
    while (end > start && rtmi_json_space(end - 1, end) == end) end--;
    rtmi_document_clear(document);
    if (document->capacity > RTMI_TOKENS_KEPT && ++document->idle > RTMI_TOKENS_IDLE)
        rtmi_document_free(document);
    document->text = start;
    document->size = (size_t)(end - start);
    *root = (rtm_json){ start, document->size, document };
    return rtmi_document_check(document);
}

/* Behind the value that begins at p; NULL when it is cut off. Reads any bytes safely. */
static const char *rtmi_json_skip(const char *p, const char *end) {
    size_t depth = 0;
    do {
        if (p == end) return NULL;
        if (*p == '"') {
            if (!(p = rtmi_json_string_end(p + 1, end))) return NULL;
        } else if (*p == '{' || *p == '[') {
            depth++;
            p++;
        } else if (*p == '}' || *p == ']') {
            if (!depth) return NULL;
            depth--;
            p++;
        } else if (depth) {
            p++;
        } else {
            while (p < end && (unsigned char)*p > ' ' && *p != ',' && *p != ']' && *p != '}') p++;
        }
    } while (depth);
    return p;
}

static unsigned long rtmi_json_hex4(const char *p) {
    unsigned long code = 0;
    for (int i = 0; i < 4; i++) code = code << 4 | (unsigned)rtmi_hex(p[i]);
    return code;
}

/* Decodes one escape of a valid string into UTF-8; p stands on the backslash. */
static size_t rtmi_json_escape(const char **at, char out[4]) {
    const char *p = *at + 1;
    static const char names[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const char *name = strchr(names, *p);
    *at = p + 1;
    out[0] = name ? meant[name - names] : *p;
    if (*p++ != 'u') return 1;
    unsigned long code = rtmi_json_hex4(p);
    p += 4;
    if (code >= 0xd800 && code < 0xdc00 && p[0] == '\\' && p[1] == 'u') {
        unsigned long low = rtmi_json_hex4(p + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            p += 6;
        }
    }
    if (code >= 0xd800 && code < 0xe000) code = 0xfffd; /* a lone surrogate has no UTF-8 */
    *at = p;
    if (code < 0x80) return (size_t)(out[0] = (char)code, 1);
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((length == 2 ? 0xc0 : length == 3 ? 0xe0 : 0xf0) | code);
    return length;
}

/* Whether a valid string, from behind its opening quote on, says `text`. Most calls end at the
   first character: they are for the names of members. */
static bool rtmi_json_says(const char *p, const char *text, size_t length) {
    while (*p != '"') {
        if (*p != '\\') {
            if (!length-- || *p++ != *text++) return false;
            continue;
        }
        char decoded[4];
        const char *escape = p; /* p itself stays in a register */
        size_t n = rtmi_json_escape(&escape, decoded);
        if (length < n || memcmp(decoded, text, n)) return false;
        p = escape;
        text += n;
        length -= n;
    }
    return length == 0;
}

/* Finds a member of an object, or of what is left of one from a comma on: the first where a name
   stands twice. Reads any bytes safely; the value is as good as the text was before it. */
static rtm_json rtmi_json_member(rtm_json object, const char *key, size_t length) {
    const char *end = object.text + object.size, *p = rtmi_json_space(object.text, end);
    if (p == end || (*p != '{' && *p != ',')) return rtmi_json_none;
    do {
        const char *name = rtmi_json_space(p + 1, end), *value;
        if (name == end || *name++ != '"' || !(value = rtmi_json_string_end(name, end))) break;
        if (!(value = rtmi_json_colon(value, end)) || !(p = rtmi_json_skip(value, end))) break;
        if (rtmi_json_says(name, key, length))
            return (rtm_json){ value, (size_t)(p - value), object.document };
        p = rtmi_json_space(p, end);
    } while (p < end && *p == ',');
    return rtmi_json_none;
}

/* Whether another member of its name stands behind this one. */
static bool rtmi_json_again(rtm_json object, rtm_json member, const char *key) {
    if (!member.size) return false;
    const char *behind = member.text + member.size;
    rtm_json rest = { behind, (size_t)(object.text + object.size - behind), NULL };
    return rtmi_json_member(rest, key, strlen(key)).size != 0;
}

/* Appends a text as a JSON string, quotes included. */
static void rtmi_json_quote(rtmi_buf *out, const char *text) {
    rtmi_buf_add(out, "\"", 1);
    for (const char *p = text; *p; text = p) {
        while ((unsigned char)*p >= 0x20 && *p != '"' && *p != '\\') p++;
        rtmi_buf_add(out, text, (size_t)(p - text));
        if (!*p) break;
        char escape[8];
        snprintf(escape, sizeof escape, (unsigned char)*p < 0x20 ? "\\u%04x" : "\\%c",
                 (unsigned char)*p);
        rtmi_buf_text(out, escape);
        p++;
    }
    rtmi_buf_add(out, "\"", 1);
}

/* Tokenizes the document and fills its table of elements. */
static bool rtmi_document_tokenize(rtmi_document *document) {
    rtmi_jsmn_parser parser;
    size_t values = document->values, item = sizeof *document->token + sizeof *document->element;
    int offset = 0;
    if (values > RTMI_TOKENS_KEPT) document->idle = 0;
    if (values > document->capacity) {
        rtmi_document_free(document);
        if (values <= (size_t)-1 / item) document->token = RTM_REALLOC(NULL, values * item);
        if (!document->token) return !(document->failed = true);
        document->capacity = values;
    }
    rtmi_jsmn_init(&parser);
    int count = rtmi_jsmn_parse(&parser, document->text, document->size, document->token,
                                (unsigned)values);
    RTM_ASSERT(count >= 0 && (size_t)count == values);
    document->element = (int *)(void *)(document->token + values);
    for (int i = 0; i < count; i++) {
        rtmi_jsmntok_t *token = &document->token[i], *parent = document->token + token->parent;
        bool inner = token->parent >= 0 && parent->type != RTMI_JSMN_STRING; /* no member's value */
        if (inner) document->element[parent->parent++] = i;
        if (token->type == RTMI_JSMN_STRING || token->type == RTMI_JSMN_PRIMITIVE) continue;
        token->parent = offset; /* its own place is known; from now on, where its next element is */
        offset += token->size;
    }
    return true;
}

/* The token of an array or object; NULL for other values, and when there is no memory. */
static const rtmi_jsmntok_t *rtmi_json_token(rtm_json json) {
    rtmi_document *document = json.document;
    if (!document || !json.size || (*json.text != '[' && *json.text != '{')) return NULL;
    if (!document->element && !rtmi_document_tokenize(document)) {
        if (document->why)
            rtmi_fail(document->why, RTM_E_MEMORY, "no memory to look into an array or object");
        return NULL;
    }
    int start = (int)(json.text - document->text);
    size_t low = 0, high = document->values - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (document->token[middle].start < start) low = middle + 1;
        else high = middle;
    }
    return &document->token[low];
}

/* Element `index` of an array; of an object, its member's name, or with `behind` its value. */
static rtm_json rtmi_json_element(rtm_json json, size_t index, bool behind) {
    const rtmi_document *document = json.document;
    const rtmi_jsmntok_t *token = rtmi_json_token(json);
    if (!token || index >= (size_t)token->size) return rtmi_json_none;
    token = &document->token[document->element[token->parent - token->size + (int)index] + behind];
    int quote = token->type == RTMI_JSMN_STRING; /* which jsmn leaves out on either side */
    return (rtm_json){ document->text + token->start - quote,
                       (size_t)(token->end - token->start + 2 * quote), json.document };
}

/* ------------------------------------------------------------------------------------------------
 * >>http   URLs, request parts, the response parser (RFC 9112)
 * --------------------------------------------------------------------------------------------- */

/* Where a connection goes. */
typedef struct rtmi_peer {
    char host[RTMI_HOST]; /* name or address, without the brackets of an IPv6 literal */
    char port[6];
    bool tls;
    bool usual_port; /* 80 or 443 by its scheme: left out of the Host field (RFC 9110 4.2) */
} rtmi_peer;

/* Whether a text is one character or more, all of them alphanumeric or among these. */
static bool rtmi_consists_of(const char *text, size_t length, const char *others) {
    for (size_t i = 0; i < length; i++)
        if (!rtmi_is_alnum(text[i]) && !strchr(others, text[i])) return false;
    return length > 0;
}

/* A token (RFC 9110 section 5.6.2), as the name of a header field must be. */
static bool rtmi_is_token(const char *text, size_t length) {
    return rtmi_consists_of(text, length, "!#$%&'*+-.^_`|~");
}

static bool rtmi_same_peer(const rtmi_peer *a, const rtmi_peer *b) {
    return a->tls == b->tls && !strcmp(a->host, b->host) && !strcmp(a->port, b->port);
}

/* host, host:port, [v6]:port up to the end of the text. */
static bool rtmi_parse_authority(const char *text, size_t length, rtmi_peer *peer, unsigned usual) {
    const char *end = text + length, *host = text, *host_end;
    if (length && *text == '[') {
        host++;
        if (!(host_end = memchr(text, ']', length))) return false;
        if (!memchr(host, ':', (size_t)(host_end - host))) return false;
        text = host_end + 1;
    } else {
        host_end = memchr(text, ':', length);
        text = host_end = host_end ? host_end : end;
    }
    size_t host_size = (size_t)(host_end - host);
    if (host_size >= RTMI_HOST || !rtmi_consists_of(host, host_size, "-._:%")) return false;
    unsigned long port = usual;
    if (text < end && *text++ != ':') return false;
    if (text < end) {
        char *stop;
        port = rtmi_is_digit(*text) ? strtoul(text, &stop, 10) : 0;
        if (!port || stop != end || port > 65535) return false;
    }
    memcpy(peer->host, host, host_size);
    peer->host[host_size] = '\0';
    snprintf(peer->port, sizeof peer->port, "%u", (unsigned)port & 0xffff);
    peer->usual_port = port == usual;
    return true;
}

/* scheme://authority[/path][?query]: http and https, ws and wss. User info is refused, a fragment
   is not part of a request. *path is the rest of `url`, and may be empty or begin with '?'. */
static bool rtmi_parse_url(const char *url, rtmi_peer *peer, const char **path, size_t *path_size) {
    static const struct { const char *scheme; bool tls; } known[] = {
        { "http://", false }, { "https://", true }, { "ws://", false }, { "wss://", true } };
    if (!rtmi_is_visible(url)) return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t length = strlen(known[i].scheme);
        if (strlen(url) < length || !rtmi_same_word(url, length, known[i].scheme)) continue;
        const char *authority = url + length;
        size_t size = strcspn(authority, "/?#");
        peer->tls = known[i].tls;
        *path = authority + size;
        *path_size = strcspn(*path, "#");
        return rtmi_parse_authority(authority, size, peer, peer->tls ? 443 : 80);
    }
    return false;
}

/* The host as it stands in a request: brackets around IPv6, the port where it is not the usual. */
static void rtmi_write_authority(rtmi_buf *out, const rtmi_peer *peer, bool with_port) {
    bool v6 = strchr(peer->host, ':') != NULL;
    rtmi_buf_text(out, v6 ? "[" : "", peer->host, v6 ? "]" : "", with_port ? ":" : "",
                  with_port ? peer->port : "");
}

/* The value of a header field among lines "Name: value\r\n"; NULL when it is not there. */
static const char *rtmi_find_header(const char *lines, const char *name) {
    for (const char *next; lines && *lines; lines = next) {
        size_t length = strcspn(lines, ":");
        if (rtmi_same_word(lines, length, name)) return lines + length + 1;
        next = strchr(lines, '\n');
        if (!next++) break;
    }
    return NULL;
}

/* One field of ours, unless the user gave one of the same name. */
static void rtmi_write_header(rtmi_buf *out, const char *user_lines, const char *name,
                              const char *value) {
    if (!rtmi_find_header(user_lines, name)) rtmi_buf_text(out, name, ": ", value, "\r\n");
}

/* Request line, Host, User-Agent and the user's own fields. */
static void rtmi_write_request(rtmi_buf *out, const char *method, const char *path,
                               size_t path_length, const rtmi_peer *peer, const char *user_lines) {
    bool rooted = path_length && *path == '/'; /* RFC 9112 section 3.2.1 */
    rtmi_buf_text(out, method, rooted ? " " : " /");
    rtmi_buf_add(out, path, path_length);
    rtmi_buf_text(out, " HTTP/1.1\r\n");
    if (!rtmi_find_header(user_lines, "Host")) {
        rtmi_buf_text(out, "Host: ");
        rtmi_write_authority(out, peer, !peer->usual_port);
        rtmi_buf_text(out, "\r\n");
    }
    rtmi_write_header(out, user_lines, "User-Agent", "rtm.h/" RTM_VERSION);
    if (user_lines) rtmi_buf_text(out, user_lines);
}

/* application/x-www-form-urlencoded (WHATWG URL section 5.2). */
static void rtmi_write_form(rtmi_buf *out, const char *text) {
    static const char hex[] = "0123456789ABCDEF";
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        char escape[3] = { '%', hex[c >> 4], hex[c & 15] };
        if (rtmi_is_alnum(*text) || strchr("-._*", *text)) rtmi_buf_add(out, text, 1);
        else if (*text == ' ') rtmi_buf_add(out, "+", 1);
        else rtmi_buf_add(out, escape, 3);
    }
}

typedef enum rtmi_http_what {
    RTMI_HTTP_MORE, /* all input is used, the response goes on */
    RTMI_HTTP_BODY, /* body and body_size point at a piece of the body within the input */
    RTMI_HTTP_DONE, /* the response is complete; input behind `used` is not part of it */
    RTMI_HTTP_BAD   /* not a response that RFC 9112 allows: see error */
} rtmi_http_what;

typedef enum rtmi_http_part {
    RTMI_HTTP_STATUS_LINE,
    RTMI_HTTP_FIELDS,
    RTMI_HTTP_LENGTH, /* body of a known length */
    RTMI_HTTP_UNTIL_CLOSE,
    RTMI_HTTP_CHUNK_SIZE,
    RTMI_HTTP_CHUNK,
    RTMI_HTTP_CHUNK_END,
    RTMI_HTTP_TRAILERS,
    RTMI_HTTP_COMPLETE
} rtmi_http_part;

/* What a response may do beside being an ordinary one. */
typedef enum rtmi_http_kind { RTMI_HTTP_CALL, RTMI_HTTP_UPGRADE, RTMI_HTTP_CONNECT } rtmi_http_kind;

typedef struct rtmi_http {
    rtmi_http_part part;
    rtmi_http_kind kind;
    int status;
    int retry_after; /* seconds, -1 = no such field */
    bool keep_alive, chunked, has_length, upgrade_websocket, connection_upgrade, extension;
    uint64_t left;    /* of the body, or of this chunk */
    size_t head;      /* bytes of header lines so far, against RTMI_HEAD */
    size_t line_size; /* RTMI_LINE when the line was longer than that */
    const char *body;
    size_t body_size;
    const char *error;
    char accept[32]; /* Sec-WebSocket-Accept */
    char line[RTMI_LINE];
} rtmi_http;

static void rtmi_http_start(rtmi_http *http, rtmi_http_kind kind) {
    memset(http, 0, sizeof *http);
    http->kind = kind;
    http->retry_after = -1;
}

/* Whether a comma-separated list of tokens (RFC 9110 section 5.6.1) has this one. */
static bool rtmi_list_has(const char *list, const char *token) {
    for (;;) {
        list += strspn(list, " \t,");
        if (!*list) return false;
        size_t length = strcspn(list, ","), trimmed = length;
        while (trimmed && strchr(" \t", list[trimmed - 1])) trimmed--;
        if (rtmi_same_word(list, trimmed, token)) return true;
        list += length;
    }
}

/* From here to rtmi_http_line: NULL, or what is wrong with the line.
   HTTP-version SP status-code SP [reason]; some servers leave out the last space. */
static const char *rtmi_http_status_line(rtmi_http *http) {
    const char *line = http->line;
    if (strncmp(line, "HTTP/1.", 7) || !rtmi_is_digit(line[7]) || line[8] != ' ')
        return "this is not HTTP/1.1";
    if (strspn(line + 9, "0123456789") != 3 || line[9] == '0' || (line[12] && line[12] != ' '))
        return "no status code";
    http->status = (int)strtol(line + 9, NULL, 10);
    http->keep_alive = line[7] != '0';
    http->part = RTMI_HTTP_FIELDS;
    return NULL;
}

/* Repeated equal values are one (RFC 9110 section 8.6), different ones an attack or a fault. */
static const char *rtmi_http_content_length(rtmi_http *http, char *value) {
    for (;; value++) {
        value += strspn(value, " \t");
        if (!rtmi_is_digit(*value)) return "Content-Length is not a number, or too large";
        uint64_t length = strtoull(value, &value, 10);
        value += strspn(value, " \t");
        if (length > INT64_MAX || (*value && *value != ','))
            return "Content-Length is not a number, or too large";
        if (http->has_length && http->left != length)
            return "Content-Length is given twice, and differs";
        http->has_length = true;
        http->left = length;
        if (!*value) return NULL;
    }
}

/* The header fields that matter here; all others are skipped. */
enum {
    RTMI_CONTENT_LENGTH, RTMI_TRANSFER_ENCODING, RTMI_CONNECTION, RTMI_UPGRADE, RTMI_RETRY_AFTER,
    RTMI_WS_ACCEPT, RTMI_WS_EXTENSIONS, RTMI_WS_PROTOCOL, RTMI_OTHER
};
static const char *const rtmi_field_names[RTMI_OTHER] = {
    "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Retry-After",
    "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"
};

static const char *rtmi_http_field(rtmi_http *http, int field, char *value) {
    bool tunnel = http->kind == RTMI_HTTP_CONNECT && http->status / 100 == 2;
    unsigned long seconds;
    switch (field) {
    case RTMI_CONTENT_LENGTH: /* a tunnel has no body, whatever these say (RFC 9110 9.3.6) */
        return tunnel ? NULL : rtmi_http_content_length(http, value);
    case RTMI_TRANSFER_ENCODING:
        if (tunnel) break;
        if (http->chunked || !rtmi_same_word(value, strlen(value), "chunked"))
            return "unknown Transfer-Encoding";
        http->chunked = true;
        break;
    case RTMI_CONNECTION:
        if (rtmi_list_has(value, "close")) http->keep_alive = false;
        if (rtmi_list_has(value, "upgrade")) http->connection_upgrade = true;
        break;
    case RTMI_UPGRADE:
        http->upgrade_websocket = rtmi_same_word(value, strlen(value), "websocket");
        break;
    case RTMI_RETRY_AFTER: /* Slack sends seconds; a date (RFC 9110 10.2.3) would need a clock */
        if (!*value || value[strspn(value, "0123456789")]) break;
        seconds = strtoul(value, NULL, 10);
        http->retry_after = seconds < RTMI_RETRY_AFTER_S ? (int)seconds : RTMI_RETRY_AFTER_S;
        break;
    case RTMI_WS_ACCEPT:
        if (*http->accept) return "Sec-WebSocket-Accept is given twice";
        snprintf(http->accept, sizeof http->accept, "%.31s", value);
        break;
    case RTMI_WS_EXTENSIONS:
    case RTMI_WS_PROTOCOL: http->extension = true; break;
    default: break;
    }
    return NULL;
}

static const char *rtmi_http_field_line(rtmi_http *http) {
    char *line = http->line;
    size_t length = strcspn(line, ":");
    bool cut = http->line_size == RTMI_LINE;
    int field = 0;
    if (*line == ' ' || *line == '\t') return "folded header line";
    if (!line[length] && cut) return "header name too long";
    if (!line[length] || !length) return "header line without a name";
    if (!rtmi_is_token(line, length)) return "bad character in a header name";
    while (field < RTMI_OTHER && !rtmi_same_word(line, length, rtmi_field_names[field])) field++;
    /* A cut line is harmless in a field that nobody reads here. */
    if (cut && field < RTMI_OTHER) return "header line too long";
    char *value = line + length + 1 + strspn(line + length + 1, " \t"), *end = strchr(value, '\0');
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) *--end = '\0';
    return rtmi_http_field(http, field, value);
}

/* The empty line behind the fields: what follows (RFC 9112 section 6.3)? */
static const char *rtmi_http_head_end(rtmi_http *http) {
    bool upgraded = http->status == 101;
    if (upgraded && http->kind != RTMI_HTTP_UPGRADE) return "101 without being asked to upgrade";
    if (http->status < 200 && !upgraded) { /* interim: the response proper is still to come */
        size_t head = http->head;
        rtmi_http_start(http, http->kind);
        http->head = head;
        return NULL;
    }
    if (http->chunked && http->has_length && !upgraded)
        return "both Content-Length and Transfer-Encoding";
    bool empty = upgraded || http->status == 204 || http->status == 304 ||
                 (http->kind == RTMI_HTTP_CONNECT && http->status < 300);
    http->part = empty || (http->has_length && !http->left) ? RTMI_HTTP_COMPLETE
                 : http->chunked                            ? RTMI_HTTP_CHUNK_SIZE
                 : http->has_length                         ? RTMI_HTTP_LENGTH
                                                            : RTMI_HTTP_UNTIL_CLOSE;
    if (http->part == RTMI_HTTP_UNTIL_CLOSE) http->keep_alive = false;
    return NULL;
}

/* chunk-size [ chunk-ext ] (RFC 9112 section 7.1) */
static const char *rtmi_http_chunk_size(rtmi_http *http) {
    size_t digits = strspn(http->line, "0123456789abcdefABCDEF");
    uint64_t size = strtoull(http->line, NULL, 16);
    if (!digits) return "chunk without a size";
    if (size > INT64_MAX) return "chunk too large";
    const char *p = http->line + digits + strspn(http->line + digits, " \t");
    if (*p ? *p != ';' : http->line_size == RTMI_LINE) /* an extension may be cut, a size not */
        return "bad chunk size";
    http->left = size;
    http->head = 0; /* the limit is for each chunk's line, and for the trailers */
    http->part = size ? RTMI_HTTP_CHUNK : RTMI_HTTP_TRAILERS;
    return NULL;
}

/* A line is complete, without its line end. */
static const char *rtmi_http_line(rtmi_http *http) {
    size_t size = http->line_size < RTMI_LINE ? http->line_size : RTMI_LINE - 1;
    if (size && size == http->line_size && http->line[size - 1] == '\r') http->line_size = --size;
    http->line[size] = '\0';
    if (strcspn(http->line, "\r") != size) return "control character in a header"; /* or NUL */
    switch (http->part) {
    case RTMI_HTTP_STATUS_LINE: return rtmi_http_status_line(http);
    case RTMI_HTTP_FIELDS: return size ? rtmi_http_field_line(http) : rtmi_http_head_end(http);
    case RTMI_HTTP_CHUNK_SIZE: return rtmi_http_chunk_size(http);
    case RTMI_HTTP_CHUNK_END:
        http->part = RTMI_HTTP_CHUNK_SIZE;
        return size ? "chunk longer than its size" : NULL;
    default: /* trailers: skipped */
        if (!size) http->part = RTMI_HTTP_COMPLETE;
        return NULL;
    }
}

static rtmi_http_what rtmi_http_parse(rtmi_http *http, const char *in, size_t size, size_t *used) {
    for (*used = 0; http->part != RTMI_HTTP_COMPLETE && *used < size;) {
        if (http->part == RTMI_HTTP_LENGTH || http->part == RTMI_HTTP_CHUNK ||
            http->part == RTMI_HTTP_UNTIL_CLOSE) {
            http->body = in + *used;
            http->body_size = size - *used;
            if (http->part != RTMI_HTTP_UNTIL_CLOSE) {
                if (http->body_size > http->left) http->body_size = (size_t)http->left;
                http->left -= http->body_size;
                if (!http->left)
                    http->part = http->part == RTMI_HTTP_CHUNK ? RTMI_HTTP_CHUNK_END
                                                               : RTMI_HTTP_COMPLETE;
            }
            *used += http->body_size;
            return RTMI_HTTP_BODY;
        }
        char c = in[(*used)++];
        if (++http->head > RTMI_HEAD) {
            http->error = "header longer than 16 KiB";
        } else if (c != '\n') {
            if (http->line_size < RTMI_LINE) http->line[http->line_size++] = c;
        } else {
            http->error = rtmi_http_line(http);
            http->line_size = 0;
        }
        if (http->error) return RTMI_HTTP_BAD;
    }
    return http->part == RTMI_HTTP_COMPLETE ? RTMI_HTTP_DONE : RTMI_HTTP_MORE;
}

/* The connection has ended; `clean` when nobody can have cut it short (TLS close_notify). */
static rtmi_http_what rtmi_http_end(rtmi_http *http, bool clean) {
    if (http->part == RTMI_HTTP_UNTIL_CLOSE && clean) return RTMI_HTTP_DONE;
    http->error = "the connection ended within the response";
    return RTMI_HTTP_BAD;
}

/* ------------------------------------------------------------------------------------------------
 * >>ws     the WebSocket handshake, frame parser, frame writer (RFC 6455)
 * --------------------------------------------------------------------------------------------- */

enum { /* opcodes, section 5.2 */
    RTMI_WS_CONTINUATION = 0x0,
    RTMI_WS_TEXT = 0x1,
    RTMI_WS_BINARY = 0x2,
    RTMI_WS_CLOSE = 0x8,
    RTMI_WS_PING = 0x9,
    RTMI_WS_PONG = 0xa
};

enum { /* close codes, section 7.4 */
    RTMI_CLOSE_NORMAL = 1000,
    RTMI_CLOSE_PROTOCOL_ERROR = 1002,
    RTMI_CLOSE_NO_STATUS = 1005, /* never sent: the CLOSE frame had no code */
    RTMI_CLOSE_ABNORMAL = 1006,  /* never sent: there was no CLOSE frame */
    RTMI_CLOSE_INVALID_PAYLOAD = 1007
};

typedef enum rtmi_ws_what {
    RTMI_WS_MORE,    /* all input is used, no message is complete */
    RTMI_WS_MESSAGE, /* opcode, data, size: a whole text or binary message, or a control frame */
    RTMI_WS_SKIPPED, /* a message was left out: `skip` says why; the session goes on */
    RTMI_WS_BAD      /* the peer broke the protocol: `code` is what to close with, see error */
} rtmi_ws_what;

typedef struct rtmi_ws {
    unsigned char header[10];
    unsigned have;           /* bytes of the header so far */
    bool in_payload;         /* the header is complete, `left` bytes of payload are to come */
    bool fin;
    unsigned char frame;     /* opcode of this frame */
    unsigned char message;   /* opcode of the message that fragments belong to; 0 = none open */
    uint64_t left;
    rtmi_utf8 utf8;
    rtmi_buf buffer;         /* a message that did not lie whole in one input */
    size_t limit;            /* bytes of one message */
    bool close_sent;         /* after it we send nothing (section 5.5.1) */
    rtm_result skip;         /* why the rest of this message is not kept; RTM_OK = it is */
    unsigned char opcode;    /* of what was found, with data and size */
    const char *data;        /* in the input, in `buffer` or in `control`: until the next call */
    size_t size;
    int code;
    const char *error;
    unsigned char control[125];
} rtmi_ws;

static void rtmi_ws_start(rtmi_ws *ws, size_t limit) {
    rtmi_buf buffer = ws->buffer;
    memset(ws, 0, sizeof *ws);
    ws->buffer = buffer; /* kept from session to session, grown on demand */
    rtmi_buf_clear(&ws->buffer);
    ws->limit = limit;
}

static rtmi_ws_what rtmi_ws_bad(rtmi_ws *ws, int code, const char *error) {
    ws->code = code;
    ws->error = error;
    return RTMI_WS_BAD;
}

/* Bytes that this header has in all, as far as its first two tell. */
static unsigned rtmi_ws_header_size(const rtmi_ws *ws) {
    unsigned length = ws->have < 2 ? 0 : ws->header[1] & 0x7f;
    return length == 127 ? 10 : length == 126 ? 4 : 2;
}

/* One header byte or more have come: NULL, or what is wrong with them. What can be refused is
   refused with the byte that shows it. */
static const char *rtmi_ws_check_header(rtmi_ws *ws) {
    unsigned opcode = ws->header[0] & 0xf;
    bool control = (opcode & 8) != 0;
    if (ws->header[0] & 0x70) return "reserved bits set";
    if (opcode > RTMI_WS_PONG || (opcode > RTMI_WS_BINARY && !control))
        return "reserved opcode";
    if (control && !(ws->header[0] & 0x80)) return "fragmented control frame";
    if (!control && (opcode == RTMI_WS_CONTINUATION) != (ws->message != 0))
        return ws->message ? "a new message within a fragmented one"
                           : "a continuation of no message";
    if (ws->have < 2) return NULL;
    if (ws->header[1] & 0x80) return "masked frame from a server";
    if (control && ws->header[1] > 125) return "control frame over 125 bytes";
    if (ws->have > 2 && ws->header[1] == 127 && (ws->header[2] & 0x80))
        return "length with its highest bit set";
    return NULL;
}

/* The header is complete: NULL, or what is wrong with it. */
static const char *rtmi_ws_begin_payload(rtmi_ws *ws) {
    unsigned size = ws->have;
    ws->fin = (ws->header[0] & 0x80) != 0;
    ws->frame = ws->header[0] & 0xf;
    ws->left = ws->header[1] & 0x7f;
    if (size > 2) {
        ws->left = 0;
        for (unsigned i = 2; i < size; i++) ws->left = ws->left << 8 | ws->header[i];
        if (ws->left < (size == 4 ? 126u : 65536u)) /* section 5.2: the minimal number of bytes */
            return "length not in its shortest form";
    }
    ws->in_payload = true;
    ws->size = 0;
    if (ws->frame & 8) return NULL;
    if (ws->frame != RTMI_WS_CONTINUATION) {
        ws->message = ws->frame;
        ws->skip = RTM_OK;
        memset(&ws->utf8, 0, sizeof ws->utf8);
        rtmi_buf_clear(&ws->buffer);
    }
    if (!ws->skip && ws->left > ws->limit - ws->buffer.size) ws->skip = RTM_E_TOO_BIG;
    return NULL;
}

/* The frame is complete, its payload in data and size. */
static rtmi_ws_what rtmi_ws_end_frame(rtmi_ws *ws) {
    ws->in_payload = false;
    ws->have = 0;
    ws->opcode = ws->frame;
    if (ws->frame == RTMI_WS_CLOSE) {
        int code = RTMI_CLOSE_NO_STATUS;
        if (ws->size == 1) return rtmi_ws_bad(ws, RTMI_CLOSE_PROTOCOL_ERROR, "half a close code");
        if (ws->size >= 2) code = ws->control[0] << 8 | ws->control[1];
        if (ws->size >= 2 && (code < 1000 || code >= 5000 || (code >= 1004 && code <= 1006) ||
                              (code >= 1015 && code < 3000)))
            return rtmi_ws_bad(ws, RTMI_CLOSE_PROTOCOL_ERROR, "invalid close code");
        if (ws->size > 2 && !rtmi_is_utf8((const char *)ws->control + 2, ws->size - 2))
            return rtmi_ws_bad(ws, RTMI_CLOSE_INVALID_PAYLOAD, "text is not UTF-8");
        ws->code = code;
    }
    if (ws->frame & 8) return RTMI_WS_MESSAGE;
    if (!ws->fin) return RTMI_WS_MORE;
    ws->opcode = ws->message;
    ws->message = 0;
    if (ws->skip) return RTMI_WS_SKIPPED;
    if (ws->opcode == RTMI_WS_TEXT && ws->utf8.need)
        return rtmi_ws_bad(ws, RTMI_CLOSE_INVALID_PAYLOAD, "text is not UTF-8");
    return RTMI_WS_MESSAGE;
}

/* `size` bytes of the payload have come, as far as this frame goes. */
static rtmi_ws_what rtmi_ws_payload(rtmi_ws *ws, const char *in, size_t size) {
    bool whole = ws->left == size;
    ws->left -= size;
    if (ws->frame & 8) {
        memcpy(ws->control + ws->size, in, size);
        ws->data = (const char *)ws->control;
        ws->size += size;
    } else if (!ws->skip) {
        if (ws->message == RTMI_WS_TEXT && !rtmi_utf8_check(&ws->utf8, in, size))
            return rtmi_ws_bad(ws, RTMI_CLOSE_INVALID_PAYLOAD, "text is not UTF-8");
        if (whole && ws->fin && !ws->buffer.size) {
            /* The whole message lies in the input: no copy (half the cost of a small event). */
            ws->data = in;
            ws->size = size;
        } else {
            rtmi_buf_add(&ws->buffer, in, size);
            if (ws->buffer.failed) ws->skip = RTM_E_MEMORY;
            ws->data = ws->buffer.data;
            ws->size = ws->buffer.size;
        }
    }
    return ws->left ? RTMI_WS_MORE : rtmi_ws_end_frame(ws);
}

/* Takes in bytes up to the end of the first message, and says how many in *used. */
static rtmi_ws_what rtmi_ws_parse(rtmi_ws *ws, const char *in, size_t size, size_t *used) {
    rtmi_ws_what what = RTMI_WS_MORE;
    size_t at = 0;
    while (what == RTMI_WS_MORE && (at < size || (ws->in_payload && !ws->left))) {
        if (!ws->in_payload) {
            bool whole;
            while (!(whole = ws->have == rtmi_ws_header_size(ws)) && at < size)
                ws->header[ws->have++] = (unsigned char)in[at++];
            const char *error = rtmi_ws_check_header(ws);
            if (!error && whole) error = rtmi_ws_begin_payload(ws);
            if (error) what = rtmi_ws_bad(ws, RTMI_CLOSE_PROTOCOL_ERROR, error);
        } else {
            size_t piece = size - at < ws->left ? size - at : (size_t)ws->left;
            what = rtmi_ws_payload(ws, in + at, piece);
            at += piece;
        }
    }
    *used = at;
    return what;
}

/* Appends a frame, FIN set, masked as every client frame (section 5.3). */
static bool rtmi_ws_frame(rtmi_buf *out, int opcode, const void *payload, size_t size,
                          const unsigned char mask[4]) {
    unsigned char header[14] = { (unsigned char)(0x80 | opcode) };
    size_t header_size = 2;
    if (size < 126) {
        header[1] = (unsigned char)(0x80 | size);
    } else {
        header_size += size < 65536 ? 2 : 8;
        header[1] = (unsigned char)(0x80 | (size < 65536 ? 126 : 127));
        size_t left = size;
        for (size_t i = header_size; i-- > 2; left >>= 8) header[i] = (unsigned char)left;
    }
    memcpy(header + header_size, mask, 4);
    if (!rtmi_buf_reserve(out, header_size + 4 + size)) return false;
    rtmi_buf_add(out, header, header_size + 4);
    const unsigned char *in = payload;
    char *to = out->data + out->size;
    unsigned char twice[8];
    uint64_t word, pattern;
    size_t i = 0;
    memcpy(twice, mask, 4);
    memcpy(twice + 4, mask, 4);
    memcpy(&pattern, twice, 8);
    for (; size - i >= 8; i += 8) { /* a word at a time */
        memcpy(&word, in + i, 8);
        word ^= pattern;
        memcpy(to + i, &word, 8);
    }
    for (; i < size; i++) to[i] = (char)(in[i] ^ mask[i & 3]);
    out->size += size;
    return true;
}

/* base64(SHA-1(key + GUID)), section 4.2.2: proof that the peer speaks WebSocket. */
static void rtmi_ws_accept(const char *key, char accept[29]) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[br_sha1_SIZE];
    rtmi_buf out = { accept, 0, 29, false };
    br_sha1_context sha1;
    br_sha1_init(&sha1);
    br_sha1_update(&sha1, key, strlen(key));
    br_sha1_update(&sha1, guid, sizeof guid - 1);
    br_sha1_out(&sha1, digest);
    rtmi_base64(&out, digest, sizeof digest);
    accept[28] = '\0';
}

/* Whether a response completes our handshake (section 4.1); NULL, or what is wrong with it. */
static const char *rtmi_ws_check_upgrade(const rtmi_http *http, const char *key) {
    char accept[29];
    rtmi_ws_accept(key, accept);
    if (!http->upgrade_websocket) return "no \"Upgrade: websocket\"";
    if (!http->connection_upgrade) return "no \"Connection: Upgrade\"";
    if (strcmp(http->accept, accept)) return "wrong Sec-WebSocket-Accept";
    if (http->extension) return "an extension or protocol that was not asked for";
    return NULL;
}

/* ------------------------------------------------------------------------------------------------
 * >>trust  X.509: the trust anchors live only while a chain is being checked
 * --------------------------------------------------------------------------------------------- */

/* BearSSL sees this as its X.509 engine. Debian's whole bundle takes 79 KB and 34 ms to load: it is
   loaded when a server's Certificate message begins and freed when it ends, and a resumed session
   never needs it. */
typedef struct rtmi_trust {
    br_x509_minimal_context minimal; /* first, as is its vtable in it: BearSSL points there */
    br_x509_class methods;           /* minimal's, but for the start and the end of a chain */
    br_ssl_engine_context *engine;   /* has the implementations of RSA and ECDSA */
    const char *host;   /* checked against the certificate */
    const char *ca_pem; /* one of these two, or neither: the first bundle of rtmi_bundles */
    const char *ca_file;
    br_x509_trust_anchor *anchor;
    size_t count, capacity;
    const char *error; /* of the bundle */
    bool first_only;   /* one certificate is enough: only to see whether there is any */
} rtmi_trust;

/* BearSSL numbers them so, from br_sha256_ID on. */
static const br_hash_class *const rtmi_sha2[] = { &br_sha256_vtable, &br_sha384_vtable,
                                                  &br_sha512_vtable };

static const char *const rtmi_bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Alpine, Arch, OpenWrt */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
    "/etc/ssl/ca-bundle.pem",             /* openSUSE */
    "/etc/ssl/cert.pem",                  /* Alpine, the BSDs, macOS */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", NULL
};

typedef struct rtmi_loader {
    br_pem_decoder_context pem;
    br_x509_decoder_context x509;
    rtmi_buf name; /* of the certificate's subject */
} rtmi_loader;

static void rtmi_loader_name(void *context, const void *data, size_t size) {
    rtmi_buf_add(&((rtmi_loader *)context)->name, data, size);
}

static void rtmi_loader_certificate(void *context, const void *data, size_t size) {
    br_x509_decoder_context *x509 = &((rtmi_loader *)context)->x509;
    int error = br_x509_decoder_last_error(x509);
    /* BearSSL 0.6 goes on decoding behind an error, into anything; later versions do not. */
    if (!error || error == BR_ERR_X509_TRUNCATED) br_x509_decoder_push(x509, data, size);
}

static unsigned char *rtmi_place(unsigned char **at, const void *data, size_t size) {
    unsigned char *placed = *at;
    memcpy(placed, data, size);
    *at += size;
    return placed;
}

/* Keeps a decoded certificate's name and key, in one block. One that cannot be decoded is left out,
   as others do: a bundle may hold keys of a kind unknown here. */
static bool rtmi_trust_add(rtmi_trust *trust, rtmi_loader *loader) {
    const br_x509_pkey *key = br_x509_decoder_get_pkey(&loader->x509);
    if (!key || loader->name.failed) return !loader->name.failed;
    void *grown = rtmi_grow(trust->anchor, trust->count, &trust->capacity, sizeof *trust->anchor);
    if (!grown) return false;
    trust->anchor = grown;
    bool rsa = key->key_type == BR_KEYTYPE_RSA;
    size_t size = rsa ? key->key.rsa.nlen + key->key.rsa.elen : key->key.ec.qlen;
    unsigned char *block = RTM_REALLOC(NULL, loader->name.size + size + 1);
    if (!block) return false;
    br_x509_trust_anchor *anchor = &trust->anchor[trust->count++];
    anchor->dn.len = loader->name.size;
    anchor->dn.data = rtmi_place(&block, loader->name.data, loader->name.size);
    anchor->flags = br_x509_decoder_isCA(&loader->x509) ? BR_X509_TA_CA : 0;
    anchor->pkey = *key;
    if (rsa) {
        anchor->pkey.key.rsa.n = rtmi_place(&block, key->key.rsa.n, key->key.rsa.nlen);
        anchor->pkey.key.rsa.e = rtmi_place(&block, key->key.rsa.e, key->key.rsa.elen);
    } else {
        anchor->pkey.key.ec.q = rtmi_place(&block, key->key.ec.q, key->key.ec.qlen);
    }
    return true;
}

/* Takes in a piece of PEM text; false when there is no memory. Damaged objects are skipped. */
static bool rtmi_loader_push(rtmi_loader *loader, rtmi_trust *trust, const char *text,
                             size_t size) {
    while (size && !(trust->first_only && trust->count)) {
        size_t used = br_pem_decoder_push(&loader->pem, text, size);
        text += used;
        size -= used;
        const char *kind = br_pem_decoder_name(&loader->pem);
        size_t length = strlen(kind);
        while (length && kind[length - 1] == '-') length--; /* BearSSL leaves them before CRLF */
        switch (br_pem_decoder_event(&loader->pem)) {
        case BR_PEM_BEGIN_OBJ:
            rtmi_buf_clear(&loader->name);
            br_x509_decoder_init(&loader->x509, rtmi_loader_name, loader);
            if (rtmi_same_word(kind, length, "CERTIFICATE") ||
                rtmi_same_word(kind, length, "X509 CERTIFICATE"))
                br_pem_decoder_setdest(&loader->pem, rtmi_loader_certificate, loader);
            else
                br_pem_decoder_setdest(&loader->pem, NULL, NULL);
            break;
        case BR_PEM_END_OBJ:
            if (!rtmi_trust_add(trust, loader)) return false;
            break;
        case BR_PEM_ERROR: /* else what it has decoded would stand before the next object */
            br_pem_decoder_init(&loader->pem);
            break;
        default: break;
        }
    }
    return true;
}

static void rtmi_trust_free_anchors(rtmi_trust *trust) {
    while (trust->count) RTM_FREE(trust->anchor[--trust->count].dn.data); /* head of its block */
    rtmi_free(trust->anchor, 0);
    trust->anchor = NULL;
    trust->capacity = 0;
}

static bool rtmi_trust_load_file(rtmi_trust *trust, rtmi_loader *loader, FILE *file) {
    char chunk[1024];
    size_t size;
    bool room = true;
    while (room && (size = fread(chunk, 1, sizeof chunk, file)) > 0)
        room = rtmi_loader_push(loader, trust, chunk, size);
    if (ferror(file)) trust->error = "the CA bundle cannot be read";
    fclose(file);
    return room;
}

/* Loads the bundle; false when there is no memory for it. `error` tells of any failure. */
static bool rtmi_trust_load(rtmi_trust *trust) {
    rtmi_loader *loader = rtmi_alloc(sizeof *loader);
    bool room = loader != NULL;
    trust->error = NULL;
    if (loader) br_pem_decoder_init(&loader->pem);
    if (room && trust->ca_pem) {
        room = rtmi_loader_push(loader, trust, trust->ca_pem, strlen(trust->ca_pem));
    } else if (room) {
        const char *const *bundle = rtmi_bundles;
        FILE *file = fopen(trust->ca_file ? trust->ca_file : *bundle, "rb");
        while (!file && !trust->ca_file && *++bundle) file = fopen(*bundle, "rb");
        if (file) room = rtmi_trust_load_file(trust, loader, file);
        else trust->error = trust->ca_file ? "the CA bundle cannot be opened"
                                           : "no CA bundle found: set ca_file or ca_pem";
    }
    if (room && loader) room = rtmi_loader_push(loader, trust, "\n", 1); /* ends the last line */
    if (!room) trust->error = "out of memory";
    else if (!trust->error && !trust->count) trust->error = "no certificate in the CA bundle";
    if (loader) rtmi_buf_free(&loader->name);
    rtmi_free(loader, 0);
    return room;
}

static void rtmi_trust_start_chain(const br_x509_class **context, const char *server_name) {
    rtmi_trust *trust = (rtmi_trust *)(void *)context;
    br_x509_minimal_context *minimal = &trust->minimal;
    (void)server_name; /* what is in the SNI, which an address must not be in (RFC 6066) */
    rtmi_trust_load(trust);
    br_x509_minimal_init(minimal, &br_sha256_vtable, trust->anchor, trust->count);
    br_x509_minimal_set_rsa(minimal, br_ssl_engine_get_rsavrfy(trust->engine));
    br_x509_minimal_set_ecdsa(minimal, br_ssl_engine_get_ec(trust->engine),
                              br_ssl_engine_get_ecdsa(trust->engine));
    for (int i = 0; i < 3; i++) br_x509_minimal_set_hash(minimal, br_sha256_ID + i, rtmi_sha2[i]);
    br_x509_minimal_set_minrsa(minimal, 2048 / 8);
    long long now = (long long)RTM_TIME();
    if (now < 0) now = 0;
    br_x509_minimal_set_time(minimal, (uint32_t)(719528 + now / 86400), (uint32_t)(now % 86400));
    minimal->vtable->start_chain(context, trust->host);
    minimal->vtable = &trust->methods; /* _init has set its own */
}

static unsigned rtmi_trust_end_chain(const br_x509_class **context) {
    rtmi_trust *trust = (rtmi_trust *)(void *)context;
    unsigned error = br_x509_minimal_vtable.end_chain(context);
    rtmi_trust_free_anchors(trust); /* the server's own key is kept in `minimal` */
    return error ? error : trust->error ? BR_ERR_X509_NOT_TRUSTED : 0;
}

static void rtmi_trust_init(rtmi_trust *trust, br_ssl_engine_context *engine) {
    trust->methods = br_x509_minimal_vtable;
    trust->methods.start_chain = rtmi_trust_start_chain;
    trust->methods.end_chain = rtmi_trust_end_chain;
    trust->minimal.vtable = &trust->methods;
    trust->engine = engine;
    br_ssl_engine_set_x509(engine, &trust->minimal.vtable);
}

/* A sentence for what BearSSL reports: what is wrong, and what to do about it. */
static const char *rtmi_tls_error(int error) {
    static const struct { short error; const char *sentence; } known[] = {
        { BR_ERR_X509_NOT_TRUSTED,
          "certificate signed by an unknown CA (a proxy that reads along? set ca_file)" },
        { BR_ERR_X509_EXPIRED, "certificate outside its dates: is this machine's clock set?" },
        { BR_ERR_X509_BAD_SERVER_NAME, "certificate is for another host name" },
        { BR_ERR_X509_WEAK_PUBLIC_KEY, "certificate with an RSA key of less than 2048 bits" },
        { BR_ERR_X509_DN_MISMATCH,
          "the server sends its intermediate certificates in disorder, or not all" },
        { BR_ERR_X509_NOT_CA, "certificate signed by one that is not a CA" },
        { BR_ERR_X509_UNSUPPORTED, "certificate with a bad or outdated (SHA-1) signature" },
        { BR_ERR_X509_BAD_SIGNATURE, "certificate with a bad or outdated (SHA-1) signature" },
        { BR_ERR_BAD_VERSION, "not TLS, or a version other than 1.2" },
        { BR_ERR_UNSUPPORTED_VERSION, "not TLS, or a version other than 1.2" },
        { BR_ERR_RECV_FATAL_ALERT + BR_ALERT_PROTOCOL_VERSION,
          "the server does not speak TLS 1.2" },
        { BR_ERR_RECV_FATAL_ALERT + BR_ALERT_HANDSHAKE_FAILURE,
          "the server has no cipher suite in common with us, or wants a client certificate" },
        { BR_ERR_BAD_MAC, "a record was altered on its way" },
        { BR_ERR_NO_RANDOM, "no source of random numbers" }
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].error == error) return known[i].sentence;
    return error >= BR_ERR_SEND_FATAL_ALERT   ? "TLS failed, we sent an alert"
           : error >= BR_ERR_RECV_FATAL_ALERT ? "TLS refused by the server"
           : error >= BR_ERR_X509_OK          ? "certificate that is not valid"
                                              : "not TLS 1.2, or broken TLS";
}

/* ------------------------------------------------------------------------------------------------
 * >>conn   one connection: resolve, TCP, proxy CONNECT, TLS, bytes. All socket calls are here.
 * --------------------------------------------------------------------------------------------- */

/* A TLS session to resume: a 33rd of a full handshake's instructions, and no anchors to load. */
typedef struct rtmi_tls_session {
    rtmi_peer peer; /* host "" = none */
    br_ssl_session_parameters session;
} rtmi_tls_session;

enum { RTMI_TLS_SESSIONS = 2 }; /* the Web API's host and the WebSocket's, most often two */

/* What all connections of a client share. */
typedef struct rtmi_network {
    char *ca_file, *ca_pem;
    rtmi_peer proxy;  /* host "" = none */
    char *proxy_auth; /* the value of Proxy-Authorization, or NULL */
    char *no_proxy;   /* hosts that are reached directly, or NULL */
    void (*tls_setup)(void *tls, void *user);
    void *tls_user;
    rtmi_tls_session tls_session[RTMI_TLS_SESSIONS]; /* most recent first */
} rtmi_network;

typedef struct rtmi_tls {
    br_ssl_client_context client;
    unsigned char in[BR_SSL_BUFSIZE_INPUT];
    unsigned char out[RTMI_TLS_OUT];
} rtmi_tls;

typedef enum rtmi_phase {
    RTMI_CONN_CLOSED,
    RTMI_CONN_TCP,   /* connect() is under way to one of the addresses */
    RTMI_CONN_PROXY, /* CONNECT is sent, its answer awaited */
    RTMI_CONN_TLS,   /* handshake */
    RTMI_CONN_READY
} rtmi_phase;

typedef struct rtmi_conn {
    rtmi_network *network;
    rtmi_why *why;
    rtmi_phase phase;
    int fd;
    bool via_proxy;
    unsigned addresses, tried;
    long long deadline;         /* for the connection to be ready */
    long long address_deadline; /* for this address to answer */
    unsigned char *ahead;       /* read-ahead: bytes ahead_at..ahead_end came and are not used */
    size_t ahead_at, ahead_end;
    bool heard;                 /* bytes came, since whoever asks set it to false */
    bool drained;               /* the last read emptied the socket: no use until poll() tells */
    rtmi_tls *tls;              /* NULL for a plain connection */
    rtmi_trust *trust;          /* during a handshake */
    rtmi_buf out;               /* bytes out_at..out.size wait for the engine or the socket */
    size_t out_at;
    rtmi_http http;             /* of the response that this connection is at */
    rtmi_peer peer;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address[RTMI_ADDRESSES];
} rtmi_conn;

static void rtmi_conn_init(rtmi_conn *conn, rtmi_network *network, rtmi_why *why) {
    conn->network = network;
    conn->why = why;
    conn->fd = -1;
}

static void rtmi_conn_free_trust(rtmi_conn *conn) {
    if (!conn->trust) return;
    rtmi_trust_free_anchors(conn->trust); /* a chain that was cut short left them */
    RTM_FREE(conn->trust);
    conn->trust = NULL;
}

static void rtmi_conn_close_fd(rtmi_conn *conn) {
    if (conn->fd >= 0) close(conn->fd);
    conn->fd = -1;
}

static void rtmi_conn_close(rtmi_conn *conn) {
    rtmi_conn_close_fd(conn);
    rtmi_conn_free_trust(conn);
    rtmi_free(conn->tls, sizeof *conn->tls);
    rtmi_free(conn->ahead, 0);
    conn->tls = NULL;
    conn->ahead = NULL;
    rtmi_buf_free(&conn->out);
    conn->phase = RTMI_CONN_CLOSED;
}

/* Why a socket call failed, from errno; `error` 0 = the peer has closed in order. */
static rtm_result rtmi_conn_lost(rtmi_conn *conn, int error) {
    if (!error)
        return rtmi_fail(conn->why, RTM_E_CLOSED, "%s closed the connection", conn->peer.host);
    if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR) return RTM_E_AGAIN;
    return rtmi_fail(conn->why, RTM_E_CLOSED, "connection to %s lost: %s", conn->peer.host,
                     strerror(error));
}

/* send() and recv() with their outcomes put into rtm_result. */
static rtm_result rtmi_conn_send(rtmi_conn *conn, const void *data, size_t size, size_t *sent) {
    ssize_t n = send(conn->fd, data, size, MSG_NOSIGNAL);
    *sent = n > 0 ? (size_t)n : 0;
    return n >= 0 ? RTM_OK : rtmi_conn_lost(conn, errno);
}

static rtm_result rtmi_conn_receive(rtmi_conn *conn, void *data, size_t size, size_t *received) {
    *received = 0;
    if (conn->drained) return RTM_E_AGAIN;
    ssize_t n = recv(conn->fd, data, size, 0);
    *received = n > 0 ? (size_t)n : 0;
    conn->drained = n < (ssize_t)size;
    if (n <= 0) return rtmi_conn_lost(conn, n < 0 ? errno : 0);
    conn->heard = true;
    return RTM_OK;
}

static bool rtmi_is_address(const char *host) {
    return strchr(host, ':') || host[strspn(host, "0123456789.")] == '\0';
}

/* Hosts of NO_PROXY: "*", the host itself, or a domain that it is in, with or without a dot. */
static bool rtmi_is_direct(const rtmi_network *network, const char *host) {
    if (!*network->proxy.host) return true;
    size_t length = strlen(host);
    for (const char *p = network->no_proxy; p && *p;) {
        p += strspn(p, " ,");
        size_t size = strcspn(p, " ,");
        const char *name = p;
        p += size;
        if (size == 1 && *name == '*') return true;
        if (size > 2 && *name == '[' && name[size - 1] == ']') name++, size -= 2;
        if (size && *name == '.') name++, size--;
        if (!size || size > length || !rtmi_same_word(name, size, host + length - size)) continue;
        if (size == length || (host[length - size - 1] == '.' && !rtmi_is_address(host)))
            return true;
    }
    return false;
}

/* Looks the host up: the one thing here that may block, unless RTM_GETADDRINFO does not. */
static rtm_result rtmi_conn_resolve(rtmi_conn *conn, const rtmi_peer *peer) {
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *found = NULL;
    int error = RTM_GETADDRINFO(peer->host, peer->port, &hints, &found);
    if (error)
        return rtmi_fail(conn->why, RTM_E_RESOLVE, "cannot resolve %s: %s", peer->host,
                         gai_strerror(error));
    conn->addresses = conn->tried = 0;
    for (struct addrinfo *a = found; a && conn->addresses < RTMI_ADDRESSES; a = a->ai_next) {
        if (a->ai_addrlen > sizeof conn->address[0]) continue;
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
        memcpy(&conn->address[conn->addresses++], a->ai_addr, a->ai_addrlen);
    }
    if (found) RTM_FREEADDRINFO(found);
    if (!conn->addresses)
        return rtmi_fail(conn->why, RTM_E_RESOLVE, "%s has no address", peer->host);
    return RTM_OK;
}

/* A non-blocking socket on its way to the next address; errno when there is none. */
static bool rtmi_conn_try(rtmi_conn *conn) {
    struct sockaddr *address = &conn->address[conn->tried++].any;
    bool v6 = address->sa_family == AF_INET6;
    int one = 1;
    conn->fd = socket(address->sa_family, SOCK_STREAM, 0);
    if (conn->fd < 0) return false;
    fcntl(conn->fd, F_SETFD, FD_CLOEXEC);
    if (fcntl(conn->fd, F_SETFL, O_NONBLOCK) < 0) return false;
    /* With one write per frame, Nagle's delay could only hurt: 45 ms an answer. */
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
#ifdef SO_NOSIGPIPE
    setsockopt(conn->fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one);
#endif
    socklen_t size = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    return !connect(conn->fd, address, size) || errno == EINPROGRESS || errno == EINTR;
}

/* Goes on to the next address, each with an equal share of the time that is left. */
static rtm_result rtmi_conn_next_address(rtmi_conn *conn, long long now, int error) {
    while (conn->tried < conn->addresses) {
        rtmi_conn_close_fd(conn);
        if (rtmi_conn_try(conn)) {
            int shares = (int)(conn->addresses - conn->tried + 1);
            conn->address_deadline = now + (int)(conn->deadline - now) / shares;
            return RTM_E_AGAIN;
        }
        error = errno;
    }
    const rtmi_peer *peer = conn->via_proxy ? &conn->network->proxy : &conn->peer;
    return rtmi_fail(conn->why, error == ETIMEDOUT ? RTM_E_TIMEOUT : RTM_E_CONNECT,
                     "cannot connect to %s%s port %s: %s", conn->via_proxy ? "the proxy " : "",
                     peer->host, peer->port, strerror(error));
}

/* AES-GCM first where the machine has instructions for it, else ChaCha20: a fifth of the cost. */
static void rtmi_tls_suites(br_ssl_engine_context *engine) {
    static const uint16_t suites[] = {
        BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, /* again: six from either place */
        BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    };
    bool fast_aes = br_aes_x86ni_ctr_get_vtable() || br_aes_pwr8_ctr_get_vtable();
    br_ssl_engine_set_suites(engine, suites + (fast_aes ? 2 : 0), 6);
}

/* TLS 1.2, ECDHE, AEAD ciphers, SHA-2: the safe part of BearSSL, 25 KiB smaller than all of it. */
static void rtmi_tls_profile(rtmi_tls *tls) {
    br_ssl_engine_context *engine = &tls->client.eng;
    br_ssl_client_zero(&tls->client);
    br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
    br_ssl_engine_add_flags(engine, BR_OPT_NO_RENEGOTIATION);
    rtmi_tls_suites(engine);
    br_ssl_engine_set_default_rsavrfy(engine);
    br_ssl_engine_set_default_ecdsa(engine);
    for (int i = 0; i < 3; i++) br_ssl_engine_set_hash(engine, br_sha256_ID + i, rtmi_sha2[i]);
    br_ssl_engine_set_prf_sha256(engine, br_tls12_sha256_prf);
    br_ssl_engine_set_prf_sha384(engine, br_tls12_sha384_prf);
    br_ssl_engine_set_default_aes_gcm(engine);
    br_ssl_engine_set_default_chapol(engine);
    br_ssl_engine_set_buffers_bidi(engine, tls->in, sizeof tls->in, tls->out, sizeof tls->out);
}

/* The session to resume with this peer; NULL when there is none. */
static rtmi_tls_session *rtmi_tls_session_of(const rtmi_conn *conn) {
    rtmi_tls_session *known = conn->network->tls_session, *end = known + RTMI_TLS_SESSIONS;
    while (known < end && !rtmi_same_peer(&known->peer, &conn->peer)) known++;
    return known < end ? known : NULL;
}

/* Keeps the session for the next handshake, in place of the peer's last or of the oldest. */
static void rtmi_tls_session_keep(const rtmi_conn *conn) {
    rtmi_tls_session *first = conn->network->tls_session, *last = rtmi_tls_session_of(conn);
    size_t newer = last ? (size_t)(last - first) : RTMI_TLS_SESSIONS - 1;
    memmove(first + 1, first, newer * sizeof *first);
    first->peer = conn->peer;
    br_ssl_engine_get_session_parameters(&conn->tls->client.eng, &first->session);
}

static rtm_result rtmi_conn_start_tls(rtmi_conn *conn) {
    unsigned char seed[32];
    if (!conn->peer.tls) {
        conn->phase = RTMI_CONN_READY;
        return RTM_OK;
    }
    conn->tls = rtmi_alloc(sizeof *conn->tls);
    conn->trust = rtmi_alloc(sizeof *conn->trust);
    if (!conn->tls || !conn->trust) return rtmi_out_of_memory(conn->why);
    if (RTM_RANDOM(seed, sizeof seed)) return rtmi_no_random(conn->why);
    conn->trust->host = conn->peer.host;
    conn->trust->ca_pem = conn->network->ca_pem;
    conn->trust->ca_file = conn->network->ca_file;
    br_ssl_engine_context *engine = &conn->tls->client.eng;
    rtmi_tls_profile(conn->tls);
    rtmi_trust_init(conn->trust, engine);
    br_ssl_engine_inject_entropy(engine, seed, sizeof seed);
    rtmi_wipe(seed, sizeof seed);
    rtmi_tls_session *known = rtmi_tls_session_of(conn);
    if (known) {
        br_ssl_engine_set_session_parameters(engine, &known->session);
        known->session.session_id_len = 0; /* until the handshake has gone well */
    }
    if (conn->network->tls_setup)
        conn->network->tls_setup(&conn->tls->client, conn->network->tls_user);
    const char *name = rtmi_is_address(conn->peer.host) ? NULL : conn->peer.host;
    if (!br_ssl_client_reset(&conn->tls->client, name, known != NULL))
        return rtmi_fail(conn->why, RTM_E_TLS, "TLS cannot start (error %d)",
                         br_ssl_engine_last_error(engine));
    conn->phase = RTMI_CONN_TLS;
    return RTM_E_AGAIN;
}

/* The engine has closed: why? */
static rtm_result rtmi_conn_tls_result(rtmi_conn *conn) {
    int error = br_ssl_engine_last_error(&conn->tls->client.eng);
    if (error == BR_ERR_OK) return rtmi_conn_lost(conn, 0);
    bool x509 = error >= BR_ERR_X509_OK && error < BR_ERR_RECV_FATAL_ALERT;
    const char *sentence = conn->trust && conn->trust->error && x509 ? conn->trust->error
                                                                     : rtmi_tls_error(error);
    return rtmi_fail(conn->why, x509 ? RTM_E_CERTIFICATE : RTM_E_TLS, "TLS with %s: %s (error %d)",
                     conn->peer.host, sentence, error);
}

/* Gives what was read ahead, or what the socket has, to the engine. */
static rtm_result rtmi_conn_feed(rtmi_conn *conn) {
    size_t room, size = 0;
    unsigned char *to = br_ssl_engine_recvrec_buf(&conn->tls->client.eng, &room);
    /* The engine asks for 5 bytes, then for the record: without the read-ahead that is two system
       calls a record. The rest of a large record needs no detour. */
    bool empty = conn->ahead_at == conn->ahead_end, direct = empty && room >= RTMI_AHEAD;
    if (empty) {
        rtm_result result = rtmi_conn_receive(conn, direct ? to : conn->ahead,
                                              direct ? room : RTMI_AHEAD, &size);
        if (result != RTM_OK) return result;
        conn->ahead_at = 0;
        conn->ahead_end = direct ? 0 : size;
    }
    if (!direct) {
        size = conn->ahead_end - conn->ahead_at;
        if (size > room) size = room;
        memcpy(to, conn->ahead + conn->ahead_at, size);
        conn->ahead_at += size;
    }
    br_ssl_engine_recvrec_ack(&conn->tls->client.eng, size);
    return RTM_OK;
}

/* Sends the records that the engine has ready. */
static rtm_result rtmi_conn_send_records(rtmi_conn *conn) {
    br_ssl_engine_context *engine = &conn->tls->client.eng;
    size_t size, sent;
    unsigned char *record;
    while ((record = br_ssl_engine_sendrec_buf(engine, &size)) != NULL) {
        rtm_result result = rtmi_conn_send(conn, record, size, &sent);
        if (result != RTM_OK) return result;
        br_ssl_engine_sendrec_ack(engine, sent);
    }
    return RTM_OK;
}

/* Sends what waits in `out`: RTM_OK when all is sent, RTM_E_AGAIN when the socket is full. */
static rtm_result rtmi_conn_flush(rtmi_conn *conn) {
    while (conn->out_at < conn->out.size || conn->tls) {
        size_t left = conn->out.size - conn->out_at, size = 0;
        const char *data = left ? conn->out.data + conn->out_at : NULL;
        if (!conn->tls) {
            rtm_result result = rtmi_conn_send(conn, data, left, &size);
            if (result != RTM_OK) return result;
        } else {
            br_ssl_engine_context *engine = &conn->tls->client.eng;
            rtm_result result = rtmi_conn_send_records(conn);
            if (result != RTM_OK || !left) return result;
            unsigned char *to = br_ssl_engine_sendapp_buf(engine, &size);
            if (!to) return RTM_E_AGAIN; /* closed: the next read says why */
            if (size > left) size = left;
            memcpy(to, data, size);
            br_ssl_engine_sendapp_ack(engine, size);
            br_ssl_engine_flush(engine, 0);
        }
        conn->out_at += size;
        if (conn->out_at == conn->out.size) {
            rtmi_wipe(conn->out.data, conn->out.size); /* a request holds the token */
            rtmi_buf_clear(&conn->out);
            conn->out_at = 0;
        }
    }
    return RTM_OK;
}

/* Says goodbye as far as the socket takes it, and closes. */
static void rtmi_conn_shutdown(rtmi_conn *conn) {
    rtmi_why why = *conn->why; /* a goodbye that does not arrive is no news */
    if (conn->phase == RTMI_CONN_READY) {
        rtmi_conn_flush(conn);
        if (conn->tls) {
            br_ssl_engine_close(&conn->tls->client.eng);
            rtmi_conn_send_records(conn);
        }
        shutdown(conn->fd, SHUT_WR);
    }
    *conn->why = why;
    rtmi_conn_close(conn);
}

/* Begins to connect. */
static rtm_result rtmi_conn_open(rtmi_conn *conn, const rtmi_peer *peer, long long now,
                                 long long deadline) {
    rtmi_conn_shutdown(conn);
    conn->peer = *peer;
    conn->deadline = deadline;
    conn->ahead_at = conn->ahead_end = conn->out_at = 0;
    conn->drained = false;
    conn->via_proxy = !rtmi_is_direct(conn->network, peer->host);
    conn->ahead = RTM_REALLOC(NULL, RTMI_AHEAD);
    if (!conn->ahead) return rtmi_out_of_memory(conn->why);
    rtm_result result = rtmi_conn_resolve(conn, conn->via_proxy ? &conn->network->proxy : peer);
    if (result == RTM_OK) result = rtmi_conn_next_address(conn, now, EADDRNOTAVAIL);
    if (result != RTM_E_AGAIN) return result;
    conn->phase = RTMI_CONN_TCP;
    return RTM_OK;
}

/* Points at the bytes that have come; at least one when RTM_OK. RTM_E_AGAIN: none are here yet. */
static rtm_result rtmi_conn_read(rtmi_conn *conn, const char **data, size_t *size) {
    if (!conn->tls) {
        if (conn->ahead_at == conn->ahead_end) {
            conn->ahead_at = 0;
            rtm_result result = rtmi_conn_receive(conn, conn->ahead, RTMI_AHEAD, &conn->ahead_end);
            if (result != RTM_OK) return result;
        }
        *data = (const char *)conn->ahead + conn->ahead_at;
        *size = conn->ahead_end - conn->ahead_at;
        return RTM_OK;
    }
    for (;;) {
        unsigned state = br_ssl_engine_current_state(&conn->tls->client.eng);
        if (state & BR_SSL_CLOSED) return rtmi_conn_tls_result(conn);
        if (state & BR_SSL_RECVAPP) {
            *data = (const char *)br_ssl_engine_recvapp_buf(&conn->tls->client.eng, size);
            return RTM_OK;
        }
        if (!(state & (BR_SSL_RECVREC | BR_SSL_SENDREC))) return RTM_E_AGAIN;
        /* The engine may have to send before it goes on: its answer to a close_notify, say. */
        rtm_result result = state & BR_SSL_RECVREC ? rtmi_conn_feed(conn)
                                                   : rtmi_conn_send_records(conn);
        if (result != RTM_OK) return result;
    }
}

static void rtmi_conn_consume(rtmi_conn *conn, size_t size) {
    if (conn->tls) br_ssl_engine_recvapp_ack(&conn->tls->client.eng, size);
    else conn->ahead_at += size;
}

/* Whether the peer said that this was all (TLS close_notify, whether or not ours could be sent),
   and nobody cut it short. A plain connection cannot tell; a FIN must do there. */
static bool rtmi_conn_ended_clean(const rtmi_conn *conn) {
    if (!conn->tls) return true;
    const br_ssl_engine_context *engine = &conn->tls->client.eng;
    return !(br_ssl_engine_current_state(engine) & BR_SSL_RECVREC) &&
           !br_ssl_engine_last_error(engine);
}

/* Whether bytes are at hand that no poll() would tell of. */
static bool rtmi_conn_buffered(const rtmi_conn *conn) {
    if (conn->phase != RTMI_CONN_READY) return false;
    bool ahead = conn->ahead_at < conn->ahead_end;
    if (!conn->tls) return ahead;
    unsigned state = br_ssl_engine_current_state(&conn->tls->client.eng);
    return (state & BR_SSL_RECVAPP) || (ahead && (state & BR_SSL_RECVREC));
}

/* POLLIN, POLLOUT: what to wait for. */
static short rtmi_conn_events(const rtmi_conn *conn) {
    if (conn->phase == RTMI_CONN_CLOSED) return 0;
    if (conn->phase == RTMI_CONN_TCP) return POLLOUT;
    bool out = conn->out_at < conn->out.size;
    if (conn->tls && (br_ssl_engine_current_state(&conn->tls->client.eng) & BR_SSL_SENDREC))
        out = true;
    return out ? POLLIN | POLLOUT : POLLIN;
}

/* When something is to be done at the latest, told or not: 0 = now. */
static long long rtmi_conn_due(const rtmi_conn *conn, long long deadline) {
    if (rtmi_conn_buffered(conn)) return 0;
    bool address = conn->phase == RTMI_CONN_TCP && conn->address_deadline < deadline;
    return address ? conn->address_deadline : deadline;
}

/* connect() has come to an end, or not yet. */
static rtm_result rtmi_conn_step_tcp(rtmi_conn *conn, long long now) {
    struct pollfd pollfd = { conn->fd, POLLOUT, 0 };
    int error = 0;
    socklen_t size = sizeof error;
    if (poll(&pollfd, 1, 0) <= 0) {
        if (now < conn->address_deadline) return RTM_E_AGAIN;
        return rtmi_conn_next_address(conn, now, ETIMEDOUT);
    }
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
    if (error) return rtmi_conn_next_address(conn, now, error);
    if (!conn->via_proxy) return rtmi_conn_start_tls(conn);
    const char *auth = conn->network->proxy_auth;
    rtmi_buf_text(&conn->out, "CONNECT ");
    rtmi_write_authority(&conn->out, &conn->peer, true);
    rtmi_buf_text(&conn->out, " HTTP/1.1\r\nHost: ");
    rtmi_write_authority(&conn->out, &conn->peer, true);
    rtmi_buf_text(&conn->out, auth ? "\r\nProxy-Authorization: Basic " : "", auth ? auth : "",
                  "\r\n\r\n");
    if (conn->out.failed) return rtmi_out_of_memory(conn->why);
    rtmi_http_start(&conn->http, RTMI_HTTP_CONNECT);
    conn->phase = RTMI_CONN_PROXY;
    return rtmi_conn_flush(conn) == RTM_E_CLOSED ? RTM_E_CLOSED : RTM_E_AGAIN;
}

static rtm_result rtmi_conn_step_proxy(rtmi_conn *conn) {
    const char *data, *proxy = conn->network->proxy.host;
    size_t size, used;
    rtmi_http_what what = RTMI_HTTP_MORE;
    rtm_result result = rtmi_conn_flush(conn);
    if (result != RTM_OK) return result;
    while (what == RTMI_HTTP_MORE && conn->http.part <= RTMI_HTTP_FIELDS) { /* no body is needed */
        result = rtmi_conn_read(conn, &data, &size);
        if (result == RTM_E_AGAIN) return result;
        if (result != RTM_OK)
            return rtmi_fail(conn->why, RTM_E_PROXY, "the proxy %s hung up", proxy);
        what = rtmi_http_parse(&conn->http, data, size, &used);
        rtmi_conn_consume(conn, used);
    }
    if (what == RTMI_HTTP_BAD)
        return rtmi_fail(conn->why, RTM_E_PROXY, "the proxy %s answered nonsense: %s", proxy,
                         conn->http.error);
    if (conn->http.status == 407 || conn->http.status == 401) /* tinyproxy's for wrong ones */
        return rtmi_fail(conn->why, RTM_E_PROXY, "the proxy %s wants other credentials: set "
                         "them in its URL, http://user:password@host:port", proxy);
    if (conn->http.status / 100 != 2)
        return rtmi_fail(conn->why, RTM_E_PROXY, "the proxy %s refused %s with status %d", proxy,
                         conn->peer.host, conn->http.status);
    if (conn->ahead_at < conn->ahead_end)
        return rtmi_fail(conn->why, RTM_E_PROXY, "the proxy %s sent more than an answer", proxy);
    return rtmi_conn_start_tls(conn);
}

static rtm_result rtmi_conn_step_tls(rtmi_conn *conn) {
    br_ssl_engine_context *engine = &conn->tls->client.eng;
    for (;;) {
        rtm_result result = rtmi_conn_send_records(conn);
        if (result == RTM_E_CLOSED) return result;
        unsigned state = br_ssl_engine_current_state(engine);
        if (state & BR_SSL_CLOSED) {
            result = rtmi_conn_tls_result(conn);
            if (result != RTM_E_CLOSED) return result;
            return rtmi_fail(conn->why, RTM_E_TLS, "%s ended the TLS handshake", conn->peer.host);
        }
        if (state & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)) break;
        if (!(state & BR_SSL_RECVREC)) return RTM_E_AGAIN;
        if ((result = rtmi_conn_feed(conn)) == RTM_E_AGAIN) return result;
        if (result != RTM_OK)
            return rtmi_fail(conn->why, RTM_E_TLS, "%s hung up within the TLS handshake",
                             conn->peer.host);
    }
    rtmi_tls_session_keep(conn);
    rtmi_conn_free_trust(conn);
    conn->phase = RTMI_CONN_READY;
    return RTM_OK;
}

/* One more step to a connection that is ready: RTM_OK when it is, RTM_E_AGAIN until then. */
static rtm_result rtmi_conn_step(rtmi_conn *conn, long long now) {
    rtmi_phase phase;
    rtm_result result = RTM_E_AGAIN;
    do {
        phase = conn->phase;
        switch (phase) {
        case RTMI_CONN_TCP: result = rtmi_conn_step_tcp(conn, now); break;
        case RTMI_CONN_PROXY: result = rtmi_conn_step_proxy(conn); break;
        case RTMI_CONN_TLS: result = rtmi_conn_step_tls(conn); break;
        case RTMI_CONN_READY: return RTM_OK;
        default: return rtmi_fail(conn->why, RTM_E_CLOSED, "the connection is closed");
        }
    } while (result == RTM_E_AGAIN && phase != conn->phase);
    return result;
}

/* ------------------------------------------------------------------------------------------------
 * >>call   one HTTP exchange over a connection of its own, a step at a time
 * --------------------------------------------------------------------------------------------- */

typedef struct rtmi_call {
    rtmi_conn conn;
    rtmi_http_kind kind;
    rtmi_buf request; /* moves to the connection once that is ready */
    rtmi_buf body;    /* of the response */
    size_t limit;     /* bytes of it */
} rtmi_call;

static void rtmi_call_free(rtmi_call *call) {
    rtmi_conn_shutdown(&call->conn);
    rtmi_buf_free(&call->request);
    rtmi_buf_free(&call->body);
}

/* Begins the exchange whose request stands in call->request. A kept-alive connection to the same
   peer is used again if it still lives. A request that was sent is never repeated by itself: nobody
   knows whether it was carried out (RFC 9110 section 9.2.2). */
static rtm_result rtmi_call_start(rtmi_call *call, rtmi_http_kind kind, const rtmi_peer *peer,
                                  long long now, long long deadline) {
    rtmi_conn *conn = &call->conn;
    const char *data;
    size_t size;
    call->kind = kind;
    conn->drained = false;
    rtmi_buf_clear(&call->body);
    if (call->request.failed) return rtmi_out_of_memory(conn->why);
    if (kind == RTMI_HTTP_CALL && conn->phase == RTMI_CONN_READY && conn->http.keep_alive &&
        conn->http.part == RTMI_HTTP_COMPLETE && rtmi_same_peer(&conn->peer, peer)) {
        rtmi_why why = *conn->why; /* that it was closed meanwhile is no failure */
        if (rtmi_conn_read(conn, &data, &size) == RTM_E_AGAIN) return RTM_OK;
        *conn->why = why;
    }
    return rtmi_conn_open(conn, peer, now, deadline);
}

static rtm_result rtmi_call_read(rtmi_call *call) {
    rtmi_conn *conn = &call->conn;
    const char *data;
    size_t size, used, budget = RTMI_BUDGET; /* deadlines are looked at in between */
    while (budget) {
        rtmi_http_what what;
        rtm_result result = rtmi_conn_read(conn, &data, &size);
        if (result == RTM_E_AGAIN) return result;
        if (result == RTM_OK) {
            what = rtmi_http_parse(&conn->http, data, size, &used);
            if (what == RTMI_HTTP_BODY) {
                if (conn->http.body_size > call->limit - call->body.size)
                    return rtmi_fail(conn->why, RTM_E_TOO_BIG, "response of %s is larger than "
                                     "max_message", conn->peer.host);
                rtmi_buf_add(&call->body, conn->http.body, conn->http.body_size);
                if (call->body.failed) return rtmi_out_of_memory(conn->why);
                if (conn->http.part == RTMI_HTTP_COMPLETE) what = RTMI_HTTP_DONE;
            }
            rtmi_conn_consume(conn, used);
            budget -= used < budget ? used : budget;
        } else {
            bool begun = conn->http.head || conn->http.part != RTMI_HTTP_STATUS_LINE;
            if (result != RTM_E_CLOSED || !begun) return result;
            what = rtmi_http_end(&conn->http, rtmi_conn_ended_clean(conn));
        }
        if (what == RTMI_HTTP_DONE) return RTM_OK;
        if (what == RTMI_HTTP_BAD)
            return rtmi_fail(conn->why, RTM_E_HTTP, "bad HTTP response from %s: %s",
                             conn->peer.host, conn->http.error);
    }
    return RTM_E_AGAIN;
}

/* RTM_E_AGAIN until the response is complete; call->conn.http and call->body then hold it. */
static rtm_result rtmi_call_step(rtmi_call *call, long long now) {
    rtmi_conn *conn = &call->conn;
    rtm_result result = rtmi_conn_step(conn, now);
    if (result != RTM_OK) return result;
    if (call->request.size) {
        rtmi_http_start(&conn->http, call->kind);
        rtmi_buf_add(&conn->out, call->request.data, call->request.size);
        rtmi_buf_free(&call->request);
        if (conn->out.failed) return rtmi_out_of_memory(conn->why);
    }
    rtmi_conn_flush(conn); /* when this fails there may still be a response that says why */
    return rtmi_call_read(call);
}

/* ------------------------------------------------------------------------------------------------
 * >>session  states, timers, backoff, dispatch, sends
 * --------------------------------------------------------------------------------------------- */

/* The states in order, as in the table of STATES above. */
#define RTMI_STATES(X) X(IDLE) X(CALLING) X(UPGRADING) X(OPEN) X(CLOSING) X(WAITING) X(FINISHED)

typedef enum rtmi_state {
#define RTMI_ENUM(NAME) RTMI_##NAME,
    RTMI_STATES(RTMI_ENUM)
#undef RTMI_ENUM
} rtmi_state;

typedef struct rtmi_handler {
    char *type; /* as registered: "*", "type" or "type::subtype" */
    size_t length;       /* of the type in it */
    const char *subtype; /* behind "::", or NULL */
    rtm_callback callback; /* NULL = removed, swept when no callback runs */
    void *user;
} rtmi_handler;

/* Numbers and pointers first, arrays last: code for small machines reaches near fields in fewer
   bytes (500 in all on ARM). */
struct rtm_client {
    rtmi_state state;   /* written by rtmi_enter alone */
    long long now;      /* read once a step, not once an event */
    long long deadline; /* of this state */
    rtm_result begun;   /* what entering the state came to */
    rtm_result cause;   /* why the last session or attempt ended; RTM_OK = in good order */
    rtm_result result;  /* what a finished client returns */
    volatile sig_atomic_t stop;
    bool drop;          /* end this session */
    bool polling;       /* within rtm_poll, and so perhaps in a callback */
    int dispatched;     /* events in this rtm_poll */
    unsigned ended;     /* sessions and attempts, for rtm_connect */
    unsigned failures;  /* in a row */
    int retry_after;    /* seconds that the last response asked for; -1 = none */

    long long timeout_ms, ping_interval_ms; /* as configured */
    size_t max_message;
    bool use_rtm_start, no_auto_reconnect, no_signals;
    char *token, *headers; /* headers: lines "Name: value\r\n", or NULL */
    char *base_path;       /* of base_url, with a slash at its end */
    rtmi_buf secrets;      /* see rtmi_why */
    void (*log)(const char *line, void *user);
    void *log_user;

    long long opened_at;
    long long silent_at; /* when silence so far will be too long */
    bool pinged;         /* a PING is out, and nothing came since */
    int close_code;

    int last_id;
    int *unanswered; /* ids of messages, oldest first */
    size_t unanswered_count, unanswered_capacity;
    rtmi_handler *handlers;
    size_t handler_count, handler_capacity;
    bool handlers_removed;
    rtmi_buf compose;  /* scratch: a message to send, the URL of a request */
    rtm_json greeting; /* the rtm.connect response, in session.body: a handshake has no body, so it
                          stands there until `open` has been dispatched */

    rtmi_why why;
    rtmi_ws ws;
    rtmi_call session; /* the connection: first for the URL, then for the WebSocket */
    rtmi_call web;     /* rtm_call's connection */
    rtmi_document event_document, web_document;
    rtmi_peer api;
    rtmi_network network;
    char key[25];             /* Sec-WebSocket-Key */
    char type[RTMI_TYPE];     /* of the event being dispatched */
    char web_code[RTMI_CODE]; /* what rtm_call's response's `error` points at */
    char close_reason[126];
};

RTMI_PRINTF(2)
static void rtmi_log(rtm_client *client, const char *format, ...) {
    char line[320];
    va_list arguments;
    if (!client->log) return;
    va_start(arguments, format);
    bool cut = vsnprintf(line, sizeof line, format, arguments) >= (int)sizeof line;
    va_end(arguments);
    rtmi_redact(line, cut, client->why.secrets);
    client->log(line, client->log_user);
}

/* Dispatch ------------------------------------------------------------------------------------ */

static bool rtmi_hears(const rtmi_handler *handler, const char *type, size_t length) {
    if (!handler->callback) return false;
    if (handler->length == length && !memcmp(handler->type, type, length)) return true;
    return handler->length == 1 && *handler->type == '*';
}

static bool rtmi_anyone_hears(const rtm_client *client, const char *type, size_t length) {
    for (size_t i = 0; i < client->handler_count; i++)
        if (rtmi_hears(&client->handlers[i], type, length)) return true;
    return false;
}

static void rtmi_sweep_handlers(rtm_client *client) {
    size_t kept = 0;
    for (size_t i = 0; i < client->handler_count; i++) {
        if (client->handlers[i].callback) client->handlers[kept++] = client->handlers[i];
        else RTM_FREE(client->handlers[i].type);
    }
    client->handler_count = kept;
    client->handlers_removed = false;
}

/* Runs the callbacks of an event in the order registered. One may register, remove or stop. */
static void rtmi_dispatch(rtm_client *client, const rtm_event *event, bool after_stop) {
    size_t length = strlen(event->type), count = client->handler_count;
    bool ran = false;
    for (size_t i = 0; i < count; i++) {
        rtmi_handler handler = client->handlers[i];
        if (!rtmi_hears(&handler, event->type, length)) continue;
        if (handler.subtype &&
            !rtm_json_equals(rtm_json_get(event->data, "subtype"), handler.subtype)) continue;
        if (client->stop && !after_stop) break;
        handler.callback(client, event, handler.user);
        ran = true;
    }
    if (ran) client->dispatched++;
    if (client->handlers_removed) rtmi_sweep_handlers(client);
}

/* Tells of a failure; client->why has the sentence. */
static void rtmi_dispatch_error(rtm_client *client, rtm_result result, int id, rtm_json data) {
    char detail[sizeof client->why.text]; /* a callback may fail at something of its own */
    rtm_event event = { .type = "error", .data = data, .result = result, .id = id, .reason = "",
                        .detail = detail };
    memcpy(detail, client->why.text, sizeof detail);
    rtmi_log(client, "error: %s", detail);
    rtmi_dispatch(client, &event, true);
}

/* The same for what concerns no message of ours: takes what rtmi_fail returned. */
static void rtmi_report(rtm_client *client, rtm_result result) {
    rtmi_dispatch_error(client, result, 0, rtmi_json_none);
}

/* Sends -------------------------------------------------------------------------------------- */

/* Queues a frame and sends what the socket takes. A control frame may go beyond the limit. */
static rtm_result rtmi_send_frame(rtm_client *client, int opcode, const void *data, size_t size) {
    rtmi_conn *conn = &client->session.conn;
    unsigned char mask[4];
    size_t limit = opcode & 8 ? RTMI_OUT + RTMI_OUT_CONTROL : RTMI_OUT;
    if (client->ws.close_sent) return RTM_OK;
    if (conn->out.size - conn->out_at + size > limit)
        return rtmi_fail(&client->why, RTM_E_AGAIN, "the send buffer is full");
    if (RTM_RANDOM(mask, sizeof mask)) return rtmi_no_random(&client->why);
    if (conn->out_at) { /* only what still waits */
        memmove(conn->out.data, conn->out.data + conn->out_at, conn->out.size - conn->out_at);
        conn->out.size -= conn->out_at;
        conn->out_at = 0;
    }
    if (!rtmi_ws_frame(&conn->out, opcode, data, size, mask)) {
        conn->out.failed = false; /* nothing was taken */
        return rtmi_out_of_memory(&client->why);
    }
    client->ws.close_sent = opcode == RTMI_WS_CLOSE;
    rtmi_conn_flush(conn); /* what cannot be sent now waits; a dead connection shows in reading */
    return RTM_OK;
}

static void rtmi_send_close(rtm_client *client, int code) {
    unsigned char payload[2] = { (unsigned char)(code >> 8), (unsigned char)code };
    rtmi_send_frame(client, RTMI_WS_CLOSE, payload, code == RTMI_CLOSE_NO_STATUS ? 0 : 2);
}

static rtm_result rtmi_unanswered_add(rtm_client *client, int id) {
    if (client->unanswered_count == RTMI_UNANSWERED)
        return rtmi_fail(&client->why, RTM_E_AGAIN, "%d messages await an answer", RTMI_UNANSWERED);
    void *grown = rtmi_grow(client->unanswered, client->unanswered_count,
                            &client->unanswered_capacity, sizeof *client->unanswered);
    if (!grown) return rtmi_out_of_memory(&client->why);
    client->unanswered = grown;
    client->unanswered[client->unanswered_count++] = id;
    return RTM_OK;
}

/* Slack answers mostly in order, so the search is short. */
static bool rtmi_unanswered_remove(rtm_client *client, int id) {
    size_t i = 0;
    while (i < client->unanswered_count && client->unanswered[i] != id) i++;
    if (i == client->unanswered_count) return false;
    client->unanswered_count--;
    memmove(client->unanswered + i, client->unanswered + i + 1,
            (client->unanswered_count - i) * sizeof *client->unanswered);
    return true;
}

static int rtmi_next_id(const rtm_client *client) {
    return client->last_id < INT_MAX ? client->last_id + 1 : 1;
}

static rtm_result rtmi_not_connected(rtm_client *client) {
    return rtmi_fail(&client->why, RTM_E_NOT_CONNECTED, "not connected");
}

static rtm_result rtmi_too_big(rtm_client *client, size_t size) {
    return rtmi_fail(&client->why, RTM_E_TOO_BIG, "message of %zu bytes or more: Slack takes 16384",
                     size);
}

/* Sends client->compose, a message with this id; `answered`: Slack will acknowledge it. */
static int rtmi_send_composed(rtm_client *client, int id, bool answered) {
    if (client->compose.failed) return rtmi_out_of_memory(&client->why);
    if (client->compose.size > RTMI_MESSAGE_OUT) return rtmi_too_big(client, client->compose.size);
    rtm_result result = answered ? rtmi_unanswered_add(client, id) : RTM_OK;
    if (result != RTM_OK) return result;
    result = rtmi_send_frame(client, RTMI_WS_TEXT, client->compose.data, client->compose.size);
    if (result != RTM_OK) {
        if (answered) rtmi_unanswered_remove(client, id);
        return result;
    }
    if (id > client->last_id || client->last_id == INT_MAX) client->last_id = id;
    return id;
}

/* {"id":N,"type":TYPE[,"channel":CHANNEL[,"text":TEXT]]}, with so many of the two. */
static int rtmi_send_typed(rtm_client *client, const char *type, int fields, const char *channel,
                           const char *text) {
    static const char *const name[] = { ",\"channel\":", ",\"text\":" };
    const char *const value[] = { channel, text };
    if (!client) return RTM_E_ARGUMENT;
    for (int i = 0; i < fields; i++)
        if (!value[i])
            return rtmi_fail(&client->why, RTM_E_ARGUMENT, "%s without a channel or text", type);
    if (!rtm_is_connected(client)) return rtmi_not_connected(client);
    rtmi_buf *out = &client->compose;
    int id = rtmi_next_id(client);
    rtmi_buf_clear(out);
    rtmi_buf_text(out, "{\"id\":");
    rtmi_buf_number(out, id);
    rtmi_buf_text(out, ",\"type\":\"", type, "\"");
    for (int i = 0; i < fields; i++) {
        size_t size = strlen(value[i]);
        if (!rtmi_is_utf8(value[i], size))
            return rtmi_fail(&client->why, RTM_E_JSON, "channel or text is not UTF-8");
        if (size > RTMI_MESSAGE_OUT) return rtmi_too_big(client, size);
        rtmi_buf_text(out, name[i]);
        rtmi_json_quote(out, value[i]);
    }
    rtmi_buf_text(out, "}");
    return rtmi_send_composed(client, id, strcmp(type, "typing") != 0);
}

/* What has come ------------------------------------------------------------------------------- */

/* Slack's answer to a message of ours: {"ok":…,"reply_to":…} without a type, or a pong. True
   when Slack refused the message: that is an error, and says which. */
static bool rtmi_on_reply(rtm_client *client, rtm_event *event, bool typed) {
    char text[128];
    long long id = rtm_json_int(rtm_json_get(event->data, "reply_to"), 0);
    if (id <= 0 || id > INT_MAX) return false;
    event->id = (int)id;
    rtmi_unanswered_remove(client, event->id);
    if (typed || rtm_json_bool(rtm_json_get(event->data, "ok"), true)) return false;
    rtm_json message = rtm_json_get(event->data, "error.msg");
    bool cut = rtm_json_string(message, text, sizeof text) >= sizeof text;
    rtmi_redact(text, cut, client->why.secrets); /* where it was cut, not within a sentence */
    rtmi_fail(&client->why, RTM_E_SLACK, "Slack refused message %d: %s (code %lld)", event->id,
              text, rtm_json_int(rtm_json_get(event->data, "error.code"), 0));
    rtmi_dispatch_error(client, RTM_E_SLACK, event->id, event->data);
    return true;
}

static bool rtmi_is_one_of(const char *word, const char *const *list) {
    for (; *list; list++)
        if (**list == *word && !strcmp(*list, word)) return true;
    return false;
}

/* One text message from Slack. What nobody listens to is dropped after a look at its type. */
static void rtmi_on_text(rtm_client *client, const char *text, size_t size) {
    static const char *const ends[] = { "goodbye", "team_migration_started", "error", NULL };
    static const char *const ours[] = { "open", "close", "Unknown", NULL }; /* not the server's */
    rtm_json data = { text, size, NULL }, type = rtmi_json_member(data, "type", 4);
    size_t length = rtm_json_string(type, client->type, sizeof client->type);
    bool typed = type.size && *type.text == '"' && strlen(client->type) == length &&
                 !rtmi_is_one_of(client->type, ours);
    bool leaving = typed && rtmi_is_one_of(client->type, ends);
    bool reply = !typed || !strcmp(client->type, "pong");
    if (!leaving && !reply && !rtmi_anyone_hears(client, client->type, length)) return;
    if (!rtmi_document_open(&client->event_document, text, size, &data)) {
        rtmi_report(client, rtmi_fail(&client->why, RTM_E_JSON,
                                      "Slack sent an event that is %s",
                                      client->event_document.wrong));
        return;
    }
    rtm_event event = { .type = typed ? client->type : "Unknown", .data = data, .reason = "",
                        .detail = "" };
    if (reply && rtmi_on_reply(client, &event, typed)) return;
    if (leaving) client->drop = true;
    rtmi_dispatch(client, &event, !strcmp(event.type, "error"));
    if (client->event_document.failed)
        rtmi_report(client, rtmi_fail(&client->why, RTM_E_MEMORY,
                                      "no memory to look into an event"));
}

static void rtmi_on_close(rtm_client *client) {
    size_t size = client->ws.size > 2 ? client->ws.size - 2 : 0;
    client->close_code = client->ws.code;
    memcpy(client->close_reason, client->ws.control + 2, size);
    client->close_reason[size] = '\0';
    rtmi_redact(client->close_reason, false, client->why.secrets);
    rtmi_fail(&client->why, RTM_E_CLOSED, "Slack closed the session with code %d",
              client->close_code);
}

/* The Web API's answers ----------------------------------------------------------------------- */

/* Error codes that no retry mends: first those of the token, then those of the call. */
static const char *const rtmi_auth_codes[] = {
    "not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired",
    "not_allowed_token_type", "missing_scope", "no_permission", "user_removed_from_team",
    "team_disabled", "access_denied", "accesslimited", "ekm_access_denied",
    "enterprise_is_restricted", "team_access_not_granted", "two_factor_setup_required",
    "legacy_custom_bots_deprecated", "forbidden_team", NULL
};
static const char *const rtmi_call_codes[] = {
    "method_deprecated", "deprecated_endpoint", "unknown_method", "invalid_arg_name",
    "invalid_arguments", "invalid_array_arg", "invalid_charset", "invalid_form_data",
    "invalid_post_type", "missing_post_type", "missing_args", "insecure_request", NULL
};

static rtm_result rtmi_slack_error(rtm_client *client, const char *method, const char *code) {
    rtm_result result = RTM_E_SLACK;
    const char *advice = "";
    if (rtmi_is_one_of(code, rtmi_auth_codes)) result = RTM_E_AUTH;
    if (!strcmp(code, "ratelimited") || !strcmp(code, "rate_limited"))
        result = RTM_E_RATE_LIMITED;
    if (!strcmp(code, "legacy_custom_bots_deprecated"))
        advice = ": bots of this old kind are switched off; make an app, and set app_token for "
                 "Socket Mode";
    if (!strcmp(code, "not_allowed_token_type"))
        advice = ": a new-style app cannot use RTM; set app_token for Socket Mode";
    if (!strcmp(code, "invalid_auth") || !strcmp(code, "not_authed"))
        advice = ": check the token";
    return rtmi_fail(&client->why, result, "Slack refused %s: %s%s", method, code, advice);
}

/* What the program may see of an error code: stars where it holds a secret, else as it came. */
static void rtmi_star_code(const rtm_client *client, char code[RTMI_CODE]) {
    char starred[RTMI_CODE];
    memcpy(starred, code, RTMI_CODE);
    if (rtmi_redact(starred, false, client->why.secrets)) memcpy(code, starred, RTMI_CODE);
}

/* Judges a complete response: RTM_OK only for HTTP 200 with "ok":true. `code` receives the error
   code as it came: redaction must not decide what is retried. */
static rtm_result rtmi_judge(rtm_client *client, const rtmi_call *call, const char *method,
                             rtmi_document *document, char code[RTMI_CODE],
                             rtm_response *response) {
    const rtmi_http *http = &call->conn.http;
    const char *body = call->body.data ? call->body.data : "";
    size_t size = call->body.size;
    rtm_json root;
    bool valid = rtmi_document_open(document, body, size, &root) && rtmi_is_utf8(body, size);
    response->status = http->status;
    response->retry_after = http->retry_after > 0 ? http->retry_after : 0;
    if (valid) response->data = root;
    response->ok = rtm_json_bool(rtm_json_get(response->data, "ok"), false);
    memset(code, 0, RTMI_CODE);
    if (!response->ok &&
        rtm_json_string(rtm_json_get(response->data, "error"), code, RTMI_CODE) >= RTMI_CODE)
        rtmi_redact(code, true, client->why.secrets); /* cut; no code that is known is so long */
    response->error = code;
    rtmi_log(client, "%s: HTTP %d %s", method, http->status, code);
    if (http->status == 429)
        return rtmi_fail(&client->why, RTM_E_RATE_LIMITED,
                         "Slack limits the rate of %s: wait %d s", method,
                         http->retry_after < 0 ? RTMI_RATE_LIMIT_S : http->retry_after);
    if (*code) return rtmi_slack_error(client, method, code);
    if (http->status != 200)
        return rtmi_fail(&client->why, RTM_E_HTTP, "%s answered %s with HTTP status %d%s",
                         call->conn.peer.host, method, http->status,
                         http->status == 404 ? ": check base_url" : "");
    if (!valid)
        return rtmi_fail(&client->why, RTM_E_JSON, "%s answered %s with something that is %s",
                         call->conn.peer.host, method, document->wrong);
    if (!response->ok)
        return rtmi_fail(&client->why, RTM_E_SLACK, "the answer to %s is not \"ok\"", method);
    return RTM_OK;
}

/* Composes POST base_url/method with this form and begins it. */
static rtm_result rtmi_begin_api(rtm_client *client, rtmi_call *call, const char *method,
                                 const rtmi_buf *form, long long now) {
    rtmi_buf *out = &call->request, *path = &client->compose;
    rtmi_buf_clear(path);
    rtmi_buf_text(path, client->base_path, method);
    rtmi_buf_free(out);
    rtmi_write_request(out, "POST", path->data, path->size, &client->api, client->headers);
    if (path->failed || (form && form->failed)) out->failed = true;
    if (!rtmi_find_header(client->headers, "Authorization"))
        rtmi_buf_text(out, "Authorization: Bearer ", client->token, "\r\n");
    rtmi_write_header(out, client->headers, "Content-Type", "application/x-www-form-urlencoded");
    rtmi_write_header(out, client->headers, "Accept", "application/json");
    rtmi_buf_text(out, "Content-Length: ");
    rtmi_buf_number(out, form ? (long long)form->size : 0);
    rtmi_buf_text(out, "\r\n\r\n");
    if (form) rtmi_buf_add(out, form->data, form->size);
    call->limit = client->max_message;
    return rtmi_call_start(call, RTMI_HTTP_CALL, &client->api, now, now + client->timeout_ms);
}

/* States: entering --------------------------------------------------------------------------- */

static rtm_result rtmi_begin_calling(rtm_client *client) {
    const char *method = client->use_rtm_start ? "rtm.start" : "rtm.connect";
    client->retry_after = -1;
    return rtmi_begin_api(client, &client->session, method, NULL, client->now);
}

/* The upgrade request (RFC 6455 section 4.1) to the URL in the greeting. */
static rtm_result rtmi_begin_upgrading(rtm_client *client) {
    rtm_json value = rtm_json_get(client->greeting, "url");
    rtmi_buf *out = &client->session.request, key = { client->key, 0, sizeof client->key, false };
    unsigned char nonce[16];
    rtmi_peer peer;
    const char *path;
    size_t length = rtm_json_string(value, NULL, 0), path_length;
    rtmi_buf_clear(&client->compose);
    if (!rtmi_buf_reserve(&client->compose, length + 1)) return rtmi_out_of_memory(&client->why);
    char *url = client->compose.data;
    rtm_json_string(value, url, length + 1);
    if (strlen(url) != length || !rtmi_parse_url(url, &peer, &path, &path_length))
        return rtmi_fail(&client->why, RTM_E_SLACK, length
                         ? "the url in Slack's answer is not a URL" : "no url in Slack's answer");
    if (client->api.tls && !peer.tls)
        return rtmi_fail(&client->why, RTM_E_WEBSOCKET,
                         "a ws:// URL from an https API: not followed, it must be wss://");
    if (RTM_RANDOM(nonce, sizeof nonce)) return rtmi_no_random(&client->why);
    rtmi_base64(&key, nonce, sizeof nonce);
    client->key[24] = '\0';
    rtmi_buf_free(out);
    rtmi_write_request(out, "GET", path, path_length, &peer, client->headers);
    rtmi_buf_text(out, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
                  client->key, "\r\n\r\n");
    return rtmi_call_start(&client->session, RTMI_HTTP_UPGRADE, &peer, client->now,
                           client->now + client->timeout_ms);
}

static void rtmi_enter_open(rtm_client *client) {
    rtm_event event = { .type = "open", .data = client->greeting, .reason = "", .detail = "" };
    client->opened_at = client->now;
    client->close_code = RTMI_CLOSE_ABNORMAL;
    client->close_reason[0] = '\0';
    rtmi_ws_start(&client->ws, client->max_message);
    rtmi_dispatch(client, &event, false);
    rtmi_buf_free(&client->session.body);
    client->session.conn.heard = true;
    client->now = RTM_NOW_MS();
}

/* How long until the next attempt, in ms. */
static int rtmi_backoff(rtm_client *client, bool lasted) {
    uint32_t random = 0;
    int wait = 0, asked = client->retry_after;
    if (lasted) {
        client->failures = 0;
    } else {
        if (RTM_RANDOM(&random, sizeof random)) random = 0;
        if (client->failures < 16) client->failures++; /* 2^9 s is beyond the cap already */
        wait = (1000 << client->failures) + (int)(random % 1000);
        if (wait > RTMI_BACKOFF_S * 1000) wait = RTMI_BACKOFF_S * 1000;
    }
    if (asked < 0 && client->cause == RTM_E_RATE_LIMITED) asked = RTMI_RATE_LIMIT_S;
    return asked * 1000 > wait ? asked * 1000 : wait;
}

/* A session or an attempt has ended: everything that is to be told of it, in this order. */
static void rtmi_tell_end(rtm_client *client, bool was_open) {
    rtm_result cause = client->cause;
    if (cause != RTM_OK && !client->stop) rtmi_report(client, cause);
    for (size_t i = 0; i < client->unanswered_count; i++) {
        int id = client->unanswered[i];
        rtmi_fail(&client->why, RTM_E_UNACKNOWLEDGED,
                  "message %d was not answered before the session ended", id);
        rtmi_dispatch_error(client, RTM_E_UNACKNOWLEDGED, id, rtmi_json_none);
    }
    client->unanswered_count = 0;
    if (!was_open) return;
    rtm_event event = { .type = "close", .result = cause, .code = client->close_code,
                        .reason = client->close_reason, .detail = "" };
    rtmi_dispatch(client, &event, true);
}

static void rtmi_enter_end(rtm_client *client, rtmi_state from) {
    bool was_open = from == RTMI_OPEN || from == RTMI_CLOSING;
    bool lasted = was_open && client->now - client->opened_at >= RTMI_LASTED_MS;
    rtmi_why why = client->why;
    rtmi_conn_shutdown(&client->session.conn);
    rtmi_buf_free(&client->session.body);
    client->drop = false;
    client->ended++;
    if (client->state == RTMI_WAITING) {
        int wait = rtmi_backoff(client, lasted);
        client->deadline = client->now + wait;
        rtmi_log(client, "next attempt in %d ms", wait);
    }
    rtmi_tell_end(client, was_open);
    client->why = why; /* what rtm_poll returns is what rtm_error_detail explains */
}

/* The one place that writes the state: its deadline, what it begins with, what is told of it. */
static void rtmi_enter(rtm_client *client, rtmi_state next) {
    static const char *const name[] = {
#define RTMI_NAME(NAME) #NAME,
        RTMI_STATES(RTMI_NAME)
#undef RTMI_NAME
    };
    rtmi_state from = client->state;
    rtmi_log(client, "%s -> %s", name[from], name[next]);
    client->state = next;
    client->now = RTM_NOW_MS();
    client->deadline = client->now + client->timeout_ms;
    switch (next) {
    case RTMI_CALLING: client->begun = rtmi_begin_calling(client); break;
    case RTMI_UPGRADING: client->begun = rtmi_begin_upgrading(client); break;
    case RTMI_OPEN: rtmi_enter_open(client); break;
    case RTMI_CLOSING:
        client->deadline = client->now + RTMI_CLOSING_MS;
        rtmi_send_close(client, RTMI_CLOSE_NORMAL);
        break;
    default: rtmi_enter_end(client, from); break;
    }
}

/* States: running, in the order of the table -------------------------------------------------- */

/* The session or attempt is over: what comes next? */
static rtmi_state rtmi_over(rtm_client *client, rtm_result cause) {
    if (client->state == RTMI_CLOSING) cause = RTM_OK; /* however it ends, it was asked for */
    client->cause = cause;
    client->result = client->stop ? RTM_E_STOPPED : cause == RTM_OK ? RTM_E_CLOSED : cause;
    bool final = client->stop || client->no_auto_reconnect || cause == RTM_E_AUTH;
    return final ? RTMI_FINISHED : RTMI_WAITING;
}

/* One more step of the exchange that the state began; RTM_E_AGAIN until it is complete. */
static rtm_result rtmi_exchange(rtm_client *client, const char *what) {
    rtm_result result = client->begun;
    if (result == RTM_OK) result = rtmi_call_step(&client->session, client->now);
    if (result != RTM_E_AGAIN || client->now < client->deadline) return result;
    return rtmi_fail(&client->why, RTM_E_TIMEOUT, "%s took longer than %lld ms", what,
                     client->timeout_ms);
}

/* The answer to the call: RTM_E_AGAIN when another method is to be asked instead. */
static rtm_result rtmi_judge_greeting(rtm_client *client) {
    char code[RTMI_CODE] = "";
    rtm_response response = { .error = "" };
    const char *method = client->use_rtm_start ? "rtm.start" : "rtm.connect";
    rtm_result result = rtmi_judge(client, &client->session, method, &client->event_document, code,
                                   &response);
    client->retry_after = client->session.conn.http.retry_after;
    client->greeting = response.data;
    if (client->use_rtm_start && !strcmp(code, "method_deprecated")) {
        client->use_rtm_start = false;
        client->deadline = client->now + client->timeout_ms;
        client->begun = rtmi_begin_calling(client);
        return RTM_E_AGAIN;
    }
    /* In the call that opens a session there is nothing to mend by asking again. */
    if (result == RTM_E_SLACK && rtmi_is_one_of(code, rtmi_call_codes)) return RTM_E_AUTH;
    return result;
}

static rtmi_state rtmi_state_calling(rtm_client *client) {
    rtm_result result;
    do {
        result = rtmi_exchange(client, "asking Slack for a URL");
        if (result == RTM_E_AGAIN) return RTMI_CALLING;
        if (result == RTM_OK) result = rtmi_judge_greeting(client);
    } while (result == RTM_E_AGAIN);
    return result == RTM_OK ? RTMI_UPGRADING : rtmi_over(client, result);
}

static rtmi_state rtmi_state_upgrading(rtm_client *client) {
    const rtmi_http *http = &client->session.conn.http;
    rtm_result result = rtmi_exchange(client, "opening the WebSocket");
    if (result == RTM_E_AGAIN) return RTMI_UPGRADING;
    if (result != RTM_OK) return rtmi_over(client, result);
    client->retry_after = http->retry_after;
    const char *wrong = rtmi_ws_check_upgrade(http, client->key);
    if (http->status != 101)
        result = rtmi_fail(&client->why, http->status == 429 ? RTM_E_RATE_LIMITED
                                                             : RTM_E_WEBSOCKET,
                           "the WebSocket was refused with HTTP status %d", http->status);
    else if (wrong)
        result = rtmi_fail(&client->why, RTM_E_WEBSOCKET,
                           "bad answer to the WebSocket handshake: %s", wrong);
    return result == RTM_OK ? RTMI_OPEN : rtmi_over(client, result);
}

/* What the parser found. Another state than the present one ends the session. */
static rtmi_state rtmi_on_frame(rtm_client *client, rtmi_ws_what what) {
    rtmi_ws *ws = &client->ws;
    if (what == RTMI_WS_BAD) {
        client->close_code = ws->code;
        rtmi_send_close(client, ws->code);
        return rtmi_over(client, rtmi_fail(&client->why, RTM_E_WEBSOCKET,
                                           "Slack broke the WebSocket protocol: %s", ws->error));
    }
    if (what == RTMI_WS_SKIPPED) {
        rtmi_report(client, rtmi_fail(&client->why, ws->skip, "a message was skipped: %s",
                                      ws->skip == RTM_E_TOO_BIG ? "longer than max_message"
                                                                : "out of memory"));
        return client->state;
    }
    switch (ws->opcode) {
    case RTMI_WS_TEXT: rtmi_on_text(client, ws->data, ws->size); break;
    case RTMI_WS_PING: rtmi_send_frame(client, RTMI_WS_PONG, ws->control, ws->size); break;
    case RTMI_WS_BINARY:
        rtmi_report(client, rtmi_fail(&client->why, RTM_E_WEBSOCKET,
                                      "Slack sent a binary message, which was skipped"));
        break;
    case RTMI_WS_CLOSE:
        rtmi_on_close(client);
        rtmi_send_close(client, client->close_code);
        return rtmi_over(client, RTM_OK);
    default: break; /* PONG: that bytes came is all it says */
    }
    return client->state;
}

/* Takes in all frames that are here, a budget's worth at most: a flood must not keep the caller
   from his loop. Parses where the bytes lie, and gives them back to the connection afterwards. */
static rtmi_state rtmi_take_in(rtm_client *client) {
    rtmi_conn *conn = &client->session.conn;
    rtmi_state here = client->state, next = here;
    size_t budget = RTMI_BUDGET, size, used;
    const char *data;
    while (budget && next == here && (here == RTMI_CLOSING || !client->stop)) {
        rtm_result result = rtmi_conn_read(conn, &data, &size);
        if (result == RTM_E_AGAIN) return here;
        if (result != RTM_OK) return rtmi_over(client, result);
        size_t at = 0;
        while (at < size && next == here && (here == RTMI_CLOSING || !client->stop)) {
            rtmi_ws_what what = rtmi_ws_parse(&client->ws, data + at, size - at, &used);
            at += used;
            if (what != RTMI_WS_MORE) next = rtmi_on_frame(client, what);
        }
        rtmi_conn_consume(conn, at);
        budget -= at < budget ? at : budget;
    }
    return next;
}

static rtmi_state rtmi_state_open(rtm_client *client) {
    int before = client->dispatched;
    rtm_result sent = rtmi_conn_flush(&client->session.conn);
    bool broken = sent != RTM_OK && sent != RTM_E_AGAIN;
    if (broken) client->session.conn.drained = false; /* what came before the end is still there */
    rtmi_state next = rtmi_take_in(client);
    if (next != RTMI_OPEN || client->stop) return next;
    if (broken) return rtmi_over(client, sent);
    if (client->drop) {
        rtmi_send_close(client, RTMI_CLOSE_NORMAL);
        client->close_code = RTMI_CLOSE_NORMAL;
        rtmi_fail(&client->why, RTM_E_CLOSED, "the session was dropped, to begin another");
        return rtmi_over(client, RTM_OK);
    }
    if (client->dispatched != before) client->now = RTM_NOW_MS(); /* callbacks take time */
    if (client->session.conn.heard) {
        client->session.conn.heard = client->pinged = false;
        client->silent_at = client->now + client->ping_interval_ms;
    }
    if (client->now >= client->silent_at) {
        if (client->pinged)
            return rtmi_over(client, rtmi_fail(&client->why, RTM_E_TIMEOUT,
                                               "no sign of life from Slack, nor answer to a PING"));
        client->pinged = true;
        client->silent_at = client->now + (client->ping_interval_ms + 1) / 2;
        rtmi_send_frame(client, RTMI_WS_PING, NULL, 0);
    }
    client->deadline = client->silent_at;
    return RTMI_OPEN;
}

/* Our CLOSE is out: wait for the answer, for the end of the connection, or for a second. What comes
   before it counts: it may answer a message of ours. */
static rtmi_state rtmi_state_closing(rtm_client *client) {
    rtmi_conn_flush(&client->session.conn);
    rtmi_state next = rtmi_take_in(client);
    if (next != RTMI_CLOSING || client->now < client->deadline) return next;
    return rtmi_over(client, RTM_OK);
}

/* Does what the state can do now, and says which state is next. */
static rtmi_state rtmi_run_state(rtm_client *client) {
    switch (client->state) {
    case RTMI_OPEN: return client->stop ? RTMI_CLOSING : rtmi_state_open(client);
    case RTMI_CLOSING: return rtmi_state_closing(client);
    case RTMI_FINISHED: return RTMI_FINISHED;
    default: break;
    }
    if (client->stop) return rtmi_over(client, RTM_OK);
    switch (client->state) {
    case RTMI_CALLING: return rtmi_state_calling(client);
    case RTMI_UPGRADING: return rtmi_state_upgrading(client);
    case RTMI_WAITING: return client->now < client->deadline ? RTMI_WAITING : RTMI_CALLING;
    default: return RTMI_CALLING; /* IDLE */
    }
}

/* Runs states until there is nothing more to do without waiting. */
static void rtmi_step(rtm_client *client) {
    client->now = RTM_NOW_MS();
    for (;;) {
        sig_atomic_t stop = client->stop;
        rtmi_state next = rtmi_run_state(client);
        if (next != client->state) rtmi_enter(client, next);
        else if (stop == client->stop) return; /* a callback may just have stopped it */
    }
}

/* ------------------------------------------------------------------------------------------------
 * >>config  what the user gave, checked and copied
 * --------------------------------------------------------------------------------------------- */

/* Why rtm_create refused, for rtm_error_detail(NULL). Per thread: it belongs to no client. */
static RTMI_THREAD char rtmi_create_error[sizeof ((rtmi_why *)0)->text];

static rtm_result rtmi_refuse(rtm_client *client, const char *what, const char *why) {
    return rtmi_fail(&client->why, RTM_E_ARGUMENT, "%s: %s", what, why);
}

/* The first of these variables that is not empty: its value, and its name. */
static const char *rtmi_first_env(const char *const *names, const char **name) {
    for (; *names; names++) {
        const char *value = getenv(*name = *names);
        if (value && *value) return value;
    }
    return NULL;
}

/* Skips white space at the beginning, and returns the length without that at the end. */
static size_t rtmi_strip(const char **text) {
    *text += strspn(*text, " \t\r\n\v\f");
    size_t length = strlen(*text);
    while (length && strchr(" \t\r\n\v\f", (*text)[length - 1])) length--;
    return length;
}

/* Keeps something that must not be read in a log line or an error text. Of less than four bytes it
   is no secret, and would blot out words. The last NUL ends the list, until the next comes. */
static void rtmi_add_secret(rtm_client *client, const char *text, size_t length) {
    rtmi_buf *secrets = &client->secrets;
    if (length < 4 || !rtmi_buf_reserve(secrets, length + 2)) return;
    rtmi_buf_add(secrets, text, length);
    rtmi_buf_add(secrets, "\0", 2);
    secrets->size--;
    client->why.secrets = secrets->data;
}

static rtm_result rtmi_config_token(rtm_client *client, const rtm_config *config) {
    const char *text = config->token ? config->token : "";
    size_t length = rtmi_strip(&text);
    if (!(client->token = rtmi_copy(text, length))) return rtmi_out_of_memory(&client->why);
    rtmi_add_secret(client, text, length);
    if (length && rtmi_is_visible(client->token)) return RTM_OK;
    return rtmi_refuse(client, "token", !config->token ? "there is no token: set it"
                                        : !length      ? "it is empty"
                                                       : "it has a character that no token has");
}

static rtm_result rtmi_config_base_url(rtm_client *client, const rtm_config *config) {
    const char *url = config->base_url ? config->base_url : "https://slack.com/api/", *path;
    size_t length;
    if (!rtmi_parse_url(url, &client->api, &path, &length) || rtmi_lower(*url) != 'h' ||
        memchr(path, '?', length))
        return rtmi_refuse(client, "base_url", "not of the form https://host[:port]/path/");
    bool slash = length && path[length - 1] == '/';
    if (!(client->base_path = rtmi_copy(path, length + !slash)))
        return rtmi_out_of_memory(&client->why);
    client->base_path[slash ? length - 1 : length] = '/';
    return RTM_OK;
}

/* Fields that frame a message or drive the handshake: a second one would break both. */
static const char *const rtmi_own_headers[] = {
    "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "TE", "Expect",
    "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol", NULL
};

/* Whether a header is one to keep secret: its name says so, or its value does. */
static bool rtmi_is_secret_header(const char *header, size_t name_length) {
    static const char *const words[] = { "token", "key", "secret", "password", "auth", NULL };
    if (rtmi_same_word(header, name_length, "User-Agent")) return false;
    if (rtmi_same_word(header, name_length, "Cookie")) return true;
    for (size_t left = strlen(header); left; left--, header++)
        for (const char *const *word = words; *word; word++)
            if (left >= strlen(*word) && rtmi_same_word(header, strlen(*word), *word)) return true;
    return false;
}

/* Whether a line "Name: value" can stand in a request: NULL, or why not. */
static const char *rtmi_header_error(const char *header, size_t name_length) {
    if (!header[name_length] || !name_length) return "not of the form \"Name: value\"";
    if (!rtmi_is_token(header, name_length)) return "a character that no header's name has";
    for (const char *p = header + name_length; *p; p++)
        if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
            return "a line break or a control character in it";
    for (const char *const *own = rtmi_own_headers; *own; own++)
        if (rtmi_same_word(header, name_length, *own)) return "one that rtm.h must set itself";
    return rtmi_same_word(header, name_length, "Proxy-Authorization") /* Slack would get it */
               ? "Proxy-Authorization: set it in the proxy's URL" : NULL;
}

/* Keeps a line of a header. If its value is a secret, so are the parts of that, such as the token
   behind "Bearer" or a cookie behind its name. */
static rtm_result rtmi_config_header(rtm_client *client, rtmi_buf *lines, const char *header) {
    static const char between[] = " \t;,=";
    size_t length = strcspn(header, ":");
    const char *wrong = rtmi_header_error(header, length), *value = header + length + 1;
    if (wrong) return rtmi_refuse(client, "header", wrong);
    rtmi_buf_text(lines, header, "\r\n");
    if (!rtmi_is_secret_header(header, length)) return RTM_OK;
    length = rtmi_strip(&value);
    rtmi_add_secret(client, value, length);
    for (; *value; value += length) {
        value += strspn(value, between);
        length = strcspn(value, between);
        if (length >= 8) rtmi_add_secret(client, value, length);
    }
    return RTM_OK;
}

static rtm_result rtmi_config_headers(rtm_client *client, const rtm_config *config) {
    rtmi_buf lines = { 0 };
    rtm_result result = RTM_OK;
    for (const char *const *h = config->headers; h && *h && result == RTM_OK; h++)
        result = rtmi_config_header(client, &lines, *h);
    if (lines.size && !lines.failed) client->headers = rtmi_copy(lines.data, lines.size);
    if (lines.failed || (lines.size && !client->headers))
        result = rtmi_out_of_memory(&client->why);
    rtmi_buf_free(&lines);
    return result;
}

static bool rtmi_copy_option(char **to, const char *text) {
    return !text || (*to = rtmi_copy(text, strlen(text))) != NULL;
}

/* Percent-decodes user information; false when something is left that no credential has. */
static bool rtmi_percent_decode(rtmi_buf *out, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '%') {
            if (length - i < 3 || rtmi_hex(text[i + 1]) < 0 || rtmi_hex(text[i + 2]) < 0)
                return false;
            c = (char)(rtmi_hex(text[i + 1]) << 4 | rtmi_hex(text[i + 2]));
            i += 2;
        }
        if ((unsigned char)c < ' ' || c == 0x7f) return false;
        rtmi_buf_add(out, &c, 1);
    }
    return true;
}

/* user[:password] to the value of Proxy-Authorization; `from`: where they stand. */
static rtm_result rtmi_config_credentials(rtm_client *client, const char *from, const char *text,
                                          size_t length) {
    rtmi_buf user = { 0 }, value = { 0 };
    bool good = rtmi_percent_decode(&user, text, length);
    if (!memchr(text, ':', length)) rtmi_buf_add(&user, ":", 1);
    if (good && !user.failed) {
        const char *colon = (const char *)memchr(user.data, ':', user.size) + 1;
        rtmi_add_secret(client, colon, (size_t)(user.data + user.size - colon));
        rtmi_base64(&value, user.data, user.size);
        rtmi_add_secret(client, value.data, value.size);
        if (!value.failed) client->network.proxy_auth = rtmi_copy(value.data, value.size);
    }
    rtmi_buf_free(&user);
    rtmi_buf_free(&value);
    if (!good) return rtmi_refuse(client, from, "the proxy's credentials are not well encoded");
    return client->network.proxy_auth ? RTM_OK : rtmi_out_of_memory(&client->why);
}

/* http://[user[:password]@]host[:port][/] */
static rtm_result rtmi_config_proxy(rtm_client *client, const rtm_config *config) {
    static const char *const names[] = { "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
                                         NULL };
    static const char *const exceptions[] = { "NO_PROXY", "no_proxy", NULL };
    const char *from = "proxy", *ignored, *at = NULL;
    const char *url = config->proxy ? config->proxy : rtmi_first_env(names, &from);
    const char *except = config->proxy ? NULL : rtmi_first_env(exceptions, &ignored);
    if (!url || !*url) return RTM_OK;
    if (!rtmi_is_visible(url))
        return rtmi_refuse(client, from, "the proxy's URL has a character that is not allowed");
    const char *scheme_end = strstr(url, "://");
    if (scheme_end && !rtmi_same_word(url, (size_t)(scheme_end - url), "http"))
        return rtmi_fail(&client->why, RTM_E_UNSUPPORTED, "%s: only http:// proxies are supported",
                         from);
    if (scheme_end) url = scheme_end + 3;
    size_t length = strcspn(url, "/?#");
    for (const char *p = url; p < url + length; p++)
        if (*p == '@') at = p;
    const char *host = at ? at + 1 : url;
    if (at) {
        rtm_result result = rtmi_config_credentials(client, from, url, (size_t)(at - url));
        if (result != RTM_OK) return result;
    }
    if ((url[length] && strcmp(url + length, "/") != 0) ||
        !rtmi_parse_authority(host, length - (size_t)(host - url), &client->network.proxy, 80))
        return rtmi_refuse(client, from, "the proxy is not of the form "
                           "http://user:password@host:port (in the password, write %2F for /)");
    return rtmi_copy_option(&client->network.no_proxy, except) ? RTM_OK
                                                               : rtmi_out_of_memory(&client->why);
}

static rtm_result rtmi_config_numbers(rtm_client *client, const rtm_config *config) {
    static const char *const names[] = { "rtm.connect", "rtm_connect", "rtm.start", "rtm_start" };
    size_t method = 0;
    while (config->connect_method && method < 4 && strcmp(config->connect_method, names[method]))
        method++;
    client->use_rtm_start = method >= 2;
    const char *wrong =
        method == 4 ? "connect_method: neither rtm.connect nor rtm.start"
        : config->timeout_ms < 0 ? "timeout_ms: it is negative"
        : config->ping_interval_ms < -1 ? "ping_interval_ms: it is negative, and not -1"
        : config->max_message > RTMI_MAX_MESSAGE ? "max_message: it is more than 1 GiB"
        : config->max_message && config->max_message < RTMI_MIN_MESSAGE
            ? "max_message: it is less than 4 KiB" : NULL;
    if (wrong) return rtmi_fail(&client->why, RTM_E_ARGUMENT, "%s", wrong);
    client->timeout_ms = config->timeout_ms ? config->timeout_ms : 30000;
    client->ping_interval_ms = config->ping_interval_ms ? config->ping_interval_ms : 30000;
    if (config->ping_interval_ms < 0) client->ping_interval_ms = LLONG_MAX / 4; /* never */
    client->max_message = config->max_message ? config->max_message : 1048576;
    client->no_auto_reconnect = config->no_auto_reconnect;
    client->no_signals = config->no_signals;
    client->log = config->log;
    client->log_user = config->log_user;
    client->network.tls_setup = config->tls_setup;
    client->network.tls_user = config->tls_user;
    return RTM_OK;
}

/* The CA bundle that was asked for, if it has a certificate: a wrong name is to be seen at once. */
static rtm_result rtmi_config_trust(rtm_client *client, const rtm_config *config) {
    static const char *const bundle[] = { "SSL_CERT_FILE", NULL };
    rtmi_network *network = &client->network;
    rtmi_trust *trust;
    const char *from = "ca_file", *file = config->ca_pem ? NULL : config->ca_file;
    if (!file && !config->ca_pem && !(file = rtmi_first_env(bundle, &from))) return RTM_OK;
    if (!rtmi_copy_option(&network->ca_file, file) ||
        !rtmi_copy_option(&network->ca_pem, config->ca_pem) ||
        !(trust = rtmi_alloc(sizeof *trust))) return rtmi_out_of_memory(&client->why);
    trust->ca_file = network->ca_file;
    trust->ca_pem = network->ca_pem;
    trust->first_only = true;
    rtm_result result = rtmi_trust_load(trust) ? RTM_OK : rtmi_out_of_memory(&client->why);
    if (result == RTM_OK && trust->error)
        result = rtmi_fail(&client->why, RTM_E_ARGUMENT, "%s%s%s: %s", file ? from : "ca_pem",
                           file ? " " : "", file ? file : "", trust->error);
    rtmi_trust_free_anchors(trust);
    rtmi_free(trust, 0);
    return result;
}

static rtm_result rtmi_config_options(rtm_client *client, const rtm_config *config) {
    for (const rtm_handler *h = config->handlers; h && h->type; h++) {
        rtm_result result = rtm_on(client, h->type, h->callback, h->user);
        if (result == RTM_E_ARGUMENT)
            return rtmi_refuse(client, "handlers", "one has no callback, or a bad type");
        if (result != RTM_OK) return result;
    }
    return config->app_token ? rtmi_fail(&client->why, RTM_E_UNSUPPORTED,
                                         "app_token: Socket Mode is not supported yet") : RTM_OK;
}

/* Checks and copies the configuration; client->why has a sentence on what is wrong. */
static rtm_result rtmi_configure(rtm_client *client, const rtm_config *config) {
    static rtm_result (*const part[])(rtm_client *, const rtm_config *) = {
        rtmi_config_token, rtmi_config_numbers, rtmi_config_base_url, rtmi_config_headers,
        rtmi_config_proxy, rtmi_config_trust, rtmi_config_options
    };
    rtm_result result = RTM_OK;
    for (size_t i = 0; result == RTM_OK && i < sizeof part / sizeof *part; i++)
        result = part[i](client, config);
    return result == RTM_OK && client->secrets.failed ? rtmi_out_of_memory(&client->why) : result;
}

/* ------------------------------------------------------------------------------------------------
 * >>public  the functions declared above, in their order
 * --------------------------------------------------------------------------------------------- */

rtm_result rtm_create(const rtm_config *config, rtm_client **client) {
    rtm_result result = RTM_E_ARGUMENT;
    const char *wrong = "no config, or nowhere to put the client";
    if (client) *client = NULL;
    rtm_client *made = config && client ? rtmi_alloc(sizeof *made) : NULL;
    if (made) {
        made->event_document.why = made->web_document.why = &made->why;
        rtmi_conn_init(&made->session.conn, &made->network, &made->why);
        rtmi_conn_init(&made->web.conn, &made->network, &made->why);
        result = rtmi_configure(made, config);
        wrong = made->why.text;
    } else if (config && client) {
        result = RTM_E_MEMORY;
        wrong = "out of memory";
    }
    snprintf(rtmi_create_error, sizeof rtmi_create_error, "%s", wrong);
    if (result == RTM_OK) *client = made;
    else rtm_destroy(made);
    return result;
}

void rtm_destroy(rtm_client *client) {
    if (!client) return;
    RTM_ASSERT(!client->polling); /* not in a callback */
    if (client->polling) return;
    if (client->state == RTMI_OPEN) rtmi_send_close(client, RTMI_CLOSE_NORMAL);
    rtmi_call_free(&client->session);
    rtmi_call_free(&client->web);
    rtmi_buf_free(&client->ws.buffer);
    rtmi_buf_free(&client->compose);
    rtmi_document_free(&client->event_document);
    rtmi_document_free(&client->web_document);
    for (size_t i = 0; i < client->handler_count; i++) RTM_FREE(client->handlers[i].type);
    rtmi_free(client->handlers, 0);
    rtmi_free(client->unanswered, 0);
    rtmi_buf_free(&client->secrets);
    const rtmi_network *network = &client->network;
    char *strings[] = { client->token, client->headers, client->base_path, network->ca_file,
                        network->ca_pem, network->proxy_auth, network->no_proxy };
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (strings[i]) rtmi_free(strings[i], strlen(strings[i]));
    rtmi_free(client, sizeof *client);
}

/* Waits for the socket, at most so long: false when a signal came in between. Long waits are cut
   into seconds, so that an rtm_stop which just missed poll() is seen within one. */
static bool rtmi_wait(rtm_client *client, rtmi_conn *conn, int timeout_ms) {
    struct pollfd pollfd = { conn->fd, rtmi_conn_events(conn), 0 };
    for (;;) {
        int slice = timeout_ms < 1000 ? timeout_ms : 1000;
        int ready = poll(&pollfd, conn->fd >= 0 ? 1 : 0, slice);
        if (ready < 0) return false;
        if (ready > 0) conn->drained = false;
        timeout_ms -= slice;
        if (ready > 0 || timeout_ms <= 0 || client->stop) return true;
    }
}

int rtm_poll(rtm_client *client, int timeout_ms) {
    if (!client) return RTM_E_ARGUMENT;
    if (client->polling) return RTM_E_BUSY;
    client->polling = true;
    client->dispatched = 0;
    /* The caller's own poll() may have told of bytes; and silence is judged after a look. */
    if (timeout_ms == 0 || rtm_timeout_ms(client) == 0) client->session.conn.drained = false;
    rtmi_step(client);
    int due = rtm_timeout_ms(client), wait = timeout_ms < 0 ? INT_MAX : timeout_ms;
    if (due >= 0 && due < wait) wait = due;
    if (!client->dispatched && wait > 0 && client->state != RTMI_FINISHED &&
        rtmi_wait(client, &client->session.conn, wait))
        rtmi_step(client);
    client->polling = false;
    return client->state == RTMI_FINISHED ? (int)client->result : client->dispatched;
}

int rtm_fd(const rtm_client *client) {
    return client ? client->session.conn.fd : -1;
}

short rtm_poll_events(const rtm_client *client) {
    return client ? rtmi_conn_events(&client->session.conn) : 0;
}

int rtm_timeout_ms(const rtm_client *client) {
    if (!client || client->state == RTMI_FINISHED) return -1;
    if (client->state == RTMI_IDLE || (client->stop && client->state != RTMI_CLOSING) ||
        (client->drop && client->state == RTMI_OPEN)) return 0;
    long long due = rtmi_conn_due(&client->session.conn, client->deadline);
    due -= RTM_NOW_MS();
    return due < 0 ? 0 : due > INT_MAX ? -1 : (int)due;
}

rtm_result rtm_connect(rtm_client *client) {
    if (!client) return RTM_E_ARGUMENT;
    if (client->polling) return RTM_E_BUSY;
    unsigned ended = client->ended + client->drop; /* the end that was asked for is no failure */
    while (!rtm_is_connected(client)) {
        int result = rtm_poll(client, -1);
        if (result < 0) return (rtm_result)result;
        if (!rtm_is_connected(client) && client->ended != ended)
            return client->cause == RTM_OK ? RTM_E_CLOSED : client->cause;
    }
    return RTM_OK;
}

/* Whom a signal stops. */
static rtm_client *volatile rtmi_running;

static void rtmi_on_signal(int number) {
    (void)number;
    rtm_stop(rtmi_running);
}

rtm_result rtm_run(rtm_client *client) {
    static const int numbers[] = { SIGHUP, SIGTERM, SIGINT };
    struct sigaction action, old[3];
    if (!client) return RTM_E_ARGUMENT;
    if (client->polling) return RTM_E_BUSY;
    rtm_client *outer = rtmi_running;
    int signals = client->no_signals ? 0 : 3, result;
    if (signals) rtmi_running = client;
    memset(&action, 0, sizeof action);
    action.sa_handler = rtmi_on_signal;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < signals; i++) sigaction(numbers[i], &action, &old[i]);
    while ((result = rtm_poll(client, -1)) >= 0) continue;
    for (int i = 0; i < signals; i++) sigaction(numbers[i], &old[i], NULL);
    if (signals) rtmi_running = outer;
    return result == RTM_E_STOPPED ? RTM_OK : (rtm_result)result;
}

void rtm_stop(rtm_client *client) {
    if (client) client->stop = 1;
}

rtm_result rtm_disconnect(rtm_client *client) {
    if (!client) return RTM_E_ARGUMENT;
    if (client->state != RTMI_OPEN || client->stop) return rtmi_not_connected(client);
    client->drop = true;
    return RTM_OK;
}

bool rtm_is_connected(const rtm_client *client) {
    return client && client->state == RTMI_OPEN && !client->drop && !client->stop;
}

/* What these three were registered as; NULL when they were not. */
static rtmi_handler *rtmi_find_handler(const rtm_client *client, const char *type,
                                       rtm_callback callback, const void *user) {
    for (size_t i = 0; i < client->handler_count; i++) {
        rtmi_handler *handler = &client->handlers[i];
        if (handler->callback == callback && handler->user == user && !strcmp(handler->type, type))
            return handler;
    }
    return NULL;
}

rtm_result rtm_on(rtm_client *client, const char *type, rtm_callback callback, void *user) {
    if (!client) return RTM_E_ARGUMENT;
    if (!type || !*type || !callback)
        return rtmi_fail(&client->why, RTM_E_ARGUMENT, "rtm_on needs a type and a callback");
    const char *colons = strstr(type, "::");
    size_t length = colons ? (size_t)(colons - type) : strlen(type);
    if (length >= RTMI_TYPE)
        return rtmi_fail(&client->why, RTM_E_ARGUMENT, "an event type of 128 bytes or more");
    if (rtmi_find_handler(client, type, callback, user)) return RTM_OK;
    void *grown = rtmi_grow(client->handlers, client->handler_count, &client->handler_capacity,
                            sizeof *client->handlers);
    if (grown) client->handlers = grown;
    char *copy = grown ? rtmi_copy(type, strlen(type)) : NULL;
    if (!copy) return rtmi_out_of_memory(&client->why);
    client->handlers[client->handler_count++] = (rtmi_handler){
        .type = copy, .length = length, .subtype = colons ? copy + length + 2 : NULL,
        .callback = callback, .user = user
    };
    return RTM_OK;
}

rtm_result rtm_off(rtm_client *client, const char *type, rtm_callback callback, void *user) {
    if (!client) return RTM_E_ARGUMENT;
    rtmi_handler *handler = NULL;
    if (type && callback) handler = rtmi_find_handler(client, type, callback, user);
    if (!handler) return rtmi_fail(&client->why, RTM_E_ARGUMENT, "no such handler");
    handler->callback = NULL;
    client->handlers_removed = true;
    if (!client->polling) rtmi_sweep_handlers(client);
    return RTM_OK;
}

int rtm_send(rtm_client *client, const char *json) {
    if (!client) return RTM_E_ARGUMENT;
    if (!json) return rtmi_fail(&client->why, RTM_E_ARGUMENT, "there is nothing to send");
    if (!rtm_is_connected(client)) return rtmi_not_connected(client);
    size_t length = strlen(json);
    rtmi_document document = { 0 };
    rtm_json object;
    bool valid = rtmi_document_open(&document, json, length, &object) && rtmi_is_utf8(json, length);
    if (!valid || *object.text != '{')
        return rtmi_fail(&client->why, RTM_E_JSON, "what is to be sent is %s",
                         valid ? "not a JSON object" : document.wrong);
    object.size = (size_t)(json + length - object.text); /* white space behind it too: as it came */
    if (object.size > RTMI_MESSAGE_OUT) return rtmi_too_big(client, object.size);
    rtm_json type = rtm_json_get(object, "type"), id = rtm_json_get(object, "id");
    if (rtmi_json_again(object, type, "type") || rtmi_json_again(object, id, "id"))
        return rtmi_fail(&client->why, RTM_E_JSON,
                         "what is to be sent has two members \"id\" or \"type\"");
    long long number = id.size ? rtm_json_int(id, 0) : rtmi_next_id(client);
    if (number <= 0 || number > INT_MAX)
        return rtmi_fail(&client->why, RTM_E_JSON, "the message's id is not a positive int");
    rtmi_buf *out = &client->compose;
    rtmi_buf_clear(out);
    if (!id.size) {
        bool empty = document.values == 1;
        rtmi_buf_text(out, "{\"id\":");
        rtmi_buf_number(out, number);
        rtmi_buf_text(out, empty ? "" : ",");
    }
    rtmi_buf_add(out, object.text + !id.size, object.size - !id.size);
    return rtmi_send_composed(client, (int)number, rtm_json_equals(type, "message") ||
                                                       rtm_json_equals(type, "ping"));
}

int rtm_send_message(rtm_client *client, const char *channel, const char *text) {
    return rtmi_send_typed(client, "message", 2, channel, text);
}

int rtm_send_typing(rtm_client *client, const char *channel) {
    return rtmi_send_typed(client, "typing", 1, channel, NULL);
}

int rtm_send_ping(rtm_client *client) {
    return rtmi_send_typed(client, "ping", 0, NULL, NULL);
}

/* Steps a call until it is done, fails, or takes longer than timeout_ms. */
static rtm_result rtmi_call_finish(rtm_client *client, rtmi_call *call, const char *method) {
    long long now = RTM_NOW_MS(), deadline = now + client->timeout_ms;
    for (;;) {
        rtm_result result = rtmi_call_step(call, now);
        if (result != RTM_E_AGAIN) return result;
        if (client->stop)
            return rtmi_fail(&client->why, RTM_E_STOPPED, "stopped during %s", method);
        if ((now = RTM_NOW_MS()) >= deadline)
            return rtmi_fail(&client->why, RTM_E_TIMEOUT, "%s took longer than %lld ms", method,
                             client->timeout_ms);
        long long due = rtmi_conn_due(&call->conn, deadline);
        rtmi_wait(client, &call->conn, due > now ? (int)(due - now) : 0);
        now = RTM_NOW_MS();
    }
}

rtm_result rtm_call(rtm_client *client, rtm_response *response, const char *method, ...) {
    rtm_response ignored;
    rtmi_buf form = { 0 };
    va_list pairs;
    if (!response) response = &ignored;
    *response = (rtm_response){ .error = "" };
    if (!client) return RTM_E_ARGUMENT;
    if (!method || !rtmi_consists_of(method, strlen(method), "._"))
        return rtmi_fail(&client->why, RTM_E_ARGUMENT, "this is not the name of a method");
    if (client->stop) return rtmi_fail(&client->why, RTM_E_STOPPED, "the client was stopped");
    bool valid = true;
    va_start(pairs, method);
    for (const char *name; (name = va_arg(pairs, const char *)) != NULL;) {
        const char *value = va_arg(pairs, const char *);
        if (!value) continue; /* as Python leaves out None */
        valid = valid && rtmi_is_utf8(name, strlen(name)) && rtmi_is_utf8(value, strlen(value));
        rtmi_buf_text(&form, form.size ? "&" : "");
        rtmi_write_form(&form, name);
        rtmi_buf_text(&form, "=");
        rtmi_write_form(&form, value);
    }
    va_end(pairs);
    if (!valid) {
        rtmi_buf_free(&form);
        return rtmi_fail(&client->why, RTM_E_ARGUMENT, "a name or value is not UTF-8");
    }
    /* Only now: a value may have been a piece of the response before. */
    rtmi_document_clear(&client->web_document);
    rtm_result result = rtmi_begin_api(client, &client->web, method, &form, RTM_NOW_MS());
    rtmi_buf_free(&form);
    if (result == RTM_OK) result = rtmi_call_finish(client, &client->web, method);
    if (result == RTM_OK) {
        result = rtmi_judge(client, &client->web, method, &client->web_document, client->web_code,
                            response);
        rtmi_star_code(client, client->web_code);
        if (!client->web.conn.http.keep_alive) rtmi_conn_shutdown(&client->web.conn);
    } else {
        rtmi_conn_close(&client->web.conn);
    }
    return result;
}

/* The JSON accessors: on a value that rtmi_document_check has passed. */

static bool rtmi_json_is(rtm_json json, char first) {
    return json.size && *json.text == first;
}

/* A member of an object: of the outermost one, where the check has noted it. */
static rtm_json rtmi_json_find(rtm_json json, const char *key, size_t length) {
    rtmi_document *document = json.document;
    if (document && document->text == json.text) {
        for (unsigned i = 0; i < document->members; i++) {
            if (rtmi_json_says(json.text + document->member[i].name, key, length))
                return (rtm_json){ json.text + document->member[i].value,
                                   document->member[i].value_size, document };
        }
        if (document->members < RTMI_MEMBERS) return rtmi_json_none;
    }
    return rtmi_json_member(json, key, length);
}

rtm_json rtm_json_get(rtm_json json, const char *path) {
    while (path && json.size) {
        size_t length = strcspn(path, ".");
        rtm_json found = rtmi_json_none;
        if (rtmi_json_is(json, '{')) {
            found = rtmi_json_find(json, path, length);
        } else if (length && length < 10 && strspn(path, "0123456789") == length) {
            found = rtm_json_at(json, strtoul(path, NULL, 10));
        }
        json = found;
        path = path[length] ? path + length + 1 : NULL;
    }
    return path ? rtmi_json_none : json;
}

rtm_json rtm_json_at(rtm_json json, size_t index) {
    return rtmi_json_element(json, index, rtmi_json_is(json, '{'));
}

rtm_json rtm_json_name(rtm_json json, size_t index) {
    return rtmi_json_is(json, '{') ? rtmi_json_element(json, index, false) : rtmi_json_none;
}

size_t rtm_json_size(rtm_json json) {
    const rtmi_jsmntok_t *token = rtmi_json_token(json);
    return token ? (size_t)token->size : 0;
}

size_t rtm_json_string(rtm_json json, char *out, size_t size) {
    if (!out) size = 0;
    size_t length = 0, room = size ? size - 1 : 0, kept = 0;
    bool cut = false;
    if (rtmi_json_is(json, '"')) {
        const char *p = json.text + 1, *end = json.text + json.size - 1;
        while (p < end) {
            char decoded[4];
            const char *from = p;
            size_t n;
            if (*p == '\\') {
                n = rtmi_json_escape(&p, decoded);
                from = decoded;
            } else {
                const char *slash = memchr(p, '\\', (size_t)(end - p));
                n = (size_t)((slash ? slash : end) - p);
                p += n;
            }
            length += n;
            if (cut) continue;
            cut = n > room - kept;
            if (cut) { /* at a whole character */
                n = room - kept;
                while (n && ((unsigned char)from[n] & 0xc0) == 0x80) n--;
            }
            if (n) memcpy(out + kept, from, n);
            kept += n;
        }
    }
    if (size) out[kept] = '\0';
    return length;
}

bool rtm_json_equals(rtm_json json, const char *text) {
    return text && rtmi_json_is(json, '"') &&
           rtmi_json_says(json.text + 1, text, strlen(text));
}

long long rtm_json_int(rtm_json json, long long fallback) {
    char text[24]; /* of 20 or less: longer ones overflow */
    int before = errno;
    if (!json.size || json.size >= sizeof text) return fallback;
    memcpy(text, json.text, json.size);
    text[json.size] = '\0';
    if (text[strspn(text, "-0123456789")]) return fallback; /* white space, hex: not JSON's */
    errno = 0;
    long long number = strtoll(text, NULL, 10);
    bool fits = !errno;
    errno = before;
    return fits ? number : fallback;
}

bool rtm_json_bool(rtm_json json, bool fallback) {
    if (json.size == 4 && !memcmp(json.text, "true", 4)) return true;
    if (json.size == 5 && !memcmp(json.text, "false", 5)) return false;
    return fallback;
}

const char *rtm_json_raw(rtm_json json, size_t *size) {
    if (size) *size = json.size;
    return json.size ? json.text : NULL;
}

const char *rtm_strerror(rtm_result result) {
    static const char *const sentence[] = {
#define RTMI_TEXT(name, number, text) [-(number)] = (text),
        RTM_RESULTS(RTMI_TEXT)
#undef RTMI_TEXT
    };
    bool known = result <= 0 && (size_t)-(long)result < sizeof sentence / sizeof *sentence;
    return known ? sentence[-(long)result] : "unknown result";
}

const char *rtm_error_detail(const rtm_client *client) {
    return client ? client->why.text : rtmi_create_error;
}

const char *rtm_version(void) {
    return RTM_VERSION;
}

#endif /* RTM_IMPLEMENTATION */

/* ------------------------------------------------------------------------------------------------
 * HISTORY
 *   0.1.0  first version: RTM sessions over TLS, Web API calls, sandbox
 *
 * LICENSE (MIT)
 *   Copyright (c) 2026 the rtm.h authors
 *
 *   Permission is hereby granted, free of charge, to any person obtaining a copy of this software
 *   and associated documentation files (the "Software"), to deal in the Software without
 *   restriction, including without limitation the rights to use, copy, modify, merge, publish,
 *   distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
 *   Software is furnished to do so, subject to the following conditions:
 *
 *   The above copyright notice and this permission notice shall be included in all copies or
 *   substantial portions of the Software.
 *
 *   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING
 *   BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
 *   NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
 *   DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 *   OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
 * --------------------------------------------------------------------------------------------- */
