"""Events in: the consumer endpoint, and the subscriptions behind it."""
import datetime
import http.server
import os
import re
import subprocess
import threading
import unittest
import urllib.parse

import harness
from harness import CCTGATE, Case, Gateway, Simulator, eventually, exchange

SAMPLES = os.path.join(harness.CONTRACT, "cct/samples")
USERS = ("supervisor",)
CONSUMER = {"address": "127.0.0.1", "port": 0}
XML = {"Content-Type": "text/xml; charset=utf-8"}
BATCH = "NotificationConsumer.Notify.Batch.request.xml"
SYSTEM = "NotificationConsumer.Notify.SystemEvent.request.xml"


def sample(name, subscription, session, **changes):
    with open(os.path.join(SAMPLES, name)) as file:
        text = file.read()
    text = text.replace("subscription-0001", subscription).replace("session-0001", session)
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def consumer_port(gate):
    return [line for line in gate.child.log("listening") if line.get("consumer")][0]["port"]


def unstarted(sim, **options):
    """A gateway that is configured and not started yet."""
    gate = Gateway.__new__(Gateway)
    start, Gateway.start = Gateway.start, lambda self, ready=True: None
    try:
        gate.__init__(sim, **options)
    finally:
        Gateway.start = start
    return gate


class Taking(Case):
    """One session, one subscription, whose secret the test knows from the simulator."""
    gateway_options = {"users": USERS, "consumer": CONSUMER, "upstream": {"heartbeatMs": 3600000}}

    def setUp(self):
        super().setUp()
        self.before = {}

    def subscription(self, sim=None, gate=None, other_than=None):
        def one():
            found = [s for s in (sim or self.sim).state()["subscriptions"] if s["id"] != other_than]
            active = (gate or self.gate).metric("subscriptions_active") == 1
            return found[0] if len(found) == 1 and active else None
        return eventually(one, "one subscription")

    def post(self, url, body, headers=XML, method="POST"):
        parts = urllib.parse.urlsplit(url)
        return exchange(parts.port, method, parts.path, headers, body.encode() if isinstance(body, str) else body)

    def count(self, gate=None, **expected):
        """Waits until the counters have grown by so much since the last time."""
        gate = gate or self.gate
        names = list(expected)
        def grown():
            return {n: gate.metric(n + "_total") - self.before.get((gate.port, n), 0) for n in names}
        eventually(lambda: grown() == expected, "%s, found %s" % (expected, grown()))

    def mark(self, *names, gate=None):
        gate = gate or self.gate
        for name in names:
            self.before[(gate.port, name)] = gate.metric(name + "_total")


