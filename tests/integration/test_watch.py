"""The contact centre stops while nobody asks it anything: no call, no heartbeat, and the gateway notices all the same."""
import signal

import harness
from harness import Case, eventually

AGENT = "/v1/agents/2001"


class Watch(Case):
    def sync(self):
        response = self.gate.get(AGENT)
        self.assertEqual(response.status, 200, response)
        return response.json["sync"]

    def cached_and_quiet(self):
        """Everything has been read: what follows is answered from the cache."""
        eventually(lambda: self.sync() == "cached", "cached")
        eventually(lambda: self.gate.metric("upstream_calls_in_flight") == 0, "nothing in flight")

    def stop_and_start(self, number):
        self.cached_and_quiet()
        lost = len(self.gate.child.log("endpointLost"))
        self.sim.stop(number)
        # no request at all until then: only the log is read
        eventually(lambda: len(self.gate.child.log("endpointLost")) > lost, "noticed")
        eventually(lambda: self.sync() == "stale", "told")
        self.assertTrue(self.gate.get(AGENT).json["staleSince"])
        self.sim.start()
        self.gate.wait_ready()
        eventually(lambda: self.sync() == "cached", "fresh again")
        self.assertEqual(len(self.gate.child.log("endpointLost")), lost + 1)

    def test_stopped(self):
        self.stop_and_start(signal.SIGTERM)

    def test_killed(self):
        self.stop_and_start(signal.SIGKILL)


if __name__ == "__main__":
    harness.main()
