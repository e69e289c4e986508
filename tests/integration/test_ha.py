"""High availability: a second endpoint and the way there, switches that keep sessions and switches that lose them, and the breaker."""
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import tempfile
import time
import unittest

import harness
import storm
from commanding import Listener, call_command
from harness import CONTRACT, Gateway, Simulator, check_clean, eventually, exchange

CONSUMER = {"address": "127.0.0.1", "port": 0}
LONG = 3600000
AGENT = "/v1/agents/2001"
USERS = ("supervisor", "agent2001", "agent2002")


def url(port):
    return "http://127.0.0.1:%d/SOAOICCT/services" % port


def failover(gate, endpoint, who="operator", **more):
    return call_command(gate.port, "POST", "/v1/sessions/failover", who, dict({"endpoint": endpoint}, **more))


class Two(unittest.TestCase):
    """A campus and a remote node, each a contact centre of its own, fresh for every test."""

    def gateway(self, campus, rgn, **upstream):
        settings = dict({"heartbeatMs": LONG, "reconcileMs": LONG, "timeoutMs": 6000, "connectTimeoutMs": 4000, "loginsPerSecond": 100},
                        endpoints=[{"name": "campus", "url": url(campus.port)},
                                   {"name": "remote", "url": url(rgn.port), "role": "rgn"}], **upstream)
        gate = Gateway(campus, users=USERS, consumer=CONSUMER, upstream=settings)
        self.addCleanup(gate.stop)
        eventually(lambda: gate.metric("sessions_live") == len(USERS), "live")
        return gate

    def centre(self, **options):
        sim = Simulator(agents=6, **options)
        self.addCleanup(self.end, sim)
        return sim

    def end(self, sim):
        if sim.child.process.poll() is None:
            self.assertEqual(sim.counters()["violations"], 0, sim.counters()["violationMessages"])
        check_clean(sim.child, sim.child.end(), "cctsim")

    def endpoints(self, gate):
        return {e["name"]: e for e in gate.get("/v1/sessions", "operator").json["endpoints"]}

    def used(self, gate):
        answer = gate.get("/v1/sessions", "operator").json
        names = {i["endpoint"] for i in answer["items"]}
        self.assertEqual(names, {e["name"] for e in answer["endpoints"] if e["current"]})
        return names.pop()

    def live(self, gate):
        eventually(lambda: gate.metric("sessions_live") == len(USERS), "every session is live")

    # ---- by the operator ----

    def test_the_operator_moves_all_and_a_restart_keeps_it(self):
        campus, rgn = self.centre(), self.centre()
        gate = self.gateway(campus, rgn)
        self.assertEqual(rgn.counters()["total"], 0)
        listener = Listener(gate.port, types=["gateway.session"])
        answer = failover(gate, "rgn", reason="the campus burns")
        self.assertEqual((answer.status, answer.json), (200, {"endpoint": "remote", "role": "rgn", "changed": True}))
        self.assertEqual(self.used(gate), "remote")
        self.live(gate)
        for state in ("stale", "resynced"):
            for user in USERS:
                event = listener.wait_for(0, "gateway.session", lambda e, s=state, u=user: e["data"]["state"] == s and
                                          e["data"]["user"] == u)
                self.assertEqual(event["data"]["endpoint"], "remote")
        self.assertIn("failover to remote", listener.find(0, "gateway.session", lambda e: "reason" in e["data"])["data"]["reason"])
        listener.stop()
        # logged off where they were, logged in where they are, nothing asked for there that was made here
        eventually(lambda: campus.counters()["sessions"] == 0, "no session is left behind")
        self.assertEqual(rgn.counters()["logins"], len(USERS))
        self.assertEqual(rgn.calls("NotificationProducer.Unsubscribe"), 0)
        self.assertEqual(gate.get(AGENT).json["sync"], "live")
        entry = gate.get("/v1/audit?what=failover", "operator").json["items"]
        self.assertEqual([(e["object"], e["application"], e["reason"], e["outcome"]) for e in entry],
                         [("remote", "operator", "the campus burns", "done")])
        # once more is nothing
        again = failover(gate, "remote")
        self.assertEqual((again.status, again.json["changed"]), (200, False))
        self.assertEqual(rgn.counters()["logins"], len(USERS))
        self.assertEqual(gate.metric("session_failovers_total"), 1)
        asked = campus.counters()["total"]
        check_clean(gate.child, gate.child.end(), "cctgate")
        gate.start()
        self.live(gate)
        self.assertEqual(self.used(gate), "remote")
        self.assertEqual(campus.counters()["total"], asked, "a restart asks the campus nothing")
        self.assertEqual(failover(gate, "campus").json["changed"], True)
        self.live(gate)
        self.assertEqual(self.used(gate), "campus")

    def test_who_may_and_what_may_be_said(self):
        campus, rgn = self.centre(), self.centre()
        gate = self.gateway(campus, rgn)
        for who, body, status, pointer in (
                ("supervisor", {"endpoint": "rgn"}, 403, None), ("agent2001", {"endpoint": "rgn"}, 403, None),
                (None, {"endpoint": "rgn"}, 401, None), ("operator", {"endpoint": "moon"}, 400, "/endpoint"),
                ("operator", {}, 400, "/endpoint"), ("operator", {"endpoint": 7}, 400, "/endpoint"),
                ("operator", {"endpoint": ""}, 400, "/endpoint"), ("operator", {"endpoint": "x" * 300}, 400, "/endpoint"),
                ("operator", {"endpoint": "rgn", "now": True}, 400, "/now"),
                ("operator", {"endpoint": "rgn", "reason": 1}, 400, "/reason"), ("operator", ["rgn"], 400, ""),
                ("operator", "{", 400, None)):
            with self.subTest(who=who, body=body):
                answer = call_command(gate.port, "POST", "/v1/sessions/failover", who, body)
                self.assertEqual(answer.status, status, answer)
                if pointer is not None:
                    self.assertEqual(answer.json.get("pointer", ""), pointer, answer)
        self.assertEqual(exchange(gate.port, "GET", "/v1/sessions/failover", harness.bearer("operator")).status, 405)
        self.assertEqual(self.used(gate), "campus")
        self.assertEqual(rgn.counters()["total"], 0)

    def test_a_command_on_its_way_is_unknown_and_never_repeated(self):
        campus, rgn = self.centre(journal=True), self.centre(journal=True)
        gate = self.gateway(campus, rgn)
        agent = next(int(a["id"]) for a in campus.state()["agents"] if a["loggedIn"] and int(a["id"]) in (2001, 2002))
        harness.TOKENS["mover"] = ("mover-token", ["agent%d" % agent], ["controller"])
        # the token is not the running configuration's
        gate.config["tokens"].append({"application": "mover", "sha256": hashlib.sha256(b"mover-token").hexdigest(),
                                      "users": ["agent%d" % agent], "roles": ["controller"]})
        gate.write()
        gate.child.process.send_signal(signal.SIGHUP)
        path = "/v1/agents/%d" % agent
        lease = eventually(lambda: (lambda a: a.json["lease"] if a.status == 200 else None)(
            call_command(gate.port, "PUT", path + "/control", "mover", {"profile": "FullControl"})), "a lease")
        campus.fault("hang", "AgentTerminalService", "SetActivityCode", execute=True)
        connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=60)
        connection.request("PUT", path + "/activity-code", json.dumps({"activityCode": "once"}),
                           dict(harness.bearer("mover"), **{"Content-Type": "application/json", "Control-Lease": lease,
                                                            "Idempotency-Key": "k1"}))
        eventually(lambda: any("once" in k for k in campus.admin("GET", "/executed")), "it was carried out")
        self.assertEqual(failover(gate, "rgn").status, 200)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        connection.close()
        self.assertEqual((answer.status, body["outcome"]), (504, "unknown"))
        self.live(gate)
        repeated = call_command(gate.port, "PUT", path + "/activity-code", "mover", {"activityCode": "once"}, lease, key="k1")
        self.assertEqual((repeated.status, repeated.json["outcome"]), (504, "unknown"), "the key's outcome stands")
        self.assertFalse(any("once" in k for k in rgn.admin("GET", "/executed")))
        self.assertEqual([n for k, n in campus.admin("GET", "/executed").items() if "once" in k], [1])

    # ---- by an outage ----

    def test_a_set_outage_leads_there_and_nothing_leads_back(self):
        campus, rgn = self.centre(), self.centre()
        gate = self.gateway(campus, rgn, rgnAfterMs=300)
        rgn.fault("refuse")
        campus.stop()
        eventually(lambda: self.endpoints(gate)["campus"]["breaker"] != "closed", "the campus is away")
        eventually(lambda: gate.metric("session_failovers_total") == 0 and any(
            e["breaker"] != "closed" for e in self.endpoints(gate).values()), "both are away: nothing is gained by moving")
        rgn.no_faults()
        self.live(gate)
        self.assertEqual(self.used(gate), "remote")
        campus.start()
        # what would lead back has all the reason to: the remote node goes, the campus is there
        rgn.fault("refuse")
        eventually(lambda: exchange(gate.port, "GET", "/readyz").status == 503, "the remote node is away")
        rgn.no_faults()
        self.live(gate)
        self.assertEqual(self.used(gate), "remote")
        # all that is ever said there is that the sessions of before are over
        self.assertLessEqual(set(campus.counters()["operations"]), {"UserService.LogOffFromCCTServer"})
        entry = gate.get("/v1/audit?what=failover", "operator").json["items"]
        self.assertEqual([(e["object"], e.get("application"), e["reason"]) for e in entry], [("remote", None, "the campus was away")])

    def test_without_a_set_time_an_outage_leads_nowhere(self):
        campus, rgn = self.centre(), self.centre()
        gate = self.gateway(campus, rgn)
        campus.stop()
        eventually(lambda: exchange(gate.port, "GET", "/readyz").status == 503, "away")
        campus.start()
        self.live(gate)
        self.assertEqual(self.used(gate), "campus")
        self.assertEqual(rgn.counters()["total"], 0)


