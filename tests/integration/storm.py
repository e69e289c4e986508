"""All sessions are lost at once, as a switch to a hot standby loses them, while every agent has its dashboards open and commands are given.

Every agent is one CCT user with one session, three dashboards (WebSockets that hear of gateway.session) and an application that controls
it and sets activity codes, each command with words and an idempotency key of its own, repeated under that key until it is done or its
outcome is called unknown. When all of that runs, the contact centre forgets every session, without a word. Then is counted: how long
until every dashboard has been told `resynced`, how many logins there were in any second, and, against what the contact centre has
really carried out, whether a command was lost or done twice.

    python3 tests/integration/storm.py [--agents 1000] [--dashboards 3] [--logins-per-second 25] [--latency-ms 2] [--bound 60]

prints the figures as JSON and fails if they are not what is promised. test_ha.py runs a small one.
"""
import argparse
import asyncio
import base64
import collections
import json
import os
import resource
import sys
import threading
import tempfile
import time

import harness
from harness import Gateway, Simulator, eventually

CONSUMER = {"address": "127.0.0.1", "port": 0}
OPENING = 64
LONG = 3600000


def application(agent):
    return "desk-of-%d" % agent


class Dashboards(threading.Thread):
    """WebSockets of all agents on one asyncio loop; each remembers when it was told what of its session."""

    def __init__(self, port, agents, each):
        super().__init__(daemon=True)
        self.port, self.agents, self.each = port, agents, each
        self.told = {(a, n): [] for a in agents for n in range(each)}
        self.open, self.broken, self.ending = 0, [], False
        self.loop = asyncio.new_event_loop()
        self.start()
        eventually(lambda: self.broken or self.open == len(self.told), "all dashboards are open", 300)
        assert not self.broken, self.broken[:3]

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.serve())

    async def serve(self):
        self.gate, self.end = asyncio.Semaphore(OPENING), asyncio.Event()
        tasks = [asyncio.ensure_future(self.one(agent, n)) for agent, n in self.told]
        await self.end.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def send(self, writer, opcode, payload):
        head = bytes([0x80 | opcode]) + (bytes([0x80 | len(payload)]) if len(payload) < 126
                                         else bytes([0xfe]) + len(payload).to_bytes(2, "big"))
        writer.write(head + bytes(4) + payload)  # a mask of zeros is a mask
        await writer.drain()

    async def receive(self, reader, writer):
        while True:
            first, second = await reader.readexactly(2)
            length = second & 0x7f
            if length > 125:
                length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
            payload = await reader.readexactly(length)
            if first & 15 == 1:
                return json.loads(payload)
            if first & 15 == 9:
                await self.send(writer, 10, payload)
            elif first & 15 == 8:
                raise ConnectionError("closed: %r" % payload)

    async def connect(self, agent):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(("GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: cctgate.v1\r\n"
                      "Authorization: Bearer %s\r\n\r\n" % (base64.b64encode(os.urandom(16)).decode(),
                                                            harness.TOKENS[application(agent)][0])).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head.split(b"\r\n")[0], head
        await self.send(writer, 1, b'{"op":"subscribe","id":"a","types":["gateway.session"]}')
        while (await self.receive(reader, writer))["op"] != "subscribed":
            pass
        return reader, writer

    async def one(self, agent, n):
        writer = None
        try:
            async with self.gate:
                reader, writer = await self.connect(agent)
            self.open += 1
            while True:
                message = await self.receive(reader, writer)
                if message["op"] == "event":
                    self.told[agent, n].append((time.monotonic(), message["event"]["data"]["state"]))
        except (Exception, asyncio.CancelledError) as error:  # pylint: disable=broad-except
            if not self.ending:
                self.broken.append("%d.%d: %r" % (agent, n, error))
        finally:
            if writer is not None:
                writer.transport.abort()

    def resynced(self):
        return sum(1 for states in self.told.values() if any(s == "resynced" for _, s in states))

    def stop(self):
        self.ending = True
        self.loop.call_soon_threadsafe(self.end.set)
        self.join(60)
        self.loop.close()


class Workers:
    """Applications that go on giving commands; `outcomes` says of each what its client knows in the end."""

    def __init__(self, gate, agents, count):
        self.gate, self.agents = gate, agents
        self.leases, self.outcomes, self.failures = {}, {}, []
        self.repeats = collections.Counter()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(agents[i::count],), daemon=True) for i in range(count)]

    def ask(self, connection, method, path, agent, body, **fields):
        headers = {"Authorization": "Bearer " + harness.TOKENS[application(agent)][0], "Content-Type": "application/json"}
        headers.update({k.replace("_", "-"): v for k, v in fields.items()})
        connection.request(method, path, json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}

    def work(self, agents):
        connection, round_ = self.gate.connect(), 0
        try:
            for agent in agents:
                status, body = self.ask(connection, "PUT", "/v1/agents/%d/control" % agent, agent, {"profile": "FullControl"})
                assert status == 200, body
                self.leases[agent] = body["lease"]
            while not self.stopping.is_set():
                round_ += 1
                for agent in agents:
                    if not self.stopping.is_set():
                        self.command(connection, agent, "c%d-%d" % (agent, round_))
        except Exception as error:  # pylint: disable=broad-except
            self.failures.append(repr(error))
        finally:
            connection.close()

    def command(self, connection, agent, code):
        end = time.monotonic() + 120
        while time.monotonic() < end:
            status, body = self.ask(connection, "PUT", "/v1/agents/%d/activity-code" % agent, agent, {"activityCode": code},
                                    Control_Lease=self.leases[agent], Idempotency_Key="key-" + code)
            if status < 300:
                self.outcomes[code] = "done"
                return
            if body.get("outcome") == "unknown":
                self.outcomes[code] = "unknown"
                return
            if status not in (409, 429, 502, 503):
                raise AssertionError("%s: %d %r" % (code, status, body))
            self.repeats["%d %s" % (status, body["type"])] += 1
            time.sleep(0.05)
        self.outcomes[code] = "never"

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(150)


