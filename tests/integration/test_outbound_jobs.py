"""Contacts that are appended by the durable queue: every form of body, the pace, a kill -9, progress, cancelling, what is certain and what is not."""
import json
import os
import socket
import threading

import harness
from harness import bearer, eventually, exchange
from outbounding import CAMPAIGN, CAMPAIGNS, CLOSED, SIZES, OutboundCase
from websocket import WebSocket

JOBS = "/v1/outbound/jobs"
CONTACTS = CAMPAIGNS + "/%d/contacts"
APPEND = CAMPAIGN + ".AppendContactsToCampaign"
PROGRESS = "gateway.outbound.progress"
harness.TOKENS.update({
    "sales": ("sales-token", ["supervisor"], ["campaigner"]),
    "looker": ("looker-token", ["*"], ["viewer"]),
    "boss": ("boss-token", ["*"], ["supervisor", "controller", "recorder"]),
})


def contact(number, **more):
    return dict({"phoneNumber": {"phoneNo": str(number)}, "skillsetId": 10001}, **more)


class JobsCase(OutboundCase):
    def setUp(self):
        super().setUp()
        eventually(lambda: self.gate.metric("outbound_jobs_active") == 0, "nothing is left of the test before")

    def queue(self, contacts, campaign=101, query="", who="campaigner", status=202, **headers):
        kind = headers.pop("kind", "application/json")
        answer = self.post((CONTACTS % campaign) + query, contacts, who, dict({"Content-Type": kind}, **headers))
        self.assertEqual(answer.status, status, answer)
        if status == 202:
            self.assertEqual(answer.headers["location"], JOBS + "/" + answer.json["id"])
        return answer

    def job(self, id_, who="campaigner"):
        answer = self.get(JOBS + "/" + id_, who)
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def ended(self, id_):
        return eventually(lambda: (lambda j: j if j["endedAt"] else None)(self.job(id_)), "the job ends")

    def done(self, contacts, **options):
        job = self.ended(self.queue(contacts, **options).json["id"])
        self.assertEqual((job["state"], job["done"]), ("done", job["total"]), job)
        return job

    def appended(self, campaign=101):
        """What the campaign holds beyond what it began with."""
        answer = self.get(CONTACTS % campaign, headers={"Accept": "application/x-ndjson"})
        self.assertEqual(answer.status, 200, answer)
        return [json.loads(line) for line in answer.body.splitlines()][SIZES[campaign]:]

    def numbers(self, campaign=101):
        return [c["phoneNumber"].get("phoneNo") for c in self.appended(campaign)]

    def delete(self, id_, who="campaigner"):
        return exchange(self.gate.port, "DELETE", JOBS + "/" + id_, bearer(who))


