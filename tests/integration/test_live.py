"""The model follows the contact centre by its events: equal to the simulator's truth at every quiet point.

How long the scripted traffic is, is for the environment to say: LIVE_ROUNDS (4) rounds of LIVE_STEPS (400) steps, each with another
seed and followed by a comparison of everything, at LIVE_PER_SECOND steps a second (0: as fast as they are taken). An hour:

    LIVE_ROUNDS=12 LIVE_STEPS=1500 LIVE_PER_SECOND=5 python3 tests/integration/test_live.py OneSession.test_traffic

A step is what somebody does (a call comes, an agent answers, holds, transfers, goes not ready, a terminal fails), about four events.
"""
import os
import sys
import threading
from urllib.parse import quote

import harness
import truth
from harness import BOUND, Case, eventually
from websocket import Closed, WebSocket

CONSUMER = {"address": "127.0.0.1", "port": 0}
ROUNDS = int(os.environ.get("LIVE_ROUNDS", "4"))
STEPS = int(os.environ.get("LIVE_STEPS", "400"))
KEEPING = ("SessionService.GetCurrentTerminalCount", "NotificationProducer.Renew")  # the session, the subscription
PER_SECOND = int(os.environ.get("LIVE_PER_SECOND", "0"))
# of conf/contract/cct/BaseNotification.xsd, as clients read them
CONTRACT_TYPES = {"cct.connection.state", "cct.terminalConnection.state", "cct.contact.property", "cct.contact.forceDisconnect",
                  "cct.contact.defaultTreatment", "cct.agent.property", "cct.agent.state", "cct.terminal.property",
                  "cct.terminal.state", "cct.address.property", "cct.address.state", "cct.provider.status", "cct.system"}


def all_items(gate, who, kind):
    items, path = [], "/v1/%s?limit=1000" % kind
    while path:
        answer = gate.get(path, who)
        assert answer.status == 200, answer
        items += answer.json["items"]
        link = answer.headers.get("link")
        path = link[1:link.index(">")] if link else None
    return items


def summary(found):
    """What differs, without what is the same in both."""
    lines = []
    for kind, name, field, expected, got in found:
        if isinstance(expected, dict) and isinstance(got, dict):
            keys = [k for k in set(expected) | set(got) if expected.get(k) != got.get(k)]
            expected, got = {k: expected.get(k) for k in keys}, {k: got.get(k) for k in keys}
        lines.append("%s %s %s: truth %s, gateway %s" % (kind, name, field, expected, got))
    return lines


def is_live(gate, *whos):
    return all(gate.get("/v1/users/me", who).json.get("sync") == "live" for who in whos)


def quiet(sim, gate):
    """Everything has been told and applied: taken, and, a turn of the owner's loop later, committed.

    What was taken is not counted against what was delivered: a Notify that is answered late is neither to the simulator.
    """
    counts = sim.counters()["notify"]
    return (counts["queued"] == 0 and counts["inFlight"] == 0 and sim.admin("GET", "/traffic")["running"] is False and
            gate.metric("consumer_queued_bytes") == 0 and gate.metric("notify_messages_total") > 0)


class Listener(threading.Thread):
    """A client who hears everything: which types of events there were, and how many."""

    def __init__(self, port, who):
        super().__init__(daemon=True)
        self.socket = WebSocket(port, who)
        self.socket.subscribe("everything")
        self.counts, self.failure, self.ended = {}, None, threading.Event()
        self.start()

    def run(self):
        try:
            while True:
                message = self.socket.receive_op("event", "pong", "gap")
                if message["op"] == "pong":
                    return
                kind = message["event"]["type"] if message["op"] == "event" else "gap"
                self.counts[kind] = self.counts.get(kind, 0) + 1
        except (Closed, OSError) as failure:
            self.failure = failure

    def end(self):
        """All that was published until now has been heard."""
        self.socket.send({"op": "ping"})
        self.join(BOUND)
        self.socket.sock.close()
        assert not self.is_alive() and self.failure is None, self.failure
        return self.counts


