"""The table of commands as tests drive it: for each row of gateway/command/table.c a state, the command in it, and what is to be seen."""
import os
import re

from commanding import line, of, position
from harness import PASSWORD, TOP

WHO, OTHER, BOSS = "2002", "2003", "2001"
OUTSIDE = "+35391555001"


# ---- states that commands are given in: each returns what paths and bodies are filled with ----

def idle(t):
    return {}


def logged_out(t):
    t.sim.admin("POST", "/agents/" + WHO, {"loggedIn": False})
    t.settle()
    return {}


def not_ready(t):
    t.sim.admin("POST", "/agents/" + WHO, {"loggedIn": True, "ready": False})
    t.settle()
    return {}


def has_call(t, call, agent=WHO):
    at = t.connection(call, position(agent))
    legs = at["terminalConnections"] if at else []
    return {"call": call, "connection": at["id"] if at else None, "leg": legs[0]["id"] if legs else None}


def ringing(t):
    return has_call(t, t.incoming(WHO))


def talking(t):
    return has_call(t, t.incoming(WHO, answer=True))


def talking_with_data(t):
    return has_call(t, t.incoming(WHO, answer=True, data={"case": "4711", "name": "O'Neill & <S>"}))


def offered(t):
    return has_call(t, t.incoming(WHO, offered=True))


def ringing_elsewhere(t):
    return has_call(t, t.incoming(OTHER), OTHER)


def talking_elsewhere(t):
    return has_call(t, t.incoming(OTHER, answer=True), OTHER)


def queued(t):
    call = t.sim.admin("POST", "/calls", {"to": "RP_Support"})
    t.settle()
    return {"call": call["contactId"], "external": call["externalContactId"]}


def controlled(t, on=True):
    """The route point is controlled, or not, by what the floor's application says."""
    if t.address("RP_Sales")["controlled"] != on:
        answer = t.send("PUT" if on else "DELETE", of("route-points", "RP_Sales") + "/control", {})
        t.assert_done(answer)
        t.settle()
    return {}


def uncontrolled(t):
    return controlled(t, False)


def waiting_at_route_point(t):
    controlled(t)
    call = t.incoming("RP_Sales")
    return {"call": call, "connection": t.connection(call, "RP_Sales")["id"]}


def with_command(before, method, path, body=None, key="consult"):
    """A state that a command of the same agent leads to."""
    def setup(t):
        context = before(t)
        answer = t.send(method, fill(path, context), fill(body or {}, context), lease=t.lease_now)
        t.assert_done(answer, "the way to the state")
        t.settle()
        if answer.body and "contactId" in answer.json:
            context[key] = answer.json["contactId"]
        return context
    return setup


held = with_command(talking, "POST", "/v1/calls/{call}/hold")
transferring = with_command(talking, "POST", "/v1/calls/{call}/transfer", {"to": position(OTHER), "mode": "supervised"})
conferring = with_command(talking, "POST", "/v1/calls/{call}/conference", {"to": position(OTHER), "mode": "supervised"})
recording = with_command(talking, "POST", "/v1/calls/{call}/recording", {"state": "start"})
undisturbed_terminal = with_command(idle, "PUT", of("terminals", line(WHO)) + "/do-not-disturb")
undisturbed_address = with_command(idle, "PUT", of("addresses", position(WHO)) + "/do-not-disturb")
forwarded_terminal = with_command(idle, "PUT", of("terminals", line(WHO)) + "/forwarding", {"to": position("2005")})
forwarded_address = with_command(idle, "PUT", of("addresses", position(WHO)) + "/forwarding", {"to": position("2005")})
with_uui = with_command(talking, "PUT", "/v1/calls/{call}/uui", {"uui": "04AB"})
with_intrinsics = with_command(talking, "PUT", "/v1/calls/{call}/intrinsics", {"MOOD": "good", "STEP": "1"})


def fill(what, context):
    if isinstance(what, str):
        return what.format(**context)
    if isinstance(what, dict):
        return {k: fill(v, context) for k, v in what.items()}
    return what


# ---- what is to be seen afterwards ----