class Bodies(JobsCase):
    def test_one_object(self):
        job = self.done(contact("1001", firstName="Gül", lastName="O'Neill & Co", title="Ms", emailAddress="g@example.com",
                                address={"addressLine1": "1 Main Street", "addressLine5": "x", "country": "Ireland", "postCode": "D1"},
                                customFieldList=[{"name": "Tier", "text": "gold"}, {"name": "Note", "text": "<b>&", "isTextVisible": False}],
                                preferredAgentId=77))
        self.assertEqual(job["rows"], [{"row": 1, "state": "done", "value": 1}])
        self.assertEqual((job["kind"], job["campaign"], job["total"], job["failed"]), ("append", 101, 1, 0))
        last = self.appended()[-1]
        self.assertEqual(last["firstName"], "Gül")
        self.assertEqual(last["lastName"], "O'Neill & Co")
        self.assertEqual(last["phoneNumber"], {"phoneNo": "1001"})
        self.assertEqual(last["address"]["addressLine5"], "x")
        self.assertEqual(last["customFieldList"], [{"name": "Tier", "text": "gold", "isTextVisible": True},
                                                   {"name": "Note", "text": "<b>&", "isTextVisible": False}])
        self.assertEqual((last["preferredAgentId"], last["preferredAgentSpecified"]), (77, True))

    def test_least(self):
        self.done({"skillsetId": 10001})
        last = self.appended()[-1]
        self.assertEqual((last["preferredAgentId"], last["preferredAgentSpecified"], last["skillsetId"]), (0, False, 10001))

    def test_array(self):
        self.done([contact(n) for n in range(1100, 1110)])
        self.assertEqual(self.numbers()[-10:], [str(n) for n in range(1100, 1110)])

    def test_ndjson(self):
        lines = b"\r\n".join(json.dumps(contact(n)).encode() for n in range(1200, 1205)) + b"\n\n"
        self.done(lines, kind="application/x-ndjson")
        self.assertEqual(self.numbers()[-5:], [str(n) for n in range(1200, 1205)])

    def test_csv(self):
        text = ("\ufeffskillsetId,firstName,phoneNumber.areaCode,phoneNumber.phoneNo,custom.Account,preferredAgentSpecified\r\n"
                '10001,"Ann ""A"", Adler",091,1300,A1,false\r\n'
                "10001,,,1301,\"two\nlines\",\r\n")
        self.done(text.encode(), kind="text/csv; charset=utf-8")
        first, second = self.appended()[-2:]
        self.assertEqual(first["firstName"], 'Ann "A", Adler')
        self.assertEqual(first["phoneNumber"], {"areaCode": "091", "phoneNo": "1300"})
        self.assertEqual(first["customFieldList"][0]["text"], "A1")
        self.assertNotIn("firstName", second)
        self.assertEqual(second["customFieldList"][0]["text"], "two\nlines")

    def test_bad_rows(self):
        """All are named, none is queued, and no value is repeated."""
        before = self.calls_of(APPEND), len(self.get(JOBS, "operator").json["items"])
        answer = self.assert_problem(self.queue([contact(1), {"firstName": "Secretname"}, contact(3, skillsetId="Secretname"),
                                                 contact(4, sessionKey="x")], status=400), 400, "bad-request")
        self.assertEqual([(r["row"], r["pointer"]) for r in answer.json["rows"]],
                         [(2, "/skillsetId"), (3, "/skillsetId"), (4, "/sessionKey")])
        self.assertEqual(answer.json["pointer"], "/1/skillsetId")
        self.assertNotIn(b"Secretname", answer.body)
        answer = self.queue(b"skillsetId,phoneNumber.phoneNo\n1,2\nx,3\n", kind="text/csv", status=400)
        self.assertEqual([(r["row"], r["pointer"]) for r in answer.json["rows"]], [(2, "/skillsetId")])
        for body, kind in ((b"", "application/json"), (b"[]", "application/json"), (b"7", "application/json"),
                           (b"{", "application/json"), (b"\n", "application/x-ndjson"), (b"skillsetId\n", "text/csv"),
                           (b"color\n1\n", "text/csv"), (b'skillsetId\n"1\n', "text/csv")):
            with self.subTest(body=body):
                self.assert_problem(self.queue(body, kind=kind, status=400), 400, "bad-request")
        self.assert_problem(self.queue(b"<a/>", kind="application/xml", status=415), 415)
        too_many = b"skillsetId\n" + b"1\n" * 10001
        self.assert_problem(self.queue(too_many, kind="text/csv", status=413), 413)
        self.assertEqual((self.calls_of(APPEND), len(self.get(JOBS, "operator").json["items"])), before)

    def test_bad_requests(self):
        for query in ("?priority=x", "?priority=", "?priority=-1", "?priority=2147483648", "?onDuplicate=maybe", "?color=red"):
            with self.subTest(query):
                self.assert_problem(self.queue(contact(1), query=query, status=400), 400)
        for campaign in (CLOSED, 999, 2 ** 31, 2 ** 63):
            with self.subTest(campaign):
                self.assert_problem(self.queue(contact(1), campaign=campaign, status=404), 404, "campaign-not-active")
        self.assert_problem(self.queue(contact(1), status=400, **{"Idempotency-Key": "a b"}), 400)
        for path in (JOBS + "/x", JOBS + "/" + "0" * 32):
            self.assert_problem(self.get(path), 404)
            self.assert_problem(exchange(self.gate.port, "DELETE", path, bearer("campaigner")), 404)
        self.assert_problem(self.post(JOBS, {}), 405)

    def test_duplicates(self):
        self.done([contact(2001), contact(2002)])
        before = self.calls_of(APPEND)
        job = self.ended(self.queue([contact(2001), contact(2003), contact(2003)], query="?onDuplicate=skip").json["id"])
        self.assertEqual([r["state"] for r in job["rows"]], ["skipped", "done", "skipped"])
        self.assertEqual((job["done"], job["skipped"], job["failed"]), (1, 2, 0))
        ids = {c["phoneNumber"].get("phoneNo"): c["contactId"] for c in self.appended()}
        self.assertEqual(job["rows"][0]["value"], ids["2001"])
        self.assertEqual(job["rows"][2]["value"], ids["2003"])
        job = self.ended(self.queue([contact(2002), contact(2004)], query="?onDuplicate=error").json["id"])
        self.assertEqual([r["state"] for r in job["rows"]], ["failed", "done"])
        self.assertEqual(job["rows"][0]["problem"]["type"], "/problems/duplicate")
        self.assertEqual(self.calls_of(APPEND) - before, 2)
        self.done(contact(2001))  # nobody asked
        self.assert_problem(self.queue({"skillsetId": 1}, query="?onDuplicate=skip", status=400), 400)

    def test_failures(self):
        """What the contact centre refuses is a failed row; the others go on."""
        self.sim.fault("fault", operation="AppendContactsToCampaign", count=1, message="Contact 3003 cannot be taken")
        job = self.ended(self.queue([contact(3003), contact(3004, skillsetId=0), contact(3005)]).json["id"])
        self.assertEqual([r["state"] for r in job["rows"]], ["failed", "failed", "done"])
        self.assertEqual((job["done"], job["failed"], job["state"]), (1, 2, "done"))
        fault, value = job["rows"][0]["problem"], job["rows"][1]
        self.assertEqual((fault["type"], fault["detail"]), ("/problems/upstream-fault", "Contact **** cannot be taken"))
        self.assertEqual((value["value"], value["problem"]["type"]), (-1, "/problems/upstream-fault"))

    def test_key(self):
        key = {"Idempotency-Key": "load-of-monday"}
        first = self.queue([contact(4001)], **key)
        again = self.queue([contact(4001)], **key)
        self.assertEqual(again.json["id"], first.json["id"])
        self.assertEqual(again.headers["idempotency-replayed"], "true")
        self.assert_problem(self.queue([contact(4002)], status=422, **key), 422, "idempotency-key-reused")
        other = self.queue([contact(4001)], who="sales", **key)
        self.assertNotEqual(other.json["id"], first.json["id"])
        eventually(lambda: self.numbers().count("4001") == 2, "both have arrived")
        self.assertNotIn("4002", self.numbers())


