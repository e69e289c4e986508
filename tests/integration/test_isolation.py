"""Object level: every resource by every token at every door. What is another's is the same to the byte as what does not exist, from the
cache too, and the contact centre does not hear of it. The tables are made of /openapi.json and of the contract: a new route is in them."""
import json

import harness
import outbounding
from command_table import OUTSIDE
from commanding import Speaker, call_command, control_of, line, of, position
from guarding import (HANDLE, KINDS, LONG, SEES, Guarded, Maker, body_schemas, concrete, form, handles, kind_of, parameters, put,
                      routes)
from harness import bearer, eventually, exchange
from websocket import EventStream, WebSocket

# what has a parameter and belongs to nobody
NOBODYS = ("/v1/services/", "/problems/", "/v1/outbound/campaigns/")
OF_APPLICATIONS = "/v1/outbound/jobs/"  # Jobs has those
ME, OTHER = "2002", "2003"  # mine, and another's


def others_marks(t, who):
    """What of others must never be in anything that the token is told."""
    marks = []
    for owner in t.owners:
        if not t.sees(who, owner):
            marks += [json.dumps(owner), json.dumps(line(owner)), json.dumps(position(owner)), t.objects[owner]["calls"],
                      "data-of-" + owner, "agent" + owner]
    return marks


