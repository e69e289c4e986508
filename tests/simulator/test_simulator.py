#!/usr/bin/env python3
"""Tests of cctsim over its wire: python3 tests/simulator/test_simulator.py [--binary B] [--contract C] [unittest options]"""

import sys

sys.dont_write_bytecode = True

import argparse
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
import unittest

from cases_faults import Faults, Violations, Wsdl  # noqa: F401 - unittest finds them here
from cases_notify import (NotifyEnds, NotifyEvents, NotifyFilters, NotifyMischief, NotifySessionTimer, NotifyTimeout,  # noqa: F401
                          NotifyTraffic, NotifyTransport)
from cases_operations import EveryOperation  # noqa: F401
from cases_outbound import Outbound, OutboundPriority, OutboundRateLimit  # noqa: F401
from simdrive import (ADR, AGT, AGTT, CNT, CON, GUID, NP, RPA, SES, TC, TER, USR, Raw, Sim, SimCase, address, agent,
                      connection, contact, open_socket, options, subscribe_fields, subscription_reference, termconn,
                      terminal, wait_until)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Sessions(SimCase):
    args = ("--session-timeout-ms", "5000")

    def test_wrong_credentials(self):
        for user, password, domain in (("supervisor", "wrong", "CC"), ("nobody", "secret", "CC"),
                                       ("supervisor", "secret", "OTHER")):
            self.assertIsNone(self.sim.login(user, password, domain))
        self.assertEqual(self.sim.counters()["logins"], 0)

    def test_a_user_may_have_several_sessions_and_killing_ends_them(self):
        tokens = [self.sim.login("agent2001"), self.sim.login("agent2001"), self.sim.login("agent2002")]
        self.assertEqual(len(set(tokens)), 3)
        self.good(USR, "Subscribe", tokens[0], ("ConsumerEndpoint", "http://127.0.0.1:9/"))
        self.assertEqual(self.sim.admin("POST", "/sessions/kill", {"user": "agent2001"})["ended"], 2)
        self.assertEqual(self.sim.state()["subscriptions"], [])
        for token in tokens[:2]:
            self.bad("SessionNotCreatedException", USR, "GetAgents", token)
        self.good(USR, "GetAgents", tokens[2])

    def test_calls_refresh_the_timer_and_GetVersion_does_not(self):
        token = self.sim.login()
        started = time.monotonic()
        while time.monotonic() - started < 7:
            self.good(USR, "GetAgents", token, keep=False)
            time.sleep(0.1)
        ended = lambda: self.good(USR, "GetVersion", None) and self.sim.counters()["sessions"] == 0
        self.assertTrue(wait_until(ended))
        self.bad("SessionNotCreatedException", USR, "GetAgents", token)
        self.bad("ResourceUnknownFault", NP, "Subscribe", token, *subscribe_fields())

    def test_subscription_faults(self):
        token = self.sim.login()
        self.bad("SubscribeFailedFault", USR, "Subscribe", token, ("ConsumerEndpoint", "nowhere"))
        self.bad("SubscribeCreationFailedFault", NP, "Subscribe", token, *subscribe_fields("2001-01-01T00:00:00Z"))
        self.bad("SubscribeCreationFailedFault", NP, "Subscribe", token, *subscribe_fields(consumer="nowhere"))
        self.bad("ResourceUnknownFault", NP, "Renew", token, subscription_reference("x"),
                 ("TerminationTime", "2040-01-01T00:00:00Z"))


