#!/usr/bin/env python3
"""The events that a bot misses if the server misbehaves: one row for each kind of outage.

    python3 tests/outages.py build/test/outages              compares with the table in PARITY.md
    python3 tests/outages.py build/test/outages --write      updates that table
    python3 tests/outages.py build/test/outages --row NAME   shows what happens in these rows

The server shares no code with the other tests. It is also the clock of the bot (outages.c): time
passes only when neither side has anything to do, so every number is the same on every machine.
Independent of the table, each row must keep the limits of its Row with the mean, the shortest and
the longest jitter. The limits follow from the rules for reconnecting.
"""
import base64
import hashlib
import heapq
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

PARITY = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'PARITY.md')
BEGIN, END = '<!-- outages: begin -->', '<!-- outages: end -->'
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
SECOND = 1000
TRAFFIC = 20 * SECOND  # in most rows, events are sent for this long from the beginning of the fault
MEAN, SHORTEST, LONGEST = 450, 0, 999  # random numbers, and the jitter that they make
STORM, BUSIEST = 100, 1000  # a row fails after this many calls, or calls of rtm_poll at one time
ACKNOWLEDGED = 3 * SECOND  # Slack's limit
RTM, SOCKET_MODE = 'rtm', 'socket_mode'


class Conn:
    """A connection that the bot has opened: HTTP, then perhaps WebSocket."""

    def __init__(self, sim, sock):
        self.sim, self.sock = sim, sock
        self.data = bytearray()
        self.websocket = False
        self.open = False  # events may be sent
        self.gone = False  # its end has been seen, perhaps later than `sock` was closed
        self.mute = False  # no text and no PING of ours is sent
        self.unread = False  # nothing is read, so PINGs are not answered
        self.reset_at_next_byte = False
        self.close_sent = False
        self.envelopes, self.unacknowledged = set(), set()
        self.port = sock.getpeername()[1]
        self.bytes_written = self.bytes_read = 0
        self.end = '.'  # 'f' after our FIN, 'r' after our RST

    # What is sent leaves after the latency of the row.

    def write(self, data):
        self.sim.at(self.sim.row.latency, self._write, bytes(data))

    def _write(self, data):
        try:
            if self.sock:
                self.sock.sendall(data)
                self.bytes_written += len(data)
        except OSError:
            pass  # the bot has closed it

    def fin(self):
        self.open = False
        self.sim.at(self.sim.row.latency, self._fin)

    def _fin(self):
        try:
            if self.sock:
                self.sock.shutdown(socket.SHUT_WR)
                self.end = 'f'
        except OSError:
            pass

    def reset(self):
        self.open = False
        self.sim.at(self.sim.row.latency, self._reset)

    def _reset(self):
        if self.sock:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            self.forget()
            self.end = 'r'

    def forget(self):
        self.open, self.gone = False, True
        if self.sock:
            self.sock.close()
        self.sock = None

    def frame(self, opcode, payload):
        size = len(payload)
        head = bytes([0x80 | opcode]) + (bytes([size]) if size < 126 else
                                         bytes([126]) + struct.pack('>H', size))
        self.write(head + payload)

    def text(self, message):
        if not self.mute:
            data = message if isinstance(message, bytes) else json.dumps(message).encode()
            self.frame(TEXT, data)

    def close(self, code):
        if not self.close_sent:
            self.frame(CLOSE, struct.pack('>H', code))
        self.close_sent, self.open = True, False

    def ping(self):
        if self.sock and not self.mute and not self.close_sent:
            self.frame(PING, b'')
            self.sim.at(10 * SECOND, self.ping)

    def hello(self):
        self.text({'type': 'hello', 'num_connections': 1} if self.sim.mode == SOCKET_MODE
                  else {'type': 'hello'})
        self.open = True
        self.sim.at(SECOND // 2, self.ping)
        self.sim.has_session(self)

    # What is received.

    def received(self, data):
        if self.unread or self.gone:
            return
        if self.reset_at_next_byte:
            return self._reset()
        self.data += data
        while not self.gone and (self._take_frame() if self.websocket else self._take_request()):
            pass

    def _take_request(self):
        end = self.data.find(b'\r\n\r\n')
        if end < 0:
            return False
        head = self.data[:end].decode()
        size = re.search(r'(?mi)^content-length: *(\d+)', head)
        size = int(size.group(1)) if size else 0
        if len(self.data) < end + 4 + size:
            return False
        del self.data[:end + 4 + size]
        key = re.search(r'(?mi)^sec-websocket-key: *(\S+)', head)
        if key:
            self.sim.upgrade(self, key.group(1))
        else:
            self.sim.call(self, head)
        return True

    def respond(self, status, body, headers='', length=None):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.write(f'HTTP/1.1 {status} X\r\n{headers}Content-Length: '
                   f'{len(body) if length is None else length}\r\n\r\n'.encode() + body)

    def accept_upgrade(self, key):
        digest = hashlib.sha1(key.encode() + b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest()
        self.write(b'HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
                   b'Sec-WebSocket-Accept: ' + base64.b64encode(digest) + b'\r\n\r\n')
        self.websocket = True

    def _take_frame(self):
        if len(self.data) < 6:
            return False
        size, at = self.data[1] & 127, 2
        assert self.data[1] & 128, 'frame without a mask'
        if size == 126:
            size, at = struct.unpack('>H', self.data[2:4])[0], 4
        if len(self.data) < at + 4 + size:
            return False
        opcode, mask = self.data[0] & 15, self.data[at:at + 4]
        payload = bytes(b ^ mask[i % 4] for i, b in enumerate(self.data[at + 4:at + 4 + size]))
        del self.data[:at + 4 + size]
        if opcode == PING:
            self.frame(PONG, payload)
        elif opcode == CLOSE:
            self.close(1000)
            self.fin()
        elif opcode == TEXT:
            self.sim.message(self, json.loads(payload))
        return True


class Event:
    def __init__(self, number, kind):
        self.number, self.kind = number, kind
        self.text = f'{kind}-{number}'
        self.delivered, self.acknowledged = 0, False
        self.envelopes = 0


class Sim:
    """One row in one mode: the server and the clock of one bot, and the checks."""

    def __init__(self, row, mode, jitter, program, verbose=False):
        self.row, self.mode, self.verbose = row, mode, verbose
        self.now, self.order = 0, 0
        self.timers = []
        self.conns = []
        self.refused = set() # ports of attempts to connect while nothing listened
        self.fault_at = self.next_session_at = None
        self.calls = []
        self.events, self.by_text, self.by_envelope = [], {}, {}
        self.turn = self.late = self.misdirected = 0
        self.finished = ''
        self.busiest = 0
        self.begun = 0
        self.reserve_port()
        self.listen()
        command = [program, str(self.port), mode, str(row.max_message_size), str(jitter)]
        self.bot = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    text=True)

    def at(self, delay, function, *args):
        self.order += 1
        heapq.heappush(self.timers, (self.now + delay, self.order, function, args))

    def log(self, text):
        if self.verbose:
            print(f'{self.now / 1000:8.2f} {text}')

    # The listener. While it is closed, connections are refused.

    def bound_socket(self, port):
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(('127.0.0.1', port))
        return bound

    def reserve_port(self):
        """A socket that does not listen: no other run gets the port while connections are refused."""
        self.reserved = self.bound_socket(0)
        self.port = self.reserved.getsockname()[1]

    def listen(self):
        self.listener = self.bound_socket(self.port)
        self.listener.listen(50)
        self.listener.setblocking(False)

    def refuse(self):
        self.listener.close()
        self.listener = None
        self.at(self.row.lasts, self.listen)

    def has_everything(self):
        """Whether what the bot has sent has been read, and the end of what it has closed."""
        for conn in self.conns:
            if conn.sock and conn.bytes_read < self.bot_sockets.get(conn.port, 1 << 60):
                return False
        self.refused &= set(self.bot_sockets)
        unknown = set(self.bot_sockets) - {conn.port for conn in self.conns} - self.refused
        if unknown and not self.listener:
            time.sleep(0.01) # on a busy machine the refusal comes a little later than the attempt
            self.refused |= unknown
            return True
        return not unknown

    def read_network(self):
        end = time.monotonic() + 20
        did = False
        while True:
            socks = {c.sock.fileno(): c for c in self.conns if c.sock}
            listener = [self.listener.fileno()] if self.listener else []
            poller = select.poll()
            for fd in list(socks) + listener:
                poller.register(fd, select.POLLIN)
            ready = poller.poll(0)
            for fd, _ in ready:
                did = True
                if fd in listener:
                    sock, _ = self.listener.accept()
                    sock.settimeout(20)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.conns.append(Conn(self, sock))
                    continue
                conn = socks[fd]
                try:
                    data = conn.sock.recv(65536)
                except OSError:
                    data = b''
                if data:
                    conn.bytes_read += len(data)
                    self.at(self.row.latency, conn.received, data)
                else:
                    conn.sock.close()
                    conn.sock = None
                    self.at(self.row.latency, conn.forget)
            if not ready and self.has_everything():
                return did
            assert time.monotonic() < end, 'what the bot has sent does not arrive'

    def run_timers(self):
        did = False
        while self.timers and self.timers[0][0] <= self.now:
            _, _, function, args = heapq.heappop(self.timers)
            function(*args)
            did = True
        return did

    def run(self):
        while self.bot_does_what_it_can():
            did = False
            while self.read_network() | self.run_timers():
                did = True
            storm = len(self.calls) >= STORM or self.busiest >= BUSIEST
            if did and not storm:
                continue
            following = [self.now + max(self.wait, 1)] if self.wait >= 0 else []
            following += [self.timers[0][0]] if self.timers else []
            if storm or self.is_over() or not following:
                break
            self.now = min(following)
            self.run_timers()
        self.bot.stdin.close()
        self.bot.stdout.close()
        assert self.bot.wait() == 0, 'the bot failed'
        for conn in self.conns:
            conn.forget()
        if self.listener:
            self.listener.close()
        self.reserved.close()
        return self

    def is_over(self):
        if self.fault_at is None:
            return self.now > 100 * SECOND
        since = self.now - self.fault_at
        has_next = self.next_session_at is not None
        return since > 700 * SECOND or since > self.row.traffic + 40 * SECOND and has_next

    def bot_does_what_it_can(self):
        if self.finished:
            return False
        state = ''.join(f' {c.port}:{c.bytes_written}{c.end}' for c in self.conns[-10:])
        self.bot.stdin.write(f'now {self.now}{state}\n')
        self.bot.stdin.flush()
        for line in self.bot.stdout:
            word, _, rest = line.rstrip('\n').partition(' ')
            if word == 'wait':
                wait, polls, *sockets = rest.split()
                self.wait = int(wait)
                self.bot_sockets = {int(s.split(':')[0]): int(s.split(':')[1]) for s in sockets}
                self.busiest = max(self.busiest, int(polls))
                return True
            self.log('  bot: ' + line.rstrip('\n'))
            if word == 'end':
                self.finished = rest
            elif word == 'event':
                event = self.by_text.get(rest.split(' ')[1])
                if event:
                    event.delivered += 1
        raise AssertionError('the bot ended')

    # What the server does.

    def in_fault(self):
        return self.fault_at is not None and self.now < self.fault_at + self.row.lasts

    def call(self, conn, head):
        self.log('call')
        self.calls.append(self.now)
        if self.in_fault() and self.row.call:
            return self.row.call(conn)
        conn.respond(200, {'ok': True, 'url': f'ws://127.0.0.1:{self.port}/link',
                           'self': {'id': 'U1'}, 'team': {'id': 'T1'}})

    def upgrade(self, conn, key):
        if self.in_fault() and self.row.upgrade:
            return self.row.upgrade(conn)
        conn.accept_upgrade(key)
        if self.in_fault() and self.row.accepted:
            return self.row.accepted(conn)
        conn.hello()

    def has_session(self, conn):
        self.log('hello')
        if not self.begun:
            self.begun = 1
            self.at(self.row.first, self.begin_fault)
        elif self.next_session_at is None and not self.in_fault():
            self.next_session_at = self.now

    def sessions(self):
        return [c for c in self.conns if c.open]

    def begin_fault(self):
        self.fault_at = self.now
        self.log('fault begins')
        self.repeat()
        self.traffic(0)

    def repeat(self):
        if self.row.session and self.sessions():
            self.row.session(self.sessions()[-1])
        if self.row.every and self.now + self.row.every < self.fault_at + self.row.traffic:
            self.at(self.row.every, self.repeat)

    def traffic(self, number):
        if number * self.row.interval >= self.row.traffic:
            return
        is_command = self.mode == SOCKET_MODE and number % 2 == 0
        event = Event(number, 'command' if is_command else 'event')
        self.events.append(event)
        self.by_text[event.text] = event
        self.send_event(event)
        if self.mode == SOCKET_MODE and event.kind == 'event':
            self.at(4 * SECOND, self.send_event, event, 1)
            self.at(15 * SECOND, self.send_event, event, 0)
        self.at(self.row.interval, self.traffic, number + 1)

    def send_event(self, event, retry_attempt=None):
        """RTM: on all connections. Socket Mode: on any one, until it is acknowledged."""
        sessions = self.sessions()
        if event.acknowledged or not sessions:
            return
        if self.mode == RTM:
            for conn in sessions:
                conn.text({'type': 'message', 'channel': 'C1', 'text': event.text,
                           'ts': f'17000.{event.number:06}'})
            return
        # A first retry is a new envelope of the same event, a second one the old envelope.
        if retry_attempt != 0:
            event.envelopes += 1
        first = retry_attempt == 0
        envelope = f'{event.text}-{1 if first else event.envelopes}'
        self.by_envelope[envelope] = event
        message = {'envelope_id': envelope, 'accepts_response_payload': event.kind == 'command'}
        if event.kind == 'command':
            message.update(type='slash_commands', payload={'command': '/do', 'text': event.text})
        else:
            message.update(type='events_api', payload={
                'type': 'event_callback', 'event_id': f'Ev{event.number}',
                'event': {'type': 'message', 'channel': 'C1', 'text': event.text}})
        if retry_attempt is not None:
            message.update(retry_attempt=retry_attempt, retry_reason='timeout')
        if self.row.envelope:
            message = self.row.envelope(event, message)
        for _ in range(self.row.copies):
            self.turn += 1
            conn = sessions[self.turn % len(sessions)]
            if not conn.mute:
                conn.text(message)
                conn.envelopes.add(envelope)
                conn.unacknowledged.add(envelope)
                self.at(ACKNOWLEDGED, self.check_envelope, conn, envelope)

    def message(self, conn, message):
        envelope = message.get('envelope_id')
        if envelope not in conn.envelopes:
            self.misdirected += 1
            return
        conn.unacknowledged.discard(envelope)
        self.by_envelope[envelope].acknowledged = True

    def check_envelope(self, conn, envelope):
        if conn.sock and not conn.close_sent and envelope in conn.unacknowledged:
            self.late += 1

    # The checks.

    def is_lost(self, event):
        if self.row.envelope and self.mode == SOCKET_MODE and event.kind == 'event':
            return not event.acknowledged or (self.row.readable and not event.delivered)
        return not event.delivered or (event.kind == 'command' and not event.acknowledged)

    def result(self):
        """Seconds to the next session, calls in 20 s, lost, delivered twice."""
        begin = self.fault_at + self.row.lasts
        wait = None if self.next_session_at is None else (self.next_session_at - begin) / 1000
        calls = sum(self.fault_at <= at < self.fault_at + self.row.traffic for at in self.calls)
        lost = [sum(self.is_lost(e) for e in self.events if e.kind == kind)
                for kind in (['command', 'event'] if self.mode == SOCKET_MODE else ['event'])]
        return wait, calls, lost, sum(e.delivered > 1 for e in self.events)

    def violations(self):
        wait, calls, lost, twice = self.result()
        limit = self.row.limits.get(self.mode) or self.row.limits['both']
        found = []
        if self.finished:
            found.append(f'the client has finished: {self.finished}')
        if limit[0] is not None and (wait is None or wait > limit[0]):
            found.append(f'the next session after {wait} s, not {limit[0]}')
        if calls > limit[1]:
            found.append(f'{calls} calls, not {limit[1]}')
        if sum(lost) > limit[2]:
            found.append(f'{sum(lost)} lost, not {limit[2]}')
        if twice:
            found.append(f'{twice} delivered twice')
        if self.late:
            found.append(f'{self.late} envelopes not acknowledged within 3 s')
        if self.misdirected:
            found.append(f'{self.misdirected} acknowledgements on the wrong connection')
        if self.busiest >= BUSIEST:
            found.append(f'{self.busiest} calls of rtm_poll without a pause')
        if any(c - a < SECOND for a, c in zip(self.calls, self.calls[2:])):
            found.append('three calls within a second')
        return found


class Row:
    """A kind of outage.
    session   what happens to an open session (repeatedly: every)
    call, upgrade, accepted   what happens to attempts, while it lasts
    limits    maximum of: seconds to the next session (None: no limit), calls, events lost
    """

    def __init__(self, name, limits, session=None, modes=(RTM, SOCKET_MODE), lasts=0, call=None,
                 upgrade=None, accepted=None, every=0, first=2, latency=0, envelope=None,
                 readable=True, copies=1, interval=100,
                 traffic=TRAFFIC, max_message_size=0):
        self.name, self.session, self.modes, self.lasts = name, session, modes, lasts * SECOND
        self.limits = limits if isinstance(limits, dict) else {'both': limits}
        self.call, self.upgrade, self.accepted, self.every = call, upgrade, accepted, every * SECOND
        self.first, self.latency, self.envelope = first * SECOND, latency, envelope
        self.readable, self.copies, self.interval = readable, copies, interval
        self.traffic, self.max_message_size = traffic, max_message_size


def fin(conn):
    conn.fin()


def close_and_leave_open(conn):
    conn.close(1001)


def silence(conn):
    conn.frame(PONG, b'')  # the last sign of life
    conn.mute = conn.unread = True


def half_open(conn):
    conn.frame(PONG, b'')
    conn.mute = conn.reset_at_next_byte = True


def zombie(conn):
    conn.frame(PING, b'')
    conn.mute = True


def end_later(conn):
    if conn.sock and not conn.close_sent:
        conn.close(1000)


def refresh(reason, seconds):
    def ask(conn):
        conn.text({'type': 'goodbye'} if conn.sim.mode == RTM else
                  {'type': 'disconnect', 'reason': reason})
        if seconds:
            conn.sim.at(seconds * SECOND, end_later, conn)
        else:
            conn.fin()
    return ask


def send_and_fin(message):
    def send(conn):
        conn.text(message)
        conn.fin()
    return send


def send_only(message):
    return lambda conn: conn.text(message)


def refused(conn):
    conn.sim.refuse()
    conn.fin()


def respond(status, body=None, headers='', length=None):
    body = {'ok': False, 'error': 'x'} if body is None else body

    def answer(conn):
        conn.respond(status, body, headers, length)
        if length is not None:
            conn.fin()
    return answer


def hello_and_fin(conn):
    conn.hello()
    conn.fin()


def no_hello(conn):
    pass


def cut_without_hello(conn):
    conn.sim.at(SECOND, conn.fin)


def too_many(conn):
    conn.text({'type': 'disconnect', 'reason': 'too_many_websockets'})


def without_event_id(event, message):
    if event.kind == 'event':
        message['payload']['event_id'] = None
    return message


def odd_shape(event, message):
    if event.kind == 'command':
        return message
    shape = event.number // 2 % 7
    if shape == 0:
        message['payload'] = {'type': 'app_rate_limited', 'text': event.text}
    elif shape == 1:
        message.update(type='new_kind', payload={'text': event.text})
    elif shape == 2:
        message['payload'] = event.text
    elif shape == 3:
        del message['payload']
    elif shape == 4:
        del message['type']
    elif shape == 5:
        message['payload']['event'] = [event.text]
    else:
        return json.dumps(message).encode()[:-1]  # not JSON
    return message


PAGE = b'<!DOCTYPE html><title>Down</title>' + b'<p>Please wait.</p>' * 400
AFTER = {s: f'Retry-After: {s}\r\n' for s in (0, 2, 15)}
S, R = SOCKET_MODE, RTM
MOVED = {'type': 'team_migration_started'}
EXPIRED = {'type': 'error', 'error': {'code': 1, 'msg': 'Socket URL has expired'}}

# Limits: the waits of the rules with the longest jitter; the calls that these waits allow.
BACKOFF = (9, 5, 200)  # 0, 2, 4, 8 s, each with less than a second more
ASKED = (7, 2, 200)    # Retry-After: 15 after a first call within 0.1 s
ROWS = [
    Row('FIN', (0.1, 1, 2), fin),
    Row('RST', (0.1, 1, 2), Conn.reset),
    Row('CLOSE 1001', (0.1, 1, 2), close_and_leave_open),
    Row('FIN every 3 s', {R: (0.1, 4, 165), S: (0.1, 4, 110)}, fin, every=3),
    Row('`goodbye` / `warning`, cut after 10 s', (0.1, 1, 0), refresh('warning', 10)),
    Row('`goodbye` / `refresh_requested`', (0.1, 1, 0), refresh('refresh_requested', 60)),
    Row('the same, cut at once', (0.1, 1, 2), refresh('refresh_requested', 0)),
    Row('the same every 3 s', (0.1, 7, 0), refresh('refresh_requested', 60), every=3),
    Row('the same every 31 s, cut after 2 s; 50 ms one way', (0.4, 6, 0),
        refresh('refresh_requested', 2), every=31, latency=50, interval=25, traffic=186 * SECOND),
    Row('silence', {R: (45.1, 0, 200), S: (20.1, 0, 150)}, silence),
    Row('half-open: RST in reply to a byte', {R: (30.1, 0, 200), S: (10.1, 1, 101)}, half_open),
    Row('zombie: answers PINGs only', {R: (None, 0, 200), S: (60.1, 0, 200)}, zombie, first=12),
    Row('no `hello` †', (23.2, 2, 200), fin, lasts=10, accepted=no_hello),
    Row('cut after 1 s without `hello` †', (12, 4, 200), fin, lasts=10, accepted=cut_without_hello),
    Row('HTTP 429, `Retry-After: 0` †', BACKOFF, fin, lasts=10, call=respond(429, None, AFTER[0])),
    Row('HTTP 429, `Retry-After: 2` †', BACKOFF, fin, lasts=10, call=respond(429, None, AFTER[2])),
    Row('HTTP 429, `Retry-After: 15` †', ASKED, fin, lasts=10, call=respond(429, None, AFTER[15])),
    Row('the same with a page over the limit †', ASKED, fin, lasts=10,
        call=respond(429, PAGE, AFTER[15]), max_message_size=4096),
    Row('the same, the page is cut short †', ASKED, fin, lasts=10,
        call=respond(429, PAGE, AFTER[15], 10000)),
    Row('HTTP 429 without `Retry-After` †', (21.1, 1, 200), fin, lasts=10, call=respond(429)),
    Row('HTTP 503 †', BACKOFF, fin, lasts=10, call=respond(503, PAGE)),
    Row('HTTP 503, `Retry-After: 15` †', ASKED, fin, lasts=10, call=respond(503, PAGE, AFTER[15])),
    Row('HTTP 200 with an HTML page †', BACKOFF, fin, lasts=10,
        call=respond(200, PAGE, 'Content-Type: text/html\r\n')),
    Row('HTTP 200 with a body over the limit †', BACKOFF, fin, lasts=10,
        call=respond(200, PAGE), max_message_size=4096),
    Row('`internal_error` †', BACKOFF, fin, lasts=10,
        call=respond(200, {'ok': False, 'error': 'internal_error'})),
    Row('connections refused †', BACKOFF, refused, lasts=10),
    Row('upgrade refused, HTTP 409 †', BACKOFF, fin, lasts=10, upgrade=respond(409)),
    Row('upgrade refused, 429, `Retry-After: 0` †', BACKOFF, fin, lasts=10,
        upgrade=respond(429, None, AFTER[0])),
    Row('upgrade refused, 429, `Retry-After: 15` †', ASKED, fin, lasts=10,
        upgrade=respond(429, None, AFTER[15])),
    Row('closes at once after `hello` †', BACKOFF, fin, lasts=10, accepted=hello_and_fin),
    Row('`team_migration_started`', (0.1, 1, 2), send_and_fin(MOVED), modes=(R,)),
    Row('`{"type":"error"}`', (0.1, 1, 2), send_only(EXPIRED), modes=(R,)),
    Row('`too_many_websockets` †', BACKOFF, fin, modes=(S,), lasts=10, accepted=too_many),
    Row('`link_disabled`', (301, 0, 200),
        send_only({'type': 'disconnect', 'reason': 'link_disabled'}), modes=(S,)),
    Row('each envelope twice', (None, 0, 0), modes=(S,), copies=2),
    Row('`"event_id":null` in all envelopes', (None, 0, 0), modes=(S,), envelope=without_event_id),
    Row('envelopes of odd shapes', (None, 0, 0), modes=(S,), envelope=odd_shape, readable=False),
]

HEAD = '''| what happens | RTM: s | calls | lost | twice | Socket Mode: s | calls | lost | twice |
|---|---|---|---|---|---|---|---|---|
'''


def cells(sim):
    if sim is None:
        return '| | |'
    wait, calls, lost, twice = sim.result()
    keeps = not sim.row.session
    wait = ('-' if keeps else 'never') if wait is None else f'{wait:.2f}'
    return f'{wait} | {calls} | {"+".join(map(str, lost))} | {twice}'


def main():
    program, options = sys.argv[1], sys.argv[2:]
    verbose = options[:1] == ['--row']
    rows = [r for r in ROWS if options[1] in r.name] if verbose else ROWS
    jobs = [(row, mode, jitter) for row in rows for mode in row.modes
            for jitter in ((MEAN,) if verbose else (MEAN, SHORTEST, LONGEST))]
    with ThreadPoolExecutor(1 if verbose else 6) as pool:
        def run(job):
            if verbose:
                print(job[1], job[0].name)
            try:
                return Sim(*job, program, verbose).run()
            except Exception as problem:
                raise RuntimeError(f'{job[1]}, {job[0].name}: {problem!r}') from problem
        sims = dict(zip(jobs, pool.map(run, jobs)))
    table = HEAD + ''.join(
        f'| {row.name} | {cells(sims.get((row, RTM, MEAN)))} | '
        f'{cells(sims.get((row, SOCKET_MODE, MEAN)))} |\n'
        for row in rows)
    failed = False
    for (row, mode, jitter), sim in sims.items():
        for violation in sim.violations():
            print(f'FAIL outages: {mode}, {row.name}: {violation} (random {jitter})')
            failed = True
    if verbose:
        print(table)
        return failed
    with open(PARITY, encoding='utf-8') as file:
        text = file.read()
    before, rest = text.split(BEGIN + '\n')
    old, after = rest.split(END)
    if '--write' in options:
        with open(PARITY, 'w', encoding='utf-8') as file:
            file.write(before + BEGIN + '\n' + table + END + after)
    elif old != table:
        print('FAIL outages: tests/PARITY.md has another table; --write updates it:\n' + table)
        failed = True
    if not failed:
        print(f'PASS outages: {len(rows)} rows, {len(jobs)} runs, as in PARITY.md')
    return failed


if __name__ == '__main__':
    sys.exit(main())