class Reads(Guarded):
    def test_every_path_is_known(self):
        """A parameter that names something that is somebody's has a kind here."""
        for _, path, _ in routes(self.gate)[0]:
            if parameters(path) and not path.startswith(NOBODYS + (OF_APPLICATIONS,)):
                self.assertIn(kind_of(path), KINDS, path)

    def variants(self, etag):
        return (("GET", {}), ("GET", {"If-None-Match": etag}), ("GET", {"If-None-Match": "*"}),
                ("GET", {"Cache-Control": "only-if-cached"}), ("GET", {"Cache-Control": "only-if-cached", "If-None-Match": etag}),
                ("GET", {"Cache-Control": "max-stale"}), ("HEAD", {}), ("HEAD", {"If-None-Match": etag}))

    def seen(self, path, kind, owner):
        """Somebody's who may: what there is to be seen, and its ETag."""
        who = next(w for w in SEES if self.sees(w, owner, kind)) if kind != "users" or owner != "2005" else None
        if who is None:
            return '"1-l"'
        answer = self.gate.get(concrete(path, self.objects[owner][kind], "case"), who)
        self.assertEqual(answer.status, 200, (who, path, answer))
        return answer.headers.get("etag", '"1-l"')

    def test_reads(self):
        """GET and HEAD of every path with a parameter: plain, with validators, and what only the cache may answer."""
        connection = self.gate.connect()
        def get(path, method, headers, who):
            return exchange(self.gate.port, method, path, dict(bearer(who), **headers), connection=connection)
        absent = {}
        for method, path, _ in routes(self.gate)[0]:
            kind = kind_of(path)
            if method != "GET" or kind is None:
                continue
            for owner in self.owners:
                etag = self.seen(path, kind, owner)
                for who in SEES:
                    granted, before = self.sees(who, owner, kind), self.operations()
                    for number, variant in enumerate(self.variants(etag)):
                        answer = get(concrete(path, self.objects[owner][kind]), *variant, who)
                        if granted:
                            self.cell(answer.status in (200, 304), who, variant, path, owner, answer, granted=True)
                            continue
                        if (path, who, number) not in absent:
                            absent[path, who, number] = get(concrete(path, self.absent(kind)), *variant, who)
                        self.denied_like(answer, absent[path, who, number], who, variant, path, owner)
                        self.cell(answer.status == (403 if who == "outbound" else 404), who, variant, path, owner, answer)
                    if not granted and self.operations() != before:
                        self.wrong.append((who, path, owner, "the contact centre was asked"))
        connection.close()

    def test_asked_anew(self):
        """`no-cache` reads the token's own lists again, and not what is another's."""
        for kind in KINDS:
            for who in self.strangers(OTHER, kind):
                get = lambda name: self.gate.get(of(kind, name), who, {"Cache-Control": "no-cache"})
                self.denied_like(get(self.objects[OTHER][kind]), get(self.absent(kind)), who, kind)

    def test_chosen_user(self):
        """Who names one of the token's users in CCT-User sees what that one sees; whom the token may not act for is nobody."""
        for kind in KINDS:
            for who, user, granted in (("twins", "agent2003", True), ("twins", "agent2002", False), ("every", "agent2002", False)):
                get = lambda name: self.gate.get(of(kind, name), who, {"CCT-User": user})
                answer = self.untouched(lambda: get(self.objects[OTHER][kind]), who, user, kind)
                if granted:
                    self.cell(answer.status == 200, who, user, kind, answer, granted=True)
                else:
                    self.denied_like(answer, get(self.absent(kind)), who, user, kind)
            ask = lambda user: self.gate.get(of(kind, self.objects[ME][kind]), "mine", {"CCT-User": user})
            self.untouched(lambda: self.denied_like(ask("agent2003"), ask("agent2999"), "mine", kind), kind)

    def test_lists(self):
        """A list has what the token sees and nothing else, whole and in pages, wherever a page begins."""
        truth = {user: self.sim.admin("GET", "/truth/" + user) for user in ("agent2002", "agent2003", "agent2004", "admin")}
        key = {"agents": "id", "terminals": "name", "addresses": "name", "calls": "contactId"}
        for who, users in SEES.items():
            if who == "outbound":
                continue
            for kind in KINDS:
                if kind == "users":
                    expected = set(users)
                else:
                    expected = {o[key[kind]] for u in users for o in truth["admin" if u == "supervisor" else u][kind]}
                for query in ("", "?limit=1", "?limit=2"):
                    found, path = [], "/v1/" + kind + query
                    while path:
                        answer = self.gate.get(path, who)
                        self.assertEqual(answer.status, 200, answer)
                        found += [i.get("loginId") or i.get("contactId") or i.get("name") or i.get("user") for i in answer.json["items"]]
                        link = answer.headers.get("link")
                        path = link[1:link.index(">")] if link else None
                    self.cell(len(found) == len(set(found)) and set(found) == expected, who, kind, query, set(found) ^ expected,
                              granted=True)
                after = self.gate.get("/v1/%s?after=%s" % (kind, concrete("{x}", self.objects[OTHER][kind])), who)
                names = {i.get("loginId") or i.get("contactId") or i.get("name") or i.get("user") for i in after.json["items"]}
                self.cell(names <= expected, who, kind, "after", names - expected, granted=True)

    def test_nothing_of_others(self):
        """Every GET that there is, read by every token: no name of another's object is in it."""
        for method, path, _ in routes(self.gate)[0]:
            if method != "GET" or path.startswith(("/problems/", "/v1/events")):
                continue
            for who in SEES:
                own = next((o for o in self.owners if self.sees(who, o)), None)
                kind = kind_of(path)
                if parameters(path) and (kind is None or own is None):
                    continue
                answer = self.gate.get(concrete(path, self.objects[own][kind] if kind else "", "case") if own else path, who)
                text = answer.body.decode()
                found = [m for m in others_marks(self, who) if m in text]
                self.cell(not found, who, path, found, granted=answer.status < 400)


