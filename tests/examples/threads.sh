# threads: answers of several threads arrive, in both modes, also those of a time without a session;
# the bot answers others meanwhile, and ends while threads work
for app in '' xapp-sandbox; do
    start
    if [ "$app" ]; then export SLACK_APP_TOKEN=$app; fi
    "$build/threads" >"$dir/out" 2>&1 &
    bot=$!
    echo /wait >&3
    for n in 30 31 32 33 34 35 36 37; do echo "factor $n" >&3; done
    sees '30 = 2 * 3 * 5'
    sees '31 = 31'
    sees '32 = 2 * 2 * 2 * 2 * 2'
    for n in 33 34 35 36 37; do sees "$n = "; done
    # one that takes many seconds, and another one meanwhile; the connection is lost
    printf '%s\n' 'factor 999999999999999989' 'factor 6' >&3
    sees '6 = 2 * 3'
    printf '%s\n' 'factor 1000000016000000063' 'factor 10x' 'factor 1' >&3
    sees 'Please write: factor NUMBER' 3
    echo 'factor 9999999999999937' >&3
    [ "$app" ] || echo '/http 500 2' >&3 # in Socket Mode it would refuse the results, too
    printf '%s\n' /drop /wait 'factor 14' >&3
    sees '9999999999999937 = 9999999999999937'
    sees '14 = 2 * 7'
    kill $bot
    wait $bot || fail "threads ends with $?"
    bot=
done
unset SLACK_APP_TOKEN

# more jobs than the queue has room for: each takes many seconds; those that are lost are reported
start
"$build/threads" >"$dir/out" 2>&1 &
bot=$!
echo /wait >&3
seq 105 | sed 's/.*/factor 999999999999999989/' >&3
sees 'There is too much to do already'
kill $bot
wait $bot || fail "threads ends with $?"
bot=
prints '100 results were not sent'
ends 1 'token is not set' env SLACK_API_TOKEN= "$build/threads"
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong "$build/threads"
