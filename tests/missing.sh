#!/bin/sh
# If headers are missing, the rule of a file installs nothing, and names what is missing and the
# command for each package manager; deps.sh installs only what it was asked for.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAIL missing: $1" >&2; cat "$dir/out" >&2; exit 1; }
says() { grep -qF -- "$1" "$dir/out" || fail "does not say: $1"; }

# The tools that a build needs, and package managers that record how they were called.
mkdir "$dir/tools"
for tool in sh cc gcc as ld make mkdir touch cat sed grep tr sort id env rm; do
    ln -s "$(command -v $tool)" "$dir/tools/$tool"
done
with() { # MANAGER... : a PATH that has these
    rm -rf "${dir:?}/bin"
    mkdir "$dir/bin"
    for manager; do
        printf '#!/bin/sh\necho "%s $*" >>"%s"\n' "$manager" "$dir/calls" >"$dir/bin/$manager"
        chmod +x "$dir/bin/$manager"
    done
    : >"$dir/calls"
}
run() { PATH=$dir/bin:$dir/tools CC='cc -nostdinc' "$@" >"$dir/out" 2>&1; }

for row in 'apt-get:apt-get install --no-install-recommends libbearssl-dev' 'apk:apk add bearssl-dev' \
    'dnf:dnf install glibc-devel jsmn-devel' 'pacman:pacman -S --needed bearssl' \
    'brew:brew install jsmn'; do
    with "${row%%:*}"
    run sh tests/deps.sh --check build && fail "$row: no failure"
    says "${row#*:}"
    [ ! -s "$dir/calls" ] || fail "--check calls $(cat "$dir/calls")"
done
with
run sh tests/deps.sh build && fail 'no manager: no failure'
says 'libbearssl-dev'

# Plain make in a copy, with apt-get.
mkdir "$dir/copy" "$dir/copy/tests"
cp -R Makefile rtm.h examples "$dir/copy"
cp tests/deps.sh "$dir/copy/tests"
with apt-get sudo
for target in all build/quick_start; do
    (cd "$dir/copy" && run make CC='cc -nostdinc' $target) && fail "make $target: no failure"
    says 'Missing: libbearssl-dev libc6-dev libjsmn-dev. This installs it:'
    [ ! -s "$dir/calls" ] || fail "make $target calls $(cat "$dir/calls")"
done

# Only deps.sh installs, with sudo if the user is not root.
printf '#!/bin/sh\necho 1000\n' >"$dir/bin/id"
chmod +x "$dir/bin/id"
run sh tests/deps.sh build || fail 'the packages of build'
says 'Installing with sudo apt-get: libbearssl-dev libc6-dev libjsmn-dev'
[ "$(cat "$dir/calls")" = "sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y\
 --no-install-recommends libbearssl-dev libc6-dev libjsmn-dev" ] || fail "$(cat "$dir/calls")"
rm "$dir/bin/sudo"
run sh tests/deps.sh build && fail 'no sudo: no failure'
says 'There is no sudo.'
echo 'PASS plain make installs nothing and names what is missing'