class Gone(JobsCase):
    def test_a_client_that_does_not_wait(self):
        """It goes while its body is read: that is queued as a whole or not at all, and nobody minds."""
        body = b"skillsetId,phoneNumber.phoneNo\n" + b"10001,6001\n" * 10000
        head = ("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n"
                % (CONTACTS % 101, harness.TOKENS["sales"][0], len(body))).encode()
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", self.gate.port)) as client:
                client.sendall(head + body)
        for _ in range(2):
            eventually(lambda: self.gate.get("/healthz").status == 200, "it lives")
        answer = self.queue(b"skillsetId\n" + b"10001\n" * 10000, kind="text/csv", who="sales")
        self.assertEqual(answer.json["total"], 10000)
        for job in self.items(JOBS, "sales"):
            if job["total"] == 10000:
                self.assertEqual(self.delete(job["id"], "sales").json["waiting"], 0)


class Who(JobsCase):
    outbound = {"intervalMs": 200}
    config = {"consumer": {"address": "127.0.0.1", "port": 0}}

    def test_roles(self):
        for who in ("looker", "boss", "supervisor", None):
            status = 401 if who is None else 403
            for method, path in (("GET", JOBS), ("GET", JOBS + "/" + "0" * 32), ("DELETE", JOBS + "/" + "0" * 32),
                                 ("POST", CONTACTS % 101)):
                with self.subTest((who, method, path)):
                    fields = dict(bearer(who) if who else {}, **{"Content-Type": "application/json"})
                    body = json.dumps(contact(1)) if method == "POST" else None
                    self.assert_problem(exchange(self.gate.port, method, path, fields, body), status)

    def test_own_jobs(self):
        own = self.queue([contact(n) for n in range(5)]).json["id"]
        foreign = self.queue(contact(9), who="sales").json["id"]
        self.assert_problem(self.get(JOBS + "/" + own, "sales"), 404)
        self.assert_problem(self.delete(own, "sales"), 404)
        self.assertEqual(self.get(JOBS + "/" + own, "sales").body, self.get(JOBS + "/" + "0" * 32, "sales").body)
        self.assertNotIn(own, [j["id"] for j in self.items(JOBS, "sales")])
        mine = self.items(JOBS)
        self.assertIn(own, [j["id"] for j in mine])
        self.assertNotIn(foreign, [j["id"] for j in mine])
        self.assertLessEqual({own, foreign}, {j["id"] for j in self.items(JOBS, "operator")})
        self.assertEqual(self.job(own, "operator")["application"], "campaigner")
        self.assertNotIn("rows", mine[0])
        self.assertEqual(self.delete(own, "operator").status, 200)

    def test_progress_is_told_to_whom_it_concerns(self):
        with WebSocket(self.gate.port, "campaigner") as own, WebSocket(self.gate.port, "sales") as foreign, \
                WebSocket(self.gate.port, "operator") as operator, WebSocket(self.gate.port, "looker") as looker, \
                WebSocket(self.gate.port, "boss") as boss:
            for stream in (own, foreign, operator, looker, boss):
                stream.subscribe(types=[PROGRESS])
            id_ = self.queue([contact(n) for n in range(3)]).json["id"]
            for stream in (own, operator):
                counts = []
                while not counts or counts[-1] < 3:
                    event = stream.receive_op("event")["event"]
                    if event["data"]["id"] != id_:
                        continue
                    self.assertEqual((event["type"], event["subject"]), (PROGRESS, JOBS + "/" + id_))
                    self.assertEqual(event["data"]["total"], 3)
                    self.assertNotIn("rows", event["data"])
                    self.assertNotIn("phoneNo", json.dumps(event))
                    counts.append(event["data"]["done"])
                self.assertEqual(counts, sorted(counts))
                self.assertEqual(event["data"]["state"], "done")
            mark = self.queue(contact(77), who="sales").json["id"]
            told = None
            while told != mark:
                event = foreign.receive_op("event")["event"]
                told = event["data"]["id"]
                self.assertNotEqual(told, id_)
            for stream in (looker, boss):
                eventually(lambda s=stream: self.is_told_nothing_until(s) >= event["seq"], "as far as the others")

    def is_told_nothing_until(self, stream):
        stream.send({"op": "ping"})
        message = stream.receive_op("pong", "event")
        self.assertEqual(message["op"], "pong", message)
        return message["seq"]

    def test_nothing_else_is_told_to_campaigners(self):
        """No snapshot, no event of a user's, also where the token has that user."""
        eventually(lambda: self.gate.metric("sessions_live") == 1, "events are told")
        self.assertEqual(self.gate.get("/v1/agents/2001", "supervisor").status, 200)
        with WebSocket(self.gate.port, "supervisor") as witness, WebSocket(self.gate.port, "campaigner") as stream:
            witness.subscribe("w", snapshot=True)
            self.assertIn("/v1/agents/2001", witness.snapshot("w")[0])
            stream.subscribe("a", snapshot=True)
            self.assertEqual(stream.snapshot("a")[0], {})
            self.sim.admin("POST", "/agents/2001", {"loggedIn": True, "ready": False})
            self.sim.admin("POST", "/agents/2001", {"loggedIn": True, "ready": True})
            event = witness.receive_op("event")["event"]
            self.assertNotEqual(event["type"], PROGRESS)
            before = int(event["id"].split("-")[1]) - 1
            stream.subscribe("b", since="%s-%d" % (stream.hello["epoch"], before))
            id_ = self.queue(contact(5)).json["id"]
            for _ in range(4):
                event = stream.receive_op("event")["event"]
                self.assertEqual((event["type"], event["data"]["id"]), (PROGRESS, id_))
            self.ended(id_)
        ticket = self.post("/v1/events/ticket", None)
        self.assertEqual(ticket.status, 201)
        with WebSocket(self.gate.port, None, "/v1/events?ticket=" + ticket.json["ticket"]) as stream:
            stream.send({"op": "command", "id": "1", "method": "POST", "path": "/v1/agents/2001/login", "body": {}})
            self.assertEqual(stream.receive_op("result")["status"], 403)

    def test_turns(self):
        """A large job does not keep a small one waiting; closes stand in the same line."""
        large = self.queue([contact(n) for n in range(40)]).json["id"]
        small = self.queue([contact(n) for n in range(2)], who="sales").json["id"]
        eventually(lambda: self.job(small, "sales")["state"] == "done", "the small one is done")
        left = self.job(large)
        self.assertGreater(left["waiting"], 20)
        queue = self.get(JOBS).json["queue"]
        self.assertGreater(queue["contactsWaiting"], 20)
        self.assertGreater(self.gate.metric("outbound_rows_waiting"), 20)
        answer = self.delete(large)
        self.assertEqual((answer.status, answer.json["state"]), (200, "cancelled"))
        job = self.ended(large)
        self.assertEqual(job["done"] + job["cancelled"], 40)
        self.assertEqual(job["waiting"], 0)
        self.assertEqual({r["state"] for r in job["rows"]}, {"done", "cancelled"})
        calls = self.calls_of(APPEND)
        self.assertEqual(self.delete(large).json["cancelled"], job["cancelled"])
        self.done(contact(1))
        self.assertEqual(self.calls_of(APPEND), calls + 1)