class Endpoint(Taking):
    def test_a_notify_is_accepted_and_read(self):
        s = self.subscription()
        for headers in (XML, {"Content-Type": "application/soap+xml"}, {"Content-Type": "Application/XML"}, {}):
            self.mark("notify_messages", "consumer_accepted")
            answer = self.post(s["consumer"], sample(BATCH, s["id"], s["sessionId"]), headers)
            self.assertEqual((answer.status, answer.body), (202, b""))
            self.assertEqual(answer.headers["content-length"], "0")
            self.count(notify_messages=3, consumer_accepted=1)
        self.assertEqual(self.gate.metric("consumer_queued_bytes"), 0)

    def test_an_event_of_the_contact_centre_arrives(self):
        self.subscription()
        self.mark("notify_messages", "notify_undecodable", "notify_unknown", "notify_foreign_session")
        self.sim.admin("POST", "/agents/2001", {"ready": False, "reasonCode": "3"})
        self.sim.admin("POST", "/agents/2001", {"ready": True})
        eventually(lambda: self.gate.metric("notify_messages_total") >
                   self.before[(self.gate.port, "notify_messages")], "events")
        self.count(notify_undecodable=0, notify_unknown=0, notify_foreign_session=0)

    def test_forged(self):
        s = self.subscription()
        self.mark("notify_messages", "notify_unknown", "notify_foreign_session", "consumer_unknown", "notifies")
        # pins the session's id, if nothing has yet
        self.post(s["consumer"], sample(BATCH, s["id"], s["sessionId"]))
        self.count(notify_messages=3)
        wrong = s["consumer"][:-1] + ("0" if s["consumer"][-1] != "0" else "1")
        for url in (wrong, wrong[:-1], s["consumer"] + "0", s["consumer"] + "/", wrong.rsplit("/", 1)[0] + "/"):
            answer = self.post(url, sample(BATCH, s["id"], s["sessionId"]))
            self.assertEqual((answer.status, answer.body), (404, b""), url)
        self.assertEqual(self.post(s["consumer"], sample(BATCH, "another", s["sessionId"])).status, 202)
        self.count(notify_unknown=3)
        self.assertEqual(self.post(s["consumer"], sample(BATCH, s["id"], "another")).status, 202)
        self.count(notify_foreign_session=3, notify_messages=3, notify_unknown=3, consumer_unknown=5, notifies=3)

    def test_nothing_else_is_served(self):
        s = self.subscription()
        port = consumer_port(self.gate)
        for path in ("/", "/v1/agents", "/metrics", "/healthz", "/NotificationConsumer", "/NotificationConsumer?x",
                     "/NotificationConsumer?xsd=99", "/NotificationConsumer?xsd=-1", "/NotificationConsumerX?wsdl",
                     "/NotificationConsumer?xsd", "/%4eotificationConsumer?wsdl"):
            answer = exchange(port, "GET", path, harness.bearer("supervisor"))
            self.assertEqual((answer.status, answer.body), (404, b""), path)
        for method in ("GET", "PUT", "DELETE", "HEAD"):
            answer = self.post(s["consumer"], "", method=method)
            self.assertEqual((answer.status, answer.body, answer.headers["allow"]), (405, b"", "POST"))
        answer = exchange(port, "POST", "/NotificationConsumer", XML, "x")
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"))
        # and the clients' listener takes no events
        answer = exchange(self.gate.port, "POST", urllib.parse.urlsplit(s["consumer"]).path, XML, "x")
        self.assertEqual(answer.status, 404)

    def test_form(self):
        s = self.subscription()
        body = sample(BATCH, s["id"], s["sessionId"])
        self.mark("consumer_accepted", "consumer_refused")
        for headers in ({"Content-Type": "application/json"}, {"Content-Type": "text/xmlx"},
                        dict(XML, **{"Content-Encoding": "gzip"})):
            answer = self.post(s["consumer"], body, headers)
            self.assertEqual((answer.status, answer.body), (415, b""), headers)
        self.count(consumer_accepted=0, consumer_refused=3)

    def test_oversized(self):
        s = self.subscription()
        self.mark("consumer_accepted", "notify_messages")
        try:
            self.assertEqual(self.post(s["consumer"], b" " * (4 * 1024 * 1024 + 1)).status, 413)
        except (ConnectionError, OSError):
            pass  # told so, and hung up before all was sent
        self.count(consumer_accepted=0, notify_messages=0)
        padded = sample(BATCH, s["id"], s["sessionId"]) + " " * (4 * 1024 * 1024 - 20000)
        self.assertEqual(self.post(s["consumer"], padded).status, 202)
        self.count(consumer_accepted=1, notify_messages=3)

    def test_malformed(self):
        s = self.subscription()
        good = sample(BATCH, s["id"], s["sessionId"])
        self.mark("notify_messages", "notify_undecodable")
        bad = ["", "x", good[:-20], good.replace("nc:Notify>", "nc:Other>"), "<!DOCTYPE a>" + good,
               good.replace("soapenv:Body", "soapenv:Bodi"), "<a>" * 100000, "\0" * 100]
        for body in bad:
            self.assertEqual(self.post(s["consumer"], body).status, 202)
        self.count(notify_undecodable=len(bad), notify_messages=0)
        self.assertEqual(self.post(s["consumer"], good).status, 202)
        self.count(notify_undecodable=len(bad), notify_messages=3)

    def test_one_bad_message_costs_none_of_the_others(self):
        s = self.subscription()
        def post(**changes):
            return self.post(s["consumer"], sample(BATCH, s["id"], s["sessionId"], **changes))
        for bad in ({"<bn:IsRemote>false": "<bn:IsRemote>maybe"}, {"<bn:NewState>ALERTING</bn:NewState>": ""},
                    {"<bn:EventType>CONTACT_PROPERTY</bn:EventType>": ""},
                    {"<cct:status>false</cct:status>\n": "<cct:status>x</cct:status>"},
                    {"</nc:NotificationMessage>\n    </nc:Notify>": "</nc:NotificationMessage><nc:Foreign/></nc:Notify>"}):
            self.mark("notify_messages", "notify_undecodable")
            self.assertEqual(post(**bad).status, 202)
            self.count(notify_undecodable=1, notify_messages=3 if "Foreign" in str(bad) else 2)
        # what is merely not known is no mistake (DOMAIN rule 2)
        for odd in ({"<bn:NewState>ALERTING": "<bn:NewState>LEVITATING"}, {"<bn:Reason>DEFAULT": "<bn:Reason>WHIM"},
                    {"<bn:EventType>AGENT_PROPERTY": "<bn:Mood>good</bn:Mood><bn:EventType>AGENT_MOOD"}):
            self.mark("notify_messages", "notify_undecodable")
            self.assertEqual(post(**odd).status, 202)
            self.count(notify_undecodable=0, notify_messages=3)
        text = self.gate.child.text()
        self.assertNotIn(s["consumer"].rsplit("/", 1)[1], text)
        self.assertNotIn("maybe", text)

    def test_wsdl_and_all_it_imports(self):
        s = self.subscription()
        base = s["consumer"].rsplit("/", 1)[0]
        waiting, seen = [base + "?wsdl"], set()
        while waiting:
            url = waiting.pop()
            if url in seen:
                continue
            seen.add(url)
            parts = urllib.parse.urlsplit(url)
            answer = exchange(parts.port, "GET", parts.path + "?" + parts.query)
            self.assertEqual((answer.status, answer.headers["content-type"]), (200, "text/xml; charset=utf-8"))
            self.assertNotIn(s["consumer"], answer.body.decode())
            for name, location in re.findall(r'(\w*[lL]ocation)="([^"]*)"', answer.body.decode()):
                self.assertTrue(location.startswith(base), location)
                if location != base:
                    waiting.append(location)
            head = exchange(parts.port, "HEAD", parts.path + "?" + parts.query)
            self.assertEqual((head.status, head.headers["content-length"], head.body),
                             (200, str(len(answer.body)), b""))
        self.assertGreaterEqual(len(seen), 6)

    def test_one_connection_carries_many(self):
        s = self.subscription()
        parts = urllib.parse.urlsplit(s["consumer"])
        connection = harness.http.client.HTTPConnection("127.0.0.1", parts.port, timeout=harness.BOUND)
        self.mark("notify_messages")
        for _ in range(50):
            self.assertEqual(exchange(parts.port, "POST", parts.path, XML,
                                      sample(BATCH, s["id"], s["sessionId"]), connection).status, 202)
        self.assertIsNotNone(connection.sock)
        connection.close()
        self.count(notify_messages=150)


