"""Clients that are slow, silent or want too much: each is ended, and nobody else waits for them."""
import http.client
import json
import os
import resource
import signal
import socket
import struct
import unittest

import harness
from harness import Case, Gateway, Simulator, eventually, exchange
from websocket import WebSocket

HEAD = b"GET /v1/agents/2001 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer supervisor-token\r\n"
GET = HEAD + b"\r\n"
POST = b"POST /v1/services/UserService/GetAgents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer supervisor-token\r\n" \
       b"Content-Type: application/json\r\n"


def connect(gate):
    return socket.create_connection(("127.0.0.1", gate.port), timeout=harness.BOUND)


def rest(sock):
    """What comes until the peer closes."""
    received = b""
    try:
        while piece := sock.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def is_closed(sock):
    """Whether the peer has closed; what it sent is thrown away."""
    sock.setblocking(False)
    try:
        while sock.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


class Slow(Case):
    gateway_options = {"limits": {"headTimeoutMs": 500, "requestTimeoutMs": 1500, "idleTimeoutMs": 2500}}

    def assert_timeout(self, sock):
        answer = rest(sock)
        self.assertTrue(answer.startswith(b"HTTP/1.1 408 "), answer)
        head, body = answer.split(b"\r\n\r\n", 1)
        self.assertIn(b"application/problem+json", head)
        self.assertIn(b"\r\nConnection: close", head)
        self.assertEqual(json.loads(body)["type"], "/problems/request-timeout")

    def drip(self, sock, data):
        """Sends one byte after the other until the peer ends it."""
        sent = 0
        try:
            while not self.has_answer(sock):
                sock.sendall(data[sent:sent + 1] or b"x")
                sent += 1
        except OSError:
            pass
        return sent

    def has_answer(self, sock):
        sock.settimeout(0.05)
        try:
            return bool(sock.recv(1, socket.MSG_PEEK)) or True
        except (TimeoutError, socket.timeout):
            return False
        finally:
            sock.settimeout(harness.BOUND)

    def test_a_silent_connection(self):
        with connect(self.gate) as sock:
            self.assertEqual(rest(sock), b"")

    def test_more_silent_ones_than_one_turn_ends(self):
        held = [connect(self.gate) for _ in range(200)]
        for sock in held:
            with sock:
                self.assertEqual(rest(sock), b"")

    def test_half_a_head(self):
        before = self.gate.metric("connections_timed_out_total")
        with connect(self.gate) as sock:
            sock.sendall(HEAD)
            self.assert_timeout(sock)
        self.assertGreater(self.gate.metric("connections_timed_out_total"), before)

    def test_a_head_that_drips(self):
        with connect(self.gate) as sock:
            self.drip(sock, HEAD + b"X-Name: ")
            self.assert_timeout(sock)

    def test_half_a_head_behind_an_answer(self):
        with connect(self.gate) as sock:
            sock.sendall(GET)
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            answer.read()
            sock.sendall(HEAD)
            self.assert_timeout(sock)

    def test_half_a_body(self):
        for head, part in ((b"Content-Length: 100\r\n\r\n", b"{"), (b"Transfer-Encoding: chunked\r\n\r\n", b"10\r\n{")):
            with self.subTest(head), connect(self.gate) as sock:
                sock.sendall(POST + head + part)
                self.assert_timeout(sock)

    def test_a_body_that_drips(self):
        with connect(self.gate) as sock:
            sock.sendall(POST + b"Content-Length: 100000\r\n\r\n")
            self.drip(sock, b"{")
            self.assert_timeout(sock)

    def test_a_connection_that_asks_no_more(self):
        with connect(self.gate) as sock:
            sock.sendall(GET)
            self.assertTrue(rest(sock).startswith(b"HTTP/1.1 200 "))

    def test_who_does_not_read(self):
        """The answers fill all buffers; what cannot be written in time is given up, with the connection."""
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.connect(("127.0.0.1", self.gate.port))
            before = self.gate.metric("connections_timed_out_total")
            sock.setblocking(False)
            def is_given_up():
                try:
                    sock.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
                except BlockingIOError:
                    pass
                except OSError:
                    return True
                return self.gate.metric("connections_timed_out_total") > before
            eventually(is_given_up, "given up")

    def test_a_slow_request_is_no_slow_client(self):
        """What the contact centre needs is not counted as the client's time."""
        self.sim.latency(2600)
        response = self.gate.get("/v1/agents/2001", headers={"Cache-Control": "no-cache"})
        self.assertIn(response.status, (200, 504))
        self.sim.latency(0)

    def test_a_stream_may_be_silent(self):
        with WebSocket(self.gate.port) as ws:
            with connect(self.gate) as sock:
                rest(sock)  # longer than a head may take
            with connect(self.gate) as sock:
                sock.sendall(GET)
                rest(sock)  # longer than a connection may be idle
            ws.send({"op": "ping"})
            ws.receive_op("pong")


