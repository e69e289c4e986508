#!/usr/bin/env python3
"""What the gateway does with events: from a Notify to the last of 1,000 WebSocket clients, measured on 127.0.0.1.

The gateway has one front thread and one core; ws_clients, which is both the contact centre that posts and the clients that read, has the
other. What is posted is what the simulator would have delivered: its deliveries are recorded (the gateway's consumer.publicUrl is the
recorder), taken apart into messages and posted in their order, so that the model follows them without a gap. "events" are agents that
become ready and not ready and calls that ring, are answered and end, on a floor of 200 agents; "short events" are AGENT_STATE, the
shortest kind. Figures are medians of several rounds. The exit code does not depend on the figures.
"""
import argparse
import collections
import contextlib
import hashlib
import http.client
import http.server
import json
import operator
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

OUT = os.environ.get("OUT", "build/release")
TOKEN = "bench-token-of-the-usual-length-of-64-characters-0123456789abcdef"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
START_SECONDS = 60
ANSWER_SECONDS = 300
AGENTS = 200
CLIENTS = 1000
BATCH = 20  # messages of a Notify, where not one
WINDOW = 160  # events that the last client may be behind when it goes as fast as it can
PACE = 20  # events a second where latency is asked for
STEADY = 700  # events a second
SLOW = 10
SLOW_PACE = 40
SLOW_ROOM = 4096
QUIET = 0.03  # of the processors, for others
# What is wanted: figure, comparison, bound
TARGETS = (("latency p99 ms", "<", 25), ("messages/s, short events, 20 a Notify", ">=", 100000),
           ("messages/s, short events, 1 a Notify", ">=", 100000), ("KB per idle WebSocket", "<=", 12),
           ("events/s ingested", ">=", 3000), ("closed with 4408", "==", SLOW))
MESSAGE = re.compile(rb"<n:NotificationMessage>.*?</n:NotificationMessage>", re.S)
HOLDS = {"<": operator.lt, "<=": operator.le, ">=": operator.ge, "==": operator.eq}


def pinned(core, command):
    return ["taskset", "-c", str(core)] + command if os.cpu_count() > 1 else command


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, None if body is None else json.dumps(body),
                           {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def until(condition, what, seconds=START_SECONDS, pause=0.02):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if condition():
                return
        time.sleep(pause)
    sys.exit("bench: never happened: " + what)


class Recorder:
    """Takes what the simulator delivers, message by message."""

    def __init__(self):
        outer, self.messages, self.path, self.head, self.tail = self, [], None, b"", b""

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                outer.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, body):
        found = MESSAGE.findall(body)
        self.path = path
        self.head, self.tail = body[:body.index(found[0])], body[body.index(found[-1]) + len(found[-1]):]
        self.messages += found

    def body(self, messages):
        return self.head + b"".join(messages) + self.tail


