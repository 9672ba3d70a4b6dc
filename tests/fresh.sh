#!/bin/sh
# The README's two commands, in a clone, on a machine that has only make, a compiler and git: a
# minimal Debian in a folder, once as root and once as a user with sudo.
# sh tests/fresh.sh [TARGET...]: these targets instead of demo and test
# Needs root, debootstrap and a kernel that lets it mount; without them it says so and exits with 77.
set -eu
[ $# -gt 0 ] || set -- demo test
cannot() { echo "SKIP a fresh machine: $1"; exit 77; }
[ "$(id -u)" = 0 ] || cannot 'only root can make one'
command -v debootstrap >/dev/null || cannot 'there is no debootstrap'
git rev-parse HEAD >/dev/null 2>&1 || cannot 'this is no clone'
# The mounts below are visible only to these commands.
unshare --mount --pid --fork mount -t proc proc /proc 2>/dev/null ||
    cannot 'mounting is not allowed here'

root=$PWD/build/fresh
rm -rf "$root"
mkdir -p "$root"
trap 'rm -rf "$root"' EXIT
trap 'exit 1' INT TERM HUP
# shellcheck disable=SC2016 # apt-get's own variables
repository=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
    head -1)
debootstrap --variant=minbase --include=make,gcc,git,sudo "${repository#* }" "$root/base" \
    "${repository%% *}" >build/fresh.log 2>&1 || {
    tail -5 build/fresh.log
    cannot 'debootstrap fails'
}

for user in root dev; do
    machine=$root/$user
    cp -a "$root/base" "$machine"
    cp /etc/hosts /etc/resolv.conf "$machine/etc"
    if [ $user = root ]; then
        rm "$machine/usr/bin/sudo" # root needs none
        home=$machine/root
    else
        chroot "$machine" useradd --create-home $user
        echo "$user ALL=(ALL) NOPASSWD: ALL" >"$machine/etc/sudoers.d/$user"
        home=$machine/home/$user
    fi
    git clone -q "file://$PWD" "$home/rtm.h"
    chroot "$machine" chown -R $user: "${home#"$machine"}/rtm.h"
    for target; do
        # shellcheck disable=SC2016 # variables of the inner shell
        unshare --mount --pid --fork sh -c 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" &&
            exec chroot "$1" su - "$2" -c "cd rtm.h && make $3"' - "$machine" $user "$target" \
            </dev/null >build/fresh.log 2>&1 ||
            { tail -100 build/fresh.log; echo "FAIL a fresh machine, make $target as $user"; exit 1; }
        grep '^Installing' build/fresh.log || :
        echo "PASS a fresh machine, make $target as $user"
    done
    rm -rf "$machine"
done
