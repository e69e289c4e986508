"""Marked secrets are planted in every flow, by every door, at the right places and at wrong ones, while all goes well and while the contact
centre fails; then they are looked for: in logs (with level debug and the access log), metrics, problem documents, the audit log, the
resources that tell of sessions, all files of the data directory, byte by byte, and what the system shows of the process."""
import base64
import json
import os
import secrets
import signal
import stat

import guarding
import harness
import outbounding
import test_isolation
from commanding import Listener, Speaker, call_command, control_of, line, of, position
from guarding import Guarded
from harness import bearer, eventually, exchange
from test_isolation_entry import ask
from websocket import EventStream, Refused, WebSocket

ME = "2002"


def mark(name):
    return "mark-%s-%s" % (name, secrets.token_hex(6))


def digits():
    return "4929" + "".join(secrets.choice("0123456789") for _ in range(14))


# Never on a disk, in a log, or told of: what somebody proves who he is with, and what a caller types.
PASSWORD = mark("configured-password")  # of every user of the simulator; the gateway has it in a file, and at sign-on
KEPT_NOWHERE = {"password": PASSWORD, "wrong password": mark("wrong-password"), "agent's password": mark("agent-password"),
                "catalogue's password": mark("catalogue-password"), "outbound password": mark("outbound-password"),
                "static token": mark("static-token"), "dtmf": digits(), "catalogue's dtmf": digits(), "websocket's dtmf": digits(),
                "treatment": mark("treatment"), "idempotency key": mark("idempotency-key"), "number that was dialled": "+353" + digits()}
# What a contact of a campaign says of somebody: nowhere in clear; and what is said when it is looked for and closed.
PERSON = {name: mark(name.replace("'", "").replace(" ", "-")) for name in (
    "first name", "last name", "title", "e-mail", "first line", "fifth line", "country", "post code", "custom field", "custom text",
    "text of a close", "wrong row", "unknown member", "key of an append", "key of a close", "field that was looked for",
    "wrong disposition")}
PERSON.update({"phone number": digits(), "number that was looked for": digits()})
KEPT_NOWHERE.update(PERSON)
# In the cache alone: what a call carries.
KEPT_IN_CACHE = {"data": mark("data"), "data's key": mark("key"), "incoming data": mark("incoming"), "text data": mark("text"),
                 "binary data": mark("binary"), "intrinsic": mark("intrinsic"), "uui": "04" + secrets.token_hex(12).upper(),
                 "message": mark("message"), "catalogue's data": mark("catalogue-data")}