class Switches(unittest.TestCase):
    """One address, whatever stands behind it."""

    def start(self, topology, contract=CONTRACT, **upstream):
        self.sim = Simulator(agents=6)
        self.addCleanup(lambda: check_clean(self.sim.child, self.sim.child.end(), "cctsim"))
        self.gate = Gateway(self.sim, users=USERS, consumer=CONSUMER, contract=contract, upstream=dict(
            {"topology": topology, "heartbeatMs": LONG, "reconcileMs": LONG, "connectTimeoutMs": 4000, "timeoutMs": 5000}, **upstream))
        self.addCleanup(self.gate.stop)
        self.live()

    def live(self):
        eventually(lambda: self.gate.metric("sessions_live") == len(USERS), "every session is live")

    def away(self):
        self.sim.fault("refuse")
        eventually(lambda: exchange(self.gate.port, "GET", "/readyz").status == 503, "away")

    def subscriptions(self):
        return {s["id"] for s in self.sim.admin("GET", "/subscriptions")}

    def test_mission_critical_keeps_sessions_and_subscriptions(self):
        self.start("missionCritical")
        before, kept = self.sim.counters(), self.subscriptions()
        listener = Listener(self.gate.port, types=["gateway.session"])
        self.away()
        self.assertEqual(self.gate.get(AGENT).json["sync"], "stale")
        self.sim.no_faults()
        self.live()
        after = self.sim.counters()
        self.assertEqual(after["logins"], before["logins"])
        self.assertEqual(self.subscriptions(), kept)
        self.assertEqual(after["operations"]["NotificationProducer.Subscribe"], before["operations"]["NotificationProducer.Subscribe"])
        self.assertEqual(self.gate.metric("subscriptions_kept_total"), len(USERS))
        for user in USERS:
            listener.wait_for(0, "gateway.session", lambda e, u=user: e["data"]["state"] == "resynced" and e["data"]["user"] == u)
        listener.stop()
        # and its events still come
        place = Listener(self.gate.port, types=["cct.agent.property", "cct.terminal.property"])
        agent = next(a for a in self.sim.state()["agents"] if a["loggedIn"])
        self.sim.admin("POST", "/agents/" + agent["id"], {"ready": not agent["ready"]})
        eventually(lambda: place.events, "an event by the subscription that was kept")
        place.stop()

    def test_mission_critical_finds_out_what_was_not_kept(self):
        self.start("missionCritical")
        self.away()
        self.sim.admin("POST", "/sessions/kill", {"user": "agent2001", "silently": True})
        logins = self.sim.counters()["logins"]
        self.sim.no_faults()
        self.live()
        self.assertEqual(self.sim.counters()["logins"], logins + 1)
        self.assertEqual(self.gate.metric("subscriptions_kept_total"), len(USERS) - 1)
        self.assertEqual(len(self.subscriptions()), len(USERS))

    def test_a_standby_is_found_out_by_polling_and_one_loss_finds_all(self):
        for topology in ("hotStandby", "warmStandby"):
            with self.subTest(topology):
                self.start(topology, pollMs=200)
                before = self.sim.counters()["logins"]
                self.sim.admin("POST", "/sessions/kill", {"user": "*", "silently": True})
                eventually(lambda b=before: self.sim.counters()["logins"] == b + len(USERS), "all are logged in again")
                self.live()
                self.assertEqual(self.sim.counters()["logins"], before + len(USERS))
                self.assertLessEqual(self.gate.metric("session_losses_total"), len(USERS))

    def test_without_a_topology_two_losses_find_all(self):
        self.start("none")
        self.sim.admin("POST", "/sessions/kill", {"user": "*", "silently": True})
        before = self.sim.counters()["logins"]
        for user in ("agent2001", "agent2002"):
            self.gate.get("/v1/users/me", user, {"Cache-Control": "no-cache"})
        eventually(lambda: self.sim.counters()["logins"] == before + len(USERS), "the third that nobody asked for, too")
        self.live()


