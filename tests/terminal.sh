#!/bin/sh
# The sandbox at a terminal, as a user sees it: colours, the editor of the line that is typed, what
# is printed meanwhile, resizing, wide characters, its end. sh tests/terminal.sh BUILD
set -eu
build=$1
dir=$(mktemp -d)
bot=
trap 'screen kill-server 2>/dev/null || :; [ -z "$bot" ] || kill $bot 2>/dev/null || :; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP
export LC_ALL=C.UTF-8
screen() { TERM=xterm tmux -u -S "$dir/tmux" -f /dev/null "$@"; }
keys() { screen send-keys -t shell -- "$@"; }
fail() { echo "FAIL terminal: $1" >&2; screen capture-pane -t shell -p >&2 || :; exit 1; }
wait_for() { # TEXT COMMAND...: the command succeeds, or will within 20 s
    what=$1
    shift
    n=0
    until "$@"; do
        n=$((n + 1))
        [ $n -lt 200 ] || fail "$what"
        sleep 0.1
    done
}
is_shown() { # TEXT [FLAG]: a line of the screen is or begins so
    # shellcheck disable=SC2086 # a flag or nothing
    screen capture-pane -t shell -p ${2:-} | grep -qF -- "$1"
}
shows() { wait_for "not shown: $1" is_shown "$@"; }
coloured() { # NUMBER ACTOR TEXT: the actor's name has this colour
    shows "$(printf '\033[%sm%-7s |' "$1" "$2")" -e
    screen capture-pane -t shell -p -e | grep -F "$(printf '\033[%sm%-7s |' "$1" "$2")" | grep -qF -- "$3" ||
        fail "$2 says in its colour: $3"
}
is_typed() { # LINES: the last lines of the screen are these
    count=$(printf '%s\n' "$1" | wc -l)
    [ "$(screen capture-pane -t shell -p | sed '/^$/d' | tail -n "$count")" = "$1" ]
}
typed() { wait_for "not typed: $1" is_typed "$1"; }
wrapped() { # WIDTH TEXT: the prompt and the text in rows of this width
    python3 -c "
import sys, unicodedata
row, used = '', 0
for c in '> ' + sys.argv[2]:
    width = 2 if unicodedata.east_asian_width(c) in 'WF' else 1
    if used + width > int(sys.argv[1]):
        print(row)
        row, used = '', 0
    row, used = row + c, used + width
print(row)" "$@" | sed 's/ *$//'
}
post() { # TEXT: to an incoming webhook, which prints it
    python3 -c "import json, sys, urllib.request as r
r.urlopen(r.Request('http://localhost:$(cat "$dir/port")/services/x',
                    json.dumps({'text': sys.argv[1]}).encode(),
                    {'Content-Type': 'application/json'}))" "$1"
}
is_above() { # TEXT WIDTH LINE: what is printed is whole and on the line above the one that is typed
    rows=$(wrapped "$2" "$3" | wc -l)
    [ "$(screen capture-pane -t shell -p | sed '/^$/d' | tail -n $((rows + 1)))" = "webhook | $1
$(wrapped "$2" "$3")" ]
}
stays_typed() { # TEXT WIDTH LINE: so it is, and the line is on the screen once
    post "$1"
    wait_for "what is printed is above the line that is typed: $1" is_above "$@"
    [ "$(screen capture-pane -t shell -p | grep -c '^> ')" = 1 ] || fail "the line is hidden meanwhile: $1"
}
has_size() { [ "$(stty size <"$(screen display-message -t shell -p '#{pane_tty}')")" = "$2 $1" ]; }
resize() { # COLUMNS ROWS: tmux passes them on to the terminal a little later
    screen resize-window -t shell -x "$1" -y "$2"
    wait_for "no size of $1 columns" has_size "$@"
}
begin() { # NAME=VALUE: a shell on a screen of 100 columns, and in it the sandbox
    screen kill-session -t shell 2>/dev/null || :
    screen new-session -d -s shell -x 100 -y 50 "env PS1=shell: HOME=/ $1 sh"
    shows shell:
    rm -f "$dir/port"
    keys "$build/sandbox --plain --port 0 --port-file $dir/port; echo ended: \$?" Enter
    shows 'sandbox | listening'
    wait_for 'no port' test -s "$dir/port"
}
connect() { # a bot, which says "from the bot"
    python3 - "$(cat "$dir/port")" <<'END' &
import json, re, socket, struct, sys, urllib.request as r
port = int(sys.argv[1])
call = r.Request(f'http://localhost:{port}/api/rtm.connect', b'', {'Authorization': 'Bearer xoxb-x'})
path = re.search(r'//[^/]*(.*)', json.load(r.urlopen(call))['url'])[1]
bot = socket.create_connection(('localhost', port))
bot.sendall(f'GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
            'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
            .encode())
bot.recv(4096)
text = b'{"id":1,"type":"message","channel":"C0SANDBOX","text":"from the bot"}'
bot.sendall(struct.pack('BB4x', 0x81, 0x80 | len(text)) + text)
while bot.recv(4096):
    pass
END
    bot=$!
}
screen new-session -d -s keeper -x 9 -y 9 cat # keeps the server

begin TERM=screen
coloured 2 sandbox listening
keys /goo Tab
typed '> /goodbye'
keys C-u /slee Tab ' 1' Enter
keys /hepx Left BSpace l Right BSpace p Enter # he-p-x: l for p, p for x
shows 'An incoming webhook'
keys Up
typed '> /help'
keys Up C-a
typed '> /sleep 1'
keys C-k /expection Enter
coloured 31 sandbox 'no such command: /expection'
keys '/slow 0' Enter
coloured 33 slack '/slow: the Web API'

# Typed while a line waits; /help does not wait; a lone escape key stops nothing; what is printed is
# above the line that is typed.
keys C-l hello Enter
shows 'no bot is connected, waiting for one'
keys C-l /help Enter
shows 'An incoming webhook'
long='half a line that goes on and on: so long is it that the whole of it needs,'
long="$long without any doubt, two rows of the screen"
keys C-l "$long"
typed "$(wrapped 100 "$long")"
keys Escape
stays_typed 'from afar' 100 "$long"

# After the terminal has another size, before the next key and after it.
resize 60 40
stays_typed 'in a narrow window' 60 "$long"
resize 45 40
keys x
typed "$(wrapped 45 "${long}x")"
stays_typed 'in a narrower one' 45 "${long}x"
resize 100 50
stays_typed 'in a wide window' 100 "${long}x"

# Wide characters take two columns; the 49th does not fit in the first row.
wide=a$(printf '%049d' 0 | sed 's/0/語/g')
keys C-u C-l "$wide"
typed "$(wrapped 100 "$wide")"
stays_typed 'around the world' 100 "$wide"
narrow=$(printf '%060d' 0 | sed 's/0/é/g')
keys C-u C-l "$narrow"
typed "$(wrapped 100 "$narrow")"
stays_typed 'in one row' 100 "$narrow"

# A bot: the line that waits is sent, and each has its colour.
keys C-u C-l
connect
coloured 36 human hello
coloured 32 bot 'from the bot'
python3 -c "import urllib.request as r
r.urlopen(r.Request('http://localhost:$(cat "$dir/port")/api/chat.postMessage',
                    b'channel=C0SANDBOX&text=posted', {'Authorization': 'Bearer xoxb-x'}))"
coloured 32 bot/api posted
kill $bot
bot=
shows 'bot disconnected'
keys 'another line that waits' Enter
shows 'waiting for one'
keys /quit Enter
shows 'ended: 0'
keys 'stty -a' Enter
shows ' icanon '

begin TERM=screen
keys hello Enter
shows 'waiting for one'
keys C-c
shows 'ended: 0'
keys 'stty -a' Enter
shows ' icanon '

begin TERM=screen
keys '/expect nothing that anybody says' Enter
shows 'the bot has not said this'
keys /wai Tab C-u C-d
shows 'ended: 0'

begin NO_COLOR=1
screen capture-pane -t shell -p -e | grep -q "$(printf '\033\\[2m')" && fail 'colours with NO_COLOR'
keys /quit Enter
shows 'ended: 0'
begin TERM=dumb
screen capture-pane -t shell -p -e | grep -q "$(printf '\033\\[2m')" && fail 'colours with TERM=dumb'
keys hello Enter
shows 'waiting for one'
keys /quit Enter
shows 'ended: 0'
echo 'PASS the sandbox at a terminal'
