#!/bin/sh
# run.sh - builds and runs the benchmark, and prints its tables. All that it makes is in
# build/bench: results.txt (a line per run), tables.md, plot.svg.
#
# Exits 1 if a client failed or did not receive everything, or if a goal is missed. Goals are counts
# only: instructions, bytes of heap, allocations. Times and their ratios are information.
#
#   ROUNDS=5         interleaved rounds (A B C A B C ...); the tables show medians
#   EVENTS=200000    of a flood for the fast clients; the slow ones get fewer
#   ONLY="flood single latency echo start requests slow handshake curves memory instructions"
#                    the parts to run
#   RECORD=1         takes the instructions per event as the new record in instructions.txt
#   CC, CFLAGS       for all C programs
#
# Needs a C compiler, BearSSL, jsmn, OpenSSL. What else is missing is said and left out:
# libwebsockets + cJSON, libcurl, Node.js + npm, Go + slack-go, valgrind, gnuplot.
set -eu
cd "$(dirname "$0")/../.."
here=tests/bench out=build/bench results=build/bench/results.txt
CC=${CC:-cc} CFLAGS=${CFLAGS:--O2 -g} ROUNDS=${ROUNDS:-5} EVENTS=${EVENTS:-200000}
ONLY=${ONLY:-flood single latency echo start requests slow handshake curves memory instructions}
CURVE_ROUNDS=${CURVE_ROUNDS:-3}
gocode=/usr/share/gocode go_package=$gocode/src/github.com/slack-go/slack
unset HTTPS_PROXY https_proxy HTTP_PROXY http_proxy NO_PROXY no_proxy
mkdir -p $out

say() { printf '%s\n' "bench: $*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
part() { case " $ONLY " in *" $1 "*) ;; *) return 1 ;; esac; }

compile() { # NAME LIBRARY...
    name=$1
    shift
    # shellcheck disable=SC2086 # flags are a list of words
    $CC -std=c99 -Wall -Wextra $CFLAGS -I. $here/"$name".c -o $out/"$name" "$@"
}

# The clients that can run here; callers: those that call the Web API, one request at a time.
clients='' callers=''
build() {
    sh tests/certs.sh build/certs
    compile launch
    compile server -lssl -lcrypto -lpthread
    compile limit -lbearssl
    compile rtmh -lbearssl
    compile poll -lbearssl
    compile memory -lbearssl
    compile handshake -lbearssl
    compile webapi -lbearssl
    clients="limit rtm.h" callers="rtm_submit rtm_submit-queued"
    if compile webapi_curl -lcurl 2>$out/curl.log; then callers="$callers libcurl"
    else say "no libcurl (libcurl4-openssl-dev): left out"; fi
    if compile lws -lwebsockets -lcjson 2>$out/lws.log; then clients="$clients libwebsockets"
    else say "no libwebsockets or cJSON (libwebsockets-dev, libcjson-dev): left out"; fi
    if have node && build_node >$out/node.log 2>&1; then clients="$clients node" callers="$callers web-api"
    else say "no Node.js with @slack/rtm-api and @slack/web-api (nodejs, npm; see $out/node.log): left out"; fi
    if have go && [ -d $go_package ] && build_go >$out/go.log 2>&1; then clients="$clients slack-go"
    else say "no slack-go (golang-go, golang-github-slack-go-slack-dev): left out"; fi
}

build_node() {
    mkdir -p $out/node
    [ -d $out/node/node_modules/@slack/web-api ] ||
        (cd $out/node && npm install --silent --no-save --no-audit --no-fund --prefix . \
            @slack/rtm-api@7 @slack/web-api@7) || return 1
    cp $here/node.mjs $here/webapi.mjs $out/node/
}

build_go() {
    top=$PWD
    (cd $here/go && GO111MODULE=off GOFLAGS='' GOPATH=$gocode GOCACHE="$top/$out/gocache" \
        go build -o "$top/$out/slack-go" .)
}

# The server has its own core. If the scheduler may put both programs on one core, it decides by
# chance whether a response takes a fifth of the time.
server_core='' client_cores=''
cores=$(getconf _NPROCESSORS_ONLN)
if have taskset && [ "$cores" -gt 1 ]; then
    server_core="taskset -c 0" client_cores="taskset -c 1-$((cores - 1))"
fi

server=
start_server() {
    rm -f $out/port
    $server_core $out/server build/certs $out/port >$out/server.log &
    server=$!
    n=0
    while [ ! -s $out/port ] && [ $n -lt 100 ]; do n=$((n + 1)); sleep 0.1; done
    port=$(cat $out/port)
}
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || :' EXIT
trap 'exit 1' INT TERM HUP

