#!/usr/bin/env python3
"""Every code block and every command of README.md at work: programs and parts of programs are built
and talk to the sandbox, commands are run as they stand there, with the sandbox in Slack's place.

    python3 tests/readme.py BUILD

A block that is not known here fails, and so does a make target, a file or a test that README.md
names and that is not there.
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
text = open('README.md', encoding='utf-8').read()
for name in ('HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'NO_PROXY', 'no_proxy',
             'SLACK_APP_TOKEN', 'SLACK_API_URL'):
    os.environ.pop(name, None)
os.environ['SSL_CERT_FILE'] = f'{build}/certs/ca.pem'
os.environ['SLACK_API_TOKEN'] = 'xoxb-readme'


def check(good, why):
    if not good:
        sys.exit(f'FAIL README.md: {why}')


class Program:
    """A program in the background, what it prints, and what is typed to it."""

    def __init__(self, command):
        self.command, self.told = command, ''
        self.program = subprocess.Popen(
            command, shell=isinstance(command, str), cwd=here if 'build/' in command else where,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.program.stdout:
            self.told += line

    def type(self, *lines):
        self.program.stdin.write(''.join(line + '\n' for line in lines))
        self.program.stdin.flush()

    def shows(self, what):
        end = time.monotonic() + 30
        while what not in self.told and time.monotonic() < end and self.reader.is_alive():
            time.sleep(0.02)
        self.reader.join(0.5)
        check(what in self.told, f'{self.command}: does not print: {what}\n{self.told[-3000:]}')

    def stop(self):
        try:
            os.killpg(self.program.pid, 15)
        except ProcessLookupError:
            pass
        self.program.wait(30)


def sandbox():
    """A Slack of one's own for a block; what the block runs finds it by SLACK_API_URL."""
    file = f'{where}/port'
    if os.path.exists(file):
        os.unlink(file)
    box = Program([f'{build}/sandbox', '--port', '0', '--port-file', file, '--cert',
                   f'{build}/certs/server.pem', '--key', f'{build}/certs/server.key'])
    end = time.monotonic() + 20
    while not (os.path.exists(file) and open(file).read().strip()) and time.monotonic() < end:
        time.sleep(0.02)
    box.port = open(file).read().strip()
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


def same_commands(block):
    for command in re.findall(r'^make \w+', block, re.M):
        check(f'\n{command}\n' in open('.ci/run').read(), f'{command} is not what a landing runs')


def quick_start(block):
    with open(f'{where}/bot.c', 'w', encoding='utf-8') as out:
        out.write(block)
    shutil.copy('rtm.h', where)


def build_it(block):
    install, run = block.splitlines()
    packages = install.split('#')[0].split()[2:]
    if shutil.which('apt-get'):
        done = subprocess.run(['apt-get', 'install', '-s', *packages], capture_output=True)
        check(done.returncode == 0, install)
    box = sandbox()
    bot = Program(run)
    box.type('/wait', 'ping', '/expect pong')
    box.shows('/expect pong: seen')
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


def echo_bot(block):
    box = sandbox()
    bot = Program(block)
    box.type('/wait')
    bot.shows('connected')
    bot.stop()
    box.stop()


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


def without_waiting(block):
    path = program('async', WHOLE + block + MAIN % '''char channel[] = "C0SANDBOX";
    if (say_hello(bot, channel) < 1) return 1;
    while (rtm_poll(bot, 1000) >= 0) {}''')
    box = sandbox()
    bot = Program(path)
    box.shows('posted: hello')
    box.shows('reacted with :wave:')
    bot.stop()
    box.stop()


def with_waiting(block):
    path = program('call', WHOLE + block + MAIN % '''char name[80] = "";
    if (real_name(bot, "U0HUMAN", name, sizeof name) != RTM_OK) return 1;
    printf("%s\\n", name);
    return real_name(bot, "", name, sizeof name) == RTM_OK;''')
    box = sandbox()
    bot = Program(path)
    check(bot.program.wait(30) == 0, f'real_name: {bot.told}')
    bot.shows('user_not_found')
    check(len(bot.told.splitlines()[0]) > 1, 'no name')
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
    path = program('from_python', block.replace('.handlers', '.base_url = getenv("SLACK_API_URL"), .handlers'))
    box = sandbox()
    bot = Program(path)
    box.type('/wait', 'Hello there', '/expect Hi <@U0HUMAN>!')
    box.shows('posted in thread')
    box.shows('/expect Hi <@U0HUMAN>!: seen')
    bot.stop()
    bot.shows('the client was stopped')
    box.stop()


def from_source(block):
    """`make cross` and `make size` do this, by foreign.sh."""
    does = open('tests/foreign.sh').read()
    for words in ('source --download-only bearssl', 'tar xf', '/bearssl-0.6 lib CC=', 'AR='):
        check(words in does and words.lstrip('/') in block, f'not what foreign.sh does: {words}')


def by_hand(block):
    box, bot = block.replace('\\\n', ' ').splitlines()
    try: # somebody's own sandbox may have its port
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


KNOWN = [
    ('sh', 'make demo', same_commands), ('c', 'pong', quick_start), ('sh', 'apt install', build_it),
    ('json', 'display_information', manifest), ('sh', 'xapp-your-token SLACK', echo_bot),
    ('c', 'struct pollfd', own_loop), ('c', 'on_posted', without_waiting),
    ('c', 'users.info', with_waiting), ('sh', 's_client', certificates),
    ('sh', 'HTTPS_PROXY', through_a_proxy), ('python', 'RTMClient', python),
    ('c', 'say_hello(rtm_client *client', from_python), ('sh', 'bearssl-0.6', from_source),
    ('sh', 'build/sandbox', by_hand),
]

with tempfile.TemporaryDirectory() as where:
    blocks = re.findall(r'^ *```(\w*)\n(.*?)^ *```$', text, re.M | re.S)
    done = 0
    for language, block in blocks:
        for its, marker, run in KNOWN[done:done + 1]:
            check(its == language and marker in block, f'an unknown block:\n{block}')
            run(re.sub(r'^   ', '', block, flags=re.M) if block.startswith('   ') else block)
            done += 1
    check(done == len(KNOWN) == len(blocks), f'{len(blocks)} blocks, {len(KNOWN)} known')

targets = re.findall(r'^([a-z]+):', open('Makefile').read(), re.M)
for target in re.findall(r'`make ([a-z]+)`', text):
    check(target in targets, f'there is no make {target}')
for path in re.findall(r'[(`]((?:tests|examples)/[\w./-]+)[)`]', text):
    check(os.path.exists(path), f'there is no {path}')
lines = text.count('\n')
check(lines < 400, f'{lines} lines')
print(f'PASS README.md: {len(blocks)} blocks, {lines} lines')
