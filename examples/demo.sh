#!/bin/sh
# Runs echo_bot against the sandbox, in Socket Mode and then over RTM, and shows what is said:
# sh examples/demo.sh [--verbose] BUILD
# --verbose: all that the two programs print. BOT may hold a command to run the bot under, such as
# valgrind.
set -eu
verbose=
[ "$1" != --verbose ] || { verbose=1; shift; }
build=$1 here=$(dirname "$0")
dir=$(mktemp -d)
sandbox=
trap '[ -z "$sandbox" ] || kill "$sandbox" 2>/dev/null || :; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP
unset HTTPS_PROXY https_proxy HTTP_PROXY http_proxy SLACK_APP_TOKEN
export SLACK_API_TOKEN=xoxb-sandbox SSL_CERT_FILE="$build/certs/ca.pem"

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') blue=$(printf '\033[36m') green=$(printf '\033[32m')
    yellow=$(printf '\033[33m') plain=$(printf '\033[0m')
else
    bold='' blue='' green='' yellow='' plain=''
fi

# Of the sandbox's lines, "ACTOR | TEXT": the notes of the script, what people and the bot say, and
# what becomes of the connection.
show() {
    while IFS= read -r line; do
        text=${line#*| }
        case $line in
        note*) printf '\n%s%s%s\n' "$bold" "$text" "$plain" ;;
        'human   | stop' | bot*acknowledged* | bot*'is typing') ;;
        human*) printf '%shuman |%s %s\n' "$blue" "$plain" "$text" ;;
        bot*) printf '%sbot   |%s %s\n' "$green" "$plain" "${text#posted: }" ;;
        *'bot connected'* | *'connection cut' | *'disconnect: '*)
            printf '%sslack |%s %s\n' "$yellow" "$plain" "${text#/drop: }" ;;
        esac
    done
}

run_bot() {
    # shellcheck disable=SC2086 # BOT is a list of words
    SLACK_API_URL="https://localhost:$(cat "$dir/port")/api/" ${BOT:-} "$build/echo_bot"
}

converse() { # SCRIPT
    rm -f "$dir/port" "$dir/lines"
    mkfifo "$dir/lines"
    if [ "$verbose" ]; then cat "$dir/lines" & else show <"$dir/lines" & fi
    shown=$!
    "$build/sandbox" --port 0 --port-file "$dir/port" --script "$here/$1" \
        --cert "$build/certs/server.pem" --key "$build/certs/server.key" >"$dir/lines" &
    sandbox=$!
    n=0
    while [ ! -s "$dir/port" ] && [ $n -lt 100 ] && kill -0 $sandbox 2>/dev/null; do
        n=$((n + 1))
        sleep 0.1
    done
    [ -s "$dir/port" ] || { echo "demo: the sandbox does not start" >&2; exit 1; }

    if [ "$verbose" ]; then run_bot; else run_bot >"$dir/bot" || { cat "$dir/bot"; exit 1; }; fi

    kill -0 $sandbox 2>/dev/null || { wait $sandbox || exit 1; }
    kill $sandbox
    wait $sandbox
    sandbox=
    wait $shown
}

SLACK_APP_TOKEN=xapp-sandbox
export SLACK_APP_TOKEN
converse demo-socket-mode.script
unset SLACK_APP_TOKEN
converse demo-rtm.script
echo
if [ "$verbose" ]; then echo 'demo: done'
else echo 'demo: done (make demo VERBOSE=1 also shows calls and acknowledgements)'; fi
