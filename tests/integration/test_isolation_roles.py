"""Function level: every role at every operation of every door; property level: what is in an object, and what may be put into one.

What a role may do stands here a second time, written from the interface's description, not from the program's tables."""
import itertools
import json

import guarding
import harness
import outbounding
from commanding import Speaker, call_command, control_of
from guarding import ACTORS, READERS, ROLES, Guarded, Maker, body_schemas, concrete, is_forbidden, kind_of, parameters, problem_of, resolve, routes
from websocket import EventStream, Refused, WebSocket

EVERYBODY, NO_TOKEN = READERS | {"campaigner"}, None
OPERATOR = {"operator"}

# Sets of roles that tokens have: each alone, each two together, all of them.
SETS = [frozenset(s) for n in (1, 2) for s in itertools.combinations(ROLES, n)] + [frozenset(ROLES)]


def name_of(roles):
    return "role:" + "+".join(sorted(roles))


harness.TOKENS.update({name_of(roles): ("token-of-" + "-".join(sorted(roles)), ["agent2002"], sorted(roles)) for roles in SETS})

# What needs no token.
PUBLIC = {("GET", "/openapi.json"), ("GET", "/asyncapi.json"), ("GET", "/metrics"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/"),
          ("GET", "/problems/{slug}"), ("POST", "/v1/sessions")}
# What is not read by readers, and commanded by controllers and supervisors.
EXCEPTIONS = {
    ("DELETE", "/v1/sessions"): EVERYBODY,  # who signed on may sign off
    ("POST", "/v1/sessions/failover"): OPERATOR,
    ("GET", "/v1/audit"): OPERATOR,
    ("GET", "/v1/events"): EVERYBODY,  # whoever works campaigns is told how its own jobs go on
    ("POST", "/v1/events/ticket"): EVERYBODY,
    ("PUT", "/v1/agents/{loginId}/control"): READERS,  # attaching: which profile is another question
    ("DELETE", "/v1/agents/{loginId}/control"): READERS,
    ("POST", "/v1/agents/{loginId}/control/transfer"): OPERATOR,
    ("PUT", "/v1/agents/{loginId}/control/reservation"): OPERATOR,
    ("DELETE", "/v1/agents/{loginId}/control/reservation"): OPERATOR,
    ("POST", "/v1/calls/{contactId}/recording"): {"controller", "recorder"},
}
PROFILES = {"FullControl": ACTORS, "MonitorOnly": READERS, "CallRecorder": {"recorder"}}


def may(method, path, kind=None):
    """The roles that may; NO_TOKEN: whoever comes. `kind` is that of an operation of the contract."""
    if (method, path) in PUBLIC:
        return NO_TOKEN
    if (method, path) in EXCEPTIONS:
        return EXCEPTIONS[method, path]
    if path.startswith("/v1/outbound"):
        return OPERATOR | {"campaigner"}
    if method == "GET":
        return READERS
    if path.startswith("/v1/services/"):
        operation = path.rsplit("/", 1)[1]
        if kind == "command" and operation in ("StartRecording", "StopRecording"):
            return {"controller", "recorder"}
        return {"read": READERS, "command": ACTORS}.get(kind, OPERATOR)
    return ACTORS


class Roles(Guarded):
    def setUp(self):
        super().setUp()
        self.connection = self.gate.connect()

    def tearDown(self):
        self.connection.close()
        super().tearDown()

    def ask(self, method, path, who, body=None, headers=None):
        return call_command(self.gate.port, method, path, who, body, connection=self.connection, headers=headers)

    def operations_of_contract(self):
        """(service, operation, kind) of the contact centre's own services."""
        for service in self.gate.get("/v1/services", "mine").json["items"]:
            if not service["name"].startswith("Outbound") and service["name"] != "NotificationConsumer":
                for operation in service["operations"]:
                    yield service["name"], operation["name"], operation["kind"]

    def check(self, answer, roles, wanted, *what):
        """A refusal for the roles, or an answer that is about something else."""
        granted = wanted is NO_TOKEN or bool(roles & wanted)
        refused = answer.status == 401 if wanted is not NO_TOKEN and not roles else is_forbidden(answer)
        self.cell(refused != granted and (granted or answer.status in (401, 403)), *what, sorted(roles), answer, granted=granted)

    def test_routes(self):
        """Every method of every path by every set of roles, and without a token. What would act is sent with a body that is wrong, so
        that whoever is let through is told so, and nothing happens."""
        kinds = {"/v1/services/%s/%s" % (s, o): k for s, o, k in self.operations_of_contract()}
        for method, path, _ in routes(self.gate)[0]:
            if path == "/v1/events" or path.startswith(("/v1/services/Outbound", "/v1/services/NotificationConsumer")):
                continue
            if path.startswith("/v1/services/") and method == "POST" and path not in kinds:
                continue  # the template of what is asked one by one
            place = concrete(path, *(self.absent(kind_of(path)) if kind_of(path) else "x", "y")[:len(parameters(path))])
            body = {"noSuchMember": 1} if method not in ("GET", "DELETE") or kind_of(path) else None
            body = None if method == "GET" else body
            wanted = may(method, path, kinds.get(path))
            before = self.operations()
            for roles in [frozenset()] + SETS:
                who = name_of(roles) if roles else None
                self.check(self.ask(method, place, who, body), roles, wanted, method, path)
            after = self.operations()
            if after != before:
                self.wrong.append((method, path, "the contact centre was asked", {k for k in after if after[k] != before.get(k)}))

    def test_events(self):
        """A stream, in both forms."""
        for roles in [frozenset()] + SETS:
            for open_it in (lambda who: WebSocket(self.gate.port, who), lambda who: EventStream(self.gate.port, who)):
                status = 101
                try:
                    open_it(name_of(roles) if roles else None).sock.close()
                except Refused as refused:
                    status = refused.status
                granted = bool(roles & EVERYBODY)
                self.cell(status == (101 if granted else 403 if roles else 401), sorted(roles), status, granted=granted)

    def test_catalogue(self):
        """Every operation of the contract, over HTTP and over a WebSocket, by each role alone and by all together."""
        each = [s for s in SETS if len(s) != 2]
        speakers = {s: Speaker(self.gate.port, name_of(s)) for s in each}
        for service, operation, kind in self.operations_of_contract():
            path, before = "/v1/services/%s/%s" % (service, operation), self.operations()
            for roles in each:
                wanted = may("POST", path, kind)
                self.check(self.ask("POST", path, name_of(roles), {"noSuchMember": 1}), roles, wanted, path, kind)
                answer = speakers[roles].command("POST", path, {"noSuchMember": 1})
                granted = bool(roles & wanted)
                self.cell(answer["status"] == (400 if granted else 403), path, kind, sorted(roles), answer, granted=granted)
            if self.operations() != before:
                self.wrong.append((path, "the contact centre was asked"))
        for speaker in speakers.values():
            speaker.ws.sock.close()

    def test_websocket(self):
        """Every operation of a WebSocket, and every command over one."""
        with WebSocket(self.gate.port, "mine") as ws:
            ws.send({"op": "nothing"})
            detail = ws.receive_op("error")["problem"]["detail"]
        known = {"subscribe", "unsubscribe", "ack", "ping", "renew", "bind", "command"}
        self.assertEqual(known, {w.strip(",") for w in detail.replace(" or ", " ").split(" ")[1:]})
        commands = [(m, p) for m, p, _ in routes(self.gate)[0] if m != "GET" and p.startswith("/v1/") and
                    not p.startswith(("/v1/services", "/v1/sessions", "/v1/events", "/v1/outbound"))]
        before = self.operations()
        for roles in SETS:
            with Speaker(self.gate.port, name_of(roles)) as speaker:
                ws = speaker.ws
                for message, wanted in (({"op": "subscribe", "id": "s"}, "subscribed"), ({"op": "unsubscribe", "id": "s"}, "unsubscribed"),
                                        ({"op": "ping", "id": "p"}, "pong")):
                    ws.send(message)
                    answer = ws.receive_op(wanted, "error")
                    self.cell(answer["op"] == wanted, message, sorted(roles), answer, granted=True)
                ws.send({"op": "ack", "seq": 1})  # is not answered
                for op in ("renew", "bind"):
                    answer = speaker.ask(op=op, lease="A" * 43)
                    granted = bool(roles & READERS)
                    self.cell(answer["status"] == (409 if granted else 403), op, sorted(roles), answer, granted=granted)
                for method, path in commands:
                    granted = bool(roles & may(method, path))
                    place = concrete(path, *(self.absent(kind_of(path)) if kind_of(path) else "x", "y")[:len(parameters(path))])
                    answer = speaker.command(method, place, {"noSuchMember": 1})
                    told = answer.get("body") or {}
                    forbidden = answer["status"] == 403 and told.get("type") == "/problems/forbidden"
                    self.cell(forbidden != granted, method, path, sorted(roles), answer, granted=granted)
                for method, path in (("POST", "/v1/sessions/failover"), ("POST", "/v1/sessions"), ("DELETE", "/v1/sessions"),
                                     ("POST", "/v1/events/ticket"), ("GET", "/v1/audit"), ("GET", "/v1/agents")):
                    answer = speaker.command(method, path, {})
                    self.cell(answer["status"] == 405, method, path, sorted(roles), answer)
        if self.operations() != before:
            self.wrong.append(("the contact centre was asked",))

    def test_profiles(self):
        """Which profile of control a role may attach with, and who may end another's."""
        for roles in SETS:
            for profile, wanted in PROFILES.items():
                answer = self.untouched(lambda: self.ask("PUT", control_of("2002"), name_of(roles), {"profile": profile}), roles, profile)
                granted = bool(roles & wanted)
                self.cell(answer.status == (200 if granted else 403), profile, sorted(roles), answer, granted=granted)
                if answer.status == 200:
                    self.ask("DELETE", control_of("2002"), name_of(roles), headers={"Control-Lease": answer.json["lease"]})
            answer = self.ask("DELETE", control_of("2002") + "?force=true", name_of(roles))
            granted = "operator" in roles
            self.cell(is_forbidden(answer) != granted, "force", sorted(roles), answer, granted=granted)

    def test_sessions(self):
        """All sessions are an operator's to see, else those of the token's users."""
        for roles in SETS:
            if not roles & READERS:
                continue
            users = {i["user"] for i in self.gate.get("/v1/sessions", name_of(roles)).json["items"]}
            expected = {"supervisor", "agent2002", "agent2003", "agent2004"} if "operator" in roles else {"agent2002"}
            self.cell(users == expected, sorted(roles), users, granted=True)


# ---- property level ----

# What no answer has, whatever it is about.
SECRET_MEMBERS = {"ssoToken", "token", "password", "agentPassword", "sessionKey", "sha256", "secret", "credential", "hash", "salt", "lease",
                  "jwt", "bearer", "ticket", "key", "consumerPath", "subscriptionId", "reference"}
# Where they belong: the answer that gives them, once.
GIVERS = {"lease": ("PUT", "/v1/agents/{loginId}/control"), "token": ("POST", "/v1/sessions"), "ticket": ("POST", "/v1/events/ticket")}


def members(value, at=""):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, at + "/" + name, inner
            yield from members(inner, at + "/" + name)
    elif isinstance(value, list):
        for inner in value:
            yield from members(inner, at + "/-")


class Properties(Guarded):
    def test_what_is_inside(self):
        """A reader sees of an object what every other sees; nobody sees a secret, its hash, or whose session it was read by."""
        lease = call_command(self.gate.port, "PUT", control_of("2002"), "mine", {"profile": "FullControl"}).json["lease"]
        secrets = [lease, harness.PASSWORD] + [t[0] for t in harness.TOKENS.values()] + [s["token"] for s in self.sim.state()["sessions"]]
        for method, path, _ in routes(self.gate)[0]:
            if method != "GET" or path == "/v1/events" or path in ("/openapi.json", "/asyncapi.json"):
                continue
            if parameters(path) and kind_of(path) is None:
                continue
            place = concrete(path, self.objects["2002"].get(kind_of(path), ""), "case")
            seen = {}
            for roles in SETS:
                answer = self.gate.get(place, name_of(roles))
                text = answer.body.decode()
                found = [s for s in secrets if s in text]
                names = [] if "json" not in answer.headers.get("content-type", "") else [
                    at for name, at, _ in members(answer.json) if name in SECRET_MEMBERS]
                self.cell(not found and not names, place, sorted(roles), found, names, granted=answer.status == 200)
                if answer.status == 200 and kind_of(path):
                    seen.setdefault(answer.body, set()).add(roles)
            self.cell(len(seen) <= 1 or kind_of(path) is None, place, seen.keys(), granted=True)
        call_command(self.gate.port, "DELETE", control_of("2002"), "mine", lease=lease)

    def test_shared_call(self):
        """Who is in a call sees its other party by name, and nothing more of it."""
        call = self.sim.admin("POST", "/calls", {"from": "2002", "to": "2003", "answer": True})["contactId"]
        self.settle()
        for who, other in (("mine", "2003"), ("other", "2002")):
            whole = self.gate.get("/v1/calls/" + call, who)
            self.cell(whole.status == 200, who, whole, granted=True)
            for kind in ("agents", "terminals", "addresses", "users"):
                answer = self.untouched(lambda: self.gate.get(guarding.of(kind, self.objects[other][kind]), who), who, kind)
                self.denied_like(answer, self.gate.get(guarding.of(kind, self.absent(kind)), who), who, kind)
            self.cell(self.objects[other]["calls"] not in whole.body.decode(), who, "the other's other calls", granted=True)
        self.sim.admin("POST", "/calls/%s/end" % call)
        self.settle()

    # What clients read and never write, at any object.
    READ_ONLY = {"loginId": "2003", "userName": "x", "agentType": "Supervisor", "loginStatus": "LOGGED_IN", "presence": "ready",
                 "capabilities": {"canDrop": True}, "control": {"profile": "FullControl"}, "sync": "live", "staleSince": None,
                 "fence": 1, "lease": "A" * 43, "expiresAt": "2099-01-01T00:00:00Z", "owner": "agent2003", "users": ["*"],
                 "roles": ["operator"], "user": "supervisor", "ssoToken": {"token": "x"}, "token": "x", "every_user": True,
                 "__proto__": {"x": 1}, "constructor": {}, "": "x"}
    # What takes any member, for the members are what it is about.
    FREE = {"/v1/calls/{contactId}/data", "/v1/calls/{contactId}/intrinsics"}

    def test_mass_assignment(self):
        """A member that the body does not have is refused by name, wherever it stands; nothing is done."""
        lease = call_command(self.gate.port, "PUT", control_of("2002"), "mine", {"profile": "FullControl"}).json["lease"]
        found, document = routes(self.gate)
        maker = Maker(to="+35391555001", terminal="Line 1.0.2", agent="2002", address="52002", supervisor="2001")
        connection, before = self.gate.connect(), self.operations()
        for method, path, operation in found:
            schemas = body_schemas(document, operation)
            if not schemas or path in self.FREE or path.startswith("/v1/services/"):
                continue
            who = "every" if may(method, path) == OPERATOR else "outbound" if path.startswith("/v1/outbound") else "mine"
            place = concrete(path, self.objects["2002"].get(kind_of(path), "101"), "case" if who != "outbound" else "10200001")
            first = {} if who == "outbound" else {"agent": "2002"}
            for schema in schemas:
                if schema.get("type") == "array":
                    continue  # of contacts: below
                body = maker.instance(schema, document) or {}
                known = set(schema.get("properties", {}))
                trials = [(name, dict(body, **{name: value})) for name, value in self.READ_ONLY.items() if name not in known]
                for name, inner in schema.get("properties", {}).items():
                    inner = resolve(document, inner)
                    if inner.get("type") == "object" and "properties" in inner:
                        trials += [("%s/%s" % (name, n), dict(body, **{name: dict(maker.instance(inner, document) or first, **{n: v})}))
                                   for n, v in self.READ_ONLY.items() if n not in inner["properties"]]
                for name, wrong in trials:
                    answer = call_command(self.gate.port, method, place, who, wrong, lease=lease if who == "mine" else None,
                                          connection=connection)
                    self.cell(answer.status == 400 and answer.json.get("pointer", "-") in ("/" + name, "/" + name.split("/")[0]), method, path, name, wrong, answer)
        if self.operations() != before:
            self.wrong.append(("the contact centre was asked",))
        connection.close()
        call_command(self.gate.port, "DELETE", control_of("2002"), "mine", lease=lease)

    # What a contact on the wire has, and what belongs to the campaign, the call, or the contact centre's books.
    NOT_A_CONTACTS = dict(READ_ONLY, SkillsetID=1, CampaignID=102, campaignId=102, campaignID=102, contact={"skillsetId": 1}, sessionKey="x",
                          SessionKey="x", sessionkey="x", password="x", disposition="Completed", status="Closed")

    def test_mass_assignment_of_contacts(self):
        """The same of the contacts of each form of body, in whichever row; none is queued for the others that are good."""
        path, good = outbounding.CAMPAIGNS + "/101/contacts", {"skillsetId": 10001}
        lines = lambda *rows: "\n".join(json.dumps(row) for row in rows)
        connection, before = self.gate.connect(), self.operations()
        for name, value in self.NOT_A_CONTACTS.items():
            wrong = dict(good, **{name: value})
            header = "skillsetId,%s\n10001,x\n" % name
            for kind, body in (("application/json", json.dumps(wrong)), ("application/json", json.dumps([good, wrong])),
                               ("application/x-ndjson", lines(good, wrong, good)), ("text/csv", header)):
                for who in ("outbound", "every"):
                    answer = call_command(self.gate.port, "POST", path, who, body, headers={"Content-Type": kind}, connection=connection)
                    rows = answer.json.get("rows", [{}])
                    self.cell(answer.status == 400 and (kind == "text/csv" or rows[0].get("pointer") == "/" + name), who, kind, body, answer)
        for name in ("contactId", "campaignId", "sessionKey", "customField"):
            for body in ({"disposition": "Completed", name: "1"}, {name: "1"}):
                answer = call_command(self.gate.port, "POST", path + "/10200001/close", "outbound", body, connection=connection)
                self.cell(answer.status == 400 and answer.json["pointer"] == "/" + name, "close", body, answer)
        self.cell(self.gate.get("/v1/outbound/jobs", "every", connection=connection).json["items"] == [], "a job", granted=True)
        if self.operations() != before:
            self.wrong.append(("the contact centre was asked",))
        connection.close()

    def test_mass_assignment_of_the_catalogue(self):
        """The same of every operation of the contract: the session's token, and what the contract does not have."""
        connection, before = self.gate.connect(), self.operations()
        for service in self.gate.get("/v1/services", "mine").json["items"]:
            if service["name"].startswith("Outbound") or service["name"] == "NotificationConsumer":
                continue
            for operation in service["operations"]:
                path = "/v1/services/%s/%s" % (service["name"], operation["name"])
                body = self.gate.get(path, "every", connection=connection).json["examples"]["input"]
                for name in ("ssoToken", "token", "user", "noSuchMember"):
                    if name in body:
                        continue
                    answer = call_command(self.gate.port, "POST", path, "every", dict(body, **{name: {"token": "x"}}), connection=connection,
                                          headers={"CCT-User": "agent2002"})
                    self.cell(answer.status == 400 and problem_of(answer) == "bad-request", path, name, answer)
        if self.operations() != before:
            self.wrong.append(("the contact centre was asked",))
        connection.close()


if __name__ == "__main__":
    harness.main()
