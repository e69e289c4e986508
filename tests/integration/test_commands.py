"""Every command of the table, end to end: what it does, what is told of it, and everything that keeps it from the contact centre."""
import json
import os
import re
import shutil
import tempfile
import threading
import time
from urllib.parse import quote

import harness
from command_table import TERM, AGENT, BOSS, CONTROL, NEVER, OTHER, OUTSIDE, RECORD, ROWS, WHO, fill, table_rows
from commanding import LONG, Floor, Listener, Speaker, b64, control_of, line, position, together
from harness import PASSWORD, bearer, eventually, exchange
from test_live import is_live


class Table(Floor):
    """Each row in its state: refused to all who may not, then done once, seen upstream, in events and in the audit."""
    simulator_options = {"agents": 12, "scenario": "idle", "message_waiting": True}
    lease_now = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.listener = Listener(cls.gate.port)

    @classmethod
    def tearDownClass(cls):
        cls.listener.stop()
        super().tearDownClass()

    def each(self, rows, act):
        for number, row in enumerate(rows):
            with self.subTest(row="%d %s %s %s" % (number, row.name, row.method, row.when)):
                self.no_control()
                self.rest()
                self.lease_now = self.attach(row.agent)["lease"] if row.agent else None
                act(row)

    def give(self, row, context, who="floor", lease=None, **more):
        return self.send(row.method, fill(row.path, context), fill(row.body, context) if row.body is not None else None, who,
                         lease=lease, **more)

    def test_every_row_is_driven(self):
        driven = sorted(((r.name, r.method, r.when) for r in ROWS + NEVER), key=str)
        there = sorted((r for r in table_rows() if r[0] not in CONTROL), key=str)
        self.assertGreater(len(there), 60)
        self.assertEqual(driven, there)

    def test_does_it(self):
        self.each(ROWS, self.does_it)

    def does_it(self, row):
        context = row.setup(self)
        before, place = self.sim.counters(), self.listener.place()
        answer = self.give(row, context, lease=self.lease_now)
        self.assert_done(answer)
        after = self.sim.counters()
        self.assertEqual(after["commands"] - before["commands"], row.count, after["operations"])
        self.assertEqual(after["operations"].get(row.operation, 0) - before["operations"].get(row.operation, 0), 1,
                         (row.operation, after["operations"]))
        self.assertEqual(after["violations"], 0, after["violationMessages"])
        self.assertEqual(answer.status, 200 if row.result else 204, answer)
        if row.result:
            self.assertTrue(answer.json[row.result], answer)
        self.assertTrue(row.effect(self, context, answer), self.sim.state()["calls"])
        if row.event:
            self.listener.wait_for(place, *row.event)
        entry = next(e for e in self.audit("?limit=20") if e["what"] == "command")
        self.assertEqual((entry["command"], entry["outcome"], entry["application"]), (row.name, "done", "floor"), entry)
        if row.agent:
            self.assertEqual(entry["agent"], row.agent, entry)
            self.assertGreater(entry["fence"], 0)
        if row.undo:
            row.undo(self, context)

    def test_waits_for_the_effect(self):
        self.each([r for r in ROWS if r.proven], self.waits_for_the_effect)

    def waits_for_the_effect(self, row):
        context = row.setup(self)
        answer = self.give(row, context, lease=self.lease_now, wait=20)
        self.assert_done(answer)
        self.assertEqual(answer.headers.get("preference-applied"), "wait", answer)
        self.assertEqual(answer.status, 200 if row.result else 204)
        if row.undo:
            row.undo(self, context)

    def test_is_refused(self):
        self.each(ROWS + NEVER, self.is_refused)

    def is_refused(self, row):
        context = row.setup(self)
        before = self.commands()
        for who in ("looker", "operator", "campaigner"):
            self.assert_problem(self.give(row, context, who, self.lease_now), 403, "forbidden")
        if row.name not in RECORD:
            self.assert_problem(self.give(row, context, "recorder", self.lease_now), 403, "forbidden")
        strange = self.attach("2006", "stranger")["lease"]
        for lease in (strange, self.lease_now):
            answer = self.give(row, context, "stranger", lease)
            if row.operation is None and answer.status == 501:
                continue  # there is no such command for anybody
            self.assert_problem(answer, 404, "not-found")
        if row.agent:
            self.is_refused_without_control(row, context)
        self.assertEqual(self.commands(), before, "nothing of it has reached the contact centre")
        refused = [e for e in self.audit("?limit=50") if e["what"] == "refused"]
        if row.agent and row.operation:
            self.assertIn(row.name, {e.get("command") for e in refused}, refused)

    def is_refused_without_control(self, row, context):
        if row.operation is None:
            return
        held = self.assert_problem(self.give(row, context), 409, "control-held").json
        self.assertEqual(held["holder"]["application"], "floor", held)
        self.assertEqual(held["holder"]["profile"], "FullControl")
        self.assertTrue(held["holder"]["since"] and held["holder"]["expiresAt"])
        self.assertNotIn(self.lease_now, json.dumps(held))
        other = self.attach("2005")["lease"]
        self.assertIn(self.give(row, context, lease=other).status, (403, 409))
        watching = self.attach(row.agent, profile="MonitorOnly")["lease"]
        self.assertIn(self.give(row, context, lease=watching).status, (403, 409))
        self.assertIn(self.give(row, context, lease="A" * 43).status, (403, 409))
        self.release(row.agent, self.lease_now)
        for who in ("floor", "boss") if row.name not in RECORD else ("floor",):
            self.assert_problem(self.give(row, context, who), 403, "control-required")
        self.assert_problem(self.give(row, context, lease=self.lease_now), 409, "control-lost")
        self.assertIn(self.give(row, context, lease=watching).status, (403, 409))
        self.assertIn(self.give(row, context, lease=other).status, (403, 409))
        self.release("2005", other)
        self.release(row.agent, watching)

    def test_not_in_this_state(self):
        self.each([r for r in ROWS if r.wrong], self.not_in_this_state)

    def not_in_this_state(self, row):
        context = dict({"call": "none", "leg": "none", "connection": "none", "consult": "none", "external": "none"},
                       **row.setup(self))
        right = dict(context)
        self.rest()
        context.update(row.wrong(self))
        context["external"] = right["external"]
        before = self.commands()
        answer = self.give(row, context, lease=self.lease_now)
        if row.fault_when_wrong is True or (row.fault_when_wrong and answer.status == 502):
            problem = self.assert_problem(answer, 502, "upstream-fault").json
            self.assertTrue(problem["fault"].endswith("Exception"), problem)
            self.assertEqual((problem["outcome"], "%s.%s" % (problem["service"], problem["operation"])),
                             ("notDone", row.operation))
            self.assertEqual(self.commands(), before + 1)
        else:
            problem = self.assert_problem(answer, 409, "capability-absent").json
            self.assertRegex(problem["capability"], "^can[A-Z]")
            self.assertEqual(problem.get("outcome", "notDone"), "notDone")
            self.assertEqual(self.commands(), before, "a live capability that says no costs nothing")

    def test_what_no_provider_does(self):
        self.each(NEVER, self.what_no_provider_does)

    def what_no_provider_does(self, row):
        context = row.setup(self)
        before = self.commands()
        answer = self.give(row, context, lease=self.lease_now)
        if row.operation is None:
            self.assert_problem(answer, 501, "not-implemented")
        else:
            self.assert_problem(answer, 409, "capability-absent")
        self.assertTrue(answer.json.get("detail") or answer.json["capability"], "the reason")
        self.assertEqual(self.commands(), before)


