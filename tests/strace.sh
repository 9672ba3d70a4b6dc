#!/bin/sh
# The kernel's account of the waits: in 60 sessions of tests/soak.c, whose longest rtm_poll is 100
# ms, no poll() may be longer, no socket may be one that blocks, and nothing may sleep.
set -eu
calls=poll,ppoll,select,pselect6,nanosleep,clock_nanosleep,socket,connect,fcntl
trace=build/soak.strace
strace -o $trace true 2>/dev/null || { echo "SKIP strace: not allowed here"; exit 0; }
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
    /^socket\(.*AF_INET/ { delete ready[$NF] }
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