class Commands(Guarded):
    """The commands of the table, over HTTP and over a WebSocket."""
    gateway_options = {"workstations": [{"name": "desk-of-2003", "terminal": line(OTHER)}]}

    @classmethod
    def open(cls):
        super().open()
        cls.leases = {}
        for who, agent in (("mine", ME), ("other", OTHER), ("twins", "2003"), ("signed", "2004")):
            if who != "twins":
                answer = call_command(cls.gate.port, "PUT", control_of(agent), who, {"profile": "FullControl"})
                assert answer.status == 200, answer
                cls.leases[who] = answer.json["lease"]
        cls.settle()
        cls.learn_legs()

    @classmethod
    def learn_legs(cls):
        for call in cls.sim.state()["calls"]:
            for owner in cls.owners:
                if call["contactId"] == cls.objects[owner]["calls"]:
                    at = next(c for c in call["connections"] if c["address"] == position(owner))
                    cls.objects[owner].update(connections=at["id"], legs=at["terminalConnections"][0]["id"])

    @classmethod
    def absent(cls, kind):
        names = {"connections": "00000000-0000-0000-0000-00000000c0de", "legs": "00000000-0000-0000-0000-0000000001e9",
                 "workstations": "desk-of-2999"}
        return names.get(kind) or super().absent(kind)

    def maker(self, owner):
        mine = self.objects[owner]
        return Maker(to=OUTSIDE, terminal=line(owner), agent=owner, address=position(owner), supervisor="2001", uui="04", digits="1",
                     consultContactId=mine["calls"], terminalConnectionId=mine["legs"], connectionId=mine["connections"])

    def commands(self):
        """(method, path, kind, document, schemas) of all that acts on what its path names, and of what makes calls."""
        found, document = routes(self.gate)
        for method, path, operation in found:
            if method != "GET" and (kind_of(path) is not None or path == "/v1/calls"):
                yield method, path, kind_of(path), document, body_schemas(document, operation)

    def over_http(self, who, method, path, body, lease):
        return form(call_command(self.gate.port, method, path, who, body, lease=lease, connection=self.connection))

    def over_websocket(self, who, method, path, body, lease):
        more = {} if lease is None else {"lease": lease}
        answer = self.speakers[who].command(method, path, body, **more)
        return answer.get("status", answer.get("problem", {}).get("status")), json.dumps(
            {k: v for k, v in answer.items() if k != "id"}, sort_keys=True)

    def setUp(self):
        super().setUp()
        self.connection = self.gate.connect()
        self.speakers = {who: Speaker(self.gate.port, who) for who in SEES if who != "outbound"}

    def tearDown(self):
        self.connection.close()
        for speaker in self.speakers.values():
            speaker.ws.sock.close()
        super().tearDown()

    def compare(self, ask, foreign, absent, *what):
        """ask(name) of what is another's, and of what does not exist."""
        two, before = ask(absent), self.operations()
        one = ask(foreign)
        self.cell(one == two and one[0] >= 400, *what, one[:2], two[:2])
        if self.operations() != before:
            self.wrong.append(what + ("the contact centre was asked",))

    def test_paths(self):
        """Every command on what is another's: by every stranger, with and without the control of its own agent."""
        for method, path, kind, document, schemas in self.commands():
            if kind is None:
                continue
            for owner in (OTHER, "2005"):
                maker = self.maker(owner)
                body = maker.instance(schemas[0], document) if schemas else None
                for who in self.strangers(owner, kind):
                    doors = (self.over_http, self.over_websocket) if owner == OTHER else (self.over_http,)
                    for door in doors:
                        for lease in (None, self.leases.get(who)) if who in self.leases else (None,):
                            self.compare(lambda name: door(who, method, concrete(path, name, "case"), body, lease),
                                         self.objects[owner][kind], self.absent(kind), door.__name__, who, method, path, owner,
                                         lease is not None)

    # What a member of a body names.
    MEMBERS = {"terminal": ("terminals",), "agent": ("agents",), "address": ("addresses",), "supervisor": ("agents",),
               "terminalConnectionId": ("legs",), "connectionId": ("connections",), "consultContactId": ("calls",),
               "contactId": ("calls",), "workstation": ("workstations",)}
    # What is text to the contact centre, or an address that anybody may call.
    TEXTS = {"password", "initialState", "ready", "reasonCode", "activityCode", "externalContactId", "profile", "reason", "application",
             "type", "caller", "whichCalls", "group", "to", "messages", "message", "digits", "mode", "state", "recordingUri",
             "ipAddress", "port", "transportType", "recordingId", "treatmentAddress", "treatmentTerminal", "treatmentParameter",
             "interruptible", "uui", "value", "from"}

    def named(self, path, schema):
        """(how a body names something, of which kind) for the members of a schema that name an object."""
        for name, inner in schema.get("properties", {}).items():
            if name == "from":
                if path == "/v1/calls":
                    for part in ("agent", "terminal", "address"):
                        yield (lambda body, text, part=part: dict(body, **{"from": {part: text}})), self.MEMBERS[part][0]
                else:
                    yield (lambda body, text: dict(body, **{"from": text})), "terminals"
            elif name == "to" and path.endswith("/whisper"):
                yield (lambda body, text: dict(body, to=text)), "terminals"
            elif name in self.MEMBERS:
                for kind in self.MEMBERS[name]:
                    yield (lambda body, text, name=name: dict(body, **{name: text})), kind
            else:
                self.assertIn(name, self.TEXTS, (path, name, inner))

    def compare_members(self, ask, foreign, absent, *what):
        """The same, where a member that says nothing to a command may be passed over: then the command is done."""
        method, path, member = what[:3]
        if (method, path, member) in self.passed_over:
            return
        before = self.counters()["commands"]
        if ask(absent)[0] < 400 or self.counters()["commands"] != before:
            self.passed_over.add((method, path, member))
            self.restore()
            return
        self.compare(ask, foreign, absent, *what)

    def restore(self):
        """The agent ready and in its call, whatever a command has made of it."""
        self.sim.admin("POST", "/agents/" + ME, {"loggedIn": True, "ready": True})
        if self.objects[ME]["calls"] not in [c["contactId"] for c in self.sim.state()["calls"]]:
            self.objects[ME]["calls"] = self.sim.admin("POST", "/calls", {"to": ME, "answer": True})["contactId"]
            self.settle()
            self.learn_legs()
        self.settle()

    def test_members(self):
        """Commands on one's own that name in the body what is another's, with and without control."""
        workstation, self.passed_over = {"workstations": "desk-of-2003"}, set()
        for method, path, kind, document, schemas in self.commands():
            for schema in schemas:
                for name_it, what in self.named(path, schema):
                    body = self.maker(ME).instance(schema, document) or {}
                    foreign = workstation.get(what) or self.objects[OTHER][what]
                    for door in (self.over_http, self.over_websocket):
                        for lease in (None, self.leases["mine"]):
                            place = concrete(path, self.objects[ME][kind], "case") if kind else path
                            self.compare_members(lambda text: door("mine", method, place, name_it(body, text), lease), foreign,
                                                 self.absent(what), method, path, str(name_it({}, "x")), door.__name__, lease is not None)

    def test_current(self):
        """`current` in the place of a call, for an agent, a terminal or an address that is another's."""
        for method, path, kind, document, schemas in self.commands():
            if kind != "calls":
                continue
            maker = self.maker(ME)
            body = (maker.instance(schemas[0], document) if schemas else None) or {}
            for member in ("agent", "terminal"):
                if not any(member in s.get("properties", {}) for s in schemas):
                    continue
                what = self.MEMBERS[member][0]
                for lease in (None, self.leases["mine"]):
                    self.compare(lambda text: self.over_http("mine", method, concrete(path, "current", "case"),
                                                             dict(body, **{member: text}), lease),
                                 self.objects[OTHER][what], self.absent(what), method, path, member, lease is not None)

    # ---- the catalogue ----

    def example(self, service, operation, owner):
        """A body that the contract accepts, about one owner's objects."""
        made = self.gate.get("/v1/services/%s/%s" % (service, operation), "mine").json["examples"]["input"]
        for at, name in handles(made):
            made = put(made, at, name, self.objects[owner][HANDLE[name]])
        return made

    def catalogue(self):
        for service in self.gate.get("/v1/services", "mine").json["items"]:
            if service["name"].startswith("Outbound") or service["name"] == "NotificationConsumer":
                continue
            for operation in service["operations"]:
                if operation["kind"] in ("read", "command"):
                    yield service["name"], operation["name"], operation["kind"]

    @staticmethod
    def may_be_anybodys(found, at, name):
        """Addresses are anybody's to call: beside something else, or as the other side, one is a number to the contact centre."""
        return name == "addressName" and (any(n != "addressName" for _, n in found) or at[:1] == ("destinationAddress",))

    def test_catalogue(self):
        """Operations of the contract whose body names what is another's: one member at a time, then all of them."""
        count = 0
        for service, operation, kind in self.catalogue():
            own, path = self.example(service, operation, ME), "/v1/services/%s/%s" % (service, operation)
            found = handles(own)
            for at, name in found:
                if self.may_be_anybodys(found, at, name):
                    continue
                what = HANDLE[name]
                for door in (self.over_http, self.over_websocket):
                    for lease in (None, self.leases["mine"]) if kind == "command" else (None,):
                        count += 1
                        self.compare(lambda text: door("mine", "POST", path, put(own, at, name, text), lease), self.objects[OTHER][what],
                                     self.absent(what), door.__name__, path, at, name, lease is not None)
            if not found:
                continue
            whole = {False: self.example(service, operation, OTHER), True: own}
            for at, name in found:
                whole[True] = put(whole[True], at, name, self.absent(HANDLE[name]))
            for who in self.strangers(OTHER):
                self.compare(lambda absent: self.over_http(who, "POST", path, whole[absent], self.leases.get(who)), False, True, who, path,
                             "all")
        self.assertGreater(count, 300)


