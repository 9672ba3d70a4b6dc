#!/bin/sh
# The packages that the named parts need: sh tests/deps.sh [--check] build test interop ...
# Announces and installs what is missing if there is apt-get; with --check, or without apt-get, names
# what is missing and the command that installs it, and fails. What exists already is not touched.
set -eu
PATH=$PATH:/usr/sbin # Debian has some programs there; not every PATH includes it

# thing   probe                      apt               apk         dnf               pacman     brew
packages() { cat <<END
build     command ${CC:-cc}          $compiler         gcc         gcc               gcc        gcc
build     header stdio.h             libc6-dev         musl-dev    glibc-devel       glibc      -
build     header bearssl.h           libbearssl-dev    bearssl-dev -                 bearssl    -
build     header jsmn.h              libjsmn-dev       -           jsmn-devel        jsmn       jsmn
libuv     header uv.h                libuv1-dev        libuv-dev   libuv-devel       libuv      libuv
glib      package glib-2.0           libglib2.0-dev    glib-dev    glib2-devel       glib2      glib
glib      command pkg-config         pkg-config        pkgconf     pkgconf-pkg-config pkgconf   pkgconf
mqtt      header mosquitto.h         libmosquitto-dev  mosquitto-dev mosquitto-devel mosquitto  mosquitto
c++       command ${CXX:-c++}        g++               g++         gcc-c++           gcc        gcc
sandbox   header libwebsockets.h     libwebsockets-dev libwebsockets-dev libwebsockets-devel libwebsockets libwebsockets
sandbox   header openssl/ssl.h       libssl-dev        openssl-dev openssl-devel     openssl    openssl
sandbox   header cjson/cJSON.h       libcjson-dev      cjson-dev   cjson-devel       cjson      cjson
sandbox   header histedit.h          libedit-dev       libedit-dev libedit-devel     libedit    libedit
sandbox   command openssl            openssl           openssl     openssl           openssl    openssl
test      header cmocka.h            libcmocka-dev     cmocka-dev  libcmocka-devel   cmocka     cmocka
test      header uv.h                libuv1-dev        libuv-dev   libuv-devel       libuv      libuv
test      header openssl/ssl.h       libssl-dev        openssl-dev openssl-devel     openssl    openssl
test      command g++                g++               g++         gcc-c++           gcc        gcc
test      command tinyproxy          tinyproxy-bin     tinyproxy   tinyproxy         tinyproxy  tinyproxy
test      command python3            python3           python3     python3           python     python
test      command mosquitto_pub      mosquitto-clients mosquitto-clients mosquitto   mosquitto  mosquitto
test      command tmux               tmux              tmux        tmux              tmux       tmux
test      sanitizer                  $runtime          -           libasan           -          -
size      command python3            python3           python3     python3           python     python
install   command pkg-config         pkg-config        pkgconf     pkgconf-pkg-config pkgconf   pkgconf
install   command cmake              cmake             cmake       cmake             cmake      cmake
install   command meson              meson             meson       meson             meson      meson
install   command ninja              ninja-build       samurai     ninja-build       ninja      ninja
interop   command node               nodejs            nodejs      nodejs            nodejs     node
interop   command npm                npm               npm         npm               npm        node
interop   command go                 golang-go         go          golang            go         go
interop   file $go/slack-go/slack    golang-github-slack-go-slack-dev - -            -          -
valgrind  command valgrind           valgrind          valgrind    valgrind          valgrind   -
strace    command strace             strace            strace      strace            strace     -
bench     command valgrind           valgrind          valgrind    valgrind          valgrind   -
bench     command gnuplot            gnuplot-nox       gnuplot     gnuplot           gnuplot    gnuplot
bench     header curl/curl.h         libcurl4-openssl-dev curl-dev libcurl-devel     curl       curl
bench     command node               nodejs            nodejs      nodejs            nodejs     node
bench     command npm                npm               npm         npm               npm        node
bench     command go                 golang-go         go          golang            go         go
bench     file $go/slack-go/slack    golang-github-slack-go-slack-dev - -            -          -
fuzz      command clang              clang             clang       clang             clang      llvm
fuzz      fuzzer                     $runtime          compiler-rt compiler-rt       compiler-rt -
lint      command clang              clang             clang       clang             clang      llvm
lint      command clang-tidy         clang-tidy        clang-extra-tools clang-tools-extra clang llvm
lint      command cppcheck           cppcheck          cppcheck    cppcheck          cppcheck   cppcheck
cross     command arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf - - - -
cross     file /usr/arm-linux-gnueabihf/include/stdio.h libc6-dev-armhf-cross - - - -
cross     command s390x-linux-gnu-gcc gcc-s390x-linux-gnu - - - -
cross     file /usr/s390x-linux-gnu/include/stdio.h libc6-dev-s390x-cross - - - -
cross     command qemu-arm           qemu-user         qemu-arm    qemu-user         qemu-user  -
cross     command musl-gcc           musl-tools        musl-dev    musl-gcc          musl       -
router    command qemu-system-mipsel qemu-system-mips qemu-system-mipsel qemu-system-mips qemu-system-mips qemu
router    command mipsel-linux-gnu-gcc gcc-mipsel-linux-gnu - - - -
router    command cpio               cpio              cpio        cpio              cpio       cpio
END
}
go=/usr/share/gocode/src/github.com
case ${CC:-cc} in cc | gcc*) compiler=gcc ;; *) compiler=${CC%% *} ;; esac
# The sanitizers and fuzzer of clang are a package with its version in the name.
clang=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' || :)
runtime=libclang-rt-${clang:-14}-dev

