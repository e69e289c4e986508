#!/usr/bin/env python3
"""Tests of cctsim over its wire: python3 tests/simulator/test_simulator.py [--binary B] [--contract C] [unittest options]"""

import sys

sys.dont_write_bytecode = True

import argparse
import json
import os
import subprocess
import time
import unittest

from simdrive import (GUID, OUTBOUND_TYPES, Raw, Sim, address, agent, connection, contact, message,
                      open_socket, terminal, termconn, treatment, wait_until)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
options = argparse.Namespace(binary=None, contract=None)

SES, USR, AGT, AGTT = "SessionService", "UserService", "AgentService", "AgentTerminalService"
ADR, TER, CNT, CON = "AddressService", "TerminalService", "ContactService", "ConnectionService"
TC, ATC = "TerminalConnectionService", "AgentTerminalConnectionService"
RPA, RPC, NP, MET = ("RoutePointAddressService", "RoutePointConnectionService", "NotificationProducer",
                     "MetricsService")


class SimCase(unittest.TestCase):
    """Starts one simulator per test; at the end every kept reply must be valid and the exit clean."""

    args = ()

    def setUp(self):
        self.sim = Sim(options.binary, options.contract, *self.args)
        self.ended = False

    def tearDown(self):
        if self.ended:
            return
        status, text = self.sim.stop()
        self.assertEqual((status, text), (0, ""))
        self.assertEqual(self.sim.invalid_replies(), [])

    def good(self, service, operation, token, *fields, **more):
        reply = self.sim.call(service, operation, token, *fields, **more)
        self.assertTrue(reply.ok, f"{service}.{operation}: {reply.status} {reply.body!r}")
        return reply

    def bad(self, fault, service, operation, token, *fields, **more):
        reply = self.sim.call(service, operation, token, *fields, **more)
        self.assertEqual((reply.status, reply.fault), (500, fault), f"{service}.{operation}: {reply.body!r}")
        return reply

    def states(self, contact_id):
        """{address: (connection state, terminal connection state or None)} of a call."""
        call = self.sim.call_state(contact_id)
        return {c["address"]: (c["state"], c["terminalConnections"][0]["state"] if c["terminalConnections"] else None)
                for c in call["connections"]}

    def leg(self, contact_id, at):
        """(connection id, terminal connection id) of a call at an address."""
        leg = next(c for c in self.sim.call_state(contact_id)["connections"] if c["address"] == at)
        return leg["id"], leg["terminalConnections"][0]["id"] if leg["terminalConnections"] else None


