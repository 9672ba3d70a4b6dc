# post: texts as they are and in pieces, a reply in a thread, a file
post=$build/post
echo 'up 3 days & <well>' | "$post" '#ops' >"$dir/out" || fail 'post'
sees 'posted: up 3 days &amp; &lt;well&gt;\n'
echo below | "$post" -t "$(cat "$dir/out")" '#ops' >"$dir/out2" || fail 'post -t'
sees "posted in thread $(cat "$dir/out"): below"
does '/ratelimit 1' # the next call, which is chat.postMessage
echo later | "$post" '#ops' >"$dir/out" 2>&1 || fail 'post at a rate limit'
sees 'chat.postMessage: ratelimited for 1 s'
sees 'posted: later\n'
prints 'rate limited: the next attempt is in 1 s'
seq 400000 >"$dir/file"
"$post" -t 1.2 -f "$dir/file" C0SANDBOX >"$dir/out" 2>&1 || fail 'post -f'
sees "uploaded file: $(wc -c <"$dir/file") bytes, SHA-256 $(sha256sum "$dir/file" | cut -c1-8)"
sees 'shared the file file'
sees 'posted in thread 1.2: [files] file'

start
{ repeat 1999 a; echo; repeat 1999 b; echo; repeat 1999 c; } | "$post" '#lines' >"$dir/out"
{ repeat 4000 é; echo; echo; } | "$post" '#characters' >>"$dir/out"
repeat 4001 x | "$post" '#line' >>"$dir/out"
[ "$(wc -l <"$dir/out")" = 5 ] || fail 'a time stamp for each message'
printf 'posted: %s\n' "$(repeat 1999 a)\\n$(repeat 1999 b)" "$(repeat 1999 c)" "$(repeat 4000 é)" \
    "$(repeat 4000 x)" x >"$dir/wanted"
grep -o 'posted: .*' "$dir/sandbox" | cmp -s - "$dir/wanted" || fail 'a long text in messages'

# post: white space at the end of a long text is no message of its own, Slack would refuse it
start
{ repeat 4000 x; printf '\n  \t\r\n'; } | "$post" '#blank' >"$dir/out" || fail 'post with blank lines'
[ "$(wc -l <"$dir/out")" = 1 ] || fail 'a blank message is posted'

# post: what it refuses, and what Slack refuses
ends 2 'usage: post' "$post"
ends 2 'usage: post' "$post" -x C1
ends 1 'there is nothing to post' "$post" C1 </dev/null
ends 1 '-f posts it as a file' "$post" C1 <"$post"
printf '\377' | ends 1 'not valid UTF-8' "$post" C1
{ echo good; repeat 90000 "$(printf '\200')"; } | LC_ALL=C ends 1 'not valid UTF-8' "$post" C1
ends 1 '/no/such/file: No such file' "$post" -f /no/such/file C1
ends 1 'not a regular file' "$post" -f "$dir" C1
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong "$post" C1 <"$0"
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong "$post" -f "$0" C1
ends 1 'token is not set' env SLACK_API_TOKEN= SLACK_API_URL= "$post" C1 <"$0"
ends 1 'cannot be written' sh -c 'echo x | "$1" C1 >/dev/full' sh "$post"

# post: a pipe as a file is refused and not waited for; a file that is shorter than its size says so
rm -f "$dir/pipe"
mkfifo "$dir/pipe"
ends 1 'not a regular file' "$post" -f "$dir/pipe" C1
: >"$dir/empty"
ends 1 'the file is empty' "$post" -f "$dir/empty" C1
short=/sys/kernel/mm/transparent_hugepage/enabled # 4,096 bytes by its size, fewer when it is read
[ ! -f $short ] || ends 1 "$short: the file became shorter while it was read" "$post" -f $short C1

# post: a rate limit of each request for a file is waited for
start
printf '%s\n' '/ratelimit files.getUploadURLExternal 1' '/ratelimit files.completeUploadExternal 1' >&3
sees '/ratelimit: files.completeUploadExternal'
"$post" -f "$dir/file" C0SANDBOX >"$dir/out" 2>&1 || fail 'post -f at a rate limit'
sees 'files.getUploadURLExternal: ratelimited for 1 s'
sees 'shared the file file'
