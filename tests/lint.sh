#!/bin/sh
# clang-tidy, cppcheck and gcc's analyzer over the implementation; all must be silent.
set -eu
echo "clang-tidy"
clang-tidy --quiet tests/compile/impl.c -- -std=c99 -I. 2>/dev/null
echo "cppcheck"
# It does not read the system's headers, so the POSIX macros that rtm.h checks are defined here.
# objectIndex: it does not see that eight bytes are loaded only if there are eight.
cppcheck --suppress=objectIndex --std=c99 --language=c --enable=warning,performance,portability --inline-suppr --quiet \
    --error-exitcode=1 -DRTM_IMPLEMENTATION -DEAI_FAIL=1 -DSA_RESTART=1 -DNULL=0 rtm.h
echo "gcc -fanalyzer"
# gcc 12 loses track of the owners of some blocks and reports leaks; the sanitizers find real ones.
out=$(gcc -std=c99 -fanalyzer -Wno-analyzer-malloc-leak -O1 -I. -c tests/compile/impl.c -o /dev/null 2>&1) || :
[ -z "$out" ] || { echo "$out"; exit 1; }
echo "lint: clean"