class Planted(Guarded):
    """A gateway in which everything has a mark."""
    owners = (ME, "2003")
    keeps = None  # cache.callData
    campaigns = True

    @classmethod
    def setUpClass(cls):
        cls.password_before, harness.PASSWORD = harness.PASSWORD, PASSWORD
        cls.tokens_before = dict(harness.TOKENS)
        harness.TOKENS["mine"] = (KEPT_NOWHERE["static token"],) + harness.TOKENS["mine"][1:]
        cls.gateway_options = {"log": {"level": "debug", "access": True, "format": "json"}, "upstream": {
            "reconcileMs": guarding.LONG, "pollMs": 100, "timeoutMs": 4000, "connectTimeoutMs": 4000}}
        if cls.keeps is not None:
            cls.gateway_options["cache"] = {"callData": cls.keeps}
        try:
            super().setUpClass()
        except BaseException:
            cls.unmark()
            raise

    @classmethod
    def gateway(cls, **options):
        """The file of the outbound password is there before the gateway reads it."""
        class WithOutbound(harness.Gateway):
            def write(self):
                super().write()
                with open(os.path.join(self.directory, "outbound"), "w") as file:
                    os.fchmod(file.fileno(), 0o600)
                    file.write(KEPT_NOWHERE["outbound password"])
        options["outbound"] = outbounding.settings(cls.sim, password={"file": "outbound"})
        return WithOutbound(cls.sim, **options)

    @classmethod
    def warm_campaigns(cls):
        """The first password is wrong, and the contact centre says which it was; then the right one is put in its place."""
        cls.sim.fault("fault", outbounding.UTILITY, "OutboundLogin", 1, message="'%s' is wrong" % KEPT_NOWHERE["outbound password"])
        cls.denied = cls.gate.get(outbounding.CAMPAIGNS, "outbound")
        assert cls.denied.status == 503 and "'*" in cls.denied.json["detail"], cls.denied
        with open(os.path.join(cls.gate.directory, "outbound"), "w") as file:
            file.write(PASSWORD)
        cls.gate.child.process.send_signal(signal.SIGHUP)
        eventually(lambda: cls.gate.child.log("reloaded"), "reloaded")
        super().warm_campaigns()

    @classmethod
    def unmark(cls):
        harness.PASSWORD = cls.password_before
        harness.TOKENS.clear()
        harness.TOKENS.update(cls.tokens_before)

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.unmark()

    def setUp(self):
        super().setUp()
        self.problems, self.secrets = [self.denied], dict(KEPT_NOWHERE)

    # ---- doors ----

    def note(self, answer):
        """Of every refusal all that it says is kept."""
        if answer.status >= 400:
            self.problems.append(answer)
        return answer

    def send(self, method, path, body=None, who="mine", **more):
        return self.note(call_command(self.gate.port, method, path, who, body, **more))

    def raw(self, method, path, fields=(), body=None):
        connection = self.gate.connect()
        try:
            return self.note(ask(connection, method, path, fields, body))
        finally:
            connection.close()

    def over_websocket(self, speaker, method, path, body=None, **more):
        answer = speaker.command(method, path, body, **more)
        if answer.get("status", 400) >= 400:
            self.problems.append(answer)
        return answer

    def operation(self, name, body, who="mine", **more):
        return self.send("POST", "/v1/services/" + name.replace(".", "/"), body, who, **more)

    # ---- flows ----

    def entering(self):
        """Signing on and off, right and wrong; tickets, streams, leases, tokens of a provider."""
        body = {"username": "agent2003", "password": PASSWORD, "domain": "CC"}
        for _ in range(2):
            answer = self.send("POST", "/v1/sessions", body, None)
            self.assertEqual(answer.status, 201, answer)
            self.secrets["bearer"] = answer.json["token"]
        harness.TOKENS["bearer"] = (answer.json["token"], ["agent2003"], [])
        for wrong in (dict(body, password=self.secrets["wrong password"]), dict(body, username=self.secrets["wrong password"]),
                      dict(body, domain=self.secrets["wrong password"]), dict(body, username=PASSWORD, password="x")):
            self.assertIn(self.send("POST", "/v1/sessions", wrong, None).status, (401, 429))
        self.secrets["ticket"] = exchange(self.gate.port, "POST", "/v1/events/ticket", bearer("bearer")).json["ticket"]
        with WebSocket(self.gate.port, None, path="/v1/events?ticket=" + self.secrets["ticket"]) as ws:
            ws.subscribe("a", snapshot=True)
        unused = exchange(self.gate.port, "POST", "/v1/events/ticket", bearer("bearer")).json["ticket"]
        self.secrets["ticket that nobody used"] = unused
        with EventStream(self.gate.port, None, query="?snapshot=true", headers=bearer("bearer")) as stream:
            stream.receive()
        self.secrets["JWT"] = harness.TOKENS["jwt"][0]
        self.secrets["signature of the JWT"] = self.secrets["JWT"].rsplit(".", 1)[1]
        self.assertEqual(self.gate.get("/v1/agents/2003", "jwt").status, 200)
        for number, session in enumerate(self.sim.state()["sessions"]):
            self.secrets["token of the contact centre %d" % number] = session["token"]
        for number, subscription in enumerate(self.sim.state()["subscriptions"]):
            self.secrets["path of the consumer %d" % number] = subscription["consumer"].rsplit("/", 1)[1]

    def acting(self, lease):
        """Commands that carry something, over HTTP."""
        call = "/v1/calls/" + self.objects[ME]["calls"]
        kept = KEPT_IN_CACHE
        done = []
        def act(method, path, body, **more):
            done.append(self.send(method, path, body, lease=lease, **more))
        act("POST", call + "/dtmf", {"digits": self.secrets["dtmf"]}, key=self.secrets["idempotency key"])
        act("POST", call + "/dtmf", {"digits": self.secrets["dtmf"]}, key=self.secrets["idempotency key"])
        act("PUT", call + "/data", {kept["data's key"]: kept["data"]}, key="data")
        act("PATCH", call + "/data", {"more": kept["data"]})
        act("DELETE", call + "/data/" + kept["data's key"], None)
        act("PUT", call + "/data", {"type": "BINARY", "value": base64.b64encode(kept["binary data"].encode()).decode()})
        act("PUT", call + "/data", {"type": "STRING", "value": kept["text data"]})
        act("PUT", call + "/intrinsics", {"MARK": kept["intrinsic"]})
        act("DELETE", call + "/intrinsics/MARK", None)
        act("PUT", call + "/intrinsics", {"MARK": kept["intrinsic"]})
        act("PUT", call + "/uui", {"uui": kept["uui"]}, key="uui", wait=1)
        act("PUT", call + "/messages", {"message": kept["message"]})
        self.assertEqual({a.status for a in done} - {200, 202, 204, 409}, set(), done)
        act("POST", "/v1/calls", {"from": {"agent": ME}, "to": self.secrets["number that was dialled"]})
        act("PUT", "/v1/terminals/Line%201.0.2/forwarding", {"to": self.secrets["number that was dialled"]})
        act("DELETE", "/v1/terminals/Line%201.0.2/forwarding", {})
        for part in ("", "/data", "/intrinsics", "/uui", "/messages", "/capabilities"):
            self.assertEqual(self.gate.get(call + part, "mine").status, 200, part)

    def speaking(self):
        """The same over a WebSocket, whose lease is the connection's."""
        with Speaker(self.gate.port, "mine") as speaker:
            lease = self.secrets["lease of a WebSocket"] = speaker.attach(ME)["lease"]
            speaker.ask(op="renew", lease=lease)
            call = "/v1/calls/" + self.objects[ME]["calls"]
            answer = self.over_websocket(speaker, "POST", call + "/dtmf", {"digits": self.secrets["websocket's dtmf"]})
            self.assertEqual(answer["status"], 204, answer)
            self.over_websocket(speaker, "PUT", call + "/data", {"websocket": KEPT_IN_CACHE["data"]}, lease=lease, idempotencyKey="ws")
            for message in ({"op": "bind", "lease": PASSWORD}, {"op": "renew", "lease": self.secrets["dtmf"]},
                            {"op": PASSWORD, "id": "x"}, {"op": "subscribe", "id": "x", "types": [PASSWORD]},
                            {"op": "subscribe", "id": "x", "since": PASSWORD}, {"op": "command", "method": PASSWORD, "path": "/v1/calls"},
                            {"op": "command", "method": "POST", "path": "/v1/agents/%s/logout" % PASSWORD},
                            {"op": "command", "method": "POST", "path": "/v1/calls?password=" + PASSWORD, "body": {}},
                            {"op": "command", "method": "POST", "path": "/v1/calls", "user": PASSWORD}):
                speaker.ws.send(message)
                self.problems.append(speaker.ws.receive_op("error", "result", "subscribed"))
            self.over_websocket(speaker, "DELETE", control_of(ME), lease=lease)

    def by_the_catalogue(self, lease):
        """The contract's own operations, as on the wire."""
        contact = {"contact": {"contactId": self.objects[ME]["calls"]}}
        def example(name):
            return self.gate.get("/v1/services/" + name.replace(".", "/"), "mine").json["examples"]["input"]
        def about(name, **more):
            body = example(name)
            for at, member in guarding.handles(body):
                body = guarding.put(body, at, member, {"agents": ME, "terminals": line(ME), "addresses": position(ME),
                                                       "calls": self.objects[ME]["calls"]}.get(guarding.HANDLE[member], self.leg))
            body.update(more)
            return body
        self.operation("SessionService.GenerateDTMF", about("SessionService.GenerateDTMF", digits=self.secrets["catalogue's dtmf"]), lease=lease)
        data = {"type": "KEY_VALUE_PAIRS", "keyValueData": {"item": [{"key": "k", "value": KEPT_IN_CACHE["catalogue's data"]}]}}
        self.operation("ContactService.SetAttachedData", about("ContactService.SetAttachedData", attachedData=data), lease=lease, key="catalogue")
        for name in ("ContactService.GetAttachedData", "ContactService.GetIntrinsics", "ContactService.GetUUI"):
            self.assertEqual(self.operation(name, about(name)).status, 200, (name, contact))
        for name, member in (("AgentService.Login", "password"), ("AgentTerminalService.Login", "password"),
                             ("SessionService.LoginAgent", "agentPassword")):
            self.operation(name, about(name, **{member: self.secrets["catalogue's password"]}), lease=lease)
        self.operation("SessionService.LogInToCCTServer", {"authenticationLevel": {
            "username": "agent2002", "password": self.secrets["catalogue's password"], "domain": "CC"}}, "every", headers={"CCT-User": "agent2002"})

    def logging_in(self, lease):
        self.sim.admin("POST", "/agents/" + ME, {"loggedIn": False})
        for password in (self.secrets["agent's password"], PASSWORD):
            self.send("POST", "/v1/agents/%s/login" % ME, {"terminal": line(ME), "password": password, "initialState": "READY"}, lease=lease)
        self.sim.admin("POST", "/agents/" + ME, {"loggedIn": True, "ready": True})
        call = self.sim.admin("POST", "/calls", {"to": ME, "answer": True})  # the one before has ended with the agent's work
        self.objects[ME]["calls"] = call["contactId"]
        self.leg = next(c for c in call["connections"] if c["address"] == position(ME))["terminalConnections"][0]["id"]
        self.settle()

    def treating(self):
        """What a caller hears at a route point."""
        self.send("PUT", of("route-points", "RP_Sales") + "/control", {}, "every")
        call = self.sim.admin("POST", "/calls", {"to": "RP_Sales"})["contactId"]
        for path in ("treatment", "media-treatment"):
            self.send("POST", "/v1/calls/%s/%s" % (call, path), {"type": "RAN", "treatmentParameter": self.secrets["treatment"]}, "every")
        self.sim.admin("POST", "/calls/%s/end" % call)

    # What stands in a wrong place: the first is a password, the second what a caller types.
    def misplacing(self, lease):
        for secret in (PASSWORD, self.secrets["dtmf"], self.secrets["bearer"], lease):
            for path in ("/v1/agents/%s", "/v1/calls/%s/answer", "/v1/%s", "/%s", "/v1/services/%s", "/v1/services/AgentService/%s", "/problems/%s",
                         "/v1/users/%s", "/v1/agents?after=%s", "/v1/agents?limit=%s", "/v1/agents?%s=1", "/v1/events?ticket=%s",
                         "/v1/events?password=%s", "/v1/audit?what=%s", "/v1/audit?agent=%s", "/v1/audit?since=%s",
                         "/v1/agents/2002?access_token=%s"):
                for who in ("mine", "every", None):
                    for method, body in (("GET", None), ("POST", {})):
                        if path.startswith("/v1/agents?after") and method == "GET" and who:
                            continue  # a place in a list, which Link repeats
                        self.send(method, path % secret, body, who)
            fields = [("Authorization", "Bearer " + KEPT_NOWHERE["static token"])]
            for name in ("Control-Lease", "Idempotency-Key", "CCT-User", "If-None-Match", "traceparent", "Prefer", "Cache-Control", "Accept",
                         "Cookie", "X-Api-Key", "Origin", "Referer", "User-Agent", "Content-Type", "Last-Event-ID"):
                self.raw("POST", "/v1/agents/2003/logout", fields + [(name, secret)], "{}")
                self.raw("GET", "/v1/agents/2999", fields + [(name, secret)])
            self.raw("GET", "/v1/agents/2002", [("Authorization", "Basic " + secret)])
            self.raw("GET", "/v1/agents/2002", [("Authorization", secret)])
            for path, body in (("/v1/agents/2002/readiness", {"ready": secret}), ("/v1/agents/2002/readiness", {"ready": False, "reasonCode": [secret]}),
                               ("/v1/agents/2002/control", {"profile": secret}), ("/v1/calls/current/data", {"type": "BINARY", "value": secret}),
                               ("/v1/agents/2002/supervisor", {"supervisor": secret}), ("/v1/agents/2002/voice-terminal", {"terminal": secret}),
                               ("/v1/agents/2002/readiness", secret), ("/v1/agents/2002/readiness", '{"ready": "' + secret),
                               ("/v1/agents/2002/readiness", '{"a": "%s", "a": 1}' % secret)):
                self.send("PUT", path, body, lease=lease)
            self.send("POST", "/v1/sessions/failover", {"endpoint": secret}, "every")
            self.send("POST", "/v1/sessions", {"username": secret, "password": [secret]}, None)
            self.operation("AgentService.IsReady", {"agent": {"agentLoginId": secret, "userName": secret, "agentType": "Agent"}})
            self.operation("AgentService.IsReady", {"agent": {"agentLoginId": ME, "userName": secret, "agentType": secret}})
            try:
                WebSocket(self.gate.port, None, headers={"Sec-WebSocket-Protocol": "cctgate.v1, bearer." + secret}).sock.close()
            except Refused as refused:
                self.problems.append({"head": refused.headers, "body": refused.body.decode()})

    def echoing(self, lease):
        """The contact centre fails and repeats what it was sent; and its answers break, hang or are something else."""
        call, kept = "/v1/calls/" + self.objects[ME]["calls"], KEPT_IN_CACHE
        tokens = {s["user"]: s["token"] for s in self.sim.state()["sessions"]}
        number, digits_now, wrong = self.secrets["number that was dialled"], self.secrets["dtmf"], self.secrets["wrong password"]
        rows = [("SetUUI", "PUT", call + "/uui", {"uui": kept["uui"]}, kept["uui"]),
                ("SetAttachedData", "PUT", call + "/data", {"a": kept["data"]}, kept["data"]),
                ("SetAttachedData", "PUT", call + "/data", {"type": "STRING", "value": kept["text data"]}, kept["text data"]),
                ("SetIntrinsics", "PUT", call + "/intrinsics", {"MARK": kept["intrinsic"]}, kept["intrinsic"]),
                ("SetInstantMessages", "PUT", call + "/messages", {"message": kept["message"]}, kept["message"]),
                ("GenerateDTMF", "POST", call + "/dtmf", {"digits": digits_now}, digits_now),
                ("GenerateDTMF", "POST", call + "/dtmf", {"digits": "71"}, "71"),
                ("SetForwarding", "PUT", of("terminals", line(ME)) + "/forwarding", {"to": number}, number),
                ("SetReady", "PUT", "/v1/agents/2002/readiness", {"ready": False}, "x"), ("GetUUI", "GET", call + "/uui", None, "x"),
                ("GetCapabilities", "GET", "/v1/agents/2002", None, "x"),
                ("LogInToCCTServer", "POST", "/v1/sessions", {"username": "agent2005", "password": PASSWORD}, PASSWORD),
                ("LogInToCCTServer", "POST", "/v1/sessions", {"username": "agent2005", "password": wrong}, wrong)]
        for kind in ("fault", "http500", "everything"):  # the last: every operation that it takes to find out what is meant, too
            for place, (operation, method, path, body, secret) in enumerate(rows):
                token = tokens["supervisor" if method == "GET" else "agent2002"]  # reads are anybody's who sees it
                self.sim.fault("fault" if kind == "everything" else kind, operation="*" if kind == "everything" else operation,
                               **({} if kind == "everything" else {
                                   "message": "Value <%s> of %s: '%s' is wrong, token=%s" % (secret, "x" * (20 * place), secret, token)}))
                answer = self.send(method, path, body, None if path == "/v1/sessions" else "mine", lease=lease if method != "GET" else None,
                                   key="echo-%s-%d" % (kind, place) if method != "GET" and path != "/v1/sessions" else None,
                                   headers={"Cache-Control": "no-cache"})
                self.sim.no_faults()
                self.cell(answer.status >= 400 and answer.status != 500, kind, method, path, answer)
                if kind == "fault" and path != "/v1/sessions":
                    words = answer.json.get("detail", "") if answer.body else ""
                    self.cell(words.startswith("Value <%s>" % ("x" if secret == "x" else "***")) and "71" not in words, "its words", method, path, answer)
                eventually(self.is_well, "well again")
        for kind in ("hang", "truncate", "wrongType", "garbage", "reset"):
            for operation, method, path, body, _ in rows[1:6:4]:
                self.sim.fault(kind, operation=operation)
                self.send(method, path, body, lease=lease)
                self.sim.no_faults()
                eventually(self.is_well, "well again")

    # ---- campaigns ----

    CONTACTS = outbounding.CAMPAIGNS + "/101/contacts"

    @staticmethod
    def person(**more):
        p = PERSON
        return dict({"skillsetId": 10001, "firstName": p["first name"], "lastName": p["last name"], "title": p["title"],
                     "emailAddress": p["e-mail"], "phoneNumber": {"phoneNo": p["phone number"]},
                     "address": {"addressLine1": p["first line"], "addressLine5": p["fifth line"], "country": p["country"],
                                 "postCode": p["post code"]},
                     "customFieldList": [{"name": p["custom field"], "text": p["custom text"]}]}, **more)

    @staticmethod
    def sheet(skillset=10001):
        p = PERSON
        return ("skillsetId,firstName,emailAddress,phoneNumber.phoneNo,address.addressLine1,custom.%s\r\n%s,%s,%s,%s,\"%s\",%s\r\n" % (
            p["custom field"], skillset, p["first name"], p["e-mail"], p["phone number"], p["first line"], p["custom text"]))

    def append(self, body, kind="application/json", query="", **more):
        return self.send("POST", self.CONTACTS + query, body, "outbound", headers={"Content-Type": kind}, **more)

    def ended(self, answer):
        self.assertEqual(answer.status, 202, answer)
        path = answer.headers["location"]
        return eventually(lambda: (j := self.gate.get(path, "outbound").json)["endedAt"] and j, "the job ends")

    def learn_keys(self):
        for key in self.sim.admin("GET", "/campaigns")["sessionKeys"]:
            self.secrets["session key of Outbound %d" % len(self.secrets)] = key

    def campaigning(self):
        """Contacts are appended in every form, listed in every form, looked for and closed."""
        self.learn_keys()
        key = self.secrets["key of an append"]
        lines = "\n".join(json.dumps(self.person()) for _ in range(2))
        for answer in (self.append(self.person(), key=key), self.append(self.person(), key=key), self.append([self.person()] * 2),
                       self.append(lines, "application/x-ndjson"), self.append(self.sheet(), "text/csv"),
                       self.append([self.person()], query="?onDuplicate=skip"), self.append([self.person()], query="?onDuplicate=error")):
            self.assertIsNotNone(self.ended(answer)["endedAt"])
        get = lambda path, **headers: self.note(self.gate.get(outbounding.CAMPAIGNS + "/101" + path, "outbound", headers))
        whole = get("/contacts")
        self.assertTrue(all(PERSON[n] in whole.body.decode() for n in ("first name", "phone number", "e-mail", "custom text")), whole)
        contact = whole.json["items"][1]["contactId"]  # the first is closed by its field
        get("/contacts", Accept="application/x-ndjson")
        self.gate.get(self.ended_list(get("/contacts", Prefer="respond-async")) + "/contacts", "outbound")
        for phone in (PERSON["phone number"], self.secrets["number that was looked for"]):
            get("/search?phone=--" + phone)
            get("/contact-id?phone=--" + phone)
        for field in ("%s:%s" % (PERSON["custom field"], PERSON["custom text"]), self.secrets["field that was looked for"] + ":x",
                      "Account:" + self.secrets["field that was looked for"]):
            get("/search?customField=" + field)
            get("/contacts/-?customField=" + field)
        close = lambda where, body, **more: self.send("POST", self.CONTACTS + "/%s/close%s" % where, body, "outbound", **more)
        text, field = self.secrets["text of a close"], "?customField=%s:%s" % (PERSON["custom field"], PERSON["custom text"])
        for where, key in ((("-", field), "by-field"), ((contact, ""), self.secrets["key of a close"])) * 2:
            answer = close(where, {"text": text}, key=key)
            self.assertEqual(answer.status, 200, answer)
        self.assertEqual(close((contact, ""), {"disposition": self.secrets["wrong disposition"], "text": text}).status, 422)

    def ended_list(self, answer):
        self.assertEqual(answer.status, 202, answer)
        path = answer.headers["location"]
        eventually(lambda: self.gate.get(path, "outbound").json["state"] == "done", "the list is done")
        return path

    def misplacing_people(self):
        """Rows that are wrong, and people in the wrong place."""
        wrong, phone = self.secrets["wrong row"], PERSON["phone number"]
        for body in (self.person(skillsetId=wrong), [self.person(), self.person(phoneNumber=wrong)], self.person(emailAddress={"x": wrong}),
                     self.person(customFieldList=[{"name": [wrong]}]), self.person(title=[wrong]), self.person(preferredAgentId=wrong),
                     self.person(priority=wrong), self.person(address={"addressLine1": 7, "country": wrong}), wrong, '{"a": "%s' % wrong,
                     '{"a": "%s", "a": 1}' % wrong, [wrong], self.person(title="\x01" + wrong)):
            self.assertEqual(self.append(body).status, 400, body)
        for body in (json.dumps(self.person()) + "\n" + wrong, '{"skillsetId": "%s"}' % wrong, '["%s"]\n' % wrong):
            self.assertEqual(self.append(body, "application/x-ndjson").status, 400, body)
        for body in (self.sheet(wrong), self.sheet() + '1,"' + wrong, self.sheet() + wrong + "\n", wrong + "\n1\n",
                     "skillsetId\n10001," + wrong, 'skillsetId\n"1"' + wrong):
            self.assertEqual(self.append(body, "text/csv").status, 400, body)
        self.assertEqual(self.append(self.sheet(), "text/" + wrong).status, 415)
        # what is unknown is told by its name, to whoever wrote it
        call_command(self.gate.port, "POST", self.CONTACTS, "outbound", self.person(**{self.secrets["unknown member"]: 1}))
        for secret in (phone, wrong):
            for path in ("/%s", "/%s/contacts", "/101/contacts/%s", "/101/contacts/%s/close", "/101/%s", "/101/contacts?%s=1",
                         "/101/contacts?limit=%s", "/101/search?phone=%s", "/101/search?status=%s", "/101/contact-id?%s", "/../jobs/%s",
                         "/101/contacts/-?customField=%s", "/101/search?phone=-%s-&phone=%s"):
                place = outbounding.CAMPAIGNS + path.replace("%s", secret)
                place = place.replace("/campaigns/..", "")
                for who in ("outbound", "mine", None):
                    for method, body in (("GET", None), ("POST", {"disposition": secret, "text": 1}), ("DELETE", None)):
                        answer = call_command(self.gate.port, method, place, who, body)
                        if who != "outbound" or not path.startswith("/%s"):  # which number is no campaign is told to whoever gave it
                            self.note(answer)

    def echoing_people(self):
        """The Outbound services fail and repeat what they were sent, key and all: to operators, who see every job, and in what is kept."""
        text, field = self.secrets["text of a close"], "?customField=%s:%s" % (PERSON["custom field"], PERSON["custom text"])
        one, phone = self.CONTACTS + "/10100001", PERSON["phone number"]
        said = ", ".join(PERSON.values())
        asks = ((outbounding.CAMPAIGN, "AppendContactsToCampaign", "POST", self.CONTACTS, self.person()),
                (outbounding.CONTACT, "GetContactIDByPhoneNumber", "POST", self.CONTACTS + "?onDuplicate=skip", self.person()),
                (outbounding.CONTACT, "CloseContact", "POST", one + "/close", {"text": text}),
                (outbounding.CONTACT, "CloseContact", "POST", self.CONTACTS + "/-/close" + field, {"text": text}),
                (outbounding.CAMPAIGN, "Get200CampaignContacts", "GET", self.CONTACTS, None),
                (outbounding.CONTACT, "GetContactStatus", "GET", self.CONTACTS + "/-" + field, None),
                ("*", "FindContactsByPhoneNumber", "GET", outbounding.CAMPAIGNS + "/101/search?phone=--" + phone, None))
        for kind in ("fault", "http500", "garbage", "wrongType", "truncate"):
            for place, (service, operation, method, path, body) in enumerate(asks):
                key = self.sim.admin("GET", "/campaigns")["sessionKeys"]
                own = [v for v in PERSON.values() if v in json.dumps(body) or v in path]
                self.sim.fault(kind, service, operation, 1, message="'%s' is wrong, as %s" % ("', '".join(own) or said, key))
                answer = call_command(self.gate.port, method, path, "outbound", body, key="people-%s-%d" % (kind, place)
                                      if method == "POST" else None)
                if answer.status == 202:
                    self.ended(answer)
                elif method == "POST":
                    self.note(answer)
                self.sim.no_faults()
                self.cell(not [k for k in key if k in answer.body.decode()], "the key is told", kind, path, answer)
        self.learn_keys()

    def waiting(self):
        """Somebody else is logged in: contacts wait, and are on the disk."""
        self.sim.fault("fault", outbounding.UTILITY, "OutboundLogin", message="User %s is already logged in" % outbounding.USER)
        self.sim.admin("POST", "/sessions/kill", {"user": outbounding.USER})
        path = self.append([self.person()] * 2).headers["location"]
        eventually(lambda: "waitsFor" in self.gate.get(path, "outbound").json, "it waits")
        self.assertEqual(self.gate.metric("outbound_rows_waiting"), 2)

    def seen_by_operators(self):
        """Of what others have done to campaigns."""
        jobs = self.gate.get("/v1/outbound/jobs", "every").json
        yield "jobs", json.dumps(jobs)
        for job in jobs["items"]:
            yield "job " + job["id"], self.gate.get("/v1/outbound/jobs/" + job["id"], "every").body.decode()
        self.assertGreater(len(jobs["items"]), 10)
        with WebSocket(self.gate.port, "every") as ws:
            ws.subscribe("a", since=self.began, types=["gateway.outbound.progress"])
            events = test_isolation.Streams.until(ws, ws.hello["seq"])
        self.assertGreater(len(events), 20)
        yield "progress", json.dumps(events)

    def locked_out(self, lease):
        """The contact centre takes the sessions' password no more, and says which it was; that is the end of what is planted."""
        self.sim.fault("fault", operation="LogInToCCTServer", message="Password '%s' has expired" % PASSWORD)
        self.sim.admin("POST", "/sessions/kill", {"user": "*"})
        anew = {"Cache-Control": "no-cache"}
        def is_denied():
            answer = self.send("GET", "/v1/agents/2002/capabilities", headers=anew)
            return answer.status == 503 and answer.json["type"] == "/problems/session-denied"
        eventually(is_denied, "denied")
        self.send("GET", "/v1/calls/" + self.objects[ME]["calls"], headers=anew)
        self.send("PUT", "/v1/agents/2002/readiness", {"ready": False}, lease=lease)
        self.operation("AgentService.IsReady", {"agent": {"agentLoginId": ME, "userName": "agent2002", "agentType": "Agent"}}, headers=anew)
        self.gate.get("/v1/users/me", "mine")
        self.sim.no_faults()

    def is_well(self):
        return (exchange(self.gate.port, "GET", "/readyz").status == 200 and
                self.gate.get("/v1/agents/2002/capabilities", "mine", {"Cache-Control": "no-cache"}).status == 200)

    def plant(self):
        incoming = self.sim.admin("POST", "/calls", {"to": "2003", "from": self.secrets["number that was dialled"],
                                                     "data": {"case": KEPT_IN_CACHE["incoming data"]}})["contactId"]
        self.settle()
        self.gate.get("/v1/calls/" + incoming, "other")
        with WebSocket(self.gate.port, "every") as ws:
            self.began = "%s-%d" % (ws.hello["epoch"], ws.hello["seq"])
        if self.campaigns:
            self.campaigning()
            self.misplacing_people()
            self.echoing_people()
        self.entering()
        self.speaking()
        with self.control(ME, "mine") as lease:
            self.secrets["lease"] = lease
            self.logging_in(lease)
            self.acting(lease)
            self.by_the_catalogue(lease)
            self.misplacing(lease)
            self.treating()
            self.echoing(lease)
            self.locked_out(lease)
        if self.campaigns:
            self.waiting()
        self.send("DELETE", "/v1/sessions", None, "bearer")
        for number, session in enumerate(self.sim.state()["sessions"]):
            self.secrets["token of the contact centre, later %d" % number] = session["token"]

    # ---- where they are looked for ----

    def told(self):
        """place: text, of all that is told."""
        places = {"log": self.gate.child.text(), "metrics": exchange(self.gate.port, "GET", "/metrics").body.decode()}
        for path in ("/readyz", "/healthz", "/v1/sessions", "/v1/capacity"):
            places[path] = self.gate.get(path, "every").body.decode()
        entries, path = [], "/v1/audit?limit=1000"
        while path:
            answer = self.gate.get(path, "every")
            entries += answer.json["items"]
            link = answer.headers.get("link")
            path = link[1:link.index(">")] if link else None
        self.assertGreater(len(entries), 50)
        places["audit"] = json.dumps(entries)
        if self.campaigns:
            places.update(self.seen_by_operators())
        for number, problem in enumerate(self.problems):
            places["problem %d" % number] = json.dumps(problem) if isinstance(problem, dict) else "%s %s" % (
                problem.fields, problem.body.decode("utf-8", "replace"))
        pid = self.gate.child.process.pid
        for name in ("cmdline", "environ", "comm", "status"):
            with open("/proc/%d/%s" % (pid, name), "rb") as file:
                places[name] = file.read().decode("utf-8", "replace")
        return places

    def files(self):
        """(path below the data directory, bytes) of all that is on the disk: pages that are free now, too."""
        top = os.path.join(self.gate.directory, "data")
        for folder, _, names in os.walk(top):
            self.cell(stat.S_IMODE(os.stat(folder).st_mode) == 0o700, folder, "others may look in")
            for name in names:
                path = os.path.join(folder, name)
                self.cell(stat.S_IMODE(os.stat(path).st_mode) == 0o600, path, "others may read it")
                with open(path, "rb") as file:
                    yield os.path.relpath(path, top), file.read()

    def forms(self, secret):
        """As it is, and as it might be written."""
        raw = secret.encode()
        return {raw, base64.b64encode(raw).rstrip(b"="), base64.urlsafe_b64encode(raw).rstrip(b"="), raw.hex().encode(), raw.hex().upper().encode()}

    def search(self, in_cache):
        """in_cache: what may be there, by name."""
        places = self.told()
        for name, secret in list(self.secrets.items()) + list(KEPT_IN_CACHE.items()):
            for place, text in places.items():
                found = [f for f in self.forms(secret) if f in text.encode()]
                at = text.encode().index(found[0]) if found else 0
                self.cell(not found, name, place, text[max(0, at - 300):at + 100] if found else "")
        files = list(self.files())
        self.assertGreaterEqual(len(files), 4)
        for name, secret in list(self.secrets.items()) + list(KEPT_IN_CACHE.items()):
            for path, content in files:
                if name in in_cache and path.startswith("cache/"):
                    continue
                found = [f for f in self.forms(secret) if f in content]
                at = content.index(found[0]) if found else 0
                self.cell(not found, name, path, content[max(0, at - 200):at + 60] if found else b"")
        return files

    def process(self):
        """No core holds what the process knows."""
        with open("/proc/%d/limits" % self.gate.child.process.pid, encoding="ascii") as file:
            core = next(row.split() for row in file if row.startswith("Max core file size"))
        self.cell(core[4:6] == ["0", "0"], core)

    def search_files_again(self, numbers, carried):
        """After the end: what is written then."""
        harness.check_clean(self.gate.child, self.gate.child.end(), "cctgate")
        for path, content in self.files():
            for name, secret in list(self.secrets.items()) + list(KEPT_IN_CACHE.items()):
                if path.startswith("cache/") and (name in carried or name in numbers):
                    continue
                self.cell(not [f for f in self.forms(secret) if f in content], name, path, "after the end")


