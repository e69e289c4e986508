"""The one login to the Outbound services: who has it, what it fails with, and how a session key is lost and had again."""
import os
import signal

import harness
from harness import Gateway, Simulator, eventually, exchange
from outbounding import CAMPAIGN, CAMPAIGNS, CONTACT, USER, UTILITY, OutboundCase

FRESH = {"Cache-Control": "no-cache"}
LOGIN, LOGOFF = UTILITY + ".OutboundLogin", UTILITY + ".OutboundLogoff"


class LoginCase(OutboundCase):
    """A gateway for each test, so that each begins without a login."""

    @classmethod
    def setUpClass(cls):
        cls.sim = Simulator(**cls.simulator_options)

    @classmethod
    def tearDownClass(cls):
        counters = cls.sim.counters()
        cls.sim.stop()
        assert counters["violations"] == 0, counters.get("violationMessages")

    def setUp(self):
        super().setUp()
        self.logoff_elsewhere()
        self.sim.admin("POST", "/counters/reset")
        self.gate = None

    def tearDown(self):
        if self.gate is not None:
            self.gate.stop()

    def start(self, **more):
        self.gate = self.make_gateway(**more)

    def secret_nowhere(self, key=None):
        text = self.gate.child.text() + exchange(self.gate.port, "GET", "/metrics").body.decode()
        self.assertNotIn(harness.PASSWORD, text)
        if key:
            self.assertNotIn(key, text)


class Login(LoginCase):
    def test_when_it_is_needed_and_once(self):
        self.start()
        self.assertEqual(self.calls_of(LOGIN), 0)
        for path in (CAMPAIGNS, CAMPAIGNS + "/102/contacts", CAMPAIGNS + "/102/contacts/10200001"):
            self.assertEqual(self.get(path, headers=FRESH).status, 200)
        self.assertEqual(self.calls_of(LOGIN), 1)
        self.assertEqual(self.gate.metric("outbound_logged_in"), 1)
        self.secret_nowhere()

    def test_one_for_all_who_ask(self):
        self.start()
        self.sim.latency(100)
        connections = [self.gate.connect() for _ in range(8)]
        for connection in connections:
            connection.request("GET", CAMPAIGNS + "/103/contacts", headers=harness.bearer("campaigner"))
        for connection in connections:
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, 200)
            connection.close()
        self.assertEqual(self.calls_of(LOGIN), 1)

    def test_logs_off_at_the_end(self):
        self.start()
        self.get(CAMPAIGNS)
        self.gate.stop()
        self.gate = None
        self.assertEqual(self.calls_of(LOGOFF), 1)
        self.login_elsewhere()

    def test_no_logoff_without_login(self):
        self.start()
        self.gate.stop()
        self.gate = None
        self.assertEqual(self.calls_of(LOGOFF), 0)

    def test_wrong_credentials_are_not_tried_again(self):
        os.environ["CCTGATE_TEST_WRONG"] = "not-it"
        self.start(password={"env": "CCTGATE_TEST_WRONG"})
        first = self.assert_problem(self.get(CAMPAIGNS), 503, "session-denied")
        self.assertGreater(first.json["retryAfter"], 20)
        self.assertIn("retry-after", first.headers)
        self.assertEqual(first.json["operation"], "GetCampaigns")
        for path in (CAMPAIGNS, CAMPAIGNS + "/102", CAMPAIGNS + "/102/contacts/1", CAMPAIGNS + "/102/search?phone=--1"):
            self.assert_problem(self.get(path), 503, "session-denied")
        self.assert_problem(self.close(102, 10200001), 503, "session-denied")
        self.assertEqual(self.calls_of(LOGIN), 1)
        self.assertEqual(self.gate.metric("outbound_login_failures_total"), 1)
        self.assertNotIn("not-it", self.gate.child.text())

    def test_other_credentials_are_tried_at_once(self):
        os.environ["CCTGATE_TEST_WRONG"] = "not-it"
        self.start(password={"env": "CCTGATE_TEST_WRONG"})
        self.assert_problem(self.get(CAMPAIGNS), 503, "session-denied")
        self.gate.config["outbound"]["password"] = {"file": "password"}
        self.gate.write()
        self.gate.child.process.send_signal(signal.SIGHUP)
        eventually(lambda: self.gate.child.log("reloaded"), "the configuration is in force")
        self.assertEqual(self.get(CAMPAIGNS).status, 200)

    def test_already_logged_in(self):
        self.login_elsewhere()
        self.start()
        answer = self.assert_problem(self.get(CAMPAIGNS), 409, "already-logged-in")
        self.assertIn("is already logged in", answer.json["detail"])
        self.assert_problem(self.get(CAMPAIGNS + "/102/contacts"), 409, "already-logged-in")
        self.assertEqual(self.calls_of(LOGOFF), 0)
        self.logoff_elsewhere()
        eventually(lambda: self.get(CAMPAIGNS).status == 200, "the login is free again")

    def test_taken_over(self):
        key = self.login_elsewhere()
        self.start(takeOver=True)
        self.assertEqual(self.get(CAMPAIGNS).status, 200)
        self.assertEqual((self.calls_of(LOGOFF), self.gate.metric("outbound_takeovers_total")), (1, 1))
        self.secret_nowhere(key)

    def test_taken_over_three_times_at_most(self):
        self.start(takeOver=True)
        self.sim.fault("fault", UTILITY, "OutboundLogin", message="User x is already logged in")
        self.assert_problem(self.get(CAMPAIGNS), 409, "already-logged-in")
        self.assertEqual((self.calls_of(LOGIN), self.calls_of(LOGOFF)), (4, 3))

    def test_expired_password(self):
        self.sim.fault("fault", UTILITY, "OutboundLogin", 1, message="System.Exception: Expired")
        self.start()
        self.assert_problem(self.get(CAMPAIGNS), 503, "session-denied")

    def test_unreachable(self):
        self.start()
        self.get(CAMPAIGNS)
        self.sim.fault("refuse")
        answer = self.assert_problem(self.get(CAMPAIGNS + "/102/contacts"), 503, "upstream-unreachable")
        self.assertIn("retryAfter", answer.json)
        self.assert_problem(self.get(CAMPAIGNS, headers=FRESH), 503, "upstream-unreachable")
        stale = self.get(CAMPAIGNS)
        self.assertEqual((stale.status, stale.json["sync"]), (200, "stale"))
        self.assertIsNotNone(stale.json["staleSince"])
        self.sim.no_faults()
        eventually(lambda: self.get(CAMPAIGNS).json["sync"] == "cached", "it is reachable again")

    def test_only_if_cached(self):
        self.start()
        self.assert_problem(self.get(CAMPAIGNS, headers={"Cache-Control": "only-if-cached"}), 504, "not-cached")
        self.assertEqual(self.calls_of(LOGIN), 0)