class Endless(Case):
    def lingers(self, sock, data):
        """Sends without end until the peer has none of it; the answer."""
        sock.setblocking(False)
        received = [b""]
        def is_over():
            try:
                for _ in range(64):
                    sock.send(data)
            except BlockingIOError:
                pass
            except OSError:
                return True
            try:
                while piece := sock.recv(65536):
                    received[0] += piece
            except BlockingIOError:
                return False
            except OSError:
                return True
            return bool(received[0])
        eventually(is_over, "refused")
        return received[0]

    def test_head(self):
        with connect(self.gate) as sock:
            sock.sendall(HEAD)
            self.assertTrue(self.lingers(sock, b"X-Name: " + b"y" * 1000 + b"\r\n").startswith(b"HTTP/1.1 431 "))

    def test_body(self):
        with connect(self.gate) as sock:
            sock.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
            self.assertTrue(self.lingers(sock, b"1000\r\n" + b" " * 4096 + b"\r\n").startswith(b"HTTP/1.1 413 "))

    def test_requests_at_once(self):
        """A few may come in advance; of a thousand the first is answered, and the connection ends."""
        for count, answered in ((10, 10), (1000, None)):
            with connect(self.gate) as sock:
                sock.sendall((GET * count)[:-2] + b"Connection: close\r\n\r\n")
                answers = rest(sock).count(b"HTTP/1.1 200 ")
                self.assertGreaterEqual(answers, 1)
                if answered:
                    self.assertEqual(answers, answered)
                else:
                    self.assertLess(answers, count)

    def test_pings(self):
        for kind in (0x89, 0x8a):
            with self.subTest(kind), WebSocket(self.gate.port) as ws:
                    self.flood(ws, struct.pack("!BBI", kind, 0x80, 0), b"too many control frames")

    def test_messages(self):
        with WebSocket(self.gate.port) as ws:
            self.flood(ws, struct.pack("!BBI", 0x81, 0x82, 0) + b"{}", b"too many messages")

    def flood(self, ws, frame, reason):
        sock = ws.sock
        sock.setblocking(False)
        received = [b""]
        def is_closed_for_it():
            try:
                for _ in range(100):
                    sock.send(frame * 1000)
            except BlockingIOError:
                pass
            except OSError:
                pass
            try:
                while piece := sock.recv(65536):
                    received[0] = received[0][-1000:] + piece
                return True
            except BlockingIOError:
                return reason in received[0]
            except OSError:
                return True
        eventually(is_closed_for_it, "closed")
        self.assertIn(reason, received[0])  # told so, for it is not read any more rather than reset
        self.assertEqual(self.gate.get("/v1/agents/2001").status, 200)


