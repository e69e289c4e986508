"""What the gateway makes of events: force answer, calls that are over, and which call came of which."""
import os
import sys

import harness
from harness import CONTRACT, PASSWORD, TOP, Case, eventually
from test_live import CONSUMER, all_items, is_live
from websocket import WebSocket

sys.path.insert(0, os.path.join(TOP, "tests/simulator"))
import simdrive  # noqa: E402
from simdrive import TC, contact, termconn  # noqa: E402

HOUR_MS = 3600000
USERS = ("supervisor", "agent2001", "agent2002")


class Other(simdrive.Sim):
    """Another application that acts on the same floor, with a session of its own: what it does, the gateway only hears of."""

    def __init__(self, sim):
        self.contract, self.operations = CONTRACT, simdrive.load_operations(CONTRACT)
        self.replies, self.used, self.priority, self.connection = [], {}, False, None
        self.port, self.admin_port = sim.port, sim.admin_port
        self.token = self.login("admin", PASSWORD)

    def act(self, operation, leg, *fields):
        reply = self.call(TC, operation, self.token, ("terminalConnection", termconn(leg)), *fields)
        assert reply.ok, (operation, reply.body)
        return reply

    def consult(self, leg, to, operation="InitiateSupervisedTransfer"):
        return self.act(operation, leg, ("destinationAddress", to)).text("contactId")

    def complete(self, leg, consult, operation="CompleteSupervisedTransfer"):
        self.act(operation, leg, ("consultedContact", contact(consult)))


class Derived(Case):
    simulator_options = {"agents": 6}
    gateway_options = {"users": USERS, "consumer": CONSUMER, "upstream": {"reconcileMs": HOUR_MS}}

    def setUp(self):
        super().setUp()
        eventually(lambda: is_live(self.gate, *self.gateway_options["users"]), "live")
        for call in self.sim.state()["calls"]:
            self.sim.admin("POST", "/calls/%s/end" % call["contactId"])
        for agent in ("2001", "2002", "2003"):
            self.sim.admin("POST", "/agents/" + agent, {"loggedIn": True, "ready": True})
        eventually(lambda: all_items(self.gate, "supervisor", "calls") == [], "an empty floor")

    def open(self, who="supervisor", **members):
        ws = WebSocket(self.gate.port, who)
        self.addCleanup(ws.sock.close)
        ws.subscribe("d", **members)
        return ws

    def ring(self, agent, **more):
        """The id of a call that rings at an agent's terminal (or does what `more` says)."""
        return self.sim.admin("POST", "/calls", dict({"from": "+35391555001", "to": agent}, **more))["contactId"]

    def call(self, contact_id, who="supervisor", **more):
        return self.gate.get("/v1/calls/" + contact_id, who, **more)

    def known(self, contact_id, holds=lambda call: True, who="supervisor"):
        """The call as the gateway tells it, once that is so. From the list, so that no call is asked for before it is known."""
        call = None

        def seen():
            nonlocal call
            call = {c["contactId"]: c for c in all_items(self.gate, who, "calls")}.get(contact_id)
            return call is not None and holds(call)
        try:
            eventually(seen, "as expected")
        except AssertionError:
            self.fail("%s, as %s sees it: %s" % (contact_id, who, call))
        return call

    def legs(self, contact_id):
        """{address: (state, terminal connection, its state)} as the simulator has them"""
        for call in self.sim.state()["calls"]:
            if call["contactId"] == contact_id:
                return {c["address"]: (c["state"],) + (tuple(c["terminalConnections"][0][k] for k in ("id", "state"))
                                                       if c["terminalConnections"] else (None, None))
                        for c in call["connections"]}
        return {}

    def leg(self, contact_id, at):
        return self.legs(contact_id)[at][1]


# ---- force answer ----

FORCE = "cct.terminalConnection.forceAnswer"


