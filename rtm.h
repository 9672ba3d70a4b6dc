/* rtm.h 0.3.0 - Slack client library for C: Socket Mode, RTM, Web API             SPDX: MIT

   A single-header, non-blocking C99 library for Linux and other POSIX systems. It runs in your own
   event loop. TLS comes from BearSSL, JSON tokens from jsmn; it needs no other library.

   BUILD
     In exactly one C file:   #define RTM_IMPLEMENTATION
                              #include "rtm.h"
     In other files (or C++): #include "rtm.h"
     To compile and link:     cc bot.c -lbearssl     (GCC or Clang; glibc before 2.34: -pthread too)
     Dependencies:            BearSSL 0.6, jsmn.h 1.1 (a header)
                              Debian: apt install libbearssl-dev libjsmn-dev

   QUICK START
  #define RTM_IMPLEMENTATION
  #include "rtm.h"
  #include <stdio.h>
  #include <stdlib.h>

  static void on_message(rtm_client *bot, const rtm_event *event, void *user_data) {
      (void)user_data;
      char channel[32];
      if (!rtm_json_equals(rtm_json_get(event->data, "text"), "ping")) return;
      rtm_json id = rtm_json_get(event->data, "channel");
      if (rtm_json_string(id, channel, sizeof channel) >= sizeof channel) return; // truncated
      if (rtm_send_message(bot, channel, "pong") < 0)
          fprintf(stderr, "%s\n", rtm_error_detail(bot));
  }

  static void on_error(rtm_client *bot, const rtm_event *event, void *user_data) {
      (void)bot;
      (void)user_data;
      fprintf(stderr, "%s\n", event->detail); // temporary ones are retried
  }

  int main(void) {
      rtm_client *bot = NULL;
      rtm_config cfg = { .token = getenv("SLACK_API_TOKEN"), .app_token = getenv("SLACK_APP_TOKEN"),
                         .base_url = getenv("SLACK_API_URL") };
      rtm_result result = rtm_create(&cfg, &bot);
      if (result == RTM_OK) result = rtm_on(bot, "message", on_message, NULL);
      if (result == RTM_OK) result = rtm_on(bot, "error", on_error, NULL);
      if (result != RTM_OK) fprintf(stderr, "%s\n", rtm_error_detail(bot));
      while (result == RTM_OK && rtm_poll(bot, 1000) >= 0) {} // the rest of your loop
      rtm_destroy(bot);
      return 1;
  }
     With SLACK_API_TOKEN=xoxb-... in the environment the bot replies "pong" to every "ping", over
     RTM. If SLACK_APP_TOKEN=xapp-... is set too, it uses Socket Mode, as all new apps must.

   FIVE RULES
     1. Nothing happens unless rtm_poll is called: if your bot receives nothing, check that.
     2. A client is not thread-safe. Only rtm_stop and rtm_wake may be called from another thread.
     3. An event is valid until its callback returns: copy what you keep.
     4. rtm_call and rtm_perform block; rtm_call_async and rtm_submit do not.
     5. After a failure see rtm_error_detail. config.log receives a line for each step.

   FUNCTIONS (the comment above each declaration is its reference)
     rtm_create          creates a client             rtm_destroy         frees a client
     rtm_stop            ends the client              rtm_wake            wakes up rtm_poll
     rtm_reconnect       reconnects now               rtm_set_token       replaces the token
     rtm_is_connected    whether a session is open    rtm_get_state       the state of the session
     rtm_strerror        the meaning of a result      rtm_error_detail    the last error message
     rtm_version         the version of rtm.h
    Polling
     rtm_poll            waits, works, calls the callbacks
     rtm_run             calls rtm_poll until the client has finished
     rtm_connect         calls rtm_poll until a session is open
     rtm_fd              the descriptor to watch in your own event loop
     rtm_timeout_ms      the longest time to wait before the next rtm_poll
    Events
     rtm_on              registers a handler          rtm_off             removes a handler
    Messages and replies
     rtm_send_message    sends a message to a channel, in RTM and in Socket Mode
     rtm_send            sends a JSON object (RTM)    rtm_send_typing     typing indicator (RTM)
     rtm_send_ping       sends a "ping" (RTM)
     rtm_reply           replies to a slash command or an interaction (Socket Mode)
     rtm_defer           defers that reply            rtm_reply_deferred  sends a deferred reply
    Web API
     rtm_call_async      queues a call: method, name, value, ..., NULL
     rtm_call            makes such a call and blocks until the response
     rtm_submit          queues any request: JSON, upload, download, URL
     rtm_perform         makes any request and blocks until the response
     rtm_cancel          cancels a queued request
    JSON
     rtm_json_get        the value at a path          rtm_json_at         the element at an index
     rtm_json_key        a member's name              rtm_json_count      the number of elements
     rtm_json_string     decodes a string             rtm_json_equals     compares a string
     rtm_json_int        an integer                   rtm_json_bool       true or false
     rtm_json_raw        a value as received          rtm_json_quote      encodes a JSON string
     rtm_escape          escapes text for Slack's markup

   CHAPTERS OF THIS COMMENT
     CONVENTIONS, STATES, EVENTS, ERRORS, SECURITY, OPTIONS, SOURCE

   CONVENTIONS
     Results    RTM_OK is 0, errors are negative. Functions that return an id or a count return a
                value >= 0 on success and a negative rtm_result on failure.
     Arguments  With a NULL client, functions that return a result return RTM_E_ARGUMENT and void
                functions do nothing. Strings are NUL-terminated UTF-8. Their contents are
                validated; pointers are not.
     Lifetimes  rtm_create, rtm_on and rtm_submit copy what they are given. An event, and the
                rtm_response of a submitted request, are valid until the callback returns. The
                response of a blocking call is valid until the next blocking call of this client.
                rtm_json values point into events and responses and are never freed.
     Callbacks  are called in rtm_poll (also in rtm_run and rtm_connect), on the caller's thread, in
                the order of events; handlers of one event in the order of registration. Callbacks
                of requests are called in rtm_poll and in rtm_destroy.
                Reentrancy: in a callback every function may be called except rtm_poll, rtm_connect,
                rtm_run (they return RTM_E_BUSY) and rtm_destroy. config.log, config.tls_setup and
                a request's read_body and write_body may call only rtm_stop and rtm_wake.
     Threads    Thread-safety: use a client from one thread at a time. Different clients are
                independent. rtm_stop and rtm_wake are thread-safe and async-signal-safe.
                rtm_strerror, rtm_version, rtm_json_quote and rtm_escape are thread-safe.
     Signals    rtm.h never raises SIGPIPE. Only rtm_run installs signal handlers; no_signals
                prevents it. A signal ends the wait in rtm_poll early.
     DNS        Host names are resolved with getaddrinfo in helper threads, at most 4 at a time in a
                client. The threads call nothing else and block all signals. A lookup that the
                client has abandoned ends on its own, perhaps after rtm_destroy.
     Processes  After fork() only one of the two processes may use the client. The other process
                must not even call rtm_destroy: both would write to the same connection with the
                same keys. All descriptors are close-on-exec.
     Blocking   Only rtm_poll, rtm_run, rtm_connect, rtm_call and rtm_perform wait. rtm_poll waits
                no longer than its timeout_ms. In addition it takes the time of the callbacks and of
                TLS: on x86-64 2 to 4 ms for a full handshake, and 35 to 50 ms if it has to decode a
                system's bundle of 145 CAs. On small machines both take many times longer: set
                ca_pem to only the CAs that are needed. With RTM_NO_THREADS, resolving a host name
                also blocks, for as long as getaddrinfo does.
     Time       All times are milliseconds of a monotonic clock. It counts the time in suspend if
                the system has such a clock (CLOCK_BOOTTIME). The wait in poll(2) does not count it:
                a deadline that passes during suspend is noticed only when that wait ends. Call
                rtm_wake after resume to end the wait.
     Addresses  Up to 8 addresses of a host are tried, IPv6 and IPv4 in turn, beginning with the
                address that last connected. The next attempt begins at once if an attempt fails,
                else after 250 ms, or 100 ms more than the host's last connection took, whichever is
                longer. Earlier attempts stay open; the first one that connects is used.
     Memory     Allocated once per connection, in bytes (x86-64, without malloc's own overhead):
                  client and session                   5,200   and 3 descriptors with its socket;
                                                               up to 10 while it connects
                  ids of the last 512 events           4,608   Socket Mode; RTM from the first
                                                               handover on
                  per host, for the last 6 hosts         632   addresses and the TLS session
                  DNS lookup (malloc, if in a thread)    504   while it lasts, with a descriptor and
                                                               a stack of 256 KiB
                  TLS engine and record buffers       21,544   while connected
                  read-ahead                           4,096   while connected
                  certificate check                    5,224   during a handshake
                  trust anchors        about 540 per anchor   during a full handshake
                  event buffer     up to max_message_size, grown on demand, kept
                  send buffer      up to 64 KiB, grown on demand, while connected
                  JSON tokens      24 per value and name of an event or response, from the first
                                   rtm_json_at, rtm_json_key or rtm_json_count on; kept
                The event buffer and the tokens are freed a minute after the last event of more
                than 16 KiB, or of more than 2,048 values, when the next event or PING arrives.
                Blocking calls use a connection of their own (2,376 bytes, TLS and read-ahead). It
                is freed by rtm_destroy, or when the next blocking call finds it closed or idle for
                a minute. Submitted requests use up to two more connections, freed after a minute
                without a request, and memory for the requests (up to max_queue_size).
                A handover needs a second session while it lasts.
                Socket Mode queues events until their callbacks are called: up to 4 times
                max_message_size plus one message. While that buffer grows, the old and the new
                buffer both exist.
                Once the buffers have grown, receiving an event allocates nothing.

   STATES
     IDLE -----> CONNECTING -----> UPGRADING -----> OPEN -----> CLOSING -----> FINISHED
                 ^     |               |              |
                 |     v               v              v
                 BACKOFF <-------------+--------------+
     IDLE, CONNECTING, UPGRADING and BACKOFF go to FINISHED when rtm_stop is called, OPEN via
     CLOSING; CONNECTING, UPGRADING and OPEN also when their end is permanent.

     state                 entered                  rtm_poll                       deadline
     RTM_STATE_IDLE        by rtm_create, or for    begins                         none, the backoff
                           a handover
     RTM_STATE_CONNECTING  to get a URL             connects, calls the Web API    timeout_ms
     RTM_STATE_UPGRADING   with that URL            connects, opens the WebSocket  timeout_ms
     RTM_STATE_OPEN        after HTTP 101           dispatches events              ping_interval_ms
     RTM_STATE_CLOSING     after our CLOSE          waits for Slack's CLOSE        1 s
     RTM_STATE_BACKOFF     after an end, to retry   waits                          the backoff
     RTM_STATE_FINISHED    stopped, or fatal        returns the result, after the  none
                                                    last submitted request

     One rtm_poll call, in this order:
       1. waits for network activity, a DNS result, rtm_wake or the state's deadline, for at most
          timeout_ms, and not at all while received bytes are buffered;
       2. does all work that needs no waiting, and calls the callbacks of the events received;
       3. does the same for submitted requests: it calls at most one callback for each connection,
          and one for a request that ended without a response.
     One call reads at most 262,144 bytes from each socket, so a flood cannot keep rtm_poll from
     returning; if more is waiting, rtm_timeout_ms returns 0. Every PING from Slack is answered with
     a PONG before the next event is dispatched. At most 1,024 bytes of PONGs wait to be sent; of
     the PINGs received while there is no room, only the last one is answered.

     Keep-alive (heartbeat): after ping_interval_ms without a byte from Slack, a PING is sent. If
     nothing arrives for another half of ping_interval_ms, at least 10 s, the session is dead; in
     the middle of this time a second PING is sent. In Socket Mode the session is also dead if Slack
     answers our PINGs but has stopped sending its own: no PING and no message for 60 s, or for
     three times the longest interval between Slack's PINGs if that is longer (checked once two of
     its PINGs have arrived). Before the client gives up, it reads the socket once more, so a slow
     callback does not end a session.

     Reconnecting, with exponential backoff: each attempt gets a new URL. `failures` is the number
     of consecutive failures: failed attempts, and sessions that did not last. A session lasted if
     it received "hello" (within timeout_ms) and ended at least 30 s later. The wait is the longer
     one of
       - 0 after a session that lasted, and after the first shorter one with a "hello"; else
         min(2^(failures-1), cap) seconds; the cap is 30 after a session with "hello", else 300;
       - what Slack asks for with Retry-After, at most a day; 30 s after HTTP 429 without it;
     plus jitter, so that many devices do not reconnect at once: up to 1 s, or 0.1 s if the wait
     is 0. The wait begins when the connection ends.

     Handover (connection refresh): when Slack is about to end a session (RTM: "goodbye"; Socket
     Mode: "disconnect", except "link_disabled" and "too_many_websockets"), the client opens another
     one, after the same wait. Once the new session has received "hello" it takes over. The old one
     stays open, and acknowledges what it receives, until Slack closes it, for at most 15 s. An
     event received on both connections is delivered once, and no `close` or `open` event is
     generated. (RTM compares events that have a "ts" or "event_ts".) If the second session cannot
     be opened, `error` events say why and the first stays in use until it ends. With
     no_auto_reconnect there is no handover.

     Socket Mode: an envelope is acknowledged when it is read, before any callback is called. If it
     accepts a reply (accepts_response_payload), and for "function_executed", it is acknowledged by
     rtm_reply or rtm_reply_deferred; without them before a blocking call or when its callbacks
     have returned (not after rtm_defer). Slack allows 3 s, so a slow callback can miss this limit.
     Duplicates are acknowledged but not delivered: the last 512 events are remembered, in memory
     only, so an event may be delivered twice across a restart. Received events are queued. After
     50 ms of callbacks rtm_poll starts no further one: the other events stay queued until the next
     rtm_poll has read more. If their connection ends, they are still delivered, before its `close`.
     Reading pauses while 32 KiB of acknowledgements wait for the socket. "too_many_websockets"
     counts as a failure; after "link_disabled" the client waits 300 s.

   EVENTS (the type, then the fields of rtm_event that are set in addition)
     Slack's own   data: the whole event. "hello", "message", "reaction_added", ... as Slack sends
                   them, also "goodbye" and "team_migration_started" (a reconnect follows).
                   Socket Mode: data: the event of an events_api envelope; if it has no event, the
                   payload, with the payload's type. envelope: the whole envelope.
     slash_commands, interactive and other types of envelopes: data: the payload.
     open          A session is open. data: the response of rtm.connect or apps.connections.open.
     close         A session has ended. Reported once for each session that was open, after its last
                   event. result: RTM_OK or the cause. code, reason: from Slack's CLOSE frame; 1005
                   if the frame had no code, 1006 if no CLOSE was received, not even in reply to
                   ours; 1000 if the client closed the session after rtm_reconnect or at Slack's
                   request ("goodbye"); 1002 or 1007 after a protocol error by Slack. retry_ms: when
                   the next attempt begins.
     error         Something failed. result: the cause; detail: the error message; id: the id of the
                   message or request concerned, or 0. retry_ms: if an attempt has ended, when the
                   next one begins. The client recovers by itself unless rtm_poll returns a negative
                   result.
                   Slack's own {"type":"error"} arrives with result RTM_OK and its data; a reconnect
                   follows.
                   Skipped messages are reported at most once a second, and at the end of the
                   session: the cause of the last one and the number of the others.
     Unknown       data: a message from Slack without a type, or with a type of 128 bytes or more.
                   Slack's acknowledgement of a message arrives as Unknown; id: the id of that
                   message. (So does an event that Slack sends with the type "open" or "close".)
     A handler for "*" receives every event; one for "message::bot_message" receives messages with
     that subtype, "slash_commands::/weather" that command, "interactive::block_actions" that type
     of interaction.

   ERRORS (result, cause, what the client does, what you can do)
     RTM_E_ARGUMENT        invalid argument or config   nothing        see rtm_error_detail
     RTM_E_MEMORY          out of memory                retries        free memory
     RTM_E_BUSY            called from a callback, or   nothing        call it outside callbacks;
                           already done                                call it once
     RTM_E_UNSUPPORTED     not available for this       nothing        see rtm_error_detail
                           event or in this mode
     RTM_E_AGAIN           send buffer or queue full    nothing        send later
     RTM_E_NOT_CONNECTED   no open session              nothing        send after `open`
     RTM_E_TOO_BIG         over a limit of Slack's, or  skips it       send less; raise the limit
                           max_message_size,
                           max_queue_size
     RTM_E_STOPPED         rtm_stop was called          finishes       rtm_destroy
     RTM_E_RESOLVE         host name not found (DNS)    retries        check base_url and DNS
     RTM_E_CONNECT         no address connects          retries        check the network
     RTM_E_TIMEOUT         timed out                    retries        check the network
     RTM_E_CLOSED          closed by the server         retries        -
     RTM_E_PROXY           refused by the proxy         retries        check its URL and credentials
     RTM_E_TLS             TLS handshake or record      retries        see SECURITY: TLS 1.2 only
                           failed
     RTM_E_CERTIFICATE     CA not trusted, wrong host   retries        set ca_file; set the clock
                           name, or expired
     RTM_E_HTTP            invalid response or status   retries        check base_url
     RTM_E_WEBSOCKET       refused, or protocol error   retries        -
     RTM_E_JSON            not valid JSON               skips or       -
                                                        retries
     RTM_E_SLACK           "ok":false                   retries        see the code in the detail
     RTM_E_AUTH            "ok":false, permanent        finishes       see the code in the detail
     RTM_E_RATE_LIMITED    HTTP 429                     waits          call less often
     RTM_E_UNACKNOWLEDGED  session ended before the     reports the    perhaps send it again
                           message was acknowledged     id
     RTM_E_CANCELLED       rtm_cancel was called, or    nothing        -
                           write_body returned false

   SECURITY
     Trusted: the program, its config and environment, and the CA certificates. Not trusted: DNS
     (with a wrong address the certificate check fails), the network, the proxy, and the server,
     which may send any bytes at any time.
     TLS: version 1.2 with ECDHE and AEAD ciphers. Certificates and host names are always verified;
     there is no option to disable this. If base_url is https, a ws:// URL from Slack is refused.
     Tokens: config.token and app_token are sent only to base_url's host, only in a header; the
     `token` of an rtm_request is sent where that request goes. An Authorization header of your own
     in config.headers is sent to the Web API and to the WebSocket host. rtm_destroy wipes the
     tokens from memory. rtm.h writes no token, password or header value into a log line or an error
     message.
     Server text is restricted in log lines, error messages and `reason`: a run of letters and
     digits is kept if it is a word (at most 24 letters; lower case, upper case or capitalized), has
     only digits (at most 6), or is mixed and has at most 3 characters. Every other run, and every
     byte that is not printable ASCII, becomes "?". So a Slack token, key or signed URL is not
     written even if a server echoes it; an echoed password of letters only can be. A response's
     `error` is restricted too, unless it consists of letters, digits, "_" and "."; its `data` and
     `body` are as received.
     Limits: all lengths are validated before use; all buffers, waits and loops are bounded.
     Not supported, because BearSSL 0.6 lacks it: TLS 1.3, session tickets, the extended master
     secret, IP addresses in certificates (use host names), RSA-PSS and Ed25519 signatures,
     revocation, the dates of trust anchors; name constraints and extended key usage (rejected if
     marked critical, otherwise ignored).

   OPTIONS (#define before the implementation; each has a default)
     RTM_REALLOC(ptr, size), RTM_FREE(ptr)        allocator                   realloc, free
     RTM_NOW_MS()            long long: monotonic clock, in ms                clock_gettime
     RTM_TIME()              time_t: the date, to check certificates          time(NULL)
                             A 32-bit time_t is negative from 2038-01-19 on: then no certificate is
                             accepted. RTM_TIME may return a long long.
     RTM_RANDOM(buf, size)   fills buf with secure random bytes;              getrandom(2), else
                             returns 0 on success                             /dev/urandom
     RTM_GETADDRINFO(host, port, hints, &list), RTM_FREEADDRINFO(list)        getaddrinfo
                             called in a thread, perhaps still after rtm_destroy
     RTM_ONE_LANE            one connection for all submitted requests, for small memories
     RTM_NO_THREADS          resolves host names in the caller's thread, which blocks: for systems
                             without threads
     RTM_ASSERT(condition)   called on API misuse                             assert
     The compiler must define __GNUC__ (GCC, Clang); other compilers are not supported.

   SOURCE (search for the tag)
     >>api      the public part
     >>base     results, errors, buffers, encodings
     >>json     check, scan, jsmn tokens
     >>http     URLs, requests, the response parser (RFC 9112)
     >>ws       handshake, frame parser and writer (RFC 6455)
     >>trust    X.509 trust anchors
     >>conn     lookup, TCP, proxy, TLS, bytes: all socket calls
     >>exchange one HTTP exchange over a connection
     >>session  what a session is, dispatch of events
     >>send     frames and messages to Slack
     >>receive  messages from Slack; RTM
     >>socket_mode  envelopes and the inbox
     >>web_api  Web API requests and responses
     >>states   the states of a session, reconnect rules
     >>handover the second session
     >>config   the configuration, checked and copied
     >>queue    submitted requests
     >>public   the public functions
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

#define RTM_VERSION "0.3.0"

/* Results: name, number, and the string from rtm_strerror. See ERRORS. */
#define RTM_RESULTS(X)                                                            \
    X(RTM_OK, 0, "success")                                                       \
    X(RTM_E_ARGUMENT, -1, "invalid argument or configuration")                    \
    X(RTM_E_MEMORY, -2, "out of memory")                                          \
    X(RTM_E_BUSY, -3, "not allowed in a callback, or already done")               \
    X(RTM_E_UNSUPPORTED, -4, "not supported for this event or mode")              \
    X(RTM_E_AGAIN, -5, "send buffer or queue full, try again later")              \
    X(RTM_E_NOT_CONNECTED, -6, "not connected")                                   \
    X(RTM_E_TOO_BIG, -7, "message too big")                                       \
    X(RTM_E_STOPPED, -8, "stopped")                                               \
    X(RTM_E_RESOLVE, -9, "cannot resolve host name")                              \
    X(RTM_E_CONNECT, -10, "cannot connect")                                       \
    X(RTM_E_TIMEOUT, -11, "timed out")                                            \
    X(RTM_E_CLOSED, -12, "connection closed")                                     \
    X(RTM_E_PROXY, -13, "proxy failed")                                           \
    X(RTM_E_TLS, -14, "TLS failed")                                               \
    X(RTM_E_CERTIFICATE, -15, "certificate not accepted")                         \
    X(RTM_E_HTTP, -16, "bad HTTP response")                                       \
    X(RTM_E_WEBSOCKET, -17, "WebSocket refused or protocol error")                \
    X(RTM_E_JSON, -18, "not valid JSON")                                          \
    X(RTM_E_SLACK, -19, "refused by Slack")                                       \
    X(RTM_E_AUTH, -20, "refused permanently by Slack: invalid token or call")     \
    X(RTM_E_RATE_LIMITED, -21, "rate limited by Slack")                           \
    X(RTM_E_UNACKNOWLEDGED, -22, "message was not acknowledged")                  \
    X(RTM_E_CANCELLED, -23, "request was cancelled")

typedef enum rtm_result {
#define RTMI_ENUM(name, number, text) name = (number),
    RTM_RESULTS(RTMI_ENUM)
#undef RTMI_ENUM
} rtm_result;

/* The states of a session, in order. See STATES. */
#define RTM_STATES(X) X(IDLE) X(CONNECTING) X(UPGRADING) X(OPEN) X(CLOSING) X(BACKOFF) X(FINISHED)

typedef enum rtm_state {
#define RTMI_ENUM(NAME) RTM_STATE_##NAME,
    RTM_STATES(RTMI_ENUM)
#undef RTMI_ENUM
} rtm_state;

/* A client: one bot, with one session. Created by rtm_create. */
typedef struct rtm_client rtm_client;

/* A JSON value, or a missing one; pass it by value. Do not access the fields: use rtm_json_get and
   the functions after it. Valid while the event or response that it is from is valid. */
typedef struct rtm_json {
    const char *text;
    size_t size;
    void *document;
} rtm_json;

/* An event, as a callback receives it. Valid until the callback returns. See EVENTS. */
typedef struct rtm_event {
    const char *type;   /* Slack's type, or "open", "close", "error", "Unknown" */
    rtm_json data;      /* the event as received; missing if there is none */
    rtm_json envelope;  /* Socket Mode: the whole envelope as received; else missing */
    rtm_result result;  /* error, close: the cause; RTM_OK in other events */
    int id;             /* the id of the message or request concerned, or 0 */
    int code;           /* close: the WebSocket close code */
    const char *reason; /* close: Slack's reason, restricted (see SECURITY), "" if none; never
                           NULL */
    const char *detail; /* error: the error message, else ""; never NULL */
    int retry_ms;       /* close, and an error that ends an attempt: ms until the next attempt
                           begins, -1 = there will be none */
    int delivery;       /* the number of this delivery; used by rtm_reply and rtm_defer */
} rtm_event;

/* An event handler. `user_data` is the pointer passed to rtm_on. Called in rtm_poll, on the
   caller's thread. It may call every function except rtm_poll, rtm_connect, rtm_run and
   rtm_destroy. */
typedef void (*rtm_callback)(rtm_client *client, const rtm_event *event, void *user_data);

/* An element of config.handlers; the last element has a NULL type. */
typedef struct rtm_handler {
    const char *type;
    rtm_callback callback;
    void *user_data;
} rtm_handler;

/* The response to a request, or why there is none. Valid until the request's callback returns; from
   rtm_call and rtm_perform: until the next rtm_call, rtm_perform or rtm_destroy of this client. */
typedef struct rtm_response {
    rtm_result result;  /* RTM_OK or the cause of the failure: see rtm_perform */
    int id;             /* the id from rtm_submit; 0 from rtm_call and rtm_perform */
    int status;         /* HTTP status, 0 if there was no response */
    bool ok;            /* Slack's "ok"; with url or write_body: whether the status is 2xx */
    rtm_json data;      /* the whole response; missing if it is not JSON */
    const char *error;  /* Slack's error code, "" if none; never NULL. As received if it has only
                           letters, digits, "_" and ".", else restricted: see SECURITY */
    const char *detail; /* the error message, "" on success; never NULL */
    int retry_after;    /* seconds to wait, from Retry-After, or 0 */
    const char *body;   /* the body as received, not NUL-terminated; never NULL */
    size_t body_size;   /* bytes of body; 0 if write_body received them */
    const char *content_type; /* the Content-Type header as received, at most 127 bytes of it, "" if
                           there is none; never NULL. It distinguishes a file from the HTML login
                           page that Slack sends with status 200 if the token has no access */
} rtm_response;

/* Receives the response to a submitted request, with the request's `user_data`. Called exactly
   once, in rtm_poll or rtm_destroy. It may call every function except rtm_poll, rtm_connect,
   rtm_run and rtm_destroy. */
typedef void (*rtm_request_callback)(rtm_client *client, const rtm_response *response,
                                     void *user_data);

/* A request. Set unused fields to 0. */
typedef struct rtm_request {
    const char *method; /* Web API method, e.g. "chat.postMessage"; set this or url */
    const char *url;    /* https URL on any host (http only if base_url is http). No token is sent
                           to it unless `token` is set; of config.headers only User-Agent is sent.
                           Redirects are not followed: RTM_E_HTTP */
    const char *const *fields; /* a form: name, value, name, value, ..., NULL; encoded by rtm.h. A
                                  pair with a NULL value is left out */
    const char *json;   /* instead of fields: any JSON value, sent as application/json */
    const void *body;   /* instead of fields and json: body_size bytes ... */
    size_t body_size;
    const char *content_type; /* ... of this type; default application/octet-stream */
    size_t (*read_body)(void *buf, size_t size, void *user_data);
                        /* instead of body: stores the next 1 to `size` bytes of the body in buf and
                           returns their number; 0 aborts the request. Called while the request is
                           sent, until body_size bytes were stored. May call only rtm_stop and
                           rtm_wake. Such a request is never sent again: HTTP 429 is returned */
    const char *http_method; /* "POST" or "GET"; NULL = "POST". GET requires a url and excludes
                           fields, json, body, read_body, body_size and content_type */
    bool (*write_body)(const void *data, size_t size, void *user_data);
                        /* receives the body of a 2xx response in pieces of 1 or more bytes, instead
                           of response->body; the total size has no limit. `data` is valid until
                           write_body returns. Returns true to continue; false ends the request with
                           RTM_E_CANCELLED. May call only rtm_stop and rtm_wake. With other statuses
                           the body is in response->body. Such a request is never sent again: HTTP
                           429 is returned */
    const char *token;  /* used instead of the client's token, for this request only. With a url:
                           sent to this url, which must be https */
    int timeout_ms;     /* limit for connecting, sending and receiving, in ms; time in the queue is
                           not counted. With read_body or write_body: the longest time without
                           progress, in either direction. 0 = config.timeout_ms */
    bool no_retry;      /* rtm_submit: make one attempt, and return HTTP 429 at once */
    rtm_request_callback callback; /* rtm_submit: receives the response, or NULL; rtm_perform
                           ignores it */
    void *user_data;    /* passed to callback, read_body and write_body */
} rtm_request;

/* The configuration of a client. Zero is the default of each field; only a token is required. */
typedef struct rtm_config {
    const char *token;          /* xoxb-... or xoxp-..., for the Web API and RTM; leading and
                                   trailing white space is removed. Required unless there is an
                                   app_token */
    const char *app_token;      /* xapp-...: Socket Mode; NULL or "" = RTM */
    const char *connect_method; /* RTM: "rtm.connect" (default) or "rtm.start" */
    const char *base_url;       /* of the Web API; default "https://slack.com/api/" */
    const char *proxy;          /* "http://user:password@host:port", percent-encoded (write %2F for
                                   a "/" in the password); "" = no proxy; NULL = the first of
                                   HTTPS_PROXY, https_proxy, HTTP_PROXY, http_proxy that is not
                                   empty, except for the hosts in NO_PROXY (forms: slack.com,
                                   *.slack.com, slack.com:443, *) */
    const char *const *headers; /* "Name: value", ..., NULL: in Web API and WebSocket requests,
                                   instead of rtm.h's own header of that name. Requests to a url
                                   contain only User-Agent of these headers. So do requests with
                                   their own token, if these headers include Authorization */
    const char *ca_file;        /* PEM file of trusted CAs; default: SSL_CERT_FILE, else the
                                   system's bundle. Must contain a certificate */
    const char *ca_pem;         /* trusted CAs as a PEM string; takes precedence over ca_file */
    int timeout_ms;             /* limit for connecting and for the response, in ms, in each Web API
                                   call too; default 30000. A DNS result that arrives later is used
                                   by the next attempt */
    int ping_interval_ms;       /* keep-alive: a PING after this much silence, in ms; default 30000
                                   in RTM, 10000 in Socket Mode; -1 = no keep-alive. See STATES */
    bool no_auto_reconnect;     /* finish when the first session or attempt ends */
    bool no_signals;            /* rtm_run installs no signal handlers */
    size_t max_message_size;    /* bytes of one event or response; default 1 MiB, 4 KiB to 1 GiB */
    size_t max_queue_size;      /* bytes of submitted requests; default 64 KiB, at most 1 GiB. An
                                   empty queue accepts one of up to max_message_size */
    const rtm_handler *handlers; /* registered by rtm_create, as with rtm_on; or NULL */
    void (*log)(const char *line, void *user_data);
                                /* receives log lines, one per call, without a line end; contains no
                                   secrets (see SECURITY). May call only rtm_stop and rtm_wake */
    void *log_user_data;
    void (*tls_setup)(void *tls, void *user_data);
                                /* may change the br_ssl_client_context before each handshake:
                                   client certificates, trust anchors. May call only rtm_stop and
                                   rtm_wake */
    void *tls_user_data;
} rtm_config;

/* Creating and destroying --------------------------------------------------------------------- */

/* Creates a client. Opens no connection: the first rtm_poll does.
   config  copied, with everything it points to
   client  receives the client, or NULL on failure
   Returns RTM_OK; RTM_E_ARGUMENT or RTM_E_UNSUPPORTED (a field is invalid), or RTM_E_MEMORY. On
   failure rtm_error_detail(NULL) returns the error message. Destroy the client with rtm_destroy.
   Calls no callback. Thread-safe; allowed in callbacks. */
rtm_result rtm_create(const rtm_config *config, rtm_client **client);

/* Destroys a client and frees its memory; NULL is allowed. Sends CLOSE on an open session if the
   socket accepts it without blocking. Callbacks of pending requests are called with RTM_E_STOPPED
   (RTM_E_CANCELLED after rtm_cancel); requests submitted or performed in them fail with
   RTM_E_STOPPED. No other callback is called: use rtm_stop first to receive `close`.
   Does not block. Not thread-safe; not allowed in callbacks. */
void rtm_destroy(rtm_client *client);

/* Ends the client permanently. The next rtm_poll sends CLOSE 1000; later calls wait at most 1 s for
   Slack's reply, then rtm_poll returns RTM_E_STOPPED. After rtm_stop only `close`, `error`,
   acknowledgements of messages and responses to submitted requests are delivered. Requests in
   progress have 1 s to finish; queued requests end with RTM_E_STOPPED.
   Wakes up a waiting rtm_poll and makes rtm_fd readable. Calling it again has no effect.
   Thread-safe and async-signal-safe; allowed in callbacks. */
void rtm_stop(rtm_client *client);

/* Wakes up a waiting rtm_poll; if none is waiting, the next rtm_poll returns without waiting.
   rtm_fd is readable until then. Thread-safe and async-signal-safe; allowed in callbacks. */
void rtm_wake(rtm_client *client);

/* Reconnects in the next rtm_poll: "the network is back, try now".
   An open session is closed after the events received so far have been dispatched; then the client
   reconnects as if Slack had closed it. An attempt in progress is abandoned and begun again. A
   backoff wait ends early, but not a wait that Slack has asked for (Retry-After, HTTP 429); there
   is at most one attempt a second. During a handover both sessions are closed, the older one at
   once. The number of consecutive failures does not change.
   Returns RTM_OK; RTM_E_NOT_CONNECTED after rtm_stop and when the client has finished;
   RTM_E_ARGUMENT. Calls no callback. Not thread-safe; allowed in callbacks. */
rtm_result rtm_reconnect(rtm_client *client);

/* Returns whether a session is open, so that messages can be sent: true from `open` until the
   session ends, false after rtm_stop or rtm_reconnect. Not thread-safe; allowed in callbacks. */
bool rtm_is_connected(const rtm_client *client);

/* Returns the state of the session; RTM_STATE_FINISHED for NULL. Not thread-safe; allowed in
   callbacks. */
rtm_state rtm_get_state(const rtm_client *client);

/* Replaces config.token (for token rotation), not app_token, from the next request on; queued
   requests use the new token.
   token  copied, without leading and trailing white space
   Returns RTM_OK; RTM_E_ARGUMENT (not a valid token) or RTM_E_MEMORY: the old token remains in use.
   Not thread-safe; allowed in callbacks. */
rtm_result rtm_set_token(rtm_client *client, const char *token);

/* Returns the meaning of a result in a few words: a static string, never NULL. Thread-safe; allowed
   in callbacks. */
const char *rtm_strerror(rtm_result result);

/* Returns a message that describes the client's last failure, with advice if there is any; ""
   before the first failure; never NULL. Valid until the next call with this client.
   client  NULL: the last rtm_create of this thread
   Not thread-safe; allowed in callbacks. */
const char *rtm_error_detail(const rtm_client *client);

/* Returns the version of the implementation, "major.minor.patch": a static string. Thread-safe;
   allowed in callbacks. */
const char *rtm_version(void);

/* Polling ------------------------------------------------------------------------------------- */

/* Waits for network activity or a deadline, for at most timeout_ms, then does all work that needs
   no waiting and calls the callbacks (see STATES). It takes the time of the callbacks and of TLS in
   addition (see Blocking).
   timeout_ms  0 = do not wait, -1 = no limit
   Returns the number of events and responses delivered, 0 or more. It may return 0 before
   timeout_ms has elapsed (signal, rtm_wake, internal work). If the client has finished:
   RTM_E_STOPPED after rtm_stop, else the cause of the end. RTM_E_BUSY in a callback (rtm_poll is
   not reentrant), RTM_E_ARGUMENT. Not thread-safe. */
int rtm_poll(rtm_client *client, int timeout_ms);

/* In your own event loop (epoll, libuv, GLib): wait until rtm_fd is readable, for at most
   rtm_timeout_ms, then call rtm_poll(client, 0). */

/* Returns a descriptor that is readable when rtm_poll has something to do: on Linux an epoll
   instance, the same one from rtm_create to rtm_destroy; -1 on other systems (call rtm_poll with a
   timeout there). Watch it for reading, level- or edge-triggered. Do not read, write or close it.
   Deadlines do not make it readable: see rtm_timeout_ms. Not thread-safe; allowed in callbacks. */
int rtm_fd(const rtm_client *client);

/* Returns the longest time to wait before the next rtm_poll, in ms: 0 = do not wait (decrypted data
   may be buffered), -1 = no limit. Any call with the client may change it: call it again before
   each wait. Not thread-safe; allowed in callbacks. */
int rtm_timeout_ms(const rtm_client *client);

/* Blocks until a session is open, by calling rtm_poll.
   Returns RTM_OK; the cause if an attempt has failed (to retry, call rtm_connect or rtm_poll
   again); the result of rtm_poll if the client has finished; RTM_E_BUSY in a callback;
   RTM_E_ARGUMENT.
   Calls callbacks. Not thread-safe. */
rtm_result rtm_connect(rtm_client *client);

/* Blocks until the client has finished, by calling rtm_poll. Unless config.no_signals is set,
   SIGHUP, SIGTERM and SIGINT stop the client (ignored ones stay ignored), and the previous handlers
   are restored on return. If several threads call rtm_run, set no_signals in all but one.
   Returns RTM_OK after rtm_stop, else the cause; RTM_E_BUSY in a callback; RTM_E_ARGUMENT. Calls
   callbacks. Not thread-safe. */
rtm_result rtm_run(rtm_client *client);

/* Events -------------------------------------------------------------------------------------- */

/* Registers an event handler. The same type, callback and user_data are registered once only.
   type       an event type of less than 128 bytes, "type::subtype", or "*" for every event; copied
   callback   not NULL
   user_data  passed to the callback
   Returns RTM_OK, RTM_E_ARGUMENT or RTM_E_MEMORY. If called in a callback, it takes effect with the
   next event. Not thread-safe; allowed in callbacks. */
rtm_result rtm_on(rtm_client *client, const char *type, rtm_callback callback, void *user_data);

/* Removes an event handler, registered with the same type, callback and user_data.
   Returns RTM_OK, or RTM_E_ARGUMENT if there is no such handler. It takes effect immediately. Not
   thread-safe; allowed in callbacks. */
rtm_result rtm_off(rtm_client *client, const char *type, rtm_callback callback, void *user_data);

/* Messages and replies ------------------------------------------------------------------------ */

/* Sends a JSON object over the WebSocket (RTM only). Does not block: rtm_poll sends what the socket
   does not accept at once. Slack accepts one message a second, of at most 16,384 bytes.
   json  an object; {"id":N} is added if it has no "id"
   Returns the message's id, 1 or more; or RTM_E_ARGUMENT, RTM_E_NOT_CONNECTED, RTM_E_UNSUPPORTED
   (in Socket Mode), RTM_E_JSON (not an object, not UTF-8, an id that is not a positive int; of
   duplicate names the first counts), RTM_E_TOO_BIG, RTM_E_AGAIN (send buffer of 64 KiB full, or
   1,024 messages unacknowledged: not sent), RTM_E_MEMORY, RTM_E_TLS (no random numbers).
   Slack's acknowledgement arrives as an `Unknown` event with this id, a refusal as an `error`
   event. If the session ends before a "message" or "ping" is acknowledged, an `error` event with
   its id and RTM_E_UNACKNOWLEDGED follows. Not thread-safe; allowed in callbacks. */
int rtm_send(rtm_client *client, const char *json);

/* Sends a message to a channel, in RTM and in Socket Mode. Does not block.
   channel  the channel's id, e.g. "C0123456789"
   text     the message in Slack's markup: see rtm_escape
   RTM: sends {"type":"message"} over the WebSocket. Returns the message's id, 1 or more; or
   RTM_E_ARGUMENT, RTM_E_NOT_CONNECTED, RTM_E_JSON (not UTF-8), RTM_E_TOO_BIG (more than 16,384
   bytes), RTM_E_AGAIN (send buffer of 64 KiB full, or 1,024 messages unacknowledged), RTM_E_MEMORY,
   RTM_E_TLS.
   Socket Mode: submits chat.postMessage, also without a session. Returns the request's id or an
   error, as rtm_submit does; RTM_E_TOO_BIG for more than 40,000 characters.
   Slack's acknowledgement arrives as an `Unknown` event with this id, a failure as an `error`
   event. Not thread-safe; allowed in callbacks. */
int rtm_send_message(rtm_client *client, const char *channel, const char *text);

/* Sends a typing indicator to a channel (RTM only). Slack accepts one every 3 s and does not
   acknowledge it.
   channel  the channel's id
   Returns the message's id, 1 or more; or RTM_E_ARGUMENT, RTM_E_UNSUPPORTED (in Socket Mode),
   RTM_E_NOT_CONNECTED, RTM_E_JSON (not UTF-8), RTM_E_TOO_BIG, RTM_E_AGAIN (send buffer full),
   RTM_E_MEMORY, RTM_E_TLS. Not thread-safe; allowed in callbacks. */
int rtm_send_typing(rtm_client *client, const char *channel);

/* Sends a "ping" message (RTM only); Slack replies with a "pong" event with this id. Not needed for
   keep-alive: rtm.h sends WebSocket PINGs by itself.
   Returns the message's id, 1 or more; or RTM_E_ARGUMENT, RTM_E_UNSUPPORTED (in Socket Mode),
   RTM_E_NOT_CONNECTED, RTM_E_AGAIN (send buffer full, or 1,024 messages unacknowledged),
   RTM_E_MEMORY, RTM_E_TLS. Not thread-safe; allowed in callbacks. */
int rtm_send_ping(rtm_client *client);

/* Replies to a slash command or an interaction, in its callback (Socket Mode only): acknowledges
   the event's envelope with `json` as payload (Bolt's ack()), immediately. Without rtm_reply or
   rtm_defer an empty acknowledgement is sent when the callbacks have returned, or before a blocking
   call in them. Slack allows 3 s.
   event  the event passed to the callback
   json   an object; its contents depend on the type of event: see Slack's documentation
   Returns RTM_OK, RTM_E_ARGUMENT, RTM_E_UNSUPPORTED (the event accepts no reply: RTM, or
   accepts_response_payload is not true), RTM_E_BUSY (already acknowledged), RTM_E_JSON (not an
   object, not UTF-8), RTM_E_TOO_BIG (more than 20,479 bytes in all), RTM_E_NOT_CONNECTED (the
   event's connection has ended), RTM_E_AGAIN (send buffer of 64 KiB full), RTM_E_MEMORY,
   RTM_E_TLS. After RTM_E_JSON, RTM_E_TOO_BIG, RTM_E_AGAIN, RTM_E_MEMORY and RTM_E_TLS it may be
   called again. Not thread-safe. */
rtm_result rtm_reply(rtm_client *client, const rtm_event *event, const char *json);

/* Defers the reply to a slash command or an interaction, in its callback (Socket Mode only), for
   example until a Web API call has returned. Then nothing is sent when the callbacks return: call
   rtm_reply_deferred while the connection is open. Slack allows 3 s. The acknowledgement of
   "function_executed" can be deferred too.
   event  the event passed to the callback
   Returns the id of the deferral, 1 or more, the same one for the same event; or RTM_E_ARGUMENT,
   RTM_E_UNSUPPORTED (the event accepts no reply), RTM_E_BUSY (already acknowledged), RTM_E_AGAIN
   (64 replies are deferred already), RTM_E_NOT_CONNECTED, RTM_E_MEMORY. rtm_reply in the same
   callback is still allowed, and ends the deferral. Not thread-safe. */
int rtm_defer(rtm_client *client, const rtm_event *event);

/* Sends a deferred reply, immediately (Socket Mode only).
   id    from rtm_defer
   json  an object, as for rtm_reply; NULL = an empty acknowledgement
   Returns RTM_OK; RTM_E_ARGUMENT (no such id), RTM_E_BUSY (already replied, or its connection has
   ended and 64 later replies were deferred), RTM_E_NOT_CONNECTED (the connection that brought the
   event has ended), RTM_E_UNSUPPORTED (a payload for "function_executed"). After RTM_E_JSON,
   RTM_E_TOO_BIG, RTM_E_AGAIN, RTM_E_MEMORY and RTM_E_TLS the deferral stays open. Not thread-safe;
   allowed in callbacks. */
rtm_result rtm_reply_deferred(rtm_client *client, int id, const char *json);

/* Web API ------------------------------------------------------------------------------------- */

/* How submitted requests are sent (rtm_submit, rtm_call_async, rtm_send_message in Socket Mode):
   rtm_poll sends them, in every state, over two connections. Web API methods use the first one, one
   after the other; requests to URLs, and those with read_body or write_body, use the second. A
   connection is kept for a minute after its last request (keep-alive). With RTM_ONE_LANE there is
   one connection for all; it is closed after each request of the second kind.
   Retries: a request that fails before a byte of it was sent (DNS, connecting, proxy, TLS) is
   retried after 1, 2, 4 ... s, until timeout_ms after its first attempt; then its callback receives
   the last cause. A refused certificate, and HTTP 401 or 407 from the proxy, are not retried. Each
   attempt to connect takes at most a third of timeout_ms. no_retry disables retries.
   Rate limits: after HTTP 429, requests with the same method (or URL) and token are held for the
   Retry-After time (at least 1 s; 30 s if absent) and then sent in order, the rejected one first;
   other requests are not delayed. At most 64 such holds exist; beyond them HTTP 429 is returned.
   Apart from this, a request that may have reached the server is never sent again.
   Order: requests with the same method (or URL) and token are sent in the order submitted.
   Different methods are not: while a chat.appendStream is held after HTTP 429, a chat.stopStream
   submitted later is sent before it. If the order matters, submit each request in the callback of
   the one before. */

/* Queues a request (asynchronous). Does not block; rtm_poll sends it.
   request  copied, with everything it points to, except a body from read_body
   Returns the request's id, 1 or more; or RTM_E_ARGUMENT (invalid or contradictory fields, a URL
   that is not https, strings that are not UTF-8), RTM_E_JSON, RTM_E_TOO_BIG (larger than
   max_queue_size and max_message_size), RTM_E_AGAIN (max_queue_size bytes are queued already: not
   accepted), RTM_E_STOPPED (after rtm_stop), RTM_E_MEMORY.
   The callback receives what rtm_perform would return, or RTM_E_CANCELLED, or RTM_E_STOPPED (after
   rtm_stop, and in rtm_destroy). Without a callback a failure is reported as an `error` event with
   the request's id. If the session has ended permanently, queued requests are still sent; rtm_poll
   returns the cause after the last one. Not thread-safe; allowed in callbacks. */
int rtm_submit(rtm_client *client, const rtm_request *request);

/* Cancels a submitted request: its callback is called in the next rtm_poll with RTM_E_CANCELLED. A
   request in progress may already have been executed.
   id  from rtm_submit, rtm_call_async, or rtm_send_message in Socket Mode
   Returns RTM_OK, or RTM_E_ARGUMENT if the id is unknown or its callback has been called or is
   running. Not thread-safe; allowed in callbacks. */
rtm_result rtm_cancel(rtm_client *client, int id);

/* Sends a request and blocks until the response, for at most its timeout_ms (see rtm_request). It
   uses a connection of its own (kept for the next call) and does not wait for the queue. The
   session is not serviced meanwhile; it continues afterwards without loss unless Slack has closed
   it for not answering. rtm_submit does not have this risk. Works in every state; makes one
   attempt; calls no callback.
   request   as for rtm_submit; callback and no_retry are ignored
   response  receives the response, or NULL; valid until the next rtm_perform or rtm_call
   Returns RTM_OK for HTTP 200 with "ok":true (with url or write_body: for HTTP 2xx). Else what
   rtm_submit returns for an invalid request, or RTM_E_SLACK with response->error, RTM_E_AUTH,
   RTM_E_RATE_LIMITED with response->retry_after, RTM_E_HTTP, RTM_E_JSON, RTM_E_TOO_BIG,
   RTM_E_TIMEOUT, RTM_E_STOPPED, RTM_E_CANCELLED (write_body returned false), RTM_E_BUSY (in
   read_body or write_body), or the failure of the connection. A request that failed after it was
   sent may have been executed. Not thread-safe; allowed in callbacks. */
rtm_result rtm_perform(rtm_client *client, const rtm_request *request, rtm_response *response);

#ifdef __GNUC__
#define RTM_SENTINEL __attribute__((sentinel))
#else
#define RTM_SENTINEL
#endif

/* Queues a call of a Web API method (asynchronous): rtm_submit with form fields as arguments.
   callback   receives the response, with user_data; or NULL: a failure becomes an `error` event
   method     e.g. "chat.postMessage"
   ...        strings: name, value, name, value, ..., NULL. A pair with a NULL value is left out
   Returns the request's id, 1 or more, or an error of rtm_submit. Strings are copied. Not
   thread-safe; allowed in callbacks. */
RTM_SENTINEL
int rtm_call_async(rtm_client *client, rtm_request_callback callback, void *user_data,
                   const char *method, ...);

/* Calls a Web API method and blocks until the response: rtm_perform with form fields as arguments.
   response  receives the response, or NULL; valid until the next rtm_perform or rtm_call
   method    e.g. "users.info"
   ...       strings: name, value, name, value, ..., NULL. A pair with a NULL value is left out
   Returns what rtm_perform returns. The session is not serviced meanwhile. Calls no callback. Not
   thread-safe; allowed in callbacks. */
RTM_SENTINEL
rtm_result rtm_call(rtm_client *client, rtm_response *response, const char *method, ...);

/* JSON ---------------------------------------------------------------------------------------- */

/* These functions accept any value, including a missing one, and never fail: if the value is absent
   or has another type they return a missing value or the fallback. With duplicate names, the first
   member is used. Returned values are valid while their event or response is valid. Not
   thread-safe: use values on the client's thread (only rtm_json_quote and rtm_escape are
   thread-safe). Allowed in callbacks. */

/* Returns the value at a path: members by name, array elements by index, e.g. "item.channel",
   "blocks.0.text". A path cannot have a name that contains a dot: use rtm_json_key instead. */
rtm_json rtm_json_get(rtm_json json, const char *path);

/* Returns element `index` of an array, or the value of member `index` of an object, in the order
   received; a missing value if the index is too large. Takes O(log n) time, in any order, n being
   the number of values in the whole event or response, so a loop takes O(n log n). The first
   rtm_json_at, rtm_json_key or rtm_json_count (or rtm_json_get with an index) tokenizes the whole
   event or response (see Memory). If out of memory, it returns a missing value; if the document is
   an event, an `error` event with RTM_E_MEMORY follows. */
rtm_json rtm_json_at(rtm_json json, size_t index);

/* Returns the name of member `index` of an object, as a JSON string for rtm_json_string and
   rtm_json_equals; else a missing value. */
rtm_json rtm_json_key(rtm_json json, size_t index);

/* Returns the number of elements of an array or of members of an object; 0 for other values. */
size_t rtm_json_count(rtm_json json);

/* Decodes a JSON string to a C string in UTF-8. A lone surrogate becomes U+FFFD; a value that is
   not a string becomes "". \u0000 is written as a NUL, which ends the C string early: to compare
   names and commands safely use rtm_json_equals.
   out   receives the C string, truncated at a whole character to fit, always NUL-terminated; or
         NULL
   size  bytes of out; 0 = return only the length
   Returns the length of the whole string, as snprintf does: it was truncated if that is >= size. */
size_t rtm_json_string(rtm_json json, char *out, size_t size);

/* Returns whether the value is a JSON string that equals `text` after decoding. */
bool rtm_json_equals(rtm_json json, const char *text);

/* Returns an integer; the fallback for other values, including numbers with a fraction or exponent
   and those that overflow a long long. */
long long rtm_json_int(rtm_json json, long long fallback);

/* Returns true or false; the fallback for other values. */
bool rtm_json_bool(rtm_json json, bool fallback);

/* Returns the JSON of a value as received, not NUL-terminated; NULL for a missing value. The first
   character is that of its type: { [ " t f n - or a digit.
   size  receives the number of bytes, or NULL */
const char *rtm_json_raw(rtm_json json, size_t *size);

/* Encodes a C string as a JSON string with its quotes, for payloads made with snprintf.
   text  NUL-terminated; NULL counts as "". The quotation mark, the backslash and control characters
         are escaped; UTF-8 stays; each maximal part that is not UTF-8 becomes U+FFFD
   out   receives the JSON string, NUL-terminated; or NULL. If it is too small, the string is
         truncated at a whole character or escape and ends with its quotation mark, so it is valid
         JSON; if size is below 3, out is an empty C string
   size  bytes of out; 0 = return only the length
   Returns the length of the whole JSON string, as snprintf does: it was truncated if that is
   >= size. Thread-safe. */
size_t rtm_json_quote(const char *text, char *out, size_t size);

/* Escapes text for Slack's markup, so that Slack shows it unchanged: "&" becomes "&amp;", "<"
   becomes "&lt;", ">" becomes "&gt;".
   text  NUL-terminated; NULL counts as ""
   out   receives the string, truncated at a whole character or escape to fit, always
         NUL-terminated; or NULL
   size  bytes of out; 0 = return only the length
   Returns the length of the whole string, as snprintf does: it was truncated if that is >= size.
   Thread-safe. */
size_t rtm_escape(const char *text, char *out, size_t size);

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
#include <stdio.h>       /* snprintf, fdopen */
#include <stdlib.h>      /* realloc, getenv */
#include <string.h>      /* memcpy */
#include <sys/socket.h>  /* socket */
#include <time.h>        /* clock_gettime, time */
#include <unistd.h>      /* close */

#if defined(__has_include)
#if __has_include(<sys/random.h>)
#include <sys/random.h> /* getrandom */
#endif
#endif

#if !defined(EAI_FAIL) || !defined(SA_RESTART)
#error "rtm.h: POSIX is hidden: include rtm.h first, or compile with -D_POSIX_C_SOURCE=200809L"
#endif

/* Warnings in the headers of other projects cannot be fixed here. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wundef"
#include <bearssl.h>

/* With parent links, jsmn's time is linear in the number of values. It need not be strict: it only
   parses what our own check has accepted. */
#if defined(JSMN_HEADER) || (defined(JSMN_H) && !defined(JSMN_PARENT_LINKS))
#error "rtm.h: include rtm.h before jsmn.h, or put RTM_IMPLEMENTATION into a file of its own"
#endif
#ifndef JSMN_H
#undef JSMN_STATIC
#undef JSMN_PARENT_LINKS
#define JSMN_STATIC
#define JSMN_PARENT_LINKS
#include <jsmn.h>
#endif
#pragma GCC diagnostic pop

#define RTMI_PRINTF(at) __attribute__((format(printf, at, at + 1)))
/* For functions that gcc -Os would inline, although a call takes fewer bytes. */
#define RTMI_APART __attribute__((noinline))
#define RTMI_LOAD(flag) __atomic_load_n(flag, __ATOMIC_ACQUIRE)
#define RTMI_STORE(flag, value) __atomic_store_n(flag, value, __ATOMIC_RELEASE)
#define RTMI_EXCHANGE(flag, value) __atomic_exchange_n(flag, value, __ATOMIC_ACQ_REL)

#ifndef MSG_NOSIGNAL /* macOS has SO_NOSIGPIPE instead */
#define MSG_NOSIGNAL 0
#endif

/* rtm_fd needs epoll; RTMI_EPOLL 0 builds the variant for systems without it. */
#if !defined(RTMI_EPOLL) && defined(__linux__)
#define RTMI_EPOLL 1
#elif !defined(RTMI_EPOLL)
#define RTMI_EPOLL 0
#endif
#if RTMI_EPOLL
#include <sys/epoll.h>   /* epoll_ctl */
#include <sys/eventfd.h> /* eventfd */
#define RTMI_POLLRDHUP ((short)EPOLLRDHUP) /* the same number, but POSIX hides the other name */
#else
#define RTMI_POLLRDHUP 0
#endif
#ifndef RTM_NO_THREADS
#include <pthread.h> /* pthread_create */
#endif

/* With these a fork in another thread cannot inherit a socket before it is marked close-on-exec. */
#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
#define RTMI_SOCK_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)
#else
#define RTMI_SOCK_FLAGS 0
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
#ifdef CLOCK_BOOTTIME /* counts the time in suspend; an old kernel or a sandbox may refuse it */
    if (clock_gettime(CLOCK_BOOTTIME, &now))
#endif
        clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
#endif

/* Opens close-on-exec; not every fopen() has a mode for that. */
static FILE *rtmi_open_file(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would wait */
    FILE *file = fd >= 0 ? fdopen(fd, "rb") : NULL;
    if (fd >= 0 && !file) close(fd);
    return file;
}

#ifndef RTM_RANDOM
#define RTM_RANDOM(buf, size) rtmi_random(buf, size)
/* The kernel's random numbers, never only the processor's. A machine that has just started may
   have none yet: that is a failure, to be tried again. */
static int rtmi_random(void *out, size_t size) {
#ifdef GRND_NONBLOCK /* up to 256 bytes are never partial or interrupted by a signal */
    if (getrandom(out, size, GRND_NONBLOCK) == (ssize_t)size) return 0;
    if (errno == EAGAIN) return -1;
#endif
    FILE *file = rtmi_open_file("/dev/urandom");
    if (!file) return -1;
    setvbuf(file, NULL, _IONBF, 0); /* reads no more than needed, and keeps no copy */
    size_t got = fread(out, 1, size, file);
    fclose(file);
    return got == size ? 0 : -1;
}
#endif

/* ------------------------------------------------------------------------------------------------
 * >>base   results, errors, buffers, encodings
 * --------------------------------------------------------------------------------------------- */

#ifdef RTM_ONE_LANE
#define RTMI_LANES 1
#else
#define RTMI_LANES 2
#endif

enum {
    RTMI_DEPTH = 128,          /* levels of nesting that a JSON document may have */
    RTMI_TYPE = 128,           /* bytes of an event type, NUL included */
    RTMI_CODE = 64,            /* bytes of a Web API error code, NUL included */
    RTMI_HOST = 256,           /* bytes of a host name, NUL included (RFC 1035: 253) */
    RTMI_ADDRESSES = 8,        /* addresses tried per host */
    RTMI_STAGGER_MS = 250,     /* between attempts at two addresses (RFC 8305) ... */
    RTMI_CONNECT_MS = 100,     /* ... or this much more than the host's last connect() */
    RTMI_LINE = 512,           /* bytes kept of one HTTP header line */
    RTMI_HEAD = 16384,         /* bytes of an HTTP header block, 1xx and trailers included */
    RTMI_MESSAGE_OUT = 16384,  /* Slack cuts the connection on a larger message */
    RTMI_POST_TEXT = 40000,    /* characters that chat.postMessage accepts */
    RTMI_MIN_MESSAGE = 4096,   /* min. max_message_size: the response of rtm.connect must fit */
    RTMI_MAX_MESSAGE = 1 << 30, /* max. max_message_size: jsmn counts in int */
    RTMI_ACKNOWLEDGEMENT = 20479, /* Slack refuses a larger frame in Socket Mode */
    RTMI_DEFERRALS = 64,       /* replies that may be deferred at a time */
    RTMI_OUT = 65536,          /* bytes that may wait for the socket */
    RTMI_OUT_CONTROL = 1024,   /* in addition, for control frames */
    RTMI_UNANSWERED = 1024,    /* messages that may await their acknowledgement */
    RTMI_READ_BUFFER = 4096,   /* read-ahead in front of the TLS engine */
    RTMI_PIECE = 4096,         /* bytes of a request's body that are read at once */
    RTMI_TLS_OUT = 1024 + 85,  /* TLS output buffer: records of 1 KiB */
    RTMI_BUDGET = 262144,      /* bytes that one rtm_poll reads from a socket at most */
    RTMI_LATE_READS = 32,      /* 32 times RTMI_BUDGET: more than a socket's buffer holds */
    RTMI_LOOKUP_MS = 2000,     /* wait for DNS if the addresses of an earlier lookup are known */
    RTMI_HOSTS = 6,            /* hosts whose addresses and TLS session are remembered */
    RTMI_LOOKUPS = 4,          /* DNS lookups in progress at a time in a client */
    RTMI_STACK = 262144,       /* stack of a lookup's thread, plus the system's minimum */
    RTMI_KEEP_ALIVE_MS = 60000, /* a connection idle for longer may be dead without notice */
    RTMI_BUNDLE_KIB = 16384,   /* KiB of a CA bundle that are read: some files never end */
    RTMI_LASTED_MS = 30000,    /* a session that ends this long after its "hello" was a success */
    RTMI_CLOSING_MS = 1000,    /* wait for the reply to our CLOSE */
    RTMI_BACKOFF_S = 300,      /* cap of the exponential backoff after failed attempts */
    RTMI_SHORT_BACKOFF_S = 30, /* and after sessions that did not last */
    RTMI_INBOX = 4,            /* times max_message_size: limit of the queue of received events */
    RTMI_SLICE_MS = 50,        /* for callbacks, before more is read and acknowledged */
    RTMI_LINK_DISABLED_S = 300, /* wait after Socket Mode was switched off */
    RTMI_SEEN = 512,           /* hashes of events that were received */
    RTMI_DRAIN_MS = 15000,     /* for Slack to close a session that another has replaced */
    RTMI_PONG_MS = 10000,      /* min. wait for the reply to a keep-alive PING */
    RTMI_ZOMBIE_MS = 60000,    /* min. time without a message or a PING from Slack */
    RTMI_NOTICE_MS = 1000,     /* between two reports of skipped messages of one kind */
    RTMI_KEPT = 16384,         /* bytes: buffers that grew beyond this are freed ... */
    RTMI_KEPT_TOKENS = 2048,   /* ... as are token tables of more values ... */
    RTMI_KEPT_MS = 60000,      /* ... after not being needed for this long */
    RTMI_HOLDS = 64,           /* methods and URLs that a 429 may delay at a time */
    RTMI_CONNS = 2 + RTMI_LANES, /* connections of rtm_poll: sessions, submitted requests */
    RTMI_RATE_LIMIT_S = 30,    /* wait after a 429 without Retry-After */
    RTMI_RETRY_AFTER_S = 86400 /* longest Retry-After that is honoured */
};

typedef struct rtmi_buf {
    char *data;
    size_t size, capacity;
    bool failed; /* sticky: an append ran out of memory, the content is incomplete */
} rtmi_buf;

/* The message of the last failure. Server text in it has passed rtmi_tame, so it contains no
   secret. */
typedef struct rtmi_error {
    char text[256];
} rtmi_error;

/* Fills with zeros. A plain memset before free may be optimized away; this one is not. */
static void rtmi_wipe(void *data, size_t size) {
    volatile unsigned char *byte = data;
    while (size--) *byte++ = 0;
}

/* Frees a block, or NULL, and wipes its first `size` bytes, which may be secret. */
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

/* Copies data and a NUL to *at, moves *at to the end of them, and returns where they begin. */
static void *rtmi_pack(char **at, const void *data, size_t size) {
    char *packed = *at;
    if (size) memcpy(packed, data, size);
    packed[size] = '\0';
    *at += size + 1;
    return packed;
}

static char *rtmi_copy(const char *text, size_t length) {
    char *copy = RTM_REALLOC(NULL, length + 1), *end = copy;
    return copy ? rtmi_pack(&end, text, length) : NULL;
}

/* Makes room for `more` bytes, and for some extra if the total stays within `most`. Wipes the old
   block, which may contain a token, and so cannot use realloc. */
static bool rtmi_buf_grow(rtmi_buf *buf, size_t more, size_t most) {
    if (more > (size_t)-1 / 4 - buf->size) buf->failed = true;
    if (buf->failed) return false;
    if (buf->size + more <= buf->capacity) return true;
    size_t capacity = buf->capacity ? buf->capacity : 256;
    while (capacity < buf->size + more) capacity += capacity / 2;
    if (capacity > most && buf->size + more <= most) capacity = most;
    char *data = RTM_REALLOC(NULL, capacity);
    buf->failed = !data;
    if (!data) return false;
    if (buf->size) memcpy(data, buf->data, buf->size);
    rtmi_free(buf->data, buf->capacity);
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

RTMI_APART static bool rtmi_buf_reserve(rtmi_buf *buf, size_t more) {
    return rtmi_buf_grow(buf, more, (size_t)-1);
}

static void rtmi_buf_add(rtmi_buf *buf, const void *data, size_t size) {
    if (!size || !rtmi_buf_reserve(buf, size)) return;
    memcpy(buf->data + buf->size, data, size);
    buf->size += size;
}

/* Appends strings, up to a NULL that the macro adds. */
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

RTMI_APART static void rtmi_buf_clear(rtmi_buf *buf) {
    buf->size = 0;
    buf->failed = false;
}

static void rtmi_buf_free(rtmi_buf *buf) {
    rtmi_free(buf->data, buf->capacity);
    memset(buf, 0, sizeof *buf);
}

/* A string being written to the user's buffer: the end so far, and the length of the whole. */
typedef struct rtmi_piecewise {
    char *at;
    size_t room, length;
} rtmi_piecewise;

/* Appends a piece; if it does not fit, leaves it out as a whole, and all pieces after it. */
static void rtmi_add_piece(rtmi_piecewise *text, const char *piece, size_t size) {
    text->length += size;
    if (size > text->room) {
        text->room = 0;
    } else if (size && text->at) {
        memcpy(text->at, piece, size);
        text->at += size;
        text->room -= size;
    }
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

/* Whether a string is printable ASCII without spaces, as tokens, hosts and URLs must be. */
static bool rtmi_is_visible(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f) return false;
    return true;
}

/* Compares `length` bytes with a NUL-terminated word, ignoring the case of ASCII letters. */
static bool rtmi_same_word(const char *text, size_t length, const char *word) {
    for (; length && *word; length--, text++, word++)
        if (rtmi_lower(*text) != rtmi_lower(*word)) return false;
    return length == 0 && *word == '\0';
}

/* Whether a word is in a list that ends with NULL. */
static bool rtmi_is_one_of(const char *word, const char *const *list) {
    for (; *list; list++)
        if (**list == *word && !strcmp(*list, word)) return true;
    return false;
}

/* The length of a string without the `blanks` at its end. */
static size_t rtmi_trimmed(const char *text, size_t length, const char *blanks) {
    while (length && strchr(blanks, text[length - 1])) length--;
    return length;
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

/* Reads 8 bytes at any address, little-endian on every machine. */
static uint64_t rtmi_load(const void *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? word : __builtin_bswap64(word);
}

#define RTMI_NOW (LLONG_MIN / 4) /* a deadline that has passed, on any clock */
#define RTMI_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* UTF-8 (RFC 3629), checked in pieces: `need` continuation bytes must follow, the next of them
   within low..high. */
typedef struct rtmi_utf8 {
    unsigned char need, low, high;
} rtmi_utf8;

/* Whether the bytes so far are valid; at the end `need` must be 0. */
static bool rtmi_utf8_check(rtmi_utf8 *state, const void *data, size_t size) {
    const unsigned char *p = data, *end = p + size;
    while (p < end) {
        if (!state->need) {
            /* ASCII, 8 bytes at a time: a seventh of the time of a loop over bytes. */
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

/* The length of the character at p, or of the maximal invalid part there; *valid says which. p is
   not at the end of the string. */
static size_t rtmi_utf8_length(const char *p, bool *valid) {
    rtmi_utf8 state = { 0 };
    size_t length = 0;
    do {
        *valid = rtmi_utf8_check(&state, p + length, 1);
        if (*valid) length++;
    } while (*valid && state.need);
    return length ? length : 1;
}

static bool rtmi_is_utf8(const char *text, size_t size) {
    rtmi_utf8 state = { 0 };
    return rtmi_utf8_check(&state, text, size) && !state.need;
}

/* Whether a run of letters and digits is a word or a short number. Tokens, keys and signed URLs are
   made of longer runs, or of mixed ones. */
static bool rtmi_is_word(const char *run, size_t length) {
    size_t digits = 0, upper = 0;
    for (size_t i = 0; i < length; i++) {
        digits += rtmi_is_digit(run[i]);
        upper += run[i] >= 'A' && run[i] <= 'Z';
    }
    if (digits) return length <= (digits == length ? 6 : 3);
    return length <= 24 && (!upper || upper == length || (upper == 1 && *run < 'a'));
}

/* Restricts server text for a message or a log line, in place (see SECURITY): words, short numbers
   and printable ASCII between them are kept; any other run or byte becomes "?". So mixed runs of 4
   letters and digits, 7 digits, and control characters for a terminal never pass. */
static void rtmi_tame(char *text) {
    char *to = text;
    for (size_t length; *text; text += length) {
        bool word = rtmi_is_alnum(*text);
        for (length = 1; word && rtmi_is_alnum(text[length]); length++) continue;
        bool kept = word ? rtmi_is_word(text, length) : *text >= ' ' && *text < 0x7f;
        if (kept) memmove(to, text, length);
        else *to = '?';
        to += kept ? length : 1;
    }
    *to = '\0';
}

/* Records the message of a failure, and returns `result` for the caller to return. */
RTMI_PRINTF(3)
static rtm_result rtmi_fail(rtmi_error *error, rtm_result result, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return result;
}

static rtm_result rtmi_out_of_memory(rtmi_error *error) {
    return rtmi_fail(error, RTM_E_MEMORY, "out of memory");
}

RTMI_APART static rtm_result rtmi_no_random(rtmi_error *error) {
    return rtmi_fail(error, RTM_E_TLS, "no source of random numbers");
}

/* ------------------------------------------------------------------------------------------------
 * >>json   the whole text is checked once; lookups after that rely on it
 * --------------------------------------------------------------------------------------------- */

enum { RTMI_MEMBERS = 24 };

static const rtm_json rtmi_json_none = { NULL, 0, NULL };

/* A JSON document. The check notes the members of one object; in other objects, each lookup is a
   scan. The first lookup by index makes the jsmn tokens of the whole document, exactly as many as
   the check has counted. The table of elements follows the tokens in the same block: the elements
   of the first array or object, then those of the second, and so on, each as the number of its
   token (in an object, of the name's token). From then on `parent` of an array's or object's token
   is not its parent, but the end of its part of the table. */
typedef struct rtmi_document {
    const char *text; /* one value, no white space around it */
    size_t size;
    const char *noted; /* the object whose members are noted: the outermost, or an event */
    bool too_deep;     /* the document was refused for its nesting */
    unsigned members;  /* number of noted ones; RTMI_MEMBERS = there may be more */
    size_t values;     /* number of all values and names */
    size_t capacity;   /* of the tokens, and of the table of elements */
    jsmntok_t *token;
    int *element;    /* NULL = not tokenized yet */
    bool failed;     /* out of memory for tokens: an accessor returned its fallback */
    rtmi_error *error; /* receives the message about that; or NULL */
    struct {
        unsigned name, value, value_size; /* offsets in the text, after the name's quote */
    } member[RTMI_MEMBERS];
} rtmi_document;

static bool rtmi_json_is(rtm_json json, char first) {
    return json.size && *json.text == first;
}

static const char *rtmi_json_space(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
    return p;
}

static bool rtmi_json_is_escape(char c) {
    return c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' || c == 'n' || c == 'r' ||
           c == 't' || c == 'u';
}

/* The next quote, backslash or control character in a string; NULL if there is none. Searches 8
   bytes at a time, which takes a third of the time of a loop over bytes. The lowest bit set in
   `found` is right; higher bits may be wrong (a borrow of the subtraction). */
static const char *rtmi_json_plain_end(const char *p, const char *end) {
    for (; end - p >= 8; p += 8) {
        uint64_t word = rtmi_load(p);
        /* '"' ^ 2 is 0x20, and bytes below 0x20 stay below it: one test finds both. */
        uint64_t low = (word ^ RTMI_EACH(2)) - RTMI_EACH(0x21);
        uint64_t slash = (word ^ RTMI_EACH('\\')) - RTMI_EACH(1);
        uint64_t found = (low | slash) & ~word & RTMI_EACH(0x80);
        if (found) return p + (unsigned)__builtin_ctzll(found) / 8;
    }
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) p++;
    return p < end ? p : NULL;
}

/* p: after the opening quote. Returns where the string ends, after the closing quote; NULL if it is
   not valid. */
static const char *rtmi_json_string_end(const char *p, const char *end) {
    while ((p = rtmi_json_plain_end(p, end)) != NULL && *p != '"') {
        if (*p++ != '\\' || p == end || !rtmi_json_is_escape(*p)) return NULL;
        if (*p++ != 'u') continue;
        for (int i = 0; i < 4; i++, p++)
            if (p == end || rtmi_hex(*p) < 0) return NULL;
    }
    return p ? p + 1 : NULL;
}

/* Skips one or more digits; NULL if there is none, or p is NULL. */
static const char *rtmi_json_digits(const char *p, const char *end) {
    const char *digits = p;
    while (p && p < end && rtmi_is_digit(*p)) p++;
    return p == digits ? NULL : p;
}

/* Skips a number (RFC 8259 section 6) or a literal name; NULL if it is neither. */
static const char *rtmi_json_scalar_end(const char *p, const char *end) {
    const char *name = p == end ? "" : *p == 't' ? "true" : *p == 'f' ? "false" : "null";
    size_t length = strlen(name), left = (size_t)(end - p);
    if (length && *p == *name)
        return left >= length && !memcmp(p, name, length) ? p + length : NULL;
    if (p < end && *p == '-') p++;
    p = p < end && *p == '0' ? p + 1 : rtmi_json_digits(p, end); /* "01" ends after its 0 */
    if (p && p < end && *p == '.') p = rtmi_json_digits(p + 1, end);
    if (p && p < end && (*p == 'e' || *p == 'E')) {
        if (++p < end && (*p == '+' || *p == '-')) p++;
        p = rtmi_json_digits(p, end);
    }
    return p;
}

/* p: the end of a member's name. Returns where its value begins; NULL if there is no colon. */
static const char *rtmi_json_colon(const char *p, const char *end) {
    p = rtmi_json_space(p, end);
    return p < end && *p == ':' ? rtmi_json_space(p + 1, end) : NULL;
}

RTMI_APART static void rtmi_document_clear(rtmi_document *document) {
    document->text = NULL;
    document->element = NULL;
    document->too_deep = document->failed = false;
    document->members = 0;
    document->values = 0;
}

/* Notes a member of the object that most lookups are for. */
static void rtmi_document_note(rtmi_document *document, const char *name, const char *value,
                               const char *value_end) {
    if (document->members == RTMI_MEMBERS) return;
    unsigned i = document->members++;
    document->member[i].name = (unsigned)(name - document->text);
    document->member[i].value = (unsigned)(value - document->text);
    document->member[i].value_size = (unsigned)(value_end - value);
}

/* Whether the text is one JSON value (RFC 8259) of at most RTMI_DEPTH levels. jsmn also accepts
   some invalid texts, and its time is quadratic in the depth: it parses only what has passed
   here. */
static bool rtmi_document_check(rtmi_document *document) {
    const char *p = document->text, *end = p + document->size;
    const char *name = NULL, *value = NULL; /* of the next member to note */
    char closer[RTMI_DEPTH];
    size_t depth = 0, noted = 0; /* noted: the depth of members to note; 0 = not in that object */
    bool in_object = false; /* a name precedes the value */
    for (;;) { /* white space before p is skipped already */
        if (in_object) {
            const char *quote = p;
            p = p < end && *p == '"' ? rtmi_json_string_end(p + 1, end) : NULL;
            if (p) p = rtmi_json_colon(p, end);
            if (!p) return false;
            document->values++;
            if (depth == noted) {
                name = quote + 1;
                value = p;
            }
        }
        if (p == end) return false;
        document->values++;
        if (*p == '"') {
            p = rtmi_json_string_end(p + 1, end);
        } else if (*p == '{' || *p == '[') {
            document->too_deep = depth == RTMI_DEPTH;
            if (document->too_deep) return false;
            in_object = *p == '{';
            closer[depth++] = in_object ? '}' : ']';
            if (p == document->noted) noted = depth;
            p = rtmi_json_space(p + 1, end);
            if (p == end || *p != closer[depth - 1]) continue;
            p++; /* an empty array or object */
            if (depth-- == noted) noted = 0;
        } else {
            p = rtmi_json_scalar_end(p, end);
        }
        if (!p) return false;
        while (depth) { /* a value has ended, and perhaps the arrays and objects around it */
            if (depth == noted && name) rtmi_document_note(document, name, value, p);
            p = rtmi_json_space(p, end);
            if (p == end) return false;
            if (*p == ',') break;
            if (depth == noted) noted = 0;
            if (*p++ != closer[--depth]) return false;
        }
        if (!depth) break;
        p = rtmi_json_space(p + 1, end);
        in_object = closer[depth - 1] == '}';
    }
    return p == end;
}

/* Why a document was refused. */
RTMI_APART static const char *rtmi_document_fault(const rtmi_document *document) {
    return document->too_deep ? "nested deeper than 128 levels" : "not valid JSON";
}

static void rtmi_document_free(rtmi_document *document) {
    rtmi_free(document->token, 0);
    document->token = NULL;
    document->element = NULL;
    document->capacity = 0;
}

/* Checks a text and stores its root value, without white space around it; false if the text is not
   JSON. `noted`: the object whose members are noted, NULL = the outermost. */
static bool rtmi_document_open_at(rtmi_document *document, const char *text, size_t size,
                                  const char *noted, rtm_json *root) {
    const char *end = text + size, *start = rtmi_json_space(text, end);
    while (end > start && rtmi_json_space(end - 1, end) == end) end--;
    rtmi_document_clear(document);
    document->text = start;
    document->size = (size_t)(end - start);
    document->noted = noted ? noted : start;
    *root = (rtm_json){ start, document->size, document };
    return rtmi_document_check(document);
}

/* Checks a text as JSON and as UTF-8, and stores its root value. */
static bool rtmi_document_open(rtmi_document *document, const char *text, size_t size,
                               rtm_json *root) {
    return rtmi_document_open_at(document, text, size, NULL, root) && rtmi_is_utf8(text, size);
}

/* Skips the value that begins at p; NULL if it is incomplete. Safe on any text. */
static const char *rtmi_json_skip(const char *p, const char *end) {
    if (p == end || *p == '}' || *p == ']') return NULL;
    if (*p == '"') return rtmi_json_string_end(p + 1, end);
    if (*p != '{' && *p != '[') {
        while (p < end && (unsigned char)*p > ' ' && *p != ',' && *p != ']' && *p != '}') p++;
        return p;
    }
    size_t depth = 0;
    while (p < end) {
        char c = *p++;
        if (c == '"') {
            p = rtmi_json_string_end(p, end);
            if (!p) return NULL;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return p;
        }
    }
    return NULL;
}

static unsigned long rtmi_json_hex4(const char *p) {
    unsigned long code = 0;
    for (int i = 0; i < 4; i++) code = code << 4 | (unsigned)rtmi_hex(p[i]);
    return code;
}

/* Decodes one escape of a valid string into UTF-8; p points at the backslash. */
static size_t rtmi_json_escape(const char **at, char out[4]) {
    static const char names[] = "bfnrt", meant[] = "\b\f\n\r\t";
    static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 }; /* by length in bytes */
    const char *p = *at + 1;
    if (*p != 'u') {
        const char *name = strchr(names, *p);
        out[0] = name ? meant[name - names] : *p;
        *at = p + 1;
        return 1;
    }
    unsigned long code = rtmi_json_hex4(p + 1);
    p += 5;
    if (code >= 0xd800 && code < 0xdc00 && p[0] == '\\' && p[1] == 'u') {
        unsigned long low = rtmi_json_hex4(p + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            p += 6;
        }
    }
    if (code >= 0xd800 && code < 0xe000) code = 0xfffd; /* UTF-8 cannot encode a lone surrogate */
    *at = p;
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(lead[length] | code);
    return length;
}

/* Whether a valid string equals `text` after decoding; p: after its opening quote. Most calls are
   for the names of members, and end at the first character. */
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

/* Finds the member after the brace or comma at *at, and moves *at to its end; false if there is
   none. Safe on a text that was not checked; the member is valid JSON only if the text is. */
static bool rtmi_json_next(const char **at, const char *end, const char **name,
                           const char **value) {
    const char *p = rtmi_json_space(*at, end);
    if (p == end || (*p != '{' && *p != ',')) return false;
    p = rtmi_json_space(p + 1, end);
    *name = p + 1;
    p = p < end && *p == '"' ? rtmi_json_string_end(p + 1, end) : NULL;
    *value = p ? rtmi_json_colon(p, end) : NULL;
    *at = *value ? rtmi_json_skip(*value, end) : NULL;
    return *at != NULL;
}

/* Finds a member of an object: the first one with this name. */
static rtm_json rtmi_json_member(const rtm_json *object, const char *key, size_t length) {
    const char *p = object->text, *end = p + object->size, *name, *value;
    while (rtmi_json_next(&p, end, &name, &value))
        if (rtmi_json_says(name, key, length))
            return (rtm_json){ value, (size_t)(p - value), object->document };
    return rtmi_json_none;
}

/* Finds several members of an object in one pass, which ends when all are found. */
static void rtmi_json_pick(rtm_json object, const char *const *key, rtm_json *value, int count) {
    for (int i = 0; i < count; i++) value[i] = rtmi_json_none;
    if (!object.size) return;
    const char *p = object.text, *end = p + object.size, *name, *at;
    for (int missing = count; missing && rtmi_json_next(&p, end, &name, &at);)
        for (int i = 0; i < count; i++)
            if (!value[i].size && (*name == *key[i] || *name == '\\') &&
                rtmi_json_says(name, key[i], strlen(key[i]))) {
                value[i] = (rtm_json){ at, (size_t)(p - at), object.document };
                missing--;
            }
}

/* Appends a C string as a JSON string, quotes included. */
static void rtmi_json_quote(rtmi_buf *out, const char *text) {
    size_t length = rtm_json_quote(text, NULL, 0);
    if (!rtmi_buf_reserve(out, length + 1)) return;
    rtm_json_quote(text, out->data + out->size, length + 1);
    out->size += length;
}

/* Tokenizes the document and fills its table of elements. */
static bool rtmi_document_tokenize(rtmi_document *document) {
    jsmn_parser parser;
    size_t values = document->values, item = sizeof *document->token + sizeof *document->element;
    int offset = 0;
    if (values > document->capacity) {
        rtmi_document_free(document);
        if (values <= (size_t)-1 / item) document->token = RTM_REALLOC(NULL, values * item);
        document->failed = !document->token;
        if (document->failed) return false;
        document->capacity = values;
    }
    jsmn_init(&parser);
    /* jsmn finds as many values as the check has counted (tests/fuzz/json.c). */
    int n = jsmn_parse(&parser, document->text, document->size, document->token, (unsigned)values);
    document->element = (int *)(void *)(document->token + values);
    for (int i = 0; i < n; i++) {
        jsmntok_t *token = &document->token[i];
        jsmntok_t *parent = token->parent < 0 ? NULL : &document->token[token->parent];
        if (parent && parent->type != JSMN_STRING) /* the parent of a member's value is its name */
            document->element[parent->parent++] = i;
        if (token->type == JSMN_STRING || token->type == JSMN_PRIMITIVE) continue;
        token->parent = offset; /* no longer its parent: the place of its next element */
        offset += token->size;
    }
    return true;
}

/* Finds the token of an array or object; NULL for other values, or if out of memory. */
static const jsmntok_t *rtmi_json_token(const rtm_json *json) {
    rtmi_document *document = json->document;
    if (!document || !json->size || (*json->text != '[' && *json->text != '{')) return NULL;
    if (!document->element && !rtmi_document_tokenize(document)) {
        if (document->error)
            rtmi_fail(document->error, RTM_E_MEMORY, "out of memory parsing an array or object");
        return NULL;
    }
    int start = (int)(json->text - document->text);
    size_t low = 0, high = document->values - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (document->token[middle].start < start) low = middle + 1;
        else high = middle;
    }
    return &document->token[low];
}

/* Element `index` of an array; the name of member `index` of an object, or its value (the next
   token). */
static rtm_json rtmi_json_element(const rtm_json *json, size_t index, bool value) {
    const rtmi_document *document = json->document;
    const jsmntok_t *token = rtmi_json_token(json);
    if (!token || index >= (size_t)token->size) return rtmi_json_none;
    int first = token->parent - token->size; /* `parent` is the end of its elements by now */
    token = &document->token[document->element[first + (int)index] + value];
    int quote = token->type == JSMN_STRING; /* jsmn leaves out both quotes */
    return (rtm_json){ document->text + token->start - quote,
                       (size_t)(token->end - token->start + 2 * quote), json->document };
}

/* ------------------------------------------------------------------------------------------------
 * >>http   URLs, request parts, the response parser (RFC 9112)
 * --------------------------------------------------------------------------------------------- */

/* The destination of a connection. */
typedef struct rtmi_peer {
    char host[RTMI_HOST]; /* name or address, without the brackets of an IPv6 literal */
    char port[6];
    bool tls;
    bool default_port; /* the scheme's, 80 or 443: not in the Host field (RFC 9110 4.2) */
} rtmi_peer;

/* Whether a string is not empty, and each character is alphanumeric or one of these. */
static bool rtmi_consists_of(const char *text, size_t length, const char *others) {
    for (size_t i = 0; i < length; i++)
        if (!rtmi_is_alnum(text[i]) && !strchr(others, text[i])) return false;
    return length > 0;
}

/* A token (RFC 9110 section 5.6.2), as the name of a header field must be. */
static bool rtmi_is_field_name(const char *text, size_t length) {
    return rtmi_consists_of(text, length, "!#$%&'*+-.^_`|~");
}

/* Parses host, host:port or [v6]:port, up to the end of the text. */
static bool rtmi_parse_authority(const char *text, size_t length, rtmi_peer *peer,
                                 unsigned default_port) {
    const char *end = text + length, *host = text, *host_end;
    if (length && *text == '[') {
        host++;
        host_end = memchr(text, ']', length);
        if (!host_end || !memchr(host, ':', (size_t)(host_end - host))) return false;
        text = host_end + 1;
    } else {
        host_end = memchr(text, ':', length);
        if (!host_end) host_end = end;
        text = host_end;
    }
    size_t host_size = (size_t)(host_end - host);
    if (host_size >= RTMI_HOST || !rtmi_consists_of(host, host_size, "-._:%")) return false;
    unsigned long port = default_port;
    if (text < end && *text++ != ':') return false;
    if (text < end) {
        char *stop;
        port = rtmi_is_digit(*text) ? strtoul(text, &stop, 10) : 0;
        if (!port || stop != end || port > 65535) return false;
    }
    memcpy(peer->host, host, host_size);
    peer->host[host_size] = '\0';
    snprintf(peer->port, sizeof peer->port, "%u", (unsigned)port & 0xffff);
    peer->default_port = port == default_port;
    return true;
}

/* Parses scheme://authority[/path][?query]; scheme: http, https, ws or wss. User info is refused, a
   fragment is ignored. *path is the rest of `url`; it may be empty or begin with '?'. */
static bool rtmi_parse_url(const char *url, rtmi_peer *peer, const char **path, size_t *path_size) {
    static const char *const schemes[] = { "http", "ws", "https", "wss" }; /* two without TLS */
    size_t i = 0, length = strcspn(url, ":");
    while (i < 4 && !rtmi_same_word(url, length, schemes[i])) i++;
    if (i == 4 || strncmp(url + length, "://", 3) || !rtmi_is_visible(url)) return false;
    const char *authority = url + length + 3;
    size_t size = strcspn(authority, "/?#");
    peer->tls = i >= 2;
    *path = authority + size;
    *path_size = strcspn(*path, "#");
    return rtmi_parse_authority(authority, size, peer, peer->tls ? 443 : 80);
}

/* Writes the host as in a Host field: brackets around IPv6, the port unless it is the default. */
static void rtmi_write_authority(rtmi_buf *out, const rtmi_peer *peer, bool with_port) {
    bool v6 = strchr(peer->host, ':') != NULL;
    rtmi_buf_text(out, v6 ? "[" : "", peer->host, v6 ? "]" : "", with_port ? ":" : "",
                  with_port ? peer->port : "");
}

/* The value of a header field among lines "Name: value\r\n"; NULL if it is missing. */
static const char *rtmi_find_header(const char *lines, const char *name) {
    for (; lines && *lines; lines = strchr(lines, '\n') + 1) {
        size_t length = strcspn(lines, ":");
        if (rtmi_same_word(lines, length, name)) return lines + length + 1;
    }
    return NULL;
}

/* Writes a field of our own, unless the user's headers have one of this name. */
static void rtmi_write_header(rtmi_buf *out, const char *user_lines, const char *name,
                              const char *value) {
    if (!rtmi_find_header(user_lines, name)) rtmi_buf_text(out, name, ": ", value, "\r\n");
}

/* Writes the request line, Host, User-Agent and the user's own fields. */
static void rtmi_write_request(rtmi_buf *out, const char *method, const char *path,
                               size_t path_length, const rtmi_peer *peer, const char *user_lines) {
    bool rooted = path_length && *path == '/'; /* RFC 9112 section 3.2.1 */
    rtmi_buf_text(out, method, rooted ? " " : " /");
    rtmi_buf_add(out, path, path_length);
    rtmi_buf_text(out, " HTTP/1.1\r\n");
    if (!rtmi_find_header(user_lines, "Host")) {
        rtmi_buf_text(out, "Host: ");
        rtmi_write_authority(out, peer, !peer->default_port);
        rtmi_buf_text(out, "\r\n");
    }
    rtmi_write_header(out, user_lines, "User-Agent", "rtm.h/" RTM_VERSION);
    if (user_lines) rtmi_buf_text(out, user_lines);
}

#define RTMI_FORM "application/x-www-form-urlencoded"

/* Appends a string, form-encoded (WHATWG URL section 5.2). */
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
    RTMI_HTTP_MORE, /* all input is used, the response continues */
    RTMI_HTTP_BODY, /* body and body_size point at a piece of the body within the input */
    RTMI_HTTP_DONE, /* the response is complete; input after `used` is not part of it */
    RTMI_HTTP_BAD   /* not a response that RFC 9112 allows: see error */
} rtmi_http_what;

/* What the parser expects next (RFC 9112 sections 4 to 7). */
typedef enum rtmi_http_part {
    RTMI_HTTP_STATUS_LINE, /* HTTP/1.1 200 OK; again after an interim response (1xx) */
    RTMI_HTTP_FIELDS,      /* a header line, or the empty line that ends the head */
    RTMI_HTTP_LENGTH,      /* body: `left` bytes by Content-Length */
    RTMI_HTTP_UNTIL_CLOSE, /* body: everything until the connection ends */
    RTMI_HTTP_CHUNK,       /* body: `left` bytes of this chunk */
    RTMI_HTTP_CHUNK_SIZE,  /* the line before a chunk; size 0 is followed by the trailers */
    RTMI_HTTP_CHUNK_END,   /* the line end after a chunk */
    RTMI_HTTP_TRAILERS,    /* a trailer line, or the empty line that ends the response */
    RTMI_HTTP_COMPLETE     /* nothing: further bytes are not part of the response */
} rtmi_http_part;

/* What a response may do in addition to being an ordinary one. */
typedef enum rtmi_http_kind {
    RTMI_HTTP_ORDINARY,
    RTMI_HTTP_UPGRADE, /* it may be a 101: a WebSocket follows */
    RTMI_HTTP_CONNECT  /* it is a proxy's: a tunnel follows */
} rtmi_http_kind;

typedef struct rtmi_http {
    rtmi_http_part part;
    rtmi_http_kind kind;
    int status;
    int retry_after; /* seconds, -1 = no such field */
    bool keep_alive, chunked, has_length, upgrade_websocket, connection_upgrade, extension;
    uint64_t left;    /* bytes left of the body or this chunk; a huge number if the body ends with
                         the connection */
    size_t head;      /* bytes of header lines so far; limit: RTMI_HEAD */
    size_t line_size; /* RTMI_LINE if the line is longer */
    const char *body;
    size_t body_size;
    const char *error;
    char accept[32]; /* Sec-WebSocket-Accept */
    char content_type[128];
    char line[RTMI_LINE];
} rtmi_http;

RTMI_APART static void rtmi_http_start(rtmi_http *http, rtmi_http_kind kind) {
    memset(http, 0, sizeof *http);
    http->kind = kind;
    http->retry_after = -1;
    http->left = UINT64_MAX;
}

/* Whether a comma-separated list of tokens (RFC 9110 section 5.6.1) has this one. */
static bool rtmi_list_has(const char *list, const char *token) {
    for (;;) {
        list += strspn(list, " \t,");
        if (!*list) return false;
        size_t length = strcspn(list, ",");
        if (rtmi_same_word(list, rtmi_trimmed(list, length, " \t"), token)) return true;
        list += length;
    }
}

/* The functions from here to rtmi_http_line return NULL, or what is wrong with the line.
   HTTP-version SP status-code SP [reason]; some servers leave out the last space. */
static const char *rtmi_http_status_line(rtmi_http *http) {
    const char *line = http->line;
    if (strncmp(line, "HTTP/1.", 7) || !rtmi_is_digit(line[7]) || line[8] != ' ')
        return "not an HTTP/1.1 response";
    if (strspn(line + 9, "0123456789") != 3 || line[9] == '0' || (line[12] && line[12] != ' '))
        return "no status code";
    http->status = (int)strtol(line + 9, NULL, 10);
    http->keep_alive = line[7] != '0';
    http->part = RTMI_HTTP_FIELDS;
    return NULL;
}

static bool rtmi_is_digits(const char *text) {
    return *text && !text[strspn(text, "0123456789")];
}

/* The header fields that matter here; all others are skipped. */
enum {
    RTMI_CONTENT_LENGTH, RTMI_TRANSFER_ENCODING, RTMI_CONNECTION, RTMI_UPGRADE, RTMI_RETRY_AFTER,
    RTMI_WS_ACCEPT, RTMI_WS_EXTENSIONS, RTMI_WS_PROTOCOL,
    RTMI_CONTENT_TYPE, /* from here on a long line may be truncated */
    RTMI_OTHER
};
static const char *const rtmi_field_names[RTMI_OTHER] = {
    "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Retry-After",
    "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Content-Type"
};

static const char *rtmi_http_field(rtmi_http *http, int field, char *value) {
    bool tunnel = http->kind == RTMI_HTTP_CONNECT && http->status / 100 == 2;
    unsigned long seconds;
    if (tunnel && field <= RTMI_TRANSFER_ENCODING) return NULL; /* no body (RFC 9110 9.3.6) */
    switch (field) {
    case RTMI_CONTENT_LENGTH:
        if (http->has_length) return "duplicate Content-Length";
        http->has_length = true;
        http->left = strtoull(value, NULL, 10);
        if (!rtmi_is_digits(value) || http->left > INT64_MAX)
            return "Content-Length is not a number, or too large";
        break;
    case RTMI_TRANSFER_ENCODING:
        if (http->chunked || !rtmi_same_word(value, strlen(value), "chunked"))
            return "unsupported Transfer-Encoding";
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
        if (!rtmi_is_digits(value)) break;
        seconds = strtoul(value, NULL, 10);
        http->retry_after = seconds < RTMI_RETRY_AFTER_S ? (int)seconds : RTMI_RETRY_AFTER_S;
        break;
    case RTMI_WS_ACCEPT:
        if (*http->accept) return "duplicate Sec-WebSocket-Accept";
        snprintf(http->accept, sizeof http->accept, "%.31s", value);
        break;
    case RTMI_WS_EXTENSIONS:
    case RTMI_WS_PROTOCOL: http->extension = true; break;
    case RTMI_CONTENT_TYPE:
        snprintf(http->content_type, sizeof http->content_type, "%.127s", value);
        break;
    default: break;
    }
    return NULL;
}

static const char *rtmi_http_field_line(rtmi_http *http) {
    char *line = http->line;
    size_t length = strcspn(line, ":");
    bool cut = http->line_size == RTMI_LINE;
    int field = 0;
    /* A line must not continue the line before it (section 5.2). */
    if (!line[length] || !rtmi_is_field_name(line, length))
        return "header line without a valid name";
    while (field < RTMI_OTHER && !rtmi_same_word(line, length, rtmi_field_names[field])) field++;
    /* A truncated line is harmless in a field that is not read here. */
    if (cut && field < RTMI_CONTENT_TYPE) return "header line too long";
    char *value = line + length + 1 + strspn(line + length + 1, " \t");
    value[rtmi_trimmed(value, strlen(value), " \t")] = '\0';
    return rtmi_http_field(http, field, value);
}

/* The empty line after the fields: what follows (RFC 9112 section 6.3)? */
static const char *rtmi_http_head_end(rtmi_http *http) {
    bool upgraded = http->status == 101;
    if (upgraded && http->kind != RTMI_HTTP_UPGRADE) return "unexpected status 101";
    if (http->status < 200 && !upgraded) { /* interim: the final response follows */
        size_t head = http->head;
        rtmi_http_start(http, http->kind);
        http->head = head;
        return NULL;
    }
    if (http->chunked && http->has_length && !upgraded)
        return "both Content-Length and Transfer-Encoding";
    /* If an upgrade or a tunnel is refused, the status and the fields are enough. */
    bool empty = http->kind != RTMI_HTTP_ORDINARY || http->status == 204 || http->status == 304;
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
    const char *p = http->line + digits + strspn(http->line + digits, " \t");
    if (!digits || size > INT64_MAX || (*p ? *p != ';' : http->line_size == RTMI_LINE))
        return "invalid chunk size"; /* an extension may be truncated, the size not */
    http->left = size;
    http->head = 0; /* the limit is for each chunk's line, and for the trailers */
    http->part = size ? RTMI_HTTP_CHUNK : RTMI_HTTP_TRAILERS;
    return NULL;
}

/* A line is complete, without its line end. */
RTMI_APART static const char *rtmi_http_line(rtmi_http *http) {
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
        if (http->part >= RTMI_HTTP_LENGTH && http->part <= RTMI_HTTP_CHUNK) {
            bool chunk = http->part == RTMI_HTTP_CHUNK;
            http->body = in + *used;
            http->body_size = size - *used < http->left ? size - *used : (size_t)http->left;
            http->left -= http->body_size;
            if (!http->left) http->part = chunk ? RTMI_HTTP_CHUNK_END : RTMI_HTTP_COMPLETE;
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

/* Whether the head is complete, with a status other than 2xx: a failure in the body then changes
   nothing. */
static bool rtmi_http_is_decided(const rtmi_http *http) {
    return http->part > RTMI_HTTP_FIELDS && http->kind == RTMI_HTTP_ORDINARY &&
           http->status / 100 != 2;
}

/* Notes that the connection has ended. `clean`: it cannot have been truncated (TLS
   close_notify). */
static rtmi_http_what rtmi_http_end(rtmi_http *http, bool clean) {
    if (http->part == RTMI_HTTP_UNTIL_CLOSE && clean) return RTMI_HTTP_DONE;
    http->error = "connection closed before the end of the response";
    return RTMI_HTTP_BAD;
}

/* ------------------------------------------------------------------------------------------------
 * >>ws     the WebSocket handshake, frame parser, frame writer (RFC 6455)
 * --------------------------------------------------------------------------------------------- */

enum { /* opcodes, section 5.2 */
    RTMI_WS_CONTINUATION = 0x0, RTMI_WS_TEXT = 0x1, RTMI_WS_BINARY = 0x2,
    RTMI_WS_CLOSE = 0x8, RTMI_WS_PING = 0x9, RTMI_WS_PONG = 0xa
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
    RTMI_WS_SKIPPED, /* a message was skipped: `skip` is the cause; the session continues */
    RTMI_WS_BAD      /* protocol error: `code` is the close code to send, see error */
} rtmi_ws_what;

typedef struct rtmi_ws {
    unsigned char header[10];
    unsigned have;           /* bytes of the header so far */
    unsigned char message;   /* opcode of the fragmented message in progress; 0 = none */
    uint64_t left;           /* bytes of payload that follow, once the header is complete */
    rtmi_utf8 utf8;
    rtmi_buf buffer;         /* a message of which one input has only a part */
    size_t limit;            /* bytes of one message */
    bool close_sent;         /* nothing is sent after CLOSE (section 5.5.1) */
    rtm_result skip;         /* why the rest of this message is skipped; RTM_OK = it is kept */
    unsigned char opcode;    /* of this frame; at its end, of the message in data and size */
    const char *data;        /* in the input, `buffer` or `control`; valid until the next call */
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

RTMI_APART static rtmi_ws_what rtmi_ws_bad(rtmi_ws *ws, int code, const char *error) {
    ws->code = code;
    ws->error = error;
    return RTMI_WS_BAD;
}

/* The size of this header in bytes, according to those of its first two that have arrived. */
static unsigned rtmi_ws_header_size(const rtmi_ws *ws) {
    unsigned length = ws->have < 2 ? 0 : ws->header[1] & 0x7f;
    return length == 127 ? 10 : length == 126 ? 4 : 2;
}

/* Checks a header of one byte or more: NULL, or what is wrong. An error is reported with the first
   byte that shows it. */
static const char *rtmi_ws_check_header(rtmi_ws *ws) {
    unsigned opcode = ws->header[0] & 0xf;
    bool control = (opcode & 8) != 0;
    if (ws->header[0] & 0x70) return "reserved bits set";
    if (opcode > RTMI_WS_PONG || (opcode > RTMI_WS_BINARY && !control)) return "reserved opcode";
    if (control && !(ws->header[0] & 0x80)) return "fragmented control frame";
    if (!control && (opcode == RTMI_WS_CONTINUATION) != (ws->message != 0))
        return ws->message ? "new message inside a fragmented message"
                           : "continuation frame without a message";
    if (ws->have < 2) return NULL;
    if (ws->header[1] & 0x80) return "masked frame from a server";
    if (control && ws->header[1] > 125) return "control frame longer than 125 bytes";
    if (ws->have > 2 && ws->header[1] == 127 && (ws->header[2] & 0x80))
        return "frame length with its highest bit set";
    return NULL;
}

/* Takes a complete header: NULL, or what is wrong with it. */
static const char *rtmi_ws_begin_payload(rtmi_ws *ws) {
    ws->opcode = ws->header[0] & 0xf;
    ws->left = ws->header[1] & 0x7f;
    if (ws->have > 2) {
        ws->left = 0;
        for (unsigned i = 2; i < ws->have; i++) ws->left = ws->left << 8 | ws->header[i];
        if (ws->left < (ws->have == 4 ? 126u : 65536u)) /* section 5.2: minimal number of bytes */
            return "frame length not in its shortest form";
    }
    ws->size = 0;
    if (ws->opcode & 8) return NULL;
    if (ws->opcode != RTMI_WS_CONTINUATION) {
        ws->message = ws->opcode;
        ws->skip = RTM_OK;
        memset(&ws->utf8, 0, sizeof ws->utf8);
        rtmi_buf_clear(&ws->buffer);
    }
    if (!ws->skip && ws->left > ws->limit - ws->buffer.size) ws->skip = RTM_E_TOO_BIG;
    return NULL;
}

/* Takes a complete frame, with its payload in data and size. */
static rtmi_ws_what rtmi_ws_end_frame(rtmi_ws *ws) {
    ws->have = 0;
    if (ws->opcode == RTMI_WS_CLOSE) {
        int code = ws->control[0] << 8 | ws->control[1];
        ws->code = ws->size ? code : RTMI_CLOSE_NO_STATUS;
        if (ws->size && (ws->size == 1 || code < 1000 || (code >= 1004 && code <= 1006) ||
                         (code >= 1015 && code < 3000) || code >= 5000))
            return rtmi_ws_bad(ws, RTMI_CLOSE_PROTOCOL_ERROR, "invalid close code");
        if (ws->size && !rtmi_is_utf8((const char *)ws->control + 2, ws->size - 2))
            return rtmi_ws_bad(ws, RTMI_CLOSE_INVALID_PAYLOAD, "text is not valid UTF-8");
    }
    if (ws->opcode & 8) return RTMI_WS_MESSAGE;
    if (!(ws->header[0] & 0x80)) return RTMI_WS_MORE;
    ws->opcode = ws->message;
    ws->message = 0;
    if (ws->skip) return RTMI_WS_SKIPPED;
    if (ws->opcode == RTMI_WS_TEXT && ws->utf8.need)
        return rtmi_ws_bad(ws, RTMI_CLOSE_INVALID_PAYLOAD, "text is not valid UTF-8");
    return RTMI_WS_MESSAGE;
}

/* Takes `size` bytes of this frame's payload. */
static rtmi_ws_what rtmi_ws_payload(rtmi_ws *ws, const char *in, size_t size) {
    bool whole = ws->left == size;
    ws->left -= size;
    if (ws->opcode & 8) {
        memcpy(ws->control + ws->size, in, size);
        ws->data = (const char *)ws->control;
        ws->size += size;
    } else if (!ws->skip) {
        if (ws->message == RTMI_WS_TEXT && !rtmi_utf8_check(&ws->utf8, in, size))
            return rtmi_ws_bad(ws, RTMI_CLOSE_INVALID_PAYLOAD, "text is not valid UTF-8");
        if (whole && (ws->header[0] & 0x80) && !ws->buffer.size) {
            /* The input has the whole message: no copy (half the cost of a small event). */
            ws->data = in;
            ws->size = size;
        } else {
            rtmi_buf_add(&ws->buffer, in, size);
            if (ws->buffer.failed) ws->skip = RTM_E_MEMORY;
            ws->data = ws->buffer.data;
            ws->size = ws->buffer.size;
        }
    } else if (ws->buffer.size < RTMI_LINE) { /* keeps the beginning, which may have an id */
        size_t room = RTMI_LINE - ws->buffer.size;
        rtmi_buf_add(&ws->buffer, in, size < room ? size : room);
    }
    return ws->left ? RTMI_WS_MORE : rtmi_ws_end_frame(ws);
}

/* Parses bytes up to the end of the first message, and stores their number in *used. Must not be
   called again after RTMI_WS_BAD: the parser stopped in the middle of a frame. */
RTMI_APART static rtmi_ws_what rtmi_ws_parse(rtmi_ws *ws, const char *in, size_t size,
                                             size_t *used) {
    rtmi_ws_what what = RTMI_WS_MORE;
    size_t at = 0;
    bool whole = ws->have == rtmi_ws_header_size(ws); /* the header: payload follows */
    while (what == RTMI_WS_MORE && (at < size || (whole && !ws->left))) {
        if (!whole) {
            while (!whole && at < size) {
                ws->header[ws->have++] = (unsigned char)in[at++];
                whole = ws->have == rtmi_ws_header_size(ws);
            }
            const char *error = rtmi_ws_check_header(ws);
            if (!error && whole) error = rtmi_ws_begin_payload(ws);
            if (error) what = rtmi_ws_bad(ws, RTMI_CLOSE_PROTOCOL_ERROR, error);
        } else {
            size_t piece = size - at < ws->left ? size - at : (size_t)ws->left;
            what = rtmi_ws_payload(ws, in + at, piece);
            at += piece;
            whole = ws->left > 0;
        }
    }
    *used = at;
    return what;
}

/* Appends a frame, FIN set, masked as every client frame (section 5.3). */
static bool rtmi_ws_frame(rtmi_buf *out, int opcode, const void *payload, size_t size,
                          const unsigned char mask[4]) {
    unsigned length = size < 126 ? (unsigned)size : size < 65536 ? 126 : 127;
    unsigned char header[14] = { (unsigned char)(0x80 | opcode), (unsigned char)(0x80 | length) };
    size_t header_size = length < 126 ? 2 : length == 126 ? 4 : 10, left = size;
    for (size_t i = header_size; i-- > 2; left >>= 8) header[i] = (unsigned char)left;
    memcpy(header + header_size, mask, 4);
    if (!rtmi_buf_reserve(out, header_size + 4 + size)) return false;
    rtmi_buf_add(out, header, header_size + 4);
    const unsigned char *in = payload;
    for (size_t i = 0; i < size; i++) out->data[out->size++] = (char)(in[i] ^ mask[i & 3]);
    return true;
}

/* base64(SHA-1(key + GUID)), section 4.2.2: proves that the peer is a WebSocket server. */
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

/* Checks the response to our handshake (section 4.1): NULL, or what is wrong with it. */
static const char *rtmi_ws_check_upgrade(const rtmi_http *http, const char *key) {
    char accept[29];
    rtmi_ws_accept(key, accept);
    if (!http->upgrade_websocket) return "no \"Upgrade: websocket\"";
    if (!http->connection_upgrade) return "no \"Connection: Upgrade\"";
    if (strcmp(http->accept, accept)) return "wrong Sec-WebSocket-Accept";
    if (http->extension) return "extension or subprotocol that was not requested";
    return NULL;
}

/* ------------------------------------------------------------------------------------------------
 * >>trust  X.509: the trust anchors are in memory only while a chain is being checked
 * --------------------------------------------------------------------------------------------- */

/* The X.509 engine for BearSSL. Loading Debian's whole bundle takes 79 KB and 34 ms, so the bundle
   is loaded when a server's Certificate message begins, and freed when the message ends. A resumed
   session does not need it. */
typedef struct rtmi_trust {
    br_x509_class methods; /* those of `minimal`, except start_chain and end_chain */
    br_ssl_engine_context *engine; /* has the implementations of RSA and ECDSA */
    const char *host;   /* checked against the certificate */
    const char *ca_pem; /* one of these two, or neither: the first bundle of rtmi_bundles */
    const char *ca_file;
    rtmi_buf anchors; /* an array of `count` br_x509_trust_anchor */
    size_t count;
    const char *error; /* what is wrong with the bundle, or NULL */
    bool first_only;   /* stop after one certificate: only to see whether there is any */
    bool no_memory;    /* out of memory while loading the bundle */
    br_pem_decoder_context pem; /* this and the rest: used while the bundle is being loaded */
    br_x509_decoder_context x509;
    rtmi_buf name; /* of the certificate's subject */
    br_x509_minimal_context minimal; /* BearSSL points at its vtable, which is first in it */
} rtmi_trust;

static rtmi_trust *rtmi_trust_of(const br_x509_class **context) {
    return (rtmi_trust *)(void *)((char *)context - offsetof(rtmi_trust, minimal));
}

/* In the order of BearSSL's ids, from br_sha256_ID on. */
static const br_hash_class *const rtmi_sha2[] = { &br_sha256_vtable, &br_sha384_vtable,
                                                  &br_sha512_vtable };

static const char *const rtmi_bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Alpine, Arch, OpenWrt */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
    "/etc/ssl/ca-bundle.pem",             /* openSUSE */
    "/etc/ssl/cert.pem",                  /* Alpine, the BSDs, macOS */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", NULL
};

static void rtmi_trust_name(void *context, const void *data, size_t size) {
    rtmi_buf_add(&((rtmi_trust *)context)->name, data, size);
}

static void rtmi_trust_certificate(void *context, const void *data, size_t size) {
    br_x509_decoder_context *x509 = &((rtmi_trust *)context)->x509;
    int error = br_x509_decoder_last_error(x509);
    /* BearSSL 0.6 continues decoding after an error, with invalid data; later versions do not. */
    if (!error || error == BR_ERR_X509_TRUNCATED) br_x509_decoder_push(x509, data, size);
}

/* Keeps a decoded certificate's name and key, in one block; false: out of memory. A certificate
   that cannot be decoded is skipped: a bundle may contain types of keys that are unknown here. */
static bool rtmi_trust_add(rtmi_trust *trust) {
    const br_x509_pkey *key = br_x509_decoder_get_pkey(&trust->x509);
    if (!key || trust->name.failed) return !trust->name.failed;
    if (!rtmi_buf_reserve(&trust->anchors, sizeof(br_x509_trust_anchor))) return false;
    bool rsa = key->key_type == BR_KEYTYPE_RSA;
    size_t size = rsa ? key->key.rsa.nlen + key->key.rsa.elen : key->key.ec.qlen;
    char *block = RTM_REALLOC(NULL, trust->name.size + size + 3); /* each part with a NUL */
    if (!block) return false;
    br_x509_trust_anchor *anchor = (void *)(trust->anchors.data + trust->anchors.size);
    trust->count++;
    trust->anchors.size += sizeof *anchor;
    anchor->dn.len = trust->name.size;
    anchor->dn.data = rtmi_pack(&block, trust->name.data, trust->name.size);
    anchor->flags = br_x509_decoder_isCA(&trust->x509) ? BR_X509_TA_CA : 0;
    anchor->pkey = *key;
    if (rsa) {
        anchor->pkey.key.rsa.n = rtmi_pack(&block, key->key.rsa.n, key->key.rsa.nlen);
        anchor->pkey.key.rsa.e = rtmi_pack(&block, key->key.rsa.e, key->key.rsa.elen);
    } else {
        anchor->pkey.key.ec.q = rtmi_pack(&block, key->key.ec.q, key->key.ec.qlen);
    }
    return true;
}

/* Decodes a piece of PEM text. Damaged objects are skipped. */
static void rtmi_trust_push(rtmi_trust *trust, const char *text, size_t size) {
    while (size && !trust->no_memory && !(trust->first_only && trust->count)) {
        size_t used = br_pem_decoder_push(&trust->pem, text, size);
        text += used;
        size -= used;
        const char *kind = br_pem_decoder_name(&trust->pem);
        size_t length = rtmi_trimmed(kind, strlen(kind), "- \t\r"); /* before blanks and CRLF */
        bool known = rtmi_same_word(kind, length, "CERTIFICATE") ||
                     rtmi_same_word(kind, length, "X509 CERTIFICATE");
        int event = br_pem_decoder_event(&trust->pem);
        if (event == BR_PEM_BEGIN_OBJ) {
            rtmi_buf_clear(&trust->name);
            br_x509_decoder_init(&trust->x509, rtmi_trust_name, trust);
            br_pem_decoder_setdest(&trust->pem, known ? rtmi_trust_certificate : NULL, trust);
        }
        if (event == BR_PEM_END_OBJ) trust->no_memory = !rtmi_trust_add(trust);
        /* Else the data of this object would precede that of the next one. */
        if (event == BR_PEM_ERROR) br_pem_decoder_init(&trust->pem);
    }
}

static void rtmi_trust_free_anchors(rtmi_trust *trust) {
    br_x509_trust_anchor *anchor = (void *)trust->anchors.data;
    while (trust->count) RTM_FREE(anchor[--trust->count].dn.data); /* head of its block */
    rtmi_buf_free(&trust->anchors);
}

static void rtmi_trust_load_file(rtmi_trust *trust, FILE *file) {
    char chunk[1024];
    size_t size = sizeof chunk;
    for (int chunks = 0; size && !trust->no_memory && chunks < RTMI_BUNDLE_KIB; chunks++) {
        size = fread(chunk, 1, sizeof chunk, file);
        rtmi_trust_push(trust, chunk, size);
    }
    if (ferror(file)) trust->error = "the CA bundle cannot be read";
    fclose(file);
}

/* Loads the bundle. `error` has the cause of any failure. */
static void rtmi_trust_load(rtmi_trust *trust) {
    br_pem_decoder_init(&trust->pem);
    if (trust->ca_pem) {
        rtmi_trust_push(trust, trust->ca_pem, strlen(trust->ca_pem));
    } else {
        const char *const *bundle = rtmi_bundles;
        FILE *file = rtmi_open_file(trust->ca_file ? trust->ca_file : *bundle);
        while (!file && !trust->ca_file && *++bundle) file = rtmi_open_file(*bundle);
        if (file) rtmi_trust_load_file(trust, file);
        else trust->error = trust->ca_file ? "the CA bundle cannot be opened"
                                           : "no CA bundle found: set ca_file or ca_pem";
    }
    rtmi_trust_push(trust, "\n", 1); /* ends the last line */
    rtmi_buf_free(&trust->name);
    if (trust->no_memory) trust->error = "out of memory";
    else if (!trust->error && !trust->count) trust->error = "no certificate in the CA bundle";
}

static void rtmi_trust_start_chain(const br_x509_class **context, const char *server_name) {
    rtmi_trust *trust = rtmi_trust_of(context);
    br_x509_minimal_context *minimal = &trust->minimal;
    (void)server_name; /* the SNI, which must not contain an address (RFC 6066): see `host` */
    rtmi_trust_load(trust);
    br_x509_minimal_init(minimal, &br_sha256_vtable, (void *)trust->anchors.data, trust->count);
    br_x509_minimal_set_rsa(minimal, br_ssl_engine_get_rsavrfy(trust->engine));
    br_x509_minimal_set_ecdsa(minimal, br_ssl_engine_get_ec(trust->engine),
                              br_ssl_engine_get_ecdsa(trust->engine));
    for (int i = 0; i < 3; i++) br_x509_minimal_set_hash(minimal, br_sha256_ID + i, rtmi_sha2[i]);
    br_x509_minimal_set_minrsa(minimal, 2048 / 8);
    long long now = (long long)RTM_TIME();
    if (now < 0) now = 0; /* a 32-bit time_t after 2038: all certificates are "not yet valid" */
    br_x509_minimal_set_time(minimal, (uint32_t)(719528 + now / 86400), (uint32_t)(now % 86400));
    minimal->vtable->start_chain(context, trust->host);
    minimal->vtable = &trust->methods; /* _init has set that of BearSSL */
}

static unsigned rtmi_trust_end_chain(const br_x509_class **context) {
    rtmi_trust *trust = rtmi_trust_of(context);
    unsigned error = br_x509_minimal_vtable.end_chain(context);
    rtmi_trust_free_anchors(trust); /* the server's own key is kept in `minimal` */
    return error ? error : trust->error ? BR_ERR_X509_NOT_TRUSTED : 0;
}

/* The message for an error of BearSSL, with advice. */
static const char *rtmi_tls_error(int error) {
#define RTMI_ALERT(n, name) { BR_ERR_RECV_FATAL_ALERT + (n), "the server sent alert " #n " (" name }
    static const struct { short error; const char *message; } known[] = {
        { BR_ERR_X509_NOT_TRUSTED, "certificate not signed by a trusted CA; if a "
          "proxy inspects TLS, add its CA to ca_file" },
        { BR_ERR_X509_EXPIRED, "certificate expired or not yet valid; check this machine's clock" },
        { BR_ERR_X509_BAD_SERVER_NAME,
          "certificate is for another host name (an IP address is not supported: use a name)" },
        { BR_ERR_X509_CRITICAL_EXTENSION,
          "certificate has a critical extension that BearSSL does not support, such as name "
          "constraints" },
        { BR_ERR_X509_FORBIDDEN_KEY_USAGE, "certificate not allowed for this use (key usage)" },
        { BR_ERR_WRONG_KEY_USAGE, "certificate not allowed for this use (key usage)" },
        { BR_ERR_X509_WEAK_PUBLIC_KEY, "certificate has an RSA key of less than 2048 bits" },
        { BR_ERR_X509_DN_MISMATCH, "the server's certificate chain is incomplete or out of order" },
        { BR_ERR_X509_NOT_CA, "certificate issued by a certificate that is not a CA" },
        { BR_ERR_X509_UNSUPPORTED, "unsupported certificate signature (SHA-1, RSA-PSS, Ed25519)" },
        { BR_ERR_X509_BAD_SIGNATURE, "invalid certificate signature" },
        { BR_ERR_BAD_VERSION, "not TLS, or a version other than TLS 1.2" },
        { BR_ERR_UNSUPPORTED_VERSION, "not TLS, or a version other than TLS 1.2" },
        RTMI_ALERT(70, "protocol_version): it does not support TLS 1.2"),
        RTMI_ALERT(40, "handshake_failure): no cipher suite in common, or it requires a client "
                       "certificate, TLS 1.3, renegotiation or the extended master secret"),
        RTMI_ALERT(10, "unexpected_message)"), RTMI_ALERT(20, "bad_record_mac)"),
        RTMI_ALERT(47, "illegal_parameter)"), RTMI_ALERT(48, "unknown_ca)"),
        RTMI_ALERT(49, "access_denied)"), RTMI_ALERT(50, "decode_error)"),
        RTMI_ALERT(51, "decrypt_error)"), RTMI_ALERT(71, "insufficient_security)"),
        RTMI_ALERT(80, "internal_error)"), RTMI_ALERT(112, "unrecognized_name)"),
        { BR_ERR_BAD_MAC, "TLS record failed its integrity check (bad MAC)" },
        { BR_ERR_NO_RANDOM, "no source of random numbers" }
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].error == error) return known[i].message;
    return error >= BR_ERR_SEND_FATAL_ALERT   ? "rtm.h sent a fatal alert"
           : error >= BR_ERR_RECV_FATAL_ALERT ? "the server sent a fatal alert"
           : error >= BR_ERR_X509_OK          ? "invalid certificate"
                                              : "invalid TLS data from the server";
}

/* ------------------------------------------------------------------------------------------------
 * >>conn   one connection: lookup, TCP, proxy CONNECT, TLS, bytes. All socket calls are here.
 * --------------------------------------------------------------------------------------------- */

typedef union rtmi_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} rtmi_address;

typedef struct rtmi_addresses {
    unsigned count;
    rtmi_address at[RTMI_ADDRESSES];
} rtmi_addresses;

/* Whichever finishes with a lookup last, the thread or the client, frees it. */
enum { RTMI_LOOKUP_RUNNING, RTMI_LOOKUP_DONE, RTMI_LOOKUP_ABANDONED };

/* The lookup of a host name, in a thread of its own because getaddrinfo() has no timeout. It does
   not refer to the client's memory, and is allocated with malloc(), because RTM_REALLOC need not be
   thread-safe. */
typedef struct rtmi_lookup {
    int progress;     /* RTMI_LOOKUP_...; changed by atomic exchange */
    int wake_fd;      /* the thread's duplicate: the client may be destroyed meanwhile */
    int error;        /* of getaddrinfo() */
    rtmi_addresses found;
    rtmi_peer peer;
} rtmi_lookup;

/* What is remembered of a host. Resuming a TLS session takes 1/33 of a full handshake's
   instructions, and no trust anchors. */
typedef struct rtmi_host {
    rtmi_peer peer;
    br_ssl_session_parameters session; /* session_id_len 0: there is no session to resume */
    rtmi_lookup *lookup;               /* in progress, or its result not used yet; or NULL */
    rtmi_addresses known;              /* from the last successful lookup */
    rtmi_address worked;               /* the address that last connected; all 0: none */
    long long connect_ms;              /* the time that this connect() took */
    struct rtmi_host *next;
} rtmi_host;

/* What all connections of a client share. */
typedef struct rtmi_network {
    char *ca_file, *ca_pem;
    rtmi_peer proxy;  /* host "" = none */
    char *proxy_auth; /* the value of Proxy-Authorization, or NULL */
    char *no_proxy;   /* hosts that are reached directly, or NULL */
    void (*tls_setup)(void *tls, void *user_data);
    void *tls_user_data;
    rtmi_host *hosts; /* most recently used first */
    pid_t owner;      /* the process that has the threads of the lookups */
    int epoll;        /* for rtm_fd: watches all sockets and wake[0]; -1 without epoll */
    int wake[2];      /* ends of a pipe, or the same eventfd twice: bytes in it wake rtm_poll */
} rtmi_network;

typedef struct rtmi_tls {
    br_ssl_client_context client;
    unsigned char in[BR_SSL_BUFSIZE_INPUT];
    unsigned char out[RTMI_TLS_OUT];
} rtmi_tls;

typedef enum rtmi_phase {
    RTMI_CONN_CLOSED,
    RTMI_CONN_LOOKUP, /* the host's addresses are being looked up */
    RTMI_CONN_TCP,    /* connect() is in progress to one or more of them */
    RTMI_CONN_PROXY,  /* CONNECT is sent, its response awaited */
    RTMI_CONN_TLS,    /* handshake */
    RTMI_CONN_READY
} rtmi_phase;

typedef struct rtmi_socket {
    int fd;             /* -1: the attempt to connect has failed */
    short watched;      /* the events that the epoll instance watches; 0 = socket not added */
    long long begun_at; /* when connect() was called */
} rtmi_socket;

/* Arrays last: the code to access a field near the beginning is shorter. */
typedef struct rtmi_conn {
    rtmi_network *network;
    rtmi_phase phase;
    /* Invariants: `readable` and `ending` are set when poll() reports something
       (rtmi_conn_polled), and by rtmi_conn_look; a failed send and rtmi_exchange_reuse set
       `readable`, so that the next read asks the socket. Both are cleared when recv() finds the
       socket empty. While `ending`, a short read does not mean empty: the FIN or reset follows
       the last bytes, and an edge-triggered loop is not woken for it again. `received` is set by
       recv() and cleared by the session's keep-alive. `paused` is set by a session whose output
       is congested, and cleared when `out` is empty. `unsent_body` and `late` belong to the
       exchange. All of them are false when an attempt to connect begins. */
    bool readable;     /* the socket may have bytes, or an error to report */
    bool ending;       /* to be read until recv() finds it empty: the peer may have closed */
    bool received;     /* bytes have arrived since this flag was last cleared */
    bool fin_received; /* recv() has returned 0 */
    bool unsent_body;  /* a part of the request's body is not in `out` yet */
    bool paused;       /* nothing is read until `out` has been sent */
    bool late;         /* the deadline has passed: no TLS record is sent */
    bool lookup_begun; /* in this attempt */
    int send_error;    /* errno: nothing more can be sent; reported when all has been read */
    int connect_error; /* errno of a failed attempt, reported if no address connects */
    unsigned sockets;  /* RTMI_CONN_TCP: one for each of the first addresses; later one */
    int timeout_ms;             /* for connecting and the response together */
    long long deadline;         /* for both */
    long long step_deadline;    /* to use an earlier lookup's addresses; for the next attempt */
    long long used_at;          /* when the last response was complete */
    size_t budget;              /* bytes that may still be read from the socket in this step */
    unsigned char *read_buffer; /* bytes read_at..read_end of it are received and not used */
    size_t read_at, read_end;
    rtmi_tls *tls;              /* NULL for a plain connection */
    rtmi_trust *trust;          /* during a handshake */
    rtmi_buf out;               /* bytes out_at..out.size wait for the engine or the socket */
    size_t out_at;
    const char *name;           /* of the peer, for messages */
    const rtmi_peer *hop; /* the other end of the socket: `peer`, or the proxy before it */
    rtmi_error error;           /* why it failed */
    rtmi_socket socket[RTMI_ADDRESSES];
    rtmi_http http;             /* of the response that this connection is at */
    rtmi_peer peer;
    rtmi_addresses addresses;
} rtmi_conn;

/* Waking up ----------------------------------------------------------------------------------- */

static bool rtmi_set_flags(int fd) {
    return fcntl(fd, F_SETFD, FD_CLOEXEC) >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) >= 0;
}

#if RTMI_EPOLL
static bool rtmi_network_open(rtmi_network *network) {
    struct epoll_event event = { .events = EPOLLIN };
    network->epoll = epoll_create1(EPOLL_CLOEXEC);
    network->wake[0] = network->wake[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return network->epoll >= 0 && network->wake[0] >= 0 &&
           epoll_ctl(network->epoll, EPOLL_CTL_ADD, network->wake[0], &event) == 0;
}

/* Updates the epoll instance; events 0 = do not watch this socket any more. At each change the
   socket is removed and added again: after EPOLL_CTL_MOD an edge-triggered loop may miss what
   arrived before. */
static void rtmi_network_watch(rtmi_network *network, rtmi_socket *socket, short events) {
    struct epoll_event event = { .events = (uint32_t)events }; /* POLLIN is EPOLLIN, and so on */
    if (socket->fd < 0 || events == socket->watched) return;
    if (socket->watched) epoll_ctl(network->epoll, EPOLL_CTL_DEL, socket->fd, &event);
    bool added = events && epoll_ctl(network->epoll, EPOLL_CTL_ADD, socket->fd, &event) == 0;
    socket->watched = added ? events : 0; /* if it failed, the next step tries again */
}
#else
static bool rtmi_network_open(rtmi_network *network) {
    return pipe(network->wake) == 0 && rtmi_set_flags(network->wake[0]) &&
           rtmi_set_flags(network->wake[1]);
}

static void rtmi_network_watch(rtmi_network *network, rtmi_socket *socket, short events) {
    (void)network;
    socket->watched = events;
}
#endif

/* Async-signal-safe, thread-safe. If the pipe or counter is full, a wake-up is already pending. */
static void rtmi_wake_up(int fd) {
    int before = errno;
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof one);
    (void)written;
    errno = before;
}

static void rtmi_wake_clear(int fd) {
    char waste[64];
    while (read(fd, waste, sizeof waste) == (ssize_t)sizeof waste) continue;
}

/* Looking up ---------------------------------------------------------------------------------- */

static bool rtmi_is_address(const char *host) {
    return strchr(host, ':') || host[strspn(host, "0123456789.")] == '\0';
}

/* IPv4 and IPv6 alternate, beginning with the family of the resolver's first address (RFC 8305). */
static void rtmi_lookup_run(rtmi_lookup *lookup) {
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *found = NULL;
    /* A numeric address needs no DNS. */
    if (rtmi_is_address(lookup->peer.host)) hints.ai_flags = AI_NUMERICHOST;
    lookup->error = RTM_GETADDRINFO(lookup->peer.host, lookup->peer.port, &hints, &found);
    if (lookup->error) return;
    rtmi_addresses *to = &lookup->found;
    const struct addrinfo *turn[2 * RTMI_ADDRESSES] = { NULL };
    unsigned next[2] = { 0, 1 };
    for (const struct addrinfo *a = found; a; a = a->ai_next) {
        if (!a->ai_addr || a->ai_addrlen > sizeof *to->at) continue;
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
        unsigned *at = &next[a->ai_family != found->ai_family];
        if (*at < 2 * RTMI_ADDRESSES) turn[*at] = a;
        *at += 2;
    }
    for (int i = 0; i < 2 * RTMI_ADDRESSES && to->count < RTMI_ADDRESSES; i++)
        if (turn[i]) memcpy(&to->at[to->count++], turn[i]->ai_addr, turn[i]->ai_addrlen);
    if (found) RTM_FREEADDRINFO(found);
    if (!to->count) lookup->error = EAI_NONAME;
}

/* RTM_REALLOC and RTM_FREE need not be thread-safe. */
#ifdef RTM_NO_THREADS
#define RTMI_LOOKUP_NEW() rtmi_alloc(sizeof(rtmi_lookup))
#define RTMI_LOOKUP_FREE(lookup) RTM_FREE(lookup)
#else
#define RTMI_LOOKUP_NEW() calloc(1, sizeof(rtmi_lookup))
#define RTMI_LOOKUP_FREE(lookup) free(lookup)

static void *rtmi_lookup_thread(void *argument) {
    rtmi_lookup *lookup = argument;
    int wake_fd = lookup->wake_fd; /* once `lookup` is done, the client may free it at any time */
    pthread_detach(pthread_self());
    rtmi_lookup_run(lookup);
    if (RTMI_EXCHANGE(&lookup->progress, RTMI_LOOKUP_DONE) == RTMI_LOOKUP_ABANDONED)
        RTMI_LOOKUP_FREE(lookup);
    rtmi_wake_up(wake_fd);
    close(wake_fd);
    return NULL;
}

/* Starts the thread. It blocks all signals, because the program does not know of it. Its stack is
   smaller than the default, because mlockall() would lock the whole stack in memory. */
static bool rtmi_lookup_start_thread(rtmi_lookup *lookup) {
    pthread_attr_t small;
    pthread_t thread;
    sigset_t all, before;
    lookup->wake_fd = fcntl(lookup->wake_fd, F_DUPFD_CLOEXEC, 0);
    if (lookup->wake_fd < 0) return false;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, RTMI_STACK + (size_t)sysconf(_SC_THREAD_STACK_MIN));
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, &small, rtmi_lookup_thread, lookup);
    if (error) /* perhaps the stack is too small for large thread-local variables */
        error = pthread_create(&thread, NULL, rtmi_lookup_thread, lookup);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&small);
    if (error) close(lookup->wake_fd);
    return !error;
}
#endif

static bool rtmi_lookup_start(rtmi_lookup *lookup) {
#ifndef RTM_NO_THREADS
    if (!rtmi_is_address(lookup->peer.host)) return rtmi_lookup_start_thread(lookup);
#endif
    rtmi_lookup_run(lookup);
    lookup->progress = RTMI_LOOKUP_DONE;
    return true;
}

static void rtmi_lookup_abandon(rtmi_lookup *lookup) {
    if (lookup && RTMI_EXCHANGE(&lookup->progress, RTMI_LOOKUP_ABANDONED) == RTMI_LOOKUP_DONE)
        RTMI_LOOKUP_FREE(lookup);
}

static bool rtmi_same_peer(const rtmi_peer *a, const rtmi_peer *b) {
    return a->tls == b->tls && !strcmp(a->host, b->host) && !strcmp(a->port, b->port);
}

static bool rtmi_lookup_is_running(const rtmi_lookup *lookup) {
    return lookup && RTMI_LOAD(&lookup->progress) == RTMI_LOOKUP_RUNNING;
}

/* The number of lookups in progress. Forgets those whose threads are in another process: fork()
   does not copy threads. */
static int rtmi_network_lookups(rtmi_network *network) {
    bool forked = network->owner != getpid();
    int running = 0;
    for (rtmi_host *host = network->hosts; host; host = host->next) {
        if (!rtmi_lookup_is_running(host->lookup)) continue;
        running += !forked;
        if (!forked) continue;
        close(host->lookup->wake_fd);
        RTMI_LOOKUP_FREE(host->lookup);
        host->lookup = NULL;
    }
    network->owner = getpid();
    return running;
}

/* The entry of a host, moved to the front; a new entry replaces the least recently used one. An
   entry with a lookup in progress is not replaced: a connection may wait for the lookup, and its
   thread cannot be ended. NULL: out of memory. */
static rtmi_host *rtmi_network_use_host(rtmi_network *network, const rtmi_peer *peer) {
    rtmi_host **at = &network->hosts, **oldest = NULL, *host;
    int count = 0;
    for (; *at && !rtmi_same_peer(&(*at)->peer, peer); at = &(*at)->next, count++)
        if (!rtmi_lookup_is_running((*at)->lookup)) oldest = at;
    if (!*at && count >= RTMI_HOSTS && oldest) at = oldest;
    host = *at;
    if (host) *at = host->next;
    else host = rtmi_alloc(sizeof *host);
    if (!host) return NULL;
    if (!rtmi_same_peer(&host->peer, peer)) {
        rtmi_lookup_abandon(host->lookup);
        memset(host, 0, sizeof *host);
        host->peer = *peer;
    }
    host->next = network->hosts;
    network->hosts = host;
    return host;
}

/* Starts a lookup of the host, unless there is one that an earlier attempt has abandoned. If that
   one has ended meanwhile, its result is used only if it was successful. */
static bool rtmi_host_look_up(rtmi_host *host, int wake_fd) {
    rtmi_lookup *lookup = host->lookup;
    if (rtmi_lookup_is_running(lookup) || (lookup && !lookup->error)) return true;
    rtmi_lookup_abandon(lookup);
    lookup = RTMI_LOOKUP_NEW();
    host->lookup = lookup;
    if (!lookup) return false;
    lookup->wake_fd = wake_fd;
    lookup->peer = host->peer;
    if (rtmi_lookup_start(lookup)) return true;
    RTMI_LOOKUP_FREE(lookup);
    host->lookup = NULL;
    return false;
}

static void rtmi_network_close(rtmi_network *network) {
    rtmi_network_lookups(network); /* forgets those of another process */
    for (rtmi_host *host = network->hosts, *next; host; host = next) {
        next = host->next;
        rtmi_lookup_abandon(host->lookup);
        rtmi_free(host, sizeof *host);
    }
    if (network->epoll >= 0) close(network->epoll);
    if (network->wake[0] >= 0) close(network->wake[0]);
    if (network->wake[1] >= 0 && network->wake[1] != network->wake[0]) close(network->wake[1]);
}

/* Sockets ------------------------------------------------------------------------------------- */

static void rtmi_conn_free_trust(rtmi_conn *conn) {
    if (!conn->trust) return;
    rtmi_trust_free_anchors(conn->trust); /* still there if the chain was incomplete */
    RTM_FREE(conn->trust);
    conn->trust = NULL;
}

static void rtmi_network_close_socket(rtmi_network *network, rtmi_socket *socket) {
    if (socket->fd < 0) return;
    rtmi_network_watch(network, socket, 0);
    close(socket->fd);
    socket->fd = -1;
}

RTMI_APART static void rtmi_conn_close_sockets(rtmi_conn *conn) {
    while (conn->sockets) rtmi_network_close_socket(conn->network, &conn->socket[--conn->sockets]);
}

static void rtmi_conn_close(rtmi_conn *conn) {
    rtmi_conn_close_sockets(conn);
    rtmi_conn_free_trust(conn);
    rtmi_free(conn->tls, sizeof *conn->tls);
    rtmi_free(conn->read_buffer, 0);
    conn->tls = NULL;
    conn->read_buffer = NULL;
    rtmi_buf_free(&conn->out);
    conn->out_at = 0;
    conn->paused = false;
    conn->phase = RTMI_CONN_CLOSED;
}

static bool rtmi_is_transient(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

RTMI_APART static rtm_result rtmi_conn_lost(rtmi_conn *conn, int error) {
    return rtmi_fail(&conn->error, RTM_E_CLOSED, "connection to %s lost: %s", conn->name,
                     strerror(error));
}

static rtm_result rtmi_conn_closed(rtmi_conn *conn) {
    return rtmi_fail(&conn->error, RTM_E_CLOSED, "%s closed the connection", conn->name);
}

/* Sends what the socket accepts, perhaps nothing. An error is not returned, so that bytes received
   before it are not lost: rtmi_conn_receive reports it once the socket is empty. */
static size_t rtmi_conn_send(rtmi_conn *conn, const void *data, size_t size) {
    if (conn->send_error) return 0;
    ssize_t n = send(conn->socket[0].fd, data, size, MSG_NOSIGNAL);
    if (n >= 0 || rtmi_is_transient(errno)) return n > 0 ? (size_t)n : 0;
    conn->send_error = errno;
    conn->readable = true;
    return 0;
}

/* Lets the next reads continue until the socket is empty, whatever poll() has reported: before a
   deadline ends anything, all bytes that have arrived must be read. */
static void rtmi_conn_look(rtmi_conn *conn) {
    conn->readable = conn->ending = true;
}

/* Receives at most what is left of this step's budget. */
static rtm_result rtmi_conn_receive(rtmi_conn *conn, void *data, size_t size, size_t *received) {
    *received = 0;
    if (!conn->readable || !conn->budget) return RTM_E_AGAIN;
    if (size > conn->budget) size = conn->budget;
    ssize_t n = recv(conn->socket[0].fd, data, size, 0);
    conn->ending = conn->ending && n > 0;
    conn->readable = n == (ssize_t)size || conn->ending || (n < 0 && errno == EINTR);
    if (n == 0) {
        conn->fin_received = true;
        return rtmi_conn_closed(conn);
    }
    if (n < 0) {
        int error = rtmi_is_transient(errno) ? conn->send_error : errno;
        return error ? rtmi_conn_lost(conn, error) : RTM_E_AGAIN;
    }
    *received = (size_t)n;
    conn->budget -= (size_t)n;
    conn->received = true;
    return RTM_OK;
}

/* Whether NO_PROXY includes a host. Entries: "*", or a host or domain, also written as ".x", "*.x"
   or "x."; an entry with a port is for this port only. */
static bool rtmi_is_direct(const rtmi_network *network, const rtmi_peer *peer) {
    rtmi_peer entry;
    const char *host = peer->host;
    size_t length = strlen(host);
    if (!*network->proxy.host) return true;
    for (const char *p = network->no_proxy ? network->no_proxy : ""; *p;) {
        p += strspn(p, " ,");
        size_t size = strcspn(p, " ,");
        const char *name = p;
        p += size;
        if (size == 1 && *name == '*') return true;
        if (size > 1 && *name == '*' && name[1] == '.') name++;
        if (size && *name == '.') name++;
        size = (size_t)(p - name);
        if (rtmi_parse_authority(name, size, &entry, (unsigned)strtoul(peer->port, NULL, 10))) {
            if (strcmp(entry.port, peer->port) != 0) continue;
            name = entry.host;
            size = strlen(name);
        }
        if (size && name[size - 1] == '.') size--;
        if (!size || size > length || !rtmi_same_word(name, size, host + length - size)) continue;
        if (size == length || (host[length - size - 1] == '.' && !rtmi_is_address(host)))
            return true;
    }
    return false;
}

RTMI_APART static const char *rtmi_conn_hop_name(const rtmi_conn *conn) {
    return conn->hop == &conn->peer ? conn->name : conn->hop->host;
}

/* The oldest attempt that is open, or NULL. */
static rtmi_socket *rtmi_conn_oldest_attempt(rtmi_conn *conn) {
    for (unsigned i = 0; i < conn->sockets; i++)
        if (conn->socket[i].fd >= 0) return &conn->socket[i];
    return NULL;
}

/* Begins a non-blocking connect() to the next address; false with errno if that failed. If no
   descriptor is left, the oldest attempt is closed. */
static bool rtmi_conn_try(rtmi_conn *conn) {
    struct sockaddr *address = &conn->addresses.at[conn->sockets].any;
    bool v6 = address->sa_family == AF_INET6;
    int one = 1, fd;
    rtmi_socket *oldest;
    while ((fd = socket(address->sa_family, SOCK_STREAM | RTMI_SOCK_FLAGS, 0)) < 0 &&
           (errno == EMFILE || errno == ENFILE) && (oldest = rtmi_conn_oldest_attempt(conn)))
        rtmi_network_close_socket(conn->network, oldest);
    conn->socket[conn->sockets++] = (rtmi_socket){ .fd = fd, .begun_at = RTM_NOW_MS() };
    if (fd < 0 || (!RTMI_SOCK_FLAGS && !rtmi_set_flags(fd))) return false;
    /* Each frame is one write, so Nagle's algorithm has no use: it delays a response by 45 ms. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
#ifdef SO_NOSIGPIPE
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one);
#endif
    socklen_t size = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    return !connect(fd, address, size) || errno == EINPROGRESS || errno == EINTR;
}

/* An attempt has failed: the next one may begin. ECONNREFUSED is kept as the error to report: it
   shows that the host was reached, unlike a missing route for IPv6. */
RTMI_APART static void rtmi_conn_fail_attempt(rtmi_conn *conn, unsigned i, int error) {
    rtmi_network_close_socket(conn->network, &conn->socket[i]);
    if (conn->connect_error != ECONNREFUSED) conn->connect_error = error;
    conn->step_deadline = RTMI_NOW;
}

/* Begins the next attempt when it is due, early enough for each address to have an equal share of
   the remaining time. Earlier attempts stay open: they may be slow and not dead. */
static rtm_result rtmi_conn_next_attempt(rtmi_conn *conn, long long now, long long stagger) {
    while (conn->sockets < conn->addresses.count && now >= conn->step_deadline) {
        long long share = (conn->deadline - now) / (conn->addresses.count - conn->sockets);
        if (!rtmi_conn_try(conn)) rtmi_conn_fail_attempt(conn, conn->sockets - 1, errno);
        else conn->step_deadline = RTM_NOW_MS() + (share < stagger ? share : stagger);
    }
    if (conn->sockets < conn->addresses.count) return RTM_E_AGAIN;
    conn->step_deadline = conn->deadline;
    if (rtmi_conn_oldest_attempt(conn)) return RTM_E_AGAIN;
    return rtmi_fail(&conn->error, RTM_E_CONNECT, "cannot connect to %s%s port %s: %s",
                     conn->hop == &conn->peer ? "" : "the proxy ", rtmi_conn_hop_name(conn),
                     conn->hop->port, strerror(conn->connect_error));
}

/* TLS ----------------------------------------------------------------------------------------- */

/* TLS 1.2, ECDHE, AEAD ciphers, SHA-2: the secure part of BearSSL, 25 KiB less than all of it. */
static void rtmi_tls_profile(rtmi_tls *tls) {
    /* AES-GCM first if the CPU has instructions for it: a fifth of ChaCha20's cost. */
    static const uint16_t suites[] = {
        BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, /* again: 6 suites from index 0 or 2 */
        BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    };
    bool fast_aes = br_aes_x86ni_ctr_get_vtable() || br_aes_pwr8_ctr_get_vtable();
    br_ssl_engine_context *engine = &tls->client.eng;
    br_ssl_client_zero(&tls->client);
    br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_suites(engine, suites + (fast_aes ? 2 : 0), 6);
    br_ssl_engine_set_default_rsavrfy(engine);
    br_ssl_engine_set_default_ecdsa(engine);
    for (int i = 0; i < 3; i++) br_ssl_engine_set_hash(engine, br_sha256_ID + i, rtmi_sha2[i]);
    br_ssl_engine_set_prf_sha256(engine, br_tls12_sha256_prf);
    br_ssl_engine_set_prf_sha384(engine, br_tls12_sha384_prf);
    br_ssl_engine_set_default_aes_gcm(engine);
    br_ssl_engine_set_default_chapol(engine);
    br_ssl_engine_set_buffers_bidi(engine, tls->in, sizeof tls->in, tls->out, sizeof tls->out);
    /* Else BearSSL asks the server for records as small as ours, and most events would be in two
       records. The field is not in its manual; with 14 (16 KiB, the size of `in`) it does not. */
    engine->log_max_frag_len = 14;
}

static rtm_result rtmi_conn_start_tls(rtmi_conn *conn) {
    unsigned char seed[32];
    if (!conn->peer.tls) {
        conn->phase = RTMI_CONN_READY;
        return RTM_OK;
    }
    conn->tls = rtmi_alloc(sizeof *conn->tls);
    conn->trust = rtmi_alloc(sizeof *conn->trust);
    if (!conn->tls || !conn->trust) return rtmi_out_of_memory(&conn->error);
    if (RTM_RANDOM(seed, sizeof seed)) return rtmi_no_random(&conn->error);
    br_ssl_engine_context *engine = &conn->tls->client.eng;
    rtmi_trust *trust = conn->trust;
    trust->methods = br_x509_minimal_vtable;
    trust->methods.start_chain = rtmi_trust_start_chain;
    trust->methods.end_chain = rtmi_trust_end_chain;
    trust->minimal.vtable = &trust->methods;
    trust->engine = engine;
    trust->host = conn->peer.host;
    trust->ca_pem = conn->network->ca_pem;
    trust->ca_file = conn->network->ca_file;
    rtmi_tls_profile(conn->tls);
    br_ssl_engine_set_x509(engine, &trust->minimal.vtable);
    br_ssl_engine_inject_entropy(engine, seed, sizeof seed);
    rtmi_wipe(seed, sizeof seed);
    rtmi_host *known = rtmi_network_use_host(conn->network, &conn->peer);
    if (known) {
        br_ssl_engine_set_session_parameters(engine, &known->session);
        known->session.session_id_len = 0; /* until the handshake has succeeded */
    }
    if (conn->network->tls_setup)
        conn->network->tls_setup(&conn->tls->client, conn->network->tls_user_data);
    br_ssl_engine_add_flags(engine, BR_OPT_NO_RENEGOTIATION); /* trust is freed after the first */
    const char *name = rtmi_is_address(conn->peer.host) ? NULL : conn->peer.host;
    if (!br_ssl_client_reset(&conn->tls->client, name, known != NULL))
        return rtmi_fail(&conn->error, RTM_E_TLS, "TLS cannot start (BearSSL error %d)",
                         br_ssl_engine_last_error(engine));
    conn->phase = RTMI_CONN_TLS;
    return RTM_E_AGAIN;
}

/* Why the engine has closed. */
static rtm_result rtmi_conn_tls_result(rtmi_conn *conn) {
    int error = br_ssl_engine_last_error(&conn->tls->client.eng);
    if (error == BR_ERR_OK) return rtmi_conn_closed(conn);
    bool x509 = error >= BR_ERR_X509_OK && error < BR_ERR_RECV_FATAL_ALERT;
    rtm_result result = x509 ? RTM_E_CERTIFICATE : RTM_E_TLS;
    const char *file = conn->network->ca_file;
    if (conn->trust && conn->trust->no_memory) return rtmi_out_of_memory(&conn->error);
    if (x509 && conn->trust && conn->trust->error)
        return rtmi_fail(&conn->error, result, "TLS with %s: %s%s%s", conn->name,
                         conn->trust->error, file ? ": " : "", file ? file : "");
    return rtmi_fail(&conn->error, result, "TLS with %s: %s (BearSSL error %d)", conn->name,
                     rtmi_tls_error(error), error);
}

/* Passes the bytes read ahead, or from the socket, to the engine. */
static rtm_result rtmi_conn_feed(rtmi_conn *conn) {
    size_t room, size = 0;
    unsigned char *to = br_ssl_engine_recvrec_buf(&conn->tls->client.eng, &room);
    /* The engine asks for 5 bytes, then for the record: without the read-ahead these are two system
       calls per record. The rest of a large record is read directly into the engine. */
    bool empty = conn->read_at == conn->read_end, direct = empty && room >= RTMI_READ_BUFFER;
    if (empty) {
        rtm_result result = rtmi_conn_receive(conn, direct ? to : conn->read_buffer,
                                              direct ? room : RTMI_READ_BUFFER, &size);
        if (result != RTM_OK) return result;
        conn->read_at = 0;
        conn->read_end = direct ? 0 : size;
    }
    if (!direct) {
        size = conn->read_end - conn->read_at;
        if (size > room) size = room;
        memcpy(to, conn->read_buffer + conn->read_at, size);
        conn->read_at += size;
    }
    br_ssl_engine_recvrec_ack(&conn->tls->client.eng, size);
    return RTM_OK;
}

/* POLLIN, POLLOUT: what to wait for. While the engine must send before it receives, received bytes
   must not wake up poll(): they could not be read. */
static short rtmi_conn_events(const rtmi_conn *conn) {
    if (conn->phase == RTMI_CONN_TCP) return POLLOUT;
    bool in = true, out = conn->out_at < conn->out.size && !conn->send_error;
    if (conn->tls) {
        unsigned state = br_ssl_engine_current_state(&conn->tls->client.eng);
        in = (state & (BR_SSL_RECVREC | BR_SSL_RECVAPP)) != 0;
        out = out || (state & BR_SSL_SENDREC);
    }
    return (short)((in && !conn->paused ? POLLIN : 0) | (out ? POLLOUT : 0));
}

/* Only for connections that rtm_poll steps: another one would keep rtm_fd readable. */
static void rtmi_conn_watch(rtmi_conn *conn) {
    for (unsigned i = 0; i < conn->sockets; i++)
        rtmi_network_watch(conn->network, &conn->socket[i], rtmi_conn_events(conn));
}

/* Fills in what poll() must wait for, for each socket. Returns the number of sockets. */
static unsigned rtmi_conn_pollfds(const rtmi_conn *conn, struct pollfd *fds) {
    for (unsigned i = 0; i < conn->sockets; i++) {
        short events = rtmi_conn_events(conn);
        if (events & POLLIN) events |= RTMI_POLLRDHUP;
        fds[i] = (struct pollfd){ conn->socket[i].fd, events, 0 };
    }
    return conn->sockets;
}

/* Notes what poll() has reported for each socket. Returns the number of sockets. */
static unsigned rtmi_conn_polled(rtmi_conn *conn, const struct pollfd *fds) {
    for (unsigned i = 0; i < conn->sockets; i++) {
        if (fds[i].revents) conn->readable = true;
        if (fds[i].revents & (RTMI_POLLRDHUP | POLLHUP | POLLERR)) conn->ending = true;
    }
    return conn->sockets;
}

/* Runs the TLS engine (no other function does): sends its records, and passes it those of the peer
   if `wanted` includes BR_SSL_RECVAPP.
     RTM_OK         the engine is in a `wanted` state: application data can be sent or received
     RTM_E_AGAIN    the socket is full or has no more bytes; `wanted` 0: sent as much as possible
     RTM_E_CLOSED   the peer's close_notify, FIN or reset; conn->error has the message
     RTM_E_TLS, RTM_E_CERTIFICATE, RTM_E_MEMORY   the engine has failed; see conn->error */
static rtm_result rtmi_tls_run(rtmi_conn *conn, unsigned wanted) {
    br_ssl_engine_context *engine = &conn->tls->client.eng;
    for (;;) {
        unsigned state = br_ssl_engine_current_state(engine);
        if (state & BR_SSL_CLOSED) return rtmi_conn_tls_result(conn);
        if ((state & BR_SSL_SENDREC) && !conn->late) {
            size_t size;
            const unsigned char *record = br_ssl_engine_sendrec_buf(engine, &size);
            size_t sent = rtmi_conn_send(conn, record, size);
            if (sent) br_ssl_engine_sendrec_ack(engine, sent);
            if (sent) continue;
        }
        if (state & wanted) return RTM_OK;
        if (!(wanted & BR_SSL_RECVAPP)) return RTM_E_AGAIN;
        /* close_notify was received, and ours cannot be sent. The field is not in BearSSL's manual;
           its functions do not distinguish this from an alert that waits for the socket. */
        if (engine->shutdown_recv) return rtmi_conn_closed(conn);
        if (!(state & BR_SSL_RECVREC)) /* the engine must send before it can receive */
            return conn->send_error ? rtmi_conn_lost(conn, conn->send_error) : RTM_E_AGAIN;
        rtm_result result = rtmi_conn_feed(conn);
        if (result != RTM_OK) return result;
    }
}

/* Removes what has been sent from `out`. */
static void rtmi_conn_compact(rtmi_conn *conn) {
    if (!conn->out_at) return;
    conn->out.size -= conn->out_at;
    memmove(conn->out.data, conn->out.data + conn->out_at, conn->out.size);
    conn->out_at = 0;
}

/* Sends as much of `out` as the socket accepts. */
static void rtmi_conn_flush(rtmi_conn *conn) {
    while (conn->out_at < conn->out.size) {
        const char *data = conn->out.data + conn->out_at;
        size_t left = conn->out.size - conn->out_at, size;
        if (!conn->tls) {
            size = rtmi_conn_send(conn, data, left);
            if (!size) return;
        } else {
            if (rtmi_tls_run(conn, BR_SSL_SENDAPP) != RTM_OK) return;
            unsigned char *to = br_ssl_engine_sendapp_buf(&conn->tls->client.eng, &size);
            if (size > left) size = left;
            memcpy(to, data, size);
            br_ssl_engine_sendapp_ack(&conn->tls->client.eng, size);
            br_ssl_engine_flush(&conn->tls->client.eng, 0);
        }
        conn->out_at += size;
        if (conn->out_at == conn->out.size) {
            rtmi_wipe(conn->out.data, conn->out.size); /* a request holds the token */
            rtmi_buf_clear(&conn->out);
            conn->out_at = 0;
            conn->paused = false;
        }
    }
    if (conn->tls) rtmi_tls_run(conn, 0);
}

/* Sends close_notify and FIN if the socket accepts them, and closes. A failure of this is not
   reported: conn->error does not change. */
static void rtmi_conn_shutdown(rtmi_conn *conn) {
    rtmi_error error = conn->error;
    if (conn->phase == RTMI_CONN_READY) {
        rtmi_conn_flush(conn);
        if (conn->tls) {
            br_ssl_engine_close(&conn->tls->client.eng);
            rtmi_tls_run(conn, 0);
        }
        shutdown(conn->socket[0].fd, SHUT_WR);
    }
    conn->error = error;
    rtmi_conn_close(conn);
}

/* Begins to connect: the first step looks up the host's addresses. */
static void rtmi_conn_open(rtmi_conn *conn, const rtmi_peer *peer) {
    rtmi_conn_shutdown(conn);
    conn->peer = *peer;
    conn->name = conn->peer.host;
    conn->read_at = conn->read_end = 0;
    conn->fin_received = conn->unsent_body = conn->paused = conn->late = false;
    conn->send_error = 0;
    conn->hop = rtmi_is_direct(conn->network, peer) ? &conn->peer : &conn->network->proxy;
    conn->readable = conn->ending = conn->received = conn->lookup_begun = false;
    conn->phase = RTMI_CONN_LOOKUP;
}

/* RTM_OK: *data points at received bytes, one or more. RTM_E_AGAIN: there are none yet. */
static rtm_result rtmi_conn_read(rtmi_conn *conn, const char **data, size_t *size) {
    if (conn->tls) {
        rtm_result result = rtmi_tls_run(conn, BR_SSL_RECVAPP);
        if (result == RTM_OK)
            *data = (const char *)br_ssl_engine_recvapp_buf(&conn->tls->client.eng, size);
        return result;
    }
    rtm_result result = RTM_OK;
    if (conn->read_at == conn->read_end) {
        conn->read_at = 0;
        result = rtmi_conn_receive(conn, conn->read_buffer, RTMI_READ_BUFFER, &conn->read_end);
    }
    *data = (const char *)conn->read_buffer + conn->read_at;
    *size = conn->read_end - conn->read_at;
    return result;
}

static void rtmi_conn_consume(rtmi_conn *conn, size_t size) {
    if (conn->tls) br_ssl_engine_recvapp_ack(&conn->tls->client.eng, size);
    else conn->read_at += size;
}

/* Whether there is work that poll() would not report: bytes in our buffers, bytes left in the
   socket when the last step's budget was used up, or a body to send while `out` is empty. */
static bool rtmi_conn_has_work(const rtmi_conn *conn) {
    if (conn->phase < RTMI_CONN_PROXY || conn->paused) return false;
    if (!conn->budget) return true;
    if (conn->phase != RTMI_CONN_READY) return false;
    if (conn->unsent_body && conn->out_at == conn->out.size && !conn->send_error) return true;
    bool unread = conn->read_at < conn->read_end || conn->readable; /* left by a pause */
    if (!conn->tls) return unread;
    unsigned state = br_ssl_engine_current_state(&conn->tls->client.eng);
    return (state & BR_SSL_RECVAPP) || (unread && (state & BR_SSL_RECVREC));
}

/* When the next step is due, even if poll() reports nothing. */
static long long rtmi_conn_due(const rtmi_conn *conn, long long deadline) {
    bool forked = conn->phase == RTMI_CONN_LOOKUP && conn->network->owner != getpid();
    if (rtmi_conn_has_work(conn) || forked) return RTMI_NOW;
    bool earlier = conn->phase == RTMI_CONN_TCP || conn->phase == RTMI_CONN_LOOKUP;
    return earlier && conn->step_deadline < deadline ? conn->step_deadline : deadline;
}

/* Waits for the result of the lookup. If the lookup fails or is late, the addresses of an earlier
   one are used; a late result is kept for the next attempt. */
static rtm_result rtmi_conn_step_lookup(rtmi_conn *conn, long long now) {
    int running = rtmi_network_lookups(conn->network);
    rtmi_host *host = rtmi_network_use_host(conn->network, conn->hop);
    if (!conn->read_buffer) conn->read_buffer = RTM_REALLOC(NULL, RTMI_READ_BUFFER);
    if (!host || !conn->read_buffer) return rtmi_out_of_memory(&conn->error);
    bool begin = !conn->lookup_begun || (!host->lookup && !host->known.count);
    if (begin && (host->lookup || running < RTMI_LOOKUPS)) {
        conn->lookup_begun = true;
        if (!rtmi_host_look_up(host, conn->network->wake[1]) && !host->known.count)
            return rtmi_fail(&conn->error, RTM_E_RESOLVE, "cannot resolve %s: no thread, memory or "
                             "file descriptor for it", rtmi_conn_hop_name(conn));
        /* Without a thread the lookup has blocked; its time is added to the deadline. */
        conn->deadline += RTM_NOW_MS() - now;
        now = RTM_NOW_MS();
        conn->step_deadline = now + RTMI_LOOKUP_MS;
    }
    /* Also while this lookup cannot begin because there are too many others. */
    if (!host->known.count) conn->step_deadline = conn->deadline;
    rtmi_lookup *lookup = host->lookup;
    bool answered = lookup && RTMI_LOAD(&lookup->progress) == RTMI_LOOKUP_DONE;
    bool late = !lookup || now >= conn->step_deadline;
    if (!answered && (!late || !host->known.count)) return RTM_E_AGAIN;
    int error = answered ? lookup->error : 0;
    if (answered && !error) host->known = lookup->found;
    if (answered) {
        RTMI_LOOKUP_FREE(lookup);
        host->lookup = NULL;
    }
    if (!host->known.count)
        return rtmi_fail(&conn->error, RTM_E_RESOLVE, "cannot resolve %s: %s",
                         rtmi_conn_hop_name(conn), gai_strerror(error));
    conn->addresses = host->known;
    rtmi_address *at = conn->addresses.at;
    for (unsigned i = 1; i < conn->addresses.count; i++) {
        /* Their unused bytes are 0. */
        if (memcmp((char *)&at[i], (char *)&host->worked, sizeof *at) != 0) continue;
        memmove(at + 1, at, i * sizeof *at);
        at[0] = host->worked;
    }
    conn->connect_error = 0;
    conn->step_deadline = now;
    conn->phase = RTMI_CONN_TCP;
    return RTM_E_AGAIN;
}

/* The first attempt that connects becomes the connection; the others are closed. The socket is
   added to the epoll instance again, so that an edge-triggered loop is woken for bytes that have
   arrived already. */
static rtm_result rtmi_conn_connected(rtmi_conn *conn, rtmi_host *host, unsigned won) {
    host->worked = conn->addresses.at[won];
    host->connect_ms = RTM_NOW_MS() - conn->socket[won].begun_at;
    rtmi_network_watch(conn->network, &conn->socket[won], 0);
    rtmi_socket winner = conn->socket[won];
    conn->socket[won].fd = -1;
    rtmi_conn_close_sockets(conn);
    conn->socket[conn->sockets++] = winner;
    if (conn->hop == &conn->peer) return rtmi_conn_start_tls(conn);
    const char *auth = conn->network->proxy_auth;
    rtmi_buf_text(&conn->out, "CONNECT ");
    rtmi_write_authority(&conn->out, &conn->peer, true);
    rtmi_buf_text(&conn->out, " HTTP/1.1\r\nHost: ");
    rtmi_write_authority(&conn->out, &conn->peer, true);
    rtmi_buf_text(&conn->out, auth ? "\r\nProxy-Authorization: Basic " : "", auth ? auth : "",
                  "\r\n\r\n");
    if (conn->out.failed) return rtmi_out_of_memory(&conn->error);
    rtmi_http_start(&conn->http, RTMI_HTTP_CONNECT);
    conn->phase = RTMI_CONN_PROXY;
    return RTM_E_AGAIN;
}

/* Checks which attempts have connected or failed. */
static rtm_result rtmi_conn_step_tcp(rtmi_conn *conn, long long now) {
    struct pollfd fds[RTMI_ADDRESSES];
    rtmi_host *host = rtmi_network_use_host(conn->network, conn->hop);
    if (!host) return rtmi_out_of_memory(&conn->error);
    unsigned count = conn->readable ? rtmi_conn_pollfds(conn, fds) : 0;
    conn->readable = conn->ending = false;
    if (count) poll(fds, count, 0);
    for (unsigned i = 0; i < count; i++) {
        int error = 0;
        socklen_t size = sizeof error;
        if (fds[i].fd < 0 || !fds[i].revents) continue;
        if (getsockopt(fds[i].fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
        if (!error) return rtmi_conn_connected(conn, host, i);
        rtmi_conn_fail_attempt(conn, i, error);
    }
    long long stagger = host->connect_ms + RTMI_CONNECT_MS;
    return rtmi_conn_next_attempt(conn, now, stagger < RTMI_STAGGER_MS ? RTMI_STAGGER_MS : stagger);
}

static rtm_result rtmi_conn_step_proxy(rtmi_conn *conn) {
    const char *data, *proxy = conn->network->proxy.host;
    size_t size, used;
    rtmi_http_what what = RTMI_HTTP_MORE;
    rtm_result result;
    rtmi_conn_flush(conn);
    while (what == RTMI_HTTP_MORE) {
        result = rtmi_conn_read(conn, &data, &size);
        if (result == RTM_E_AGAIN) return result;
        if (result != RTM_OK)
            return rtmi_fail(&conn->error, RTM_E_PROXY,
                             "the proxy %s closed the connection before answering CONNECT", proxy);
        what = rtmi_http_parse(&conn->http, data, size, &used);
        rtmi_conn_consume(conn, used);
    }
    if (what == RTMI_HTTP_BAD)
        return rtmi_fail(&conn->error, RTM_E_PROXY, "invalid response from the proxy %s: %s", proxy,
                         conn->http.error);
    if (conn->http.status == 407 || conn->http.status == 401) /* 401: tinyproxy, if wrong */
        return rtmi_fail(&conn->error, RTM_E_PROXY, "the proxy %s requires valid credentials (HTTP "
                         "%d): set them in its URL, http://user:password@host:port", proxy,
                         conn->http.status);
    if (conn->http.status / 100 != 2)
        return rtmi_fail(&conn->error, RTM_E_PROXY, "the proxy %s refused CONNECT to %s: HTTP %d",
                         proxy, conn->name, conn->http.status);
    if (conn->read_at < conn->read_end)
        return rtmi_fail(&conn->error, RTM_E_PROXY,
                         "the proxy %s sent unexpected data after its CONNECT response", proxy);
    return rtmi_conn_start_tls(conn);
}

static rtm_result rtmi_conn_step_tls(rtmi_conn *conn) {
    rtm_result result = rtmi_tls_run(conn, BR_SSL_SENDAPP | BR_SSL_RECVAPP);
    if (result == RTM_E_AGAIN) return result;
    if (result == RTM_E_CLOSED)
        return rtmi_fail(&conn->error, RTM_E_TLS, "%s closed the connection during the TLS "
                         "handshake; it may require TLS 1.3 or the extended master secret",
                         conn->name);
    if (result != RTM_OK) return result;
    /* The next handshake with this host resumes this session. */
    rtmi_host *host = rtmi_network_use_host(conn->network, &conn->peer);
    if (host) br_ssl_engine_get_session_parameters(&conn->tls->client.eng, &host->session);
    rtmi_conn_free_trust(conn);
    conn->phase = RTMI_CONN_READY;
    return RTM_OK;
}

/* Takes one more step to connect: RTM_OK if the connection is ready, RTM_E_AGAIN until then. */
static rtm_result rtmi_conn_step(rtmi_conn *conn, long long now) {
    rtmi_phase phase;
    rtm_result result = RTM_E_AGAIN;
    do {
        phase = conn->phase;
        switch (phase) {
        case RTMI_CONN_LOOKUP: result = rtmi_conn_step_lookup(conn, now); break;
        case RTMI_CONN_TCP: result = rtmi_conn_step_tcp(conn, now); break;
        case RTMI_CONN_PROXY: result = rtmi_conn_step_proxy(conn); break;
        case RTMI_CONN_TLS: result = rtmi_conn_step_tls(conn); break;
        case RTMI_CONN_READY: return RTM_OK;
        default: return rtmi_conn_closed(conn); /* a phase that does not occur here */
        }
        /* After the deadline no further step begins. */
    } while (result == RTM_E_AGAIN && phase != conn->phase && now < conn->deadline);
    return result;
}

/* The deadline has passed: the message names the step that took too long. */
static rtm_result rtmi_conn_timeout(rtmi_conn *conn) {
    static const char *const what[] = { "", "resolving", "connecting to", "CONNECT over the proxy",
                                        "the TLS handshake with", "the response from" };
    bool first_hop = conn->phase <= RTMI_CONN_PROXY, tcp = conn->phase == RTMI_CONN_TCP;
    bool failed = tcp && conn->connect_error;
    /* The address that connected may be a dead end: use the resolver's order again. */
    if (conn->phase == RTMI_CONN_PROXY || conn->phase == RTMI_CONN_TLS) {
        rtmi_host *host = rtmi_network_use_host(conn->network, conn->hop);
        if (host) memset(&host->worked, 0, sizeof host->worked);
    }
    return rtmi_fail(&conn->error, RTM_E_TIMEOUT, "%s %s%s%s timed out after %d ms%s%s",
                     what[conn->phase], first_hop ? rtmi_conn_hop_name(conn) : conn->name,
                     tcp ? " port " : "", tcp ? conn->hop->port : "",
                     conn->timeout_ms, failed ? "; another address failed: " : "",
                     failed ? strerror(conn->connect_error) : "");
}

/* ------------------------------------------------------------------------------------------------
 * >>exchange  one HTTP exchange over a connection: request out, response in
 * --------------------------------------------------------------------------------------------- */

/* The body of a request: `size` bytes in memory or from read_body; and write_body, which receives
   the body of the response. */
typedef struct rtmi_payload {
    const char *data;
    size_t (*read_body)(void *buf, size_t size, void *user_data);
    bool (*write_body)(const void *data, size_t size, void *user_data); /* or NULL */
    void *user_data;
    size_t size;
    bool streamed; /* one of the two functions is set; in an exchange, until rtm_stop */
} rtmi_payload;

typedef struct rtmi_exchange {
    rtmi_conn conn;
    rtmi_http_kind kind;
    bool begun;             /* the head has been given to the connection */
    bool by_url;            /* the request is not one to the Web API */
    rtmi_buf head;          /* of the request, kept until the response */
    rtmi_payload payload;   /* of the request */
    size_t payload_at;      /* bytes of it that have been given to the connection */
    int reserve_ms;         /* added to the deadline when the request is sent */
    int late_steps;         /* steps after the deadline, to read what had arrived by then */
    rtmi_buf body;          /* of the response */
    size_t limit;           /* bytes of it */
    const char *method;     /* of the Web API, for the messages */
    rtmi_document document; /* the body, if it is JSON */
    char code[RTMI_CODE];   /* Slack's error code in it, or "" */
} rtmi_exchange;

static void rtmi_exchange_init(rtmi_exchange *exchange, rtmi_network *network, rtmi_error *error) {
    exchange->conn.network = network;
    exchange->document.error = error;
}

static void rtmi_exchange_free(rtmi_exchange *exchange) {
    rtmi_conn_shutdown(&exchange->conn);
    rtmi_buf_free(&exchange->head);
    rtmi_buf_free(&exchange->body);
    rtmi_document_free(&exchange->document);
}

static rtmi_exchange *rtmi_exchange_new(rtmi_network *network, rtmi_error *error) {
    rtmi_exchange *exchange = rtmi_alloc(sizeof *exchange);
    if (exchange) rtmi_exchange_init(exchange, network, error);
    return exchange;
}

static void rtmi_exchange_delete(rtmi_exchange *exchange) {
    if (!exchange) return;
    rtmi_exchange_free(exchange);
    rtmi_free(exchange, sizeof *exchange);
}

/* Prepares for another response; frees the buffers if a large response made them grow. */
static void rtmi_exchange_clear(rtmi_exchange *exchange) {
    if (exchange->body.capacity > RTMI_KEPT) rtmi_buf_free(&exchange->body);
    if (exchange->document.capacity > RTMI_KEPT_TOKENS) rtmi_document_free(&exchange->document);
    rtmi_buf_clear(&exchange->body);
    rtmi_document_clear(&exchange->document);
}

/* Whether the connection of the last exchange can be used for this one: false if it goes to another
   host, was closed, or was idle for so long that it may be dead. Reads the socket. */
static bool rtmi_exchange_reuse(rtmi_exchange *exchange, const rtmi_peer *peer, long long now) {
    rtmi_conn *conn = &exchange->conn;
    const char *data;
    size_t size;
    if (exchange->kind != RTMI_HTTP_ORDINARY || conn->phase != RTMI_CONN_READY ||
        !conn->http.keep_alive || conn->http.part != RTMI_HTTP_COMPLETE ||
        !rtmi_same_peer(&conn->peer, peer) || now - conn->used_at >= RTMI_KEEP_ALIVE_MS)
        return false;
    conn->readable = true; /* has the server closed it meanwhile? */
    return rtmi_conn_read(conn, &data, &size) == RTM_E_AGAIN;
}

/* Begins the exchange whose request's head is in exchange->head. Failures are returned by the
   steps. */
RTMI_APART static void rtmi_exchange_start(rtmi_exchange *exchange, rtmi_http_kind kind,
                                           const rtmi_peer *peer, long long now, int timeout_ms) {
    exchange->kind = kind;
    exchange->code[0] = '\0';
    exchange->begun = false;
    exchange->payload_at = 0;
    exchange->late_steps = 0;
    if (kind == RTMI_HTTP_ORDINARY) rtmi_exchange_clear(exchange);
    if (!rtmi_exchange_reuse(exchange, peer, now)) rtmi_conn_open(&exchange->conn, peer);
    exchange->conn.timeout_ms = timeout_ms;
    exchange->conn.deadline = now + timeout_ms;
}

/* The number of bytes of the request that wait in the connection to be sent. */
static size_t rtmi_exchange_unsent(const rtmi_exchange *exchange) {
    return exchange->conn.out.size - exchange->conn.out_at;
}

/* Gives the connection the next piece of the request's body, unless that much waits already. */
static rtm_result rtmi_exchange_add_piece(rtmi_exchange *exchange) {
    const rtmi_payload *payload = &exchange->payload;
    rtmi_buf *out = &exchange->conn.out;
    size_t left = payload->size - exchange->payload_at;
    size_t size = left < RTMI_PIECE ? left : RTMI_PIECE, got = size;
    if (!left || rtmi_exchange_unsent(exchange) >= RTMI_PIECE) return RTM_OK;
    rtmi_conn_compact(&exchange->conn);
    if (!rtmi_buf_reserve(out, size)) return rtmi_out_of_memory(&exchange->conn.error);
    char *to = out->data + out->size;
    if (payload->read_body) got = (*payload->read_body)(to, size, payload->user_data);
    else memcpy(to, payload->data + exchange->payload_at, size);
    if (!got || got > size)
        return rtmi_fail(&exchange->conn.error, RTM_E_ARGUMENT, "%s: read_body failed after "
                         "%zu of %zu bytes", exchange->method, exchange->payload_at, payload->size);
    out->size += got;
    exchange->payload_at += got;
    return RTM_OK;
}

/* Sends what the socket accepts of the request, at most RTMI_OUT bytes in one step. */
static rtm_result rtmi_exchange_send(rtmi_exchange *exchange) {
    rtmi_conn *conn = &exchange->conn;
    size_t before = exchange->payload_at;
    do {
        rtm_result result = rtmi_exchange_add_piece(exchange);
        if (result != RTM_OK) return result;
        rtmi_conn_flush(conn);
        conn->unsent_body = exchange->payload_at < exchange->payload.size;
    } while (conn->unsent_body && !rtmi_exchange_unsent(exchange) && !conn->send_error &&
             exchange->payload_at - before < RTMI_OUT);
    return RTM_OK;
}

/* Stores a piece of the response's body. If the body is too large, its beginning is kept. */
static rtm_result rtmi_exchange_take_piece(rtmi_exchange *exchange) {
    rtmi_conn *conn = &exchange->conn;
    size_t size = conn->http.body_size, room = exchange->limit - exchange->body.size;
    const rtmi_payload *payload = &exchange->payload;
    if (payload->write_body && conn->http.status / 100 == 2) {
        if (!size || (*payload->write_body)(conn->http.body, size, payload->user_data))
            return RTM_OK;
        return rtmi_fail(&conn->error, RTM_E_CANCELLED, "write_body ended the response of %s",
                         exchange->method);
    }
    rtmi_buf_add(&exchange->body, conn->http.body, size < room ? size : room);
    if (exchange->body.failed) return rtmi_out_of_memory(&conn->error);
    if (size <= room) return RTM_OK;
    return rtmi_fail(&conn->error, RTM_E_TOO_BIG, "the response of %s is larger than "
                     "max_message_size: raise it", conn->name);
}

/* Reads what has arrived of the response. */
static rtm_result rtmi_exchange_read(rtmi_exchange *exchange) {
    rtmi_conn *conn = &exchange->conn;
    const char *data;
    size_t size, used;
    for (;;) {
        rtmi_http_what what;
        rtm_result result = rtmi_conn_read(conn, &data, &size);
        if (result == RTM_OK) {
            what = rtmi_http_parse(&conn->http, data, size, &used);
            if (what == RTMI_HTTP_BODY) {
                result = rtmi_exchange_take_piece(exchange);
                if (result != RTM_OK) return result;
                if (conn->http.part == RTMI_HTTP_COMPLETE) what = RTMI_HTTP_DONE;
            }
            rtmi_conn_consume(conn, used);
        } else {
            bool begun = conn->http.head || conn->http.part != RTMI_HTTP_STATUS_LINE;
            if (result != RTM_E_CLOSED || !begun) return result;
            /* Complete after close_notify (even if ours could not be sent); without TLS after a
               FIN, which anybody could have sent. */
            bool clean = conn->tls ? conn->tls->client.eng.shutdown_recv : conn->fin_received;
            what = rtmi_http_end(&conn->http, clean);
        }
        if (what == RTMI_HTTP_DONE) return RTM_OK;
        if (what == RTMI_HTTP_BAD)
            return rtmi_fail(&conn->error, RTM_E_HTTP, "bad HTTP response from %s: %s",
                             conn->name, conn->http.error);
    }
}

/* Connects, sends and reads as far as that is possible now. After the deadline, nothing more is
   sent except what is streamed: its deadline moves with its progress. */
RTMI_APART static rtm_result rtmi_exchange_move(rtmi_exchange *exchange, long long now) {
    rtmi_conn *conn = &exchange->conn;
    rtm_result result = rtmi_conn_step(conn, now);
    if (result != RTM_OK) return result;
    if (!exchange->begun) {
        if (now >= conn->deadline) return rtmi_conn_timeout(conn);
        rtmi_http_start(&conn->http, exchange->kind);
        rtmi_buf_add(&conn->out, exchange->head.data, exchange->head.size);
        if (conn->out.failed) return rtmi_out_of_memory(&conn->error);
        exchange->begun = true;
        conn->timeout_ms += exchange->reserve_ms;
        conn->deadline += exchange->reserve_ms;
    }
    bool late = now >= conn->deadline, streamed = exchange->payload.streamed;
    size_t sent = exchange->payload_at - rtmi_exchange_unsent(exchange);
    conn->received = false;
    conn->late = late && !streamed; /* reading must not send what waits in the engine either */
    if (!conn->late) result = rtmi_exchange_send(exchange);
    if (result == RTM_OK) result = rtmi_exchange_read(exchange);
    bool progress = conn->received || sent != exchange->payload_at - rtmi_exchange_unsent(exchange);
    if (streamed && progress) conn->deadline = now + conn->timeout_ms;
    return result;
}

/* RTM_E_AGAIN until the response is complete; then it is in conn.http and body. What has arrived by
   the deadline is read before the exchange fails. With a status other than 2xx, a failure in the
   body is ignored. */
static rtm_result rtmi_exchange_step(rtmi_exchange *exchange, long long now) {
    rtmi_conn *conn = &exchange->conn;
    if (exchange->head.failed) return rtmi_out_of_memory(&conn->error);
    if (now >= conn->deadline) rtmi_conn_look(conn);
    rtm_result result = rtmi_exchange_move(exchange, now);
    if (result == RTM_E_AGAIN) {
        bool unread = conn->readable && (exchange->begun || conn->budget);
        if (now < conn->deadline) return result;
        if (unread && exchange->late_steps++ < RTMI_LATE_READS) return result;
        result = rtmi_conn_timeout(conn);
    }
    bool cut = result != RTM_OK && exchange->begun && rtmi_http_is_decided(&conn->http);
    if (result != RTM_OK && !cut) return result;
    if (cut || rtmi_exchange_unsent(exchange) || conn->unsent_body) conn->http.keep_alive = false;
    conn->late = false;
    conn->used_at = now;
    rtmi_buf_free(&exchange->head);
    return RTM_OK;
}

/* ------------------------------------------------------------------------------------------------
 * >>session  what a session is, dispatch of events, errors that are reported
 * --------------------------------------------------------------------------------------------- */

typedef struct rtmi_handler {
    char *type; /* as registered: "*", "type" or "type::subtype" */
    size_t length;       /* of "type", without "::subtype" */
    const char *subtype; /* after "::", or NULL */
    rtm_callback callback; /* NULL = removed; freed when no callback is running */
    void *user_data;
} rtmi_handler;

/* The configuration; constant after rtm_create, except the token. */
typedef struct rtmi_settings {
    int timeout_ms;
    int ping_interval_ms;
    size_t max_message_size, max_queue_size;
    bool no_auto_reconnect, no_signals;
    char *token, *app_token; /* either may be NULL, not both */
    char *headers;         /* lines "Name: value\r\n", or NULL */
    char *url_headers;     /* those that are sent to any host: User-Agent */
    char *base_path;       /* of base_url, with a slash at its end */
    rtmi_peer api;
    void (*log)(const char *line, void *user_data);
    void *log_user_data;
} rtmi_settings;

/* What will happen to an open session. The value only increases: see rtmi_raise_fate. */
typedef enum rtmi_fate {
    RTMI_STAYS,   /* until it ends */
    RTMI_LEAVING, /* Slack will end it: a second session is to take over */
    RTMI_LAST,    /* Slack will end it, and has permanently refused a second session */
    RTMI_DROPPING, /* to be dropped, after what is in the socket has been read */
    RTMI_DROPPED, /* nothing more is read; closed when all received events are delivered */
    RTMI_RETIRED  /* another has taken over: read until Slack closes it; its end is not reported */
} rtmi_fate;

/* One session, from the attempt to open it to the wait for the next one. Arrays last: the code to
   access a field near the beginning is shorter (saves 500 bytes on ARM). */
typedef struct rtmi_session {
    /* Written by rtmi_enter and what it calls. */
    rtm_state state;
    unsigned number;     /* of the connection; of two sessions one has an odd, one an even number */
    bool unreported;     /* the session or attempt has ended, and that is not reported yet */
    bool was_open;       /* it was a session, not only an attempt */
    int retry_ms;        /* while its end is reported: until the next attempt, -1 = none */
    long long hello_by;  /* the deadline for "hello" */
    /* Written by rtmi_blame, as is `error`: the first cause of the end is kept. */
    bool blamed;
    rtm_result cause;    /* RTM_OK = it ended without an error, or has not ended */
    /* Written by the functions of the states. */
    long long deadline;  /* of the state; an exchange has its own */
    int retry_after;     /* seconds that the last response asked for; -1 = none */
    long long began_at;  /* of the last attempt; the next one begins 1 s later at the earliest, */
    long long asked_until; /* and not before this time, even if rtm_reconnect is called */
    rtm_json greeting;   /* the response with the URL: it is in the exchange's body, which the
                            handshake does not use, until `open` has been dispatched */
    long long silent_at; /* when a PING is due, or the end, if nothing is received until then */
    unsigned pings_sent; /* our PINGs since anything was received */
    /* Written by what is received. */
    rtmi_fate fate;      /* by rtmi_raise_fate and rtmi_take_over */
    bool said_hello;
    long long hello_at;
    long long active_at; /* when Slack last sent a message or a PING */
    long long ping_at, ping_gap; /* time of Slack's last PING, and longest time between two */
    unsigned pings;      /* PINGs from Slack, counted up to 2 */
    unsigned pongs;      /* bytes of PONGs in `out` since the last flush */
    bool pong_due;       /* no room for a PONG yet: pong_size bytes of pong are its payload */
    size_t pong_size;
    int close_code;
    const char *notice;  /* the last failure that did not end it, such as a skipped message */
    rtm_result notice_result;
    unsigned notices;    /* number of such failures that are not reported yet */
    long long notice_at; /* they are not reported before this time */
    long long large_at;  /* when a message of more than RTMI_KEPT bytes was last received */
    /* Written by what is received and delivered. */
    rtmi_buf inbox;      /* Socket Mode: events received and not delivered yet */
    size_t inbox_at;     /* place of the first one's rtmi_inbox_entry; its text follows */
    long long drain_at;  /* RTMI_RETIRED: when the session is closed */
    rtmi_ws ws;
    rtmi_error error;
    rtmi_exchange exchange; /* first for the URL, then for the WebSocket */
    char key[25];           /* Sec-WebSocket-Key */
    char close_reason[126];
    unsigned char pong[125];
} rtmi_session;

/* The last events: a hash of each, and the highest byte of each hash. */
typedef struct rtmi_seen {
    uint64_t hash[RTMI_SEEN];
    unsigned char top[RTMI_SEEN];
} rtmi_seen;

/* The parsed parts of an envelope of Socket Mode, or of a message without an envelope. */
typedef struct rtmi_envelope {
    rtm_json id;         /* missing: there is no envelope */
    rtm_json event_id;   /* of its event, or missing */
    rtm_json type, data; /* of its event; data missing: the whole message is the data */
    bool accepts;        /* its acknowledgement may contain a payload */
    bool late;           /* it is acknowledged after the callbacks */
} rtmi_envelope;

/* An envelope whose callbacks are being called, or whose reply was deferred. */
typedef struct rtmi_delivery {
    int serial;            /* of this delivery, for rtm_reply */
    unsigned number;       /* of the connection that brought it */
    rtm_json id;
    bool accepts;          /* its acknowledgement may contain a payload */
    bool late;             /* acknowledged after the callbacks */
    bool unacknowledged;   /* not acknowledged yet */
    int deferral;          /* its id, or 0 */
} rtmi_delivery;

/* A deferred reply, in one of RTMI_DEFERRALS places. */
typedef struct rtmi_deferral {
    char *envelope_id;      /* a JSON string; NULL: the deferral has ended */
    rtm_result fault;       /* the result of a reply after the end; RTM_OK: not ended */
    rtmi_delivery delivery; /* its `deferral` modulo RTMI_DEFERRALS is the place; 0 = never used */
} rtmi_deferral;

/* An encoded request: all that is needed to send it, and to send it again. */
typedef struct rtmi_request {
    struct rtmi_request *next;
    const char *target;       /* a method of the Web API, or a URL */
    const char *token;        /* instead of the client's, or NULL */
    const char *content_type;
    rtmi_payload payload;
    struct rtmi_lane *lane;   /* the connection to use */
    uint64_t key;             /* for holds: a hash of target and token */
    int timeout_ms;
    long long again_at;       /* no attempt before this time */
    long long until;          /* no attempt from this time on */
    rtm_result cause;         /* why the last attempt failed, or RTM_OK */
    rtmi_error *failure;      /* the message of that failure, or NULL */
    rtm_request_callback callback;
    size_t size;              /* bytes of all this, without `failure` */
    int id;
    int attempts;             /* consecutive ones that failed before a byte was sent */
    rtm_result result;        /* not RTM_OK: the request has ended without a response */
    bool by_url, get, no_retry;
    bool is_message;          /* from rtm_send_message in Socket Mode */
} rtmi_request;

/* After HTTP 429: no request with this key is sent before this time. */
typedef struct rtmi_hold {
    uint64_t key;
    long long until;
} rtmi_hold;

/* A connection for submitted requests, one after the other. */
typedef struct rtmi_lane {
    rtmi_request *current;   /* the request in progress, or NULL */
    rtmi_exchange *exchange; /* its connection; NULL after a minute without requests */
} rtmi_lane;

/* Submitted requests, the oldest first. */
typedef struct rtmi_queue {
    rtmi_request *first;
    rtmi_lane lane[RTMI_LANES]; /* lane[0] is for the methods of the Web API */
    rtmi_hold *holds;  /* RTMI_HOLDS, and one that is never used; NULL before the first 429 */
    size_t size;       /* bytes of all requests */
    long long look_at; /* before this time no request can begin, and no callback is due */
    bool stopped;      /* no request begins any more */
} rtmi_queue;

struct rtm_client {
    long long now;      /* read once per step, not once per event */
    const char *method; /* of the Web API: its response has the URL of a session */
    void (*on_text)(rtm_client *client, rtmi_session *session, const char *text, size_t size);
    rtmi_session *session[2]; /* [0]: the session in use. [1]: exists during a handover: the session
                                 that is being opened to take over, or the retired one */
    bool socket_mode;   /* there is an app-level token; only acknowledgements are sent */
    bool polling;       /* in rtm_poll, and so perhaps in a callback */
    bool performing;    /* in a blocking call, and so perhaps in read_body or write_body */
    bool woken;         /* a wake-up for rtm_poll was received during a blocking call */
    bool reconnects;    /* rtm_reconnect was called: the next rtm_poll does the rest */
    bool open_reported; /* `open` was reported, and `close` not yet */
    bool handlers_removed;
    int stop;           /* rtm_stop was called, perhaps by another thread: see rtmi_is_stopped */
    rtmi_exchange *web; /* for blocking calls; NULL before the first */
    int dispatched;     /* events and responses in this rtm_poll */
    unsigned ends;      /* of sessions and attempts, for rtm_connect */
    unsigned failures;  /* consecutive: attempts without "hello", sessions that did not last */
    bool had_short_session; /* one of them had received "hello" */
    int last_id;        /* of messages and requests */
    rtmi_seen *seen;    /* NULL if none are remembered */
    rtmi_deferral *deferrals; /* NULL before the first */
    rtmi_handler *handlers;
    size_t handler_count;
    rtmi_error error;   /* the last failure, for rtm_error_detail; in the first 128 bytes, where an
                           offset needs one byte (saves 200 bytes of code on x86-64) */
    rtmi_delivery pending;  /* Socket Mode: what is being delivered */
    int last_deferral;
    bool slicing;           /* Socket Mode: callbacks have been called in this rtm_poll: */
    long long slice_end;    /* no further one begins after this time */
    rtmi_buf unanswered;    /* ids of unacknowledged messages of all sessions, oldest first */
    unsigned connections;   /* the highest `number` of a session so far */
    unsigned seen_count;
    long long overlap_end;  /* RTM: until when both sessions' events are compared */
    long long disabled_until; /* no attempt before this time, after link_disabled */
    rtmi_buf compose;  /* scratch: a message to send, the URL of a request */
    rtmi_document document; /* the event being read or dispatched */
    rtmi_queue queue;
    rtmi_settings settings;
    rtmi_network network;
    char type[RTMI_TYPE]; /* of the event being dispatched */
};

static long long rtmi_min(long long a, long long b) { return a < b ? a : b; }
RTMI_APART static long long rtmi_max(long long a, long long b) { return a > b ? a : b; }

/* The flag is set in any thread or signal handler, and never cleared. */
static bool rtmi_is_stopped(const rtm_client *client) {
    return RTMI_LOAD(&client->stop) != 0;
}

RTMI_PRINTF(2)
static void rtmi_log(rtm_client *client, const char *format, ...) {
    char line[320];
    va_list arguments;
    if (!client->settings.log) return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    client->settings.log(line, client->settings.log_user_data);
}

/* Dispatch ------------------------------------------------------------------------------------ */

static bool rtmi_handler_matches(const rtmi_handler *handler, const char *type, size_t length) {
    if (!handler->callback) return false;
    if (handler->length == length && !memcmp(handler->type, type, length)) return true;
    return handler->length == 1 && *handler->type == '*';
}

static bool rtmi_has_handler(const rtm_client *client, const char *type, size_t length) {
    for (size_t i = 0; i < client->handler_count; i++)
        if (rtmi_handler_matches(&client->handlers[i], type, length)) return true;
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

/* The member that is after "::" in a handler's type. */
static const char *rtmi_subtype_name(const rtm_event *event) {
    if (event->envelope.size && !strcmp(event->type, "slash_commands")) return "command";
    if (event->envelope.size && !strcmp(event->type, "interactive")) return "type";
    return "subtype";
}

/* Whether an event is delivered after rtm_stop too: the end of a session, and acknowledgements of
   messages. All handlers of `open` are called or none, because `close` follows for all. */
static bool rtmi_is_final_event(const rtm_event *event) {
    static const char *const types[] = { "open", "close", "error", NULL };
    return event->id || rtmi_is_one_of(event->type, types);
}

/* Calls the handlers of an event in the order registered. A handler may call rtm_on, rtm_off and
   rtm_stop. */
static void rtmi_dispatch(rtm_client *client, rtm_event *event) {
    size_t length = strlen(event->type), count = client->handler_count;
    bool ran = false;
    if (!event->reason) event->reason = "";
    if (!event->detail) event->detail = "";
    for (size_t i = 0; i < count; i++) {
        rtmi_handler handler = client->handlers[i];
        if (!rtmi_handler_matches(&handler, event->type, length)) continue;
        if (handler.subtype &&
            !rtm_json_equals(rtm_json_get(event->data, rtmi_subtype_name(event)), handler.subtype))
            continue;
        if (rtmi_is_stopped(client) && !rtmi_is_final_event(event)) break;
        handler.callback(client, event, handler.user_data);
        ran = true;
    }
    if (ran) client->dispatched++;
    if (client->handlers_removed) rtmi_sweep_handlers(client);
}

/* Reports a failure, whose message is in client->error, to the log and the callbacks. The callbacks
   receive a copy of the message: another failure in a callback replaces client->error. */
static void rtmi_report(rtm_client *client, rtm_event *event) {
    const rtmi_error error = client->error;
    event->type = "error";
    event->detail = error.text;
    rtmi_log(client, "error: %s", error.text);
    rtmi_dispatch(client, event);
}

/* Reports skipped messages that are not reported yet: the cause of the last one, and how many. */
static void rtmi_report_notices(rtm_client *client, rtmi_session *session) {
    char also[32] = "";
    if (session->notices > 1) snprintf(also, sizeof also, " (and %u more)", session->notices - 1);
    session->notices = 0;
    session->notice_at = client->now + RTMI_NOTICE_MS;
    rtmi_fail(&client->error, session->notice_result, "%s%s", session->notice, also);
    rtmi_report(client, &(rtm_event){ .result = session->notice_result });
}

/* ------------------------------------------------------------------------------------------------
 * >>send  frames and messages to Slack
 * --------------------------------------------------------------------------------------------- */

RTMI_APART static rtm_result rtmi_stopped(rtmi_error *error) {
    return rtmi_fail(error, RTM_E_STOPPED, "the client was stopped");
}

RTMI_APART static rtm_result rtmi_not_connected(rtm_client *client) {
    return rtmi_fail(&client->error, RTM_E_NOT_CONNECTED,
                     "not connected: wait for the `open` event");
}

/* Appends a frame to `out`. A control frame may exceed the limit. */
static rtm_result rtmi_queue_frame(rtm_client *client, rtmi_session *session, int opcode,
                                   const void *data, size_t size) {
    rtmi_conn *conn = &session->exchange.conn;
    unsigned char mask[4];
    size_t limit = opcode & 8 ? RTMI_OUT + RTMI_OUT_CONTROL : RTMI_OUT;
    if (session->ws.close_sent) return rtmi_not_connected(client);
    if (conn->out.size - conn->out_at + size > limit)
        return rtmi_fail(&client->error, RTM_E_AGAIN,
                         "send buffer full (64 KiB): retry after the next rtm_poll");
    if (RTM_RANDOM(mask, sizeof mask)) return rtmi_no_random(&client->error);
    rtmi_conn_compact(conn);
    if (!rtmi_ws_frame(&conn->out, opcode, data, size, mask)) {
        conn->out.failed = false; /* nothing was appended */
        return rtmi_out_of_memory(&client->error);
    }
    session->ws.close_sent = opcode == RTMI_WS_CLOSE;
    return RTM_OK;
}

/* Sends what the socket accepts; the rest waits. Errors are found by reading. */
static void rtmi_flush(rtmi_session *session) {
    rtmi_conn_flush(&session->exchange.conn);
    rtmi_conn_watch(&session->exchange.conn);
}

static rtm_result rtmi_send_frame(rtm_client *client, rtmi_session *session, int opcode,
                                  const void *data, size_t size) {
    rtm_result result = rtmi_queue_frame(client, session, opcode, data, size);
    rtmi_flush(session);
    return result;
}

static void rtmi_send_close(rtm_client *client, rtmi_session *session, int code) {
    unsigned char payload[2] = { (unsigned char)(code >> 8), (unsigned char)code };
    rtmi_send_frame(client, session, RTMI_WS_CLOSE, payload, code == RTMI_CLOSE_NO_STATUS ? 0 : 2);
}

/* Queues a PONG for a PING. While there is no room, only the last PING is answered, as RFC 6455
   section 5.5.3 allows: a flood of PINGs must not use up memory. */
static void rtmi_queue_pong(rtm_client *client, rtmi_session *session) {
    const rtmi_error before = client->error;
    session->pong_due = session->pongs + session->pong_size + 6 > RTMI_OUT_CONTROL ||
                        rtmi_queue_frame(client, session, RTMI_WS_PONG, session->pong,
                                         session->pong_size) != RTM_OK;
    if (!session->pong_due) session->pongs += (unsigned)session->pong_size + 6;
    client->error = before; /* the user has not requested a PONG */
}

/* Sends the PONGs and acknowledgements for what was received, before any callback for what was
   received later. */
static void rtmi_send_answers(rtm_client *client, rtmi_session *session) {
    const rtmi_conn *conn = &session->exchange.conn;
    if (conn->out_at < conn->out.size) rtmi_flush(session);
    session->pongs = 0;
    if (!session->pong_due) return;
    rtmi_queue_pong(client, session);
    rtmi_flush(session);
}

static const char rtmi_no_tokens[] = "out of memory parsing an event";

/* Counts a skipped message, and reports it unless one was reported within the last second: a server
   can send a hundred thousand of them in that time. */
static void rtmi_notify(rtm_client *client, rtmi_session *session, rtm_result result,
                        const char *notice) {
    rtmi_send_answers(client, session);
    session->notice = notice;
    session->notice_result = result;
    session->notices++;
    if (client->now >= session->notice_at) rtmi_report_notices(client, session);
}

static size_t rtmi_unanswered_count(const rtm_client *client) {
    return client->unanswered.size / sizeof(int);
}

static rtm_result rtmi_unanswered_add(rtm_client *client, int id) {
    if (rtmi_unanswered_count(client) == RTMI_UNANSWERED)
        return rtmi_fail(&client->error, RTM_E_AGAIN, "%d messages are unacknowledged: retry later",
                         RTMI_UNANSWERED);
    rtmi_buf_add(&client->unanswered, &id, sizeof id);
    if (!client->unanswered.failed) return RTM_OK;
    client->unanswered.failed = false;
    return rtmi_out_of_memory(&client->error);
}

/* Slack acknowledges mostly in order, so the search is short. */
static int *rtmi_unanswered_find(const rtm_client *client, int id) {
    int *ids = (void *)client->unanswered.data;
    for (size_t i = 0; i < rtmi_unanswered_count(client); i++)
        if (ids[i] == id) return &ids[i];
    return NULL;
}

static bool rtmi_unanswered_remove(rtm_client *client, int id) {
    rtmi_buf *ids = &client->unanswered;
    int *at = rtmi_unanswered_find(client, id);
    if (!at) return false;
    ids->size -= sizeof *at;
    memmove(at, at + 1, (size_t)(ids->data + ids->size - (char *)at));
    return true;
}

static rtmi_request *rtmi_find_request(const rtm_client *client, int id) {
    rtmi_request *request = client->queue.first;
    while (request && request->id != id) request = request->next;
    return request;
}

/* The id of the next message or request: one that is not in use. After INT_MAX comes 1. */
static int rtmi_next_id(const rtm_client *client) {
    int id = client->last_id;
    do id = id < INT_MAX ? id + 1 : 1;
    while (rtmi_find_request(client, id) || rtmi_unanswered_find(client, id));
    return id;
}

RTMI_APART static rtm_result rtmi_too_big(rtm_client *client, size_t size) {
    return rtmi_fail(&client->error, RTM_E_TOO_BIG,
                     "message too large: %zu bytes or more, limit 16384", size);
}

/* Begins a message in client->compose; fails if no message can be sent now. */
static rtm_result rtmi_begin_message(rtm_client *client) {
    rtmi_buf_clear(&client->compose);
    if (client->socket_mode)
        return rtmi_fail(&client->error, RTM_E_UNSUPPORTED, "rtm_send, rtm_send_typing, "
                         "rtm_send_ping need RTM; in Socket Mode use rtm_send_message or "
                         "chat.postMessage");
    return rtm_is_connected(client) ? RTM_OK : rtmi_not_connected(client);
}

/* Sends client->compose, a message with this id; `answered`: Slack will acknowledge it. */
static int rtmi_send_composed(rtm_client *client, int id, bool answered) {
    const rtmi_buf *out = &client->compose;
    rtmi_session *session = client->session[0];
    if (out->failed) return rtmi_out_of_memory(&client->error);
    if (out->size > RTMI_MESSAGE_OUT) return rtmi_too_big(client, out->size);
    rtm_result result = answered ? rtmi_unanswered_add(client, id) : RTM_OK;
    if (result != RTM_OK) return result;
    result = rtmi_send_frame(client, session, RTMI_WS_TEXT, out->data, out->size);
    if (result != RTM_OK) {
        if (answered) rtmi_unanswered_remove(client, id);
        return result;
    }
    /* Of the program's own ids only a larger one counts, unless the counter is about to wrap. */
    if (id > client->last_id || client->last_id > INT_MAX - INT_MAX / 8) client->last_id = id;
    return id;
}

/* {"id":N,"type":TYPE[,"channel":CHANNEL[,"text":TEXT]]}; fields: 0 = neither, 1 = the channel, 2 =
   both. */
static int rtmi_send_typed(rtm_client *client, const char *type, int fields, const char *channel,
                           const char *text) {
    static const char *const key[] = { "channel", "text" };
    const char *const value[] = { channel, text };
    if (!client) return RTM_E_ARGUMENT;
    for (int i = 0; i < fields; i++)
        if (!value[i]) return rtmi_fail(&client->error, RTM_E_ARGUMENT, "rtm_send_%s: %s is NULL",
                                        type, key[i]);
    rtm_result result = rtmi_begin_message(client);
    if (result != RTM_OK) return result;
    rtmi_buf *out = &client->compose;
    int id = rtmi_next_id(client);
    rtmi_buf_text(out, "{\"id\":");
    rtmi_buf_number(out, id);
    rtmi_buf_text(out, ",\"type\":\"", type, "\"");
    for (int i = 0; i < fields; i++) {
        size_t size = strlen(value[i]);
        if (!rtmi_is_utf8(value[i], size)) return rtmi_fail(&client->error, RTM_E_JSON,
                         "rtm_send_%s: %s is not valid UTF-8", type, key[i]);
        if (size > RTMI_MESSAGE_OUT) return rtmi_too_big(client, size);
        rtmi_buf_text(out, ",\"", key[i], "\":");
        rtmi_json_quote(out, value[i]);
    }
    rtmi_buf_text(out, "}");
    return rtmi_send_composed(client, id, strcmp(type, "typing") != 0);
}

/* ------------------------------------------------------------------------------------------------
 * >>receive  messages from Slack; RTM
 * --------------------------------------------------------------------------------------------- */

/* Copies a server's string, restricted by rtmi_tame, for a message or a log line. A run that is
   truncated by the end of `text` becomes "?": a part of a run may look like a word. */
static void rtmi_tame_string(const rtm_json *json, const char *path, char *text, size_t size) {
    bool cut = rtm_json_string(rtm_json_get(*json, path), text, size) >= size;
    char *end = text + strlen(text);
    while (cut && end > text && rtmi_is_alnum(end[-1])) memcpy(--end, "?", 2);
    rtmi_tame(text);
}

/* The number at a path of server JSON; 0 if there is none. */
static long long rtmi_read_number(const rtm_json *json, const char *path) {
    return rtm_json_int(rtm_json_get(*json, path), 0);
}

/* Handles Slack's acknowledgement of a message: {"ok":…,"reply_to":…} without a type, or a
   pong. Returns true if Slack refused the message: then an error with its id is reported. */
static bool rtmi_reply_was_refused(rtm_client *client, rtm_event *event) {
    char text[128];
    bool pong = !strcmp(event->type, "pong");
    long long id = rtmi_read_number(&event->data, "reply_to");
    if (id <= 0 || id > INT_MAX) return false;
    event->id = (int)id;
    bool awaited = rtmi_unanswered_remove(client, event->id);
    if (pong || !awaited || rtm_json_bool(rtm_json_get(event->data, "ok"), true)) return false;
    rtmi_tame_string(&event->data, "error.msg", text, sizeof text);
    event->result = rtmi_fail(&client->error, RTM_E_SLACK, "Slack refused message %d: %s (code "
                              "%lld)", event->id, text,
                              rtmi_read_number(&event->data, "error.code"));
    rtmi_report(client, event);
    return true;
}

/* The type of an event that was not checked as JSON; Slack sends this member first. */
static rtm_json rtmi_event_type(rtm_json event) {
    static const char usual[] = "{\"type\":\"";
    size_t start = sizeof usual - 1;
    if (event.size < start || memcmp(event.text, usual, start) != 0)
        return rtmi_json_member(&event, "type", 4);
    const char *value = event.text + start - 1;
    const char *end = rtmi_json_string_end(value + 1, event.text + event.size);
    return end ? (rtm_json){ value, (size_t)(end - value), NULL } : rtmi_json_none;
}

/* Copies the type of an event to client->type, and returns client->type: "Unknown" if the type is
   missing, too long, or reserved for rtm.h. */
static const char *rtmi_take_type(rtm_client *client, rtm_json type) {
    static const char *const own[] = { "open", "close", NULL };
    static const char unknown[] = "Unknown";
    size_t length = rtm_json_string(type, client->type, sizeof client->type);
    if (!rtmi_json_is(type, '"') || strlen(client->type) != length ||
        rtmi_is_one_of(client->type, own)) memcpy(client->type, unknown, sizeof unknown);
    return client->type;
}

#define RTMI_HASH UINT64_C(0xcbf29ce484222325)
/* Continues a hash (FNV-1a) with some bytes. */
RTMI_APART static uint64_t rtmi_hash(uint64_t hash, const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* The hash of an event, with its lowest 3 bits clear: in client->seen they are flags. */
enum { RTMI_SEEN_FIRST = 1, RTMI_SEEN_SECOND = 2, RTMI_SEEN_WAITS = 4, RTMI_SEEN_BITS = 7 };
RTMI_APART static uint64_t rtmi_event_hash(rtm_json id, rtm_json type) {
    uint64_t hash = rtmi_hash(RTMI_HASH, id.text, id.size);
    hash = rtmi_hash(hash, type.text, type.size) & ~(uint64_t)RTMI_SEEN_BITS;
    return hash ? hash : RTMI_SEEN_BITS + 1;
}

/* The flag of a session in client->seen: of two sessions, one has an even number. */
static uint64_t rtmi_seen_bit(const rtmi_session *session) {
    return session->number & 1 ? RTMI_SEEN_FIRST : RTMI_SEEN_SECOND;
}

/* Finds the entry of a hash, comparing all bits except the ignored ones; NULL if there is none. The
   highest bytes are compared first, for speed: the search runs for every event. */
static uint64_t *rtmi_find_seen(const rtm_client *client, uint64_t hash, uint64_t ignored) {
    const unsigned char *at = client->seen->top, *end = at + RTMI_SEEN;
    while ((at = memchr(at, (int)(hash >> 56), (size_t)(end - at))) != NULL) {
        uint64_t *entry = &client->seen->hash[at++ - client->seen->top];
        if ((*entry & ~ignored) == hash) return entry;
    }
    return NULL;
}

static uint64_t *rtmi_find_envelope(const rtm_client *client, rtm_json id) {
    return rtmi_find_seen(client, rtmi_event_hash(id, rtmi_json_none), RTMI_SEEN_BITS);
}

static void rtmi_add_seen(rtm_client *client, uint64_t hash) {
    size_t i = client->seen_count++ % RTMI_SEEN;
    client->seen->hash[i] = hash;
    client->seen->top[i] = (unsigned char)(hash >> 56);
}

/* RTM: notes an event, and returns whether it was already received on the other session. During a
   handover Slack sends each event to both sessions. Only events with a time stamp are compared: a
   second equal `presence_change` is a new event, not a copy. */
static bool rtmi_note_copy(rtm_client *client, const rtmi_session *session, rtm_json event) {
    const rtmi_session *second = client->session[1];
    bool overlap = second && (second->fate == RTMI_RETIRED || second->state == RTM_STATE_OPEN ||
                              second->state == RTM_STATE_UPGRADING);
    if (!client->seen || (!overlap && client->now >= client->overlap_end)) return false;
    if (!rtm_json_get(event, "event_ts").size && !rtm_json_get(event, "ts").size) return false;
    uint64_t hash = rtmi_event_hash(event, rtmi_json_none), bit = rtmi_seen_bit(session);
    uint64_t other = bit ^ (RTMI_SEEN_FIRST | RTMI_SEEN_SECOND);
    uint64_t *copy = rtmi_find_seen(client, hash | other, 0);
    if (copy) *copy = 0; /* each event has one copy */
    else rtmi_add_seen(client, hash | bit);
    return copy != NULL;
}

RTMI_APART static void rtmi_raise_fate(rtmi_session *session, rtmi_fate fate) {
    if (fate > session->fate) session->fate = fate;
}

static bool rtmi_is_dropped(const rtmi_session *session) {
    return session->fate == RTMI_DROPPING || session->fate == RTMI_DROPPED;
}

/* Records why a session or attempt ends or is to end, with the message in its connection's error.
   Only the first cause is kept: later ones are its consequences. */
RTMI_APART static void rtmi_blame(rtmi_session *session, rtm_result cause) {
    if (session->blamed) return;
    session->blamed = true;
    session->cause = cause;
    session->error = session->exchange.conn.error;
}

RTMI_APART static void rtmi_note_hello(const rtm_client *client, rtmi_session *session) {
    if (!session->said_hello) session->hello_at = client->now;
    session->said_hello = true;
}

/* Slack will end the session. Another one takes over, unless no_auto_reconnect is set. */
static void rtmi_expect_end(const rtm_client *client, rtmi_session *session) {
    rtmi_raise_fate(session, client->settings.no_auto_reconnect ? RTMI_DROPPING : RTMI_LEAVING);
}

/* Delivers the event in client->document. */
static void rtmi_dispatch_text(rtm_client *client, rtmi_session *session, rtm_event *event) {
    if (client->document.values > RTMI_KEPT_TOKENS) session->large_at = client->now;
    rtmi_dispatch(client, event);
    if (client->document.failed) rtmi_notify(client, session, RTM_E_MEMORY, rtmi_no_tokens);
}

/* Opens a text as client->document; one that is not JSON is skipped. */
static bool rtmi_open_text(rtm_client *client, rtmi_session *session, const char *text, size_t size,
                           const char *noted, rtm_json *root) {
    rtmi_document *document = &client->document;
    if (rtmi_document_open_at(document, text, size, noted, root)) return true;
    rtmi_notify(client, session, RTM_E_JSON, document->too_deep
                ? "message skipped: nested deeper than 128 levels"
                : "message skipped: not valid JSON");
    return false;
}

/* RTM: handles a text message. An event without a handler is dropped once its type is known. */
static void rtmi_on_rtm_text(rtm_client *client, rtmi_session *session, const char *text,
                             size_t size) {
    static const char *const ends[] = { "goodbye", "team_migration_started", "error", NULL };
    static const char *const replies[] = { "pong", "Unknown", NULL };
    rtm_json data = { text, size, NULL };
    const char *type = rtmi_take_type(client, rtmi_event_type(data));
    bool reply = rtmi_is_one_of(type, replies), end = rtmi_is_one_of(type, ends);
    bool hello = !strcmp(type, "hello");
    if (!end && !reply && !hello && !rtmi_has_handler(client, type, strlen(type))) return;
    rtm_event event = { .type = type };
    if (!rtmi_open_text(client, session, text, size, NULL, &event.data)) return;
    if (reply && rtmi_reply_was_refused(client, &event)) return;
    if (end && *type == 'g') rtmi_expect_end(client, session);
    else if (end) rtmi_raise_fate(session, RTMI_DROPPING);
    if (hello) rtmi_note_hello(client, session);
    if (!reply && !hello && !end && rtmi_note_copy(client, session, event.data)) return;
    rtmi_dispatch_text(client, session, &event);
}

/* ------------------------------------------------------------------------------------------------
 * >>socket_mode  envelopes: acknowledged, kept in the inbox (the queue of events), delivered
 * --------------------------------------------------------------------------------------------- */

/* The place of a part in a text message; size 0 = missing. */
typedef struct rtmi_span {
    size_t at, size;
} rtmi_span;

/* Precedes each text message in the inbox: the places of its parts. */
typedef struct rtmi_inbox_entry {
    size_t size;
    rtmi_span id, type, data;
    bool accepts, late;
} rtmi_inbox_entry;

/* Finds the parts of a text message, which was not checked as JSON. */
static void rtmi_open_envelope(rtm_json root, rtmi_envelope *envelope) {
    static const char *const outer[] = { "envelope_id", "type", "payload",
                                         "accepts_response_payload" };
    static const char *const inner[] = { "event", "event_id" };
    rtm_json of[4], in[2];
    rtmi_json_pick(root, outer, of, 4);
    *envelope = (rtmi_envelope){ .type = of[1] };
    if (!rtmi_json_is(of[0], '"')) return;
    envelope->id = of[0];
    envelope->accepts = envelope->late = rtm_json_bool(of[3], false);
    envelope->data = of[2];
    if (!rtm_json_equals(of[1], "events_api")) return; /* for events_api, use the inner event */
    rtmi_json_pick(of[2], inner, in, 2);
    if (rtmi_json_is(in[0], '{')) envelope->data = in[0];
    if (rtmi_json_is(in[1], '"')) envelope->event_id = in[1];
    if (envelope->data.size) envelope->type = rtmi_event_type(envelope->data);
    if (rtm_json_equals(envelope->type, "function_executed")) envelope->late = true;
}

/* Acknowledges an envelope on one connection, with or without a payload. */
static rtm_result rtmi_acknowledge(rtm_client *client, rtmi_session *session, rtm_json id,
                                   rtm_json payload) {
    rtmi_buf *out = &client->compose;
    if (!rtmi_json_is(id, '"')) return RTM_OK;
    rtmi_buf_clear(out);
    rtmi_buf_text(out, "{\"envelope_id\":");
    rtmi_buf_add(out, id.text, id.size);
    if (payload.size) rtmi_buf_text(out, ",\"payload\":");
    rtmi_buf_add(out, payload.text, payload.size);
    rtmi_buf_text(out, "}");
    if (out->failed) return rtmi_out_of_memory(&client->error);
    if (out->size > RTMI_ACKNOWLEDGEMENT)
        return rtmi_fail(&client->error, RTM_E_TOO_BIG, "reply too large: %zu bytes, limit %d",
                         out->size, RTMI_ACKNOWLEDGEMENT);
    return rtmi_queue_frame(client, session, RTMI_WS_TEXT, out->data, out->size);
}

static bool rtmi_can_acknowledge(const rtmi_session *session) {
    return session && session->state == RTM_STATE_OPEN && !session->ws.close_sent;
}

/* Acknowledges a delivered envelope on the connection that it arrived on, and on the other one if a
   copy has arrived there meanwhile. It succeeds if one of these succeeds: Slack sends a copy that
   is not acknowledged again. RTM_E_NOT_CONNECTED: both connections have ended. */
static rtm_result rtmi_acknowledge_delivery(rtm_client *client, rtmi_delivery *delivery,
                                            rtm_json payload) {
    uint64_t *seen = rtmi_find_envelope(client, delivery->id);
    rtm_result one, result = RTM_E_NOT_CONNECTED;
    for (int i = 0; i < 2; i++) {
        rtmi_session *session = client->session[i];
        if (!rtmi_can_acknowledge(session)) continue;
        if (session->number != delivery->number && !(seen && *seen & rtmi_seen_bit(session)))
            continue;
        one = rtmi_acknowledge(client, session, delivery->id, payload);
        if (result != RTM_OK) result = one;
        if (one == RTM_OK) rtmi_flush(session);
    }
    if (result != RTM_OK && result != RTM_E_NOT_CONNECTED) return result;
    if (result != RTM_OK)
        rtmi_fail(&client->error, RTM_E_NOT_CONNECTED, "reply: the session has ended");
    if (seen) *seen &= ~(uint64_t)RTMI_SEEN_BITS;
    delivery->unacknowledged = false;
    return result;
}

/* Acknowledges the envelope whose callbacks are being called, if that has not been done. */
static void rtmi_acknowledge_pending(rtm_client *client) {
    const rtmi_error before = client->error;
    if (client->pending.unacknowledged && !client->pending.deferral)
        rtmi_acknowledge_delivery(client, &client->pending, rtmi_json_none);
    client->error = before; /* if its connection has ended, Slack sends it again */
}

/* The deferral with this id, which may have ended; NULL if there is none. */
static rtmi_deferral *rtmi_find_deferral(const rtm_client *client, int id) {
    if (!client->deferrals || id <= 0) return NULL;
    rtmi_deferral *deferral = &client->deferrals[id % RTMI_DEFERRALS];
    return deferral->delivery.deferral == id ? deferral : NULL;
}

RTMI_APART static void rtmi_end_deferral(rtmi_deferral *deferral, rtm_result fault) {
    deferral->fault = fault;
    rtmi_free(deferral->envelope_id, 0);
    deferral->envelope_id = NULL;
}

/* Ends the deferrals of a connection that has ended. From now on copies of their envelopes are
   acknowledged immediately. */
static void rtmi_end_deferrals(rtm_client *client, unsigned number) {
    for (int i = 0; client->deferrals && i < RTMI_DEFERRALS; i++) {
        rtmi_deferral *deferral = &client->deferrals[i];
        if (!deferral->envelope_id || deferral->delivery.number != number) continue;
        uint64_t *seen = rtmi_find_envelope(client, deferral->delivery.id);
        if (seen) *seen &= ~(uint64_t)RTMI_SEEN_BITS;
        rtmi_end_deferral(deferral, RTM_E_NOT_CONNECTED);
    }
}

/* Defers the reply to the envelope that is being delivered. Returns the deferral's id: the next
   number whose place is free. */
static int rtmi_defer(rtm_client *client) {
    rtmi_delivery *pending = &client->pending;
    int more = 1, last = client->last_deferral;
    if (pending->deferral) return pending->deferral;
    if (!client->deferrals) client->deferrals = rtmi_alloc(RTMI_DEFERRALS * sizeof(rtmi_deferral));
    if (!client->deferrals) return rtmi_out_of_memory(&client->error);
    if (last > INT_MAX - 2 * RTMI_DEFERRALS) last = 0;
    while (more < RTMI_DEFERRALS &&
           client->deferrals[(last + more) % RTMI_DEFERRALS].envelope_id) more++;
    rtmi_deferral *deferral = &client->deferrals[(last + more) % RTMI_DEFERRALS];
    if (deferral->envelope_id)
        return rtmi_fail(&client->error, RTM_E_AGAIN, "rtm_defer: 64 replies are deferred already");
    char *id = rtmi_copy(pending->id.text, pending->id.size);
    if (!id) return rtmi_out_of_memory(&client->error);
    client->last_deferral = pending->deferral = last + more;
    *deferral = (rtmi_deferral){ id, RTM_OK, *pending };
    deferral->delivery.id.text = id;
    return last + more;
}

/* Pauses reading and delivering while 32 KiB wait for the socket, because each text message adds an
   acknowledgement. A connection that can no longer send is still read to its end. */
static bool rtmi_pause_if_congested(rtmi_conn *conn) {
    if (conn->out.size - conn->out_at >= RTMI_OUT / 2) rtmi_conn_flush(conn);
    conn->paused = conn->out.size - conn->out_at >= RTMI_OUT / 2 && !conn->send_error;
    return conn->paused;
}

/* Notes an envelope, and returns whether it is a duplicate: this envelope, or another one with the
   same event, was received before. A duplicate is acknowledged at once, unless the first envelope
   still waits for its reply: then the reply is sent for both. */
static bool rtmi_note_envelope(rtm_client *client, rtmi_session *session,
                               const rtmi_envelope *envelope, bool waits) {
    uint64_t own = rtmi_event_hash(envelope->id, rtmi_json_none);
    uint64_t hash = envelope->event_id.size ? rtmi_event_hash(envelope->event_id, envelope->type)
                                            : own;
    uint64_t *first = rtmi_find_seen(client, hash, RTMI_SEEN_BITS), *waiting = first;
    bool repeated = first != NULL;
    if (hash != own && (waits || repeated)) waiting = rtmi_find_seen(client, own, RTMI_SEEN_BITS);
    if (repeated && waiting && *waiting & RTMI_SEEN_WAITS) *waiting |= rtmi_seen_bit(session);
    else if (repeated || !waits) rtmi_acknowledge(client, session, envelope->id, rtmi_json_none);
    if (repeated) return true;
    rtmi_add_seen(client, hash | (waits && hash == own ? RTMI_SEEN_WAITS : 0));
    if (waits && hash != own) rtmi_add_seen(client, own | RTMI_SEEN_WAITS);
    return false;
}

/* Whether the inbox has reached 4 times max_message_size. (A product could overflow 32 bits.) */
static bool rtmi_inbox_is_full(const rtm_client *client, const rtmi_session *session) {
    size_t waiting = session->inbox.size - session->inbox_at;
    return waiting / RTMI_INBOX >= client->settings.max_message_size;
}

/* Makes room in the inbox for a text message, so that nothing is acknowledged that cannot be kept.
   Delivered events are removed when they are half of the inbox, or when it would grow beyond its
   maximum: then they are at least as large as one read, so that not every text message moves the
   others. */
static bool rtmi_inbox_reserve(const rtm_client *client, rtmi_session *session, size_t size) {
    rtmi_buf *inbox = &session->inbox;
    size_t most = client->settings.max_message_size, more = sizeof(rtmi_inbox_entry) + size;
    most = most < (size_t)-1 / 8 ? (RTMI_INBOX + 1) * most + (size_t)2 * RTMI_BUDGET : (size_t)-1;
    if (session->inbox_at > inbox->size / 2 ||
        (session->inbox_at && inbox->size + more > inbox->capacity && inbox->size + more > most)) {
        inbox->size -= session->inbox_at;
        memmove(inbox->data, inbox->data + session->inbox_at, inbox->size);
        session->inbox_at = 0;
    }
    if (rtmi_buf_grow(inbox, more, most)) return true;
    inbox->failed = false;
    return false;
}

/* Slack refuses all connections of this app for now: the other session must wait too. */
static void rtmi_on_link_disabled(rtm_client *client) {
    client->disabled_until = client->now + 1000LL * RTMI_LINK_DISABLED_S;
    for (int i = 0; i < 2; i++) {
        rtmi_session *session = client->session[i];
        bool waits = session && (session->state == RTM_STATE_IDLE ||
                                 session->state == RTM_STATE_BACKOFF);
        if (waits) session->deadline = rtmi_max(session->deadline, client->disabled_until);
    }
}

/* Handles `disconnect`: Slack is about to end the session, or asks the client to end it. */
static void rtmi_on_disconnect(rtm_client *client, rtmi_session *session, rtm_json root) {
    rtmi_error *error = &session->exchange.conn.error;
    char reason[64];
    rtmi_tame_string(&root, "reason", reason, sizeof reason);
    rtmi_log(client, "disconnect: %s", reason);
    if (!strcmp(reason, "link_disabled")) {
        session->retry_after = RTMI_LINK_DISABLED_S;
        rtmi_on_link_disabled(client);
        rtmi_fail(error, RTM_E_SLACK, "link_disabled: Socket Mode is off for this app; enable it "
                  "at api.slack.com/apps");
    } else if (!strcmp(reason, "too_many_websockets")) {
        session->said_hello = false; /* it counts as a failure, even if it lasted */
        rtmi_fail(error, RTM_E_SLACK, "too_many_websockets: this app already has 10 connections, "
                  "Slack's limit");
    } else {
        rtmi_expect_end(client, session);
        return;
    }
    rtmi_blame(session, RTM_E_SLACK);
    rtmi_raise_fate(session, RTMI_DROPPED);
}

static void rtmi_on_socket_mode_hello(rtm_client *client, rtmi_session *session, rtm_json root) {
    long long connections = rtmi_read_number(&root, "num_connections");
    rtmi_note_hello(client, session);
    if (connections > 1 + (client->session[1] != NULL))
        rtmi_log(client, "this app has %lld connections: each event goes to only one of them",
                 connections);
}

RTMI_APART static rtmi_span rtmi_span_of(const char *text, const rtm_json *part) {
    return (rtmi_span){ part->size ? (size_t)(part->text - text) : 0, part->size };
}

/* Socket Mode: handles a text message. It is acknowledged before any callback is called, even those
   of earlier messages, because Slack allows 3 s; if it accepts a reply, after its own callbacks. It
   is dropped if it has no handler and no earlier callback is pending that could register one. */
static void rtmi_on_socket_mode_text(rtm_client *client, rtmi_session *session, const char *text,
                                     size_t size) {
    rtm_json root = { text, size, NULL };
    if (session->ws.close_sent || rtmi_is_stopped(client)) return; /* Slack will send it again */
    rtmi_envelope envelope;
    rtmi_open_envelope(root, &envelope);
    const char *type = rtmi_take_type(client, envelope.type);
    bool kept = session->inbox.size || rtmi_has_handler(client, type, strlen(type));
    if (kept && !rtmi_inbox_reserve(client, session, size)) {
        /* It is not acknowledged, so Slack sends it again. */
        rtmi_notify(client, session, RTM_E_MEMORY, "message skipped: out of memory");
        return;
    }
    if (envelope.id.size) {
        if (rtmi_note_envelope(client, session, &envelope, kept && envelope.late)) return;
    } else if (!strcmp(type, "hello") || !strcmp(type, "disconnect")) {
        if (!rtmi_open_text(client, session, text, size, NULL, &root)) return;
        if (*type == 'h') rtmi_on_socket_mode_hello(client, session, root);
        else rtmi_on_disconnect(client, session, root);
        if (*type == 'd') return;
    }
    if (!kept) return;
    const rtmi_inbox_entry entry = {
        size, rtmi_span_of(text, &envelope.id), rtmi_span_of(text, &envelope.type),
        rtmi_span_of(text, &envelope.data), envelope.accepts, envelope.late
    };
    rtmi_buf_add(&session->inbox, &entry, sizeof entry);
    rtmi_buf_add(&session->inbox, text, size);
    if (session->inbox.size > RTMI_KEPT) session->large_at = client->now;
}

/* Delivers a text message of the inbox, and then acknowledges it if that is still due. */
static void rtmi_deliver(rtm_client *client, rtmi_session *session, const rtmi_inbox_entry *entry,
                         const char *text) {
    rtmi_document *document = &client->document;
    const rtm_json type = { text + entry->type.at, entry->type.size, NULL };
    const rtm_json data = { text + entry->data.at, entry->data.size, document };
    rtm_json root;
    rtm_event event = { .type = rtmi_take_type(client, type) };
    client->pending = (rtmi_delivery){
        .serial = client->pending.serial < INT_MAX ? client->pending.serial + 1 : 1,
        .number = session->number, .id = { text + entry->id.at, entry->id.size, document },
        .accepts = entry->accepts, .late = entry->late, .unacknowledged = entry->late
    };
    if (rtmi_has_handler(client, event.type, strlen(event.type)) &&
        rtmi_open_text(client, session, text, entry->size, data.size ? data.text : NULL, &root)) {
        event.data = data.size ? data : root;
        if (entry->id.size) event.envelope = root;
        event.delivery = client->pending.serial;
        rtmi_dispatch_text(client, session, &event);
    }
    rtmi_acknowledge_pending(client);
    client->pending.id = rtmi_json_none; /* from now on rtm_reply is too late */
}

/* Delivers the events in the inbox. After RTMI_SLICE_MS of callbacks in this rtm_poll no further
   one begins, so that more can be read and acknowledged; nor while the socket is congested, unless
   the session is to be dropped. After rtm_stop the remaining events are only counted. */
static void rtmi_deliver_inbox(rtm_client *client, rtmi_session *session) {
    unsigned lost = 0;
    if (!session->inbox.size) return;
    while (session->inbox_at < session->inbox.size) {
        rtmi_inbox_entry entry;
        const char *at = session->inbox.data + session->inbox_at;
        bool stopped = rtmi_is_stopped(client);
        client->now = RTM_NOW_MS();
        if (!client->slicing) client->slice_end = client->now + RTMI_SLICE_MS;
        client->slicing = true;
        bool waits = !rtmi_is_dropped(session) && rtmi_pause_if_congested(&session->exchange.conn);
        if (!stopped && (waits || client->now >= client->slice_end)) return;
        memcpy(&entry, at, sizeof entry);
        session->inbox_at += sizeof entry + entry.size;
        if (stopped) lost += !entry.late;
        else rtmi_deliver(client, session, &entry, at + sizeof entry);
    }
    client->now = RTM_NOW_MS();
    rtmi_buf_clear(&session->inbox);
    session->inbox_at = 0;
    if (!lost) return;
    rtm_event event = { .result = rtmi_fail(&client->error, RTM_E_STOPPED, "%u acknowledged events "
                        "were not delivered: the client was stopped", lost) };
    rtmi_report(client, &event);
}

static void rtmi_on_close(rtmi_session *session) {
    size_t size = session->ws.size > 2 ? session->ws.size - 2 : 0;
    session->close_code = session->ws.code;
    memcpy(session->close_reason, session->ws.control + 2, size);
    session->close_reason[size] = '\0';
    rtmi_tame(session->close_reason);
    rtmi_fail(&session->exchange.conn.error, RTM_E_CLOSED,
              "Slack closed the session (WebSocket close code %d)", session->close_code);
}

/* ------------------------------------------------------------------------------------------------
 * >>web_api  Web API requests and responses
 * --------------------------------------------------------------------------------------------- */

/* Permanent error codes, for which a retry is useless: of the token, then of the call. */
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

/* Advice for an error code. The first entry with this code counts whose method is a prefix of the
   called one. */
static const char *const rtmi_advice[][3] = {
    { "invalid_auth", "", ": check the token" },
    { "not_authed", "", ": check the token" },
    { "not_allowed_token_type", "apps.connections.open",
      ": app_token must be an app-level token, xapp-..." },
    { "not_allowed_token_type", "rtm.",
      ": a new-style app cannot use RTM; set app_token for Socket Mode" },
    { "not_allowed_token_type", "", ": this method does not accept this type of token" },
    { "missing_scope", "apps.connections.open",
      ": the app-level token needs the scope connections:write" },
    { "method_deprecated", "rtm.start", ": set connect_method to rtm.connect" },
    { "legacy_custom_bots_deprecated", "",
      ": legacy bots are disabled; create an app, and set app_token for Socket Mode" },
};

/* The result for Slack's error code; `tamed` is the code as restricted for the message. */
static rtm_result rtmi_slack_error(rtmi_exchange *exchange, rtm_json root, const char *tamed) {
    const char *code = exchange->code, *method = exchange->method, *advice = "";
    rtm_result result = rtmi_is_one_of(code, rtmi_auth_codes) ? RTM_E_AUTH : RTM_E_SLACK;
    if (!strcmp(code, "ratelimited") || !strcmp(code, "rate_limited")) result = RTM_E_RATE_LIMITED;
    for (size_t i = 0; !*advice && i < sizeof rtmi_advice / sizeof *rtmi_advice; i++)
        if (!strcmp(code, rtmi_advice[i][0]) &&
            !strncmp(method, rtmi_advice[i][1], strlen(rtmi_advice[i][1])))
            advice = rtmi_advice[i][2];
    char needed[100], message[160];
    rtmi_tame_string(&root, "needed", needed, sizeof needed);
    rtmi_tame_string(&root, "response_metadata.messages.0", message, sizeof message);
    return rtmi_fail(&exchange->conn.error, result, "Slack refused %s: %s%s%s%s%s%s%s",
                     method, tamed, *needed ? " (needed: " : "", needed,
                     *needed ? ")" : "", *message ? ": " : "", message, advice);
}

/* Checks a complete response: RTM_OK only for HTTP 200 with "ok":true, or for 2xx from a URL. The
   program receives the error code as received if it looks like one; messages and log lines contain
   it as restricted by rtmi_tame. */
static rtm_result rtmi_check_response(rtm_client *client, rtmi_exchange *exchange,
                                      rtm_response *response) {
    const rtmi_http *http = &exchange->conn.http;
    const char *body = exchange->body.data ? exchange->body.data : "";
    const char *method = exchange->method, *host = exchange->conn.name;
    rtmi_error *error = &exchange->conn.error;
    char *code = exchange->code, tamed[RTMI_CODE] = "";
    size_t size = exchange->body.size;
    rtm_json root;
    bool valid = rtmi_document_open(&exchange->document, body, size, &root);
    *response = (rtm_response){
        .status = http->status, .retry_after = http->retry_after > 0 ? http->retry_after : 0,
        .data = valid ? root : rtmi_json_none, .body = body, .body_size = size,
        .content_type = http->content_type, .error = code, .detail = ""
    };
    bool by_status = exchange->by_url || exchange->payload.write_body;
    response->ok = by_status ? http->status / 100 == 2
                             : rtm_json_bool(rtm_json_get(response->data, "ok"), false);
    if (!response->ok) {
        rtm_json_string(rtm_json_get(response->data, "error"), code, RTMI_CODE);
        rtmi_tame_string(&response->data, "error", tamed, RTMI_CODE);
    }
    if (!rtmi_consists_of(code, strlen(code), "_.")) memcpy(code, tamed, RTMI_CODE);
    rtmi_log(client, "%s: HTTP %d %s", method, http->status, tamed);
    if (http->status == 429)
        return rtmi_fail(error, RTM_E_RATE_LIMITED,
                         "%s is rate limited by %s (HTTP 429): retry after %d s", method, host,
                         http->retry_after < 0 ? RTMI_RATE_LIMIT_S : http->retry_after);
    if (by_status && response->ok) return RTM_OK;
    if (*code && !exchange->by_url) return rtmi_slack_error(exchange, root, tamed);
    if (http->status != 200)
        return rtmi_fail(error, RTM_E_HTTP, "%s: HTTP %d from %s%s", method, http->status, host,
                         http->status == 404 && !exchange->by_url ? ": check base_url" : "");
    if (!valid && size > 1 && !memcmp(body, "\x1f\x8b", 2))
        return rtmi_fail(error, RTM_E_JSON, "gzip body from %s for %s, although the request does "
                         "not accept gzip", host, method);
    if (!valid)
        return rtmi_fail(error, RTM_E_JSON, "%s: response from %s is %s", method, host,
                         rtmi_document_fault(&exchange->document));
    if (!response->ok)
        return rtmi_fail(error, RTM_E_SLACK, "%s: response without \"ok\":true or error", method);
    return RTM_OK;
}

RTMI_APART static const char *rtmi_request_name(const rtmi_request *request) {
    return request->by_url ? "request to a URL" : request->target;
}

/* Composes a request and begins it. No message contains the URL, because it may be a secret. */
static void rtmi_begin_request(rtm_client *client, rtmi_exchange *exchange,
                               const rtmi_request *request, long long now) {
    const rtmi_settings *settings = &client->settings;
    rtmi_buf *out = &exchange->head, *path = &client->compose;
    bool by_url = request->by_url, connects_apart = request->id && !request->no_retry;
    const char *headers = settings->headers, *url_path;
    const char *token = request->token ? request->token : settings->token;
    rtmi_peer peer = settings->api;
    size_t url_path_size;
    if (by_url || (request->token && rtmi_find_header(headers, "Authorization")))
        headers = settings->url_headers;
    rtmi_buf_clear(path);
    if (!by_url) rtmi_buf_text(path, settings->base_path, request->target);
    else if (rtmi_parse_url(request->target, &peer, &url_path, &url_path_size))
        rtmi_buf_add(path, url_path, url_path_size);
    rtmi_buf_free(out);
    rtmi_write_request(out, request->get ? "GET" : "POST", path->data, path->size, &peer, headers);
    if (path->failed) out->failed = true;
    if (request->token || (!by_url && !rtmi_find_header(headers, "Authorization")))
        rtmi_buf_text(out, "Authorization: Bearer ", token, "\r\n");
    rtmi_write_header(out, headers, "Accept", by_url ? "*/*" : "application/json");
    if (!request->get) {
        rtmi_write_header(out, headers, "Content-Type", request->content_type);
        rtmi_buf_text(out, "Content-Length: ");
        rtmi_buf_number(out, (long long)request->payload.size);
        rtmi_buf_text(out, "\r\n");
    }
    rtmi_buf_text(out, "\r\n");
    exchange->method = rtmi_request_name(request);
    exchange->by_url = by_url;
    exchange->payload = request->payload;
    exchange->limit = settings->max_message_size;
    exchange->conn.budget = RTMI_BUDGET;
    /* If there may be another attempt to connect, each one gets a third of the time. */
    int connect_ms = connects_apart ? (int)((request->timeout_ms + 2LL) / 3) : request->timeout_ms;
    exchange->reserve_ms = request->timeout_ms - connect_ms;
    rtmi_exchange_start(exchange, RTMI_HTTP_ORDINARY, &peer, now, connect_ms);
}

/* ------------------------------------------------------------------------------------------------
 * >>states  the states of a session: entered, run, ended; reconnect rules
 * --------------------------------------------------------------------------------------------- */

static rtmi_session *rtmi_session_new(rtm_client *client) {
    rtmi_session *session = rtmi_alloc(sizeof *session);
    if (!session) return NULL;
    rtmi_exchange_init(&session->exchange, &client->network, &client->error);
    session->deadline = session->began_at = session->asked_until = RTM_NOW_MS();
    return session;
}

static void rtmi_session_free(rtm_client *client, rtmi_session *session) {
    if (!session) return;
    if (session->state == RTM_STATE_OPEN) rtmi_send_close(client, session, RTMI_CLOSE_NORMAL);
    rtmi_exchange_free(&session->exchange);
    rtmi_buf_free(&session->ws.buffer);
    rtmi_buf_free(&session->inbox);
    rtmi_free(session, sizeof *session);
}

/* The wait before the next attempt, in ms: what Slack asks for, or the exponential backoff if that
   is longer. There is no wait after a session that lasted, nor after the first one that received
   "hello" and did not last, so that no event is lost. */
static int rtmi_backoff(rtm_client *client, rtmi_session *session) {
    bool lasted = session->said_hello && client->now - session->hello_at >= RTMI_LASTED_MS;
    bool at_once = lasted || (session->said_hello && !client->had_short_session);
    int cap = session->said_hello ? RTMI_SHORT_BACKOFF_S : RTMI_BACKOFF_S;
    int wait = 0, asked = session->retry_after;
    uint32_t random = 0;
    if (asked < 0 && session->cause == RTM_E_RATE_LIMITED) asked = RTMI_RATE_LIMIT_S;
    if (asked >= 0)
        session->asked_until = rtmi_max(session->asked_until, client->now + 1000LL * asked);
    if (lasted) client->failures = 0;
    else if (client->failures < 16) client->failures++; /* 2^15 s is above both caps */
    client->had_short_session = !lasted && (client->had_short_session || session->said_hello);
    if (!at_once) wait = 1 << (client->failures - 1);
    if (wait > cap) wait = cap;
    if (wait < asked) wait = asked;
    wait *= 1000;
    if (wait < client->disabled_until - client->now)
        wait = (int)(client->disabled_until - client->now);
    if (RTM_RANDOM(&random, sizeof random)) random = 0;
    /* Jitter, so that a thousand devices do not reconnect at once. */
    return wait + (int)(random % (wait ? 1000 : 100));
}

/* Ends a session or attempt, for a cause whose message is in its connection's error, and returns
   the next state. */
static rtm_state rtmi_end_session(rtm_client *client, rtmi_session *session, rtm_result cause) {
    bool stopped = rtmi_is_stopped(client);
    rtmi_blame(session, cause);
    if (stopped) { /* the user asked for the end, so it is no failure */
        session->cause = RTM_OK;
        rtmi_stopped(&session->error);
    }
    bool final = stopped || session->fate == RTMI_RETIRED || client->settings.no_auto_reconnect ||
                 session->cause == RTM_E_AUTH;
    return final ? RTM_STATE_FINISHED : RTM_STATE_BACKOFF;
}

/* Reports the end of a session or attempt: skipped messages, the cause, unacknowledged messages,
   `close`. Messages of a retired session may still be acknowledged on the session that has taken
   over, which reports those that are not. */
static void rtmi_report_end(rtm_client *client, rtmi_session *session, bool was_open) {
    bool first = session == client->session[0], retired = session->fate == RTMI_RETIRED;
    if (session->notices) rtmi_report_notices(client, session);
    rtm_result cause = session->cause;
    if (!first && cause == RTM_OK) cause = RTM_E_CLOSED; /* a handover has failed */
    if (cause != RTM_OK && !retired && !(rtmi_is_stopped(client) && !first)) {
        client->error = session->error;
        rtmi_report(client, &(rtm_event){ .result = cause, .retry_ms = session->retry_ms });
    }
    /* Messages may still be acknowledged on the other session. If this one did not open, the other
       one will report them at its own end. */
    const rtmi_session *other = client->session[first];
    bool kept = other && ((other->state >= RTM_STATE_UPGRADING &&
                           other->state <= RTM_STATE_CLOSING) || (!was_open && other->unreported));
    for (size_t i = 0; i < rtmi_unanswered_count(client) && !kept; i++) {
        const int *ids = (void *)client->unanswered.data;
        rtm_event event = { .result = RTM_E_UNACKNOWLEDGED, .id = ids[i] };
        rtmi_fail(&client->error, RTM_E_UNACKNOWLEDGED,
                  "message %d was not acknowledged before the session ended", event.id);
        rtmi_report(client, &event);
    }
    if (!kept) client->unanswered.size = 0;
    if (!was_open || !first || !client->open_reported) return;
    client->open_reported = false;
    client->error = session->error; /* rtm_error_detail then explains this `close` */
    rtm_event event = { .type = "close", .result = session->cause, .code = session->close_code,
                        .reason = session->close_reason,
                        .retry_ms = rtmi_is_stopped(client) ? -1 : session->retry_ms };
    rtmi_dispatch(client, &event);
}

/* The second session becomes the first. The first stays open, and acknowledges what it receives,
   until Slack closes it. */
static void rtmi_take_over(rtm_client *client) {
    rtmi_session *old = client->session[0];
    rtmi_log(client, "handover: the new session takes over");
    client->session[0] = client->session[1];
    client->session[1] = old;
    old->fate = RTMI_RETIRED;
    old->drain_at = client->overlap_end = client->now + RTMI_DRAIN_MS;
    old->deadline = rtmi_min(old->deadline, old->drain_at);
}

/* Reports the end of a session once all its events have been delivered. If a second session was to
   take over, it does so now: without a report if it is open already, else as the next attempt. */
static void rtmi_conclude(rtm_client *client, rtmi_session *session) {
    const rtmi_session *second = client->session[1];
    bool first = session == client->session[0], was_open = session->was_open;
    bool waits = session->state == RTM_STATE_BACKOFF;
    bool replaced = first && waits && second && second->fate != RTMI_RETIRED;
    long long next = session->deadline;
    if (session->inbox.size) return;
    session->unreported = session->was_open = false;
    if (session->fate != RTMI_RETIRED) session->fate = RTMI_STAYS;
    if (replaced) {
        bool begun = second->state != RTM_STATE_IDLE && second->state != RTM_STATE_BACKOFF;
        next = begun ? client->now : second->deadline;
        if (second->state == RTM_STATE_OPEN) rtmi_take_over(client);
    }
    session->retry_ms = !waits ? -1 : next > client->now ? (int)(next - client->now) : 0;
    if (first) client->ends++;
    rtmi_report_end(client, session, was_open);
    if (session->fate == RTMI_RETIRED) return;
    client->error = session->error; /* rtm_error_detail explains what rtm_poll returns */
    if (replaced) rtmi_take_over(client);
}

/* Entering a state ---------------------------------------------------------------------------- */

static void rtmi_enter_open(rtm_client *client, rtmi_session *session) {
    rtm_event event = { .type = "open", .data = session->greeting };
    const rtmi_session *other = client->session[session == client->session[0]];
    session->number = ++client->connections;
    if (other && ((other->number ^ session->number) & 1) == 0)
        session->number = ++client->connections;
    session->hello_by = client->now + client->settings.timeout_ms;
    client->disabled_until = RTMI_NOW;
    session->cause = RTM_OK;
    session->fate = RTMI_STAYS;
    session->pong_due = false;
    session->pings = session->pongs = session->notices = 0;
    session->active_at = session->deadline = session->notice_at = client->now;
    session->ping_gap = 0;
    session->close_code = RTMI_CLOSE_ABNORMAL;
    session->close_reason[0] = '\0';
    rtmi_ws_start(&session->ws, client->settings.max_message_size);
    if (session == client->session[0] && !rtmi_is_stopped(client)) {
        client->open_reported = true;
        rtmi_dispatch(client, &event);
    }
    if (session->exchange.document.failed)
        rtmi_notify(client, session, RTM_E_MEMORY, rtmi_no_tokens);
    rtmi_document_free(&session->exchange.document);
    rtmi_buf_free(&session->exchange.body);
    session->exchange.conn.received = true;
}

/* BACKOFF or FINISHED: the connection is closed at once, after the last acknowledgements. The wait
   for the next attempt begins now, even if the end is reported later. */
static void rtmi_enter_end(rtm_client *client, rtmi_session *session, rtm_state from) {
    rtmi_session *second = client->session[1];
    bool replaced = session == client->session[0] && second && second->fate != RTMI_RETIRED;
    if (from == RTM_STATE_OPEN || from == RTM_STATE_CLOSING) {
        session->was_open = true;
        rtmi_send_answers(client, session);
        rtmi_end_deferrals(client, session->number);
        /* Copies of events that the second session has received may still arrive on the first. */
        if (session != client->session[0]) client->overlap_end = client->now + RTMI_DRAIN_MS;
    }
    session->unreported = true;
    rtmi_conn_shutdown(&session->exchange.conn);
    rtmi_buf_free(&session->exchange.head);
    rtmi_buf_free(&session->exchange.body);
    if (replaced && session->retry_after >= 0 && second->state != RTM_STATE_OPEN) {
        rtmi_session_free(client, second); /* Slack has asked for a longer wait */
        client->session[1] = NULL;
        replaced = false;
    }
    if (session->state == RTM_STATE_BACKOFF && !replaced && session->fate != RTMI_RETIRED) {
        int wait = rtmi_backoff(client, session);
        session->deadline = rtmi_max(client->now + wait, session->asked_until);
        rtmi_log(client, "next attempt in %d ms", wait);
    }
    rtmi_deliver_inbox(client, session);
    rtmi_conclude(client, session);
}

/* Enters a state. Only this function writes session->state. */
static void rtmi_enter(rtm_client *client, rtmi_session *session, rtm_state next) {
    static const char *const name[] = {
#define RTMI_NAME(NAME) #NAME,
        RTM_STATES(RTMI_NAME)
#undef RTMI_NAME
    };
    rtm_state from = session->state;
    bool old = session->fate == RTMI_RETIRED, second = session != client->session[0];
    rtmi_log(client, "%s -> %s%s", name[from], name[next],
             old ? " (old session)" : second ? " (new session)" : "");
    session->state = next;
    client->now = RTM_NOW_MS();
    switch (next) {
    case RTM_STATE_OPEN: rtmi_enter_open(client, session); break;
    case RTM_STATE_CLOSING:
        session->deadline = client->now + RTMI_CLOSING_MS;
        rtmi_send_close(client, session, RTMI_CLOSE_NORMAL);
        break;
    case RTM_STATE_BACKOFF:
    case RTM_STATE_FINISHED: rtmi_enter_end(client, session, from); break;
    default: break;
    }
}

/* The states, in the order of the table: each function does what can be done now, and returns the
   next state ---------------------------------------------------------------------------------- */

static void rtmi_begin_connecting(rtm_client *client, rtmi_session *session) {
    const rtmi_settings *settings = &client->settings;
    const rtmi_request request = { .target = client->method, .content_type = RTMI_FORM,
                                   .token = client->socket_mode ? settings->app_token : NULL,
                                   .timeout_ms = settings->timeout_ms };
    session->retry_after = -1;
    session->said_hello = session->blamed = false;
    session->began_at = client->now;
    rtmi_begin_request(client, &session->exchange, &request, client->now);
}

/* IDLE, BACKOFF and FINISHED: first reports the last end, after the events received before it. */
static rtm_state rtmi_state_waiting(rtm_client *client, rtmi_session *session) {
    if (session->unreported) {
        rtmi_deliver_inbox(client, session);
        rtmi_conclude(client, session);
        return session->state;
    }
    if (client->now < session->deadline || session->fate == RTMI_RETIRED ||
        session->state == RTM_STATE_FINISHED) return session->state;
    rtmi_begin_connecting(client, session);
    return RTM_STATE_CONNECTING;
}

/* Begins the upgrade request (RFC 6455 section 4.1) to the URL in the greeting. */
static rtm_result rtmi_begin_upgrade(rtm_client *client, rtmi_session *session) {
    rtm_json value = rtm_json_get(session->greeting, "url");
    rtmi_buf *out = &session->exchange.head;
    rtmi_buf key = { session->key, 0, sizeof session->key, false };
    const rtmi_settings *settings = &client->settings;
    rtmi_error *error = &session->exchange.conn.error;
    unsigned char nonce[16];
    rtmi_peer peer;
    const char *path, *method = client->method;
    size_t length = rtm_json_string(value, NULL, 0), path_length;
    if (length > RTMI_HEAD) return rtmi_fail(error, RTM_E_SLACK, "%s: url too long", method);
    rtmi_buf_clear(&client->compose);
    if (!rtmi_buf_reserve(&client->compose, length + 1)) return rtmi_out_of_memory(error);
    char *url = client->compose.data;
    rtm_json_string(value, url, length + 1);
    if (strlen(url) != length || !rtmi_parse_url(url, &peer, &path, &path_length))
        return rtmi_fail(error, RTM_E_SLACK, length ? "%s: response has an invalid url"
                         : "%s: response has no url", method);
    if (settings->api.tls && !peer.tls)
        return rtmi_fail(error, RTM_E_WEBSOCKET, "%s: response has a ws:// url; it must be wss://",
                         method);
    if (RTM_RANDOM(nonce, sizeof nonce)) return rtmi_no_random(error);
    rtmi_base64(&key, nonce, sizeof nonce);
    session->key[24] = '\0';
    rtmi_buf_free(out);
    rtmi_write_request(out, "GET", path, path_length, &peer, settings->headers);
    rtmi_buf_text(out, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
                  session->key, "\r\n\r\n");
    session->exchange.payload = (rtmi_payload){ .size = 0 };
    rtmi_exchange_start(&session->exchange, RTMI_HTTP_UPGRADE, &peer, client->now,
                        settings->timeout_ms);
    if (peer.host[strcspn(peer.host, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")]) /* it may be a token */
        session->exchange.conn.name = "the host of Slack's url";
    return RTM_OK;
}

/* Checks the response to the call that opens a session, and begins the upgrade. */
static rtm_result rtmi_end_connecting(rtm_client *client, rtmi_session *session) {
    rtmi_exchange *exchange = &session->exchange;
    rtm_response response;
    rtm_result result = rtmi_check_response(client, exchange, &response);
    session->greeting = response.data;
    if (result == RTM_OK) return rtmi_begin_upgrade(client, session);
    session->retry_after = exchange->conn.http.retry_after;
    /* A retry would not help. */
    return result == RTM_E_SLACK && rtmi_is_one_of(exchange->code, rtmi_call_codes) ? RTM_E_AUTH
                                                                                    : result;
}

static rtm_result rtmi_end_upgrading(rtmi_session *session) {
    const rtmi_http *http = &session->exchange.conn.http;
    rtmi_error *error = &session->exchange.conn.error;
    const char *fault = rtmi_ws_check_upgrade(http, session->key);
    if (http->status == 101 && !fault) return RTM_OK;
    session->retry_after = http->retry_after;
    if (http->status == 101)
        return rtmi_fail(error, RTM_E_WEBSOCKET, "invalid WebSocket handshake response: %s", fault);
    return rtmi_fail(error, http->status == 429 ? RTM_E_RATE_LIMITED : RTM_E_WEBSOCKET,
                     "WebSocket handshake refused: HTTP %d", http->status);
}

/* CONNECTING and UPGRADING: one exchange each. */
static rtm_state rtmi_state_exchanging(rtm_client *client, rtmi_session *session) {
    bool upgrading = session->state == RTM_STATE_UPGRADING;
    rtm_result result = rtmi_exchange_step(&session->exchange, client->now);
    if (result == RTM_E_AGAIN) return session->state;
    if (result == RTM_OK)
        result = upgrading ? rtmi_end_upgrading(session) : rtmi_end_connecting(client, session);
    if (result != RTM_OK) return rtmi_end_session(client, session, result);
    return upgrading ? RTM_STATE_OPEN : RTM_STATE_UPGRADING;
}

/* Handles a PING from Slack: these PINGs distinguish a live connection from a zombie. */
static void rtmi_on_ping(rtm_client *client, rtmi_session *session) {
    const rtmi_ws *ws = &session->ws;
    long long gap = client->now - session->ping_at;
    if (session->pings && gap > session->ping_gap) session->ping_gap = gap;
    if (session->pings < 2) session->pings++;
    session->ping_at = session->active_at = client->now;
    session->pong_size = ws->size;
    memcpy(session->pong, ws->control, ws->size);
    rtmi_queue_pong(client, session);
}

/* Handles what the parser has found, and returns the next state. */
static rtm_state rtmi_on_frame(rtm_client *client, rtmi_session *session, rtmi_ws_what what) {
    rtmi_ws *ws = &session->ws;
    if (what == RTMI_WS_BAD) {
        session->close_code = ws->code;
        rtmi_send_close(client, session, ws->code);
        rtmi_fail(&session->exchange.conn.error, RTM_E_WEBSOCKET, "WebSocket protocol error: %s",
                  ws->error);
        return rtmi_end_session(client, session, RTM_E_WEBSOCKET);
    }
    if (what == RTMI_WS_SKIPPED) {
        /* Too large envelopes are acknowledged too: else Slack would send them again and again. */
        rtm_json root = { ws->buffer.data, ws->buffer.size, NULL };
        if (client->socket_mode && ws->skip == RTM_E_TOO_BIG && root.size)
            rtmi_acknowledge(client, session, rtmi_json_member(&root, "envelope_id", 11),
                             rtmi_json_none);
        rtmi_notify(client, session, ws->skip, ws->skip == RTM_E_TOO_BIG
                    ? "message skipped: longer than max_message_size"
                    : "message skipped: out of memory");
        return session->state;
    }
    switch (ws->opcode) {
    case RTMI_WS_TEXT:
        if (!client->socket_mode) rtmi_send_answers(client, session);
        if (ws->size > RTMI_KEPT) session->large_at = client->now;
        session->active_at = client->now;
        client->on_text(client, session, ws->data, ws->size);
        break;
    case RTMI_WS_PING: rtmi_on_ping(client, session); break;
    case RTMI_WS_BINARY:
        rtmi_notify(client, session, RTM_E_WEBSOCKET, "message skipped: binary, not text");
        break;
    case RTMI_WS_CLOSE:
        rtmi_send_answers(client, session);
        rtmi_on_close(session);
        rtmi_send_close(client, session, session->close_code);
        return rtmi_end_session(client, session, RTM_OK);
    default: break; /* PONG: keep-alive counts it as received bytes; nothing else to do */
    }
    return session->state;
}

/* Whether to read frames: after rtm_stop only in CLOSING, and not in a dropped session. */
static bool rtmi_is_reading(const rtm_client *client, const rtmi_session *session) {
    return session->state == RTM_STATE_CLOSING ||
           (session->fate != RTMI_DROPPED && !rtmi_is_stopped(client));
}

/* Reads the frames that have arrived, within this step's budget. Parses them in place, and then
   releases the bytes to the connection. */
static rtm_state rtmi_read_frames(rtm_client *client, rtmi_session *session) {
    rtmi_conn *conn = &session->exchange.conn;
    rtm_state here = session->state, next = here;
    size_t size, used;
    const char *data;
    while (next == here && rtmi_is_reading(client, session)) {
        if (client->socket_mode &&
            (rtmi_pause_if_congested(conn) || rtmi_inbox_is_full(client, session))) return here;
        rtm_result result = rtmi_conn_read(conn, &data, &size);
        if (result == RTM_E_AGAIN) return here;
        if (result != RTM_OK) return rtmi_end_session(client, session, result);
        size_t at = 0;
        while (at < size && next == here && rtmi_is_reading(client, session)) {
            rtmi_ws_what what = rtmi_ws_parse(&session->ws, data + at, size - at, &used);
            at += used;
            if (what != RTMI_WS_MORE) next = rtmi_on_frame(client, session, what);
        }
        rtmi_conn_consume(conn, at);
    }
    return next;
}

/* Frees buffers that a large message made grow, after a minute without large messages. */
static void rtmi_shrink_buffers(rtm_client *client, rtmi_session *session) {
    if (client->now - session->large_at < RTMI_KEPT_MS || session->ws.message) return;
    if (session->ws.buffer.capacity > RTMI_KEPT) rtmi_buf_free(&session->ws.buffer);
    if (session->inbox.capacity > RTMI_KEPT && !session->inbox.size) rtmi_buf_free(&session->inbox);
    rtmi_document_free(&client->document);
    session->large_at = LLONG_MAX / 4; /* nothing to free until a large message is received */
}

/* Keep-alive: sends PINGs; returns why the connection is dead, or NULL. `asked` is the time when
   the socket was last read: no deadline after that time counts as passed. */
static const char *rtmi_keep_alive(rtm_client *client, rtmi_session *session, long long asked) {
    rtmi_conn *conn = &session->exchange.conn;
    int interval = client->settings.ping_interval_ms;
    int rest = interval / 2 > RTMI_PONG_MS ? interval / 2 : RTMI_PONG_MS;
    long long zombie_at = LLONG_MAX;
    if (client->socket_mode && session->pings == 2 && interval > 0)
        zombie_at = session->active_at + rtmi_max(3 * session->ping_gap, RTMI_ZOMBIE_MS);
    long long hello_by = session->said_hello ? LLONG_MAX : session->hello_by;
    if (conn->received) {
        conn->received = false;
        session->pings_sent = 0;
        session->silent_at = interval < 0 ? LLONG_MAX / 4 : client->now + interval;
    }
    session->deadline = rtmi_min(session->silent_at, rtmi_min(zombie_at, hello_by));
    if (conn->paused || conn->readable || asked < session->deadline) return NULL;
    if (asked >= hello_by) return "no \"hello\" from Slack within timeout_ms";
    if (asked >= zombie_at)
        return "Slack answers PINGs but sends nothing by itself: connection is dead";
    /* The end is due `rest` after the first PING, even if the second one is late. */
    if (session->pings_sent == 2)
        return "no data from Slack and no reply to a keep-alive PING: connection is dead";
    session->silent_at = (session->pings_sent++ ? session->silent_at : client->now) + rest / 2;
    session->deadline = session->silent_at;
    rtmi_send_frame(client, session, RTMI_WS_PING, NULL, 0);
    return NULL;
}

/* Closes a session that was dropped, by rtm_reconnect or by Slack. */
static rtm_state rtmi_close_dropped(rtm_client *client, rtmi_session *session) {
    session->close_code = RTMI_CLOSE_NORMAL;
    rtmi_send_close(client, session, RTMI_CLOSE_NORMAL);
    rtmi_fail(&session->exchange.conn.error, RTM_E_CLOSED,
              "session closed by rtm_reconnect or at Slack's request");
    return rtmi_end_session(client, session, RTM_OK);
}

/* Before a deadline ends anything, the socket is read once more: a callback may have taken long. */
static rtm_state rtmi_state_open(rtm_client *client, rtmi_session *session) {
    rtmi_conn *conn = &session->exchange.conn;
    long long asked = client->now;
    if (asked >= session->deadline) rtmi_conn_look(conn);
    rtmi_conn_flush(conn);
    rtm_state next = rtmi_read_frames(client, session);
    if (next != RTM_STATE_OPEN) return next;
    if (session->fate == RTMI_DROPPING) { /* read what has arrived during callbacks too */
        rtmi_conn_look(conn);
        next = rtmi_read_frames(client, session);
        if (next != RTM_STATE_OPEN) return next;
        session->fate = RTMI_DROPPED;
    }
    rtmi_send_answers(client, session);
    /* If more has arrived than one step may read, read it before calling callbacks. */
    if (conn->budget || session->fate == RTMI_DROPPED || rtmi_inbox_is_full(client, session))
        rtmi_deliver_inbox(client, session);
    if (rtmi_is_stopped(client)) return next;
    if (session->fate == RTMI_DROPPED)
        return session->inbox.size ? next : rtmi_close_dropped(client, session);
    if (session->fate == RTMI_RETIRED && asked >= session->drain_at) return RTM_STATE_CLOSING;
    const char *fault = rtmi_keep_alive(client, session, asked);
    if (fault)
        return rtmi_end_session(client, session,
                                rtmi_fail(&conn->error, RTM_E_TIMEOUT, "%s", fault));
    rtmi_shrink_buffers(client, session);
    if (session->fate == RTMI_RETIRED)
        session->deadline = rtmi_min(session->deadline, session->drain_at);
    if (session->notices && client->now >= session->notice_at) rtmi_report_notices(client, session);
    else if (session->notices) session->deadline = rtmi_min(session->deadline, session->notice_at);
    return RTM_STATE_OPEN;
}

/* Our CLOSE was sent: waits for Slack's CLOSE, for the end of the connection, or 1 s. Messages that
   arrive before are read: they may be acknowledgements. */
static rtm_state rtmi_state_closing(rtm_client *client, rtmi_session *session) {
    long long asked = client->now;
    if (asked >= session->deadline) rtmi_conn_look(&session->exchange.conn);
    rtmi_conn_flush(&session->exchange.conn);
    rtm_state next = rtmi_read_frames(client, session);
    if (next != RTM_STATE_CLOSING) return next;
    rtmi_deliver_inbox(client, session);
    return asked < session->deadline ? next : rtmi_end_session(client, session, RTM_OK);
}

static rtm_state rtmi_run_state(rtm_client *client, rtmi_session *session) {
    rtm_state state = session->state;
    if (rtmi_is_stopped(client)) {
        if (state == RTM_STATE_OPEN) return RTM_STATE_CLOSING;
        if (state < RTM_STATE_OPEN || state == RTM_STATE_BACKOFF)
            return rtmi_end_session(client, session, RTM_OK);
    }
    switch (state) {
    case RTM_STATE_CONNECTING:
    case RTM_STATE_UPGRADING: return rtmi_state_exchanging(client, session);
    case RTM_STATE_OPEN: return rtmi_state_open(client, session);
    case RTM_STATE_CLOSING: return rtmi_state_closing(client, session);
    default: return rtmi_state_waiting(client, session);
    }
}

/* Runs the states of a session until there is nothing more to do without waiting. */
static void rtmi_step(rtm_client *client, rtmi_session *session) {
    client->now = RTM_NOW_MS();
    for (;;) {
        bool stopped = rtmi_is_stopped(client);
        rtm_state next = rtmi_run_state(client, session);
        if (next != session->state) rtmi_enter(client, session, next);
        else if (stopped == rtmi_is_stopped(client)) return; /* a callback may have stopped it */
    }
}

/* When the session must be stepped at the latest. */
static long long rtmi_session_due(const rtm_client *client, const rtmi_session *session) {
    const rtmi_conn *conn = &session->exchange.conn;
    bool open = session->state == RTM_STATE_OPEN, closing = session->state == RTM_STATE_CLOSING;
    bool retired = session->fate == RTMI_RETIRED, finished = session->state == RTM_STATE_FINISHED;
    if (session->unreported || (rtmi_is_stopped(client) && !closing && !finished) ||
        (open && rtmi_is_dropped(session))) return RTMI_NOW;
    if (session->state == RTM_STATE_CONNECTING || session->state == RTM_STATE_UPGRADING)
        return rtmi_conn_due(conn, conn->deadline);
    if (open && conn->paused) return retired ? session->drain_at : LLONG_MAX;
    if ((open || closing) && session->inbox.size && !conn->paused) return RTMI_NOW;
    if (open || closing) return rtmi_conn_due(conn, session->deadline);
    return finished || retired ? LLONG_MAX : session->deadline;
}

/* ------------------------------------------------------------------------------------------------
 * >>handover  the second session, and the loop over both
 * --------------------------------------------------------------------------------------------- */

/* Slack will end the first session: begins a second one alongside it. The wait before its attempt
   is the same as after an end. */
static void rtmi_begin_handover(rtm_client *client) {
    rtmi_session *first = client->session[0], *second = rtmi_session_new(client);
    first->fate = RTMI_STAYS;
    if (!client->seen) client->seen = rtmi_alloc(sizeof *client->seen);
    if (!second || !client->seen) { /* no handover: the next attempt follows the end */
        rtm_event event = { .result = rtmi_out_of_memory(&client->error), .retry_ms = -1 };
        rtmi_session_free(client, second);
        rtmi_report(client, &event);
        return;
    }
    second->deadline = client->now + rtmi_backoff(client, first);
    client->session[1] = second;
    rtmi_log(client, "handover: Slack will end the session; a second one is opened");
}

/* Frees the second session after its end was reported: it was retired, or its attempt to take over
   was refused permanently. */
static void rtmi_end_handover(rtm_client *client) {
    rtmi_session *second = client->session[1];
    bool retired = second->fate == RTMI_RETIRED;
    bool ended = second->state == RTM_STATE_FINISHED ||
                 (retired && second->state == RTM_STATE_BACKOFF);
    if (!ended || second->unreported) return;
    if (!retired) rtmi_raise_fate(client->session[0], RTMI_LAST);
    rtmi_session_free(client, second);
    client->session[1] = NULL;
}

/* Closes a retired session early, once what it has received has been delivered. */
static void rtmi_end_drain(rtmi_session *session, long long now) {
    if (!session->inbox.size && session->fate == RTMI_RETIRED && session->state == RTM_STATE_OPEN)
        session->drain_at = session->deadline = now;
}

/* rtm_reconnect ends the wait of a session in BACKOFF. */
static void rtmi_end_wait(rtmi_session *session) {
    session->deadline = rtmi_max(session->began_at + 1000, session->asked_until);
}

/* rtm_reconnect without an open session: abandons the attempt in progress, or ends the wait, unless
   Slack has asked for it; at most one attempt a second. */
static void rtmi_reconnect(rtm_client *client, rtmi_session *session) {
    unsigned failures = client->failures;
    bool had_short_session = client->had_short_session;
    client->reconnects = false;
    if (session->state == RTM_STATE_CONNECTING || session->state == RTM_STATE_UPGRADING) {
        rtmi_fail(&session->exchange.conn.error, RTM_E_CLOSED,
                  "attempt abandoned by rtm_reconnect");
        rtmi_enter(client, session, rtmi_end_session(client, session, RTM_OK));
        client->failures = failures;
        client->had_short_session = had_short_session;
    }
    if (session->state == RTM_STATE_BACKOFF) rtmi_end_wait(session);
}

static void rtmi_step_sessions(rtm_client *client) {
    if (client->reconnects) rtmi_reconnect(client, client->session[0]);
    rtmi_session *first = client->session[0], *second = client->session[1];
    bool retired = second && second->fate == RTMI_RETIRED;
    if (second && second->fate == RTMI_DROPPING && second->state < RTM_STATE_OPEN) {
        rtmi_session_free(client, second); /* rtm_reconnect drops both */
        client->session[1] = second = NULL;
    }
    if (retired) rtmi_step(client, second); /* first: its events are older */
    rtmi_step(client, first);
    bool left = client->session[0] == second || client->session[1] == second; /* not freed? */
    if (second && left && !retired) rtmi_step(client, second);
    second = client->session[1];
    if (second && second->fate != RTMI_RETIRED && second->state == RTM_STATE_OPEN &&
        second->said_hello && !rtmi_is_dropped(second) && !rtmi_is_stopped(client))
        rtmi_take_over(client);
    first = client->session[0];
    bool leaving = first->fate == RTMI_LEAVING && first->state == RTM_STATE_OPEN &&
                   !rtmi_is_stopped(client);
    if (leaving && client->session[1]) rtmi_end_drain(client->session[1], client->now);
    if (client->session[1]) rtmi_end_handover(client);
    leaving = leaving && first->fate == RTMI_LEAVING; /* not if another was refused permanently */
    if (leaving && !client->session[1]) rtmi_begin_handover(client);
    bool needed = client->socket_mode || client->session[1];
    if (needed || client->now < client->overlap_end) return;
    rtmi_free(client->seen, 0); /* RTM needs it only during a handover */
    client->seen = NULL;
}

/* Waits for these connections or a wake-up, and notes which are ready. Also ends at a signal. */
static void rtmi_wait(rtm_client *client, rtmi_conn *const *conns, int count, int timeout_ms) {
    int wake = client->network.wake[0];
    struct pollfd fds[1 + RTMI_CONNS * RTMI_ADDRESSES] = { { wake, POLLIN, 0 } }, *next = fds + 1;
    for (int i = 0; i < count; i++) next += rtmi_conn_pollfds(conns[i], next);
    if (poll(fds, (nfds_t)(next - fds), timeout_ms) <= 0) return;
    next = fds + 1;
    for (int i = 0; i < count; i++) next += rtmi_conn_polled(conns[i], next);
    if (!fds[0].revents) return;
    rtmi_wake_clear(wake);
    client->woken = true;
}

/* ------------------------------------------------------------------------------------------------
 * >>config  the configuration, checked and copied
 * --------------------------------------------------------------------------------------------- */

/* Why rtm_create failed, for rtm_error_detail(NULL). One per thread, because there is no client. */
static __thread rtmi_error rtmi_create_error;

static rtm_result rtmi_refuse(rtm_client *client, const char *field, const char *fault) {
    return rtmi_fail(&client->error, RTM_E_ARGUMENT, "%s: %s", field, fault);
}

/* The first of these environment variables that is not empty: its value, and its name. Each name in
   the list ends with a NUL, and the list with an empty name. */
static const char *rtmi_first_env(const char *names, const char **name) {
    for (*name = names; **name; *name += strlen(*name) + 1) {
        const char *value = getenv(*name);
        if (value && *value) return value;
    }
    return NULL;
}

/* What is wrong with a token, or NULL. `app`: an app-level token is expected. */
static const char *rtmi_token_fault(const char *token, bool app) {
    if (!*token) return "is empty";
    if (!rtmi_is_visible(token)) return "contains white space, control or non-ASCII characters";
    if (app && !strncmp(token, "xox", 3)) return "is a bot or user token: set it as token";
    if (!app && !strncmp(token, "xapp-", 5)) return "is an app-level token: set it as app_token";
    return NULL;
}

/* Replaces a token with a copy without white space around it. If the new token is not valid, the
   old one remains. */
static rtm_result rtmi_take_token(rtm_client *client, char **to, const char *text) {
    static const char blanks[] = " \t\r\n\v\f";
    bool app = to == &client->settings.app_token;
    const char *field = app ? "app_token" : "token";
    if (!text) return rtmi_refuse(client, "token is not set", "a bot token (xoxb-...) or an "
                                  "app_token (xapp-...) is required");
    text += strspn(text, blanks);
    size_t length = rtmi_trimmed(text, strlen(text), blanks);
    char *copy = rtmi_copy(text, length);
    const char *fault = copy ? rtmi_token_fault(copy, app) : NULL;
    if (fault || !copy) {
        rtmi_free(copy, length);
        return fault ? rtmi_fail(&client->error, RTM_E_ARGUMENT, "%s %s", field, fault)
                     : rtmi_out_of_memory(&client->error);
    }
    if (*to) rtmi_free(*to, strlen(*to));
    *to = copy;
    return RTM_OK;
}

static rtm_result rtmi_config_tokens(rtm_client *client, const rtm_config *config) {
    rtm_result result = RTM_OK;
    bool app = config->app_token && *config->app_token; /* "": from an empty variable */
    if (app) result = rtmi_take_token(client, &client->settings.app_token, config->app_token);
    if (result != RTM_OK || (app && !config->token)) return result;
    return rtmi_take_token(client, &client->settings.token, config->token);
}

static rtm_result rtmi_config_base_url(rtm_client *client, const rtm_config *config) {
    const char *url = config->base_url, *path;
    size_t length;
    if (!url || !*url) url = "https://slack.com/api/";
    if (!rtmi_parse_url(url, &client->settings.api, &path, &length) || rtmi_lower(*url) != 'h' ||
        memchr(path, '?', length))
        return rtmi_refuse(client, "base_url", "not of the form https://host[:port]/path/");
    bool slash = length && path[length - 1] == '/';
    char *copy = client->settings.base_path = rtmi_copy(path, length + !slash);
    if (!copy) return rtmi_out_of_memory(&client->error);
    if (!slash) copy[length] = '/';
    return RTM_OK;
}

/* Fields that frame a message or control the handshake: a second one would break these. */
static const char *const rtmi_own_headers[] = {
    "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "TE", "Expect",
    "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol", NULL
};

/* Whether a request can have a line "Name: value": NULL, or why not. */
static const char *rtmi_header_fault(const char *header, size_t name_length) {
    if (!header[name_length] || !name_length) return "not of the form \"Name: value\"";
    if (!rtmi_is_field_name(header, name_length)) return "invalid character in the name";
    for (const char *p = header + name_length; *p; p++)
        if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
            return "line break or control character";
    for (const char *const *own = rtmi_own_headers; *own; own++)
        if (rtmi_same_word(header, name_length, *own)) return "reserved for rtm.h";
    return rtmi_same_word(header, name_length, "Proxy-Authorization") /* sent to Slack else */
               ? "Proxy-Authorization: set the credentials in the proxy's URL" : NULL;
}

/* Moves the contents of a buffer into a string; NULL if the buffer is empty. */
static rtm_result rtmi_keep_text(rtm_client *client, char **to, rtmi_buf *text) {
    bool good = !text->failed;
    if (good && text->size) *to = rtmi_copy(text->data, text->size);
    good = good && (!text->size || *to);
    rtmi_buf_free(text);
    return good ? RTM_OK : rtmi_out_of_memory(&client->error);
}

/* Collects the user's headers; for requests to URLs only User-Agent. */
static rtm_result rtmi_config_headers(rtm_client *client, const rtm_config *config) {
    rtmi_buf lines = { 0 }, url_lines = { 0 };
    const char *fault = NULL;
    for (const char *const *h = config->headers; h && *h && !fault; h++) {
        size_t length = strcspn(*h, ":");
        fault = rtmi_header_fault(*h, length);
        rtmi_buf_text(&lines, *h, "\r\n");
        if (rtmi_same_word(*h, length, "User-Agent")) rtmi_buf_text(&url_lines, *h, "\r\n");
    }
    rtm_result result = rtmi_keep_text(client, &client->settings.headers, &lines);
    rtm_result also = rtmi_keep_text(client, &client->settings.url_headers, &url_lines);
    if (fault) return rtmi_refuse(client, "header", fault);
    return result != RTM_OK ? result : also;
}

static bool rtmi_copy_option(char **to, const char *text) {
    return !text || (*to = rtmi_copy(text, strlen(text))) != NULL;
}

/* Sets Proxy-Authorization from user[:password], percent-encoded. */
static rtm_result rtmi_config_credentials(rtm_client *client, const char *from, const char *text,
                                          size_t length) {
    rtmi_buf credentials = { 0 }, value = { 0 };
    bool good = true;
    for (size_t i = 0; good && i < length; i++) {
        char c = text[i];
        if (c == '%') {
            good = length - i > 2 && rtmi_hex(text[i + 1]) >= 0 && rtmi_hex(text[i + 2]) >= 0;
            c = (char)(good ? rtmi_hex(text[i + 1]) << 4 | rtmi_hex(text[i + 2]) : 0);
            i += 2;
        }
        good = (unsigned char)c >= ' ' && c != 0x7f;
        rtmi_buf_add(&credentials, &c, 1);
    }
    if (!memchr(text, ':', length)) rtmi_buf_add(&credentials, ":", 1);
    rtmi_base64(&value, credentials.data, credentials.size);
    value.failed = value.failed || credentials.failed;
    rtmi_buf_free(&credentials);
    rtm_result result = rtmi_keep_text(client, &client->network.proxy_auth, &value);
    return good ? result : rtmi_refuse(client, from, "bad percent-encoding or control character");
}

/* http://[user[:password]@]host[:port][/] */
static rtm_result rtmi_config_proxy(rtm_client *client, const rtm_config *config) {
    static const char names[] = "HTTPS_PROXY\0https_proxy\0HTTP_PROXY\0http_proxy\0";
    const char *from = "proxy", *ignored;
    const char *url = config->proxy ? config->proxy : rtmi_first_env(names, &from);
    const char *except = config->proxy ? NULL : rtmi_first_env("NO_PROXY\0no_proxy\0", &ignored);
    if (!url || !*url) return RTM_OK;
    if (!rtmi_is_visible(url))
        return rtmi_refuse(client, from, "contains white space, control or non-ASCII characters");
    const char *scheme_end = strstr(url, "://");
    if (scheme_end && !rtmi_same_word(url, (size_t)(scheme_end - url), "http"))
        return rtmi_fail(&client->error, RTM_E_UNSUPPORTED,
                         "%s: only http:// proxies are supported", from);
    if (scheme_end) url = scheme_end + 3;
    const char *end = url + strcspn(url, "/?#"), *host = url;
    for (const char *p = url; p < end; p++)
        if (*p == '@') host = p + 1;
    if (host > url) {
        rtm_result result = rtmi_config_credentials(client, from, url, (size_t)(host - 1 - url));
        if (result != RTM_OK) return result;
    }
    if ((*end && strcmp(end, "/") != 0) ||
        !rtmi_parse_authority(host, (size_t)(end - host), &client->network.proxy, 80))
        return rtmi_refuse(client, from, "not of the form "
                           "http://user:password@host:port (in the password, write %2F for /)");
    return rtmi_copy_option(&client->network.no_proxy, except) ? RTM_OK
                                                               : rtmi_out_of_memory(&client->error);
}

static rtm_result rtmi_config_settings(rtm_client *client, const rtm_config *config) {
    rtmi_settings *settings = &client->settings;
    int ping_ms = config->ping_interval_ms;
    size_t max_size = config->max_message_size;
    const char *method = config->connect_method ? config->connect_method : "rtm.connect";
    bool connect = !strcmp(method, "rtm.connect");
    bool start = !strcmp(method, "rtm.start") || !strcmp(method, "rtm_start");
    client->socket_mode = settings->app_token != NULL;
    client->on_text = client->socket_mode ? rtmi_on_socket_mode_text : rtmi_on_rtm_text;
    client->method = client->socket_mode ? "apps.connections.open"
                     : start ? "rtm.start" : "rtm.connect";
    const char *fault =
        !connect && !start ? "connect_method is neither rtm.connect nor rtm.start"
        : config->timeout_ms < 0 ? "timeout_ms is negative"
        : ping_ms < -1 ? "ping_interval_ms is negative, but not -1"
        : max_size && (max_size < RTMI_MIN_MESSAGE || max_size > RTMI_MAX_MESSAGE)
            ? "max_message_size is not from 4 KiB to 1 GiB"
        : config->max_queue_size > RTMI_MAX_MESSAGE ? "max_queue_size is more than 1 GiB" : NULL;
    if (fault) return rtmi_fail(&client->error, RTM_E_ARGUMENT, "%s", fault);
    if (!ping_ms) ping_ms = client->socket_mode ? 10000 : 30000;
    settings->ping_interval_ms = ping_ms;
    settings->timeout_ms = config->timeout_ms ? config->timeout_ms : 30000;
    settings->max_message_size = max_size ? max_size : 1048576;
    settings->max_queue_size = config->max_queue_size ? config->max_queue_size : 65536;
    settings->no_auto_reconnect = config->no_auto_reconnect;
    settings->no_signals = config->no_signals;
    settings->log = config->log;
    settings->log_user_data = config->log_user_data;
    client->network.tls_setup = config->tls_setup;
    client->network.tls_user_data = config->tls_user_data;
    return RTM_OK;
}

/* Checks that the configured CA bundle has a certificate, so that a wrong file name is reported at
   once. */
static rtm_result rtmi_config_trust(rtm_client *client, const rtm_config *config) {
    rtmi_network *network = &client->network;
    rtmi_trust *trust;
    const char *from = "ca_file", *file = config->ca_pem ? NULL : config->ca_file;
    bool from_env = !file && !config->ca_pem;
    if (from_env && !(file = rtmi_first_env("SSL_CERT_FILE\0", &from))) return RTM_OK;
    if (!rtmi_copy_option(&network->ca_file, file) ||
        !rtmi_copy_option(&network->ca_pem, config->ca_pem) ||
        !(trust = rtmi_alloc(sizeof *trust))) return rtmi_out_of_memory(&client->error);
    trust->ca_file = network->ca_file;
    trust->ca_pem = network->ca_pem;
    trust->first_only = true;
    rtmi_trust_load(trust);
    rtm_result result = trust->no_memory ? rtmi_out_of_memory(&client->error) : RTM_OK;
    /* SSL_CERT_FILE is for all programs: if base_url is http, a bad one is no error. */
    if (result == RTM_OK && trust->error && (!from_env || client->settings.api.tls))
        result = rtmi_fail(&client->error, RTM_E_ARGUMENT, "%s%s%s: %s", file ? from : "ca_pem",
                           file ? " " : "", file ? file : "", trust->error);
    rtmi_trust_free_anchors(trust);
    rtmi_free(trust, 0);
    return result;
}

static rtm_result rtmi_config_handlers(rtm_client *client, const rtm_config *config) {
    for (const rtm_handler *h = config->handlers; h && h->type; h++) {
        rtm_result result = rtm_on(client, h->type, h->callback, h->user_data);
        if (result == RTM_E_ARGUMENT)
            return rtmi_fail(&client->error, RTM_E_ARGUMENT, "handlers[%d]: no callback or invalid "
                             "type", (int)(h - config->handlers));
        if (result != RTM_OK) return result;
    }
    return RTM_OK;
}

/* Checks and copies the configuration; on failure client->error has a message. */
static rtm_result rtmi_configure(rtm_client *client, const rtm_config *config) {
    static rtm_result (*const part[])(rtm_client *, const rtm_config *) = {
        rtmi_config_tokens, rtmi_config_settings, rtmi_config_base_url, rtmi_config_headers,
        rtmi_config_proxy, rtmi_config_trust, rtmi_config_handlers
    };
    rtm_result result = RTM_OK;
    for (size_t i = 0; result == RTM_OK && i < sizeof part / sizeof *part; i++)
        result = part[i](client, config);
    return result;
}

/* ------------------------------------------------------------------------------------------------
 * >>queue  submitted requests
 * --------------------------------------------------------------------------------------------- */

static const rtm_response rtmi_no_response = {
    .error = "", .detail = "", .body = "", .content_type = ""
};

/* Whether rtm_poll has nothing more to do. */
static bool rtmi_is_finished(const rtm_client *client) {
    const rtmi_session *session = client->session[0];
    return session->state == RTM_STATE_FINISHED && !session->unreported && !client->session[1] &&
           !client->queue.first;
}

/* Delays the requests with this key; false if there is no room or memory for that. Even if the
   server asks for no wait, they are delayed by 1 s, to prevent a storm of requests. */
static bool rtmi_queue_hold(rtm_client *client, uint64_t key, int seconds) {
    rtmi_queue *queue = &client->queue;
    if (!queue->holds) queue->holds = rtmi_alloc((RTMI_HOLDS + 1) * sizeof *queue->holds);
    rtmi_hold *hold = queue->holds;
    if (!hold) return false;
    while (hold->until && hold->until > client->now && hold->key != key) hold++;
    if (hold == queue->holds + RTMI_HOLDS) return false;
    *hold = (rtmi_hold){ key, client->now + 1000LL * (seconds ? seconds : 1) };
    return true;
}

/* Takes a request out of the queue, calls its callback, and frees it. */
static void rtmi_request_finish(rtm_client *client, rtmi_request *request, rtm_response *response,
                                const rtmi_error *error) {
    rtmi_queue *queue = &client->queue;
    rtmi_request **at = &queue->first;
    while (*at != request) at = &(*at)->next;
    *at = request->next;
    queue->size -= request->size;
    queue->look_at = RTMI_NOW;
    response->id = request->id;
    response->detail = response->result == RTM_OK ? "" : error->text;
    if (response->result != RTM_OK) client->error = *error;
    if (request->callback) {
        request->callback(client, response, request->payload.user_data);
        client->dispatched++;
    } else if (response->result != RTM_OK && response->result != RTM_E_CANCELLED) {
        rtmi_report(client, &(rtm_event){ .result = response->result, .id = request->id });
    } else if (request->is_message) {
        rtmi_dispatch(client, &(rtm_event){ .type = "Unknown", .data = response->data,
                                            .id = request->id });
    }
    client->now = RTM_NOW_MS(); /* the callback's time must not count for the next request */
    rtmi_free(request->failure, 0);
    rtmi_free(request, request->size);
}

/* Calls the callback of a request that has ended without a response. */
static void rtmi_queue_drop(rtm_client *client, rtmi_request *request) {
    rtmi_lane *lane = request->lane;
    rtm_response response = rtmi_no_response;
    rtmi_error error = { "" };
    if (lane->current == request) {
        lane->current = NULL;
        rtmi_conn_close(&lane->exchange->conn);
    }
    response.result = rtmi_fail(&error, request->result, "%s: %s", rtmi_request_name(request),
                                rtm_strerror(request->result));
    if (request->cause == request->result) error = *request->failure;
    rtmi_request_finish(client, request, &response, &error);
}

/* After rtm_stop queued requests end at once, and requests in progress after 1 s at most. */
static void rtmi_queue_stop(rtm_client *client) {
    rtmi_queue *queue = &client->queue;
    long long end = client->now + RTMI_CLOSING_MS;
    queue->stopped = true;
    queue->look_at = RTMI_NOW;
    for (rtmi_lane *lane = queue->lane; lane < queue->lane + RTMI_LANES; lane++) {
        if (!lane->current) continue;
        lane->exchange->reserve_ms = 0;
        lane->exchange->payload.streamed = false; /* progress must not extend its deadline */
        if (lane->exchange->conn.deadline > end) lane->exchange->conn.deadline = end;
    }
}

/* Whether to retry after an attempt that failed like this: the failure may be temporary, no byte of
   the request can have reached the server, and read_body has not been called. */
static bool rtmi_may_try_again(const rtmi_exchange *exchange, const rtmi_request *request,
                               rtm_result result) {
    int status = exchange->conn.http.status;
    bool refused = result == RTM_E_PROXY && (status == 407 || status == 401);
    bool mends = result == RTM_E_RESOLVE || result == RTM_E_CONNECT || result == RTM_E_PROXY ||
                 result == RTM_E_TLS || result == RTM_E_TIMEOUT || result == RTM_E_CLOSED;
    bool used_up = exchange->payload.read_body && exchange->payload_at;
    size_t begun = exchange->begun ? exchange->head.size + exchange->payload_at : 0;
    bool unsent = !begun || begun == rtmi_exchange_unsent(exchange);
    return mends && !refused && !request->no_retry && unsent && !used_up;
}

/* Leaves a request in the queue for another attempt; false if its deadline has passed. */
static bool rtmi_request_try_again(rtm_client *client, rtmi_request *request, rtm_result result,
                                   const rtmi_error *error) {
    int wait = 1000 << (request->attempts < 16 ? request->attempts - 1 : 15);
    client->now = RTM_NOW_MS();
    if (client->now >= request->until) return false;
    if (!request->failure) request->failure = rtmi_alloc(sizeof *request->failure);
    if (!request->failure) return false;
    *request->failure = *error;
    request->cause = result;
    if (wait > request->until - client->now) wait = (int)(request->until - client->now);
    request->again_at = client->now + wait;
    rtmi_log(client, "%s: %s; next attempt in %d ms", rtmi_request_name(request), error->text,
             wait);
    return true;
}

/* A step of an exchange, during which read_body and write_body may be called. */
RTMI_APART static rtm_result rtmi_perform_step(rtm_client *client, rtmi_exchange *exchange) {
    client->performing = true;
    rtm_result result = rtmi_exchange_step(exchange, RTM_NOW_MS());
    client->performing = false;
    return result;
}

/* An exchange has ended with this result: checks its response, and closes the connection unless it
   can be used again. */
static rtm_result rtmi_take_response(rtm_client *client, rtmi_exchange *exchange, rtm_result result,
                                     rtm_response *response) {
    rtmi_conn *conn = &exchange->conn;
    if (result != RTM_OK) {
        rtmi_conn_close(conn); /* sends nothing: the request may be retried */
        return result;
    }
    result = rtmi_check_response(client, exchange, response);
    if (!conn->http.keep_alive) rtmi_conn_shutdown(conn);
    return result;
}

/* The exchange has ended, with a response or without. */
static void rtmi_lane_end(rtm_client *client, rtmi_lane *lane, rtm_result result) {
    rtmi_exchange *exchange = lane->exchange;
    rtmi_conn *conn = &exchange->conn;
    rtmi_request *request = lane->current;
    rtm_response response = rtmi_no_response;
    bool stopped = rtmi_is_stopped(client);
    bool again = rtmi_may_try_again(exchange, request, result);
    bool joined = RTMI_LANES == 1 && (request->by_url || request->payload.streamed);
    int asked = conn->http.retry_after < 0 ? RTMI_RATE_LIMIT_S : conn->http.retry_after;
    lane->current = NULL;
    client->queue.look_at = RTMI_NOW;
    result = rtmi_take_response(client, exchange, result, &response);
    if (joined) rtmi_conn_shutdown(conn);
    if (stopped && (again || result == RTM_E_TIMEOUT)) return; /* rtmi_queue_begin ends it */
    if (again && rtmi_request_try_again(client, request, result, &conn->error)) return;
    bool limited = result == RTM_E_RATE_LIMITED && !stopped;
    bool held = limited && rtmi_queue_hold(client, request->key, asked);
    if (held && !request->no_retry && !request->payload.streamed) {
        request->attempts = 0; /* the retries begin again after the wait */
        rtmi_log(client, "%s", conn->error.text);
        return;
    }
    response.result = result;
    rtmi_request_finish(client, request, &response, &conn->error);
}

/* Begins a request if it need not wait and no request with the same key is before it. Not RTM_OK:
   it ends without having begun. */
static rtm_result rtmi_request_begin(rtm_client *client, rtmi_request *request) {
    rtmi_queue *queue = &client->queue;
    rtmi_lane *lane = request->lane;
    const rtmi_request *before = queue->first;
    long long due = request->again_at;
    if (lane->current == request) return RTM_OK;
    if (rtmi_is_stopped(client)) return RTM_E_STOPPED;
    if (lane->current) return RTM_OK;
    for (const rtmi_hold *hold = queue->holds; hold && hold->until; hold++)
        if (hold->key == request->key && hold->until > due) due = hold->until;
    if (due > client->now && due < queue->look_at) queue->look_at = due;
    if (due > client->now) return RTM_OK;
    while (before->key != request->key) before = before->next;
    if (before != request) return RTM_OK;
    if (request->attempts && client->now >= request->until) return request->cause;
    if (!lane->exchange) lane->exchange = rtmi_exchange_new(&client->network, &client->error);
    if (!lane->exchange) return RTM_E_MEMORY;
    if (!request->attempts++) request->until = client->now + request->timeout_ms;
    lane->current = request;
    rtmi_begin_request(client, lane->exchange, request, client->now);
    return RTM_OK;
}

/* Begins all requests that can begin. Stops at a request that has ended without a response, and
   calls its callback. */
static void rtmi_queue_begin(rtm_client *client) {
    client->queue.look_at = LLONG_MAX;
    for (rtmi_request *request = client->queue.first; request; request = request->next) {
        if (request->result == RTM_OK) request->result = rtmi_request_begin(client, request);
        if (request->result == RTM_OK) continue;
        rtmi_queue_drop(client, request);
        return;
    }
}

/* Closes the connection if it was idle for a minute, or if the server has closed it. */
static void rtmi_lane_rest(rtm_client *client, rtmi_lane *lane) {
    rtmi_exchange *exchange = lane->exchange;
    rtmi_conn *conn = &exchange->conn;
    if (!rtmi_is_stopped(client) && conn->phase == RTMI_CONN_READY &&
        client->now - conn->used_at < RTMI_KEEP_ALIVE_MS &&
        (!conn->readable || rtmi_exchange_reuse(exchange, &conn->peer, client->now))) return;
    rtmi_exchange_delete(exchange);
    lane->exchange = NULL;
}

/* Does what can be done for the requests without waiting. Calls at most one callback for each lane,
   and one for a request that has ended without a response. */
static void rtmi_queue_step(rtm_client *client) {
    rtmi_queue *queue = &client->queue;
    client->now = RTM_NOW_MS();
    if (queue->first && rtmi_is_stopped(client) && !queue->stopped) rtmi_queue_stop(client);
    if (client->now >= queue->look_at) rtmi_queue_begin(client);
    for (rtmi_lane *lane = queue->lane; lane < queue->lane + RTMI_LANES; lane++) {
        if (lane->current && lane->current->result == RTM_OK) {
            rtm_result result = rtmi_perform_step(client, lane->exchange);
            if (result != RTM_E_AGAIN) rtmi_lane_end(client, lane, result);
        } else if (lane->exchange && !lane->current) {
            rtmi_lane_rest(client, lane);
        }
    }
}

/* When the queue must be stepped at the latest. */
static long long rtmi_queue_due(const rtm_client *client) {
    const rtmi_queue *queue = &client->queue;
    long long due = queue->first ? queue->look_at : LLONG_MAX;
    if (queue->first && !queue->stopped && rtmi_is_stopped(client)) return RTMI_NOW;
    for (int i = 0; i < RTMI_LANES; i++) {
        if (!queue->lane[i].exchange) continue;
        const rtmi_conn *conn = &queue->lane[i].exchange->conn;
        long long its = conn->used_at + RTMI_KEEP_ALIVE_MS;
        if (queue->lane[i].current) its = rtmi_conn_due(conn, conn->deadline);
        else if (conn->phase != RTMI_CONN_READY) its = RTMI_NOW;
        if (its < due) due = its;
    }
    return due;
}

static void rtmi_queue_free(rtm_client *client) {
    rtmi_queue *queue = &client->queue;
    while (queue->first) {
        if (queue->first->result == RTM_OK) queue->first->result = RTM_E_STOPPED;
        rtmi_queue_drop(client, queue->first);
    }
    for (int i = 0; i < RTMI_LANES; i++) rtmi_exchange_delete(queue->lane[i].exchange);
    rtmi_free(queue->holds, 0);
}

/* Encoding ------------------------------------------------------------------------------------ */

/* Encodes pairs of names and values as a form; pairs with a NULL value are left out. */
static void rtmi_write_fields(rtmi_buf *form, const char *const *field) {
    for (; field && field[0]; field += 2) {
        if (!field[1]) continue;
        if (form->size) rtmi_buf_text(form, "&");
        rtmi_write_form(form, field[0]);
        rtmi_buf_text(form, "=");
        rtmi_write_form(form, field[1]);
    }
}

/* What is wrong with a request, or NULL. */
static const char *rtmi_request_fault(const rtm_client *client, const rtm_request *given) {
    const char *method = given->method, *url = given->url, *verb = given->http_method;
    const char *type = given->content_type, *token = given->token;
    bool get = verb && !strcmp(verb, "GET"), own_body = given->body || given->read_body;
    int count = !!given->fields + !!given->json + !!given->body + !!given->read_body;
    rtmi_peer peer;
    const char *path;
    size_t length;
    if (!method == !url) return "either method or url is required, and not both";
    if (method && !rtmi_consists_of(method, strlen(method), "._")) return "invalid method name";
    if (url && (rtmi_lower(*url) != 'h' || !rtmi_parse_url(url, &peer, &path, &length)))
        return "url is not of the form https://host/path";
    if (url && !peer.tls && (token || client->settings.api.tls))
        return "url must be https (it has a token, or base_url is https)";
    if (verb && (get ? !url : strcmp(verb, "POST") != 0))
        return "http_method must be POST, or GET with a url";
    if (get && (count || given->body_size || type))
        return "http_method GET excludes fields, json, body, read_body, body_size and content_type";
    if (count > 1) return "only one of fields, json, body and read_body is allowed";
    if (given->body_size && (!own_body || given->body_size > (size_t)-1 / 2))
        return "body_size without a body, or too large";
    if (given->read_body && !given->body_size) return "read_body without body_size";
    if (type && !own_body) return "content_type without body or read_body";
    for (const char *p = type; p && *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f) return "control character in content_type";
    if (method && !token && !client->settings.token) return "no token: set config.token";
    if (token && (!*token || !rtmi_is_visible(token)))
        return "invalid token (empty, white space, control or non-ASCII character)";
    for (const char *const *field = given->fields; field && field[0]; field += 2)
        if (field[1] && !(rtmi_is_utf8(field[0], strlen(field[0])) &&
                          rtmi_is_utf8(field[1], strlen(field[1]))))
            return "a name or value is not valid UTF-8";
    return given->timeout_ms < 0 ? "timeout_ms is negative" : NULL;
}

/* Whether there is room for a request with a body of this size, `size` bytes in all. An empty queue
   accepts one of up to max_message_size bytes. */
static rtm_result rtmi_queue_check_room(rtm_client *client, size_t body, size_t size) {
    const rtmi_queue *queue = &client->queue;
    size_t most = client->settings.max_queue_size;
    if (size > most && body > client->settings.max_message_size)
        return rtmi_fail(&client->error, RTM_E_TOO_BIG, "request too large: %zu bytes, more than "
                         "max_queue_size; use read_body for a large body", size);
    if (!queue->first || (queue->size <= most && size <= most - queue->size)) return RTM_OK;
    return rtmi_fail(&client->error, RTM_E_AGAIN,
                     "request queue full: retry later or raise max_queue_size");
}

/* Copies a request into one block of memory; `form`: its encoded fields. A request to be queued is
   refused if the queue has no room for it. */
static rtm_result rtmi_copy_request(rtm_client *client, const rtm_request *given,
                                    const rtmi_buf *form, bool queued, rtmi_request **made) {
    const char *target = given->method ? given->method : given->url, *type = RTMI_FORM;
    const char *body = form->data, *token = given->token ? given->token : "";
    size_t size = form->size;
    if (given->json) {
        body = given->json;
        size = strlen(body);
        type = "application/json; charset=utf-8";
    } else if (given->body || given->read_body) {
        body = given->body;
        size = given->body_size;
        type = given->content_type ? given->content_type : "application/octet-stream";
    }
    size_t copied = given->read_body ? 0 : size;
    /* Includes the NULs of the four strings. */
    size_t total = sizeof **made + copied + strlen(target) + strlen(type) + strlen(token) + 4;
    if (form->failed || copied > (size_t)-1 / 2) return rtmi_out_of_memory(&client->error);
    rtm_result result = queued ? rtmi_queue_check_room(client, copied, total) : RTM_OK;
    if (result != RTM_OK) return result;
    rtmi_request *request = *made = rtmi_alloc(total);
    if (!request) return rtmi_out_of_memory(&client->error);
    char *at = (char *)(request + 1);
    target = rtmi_pack(&at, target, strlen(target));
    token = rtmi_pack(&at, token, strlen(token));
    uint64_t key = rtmi_hash(RTMI_HASH, target, (size_t)(at - target));
    type = rtmi_pack(&at, type, strlen(type));
    body = rtmi_pack(&at, body, copied);
    bool streamed = given->read_body || given->write_body, second = given->url || streamed;
    *request = (rtmi_request){
        .target = target, .token = given->token ? token : NULL, .content_type = type,
        .payload = { body, given->read_body, given->write_body, given->user_data, size, streamed },
        .lane = &client->queue.lane[second ? RTMI_LANES - 1 : 0], .key = key, .size = total,
        .timeout_ms = given->timeout_ms ? given->timeout_ms : client->settings.timeout_ms,
        .again_at = RTMI_NOW, .callback = given->callback, .by_url = given->url != NULL,
        .get = given->http_method && *given->http_method == 'G', .no_retry = given->no_retry
    };
    return RTM_OK;
}

/* Checks and copies a request, unless the client was stopped. */
static rtm_result rtmi_encode(rtm_client *client, const rtm_request *given, bool queued,
                              rtmi_request **made) {
    const char *fault = given ? rtmi_request_fault(client, given) : "the pointer is NULL";
    rtmi_document document = { 0 };
    rtmi_buf form = { 0 };
    rtm_json root;
    if (rtmi_is_stopped(client)) return rtmi_stopped(&client->error);
    if (fault) return rtmi_refuse(client, "request", fault);
    const char *json = given->json;
    if (json && !rtmi_document_open(&document, json, strlen(json), &root))
        return rtmi_fail(&client->error, RTM_E_JSON, "request: json is %s",
                         rtmi_document_fault(&document));
    rtmi_write_fields(&form, given->fields);
    rtm_result result = rtmi_copy_request(client, given, &form, queued, made);
    rtmi_buf_free(&form);
    return result;
}

/* Checks and queues a request. Returns its id, or an error. */
static int rtmi_submit(rtm_client *client, const rtm_request *given, bool is_message) {
    rtmi_queue *queue = &client->queue;
    rtmi_request *request;
    rtm_result result = rtmi_encode(client, given, true, &request);
    if (result != RTM_OK) return result;
    queue->size += request->size;
    request->id = client->last_id = rtmi_next_id(client);
    request->is_message = is_message;
    rtmi_request **end = &queue->first;
    while (*end) end = &(*end)->next;
    *end = request;
    queue->look_at = RTMI_NOW;
    return request->id;
}

/* ------------------------------------------------------------------------------------------------
 * >>public  the functions declared above, in their order
 * --------------------------------------------------------------------------------------------- */

/* Allocates the parts of a client other than its configuration. */
static rtm_result rtmi_client_init(rtm_client *client) {
    if (!rtmi_network_open(&client->network))
        return rtmi_fail(&client->error, RTM_E_MEMORY, "no file descriptor: %s", strerror(errno));
    client->document.error = &client->error;
    client->disabled_until = RTMI_NOW;
    client->session[0] = rtmi_session_new(client);
    if (client->socket_mode) client->seen = rtmi_alloc(sizeof *client->seen);
    bool good = client->session[0] && (client->seen || !client->socket_mode);
    return good ? RTM_OK : rtmi_out_of_memory(&client->error);
}

rtm_result rtm_create(const rtm_config *config, rtm_client **client) {
    if (client) *client = NULL;
    if (!config || !client)
        return rtmi_fail(&rtmi_create_error, RTM_E_ARGUMENT,
                         "rtm_create: config or client is NULL");
    rtm_client *made = rtmi_alloc(sizeof *made);
    if (!made) return rtmi_out_of_memory(&rtmi_create_error);
    made->network.epoll = made->network.wake[0] = made->network.wake[1] = -1;
    rtm_result result = rtmi_configure(made, config);
    if (result == RTM_OK) result = rtmi_client_init(made);
    rtmi_create_error = made->error;
    if (result == RTM_OK) *client = made;
    else rtm_destroy(made);
    return result;
}

/* Whether a callback or a blocking call is running. */
static bool rtmi_is_busy(const rtm_client *client) {
    return client->polling || client->performing;
}

void rtm_destroy(rtm_client *client) {
    if (!client) return;
    RTM_ASSERT(!rtmi_is_busy(client)); /* not in a callback */
    if (rtmi_is_busy(client)) return;
    for (size_t i = 0; i < client->handler_count; i++) client->handlers[i].callback = NULL;
    rtm_stop(client);
    client->polling = true;
    rtmi_queue_free(client);
    for (int i = 0; i < 2; i++) rtmi_session_free(client, client->session[i]);
    rtmi_exchange_delete(client->web);
    rtmi_network_close(&client->network);
    rtmi_buf_free(&client->compose);
    for (size_t i = 0; i < client->handler_count; i++) RTM_FREE(client->handlers[i].type);
    rtmi_free(client->handlers, 0);
    rtmi_buf_free(&client->unanswered);
    rtmi_document_free(&client->document);
    for (int i = 0; client->deferrals && i < RTMI_DEFERRALS; i++)
        rtmi_free(client->deferrals[i].envelope_id, 0);
    rtmi_free(client->deferrals, 0);
    rtmi_free(client->seen, 0);
    const rtmi_settings *settings = &client->settings;
    const rtmi_network *network = &client->network;
    char *strings[] = { settings->token, settings->app_token, settings->headers,
                        settings->url_headers, settings->base_path, network->ca_file,
                        network->ca_pem, network->proxy_auth, network->no_proxy };
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (strings[i]) rtmi_free(strings[i], strlen(strings[i]));
    rtmi_free(client, sizeof *client);
}

/* The connections that rtm_poll steps. */
static int rtmi_stepped_conns(const rtm_client *client, rtmi_conn *conns[RTMI_CONNS]) {
    int count = 0;
    for (int i = 0; i < 2; i++)
        if (client->session[i]) conns[count++] = &client->session[i]->exchange.conn;
    for (int i = 0; i < RTMI_LANES; i++)
        if (client->queue.lane[i].exchange) conns[count++] = &client->queue.lane[i].exchange->conn;
    return count;
}

int rtm_poll(rtm_client *client, int timeout_ms) {
    rtmi_conn *conns[RTMI_CONNS];
    int due = rtm_timeout_ms(client);
    if (!client) return RTM_E_ARGUMENT;
    if (rtmi_is_busy(client)) return RTM_E_BUSY;
    client->polling = true;
    client->dispatched = 0;
    int count = rtmi_stepped_conns(client, conns);
    for (int i = 0; i < count; i++) conns[i]->budget = RTMI_BUDGET;
    if (timeout_ms < 0) timeout_ms = -1;
    if (due >= 0 && (timeout_ms < 0 || due < timeout_ms)) timeout_ms = due;
    rtmi_wait(client, conns, count, rtmi_is_finished(client) ? 0 : timeout_ms);
    client->woken = client->slicing = false;
    rtmi_step_sessions(client);
    rtmi_queue_step(client);
    count = rtmi_stepped_conns(client, conns);
    for (int i = 0; i < count; i++) rtmi_conn_watch(conns[i]);
    client->polling = false;
    if (!rtmi_is_finished(client)) return client->dispatched;
    rtm_result cause = client->session[0]->cause;
    client->error = client->session[0]->error; /* for rtm_error_detail */
    if (rtmi_is_stopped(client)) return rtmi_stopped(&client->error);
    return cause == RTM_OK ? RTM_E_CLOSED : cause;
}

int rtm_fd(const rtm_client *client) {
    return client ? client->network.epoll : -1;
}

/* A wait as poll() has it: -1 = longer than it can be. */
RTMI_APART static int rtmi_ms_until(long long due) {
    long long now = RTM_NOW_MS();
    return due < now ? 0 : due > now + INT_MAX ? -1 : (int)(due - now);
}

int rtm_timeout_ms(const rtm_client *client) {
    if (!client) return -1;
    long long due = client->reconnects ? RTMI_NOW : rtmi_queue_due(client);
    for (int i = 0; i < 2; i++)
        if (client->session[i]) due = rtmi_min(due, rtmi_session_due(client, client->session[i]));
    return rtmi_ms_until(due);
}

rtm_result rtm_connect(rtm_client *client) {
    if (!client) return RTM_E_ARGUMENT;
    if (rtmi_is_busy(client)) return RTM_E_BUSY;
    /* An end that the user asked for is no failure. */
    unsigned ended = client->ends + rtmi_is_dropped(client->session[0]);
    while (!rtm_is_connected(client)) {
        int result = rtm_poll(client, -1);
        if (result < 0) return (rtm_result)result;
        rtm_result cause = client->session[0]->cause;
        if (!rtm_is_connected(client) && client->ends != ended)
            return cause == RTM_OK ? RTM_E_CLOSED : cause;
    }
    return RTM_OK;
}

/* The client that a signal stops. */
static rtm_client *volatile rtmi_running;

static void rtmi_on_signal(int number) {
    (void)number;
    rtm_stop(rtmi_running);
}

rtm_result rtm_run(rtm_client *client) {
    static const int numbers[] = { SIGHUP, SIGTERM, SIGINT };
    struct sigaction action, old[3];
    if (!client) return RTM_E_ARGUMENT;
    if (rtmi_is_busy(client)) return RTM_E_BUSY;
    rtm_client *outer = rtmi_running;
    int signals = client->settings.no_signals ? 0 : 3, result;
    if (signals) rtmi_running = client;
    memset(&action, 0, sizeof action);
    action.sa_handler = rtmi_on_signal;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < signals; i++) { /* ignored ones stay ignored: SIGHUP under nohup */
        sigaction(numbers[i], NULL, &old[i]);
        if (old[i].sa_handler != SIG_IGN) sigaction(numbers[i], &action, NULL);
    }
    do result = rtm_poll(client, -1);
    while (result >= 0);
    for (int i = 0; i < signals; i++) sigaction(numbers[i], &old[i], NULL);
    if (signals) rtmi_running = outer;
    return result == RTM_E_STOPPED ? RTM_OK : (rtm_result)result;
}

void rtm_stop(rtm_client *client) {
    if (!client) return;
    RTMI_STORE(&client->stop, 1);
    rtm_wake(client);
}

void rtm_wake(rtm_client *client) {
    if (client) rtmi_wake_up(client->network.wake[1]);
}

rtm_result rtm_set_token(rtm_client *client, const char *token) {
    return client ? rtmi_take_token(client, &client->settings.token, token) : RTM_E_ARGUMENT;
}

rtm_result rtm_reconnect(rtm_client *client) {
    if (!client) return RTM_E_ARGUMENT;
    rtm_state state = rtm_get_state(client);
    if (rtmi_is_stopped(client) || state == RTM_STATE_CLOSING || state == RTM_STATE_FINISHED)
        return rtmi_not_connected(client);
    client->reconnects = state != RTM_STATE_IDLE && state != RTM_STATE_OPEN;
    if (state != RTM_STATE_OPEN) return RTM_OK;
    rtmi_session *second = client->session[1];
    rtmi_raise_fate(client->session[0], RTMI_DROPPING);
    if (second) rtmi_raise_fate(second, RTMI_DROPPING); /* a retired one is closed at once */
    if (second) second->drain_at = second->deadline = RTM_NOW_MS();
    if (second && second->state == RTM_STATE_BACKOFF) rtmi_end_wait(second);
    return RTM_OK;
}

bool rtm_is_connected(const rtm_client *client) {
    return rtm_get_state(client) == RTM_STATE_OPEN &&
           !rtmi_is_dropped(client->session[0]) && !rtmi_is_stopped(client);
}

rtm_state rtm_get_state(const rtm_client *client) {
    return client ? client->session[0]->state : RTM_STATE_FINISHED;
}

/* The handler registered with these arguments, or NULL. */
static rtmi_handler *rtmi_find_handler(const rtm_client *client, const char *type,
                                       rtm_callback callback, const void *user_data) {
    for (size_t i = 0; i < client->handler_count; i++) {
        rtmi_handler *handler = &client->handlers[i];
        if (handler->callback == callback && handler->user_data == user_data &&
            !strcmp(handler->type, type))
            return handler;
    }
    return NULL;
}

rtm_result rtm_on(rtm_client *client, const char *type, rtm_callback callback, void *user_data) {
    if (!client) return RTM_E_ARGUMENT;
    if (!type || !*type || !callback)
        return rtmi_refuse(client, "rtm_on", "type is empty, or callback NULL");
    const char *colons = strstr(type, "::");
    size_t length = colons ? (size_t)(colons - type) : strlen(type);
    if (length >= RTMI_TYPE) return rtmi_refuse(client, "rtm_on", "type of 128 bytes or more");
    if (rtmi_find_handler(client, type, callback, user_data)) return RTM_OK;
    void *grown = RTM_REALLOC(client->handlers, (client->handler_count + 1) * sizeof(rtmi_handler));
    if (grown) client->handlers = grown;
    char *copy = grown ? rtmi_copy(type, strlen(type)) : NULL;
    if (!copy) return rtmi_out_of_memory(&client->error);
    client->handlers[client->handler_count++] = (rtmi_handler){
        .type = copy, .length = length, .subtype = colons ? copy + length + 2 : NULL,
        .callback = callback, .user_data = user_data
    };
    return RTM_OK;
}

rtm_result rtm_off(rtm_client *client, const char *type, rtm_callback callback, void *user_data) {
    if (!client) return RTM_E_ARGUMENT;
    rtmi_handler *handler = NULL;
    if (type && callback) handler = rtmi_find_handler(client, type, callback, user_data);
    if (!handler)
        return rtmi_refuse(client, "rtm_off", "no handler with this type, callback and user_data");
    handler->callback = NULL;
    client->handlers_removed = true;
    if (!client->polling) rtmi_sweep_handlers(client);
    return RTM_OK;
}

int rtm_send(rtm_client *client, const char *json) {
    if (!client) return RTM_E_ARGUMENT;
    if (!json) return rtmi_refuse(client, "rtm_send", "json is NULL");
    rtm_result result = rtmi_begin_message(client);
    if (result != RTM_OK) return result;
    size_t length = strlen(json);
    rtmi_document document = { 0 };
    rtm_json object;
    bool valid = rtmi_document_open(&document, json, length, &object);
    if (!valid || *object.text != '{')
        return rtmi_fail(&client->error, RTM_E_JSON, "rtm_send: %s",
                         valid ? "not a JSON object" : rtmi_document_fault(&document));
    object.size = (size_t)(json + length - object.text); /* keeps white space after the object */
    if (object.size > RTMI_MESSAGE_OUT) return rtmi_too_big(client, object.size);
    rtm_json type = rtm_json_get(object, "type"), id = rtm_json_get(object, "id");
    long long number = id.size ? rtm_json_int(id, 0) : rtmi_next_id(client);
    if (number <= 0 || number > INT_MAX)
        return rtmi_fail(&client->error, RTM_E_JSON, "rtm_send: id is not a positive int");
    rtmi_buf *out = &client->compose;
    if (!id.size) {
        rtmi_buf_text(out, "{\"id\":");
        rtmi_buf_number(out, number);
        if (document.values > 1) rtmi_buf_text(out, ",");
    }
    rtmi_buf_add(out, object.text + !id.size, object.size - !id.size);
    return rtmi_send_composed(client, (int)number, rtm_json_equals(type, "message") ||
                                                       rtm_json_equals(type, "ping"));
}

/* rtm_send_message in Socket Mode: submits chat.postMessage. */
static int rtmi_post_message(rtm_client *client, const char *channel, const char *text) {
    const char *const fields[] = { "channel", channel, "text", text, NULL };
    const rtm_request request = { .method = "chat.postMessage", .fields = fields };
    if (!channel || !text) return rtmi_refuse(client, "rtm_send_message",
                                              channel ? "text is NULL" : "channel is NULL");
    size_t characters = 0;
    for (const char *p = text; *p; p++) characters += ((unsigned char)*p & 0xc0) != 0x80;
    if (characters > RTMI_POST_TEXT)
        return rtmi_fail(&client->error, RTM_E_TOO_BIG, "message too large: %zu characters, limit "
                         "40000", characters);
    return rtmi_submit(client, &request, true);
}

int rtm_send_message(rtm_client *client, const char *channel, const char *text) {
    if (client && client->socket_mode) return rtmi_post_message(client, channel, text);
    return rtmi_send_typed(client, "message", 2, channel, text);
}

int rtm_send_typing(rtm_client *client, const char *channel) {
    return rtmi_send_typed(client, "typing", 1, channel, NULL);
}

int rtm_send_ping(rtm_client *client) {
    return rtmi_send_typed(client, "ping", 0, NULL, NULL);
}

/* Whether an event can be replied to now: RTM_OK, or why not. */
static rtm_result rtmi_check_delivery(rtm_client *client, const char *name,
                                      const rtm_event *event) {
    const rtmi_delivery *pending = &client->pending;
    if (!event->envelope.size)
        return rtmi_fail(&client->error, RTM_E_UNSUPPORTED, "%s: not a Socket Mode event", name);
    if (event->delivery != pending->serial || !pending->id.size)
        return rtmi_fail(&client->error, RTM_E_BUSY,
                         "%s: too late, acknowledged when the callback returned", name);
    if (!pending->late)
        return rtmi_fail(&client->error, RTM_E_UNSUPPORTED, "%s: this event accepts no reply "
                         "(accepts_response_payload is false); use rtm_send_message", name);
    if (!pending->unacknowledged)
        return rtmi_fail(&client->error, RTM_E_BUSY, "%s: already acknowledged", name);
    return RTM_OK;
}

/* The payload of a reply: NULL = none. `accepts`: the envelope accepts one. */
static rtm_result rtmi_check_payload(rtm_client *client, const char *name, const char *json,
                                     bool accepts, rtm_json *payload) {
    rtmi_document document = { 0 };
    *payload = rtmi_json_none;
    if (!json) return RTM_OK;
    if (!accepts)
        return rtmi_fail(&client->error, RTM_E_UNSUPPORTED, "%s: this event accepts no payload "
                         "(accepts_response_payload is false)", name);
    if (!rtmi_document_open(&document, json, strlen(json), payload) || !rtmi_json_is(*payload, '{'))
        return rtmi_fail(&client->error, RTM_E_JSON, "%s: json must be a JSON object", name);
    return RTM_OK;
}

rtm_result rtm_reply(rtm_client *client, const rtm_event *event, const char *json) {
    static const char name[] = "rtm_reply";
    rtm_json payload;
    if (!client) return RTM_E_ARGUMENT;
    if (!event || !json) return rtmi_refuse(client, name, "event or json is NULL");
    rtmi_delivery *pending = &client->pending;
    rtm_result result = rtmi_check_delivery(client, name, event);
    if (result == RTM_OK)
        result = rtmi_check_payload(client, name, json, pending->accepts, &payload);
    if (result == RTM_OK) result = rtmi_acknowledge_delivery(client, pending, payload);
    if (result == RTM_OK && pending->deferral)
        rtmi_end_deferral(rtmi_find_deferral(client, pending->deferral), RTM_E_BUSY);
    return result;
}

int rtm_defer(rtm_client *client, const rtm_event *event) {
    if (!client) return RTM_E_ARGUMENT;
    if (!event) return rtmi_refuse(client, "rtm_defer", "event is NULL");
    rtm_result result = rtmi_check_delivery(client, "rtm_defer", event);
    if (result != RTM_OK) return result;
    for (int i = 0; i < 2; i++) {
        const rtmi_session *session = client->session[i];
        if (rtmi_can_acknowledge(session) && session->number == client->pending.number)
            return rtmi_defer(client);
    }
    return rtmi_fail(&client->error, RTM_E_NOT_CONNECTED, "rtm_defer: the session has ended");
}

rtm_result rtm_reply_deferred(rtm_client *client, int id, const char *json) {
    static const char name[] = "rtm_reply_deferred";
    rtm_json payload;
    if (!client) return RTM_E_ARGUMENT;
    rtmi_deferral *deferral = rtmi_find_deferral(client, id);
    rtm_result fault = deferral                                ? deferral->fault
                       : id > 0 && id <= client->last_deferral ? RTM_E_BUSY : RTM_E_ARGUMENT;
    if (fault != RTM_OK)
        return rtmi_fail(&client->error, fault, "%s: %s", name,
                         fault == RTM_E_ARGUMENT ? "no deferral has this id"
                         : fault == RTM_E_BUSY   ? "already replied" : "the session has ended");
    rtm_result result = rtmi_check_payload(client, name, json, deferral->delivery.accepts,
                                           &payload);
    if (result != RTM_OK) return result;
    result = rtmi_acknowledge_delivery(client, &deferral->delivery, payload);
    if (result != RTM_OK) return result;
    if (client->pending.deferral == id) client->pending.unacknowledged = false;
    rtmi_end_deferral(deferral, RTM_E_BUSY);
    return RTM_OK;
}

int rtm_submit(rtm_client *client, const rtm_request *request) {
    return client ? rtmi_submit(client, request, false) : RTM_E_ARGUMENT;
}

rtm_result rtm_cancel(rtm_client *client, int id) {
    if (!client) return RTM_E_ARGUMENT;
    rtmi_request *request = rtmi_find_request(client, id);
    if (!request) return rtmi_refuse(client, "rtm_cancel", "no request with this id");
    request->result = RTM_E_CANCELLED;
    client->queue.look_at = RTMI_NOW;
    return RTM_OK;
}

/* Steps a blocking exchange until it is complete, fails, or times out. The session is not serviced
   meanwhile. */
static rtm_result rtmi_exchange_wait(rtm_client *client, rtmi_exchange *exchange) {
    rtmi_conn *conn = &exchange->conn;
    for (;;) {
        conn->budget = RTMI_BUDGET;
        rtm_result result = rtmi_perform_step(client, exchange);
        if (result != RTM_E_AGAIN) return result;
        if (rtmi_is_stopped(client))
            return rtmi_fail(&conn->error, RTM_E_STOPPED, "%s: stopped", exchange->method);
        rtmi_wait(client, &conn, 1, rtmi_ms_until(rtmi_conn_due(conn, conn->deadline)));
    }
}

/* Extends the deadlines of a session by the time that a blocking call has taken. */
static void rtmi_session_postpone(rtmi_session *session, long long ms) {
    session->silent_at += ms;
    session->hello_by += ms;
    session->active_at += ms;
    session->drain_at += ms;
    session->notice_at += ms;
    if (session->state == RTM_STATE_OPEN || session->state == RTM_STATE_CLOSING)
        session->deadline += ms;
}

/* Performs a request over the connection of blocking calls, and frees it. */
static rtm_result rtmi_perform(rtm_client *client, rtmi_request *request, rtm_response *response) {
    rtmi_exchange *web = client->web;
    rtmi_conn *conns[RTMI_CONNS];
    long long began = RTM_NOW_MS();
    rtmi_acknowledge_pending(client);
    rtmi_begin_request(client, web, request, began);
    rtm_result result = rtmi_exchange_wait(client, web);
    result = rtmi_take_response(client, web, result, response);
    if (result != RTM_OK) client->error = web->conn.error;
    if (client->woken) rtmi_wake_up(client->network.wake[1]); /* it was for rtm_poll */
    client->woken = false;
    long long took = RTM_NOW_MS() - began;
    for (int i = 0; i < 2; i++)
        if (client->session[i]) rtmi_session_postpone(client->session[i], took);
    for (int i = 0, count = rtmi_stepped_conns(client, conns); i < count; i++) {
        conns[i]->deadline += took;
        conns[i]->step_deadline += took;
    }
    rtmi_free(request, request->size);
    return result;
}

/* Checks and encodes a request to be performed; `complete` is false if collecting its fields ran
   out of memory. */
static rtm_result rtmi_prepare(rtm_client *client, const rtm_request *given, bool complete,
                               rtmi_request **request) {
    if (!client) return RTM_E_ARGUMENT;
    if (client->performing)
        return rtmi_fail(&client->error, RTM_E_BUSY,
                         "rtm_perform: not allowed in read_body and write_body");
    if (!client->web) client->web = rtmi_exchange_new(&client->network, &client->error);
    if (!client->web || !complete) return rtmi_out_of_memory(&client->error);
    return rtmi_encode(client, given, false, request);
}

static rtm_result rtmi_perform_given(rtm_client *client, const rtm_request *given, bool complete,
                                     rtm_response *response) {
    rtm_response ignored;
    rtmi_request *request;
    if (!response) response = &ignored;
    *response = rtmi_no_response;
    rtm_result result = rtmi_prepare(client, given, complete, &request);
    if (result == RTM_OK) result = rtmi_perform(client, request, response);
    response->result = result;
    if (result == RTM_OK) return result;
    response->detail = rtm_strerror(result);
    if (client && client->web) { /* the message is kept there until the next call */
        client->web->conn.error = client->error;
        response->detail = client->web->conn.error.text;
    }
    return result;
}

rtm_result rtm_perform(rtm_client *client, const rtm_request *request, rtm_response *response) {
    return rtmi_perform_given(client, request, true, response);
}

/* Collects the arguments of a variadic call as fields of a request, up to a NULL name. */
static rtmi_buf rtmi_collect(va_list pairs) {
    rtmi_buf fields = { 0 };
    const char *name, *value;
    do {
        name = va_arg(pairs, const char *);
        value = name ? va_arg(pairs, const char *) : NULL;
        rtmi_buf_add(&fields, &name, sizeof name);
        rtmi_buf_add(&fields, &value, sizeof value);
    } while (name);
    return fields;
}

int rtm_call_async(rtm_client *client, rtm_request_callback callback, void *user_data,
                   const char *method, ...) {
    va_list pairs;
    if (!client) return RTM_E_ARGUMENT;
    va_start(pairs, method);
    rtmi_buf fields = rtmi_collect(pairs);
    va_end(pairs);
    const rtm_request request = { .method = method, .fields = (void *)fields.data,
                                  .callback = callback, .user_data = user_data };
    int result = fields.failed ? rtmi_out_of_memory(&client->error) : rtm_submit(client, &request);
    rtmi_buf_free(&fields);
    return result;
}

rtm_result rtm_call(rtm_client *client, rtm_response *response, const char *method, ...) {
    va_list pairs;
    va_start(pairs, method);
    rtmi_buf fields = rtmi_collect(pairs);
    va_end(pairs);
    const rtm_request request = { .method = method, .fields = (void *)fields.data };
    rtm_result result = rtmi_perform_given(client, &request, !fields.failed, response);
    rtmi_buf_free(&fields);
    return result;
}

/* The JSON accessors: on a value that rtmi_document_check has passed. */

/* Finds a member of an object: among the noted members if the check has noted this object's. */
static rtm_json rtmi_json_find(rtm_json json, const char *key, size_t length) {
    rtmi_document *document = json.document;
    if (document && document->noted == json.text) {
        for (unsigned i = 0; i < document->members; i++) {
            const char *name = document->text + document->member[i].name;
            if (*name != *key && *name != '\\' && length) continue; /* most members */
            if (rtmi_json_says(name, key, length))
                return (rtm_json){ document->text + document->member[i].value,
                                   document->member[i].value_size, document };
        }
        if (document->members < RTMI_MEMBERS) return rtmi_json_none;
    }
    return rtmi_json_member(&json, key, length);
}

rtm_json rtm_json_get(rtm_json json, const char *path) {
    while (path && json.size) {
        size_t length = strcspn(path, ".");
        if (rtmi_json_is(json, '{')) json = rtmi_json_find(json, path, length);
        else if (length && length < 10 && strspn(path, "0123456789") == length)
            json = rtm_json_at(json, strtoul(path, NULL, 10));
        else json = rtmi_json_none;
        path = path[length] ? path + length + 1 : NULL;
    }
    return path ? rtmi_json_none : json;
}

rtm_json rtm_json_at(rtm_json json, size_t index) {
    return rtmi_json_element(&json, index, rtmi_json_is(json, '{'));
}

rtm_json rtm_json_key(rtm_json json, size_t index) {
    return rtmi_json_is(json, '{') ? rtmi_json_element(&json, index, false) : rtmi_json_none;
}

size_t rtm_json_count(rtm_json json) {
    const jsmntok_t *token = rtmi_json_token(&json);
    return token ? (size_t)token->size : 0;
}

size_t rtm_json_string(rtm_json json, char *out, size_t size) {
    bool fits = out && size;
    rtmi_piecewise text = { out, fits ? size - 1 : 0, 0 };
    const char *p = json.text, *end = rtmi_json_is(json, '"') ? p + json.size - 1 : p;
    if (p < end) p++;
    while (p < end) {
        if (*p == '\\') {
            char decoded[4];
            size_t n = rtmi_json_escape(&p, decoded);
            rtmi_add_piece(&text, decoded, n);
            continue;
        }
        const char *slash = memchr(p, '\\', (size_t)(end - p)), *stop = slash ? slash : end;
        const char *cut = (size_t)(stop - p) > text.room ? p + text.room : p;
        while (cut > p && ((unsigned char)*cut & 0xc0) == 0x80) cut--;
        if (cut > p) rtmi_add_piece(&text, p, (size_t)(cut - p)); /* whole characters */
        rtmi_add_piece(&text, cut, (size_t)(stop - cut));
        p = stop;
    }
    if (fits) *text.at = '\0';
    return text.length;
}

bool rtm_json_equals(rtm_json json, const char *text) {
    return text && rtmi_json_is(json, '"') &&
           rtmi_json_says(json.text + 1, text, strlen(text));
}

long long rtm_json_int(rtm_json json, long long fallback) {
    char text[24]; /* at most 20 characters: longer numbers overflow */
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

size_t rtm_escape(const char *text, char *out, size_t size) {
    bool fits = out && size;
    rtmi_piecewise escaped = { out, fits ? size - 1 : 0, 0 };
    size_t n;
    for (const char *p = text ? text : ""; *p; p += n) {
        const char *as = *p == '&' ? "&amp;" : *p == '<' ? "&lt;" : *p == '>' ? "&gt;" : NULL;
        for (n = 1; ((unsigned char)p[n] & 0xc0) == 0x80; n++) continue; /* a whole character */
        rtmi_add_piece(&escaped, as ? as : p, as ? strlen(as) : n);
    }
    if (fits) *escaped.at = '\0';
    return escaped.length;
}

size_t rtm_json_quote(const char *text, char *out, size_t size) {
    static const char meant[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    char *to = out && size > 2 ? out : NULL; /* the quotes and the NUL fit */
    rtmi_piecewise quoted = { to ? to + 1 : NULL, to ? size - 3 : 0, 2 };
    size_t n;
    for (const char *p = text ? text : ""; *p; p += n) {
        char escape[8] = "\xef\xbf\xbd";
        bool valid;
        n = rtmi_utf8_length(p, &valid);
        const char *special = strchr(meant, *p);
        bool plain = valid && !special && (unsigned char)*p >= ' ';
        if (special) snprintf(escape, sizeof escape, "\\%c", names[special - meant]);
        else if ((unsigned char)*p < ' ') snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*p);
        rtmi_add_piece(&quoted, plain ? p : escape, plain ? n : strlen(escape));
    }
    if (out && size) *out = '\0';
    if (to) {
        *to = '"';
        memcpy(quoted.at, "\"", 2);
    }
    return quoted.length;
}

const char *rtm_strerror(rtm_result result) {
    static const char *const meaning[] = {
#define RTMI_TEXT(name, number, text) [-(number)] = (text),
        RTM_RESULTS(RTMI_TEXT)
#undef RTMI_TEXT
    };
    bool known = result <= 0 && (size_t)-(long)result < sizeof meaning / sizeof *meaning;
    return known ? meaning[-(long)result] : "unknown result";
}

const char *rtm_error_detail(const rtm_client *client) {
    return client ? client->error.text : rtmi_create_error.text;
}

const char *rtm_version(void) {
    return RTM_VERSION;
}

#endif /* RTM_IMPLEMENTATION */

/* ------------------------------------------------------------------------------------------------
 * HISTORY
 *   0.3.0  real networks: addresses are raced, suspend counts, zombie connections are replaced;
 *          handovers that lose no acknowledgement; requests that never left are sent again;
 *          downloads, deferred replies, rtm_json_quote, rtm_reconnect in every state; the names
 *          rtm_reconnect, max_message_size, max_queue_size, user_data, read_body, rtm_json_count,
 *          rtm_json_key, RTM_STATE_CONNECTING and RTM_STATE_BACKOFF instead of older ones
 *   0.2.0  Socket Mode; handover; asynchronous Web API requests; one descriptor for an external
 *          event loop; DNS in a thread
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