class Streams(Guarded):
    """Subscriptions, snapshots, events and replays: over a WebSocket, as server-sent events, and with a ticket."""
    gateway_options = {"events": {"heartbeatMs": 8000}}

    def subjects(self, owner):
        return [of(kind, self.objects[owner][kind]) for kind in KINDS[:4]]

    def told(self, who, owner, filter):
        """All that a subscription with a snapshot says, as text without its name."""
        with WebSocket(self.gate.port, who) as ws:
            ws.subscribe("a", snapshot=True, **filter)
            items, _ = ws.snapshot("a")
            return json.dumps(items, sort_keys=True)

    def expected(self, who):
        return {of(kind, self.objects[o][kind]) for o in self.owners if self.sees(who, o) for kind in KINDS[:4]}

    def test_snapshots(self):
        for who in SEES:
            for owner in self.owners:
                for kind in KINDS[:4]:
                    granted = self.sees(who, owner)
                    filter = {"subjects": [of(kind, self.objects[owner][kind])]}
                    got = self.untouched(lambda: self.told(who, owner, filter), who, owner, kind)
                    nothing = self.told(who, owner, {"subjects": [of(kind, self.absent(kind))]})
                    self.cell((got != nothing) == granted and nothing == "{}", who, owner, kind, got[:300], granted=granted)
                got = self.told(who, owner, {"agents": [owner]})
                self.cell((got != "{}") == granted, who, owner, "agents", got[:300], granted=granted)
            text = self.told(who, None, {})
            found = [m for m in others_marks(self, who) if m in text]
            self.cell(not found and self.expected(who) <= set(json.loads(text)), who, "all", found, granted=True)

    def test_tickets(self):
        for who in SEES:
            answer = exchange(self.gate.port, "POST", "/v1/events/ticket", bearer(who))
            with WebSocket(self.gate.port, None, path="/v1/events?ticket=" + answer.json["ticket"]) as ws:
                ws.subscribe("a", snapshot=True)
                items, _ = ws.snapshot("a")
            text = json.dumps(items)
            found = [m for m in others_marks(self, who) if m in text]
            self.cell(not found and self.expected(who) <= set(items) and (who != "outbound" or not items), who, found, granted=True)

    def happen(self):
        """Something at everybody's agent, terminal, address and call."""
        for owner in self.owners:
            self.sim.admin("POST", "/agents/" + owner, {"loggedIn": True, "ready": False, "reasonCode": "3"})
            call = self.sim.admin("POST", "/calls", {"to": owner, "data": {"case": "data-of-" + owner}})
            self.sim.admin("POST", "/calls/%s/end" % call["contactId"])
            self.sim.admin("POST", "/agents/" + owner, {"loggedIn": True, "ready": True})

    def test_events(self):
        """Live and replayed: what happens to others is told to nobody else, and what happens to one's own is."""
        tokens = list(SEES)
        sockets = {who: WebSocket(self.gate.port, who) for who in tokens}
        streams = {who: EventStream(self.gate.port, who) for who in tokens}
        place = {}
        for who, ws in sockets.items():
            place[who] = "%s-%d" % (ws.hello["epoch"], ws.hello["seq"])
            ws.subscribe("a")
        self.happen()
        self.settle()
        last = WebSocket(self.gate.port, "every")
        end = last.hello["seq"]
        last.close()
        got = {who: {"live": self.until(sockets[who], end)} for who in tokens}
        for who in tokens:
            sockets[who].close()
            with WebSocket(self.gate.port, who) as ws:
                ws.subscribe("b", since=place[who])
                got[who]["replayed"] = self.until(ws, end)
        again = {who: EventStream(self.gate.port, who, headers={"Last-Event-ID": place[who]}) for who in tokens}
        for who in tokens:
            for name, stream in (("stream", streams[who]), ("replayed stream", again[who])):
                got[who][name] = self.until_stream(stream, end)
                stream.sock.close()
        for who in tokens:
            own = {o for o in self.owners if self.sees(who, o)}
            for name, events in got[who].items():
                found = [m for m in others_marks(self, who) if m in json.dumps(events)]
                agents = {e.get("agent") for e in events} - {None}
                self.cell(not found and agents >= own, who, name, found, agents, granted=True)
                self.cell(not events or who != "outbound", who, name, events, granted=True)
                self.cell([e["id"] for e in events] == [e["id"] for e in got[who]["live"]], who, name, "the same ones", granted=True)

    @staticmethod
    def until(ws, end):
        """Events until the log's place is known to be passed: a pong says how far it stands."""
        found = []
        while True:
            ws.send({"op": "ping", "id": "p"})
            while (message := ws.receive())["op"] != "pong":
                if message["op"] == "event":
                    found.append(message["event"])
            if message["seq"] >= end:
                return found

    @staticmethod
    def until_stream(stream, end):
        """The same of a stream, whose heartbeats carry the place."""
        found = []
        while True:
            block = stream.receive()
            if block.get("event", "hello") != "hello":
                found.append(json.loads(block["data"]))
            if int(block.get("id", "-0").split("-")[1]) >= end:
                return found

    def test_audit(self):
        """Who did what is for operators; what others do is not to be read off anything else."""
        for who in SEES:
            for query in ("", "?agent=" + OTHER, "?agent=2999", "?limit=1", "?application=other"):
                answer = self.untouched(lambda: self.gate.get("/v1/audit" + query, who), who, query)
                self.cell(answer.status == (200 if who == "every" else 403), who, query, answer, granted=who == "every")


