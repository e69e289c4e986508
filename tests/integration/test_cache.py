"""The cache: one fetch per key, freshness as promised, errors told once, nothing lost when the upstream goes away."""
import socket
import threading
import time

import harness
from harness import Case, Gateway, bearer, eventually, exchange

AGENT = "/v1/agents/2001"
ONE = ("AgentService.GetCapabilities",)


class Cache(Case):
    simulator_options = {"agents": 30}
    gateway_options = {"upstream": {"timeoutMs": 15000}}

    def fresh_agent(self):
        """An agent that nobody has read yet."""
        Cache.next_agent = getattr(Cache, "next_agent", 2002) + 1
        return "/v1/agents/%d" % Cache.next_agent

    def test_cold_then_warm(self):
        path = self.fresh_agent()
        cold = self.gate.get(path)
        self.assertEqual(cold.status, 200, cold)
        self.assertEqual(cold.cache()["fwd"], "miss")
        self.assertTrue(cold.cache()["stored"])
        before = self.sim.calls()
        for _ in range(50):
            warm = self.gate.get(path)
            self.assertTrue(warm.cache()["hit"])
            self.assertGreater(int(warm.cache()["ttl"]), 500)
            self.assertEqual(warm.json, cold.json)
        self.assertEqual(self.sim.calls(), before)

    def assert_four_round_trips(self, path):
        """Four seconds of latency make them countable."""
        self.sim.latency(4000)
        start = time.monotonic()
        response = self.gate.get(path)
        elapsed = time.monotonic() - start
        self.sim.latency(0)
        self.assertEqual(response.status, 200)
        self.assertGreaterEqual(elapsed, 4.0)
        # not a speed: five round trips cannot be had in less than twenty seconds, four leave four for a busy machine
        self.assertLess(elapsed, 20.0)
        return response.json

    def test_round_trips(self):
        """Cold, whatever it is made of, at most four round trips."""
        self.assert_four_round_trips(self.fresh_agent())
        calls = self.gate.metric("fetch_calls_total")
        self.assertGreater(calls, 5)

    def test_round_trips_of_many_calls(self):
        path = self.fresh_agent()
        calls = [self.sim.admin("POST", "/calls", {"to": path.split("/")[-1], "answer": i == 0})["contactId"] for i in range(40)]
        found = {call["contactId"] for call in self.assert_four_round_trips(path)["calls"]}
        for call in calls:
            self.sim.admin("POST", "/calls/%s/end" % call, {})
        self.assertLessEqual(set(calls), found)

    def test_no_cache_fetches(self):
        self.gate.get(AGENT)
        before = self.sim.calls(*ONE)
        response = self.gate.get(AGENT, headers={"Cache-Control": "no-cache"})
        self.assertEqual(response.cache()["fwd"], "request")
        self.assertEqual(self.sim.calls(*ONE), before + 1)

    def test_max_age(self):
        self.gate.get(AGENT)
        before = self.sim.calls(*ONE)
        self.assertTrue(self.gate.get(AGENT, headers={"Cache-Control": "max-age=3600"}).cache()["hit"])
        self.assertEqual(self.gate.get(AGENT, headers={"Cache-Control": "max-age=0"}).cache()["fwd"], "request")
        self.assertEqual(self.sim.calls(*ONE), before + 1)

    def test_only_if_cached(self):
        path = self.fresh_agent()
        before = self.sim.calls()
        self.assert_problem(self.gate.get(path, headers={"Cache-Control": "only-if-cached"}), 504, "not-cached")
        self.assertEqual(self.sim.calls(), before)
        self.gate.get(path)
        self.assertTrue(self.gate.get(path, headers={"Cache-Control": "only-if-cached"}).cache()["hit"])

    def test_absent_objects_cost_nothing(self):
        self.gate.get("/v1/agents/nobody")
        self.gate.get("/v1/calls/nothing")
        before = self.sim.calls()
        for i in range(100):
            self.assertEqual(self.gate.get("/v1/agents/nobody%d" % i).status, 404)
            self.assertEqual(self.gate.get("/v1/calls/nothing%d" % i).status, 404)
        self.assertEqual(self.sim.calls(), before)

    def many(self, path, count):
        """`count` requests for one path, all sent before the first is answered; statuses and bodies."""
        data = ("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer supervisor-token\r\nConnection: close\r\n\r\n"
                % path).encode()
        socks = []
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", self.gate.port), timeout=harness.BOUND)
            sock.sendall(data)
            socks.append(sock)
        return socks

    def collect(self, sock):
        received = b""
        while True:
            piece = sock.recv(65536)
            if not piece:
                sock.close()
                return received
            received += piece

    def test_a_thousand_misses_make_one_fetch(self):
        path = self.fresh_agent()
        self.sim.latency(1500)
        before = self.sim.calls(*ONE)
        socks = self.many(path, 1000)
        for sock in socks[::10]:  # the first client leaves, and every tenth
            sock.close()
        answers = [self.collect(s) for i, s in enumerate(socks) if i % 10]
        self.sim.latency(0)
        self.assertEqual({a.split(b"\r\n")[0] for a in answers}, {b"HTTP/1.1 200 OK"})
        self.assertEqual(len({a.split(b"\r\n\r\n")[1] for a in answers}), 1)
        self.assertEqual(self.sim.calls(*ONE), before + 1)
        self.assertGreater(sum(b"collapsed" in a for a in answers), 800)
        self.assertEqual(self.gate.get(path).status, 200)

    def test_an_error_reaches_them_all_once(self):
        path = self.fresh_agent()
        self.sim.latency(2800)
        self.sim.fault("fault", "AgentService", "GetCapabilities", fault="GetCapabilitiesException")
        before = self.sim.calls(*ONE)
        answers = [self.collect(s) for s in self.many(path, 200)]
        self.assertEqual({a.split(b"\r\n")[0] for a in answers}, {b"HTTP/1.1 502 Bad Gateway"})
        self.assertTrue(all(b"GetCapabilitiesException" in a for a in answers))
        self.assertEqual(self.sim.calls(*ONE), before + 1)
        self.sim.latency(0)
        self.sim.no_faults()
        self.assertEqual(self.gate.get(path).status, 200)

    def test_readers_in_parallel_see_whole_answers(self):
        seen, failures = set(), []

        def reader():
            connection = self.gate.connect()
            for _ in range(100):
                response = self.gate.get(AGENT, connection=connection)
                if response.status != 200 or response.json["loginId"] != "2001":
                    failures.append(response)
                seen.add(response.headers["etag"])
            connection.close()

        threads = [threading.Thread(target=reader) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            self.gate.get(AGENT, headers={"Cache-Control": "no-cache"})
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])


