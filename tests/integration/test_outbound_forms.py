"""Every Outbound operation through the gateway, in SOAP 1.1 and 1.2 and both forms of append. The simulator validates each message by its
XSD, so a name in other letters, an element out of order or of another type would be among its violations."""
import os
import shutil
import tempfile

import harness
from harness import CONTRACT, eventually
from outbounding import CAMPAIGN, CAMPAIGNS, CONTACT, UTILITY, OutboundCase

# operations.md; the name, and how often the test calls it at least
OPERATIONS = {
    UTILITY: ("OutboundLogin", "OutboundLogoff"),
    CAMPAIGN: ("GetCampaigns", "AppendContactsToCampaign", "Get200CampaignContacts"),
    CONTACT: ("GetContactStatus", "CloseContact", "GetContactIDByPhoneNumber", "FindContactsByPhoneNumber",
              "FindContactsByCustomField"),
}


class Soap11(OutboundCase):
    soap, priority = "1.1", False

    @classmethod
    def setUpClass(cls):
        cls.contract = CONTRACT
        if cls.priority:
            cls.contract = tempfile.mkdtemp(prefix="cctgate-contract-")
            shutil.copytree(CONTRACT, cls.contract, dirs_exist_ok=True)
            outbound = os.path.join(cls.contract, "outbound")
            shutil.copy(os.path.join(outbound, "variant-priority", CAMPAIGN + ".wsdl"), outbound)
        cls.simulator_options = {"agents": 2, **({"priority": True} if cls.priority else {})}
        cls.config = {"contract": cls.contract}
        cls.outbound = {"soapVersion": cls.soap}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        if cls.contract != CONTRACT:
            shutil.rmtree(cls.contract)

    def append(self, contact):
        answer = self.post("%s/101/contacts" % CAMPAIGNS, contact)
        self.assertEqual(answer.status, 202, answer)
        job = answer.headers["location"]
        done = eventually(lambda: (lambda a: a if a["state"] not in ("waiting", "running") else None)(self.get(job).json),
                          "the contact is appended")
        self.assertEqual((done["state"], done["done"]), ("done", 1), done)

    def test_every_operation(self):
        self.append({"firstName": "Ann", "lastName": "O'Neill & <Co>", "skillsetId": 10001, "emailAddress": "ann@example.com",
                     "address": {"addressLine1": "1 Main Street", "country": "Ireland"}, "title": "Ms",
                     "phoneNumber": {"intCode": "353", "areaCode": "91", "phoneNo": "5550001"},
                     "customFieldList": [{"name": "Account", "text": "X1", "isTextVisible": True}]})
        found = self.items("%s/101/contacts" % CAMPAIGNS)
        self.assertEqual((found[0]["firstName"], found[0]["lastName"]), ("Ann", "O'Neill & <Co>"))
        contact = found[0]["contactId"]
        self.assertEqual(self.get("%s/101/contact-id?phone=353-91-5550001" % CAMPAIGNS).json["contactId"], contact)
        for query in ("phone=353-91-5550001", "phone=353-91-5550001&status=New", "customField=Account:X1",
                      "customField=Account:X1&status=New"):
            self.assertEqual([c["contactId"] for c in self.items("%s/101/search?%s" % (CAMPAIGNS, query))], [contact])
        for path in ("%s/101/contacts/%d" % (CAMPAIGNS, contact), CAMPAIGNS + "/101/contacts/-?customField=Account:X1"):
            self.assertEqual(self.get(path).json["status"]["name"], "New")
        self.assertEqual(self.close(101, contact, {"disposition": "Busy", "text": "engaged & <busy>"}).status, 200)
        self.append({"skillsetId": 10001, "customFieldList": [{"name": "Account", "text": "X2"}]})
        self.assertEqual(self.close(101, "-", query="?customField=Account:X2").status, 200)
        for path in ("%s/101/contacts/%d" % (CAMPAIGNS, contact), CAMPAIGNS + "/101/contacts/-?customField=Account:X2"):
            self.assertEqual(self.get(path).json["status"]["name"], "Closed")
        self.gate.child.end()
        counters = self.sim.counters()
        for service, operations in OPERATIONS.items():
            for operation in operations:
                self.assertGreater(counters["operations"].get("%s.%s" % (service, operation), 0), 0, operation)
        self.assertEqual(counters["violations"], 0, counters["violationMessages"])
        versions = self.sim.admin("GET", "/campaigns")["soap"]
        self.assertGreater(versions[self.soap], 0)
        self.assertEqual(sum(versions.values()), versions[self.soap])


class Soap12(Soap11):
    soap = "1.2"


class Soap11Priority(Soap11):
    priority = True


class Soap12Priority(Soap11):
    soap, priority = "1.2", True


class Numeric(OutboundCase):
    """Id or NumbericValue of the disposition: which of them closes is not known, so it can be chosen."""
    simulator_options = {"agents": 2, "journal": True}
    outbound = {"dispositionValue": "numeric"}

    def test_sends_the_number(self):
        self.assert_problem(self.close(104, 10400100, {"disposition": "Busy"}), 502, "upstream-fault")
        self.assertEqual(self.sim.admin("GET", "/campaigns")["dispositions"], [2])


class Id(Numeric):
    outbound = {"dispositionValue": "id"}

    def test_sends_the_number(self):
        self.assertEqual(self.close(104, 10400100, {"disposition": "Busy"}).status, 200)
        self.assertEqual(self.sim.admin("GET", "/campaigns")["dispositions"], [42])


if __name__ == "__main__":
    harness.main()
