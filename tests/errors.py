#!/usr/bin/env python3
"""All results of rtm.h, with examples of its error messages, in tests/errors.txt.

    python3 tests/errors.py SENTENCES           compares the table with what the tests met
    python3 tests/errors.py SENTENCES --write   writes it again

SENTENCES is what the tests wrote (sentences.h). The comparison fails if a call of rtmi_fail in rtm.h
has no row, if no test has met the message of a row, and if a result has no row.
"""
import re
import sys

TABLE = 'tests/errors.txt'
# Formats of which no test causes a message, and why.
UNSEEN = {
    'TLS cannot start (BearSSL error %d)': 'when BearSSL refuses what config.tls_setup has set',
}
CALLS = re.compile(r'rtm\.connect|apps\.connections\.open|chat\.postMessage')
source = open('rtm.h', encoding='utf-8').read()
results = dict(re.findall(r'X\((RTM_E_\w+), -\d+, "(.*?)"\)', source))
LITERAL = r'"((?:[^"\\]|\\.)*)"'


def arguments(text):
    """The arguments of a call, from behind its bracket on."""
    found, depth, current = [], 0, ''
    for token in re.findall(LITERAL.replace('(', '(?:', 1) + r'|.', text, re.S):
        if token in '([{':
            depth += 1
        elif token in ')]}':
            if not depth:
                return found + [current.strip()]
            depth -= 1
        if token == ',' and not depth:
            found.append(current.strip())
            current = ''
        else:
            current += token
    return found


def formats():
    """Each format and what its result is, in the order of rtm.h."""
    found = {}
    for call in re.finditer(r'rtmi_fail\((?!rtmi_error \*)', source):
        _, result, *rest = arguments(source[call.end():call.end() + 2000])
        # A choice (... ? "a" : "b") has several; what lies between two literals tells.
        pieces = re.split(LITERAL, rest[0])
        text = ''
        for between, literal in zip(pieces[::2], pieces[1::2] + ['']):
            if text and (':' in between or not literal):
                found.setdefault(text, set()).add(result)
                text = ''
            text += literal.replace('\\"', '"')
    return found


def plain(sentence):
    """Without what differs from run to run: ports and temporary files."""
    sentence = re.sub(r'(port |:)\d{4,5}\b', r'\1PORT', sentence)
    return re.sub(r'(/tmp|build)/[\w./-]*', 'FILE', sentence)


def examples(format, sentences):
    """Few sentences of a format: one for each way in which it ends, or one."""
    pattern = re.sub(r'%(s|d|u|lld|zu)', '(.*)', re.escape(format))
    varies = re.search(r'(^|: |%s ?|%d)%s$|\(BearSSL', format)
    chosen = {}
    # Those that somebody will see come before what hostile servers in tests bring about.
    for sentence in sorted(sentences, key=lambda text: (not CALLS.search(text), len(text), text)):
        match = re.fullmatch(pattern, sentence)
        # One that is cut, foreign or altered is no example, nor one that needs IPv6.
        if not match or not sentence.isascii() or '::' in sentence or '?' in sentence:
            continue
        # What a real lookup leaves time for differs from run to run.
        if 'localhost' in sentence and 'timed out' in sentence:
            continue
        end = match.groups()[-1] if varies and match.groups() else ''
        if format.startswith('%s %s%s'): # by what timed out
            end = re.match(r'the \w+|\w+', sentence).group()
        if format in ('%s', '%s%s'):
            end = re.sub(r' \(.*', '', sentence)
        if format.startswith('Slack refused %s: %s'): # by the advice, else by the result
            code, *advice = sentence.split(': ')[1:]
            if not re.fullmatch('[a-z_]+', code) or code == 'line':
                continue
            end = ': '.join(advice) or result_of('', sentence)
        chosen.setdefault(end, sentence)
    return list(chosen.values())


def result_of(kind, sentence):
    """What a sentence's result is where the call has it from a variable."""
    if kind in results:
        return kind
    if '(BearSSL error' in sentence:
        return f"RTM_E_{'CERTIFICATE' if 32 <= int(sentence.split()[-1][:-1]) < 256 else 'TLS'}"
    if sentence.startswith('TLS with'):
        return 'RTM_E_CERTIFICATE'
    if sentence.startswith('WebSocket handshake refused'):
        return 'RTM_E_RATE_LIMITED' if '429' in sentence else 'RTM_E_WEBSOCKET'
    if sentence.startswith('Slack refused'):
        code = sentence.split(': ')[1]
        fatal = re.search(r'rtmi_auth_codes\[\] = {(.*?)};', source, re.S).group(1)
        return ('RTM_E_AUTH' if f'"{code}"' in fatal else
                'RTM_E_RATE_LIMITED' if code in ('ratelimited', 'rate_limited') else 'RTM_E_SLACK')
    for result, meaning in results.items():
        if sentence.endswith(': ' + meaning):
            return result
    skip = re.search(r'{ (RTM_E_\w+), "' + re.escape(re.sub(r' \(.*', '', sentence)), source)
    return skip.group(1) if skip else None


met = {}
with open(sys.argv[1], encoding='utf-8', errors='replace') as lines:
    for line in lines:
        format, _, sentence = line.rstrip('\n').partition('\t')
        met.setdefault(format, set()).add(plain(sentence))

rows, missing = {result: [] for result in results}, []
for format, kinds in formats().items():
    some = examples(format, met.get(format, ()))
    if not some and format not in UNSEEN:
        missing.append(format)
    for sentence in some or [f'{format} [{UNSEEN[format]}]'] if format in UNSEEN or some else []:
        mixed = [result_of(kind, sentence) for kind in kinds if kind not in results]
        for result in [result for result in mixed if result] or kinds & results.keys():
            rows[result].append(sentence)
table = ''.join(f'{result}: {meaning}\n' + ''.join(f'    {row}\n' for row in rows[result]) + '\n'
                for result, meaning in results.items())
if missing:
    sys.exit('FAIL errors: met by no test:\n    ' + '\n    '.join(missing))
if sys.argv[2:] == ['--write']:
    with open(TABLE, 'w', encoding='utf-8') as out:
        out.write(table)
    sys.exit()

# Which sentence stands for a format is chance where tests have chance in them: each must be one that
# a test met, and no format and no result may be without.
with open(TABLE, encoding='utf-8') as file:
    told = file.read()
everything = set().union(*met.values())
for line in told.splitlines():
    sentence = re.sub(r' \[[^]]*\]$', '', line.strip())
    if line.startswith(' ') and sentence not in everything and sentence not in UNSEEN:
        sys.exit(f'FAIL errors: {TABLE} has what no test met (--write makes it anew):\n    {sentence}')
for format in formats():
    pattern = re.sub(r'%(s|d|u|lld|zu)', '.*', re.escape(format))
    if not re.search(f'^    {pattern}( \\[.*)?$', told, re.M):
        sys.exit(f'FAIL errors: {TABLE} lacks (--write makes it anew):\n    {format}')
for result, meaning in results.items():
    if f'{result}: {meaning}\n    ' not in told:
        sys.exit(f'FAIL errors: {TABLE} lacks {result}: {meaning}')
print(f'PASS {TABLE}: {len(results)} results, {told.count("    ")} sentences')
