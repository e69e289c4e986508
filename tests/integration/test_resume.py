"""What clients are told, and what they read: nothing missing, nothing twice, nothing older than what they have been told.

The log as a token for every user sees it is what all others are compared with.
"""
import json
import os
import random
import socket
import struct
import threading
from collections import Counter, defaultdict
from urllib.parse import quote

import harness
import test_consumer
from harness import BOUND, Case, eventually
from test_live import CONSUMER, all_items, is_live, quiet
from websocket import CLOSE, Closed, EventStream, Refused, WebSocket, frame

USERS = ("supervisor", "agent2001", "agent2002")
OWN = {"agent2001": {"agents": {"2001"}, "terminals": {"Line 1.0.1"}, "addresses": {"52001", "62001"}},
       "agent2002": {"agents": {"2002"}, "terminals": {"Line 1.0.2"}, "addresses": {"52002", "62002"}}}
FINAL = {"cct.connection.state": "DISCONNECTED", "cct.terminalConnection.state": "DROPPED"}
LEG = {"cct.connection.state": "connectionId", "cct.terminalConnection.state": "terminalConnectionId"}
DISCONNECTS = int(os.environ.get("RESUME_DISCONNECTS", "220"))


def place_of(event_id):
    epoch, seq = event_id.split("-")
    return epoch, int(seq)


def path_of(kind, name):
    return "/v1/%s/%s" % (kind, quote(name, safe="-._~"))


