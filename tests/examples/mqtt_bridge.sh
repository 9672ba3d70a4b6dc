# mqtt_bridge: both ways, in both worlds, with what must be escaped; nothing goes round in a circle,
# and nothing is lost while Slack or the broker is away
# Debian's package would start a broker on this machine, for good: where it is not installed, the
# programs in it are run from a folder.
if [ ! -x /usr/sbin/mosquitto ] && command -v dpkg >/dev/null; then
    if [ ! -x build/mosquitto/usr/sbin/mosquitto ]; then
        . tests/foreign.sh
        own=$(dpkg --print-architecture)
        private build/mosquitto "$own" deb update
        private build/mosquitto "$own" deb download mosquitto libdlt2 libwrap0 libcap2 libcjson1
        for package in build/mosquitto/*.deb; do dpkg -x "$package" build/mosquitto; done
    fi
    PATH=$PWD/build/mosquitto/usr/sbin:$PWD/build/mosquitto/usr/bin:$PATH
    LD_LIBRARY_PATH=$(echo "$PWD"/build/mosquitto/usr/lib/*-linux-gnu*)
    export LD_LIBRARY_PATH
fi
PATH=$PATH:/usr/sbin
broker='' listener='' tls=''
trap 'for p in $sandbox $bot $broker $listener; do kill "$p" 2>/dev/null || :; done
    rm -rf "$dir"' EXIT
port=$(python3 -c 'import socket; s = socket.create_server(("", 0)); print(s.getsockname()[1])')
mkdir "$dir/kept"
printf '%s\n' "listener $port 127.0.0.1" 'persistence true' "persistence_location $dir/kept/" \
    'allow_anonymous false' "password_file $dir/passwords" "user $(id -un)" >"$dir/conf"
mosquitto_passwd -b -c "$dir/passwords" user secret 2>/dev/null
chmod 600 "$dir/passwords"
listens() { # until the broker takes connections
    n=0
    until mosquitto_pub $tls -p "$port" -u user -P secret -t up -m 1 2>/dev/null; do
        n=$((n + 1))
        [ $n -lt 50 ] || fail "mosquitto: $(tail -n 3 "$dir/broker")"
        sleep 0.1
    done
}
broker() { # starts
    mosquitto -c "$dir/conf" >>"$dir/broker" 2>&1 &
    broker=$!
    listens
}
away() { kill "$broker"; wait "$broker" || :; broker=; }
publish() { mosquitto_pub $tls -p "$port" -u user -P secret -q 1 "$@" || fail "mosquitto_pub $*"; }
broker
# It comes back by itself, as the bridge does, and the broker remembers it.
mosquitto_sub -p "$port" -u user -P secret -i listener -c -q 1 -t said >>"$dir/said" 2>&1 &
listener=$!
export MQTT_HOST=localhost MQTT_PORT="$port" MQTT_USER=user MQTT_PASSWORD=secret
publish -r -t alarm/old -m retained
for app in '' xapp-sandbox; do
    start
    if [ "$app" ]; then export SLACK_APP_TOKEN=$app; fi
    : >"$dir/said"
    "$build/mqtt_bridge" C0SANDBOX 'alarm/#' said >"$dir/out" 2>&1 &
    bot=$!
    printf '%s\n' /wait 'first & <b> é' 'a &amp;lt; &lt;b&gt; &amp &quot;' >&3
    said said 'first & <b> é'
    said said 'a &lt; <b> &amp &quot;'
    publish -t alarm/door -m '1 & 2 < 3 é'
    sees 'posted: alarm/door: 1 &amp; 2 &lt; 3 é'
    publish -t other -m elsewhere
    printf '\377' | publish -t alarm/bytes -s
    publish -t alarm/long -m "$(repeat 4000 x)"
    prints 'not valid UTF-8'
    prints 'too long'
    printf '%s\n' '/ratelimit chat.postMessage 1' >&3 # they wait, in their order
    sees '/ratelimit: chat.postMessage'
    seq 100 | sed 's/.*/number &./' | publish -t alarm/many -l
    sees 'posted: alarm/many: number 100.'
    grep -o 'number [0-9]*' "$dir/sandbox" >"$dir/order"
    seq 100 | sed 's/.*/number &/' | cmp -s - "$dir/order" || fail 'mqtt_bridge: the order'

    # the broker is away, and then back
    away
    printf 'nobody listens\n' >&3
    sees 'human   | nobody listens'
    broker
    said said 'nobody listens'
    publish -t alarm/door -m 'after the broker'
    sees 'posted: alarm/door: after the broker'

    # Slack is away: the broker keeps what comes
    printf '%s\n' '/refuse 503 1' /drop >&3
    prints 'HTTP 503'
    publish -t alarm/door -m 'after the drop'
    sleep 2 # until the next attempt
    sees 'posted: alarm/door: after the drop'
    awk '/connection cut/ { away = 1 } /bot connected/ { away = 0 } away && /posted/ { exit 1 }' \
        "$dir/sandbox" || fail 'mqtt_bridge: it is read while Slack is away'

    # the Web API alone fails: once more
    printf '%s\n' '/http 500' 'it fails' >&3
    said said 'it fails'
    publish -t alarm/door -m 'after the failure'
    prints 'HTTP 500'
    sleep 2 # the example's pause
    sees 'posted: alarm/door: after the failure'

    kill $bot
    wait $bot || fail "mqtt_bridge ends with $?"
    bot=
    grep -q 'retained\|elsewhere' "$dir/sandbox" && fail 'mqtt_bridge: what is not for Slack'
    [ "$(wc -l <"$dir/said")" = 4 ] || fail 'mqtt_bridge: each once, and no circle'
