"""The model follows the contact centre by its events: equal to the simulator's truth at every quiet point."""
import os
import unittest

import harness
import truth
from harness import Case, Gateway, Simulator, eventually

CONSUMER = {"address": "127.0.0.1", "port": 0}
STEPS = int(os.environ.get("LIVE_STEPS", "400"))


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
    """Everything has been told and applied: taken, and, a turn of the owner's loop later, committed."""
    counts = sim.counters()["notify"]
    return (counts["queued"] == 0 and counts["inFlight"] == 0 and sim.admin("GET", "/traffic")["running"] is False and
            gate.metric("notify_messages_total") == counts["delivered"] and gate.metric("notify_messages_total") > 0)


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

    def settle(self):
        eventually(lambda: quiet(self.sim, self.gate),
                   "quiet: %s %s" % (self.sim.admin("GET", "/traffic"), self.sim.counters()["notify"]))

    def follow(self, seeds):
        for seed in seeds:
            before = self.sim.calls()
            self.sim.admin("POST", "/traffic", {"steps": STEPS, "seed": seed})
            self.settle()
            self.assertEqual(self.sim.calls() - before, 0, "nothing was read meanwhile")
            self.compare()
        self.assertEqual(self.gate.child.log("gap"), [])


class OneSession(Follows):
    users = ("supervisor",)
    simulator_options = {"agents": 8}
    gateway_options = {"users": users, "consumer": CONSUMER, "upstream": {"reconcileMs": 3600000}}

    def test_at_rest(self):
        self.compare()

    def test_traffic(self):
        self.follow(range(4))


class ManySessions(Follows):
    users = ("supervisor", "agent2001", "agent2002")
    without = ("capabilities",)
    simulator_options = {"agents": 8}
    gateway_options = {"users": users, "consumer": CONSUMER, "upstream": {"reconcileMs": 3600000}}

    def test_traffic(self):
        self.follow(range(4))


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
            eventually(equal, "the truth", 20)
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
        eventually(lambda: self.gate.get("/v1/agents/" + name).json["notReadyReasonCode"] == "9", "the code", 20)
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
