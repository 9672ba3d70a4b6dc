#!/bin/sh
# Each example against the sandbox: what it prints, what the sandbox sees, how it ends.
set -eu
build=$1
dir=$(mktemp -d)
sandbox= bot=
trap 'for p in $sandbox $bot; do kill "$p" 2>/dev/null || :; done; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP
unset HTTPS_PROXY https_proxy HTTP_PROXY http_proxy SLACK_APP_TOKEN
export SLACK_API_TOKEN=xoxb-sandbox SSL_CERT_FILE="$build/certs/ca.pem"

fail() { echo "FAIL examples: $1" >&2; cut -c1-200 "$dir/sandbox" "$dir/out" >&2; exit 1; }
start() { # a new sandbox, with lines from a pipe
    stop
    rm -f "$dir/port" "$dir/lines"
    mkfifo "$dir/lines"
    "$build/sandbox" --port 0 --port-file "$dir/port" --cert "$build/certs/server.pem" \
        --key "$build/certs/server.key" <"$dir/lines" >"$dir/sandbox" 2>&1 &
    sandbox=$!
    exec 3>"$dir/lines"
    n=0
    while [ ! -s "$dir/port" ] && [ $n -lt 100 ]; do n=$((n + 1)); sleep 0.1; done
    SLACK_API_URL="https://localhost:$(cat "$dir/port")/api/"
    export SLACK_API_URL
}
stop() {
    [ -n "$sandbox" ] || return 0
    exec 3>&-
    kill "$sandbox" 2>/dev/null || :
    wait "$sandbox" || :
    sandbox=
}
sees() { # TEXT: the sandbox has printed it, or will within 5 s
    n=0
    until grep -qF -- "$1" "$dir/sandbox"; do
        n=$((n + 1))
        [ $n -lt 50 ] || fail "the sandbox has not seen: $1"
        sleep 0.1
    done
}
ends() { # CODE TEXT COMMAND...: it exits with CODE and says TEXT
    code=$1 text=$2 ended=0
    shift 2
    timeout 30 "$@" >"$dir/out" 2>&1 || ended=$?
    [ $ended = "$code" ] || fail "$* exits with $ended"
    grep -qF -- "$text" "$dir/out" || fail "$* does not say: $text"
}
: >"$dir/out"

# post: texts, as they are and in pieces, an answer in a thread, a file
start
echo 'up 3 days & <well>' | "$build/post" '#ops' >"$dir/out" || fail 'post'
sees 'posted: up 3 days &amp; &lt;well&gt;\n'
echo below | "$build/post" -t "$(cat "$dir/out")" '#ops' >"$dir/out2" || fail 'post -t'
sees "posted in thread $(cat "$dir/out"): below"
echo '/ratelimit chat.postMessage 1' >&3
sees '/ratelimit: chat.postMessage'
echo later | "$build/post" '#ops' >"$dir/out" 2>&1 || fail 'post at a rate limit'
sees 'chat.postMessage: ratelimited for 1 s'
sees 'posted: later\n'
seq 400000 >"$dir/file"
"$build/post" -t 1.2 -f "$dir/file" C0SANDBOX >"$dir/out" 2>&1 || fail 'post -f'
sees "uploaded file: $(wc -c <"$dir/file") bytes, SHA-256 $(sha256sum "$dir/file" | cut -c1-8)"
sees 'shared the file file'
sees 'posted in thread 1.2: [files] file'

start
repeat() { awk -v n="$1" -v c="$2" 'BEGIN { while (n-- > 0) printf "%s", c }'; }
{ repeat 1999 a; echo; repeat 1999 b; echo; repeat 1999 c; } | "$build/post" '#lines' >"$dir/out"
{ repeat 4000 é; echo; echo; } | "$build/post" '#characters' >>"$dir/out"
repeat 4001 x | "$build/post" '#line' >>"$dir/out"
[ "$(wc -l <"$dir/out")" = 5 ] || fail 'a time stamp for each message'
printf 'posted: %s\n' "$(repeat 1999 a)\\n$(repeat 1999 b)" "$(repeat 1999 c)" "$(repeat 4000 é)" \
    "$(repeat 4000 x)" x >"$dir/wanted"
grep -o 'posted: .*' "$dir/sandbox" | cmp -s - "$dir/wanted" || fail 'a long text in messages'

