#!/bin/sh
# Installs what is missing of what the named things need: sh tests/deps.sh build test interop ...
# A thing that is there already is left alone, whoever installed it.
set -eu

missing=
need() { # PACKAGE PROBE...: adds the package when the probe fails
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
header() { printf '#include <%s>\n' "$1" | ${CC:-cc} -E - ; }
have() { command -v "$1"; }

for thing in "$@"; do
    case $thing in
    build)
        need gcc have "${CC:-cc}"
        need libc6-dev header stdio.h
        need libbearssl-dev header bearssl.h
        need libjsmn-dev header jsmn.h ;;
    sandbox)
        need libwebsockets-dev header libwebsockets.h
        need libssl-dev header openssl/ssl.h
        need libcjson-dev header cjson/cJSON.h
        need openssl have openssl ;;
    test)
        need libcmocka-dev header cmocka.h
        need libuv1-dev header uv.h
        need g++ have g++
        need tinyproxy-bin have tinyproxy
        need python3 have python3 ;;
    install)
        need pkg-config have pkg-config
        need cmake have cmake
        need meson have meson
        need ninja-build have ninja ;;
    docs)
        need doxygen have doxygen
        need python3 have python3 ;;
    interop)
        need nodejs have node
        need npm have npm ;;
    valgrind) need valgrind have valgrind ;;
    strace) need strace have strace ;;
    bench)
        need valgrind have valgrind
        need gnuplot-nox have gnuplot
        need libcurl4-openssl-dev header curl/curl.h
        need nodejs have node
        need npm have npm
        need golang-go have go
        need golang-github-slack-go-slack-dev ls /usr/share/gocode/src/github.com/slack-go/slack ;;
    fuzz)
        need clang have clang
        need libclang-rt-14-dev ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a ;;
    lint)
        need clang have clang
        need clang-tidy have clang-tidy
        need cppcheck have cppcheck ;;
    *)
        echo "deps: what is '$thing'?" >&2
        exit 2 ;;
    esac
done
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "Please install what these Debian packages hold:$missing" >&2
    exit 1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "Installing missing packages with apt-get:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
if ! $sudo apt-get install -qq -y --no-install-recommends $missing >build/deps.log 2>&1; then
    { $sudo apt-get update -qq && $sudo apt-get install -qq -y --no-install-recommends $missing
    } >build/deps.log 2>&1 || { cat build/deps.log >&2; exit 1; }
fi
