# alert: an alarm once, its end in its thread; between the two numbers nothing changes; nothing is
# lost while Slack is away, or over a new start; no value, no file and no response ends it
# It is built so that each look at the file is written to $dir/looks.
cat >"$dir/looks.c" <<'END'
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    int mode = flags & 0100 ? va_arg(arguments, int) : 0; /* O_CREAT */
    va_end(arguments);
    const char *name = strrchr(path, '/');
    int looks = name && !strcmp(name, "/heat") ? __real_open(getenv("LOOKS"), 02001) : -1;
    if (looks >= 0 && write(looks, "look\n", 5) != 5) abort();
    if (looks >= 0) close(looks);
    return __real_open(path, flags, mode);
}
END
alert=$dir/alert
${CC:-cc} -std=c99 -g -fsanitize=address,undefined -fno-sanitize-recover=all -I. \
    -Wl,--wrap=open examples/alert.c "$dir/looks.c" -o "$alert" -lbearssl ||
    fail 'alert is not built'
export LOOKS="$dir/looks"
: >"$LOOKS"
certificate=$(cd "$build" && pwd)/certs/ca.pem
mkdir "$dir/queue"
queue() { cat "$dir"/queue/alert-*.queue >"$dir/now" 2>/dev/null || :; cat "$dir/now"; }
heat() { printf '%s\n' "$1" >"$dir/new"; mv "$dir/new" "$dir/heat"; } # never half written
looked() { # two looks have begun since now: one has ended that saw what is there now
    seen=$(wc -l <"$LOOKS")
    said looks look $((seen + 2))
}
queued() { # TEXT: it is in the queue's file, or will be
    n=0
    until queue | grep -qxF -- "$1"; do
        n=$((n + 1))
        [ $n -lt 300 ] || fail "alert: the queue is without $1: $(queue)"
        sleep 0.1
    done
}
watch() { # [ARGUMENT...]: starts it; its queue is in $dir/queue
    [ $# -gt 0 ] || set -- C1 "$dir/heat" 80 75 1
    # shellcheck disable=SC2016 # the arguments are those of the inner shell
    begin env SSL_CERT_FILE="$certificate" \
        sh -c 'cd "$1" && shift && exec "$@"' sh "$dir/queue" "$alert" "$@"
}
leave() { # a signal ends it with 0
    kill $bot
    wait $bot || fail "alert ends with $?"
    bot=
}
posts() { # VALUES: these were posted, in this order
    grep 'posted' "$dir/sandbox" | sed 's/.*heat: //; s/\\n//g' | tr '\n' ' ' >"$dir/posts"
    [ "$(cat "$dir/posts")" = "$1 " ] || fail "alert: the order: $(cat "$dir/posts")"
}
refuses() { # TEXT [ARGUMENT...]: it exits with 1 and says TEXT
    text=$1
    shift
    [ $# -gt 0 ] || set -- C1 "$dir/heat" 80 75 1
    (cd "$dir/queue" && SSL_CERT_FILE=$certificate ends 1 "$text" "$alert" "$@")
}
heat 70
watch
looked
heat 79.9
looked
heat 81
sees ": *Alarm*"
n=0
until queue | grep -q '^on [0-9]'; do
    n=$((n + 1))
    [ $n -lt 300 ] || fail "alert: the alarm is not in its queue: $(queue)"
    sleep 0.1
done
ts=$(queue | sed -n 's/^on //p')
for heat in 85 76 90 80; do heat $heat; looked; done
heat 75
sees "posted in thread $ts: "
queued off
[ "$(grep -c 'posted' "$dir/sandbox")" = 2 ] || fail 'alert reports more than an alarm and its end'

# What is no number is an alarm, and its text is not posted.
for value in nan inf 1e999 '<!channel>' '90x' '' "$(printf '\377')" "$(repeat 70 9)"; do
    heat "$value"
    n=$(grep -c 'heat: no number' "$dir/sandbox" || :)
    sees 'heat: no number' $((n + 1))
    n=$(grep -c 'heat: 10' "$dir/sandbox" || :)
    heat 10
    sees 'heat: 10' $((n + 1))
    queued off
done
grep -q 'posted.*channel>' "$dir/sandbox" && fail 'alert posts a value that is no number'
rm "$dir/heat"
n=$(grep -c 'heat: no number' "$dir/sandbox")
mkfifo "$dir/heat" # nothing waits for who writes to it
sees 'heat: no number' $((n + 1))
n=$(grep -c 'heat: 10' "$dir/sandbox")
heat 10
sees 'heat: 10' $((n + 1))
queued off

# While Slack does not respond the file is read; an error of Slack's own and a page that is not
# JSON end nothing; what was not posted is posted by the next start, in order.
does '/slow 20000'
heat 99
queued '!99'
heat 11
queued '.11'
leave
start
does '/fail chat.postMessage internal_error 1'
watch
sees 'bot connected'
prints 'internal_error'
sees 'heat: 11'
does '/http 200 1'
heat 98
prints 'chat.postMessage' 2
sees 'heat: 98'
does '/http 503 1000'
heat 12
prints 'HTTP 503'
queued '.12'
rm "$dir/heat"
queued '!no number'
leave
posts '99 11 98'
start
watch
sees 'heat: no number'
posts '12 no number'

# Another file, channel or limit has a queue of its own; the same one is not used twice.
echo 50 >"$dir/other"
refuses 'is running'
leave
watch C1 "$dir/other" 40 30 1
sees 'other: 50'
leave
[ "$(grep -c 'heat: no number' "$dir/sandbox")" = 1 ] || fail 'alert posts the alarms of another'

# A channel that is not UTF-8 cannot be posted to, a file's name can.
odd="$dir/$(printf 'a\377b<!channel>&"')"
echo 99 >"$odd"
rm -f "$dir"/queue/*
watch C1 "$odd" 80 75 1
sees 'a�b&lt;!channel&gt;&amp;": 99'
leave

# A file that is no queue is not overwritten.
rm -f "$dir"/queue/*
heat 50
watch
looked
leave
file=$(echo "$dir"/queue/alert-*.queue)
for bad in x 'on' 'off
nonsense' 'off
!<!channel>' 'off
!1'; do
    printf '%s' "$bad" >"$file"
    refuses 'repair or remove it'
    [ "$(cat "$file")" = "$bad" ] || fail 'alert: it overwrites what it cannot read'
done

# A FIFO is not waited for: in the place of the queue it is reported, in that of the new file replaced.
rm "$file"
mkfifo "$file"
refuses 'repair or remove it'
rm "$file"
mkfifo "$file.new"
heat 90
watch
sees 'heat: 90'
leave
[ ! -e "$file.new" ] || fail 'alert: the new file is left'
heat 50
ends 2 'usage: alert' "$alert" C1
ends 2 'usage: alert' "$alert" '' "$dir/heat" 80 75
ends 2 'usage: alert' "$alert" C1 '' 80 75
ends 2 'usage: alert' "$alert" C1 "$dir/heat" nan 75
ends 2 'usage: alert' "$alert" C1 "$dir/heat" 80 hot
ends 2 'usage: alert' "$alert" C1 "$dir/heat" 70 75
ends 2 'usage: alert' "$alert" C1 "$dir/heat" 80 75 0
mkfifo "$dir/fifo"
ends 2 'not a regular file' "$alert" C1 "$dir/fifo" 80 75

# Refused: that ends it, and what was not posted is kept.
printf 'on -\n.1\n' >"$file"
(export SLACK_API_TOKEN=wrong && refuses 'invalid_auth: check the token')
[ "$(queue)" = "$(printf 'on -\n.1')" ] || fail 'alert: refused, and what it was to post is gone'
(export SLACK_API_TOKEN='' && refuses 'token is not set')
does '/fail chat.postMessage channel_not_found 1'
refuses 'channel_not_found'
unset LOOKS
