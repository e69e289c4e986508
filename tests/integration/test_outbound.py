"""Outbound campaigns: what is read, searched and closed, and every limit and trap of conf/contract/outbound/operations.md."""
import json
import os
import urllib.parse

import harness
import websocket
from test_openapi import Document
from harness import BOUND, TOKENS, bearer, eventually, exchange
from outbounding import (CAMPAIGN, CAMPAIGNS, CLOSED, CONTACT, SIZES, USER, UTILITY, OutboundCase, first_id, ids_of)

FRESH = {"Cache-Control": "no-cache"}


class Campaigns(OutboundCase):
    config = {"cache": {"ttlMs": {"outbound": 600000}}}

    def test_list(self):
        answer = self.get(CAMPAIGNS)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual([(c["id"], c["numberOfContacts"]) for c in answer.json["items"]], sorted(SIZES.items()))
        self.assertEqual(answer.json["sync"], "cached")
        self.assertIn("etag", answer.headers)
        self.assertIn("age", answer.headers)

    def test_fields(self):
        campaign = self.get("%s/105" % CAMPAIGNS).json
        self.assertEqual(campaign["name"], "Win back")
        self.assertEqual(campaign["status"], {"id": 1, "name": "Running"})
        self.assertEqual(campaign["skillset"], {"id": 10001, "name": "OB_Renewals"})
        self.assertEqual(campaign["dispositions"], ["Completed", "Busy", "No answer"])
        self.assertEqual(campaign["dispositionCodes"][0],
                         {"id": 41, "name": "Completed", "retryTimeOut": 0, "numbericValue": 1, "maxRetryCount": 0,
                          "deletable": False, "callRequired": False, "markAsDeleted": False, "saveAgentScript": True})
        self.assertEqual(campaign["progress"]["total"], 1234)
        self.assertEqual(campaign["progress"]["closed"], campaign["numberOfContactsClosed"])
        self.assertEqual(campaign["progress"]["processed"], campaign["numberOfContactsProcessed"])
        for name in ("description", "dateCreated", "owner", "startDateTime", "startOfRun", "priority",
                     "loadContactsPerInterval", "dialingPrefix", "autoDialTimeOut", "minimumRingTime", "locked"):
            self.assertIn(name, campaign)

    def test_paging(self):
        first = self.get(CAMPAIGNS + "?limit=4")
        self.assertEqual([c["id"] for c in first.json["items"]], [101, 102, 103, 104])
        link = first.headers["link"]
        self.assertIn('rel="next"', link)
        rest = self.get(link[1:link.index(">")])
        self.assertEqual([c["id"] for c in rest.json["items"]], [105, 106])
        self.assertNotIn("link", rest.headers)

    def test_cached(self):
        self.get(CAMPAIGNS)
        before = self.calls_of(CAMPAIGN + ".GetCampaigns")
        answer = self.get(CAMPAIGNS)
        self.assertTrue(answer.cache().get("hit"), answer)
        again = self.get(CAMPAIGNS, headers={"If-None-Match": answer.headers["etag"]})
        self.assertEqual((again.status, again.body), (304, b""))
        self.get("%s/102" % CAMPAIGNS)
        self.assertEqual(self.calls_of(CAMPAIGN + ".GetCampaigns"), before)
        answer = self.get(CAMPAIGNS, headers=FRESH)
        self.assertEqual(answer.cache().get("fwd"), "request", answer)
        self.assertEqual(self.calls_of(CAMPAIGN + ".GetCampaigns"), before + 1)

    def test_not_there(self):
        for campaign in (CLOSED, 999, 0, 2 ** 40, "x", "1e3", "-1", str(2 ** 64)):
            answer = self.get("%s/%s" % (CAMPAIGNS, campaign))
            self.assert_problem(answer, 404, "campaign-not-active")
            answer = self.get("%s/%s/contacts" % (CAMPAIGNS, campaign))
            self.assert_problem(answer, 404, "campaign-not-active")
            self.assert_problem(self.close(campaign, 1), 404, "campaign-not-active")
        closed, unknown = self.get("%s/%d" % (CAMPAIGNS, CLOSED)).json, self.get("%s/999" % CAMPAIGNS).json
        self.assertEqual(closed.pop("detail").replace(str(CLOSED), "999"), unknown.pop("detail"))
        self.assertEqual(closed, unknown)

    def test_bad_queries(self):
        for path in (CAMPAIGNS + "?x=1", CAMPAIGNS + "?limit=0", CAMPAIGNS + "?after=x", CAMPAIGNS + "/101?limit=1",
                     CAMPAIGNS + "/101/contacts?limit=0", CAMPAIGNS + "/101/contacts?limit=1000001",
                     CAMPAIGNS + "/101/contacts?after=-1", CAMPAIGNS + "/101/contacts?limit=1&limit=2",
                     CAMPAIGNS + "/101/contacts?phone=1", CAMPAIGNS + "/101/contacts/1?limit=1",
                     CAMPAIGNS + "/101/search", CAMPAIGNS + "/101/search?status=New",
                     CAMPAIGNS + "/101/search?phone=1", CAMPAIGNS + "/101/search?phone=--",
                     CAMPAIGNS + "/101/search?customField=x", CAMPAIGNS + "/101/search?customField=:x",
                     CAMPAIGNS + "/101/search?phone=--1&customField=a:b", CAMPAIGNS + "/101/search?phone",
                     CAMPAIGNS + "/101/contact-id", CAMPAIGNS + "/101/contact-id?phone=--",
                     CAMPAIGNS + "/101/contacts/1?customField=a:b", CAMPAIGNS + "/101/contacts/-"):
            self.assert_problem(self.get(path), 400, "bad-request")

    def test_people_are_not_kept(self):
        for path in ("/102/contacts", "/102/contacts/10200001", "/102/search?phone=--1", "/102/contact-id?phone=--1"):
            answer = self.get(CAMPAIGNS + path, headers={"Cache-Control": "only-if-cached"})
            self.assert_problem(answer, 504, "not-cached")

    def test_only_json(self):
        self.assert_problem(self.get(CAMPAIGNS, headers={"Accept": "application/x-ndjson"}), 406)
        self.assert_problem(self.get(CAMPAIGNS + "/101/contacts", headers={"Accept": "text/csv"}), 406)


