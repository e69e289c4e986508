"""The contract as data: its reading operations over HTTP, and one that only this test's WSDL has."""
import json
import os
import shutil
import tempfile
from urllib.parse import quote

import jsonschema

import harness
from harness import Case, Gateway, Simulator, bearer, eventually, exchange
from test_live import CONSUMER, is_live

JSON = {"Content-Type": "application/json"}


class Recalled(Case):
    """A reading operation is answered from what events keep, where that is what the upstream would say, to the letter."""
    gateway_options = {"users": ("agent2001",), "consumer": CONSUMER}

    def test_is_what_the_upstream_says(self):
        eventually(lambda: is_live(self.gate, "agent2001"), "live")
        self.sim.admin("POST", "/agents/2001", {"loggedIn": True, "ready": True})
        agent, terminal, address = (self.ask("UserService", "Get" + kind, {}).json[kind.lower()][0]
                                    for kind in ("Agents", "Terminals", "Addresses"))
        for path in ("/v1/agents/2001", "/v1/terminals/" + quote(terminal["terminalName"]), "/v1/addresses/" + address["addressName"]):
            eventually(lambda: self.gate.get(path, "agent2001").json["sync"] == "live", path)
        recalled = 0
        for service, operation, body in (
                ("AgentService", "IsLoggedIn", {"agent": agent}), ("AgentService", "IsReady", {"agent": agent}),
                ("AgentService", "GetCapabilities", {"agent": agent}), ("AgentService", "GetContactTypes", {"agent": agent}),
                ("AgentService", "GetStaticVoiceTerminal", {"agent": agent}),
                ("TerminalService", "GetState", {"terminal": terminal}), ("TerminalService", "GetDoNotDisturb", {"terminal": terminal}),
                ("TerminalService", "GetCapabilities", {"terminal": terminal}), ("TerminalService", "GetForwarding", {"terminal": terminal}),
                ("AgentTerminalService", "GetCapabilities", {"terminal": terminal}),
                ("AgentTerminalService", "GetLoginId", {"terminal": terminal}),
                ("AddressService", "GetDoNotDisturb", {"address": address}), ("AddressService", "GetCapabilities", {"address": address}),
                ("AddressService", "GetMessageWaiting", {"address": address}), ("AddressService", "GetUri", {"address": address})):
            name = "%s.%s" % (service, operation)
            before = self.sim.calls(name)
            first = self.ask(service, operation, body)
            hit = bool(first.cache().get("hit"))
            self.assertEqual(self.sim.calls(name) - before, 0 if hit else 1, name)
            asked = self.ask(service, operation, body, {"Cache-Control": "no-cache"})
            self.assertFalse(asked.cache().get("hit"), asked)
            self.assertEqual((first.status, first.json if first.status == 200 else None),
                             (asked.status, asked.json if asked.status == 200 else None), name)
            recalled += hit
        self.assertGreaterEqual(recalled, 6)

    def ask(self, service, operation, body, headers=None):
        fields = dict(bearer("agent2001"), **JSON)
        fields.update(headers or {})
        return exchange(self.gate.port, "POST", "/v1/services/%s/%s" % (service, operation), fields, json.dumps(body))


