"""The order of what is told: a read is never older than an event that was told, and one change that several sessions tell is one event.

The log as a token for every user sees it is what all reads are compared with.
"""
import os
import threading
from collections import defaultdict

import harness
from harness import BOUND, Case, eventually
from test_live import is_live
from test_resume import FINAL, LEG, OWN, Rebuilt, Watching, path_of, replay
from websocket import WebSocket


# ---- read your events ----

class Reader(threading.Thread):
    """On every event reads what it is about, at once and over connections of other front threads, too."""

    def __init__(self, case, who, headers=({},), every=1, **wanted):
        super().__init__(daemon=True)
        self.case, self.who, self.headers, self.every, self.wanted = case, who, headers, every, wanted
        self.connections = [case.gate.connect() for _ in range(5)]
        self.ws, self.until, self.failure, self.reads, self.turn = None, None, None, [], 0

    @staticmethod
    def paths(event):
        """The resources that show what the event tells."""
        data, subject, kind = event["data"], event["subject"], event["type"]
        if kind == "cct.connection.state":
            return [subject, path_of("addresses", data["address"])]
        if kind == "cct.terminalConnection.state":
            return [subject, path_of("terminals", data["terminal"])] + [path_of("agents", event["agent"])] * ("agent" in event)
        if kind == "cct.contact.property":
            part = {"UUI": "/uui", "ATTACHED_DATA": "/data", "INTRINSICS": "/intrinsics"}.get(data["property"])
            return [subject, subject + part] if part else [subject]
        return [subject] if kind.endswith(".property") else []

    def look(self, event):
        for path in self.paths(event):
            self.turn += 1
            answer = self.case.gate.get(path, self.who, self.headers[self.turn % len(self.headers)],
                                        self.connections[self.turn % len(self.connections)])
            if answer.status not in (200, 404):
                raise AssertionError("%s: %s" % (path, answer))
            self.reads.append((event, path, answer.json if answer.status == 200 else None, self.turn))

    def ask(self):
        """The answer comes behind all that was told by then, and says up to where that is."""
        self.ws.send({"op": "ping", "id": "end"})

    def run(self):
        try:
            with WebSocket(self.case.gate.port, self.who) as self.ws:
                self.ws.subscribe("r", **self.wanted)
                self.case.readers_on.release()
                count = 0
                while True:
                    message = self.ws.receive_op("event", "pong")
                    if message["op"] == "event":
                        count += 1
                        if count % self.every == 0:
                            self.look(message["event"])
                    elif message["seq"] >= self.until:
                        break
                    else:
                        self.ask()
        except BaseException as failure:
            self.failure = failure
        finally:
            for connection in self.connections:
                connection.close()


def leg_states(path, body):
    """{leg: state} as a resource shows them."""
    if path.startswith("/v1/calls/"):
        states = {n["connectionId"]: n["state"] for n in body["connections"]}
        states.update({t["terminalConnectionId"]: t["state"] for n in body["connections"] for t in n["terminalConnections"]})
        return states
    if path.startswith("/v1/agents/"):
        return {c["terminalConnectionId"]: c["state"] for c in body["calls"]}
    key, legs = ("connectionId", "connections") if "/addresses/" in path else ("terminalConnectionId", "terminalConnections")
    return {leg[key]: leg["state"] for leg in body[legs]}


def shown(event, path, body):
    """The value of the event's property as a resource shows it."""
    name = event["data"]["property"]
    if name == "READY_STATUS":
        if path.startswith("/v1/agents/"):
            return body["readyStatus"] == "READY", body["notReadyReasonCode"]
        return body["ready"], body["notReadyReasonCode"]
    if path.endswith(("/data", "/intrinsics", "/uui")) and path.count("/") == 4:
        return body["uui"] if path.endswith("/uui") else body
    return body[Rebuilt.PROPERTIES[name]]


def told(event, path):
    """The same as the event tells it, in the resource's form."""
    value = event["data"].get("value")
    if event["data"]["property"] == "READY_STATUS":
        return value["ready"], None if value["ready"] and "/agents/" in path else value["notReadyReasonCode"] or None
    if path.endswith("/data"):
        return value["value"] if value["type"] == "KEY_VALUE_PAIRS" else value
    return value if value != "" else None


