#!/bin/sh
# Builds the tests for a 32-bit and for a big-endian machine with Debian's cross compilers, runs them
# under qemu-user, and runs the demo's bot as a static musl program: sh tests/cross.sh
# The sandbox itself stays native: it is the peer, not what is tested.
set -eu
machines="arm-linux-gnueabihf:armhf:arm s390x-linux-gnu:s390x:s390x"
programs="json http ws session reconnect webapi requests socket_mode handover sandbox proxy faults
    json_peer"
export FAULTS_FEW=1
out=build/cross

mkdir -p $out/include
# The libraries of a foreign architecture, into a folder here: as packages of this system they would
# need that architecture added to it, and one index that cannot be had breaks apt-get for good.
fetch() { # ARCHITECTURE
    root=$PWD/$out/root-$1
    [ -e "$root/fetched" ] && return
    mkdir -p "$root/state/lists/partial" "$root/cache/archives/partial"
    : >"$root/status"
    # shellcheck disable=SC2016 # apt-get's own variables
    repository=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
        head -1)
    echo "deb $repository main" >"$root/sources.list"
    set -- -qq -o Dir::State="$root/state" -o Dir::State::status="$root/status" \
        -o Dir::Cache="$root/cache" -o Dir::Etc::sourcelist="$root/sources.list" \
        -o Dir::Etc::sourceparts=- -o APT::Architecture="$1" -o APT::Architectures="$1" \
        -o APT::Sandbox::User=root
    apt-get "$@" update
    (cd "$root" && apt-get "$@" download libbearssl-dev libbearssl0 libcmocka-dev libcmocka0 &&
        for package in *.deb; do dpkg -x "$package" .; done && touch fetched)
}

# The headers that are the same for every machine, without the native C library's.
for header in jsmn.h bearssl.h bearssl cmocka.h; do
    ln -sfn /usr/include/$header $out/include/$header
done
coverage() { [ "$1" != requests ] || echo -fsanitize-coverage=trace-pc; } # it counts blocks
warn="-Wall -Wextra -Wpedantic -Wconversion -Wshadow"
for machine in $machines; do
    gcc=${machine%%:*} rest=${machine#*:}
    architecture=${rest%%:*} qemu=qemu-${rest##*:}
    runners=
    fetch "$architecture"
    libraries=$PWD/$out/root-$architecture/usr/lib/$gcc
    for program in $programs; do
        # shellcheck disable=SC2086 # a list of words
        "$gcc-gcc" -std=c99 $warn -O1 -g -I. -I$out/include $(coverage $program) tests/$program.c \
            -o $out/$program.$architecture -L"$libraries" -lcmocka -lbearssl
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

# Debian's libbearssl.a wants three functions of glibc's, which musl_fortify.c supplies.
mkdir -p $out/musl
musl-gcc -std=c99 -Wall -Wextra -Os -static -ffunction-sections -Wl,--gc-sections -I. -I$out/include \
    examples/echo_bot.c tests/musl_fortify.c -o $out/musl/echo_bot \
    "/usr/lib/$(gcc -print-multiarch)/libbearssl.a"
ln -sfn ../../sandbox $out/musl/sandbox
ln -sfn ../../certs $out/musl/certs
sh examples/demo.sh $out/musl >$out/musl/log || { cat $out/musl/log; exit 1; }
echo "PASS the demo with a static musl bot of $(wc -c <$out/musl/echo_bot) bytes"
