/*
 * main.c - a local imitation of Slack, to develop a bot without a workspace or a network.
 *
 * It implements the Web API methods that a bot needs, uploads, webhooks, and the WebSockets of RTM
 * and Socket Mode, all on one loopback port. What you type is sent to the bot as a user's message;
 * what the bot sends is printed. Lines that begin with "/" are commands, many of which simulate
 * failures of Slack; /help lists them.
 *
 *     make examples
 *     build/sandbox
 *
 * and in another terminal a bot whose base_url is "https://localhost:8443/api/":
 *
 *     SLACK_API_TOKEN=xoxb-sandbox SLACK_API_URL=https://localhost:8443/api/ \
 *         SSL_CERT_FILE=build/certs/ca.pem build/echo_bot
 *
 * It uses libwebsockets and none of rtm.h's code, so that both do not contain the same mistakes.
 * Lines are executed strictly in order; lines for a bot wait until a bot is connected. At a
 * terminal /help and /quit do not wait for other lines. A Socket Mode client (one that has called
 * apps.connections.open) receives its events in envelopes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "sandbox.h"

struct options options = { .cert = "build/certs/server.pem", .key = "build/certs/server.key",
                           .port = 8443 };
struct box box;
struct orders orders = { .ratelimit = -1 };
struct input input;

/* At Slack, files are on another host. Not every system resolves names below localhost. */
static const char *files_host(void) {
    static const char name[] = "files.localhost";
    struct addrinfo *found = NULL;
    if (getaddrinfo(name, NULL, NULL, &found)) return "localhost";
    freeaddrinfo(found);
    return name;
}

static bool open_output(const char *name, FILE **file) {
    *file = fopen(name, "w");
    if (!*file) warn("cannot write %s: %s", name, strerror(errno));
    return *file;
}

static int usage(FILE *to) {
    fputs("usage: sandbox [OPTION]...\n"
          "A local imitation of Slack. Type messages to the bot, or /help.\n"
          "  --port N          port to listen on (8443); 0: any free port\n"
          "  --port-file FILE  write the port number to FILE once listening\n"
          "  --cert FILE       certificate (build/certs/server.pem)\n"
          "  --key FILE        its private key (build/certs/server.key)\n"
          "  --plain           http and ws, without TLS\n"
          "  --script FILE     read the lines from FILE, not from stdin\n"
          "  --quiet           print warnings only\n"
          "  --lenient         accept any channel, user, thread_ts, text and blocks, and\n"
          "                    send typed lines without escaping\n"
          "  --log FILE        write a line to FILE for each request\n"
          "  --transcript FILE write all printed lines to FILE\n"
          "  --seed N          seed of the random choice of connections for events\n"
          "  --files-host NAME the host of uploads and response URLs\n"
          "  --help            print this\n"
          "Limits: 1,000 messages in a channel, 64 MB of messages, 1,000 files and response\n"
          "URLs, 100 views: the oldest are removed. 1,000 channels: further ones are refused.\n",
          to);
    return to == stdout ? 0 : 2;
}

int main(int argc, char **argv) {
    static const struct option names[] = {
        { "port", required_argument, NULL, 'p' },   { "port-file", required_argument, NULL, 'f' },
        { "cert", required_argument, NULL, 'c' },   { "key", required_argument, NULL, 'k' },
        { "script", required_argument, NULL, 's' }, { "plain", no_argument, NULL, 'n' },
        { "quiet", no_argument, NULL, 'q' },        { "help", no_argument, NULL, 'h' },
        { "log", required_argument, NULL, 'l' },    { "transcript", required_argument, NULL, 't' },
        { "seed", required_argument, NULL, 'd' },   { "files-host", required_argument, NULL, 'o' },
        { "lenient", no_argument, NULL, 'e' },      { NULL, 0, NULL, 0 },
    };
    long port = options.port, seed = (long)time(NULL);
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (c) {
        case 'p': if (!last_number(optarg, 0, 65535, &port)) return usage(stderr); break;
        case 'f': options.port_file = optarg; break;
        case 'c': options.cert = optarg; break;
        case 'k': options.key = optarg; break;
        case 's': options.script = optarg; break;
        case 'l': if (!open_output(optarg, &options.log)) return 1; break;
        case 't': if (!open_output(optarg, &options.transcript)) return 1; break;
        case 'd': if (!last_number(optarg, 0, 1L << 31, &seed)) return usage(stderr); break;
        case 'o': options.files_host = optarg; break;
        case 'n': options.plain = true; break;
        case 'q': options.quiet = true; break;
        case 'e': options.lenient = true; break;
        case 'h': return usage(stdout);
        default: return usage(stderr);
        }
    }
    if (optind < argc) return usage(stderr);
    options.port = (int)port;
    if (!options.files_host) options.files_host = files_host();
    srand((unsigned)seed);
    setvbuf(stdout, NULL, _IOLBF, 0);
    lws_set_log_level(LLL_ERR | LLL_WARN, lws_log);
    return open_input() ? serve() : 1;
}
