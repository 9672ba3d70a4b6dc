# slash_commands: who may, a reply in the acknowledgement, one that is posted later, a button
SLACK_APP_TOKEN=xapp-sandbox ALLOWED_USERS=U1,U0HUMAN "$build/slash_commands" >"$dir/out" 2>&1 &
bot=$!
printf '%s\n' /wait '/slash /unknown' '/slash /load' '/slash /backup' '/click backup' >&3
sees 'acknowledged /unknown'
sees 'answers /load (only for you): [blocks] load *'
sees 'answers /backup (only for you): backing up ...'
sees 'answers backup (only for you): a backup is running already'
sees 'answers /backup (only for you): backed up'
# a backup whose result was not posted is reported, if the signal arrives before its end
echo '/slash /backup' >&3
sees 'answers /backup (only for you): backing up ...' 2
kill $bot
wait $bot || fail "slash_commands ends with $?"
bot=
grep -q 'the backup was interrupted\|the result is not posted' "$dir/out" ||
    sees 'answers /backup (only for you): backed up' 2
start
printf '%s\n' '/http 500' '/link on' >&3
sees '/link: Socket Mode is on'
SLACK_APP_TOKEN=xapp-sandbox ALLOWED_USERS="U0HUMA U0HUMANS" "$build/slash_commands" >"$dir/out" 2>&1 &
bot=$!
printf '%s\n' /wait '/slash /load' '/click backup' >&3
sees 'answers /load (only for you): this is not for you'
sees 'answers backup (only for you): this is not for you'
prints 'HTTP 500'
kill $bot
wait $bot || fail "slash_commands ends with $?"
# an id is compared as a whole, also with a NUL in it; a response_url that does not fit is not used:
# otherwise the last command would find a backup running
command() { # USER RESPONSE_URL ENVELOPE
    printf '/raw {"envelope_id":"%s","type":"slash_commands","accepts_response_payload":true,' "$3"
    printf '"payload":{"command":"/backup","user_id":"%s","response_url":"%s"}}\n' "$1" "$2"
}
start
server=${SLACK_API_URL%/api/}
SLACK_APP_TOKEN=xapp-sandbox ALLOWED_USERS=U0HUMAN "$build/slash_commands" >"$dir/out" 2>&1 &
bot=$!
echo /wait >&3
command 'U0HUMAN\u0000x' "$server/response/x" E1 >&3
command U0HUMAN "$server/response/$(repeat 3000 x)" E2 >&3
command U0HUMAN "$server/services/x" E3 >&3
sees 'webhook | backed up' 1
kill $bot
wait $bot || fail "slash_commands ends with $?"
bot=
ends 1 'app_token' env SLACK_APP_TOKEN="" "$build/slash_commands"