def abort(sock):
    """Ends a connection as a crash or a cut cable would: no goodbye, not even on TCP's level."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()


def replay(gate, who, since, until, **wanted):
    """What the log holds after `since`, as a token sees it, in one go."""
    with WebSocket(gate.port, who) as ws:
        ws.subscribe("log", since=since, **wanted)
        ws.send({"op": "ping", "id": "end"})
        events = []
        while True:
            message = ws.receive_op("event", "pong")
            if message["op"] == "event":
                events.append(message["event"])
            elif message["seq"] >= until:
                return events
            else:
                ws.send({"op": "ping", "id": "end"})


def matches(event, types=(), subjects=(), agents=()):
    return ((not types or event["type"] in types) and
            (not subjects or any(event["subject"] == s or event["subject"].startswith(s + "/") for s in subjects)) and
            (not agents or not {event.get("agent"), *event.get("agents", ())}.isdisjoint(agents)))


class Watching(Case):
    """A floor with three sessions that all see parts of it."""
    simulator_options = {"agents": 8}
    gateway_options = {"users": USERS, "consumer": CONSUMER,
                       "upstream": {"reconcileMs": 3600000},
                       "events": {"maxQueuedFrames": 200000, "maxQueuedKiB": 1048576, "heartbeatMs": 10000}}

    def setUp(self):
        super().setUp()
        eventually(lambda: is_live(self.gate, *USERS), "live")

    def hello(self, who="operator"):
        with WebSocket(self.gate.port, who) as ws:
            return ws.hello

    def place(self):
        hello = self.hello()
        return "%s-%d" % (hello["epoch"], hello["seq"])

    def owned(self, who):
        if who in OWN:
            return OWN[who]
        told = self.sim.admin("GET", "/truth/supervisor")
        return {kind: {o["name"] for o in told[kind]} for kind in ("terminals", "addresses")}

    def settle(self):
        eventually(lambda: quiet(self.sim, self.gate), "quiet")

    def told_all(self):
        """The simulator has no more to tell; after a restart the counters of both do not compare."""
        def told():
            counts = self.sim.counters()["notify"]
            return (self.sim.admin("GET", "/traffic")["running"] is False and
                    counts["queued"] == 0 and counts["inFlight"] == 0)
        eventually(told, "told")
        eventually(lambda: self.gate.metric("consumer_queued_bytes") == 0, "applied")

    def traffic(self, steps, seed, **more):
        self.sim.admin("POST", "/traffic", dict(steps=steps, seed=seed, **more))


# ---- 1: random disconnects ----

class Client(threading.Thread):
    """Reads events, loses its connection now and then, goes on from the last place that it knows."""

    def __init__(self, case, who, kind, filter, seed, since):
        super().__init__(daemon=True)
        self.case, self.who, self.kind, self.filter, self.since = case, who, kind, filter, since
        self.random, self.events, self.cuts, self.failure, self.live = random.Random(seed), [], Counter(), None, None
        self.until = None

    def __str__(self):
        return "%s %s %s" % (self.who, self.kind, self.filter)

    def open(self):
        if self.kind == "ws":
            stream = WebSocket(self.case.gate.port, self.who)
            stream.send(dict(op="subscribe", id="s", since=self.since, **self.filter))
            return stream
        query = "&".join("%s=%s" % (k, ",".join(quote(v, safe="") for v in values)) for k, values in self.filter.items())
        if self.random.random() < 0.5:
            return EventStream(self.case.gate.port, self.who, "?" + query, {"Last-Event-ID": self.since})
        # the header is newer than the query: a browser's EventSource repeats its first URL
        return EventStream(self.case.gate.port, self.who, "?%s&since=%s" % (query, self.first), {"Last-Event-ID": self.since})

    def take(self, event):
        self.events.append(event)
        self.since = event["id"]

    def advance(self, place):
        """Where the log stands, from something that is no event."""
        if place_of(place)[1] > place_of(self.since)[1]:
            self.since = place

    def step_ws(self, ws):
        message = ws.receive()
        if message["op"] == "event":
            assert message["id"] == "s", message
            self.take(message["event"])
        elif message["op"] == "heartbeat":
            self.advance("%s-%d" % (ws.hello["epoch"], message["seq"]))
        else:
            assert message["op"] == "subscribed", message

    def step_sse(self, stream):
        fields = stream.receive()
        if fields.get("event", "hello") == "hello":
            if "id" in fields:
                self.advance(fields["id"])
            return
        event = json.loads(fields["data"])
        assert fields["event"] == event["type"] and fields["id"] == event["id"], fields
        self.take(event)

    def cut(self, stream):
        way = self.random.choice(("abort", "close", "half", "goodbye"))
        try:
            if way == "half":  # in the midst of a frame
                stream.sock.recv(self.random.randrange(1, 400))
            elif way == "goodbye" and self.kind == "ws":
                stream.send_raw(frame(CLOSE, struct.pack(">H", 1001)))
        except OSError:
            pass
        abort(stream.sock) if way == "abort" else stream.sock.close()
        self.cuts[way] += 1

    def is_done(self):
        return self.until is not None and place_of(self.since)[1] >= self.until

    def once(self):
        stream = self.open()
        budget = self.random.randrange(1, 60) if self.until is None else None
        try:
            while not self.is_done() and budget != 0:
                self.step_ws(stream) if self.kind == "ws" else self.step_sse(stream)
                if budget is not None:
                    budget -= 1
        finally:
            self.cut(stream)

    def run(self):
        self.first = self.since
        try:
            while not self.is_done():
                self.case.up.wait(BOUND)
                try:
                    self.once()
                except (Closed, OSError, Refused) as gone:
                    self.cuts["lost"] += 1
                    # only the end of the gateway is a reason
                    if self.case.deaths == 0:
                        raise AssertionError("cut off: %r" % gone)
        except BaseException as failure:
            self.failure = failure


CLIENTS = [
    ("supervisor", "ws", {}),
    ("agent2001", "ws", {}),
    ("agent2002", "sse", {}),
    ("both", "ws", {}),
    ("both", "sse", {"subjects": ["/v1/calls"]}),
    ("operator", "sse", {}),
    ("operator", "ws", {"types": ["cct.agent.property", "cct.terminal.property", "gateway.session"]}),
    ("supervisor", "ws", {"agents": ["2001", "2003"]}),
    ("supervisor", "sse", {"types": ["cct.connection.state"], "agents": ["2002", "2004"]}),
    ("agent2001", "sse", {"subjects": ["/v1/agents/2001", "/v1/terminals/Line 1.0.1"]}),
]


class Resume(Watching):
    def visible(self, log, since, until):
        """What each token sees in the log; asked without a filter and in one go."""
        seen = {}
        for who in sorted({c[0] for c in CLIENTS}):
            seen[who] = replay(self.gate, who, since, until)
            seqs = [e["seq"] for e in seen[who]]
            self.assertEqual(seqs, sorted(set(seqs)), who)
        self.assertEqual(seen["operator"], log)
        return seen

    def check_visibility(self, log, seen):
        by_seq = {e["seq"]: e for e in log}
        said = defaultdict(set)
        for who, events in seen.items():
            for event in events:
                if event["seq"] in by_seq:
                    self.assertEqual(event, by_seq[event["seq"]])
                else:
                    self.check_late(log, event)
        for who, own in OWN.items():
            told = {e["seq"] for e in seen[who]}
            for event in log:
                kind, name = event["subject"].split("/")[2:4]
                if kind in own:
                    mine = event["subject"] in {path_of(kind, n) for n in own[kind]}
                    self.assertEqual(event["seq"] in told, mine, "%s %s" % (who, event))
                elif kind == "users":
                    self.assertEqual(event["seq"] in told, name == who, "%s %s" % (who, event))
                elif event["data"].get("address") in own["addresses"] or event["data"].get("terminal") in own["terminals"]:
                    self.assertTrue(self.was_told(seen[who], event), "%s lacks %s" % (who, event))
                    said[who].add(event["subject"])
            # what the contact centre told of from his address: of his own leg it may not have told before the gateway was killed
            said[who] |= {e["subject"] for e in seen[who] if e["data"].get("sendingAddress") in own["addresses"]}
            # a call that never had a leg of his is none of his business
            strange = {e["subject"] for e in seen[who] if e["subject"].startswith("/v1/calls/")} - said[who]
            self.assertEqual(sorted(strange - self.older), [], who)

    def check_late(self, log, event):
        """Told once more to somebody who was not told at first: it is what everybody else knows by then."""
        leg = LEG.get(event["type"])
        before = [e for e in log if e["seq"] < event["seq"] and (e["type"], e["subject"]) == (event["type"], event["subject"])]
        if leg:
            states = [e["data"]["newState"] for e in before if e["data"][leg] == event["data"][leg]]
            # a leg that nothing was told of was read
            self.assertTrue(not states or states[-1] == event["data"]["newState"], "after %s: %s" % (states, event))
        else:
            self.assertTrue(any(self.same(e, event) for e in before), event)

    @staticmethod
    def same(a, b):
        keys = ("newState", "property", "connectionId", "terminalConnectionId", "contactId", "value")
        return (a["type"], a["subject"]) == (b["type"], b["subject"]) and all(a["data"].get(k) == b["data"].get(k) for k in keys)

    def was_told(self, events, event):
        return any(e["seq"] == event["seq"] or self.same(e, event) for e in events)

    def test_disconnects_and_a_kill(self):
        self.up, self.deaths = threading.Event(), 0
        self.up.set()
        since = self.place()
        self.older = {path_of("calls", c["contactId"]) for c in all_items(self.gate, "operator", "calls")}
        clients = [Client(self, *c, seed=n, since=since) for n, c in enumerate(CLIENTS)]
        for client in clients:
            client.start()

        def cuts():
            return sum(sum(c.cuts.values()) for c in clients)
        seed = 0
        before = []
        while cuts() < DISCONNECTS or not self.deaths:
            self.assertEqual([str(c) + repr(c.failure) for c in clients if c.failure], [])
            seed += 1
            if not self.deaths and cuts() >= DISCONNECTS // 2:
                self.traffic(200, seed)
                with WebSocket(self.gate.port, "operator") as ws:
                    ws.subscribe("a", since=since)
                    wanted = ws.hello["seq"] + 40
                    while not before or before[-1]["seq"] < wanted:
                        before.append(ws.receive_op("event")["event"])
                    self.deaths, _ = 1, self.up.clear()
                    self.gate.kill()
                self.told_or_failed()
                self.gate.start()
                eventually(lambda: is_live(self.gate, *USERS), "live")
                self.up.set()
            else:
                self.traffic(60, seed)
                self.told_all()
        self.told_all()
        last = self.hello()["seq"]
        for client in clients:
            client.until = last
        for client in clients:
            client.join(BOUND)
            self.assertFalse(client.is_alive() or client.failure, "%s at %s of %d: %r %s" % (
                client, client.since, last, client.failure, client.cuts))
        log = replay(self.gate, "operator", since, last)
        self.assertEqual({e["id"].split("-")[0] for e in log}, {since.split("-")[0]}, "one epoch")
        self.assertEqual(log[:len(before)], before, "what was told before the kill is as it was")
        seen = self.visible(log, since, last)
        for client in clients:
            expected = [e for e in seen[client.who] if matches(e, **{
                k: [quote(v, safe="/-._~") for v in values] if k == "subjects" else values
                for k, values in client.filter.items()})]
            got = [e for e in client.events if e["seq"] <= last]
            self.assertEqual([e["seq"] for e in got], [e["seq"] for e in expected], str(client))
            self.assertEqual(got, expected, str(client))
            self.assertGreater(len(got), 20, str(client))
        self.assertGreaterEqual(cuts(), DISCONNECTS)
        self.check_visibility(log, seen)

    def test_what_changed_while_it_was_down_is_told_or_announced(self):
        self.sim.admin("POST", "/agents/2003", {"loggedIn": True, "ready": True})
        eventually(lambda: self.gate.get("/v1/agents/2003").json["readyStatus"] == "READY", "ready")
        self.told_all()
        since = self.place()
        self.gate.kill()
        self.sim.admin("POST", "/agents/2003", {"loggedIn": True, "ready": False, "reasonCode": "7"})
        self.told_or_failed()
        self.gate.start()
        eventually(lambda: is_live(self.gate, *USERS), "live")
        self.assertEqual(self.gate.get("/v1/agents/2003").json["notReadyReasonCode"], "7")
        log = replay(self.gate, "supervisor", since, self.hello()["seq"])
        self.assertTrue([e for e in log if e["type"] == "gateway.gap" or e["subject"] == "/v1/agents/2003" or
                         e["data"].get("state") == "resynced"], "a client that resumes believes that 2003 is ready: %s" % log)

    def told_or_failed(self):
        """Nobody listens: what there was to tell has been tried."""
        def over():
            counts = self.sim.counters()["notify"]
            return self.sim.admin("GET", "/traffic")["running"] is False and counts["queued"] + counts["inFlight"] == 0
        eventually(over, "all tried")


# ---- 3: snapshot, then stream ----

def legs_of(connections):
    """{leg: (place, state)} of (connection, address, state, [(terminal connection, terminal, state)])"""
    legs = {}
    for connection, address, state, terminals in connections:
        legs[connection] = address, state
        legs.update({leg: (terminal, at) for leg, terminal, at in terminals})
    return legs


class Rebuilt:
    """A floor as a client knows it that has read one snapshot and every event since, and nothing else."""

    FIELDS = {"/v1/agents": ("loginStatus", "readyStatus", "notReadyReasonCode"),
              "/v1/terminals": ("ready", "activityCode", "doNotDisturb", "forwarding"),
              "/v1/addresses": ("doNotDisturb", "forwarding"),
              "/v1/calls": ("calling", "called", "uui", "data", "intrinsics")}
    PROPERTIES = {"CALLING_ADDRESS": "calling", "CALLED_ADDRESS": "called", "UUI": "uui", "ATTACHED_DATA": "data",
                  "INTRINSICS": "intrinsics", "DO_NOT_DISTURB": "doNotDisturb", "FORWARDING": "forwarding",
                  "ACTIVITY_CODE": "activityCode", "LOGIN_STATUS": "loginStatus"}

    def __init__(self, own):
        self.own, self.resources, self.legs, self.history = own, {}, {}, defaultdict(list)

    def snapshot(self, subject, data):
        kind = subject.rsplit("/", 1)[0]
        self.resources[subject] = {f: data.get(f) for f in self.FIELDS[kind]}
        if kind == "/v1/calls":
            self.legs[subject] = legs_of((n["connectionId"], n["address"], n["state"], [
                (t["terminalConnectionId"], t["terminal"], t["state"]) for t in n["terminalConnections"]])
                for n in data["connections"])
        self.history[subject].append("snapshot")

    def apply(self, event):
        subject, data, kind = event["subject"], event["data"], event["type"]
        self.history[subject].append((event["seq"], kind, {k: v for k, v in data.items() if k not in ("capabilities",)}))
        if kind == "cct.connection.state":
            self.connection(subject, data)
        elif kind == "cct.terminalConnection.state":
            self.terminal(subject, data)
        elif kind.endswith(".property"):
            self.property(subject, data)

    def connection(self, subject, data):
        legs = self.legs.setdefault(subject, {})
        if data["newState"] != "DISCONNECTED":
            legs[data["connectionId"]] = data.get("address"), data["newState"]
            return
        legs.pop(data["connectionId"], None)
        self.look(subject)

    def terminal(self, subject, data):
        legs = self.legs.setdefault(subject, {})
        if data["newState"] != "DROPPED":
            legs[data["terminalConnectionId"]] = data.get("terminal"), data["newState"]
        else:
            legs.pop(data["terminalConnectionId"], None)

    def look(self, subject):
        """A call is seen by a leg at a place of one's own."""
        if not any(place in self.own["addresses"] or place in self.own["terminals"] for place, _ in self.legs[subject].values()):
            del self.legs[subject]
            self.resources.pop(subject, None)

    def property(self, subject, data):
        resource = self.resources.setdefault(subject, {})
        value = data.get("value")
        if data["property"] == "READY_STATUS":
            resource["ready"] = value["ready"]
            resource["readyStatus"] = "READY" if value["ready"] else "NOT_READY"
            resource["notReadyReasonCode"] = value["notReadyReasonCode"] or None
        elif data["property"] in self.PROPERTIES:
            resource[self.PROPERTIES[data["property"]]] = value if value != "" else None

    def known(self):
        """What is comparable: {subject: {field: value}}, legs included."""
        out = {}
        for subject, resource in self.resources.items():
            kind = subject.rsplit("/", 1)[0]
            if kind == "/v1/calls" and subject not in self.legs:
                continue
            out[subject] = {f: v for f, v in resource.items() if f in self.FIELDS[kind]}
        for subject, legs in self.legs.items():
            out.setdefault(subject, {})["legs"] = legs
        for subject, resource in out.items():
            if resource.get("data") == {"type": "KEY_VALUE_PAIRS", "value": {}}:
                resource["data"] = None  # as long as a new call's has not been read: what it turns out to be is no change
            if resource.get("loginStatus") == "LOGGED_OUT":
                resource["readyStatus"] = resource["notReadyReasonCode"] = None
            elif resource.get("readyStatus") == "READY":
                resource["notReadyReasonCode"] = None
        return out


