# download: shared files are saved as they are, the same name twice too; an empty file; the token goes
# to FILES_URL only
saves() { # NAME: the file of this name is the one that was shared
    prints "$dir/saved/$2: "
    cmp -s "$1" "$dir/saved/$2" || fail "download: $2 is not the file that was shared"
}
get() { # DIRECTORY: starts it
    "$build/download" "$1" >"$dir/out" 2>&1 &
    bot=$!
    echo /wait >&3
}
leave() {
    kill $bot
    wait $bot || fail "download ends with $?"
    bot=
}
host=localhost
if getent hosts files.localhost >/dev/null; then host=files.localhost; fi # as the sandbox does
FILES_URL=https://$host:$(cat "$dir/port")/files/
export FILES_URL
rm -rf "$dir/saved"
mkdir "$dir/saved"
seq 300000 >"$dir/numbers.txt"
: >"$dir/nothing.txt"
printf '<p>hello</p>\n' >"$dir/page.html"
get "$dir/saved"
printf '%s\n' "/share $dir/numbers.txt" >&3
saves "$dir/numbers.txt" numbers.txt
echo kept >"$dir/saved/numbers.txt.1"
printf '%s\n' "/share $dir/numbers.txt" >&3
saves "$dir/numbers.txt" numbers.txt.2
[ "$(cat "$dir/saved/numbers.txt.1")" = kept ] || fail 'download: a file is overwritten'
ln -s nowhere "$dir/saved/page.html"
printf '%s\n' "/share $dir/page.html" "/share $dir/nothing.txt" >&3
saves "$dir/page.html" page.html.1
saves "$dir/nothing.txt" nothing.txt
[ ! -e "$dir/saved/nowhere" ] || fail 'download: a link is followed'

# names that lead elsewhere, hide a file or control the terminal; F0SANDBOX1 is numbers.txt
shared() { # NAME URL SIZE
    printf '/raw {"type":"message","subtype":"file_share","channel":"C0SANDBOX","files":[{'
    printf '"name":"%s","mimetype":"text/plain","size":%s,"url_private_download":"%s"}]}\n' "$1" "$3" "$2"
}
size=$(wc -c <"$dir/numbers.txt")
url=${FILES_URL}F0SANDBOX1/x
shared '../../up' "$url" "$size" >&3
saves "$dir/numbers.txt" _._.._up
shared '..' "$url" "$size" >&3
saves "$dir/numbers.txt" _.
shared '.\u001b[2J\u0000/\u009b \u202e' "$url" "$size" >&3
prints "$dir/saved/__"
# what is not the file: other sizes, no file, other servers
shared short "$url" 7 >&3
prints 'short is not saved: it is larger than announced'
shared shorter "$url" $((size - 10)) >&3
prints 'shorter is not saved: it is larger than announced'
shared long "$url" $((size + 1)) >&3
prints 'long is not saved: it is smaller than announced'
shared none "${FILES_URL}F0/x" 1 >&3
prints 'none is not saved: '
prints 'HTTP 404'
shared far 'https://127.0.0.1:1/x' 1 >&3
prints 'far is not saved: its URL is not one of FILES_URL'
shared near "${FILES_URL%/files/}.example.com/x" 1 >&3
prints 'near is not saved: its URL is not one of FILES_URL'
echo x >"$dir/small.txt" # smaller than the page
printf '%s\n' '/scope off' "/share $dir/numbers.txt" "/share $dir/small.txt" >&3
prints 'numbers.txt is not saved: Slack sent its login page: the token needs the scope files:read'
prints 'small.txt is not saved: Slack sent its login page: the token needs the scope files:read'
for left in short shorter long none far near numbers.txt.3 small.txt; do
    [ ! -e "$dir/saved/$left" ] || fail "download: $left is left"
done
leave
[ "$(find "$dir/saved" | wc -l)" = 10 ] || fail "download: $(ls -A "$dir/saved")"

# a file that cannot be written completely
start
FILES_URL=https://$host:$(cat "$dir/port")/files/
rm -r "$dir/saved"
mkdir "$dir/saved"
(trap '' XFSZ && ulimit -f 100 && exec "$build/download" "$dir/saved") >"$dir/out" 2>&1 &
bot=$!
printf '%s\n' /wait "/share $dir/numbers.txt" >&3
prints 'numbers.txt is not saved: File too large'
[ "$(find "$dir/saved" | wc -l)" = 1 ] || fail "download: $(ls -A "$dir/saved")"
leave

# a directory that is gone, and none
start
FILES_URL=https://$host:$(cat "$dir/port")/files/
mkdir "$dir/gone"
get "$dir/gone"
sees 'bot connected'
rmdir "$dir/gone"
printf '%s\n' "/share $dir/page.html" >&3
prints 'page.html is not saved: No such file'
leave
unset FILES_URL
ends 2 'usage: download' "$build/download"
ends 1 'No such file' "$build/download" "$dir/gone"
ends 1 'set SLACK_API_TOKEN' env SLACK_API_TOKEN= "$build/download" "$dir/saved"
ends 1 'must end with' env FILES_URL=https://files.slack.com "$build/download" "$dir/saved"
