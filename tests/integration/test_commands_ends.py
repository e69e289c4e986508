"""What became of a command: faults, silence, repeats, restarts; and what is told of it nowhere."""
import json
import os
import threading
import time

import harness
from command_table import TERM, AGENT, OTHER, OUTSIDE, WHO
from commanding import LONG, Floor, Speaker, control_of, line, position, together
from harness import bearer, eventually, exchange
from test_live import is_live


class Acting(Floor):
    """One who has control."""

    def setUp(self):
        super().setUp()
        self.no_control()
        self.lease = self.attach(WHO)["lease"]

    def tearDown(self):
        self.sim.no_faults()
        self.sim.admin("DELETE", "/notify")

    def ready(self, body, **more):
        return self.send("PUT", AGENT + "/readiness", body, lease=self.lease, **more)


class WhatBecameOfIt(Acting):
    """Faults, silence, lost connections: said as they are, never tried again."""
    gateway_options = dict(Floor.gateway_options, upstream={"reconcileMs": 3600000, "timeoutMs": 6000})

    def test_half_done(self):
        """Not ready, and then no reason: two steps upstream, of which the second failed."""
        self.sim.fault("fault", "AgentService", "SetNotReadyReasonCode", 1)
        problem = self.assert_problem(self.ready({"ready": False, "reasonCode": "3"}), 502, "half-done").json
        self.assertEqual([(s["operation"].split(".")[-1], s["outcome"]) for s in problem["steps"]],
                         [("SetReady", "done"), ("SetNotReadyReasonCode", "notDone")], problem)
        self.assertTrue(problem["steps"][1]["fault"].endswith("Exception"), problem)
        self.assertEqual((self.agent(WHO)["ready"], self.agent(WHO)["reasonCode"]), (False, ""))
        self.settle()
        self.assert_done(self.ready({"ready": False, "reasonCode": "3"}))
        self.assertEqual(self.agent(WHO)["reasonCode"], "3")

    def test_half_done_for_control_was_lost(self):
        """Between the steps an operator takes the agent over: the second is not done, and the first is not hidden."""
        before = self.sim.calls("AgentService.SetReady"), self.sim.calls("AgentService.SetNotReadyReasonCode")
        self.sim.latency(3000)
        self.addCleanup(self.sim.latency, 0)

        def act(number):
            if number == 0:
                return self.ready({"ready": False, "reasonCode": "5"})
            eventually(lambda: self.sim.calls("AgentService.SetReady") > before[0], "the first step")
            return self.send("DELETE", control_of(WHO) + "?force=true", None, "operator")
        answer, forced = together(2, act)
        self.assert_done(forced)
        problem = self.assert_problem(answer, 502, "half-done").json
        self.assertEqual([(s["operation"], s["outcome"]) for s in problem["steps"]], [("SetReady", "done")], problem)
        self.assertEqual(self.sim.calls("AgentService.SetNotReadyReasonCode"), before[1])

    def test_half_unknown(self):
        self.sim.fault("hang", "AgentService", "SetNotReadyReasonCode", 1)
        answer = self.ready({"ready": False, "reasonCode": "4"})
        self.assertIn(answer.status, (502, 504), answer)
        self.assertEqual([s["outcome"] for s in answer.json["steps"]], ["done", "unknown"], answer)

    def test_first_step_fails(self):
        before = self.sim.calls("AgentService.SetNotReadyReasonCode")
        self.sim.fault("fault", "AgentService", "SetReady", 1)
        problem = self.assert_problem(self.ready({"ready": False, "reasonCode": "3"}), 502, "upstream-fault").json
        self.assertEqual(problem["outcome"], "notDone")
        self.assertEqual(self.sim.calls("AgentService.SetNotReadyReasonCode"), before)

    def test_faults(self):
        """How the contact centre's answer is spoilt, and what is then known."""
        for kind, execute, outcome, slug in (("fault", False, "notDone", "upstream-fault"),
                                             ("reset", True, "unknown", None), ("reset", False, "unknown", None),
                                             ("garbage", True, "unknown", None), ("html", True, "unknown", None),
                                             ("truncate", True, "unknown", None),
                                             ("wrongElement", True, "unknown", None), ("http500", True, "unknown", None),
                                             ("hang", True, "unknown", "upstream-timeout")):
            with self.subTest(kind=kind, execute=execute):
                self.rest()
                self.sim.fault(kind, "AgentService", "SetReady", 1, execute=execute)
                before = self.sim.calls("AgentService.SetReady"), self.commands()
                answer = self.ready({"ready": False})
                self.assertIn(answer.status, (502, 504), answer)
                problem = self.assert_problem(answer, answer.status, slug).json
                self.assertEqual(problem["outcome"], outcome, problem)
                self.assertEqual((problem["service"], problem["operation"]), ("AgentService", "SetReady"))
                self.sim.no_faults()
                # were it tried again, then before anything that is asked for afterwards
                self.assert_done(self.send("PUT", AGENT + "/activity-code", {"activityCode": "1"}, lease=self.lease))
                self.assertEqual(self.sim.calls("AgentService.SetReady"), before[0] + 1)
                self.assertEqual(self.commands(), before[1] + 2)
                entry = [e for e in self.audit("?limit=5") if e["what"] == "command"][1]
                self.assertEqual((entry["command"], entry["outcome"]), ("notReady", outcome), entry)

    def test_lost_session(self):
        before = self.sim.calls("AgentService.SetReady")
        self.sim.fault("session", "AgentService", "SetReady", 1)
        problem = self.assert_problem(self.ready({"ready": False}), 503, "session-lost").json
        self.assertEqual(problem["outcome"], "notDone")
        self.settle()
        self.assertEqual(self.sim.calls("AgentService.SetReady"), before + 1)
        self.assertTrue(self.agent(WHO)["ready"])

    def test_no_event_comes(self):
        """Prefer: wait is not for ever."""
        self.sim.admin("POST", "/notify", {"drop": 1})
        answer = self.send("PUT", AGENT + "/readiness", {"ready": False}, lease=self.lease, wait=1)
        self.assertEqual((answer.status, answer.headers.get("preference-applied")), (202, None), answer)
        self.assertFalse(self.agent(WHO)["ready"])

    def test_a_client_that_leaves(self):
        """A command that was sent is carried out, once, and its key tells what became of it."""
        before = self.commands()
        self.sim.latency(300)
        connection = self.gate.connect()
        connection.request("PUT", AGENT + "/readiness", json.dumps({"ready": False}),
                           dict(bearer("floor"), **{"Content-Type": "application/json", "Control-Lease": self.lease,
                                                    "Idempotency-Key": "left"}))
        eventually(lambda: self.commands() == before + 1, "sent")
        connection.close()
        self.sim.latency(0)
        answer = self.ready({"ready": False}, key="left")
        self.assert_done(answer)
        self.assertEqual(answer.headers.get("idempotency-replayed"), "true")
        self.assertEqual(self.commands(), before + 1)


