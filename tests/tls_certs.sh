#!/bin/sh
# tls_certs.sh DIR - the certificates of tests/tls.c, good ones and bad ones.
#
# NAME.pem is what a server sends: its certificate, then the intermediates; NAME.key is the key.
# An authority's ca-NAME.pem is one certificate. Names are *.test, except as noted.
# Files that exist and are valid for another day are kept.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: tls_certs.sh DIR" >&2
    exit 2
fi
version=$(cksum <"$0") # of this script: after a change all are made again
mkdir -p "$1"
cd "$1"
if [ -f complete ] && [ "$(cat complete)" = "$version" ] &&
    openssl x509 -in ca-old-inter.pem -noout -checkend 86400 >/dev/null 2>&1; then
    exit 0
fi

# Everything is made in a temporary directory, and moved when it is complete.
work=$(mktemp -d ./new.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

quiet() { # runs a command, shows what it said only if it fails
    "$@" >"$work/log.$name" 2>&1 || { cat "$work/log.$name" >&2; exit 1; }
}

# NAME KEY ISSUER DAYS EXTENSION [OPTION]...: a certificate and its key. KEY is ec, ec384, ed25519,
# or the bits of an RSA key; ISSUER is NAME itself, or has been made before; EXTENSION is "ca", or
# the subject's alternative names, or "none" of these, or "both",
# or "misused": an authority that may not sign certificates.
certificate() {
    name=$1 kind=$2 issuer=$3 days=$4 what=$5
    shift 5
    case $kind in
    ec) set -- "$@" -newkey ec -pkeyopt ec_paramgen_curve:P-256 ;;
    ec384) set -- "$@" -newkey ec -pkeyopt ec_paramgen_curve:P-384 ;;
    ed25519) set -- "$@" -newkey ed25519 ;;
    *) set -- "$@" -newkey "rsa:$kind" ;;
    esac
    case $what in
    ca) set -- "$@" -addext keyUsage=critical,keyCertSign \
        -addext basicConstraints=critical,CA:TRUE ;;
    misused) set -- "$@" -addext keyUsage=critical,cRLSign \
        -addext basicConstraints=critical,CA:TRUE ;;
    both) set -- "$@" -addext subjectAltName=DNS:sandbox.test \
        -addext basicConstraints=critical,CA:TRUE ;;
    none) set -- "$@" -addext basicConstraints=critical,CA:FALSE ;;
    *) set -- "$@" -addext "subjectAltName=$what" -addext basicConstraints=critical,CA:FALSE ;;
    esac
    if [ "$issuer" != "$name" ]; then
        set -- "$@" -CA "$work/ca-$issuer.pem" -CAkey "$work/$issuer.key"
    fi
    quiet openssl req -x509 -nodes -days "$days" -config "$work/cnf" -subj "/CN=rtm.h $name" \
        -keyout "$work/$name.key" -out "$work/ca-$name.pem" "$@"
}

chain() { # NAME [ISSUER]...: what the server sends
    name=$1
    for link in "$@"; do
        cat "$work/ca-$link.pem"
    done >"$work/$name.pem"
}

printf '[req]\ndistinguished_name = dn\n[dn]\n' >"$work/cnf"

# RSA keys take longest: both RSA branches are made in parallel with the rest.
rsa() {
    certificate rsa-root 2048 rsa-root 30 ca
    certificate rsa-inter1 2048 rsa-root 30 ca
    certificate rsa1 2048 rsa-inter1 30 DNS:rsa.test
    chain rsa1 rsa-inter1
    certificate pss ec rsa-root 30 DNS:sandbox.test -sigopt rsa_padding_mode:pss
    chain pss
}
rsa2() {
    certificate rsa2-root 2048 rsa2-root 30 ca
    certificate rsa2-inter1 2048 rsa2-root 30 ca
    certificate rsa2-inter2 2048 rsa2-inter1 30 ca
    certificate rsa2 2048 rsa2-inter2 30 DNS:rsa.test
    chain rsa2 rsa2-inter2 rsa2-inter1
}
rsa & first=$!
rsa2 & second=$!

