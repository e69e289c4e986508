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


def is_live(gate, *whos):
    return all(gate.get("/v1/users/me", who).json.get("sync") == "live" for who in whos)


def quiet(sim, gate):
    """Everything has been told and applied."""
    counts = sim.counters()["notify"]
    return (counts["queued"] == 0 and counts["inFlight"] == 0 and sim.admin("GET", "/traffic")["running"] is False and
            gate.metric("notify_messages_total") == counts["delivered"])


class Live(Case):
    simulator_options = {"agents": 8}
    gateway_options = {"users": ("supervisor", "agent2001", "agent2002"), "consumer": CONSUMER,
                       "upstream": {"reconcileMs": 3600000}}

    def setUp(self):
        super().setUp()
        eventually(lambda: is_live(self.gate, "supervisor", "agent2001", "agent2002"), "live")

    def compare(self, *whos):
        for who in whos:
            told = self.sim.admin("GET", "/truth/" + who)
            found = truth.differences(told, lambda kind: all_items(self.gate, who, kind))
            self.assertEqual(found, [], "as %s sees it" % who)

    def settle(self):
        eventually(lambda: quiet(self.sim, self.gate), "quiet: %s %s" % (self.sim.admin("GET", "/traffic"), self.sim.counters()["notify"]))

    def test_at_rest(self):
        self.compare("supervisor", "agent2001", "agent2002")

    def test_traffic(self):
        for seed in range(4):
            before = self.sim.calls()
            self.sim.admin("POST", "/traffic", {"steps": STEPS, "seed": seed})
            self.settle()
            self.assertEqual(self.sim.calls() - before, 0, "nothing was read meanwhile")
            self.compare("supervisor", "agent2001", "agent2002")
        self.assertEqual(self.gate.child.log("gap"), [])


if __name__ == "__main__":
    harness.main()
