# echo_bot in both modes; a connection refresh does not end the session
unset SLACK_APP_TOKEN SLACK_API_URL
sh examples/demo.sh --verbose "$build" >"$dir/out" 2>&1 || fail 'the demo'
# at the start, and after the connection was cut
[ "$(grep -c 'connected, in Socket Mode' "$dir/out")" = 2 ] || fail 'a refresh ends no session'

# what it repeats pings nobody and is shown as it was typed; a text that is too long is not cut
for app in '' xapp-sandbox; do
    start
    if [ "$app" ]; then export SLACK_APP_TOKEN=$app; fi
    "$build/echo_bot" >"$dir/out" 2>&1 &
    bot=$!
    printf '%s\n' /wait '<!channel> a &amp; b' "$(repeat 3001 x)" 'post <@U1> & c' >&3
    sees 'you said: &lt;!channel&gt; a &amp; b'
    sees 'that is too long to repeat'
    sees 'posted: &lt;@U1&gt; &amp; c'
    # a NUL in a text does not hide what follows it
    message='{"type":"message","channel":"C1","user":"U1","text":"stop\u0000after"}'
    if [ "$app" ]; then
        message='{"type":"events_api","envelope_id":"E1","payload":{"event":'$message'}}'
    fi
    printf '/raw %s\n' "$message" >&3
    sees 'you said: stop?after'
    if [ "$app" ]; then
        printf '%s\n' "/slash /echo $(repeat 3000 '\\')" '/slash /echo "a" \b' >&3
        sees 'Enter /echo and a text'
        sees '[blocks] you said: "a" \b Repeat'
    else # nothing in Slack's text controls the terminal
        printf '%s\n' '/raw {"type":"error","error":{"msg":"\u001b[2J \u009b1m \u202e\nx"}}' >&3
        prints 'Slack reports an error: ?[2J ?1m ? x'
    fi
    printf '%s\n' stop >&3
    wait $bot || fail "echo_bot ends with $?"
    bot=
done
unset SLACK_APP_TOKEN
# variables that are empty are not set
ends 1 'token is' env SLACK_API_TOKEN= SLACK_API_URL= "$build/echo_bot"
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong SLACK_APP_TOKEN= "$build/echo_bot"
