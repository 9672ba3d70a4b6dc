# karma: counts and lists in both worlds, keeps the counts in its file, outlives what goes wrong in a
# callback, and says why it cannot begin
for app in '' xapp-sandbox; do
    start
    if [ "$app" ]; then export SLACK_APP_TOKEN=$app; fi
    printf '3 tea\n' >"$dir/karma"
    "$build/karma" "$dir/karma" >"$dir/out" 2>&1 &
    bot=$!
    printf '%s\n' /wait 'tea++ and <@U1>-- but not ++ or x' 'nothing to count' karma >&3
    sees ' tea: 4\n<@U1>: -1\n'
    sees ' 4 tea\n-1 <@U1>\n'
    printf '%s\n' '4 tea' '-1 <@U1>' | sort >"$dir/wanted"
    sort "$dir/karma" | cmp -s - "$dir/wanted" || fail 'karma: the counts in the file'
    mkdir "$dir/karma.new" # cannot be written now
    printf 'rain++\n' >&3
    prints "karma: cannot write $dir/karma.new"
    rmdir "$dir/karma.new"
    printf '%s\n' /drop /wait 'rain++' '/expect rain: 2' >&3
    sees '/expect rain: 2: seen'
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
ends 1 'usage: karma' "$build/karma"
unset SLACK_APP_TOKEN
ends 1 'token is empty' env SLACK_API_TOKEN= "$build/karma" "$dir/karma"
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong "$build/karma" "$dir/karma"
