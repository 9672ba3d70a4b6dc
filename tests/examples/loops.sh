# loops: each answers in its loop, comes back after a drop, and says why where it is refused; a signal
# is a clean end
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
    ends 1 'token is empty' env SLACK_API_TOKEN= "$program"
done

# epoll: two workspaces, one in Socket Mode, one refused at last; the end of the terminal is its end
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
[ "$(grep -c 'CHANNEL TEXT, please' "$dir/out")" = 2 ] || fail 'epoll: what is no line'
printf '%s\n' '/fail invalid_auth' '/drop' >&3
prints ': ended: Slack refused'
exec 4>&-
code=0
wait $bot || code=$?
bot=
[ $code = 1 ] || fail "epoll ends with $code"
ends 2 'usage: chat' "$build/loops/epoll"
ends 1 'nobody: token' "$build/loops/epoll" nobody