class Follows(Case):
    """A floor and those who look at it: `users` have sessions, and each is compared with what the simulator would show him."""
    users = ()
    without = ()  # fields that depend on who asks where several do

    def setUp(self):
        super().setUp()
        eventually(lambda: is_live(self.gate, *self.users), "live")

    def compare(self):
        for who in self.users:
            told = self.sim.admin("GET", "/truth/" + who)
            places = {a["name"] for a in told["addresses"]}
            # a call that has only outside legs left is listed by no operation
            told["calls"] = [c for c in told["calls"] if any(n["address"] in places for n in c["connections"])]
            found = truth.differences(told, lambda kind: all_items(self.gate, who, kind), self.without)
            self.assertEqual(summary(found), [], "as %s sees it" % who)

    def settle(self, bound=BOUND):
        eventually(lambda: quiet(self.sim, self.gate),
                   "quiet: %s %s" % (self.sim.admin("GET", "/traffic"), self.sim.counters()["notify"]), bound)

    def rare(self):
        """Of every type of event that traffic may not bring, one; the rest of it is for traffic."""
        contact = self.sim.admin("POST", "/calls", {"to": "2001"})["contactId"]
        for event in ({"type": "ADDRESS_STATE", "address": "52001", "state": "OUT_OF_SERVICE", "reason": "maintenance"},
                      {"type": "TERMINAL_STATE", "terminal": "Line 1.0.1", "state": "OUT_OF_SERVICE", "reason": "maintenance"},
                      {"type": "AGENT_STATE", "agent": "2001", "state": "UNMAPPED"},
                      {"type": "SERVICE_PROVIDER_STATUS", "provider": "Passive", "state": "RESTART"},
                      {"type": "DEFAULT_TREATMENT", "contact": contact},
                      {"type": "FORCE_DISCONNECT", "contact": contact, "end": True},
                      {"type": "AGENT_STATE", "agent": "2001", "state": "MAPPED"}):
            self.sim.admin("POST", "/events", event)
        logoffs = self.sim.counters()["logoffs"]
        self.sim.admin("POST", "/system", {"event": "SESSION_TERMINATION_IMMINENT", "remainingMs": 2000, "true": False})
        eventually(lambda: self.sim.counters()["logoffs"] >= logoffs + len(self.users), "other sessions, before the announced end")
        eventually(lambda: is_live(self.gate, *self.users), "live again")

    def round(self, seed):
        before = self.sim.counters()["operations"]
        self.sim.admin("POST", "/traffic", {"kind": "everything", "steps": STEPS, "seed": seed, "perSecond": PER_SECOND})
        self.settle(BOUND + (STEPS / PER_SECOND if PER_SECOND else STEPS / 20))
        after = self.sim.counters()["operations"]
        read = {k: v - before.get(k, 0) for k, v in after.items() if v != before.get(k, 0) and k not in KEEPING}
        self.assertEqual(read, {}, "nothing was read meanwhile")
        self.compare()

    def read_anew(self):
        """All that is known is read again: where events have kept it, nothing is found that they had not told (`gap`)."""
        for who in self.users:
            for kind, (_, name) in truth.SHAPES.items():
                for item in all_items(self.gate, who, kind):
                    path = "/v1/%s/%s" % (kind, quote(item[name], safe=""))
                    answer = self.gate.get(path, who, {"Cache-Control": "no-cache"})
                    self.assertIn(answer.status, (200, 404), answer)
                    self.assertEqual(self.gate.child.log("gap"), [], (path, self.gate.child.log("difference")))

    def follow(self):
        listener, before = Listener(self.gate.port, "supervisor"), self.sim.state()["events"]
        self.rare()
        self.settle()
        self.compare()
        self.read_anew()
        for seed in range(ROUNDS):
            self.round(seed)
        self.read_anew()
        counts, after = listener.end(), self.sim.state()["events"]
        self.assertEqual(self.gate.child.log("gap"), [], self.gate.child.log("difference"))
        self.assertEqual({k for k in counts if k.startswith("gateway.gap") or k == "gap"}, set())
        self.assertEqual({k for k in after if after[k] == before[k]}, set(), "of every type one at least was told")
        self.assertEqual(CONTRACT_TYPES - set(counts), set(), "and published")
        print("%s followed: %d steps, %d events at the contact centre, %d published, no gap, no difference" % (
            type(self).__name__, ROUNDS * STEPS, sum(after.values()) - sum(before.values()), sum(counts.values())),
            file=sys.stderr)