class Visibility(SimCase):
    """A user finds what it owns; everything else reads as unknown."""

    def test_an_agents_user_sees_only_its_own(self):
        token = self.sim.login("agent2002")
        self.assertEqual(self.good(USR, "GetAgents", token).texts("agentLoginId"), ["2002"])
        self.assertEqual(self.good(USR, "GetAddresses", token).texts("addressName"), ["52002", "62002"])
        self.assertEqual(self.good(USR, "GetTerminals", token).texts("terminalName"), ["Line 1.0.2"])
        absent = self.bad("IsReadyException", AGT, "IsReady", token, ("agent", agent(9999)))
        others = self.bad("IsReadyException", AGT, "IsReady", token, ("agent", agent(2003)))
        self.assertEqual(others.fault_text.split("Agent")[1].replace("2003", "9999"),
                         absent.fault_text.split("Agent")[1])
        for key, value in (("address", "52003"), ("address", "RP_Sales")):
            self.bad("GetStateException", ADR, "GetState", token, (key, address(value)))
        self.bad("GetStateException", TER, "GetState", token, ("terminal", terminal("Line 1.0.3")))

    def test_calls_are_seen_through_their_legs(self):
        token = self.sim.login("agent2002")
        calls = self.sim.state()["calls"]
        addresses = lambda call: {c["address"] for c in call["connections"]}
        own = next(c for c in calls if "52002" in addresses(c))
        other = next(c for c in calls if "52003" in addresses(c))
        self.good(CNT, "GetUUI", token, ("contact", contact(own["contactId"])))
        self.bad("GetUUIException", CNT, "GetUUI", token, ("contact", contact(other["contactId"])))
        remote = next(c for c in own["connections"] if c["address"] != "52002")
        leg = ("connection", connection(remote["id"]))
        self.good(CON, "GetState", token, leg)
        self.assertEqual(self.good(CON, "GetConnectionCapabilities", token, leg).text("canDisconnect"), "false")
        self.bad("DisconnectException", CON, "Disconnect", token, leg)
        self.bad("GetStateException", CON, "GetState", token, ("connection", connection(other["connections"][0]["id"])))
        self.bad("GetStateException", TC, "GetState", token, ("terminalConnection", termconn(GUID)))

    def test_supervisor_and_admin_see_the_floor(self):
        for user in ("supervisor", "admin"):
            token = self.sim.login(user)
            self.assertEqual(len(self.good(USR, "GetAgents", token).texts("agentLoginId")), 20)
            for call in self.sim.state()["calls"]:
                self.good(SES, "GetContact", token, ("contact", contact(call["contactId"])))


class WrongState(SimCase):
    args = ("--scenario", "idle", "--sip")

    def test_capabilities_say_what_is_refused(self):
        token = self.sim.login()
        who, at = ("agent", agent(2002)), ("terminal", terminal("Line 1.0.2"))
        self.bad("LogoutException", AGT, "Logout", token, who)
        self.bad("SetReadyException", AGT, "SetReady", token, who, ("ready", True))
        self.bad("SetIsReadyException", AGTT, "SetIsReady", token, at, ("value", True))
        self.bad("LoginException", AGT, "Login", token, who, ("password", "wrong"), ("initialState", "READY"))
        self.bad("LoginAgentToStateException", SES, "LoginAgentToState", token, at, ("agentId", "2002"),
                 ("agentPassword", "secret"), ("initialState", 9))
        self.good(AGT, "Login", token, who, ("password", "secret"), ("initialState", "READY"))
        self.bad("LoginException", AGT, "Login", token, who, ("password", "secret"), ("initialState", "READY"))
        self.bad("SetNotReadyReasonCodeException", AGT, "SetNotReadyReasonCode", token, who, ("reasonCode", "1"))
        self.bad("GetSupervisorException", AGT, "GetSupervisor", token, ("agent", agent(2001)))
        self.bad("SetSupervisorException", AGT, "SetSupervisor", token, who, ("supervisor", agent(2003)))
        self.bad("GetStaticVoiceTerminalException", AGT, "GetStaticVoiceTerminal", token, who)
        self.bad("GetMessageWaitingException", ADR, "GetMessageWaiting", token, ("address", address("52002")))
        self.bad("IsReadyException", AGTT, "IsReady", token, ("terminal", terminal("Phone 1")))
        self.bad("ReleaseControlException", RPA, "ReleaseControl", token, ("routePointAddress", address("RP_Sales")))
        self.bad("ControlException", RPA, "Control", token, ("routePointAddress", address("52001")))

    def test_blind_transfer_does_not_work_on_sip(self):
        token = self.sim.login()
        call = self.sim.incoming("2002", answer=True)["contactId"]
        leg = ("terminalConnection", termconn(self.leg(call, "52002")[1]))
        reply = self.good(TC, "GetTerminalConnectionCapabilities", token, leg)
        self.assertEqual(reply.text("canBlindTransfer"), "false")
        self.bad("TransferException", TC, "BlindTransfer", token, leg, ("destinationAddress", "52003"))

    def test_call_states(self):
        token = self.sim.login()
        call = self.sim.incoming("2002", data={"case": "42"})["contactId"]
        leg = ("terminalConnection", termconn(self.leg(call, "52002")[1]))
        self.assertEqual(self.sim.call_state(call)["data"], {"case": "42"})
        self.bad("HoldException", TC, "Hold", token, leg)
        self.bad("UnholdException", TC, "Unhold", token, leg)
        self.bad("ConsultException", TC, "Consult", token, leg, ("destinationAddress", "52003"))
        self.good(TC, "Answer", token, leg)
        self.bad("AnswerException", TC, "Answer", token, leg)
        self.bad("OriginateException", TER, "Originate", token, ("terminal", terminal("Line 1.0.2")),
                 ("address", address("52002")), ("destinationAddress", "52003"))
        second = self.sim.incoming("2002")["contactId"]
        self.good(TC, "Answer", token, ("terminalConnection", termconn(self.leg(second, "52002")[1])))
        self.assertEqual(self.states(call)["52002"], ("ESTABLISHED", "AUTOHELD"))
        self.good(TC, "Unhold", token, leg)
        self.assertEqual(self.states(second)["52002"], ("ESTABLISHED", "AUTOHELD"))
        self.bad("CompleteSupervisedTransferException", TC, "CompleteSupervisedTransfer", token, leg,
                 ("consultedContact", contact(second)))

    def test_do_not_disturb_and_forwarding_steer_calls(self):
        token = self.sim.login()
        self.good(ADR, "SetDoNotDisturb", token, ("address", address("52003")), ("doNotDisturb", True))
        call = self.sim.incoming("2003")["contactId"]
        self.assertEqual(self.states(call)["52003"], ("FAILED", None))
        forward = Raw("<c:caller/><c:destinationAddress>52005</c:destinationAddress><c:type>1</c:type>"
                      "<c:whichCalls>0</c:whichCalls>")
        self.good(ADR, "SetForwarding", token, ("address", address("52004")), ("forwarding", forward))
        call = self.sim.incoming("2004")["contactId"]
        self.assertEqual(self.states(call)["52005"], ("ALERTING", "RINGING"))
        self.assertEqual(self.sim.call_state(call)["lastRedirected"], "52004")

    def test_a_transfer_carries_the_data_along(self):
        token = self.sim.login()
        call = self.sim.incoming("2002", answer=True, data={"case": "42"})["contactId"]
        leg = ("terminalConnection", termconn(self.leg(call, "52002")[1]))
        consult = self.good(TC, "InitiateSupervisedTransfer", token, leg, ("destinationAddress", "2003")).text("contactId")
        self.sim.admin("POST", f"/calls/{consult}/answer")
        self.good(TC, "CompleteSupervisedTransfer", token, leg, ("consultedContact", contact(consult)))
        state = self.sim.call_state(consult)
        self.assertEqual((state["data"], state["calling"], state["consultOf"], state["transferredFrom"]),
                         ({"case": "42"}, "52002", call, call))


