#!/usr/bin/env python3
"""Runs every code block and every command of README.md, examples/README.md and
tests/bench/README.md: programs and parts of programs are built and connect to the sandbox, commands
are run as they are, with the sandbox instead of Slack.

    python3 tests/readme.py BUILD

Fails also if one of these files has a block that is not known here, names a make target, a file or
a heading that does not exist, or a function that rtm.h does not have; if the API overview of
README.md does not list every public function once; if its table of messages has one that rtm.h does
not print; and if README.md is too long.
"""
import ast
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

build = os.path.abspath(sys.argv[1])
here = os.getcwd()
file = 'README.md'
for name in ('HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'NO_PROXY', 'no_proxy',
             'SLACK_APP_TOKEN', 'SLACK_API_URL'):
    os.environ.pop(name, None)
os.environ['SSL_CERT_FILE'] = f'{build}/certs/ca.pem'
os.environ['SLACK_API_TOKEN'] = 'xoxb-readme'


def check(good, why):
    if not good:
        sys.exit(f'FAIL {file}: {why}')


class Program:
    """A program in the background, what it prints, and what is typed to it."""

    def __init__(self, command):
        self.command, self.output = command, ''
        self.program = subprocess.Popen(
            command, shell=isinstance(command, str), cwd=here if 'build/' in command else where,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.program.stdout:
            self.output += line

    def type(self, *lines):
        self.program.stdin.write(''.join(line + '\n' for line in lines))
        self.program.stdin.flush()

    def shows(self, what):
        end = time.monotonic() + 30
        while what not in self.output and time.monotonic() < end and self.reader.is_alive():
            time.sleep(0.02)
        self.reader.join(0.5)
        check(what in self.output, f'{self.command}: does not print: {what}\n{self.output[-3000:]}')

    def stop(self):
        try:
            os.killpg(self.program.pid, 15)
        except ProcessLookupError:
            pass
        self.program.wait(30)


def sandbox():
    """A local Slack for one block; what the block runs finds it with SLACK_API_URL."""
    port_file = f'{where}/port'
    if os.path.exists(port_file):
        os.unlink(port_file)
    box = Program([f'{build}/sandbox', '--port', '0', '--port-file', port_file, '--cert',
                   f'{build}/certs/server.pem', '--key', f'{build}/certs/server.key'])
    end = time.monotonic() + 20
    while (not (os.path.exists(port_file) and open(port_file).read().strip())
           and time.monotonic() < end):
        time.sleep(0.02)
    box.port = open(port_file).read().strip()
    os.environ['SLACK_API_URL'] = f'https://localhost:{box.port}/api/'
    return box


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return str(listener.getsockname()[1])


def program(name, source):
    with open(f'{where}/{name}.c', 'w', encoding='utf-8') as out:
        out.write(source)
    made = subprocess.run(
        f'cc -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -I{here} '
        f'{name}.c -o {name} -lbearssl', shell=True, cwd=where, capture_output=True, text=True)
    check(made.returncode == 0, f'{name}: does not compile:\n{made.stderr}')
    return f'{where}/{name}'


WHOLE = '#define RTM_IMPLEMENTATION\n#include "rtm.h"\n'
MAIN = '''
int main(void) {
    rtm_client *bot = NULL;
    rtm_config config = { .token = getenv("SLACK_API_TOKEN"), .base_url = getenv("SLACK_API_URL") };
    if (rtm_create(&config, &bot) != RTM_OK) return 1;
    %s
    rtm_destroy(bot);
    return 0;
}
'''
APP_MAIN = (MAIN % '%s\nwhile (rtm_poll(bot, 1000) >= 0) {}').replace(
    '.token', '.app_token = getenv("SLACK_APP_TOKEN"), .token')


def same_commands(block):
    for command in re.findall(r'^make \w+', block, re.M):
        check(f'\n{command}\n' in open('.ci/run').read(), f'{command} is not what a landing runs')


def quick_start(block):
    with open(f'{where}/bot.c', 'w', encoding='utf-8') as out:
        out.write(block)
    shutil.copy('rtm.h', where)


def build_it(block):
    install, compile_it, run = block.splitlines()
    packages = install.split('#')[0].split()[2:]
    if shutil.which('apt-get'):
        done = subprocess.run(['apt-get', 'install', '-s', *packages], capture_output=True)
        check(done.returncode == 0, install)
    done = subprocess.run(compile_it, shell=True, cwd=where, capture_output=True, text=True)
    check(done.returncode == 0 and not done.stderr, f'{compile_it}:\n{done.stderr}')
    box = sandbox()
    bot = Program(run)
    box.type('/wait', 'ping', '/expect pong', '/drop')
    box.shows('/expect pong: seen')
    bot.shows('closed the connection')
    bot.stop()
    box.stop()


def manifest(block):
    manifest = json.loads(block)
    scopes = manifest['oauth_config']['scopes']['bot']
    wants = {'app_mention': 'app_mentions:read', 'message.channels': 'channels:history',
             'message.groups': 'groups:history', 'message.im': 'im:history'}
    for event in manifest['settings']['event_subscriptions']['bot_events']:
        check(wants[event] in scopes, f'{event} needs the scope {wants[event]}')
    for command in manifest['features']['slash_commands']:
        name = f'"slash_commands::{command["command"]}"'
        check(name in open('examples/echo_bot.c').read(), f'echo_bot does not know {name}')


def replies(block):
    """The reply is the user's name, or Slack's error code."""
    path = program('replies', WHOLE + block + APP_MAIN %
                   'rtm_on(bot, "slash_commands::/whoami", on_whoami, NULL);')
    os.environ['SLACK_APP_TOKEN'] = 'xapp-readme'
    box = sandbox()
    bot = Program(path)
    box.type('/wait', '/slash /whoami')
    box.shows('answers /whoami (only for you): Ada Human')
    box.type('/fail users.info user_not_found', '/slash /whoami')
    box.shows('answers /whoami (only for you): user_not_found')
    bot.stop()
    box.stop()
    del os.environ['SLACK_APP_TOKEN']


def own_loop(block):
    path = program('loop', WHOLE + '''#include <poll.h>
static int used = 1;
static void stop_using(rtm_client *bot) { used = bot == NULL; }
static void on_message(rtm_client *bot, const rtm_event *event, void *user) {
    (void)event, (void)user;
    rtm_send_message(bot, "C1", "heard");
}''' + MAIN % ('rtm_on(bot, "message", on_message, NULL);\nwhile (used) {' + block + '}'))
    box = sandbox()
    bot = Program(path)
    box.type('/wait', 'hello', '/expect heard')
    box.shows('/expect heard: seen')
    box.type('/fail invalid_auth', '/drop')
    check(bot.program.wait(30) == 0, 'the loop does not end')
    box.stop()


def web_api(block):
    """The second call fails, and says why."""
    path = program('call', WHOLE + MAIN % ('const char *user = "U0HUMAN";\nchar name[80];\n' +
                   'for (int i = 0; i < 2; i++) {\n' + block +
                   'if (i == 0) printf("%%s\\n", name);\nuser = "";\n}').replace('%%', '%'))
    box = sandbox()
    bot = Program(path)
    check(bot.program.wait(30) == 0, f'rtm_call: {bot.output}')
    bot.shows('user_not_found')
    bot.shows('Ada Human')
    box.stop()


def certificates(block):
    box = sandbox()
    done = subprocess.run(block.replace('slack.com:443', f'localhost:{box.port}'), shell=True,
                          capture_output=True, text=True)
    check('BEGIN CERTIFICATE' in done.stdout, block)
    box.stop()


def through_a_proxy(block):
    port = free_port()
    with open(f'{where}/proxy', 'w') as out:
        out.write(f'Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 9\nBasicAuth bot secret\n')
    proxy = Program(['tinyproxy', '-d', '-c', f'{where}/proxy'])
    box = sandbox()
    bot = Program(block.replace('proxy.example:3128', f'127.0.0.1:{port}'))
    bot.shows('connected')
    proxy.shows('CONNECT localhost:')
    bot.stop()
    box.stop()
    proxy.stop()


def python(block):
    ast.parse(block)


def from_python(block):
    path = program('from_python', block.replace(
        '.handlers', '.base_url = getenv("SLACK_API_URL"), .handlers'))
    box = sandbox()
    bot = Program(path)
    box.type('/wait', 'Hello there', '/expect Hi <@U0HUMAN>!')
    box.shows('posted in thread')
    box.shows('/expect Hi <@U0HUMAN>!: seen')
    bot.stop()
    bot.shows('the client was stopped')
    box.stop()


def from_source(block):
    """`make cross` builds BearSSL in the same way, with foreign.sh. If it has fetched the source, the
    block itself is run too: `bot` is then a static program for ARM."""
    does = open('tests/foreign.sh').read()
    for words in ('/bearssl-0.6 lib CC=', 'AR=', "CFLAGS='-Os -ffunction-sections -fdata-sections'"):
        check(words in does and words.lstrip('/') in block, f'not what foreign.sh does: {words}')
    source = 'build/bearssl/bearssl-0.6'
    if not os.path.exists(source) or not shutil.which('arm-linux-gnueabihf-gcc'):
        return
    shutil.copy('rtm.h', where)
    shutil.copy('examples/quick_start.c', f'{where}/bot.c')
    shutil.copy('/usr/include/jsmn.h', where)
    subprocess.run(['tar', 'czf', f'{where}/bearssl-0.6.tar.gz', '-C', 'build/bearssl',
                    '--exclude=build', 'bearssl-0.6'], check=True)
    done = subprocess.run(f'set -e\n{block}', shell=True, cwd=where, capture_output=True, text=True)
    check(done.returncode == 0 and os.path.getsize(f'{where}/bot') > 100000,
          f'{block}\n{done.stdout[-500:]}{done.stderr}')


def by_hand(block):
    box, bot = block.replace('\\\n', ' ').splitlines()
    try: # another sandbox may use this port
        socket.create_server(('127.0.0.1', 8443)).close()
        port = '8443'
    except OSError:
        port = free_port()
    box = Program(box if port == '8443' else f'{box} --port {port}')
    box.shows(f'https://localhost:{port}/api/')
    bot = Program(bot.replace('8443', port))
    box.type('/wait', 'hello')
    bot.shows('connected')
    bot.stop()
    box.stop()


def headings(markdown):
    return [re.sub(r'[^\w -]', '', title.lower()).replace(' ', '-')
            for title in re.findall(r'^#+ (.*)$', re.sub(r'^ *```.*?^ *```$', '', markdown,
                                                         flags=re.M | re.S), re.M)]


def names(text):
    """What a file refers to: make targets, files, headings, functions."""
    targets = re.findall(r'^([a-z]+):', open('Makefile').read(), re.M)
    for target in re.findall(r'`make ([a-z]+)`', text):
        check(target in targets, f'there is no make {target}')
    for path in re.findall(r'`((?:tests|examples)/[\w./-]+)`', text):
        check(os.path.exists(path), f'there is no {path}')
    for link in re.findall(r'\]\((?!https?:)([^)]*)\)', text):
        path, _, heading = link.partition('#')
        path = os.path.normpath(os.path.join(os.path.dirname(file), path)) if path else file
        check(os.path.exists(path), f'there is no {path}')
        check(not heading or heading in headings(open(path, encoding='utf-8').read()),
              f'{path} has no heading #{heading}')
    for name in re.findall(r'\brtm_\w+', text):
        check(re.search(rf'\b{name}\b', header), f'rtm.h has no {name}')


def overview(text):
    """The API overview lists each public function of rtm.h once, and nothing else."""
    public = re.findall(r'^(?:\w+ )+\**(rtm_\w+)\(', header, re.M)
    check(len(public) > 40, f'only {len(public)} functions are found in rtm.h')
    section = text[text.index('\n## API overview\n'):text.index('\n## Threads')]
    listed = []
    for row in re.findall(r'^\| (`rtm_.*) \|$', section, re.M):
        cells = [cell.strip() for cell in row.split('|')]
        for name, what in zip(cells[::2], cells[1::2]):
            check(bool(name) == bool(what), f'API overview: {name}: {what}')
            listed += [name.strip('`')] if name else []
    for name in sorted({*public, *listed}):
        check(listed.count(name) == public.count(name),
              f'API overview: {name} {listed.count(name)} times, in rtm.h {public.count(name)}')
    version = re.search(r'#define RTM_VERSION "(\d+\.\d+)', header)[1]
    check(f'version {version};' in text, f'the status line does not say {version}')


def troubleshooting(text):
    """rtm.h prints each message of the table; "..." is what it inserts."""
    printed = re.sub(r'"\s+"', '', source)
    section = text[text.index('\n## Troubleshooting\n'):text.index('\n## Testing')]
    messages = re.findall(r'^\| `([^`]*)`', section, re.M)
    check(len(messages) > 5, f'troubleshooting: {len(messages)} messages')
    for message in messages:
        for part in re.split(r' \.\.\. |^rtm\.connect: ', message):
            check(part in printed, f'troubleshooting: rtm.h does not print: {part}')


FILES = {
    'README.md': [
        ('sh', 'make demo', same_commands), ('json', 'display_information', manifest),
        ('c', 'pong', quick_start), ('sh', 'apt install', build_it), ('c', 'rtm_defer', replies),
        ('c', 'rtm_call(', web_api), ('c', 'struct pollfd', own_loop),
        ('sh', 'HTTPS_PROXY', through_a_proxy),
        ('sh', 'build/sandbox', by_hand)],
    'examples/README.md': [
        ('python', 'RTMClient', python), ('c', 'say_hello(rtm_client *client', from_python),
        ('sh', 'bearssl-0.6', from_source), ('sh', 's_client', certificates)],
    'tests/bench/README.md': [],
}
source = open('rtm.h', encoding='utf-8').read()
header = source.split('#endif /* RTM_H */')[0]
counts = []
for file, known in FILES.items():
    text = open(file, encoding='utf-8').read()
    names(text)
    blocks = re.findall(r'^( *)```(\w*)\n(.*?)^ *```$', text, re.M | re.S)
    check(len(blocks) == len(known), f'{len(blocks)} blocks, {len(known)} known')
    if file == 'README.md':
        overview(text)
        troubleshooting(text)
        lines = text.count('\n')
        check(lines <= 260, f'{lines} lines')
    with tempfile.TemporaryDirectory() as where:
        for (indent, language, block), (its, marker, run) in zip(blocks, known):
            check(its == language and marker in block, f'an unknown block:\n{block}')
            run(re.sub(f'^{indent}', '', block, flags=re.M))
    counts.append(f'{file}: {len(blocks)} blocks')
print(f'PASS {", ".join(counts)}; README.md has {lines} lines')
