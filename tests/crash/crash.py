"""kill -9 at random moments under load: what was acknowledged is there after each restart, and nothing happened twice.

A round: clients take, renew and give back leases (by HTTP, and by a WebSocket that they are bound to), give commands with idempotency
keys, read, and listen to events, while the simulator's traffic goes on; the gateway is killed at a random moment (every fifth time
in its start); it is started again while the simulator is stopped, so that what it answers then can only be what it stored; then what
clients were told is compared with what it says.

    CRASH_ROUNDS=500 CRASH_SEED=1 CCTGATE=… CCTSIM=… python3 tests/crash/crash.py

CRASH_LOAD_MS (250) is the longest load of a round.
"""
import collections
import http.client
import json
import os
import random
import signal
import sys
import threading
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))

import harness  # noqa: E402
import truth  # noqa: E402
from commanding import CONSUMER, LONG, call_command, control_of, of  # noqa: E402
from harness import Gateway, Simulator, bearer, eventually  # noqa: E402
from test_live import all_items, is_live, summary  # noqa: E402
from websocket import Closed, Refused, WebSocket  # noqa: E402

LOAD_MS = int(os.environ.get("CRASH_LOAD_MS", "250"))
AGENTS = 12
HTTP_AGENTS = (("2001", "2002"), ("2003", "2004"), ("2005", "2006"))  # of each client that takes leases
BOUND_AGENTS = ("2007", "2008")                                       # of the one with a WebSocket
# who commands, and what of the upstream that is; nobody else calls it
COMMANDERS = (("2009", "readiness", lambda n: {"ready": True}, "AgentService.SetReady"),
              ("2010", "activity-code", lambda n: {"activityCode": "%d" % (n % 9 + 1)}, "AgentTerminalService.SetActivityCode"))
GONE = (OSError, http.client.HTTPException, Closed, Refused, AssertionError, ValueError)
COMPARE_EVERY = 5
# What events alone tell of a call, once: no operation gives it again to a gateway that was not there
ONLY_TOLD = ("consultOf", "transferredFrom") + tuple(truth.TOLD.values())


class Broken(AssertionError):
    """A promise that was not kept."""


def check(condition, *what):
    if not condition:
        raise Broken(" ".join(str(w) for w in what))


class Lease:
    """What one agent's only client knows: the last answer, and what it was asking when the gateway went."""

    def __init__(self):
        self.held = None    # the last grant or renewal that was acknowledged
        self.asking = None  # "grant", "renew", "release": unanswered
        self.bound = False
        self.floor = 0      # the greatest fence that was known when it asked


class Ledger:
    """All that clients were told."""

    def __init__(self):
        self.lock = threading.Lock()
        self.leases = collections.defaultdict(Lease)
        self.fence = 0
        self.audited = []                 # (what, agent, fence) that must be in the audit log, of this round
        self.commands = {c[0]: [] for c in COMMANDERS}  # (key, body, status, answer) of this round; status None: no answer
        self.events = {}                  # seq -> the event as it was told
        self.epoch = None
        self.counts = collections.Counter()

    def acknowledge(self, agent, what, answer=None):
        with self.lock:
            lease = self.leases[agent]
            lease.asking = None
            if what == "release":
                self.audited.append(("release", agent, lease.held["fence"]))
                lease.held = None
            else:
                if what == "grant":
                    check(answer["fence"] > lease.floor, "a fence that is not greater:", answer["fence"], lease.floor)
                    self.fence = max(self.fence, answer["fence"])
                    self.audited.append(("grant", agent, answer["fence"]))
                else:
                    check(answer["fence"] == lease.held["fence"], "a renewal changed the fence", answer, lease.held)
                lease.held = answer if what == "grant" else dict(lease.held, **answer)
            self.counts[what + "s acknowledged"] += 1


