# loops: each replies in its loop, reconnects after a drop, and reports why Slack refuses it; a signal
# ends it
for library in libuv glib; do
    case $library in
    libuv) asks=ticks answers='ticks so far' ;;
    glib) asks=uptime answers=minutes ;;
    esac
    program=$build/loops/$library
    start
    "$program" >"$dir/out" 2>&1 &
    bot=$!
    printf '%s\n' /wait $asks "/expect $answers" /drop /wait $asks "/expect $answers" >&3
    sees "/expect $answers: seen" 2
    kill -INT $bot
    wait $bot || fail "$program ends with $?"
    bot=
    ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong "$program"
    ends 1 'token is not set' env SLACK_API_TOKEN= "$program"
done

# epoll: two workspaces, one in Socket Mode, one refused at last; the end of its input ends it
start
mkfifo "$dir/typed"
acme_API_TOKEN=xoxb-acme acme_API_URL=$SLACK_API_URL club_API_TOKEN=xoxb-club \
    club_APP_TOKEN=xapp-club club_API_URL=$SLACK_API_URL \
    "$build/loops/epoll" acme club <"$dir/typed" >"$dir/out" 2>&1 &
bot=$!
exec 4>"$dir/typed"
sees 'bot connected' 2
printf 'good morning\n' >&3
prints 'acme C0SANDBOX U0HUMAN: good morning'
prints 'club C0SANDBOX U0HUMAN: good morning'
printf '%s\n' 'acme C1 from acme' 'club C1 from club' nonsense 'acme C1' >&4
sees 'from acme'
sees 'from club'
prints 'expected WORKSPACE CHANNEL TEXT' 2
[ "$(grep -c 'expected WORKSPACE CHANNEL TEXT' "$dir/out")" = 2 ] || fail 'epoll: lines without a text'
# a part of a line does not stop the loop, a line that is too long is not sent in parts
printf 'acme C1 a pa' >&4
printf 'good evening\n' >&3
prints 'acme C0SANDBOX U0HUMAN: good evening'
prints 'club C0SANDBOX U0HUMAN: good evening'
{ printf 'rt <!channel> & \nacme C1 '; repeat 5000 x; printf ' acme C1 the rest\nclub C1 after\n'; } >&4
sees 'a part &lt;!channel&gt; &amp; '
prints 'not sent: a line of over 3999 bytes'
sees 'posted: after'
grep -q 'the rest\|xxx' "$dir/sandbox" && fail 'epoll: a part of a line that is too long is sent'
# nothing in a message controls the terminal
printf 'a\033[31m\302\233b\342\200\256c\n' >&3
prints 'acme C0SANDBOX U0HUMAN: a?[31m?b?c'
# a NUL in a text does not hide what follows it
echo '/raw {"type":"message","channel":"C1","user":"U1","text":"before\u0000after"}' >&3
prints 'acme C1 U1: before?after'
printf '%s\n' '/fail invalid_auth' '/drop' >&3
prints ': ended: Slack refused'
exec 4>&-
code=0
wait $bot || code=$?
bot=
[ $code = 1 ] || fail "epoll ends with $code"
ends 2 'usage: chat' "$build/loops/epoll"
ends 1 'nobody: token' "$build/loops/epoll" nobody
ends 1 'nobody: token' env nobody_API_TOKEN= "$build/loops/epoll" nobody

# epoll: a regular file and a pipe as input: each line is sent before the program ends
start
printf 'acme C1 one\nclub C1 two\nacme C1 three' >"$dir/typed_file"
export acme_API_TOKEN=xoxb-acme acme_API_URL="$SLACK_API_URL" club_API_TOKEN=xoxb-club \
    club_APP_TOKEN=xapp-club club_API_URL="$SLACK_API_URL"
ends 0 '' "$build/loops/epoll" acme club <"$dir/typed_file"
for text in one two three; do sees "$text"; done
printf 'acme C1 four\nclub C1 five\n' | ends 0 '' "$build/loops/epoll" acme club
for text in four five; do sees "$text"; done
ends 1 'standard input: ' "$build/loops/epoll" acme <"$dir"
# a line that is not sent, or that Slack refuses, is not forgotten at the end
printf 'acme C1 six\nacme C1\n' | ends 1 'expected WORKSPACE' "$build/loops/epoll" acme
printf 'nobody C1 x\nacme C1 seven\n' | ends 1 'not sent: no such workspace' "$build/loops/epoll" acme
printf 'acme C1 a\0b\n' | ends 1 'not sent: a line with a NUL' "$build/loops/epoll" acme
{ printf 'acme C1 '; repeat 5000 x; } | ends 1 'not sent: a line of over' "$build/loops/epoll" acme
printf 'acme C1 \377\n' | ends 1 'acme: not sent: ' "$build/loops/epoll" acme
does '/fail chat.postMessage channel_not_found 1'
printf 'club C1 x\nclub C1 eight\n' | ends 1 channel_not_found "$build/loops/epoll" club
for text in six seven eight; do sees "$text"; done
unset acme_API_TOKEN acme_API_URL club_API_TOKEN club_APP_TOKEN club_API_URL