class NotConfigured(harness.Case):
    gateway_options = {"users": ("supervisor",)}

    def test_nothing_is_queued(self):
        answer = exchange(self.gate.port, "POST", CONTACTS % 101, dict(bearer("campaigner"), **{"Content-Type": "application/json"}),
                          json.dumps(contact(1)))
        self.assert_problem(answer, 501, "not-implemented")
        self.assertEqual(self.gate.get(JOBS, "campaigner").json["items"], [])


class Pace(JobsCase):
    """With the contact centre's own limit."""
    simulator_options = {"agents": 2, "outbound_rate_limit": True}
    outbound = {"intervalMs": 1000}

    def test_once_a_second(self):
        self.done([contact(n) for n in range(4)])
        self.assertEqual(self.gate.metric("outbound_too_fast_total"), 0)
        self.assertEqual(self.calls_of(APPEND), 4)


class TooFast(JobsCase):
    """A site whose clock or whose other clients are faster: what came too soon was not done, and is tried again."""
    simulator_options = {"agents": 2, "outbound_rate_limit": True}
    outbound = {"intervalMs": 300}

    def test_repeated(self):
        self.done([contact(n) for n in range(4)])
        self.assertGreater(self.gate.metric("outbound_too_fast_total"), 0)
        self.assertEqual(self.numbers(), [str(n) for n in range(4)])