class Roles(OutboundCase):
    def test_who_may(self):
        paths = [CAMPAIGNS, CAMPAIGNS + "/102", CAMPAIGNS + "/102/contacts", CAMPAIGNS + "/102/contacts/10200001",
                 CAMPAIGNS + "/102/search?phone=--1", CAMPAIGNS + "/102/contact-id?phone=353-91-50200001"]
        for path in paths:
            for who in ("campaigner", "operator"):
                self.assertEqual(self.get(path, who).status, 200, (path, who))
            self.assert_problem(self.get(path, "supervisor"), 403, "forbidden")
            self.assert_problem(exchange(self.gate.port, "GET", path), 401)
        self.assert_problem(self.close(102, 10200001, who="supervisor"), 403, "forbidden")

    def test_campaigner_has_nothing_else(self):
        for path in ("/v1/agents", "/v1/calls", "/v1/sessions", "/v1/audit", "/v1/services"):
            self.assert_problem(self.get(path), 403, "forbidden")


class Listing(OutboundCase):
    def pages(self, campaign, limit):
        path, seen, pages = "%s/%d/contacts?limit=%d" % (CAMPAIGNS, campaign, limit), [], 0
        while path:
            answer = self.get(path)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.headers["cache-control"], "no-store")
            items = answer.json["items"]
            self.assertLessEqual(len(items), limit)
            seen += [c["contactId"] for c in items]
            pages += 1
            link = answer.headers.get("link")
            self.assertEqual(link is None, answer.json["next"] is None)
            if link:
                self.assertEqual(answer.json["next"], seen[-1])
                self.assertIn("after=%d>" % seen[-1], link)
            path = link and link[1:link.index(">")]
        return seen, pages

    def test_each_campaign_completely(self):
        for campaign, size in SIZES.items():
            limit = 2500 if size > 5000 else 200
            seen, pages = self.pages(campaign, limit)
            self.assertEqual(seen, ids_of(campaign), campaign)
            self.assertLessEqual(pages, size // limit + 2)

    def test_any_limit(self):
        for limit in (1, 199, 200, 201, 777, 1234, 1235, 100000):
            if limit > 1:
                self.assertEqual(self.pages(105, limit)[0], ids_of(105), limit)
            else:
                self.assertEqual([c["contactId"] for c in self.items("%s/105/contacts?limit=1" % CAMPAIGNS)], [first_id(105)])
        self.assertEqual(len(self.items("%s/105/contacts" % CAMPAIGNS)), 100)
        self.assertEqual([c["contactId"] for c in self.items("%s/105/contacts?after=10500010&limit=2" % CAMPAIGNS)],
                         [10500011, 10500012])
        self.assertEqual(self.items("%s/105/contacts?after=99999999" % CAMPAIGNS), [])

    def test_few_calls(self):
        for campaign, calls in ((101, 1), (102, 1), (103, 2), (104, 2), (105, 7)):
            self.get(CAMPAIGNS + "/%d" % campaign)
            before = self.calls_of(CAMPAIGN + ".Get200CampaignContacts")
            self.get("%s/%d/contacts?limit=100000" % (CAMPAIGNS, campaign))
            self.assertEqual(self.calls_of(CAMPAIGN + ".Get200CampaignContacts") - before, calls, campaign)

    def test_fields(self):
        contact = self.items("%s/102/contacts?limit=1" % CAMPAIGNS)[0]
        self.assertEqual(contact["contactId"], 10200001)
        self.assertEqual(contact["phoneNumber"], {"intCode": "353", "areaCode": "91", "phoneNo": "50200001"})
        self.assertEqual(contact["customFieldList"][0], {"name": "Account", "text": "A10200001", "isTextVisible": True})
        self.assertEqual(contact["address"]["addressLine1"], "1 Main Street")
        self.assertEqual((contact["campaignName"], contact["skillsetId"], contact["preferredAgentId"],
                          contact["preferredAgentSpecified"]), ("Renewal reminders", 10001, 0, False))

    def stream(self, campaign, query=""):
        answer = self.get("%s/%d/contacts%s" % (CAMPAIGNS, campaign, query), headers={"Accept": "application/x-ndjson"})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["content-type"], "application/x-ndjson")
        self.assertEqual(answer.headers["cache-control"], "no-store")
        lines = answer.body.split(b"\n")
        self.assertEqual(lines.pop(), b"")
        return answer, [json.loads(line)["contactId"] for line in lines]

    def test_streams(self):
        for campaign in SIZES:
            answer, seen = self.stream(campaign)
            self.assertEqual(seen, ids_of(campaign))
            self.assertEqual(int(answer.headers["total-count"]), SIZES[campaign])
        self.assertEqual(self.stream(105, "?limit=250&after=10500100")[1], ids_of(105)[100:350])

    def test_stream_refused(self):
        self.assert_problem(self.get("%s/999/contacts" % CAMPAIGNS, headers={"Accept": "application/x-ndjson"}), 404)

    def test_stream_breaks_off(self):
        """What goes wrong behind the first page cannot be told in a status: the stream has no end then."""
        self.get(CAMPAIGNS + "/106")
        self.sim.latency(20)
        connection = self.gate.connect()
        connection.request("GET", "%s/106/contacts" % CAMPAIGNS,
                           headers=dict(bearer("campaigner"), Accept="application/x-ndjson"))
        answer = connection.getresponse()
        self.assertTrue(answer.readline())
        self.sim.fault("http500", CAMPAIGN, "Get200CampaignContacts")
        with self.assertRaises(harness.http.client.IncompleteRead):
            answer.read()
        connection.close()

    def test_head(self):
        for accept in ("application/json", "application/x-ndjson"):
            answer = self.gate.get("%s/104/contacts" % CAMPAIGNS, "campaigner", {"Accept": accept}, method="HEAD")
            self.assertEqual((answer.status, answer.body), (200, b""), answer)


