"""A small RFC 6455 client on a raw socket, and a reader of server-sent events, for tests: both can do what no decent client does."""
import base64
import hashlib
import json
import os
import socket
import struct
import time

from harness import BOUND, TOKENS

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Refused(Exception):
    """The handshake was answered with something else than 101; .status, .headers, .body"""

    def __init__(self, status, headers, body):
        super().__init__("%d %r" % (status, body[:300]))
        self.status, self.headers, self.body = status, headers, body


class Closed(Exception):
    """The server closed: .code (None: no close frame, 1005: one without a code) and .reason"""

    def __init__(self, code, reason=""):
        super().__init__("%s %s" % (code, reason))
        self.code, self.reason = code, reason


def read_head(sock):
    """Status, headers (last one of each name), the first bytes behind the head."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            raise Refused(0, {}, data)
        data += piece
    head, rest = data.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, value = line.split(":", 1)
        headers[name.strip().lower()] = value.strip()
    return int(lines[0].split(" ")[1]), headers, rest


def read_body(sock, headers, rest):
    length = int(headers.get("content-length", 0))
    while len(rest) < length:
        piece = sock.recv(65536)
        if not piece:
            break
        rest += piece
    return rest


def frame(opcode, payload=b"", fin=1, mask=True, rsv=0, length=None):
    """One frame as bytes; `length` lies about the payload's."""
    key = os.urandom(4)
    n = len(payload) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if n < 126:
        head += bytes([bit | n])
    elif n < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", n)
    if not mask:
        return head + payload
    return head + key + bytes(b ^ key[i % 4] for i, b in enumerate(payload))


class WebSocket:
    def __init__(self, port, who="supervisor", path="/v1/events", headers=None, hello=True, answer_pings=True,
                 receive_buffer=None, wrap=None, timeout=BOUND):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        self.sock.connect(("127.0.0.1", port))
        if wrap:
            self.sock = wrap(self.sock)
        self.answer_pings, self.pongs, self.pings = answer_pings, [], 0
        key = base64.b64encode(os.urandom(16))
        fields = {"Host": "127.0.0.1:%d" % port, "Upgrade": "websocket", "Connection": "Upgrade",
                  "Sec-WebSocket-Key": key.decode(), "Sec-WebSocket-Version": "13",
                  "Sec-WebSocket-Protocol": "cctgate.v1"}
        if who:
            fields["Authorization"] = "Bearer " + TOKENS[who][0]
        fields.update(headers or {})
        head = "GET %s HTTP/1.1\r\n" % path + "".join("%s: %s\r\n" % (k, v) for k, v in fields.items() if v is not None)
        self.sock.sendall(head.encode() + b"\r\n")
        status, self.headers, self.buffer = read_head(self.sock)
        if status != 101:
            body = read_body(self.sock, self.headers, self.buffer)
            self.sock.close()
            raise Refused(status, self.headers, body)
        expected = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        assert self.headers["sec-websocket-accept"] == expected, self.headers
        self.hello = None
        if hello:
            self.hello = self.receive()
            assert self.hello["op"] == "hello", self.hello

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send_raw(self, data):
        self.sock.sendall(data)

    def send_frame(self, opcode, payload=b"", **options):
        self.sock.sendall(frame(opcode, payload, **options))

    def send(self, message):
        self.send_frame(TEXT, json.dumps(message).encode())

    def _take(self, count):
        while len(self.buffer) < count:
            piece = self.sock.recv(262144)
            if not piece:
                raise Closed(None)
            self.buffer += piece
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def receive_frame(self):
        """(opcode, payload) of the next frame; the server's are final and not masked."""
        first, second = self._take(2)
        assert first & 0x80, "a fragment from the server"
        assert not first & 0x70, "reserved bits from the server"
        assert not second & 0x80, "a masked frame from the server"
        length = second & 0x7f
        if length == 126:
            length, = struct.unpack(">H", self._take(2))
            assert length >= 126
        elif length == 127:
            length, = struct.unpack(">Q", self._take(8))
            assert length >= 65536
        return first & 0x0f, self._take(length)

    def receive(self):
        """The next message, as JSON; answers pings and keeps pongs on the way. Closed when the server closes."""
        while True:
            try:
                opcode, payload = self.receive_frame()
            except ConnectionResetError:
                raise Closed(None) from None
            if opcode == TEXT:
                return json.loads(payload)
            if opcode == PING:
                self.pings += 1
                if self.answer_pings:
                    self.send_frame(PONG, payload)
            elif opcode == PONG:
                self.pongs.append(payload)
            elif opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                raise Closed(code, payload[2:].decode())
            else:
                raise AssertionError("opcode %d" % opcode)

    def receive_op(self, *ops):
        """The next message of one of these operations; heartbeats are passed over unless asked for."""
        while True:
            message = self.receive()
            if message["op"] in ops:
                return message
            assert message["op"] == "heartbeat", message

    def expect_close(self, bound=BOUND):
        """Reads on until the server closes; the code."""
        self.sock.settimeout(bound)
        try:
            while True:
                self.receive()
        except Closed as closed:
            return closed.code

    def subscribe(self, id="a", **members):
        self.send(dict(op="subscribe", id=id, **members))
        answer = self.receive_op("subscribed", "error")
        assert answer["op"] == "subscribed" and answer["id"] == id, answer
        return answer

    def snapshot(self, id="a"):
        """All parts of a snapshot: {subject: data} and the last seq."""
        items = {}
        while True:
            part = self.receive_op("snapshot")
            assert part["id"] == id, part
            for item in part["items"]:
                assert item["subject"] not in items, item
                items[item["subject"]] = item["data"]
            if not part.get("more"):
                return items, part["seq"]

    def close(self, code=1000):
        self.send_frame(CLOSE, struct.pack(">H", code))
        answer = self.expect_close()
        self.sock.close()
        return answer


class EventStream:
    """text/event-stream: the fields of each event as a dictionary; comments under the key ''."""

    def __init__(self, port, who="supervisor", query="", headers=None, timeout=BOUND):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        fields = {"Host": "127.0.0.1:%d" % port, "Accept": "text/event-stream"}
        if who:
            fields["Authorization"] = "Bearer " + TOKENS[who][0]
        fields.update(headers or {})
        head = "GET /v1/events%s HTTP/1.1\r\n" % query + "".join("%s: %s\r\n" % item for item in fields.items())
        self.sock.sendall(head.encode() + b"\r\n")
        status, self.headers, self.buffer = read_head(self.sock)
        if status != 200:
            body = read_body(self.sock, self.headers, self.buffer)
            self.sock.close()
            raise Refused(status, self.headers, body)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def receive(self):
        while b"\n\n" not in self.buffer:
            piece = self.sock.recv(262144)
            if not piece:
                raise Closed(None)
            self.buffer += piece
        block, self.buffer = self.buffer.split(b"\n\n", 1)
        fields = {}
        for line in block.decode().split("\n"):
            name, _, value = line.partition(":")
            fields[name] = value[1:] if value.startswith(" ") else value
        return fields

    def receive_event(self, *names):
        """The next block with one of these event names (any event without names); comments are passed over."""
        end = time.monotonic() + BOUND
        while time.monotonic() < end:
            fields = self.receive()
            if "event" in fields and (not names or fields["event"] in names):
                return fields
            assert "event" not in fields, fields
        raise AssertionError("no event")