class Hanging(Acting):
    """The time-out is long: what is to be answered meanwhile has that long."""
    gateway_options = dict(Floor.gateway_options, upstream={"reconcileMs": 3600000, "timeoutMs": 15000})

    def test_hanging(self):
        """504 unknown within the deadline; the object is read anew; nobody else waits."""
        call = self.incoming(WHO, answer=True)
        self.sim.fault("hang", "TerminalConnectionService", "Hold", 1, execute=True)
        self.sim.admin("POST", "/notify", {"drop": 1})  # no event will tell
        other = self.attach(OTHER)["lease"]
        results = {}

        def hold():
            start = time.monotonic()
            results["answer"] = self.send("POST", "/v1/calls/%s/hold" % call, {}, lease=self.lease)
            results["time"] = time.monotonic() - start
        before = self.sim.counters()
        thread = threading.Thread(target=hold)
        thread.start()
        eventually(lambda: self.sim.calls("TerminalConnectionService.Hold") == 1 +
                   before["operations"].get("TerminalConnectionService.Hold", 0), "sent")
        for ready in (False, True):
            self.assert_done(self.send("PUT", "/v1/agents/%s/readiness" % OTHER, {"ready": ready}, lease=other))
        self.assert_done(self.send("PUT", AGENT + "/activity-code", {"activityCode": "1"}, lease=self.lease))
        self.assertEqual(self.gate.get("/v1/agents/2001").status, 200)
        self.assertNotIn("answer", results, "the others were answered while this one hung")
        thread.join(harness.BOUND)
        problem = self.assert_problem(results["answer"], 504, "upstream-timeout").json
        self.assertEqual(problem["outcome"], "unknown", problem)
        self.assertLess(results["time"], 15 + 30)
        self.assertEqual(self.leg(call, WHO), "HELD")

        def legs():
            connections = self.gate.get("/v1/calls/" + call).json["connections"]
            return [t["state"] for c in connections for t in c["terminalConnections"]]
        eventually(lambda: legs() == ["HELD"], "read anew")
        self.assertEqual(self.sim.calls("TerminalConnectionService.Hold"),
                         1 + before["operations"].get("TerminalConnectionService.Hold", 0))


