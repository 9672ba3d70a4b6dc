#!/usr/bin/env python3
"""The picture of `make demo` in README.md, tests/demo.svg: made from a run on a pseudo-terminal,
RTM in one column and Socket Mode in the other.

    python3 tests/picture.py BUILD           fails where the picture does not show what a run prints
    python3 tests/picture.py BUILD --write   makes it anew

Two programs write to the terminal at the same time: only what the lines say must be the same, not
their order; ports are left out.
"""
import os
import pty
import re
import subprocess
import sys
from html import escape, unescape

FILE = 'tests/demo.svg'
COLOURS = {'2': '#8b949e', '31': '#ff7b72', '32': '#7ee787', '33': '#e3b341', '36': '#79c0ff'}
SPACE, KEPT = ' ', '\u00a0'  # which no viewer makes one of several
ROW, LEFT, TOP, SECOND, WIDTH = 17, 18, 76, 418, 1000  # pixels; a character has 7.23


def run(build):
    master, slave = pty.openpty()
    environment = {**os.environ, 'TERM': 'xterm'}
    environment.pop('NO_COLOR', None)
    demo = subprocess.Popen(['sh', 'examples/demo.sh', build], stdin=slave, stdout=slave,
                            stderr=slave, env=environment)
    os.close(slave)
    output = b''
    try:
        while data := os.read(master, 4096):
            output += data
    except OSError:  # the other end is closed
        pass
    if demo.wait():
        sys.exit(output.decode() + 'FAIL the demo')
    lines = re.sub(r'localhost:\d+', 'localhost:8443', output.decode()).replace('\r', '').splitlines()
    second = [i for i, line in enumerate(lines) if line.startswith('demo: the same again')][0]
    return lines[:second], lines[second:]


def row(line, column, number):
    """One line as SVG: a tspan for each colour."""
    spans, colour = '', ''
    for code, text in re.findall(r'(?:\033\[(\d*)m)?([^\033]+)', line):
        colour = COLOURS.get(code, '') if code else colour
        if line.startswith(('echo_bot:', 'demo:')):
            colour = '#d2a8ff'
        fill = f' fill="{colour}"' if colour else ''
        spans += f'<tspan{fill}>{escape(text).replace(SPACE, KEPT)}</tspan>'
    return f'<text x="{(LEFT, SECOND)[column]}" y="{TOP + number * ROW}">{spans}</text>\n'


def picture(columns):
    height = TOP + max(map(len, columns)) * ROW + 4
    rows = ''.join(row(line, x, y)
                   for x, lines in enumerate(columns) for y, line in enumerate(lines))
    dots = ''.join(f'<circle cx="{20 + 20 * i}" cy="17" r="6" fill="{colour}"/>\n'
                   for i, colour in enumerate(('#ff5f57', '#febc2e', '#28c840')))
    return f'''<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">
<title>make demo: a bot and a local Slack, in RTM (left) and in Socket Mode (right)</title>
<style>text {{ font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #e6edf3 }}
</style>
<rect width="{WIDTH}" height="{height}" rx="10" fill="#0d1117" stroke="#30363d"/>
<path d="M0 34V10A10 10 0 0 1 10 0H{WIDTH - 10}A10 10 0 0 1 {WIDTH} 10V34Z" fill="#21262d"/>
{dots}<text x="{LEFT}" y="{TOP - 19}"><tspan fill="#7ee787">$</tspan> make demo</text>
{rows}</svg>
'''


def words(columns):
    """What the lines say. How often the sandbox waits for a bot, and how many acknowledgements arrive
    before it ends, is chance."""
    chance = ('no bot is connected', '| acknowledged message')
    plain = [re.sub(r'\033\[\d*m', '', line).rstrip() for lines in columns for line in lines]
    return sorted(line for line in plain if not any(text in line for text in chance))


columns = run(sys.argv[1])
if sys.argv[2:] == ['--write']:
    with open(FILE, 'w', encoding='utf-8') as out:
        out.write(picture(columns))
else:
    with open(FILE, encoding='utf-8') as file:
        texts = re.findall(r'<text[^>]*>(.*)</text>', file.read())  # the first: the command
    shown = [unescape(re.sub('<[^>]*>', '', text)).replace(KEPT, SPACE) for text in texts[1:]]
    if words([shown]) != words(columns):
        sys.exit(f'FAIL {FILE} does not show what the demo prints now '
                 '(python3 tests/picture.py build --write makes it anew)')
    print(f'PASS {FILE} shows what the demo prints')
