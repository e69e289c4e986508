"""The wall clock of the gateway steps by an hour, while it runs and between two of its lives. Nobody else's clock does."""
import datetime
import mmap
import os
import shutil
import socket
import struct
import tempfile
import threading
import time

import harness
from commanding import Floor, control_of
from harness import Gateway, eventually, exchange
from test_live import CONSUMER, is_live
from test_sign_on import Provider, sign_on
from websocket import PING, PONG, WebSocket

HOUR = 3600
SHIM = os.path.join(os.path.dirname(os.path.abspath(harness.CCTGATE)), "tests/integration/clock_shim.so")
STEPS = (HOUR, -HOUR)
MINUTE = 60  # what a test may take between two looks at a clock
SHORT_TTL_MS = 3000


def unix(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class SteppedGateway(Gateway):
    """`ahead`: by how much its wall clock is ahead of the machine's, in seconds."""

    def __init__(self, *arguments, **changes):
        self.file_of_clock = tempfile.NamedTemporaryFile(prefix="cctgate-clock-")
        self.file_of_clock.write(struct.pack("=q", 0))
        self.file_of_clock.flush()
        self.ahead, self.map = 0, mmap.mmap(self.file_of_clock.fileno(), 8)
        super().__init__(*arguments, **changes)

    def environment(self):
        options = [o for o in (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0") if o]
        return dict(os.environ, LD_PRELOAD=SHIM, CLOCK_SHIM=self.file_of_clock.name, ASAN_OPTIONS=":".join(options))

    def step(self, seconds):
        """To so many seconds ahead of the machine's clock."""
        self.map[:8] = struct.pack("=q", seconds * 1000)
        self.ahead = seconds

    def now(self):
        return time.time() + self.ahead

    def restart(self, ahead):
        self.kill()
        self.step(ahead)
        self.start()

    def stop(self):
        super().stop()
        self.map.close()
        self.file_of_clock.close()


class Stepped(Floor):
    gateway_class = SteppedGateway

    def setUp(self):
        self.gate.step(0)
        super().setUp()

    def tearDown(self):
        self.gate.step(0)

    def control(self, agent):
        answer = self.gate.get(control_of(agent), "operator")
        self.assertEqual(answer.status, 200, answer)
        return answer.json if answer.json and answer.json.get("profile") else None

    def assert_near(self, told, wanted, message=None):
        self.assertLess(abs(unix(told) - wanted), MINUTE, (message, told))


class Leases(Stepped):
    """Control, events, keys, the audit log: with subscriptions, as in life."""

    def test_leases_go_on(self):
        lease = self.attach("2001")
        for step in STEPS:
            self.gate.step(step)
            self.assertEqual(self.control("2001")["fence"], lease["fence"])
            renewed = self.send("PUT", control_of("2001"), {"profile": "FullControl"}, lease=lease["lease"])
            self.assertEqual((renewed.status, renewed.json["fence"]), (200, lease["fence"]), renewed)
            self.assert_near(renewed.json["expiresAt"], self.gate.now() + 600)
            self.assert_near(self.control("2001")["expiresAt"], self.gate.now() + 600)
            self.assert_done(self.send("PUT", "/v1/agents/2001/readiness", {"ready": False}, lease=lease["lease"]))
            self.assert_done(self.send("PUT", "/v1/agents/2001/readiness", {"ready": True}, lease=lease["lease"]))
        self.gate.step(0)
        self.assertEqual(self.control("2001")["fence"], lease["fence"])
        self.release("2001", lease["lease"])

    def test_what_is_told_has_the_time_of_the_clock(self):
        """An event and an audit entry say when they came about by the clock as it is then; their numbers tell the order."""
        place = None
        with WebSocket(self.gate.port, "operator") as client:
            client.subscribe("all", types=["gateway.control"])
            for step in (HOUR, -HOUR, 0):
                self.gate.step(step)
                lease = self.attach("2002")
                message = client.receive()
                while message["op"] != "event":
                    message = client.receive()
                self.assert_near(message["event"]["time"], self.gate.now(), step)
                seq = int(message["event"]["id"].split("-")[1])
                self.assertTrue(place is None or seq > place, (place, seq))
                self.release("2002", lease["lease"])
                while not (message["op"] == "event" and message["event"]["data"].get("state") != "granted"
                           and int(message["event"]["id"].split("-")[1]) > seq):
                    message = client.receive()
                place = int(message["event"]["id"].split("-")[1])
                entries = self.audit("?limit=2")
                for entry in entries:
                    self.assert_near(entry["time"], self.gate.now(), entry)
        numbers = [entry["seq"] for entry in self.audit("?limit=200")]
        self.assertEqual(numbers, sorted(numbers, reverse=True))

    def test_keys(self):
        lease = self.attach("2001")["lease"]
        for step in STEPS:
            key, path = "clock-%d" % step, "/v1/agents/2001/readiness"
            self.gate.step(0)
            first = self.send("PUT", path, {"ready": step > 0}, lease=lease, key=key)
            self.assert_done(first)
            done = self.commands()
            self.gate.step(step)
            again = self.send("PUT", path, {"ready": step > 0}, lease=lease, key=key)
            self.assertEqual((again.status, again.body), (first.status, first.body))
            self.assertEqual(self.commands(), done)
        self.release("2001", lease)

    def test_live_is_live(self):
        path = "/v1/agents/2001"
        first = self.gate.get(path)
        calls = self.sim.calls()
        for step in STEPS:
            self.gate.step(step)
            answer = self.gate.get(path)
            self.assertEqual((answer.status, answer.json["sync"]), (200, "live"), answer)
            self.assertEqual(answer.headers["etag"], first.headers["etag"])
            self.assertEqual(answer.headers.get("age", "0"), "0")
            self.assertEqual(self.gate.get(path, headers={"If-None-Match": first.headers["etag"]}).status, 304)
            self.assertTrue(is_live(self.gate, "supervisor"))
        self.assertEqual(self.sim.calls(), calls)


class Endings(Stepped):
    """What ends soon ends soon, wherever the wall clock has gone."""
    gateway_options = dict(Floor.gateway_options, control={"ttlMs": SHORT_TTL_MS}, events={"heartbeatMs": 4000},
                           limits={"headTimeoutMs": 2000},
                           upstream={"reconcileMs": 3600000, "timeoutMs": 30000})

    def test_leases_end(self):
        for step in STEPS:
            self.gate.step(0)
            self.attach("2001")
            self.gate.step(step)
            eventually(lambda: self.control("2001") is None, "the lease ends")

    def test_streams_beat(self):
        """A stream is pinged every four seconds, and is not thought dead. The reader's time limit is the bound."""
        with WebSocket(self.gate.port, "operator") as client:
            for step in (HOUR, -HOUR, 0):
                self.gate.step(step)
                for _ in range(2):
                    opcode, payload = client.receive_frame()[:2]
                    while opcode != PING:
                        opcode, payload = client.receive_frame()[:2]
                    client.send_frame(PONG, payload)

    def test_connections_and_requests_outlive_a_step(self):
        """One that waits for the contact centre waits on, and one that is idle stays open."""
        for step in STEPS:
            self.gate.step(0)
            idle = self.gate.connect()
            self.assertEqual(self.gate.get("/v1/agents/2001", connection=idle).status, 200)
            self.sim.latency(2000)
            answers = []
            asking = threading.Thread(target=lambda: answers.append(
                self.gate.get("/v1/agents/2003", headers={"Cache-Control": "no-cache"})))
            asking.start()
            eventually(lambda: self.gate.metric('endpoint_calls_in_flight{endpoint="campus"}') > 0, "it is under way")
            self.gate.step(step)
            asking.join(harness.BOUND)
            self.sim.latency(0)
            self.assertEqual([a.status for a in answers], [200], answers)
            self.assertEqual(self.gate.get("/v1/agents/2001", connection=idle).status, 200)
            idle.close()

    def test_slow_heads_end(self):
        """The time that a request's head may take is not an hour longer because the clock went back."""
        with socket.create_connection(("127.0.0.1", self.gate.port)) as slow:
            slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-")
            self.assertEqual(exchange(self.gate.port, "GET", "/healthz").status, 200)
            self.gate.step(-HOUR)
            slow.settimeout(harness.BOUND)
            self.assertIn(b"408", slow.recv(65536))


class Subscriptions(Stepped):
    """Their leases are of 15 s, by the contact centre's clock. None lapses, and none is made anew."""
    gateway_options = dict(Floor.gateway_options, upstream={"reconcileMs": 3600000, "leaseMs": 15000})

    def assert_renewed(self, step):
        """In the time that one takes for three renewals, the other would have lapsed."""
        renewed = self.gate.metric("renewals_total")
        eventually(lambda: self.gate.metric("renewals_total") >= renewed + 3, "one of both is renewed twice at %d" % step)
        self.assertTrue(is_live(self.gate, "supervisor"), step)
        self.assertEqual(self.gate.metric("subscribes_total"), 2)
        self.assertEqual(self.sim.counters()["logins"], 2)

    def test_before_their_clock_is_known(self):
        """What is asked for may be over already, by theirs."""
        self.gate.step(-HOUR)
        self.assert_renewed(-HOUR)

    def test_renewed(self):
        for step in (HOUR, 0, -HOUR):
            self.gate.step(step)
            self.assert_renewed(step)


class Cached(Stepped):
    """Nothing is subscribed: what is known is known for its time-to-live, which is ten minutes."""
    gateway_options = {"users": ("supervisor", "agent2006"), "control": {"ttlMs": 600000},
                       "cache": {"staleWhileRevalidateMs": 60000}}
    watchers = ()
    path = "/v1/agents/2001"

    def rest(self):
        pass

    def test_records_age_as_time_passes(self):
        fresh = self.gate.get(self.path, headers={"Cache-Control": "no-cache"})
        self.assertEqual(fresh.json["sync"], "cached")
        calls = self.sim.calls()
        for step in (HOUR, 0, -HOUR, 0):
            self.gate.step(step)
            for path, headers in ((self.path, {}), (self.path, {"Cache-Control": "max-age=300"}), ("/v1/agents", {})):
                answer = self.gate.get(path, headers=headers)
                self.assertEqual(answer.status, 200, answer)
                self.assertIn(int(answer.headers["age"]), range(0, MINUTE * 4), (step, path))
                if path == self.path:
                    self.assertEqual(answer.json["sync"], "cached", step)
                    self.assertTrue(answer.cache().get("hit"), answer)
                    self.assertIn(int(answer.cache()["ttl"]), range(1, 601), (step, answer))
                    self.assertEqual(answer.headers["etag"], fresh.headers["etag"])
            self.assertEqual(self.gate.get(self.path, headers={"If-None-Match": fresh.headers["etag"]}).status, 304)
            # what is asked for anew counts from now on, whichever hour that is
            again = self.gate.get(self.path, headers={"Cache-Control": "no-cache"})
            self.assertEqual((again.json["sync"], int(again.headers.get("age", "0")) < MINUTE), ("cached", True), again)
        self.assertGreater(self.sim.calls(), calls)

    def test_stale_since_is_a_time_of_the_clock(self):
        self.gate.get(self.path, headers={"Cache-Control": "no-cache"})
        self.gate.step(HOUR)
        self.sim.stop()
        try:
            answer = eventually(lambda: (lambda a: a if a.json["sync"] == "stale" else None)(self.gate.get(self.path)), "stale")
            self.assert_near(answer.json["staleSince"], self.gate.now())
            self.gate.step(-HOUR)
            self.assert_near(self.gate.get(self.path).json["staleSince"], self.gate.now())
        finally:
            self.sim.start()
        self.gate.wait_ready()


class Restarts(Stepped):
    """Killed, and started when the clock says another hour: what an earlier process wrote down is as old as it is."""
    gateway_options = {"users": ("supervisor", "agent2006"), "control": {"ttlMs": 600000},
                       "session": {"bearerTtlMs": 1800000}, "cache": {"staleWhileRevalidateMs": 60000}}
    watchers = ()
    path = "/v1/agents/2001"

    def rest(self):
        pass

    def setUp(self):
        super().setUp()
        if self.gate.child.process.poll() is not None:
            self.gate.start()

    def test_leases_and_keys(self):
        for step in STEPS:
            lease = self.attach("2001")
            self.gate.restart(step)
            self.assertEqual(self.control("2001")["fence"], lease["fence"])
            self.assert_near(self.control("2001")["expiresAt"], self.gate.now() + 600)
            renewed = self.send("PUT", control_of("2001"), {"profile": "FullControl"}, lease=lease["lease"])
            self.assertEqual((renewed.status, renewed.json["fence"]), (200, lease["fence"]))
            self.release("2001", lease["lease"])
            # and back
            self.gate.restart(0)
            self.assertIsNone(self.control("2001"))

    def test_bearers(self):
        for step in STEPS:
            answer = sign_on(self.gate.port, "agent2003")
            self.assertEqual(answer.status, 201, answer)
            fields = {"Authorization": "Bearer " + answer.json["token"]}
            self.gate.step(step)
            self.assertEqual(exchange(self.gate.port, "GET", "/v1/users/me", fields).status, 200)
            self.gate.restart(step)
            self.assertEqual(exchange(self.gate.port, "GET", "/v1/users/me", fields).status, 200, step)
            again = sign_on(self.gate.port, "agent2003")
            self.assertGreater(unix(again.json["expiresAt"]), self.gate.now())
            self.gate.restart(0)
            self.assertEqual(exchange(self.gate.port, "GET", "/v1/users/me", fields).status, 200, step)

    def test_what_was_known_is_not_taken_for_new(self):
        """It changes while nobody looks: whoever is shown what was, is told that it is old."""
        for ready, step in ((False, -HOUR), (True, HOUR)):
            before = self.gate.get(self.path, headers={"Cache-Control": "no-cache"}).json
            self.gate.kill()
            self.sim.admin("POST", "/agents/2001", {"loggedIn": True, "ready": ready})
            self.gate.step(step)
            self.gate.start()
            answer = self.gate.get(self.path)
            self.assertEqual(answer.status, 200, answer)
            if answer.json["readyStatus"] == before["readyStatus"]:
                self.assertEqual(answer.json["sync"], "stale", (step, answer))
                self.assertLessEqual(unix(answer.json["staleSince"]), self.gate.now() + 1)
                self.assertLess(abs(unix(answer.json["staleSince"]) - self.gate.now()), 2 * MINUTE)
            self.assertIn(int(answer.headers.get("age", "0")), range(0, 2 * MINUTE))
            eventually(lambda: self.gate.get(self.path).json["readyStatus"] != before["readyStatus"], "it is read again")
            self.gate.restart(0)


class ShortRestarts(Stepped):
    gateway_options = {"users": ("supervisor",), "control": {"ttlMs": SHORT_TTL_MS}}
    watchers = ()

    def rest(self):
        pass

    def test_a_lease_that_ended_meanwhile_has_ended(self):
        """Though the clock says that it has an hour to go. The next holder has a higher fence."""
        lease = self.attach("2001")
        attached = time.monotonic()
        self.gate.kill()
        self.gate.step(-HOUR)
        eventually(lambda: time.monotonic() - attached > SHORT_TTL_MS / 1000, "its time has passed")
        self.gate.start()
        self.assertIsNone(self.control("2001"))
        self.assertGreater(self.attach("2001")["fence"], lease["fence"])


class Jwt(Stepped):
    """exp and nbf are times of the wall clock, and of no other."""
    gateway_options = {"users": ("supervisor",)}
    watchers = ()

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="cctgate-jwt-")
        cls.provider = Provider(cls.directory)
        cls.provider.add("one")
        cls.provider.publish("one")
        cls.gateway_options = dict(cls.gateway_options, jwt={"issuer": "https://id.example", "audience": "cctgate",
                                                             "clockSkewMs": 0, "jwksFile": cls.provider.file})
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.directory, ignore_errors=True)

    def rest(self):
        pass

    def statuses(self, token):
        """Of both fronts: each remembers what it has verified."""
        fields = {"Authorization": "Bearer " + token}
        return {exchange(self.gate.port, "GET", "/v1/users/me", fields).status for _ in range(12)}

    def test_expiry(self):
        token = self.provider.token("one", life=HOUR // 2, cct_users=["supervisor"])
        self.assertEqual(self.statuses(token), {200})
        self.gate.step(HOUR)
        self.assertEqual(self.statuses(token), {401})
        self.gate.step(-HOUR)
        self.assertEqual(self.statuses(token), {200})

    def test_beginning(self):
        token = self.provider.token("one", life=2 * HOUR, nbf=time.time() + HOUR // 2, cct_users=["supervisor"])
        self.assertEqual(self.statuses(token), {401})
        self.gate.step(HOUR)
        self.assertEqual(self.statuses(token), {200})
        self.gate.step(0)
        self.assertEqual(self.statuses(token), {401}, "it was remembered, and has not begun")


del Floor, Stepped

if __name__ == "__main__":
    harness.main()
