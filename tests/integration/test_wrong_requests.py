"""Every wrong request gets the right status and a problem document, and none of them reaches the upstream."""
import http.client
import socket

import harness
from harness import Case, bearer, exchange, raw

AGENT = "/v1/agents/2001"
LONG = "a" * 3000

# name, method, path, headers (None: no token), body, status
ROWS = [
    ("no token", "GET", AGENT, {}, None, 401),
    ("unknown token", "GET", AGENT, {"Authorization": "Bearer nobody"}, None, 401),
    ("empty token", "GET", AGENT, {"Authorization": "Bearer "}, None, 401),
    ("other scheme", "GET", AGENT, {"Authorization": "Basic c3VwZXJ2aXNvcjo="}, None, 401),
    ("token in the query", "GET", AGENT + "?access_token=supervisor-token", {}, None, 401),
    ("a hash instead of the token", "GET", AGENT, {"Authorization": "Bearer " + "0" * 64}, None, 401),
    ("a token longer than any", "GET", AGENT, {"Authorization": "Bearer " + "x" * 5000}, None, 401),
    ("a role that may not read", "GET", AGENT, bearer("campaigner"), None, 403),
    ("a user that is not the token's", "GET", AGENT, dict(bearer("agent2001"), **{"CCT-User": "agent2002"}), None, 403),
    ("no such path", "GET", "/v1/nothing", bearer("supervisor"), None, 404),
    ("no such version", "GET", "/v2/agents", bearer("supervisor"), None, 404),
    ("a path too deep", "GET", AGENT + "/capabilities/more", bearer("supervisor"), None, 404),
    ("trailing slash", "GET", AGENT + "/", bearer("supervisor"), None, 404),
    ("empty id", "GET", "/v1/agents//capabilities", bearer("supervisor"), None, 404),
    ("no such object", "GET", "/v1/agents/9999999", bearer("supervisor"), None, 404),
    ("an id longer than any", "GET", "/v1/agents/" + "9" * 400, bearer("supervisor"), None, 404),
    ("POST", "POST", AGENT, bearer("supervisor"), "{}", 405),
    ("PUT", "PUT", AGENT, bearer("supervisor"), "{}", 405),
    ("DELETE", "DELETE", "/v1/calls", bearer("supervisor"), None, 405),
    ("a method of no protocol", "BREW", AGENT, bearer("supervisor"), None, 405),
    ("method in lower case", "get", AGENT, bearer("supervisor"), None, 405),
    ("a body where none belongs", "GET", AGENT, bearer("supervisor"), "{}", 400),
    ("a query where none belongs", "GET", AGENT + "?verbose=1", bearer("supervisor"), None, 400),
    ("limit 0", "GET", "/v1/agents?limit=0", bearer("supervisor"), None, 400),
    ("limit too large", "GET", "/v1/agents?limit=1001", bearer("supervisor"), None, 400),
    ("limit no number", "GET", "/v1/agents?limit=ten", bearer("supervisor"), None, 400),
    ("limit negative", "GET", "/v1/agents?limit=-1", bearer("supervisor"), None, 400),
    ("limit overflow", "GET", "/v1/agents?limit=4294967297", bearer("supervisor"), None, 400),
    ("after broken", "GET", "/v1/agents?after=%zz", bearer("supervisor"), None, 400),
    ("unknown parameter", "GET", "/v1/agents?offset=5", bearer("supervisor"), None, 400),
    ("broken escape", "GET", "/v1/agents/%2", bearer("supervisor"), None, 400),
    ("no UTF-8", "GET", "/v1/agents/%ff%fe", bearer("supervisor"), None, 400),
    ("overlong UTF-8", "GET", "/v1/agents/%c0%af", bearer("supervisor"), None, 400),
    ("NUL", "GET", "/v1/agents/%00", bearer("supervisor"), None, 400),
    ("control character", "GET", "/v1/agents/%0d%0a", bearer("supervisor"), None, 400),
    ("me with several users", "GET", "/v1/users/me", bearer("both"), None, 400),
    ("only HTML wanted", "GET", AGENT, dict(bearer("supervisor"), Accept="text/html"), None, 406),
    ("a target too long", "GET", "/v1/agents/" + LONG, bearer("supervisor"), None, 414),
    ("a body too large", "POST", AGENT, bearer("supervisor"), "x" * (2 * 1024 * 1024), 413),
]

OK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
GET = b"GET /v1/agents/2001 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer supervisor-token\r\n"

