/* The sources of random numbers if the program has none: getrandom(2), or /dev/urandom if that
   fails; no other, and without blocking. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <cmocka.h>

#include "seen_messages.h"

/* The scripted kernel: negative = fails with that errno, else at most this many bytes of '.' */
static const int *script;
static int calls, devices;
static unsigned other_flags;

static ssize_t fake_getrandom(void *out, size_t size, unsigned flags) {
    int next = script[calls++];
    other_flags |= flags ^ GRND_NONBLOCK;
    errno = next < 0 ? -next : 0;
    if (next < 0) return -1;
    if ((size_t)next < size) size = (size_t)next;
    memset(out, '.', size);
    return (ssize_t)size;
}

static int device_flags;

static int fake_open(const char *path, int flags) {
    devices += !strcmp(path, "/dev/urandom");
    device_flags = flags;
    return open("/dev/zero", flags);
}

/* CLOCK_MONOTONIC stops in suspend, CLOCK_BOOTTIME does not, but it may be refused. */
static bool no_boottime;

static int fake_clock_gettime(clockid_t clock, struct timespec *now) {
    *now = (struct timespec){ clock == CLOCK_BOOTTIME ? 3607 : 7, 2000000 };
    if (clock == CLOCK_BOOTTIME && no_boottime) *now = (struct timespec){ 0, 0 };
    return clock == CLOCK_BOOTTIME && no_boottime ? -1 : 0;
}

#define getrandom(out, size, flags) fake_getrandom(out, size, flags)
#define open(path, flags) fake_open(path, flags)
#define clock_gettime(clock, now) fake_clock_gettime(clock, now)
#define RTM_IMPLEMENTATION
#include "../rtm.h"
#undef vsnprintf

static void random_numbers_come_from_the_kernel(void **state) {
    static const struct { int script[8]; const char *got; int devices; } rows[] = {
        { { 256 }, "..........", 0 },
        { { 3 }, "0000000000", 1 },       /* no kernel returns this for so few bytes */
        { { -ENOSYS }, "0000000000", 1 }, /* an old kernel */
        { { -EPERM }, "0000000000", 1 },  /* a sandbox */
        { { -EAGAIN }, NULL, 0 }, /* not seeded yet: fails instead of returning weak ones */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[11] = "xxxxxxxxxx";
        script = rows[i].script;
        calls = devices = 0;
        assert_int_equal(RTM_RANDOM(out, 10), rows[i].got ? 0 : -1);
        for (int at = 0; at < 10; at++) out[at] = out[at] ? out[at] : '0';
        if (rows[i].got) assert_string_equal(out, rows[i].got);
        assert_int_equal(devices, rows[i].devices);
        assert_int_equal(other_flags, 0); /* it never blocks */
        if (devices) assert_true(device_flags & O_CLOEXEC);
    }
}

static void without_random_numbers_no_handshake_begins(void **state) {
    static const int none[] = { -EAGAIN };
    rtmi_conn conn = { .peer = { .host = "slack.test", .tls = true } };
    (void)state;
    script = none;
    calls = 0;
    assert_int_equal(rtmi_conn_start_tls(&conn), RTM_E_TLS);
    assert_string_equal(conn.error.text, "no source of random numbers");
    rtmi_conn_shutdown(&conn);
}

static void the_clock_counts_the_time_in_suspend(void **state) {
    (void)state;
    no_boottime = false;
    assert_true(RTM_NOW_MS() == 3607002);
    no_boottime = true;
    assert_true(RTM_NOW_MS() == 7002);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_numbers_come_from_the_kernel),
        cmocka_unit_test(without_random_numbers_no_handshake_begins),
        cmocka_unit_test(the_clock_counts_the_time_in_suspend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