class Privacy(Planted):
    def test_planted_secrets(self):
        self.plant()
        numbers = {"number that was dialled"}  # who is called is what a call is about
        files = self.search(in_cache=set(KEPT_IN_CACHE) | numbers)
        self.process()
        cache = b"".join(content for path, content in files if path.startswith("cache/"))
        for name in ("data", "incoming data", "uui", "intrinsic"):  # the search does find what is there
            self.cell(KEPT_IN_CACHE[name].encode() in cache, name, "is not where it may be", granted=True)
        self.search_files_again(numbers, set(KEPT_IN_CACHE))


class NotKept(Planted):
    """Parts of what a call carries that are not to be stored: no page of a file has ever held them, and they are read all the same."""
    keeps = {"data": False, "intrinsics": False, "uui": False, "messages": False}
    campaigns = False  # they carry nothing of a call

    def test_planted_secrets(self):
        listener = Listener(self.gate.port, "mine")
        self.plant()
        self.search(in_cache={"number that was dialled"})
        told = [e["data"] for e in listener.events if e["data"].get("property") in ("ATTACHED_DATA", "INTRINSICS", "UUI")]
        listener.stop()
        self.assertTrue(told)
        self.assertTrue(all(d["notKept"] is True and "value" not in d for d in told), told)
        self.search_files_again({"number that was dialled"}, set())

    def test_is_read_all_the_same(self):
        call = "/v1/calls/" + self.objects[ME]["calls"]
        with self.control(ME, "mine") as lease:
            for part, body in (("data", {"a": "1", "b": "2"}), ("intrinsics", {"STEP": "1"}), ("uui", {"uui": "04AB"})):
                self.assertEqual(self.send("PUT", call + "/" + part, body, lease=lease).status, 204)
                self.settle()
                eventually(lambda: self.gate.metric("upstream_calls_in_flight") + self.gate.metric("upstream_calls_queued") == 0,
                           "what is read again because of it, has been")
                for anew in (1, 0, 1):  # else it is what events keep
                    operation = {"data": "GetAttachedData", "intrinsics": "GetIntrinsics", "uui": "GetUUI"}[part]
                    before = self.sim.calls("ContactService." + operation)
                    answer = self.gate.get("%s/%s" % (call, part), "mine", {"Cache-Control": "no-cache"} if anew else {})
                    self.assertEqual((answer.status, {k: answer.json[k] for k in body}), (200, body), answer)
                    asked = self.sim.calls("ContactService." + operation) - before
                    self.assertEqual(answer.headers["cache-status"], "cctgate; fwd=bypass" if asked else "cctgate; hit")
                    self.assertEqual(asked, anew)
                    self.assertNotIn("etag", answer.headers)
                self.assert_problem(self.gate.get("%s/%s" % (call, part), "mine", {"Cache-Control": "only-if-cached"}), 504, "not-cached")
                self.assertEqual(self.gate.get("%s/%s" % (call, part), "mine", method="HEAD").status, 200)
            self.assertEqual(self.send("PATCH", call + "/data", {"b": "3"}, lease=lease).status, 204)
            self.assertEqual(self.gate.get(call + "/data", "mine").json, {"a": "1", "b": "3"})
            whole = eventually(lambda: (a := self.gate.get(call, "mine")).json["sync"] == "live" and a, "live").json
            self.assertFalse({"data", "intrinsics", "immutableIntrinsics", "uui"} & set(whole), whole)
            self.assertEqual(whole["notKept"], ["data", "intrinsics", "uui"])
            self.denied_like(self.gate.get(call + "/data", "other"), self.gate.get("/v1/calls/%s/data" % self.absent("calls"), "other"), "another's")
            with WebSocket(self.gate.port, "mine") as ws:
                ws.subscribe("a", snapshot=True)
                items, _ = ws.snapshot("a")
            self.assertEqual(items[call]["notKept"], ["data", "intrinsics", "uui"])


if __name__ == "__main__":
    harness.main()