there() { # PROBE...
    case $1 in
    command) command -v "$2" ;;
    header) printf '#include <%s>\n' "$2" | ${CC:-cc} -E - ;;
    package) pkg-config --exists "$2" ;;
    file) [ -e "$2" ] ;;
    sanitizer) echo 'int main(void) { return 0; }' |
        ${CC:-cc} -fsanitize=address,undefined -x c -o /dev/null - ;;
    fuzzer) ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a ;;
    esac >/dev/null 2>&1
}

check=
[ "$1" != --check ] || { check=yes; shift; }
manager=none column=1
for name in brew:5 pacman:4 dnf:3 apk:2 apt-get:1; do
    command -v "${name%:*}" >/dev/null && manager=${name%:*} column=${name#*:}
done

things=$*
missing= unknown=
for thing in $things; do
    rows=$(packages | grep "^$thing ") || { echo "deps: what is '$thing'?" >&2; exit 2; }
    while read -r _ probe what names; do
        # A probe without an argument has the first name in its place.
        case $probe in sanitizer | fuzzer) names="$what $names" what=$probe ;; esac
        there "$probe" "$what" && continue
        # shellcheck disable=SC2086 # a list of words
        set -- $names
        shift $((column - 1))
        case $1 in -) unknown="$unknown $what" ;; *) missing="$missing $1" ;; esac
    done <<END
$rows
END
done
missing=$(echo "$missing" | tr ' ' '\n' | sort -u | tr '\n' ' ')
missing=${missing# } missing=${missing% }
[ "$missing$unknown" ] || exit 0

case $manager in
apt-get) command="apt-get install --no-install-recommends $missing" ;;
apk) command="apk add $missing" ;;
dnf) command="dnf install $missing" ;;
pacman) command="pacman -S --needed $missing" ;;
*) command="brew install $missing" ;;
esac
sudo=
[ "$(id -u)" = 0 ] || [ $manager = brew ] || sudo=sudo
if [ "$check" ] || [ $manager != apt-get ]; then
    case $manager in
    none) echo "Missing, by the names of Debian's packages: $missing" >&2 ;;
    *) [ -z "$missing" ] ||
        printf 'Missing: %s. This installs it:\n    %s\n' "$missing" "$sudo${sudo:+ }$command" >&2 ;;
    esac
    [ -z "$unknown" ] || printf 'Missing, and not among the packages of %s:%s\n%s\n' $manager \
        "$unknown" 'bearssl.h and jsmn.h: examples/README.md, "Small machines", has them from their sources' >&2
    exit 1
fi

[ -z "$sudo" ] || command -v sudo >/dev/null || {
    printf 'There is no sudo. This installs what is missing, as root:\n    %s\n' "$command" >&2
    exit 1
}
echo "Installing with ${sudo}${sudo:+ }apt-get: $missing"
mkdir -p build
# shellcheck disable=SC2086 # a list of words; sudo forgets the environment
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing \
    >build/deps.log 2>&1 && exit
# Old lists of packages, or none, are the usual reason.
[ -z "${RTM_LISTS:-}" ] && $sudo apt-get update -qq >>build/deps.log 2>&1 ||
    { cat build/deps.log >&2; exit 1; }
RTM_LISTS=new exec sh "$0" $things
