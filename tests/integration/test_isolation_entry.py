"""Who comes in, and what a door gives away: authentication, bounds on what one client may use, and what is shut by default.

Bounds that have tests of their own are not repeated here: connections, slow and endless clients (test_hostile_clients), heads, bodies and
request smuggling (test_wrong_requests), rates (test_rates), streams and their queues (test_websocket, test_resume), origins
(test_origins), HTTP/2 and TLS (test_wrong_requests, test_tls), a ticket's time and number (tests/unit/test_events_message)."""
import base64
import hashlib
import hmac
import json
import os
import re
import signal
import socket
import threading
import time

import harness
from commanding import Speaker, call_command, control_of
from guarding import Guarded, concrete, kind_of, parameters, problem_of, routes, sign_on
from harness import BOUND, PASSWORD, Response, bearer, eventually, exchange, raw
from test_isolation_roles import PUBLIC
from websocket import Refused, WebSocket


def ask(connection, method, path, fields=(), body=None):
    """A request with fields in any number and order."""
    connection.putrequest(method, path)
    for name, value in fields:
        connection.putheader(name, value)
    if body is not None or method in ("POST", "PUT", "PATCH"):
        body = (body or "").encode()
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
    answer = connection.getresponse()
    return Response(answer.status, answer.getheaders(), answer.read())


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Forger:
    """JSON Web Tokens that are wrong in one way each."""

    def __init__(self, identities, url):
        self.provider = identities.provider
        self.provider.add("stolen")  # a key that is not published
        self.url = url

    def claims(self, **more):
        claims = {"iss": "https://id.example", "aud": "cctgate", "exp": time.time() + 3600, "azp": "desk", "sub": "s",
                  "cct_users": ["agent2002"], "roles": ["viewer", "controller", "operator"]}
        claims.update(more)
        return {k: v for k, v in claims.items() if v is not None}

    def text(self, header, claims):
        return ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))

    def signed(self, key="one", header=None, **claims):
        text = self.text(header or {"alg": "EdDSA", "kid": "one"}, self.claims(**claims))
        file = os.path.join(self.provider.directory, "forged")
        with open(file, "w") as out:
            out.write(text)
        return text + "." + base64url(self.provider.openssl("pkeyutl", "-sign", "-rawin", "-in", file, "-inkey",
                                                            os.path.join(self.provider.directory, key + ".pem")))

    def mac(self, key, header):
        text = self.text(header, self.claims())
        return text + "." + base64url(hmac.new(key, text.encode(), hashlib.sha256).digest())

    def all(self):
        """name: token. The first is good."""
        good = self.signed()
        head, payload, signature = good.split(".")
        jwk = self.provider.keys["one"]
        public = base64.urlsafe_b64decode(jwk["x"] + "=")
        pem = self.provider.openssl("pkey", "-in", os.path.join(self.provider.directory, "one.pem"), "-pubout")
        with open(self.provider.file, "rb") as file:
            published = file.read()
        kid = {"kid": "one"}
        return {
            "good": good,
            "no algorithm": self.text(dict(kid, alg="none"), self.claims()) + ".",
            "no algorithm, signed": self.text(dict(kid, alg="none"), self.claims()) + "." + signature,
            "None": self.text(dict(kid, alg="None"), self.claims()) + ".",
            "nOnE": self.text(dict(kid, alg="nOnE"), self.claims()) + "." + signature,
            "no alg": self.text(kid, self.claims()) + "." + signature,
            "no signature": head + "." + payload + ".",
            "two parts": head + "." + payload,
            "four parts": good + "." + signature,
            "the public key as a secret": self.mac(public, dict(kid, alg="HS256")),
            "the public key's text as a secret": self.mac(jwk["x"].encode(), dict(kid, alg="HS256")),
            "the public key's PEM as a secret": self.mac(pem, dict(kid, alg="HS256")),
            "the file of keys as a secret": self.mac(published, dict(kid, alg="HS256")),
            "an empty secret": self.mac(b"", dict(kid, alg="HS256")),
            "a key that is not published": self.signed("stolen"),
            "a key that is not published, by its name": self.signed("stolen", {"alg": "EdDSA", "kid": "stolen"}),
            "another family of keys": self.signed("one", {"alg": "ES256", "kid": "one"}),
            "RSA": self.signed("one", {"alg": "RS256", "kid": "one"}),
            "an algorithm in lower case": self.signed("one", {"alg": "eddsa", "kid": "one"}),
            "its own key": self.signed("stolen", {"alg": "EdDSA", "jwk": self.provider.keys["stolen"]}),
            "a URL for the key": self.signed("stolen", {"alg": "EdDSA", "kid": "stolen", "jku": self.url + "/keys"}),
            "a URL for the certificate": self.signed("stolen", {"alg": "EdDSA", "kid": "stolen", "x5u": self.url + "/cert"}),
            "a path for a key": self.signed("stolen", {"alg": "EdDSA", "kid": "../../../../dev/null"}),
            "something critical": self.signed("one", {"alg": "EdDSA", "kid": "one", "crit": ["b64"], "b64": False}),
            "expired": self.signed(exp=time.time() - 1),
            "expired long ago": self.signed(exp=1),
            "no expiry": self.signed(exp=None),
            "an expiry that is a text": self.signed(exp="4102444800"),
            "an expiry beyond numbers": self.signed(exp=1e300),
            "not yet": self.signed(nbf=time.time() + 3600),
            "another audience": self.signed(aud="billing"),
            "other audiences": self.signed(aud=["billing", "cctgate2"]),
            "no audience": self.signed(aud=None),
            "another issuer": self.signed(iss="https://id.example.evil.example"),
            "no issuer": self.signed(iss=None),
            "other claims": head + "." + base64url(json.dumps(self.claims(cct_users=["supervisor"])).encode()) + "." + signature,
            "another signature": head + "." + payload + "." + base64url(bytes(64)),
            "padded": good + "==",
            "no JSON": head + "." + base64url(b"{") + "." + signature,
        }


