# mqtt_bridge: what is published is posted, in order, with what must be escaped; nothing that it has
# taken is lost while Slack is away, or when it is stopped; a broker that is away is reported
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
printf '%s\n' "listener $port 127.0.0.1" 'max_queued_messages 0' 'allow_anonymous false' \
    "password_file $dir/passwords" "acl_file $dir/acl" "user $(id -un)" >"$dir/conf"
printf '%s\n' 'user user' 'topic readwrite #' >"$dir/acl"
mosquitto_passwd -b -c "$dir/passwords" user secret 2>/dev/null
chmod 600 "$dir/passwords" "$dir/acl"
listens() { # until the broker takes connections
    n=0
    # shellcheck disable=SC2086 # $tls is options
    until mosquitto_pub $tls -p "$port" -u user -P secret -t up -m 1 2>/dev/null; do
        n=$((n + 1))
        [ $n -lt 300 ] || fail "mosquitto: $(tail -n 3 "$dir/broker")"
        sleep 0.1
    done
}
broker() { # starts
    mosquitto -c "$dir/conf" >>"$dir/broker" 2>&1 &
    broker=$!
    listens
}
away() { kill "$broker"; wait "$broker" || :; broker=; }
# shellcheck disable=SC2086
publish() { mosquitto_pub $tls -p "$port" -u user -P secret -q 1 "$@" || fail "mosquitto_pub $*"; }
bridge() { # [TOPIC]: starts it, and waits until it has subscribed
    begin "$build/mqtt_bridge" C0SANDBOX "${1:-alarm/#}"
    prints 'connected to the broker'
}
leave() { # [CODE]: a signal ends it so
    kill $bot
    code=0
    wait $bot || code=$?
    [ $code = "${1:-0}" ] || fail "mqtt_bridge ends with $code"
    bot=
}
posts() { # TEXT COUNT: "TEXT 1" to "TEXT COUNT" were posted, in order, each once
    sees "posted: alarm/many: $1 $2."
    grep -o "posted: alarm/many: $1 [0-9]*" "$dir/sandbox" | sed 's/.* //' >"$dir/order"
    seq "$2" | cmp -s - "$dir/order" || fail "mqtt_bridge: the order of $1"
}
broker
export MQTT_HOST=localhost MQTT_PORT="$port" MQTT_USER=user MQTT_PASSWORD=secret
publish -r -t alarm/old -m retained
bridge
publish -t alarm/door -m '1 & 2 <!channel> "3" é'
sees 'posted: alarm/door: 1 &amp; 2 &lt;!channel&gt; "3" é'
publish -t other -m elsewhere
printf 'a\377b' | publish -t alarm/bytes -s
sees 'posted: alarm/bytes: a�b'
printf 'a\000b\033' | publish -t alarm/bytes -s
sees 'posted: alarm/bytes: a?b'
publish -t alarm/none -n
sees 'posted: alarm/none: '
publish -t alarm/long -m "$(repeat 3998 x)ééé"
sees 'é ... (truncated)'
publish -t "alarm/$(repeat 5000 t)" -m topic
sees 'ttt: topic ... (truncated)'
does '/ratelimit 1' # the next call is chat.postMessage; they wait, in their order
seq 100 | sed 's/.*/number &./' | publish -t alarm/many -l
posts number 100
sees 'chat.postMessage: ratelimited'

# Slack is away for a while: what was published is posted after it. An error of Slack's own and a
# page that is not JSON lose nothing.
does '/fail chat.postMessage internal_error 1'
publish -t alarm/door -m 'in spite of an error'
prints 'internal_error'
sees 'posted: alarm/door: in spite of an error'
does '/http 200 1'
publish -t alarm/door -m 'in spite of a page'
prints 'chat.postMessage: ' 2
sees 'posted: alarm/door: in spite of a page'
does '/http 500 1'
seq 500 | sed 's/.*/away &./' | publish -t alarm/many -l
prints 'HTTP 500'
posts away 500
does '/fail chat.postMessage strange_error 10'
publish -t alarm/door -m 'refused for ever'
publish -t alarm/door -m 'not held up'
sees 'posted: alarm/door: not held up'
prints 'this message is dropped'

# More than it keeps: it says so, and what it has kept is posted.
does '/http 500 1000'
seq 1200 | sed 's/.*/flood &./' | publish -t alarm/many -l
prints 'the queue is full'
does '/http 500 1'
total=0 n=0
until [ $total = 1200 ]; do # posted or dropped
    total=$(sed -n 's/.*posted: alarm.many: flood .*/1/p; s/.*posted: (\([0-9]*\) mess.*/\1/p' \
        "$dir/sandbox" | awk '{ sum += $1 } END { print sum + 0 }')
    n=$((n + 1))
    [ $n -lt 300 ] || fail "mqtt_bridge: $total of 1200 messages are accounted for"
    sleep 0.1
