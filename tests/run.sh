#!/bin/sh
# Runs the given test programs, prints failures and a line for each program, exits 1 if any failed.
set -u
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A child of a test starts a lookup thread, which clang's ThreadSanitizer must permit.
export TSAN_OPTIONS=die_after_fork=0
failed=0 passed=0
for program in "$@"; do
    unset HTTPS_PROXY https_proxy HTTP_PROXY http_proxy NO_PROXY no_proxy SSL_CERT_FILE
    if "$program" >"$log" 2>&1; then
        n=$(grep -c '^\[       OK \]' "$log")
        passed=$((passed + n))
        echo "PASS ${program##*/} ($n tests)"
    else
        failed=$((failed + 1))
        grep -v '^\[ RUN\|^\[       OK' "$log"
        echo "FAIL ${program##*/}"
    fi
done
echo "$passed tests passed, $failed programs failed"
[ $failed = 0 ]
