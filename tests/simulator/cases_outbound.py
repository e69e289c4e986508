"""The three CCMM Outbound services of cctsim in both SOAP versions and both forms of append."""

import time

from simdrive import OUTBOUND_TYPES, Raw, SimCase


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
        fields, took = self.append_fields(101, self.key()), 1
        while took >= 1:  # else the second one comes within the second
            begun = time.monotonic()
            self.good(self.CAMP, "AppendContactsToCampaign", None, *fields)
            reply = self.sim.call(self.CAMP, "AppendContactsToCampaign", None, *fields)
            took = time.monotonic() - begun
            time.sleep(1.05)
        self.assertEqual(reply.status, 500)
        self.assertIn("once per second", reply.fault_text)
        self.good(self.CAMP, "AppendContactsToCampaign", None, *fields)

    def status_and_close(self, key, contact_id, **more):
        pass  # closes three times within a second