LISTENER_XSD = """
  <xs:element name="StartHASwitchEventListenerRequest"><xs:complexType><xs:sequence>%s
    <xs:element name="ssoToken" type="cct:ssoToken"/></xs:sequence></xs:complexType></xs:element>
  <xs:element name="StartHASwitchEventListenerResponse"><xs:complexType><xs:sequence/></xs:complexType></xs:element>
  <xs:element name="StopHASwitchEventListenerRequest"><xs:complexType><xs:sequence>
    <xs:element name="ssoToken" type="cct:ssoToken"/></xs:sequence></xs:complexType></xs:element>
  <xs:element name="StopHASwitchEventListenerResponse"><xs:complexType><xs:sequence/></xs:complexType></xs:element>
</xs:schema>"""
NOTICE = ('<?xml version="1.0"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
          '<bn:Notify xmlns:bn="http://www.nortel.com/soa/oi/cct/BaseNotification"><bn:NotificationMessage/></bn:Notify>'
          '</soapenv:Body></soapenv:Envelope>')


def site_contract(argument=""):
    """A copy of the contract whose UserService has the listener's operations, as a later release may have them."""
    folder = tempfile.mkdtemp(prefix="cctgate-contract-")
    shutil.rmtree(folder)
    shutil.copytree(CONTRACT, folder)
    xsd, wsdl = (os.path.join(folder, "cct", "UserService." + kind) for kind in ("xsd", "wsdl"))
    with open(xsd, encoding="utf-8") as file:
        text = file.read()
    with open(xsd, "w", encoding="utf-8") as file:
        file.write(text.replace("</xs:schema>", LISTENER_XSD % argument))
    with open(wsdl, encoding="utf-8") as file:
        text = file.read()
    names = ("StartHASwitchEventListener", "StopHASwitchEventListener")
    messages = "".join('<wsdl:message name="%s%s"><wsdl:part name="parameters" element="usr:%s%s"/></wsdl:message>' % (n, k, n, k)
                       for n in names for k in ("Request", "Response"))
    ports = "".join('<wsdl:operation name="%s"><wsdl:input message="tns:%sRequest"/><wsdl:output message="tns:%sResponse"/>'
                    '</wsdl:operation>' % (n, n, n) for n in names)
    bindings = "".join('<wsdl:operation name="%s"><soap:operation soapAction="urn:%s" style="document"/><wsdl:input>'
                       '<soap:body use="literal"/></wsdl:input><wsdl:output><soap:body use="literal"/></wsdl:output>'
                       '</wsdl:operation>' % (n, n) for n in names)
    text = re.sub(r"(<wsdl:portType )", lambda m: messages + m.group(1), text, count=1)
    text = text.replace("</wsdl:portType>", ports + "</wsdl:portType>", 1).replace("</wsdl:binding>", bindings + "</wsdl:binding>", 1)
    with open(wsdl, "w", encoding="utf-8") as file:
        file.write(text)
    return folder


