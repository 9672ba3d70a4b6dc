# history: three of them, the first at a rate limit, by a token that may not open RTM; nothing in them
# steers the terminal
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