class WhoActs(Floor):
    """A command may name the agent alone, or nobody where there is only one."""
    gateway_options = dict(Floor.gateway_options, users=("supervisor", "agent2002", "agent2003", "agent2006"),
                           workstations=[{"name": "pc-8", "terminal": line("2008")}])
    watchers = ("supervisor", "agent2002", "stranger")

    def setUp(self):
        super().setUp()
        self.no_control()

    def test_the_only_agent(self):
        lease = self.attach(WHO, "desk2002")["lease"]
        call = self.incoming(WHO)
        self.assert_done(self.send("POST", "/v1/calls/current/answer", {}, "desk2002", lease=lease))
        self.assertEqual(self.leg(call, WHO), "ACTIVE")
        self.settle()
        self.assert_done(self.send("POST", "/v1/calls/current/drop", None, "desk2002", lease=lease))
        self.assertIsNone(self.call(call))
        self.settle()
        before = self.commands()
        self.assertIn(self.send("POST", "/v1/calls/current/answer", {}, "desk2002", lease=lease).status, (404, 409))
        self.assertEqual(self.commands(), before)

    def test_a_named_agent(self):
        lease = self.attach(WHO)["lease"]
        call = self.incoming(WHO)
        before = self.commands()
        nobody = self.send("POST", "/v1/calls/current/answer", {})
        self.assertIn(nobody.status, (400, 403, 409), nobody)
        self.assertEqual(self.commands(), before)
        self.assert_done(self.send("POST", "/v1/calls/current/answer", {"agent": WHO}, lease=lease))
        self.assertEqual(self.leg(call, WHO), "ACTIVE")
        self.settle()
        # a lease names its agent, too
        self.assert_done(self.send("POST", "/v1/calls/current/hold", {}, lease=lease))
        self.assertEqual(self.leg(call, WHO), "HELD")
        self.assert_problem(self.send("POST", "/v1/calls/current/answer", {"agent": "9999"}, lease=lease), 404, "not-found")

    def test_two_calls(self):
        lease = self.attach(WHO, "desk2002")["lease"]
        calls = [self.incoming(WHO), self.incoming(WHO)]
        before = self.commands()
        problem = self.assert_problem(self.send("POST", "/v1/calls/current/answer", {}, "desk2002", lease=lease), 409,
                                      "ambiguous").json
        self.assertEqual(len(problem["candidates"]), 2, problem)
        for call in calls:
            self.assertIn(call, json.dumps(problem["candidates"]))
        self.assertEqual(self.commands(), before)
        self.assert_done(self.send("POST", "/v1/calls/%s/answer" % calls[1], {}, "desk2002", lease=lease))
        self.assertEqual([self.leg(call, WHO) for call in calls], ["RINGING", "ACTIVE"])

    def test_two_legs(self):
        lease = self.attach(WHO)["lease"]
        call = self.sim.admin("POST", "/calls", {"from": position(WHO), "to": OTHER, "answer": True})["contactId"]
        self.settle()
        before = self.commands()
        recording = self.send("POST", "/v1/calls/%s/recording" % call, {"state": "start"}, "recorder")
        problem = self.assert_problem(recording, 409, "ambiguous").json
        self.assertEqual(len(problem["candidates"]), 2, problem)
        self.assertIn(self.send("POST", "/v1/calls/%s/hold" % call, {}).status, (403, 409))
        self.assertEqual(self.commands(), before)
        for actor in ({}, {"agent": WHO}, {"terminal": line(WHO)}, {"terminalConnectionId": self.leg_id(call, WHO)}):
            with self.subTest(actor):
                self.assert_done(self.send("POST", "/v1/calls/%s/hold" % call, actor, lease=lease))
                self.assertEqual((self.leg(call, WHO), self.leg(call, OTHER)), ("HELD", "ACTIVE"))
                self.settle()
                self.assert_done(self.send("POST", "/v1/calls/%s/unhold" % call, actor, lease=lease))
                self.settle()
        before = self.commands()
        for actor in ({"agent": OTHER}, {"terminal": line(OTHER)}, {"terminalConnectionId": self.leg_id(call, OTHER)}):
            with self.subTest(actor):  # the lease is not this leg's agent's
                self.assertIn(self.send("POST", "/v1/calls/%s/hold" % call, actor, lease=lease).status, (403, 409))
        # what contradicts itself acts for nobody
        answer = self.send("POST", "/v1/calls/%s/hold" % call, {"agent": WHO, "terminalConnectionId": self.leg_id(call, OTHER)},
                           lease=lease)
        self.assertIn(answer.status, (400, 403, 404, 409), answer)
        self.assertEqual(self.commands(), before)

    def test_origins(self):
        lease = self.attach(WHO)["lease"]
        for origin, calling in (({"agent": WHO}, position(WHO)), ({"terminal": line(WHO)}, position(WHO)),
                                ({"address": position(WHO)}, position(WHO)), ({"address": "6" + WHO}, "6" + WHO),
                                ({"agent": WHO, "address": "6" + WHO}, "6" + WHO)):
            with self.subTest(origin):
                answer = self.send("POST", "/v1/calls", {"from": origin, "to": OUTSIDE}, lease=lease)
                self.assertEqual(answer.status, 200, answer)
                call = self.call(answer.json["contactId"])
                self.assertEqual((call["calling"], call["called"]), (calling, OUTSIDE))
                self.rest()
        before = self.commands()
        for origin in ({"agent": OTHER}, {"terminal": line(OTHER)}, {"address": position(OTHER)},
                       {"agent": WHO, "terminal": line(OTHER)}):
            answer = self.send("POST", "/v1/calls", {"from": origin, "to": OUTSIDE}, lease=lease)
            self.assertIn(answer.status, (400, 403, 404, 409), (origin, answer))
        self.assertEqual(self.commands(), before)

    def test_what_is_anothers(self):
        """The lease of one agent moves no terminal, address or leg of another's, wherever in the request it is named."""
        lease = self.attach(WHO)["lease"]
        call = self.sim.admin("POST", "/calls", {"from": position(WHO), "to": OTHER, "answer": True})["contactId"]
        self.settle()
        hers, its = line(OTHER), position(OTHER)
        before = self.commands()
        for method, path, body in (
                ("POST", "/v1/calls", {"from": {"agent": WHO}, "terminal": hers, "to": OUTSIDE}),
                ("POST", "/v1/calls", {"agent": WHO, "terminal": hers, "to": OUTSIDE}),
                ("POST", "/v1/calls", {"from": {"agent": WHO}, "address": its, "to": OUTSIDE}),
                ("POST", "/v1/calls", {"from": {"terminal": line(WHO)}, "address": its, "to": OUTSIDE}),
                ("POST", "/v1/calls", {"from": {"terminal": line(WHO), "address": its}, "to": OUTSIDE}),
                ("POST", "/v1/calls", {"from": {"address": position(WHO)}, "terminal": hers, "to": OUTSIDE}),
                ("PUT", AGENT + "/activity-code", {"activityCode": "7", "terminal": hers}),
                ("PUT", AGENT + "/activity-code", {"activityCode": "7", "terminalConnectionId": self.leg_id(call, OTHER)}),
                ("POST", AGENT + "/call-supervisor", {"terminal": hers}),
                ("POST", AGENT + "/call-supervisor", {"terminal": hers, "address": its}),
                ("POST", AGENT + "/call-supervisor", {"terminal": line(WHO), "address": its}),
                ("POST", "/v1/calls/%s/observe" % call, {"agent": WHO, "terminal": hers}),
                ("POST", "/v1/terminals/%s/pickup" % quote(line(WHO)), {"group": "1", "address": its})):
            with self.subTest("%s %s %s" % (method, path, body)):
                answer = self.send(method, path, body, lease=lease)
                self.assertIn(answer.status, (403, 404, 409), answer)
                self.assertEqual(self.commands(), before)
                before = self.commands()

    def test_users(self):
        """Several users: the objects decide, else CCT-User."""
        lease = self.attach(WHO, "pair")["lease"]
        call = self.incoming(WHO)
        self.assert_done(self.send("POST", "/v1/calls/%s/answer" % call, {}, "pair", lease=lease))
        self.settle()
        self.assert_done(self.send("POST", "/v1/calls/current/drop", {"agent": WHO}, "pair", lease=lease))
        self.settle()
        call = self.incoming(WHO)
        self.assert_done(self.send("POST", "/v1/calls/current/answer", {}, "pair", lease=lease,
                                   headers={"CCT-User": "agent2002"}))
        answer = self.send("POST", "/v1/calls/%s/drop" % call, {}, "pair", lease=lease, headers={"CCT-User": "agent2006"})
        self.assertIn(answer.status, (400, 403, 404), answer)
        self.assertIsNotNone(self.call(call))

    def test_supervisors(self):
        """Whoever has FullControl of the supervising agent commands those whom it supervises, as a supervisor only."""
        lease = self.attach(BOSS, "boss")["lease"]
        for method, path, body, effect in (
                ("PUT", "/readiness", {"ready": False}, {"ready": False}),
                ("PUT", "/readiness", {"ready": False, "reasonCode": "9"}, {"reasonCode": "9"}),
                ("PUT", "/readiness", {"ready": True}, {"ready": True}),
                ("POST", "/logout", {}, {"loggedIn": False}),
                ("POST", "/login", {"password": PASSWORD}, {"loggedIn": True})):
            with self.subTest(path):
                self.assert_done(self.send(method, AGENT + path, body, "boss", lease=lease))
                agent = self.agent(WHO)
                self.assertEqual({k: agent[k] for k in effect}, effect)
                self.settle()
        entry = next(e for e in self.audit("?limit=20") if e["what"] == "command")
        self.assertEqual((entry["agent"], entry["application"]), (WHO, "boss"))
        before = self.commands()
        self.no_control()
        for who, agent in (("floor", BOSS), ("boss", "2005")):
            wrong = self.attach(agent, who)["lease"]
            self.assertIn(self.send("POST", AGENT + "/logout", {}, who, lease=wrong).status, (403, 409))
        self.assertEqual(self.commands(), before)

    def test_hot_desking(self):
        """An agent logs in at a terminal that is not its own."""
        lease = self.attach(WHO)["lease"]
        self.assert_done(self.send("POST", AGENT + "/logout", {}, lease=lease))
        self.settle()
        before = self.commands()
        self.assert_problem(self.send("POST", AGENT + "/login", {"terminal": "Line 9.9.9", "password": PASSWORD}, lease=lease), 404)
        nowhere = self.send("POST", AGENT + "/login", {"workstation": "pc-nowhere", "password": PASSWORD}, lease=lease)
        self.assertIn(nowhere.status, (404, 409), nowhere)
        self.assertEqual(self.commands(), before)
        for where, seat in (({"terminal": line("2007")}, line("2007")), ({"workstation": "pc-8"}, line("2008"))):
            with self.subTest(where):
                answer = self.send("POST", AGENT + "/login", dict(where, password=PASSWORD, initialState="READY"), lease=lease)
                self.assert_done(answer)
                self.assertEqual((self.agent(WHO)["seat"], self.agent(WHO)["ready"]), (seat, True))
                self.settle()
                self.assert_done(self.send("POST", AGENT + "/logout", {}, lease=lease))
                self.assertFalse(self.agent(WHO)["loggedIn"])
                self.settle()


