#!/bin/sh
# linear.sh - loops over JSON arrays and objects cost instructions in proportion to the document,
# however they are nested and interleaved: counted by valgrind at n, 2n and 4n elements.
#
# Prints a table, and exits 1 if 4n elements cost at least 4.6 times as much as n: a factor of four,
# plus what the logarithm and the first megabyte of memory add.
set -u
cd "$(dirname "$0")/.." || exit 2
mkdir -p build/test
${CC:-cc} -std=c99 -O2 -g -I. tests/linear.c -o build/test/linear -lbearssl || exit 2

# instructions SHAPE N
instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null build/test/linear "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

status=0
printf '%-12s %12s %12s %12s %6s\n' shape n 2n 4n 4n/n
# In three_deep 4n elements are 76,000 values.
for shape in five_deep three_deep six_siblings objects random; do
    n=$(instructions $shape 4000) n2=$(instructions $shape 8000) n4=$(instructions $shape 16000)
    [ -n "$n" ] && [ -n "$n2" ] && [ -n "$n4" ] || { echo "$shape did not run" >&2; exit 1; }
    ratio=$(awk "BEGIN { printf \"%.2f\", $n4 / $n }")
    printf '%-12s %12s %12s %12s %6s\n' $shape "$n" "$n2" "$n4" "$ratio"
    awk "BEGIN { exit !($n4 < 4.6 * $n) }" || status=1
done
[ $status = 0 ] && echo 'PASS linear: loops over JSON' || echo 'FAIL linear: not in proportion'
exit $status