class Viewer(threading.Thread):
    """Takes a snapshot in the midst of traffic and follows the stream."""

    def __init__(self, case, who, kind):
        super().__init__(daemon=True)
        self.case, self.who, self.kind, self.failure, self.at, self.until = case, who, kind, None, 0, None
        self.rebuilt, self.has_snapshot = Rebuilt(case.owned(who)), False
        self.position = None

    def take(self, op, message):
        if op == "snapshot":
            for item in message["items"]:
                self.rebuilt.snapshot(item["subject"], item["data"])
            self.position, self.has_snapshot = message["seq"], not message.get("more")
        elif op == "event":
            # while a snapshot is under way: what it says of an object is of its seq, and events after it follow
            self.rebuilt.apply(message)
            assert self.position is None or message["seq"] > self.position or not self.has_snapshot, message
            self.position = message["seq"]
        elif op in ("heartbeat", "pong"):
            self.position = max(self.position or 0, message["seq"])

    def read_ws(self):
        with WebSocket(self.case.gate.port, self.who) as ws:
            ws.subscribe("v", snapshot=True)
            while not (self.has_snapshot and self.until and self.position >= self.until):
                message = ws.receive()
                self.take(message["op"], message.get("event", message))

    def read_sse(self):
        with EventStream(self.case.gate.port, self.who, "?snapshot=true") as stream:
            while not (self.has_snapshot and self.until and self.position >= self.until):
                fields = stream.receive()
                if "event" not in fields:
                    if "id" in fields:
                        self.take("heartbeat", {"seq": place_of(fields["id"])[1]})
                elif fields["event"] != "hello":
                    self.take(fields["event"] if fields["event"] == "snapshot" else "event", json.loads(fields["data"]))

    def run(self):
        try:
            self.read_ws() if self.kind == "ws" else self.read_sse()
        except BaseException as failure:
            self.failure = failure