def leg_is(state, agent=WHO):
    return lambda t, c, a: t.leg(c["call"], agent) == state


def connection_is(address, *states):
    return lambda t, c, a: (t.connection(c["call"], address) or {"state": None})["state"] in states


def parties(*addresses):
    return lambda t, c, a: {n["address"] for n in t.call(c["call"])["connections"]
                            if n["state"] != "DISCONNECTED"} >= set(addresses)


def call_gone(t, c, a):
    return t.call(c["call"]) is None


def new_call(called):
    """The answer names a new call to there."""
    return lambda t, c, a: t.call(a.json["contactId"])["called"] == called


def agent_is(**wanted):
    return lambda t, c, a: {k: t.agent(c.get("who", WHO))[k] for k in wanted} == wanted


def terminal_is(**wanted):
    return lambda t, c, a: {k: t.terminal(line(WHO))[k] for k in wanted} == wanted


def address_is(name, **wanted):
    return lambda t, c, a: {k: t.address(name)[k] for k in wanted} == wanted


def call_has(**wanted):
    return lambda t, c, a: {k: t.call(c["call"])[k] for k in wanted} == wanted


def forwards_to(kind, name):
    return lambda t, c, a: [f["destinationAddress"] for f in getattr(t, kind)(name)["forwarding"]] == [position("2004")]


def always(t, c, a):
    return True


def state(type, new):
    return ("cct." + type + ".state", lambda e: e["data"].get("newState") == new)


def property(type, name):
    return ("cct." + type + ".property", lambda e: e["data"].get("property") == name)


CALL = "/v1/calls/{call}"
AGENT = "/v1/agents/" + WHO
TERM = of("terminals", line(WHO))
ADDR = of("addresses", position(WHO))


class Row:
    """One row of the command table: a state, the command in it, and what is to be seen."""

    def __init__(self, name, setup, method, path, body, operation, effect, when=None, event=None, result=None, wrong=None,
                 fault_when_wrong=False, agent=WHO, undo=None, count=1, proven=False):
        self.name, self.setup, self.method, self.path, self.body = name, setup, method, path, body
        self.operation, self.effect, self.when, self.event, self.result = operation, effect, when, event, result
        self.wrong = wrong  # a state in which it cannot be: 409 capability-absent, or the contact centre's fault
        # nothing tells beforehand; "maybe": the flag follows calls without an event of its own, so that it may not be live (rule 19)
        self.fault_when_wrong = fault_when_wrong
        self.agent = agent  # whose FullControl it takes; None: nobody's
        self.undo, self.count = undo, count
        self.proven = proven  # an event shows that it is done


def undo_with(method, path, body=None):
    def undo(t, c):
        t.assert_done(t.send(method, fill(path, c), body or {}, lease=t.lease_now), "undone")
        t.settle()
    return undo