class Networks(Taking):
    gateway_options = {"users": USERS, "consumer": dict(CONSUMER, allow=["10.0.0.0/8", "fd00::/8"])}

    def test_a_foreign_network_is_told_nothing(self):
        s = self.subscription()
        self.mark("consumer_foreign", "consumer_accepted")
        for method, path, body in (("POST", urllib.parse.urlsplit(s["consumer"]).path, sample(BATCH, s["id"], "x")[:3000]),
                                   ("POST", "/", "x"), ("GET", "/NotificationConsumer?wsdl", None)):
            answer = exchange(consumer_port(self.gate), method, path, XML, body)
            self.assertEqual((answer.status, answer.body), (403, b""))
        self.count(consumer_foreign=3, consumer_accepted=0)
        # a reload opens the door
        self.gate.config["consumer"]["allow"] = ["127.0.0.1/32"]
        self.gate.write()
        self.gate.child.process.send_signal(harness.signal.SIGHUP)
        eventually(lambda: self.gate.child.log("reloaded"), "reloaded")
        self.assertEqual(self.post(s["consumer"], sample(BATCH, s["id"], s["sessionId"])).status, 202)
        self.count(consumer_accepted=1)


class Outage(Taking):
    gateway_options = {"users": USERS, "consumer": CONSUMER, "upstream": {"heartbeatMs": 500}}

    def test_a_session_that_outlives_an_outage_is_subscribed_anew(self):
        s = self.subscription()
        self.sim.fault("refuse")
        eventually(lambda: self.gate.metric("subscriptions_active") == 0, "not live")
        self.sim.no_faults()
        self.gate.wait_ready()
        fresh = self.subscription(other_than=s["id"])
        # the token was proven, not given up: nothing but the subscription is new, and the old one is ended
        self.assertEqual(self.sim.counters()["logins"], 1)
        eventually(lambda: [x["id"] for x in self.sim.state()["subscriptions"]] == [fresh["id"]], "one is left")