class Contacts(OutboundCase):
    simulator_options = {"agents": 2, "journal": True}

    def status(self, campaign, contact, query=""):
        return self.get("%s/%s/contacts/%s%s" % (CAMPAIGNS, campaign, contact, query))

    def test_status(self):
        answer = self.status(105, 10500001)
        self.assertEqual(answer.json, {"campaignId": 105, "contactId": 10500001, "status": {"id": 3, "name": "Closed"}})
        self.assertEqual(answer.headers["cache-control"], "no-store")
        self.assertEqual(self.status(105, 10501234).json["status"]["name"], "New")
        by_field = self.status(105, "-", "?customField=Account:A10500001")
        self.assertEqual(by_field.json, {"campaignId": 105, "status": {"id": 3, "name": "Closed"}})
        for answer in (self.status(105, 10509999), self.status(105, "x"), self.status(105, 2 ** 64),
                       self.status(105, "-", "?customField=Account:A0")):
            self.assert_problem(answer, 404, "not-found")

    def test_status_refused(self):
        """Whether an absent contact is an absent result or a fault is not known (NOTES.md): both are 404."""
        self.sim.fault("fault", CONTACT, "GetContactStatus", 1, message="There is no such contact")
        self.assert_problem(self.status(105, 10500001), 404, "not-found")

    def test_statuses_are_learned(self):
        self.status(105, 10500001)
        self.assertIn({"id": 3, "name": "Closed"}, self.get(CAMPAIGNS + "/105", headers=FRESH).json["statuses"])

    def test_close(self):
        answer = self.close(104, 10400201, {"disposition": "Busy", "text": "line engaged"})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json, {"campaignId": 104, "contactId": 10400201, "disposition": "Busy", "value": 1})
        self.assertEqual(self.status(104, 10400201).json["status"]["name"], "Closed")
        again = self.assert_problem(self.close(104, 10400201), 502, "upstream-fault")
        self.assertIn("closed already", again.json["detail"])
        self.assertEqual(again.json["outcome"], "notDone")
        self.assertEqual(self.close(104, 10400200).json["disposition"], "Completed")
        by_field = self.close(104, "-", {"disposition": "no answer"}, "?customField=Account:A10400199")
        self.assertEqual(by_field.json, {"campaignId": 104, "disposition": "no answer", "value": 1})
        self.assertEqual(self.status(104, 10400199).json["status"]["name"], "Closed")

    def test_close_is_audited(self):
        self.close(104, 10400150)
        self.close(104, "-", query="?customField=Account:A10400151")
        entries = self.get("/v1/audit", "operator").json["items"]
        mine = [e for e in entries if e.get("command") == "closeContact"]
        self.assertEqual((mine[1]["object"], mine[1]["outcome"], mine[1]["application"]),
                         (CAMPAIGNS + "/104/contacts/10400150", "done", "campaigner"))
        self.assertEqual(mine[0]["object"], CAMPAIGNS + "/104/contacts/-")
        self.assertNotIn("A10400151", json.dumps(entries))

    def test_close_once(self):
        path = CAMPAIGNS + "/104/contacts/%s/close"
        def close(contact, key, body=None, query="", who="campaigner"):
            return self.post(path % contact + query, body, who, {"Idempotency-Key": key})
        before = self.calls_of(CONTACT + ".CloseContact")
        first = close(10400170, "k1")
        again = close(10400170, '"k1"')
        self.assertEqual((first.status, again.status, again.json), (200, 200, first.json))
        self.assertNotIn("idempotency-replayed", first.headers)
        self.assertEqual(again.headers["idempotency-replayed"], "true")
        self.assertEqual(self.calls_of(CONTACT + ".CloseContact"), before + 1)
        for other in (close(10400171, "k1"), close(10400170, "k1", {"disposition": "Busy"}),
                      close("-", "k1", query="?customField=Account:A10400170")):
            self.assert_problem(other, 422, "idempotency-key-reused")
        self.assert_problem(close(10400170, "k1", who="operator"), 502, "upstream-fault")  # another application's key
        refused = self.assert_problem(close(10400170, "k2"), 502, "upstream-fault")
        self.assertEqual(close(10400170, "k2").json, refused.json)
        self.assertEqual(self.calls_of(CONTACT + ".CloseContact"), before + 3)
        self.assert_problem(close(10400172, "k3", {"disposition": "Sold"}), 422, "unknown-disposition")
        self.assertEqual(close(10400172, "k3", {"disposition": "Busy"}).status, 200)  # nothing was done: the key was free
        self.gate.kill()
        self.gate.start()
        again = close(10400170, "k1")
        self.assertEqual((again.json, again.headers["idempotency-replayed"]), (first.json, "true"))
        self.assert_problem(self.post(path % 1, None, headers={"Idempotency-Key": "a b"}), 400, "bad-request")

    def test_wrong_disposition(self):
        before = self.calls_of(CONTACT + ".CloseContact")
        answer = self.assert_problem(self.close(104, 10400001, {"disposition": "Sold"}), 422, "unknown-disposition")
        self.assertEqual(answer.json["dispositions"], ["Completed", "Busy", "No answer"])
        self.assertEqual(answer.json["pointer"], "/disposition")
        self.assertEqual(self.calls_of(CONTACT + ".CloseContact"), before)

    def test_bad_bodies(self):
        for body in ("[]", "{", '{"disposition":1}', '{"text":null}', '{"reason":"x"}', '{"text":"a\\u0000b"}'):
            self.assert_problem(self.close(104, 10400160, body), 400, "bad-request")
        self.assert_problem(self.post("%s/104/contacts/10400160/close" % CAMPAIGNS, "x", headers={"Content-Type": "text/plain"}),
                            415)
        self.assert_problem(self.close(104, 10400160, {"text": "a\u0001b"}), 400, "bad-request")
        self.assertEqual(self.status(104, 10400160).json["status"]["name"], "New")

    def test_value_that_is_no_success(self):
        self.assert_problem(self.close(104, 10409999), 502, "upstream-fault")

    def test_search_by_phone(self):
        found = self.items("%s/105/search?phone=353-91-50500001" % CAMPAIGNS)
        self.assertEqual([c["contactId"] for c in found], [10500001])
        self.assertEqual(self.items("%s/105/search?phone=353-92-50500001" % CAMPAIGNS), [])
        self.assertEqual(self.items("%s/105/search?phone=353-91-50500001&status=New" % CAMPAIGNS), [])
        self.assertEqual(len(self.items("%s/105/search?phone=353-91-50500001&status=Closed" % CAMPAIGNS)), 1)
        answer = self.assert_problem(self.get("%s/105/search?phone=353-91-" % CAMPAIGNS), 400, "bad-request")
        self.assertEqual(answer.json["pointer"], "?phone")
        self.assertIn("must not be empty", answer.json["detail"])

    def test_search_by_custom_field(self):
        found = self.items("%s/105/search?customField=%s" % (CAMPAIGNS, urllib.parse.quote("Tier:T1")))
        self.assertEqual(len(found), 247)  # more than 200: the limit is of Get200CampaignContacts alone
        closed = self.items("%s/105/search?customField=Tier:T1&status=Closed" % CAMPAIGNS)
        self.assertLess(0, len(closed))
        self.assertLess(len(closed), len(found))
        self.status(105, 10500001)  # and by Id, when it has been told
        self.assertEqual(len(self.items("%s/105/search?customField=Tier:T1&status=Closed" % CAMPAIGNS)), len(closed))

    def test_phone_to_id(self):
        answer = self.get("%s/105/contact-id?phone=353-91-50500001" % CAMPAIGNS)
        self.assertEqual(answer.json, {"campaignId": 105, "contactId": 10500001})
        self.assert_problem(self.get("%s/105/contact-id?phone=353--50500001" % CAMPAIGNS), 404, "not-found")
        self.assert_problem(self.get("%s/105/contact-id?phone=353-91-" % CAMPAIGNS), 404, "not-found")


