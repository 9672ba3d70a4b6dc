#!/usr/bin/env python3
"""Compares the comment STATES in rtm.h with the code: its table lists what RTM_STATES lists, in
that order; its diagram and the text below it have exactly the transitions of tests/states.h."""
import re
import sys

source = open('rtm.h').read()
comment = source[source.index('   STATES\n'):source.index('     One rtm_poll call')]
diagram, table = comment.split('     state  ')
names = re.findall(r'X\(([A-Z]+)\)', source[source.index('#define RTM_STATES(X)'):].split('\n')[0])
rows = re.findall(r'^     RTM_STATE_([A-Z]+) ', table, re.M)
if not names or rows != names:
    sys.exit(f'FAIL states: the table has {rows}, RTM_STATES {names}')

lines = diagram.split('\n')[1:]
bottom = next(i for i, line in enumerate(lines) if line.strip().startswith('BACKOFF'))


def state_at(line, column):
    """The state at this column of this line."""
    for word in re.finditer(r'[A-Z]+', line):
        if word.start() <= column < word.end():
            return word[0]
    sys.exit(f'FAIL states: no state above or below column {column} of the diagram')


drawn = {f'{a} -> {b}' for a, b in re.findall(r'([A-Z]+) -+> (?=([A-Z]+))', lines[0])}
for line in lines[1:bottom]:
    for arrow in re.finditer(r'[v^]', line):
        top = state_at(lines[0], arrow.start())
        drawn.add(f'{top} -> BACKOFF' if arrow[0] == 'v' else f'BACKOFF -> {top}')
words = r'((?:[A-Z]+, )*[A-Z]+ and [A-Z]+)'
prose = ' '.join(' '.join(lines[bottom + 1:]).split())
for pattern in (words + ' go to FINISHED when rtm_stop is called', words + ' also when their end'):
    found = re.search(pattern, prose)
    if not found:
        sys.exit(f'FAIL states: no text like "{pattern}"')
    drawn |= {f'{name} -> FINISHED' for name in re.findall(r'[A-Z]+', found[1])}

listed = set(re.findall(r'"([A-Z]+ -> [A-Z]+)"', open('tests/states.h').read()))
if drawn != listed:
    sys.exit(f'FAIL states: only in the comment: {sorted(drawn - listed)}, '
             f'only in tests/states.h: {sorted(listed - drawn)}')
print('PASS the table and the diagram of states are those of the code')
