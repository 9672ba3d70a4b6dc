#!/usr/bin/env python3
"""The picture of `make demo` in README.md, tests/demo.svg: made from a run on a pseudo-terminal.

    python3 tests/picture.py BUILD           fails if the picture does not show what a run prints
    python3 tests/picture.py BUILD --write   makes it anew
"""
import os
import pty
import re
import subprocess
import sys
from html import escape, unescape

FILE = 'tests/demo.svg'
COLOURS = {'1': '#ffffff', '32': '#7ee787', '33': '#e3b341', '36': '#79c0ff'}
MARKED = ('Slack refreshes', 'The connection is cut') # what the demo is about
SPACE, KEPT = ' ', '\u00a0'  # which no viewer makes one of several
ROW, LEFT, TOP, WIDTH = 19, 24, 62, 760  # pixels


def run(build):
    """The lines of a run, those of one part in a list."""
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
    return output.decode().replace('\r', '').strip().splitlines()


def without_colours(line):
    return re.sub(r'\033\[\d*m', '', line)


def row(line, y):
    """One line as SVG: a tspan for each colour."""
    spans, colour = '', ''
    for code, text in re.findall(r'(?:\033\[(\d*)m)?([^\033]+)', line.removesuffix('\033[0m')):
        colour = COLOURS.get(code, '') if code else ''
        style = f' fill="{colour}"' if colour else ''
        if code == '1':
            style += ' font-weight="bold"'
        spans += f'<tspan{style}>{escape(text).replace(SPACE, KEPT)}</tspan>'
    return f'<text x="{LEFT}" y="{y}">{spans}</text>\n'


def picture(lines):
    rows, marks, y, start = '', '', TOP, None
    for line in lines + ['']:
        if not line and start:  # a bar beside the part that ends here
            marks += (f'<rect x="0" y="{start - 15}" width="{WIDTH}" height="{y - start + 4}" '
                      'fill="#1f2f46"/>\n'
                      f'<rect x="0" y="{start - 15}" width="5" height="{y - start + 4}" '
                      'fill="#58a6ff"/>\n')
            start = None
        if without_colours(line).startswith(MARKED):
            start = y
        if line:
            rows += row(line, y)
        y += ROW if line else ROW // 2 + 4
    height = y + 4
    dots = ''.join(f'<circle cx="{20 + 20 * i}" cy="17" r="6" fill="{colour}"/>\n'
                   for i, colour in enumerate(('#ff5f57', '#febc2e', '#28c840')))
    return f'''<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"
 xml:space="preserve" role="img">
<title>make demo: a bot and a local Slack</title>
<style>text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #e6edf3 }}
</style>
<rect width="{WIDTH}" height="{height}" rx="10" fill="#0d1117" stroke="#30363d"/>
<path d="M0 34V10A10 10 0 0 1 10 0H{WIDTH - 10}A10 10 0 0 1 {WIDTH} 10V34Z" fill="#21262d"/>
{dots}{marks}{rows}</svg>
'''


lines = ['\033[32m$\033[0m make demo', '', *run(sys.argv[1])]
if sys.argv[2:] == ['--write']:
    with open(FILE, 'w', encoding='utf-8') as out:
        out.write(picture(lines))
else:
    with open(FILE, encoding='utf-8') as file:
        texts = re.findall(r'<text[^>]*>(.*)</text>', file.read())
    shown = [unescape(re.sub('<[^>]*>', '', text)).replace(KEPT, SPACE) for text in texts]
    # Which of the two connections is read first, and how fast, is chance.
    if sorted(shown) != sorted(without_colours(line) for line in lines if line):
        sys.exit(f'FAIL {FILE} does not show what the demo prints now '
                 '(python3 tests/picture.py build --write makes it anew)')
    print(f'PASS {FILE} shows what the demo prints')
