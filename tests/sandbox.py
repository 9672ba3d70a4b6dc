#!/usr/bin/env python3
"""The sandbox as other clients see it: its Web API, uploads, response URLs and Socket Mode.

    python3 tests/sandbox.py BUILD

Nothing here waits for real time to pass: /later moves the sandbox's clock.
"""
import base64
import hashlib
import http.client
import json
import os
import queue
import re
import resource
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading

build = sys.argv[1]
TLS = ssl.create_default_context(cafile=f'{build}/certs/ca.pem')
BOT, APP = 'xoxb-test', 'xapp-test'


def check(good, why):
    if not good:
        sys.exit(f'FAIL sandbox.py: {why}\n{"".join(box.output)[-3000:]}')


class Box:
    """The sandbox, what it prints, and one line after the other to it."""

    def __init__(self, *arguments, files=None):
        self.output, self.lines = [], queue.Queue()
        self.program = subprocess.Popen(
            [f'{build}/sandbox', '--port', '0', '--seed', '1', '--cert',
             f'{build}/certs/server.pem', '--key', f'{build}/certs/server.key', *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=files and (
                lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))))
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.program.stdout:
            self.output.append(line)
            self.lines.put(line)
        self.lines.put(None)

    def type(self, *lines):
        for line in lines:
            self.program.stdin.write(line + '\n')
        self.program.stdin.flush()

    def shows(self, text):
        """It has printed this, or will; what stands before is passed over."""
        while True:
            try:
                line = self.lines.get(timeout=20)
            except queue.Empty:
                line = None
            check(line is not None, f'the sandbox has not shown: {text}')
            if text in line:
                return line


def request(path, body=None, headers=None):
    connection = http.client.HTTPSConnection('localhost', port, context=TLS, timeout=20)
    connection.request('POST', path, body, headers or {})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response, text


def api(method, token=BOT, **arguments):
    """A call with its arguments as JSON."""
    headers = {'Content-Type': 'application/json; charset=utf-8'}
    if token:
        headers['Authorization'] = f'Bearer {token}'
    return json.loads(request(f'/api/{method}', json.dumps(arguments), headers)[1])


def path_of(url):
    """Of a URL whose host may have a name that only the sandbox's own machine knows."""
    return re.fullmatch(r'https://[a-z.]+:\d+(/.*)', url)[1]


class Socket:
    """A WebSocket that receives text, PING, CLOSE and the end (None); does not answer PINGs."""

    def __init__(self, url):
        path = re.fullmatch(r'wss://localhost:\d+(/.*)', url)[1]
        self.tls = TLS.wrap_socket(socket.create_connection(('localhost', port), 20),
                                   server_hostname='localhost')
        self.tls.sendall(f'GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\n'
                         'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: '
                         f'{base64.b64encode(os.urandom(16)).decode()}\r\n\r\n'.encode())
        self.file = self.tls.makefile('rb')
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def send(self, opcode, payload):
        size = (bytes([0x80 | len(payload)]) if len(payload) < 126
                else b'\xfe' + struct.pack('>H', len(payload)))
        self.tls.sendall(bytes([0x80 | opcode]) + size + bytes(4) + payload) # a mask of zeros

    def send_json(self, value):
        self.send(1, json.dumps(value).encode())

    def receive(self):
        """(opcode, payload) of the next frame, or None at the end."""
        try:
            head = self.file.read(2)
            if len(head) < 2:
                return None
            size = head[1]
            if size == 126:
                size, = struct.unpack('>H', self.file.read(2))
            return head[0] & 15, self.file.read(size)
        except ssl.SSLEOFError:
            return None

    def receive_json(self):
        while True:
            frame = self.receive()
            check(frame and frame[0] in (1, 9), f'a frame of text was to come, not {frame}')
            if frame[0] == 1:
                return json.loads(frame[1])

    def acknowledge(self, envelope, payload=None):
        answer = {'envelope_id': envelope['envelope_id']}
        if payload is not None:
            answer['payload'] = payload
        self.send_json(answer)

    def leave(self):
        self.send(8, struct.pack('>H', 1000))
        while self.receive()[0] != 8:
            pass
        self.end()

    def end(self):
        self.file.close()
        self.tls.close()


def open_app(token=APP):
    app = Socket(api('apps.connections.open', token)['url'])
    hello = app.receive_json()
    check(hello['type'] == 'hello' and hello['debug_info']['approximate_connection_time'] > 0
          and hello['connection_info']['app_id'], f'hello: {hello}')
    return app, hello['num_connections']


MODAL = {'type': 'modal', 'callback_id': 'form', 'blocks': [],
         'title': {'type': 'plain_text', 'text': 'A form'},
         'submit': {'type': 'plain_text', 'text': 'Send'}}


# The Web API ----------------------------------------------------------------------------------