class ForceAnswer(Derived):
    """A call that begins to ring later is told of later: what was not told before it, is not told."""
    gateway_options = dict(Derived.gateway_options, events={
        "forceAnswerMs": 3000, "forceAnswer": [{"agent": "2002", "ms": HOUR_MS}, {"agent": "2003", "ms": 0}]})

    def told(self, ws):
        return ws.receive_op("event")["event"]

    def test_told(self):
        ws, own, other = self.open(types=[FORCE]), self.open("agent2001", types=[FORCE]), \
            self.open("agent2002", types=[FORCE])
        contact_id = self.ring("2001")
        event = self.told(ws)
        self.assertEqual((event["type"], event["subject"], event["agent"]), (FORCE, "/v1/calls/" + contact_id, "2001"))
        data = event["data"]
        self.assertIs(data["derived"], True)
        self.assertEqual((data["contactId"], data["terminal"], data["terminalConnectionId"]),
                         (contact_id, "Line 1.0.1", self.leg(contact_id, "52001")))
        self.assertGreaterEqual(data["ringingMs"], 2999)  # two clocks
        self.assertEqual(self.told(own)["data"], data)
        # told once, and to nobody else
        again = self.ring("2001")
        self.assertEqual(self.told(ws)["data"]["contactId"], again)
        other.send({"op": "ping"})
        self.assertEqual(other.receive()["op"], "pong")

    def test_not_when_answered_before(self):
        ws = self.open(types=[FORCE])
        answered, rejected = self.ring("2001", answer=True), self.ring("2001")
        self.sim.admin("POST", "/calls/%s/end" % rejected)
        ringing = self.ring("2001")
        self.assertEqual(self.told(ws)["data"]["contactId"], ringing)
        self.assertEqual(self.known(answered)["connections"][0]["state"], "ESTABLISHED")

    def test_times_of_agents(self):
        ws = self.open(types=[FORCE])
        for agent in ("2002", "2003", "2001"):
            ringing = self.ring(agent)
        self.assertEqual(self.told(ws)["data"]["contactId"], ringing)
        ws.send({"op": "ping"})
        self.assertEqual(ws.receive()["op"], "pong")

    def test_only_agents_terminals(self):
        ws = self.open(types=[FORCE, "cct.terminalConnection.state"])
        self.ring("8001")
        self.assertEqual((self.told(ws)["data"]["terminal"]), "Phone 1")
        self.ring("2001")
        self.assertEqual(self.told(ws)["data"]["terminal"], "Line 1.0.1")
        event = self.told(ws)
        self.assertEqual((event["type"], event["data"]["terminal"]), (FORCE, "Line 1.0.1"))


class ForceAnswerRules(Derived):
    """The first rule that fits; what none fits is off here."""
    gateway_options = dict(Derived.gateway_options, events={"forceAnswer": [
        {"agent": "2002", "terminalType": "GENERIC", "ms": 1}, {"agent": "2001", "ms": 300},
        {"agent": "2001", "ms": 1}, {"terminalType": "GENERIC", "ms": 400}]})

    def test_rules(self):
        ws = self.open(types=[FORCE])
        for to in ("2002", "2003"):
            self.ring(to)
        mine, lobby = self.ring("2001"), self.ring("8001")
        told = [ws.receive_op("event")["event"] for _ in range(2)]
        by_call = {e["data"]["contactId"]: e for e in told}
        self.assertEqual(set(by_call), {mine, lobby})
        self.assertGreaterEqual(by_call[mine]["data"]["ringingMs"], 299)
        self.assertGreaterEqual(by_call[lobby]["data"]["ringingMs"], 399)
        self.assertIsNone(by_call[lobby].get("agent"))


# ---- calls that are over ----

class Ended(Derived):
    """For an hour here, so that nothing depends on how long this test takes."""
    gateway_options = dict(Derived.gateway_options, cache={"endedCallMs": HOUR_MS})

    def end(self):
        ws = self.open(types=["cct.connection.state"])
        contact_id = self.ring("2001", answer=True, data={"case": "42"})
        before = self.known(contact_id, lambda c: len(c["connections"]) == 2 and
                            c["data"] == {"type": "KEY_VALUE_PAIRS", "value": {"case": "42"}})
        self.assertNotIn("ended", before)
        self.sim.admin("POST", "/calls/%s/end" % contact_id)
        while True:
            data = ws.receive_op("event")["event"]["data"]
            if (data["newState"], data["address"]) == ("DISCONNECTED", "52001"):
                break
        return contact_id, before

    def test_served_and_out_of_lists_at_once(self):
        contact_id, before = self.end()
        answer = self.call(contact_id)
        self.assertEqual(answer.status, 200, answer)
        self.assertIs(answer.json["ended"], True)
        self.assertEqual(answer.json["connections"], [])
        self.assertEqual(answer.json["sync"], "cached")
        for name in ("contactId", "externalContactId", "calling", "called", "data", "contactTypes", "originalDestination"):
            self.assertEqual(answer.json[name], before[name], name)
        self.assertEqual(self.call(contact_id, headers={"If-None-Match": answer.headers["etag"]}).status, 304)
        for who in ("supervisor", "agent2001"):
            self.assertEqual(self.call(contact_id, who).status, 200)
            self.assertNotIn(contact_id, [c["contactId"] for c in all_items(self.gate, who, "calls")])
            ws = WebSocket(self.gate.port, who)
            self.addCleanup(ws.sock.close)
            ws.subscribe("s", snapshot=True)
            self.assertNotIn("/v1/calls/" + contact_id, ws.snapshot("s")[0])
        agent = self.gate.get("/v1/agents/2001").json
        self.assertEqual(agent["calls"], [])
        self.assertEqual(self.gate.get("/v1/terminals/Line%201.0.1").json["terminalConnections"], [])
        self.assertEqual(self.gate.get("/v1/addresses/52001").json["connections"], [])

    def test_nobody_elses(self):
        contact_id, _ = self.end()
        theirs, nobodys = self.call(contact_id, "agent2002"), self.call("no-such-call", "agent2002")
        self.assert_problem(theirs, 404)
        self.assertEqual(theirs.body, nobodys.body)

    def test_nothing_is_called_for_it(self):
        contact_id, _ = self.end()
        before = self.sim.calls()
        self.assertEqual(self.call(contact_id, headers={"Cache-Control": "only-if-cached"}).status, 200)
        for _ in range(3):
            self.assertIs(self.call(contact_id).json["ended"], True)
        self.assertEqual(self.sim.calls(), before)

    def test_no_restart_brings_it_back(self):
        contact_id, _ = self.end()
        for stop in (self.gate.kill, lambda: self.gate.child.end()):
            stop()
            self.gate.start()
            eventually(lambda: is_live(self.gate, *USERS), "live")
            answer = self.call(contact_id)
            self.assertTrue(answer.status == 404 or answer.json["ended"] is True, answer)
            self.assertEqual(all_items(self.gate, "supervisor", "calls"), [])


