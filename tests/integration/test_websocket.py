"""WebSocket and server-sent events: handshake, RFC 6455, messages, snapshots, limits. What needs published events is in test_events.py."""
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import unittest
from urllib.parse import quote

import harness
from harness import TOKENS, Case, bearer, eventually, exchange
from websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, EventStream, Refused, WebSocket, frame

HANDSHAKES = [
    # name, headers that differ, status
    ("version 8", {"Sec-WebSocket-Version": "8"}, 426),
    ("no version", {"Sec-WebSocket-Version": None}, 426),
    ("two versions", {"Sec-WebSocket-Version": "13, 8"}, 426),
    ("no key", {"Sec-WebSocket-Key": None}, 400),
    ("a short key", {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j"}, 400),
    ("a long key", {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==dGhl"}, 400),
    ("a key that is no base64", {"Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!=="}, 400),
    ("a key of 17 bytes", {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZTE="}, 400),
    ("another subprotocol", {"Sec-WebSocket-Protocol": "mqtt"}, 400),
    ("other upgrade", {"Upgrade": "h2c"}, 426),
    ("no Connection", {"Connection": "keep-alive"}, 426),
    ("a foreign Origin", {"Origin": "https://evil.example"}, 403),
    ("a null Origin", {"Origin": "null"}, 403),
    ("an Origin that begins like one", {"Origin": "https://desk.example.evil.example"}, 403),
    ("an unknown token", {"Authorization": "Bearer nobody"}, 401),
    ("no token", {"Authorization": None}, 401),
    ("another scheme", {"Authorization": "Basic c3VwZXJ2aXNvcjo="}, 401),
]


class Handshake(Case):
    gateway_options = {"events": {"origins": ["https://desk.example"]}}

    def refused(self, status, **options):
        with self.assertRaises(Refused) as caught:
            WebSocket(self.gate.port, **options)
        self.assertEqual(caught.exception.status, status, caught.exception)
        self.assertEqual(caught.exception.headers["content-type"], "application/problem+json")
        self.assertEqual(json.loads(caught.exception.body)["status"], status)
        return caught.exception

    def test_hello(self):
        with WebSocket(self.gate.port) as ws:
            self.assertRegex(ws.hello["epoch"], r"^\d+$")
            self.assertGreaterEqual(ws.hello["seq"], 0)
            self.assertEqual(ws.hello["heartbeatMs"], 15000)
            self.assertEqual(ws.hello["limits"]["subscriptions"], 32)
            self.assertEqual(ws.headers["sec-websocket-protocol"], "cctgate.v1")
            self.assertEqual(ws.headers["upgrade"].lower(), "websocket")
            self.assertEqual(ws.headers["connection"].lower(), "upgrade")
            self.assertNotIn("sec-websocket-extensions", ws.headers)

    def test_refusals(self):
        for name, headers, status in HANDSHAKES:
            with self.subTest(name):
                answer = self.refused(status, headers=headers)
                if status == 426 and "ersion" in name:
                    self.assertEqual(answer.headers["sec-websocket-version"], "13")

    def test_no_subprotocol(self):
        with WebSocket(self.gate.port, headers={"Sec-WebSocket-Protocol": None}) as ws:
            self.assertNotIn("sec-websocket-protocol", ws.headers)

    def test_origins(self):
        for origin in ("https://desk.example", "HTTPS://Desk.Example", "http://127.0.0.1:%d" % self.gate.port):
            with self.subTest(origin), WebSocket(self.gate.port, headers={"Origin": origin}) as ws:
                self.assertTrue(ws.hello)

    def test_key_twice(self):
        self.refused(400, headers={"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="})

    def test_token_as_subprotocol(self):
        token = TOKENS["supervisor"][0]
        with WebSocket(self.gate.port, who=None, headers={"Sec-WebSocket-Protocol": "cctgate.v1, bearer." + token}) as ws:
            self.assertEqual(ws.headers["sec-websocket-protocol"], "cctgate.v1")
        self.refused(401, who=None, headers={"Sec-WebSocket-Protocol": "cctgate.v1, bearer.nobody"})
        self.refused(400, who=None, headers={"Sec-WebSocket-Protocol": "bearer." + token})
        self.refused(401, who=None, headers={"Sec-WebSocket-Protocol": "cctgate.v1, bearer.%s, bearer.%s" % (token, token)})

    def ticket(self, who="supervisor"):
        answer = exchange(self.gate.port, "POST", "/v1/events/ticket", bearer(who))
        self.assertEqual(answer.status, 201, answer)
        self.assertRegex(answer.json["expiresAt"], r"^\d{4}-\d\d-\d\dT")
        self.assertGreaterEqual(len(answer.json["ticket"]), 43)
        return answer.json["ticket"]

    def test_ticket(self):
        ticket = self.ticket()
        path = "/v1/events?ticket=" + ticket
        self.refused(426, who=None, path=path, headers={"Sec-WebSocket-Version": "8"})  # does not spend it
        with WebSocket(self.gate.port, who=None, path=path) as ws:
            self.assertTrue(ws.hello)
        self.refused(401, who=None, path=path)
        self.refused(401, who=None, path="/v1/events?ticket=" + "A" * 43)
        self.refused(401, who=None, path="/v1/events?ticket=")
        self.assertNotEqual(self.ticket(), self.ticket())

    def test_ticket_on_every_thread(self):
        for _ in range(16):  # the kernel spreads connections over both
            with WebSocket(self.gate.port, who=None, path="/v1/events?ticket=" + self.ticket("agent2001")) as ws:
                self.assertTrue(ws.hello)

    def test_ticket_race(self):
        """One of many wins."""
        path, outcomes = "/v1/events?ticket=" + self.ticket(), []

        def attempt():
            try:
                WebSocket(self.gate.port, who=None, path=path).sock.close()
                outcomes.append(101)
            except Refused as refused:
                outcomes.append(refused.status)
        threads = [threading.Thread(target=attempt) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(outcomes), [101] + [401] * 7)

    def test_ticket_needs_a_token(self):
        self.assert_problem(exchange(self.gate.port, "POST", "/v1/events/ticket"), 401)
        self.assert_problem(exchange(self.gate.port, "GET", "/v1/events/ticket", bearer("supervisor")), 405)

    def test_neither(self):
        answer = self.assert_problem(exchange(self.gate.port, "GET", "/v1/events", bearer("supervisor")), 426)
        self.assertEqual(answer.headers["upgrade"], "websocket")
        self.assert_problem(exchange(self.gate.port, "GET", "/v1/events", dict(bearer("supervisor"), Accept="*/*")), 426)
        self.assert_problem(
            exchange(self.gate.port, "GET", "/v1/events", dict(bearer("supervisor"), Accept="application/json")), 406)
        self.assert_problem(exchange(self.gate.port, "POST", "/v1/events", bearer("supervisor")), 405)
        self.assert_problem(exchange(self.gate.port, "GET", "/v1/events"), 401)

    def test_query(self):
        self.refused(400, path="/v1/events?since=1-1")

    def test_frames_behind_the_request(self):
        """What a client sends without waiting for the 101 is not lost."""
        with socket.create_connection(("127.0.0.1", self.gate.port), timeout=60) as sock:
            sock.sendall(("GET /v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                          "Authorization: Bearer %s\r\n\r\n" % TOKENS["supervisor"][0]).encode() +
                         frame(TEXT, b'{"op":"ping","id":"early"}'))
            received = b""
            while b"early" not in received:
                piece = sock.recv(65536)
                self.assertTrue(piece, received)
                received += piece
            self.assertIn(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", received)  # RFC 6455 section 1.3


class Frames(Case):
    """RFC 6455, sections 5 to 7"""

    def open(self, **options):
        ws = WebSocket(self.gate.port, **options)
        self.addCleanup(ws.sock.close)
        return ws

    def assert_alive(self, ws):
        ws.send({"op": "ping", "id": "alive"})
        self.assertEqual(ws.receive_op("pong")["id"], "alive")

    def test_fragments(self):
        ws = self.open()
        text = json.dumps({"op": "ping", "id": "fragmented \u00e4\u20ac\U0001f600"}, ensure_ascii=False).encode()
        for cut in range(1, len(text), 7):
            ws.send_frame(TEXT, text[:cut], fin=0)
            ws.send_frame(PING, b"between")
            ws.send_frame(CONTINUATION, text[cut:])
            self.assertTrue(ws.receive_op("pong")["id"].startswith("fragmented"))
        ws.send_frame(TEXT, text[:1], fin=0)
        for byte in text[1:-1]:
            ws.send_frame(CONTINUATION, bytes([byte]), fin=0)
        ws.send_frame(CONTINUATION, b"", fin=0)
        ws.send_frame(CONTINUATION, text[-1:])
        self.assertTrue(ws.receive_op("pong")["id"].startswith("fragmented"))
        self.assertIn(b"between", ws.pongs)

    def test_byte_by_byte(self):
        ws = self.open()
        for byte in frame(TEXT, b'{"op":"ping"}'):
            ws.send_raw(bytes([byte]))
        self.assertEqual(ws.receive_op("pong")["op"], "pong")

    def test_ping_is_answered(self):
        ws = self.open()
        for payload in (b"", b"x", b"y" * 125):
            ws.send_frame(PING, payload)
            self.assert_alive(ws)
            self.assertEqual(ws.pongs[-1], payload)
        ws.send_frame(PONG, b"unasked")
        self.assert_alive(ws)

    def test_closing(self):
        for code in (1000, 1001, 3000, 4999):
            with self.subTest(code):
                self.assertEqual(self.open().close(code), code)
        ws = self.open()
        ws.send_frame(CLOSE)
        self.assertEqual(ws.expect_close(), 1005)
        with self.assertRaises(Closed) as caught:
            ws.receive_frame()
        self.assertIsNone(caught.exception.code)

    def test_end_of_connection_follows_the_close_frame(self):
        ws = self.open()
        self.assertEqual(ws.close(), 1000)
        eventually(lambda: self.gate.metric("event_clients") == 0, "all gone")

    def test_wrong_frames(self):
        rows = [
            ("not masked", frame(TEXT, b'{"op":"ping"}', mask=False), 1002),
            ("reserved bit", frame(TEXT, b"{}", rsv=4), 1002),
            ("reserved opcode", frame(3, b"{}"), 1002),
            ("reserved control opcode", frame(11, b""), 1002),
            ("a fragmented ping", frame(PING, b"", fin=0), 1002),
            ("a ping of 126 bytes", frame(PING, b"x" * 126), 1002),
            ("a continuation of nothing", frame(CONTINUATION, b"{}"), 1002),
            ("a message inside another", frame(TEXT, b"{", fin=0) + frame(TEXT, b"}"), 1002),
            ("a close frame of one byte", frame(CLOSE, b"x"), 1002),
            ("a close code that is none", frame(CLOSE, struct.pack(">H", 1005)), 1002),
            ("a close code below 1000", frame(CLOSE, struct.pack(">H", 999)), 1002),
            ("a close reason that is no UTF-8", frame(CLOSE, b"\x03\xe8\xff"), 1007),
            ("no UTF-8", frame(TEXT, b'{"op":"\xff"}'), 1007),
            ("overlong UTF-8", frame(TEXT, b'"\xc0\xaf"'), 1007),
            ("a surrogate", frame(TEXT, b'"\xed\xa0\x80"'), 1007),
            ("UTF-8 that breaks off", frame(TEXT, b'"\xe2\x82'), 1007),
            ("UTF-8 wrong in the second fragment", frame(TEXT, b'"\xe2', fin=0) + frame(CONTINUATION, b'x"'), 1007),
            ("binary", frame(BINARY, b"{}"), 1003),
            ("too long", frame(TEXT, b"x" * 65537), 1009),
            ("said to be too long", frame(TEXT, b"", length=1 << 40), 1009),
            ("too long in fragments", frame(TEXT, b"x" * 40000, fin=0) + frame(CONTINUATION, b"x" * 40000), 1009),
            ("very many fragments", frame(TEXT, b" ", fin=0) + frame(CONTINUATION, b" ", fin=0) * 5000, 1008),
            ("very many pings", frame(PING, b"") * 20000, 1008),
        ]
        for name, data, code in rows:
            with self.subTest(name):
                ws = self.open()
                try:
                    ws.send_raw(data)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                self.assertEqual(ws.expect_close(), code)
        self.assert_alive(self.open())

    def test_longest_message(self):
        ws = self.open()
        text = b'{"op":"ping","id":"long"}'
        ws.send_frame(TEXT, text + b" " * (65536 - len(text)))
        self.assertEqual(ws.receive_op("pong")["id"], "long")

    def test_nothing_after_closing(self):
        """After its close frame the server says nothing, whatever is asked."""
        ws = self.open()
        ws.send_raw(frame(CLOSE, struct.pack(">H", 1000)) + frame(TEXT, b'{"op":"ping"}'))
        self.assertEqual(ws.expect_close(), 1000)

    def test_a_client_that_goes(self):
        for _ in range(20):
            self.open().sock.close()
        eventually(lambda: self.gate.metric("event_clients") == 0, "all gone")

    def test_garbage(self):
        import random
        random.seed(7)
        for _ in range(30):
            ws = self.open()
            try:
                for _ in range(20):
                    ws.send_raw(random.randbytes(random.randrange(1, 2000)))
            except (BrokenPipeError, ConnectionResetError):
                pass
            ws.sock.close()
        self.assert_alive(self.open())


MESSAGES = [
    # name, text, pointer, slug, id
    ("no JSON", "{", None, "bad-request", None),
    ("no object", "[]", None, "bad-request", None),
    ("a member twice", '{"op":"ping","op":"ping"}', None, "bad-request", None),
    ("too deep", '{"op":' + "[" * 5000 + "]" * 5000 + "}", None, "bad-request", None),
    ("no op", "{}", "/op", "bad-request", None),
    ("op no string", '{"op":1}', "/op", "bad-request", None),
    ("unknown op", '{"op":"dance","id":"x"}', "/op", "bad-request", "x"),
    ("no id", '{"op":"subscribe"}', "/id", "bad-request", None),
    ("empty id", '{"op":"subscribe","id":""}', "/id", "bad-request", ""),
    ("long id", '{"op":"subscribe","id":"%s"}' % ("x" * 129), "/id", "bad-request", "x" * 129),
    ("id no string", '{"op":"subscribe","id":7}', "/id", "bad-request", None),
    ("types no array", '{"op":"subscribe","id":"s","types":"cct.system"}', "/types", "bad-request", "s"),
    ("unknown type", '{"op":"subscribe","id":"s","types":["cct.system","cct.nothing"]}', "/types/1", "bad-request", "s"),
    ("type no string", '{"op":"subscribe","id":"s","types":[1]}', "/types/0", "bad-request", "s"),
    ("subject no path", '{"op":"subscribe","id":"s","subjects":["agents"]}', "/subjects/0", "bad-request", "s"),
    ("agent empty", '{"op":"subscribe","id":"s","agents":[""]}', "/agents/0", "bad-request", "s"),
    ("too many agents", json.dumps({"op": "subscribe", "id": "s", "agents": [str(n) for n in range(1001)]}), "/agents",
     "bad-request", "s"),
    ("bad since", '{"op":"subscribe","id":"s","since":"yesterday"}', "/since", "bad-request", "s"),
    ("since no string", '{"op":"subscribe","id":"s","since":5}', "/since", "bad-request", "s"),
    ("since too large", '{"op":"subscribe","id":"s","since":"1-99999999999999999999999"}', "/since", "bad-request", "s"),
    ("bad snapshot", '{"op":"subscribe","id":"s","snapshot":"yes"}', "/snapshot", "bad-request", "s"),
    ("unsubscribe what is not", '{"op":"unsubscribe","id":"never"}', "/id", "not-found", "never"),
    ("bad ack", '{"op":"ack","seq":"1"}', "/seq", "bad-request", None),
    ("negative ack", '{"op":"ack","seq":-1}', "/seq", "bad-request", None),
    ("renew, id no string", '{"op":"renew","id":[],"lease":"l"}', "/id", "bad-request", None),
    ("bind, id no string", '{"op":"bind","id":{},"lease":"l"}', "/id", "bad-request", None),
    ("command, long id", '{"op":"command","id":"%s"}' % ("x" * 129), "/id", "bad-request", "x" * 129),
]


class Messages(Case):
    def open(self, who="supervisor"):
        ws = WebSocket(self.gate.port, who)
        self.addCleanup(ws.sock.close)
        return ws

    def test_wrong_messages(self):
        ws = self.open()
        for name, text, pointer, slug, id in MESSAGES:
            with self.subTest(name):
                ws.send_frame(TEXT, text.encode())
                answer = ws.receive_op("error")
                self.assertEqual(answer["id"], id)
                problem = answer["problem"]
                self.assertEqual(problem["type"], "/problems/" + slug)
                self.assertEqual(problem["status"], {"bad-request": 400, "not-found": 404}[slug])
                self.assertTrue(problem["title"] and problem["detail"])
                self.assertEqual(problem.get("pointer"), pointer)
        ws.subscribe()

    def test_subscribe_and_unsubscribe(self):
        ws = self.open()
        ws.subscribe("a", types=["cct.system", "gateway.session"], subjects=["/v1/agents/2001"], agents=["2001"])
        ws.send({"op": "subscribe", "id": "a"})
        self.assertEqual(ws.receive_op("error")["problem"]["pointer"], "/id")
        ws.send({"op": "unsubscribe", "id": "a"})
        self.assertEqual(ws.receive_op("unsubscribed")["id"], "a")
        ws.subscribe("a")
        ws.subscribe('quote " backslash \\ \u20ac \u0001')
        ws.send({"op": "ack", "seq": 5})
        ws.send({"op": "ping", "id": "p"})
        self.assertEqual(ws.receive_op("pong")["seq"], ws.hello["seq"])

    def test_too_many_subscriptions(self):
        ws = self.open()
        for n in range(32):
            ws.subscribe(str(n))
        ws.send({"op": "subscribe", "id": "one more"})
        self.assertEqual(ws.receive_op("error")["problem"]["type"], "/problems/too-many")
        ws.send({"op": "unsubscribe", "id": "7"})
        ws.receive_op("unsubscribed")
        ws.subscribe("one more")

    def snapshot(self, who, **members):
        ws = self.open(who)
        ws.subscribe("s", snapshot=True, **members)
        return ws.snapshot("s")[0]

    def warm(self, who):
        for path in ("/v1/agents", "/v1/terminals", "/v1/addresses", "/v1/calls"):
            self.assertEqual(self.gate.get(path, who).status, 200)

    def test_snapshot_is_what_get_says(self):
        for who in ("supervisor", "agent2001", "agent2002", "both", "operator"):
            with self.subTest(who):
                self.warm(who)
                items = self.snapshot(who)
                expected = {}
                for kind, key in (("agents", "loginId"), ("terminals", "name"), ("addresses", "name"),
                                  ("calls", "contactId")):
                    for item in self.gate.get("/v1/" + kind, who).json["items"]:
                        path = "/v1/%s/%s" % (kind, quote(item[key], safe="-._~"))
                        expected[path] = self.gate.get(path, who).json
                self.assertTrue(expected)
                self.assertEqual(items, expected)

    def test_snapshot_of_subjects(self):
        self.warm("supervisor")
        items = self.snapshot("supervisor", subjects=["/v1/agents/2001", "/v1/terminals"])
        self.assertIn("/v1/agents/2001", items)
        self.assertTrue(all(k == "/v1/agents/2001" or k.startswith("/v1/terminals/") for k in items))
        self.assertGreater(len(items), 1)

    def test_snapshot_of_an_agent(self):
        self.warm("supervisor")
        agent = self.gate.get("/v1/agents/2001").json
        expected = {"/v1/agents/2001"} | {"/v1/terminals/" + quote(t, safe="-._~") for t in agent["terminals"]} | \
            {"/v1/addresses/" + quote(a, safe="-._~") for a in agent["addresses"]}
        self.assertGreater(len(expected), 1)
        self.assertEqual(set(self.snapshot("supervisor", agents=["2001"])), expected)
        self.assertEqual(self.snapshot("supervisor", agents=["no such agent"]), {})
        self.assertEqual(self.snapshot("agent2002", agents=["2001"]), {})

    def test_snapshots_of_many_subscriptions(self):
        self.warm("supervisor")
        ws, seen = self.open(), set()
        for n in range(8):
            ws.send({"op": "subscribe", "id": str(n), "snapshot": True})
        while len(seen) < 8:
            message = ws.receive_op("subscribed", "snapshot")
            if message["op"] == "snapshot" and not message.get("more"):
                seen.add(message["id"])

    def test_gaps(self):
        epoch, seq = int(self.open().hello["epoch"]), self.open().hello["seq"]
        for since, reason in (("%d-%d" % (epoch + 1, seq), "otherEpoch"), ("%d-%d" % (epoch, seq + 1), "future")):
            with self.subTest(reason):
                ws = self.open()
                ws.subscribe("g", since=since)
                self.assertEqual(ws.receive_op("gap"), {"op": "gap", "id": "g", "reason": reason})
                ws.snapshot("g")
        ws = self.open()
        ws.subscribe("g", since="%d-%d" % (epoch, seq))
        ws.send({"op": "ping"})
        ws.receive_op("pong")  # no gap, nothing to replay


class ManyObjects(Case):
    simulator_options = {"agents": 400}
    gateway_options = {"sessions": [{"user": "supervisor", "domain": "CC", "password": {"file": "password"}}],
                       "users": ("supervisor",)}

    def test_snapshot_in_parts(self):
        def page(kind, key):
            def whole():  # a busy machine may not have fetched all of them the first time
                answer = self.gate.get("/v1/%s?limit=1000" % kind)
                self.assertEqual(answer.status, 200)
                return answer if all(item["sync"] == "cached" for item in answer.json["items"]) else None
            answer = eventually(whole, "all of them fetched")
            return ["/v1/%s/%s" % (kind, quote(item[key], safe="-._~")) for item in answer.json["items"]]
        expected = page("agents", "loginId") + page("terminals", "name") + page("addresses", "name")
        self.assertGreater(len(expected), 1000)
        with WebSocket(self.gate.port) as ws:
            ws.subscribe("s", snapshot=True)
            parts, items = 0, []
            while True:
                part = ws.receive_op("snapshot")
                parts += 1
                items += [item["subject"] for item in part["items"]]
                if not part.get("more"):
                    break
            self.assertGreater(parts, 1)
            self.assertEqual(sorted(items), sorted(expected))


class Limits(Case):
    gateway_options = {"events": {"maxClients": 6, "maxClientsPerToken": 4}}

    def test_clients(self):
        open_ones = [WebSocket(self.gate.port, "agent2001") for _ in range(4)]
        with self.assertRaises(Refused) as caught:
            WebSocket(self.gate.port, "agent2001")
        self.assertEqual(caught.exception.status, 429)
        self.assertIn("retry-after", caught.exception.headers)
        with self.assertRaises(Refused) as caught:
            EventStream(self.gate.port, "agent2001")
        self.assertEqual(caught.exception.status, 429)
        open_ones += [WebSocket(self.gate.port, "agent2002") for _ in range(2)]
        with self.assertRaises(Refused) as caught:
            WebSocket(self.gate.port, "supervisor")
        self.assertEqual(caught.exception.status, 503)
        for ws in open_ones:
            ws.sock.close()
        eventually(lambda: self.gate.metric("event_clients") == 0, "all gone")
        WebSocket(self.gate.port, "agent2001").sock.close()


class Heartbeat(Case):
    gateway_options = {"events": {"heartbeatMs": 4000}}

    def test_heartbeat_and_ping(self):
        with WebSocket(self.gate.port) as ws:
            for _ in range(3):
                self.assertEqual(ws.receive_op("heartbeat")["seq"], ws.hello["seq"])
            self.assertGreaterEqual(ws.pings, 2)

    def test_no_pong(self):
        with WebSocket(self.gate.port, answer_pings=False) as ws:
            self.assertEqual(ws.expect_close(), 1008)
            ws.sock.settimeout(harness.BOUND)
            with self.assertRaises(Closed):  # and it cuts the connection of one who does not say goodbye
                while True:
                    ws.receive()


class Reload(Case):
    def reload(self):
        reloads = len(self.gate.child.log("reloaded"))
        self.gate.write()
        self.gate.child.process.send_signal(harness.signal.SIGHUP)
        return reloads

    def test_revoked(self):
        with WebSocket(self.gate.port, "agent2001") as gone, WebSocket(self.gate.port, "agent2002") as stays, \
                EventStream(self.gate.port, "agent2001") as stream:
            before = self.gate.config["tokens"]
            self.gate.config["tokens"] = [t for t in before if t["application"] != "agent2001"]
            try:
                self.reload()
                self.assertEqual(gone.expect_close(), 4401)
                with self.assertRaises(Closed):
                    while True:
                        stream.receive()
                stays.send({"op": "ping"})
                self.assertEqual(stays.receive_op("pong")["op"], "pong")
            finally:
                self.gate.config["tokens"] = before
                self.reload()
                eventually(lambda: self.gate.get("/v1/users", "agent2001").status == 200, "the token is back")

    def sees(self, ws, subject):
        ws.subscribe("after", snapshot=True)
        subjects = ws.snapshot("after")[0]
        ws.send({"op": "unsubscribe", "id": "after"})
        ws.receive_op("unsubscribed")
        return subject in subjects

    def test_other_users(self):
        """A token whose users change goes on with the new ones."""
        ws = WebSocket(self.gate.port, "agent2002")
        self.addCleanup(ws.sock.close)
        for path in ("/v1/agents", "/v1/terminals"):
            self.gate.get(path, "agent2001")
        ws.subscribe("before", snapshot=True)
        self.assertNotIn("/v1/agents/2001", ws.snapshot("before")[0])
        token = next(t for t in self.gate.config["tokens"] if t["application"] == "agent2002")
        token["users"] = ["agent2001"]
        try:
            self.reload()
            eventually(lambda: self.gate.get("/v1/agents/2001", "agent2002").status == 200, "the new policy")
            eventually(lambda: self.sees(ws, "/v1/agents/2001"), "on its front, too")
        finally:
            token["users"] = ["agent2002"]
            self.reload()


class Sse(Case):
    gateway_options = {"events": {"heartbeatMs": 300, "origins": ["https://desk.example"]}}

    def refused(self, status, **options):
        with self.assertRaises(Refused) as caught:
            EventStream(self.gate.port, **options)
        self.assertEqual(caught.exception.status, status, caught.exception)
        return caught.exception

    def test_hello(self):
        with EventStream(self.gate.port) as stream:
            self.assertEqual(stream.headers["content-type"], "text/event-stream")
            self.assertEqual(stream.headers["cache-control"], "no-store")
            hello = stream.receive_event("hello")
            data = json.loads(hello["data"])
            self.assertEqual(hello["id"], "%s-%d" % (data["epoch"], data["seq"]))
            self.assertTrue(int(hello["retry"]) > 0)

    def test_heartbeat(self):
        with EventStream(self.gate.port) as stream:
            place = stream.receive_event("hello")["id"]
            for _ in range(3):
                self.assertEqual(stream.receive(), {"": "heartbeat", "id": place})

    def test_snapshot(self):
        for path in ("/v1/agents", "/v1/terminals", "/v1/addresses"):
            self.gate.get(path, "agent2001")
        with EventStream(self.gate.port, "agent2001", "?snapshot=true&subjects=/v1/agents,/v1/calls") as stream:
            self.assertNotIn("id", stream.receive_event("hello"))
            snapshot = stream.receive_event("snapshot")
            items = json.loads(snapshot["data"])["items"]
            self.assertEqual([i["subject"] for i in items], ["/v1/agents/2001"])
            self.assertEqual(items[0]["data"], self.gate.get("/v1/agents/2001", "agent2001").json)
            self.assertRegex(snapshot["id"], r"^\d+-\d+$")

    def test_gap(self):
        for options in ({"query": "?since=1-999999"}, {"headers": {"Last-Event-ID": "1-999999"}},
                        {"query": "?since=1-0", "headers": {"Last-Event-ID": "1-999999"}}):
            with self.subTest(options), EventStream(self.gate.port, **options) as stream:
                stream.receive_event("hello")
                self.assertIn(json.loads(stream.receive_event("gap")["data"])["reason"], ("future", "otherEpoch"))
                stream.receive_event("snapshot")

    def test_refusals(self):
        for query in ("?types=cct.nothing", "?subjects=agents", "?since=x", "?snapshot=1", "?color=red", "?agents=%zz",
                      "?agents=%00"):
            with self.subTest(query):
                self.refused(400, query=query)
        self.refused(400, headers={"Last-Event-ID": "yesterday"})
        self.refused(401, who=None)
        self.refused(401, who=None, headers={"Authorization": "Bearer nobody"})
        self.refused(403, headers={"Origin": "https://evil.example"})

    def test_filters(self):
        with EventStream(self.gate.port, query="?types=cct.system,gateway.session&agents=2001,20%2C02&subjects=/v1/agents/2001") as s:
            s.receive_event("hello")

    def test_ticket(self):
        ticket = exchange(self.gate.port, "POST", "/v1/events/ticket", bearer("supervisor")).json["ticket"]
        with EventStream(self.gate.port, who=None, query="?types=cct.system&ticket=" + ticket) as stream:
            stream.receive_event("hello")
        self.refused(401, who=None, query="?ticket=" + ticket)

    def test_cors(self):
        origin = {"Origin": "https://desk.example"}
        with EventStream(self.gate.port, headers=origin) as stream:
            self.assertEqual(stream.headers["access-control-allow-origin"], "https://desk.example")
            self.assertEqual(stream.headers["vary"], "Origin")
        answer = exchange(self.gate.port, "OPTIONS", "/v1/events", dict(origin, **{"Access-Control-Request-Method": "GET"}))
        self.assertEqual(answer.status, 204)
        self.assertEqual(answer.headers["access-control-allow-origin"], "https://desk.example")
        self.assertIn("authorization", answer.headers["access-control-allow-headers"])
        self.assertNotIn("content-length", answer.headers)
        self.assert_problem(exchange(self.gate.port, "OPTIONS", "/v1/events", {"Origin": "https://evil.example"}), 403)
        answer = exchange(self.gate.port, "OPTIONS", "/v1/events/ticket", origin)
        self.assertEqual(answer.status, 204)
        answer = exchange(self.gate.port, "POST", "/v1/events/ticket", dict(bearer("supervisor"), **origin))
        self.assertEqual(answer.headers["access-control-allow-origin"], "https://desk.example")
        answer = self.gate.get("/v1/agents", headers=origin)
        self.assertEqual(answer.headers["access-control-allow-origin"], "https://desk.example")
        self.assertNotIn("access-control-allow-origin", exchange(self.gate.port, "GET", "/healthz", origin).headers)

    def test_a_client_that_goes(self):
        stream = EventStream(self.gate.port)
        stream.receive_event("hello")
        stream.sock.close()
        eventually(lambda: self.gate.metric("event_clients") == 0, "gone")


class Tls(unittest.TestCase):
    def test_tls(self):
        directory = tempfile.mkdtemp(prefix="cctgate-test-")
        key, certificate = os.path.join(directory, "key.pem"), os.path.join(directory, "certificate.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=localhost"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sim = harness.Simulator()
        gate = harness.Gateway(sim, listen=[
            {"address": "127.0.0.1", "port": 0},
            {"address": "127.0.0.1", "port": 0, "tls": {"certificateFile": certificate, "keyFile": key}}])
        try:
            port = gate.child.log("listening")[1]["port"]
            for path in ("/v1/agents", "/v1/terminals", "/v1/addresses"):
                gate.get(path)
            sockets = [WebSocket(port, wrap=context.wrap_socket) for _ in range(10)]
            for n, ws in enumerate(sockets):
                ws.subscribe("s", snapshot=True)
                self.assertIn("/v1/agents/2001", ws.snapshot("s")[0])
                text = json.dumps({"op": "ping", "id": str(n)})
                ws.send_frame(TEXT, text.encode() + b" " * (65536 - len(text)))
                self.assertEqual(ws.receive_op("pong")["id"], str(n))
            for ws in sockets[:5]:
                self.assertEqual(ws.close(), 1000)
            for ws in sockets[5:]:
                ws.sock.close()
            eventually(lambda: gate.metric("event_clients") == 0, "all have gone")
        finally:
            gate.stop()
            sim.stop()
            shutil.rmtree(directory, ignore_errors=True)


class Stop(unittest.TestCase):
    def test_shutdown(self):
        sim = harness.Simulator()
        gate = harness.Gateway(sim)
        try:
            sockets = [WebSocket(gate.port) for _ in range(8)]
            stream = EventStream(gate.port)
            stream.receive_event("hello")
            started = time.monotonic()
            gate.child.process.send_signal(harness.signal.SIGTERM)
            for ws in sockets:
                self.assertEqual(ws.expect_close(), 1012)
            with self.assertRaises(Closed):
                while True:
                    stream.receive()
            gate.child.process.wait(30)
            self.assertLess(time.monotonic() - started, 20)
        finally:
            gate.stop()
            sim.stop()


if __name__ == "__main__":
    harness.main()
