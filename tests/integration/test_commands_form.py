"""The form of commands: every one that is described is there, and what is not in order is told so, by HTTP and WebSocket alike, and reaches nobody."""
import http.client
import json
import re

import harness
from commanding import Floor, Speaker, call_command, control_of
from harness import BOUND, Case, bearer, eventually, exchange, raw
from websocket import WebSocket

LEASE = "A" * 43
ACTING = ("post", "put", "patch", "delete")
JSON = {"Content-Type": "application/json"}
ORIGIN = "https://desk.example"

harness.TOKENS.update({
    "everything": ("everything-token", ["supervisor"], ["viewer", "controller", "supervisor", "recorder", "operator"]),
    "several": ("several-token", ["supervisor", "agent2001"], ["controller"]),
    "onlooker": ("onlooker-token", ["supervisor"], ["viewer"]),
    "hand": ("hand-token", ["supervisor"], ["controller"]),
})

NO_COMMANDS = ("/v1/events/ticket", "/v1/sessions", "/v1/sessions/failover")


class Described:
    """A command of /openapi.json."""

    def __init__(self, path, method, operation):
        self.template, self.method, self.roles = path, method.upper(), set()
        self.path = re.sub(r"\{[^}]*\}", "nobody", path)
        for requirement in operation["security"]:
            self.roles |= set(requirement["bearer"])
        content = operation["requestBody"]["content"]["application/json"]
        self.bodies = [e["value"] for e in content.get("examples", {}).values()] or [{"digits": "12"}]
        self.body = self.bodies[0]
        self.is_free = path.split("/{key}")[0].rsplit("/", 1)[1] in ("data", "intrinsics") and self.method in ("PUT", "PATCH")

    def __repr__(self):
        return self.method + " " + self.template


def described(gate):
    paths = exchange(gate.port, "GET", "/openapi.json").json["paths"]
    return [Described(path, method, item[method]) for path, item in paths.items() for method in ACTING
            if method in item and not path.startswith("/v1/services/") and path not in NO_COMMANDS and
            not path.startswith("/v1/outbound/")]