class Snapshots(Watching):
    def difference(self, viewer):
        """Against the gateway's own resources at rest, as the same token reads them."""
        fresh = Rebuilt(self.owned(viewer.who))
        for kind in ("agents", "terminals", "addresses", "calls"):
            key = {"agents": "loginId", "calls": "contactId"}.get(kind, "name")
            for item in all_items(self.gate, viewer.who, kind):
                fresh.snapshot(path_of(kind, item[key]), item)
        now, known, lines = fresh.known(), viewer.rebuilt.known(), []
        for subject in sorted(set(now) | set(known)):
            if subject not in now or subject not in known:
                what = "only the client has it" if subject in known else "the client lacks it"
            else:
                fields = [f for f in known[subject] if known[subject][f] != now[subject].get(f)]
                what = ", ".join("%s: client %s, gateway %s" % (f, known[subject][f], now[subject].get(f)) for f in fields)
            if what:
                lines.append("%s %s %s: %s\n   %s" % (viewer.who, viewer.kind, subject, what, "\n   ".join(
                    str(h) for h in viewer.rebuilt.history[subject])))
        return lines

    def truth(self, who):
        """The legs of each call as the simulator has them, for who sees the floor."""
        return {path_of("calls", c["contactId"]): legs_of((n["id"], n["address"], n["state"], [
            (t["id"], t["terminal"], t["state"]) for t in n["terminalConnections"]]) for n in c["connections"])
            for c in self.sim.admin("GET", "/truth/" + who)["calls"]
            if any(n["address"] in self.owned(who)["addresses"] for n in c["connections"])}

    def test_snapshot_then_stream(self):
        for seed in range(2):
            viewers = []
            self.traffic(160, 700 + seed, perSecond=200)
            while self.sim.admin("GET", "/traffic")["running"]:
                if len(viewers) < 8:
                    who = ("supervisor", "agent2001", "operator", "agent2002")[len(viewers) % 4]
                    viewers.append(Viewer(self, who, ("ws", "sse")[len(viewers) // 4]))
                    viewers[-1].start()
            self.settle()
            last = self.hello()["seq"]
            for viewer in viewers:
                viewer.until = last
            for viewer in viewers:
                viewer.join(BOUND)
                self.assertFalse(viewer.is_alive() or viewer.failure, "%s %s %r" % (viewer.who, viewer.position, viewer.failure))
            self.assertGreater(len(viewers), 4)
            lines = [line for viewer in viewers for line in self.difference(viewer)]
            self.assertFalse(lines, "%d differences\n%s" % (len(lines), "\n".join(lines[:2])))
            for viewer in viewers:
                if viewer.who in ("supervisor", "operator"):
                    self.assertEqual(viewer.rebuilt.legs, self.truth("supervisor"))


# ---- 5: slow clients ----

class Slow(Watching):
    gateway_options = dict(Watching.gateway_options, users=("supervisor",),
                           events={"maxQueuedFrames": 64, "maxQueuedKiB": 64, "heartbeatMs": 10000})

    def setUp(self):
        Case.setUp(self)
        eventually(lambda: is_live(self.gate, "supervisor"), "live")

    def read_on(self, ws):
        """What was still on its way, and why it ends."""
        events = []
        while True:
            try:
                message = ws.receive()
            except Closed as closed:
                return events, closed.code
            if message["op"] == "event":
                events.append(message["event"])

    def overwhelm(self, who, since):
        """A client that takes nothing until it is closed: what it had been sent, and why it ended."""
        before = self.gate.metric("event_clients_slow_total")

        def closed():
            if not self.sim.admin("GET", "/traffic")["running"]:
                self.traffic(300, 7)
            return self.gate.metric("event_clients_slow_total") > before
        with WebSocket(self.gate.port, who, receive_buffer=4096) as ws:
            ws.subscribe("slow", since=since)  # that the session is live may be told between the two
            eventually(closed, "closed", 4 * BOUND)
            return self.read_on(ws)  # while the goodbye still waits for it

    @staticmethod
    def covers(events, log):
        """Every event of the log but those that a newer one of the same property stands for, and says so."""
        got, missing = {e["seq"] for e in events}, defaultdict(int)
        for event in log:
            key = (event["type"], event["subject"], event["data"].get("property"))
            if event["seq"] not in got:
                if not event["type"].endswith(".property"):
                    return "lacks %s" % event
                missing[key] += 1
        for event in events:
            missing[event["type"], event["subject"], event["data"].get("property")] -= event.get("coalesced", 0)
        return [k for k, n in missing.items() if n != 0] or None

    def test_slow_ones_go_and_come_back(self):
        self.up, self.deaths = threading.Event(), 0
        self.up.set()
        for who in ("supervisor", "operator"):
            with self.subTest(who):
                self.slow_one_goes_and_comes_back(who)

    def slow_one_goes_and_comes_back(self, who):
        since = self.place()
        fast = [Client(self, *c, seed=n, since=since) for n, c in enumerate([("supervisor", "ws", {}), ("operator", "ws", {}),
                                                                             ("supervisor", "sse", {"types": ["cct.connection.state"]})])]
        for client in fast:
            client.until = 1 << 62  # no cuts
            client.start()
        events, code = self.overwhelm(who, since)
        self.assertEqual(code, 4408)
        self.settle()
        last = self.hello()["seq"]
        log = replay(self.gate, "operator", since, last)
        for client in fast:
            client.until = last
        for client in fast:
            client.join(BOUND)
            self.assertFalse(client.is_alive() or client.failure, "%r" % client.failure)
            wanted = [e for e in log if matches(e, **client.filter)]
            self.assertIsNone(self.covers([e for e in client.events if e["seq"] <= last], wanted))
        self.assertLess(events[-1]["seq"], last)
        self.assertIsNone(self.covers(events, [e for e in log if e["seq"] <= events[-1]["seq"]]))
        rest = replay(self.gate, who, events[-1]["id"], last)
        self.assertEqual(rest, [e for e in log if e["seq"] > events[-1]["seq"]])


# ---- 6: forged ----

class Forged(test_consumer.Taking):
    gateway_options = {"users": ("supervisor",), "consumer": CONSUMER, "upstream": {"heartbeatMs": 3600000, "reconcileMs": 3600000}}

    def everything(self):
        return {kind: all_items(self.gate, "supervisor", kind) for kind in ("agents", "terminals", "addresses", "calls")}

    def forge(self, s):
        """[(url, body, headers)]: none of them is worth a thing."""
        def batch(subscription=s["id"], session=s["sessionId"], **changes):
            body = test_consumer.sample(test_consumer.BATCH, subscription, session, **changes)
            # about agents and calls that there are
            return body.replace(">2001<", ">2003<")
        secret = s["consumer"]
        system = test_consumer.sample(test_consumer.SYSTEM, "another", s["sessionId"])
        good = batch()
        wrong_paths = [secret[:-1] + ("0" if secret[-1] != "0" else "1"), secret + "/x", secret.rsplit("/", 1)[0] + "/", secret.upper()]
        return ([(url, good, test_consumer.XML) for url in wrong_paths] +
                [(secret, body, test_consumer.XML) for body in (
                    batch(subscription="another"), batch(subscription=""), batch(session="another"), batch(session=""), system,
                    good[:-30], good[:len(good) // 2], good.replace("<soapenv:Envelope", "<!DOCTYPE a [<!ENTITY e 'x'>]><soapenv:Envelope", 1), good.replace("nc:Notify>", "nc:Notified>"),
                    "", "x", "<a/>", "\0" * 1000, "<a>" * 50000, good.replace("soapenv:Body", "soapenv:Header"))] +
                [(secret, good, {"Content-Type": "application/json"}),
                 (secret, good, dict(test_consumer.XML, **{"Content-Encoding": "gzip"})),
                 (secret, good + " " * (4 * 1024 * 1024), test_consumer.XML)])

    def test_nothing_changes(self):
        s = self.subscription()
        eventually(lambda: is_live(self.gate, "supervisor"), "live")
        self.sim.admin("POST", "/agents/2003", {"loggedIn": True, "ready": False, "reasonCode": "1"})
        eventually(lambda: self.gate.get("/v1/agents/2003").json["notReadyReasonCode"] == "1", "the session is known")
        eventually(lambda: quiet(self.sim, self.gate), "quiet")
        for kind in ("agents", "terminals", "addresses", "calls"):
            all_items(self.gate, "supervisor", kind)  # what has to be read anew, is
        with WebSocket(self.gate.port, "operator") as ws:
            ws.subscribe("f")
            before, seq, messages = self.everything(), ws.hello["seq"], self.gate.metric("notify_messages_total")
            statuses = Counter()
            for url, body, headers in self.forge(s):
                try:
                    statuses[self.post(url, body, headers).status] += 1
                except OSError:
                    statuses["cut"] += 1  # too large: hung up on
            self.assertEqual(statuses[404], 4, statuses)
            eventually(lambda: self.gate.metric("consumer_queued_bytes") == 0, "looked at")
            self.assertEqual(self.everything(), before)
            # and what is told next is the next event
            self.sim.admin("POST", "/agents/2003", {"loggedIn": True, "ready": False, "reasonCode": "2"})
            event = ws.receive_op("event")["event"]
            self.assertEqual(event["seq"], seq + 1, event)
            self.assertIn("2003", event["subject"] + event.get("agent", ""), event)
        eventually(lambda: quiet(self.sim, self.gate), "none of the forged ones was counted as told")
        self.assertEqual(self.gate.metric("notify_messages_total"), self.sim.counters()["notify"]["delivered"])
        self.assertGreater(self.gate.metric("notify_messages_total"), messages)


# ---- 7: a session is lost ----

class Lost(Watching):
    gateway_options = {"users": ("supervisor",), "consumer": CONSUMER, "events": {"heartbeatMs": 60000, "maxQueuedFrames": 100000, "maxQueuedKiB": 100000},
                       "upstream": {"reconcileMs": 3600000, "heartbeatMs": 300}}

    def setUp(self):
        Case.setUp(self)
        eventually(lambda: is_live(self.gate, "supervisor"), "live")

    def resources(self):
        return [(kind, item) for kind in ("agents", "terminals", "addresses", "calls") for item in all_items(self.gate, "supervisor", kind)]

    def test_stale_then_differences_then_resynced(self):
        for seed in (60,):
            with WebSocket(self.gate.port, "supervisor") as ws:
                ws.subscribe("l", snapshot=True)
                rebuilt = Rebuilt(self.owned("supervisor"))
                for subject, data in ws.snapshot("l")[0].items():
                    rebuilt.snapshot(subject, data)
                events = []

                def until(state):
                    while True:
                        events.append(ws.receive_op("event")["event"])
                        rebuilt.apply(events[-1])
                        if events[-1]["type"] == "gateway.session" and events[-1]["data"]["state"] == state:
                            return events[-1]
                # nobody gets in until everything has been looked at
                self.sim.fault("http500", "*", "LogInToCCTServer")
                self.sim.admin("POST", "/sessions/kill", {"user": "*", "silently": True})
                self.traffic(80, seed)
                eventually(lambda: not self.sim.admin("GET", "/traffic")["running"], "changed")
                stale = until("stale")
                self.assertEqual(stale["subject"], "/v1/users/supervisor")
                seen = self.resources()
                self.assertGreater(len(seen), 20)
                self.assertEqual([(k, i) for k, i in seen if i["sync"] != "stale" or not i["staleSince"]], [])
                self.assertEqual(self.gate.get("/v1/users/me", "supervisor").json["sync"], "stale")
                at = len(events)
                self.sim.no_faults()
                resynced = until("resynced")
                self.assertEqual(self.gate.get("/v1/users/me", "supervisor").json["sync"], "live")
                between = events[at:]
                self.assertGreater(len([e for e in between if e["type"].startswith("cct.")]), 20, "differences are told")
                ws.send({"op": "ping", "id": "end"})
                after = []
                while True:
                    message = ws.receive_op("event", "pong")
                    if message["op"] == "pong":
                        break
                    after.append(message["event"])
                self.assertEqual([e for e in after if e["type"] not in ("cct.user.state",)], [], "all had been told before %s" % resynced["id"])
            viewer = Viewer(self, "supervisor", "ws")
            viewer.rebuilt = rebuilt
            lines = Snapshots.difference(self, viewer)
            self.assertFalse(lines, "%d differences\n%s" % (len(lines), "\n".join(lines[:2])))
            self.assertEqual(rebuilt.legs, Snapshots.truth(self, "supervisor"))
            for event in between:
                if event["type"] in LEG:
                    wanted = {LEG[event["type"]], "contactId", "newState", "previousState", "connectionId",
                              "address" if event["type"] == "cct.connection.state" else "terminal"}
                    self.assertFalse(wanted - set(event["data"]), "told like any other event: %s" % event)


if __name__ == "__main__":
    harness.main()
