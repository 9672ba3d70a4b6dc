#!/usr/bin/env python3
"""A small server in the manner of the Autobahn testsuite, for build/ws_echo.

    python3 tests/ws_peer.py build/ws_echo

Runs its cases through the layers of rtm.h, and through whole sessions (--session). Fails if a case
fails, or if there are more connections than cases.
"""
import base64
import hashlib
import os
import re
import socket
import struct
import subprocess
import sys
import threading

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Peer:
    """A connection, after its handshake."""

    def __init__(self, sock):
        self.sock = sock
        self.data = bytearray()
        while b'\r\n\r\n' not in self.data:
            self.more()
        head = self.take(self.data.index(b'\r\n\r\n') + 4)
        self.path = head.split()[1].decode()
        key = re.search(rb'(?i)\r\nsec-websocket-key: *(\S+)', head).group(1)
        guid = b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
        accept = base64.b64encode(hashlib.sha1(key + guid).digest())
        sock.sendall(b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n'
                     b'Connection: Upgrade\r\nSec-WebSocket-Accept: ' + accept + b'\r\n\r\n')

    def more(self):
        got = self.sock.recv(65536)
        if not got:
            raise EOFError
        self.data += got

    def take(self, size):
        while len(self.data) < size:
            self.more()
        got = bytes(self.data[:size])
        del self.data[:size]
        return got

    def send(self, *frames):
        """Frames (opcode, payload), all in one write; opcode | 0x100 has no FIN."""
        out = b''
        for opcode, payload in frames:
            size = len(payload)
            head = bytes([(0 if opcode & 0x100 else 0x80) | opcode & 15])
            if size < 126:
                head += bytes([size])
            elif size < 65536:
                head += struct.pack('>BH', 126, size)
            else:
                head += struct.pack('>BQ', 127, size)
            out += head + payload
        self.sock.sendall(out)

    def read(self):
        """The next frame, which has to be whole and masked."""
        first, second = self.take(2)
        if first & 0xf0 != 0x80 or not second & 0x80:
            raise ValueError('a frame without FIN or mask')
        size = second & 0x7f
        if size == 126:
            size, = struct.unpack('>H', self.take(2))
        elif size == 127:
            size, = struct.unpack('>Q', self.take(8))
        mask = self.take(4)
        payload = self.take(size)
        mask = (mask * (size // 4 + 1))[:size]
        value = int.from_bytes(payload, 'big') ^ int.from_bytes(mask, 'big')
        return first & 15, value.to_bytes(size, 'big')

    def expect(self, *frames):
        for frame in frames:
            got = self.read()
            if got != frame:
                raise ValueError('%r, not %r' % (got, frame)) if len(repr(frame)) < 200 else \
                    ValueError('another frame of %d bytes' % len(got[1]))

    def close(self):
        self.send((CLOSE, struct.pack('>H', 1000)))
        self.expect((CLOSE, struct.pack('>H', 1000)))


def echo(peer, opcode, payload):
    peer.send((opcode, payload))
    peer.expect((opcode, payload))


def texts_and_binary_messages(peer):
    for size in (0, 1, 125, 126, 127, 65535, 65536, 1000000):
        echo(peer, TEXT, b'*' * size)
        echo(peer, BINARY, b'\xfe' * size)


def three_hundred_binary_messages(peer):
    for i in range(300):
        echo(peer, BINARY, struct.pack('>I', i))


def binary_messages_in_one_write(peer):
    frames = [(BINARY, b'%d' % i) for i in range(20)]
    peer.send(*frames)
    peer.expect(*frames)


def a_message_of_16_mib(peer):
    echo(peer, BINARY, os.urandom(16 << 20))


def ten_pings(peer):
    peer.send(*[(PING, b'payload-%d' % i) for i in range(10)])
    peer.expect(*[(PONG, b'payload-%d' % i) for i in range(10)])


def ten_pings_in_single_bytes(peer):
    for i in range(10):
        for byte in b'\x89\x09payload-%d' % i:
            peer.sock.sendall(bytes([byte]))
    peer.expect(*[(PONG, b'payload-%d' % i) for i in range(10)])


def fragments_with_pings_between(peer):
    peer.send((TEXT | 0x100, b'a'), (PING, b'1'), (0x100, b'b'), (PING, b'2'), (0, b'c'))
    peer.expect((PONG, b'1'), (PONG, b'2'), (TEXT, b'abc'))


def an_unsolicited_pong(peer):
    peer.send((PONG, b'x'))
    echo(peer, TEXT, b'{"type":"hello"}')
    echo(peer, TEXT, b'{"type":"goodbye"}')


def invalid_utf8(peer):
    peer.send((TEXT, b'\xce\xba\xed\xa0\x80'))
    peer.expect((CLOSE, struct.pack('>H', 1007)))
    return True


def a_reserved_opcode(peer):
    peer.send((3, b''))
    peer.expect((CLOSE, struct.pack('>H', 1002)))
    return True


def an_end_without_close(peer):
    echo(peer, TEXT, b'a')
    peer.sock.close()
    return True


CASES = [texts_and_binary_messages, three_hundred_binary_messages, binary_messages_in_one_write,
         a_message_of_16_mib, ten_pings, ten_pings_in_single_bytes, fragments_with_pings_between,
         an_unsolicited_pong, invalid_utf8, a_reserved_opcode, an_end_without_close]


def serve(listener, failed, paths):
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        sock.settimeout(60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer, name = None, '?'
        try:
            peer = Peer(sock)
            paths.append(peer.path)
            case = re.match(r'/runCase\?case=(\d+)&agent=rtm\.h$', peer.path)
            if peer.path == '/getCaseCount':
                peer.send((TEXT, b'%d' % len(CASES)))
            name = CASES[int(case.group(1)) - 1].__name__ if case else peer.path
            if not case or not CASES[int(case.group(1)) - 1](peer):
                peer.close()
        except (EOFError, OSError, ValueError) as error:
            failed.append('%s: %s' % (name, error or type(error).__name__))
        sock.close()


def run(program, options):
    listener = socket.create_server(('127.0.0.1', 0))
    failed, paths = [], []
    thread = threading.Thread(target=serve, args=(listener, failed, paths), daemon=True)
    thread.start()
    url = 'ws://127.0.0.1:%d' % listener.getsockname()[1]
    done = subprocess.run([program, *options, url], stdout=subprocess.DEVNULL, timeout=300,
                          check=False)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)
    if done.returncode:
        failed.append('ws_echo: exit code %d' % done.returncode)
    if len(paths) != len(CASES) + 2:
        failed.append('%d connections for %d cases' % (len(paths), len(CASES)))
    return failed


def main():
    failed = []
    for options in ([], ['--session']):
        failed += [' '.join(options + [text]) for text in run(sys.argv[1], options)]
    for text in failed:
        print('FAIL ws_peer:', text)
    if not failed:
        print('PASS ws_peer: %d cases, through the layers and through sessions' % len(CASES))
    return 1 if failed else 0


sys.exit(main())
