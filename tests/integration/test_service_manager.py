"""What systemd sees of the gateway: readiness, reloads, the watchdog, sockets that outlive a restart, and an end under load."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import harness
from harness import Case, Gateway, Process, Simulator, bearer, eventually, exchange
from test_tls import Authority
from websocket import Closed, EventStream, WebSocket

# Puts the sockets where sd_listen_fds(3) looks for them, and its own pid where LISTEN_PID is asked for.
LAUNCHER = """
import os, sys
fds = [int(n) for n in sys.argv[1].split(",")]
spare = [os.dup2(fd, 200 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(spare):
    os.dup2(fd, 3 + i)
    os.set_inheritable(3 + i, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
"""


class Manager:
    """A NOTIFY_SOCKET, and what came to it."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="cctgate-notify-")
        self.path = os.path.join(self.directory.name, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.messages = []
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while True:
            try:
                data = self.socket.recv(65536)
            except OSError:
                return
            if data == b"end":
                return
            self.messages.append(dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line))

    def count(self, name):
        return sum(name in message for message in list(self.messages))

    def status(self):
        return [m["STATUS"] for m in list(self.messages) if "STATUS" in m][-1]

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"end", self.path)
        self.thread.join(harness.BOUND)
        self.socket.close()
        self.directory.cleanup()


class ManagedGateway(Gateway):
    """One whose environment, and whose sockets, a service manager has made."""

    def __init__(self, simulator, environment=None, sockets=(), names=(), **changes):
        self.environment, self.sockets, self.names = environment or {}, sockets, names
        super().__init__(simulator, **changes)

    def start(self, ready=True):
        env = dict(os.environ, **self.environment)
        command = [harness.CCTGATE, "--config", self.file]
        if self.sockets:
            numbers = ",".join(str(s.fileno()) for s in self.sockets)
            command = [sys.executable, "-c", LAUNCHER, numbers, ":".join(self.names)] + command
        self.child = ManagedProcess(command, env, [s.fileno() for s in self.sockets])
        eventually(lambda: self.child.log("started") or self.child.process.poll() is not None, "started")
        self.port = self.child.log("listening")[0]["port"]
        if ready:
            self.wait_ready()


class ManagedProcess(Process):
    def __init__(self, command, env, descriptors):
        env.setdefault("LSAN_OPTIONS", harness.LSAN)
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        env=env, pass_fds=descriptors)
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()


def listener(address="127.0.0.1", port=0):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.listen(4096)
    return sock


class WithSimulator(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Simulator()

    @classmethod
    def tearDownClass(cls):
        cls.sim.stop()

    def manager(self):
        manager = Manager()
        self.addCleanup(manager.close)
        return manager

    def gateway(self, **options):
        gate = ManagedGateway(self.sim, **options)
        self.addCleanup(gate.stop)
        return gate


class Notify(WithSimulator):
    def test_life(self):
        manager = self.manager()
        gate = self.gateway(environment={"NOTIFY_SOCKET": manager.path})
        eventually(lambda: manager.count("READY"), "READY=1")
        self.assertEqual(manager.messages[0]["READY"], "1")
        self.assertEqual(manager.count("WATCHDOG"), 0)
        before = time.monotonic_ns() // 1000
        gate.child.process.send_signal(signal.SIGHUP)
        eventually(lambda: manager.count("READY") == 2, "READY=1 after the reload")
        names = [next(iter(m)) for m in manager.messages]
        self.assertEqual(names, ["READY", "RELOADING", "READY"])
        self.assertGreaterEqual(int(manager.messages[1]["MONOTONIC_USEC"]), before)
        self.assertLessEqual(int(manager.messages[1]["MONOTONIC_USEC"]), time.monotonic_ns() // 1000)
        self.assertEqual(manager.status(), "Serving")
        gate.stop()
        eventually(lambda: manager.count("STOPPING"), "STOPPING=1")
        self.assertEqual(manager.messages[-1]["STOPPING"], "1")

    def test_bad_configuration(self):
        manager = self.manager()
        gate = self.gateway(environment={"NOTIFY_SOCKET": manager.path})
        eventually(lambda: manager.count("READY"), "READY=1")
        good = gate.config
        for bad in (dict(good, threads="two"), dict(good, tokens=[])):
            count = manager.count("READY")
            gate.config = dict(bad, unknown=1)
            gate.write()
            gate.child.process.send_signal(signal.SIGHUP)
            eventually(lambda: manager.count("READY") == count + 1, "READY=1")
            self.assertIn("old one stays in force", manager.status())
            self.assertEqual(gate.get("/v1/agents").status, 200)
        eventually(lambda: len(gate.child.log("reloadRefused")) == 2, "two were refused")
        gate.config = good
        gate.write()
        gate.child.process.send_signal(signal.SIGHUP)
        eventually(lambda: manager.status() == "Serving", "a good configuration")
        eventually(lambda: len(gate.child.log("reloaded")) == 1, "one was taken")

    def test_bad_certificates(self):
        authority = Authority()
        self.addCleanup(authority.remove)
        server, manager = authority.issue("server", "/CN=localhost"), self.manager()
        gate = self.gateway(environment={"NOTIFY_SOCKET": manager.path},
                            listen=[{"address": "127.0.0.1", "port": 0}, {"address": "127.0.0.1", "port": 0, "tls": server}])
        eventually(lambda: manager.count("READY") == 1, "READY=1")
        with open(server["keyFile"], "w") as file:
            file.write("no key")
        gate.child.process.send_signal(signal.SIGHUP)
        eventually(lambda: manager.count("READY") == 2, "READY=1")
        self.assertIn("old ones stay in force", manager.status())
        self.assertEqual(gate.get("/v1/agents").status, 200)

    def test_watchdog(self):
        manager = self.manager()
        # Without WATCHDOG_PID the time is for whoever reads it.
        gate = self.gateway(environment={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"})
        eventually(lambda: manager.count("WATCHDOG") >= 5, "the watchdog is patted")
        gate.stop()
        self.assertFalse([m for m in manager.messages[-1:] if "WATCHDOG" in m])

    def test_somebody_elses_watchdog(self):
        manager = self.manager()
        gate = self.gateway(environment={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
        eventually(lambda: manager.count("READY"), "READY=1")
        gate.get("/v1/agents")
        gate.stop()
        self.assertEqual(manager.count("WATCHDOG"), 0)

    def test_no_core(self):
        gate = self.gateway()
        with open("/proc/%d/limits" % gate.child.process.pid, encoding="ascii") as file:
            core = next(line.split() for line in file if line.startswith("Max core file size"))
        self.assertEqual(core[4:6], ["0", "0"])


class Sockets(WithSimulator):
    def test_by_address(self):
        with listener() as api, listener() as consumer, listener() as unused:
            gate = self.gateway(sockets=(consumer, unused, api), names=("x", "y", "z"),
                                listen=[{"address": "127.0.0.1", "port": api.getsockname()[1]}],
                                consumer={"address": "127.0.0.1", "port": consumer.getsockname()[1], "allow": ["127.0.0.0/8"]})
            lines = gate.child.log("listening")
            self.assertEqual([line["port"] for line in lines], [api.getsockname()[1], consumer.getsockname()[1]])
            self.assertTrue(lines[0]["inherited"])
            self.assertEqual([line["name"] for line in gate.child.log("socketUnused")], ["y"])
            self.assertEqual(exchange(consumer.getsockname()[1], "GET", "/NotificationConsumer?wsdl").status, 200)
            self.assertEqual(gate.get("/v1/agents").status, 200)

    def test_by_name(self):
        with listener() as api, listener() as consumer:
            gate = self.gateway(sockets=(consumer, api), names=("consumer", "listen"),
                                consumer={"address": "127.0.0.1", "port": 0, "allow": ["127.0.0.0/8"]})
            self.assertEqual([line["port"] for line in gate.child.log("listening")],
                             [api.getsockname()[1], consumer.getsockname()[1]])

    def test_what_does_not_listen_is_refused(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            gate = self.gateway(sockets=(other,), names=("listen",))
            self.assertEqual(len(gate.child.log("socketRefused")), 1)
            self.assertFalse(gate.child.log("listening")[0]["inherited"])

    def test_a_restart_refuses_nobody(self):
        with listener() as api:
            port = api.getsockname()[1]
            gate = self.gateway(sockets=(api,), names=("listen",), listen=[{"address": "127.0.0.1", "port": port}])
            ended, refused, connected = threading.Event(), [], [0]

            def connect():
                while not ended.wait(0.02): # as slow as that, for the queue of a socket that nobody accepts from has an end
                    try:
                        with socket.create_connection(("127.0.0.1", port), timeout=harness.BOUND):
                            connected[0] += 1
                    except OSError as error:
                        refused.append(error)

            threads = [threading.Thread(target=connect) for _ in range(3)]
            for thread in threads:
                thread.start()
            try:
                for _ in range(3):
                    count = connected[0]
                    harness.check_clean(gate.child, gate.child.end(), "cctgate")
                    between = connected[0]
                    eventually(lambda: connected[0] > between + 20, "connections while nothing runs")
                    gate.start()
                    self.assertEqual(gate.get("/v1/agents").status, 200)
                    self.assertGreater(connected[0], count)
            finally:
                ended.set()
                for thread in threads:
                    thread.join(harness.BOUND)
            self.assertEqual(refused, [])

    def test_a_request_waits_for_the_next_process(self):
        with listener() as api:
            port = api.getsockname()[1]
            gate = self.gateway(sockets=(api,), names=("listen",), listen=[{"address": "127.0.0.1", "port": port}])
            harness.check_clean(gate.child, gate.child.end(), "cctgate")
            answers = []
            thread = threading.Thread(target=lambda: answers.append(exchange(port, "GET", "/healthz")))
            thread.start()
            gate.start()
            thread.join(harness.BOUND)
            self.assertEqual([a.status for a in answers], [200])


class End(Case):
    """SIGTERM under load."""

    def own(self):
        gate = Gateway(self.sim)
        self.addCleanup(gate.stop)
        return gate

    def goodbye(self, ws):
        """The `retryAfterMs` of the last message, and how it closed."""
        last = None
        while True:
            try:
                message = ws.receive()
            except Closed as closed:
                self.assertEqual(last["op"], "closing")
                return last["retryAfterMs"], closed
            last = message

    def test_clients_are_told_when_to_come_back(self):
        gate = self.own()
        clients = [WebSocket(gate.port, "supervisor") for _ in range(20)]
        for ws in clients:
            ws.subscribe("a")
        gate.child.process.send_signal(signal.SIGTERM)
        times = []
        for ws in clients:
            ms, closed = self.goodbye(ws)
            times.append(ms)
            self.assertEqual((closed.code, closed.reason), (1012, "the gateway is stopping"))
            ws.sock.close()
        self.assertTrue(all(500 <= ms < 5000 for ms in times), times)
        self.assertGreater(len(set(times)), 5)
        gate.stop()

    def test_streams_are_told_when_to_come_back(self):
        gate = self.own()
        with EventStream(gate.port, "supervisor") as stream:
            stream.receive_event("hello")
            gate.child.process.send_signal(signal.SIGTERM)
            last = stream.receive_event("closing")
            self.assertEqual(json.loads(last["data"]), {"retryAfterMs": int(last["retry"])})
        gate.stop()

    def test_what_is_in_progress_ends(self):
        gate = self.own()
        self.sim.latency(1000)
        answers = []

        def ask(path):
            answers.append(exchange(gate.port, "GET", path, dict(bearer("supervisor"), **{"Cache-Control": "no-cache"})).status)

        threads = [threading.Thread(target=ask, args=("/v1/agents/%d" % n,)) for n in (2001, 2002, 2003, 2004)]
        calls = self.sim.calls()
        for thread in threads:
            thread.start()
        eventually(lambda: self.sim.calls() > calls, "the reads have begun")
        eventually(lambda: gate.metric("fetches_in_progress") >= 4, "all of them")
        gate.child.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(harness.BOUND)
        self.assertEqual(answers, [200] * 4)
        self.sim.latency(0)
        gate.stop()
        self.assertEqual(gate.child.process.returncode, 0)


if __name__ == "__main__":
    unittest.main()