class EndedSoon(Derived):
    gateway_options = dict(Derived.gateway_options, cache={"endedCallMs": 1000})

    def test_then_404(self):
        ids = [self.ring(agent, answer=True) for agent in ("2001", "2002", "2003")]
        for contact_id in ids:
            self.known(contact_id)
            self.sim.admin("POST", "/calls/%s/end" % contact_id)
        seen = {contact_id: [] for contact_id in ids}

        def gone():
            for contact_id in ids:
                answer = self.call(contact_id)
                what = answer.status if answer.status != 200 else answer.json.get("ended", False)
                if seen[contact_id][-1:] != [what]:
                    seen[contact_id].append(what)
            return all(s[-1] == 404 for s in seen.values())
        eventually(gone, "404: %s" % seen)
        for steps in seen.values():  # in this order, each at most once
            self.assertIn(steps, ([False, True, 404], [True, 404], [False, 404], [404]))
        self.assertEqual(self.call(ids[0]).body.replace(ids[0].encode(), b""), self.call("no-such-call").body)


class EndedNever(Derived):
    gateway_options = dict(Derived.gateway_options, cache={"endedCallMs": 0})

    def test_404_at_once(self):
        ws = self.open(types=["cct.connection.state"])
        contact_id = self.ring("2001", answer=True)
        self.known(contact_id)
        self.sim.admin("POST", "/calls/%s/end" % contact_id)
        while True:
            data = ws.receive_op("event")["event"]["data"]
            if (data["newState"], data["address"]) == ("DISCONNECTED", "52001"):
                break
        self.assert_problem(self.call(contact_id), 404)


# ---- lineage ----

