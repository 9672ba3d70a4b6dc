#!/usr/bin/env python3
"""Compares rtm.h's JSON accessors with Python's json: 10,000 documents, made and then mutated.
And rtm_json_quote with json.dumps: 2,000 texts, many of them not UTF-8, truncated at every size.

    python3 tests/json_peer.py build/test/json_peer [SEED]

Where RFC 8259 leaves a choice, the reference is configured like rtm.h: of members with the same
name the first counts, NaN and Infinity are no JSON, 128 levels of nesting are the limit, a
lone surrogate is read as U+FFFD, a document is UTF-8.
"""
import json
import random
import subprocess
import sys

DOCUMENTS = 10000
TEXTS = 2000
rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)

PIECES = ['a', 'B', ' ', '"', '\\', '/', '\b', '\f', '\n', '\r', '\t', '\0', '\x1f', '\x7f', 'ß',
          '世', '🎉', '\ud83c', '\udf89', '\ufffd', '{', '}', '[', ']', ',', ':', 'text', '0', '-']
NUMBERS = ['0', '-0', '1', '-1', '9223372036854775807', '-9223372036854775808', '1.5', '1e3',
           '9223372036854775808', '-9223372036854775809', '18446744073709551616', '1E-2', '0.0',
           '1.0', '123456789012345678901234567890', '-1e+5', '42']


def string():
    text = ''.join(rng.choice(PIECES) for _ in range(rng.choice([0, 1, 2, 5, 20])))
    out = json.dumps(text, ensure_ascii=rng.random() < 0.5)
    return ''.join(f'\\u{ord(c):04x}' if '\ud800' <= c <= '\udfff' else c for c in out)


def space():
    return rng.choice(['', '', '', ' ', '\n', '\t \r\n'])


def document(depth):
    kind = rng.random()
    if depth <= 0 or kind < 0.4:
        return rng.choice([string, string, lambda: rng.choice(NUMBERS),
                           lambda: rng.choice(['true', 'false', 'null'])])()
    count = rng.choice([0, 1, 2, 3, 8])
    if kind < 0.7:
        key = lambda: rng.choice([string(), '"type"', '"a"', '"a"', '""', '"ty\\u0070e"'])
        items = [space() + key() + space() + ':' + space() + document(depth - 1) + space()
                 for _ in range(count)]
        return '{' + (','.join(items) or space()) + '}'
    items = [space() + document(depth - 1) + space() for _ in range(count)]
    return '[' + (','.join(items) or space()) + ']'


def make(index):
    if index % 500 == 0:  # deep: at and beyond the limit
        depth = rng.choice([127, 128, 129, 1000])
        text = '[' * depth + ']' * depth
    elif index % 500 == 1:  # wide
        text = '[' + ','.join(rng.choice(NUMBERS) for _ in range(5000)) + ']'
    elif index % 50 == 2:  # with many members, names that stand twice among them
        text = '{' + ','.join(f'"{rng.randrange(60)}":{document(1)}'
                              for _ in range(rng.choice([23, 24, 25, 26, 60]))) + '}'
    else:
        text = space() + document(rng.choice([1, 2, 4, 7])) + space()
    data = bytearray(text.encode())
    if rng.random() < 0.5:
        for _ in range(rng.choice([1, 1, 2, 5])):
            if not data:
                break
            at = rng.randrange(len(data))
            how = rng.random()
            if how < 0.4:
                data[at] = rng.choice(b'{}[]",:\\0-+.eEu tfn\x00\x1f\x80\xff')
            elif how < 0.7:
                del data[at:at + rng.choice([1, 1, 3])]
            else:
                data[at:at] = data[rng.randrange(len(data)):][:rng.choice([1, 2, 6])]
    return bytes(data)


def readable(text):
    return ''.join('\ufffd' if '\ud800' <= c <= '\udfff' else c for c in text)


class Members(dict):
    """An object that remembers how many members it was written with."""

    def __init__(self, pairs):
        super().__init__()
        self.count = len(pairs)
        for name, value in pairs:
            self.setdefault(readable(name), value)


class Number(str):
    """A number, as written."""


def depth_of(data):
    level = deepest = 0
    inside = escaped = False
    for c in data:
        if inside:
            if escaped:
                escaped = False
            elif c == 0x5c:
                escaped = True
            elif c == 0x22:
                inside = False
        elif c == 0x22:
            inside = True
        elif c in b'[{':
            level += 1
            deepest = max(deepest, level)
        elif c in b']}':
            level -= 1
    return deepest


def refuse(name):
    raise ValueError(name)