class Jobs(Guarded):
    """What applications have done to campaigns: a job is its application's, for a token of an identity that person's besides, and the
    operators'. The queue is so slow that all contacts wait."""
    gateway_options = {"events": {"heartbeatMs": 8000}}
    BEGINNERS = ("outbound", "outbound2", "person", "colleague", "elsewhere")
    CONTACTS = outbounding.CAMPAIGNS + "/101/contacts"
    LISTED = outbounding.CAMPAIGNS + "/102/contacts"
    JOBS = "/v1/outbound/jobs"
    NO_JOB = "0" * 32

    @classmethod
    def gateway(cls, **options):
        options["outbound"] = outbounding.settings(cls.sim, intervalMs=LONG)
        return super().gateway(**options)

    @classmethod
    def open(cls):
        super().open()
        for name, claims in (("person", {"sub": "one"}), ("colleague", {"sub": "two"}), ("elsewhere", {"sub": "one", "azp": "other"})):
            cls.token(name, cls.identities.token(["agent2002"], ["campaigner"], **claims), [])
        cls.jobs = {}  # by owner: an append and a list
        for who in cls.BEGINNERS:
            listing = cls.gate.get(cls.LISTED, who, {"Prefer": "respond-async"})
            cls.jobs[who] = [cls.append(who).json["id"], listing.json["id"]]
            eventually(lambda: cls.gate.get(cls.JOBS + "/" + cls.jobs[who][1], who).json["state"] == "done", "listed")
        assert cls.gate.metric("outbound_rows_waiting") == 2 * len(cls.BEGINNERS)

    @classmethod
    def append(cls, who, **more):
        answer = call_command(cls.gate.port, "POST", cls.CONTACTS, who, [{"skillsetId": 10001}] * 2, **more)
        assert answer.status == 202, (who, answer)
        return answer

    def doors(self):
        """(method, path) of all that names a job."""
        return [(m, p) for m, p, _ in routes(self.gate)[0] if p.startswith(OF_APPLICATIONS)]

    @staticmethod
    def may_see(who, owner):
        return who == owner or who == "every"

    def test_doors(self):
        """Every method of every path of a job, and HEAD, with validators and without, by everybody; then those who may."""
        doors = self.doors()
        self.assertEqual({p for _, p in doors}, {self.JOBS + "/{jobId}", self.JOBS + "/{jobId}/contacts"})
        connection = self.gate.connect()
        variants = [(m, p, h) for m, p in doors + [("HEAD", p) for m, p in doors if m == "GET"]
                    for h in ({}, {"If-None-Match": "*"}, {"Cache-Control": "only-if-cached"})]
        ask = lambda who, method, path, id_, headers: exchange(self.gate.port, method, concrete(path, id_), dict(bearer(who), **headers),
                                                               connection=connection)
        told = {who: [self.gate.get(self.JOBS + "/" + i, who).body for i in ids] for who, ids in self.jobs.items()}
        for who in self.BEGINNERS + tuple(w for w in SEES if w not in self.BEGINNERS):
            before = self.operations()
            for method, path, headers in variants:
                absent = ask(who, method, path, self.NO_JOB, headers)
                self.cell(absent.status == (404 if who in self.BEGINNERS + ("every",) else 403), who, method, path, absent)
                for owner, ids in self.jobs.items():
                    for id_ in ids:
                        if not self.may_see(who, owner):
                            self.denied_like(ask(who, method, path, id_, headers), absent, who, owner, method, path, headers)
                        elif method != "DELETE":
                            answer = ask(who, method, path, id_, headers)
                            self.cell(not path.endswith("}") or answer.status in (200, 304), who, owner, method, path, answer, granted=True)
            if self.operations() != before:
                self.wrong.append((who, "the contact centre was asked"))
        for who, ids in self.jobs.items():
            self.cell(told[who] == [self.gate.get(self.JOBS + "/" + i, who).body for i in ids], who, "was changed", granted=True)
        contacts = [len(self.gate.get("%s/%s/contacts" % (self.JOBS, ids[1]), who).body.splitlines()) for who, ids in self.jobs.items()]
        self.cell(contacts == [outbounding.SIZES[102]] * len(contacts), contacts, granted=True)
        connection.close()

    def test_lists(self):
        """A list of jobs has one's own, an operator's all."""
        for who in set(SEES) | set(self.BEGINNERS):
            answer = self.untouched(lambda: self.gate.get(self.JOBS, who), who)
            if answer.status == 200:
                expected = {i for owner, ids in self.jobs.items() for i in ids if self.may_see(who, owner)}
                got = {j["id"] for j in answer.json["items"]} & {i for ids in self.jobs.values() for i in ids}
                self.cell(got == expected and who in self.BEGINNERS + ("every",), who, got ^ expected, granted=True)
                foreign = [j for j in answer.json["items"] if who != "every" and j["application"] not in (who, "desk", "other")]
                self.cell(not foreign, who, foreign, granted=True)
            else:
                self.cell(answer.status == 403 and who not in self.BEGINNERS + ("every",), who, answer)

    def test_keys(self):
        """An Idempotency-Key is whose it is: another's is neither repeated nor told of, nor is that it is in use."""
        first = {who: self.append(who, key="the-same") for who in self.BEGINNERS + ("every",)}
        self.cell(len({a.json["id"] for a in first.values()}) == len(first), "jobs", granted=True)
        for who, answer in first.items():
            self.cell("idempotency-replayed" not in answer.headers, who, answer, granted=True)
            again = self.untouched(lambda: self.append(who, key="the-same"), who)
            self.cell(again.json["id"] == answer.json["id"], who, "again", again, granted=True)

    def test_cancelled_by_nobody_else(self):
        """What a stranger cancels waits on; its own application and an operator end it."""
        ids = {owner: self.append(owner).json["id"] for owner in ("outbound", "person")}
        cancel = lambda who, id_: exchange(self.gate.port, "DELETE", self.JOBS + "/" + id_, bearer(who))
        for owner, id_ in ids.items():
            for who in self.BEGINNERS:
                if who != owner:
                    self.denied_like(cancel(who, id_), cancel(who, self.NO_JOB), who, owner)
            answer = self.gate.get(self.JOBS + "/" + id_, owner).json
            self.cell((answer["state"], answer["waiting"]) == ("waiting", 2), owner, answer, granted=True)
            answer = cancel("every" if owner == "person" else owner, id_)
            self.cell(answer.status == 200 and answer.json["state"] == "cancelled", owner, answer, granted=True)

    def test_progress(self):
        """Live and replayed, over a WebSocket, as server-sent events and with a ticket: of one's own jobs, and to operators of all."""
        tokens = self.BEGINNERS + ("mine", "nobody", "every")
        sockets = {who: WebSocket(self.gate.port, who) for who in tokens}
        streams = {who: EventStream(self.gate.port, who, query="?types=gateway.outbound.progress") for who in tokens}
        tickets = {who: exchange(self.gate.port, "POST", "/v1/events/ticket", bearer(who)).json["ticket"] for who in tokens}
        with_ticket = {who: WebSocket(self.gate.port, None, path="/v1/events?ticket=" + ticket) for who, ticket in tickets.items()}
        asked = {who: WebSocket(self.gate.port, who) for who in tokens}  # for another's job by its name
        place = {who: "%s-%d" % (ws.hello["epoch"], ws.hello["seq"]) for who, ws in sockets.items()}
        for ws in list(sockets.values()) + list(with_ticket.values()):
            ws.subscribe("a", types=["gateway.outbound.progress"])
        before = self.operations()
        ids = {who: self.append(who).json["id"] for who in self.BEGINNERS}
        for ws in asked.values():
            ws.subscribe("a", subjects=[self.JOBS + "/" + ids["person"]], since=place["every"])
        told, witness = {}, WebSocket(self.gate.port, "every")
        witness.subscribe("a", since=place["every"], types=["gateway.outbound.progress"])
        while set(told) != set(ids.values()):
            event = witness.receive_op("event")["event"]
            told[event["data"]["id"]] = event["seq"]
        end = max(told.values())
        witness.close()
        for who in tokens:
            got = {"live": Streams.until(sockets[who], end), "ticket": Streams.until(with_ticket[who], end),
                   "stream": Streams.until_stream(streams[who], end)}
            with WebSocket(self.gate.port, who) as ws:
                ws.subscribe("b", since=place[who])
                got["replayed"] = [e for e in Streams.until(ws, end) if e["type"] == "gateway.outbound.progress"]
            expected = {i for owner, i in ids.items() if self.may_see(who, owner)}
            for name, events in got.items():
                found = {e["data"]["id"] for e in events}
                self.cell(found == expected, who, name, found ^ expected, granted=who != "mine")
            found = {e["data"]["id"] for e in Streams.until(asked[who], end)}
            self.cell(found == expected & {ids["person"]}, who, "by name", found)
            for stream in (sockets[who], with_ticket[who], asked[who], streams[who]):
                stream.sock.close()
        self.cell(self.operations() == before, "the contact centre was asked", granted=True)


if __name__ == "__main__":
    harness.main()