# post: what it refuses, and what Slack refuses
post=$build/post
ends 2 'usage: post' "$post"
ends 2 'usage: post' "$post" -x C1
ends 1 'there is nothing to post' "$post" C1 </dev/null
ends 1 '-f posts it as a file' "$post" C1 <"$post"
printf '\377' | ends 1 'not UTF-8' "$post" C1
{ echo good; repeat 90000 "$(printf '\200')"; } | LC_ALL=C ends 1 'not UTF-8' "$post" C1
ends 1 '/no/such/file: No such file' "$post" -f /no/such/file C1
ends 1 'not a regular file' "$post" -f "$dir" C1
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong "$post" C1 <"$0"
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong "$post" -f "$0" C1

# pages: three of them, the first at a rate limit, by a token that may not open RTM; nothing in them
# steers the terminal
awk 'BEGIN { for (i = 1; i <= 250; i++) printf "message %d %3980s\n", i, "." }' |
    "$post" C7 >"$dir/out" || fail 'post of 250 messages'
ts=$(printf 'red: \033[31m' | "$post" C7)
echo '/fail not_allowed_token_type' >&3
echo '/ratelimit conversations.history 1' >&3
sees '/ratelimit: conversations.history'
TZ=UTC0 "$build/pages" C7 >"$dir/out" 2>&1 || fail 'pages'
sees 'conversations.history: ratelimited for 1 s'
sees 'rtm.connect: not_allowed_token_type'
[ "$(sed -n 1p "$dir/out")" = \
    "$(date -u -d "@${ts%.*}" '+%Y-%m-%d %H:%M:%S') sandbox-bot: red: ?[31m" ] ||
    fail 'pages: the newest message'
awk 'BEGIN { for (i = 250; i; i--) print "sandbox-bot: message", i }' >"$dir/wanted"
sed -n 's/.*\(sandbox-bot: message [0-9]*\) .*/\1/p' "$dir/out" | cmp -s - "$dir/wanted" ||
    fail 'pages: all messages, the newest first'
ends 2 'usage: pages' "$build/pages"
ends 1 'channel_not_found' "$build/pages" ''

# commands: who may, an answer in the acknowledgement, one that comes later, a button
start
SLACK_APP_TOKEN=xapp-sandbox ALLOWED_USERS=U1,U0HUMAN "$build/commands" >"$dir/out" 2>&1 &
bot=$!
printf '%s\n' /wait '/slash /unknown' '/slash /load' '/slash /backup' '/click backup' >&3
sees 'acknowledged /unknown'
sees 'answers /load (for you alone): [blocks] load *'
sees 'answers /backup (for you alone): backing up ...'
sees 'answers backup (for you alone): one is under way'
sees 'answers /backup (for you alone): backed up'
kill $bot; bot=
start
printf '%s\n' '/http 500' '/link on' >&3
sees '/link: Socket Mode is on'
SLACK_APP_TOKEN=xapp-sandbox ALLOWED_USERS="U0HUMA U0HUMANS" "$build/commands" >"$dir/out" 2>&1 &
bot=$!
printf '%s\n' /wait '/slash /load' '/click backup' >&3
sees 'answers /load (for you alone): this is not for you'
sees 'answers backup (for you alone): this is not for you'
grep -q 'HTTP status 500' "$dir/out" || fail 'commands tells of an attempt that failed'
kill $bot; bot=
ends 1 'app_token' env SLACK_APP_TOKEN="" "$build/commands"

# quick_start: says what is wrong, and answers in both worlds
start
ends 1 'token: it is empty' env SLACK_API_TOKEN="" "$build/quick_start"
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong "$build/quick_start"
printf '%s\n' '/fail invalid_auth' '/link on' >&3
sees '/link: Socket Mode is on'
ends 1 'invalid_auth: check the token' env SLACK_APP_TOKEN=xapp-refused "$build/quick_start"
ends 1 "this is a bot's" env SLACK_APP_TOKEN=xoxb-sandbox "$build/quick_start"
for app in '' xapp-sandbox; do
    start
    if [ "$app" ]; then export SLACK_APP_TOKEN=$app; fi
    "$build/quick_start" >"$dir/out" 2>&1 &
    bot=$!
    printf '%s\n' /wait ping '/expect pong' >&3
    sees '/expect pong: seen'
    kill $bot; bot=
done
stop

# echo_bot in both worlds; a refresh is no end to it
unset SLACK_APP_TOKEN SLACK_API_URL
sh examples/demo.sh "$build" >"$dir/out" 2>&1 || fail 'the demo'
[ "$(grep -c 'connected, in Socket Mode' "$dir/out")" = 1 ] || fail 'a refresh ends no session'
echo 'PASS examples: post, pages, commands, quick_start, echo_bot'