class Many(Case):
    gateway_options = {"threads": 1, "limits": {"maxConnections": 40, "idleTimeoutMs": 600000, "headTimeoutMs": 600000}}

    def test_who_asks_gets_in(self):
        """The silent and the idle go first, the oldest of them; streams stay."""
        with WebSocket(self.gate.port) as ws:
            for first in (b"", GET):
                with self.subTest(idle=bool(first)):
                    held = []
                    for _ in range(150):
                        sock = connect(self.gate)
                        sock.sendall(first)
                        held.append(sock)
                    self.assertEqual(exchange(self.gate.port, "GET", "/healthz").status, 200)
                    eventually(lambda: sum(not is_closed(s) for s in held) <= 40, "the oldest are closed")
                    for sock in held:
                        sock.close()
            self.assertGreater(self.gate.metric("connections_evicted_total"), 0)
            ws.send({"op": "ping"})
            ws.receive_op("pong")

    def hold(self, number):
        """So many idle connections, when there is no other one."""
        eventually(lambda: self.gate.metric("connections_open") == 1, "all others have gone")
        held = []
        for _ in range(number):
            sock = connect(self.gate)
            self.addCleanup(sock.close)
            sock.sendall(GET)
            self.assertTrue(sock.recv(1))
            held.append(sock)
        return held

    def assert_answered(self, sock):
        self.assertTrue(sock.recv(12).startswith(b"HTTP/1.1 200"))

    def test_who_takes_the_last_place_may_ask(self):
        """Nobody has to go for a client that there is room for, the least of all that client."""
        held = self.hold(39)
        with connect(self.gate) as last:
            eventually(lambda: self.has_accepted(last), "it is accepted")
            last.sendall(GET)
            self.assert_answered(last)
        self.assertEqual(sum(is_closed(s) for s in held), 0)

    def test_who_has_asked_is_not_silent(self):
        """There is one place for two that ask at once: an idle one goes, neither of them."""
        self.hold(39)
        self.gate.child.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.gate.child.process.pid, os.WSTOPPED)  # all of its threads
        try:
            both = [connect(self.gate), connect(self.gate)]
            for sock in both:
                self.addCleanup(sock.close)
                sock.sendall(GET)
        finally:
            self.gate.child.process.send_signal(signal.SIGCONT)
        for sock in both:
            self.assert_answered(sock)

    def test_who_comes_when_all_are_busy(self):
        """Nobody can go at that time; as soon as they idle, somebody does."""
        held = self.hold(40)
        self.sim.latency(2000)
        self.addCleanup(self.sim.latency, 0)
        for sock in held:
            sock.sendall(HEAD + b"Cache-Control: no-cache\r\n\r\n")
        for sock in held:
            eventually(lambda sock=sock: self.has_read(sock), "the request is read")
        with connect(self.gate) as late:
            late.sendall(GET)
            self.assert_answered(late)

    def rows_of(self, sock):
        """What the kernel tells of the gateway's end of a connection (proc(5), /proc/net/tcp)."""
        ports = ":%04X" % self.gate.port, ":%04X" % sock.getsockname()[1]
        with open("/proc/net/tcp", encoding="ascii") as table:
            rows = [line.split() for line in table]
        return [row for row in rows if row[1].endswith(ports[0]) and row[2].endswith(ports[1])]

    def has_read(self, sock):
        return all(row[4].endswith(":00000000") for row in self.rows_of(sock))

    def has_accepted(self, sock):
        sockets = ["socket:[%s]" % row[9] for row in self.rows_of(sock)]
        directory = "/proc/%d/fd" % self.gate.child.process.pid
        for number in os.listdir(directory):
            try:
                if os.readlink(os.path.join(directory, number)) in sockets:
                    return True
            except FileNotFoundError:  # closed meanwhile
                pass
        return False


class PerAddress(Case):
    gateway_options = {"limits": {"maxConnectionsPerAddress": 10}}

    def held(self):
        """A connection that has been answered and stays; None if it was refused."""
        sock = connect(self.gate)
        try:
            sock.sendall(GET)
            if sock.recv(1):
                return sock
        except OSError:
            pass
        sock.close()
        return None

    def counted(self):
        try:
            return self.gate.metric("connections_refused_total") > 10
        except (OSError, http.client.HTTPException):  # there is no room for this one yet
            return False

    def test_one_address_has_as_many_as_it_may(self):
        # who asked whether the gateway is up has hung up, and may be counted a moment longer
        held = [eventually(self.held, "room") for _ in range(10)]
        for _ in range(10):
            self.assertIsNone(self.held())
        held.pop().close()
        held.append(eventually(self.held, "room again"))
        self.assertIsNone(self.held())
        for sock in held:
            sock.close()
        eventually(self.counted, "counted")


class Descriptors(unittest.TestCase):
    def test_none_left(self):
        """The listener rests, the silent are closed, and then it goes on."""
        sim = Simulator()
        gate = Gateway(sim, threads=1, limits={"maxConnections": 10000, "headTimeoutMs": 600000})
        limit = len(os.listdir("/proc/%d/fd" % gate.child.process.pid)) + 20
        hard = resource.prlimit(gate.child.process.pid, resource.RLIMIT_NOFILE)[1]
        held = []
        try:
            resource.prlimit(gate.child.process.pid, resource.RLIMIT_NOFILE, (limit, hard))
            held = [connect(gate) for _ in range(100)]
            self.assertEqual(exchange(gate.port, "GET", "/healthz").status, 200)
            self.assertGreater(gate.metric("connections_evicted_total"), 0)
        finally:
            resource.prlimit(gate.child.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
            for sock in held:
                sock.close()
            gate.stop()
            sim.stop()


if __name__ == "__main__":
    harness.main()
