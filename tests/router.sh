#!/bin/sh
# Boots an emulated small machine and runs a bot on it: sh tests/router.sh
# The machine is an emulated MIPS board (qemu-system-mipsel: Malta, 24Kf, 64 MB of RAM) with Debian's
# kernel, busybox and a static echo_bot, built with musl. The sandbox runs on this machine, whose
# loopback address is 10.0.2.2 there. Exits with 77 if this machine cannot do that.
set -eu
out=build/router
packages=$out/packages
cannot() { echo "SKIP a small machine: $1"; exit 77; }
for command in qemu-system-mipsel mipsel-linux-gnu-gcc cpio apt-get dpkg-deb; do
    command -v $command >/dev/null || cannot "there is no $command (make router installs it)"
done
. tests/foreign.sh

# The machine's parts -------------------------------------------------------------------------------

fetch() { # PACKAGE...
    private $packages mipsel deb download "$@"
}
mkdir -p $out/include
[ -e $packages/fetched ] || {
    rm -rf $packages $out/root $out/kernel
    { private $packages mipsel deb update && # it succeeds with a warning if there is no such index
        fetch musl-dev busybox-static linux-image-4kc-malta &&
        kernel=$(dpkg-deb -f $packages/linux-image-4kc-malta_*.deb Depends | sed 's/[ ,].*//') &&
        fetch "$kernel"
    } >$out/log 2>&1 || {
        tail -3 $out/log
        cannot "Debian's packages for mipsel cannot be fetched"
    }
    for package in musl-dev busybox-static; do dpkg -x $packages/${package}_*.deb $out/root; done
    dpkg -x "$packages/${kernel}"_*.deb $out/kernel
    touch $packages/fetched
}

# The cross compiler with musl instead of glibc, by musl's own specs.
sed "s|/usr/[a-z]*/mipsel-linux-musl|$PWD/$out/root&|g" \
    $out/root/usr/lib/mipsel-linux-musl/musl-gcc.specs >$out/specs
printf '#!/bin/sh\nexec mipsel-linux-gnu-gcc -specs %s "$@"\n' "$PWD/$out/specs" >$out/cc
chmod +x $out/cc
bearssl mipsel "$PWD/$out/cc" mipsel-linux-gnu-ar
ln -sfn /usr/include/jsmn.h $out/include/jsmn.h
$out/cc -std=c99 -Wall -Wextra -Os -static -no-pie -ffunction-sections -fdata-sections \
    -Wl,--gc-sections -s -I. -I$out/include -Ibuild/bearssl/bearssl-0.6/inc examples/echo_bot.c \
    -o $out/echo_bot "$bearssl/libbearssl.a"

# Its initramfs: each line from the serial port is a command of the shell.
rm -rf $out/files
mkdir -p $out/files/bin $out/files/proc $out/files/dev $out/files/tmp $out/files/etc
cp $out/root/bin/busybox $out/files/bin
cp $out/echo_bot build/certs/ca.pem $out/files
for module in mii pcnet32; do
    find $out/kernel -name $module.ko -exec cp {} $out/files \;
done
cat >$out/files/init <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mount -t tmpfs -o size=100% tmp /tmp
dmesg -n 1
insmod /mii.ko
insmod /pcnet32.ko
stty -echo
ifconfig lo up

# Seconds since the start, before each line of the bot.
stamped() {
    while read -r line; do
        read -r up _ </proc/uptime
        echo "[$up] $line"
    done
}
start() {
    read -r up _ </proc/uptime
    echo "[$up] started"
    /echo_bot 2>&1 </dev/null | stamped &
}
# Prints the CPU time of the bot's main thread in ns, and its resident memory.
show() {
    pid=$(pidof echo_bot)
    read -r ns _ <"/proc/$pid/schedstat"
    echo "cpu of $1: $ns ns, resident: $(sed -n 's/^VmRSS:[^0-9]*//p' "/proc/$pid/status")"
}
available() { sed -n 's/^MemAvailable:[^0-9]*\([0-9]*\).*/\1/p' /proc/meminfo; }
export SSL_CERT_FILE=/ca.pem SLACK_API_TOKEN=xoxb-sandbox SLACK_APP_TOKEN=xapp-sandbox
read -r up _ </proc/uptime
echo "[$up] booted"
while read -r line; do eval "$line"; done
INIT
chmod +x $out/files/init
(cd $out/files && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1) >$out/initramfs

# The two machines ----------------------------------------------------------------------------------

