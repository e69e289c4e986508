"""Control leases: one FullControl application instance per agent, whatever happens."""
import json
import os
import signal
import threading
import time
from datetime import datetime

import harness
from command_table import AGENT, BOSS, OTHER, WHO
from commanding import LONG, Floor, Listener, Speaker, control_of
from harness import eventually
from test_live import is_live
from test_resume import abort

CLIENTS = int(os.environ.get("CONTROL_CLIENTS", "50"))
ROUNDS = int(os.environ.get("CONTROL_ROUNDS", "5"))
RESERVED = "2009"

PROFILES = {  # who may attach how
    "FullControl": {"floor", "boss"},
    "CallRecorder": {"recorder"},
    "MonitorOnly": {"looker", "floor", "boss", "recorder", "operator"},
}


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Leases(Floor):
    """At rest: what is granted, refused, told, written down."""
    gateway_options = dict(Floor.gateway_options, control={
        "ttlMs": LONG, "reserved": [{"agent": RESERVED, "application": "Agent Desktop"}]})

    def setUp(self):
        super().setUp()
        self.sim.admin("POST", "/agents/" + WHO, {"loggedIn": True, "ready": True})
        for agent in (WHO, OTHER, BOSS):
            self.send("DELETE", control_of(agent) + "/reservation", None, "operator")
        self.no_control()

    def put(self, agent, who="floor", profile="FullControl", **more):
        return self.send("PUT", control_of(agent), {"profile": profile}, who, **more)

    def ready(self, lease, who="floor", agent=WHO):
        return self.send("PUT", "/v1/agents/%s/readiness" % agent, {"ready": True}, who, lease=lease)

    def control(self, agent=WHO, who="looker"):
        """As the agent's resource says, and as its own resource says."""
        answer = self.gate.get(control_of(agent), who)
        self.assertEqual(answer.status, 200, answer)
        return self.gate.get("/v1/agents/" + agent, who).json["control"], answer.json

    def assert_held_by(self, answer, application):
        holder = self.assert_problem(answer, 409, "control-held").json["holder"]
        self.assertEqual((holder["application"], holder["profile"]), (application, "FullControl"), holder)

    def lost(self, lease, *words, who="floor"):
        """The lease lets nothing through, and its holder is told why."""
        before = self.commands()
        problem = self.assert_problem(self.ready(lease, who), 409, "control-lost").json
        for word in words:
            self.assertIn(word, problem["detail"])
        self.assertEqual(self.commands(), before)

    def test_grant(self):
        start = time.time()
        answer = self.put(WHO)
        self.assertEqual((answer.status, answer.headers["cache-control"]), (200, "no-store"), answer)
        given = answer.json
        self.assertRegex(given["lease"], r"^[A-Za-z0-9_-]{43}$")
        self.assertIsInstance(given["fence"], int)
        self.assertEqual(given["profile"], "FullControl")
        self.assertAlmostEqual(moment(given["expiresAt"]), start + LONG / 1000, delta=60)
        eventually(lambda: self.control()[0], "shown")
        shown, own = self.control()
        self.assertEqual({k: shown[k] for k in ("profile", "application")}, {"profile": "FullControl", "application": "floor"})
        self.assertAlmostEqual(moment(shown["since"]), start, delta=60)
        self.assertAlmostEqual(moment(shown["expiresAt"]), start + LONG / 1000, delta=60)
        self.assertEqual(own["fence"], given["fence"])
        self.assertEqual([i["profile"] for i in own["instances"]], ["FullControl"])
        self.assertIsNone(own["reservation"])
        self.assertNotIn(given["lease"], json.dumps([shown, own]))
        self.assert_done(self.ready(given["lease"]))
        self.assert_problem(self.gate.get(control_of(WHO), "stranger"), 404, "not-found")
        self.assert_problem(self.gate.get(control_of("9999"), "looker"), 404, "not-found")
        self.assertEqual(self.gate.get(control_of(RESERVED), "stranger").body, self.gate.get(control_of("9999"), "stranger").body)

    def test_renewal(self):
        given = self.attach(WHO)
        again = self.put(WHO, lease=given["lease"])
        self.assertEqual((again.status, again.json["fence"], again.json["profile"]), (200, given["fence"], "FullControl"), again)
        self.assertGreaterEqual(moment(again.json["expiresAt"]), moment(given["expiresAt"]))
        self.assert_done(self.ready(given["lease"]))
        self.assertEqual(self.put(WHO, lease=given["lease"], profile="MonitorOnly").status, 409)
        self.assert_problem(self.put(WHO, lease="B" * 43), 409, "control-lost")
        self.assert_problem(self.put(OTHER, lease=given["lease"]), 409, "control-lost")
        self.assertIsNone(self.control(OTHER)[0])
        for lease in ("", "short", "x" * 44, "!" * 43, given["lease"] + "A"):
            self.assert_problem(self.put(WHO, lease=lease), 400, "bad-request")
        for body in ({}, {"profile": "fullcontrol"}, {"profile": 1}, {"profile": "FullControl", "more": 1}):
            self.assert_problem(self.send("PUT", control_of(WHO), body), 400, "bad-request")

    def test_release(self):
        first = self.attach(WHO)
        self.assertIn(self.send("DELETE", control_of(WHO)).status, (400, 403, 409))
        self.assert_done(self.ready(first["lease"]))
        self.release(WHO, first["lease"])
        eventually(lambda: self.control()[0] is None, "given back")
        self.lost(first["lease"])
        self.assert_problem(self.send("DELETE", control_of(WHO), lease=first["lease"]), 409, "control-lost")
        second = self.attach(WHO, "floor2")
        self.assertGreater(second["fence"], first["fence"])
        self.assertNotEqual(second["lease"], first["lease"])
        self.assertIn(self.ready(first["lease"]).status, (403, 409))

    def test_held(self):
        given = self.attach(WHO)
        self.assert_held_by(self.put(WHO, "floor2"), "floor")
        self.assert_held_by(self.put(WHO, "boss"), "floor")
        # another tab of the same application is another instance
        self.assert_held_by(self.put(WHO), "floor")
        with Speaker(self.gate.port, "floor") as tab:
            answer = tab.command("PUT", control_of(WHO), {"profile": "FullControl"})
            self.assertEqual((answer["status"], answer["body"]["type"]), (409, "/problems/control-held"), answer)
            self.assertEqual(answer["body"]["holder"]["application"], "floor")
        self.assert_done(self.ready(given["lease"]))
        # one lease, used by another application: it is not its
        other = self.attach(OTHER, "floor2")
        self.assertEqual(self.control(OTHER)[0]["application"], "floor2")
        self.assertGreater(other["fence"], given["fence"])

    def test_profiles(self):
        held = self.attach(WHO)["lease"]
        for profile, allowed in PROFILES.items():
            for who in ("looker", "floor", "boss", "recorder", "operator", "campaigner"):
                with self.subTest(profile=profile, who=who):
                    answer = self.put(WHO, who, profile)
                    if who not in allowed:
                        self.assert_problem(answer, 403, "forbidden")
                    elif profile == "FullControl":
                        self.assert_held_by(answer, "floor")
                    else:
                        self.assertEqual((answer.status, answer.json["profile"]), (200, profile), answer)
                        before = self.commands()
                        self.assertIn(self.ready(answer.json["lease"], who).status, (403, 409))
                        self.assertEqual(self.commands(), before)
        profiles = sorted(i["profile"] for i in self.control()[1]["instances"])
        self.assertEqual(profiles, ["CallRecorder", "FullControl"] + ["MonitorOnly"] * 5)
        self.assert_done(self.ready(held))

    def test_recorders_record_and_nothing_else(self):
        call = self.incoming(WHO, answer=True)
        lease = self.attach(WHO, "recorder", "CallRecorder")["lease"]
        path = "/v1/calls/%s/recording" % call
        for lease_or_none in (lease, None):
            self.assert_done(self.send("POST", path, {"state": "start"}, "recorder", lease=lease_or_none))
            self.assertEqual(self.connection(call, "5" + WHO)["recording"], "RECORDING")
            self.assert_done(self.send("POST", path, {"state": "stop"}, "recorder", lease=lease_or_none))
            self.assertEqual(self.connection(call, "5" + WHO)["recording"], "NOT_RECORDING")
        before = self.commands()
        self.assert_problem(self.send("POST", path, {"state": "start"}), 403, "control-required")
        for path in ("drop", "hold", "answer"):
            self.assert_problem(self.send("POST", "/v1/calls/%s/%s" % (call, path), {}, "recorder", lease=lease), 403, "forbidden")
        self.assertEqual(self.commands(), before)

    def test_configured_reservation(self):
        self.assert_held_by(self.put(RESERVED), "Agent Desktop")
        self.assertEqual(self.put(RESERVED, "looker", "MonitorOnly").status, 200)
        self.assertEqual(self.put(RESERVED, "recorder", "CallRecorder").status, 200)
        shown, own = self.control(RESERVED)
        self.assertEqual((shown["application"], shown["reserved"]), ("Agent Desktop", True), shown)
        self.assertEqual(own["reservation"], {"application": "Agent Desktop", "configured": True})
        before = self.commands()
        self.assertIn(self.send("PUT", "/v1/agents/%s/readiness" % RESERVED, {"ready": True}).status, (403, 409))
        self.assertEqual(self.commands(), before)
        self.assertEqual(self.send("DELETE", control_of(RESERVED) + "/reservation", None, "operator").status, 409)
        self.assert_held_by(self.put(RESERVED), "Agent Desktop")

    def test_reservation_by_an_operator(self):
        path = control_of(WHO) + "/reservation"
        held = self.attach(WHO)
        for who in ("floor", "boss", "recorder", "looker"):
            self.assert_problem(self.send("PUT", path, {"application": "Agent Desktop"}, who), 403, "forbidden")
        self.assert_done(self.ready(held["lease"]))
        self.assert_done(self.send("PUT", path, {"application": "Agent Desktop", "reason": "desk 12 moves"}, "operator"))
        self.lost(held["lease"], "Agent Desktop")
        self.assert_held_by(self.put(WHO), "Agent Desktop")
        self.assertEqual(self.put(WHO, "looker", "MonitorOnly").status, 200)
        self.assertEqual(self.put(WHO, "recorder", "CallRecorder").status, 200)
        self.assertEqual(self.control()[1]["reservation"], {"application": "Agent Desktop", "configured": False})
        self.assert_done(self.send("DELETE", path, {"reason": "moved"}, "operator"))
        self.assert_done(self.ready(self.attach(WHO)["lease"]))
        whats = [e["what"] for e in self.audit("?limit=50&agent=" + WHO)]
        self.assertIn("reserve", whats)
        self.assertIn("unreserve", whats)

    def test_force(self):
        held = self.attach(WHO)
        path = control_of(WHO) + "?force=true"
        for who in ("floor", "floor2", "boss", "recorder", "looker"):
            answer = self.send("DELETE", path, None, who)
            self.assertIn(answer.status, (400, 403, 409), answer)
        self.assert_done(self.ready(held["lease"]))
        listener = Listener(self.gate.port, "floor", types=["gateway.control"])
        try:
            place = listener.place()
            self.assert_done(self.send("DELETE", path, {"reason": "shift change"}, "operator"))
            self.lost(held["lease"], "operator", "shift change")
            event = listener.wait_for(place, "gateway.control", lambda e: "shift change" in json.dumps(e))
            self.assertEqual(event["agent"], WHO, event)
            self.assertTrue(event["subject"].startswith(AGENT), event)
            self.assertIn("floor", json.dumps(event["data"]))
        finally:
            listener.stop()
        entry = self.audit("?limit=10&agent=%s&what=force" % WHO)[0]
        self.assertEqual((entry["application"], entry["by"], entry["reason"], entry["fence"]),
                         ("floor", "operator", "shift change", held["fence"]), entry)
        self.assertEqual(self.send("DELETE", path, None, "operator").status, 409)
        self.assertGreater(self.attach(WHO, "floor2")["fence"], held["fence"])

    def test_force_tells_the_socket(self):
        with Speaker(self.gate.port, "floor") as agent:
            agent.ws.subscribe("a", types=["gateway.control"])
            lease = agent.attach(WHO)
            self.assert_done(self.send("DELETE", control_of(WHO) + "?force=true", {"reason": "lunch"}, "operator"))
            answer = agent.command("PUT", AGENT + "/readiness", {"ready": True}, lease=lease["lease"])
            self.assertEqual((answer["status"], answer["body"]["type"]), (409, "/problems/control-lost"), answer)
            self.assertIn("lunch", answer["body"]["detail"])
            while not any("lunch" in json.dumps(e) for e in agent.events):
                agent.events.append(agent.ws.receive_op("event")["event"])
            self.assertIn(agent.command("PUT", AGENT + "/readiness", {"ready": True})["status"], (403, 409))

    def test_transfer(self):
        held = self.attach(WHO)
        path = control_of(WHO) + "/transfer"
        for who in ("floor", "boss", "recorder", "looker"):
            self.assert_problem(self.send("POST", path, {"application": "floor2"}, who), 403, "forbidden")
        answer = self.send("POST", path, {"application": "floor2", "reason": "training"}, "operator")
        self.assert_done(answer)
        self.assertEqual(answer.json["application"], "floor2")
        self.lost(held["lease"], "floor2", "training")
        self.assert_held_by(self.put(WHO), "floor2")
        self.assert_held_by(self.put(WHO, "boss"), "floor2")
        taken = self.attach(WHO, "floor2")
        self.assertGreater(taken["fence"], held["fence"])
        self.assert_done(self.ready(taken["lease"], "floor2"))
        self.assert_held_by(self.put(WHO, "floor2"), "floor2")
        entry = self.audit("?limit=10&agent=%s&what=transfer" % WHO)[0]
        self.assertEqual((entry["by"], entry["reason"]), ("operator", "training"), entry)

    def test_events(self):
        """Changes are told to whoever sees the agent, without the secret."""
        watching, stranger = Listener(self.gate.port, "looker", types=["gateway.control"]), Listener(self.gate.port, "stranger")
        try:
            lease = self.attach(WHO)["lease"]
            granted = watching.wait_for(0, "gateway.control", lambda e: e.get("agent") == WHO)
            place = watching.place()
            self.release(WHO, lease)
            watching.wait_for(place, "gateway.control", lambda e: e.get("agent") == WHO)
            # an event of its own agent comes after what it must not see
            self.attach("2006", "stranger")
            stranger.wait_for(0, "gateway.control", lambda e: e.get("agent") == "2006")
            self.assertEqual({e.get("agent") for e in stranger.events if e["type"] == "gateway.control"}, {"2006"})
            self.assertIn("floor", json.dumps(granted["data"]))
            self.assertNotIn(lease, json.dumps(watching.events))
        finally:
            watching.stop()
            stranger.stop()

    def test_audit(self):
        lease = self.attach(WHO)["lease"]
        self.put(WHO, "floor2")
        self.put(WHO, lease="B" * 43)
        self.ready(None, "floor2")
        self.ready(lease)
        self.release(WHO, lease)
        entries = self.audit("?limit=100&agent=" + WHO)
        by_what = {}
        for entry in reversed(entries):
            by_what[entry["what"]] = entry
            self.assertRegex(entry["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertEqual(entry["agent"], WHO)
        self.assertLessEqual({"grant", "refuse", "renewalFailed", "refused", "command", "release"}, set(by_what), sorted(by_what))
        self.assertEqual((by_what["refuse"]["application"], by_what["refuse"]["profile"]), ("floor2", "FullControl"))
        self.assertEqual(by_what["grant"]["fence"], by_what["release"]["fence"])
        self.assertEqual(by_what["command"]["fence"], by_what["grant"]["fence"])
        self.assertEqual((by_what["command"]["outcome"], by_what["command"]["door"]), ("done", "http"))
        self.assertNotIn(lease, json.dumps(entries))
        for who in ("floor", "boss", "looker", "recorder"):
            self.assert_problem(self.gate.get("/v1/audit", who), 403, "forbidden")
        self.assert_problem(self.gate.get("/v1/audit", None), 401)

    def test_audit_pages(self):
        for _ in range(3):
            self.release(WHO, self.attach(WHO)["lease"])
        everything = self.audit("?limit=1000")
        self.assertGreaterEqual(len(everything), 6)
        seen, path = [], "/v1/audit?limit=4"
        while path:
            answer = self.gate.get(path, "operator")
            self.assertLessEqual(len(answer.json["items"]), 4)
            seen += answer.json["items"]
            link = answer.headers.get("link")
            path = link[1:link.index(">")] if link else None
        self.assertEqual(seen[:len(everything)], everything)
        self.assertEqual({e["what"] for e in self.audit("?what=grant&limit=1000")}, {"grant"})
        self.assertEqual({e["application"] for e in self.audit("?application=floor&limit=1000")}, {"floor"})
        for query in ("?limit=0", "?limit=1001", "?limit=x", "?before=x", "?since=yesterday"):
            self.assert_problem(self.gate.get("/v1/audit" + query, "operator"), 400, "bad-request")


class Time(Floor):
    """Leases end by themselves, and only by themselves."""
    ttl, grace = 4000, 5000
    gateway_options = dict(Floor.gateway_options, control={"ttlMs": ttl, "graceMs": grace})

    def shown(self, agent=WHO):
        return self.gate.get("/v1/agents/" + agent, "looker").json["control"]

    def ready(self, lease):
        return self.send("PUT", AGENT + "/readiness", {"ready": True}, lease=lease)

    def gone(self, agent=WHO):
        eventually(lambda: self.shown(agent) is None, "ended")

    def setUp(self):
        super().setUp()
        self.gone()

    def test_expires(self):
        listener = Listener(self.gate.port, types=["gateway.control"])
        try:
            given = self.attach(WHO)
            place, sent, passed = listener.place(), 0, 0
            before = self.commands()
            while True:  # commands all the time, over its end
                answer = self.ready(given["lease"])
                sent += 1
                if answer.status != 204:
                    break
                passed += 1
            problem = self.assert_problem(answer, 409, "control-lost").json
            self.assertIn("expired", problem["detail"])
            self.gone()
            for _ in range(5):
                self.assert_problem(self.ready(given["lease"]), 409, "control-lost")
            self.assertEqual(self.commands() - before, passed, "of %d" % sent)
            self.assert_problem(self.send("PUT", control_of(WHO), {"profile": "FullControl"}, lease=given["lease"]), 409, "control-lost")
            listener.wait_for(place, "gateway.control", lambda e: "xpire" in json.dumps(e["data"]))
        finally:
            listener.stop()
        entry = self.audit("?limit=10&what=expire&agent=" + WHO)[0]
        self.assertEqual((entry["application"], entry["fence"]), ("floor", given["fence"]), entry)
        self.assertGreater(self.attach(WHO, "floor2")["fence"], given["fence"])

    def keep(self, act):
        """act() every so often, for well longer than a lease lives."""
        end = time.monotonic() + 1.6 * self.ttl / 1000
        while time.monotonic() < end:
            act()
            time.sleep(0.1)

    def test_renewed_by_request(self):
        given = self.attach(WHO)
        self.keep(lambda: self.assertEqual(
            self.send("PUT", control_of(WHO), {"profile": "FullControl"}, lease=given["lease"]).json["fence"], given["fence"]))
        self.assert_done(self.ready(given["lease"]))
        self.release(WHO, given["lease"])

    def test_renewed_by_message(self):
        given = self.attach(WHO)
        with Speaker(self.gate.port, "floor") as agent:
            def renew():
                answer = agent.ask(op="renew", lease=given["lease"])
                self.assertEqual((answer["status"], answer["body"]["fence"]), (200, given["fence"]), answer)
            self.keep(renew)
            self.assert_done(self.ready(given["lease"]))
            self.assertEqual(agent.ask(op="renew", lease="B" * 43)["status"], 409)
        self.gone()  # renewed is not bound

    def test_bound(self):
        """As long as its connection lives; a short break does not end it, a long one does."""
        with Speaker(self.gate.port, "floor") as agent:
            given = agent.attach(WHO)
            self.keep(lambda: self.assertEqual(self.shown()["application"], "floor"))
            self.assertEqual(agent.command("PUT", AGENT + "/readiness", {"ready": True})["status"], 204)
            abort(agent.ws.sock)
        with Speaker(self.gate.port, "floor") as again:
            answer = again.ask(op="bind", lease=given["lease"])
            self.assertEqual((answer["status"], answer["body"]["fence"], answer["body"]["agent"]), (200, given["fence"], WHO), answer)
            self.keep(lambda: self.assertEqual(self.shown()["application"], "floor"))
            self.assertEqual(again.command("PUT", AGENT + "/readiness", {"ready": True})["status"], 204)
            abort(again.ws.sock)
        self.gone()
        before = self.commands()
        self.assert_problem(self.ready(given["lease"]), 409, "control-lost")
        with Speaker(self.gate.port, "floor") as late:
            self.assertEqual(late.ask(op="bind", lease=given["lease"])["status"], 409)
        self.assertEqual(self.commands(), before)

    def test_bound_elsewhere(self):
        """Binding moves: the connection that it was bound to has nothing to say any more."""
        first, second = Speaker(self.gate.port, "floor"), Speaker(self.gate.port, "floor")
        given = first.attach(WHO)
        self.assertEqual(second.ask(op="bind", lease=given["lease"])["status"], 200)
        abort(first.ws.sock)
        self.keep(lambda: self.assertEqual(self.shown()["application"], "floor"))
        self.assertEqual(second.command("PUT", AGENT + "/readiness", {"ready": True})["status"], 204)
        abort(second.ws.sock)
        self.gone()


class Silence(Floor):
    """A line that dies without a word."""
    gateway_options = dict(Floor.gateway_options, control={"ttlMs": LONG, "graceMs": 1000}, events={"heartbeatMs": 5000})

    def test_ends_the_lease(self):
        with Speaker(self.gate.port, "floor") as agent:
            agent.attach(WHO)  # and from here on it answers no ping, and does not hang up
            eventually(lambda: self.gate.get("/v1/agents/" + WHO, "looker").json["control"] is None, "ended")

    def test_an_answer_is_a_sign_of_life(self):
        with Speaker(self.gate.port, "floor") as agent:
            given = agent.attach(WHO)
            end = time.monotonic() + 12  # more than twice what it may be silent
            while time.monotonic() < end:
                self.assertEqual(agent.ask(op="renew", lease=given["lease"])["status"], 200)
                time.sleep(0.2)
            self.assertEqual(agent.command("PUT", AGENT + "/readiness", {"ready": True})["status"], 204)
            agent.command("DELETE", control_of(WHO), lease=given["lease"])


class LongGrace(Floor):
    """A break in the connection that is much shorter than the grace, though longer than what was left of the lease."""
    gateway_options = dict(Floor.gateway_options, control={"ttlMs": 1500, "graceMs": LONG})

    def test_survives(self):
        with Speaker(self.gate.port, "floor") as agent:
            given = agent.attach(WHO)
            abort(agent.ws.sock)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            self.assertIn(self.send("PUT", control_of(WHO), {"profile": "FullControl"}, "floor2").status, (409,))
            time.sleep(0.1)
        with Speaker(self.gate.port, "floor") as again:
            self.assertEqual(again.ask(op="bind", lease=given["lease"])["status"], 200)
            self.assertEqual(again.command("PUT", AGENT + "/readiness", {"ready": True})["status"], 204)
            again.command("DELETE", control_of(WHO), lease=given["lease"])


class Restarts(Floor):
    gateway_options = dict(Floor.gateway_options, control={"ttlMs": LONG, "graceMs": LONG})

    def settle(self):
        eventually(lambda: is_live(self.gate, *self.watchers), "live")
        eventually(lambda: self.gate.metric("consumer_queued_bytes") == 0, "applied")

    def restart(self, number=signal.SIGKILL):
        self.gate.child.end(number)
        self.gate.start()
        self.settle()

    def ready(self, lease):
        return self.send("PUT", AGENT + "/readiness", {"ready": True}, lease=lease)

    def test_keeps_leases(self):
        with Speaker(self.gate.port, "floor") as agent:
            bound = agent.attach(OTHER)
            given = self.attach(WHO)
            watching = self.attach(WHO, "looker", "MonitorOnly")
            self.assert_done(self.send("PUT", control_of(BOSS) + "/reservation", {"application": "Agent Desktop"}, "operator"))
            self.assert_done(self.send("POST", control_of("2005") + "/transfer", {"application": "floor2"}, "operator")
                             if self.attach("2005") else None)
            known = self.audit("?limit=1000")
            self.restart()
        for number in (signal.SIGKILL, signal.SIGTERM):
            for lease, agent in ((given, WHO), (bound, OTHER)):
                problem = self.assert_problem(self.send("PUT", control_of(agent), {"profile": "FullControl"}, "floor2"), 409).json
                self.assertEqual(problem["holder"]["application"], "floor")
                renewed = self.send("PUT", control_of(agent), {"profile": "FullControl"}, lease=lease["lease"])
                self.assertEqual((renewed.status, renewed.json["fence"]), (200, lease["fence"]), renewed)
            self.assert_done(self.ready(given["lease"]))
            self.assertEqual({i["profile"] for i in self.gate.get(control_of(WHO)).json["instances"]}, {"FullControl", "MonitorOnly"})
            for agent, application in ((BOSS, "Agent Desktop"), ("2005", "floor2")):
                problem = self.assert_problem(self.send("PUT", control_of(agent), {"profile": "FullControl"}), 409, "control-held").json
                self.assertEqual(problem["holder"]["application"], application)
            numbers = [json.dumps(e, sort_keys=True) for e in self.audit("?limit=1000")]
            for entry in known:
                self.assertIn(json.dumps(entry, sort_keys=True), numbers)
            self.restart(number)
        fence = max(given["fence"], bound["fence"], watching["fence"])
        self.release(WHO, given["lease"])
        self.assertGreater(self.attach(WHO)["fence"], fence)
        self.no_control()
        self.send("DELETE", control_of(BOSS) + "/reservation", None, "operator")

    def test_what_is_over_is_over(self):
        """A lease that ran out while the gateway was down."""
        self.gate.config["control"]["ttlMs"] = 300
        self.gate.write()
        self.restart()
        given = self.attach(WHO)
        self.gate.kill()
        time.sleep(max(0.0, moment(given["expiresAt"]) - time.time()) + 0.05)
        self.gate.start()
        self.settle()
        self.assertIsNone(self.gate.get("/v1/agents/" + WHO).json["control"])
        before = self.commands()
        self.assert_problem(self.ready(given["lease"]), 409, "control-lost")
        self.assertEqual(self.commands(), before)
        over = "?limit=1000&what=expire&agent=" + WHO  # over at once; written when the disk comes to it, maybe not as the last
        eventually(lambda: [e["fence"] for e in self.audit(over)].count(given["fence"]) == 1, "written")
        self.gate.config["control"]["ttlMs"] = LONG
        self.gate.write()
        self.restart()


class Racer(threading.Thread):
    """Asks for FullControl again and again; whoever gets it commands once and gives it back."""

    def __init__(self, race, number):
        super().__init__(daemon=True)
        self.race, self.number, self.failure = race, number, None
        self.application = "floor" if number % 3 else "floor2"
        self.on_socket = number % 2 == 1
        self.speaker, self.asking = None, None

    def say(self, method, path, body, lease=None):
        """(status, body) by whichever door is this client's; OSError and the like when the gateway is away."""
        if not self.on_socket:
            answer = self.race.case.send(method, path, body, self.application, lease=lease)
            return answer.status, answer.json if answer.body else None
        try:
            if self.speaker is None:
                self.speaker = Speaker(self.race.case.gate.port, self.application, timeout=30)
            answer = self.speaker.command(method, path, body, **({"lease": lease} if lease else {}))
        except BaseException:
            if self.speaker is not None:
                self.speaker.ws.sock.close()
                self.speaker = None
            raise
        return answer["status"], answer.get("body")

    def insist(self, method, path, body, lease, statuses):
        """Until it is answered so; while the gateway starts, it is not yet."""
        def attempt():
            try:
                status, answer = self.say(method, path, body, lease)
            except AssertionError:
                raise
            except Exception:
                return None
            assert status in statuses or status >= 500, (method, path, status, answer)
            return status if status in statuses else None
        return eventually(attempt, "%s %s" % (method, path))

    def run(self):
        try:
            while not self.race.over.is_set():
                self.attempt()
        except BaseException as failure:
            self.failure = failure
            self.race.over.set()
        finally:
            if self.speaker is not None:
                self.speaker.ws.sock.close()

    def attempt(self):
        self.asking = self.race.generation
        try:
            status, answer = self.say("PUT", control_of(WHO), {"profile": "FullControl"})
        except Exception:  # it is being killed: who got what is seen later
            self.asking = None
            self.race.over.wait(0.02)
            return
        if status != 200:
            self.asking = None
            self.race.refused(status, answer)
            self.race.over.wait(0.01)
            return
        self.race.enter(self, answer)
        self.asking = None
        self.insist("PUT", AGENT + "/activity-code", {"activityCode": str(answer["fence"])}, answer["lease"], (204,))
        self.race.leave(self)
        # 409: a release whose answer was lost with the gateway was done
        self.insist("DELETE", control_of(WHO), None, answer["lease"], (200, 204, 409))
        self.race.over.wait(0.02)


class Race:
    """What the clients of a round know together."""

    def __init__(self, case, wins):
        self.case, self.wins, self.lock, self.over, self.generation = case, wins, threading.Lock(), threading.Event(), 0
        self.holder, self.fences, self.leases, self.refusals, self.wrong = None, [], [], 0, []

    def enter(self, racer, given):
        with self.lock:
            if self.holder is not None:
                self.wrong.append("two holders: %s and %s" % (self.holder, racer.number))
            self.holder = racer.number
            if self.fences and given["fence"] <= self.fences[-1]:
                self.wrong.append("fence %d after %d" % (given["fence"], self.fences[-1]))
            self.fences.append(given["fence"])
            self.leases.append((racer.application, given["lease"]))

    def leave(self, racer):
        with self.lock:
            if self.holder != racer.number:
                self.wrong.append("%s was not the only holder" % racer.number)
            self.holder = None
            if len(self.fences) >= self.wins:
                self.over.set()

    def refused(self, status, answer):
        holder = answer.get("holder") if isinstance(answer, dict) else None
        with self.lock:
            self.refusals += 1
            if status >= 500:  # it is going down, or starting
                return
            if status != 409 or not holder or holder["application"] not in ("floor", "floor2"):
                self.wrong.append("refused with %s %s" % (status, answer))


class TheRace(Restarts):
    """Many clients, two doors, kills in between: never two holders, fences only grow, every refusal names the holder."""
    test_keeps_leases = test_what_is_over_is_over = None  # those of the base class

    def test_race(self):
        fences = []
        for number in range(ROUNDS):
            with self.subTest(round=number):
                fences += self.race(fences)
        self.assertGreaterEqual(len(fences), 3 * ROUNDS)

    def race(self, fences):
        race = Race(self, wins=6)
        race.fences = fences[-1:]
        race.wins += len(race.fences)
        racers = [Racer(race, i) for i in range(CLIENTS)]
        for racer in racers:
            racer.start()
        eventually(lambda: race.over.is_set() or len(race.fences) >= 3, "the first holders", 120)
        self.gate.kill()
        killed = time.time()
        race.generation += 1
        self.gate.start()
        self.free_the_forgotten(race, racers, killed)
        eventually(race.over.is_set, "enough holders", 300)
        for racer in racers:
            racer.join(harness.BOUND * 2)
            self.assertFalse(racer.is_alive())
        for racer in racers:
            if racer.failure:
                raise racer.failure
        self.assertEqual(race.wrong[:5], [])
        self.assertGreater(race.refusals, 0)
        won = race.fences[len(fences[-1:]):]
        self.settle()
        self.no_stale_lease_acts(race)
        entries = [e for e in self.audit("?limit=1000&agent=" + WHO) if e["what"] == "command" and e["outcome"] == "done"]
        self.assertLessEqual({e["fence"] for e in entries[:len(won)]}, set(fences) | set(won))
        return won

    def free_the_forgotten(self, race, racers, killed):
        """A grant whose answer was lost with the gateway has an owner who does not know: an operator ends it."""
        eventually(lambda: all(r.asking in (None, race.generation) for r in racers), "all have noticed")
        shown = self.gate.get(control_of(WHO), "operator").json
        with race.lock:
            known = set(race.fences)
        if shown.get("application") and shown["fence"] not in known and moment(shown["since"]) < killed:
            self.assert_done(self.send("DELETE", control_of(WHO) + "?force=true", None, "operator"))

    def no_stale_lease_acts(self, race):
        self.no_control()
        before = self.commands()
        for application, lease in race.leases:
            answer = self.send("PUT", AGENT + "/activity-code", {"activityCode": "0"}, application, lease=lease)
            self.assert_problem(answer, 409, "control-lost")
        self.assertEqual(self.commands(), before)


if __name__ == "__main__":
    harness.main()
