#!/bin/sh
# Runs echo_bot against the sandbox, first over RTM, then the same binary in Socket Mode:
# sh examples/demo.sh BUILD
# BOT may hold a command to run the bot under, such as valgrind.
set -eu
build=$1 here=$(dirname "$0")
dir=$(mktemp -d)
sandbox=
trap '[ -z "$sandbox" ] || kill "$sandbox" 2>/dev/null || :; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP
unset HTTPS_PROXY https_proxy HTTP_PROXY http_proxy SLACK_APP_TOKEN
export SLACK_API_TOKEN=xoxb-sandbox SSL_CERT_FILE="$build/certs/ca.pem"

converse() { # SCRIPT
    rm -f "$dir/port"
    "$build/sandbox" --port 0 --port-file "$dir/port" --script "$here/$1" \
        --cert "$build/certs/server.pem" --key "$build/certs/server.key" &
    sandbox=$!
    n=0
    while [ ! -s "$dir/port" ] && [ $n -lt 100 ] && kill -0 $sandbox 2>/dev/null; do
        n=$((n + 1))
        sleep 0.1
    done
    [ -s "$dir/port" ] || { echo "demo: the sandbox does not start" >&2; exit 1; }

    # shellcheck disable=SC2086 # BOT is a list of words
    SLACK_API_URL="https://localhost:$(cat "$dir/port")/api/" ${BOT:-} "$build/echo_bot"

    kill -0 $sandbox 2>/dev/null || { wait $sandbox || exit 1; }
    kill $sandbox
    wait $sandbox
    sandbox=
}

converse demo-rtm.script
echo 'demo: the same again, in Socket Mode'
SLACK_APP_TOKEN=xapp-sandbox
export SLACK_APP_TOKEN
converse demo-socket-mode.script
echo 'demo: done'
