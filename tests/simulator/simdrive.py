"""Drives a cctsim from tests: starts it, posts raw SOAP, keeps every reply for validation with xmllint."""

import http.client
import json
import os
import socket
import subprocess
import tempfile
import time
import types
import unittest
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

CCT = "http://www.nortel.com/soa/oi/cct/types"
SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
OUTBOUND = "http://nortel.com/CCMMOutboundWebservices/"
OUTBOUND_TYPES = "http://datatypes.outboundwebservices.ccmm.applications.nortel.com"
WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
FAULTS = "{http://www.nortel.com/soa/oi/cct/faults}"
options = types.SimpleNamespace(binary=None, contract=None)  # set by test_simulator.main

SES, USR, AGT, AGTT = "SessionService", "UserService", "AgentService", "AgentTerminalService"
ADR, TER, CNT, CON = "AddressService", "TerminalService", "ContactService", "ConnectionService"
TC, ATC = "TerminalConnectionService", "AgentTerminalConnectionService"
RPA, RPC, NP, MET = ("RoutePointAddressService", "RoutePointConnectionService", "NotificationProducer",
                     "MetricsService")
GUID = "00000000-0000-4000-8000-000000000000"


class Raw(str):
    """XML that is put into a request as it is."""


def address(name, kind="AGENT"):
    return Raw(
        f"<c:addressName>{escape(name)}</c:addressName><c:addressType>{kind}</c:addressType>"
        "<c:provider><c:providerName>Passive</c:providerName></c:provider><c:status>IN_SERVICE</c:status>")


def terminal(name):
    return Raw(
        f"<c:terminalName>{escape(name)}</c:terminalName><c:terminalType>AGENT</c:terminalType>"
        "<c:provider><c:providerName>Passive</c:providerName></c:provider><c:status>IN_SERVICE</c:status>")


def agent(login_id):
    return Raw(f"<c:agentLoginId>{login_id}</c:agentLoginId><c:userName>u</c:userName>"
               "<c:agentType>Agent</c:agentType>")


def contact(contact_id):
    return Raw(f"<c:contactId>{contact_id}</c:contactId><c:externalContactId>1</c:externalContactId>"
               "<c:provider><c:providerName>Passive</c:providerName></c:provider><c:contactTypes/>")


def connection(connection_id):
    return Raw(f"<c:connectionId>{connection_id}</c:connectionId>")


def termconn(termconn_id):
    return Raw(f"<c:terminalConnectionId>{termconn_id}</c:terminalConnectionId>")


def message(text, sender="52002"):
    return Raw(f"<c:message>{escape(text)}</c:message><c:sender>{sender}</c:sender><c:type>text</c:type>"
               "<c:timeStamp>2030-01-01T00:00:00Z</c:timeStamp>")


def treatment():
    return Raw("<c:treatmentAddress>7</c:treatmentAddress><c:treatmentTerminal/><c:treatmentParameter/>"
               "<c:type>MUSIC</c:type><c:interruptible>true</c:interruptible>")


def load_operations(contract):
    """{(service, operation): (namespace, element)} from the WSDL files."""
    found = {}
    for folder in ("cct", "outbound"):
        base = os.path.join(contract, folder)
        for name in sorted(os.listdir(base)):
            if not name.endswith(".wsdl") or name == "NotificationConsumer.wsdl":
                continue
            path = os.path.join(base, name)
            prefixes = dict(n for _, n in ET.iterparse(path, ["start-ns"]))
            root = ET.parse(path).getroot()
            elements = {}
            for m in root.iter(WSDL + "message"):
                part = m.find(WSDL + "part")
                if part is not None:
                    prefix, local = part.get("element").split(":")
                    elements[m.get("name")] = (prefixes[prefix], local)
            for op in root.find(WSDL + "portType").iter(WSDL + "operation"):
                input_message = op.find(WSDL + "input").get("message").split(":")[1]
                found[(name[:-5], op.get("name"))] = elements[input_message]
    return found


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body
        self.root = None
        self.fault = None
        self.fault_text = None
        try:
            self.root = ET.fromstring(body)
        except ET.ParseError:
            return
        fault = next((e for e in self.root.iter() if e.tag.endswith("}Fault")), None)
        if fault is not None:
            detail = fault.find("detail")
            self.fault = detail[0].tag.split("}")[1] if detail is not None and len(detail) else "plain"
            self.fault_text = "".join(fault.itertext())

    @property
    def ok(self):
        return self.status == 200 and self.fault is None and self.root is not None

    def texts(self, name):
        return [e.text or "" for e in self.root.iter() if e.tag.split("}")[-1] == name]

    def text(self, name):
        return self.texts(name)[0]

    @property
    def result(self):
        """The text of the reply element itself."""
        return self.root[0][0].text


