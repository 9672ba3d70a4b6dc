#!/bin/sh
# What rtm.h costs in bytes: the implementation at -Os for each machine that there is a compiler for
# (make cross installs them), a client, and a whole bot with all it needs, static against musl.
set -eu
out=build/size
mkdir -p $out/include
for header in jsmn.h bearssl.h bearssl; do ln -sfn /usr/include/$header $out/include/$header; done

printf '%-10s %8s %8s %8s %8s\n' machine .text constants data bss
for machine in gcc:x86-64 arm-linux-gnueabihf-gcc:armhf s390x-linux-gnu-gcc:s390x; do
    cc=${machine%%:*} name=${machine#*:}
    command -v "$cc" >/dev/null || { echo "$name: no $cc (make cross installs it)"; continue; }
    "$cc" -std=c99 -Os -I. -I$out/include -c tests/compile/impl.c -o $out/impl.$name.o
    size -A $out/impl.$name.o 2>/dev/null | awk -v name=$name '
        $1 ~ /^\.text/ { text += $2 }
        $1 ~ /^\.rodata|^\.data\.rel\.ro/ { constants += $2 }
        $1 == ".data" || $1 == ".tdata" { data += $2 }
        $1 == ".bss" || $1 == ".tbss" { bss += $2 }
        END { printf "%-10s %8d %9d %8d %8d\n", name, text, constants, data, bss }'
done

cat >$out/client.c <<'END'
#define RTM_IMPLEMENTATION
#include "rtm.h"
int main(void) {
    printf("a client: %zu bytes, its session: %zu, TLS while connected: %zu, read buffer: %d, "
           "a host: %zu\n", sizeof(rtm_client), sizeof(rtmi_session), sizeof(rtmi_tls),
           (int)RTMI_READ_BUFFER, sizeof(rtmi_host));
    return 0;
}
END
cc -std=c99 -I. $out/client.c -o $out/client -lbearssl
$out/client

command -v musl-gcc >/dev/null || { echo "no musl-gcc (make cross installs it)"; exit 0; }
library="/usr/lib/$(gcc -print-multiarch)/libbearssl.a"
musl-gcc -std=c99 -Os -static -ffunction-sections -fdata-sections -Wl,--gc-sections -Wl,-Map=$out/map \
    -s -I. -I$out/include examples/quick_start.c tests/musl_fortify.c -o $out/bot "$library"
objcopy -R .eh_frame $out/bot 2>/dev/null # unwind tables: no use in C without a debugger
python3 - $out/map >$out/parts <<'END'
import re, sys
parts = {'BearSSL': 0, 'libc': 0, 'rtm.h and the bot': 0}
text = open(sys.argv[1]).read()
text = text[text.index('Linker script and memory map'):]
for size, file in re.findall(r'^ \.(?:text|rodata|data|bss|tdata|tbss|data\.rel\.ro)\S*\s+0x[0-9a-f]+'
                             r'\s+(0x[0-9a-f]+) (\S+)', text, re.M):
    part = 'BearSSL' if 'libbearssl' in file else \
        'libc' if re.search(r'libc\.a|crt|libgcc', file) else 'rtm.h and the bot'
    parts[part] += int(size, 16)
print('in it: ' + ', '.join(f'{name} {size}' for name, size in parts.items()))
END
echo "a whole static bot: $(wc -c <$out/bot) bytes"
cat $out/parts