class Key(LoginCase):
    def expire(self):
        self.sim.admin("POST", "/sessions/kill", {"user": USER})

    def test_renewed_once_for_a_read(self):
        self.start()
        paths = (CAMPAIGNS, CAMPAIGNS + "/105/contacts?limit=300", CAMPAIGNS + "/105/contacts/10500001",
                 CAMPAIGNS + "/105/search?phone=353-91-50500001", CAMPAIGNS + "/105/search?customField=Tier:T1",
                 CAMPAIGNS + "/105/contact-id?phone=353-91-50500001")
        for n, path in enumerate(paths):
            self.get(path)
            self.expire()
            self.assertEqual(self.get(path, headers=FRESH).status, 200, path)
            self.assertEqual(self.gate.metric("outbound_key_renewals_total"), n + 1)

    def test_a_command_is_not_repeated(self):
        self.start()
        self.get(CAMPAIGNS)
        self.expire()
        answer = self.assert_problem(self.close(104, 10400150), 503, "session-lost")
        self.assertEqual(answer.json["outcome"], "notDone")
        self.assertEqual(self.calls_of(CONTACT + ".CloseContact"), 1)
        self.assertEqual(self.close(104, 10400150).status, 200)

    def test_a_stream_goes_on(self):
        self.start()
        self.get(CAMPAIGNS)
        self.sim.latency(150)
        connection = self.gate.connect()
        connection.request("GET", CAMPAIGNS + "/105/contacts",
                           headers=dict(harness.bearer("campaigner"), Accept="application/x-ndjson"))
        answer = connection.getresponse()
        self.assertTrue(answer.readline())
        self.expire()
        self.assertEqual(answer.read().count(b"\n"), 1233)
        connection.close()
        self.assertEqual(self.gate.metric("outbound_key_renewals_total"), 1)

    def test_told_in_other_words(self):
        """The words of the fault are not known (NOTES.md, "Text of errors"): GetCampaigns tells whether the key is good."""
        self.start()
        self.get(CAMPAIGNS)
        self.expire()
        self.sim.fault("fault", CONTACT, "GetContactStatus", 1, message="Zugriff verweigert")
        self.assertEqual(self.get(CAMPAIGNS + "/105/contacts/10500001").status, 200)
        self.assertEqual(self.gate.metric("outbound_key_renewals_total"), 1)
        self.sim.fault("fault", CAMPAIGN, "GetCampaigns", 1, message="Zugriff verweigert")
        self.expire()
        self.assertEqual(self.get(CAMPAIGNS, headers=FRESH).status, 200)
        self.assertEqual(self.gate.metric("outbound_key_renewals_total"), 2)

    def test_refused_with_a_good_key(self):
        """A fault that has nothing to do with the key costs no login, and a broken GetCampaigns not the one there is."""
        self.start()
        self.get(CAMPAIGNS)
        self.sim.fault("fault", CONTACT, "FindContactsByPhoneNumber", 1, message="No such table")
        answer = self.assert_problem(self.get(CAMPAIGNS + "/105/search?phone=--1"), 502, "upstream-fault")
        self.assertIn("No such table", answer.json["detail"])
        self.assertEqual(self.calls_of(LOGIN), 1)
        self.sim.fault("fault", CAMPAIGN, "GetCampaigns", message="No such table")
        self.assert_problem(self.get(CAMPAIGNS, headers=FRESH), 502, "upstream-fault")
        self.sim.no_faults()
        self.assertEqual(self.get(CAMPAIGNS + "/105/contacts/10500001").status, 200)
        self.assertEqual((self.calls_of(LOGIN), self.calls_of(LOGOFF)), (2, 0))

    def test_words_of_a_client(self):
        """A fault that repeats what a client wrote ends nobody's login, whatever that says."""
        self.start()
        self.get(CAMPAIGNS)
        for words in ("invalid session", "Session key", "not logged in", "Once Per Second"):
            self.sim.fault("fault", CONTACT, "CloseContact", 1, message="The text '%s' is too long" % words)
            answer = self.assert_problem(self.close(102, 10200001, {"text": words}), 502, "upstream-fault")
            self.assertEqual(answer.json["outcome"], "notDone")
            self.sim.fault("fault", CONTACT, "FindContactsByCustomField", 1, message="There is no field %s" % words)
            self.assert_problem(self.get(CAMPAIGNS + "/102/search?customField=%s:x" % words.replace(" ", "%20")), 502, "upstream-fault")
            self.assertEqual(self.get(CAMPAIGNS, headers=FRESH).status, 200)
        self.assertEqual((self.logins(), self.gate.metric("outbound_key_renewals_total")), (1, 0))

    def test_quoted_in_a_fault(self):
        """A server that quotes the password does not tell it to clients."""
        self.start()
        self.sim.fault("fault", UTILITY, "OutboundLogin", 1, message="Password %s is wrong" % harness.PASSWORD)
        answer = self.assert_problem(self.get(CAMPAIGNS), 503, "session-denied")
        self.assertIn("*" * len(harness.PASSWORD), answer.json["detail"])
        self.assertNotIn(harness.PASSWORD, answer.body.decode())

    def test_stopped_in_the_middle(self):
        """Streams, jobs and closes are under way when the gateway stops: it ends well and logs off."""
        self.start(intervalMs=60000)
        self.get(CAMPAIGNS)
        self.sim.latency(30)
        connections = []
        for method, path, headers in (("GET", "/106/contacts", {"Accept": "application/x-ndjson"}),
                                      ("GET", "/106/contacts", {"Prefer": "respond-async"}),
                                      ("GET", "/106/contacts?limit=20000", {}), ("POST", "/105/contacts/10501000/close", {}),
                                      ("POST", "/105/contacts/10501001/close", {})):
            connection = self.gate.connect()
            connection.request(method, CAMPAIGNS + path, headers=dict(harness.bearer("campaigner"), **headers))
            connections.append(connection)
        eventually(lambda: self.calls_of(CAMPAIGN + ".Get200CampaignContacts") > 9, "they are under way")
        eventually(lambda: self.gate.metric("outbound_turns_waiting") == 2, "the closes wait")
        self.gate.stop()
        self.gate = None
        for connection in connections:
            connection.close()
        self.assertEqual((self.calls_of(LOGOFF), self.calls_of(CONTACT + ".CloseContact")), (1, 0))

    def test_over_a_crash(self):
        """What a crash leaves is taken up, and is not held to be somebody else's login."""
        self.start()
        self.get(CAMPAIGNS)
        eventually(lambda: self.gate.metric("durable_batches_total") >= 2, "the key is on the disk")
        self.gate.kill()
        self.gate.start()
        self.assertEqual(self.get(CAMPAIGNS).status, 200)
        self.assertEqual(self.calls_of(LOGIN), 1)
        self.gate.kill()
        self.logoff_elsewhere()
        key = self.login_elsewhere()
        self.gate.start()
        self.assert_problem(self.get(CAMPAIGNS), 409, "already-logged-in")
        self.assertEqual(self.soap(CAMPAIGN, "GetCampaigns", ("sessionKey", key))["OWCampaign"], None)
        self.logoff_elsewhere()
        eventually(lambda: self.get(CAMPAIGNS).status == 200, "the login is free again")

    def test_campaign_that_closes_meanwhile(self):
        """Within the time to live the gateway still knows it; what the contact centre refuses makes it look again."""
        self.start()
        self.get(CAMPAIGNS)
        self.sim.admin("POST", "/campaigns/102", {"status": "Completed"})
        try:
            for path in ("/102/contacts", "/102/contacts/10200001", "/102/search?phone=--1"):
                self.assert_problem(self.get(CAMPAIGNS + path), 404, "campaign-not-active")
            self.assert_problem(self.close(102, 10200001), 404, "campaign-not-active")
        finally:
            self.sim.admin("POST", "/campaigns/102", {"status": "Running"})
        eventually(lambda: self.get(CAMPAIGNS + "/102").status == 200, "it runs again")


class NotConfigured(LoginCase):
    def test_says_so(self):
        self.gate = Gateway(self.sim, users=("supervisor",))
        self.assert_problem(self.get(CAMPAIGNS), 501, "not-implemented")
        self.assert_problem(self.get(CAMPAIGNS + "/101/contacts"), 501, "not-implemented")
        self.assert_problem(self.close(101, 1), 501, "not-implemented")


if __name__ == "__main__":
    harness.main()
