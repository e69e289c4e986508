"""limits.requestsPerSecond: of each token, over all front threads and doors, and told in the RateLimit fields."""
import signal
import time

import harness
from harness import Case, bearer, eventually, exchange
from websocket import WebSocket

AGENT = "/v1/agents/2001"
LIMIT = 20


class Rates(Case):
    gateway_options = {"threads": 2, "limits": {"requestsPerSecond": LIMIT}}

    def full(self, who):
        """Waits until the token's bucket is full again. Who asks more often than a tenth of the limit would not live to see it."""
        def is_full():
            time.sleep(0.5)
            return self.gate.get(AGENT, who).headers.get("ratelimit", "").startswith('"token";r=%d;' % (LIMIT - 1))
        eventually(is_full, "full")

    def spend(self, who):
        """Asks until it is refused; the refusal."""
        for _ in range(10000):
            response = self.gate.get(AGENT, who)
            if response.status != 200:
                return response
        self.fail("never refused")

    def test_fields(self):
        self.full("supervisor")
        response = self.gate.get(AGENT)
        self.assertEqual(response.headers["ratelimit-policy"], '"token";q=%d;w=1' % LIMIT)
        self.assertRegex(response.headers["ratelimit"], r'^"token";r=\d+;t=1$')

    def test_too_often(self):
        before, calls = self.gate.metric("requests_limited_total"), self.sim.counters()["total"]
        response = self.assert_problem(self.spend("supervisor"), 429, "rate-limited")
        self.assertEqual(response.headers["retry-after"], "1")
        self.assertEqual(response.json["retryAfter"], 1)
        self.assertRegex(response.headers["ratelimit"], r'^"token";r=0;t=1$')
        self.assertGreater(self.gate.metric("requests_limited_total"), before)
        self.assertEqual(self.gate.get(AGENT, "agent2001").status, 200)  # another token's allowance is its own
        self.assertEqual(exchange(self.gate.port, "GET", "/healthz").status, 200)
        self.assertLessEqual(self.sim.counters()["total"], calls + 30)
        self.full("supervisor")

    def test_commands_and_streams_count(self):
        self.spend("agent2001")
        response = exchange(self.gate.port, "POST", "/v1/agents/2001/activity-code",
                            dict(bearer("agent2001"), **{"Content-Type": "application/json"}), "{}")
        self.assertIn(response.status, (405, 429))
        def refused():
            try:
                WebSocket(self.gate.port, "agent2001").close()
            except Exception as error:
                return getattr(error, "status", 0) == 429
        eventually(refused, "the stream is refused")

    def test_over_a_websocket(self):
        self.full("both")
        with WebSocket(self.gate.port, "both") as ws:
            for n in range(LIMIT * 3):
                ws.send({"op": "subscribe", "id": str(n), "types": ["cct.system"]})
                ws.send({"op": "unsubscribe", "id": str(n)})
            while (message := ws.receive())["op"] != "error":
                pass
            self.assertEqual(message["problem"]["type"], "/problems/rate-limited")
            self.assertEqual(message["problem"]["status"], 429)
            ws.send({"op": "ping"})  # is free
            while ws.receive()["op"] != "pong":
                pass

    def test_a_reload_changes_it(self):
        done = len(self.gate.child.log("reloaded"))
        for limit in (0, LIMIT):
            self.gate.config["limits"]["requestsPerSecond"] = limit
            self.gate.write()
            self.gate.child.process.send_signal(signal.SIGHUP)
            done += 1
            eventually(lambda: len(self.gate.child.log("reloaded")) >= done, "reloaded")
            eventually(lambda: ("ratelimit" in self.gate.get(AGENT, "agent2002").headers) == (limit > 0), "in force")


if __name__ == "__main__":
    harness.main()