class Worker(threading.Thread):
    def __init__(self, run):
        super().__init__(daemon=True)
        self.work, self.failure = run, None
        self.start()

    def run(self):
        try:
            self.work()
        except Broken as failure:
            self.failure = failure
        except GONE:
            pass
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure


class Crash:
    def __init__(self, rounds, seed, out=sys.stdout):
        self.rounds, self.out, self.random = rounds, out, random.Random(seed)
        self.seed, self.ledger = seed, Ledger()
        # sessions that a kill left behind end by their own timer, so that their number stays bounded
        self.sim = Simulator(agents=AGENTS, scenario="busy", seed=seed, session_timeout_ms=20000)
        harness.TOKENS.update({"desk": ("desk-token", ["supervisor"], ["controller"])})
        try:
            self.gate = Gateway(self.sim, users=("supervisor",), consumer=CONSUMER, control={"ttlMs": LONG, "graceMs": LONG},
                                upstream={"reconcileMs": 3600000, "heartbeatMs": 4000})
        except BaseException:
            self.sim.child.end()
            raise
        self.audit_seen, self.audit_last, self.control = 0, None, {}
        self.slowest, self.kills_in_start, self.warm_ms = 0.0, 0, []

    # ---- load ----

    def ask(self, connection, method, path, body=None, **more):
        return call_command(self.gate.port, method, path, "desk", body, connection=connection, **more)

    def leases_by_http(self, agents, seed):
        dice, connection, ledger = random.Random(seed), self.gate.connect(), self.ledger
        while True:
            agent = dice.choice(agents)
            lease = ledger.leases[agent]
            if lease.held is None:
                lease.asking, lease.floor = "grant", ledger.fence
                answer = self.ask(connection, "PUT", control_of(agent), {"profile": "FullControl"})
                check(answer.status == 200, "no lease:", answer)
                ledger.acknowledge(agent, "grant", answer.json)
            elif dice.random() < 0.5:
                lease.asking = "renew"
                answer = self.ask(connection, "PUT", control_of(agent), {"profile": "FullControl"}, lease=lease.held["lease"])
                check(answer.status == 200, "no renewal:", answer)
                ledger.acknowledge(agent, "renew", answer.json)
            else:
                lease.asking = "release"
                answer = self.ask(connection, "DELETE", control_of(agent), lease=lease.held["lease"])
                check(answer.status == 204, "no release:", answer)
                ledger.acknowledge(agent, "release")

    def leases_by_websocket(self, agents, seed):
        dice, ledger = random.Random(seed), self.ledger
        with WebSocket(self.gate.port, "desk") as ws:
            def say(**message):
                ws.send(dict(message, id="x"))
                answer = ws.receive_op("result", "error")
                check(answer.get("status", 500) < 300, "refused:", message["op"], answer)
                return answer.get("body")
            for agent in agents:
                if ledger.leases[agent].held:
                    say(op="bind", lease=ledger.leases[agent].held["lease"])
            while True:
                agent = dice.choice(agents)
                lease = ledger.leases[agent]
                if lease.held is None:
                    lease.asking, lease.floor = "grant", ledger.fence
                    given = say(op="command", method="PUT", path=control_of(agent), body={"profile": "FullControl"})
                    ledger.acknowledge(agent, "grant", given)
                    lease.bound = True  # which renews it, and is not compared
                    say(op="bind", lease=given["lease"])
                elif dice.random() < 0.5:
                    lease.asking = "renew"
                    ledger.acknowledge(agent, "renew", dict(lease.held, **say(op="renew", lease=lease.held["lease"])))
                else:
                    lease.asking = "release"
                    say(op="command", method="DELETE", path=control_of(agent), lease=lease.held["lease"])
                    ledger.acknowledge(agent, "release")
                    lease.bound = False

    def command(self, connection, agent, what, body, key):
        return self.ask(connection, "PUT", of("agents", agent) + "/" + what, body, lease=self.control[agent]["lease"], key=key)

    def commands(self, agent, what, body_of, number):
        connection, given, n = self.gate.connect(), self.ledger.commands[agent], 0
        while True:
            key, body = "%s-%d-%d" % (agent, number, n), body_of(n)
            given.append([key, body, None, None])
            answer = self.command(connection, agent, what, body, key)
            given[-1][2:] = [answer.status, answer.body]
            self.ledger.counts["commands acknowledged"] += 1
            n += 1

    def read(self, seed):
        dice, connection = random.Random(seed), self.gate.connect()
        while True:
            path = dice.choice(["/v1/agents", "/v1/calls", "/v1/terminals", of("agents", "20%02d" % dice.randint(1, AGENTS))])
            check(self.gate.get(path, "supervisor", connection=connection).status == 200, "cannot be read:", path)
            self.ledger.counts["reads"] += 1

    def listen(self):
        ledger = self.ledger
        with WebSocket(self.gate.port, "operator", hello=False) as ws:
            hello = ws.receive_op("hello")
            with ledger.lock:
                ledger.epoch = ledger.epoch or hello["epoch"]
            ws.subscribe("a")
            while True:
                self.note_event(ws.receive_op("event")["event"])

    def note_event(self, event):
        with self.ledger.lock:
            known = self.ledger.events.setdefault(event["seq"], event)
            check(known == event, "two events of one number:", known, event)
            self.ledger.counts["events told"] += 1

    def load(self, number):
        jobs = [lambda a=a: self.leases_by_http(a, self.random.random()) for a in HTTP_AGENTS]
        jobs.append(lambda: self.leases_by_websocket(BOUND_AGENTS, self.random.random()))
        jobs += [lambda c=c: self.commands(*c[:3], number) for c in COMMANDERS]
        jobs += [lambda: self.read(self.random.random()), self.listen, self.listen]
        return [Worker(job) for job in jobs]

    # ---- killing and starting ----

    def start(self):
        """What it answers while the contact centre is silent is what it stored."""
        os.kill(self.sim.child.process.pid, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            self.gate.start(ready=False)
            answer = self.gate.get(of("agents", "2009"))
            self.warm_ms.append((time.monotonic() - begun) * 1000)
            check(answer.status == 200 and "hit" in answer.cache(), "the start is not warm:", answer)
            check(answer.json["sync"] in ("stale", "cached"), "live before it can be:", answer.json["sync"])
            self.ledger.counts["warm first reads"] += 1
        finally:
            os.kill(self.sim.child.process.pid, signal.SIGCONT)

    def kill_in_start(self):
        child = harness.Process([harness.CCTGATE, "--config", self.gate.file])
        time.sleep(self.random.random() * 0.15)
        child.end(signal.SIGKILL)
        self.kills_in_start += 1

    # ---- what must hold ----

    def verify_leases(self, connection):
        for agent, lease in sorted(self.ledger.leases.items()):
            shown = self.ask(connection, "GET", control_of(agent)).json
            holds = shown is not None and shown.get("profile") == "FullControl"
            if lease.asking is None:
                check(holds == (lease.held is not None), "agent", agent, "acknowledged:", lease.held, "is:", shown)
            elif lease.asking == "renew":
                check(holds, "agent", agent, "was being renewed:", lease.held, "is:", shown)
            if holds and lease.held is not None:
                self.verify_lease(connection, agent, lease, shown)
            elif holds:
                self.forget(connection, agent, shown)
            elif lease.held is not None:
                self.ledger.audited.append(("release", agent, lease.held["fence"]))
                lease.held = None
            lease.asking = None

    def verify_lease(self, connection, agent, lease, shown):
        counts = self.ledger.counts
        check(shown["fence"] == lease.held["fence"], "agent", agent, "another fence:", shown, lease.held)
        if lease.asking == "renew":
            check(shown["expiresAt"] >= lease.held["expiresAt"], "agent", agent, "expires earlier:", shown, lease.held)
        elif not lease.bound:
            check(shown["expiresAt"] == lease.held["expiresAt"], "agent", agent, "another time:", shown, lease.held)
        counts["leases compared"] += 1
        other = self.ask(connection, "PUT", control_of(agent), {"profile": "FullControl"})
        check(other.status == 409, "two holders of agent", agent, other)
        lease.asking = "renew"
        answer = self.ask(connection, "PUT", control_of(agent), {"profile": "FullControl"}, lease=lease.held["lease"])
        check(answer.status == 200, "the lease of agent", agent, "is not known any more:", answer)
        self.ledger.acknowledge(agent, "renew", answer.json)

    def forget(self, connection, agent, shown):
        """A grant whose answer never came: nobody has the secret."""
        check(shown["fence"] > self.ledger.fence or shown["fence"] not in
              [f for _, _, f in self.ledger.audited], "agent", agent, "a fence of before:", shown, self.ledger.fence)
        answer = call_command(self.gate.port, "DELETE", control_of(agent) + "?force=true", "operator", connection=connection)
        check(answer.status in (200, 204), "not forced:", answer)
        self.ledger.fence = max(self.ledger.fence, shown["fence"])

    def verify_commands(self, connection, before, number):
        for agent, what, _, operation in COMMANDERS:
            given = self.ledger.commands[agent]
            refused = sum(1 for _, _, status, answer in given if status is not None and not reached(status, answer))
            answered = sum(1 for g in given if g[2] is not None) - refused
            called = self.called(operation) - before[operation]
            check(answered <= called <= len(given) - refused, "agent", agent, "round", number, called, "calls for", answered,
                  "answers to", len(given))
            for key, body, status, answer in [g for g in given if g[2] is not None and reached(g[2], g[3])][-3:]:
                again = self.command(connection, agent, what, body, key)
                check((again.status, again.body) == (status, answer), "key", key, "was answered", status, answer, "and is now", again)
                self.ledger.counts["acknowledged commands repeated"] += 1
            check(self.called(operation) - before[operation] == called, "a repeated command was called again", agent, number)
            for key, body, status, _ in given[-1:]:
                if status is None:
                    eventually(lambda: self.command(connection, agent, what, body, key).status != 503, "session")
                    self.ledger.counts["unanswered commands repeated"] += 1
            check(self.called(operation) - before[operation] <= len(given) - refused, "a repeated command was called twice", agent)
            given.clear()

    def called(self, operation):
        return self.sim.counters()["operations"].get(operation, 0)

    def verify_audit(self):
        """Numbers without holes, down to what was seen before; everything acknowledged is there."""
        entries, before = [], None
        while not entries or entries[-1]["seq"] > max(self.audit_seen, 1):
            page = self.gate.get("/v1/audit?limit=1000" + ("&before=%d" % before if before else ""), "operator").json["items"]
            check(page, "the audit log ends at", before, "and was seen up to", self.audit_seen)
            entries += page
            before = entries[-1]["seq"]
        entries = [e for e in entries if e["seq"] >= self.audit_seen]
        seqs = [e["seq"] for e in entries]
        check(seqs == list(range(seqs[0], seqs[0] - len(seqs), -1)), "holes in the audit log:", seqs)
        if self.audit_last is not None:
            check(entries[-1] == self.audit_last, "an entry changed:", self.audit_last, entries[-1])
            entries.pop()
        there = collections.Counter((e["what"], e["agent"], e["fence"]) for e in entries if e["what"] in ("grant", "release"))
        missing = collections.Counter(self.ledger.audited) - there
        check(not missing, "not in the audit log:", missing)
        for agent in self.ledger.commands:
            done = sum(1 for e in entries if e["what"] == "command" and e["agent"] == agent)
            told = sum(1 for g in self.ledger.commands[agent] if g[2] is not None and reached(g[2], g[3]))
            check(done >= told, "agent", agent, told, "commands were answered,", done, "are in the audit log")
        self.ledger.counts["audit entries compared"] += len(entries)
        self.ledger.audited = []
        if entries:
            self.audit_seen, self.audit_last = entries[0]["seq"], entries[0]

    def verify_events(self):
        """From a place that a client had, the log goes on without a hole, with what was told."""
        told = self.ledger.events
        if not told:
            return
        since = self.random.choice(sorted(told)) - 1
        with WebSocket(self.gate.port, "operator", hello=False) as ws:
            hello = ws.receive_op("hello")
            check(hello["epoch"] == self.ledger.epoch, "another number line:", hello, self.ledger.epoch)
            check(hello["seq"] >= max(told), "the log is behind what was told:", hello["seq"], max(told))
            ws.send(dict(op="subscribe", id="r", since="%s-%d" % (hello["epoch"], since)))
            place = since
            while place < hello["seq"]:
                message = ws.receive_op("event", "gap", "subscribed")
                check(message["op"] != "gap", "the place", since, "is not in the log:", message)
                if message["op"] == "subscribed":
                    continue
                event = message["event"]
                check(event["seq"] == place + 1, "a hole in the log between", place, "and", event["seq"])
                place = event["seq"]
                heard = dict(told.get(place, event))
                heard.pop("coalesced", None)  # a client that was slow for a moment: its own affair, not the event's
                check(heard == event, "told as", heard, "and logged as", event)
                self.ledger.counts["events compared"] += place in told
        missing = [s for s in told if s > place]
        check(not missing, "told and not in the log:", missing[:5])
        told.clear()

    def listing(self, kind):
        """What is called live as it is listed; of the rest, what it is when it is asked for."""
        key, items = truth.SHAPES[kind][1], []
        for item in all_items(self.gate, "supervisor", kind):
            if item["sync"] != "live":
                self.ledger.counts["items not live at rest"] += 1
                answer = self.gate.get(of(kind, item[key]), headers={"Cache-Control": "no-cache"})
                if answer.status == 404:
                    continue
                item = answer.json if answer.status == 200 else item
            items.append(item)
        return items

    def told_of(self, names):
        """The events about these objects, and about the session: what the model has made of them."""
        lines = []
        with WebSocket(self.gate.port, "supervisor") as ws:
            ws.subscribe("all", since="%s-%d" % (ws.hello["epoch"], max(0, ws.hello["seq"] - 2000)))
            while True:
                message = ws.receive_op("event", "gap")
                event = message.get("event", {})
                if message["op"] == "gap" or event["type"].startswith("gateway.") or names & set(event["subject"].split("/")):
                    lines.append(json.dumps(message)[:400])
                if event.get("seq", 0) >= ws.hello["seq"]:
                    return lines

    def verify_model(self):
        """At rest, the model is as the simulator is."""
        self.sim.admin("DELETE", "/traffic")
        eventually(lambda: is_live(self.gate, "supervisor"), "live")
        found = []

        def same():
            state = self.sim.admin("GET", "/truth/supervisor")
            own = {a["name"] for a in state["addresses"]}
            outside = {c["contactId"] for c in state["calls"] if not own & {n["address"] for n in c["connections"]}}
            # no operation leads to a call whose parties are all outside: who has not heard of it cannot know it
            found[:] = [f for f in truth.differences(state, self.listing)
                        if f[0] != "calls" or (f[1] not in outside and f[2] not in ONLY_TOLD)]
            return not found
        try:
            eventually(same, "the simulator's truth", 30)
        except AssertionError:
            raise Broken("the model differs:\n" + "\n".join(summary(found)[:10] + self.told_of({f[1] for f in found}))) from None
        self.ledger.counts["models compared"] += 1

    # ---- rounds ----

    def take_control(self):
        for agent, *_ in COMMANDERS:
            answer = self.ask(None, "PUT", control_of(agent), {"profile": "FullControl"})
            check(answer.status == 200, "no control:", answer)
            self.control[agent] = answer.json
            self.ledger.fence = max(self.ledger.fence, answer.json["fence"])

    def traffic(self, number):
        if not self.sim.admin("GET", "/traffic")["running"]:
            self.sim.admin("POST", "/traffic", {"steps": 1000000, "seed": self.seed * 1000 + number, "perSecond": 60})

    def has_grown(self, known):
        return all(self.ledger.counts[what] > known.get(what, 0) for what in ("grants acknowledged", "commands acknowledged"))

    def round(self, number):
        begun = time.monotonic()
        self.traffic(number)
        before = {c[3]: self.called(c[3]) for c in COMMANDERS}
        known, workers = dict(self.ledger.counts), self.load(number)
        if number % 2:  # something was acknowledged, however slow the machine is; in the other rounds perhaps nothing
            eventually(lambda: self.has_grown(known) or not all(w.is_alive() for w in workers), "work")
        time.sleep(0.02 + self.random.random() * LOAD_MS / 1000)
        self.gate.kill()
        for worker in workers:
            worker.join(harness.BOUND)
            check(not worker.is_alive(), "a client that never ended")
            if worker.failure is not None:
                raise worker.failure
        if number % 5 == 4:
            self.kill_in_start()
        self.start()
        connection = self.gate.connect()
        self.verify_events()
        self.verify_leases(connection)
        self.verify_audit()
        eventually(lambda: self.gate.get("/v1/sessions", "operator").json["items"][0]["state"] == "up", "a session")
        self.verify_commands(connection, before, number)
        connection.close()
        if number % COMPARE_EVERY == COMPARE_EVERY - 1 or number == self.rounds - 1:
            self.verify_model()
        self.slowest = max(self.slowest, time.monotonic() - begun)

    def zombies(self):
        """Sessions at the simulator that the gateway does not use, after quiet."""
        return len(self.sim.state()["sessions"]) - 1

    def run(self):
        begun, number = time.monotonic(), 0
        self.take_control()
        eventually(lambda: is_live(self.gate, "supervisor"), "live")
        try:
            for number in range(self.rounds):
                self.round(number)
                if number % 50 == 49:
                    print("round %d, %.0f s" % (number + 1, time.monotonic() - begun), file=self.out, flush=True)
        except Exception as failure:
            raise Broken("round %d of seed %d: %r\n%s" % (number, self.seed, failure, self.gate.child.text()[-2000:])) from failure
        self.seconds = time.monotonic() - begun

    def report(self):
        say = lambda *row: print("  %-34s %10s" % row, file=self.out)  # noqa: E731
        print("kill -9 under load, seed %d, %.0f s" % (self.seed, self.seconds), file=self.out)
        say("rounds", self.rounds)
        say("kills", self.rounds + self.kills_in_start)
        say("  of them in the start", self.kills_in_start)
        for name, count in sorted(self.ledger.counts.items()):
            say(name, count)
        say("start to first read, median", "%.0f ms" % sorted(self.warm_ms)[len(self.warm_ms) // 2])
        say("sessions left behind", self.zombies())
        self.out.flush()

    def end(self):
        self.gate.stop()
        counters = self.sim.counters()
        self.sim.stop()
        check(counters["violations"] == 0, "the contract was broken:", counters.get("violationMessages"))


def reached(status, answer):
    """Was the upstream called for this answer?"""
    if status in (200, 204):
        return True
    problem = json.loads(answer)
    return problem["type"] in ("/problems/upstream-fault", "/problems/half-done") or problem.get("outcome") == "unknown"


def main():
    tempfile.tempdir = None  # on a disk, as in use
    crash = Crash(int(os.environ.get("CRASH_ROUNDS", "500")), int(os.environ.get("CRASH_SEED", str(int(time.time()) % 100000))))
    try:
        crash.run()
        crash.report()
    finally:
        if crash.sim.child.process.poll() is None:
            crash.end()
    print("nothing acknowledged was lost, nothing was done twice")


if __name__ == "__main__":
    main()