class Expiry(Case):
    gateway_options = {"cache": {"ttlMs": {"agent": 200, "capabilities": 600000, "user": 600000, "call": 0},
                                 "staleWhileRevalidateMs": 600000}}

    def test_stale_while_revalidate(self):
        first = self.gate.get(AGENT)
        self.assertEqual(first.json["sync"], "cached")
        stale = eventually(lambda: (lambda r: r if r.json["sync"] == "stale" else None)(
            self.gate.get(AGENT, headers={"Cache-Control": "only-if-cached"})), "stale")
        self.assertTrue(stale.cache()["hit"])
        self.assertLessEqual(int(stale.cache()["ttl"]), 0)
        self.assertRegex(stale.json["staleSince"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertNotEqual(stale.headers["etag"], first.headers["etag"])
        before = self.sim.calls(*ONE)
        self.assertTrue(self.gate.get(AGENT).cache()["hit"])  # served, and refreshed behind
        eventually(lambda: self.sim.calls(*ONE) > before, "a refresh behind")

    def test_a_time_to_live_of_nothing(self):
        path = "/v1/calls/" + self.sim.state()["calls"][0]["contactId"]
        self.assertEqual(self.gate.get(path).status, 200)
        self.assertEqual(self.gate.get(path, headers={"Cache-Control": "max-stale=0"}).cache()["fwd"], "stale")


class BeyondRevalidation(Case):
    gateway_options = {"cache": {"ttlMs": {"agent": 1, "capabilities": 600000, "user": 600000},
                                 "staleWhileRevalidateMs": 0}}

    def test_fetched_again_and_stale_if_error(self):
        self.gate.get(AGENT)
        before = self.sim.calls(*ONE)
        response = eventually(lambda: (lambda r: r if not r.cache().get("hit") else None)(self.gate.get(AGENT)), "expired")
        self.assertEqual(response.cache()["fwd"], "stale")
        self.assertGreater(self.sim.calls(*ONE), before)
        self.sim.fault("garbage", "AgentService")
        response = self.gate.get(AGENT)
        self.assertEqual(response.status, 200, response)
        self.assertEqual(response.json["sync"], "stale")
        self.assertEqual(response.cache()["fwd"], "stale")
        self.assert_problem(self.gate.get(AGENT, headers={"Cache-Control": "no-cache"}), 502, "upstream-invalid")

    def test_max_stale(self):
        self.gate.get(AGENT)
        self.assertTrue(self.gate.get(AGENT, headers={"Cache-Control": "max-stale=3600"}).cache().get("hit"))
        self.assertTrue(self.gate.get(AGENT, headers={"Cache-Control": "max-stale"}).cache().get("hit"))


class Restart(Case):
    def test_killed_and_warm(self):
        before = self.gate.get(AGENT)
        self.assertEqual(self.gate.get("/v1/agents").json["sync"], "cached")
        self.sim.latency(1000)
        self.gate.kill()
        self.gate.start(ready=False)
        start = time.monotonic()
        first = self.gate.get(AGENT)
        self.assertLess(time.monotonic() - start, harness.BOUND)
        self.assertEqual(first.status, 200, first)
        self.assertTrue(first.cache()["hit"], first)
        self.assertEqual(first.json["sync"], "stale")
        self.assertTrue(first.json["staleSince"])
        listed = self.gate.get("/v1/agents")
        self.assertEqual(len(listed.json["items"]), 6)
        self.assertTrue(listed.cache()["hit"], listed)
        self.sim.latency(0)
        self.gate.wait_ready()
        refreshed = eventually(lambda: (lambda r: r if r.json["sync"] == "cached" else None)(self.gate.get(AGENT)),
                               "refreshed behind it")
        self.assertEqual({k: v for k, v in refreshed.json.items() if k not in ("sync", "staleSince")},
                         {k: v for k, v in before.json.items() if k not in ("sync", "staleSince")})
        self.gate.kill()
        self.gate.start()

    def test_logs_off_at_the_end(self):
        gate = Gateway(self.sim)
        before = self.sim.counters()["logoffs"]
        gate.stop()
        self.assertEqual(self.sim.counters()["logoffs"], before + 3)

    def test_a_broken_cache_is_set_aside(self):
        gate = Gateway(self.sim)
        self.assertEqual(gate.get(AGENT).status, 200)
        gate.kill()
        import os
        path = os.path.join(gate.directory, "data/cache/data.mdb")
        with open(path, "r+b") as file:
            file.write(b"\xff" * 16384)
        gate.start()
        self.assertTrue(gate.child.log("cacheSetAside"))
        self.assertEqual(gate.get(AGENT).status, 200)
        gate.stop()


class Privacy(Case):
    def test_passwords_and_tokens_are_not_in_the_store(self):
        import os
        self.gate.get(AGENT)
        self.gate.get("/v1/calls")
        found = []
        for folder, _, files in os.walk(os.path.join(self.gate.directory, "data")):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    content = file.read()
                found += [(name, s) for s in (b"supervisor-token", b"agent-2001-token") if s in content]
                self.assertEqual(os.stat(os.path.join(folder, name)).st_mode & 0o077, 0, name)
        self.assertEqual(found, [])


if __name__ == "__main__":
    harness.main()
