# commands: who may, an answer in the acknowledgement, one that comes later, a button
SLACK_APP_TOKEN=xapp-sandbox ALLOWED_USERS=U1,U0HUMAN "$build/slash_commands" >"$dir/out" 2>&1 &
bot=$!
printf '%s\n' /wait '/slash /unknown' '/slash /load' '/slash /backup' '/click backup' >&3
sees 'acknowledged /unknown'
sees 'answers /load (for you alone): [blocks] load *'
sees 'answers /backup (for you alone): backing up ...'
sees 'answers backup (for you alone): one is under way'
sees 'answers /backup (for you alone): backed up'
kill $bot; bot=
start
printf '%s\n' '/http 500' '/link on' >&3
sees '/link: Socket Mode is on'
SLACK_APP_TOKEN=xapp-sandbox ALLOWED_USERS="U0HUMA U0HUMANS" "$build/slash_commands" >"$dir/out" 2>&1 &
bot=$!
printf '%s\n' /wait '/slash /load' '/click backup' >&3
sees 'answers /load (for you alone): this is not for you'
sees 'answers backup (for you alone): this is not for you'
grep -q 'HTTP 500' "$dir/out" || fail 'commands tells of an attempt that failed'
kill $bot; bot=
ends 1 'app_token' env SLACK_APP_TOKEN="" "$build/slash_commands"
