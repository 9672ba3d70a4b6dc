# tiny: no heap of rtm.h's, however often sessions end; what is too long is skipped; a pool that is
# too small is an error and no more; the clock; the roots
sed -n 's/^"\(.*\)\\n"$/\1/p' examples/tiny_roots.h >"$dir/roots.pem"
grep -q CERTIFICATE "$dir/roots.pem" || fail 'tiny: there are roots'
mozilla=/usr/share/ca-certificates/mozilla # where ca-certificates is installed
[ ! -d $mozilla ] || cat $mozilla/ISRG_Root_X1.crt $mozilla/DigiCert_Global_Root_G2.crt |
    cmp -s - "$dir/roots.pem" || fail 'tiny: the roots are those of Mozilla'
sed 's/^/"/; s/$/\\n"/' "$build/certs/ca.pem" >"$dir/roots.h"
issued=$(openssl x509 -in "$build/certs/server.pem" -noout -startdate)
issued=$(date -d "${issued#*=}" +%s)
# The clock stands in 1970. What rtm.h takes by malloc(), calloc() or realloc() ends the program.
cat >"$dir/wrap.c" <<'END'
#include <stdlib.h>
#include <time.h>
void *__wrap_calloc(size_t count, size_t size) { (void)count; (void)size; abort(); }
void *__wrap_malloc(size_t size) { (void)size; abort(); }
void *__wrap_realloc(void *block, size_t size) { (void)block; (void)size; abort(); }
time_t __wrap_time(time_t *now) { (void)now; return 1000; }
END
tiny() { # NAME OPTION...
    variant=$1
    shift
    ${CC:-cc} -std=c99 -g -fsanitize=address,undefined -fno-sanitize-recover=all -I. \
        -DROOTS="\"$dir/roots.h\"" -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=time "$@" \
        examples/tiny.c "$dir/wrap.c" -o "$dir/$variant" -lbearssl || fail "tiny $*"
}
tiny tiny -DBUILD_TIME="$issued"
tiny old -DBUILD_TIME="($issued - 1)"
tiny small -DBUILD_TIME="$issued" -DPOOL=24576
tiny none -DBUILD_TIME="$issued" -DPOOL=2048

# The pool by itself: blocks keep what is in them, and when all are free they are one again.
cat >"$dir/blocks.c" <<'END'
#define main tiny_main
#include "examples/tiny.c"
#undef main
enum { BLOCKS = 40 };
int main(void) {
    static unsigned char *block[BLOCKS];
    size_t size[BLOCKS] = { 0 }, refused = 0;
    unsigned long dice = 1;
    for (int turn = 0; turn < 20000; turn++) {
        dice = (dice * 1103515245 + 12345) & 0x7fffffff;
        size_t i = dice / 65536 % BLOCKS, new_size = dice / 7 % 6000;
        for (size_t at = 0; at < size[i]; at++)
            if (block[i][at] != (unsigned char)(i + at)) return 1;
        if (dice % 3) {
            void *moved = pool_realloc(block[i], new_size);
            for (size_t at = 0; moved && at < size[i] && at < new_size; at++)
                if (((unsigned char *)moved)[at] != (unsigned char)(i + at)) return 2;
            if (!moved && ++refused) continue;
            block[i] = moved;
        } else {
            pool_free(block[i]);
            block[i] = NULL, new_size = 0;
        }
        size[i] = new_size;
        for (size_t at = 0; at < new_size; at++) block[i][at] = (unsigned char)(i + at);
    }
    for (size_t i = 0; i < BLOCKS; i++) pool_free(block[i]);
    if (!refused || in_use) return 3;
    if (pool_realloc(NULL, (size_t)-1) || pool_realloc(NULL, POOL)) return 5;
    return pool_realloc(NULL, POOL - 2 * sizeof(head)) ? 0 : 4;
}
END
${CC:-cc} -std=c99 -g -fsanitize=address,undefined -fno-sanitize-recover=all -I. "$dir/blocks.c" \
    -o "$dir/blocks" -lbearssl
"$dir/blocks" || fail "tiny: the pool: $?"

for app in '' xapp-sandbox; do
    start
    if [ "$app" ]; then export SLACK_APP_TOKEN=$app; fi
    begin "$dir/tiny"
    long=$(repeat 9000 a)
    printf '%s\n' /wait status '/expect bytes in use' "$long" /drop status '/expect bytes in use' \
        /drop status '/expect bytes in use' >&3
    sees '/expect bytes in use: seen' 3
    kill $bot
    wait $bot || fail "tiny ends with $?"
    bot=
    prints 'longer than max_message_size'
    prints ' of 98304 bytes were in use at most'
done
for variant in old small; do
    start
    begin "$dir/$variant"
    case $variant in
    old) prints 'certificate expired or not yet valid' ;;
    small) prints 'out of memory' ;;
    esac
    kill $bot
    wait $bot || fail "tiny $variant ends with $?"
    bot=
done
ends 1 'of 2048 bytes were in use at most' "$dir/none"
