#!/bin/sh
# Builds the tests for a 32-bit and for a big-endian machine with Debian's cross compilers, runs them
# under qemu-user, and runs the demo's bot as a static musl program: sh tests/cross.sh
# The sandbox itself stays native: it is the peer, not what is tested.
set -eu
machines="arm-linux-gnueabihf:armhf:arm s390x-linux-gnu:s390x:s390x"
programs="json http ws session reconnect webapi requests socket_mode handover order sandbox proxy
    faults json_peer"
export FAULTS_FEW=1
out=build/cross

mkdir -p $out/include
. tests/foreign.sh

# Unpacks cmocka's package for an architecture.
cmocka() { # ARCHITECTURE
    [ ! -e "$out/root-$1/fetched" ] || return 0
    private "$out/root-$1" "$1" deb update
    private "$out/root-$1" "$1" deb download libcmocka-dev libcmocka0
    for package in "$out/root-$1"/*.deb; do dpkg -x "$package" "$out/root-$1"; done
    touch "$out/root-$1/fetched"
}

# The headers that are the same for every machine, without the native C library's.
for header in jsmn.h cmocka.h; do ln -sfn /usr/include/$header $out/include/$header; done
include="-I. -I$out/include -Ibuild/bearssl/bearssl-0.6/inc"
coverage() { [ "$1" != requests ] || echo -fsanitize-coverage=trace-pc; } # it counts blocks
warn="-Wall -Wextra -Wpedantic -Wconversion -Wshadow"
for machine in $machines; do
    gcc=${machine%%:*} rest=${machine#*:}
    architecture=${rest%%:*} qemu=qemu-${rest##*:}
    runners=
    cmocka "$architecture"
    bearssl "$architecture" "$gcc-gcc" "$gcc-ar"
    libraries=$PWD/$out/root-$architecture/usr/lib/$gcc
    for program in $programs; do
        # shellcheck disable=SC2086 # a list of words
        "$gcc-gcc" -std=c99 $warn -O1 -g $include $(coverage $program) tests/$program.c \
            -o $out/$program.$architecture -L"$libraries" -lcmocka "$bearssl/libbearssl.a"
        printf '#!/bin/sh\nexec %s -L %s -E LD_LIBRARY_PATH=%s %s "$@"\n' $qemu "/usr/$gcc" \
            "$libraries" $out/$program.$architecture >$out/$architecture-$program
        chmod +x $out/$architecture-$program
        [ $program = json_peer ] || runners="$runners $out/$architecture-$program"
    done
    # shellcheck disable=SC2086 # a list of words
    sh tests/run.sh $runners
    python3 tests/json_peer.py $out/$architecture-json_peer
    echo "PASS $architecture"
done

# The instructions of one more of what PROGRAM does: from two runs, COUNT of it being LESS and MORE.
count() { # LESS MORE PROGRAM ARGUMENT...
    less=$1 more=$2
    shift 2
    for n in $less $more; do
        # shellcheck disable=SC2046 # words
        SSL_CERT_FILE=build/certs/ca.pem qemu-arm -plugin $out/count.so \
            $(echo "$@" | sed "s/COUNT/$n/") 2>&1 >/dev/null | sed -n 's/^executed //p'
    done | awk -v n=$((more - less)) 'NR == 1 { first = $1 } END { printf "%.0f", ($1 - first) / n }'
}
cc -shared -fPIC tests/qemu_count.c -o $out/count.so
cc -std=c99 -O2 -I. tests/bench/server.c -o $out/server -lssl -lcrypto -lpthread
bearssl armhf arm-linux-gnueabihf-gcc arm-linux-gnueabihf-ar
for program in handshake rtmh; do
    # shellcheck disable=SC2086 # a list of words
    arm-linux-gnueabihf-gcc -std=c99 -Os -static $include tests/bench/$program.c \
        -o $out/$program.armhf "$bearssl/libbearssl.a" 2>/dev/null
done
mkdir -p $out/certs # RSA and AES-GCM, as Slack has them
for end in pem key; do ln -sf "$PWD/build/certs/server-rsa.$end" $out/certs/server.$end; done
rm -f $out/port
$out/server $out/certs $out/port >$out/server.log &
server=$!
trap 'kill $server 2>/dev/null || :' EXIT
n=0
while [ ! -s $out/port ] && [ $n -lt 100 ]; do n=$((n + 1)); sleep 0.1; done
port=$(cat $out/port)
echo "armhf, -Os, ECDHE-RSA with AES-GCM: instructions of"
for kind in full resumed; do
    printf '  %-24s %10s\n' "a $kind TLS handshake" \
        "$(count 1 6 $out/handshake.armhf "$port" build/certs/ca.pem COUNT $kind)"
done
printf '  %-24s %10s\n' "an event of 430 bytes" "$(count 1000 5000 $out/rtmh.armhf \
    "base=https://localhost:$port/mode=flood,n=COUNT,tag=a/api/" ca=build/certs/ca.pem)"
kill $server
trap - EXIT

# The demo's bot against musl.
bearssl musl musl-gcc ar
mkdir -p $out/musl
# shellcheck disable=SC2086 # a list of words
musl-gcc -std=c99 -Wall -Wextra -Os -static -ffunction-sections -Wl,--gc-sections $include \
    examples/echo_bot.c -o $out/musl/echo_bot "$bearssl/libbearssl.a"
ln -sfn ../../sandbox $out/musl/sandbox
ln -sfn ../../certs $out/musl/certs
sh examples/demo.sh $out/musl >$out/musl/log || { cat $out/musl/log; exit 1; }
echo "PASS the demo with a static musl bot of $(wc -c <$out/musl/echo_bot) bytes"