class Uncertain(JobsCase):
    def test_unknown_is_never_sent_twice(self):
        """The contact arrived, but its answer did not."""
        self.sim.fault("hang", operation="AppendContactsToCampaign", count=1, execute=True)
        job = self.ended(self.queue([contact(1), contact(2)]).json["id"])
        self.assertEqual([r["state"] for r in job["rows"]], ["unknown", "done"])
        self.assertEqual(job["rows"][0]["problem"]["outcome"], "unknown")
        self.assertEqual(self.numbers()[-2:], ["1", "2"])
        self.sim.fault("garbage", operation="AppendContactsToCampaign", count=1, execute=False)
        job = self.ended(self.queue([contact(3), contact(4)]).json["id"])
        self.assertEqual([r["state"] for r in job["rows"]], ["unknown", "done"])
        self.assertNotIn("3", self.numbers())

    def test_away(self):
        """Nothing is lost while the contact centre is away, and what it waits for is told."""
        self.done(contact(10))
        self.sim.fault("refuse")
        id_ = self.queue([contact(n) for n in range(11, 14)]).json["id"]
        job = eventually(lambda: (lambda j: j if "waitsFor" in j else None)(self.job(id_)), "it waits")
        self.assertEqual(job["waitsFor"]["type"], "/problems/upstream-unreachable")
        self.assertEqual(job["waiting"] + job["sending"], 3)
        self.sim.no_faults()
        job = self.ended(id_)
        self.assertEqual(job["done"], 3)
        self.assertEqual(self.numbers()[-3:], ["11", "12", "13"])

    def test_expired_key(self):
        """A key that was not good is not an outcome: the row was not appended, and is sent with a new one."""
        self.done(contact(20))
        self.logoff_elsewhere()
        self.done([contact(21), contact(22)])
        self.assertEqual(self.numbers()[-3:], ["20", "21", "22"])

    def test_already_logged_in(self):
        self.gate.stop()
        key = self.login_elsewhere()
        self.assertTrue(key)
        type(self).gate = self.make_gateway()
        id_ = self.queue([contact(30)]).json["id"]
        job = eventually(lambda: (lambda j: j if "waitsFor" in j else None)(self.job(id_)), "it waits")
        self.assertEqual(job["waitsFor"]["type"], "/problems/already-logged-in")
        self.logoff_elsewhere()
        self.assertEqual(self.ended(id_)["done"], 1)