class Described(OutboundCase):
    """/openapi.json says what is answered."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.document = Document(exchange(cls.gate.port, "GET", "/openapi.json").json)

    def check(self, name, answer):
        method, path, operation = next((m, p, o) for p, m, o in self.document.operations() if o["operationId"] == name)
        response = self.document.resolve(operation["responses"][str(answer.status)])
        media = response["content"][answer.headers["content-type"]]
        if answer.headers["content-type"] != "application/x-ndjson":
            self.document.validator(media["schema"]).validate(answer.json)
        named = {h.lower() for h in response.get("headers", {})}
        for header in ("etag", "age", "cache-status", "link", "location", "total-count", "cache-control"):
            if header in answer.headers and answer.status < 300:
                self.assertIn(header, named, path)
        return operation

    def test_answers(self):
        job = self.get(CAMPAIGNS + "/102/contacts", headers={"Prefer": "respond-async"})
        self.check("listContacts", job)
        job = job.headers["location"]
        eventually(lambda: self.get(job).json["state"] == "done", "the list is there")
        for name, path, headers in (
                ("listCampaigns", CAMPAIGNS + "?limit=2", {}), ("getCampaign", CAMPAIGNS + "/102", {}),
                ("listContacts", CAMPAIGNS + "/102/contacts?limit=10", {}),
                ("listContacts", CAMPAIGNS + "/102/contacts", {"Accept": "application/x-ndjson"}),
                ("getContactStatus", CAMPAIGNS + "/102/contacts/10200001", {}),
                ("searchContacts", CAMPAIGNS + "/102/search?customField=Tier:T1", {}),
                ("findContactId", CAMPAIGNS + "/102/contact-id?phone=353-91-50200001", {}),
                ("listOutboundJobs", "/v1/outbound/jobs", {}), ("getOutboundJob", job, {}),
                ("getListedContacts", job + "/contacts", {})):
            answer = self.get(path, headers=headers)
            self.assertEqual(answer.status, 200, answer)
            operation = self.check(name, answer)
            self.assertEqual(operation["security"], [{"bearer": ["operator"]}, {"bearer": ["campaigner"]}])
        self.check("closeContact", self.close(102, 10200150))
        self.check("closeContact", self.close(102, 10200151, {"disposition": "Sold"}))
        self.check("getCampaign", self.get(CAMPAIGNS + "/999"))

    def test_made_of_the_contract(self):
        schemas = self.document.json["components"]["schemas"]
        self.assertIn("numberOfContactsProcessed", schemas["OutboundCampaign"]["required"])
        self.assertEqual(schemas["OutboundCampaign"]["properties"]["dispositionCodes"]["items"]["properties"]["numbericValue"]["type"],
                         "integer")
        self.assertEqual(schemas["OutboundContact"]["properties"]["customFieldList"]["type"], "array")
        new = self.document.body("appendContacts")
        for body in ({"skillsetId": 1}, [{"skillsetId": 1, "phoneNumber": {"phoneNo": "1"}}], {"skillsetId": 1, "priority": 2}):
            self.assertTrue(new.is_valid(body), body)
        for body in ({}, [], [{}], {"skillsetId": "1"}, {"skillsetId": 1, "SkillsetID": 1}):
            self.assertFalse(new.is_valid(body), body)


class Ends(OutboundCase):
    """What comes behind the last contact is not known (NOTES.md): the list ends whatever it is."""

    def beyond(self, campaign, how):
        self.sim.admin("POST", "/campaigns/%d" % campaign, {"beyond": how})

    def all_of(self, campaign, query=""):
        answer = self.get("%s/%d/contacts%s" % (CAMPAIGNS, campaign, query), headers={"Accept": "application/x-ndjson"})
        self.assertEqual(answer.status, 200, answer)
        return [json.loads(line)["contactId"] for line in answer.body.splitlines()]

    def test_every_way(self):
        for how in ("empty", "absent", "repeat", "fault"):
            for campaign in (101, 102, 103, 104, 105):
                self.beyond(campaign, how)
                self.assertEqual(self.all_of(campaign), ids_of(campaign), (how, campaign))
                last = first_id(campaign) + SIZES[campaign] - 1
                if how != "fault":  # there it cannot be told from a list that cannot be read
                    self.assertEqual(self.all_of(campaign, "?after=%d" % last), [], (how, campaign))
                self.beyond(campaign, "empty")


class Growing(OutboundCase):
    all_of = Ends.all_of

    def test_added_meanwhile(self):
        """The number of contacts is as old as the list of campaigns: what was added behind it is read, too."""
        self.get(CAMPAIGNS)
        first = self.get("%s/102/contacts?limit=150" % CAMPAIGNS)
        self.sim.admin("POST", "/campaigns/102", {"append": 3})
        link = first.headers["link"]
        rest = self.get(link[1:link.index(">")].replace("limit=150", "limit=1000"))
        self.assertEqual([c["contactId"] for c in first.json["items"] + rest.json["items"]], ids_of(102, 202))
        self.assertEqual(self.all_of(102), ids_of(102, 202))
        self.sim.admin("POST", "/campaigns/103", {"append": 1})  # 200 is a full page, and was all
        self.assertEqual(self.all_of(103), ids_of(103, 201))


class ListingJobs(OutboundCase):
    def begin(self, campaign, query="", who="campaigner"):
        answer = self.get("%s/%s/contacts%s" % (CAMPAIGNS, campaign, query), who, {"Prefer": "respond-async"})
        self.assertEqual(answer.status, 202, answer)
        self.assertEqual(answer.headers["preference-applied"], "respond-async")
        self.assertEqual(answer.headers["location"], "/v1/outbound/jobs/" + answer.json["id"])
        return answer.headers["location"]

    def ended(self, job):
        return eventually(lambda: (lambda a: a if a.json["state"] != "running" else None)(self.get(job)), "the job has ended")

    def test_whole(self):
        for campaign in (101, 102, 103, 104, 105):  # test_progress has the largest
            job = self.begin(campaign)
            answer = self.ended(job).json
            self.assertEqual((answer["state"], answer["kind"], answer["campaign"], answer["done"]),
                             ("done", "list", campaign, SIZES[campaign]))
            found = self.get(answer["contacts"])
            self.assertEqual(found.headers["content-type"], "application/x-ndjson")
            self.assertEqual([json.loads(line)["contactId"] for line in found.body.splitlines()], ids_of(campaign))
        part = self.ended(self.begin(105, "?after=10500100&limit=300")).json
        self.assertEqual([json.loads(line)["contactId"] for line in self.get(part["contacts"]).body.splitlines()],
                         ids_of(105)[100:400])

    def test_progress(self):
        self.get(CAMPAIGNS)
        client = websocket.WebSocket(self.gate.port, "operator")
        client.subscribe(types=["gateway.outbound.progress"])
        self.sim.latency(20)
        job = self.begin(106, who="operator")
        seen = []
        while not seen or seen[-1]["state"] == "running":
            event = client.receive_op("event")["event"]
            self.assertEqual(event["subject"], job)
            seen.append(event["data"])
        self.assertEqual((seen[-1]["state"], seen[-1]["done"]), ("done", 20000))
        self.assertGreater(len(seen), 3)
        self.assertEqual([s["done"] for s in seen], sorted(s["done"] for s in seen))
        self.assertEqual(seen[0]["total"], 20000)
        client.close()

    def test_cancelled(self):
        self.get(CAMPAIGNS)
        self.sim.latency(50)
        job = self.begin(106)
        conflict = self.assert_problem(self.get(job + "/contacts"), 409, "conflict")
        self.assertIn("running", conflict.json["detail"])
        before = self.calls_of(CAMPAIGN + ".Get200CampaignContacts")
        self.assertLess(exchange(self.gate.port, "DELETE", job, bearer("campaigner")).status, 300)
        self.assertEqual(self.ended(job).json["state"], "cancelled")
        self.sim.latency(0)
        self.assertEqual(self.items("%s/102/contacts?limit=1" % CAMPAIGNS)[0]["contactId"], 10200001)
        self.assertLess(self.calls_of(CAMPAIGN + ".Get200CampaignContacts") - before, 90)
        self.assertNotEqual(self.get(job + "/contacts").status, 200)

    def test_fails(self):
        self.get(CAMPAIGNS)
        self.sim.fault("http500", CAMPAIGN, "Get200CampaignContacts")
        answer = self.ended(self.begin(105)).json
        self.assertEqual((answer["state"], answer["problem"]["type"]), ("failed", "/problems/upstream-invalid"))
        self.assert_problem(self.get("%s/999/contacts" % CAMPAIGNS, headers={"Prefer": "respond-async"}), 404)

    def test_who_may_see_it(self):
        job = self.begin(102, who="operator")
        self.assert_problem(self.get(job), 404)
        self.assert_problem(self.get(job + "/contacts"), 404, "not-found")
        mine = self.begin(102)
        self.ended(mine)
        self.assertEqual(self.get(mine + "/contacts", "operator").status, 200)
        self.assert_problem(self.get("/v1/outbound/jobs/x/contacts"), 404)


class Paced(OutboundCase):
    """The limit of one call per second: waiting in line instead of failing."""
    simulator_options = {"agents": 2, "outbound_rate_limit": True}
    outbound = {"intervalMs": 1000}

    def test_closes_wait_in_line(self):
        self.get(CAMPAIGNS)
        connections = [self.gate.connect() for _ in range(4)]
        for n, connection in enumerate(connections):
            connection.request("POST", "%s/105/contacts/%d/close" % (CAMPAIGNS, 10501000 + n), headers=bearer("campaigner"))
        eventually(lambda: self.gate.metric("outbound_turns_waiting") > 0, "some wait")
        for connection in connections:
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200, answer.read())
            answer.read()
            connection.close()
        times = self.sim.admin("GET", "/campaigns")["calls"]["close"]
        self.assertEqual(len(times), 4)
        for before, after in zip(times, times[1:]):
            self.assertGreaterEqual(after - before, 1000)
        self.assertEqual(self.sim.counters()["faults"], 0)

    def test_somebody_else_is_faster(self):
        """A close that came too soon after another's was not done: it takes another turn."""
        self.sim.fault("fault", CONTACT, "CloseContact", 1, message="CloseContact may be called once per second at most")
        self.assertEqual(self.close(105, 10501100).status, 200)
        self.assertEqual(self.calls_of(CONTACT + ".CloseContact") >= 2, True)
        self.sim.fault("fault", CONTACT, "CloseContact", message="CloseContact may be called once per second at most")
        self.assert_problem(self.close(105, 10501101), 503, "overloaded")
        self.sim.no_faults()

    def test_what_is_not_paced_is_too_fast(self):
        """Reads have no turn to wait for: they say so."""
        self.get(CAMPAIGNS)
        self.sim.fault("fault", operation="*", message="It may be called once per second at most")
        for path in ("/contacts", "/contacts/10501000", "/search?phone=--1", "/search?customField=a:b", "/contact-id?phone=--1"):
            self.assert_problem(self.get(CAMPAIGNS + "/105" + path), 503, "overloaded")
        self.sim.no_faults()
        self.assertEqual(self.get(CAMPAIGNS + "/105/contacts/10501000").status, 200)


