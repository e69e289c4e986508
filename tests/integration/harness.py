"""Starts a simulator and a gateway on free ports of 127.0.0.1, and speaks HTTP to both.

Nothing here waits for time to pass: `eventually` asks again until a condition holds, within a generous bound.
"""
import hashlib
import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CCTGATE = os.environ.get("CCTGATE", os.path.join(TOP, "build/asan/cctgate"))
CCTSIM = os.environ.get("CCTSIM", os.path.join(TOP, "build/asan/cctsim"))
CONTRACT = os.path.join(TOP, "conf/contract")
BOUND = 60.0
PASSWORD = "correct-horse"
# What is written down is synced: in memory, where there is room for it, no test waits for a disk. Who takes figures sets it back.
MEMORY = "/dev/shm"
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 1 << 28:
    tempfile.tempdir = MEMORY
# libh2o's per-thread free lists and loops live as long as the process
LSAN = "suppressions=" + os.path.join(TOP, "tests/lsan.supp") + ":print_suppressions=0"


def eventually(condition, what, bound=BOUND):
    """The first true value of condition(), asked until then; AssertionError after `bound` seconds."""
    end = time.monotonic() + bound
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("never happened: " + what)
        time.sleep(0.02)


class Response:
    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.fields = [(k.lower(), v) for k, v in headers]
        self.headers = dict(self.fields)

    @property
    def json(self):
        return json.loads(self.body)

    def cache(self):
        """Cache-Status of RFC 9211 as {"hit": True, "ttl": "12"}."""
        members = [m.strip() for m in self.headers.get("cache-status", "").split(";")]
        return {m.split("=")[0]: (m.split("=")[1] if "=" in m else True) for m in members[1:]}

    def __repr__(self):
        return "%d %s %r" % (self.status, self.headers, self.body[:400])


def exchange(port, method, path, headers=None, body=None, connection=None, timeout=BOUND):
    own = connection is None
    connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Response(answer.status, answer.getheaders(), answer.read())
    finally:
        if own:
            connection.close()


def raw(port, data, timeout=BOUND):
    """Sends bytes as they are; all that comes back until the peer closes or is silent for 2 s after an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        sock.sendall(data)
        received = b""
        while True:
            ready, _, _ = select.select([sock], [], [], 2 if received else timeout)
            if not ready:
                return received
            piece = sock.recv(65536)
            if not piece:
                return received
            received += piece


class Process:
    """A child whose standard error is kept line by line."""

    def __init__(self, command, env=None, stdout=None):
        env = dict(env or os.environ)
        env.setdefault("LSAN_OPTIONS", LSAN)
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout or subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, env=env)
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))

    def log(self, event=None):
        found = []
        for line in list(self.lines):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and (event is None or entry.get("event") == event):
                found.append(entry)
        return found

    def text(self):
        return "\n".join(self.lines)

    def end(self, number=signal.SIGTERM, bound=BOUND):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(bound)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("did not end:\n" + self.text()[-4000:])
        self.reader.join(bound)
        self.process.stderr.close()
        if self.process.stdout:
            self.process.stdout.close()
        return self.process.returncode


def check_clean(process, code, name):
    text = process.text()
    for sign in ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ThreadSanitizer"):
        assert sign not in text, name + ":\n" + text[-6000:]
    assert code in (0, -signal.SIGKILL), "%s ended with %s:\n%s" % (name, code, text[-4000:])


class Simulator:
    def __init__(self, agents=6, port=0, **options):
        self.options = dict(agents=agents, password=PASSWORD, **options)
        self.port = self.admin_port = 0
        self.start(port)

    def start(self, port=None):
        command = [CCTSIM, "--contract", CONTRACT, "--port", str(port if port is not None else self.port),
                   "--admin-port", str(self.admin_port)]
        for name, value in self.options.items():
            command += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
        self.child = Process(command, stdout=subprocess.PIPE)
        line = self.child.process.stdout.readline()
        if not line:
            raise AssertionError("the simulator did not start:\n" + self.child.text())
        ready = json.loads(line)
        self.port, self.admin_port = ready["port"], ready["adminPort"]

    def stop(self, number=signal.SIGTERM):
        check_clean(self.child, self.child.end(number), "cctsim")

    def admin(self, method, path, body=None):
        answer = exchange(self.admin_port, method, path, {"Content-Type": "application/json"},
                          None if body is None else json.dumps(body))
        assert answer.status < 300, answer
        return json.loads(answer.body) if answer.body else None

    def counters(self):
        return self.admin("GET", "/counters")

    def calls(self, *names):
        """Calls per operation: of all that are named, or of every one but the sessions' own heartbeat."""
        operations = self.counters()["operations"]
        if names:
            return sum(operations.get(n, 0) for n in names)
        return sum(v for k, v in operations.items() if k != "SessionService.GetCurrentTerminalCount")

    def state(self):
        return self.admin("GET", "/state")

    def latency(self, ms):
        self.admin("POST", "/latency", {"ms": ms})

    def fault(self, kind, service="*", operation="*", count=0, **more):
        self.admin("POST", "/faults", dict(kind=kind, service=service, operation=operation, count=count, **more))

    def no_faults(self):
        self.admin("DELETE", "/faults")