class EveryOperation(SimCase):
    """All 217 CCT operations, with success wherever the contact centre ever grants it."""

    args = ("--scenario", "idle", "--message-waiting")

    def test_every_operation_answers(self):
        token = self.sim.login()
        self.sim.login(service=SES)
        self.versions()
        self.lookups(token)
        self.agents(token)
        self.addresses_and_terminals(token)
        self.calls(token)
        self.session_calls(token)
        self.route_points(token)
        self.notification(token)
        self.leave(token)
        never = {(CON, "Park"), (CNT, "Whisper")}
        missing = {o for o in self.sim.operations if not o[0].startswith("Outbound")} - set(self.sim.used)
        self.assertEqual(missing, never)
        self.assertEqual(len(self.sim.used), 215)
        counters = self.sim.counters()
        self.assertEqual(counters["violations"], 0, counters["violationMessages"])

    def versions(self):
        for service in {s for s, o in self.sim.operations if o == "GetVersion"}:
            self.assertIn("cctsim", self.good(service, "GetVersion", None).text("version"))

    def lookups(self, token):
        for service in (SES, USR):
            self.assertEqual(len(self.good(service, "GetAgents", token).texts("agentLoginId")), 20)
            self.assertIn("RP_Sales", self.good(service, "GetAddresses", token).texts("addressName"))
            self.assertIn("Line 1.0.1", self.good(service, "GetTerminals", token).texts("terminalName"))
            reply = self.good(service, "GetAddress", token, ("addressName", "52001"))
            self.assertEqual(reply.text("addressType"), "AGENT")
            reply = self.good(service, "GetTerminal", token, ("terminalName", "Line 1.0.1"))
            self.assertEqual(reply.text("terminalType"), "AGENT")
        self.assertEqual(self.good(SES, "GetAgentAddresses", token, ("agent", agent(2004))).texts("addressName"),
                         ["52004", "62004", "ccmm_email_2004"])
        self.assertEqual(self.good(SES, "GetAgentTerminals", token, ("agent", agent(2004))).texts("terminalName"),
                         ["Line 1.0.4", "CCMM_2004"])
        self.assertEqual(
            self.good(SES, "GetTerminalAddresses", token, ("terminal", terminal("Line 1.0.1"))).texts("addressName"),
            ["52001", "62001"])
        self.assertEqual(self.good(SES, "GetCurrentAddressCount", token).result, "49")
        self.assertEqual(self.good(SES, "GetCurrentTerminalCount", token).result, "26")
        self.assertEqual(self.good(MET, "GetActiveSessionCount", token).text("count"), "2")
        self.good(MET, "GetLicenseConsumedCount", token)
        self.assertEqual(self.good(MET, "GetMonitoredAddressCount", token).text("count"), "49")
        self.assertEqual(self.good(MET, "GetMonitoredTerminalsCount", token).text("count"), "26")

    def agents(self, token):
        who, line = ("agent", agent(2002)), terminal("Line 1.0.2")
        read = lambda op: self.good(AGT, op, token, who)
        self.assertEqual(read("GetType").text("response"), "Agent")
        self.assertEqual(read("GetContactTypes").texts("contactTypes"), ["Voice"])
        self.assertEqual(read("IsSupervisor").text("response"), "false")
        self.assertEqual(read("GetSupervisor").text("agentLoginId"), "2001")
        self.assertEqual(read("IsLoggedIn").text("response"), "false")
        self.assertEqual(read("GetCapabilities").text("canLogin"), "true")
        self.assertEqual(len(self.good(AGT, "GetAgents", token, ("agent", agent(2001))).texts("agentLoginId")), 10)
        reply = self.good(AGT, "GetStaticVoiceTerminal", token, ("agent", agent(2001)))
        self.assertEqual(reply.text("terminalName"), "Line 1.0.1")
        self.good(AGT, "SetStaticVoiceTerminal", token, ("agent", agent(2001)), ("terminal", terminal("Line 1.0.1")))
        self.good(AGT, "SetSupervisor", token, who, ("supervisor", agent(2011)))
        self.assertEqual(read("GetSupervisor").text("agentLoginId"), "2011")
        self.good(AGT, "Login", token, who, ("password", "secret"), ("initialState", "NOT_READY"))
        self.assertEqual(read("IsLoggedIn").text("response"), "true")
        self.good(AGT, "SetNotReadyReasonCode", token, who, ("reasonCode", "7"))
        self.assertEqual(read("GetNotReadyReasonCode").text("response"), "7")
        self.good(AGT, "SetReady", token, who, ("ready", True))
        self.assertEqual(read("IsReady").text("response"), "true")
        self.assertEqual(read("GetCapabilities").text("canLogin"), "false")
        self.good(AGT, "Logout", token, who)
        self.agent_terminals(token, line)
        self.session_agents(token, line)

    def agent_terminals(self, token, line):
        at, login_at = ("terminal", line), ("agentTerminal", line)
        read = lambda op: self.good(AGTT, op, token, at)
        self.good(AGTT, "Login", token, login_at, ("agentId", "2002"), ("password", "secret"),
                  ("initialState", "READY"))
        self.assertEqual(read("GetLoginId").text("loginId"), "2002")
        self.assertEqual(read("IsReady").text("isReady"), "true")
        self.good(AGTT, "SetIsReady", token, at, ("value", False))
        self.good(AGTT, "SetNotReadyReasonCode", token, at, ("value", "9"))
        self.assertEqual(read("GetNotReadyReasonCode").text("notReadyReasonCode"), "9")
        self.good(AGTT, "SetActivityCode", token, login_at, ("activityCode", "5"))
        self.assertEqual(read("GetActivityCode").text("activityCode"), "5")
        self.assertEqual(read("GetCapabilities").text("canLogout"), "true")
        self.assertEqual(read("GetDoNotDisturb").text("doNotDisturb"), "false")
        self.assertEqual(read("IsForwarded").text("isForwarded"), "false")
        self.assertEqual(read("GetRelatedAddresses").texts("addressName"), ["52002", "62002"])
        self.good(AGTT, "CallSupervisor", token, at, ("address", address("52002")))
        self.assertEqual(len(read("GetTerminalConnections").texts("terminalConnectionId")), 1)
        call = self.sim.state()["calls"][0]
        self.assertEqual((call["calling"], call["called"]), ("52002", "52011"))
        self.sim.admin("POST", f"/calls/{call['contactId']}/end")
        self.good(AGTT, "Logout", token, login_at)

    def session_agents(self, token, line):
        at, login_at = ("terminal", line), ("agentTerminal", line)
        self.good(SES, "LoginAgent", token, at, ("agentId", "2002"), ("agentPassword", "secret"))
        self.assertEqual(self.good(SES, "GetReadyState", token, at).text("ready"), "false")
        self.good(SES, "SetToReadyState", token, at)
        self.assertEqual(self.good(SES, "GetReadyState", token, at).text("ready"), "true")
        self.good(SES, "SetToNotReadyState", token, at)
        self.good(SES, "SetToNotReadyStateWithReasonCode", token, at, ("reasonCode", "3"))
        self.assertEqual(self.sim.agent_state("2002")["reasonCode"], "3")
        self.good(SES, "SetActivityCode", token, at, ("activityCode", "6"))
        self.good(SES, "LogoutAgent", token, at)
        self.good(SES, "LoginAgentToState", token, at, ("agentId", "2002"), ("agentPassword", "secret"),
                  ("initialState", 1))
        self.assertTrue(self.sim.agent_state("2002")["ready"])
        self.good(SES, "LogoutAgentFromTerminal", token, login_at)
        self.good(SES, "LoginAgentToTerminal", token, login_at, ("agentId", "2002"), ("password", "secret"),
                  ("initialState", 0))
        self.assertFalse(self.sim.agent_state("2002")["ready"])
        self.good(SES, "CallSupervisor", token, at, ("address", address("52002")))
        self.sim.admin("POST", f"/calls/{self.sim.state()['calls'][0]['contactId']}/end")
        self.good(SES, "MakeSetBusy", token, ("terminal", terminal("Line 1.0.9")))
        self.good(TER, "SetDoNotDisturb", token, ("terminal", terminal("Line 1.0.9")), ("doNotDisturb", False))

    def addresses_and_terminals(self, token):
        at = ("address", address("52003"))
        read = lambda op: self.good(ADR, op, token, at)
        forward = ("forwarding", Raw("<c:caller/><c:destinationAddress>52004</c:destinationAddress><c:type>1</c:type>"
                                     "<c:whichCalls>0</c:whichCalls>"))
        self.assertEqual(read("GetCapabilities").text("canOriginate"), "true")
        self.good(ADR, "SetForwarding", token, at, forward, forward)
        self.assertEqual(read("GetForwarding").texts("destinationAddress"), ["52004", "52004"])
        self.assertEqual(read("IsForwarded").text("isForwarded"), "true")
        self.good(ADR, "CancelForwarding", token, at)
        self.assertEqual(read("GetForwarding").texts("destinationAddress"), [])
        self.good(ADR, "SetDoNotDisturb", token, at, ("doNotDisturb", True))
        self.assertEqual(read("GetDoNotDisturb").text("doNotDisturb"), "true")
        self.good(ADR, "SetDoNotDisturb", token, at, ("doNotDisturb", False))
        self.good(ADR, "SetMessageWaiting", token, at,
                  ("messageWaiting", Raw("<c:messageWaiting>true</c:messageWaiting>"
                                         "<c:numberOfMessages>4</c:numberOfMessages>")))
        self.assertEqual(read("GetMessageWaiting").text("numberOfMessages"), "4")
        self.assertEqual(read("IsMessageWaiting").text("isMessageWaiting"), "true")
        self.assertEqual(read("GetPresence").text("activity"), "AVAILABLE")
        self.good(ADR, "PresenceSubscribe", token, at, ("duration", 60))
        self.good(ADR, "PresenceUnsubscribe", token, at)
        self.assertEqual(read("GetState").text("resourseState"), "IN_SERVICE")
        read("GetTerminalStatus")
        self.assertEqual(read("GetTerminals").text("terminalName"), "Line 1.0.3")
        self.assertTrue(read("GetUri").text("uri").startswith("sip:52003@"))
        self.assertEqual(read("GetConnections").texts("connectionId"), [])
        self.terminals(token, forward)

    def terminals(self, token, forward):
        at = ("terminal", terminal("Line 1.0.3"))
        read = lambda op: self.good(TER, op, token, at)
        self.assertEqual(read("GetCapabilities").text("canOriginate"), "true")
        self.assertEqual(read("GetContactTypes").texts("contactTypes"), ["Voice"])
        self.assertEqual(read("GetDefaultContactType").text("response"), "Voice")
        self.good(TER, "SetForwarding", token, at, forward)
        self.assertEqual(read("GetForwarding").texts("destinationAddress"), ["52004"])
        self.assertEqual(read("IsForwarded").text("isForwarded"), "true")
        self.good(TER, "CancelForwarding", token, at)
        self.good(TER, "SetDoNotDisturb", token, at, ("doNotDisturb", True))
        self.assertEqual(read("GetDoNotDisturb").text("doNotDisturb"), "true")
        self.good(TER, "SetDoNotDisturb", token, at, ("doNotDisturb", False))
        self.assertEqual(read("GetState").text("resourseState"), "IN_SERVICE")
        self.assertEqual(read("GetRelatedAddresses").texts("addressName"), ["52003", "62003"])
        self.assertEqual(read("GetTerminalConnections").texts("terminalConnectionId"), [])

    def calls(self, token):
        self.call_reads_and_data(token)
        self.consults(token)
        self.pickups(token)
        self.connections(token)

    def call_reads_and_data(self, token):
        reply = self.good(TER, "Originate", token, ("terminal", terminal("Line 1.0.2")),
                          ("address", address("52002")), ("destinationAddress", "52003"))
        call = reply.text("contactId")
        self.assertEqual(self.states(call), {"52002": ("DIALING", "ACTIVE"), "52003": ("ALERTING", "RINGING")})
        what = ("contact", contact(call))
        ringing = ("terminalConnection", termconn(self.leg(call, "52003")[1]))
        self.good(TC, "Answer", token, ringing)
        self.assertEqual(self.states(call), {"52002": ("ESTABLISHED", "ACTIVE"), "52003": ("ESTABLISHED", "ACTIVE")})
        read = lambda op: self.good(CNT, op, token, what)
        self.assertEqual(read("GetCallingAddress").text("addressName"), "52002")
        self.assertEqual(read("GetCalledAddress").text("addressName"), "52003")
        self.assertEqual(read("GetOriginalDestinationAddress").text("addressName"), "52003")
        self.assertEqual(read("GetCallingTerminal").text("terminalName"), "Line 1.0.2")
        self.assertEqual(read("GetContactTypes").texts("contactTypes"), ["Voice"])
        self.assertEqual(read("GetCapabilities").text("canDrop"), "true")
        self.assertEqual(len(read("GetConnections").texts("connectionId")), 2)
        self.good(CNT, "GetConnection", token, what, ("address", address("52003")))
        self.good(ADR, "GetConnection", token, ("address", address("52003")), what)
        self.good(SES, "GetContact", token, what)
        self.contact_data(token, what, read)
        self.terminal_connection_reads(token, call)
        self.recording(token, call)
        self.good(CNT, "Observe", token, what, ("terminal", terminal("Line 1.0.1")), ("address", address("52001")))
        self.assertEqual(self.states(call)["52001"], ("ESTABLISHED", "BRIDGED"))
        self.good(CNT, "BargeIn", token, what, ("terminal", terminal("Line 1.0.11")), ("address", address("52011")))
        self.assertEqual(self.states(call)["52011"], ("ESTABLISHED", "ACTIVE"))
        self.good(CNT, "AddParty", token, what, ("newParty", "52005"))
        self.assertEqual(self.states(call)["52005"], ("ALERTING", "RINGING"))
        self.good(ATC, "EmergencyKey", token, ("terminal", terminal("Line 1.0.2")), what)
        self.good(SES, "EmergencyKey", token, ("terminal", terminal("Line 1.0.2")), what)
        self.bad("WhisperException", CNT, "Whisper", token, what, ("sourceTerminal", terminal("Line 1.0.1")),
                 ("sourceAddress", address("52001")), ("desitnationTerminal", terminal("Line 1.0.2")),
                 ("desitnationAddress", address("52002")))
        self.good(CNT, "Drop", token, what)
        self.assertIsNone(self.sim.call_state(call))
        self.bad("GetUUIException", CNT, "GetUUI", token, what)

    def contact_data(self, token, what, read):
        pairs = Raw("<c:type>KEY_VALUE_PAIRS</c:type><c:keyValueData><c:item><c:key>a&amp;b</c:key>"
                    "<c:value>&lt;1&gt;</c:value></c:item></c:keyValueData>")
        self.good(CNT, "SetAttachedData", token, what, ("attachedData", pairs))
        self.assertEqual(read("GetAttachedData").texts("key"), ["a&b"])
        self.assertEqual(read("GetAttachedXMLData").text("value1"), "<1>")
        self.good(SES, "SetContactData", token, what,
                  ("contactData", Raw("<c:type>STRING</c:type><c:stringData>plain text</c:stringData>")))
        self.assertEqual(self.good(SES, "GetContactData", token, what).text("stringData"), "plain text")
        self.assertEqual(read("GetAttachedData").text("stringData"), "plain text")
        binary = Raw("<c:type>BINARY</c:type><c:binaryData><c:item>-128</c:item><c:item>127</c:item></c:binaryData>")
        self.good(CNT, "SetAttachedData", token, what, ("attachedData", binary))
        self.assertEqual(read("GetAttachedData").texts("item"), ["-128", "127"])
        entry = lambda k, v, i: ("intrinsics", Raw(f"<c:key>{k}</c:key><c:value>{v}</c:value>"
                                                   f"<c:immutable>{i}</c:immutable>"))
        self.good(CNT, "SetIntrinsics", token, what, entry("CUSTOMERID", "1", "false"),
                  entry("%SKILLSET%SKILLSET", "101", "true"))
        self.good(SES, "SetIntrinsics", token, what, entry("CUSTOMERID", "2", "false"))
        self.assertEqual(read("GetIntrinsics").texts("value"), ["2", "101"])
        self.bad("SetIntrinsicsException", CNT, "SetIntrinsics", token, what, entry("NEW", "1", "false"),
                 entry("%SKILLSET%SKILLSET", "102", "false"))
        self.assertEqual(self.good(SES, "GetIntrinsics", token, what).texts("value"), ["2", "101"])
        self.good(CNT, "SetUUI", token, what, ("uui", "0401AABB"))
        self.assertEqual(read("GetUUI").text("uui"), "0401AABB")
        self.good(CNT, "SetInstantMessages", token, what, ("instantMessage", message("hello")))
        self.good(ADR, "SendInstantMessage", token, ("sourceAddress", address("52002")),
                  ("destinationAddress", address("52003")), ("message", message("again")))
        self.assertEqual(read("GetInstantMessages").texts("message"), ["hello", "again"])

    def terminal_connection_reads(self, token, call):
        conn, leg = self.leg(call, "52002")
        at = ("terminalConnection", termconn(leg))
        for service in (TC, ATC):
            self.assertEqual(self.good(service, "GetState", token, at).texts("state"), ["ACTIVE", "IDLE"])
            self.assertEqual(self.good(service, "GetConnection", token, at).text("connectionId"), conn)
            self.assertEqual(self.good(service, "GetContact", token, at).text("contactId"), call)
            self.assertEqual(self.good(service, "GetTerminal", token, at).text("terminalName"), "Line 1.0.2")
            reply = self.good(service, "GetTerminalConnectionCapabilities", token, at)
            self.assertEqual(reply.text("canHold"), "true")
        self.assertEqual(self.good(TC, "GetContactType", token, at).text("contactType"), "Voice")
        self.good(ATC, "SetActivityCode", token, at, ("activityCode", "33"))
        self.assertEqual(self.good(ATC, "GetActivityCode", token, at).text("activityCode"), "33")
        self.good(TC, "GenerateDTMF", token, at, ("digits", "12#"))
        self.good(TC, "Hold", token, at)
        self.assertEqual(self.states(call)["52002"], ("ESTABLISHED", "HELD"))
        self.bad("HoldException", TC, "Hold", token, at)
        self.good(TC, "Unhold", token, at)
        self.assertEqual(self.states(call)["52002"], ("ESTABLISHED", "ACTIVE"))

    def recording(self, token, call):
        leg = ("connection", connection(self.leg(call, "52002")[0]))
        fields = (leg, ("recordingUri", "sip:rec"), ("ipAddress", "127.0.0.1"), ("port", 5060),
                  ("transportType", "TCP"), ("recordingId", "r1"), ("reasonCode", "DEMAND_RECORD"))
        self.assertEqual(self.good(CON, "GetRecordingState", token, leg).result, "NOT_RECORDING")
        self.good(CON, "StartRecording", token, *fields)
        self.bad("StartRecordingException", CON, "StartRecording", token, *fields)
        self.assertEqual(self.good(CON, "GetRecordingState", token, leg).result, "RECORDING")
        self.assertEqual(self.good(CON, "GetRecordingStateReason", token, leg).result, "DEMAND_RECORD")
        self.good(CON, "StopRecording", token, *fields)

    def established(self, to, from_number="+35391123456"):
        return self.sim.admin("POST", "/calls", {"from": from_number, "to": to, "answer": True})["contactId"]

    def consults(self, token):
        call = self.established("2002")
        at = ("terminalConnection", termconn(self.leg(call, "52002")[1]))
        for start, read in (("Consult", "GetConsultContact"),
                            ("InitiateSupervisedTransfer", "GetTransferConsultContact"),
                            ("InitiateConference", "GetConferenceConsultContact")):
            self.bad(read + "Exception", TC, read, token, at)
            consult = self.good(TC, start, token, at, ("destinationAddress", "52003")).text("contactId")
            self.assertEqual(self.states(call)["52002"], ("ESTABLISHED", "AUTOHELD"))
            for service in (TC, ATC):
                self.assertEqual(self.good(service, read, token, at).text("contactId"), consult)
            if start != "Consult":
                self.sim.admin("POST", f"/calls/{consult}/answer")
            if start == "InitiateConference":
                self.good(TC, "CompleteConference", token, at, ("consultedContact", contact(consult)))
                self.assertEqual(len(self.states(call)), 3)
            elif start == "InitiateSupervisedTransfer":
                self.good(TC, "CompleteSupervisedTransfer", token, at, ("consultedContact", contact(consult)))
                self.assertEqual(self.states(consult), {"52003": ("ESTABLISHED", "ACTIVE"),
                                                        "+35391123456": ("ESTABLISHED", None)})
                self.assertIsNone(self.sim.call_state(call))
                self.sim.admin("POST", f"/calls/{consult}/end")
                call = self.established("2002")
                at = ("terminalConnection", termconn(self.leg(call, "52002")[1]))
            else:
                self.sim.admin("POST", f"/calls/{consult}/end")
                self.assertEqual(self.states(call)["52002"], ("ESTABLISHED", "AUTOHELD"))
        self.good(TC, "BlindTransfer", token, at, ("destinationAddress", "52005"))
        self.assertEqual(self.states(call)["52005"], ("ALERTING", "RINGING"))
        self.assertNotIn("52002", self.states(call))
        self.sim.admin("POST", f"/calls/{call}/end")

    def pickups(self, token):
        line, own = ("terminal", terminal("Line 1.0.6")), ("terminalAddress", address("52006"))
        call = self.sim.incoming("2007")["contactId"]
        self.good(TER, "PickupFromAddress", token, line, ("destinationAddress", address("52007")), own)
        self.assertEqual(self.states(call)["52006"], ("ESTABLISHED", "ACTIVE"))
        self.assertNotIn("52007", self.states(call))
        reply = self.good(CNT, "GetLastRedirectedAddress", token, ("contact", contact(call)))
        self.assertEqual(reply.text("addressName"), "52007")
        self.sim.admin("POST", f"/calls/{call}/end")
        call = self.sim.incoming("2007")["contactId"]
        self.good(TER, "PickupFromTerminal", token, line,
                  ("terminalConnection", termconn(self.leg(call, "52007")[1])), own)
        self.sim.admin("POST", f"/calls/{call}/end")
        call = self.sim.incoming("2007")["contactId"]
        self.good(TER, "PickupFromGroup", token, line, ("pickupGroup", "Group1"), own)
        self.sim.admin("POST", f"/calls/{call}/end")
        self.bad("PickupFromGroupException", TER, "PickupFromGroup", token, line, ("pickupGroup", "Group1"), own)

    def connections(self, token):
        call = self.sim.incoming("2008")["contactId"]
        leg = ("connection", connection(self.leg(call, "52008")[0]))
        self.assertEqual(self.good(CON, "GetAddress", token, leg).text("addressName"), "52008")
        self.assertEqual(self.good(CON, "GetContact", token, leg).text("contactId"), call)
        self.assertEqual(self.good(CON, "GetState", token, leg).texts("state"), ["ALERTING", "OFFERED"])
        self.assertEqual(self.good(CON, "GetConnectionCapabilities", token, leg).text("canReject"), "true")
        self.assertEqual(len(self.good(CON, "GetTerminalConnections", token, leg).texts("terminalConnectionId")), 1)
        self.bad("ParkException", CON, "Park", token, leg, ("destinationAddress", address("52009")))
        self.bad("AcceptException", CON, "Accept", token, leg)
        reply = self.good(CON, "Redirect", token, leg, ("destinationAddress", address("52009")))
        self.assertEqual(self.leg(call, "52009")[0], reply.text("connectionId"))
        self.good(CON, "Reject", token, ("connection", connection(reply.text("connectionId"))))
        self.assertIsNone(self.sim.call_state(call))
        call = self.established("2008")
        self.good(CON, "Disconnect", token, ("connection", connection(self.leg(call, "52008")[0])))
        self.assertIsNone(self.sim.call_state(call))
        self.offered(token)

    def offered(self, token):
        """Accept and Alert ask for a leg that is still OFFERED: one that call screening holds back."""
        for operation in ("Accept", "Alert"):
            call = self.sim.incoming("2008", offered=True)["contactId"]
            self.assertEqual(self.states(call)["52008"], ("OFFERED", None))
            self.good(CON, operation, token, ("connection", connection(self.leg(call, "52008")[0])))
            self.assertEqual(self.states(call)["52008"], ("ALERTING", "RINGING"))
            self.sim.admin("POST", f"/calls/{call}/end")

    def session_calls(self, token):
        at, src = ("terminal", terminal("Line 1.0.2")), ("srcAddress", address("52002"))
        reply = self.good(SES, "CreateContact", token, at, src, ("dstAddress", address("52003")))
        what = ("contact", contact(reply.text("contactId")))
        other = ("terminal", terminal("Line 1.0.3"))
        self.good(SES, "AnswerContact", token, other, what)
        self.good(SES, "GenerateDTMF", token, at, what, ("digits", "1"))
        self.good(SES, "HoldContact", token, at, what)
        self.good(SES, "UnHoldContact", token, at, what)
        for start, finish in (("InitiateConference", "CompleteConference"),
                              ("InitiateSupervisedTransfer", "CompleteSupervisedTransfer")):
            to = "52005" if start == "InitiateConference" else "52006"
            consult = self.good(SES, start, token, at, what, ("address", address(to))).text("contactId")
            self.sim.admin("POST", f"/calls/{consult}/answer")
            self.good(SES, finish, token, at, what, ("consultedContact", contact(consult)))
        self.assertEqual(set(self.states(consult)), {"52003", "52005", "52006"})
        self.good(SES, "DropContact", token, other, ("contact", contact(consult)))
        self.assertEqual(set(self.states(consult)), {"52005", "52006"})
        self.good(SES, "TransferContact", token, ("terminal", terminal("Line 1.0.5")), ("contact", contact(consult)),
                  ("address", address("52003")))
        self.assertEqual(set(self.states(consult)), {"52003", "52006"})
        self.sim.admin("POST", f"/calls/{consult}/end")
        reply = self.good(ADR, "Originate", token, ("address", address("52002")), at,
                          ("destinationAddress", "+3531555"))
        call = reply.text("contactId")
        self.assertEqual(self.states(call)["+3531555"], ("NETWORK_ALERTING", None))
        self.sim.admin("POST", f"/calls/{call}/answer")
        self.assertEqual(self.states(call)["52002"], ("ESTABLISHED", "ACTIVE"))
        self.sim.admin("POST", f"/calls/{call}/end")

    def route_points(self, token):
        point = ("routePointAddress", address("RP_Sales", "ROUTE_POINT"))
        self.assertEqual(self.good(RPA, "IsControlled", token, point).text("response"), "false")
        self.good(RPA, "Control", token, point)
        self.assertEqual(self.good(RPA, "IsControlled", token, point).text("response"), "true")
        call = self.sim.incoming("RP_Sales")["contactId"]
        self.assertEqual(self.states(call)["RP_Sales"], ("CONTROLLED", None))
        waiting = connection(self.leg(call, "RP_Sales")[0])
        self.assertEqual(self.good(RPC, "GetCapabilities", token, ("connection", waiting)).text("canRoute"), "true")
        self.good(RPC, "GiveMediaTreatment", token, ("connection", waiting), ("treatment", treatment()))
        self.good(CNT, "GiveTreatment", token, ("contact", contact(call)),
                  ("address", address("RP_Sales", "ROUTE_POINT")), ("mediaTreatment", treatment()))
        self.good(RPC, "Route", token, ("routePointConnection", waiting), ("destinationAddress", "52002"))
        self.assertEqual(self.states(call)["52002"], ("ALERTING", "RINGING"))
        self.good(RPA, "ReleaseControl", token, point)
        self.good(CON, "Reject", token, ("connection", connection(self.leg(call, "52002")[0])))
        self.assertEqual(self.states(call)["RP_Sales"], ("QUEUED", None))
        waiting = connection(self.leg(call, "RP_Sales")[0])
        self.bad("RouteException", RPC, "Route", token, ("routePointConnection", waiting),
                 ("destinationAddress", "52002"))
        self.good(RPC, "RoutePointRetrieve", token, ("routePointConnection", waiting), ("address", address("52003")))
        self.assertEqual(self.states(call)["52003"], ("ALERTING", "RINGING"))
        self.sim.admin("POST", f"/calls/{call}/end")
        self.sim.admin("POST", "/agents/2002", {"loggedIn": True, "ready": True})
        queued = self.sim.incoming("RP_Support")
        reply = self.good(AGT, "Retrieve", token, ("agent", agent(2002)),
                          ("contactExternalId", queued["externalContactId"]))
        self.assertEqual(reply.text("contactId"), queued["contactId"])
        self.sim.admin("POST", f"/calls/{queued['contactId']}/end")

    def notification(self, token):
        reply = self.good(USR, "Subscribe", token, ("ConsumerEndpoint", "http://127.0.0.1:9/NotificationConsumer"))
        reference = reply.text("SubscriptionRef")
        self.assertTrue(reference.startswith("http://127.0.0.1:9/NotificationConsumer:"))
        self.assertEqual(len(self.sim.state()["subscriptions"]), 1)
        self.assertEqual(self.good(USR, "Unsubscribe", token, ("SubscriptionRef", reference)).text("Success"), "true")
        self.bad("UnsubscribeFailedFault", USR, "Unsubscribe", token, ("SubscriptionRef", reference))
        subscription = self.good(NP, "Subscribe", token, *subscribe_fields("2040-01-01T00:00:00Z"))
        reference = subscription_reference(subscription.text("SubscriptionId"))
        reply = self.good(NP, "Renew", token, reference, ("TerminationTime", "2035-06-01T12:00:00+02:00"))
        self.assertEqual(reply.text("TerminationTime"), "2035-06-01T10:00:00.000Z")
        reply = self.bad("UnacceptableTerminationTimeFault", NP, "Renew", token, reference,
                         ("TerminationTime", "2001-01-01T00:00:00Z"))
        self.assertEqual(len(reply.texts("MinimumTime")), 1)
        self.assertEqual(self.good(NP, "Unsubscribe", token, reference).text("Success"), "true")
        self.bad("ResourceUnknownFault", NP, "Unsubscribe", token, reference)

    def leave(self, token):
        self.good(SES, "LogOffFromCCTServer", token)
        self.bad("SessionNotCreatedException", SES, "LogOffFromCCTServer", token)
        self.good(USR, "LogOffFromCCTServer", self.sim.login())
        self.good(SES, "Dispose", self.sim.login())