def errors_are_those_of_slack():
    C, T = {'channel': 'C0SANDBOX'}, {'channel': 'C0SANDBOX', 'ts': '1.2'}
    for method, token, arguments, error in [
            ('auth.test', None, {}, 'not_authed'), ('auth.test', 'nonsense', {}, 'invalid_auth'),
            ('rtm.connect', APP, {}, 'not_allowed_token_type'),
            ('apps.connections.open', BOT, {}, 'not_allowed_token_type'),
            ('no.such', BOT, {}, 'unknown_method'), ('api.test', None, {'error': 'mine'}, 'mine'),
            ('chat.postMessage', BOT, {'text': 'x'}, 'channel_not_found'),
            ('chat.postMessage', BOT, {'channel': '', 'text': 'x'}, 'channel_not_found'),
            ('chat.postMessage', BOT, C, 'no_text'), ('chat.update', BOT, T, 'no_text'),
            ('chat.update', BOT, {**T, 'text': 'x'}, 'message_not_found'),
            ('chat.postEphemeral', BOT, {**C, 'user': 'U0HUMAN'}, 'no_text'),
            ('chat.delete', BOT, T, 'message_not_found'),
            ('reactions.add', BOT, {**C, 'timestamp': '1.2', 'name': 'a'}, 'message_not_found'),
            ('users.info', BOT, {'user': 'U9'}, 'user_not_found'),
            ('conversations.history', BOT, {'channel': 'C9'}, 'channel_not_found'),
            ('conversations.history', BOT, {**C, 'cursor': 'x'}, 'invalid_cursor'),
            ('conversations.replies', BOT, T, 'thread_not_found'),
            ('views.open', BOT, {'view': {}}, 'invalid_arguments'),
            ('files.getUploadURLExternal', BOT, {'filename': 'a', 'length': 0},
             'invalid_arguments')]:
        answer = api(method, token, **arguments)
        check(answer == {'ok': False, 'error': error}, f'{method} {arguments}: {answer}')
    check('channel_not_found' not in [c['id'] for c in api('conversations.list')['channels']]
          and 'C9' not in [c['id'] for c in api('conversations.list')['channels']],
          'to ask for a channel makes one')


def messages_are_refused_as_slack_refuses_them():
    C = {'channel': 'C0SANDBOX'}
    ts = api('chat.postMessage', **C, text='here')['ts']
    block = {'type': 'divider'}
    for method, arguments, error in [
            ('chat.postMessage', {'channel': 'C9', 'text': 'x'}, 'channel_not_found'),
            ('chat.postMessage', {'channel': 'U9', 'text': 'x'}, 'channel_not_found'),
            ('chat.postMessage', {**C, 'text': 'x', 'thread_ts': '1'}, 'invalid_thread_ts'),
            ('chat.postMessage', {**C, 'text': 'x', 'thread_ts': '1234567890.123456'},
             'thread_not_found'),
            ('chat.postMessage', {**C, 'text': 'é' * 40001}, 'msg_too_long'),
            ('chat.postMessage', {**C, 'text': 'x', 'blocks': [block] * 51}, 'invalid_blocks'),
            ('chat.postMessage', {**C, 'text': 'x', 'blocks': '[{"type":'}, 'invalid_blocks'),
            ('chat.postMessage', {**C, 'text': 'x', 'blocks': {'type': 'x'}}, 'invalid_blocks'),
            ('chat.postMessage', {**C, 'text': 'x', 'blocks': [{}]}, 'invalid_blocks'),
            ('chat.update', {**C, 'ts': ts, 'text': 'x' * 40001}, 'msg_too_long'),
            ('chat.postEphemeral', {**C, 'user': 'U9', 'text': 'x'}, 'user_not_in_channel'),
            ('conversations.open', {'users': 'U0HUMAN,U9'}, 'user_not_found'),
            ('conversations.info', {'channel': 'C9'}, 'channel_not_found'),
            ('conversations.members', {'channel': 'C9'}, 'channel_not_found'),
            ('conversations.join', {'channel': 'C9'}, 'channel_not_found'),
            ('chat.getPermalink', {**C, 'message_ts': '1.2'}, 'message_not_found'),
            ('users.lookupByEmail', {'email': 'a@b'}, 'users_not_found'),
            ('reactions.remove', {**C, 'timestamp': ts, 'name': 'eyes'}, 'no_reaction'),
            ('pins.add', {**C, 'timestamp': '1.2'}, 'message_not_found'),
            ('files.completeUploadExternal', {'files': [{'id': 'F1'}], 'channel_id': 'C9'},
             'channel_not_found')]:
        answer = api(method, **arguments)
        check((answer['ok'], answer.get('error')) == (False, error), f'{method} {error}: {answer}')
    for more in ({'text': 'é' * 40000}, {'blocks': [block] * 50}):
        check(api('chat.postMessage', **C, **more)['ok'], 'at the limit')
    for channel, wanted in ('#general', 'C0SANDBOX'), ('U0HUMAN', 'DU0HUMAN'):
        answer = api('chat.postMessage', channel=channel, text='x')
        check(answer.get('channel') == wanted, f'{channel}: {answer}')
    check(answer['message']['channel_type'] == 'im', f'channel_type: {answer}')


def other_methods_work():
    C = {'channel': 'C0SANDBOX'}
    ts = api('chat.postMessage', **C, text='to be marked')['ts']
    reaction = {**C, 'timestamp': ts, 'name': 'eyes'}
    for method, arguments, error in [
            ('reactions.add', reaction, None), ('reactions.add', reaction, 'already_reacted'),
            ('reactions.remove', reaction, None), ('reactions.add', reaction, None),
            ('pins.add', {**C, 'timestamp': ts}, None),
            ('pins.add', {**C, 'timestamp': ts}, 'already_pinned')]:
        check(api(method, **arguments).get('error') == error, f'{method}: not {error}')
    message = api('conversations.history', **C, limit=1)['messages'][0]
    check(message['reactions'] == [{'name': 'eyes', 'users': ['U0BOT'], 'count': 1}],
          f'reactions: {message}')
    check(api('chat.getPermalink', **C, message_ts=ts)['permalink']
          == f'https://sandbox.slack.com/archives/C0SANDBOX/p{ts.replace(".", "")}', 'permalink')
    check(api('conversations.info', **C)['channel']['name'] == 'general', 'conversations.info')
    check(api('conversations.members', **C)['members'] == ['U0BOT', 'U0HUMAN'], 'members')
    check(api('conversations.join', **C)['warning'] == 'already_in_channel', 'join')
    check(api('users.lookupByEmail', email='human@sandbox.example')['user']['id'] == 'U0HUMAN',
          'users.lookupByEmail')


