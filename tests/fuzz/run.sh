#!/bin/sh
# run.sh [SECONDS] - fuzzes each target for this long (default: $FUZZ_TIME, else 60), one by one.
#
# Needs clang with libFuzzer. Inputs that reach something new are kept in build/fuzz/corpus-TARGET
# and tried again the next time; an input that shows a fault is left in build/fuzz/TARGET-*, to be
# run again with build/fuzz/TARGET FILE. Prints a table, and exits 1 if there was a finding.
set -u
cd "$(dirname "$0")/../.." || exit 2
seconds=${1:-${FUZZ_TIME:-60}}
out=build/fuzz
targets='http ws json walk tame url config pem session'
flags='-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -std=c99 -g -O1 -I.'

for target in $targets; do
    mkdir -p "$out/corpus-$target"
    # shellcheck disable=SC2086 # a list of words
    ${CLANG:-clang} $flags "tests/fuzz/$target.c" -o "$out/$target" -lbearssl || exit 2
done

status=0
printf '%-8s %12s %9s %9s\n' target executions coverage findings
for target in $targets; do
    find "$out" -maxdepth 1 -name "$target-*" -delete
    "$out/$target" -max_total_time="$seconds" -timeout=10 -max_len=4096 -print_final_stats=1 \
        -dict="tests/fuzz/$target.dict" -artifact_prefix="$out/$target-" \
        "$out/corpus-$target" "tests/fuzz/corpus/$target" >"$out/$target.log" 2>&1
    code=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$target.log")
    coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$out/$target.log" | tail -n 1)
    findings=$(find "$out" -maxdepth 1 -name "$target-*" | wc -l)
    printf '%-8s %12s %9s %9s\n' "$target" "${runs:--}" "${coverage:--}" "$findings"
    [ "$code" = 0 ] && [ "$findings" = 0 ] && continue
    status=1
    grep -E '^(SUMMARY|tests/fuzz)|runtime error|ERROR: ' "$out/$target.log" | head -n 3
    find "$out" -maxdepth 1 -name "$target-*"
done
exit $status