run_client() { # CLIENT OPTION...
    client=$1
    shift
    case $client in
    limit) program=$out/limit ;;
    rtm.h*) program=$out/rtmh ;;
    libwebsockets) program=$out/lws ;;
    node) program="node $out/node/node.mjs" ;;
    slack-go) program=$out/slack-go ;;
    rtm_submit*) program=$out/webapi ;;
    libcurl) program=$out/webapi_curl ;;
    web-api) program="node $out/node/webapi.mjs" ;;
    esac
    # shellcheck disable=SC2086 # lists of words
    NODE_EXTRA_CA_CERTS=build/certs/ca.pem SSL_CERT_FILE=build/certs/ca.pem \
        $client_cores timeout 120 $out/launch $program "$@"
}

# One run: the output of the client, followed by that of the server with s_ before each name.
serial=0 round=0
measure() { # TEST CLIENT PARAMETERS OPTION...
    what=$1 who=$2 parameters=$3
    shift 3
    serial=$((serial + 1))
    tag=t$serial
    line=$(run_client "$who" "base=https://localhost:$port/$parameters,tag=$tag/api/" \
        ca=build/certs/ca.pem "$@" 2>>$out/errors.log) || line="$line failed=1"
    told=$(awk -v tag="tag=$tag" '
        $1 == tag { for (i = 2; i <= NF; i++) { split($i, part, "="); name = part[1]
            if (name ~ /^(sent|bytes|length|units)$/) sum[name] += part[2]
            else sum[name] = part[2] } }
        END { for (name in sum) printf " s_%s=%s", name, sum[name] }' OFMT=%.0f CONVFMT=%.0f \
        $out/server.log)
    printf 'test=%s round=%s who=%s %s%s\n' "$what" $round "$who" "$line" "$told" >>$results
}

share() { # CLIENT: the events that it gets; a slow one needs no more to be measured
    case $1 in
    libwebsockets | node) echo $((EVENTS / 2)) ;;
    slack-go) echo $((EVENTS / 10)) ;;
    *) echo "$EVENTS" ;;
    esac
}

# Every client proves once that it has seen every event and every text; in the timed runs, that it
# has seen every event, and so many bytes of text.
prove() {
    for client in $clients; do
        for mode in flood single; do
            [ "$client" = limit ] || measure prove "$client" mode=$mode,n=20000 check=1
        done
    done
}

compare_clients() {
    round=0
    while [ $round -lt "$ROUNDS" ]; do
        round=$((round + 1))
        say "round $round of $ROUNDS"
        for mode in flood single; do
            part $mode || continue
            for client in $clients; do
                measure $mode "$client" "mode=$mode,n=$(share "$client")"
            done
            measure $mode rtm.h-message "mode=$mode,n=$EVENTS" listen=message
            measure $mode rtm.h-none "mode=$mode,n=$EVENTS" listen=none
        done
        for client in $clients; do
            if part latency; then measure latency "$client" mode=latency,n=2000; fi
            [ "$client" != limit ] || continue
            if part echo; then measure echo "$client" mode=echo,n=2000; fi
            if part start; then measure start "$client" mode=echo,n=1; fi
        done
        part requests || continue
        for client in $callers; do
            case $client in *-queued) set -- queued=1 ;; *) set -- ;; esac
            measure requests "$client" mode=idle n=1000 "$@"
        done
    done
}

curves() {
    round=0
    while [ $round -lt "$CURVE_ROUNDS" ]; do
        round=$((round + 1))
        say "curves, round $round of $CURVE_ROUNDS"
        for size in 100 1000 10000 100000 1048576; do
            n=$((33554432 / size))
            for client in limit rtm.h; do
                measure size-$size $client "mode=flood,size=$size,n=$n"
            done
        done
        for count in 1 10 100 1000; do
            n=$((EVENTS / 4 / (1 + count / 50)))
            measure listeners-$count rtm.h mode=flood,n=$n listen=message listeners=$((count - 1))
            measure strangers-$count rtm.h mode=flood,n=$n listen=message strangers=$((count - 1))
            measure clients-$count rtm.h "mode=single,n=$((EVENTS / 2 / count)),gate=$count" \
                clients=$count
        done
    done
}

# Runs a program under callgrind and prints the number of instructions; nothing if it fails.
count() { # [OPTION-OF-CALLGRIND] PROGRAM ARGUMENT...
    valgrind --tool=callgrind --callgrind-out-file=$out/callgrind.out \
        --log-file=$out/callgrind.log "$@" >/dev/null 2>>$out/errors.log || return 0
    sed -n 's/^.*Collected : *\([0-9]*\).*/\1/p' $out/callgrind.log
}

# The instructions per event, from those of SMALL events and those of BIG ones: what is not done for
# each event cancels out.
difference() { # SMALL BIG INSTRUCTIONS-OF-SMALL INSTRUCTIONS-OF-BIG
    [ -z "$3" ] || [ -z "$4" ] || echo $((($4 - $3 + ($2 - $1) / 2) / ($2 - $1)))
}

count_run() { # EVENTS PROGRAM MODE OPTION...
    url=https://localhost:$port/mode=$3,n=$1,tag=valgrind/api/ program=$2
    shift 3
    count $out/"$program" "base=$url" ca=build/certs/ca.pem "$@"
}

