"""The capacity meter: who is logged in and how many contacts came within the hour, against limits; what happens at them."""
import json
import signal
import unittest

import harness
from commanding import LONG, Floor, Listener, Speaker, is_live, line, of, position, together
from harness import PASSWORD, eventually
from websocket import WebSocket

SEATED = ("2001", "2002", "2003")
# how an agent is logged in through the catalogue: all that the contract has
LOGINS = ("AgentTerminalService/Login", "AgentService/Login", "SessionService/LoginAgent", "SessionService/LoginAgentToState",
          "SessionService/LoginAgentToTerminal")


class Metered(Floor):
    """Three of twelve agents are logged in, five may be; of contacts, 20 in an hour."""
    gateway_options = dict(Floor.gateway_options, capacity={"maxAgents": 5, "maxContactsPerHour": 20},
                           control={"ttlMs": LONG})
    seated = SEATED

    def setUp(self):
        super().setUp()
        self.listener = Listener(self.gate.port, "supervisor", types=["gateway.capacity"])
        self.addCleanup(self.listener.stop)
        eventually(lambda: self.capacity()["loggedInAgents"]["value"] == len(SEATED), "three agents")
        eventually(lambda: self.gate.metric("capacity_agents") == len(SEATED), "three agents")
        eventually(lambda: self.told_level() == "ok", "the level of the test before is over")

    def told_level(self):
        """As the log has it: what the next change is told against."""
        with WebSocket(self.gate.port) as ws:
            level, told, last = "ok", 0, ws.hello["seq"]
            ws.subscribe("log", since="%s-0" % ws.hello["epoch"], types=["gateway.capacity"])
            while told < last:  # the last of all may be one that this token does not see
                ws.send({"op": "ping"})
                while (message := ws.receive_op("event", "pong"))["op"] == "event":
                    level = message["event"]["data"]["loggedInAgents"]["level"]
                told = message["seq"]
        return level

    def capacity(self):
        answer = self.gate.get("/v1/capacity")
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def contacts(self):
        return self.capacity()["contactsPerHour"]["value"]

    def log_in(self, agent, lease, **more):
        return self.send("POST", of("agents", agent) + "/login", {"terminal": line(agent), "password": PASSWORD}, lease=lease, **more)

    def fill(self):
        """Two more agents, so that nobody may begin."""
        for agent in ("2004", "2005"):
            lease = self.attach(agent)["lease"]
            self.assert_done(self.log_in(agent, lease))
            self.release(agent, lease)

    def assert_exhausted(self, answer):
        self.assert_problem(answer, 503, "capacity-exhausted")
        self.assertGreater(int(answer.headers["retry-after"]), 0)
        self.assertEqual(answer.json["outcome"], "notDone")