class Between:
    """Stands between the gateway and the simulator: each request may be answered, held or looked at on its way."""

    def __init__(self, sim):
        between = self
        self.sim, self.hooks, self.seen, self.actions = sim, {}, [], {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                service = self.path.rsplit("/", 1)[1]
                name = between.operation(body)
                between.seen.append((service, name, body))
                between.actions[service, name] = self.headers["SOAPAction"]
                hook = between.hooks.get((service, name), between.forward)
                status, text = hook(service, body)
                if status is None:
                    self.close_connection = True
                    return
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/xml; charset=utf-8")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                try:
                    self.wfile.write(data)
                except OSError:
                    pass  # who asked has given up

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def operation(body):
        return re.search(r"Body[^>]*>\s*<(?:\w+:)?(\w+)", body).group(1)

    def forward(self, service, body):
        headers = dict(XML, SOAPAction=self.actions[service, self.operation(body)])
        answer = exchange(self.sim.port, "POST", "/SOAOICCT/services/" + service, headers, body)
        return answer.status, answer.body.decode()

    def fault(self, name, detail=""):
        def hook(_service, _body):
            return 500, ('<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
                         '<faultcode>s:Server</faultcode><faultstring>%s</faultstring><detail>'
                         '<f:%s xmlns:f="http://www.nortel.com/soa/oi/cct/notification/faults" '
                         'xmlns:w="http://docs.oasis-open.org/wsrf/2004/06/wsrf-WS-BaseFaults-1.2-draft-01.xsd" '
                         'xmlns:n="http://www.nortel.com/soa/oi/cct/notification">'
                         '<w:Timestamp>2030-01-01T00:00:00Z</w:Timestamp>%s</f:%s></detail></s:Fault></s:Body></s:Envelope>'
                         % (name, name, detail, name))
        return hook

    def times(self, name):
        return len([1 for _, n, _ in self.seen if n == name])

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Subscribing(Taking):
    """Each test has a simulator, something in between, and a gateway of its own."""

    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def setUp(self):
        self.before = {}

    def begin(self, upstream=None, hooks=None, ready=True, **sim_options):
        self.sim = Simulator(**sim_options)
        self.addCleanup(self.end_simulator)
        self.between = Between(self.sim)
        self.addCleanup(self.between.close)
        self.between.hooks.update(hooks or {})
        options = {"heartbeatMs": 3600000}
        options.update(upstream or {})
        self.gate = unstarted(self.between, users=USERS, consumer=CONSUMER, upstream=options)
        self.addCleanup(self.gate.stop)
        self.gate.start(ready=ready)
        return self.subscription() if ready else None

    def end_simulator(self):
        violations = self.sim.counters()["violationMessages"]
        self.sim.stop()
        self.assertEqual(violations, [])

    def described(self):
        return self.gate.get("/v1/sessions", "operator").json["items"][0]["subscription"]

    def system(self, s, event, record="", stamp="2030-01-01T00:00:01.250Z"):
        body = sample(SYSTEM, s["id"], s["sessionId"])
        body = re.sub(r"<ntf:SystemEvent>.*</ntf:SystemEventSessionTerminationImminent>",
                      "<ntf:SystemEvent>%s</ntf:SystemEvent>%s" % (event, record), body, flags=re.S)
        self.assertIn(event, body)
        return self.post(s["consumer"], body.replace("2030-01-01T00:00:01.250Z", stamp))

    def test_producer_asks_for_everything(self):
        s = self.begin()
        self.assertEqual(self.described()["state"], "active")
        self.assertEqual(self.described()["way"], "producer")
        self.assertIsNotNone(self.described()["since"])
        self.assertIsNotNone(self.described()["until"])
        body = [b for service, n, b in self.between.seen if n == "Subscribe"][0]
        with open(os.path.join(harness.CONTRACT, "cct/BaseNotification.xsd")) as file:
            listeners = set(re.findall(r'element name="(\w+Listener)"', file.read()))
        self.assertEqual(set(re.findall(r"<\w+:(\w+Listener)/?>", body)), listeners)
        self.assertEqual(len(re.findall(r"Enabled>true<", body)), 5)
        self.assertRegex(s["consumer"], r"^http://127.0.0.1:\d+/NotificationConsumer/[0-9a-f]{64}$")
        # subscribed before anything is read (DOMAIN 5.13)
        names = [n for _, n, _ in self.between.seen]
        self.assertLess(names.index("Subscribe"), min(i for i, n in enumerate(names) if n.startswith("Get")))

    def test_user_way(self):
        s = self.begin({"subscription": "user"})
        self.assertEqual(s["reference"], s["consumer"] + ":" + s["id"])
        self.assertEqual((self.described()["way"], self.described()["until"]), ("user", None))
        self.mark("notify_messages")
        self.post(s["consumer"], sample(BATCH, s["id"], s["sessionId"]))
        self.count(notify_messages=3)
        self.gate.child.end()
        self.assertEqual(self.sim.state()["subscriptions"], [])
        self.assertEqual(self.between.times("Unsubscribe"), 1)

    def test_unsubscribed_before_the_logoff(self):
        self.begin()
        self.gate.child.end()
        self.assertEqual(self.sim.state()["subscriptions"], [])
        names = [n for _, n, _ in self.between.seen]
        self.assertLess(names.index("Unsubscribe"), [i for i, n in enumerate(names) if n.startswith("LogOff")][0])

    def test_unsubscribe_without_an_answer_does_not_keep_the_session(self):
        release = threading.Event()
        self.begin()
        def hang(_service, _body):
            release.wait(harness.BOUND)
            return None, None
        self.between.hooks[("NotificationProducer", "Unsubscribe")] = hang
        self.gate.child.end()
        release.set()
        self.assertTrue([1 for _, n, _ in self.between.seen if n.startswith("LogOff")])
        self.assertEqual(self.sim.counters()["logoffs"], 1)

    def test_removed_session_is_unsubscribed(self):
        self.begin()
        self.gate.config["sessions"] = []
        self.gate.config["tokens"] = []
        self.gate.write()
        self.gate.child.process.send_signal(harness.signal.SIGHUP)
        eventually(lambda: self.sim.counters()["logoffs"] == 1, "logged off")
        self.assertEqual(self.sim.state()["subscriptions"], [])
        names = [n for _, n, _ in self.between.seen]
        self.assertLess(names.index("Unsubscribe"), [i for i, n in enumerate(names) if n.startswith("LogOff")][0])
        self.assertEqual(self.gate.metric("subscriptions_active"), 0)

    def test_renewed_before_the_lease_ends(self):
        s = self.begin({"leaseMs": 10000})
        eventually(lambda: self.gate.metric("renewals_total") >= 2, "renewed")
        later = self.subscription()
        self.assertEqual(later["id"], s["id"])
        self.assertGreater(later["endsMs"], s["endsMs"] + 1000)
        self.assertEqual(self.gate.metric("subscribes_total"), 1)

    def test_lease_as_long_as_is_granted(self):
        def end(body):
            return datetime.datetime.fromisoformat(re.search(r"TerminationTime>(.*?)<", body).group(1).replace("Z", "+00:00"))
        def limit(ahead=0):
            return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=12 + ahead)
        def renew(service, body):
            if end(body) <= limit():
                return self.between.forward(service, body)
            return self.between.fault("UnacceptableTerminationTimeFault", "<n:MinimumTime>%s</n:MinimumTime><n:MaximumTime>%s"
                                      "</n:MaximumTime>" % (limit(-3).isoformat(), limit().isoformat()))(service, body)
        def subscribe(service, body):
            if "InitialTerminationTime" not in body or end(body) <= limit():
                return self.between.forward(service, body)
            return self.between.fault("SubscribeCreationFailedFault")(service, body)
        self.begin({"leaseMs": 3600000}, {("NotificationProducer", "Renew"): renew,
                                          ("NotificationProducer", "Subscribe"): subscribe})
        eventually(lambda: self.gate.metric("renewals_total") >= 2, "renewed")
        self.assertEqual(self.gate.metric("subscribes_total"), 2)

    def test_unknown_at_renewal_is_subscribed_anew_and_no_lost_session(self):
        s = self.begin({"leaseMs": 2000})
        self.between.hooks[("NotificationProducer", "Renew")] = self.between.fault("ResourceUnknownFault")
        eventually(lambda: self.gate.metric("subscribes_total") >= 2, "subscribed anew")
        self.between.hooks.clear()
        eventually(lambda: self.gate.child.log("subscriptionLost"), "told")
        self.assertEqual(self.gate.metric("session_losses_total"), 0)
        # the session was proven by a call
        eventually(lambda: self.gate.metric("session_heartbeats_total") >= 1, "proven")
        self.assertNotEqual(eventually(lambda: self.described()["state"] == "active", "active"), s["id"])

    def test_unknown_at_renewal_of_a_lost_session(self):
        self.begin({"leaseMs": 2000})
        self.sim.admin("POST", "/sessions/kill", {"user": "*", "silently": True})
        eventually(lambda: self.sim.counters()["logins"] >= 2, "logged in again")
        eventually(lambda: self.described()["state"] == "active", "active again")
        self.subscription()

    def test_no_renewal_granted_a_successor_is_made_while_the_old_one_lives(self):
        s = self.begin({"leaseMs": 12000})
        self.between.hooks[("NotificationProducer", "Renew")] = self.between.fault("RenewSubscriptionFailedFault")
        fresh = self.subscription(other_than=s["id"])
        self.between.hooks.clear()
        self.assertNotEqual(fresh["consumer"], s["consumer"])
        self.assertEqual(self.gate.child.log("subscriptionLost"), [])
        eventually(lambda: self.between.times("Unsubscribe") == 1, "the old one is ended")
        # what still comes under the old one is dropped
        self.mark("notify_retired", "notify_messages")
        self.assertEqual(self.post(s["consumer"], sample(BATCH, s["id"], s["sessionId"])).status, 202)
        self.count(notify_retired=3, notify_messages=0)

    def test_subscription_terminated(self):
        s = self.begin()
        record = "<ntf:SystemEventSubscriptionTermination><cct:reason>SUBSCRIPTION_TERMINATION</cct:reason>" \
                 "<cct:info>x</cct:info></ntf:SystemEventSubscriptionTermination>"
        self.mark("notify_messages")
        self.assertEqual(self.system(s, "SUBSCRIPTION_TERMINATION", record).status, 202)
        eventually(lambda: self.gate.metric("subscribes_total") == 2, "subscribed again")
        eventually(lambda: self.described()["state"] == "active", "active again")
        self.count(notify_messages=1)
        self.assertEqual(self.gate.metric("session_losses_total"), 0)
        self.mark("notify_retired")
        self.post(s["consumer"], sample(BATCH, s["id"], s["sessionId"]))
        self.count(notify_retired=3)

    def test_subscription_ending(self):
        s = self.begin()
        record = "<ntf:SystemEventSubscriptionTerminationImminent><cct:remainingTimeInMillis>60000" \
                 "</cct:remainingTimeInMillis></ntf:SystemEventSubscriptionTerminationImminent>"
        self.system(s, "SUBSCRIPTION_TERMINATION_IMMINENT", record)
        eventually(lambda: self.gate.metric("renewals_total") == 1, "renewed")
        self.assertEqual(self.subscription()["id"], s["id"])
        self.between.hooks[("NotificationProducer", "Renew")] = self.between.fault("RenewSubscriptionFailedFault")
        self.system(s, "SUBSCRIPTION_TERMINATION_IMMINENT", record, "2030-01-01T00:00:02Z")
        self.assertNotEqual(self.subscription(other_than=s["id"])["id"], s["id"])

    def test_session_terminated(self):
        s = self.begin()
        record = "<ntf:SystemEventSessionTermination><cct:reason>SESSION_TERMINATION</cct:reason>" \
                 "<cct:info>x</cct:info></ntf:SystemEventSessionTermination>"
        self.system(s, "SESSION_TERMINATION", record)
        eventually(lambda: self.sim.counters()["logins"] == 2, "logged in again")
        eventually(lambda: self.described()["state"] == "active", "active again")
        self.assertEqual(self.gate.metric("session_losses_total"), 1)
        self.assertNotEqual(self.subscription(other_than=s["id"])["id"], s["id"])

    def test_session_ending(self):
        s = self.begin()
        record = "<ntf:SystemEventSessionTerminationImminent><cct:remainingTimeInMillis>60000" \
                 "</cct:remainingTimeInMillis></ntf:SystemEventSessionTerminationImminent>"
        self.system(s, "SESSION_TERMINATION_IMMINENT", record)
        eventually(lambda: self.gate.metric("session_heartbeats_total") == 1, "a call moves the timer")
        # the same message once more is no second announcement
        self.mark("notify_messages")
        self.system(s, "SESSION_TERMINATION_IMMINENT", record)
        self.count(notify_messages=1)
        self.assertEqual(self.gate.metric("session_losses_total"), 0)
        self.system(s, "SESSION_TERMINATION_IMMINENT", record, "2030-01-01T00:00:31Z")
        eventually(lambda: self.sim.counters()["logins"] == 2, "a new session before the end")
        eventually(lambda: self.described()["state"] == "active", "active again")

    def test_connection_failure_is_passed_on_and_changes_nothing(self):
        s = self.begin()
        record = "<ntf:SystemEventConnectionFailure><cct:downTimeInMillis>5000</cct:downTimeInMillis><cct:totalFailures>2" \
                 "</cct:totalFailures><cct:consecutiveFailures>2</cct:consecutiveFailures></ntf:SystemEventConnectionFailure>"
        self.mark("notify_messages")
        self.system(s, "CONNECTION_FAILURE", record)
        self.count(notify_messages=1)
        self.assertEqual(self.subscription()["id"], s["id"])

    def test_session_lost(self):
        s = self.begin({"heartbeatMs": 500})
        self.sim.admin("POST", "/sessions/kill", {"user": "*", "silently": True})
        eventually(lambda: self.sim.counters()["logins"] >= 2, "logged in again")
        fresh = self.subscription(other_than=s["id"])
        self.mark("notify_messages")
        self.post(fresh["consumer"], sample(BATCH, fresh["id"], fresh["sessionId"]))
        self.count(notify_messages=3)

    def test_messages_before_the_answer_are_held(self):
        reached, release, answers = threading.Event(), threading.Event(), []
        def slow(service, body):
            answer = self.between.forward(service, body)
            answers.append((re.search(r"Address>(.*?)<", body).group(1), answer[1]))
            reached.set()
            release.wait(harness.BOUND)
            return answer
        self.begin(hooks={("NotificationProducer", "Subscribe"): slow}, ready=False, upstream={"timeoutMs": 30000})
        self.assertTrue(reached.wait(harness.BOUND))
        url = answers[0][0]
        subscription = re.search(r"SubscriptionId>(.*?)<", answers[0][1]).group(1)
        self.mark("notify_messages", "notify_unknown")
        self.assertEqual(self.post(url, sample(BATCH, subscription, "s")).status, 202)
        self.assertEqual(self.post(url, sample(BATCH, "other", "s")).status, 202)
        eventually(lambda: self.gate.metric("notifies_total") == 2, "handed over")
        self.count(notify_messages=0)
        self.assertEqual(self.described()["state"], "subscribing")
        release.set()
        self.count(notify_messages=3, notify_unknown=3)

    def test_unanswered_subscribe_is_made_again_under_another_secret(self):
        release, first = threading.Event(), []
        def swallow(service, body):
            answer = self.between.forward(service, body)
            if first:
                return answer
            first.append((re.search(r"Address>(.*?)<", body).group(1),
                          re.search(r"SubscriptionId>(.*?)<", answer[1]).group(1)))
            release.wait(harness.BOUND)
            return None, None
        self.begin(hooks={("NotificationProducer", "Subscribe"): swallow}, ready=False, upstream={"timeoutMs": 1000})
        eventually(lambda: self.gate.metric("subscriptions_active") == 1, "active")
        release.set()
        url, subscription = first[0]
        found = {s["id"]: s for s in self.sim.state()["subscriptions"]}
        self.assertEqual(len(found), 2)
        self.assertEqual(len({s["consumer"] for s in found.values()}), 2)
        # what it tells is dropped; its id is learned from it, and it is ended
        self.mark("notify_retired", "notify_messages")
        self.assertEqual(self.post(url, sample(BATCH, subscription, "s")).status, 202)
        self.count(notify_retired=3, notify_messages=0)
        def ended():
            if subscription not in {s["id"] for s in self.sim.state()["subscriptions"]}:
                return True
            self.post(url, sample(BATCH, subscription, "s"))  # what could not be ended is ended when it tells again
            return False
        eventually(ended, "ended")

    def test_what_both_tell_in_an_overlap_is_told_once(self):
        reached, release, answers = threading.Event(), threading.Event(), []
        s = self.begin({"subscription": "user", "timeoutMs": 30000})
        def slow(service, body):
            answer = self.between.forward(service, body)
            answers.append((re.search(r"ConsumerEndpoint>(.*?)<", body).group(1),
                            re.search(r"SubscriptionRef>[^<]*:([^<]*)<", answer[1]).group(1)))
            reached.set()
            release.wait(harness.BOUND)
            return answer
        self.between.hooks[("UserService", "Subscribe")] = slow
        record = "<ntf:SystemEventSubscriptionTerminationImminent><cct:remainingTimeInMillis>60000" \
                 "</cct:remainingTimeInMillis></ntf:SystemEventSubscriptionTerminationImminent>"
        self.system(s, "SUBSCRIPTION_TERMINATION_IMMINENT", record)
        self.assertTrue(reached.wait(harness.BOUND))
        url, subscription = answers[0]
        self.mark("notify_messages", "notify_duplicates")
        self.post(s["consumer"], sample(BATCH, s["id"], s["sessionId"]))
        self.count(notify_messages=3)
        self.post(url, sample(BATCH, subscription, s["sessionId"]))
        self.post(url, sample(BATCH, subscription, s["sessionId"], **{"<cct:reasonCode>001": "<cct:reasonCode>002"}))
        eventually(lambda: self.gate.metric("notifies_total") >= 4, "handed over")
        release.set()
        self.count(notify_duplicates=3, notify_messages=6)
        eventually(lambda: [x["id"] for x in self.sim.state()["subscriptions"]] == [subscription], "the old one is ended")

    def test_refused_subscribe_is_tried_again_and_reading_goes_on(self):
        self.begin({"timeoutMs": 30000}, hooks={("NotificationProducer", "Subscribe"): self.between_fault}, ready=False)
        eventually(lambda: self.gate.metric("subscription_failures_total") >= 2, "refused")
        self.assertEqual(self.gate.get("/v1/agents/2001").status, 200)
        self.assertEqual(self.gate.metric("session_losses_total"), 0)
        self.between.hooks.clear()
        self.subscription()

    def between_fault(self, service, body):
        return self.between.fault("SubscribeCreationFailedFault")(service, body)


