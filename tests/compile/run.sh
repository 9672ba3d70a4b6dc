#!/bin/sh
# Compiles rtm.h in all supported ways, and checks the results.
set -eu
cd "$(dirname "$0")"
cc=${CC:-cc}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
strict="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Wstrict-prototypes -Werror -I../.."
bearssl=-I/usr/include/bearssl # as if vendored: its own warnings must stay silent

pass() { echo "PASS compile: $1"; }
compilers=$cc
case $cc in *clang*) other=gcc ;; *) other=clang ;; esac
command -v $other >/dev/null && compilers="$compilers $other"
for compiler in $compilers; do
    for std in c99 gnu99 c11 c17; do
        $compiler -std=$std $strict $bearssl -Os -c impl.c -o "$out/impl.o"
        for set in -DRTM_NO_THREADS -DRTMI_EPOLL=0 "-DRTM_NO_THREADS -DRTMI_EPOLL=0"; do
            # shellcheck disable=SC2086 # a list of words
            $compiler -std=$std $strict $bearssl $set -fsyntax-only impl.c
        done
        $compiler -std=$std $strict -fsyntax-only alone.c
        $compiler -std=$std $strict -fsyntax-only twice.c
    done
    $compiler -std=c99 $strict same_file.c -o "$out/same" -lbearssl && "$out/same"
    $compiler -std=c99 $strict two_a.c two_b.c -o "$out/two" -lbearssl && "$out/two"
    # A jsmn.h that was included before must be one that rtm.h can use, else there is an #error.
    for set in "" -DJSMN_STATIC -DJSMN_HEADER -DJSMN_PARENT_LINKS "-DJSMN_STRICT -DJSMN_STATIC" \
        "-DJSMN_PARENT_LINKS -DJSMN_STRICT"; do
        for order in before after; do
            case "$order $set" in
            *HEADER* | "before " | "before -DJSMN_ST"*)
                $compiler -std=c99 -I../.. $set -fsyntax-only jsmn_$order.c 2>"$out/error" && exit 1
                grep -q 'include rtm.h before jsmn.h' "$out/error" ;;
            *)
                $compiler -std=c99 -Wall -Wextra -Werror -I../.. $set jsmn_$order.c \
                    -o "$out/jsmn" -lbearssl && "$out/jsmn" ;;
            esac
        done
    done
    pass "$compiler, C99 to C17, alone, twice, two files, jsmn before, after, no threads, no epoll"
done
$cc -std=c99 -I../.. -c impl.c -o "$out/impl.o"
for compiler in g++ clang++; do
    command -v $compiler >/dev/null || continue
    for std in c++11 c++17; do
        $compiler -std=$std -pedantic -Wall -Wextra -Wconversion -Wshadow -Werror -I../.. \
            -c public.cc -o "$out/public.o"
        $compiler "$out/public.o" "$out/impl.o" -o "$out/cpp" -lbearssl && "$out/cpp"
    done
    pass "$compiler, public part as C++11 and C++17"
done
other=$(nm -g --defined-only "$out/impl.o" | awk '{ print $3 }' | grep -v '^rtm_' || :)
[ -z "$other" ] || { echo "FAIL exported without rtm_: $other"; exit 1; }
pass "only rtm_ symbols are exported"
if $cc -std=c99 -I../.. -fsyntax-only hidden.c 2>"$out/error"; then
    echo "FAIL POSIX hidden: compiles, but must say what to do"; exit 1
fi
grep -q '_POSIX_C_SOURCE' "$out/error"
pass "POSIX hidden: an #error says what to do"
