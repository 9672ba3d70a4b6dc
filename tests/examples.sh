#!/bin/sh
# Each example against the sandbox: what it prints, what the sandbox sees, how it ends.
# sh tests/examples.sh BUILD [NAME...]: all of tests/examples, or those named
set -eu
build=$1
shift
all=$(mktemp -d)
trap 'rm -rf "$all"' EXIT
trap 'exit 1' INT TERM HUP
unset HTTPS_PROXY https_proxy HTTP_PROXY http_proxy SLACK_APP_TOKEN
export SLACK_API_TOKEN=xoxb-sandbox SSL_CERT_FILE="$build/certs/ca.pem"

fail() { # with the end of what the sandbox and the example have printed
    echo "$name: $1" >&2
    for file in sandbox out; do
        echo "--- the last lines of $file:"
        tail -n 30 "$dir/$file" | cut -c1-200
    done >&2
    exit 1
}
start() { # a new sandbox, with lines from a pipe: any channel exists, lines are sent verbatim
    stop
    rm -f "$dir/port" "$dir/lines"
    : >"$dir/out"
    mkfifo "$dir/lines"
    "$build/sandbox" --lenient --port 0 --port-file "$dir/port" --cert "$build/certs/server.pem" \
        --key "$build/certs/server.key" <"$dir/lines" >"$dir/sandbox" 2>&1 &
    sandbox=$!
    exec 3>"$dir/lines"
    n=0
    while [ ! -s "$dir/port" ]; do
        n=$((n + 1))
        [ $n -lt 300 ] || fail 'the sandbox does not start'
        sleep 0.1
    done
    SLACK_API_URL="https://localhost:$(cat "$dir/port")/api/"
    export SLACK_API_URL
}
begin() { # COMMAND...: starts it as $bot; `out` has nothing from an earlier one
    : >"$dir/out"
    "$@" >"$dir/out" 2>&1 &
    bot=$!
}
stop() {
    [ -n "$sandbox" ] || return 0
    exec 3>&-
    kill "$sandbox" 2>/dev/null || :
    wait "$sandbox" || :
    sandbox=
}
said() { # FILE TEXT [COUNT]: waits up to 30 s until TEXT is in FILE, on COUNT lines
    n=0
    until [ "$(grep -cF -- "$2" "$dir/$1")" -ge "${3:-1}" ]; do
        n=$((n + 1))
        [ $n -lt 300 ] || fail "$1 does not say: $2"
        sleep 0.1
    done
}
does() { # COMMAND...: the sandbox has carried them out
    done=$(grep -cF '/link: Socket Mode is on' "$dir/sandbox" || :)
    printf '%s\n' "$@" '/link on' >&3
    said sandbox '/link: Socket Mode is on' $((done + 1))
}
sees() { said sandbox "$@"; }   # the sandbox prints it
prints() { said out "$@"; }     # the example does
ends() { # CODE TEXT COMMAND...: it exits with CODE and says TEXT
    code=$1 text=$2 ended=0
    shift 2
    timeout 30 "$@" >"$dir/out" 2>&1 || ended=$?
    [ $ended = "$code" ] || fail "$* exits with $ended"
    grep -qF -- "$text" "$dir/out" || fail "$* does not say: $text"
}
repeat() { awk -v n="$1" -v c="$2" 'BEGIN { while (n-- > 0) printf "%s", c }'; } # COUNT TEXT

one() { # NAME: in a subshell, which ends at the first failure
    name=$1 dir=$all/$1
    sandbox='' bot=''
    trap 'for p in $sandbox $bot; do kill "$p" 2>/dev/null || :; done' EXIT
    trap 'exit 1' INT TERM HUP
    mkdir "$dir"
    : >"$dir/out"
    start
    # shellcheck source=/dev/null
    . "tests/examples/$name.sh"
    stop
}

# The others run too if one fails.
failed=0
[ $# -gt 0 ] || set -- tests/examples/*.sh
for example; do
    example=$(basename "$example" .sh)
    set +e
    (
        set -e
        one "$example"
    )
    code=$?
    set -e
    if [ $code = 0 ]; then
        echo "PASS example $example"
    else
        echo "FAIL example $example"
        failed=1
    fi
done
exit $failed