def any_method_fails_on_command():
    box.type('/fail chat.postMessage not_in_channel 2', '/fail users.info fatal_error', '/link on')
    box.shows('on again')
    post = lambda: api('chat.postMessage', channel='C0SANDBOX', text='x').get('error')
    check([post(), post(), post()] == ['not_in_channel', 'not_in_channel', None], '/fail METHOD')
    check(api('users.info', user='U0HUMAN').get('error') == 'fatal_error', '/fail METHOD once')
    check(api('rtm.connect')['ok'], '/fail METHOD fails no other')


def typed_text_is_escaped_and_mentions_the_bot():
    app, _ = open_app()
    session = Socket(api('rtm.connect')['url'])
    session.receive_json()
    for line, text in [('1 < 2 & <b> <!channel>', '1 &lt; 2 &amp; &lt;b&gt; &lt;!channel&gt;'),
                       ('hi <@U0HUMAN> @here', 'hi <@U0HUMAN> <!here>')]:
        box.type(line)
        event = session.receive_json()
        check((event['text'], event['channel_type']) == (text, 'channel'), f'{line}: {event}')
        app.acknowledge(app.receive_json())
    box.type('@sandbox-bot help')
    check(session.receive_json()['type'] == 'message', 'a mention by RTM')
    events = []
    for _ in range(2):
        envelope = app.receive_json()
        events.append(envelope['payload']['event'])
        app.acknowledge(envelope)
    check([(e['type'], e['text']) for e in events]
          == [('message', '<@U0BOT> help'), ('app_mention', '<@U0BOT> help')]
          and events[0]['ts'] == events[1]['ts'], f'a mention: {events}')
    box.shows('acknowledged app_mention')
    session.leave()
    app.leave()
    box.shows('bot disconnected')


def help_lists_what_there_is():
    box.type('/help')
    for text in ('#general (C0SANDBOX)', '/fail [METHOD] ERROR [COUNT]', 'conversations.members',
                 'views.publish', f'"https://localhost:{port}/api/"', 'NODE_EXTRA_CA_CERTS'):
        box.shows(text)


def a_body_is_a_form_json_or_in_parts():
    for value in ['a&b=c +%', 'ends so --', ' spaces ', 'Grüße']:
        part = (f'--XyZ\r\nContent-Disposition: form-data; name="value"\r\n\r\n{value}\r\n--XyZ\r\n'
                'Content-Disposition: form-data; name="file"; filename="f"\r\n\r\nthe file\r\n'
                '--XyZ--\r\n')
        form = 'value=' + ''.join(f'%{byte:02x}' for byte in value.encode())
        for body, kind, others in [
                (form, 'application/x-www-form-urlencoded', {}),
                (json.dumps({'value': value}), 'application/json', {}),
                (part, 'multipart/form-data; boundary=XyZ', {}),
                (part, 'multipart/form-data; boundary="XyZ"', {})]:
            text = request('/api/api.test', body.encode(), {'Content-Type': kind})[1]
            check(json.loads(text)['args'] == {'value': value, **others}, f'{kind}: {text}')
    text = request('/api/auth.test', f'token={BOT}',
                   {'Content-Type': 'application/x-www-form-urlencoded'})[1]
    check(json.loads(text)['ok'], f'the token as a field: {text}')
    text = request('/api/auth.test', '', {'Content-Type': 'application/json',
                                          'Authorization': f'Bearer {BOT}'})[1]
    check(json.loads(text)['ok'], f'no JSON at all: {text}')


def messages_are_kept_and_read_in_pages():
    session = Socket(api('rtm.connect')['url'])
    check(session.receive_json() == {'type': 'hello'}, 'no hello')
    box.type('from a person')
    first = session.receive_json()
    session.send_json({'id': 1, 'type': 'message', 'channel': 'C0SANDBOX', 'text': 'by RTM',
                       'thread_ts': first['ts']})
    box.shows(f'in thread {first["ts"]}: by RTM')
    check(session.receive_json()['reply_to'] == 1, 'no answer by RTM')
    C = {'channel': 'C0SANDBOX'}
    blocks = [{'type': 'section', 'text': {'type': 'mrkdwn', 'text': 'only blocks'}}]
    ts = [first['ts']]
    for more in [{'text': 'two'}, {'blocks': blocks}, {'text': 'four', 'blocks': blocks}]:
        answer = api('chat.postMessage', **C, **more)
        check(answer['message'].get('blocks') == more.get('blocks'), f'blocks: {answer}')
        check(session.receive_json()['ts'] == answer['ts'], 'the post is no event')
        ts.append(answer['ts'])
        box.shows(' '.join(['posted:', *([more['text']] if 'text' in more else []),
                            *(['[blocks] only blocks'] if 'blocks' in more else [])]))
    reply = api('chat.postMessage', **C, text='below', thread_ts=first['ts'])['ts']
    box.shows(f'posted in thread {first["ts"]}: below')
    api('chat.update', **C, ts=ts[1], text='two!')
    api('chat.update', **C, ts=ts[2], blocks=blocks * 2)
    api('chat.delete', **C, ts=ts[3])
    check(api('reactions.add', **C, timestamp=first['ts'], name='eyes')['ok'],
          'no reaction to what a person said')
    seen, cursor = [], ''
    while True:
        page = api('conversations.history', **C, limit=2, cursor=cursor)
        seen += page['messages']
        cursor = page['response_metadata']['next_cursor']
        check(page['has_more'] == bool(cursor), f'has_more: {page}')
        if not cursor:
            break
    check([m['ts'] for m in seen] == [ts[2], ts[1], ts[0]], f'the history: {seen}')
    check(len(seen[0]['blocks']) == 2 and seen[1]['text'] == 'two!', f'changed: {seen}')
    thread = api('conversations.replies', **C, ts=first['ts'])['messages']
    check([m['text'] for m in thread] == ['from a person', 'by RTM', 'below']
          and thread[2]['ts'] == reply, f'the thread: {thread}')
    check([u['id'] for u in api('users.list', limit=1)['members']] == ['U0BOT'], 'users.list')
    check(api('chat.postEphemeral', **C, user='U0HUMAN', text='psst')['message_ts'], 'ephemeral')
    box.shows('posted, only for U0HUMAN: psst')
    channel = api('conversations.open', users='U0HUMAN')['channel']['id']
    check(api('conversations.history', channel=channel)['messages'] == [], 'a new conversation')
    session.leave()