class Notice(unittest.TestCase):
    def start(self, topology, argument="", **upstream):
        folder = site_contract(argument)
        self.addCleanup(shutil.rmtree, folder)
        real, harness.CONTRACT = harness.CONTRACT, folder
        try:
            self.sim = Simulator(agents=6)
            self.gate = Gateway(self.sim, users=USERS, consumer=CONSUMER, upstream=dict(
                {"topology": topology, "heartbeatMs": LONG, "reconcileMs": LONG}, **upstream))
        finally:
            harness.CONTRACT = real
        self.addCleanup(lambda: check_clean(self.sim.child, self.sim.child.end(), "cctsim"))
        self.addCleanup(self.gate.stop)
        eventually(lambda: self.gate.metric("sessions_live") == len(USERS), "live")

    def notice(self, body=NOTICE):
        address = next(s["consumer"] for s in self.sim.admin("GET", "/subscriptions") if s["user"] == "agent2001")
        host, path = re.match(r"http://([^/]+)(/.*)", address).groups()
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.request("POST", path, body, {"Content-Type": "text/xml", "SOAPAction": '""'})
        connection.getresponse().read()
        connection.close()

    def test_it_is_asked_for_and_never_believed(self):
        for argument in ("", '<xs:element name="listenerEndpoint" type="xs:string"/>'):
            with self.subTest(argument):
                self.start("missionCritical", argument)
                eventually(lambda: self.gate.metric("switch_listeners_total") == len(USERS), "each session has asked")
                self.assertEqual(self.sim.calls("UserService.StartHASwitchEventListener"), len(USERS))
                before = self.sim.counters()
                proofs = before["operations"].get("SessionService.GetCurrentTerminalCount", 0)
                self.notice()
                eventually(lambda: self.gate.metric("switch_notices_total") == 1, "the notice is noticed")
                eventually(lambda p=proofs: self.sim.counters()["operations"].get("SessionService.GetCurrentTerminalCount", 0) == p + 1,
                           "the session is proven")
                self.assertEqual(self.sim.counters()["logins"], before["logins"])
                self.assertEqual(self.gate.metric("sessions_live"), len(USERS), "nothing is stale for a word without proof")
                # where it is true, it is found out
                self.sim.admin("POST", "/sessions/kill", {"user": "agent2001", "silently": True})
                eventually(lambda b=before: self.notice_again() or self.sim.counters()["logins"] == b["logins"] + 1, "logged in anew")
                self.assertEqual(self.sim.counters()["violations"], 0, self.sim.counters()["violationMessages"])

    def notice_again(self):
        if any(s["user"] == "agent2001" for s in self.sim.admin("GET", "/subscriptions")):
            self.notice()
            return False
        if not hasattr(self, "address"):
            self.gate.get("/v1/users/me", "agent2001", {"Cache-Control": "no-cache"})
        return False

    def test_only_mission_critical_asks(self):
        self.start("hotStandby", pollMs=0)
        self.assertEqual(self.sim.calls("UserService.StartHASwitchEventListener"), 0)
        self.notice()
        eventually(lambda: self.gate.metric("notifies_total") > 0, "it came")
        self.assertEqual(self.gate.metric("switch_notices_total"), 0)

    def test_what_it_wants_beyond_an_address_is_not_made_up(self):
        self.start("missionCritical", '<xs:element name="priority" type="xs:int"/>')
        eventually(lambda: self.gate.child.log("haListenerUnknown"), "told")
        self.assertEqual(self.sim.calls("UserService.StartHASwitchEventListener"), 0)

    def test_it_is_given_up_at_the_end(self):
        self.start("missionCritical")
        eventually(lambda: self.gate.metric("switch_listeners_total") == len(USERS), "asked")
        self.gate.stop()
        self.assertEqual(self.sim.calls("UserService.StopHASwitchEventListener"), len(USERS))