WSA = 'xmlns:a="http://schemas.xmlsoap.org/ws/2003/03/addressing"'


def subscribe_fields(end=None, consumer="http://127.0.0.1:9/N", dialect=None):
    topic = '<b:NotificationTopic xmlns:b="http://www.nortel.com/soa/oi/cct/BaseNotification">' \
            "<b:ConnectionStateListener/></b:NotificationTopic>"
    policy = "".join(f'<n:{x}NotificationsEnabled xmlns:n="http://www.nortel.com/soa/oi/cct/notification">true'
                     f"</n:{x}NotificationsEnabled>"
                     for x in ("ConnectionFailure", "SessionTermination", "SessionTerminationImminent",
                               "SubscriptionTermination", "SubscriptionTerminationImminent"))
    fields = [("ConsumerReference", Raw(f"<a:Address {WSA}>{consumer}</a:Address><a:SubscriptionId {WSA}/>")),
              ("TopicExpression", Raw(topic)), ("SubscriptionPolicy", Raw(policy))]
    if end:
        fields.append(("InitialTerminationTime", end))
    return fields


def subscription_reference(subscription_id):
    return ("SubscriptionReference", Raw(f"<a:Address {WSA}>http://127.0.0.1/</a:Address>"
                                         f"<a:SubscriptionId {WSA}>{subscription_id}</a:SubscriptionId>"))


