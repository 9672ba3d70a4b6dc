# echo_bot in both worlds; a refresh is no end to it
unset SLACK_APP_TOKEN SLACK_API_URL
sh examples/demo.sh "$build" >"$dir/out" 2>&1 || fail 'the demo'
[ "$(grep -c 'connected, in Socket Mode' "$dir/out")" = 1 ] || fail 'a refresh ends no session'