class Pace(unittest.TestCase):
    def test_many_are_not_subscribed_at_once(self):
        sim = Simulator(agents=40)
        users = ["agent%d" % (2001 + i) for i in range(30)]
        gate = Gateway(sim, users=users, consumer=CONSUMER, upstream={"loginsPerSecond": 20})
        try:
            eventually(lambda: gate.metric("subscriptions_active") == 30, "all")
            times = sorted(s["since"] for s in (i["subscription"] for i in gate.get("/v1/sessions", "operator").json["items"]))
            seconds = [float(t[17:23]) + 60 * float(t[14:16]) for t in times]
            spread = seconds[-1] - seconds[0]
            self.assertGreaterEqual(spread % 3600, 29 / 20 - 0.2)
        finally:
            gate.stop()
            left = sim.state()["subscriptions"]
            sim.stop()
        self.assertEqual(left, [])


class Configuration(unittest.TestCase):
    def check(self, consumer):
        sim = Simulator()
        gate = unstarted(sim, users=USERS, consumer=consumer)
        done = subprocess.run([CCTGATE, "--config", gate.file, "--check-config"], capture_output=True, text=True,
                              env=dict(os.environ, LSAN_OPTIONS=harness.LSAN))
        run = subprocess.run([CCTGATE, "--config", gate.file], capture_output=True, text=True, timeout=harness.BOUND,
                             env=dict(os.environ, LSAN_OPTIONS=harness.LSAN)) if done.returncode else None
        gate.stop()
        sim.stop()
        return done, run

    def test_an_address_that_cannot_be_called(self):
        for address in ("0.0.0.0", "::"):
            done, run = self.check({"address": address, "port": 0})
            for result in (done, run):
                self.assertEqual(result.returncode, 1)
                self.assertIn("/consumer/publicUrl", result.stderr)
            done, _ = self.check({"address": address, "port": 0, "publicUrl": "http://gateway.example:9091"})
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_nobody_allowed(self):
        done, _ = self.check(dict(CONSUMER, allow=[]))
        self.assertEqual(done.returncode, 1)
        self.assertIn("/consumer/allow", done.stderr)

    def test_public_url_is_what_the_contact_centre_is_told(self):
        sim = Simulator()
        gate = Gateway(sim, users=USERS, consumer=dict(CONSUMER, publicUrl="http://gateway.example:19091/cct/"))
        try:
            found = eventually(lambda: sim.state()["subscriptions"], "subscribed")
            self.assertTrue(found[0]["consumer"].startswith("http://gateway.example:19091/cct/NotificationConsumer/"))
            wsdl = exchange(consumer_port(gate), "GET", "/NotificationConsumer?wsdl").body.decode()
            self.assertIn('location="http://gateway.example:19091/cct/NotificationConsumer"', wsdl)
        finally:
            gate.stop()
            sim.stop()

    def test_without_a_consumer_nothing_is_subscribed(self):
        sim = Simulator()
        gate = Gateway(sim, users=USERS)
        try:
            self.assertEqual(sim.calls("NotificationProducer.Subscribe", "UserService.Subscribe"), 0)
            self.assertNotIn("subscription", gate.get("/v1/sessions", "operator").json["items"][0])
        finally:
            gate.stop()
            sim.stop()


if __name__ == "__main__":
    harness.main()
