"""/asyncapi.json: valid by AsyncAPI's own schema, and true: whatever the gateway says on a stream is what the document says of it."""
import contextlib
import json
import os
import re
import time
import urllib.parse

import jsonschema

import harness
from harness import BOUND, Case, TOP, exchange
from websocket import BINARY, EventStream, WebSocket

CONTACT_PROPERTIES = (
    "CONTACT", "CONFERENCE_INIT", "CONFERENCE_COMPLETE", "BLIND_TRANSFER_COMPLETE", "SUPERVISED_TRANSFER_INIT",
    "SUPERVISED_TRANSFER_COMPLETE", "CONSULT", "ATTACHED_DATA", "NETWORK_DIALED_ADDRESS", "SPEXTERNAL_ID", "UUI",
    "CONTACT_TYPE", "CALLED_ALIAS", "CALLED_ADDRESS", "CALLING_ADDRESS", "CALLING_TERMINAL", "LAST_REDIRECTED_ADDRESS",
    "CCM_ID", "INTRINSICS", "ROUTE", "NODE_ID", "SOURCE_SITE_GROUP_ID", "TARGET_AGENT_POSITION_ID")
TERMINAL_PROPERTIES = (
    "DO_NOT_DISTURB", "FORWARDING", "CONTACT_TYPE", "TREATMENT_TERMINAL_TYPE", "TREATMENT_TRANSPORT_TYPE", "NAME",
    "PORT", "AGENT_LOGIN_SESSION", "AGENT_LOGIN_SESSION_ENDED", "ACTIVITY_CODE", "READY_STATUS",
    "VALIDATE_AGENT_LICENSE")
ADDRESS_PROPERTIES = ("FORWARDING", "DO_NOT_DISTURB", "MESSAGE_WAITING", "ADDRESS_TERMINAL_ASSOCIATION",
                      "ACQUIRE_STATUS", "URI", "CONTROLLED", "PRESENCE")
AGENT_PROPERTIES = ("CONTACT_TYPE", "ADDRESS_NAME", "VOICE_TERMINAL", "LOGIN_STATUS", "INFORMATION", "READY_STATUS")
# What the traffic below makes the gateway tell, at least.
CAUSED = {"cct.connection.state", "cct.terminalConnection.state", "cct.contact.property", "cct.agent.property",
          "cct.agent.state", "cct.terminal.property", "cct.terminal.state", "cct.address.property",
          "cct.address.state", "cct.provider.status", "cct.contact.forceDisconnect", "cct.contact.defaultTreatment",
          "cct.system", "cct.user.state", "gateway.session", "gateway.gap", "cct.terminalConnection.forceAnswer"}


class Document:
    """A JSON document with references within itself."""

    def __init__(self, json_):
        self.json = json_

    def at(self, reference):
        """What a reference leads to."""
        node = self.json
        for step in reference.split("/")[1:]:
            node = node[urllib.parse.unquote(step).replace("~1", "/").replace("~0", "~")]
        return node

    # what jsonschema asks of a resolver; its own looks for "$id" where there are only members of that name
    @contextlib.contextmanager
    def resolving(self, reference):
        yield self.at(reference)

    def push_scope(self, _):
        pass

    pop_scope = push_scope

    def check(self, reference, instance):
        jsonschema.Draft7Validator({"$ref": reference}, resolver=self).validate(instance)

    def names(self, schema):
        """The members that a schema tells of."""
        found, todo = set(), [schema]
        while todo:
            one = todo.pop()
            if "$ref" in one:
                todo.append(self.at(one["$ref"]))
                continue
            found |= set(one.get("properties", {}))
            todo += one.get("allOf", []) + [one[k] for k in ("if", "then") if k in one]
        return found

    def check_message(self, channel, name, said):
        """Valid, and without a member that the document does not tell of."""
        reference = "#/channels/%s/messages/%s/payload" % (channel, name)
        self.check(reference, said)
        self.check_names(self.at(reference), said)
        event = said.get("event", {}) if channel == "websocket" else said if "specversion" in said else {}
        if event:
            self.check_names({"$ref": "#/components/schemas/" + event["type"]}, event)
            self.check_names({"allOf": [{"$ref": "#/components/schemas/EventData"},
                                        {"$ref": "#/components/schemas/%s.data" % event["type"]}]}, event["data"])

    def check_names(self, schema, said):
        extra = set(said) - self.names(schema)
        assert not extra, (schema, extra, said)


