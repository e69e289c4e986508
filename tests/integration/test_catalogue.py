"""Every operation of the contract, and every route: what reads is answered, what acts passes the gate or does not act."""
import re
from collections import Counter

import harness
from command_table import CALL, OTHER, OUTSIDE, WHO
from commanding import Floor, call_command, line, position
from harness import PASSWORD, eventually
from test_live import is_live

# Never: no provider does it (DOMAIN 4.3)
NEVER = {"ConnectionService.Park", "ContactService.Whisper"}
# What a recorder does without a lease
RECORDING = {"ConnectionService.StartRecording", "ConnectionService.StopRecording"}
ROUTE_POINT = {"RoutePointAddressService", "RoutePointConnectionService"}


class World:
    """What stands in a made-up body for the names of objects, by member name and by the one around it."""

    kept = ()

    def __init__(self, t, at_route_point=False):
        self.values = {"agentLoginId": WHO, "agentId": WHO, "userName": "agent" + WHO, "agentType": "Agent", "password": PASSWORD,
                       "agentPassword": PASSWORD, "initialState": "READY", "terminalName": line(WHO), "terminalType": "AGENT",
                       "addressName": position(WHO), "addressType": "AGENT", "destinationAddress": OUTSIDE, "newParty": OUTSIDE,
                       "pickupGroup": "Group1", "contactExternalId": "0", "digits": "1", "activityCode": "5", "reasonCode": "3",
                       "providerName": "Passive"}
        self.around = {name: {"addressName": OUTSIDE, "addressType": "OUT_OF_PROVIDER"}
                       for name in ("dstAddress", "destinationAddress", "desitnationAddress")}
        self.around["supervisor"] = {"agentLoginId": "2011", "userName": "agent2011", "agentType": "AgentSupervisor"}
        self.around["desitnationTerminal"] = {"terminalName": line(OTHER)}
        self.around["routePointAddress"] = {"addressName": "RP_Sales", "addressType": "ROUTE_POINT"}
        call = t.sim.admin("POST", "/calls", {"to": "RP_Sales"} if at_route_point else {"to": WHO, "answer": True})
        self.call, self.values["contactId"] = call["contactId"], call["contactId"]
        at = t.connection(self.call, "RP_Sales" if at_route_point else position(WHO))
        self.values["connectionId"] = at["id"]
        if at_route_point:
            self.values.update(addressName="RP_Sales", addressType="ROUTE_POINT")
        else:
            self.values["terminalConnectionId"] = at["terminalConnections"][0]["id"]

    def fill(self, value, name=None, around=None):
        if isinstance(value, dict):
            return {k: self.fill(v, k, name) for k, v in value.items()}
        if isinstance(value, list):
            return [self.fill(v, name, around) for v in value]
        known = self.around.get(around, {}).get(name, self.values.get(name))
        return known if isinstance(value, str) and known is not None and name not in self.kept else value


