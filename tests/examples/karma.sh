# karma: counts and lists in both modes, keeps the counts in its file, survives what goes wrong in a
# callback, and reports why it cannot start
for app in '' xapp-sandbox; do
    start
    if [ "$app" ]; then export SLACK_APP_TOKEN=$app; fi
    printf '3 tea\n' >"$dir/karma"
    "$build/karma" "$dir/karma" >"$dir/out" 2>&1 &
    bot=$!
    printf '%s\n' /wait 'tea++ and a&lt;b-- but not ++ or x' 'nothing to count' karma >&3
    sees ' tea: 4\na&lt;b: -1\n'
    sees ' 4 tea\n-1 a&lt;b\n'
    printf '%s\n' '4 tea' '-1 a<b' | sort >"$dir/wanted"
    sort "$dir/karma" | cmp -s - "$dir/wanted" || fail 'karma: the counts in the file'
    mkdir "$dir/karma.new" # cannot be written now
    printf 'rain++\n' >&3
    prints "karma: cannot write $dir/karma.new"
    rmdir "$dir/karma.new"
    mkfifo "$dir/karma.new" # is replaced, not waited for
    printf '%s\n' /drop /wait 'rain++' '/expect rain: 2' >&3
    sees '/expect rain: 2: seen'
    # mentions and links are not counted, so no reply notifies anybody; nor what breaks a line
    printf '%s\n' '<!channel>++ <@U1>++ <http://a.b>++ <!subteam^S1|the ops>++ rain++' \
        '/expect rain: 3' "$(repeat 101 x)++ sun++" '/expect sun: 1' >&3
    sees '/expect sun: 1: seen'
    printf '%s\n' '/raw {"type":"message","channel":"C0SANDBOX","text":"a\u0000b++ snow++"}' \
        '/expect snow: 1' >&3
    sees '/expect snow: 1: seen'
    grep -q 'posted:.*<' "$dir/sandbox" && fail 'karma: a reply with a mention'
    [ "$(cut -d' ' -f2 "$dir/karma" | sort | tr '\n' ' ')" = 'a<b rain snow sun tea ' ] ||
        fail "karma: the things in the file: $(cat "$dir/karma")"
    kill $bot
    wait $bot || fail "bot ends with $?"
    bot=
done
start
seq 20 | sed 's/.*/& thing&/' >"$dir/karma"
"$build/karma" "$dir/karma" >"$dir/out" 2>&1 &
bot=$!
printf '%s\n' /wait karma >&3
sees " $(seq 20 -1 11 | sed 's/.*/& thing&\\n/' | tr -d '\n')"
[ "$(grep -c 'thing10' "$dir/sandbox")" = 0 ] || fail 'karma: the best ten'
kill $bot
wait $bot || fail "bot ends with $?"
bot=
# of 10,000 things each is counted, but no other one
start
seq 10000 | sed 's/.*/1 thing&/' >"$dir/karma"
"$build/karma" "$dir/karma" >"$dir/out" 2>&1 &
bot=$!
printf '%s\n' /wait 'thing7++ other++ thing8--' >&3
sees ' thing7: 2\nother: not counted, there are too many things\nthing8: 0\n'
[ "$(wc -l <"$dir/karma")" = 10000 ] || fail "karma: $(wc -l <"$dir/karma") things"
kill $bot
wait $bot || fail "bot ends with $?"
bot=
# a file that cannot be read, or has a line that is no count, is left as it is
for bad in '3' 'tea 3' '3 tea pot' '9999999999999999999999 tea' '5 tea'; do
    printf '1 tea\n%s\n' "$bad" >"$dir/karma"
    cp "$dir/karma" "$dir/kept"
    ends 1 "$dir/karma:2: expected COUNT THING" "$build/karma" "$dir/karma"
    cmp -s "$dir/karma" "$dir/kept" || fail 'karma: a bad file is overwritten'
done
ends 1 'not a regular file' "$build/karma" "$dir"
rm -f "$dir/pipe"
mkfifo "$dir/pipe"
ends 1 'not a regular file' "$build/karma" "$dir/pipe"
rm "$dir/karma"
ends 2 'usage: karma' "$build/karma"
unset SLACK_APP_TOKEN
ends 1 'token is not set' env SLACK_API_TOKEN= "$build/karma" "$dir/karma"
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong "$build/karma" "$dir/karma"