def a_method_is_limited_and_answers_come_late():
    box.type('/ratelimit users.list 100')
    box.shows('/ratelimit: users.list')
    for method, status in ('users.list', 429), ('team.info', 200), ('users.list', 429):
        response, _ = request(f'/api/{method}', '', {'Authorization': f'Bearer {BOT}'})
        check(response.status == status, f'{method}: HTTP {response.status}')
        check((response.headers['Retry-After'] is not None) == (status == 429), 'Retry-After')
    box.type('/later 100')
    check(api('users.list')['ok'], 'the limit passes')
    box.type('/slow 300000')
    box.shows('/slow')
    late = http.client.HTTPSConnection('localhost', port, context=TLS, timeout=20)
    late.request('POST', '/api/auth.test', '', {'Authorization': f'Bearer {BOT}'})
    box.shows('auth.test: ok')
    box.type('/slow 0')
    box.shows('/slow')
    check(api('api.test')['ok'], 'a late answer holds back another')
    late.sock.setblocking(False)
    try:
        check(not late.sock.recv(1), 'an answer is not late')
    except ssl.SSLWantReadError:
        pass
    late.close()


def tokens_rotate():
    arguments = {'client_id': '1', 'client_secret': 's', 'grant_type': 'refresh_token'}
    first = api('oauth.v2.access', None, **arguments, refresh_token='xoxe-1')
    check(first['access_token'].startswith('xoxe.xoxb-') and first['expires_in'] == 43200,
          f'oauth.v2.access: {first}')
    check(api('auth.test', first['access_token'])['ok'], 'the new token')
    check(api('auth.test')['error'] == 'token_expired', 'the old token')
    check(api('oauth.v2.access', None, **arguments, refresh_token='xoxe-1')['error']
          == 'invalid_refresh_token', 'a refresh token is good for one use')


def files_are_uploaded():
    data = os.urandom(700000)
    start = api('files.getUploadURLExternal', filename='noise', length=len(data))
    path, ids = path_of(start['upload_url']), [{'id': start['file_id'], 'title': 'Noise'}]
    check(api('files.completeUploadExternal', files=ids)['error'] == 'file_not_found', 'too early')
    shown = f'uploaded noise: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}'
    # As @slack/web-api sends it: with the token, and as a part of a form.
    form = (b'--XyZ\r\nContent-Disposition: form-data; name="body"; filename="noise"\r\n'
            b'Content-Type: application/octet-stream\r\n\r\n' + data + b'\r\n--XyZ--\r\n')
    multipart = {'Content-Type': 'multipart/form-data; boundary=XyZ'}
    for body, headers, status in [(data[1:], {}, 400), (form[:-700000], multipart, 400),
                                  (data, {}, 200), (form, multipart, 200)]:
        check(request(path, body, headers)[0].status == status, f'upload: not HTTP {status}')
    box.shows(shown)
    box.shows(shown)
    check(request(path, form, {**multipart, 'Authorization': f'Bearer {BOT}'})[0].status == 200,
          'upload with a token')
    box.shows('upload: warning: a token was sent')
    box.shows(shown)
    answer = api('files.completeUploadExternal', files=ids, channel_id='C0SANDBOX',
                 initial_comment='listen')
    check(answer['files'][0]['title'] == 'Noise', f'complete: {answer}')
    message = api('conversations.history', channel='C0SANDBOX', limit=1)['messages'][0]
    check(message['text'] == 'listen' and message['files'][0]['id'] == start['file_id'],
          f'the message with the file: {message}')
    check([f['name'] for f in api('files.list')['files']] == ['noise'], 'files.list')
    # An upload that is refused does not affect the next request of its connection.
    box.type('/http 503')
    kept = http.client.HTTPSConnection('localhost', port, context=TLS, timeout=20)
    kept.request('POST', path, data[:10])
    response = kept.getresponse()
    response.read()
    check(response.status == 503, f'/http 503: {response.status}')
    kept.request('POST', '/api/api.test', '{"a":1}', {'Content-Type': 'application/json'})
    check(json.loads(kept.getresponse().read())['args'] == {'a': 1}, 'a call after an upload')


