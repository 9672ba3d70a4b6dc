#!/bin/sh
# Runs echo_bot against server.js: Node's https and the npm package ws, which rtm.h shares no code
# with. TLS 1.2, with an ECDSA and with an RSA certificate.
set -eu
here=$(dirname "$0") build=build
for program in node npm; do
    command -v $program >/dev/null || {
        echo "interop: $program is missing; install it (Debian: apt install nodejs npm)" >&2
        exit 1
    }
done
mkdir -p $build/interop
cp "$here/server.js" $build/interop/
[ -d $build/interop/node_modules/ws ] ||
    (cd $build/interop && npm install --silent --no-save --prefix . ws@8)

dir=$(mktemp -d) server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || :; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP
for certificate in server server-rsa; do
    rm -f "$dir/port"
    node $build/interop/server.js "$dir/port" $build/certs/$certificate.pem \
        $build/certs/$certificate.key >"$dir/log" &
    server=$!
    n=0
    while [ ! -s "$dir/port" ] && [ $n -lt 100 ]; do n=$((n + 1)); sleep 0.1; done
    env -u HTTPS_PROXY -u https_proxy -u HTTP_PROXY -u http_proxy \
        SLACK_API_TOKEN=xoxb-interop SSL_CERT_FILE=$build/certs/ca.pem \
        SLACK_API_URL="https://localhost:$(cat "$dir/port")/api/" $build/echo_bot >"$dir/bot" &
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
    [ $status = 0 ] || { echo "interop: FAILED with $certificate.pem"; exit 1; }
    echo "interop: $certificate.pem: passed"
done
