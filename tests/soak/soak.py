"""An hour at the CS1K limit in ten minutes: 25 contacts a second, with dashboards; the gateway stays as large as it was after a minute.

    SOAK_SECONDS=600 CCTGATE=… CCTSIM=… python3 tests/soak/soak.py

A call comes, is answered, and ends 256 calls later: that many are in progress all the time. The event log is set so small that it is
full within the first minute, so that what the store uses is compared full with full. At the end memory (RSS), descriptors and
used pages of the store are within a tenth of what they were then, and every call has been counted.
"""
import json
import os
import sys
import threading
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))

import harness  # noqa: E402
from commanding import CONSUMER  # noqa: E402
from harness import Gateway, Simulator, eventually  # noqa: E402
from test_live import is_live  # noqa: E402
from websocket import Closed, WebSocket  # noqa: E402

CONTACTS_PER_SECOND = 25
EVENTS_PER_CONTACT = 13  # of a call that comes, is answered and ends, about: the pace is corrected by what is counted
TOLERANCE = 0.10
LOG_EVENTS = 5000
DASHBOARDS = 6


class Dashboard(threading.Thread):
    """Listens to everything, and reads the floor now and then."""

    def __init__(self, gate, stop):
        super().__init__(daemon=True)
        self.gate, self.stopping, self.events, self.reads, self.slow, self.failure = gate, stop, 0, 0, 0, None
        self.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.watch()
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure

    def watch(self):
        """Until it ends, or is told that it is too slow, as a busy machine makes it: then it comes again."""
        connection = self.gate.connect()
        try:
            with WebSocket(self.gate.port, "supervisor") as ws:
                ws.subscribe("all")
                while not self.stopping.is_set():
                    ws.receive_op("event")
                    self.events += 1
                    if self.events % 50 == 0:
                        for path in ("/v1/agents?limit=20", "/v1/calls?limit=20"):
                            assert self.gate.get(path, connection=connection).status == 200
                            self.reads += 1
        except Closed as closed:
            if closed.code != 4408 and not self.stopping.is_set():
                raise
            self.slow += 1
        finally:
            connection.close()


class Soak:
    def __init__(self, seconds, out=sys.stdout):
        self.seconds, self.out = seconds, out
        self.sim = Simulator(agents=100, scenario="idle")
        try:
            self.gate = Gateway(self.sim, users=("supervisor",), consumer=CONSUMER,
                                upstream={"capacity": "CS1K", "reconcileMs": 3600000}, cache={"endedCallMs": 1000},
                                data={"directory": "data", "mapSizeMiB": 256, "eventLog": {"maxEvents": LOG_EVENTS}})
        except BaseException:
            self.sim.child.end()
            raise
        self.stop = threading.Event()

    def contacts(self):
        return self.gate.get("/v1/capacity").json["contactsPerHour"]["value"]

    def measure(self):
        pid = self.gate.child.process.pid
        with open("/proc/%d/status" % pid) as file:
            rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        return {"RSS, KiB": rss, "descriptors": self.descriptors(),
                "store, KiB": self.gate.metric("store_cache_used_bytes") // 1024,
                "records": self.gate.metric("store_records"), "model objects": self.gate.metric("model_objects")}

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.gate.child.process.pid))

    def watch(self, seconds):
        """The descriptors that are held: the fewest while the time passes, as connections come and go."""
        end, held = time.monotonic() + seconds, self.descriptors()
        while time.monotonic() < end:
            time.sleep(1)
            held = min(held, self.descriptors())
        return held

    def run(self):
        for agent in self.sim.state()["agents"]:
            self.sim.admin("POST", "/agents/" + agent["id"], {"loggedIn": True, "ready": True})
        eventually(lambda: is_live(self.gate, "supervisor"), "live")
        boards = [Dashboard(self.gate, self.stop) for _ in range(DASHBOARDS)]
        begun, target = time.monotonic(), CONTACTS_PER_SECOND * self.seconds
        self.sim.admin("POST", "/burst", {"events": target * EVENTS_PER_CONTACT, "kind": "calls",
                                          "perSecond": CONTACTS_PER_SECOND * EVENTS_PER_CONTACT})
        self.rows, first = [], None
        while time.monotonic() - begun < self.seconds:
            held = self.watch(60 if self.seconds >= 240 else self.seconds / 10)
            row = dict(self.measure(), descriptors=held, contacts=self.contacts(), seconds=time.monotonic() - begun)
            first = first or row
            self.rows.append(row)
            self.show(row)
        last = self.rows[-1]
        self.sim.admin("DELETE", "/traffic")
        self.stop.set()
        failures = [b.failure for b in boards if b.failure is not None]
        assert not failures, failures
        self.slow = sum(b.slow for b in boards)
        self.told, self.reads = sum(b.events for b in boards), sum(b.reads for b in boards)
        assert self.gate.metric("model_objects") > 0 and self.told > 0
        for name in ("RSS, KiB", "descriptors", "store, KiB"):
            change = last[name] / first[name] - 1
            print("  %-12s %+.1f%%" % (name.split(",")[0], change * 100), file=self.out)
        grown = [n for n in ("RSS, KiB", "descriptors", "store, KiB") if abs(last[n] / first[n] - 1) > TOLERANCE]
        return grown

    def show(self, row):
        if len(self.rows) == 1:
            print("  " + " ".join("%14s" % name for name in row), file=self.out)
        print("  " + " ".join("%14d" % value for value in row.values()), file=self.out, flush=True)

    def end(self):
        self.stop.set()
        self.gate.stop()
        self.sim.stop()


def main():
    tempfile.tempdir = None  # on a disk, as in use
    soak = Soak(int(os.environ.get("SOAK_SECONDS", "600")))
    try:
        grown = soak.run()
        print("  %d events told to %d dashboards, %d reads, too slow %d times" % (soak.told, DASHBOARDS, soak.reads, soak.slow))
    finally:
        soak.end()
    if grown:
        sys.exit("not as it was after the first row: " + json.dumps(grown))


if __name__ == "__main__":
    main()
