#!/bin/sh
# rtm.h and its sandbox against programs for Node.js and Go, which share no code with them.
#   bot     echo_bot against server.js: Node's https and the npm package ws; TLS 1.2, with an ECDSA
#           and with an RSA certificate
#   bodies  bodies.c against bodies.js: every form of an HTTP response, a body of 100 MB
#   calls   calls.c and calls.js (@slack/web-api 7 and 8) make the calls of calls.txt to the
#           sandbox: all receive the same, and the sandbox logs the same for all. Headers may
#           differ: they are listed
#   downloads  downloads.c, Node's https and fetch, and examples/download.c save files from the
#           sandbox, of 0 bytes, 1 byte, up to 20 MB. All copies equal the file; without the right
#           token the sandbox sends a login page, and all distinguish it from the file
#   socket  socket_mode.c against socket_mode.mjs: what Slack may send in Socket Mode, and how
#           sessions end; echo_bot against echo_bot.mjs: no message is missed across refreshes
#   peers   Slack's own libraries (also filesUploadV2, of web-api 7 and 8) and slack-go against the
#           sandbox: all that they do works as with Slack
#   compare rtm.h and these libraries under the same failures: the table in tests/bench/README.md
set -eu
here=$(dirname "$0") build=build out=build/interop
mkdir -p $out
cp "$here"/*.js "$here"/*.mjs "$here"/listen/*.mjs "$here/calls.txt" $out/
# The current versions of Slack's libraries need Node 20.
if [ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ]; then mode=3 bolt=5
else mode=2 bolt=4; fi
ls $out/node_modules/@slack/bolt $out/node_modules/@slack/rtm-api \
    $out/node_modules/web-api-8 >/dev/null 2>&1 ||
    (cd $out && npm install --silent --no-save --no-audit --no-fund --prefix . ws@8 \
        @slack/web-api@7 web-api-8@npm:@slack/web-api@8 @slack/rtm-api@7 \
        @slack/socket-mode@$mode @slack/bolt@$bolt)
# web-api 8 asks for Node 20 too, but works with any Node that has fetch.
if [ "$(node -p 'typeof fetch')" = function ]; then newer=node_8 web_api_8=web-api-8
else
    newer='' web_api_8=''
    echo "interop: @slack/web-api 8: skipped: it needs fetch, Node $(node --version) has none"
fi
for program in slack_go listen; do
    (cd "$here/$program" && GO111MODULE=off GOFLAGS='' GOPATH=/usr/share/gocode \
        GOCACHE="$OLDPWD/$out/gocache" go build -o "$OLDPWD/$out/$program.go" main.go)
done
${CC:-cc} -std=c99 -O2 -I. "$here/listen/listen.c" -o $out/listen -lbearssl

unset HTTPS_PROXY https_proxy HTTP_PROXY http_proxy
export SSL_CERT_FILE=$build/certs/ca.pem NODE_EXTRA_CA_CERTS=$build/certs/ca.pem
export SLACK_API_TOKEN=xoxb-interop
dir=$(mktemp -d) server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || :; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP

fail() { echo "interop: FAILED: $*"; exit 1; }

start() { # LOG PROGRAM ARGUMENT...: what writes its port into $dir/port; sets $server and $port
    log=$1
    shift
    rm -f "$dir/port" "$dir/$log"
    "$@" >>"$dir/$log" &
    server=$!
    n=0
    while [ ! -s "$dir/port" ] && [ $n -lt 100 ]; do n=$((n + 1)); sleep 0.1; done
    [ -s "$dir/port" ] || fail "$2 does not start"
    port=$(cat "$dir/port")
}

start_node() { # LOG SCRIPT CERTIFICATE
    start "$1" node $out/"$2" "$dir/port" $build/certs/"$3".pem $build/certs/"$3".key
}

stop() {
    kill $server
    wait $server 2>/dev/null || :
    server=
}

talk_to_bot() { # CERTIFICATE
    start_node log server.js "$1"
    SLACK_API_URL="https://localhost:$port/api/" $build/echo_bot >"$dir/bot" &
    bot=$!
    n=0
    while ! grep -q 'ready to stop' "$dir/log" && kill -0 $server 2>/dev/null && [ $n -lt 250 ]; do
        n=$((n + 1)); sleep 0.1
    done
    kill $bot
    status=0
    wait $bot || status=$?
    wait $server || status=1
    server=
    cat "$dir/bot"
    grep -v 'ready to stop' "$dir/log"
    [ $status = 0 ] || fail "with $1.pem"
    echo "interop: $1.pem: passed"
}

call() { # CLIENT FILE
    case $1 in
    node*)
        web_api=@slack/web-api
        [ "$1" = node ] || web_api=$web_api_8
        node $out/calls.js "$2" "https://localhost:$port/api/" $SLACK_API_TOKEN "$web_api" ;;
    *) SLACK_API_URL="https://localhost:$port/api/" $out/calls "$2" "$1" ;;
    esac
}

same() { # WHAT CLIENT FILE FILE
    diff "$3" "$4" || fail "$1: Node (<) and $2 (>) differ"
}

# What the sandbox printed and logged, less what is of each run its own: times, and the session that
# rtm_poll opens too.
told() { # CLIENT
    sed -E '/listening on|rtm\.connect|bot (dis)?connected/d
        s/[0-9]{10}\.[0-9]{6}/TS/g; s/limited for [0-9]+ s/limited/' "$dir/$1.said" "$dir/$1.log"
}

compare_calls() {
    # Long enough for a Node that starts slowly; the calls wait for as long as is left of it.
    echo '/ratelimit chat.update 4' >"$dir/script"
    for client in node $newer submit perform; do
        start "$client.said" $build/sandbox --port 0 --port-file "$dir/port" \
            --cert $build/certs/server.pem --key $build/certs/server.key \
            --script "$dir/script" --log "$dir/$client.log"
        call "$client" $out/calls.txt >"$dir/$client" || fail "calls by $client"
        stop
        told "$client" >"$dir/$client.told"
    done
    for client in $newer submit perform; do
        same "the answers" "$client" "$dir/node" "$dir/$client"
        same "what the sandbox says" "$client" "$dir/node.told" "$dir/$client.told"
    done
    [ "$(grep -c '^[^ ]* ok$' "$dir/node")" -ge 20 ] || fail "fewer than twenty calls were good"
    grep -q 'chat.update: ratelimited' "$dir/node.told" || fail "no call met the rate limit"
    echo "interop: $(grep -c '^[a-z$].* [a-z_]*$' "$dir/node") calls:" \
        "Node${newer:+ (web-api 7, 8)}, rtm_submit and rtm_perform hear the same," \
        "and the sandbox says the same of them"
}

list_headers() {
    printf 'api.test\n  plain=a\nend\n' >"$dir/one"
    start_node headers bodies.js server
    for client in node submit; do
        call $client "$dir/one" >/dev/null
        sed "s/:$port\$//" "$dir/headers" | sort >"$dir/$client.headers"
        : >"$dir/headers"
    done
    stop
    echo "interop: headers that differ between Node (<) and rtm.h (>):"
    diff "$dir/node.headers" "$dir/submit.headers" | grep '^[<>]' || :
}

talk_to_bot server
talk_to_bot server-rsa
start_node bodies bodies.js server
for how in submit perform; do
    $out/bodies "https://localhost:$port/" $how || fail "bodies by rtm_$how"
done
stop
list_headers
compare_calls
pair="$build/certs/server-rsa.pem $build/certs/server-rsa.key"
# shellcheck disable=SC2086 # two words
{
    node $out/socket_mode.mjs $pair $out/socket_mode || fail "Socket Mode"
    node $out/echo_bot.mjs $pair $build/echo_bot || fail "Socket Mode of echo_bot"
    mkdir "$dir/files"
    node $out/downloads.mjs $pair $build/sandbox $out/downloads $build/download "$dir/files" ||
        fail "downloads"
    node $out/sandbox_peers.mjs $pair $build/sandbox @slack/web-api $web_api_8 ||
        fail "the sandbox and Slack's libraries"
    $out/slack_go.go $pair $build/sandbox || fail "the sandbox and slack-go"
    python3 "$here/compare.py" $build || fail "rtm.h beside other clients"
}