class Services(Case):
    def call(self, service, operation, body="{}", who="agent2001", headers=None):
        fields = dict(bearer(who), **JSON)
        fields.update(headers or {})
        return exchange(self.gate.port, "POST", "/v1/services/%s/%s" % (service, operation), fields, body)

    def test_lists_them_all(self):
        items = self.gate.get("/v1/services").json["items"]
        cct = [i for i in items if i["namespace"].startswith("http://www.nortel.com/soa/oi/cct/")]
        self.assertEqual(len(cct), 15)
        self.assertEqual(sum(len(i["operations"]) for i in cct), 218)
        self.assertEqual(len(items), 18)

    def test_reads(self):
        agents = self.call("UserService", "GetAgents").json["agents"]
        self.assertEqual([a["agentLoginId"] for a in agents], ["2001"])
        answer = self.call("AgentService", "IsLoggedIn", json.dumps({"agent": agents[0]}))
        self.assertEqual(answer.status, 200, answer)
        self.assertIsInstance(answer.json["response"], bool)
        self.assertEqual(list(self.call("SessionService", "GetCurrentTerminalCount").json), ["value"])
        self.assertIn("version", self.call("AgentService", "GetVersion", "").json)

    def test_another_users_object_is_not_there(self):
        self.call("UserService", "GetAgents")
        before, bodies = self.sim.counters()["operations"], set()
        for name in ("2002", "2999"):
            body = json.dumps({"agent": {"agentLoginId": name, "userName": "agent" + name, "agentType": "Agent"}})
            bodies.add(self.assert_problem(self.call("AgentService", "IsLoggedIn", body), 404, "not-found").body)
        self.assertEqual(len(bodies), 1)
        self.assertEqual(self.sim.counters()["operations"], before)

    def test_legs(self):
        """Connections that nobody has told us of are found: one's own, and the far ones of one's calls; those of others are not."""
        mine, other = (self.sim.admin("POST", "/calls", {"to": agent, "answer": True})["connections"] for agent in ("2001", "2002"))
        for who, legs, status in (("agent2001", mine, 200), ("agent2001", other, 404), ("agent2002", other, 200), ("agent2001", [{"id": "nothing"}], 404)):
            for leg in legs:
                answer = self.call("ConnectionService", "GetState", json.dumps({"connection": {"connectionId": leg["id"]}}), who)
                self.assertEqual(answer.status, status, (who, leg, answer))
        for contact in {c["contactId"] for c in self.sim.state()["calls"]}:
            self.sim.admin("POST", "/calls/%s/end" % contact)

    def test_bad_bodies_name_the_place_and_cost_nothing(self):
        before = self.sim.counters()["total"]
        for body, pointer in (
                ('{"agent":{"agentLoginId":"2001","userName":"x"}}', "/agent/agentType"),
                ('{"agent":{"agentLoginId":2001,"userName":"x","agentType":"Agent"}}', "/agent/agentLoginId"),
                ('{"agent":{"agentLoginId":"2001","userName":"x","agentType":"Nobody"}}', "/agent/agentType"),
                ('{"agent":{"agentLoginId":"2001","userName":"x\\u0001","agentType":"Agent"}}', "/agent/userName"),
                ('{"agnt":{}}', "/ag"), ('{"ssoToken":{"token":"x"}}', "/ssoToken"), ("[]", ""), ("{", "")):
            answer = self.assert_problem(self.call("AgentService", "IsLoggedIn", body), 400, "bad-request")
            if pointer:
                self.assertTrue(answer.json["pointer"].startswith(pointer) or pointer.startswith(answer.json["pointer"]),
                                (body, answer.json))
            self.assertNotIn("Nobody", answer.body.decode())
        self.assert_problem(self.call("AgentService", "IsLoggedIn", "{}", headers={"Content-Type": "text/xml"}), 415)
        self.assert_problem(self.call("AgentService", "Nothing"), 404)
        self.assert_problem(self.call("Nothing", "GetAgents"), 404)
        self.assert_problem(self.call("UserService", "GetAgents", who="both"), 400, "user-required")
        self.assertEqual(self.sim.counters()["total"], before)

    def test_what_there_is(self):
        """A service, and each operation of it, with its schemas; examples are what their schemas say."""
        count = 0
        for name in ("AgentService", "SessionService"):
            service = self.gate.get("/v1/services/" + name).json
            self.assertEqual(service["name"], name)
            for listed in service["operations"]:
                told = self.gate.get("/v1/services/%s/%s" % (name, listed["name"])).json
                self.assertEqual({k: told[k] for k in listed}, listed)
                self.assertEqual(told["service"], name)
                for side in ("input", "output"):
                    jsonschema.Draft202012Validator(told[side]).validate(told["examples"][side])
                count += 1
        self.assertGreater(count, 60)
        self.assert_problem(self.gate.get("/v1/services/Nothing"), 404, "not-found")
        self.assert_problem(self.gate.get("/v1/services/AgentService/Nothing"), 404, "not-found")
        self.assert_problem(self.gate.get("/v1/services/AgentService?x=1"), 400, "bad-request")

    def test_kinds(self):
        kinds = {"%s.%s" % (s["name"], o["name"]): o["kind"]
                 for s in self.gate.get("/v1/services").json["items"] for o in s["operations"]}
        for name, kind in (("AgentService.IsLoggedIn", "read"), ("AgentService.Login", "command"),
                           ("SessionService.LoginAgent", "command"), ("UserService.LogIn", "session"),
                           ("UserService.LogOff", "session"), ("NotificationProducer.Subscribe", "subscription")):
            if name in kinds:
                self.assertEqual(kinds[name], kind, name)
        self.assertEqual(set(kinds.values()), {"read", "command", "session", "subscription"})

    def test_what_acts_is_refused(self):
        """A viewer calls nothing that acts, and without a lease nobody does."""
        before = self.sim.counters()["total"]
        count = 0
        for service in self.gate.get("/v1/services").json["items"]:
            for operation in service["operations"]:
                if operation["kind"] == "read" and not service["name"].startswith("Outbound"):
                    continue
                answer = self.call(service["name"], operation["name"], who="agent2002")
                self.assertIn(answer.status, (403, 404), (service["name"], operation["name"], answer))
                count += 1
        self.assertGreater(count, 95)
        self.assertEqual(self.sim.counters()["total"], before)