class OneRoundTrip(Floor):
    def test_a_call_from_an_agents_id(self):
        """The public client needed three to four."""
        self.no_control()
        lease = self.attach(WHO)["lease"]
        self.sim.latency(150)
        before = self.sim.calls()
        answer = self.send("POST", "/v1/calls", {"from": {"agent": WHO}, "to": position(OTHER)}, lease=lease)
        self.assertEqual((answer.status, self.sim.calls() - before), (200, 1), self.sim.counters()["operations"])
        self.sim.latency(0)
        self.assertEqual(self.leg(answer.json["contactId"], OTHER), "RINGING")


class Late(Floor):
    """Events that come late: what a command changed is not served as it was before it, and what it made is there."""

    def tearDown(self):
        self.sim.admin("DELETE", "/notify")
        super().tearDown()

    def read(self, path):
        return self.gate.get(path, "floor")

    def test_calls_and_readiness(self):
        self.no_control()
        lease = self.attach(WHO)["lease"]
        for path in ("/v1/calls", AGENT, TERM):
            self.read(path)
        self.sim.admin("POST", "/notify", {"delayMs": 20000})
        self.assert_done(self.send("PUT", AGENT + "/readiness", {"ready": False}, lease=lease))
        self.assertEqual(self.read(AGENT).json["readyStatus"], "NOT_READY")
        self.assertIs(self.read(TERM).json["ready"], False)
        call = self.send("POST", "/v1/calls", {"from": {"agent": WHO}, "to": position(OTHER)}, lease=lease).json["contactId"]
        path = "/v1/calls/" + call
        self.assertEqual(self.read(path).status, 200)
        self.assertEqual(len(self.read(path).json["connections"]), 2)
        self.assertIn(call, [c["contactId"] for c in self.read("/v1/calls").json["items"]])
        self.assertIn(call, [c["contactId"] for c in self.read(AGENT).json["calls"]])
        self.assert_done(self.send("DELETE", path, lease=lease))
        answer = self.read(path)
        self.assertTrue(answer.status == 404 or not answer.json["connections"] or
                        all(c["state"] == "DISCONNECTED" for c in answer.json["connections"]), answer)
        self.assertNotIn(call, [c["contactId"] for c in self.read(AGENT).json["calls"]])


class NotLive(Floor):
    """Without events: what a command touched is not served from before it."""
    gateway_options = {"users": ("supervisor",), "control": {"ttlMs": LONG}}

    def setUp(self):
        super().setUp()
        self.no_control()

    def settle(self):
        pass

    def test_read_after_command(self):
        lease = self.attach(WHO)["lease"]
        for ready in (False, True, False):
            self.gate.get(AGENT)
            self.assertTrue(self.gate.get(AGENT).cache().get("hit"))
            self.assert_done(self.send("PUT", AGENT + "/readiness", {"ready": ready}, lease=lease))
            self.assertEqual(self.gate.get(AGENT).json["readyStatus"], "READY" if ready else "NOT_READY")
        self.sim.fault("garbage", "AgentService", "SetReady", 1, execute=True)
        answer = self.send("PUT", AGENT + "/readiness", {"ready": True}, lease=lease)
        self.assertEqual(answer.json["outcome"], "unknown", answer)
        self.assertEqual(self.gate.get(AGENT).json["readyStatus"], "READY")

    def test_commands_on_what_is_not_known_yet(self):
        lease = self.attach(WHO)["lease"]
        call = self.incoming(WHO)
        self.assert_done(self.send("POST", "/v1/calls/%s/answer" % call, {"agent": WHO}, lease=lease))
        self.assertEqual(self.leg(call, WHO), "ACTIVE")
        # a capability that is not live warns at most
        self.assert_done(self.send("POST", "/v1/calls/%s/hold" % call, {"agent": WHO}, lease=lease))
        self.assertEqual(self.leg(call, WHO), "HELD")


