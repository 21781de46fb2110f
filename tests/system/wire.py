# SPDX-License-Identifier: MIT
"""A client written from asupersync-protocol(7) alone: a Unix socket, SP
framing and msgpack. It can be as rude as a test needs."""

import itertools
import os
import socket
import struct

import msgpack


class Wire:
    """One connection. Replies may come in another order than requests."""

    def __init__(self, path, timeout=30, handshake=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.ids = itertools.count(1)
        self.secret = None
        if handshake:
            self.socket.sendall(b"\0SP\0\x00\x30\x00\x00")  # REQ, version 0
            hello = self.exactly(8)
            if hello != b"\0SP\0\x00\x31\x00\x00":  # REP
                raise ValueError(f"not a REP peer: {hello!r}")

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError("the daemon closed the connection")
            data += part
        return data

    def send_raw(self, body, number=None):
        """One SP message with any body."""
        number = 0x80000000 | (number if number is not None else next(self.ids))
        payload = struct.pack(">I", number) + body
        self.socket.sendall(b"\x01" + struct.pack(">Q", len(payload)) + payload)
        return number

    def receive_raw(self):
        kind, size = struct.unpack(">BQ", self.exactly(9))
        if kind != 1:
            raise ValueError(f"unknown SP message type {kind}")
        payload = self.exactly(size)
        return struct.unpack(">I", payload[:4])[0], payload[4:]

    def request(self, op, args=None, id=None, version=1, session=True, cx=None):
        id = next(self.ids) if id is None else id
        self.send_raw(msgpack.packb([version, id, self.secret if session else None, cx, op, args or {}]),
                      id & 0x7FFFFFFF)
        return id

    def reply(self):
        _, payload = self.receive_raw()
        version, id, code, body = msgpack.unpackb(payload, strict_map_key=False)
        return id, code, body

    def call(self, op, args=None, **options):
        """(code, body) of one request, nothing else being in flight."""
        id = self.request(op, args, **options)
        got, code, body = self.reply()
        if got != id:
            raise ValueError(f"reply to {got}, expected {id}")
        return code, body

    def ok(self, op, args=None, **options):
        code, body = self.call(op, args, **options)
        if code != 0:
            raise AssertionError(f"{op}: {code} {body}")
        return body

    def hello(self, **args):
        body = self.ok("session.hello", args)
        self.secret = body["secret"]
        return body

    def close(self):
        self.socket.close()


def connect(daemon, hello=True, **options):
    wire = Wire(os.path.join(daemon.runtime, "asupersyncd.sock"), **options)
    if hello:
        wire.hello()
    return wire