class OneSession(Follows):
    users = ("supervisor",)
    simulator_options = {"agents": 8}
    gateway_options = {"users": users, "consumer": CONSUMER, "upstream": {"reconcileMs": 3600000}}

    def test_at_rest(self):
        self.compare()

    def test_rights_follow_who_is_logged_in(self):
        """What an agent may do with a call changes when somebody logs in at its terminal, and no event of the call says so."""
        call = self.sim.admin("POST", "/calls", {"to": "2002", "answer": True})["contactId"]
        for logged_in in (True, False, True):
            self.sim.admin("POST", "/agents/2002", {"loggedIn": logged_in})
            self.settle()
            legs = [leg for c in self.gate.get("/v1/calls/" + call).json["connections"] for leg in c["terminalConnections"]]
            self.assertEqual([leg["capabilities"]["canEmergency"] for leg in legs], [logged_in])
            self.compare()

    def test_traffic(self):
        self.follow()


class ManySessions(Follows):
    users = ("supervisor", "agent2001", "agent2002")
    without = ("capabilities",)
    simulator_options = {"agents": 8}
    gateway_options = {"users": users, "consumer": CONSUMER, "upstream": {"reconcileMs": 3600000}}

    def test_traffic(self):
        self.follow()


class Spoilt(Follows):
    """Deliveries that go wrong: noticed, announced, repaired within the reconciliation period."""
    users = ("supervisor",)
    simulator_options = {"agents": 8}
    gateway_options = {"users": users, "consumer": CONSUMER, "upstream": {"reconcileMs": 1000}}

    def spoil(self, **how):
        self.sim.admin("POST", "/notify", dict(how, seed=7))
        self.sim.admin("POST", "/traffic", {"steps": 150, "seed": 3})
        eventually(lambda: self.sim.admin("GET", "/traffic")["running"] is False and
                   self.sim.counters()["notify"]["queued"] + self.sim.counters()["notify"]["inFlight"] == 0, "all told")
        self.sim.admin("DELETE", "/notify")

    def repaired(self):
        def equal():
            try:
                self.compare()
                return True
            except AssertionError:
                return False
        try:
            eventually(equal, "the truth")
        except AssertionError:
            self.compare()

    def gaps(self):
        return len(self.gate.child.log("gap"))

    def test_dropped(self):
        before = self.gaps()
        self.spoil(drop=0.2)
        self.repaired()
        self.assertGreater(self.gaps(), before)

    def test_duplicated(self):
        before = self.gaps()
        self.spoil(duplicate=0.3)
        self.repaired()
        self.assertGreater(self.gaps(), before)

    def test_reordered(self):
        before = self.gaps()
        self.spoil(reorder=0.3)
        self.repaired()
        self.assertGreater(self.gaps(), before)

    def test_one_lost_property_is_found_by_reconciliation(self):
        name = "2003"
        before = self.gaps()
        self.sim.admin("POST", "/agents/" + name, {"loggedIn": True, "ready": True})
        self.repaired()
        self.sim.admin("POST", "/notify", {"drop": 1})
        self.sim.admin("POST", "/agents/" + name, {"loggedIn": True, "ready": False, "reasonCode": "9"})
        self.sim.admin("DELETE", "/notify")
        eventually(lambda: self.gate.get("/v1/agents/" + name).json["notReadyReasonCode"] == "9", "the code")
        eventually(lambda: self.gaps() > before, "announced")
        self.assertEqual(self.gate.get("/v1/agents/" + name).json["sync"], "live")


class Lost(Follows):
    """The session goes: stale at once, live again after all was read anew."""
    users = ("supervisor",)
    simulator_options = {"agents": 8}
    gateway_options = {"users": users, "consumer": CONSUMER,
                       "upstream": {"reconcileMs": 3600000, "heartbeatMs": 500}}

    def test_killed_silently(self):
        for number in range(3):
            self.sim.admin("POST", "/sessions/kill", {"user": "*", "silently": True})
            self.sim.admin("POST", "/traffic", {"steps": 60, "seed": 40 + number})
            eventually(lambda n=number: len(self.gate.child.log("inStep")) == n + 2, "in step again")
            eventually(lambda: self.sim.admin("GET", "/traffic")["quiet"], "quiet")
            eventually(lambda: is_live(self.gate, "supervisor"), "live")
            self.compare()

    def test_terminated_with_notice(self):
        before = len(self.gate.child.log("inStep"))
        self.sim.admin("POST", "/sessions/kill", {"user": "*"})
        eventually(lambda: len(self.gate.child.log("inStep")) > before, "in step again")
        eventually(lambda: is_live(self.gate, "supervisor"), "live")
        self.compare()


if __name__ == "__main__":
    harness.main()