class Again(Floor):
    """Idempotency-Key: one key, one act."""
    gateway_options = dict(Floor.gateway_options, upstream={"reconcileMs": 3600000, "timeoutMs": 6000})

    def setUp(self):
        super().setUp()
        self.no_control()
        self.lease = self.attach(WHO)["lease"]

    def originate(self, key, to=OUTSIDE, **more):
        more.setdefault("lease", self.lease)
        return self.send("POST", "/v1/calls", {"from": {"agent": WHO}, "to": to}, key=key, **more)

    def same(self, first, again):
        self.assertEqual((again.status, again.body), (first.status, first.body))
        self.assertEqual(again.headers.get("idempotency-replayed"), "true", again)

    def test_refused_first(self):
        """Who comes without control takes the key from nobody: nothing was done under it."""
        for i in range(5):
            before = self.sim.calls("TerminalService.Originate")
            answers = together(6, lambda n, i=i: self.originate("first-%d" % i, **({} if n % 2 else {"lease": None})))
            self.assertEqual({a.status for a in answers[1::2]}, {200}, answers)
            self.assertEqual(len({a.body for a in answers[1::2]}), 1)
            self.assertEqual(self.sim.calls("TerminalService.Originate") - before, 1)
            self.rest()

    def restart(self):
        self.gate.kill()
        self.gate.start()
        eventually(lambda: is_live(self.gate, "supervisor"), "live again")

    def settle(self):
        """After a restart the counters of both do not compare."""
        def told():
            counts = self.sim.counters()["notify"]
            return counts["queued"] + counts["inFlight"] == 0
        eventually(lambda: is_live(self.gate, *self.watchers), "live")
        eventually(told, "told")
        eventually(lambda: self.gate.metric("consumer_queued_bytes") == 0, "applied")

    def test_repeated(self):
        before = self.commands()
        first = self.originate("one")
        self.assertEqual(first.status, 200, first)
        self.assertNotIn("idempotency-replayed", first.headers)
        for _ in range(3):
            self.same(first, self.originate("one"))
        self.assertEqual(self.commands(), before + 1)
        for body in ({"from": {"agent": WHO}, "to": position(OTHER)}, {"to": OUTSIDE, "from": {"terminal": line(WHO)}}):
            self.assert_problem(self.send("POST", "/v1/calls", body, lease=self.lease, key="one"), 422, "idempotency-key-reused")
        self.assert_problem(self.send("POST", AGENT + "/logout", {}, lease=self.lease, key="one"), 422, "idempotency-key-reused")
        self.assertEqual(self.commands(), before + 1)
        # the same object, written otherwise, is the same body
        self.same(first, self.send("POST", "/v1/calls", '{ "to" : "%s", "from":{"agent": "%s"}}' % (OUTSIDE, WHO),
                                   lease=self.lease, key="one"))
        # another application's key is another key
        lease = self.attach(OTHER, "floor2")["lease"]
        other = self.send("PUT", "/v1/agents/%s/readiness" % OTHER, {"ready": False}, "floor2", lease=lease, key="one")
        self.assert_done(other)
        self.assertNotIn("idempotency-replayed", other.headers)

    def test_twenty_at_once(self):
        before = self.commands()
        self.sim.latency(100)
        answers = together(20, lambda i: self.originate("twenty"))
        self.assertEqual({(a.status, a.body) for a in answers}, {(200, answers[0].body)})
        self.assertEqual(self.commands(), before + 1)
        self.assertEqual(sum(a.headers.get("idempotency-replayed") == "true" for a in answers), 19)

    def test_across_a_restart(self):
        before = self.commands()
        first = self.originate("lasting")
        self.assertEqual(first.status, 200, first)
        for _ in range(2):
            self.restart()
            self.same(first, self.originate("lasting"))
        for answer in together(20, lambda i: self.originate("lasting")):
            self.same(first, answer)
        self.assert_problem(self.originate("lasting", to=position(OTHER)), 422, "idempotency-key-reused")
        self.assertEqual(self.commands(), before + 1)

    def test_unknown_stays_unknown(self):
        before = self.commands()
        self.sim.fault("hang", "TerminalService", "Originate", 1, execute=True)
        first = self.assert_problem(self.originate("unknown"), 504, "upstream-timeout")
        self.assertEqual(first.json["outcome"], "unknown")
        again = self.originate("unknown")
        self.assertEqual((again.status, again.json["outcome"]), (504, "unknown"), again)
        self.assertEqual(again.headers.get("idempotency-replayed"), "true")
        self.assertEqual(self.commands(), before + 1)

    def test_killed_in_the_middle(self):
        """What was sent before the gateway died is not sent again; nobody knows what became of it, and the answer says so."""
        before = self.commands()
        self.sim.fault("hang", "TerminalService", "Originate", 1, execute=True)
        failed = []

        def attempt():
            try:
                self.originate("killed")
            except Exception as failure:  # the gateway dies under it
                failed.append(failure)
        thread = threading.Thread(target=attempt)
        thread.start()
        eventually(lambda: self.commands() == before + 1, "sent")
        self.restart()
        thread.join(harness.BOUND)
        self.assertTrue(failed)
        again = self.originate("killed")
        self.assertGreaterEqual(again.status, 500, again)
        self.assertEqual(again.json["outcome"], "unknown", again)
        self.assertEqual(self.commands(), before + 1)

    def test_keys_are_checked(self):
        before = self.commands()
        for key in ("", "x" * 256, "with\ttab", '""', '"open'):
            self.assert_problem(self.originate(key), 400, "bad-request")
        self.assertEqual(self.commands(), before)
        first = self.originate('"quoted"')
        self.assertEqual(first.status, 200, first)
        self.same(first, self.originate('"quoted"'))
        self.assertEqual(self.commands(), before + 1)


