#!/usr/bin/env python3
"""Compares rtm.h, Slack's clients for Node.js and slack-go under the same failures, by the sandbox.

    python3 tests/interop/compare.py BUILD            compares the table in tests/bench/README.md
    python3 tests/interop/compare.py BUILD --write    writes it into tests/bench/README.md

Each client is used as its README says, with its defaults; the programs are in listen/. All run at
the same time, each against its own sandbox, in real time: the received events and the number of
attempts are compared, never the speed.
"""
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

build, BEGIN, END = sys.argv[1], '<!-- compare -->\n', '<!-- /compare -->'
CLIENTS = {'rtm.h': [f'{build}/interop/listen'], 'Node.js': ['node', f'{build}/interop/listen.mjs'],
           'slack-go': [f'{build}/interop/listen.go']}
ENVELOPE = ('{"envelope_id":"e-twice","type":"events_api","accepts_response_payload":false,"payload":'
            '{"type":"event_callback","team_id":"T","event_id":"Ev-twice","event":{"type":"message",'
            '"channel":"C0SANDBOX","user":"U0HUMAN","text":"twice","ts":"1.000001"}}}')


class Client:
    """One client and its sandbox, and the output of both."""

    def __init__(self, command, app, token='xoxb-compare'):
        with tempfile.TemporaryDirectory() as folder:
            self.box = subprocess.Popen(
                [f'{build}/sandbox', '--port', '0', '--port-file', f'{folder}/port', '--seed', '1',
                 '--cert', f'{build}/certs/server-rsa.pem', '--key', f'{build}/certs/server-rsa.key'],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            while not os.path.exists(f'{folder}/port'):
                time.sleep(0.01)
            port = open(f'{folder}/port').read().strip()
        environment = {**os.environ, 'SLACK_API_URL': f'https://localhost:{port}/api/',
                       'SLACK_API_TOKEN': token}
        environment.pop('SLACK_APP_TOKEN', None)
        if app:
            environment['SLACK_APP_TOKEN'] = 'xapp-compare' if token[0] == 'x' else 'wrong'
        self.told, self.heard = [], []
        self.program = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        for program, lines in ((self.box, self.told), (self.program, self.heard)):
            threading.Thread(target=lambda program=program, lines=lines: [
                lines.append(line.strip()) for line in program.stdout], daemon=True).start()

    def type(self, *lines):
        self.box.stdin.write(''.join(line + '\n' for line in lines))
        self.box.stdin.flush()

    def hears(self, text, seconds=25):
        end = time.monotonic() + seconds
        while f'heard {text}' not in self.heard and time.monotonic() < end:
            time.sleep(0.05)
        return f'heard {text}' in self.heard

    def came(self):
        return sum('ok, new url' in line for line in self.told)

    def stop(self):
        for program in (self.program, self.box):
            program.kill()
            program.wait()


def after(*lines):
    """Whether it hears what is said after these."""
    def situation(client, _):
        client.type('/wait', 'first')
        client.hears('first')
        client.type(*lines, '/wait', 'after')
        return client.hears('after')
    return situation


def refresh(client, app):
    client.type('/wait', 'first')
    client.hears('first')
    said = [f'number {i}' for i in range(20)]
    client.type(*said[:5], '/refresh' if app else '/goodbye', *said[5:], '/sleep 2000', 'last')
    client.hears('last')
    return [f'heard {text}' for text in said] == [
        line for line in client.heard if 'number' in line]


def rate_limit(client, app):
    method = 'apps.connections.open' if app else 'rtm.connect'
    limited = after(f'/ratelimit {method} 3', '/drop')(client, app)
    return limited and sum('ratelimited' in line for line in client.told) == 1


def twice(client, _):
    client.type('/wait', 'first')
    client.hears('first')
    client.type(f'/raw {ENVELOPE}', f'/raw {ENVELOPE}', 'after')
    return client.hears('after') and client.heard.count('heard twice') == 1


def storm(client, _):
    client.type(*['/wait', '/drop'] * 200)
    time.sleep(10)
    return 1 < client.came() < 12


def refused(client, _):
    try:
        return client.program.wait(20) != 0 and 'invalid_auth' in ''.join(client.heard)
    except subprocess.TimeoutExpired:
        return False


BOTH, RTM, APP = (False, True), (False,), (True,)
SITUATIONS = {
    'reconnects when the connection is cut': (after('/drop'), BOTH),
    'reconnects when Slack fails while it connects': (after('/http 503 2', '/drop'), BOTH),
    'reconnects when the WebSocket is refused': (after('/refuse 500 2', '/drop'), BOTH),
    'honours `Retry-After` while it connects': (rate_limit, BOTH),
    'receives every event exactly once and in order while Slack replaces the connection': (refresh, BOTH),
    'receives an event once if Slack sends it twice (Socket Mode)': (twice, APP),
    'continues after a frame that is not JSON': (after('/raw {"type":'), BOTH),
    'no reconnect storm when every session is cut immediately (under 12 attempts in 10 s)': (storm, BOTH),
    'ends if the token is refused, and says so': (refused, BOTH),
}


def try_out(name, command, situation, app, key):
    client = Client(command, app, 'wrong' if situation is refused else 'xoxb-compare')
    marks[key, name, app] = situation(client, app)
    client.stop()


def try_all(wanted):
    """The marks of these (situation, client, app), all clients of a situation at the same time."""
    for key in SITUATIONS:
        threads = [threading.Thread(target=try_out, args=(name, CLIENTS[name], SITUATIONS[key][0],
                                                          app, key))
                   for situation, name, app in wanted if situation == key]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def cell(key, name):
    return ', '.join('✓' if marks[key, name, app] else '–' for app in SITUATIONS[key][1])


def table():
    return f"| | {' | '.join(CLIENTS)} |\n|---{'|:-:' * len(CLIENTS)}|\n" + ''.join(
        f"| {key} | {' | '.join(cell(key, name) for name in CLIENTS)} |\n" for key in SITUATIONS)


everything = [(key, name, app) for key in SITUATIONS for name in CLIENTS
              for app in SITUATIONS[key][1]]
marks = {}
try_all(everything)
readme = open('tests/bench/README.md', encoding='utf-8').read()
before, told, behind = re.fullmatch(f'(.*{BEGIN})(.*)({END}.*)', readme, re.S).groups()
if sys.argv[2:] == ['--write']:
    whole = before + table() + behind
    open('tests/bench/README.md', 'w', encoding='utf-8').write(whole)
    sys.exit()
for _ in range(2):  # a slow machine may spoil a mark
    if table() != told:
        lines = told.splitlines()
        try_all([row for row in everything if table().splitlines()[2 + list(SITUATIONS).index(row[0])]
                 not in lines])
print(table())
if table() != told:
    sys.exit('interop: FAILED: tests/bench/README.md has another table (--write)')
print('interop: three clients under the same failures: the table in tests/bench/README.md is right')