class Floor:
    """The simulator, what it tells, and the gateway that has read it."""

    def __init__(self, directory, stack):
        self.recorder = Recorder()
        self.directory = directory
        stack.callback(self.recorder.server.shutdown)
        self.start_simulator(stack)
        self.start_gateway(stack)
        self.admin("POST", "/events", {"type": "AGENT_STATE", "agent": "2001", "state": "MAPPED"})
        until(lambda: self.recorder.messages, "a delivery")
        self.short = self.recorder.messages.pop()
        self.told_ms = time.time() * 1000

    def start_simulator(self, stack):
        log = open(os.path.join(self.directory, "cctsim.log"), "w")
        command = [OUT + "/cctsim", "--agents", str(AGENTS), "--contract", "conf/contract"]
        simulator = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        log.close()
        stack.callback(lambda: (simulator.terminate(), simulator.wait(15), simulator.stdout.close()))
        ready = json.loads(simulator.stdout.readline() or sys.exit("bench: the simulator did not start"))
        self.simulator_port, self.admin_port = ready["port"], ready["adminPort"]

    def config(self):
        hour = 3600000
        return {
            "listen": [{"address": "127.0.0.1", "port": self.port}],
            "threads": 1,
            "contract": os.path.abspath("conf/contract"),
            "data": {"directory": "data"},
            "upstream": {"endpoints": [{"name": "campus", "url": "http://127.0.0.1:%d/SOAOICCT/services" % self.simulator_port}],
                         "heartbeatMs": hour, "reconcileMs": hour},
            "consumer": {"address": "127.0.0.1", "port": self.consumer_port,
                         "publicUrl": "http://127.0.0.1:%d" % self.recorder.port},
            "sessions": [{"user": "supervisor", "domain": "CC", "password": {"file": "password"}, "shared": True}],
            "tokens": [{"application": "bench", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest(), "users": ["supervisor"],
                        "roles": ["viewer", "supervisor"]}],
            "log": {"level": "info", "format": "json", "access": False},
        }

    def start_gateway(self, stack):
        self.port, self.consumer_port = free_port(), free_port()
        with open(os.path.join(self.directory, "password"), "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write("secret\n")
        path, self.log = os.path.join(self.directory, "cctgate.json"), os.path.join(self.directory, "cctgate.log")
        with open(path, "w") as file:
            json.dump(self.config(), file)
        with open(self.log, "w") as log:
            self.gate = subprocess.Popen(pinned(0, [OUT + "/cctgate", "--config", path]), stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=log)
        stack.callback(self.stop_gateway)
        until(lambda: self.logged('"inStep"'), "in step with the contact centre; see " + self.log)

    def stop_gateway(self):
        self.gate.terminate()
        try:
            self.gate.wait(15)
        except subprocess.TimeoutExpired:
            self.gate.kill()
            self.gate.wait()

    def logged(self, what):
        with open(self.log) as file:
            return file.read().count(what)

    def gaps(self):
        """What the gateway took for lost, by kind of object and reason: none is, what is posted is whole and in order."""
        found = collections.Counter()
        with open(self.log) as file:
            for entry in map(json.loads, filter(lambda line: '"event":"gap"' in line, file)):
                found["%s: %s" % (entry["kind"], entry["reason"])] += 1
        return dict(found)

    def admin(self, method, path, body=None):
        status, text = ask(self.admin_port, method, path, body)
        if status >= 300:
            sys.exit("bench: the simulator says %d %s" % (status, text))
        return json.loads(text)

    def record(self, count, kind="mixed"):
        """What comes of about so many events; to be posted whole, or the gateway would miss the rest."""
        del self.recorder.messages[:]
        self.admin("POST", "/burst", {"events": count, "perSecond": 0, "kind": kind})
        until(lambda: self.admin("GET", "/burst")["quiet"], "a recorded burst")
        self.told_ms = time.time() * 1000
        return list(self.recorder.messages)

    def short_events(self, count):
        """Agents are unmapped and mapped again in turn, since what was told last and until now: nothing runs backwards or ahead."""
        began, self.told_ms = self.told_ms, time.time() * 1000
        for i in range(count):
            agent = b"%d" % (2001 + i % AGENTS)
            state = (b"UNMAPPED", b"MAPPED")[i // AGENTS % 2]
            seconds, ms = divmod(int(began + (self.told_ms - began) * (i + 1) / count), 1000)
            when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".%03dZ" % ms
            text = self.short.replace(b"2001", agent).replace(b">MAPPED<", b">" + state + b"<")
            yield re.sub(rb"(<b:Timestamp>)[^<]*", rb"\g<1>" + when.encode(), text)

    def ticks(self):
        with open("/proc/%d/stat" % self.gate.pid) as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def rss_kb(self):
        with open("/proc/%d/status" % self.gate.pid) as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    def metrics(self):
        text = ask(self.port, "GET", "/metrics")[1]
        return {name: int(value) for name, value in re.findall(r"^cctgate_(\w+) (\d+)$", text, re.M)}


class Load:
    """ws_clients."""

    def __init__(self, floor, stack):
        self.floor = floor
        command = [OUT + "/tests/bench/ws_clients", str(floor.port), TOKEN, str(floor.consumer_port), floor.recorder.path]
        self.process = subprocess.Popen(pinned(min(1, os.cpu_count() - 1), command), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        stack.callback(lambda: (self.process.stdin.close(), self.process.wait(15), self.process.stdout.close()))

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def answer(self, job):
        late = threading.Timer(ANSWER_SECONDS, self.process.kill)
        late.start()
        try:
            for line in self.process.stdout:
                found = json.loads(line)
                if found["job"] == job:
                    return found
        finally:  # events that never come are waited for no longer
            late.cancel()
        sys.exit("bench: no answer to %s of ws_clients; %s:\n%s" % (job, self.floor.log, open(self.floor.log).read()[-2000:]))

    def connect(self, count, room=0):
        self.say("connect %d %d" % (count, room))
        return self.answer("connect")

    def drop(self, count):
        self.say("drop %d" % count)
        self.answer("drop")

    def start_post(self, messages, batch, rate=0, window=0):
        messages = list(messages)
        name = os.path.join(self.floor.directory, "bodies")
        with open(name, "wb") as file:
            for at in range(0, len(messages), batch):
                body = self.floor.recorder.body(messages[at:at + batch])
                file.write(b"%d %d\n" % (len(body), len(messages[at:at + batch])) + body)
        self.say("post %s %g %d" % (name, rate, window))

    def post(self, *args, **more):
        self.start_post(*args, **more)
        return self.answer("post")


@contextlib.contextmanager
def cpu_of(floor, figures):
    before, began = floor.ticks(), time.monotonic()
    yield
    figures["cpuSeconds"] = (floor.ticks() - before) / TICKS_PER_SECOND
    figures["busy"] = figures["cpuSeconds"] / (time.monotonic() - began)


def machine_ticks():
    """Of all processors since boot: busy, and what the hypervisor gave to others."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return user + nice + system + irq + softirq, steal


def own_seconds():
    """Of this program and of all that it started and that has ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


@contextlib.contextmanager
def machine(figures):
    """Who else used the processors meanwhile."""
    before, own, began = machine_ticks(), own_seconds(), time.monotonic()
    yield
    after, whole = machine_ticks(), (time.monotonic() - began) * os.cpu_count()
    busy, steal = ((b - a) / TICKS_PER_SECOND for a, b in zip(before, after))
    figures.update(others=round((busy - own_seconds() + own) / whole, 3), stolen=round(steal / whole, 3))


def medians(rounds):
    return {key: statistics.median(r[key] for r in rounds) for key in rounds[0] if not isinstance(rounds[0][key], str)}


# ---- what is measured ----

def latency(floor, load, options):
    """One event a Notify, at a calm pace."""
    return [load.post(floor.record(PACE * options.seconds), 1, rate=PACE) for _ in range(options.rounds)]


def fan_out(load, events, batch):
    figures = {}
    with cpu_of(load.floor, figures):
        figures.update(load.post(events, batch, window=WINDOW))
    figures["messagesPerSecond"] = figures["messages"] / figures["seconds"]
    figures["bytesPerMessage"] = figures["bytes"] / figures["messages"]
    figures["cpuUsPerMessage"] = figures["cpuSeconds"] * 1e6 / figures["messages"]
    return figures


def fan_outs(floor, load, clients, options):
    found = {}
    count = 800 * CLIENTS // clients
    for name, batch, make in (("short events, %d a Notify" % BATCH, BATCH, floor.short_events),
                              ("short events, 1 a Notify", 1, floor.short_events),
                              ("events, %d a Notify" % BATCH, BATCH, floor.record)):
        found[name] = [fan_out(load, make(count), batch)
                       for _ in range(options.rounds)]
    return found


def idle_memory(floor, load):
    """
    Of 1,000 more connections than the 1,000 that are there. Once, and before anything else is measured: what comes later lives in the
    memory that others have left.
    """
    load.connect(CLIENTS)
    before = floor.rss_kb()
    load.connect(CLIENTS)
    found = {"kbPerClient": (floor.rss_kb() - before) / CLIENTS}
    load.drop(2 * CLIENTS)
    until(lambda: floor.metrics()["event_clients"] == 0, "all gone")
    return [found]


def ingest_once(floor, load, events, batch, rate):
    figures = {"events": len(events)}
    before, began = floor.metrics(), time.monotonic()
    with cpu_of(floor, figures):
        load.post(events, batch, rate=rate)
        until(lambda: floor.metrics()["notify_messages_total"] - before["notify_messages_total"] >= len(events), "all applied",
              pause=0.005)
    figures["seconds"] = time.monotonic() - began
    figures["eventsPerSecond"] = len(events) / figures["seconds"]
    figures["cpuUsPerEvent"] = figures["cpuSeconds"] * 1e6 / len(events)
    figures["eventsPerCommit"] = len(events) / max(1, floor.metrics()["store_commits_total"] - before["store_commits_total"])
    return figures


def ingest(floor, load, options):
    return [ingest_once(floor, load, floor.record(options.ingest), BATCH, 0) for _ in range(options.rounds)]


def ingest_paced(floor, load, options):
    """One event a Notify and as many a second as the largest contact centres tell, with a commit for nearly each."""
    return [ingest_once(floor, load, floor.record(2 * STEADY), 1, STEADY) for _ in range(options.rounds)]


def replay(floor, load, options):
    found = []
    for _ in range(options.rounds):
        figures = {}
        with cpu_of(floor, figures):
            load.say("replay 1-0 %d" % options.replay)
            figures.update(load.answer("replay"))
        load.drop(1)
        figures["messagesPerSecond"] = figures["messages"] / figures["seconds"]
        found.append(figures)
    return found


def slow_consumers(floor, load, options):
    """The same pace without and with ten that do not read; they read on when the gateway has given them up, and are told why."""
    events = floor.record(SLOW_PACE * options.slow)
    without = load.post(events, 1, rate=SLOW_PACE)
    load.connect(SLOW, SLOW_ROOM)
    load.say("pause")
    load.answer("pause")
    before, most, given_up = floor.rss_kb(), 0, floor.metrics()["event_clients_slow_total"]
    events = floor.record(SLOW_PACE * options.slow)
    began, seconds = time.monotonic(), None
    load.start_post(events, 1, rate=SLOW_PACE)
    while time.monotonic() < began + options.slow:
        most = max(most, floor.rss_kb())
        if seconds is None and floor.metrics()["event_clients_slow_total"] - given_up == SLOW:
            seconds = time.monotonic() - began
            load.say("resume")
        time.sleep(0.1)
    with_slow = load.answer("post")
    load.say("closes")
    codes = load.answer("closes")["codes"]
    load.drop(SLOW)
    return {"p50Ms": without["p50Ms"], "p99Ms": without["p99Ms"], "p50MsWithSlow": with_slow["p50Ms"],
            "p99MsWithSlow": with_slow["p99Ms"], "bytesPerMessage": with_slow["bytes"] / with_slow["messages"],
            "rssGrowthKb": most - before, "secondsToGiveUp": seconds, "closeCodes": codes}


def measure(floor, load, options):
    """In this order: the log that is replayed is what was ingested, and the clients of one part are there for the next."""
    results = {}
    parts = options.parts.split(",")
    if "idle" in parts:
        results["idle"] = idle_memory(floor, load)
    if "ingest" in parts:
        results["ingest"] = ingest(floor, load, options)
        results["ingestPaced"] = ingest_paced(floor, load, options)
        results["replay"] = replay(floor, load, options)
    load.connect(CLIENTS // 2)
    if "fanout" in parts:
        results["fanOut500"] = fan_outs(floor, load, CLIENTS // 2, options)
    load.connect(CLIENTS // 2)
    if "fanout" in parts:
        results["fanOut1000"] = fan_outs(floor, load, CLIENTS, options)
    if "latency" in parts:
        results["latency"] = latency(floor, load, options)
    if "slow" in parts:
        results["slow"] = slow_consumers(floor, load, options)
    results["gaps"] = floor.gaps()
    return results


# ---- what is said ----

def print_latency(m):
    print("  Notify to the last of %d clients, %d events/s: p50 %.2f ms, p99 %.2f ms" % (CLIENTS, PACE, m["p50Ms"], m["p99Ms"]))


def print_idle(m):
    print("  memory of an idle WebSocket: %.1f KB" % m["kbPerClient"])


def print_ingest(m):
    print("  ingested with no client: %.0f events/s, %.0f us of CPU each, %.0f to a commit, busy %.0f%%" % (
        m["eventsPerSecond"], m["cpuUsPerEvent"], m["eventsPerCommit"], m["busy"] * 100))


def print_paced(m):
    print("  at %.0f events/s, 1 a Notify: %.0f us of CPU each, %.1f to a commit, busy %.0f%%" % (
        m["eventsPerSecond"], m["cpuUsPerEvent"], m["eventsPerCommit"], m["busy"] * 100))


def print_replay(m):
    print("  %d events replayed to one client: %.0f messages/s of %.0f bytes, busy %.0f%%" % (
        m["messages"], m["messagesPerSecond"], m["bytes"] / m["messages"], m["busy"] * 100))


def print_fan_out(results):
    print("  %-8s %-25s %11s %11s %15s %6s %10s" % ("clients", "as fast as it goes", "messages/s", "bytes each", "CPU us/message",
                                                   "busy", "load busy"))
    for key, clients in (("fanOut500", CLIENTS // 2), ("fanOut1000", CLIENTS)):
        for name, rounds in results.get(key, {}).items():
            m = medians(rounds)
            print("  %-8d %-25s %11.0f %11.0f %15.2f %5.0f%% %9.0f%%" % (
                clients, name, m["messagesPerSecond"], m["bytesPerMessage"], m["cpuUsPerMessage"], m["busy"] * 100,
                m["loadBusy"] * 100))


def print_slow(s):
    print("  %d of %d stop reading, %d events/s: the others' p99 %.2f ms without, %.2f ms with them; memory +%d KB;" % (
        SLOW, CLIENTS + SLOW, SLOW_PACE, s["p99Ms"], s["p99MsWithSlow"], s["rssGrowthKb"]))
    print("    given up after %s s; close codes %s" % (
        "%.1f" % s["secondsToGiveUp"] if s["secondsToGiveUp"] else "?", json.dumps(s["closeCodes"])))


def print_table(results):
    print("\n== events, one front thread, medians")
    for part, show in (("latency", print_latency), ("idle", print_idle), ("ingest", print_ingest), ("ingestPaced", print_paced),
                       ("replay", print_replay)):
        if part in results:
            show(medians(results[part]))
    if "fanOut1000" in results:
        print_fan_out(results)
    if "slow" in results:
        print_slow(results["slow"])
    print("  gaps noticed meanwhile: %s" % (json.dumps(results["gaps"]) if results["gaps"] else "none"))


def figures_of(results):
    found = {}
    if "latency" in results:
        found["latency p99 ms"] = medians(results["latency"])["p99Ms"]
    if "fanOut1000" in results:
        for name, rounds in results["fanOut1000"].items():
            found["messages/s, " + name] = medians(rounds)["messagesPerSecond"]
    if "idle" in results:
        found["KB per idle WebSocket"] = medians(results["idle"])["kbPerClient"]
    if "ingest" in results:
        found["events/s ingested"] = medians(results["ingest"])["eventsPerSecond"]
    if "slow" in results:
        found["closed with 4408"] = results["slow"]["closeCodes"].get("4408", 0)
    return found


def verdicts(results):
    figures = figures_of(results)
    return [{"figure": figure, "value": round(figures[figure], 2), "wanted": "%s %g" % (how, bound),
             "holds": HOLDS[how](figures[figure], bound)} for figure, how, bound in TARGETS if figure in figures]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of each round of latency")
    parser.add_argument("--ingest", type=int, default=40000, help="events of each round")
    parser.add_argument("--replay", type=int, default=100000, help="events")
    parser.add_argument("--slow", type=int, default=20, help="seconds with those that do not read")
    parser.add_argument("--parts", default="idle,ingest,fanout,latency,slow")
    options = parser.parse_args()
    options.replay = min(options.replay, options.rounds * options.ingest * 9 // 10)
    for tool in ("cctgate", "cctsim", "tests/bench/ws_clients"):
        if not os.access(os.path.join(OUT, tool), os.X_OK):
            sys.exit("bench: %s is missing" % tool)
    quiet = {}
    with machine(quiet), contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="cctgate-bench-"))
        floor = Floor(directory, stack)
        results = measure(floor, Load(floor, stack), options)
    found = verdicts(results)
    print_table(results)
    if quiet["others"] > QUIET or quiet["stolen"] > QUIET:
        print("\nNot a quiet machine: other programs took %.0f%% of the processors, the hypervisor %.0f%%. Measure again." % (
            quiet["others"] * 100, quiet["stolen"] * 100))
    print("\n== what is wanted")
    for v in found:
        print("  %-44s %s, wanted %s: %s" % (v["figure"], v["value"], v["wanted"], "holds" if v["holds"] else "DOES NOT HOLD"))
    with open(OUT + "/bench_events.json", "w") as file:
        json.dump({"cores": os.cpu_count(), "agents": AGENTS, "machine": quiet, "results": results, "targets": found}, file, indent=1)
    print("\nall of it: %s/bench_events.json" % OUT)


main()
