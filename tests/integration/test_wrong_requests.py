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
CHUNKED = GET + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

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

# name, bytes, status: what is no head at all, or one that can be read in two ways. The connection ends with the answer.
UNPARSED = [
    ("a header line without colon", GET + b"nocolon\r\n\r\n", 400),
    ("a header without name", GET + b": x\r\n\r\n", 400),
    ("a space before the colon", GET + b"X-Name : x\r\n\r\n", 400),
    ("a coding with a space before the colon", GET + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ("NUL in a header", GET + b"X-Name: \0x\r\n\r\n", 400),
    ("CR in a header", GET + b"X-Name: a\rX-Other: b\r\n\r\n", 400),
    ("NUL in the target", b"GET /v1/agents/20\x0001 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("more headers than any", GET + b"".join(b"X-%d: y\r\n" % n for n in range(120)) + b"\r\n", 431),
    ("a head longer than any", GET + b"X-Name: " + b"y" * 40000 + b"\r\n\r\n", 431),
    ("a head without end", GET + b"X-Name: " + b"y" * 40000, 431),
    ("two spaces", b"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a method alone", b"GET\r\n\r\n", 400),
    ("a version of no protocol", b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n", 400),
    ("HTTP/0.9", b"GET /healthz\r\n\r\n", 400),
    ("HTTP/2 with prior knowledge", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", 400),
    ("TLS on a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40, 400),
    ("a line that ends in LF", b"GET /healthz HTTP/1.1\r\nHost: x\nX-Name: y\r\n\r\n", 400),
    ("lines that end in LF", b"GET /healthz HTTP/1.1\nHost: x\n\n", 400),
    ("a folded line", GET + b"X-Name: y\r\n folded\r\n\r\n", 400),
    ("no Host", b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    ("Host twice", GET + b"Host: y\r\n\r\n", 400),
    ("a Host with a path", b"GET /healthz HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
    ("a Host with a user", b"GET /healthz HTTP/1.1\r\nHost: x@y\r\n\r\n", 400),
    ("a Host of two words", b"GET /healthz HTTP/1.1\r\nHost: x y\r\n\r\n", 400),
    ("a length twice", GET + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n", 400),
    ("a length and a coding", GET + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("a coding twice", GET + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("a coding in HTTP/1.0", b"GET /healthz HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("a list of lengths", GET + b"Content-Length: 0, 0\r\n\r\n", 400),
    ("a length with a sign", GET + b"Content-Length: +0\r\n\r\n", 400),
    ("a length in hexadecimal", GET + b"Content-Length: 0x0\r\n\r\n", 400),
    ("a length beyond 64 bits", GET + b"Content-Length: 18446744073709551617\r\n\r\n", 400),
    ("no length in a length", GET + b"Content-Length:\r\n\r\n", 400),
    ("a coding of another name", GET + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("two codings", GET + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    ("a coding and its own", GET + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", 400),
    ("a chunk size beyond 64 bits", CHUNKED + b"10000000000000000\r\n", 400),
    ("a chunk extension", CHUNKED + b"0;x=y\r\n\r\n", 400),
    ("a chunk size with a sign", CHUNKED + b"-1\r\n\r\n", 400),
    ("a chunk size with a prefix", CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n", 400),
    ("a chunk size before a space", CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n", 400),
    ("a chunk size before LF", CHUNKED + b"2\n{}\r\n0\r\n\r\n", 400),
    ("more in a chunk than its size", CHUNKED + b"2\r\n{}garbage\r\n0\r\n\r\n", 400),
    ("a chunk before LF", CHUNKED + b"2\r\n{}\n0\r\n\r\n", 400),
    ("a folded trailer", CHUNKED + b"0\r\n x: y\r\n\r\n", 400),
    ("trailers longer than any", CHUNKED + b"0\r\nx: " + b"y" * 5000 + b"\r\n\r\n", 400),
]


def closed_after(port, data, first=b""):
    """The answers to `first` and `data` on one connection, which the server has to close after them."""
    with socket.create_connection(("127.0.0.1", port), timeout=harness.BOUND) as sock:
        received = b""
        if first and len(data) > 8000:  # more than may come in advance
            sock.sendall(first)
            while not received.endswith(b"}"):
                received += sock.recv(65536)
            first = b""
        sock.sendall(first + data)
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
                response = exchange(self.gate.port, method, path, headers, body)
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
        for name, data, status in UNPARSED:
            for first in (b"", OK):  # on a new connection, and on one that has served
                with self.subTest(name, kept=bool(first)):
                    before = self.sim.counters()["total"]
                    answers = closed_after(self.gate.port, data, first)
                    self.assertEqual(answers.count(b"HTTP/1.1 200 "), 1 if first else 0, answers)
                    self.assertEqual(answers.count(b"HTTP/1.1 "), 2 if first else 1, answers)
                    head, body = answers[answers.index(b"HTTP/1.1 %d " % status):].split(b"\r\n\r\n", 1)
                    fields = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")[1:]]
                    response = self.assert_problem(harness.Response(status, fields, body), status)
                    self.assertEqual(response.headers["connection"], "close")
                    self.assertEqual(int(response.headers["content-length"]), len(body))
                    self.assertEqual(self.sim.counters()["total"], before)
        self.assertEqual(self.gate.get("/v1/users").status, 200)

    def test_an_empty_line_before_a_request(self):  # RFC 9112 section 2.2
        self.assertTrue(raw(self.gate.port, b"\r\n" + OK).startswith(b"HTTP/1.1 200 "))

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
        data = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 5000) for i in range(99)) + b"\r\n"
        self.assertTrue(closed_after(self.gate.port, data).startswith(b"HTTP/1.1 431 "))  # however much is still being sent
        self.assertEqual(exchange(self.gate.port, "GET", "/healthz").status, 200)

    def test_problem_types_are_described(self):
        for path in ("/v1/agents/9999999", "/v1/agents?limit=0"):
            kind = self.gate.get(path).json["type"]
            self.assertIn("meaning", exchange(self.gate.port, "GET", kind).json)


if __name__ == "__main__":
    harness.main()