TOKENS = {
    "supervisor": ("supervisor-token", ["supervisor"], ["viewer", "supervisor"]),
    "agent2001": ("agent-2001-token", ["agent2001"], ["viewer", "controller"]),
    "agent2002": ("agent-2002-token", ["agent2002"], ["viewer"]),
    "both": ("two-agents-token", ["agent2001", "agent2002"], ["viewer"]),
    "operator": ("operator-token", ["*"], ["operator"]),
    "campaigner": ("campaigner-token", ["supervisor"], ["campaigner"]),
}


def bearer(name):
    return {"Authorization": "Bearer " + TOKENS[name][0]}


class Gateway:
    def __init__(self, simulator, users=("supervisor", "agent2001", "agent2002"), **changes):
        self.directory = tempfile.mkdtemp(prefix="cctgate-test-")
        self.file = os.path.join(self.directory, "cctgate.json")
        with open(os.path.join(self.directory, "password"), "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(PASSWORD + "\n")
        self.config = {
            "listen": [{"address": "127.0.0.1", "port": 0}],
            "threads": 2,
            "contract": CONTRACT,
            "data": {"directory": "data", "mapSizeMiB": 64},
            "upstream": {"endpoints": [{"name": "campus", "url": "http://127.0.0.1:%d/SOAOICCT/services" % simulator.port}],
                         "timeoutMs": 10000, "connectTimeoutMs": 5000, "heartbeatMs": 600000, "loginsPerSecond": 100},
            "sessions": [{"user": u, "domain": "CC", "password": {"file": "password"}} for u in users],
            "tokens": [{"application": name, "sha256": hashlib.sha256(token.encode()).hexdigest(), "users": allowed,
                        "roles": roles}
                       for name, (token, allowed, roles) in TOKENS.items() if set(allowed) <= set(users) | {"*"}],
            "cache": {"ttlMs": {k: 600000 for k in ("agent", "terminal", "address", "user", "call", "capabilities")},
                      "jitterPercent": 0},
        }
        for section, values in changes.items():
            if isinstance(values, dict):
                merged = self.config.setdefault(section, {})
                for key, value in values.items():
                    if isinstance(value, dict) and isinstance(merged.get(key), dict):
                        merged[key].update(value)
                    else:
                        merged[key] = value
            else:
                self.config[section] = values
        self.write()
        self.child = None
        self.start()

    def write(self):
        with open(self.file, "w") as file:
            json.dump(self.config, file)

    def start(self, ready=True):
        self.child = Process([CCTGATE, "--config", self.file], self.environment())
        def listening():
            if self.child.process.poll() is not None:
                raise AssertionError("the gateway ended:\n" + self.child.text()[-6000:])
            return self.child.log("listening")
        self.port = eventually(listening, "listening")[0]["port"]
        eventually(lambda: self.child.log("started"), "started")
        if ready:
            self.wait_ready()

    def environment(self):
        """What the gateway's process finds there."""
        return None

    def wait_ready(self):
        eventually(lambda: exchange(self.port, "GET", "/readyz").status == 200, "ready")

    def get(self, path, who="supervisor", headers=None, connection=None, method="GET"):
        fields = dict(bearer(who) if who else {})
        fields.update(headers or {})
        return exchange(self.port, method, path, fields, connection=connection)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=BOUND)

    def metric(self, name):
        for line in exchange(self.port, "GET", "/metrics").body.decode().splitlines():
            if line.startswith("cctgate_" + name + " "):
                return int(line.split(" ")[1])
        raise AssertionError("no metric " + name)

    def kill(self):
        self.child.end(signal.SIGKILL)

    def stop(self):
        if self.child is not None and self.child.process.stderr and not self.child.process.stderr.closed:
            check_clean(self.child, self.child.end(), "cctgate")
        shutil.rmtree(self.directory, ignore_errors=True)


class Case(unittest.TestCase):
    """A fresh simulator and gateway per class, unless a test makes its own."""
    simulator_options = {}
    gateway_options = {}
    gateway_class = Gateway
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.sim = Simulator(**cls.simulator_options)
        try:
            cls.gate = cls.gateway_class(cls.sim, **cls.gateway_options)
        except BaseException:
            cls.sim.child.end()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.gate.stop()
        counters = cls.sim.counters()
        cls.sim.stop()
        # what another test's simulator still posts to a consumer whose port is ours now
        strays = [m for m in counters["violationMessages"] if m.startswith("/NotificationConsumer/")]
        assert counters["violations"] == len(strays), counters["violationMessages"]

    def setUp(self):
        self.sim.no_faults()
        self.sim.latency(0)

    def assert_problem(self, response, status, slug=None):
        self.assertEqual(response.status, status, response)
        self.assertEqual(response.headers.get("content-type"), "application/problem+json", response)
        if response.body:
            body = response.json
            self.assertEqual(body["status"], status)
            self.assertTrue(body["type"].startswith("/problems/"))
            self.assertTrue(body["title"])
            if slug:
                self.assertEqual(body["type"], "/problems/" + slug)
        return response


def main():
    unittest.main(verbosity=2)