class Reads(Watching):
    """The log says in which order things were so: what a read shows must stand at the event that was told, or after it.

    Readers are slow to answer a ping: for every event they read something.
    """
    gateway_options = dict(Watching.gateway_options, events=dict(Watching.gateway_options["events"], heartbeatMs=60000))

    def setUp(self):
        super().setUp()
        self.readers_on = threading.Semaphore(0)

    def begin(self, *readers):
        for reader in readers:
            reader.start()
        for _ in readers:
            self.assertTrue(self.readers_on.acquire(timeout=BOUND))
        return readers

    def finish(self, readers):
        self.settle()
        last = self.hello()["seq"]
        for reader in readers:
            reader.until = last
            reader.ask()
        for reader in readers:
            reader.join(4 * BOUND)
            self.assertFalse(reader.is_alive() or reader.failure, repr(reader.failure))
        return last

    def check(self, readers, since, last):
        log = replay(self.gate, "operator", since, last)
        legs, properties = defaultdict(list), defaultdict(list)
        for event in log:
            if event["data"].get("property") == "READY_STATUS":
                self.assertIsInstance(event["data"].get("value"), dict, "told in one form: %s" % event)
            if event["type"] in LEG:
                legs[event["data"][LEG[event["type"]]]].append(event)
            elif event["type"].endswith(".property"):
                properties[event["subject"], event["data"]["property"]].append(event)
        checked, wrong, seqs = 0, [], {e["seq"] for e in log}
        self.gone = self.out_of_sight(log)

        def later_than(event, history):
            """What was told of it from then on; of a copy that came late, all that was."""
            if event["seq"] in seqs:
                return [e for e in history if e["seq"] >= event["seq"]]
            return history + [event]
        for reader in readers:
            for event, path, body, turn in reader.reads:
                if event["type"] in LEG:
                    later = later_than(event, legs[event["data"][LEG[event["type"]]]])
                    verdict = self.leg_is_right(event, path, body, later, reader.who in OWN or reader.who == "both")
                elif event["data"].get("property") in Rebuilt.PROPERTIES or event["data"].get("property") == "READY_STATUS":
                    later = later_than(event, properties[event["subject"], event["data"]["property"]])
                    verdict = body is None or self.value_is_right(event, path, body, later)
                else:
                    continue
                checked += 1
                if not verdict:
                    wrong.append((reader.who, event, path, body, [e["data"].get("newState", e["data"].get("value")) for e in later]))
        if wrong:
            who, event, path, body, later = wrong[0]
            brief = {k: v for k, v in (body or {}).items() if k != "capabilities"}
            self.fail("%d of %d reads are older than what was told; %s was told seq %d %s, then read %s; told from then on: %s; %s" % (
                len(wrong), checked, who, event["seq"],
                {k: v for k, v in event["data"].items() if k != "capabilities"}, path, later, brief))
        return checked

    def out_of_sight(self, log):
        """Calls that have, or had at the end, no leg on the floor: those that go on outside are nobody's, and not there to be read."""
        places, states = self.owned("supervisor"), defaultdict(dict)
        for event in log:
            data = event["data"]
            if event["type"] == "cct.connection.state" and data.get("address") in places["addresses"]:
                states[event["subject"]][data["connectionId"]] = data["newState"]
        return {subject for subject, legs in states.items() if set(legs.values()) == {"DISCONNECTED"}}

    def leg_is_right(self, event, path, body, later, sees_part):
        """Its state is the one told, or one told later; it is not there only if it has ended since."""
        final = FINAL[event["type"]]
        ended = any(e["data"]["newState"] == final for e in later)
        if body is None:
            # nobody owns a number or a mail address outside
            return (ended or path in self.gone or path.startswith(("/v1/addresses/+", "/v1/addresses/%2B")) or
                    "%40" in path or sees_part)
        state = leg_states(path, body).get(event["data"][LEG[event["type"]]])
        return ended if state is None else state in [e["data"]["newState"] for e in later]

    def value_is_right(self, event, path, body, later):
        if path.startswith("/v1/agents/") and body["loginStatus"] == "LOGGED_OUT":
            return True
        return shown(event, path, body) in [told(e, path) for e in later]

    def numbered(self, count, offset):
        """Changes of which no two are the same, so that a read shows which of them it has seen."""
        calls = []
        for n in range(3):
            calls.append(self.sim.admin("POST", "/calls", {"from": "+353915550%02d" % n, "to": "200%d" % (n + 4), "answer": True})["contactId"])
        for n in range(offset, offset + count):
            agent = "200%d" % (1 + n % 3)
            self.sim.admin("POST", "/agents/" + agent, {"loggedIn": True, "ready": False, "reasonCode": str(n)})
            self.sim.admin("POST", "/agents/" + agent, {"activityCode": str(n)})
            self.sim.admin("POST", "/events", {"type": "CONTACT_PROPERTY", "contact": calls[n % 3], "property": "UUI", "value": "04%08X" % n})

    def test_numbered_changes(self):
        since = self.place()
        readers = self.begin(Reader(self, "supervisor"), Reader(self, "both"), Reader(self, "operator"))
        self.numbered(120, 100)
        last = self.finish(readers)
        self.assertGreater(self.check(readers, since, last), 1000)

    def test_requests_in_flight(self):
        """Answers that were asked for before the event, and come after it."""
        since = self.place()
        self.sim.latency(15)
        anew = {"Cache-Control": "no-cache"}
        readers = self.begin(Reader(self, "supervisor", ({}, anew)), Reader(self, "both", (anew, {})), Reader(self, "operator", (anew,)))
        self.numbered(50, 1000)
        last = self.finish(readers)
        self.sim.latency(0)
        self.assertGreater(self.check(readers, since, last), 400)

    def test_traffic(self):
        since = self.place()
        readers = self.begin(Reader(self, "supervisor", every=3), Reader(self, "operator", every=3), Reader(self, "both"))
        self.traffic(250, 41, perSecond=200)
        last = self.finish(readers)
        self.assertGreater(self.check(readers, since, last), 1000)

    def test_traffic_in_flight(self):
        since = self.place()
        self.sim.admin("POST", "/latency", {"ms": 5, "jitterMs": 15})
        readers = self.begin(Reader(self, "supervisor", ({}, {"Cache-Control": "no-cache"}), every=4), Reader(self, "operator", every=4))
        self.traffic(120, 43, perSecond=100)
        last = self.finish(readers)
        self.sim.latency(0)
        self.assertGreater(self.check(readers, since, last), 200)


