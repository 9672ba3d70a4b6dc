#!/usr/bin/env python3
"""Changes one random line of rtm.h at a time and reports which changes no test notices.

    python3 tests/mutants.py SEED COUNT
    python3 tests/mutants.py LINE

The first form makes COUNT changes (mutants) that compile; the same SEED makes the same changes. The
second form makes every change of one line that the tool knows. Each mutant is built in a copy below
build/mutants. The tests of its layer run first, then the other unit tests, until one fails. Tests
that fail without a change do not count. A mutant that no test notices is printed with the line
before and after the change; the exit status is then 1. Two mutants are built at a time (JOBS=1: one).
QUICK=1 runs the tests of the layer only, without sanitizers; VERBOSE=1 prints each change.
"""
import collections
import concurrent.futures
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORK = os.path.join(TOP, 'build', 'mutants')
QUICK = bool(os.environ.get('QUICK'))
CC = os.environ.get('CC', 'cc').split()
FLAGS = ['-std=c99', '-w', '-I.']
LIBS = ['-lcmocka', '-lbearssl', '-lssl', '-lcrypto', '-luv', '-lpthread']
SANITIZE = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all']

PROGRAMS = ['json', 'http', 'ws', 'random', 'session', 'reconnect', 'webapi', 'requests',
            'socket_mode', 'handover', 'lookup', 'loops', 'proxy', 'session-poll',
            'reconnect-poll', 'loops-poll', 'lookup-nothreads', 'tls']
OPTIONS = {'poll': ['-DRTMI_EPOLL=0'], 'nothreads': ['-DRTM_NO_THREADS']}
# The programs of each layer, by its >>tag. A tag that is not here belongs to the session.
LAYERS = {
    'base': ['random', 'json', 'http', 'ws'],
    'json': ['json'],
    'http': ['http'],
    'ws': ['ws'],
    'trust': ['tls'],
    'conn': ['session', 'lookup', 'proxy', 'loops', 'tls'],
    'exchange': ['webapi', 'requests'],
    'config': ['webapi', 'proxy'],
    'queue': ['requests'],
    'public': ['webapi', 'session', 'requests'],
}
SESSION = ['session', 'socket_mode', 'handover', 'reconnect']

SAME = 'the compiler'

Mutant = collections.namedtuple('Mutant', 'line tag before after')


# Changes -----------------------------------------------------------------------------------------

def code_only(text):
    """The text of rtm.h with comments and the contents of strings blanked out, at equal length."""
    def blank(found):
        word = found.group()
        if word[0] in '"\'':
            return word[0] + ' ' * (len(word) - 2) + word[-1]
        return re.sub(r'[^\n]', ' ', word)
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.S)


def closing(code, start):
    """The place of the parenthesis that closes the one at `start`, or -1 if it is further down."""
    depth = 0
    for i in range(start, len(code)):
        depth += (code[i] == '(') - (code[i] == ')')
        if not depth:
            return i
    return -1


def families(code):
    """Constants that can replace each other: those with the same first two words."""
    groups = collections.defaultdict(set)
    for name in re.findall(r'\bRTMI?_[A-Z0-9_]*[A-Z0-9]\b(?!\()', code):
        words = name.split('_')
        if len(words) > 2:
            groups[tuple(words[:2])].add(name)
    return {name: sorted(group - {name}) for group in groups.values() for name in group}


COMPARISONS = {'==': ['!='], '!=': ['=='], '<': ['<=', '>='], '<=': ['<', '>'],
               '>': ['>=', '<='], '>=': ['>', '<']}
SWAPS = {'&&': '||', '||': '&&', '+=': '-=', '-=': '+=', '++': '--', '--': '++', ' + ': ' - ',
         ' - ': ' + ', 'true': 'false', 'false': 'true', 'break;': 'continue;',
         'continue;': 'break;', '<<': '>>', '>>': '<<', ' & ': ' | ', ' | ': ' & ', ' / ': ' * ',
         ' * ': ' / '}
DECLARATION = re.compile(r'\s*(static|const|struct|enum|union|typedef|unsigned|return|goto|else|do|'
                         r'case|default|\(void\)|\w+ \*?\w+( =|;|,|\[)|\w+ \*?const )')


