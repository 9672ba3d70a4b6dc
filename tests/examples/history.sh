# history: three pages, the first at a rate limit, with a token that may not open RTM; nothing in them
# controls the terminal
post=$build/post
awk 'BEGIN { for (i = 1; i <= 250; i++) printf "message %d %3980s\n", i, "." }' |
    "$post" C7 >"$dir/out" || fail 'post of 250 messages'
ts=$(printf 'red: \033[31m' | "$post" C7)
echo '/fail not_allowed_token_type' >&3
does '/ratelimit conversations.history 10' # history has this time to start
TZ=UTC0 "$build/history" C7 >"$dir/out" 2>&1 || fail 'history'
sees 'conversations.history: ratelimited for'
sees 'rtm.connect: not_allowed_token_type'
[ "$(sed -n 1p "$dir/out")" = \
    "$(date -u -d "@${ts%.*}" '+%Y-%m-%d %H:%M:%S') sandbox-bot: red: ?[31m" ] ||
    fail 'history: the newest message'
awk 'BEGIN { for (i = 250; i; i--) print "sandbox-bot: message", i }' >"$dir/wanted"
sed -n 's/.*\(sandbox-bot: message [0-9]*\) .*/\1/p' "$dir/out" | cmp -s - "$dir/wanted" ||
    fail 'history: all messages, the newest first'
ends 2 'usage: history' "$build/history"
ends 1 'channel_not_found' "$build/history" ''
ends 1 'token is not set' env SLACK_API_TOKEN= "$build/history" C7
ends 1 'cannot be written' sh -c '"$1" C7 >/dev/full' sh "$build/history"

# history: pages larger than max_message_size are asked for with fewer messages
awk 'BEGIN { for (i = 1; i <= 100; i++) { s = sprintf("big %d ", i)
    while (length(s) < 3990) s = s "&"; print s } }' | "$post" C8 >"$dir/out" || fail 'post of 20 KB'
"$build/history" C8 >"$dir/out" 2>&1 || fail 'history of large pages'
awk 'BEGIN { for (i = 100; i; i--) print "sandbox-bot: big", i }' >"$dir/wanted"
sed -n 's/.*\(sandbox-bot: big [0-9]*\) .*/\1/p' "$dir/out" | cmp -s - "$dir/wanted" ||
    fail 'history: all messages of large pages'

# history: C1 and bidirectional controls in a text
start
"$build/echo_bot" >"$dir/bot" 2>&1 &
bot=$!
printf '%s\n' /wait "$(printf 'a\302\233b\342\200\256c')" '/expect you said' >&3
sees '/expect you said: seen'
for size in 1 2 3; do echo "$(repeat $size x)$(repeat 70000 €)" >&3; done
sees '€€' 3
kill $bot
wait $bot || :
bot=
"$build/history" C0SANDBOX >"$dir/out" 2>&1 || fail 'history of controls'
grep -qF 'U0HUMAN: a?b?c' "$dir/out" || fail 'history prints C1 or bidirectional controls'

# history: a text that is too long is cut between two characters
[ "$(grep -c '€ \[\.\.\.\]$' "$dir/out")" = 3 ] || fail 'history marks no text that is cut'
iconv -f UTF-8 -t UTF-8 "$dir/out" >"$dir/valid" || fail 'history cuts a character'