class Sim:
    """One running simulator; `replies` holds (schema, body) of every SOAP reply that must be valid."""

    def __init__(self, binary, contract, *args):
        self.contract = contract
        self.operations = load_operations(contract)
        self.replies = []
        self.used = {}
        self.stderr = tempfile.TemporaryFile()
        self.priority = "--priority" in args
        self.process = subprocess.Popen([binary, "--contract", contract, *args], stdout=subprocess.PIPE,
                                        stderr=self.stderr)
        line = self.process.stdout.readline()
        if not line:
            self.stderr.seek(0)
            raise RuntimeError("cctsim did not start: " + self.stderr.read().decode())
        ready = json.loads(line)
        self.port, self.admin_port = ready["port"], ready["adminPort"]
        self.connection = None

    def stop(self):
        """Ends it; returns (exit status, stderr)."""
        if self.connection:
            self.connection.close()
        self.process.terminate()
        status = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.stderr.seek(0)
        text = self.stderr.read().decode(errors="replace")
        self.stderr.close()
        return status, text

    # --- admin ---

    def admin(self, method, path, body=None):
        conn = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=60)
        conn.request(method, path, json.dumps(body) if body is not None else None)
        reply = conn.getresponse()
        value = json.loads(reply.read())
        conn.close()
        if reply.status >= 400:
            raise RuntimeError(f"{method} {path}: {value}")
        return value

    def state(self):
        return self.admin("GET", "/state")

    def counters(self):
        return self.admin("GET", "/counters")

    def call_state(self, contact_id):
        return next((c for c in self.state()["calls"] if c["contactId"] == contact_id), None)

    def agent_state(self, agent_id):
        return next(a for a in self.state()["agents"] if a["id"] == agent_id)

    def incoming(self, to, **more):
        return self.admin("POST", "/calls", dict({"from": "+35391123456", "to": to}, **more))

    def fault(self, kind, **more):
        self.admin("POST", "/faults", dict({"kind": kind}, **more))

    def clear_faults(self):
        self.admin("DELETE", "/faults")

    # --- SOAP ---

    def path(self, service):
        if service.startswith("Outbound"):
            return f"/ccmmoutboundwebservices/{service}.asmx"
        return f"/SOAOICCT/services/{service}"

    def raw(self, path, body, headers=None, method="POST", timeout=60):
        """One request on the kept-alive connection; returns a Reply."""
        if self.connection is None or self.connection.timeout != timeout:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        if headers is None:
            headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
        try:
            self.connection.request(method, path, body, headers)
            reply = self.connection.getresponse()
            return Reply(reply.status, dict(reply.getheaders()), reply.read())
        except Exception:
            self.connection.close()
            self.connection = None
            raise

    def envelope(self, service, operation, token, fields, soap12=False):
        ns, element = self.operations[(service, operation)]
        types = OUTBOUND_TYPES if service.startswith("Outbound") else CCT
        fields = list(fields)
        if token is not None:
            sso = ("ssoToken", Raw(f"<c:token>{token}</c:token>"))
            wrapped = operation in ("Subscribe", "Unsubscribe", "Renew")
            fields.insert((1 if operation == "Renew" else len(fields)) if wrapped else 0, sso)
        body = ""
        for name, value in fields:
            if isinstance(value, bool):
                value = "true" if value else "false"
            text = value if isinstance(value, Raw) else escape(str(value))
            body += f"<r:{name}>{text}</r:{name}>"
        soap = SOAP12 if soap12 else SOAP11
        return (f'<e:Envelope xmlns:e="{soap}"><e:Body><r:{element} xmlns:r="{ns}" xmlns:c="{types}">{body}'
                f"</r:{element}></e:Body></e:Envelope>").encode()

    def keep(self, service, reply, soap12=False):
        if service.startswith("Outbound"):
            kind = "check-soap12.xsd" if soap12 else "check-soap11.xsd"
            if self.priority and not soap12:
                kind = "check-soap11-priority.xsd"
            schema = os.path.join(self.contract, "outbound", "xsd", kind)
        else:
            schema = os.path.join(self.contract, "cct", "samples", "soap11-envelope.xsd")
        self.replies.append((schema, reply.body))

    def call(self, service, operation, token, *fields, soap12=False, keep=True, timeout=60):
        headers = None
        if soap12:
            headers = {"Content-Type": "application/soap+xml; charset=utf-8"}
        reply = self.raw(self.path(service), self.envelope(service, operation, token, fields, soap12), headers,
                         timeout=timeout)
        if keep:
            self.keep(service, reply, soap12)
        if reply.ok:
            self.used[(service, operation)] = self.used.get((service, operation), 0) + 1
        return reply

    def login(self, user="supervisor", password="secret", domain="CC", service="UserService"):
        level = Raw(f"<c:username>{user}</c:username><c:password>{password}</c:password>"
                    f"<c:domain>{domain}</c:domain>")
        reply = self.call(service, "LogInToCCTServer", None, ("authenticationLevel", level))
        return reply.text("token") if reply.ok else None

    def invalid_replies(self):
        """What xmllint says against the kept replies; empty when all are valid."""
        by_schema = {}
        for schema, body in self.replies:
            by_schema.setdefault(schema, set()).add(body)
        complaints = []
        with tempfile.TemporaryDirectory() as folder:
            for schema, bodies in by_schema.items():
                names = []
                for i, body in enumerate(sorted(bodies)):
                    names.append(os.path.join(folder, f"{i}.xml"))
                    with open(names[-1], "wb") as f:
                        f.write(body)
                for i in range(0, len(names), 200):
                    run = subprocess.run(["xmllint", "--noout", "--schema", schema, *names[i:i + 200]],
                                         stderr=subprocess.PIPE)
                    if run.returncode != 0:
                        complaints += [x for x in run.stderr.decode().splitlines() if not x.endswith("validates")]
        return complaints


def wait_until(condition, seconds=60):
    """Polls until `condition()` holds; False when it never does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def open_socket(port):
    return socket.create_connection(("127.0.0.1", port), timeout=60)


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