done
grep -o 'posted: alarm/many: flood [0-9]*' "$dir/sandbox" | sed 's/.* //' >"$dir/order"
head -n 1000 "$dir/order" >"$dir/first"
seq 1000 | cmp -s - "$dir/first" || fail 'mqtt_bridge: the order of what it has kept'

# The broker is away, and then back.
away
prints 'the connection to the broker has ended'
prints 'no connection to the broker'
broker
prints 'connected to the broker' 2
publish -t alarm/door -m 'after the broker'
sees 'posted: alarm/door: after the broker'

# Stopped: what it has taken is posted before it ends.
failures=$(grep -c 'HTTP 500' "$dir/out")
does '/http 500 1'
publish -t alarm/door -m 'last words'
prints 'HTTP 500' $((failures + 1))
leave
sees 'posted: alarm/door: last words'
if grep -q 'retained\|elsewhere\|refused for ever' "$dir/sandbox"; then
    fail 'mqtt_bridge: what is not for Slack'
fi

# Two run at a time, and a topic that was given up is not posted any more.
start
bridge 'alarm/#'
first=$bot
bridge 'open/#'
publish -t open/door -m both
publish -t alarm/door -m one
sees 'posted: open/door: both'
sees 'posted: alarm/door: one'
leave
kill $first
wait $first || fail "mqtt_bridge ends with $?"
[ "$(grep -c posted "$dir/sandbox")" = 2 ] || fail 'mqtt_bridge: each once'

# What a broker refuses, and one that never answers.
start
printf '%s\n' 'user user' 'topic write #' >"$dir/acl"
kill -HUP "$broker"
begin env MQTT_PASSWORD=wrong "$build/mqtt_bridge" C0SANDBOX 'alarm/#'
prints 'the broker refuses'
leave
away
begin "$build/mqtt_bridge" C0SANDBOX 'alarm/#'
prints 'no connection to the broker'
leave
printf '%s\n' 'user user' 'topic readwrite #' >"$dir/acl"
cat >"$dir/silent.py" <<'END'
import socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    c = s.accept()[0]
    while c.recv(4096): pass
    print("given up", flush=True)
END
for ca in '' "$build/certs/ca.pem"; do
    : >"$dir/cut"
    python3 "$dir/silent.py" "$port" >"$dir/cut" &
    listener=$!
    said cut listening
    begin env MQTT_CA="$ca" "$build/mqtt_bridge" C0SANDBOX 'alarm/#'
    prints 'no connection to the broker'
    said cut 'given up'
    leave
    kill $listener
    wait $listener || :
    listener=
done

# TLS
cp "$build/certs/server.pem" "$build/certs/server.key" "$dir"
printf '%s\n' "certfile $dir/server.pem" "keyfile $dir/server.key" >>"$dir/conf"
tls="--cafile $build/certs/ca.pem -h localhost"
broker
export MQTT_CA="$build/certs/ca.pem"
bridge
publish -t alarm/door -m 'over TLS'
sees 'posted: alarm/door: over TLS'
leave
ends 1 'MQTT_CA' env MQTT_CA=/no/such/file "$build/mqtt_bridge" C1 a
ends 1 'MQTT_HOST: not set' env MQTT_HOST= "$build/mqtt_bridge" C1 a
ends 1 'MQTT_PORT: not a port' env MQTT_PORT=1x "$build/mqtt_bridge" C1 a
for topic in '' 'a#' 'a/+b' "$(printf 'a\377')"; do
    ends 2 'usage: mqtt_bridge' "$build/mqtt_bridge" C1 "$topic"
done
ends 2 'usage: mqtt_bridge' "$build/mqtt_bridge" C1
ends 2 'usage: mqtt_bridge' "$build/mqtt_bridge" '' a
ends 2 'usage: mqtt_bridge' "$build/mqtt_bridge" "$(printf '\377')" a
ends 1 'token' env SLACK_API_TOKEN= "$build/mqtt_bridge" C1 a
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong "$build/mqtt_bridge" C1 a
does '/fail chat.postMessage channel_not_found 1'
bridge
publish -t alarm/door -m 'to no channel'
code=0
wait $bot || code=$?
bot=
[ $code = 1 ] || fail "mqtt_bridge ends with $code"
prints 'channel_not_found'
prints '1 messages were not posted'
away
unset LD_LIBRARY_PATH MQTT_CA MQTT_HOST MQTT_PORT MQTT_USER MQTT_PASSWORD
