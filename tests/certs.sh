#!/bin/sh
# certs.sh DIR - throw-away certificates for the tests and the sandbox.
#
# Makes in DIR, unless they exist and are valid for another day:
#   ca.pem, ca.key                   the authority to trust
#   server.pem, server.key           ECDSA P-256, signed by it
#   server-rsa.pem, server-rsa.key   RSA-2048, signed by it
# The names are localhost, files.localhost, sandbox.test and 127.0.0.1. All certificates expire in 30 days.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: certs.sh DIR" >&2
    exit 2
fi
mkdir -p "$1"
cd "$1"

fresh() { # NAME: is there a pair good for another day, signed by the CA that is here?
    [ -s "$1.key" ] && [ -s "$1.pem" ] &&
        openssl x509 -in "$1.pem" -noout -checkend 86400 >/dev/null 2>&1 &&
        openssl verify -CAfile ca.pem "$1.pem" >/dev/null 2>&1
}

if fresh ca && fresh server && fresh server-rsa; then
    exit 0
fi

# Everything is made in a temporary directory and moved when complete, so that interrupted or
# concurrent runs never mix old and new files.
work=$(mktemp -d ./certs.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

cat >"$work/cnf" <<'END'
[req]
distinguished_name = dn
prompt = no
[dn]
O = rtm.h tests
CN = ${ENV::CN}
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, DNS:files.localhost, DNS:sandbox.test, IP:127.0.0.1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END

quiet() { # runs a command, shows what it said only if it fails
    "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
}

key() { # NAME ALGORITHM OPTION
    quiet openssl genpkey -algorithm "$2" -pkeyopt "$3" -out "$work/$1.key"
}

issue() { # NAME
    quiet openssl req -new -sha256 -config "$work/cnf" -key "$work/$1.key" -out "$work/$1.csr"
    quiet openssl x509 -req -sha256 -days 30 -in "$work/$1.csr" -out "$work/$1.pem" \
        -CA "$work/ca.pem" -CAkey "$work/ca.key" -set_serial "$serial" \
        -extfile "$work/cnf" -extensions server
    serial=$((serial + 1))
}

# Serial numbers from the clock: a CA of the same name must not issue the same one twice.
serial=$(($(date +%s) * 10))

CN="rtm.h test CA"; export CN
key ca EC ec_paramgen_curve:P-256
quiet openssl req -x509 -new -sha256 -days 30 -config "$work/cnf" -extensions ca \
    -key "$work/ca.key" -set_serial "$serial" -out "$work/ca.pem"
serial=$((serial + 1))

CN=localhost
key server EC ec_paramgen_curve:P-256
issue server
key server-rsa RSA rsa_keygen_bits:2048
issue server-rsa

for name in server server-rsa ca; do
    mv -f "$work/$name.key" "$work/$name.pem" .
done
