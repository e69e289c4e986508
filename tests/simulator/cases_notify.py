"""Tests of what the simulator posts to consumers: every event, its order, filters, visibility, faults, ends."""

import threading
import time

from notifydrive import (ORDER, POLICY, Consumer, Model, entity, flags, listener, reference, subscribe,
                         subscribe_to_all)
from simdrive import (ADR, CNT, NP, SES, TC, TER, USR, Raw, SimCase, address, agent, contact, open_socket, termconn,
                      terminal, wait_until)

CONTACT_PROPERTIES = (
    "CONTACT", "CONFERENCE_INIT", "CONFERENCE_COMPLETE", "BLIND_TRANSFER_COMPLETE", "SUPERVISED_TRANSFER_INIT",
    "SUPERVISED_TRANSFER_COMPLETE", "CONSULT", "ATTACHED_DATA", "NETWORK_DIALED_ADDRESS", "SPEXTERNAL_ID", "UUI",
    "CONTACT_TYPE", "CALLED_ALIAS", "CALLED_ADDRESS", "CALLING_ADDRESS", "CALLING_TERMINAL", "LAST_REDIRECTED_ADDRESS",
    "CCM_ID", "INTRINSICS", "ROUTE", "NODE_ID", "SOURCE_SITE_GROUP_ID", "TARGET_AGENT_POSITION_ID")
TERMINAL_PROPERTIES = (
    "DO_NOT_DISTURB", "FORWARDING", "CONTACT_TYPE", "TREATMENT_TERMINAL_TYPE", "TREATMENT_TRANSPORT_TYPE", "NAME",
    "PORT", "AGENT_LOGIN_SESSION", "AGENT_LOGIN_SESSION_ENDED", "ACTIVITY_CODE", "READY_STATUS",
    "VALIDATE_AGENT_LICENSE")
ADDRESS_PROPERTIES = ("FORWARDING", "DO_NOT_DISTURB", "MESSAGE_WAITING", "ADDRESS_TERMINAL_ASSOCIATION",
                      "ACQUIRE_STATUS", "URI", "CONTROLLED", "PRESENCE")
AGENT_PROPERTIES = ("CONTACT_TYPE", "ADDRESS_NAME", "VOICE_TERMINAL", "LOGIN_STATUS", "INFORMATION", "READY_STATUS")


class NotifyCase(SimCase):
    args = ("--scenario", "idle")

    def setUp(self):
        super().setUp()
        self.consumers = []
        self.consumer = self.new_consumer()

    def new_consumer(self):
        self.consumers.append(Consumer())
        return self.consumers[-1]

    def tearDown(self):
        for consumer in self.consumers:
            if consumer.hold:
                consumer.hold.set()
            consumer.close()
            consumer.keep_for_validation(self.sim)
        super().tearDown()

    def quiet(self, seconds=60):
        self.assertTrue(wait_until(lambda: self.sim.admin("GET", "/traffic")["quiet"], seconds),
                        self.sim.admin("GET", "/subscriptions"))

    def inject(self, kind, **more):
        self.sim.admin("POST", "/events", dict({"type": kind}, **more))

    def system(self, event, **more):
        return self.sim.admin("POST", "/system", dict({"event": event}, **more))["concerned"]

    def counts(self):
        return self.sim.counters()["notify"]

    def toggle(self, times, agent_id="2005"):
        for i in range(times):
            self.sim.admin("POST", f"/agents/{agent_id}", {"loggedIn": True, "ready": i % 2 == 0})