def compare(outcomes, executed):
    """Every command's number of executions against what its client was told."""
    done = {key.split(" ")[-1]: n for key, n in executed.items() if key.startswith("AgentTerminalService.SetActivityCode ")}
    said = collections.Counter(outcomes.values())
    return {"sent": len(outcomes), "executed": len(done), "done": said["done"], "unknown": said["unknown"],
            "neverAnswered": said["never"],
            "unknownExecuted": sum(1 for c, o in outcomes.items() if o == "unknown" and c in done),
            "lost": sorted(c for c, o in outcomes.items() if o == "done" and c not in done),
            "doubled": sorted(c for c, n in done.items() if n > 1),
            "notAsked": sorted(set(done) - set(outcomes))}


def start(agents, per_second, latency_ms, topology):
    numbers = [2001 + i for i in range(agents)]
    for number in numbers:
        harness.TOKENS[application(number)] = ("desk-%d-secret" % number, ["agent%d" % number], ["controller"])
    sim = Simulator(agents=agents, journal=True)
    sim.latency(latency_ms)
    gate = None
    try:
        gate = Gateway(sim, users=["agent%d" % n for n in numbers], consumer=CONSUMER, control={"ttlMs": LONG},
                       data={"mapSizeMiB": 1024}, events={"maxClients": 20000},
                       upstream={"loginsPerSecond": per_second, "topology": topology, "reconcileMs": LONG, "timeoutMs": 10000,
                                 "heartbeatMs": 60000})
        eventually(lambda: gate.metric("sessions_live") == agents, "every session is live", 300)
    except BaseException:
        if gate is not None and gate.child is not None:
            gate.child.end()
        sim.child.end()
        raise
    return sim, gate, numbers


def ready_agents(sim, numbers):
    """Those that are logged in: only they have an activity code."""
    logged_in = {int(a["id"]) for a in sim.state()["agents"] if a["loggedIn"]}
    return [n for n in numbers if n in logged_in]