class Breaker(unittest.TestCase):
    def start(self, **upstream):
        self.sim = Simulator(agents=6)
        self.addCleanup(lambda: check_clean(self.sim.child, self.sim.child.end(), "cctsim"))
        self.gate = Gateway(self.sim, users=USERS, upstream=dict(
            {"heartbeatMs": LONG, "reconcileMs": LONG, "timeoutMs": 4000, "connectTimeoutMs": 3000}, **upstream))
        self.addCleanup(self.gate.stop)

    def endpoint(self):
        return self.gate.get("/v1/sessions", "operator").json["endpoints"][0]

    def state(self):
        text = exchange(self.gate.port, "GET", "/metrics").body.decode()
        found = re.findall(r'^cctgate_endpoint_breaker\{endpoint="campus",cctgate_endpoint_breaker="(\w+)"\} 1$', text, re.M)
        self.assertEqual(len(found), 1, text)
        return found[0]

    def test_silence_opens_it_and_an_answer_closes_it(self):
        self.start()
        self.assertEqual(self.state(), "closed")
        self.assertEqual((self.endpoint()["breaker"], self.endpoint()["downSince"]), ("closed", None))
        self.sim.fault("hang")
        fields = dict(harness.bearer("supervisor"), **{"Cache-Control": "no-cache"})
        end = time.monotonic() + 60
        while self.state() == "closed" and time.monotonic() < end:
            exchange(self.gate.port, "GET", AGENT, fields)
        self.assertIn(self.state(), ("open", "halfOpen"))
        self.assertTrue(self.endpoint()["downSince"])
        # what is asked now is not sent: the answer does not take as long as a time-out
        calls = self.sim.calls()
        answer = exchange(self.gate.port, "GET", AGENT, fields)
        self.assertEqual((answer.status, answer.json["type"]), (503, "/problems/upstream-unreachable"))
        self.assertEqual(answer.headers["retry-after"], str(answer.json["retryAfter"]))
        self.assertGreaterEqual(answer.json["retryAfter"], 1)
        self.assertEqual(self.sim.calls(), calls)
        ready = exchange(self.gate.port, "GET", "/readyz")
        self.assertEqual(ready.status, 503)
        self.assertTrue(any("campus" in r for r in ready.json["reasons"]), ready)
        self.assertIn(ready.json["endpoints"][0]["breaker"], ("open", "halfOpen"))
        logins = self.sim.counters()["logins"]
        self.sim.no_faults()
        self.gate.wait_ready()
        self.assertEqual(self.state(), "closed")
        self.assertEqual(exchange(self.gate.port, "GET", AGENT, fields).status, 200)
        self.assertEqual(self.sim.counters()["logins"], logins, "the sessions were proven")

    def test_half_open_lets_one_probe_through(self):
        self.start()
        self.sim.fault("hang")
        fields = dict(harness.bearer("supervisor"), **{"Cache-Control": "no-cache"})
        end = time.monotonic() + 60
        while self.state() == "closed" and time.monotonic() < end:
            exchange(self.gate.port, "GET", AGENT, fields)
        eventually(lambda: self.sim.counters()["inFlight"] <= 1, "what was on the wire has ended")
        self.sim.admin("POST", "/counters/reset")
        for _ in range(40):
            exchange(self.gate.port, "GET", AGENT, fields)
        eventually(lambda: self.sim.counters()["operations"].get("SessionService.GetCurrentTerminalCount", 0) >= 2, "it goes on probing")
        counters = self.sim.counters()
        self.assertEqual(set(counters["operations"]), {"SessionService.GetCurrentTerminalCount"})
        self.assertLessEqual(counters["maxInFlight"], 1)


class Storm(unittest.TestCase):
    def test_all_are_lost_at_once(self):
        figures = storm.storm(agents=50, dashboards=3, per_second=20, workers=4)
        print(json.dumps(figures))
        self.assertEqual(figures["wrong"], [])
        self.assertGreater(figures["commands"]["done"], 0)


if __name__ == "__main__":
    harness.main()
