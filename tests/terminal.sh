#!/bin/sh
# The sandbox at a terminal, as a person sees it: colours, the editor of the line that is typed,
# what is printed meanwhile, its end. sh tests/terminal.sh BUILD
set -eu
build=$1
dir=$(mktemp -d)
trap 'screen kill-server 2>/dev/null || :; rm -rf "$dir"' EXIT
screen() { TERM=xterm tmux -S "$dir/tmux" -f /dev/null "$@"; }
keys() { screen send-keys -- "$@"; }
fail() { echo "FAIL terminal: $1" >&2; screen capture-pane -p >&2 || :; exit 1; }
shows() { # TEXT [FLAG]: a line of the screen is or begins so, or will within 20 s
    n=0
    # shellcheck disable=SC2086 # a flag or nothing
    until screen capture-pane -p ${2:-} | grep -qF -- "$1"; do
        n=$((n + 1))
        [ $n -lt 200 ] || fail "not shown: $1"
        sleep 0.1
    done
}
begin() { # NAME=VALUE: a shell on a screen of 100 columns, and in it the sandbox
    screen kill-session 2>/dev/null || :
    screen new-session -d -x 100 -y 50 "env PS1=shell: HOME=/ $1 sh"
    shows shell:
    rm -f "$dir/port"
    keys "$build/sandbox --plain --port 0 --port-file $dir/port; echo ended: \$?" Enter
    shows 'sandbox | listening'
}
screen new-session -d -x 9 -y 9 cat # keeps the server

begin TERM=screen
shows "$(printf '\033[2msandbox |')" -e
keys /goo Tab
shows '> /goodbye'
keys C-u /slee Tab ' 1' Enter
shows '> /sleep 1'
keys /hepx Left BSpace l Right BSpace p Enter # he-p-x: l for p, p for x
shows 'An incoming webhook'
keys Up Up C-a
shows '> /sleep 1'
keys C-k hello Enter
shows 'no bot is connected, waiting for one'

# Typed while a line waits; a lone escape key stops nothing; what is printed stands above.
long='half a line that goes on and on: so long is it that the whole of it needs,'
long="$long without any doubt, two rows of the screen"
keys "$long"
keys Escape
python3 -c "import urllib.request as r
r.urlopen(r.Request('http://localhost:$(cat "$dir/port")/services/x', b'{\"text\":\"from afar\"}',
                    { 'Content-Type': 'application/json' }))"
wanted=$(echo "> $long" | fold -w 100 | sed 's/ *$//')
n=0
until [ "$(screen capture-pane -p | grep -A2 'from afar' | sed 1d)" = "$wanted" ]; do
    n=$((n + 1))
    [ $n -lt 200 ] || fail 'what is printed stands above the line that is typed'
    sleep 0.1
done
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
screen capture-pane -p -e | grep -q "$(printf '\033\\[2m')" && fail 'colours with NO_COLOR'
keys /quit Enter
shows 'ended: 0'
begin TERM=dumb
screen capture-pane -p -e | grep -q "$(printf '\033\\[2m')" && fail 'colours with TERM=dumb'
keys /quit Enter
shows 'ended: 0'
echo 'PASS the sandbox at a terminal'