def changes(line, code, constants):
    """All that can become of a line. `code` is the line without comments and strings."""
    made = []

    def put(start, end, new):
        made.append(line[:start] + new + line[end:])

    for found in re.finditer(r'(?<![-<>=!+*/&|])(==|!=|<=|>=|<|>)(?![<>=])', code):
        if found.group() in '<>' and code[found.start() - 1] != ' ':
            continue
        for new in COMPARISONS[found.group()]:
            put(found.start(), found.end(), new)
    for old, new in SWAPS.items():
        at = code.find(old)
        while at >= 0:
            if not old.isalpha() or re.match(r'\b%s\b' % old, code[at:]):
                put(at, at + len(old), new)
            at = code.find(old, at + len(old))
    for found in re.finditer(r'(?<![\w.])(\d+)(?![\w.])', code):
        number = int(found.group())
        for new in {number + 1, max(number - 1, 0), 0} - {number}:
            put(found.start(), found.end(), str(new))
    for found in re.finditer(r'\b(?:if|while) (\()', code):
        end = closing(code, found.start(1))
        if end > 0:
            condition = line[found.start(1):end + 1]
            put(found.start(1), end + 1, '(!%s)' % condition)
            if re.match(r'\s*[^;{]+;\s*$', code[end + 1:]):
                put(end + 1, len(line), ' ;')
    for found in re.finditer(r'!(?=[\w(])', code):
        put(found.start(), found.end(), '')
    for found in re.finditer(r'\bRTMI?_[A-Z0-9_]+\b', code):
        for new in constants.get(found.group(), []):
            put(found.start(), found.end(), new)
    if re.match(r'\s+[\w(*].*;\s*$', code) and not DECLARATION.match(code) and \
            code.count('(') == code.count(')') and not re.match(r'\s*(if|while|for)\b', code):
        put(len(line) - len(line.lstrip()), len(line), ';')
    return sorted(set(made) - {line})


def candidates(text):
    """For each line of the implementation that can be changed: its number, tag and changes."""
    code = code_only(text)
    constants = families(code)
    lines, codes = text.split('\n'), code.split('\n')
    begin = next(i for i, line in enumerate(lines) if 'defined(RTM_IMPLEMENTATION)' in line)
    tag, found, directive = '', [], False
    for i in range(begin, len(lines)):
        if re.match(r' \* >>(\w+)', lines[i]):
            tag = lines[i].split('>>')[1].split()[0]
        elif not tag and re.match(r'/\* >>(\w+)', lines[i]):
            tag = lines[i].split('>>')[1].split()[0]
        if lines[i].startswith('#endif /* RTM_IMPLEMENTATION'):
            break
        was, directive = directive, lines[i].endswith('\\')
        if not tag or was or codes[i].lstrip().startswith('#'):
            continue
        made = changes(lines[i], codes[i], constants)
        if made:
            found.append((i, tag, made))
    return lines, found


# Building and running ----------------------------------------------------------------------------

running = set()  # process groups


def end(group):
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def interrupted(number, frame):
    for group in list(running):
        end(group)
    os._exit(128 + number)


def limits():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20))


def run(command, cwd, seconds, log, enough=lambda: False):
    """Runs a command in a process group of its own, until its end, the time limit or `enough`; then
    ends what is left of the group. Returns the exit status, None if it was ended."""
    with open(log, 'wb') as out:
        process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=out, start_new_session=True, preexec_fn=limits)
        running.add(process.pid)
        try:
            until = time.monotonic() + seconds
            while time.monotonic() < until and not enough():
                try:
                    return process.wait(0.1)
                except subprocess.TimeoutExpired:
                    pass
            return None
        finally:
            end(process.pid)
            process.wait()
            running.discard(process.pid)


def source(program):
    return 'tests/%s.c' % program.split('-')[0]


def build(folder, program, flags):
    options = OPTIONS.get(program.partition('-')[2], [])
    if program == 'requests':
        options = options + ['-fsanitize-coverage=trace-pc']
    command = CC + FLAGS + flags + options + [source(program), '-o', program] + LIBS
    return run(command, folder, 300, os.path.join(folder, 'cc.log')) == 0


def failed_tests(text):
    return set(re.findall(r'^\[  (?:FAILED|ERROR) *\] *([A-Za-z_]\w*)', text, re.M))


def failures(folder, program, seconds, known=None):
    """The names of the tests that failed; 'the program' if it ended before its last test. With
    `known`, the program is ended as soon as another test than these has failed."""
    log = os.path.join(folder, program + '.log')

    def read():
        with open(log, errors='replace') as file:
            return file.read()

    def enough():
        return known is not None and not failed_tests(read()) <= known

    status = run(['./' + program], folder, seconds, log, enough)
    text = read()
    failed = failed_tests(text)
    if 'GROUP SETUP' in text or 'GROUP TEARDOWN' in text:
        failed.add('the group')
    if status is None or '[==========]' not in text.split('[ RUN', 1)[-1] or \
            (status and not failed):
        failed.add('the program')
    return failed


def copy(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, 'build'))
    shutil.copytree(os.path.join(TOP, 'tests'), os.path.join(folder, 'tests'),
                    ignore=shutil.ignore_patterns('corpus', '__pycache__'))
    shutil.copy(os.path.join(TOP, 'rtm.h'), folder)
    certs = os.path.join(TOP, 'build', 'certs')
    if os.path.isdir(certs):
        shutil.copytree(certs, os.path.join(folder, 'build', 'certs'))
    sandbox = os.path.join(TOP, 'build', 'sandbox')
    if os.path.exists(sandbox):
        os.symlink(sandbox, os.path.join(folder, 'build', 'sandbox'))