class OnTheSocket(Floor):
    """One connection is all that an agent's front-end needs."""

    def test_a_call(self):
        self.no_control()
        with Speaker(self.gate.port, "floor") as agent:
            agent.ws.subscribe("a")
            lease = agent.attach(WHO)
            self.assertEqual(sorted(set(lease) & {"lease", "fence", "profile", "expiresAt"}), ["expiresAt", "fence", "lease", "profile"])
            call = self.incoming(WHO)
            for what, state in (("answer", "ACTIVE"), ("hold", "HELD"), ("unhold", "ACTIVE")):
                answer = agent.command("POST", "/v1/calls/%s/%s" % (call, what), {}, wait=20)
                self.assertEqual((answer["status"], answer.get("body")), (204, None), answer)
                self.assertEqual(self.leg(call, WHO), state)
            data = agent.command("PATCH", "/v1/calls/%s/data" % call, {"case": "1"}, lease=lease["lease"])
            self.assertEqual(data["status"], 204, data)
            made = agent.command("POST", "/v1/calls/%s/transfer" % call, {"to": position(OTHER)})
            self.assertEqual(made["status"], 200, made)
            self.assertEqual(self.call(made["body"]["contactId"])["consultOf"], call)
            problem = agent.command("POST", "/v1/calls/nothing/hold", {"agent": WHO})
            self.assertEqual((problem["status"], problem["body"]["type"]), (404, "/problems/not-found"), problem)
            with Speaker(self.gate.port, "floor2") as other:
                before = self.commands()
                held = other.command("POST", "/v1/calls/%s/drop" % call, {"agent": WHO})
                self.assertEqual((held["status"], held["body"]["type"]), (409, "/problems/control-held"), held)
                self.assertEqual(held["body"]["holder"]["application"], "floor")
                self.assertEqual(self.commands(), before)
        self.assertIn("cct.terminalConnection.state", {e["type"] for e in agent.events})
        self.assertIn("websocket", {e.get("door") for e in self.audit("?limit=50") if e["what"] == "command"})


