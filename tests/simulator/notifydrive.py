"""A consumer of Notify for tests, and a small model that is fed by nothing but what the consumer got."""

import http.server
import os
import threading
import xml.etree.ElementTree as ET

from simdrive import NP, USR, WSA, Raw, options, subscription_reference, wait_until

ENVELOPE = "{http://schemas.xmlsoap.org/soap/envelope/}"
LISTENERS = {"CONNECTION_STATE": "ConnectionStateListener",
             "TERMINAL_CONNECTION_STATE": "TerminalConnectionStateListener",
             "CONTACT_PROPERTY": "ContactPropertyListener", "AGENT_PROPERTY": "AgentPropertyListener",
             "TERMINAL_PROPERTY": "TerminalPropertyListener", "ADDRESS_PROPERTY": "AddressPropertyListener",
             "ADDRESS_STATE": "AddressStateListener", "TERMINAL_STATE": "TerminalStateListener",
             "AGENT_STATE": "AgentStateListener", "SERVICE_PROVIDER_STATUS": "ServiceProviderStatusListener",
             "FORCE_DISCONNECT": "ForceDisconnectListener", "DEFAULT_TREATMENT": "DefaultTreatmentListener"}
ORDER = ["ADDRESS_PROPERTY", "TERMINAL_PROPERTY", "CONTACT_PROPERTY", "AGENT_PROPERTY", "CONNECTION_STATE",
         "TERMINAL_CONNECTION_STATE", "ADDRESS_STATE", "TERMINAL_STATE", "AGENT_STATE", "SERVICE_PROVIDER_STATUS",
         "FORCE_DISCONNECT", "DEFAULT_TREATMENT"]
POLICY = ("ConnectionFailure", "SessionTermination", "SessionTerminationImminent", "SubscriptionTermination",
          "SubscriptionTerminationImminent")


def local(element):
    return element.tag.rsplit("}", 1)[-1]


def tree(element):
    """An element as nested dicts of local names; repeated children as lists."""
    if not len(element):
        return element.text or ""
    found = {}
    for child in element:
        name, value = local(child), tree(child)
        if name == "item":
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


class Event:
    """One NotificationMessage."""

    def __init__(self, message):
        whole = tree(message)
        self.topic = whole["Topic"]
        self.producer = whole["ProducerReference"]
        self.session, self.subscription = whole["SessionId"], whole["SubscriptionId"]
        self.timestamp = whole["Timestamp"]
        self.type = whole["Message"].pop("EventType")
        (self.element, self.body), = whole["Message"].items()

    @property
    def what(self):
        """The state or property that the event tells."""
        for key in ("NewState", "ContactProperty", "AgentProperty", "TerminalProperty", "AddressProperty", "State",
                    "Status", "SystemEvent"):
            if key in self.body:
                return self.body[key]
        return None

    def value(self):
        """The element with the property's new value, None when there is none."""
        names = [n for n in self.body if "Property" in n and n not in (
            "ContactProperty", "AgentProperty", "TerminalProperty", "AddressProperty")]
        return (names[0], self.body[names[0]]) if names else None