class Agents(Metered):
    def test_shape(self):
        capacity = self.capacity()
        self.assertEqual((capacity["topology"], capacity["enforce"], capacity["level"]), ("SIP", True, "ok"))
        self.assertEqual(capacity["loggedInAgents"], {"value": 3, "limit": 5, "warningAt": 4, "percent": 60, "level": "ok"})
        self.assertEqual(capacity["contactsPerHour"]["limit"], 20)
        self.assertEqual(capacity["contactsPerHour"]["warningAt"], 17)
        self.assertEqual(self.gate.metric("capacity_agents_limit"), 5)
        self.assertEqual(self.gate.metric("capacity_contacts_per_hour_limit"), 20)
        self.assertEqual(self.gate.metric("capacity_level"), 0)

    def test_warning_then_refusal_then_room_again(self):
        since = self.listener.place()
        self.fill()
        self.assertEqual(self.capacity()["loggedInAgents"]["value"], 5)
        self.assertEqual(self.capacity()["level"], "exhausted")
        told = self.listener.wait_for(since, "gateway.capacity", lambda e: e["data"]["level"] == "exhausted")
        self.assertEqual(told["subject"], "/v1/capacity")
        self.assertEqual(told["data"]["loggedInAgents"]["value"], 5)
        self.settle()
        lease, calls = self.attach("2006")["lease"], self.commands()
        refused = self.gate.metric("capacity_refusals_total")
        self.assert_exhausted(self.log_in("2006", lease))
        self.assertEqual(self.commands(), calls, "the upstream was called")
        self.assertEqual(self.gate.metric("capacity_refusals_total"), refused + 1)
        with Speaker(self.gate.port, "floor") as speaker:
            answer = speaker.command("POST", of("agents", "2006") + "/login", {"terminal": line("2006"), "password": PASSWORD},
                                     lease=lease)
            self.assertEqual((answer["status"], answer["body"]["type"]), (503, "/problems/capacity-exhausted"))
        self.assertEqual(self.commands(), calls, "the upstream was called")
        self.assertEqual([e["outcome"] for e in self.audit("?agent=2006&limit=2") if e["what"] == "refused"], ["notDone"] * 2)
        # whoever is there already works on
        own = self.attach("2001")["lease"]
        self.assert_done(self.send("PUT", of("agents", "2001") + "/readiness", {"ready": False}, lease=own))
        self.release("2001", own)
        # one goes, so that another may come
        since = self.listener.place()
        self.sim.admin("POST", "/agents/2005", {"loggedIn": False})
        eventually(lambda: self.capacity()["loggedInAgents"]["value"] == 4, "one has gone")
        self.listener.wait_for(since, "gateway.capacity", lambda e: e["data"]["level"] == "warning")
        self.assert_done(self.log_in("2006", lease))
        self.release("2006", lease)

    def test_every_login_of_the_catalogue_is_refused(self):
        self.fill()
        self.settle()
        agents = {a["loginId"]: a for a in self.gate.get("/v1/agents").json["items"]}
        self.assertEqual(agents["2007"]["loginStatus"], "LOGGED_OUT")
        lease, calls = self.attach("2007")["lease"], self.commands()
        terminal = {"terminalName": line("2007"), "terminalType": "AGENT", "provider": {"providerName": "Passive"}, "status": "IN_SERVICE"}
        for path in LOGINS:
            with self.subTest(path):
                body = self.gate.get("/v1/services/" + path).json
                example = fill(body["input"], terminal)
                answer = self.send("POST", "/v1/services/" + path, example, lease=lease)
                self.assert_exhausted(answer)
        self.assertEqual(self.commands(), calls, "the upstream was called")
        self.release("2007", lease)

    def test_of_many_at_once_no_more_than_there_is_room_for(self):
        wanted = ["2004", "2005", "2006", "2007", "2008", "2009"]
        leases = {a: self.attach(a)["lease"] for a in wanted}
        self.sim.latency(50)
        answers = together(len(wanted), lambda i: self.log_in(wanted[i], leases[wanted[i]]))
        self.sim.latency(0)
        self.assertEqual(sorted(a.status for a in answers), [204, 204, 503, 503, 503, 503], answers)
        self.settle()
        self.assertEqual(sum(a["loggedIn"] for a in self.sim.state()["agents"]), 5)
        for agent, lease in leases.items():
            self.release(agent, lease)

    def test_one_after_the_other_before_any_event(self):
        """A login counts from its reply on, however late its event comes."""
        wanted = ["2004", "2005", "2006"]
        leases = {a: self.attach(a)["lease"] for a in wanted}
        self.settle()
        self.sim.admin("POST", "/notify", {"delayMs": 5000})
        self.addCleanup(self.sim.admin, "DELETE", "/notify")
        for agent in wanted[:2]:
            self.assert_done(self.log_in(agent, leases[agent]))
        self.assert_exhausted(self.log_in("2006", leases["2006"]))
        self.sim.admin("DELETE", "/notify")
        self.settle()
        self.assertEqual(self.capacity()["loggedInAgents"]["value"], 5)
        for agent, lease in leases.items():
            self.release(agent, lease)

    def test_not_enforced(self):
        self.fill()
        self.settle()
        self.gate.config["capacity"]["enforce"] = False
        self.gate.write()
        self.gate.child.process.send_signal(signal.SIGHUP)
        try:
            eventually(lambda: self.capacity()["enforce"] is False, "the new configuration")
            lease = self.attach("2006")["lease"]
            self.assert_done(self.log_in("2006", lease))
            self.release("2006", lease)
            self.assertEqual(self.capacity()["loggedInAgents"]["percent"], 120)
            self.assertEqual(self.capacity()["level"], "exhausted")
        finally:
            self.gate.config["capacity"]["enforce"] = True
            self.gate.write()
            self.gate.child.process.send_signal(signal.SIGHUP)
            eventually(lambda: self.capacity()["enforce"] is True, "the old configuration")


