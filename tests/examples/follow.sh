# follow: the last messages, then each new one, once and in order, also what was said while it was
# away; names; nothing controls the terminal
post=$build/post
lines() { # of TEXT: those in out that contain it
    grep -cF -- "$1" "$dir/out" || :
}
leave() { # a signal ends it with 0
    kill $bot
    wait $bot || fail "follow ends with $?: $(grep -m 1 ERROR "$dir/out")"
    bot=
}
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "old $i" | "$post" C0SANDBOX >/dev/null; done
for app in '' xapp-sandbox; do
    if [ "$app" ]; then export SLACK_APP_TOKEN=$app; fi
    begin "$build/follow" C0SANDBOX
    prints 'old 12'
    printf '%s\n' /wait 'a &lt;b&gt; &amp; <@U0BOT> <https://a.example|link> &; &c;' >&3
    prints 'human: a <b> & @U0BOT link &; &c;'
    printf 'bell%s \007 \033[31m \302\233 \342\200\256 \342\201\246 é' "$app" |
        "$post" C0SANDBOX >/dev/null
    prints "bell$app ? ?[31m ? ? ? é"
    printf '%s\n' '/refuse 503' '/drop' >&3
    for i in 1 2 3; do echo "meanwhile $i $app!" | "$post" C0SANDBOX >/dev/null; done
    prints "meanwhile 3 $app!"
    printf '%s\n' /wait "and now$app!" >&3
    prints "and now$app!"
    for text in "meanwhile 1 $app!" "meanwhile 3 $app!" "bell$app " "and now$app!"; do
        [ "$(lines "$text")" = 1 ] || fail "follow: $text, once"
    done
    leave
done
unset SLACK_APP_TOKEN
[ "$(grep -c 'users.info' "$dir/sandbox")" -lt 10 ] || fail 'follow asks for a name once'

# A message that arrives before the history; the history fails at first.
start
for i in 1 2 3; do echo "old $i" | "$post" C0SANDBOX >/dev/null; done
does '/fail conversations.history internal_error 1'
begin "$build/follow" C0SANDBOX
prints internal_error
echo early >&3
prints early
grep -o 'old .\|early' "$dir/out" | tr '\n' ' ' >"$dir/order"
[ "$(cat "$dir/order")" = 'old 1 old 2 old 3 early ' ] ||
    fail "follow: the order: $(cat "$dir/order")"

# More than a page while it is away, and pages over max_message_size.
printf '%s\n' '/refuse 503 2' '/drop' >&3
sees 'connection cut'
# 200 of these messages have 4 MB, since "&" takes 5 bytes.
awk 'BEGIN {
    while (length(pad) < 3980) pad = pad "&"
    for (i = 1; i <= 450; i++) print "gap " i "," pad
}' | "$post" C0SANDBOX >"$dir/posted" || fail 'post of 450 messages'
prints 'gap 450,'
grep -o 'gap [0-9]*,' "$dir/out" | tr -d , >"$dir/order"
seq 450 | sed 's/^/gap /' | cmp -s - "$dir/order" || fail 'follow: a gap of 450 messages'
echo 'after the gap' >&3
prints 'after the gap'

# What no Slack sends.
message() { # FIELDS
    printf '/raw {"type":"message","channel":"C0SANDBOX",%s}\n' "$1" >&3
}
message '"username":"\u0000x","text":"a name with a NUL","ts":"9999999999999999999.1"'
prints '?x: a name with a NUL'
message '"user":"","text":"no name","ts":"1e400"'
prints '?: no name'
message '"user":"\u0000","text":"a\u0000b","ts":7'
prints '?: a?b'
message '"user":{},"text":null,"ts":"-1"'
# None of their time stamps is where the next history begins.
echo /drop >&3
sees 'connection cut' 2
echo 'after absurd times' | "$post" C0SANDBOX >/dev/null
prints 'after absurd times'
echo /wait >&3
message '"username":"\u001b]0;x\u0007\u009b31m\u202e","text":"a title","ts":"9999999999.999999"'
prints '?]0;x??31m?: a title'
message '"user":"U\u001b[2J","text":"nobody","ts":"1732500000.000001"'
message '"message":{"user":"U0HUMAN","text":"edited & <x"},"hidden":true'
prints '(edited) edited & x'
message '"message":{"text":"a preview"},"previous_message":{"text":"a preview"}'
message '"message":{"text":"changed"},"previous_message":{"text":"a preview"}'
prints '(edited) changed'
if grep -q '(edited) a preview' "$dir/out"; then
    fail 'follow: a message whose text has not changed is shown again'
fi

# A name that does not arrive delays nothing for ever, and is asked for without waiting.
does '/slow 60000'
message '"user":"U0SLOW","text":"by somebody slow"'
prints 'by somebody slow'
message '"username":"hook","text":"still there"'
prints 'hook: still there'
leave
if grep -q "$(printf '\033\|\007\|\302\233')" "$dir/out"; then
    fail 'follow: something controls the terminal'
fi

# A message that is larger than max_message_size is given up: nothing waits for it.
start
begin "$build/follow" C0SANDBOX
printf '%s\n' /wait 'before it' >&3
prints 'before it'
repeat 2200000 x >&3
printf '\n/drop\n' >&3
prints 'a message is too large: it and older ones are not shown'
printf '%s\n' /wait 'after it' >&3
prints 'after it'
leave

# Refused, and without what it needs.
start
does '/fail conversations.history channel_not_found 1'
ends 1 'channel_not_found' "$build/follow" C0SANDBOX
ends 2 'usage: follow' "$build/follow"
ends 2 'usage: follow' "$build/follow" ''
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong "$build/follow" C0SANDBOX
export SLACK_APP_TOKEN=xapp-sandbox
ends 1 'SLACK_API_TOKEN: not set' env SLACK_API_TOKEN= "$build/follow" C0SANDBOX