class WhatBecameOfIt(Floor):
    """Faults, silence, lost connections: said as they are, never tried again."""
    gateway_options = dict(Floor.gateway_options, upstream={"reconcileMs": 3600000, "timeoutMs": 1500})

    def setUp(self):
        super().setUp()
        self.no_control()
        self.lease = self.attach(WHO)["lease"]

    def tearDown(self):
        self.sim.no_faults()
        self.sim.admin("DELETE", "/notify")

    def ready(self, body, **more):
        return self.send("PUT", AGENT + "/readiness", body, lease=self.lease, **more)

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
        self.sim.latency(700)
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
        self.assertLess(results["time"], 1.5 + 10)
        self.assertEqual(self.leg(call, WHO), "HELD")

        def legs():
            connections = self.gate.get("/v1/calls/" + call).json["connections"]
            return [t["state"] for c in connections for t in c["terminalConnections"]]
        eventually(lambda: legs() == ["HELD"], "read anew", 10)
        self.assertEqual(self.sim.calls("TerminalConnectionService.Hold"),
                         1 + before["operations"].get("TerminalConnectionService.Hold", 0))

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


class Data(Floor):
    """What a call carries, by many writers."""

    def setUp(self):
        super().setUp()
        self.no_control()
        self.lease = self.attach(WHO)["lease"]
        self.number = self.incoming(WHO, answer=True, data={"case": "4711"})

    def patch(self, what, body, method="PATCH"):
        return self.send(method, "/v1/calls/%s/%s" % (self.number, what), body, lease=self.lease)

    def test_twenty_writers(self):
        before = self.sim.calls("ContactService.SetAttachedData", "SessionService.SetContactData")
        answers = together(20, lambda i: self.patch("data", {"key%d" % i: "value %d" % i}))
        for answer in answers:
            self.assert_done(answer)
        expected = dict({"key%d" % i: "value %d" % i for i in range(20)}, case="4711")
        self.assertEqual(self.call(self.number)["data"], expected)
        self.assertEqual(self.sim.calls("ContactService.SetAttachedData", "SessionService.SetContactData") - before, 20)
        self.settle()
        self.assertEqual(self.gate.get("/v1/calls/%s/data" % self.number).json, expected)
        for answer in together(20, lambda i: self.patch("data/key%d" % i, None, "DELETE")):
            self.assert_done(answer)
        self.assertEqual(self.call(self.number)["data"], {"case": "4711"})

    def test_twenty_writers_of_intrinsics(self):
        for answer in together(20, lambda i: self.patch("intrinsics", {"key%d" % i: "value %d" % i})):
            self.assert_done(answer)
        self.assertEqual(self.call(self.number)["intrinsics"], {"key%d" % i: "value %d" % i for i in range(20)})

    def test_writers_of_uui(self):
        """Whoever replaces it waits for whoever is about to append to it."""
        self.assert_done(self.patch("uui", {"uui": "first"}, "PUT"))
        self.settle()
        before = self.sim.calls("ContactService.GetUUI")
        self.sim.latency(500)
        self.addCleanup(self.sim.latency, 0)

        def act(number):
            if number == 0:
                return self.patch("uui", {"uui": " and more"})
            eventually(lambda: self.sim.calls("ContactService.GetUUI") > before, "it is read")
            return self.patch("uui", {"uui": "second"}, "PUT")
        for answer in together(2, act):
            self.assert_done(answer)
        self.assertEqual(self.call(self.number)["uui"], "second")

    def test_a_read_that_began_before(self):
        """To append is to read what is there now, not what another's read saw before the last writer wrote."""
        self.addCleanup(self.sim.no_faults)
        before = self.sim.calls("ContactService.GetAttachedData")
        self.sim.fault("drip", "ContactService", "GetAttachedData", 1)

        def act(number):
            if number == 0:
                return self.gate.get("/v1/calls/%s/data" % self.number, "floor", {"Cache-Control": "no-cache"})
            eventually(lambda: self.sim.calls("ContactService.GetAttachedData") > before, "it is read")
            self.assert_done(self.patch("data", {"first": "1"}, "PUT"))
            return self.patch("data", {"second": "2"})
        self.assert_done(together(2, act)[1])
        self.assertEqual(self.call(self.number)["data"], {"first": "1", "second": "2"})

    def test_texts_and_bytes(self):
        self.assert_done(self.patch("data", {"type": "STRING", "value": "one"}, "PUT"))
        self.assertEqual(self.call(self.number)["data"], "one")
        self.assert_done(self.patch("data", {"type": "STRING", "value": " & two"}))
        self.assertEqual(self.call(self.number)["data"], "one & two")
        self.assert_done(self.patch("data", {"type": "BINARY", "value": b64(b"\x00\x01\xfe")}, "PUT"))
        self.assertEqual(self.call(self.number)["data"], [0, 1, -2])
        self.assert_done(self.patch("data", {"type": "BINARY", "value": b64(b"\x7f\x80")}))
        self.assertEqual(self.call(self.number)["data"], [0, 1, -2, 127, -128])
        self.settle()
        self.assertEqual(self.gate.get("/v1/calls/%s/data" % self.number).json,
                         {"type": "BINARY", "value": b64(b"\x00\x01\xfe\x7f\x80")})
        before = self.commands()
        for body in ({"type": "BINARY", "value": "%%%"}, {"type": "STRING", "value": 1}, {"key": 1}, {"key": {"a": "b"}}):
            self.assert_problem(self.patch("data", body, "PUT"), 400, "bad-request")
        self.assertEqual(self.commands(), before)

    def test_keys(self):
        for key in ("a/b", "%SKILL%", "ü & ö", "type"):
            with self.subTest(key):
                self.assert_done(self.patch("data", {key: "1", "case": "2"}, "PUT"))
                self.assertEqual(self.call(self.number)["data"], {key: "1", "case": "2"})
                self.assert_done(self.patch("data/" + quote(key, safe=""), None, "DELETE"))
                self.assertEqual(self.call(self.number)["data"], {"case": "2"})


