# alert: an alarm once, its end in its thread; between the two numbers nothing changes; offline and
# over a new start nothing is lost, in order; no number is an alarm
alert=$(cd "$build" && pwd)/alert
heat() { echo "$1" >"$dir/new"; mv "$dir/new" "$dir/heat"; } # never half written
watch() { # starts it; its queue is in $dir
    (cd "$dir" && SSL_CERT_FILE=$OLDPWD/$build/certs/ca.pem exec "$alert" C1 "$dir/heat" 80 75 0) \
        >"$dir/out" 2>&1 &
    bot=$!
}
heat 70
watch
heat 79.9
heat 81
sees ": *Alarm*"
ts=$(sed -n 1p "$dir/alert.queue")
for heat in 85 76 90 80; do heat $heat; sleep 0.1; done
heat 75
sees "posted in thread $ts: "
[ "$(grep -c 'posted' "$dir/sandbox")" = 2 ] || fail 'alert tells more than an alarm and its end'

# Slack is down; what happens then is told when it is back, by the next start too.
echo '/http 503 1000' >&3
heat 99
prints 'HTTP 503'
heat 10
said alert.queue '.'"$dir/heat: 10"
rm "$dir/heat"
said alert.queue '!'"$dir/heat: no number"
kill $bot
start
watch
sees 'heat: 99'
sees 'heat: 10'
sees 'heat: no number'
kill $bot
bot=
grep -o 'heat: .*' "$dir/sandbox" | sed 's/heat: //' | tr '\n' ' ' >"$dir/order"
case $(cat "$dir/order") in '99'*'10'*'no number'*) ;; *) fail "alert: in order: $(cat "$dir/order")" ;; esac

# A spoilt queue is read as far as it goes; refused for good is the end.
printf 'x\n!good\nnonsense\n.also good\n' >"$dir/alert.queue"
heat 50
watch
sees 'also good'
kill $bot
bot=
ends 2 'usage: alert' "$alert" C1
(cd "$dir" && printf -- '-\n!x\n' >alert.queue)
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong sh -c "cd '$dir' &&
    SSL_CERT_FILE='$PWD/$build/certs/ca.pem' '$alert' C1 '$dir/heat' 80 75 0"
[ "$(sed -n 2p "$dir/alert.queue")" = '!x' ] || fail 'alert: refused, and what it was to tell is gone'
