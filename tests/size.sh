#!/bin/sh
# The size of rtm.h in bytes: the implementation at -Os for each machine with a compiler (make cross
# installs them), a client, and a whole static bot with musl.
set -eu
out=build/size
mkdir -p $out/include
for header in jsmn.h bearssl.h bearssl; do ln -sfn /usr/include/$header $out/include/$header; done
. tests/foreign.sh

# The bytes of code by the section of rtm.h in which a function begins.
sections() { # OBJECT
    nm -S -l "$1" | awk 'NR == FNR { if (/^ \* >>/) name[FNR] = substr($2, 3); last = FNR; next }
        $3 ~ /^[tT]$/ && /rtm\.h:/ { line = $NF; sub(/.*:/, "", line); at[line + 0] = 1
            size = 0; for (i = 1; i <= length($2); i++)
                size = size * 16 + index("0123456789abcdef", substr($2, i, 1)) - 1
            bytes[line + 0] += size }
        END { for (i = 1; i <= last; i++) { if (i in name) { part = name[i]; order[++n] = part }
                sum[part] += bytes[i] }
            for (i = 1; i <= n; i++) if (sum[order[i]]) print order[i], sum[order[i]] }' rtm.h -
}

printf '%-10s %8s %8s %8s %8s\n' machine .text constants data bss
for machine in gcc:x86-64 arm-linux-gnueabihf-gcc:armhf s390x-linux-gnu-gcc:s390x; do
    cc=${machine%%:*} name=${machine#*:}
    command -v "$cc" >/dev/null || { echo "$name: no $cc (make cross installs it)"; continue; }
    "$cc" -std=c99 -Os -g -I. -I$out/include -c tests/compile/impl.c -o $out/impl.$name.o
    size -A $out/impl.$name.o 2>/dev/null | awk -v name=$name '
        $1 ~ /^\.text/ { text += $2 }
        $1 ~ /^\.rodata|^\.data\.rel\.ro/ { constants += $2 }
        $1 == ".data" || $1 == ".tdata" { data += $2 }
        $1 == ".bss" || $1 == ".tbss" { bss += $2 }
        END { printf "%-10s %8d %9d %8d %8d\n", name, text, constants, data, bss }'
done

for name in x86-64 armhf; do
    [ -e $out/impl.$name.o ] || continue
    echo "$name: $(sections $out/impl.$name.o | sed 's/\(.*\) \(.*\)/\1 \2,/' | tr '\n' ' ' | sed 's/, $//')"
done
for option in RTM_NO_THREADS RTMI_EPOLL=0; do
    gcc -std=c99 -Os -I. -D$option -c tests/compile/impl.c -o $out/option.o
    echo "-D$option: $(size $out/impl.x86-64.o $out/option.o |
        awk 'NR == 2 { all = $1 } NR == 3 { print $1 - all }') bytes of code and constants"
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
bearssl musl musl-gcc ar
musl-gcc -std=c99 -Os -static -ffunction-sections -fdata-sections -Wl,--gc-sections \
    -Wl,-z,noseparate-code -Wl,-Map=$out/map -s -I. -I$out/include examples/quick_start.c \
    -o $out/bot "$bearssl/libbearssl.a"
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
