#!/bin/sh
# Every row of PARITY.md's first table must name a test that exists and is run. The other table is
# compared by tests/reconnect.c with what it measures.
set -eu
cd "$(dirname "$0")"
missing=0 rows=0
for name in $(sed -n 's/^|.*| `\([a-z0-9_]*\)` |$/\1/p' PARITY.md); do
    rows=$((rows + 1))
    [ "$(grep -c "\b$name\b" ./*.c | awk -F: '{ n += $2 } END { print n }')" -ge 2 ] || {
        echo "FAIL parity: no test is called $name"
        missing=$((missing + 1))
    }
done
[ $rows -ge 60 ] && [ $rows = $(($(sed '/^## /,$d' PARITY.md | grep -c '^|') - 2)) ] || {
    echo "FAIL parity: $rows rows name a test"
    exit 1
}
[ $missing = 0 ] && echo "PASS parity: $rows rows, each with its test"
