#!/bin/sh
# rtm.h installed into an empty place, found there by pkg-config, CMake and Meson, and taken away:
# sh tests/install.sh
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
here=$(pwd)
log=$dir/log
fail() { cat "$log" >&2; echo "FAIL install: $1" >&2; exit 1; }

make -s install PREFIX="$dir/usr" >"$log" 2>&1 || fail 'make install'
make -s install PREFIX=/usr DESTDIR="$dir/staged" >>"$log" 2>&1 || fail 'make install DESTDIR='
grep -q "^prefix=/usr\$" "$dir/staged/usr/lib/pkgconfig/rtm.pc" || fail 'DESTDIR is in rtm.pc'

# A program of its own directory, as a user's would be.
mkdir "$dir/bot"
cp examples/quick_start.c "$dir/bot/bot.c"
cd "$dir/bot"
runs() { # PROGRAM: it starts, and ends for want of a token
    status=0
    env -u SLACK_API_TOKEN -u SLACK_APP_TOKEN "$1" >"$log" 2>&1 || status=$?
    [ $status = 1 ] || fail "$1 ended with $status"
}

export PKG_CONFIG_PATH="$dir/usr/lib/pkgconfig"
version=$(sed -n 's/^#define RTM_VERSION "\(.*\)"/\1/p' "$here/rtm.h")
[ "$(pkg-config --modversion rtm)" = "$version" ] || fail 'the version in rtm.pc'
# shellcheck disable=SC2046 # a list of words
${CC:-cc} bot.c -o with-pkg-config $(pkg-config --cflags --libs rtm) >"$log" 2>&1 ||
    fail 'a build with pkg-config'
runs ./with-pkg-config

cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.13)
project(bot C)
find_package(rtm 0.2 REQUIRED)
add_executable(bot bot.c)
target_link_libraries(bot rtm::rtm)
END
cmake -B cmake -DCMAKE_PREFIX_PATH="$dir/usr" >"$log" 2>&1 && cmake --build cmake >>"$log" 2>&1 ||
    fail 'a build with CMake'
runs cmake/bot

cat >meson.build <<'END'
project('bot', 'c')
executable('bot', 'bot.c', dependencies: dependency('rtm', version: '>=0.2'))
END
meson setup meson >"$log" 2>&1 && meson compile -C meson >>"$log" 2>&1 || fail 'a build with Meson'
runs meson/bot

cd "$here"
make -s uninstall PREFIX="$dir/usr" >"$log" 2>&1 || fail 'make uninstall'
make -s uninstall PREFIX=/usr DESTDIR="$dir/staged" >>"$log" 2>&1 || fail 'make uninstall DESTDIR='
find "$dir/usr" "$dir/staged/usr" >"$log" 2>/dev/null && fail 'uninstall left these'
echo 'PASS install: pkg-config, CMake, Meson; all files are removed'