def many_files_and_channels_are_not_kept():
    global box, port
    first = box, port
    box = Box('--lenient')
    port = int(re.search(r':(\d+)/api/', box.shows('listening on'))[1])
    C = {'channel': 'C9', 'text': 'x' * 40001}
    check(api('chat.postMessage', **C, thread_ts='1.2', blocks=[{}] * 51)['ok'], '--lenient')
    ids = [api('files.getUploadURLExternal', filename='a', length=1)['file_id']
           for _ in range(1100)]
    check(request(f'/upload/{ids[0]}', b'a')[0].status == 400, 'an old upload is forgotten')
    check(request(f'/upload/{ids[-1]}', b'a')[0].status == 200, 'a new upload')
    answers = [api('chat.postMessage', channel=f'C{i}', text='x')['ok'] for i in range(1100)]
    check(answers[0] and not answers[-1] and answers.count(True) <= 1000, 'channels without end')
    big = [{'type': 'x', 'text': 'x' * 200000}]
    ts = [api('chat.postMessage', channel='C9', blocks=big)['ts'] for _ in range(400)]
    for each, error in (ts[0], 'message_not_found'), (ts[-1], None):
        answer = api('chat.getPermalink', channel='C9', message_ts=each)
        check(answer.get('error') == error, f'80 MB of messages: {answer}')
    box.type('<b> & <@U1>', '/link on')
    session = Socket(api('rtm.connect')['url'])
    session.receive_json()
    check(session.receive_json()['text'] == '<b> & <@U1>', '--lenient sends lines verbatim')
    box.program.kill()
    box, port = first


def idle_clients_do_not_block_others():
    global box, port
    first = box, port
    box = Box(files=256)
    port = int(re.search(r':(\d+)/api/', box.shows('listening on'))[1])
    session = Socket(api('rtm.connect')['url'])
    session.receive_json()
    silent = []
    for start in None, b'GET /api/api.te', b'POST /api/api.test HTTP/1.1\r\nContent-Length: 9\r\n\r\n1':
        for _ in range(150):
            client = socket.create_connection(('localhost', port), 20)
            if start:
                client = TLS.wrap_socket(client, server_hostname='localhost')
                client.sendall(start)
            silent.append(client)
        check(api('api.test')['ok'], f'150 clients that send {start}')
    box.type('still here')
    check(session.receive_json()['text'] == 'still here', 'a session is closed')
    last = socket.create_connection(('localhost', port), 60)
    check(last.recv(1) == b'', 'a silent client is not closed after a time')
    for client in silent:
        client.close()
    box.program.kill()
    box, port = first


