"""One test per defect that was found once."""
import json
import os
import signal
import threading
import time

import harness
from harness import Case, Gateway, Simulator, bearer, eventually, exchange, raw

AGENT = "/v1/agents/2001"
AUTH = b"Authorization: Bearer supervisor-token\r\n"


class Framing(Case):
    def first_line(self, data):
        return raw(self.gate.port, data).split(b"\r\n")[0]

    def test_head_has_no_body_on_early_errors(self):
        for path, status in ((b"/nope", b"404"), (b"/v1/services/X/Y", b"404"), (b"/v1/calls/x/answer", b"405"), (b"/v1/agents?limit=0", b"4")):
            answer = raw(self.gate.port, b"HEAD " + path + b" HTTP/1.1\r\nHost: x\r\n" + AUTH + b"\r\nGET /healthz HTTP/1.1\r\n"
                         b"Host: x\r\nConnection: close\r\n\r\n")
            self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), answer[:80])
            head, rest = answer.split(b"\r\n\r\n", 1)
            self.assertTrue(rest.startswith(b"HTTP/1.1 200"), rest[:80])

    def test_doubtful_framing_is_refused_and_the_connection_ends(self):
        smuggled = b"GET /v1/agents/2001 HTTP/1.1\r\nHost: x\r\n\r\n"
        for fields in (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 0\r\nContent-Length: 44\r\n",
                       b"Host: y\r\n", b"X: y\r\n folded\r\n"):
            answer = raw(self.gate.port, b"POST /v1/services/UserService/GetAgents HTTP/1.1\r\nHost: x\r\n" + AUTH +
                         b"Content-Type: application/json\r\n" + fields + b"\r\n0\r\n\r\n" + smuggled)
            self.assertTrue(answer.startswith(b"HTTP/1.1 400"), (fields, answer[:120]))
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1, (fields, answer))
        self.assertIn(b" 400 ", self.first_line(b"GET /healthz HTTP/1.1\r\n\r\n"))

    def test_bodies_in_chunks_are_fine(self):
        answer = raw(self.gate.port, b"POST /v1/services/UserService/GetAgents HTTP/1.1\r\nHost: x\r\n" + AUTH +
                     b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                     b"2\r\n{}\r\n0\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200"), answer[:120])


class Truth(Case):
    def test_a_terminal_that_would_not_tell_loses_no_call(self):
        before = {c["contactId"] for c in self.gate.get("/v1/calls").json["items"]}
        self.assertTrue(before)
        self.sim.fault("fault", "TerminalService", "GetTerminalConnections", fault="GetConnectionsException")
        self.sim.fault("fault", "AddressService", "GetConnections", fault="GetConnectionsException")
        during = self.gate.get("/v1/calls", headers={"Cache-Control": "no-cache"})
        self.assertEqual({c["contactId"] for c in during.json["items"]}, before)
        self.sim.no_faults()
        for contact in before:
            self.assertEqual(self.gate.get("/v1/calls/" + contact).status, 200)

    def test_a_failed_refresh_of_a_list_is_no_success(self):
        self.gate.get("/v1/agents")
        self.sim.fault("garbage", "AgentService", "IsReady")
        response = self.gate.get("/v1/agents", headers={"Cache-Control": "no-cache"})
        self.assert_problem(response, 502, "upstream-invalid")

    def test_a_users_etag_follows_its_session(self):
        first = self.gate.get("/v1/users/agent2001", "agent2001")
        self.sim.admin("POST", "/sessions/kill", {"user": "agent2001"})
        self.gate.get("/v1/users/agent2001", "agent2001", {"Cache-Control": "no-cache"})
        second = eventually(lambda: (lambda r: r if r.json["session"]["since"] and
                                     r.json["session"] != first.json["session"] else None)(
            self.gate.get("/v1/users/agent2001", "agent2001")), "logged in again")
        self.assertNotEqual(first.headers["etag"], second.headers["etag"])


class Incomplete(Case):
    def test_a_list_that_lacks_a_user_says_so(self):
        gate = Gateway(self.sim, users=("agent2001",))
        self.assertEqual(len(gate.get("/v1/agents", "operator").json["items"]), 1)
        self.sim.fault("fault", "UserService", "GetAgents", fault="GetAgentsException")
        gate.config["sessions"].append(dict(gate.config["sessions"][0], user="agent2002"))
        gate.write()
        gate.child.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(gate.child.log("loggedIn")) == 2, "the second has logged in")
        body = gate.get("/v1/agents", "operator").json
        self.assertEqual([a["loginId"] for a in body["items"]], ["2001"])
        self.assertEqual((body.get("incomplete"), body["sync"]), (True, "stale"))
        self.sim.no_faults()
        body = eventually(lambda: (lambda b: b if len(b["items"]) == 2 else None)(gate.get("/v1/agents", "operator").json), "both")
        self.assertNotIn("incomplete", body)
        self.assertEqual(body["sync"], "cached")
        gate.stop()

    def test_a_silent_server_is_noticed(self):
        gate = Gateway(self.sim, upstream={"heartbeatMs": 300, "timeoutMs": 3000})
        self.assertEqual(gate.get(AGENT).json["sync"], "cached")
        self.sim.fault("hang")
        eventually(lambda: gate.get(AGENT).json["sync"] == "stale", "stale")
        self.assertEqual(exchange(gate.port, "GET", "/readyz").status, 503)
        self.sim.no_faults()
        gate.wait_ready()
        gate.stop()