class ReadsOfEverything(Reads):
    """Every kind of event, as fast as they are taken."""
    seed = int(os.environ.get("ORDER_SEED", "41"))
    test_numbered_changes = test_requests_in_flight = None

    def test_traffic(self):
        since = self.place()
        readers = self.begin(Reader(self, "supervisor", every=5), Reader(self, "operator", every=5), Reader(self, "both", every=3))
        self.traffic(200, self.seed, kind="everything")
        last = self.finish(readers)
        self.assertGreater(self.check(readers, since, last), 200)

    def test_traffic_in_flight(self):
        since = self.place()
        self.sim.admin("POST", "/latency", {"ms": 5, "jitterMs": 15})
        readers = self.begin(Reader(self, "supervisor", ({}, {"Cache-Control": "no-cache"}), every=6), Reader(self, "operator", every=6))
        self.traffic(120, self.seed + 1, kind="everything")
        last = self.finish(readers)
        self.sim.latency(0)
        self.assertGreater(self.check(readers, since, last), 100)


# ---- one change, several sessions ----

class TwoSessions(Watching):
    """A floor of two agents, who each have a session: nearly everything is told to both."""
    simulator_options = {"agents": 2}
    gateway_options = dict(Watching.gateway_options, users=("agent2001", "agent2002"))

    def setUp(self):
        Case.setUp(self)
        eventually(lambda: is_live(self.gate, "agent2001", "agent2002"), "live")

    def logs(self, since):
        self.settle()
        last = self.hello()["seq"]
        return {who: replay(self.gate, who, since, last) for who in ("operator", "both", "agent2001", "agent2002")}

    def test_states_follow_each_other(self):
        places = {place for own in OWN.values() for kind in ("terminals", "addresses") for place in own[kind]}
        for seed in range(2):
            since = self.place()
            self.traffic(150, 90 + seed)
            for who, log in self.logs(since).items():
                last = {}
                self.assertGreater(len(log), 100, who)
                for event in log:
                    data = event["data"]
                    # others may be lost from sight and come back
                    if event["type"] not in LEG or data.get("terminal", data.get("address")) not in places:
                        continue
                    leg = data[LEG[event["type"]]]
                    if leg in last and data.get("introduced"):
                        self.assertEqual(data["newState"], last[leg], "%s at %s: %s" % (who, event["id"], data))
                    elif leg in last:
                        self.assertEqual(data["previousState"], last[leg], "%s at %s: %s" % (who, event["id"], data))
                    last[leg] = data["newState"]

    def test_one_each(self):
        """Of a call that both are in, and of what belongs to one of them."""
        call = self.sim.admin("POST", "/calls", {"from": "52001", "to": "2002", "answer": True})["contactId"]
        self.sim.admin("POST", "/agents/2001", {"loggedIn": True, "ready": False, "reasonCode": "before"})
        eventually(lambda: self.gate.get(path_of("calls", call), "agent2001").status == 200 and
                   self.gate.get(path_of("calls", call), "agent2002").status == 200, "seen by both")
        self.settle()
        since = self.place()
        values = ["04%08X" % n for n in range(200)]
        for n, value in enumerate(values):
            self.sim.admin("POST", "/events", {"type": "CONTACT_PROPERTY", "contact": call, "property": "UUI", "value": value})
            self.sim.admin("POST", "/agents/2001", {"loggedIn": True, "ready": False, "reasonCode": str(n)})
        for who, log in self.logs(since).items():
            got = [e["data"]["value"] for e in log if e["data"].get("property") == "UUI"]
            self.assertTrue(got == values, "%s: %d of %d, %s" % (who, len(got), len(values), got[:5]))
            codes = [e["data"]["value"]["notReadyReasonCode"] for e in log
                     if e["type"] == "cct.agent.property" and e["data"]["property"] == "READY_STATUS"]
            self.assertTrue(codes == ([] if who == "agent2002" else [str(n) for n in range(200)]), "%s: %s" % (who, codes[:5]))


if __name__ == "__main__":
    harness.main()
