# follow: the last messages, then what is said, each once, also what was said while it was away; names;
# nothing steers the terminal
post=$build/post
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "old $i" | "$post" C0SANDBOX >/dev/null; done
for app in '' xapp-sandbox; do
    if [ "$app" ]; then export SLACK_APP_TOKEN=$app; fi
    "$build/follow" C0SANDBOX >"$dir/out" 2>&1 &
    bot=$!
    prints 'old 12'
    echo 'a &lt;b&gt; &amp; <@U0BOT> <https://a.example|link>' >&3
    prints 'human: a <b> & @U0BOT link'
    printf 'bell%s \007 and \033[31m' "$app" | "$post" C0SANDBOX >/dev/null
    prints "bell$app   and  [31m"
    printf '%s\n' '/refuse 503' '/drop' >&3
    for i in 1 2 3; do echo "meanwhile $i $app!" | "$post" C0SANDBOX >/dev/null; done
    prints "meanwhile 3 $app!"
    printf '%s\n' /wait "and now$app!" >&3
    prints "and now$app!"
    for text in "meanwhile 1 $app!" "meanwhile 3 $app!" "bell$app " "and now$app!"; do
        [ "$(grep -c "$text" "$dir/out")" = 1 ] || fail "follow: $text, once"
    done
    kill $bot
    wait $bot || fail "follow ends with $?"
    bot=
done
[ "$(grep -c 'users.info' "$dir/sandbox")" -lt 10 ] || fail 'follow asks for a name once'
ends 2 'usage: follow' "$build/follow"
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong "$build/follow" C0SANDBOX
ends 1 'channel_not_found' "$build/follow" ''