class Form(Case):
    gateway_options = {"users": ("supervisor", "agent2001"), "events": {"origins": [ORIGIN]}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.commands = described(cls.gate)
        for path in ("/v1/agents/nobody", "/v1/terminals/nobody", "/v1/addresses/nobody", "/v1/calls/nobody"):
            for who in ("everything", "several"):
                cls.gate.get(path, who)  # what is not there is known from here on

    def send(self, method, path, body=None, who="everything", headers=None, **more):
        return call_command(self.gate.port, method, path, who, body, headers=headers, **more)

    def refused(self, status, slug, *args, pointer=None, **more):
        """A problem, and the contact centre has heard nothing."""
        before = self.sim.counters()["total"]
        answer = self.assert_problem(self.send(*args, **more), status, slug)
        self.assertEqual(self.sim.counters()["total"], before, args)
        if pointer is not None:
            self.assertEqual(answer.json.get("pointer"), pointer, answer)
        return answer

    # ---- the paths ----

    def test_every_row_is_there(self):
        """Nobody's agent, terminal, address or call: the command is understood, and finds that it is about nothing."""
        self.assertGreaterEqual(len(self.commands), 70)
        for command in self.commands:
            for body in command.bodies:
                if command.template == "/v1/calls":
                    body = dict(body, **{"from": {"agent": "nobody"}})
                answer = self.send(command.method, command.path, body, lease=LEASE)
                self.assertIn(answer.status, (404, 409, 501), (command, body, answer))
                self.assertEqual(answer.headers["content-type"], "application/problem+json")
                self.assertEqual(answer.headers["cache-control"], "no-store")
        operations = self.sim.counters()["operations"]
        self.assertEqual([o for o in operations if not re.search(r"\.(Get|Is|LogIn|Subscribe|Renew)", o)], [])

    def test_other_methods(self):
        """405 tells the methods that there are, and those are the ones that are described."""
        paths = exchange(self.gate.port, "GET", "/openapi.json").json["paths"]
        for path in {c.template for c in self.commands}:
            known = {m.upper() for m in paths[path] if m in ACTING + ("get",)}
            known |= {"HEAD"} if "GET" in known else set()
            target = re.sub(r"\{[^}]*\}", "nobody", path)
            for method in {"GET", "PUT", "POST", "PATCH", "DELETE", "BREW"} - known:
                answer = self.refused(405, "method-not-allowed", method, target)
                self.assertEqual(set(answer.headers["allow"].split(", ")), known, (method, path))

    def test_literals_go_first(self):
        """`control/transfer` is no key, and no id is eaten by a command's path."""
        self.refused(400, "bad-request", "POST", "/v1/agents/nobody/control/transfer", {}, pointer="/application")
        self.refused(404, "not-found", "POST", "/v1/agents/nobody/control/nothing", {})
        self.refused(404, "not-found", "POST", "/v1/calls/nobody/transfer/nothing", {})
        self.refused(404, "not-found", "POST", "/v1/calls/nobody/answer/", {})
        self.refused(404, "not-found", "POST", "/v1/calls//answer", {})
        self.refused(400, "bad-request", "POST", "/v1/calls/%zz/answer", {})
        self.refused(404, "not-found", "POST", "/v1/calls/" + "9" * 300 + "/answer", {})

    # ---- who ----

    def test_roles(self):
        for command in self.commands:
            self.refused(401, "unauthorized", command.method, command.path, command.body, who=None)
            self.refused(403, "forbidden", command.method, command.path, command.body, who="campaigner")
            if command.roles:
                self.refused(403, "forbidden", command.method, command.path, command.body, who="onlooker")
            if command.roles == {"operator"}:
                self.refused(403, "forbidden", command.method, command.path, command.body, who="hand")
        self.refused(403, "forbidden", "DELETE", control_of("2001") + "?force=true", who="hand")
        self.refused(403, "forbidden", "POST", "/v1/calls/nobody/answer", {}, headers={"CCT-User": "agent2006"})

    # ---- bodies ----

    def test_bodies(self):
        """For each command: no JSON, no object, a name twice, too deep, another type, a member that it does not have."""
        for command in self.commands:
            at = (command.method, command.path)
            for body in ("{", "[]", "1", '{"agent":"1","agent":"2"}', '{"x":' * 40 + "1" + "}" * 40, "\xff", '{"a":"\\u0000"}'):
                self.refused(400, "bad-request", *at, body.encode("latin-1"))
            self.refused(415, "unsupported-media-type", *at, "{}", headers={"Content-Type": "text/xml"})
            self.refused(415, "unsupported-media-type", *at, "{}", headers={"Content-Type": "application/jsonp"})
            if not command.is_free:
                answer = self.refused(400, "bad-request", *at, dict(command.body, noSuchMember=1))
                self.assertIn("noSuchMember", answer.json["pointer"] + answer.json["detail"], (command, answer))
            if command.method != "PATCH":
                self.refused(415, "unsupported-media-type", *at, "{}", headers={"Content-Type": "application/merge-patch+json"})

    def test_members(self):
        agent, call = "/v1/agents/nobody/", "/v1/calls/nobody/"
        for method, path, body, pointer in (
                ("PUT", agent + "readiness", {}, "/ready"), ("PUT", agent + "readiness", {"ready": "yes"}, "/ready"),
                ("PUT", agent + "readiness", {"ready": False, "reasonCode": 3}, "/reasonCode"),
                ("POST", agent + "login", {"initialState": "BUSY"}, "/initialState"),
                ("POST", agent + "login", {"password": ["x"]}, "/password"),
                ("PUT", agent + "control", {}, "/profile"), ("PUT", agent + "control", {"profile": "Full"}, "/profile"),
                ("PUT", agent + "control", {"profile": "FullControl", "agent": "2001"}, "/agent"),
                ("POST", "/v1/calls", {"to": ""}, "/to"), ("POST", "/v1/calls", {"from": {"agent": "2001"}}, "/to"),
                ("POST", "/v1/calls", {"from": "2001", "to": "1"}, "/from"),
                ("POST", "/v1/calls", {"from": {}, "to": "1"}, "/from"),
                ("POST", call + "dtmf", {}, "/digits"), ("POST", call + "transfer", {"to": "1", "mode": "soft"}, "/mode"),
                ("POST", call + "answer", {"agent": 2001}, "/agent"), ("POST", call + "transfer/complete", {}, "/consultContactId"),
                ("POST", call + "recording", {"state": "pause"}, "/state"), ("PUT", call + "uui", {}, "/uui"),
                ("POST", call + "recording", {"state": "start", "port": -1}, "/port"),
                ("POST", call + "recording", {"state": "start", "port": 1 << 40}, "/port"),
                ("PUT", "/v1/addresses/nobody/message-waiting", {"messages": 1.5}, "/messages"),
                ("PUT", call + "uui", {"uui": "x" * 65537}, "/uui")):
            with self.subTest(method + " " + path + " " + json.dumps(body)[:80]):
                self.refused(400, "bad-request", method, path, body, pointer=pointer)

    def test_no_body(self):
        """It may be left out where all of it may; and nobody's data are emptied by forgetting it."""
        for command in self.commands:
            answer = self.send(command.method, command.path)
            if command.is_free:
                self.assert_problem(answer, 400, "bad-request")
            elif {} in command.bodies:
                self.assertIn(answer.status, (404, 409, 501), (command, answer))
            elif answer.status != 404:
                self.assert_problem(answer, 400, "bad-request")
        answer = self.send("PATCH", "/v1/calls/nobody/data", "{}", headers={"Content-Type": "application/merge-patch+json"})
        self.assertIn(answer.status, (404, 409), answer)

    def test_too_large(self):
        try:
            self.refused(413, "body-too-large", "PUT", "/v1/calls/nobody/data", {"a": "x" * (2 * 1024 * 1024)})
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused while it was still being sent

    def test_framing(self):
        """A body in chunks, and two requests in one packet: what is wiped of the first is not the second's."""
        head = "POST /v1/calls/nobody/%s HTTP/1.1\r\nHost: x\r\nAuthorization: " + bearer("everything")["Authorization"] + \
               "\r\nContent-Type: application/json\r\n"
        chunked = (head % "dtmf" + "Transfer-Encoding: chunked\r\n\r\n9\r\n{\"digits\"\r\n6\r\n:\"12\"}\r\n0\r\n\r\n").encode()
        plain = (head % "transfer" + "Content-Length: 25\r\n\r\n{\"to\":\"1\",\"mode\":\"dunno\"}").encode()
        last = (head % "answer" + "Connection: close\r\nContent-Length: 2\r\n\r\n[]").encode()
        answer = raw(self.gate.port, chunked + plain + last).decode()
        self.assertEqual(re.findall(r"HTTP/1.1 (\d+)", answer), ["404", "400", "400"])
        self.assertIn("/mode", answer)

    # ---- header fields and query ----

    def test_fields(self):
        at = ("POST", "/v1/calls/nobody/answer", {})
        for lease in ("", "x", "A" * 42, "A" * 44, "A" * 42 + "+", "A" * 42 + "="):
            self.assertNotIn("AAA", self.refused(400, "bad-request", *at, lease=lease).json["detail"])
        for key in ("", "x" * 256, "a b", '"', '"a', '"a"b', '"a\\b"', '""', '"' + "x" * 256 + '"', '"a b"'):
            self.refused(400, "bad-request", *at, key=key)
        for key in ("x", "x" * 255, '"x"', '"' + "x" * 255 + '"', '"a\\"\\\\b"', "8e03978e-40d5-43dd-bc93-6894a57f9324"):
            self.assertIn(self.send(*at, key=key).status, (404, 409), key)
        for prefer in ("", "wait", "wait=x", "wait=5;a=b", "respond-async, wait=10", 'foo="a, wait=1", wait=2', "wait=99999999999999"):
            self.assertIn(self.send(*at, headers={"Prefer": prefer}).status, (404, 409), prefer)

    def test_fields_twice(self):
        for name, value in (("Control-Lease", LEASE), ("Idempotency-Key", "k"), ("CCT-User", "supervisor"),
                            ("Content-Type", "application/json")):
            before = self.sim.counters()["total"]
            connection = http.client.HTTPConnection("127.0.0.1", self.gate.port, timeout=BOUND)
            connection.putrequest("POST", "/v1/calls/nobody/answer")
            fields = [("Authorization", bearer("everything")["Authorization"]), ("Content-Length", "2"), (name, value), (name, value)]
            fields += [] if name == "Content-Type" else [("Content-Type", "application/json")]
            for field in fields:
                connection.putheader(*field)
            connection.endheaders(b"{}")
            answer = connection.getresponse()
            problem = json.loads(answer.read())
            connection.close()
            self.assertEqual((answer.status, problem["type"]), (400, "/problems/bad-request"), name)
            self.assertIn(name.lower(), problem["detail"])
            self.assertEqual(self.sim.counters()["total"], before)

    def test_query(self):
        for method, path in (("POST", "/v1/calls/nobody/answer"), ("PUT", control_of("nobody")), ("POST", "/v1/calls")):
            for query in ("force=true", "x", "limit=1", "wait=5"):
                self.refused(400, "bad-request", method, path + "?" + query, {"profile": "FullControl", "to": "1"}, pointer=None)
        for query in ("force", "force=", "force=1", "force=TRUE", "x=1", "force=true&x=1"):
            self.refused(400, "bad-request", "DELETE", control_of("nobody") + "?" + query)
        for query in ("", "force=true", "force=false"):
            self.assertIn(self.send("DELETE", control_of("nobody") + "?" + query).status, (404, 409))

    # ---- the catalogue ----

    def test_catalogue(self):
        answer = "/v1/services/TerminalConnectionService/Answer"
        self.refused(400, "bad-request", "POST", answer, {}, who="hand")
        self.refused(400, "bad-request", "POST", answer, {"terminalConnection": {"x": 1}}, who="hand")
        self.refused(403, "forbidden", "POST", answer, {}, who="onlooker")
        self.refused(400, "bad-request", "POST", "/v1/services/AgentService/GetVersion", "[]", who="hand", pointer="")
        self.refused(400, "user-required", "POST", "/v1/services/UserService/GetAgents", {}, who="several")
        self.refused(405, "method-not-allowed", "PUT", answer, {})
        for service, operation in (("UserService", "LogIn"), ("UserService", "LogOff"), ("NotificationProducer", "Subscribe")):
            told = self.gate.get("/v1/services/%s/%s" % (service, operation), "everything")
            if told.status == 200:
                self.refused(403, "forbidden", "POST", "/v1/services/%s/%s" % (service, operation), told.json["examples"]["input"],
                             who="hand")
        self.assertEqual(self.send("POST", "/v1/services/AgentService/GetVersion").status, 200)

    # ---- who controls, and the audit log ----

    def test_control_is_seen_with_its_agent(self):
        told = self.gate.get(control_of("2001"), "agent2001")
        self.assertEqual(told.status, 200, told)
        self.assertEqual(set(told.json) >= {"instances", "reservation"}, True, told)
        for agent in ("2002", "nobody"):
            there = self.gate.get("/v1/agents/" + agent, "agent2001")
            self.assert_problem(there, 404, "not-found")
            self.assertEqual(self.gate.get(control_of(agent), "agent2001").body, there.body)
        self.assert_problem(self.gate.get(control_of("2001"), "campaigner"), 403)
        self.assert_problem(self.gate.get(control_of("2001") + "?x=1", "agent2001"), 400)

    def test_audit_form(self):
        self.assert_problem(self.gate.get("/v1/audit", "hand"), 403, "forbidden")
        for query in ("limit=0", "limit=1001", "limit=x", "limit=", "before=0", "before=-1", "before=99999999999999999999", "agent",
                      "agent=%zz", "x=1", "since=yesterday", "since=2026-13-01T00:00:00Z", "since=2026-02-30T00:00:00Z",
                      "since=2026-01-01T00:00:00", "since=2026-01-01", "until=2026-01-01T24:00:00Z", "until=2026-01-01T00:00:00.Z"):
            self.assert_problem(self.gate.get("/v1/audit?" + query, "operator"), 400, "bad-request")
        for number in range(5):
            self.send("PUT", control_of("2001") + "/reservation", {"application": "Agent Desktop"})
            self.send("DELETE", control_of("2001") + "/reservation")
        whole = self.gate.get("/v1/audit?agent=2001", "operator").json
        self.assertIsNone(whole["next"])
        self.assertGreaterEqual(len(whole["items"]), 10)
        self.assertEqual([e["seq"] for e in whole["items"]], sorted((e["seq"] for e in whole["items"]), reverse=True))
        pages, at = [], "/v1/audit?limit=3&agent=2001&application=everything"
        while at:
            answer = self.gate.get(at, "operator")
            self.assertLessEqual(len(answer.json["items"]), 3)
            pages += answer.json["items"]
            link = re.fullmatch(r'<([^>]*)>; rel="next"', answer.headers.get("link", ""))
            self.assertEqual(link is None, answer.json["next"] is None)
            at = link.group(1) if link else None
        self.assertEqual(pages, whole["items"])
        middle = whole["items"][4]["time"]
        for stamp in (middle, middle.replace("Z", "+00:00"), middle.lower()):
            later = self.gate.get("/v1/audit?agent=2001&since=" + stamp, "operator").json["items"]
            earlier = self.gate.get("/v1/audit?agent=2001&until=" + stamp, "operator").json["items"]
            self.assertEqual(later + earlier, whole["items"], stamp)
            self.assertTrue(later and earlier)
        what = whole["items"][0]["what"]
        self.assertEqual(self.gate.get("/v1/audit?agent=2001&what=" + what, "operator").json["items"],
                         [e for e in whole["items"] if e["what"] == what])
        self.assertEqual(self.gate.get("/v1/audit?agent=2001&application=nobody", "operator").json["items"], [])

    # ---- pages of other origins ----

    def test_cors(self):
        for command in self.commands:
            answer = exchange(self.gate.port, "OPTIONS", command.path,
                              {"Origin": ORIGIN, "Access-Control-Request-Method": command.method})
            self.assertEqual(answer.status, 204, (command, answer))
            self.assertEqual(answer.headers["access-control-allow-origin"], ORIGIN)
            self.assertIn(command.method, answer.headers["access-control-allow-methods"].split(", "))
            allowed = {h.strip() for h in answer.headers["access-control-allow-headers"].split(",")}
            self.assertGreaterEqual(allowed, {"authorization", "content-type", "control-lease", "idempotency-key", "prefer",
                                              "cct-user", "if-none-match"})
        answer = self.send("POST", "/v1/calls/nobody/answer", {}, headers={"Origin": ORIGIN})
        self.assertEqual(answer.headers["access-control-allow-origin"], ORIGIN)
        exposed = {h.strip() for h in answer.headers["access-control-expose-headers"].split(",")}
        self.assertGreaterEqual(exposed, {"etag", "cache-status", "retry-after", "preference-applied", "idempotency-replayed"})
        self.assertEqual([v for k, v in answer.fields if k == "vary"], ["Origin"])
        self.assert_problem(exchange(self.gate.port, "OPTIONS", "/v1/calls", {"Origin": "https://evil.example"}), 403)
        answer = self.send("POST", "/v1/calls/nobody/answer", {}, headers={"Origin": "https://evil.example"})
        self.assertNotIn("access-control-allow-origin", answer.headers)

    # ---- the same by WebSocket ----

    def test_same_as_http(self):
        """Status and problem of each are those of HTTP; `id` comes back as it was."""
        rows = [(c.method, c.path, body) for c in self.commands for body in c.bodies + [dict(c.bodies[0], noSuchMember=1)]]
        rows = [(m, p, dict(b, **{"from": {"agent": "nobody"}}) if p == "/v1/calls" else b) for m, p, b in rows]
        rows += [("POST", "/v1/calls/nobody/answer?x=1", {}), ("DELETE", control_of("nobody") + "?force=maybe", {}),
                 ("DELETE", control_of("nobody") + "?force=true", {}), ("POST", "/v1/nothing", {}), ("POST", "/v1/calls/%zz/answer", {}),
                 ("POST", "/v1/calls/" + "9" * 300 + "/answer", {}), ("POST", "/v1/calls/nobody/%61nswer", {}),
                 ("POST", "/v1/services/Nothing/Nothing", {}), ("POST", "/v1/services/AgentService/IsLoggedIn", {"agent": 1}),
                 ("POST", "/v1/services/TerminalConnectionService/Answer", {}), ("PUT", "/v1/calls/nobody/answer", {}),
                 ("POST", "/v1/services/AgentService/GetVersion", {}), ("POST", "/" + "x" * 2000, {})]
        for who in ("everything", "onlooker"):
            with Speaker(self.gate.port, who) as ws:
                for number, (method, path, body) in enumerate(rows):
                    if who == "onlooker" and path.split("?")[0].endswith("/control"):
                        continue
                    by_http = self.send(method, path, body, who, lease=LEASE)
                    answer = ws.command(method, path, body, id=number, lease=LEASE)
                    self.assertEqual((answer["op"], answer["id"], answer["status"]), ("result", number, by_http.status),
                                     (who, method, path, body, answer, by_http))
                    if by_http.status >= 400:
                        self.assertEqual(answer["body"]["type"], by_http.json["type"])
                        if by_http.status == 400 and "pointer" in by_http.json:
                            self.assertEqual(answer["body"].get("pointer"), by_http.json["pointer"])
                    else:
                        self.assertEqual(answer["body"], by_http.json)

    def test_messages(self):
        """What only a message can have wrong."""
        before = self.sim.counters()["total"]
        plain = {"op": "command", "method": "POST", "path": "/v1/calls/nobody/answer"}
        rows = [({"method": None}, 400, "/method"), ({"method": 1}, 400, "/method"), ({"path": None}, 400, "/path"),
                ({"path": "v1/calls"}, 400, "/path"), ({"path": 7}, 400, "/path"), ({"body": []}, 400, ""), ({"body": "x"}, 400, ""),
                ({"lease": 1}, 400, "/lease"), ({"lease": "short"}, 400, None), ({"idempotencyKey": ""}, 400, None),
                ({"idempotencyKey": 1}, 400, "/idempotencyKey"), ({"wait": "5"}, 400, "/wait"), ({"wait": -1}, 400, "/wait"),
                ({"wait": 1.5}, 400, "/wait"), ({"user": "agent2006"}, 403, "/user"), ({"user": 1}, 400, "/user"),
                ({"method": "GET"}, 405, "/method"), ({"method": "HEAD"}, 405, "/method"), ({"method": "OPTIONS"}, 405, "/method"),
                ({"method": "POST" * 9}, 405, "/method"), ({"path": "/v1/events/ticket"}, 405, "/method"),
                ({"path": "/healthz"}, 405, "/method"), ({"path": "/v1/audit", "method": "GET"}, 405, "/method")]
        with Speaker(self.gate.port, "everything") as ws:
            for number, (change, status, pointer) in enumerate(rows):
                for id in ("s%d" % number, number, None):
                    answer = ws.ask(**{k: v for k, v in dict(plain, id=id, **change).items() if v is not None or k == "id"})
                    self.assertEqual((answer["op"], answer["id"], answer["status"]), ("result", id, status), (change, answer))
                    self.assertEqual(answer["body"].get("pointer"), pointer, (change, answer))
            self.assertIn("snapshot", ws.ask(**dict(plain, method="GET"))["body"]["detail"])
            for op in ("renew", "bind"):
                for lease, status in ((None, 400), ("short", 400), (7, 400), (LEASE, 409)):
                    message = {"op": op, "lease": lease} if lease is not None else {"op": op}
                    answer = ws.ask(id=None, **message)
                    self.assertEqual((answer["op"], answer["id"], answer["status"]), ("result", None, status), (message, answer))
            self.assertNotIn("A" * 20, json.dumps(ws.ask(op="renew", lease=LEASE)))
        self.assertEqual(self.sim.counters()["total"], before)

    def test_a_bound_on_what_is_under_way(self):
        """Reads of the catalogue that the contact centre leaves waiting: the next is refused, and goes when there is room."""
        limit = 64
        read = {"op": "command", "method": "POST", "path": "/v1/services/UserService/GetAgents"}
        with WebSocket(self.gate.port, "everything") as ws:
            self.assertEqual(ws.hello["limits"]["commands"], limit)
            self.sim.latency(5000)
            for number in range(limit + 1):
                ws.send(dict(read, id=number))
            first = ws.receive_op("result")
            self.sim.latency(0)
            self.assertEqual((first["id"], first["status"], first["body"]["type"]), (limit, 429, "/problems/too-many"))
            answers = [ws.receive_op("result") for _ in range(limit)]
            self.assertEqual({a["id"] for a in answers}, set(range(limit)))
            self.assertEqual({a["status"] for a in answers}, {200})
            ws.send(dict(read, id="again"))
            self.assertEqual(ws.receive_op("result")["status"], 200)

    def test_an_answer_to_nobody(self):
        """Who leaves is not waited for; what was asked for is done all the same."""
        before = self.sim.calls("UserService.GetAgents")
        self.sim.latency(500)
        with WebSocket(self.gate.port, "everything") as ws:
            ws.send({"op": "command", "method": "POST", "path": "/v1/services/UserService/GetAgents"})
            eventually(lambda: self.sim.calls("UserService.GetAgents") > before, "called")
        connection = self.gate.connect()
        connection.request("POST", "/v1/services/UserService/GetAgents", "{}", dict(bearer("everything"), **JSON))
        connection.close()
        self.sim.latency(0)
        self.assertEqual(self.send("POST", "/v1/services/UserService/GetAgents", {}).status, 200)

    def test_no_secret_is_told(self):
        secrets = ("pass-word-4711", "9876543210", "Zx" * 21 + "Q")
        for method, path, body in (("POST", "/v1/agents/2001/login", {"password": secrets[0], "initialState": "NO"}),
                                   ("POST", "/v1/calls/nobody/dtmf", {"digits": secrets[1], "x": secrets[0]}),
                                   ("POST", "/v1/calls/nobody/dtmf", {"digits": secrets[1]}),
                                   ("POST", "/v1/services/AgentService/Login", {"agent": secrets[1], "password": secrets[0]})):
            answer = self.send(method, path, body, lease=secrets[2])
            self.assertGreaterEqual(answer.status, 400)
            with Speaker(self.gate.port, "everything") as ws:
                said = ws.command(method, path, body, lease=secrets[2])
            for secret in secrets:
                self.assertNotIn(secret, answer.body.decode() + json.dumps(said) + self.gate.child.text())
        audit = json.dumps(self.gate.get("/v1/audit", "operator").json)
        for secret in secrets:
            self.assertNotIn(secret, audit)


class Bound(Floor):
    """Which lease goes along on a connection that has got some."""

    def ready(self, ws, agent, **more):
        return ws.command("PUT", "/v1/agents/%s/readiness" % agent, {"ready": True}, **more)

    def setUp(self):
        super().setUp()
        self.no_control()

    def test_one(self):
        with Speaker(self.gate.port, "floor") as ws:
            self.assertEqual(self.ready(ws, "2002")["status"], 403)
            lease = ws.attach("2002")["lease"]
            self.assertLess(self.ready(ws, "2002")["status"], 300)
            self.assertEqual(self.ready(ws, "2003")["body"]["type"].rsplit("/", 1)[1][:7], "control")
            self.assertGreaterEqual(self.send("PUT", "/v1/agents/2002/readiness", {"ready": True}, "floor").status, 400)
            self.assertLess(self.send("PUT", "/v1/agents/2002/readiness", {"ready": True}, "floor", lease=lease).status, 300)
            again = ws.command("PUT", control_of("2002"), {"profile": "FullControl"})
            self.assertEqual(again["status"], 409, again)  # without a lease it is another instance
            self.assertLess(ws.command("DELETE", control_of("2002"))["status"], 300)
            self.assertEqual(self.ready(ws, "2002")["body"]["type"], "/problems/control-required")

    def test_several(self):
        with Speaker(self.gate.port, "floor") as ws, Speaker(self.gate.port, "floor") as other:
            for agent in ("2001", "2002"):
                ws.attach(agent)
            watching = ws.attach("2003", "MonitorOnly")["lease"]
            for agent in ("2001", "2002"):
                self.assertLess(self.ready(ws, agent)["status"], 300)
            self.assertEqual(self.ready(ws, "2003")["body"]["type"], "/problems/control-required")
            self.assertNotEqual(self.ready(ws, "2003", lease=watching)["status"], 200)
            self.assertEqual(self.ready(other, "2001")["body"]["type"], "/problems/control-held")
            made = ws.command("POST", "/v1/calls", {"from": {"agent": "2002"}, "to": "2003"})
            self.assertEqual(made["status"], 200, made)
            call = made["body"]["contactId"]
            dropped = ws.command("POST", "/v1/calls/%s/drop" % call, {"agent": "2002"})
            self.assertLess(dropped["status"], 300, dropped)

    def test_bind(self):
        with Speaker(self.gate.port, "floor") as ws:
            lease = self.attach("2002", "floor")["lease"]
            self.assertEqual(self.ready(ws, "2002")["status"], 409)
            told = ws.ask(op="bind", lease=lease)
            self.assertEqual((told["op"], told["status"], told["body"]["agent"]), ("result", 200, "2002"), told)
            self.assertNotIn("lease", told["body"])
            self.assertLess(self.ready(ws, "2002")["status"], 300)
            self.assertEqual(ws.ask(op="renew", lease=lease)["status"], 200)

    def test_lost(self):
        """A lease that is over is forgotten, so that the next one goes along."""
        with Speaker(self.gate.port, "floor") as ws:
            ws.attach("2002")
            self.no_control()
            self.assertEqual(self.ready(ws, "2002")["body"]["type"], "/problems/control-lost")
            self.assertEqual(self.ready(ws, "2002")["body"]["type"], "/problems/control-required")
            ws.attach("2002")
            self.assertLess(self.ready(ws, "2002")["status"], 300)


class Leaving(Floor):
    """Who goes before the answer has come leaves nothing behind that keeps others out."""
    gateway_options = dict(Floor.gateway_options, control={"ttlMs": 600000, "graceMs": 300})

    def test_before_the_answer(self):
        self.no_control()
        for _ in range(20):
            with WebSocket(self.gate.port, "floor") as ws:
                ws.send({"op": "command", "method": "PUT", "path": control_of("2002"), "body": {"profile": "FullControl"}})
            eventually(lambda: self.gate.get(control_of("2002"), "floor").json["instances"] == [], "free again")

    def test_after_the_answer(self):
        self.no_control()
        with Speaker(self.gate.port, "floor") as ws:
            ws.attach("2002")
            self.assertEqual(len(self.gate.get(control_of("2002"), "floor").json["instances"]), 1)
        eventually(lambda: self.gate.get(control_of("2002"), "floor").json["instances"] == [], "free again")


if __name__ == "__main__":
    harness.main()
