#!/usr/bin/env python3
"""All results of rtm.h, with examples of its error messages, in tests/errors.txt.

    python3 tests/errors.py MESSAGES           compares the table with the messages of the tests
    python3 tests/errors.py MESSAGES --write   updates the table

MESSAGES is the file that the tests wrote (seen_messages.h). The comparison fails if a call of
rtmi_fail in rtm.h has no row, if a string that becomes part of a message is in no row, if no test
caused the message of a row, or if a result has no row.
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
# Strings of several words that are no part of an error message: protocols, and the log.
OTHER = re.compile(r'rtm\.h: |X509 CERT|Authorization: |application/|handover: | \((old|new) session'
                   r'|,"|- \\t')
# Strings that no test causes to be reported, and why.
UNUSED = {
    'no CA bundle found: set ca_file or ca_pem': 'on a machine without CA certificates',
    'invalid certificate': 'for errors of BearSSL that have no message of their own',
    'invalid certificate signature': 'BearSSL reports another error first where it can',
    'rtm.h sent a fatal alert': 'if BearSSL sends an alert, it reports its own error first',
    'unknown result': 'it is what rtm_strerror returns for a number that is no result',
}


def strings():
    """The strings that become parts of messages by %s, as far as they are several words."""
    code = source[source.index('defined(RTM_IMPLEMENTATION)'):]
    found, end = [], 0
    for token in re.finditer(r"/\*.*?\*/|'(?:[^'\\]|\\.)+'|" + LITERAL, code, re.S):
        if token[1] is None:
            continue
        if found and not code[end:token.start()].strip():
            found[-1] += token[1] # adjacent strings are one
        else:
            found.append(token[1])
        end = token.end()
    found = [text.replace('\\"', '"') for text in dict.fromkeys(found)]
    return [text for text in found if ' ' in text.strip() and not re.search(r'%|\\[nr]', text)
            and not OTHER.match(text) and text not in UNUSED]


def arguments(text):
    """The arguments of a call; `text` begins after its opening parenthesis."""
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
    """Each format and its results, in the order of rtm.h."""
    found = {}
    for call in re.finditer(r'rtmi_fail\((?!rtmi_error \*)', source):
        _, result, *rest = arguments(source[call.end():call.end() + 2000])
        # The argument can be (... ? "a" : "b"): two formats if a colon is between two literals.
        pieces = re.split(LITERAL, rest[0])
        text = ''
        for between, literal in zip(pieces[::2], pieces[1::2] + ['']):
            if text and (':' in between or not literal):
                found.setdefault(text, set()).add(result)
                text = ''
            text += literal.replace('\\"', '"')
    return found


def plain(message):
    """Without what differs from run to run: ports and temporary files."""
    message = re.sub(r'(port |:)\d{4,5}\b', r'\1PORT', message)
    return re.sub(r'(/tmp|build)/[\w./-]*', 'FILE', message)


def examples(format, messages):
    """A few messages of a format: one for each different ending, or one."""
    pattern = re.sub(r'%(s|d|u|lld|zu)', '(.*)', re.escape(format))
    varies = re.search(r'(^|: |%s ?|%d)%s$|\(BearSSL', format)
    chosen, fitting = {}, []
    # Messages that users will see come before those that only hostile servers cause.
    for message in sorted(messages, key=lambda text: (not CALLS.search(text), len(text), text)):
        match = re.fullmatch(pattern, message)
        # Truncated, altered or non-ASCII messages are no examples, nor those that need IPv6.
        if not match or not message.isascii() or '::' in message or '?' in message:
            continue
        # Whether this happens depends on how long a real lookup takes.
        if 'localhost' in message and 'timed out' in message:
            continue
        fitting.append(message)
        end = match.groups()[-1] if varies and match.groups() else ''
        if format.startswith('%s %s%s'): # by what timed out
            end = re.match(r'the \w+|\w+', message).group()
        if format in ('%s', '%s%s'):
            end = re.sub(r' \(.*', '', message)
        if format.startswith('Slack refused %s: %s'): # by the advice, else by the result
            code, *advice = message.split(': ')[1:]
            if not re.fullmatch('[a-z_]+', code) or code == 'line':
                continue
            end = ': '.join(advice) or result_of('', message)
        chosen.setdefault(end, message)
    for text in STRINGS:
        if not any(text in message for message in chosen.values()):
            chosen.update((text, message) for message in fitting[::-1] if text in message)
    return list(chosen.values())


def result_of(kind, message):
    """The result of a message, also if the call takes it from a variable."""
    if kind in results:
        return kind
    if '(BearSSL error' in message:
        return f"RTM_E_{'CERTIFICATE' if 32 <= int(message.split()[-1][:-1]) < 256 else 'TLS'}"
    if message.startswith('TLS with'):
        return 'RTM_E_CERTIFICATE'
    if message.startswith('WebSocket handshake refused'):
        return 'RTM_E_RATE_LIMITED' if '429' in message else 'RTM_E_WEBSOCKET'
    if message.startswith('Slack refused'):
        code = message.split(': ')[1]
        fatal = re.search(r'rtmi_auth_codes\[\] = {(.*?)};', source, re.S).group(1)
        return ('RTM_E_AUTH' if f'"{code}"' in fatal else
                'RTM_E_RATE_LIMITED' if code in ('ratelimited', 'rate_limited') else 'RTM_E_SLACK')
    for result, meaning in results.items():
        if message.endswith(': ' + meaning):
            return result
    if message.startswith('out of memory'):
        return 'RTM_E_MEMORY'
    if message.startswith('message skipped: longer'):
        return 'RTM_E_TOO_BIG'
    text = re.escape(re.sub(r' \(.*', '', message))
    notice = re.search(r'rtmi_notify\(client, session, (RTM_E_\w+)[^;]*"' + text, source)
    return notice[1] if notice else None


STRINGS = strings()
met = {}
with open(sys.argv[1], encoding='utf-8', errors='replace') as lines:
    for line in lines:
        format, _, message = line.rstrip('\n').partition('\t')
        met.setdefault(format, set()).add(plain(message))

rows, missing = {result: [] for result in results}, []
for format, kinds in formats().items():
    some = examples(format, met.get(format, ()))
    if not some and format not in UNSEEN:
        missing.append(format)
    for message in some or [f'{format} [{UNSEEN[format]}]'] if format in UNSEEN or some else []:
        mixed = [result_of(kind, message) for kind in kinds if kind not in results]
        for result in [result for result in mixed if result] or kinds & results.keys():
            rows[result].append(message)
table = ''.join(f'{result}: {meaning}\n' + ''.join(f'    {row}\n' for row in rows[result]) + '\n'
                for result, meaning in results.items())
if missing:
    sys.exit('FAIL errors: caused by no test:\n    ' + '\n    '.join(missing))
if sys.argv[2:] == ['--write']:
    with open(TABLE, 'w', encoding='utf-8') as out:
        out.write(table)
    sys.exit()

# Some tests are random, so another run can choose another message as the example of a format.
# Therefore each message of the table must be one that a test caused, and each format and each
# result must have one.
with open(TABLE, encoding='utf-8') as file:
    listed = file.read()
everything = set().union(*met.values())
for line in listed.splitlines():
    message = re.sub(r' \[[^]]*\]$', '', line.strip())
    if line.startswith(' ') and message not in everything and message not in UNSEEN:
        sys.exit(f'FAIL errors: {TABLE} has a message that no test caused (--write updates it):\n'
                 f'    {message}')
for format in formats():
    pattern = re.sub(r'%(s|d|u|lld|zu)', '.*', re.escape(format))
    if not re.search(f'^    {pattern}( \\[.*)?$', listed, re.M):
        sys.exit(f'FAIL errors: {TABLE} lacks (--write updates it):\n    {format}')
for text in STRINGS:
    if text not in listed:
        sys.exit(f'FAIL errors: {TABLE} lacks (--write updates it):\n    {text}')
for result, meaning in results.items():
    if f'{result}: {meaning}\n    ' not in listed:
        sys.exit(f'FAIL errors: {TABLE} lacks {result}: {meaning}')
print(f'PASS {TABLE}: {len(results)} results, {listed.count("    ")} messages')