def fill(schema, terminal):
    """A body by its schema: the agent 2007, its terminal, and of everything else the least."""
    body = {}
    for name, member in schema.get("properties", {}).items():
        if name in ("agentTerminal", "terminal"):
            body[name] = terminal
        elif name == "agent":
            body[name] = {"agentLoginId": "2007", "userName": "agent2007", "agentType": "Agent"}
        elif name in ("agentId", "agentLoginId"):
            body[name] = "2007"
        elif name in ("password", "agentPassword"):
            body[name] = PASSWORD
        elif name == "initialState":
            body[name] = 0 if "integer" in json.dumps(member.get("type", "")) else "NOT_READY"
    return body


class Restart(Metered):
    def test_each_counts_once_and_outlives_a_kill(self):
        before = self.contacts()
        first = self.incoming(position("2001"))
        self.assertEqual(self.contacts(), before + 1)
        lease = self.attach("2001")["lease"]
        self.assert_done(self.send("POST", of("calls", first) + "/answer", {}, lease=lease))
        self.settle()
        self.assertEqual(self.contacts(), before + 1, "the same contact")
        answer = self.send("POST", of("calls", first) + "/transfer", {"to": position("2002"), "mode": "supervised"}, lease=lease)
        self.assertEqual(answer.status, 200, answer)
        self.settle()
        self.assertEqual(self.contacts(), before + 2, "a consult is a contact of its own")
        self.gate.get("/v1/calls", headers={"Cache-Control": "no-cache"})
        self.gate.get(of("calls", first), headers={"Cache-Control": "no-cache"})
        self.assertEqual(self.contacts(), before + 2, "reading again counts nothing")

        self.gate.kill()
        self.sim.admin("POST", "/calls", {"to": position("2003")})
        self.gate.start()
        eventually(lambda: self.contacts() == before + 3, "what was there before is not new, what came meanwhile is")
        eventually(lambda: is_live(self.gate, "supervisor"), "live")
        self.assertEqual(self.contacts(), before + 3)
        self.assertEqual(self.capacity()["loggedInAgents"]["value"], 3)


class Contacts(Metered):
    def test_the_limit_refuses_agents(self):
        since, first = self.listener.place(), self.contacts()
        lease = self.attach("2004")["lease"]
        for i in range(20 - first):
            self.sim.admin("POST", "/calls/%s/end" % self.sim.admin("POST", "/calls", {"to": position("2001")})["contactId"])
        eventually(lambda: self.contacts() >= 20, "the limit")
        self.listener.wait_for(since, "gateway.capacity", lambda e: e["data"]["contactsPerHour"]["level"] == "exhausted")
        self.settle()
        calls, answer = self.commands(), self.log_in("2004", lease)
        self.assert_exhausted(answer)
        self.assertLessEqual(int(answer.headers["retry-after"]), 3620)
        self.assertEqual(self.commands(), calls)
        self.release("2004", lease)


del Metered, Floor

if __name__ == "__main__":
    harness.main()