# All of a program, from its connection on.
count_events() { # PROGRAM MODE OPTION...
    difference 1000 5000 "$(count_run 1000 "$@")" "$(count_run 5000 "$@")"
}

# Only what is inside rtm_poll.
count_poll() { # rtm|socket_mode
    difference 1000 3000 "$(count --toggle-collect=rtm_poll $out/poll "$1" 1000)" \
        "$(count --toggle-collect=rtm_poll $out/poll "$1" 3000)"
}

instructions() {
    if ! have valgrind; then
        say "no valgrind: instructions are not counted, and their goals not checked"
        return
    fi
    say "instructions"
    {
        echo "limit-flood $(count_events limit flood)"
        echo "limit-single $(count_events limit single)"
        echo "flood $(count_events rtmh flood)"
        echo "single $(count_events rtmh single)"
        echo "flood-none $(count_events rtmh flood listen=none)"
        echo "single-none $(count_events rtmh single listen=none)"
        echo "poll-rtm $(count_poll rtm)"
        echo "poll-socket-mode $(count_poll socket_mode)"
    } >$out/instructions.now
    if [ -n "${RECORD:-}" ]; then
        { echo "# Instructions per event by callgrind, recorded by RECORD=1 tests/bench/run.sh with"
          echo "# $($CC --version | sed 1q), $CFLAGS, $(uname -m), on $(date +%Y-%m-%d)."
          cat $out/instructions.now; } >$here/instructions.txt
    fi
    while read -r name count; do
        recorded=$(awk -v name="$name" '$1 == name { print $2 }' $here/instructions.txt)
        echo "test=instructions round=1 who=$name count=$count recorded=$recorded"
    done <$out/instructions.now >>$results
}

# A full handshake with one root, one with this machine's bundle of them, and a resumed one.
handshakes() {
    say "handshakes"
    ca=build/certs/ca.pem system=/etc/ssl/certs/ca-certificates.crt
    bundles="one:$ca"
    if [ -r $system ]; then
        cat $system $ca >$out/bundle.pem
        bundles="$bundles bundle:$out/bundle.pem"
    fi
    for bundle in $bundles; do
        for kind in full resumed; do
            line=$($client_cores $out/handshake "$port" "${bundle#*:}" 100 $kind \
                2>>$out/errors.log) || line="failed=1"
            if have valgrind; then
                count=$(count --collect-atstart=no $out/handshake "$port" "${bundle#*:}" 5 $kind)
                line="$line count=$((${count:-0} / 5))"
            fi
            echo "test=handshake round=1 who=${bundle%%:*}-$kind $line" >>$results
        done
    done
}

memory() {
    say "memory"
    line=$($out/memory "https://localhost:$port" build/certs/ca.pem "${CLIENTS:-1000}" \
        2>>$out/errors.log) || line="$line failed=1"
    echo "test=memory round=1 who=rtm.h $line" >>$results
}

# The latency of events during a request that the sandbox answers late.
slow() {
    if ! make -s CC="$CC" build/sandbox >$out/slow.log 2>&1 ||
        ! compile slow -lbearssl -lcmocka 2>>$out/slow.log; then
        say "no sandbox or cmocka (see $out/slow.log): no latency during a slow request"
        return
    fi
    say "a slow request"
    line=$(SSL_CERT_FILE=build/certs/ca.pem $client_cores $out/slow 2>>$out/errors.log) ||
        line="$line failed=1"
    echo "test=slow round=1 who=rtm.h $line" >>$results
}

machine() {
    cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sed 1q)
    echo "$(date +%Y-%m-%d), $(uname -sm), ${cpu:-unknown CPU}, $(getconf _NPROCESSORS_ONLN)" \
        "cores; $($CC --version | sed 1q), \`$CFLAGS\`; events of" \
        "$(sed -n 's/^mean=//p' $out/server.log) bytes on average; medians of $ROUNDS rounds."
}

: >$results
: >$out/errors.log
build
start_server
prove
compare_clients
if part curves; then curves; fi
if part handshake; then handshakes; fi
if part memory; then memory; fi
if part slow; then slow; fi
if part instructions; then instructions; fi
machine >$out/machine.txt
# The goals of instructions are for one kind of machine, for gcc and for these flags.
case "$(uname -m) $CFLAGS $($CC --version | sed 1q)" in
*clang*) comparable=0 ;;
"x86_64 -O2 -g "*) comparable=1 ;;
*) comparable=0 ;;
esac
status=0
awk -v plot=$out/plot.dat -v machine="$(cat $out/machine.txt)" -v comparable=$comparable \
    -f $here/tables.awk $results >$out/tables.md || status=1
cat $out/tables.md
if ! have gnuplot; then say "no gnuplot (gnuplot-nox): no plot"
elif part flood && part single; then
    gnuplot -e "data='$out/plot.dat'; svg='$out/plot.svg'" $here/plot.gp
fi
[ ! -s $out/errors.log ] || { say "messages of clients:"; sort $out/errors.log | uniq -c >&2; }
exit $status