class Apart(Floor):
    """What one application controls is not another's to use or to end, and an agent is where it is logged in."""
    gateway_options = dict(Floor.gateway_options, workstations=[{"name": "pc-8", "terminal": line("2008")}])

    def setUp(self):
        super().setUp()
        self.no_control()

    def test_a_lease_in_other_hands(self):
        lease = self.attach(WHO)["lease"]
        before = self.commands()
        for who in ("floor2", "boss"):
            self.assert_problem(self.send("PUT", AGENT + "/readiness", {"ready": False}, who, lease=lease), 409, "control-held")
            self.assertEqual(self.send("PUT", control_of(WHO), {"profile": "FullControl"}, who, lease=lease).status, 409)
            self.assertEqual(self.send("DELETE", control_of(WHO), None, who, lease=lease).status, 409)
        self.assertEqual(self.commands(), before)
        self.assert_done(self.send("PUT", AGENT + "/readiness", {"ready": False}, lease=lease))

    def test_a_call_of_two(self):
        lease, other = self.attach(WHO)["lease"], self.attach(OTHER, "floor2")["lease"]
        call = self.incoming(OTHER, **{"from": position(WHO), "answer": True})
        before = self.commands()
        problem = self.assert_problem(self.send("DELETE", "/v1/calls/" + call, None, lease=lease), 409, "control-held").json
        self.assertEqual((problem["agent"], problem["holder"]["application"]), (OTHER, "floor2"))
        body = self.gate.get("/v1/services/ContactService/Drop", "floor").json["examples"]["input"]
        body["contact"]["contactId"] = call
        self.assert_problem(self.send("POST", "/v1/services/ContactService/Drop", body, lease=lease), 409, "control-held")
        self.assertEqual(self.commands(), before)
        self.release(OTHER, other, "floor2")
        self.assert_done(self.send("DELETE", "/v1/calls/" + call, None, lease=lease))
        self.assertIsNone(self.call(call))

    def test_a_consult_of_others(self):
        lease = self.attach(WHO)["lease"]
        mine, theirs = self.incoming(WHO, answer=True), self.incoming("2005", answer=True)
        before = self.commands()
        for what in ("transfer/complete", "conference/complete"):
            self.assertEqual(self.send("POST", "/v1/calls/%s/%s" % (mine, what), {"consultContactId": theirs}, lease=lease).status, 409)
        self.assertEqual(self.commands(), before)

    def test_from_the_desk(self):
        lease = self.attach(WHO)["lease"]
        for agent in (WHO, "2008"):
            self.sim.admin("POST", "/agents/" + agent, {"loggedIn": False})
        self.settle()
        self.assert_done(self.send("POST", AGENT + "/login", {"workstation": "pc-8", "password": PASSWORD}, lease=lease))
        for _ in range(2):  # before the events of the login, and after them
            made = self.send("POST", "/v1/calls", {"from": {"agent": WHO}, "to": OUTSIDE}, lease=lease)
            self.assertEqual(made.status, 200, made)
            self.assertIsNotNone(self.connection(made.json["contactId"], position("2008")))
            self.sim.admin("POST", "/calls/%s/end" % made.json["contactId"])
            self.settle()
        self.assert_done(self.send("POST", AGENT + "/logout", None, lease=lease))
        self.settle()
        self.assert_done(self.send("POST", AGENT + "/login", {"terminal": line(WHO), "password": PASSWORD}, lease=lease))
        made = self.send("POST", "/v1/calls", {"from": {"agent": WHO}, "to": OUTSIDE}, lease=lease)
        self.assertIsNotNone(self.connection(made.json["contactId"], position(WHO)), made)

    def test_emergency_in_the_active_call(self):
        lease = self.attach(WHO)["lease"]
        call = self.incoming(WHO, answer=True)
        self.assert_done(self.send("POST", "/v1/calls/%s/consult" % call, {"to": OUTSIDE}, lease=lease))
        self.settle()
        before = self.sim.calls("AgentTerminalConnectionService.EmergencyKey")
        answer = self.send("POST", AGENT + "/emergency", {}, lease=lease)
        self.assertNotEqual(answer.json["type"] if answer.body else None, "/problems/ambiguous", answer)
        self.assertEqual(self.sim.calls("AgentTerminalConnectionService.EmergencyKey") - before, 1, answer)