class BusyFloor(SimCase):
    def test_every_kind_of_state_is_there(self):
        state = self.sim.state()
        legs = [c for call in state["calls"] for c in call["connections"]]
        self.assertLessEqual({"ESTABLISHED", "ALERTING", "QUEUED", "DIALING"}, {c["state"] for c in legs})
        local = {t["state"] for c in legs for t in c["terminalConnections"]}
        self.assertLessEqual({"RINGING", "ACTIVE", "HELD", "AUTOHELD"}, local)
        self.assertTrue(any(len(c["connections"]) == 3 for c in state["calls"]))
        self.assertTrue(any(c["consultOf"] for c in state["calls"]))
        self.assertLessEqual({str, list, dict}, {type(c["data"]) for c in state["calls"]})
        self.assertLessEqual({(False, False), (True, False), (True, True)},
                             {(a["loggedIn"], a["ready"]) for a in state["agents"]})
        self.assertIn("Email", {c["contactType"] for c in state["calls"]})
        queued = [c for c in legs if c["state"] == "QUEUED"]
        self.assertTrue(queued and all(c["address"].startswith("RP_") for c in queued))

    def test_everything_can_be_read(self):
        token, state = self.sim.login(), self.sim.state()
        for a in state["agents"]:
            for operation in ("GetCapabilities", "GetContactTypes", "GetType", "IsLoggedIn", "IsReady"):
                self.good(AGT, operation, token, ("agent", agent(a["id"])))
        for call in state["calls"]:
            for operation in ("GetAttachedData", "GetIntrinsics", "GetUUI", "GetCapabilities", "GetCallingAddress"):
                self.good(CNT, operation, token, ("contact", contact(call["contactId"])))
            for c in call["connections"]:
                self.good(CON, "GetState", token, ("connection", connection(c["id"])))
                for t in c["terminalConnections"]:
                    self.good(TC, "GetState", token, ("terminalConnection", termconn(t["id"])))

    def test_the_same_seed_gives_the_same_floor(self):
        strip = lambda s: json.dumps({k: s[k] for k in ("agents", "terminals", "addresses", "calls")}, sort_keys=True)
        other = Sim(options.binary, options.contract)
        third = Sim(options.binary, options.contract, "--seed", "2")
        try:
            self.assertEqual(strip(self.sim.state()), strip(other.state()))
            self.assertNotEqual(strip(self.sim.state()), strip(third.state()))
        finally:
            self.assertEqual((other.stop()[0], third.stop()[0]), (0, 0))

    def test_agents_are_changed_from_outside(self):
        self.sim.admin("POST", "/agents/2012", {"loggedIn": True, "ready": False, "reasonCode": "3"})
        a = self.sim.agent_state("2012")
        self.assertEqual((a["loggedIn"], a["ready"], a["reasonCode"]), (True, False, "3"))
        self.sim.admin("POST", "/agents/2012", {"ready": True})
        self.assertTrue(self.sim.agent_state("2012")["ready"])
        self.sim.admin("POST", "/agents/2012", {"loggedIn": False})
        self.assertFalse(self.sim.agent_state("2012")["loggedIn"])
        for path in ("/agents/1", "/calls/x/end", "/nowhere"):
            with self.assertRaises(RuntimeError):
                self.sim.admin("POST", path, {})


