"""A gateway comes back while things happen: what is read then is older than what is told meanwhile."""
import threading

import harness
from command_table import OTHER, WHO
from commanding import LONG, Floor, control_of, position
from harness import Gateway, eventually
from test_live import CONSUMER, is_live


class Returning(Floor):
    """One gateway acts; another, with a session of its own, is killed and comes back."""

    def setUp(self):
        super().setUp()
        self.second = Gateway(self.sim, users=("supervisor",), consumer=CONSUMER, upstream={"reconcileMs": LONG})
        self.addCleanup(self.second.stop)
        self.addCleanup(self.sim.latency, 0)
        eventually(lambda: is_live(self.second, "supervisor"), "live")

    def settle(self):
        """Everything has been told, to both."""
        def told():
            counts = self.sim.counters()["notify"]
            return counts["queued"] + counts["inFlight"] == 0
        eventually(told, "told")

    def three_talk(self):
        """Somebody from outside, WHO and OTHER: what the one who hung up leaves behind goes on."""
        lease = self.attach(WHO)["lease"]
        call = self.incoming(WHO, answer=True)
        self.assert_done(self.send("POST", "/v1/calls/%s/conference" % call, {"to": position(OTHER), "mode": "blind"}, lease=lease))
        self.sim.admin("POST", "/calls/%s/answer" % call, {"agent": OTHER})
        self.settle()
        return call, lease

    def agents_of(self, call):
        items = {c["contactId"]: c for c in self.second.get("/v1/calls", "supervisor").json["items"]}
        return {c["address"] for c in items[call]["connections"]} if call in items else None

    def test_one_leaves_while_the_calls_are_read(self):
        self.leaves(())

    def test_one_is_heard_of_and_leaves_while_the_calls_are_read(self):
        """The events name one leg; that it was not the last, only the reading will tell."""
        self.leaves(("hold", "unhold"))

    def leaves(self, before):
        call, lease = self.three_talk()
        eventually(lambda: (self.agents_of(call) or set()) >= {position(WHO), position(OTHER)}, "seen")
        self.second.kill()
        asked = self.sim.calls("AddressService.GetConnections")
        self.sim.latency(500)  # of each answer; all that one object takes has 3,000
        self.second.start(ready=False)
        eventually(lambda: self.sim.calls("AddressService.GetConnections") >= asked + len(self.sim.state()["agents"]), "reads the calls")
        thread = threading.Thread(target=self.act, args=(call, lease, before + ("drop",)))
        thread.start()
        eventually(lambda: position(WHO) not in self.parties(call), "he has left")
        thread.join(harness.BOUND)
        self.sim.latency(0)
        eventually(lambda: is_live(self.second, "supervisor"), "live again")
        eventually(lambda: self.agents_of(call) is not None and position(WHO) not in self.agents_of(call), "without him")
        self.assertIn(position(OTHER), self.agents_of(call))
        self.send("DELETE", control_of(WHO), lease=lease)

    def act(self, call, lease, what):
        for verb in what:
            self.send("POST", "/v1/calls/%s/%s" % (call, verb), {"agent": WHO}, lease=lease)

    def parties(self, call):
        """As the contact centre has it."""
        calls = {c["contactId"]: c for c in self.sim.admin("GET", "/truth/supervisor")["calls"]}
        return {c["address"] for c in calls[call]["connections"]}


if __name__ == "__main__":
    harness.main()