class Sessions(SimCase):
    args = ("--session-timeout-ms", "600")

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
        for _ in range(4):
            time.sleep(0.25)
            self.good(USR, "GetAgents", token, keep=False)
        for _ in range(4):
            time.sleep(0.25)
            self.good(USR, "GetVersion", None)
        self.bad("SessionNotCreatedException", USR, "GetAgents", token)
        self.bad("ResourceUnknownFault", NP, "Subscribe", token, *subscribe_fields())
        self.assertTrue(wait_until(lambda: self.sim.counters()["sessions"] == 0))

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


class Violations(SimCase):
    def expect(self, reply, statuses=(500,)):
        self.count = getattr(self, "count", 0) + 1
        self.assertIn(reply.status, statuses)
        if 500 in statuses:
            self.assertIn("e:Client", reply.body.decode())
            self.assertIsNone(reply.headers.get("nothing"))
        self.assertEqual(self.sim.counters()["violations"], self.count, self.sim.counters()["violationMessages"])

    def test_wrong_requests_are_counted_and_told(self):
        good = self.sim.envelope(USR, "GetVersion", None, ())
        path = self.sim.path(USR)
        post = lambda body, headers=None: self.sim.raw(path, body, headers)
        self.expect(post(b"<not closed"))
        self.expect(post(good.replace(b"GetVersionRequest", b"GetVersionRequests")))
        self.expect(post(b'<!DOCTYPE e [<!ENTITY x "y">]>' + good))
        self.expect(post(self.sim.envelope(USR, "GetAgents", None, ())))
        self.expect(post(self.sim.envelope(USR, "GetAddress", "t", (("wrong", "x"),))))
        self.expect(post(self.sim.envelope(AGT, "IsReady", "t", (("agent", agent(2001)),))))
        self.expect(post(good, {"Content-Type": "text/xml"}))
        self.expect(post(good, {"Content-Type": "application/json", "SOAPAction": '""'}))
        self.expect(post(good.replace(b"</e:Body>", b"</e:Body><e:More/>")))
        self.expect(self.sim.raw(path, None, {}, "GET"), (405,))
        self.expect(self.sim.raw("/SOAOICCT/services/NoService", good), (404,))
        self.expect(self.sim.raw(self.sim.path("OutboundUtilityWS"), good))
        token = self.sim.login()
        self.good(USR, "GetAgents", token)
        self.assertEqual(len(self.sim.counters()["violationMessages"]), self.count)
        self.sim.admin("POST", "/counters/reset")
        self.assertEqual(self.sim.counters()["violations"], 0)

    def test_malformed_http_is_counted(self):
        body = b"x"
        heads = [b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: -1\r\n",
                 b"Content-Length: 1\r\nContent-Length: 2\r\n", b"Content-Length : 1\r\n",
                 b"Transfer-Encoding: gzip\r\n", b""]
        for i, head in enumerate(heads):
            reply = self.exchange(b"POST /SOAOICCT/services/UserService HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n" + body)
            self.assertTrue(reply.startswith(b"HTTP/1.1 400 "), (head, reply))
            self.assertEqual(self.sim.counters()["violations"], i + 1)
        reply = self.exchange(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        self.assertTrue(reply.startswith(b"HTTP/1.1 400 "))

    def exchange(self, data):
        with open_socket(self.sim.port) as s:
            s.sendall(data)
            got = b""
            while chunk := s.recv(65536):
                got += chunk
        return got

    def test_chunked_pipelined_and_continued_requests_are_fine(self):
        envelope = self.sim.envelope(USR, "GetVersion", None, ())
        head = b"POST /SOAOICCT/services/UserService HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nSOAPAction: a\r\n"
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + envelope[:5] + \
            b"\r\n%x\r\n" % (len(envelope) - 5) + envelope[5:] + b"\r\n0\r\n\r\n"
        plain = head + b"Content-Length: %d\r\n\r\n" % len(envelope) + envelope
        last = head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(envelope) + envelope
        got = self.exchange(chunked + plain + last)
        self.assertEqual(got.count(b"HTTP/1.1 200 OK"), 3)
        with open_socket(self.sim.port) as s:
            s.sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(envelope))
            self.assertEqual(s.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            s.sendall(envelope)
            self.assertTrue(s.recv(65536).startswith(b"HTTP/1.1 200 OK"))
        self.assertEqual(self.sim.counters()["violations"], 0)


class Wsdl(SimCase):
    def test_contract_is_served_with_the_callers_host(self):
        for path in ("/SOAOICCT/services/AgentService?wsdl", "/SOAOICCT/services/AgentService?WSDL",
                     "/ccmmoutboundwebservices/OutboundContactWS.asmx?Wsdl"):
            reply = self.sim.raw(path, None, {"Host": "gateway.test:8080"}, "GET")
            self.assertEqual(reply.status, 200)
            text = reply.body.decode()
            name = path.split("?")[0]
            self.assertIn(f'address location="http://gateway.test:8080{name}"', text)
            self.assertNotIn('address location="http://localhost', text)
        reply = self.sim.raw("/SOAOICCT/services/types.xsd", None, {}, "GET")
        self.assertEqual((reply.status, reply.root.get("targetNamespace")),
                         (200, "http://www.nortel.com/soa/oi/cct/types"))
        self.assertEqual(self.sim.counters()["violations"], 0)


class Faults(SimCase):
    """Each kind of injected fault, seen from outside."""

    def ask(self, **more):
        return self.sim.call(USR, "GetVersion", None, keep=False, **more)

    def test_replies_that_are_no_soap(self):
        expected = {"garbage": (200, "text/xml;charset=utf-8"), "html": (200, "text/html"),
                    "http500": (500, "text/plain"), "empty": (200, "text/xml;charset=utf-8")}
        for kind, (status, content_type) in expected.items():
            self.sim.fault(kind, service="UserService", operation="GetVersion", count=1)
            reply = self.ask()
            self.assertEqual((reply.status, reply.headers["Content-Type"]), (status, content_type), kind)
            self.assertFalse(reply.ok, kind)
            self.assertEqual(reply.body == b"", kind == "empty")
            self.assertTrue(self.ask().ok, f"{kind} was to be once")

    def test_declared_faults_and_sessions(self):
        token = self.sim.login()
        self.sim.fault("fault", operation="IsReady", fault="IsReadyException", message="on purpose", count=2)
        for _ in range(2):
            reply = self.bad("IsReadyException", AGT, "IsReady", token, ("agent", agent(2001)))
            self.assertIn("on purpose", reply.fault_text)
        self.good(AGT, "IsReady", token, ("agent", agent(2001)))
        self.sim.fault("fault", operation="IsReady", fault="SomethingElseException", count=1)
        reply = self.sim.call(AGT, "IsReady", token, ("agent", agent(2001)), keep=False)
        self.assertEqual(reply.fault, "SomethingElseException")
        self.sim.fault("session", service=AGT)
        self.bad("SessionNotCreatedException", AGT, "IsReady", token, ("agent", agent(2001)))
        self.good(USR, "GetAgents", token)
        self.sim.clear_faults()
        self.good(AGT, "IsReady", token, ("agent", agent(2001)))

    def test_replies_of_wrong_content(self):
        token = self.sim.login()
        who = ("agent", agent(2002))
        self.sim.fault("wrongType", operation="IsReady")
        self.assertEqual(self.sim.call(AGT, "IsReady", token, who, keep=False).text("response"), "perhaps")
        self.sim.fault("wrongElement", operation="GetType")
        self.assertIn("GetActiveSessionCountResponse",
                      self.sim.call(AGT, "GetType", token, who, keep=False).body.decode())
        self.sim.fault("wrongElement", service=MET, operation="GetActiveSessionCount")
        self.assertIn("GetVersionResponse", self.sim.call(MET, "GetActiveSessionCount", token, keep=False).body.decode())
        self.sim.fault("doctype", operation="IsSupervisor")
        reply = self.sim.raw(self.sim.path(AGT), self.sim.envelope(AGT, "IsSupervisor", token, (who,)))
        self.assertIn(b"<!ENTITY lol9", reply.body)
        self.assertIn(b"IsSupervisorResponse", reply.body)

    def test_broken_connections(self):
        self.sim.fault("reset", operation="GetVersion", count=1)
        with self.assertRaises(ConnectionResetError):
            self.ask()
        self.sim.fault("truncate", operation="GetVersion", count=1)
        with self.assertRaises(Exception) as caught:
            self.ask()
        self.assertIn("IncompleteRead", repr(caught.exception))
        self.assertTrue(self.ask().ok)

    def test_hang_answers_nothing_and_hinders_nobody(self):
        self.sim.fault("hang", operation="GetVersion", count=1)
        with self.assertRaises(TimeoutError):
            self.ask(timeout=0.5)
        self.assertTrue(self.ask().ok)
        self.assertTrue(wait_until(lambda: self.sim.counters()["inFlight"] == 0))

    def post_raw(self):
        body = self.sim.envelope(USR, "GetVersion", None, ())
        s = open_socket(self.sim.port)
        s.sendall(b"POST /SOAOICCT/services/UserService HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n"
                  b"SOAPAction: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return s

    def test_drip_sends_a_byte_at_a_time(self):
        self.sim.fault("drip", operation="GetVersion", count=1)
        with self.post_raw() as s:
            started = time.monotonic()
            parts = [s.recv(100) for _ in range(5)]
            self.assertEqual(b"".join(parts), b"HTTP/")
            self.assertGreater(time.monotonic() - started, 0.6)

    def test_huge_does_not_end(self):
        self.sim.fault("huge", operation="GetVersion", count=1)
        with self.post_raw() as s:
            got = 0
            while got < 20_000_000:
                chunk = s.recv(1 << 20)
                self.assertTrue(chunk)
                got += len(chunk)
        self.assertTrue(self.ask().ok)

    def test_refuse_closes_the_door_until_cleared(self):
        self.assertTrue(self.ask().ok)
        self.sim.fault("refuse")
        with self.assertRaises((ConnectionError, OSError)):
            self.ask()
        with self.assertRaises(ConnectionRefusedError):
            open_socket(self.sim.port)
        self.sim.clear_faults()
        self.assertTrue(self.ask().ok)

    def test_commands_are_carried_out_or_not_as_told(self):
        token = self.sim.login()
        for execute in (False, True):
            call = self.sim.incoming("2018")["contactId"]
            leg = ("terminalConnection", termconn(self.leg(call, "52018")[1]))
            self.sim.fault("reset", operation="Answer", count=1, execute=execute)
            with self.assertRaises(ConnectionResetError):
                self.sim.call(TC, "Answer", token, leg)
            self.assertEqual(self.states(call)["52018"][1], "ACTIVE" if execute else "RINGING")
            self.sim.admin("POST", f"/calls/{call}/end")

    def test_unknown_kinds_are_refused(self):
        with self.assertRaises(RuntimeError):
            self.sim.fault("nonsense")

    def test_latency_delays_replies_side_by_side(self):
        self.sim.admin("POST", "/latency", {"ms": 300, "jitterMs": 0})
        started = time.monotonic()
        sockets = [self.post_raw() for _ in range(20)]
        for s in sockets:
            self.assertTrue(s.recv(65536).startswith(b"HTTP/1.1 200"))
            s.close()
        took = time.monotonic() - started
        self.assertGreater(took, 0.29)
        self.assertLess(took, 3)
        self.assertEqual(self.sim.counters()["maxInFlight"], 20)


class Outbound(SimCase):
    UTIL, CAMP, CONT = "OutboundUtilityWS", "OutboundCampaignWS", "OutboundContactWS"

    def key(self, **more):
        reply = self.good(self.UTIL, "OutboundLogin", None, ("username", "outboundadmin"), ("password", "secret"), **more)
        return reply.text("OutboundLoginResult")

    def refused(self, part, service, operation, *fields, **more):
        reply = self.sim.call(service, operation, None, *fields, **more)
        self.assertEqual(reply.status, 500)
        self.assertIn(part, reply.fault_text)

    def append_fields(self, campaign, key, number="5550001"):
        d = f'xmlns="{OUTBOUND_TYPES}"'
        body = (f"<ContactID {d}>0</ContactID><CustomFieldList {d}><OWCustomField><Name>Account</Name><Text>X1</Text>"
                f"<IsTextVisible>true</IsTextVisible></OWCustomField></CustomFieldList><PhoneNumber {d}>"
                f"<PhoneNo>{number}</PhoneNo></PhoneNumber><PreferredAgentID {d}>0</PreferredAgentID>"
                f"<PreferredAgentSpecified {d}>false</PreferredAgentSpecified><SkillsetID {d}>10001</SkillsetID>")
        return [("CampaignID", campaign), ("contact", Raw(body)), ("sessionKey", key)]

    def test_login(self):
        self.refused("Invalid user name", self.UTIL, "OutboundLogin", ("username", "outboundadmin"), ("password", "x"))
        key = self.key()
        self.refused("is already logged in", self.UTIL, "OutboundLogin", ("username", "outboundadmin"),
                     ("password", "secret"))
        self.good(self.CAMP, "GetCampaigns", None, ("sessionKey", key))
        self.good(self.UTIL, "OutboundLogoff", None, ("username", "outboundadmin"))
        self.refused("session key", self.CAMP, "GetCampaigns", ("sessionKey", key))
        key = self.key()
        self.sim.admin("POST", "/sessions/kill", {"user": "outboundadmin"})
        self.refused("session key", self.CAMP, "GetCampaigns", ("sessionKey", key))
        self.key()

    def test_campaigns_are_listed_completely(self):
        key = self.key()
        reply = self.good(self.CAMP, "GetCampaigns", None, ("sessionKey", key))
        sizes = dict(zip(map(int, reply.texts("ID")), map(int, reply.texts("NumberOfContacts"))))
        self.assertEqual(sizes, {101: 0, 102: 199, 103: 200, 104: 201, 105: 1234, 106: 20000})
        for campaign, size in sizes.items():
            last, seen, pages = 0, [], 0
            while True:
                reply = self.good(self.CAMP, "Get200CampaignContacts", None, ("CampaignID", campaign),
                                  ("LastContactID", last), ("sessionKey", key), keep=size < 1000)
                ids = [int(i) for i in reply.texts("ContactID")]
                if not ids:
                    break
                self.assertLessEqual(len(ids), 200)
                seen += ids
                last = ids[-1]
            self.assertEqual(len(seen), size)
            self.assertEqual(seen, sorted(set(seen)))
        self.refused("not active", self.CAMP, "Get200CampaignContacts", ("CampaignID", 107), ("LastContactID", 0),
                     ("sessionKey", key))

    def every_contact_operation(self, **more):
        key = self.key(**more)
        reply = self.good(self.CAMP, "AppendContactsToCampaign", None, *self.append_fields(101, key),
                          *((("priority", 1),) if self.sim.priority else ()), **more)
        self.assertEqual(reply.text("AppendContactsToCampaignResult"), "1")
        phone = Raw("<c:PhoneNo>5550001</c:PhoneNo>")
        reply = self.good(self.CONT, "GetContactIDByPhoneNumber", None, ("phoneNumber", phone), ("CampaignID", 101),
                          ("sessionkey", key), **more)
        contact_id = reply.text("GetContactIDByPhoneNumberResult")
        self.assertEqual(contact_id, "10100001")
        new = ("ContactStatus", Raw("<c:Id>0</c:Id><c:Name>New</c:Name>"))
        reply = self.good(self.CONT, "FindContactsByPhoneNumber", None, new, ("CampaignID", 101),
                          ("PhoneNumber", phone), ("sessionkey", key), **more)
        self.assertEqual(reply.texts("ContactID"), [contact_id])
        field = Raw("<c:Name>Account</c:Name><c:Text>X1</c:Text><c:IsTextVisible>true</c:IsTextVisible>")
        reply = self.good(self.CONT, "FindContactsByCustomField", None, ("CampaignID", 101), ("CustomField", field),
                          ("sessionkey", key), **more)
        self.assertEqual(reply.texts("ContactID"), [contact_id])
        self.status_and_close(key, contact_id, **more)
        self.good(self.CAMP, "GetCampaigns", None, ("sessionKey", key), **more)
        self.good(self.CAMP, "Get200CampaignContacts", None, ("CampaignID", 102), ("LastContactID", 10200100),
                  ("sessionKey", key), **more)
        self.good(self.UTIL, "OutboundLogoff", None, ("username", "outboundadmin"), **more)
        self.assertEqual(self.sim.counters()["violations"], 0, self.sim.counters()["violationMessages"])

    def status_and_close(self, key, contact_id, **more):
        status = lambda value, custom: self.good(
            self.CONT, "GetContactStatus", None, ("sessionKey", key), ("contactId", contact_id), ("campaignID", 101),
            ("customFieldName", "Account"), ("customFieldValue", value), ("customFieldPassed", custom), **more)
        self.assertEqual(status("X1", True).texts("Name"), ["New"])
        self.assertEqual(status("X2", True).texts("Name"), [])
        close = lambda code: [("campaignId", 101), ("contactId", contact_id), ("customFieldName", ""),
                              ("customFieldValue", ""), ("customFieldSpecified", False), ("closureText", "done"),
                              ("closedReasonCodeValue", code), ("closedReasonCodeSpecified", True),
                              ("sessionKey", key)]
        self.refused("disposition", self.CONT, "CloseContact", *close(99), **more)
        self.assertEqual(self.good(self.CONT, "CloseContact", None, *close(41), **more).text("CloseContactResult"), "1")
        self.assertEqual(status("", False).texts("Name"), ["Closed"])
        self.refused("closed already", self.CONT, "CloseContact", *close(41), **more)

    def test_every_operation_in_soap_11(self):
        self.every_contact_operation()

    def test_every_operation_in_soap_12(self):
        self.every_contact_operation(soap12=True)

    def test_searches_are_strict(self):
        key = self.key()
        self.refused("PhoneNo", self.CONT, "FindContactsByPhoneNumber", ("CampaignID", 102),
                     ("PhoneNumber", Raw("<c:AreaCode>91</c:AreaCode>")), ("sessionkey", key))
        reply = self.good(self.CONT, "GetContactIDByPhoneNumber", None, ("phoneNumber", Raw("<c:PhoneNo>0</c:PhoneNo>")),
                          ("CampaignID", 102), ("sessionkey", key))
        self.assertEqual(reply.text("GetContactIDByPhoneNumberResult"), "-1")


class OutboundPriority(Outbound):
    args = ("--priority",)

    def test_the_other_form_is_a_violation(self):
        reply = self.sim.call(self.CAMP, "AppendContactsToCampaign", None, *self.append_fields(101, "k"))
        self.assertEqual((reply.status, self.sim.counters()["violations"]), (500, 1))


class OutboundRateLimit(Outbound):
    args = ("--outbound-rate-limit",)

    def test_append_is_limited(self):
        key = self.key()
        self.good(self.CAMP, "AppendContactsToCampaign", None, *self.append_fields(101, key))
        self.refused("once per second", self.CAMP, "AppendContactsToCampaign", *self.append_fields(101, key))
        time.sleep(1.05)
        self.good(self.CAMP, "AppendContactsToCampaign", None, *self.append_fields(101, key))

    def status_and_close(self, key, contact_id, **more):
        pass  # closes three times within a second


class Large(SimCase):
    args = ("--agents", "5000")

    def setUp(self):
        started = time.monotonic()
        super().setUp()
        self.start_seconds = time.monotonic() - started

    def test_five_thousand_agents(self):
        self.assertLess(self.start_seconds, 15)
        token = self.sim.login()
        started = time.monotonic()
        reply = self.good(USR, "GetAgents", token, keep=False)
        self.assertLess(time.monotonic() - started, 2)
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
    parser.add_argument("--binary", default=os.path.join(ROOT, "build/release/cctsim"))
    parser.add_argument("--contract", default=os.path.join(ROOT, "conf/contract"))
    found, rest = parser.parse_known_args()
    options.binary, options.contract = os.path.abspath(found.binary), os.path.abspath(found.contract)
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    unittest.main(argv=[sys.argv[0]] + rest)


if __name__ == "__main__":
    main()