def objects(folder):
    """rtm.h compiled with optimization: equal bytes mean that a change changes nothing."""
    command = CC + FLAGS + ['-O2', '-DNDEBUG', '-c', '-x', 'c', '-DRTM_IMPLEMENTATION', 'rtm.h',
                            '-o', 'rtm.o']
    if run(command, folder, 300, os.path.join(folder, 'cc.log')) != 0:
        return None
    with open(os.path.join(folder, 'rtm.o'), 'rb') as file:
        return file.read()


class Baseline:
    """What the tests do without a change: which fail, how long each program takes."""

    def __init__(self, folder):
        copy(folder)
        self.failing, self.seconds, self.programs = {}, {}, []
        for program in PROGRAMS:
            if QUICK and '-' in program:
                continue
            if not build(folder, program, ['-O0']):
                print('%s does not compile and is left out' % program)
                continue
            start = time.monotonic()
            failed = failures(folder, program, 300)
            self.seconds[program] = 10 + 5 * (time.monotonic() - start)
            if failed & {'the program', 'the group'}:
                print('%s does not run and is left out' % program)
                continue
            if failed:
                print('%s: without a change these fail: %s' % (program, ', '.join(sorted(failed))))
            self.failing[program] = failed
            self.programs.append(program)
        self.object = objects(folder)


def notice(base, folder, mutant):
    """None if the mutant does not compile, '' if nothing notices it, or what does."""
    layer = [program for program in LAYERS.get(mutant.tag, SESSION) if program in base.programs]
    others = [program for program in base.programs if program not in layer and
              (mutant.tag == 'conn' or '-' not in program)]
    others.sort(key=base.seconds.get)
    for program in layer + ['the rest'] + others:
        if program == 'the rest':
            if objects(folder) == base.object:
                return SAME
            if QUICK:
                return ''
            continue
        if not build(folder, program, ['-O0']):
            return None
        known = base.failing[program]
        if failures(folder, program, base.seconds[program], known) - known:
            return program
    for program in layer:
        known = base.failing[program]
        if build(folder, program, SANITIZE) and \
                failures(folder, program, 60 + 4 * base.seconds[program], known) - known:
            return program
    return ''


# The run -----------------------------------------------------------------------------------------

def mutants(lines, found, seed):
    """An endless series of different mutants."""
    pick, seen = random.Random(seed), set()
    while len(seen) < sum(len(made) for _, _, made in found):
        i, tag, made = pick.choice(found)
        after = pick.choice(made)
        if (i, after) not in seen:
            seen.add((i, after))
            yield Mutant(i, tag, lines[i], after)


def main():
    if len(sys.argv) not in (2, 3) or not all(word.isdigit() for word in sys.argv[1:]):
        sys.exit(__doc__)
    with open(os.path.join(TOP, 'rtm.h')) as file:
        text = file.read()
    lines, found = candidates(text)
    if len(sys.argv) == 2:
        number = int(sys.argv[1]) - 1
        series = (Mutant(i, tag, lines[i], after) for i, tag, made in found if i == number
                  for after in made)
        count = sum(len(made) for i, _, made in found if i == number)
    else:
        series, count = mutants(lines, found, int(sys.argv[1])), int(sys.argv[2])
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    jobs = max(1, min(2, int(os.environ.get('JOBS', '2'))))
    base = Baseline(os.path.join(WORK, 'baseline'))
    lock, tally, survivors = threading.Lock(), collections.Counter(), []

    def work(job):
        folder = os.path.join(WORK, 'job%d' % job)
        copy(folder)
        while True:
            with lock:
                if tally['noticed'] + tally['survived'] + tally['running'] >= count:
                    return
                mutant = next(series, None)
                if mutant is None:
                    return
                tally['running'] += 1
            changed = lines[:mutant.line] + [mutant.after] + lines[mutant.line + 1:]
            with open(os.path.join(folder, 'rtm.h'), 'w') as file:
                file.write('\n'.join(changed))
            by = notice(base, folder, mutant)
            with lock:
                tally['running'] -= 1
                if by is None:
                    tally['skipped'] += 1
                elif by:
                    tally['noticed'] += 1
                    tally['same'] += by == SAME
                else:
                    tally['survived'] += 1
                    survivors.append(mutant)
                    print('rtm.h:%d: no test notices this (>>%s)\n  -%s\n  +%s' % (
                        mutant.line + 1, mutant.tag, mutant.before, mutant.after), flush=True)
                if sys.stderr.isatty() or os.environ.get('VERBOSE'):
                    print('%d of %d, rtm.h:%d: %s' % (
                        tally['noticed'] + tally['survived'], count, mutant.line + 1,
                        by or ('not noticed' if by == '' else 'does not compile')),
                        file=sys.stderr, flush=True)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for job in [pool.submit(work, job) for job in range(jobs)]:
            job.result()
    print('%d mutants: %d noticed (%d of them compile to the same code), %d not noticed; '
          '%d more did not compile' % (tally['noticed'] + tally['survived'], tally['noticed'],
                                       tally['same'], tally['survived'], tally['skipped']))
    return 1 if survivors else 0


if __name__ == '__main__':
    sys.exit(main())
