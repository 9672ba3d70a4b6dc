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

# the end of the program within a file, here by SIGXFSZ: nothing has the file's name; the next run
# replaces what is left, and follows no link in its place
(ulimit -c 0 && ulimit -f 100 && exec "$build/download" "$dir/saved") >"$dir/out" 2>&1 &
bot=$!
printf '%s\n' /wait "/share $dir/numbers.txt" >&3
if wait $bot 2>/dev/null; then fail 'download: it does not end by SIGXFSZ'; fi
bot=
[ ! -e "$dir/saved/numbers.txt" ] || fail 'download: an incomplete file has its name'
[ -s "$dir/saved/.numbers.txt.part" ] || fail "download: $(ls -A "$dir/saved")"
ln -s nowhere "$dir/saved/.small.txt.part"
start
FILES_URL=https://$host:$(cat "$dir/port")/files/
get "$dir/saved"
printf '%s\n' "/share $dir/numbers.txt" "/share $dir/small.txt" >&3
saves "$dir/numbers.txt" numbers.txt
saves "$dir/small.txt" small.txt
[ ! -e "$dir/saved/nowhere" ] || fail 'download: a link is followed'
[ "$(find "$dir/saved" | wc -l)" = 3 ] || fail "download: $(ls -A "$dir/saved")"

# a rate limit is waited for; 300 files at once are more than rtm.h's queue has room for
does '/ratelimit 1'
printf '%s\n' "/share $dir/page.html" >&3
prints 'page.html waits: '
saves "$dir/page.html" page.html
many() { # COUNT: F0SANDBOX2 is small.txt
    printf '/raw {"type":"message","subtype":"file_share","channel":"C0SANDBOX","files":['
    repeat $(($1 - 1)) '{"name":"many","size":2,"url_private_download":"'"${FILES_URL}"'F0SANDBOX2/x"},'
    printf '{"name":"last","size":2,"url_private_download":"%sF0SANDBOX2/x"}]}\n' "$FILES_URL"
}
many 300 >&3
saves "$dir/small.txt" last
prints /many 299
many 1002 >&3
prints 'many is not saved: too many files wait'
prints 'last is not saved: too many files wait'
kill $bot
wait $bot || fail "download ends with $?"
bot=
[ -z "$(find "$dir/saved" -name '.*')" ] || fail "download: $(ls -A "$dir/saved")"

# a limit without end
cat >"$dir/limited.py" <<'END'
import http.server, ssl, sys
class Limited(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(429)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()
server = http.server.HTTPServer(("localhost", 0), Limited)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1] + ".pem", sys.argv[1] + ".key")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
END
start
python3 "$dir/limited.py" "$build/certs/server" >"$dir/limited" 2>/dev/null &
limited=$! bot=$!
said limited ''
FILES_URL=https://localhost:$(cat "$dir/limited")/files/
get "$dir/saved"
bot="$bot $limited" # a failure ends both
shared limited "${FILES_URL}x" 1 >&3
prints 'limited is not saved: '
[ "$(grep -c 'limited waits: ' "$dir/out")" = 4 ] || fail 'download: it does not try 5 times'
bot=${bot% *}
leave
kill $limited
wait $limited 2>/dev/null || :

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