class Storm(Case):
    def test_a_server_that_knows_nobody_is_not_flooded_with_logins(self):
        self.gate.get(AGENT)
        before = self.sim.counters()["logins"]
        self.sim.fault("session", "AgentService")
        end = time.monotonic() + 4
        reads = 0
        while time.monotonic() < end:  # spaced, so that each finds a session that is up whenever one can be
            self.assertEqual(self.gate.get(AGENT, headers={"Cache-Control": "no-cache"}).status, 503)
            reads += 1
            time.sleep(0.1)
        # two sessions own the agent: five losses of each are free, then 0.5, 1, 2 s and so on
        self.assertLess(self.sim.counters()["logins"] - before, 20, reads)


class Reloads(Case):
    def without(self, user):
        config = json.loads(json.dumps(self.gate.config))
        config["sessions"] = [s for s in config["sessions"] if s["user"] != user]
        config["tokens"] = [t for t in config["tokens"] if user not in t["users"]]
        return config

    def reload(self, config):
        done = len(self.gate.child.log("reloaded"))
        with open(self.gate.file, "w") as file:
            json.dump(config, file)
        self.gate.child.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(self.gate.child.log("reloaded")) > done, "reloaded")

    def test_a_user_is_removed_while_its_lists_are_read(self):
        self.sim.latency(2000)
        threads = [threading.Thread(target=self.gate.get, args=(p, "operator", {"Cache-Control": "no-cache"}))
                   for p in ("/v1/users/agent2001", AGENT, "/v1/calls")]
        for thread in threads:
            thread.start()
        eventually(lambda: self.sim.counters()["inFlight"] >= 3, "in flight")
        self.reload(self.without("agent2001"))
        for thread in threads:
            thread.join()
        self.sim.latency(0)
        self.assertEqual(self.gate.get(AGENT).status, 200)
        self.reload(self.gate.config)
        self.gate.wait_ready()
        eventually(lambda: self.gate.get(AGENT, "agent2001").status == 200, "known again")
        self.assertEqual(self.gate.get(AGENT, "agent2001").json["loginId"], "2001")

    def test_a_session_whose_calls_end_after_it_was_replaced(self):
        self.sim.latency(300)
        thread = threading.Thread(target=self.gate.get, args=("/v1/calls", "agent2002", {"Cache-Control": "no-cache"}))
        thread.start()
        changed = json.loads(json.dumps(self.gate.config))
        for session in changed["sessions"]:
            if session["user"] == "agent2002":
                session["shared"] = True
        self.reload(changed)
        thread.join()
        self.sim.latency(0)
        self.gate.wait_ready()
        eventually(lambda: self.gate.get("/v1/users/me", "agent2002", {"Cache-Control": "no-cache"}).json["sync"] == "cached",
                   "the new session vouches")
        self.reload(self.gate.config)
        self.gate.wait_ready()

    def test_no_session_at_all_and_back_during_an_outage(self):
        self.sim.fault("refuse")
        eventually(lambda: self.gate.get(AGENT, headers={"Cache-Control": "no-cache"}).status == 503, "noticed")
        self.reload(dict(self.gate.config, sessions=[], tokens=[]))
        self.reload(self.gate.config)
        self.sim.no_faults()
        self.gate.wait_ready()
        self.assertEqual(self.gate.get(AGENT).status, 200)


class Ends(Case):
    def test_stops_in_time_while_reads_wait(self):
        gate = Gateway(self.sim, upstream={"timeoutMs": 20000})
        before = self.sim.calls("AgentService.IsReady")
        self.sim.fault("hang", "AgentService")
        clients = [threading.Thread(target=self.quietly, args=(gate, path)) for path in
                   ("/v1/agents", AGENT, "/v1/calls")]
        for client in clients:
            client.start()
        eventually(lambda: self.sim.calls("AgentService.IsReady") > before, "in flight")
        gate.stop()
        for client in clients:
            client.join()

    def quietly(self, gate, path):
        try:
            gate.get(path, headers={"Cache-Control": "no-cache"})
        except (ConnectionError, OSError, __import__("http.client").client.HTTPException):
            pass


if __name__ == "__main__":
    harness.main()