class Large(SimCase):
    args = ("--agents", "5000")

    def test_five_thousand_agents(self):
        token = self.sim.login()
        reply = self.good(USR, "GetAgents", token, keep=False)
        self.assertEqual(len(reply.texts("agentLoginId")), 5000)
        for i in (2001, 4500, 7000):
            own = self.sim.login(f"agent{i}")
            self.assertEqual(self.good(USR, "GetAgents", own).texts("agentLoginId"), [str(i)])
            self.good(AGT, "IsReady", own, ("agent", agent(i)))

    def test_two_thousand_kept_alive_connections(self):
        body = self.sim.envelope(USR, "GetVersion", None, ())
        request = (b"POST /SOAOICCT/services/UserService HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n"
                   b"SOAPAction: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        sockets = [open_socket(self.sim.port) for _ in range(2000)]
        try:
            for _ in range(2):
                for s in sockets:
                    s.sendall(request)
                for s in sockets:
                    self.assertTrue(s.recv(65536).startswith(b"HTTP/1.1 200 OK"))
            self.assertEqual(self.sim.counters()["openConnections"], 2000)
        finally:
            for s in sockets:
                s.close()
        self.assertTrue(wait_until(lambda: self.sim.counters()["openConnections"] == 0))


class OtherRelease(unittest.TestCase):
    """A site's own contract may have operations the simulator was not written for."""

    def test_an_added_operation_is_answered(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = os.path.join(folder, "contract")
            shutil.copytree(options.contract, copy)
            for name, old, new in (
                    ("MetricsService.xsd", "</xs:schema>",
                     '<xs:element name="GetMoodRequest" type="met:MetricsRequest"/></xs:schema>'),
                    ("MetricsService.wsdl", '<wsdl:portType name="MetricsService">',
                     '<wsdl:message name="MoodIn"><wsdl:part name="p" element="met:GetMoodRequest"/></wsdl:message>'
                     '<wsdl:message name="MoodOut"/><wsdl:portType name="MetricsService">'
                     '<wsdl:operation name="GetMood"><wsdl:input message="tns:MoodIn"/>'
                     '<wsdl:output message="tns:MoodOut"/></wsdl:operation>')):
                path = os.path.join(copy, "cct", name)
                with open(path, encoding="utf-8") as f:
                    text = f.read()
                self.assertIn(old, text)
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text.replace(old, new))
            sim = Sim(options.binary, copy)
            try:
                reply = sim.call("MetricsService", "GetMood", sim.login())
                self.assertEqual((reply.status, sim.counters()["operations"]["MetricsService.GetMood"]), (200, 1))
            finally:
                status, text = sim.stop()
            self.assertEqual(status, 0)
            self.assertIn("1 operations", text)


class CommandLine(unittest.TestCase):
    def run_it(self, *args):
        return subprocess.run([options.binary, *args], capture_output=True, timeout=60)

    def test_help_and_wrong_options(self):
        run = self.run_it("--help")
        self.assertEqual(run.returncode, 0)
        self.assertIn(b"--session-timeout-ms", run.stdout)
        for args in (("--agents", "x"), ("--scenario", "other"), ("--nonsense",), ("more",)):
            self.assertEqual(self.run_it(*args).returncode, 2, args)
        self.assertEqual(self.run_it("--contract", "/nonexistent").returncode, 1)


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--binary", default=os.environ.get("CCTSIM", os.path.join(ROOT, "build/release/cctsim")))
    parser.add_argument("--contract", default=os.path.join(ROOT, "conf/contract"))
    found, rest = parser.parse_known_args()
    options.binary, options.contract = os.path.abspath(found.binary), os.path.abspath(found.contract)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    unittest.main(argv=[sys.argv[0]] + rest)


if __name__ == "__main__":
    main()
