"""All 217 CCT operations of cctsim, driven once at least."""

from simdrive import (ADR, AGT, AGTT, ATC, CNT, CON, MET, NP, RPA, RPC, SES, TC, TER, USR, Raw, SimCase, address, agent, connection,
                      contact, message, subscribe_fields, subscription_reference, termconn, terminal, treatment)


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