class Listening:
    """A port on which nobody should ever call."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.socket.getsockname()[1]
        self.called, self.thread = [], threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while True:
                peer, address = self.socket.accept()
                self.called.append(address)
                peer.close()
        except OSError:
            pass

    def stop(self):
        socket.create_connection(self.socket.getsockname()).close()
        eventually(lambda: self.called, "it does listen")
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(BOUND)


class Entry(Guarded):
    """What every test here has: a connection, and all that wants a token."""

    def setUp(self):
        super().setUp()
        self.connection = self.gate.connect()

    def tearDown(self):
        self.connection.close()
        super().tearDown()

    def closed(self):
        """(method, path) of all that wants a token, each operation of the contract standing for one service only."""
        services = set()
        for method, path, _ in routes(self.gate)[0]:
            if (method, path) in PUBLIC:
                continue
            if path.startswith("/v1/services/"):
                if path.rsplit("/", 1)[0] in services:
                    continue
                services.add(path.rsplit("/", 1)[0])
            kind = kind_of(path)
            yield method, concrete(path, *(self.objects["2002"][kind] if kind else "x", "case")[:len(parameters(path))])


class Authentication(Entry):
    def refused(self, names_and_fields, queries=()):
        """Every one of these at everything that wants a token is 401, and says nothing else."""
        for method, path in self.closed():
            before = self.operations()
            for name, fields in names_and_fields:
                answer = ask(self.connection, method, path, fields, "{}" if method != "GET" else None)
                self.cell(answer.status == 401 and problem_of(answer) == "unauthorized" and "detail" not in answer.json and
                          answer.headers["www-authenticate"].startswith("Bearer"), name, method, path, answer)
            for query in queries:
                answer = ask(self.connection, method, path + "?" + query)
                self.cell(answer.status == 401, query, method, path, answer)
            if self.operations() != before:
                self.wrong.append((method, path, "the contact centre was asked"))

    def test_forms(self):
        token = harness.TOKENS["mine"][0]
        good, bad = ("Authorization", "Bearer " + token), ("Authorization", "Bearer nobody")
        other = ("Authorization", "Bearer " + harness.TOKENS["other"][0])
        self.refused((
            ("none", ()), ("empty", (("Authorization", ""),)), ("a scheme alone", (("Authorization", "Bearer"),)),
            ("no token", (("Authorization", "Bearer "),)), ("unknown", (bad,)),
            ("cut short", (("Authorization", "Bearer " + token[:-1]),)), ("too long", (("Authorization", "Bearer " + token + "x"),)),
            ("upper case", (("Authorization", "Bearer " + token.upper()),)), ("quoted", (("Authorization", 'Bearer "%s"' % token),)),
            ("its hash", (("Authorization", "Bearer " + hashlib.sha256(token.encode()).hexdigest()),)),
            ("its bytes in base64", (("Authorization", "Bearer " + base64.b64encode(token.encode()).decode()),)),
            ("another scheme", (("Authorization", "Basic " + base64.b64encode(b"agent2002:" + PASSWORD.encode()).decode()),)),
            ("a scheme of its own", (("Authorization", "Token " + token),)), ("no scheme", (("Authorization", token),)),
            ("no space", (("Authorization", "Bearer" + token),)), ("a parameter", (("Authorization", "Bearer token=" + token),)),
            ("two in one", (("Authorization", "Bearer %s, Bearer %s" % (token, harness.TOKENS["other"][0])),)),
            ("twice the same", (good, good)), ("two", (good, other)), ("a good one, a bad one", (good, bad)),
            ("a bad one, a good one", (bad, good)), ("in a cookie", (("Cookie", "token=%s; access_token=%s" % (token, token)),)),
            ("for a proxy", (("Proxy-Authorization", "Bearer " + token),)), ("in X-Api-Key", (("X-Api-Key", token),)),
            ("in X-Authorization", (("X-Authorization", "Bearer " + token),)),
            ("of a WebSocket", (("Sec-WebSocket-Protocol", "cctgate.v1, bearer." + token),)),
            ("of somebody behind a proxy", (("X-Forwarded-User", "agent2002"), ("X-Remote-User", "agent2002"))),
            ("a lease", (("Control-Lease", "A" * 43),)), ("the upstream's token", (("Authorization", "Bearer " + self.sim.state()["sessions"][0]["token"]),)),
        ), ("access_token=" + token, "token=" + token, "bearer=" + token))

    def test_scheme(self):
        """The scheme's letters may be of either case (RFC 9110 section 11.1)."""
        for scheme in ("bearer", "BEARER", "BeArEr"):
            answer = ask(self.connection, "GET", "/v1/agents/2002", [("Authorization", "%s %s" % (scheme, harness.TOKENS["mine"][0]))])
            self.cell(answer.status == 200, scheme, answer, granted=True)

    def test_jwt(self):
        listening = Listening()
        forged = Forger(self.identities, listening.url).all()
        good = forged.pop("good")
        answer = ask(self.connection, "GET", "/v1/agents/2002", [("Authorization", "Bearer " + good)])
        self.cell(answer.status == 200, "good", answer, granted=True)
        self.refused([(name, (("Authorization", "Bearer " + token),)) for name, token in forged.items()])
        for name, token in forged.items():
            for field in ({"Authorization": "Bearer " + token}, {"Sec-WebSocket-Protocol": "cctgate.v1, bearer." + token}):
                self.cell(self.status_of_stream(field) in (400, 401), name, field)  # what is no token of HTTP is no subprotocol
        calls = list(listening.called)
        listening.stop()
        self.cell(not calls, "a URL of a client was called", calls)

    def status_of_stream(self, fields, path="/v1/events"):
        try:
            WebSocket(self.gate.port, None, path=path, headers=fields).sock.close()
        except Refused as refused:
            return refused.status
        return 101

    def test_streams(self):
        """Each way to say who one is to a WebSocket: wrong, doubled, contradicting, used up."""
        mine, other = harness.TOKENS["mine"][0], harness.TOKENS["other"][0]
        ticket = lambda who="mine": exchange(self.gate.port, "POST", "/v1/events/ticket", bearer(who)).json["ticket"]
        used = ticket()
        self.assertEqual(self.status_of_stream({}, "/v1/events?ticket=" + used), 101)
        offered = lambda *tokens: {"Sec-WebSocket-Protocol": ", ".join(("cctgate.v1",) + tuple("bearer." + t for t in tokens))}
        for name, fields, path, status in (
                ("nothing", {}, "", 401), ("a subprotocol", offered(mine), "", 101), ("a wrong one", offered("x"), "", 401),
                ("two", offered(mine, other), "", 401), ("twice", offered(mine, mine), "", 401), ("an empty one", offered(""), "", 401),
                ("a wrong header and a right subprotocol", dict(offered(mine), Authorization="Bearer x"), "", 401),
                ("another scheme and a right subprotocol", dict(offered(mine), Authorization="Basic eA=="), "", 401),
                ("a used ticket", {}, "?ticket=" + used, 401), ("no ticket", {}, "?ticket=", 401),
                ("an unknown ticket", {}, "?ticket=" + "A" * 43, 401), ("a ticket cut short", {}, "?ticket=" + ticket()[:-1], 401),
                ("a token for a ticket", {}, "?ticket=" + mine, 401),
                ("a right ticket with a wrong header", {"Authorization": "Bearer x"}, "?ticket=" + ticket(), 401),
                ("a right ticket with a wrong subprotocol", offered("x"), "?ticket=" + ticket(), 401),
                ("a token in the query", {}, "?access_token=" + mine, 401), ("a ticket", {}, "?ticket=" + ticket(), 101)):
            got = self.untouched(lambda: self.status_of_stream(fields, "/v1/events" + path), name)
            self.cell(got == status, name, got, granted=status == 101)
        for path in ("/v1/agents", "/v1/events/ticket", "/v1/audit", "/v1/users/me"):
            answer = exchange(self.gate.port, "GET", path + "?ticket=" + ticket("every"))
            self.cell(answer.status in (401, 405), "a ticket elsewhere", path, answer)

    def test_revoked(self):
        """A bearer that was signed off is nobody's at once, at every thread and door, and so are its tickets and streams."""
        token = sign_on(self.gate.port, "agent2004")
        self.token("leaving", token, ["agent2004"])
        ticket = exchange(self.gate.port, "POST", "/v1/events/ticket", bearer("leaving")).json["ticket"]
        stream = WebSocket(self.gate.port, "leaving")
        self.assertEqual(exchange(self.gate.port, "DELETE", "/v1/sessions", bearer("leaving")).status, 204)
        self.refused((("signed off", (("Authorization", "Bearer " + token),)),))
        self.cell(self.status_of_stream({"Sec-WebSocket-Protocol": "cctgate.v1, bearer." + token}) == 401, "a stream")
        self.cell(self.status_of_stream({}, "/v1/events?ticket=" + ticket) == 401, "its ticket")
        self.cell(stream.expect_close() == 4401, "its stream")
        stream.sock.close()
        answer = ask(self.connection, "GET", "/v1/agents/2004", [("Authorization", "Bearer " + harness.TOKENS["signed"][0])])
        self.cell(answer.status == 200, "another bearer of the user", answer, granted=True)

    def test_sign_on(self):
        """What is no right name and password is refused alike, whatever else comes along."""
        right = {"username": "agent2004", "password": PASSWORD, "domain": "CC"}
        wrong = [dict(right, password=p) for p in (PASSWORD + "x", PASSWORD[:-1], PASSWORD.upper(), " " + PASSWORD)]
        wrong += [dict(right, username=u) for u in ("agent2004 ", "AGENT2004x", "nobody", "agent2004' or '1'='1", "*", "%", "../agent2004")]
        for body in wrong:
            for headers in ({}, {"Authorization": "Bearer " + harness.TOKENS["every"][0]}):
                answer = call_command(self.gate.port, "POST", "/v1/sessions", None, body, headers=headers)
                self.cell(answer.status in (401, 429) and "token" not in answer.json, body, answer)