class Catalogue(Floor):
    simulator_options = {"agents": 12, "scenario": "idle", "message_waiting": True}
    gateway_options = dict(Floor.gateway_options, upstream={"reconcileMs": 3600000, "timeoutMs": 3000})

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.operations = []
        for service in cls.gate.get("/v1/services").json["items"]:
            if service["name"].startswith("Outbound") or service["name"] == "NotificationConsumer":
                continue
            cls.operations += [(service["name"], o["name"], o["kind"]) for o in service["operations"]]
        cls.examples = {}

    def example(self, service, operation):
        """A body that the contract accepts, made by the gateway's own codec."""
        if (service, operation) not in self.examples:
            answer = self.gate.get("/v1/services/%s/%s" % (service, operation))
            self.assertEqual(answer.status, 200, answer)
            self.examples[service, operation] = answer.json["examples"]["input"]
        return self.examples[service, operation]

    def invoke(self, world, service, operation, who, lease=None):
        world.kept = ("reasonCode",) if "Recording" in operation else ()  # there it is one of a list
        return self.send("POST", "/v1/services/%s/%s" % (service, operation), world.fill(self.example(service, operation)), who,
                         lease=lease, headers={"CCT-User": "supervisor", "Cache-Control": "no-cache"})

    def world(self, service, operation=""):
        world = World(self, service in ROUTE_POINT or operation == "GiveTreatment")
        self.settle()
        return world

    def test_describes_them(self):
        self.assertEqual(len(self.operations), 217)
        kinds = Counter(kind for _, _, kind in self.operations)
        self.assertEqual(set(kinds), {"read", "command", "session", "subscription"})
        self.assertGreater(kinds["command"], 70)
        for service in {s for s, _, _ in self.operations}:
            answer = self.gate.get("/v1/services/" + service)
            self.assertEqual(answer.status, 200, answer)
            for operation in answer.json["operations"]:
                for part in ("input", "output"):
                    self.assertIn("$schema", operation[part], (service, operation["name"]))
        self.assert_problem(self.gate.get("/v1/services/Nothing"), 404)
        self.assert_problem(self.gate.get("/v1/services/AgentService/Nothing"), 404)

    def test_all_are_called(self):
        """Accepted or refused by the contact centre, never malformed; those that end sessions come last."""
        order = {"read": 0, "command": 1, "subscription": 2, "session": 3}
        wrong, absent = [], set()
        first = self.sim.counters()["operations"]
        for service, operation, kind in sorted(self.operations, key=lambda o: (order[o[2]], o)):
            name = "%s.%s" % (service, operation)
            world, lease = None, None
            if kind == "command":
                self.no_control()
                self.rest()
                lease = self.attach(WHO)["lease"] if service not in ROUTE_POINT else None
            if kind == "session":
                eventually(lambda: is_live(self.gate, "supervisor"), "live again")
            world = self.world(service, operation) if kind in ("read", "command") else world or self.last
            self.last = world
            before = self.sim.calls(name)
            answer = self.invoke(world, service, operation, "operator" if kind in ("session", "subscription") else "floor", lease)
            if answer.status == 409 and answer.json["type"] == "/problems/capability-absent":
                absent.add(name)
            elif answer.status not in (200, 202, 204) and not (answer.status in (502, 503) and answer.json.get("fault")):
                wrong.append((name, kind, answer))
            elif self.sim.calls(name) == before:
                wrong.append((name, kind, "was not called", answer))
            if kind == "read":
                self.sim.admin("POST", "/calls/%s/end" % world.call)
        counters = self.sim.counters()
        self.assertEqual(counters["violations"], 0, counters["violationMessages"])
        self.assertEqual(wrong, [])
        self.assertLessEqual(absent, NEVER)
        called = {name for name, count in counters["operations"].items() if count > first.get(name, 0)}
        missing = {"%s.%s" % (s, o) for s, o, _ in self.operations} - called
        self.assertLessEqual(missing, absent)
        eventually(lambda: is_live(self.gate, "supervisor"), "live again")

    def test_what_acts_needs_control(self):
        """Nothing that acts reaches the contact centre without the lease of whom it acts for."""
        self.no_control()
        self.rest()
        world = self.world("")
        strange = self.attach("2006", "stranger")["lease"]
        other = self.attach(OTHER)["lease"]
        watching = self.attach(WHO, profile="MonitorOnly")["lease"]
        acting = [(s, o, k) for s, o, k in self.operations if k != "read"]
        self.assertGreater(len(acting), 80)
        for service, operation, _ in acting:
            self.example(service, operation)
        before = self.acted()
        for service, operation, kind in acting:
            for who, lease in (("floor", None), ("boss", None), ("looker", None), ("recorder", None), ("operator", None),
                               ("campaigner", None), ("floor", other), ("floor", watching), ("floor", "A" * 43),
                               ("stranger", strange), ("looker", watching)):
                name = "%s.%s" % (service, operation)
                if (who == "recorder" and name in RECORDING) or (who == "operator" and kind in ("session", "subscription")):
                    continue
                if service in ROUTE_POINT and who in ("floor", "boss", "stranger") and "Control" in operation:
                    continue  # a route point is no agent's
                with self.subTest(name=name, who=who, lease=lease and ("other" if lease == other else lease[:1])):
                    answer = self.invoke(world, service, operation, who, lease)
                    self.assertIn(answer.status, (400, 403, 404, 409), answer)
                    self.assertEqual(answer.headers["content-type"], "application/problem+json")
                    if kind in ("session", "subscription") or who in ("looker", "operator", "campaigner"):
                        self.assertEqual(answer.status, 403, answer)
        self.assertEqual(self.acted(), before)

    def acted(self):
        """How often which operation that is no read has come."""
        reads = {"%s.%s" % (s, o) for s, o, k in self.operations if k == "read"}
        return {k: v for k, v in self.sim.counters()["operations"].items() if k not in reads}

    def test_bad_bodies(self):
        self.no_control()
        lease = self.attach(WHO)["lease"]
        before = self.sim.calls()
        for body in ({"terminalConnection": {"terminalConnectionId": 7}}, {"terminalConnection": {}}, {"nothing": 1}, {},
                     {"terminalConnection": {"terminalConnectionId": "x"}, "ssoToken": {"token": "x"}}):
            self.assert_problem(self.send("POST", "/v1/services/TerminalConnectionService/Hold", body, lease=lease), 400, "bad-request")
        self.assertEqual(self.sim.calls(), before)

    def test_same_rules_as_commands(self):
        """Keys, and objects that nobody knows."""
        self.no_control()
        self.rest()
        lease = self.attach(WHO)["lease"]
        body = {"agent": {"agentLoginId": WHO, "userName": "agent" + WHO, "agentType": "Agent"}, "ready": False}
        path, before = "/v1/services/AgentService/SetReady", self.commands()
        first = self.send("POST", path, body, lease=lease, key="catalogue")
        self.assertEqual((first.status, first.json), (200, {}), first)
        again = self.send("POST", path, body, lease=lease, key="catalogue")
        self.assertEqual((again.status, again.json, again.headers.get("idempotency-replayed")), (200, {}, "true"))
        self.assert_problem(self.send("POST", path, dict(body, ready=True), lease=lease, key="catalogue"), 422, "idempotency-key-reused")
        self.assertEqual(self.commands(), before + 1)
        body["agent"]["agentLoginId"] = "9999"
        self.assertIn(self.send("POST", path, body, lease=lease).status, (403, 404, 409))
        # a body that names two agents acts for neither by the lease of one
        call = self.incoming(OTHER, answer=True)
        mixed = World(self).fill(self.example("SessionService", "HoldContact"))
        mixed["contact"]["contactId"] = call
        mixed["terminal"]["terminalName"] = line(OTHER)
        self.assertIn(self.send("POST", "/v1/services/SessionService/HoldContact", mixed, lease=lease).status, (403, 404, 409))
        self.assertEqual(self.commands(), before + 1)

    def test_whose_it_is(self):
        """Who acts is the contract's to say, not the order of the body's members; what else is named is the token's to see."""
        self.no_control()
        self.rest()
        lease = self.attach(WHO)["lease"]
        ringing = self.incoming(WHO)
        pickup = World(self).fill(self.example("TerminalService", "PickupFromTerminal"))
        pickup["terminalConnection"]["terminalConnectionId"] = self.leg_id(ringing, WHO)
        pickup["terminal"]["terminalName"] = line(OTHER)
        pickup["terminalAddress"]["addressName"] = position(OTHER)
        self.settle()
        before = self.commands()
        for names in (list(pickup), list(reversed(list(pickup)))):
            with self.subTest(names):
                answer = self.send("POST", "/v1/services/TerminalService/PickupFromTerminal", {n: pickup[n] for n in names}, lease=lease)
                self.assertIn(answer.status, (403, 409), answer)
        self.assertEqual(self.commands(), before)
        # a call that the token does not see is none, whatever is beside it
        foreign = self.incoming(WHO, answer=True)
        lease = self.attach("2006", "stranger")["lease"]
        for contact in (foreign, "nothing"):
            with self.subTest(contact):
                hold = World(self).fill(self.example("SessionService", "HoldContact"))
                hold["contact"]["contactId"] = contact
                hold["terminal"]["terminalName"] = line("2006")
                self.settle()
                before = self.commands()
                answer = self.send("POST", "/v1/services/SessionService/HoldContact", hold, "stranger", lease=lease)
                self.assert_problem(answer, 404, "not-found")
                self.assertEqual(self.commands(), before)


