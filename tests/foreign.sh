# For other machines and C libraries, read by cross.sh, size.sh and router.sh: Debian's packages and
# sources into folders below build/. Installed as packages of this system they would require a foreign
# architecture in its apt configuration, and an index that is unavailable breaks apt-get permanently.

private() { # FOLDER ARCHITECTURE deb|deb-src APT-GET-ARGUMENT...
    root=$PWD/$1 machine=$2 kind=$3
    shift 3
    mkdir -p "$root/state/lists/partial" "$root/cache/archives/partial"
    [ -e "$root/sources.list" ] || {
        # shellcheck disable=SC2016 # apt-get's own variables
        repository=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' \
            'Created-By: Packages' | head -1)
        : >"$root/status"
        echo "$kind $repository main" >"$root/sources.list"
    }
    (cd "$root" && apt-get -qq -o Dir::State="$root/state" -o Dir::State::status="$root/status" \
        -o Dir::Cache="$root/cache" -o Dir::Etc::sourcelist="$root/sources.list" \
        -o Dir::Etc::sourceparts=- -o APT::Architecture="$machine" \
        -o APT::Architectures="$machine" -o APT::Sandbox::User=root "$@")
}

# BearSSL from its source, for a compiler: $bearssl is then the folder with libbearssl.a.
bearssl() { # NAME COMPILER AR
    source=build/bearssl bearssl=build/bearssl/$1
    [ ! -e "$bearssl/libbearssl.a" ] || return 0
    [ -e $source/bearssl-0.6 ] || {
        private $source "$(dpkg --print-architecture)" deb-src update
        private $source "$(dpkg --print-architecture)" deb-src source --download-only bearssl
        tar xf $source/bearssl_*.orig.tar.* -C $source
    }
    make -C $source/bearssl-0.6 lib CC="$2" AR="$3" BUILD="$PWD/$bearssl" \
        CFLAGS='-Os -ffunction-sections -fdata-sections' >$source/log 2>&1 ||
        { tail $source/log; return 1; }
}