def cpu_seconds(child):
    with open("/proc/%d/stat" % child.process.pid, encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def storm(agents=1000, dashboards=3, per_second=25, latency_ms=2, topology="hotStandby", workers=8, bound=60.0):
    """The figures; what is wrong with them is under "wrong"."""
    sim, gate, numbers = start(agents, per_second, latency_ms, topology)
    figures = {"agents": agents, "dashboards": agents * dashboards, "loginsPerSecond": per_second, "latencyMs": latency_ms}
    try:
        watchers = Dashboards(gate.port, numbers, dashboards)
        givers = Workers(gate, ready_agents(sim, numbers), workers)
        givers.start()
        eventually(lambda: givers.failures or len(givers.outcomes) >= 2 * workers, "commands are given")
        before = sim.counters()
        sim.admin("POST", "/counters/reset")
        lost_at, burnt = time.monotonic(), {"cctgate": cpu_seconds(gate.child), "cctsim": cpu_seconds(sim.child)}
        clients_burnt = time.process_time()
        figures["sessionsLost"] = sim.admin("POST", "/sessions/kill", {"user": "*", "silently": True})["ended"]
        eventually(lambda: watchers.broken or watchers.resynced() == len(watchers.told), "every dashboard is told `resynced`", 4 * bound)
        after = sim.counters()
        figures["cpuSeconds"] = {"cctgate": round(cpu_seconds(gate.child) - burnt["cctgate"], 1),
                                 "cctsim": round(cpu_seconds(sim.child) - burnt["cctsim"], 1),
                                 "clients": round(time.process_time() - clients_burnt, 1), "cores": os.cpu_count(),
                                 "loadAverage": round(os.getloadavg()[0], 1)}
        times = sorted(next((t for t, s in states if s == "resynced"), lost_at + 999) - lost_at for states in watchers.told.values())
        eventually(lambda: gate.metric("sessions_live") == agents, "every session is live again", bound)
        givers.stop()
        watchers.stop()
        commands = compare(givers.outcomes, sim.admin("GET", "/executed"))
        figures.update({
            "resyncedSeconds": {"first": round(times[0], 2), "median": round(times[len(times) // 2], 2), "last": round(times[-1], 2)},
            "firstToldStaleSeconds": round(min((s[0][0] for s in watchers.told.values() if s), default=lost_at + 999) - lost_at, 2),
            "dashboardsTold": watchers.resynced(), "logins": after["logins"], "maxLoginsPerSecond": after["maxLoginsPerSecond"],
            "callsWhileResyncing": after["total"], "violations": before["violations"] + after["violations"],
            "operations": {k: v for k, v in sorted(after["operations"].items(), key=lambda i: -i[1])[:12]},
            "commands": commands, "repeated": dict(givers.repeats)})
        figures["wrong"] = [text for wrong, text in (
            (times[-1] > bound, "resynced only after %.1f s" % times[-1]),
            (after["maxLoginsPerSecond"] > per_second, "more logins in a second than %d" % per_second),
            (after["logins"] != agents, "%d logins of %d sessions" % (after["logins"], agents)),
            (figures["sessionsLost"] != agents, "not every session was lost"),
            (watchers.resynced() != len(watchers.told), "not every dashboard was told"),
            (watchers.broken, "dashboards broke: %s" % watchers.broken[:3]),
            (givers.failures, "commands failed: %s" % givers.failures[:3]),
            (commands["lost"] or commands["doubled"] or commands["notAsked"] or commands["neverAnswered"], "commands went wrong"),
            (figures["violations"], "requests that the contract does not allow")) if wrong]
    finally:
        gate.stop()
        sim.stop()
    return figures


def main():
    tempfile.tempdir = None  # on a disk, as in use
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    arguments.add_argument("--agents", type=int, default=1000)
    arguments.add_argument("--dashboards", type=int, default=3)
    arguments.add_argument("--logins-per-second", type=int, default=25)
    arguments.add_argument("--latency-ms", type=int, default=2)
    arguments.add_argument("--workers", type=int, default=8)
    arguments.add_argument("--bound", type=float, default=60.0)
    chosen = arguments.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    figures = storm(chosen.agents, chosen.dashboards, chosen.logins_per_second, chosen.latency_ms, workers=chosen.workers,
                    bound=chosen.bound)
    print(json.dumps(figures, indent=2))
    sys.exit(1 if figures["wrong"] else 0)


if __name__ == "__main__":
    main()