class EveryRoute(Floor):
    """A walk through /openapi.json: without a lease, whoever asks, no route makes the contact centre act."""

    def instance(self, schema, document, name="", depth=0):
        """Some value that the schema accepts."""
        while "$ref" in schema:
            node = document
            for part in schema["$ref"][2:].split("/"):
                node = node[part.replace("~1", "/").replace("~0", "~")]
            schema = node
        for several in ("oneOf", "anyOf", "allOf"):
            if several in schema:
                merged = self.instance(schema[several][0], document, name, depth)
                if "properties" in schema and isinstance(merged, dict):
                    merged.update({k: v for k, v in self.instance(
                        {k: v for k, v in schema.items() if k != several}, document, name, depth).items() if k not in merged})
                return merged
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            wanted = set(schema.get("required", ()))
            made = {k: self.instance(v, document, k, depth + 1) for k, v in schema.get("properties", {}).items()
                    if k in wanted and depth < 8}
            if not made and schema.get("additionalProperties") not in (None, False) and not schema.get("properties"):
                made = {"key": "value"}
            return made
        return {"array": [], "boolean": True, "integer": schema.get("minimum", 1), "number": 1, "null": None}.get(
            kind, self.names.get(name, "1"))

    def bodies(self, operation, document):
        """What can be sent: each alternative of the body; the actor is always named."""
        content = operation.get("requestBody", {}).get("content", {})
        schema = next((c["schema"] for t, c in content.items() if "json" in t), None)
        if schema is None:
            return [None]
        while "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        several = schema.get("oneOf") or schema.get("anyOf") or [schema]
        made = [self.instance(s, document) for s in several]
        examples = [c.get("example") for c in content.values()] + [
            e.get("value") for c in content.values() for e in c.get("examples", {}).values()]
        return made + [e for e in examples if isinstance(e, dict)]

    def test_none_acts_without_control(self):
        self.no_control()
        document = self.gate.get("/openapi.json").json
        call = self.incoming(WHO, answer=True)
        self.names = {"to": OUTSIDE, "terminal": line(WHO), "agent": WHO, "address": position(WHO), "supervisor": "2011",
                      "consultContactId": call, "terminalConnectionId": self.leg_id(call, WHO), "uui": "04", "digits": "1"}
        ids = {"loginId": WHO, "contactId": call, "key": "case", "user": "supervisor"}
        walked, sent = set(), 0
        before = self.commands()
        for path, methods in document["paths"].items():
            place = re.sub(r"\{(\w+)\}", lambda m: ids.get(m.group(1)) or (
                line(WHO).replace(" ", "%20") if "terminals" in path else position(WHO) if "addresses" in path else
                "RP_Sales" if m.group(1) == "address" else "1"), path)
            for method, operation in methods.items():
                if method not in ("post", "put", "patch", "delete"):
                    continue
                if path.startswith(("/v1/services/", "/v1/sessions", "/v1/events", "/v1/outbound/")):
                    continue  # the catalogue has tests of its own; campaigns are nobody's to control
                walked.add((method, path))
                for body in self.bodies(operation, document):
                    for who in ("floor", "boss", "looker", "recorder", "operator", "campaigner", "stranger", None):
                        if "/control" in path and not path.startswith("/v1/route-points"):
                            if who in ("operator", "floor", "boss"):
                                continue  # attaching is what it is for
                        if path.startswith("/v1/route-points") and who in ("floor", "boss"):
                            continue
                        if path.endswith("/recording") and who in ("recorder", "stranger"):
                            continue
                        answer = call_command(self.gate.port, method.upper(), place, who, body)
                        sent += 1
                        with self.subTest(method=method, path=path, who=who):
                            if who is None:
                                self.assertEqual(answer.status, 401, answer)
                            elif "/control" not in path:
                                self.assertIn(answer.status, (400, 403, 404, 409, 501), (body, answer))
                            if who in ("looker", "campaigner") and "/control" not in path:
                                self.assertEqual(answer.status, 403, answer)
                        self.assertEqual(self.commands(), before, (method, path, who, body))
        self.assertGreater(len(walked), 60)
        self.assertGreater(sent, 400)
        for path in (CALL.replace("{call}", "{contactId}") + "/answer", "/v1/agents/{loginId}/readiness", "/v1/calls"):
            self.assertTrue(any(p == path for _, p in walked), path)


if __name__ == "__main__":
    harness.main()