class Unknown(OutboundCase):
    config = {"upstream": {"timeoutMs": 5000}}

    def test_close_without_an_answer(self):
        self.get(CAMPAIGNS)
        before = self.calls_of(CONTACT + ".CloseContact")
        self.sim.fault("hang", CONTACT, "CloseContact", 1)
        answer = self.assert_problem(self.close(105, 10501100), 504, "upstream-timeout")
        self.assertEqual(answer.json["outcome"], "unknown")
        self.assertEqual(self.calls_of(CONTACT + ".CloseContact"), before + 1)

    def test_broken_answers(self):
        self.get(CAMPAIGNS)
        for kind in ("truncate", "garbage", "html", "doctype", "empty", "wrongElement", "reset"):
            for path in ("/105/contacts?limit=3", "/105/contacts/10500001", "/105/search?phone=--1", "/105/contact-id?phone=--1"):
                self.sim.fault(kind, "*", "*", 1)
                answer = self.get(CAMPAIGNS + path)
                self.assertIn(answer.status, (502, 504), (kind, path, answer))
                self.sim.no_faults()
        self.assertEqual(self.get(CAMPAIGNS + "/105/contacts/10500001").status, 200)


class CutOff(OutboundCase):
    config = {"upstream": {"timeoutMs": 60000}}

    def test_close_that_a_crash_cut_off(self):
        """It may have been done: with its key it is never sent again."""
        self.get(CAMPAIGNS)
        before = self.calls_of(CONTACT + ".CloseContact")
        self.sim.fault("hang", CONTACT, "CloseContact", 1)
        connection = self.gate.connect()
        path, headers = CAMPAIGNS + "/105/contacts/10501102/close", dict(bearer("campaigner"), **{"Idempotency-Key": "cut"})
        connection.request("POST", path, headers=headers)
        eventually(lambda: self.calls_of(CONTACT + ".CloseContact") > before, "it is on its way")
        self.assert_problem(exchange(self.gate.port, "POST", path, headers), 409, "conflict")
        self.gate.kill()
        connection.close()
        self.gate.start()
        answer = self.assert_problem(exchange(self.gate.port, "POST", path, headers), 504, "upstream-timeout")
        self.assertEqual((answer.json["outcome"], answer.headers["idempotency-replayed"]), ("unknown", "true"))
        self.assertEqual(self.calls_of(CONTACT + ".CloseContact"), before + 1)