class Again(Floor):
    """Idempotency-Key: one key, one act."""
    gateway_options = dict(Floor.gateway_options, upstream={"reconcileMs": 3600000, "timeoutMs": 2000})

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


class Lite(Floor):
    """A site whose contract lacks an operation: another serves the command, and without any it is 501."""
    gone = (("TerminalConnectionService", "Hold"), ("TerminalConnectionService", "Consult"))

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="cctgate-contract-")
        contract = os.path.join(cls.directory, "contract")
        shutil.copytree(harness.CONTRACT, contract)
        for service, operation in cls.gone:
            name = os.path.join(contract, "cct", service + ".wsdl")
            with open(name) as file:
                text = file.read()
            text, count = re.subn(r'<wsdl:operation name="%s">.*?</wsdl:operation>' % operation, "", text, flags=re.S)
            assert count == 2, (service, operation, count)
            with open(name, "w") as file:
                file.write(text)
        cls.gateway_options = dict(Floor.gateway_options, contract=contract)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.directory)

    def test_falls_back(self):
        lease = self.attach(WHO)["lease"]
        call = self.incoming(WHO, answer=True)
        self.assert_done(self.send("POST", "/v1/calls/%s/hold" % call, {}, lease=lease))
        self.assertEqual(self.leg(call, WHO), "HELD")
        self.assertEqual(self.sim.calls("SessionService.HoldContact"), 1)
        self.settle()
        before = self.commands()
        answer = self.send("POST", "/v1/calls/%s/consult" % call, {"to": position(OTHER)}, lease=lease)
        self.assert_problem(answer, 501, "not-implemented")
        self.assertEqual(self.commands(), before)


if __name__ == "__main__":
    harness.main()