class Added(Case):
    """A copy of the contract with another operation: callable at once, on both sides, without a line of C."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="cctgate-contract-")
        contract = os.path.join(cls.directory, "contract")
        shutil.copytree(harness.CONTRACT, contract)
        wsdl = os.path.join(contract, "cct/AgentService.wsdl")
        with open(wsdl) as file:
            text = file.read()
        text = text.replace("</wsdl:types>", """</wsdl:types>
  <wsdl:message name="GetMoodRequest"><wsdl:part name="parameters" element="agt:GetMoodRequest"/></wsdl:message>
  <wsdl:message name="GetMoodResponse"/>""", 1)
        text = text.replace('<wsdl:portType name="AgentService">', """<wsdl:portType name="AgentService">
    <wsdl:operation name="GetMood"><wsdl:input message="tns:GetMoodRequest"/><wsdl:output message="tns:GetMoodResponse"/></wsdl:operation>""", 1)
        marker = "<soap:binding style=\"document\" transport=\"http://schemas.xmlsoap.org/soap/http\"/>"
        assert marker in text
        text = text.replace(marker, marker + """
    <wsdl:operation name="GetMood"><soap:operation soapAction="urn:mood" style="document"/>
      <wsdl:input><soap:body use="literal"/></wsdl:input><wsdl:output><soap:body use="literal"/></wsdl:output></wsdl:operation>""", 1)
        with open(wsdl, "w") as file:
            file.write(text)
        xsd = os.path.join(contract, "cct/AgentService.xsd")
        with open(xsd) as file:
            text = file.read()
        text = text.replace("</xs:schema>", """  <xs:element name="GetMoodRequest" type="agt:AgentRequest"/>
  <xs:element name="GetMoodResponse"><xs:complexType><xs:sequence>
    <xs:element name="mood" type="xs:int" maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element>
</xs:schema>""")
        with open(xsd, "w") as file:
            file.write(text)
        cls.sim = Simulator(contract=contract)
        cls.gate = Gateway(cls.sim, contract=contract)

    @classmethod
    def tearDownClass(cls):
        cls.gate.stop()
        counters = cls.sim.counters()
        cls.sim.stop()
        assert counters["violations"] == 0, counters.get("violationMessages")
        shutil.rmtree(cls.directory)

    def test_reaches_the_upstream(self):
        listed = {s["name"]: {o["name"] for o in s["operations"]} for s in self.gate.get("/v1/services").json["items"]}
        self.assertIn("GetMood", listed["AgentService"])
        body = '{"agent":{"agentLoginId":"2001","userName":"agent2001","agentType":"Agent"}}'
        answer = exchange(self.gate.port, "POST", "/v1/services/AgentService/GetMood",
                          dict(bearer("agent2001"), **JSON), body)
        self.assertEqual((answer.status, answer.json), (200, {}), answer)
        self.assertEqual(self.sim.calls("AgentService.GetMood"), 1)
        answer = exchange(self.gate.port, "POST", "/v1/services/AgentService/GetMood",
                          dict(bearer("agent2001"), **JSON), '{"agent":1}')
        self.assertEqual(answer.json["pointer"], "/agent")


if __name__ == "__main__":
    harness.main()