slack='' machine=''
finish() {
    status=$?
    trap '' INT TERM HUP
    for process in $machine $slack; do kill "$process" 2>/dev/null || :; done
    wait
    rm -f $out/to_slack $out/to_machine
    [ $status = 0 ] || echo "FAIL a small machine: $out/console and $out/slack have all of it"
    exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

# Both end after 10 minutes, even if this script is killed.
rm -f $out/to_slack $out/to_machine $out/port
mkfifo $out/to_slack $out/to_machine
exec 3<>$out/to_slack 4<>$out/to_machine
timeout 600 build/sandbox --port 0 --port-file $out/port --cert build/certs/server.pem \
    --key build/certs/server.key <$out/to_slack >$out/slack 2>&1 3>&- 4>&- &
slack=$!
timeout 600 qemu-system-mipsel -M malta -cpu 24Kf -m 64M -rtc base=1970-01-01T00:00:00 \
    -kernel $out/kernel/boot/vmlinu[xz]-* -initrd $out/initramfs \
    -append 'console=ttyS0 rdinit=/init quiet panic=-1' -no-reboot -display none -vga none \
    -monitor none -serial stdio -netdev user,id=net -device pcnet,netdev=net,romfile= \
    <$out/to_machine >$out/console 2>&1 3>&- 4>&- &
machine=$!

# Waits for a line that was not matched before and sets $line to it.
# shellcheck disable=SC2034,SC2154 # by eval
seen_console=0 seen_slack=0 seen=0
until_line() { # console|slack PATTERN
    eval "seen=\$seen_$1"
    n=0
    while :; do
        found=$(tail -n +$((seen + 1)) "$out/$1" | tr -d '\r' | grep -n -m 1 -e "$2") && break
        n=$((n + 1))
        if [ $n -gt 1200 ] || ! kill -0 $machine || ! kill -0 $slack; then
            echo "not seen: $2. The last lines of $1:"
            tail "$out/$1"
            exit 1
        fi
        sleep 0.1
    done
    line=${found#*:}
    eval "seen_$1=$((seen + ${found%%:*}))"
}
machine() { echo "$1" >&4; }
slack() { echo "$1" >&3; }
machine_says() { until_line console "$1"; }
slack_says() { until_line slack "$1"; }
# Runs show in the machine and sets $cpu and $resident to what it prints.
measure() { # NAME
    machine "show $1"
    machine_says "^cpu of $1: "
    cpu=$(echo "$line" | sed 's/.*: \([0-9]*\) ns.*/\1/')
    resident=${line##*resident: }
}
# Waits until the sandbox has printed this many such lines: while a connection is refreshed, events
# arrive on both connections, in any order.
exactly() { # COUNT PATTERN
    n=0
    while found=$(grep -c -e "$2" $out/slack || :) && [ "$found" -lt "$1" ] && [ $n -lt 600 ]; do
        n=$((n + 1))
        sleep 0.1
    done
    [ "$found" = "$1" ] || { echo "$found times instead of $1 times: $2"; exit 1; }
}
# The uptime in a line, and a difference of two.
at() { echo "$line" | sed 's/.*\[\([0-9.]*\)\].*/\1/'; }
minus() { awk "BEGIN { printf \"%.2f\", $1 - $2 }"; }
pass() { echo "PASS on a small machine: $1"; }

n=0
while [ ! -s $out/port ] && [ $n -lt 100 ]; do n=$((n + 1)); sleep 0.1; done
url=https://sandbox.test:$(cat $out/port)/api/
hosts='echo 10.0.2.2 sandbox.test >/etc/hosts'

# What is checked -----------------------------------------------------------------------------------

machine_says '\] booted$'
booted=$(at)
machine 'date +year:%Y'
machine_says '^year:1970$'
machine "export SLACK_API_URL=$url; $hosts; start"
machine_says 'echo_bot: cannot connect to sandbox.test.*Network unreachable'
pass 'without a network, the bot reports that and tries again'

machine 'ifconfig eth0 10.0.2.15 up; route add default gw 10.0.2.2'
machine_says "echo_bot: .*certificate.*check this machine's clock"
pass 'with the clock at 1970, the bot reports that and tries again'

machine "date -s @$(date +%s) >/dev/null"
machine_says 'echo_bot: connected, in Socket Mode'
pass 'started before the network and with the clock at 1970, the bot is connected after both are set'

slack '/slash /echo What a world'
slack_says 'you said: What a world'
pass 'a command is answered'
slack '/refresh'
slack_says 'bot connected (Socket Mode)'
slack 'After a refresh'
slack_says 'you said: After a refresh'
! grep -q 'echo_bot: closed' $out/console || { echo 'a refresh closed the session'; exit 1; }
pass 'Slack refreshes the connection, and the session continues'
slack '/drop'
machine_says 'echo_bot: closed'
machine_says 'echo_bot: connected, in Socket Mode'
slack 'After a reconnect'
slack_says 'you said: After a reconnect'
pass 'a connection that was cut is opened again'
slack 'stop'
machine_says 'echo_bot: stopped'

machine 'start'
machine_says '\] started$'
started=$(at)
machine_says 'echo_bot: connected, in Socket Mode'
connected=$(minus "$(at)" "$started")
measure connected
to_connect=$cpu idle=$resident
slack 'Ready' # the first answer opens the connection of the Web API
slack_says 'you said: Ready'
measure ready

# Events that the bot receives and ignores, then messages that it answers by chat.postMessage. The
# least of five rounds counts: the others contain more of what else runs on this machine.
less() { if [ "$1" -lt "$2" ]; then echo "$1"; else echo "$2"; fi; }
event=2000000000 answer=2000000000
for round in 1 2 3 4 5; do
    before=$cpu
    awk -v round=$round 'BEGIN { for (i = 1; i <= 100; i++)
        printf "/raw {\"type\":\"events_api\",\"envelope_id\":\"router-%d-%d\",\"payload\":{" \
            "\"event_id\":\"Ev%d-%d\",\"type\":\"event_callback\",\"team_id\":\"T0SANDBOX\"," \
            "\"event\":{\"type\":\"message\",\"bot_id\":\"B0OTHER\",\"channel\":\"C0SANDBOX\"," \
            "\"text\":\"the build of the night is green again but the one before it was not and " \
            "no one knows why\",\"ts\":\"%d.1\",\"blocks\":[{\"type\":\"rich_text\"," \
            "\"elements\":[]}]}}}\n", round, i, round, i, i }' >&3
    # How the sandbox reports these acknowledgements:
    slack_says "unknown envelope: router-$round-100\$"
    exactly $((100 * round)) 'unknown envelope: router-'
    measure events
    event=$(less $((cpu - before)) "$event")
done
for round in 1 2 3 4 5; do
    before=$cpu
    slack '/flood 20'
    slack_says 'posted: you said: #20 '
    exactly $((20 * round)) 'posted: you said: #'
    measure answers
    answer=$(less $((cpu - before)) "$answer")
done
pass '500 events are acknowledged, and 100 messages are answered'
slack 'stop'
machine_says 'echo_bot: stopped'

machine 'echo nameserver 10.0.2.99 >/etc/resolv.conf; : >/etc/hosts; start'
machine_says 'echo_bot: cannot resolve sandbox.test'
dns=$line
machine "$hosts"
machine_says 'echo_bot: connected, in Socket Mode'
slack 'After DNS'
slack_says 'you said: After DNS'
pass 'a DNS server that does not answer is reported, and the bot is connected after that is mended'
slack 'stop'
machine_says 'echo_bot: stopped'

# shellcheck disable=SC2016 # the machine's own variables
machine 'dd if=/dev/zero of=/tmp/fill bs=1024 count=$(($(available) - 6144)) 2>/dev/null'
# shellcheck disable=SC2016 # the same
machine 'echo "available: $(available)"; start'
machine_says '^available: '
available=${line#available: }
[ "$available" -lt 8192 ] || { echo "$available KiB are available: too many"; exit 1; }
machine_says 'echo_bot: connected, in Socket Mode'
slack '/slash /echo Little memory'
slack_says 'you said: Little memory'
slack '/refresh'
slack_says 'bot connected (Socket Mode)'
slack '/flood 100'
exactly 200 'posted: you said: #'
pass "with $available KiB of memory available, the bot works"
slack 'stop'
machine_says 'echo_bot: stopped'
machine 'poweroff -f'
wait $machine || { echo 'the machine failed'; exit 1; }
machine=''

per() { awk "BEGIN { printf \"%.2f\", ($1) / $2 / 1e6 }"; }
echo "booted in $booted s; a static bot of $(wc -c <$out/echo_bot) bytes"
echo "resident: $idle when connected, $resident after 100 answers"
echo "connected $connected s after the start of the program, with $(per "$to_connect" 1) ms of CPU"
echo "CPU of an event: $(per "$event" 100) ms, of a message that is answered by" \
    "chat.postMessage: $(per "$answer" 20) ms"
echo "a DNS server that does not answer: ${dns#*echo_bot: }"