certificate root ec root 30 ca
certificate inter1 ec root 30 ca
certificate inter2 ec inter1 30 ca
certificate ec0 ec root 30 DNS:sandbox.test
chain ec0
certificate ec1 ec inter1 30 DNS:first.test,DNS:sandbox.test,DNS:*.wild.test,IP:127.0.0.1
chain ec1 inter1
certificate ec2 ec inter2 30 DNS:sandbox.test
chain ec2 inter2 inter1
cp "$work/ca-ec1.pem" "$work/missing.pem"
cp "$work/ec1.key" "$work/missing.key"
cat "$work/ca-ec2.pem" "$work/ca-inter1.pem" >"$work/gap.pem"
cp "$work/ec2.key" "$work/gap.key"
cat "$work/ca-ec2.pem" "$work/ca-inter1.pem" "$work/ca-inter2.pem" >"$work/disorder.pem"
cp "$work/ec2.key" "$work/disorder.key"
cat "$work/ec2.pem" "$work/ca-root.pem" >"$work/rooted.pem"
cp "$work/ec2.key" "$work/rooted.key"

certificate wild ec root 30 'DNS:*.sandbox.test'
chain wild
certificate star ec root 30 'DNS:*.test,DNS:w*.sandbox.test,DNS:*'
chain star
certificate address ec root 30 IP:127.0.0.1,IP:::1
chain address
certificate named-address ec root 30 DNS:127.0.0.1
chain named-address
certificate common-name ec root 30 none -subj /CN=sandbox.test
chain common-name
certificate other-names ec root 30 DNS:other.test -subj /CN=sandbox.test
chain other-names
certificate old-inter ec root 3 ca
certificate old ec old-inter 30 DNS:sandbox.test
chain old old-inter
certificate leaf-signed ec ec0 30 DNS:sandbox.test
chain leaf-signed ec0
certificate sha1 ec root 30 DNS:sandbox.test -sha1
chain sha1
certificate sha1-inter ec root 30 ca -sha1
certificate under-sha1 ec sha1-inter 30 DNS:sandbox.test
chain under-sha1 sha1-inter
certificate sha384 ec root 30 DNS:sandbox.test -sha384
chain sha384
certificate root384 ec384 root384 30 ca -sha384
certificate ec384 ec384 root384 30 DNS:sandbox.test -sha384
chain ec384
certificate ed25519 ed25519 root 30 DNS:sandbox.test
chain ed25519
certificate constrained ec root 30 ca -addext 'nameConstraints=critical,permitted;DNS:test'
certificate under-constrained ec constrained 30 DNS:sandbox.test
chain under-constrained constrained
certificate critical ec root 30 DNS:sandbox.test -addext 1.2.3.4=critical,ASN1:NULL
chain critical
certificate no-signing ec root 30 DNS:sandbox.test -addext keyUsage=critical,keyAgreement
chain no-signing
certificate misused ec root 30 misused
certificate under-misused ec misused 30 DNS:sandbox.test
chain under-misused misused
certificate weak 1024 root 30 DNS:sandbox.test
chain weak
certificate weak-inter 1024 root 30 ca
certificate under-weak ec weak-inter 30 DNS:sandbox.test
chain under-weak weak-inter
certificate self ec self 30 DNS:sandbox.test
chain self
certificate self-ca ec self-ca 30 both
chain self-ca
# The root's name with another key: a check that compares only names would accept it.
certificate impostor ec impostor 30 ca -subj '/CN=rtm.h root'
certificate forged ec impostor 30 DNS:sandbox.test
chain forged
certificate client ec root 30 DNS:client.test
chain client

wait "$first"
wait "$second"
rm -f "$work"/log.* "$work/cnf" complete
mv -f "$work"/* .
echo "$version" >complete