class Consumer:
    """Takes Notify at `url`; `bodies` as they came. `answer` may be changed while it runs."""

    def __init__(self):
        self.bodies, self.batches, self.requests = [], [], []
        self.lock = threading.Lock()
        self.answer = (202, b"")
        self.hold = None  # an Event to wait for before answering
        self.at_once = self.most_at_once = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                outer.take(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # the simulator may hang up on a consumer that is slow on purpose
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/N%20x?secret=1"

    def take(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            hold, (status, text) = self.hold, self.answer
        if hold is not None:
            hold.wait(30)
        with self.lock:
            self.at_once -= 1
            self.requests.append((request.path, dict(request.headers), request.client_address))
            if 200 <= status < 300:
                notify = ET.fromstring(body).find(ENVELOPE + "Body")[0]
                self.batches.append([Event(m) for m in notify])
                self.bodies.append(body)
        request.send_response(status)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def events(self, *types, subscription=None):
        with self.lock:
            found = [e for batch in self.batches for e in batch]
        return [e for e in found if (not types or e.type in types) and subscription in (None, e.subscription)]

    def clear(self):
        with self.lock:
            self.batches.clear()

    def wait_for(self, count, *types, seconds=60):
        """Waits for at least `count` events; returns those there are."""
        wait_until(lambda: len(self.events(*types)) >= count, seconds)
        return self.events(*types)

    def keep_for_validation(self, sim):
        schema = os.path.join(options.contract, "cct", "samples", "soap11-envelope.xsd")
        with self.lock:
            sim.replies += [(schema, b) for b in self.bodies]


def listener(kind, entities="", *values):
    """A listener element with raw entities and plain values."""
    value = {"CONNECTION_STATE": "ConnectionStateEvent", "TERMINAL_CONNECTION_STATE": "TerminalConnectionStateEvent",
             "CONTACT_PROPERTY": "ContactPropertyEvent", "AGENT_PROPERTY": "AgentPropertyEvent",
             "TERMINAL_PROPERTY": "TerminalPropertyEvent", "ADDRESS_PROPERTY": "AddressPropertyEvent"}.get(kind, "State")
    inner = entities + "".join(f"<b:{value}>{v}</b:{value}>" for v in values)
    return f"<b:{LISTENERS[kind]}>{inner}</b:{LISTENERS[kind]}>"


def entity(name, inner):
    return f'<b:{name} xmlns:c="http://www.nortel.com/soa/oi/cct/types">{inner}</b:{name}>'


def subscribe(case, token, consumer, listeners=None, policy=POLICY, end=None):
    """Through NotificationProducer; returns the subscription id."""
    listeners = listeners if listeners is not None else "".join(listener(kind) for kind in ORDER)
    topic = '<b:NotificationTopic xmlns:b="http://www.nortel.com/soa/oi/cct/BaseNotification">' \
            f"{listeners}</b:NotificationTopic>"
    flags = "".join(f'<n:{x}NotificationsEnabled xmlns:n="http://www.nortel.com/soa/oi/cct/notification">'
                    f"{'true' if x in policy else 'false'}</n:{x}NotificationsEnabled>" for x in POLICY)
    fields = [("ConsumerReference", Raw(f"<a:Address {WSA}>{consumer.url}</a:Address><a:SubscriptionId {WSA}/>")),
              ("TopicExpression", Raw(topic)), ("SubscriptionPolicy", Raw(flags))]
    if end:
        fields.append(("InitialTerminationTime", end))
    return case.good(NP, "Subscribe", token, *fields).text("SubscriptionId")


def subscribe_to_all(case, token, consumer):
    """Through UserService; returns the subscription id."""
    reference = case.good(USR, "Subscribe", token, ("ConsumerEndpoint", consumer.url)).text("SubscriptionRef")
    case.assertTrue(reference.startswith(consumer.url + ":"))
    return reference[len(consumer.url) + 1:]


def reference(subscription_id):
    return subscription_reference(subscription_id)


def flags(capabilities):
    return {k: v == "true" for k, v in capabilities.items()}


class Model:
    """What a client knows that reads a snapshot of the truth and then only listens."""

    def __init__(self, truth):
        self.agents = {a["id"]: a for a in truth["agents"]}
        self.terminals = {t["name"]: t for t in truth["terminals"]}
        self.addresses = {a["name"]: a for a in truth["addresses"]}
        self.calls = {}
        for call in truth["calls"]:
            call = dict(call)
            call["legs"] = {c["id"]: {"address": c["address"], "state": c["state"],
                                      "at": {t["id"]: (t["terminal"], t["state"]) for t in c["terminalConnections"]}}
                            for c in call["connections"]}
            self.calls[call["contactId"]] = call
        self.gaps = []

    def call(self, contact):
        return self.calls.setdefault(contact["contactId"], {"legs": {}, "uui": "", "data": {}, "intrinsics": {},
                                                            "externalContactId": contact["externalContactId"],
                                                            "lastRedirected": None, "callingTerminal": None})

    def apply(self, event):
        getattr(self, event.type.lower())(event.body, event)

    def connection_state(self, b, _):
        legs = self.call(b["Contact"])["legs"]
        leg = legs.setdefault(b["Connection"]["connectionId"],
                              {"address": b["Address"]["addressName"], "state": "IDLE", "at": {}})
        if leg["state"] != b["PreviousState"]:
            self.gaps.append((leg["state"], b["PreviousState"], b["NewState"]))
        leg["state"], leg["capabilities"] = b["NewState"], flags(b["ConnectionCapabilities"])
        if b["NewState"] == "DISCONNECTED":
            del legs[b["Connection"]["connectionId"]]
            if not legs:
                del self.calls[b["Contact"]["contactId"]]

    def terminal_connection_state(self, b, _):
        leg = self.call(b["Contact"])["legs"].setdefault(
            b["Connection"]["connectionId"], {"address": None, "state": "IDLE", "at": {}})
        at, key = leg["at"], b["TerminalConnection"]["terminalConnectionId"]
        if at.get(key, (None, "IDLE"))[1] != b["PreviousState"]:
            self.gaps.append((at.get(key), b["PreviousState"], b["NewState"]))
        at[key] = (b["Terminal"]["terminalName"], b["NewState"])
        if b["NewState"] == "DROPPED":
            del at[key]

    def contact_property(self, b, event):
        call, value = self.calls.get(b["Contact"]["contactId"]), event.value()
        if call is None or value is None:
            return
        name, v = value
        if name == "ContactPropertyUui":
            call["uui"] = v["uui"]
        elif name == "ContactPropertyCallingAddress":
            call["calling"] = v["callingAddress"]["addressName"]
        elif name == "ContactPropertyCalledAddress":
            call["called"] = v["calledAddress"]["addressName"]
        elif name == "ContactPropertyCallingTerminal":
            call["callingTerminal"] = v["callingTerminal"]["terminalName"]
        elif name == "ContactPropertyLastRedirectedAddress":
            call["lastRedirected"] = v["lastRedirectedAddress"]["addressName"]
        elif name == "ContactPropertyIntrinsicArray":
            call["intrinsics"] = {i["key"]: i["value"] for i in v["item"]} if v else {}
        elif name == "ContactPropertyAttachedData":
            pairs = v["attachedData"].get("keyValueData")
            if pairs is not None:
                call["data"] = {i["key"]: i["value"] for i in pairs["item"]} if pairs else {}
            elif "stringData" in v["attachedData"]:
                call["data"] = v["attachedData"]["stringData"]
            else:
                call["data"] = [int(i) for i in v["attachedData"]["binaryData"]["item"]]

    def agent_property(self, b, _):
        agent = self.agents[b["Agent"]["agentLoginId"]]
        if b["AgentProperty"] == "LOGIN_STATUS":
            agent["loggedIn"] = b["AgentPropertyLoginStatus"]["status"] == "LOGGED_IN"
        elif b["AgentProperty"] == "READY_STATUS":
            agent["ready"] = b["AgentPropertyReadyStatus"]["status"] == "true"
            agent["reasonCode"] = b["AgentPropertyReadyStatus"]["reasonCode"]
        elif b["AgentProperty"] == "INFORMATION":
            agent["seat"] = b["AgentPropertyInformation"]["tnName"] or None

    def terminal_property(self, b, _):
        terminal = self.terminals[b["Terminal"]["terminalName"]]
        kind = b["TerminalProperty"]
        if kind == "READY_STATUS":
            terminal["ready"] = b["AgentTerminalPropertyReadyStatus"]["status"] == "true"
            terminal["reasonCode"] = b["AgentTerminalPropertyReadyStatus"]["reasonCode"]
        elif kind == "ACTIVITY_CODE":
            terminal["activityCode"] = b["AgentTerminalPropertyActivityCode"]["activityCode"]
        elif kind == "DO_NOT_DISTURB":
            terminal["doNotDisturb"] = b["TerminalPropertyDoNotDisturb"]["doNotDisturbSet"] == "true"
        elif kind == "FORWARDING":
            terminal["forwarding"] = forwardings(b["TerminalPropertyForwardingArray"])

    def address_property(self, b, _):
        address = self.addresses[b["Address"]["addressName"]]
        kind = b["AddressProperty"]
        if kind == "DO_NOT_DISTURB":
            address["doNotDisturb"] = b["AddressPropertyDoNotDisturb"]["doNotDisturbSet"] == "true"
        elif kind == "FORWARDING":
            address["forwarding"] = forwardings(b["AddressPropertyForwardingArray"])
        elif kind == "MESSAGE_WAITING":
            address["messages"] = int(b["AddressPropertyMessageWaiting"]["numberMessageWaiting"])

    def differences(self, truth):
        """Sentences on what the model has otherwise than the truth."""
        found = []

        def compare(where, mine, true, keys):
            found.extend(f"{where}.{k}: {mine.get(k)!r}, truly {true[k]!r}" for k in keys if mine.get(k) != true[k])

        for a in truth["agents"]:
            compare("agent " + a["id"], self.agents[a["id"]], a, ("loggedIn", "ready", "reasonCode", "seat"))
        for t in truth["terminals"]:
            compare(t["name"], self.terminals[t["name"]], t,
                    ("ready", "reasonCode", "activityCode", "doNotDisturb", "forwarding"))
        for a in truth["addresses"]:
            compare(a["name"], self.addresses[a["name"]], a, ("doNotDisturb", "forwarding", "messages"))
        self.compare_calls(truth, found, compare)
        return found

    def compare_calls(self, truth, found, compare):
        if set(self.calls) != {c["contactId"] for c in truth["calls"]}:
            found.append("other calls: " + str(set(self.calls) ^ {c["contactId"] for c in truth["calls"]}))
            return
        for c in truth["calls"]:
            mine = self.calls[c["contactId"]]
            compare(c["contactId"], mine, c, ("calling", "called", "data", "uui", "intrinsics", "lastRedirected",
                                              "callingTerminal", "externalContactId"))
            legs = {i: (l["address"], l["state"], l["at"]) for i, l in mine["legs"].items()}
            true = {x["id"]: (x["address"], x["state"],
                              {t["id"]: (t["terminal"], t["state"]) for t in x["terminalConnections"]})
                    for x in c["connections"]}
            if legs != true:
                found.append(f"legs of {c['contactId']}: {legs}, truly {true}")


def forwardings(array):
    return [{"caller": i["caller"], "destinationAddress": i["destinationAddress"], "type": int(i["type"]),
             "whichCalls": int(i["filter"])} for i in array["item"]] if array else []