class Crash(JobsCase):
    outbound = {"intervalMs": 20}

    def data(self):
        found = b""
        for folder, _, names in os.walk(os.path.join(self.gate.directory, "data")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    found += file.read()
        return found

    def test_a_hundred_over_a_kill(self):
        numbers = ["99%04d" % n for n in range(100)]
        seen, killed = [], threading.Event()
        with WebSocket(self.gate.port, "campaigner") as stream:
            stream.subscribe(types=[PROGRESS])
            id_ = self.queue([contact(n) for n in numbers]).json["id"]
            last = None
            while not seen or seen[-1] < 30:
                last = stream.receive_op("event")["event"]
                seen.append(last["data"]["done"])
            self.gate.kill()
            killed.set()
        self.gate.start()
        with WebSocket(self.gate.port, "campaigner") as stream:
            stream.subscribe(types=[PROGRESS], since=last["id"])
            while last["data"]["state"] != "done":
                last = stream.receive_op("event")["event"]
                seen.append(last["data"]["done"])
        self.assertEqual(seen, sorted(seen))
        job = self.job(id_)
        unknown = [r["row"] for r in job["rows"] if r["state"] == "unknown"]
        self.assertLessEqual(len(unknown), 1)
        self.assertEqual(job["done"] + len(unknown), 100)
        arrived = self.numbers()
        self.assertEqual(len(arrived), len(set(arrived)), "none twice")
        self.assertEqual(set(numbers) - set(arrived), {numbers[r - 1] for r in unknown} - set(arrived))
        self.assertEqual([n for n in numbers if n in arrived], arrived)
        self.assertTrue(killed.is_set())

    def test_killed_while_it_is_sent(self):
        """It arrives, nobody hears of it: unknown, and never sent again."""
        before = self.calls_of(APPEND)
        self.sim.fault("hang", operation="AppendContactsToCampaign", count=1, execute=True)
        id_ = self.queue([contact(881), contact(882)]).json["id"]
        eventually(lambda: self.calls_of(APPEND) > before, "the first is being sent")
        self.assertEqual(self.job(id_)["sending"], 1)
        self.gate.kill()
        self.gate.start()
        job = self.ended(id_)
        self.assertEqual([r["state"] for r in job["rows"]], ["unknown", "done"])
        self.assertEqual(self.calls_of(APPEND), before + 2)
        self.assertEqual(self.numbers()[-2:], ["881", "882"])
        self.gate.kill()
        self.gate.start()
        self.assertEqual(self.job(id_), job)

    def test_a_stop_loses_nothing(self):
        id_ = self.queue([contact("77%02d" % n) for n in range(30)]).json["id"]
        eventually(lambda: self.job(id_)["done"] >= 3, "it has begun")
        self.assertEqual(self.gate.child.end(), 0)
        self.gate.start()
        job = self.ended(id_)
        self.assertEqual(job["done"], 30, job)
        self.assertEqual([n for n in self.numbers() if n.startswith("77")], ["77%02d" % n for n in range(30)])

    def test_personal_data(self):
        """Not on the disk in clear, not in the log, not in metrics; nor in the audit, which tells of the job."""
        secret = "Xylophonius"
        self.sim.fault("refuse")
        id_ = self.queue([contact(5550199, lastName=secret, emailAddress=secret + "@example.com")]).json["id"]
        eventually(lambda: "waitsFor" in self.job(id_), "it waits")
        self.assertNotIn(secret.encode(), self.data())
        self.assertNotIn(b"5550199", self.data())
        self.gate.kill()
        self.assertNotIn(secret.encode(), self.data())
        self.gate.start(ready=False)
        self.sim.no_faults()
        self.assertEqual(self.ended(id_)["done"], 1)
        last = self.appended()[-1]
        self.assertEqual((last["lastName"], last["phoneNumber"]["phoneNo"]), (secret, "5550199"))
        for text in (self.gate.child.text(), exchange(self.gate.port, "GET", "/metrics").body.decode(),
                     self.get("/v1/audit", "operator").body.decode(), self.data().decode("latin-1")):
            self.assertNotIn(secret, text)
            self.assertNotIn("5550199", text)
        entries = [e for e in self.items("/v1/audit?what=outboundAppend", "operator") if e["object"] == id_]
        self.assertEqual([(e["application"], e["campaign"], e["rows"]) for e in entries], [("campaigner", 101, 1)])


if __name__ == "__main__":
    harness.main()
