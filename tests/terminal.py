#!/usr/bin/env python3
"""The sandbox at a terminal: colours, the editor of the line that is typed, its end.

    python3 tests/terminal.py BUILD
"""
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time

build = sys.argv[1]


class Terminal:
    """The sandbox on a pseudo-terminal of 80 columns, and what it has written there."""

    def __init__(self, **environment):
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80)) if hasattr(termios, 'tcsetwinsize') else None
        self.slave, self.before, self.told = slave, termios.tcgetattr(slave), ''
        self.program = subprocess.Popen(
            [f'{build}/sandbox', '--port', '0', '--plain'], stdin=slave, stdout=slave, stderr=slave,
            env={**os.environ, 'TERM': 'xterm', **environment}, start_new_session=True,
            preexec_fn=lambda: __import__('fcntl').ioctl(0, termios.TIOCSCTTY, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def shows(self, text, plain=True):
        """It has written this since the last one that was asked for, or will."""
        end = time.monotonic() + 20
        while True:
            told = re.sub(r'\033\[[0-9;?]*[A-Za-z]', '', self.told) if plain else self.told
            if text in told:
                self.told = ''
                return
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                sys.exit(f'FAIL terminal.py: not shown: {text!r} in {self.told!r}')
            self.told += os.read(self.master, 4096).decode()

    def ends(self, code):
        if self.program.wait(20) != code:
            sys.exit(f'FAIL terminal.py: it ends with {self.program.returncode}, not {code}')
        if termios.tcgetattr(self.slave) != self.before:
            sys.exit('FAIL terminal.py: the terminal is left changed')
        os.close(self.master)
        os.close(self.slave)


box = Terminal()
box.shows('\033[2msandbox |\033[0m listening', plain=False)
box.type('/goo\t')                          # completed
box.shows('> /goodbye')
box.type('\x15/sle\t 1\r')                  # rubbed out, another
box.shows('/sleep 1')
box.type('/helo\x1b[D\x1b[D\x1b[C\x7fl\r')  # the cursor moved, a letter replaced
box.shows('no such command: /hllo')
box.type('\x1b[A')                          # the last line again, its mistake mended
box.shows('/hllo')
box.type('\x1b[D\x1b[D\x1b[D\x7fe\r')
box.shows('/help lists them')
box.type('/raw caf\u00e9 \x1b')             # a lone escape key stops nothing
box.shows('/raw caf\u00e9')
time.sleep(0.5)
box.type('\x15hello\r')
box.shows('no bot is connected, waiting for one')
box.type('half a li')                       # typed while a line waits
box.shows('half a li')

# What is printed stands above what is typed, which comes back under it.
bot = subprocess.Popen([f'{build}/ws_echo', 'ws://127.0.0.1:1/'], stderr=subprocess.DEVNULL)
bot.wait(20)
box.type('\x03')
box.ends(0)

box = Terminal()
box.shows('listening')
box.type('/expect nothing that anybody says\r')
box.shows('\033[31msandbox |\033[0m /expect nothing', plain=False)
box.type('/sleep 1\r')
box.type('\x04')                            # the end of the input
box.ends(0)

for name, value in (('NO_COLOR', '1'), ('TERM', 'dumb')):
    box = Terminal(**{name: value})
    box.shows('sandbox | listening')
    box.type('/quit\r')
    box.ends(0)
    if '\033[2m' in box.told:
        sys.exit(f'FAIL terminal.py: colours with {name}={value}')
print('PASS the sandbox at a terminal')