class Lineage(Derived):
    gateway_options = dict(Derived.gateway_options, users=("supervisor",))

    def setUp(self):
        super().setUp()
        self.other = Other(self.sim)
        self.addCleanup(lambda: self.other.connection.close())

    def answered(self, agent="2001"):
        contact_id = self.ring(agent, answer=True)
        self.known(contact_id, lambda c: len(c["connections"]) == 2)
        return contact_id

    def lineage(self, contact_id, consult_of, transferred_from, who="supervisor"):
        if who in self.gateway_options["users"]:
            self.known(contact_id, lambda c: (c["consultOf"], c["transferredFrom"]) == (consult_of, transferred_from), who)

    def truth(self, contact_id):
        return next(c for c in self.sim.state()["calls"] if c["contactId"] == contact_id)

    def transfer(self, first, at, to, answer=True):
        leg = self.leg(first, at)
        consult = self.other.consult(leg, to)
        if answer:
            self.sim.admin("POST", "/calls/%s/answer" % consult)
        self.other.complete(leg, consult)
        return consult

    def test_supervised_transfer(self):
        first = self.answered()
        leg = self.leg(first, "52001")
        consult = self.other.consult(leg, "2002")
        self.lineage(consult, first, [])
        self.lineage(consult, first, [], "agent2002")
        self.known(first, lambda c: c["consultOf"] is None and c["transferredFrom"] == [])
        self.sim.admin("POST", "/calls/%s/answer" % consult)
        self.other.complete(leg, consult)
        for who in ("supervisor", "agent2002"):
            self.lineage(consult, first, [first], who)
        call = self.known(consult, lambda c: {n["address"] for n in c["connections"]} == {"+35391555001", "52002"})
        self.assertEqual(call["lastRedirected"], "52001")
        self.assertEqual(self.truth(consult)["transferredFrom"], first)
        self.assertNotIn(first, [c["contactId"] for c in all_items(self.gate, "supervisor", "calls")])

    def test_a_transfer_before_it_is_answered(self):
        first = self.answered()
        self.lineage(self.transfer(first, "52001", "2002", answer=False), first, [first])

    def test_a_chain_of_transfers(self):
        first = self.answered()
        second = self.transfer(first, "52001", "2002")
        self.lineage(second, first, [first])
        third = self.transfer(second, "52002", "2003")
        self.lineage(third, second, [first, second])

    def test_blind_transfer(self):
        contact_id = self.answered()
        self.other.act("BlindTransfer", self.leg(contact_id, "52001"), ("destinationAddress", "2002"))
        call = self.known(contact_id, lambda c: {n["address"] for n in c["connections"]} == {"+35391555001", "52002"})
        self.assertEqual((call["consultOf"], call["transferredFrom"], call["lastRedirected"]), (None, [], "52001"))
        self.lineage(contact_id, None, [], "agent2002")

    def test_blind_transfer_of_a_consult(self):
        """The consult goes on elsewhere, but what it is a consult of was not transferred."""
        first = self.answered()
        consult = self.other.consult(self.leg(first, "52001"), "2002")
        self.sim.admin("POST", "/calls/%s/answer" % consult)
        self.other.act("BlindTransfer", self.leg(consult, "52002"), ("destinationAddress", "2003"))
        self.known(consult, lambda c: {n["address"] for n in c["connections"]} == {"52001", "52003"})
        self.assertEqual(self.truth(consult)["transferredFrom"], None)
        self.lineage(consult, first, [])

    def test_blind_transfer_of_what_is_consulted_about(self):
        first = self.answered()
        leg = self.leg(first, "52001")
        consult = self.other.consult(leg, "2002")
        self.sim.admin("POST", "/calls/%s/answer" % consult)
        self.other.act("Unhold", leg)
        self.other.act("BlindTransfer", leg, ("destinationAddress", "2003"))
        self.known(first, lambda c: {n["address"] for n in c["connections"]} == {"+35391555001", "52003"})
        self.lineage(consult, first, [])

    def test_a_consult_that_comes_back(self):
        first = self.answered()
        leg = self.leg(first, "52001")
        consult = self.other.consult(leg, "2002", "Consult")
        self.lineage(consult, first, [])
        self.sim.admin("POST", "/calls/%s/end" % consult)
        self.other.act("Unhold", leg)
        again = self.other.consult(leg, "2003", "Consult")
        self.lineage(again, first, [])
        self.lineage(first, None, [])

    def test_conference(self):
        first = self.answered()
        leg = self.leg(first, "52001")
        consult = self.other.consult(leg, "2002", "InitiateConference")
        self.lineage(consult, first, [])
        self.sim.admin("POST", "/calls/%s/answer" % consult)
        self.other.complete(leg, consult, "CompleteConference")
        self.known(first, lambda c: {n["address"] for n in c["connections"]} == {"+35391555001", "52001", "52002"})
        self.lineage(first, None, [])
        eventually(lambda: [c["contactId"] for c in all_items(self.gate, "supervisor", "calls")] == [first], "one call")

    def test_of_several_calls_on_hold_the_one_held_for_it(self):
        older, newer = self.answered(), self.answered()
        self.other.act("Hold", self.leg(newer, "52001"))
        leg = self.leg(older, "52001")
        self.other.act("Unhold", leg)
        consult = self.other.consult(leg, "2002")
        self.assertEqual(self.truth(consult)["consultOf"], older)
        self.lineage(consult, older, [])


class LineageToldBySeveral(Lineage):
    gateway_options = Derived.gateway_options

    def test_asked_for_before_it_is_known(self):
        """Reading, and the words of three sessions, come in any order; the link is told all the same."""
        for _ in range(15):
            first = self.answered()
            consult = self.other.consult(self.leg(first, "52001"), "2002")
            for _ in range(2):
                self.call(consult)
            self.lineage(consult, first, [])
            for contact_id in (consult, first):
                self.sim.admin("POST", "/calls/%s/end" % contact_id)
            eventually(lambda: all_items(self.gate, "supervisor", "calls") == [], "an empty floor")


if __name__ == "__main__":
    harness.main()