ROWS = [
    # agents
    Row("login", logged_out, "POST", AGENT + "/login",
        {"terminal": line(WHO), "password": PASSWORD, "initialState": "READY"}, "AgentTerminalService.Login",
        agent_is(loggedIn=True, ready=True, seat=line(WHO)), when="terminal|workstation",
        event=property("agent", "LOGIN_STATUS"), wrong=idle, proven=True),
    Row("login", logged_out, "POST", AGENT + "/login", {"password": PASSWORD}, "AgentService.Login",
        agent_is(loggedIn=True, ready=False), event=property("agent", "LOGIN_STATUS"), wrong=idle, proven=True),
    Row("logout", idle, "POST", AGENT + "/logout", {}, "AgentService.Logout", agent_is(loggedIn=False),
        event=property("agent", "LOGIN_STATUS"), wrong=logged_out, proven=True),
    Row("ready", not_ready, "PUT", AGENT + "/readiness", {"ready": True}, "AgentService.SetReady", agent_is(ready=True),
        when="ready=true", event=property("agent", "READY_STATUS"), wrong=logged_out, proven=True),
    Row("notReadyWithReason", idle, "PUT", AGENT + "/readiness", {"ready": False, "reasonCode": "3"},
        "AgentService.SetReady", agent_is(ready=False, reasonCode="3"), when="reasonCode",
        event=property("agent", "READY_STATUS"), wrong=logged_out, count=2, proven=True),
    Row("notReady", idle, "PUT", AGENT + "/readiness", {"ready": False}, "AgentService.SetReady",
        agent_is(ready=False), event=property("agent", "READY_STATUS"), wrong=logged_out, proven=True),
    Row("activityCodeOfCall", talking, "PUT", AGENT + "/activity-code", {"activityCode": "12", "terminalConnectionId": "{leg}"},
        "AgentTerminalConnectionService.SetActivityCode",
        lambda t, c, a: t.connection(c["call"], position(WHO))["terminalConnections"][0]["activityCode"] == "12",
        when="terminalConnectionId"),
    Row("activityCode", idle, "PUT", AGENT + "/activity-code", {"activityCode": "13"}, "AgentTerminalService.SetActivityCode",
        terminal_is(activityCode="13"), event=property("terminal", "ACTIVITY_CODE"), wrong=logged_out, fault_when_wrong="maybe", proven=True),
    Row("voiceTerminal", idle, "PUT", "/v1/agents/2001/voice-terminal", {"terminal": line(OTHER)},
        "AgentService.SetStaticVoiceTerminal", lambda t, c, a: t.agent(BOSS)["staticVoiceTerminal"] == line(OTHER),
        event=property("agent", "VOICE_TERMINAL"), agent=BOSS,
        undo=undo_with("PUT", "/v1/agents/2001/voice-terminal", {"terminal": line(BOSS)})),
    Row("supervisor", idle, "PUT", AGENT + "/supervisor", {"supervisor": "2011"}, "AgentService.SetSupervisor",
        agent_is(supervisor="2011"), event=property("agent", "INFORMATION"),
        undo=undo_with("PUT", AGENT + "/supervisor", {"supervisor": BOSS})),
    Row("callSupervisor", idle, "POST", AGENT + "/call-supervisor", {}, "AgentTerminalService.CallSupervisor",
        lambda t, c, a: [(c["calling"], c["called"]) for c in t.sim.state()["calls"]] == [(position(WHO), position(BOSS))],
        event=state("terminalConnection", "RINGING"), wrong=logged_out, fault_when_wrong="maybe"),
    Row("emergency", talking, "POST", AGENT + "/emergency", {}, "AgentTerminalConnectionService.EmergencyKey",
        connection_is(position(BOSS), "ALERTING"), event=state("connection", "ALERTING")),
    Row("retrieve", queued, "POST", AGENT + "/retrieve", {"externalContactId": "{external}"}, "AgentService.Retrieve",
        lambda t, c, a: t.leg(c["call"], WHO) == "RINGING" and a.json["contactId"] == c["call"], result="contactId",
        event=state("terminalConnection", "RINGING"), wrong=logged_out),

    # terminals and addresses
    Row("doNotDisturbOn", idle, "PUT", TERM + "/do-not-disturb", None, "TerminalService.SetDoNotDisturb",
        terminal_is(doNotDisturb=True), event=property("terminal", "DO_NOT_DISTURB"),
        undo=undo_with("DELETE", TERM + "/do-not-disturb"), proven=True),
    Row("doNotDisturbOff", undisturbed_terminal, "DELETE", TERM + "/do-not-disturb", None, "TerminalService.SetDoNotDisturb",
        terminal_is(doNotDisturb=False), event=property("terminal", "DO_NOT_DISTURB"), proven=True),
    Row("forward", idle, "PUT", TERM + "/forwarding", {"to": position("2004")}, "TerminalService.SetForwarding",
        forwards_to("terminal", line(WHO)), event=property("terminal", "FORWARDING"),
        undo=undo_with("DELETE", TERM + "/forwarding")),
    Row("cancelForwarding", forwarded_terminal, "DELETE", TERM + "/forwarding", None, "TerminalService.CancelForwarding",
        terminal_is(forwarding=[]), event=property("terminal", "FORWARDING")),
    Row("pickupFromGroup", ringing_elsewhere, "POST", TERM + "/pickup", {"group": "Group1"}, "TerminalService.PickupFromGroup",
        leg_is("ACTIVE"), when="group", result="terminalConnectionId", event=state("terminalConnection", "ACTIVE"), wrong=talking, fault_when_wrong="maybe"),
    Row("pickupFromTerminal", ringing_elsewhere, "POST", TERM + "/pickup", {"terminalConnectionId": "{leg}"},
        "TerminalService.PickupFromTerminal", leg_is("ACTIVE"), when="terminalConnectionId", result="terminalConnectionId",
        event=state("terminalConnection", "ACTIVE")),
    Row("pickupFromTerminal", ringing_elsewhere, "POST", TERM + "/pickup", {"from": line(OTHER)},
        "TerminalService.PickupFromTerminal", leg_is("ACTIVE"), when="from", result="terminalConnectionId",
        event=state("terminalConnection", "ACTIVE")),
    Row("pickupFromAddress", ringing_elsewhere, "POST", TERM + "/pickup", {"to": position(OTHER), "address": position(WHO)},
        "TerminalService.PickupFromAddress", leg_is("ACTIVE"), result="terminalConnectionId",
        event=state("terminalConnection", "ACTIVE"), wrong=talking, fault_when_wrong="maybe"),
    Row("doNotDisturbOn", idle, "PUT", ADDR + "/do-not-disturb", None, "AddressService.SetDoNotDisturb",
        address_is(position(WHO), doNotDisturb=True), event=property("address", "DO_NOT_DISTURB"),
        undo=undo_with("DELETE", ADDR + "/do-not-disturb"), proven=True),
    Row("doNotDisturbOff", undisturbed_address, "DELETE", ADDR + "/do-not-disturb", None, "AddressService.SetDoNotDisturb",
        address_is(position(WHO), doNotDisturb=False), event=property("address", "DO_NOT_DISTURB"), proven=True),
    Row("forward", idle, "PUT", ADDR + "/forwarding", {"to": position("2004")}, "AddressService.SetForwarding",
        forwards_to("address", position(WHO)), event=property("address", "FORWARDING"),
        undo=undo_with("DELETE", ADDR + "/forwarding")),
    Row("cancelForwarding", forwarded_address, "DELETE", ADDR + "/forwarding", None, "AddressService.CancelForwarding",
        address_is(position(WHO), forwarding=[]), event=property("address", "FORWARDING")),
    Row("messageWaitingOn", idle, "PUT", ADDR + "/message-waiting", {"messages": 3}, "AddressService.SetMessageWaiting",
        address_is(position(WHO), messageWaiting=True, messages=3), event=property("address", "MESSAGE_WAITING"),
        undo=undo_with("DELETE", ADDR + "/message-waiting")),
    Row("messageWaitingOff", with_command(idle, "PUT", ADDR + "/message-waiting", {}), "DELETE", ADDR + "/message-waiting", None,
        "AddressService.SetMessageWaiting", address_is(position(WHO), messageWaiting=False, messages=0),
        event=property("address", "MESSAGE_WAITING")),
    Row("sendInstantMessage", idle, "POST", ADDR + "/messages", {"to": position(OTHER), "message": "good morning"},
        "AddressService.SendInstantMessage", always),
    Row("controlRoutePoint", uncontrolled, "PUT", of("route-points", "RP_Sales") + "/control", None,
        "RoutePointAddressService.Control", address_is("RP_Sales", controlled=True), event=property("address", "CONTROLLED"),
        wrong=controlled, fault_when_wrong=True, agent=None, proven=True),
    Row("releaseRoutePoint", controlled, "DELETE", of("route-points", "RP_Sales") + "/control", None,
        "RoutePointAddressService.ReleaseControl", address_is("RP_Sales", controlled=False),
        event=property("address", "CONTROLLED"), wrong=uncontrolled, fault_when_wrong=True, agent=None, proven=True),

    # calls
    Row("makeCall", idle, "POST", "/v1/calls", {"from": {"agent": WHO}, "to": position(OTHER)}, "TerminalService.Originate",
        new_call(position(OTHER)), result="contactId", event=state("terminalConnection", "RINGING"), wrong=talking, fault_when_wrong="maybe", proven=True),
    Row("dropCall", talking, "DELETE", CALL, None, "ContactService.Drop", call_gone,
        event=state("terminalConnection", "DROPPED"), proven=True),
    Row("answer", ringing, "POST", CALL + "/answer", {}, "TerminalConnectionService.Answer", leg_is("ACTIVE"),
        event=state("terminalConnection", "ACTIVE"), wrong=talking, proven=True),
    Row("hold", talking, "POST", CALL + "/hold", {}, "TerminalConnectionService.Hold", leg_is("HELD"),
        event=state("terminalConnection", "HELD"), wrong=ringing, proven=True),
    Row("unhold", held, "POST", CALL + "/unhold", {}, "TerminalConnectionService.Unhold", leg_is("ACTIVE"),
        event=state("terminalConnection", "ACTIVE"), wrong=talking, proven=True),
    Row("drop", talking, "POST", CALL + "/drop", {}, "SessionService.DropContact", call_gone,
        event=state("terminalConnection", "DROPPED"), proven=True),
    Row("dtmf", talking, "POST", CALL + "/dtmf", {"digits": "0815#*"}, "TerminalConnectionService.GenerateDTMF", always,
        wrong=ringing),
    Row("blindTransfer", talking, "POST", CALL + "/transfer", {"to": position(OTHER), "mode": "blind"},
        "TerminalConnectionService.BlindTransfer", lambda t, c, a: t.leg(c["call"], OTHER) == "RINGING" and not t.leg(c["call"], WHO),
        when="mode=blind", event=state("terminalConnection", "RINGING"), wrong=ringing, proven=True),
    Row("initiateTransfer", talking, "POST", CALL + "/transfer", {"to": position(OTHER)},
        "TerminalConnectionService.InitiateSupervisedTransfer",
        lambda t, c, a: t.call(a.json["contactId"])["consultOf"] == c["call"] and t.leg(c["call"], WHO) == "AUTOHELD",
        result="contactId", event=state("terminalConnection", "AUTOHELD"), wrong=ringing, proven=True),
    Row("completeTransfer", transferring, "POST", CALL + "/transfer/complete", {"consultContactId": "{consult}"},
        "TerminalConnectionService.CompleteSupervisedTransfer",
        lambda t, c, a: t.call(c["call"]) is None and t.call(c["consult"])["transferredFrom"] == c["call"],
        event=state("terminalConnection", "DROPPED"), wrong=conferring, fault_when_wrong="maybe", proven=True),
    Row("addParty", talking, "POST", CALL + "/conference", {"to": position(OTHER), "mode": "blind"}, "ContactService.AddParty",
        parties(position(WHO), position(OTHER)), when="mode=blind", result="connectionId",
        event=state("connection", "ALERTING")),
    Row("initiateConference", talking, "POST", CALL + "/conference", {"to": position(OTHER)},
        "TerminalConnectionService.InitiateConference",
        lambda t, c, a: t.call(a.json["contactId"])["consultOf"] == c["call"], result="contactId",
        event=state("terminalConnection", "AUTOHELD"), wrong=ringing, proven=True),
    Row("completeConference", conferring, "POST", CALL + "/conference/complete", {"consultContactId": "{consult}"},
        "TerminalConnectionService.CompleteConference", parties(position(WHO), position(OTHER)),
        event=state("terminalConnection", "ACTIVE"), wrong=transferring, fault_when_wrong="maybe", proven=True),
    Row("consult", talking, "POST", CALL + "/consult", {"to": position(OTHER)}, "TerminalConnectionService.Consult",
        lambda t, c, a: t.call(a.json["contactId"])["consultOf"] == c["call"], result="contactId",
        event=state("terminalConnection", "AUTOHELD"), wrong=ringing, proven=True),
    Row("join", conferring, "POST", CALL + "/join", {"consultContactId": "{consult}"},
        "TerminalConnectionService.CompleteConference", parties(position(WHO), position(OTHER)), when="consultContactId",
        event=state("terminalConnection", "ACTIVE"), wrong=transferring, fault_when_wrong="maybe", proven=True),
    Row("addParty", talking, "POST", CALL + "/join", {"to": position(OTHER)}, "ContactService.AddParty",
        parties(position(WHO), position(OTHER)), result="connectionId", event=state("connection", "ALERTING")),
    Row("disconnect", talking, "POST", CALL + "/disconnect", {}, "ConnectionService.Disconnect", call_gone,
        event=state("connection", "DISCONNECTED"), proven=True),
    Row("accept", offered, "POST", CALL + "/accept", {}, "ConnectionService.Accept", leg_is("RINGING"),
        event=state("terminalConnection", "RINGING"), wrong=talking),
    Row("reject", ringing, "POST", CALL + "/reject", {}, "ConnectionService.Reject", call_gone,
        event=state("connection", "DISCONNECTED"), wrong=talking, proven=True),
    Row("redirect", ringing, "POST", CALL + "/redirect", {"to": position(OTHER)}, "ConnectionService.Redirect",
        lambda t, c, a: t.leg(c["call"], OTHER) == "RINGING" and not t.leg(c["call"], WHO), result="connectionId",
        event=state("connection", "DISCONNECTED"), wrong=talking, proven=True),
    Row("alert", offered, "POST", CALL + "/alert", {}, "ConnectionService.Alert", leg_is("RINGING"),
        event=state("connection", "ALERTING"), wrong=talking, proven=True),
    Row("observe", talking_elsewhere, "POST", CALL + "/observe", {"agent": BOSS}, "ContactService.Observe",
        leg_is("BRIDGED", BOSS), result="connectionId", event=state("terminalConnection", "BRIDGED"), agent=BOSS,
        wrong=ringing_elsewhere, fault_when_wrong="maybe"),
    Row("bargeIn", talking_elsewhere, "POST", CALL + "/barge-in", {"agent": BOSS}, "ContactService.BargeIn",
        leg_is("ACTIVE", BOSS), result="connectionId", event=state("terminalConnection", "ACTIVE"), agent=BOSS,
        wrong=ringing_elsewhere, fault_when_wrong="maybe"),
    Row("treatment", waiting_at_route_point, "POST", CALL + "/treatment",
        {"type": "MUSIC", "treatmentAddress": "7", "interruptible": True}, "ContactService.GiveTreatment", always, agent=None),
    Row("mediaTreatment", waiting_at_route_point, "POST", CALL + "/media-treatment",
        {"type": "MUSIC", "treatmentAddress": "7"}, "RoutePointConnectionService.GiveMediaTreatment", always, agent=None),
    Row("route", waiting_at_route_point, "POST", CALL + "/route", {"to": position(WHO)}, "RoutePointConnectionService.Route",
        leg_is("RINGING"), result="connectionId", event=state("terminalConnection", "RINGING"), agent=None, proven=True),
    Row("routePointRetrieve", waiting_at_route_point, "POST", CALL + "/retrieve", {"to": position(WHO)},
        "RoutePointConnectionService.RoutePointRetrieve", leg_is("RINGING"), event=state("terminalConnection", "RINGING"), agent=None),
    Row("startRecording", talking, "POST", CALL + "/recording",
        {"state": "start", "recordingUri": "rtp://recorder.example/1", "ipAddress": "192.0.2.9", "port": 5004,
         "transportType": "UDP", "recordingId": "77", "reasonCode": "QUALITY_RECORD"}, "ConnectionService.StartRecording",
        lambda t, c, a: t.connection(c["call"], position(WHO))["recording"] == "RECORDING", when="state=start",
        wrong=recording, fault_when_wrong=True),
    Row("stopRecording", recording, "POST", CALL + "/recording", {"state": "stop"}, "ConnectionService.StopRecording",
        lambda t, c, a: t.connection(c["call"], position(WHO))["recording"] == "NOT_RECORDING",
        wrong=talking, fault_when_wrong=True),

    # what a call carries
    Row("setData", talking_with_data, "PUT", CALL + "/data", {"order": "1 & 2", "%SKILL": "<x>"}, "ContactService.SetAttachedData",
        call_has(data={"order": "1 & 2", "%SKILL": "<x>"}), event=property("contact", "ATTACHED_DATA")),
    Row("appendData", talking_with_data, "PATCH", CALL + "/data", {"order": "1", "case": "4712"},
        "ContactService.SetAttachedData", call_has(data={"case": "4712", "name": "O'Neill & <S>", "order": "1"}),
        event=property("contact", "ATTACHED_DATA")),
    Row("deleteData", talking_with_data, "DELETE", CALL + "/data", None, "ContactService.SetAttachedData", call_has(data={}),
        event=property("contact", "ATTACHED_DATA")),
    Row("deleteDataKey", talking_with_data, "DELETE", CALL + "/data/case", None, "ContactService.SetAttachedData",
        call_has(data={"name": "O'Neill & <S>"}), event=property("contact", "ATTACHED_DATA")),
    Row("setIntrinsics", talking, "PUT", CALL + "/intrinsics", {"MOOD": "good"}, "ContactService.SetIntrinsics",
        call_has(intrinsics={"MOOD": "good"}), event=property("contact", "INTRINSICS")),
    Row("mergeIntrinsics", with_intrinsics, "PATCH", CALL + "/intrinsics", {"STEP": "2"}, "ContactService.SetIntrinsics",
        call_has(intrinsics={"MOOD": "good", "STEP": "2"}), event=property("contact", "INTRINSICS")),
    # the contract has no removal of an intrinsic, and what an emptied list does is the contact centre's: asked once, told truly
    Row("deleteIntrinsics", with_intrinsics, "DELETE", CALL + "/intrinsics", None, "ContactService.SetIntrinsics", always,
        event=property("contact", "INTRINSICS")),
    Row("deleteIntrinsic", with_intrinsics, "DELETE", CALL + "/intrinsics/STEP", None, "ContactService.SetIntrinsics",
        lambda t, c, a: t.call(c["call"])["intrinsics"]["MOOD"] == "good", event=property("contact", "INTRINSICS")),
    Row("setUui", talking, "PUT", CALL + "/uui", {"uui": "04CAFE"}, "ContactService.SetUUI", call_has(uui="04CAFE"),
        event=property("contact", "UUI")),
    Row("appendUui", with_uui, "PATCH", CALL + "/uui", {"uui": "CD"}, "ContactService.SetUUI", call_has(uui="04ABCD"),
        event=property("contact", "UUI")),
    Row("deleteUui", with_uui, "DELETE", CALL + "/uui", None, "ContactService.SetUUI", call_has(uui=""),
        event=property("contact", "UUI")),
    Row("setInstantMessage", talking, "PUT", CALL + "/messages", {"message": "one moment"},
        "ContactService.SetInstantMessages", always),
    Row("addInstantMessage", talking, "PATCH", CALL + "/messages", {"message": "and another"},
        "ContactService.SetInstantMessages", always),
]

