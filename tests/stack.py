#!/usr/bin/env python3
"""The deepest stack that rtm.h itself uses, from gcc's call graph: must stay within 4 KiB.

    python3 tests/stack.py CC

What BearSSL, the C library and the program's callbacks use comes on top. Calls that gcc cannot see,
through tables and through BearSSL, are given here.
"""
import os
import re
import subprocess
import sys
import tempfile

LIMIT = 4096
UNSEEN = {
    'rtmi_configure': r'rtmi_config_',
    'rtm_create': r'rtmi_config_',
    'rtmi_conn_feed': r'rtmi_trust_(start|end|append|get)',
    'rtmi_trust_push': r'rtmi_trust_(name|certificate)',
    'rtmi_conn_start_tls': r'rtmi_trust_(start|end|append|get)',
}


def main():
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([sys.argv[1], '-std=c99', '-Os', '-I.', '-fcallgraph-info=su', '-fno-inline',
                        '-c', 'tests/compile/impl.c', '-o', os.path.join(out, 'impl.o')], check=True)
        name = [f for f in os.listdir(out) if f.endswith('.ci')][0]
        with open(os.path.join(out, name), encoding='utf-8') as file:
            graph = file.read()
    own, calls = {}, {}
    for title, size in re.findall(r'node: \{ title: "([^"]*)" label: "[^"]*?(\d+) bytes', graph):
        own[title] = int(size)
    for source, target in re.findall(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"', graph):
        calls.setdefault(source, set()).add(target)
    # A copy that gcc made for some callers, f.constprop.0, is f.
    short = {title: title.split(':')[-1].split('.')[0] for title in own}
    for title, plain in short.items():
        for caller, pattern in UNSEEN.items():
            if plain == caller:
                calls.setdefault(title, set()).update(
                    t for t, p in short.items() if re.match(pattern, p))
    deepest, path_of = {}, {}

    def depth(title, above):
        if title in above:
            raise SystemExit(f'FAIL stack: {short[title]} is recursive')
        if title not in deepest:
            below = [(depth(t, above | {title}), t) for t in calls.get(title, ()) if t in own]
            most, where = max(below, default=(0, None))
            deepest[title] = own[title] + most
            path_of[title] = [short[title]] + (path_of[where] if where else [])
        return deepest[title]

    worst = max(own, key=lambda title: depth(title, frozenset()))
    path = ' > '.join(path_of[worst])
    verdict = 'PASS' if deepest[worst] <= LIMIT else 'FAIL'
    print(f'{verdict} stack: {deepest[worst]} bytes at most, of {LIMIT}: {path}')
    return verdict == 'FAIL'


sys.exit(main())