class NotifyEvents(NotifyCase):
    """Every kind of event in the contract's form; that it is valid is seen by the schema when the test ends."""

    def test_a_call_through_both_kinds_of_subscription(self):
        token, other = self.sim.login(), self.new_consumer()
        one, two = subscribe_to_all(self, token, self.consumer), subscribe(self, token, other)
        call = self.sim.incoming("2002", data={"case": "4 & 2"}, answer=True)["contactId"]
        truth = self.sim.admin("GET", "/truth/supervisor")["calls"][0]
        self.sim.admin("POST", f"/calls/{call}/end")
        self.quiet()
        self.assertEqual([(e.type, e.what) for e in self.consumer.events()], [
            ("CONNECTION_STATE", "ESTABLISHED"), ("CONTACT_PROPERTY", "CALLING_ADDRESS"),
            ("CONTACT_PROPERTY", "CALLED_ADDRESS"), ("CONNECTION_STATE", "OFFERED"), ("CONNECTION_STATE", "ALERTING"),
            ("TERMINAL_CONNECTION_STATE", "RINGING"), ("CONTACT_PROPERTY", "ATTACHED_DATA"),
            ("TERMINAL_CONNECTION_STATE", "ACTIVE"), ("CONNECTION_STATE", "ESTABLISHED"),
            ("CONNECTION_STATE", "DISCONNECTED"), ("TERMINAL_CONNECTION_STATE", "DROPPED"),
            ("CONNECTION_STATE", "DISCONNECTED")])
        self.assertEqual([(e.type, e.body) for e in other.events()],
                         [(e.type, e.body) for e in self.consumer.events()])
        self.check_frame(token, {one: self.consumer, two: other})
        self.check_call(self.consumer.events(), truth)

    def check_frame(self, token, by_subscription):
        sessions = {e.session for c in by_subscription.values() for e in c.events()}
        self.assertEqual(sessions, {self.sim.state()["sessions"][0]["id"]})
        self.assertNotIn(token, sessions)
        for subscription, consumer in by_subscription.items():
            for e in consumer.events():
                self.assertEqual((e.subscription, e.producer["SubscriptionId"]), (subscription, subscription))
                self.assertIn(f":{self.sim.port}/SOAOICCT/services/NotificationProducer", e.producer["Address"])
                self.assertRegex(e.timestamp, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        path, headers, _ = self.consumer.requests[0]
        self.assertEqual(path, "/N%20x?secret=1")
        self.assertEqual(headers["SOAPAction"],
                         '"http://www.nortel.com/soa/oi/cct/notificationconsumer/service/Notify"')
        self.assertEqual(len({client for _, _, client in self.consumer.requests}), 1, "one connection is kept")

    def check_call(self, events, truth):
        data = next(e for e in events if e.what == "ATTACHED_DATA")
        self.assertEqual(data.value(), ("ContactPropertyAttachedData", {"attachedData": {
            "type": "KEY_VALUE_PAIRS", "keyValueData": {"item": [{"key": "case", "value": "4 & 2"}]}}}))
        self.assertEqual(events[0].body["IsRemote"], "true")
        self.assertEqual(events[0].body["Address"]["addressType"], "OUT_OF_PROVIDER")
        self.assertEqual(events[3].body["IsRemote"], "false")
        active, up = events[7], events[8]
        leg = next(c for c in truth["connections"] if c["address"] == "52002")
        self.assertEqual(flags(active.body["TerminalConnectionCapabilities"]),
                         leg["terminalConnections"][0]["capabilities"])
        self.assertEqual(flags(up.body["ConnectionCapabilities"]), leg["capabilities"])
        self.assertEqual((up.body["PreviousState"], up.body["SendingAddress"]["addressName"]), ("ALERTING", "52002"))
        entered = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(leg["enteredMs"] // 1000))
        self.assertEqual(up.timestamp, f"{entered}.{leg['enteredMs'] % 1000:03d}Z")

    def test_agents_and_terminals(self):
        subscribe_to_all(self, self.sim.login(), self.consumer)
        self.sim.admin("POST", "/agents/2002", {"loggedIn": True, "ready": False, "reasonCode": "3", "activityCode": "9"})
        self.sim.admin("POST", "/agents/2002", {"ready": True})
        self.sim.admin("POST", "/agents/2002", {"loggedIn": False})
        self.quiet()
        told = [(e.what, e.value()[1]) for e in self.consumer.events("AGENT_PROPERTY")]
        self.assertEqual([t for t in told if t[0] != "INFORMATION"], [
            ("LOGIN_STATUS", {"status": "LOGGED_IN"}), ("READY_STATUS", {"status": "false", "reasonCode": ""}),
            ("READY_STATUS", {"status": "false", "reasonCode": "3"}),
            ("READY_STATUS", {"status": "true", "reasonCode": ""}), ("LOGIN_STATUS", {"status": "LOGGED_OUT"}),
            ("READY_STATUS", {"status": "false", "reasonCode": ""})])
        self.assertEqual([v["tnName"] for k, v in told if k == "INFORMATION"], ["Line 1.0.2", ""])
        self.assertEqual([(e.what, e.value()[1]) for e in self.consumer.events("TERMINAL_PROPERTY")], [
            ("AGENT_LOGIN_SESSION", {"loginEnded": "false"}), ("READY_STATUS", {"status": "false", "reasonCode": ""}),
            ("READY_STATUS", {"status": "false", "reasonCode": "3"}), ("ACTIVITY_CODE", {"activityCode": "9"}),
            ("READY_STATUS", {"status": "true", "reasonCode": ""}), ("AGENT_LOGIN_SESSION_ENDED", {"loginEnded": "true"}),
            ("READY_STATUS", {"status": "false", "reasonCode": ""}), ("ACTIVITY_CODE", {"activityCode": ""})])

    def test_settings_of_addresses_and_terminals(self):
        token = self.sim.login()
        subscribe_to_all(self, token, self.consumer)
        at, line = ("address", address("52002")), ("terminal", terminal("Line 1.0.2"))
        forward = Raw("<c:caller>1</c:caller><c:destinationAddress>52005</c:destinationAddress><c:type>2</c:type>"
                      "<c:whichCalls>3</c:whichCalls>")
        self.good(ADR, "PresenceSubscribe", token, at, ("duration", 60))
        for service, what in ((ADR, at), (TER, line)):
            self.good(service, "SetDoNotDisturb", token, what, ("doNotDisturb", True))
            self.good(service, "SetForwarding", token, what, ("forwarding", forward))
            self.good(service, "CancelForwarding", token, what)
        self.quiet()
        item = {"destinationAddress": "52005", "filter": "3", "caller": "1", "type": "2"}
        self.assertEqual([(e.what, e.value()[1]) for e in self.consumer.events("ADDRESS_PROPERTY") if e.what != "PRESENCE"],
                         [("DO_NOT_DISTURB", {"doNotDisturbSet": "true"}), ("FORWARDING", {"item": [item]}),
                          ("FORWARDING", "")])
        presence = [e.value()[1]["presence"]["activity"] for e in self.consumer.events() if e.what == "PRESENCE"]
        self.assertEqual(presence, ["AVAILABLE", "DO_NOT_DISTURB"])
        self.assertEqual([(e.what, e.value()[1]) for e in self.consumer.events("TERMINAL_PROPERTY")],
                         [("DO_NOT_DISTURB", {"doNotDisturbSet": "true"}), ("FORWARDING", {"item": [item]}),
                          ("FORWARDING", "")])

    def test_every_property_can_be_told(self):
        subscribe(self, self.sim.login(), self.consumer)
        call = self.sim.admin("POST", "/calls", {"from": "52003", "to": "2002"})["contactId"]
        self.quiet()
        self.consumer.clear()
        for property_ in CONTACT_PROPERTIES:
            value = {"CCM_ID": 7, "ATTACHED_DATA": {"a": "b"}, "INTRINSICS": {"a": "b"}}.get(property_, "word")
            self.inject("CONTACT_PROPERTY", contact=call, property=property_, value=value)
        for property_ in TERMINAL_PROPERTIES:
            self.inject("TERMINAL_PROPERTY", terminal="Line 1.0.2", property=property_)
        for property_ in ADDRESS_PROPERTIES:
            self.inject("ADDRESS_PROPERTY", address="52002", property=property_)
        for property_ in AGENT_PROPERTIES:
            self.inject("AGENT_PROPERTY", agent="2002", property=property_)
        self.quiet()
        self.assertEqual(tuple(e.what for e in self.consumer.events()),
                         CONTACT_PROPERTIES + TERMINAL_PROPERTIES + ADDRESS_PROPERTIES + AGENT_PROPERTIES)
        without = {e.what for e in self.consumer.events() if e.value() is None}
        self.assertEqual(without, set(CONTACT_PROPERTIES[:7]) | {"LAST_REDIRECTED_ADDRESS", "CONTROLLED"})
        values = dict((e.what, e.value()) for e in self.consumer.events("CONTACT_PROPERTY"))
        self.assertEqual(values["CCM_ID"][1], {"ccmId": "7"})
        self.assertEqual(values["NODE_ID"][1], {"nodeId": "word"})
        truth = self.sim.call_state(call)
        self.assertEqual((truth["uui"], truth["data"], truth["intrinsics"], truth["properties"]["CALLED_ALIAS"]),
                         ("word", {"a": "b"}, {"a": "b"}, "word"))

    def test_injected_events_change_the_truth(self):
        token = self.sim.login()
        subscribe(self, token, self.consumer)
        call = self.sim.incoming("2002")["contactId"]
        self.quiet()
        self.consumer.clear()
        self.inject("ADDRESS_STATE", address="52002", state="OUT_OF_SERVICE", reason="cable")
        self.inject("TERMINAL_STATE", terminal="Line 1.0.2", state="INVALID")
        self.inject("AGENT_STATE", agent="2002", state="UNMAPPED")
        self.inject("SERVICE_PROVIDER_STATUS", provider="Passive", state="RESTART")
        self.inject("ADDRESS_PROPERTY", address="52003", property="DO_NOT_DISTURB", value=True)
        self.inject("ADDRESS_PROPERTY", address="52003", property="URI", value="sip:x@y")
        self.inject("TERMINAL_PROPERTY", terminal="Line 1.0.3", property="DO_NOT_DISTURB", value=True)
        self.inject("DEFAULT_TREATMENT", contact=call)
        self.inject("FORCE_DISCONNECT", contact=call, end=True)
        self.quiet()
        self.assertEqual([e.type for e in self.consumer.events()], [
            "ADDRESS_STATE", "TERMINAL_STATE", "AGENT_STATE", "SERVICE_PROVIDER_STATUS", "ADDRESS_PROPERTY",
            "ADDRESS_PROPERTY", "TERMINAL_PROPERTY", "DEFAULT_TREATMENT", "FORCE_DISCONNECT", "CONNECTION_STATE",
            "TERMINAL_CONNECTION_STATE", "CONNECTION_STATE"])
        self.assertEqual(self.consumer.events()[0].body["Reason"], "cable")
        self.assertEqual({e.body["Reason"] for e in self.consumer.events("CONNECTION_STATE")}, {"FORCE_DISCONNECT"})
        self.assertEqual(self.good(ADR, "GetState", token, ("address", address("52002"))).text("resourseState"),
                         "OUT_OF_SERVICE")
        self.assertEqual(self.good(TER, "GetState", token, ("terminal", terminal("Line 1.0.2"))).text("resourseState"),
                         "INVALID")
        self.assertEqual(self.good(ADR, "GetDoNotDisturb", token, ("address", address("52003"))).text("doNotDisturb"),
                         "true")
        self.assertEqual(self.good(ADR, "GetUri", token, ("address", address("52003"))).text("uri"), "sip:x@y")

    def test_what_cannot_be_injected(self):
        for body in ({"type": "SYSTEM"}, {"type": "NONSENSE"}, {"type": "ADDRESS_STATE", "address": "52002"},
                     {"type": "ADDRESS_PROPERTY", "address": "52002", "property": "X"},
                     {"type": "ADDRESS_PROPERTY", "address": "52002", "property": "DO_NOT_DISTURB", "value": "yes"},
                     {"type": "CONTACT_PROPERTY", "contact": "x", "property": "UUI"}):
            with self.assertRaises(RuntimeError, msg=body):
                self.sim.admin("POST", "/events", body)
        with self.assertRaises(RuntimeError):
            self.sim.admin("POST", "/notify", {"drop": 2})
        with self.assertRaises(RuntimeError):
            self.system("NONSENSE")


class NotifyFilters(NotifyCase):
    def test_only_what_the_listeners_ask_for(self):
        token, other = self.sim.login(), self.new_consumer()
        subscribe(self, token, self.consumer, listener("AGENT_PROPERTY", "", "READY_STATUS"))
        subscribe(self, token, other, listener("TERMINAL_CONNECTION_STATE", "", "RINGING", "ACTIVE"))
        self.sim.admin("POST", "/agents/2002", {"loggedIn": True, "ready": True})
        self.sim.incoming("2002", answer=True)
        self.quiet()
        self.assertEqual([(e.type, e.what) for e in self.consumer.events()], [("AGENT_PROPERTY", "READY_STATUS")])
        self.assertEqual([e.what for e in other.events()], ["RINGING", "ACTIVE"])
        self.assertEqual(other.events()[0].topic, {"NotificationTopic": {"TerminalConnectionStateListener": ""}})

    def test_only_the_entities_that_are_named(self):
        token, other = self.sim.login(), self.new_consumer()
        named = (listener("CONTACT_PROPERTY", entity("AddressEntity", address("52002"))) +
                 listener("AGENT_PROPERTY", entity("AgentEntity", agent("2002"))) +
                 listener("CONNECTION_STATE", entity("AddressEntity", address("52002"))) +
                 listener("TERMINAL_CONNECTION_STATE", entity("TerminalEntity", terminal("Line 1.0.2"))))
        subscribe(self, token, self.consumer, named)
        subscribe(self, token, other, "")
        for one in ("2002", "2003"):
            self.sim.admin("POST", f"/agents/{one}", {"loggedIn": True})
            self.sim.incoming(one, answer=True, data={"a": one})
        self.quiet()
        self.assertEqual(other.events(), [])
        events = self.consumer.events()
        self.assertEqual({e.type for e in events},
                         {"CONTACT_PROPERTY", "AGENT_PROPERTY", "CONNECTION_STATE", "TERMINAL_CONNECTION_STATE"})
        self.assertEqual({e.body["Agent"]["agentLoginId"] for e in events if e.type == "AGENT_PROPERTY"}, {"2002"})
        self.assertEqual({e.body["Terminal"]["terminalName"] for e in events if e.type == "TERMINAL_CONNECTION_STATE"},
                         {"Line 1.0.2"})
        for e in self.consumer.events("CONTACT_PROPERTY"):
            self.assertEqual(e.body["Address"]["addressName"], "52002")
        for e in self.consumer.events("CONNECTION_STATE"):
            self.assertEqual(e.body["SendingAddress"]["addressName"], "52002")

    def test_a_user_is_told_what_it_may_see(self):
        subscribe_to_all(self, self.sim.login("agent2002"), self.consumer)
        self.sim.incoming("2003", answer=True)
        self.sim.admin("POST", "/agents/2003", {"loggedIn": True})
        call = self.sim.admin("POST", "/calls", {"from": "52003", "to": "2002", "answer": True})["contactId"]
        self.sim.admin("POST", "/agents/2002", {"loggedIn": True})
        self.quiet()
        events = self.consumer.events()
        self.assertEqual({e.body["Contact"]["contactId"] for e in events if "Contact" in e.body}, {call})
        self.assertEqual({e.body["Agent"]["agentLoginId"] for e in self.consumer.events("AGENT_PROPERTY")}, {"2002"})
        remote = {(e.body["Address"]["addressName"], e.body["IsRemote"]) for e in self.consumer.events("CONNECTION_STATE")}
        self.assertEqual(remote, {("52003", "true"), ("52002", "false")})
        own = [e for e in self.consumer.events("CONNECTION_STATE") if e.body["IsRemote"] == "true"]
        self.assertFalse(any(v for e in own for v in flags(e.body["ConnectionCapabilities"]).values()))

    def test_a_contact_is_introduced_when_it_reaches_the_user(self):
        subscribe_to_all(self, self.sim.login("agent2002"), self.consumer)
        call = self.sim.incoming("RP_Sales", data={"case": "7"})["contactId"]
        token = self.sim.login()
        queued = next(c["id"] for c in self.sim.call_state(call)["connections"] if c["state"] == "QUEUED")
        self.good("RoutePointConnectionService", "RoutePointRetrieve", token,
                  ("routePointConnection", Raw(f"<c:connectionId>{queued}</c:connectionId>")),
                  ("address", address("52002")))
        self.quiet()
        states = [(e.body["Address"]["addressName"], e.body["PreviousState"], e.what)
                  for e in self.consumer.events("CONNECTION_STATE")]
        self.assertEqual(states, [("+35391123456", "IDLE", "ESTABLISHED"), ("RP_Sales", "IDLE", "ROUTING"),
                                  ("52002", "IDLE", "OFFERED"), ("52002", "OFFERED", "ALERTING"),
                                  ("RP_Sales", "ROUTING", "DISCONNECTED")])
        told = [e.what for e in self.consumer.events("CONTACT_PROPERTY")]
        self.assertEqual(told[:4], ["CALLING_ADDRESS", "CALLED_ADDRESS", "LAST_REDIRECTED_ADDRESS", "ATTACHED_DATA"])


class NotifyTransport(NotifyCase):
    def test_order_is_kept_and_what_waits_goes_in_batches(self):
        self.sim.admin("POST", "/notify", {"batch": 7})
        subscribe(self, self.sim.login(), self.consumer, listener("AGENT_PROPERTY", "", "READY_STATUS"))
        self.consumer.hold = threading.Event()
        self.toggle(1)
        self.assertTrue(wait_until(lambda: self.consumer.at_once == 1))
        self.toggle(41)
        self.assertEqual(self.sim.admin("GET", "/subscriptions")[0]["inFlight"], 1)
        self.consumer.hold.set()
        self.quiet()
        self.assertEqual(self.consumer.most_at_once, 1)
        self.assertEqual([len(b) for b in self.consumer.batches], [1, 7, 7, 7, 7, 7, 5])
        told = [e.value()[1]["status"] for e in self.consumer.events()]
        self.assertEqual(told, ["true"] + ["false" if i % 2 else "true" for i in range(1, 41)])

    def test_parallel_posts(self):
        self.sim.admin("POST", "/notify", {"batch": 1, "parallel": 4})
        subscribe_to_all(self, self.sim.login(), self.consumer)
        self.consumer.hold = threading.Event()
        self.toggle(20)
        self.assertTrue(wait_until(lambda: self.consumer.most_at_once == 4))
        self.consumer.hold.set()
        self.quiet()
        self.assertEqual(self.counts()["delivered"], len(self.consumer.events()))

    def test_any_2xx_delivers(self):
        subscribe_to_all(self, self.sim.login(), self.consumer)
        for answer in ((200, b""), (202, b"later"), (204, b""), (200, b"<e:Envelope/>")):
            self.consumer.answer = answer
            self.toggle(1)
            self.sim.admin("POST", "/agents/2005", {"loggedIn": False})
            self.quiet()
        counts = self.counts()
        self.assertEqual((counts["failed"], counts["delivered"]), (0, len(self.consumer.events())))

    def test_failures_are_counted_lost_and_owned_up_to(self):
        token, other = self.sim.login(), self.new_consumer()
        subscribe(self, token, self.consumer)
        subscribe(self, token, other, policy=())
        for consumer in (self.consumer, other):
            consumer.answer = (503, b"no")
        for i in range(3):
            self.inject("AGENT_PROPERTY", agent="2002", property="INFORMATION")
            self.quiet()
        for consumer in (self.consumer, other):
            consumer.answer = (202, b"")
        self.inject("AGENT_PROPERTY", agent="2002", property="ADDRESS_NAME")
        self.quiet()
        self.assertEqual([e.what for e in self.consumer.events()], ["ADDRESS_NAME", "CONNECTION_FAILURE"])
        self.assertEqual([e.what for e in other.events()], ["ADDRESS_NAME"])
        notice = self.consumer.events()[1].body["SystemEventConnectionFailure"]
        self.assertEqual((notice["totalFailures"], notice["consecutiveFailures"]), ("3", "3"))
        self.assertGreaterEqual(int(notice["downTimeInMillis"]), 0)
        self.assertEqual(self.consumer.events()[1].topic, {"NotificationTopic": ""})
        counts = self.sim.admin("GET", "/subscriptions")[0]
        self.assertEqual((counts["failed"], counts["failedPosts"], counts["delivered"]), (3, 3, 2))

    def test_a_consumer_that_is_gone_or_hangs(self):
        gone = self.new_consumer()
        token = self.sim.login()
        subscribe_to_all(self, token, gone)
        gone.server.server_close()
        self.good(USR, "Subscribe", token, ("ConsumerEndpoint", "http://no-such-host.invalid/N"))
        self.toggle(2)
        self.quiet()
        for counts in self.sim.admin("GET", "/subscriptions"):
            self.assertEqual((counts["delivered"], counts["failed"] > 0), (0, True))
        self.bad("SubscribeFailedFault", USR, "Subscribe", token, ("ConsumerEndpoint", "https://127.0.0.1/N"))

    def test_an_unsubscribed_consumer_hears_nothing_more(self):
        token = self.sim.login()
        subscription = subscribe(self, token, self.consumer)
        self.good(NP, "Unsubscribe", token, reference(subscription))
        self.toggle(4)
        self.quiet()
        self.assertEqual(self.consumer.events(), [])


class NotifyTimeout(NotifyCase):
    args = ("--scenario", "idle", "--notify-timeout-ms", "1000", "--notify-queue", "10", "--notify-batch", "3")

    def test_a_slow_consumer_fails_and_a_full_queue_loses(self):
        subscribe(self, self.sim.login(), self.consumer, listener("AGENT_PROPERTY", "", "READY_STATUS"))
        self.consumer.hold = threading.Event()
        self.toggle(30)
        self.quiet()
        counts = self.counts()
        self.assertEqual(counts["delivered"], 0)
        self.assertGreater(counts["overflowed"], 0)
        self.assertEqual(counts["failed"] + counts["overflowed"], 30)


class NotifyMischief(NotifyCase):
    def setUp(self):
        super().setUp()
        subscribe(self, self.sim.login(), self.consumer, listener("AGENT_PROPERTY", "", "READY_STATUS"))
        self.toggle(1)
        self.sim.admin("POST", "/agents/2005", {"reasonCode": ""})
        self.quiet()
        self.consumer.clear()

    def codes(self, count, **mischief):
        """Tells the codes 0, 1, 2 ... and returns those that arrive."""
        self.sim.admin("POST", "/agents/2005", {"ready": False})
        self.quiet()
        self.consumer.clear()
        self.sim.admin("POST", "/notify", mischief)
        for i in range(count):
            self.sim.admin("POST", "/agents/2005", {"reasonCode": str(i)})
        self.quiet()
        return [int(e.value()[1]["reasonCode"]) for e in self.consumer.events()]

    def test_the_next_ones_are_lost(self):
        self.assertEqual(self.codes(6, dropNext=2), [2, 3, 4, 5])
        self.assertEqual(self.counts()["dropped"], 2)

    def test_some_are_lost(self):
        got = self.codes(200, drop=0.25, seed=7)
        self.assertEqual(len(got), 200 - self.counts()["dropped"])
        self.assertTrue(120 < len(got) < 180, len(got))
        self.sim.admin("DELETE", "/notify")
        self.assertEqual(self.codes(3), [0, 1, 2])
        self.assertNotEqual(got, list(range(200)))

    def test_the_same_seed_loses_the_same(self):
        self.assertEqual(self.codes(80, drop=0.5, seed=5), self.codes(80, drop=0.5, seed=5))

    def test_doubled(self):
        self.assertEqual(self.codes(3, duplicateNext=2), [0, 0, 1, 1, 2])

    def test_neighbours_are_swapped(self):
        self.assertEqual(self.codes(5, reorderNext=1), [1, 0, 2, 3, 4])
        self.assertEqual(self.codes(1, reorderNext=1), [0], "the last one is not held back for ever")

    def test_only_one_type_or_user(self):
        self.assertEqual(self.codes(3, dropNext=9, type="CONNECTION_STATE"), [0, 1, 2])
        self.assertEqual(self.codes(3, dropNext=1, type="AGENT_PROPERTY", user="agent2005"), [0, 1, 2])
        self.assertEqual(self.codes(3, dropNext=1, user="supervisor"), [1, 2])

    def test_late(self):
        started = time.monotonic()
        self.assertEqual(self.codes(1, delayMs=300, jitterMs=100), [0])
        self.assertGreaterEqual(time.monotonic() - started, 0.3)

    def test_a_user_is_muted(self):
        self.assertEqual(self.codes(3, mute=["supervisor"]), [])
        self.assertEqual(self.counts()["muted"], 3)
        self.sim.admin("POST", "/notify", {"mute": []})
        self.assertEqual(self.codes(2), [0, 1])


class NotifyEnds(NotifyCase):
    args = ("--scenario", "idle", "--lease-max-ms", "12000", "--imminent-ms", "700")

    def later(self, seconds):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))

    def alive(self):
        return [s["id"] for s in self.sim.admin("GET", "/subscriptions")]

    def test_leases(self):
        token = self.sim.login()
        self.bad("SubscribeCreationFailedFault", NP, "Subscribe", token,
                 ("ConsumerReference", Raw("<a:Address xmlns:a='http://schemas.xmlsoap.org/ws/2003/03/addressing'>"
                                           f"{self.consumer.url}</a:Address><a:SubscriptionId "
                                           "xmlns:a='http://schemas.xmlsoap.org/ws/2003/03/addressing'/>")),
                 ("TopicExpression", Raw("<b:NotificationTopic xmlns:b='http://www.nortel.com/soa/oi/cct/BaseNotification'/>")),
                 ("InitialTerminationTime", self.later(60)))
        short = subscribe(self, token, self.consumer, end=self.later(4))
        renewed = subscribe(self, token, self.consumer, end=self.later(8))
        usual = subscribe(self, token, self.consumer)
        forever = subscribe_to_all(self, token, self.consumer)
        self.good(NP, "Renew", token, reference(renewed), ("TerminationTime", self.later(11)))
        fault = self.bad("UnacceptableTerminationTimeFault", NP, "Renew", token, reference(renewed),
                         ("TerminationTime", self.later(60)))
        self.assertTrue(fault.texts("MaximumTime"))
        self.assertTrue(wait_until(lambda: short not in self.alive()))
        self.assertEqual(set(self.alive()), {renewed, usual, forever})
        self.bad("ResourceUnknownFault", NP, "Renew", token, reference(short), ("TerminationTime", self.later(3)))
        self.assertTrue(wait_until(lambda: self.alive() == [forever]))
        self.quiet()
        self.assertEqual([(e.what, e.subscription) for e in self.consumer.events("SYSTEM", subscription=short)],
                         [("SUBSCRIPTION_TERMINATION_IMMINENT", short), ("SUBSCRIPTION_TERMINATION", short)])
        record = self.consumer.events("SYSTEM", subscription=short)[1].body["SystemEventSubscriptionTermination"]
        self.assertEqual(record["reason"], "SUBSCRIPTION_TERMINATION")

    def test_a_killed_session_says_so_if_asked(self):
        other = self.new_consumer()
        token = self.sim.login()
        subscribe(self, token, self.consumer)
        subscribe(self, token, other, policy=set(POLICY) - {"SessionTermination"})
        self.sim.admin("POST", "/sessions/kill", {"user": "supervisor"})
        self.quiet()
        self.assertEqual([e.what for e in self.consumer.events()], ["SESSION_TERMINATION"])
        self.assertEqual(self.consumer.events()[0].body["SystemEventSessionTermination"]["reason"],
                         "UNEXPECTED_TERMINATION")
        self.assertEqual(other.events(), [])
        subscribe_to_all(self, self.sim.login(), other)
        self.sim.admin("POST", "/sessions/kill", {"user": "*", "silently": True})
        self.quiet()
        self.assertEqual((other.events(), self.alive()), ([], []))

    def test_what_was_queued_goes_out_before_the_end(self):
        subscribe_to_all(self, self.sim.login(), self.consumer)
        self.consumer.hold = threading.Event()
        self.toggle(30)
        self.sim.admin("POST", "/sessions/kill", {})
        self.consumer.hold.set()
        self.quiet()
        self.assertGreater(len(self.consumer.events()), 60)
        self.assertEqual(self.consumer.events()[-1].what, "SESSION_TERMINATION")

    def test_announced_ends_come_true(self):
        token = self.sim.login()
        subscription = subscribe(self, token, self.consumer)
        self.assertEqual(self.system("SUBSCRIPTION_TERMINATION_IMMINENT", subscription=subscription, remainingMs=400), 1)
        self.assertTrue(wait_until(lambda: self.alive() == []))
        self.quiet()  # another subscription is told over another channel
        subscribe(self, token, self.consumer)
        self.assertEqual(self.system("SESSION_TERMINATION_IMMINENT", user="supervisor", remainingMs=600), 1)
        self.assertTrue(wait_until(lambda: self.good(USR, "GetVersion", None) and self.sim.counters()["sessions"] == 0))
        self.quiet()
        self.assertEqual([e.what for e in self.consumer.events()],
                         ["SUBSCRIPTION_TERMINATION_IMMINENT", "SUBSCRIPTION_TERMINATION", "SESSION_TERMINATION_IMMINENT",
                          "SESSION_TERMINATION"])
        self.assertEqual(self.consumer.events()[2].body["SystemEventSessionTerminationImminent"],
                         {"remainingTimeInMillis": "600"})
        self.bad("SessionNotCreatedException", USR, "GetAgents", token)

    def test_ends_at_once_and_lies(self):
        token = self.sim.login()
        subscription = subscribe(self, token, self.consumer)
        for event in ("SESSION_TERMINATION", "SUBSCRIPTION_TERMINATION", "CONNECTION_FAILURE"):
            self.system(event, true=False)
        self.assertEqual(self.alive(), [subscription])
        self.good(USR, "GetAgents", token)
        self.system("SUBSCRIPTION_TERMINATION", reason="UNEXPECTED_TERMINATION", info="why not")
        self.assertEqual(self.alive(), [])
        self.quiet()  # another subscription is told over another channel
        subscribe(self, token, self.consumer)
        self.system("SESSION_TERMINATION")
        self.bad("SessionNotCreatedException", USR, "GetAgents", token)
        self.quiet()
        self.assertEqual([e.what for e in self.consumer.events()],
                         ["SESSION_TERMINATION", "SUBSCRIPTION_TERMINATION", "CONNECTION_FAILURE",
                          "SUBSCRIPTION_TERMINATION", "SESSION_TERMINATION"])
        self.assertEqual(self.consumer.events()[3].body["SystemEventSubscriptionTermination"],
                         {"reason": "UNEXPECTED_TERMINATION", "info": "why not"})

    def test_who_logs_off_is_told_nothing(self):
        token = self.sim.login()
        subscribe(self, token, self.consumer)
        self.good(USR, "LogOffFromCCTServer", token)
        self.quiet()
        self.assertEqual((self.consumer.events(), self.alive()), ([], []))