done
publish -t alarm/door -m 'before the start' # it has subscribed: the broker remembers
start
unset SLACK_APP_TOKEN
"$build/mqtt_bridge" C0SANDBOX 'alarm/#' said >"$dir/out" 2>&1 &
bot=$!
sees 'posted: alarm/door: before the start'
kill $bot
wait $bot || fail "mqtt_bridge ends with $?"
bot=
MQTT_HOST='' "$build/mqtt_bridge" C0SANDBOX 'alarm/#' said >"$dir/out" 2>&1 &
bot=$!
prints 'no broker at MQTT_HOST'
kill $bot
wait $bot || fail "mqtt_bridge ends with $?"
MQTT_PASSWORD=wrong "$build/mqtt_bridge" C0SANDBOX 'alarm/#' said >"$dir/out" 2>&1 &
bot=$!
prints 'Connection Refused'
kill $bot
wait $bot || fail "mqtt_bridge ends with $?"
bot=
ends 2 'usage: mqtt_bridge' "$build/mqtt_bridge" C1 'alarm/#'
ends 2 'usage: mqtt_bridge' "$build/mqtt_bridge" C1 'alarm/#' alarm/said
ends 1 'token is empty' env SLACK_API_TOKEN= "$build/mqtt_bridge" C1 a b
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong "$build/mqtt_bridge" C1 a b
kill $listener
away

# TLS: a handshake that does not come about is given up, and begun anew
start
timeout 30 python3 -c 'import socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
c = s.accept()[0]
while c.recv(4096): pass' "$port" >"$dir/cut" &
listener=$!
said cut listening
MQTT_CA="$build/certs/ca.pem" "$build/mqtt_bridge" C0SANDBOX 'alarm/#' said >"$dir/out" 2>&1 &
bot=$!
wait $listener || fail 'mqtt_bridge: the handshake is not given up'
cp "$build/certs/server.pem" "$build/certs/server.key" "$dir"
printf '%s\n' "certfile $dir/server.pem" "keyfile $dir/server.key" >>"$dir/conf"
tls="--cafile $build/certs/ca.pem -h localhost"
: >"$dir/broker"
broker
said broker 'as C0SANDBOX'
publish -t alarm/door -m 'over TLS'
sees 'posted: alarm/door: over TLS'
kill $bot
wait $bot || fail "mqtt_bridge ends with $?"
bot=
ends 1 'MQTT_CA?' env MQTT_CA=/no/such/file "$build/mqtt_bridge" C1 a b
away
unset LD_LIBRARY_PATH