class AsyncApi(Case):
    gateway_options = {"users": ("supervisor",), "consumer": {"address": "127.0.0.1", "port": 0},
                       "events": {"forceAnswerMs": 50, "heartbeatMs": 4000}}

    def setUp(self):
        super().setUp()
        answer = self.gate.get("/asyncapi.json", None)
        self.assertEqual(answer.status, 200)
        self.document = Document(answer.json)

    def references(self, node):
        todo = [node]
        while todo:
            one = todo.pop()
            if isinstance(one, dict):
                if isinstance(one.get("$ref"), str):
                    yield one["$ref"]
                todo += one.values()
            elif isinstance(one, list):
                todo += one

    def test_valid(self):
        with open(os.path.join(TOP, "tests/schemas/asyncapi/3.0.0.json")) as file:
            Document(json.load(file)).check("#", self.document.json)
        references = set(self.references(self.document.json))
        self.assertGreater(len(references), 50)
        for reference in references:
            self.document.at(reference)
        for schema in self.document.json["components"]["schemas"].values():
            jsonschema.Draft7Validator.check_schema(schema)

    def test_nothing_is_left_over(self):
        """What a component describes is referred to: nothing of the contract is here that no event has."""
        references = {r.rsplit("/", 1)[1] for r in self.references(self.document.json) if "/schemas/" in r}
        for name in self.document.json["components"]["schemas"]:
            if name.startswith("wire."):
                self.assertIn(name, references)

    def test_servers(self):
        servers = self.document.json["servers"]
        self.assertEqual({s["host"] for s in servers.values()}, {"127.0.0.1:%d" % self.gate.port})
        self.assertEqual({s["protocol"] for s in servers.values()}, {"ws", "http"})
        answer = exchange(self.gate.port, "GET", "/asyncapi.json", {"Host": "x\"y<z>"})
        self.assertEqual(answer.status, 400)

    def test_tables(self):
        """Types are those that a subscription takes, close codes those of the program."""
        types = self.document.at("#/components/schemas/EventType")["enum"]
        with WebSocket(self.gate.port) as ws:
            ws.subscribe(types=types)
            ws.send({"op": "subscribe", "id": "b", "types": types + ["cct.nothing"]})
            self.assertEqual(ws.receive_op("error")["problem"]["pointer"], "/types/%d" % len(types))
        with open(os.path.join(TOP, "include/cctgate/limits.h")) as file:
            ours = {int(n) for n in re.findall(r"#define CG_CLOSE_[A-Z]+ +(\d{4})\n|#define CG_CLOSE_[A-Z]+ +(\d{4}) ",
                                               file.read()) for n in n if n}
        self.assertIn(4408, ours)
        told = {row["code"] for row in self.document.json["channels"]["websocket"]["x-close-codes"]}
        self.assertEqual(told, ours | {1000, 1002, 1007, 1009})

    def test_openapi_names_it(self):
        openapi = Document(self.gate.get("/openapi.json", None).json)
        paths = openapi.json["paths"]
        for path in ("/asyncapi.json", "/v1/events", "/v1/events/ticket"):
            self.assertIn(path, paths)
        self.assertEqual(list(paths["/v1/events"]["get"]["responses"]["200"]["content"]), ["text/event-stream"])
        self.assertIn("201", paths["/v1/events/ticket"]["post"]["responses"])
        self.assertEqual({p["name"] for p in [openapi.at(p["$ref"]) for p in paths["/v1/events"]["get"]["parameters"]] if p["in"] == "query"},
                         {"types", "subjects", "agents", "since", "snapshot", "ticket"})

    # ---- what is said ----

    def inject(self, kind, **more):
        self.sim.admin("POST", "/events", dict(more, type=kind))

    def cause_everything(self):
        ringing = self.sim.admin("POST", "/calls", {"to": "2003"})["contactId"]
        call = self.sim.admin("POST", "/calls", {"to": "2002", "answer": True, "data": {"case": "4"}})["contactId"]
        self.sim.admin("POST", "/agents/2004", {"loggedIn": True, "ready": False, "reasonCode": "3", "activityCode": "9"})
        for name in CONTACT_PROPERTIES:
            value = {"CCM_ID": 7, "ATTACHED_DATA": {"a": "b"}, "INTRINSICS": {"a": "b"}}.get(name, "word")
            self.inject("CONTACT_PROPERTY", contact=call, property=name, value=value)
        for name in TERMINAL_PROPERTIES:
            self.inject("TERMINAL_PROPERTY", terminal="Line 1.0.2", property=name)
        for name in ADDRESS_PROPERTIES:
            self.inject("ADDRESS_PROPERTY", address="52002", property=name)
        for name in AGENT_PROPERTIES:
            self.inject("AGENT_PROPERTY", agent="2002", property=name)
        self.inject("ADDRESS_STATE", address="52002", state="OUT_OF_SERVICE", reason="cable")
        self.inject("TERMINAL_STATE", terminal="Line 1.0.2", state="INVALID")
        self.inject("AGENT_STATE", agent="2002", state="UNMAPPED")
        self.inject("SERVICE_PROVIDER_STATUS", provider="Passive", state="RESTART")
        self.inject("DEFAULT_TREATMENT", contact=call)
        self.inject("FORCE_DISCONNECT", contact=call)
        self.sim.admin("POST", "/calls/%s/end" % call)
        return ringing

    def read_all(self, ws, channel_message, until):
        """Checks what comes until all of `until` has; the names that came."""
        seen, end = set(), time.monotonic() + BOUND
        while not until <= seen:
            assert time.monotonic() < end, until - seen
            message = ws.receive()
            name = message["event"]["type"] if message["op"] == "event" else message["op"]
            channel_message("websocket", name, message)
            seen.add(name)
        return seen

    def test_what_is_said_is_what_is_described(self):
        check = self.document.check_message
        with WebSocket(self.gate.port, hello=False) as ws:
            hello = ws.receive()
            check("websocket", "hello", hello)
            since = "%s-0" % hello["epoch"]
            ws.send({"op": "subscribe", "id": "a", "since": since})
            self.read_all(ws, check, {"subscribed", "gateway.session", "cct.user.state"})
            ringing = self.cause_everything()
            # the delivery itself fails, last: all is read anew then
            self.sim.admin("POST", "/system", {"event": "CONNECTION_FAILURE", "user": "*", "true": False})
            seen = self.read_all(ws, check, CAUSED - {"gateway.session", "cct.user.state"})
            self.sim.admin("POST", "/calls/%s/end" % ringing)
            ws.send({"op": "subscribe", "id": "s", "snapshot": True})
            self.read_all(ws, check, {"snapshot", "heartbeat"})
            ws.send({"op": "subscribe", "id": "g", "since": "99999-1"})
            self.read_all(ws, check, {"gap"})
            ws.send({"op": "unsubscribe", "id": "g"})
            ws.send({"op": "ping", "id": "p"})
            ws.send({"op": "nothing", "id": "x"})
            self.read_all(ws, check, {"unsubscribed", "pong", "error"})
        self.assertGreaterEqual(seen | {"gateway.session", "cct.user.state"}, CAUSED)
        self.same_as_a_stream(since)

    def same_as_a_stream(self, since):
        """The log once more, as server-sent events, to its end; then what only comes without `since`."""
        names = set()
        with WebSocket(self.gate.port) as ws:
            last = ws.hello["seq"]
        with EventStream(self.gate.port, query="?since=" + since) as stream:
            seq = 0
            while seq < last:
                fields = stream.receive_event()
                said = json.loads(fields["data"])
                self.document.check_message("stream", fields["event"], said)
                names.add(fields["event"])
                seq = said["seq"] if fields["event"] != "hello" else seq
        self.assertGreaterEqual(names, CAUSED)
        with EventStream(self.gate.port, query="?since=99999-1") as stream:
            for name in ("hello", "gap", "snapshot"):
                self.document.check_message("stream", name, json.loads(stream.receive_event(name)["data"]))

    def test_what_is_described_is_taken(self):
        """Each operation as the document has it, with everything in it, is accepted; and what it forbids is not."""
        with WebSocket(self.gate.port) as ws:
            messages = {
                "subscribe": {"op": "subscribe", "id": "a", "types": ["cct.system"], "subjects": ["/v1/agents/2001"],
                              "agents": ["2001"], "since": "1-1", "snapshot": True},
                "unsubscribe": {"op": "unsubscribe", "id": "a"},
                "ack": {"op": "ack", "seq": 0},
                "ping": {"op": "ping", "id": "p"},
                "renew": {"op": "renew", "id": "r", "lease": "x" * 43},
                "bind": {"op": "bind", "id": None, "lease": "x" * 43},
                "command": {"op": "command", "id": 7, "method": "PUT", "path": "/v1/agents/nobody/readiness",
                            "body": {"ready": True}, "lease": "x" * 43, "idempotencyKey": "once", "wait": 1,
                            "user": "supervisor"}}
            for operation in self.document.json["operations"].values():
                if operation["action"] != "receive":
                    continue
                name = operation["messages"][0]["$ref"].rsplit("/", 1)[1]
                self.document.check_message("websocket", name, messages[name])
                answers = {m["$ref"].rsplit("/", 1)[1] for m in operation["reply"]["messages"]}
                said = messages.pop(name)
                ws.send(said)
                if answers == {"error"}:
                    continue
                answer = self.next_answer(ws)
                self.assertIn(answer["op"], answers - {"error"})
                self.assertEqual(answer.get("id"), said["id"])
                self.document.check_message("websocket", answer["op"], answer)
            self.assertEqual(messages, {})
            wrong = {"op": "subscribe", "id": "a", "since": "yesterday"}
            with self.assertRaises(jsonschema.ValidationError):
                self.document.check_message("websocket", "subscribe", wrong)
            ws.send(wrong)
            self.assertEqual(self.next_answer(ws)["op"], "error")

    def next_answer(self, ws):
        """What comes next and is no news of a subscription."""
        while True:
            message = ws.receive()
            if message["op"] not in ("gap", "snapshot", "event", "heartbeat"):
                return message

    def test_close_codes(self):
        rows = {r["code"]: r for r in self.document.json["channels"]["websocket"]["x-close-codes"]}
        with WebSocket(self.gate.port) as ws:
            ws.send_frame(BINARY, b"x")
            self.assertIn(ws.expect_close(), rows)
        self.assertTrue(rows[4408]["mayResume"])
        self.assertFalse(rows[4401]["mayResume"])


if __name__ == "__main__":
    harness.main()