def files_that_cannot_be_used_are_errors():
    for arguments, words in [(['--script', directory], 'Is a directory'),
                             (['--transcript', '/dev/full'], 'No space left'),
                             (['--transcript', directory], 'Is a directory')]:
        done = subprocess.run([f'{build}/sandbox', '--plain', '--port', '0', *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        check((done.returncode, words in done.stderr) == (1, True), f'{arguments}: {done}')
    full = Box('--log', '/dev/full')
    port_of_it = int(re.search(r':(\d+)/api/', full.lines.get())[1])
    try:
        http.client.HTTPSConnection('localhost', port_of_it, context=TLS).request('POST', '/api/x')
    except OSError:
        pass
    check(full.program.wait(20) == 1, '--log on a full disk')


def files_are_shared_and_downloaded():
    session = Socket(api('rtm.connect')['url'])
    session.receive_json()
    data = bytes(range(256)) * 300
    with open(f'{directory}/my notes.txt', 'wb') as file:
        file.write(data)
    box.type(f'/share {directory}/my notes.txt')
    event = session.receive_json()
    shared = event['files'][0]
    check((event['type'], shared['name'], shared['mimetype'], shared['size'])
          == ('message', 'my notes.txt', 'text/plain', len(data)), f'/share: {event}')
    path = path_of(shared['url_private_download'])

    def download(headers):
        connection = http.client.HTTPSConnection('localhost', port, context=TLS, timeout=20)
        connection.request('GET', path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers['Content-Type'], response.read()

    good = {'Authorization': f'Bearer {BOT}'}
    check(download(good) == (200, 'text/plain', data), 'a download')
    for headers in {}, {'Authorization': 'Bearer wrong'}, {'Authorization': f'Bearer {APP}'}:
        status, kind, page = download(headers)
        check(status == 200 and kind.startswith('text/html') and b'<html>' in page,
              f'a download with {headers}: {status} {kind}')
    box.type('/scope off')
    box.shows('/scope')
    check(download(good)[1].startswith('text/html'), 'a download without the scope')
    box.type('/scope on')
    box.shows('/scope')
    os.truncate(f'{directory}/my notes.txt', 0)
    check(download(good)[2] == b'', 'a file that became empty')
    os.unlink(f'{directory}/my notes.txt')
    check(download(good)[0] == 404, 'a file that is gone')
    session.leave()


def webhooks_answer_ok():
    for body, headers, status, answer in [('{"text":"hooked"}', {}, 200, 'ok'),
                                          ('nonsense', {}, 400, 'invalid_payload'),
                                          ('{"text":"a"}', {'Authorization': 'x'}, 400,
                                           'invalid_payload')]:
        response, text = request('/services/T1/B1/x', body, headers)
        check((response.status, text) == (status, answer), f'webhook {body}: {text}')
    box.shows('hooked')


# Socket Mode ----------------------------------------------------------------------------------

def an_envelope_is_repeated_until_it_is_acknowledged():
    app, count = open_app()
    check(count == 1, f'{count} connections')
    box.type('hello')
    first = app.receive_json()
    event = first['payload']['event']
    check(first['type'] == 'events_api' and first['accepts_response_payload'] is False
          and (event['type'], event['text']) == ('message', 'hello'), f'an envelope: {first}')
    received = [first]
    for seconds in 4, 11, 45, 240:
        box.type(f'/later {seconds}')
        box.shows('not acknowledged for')
        received.append(app.receive_json())
        app.send(10, b'so that it is not cut')
        app.send_json({'envelope_id': f'no such {seconds}'})
        box.shows(f'unknown envelope: no such {seconds}')
    check([(e['retry_attempt'], e.get('retry_reason')) for e in received]
          == [(0, None), (1, 'timeout'), (0, None), (2, 'timeout'), (3, 'timeout')],
          f'retries: {received}')
    check([e['envelope_id'] == first['envelope_id'] for e in received]
          == [True, False, True, False, False], 'the ids of retries')
    check({e['payload']['event_id'] for e in received} == {first['payload']['event_id']}, 'event_id')
    app.acknowledge(received[1])
    box.shows('acknowledged message ')
    app.acknowledge(first)
    box.shows('again')
    app.acknowledge({'envelope_id': 'x-000000000001'})
    box.shows('unknown envelope: x-000000000001')
    # Without a connection events are kept, and sent to the next one.
    box.type('while away')
    app.receive_json()
    app.leave()
    box.shows('bot disconnected')
    box.type('/later 4')
    app, _ = open_app()
    again = app.receive_json()
    check((again['payload']['event']['text'], again['retry_attempt']) == ('while away', 1),
          f'after an absence: {again}')
    app.acknowledge(again)
    box.shows('acknowledged message ')
    app.leave()
    box.shows('bot disconnected')


def commands_are_answered_in_time_and_by_their_url():
    app, _ = open_app()
    box.type('/slash /weather Berlin')
    command = app.receive_json()
    payload = command['payload']
    check((command['type'], payload['command'], payload['text'],
           command['accepts_response_payload'], 'retry_attempt' in command)
          == ('slash_commands', '/weather', 'Berlin', True, False), f'a command: {command}')
    app.acknowledge(command, {'text': 'it "rains"\n'})
    box.type('/expect it "rains"')
    box.shows('answers /weather (only for you): it "rains"')
    box.shows('seen')
    path = path_of(payload['response_url'])
    kind = {'Content-Type': 'application/json'}
    for body, headers, status in [('{"text":"a"}', {**kind, 'Authorization': 'Bearer x'}, 404),
                                  ('nonsense', kind, 400)] + [
                                      ('{"text":"later"}', kind, 200)] * 5 + [
                                      ('{"text":"late"}', kind, 404)]:
        response, text = request(path, body, headers)
        check(response.status == status, f'response_url: HTTP {response.status}')
    check(json.loads(text) == {'ok': False, 'error': 'expired_url'}, f'a used one: {text}')
    box.shows('answers /weather (only for you): later')
    opened = api('views.open', trigger_id='1', view=MODAL)
    check(opened['ok'], f'views.open: {opened}')
    asked = api('chat.postMessage', channel='C0SANDBOX', text='Shall I?', blocks=[
        {'type': 'actions', 'block_id': 'ask', 'elements': [
            {'type': 'button', 'action_id': 'approve', 'value': '1'}]}])
    app.acknowledge(app.receive_json())
    newer = api('chat.postMessage', channel='C0SANDBOX', text='another')['ts']
    app.acknowledge(app.receive_json())
    box.type('/click approve 7', '/submit form')
    click, view = app.receive_json(), app.receive_json()
    check((click['payload']['message']['ts'], click['payload']['container']['message_ts'],
           click['payload']['actions'][0]['block_id'], click['payload']['channel']['id'])
          == (asked['ts'], asked['ts'], 'ask', 'C0SANDBOX'), f'/click of a message: {click}')
    action = click['payload']['actions'][0]
    check((click['payload']['type'], action['action_id'], action['value'])
          == ('block_actions', 'approve', '7'), f'a click: {click}')
    check((view['payload']['type'], view['payload']['view']['callback_id'])
          == ('view_submission', 'form'), f'a view: {view}')
    app.acknowledge(click)
    app.acknowledge(view, {'response_action': 'clear'})
    box.shows('acknowledged approve')
    box.shows('answers form: clear')
    box.type('/click other')
    click = app.receive_json()
    check(click['payload']['message']['ts'] == newer, f'/click without a button: {click}')
    app.acknowledge(click)
    box.shows('acknowledged other')
    box.type('/slash /late', '/later 3')
    check(app.receive_json()['payload']['command'] == '/late', 'a command')
    box.shows('/late: no acknowledgement within 3 s')
    box.type('/later 300', 'an event')
    late = app.receive_json()
    check(late['type'] == 'events_api', f'a command came again: {late}')
    app.acknowledge(late, {'text': 'x'})
    box.shows('a payload that is not accepted')
    app.leave()
    box.shows('bot disconnected')


def inputs(*blocks):
    """A modal with these inputs."""
    return {**MODAL, 'blocks': [{'type': 'input', 'block_id': name, 'element': element,
                                 'label': {'type': 'plain_text', 'text': name}}
                                for name, element in blocks]}


def modals_are_opened_submitted_and_changed():
    app, _ = open_app()

    def submits(line):
        box.type(line)
        envelope = app.receive_json()
        check((envelope['type'], envelope['accepts_response_payload'], envelope['payload']['type'])
              == ('interactive', True, 'view_submission'), f'{line}: {envelope}')
        return envelope, envelope['payload']['view']

    select = {'type': 'static_select', 'action_id': 'size', 'options': [
        {'text': {'type': 'plain_text', 'text': name}, 'value': name[0]}
        for name in ('large', 'small')]}
    form = inputs(('who', {'type': 'plain_text_input', 'action_id': 'name'}),
                  ('what', select),
                  ('when', {'type': 'datepicker', 'action_id': 'day'}),
                  ('more', {'type': 'multi_external_select', 'action_id': 'tags'}))
    form['private_metadata'] = 'mine'
    opened = api('views.open', trigger_id='1', view=json.dumps(form))['view']
    check(opened['id'] and opened['hash'] and opened['callback_id'] == 'form', f'open: {opened}')

    # The values that are typed, and null for the others.
    envelope, view = submits('/submit form who.name="Ada L" what.size=s more.tags=a more.tags=b')
    values = view['state']['values']
    check((view['id'], view['private_metadata'], values['who']['name'], values['when']['day'])
          == (opened['id'], 'mine', {'type': 'plain_text_input', 'value': 'Ada L'},
              {'type': 'datepicker', 'selected_date': None}), f'/submit: {view}')
    check(values['what']['size']['selected_option']['text']['text'] == 'small'
          and [o['value'] for o in values['more']['tags']['selected_options']] == ['a', 'b'],
          f'/submit of selects: {values}')
    app.acknowledge(envelope, {'response_action': 'errors', 'errors': {'who': 'not you'}})
    box.shows('answers form: errors, who: not you')

    # It is still open; update and push change what is open, an empty reply closes the view.
    envelope, _ = submits('/submit ' + opened['id'])
    app.acknowledge(envelope, {'response_action': 'update', 'view': {
        **MODAL, 'callback_id': 'second', 'title': {'type': 'plain_text', 'text': 'Second'}}})
    box.shows(': update')
    envelope, view = submits('/submit second')
    check(view['id'] == opened['id'] and view['hash'] != opened['hash'], f'update: {view}')
    app.acknowledge(envelope, {'response_action': 'push', 'view': {**MODAL, 'callback_id': 'top'}})
    box.shows('answers second: push')
    envelope, view = submits('/submit top')
    check((view['previous_view_id'], view['root_view_id']) == (opened['id'], opened['id']),
          f'push: {view}')
    app.acknowledge(envelope)
    box.shows('acknowledged top')

    # By methods.
    pushed = api('views.push', trigger_id='1', view=MODAL)['view']
    check(pushed['root_view_id'] == opened['id'], f'views.push: {pushed}')
    check(api('views.push', trigger_id='1', view=MODAL)['ok'], 'a third view')
    check(api('views.push', trigger_id='1', view=MODAL)['error'] == 'push_limit_reached', 'four')
    for arguments, error in [({'view_id': 'V9', 'view': MODAL}, 'not_found'),
                             ({'view_id': pushed['id'], 'hash': 'x', 'view': MODAL},
                              'hash_conflict'),
                             ({'view_id': pushed['id'], 'view': {'type': 'modal'}},
                              'invalid_arguments')]:
        answer = api('views.update', **arguments)
        check(answer['error'] == error, f'views.update {arguments}: {answer}')
    check(answer['response_metadata']['messages'], f'a wrong view: {answer}')
    external = inputs(('city', {'type': 'external_select', 'action_id': 'town'}))
    updated = api('views.update', view_id=pushed['id'], hash=pushed['hash'], view=external)['view']
    check(updated['id'] == pushed['id'], f'views.update: {updated}')
    home = {'type': 'home', 'blocks': []}
    ids = {api('views.publish', user_id='U0HUMAN', view=home)['view']['id'] for _ in range(2)}
    check(len(ids) == 1, 'views.publish')
    check(api('views.publish', user_id='U9', view=home)['error'] == 'user_not_found', 'a user')

    # An external select asks for its options.
    box.type('/suggest town Ber')
    asked = app.receive_json()
    check((asked['payload']['type'], asked['payload']['action_id'], asked['payload']['block_id'],
           asked['payload']['value'], asked['payload']['view']['id'])
          == ('block_suggestion', 'town', 'city', 'Ber', pushed['id']), f'/suggest: {asked}')
    app.acknowledge(asked, {'options': [
        {'text': {'type': 'plain_text', 'text': name}, 'value': name} for name in ('Bern', 'Berlin')]})
    box.shows('answers town: 2 options: Bern, Berlin')
    envelope, _ = submits('/submit form')
    app.acknowledge(envelope, {'response_action': 'clear'})
    box.shows('answers form: clear')

    # All are closed; two hundred that are opened are not kept.
    box.type('/link on')
    for _ in range(200):
        last = api('views.open', trigger_id='1', view=MODAL)['view']
    check(api('views.update', view_id=opened['id'], view=MODAL)['error'] == 'not_found', 'closed')
    check(api('views.update', view_id=last['id'], view=MODAL)['ok'], 'the last of many')
    app.leave()
    box.shows('bot disconnected')


def a_session_ends_as_slack_ends_it():
    for line, reason, end in [('/refresh', 'refresh_requested', 1000),
                              ('/warning', 'warning', None),
                              ('/toomany', 'too_many_websockets', 1000),
                              ('/link off', 'link_disabled', 1000)]:
        app, _ = open_app()
        box.type(line)
        received = app.receive_json()
        check((received['type'], received['reason']) == ('disconnect', reason),
              f'{line}: {received}')
        if line in ('/refresh', '/warning'):
            box.type('still here')
            app.acknowledge(app.receive_json())
            box.shows('acknowledged message ')
            box.type('/later 10')
        frame = app.receive()
        while frame and frame[0] == 9:
            frame = app.receive()
        check((frame and struct.unpack('>H', frame[1][:2])[0]) == end, f'{line}: {frame}')
        app.end()
        box.shows('disconnected' if end else 'connection cut')
    refused = Socket(api('apps.connections.open', APP)['url'])
    check(refused.receive_json()['reason'] == 'link_disabled', 'Socket Mode is off')
    box.type('/link on', '/fail internal_error')
    box.shows('on again')
    check(api('apps.connections.open', APP)['error'] == 'internal_error', '/fail')
    apps = [open_app() for _ in range(10)]
    check([count for _, count in apps] == list(range(1, 11)), 'num_connections')
    more = Socket(api('apps.connections.open', APP)['url'])
    check(more.receive_json()['reason'] == 'too_many_websockets' and more.receive()[0] == 8,
          'more than ten')
    # Who answers no PING is cut, and who does is not.
    quiet, lively = apps[0][0], apps[1][0]
    for app, _ in apps[2:]:
        app.leave()
    box.type('/later 10')
    check(lively.receive()[0] == 9, 'no PING')
    lively.send(10, b'here')
    lively.send_json({'envelope_id': 'after the PONG'})
    box.shows('after the PONG')
    box.type('/later 10')
    box.shows('no answer to a PING')
    while quiet.receive():
        pass
    check(lively.receive()[0] == 9, 'no second PING')
    lively.send(1, b'{"envelope_id":"x"' + b' ' * 20000 + b'}')
    box.shows('unknown envelope: x')
    lively.send(1, b' ' * 20481)
    check(struct.unpack('>H', lively.receive()[1][:2])[0] == 1009, 'a frame of 20,481 bytes')


def a_second_app_is_reported():
    apps = [open_app()[0], open_app()[0]]
    for _ in apps:
        box.shows('bot connected')
    check('a second app' not in ''.join(box.output), 'two connections of one app are no two apps')
    apps.append(open_app('xapp-other')[0])
    box.shows('this is a second app')
    for app in apps:
        app.leave()
        box.shows('bot disconnected')


def both_modes_receive_messages():
    session, (app, _) = Socket(api('rtm.connect')['url']), open_app()
    check(session.receive_json() == {'type': 'hello'}, 'no hello')
    box.type('to both')
    check(session.receive_json()['text'] == 'to both', 'RTM')
    check(app.receive_json()['payload']['event']['text'] == 'to both', 'Socket Mode')
    # Each event is sent to only one connection of the app.
    other, _ = open_app()
    for i in range(20):
        api('chat.postMessage', channel='C0SANDBOX', text=str(i))
        check(session.receive_json()['text'] == str(i), 'RTM misses what was posted')
    box.type('/expect 19')
    box.shows('seen')
    box.type('/refresh')
    got = []
    for each in app, other:
        mine = []
        while (frame := each.receive_json())['type'] != 'disconnect':
            mine.append(int(frame['payload']['event']['text']))
        check(mine, 'one connection gets all events')
        got += mine
    check(sorted(set(got)) == list(range(20)), f'events: {sorted(got)}')
    session.send_json({'envelope_id': '00000000-0000-4000-8000-000000000001'})
    box.shows('sent a "": no answer')


def each_request_is_logged():
    with open(log) as file:
        lines = set(file.read().splitlines())
    for line in ['apps.connections.open token=app type=application/json args=',
                 'auth.test token=bot type=application/x-www-form-urlencoded args=token',
                 'auth.test token=none type=application/json args=',
                 'api.test token=none type=multipart/form-data args=value',
                 'users.list token=bot type= args=', # refused with 429
                 '/upload/ token=none type= args=', '/services/ token=none type= args=',
                 '/response/ token=none type=application/json args=']:
        check(line in lines, f'not in the log: {line}\n' + '\n'.join(sorted(lines)))


with tempfile.TemporaryDirectory() as directory:
    log = f'{directory}/log'
    box = Box('--log', log)
    try:
        port = int(re.search(r':(\d+)/api/', box.shows('listening on'))[1])
        tests = [errors_are_those_of_slack, a_body_is_a_form_json_or_in_parts,
                 messages_are_kept_and_read_in_pages,
                 messages_are_refused_as_slack_refuses_them, other_methods_work,
                 any_method_fails_on_command, help_lists_what_there_is,
                 a_method_is_limited_and_answers_come_late, files_are_uploaded,
                 files_are_shared_and_downloaded, webhooks_answer_ok, many_files_and_channels_are_not_kept,
                 idle_clients_do_not_block_others,
                 files_that_cannot_be_used_are_errors,
                 typed_text_is_escaped_and_mentions_the_bot,
                 an_envelope_is_repeated_until_it_is_acknowledged,
                 commands_are_answered_in_time_and_by_their_url,
                 modals_are_opened_submitted_and_changed, a_session_ends_as_slack_ends_it,
                 a_second_app_is_reported, both_modes_receive_messages, each_request_is_logged, tokens_rotate]
        for test in tests:
            test()
        box.type('/quit')
        check(box.program.wait(20) == 0, 'the sandbox does not exit well')
        print(f'PASS sandbox.py ({len(tests)} tests)')
    finally:
        box.program.kill()
