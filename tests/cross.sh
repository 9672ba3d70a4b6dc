#!/bin/sh
# Builds the tests for a 32-bit and for a big-endian machine with Debian's cross compilers, runs them
# under qemu-user, and runs the demo's bot as a static musl program: sh tests/cross.sh
# The sandbox itself stays native: it is the peer, not what is tested.
set -eu
machines="arm-linux-gnueabihf:armhf:arm s390x-linux-gnu:s390x:s390x"
programs="json http ws session reconnect webapi sandbox proxy faults json_peer"
out=build/cross

packages=
for machine in $machines; do
    gcc=${machine%%:*} rest=${machine#*:}
    architecture=${rest%%:*}
    command -v "$gcc-gcc" >/dev/null ||
        packages="$packages gcc-$gcc libc6-dev-$architecture-cross"
    [ -e "/usr/lib/$gcc/libbearssl.a" ] && [ -e "/usr/lib/$gcc/libcmocka.so" ] || {
        dpkg --print-foreign-architectures | grep -qx "$architecture" ||
            dpkg --add-architecture "$architecture"
        packages="$packages libbearssl-dev:$architecture libcmocka-dev:$architecture"
    }
done
command -v qemu-arm >/dev/null || packages="$packages qemu-user"
command -v musl-gcc >/dev/null || packages="$packages musl-tools"
mkdir -p $out/include
if [ -n "$packages" ]; then
    echo "Installing missing packages with apt-get:$packages"
    # shellcheck disable=SC2086 # a list of words
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
        --no-install-recommends $packages; } >$out/deps.log 2>&1 || { cat $out/deps.log; exit 1; }
fi

# The headers that are the same for every machine, without the native C library's.
for header in jsmn.h bearssl.h bearssl cmocka.h; do
    ln -sfn /usr/include/$header $out/include/$header
done
warn="-Wall -Wextra -Wpedantic -Wconversion -Wshadow"
for machine in $machines; do
    gcc=${machine%%:*} rest=${machine#*:}
    architecture=${rest%%:*} qemu=qemu-${rest##*:}
    runners=
    for program in $programs; do
        # shellcheck disable=SC2086 # a list of words
        "$gcc-gcc" -std=c99 $warn -O1 -g -I. -I$out/include tests/$program.c \
            -o $out/$program.$architecture -L"/usr/lib/$gcc" -lcmocka -lbearssl
        printf '#!/bin/sh\nexec %s -L / %s "$@"\n' $qemu $out/$program.$architecture \
            >$out/$architecture-$program
        chmod +x $out/$architecture-$program
        [ $program = json_peer ] || runners="$runners $out/$architecture-$program"
    done
    # shellcheck disable=SC2086 # a list of words
    sh tests/run.sh $runners
    python3 tests/json_peer.py $out/$architecture-json_peer
    echo "PASS $architecture"
done

# Debian's libbearssl.a wants three functions of glibc's, which musl_fortify.c supplies.
mkdir -p $out/musl
musl-gcc -std=c99 -Wall -Wextra -Os -static -ffunction-sections -Wl,--gc-sections -I. -I$out/include \
    examples/echo_bot.c tests/musl_fortify.c -o $out/musl/echo_bot \
    "/usr/lib/$(gcc -print-multiarch)/libbearssl.a"
ln -sfn ../../sandbox $out/musl/sandbox
ln -sfn ../../certs $out/musl/certs
sh examples/demo.sh $out/musl >$out/musl/log || { cat $out/musl/log; exit 1; }
echo "PASS the demo with a static musl bot of $(wc -c <$out/musl/echo_bot) bytes"