class Secrets(Floor):
    """Passwords, digits, attached data and leases are nowhere but where they belong."""

    def test_nowhere(self):
        self.no_control()
        lease = self.attach(WHO, key="attach")["lease"]
        call = self.incoming(WHO, answer=True)
        secrets = ["pass-8471-word", "90817263", "customer-5523-secret", lease]
        self.send("POST", "/v1/calls/%s/dtmf" % call, {"digits": "90817263"}, lease=lease)
        self.send("POST", "/v1/calls/%s/dtmf" % call, {"digits": "90817263x"}, lease=lease)  # the contact centre refuses
        self.send("PATCH", "/v1/calls/%s/data" % call, {"note": "customer-5523-secret"}, lease=lease, key="data")
        self.sim.fault("fault", "ContactService", "SetAttachedData", 1)
        answers = [self.send("PATCH", "/v1/calls/%s/data" % call, {"note": "customer-5523-secret"}, lease=lease)]
        self.send("POST", AGENT + "/logout", {}, lease=lease)
        self.settle()
        answers += [self.send("POST", AGENT + "/login", {"password": "pass-8471-word"}, lease=lease, key="login"),
                    self.send("POST", AGENT + "/login", {"password": ["pass-8471-word"]}, lease=lease),
                    self.send("POST", AGENT + "/login", {"pass-8471-word": "pass-8471-word", "password": 1}, lease="wrong" + lease)]
        self.assert_problem(answers[1], 502, "upstream-fault")
        with Speaker(self.gate.port, "floor") as agent:
            agent.command("POST", AGENT + "/login", {"password": "pass-8471-word"}, lease=lease)
        places = {"the log": self.gate.child.text(), "metrics": exchange(self.gate.port, "GET", "/metrics").body.decode(),
                  "the audit": json.dumps(self.audit("?limit=1000")),
                  "problems": "".join(a.body.decode() for a in answers[:3]),
                  "control": self.gate.get(control_of(WHO), "operator").body.decode() + self.gate.get(AGENT).body.decode()}
        for place, text in places.items():
            for secret in secrets:
                self.assertNotIn(secret, text, place)
        self.gate.kill()
        for folder, _, files in os.walk(os.path.join(self.gate.directory, "data")):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    stored = file.read()
                for secret in ("pass-8471-word", lease, "90817263"):
                    self.assertNotIn(secret.encode(), stored, name)


if __name__ == "__main__":
    harness.main()
