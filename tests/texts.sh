#!/bin/sh
# Text that is in several places must be the same: the quick start in rtm.h's comment, in
# README.md and in examples/quick_start.c; the licence in rtm.h and LICENSE; line lengths.
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

sed -n '/^   QUICK START$/,/^     With SLACK_API_TOKEN/p' rtm.h | sed '1d;$d;s/^  //' >"$out/header"
sed -n '/^```c$/,/^```$/p' README.md | sed '/^```c$/d;/^```$/q' | sed '$d' >"$out/readme"
cmp "$out/header" examples/quick_start.c || { echo "FAIL quick start: rtm.h"; exit 1; }
cmp "$out/readme" examples/quick_start.c || { echo "FAIL quick start: README.md"; exit 1; }
echo "PASS the quick start is one text"

sed -n '/^ \* LICENSE (MIT)$/,/^ \* ---/p' rtm.h | sed '1d;$d;s/^ \* *//' | tr -s ' \n' ' ' >"$out/a"
sed 1,2d LICENSE | tr -s ' \n' ' ' >"$out/b"
[ "$(sed 's/^ *//;s/ *$//' "$out/a")" = "$(sed 's/^ *//;s/ *$//' "$out/b")" ] ||
    { echo "FAIL licence: rtm.h and LICENSE differ"; exit 1; }
echo "PASS the licence is one text"

# The function that makes a server's text safe for a terminal is the same in all examples.
function_of() { sed -n '/^static char \*printable(/,/^}/p' "$1"; }
function_of examples/echo_bot.c >"$out/a"
[ -s "$out/a" ] || { echo "FAIL printable: examples/echo_bot.c has none"; exit 1; }
for file in examples/*.c examples/*.cc examples/loops/*.c; do
    function_of "$file" >"$out/b"
    [ ! -s "$out/b" ] || cmp "$out/a" "$out/b" || { echo "FAIL printable: $file"; exit 1; }
done
echo "PASS printable is one function"

long=$(awk 'length > 100 { print FILENAME ":" FNR }' rtm.h examples/*.c \
    examples/*/*.[ch] tests/*.[ch] tests/*/*.c)
[ -z "$long" ] || { echo "FAIL lines over 100 columns: $long"; exit 1; }
echo "PASS no line is over 100 columns"