def reference(data):
    if depth_of(data) > 128:
        raise ValueError('too deep')
    text = data.decode('utf-8')
    if text.startswith('\ufeff'):
        raise ValueError('BOM')
    return json.loads(text, object_pairs_hook=Members, parse_constant=refuse,
                      parse_int=Number, parse_float=Number)


def expected(value):
    size, number, flag, text = 0, -99, 2, b''
    if value is None:
        kind = 'n'
    elif isinstance(value, bool):
        kind, flag = ('t', 3) if value else ('f', 0)
    elif isinstance(value, Number):
        kind = value[0]
        if not set(value) & set('.eE') and -2**63 <= int(value) < 2**63:
            number = int(value)
    elif isinstance(value, str):
        kind = '"'
        text = readable(value).encode()
    elif isinstance(value, Members):
        kind, size = '{', value.count
    else:
        kind, size = '[', len(value)
    return f'{kind} {size} {number} {flag} {text.hex()}'.rstrip()


def paths(value, prefix, out):
    out.append((prefix, expected(value)))
    items = []
    if isinstance(value, Members):
        items = [(k, v) for k, v in value.items() if '.' not in k and '\0' not in k]
    elif isinstance(value, list):
        items = [(str(i), v) for i, v in enumerate(value)]
        rng.shuffle(items)
    for name, inner in items[:50]:
        if prefix or name:  # an empty path is the document itself here
            paths(inner, f'{prefix}.{name}' if prefix else name, out)
    out.append((f'{prefix}.no such' if prefix else 'no such', '- 0 -99 2'))


BYTES = [b'a', b'xyz ', b'"', b'\\', b'/', b'\x7f', 'é'.encode(), '世'.encode(), '🎉'.encode(),
         '\u2028\ufeff\ufffd\uffff'.encode(), b'\xc0\xaf', b'\xe0\x9f', b'\xe4\xb8',
         b'\xed\xa0\x80', b'\xef\xbf', b'\xf0\x8f', b'\xf0\x9f\x98', b'\xf4\x8f\xbf', b'\xf4\x90', b'\xf5', b'\xff']


def some_text():
    pieces = [rng.choice(BYTES) if rng.random() < 0.7 else bytes([rng.randrange(1, 256)])
              for _ in range(rng.choice([0, 1, 2, 5, 20]))]
    if rng.random() < 0.3:
        pieces.append(bytes(range(1, 32)))
    return b''.join(pieces)


def quoted(data):
    """The length of the JSON string and, for each size from 0 on, what is written."""
    pieces = [json.dumps(c, ensure_ascii=False)[1:-1].encode()
              for c in data.decode('utf-8', 'replace')]
    whole = json.dumps(data.decode('utf-8', 'replace'), ensure_ascii=False).encode()
    assert whole == b'"' + b''.join(pieces) + b'"'
    out = [str(len(whole))]
    for size in range(len(whole) + 3):
        kept = b'"'
        for piece in pieces:
            if len(kept) + len(piece) + 2 > size:  # the closing quote and the NUL
                break
            kept += piece
        out.append((kept + b'"').hex() if size >= 3 else '')
    return ' '.join(out)


def main():
    lines, wanted, valid = [], [], 0
    for index in range(DOCUMENTS):
        data = make(index)
        lines.append(f'doc {data.hex()}')
        try:
            value = reference(data)
        except (ValueError, RecursionError):
            wanted.append((data, None, 'refused'))
            continue
        valid += 1
        wanted.append((data, None, 'valid'))
        found = []
        paths(value, '', found)
        for path, answer in found[:400]:
            lines.append(f'get {path.encode().hex()}')
            wanted.append((data, path, answer))
    for _ in range(TEXTS):
        data = some_text()
        lines.append(f'quote {data.hex()}')
        wanted.append((data, 'rtm_json_quote', quoted(data)))
    run = subprocess.run([sys.argv[1]], input='\n'.join(lines) + '\n', capture_output=True,
                         text=True, check=False)
    got = [line.rstrip() for line in run.stdout.split('\n')[:-1]]
    wrong = [(w, g) for w, g in zip(wanted, got) if w[2] != g]
    for (data, path, answer), line in wrong[:5]:
        print(f'json_peer: {data[:200]!r} at {path!r}: expected {answer!r}, got {line!r}')
    if wrong or len(got) != len(wanted) or run.returncode:
        print(run.stderr[-2000:])
        print(f'FAIL json_peer: {len(wrong)} differences, {len(got)} of {len(wanted)} answers')
        return 1
    print(f'PASS json_peer: {DOCUMENTS} documents, {valid} of them valid, {TEXTS} texts, '
          f'{len(wanted)} answers as Python gives them')
    return 0


sys.exit(main())