class NotifySessionTimer(NotifyCase):
    args = ("--scenario", "idle", "--session-timeout-ms", "6000", "--imminent-ms", "2000")

    def test_a_session_that_is_not_used_announces_its_end(self):
        subscribe(self, self.sim.login(), self.consumer)
        self.consumer.wait_for(2)
        self.assertEqual([e.what for e in self.consumer.events()],
                         ["SESSION_TERMINATION_IMMINENT", "SESSION_TERMINATION"])
        self.assertEqual(self.consumer.events()[1].body["SystemEventSessionTermination"]["reason"],
                         "SESSION_TERMINATION")


class NotifyTraffic(NotifyCase):
    args = ("--message-waiting",)

    def test_a_model_fed_by_events_alone_equals_the_truth(self):
        token = self.sim.login("admin")
        subscribe_to_all(self, token, self.consumer)
        model = Model(self.sim.admin("GET", "/truth"))
        self.assertEqual(model.differences(self.sim.admin("GET", "/truth")), [])
        applied = 0
        for seed in range(4):
            self.sim.admin("POST", "/traffic", {"steps": 700, "seed": seed})
            self.quiet(60)
            events = self.consumer.events()
            for event in events[applied:]:
                model.apply(event)
            applied = len(events)
            self.assertEqual((model.gaps, model.differences(self.sim.admin("GET", "/truth"))), ([], []))
        actions = self.sim.admin("GET", "/traffic")["actions"]
        self.assertTrue(actions["completeTransfer"] + actions["completeConference"] > 0, actions)

    def test_connections_carry_their_present_capabilities(self):
        subscribe_to_all(self, self.sim.login("admin"), self.consumer)
        model = Model({k: [] if k == "calls" else v for k, v in self.sim.admin("GET", "/truth").items()})
        self.sim.admin("POST", "/traffic", {"steps": 500, "seed": 9})
        self.quiet()
        for event in self.consumer.events("CONNECTION_STATE"):
            model.apply(event)
        legs = {i: leg for c in model.calls.values() for i, leg in c["legs"].items()}
        compared = 0
        for call in self.sim.admin("GET", "/truth")["calls"]:
            for c in call["connections"]:
                if c["id"] in legs:
                    self.assertEqual(legs[c["id"]]["capabilities"], c["capabilities"])
                    compared += 1
        self.assertGreater(compared, 10)

    def test_lost_events_leave_a_difference(self):
        subscribe_to_all(self, self.sim.login("admin"), self.consumer)
        model = Model(self.sim.admin("GET", "/truth"))
        self.sim.admin("POST", "/notify", {"drop": 0.1})
        self.sim.admin("POST", "/traffic", {"steps": 500})
        self.quiet()
        for event in self.consumer.events("CONNECTION_STATE"):
            try:
                model.apply(event)
            except KeyError:
                model.gaps.append("unknown")
        self.assertTrue(model.gaps)

    def test_bursts_keep_their_rate(self):
        subscribe_to_all(self, self.sim.login("admin"), self.consumer)
        for kind in ("ready", "calls", "mixed"):
            started = time.monotonic()
            self.sim.admin("POST", "/burst", {"events": 300, "perSecond": 600, "kind": kind})
            self.quiet()
            self.assertGreater(time.monotonic() - started, 0.4)
            self.assertGreaterEqual(self.sim.admin("GET", "/burst")["done"], 300)
        with self.assertRaises(RuntimeError):
            self.sim.admin("POST", "/burst", {"events": 1, "kind": "nonsense"})
        self.sim.admin("POST", "/traffic", {"steps": 1000000, "perSecond": 10})
        self.assertTrue(self.sim.admin("GET", "/traffic")["running"])
        self.sim.admin("DELETE", "/traffic")
        self.quiet()

    def test_the_truth_is_what_the_reads_answer(self):
        token = self.sim.login("agent2002")
        truth = self.sim.admin("GET", "/truth/agent2002")
        self.assertEqual([a["id"] for a in truth["agents"]], ["2002"])
        self.assertEqual([t["name"] for t in truth["terminals"]], ["Line 1.0.2"])
        asked = lambda service, *field: {
            k: v == "true" for k, v in self.capabilities(self.good(service, "GetCapabilities", token, field))}
        self.assertEqual(asked(TER, "terminal", terminal("Line 1.0.2")), truth["terminals"][0]["capabilities"])
        self.assertEqual(asked("AgentTerminalService", "terminal", terminal("Line 1.0.2")),
                         truth["terminals"][0]["agentTerminalCapabilities"])
        self.assertEqual(asked("AgentService", "agent", agent("2002")), truth["agents"][0]["capabilities"])
        for call in truth["calls"]:
            self.assertEqual(asked(CNT, "contact", contact(call["contactId"])), call["capabilities"])
        with self.assertRaises(RuntimeError):
            self.sim.admin("GET", "/truth/nobody")

    @staticmethod
    def capabilities(reply):
        return [(e.tag.split("}")[1], e.text) for e in reply.root.iter() if e.tag.split("}")[1].startswith("can")]