class Memory(OutboundCase):
    """20,000 contacts to a client that takes its time: the gateway holds a page, not the list."""

    def resident(self):
        with open("/proc/%d/status" % self.gate.child.process.pid) as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    def read(self, connection, count=None):
        connection.request("GET", "%s/106/contacts" % CAMPAIGNS,
                           headers=dict(bearer("campaigner"), Accept="application/x-ndjson"))
        answer = connection.getresponse()
        lines = 0
        while count is None or lines < count:
            if not answer.readline():
                break
            lines += 1
        return lines

    @classmethod
    def setUpClass(cls):
        """What is freed is to be freed: AddressSanitizer keeps it for a while otherwise."""
        before = os.environ.get("ASAN_OPTIONS")
        os.environ["ASAN_OPTIONS"] = (before + ":" if before else "") + "quarantine_size_mb=0:thread_local_quarantine_size_kb=0"
        try:
            super().setUpClass()
        finally:
            os.environ.pop("ASAN_OPTIONS")
            if before is not None:
                os.environ["ASAN_OPTIONS"] = before

    def test_flat(self):
        connection = self.gate.connect()
        self.assertEqual(self.read(connection), 20000)
        before = self.resident()
        for _ in range(2):
            self.assertEqual(self.read(connection), 20000)
        self.assertLess(self.resident() - before, 8192)  # a list is more than 10 MiB
        connection.close()

    def test_back_pressure(self):
        """A client that stops reading stops the calls, too."""
        self.get(CAMPAIGNS)
        before = self.calls_of(CAMPAIGN + ".Get200CampaignContacts")
        connection = self.gate.connect()
        connection.connect()
        connection.sock.setsockopt(harness.socket.SOL_SOCKET, harness.socket.SO_RCVBUF, 4096)
        self.assertEqual(self.read(connection, 10), 10)
        def still():
            first = self.calls_of(CAMPAIGN + ".Get200CampaignContacts")
            for _ in range(20):  # requests of ours, each a round trip through the same front and owner
                self.get(CAMPAIGNS)
            return first == self.calls_of(CAMPAIGN + ".Get200CampaignContacts")
        eventually(still, "no more pages are asked for")
        self.assertLess(self.calls_of(CAMPAIGN + ".Get200CampaignContacts") - before, 90)
        connection.close()


if __name__ == "__main__":
    harness.main()