class Expired(Entry):
    session = {"roles": ["viewer"], "lingerMs": 3600000}

    def test_expired(self):
        """A bearer ends at its hour, used or not."""
        self.gate.config["session"].update(bearerTtlMs=1000, bearerMaxMs=1000)
        self.gate.write()
        self.gate.child.process.send_signal(signal.SIGHUP)
        eventually(lambda: self.gate.child.log("reloaded"), "reloaded")
        token = sign_on(self.gate.port, "agent2004")
        fields = [("Authorization", "Bearer " + token)]
        self.cell(ask(self.connection, "GET", "/v1/users", fields).status == 200, "before", granted=True)
        eventually(lambda: ask(self.connection, "GET", "/v1/users", fields).status == 401, "it ends though it is used")
        Authentication.refused(self, (("expired", fields),))


class Bounds(Entry):
    """What one client may ask for in one go; the bounds that no other test has."""

    def test_requests(self):
        mine = bearer("mine")
        deep = "[" * 33 + "]" * 33
        rows = [
            ("a body that is deep", "POST", "/v1/agents/2002/logout", '{"a":%s}' % deep, {}, 400),
            ("a body with a name twice", "PUT", "/v1/agents/2002/readiness", '{"ready":true,"ready":false}', {}, 400),
            ("a text too long", "PUT", "/v1/calls/current/uui", json.dumps({"uui": "0" * 70000}), {}, 400),
            ("a number beyond numbers", "PUT", "/v1/addresses/52002/message-waiting", '{"messages":1e400}', {}, 400),
            ("an integer beyond integers", "PUT", "/v1/addresses/52002/message-waiting", '{"messages":99999999999999999999}', {}, 400),
            ("a NUL", "PUT", "/v1/calls/current/uui", '{"uui":"\\u0000"}', {}, 400),
            ("a key too long", "POST", "/v1/agents/2002/logout", "{}", {"Idempotency-Key": "k" * 300}, 400),
            ("a key with a space", "POST", "/v1/agents/2002/logout", "{}", {"Idempotency-Key": "a b"}, 400),
            ("a lease too long", "POST", "/v1/agents/2002/logout", "{}", {"Control-Lease": "A" * 44}, 400),
            ("a lease of other letters", "POST", "/v1/agents/2002/logout", "{}", {"Control-Lease": "A" * 42 + "!"}, 400),
            ("a user too long", "GET", "/v1/agents/2002", None, {"CCT-User": "u" * 4000}, 403),
            ("a page beyond pages", "GET", "/v1/agents?limit=1001", None, {}, 400),
            ("a place too long", "GET", "/v1/agents?after=" + "a" * 300, None, {}, 400),
            ("a path too long", "GET", "/v1/agents/" + "a" * 1100, None, {}, 414),
            ("parameters twice", "GET", "/v1/agents?limit=1&limit=0", None, {}, 400),
            ("an audit without end", "GET", "/v1/audit?limit=100000", None, bearer("every"), 400),
            ("an audit before everything", "GET", "/v1/audit?before=0", None, bearer("every"), 400),
            ("a name of an endpoint too long", "POST", "/v1/sessions/failover", json.dumps({"endpoint": "e" * 300}), bearer("every"), 400),
            ("a password too long", "POST", "/v1/sessions", json.dumps({"username": "x", "password": "p" * 2000}), {}, 400),
            ("a sign-on too large", "POST", "/v1/sessions", json.dumps({"username": "x", "password": "p", "domain": "d" * 20000}), {}, 413),
            ("a page of a stream's filter", "GET", "/v1/events?subjects=" + ",".join(["/v1/a"] * 200), None,
             dict(mine, Accept="text/event-stream"), 414),
        ]
        for name, method, path, body, headers, status in rows:
            fields = dict(mine, **headers)
            if body is not None:
                fields["Content-Type"] = "application/json"
            answer = self.untouched(lambda: exchange(self.gate.port, method, path, fields, body, connection=self.connection), name)
            self.cell(answer.status == status and answer.headers["content-type"] == "application/problem+json", name, answer)

    def test_validators(self):
        """Long lists in a head cost a comparison and nothing else."""
        for field, value in (("If-None-Match", ", ".join('"%d"' % i for i in range(3000))), ("Cache-Control", ", ".join(["x=y"] * 4000)),
                             ("Accept", ", ".join(["a/b"] * 4000) + ", */*"), ("Prefer", ", ".join(["wait=1"] * 2000))):
            answer = self.untouched(lambda: exchange(self.gate.port, "GET", "/v1/agents/2002", dict(bearer("mine"), **{field: value})), field)
            self.cell(answer.status == 200, field, answer, granted=True)

    def test_messages(self):
        """Of a WebSocket: what is too much is refused by name, and the connection stays."""
        with Speaker(self.gate.port, "mine") as speaker:
            ws = speaker.ws
            for name, message, status in (
                    ("a name too long", {"op": "subscribe", "id": "i" * 129}, 400), ("no name", {"op": "subscribe"}, 400),
                    ("subjects", {"op": "subscribe", "id": "a", "subjects": ["/v1/agents/%d" % i for i in range(1001)]}, 400),
                    ("agents", {"op": "subscribe", "id": "a", "agents": [str(i) for i in range(1001)]}, 400),
                    ("types", {"op": "subscribe", "id": "a", "types": ["cct.nothing"]}, 400),
                    ("depth", {"op": "subscribe", "id": "a", "subjects": json.loads("[" * 31 + "]" * 31)}, 400),
                    ("a place of no log", {"op": "subscribe", "id": "a", "since": "x" * 100}, 400)):
                ws.send(message)
                answer = ws.receive_op("error", "subscribed")
                self.cell(answer["op"] == "error" and answer["problem"]["status"] == status, name, answer)
            before = self.operations()
            lease = speaker.attach("2002")["lease"]
            self.sim.latency(3000)
            for i in range(80):  # more than may be under way at once
                ws.send({"op": "command", "id": i, "method": "POST", "path": "/v1/services/UserService/GetAgents", "body": {}})
            answers = [speaker_answer(ws) for _ in range(80)]
            self.sim.latency(0)
            refused = [a for a in answers if a["status"] == 429]
            self.cell(len(refused) == 80 - 64, "commands at once", len(refused))
            self.cell(sum(self.operations().values()) - sum(before.values()) == 64, "what was asked for them")
            self.cell(speaker.command("DELETE", control_of("2002"), {}, lease=lease)["status"] in (200, 204), "it stays", granted=True)

    def test_instances(self):
        """As many instances as there may be are attached to an agent."""
        leases = []
        while len(leases) < 70:
            answer = self.untouched(lambda: call_command(self.gate.port, "PUT", control_of("2003"), "other", {"profile": "MonitorOnly"}))
            if answer.status != 200:
                break
            leases.append(answer.json["lease"])
        self.cell(len(leases) == 64 and problem_of(answer) == "conflict", len(leases), answer)
        for lease in leases:
            call_command(self.gate.port, "DELETE", control_of("2003"), "other", lease=lease)


