#!/bin/sh
# Each example against the sandbox: what it prints, what the sandbox sees, how it ends.
set -eu
build=$1
dir=$(mktemp -d)
sandbox=
trap '[ -z "$sandbox" ] || kill "$sandbox" 2>/dev/null || :; rm -rf "$dir"' EXIT
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
    export SLACK_API_URL="https://localhost:$(cat "$dir/port")/api/"
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
: >"$dir/out"

# post: a text, an answer in its thread, a long text, a file, and what is refused
start
echo 'up 3 days & <well>' | "$build/post" '#ops' >"$dir/out" || fail 'post'
sees 'posted: up 3 days &amp; &lt;well&gt;\n'
echo below | "$build/post" -t "$(cat "$dir/out")" '#ops' >"$dir/out2" || fail 'post -t'
sees "posted in thread $(cat "$dir/out"): below"
awk 'BEGIN { for (i = 1; i <= 1000; i++) print "line " i }' | "$build/post" '#long' >"$dir/out" ||
    fail 'post of a long text'
[ "$(wc -l <"$dir/out")" = 3 ] || fail 'a long text becomes three messages'
head -c 3000000 /dev/zero >"$dir/file"
"$build/post" -f "$dir/file" C0SANDBOX >"$dir/out" 2>&1 || fail 'post -f'
sees 'uploaded file: 3000000 bytes'
sees 'shared the file file'
! SLACK_API_TOKEN=wrong "$build/post" '#ops' </etc/passwd >"$dir/out" 2>&1 || fail 'a wrong token'
grep -q 'invalid_auth: check the token' "$dir/out" || fail 'post says what is wrong'
! "$build/post" -f /no/such/file C1 >"$dir/out" 2>&1 || fail 'a file that is not there'

# pages: seven messages, three at a time, and a rate limit in between
i=0
while [ $((i += 1)) -le 7 ]; do echo "message $i" | "$build/post" C7 >/dev/null; done
echo '/ratelimit conversations.history 1' >&3
sees '/ratelimit: conversations.history'
PAGE=3 "$build/pages" C7 >"$dir/out" 2>&1 || fail 'pages'
[ "$(sed 's/.*: //' "$dir/out" | tr -d '\n')" = \
    "$(echo '7 6 5 4 3 2 1' | sed 's/[0-9]/message &/g; s/ \(m\)/\1/g')" ] || fail 'the pages'
! "$build/pages" '' >"$dir/out" 2>&1 || fail 'pages of no channel'
grep -q 'channel_not_found' "$dir/out" || fail 'pages says what is wrong'

# commands: who may, an answer in the acknowledgement, one that comes later, a button
start
SLACK_APP_TOKEN=xapp-sandbox ALLOWED_USERS=U1,U0HUMAN "$build/commands" >"$dir/out" 2>&1 &
bot=$!
printf '%s\n' /wait '/slash /load' '/slash /backup' '/click backup' >&3
sees 'answers /load (for you alone): [blocks] load *'
sees 'answers /backup (for you alone): backing up ...'
sees 'answers backup (for you alone): one is under way'
sees 'answers /backup (for you alone): backed up'
kill $bot
start
SLACK_APP_TOKEN=xapp-sandbox ALLOWED_USERS=U1 "$build/commands" >"$dir/out" 2>&1 &
bot=$!
printf '%s\n' /wait '/slash /load' >&3
sees 'answers /load (for you alone): this is not for you'
kill $bot

# quick_start: says what is wrong, and answers in both worlds
! SLACK_API_TOKEN= "$build/quick_start" >"$dir/out" 2>&1 || fail 'no token'
grep -q 'token: it is empty' "$dir/out" || fail 'quick_start says that there is no token'
for app in '' xapp-sandbox; do
    start
    if [ "$app" ]; then export SLACK_APP_TOKEN=$app; fi
    "$build/quick_start" >"$dir/out" 2>&1 &
    bot=$!
    printf '%s\n' /wait ping '/expect pong' >&3
    sees '/expect pong: seen'
    kill $bot
done
stop
echo 'PASS examples: post, pages, commands, quick_start'
