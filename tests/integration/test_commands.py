"""Every command of the table, end to end: what it does, what is told of it, and everything that keeps it from the contact centre."""
import json
import os
import re
import shutil
import signal
import tempfile
from urllib.parse import quote

import harness
from command_table import AGENT, BOSS, CONTROL, NEVER, OTHER, OUTSIDE, RECORD, ROWS, WHO, fill, table_rows
from commanding import Floor, Listener, Speaker, b64, control_of, line, position, together
from harness import PASSWORD, eventually


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

    def test_a_late_event_takes_nothing_back(self):
        """An event of the first write comes while it is read what the third adds to: what the second wrote is there all the same."""
        self.addCleanup(self.sim.latency, 0)
        self.addCleanup(self.sim.admin, "DELETE", "/notify")
        for part in ("data", "intrinsics"):
            before = self.call(self.number)[part]
            self.sim.admin("POST", "/notify", {"delayMs": 2000})  # of each, one after the other
            self.assert_done(self.patch(part, {"first": "1"}))
            self.assert_done(self.patch(part, {"second": "2"}))
            self.sim.latency(3000)
            self.assert_done(self.patch(part, {"third": "3"}))
            self.sim.latency(0)
            self.assertEqual(self.call(self.number)[part], dict(before, first="1", second="2", third="3"))
            self.sim.admin("DELETE", "/notify")
            self.settle()

    def test_what_cannot_be_read_is_not_overwritten(self):
        """To add to what could not be read would be to lose it."""
        self.addCleanup(self.sim.no_faults)
        for part, operation in (("data", "GetAttachedData"), ("intrinsics", "GetIntrinsics")):
            self.assert_done(self.patch(part, {"first": "1"}))
            before, commands = self.call(self.number)[part], self.commands()
            self.sim.fault("fault", "ContactService", operation, 1)
            self.assert_problem(self.patch(part, {"second": "2"}), 502, "upstream-fault")
            self.assertEqual(self.commands(), commands)
            self.assertEqual(self.call(self.number)[part], before)

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


class NoMore(Floor):
    """cache.callData changes while calls are there: what is not to be kept is not written from then on."""

    def test_not_kept_any_more(self):
        self.no_control()
        lease = self.attach(WHO)["lease"]
        call = self.incoming(WHO, answer=True)
        path = "/v1/calls/%s/data" % call
        self.assert_done(self.send("PUT", path, {"note": "kept-until-then"}, lease=lease))
        eventually(lambda: self.gate.get(path).json.get("note") == "kept-until-then", "read")
        self.assertTrue(self.is_written("kept-until-then"))
        self.gate.config["cache"] = {"callData": {"data": False}}
        self.gate.write()
        self.gate.child.process.send_signal(signal.SIGHUP)
        eventually(lambda: self.gate.child.log("reloaded"), "reloaded")
        for note in ("in-memory-alone", "in-memory-again"):
            self.assert_done(self.send("PUT", path, {"note": note}, lease=lease))
            self.settle()
            self.assertEqual(self.gate.get(path).json["note"], note)
            self.assertFalse(self.is_written(note))

    def is_written(self, text):
        for folder, _, files in os.walk(os.path.join(self.gate.directory, "data")):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    if text.encode() in file.read():
                        return True
        return False


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