# What no provider does (DOMAIN 4.3): where an operation exists its capability is never there, or the contact centre refuses; else 501
NEVER = [
    Row("park", talking, "POST", CALL + "/park", {"to": position(OTHER)}, "ConnectionService.Park", None),
    Row("whisper", talking_elsewhere, "POST", CALL + "/whisper", {"agent": BOSS, "to": line(OTHER)}, "ContactService.Whisper", None,
        agent=BOSS),
    Row("mute", talking, "POST", CALL + "/mute", {}, None, None),
    Row("unmute", talking, "POST", CALL + "/unmute", {}, None, None),
    Row("deleteInstantMessages", talking, "DELETE", CALL + "/messages", None, None, None),
]

CONTROL = {"attach", "release", "transferControl", "reserve", "unreserve"}  # test_control.py
RECORD = {"startRecording", "stopRecording"}


def table_rows():
    """(name, method, when) of every row of the gateway's table."""
    with open(os.path.join(TOP, "gateway/command/table.c")) as file:
        text = file.read()
    rows = re.findall(r'^    \{"([A-Z]+)", [^,]+(?:, )?(?:[^,"]*)?"(\w+)", TARGET_\w+, [^,]+, (NULL|"[^"]*"),', text, re.M)
    return [(name, method, None if when == "NULL" else when.strip('"')) for method, name, when in rows]
