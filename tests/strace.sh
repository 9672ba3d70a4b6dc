#!/bin/sh
# Checks the system calls with strace. An idle client in rtm_run for 20 s, with a ping every 5 s, may
# only wait, and for each ping read the socket once more, get random bytes for the mask, send the ping
# and read the answer. Then 60 sessions of tests/soak.c, whose longest rtm_poll is 100 ms: no poll() may
# be longer, no socket may be blocking, and nothing may sleep.
set -eu
calls=poll,ppoll,select,pselect6,nanosleep,clock_nanosleep,socket,connect,fcntl
trace=build/soak.strace
strace -o $trace true 2>/dev/null || { echo "SKIP strace: not allowed here"; exit 0; }
idle=build/idle.strace
strace -o $idle build/test/idle 20 5000 2>/dev/null || { echo "FAIL strace: idle"; exit 1; }
awk '
    /^write\(2, "idle from here/ { idle = 1; next }
    /^--- SIGALRM/ { idle = 0 }
    !idle || / = \?/ { next } # the wait that the alarm ends
    { call = $0; sub(/\(.*/, "", call); count[call]++ }
    /^p?poll\(.*\(Timeout\)/ { timeouts++ }
    /^recvfrom\(.* EAGAIN/ { looks++ } # the last before a deadline; one more when it is open
    !/^(p?poll|getrandom|sendto|recvfrom)\(/ { bad = bad "\n" $0 }
    END {
        polls = count["poll"] + count["ppoll"]
        pings = count["sendto"]
        if (pings != 3 || timeouts != pings || polls != 2 * pings ||
            count["recvfrom"] - looks != pings || looks > pings + 1 || count["getrandom"] > pings)
            bad = bad "\n" pings " pings, " timeouts " timeouts, " polls " polls, " \
                count["recvfrom"] " reads"
        if (bad) { print "FAIL strace, idle:" bad; exit 1 }
        printf "PASS strace: idle for 20 s: %d pings, %d waits, nothing else\n", pings, polls
    }' $idle
strace -o $trace -e trace=$calls build/test/soak 60 >build/soak.log || { cat build/soak.log; exit 1; }
awk '
    function descriptor() { split($1, part, /[(,]/); return part[2] }
    /^p?poll\(/ {
        polls++
        line = $0
        sub(/\) +=.*/, "")
        if ($NF + 0 > longest) longest = $NF + 0
        if ($NF + 0 < 0) bad = bad "\n" line
    }
    /^fcntl\(.*F_SETFL.*O_NONBLOCK/ { ready[descriptor()] = 1 }
    /^socket\(.*AF_INET/ { ready[$NF] = /SOCK_NONBLOCK/ }
    /^connect\(.*AF_INET/ {
        connects++
        if (!ready[descriptor()]) bad = bad "\n" $0
    }
    /^(select|pselect6|nanosleep|clock_nanosleep)/ && connects { bad = bad "\n" $0 }
    END {
        if (longest > 100) bad = bad "\na poll of " longest " ms"
        if (!polls || connects < 60) bad = bad "\n" polls " polls, " connects " connections"
        if (bad) { print "FAIL strace:" bad; exit 1 }
        printf "PASS strace: %d polls, none over %d ms, %d connections, none blocking\n", polls,
            longest, connects
    }' $trace