def speaker_answer(ws):
    return ws.receive_op("result")


# What no answer may have: where the program and its files are, what it is made of, where the contact centre is.
LEAKS = ("/tmp/", "/home/", "/usr/", ".c:", "jansson", "libcurl", "curl", "openssl", "lmdb", "mdb_", "errno", "SOAOICCT", "libxml",
         "Failed to connect", "127.0.0.1", "Traceback", "stack")
KINDS_OF_FAULT = ("reset", "truncate", "garbage", "html", "wrongType", "doctype", "fault", "http500", "empty", "wrongElement", "refuse",
                  "hang")


class Shut(Entry):
    gateway_options = {"events": {"origins": ["https://desk.example"]},
                       "upstream": {"reconcileMs": 3600000, "pollMs": 200, "timeoutMs": 3000, "connectTimeoutMs": 3000}}

    def leaks(self, answer):
        text = answer.body.decode("utf-8", "replace") + "".join("%s:%s" % f for f in answer.fields if f[0] not in ("x-request-id", "etag"))
        return [w for w in LEAKS + (self.gate.directory, str(self.sim.port)) if w in text] + re.findall(r"\b0x[0-9a-f]{4,}", text)

    def test_heads(self):
        """What every answer says for browsers, and what none says: problems, what the HTTP library refuses, and files too."""
        rows = [(m, concrete(p, *("x", "y")[:len(parameters(p))]), who) for m, p, _ in routes(self.gate)[0]
                for who in (None, "outbound", "mine") if not p.startswith("/v1/services/") and (m == "GET" or who != "mine")
                and not p.startswith("/v1/events") and p != "/v1/sessions"]
        rows += [("GET", "/nothing", None), ("POST", "/", None), ("OPTIONS", "/v1/agents", None), ("GET", "/v1/agents?x", "mine")]
        for method, path, who in rows:
            answer = exchange(self.gate.port, method, path, bearer(who) if who else {}, connection=self.connection)
            self.cell(self.is_hardened(answer), method, path, who, answer)
        self.cell(self.is_hardened(exchange(self.gate.port, "GET", "/v1/agents/2002", bearer("mine"))), "hit", granted=True)
        broken = raw(self.gate.port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n")
        self.cell(b"nosniff" in broken.lower() and b"server:" not in broken.lower(), "what the library refuses", broken)
        page = exchange(self.gate.port, "GET", "/")
        self.cell("frame-ancestors 'none'" in page.headers.get("content-security-policy", ""), page.headers)

    def is_hardened(self, answer):
        names = {n for n, _ in answer.fields}
        return (answer.headers.get("x-content-type-options") == "nosniff" and not names & {"server", "x-powered-by", "set-cookie"} and
                (answer.status == 204 or "cache-control" in names) and "access-control-allow-credentials" not in names and
                not (answer.status >= 400 and answer.status != 503 and not answer.headers["content-type"].startswith("application/problem+json")))

    def test_problems_leak_nothing(self):
        """Whatever the contact centre does, what a client is told names none of our insides."""
        with self.control("2002", "mine") as lease:
            for kind in KINDS_OF_FAULT:
                self.fail_with(kind, lease)
        for path in ("/readyz", "/healthz", "/v1/sessions", "/v1/capacity"):
            answer = self.gate.get(path, "mine")
            self.cell(not self.leaks(answer), path, answer)

    def fail_with(self, kind, lease):
        """All that is asked while the contact centre fails in one way; then it is well again, and so are we."""
        handle = {"agentLoginId": "2002", "userName": "agent2002", "agentType": "Agent"}
        self.sim.fault(kind)
        try:
            for method, path, body in (("GET", "/v1/agents/2002/capabilities", None),
                                       ("GET", "/v1/calls/%s/data" % self.objects["2002"]["calls"], None),
                                       ("PUT", "/v1/agents/2002/readiness", {"ready": False}),
                                       ("POST", "/v1/services/AgentService/IsReady", {"agent": handle}),
                                       ("POST", "/v1/sessions", {"username": "agent2005", "password": PASSWORD})):
                answer = call_command(self.gate.port, method, path, None if path == "/v1/sessions" else "mine", body,
                                      lease=lease if method == "PUT" else None, headers={"Cache-Control": "no-cache"})
                self.cell(not self.leaks(answer), kind, method, path, self.leaks(answer), answer)
        finally:
            self.sim.no_faults()
        self.gate.wait_ready()
        eventually(lambda: self.gate.get("/v1/agents/2002/capabilities", "mine", {"Cache-Control": "no-cache"}).status == 200, "well again")

    def test_methods(self):
        """A path answers what its description says, and 405 with just that in Allow else; TRACE echoes nothing."""
        described = {}
        for method, path, _ in routes(self.gate)[0]:
            described.setdefault(path, set()).add(method)
        for path, methods in described.items():
            if path.startswith("/v1/services/") and path.count("/") == 4:
                methods |= {"GET", "POST"}  # of the template, and of each operation that it stands for
            place = concrete(path, *("x", "y")[:len(parameters(path))])
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "TRACK", "DEBUG", "PROPFIND", "LINK", "QUERY"):
                answer = exchange(self.gate.port, method, place, {"X-Echo": "echoed-by-trace"}, connection=self.connection)
                there = method in methods or (method == "HEAD" and "GET" in methods and path != "/v1/events")
                fine = answer.status != 405 if there else answer.status == 405
                if answer.status == 405:
                    allow = {m.strip() for m in answer.headers["allow"].split(",")}
                    fine = fine and allow - {"HEAD"} == methods
                self.cell(fine and b"echoed-by-trace" not in answer.body, method, path, answer, granted=there)

    def test_inventory(self):
        """Nothing answers that is not described."""
        listed = {p for _, p, _ in routes(self.gate)[0]}
        page = exchange(self.gate.port, "GET", "/").body.decode()
        shown = set(re.findall(r"<tr><td><code>([^<]+)</code>", page))
        self.cell(shown <= listed | {"/v1/services/{service}/{operation}"}, shown - listed, granted=True)
        for path in ("/v1", "/v1/", "/v2/agents", "/v0/agents", "/agents", "/api", "/api/v1/agents", "/admin", "/debug", "/debug/pprof", "/status",
                     "/server-status", "/stats", "/config", "/v1/config", "/v1/tokens", "/v1/bearers", "/v1/leases", "/v1/keys", "/env",
                     "/actuator", "/actuator/env", "/console", "/swagger", "/swagger.json", "/docs", "/graphql", "/.env", "/.git/config",
                     "/.well-known/security.txt", "/favicon.ico", "/robots.txt", "/index.html", "/conf/cctgate.json", "/data/data.mdb",
                     "/../etc/passwd", "/%2e%2e/etc/passwd", "/v1/../v1/agents", "//v1/agents", "/v1//agents", "/V1/agents", "/v1/Agents",
                     "/v1/agents;x=1", "/v1/agents%2f2002", "/v1/agents/2002%2fcontrol", "/v1/agents/2002/.", "/services", "/SOAOICCT/services",
                     "/notify", "/v1/outbounds", "/metrics/", "/healthz/", "/openapi.yaml"):
            for who in ("every", None):
                answer = self.untouched(lambda: exchange(self.gate.port, "GET", path, bearer(who) if who else {}), path)
                fine = answer.status == 404 or (answer.status == 401 and who is None)
                self.cell(fine, path, who, answer)

    def test_urls_of_clients(self):
        """The gateway calls no URL that a client has given it, wherever it stands."""
        listening = Listening()
        url, host = listening.url, listening.url[7:]
        call = self.objects["2002"]["calls"]
        for headers in ({"Host": host}, {"X-Forwarded-Host": host}, {"Forwarded": "host=" + host}, {"X-Forwarded-For": host},
                        {"Referer": url}, {"Origin": url}, {"X-Original-URL": url}, {"X-Rewrite-URL": url}, {"Location": url},
                        {"X-Callback": url}, {"Link": "<%s>; rel=preload" % url}, {"Destination": url}, {"traceparent": url}):
            for path in ("/v1/agents/2002", "/", "/openapi.json", "/asyncapi.json"):
                answer = exchange(self.gate.port, "GET", path, dict(bearer("mine"), **headers))
                self.cell(url not in answer.headers.get("location", "") and (url not in answer.body.decode() or "Host" in headers),
                          headers, path, answer)
        answer = raw(self.gate.port, ("GET %s/v1/agents/2002 HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (url, host)).encode())
        self.cell(answer.split(b" ")[1] in (b"400", b"401"), "an absolute target", answer)
        with self.control("2002", "mine") as lease:
            for method, path, who, body in (
                    ("POST", "/v1/calls/%s/recording" % call, "mine", {"state": "start", "recordingUri": url + "/x", "ipAddress": "127.0.0.1"}),
                    ("POST", "/v1/calls", "mine", {"from": {"agent": "2002"}, "to": url}), ("PUT", "/v1/calls/%s/uui" % call, "mine", {"uui": url}),
                    ("PUT", "/v1/calls/%s/data" % call, "mine", {"url": url, "$ref": url}),
                    ("PUT", "/v1/terminals/Line%201.0.2/forwarding", "mine", {"to": url}), ("POST", "/v1/sessions/failover", "every", {"endpoint": url}),
                    ("POST", "/v1/sessions", None, {"username": "x", "password": "y", "domain": url}),
                    ("POST", "/v1/sessions", None, {"username": url, "password": "y"})):
                answer = call_command(self.gate.port, method, path, who, body, lease=lease if who == "mine" else None)
                self.cell(answer.status != 500, method, path, answer, granted=answer.status < 400)
        eventually(lambda: self.gate.get("/v1/agents/2002", "mine").json["sync"] == "live", "what was done is told")
        calls = list(listening.called)
        listening.stop()
        self.cell(not calls, "a URL of a client was called", calls)

    def test_origins(self):
        """Preflight and answers for a page of a foreign origin: nothing is shared, credentials never."""
        for origin in ("https://evil.example", "null", "https://desk.example.evil.example", "http://desk.example", "https://desk.example:8443",
                       "https://evil.example#https://desk.example", "file://", "*"):
            for method, path in self.closed():
                answer = exchange(self.gate.port, "OPTIONS", path, {"Origin": origin, "Access-Control-Request-Method": method},
                                  connection=self.connection)
                self.cell(answer.status == 403 and not [n for n, _ in answer.fields if n.startswith("access-control-")], origin, method, path, answer)
            self.cell(self.stream_with(origin) == 403, origin, "a WebSocket")
        self.cell(self.stream_with("https://desk.example") == 101, "its own", granted=True)

    def stream_with(self, origin):
        try:
            WebSocket(self.gate.port, "mine", headers={"Origin": origin}).sock.close()
        except Refused as refused:
            return refused.status
        return 101


if __name__ == "__main__":
    harness.main()