# name, bytes, status: heads that the HTTP library understands, and refuses or leaves to the gateway to refuse
HEADS = [
    ("a length that is no number", GET + b"Content-Length: x\r\n\r\n", 400),
    ("a negative length", GET + b"Content-Length: -1\r\n\r\n", 400),
    ("a transfer coding of no protocol", GET + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    ("chunks of no length", GET + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ("a chunk longer than any", GET + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n", 400),
    ("a length beyond the limit", GET + b"Content-Length: 99999999\r\n\r\n", 413),
    ("an expectation of no protocol", GET + b"Expect: y\r\nContent-Length: 4\r\n\r\nabcd", 417),
    ("a target that is no path", b"GET nothing HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("the server as a target", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a tunnel", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
]

# name, bytes: heads that the HTTP library cannot parse. It writes its answer, a 400 in text/plain, to the socket by itself, where no
# filter sees it.
UNPARSED = [
    ("a header line without colon", GET + b"nocolon\r\n\r\n"),
    ("a header without name", GET + b": x\r\n\r\n"),
    ("a space before the colon", GET + b"X-Name : x\r\n\r\n"),
    ("NUL in a header", GET + b"X-Name: \0x\r\n\r\n"),
    ("NUL in the target", b"GET /v1/agents/20\x0001 HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("more headers than any", GET + b"".join(b"X-%d: y\r\n" % n for n in range(120)) + b"\r\n"),
    ("two spaces", b"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("a method alone", b"GET\r\n\r\n"),
    ("a version of no protocol", b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n"),
    ("HTTP/2 with prior knowledge", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
    ("TLS on a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40),
]


def closed_after(port, data):
    """The answers to `data` on one connection, which the server has to close after them."""
    with socket.create_connection(("127.0.0.1", port), timeout=harness.BOUND) as sock:
        sock.sendall(data)
        received = b""
        while piece := sock.recv(65536):
            received += piece
        return received


class WrongRequests(Case):
    def test_table(self):
        before = None
        for name, method, path, headers, body, status in ROWS:
            with self.subTest(name):
                self.gate.get("/v1/users/supervisor")
                before = self.sim.counters()["total"]
                try:
                    response = exchange(self.gate.port, method, path, headers, body)
                except (BrokenPipeError, ConnectionResetError):
                    self.assertEqual(status, 413)  # refused while the body was still being sent
                    continue
                self.assert_problem(response, status)
                self.assertEqual(self.sim.counters()["total"], before)

    def test_heads(self):
        for name, data, status in HEADS:
            with self.subTest(name):
                before = self.sim.counters()["total"]
                with socket.create_connection(("127.0.0.1", self.gate.port), timeout=harness.BOUND) as sock:
                    sock.sendall(data)
                    answer = http.client.HTTPResponse(sock)
                    answer.begin()
                    response = harness.Response(answer.status, answer.getheaders(), answer.read())
                self.assert_problem(response, status)
                self.assertEqual(self.sim.counters()["total"], before)

    def test_heads_that_cannot_be_parsed(self):
        for name, data in UNPARSED:
            for first in (b"", OK):  # on a new connection, and on one that has served
                with self.subTest(name, kept=bool(first)):
                    before = self.sim.counters()["total"]
                    answers = closed_after(self.gate.port, first + data)
                    self.assertEqual(answers.count(b"HTTP/1.1 200 "), 1 if first else 0, answers)
                    answer = answers[answers.index(b"HTTP/1.1 400 "):]
                    head, body = answer.split(b"\r\n\r\n", 1)
                    self.assertIn(b"\r\nconnection: close\r\n", head.lower() + b"\r\n")
                    self.assertIn(b"\r\ncontent-length: %d\r\n" % len(body), head.lower() + b"\r\n")
                    self.assertEqual(self.sim.counters()["total"], before)
        self.assertEqual(self.gate.get("/v1/users").status, 200)

    def test_401_says_how(self):
        response = exchange(self.gate.port, "GET", AGENT)
        self.assertIn("Bearer", response.headers["www-authenticate"])

    def test_405_says_which(self):
        response = exchange(self.gate.port, "PATCH", AGENT, bearer("supervisor"))
        self.assertEqual(response.headers["allow"], "GET, HEAD")

    def test_two_tokens(self):
        answer = raw(self.gate.port, b"GET /v1/agents/2001 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer supervisor-token\r\n"
                     b"Authorization: Bearer agent-2001-token\r\nConnection: close\r\n\r\n")
        self.assertIn(b" 401 ", answer.split(b"\r\n")[0])

    def test_not_http(self):
        for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"\r\n\r\nnonsense nonsense\r\n\r\n",
                     b"GET /v1/agents HTTP/9.9\r\n\r\n"):
            answer = raw(self.gate.port, data + b"\r\n\r\n", timeout=5) if data else b""
            self.assertNotIn(b" 200 ", answer.split(b"\r\n")[0])
        self.assertEqual(self.gate.get("/v1/users").status, 200)

    def test_http2_is_shut(self):
        answer = raw(self.gate.port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        self.assertNotIn(b"\x00\x00", answer[:3])
        answer = raw(self.gate.port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                     b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200"), answer[:80])

    def test_headers_too_large(self):
        answer = raw(self.gate.port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" +
                     b"".join(b"X-%d: %s\r\n" % (i, b"y" * 5000) for i in range(99)) + b"\r\n")
        self.assertNotIn(b" 200 ", answer.split(b"\r\n")[0])
        self.assertEqual(exchange(self.gate.port, "GET", "/healthz").status, 200)

    def test_problem_types_are_described(self):
        for path in ("/v1/agents/9999999", "/v1/agents?limit=0"):
            kind = self.gate.get(path).json["type"]
            self.assertIn("meaning", exchange(self.gate.port, "GET", kind).json)


if __name__ == "__main__":
    harness.main()
