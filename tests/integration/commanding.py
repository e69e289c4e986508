"""What tests of commands and control share: applications of every role, a floor that can be put into any state, and a listener to events."""
import base64
import json
import threading
from urllib.parse import quote

import harness
from harness import Case, bearer, eventually, exchange
from test_live import CONSUMER, is_live, quiet
from websocket import Closed, WebSocket

LONG = 600000

# application: token, users, roles
harness.TOKENS.update({
    "floor": ("floor-token", ["supervisor"], ["controller"]),
    "floor2": ("floor-2-token", ["supervisor"], ["controller"]),
    "looker": ("looker-token", ["supervisor"], ["viewer"]),
    "boss": ("boss-token", ["supervisor"], ["supervisor"]),
    "recorder": ("recorder-token", ["supervisor"], ["recorder"]),
    "desk2002": ("desk-2002-token", ["agent2002"], ["controller"]),
    "stranger": ("stranger-token", ["agent2006"], ["controller", "supervisor", "recorder"]),
    "pair": ("pair-token", ["agent2002", "agent2003"], ["controller"]),
})


def line(agent):
    return "Line 1.0.%d" % (int(agent) - 2000)


def position(agent):
    return "5" + agent


def of(kind, name):
    return "/v1/%s/%s" % (kind, quote(name, safe="-._~"))


def control_of(agent):
    return "/v1/agents/%s/control" % agent


def call_command(port, method, path, who, body=None, lease=None, key=None, wait=None, headers=None, timeout=harness.BOUND,
                 connection=None):
    fields = dict(bearer(who) if who else {})
    if body is not None:
        fields["Content-Type"] = "application/json"
        body = body if isinstance(body, (str, bytes)) else json.dumps(body)
    if lease is not None:
        fields["Control-Lease"] = lease
    if key is not None:
        fields["Idempotency-Key"] = key
    if wait is not None:
        fields["Prefer"] = "wait=%d" % wait
    fields.update(headers or {})
    return exchange(port, method, path, fields, body, timeout=timeout, connection=connection)


class Listener(threading.Thread):
    """All that an application is told, in order, from its start."""

    def __init__(self, port, who="operator", **wanted):
        super().__init__(daemon=True)
        self.ws = WebSocket(port, who)
        self.ws.subscribe("all", **wanted)
        self.events, self.ended = [], False
        self.start()

    def run(self):
        try:
            while True:
                message = self.ws.receive()
                if message["op"] == "event":
                    self.events.append(message["event"])
        except (Closed, OSError, ValueError):
            self.ended = True

    def place(self):
        return len(self.events)

    def find(self, since, type, test=lambda event: True):
        return next((e for e in self.events[since:] if e["type"] == type and test(e)), None)

    def wait_for(self, since, type, test=lambda event: True):
        return eventually(lambda: self.find(since, type, test), "event %s; came: %s" % (
            type, [(e["type"], e["subject"]) for e in self.events[since:]]))

    def stop(self):
        try:
            self.ws.sock.shutdown(2)
        except OSError:
            pass
        self.join(harness.BOUND)
        self.ws.sock.close()


class Speaker:
    """Commands on a WebSocket; events that come meanwhile are kept."""

    def __init__(self, port, who, **options):
        self.ws, self.count, self.events = WebSocket(port, who, **options), 0, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ws.sock.close()

    def ask(self, **message):
        self.count += 1
        message.setdefault("id", "c%d" % self.count)
        self.ws.send(message)
        while True:
            answer = self.ws.receive()
            if answer["op"] == "event":
                self.events.append(answer["event"])
            elif answer["op"] in ("result", "error") and answer.get("id") in (message["id"], None):
                return answer

    def command(self, method, path, body=None, **more):
        message = dict(op="command", method=method, path=path, **more)
        if body is not None:
            message["body"] = body
        return self.ask(**message)

    def attach(self, agent, profile="FullControl"):
        answer = self.command("PUT", control_of(agent), {"profile": profile})
        assert answer["status"] == 200, answer
        return answer["body"]


class Floor(Case):
    """Twelve agents at rest, of whom `seated` are logged in and ready; one session sees them all, another only agent 2006."""
    simulator_options = {"agents": 12, "scenario": "idle"}
    gateway_options = {"users": ("supervisor", "agent2006"), "consumer": CONSUMER, "control": {"ttlMs": LONG},
                       "upstream": {"reconcileMs": 3600000}}
    watchers = ("supervisor",)
    seated = ("2001", "2002", "2003")

    def setUp(self):
        super().setUp()
        self.rest()

    # ---- the floor ----

    def rest(self):
        """No call, nothing forwarded, the seated agents ready; told and applied."""
        state = self.sim.state()
        for call in state["calls"]:
            self.sim.admin("POST", "/calls/%s/end" % call["contactId"])
        for agent in state["agents"]:
            wanted = agent["id"] in self.seated
            if agent["loggedIn"] != wanted or agent["ready"] != wanted:
                self.sim.admin("POST", "/agents/" + agent["id"], {"loggedIn": wanted, "ready": wanted})
        self.settle()
        for kind in ("terminals", "addresses"):
            for place in state[kind]:
                for what, member in (("do-not-disturb", "doNotDisturb"), ("forwarding", "forwarding")):
                    if place[member]:
                        self.clear(of(kind, place["name"]) + "/" + what, place["name"][-1])

    def clear(self, path, last):
        """What only a command can put back, by taking control of whose it is."""
        agent = "200" + last
        self.send("DELETE", control_of(agent) + "?force=true", None, "operator")
        lease = self.attach(agent)["lease"]
        self.assert_done(self.send("DELETE", path, None, lease=lease), path)
        self.release(agent, lease)
        self.settle()

    def settle(self):
        """What the simulator had to tell is applied: the model is live and as the simulator is."""
        eventually(lambda: is_live(self.gate, *self.watchers), "live")
        eventually(lambda: quiet(self.sim, self.gate), "quiet")

    def agent(self, name):
        return next(a for a in self.sim.state()["agents"] if a["id"] == name)

    def terminal(self, name):
        return next(t for t in self.sim.state()["terminals"] if t["name"] == name)

    def address(self, name):
        return next(a for a in self.sim.state()["addresses"] if a["name"] == name)

    def call(self, contact):
        return next((c for c in self.sim.state()["calls"] if c["contactId"] == contact), None)

    def connection(self, contact, address):
        """The connection at an address, None without."""
        call = self.call(contact)
        return next((c for c in call["connections"] if c["address"] == address and c["state"] != "DISCONNECTED"),
                    None) if call else None

    def leg(self, contact, agent):
        """The state of an agent's leg, None without."""
        found = self.connection(contact, position(agent))
        legs = [t for t in found["terminalConnections"] if t["state"] != "DROPPED"] if found else []
        return legs[0]["state"] if legs else None

    def leg_id(self, contact, agent):
        return self.connection(contact, position(agent))["terminalConnections"][0]["id"]

    def incoming(self, to, **more):
        call = self.sim.admin("POST", "/calls", dict(to=to, **more))
        self.settle()
        return call["contactId"]

    def commands(self):
        """How many operations that act have reached the simulator."""
        return self.sim.counters()["commands"]

    # ---- what applications do ----

    def send(self, method, path, body=None, who="floor", **more):
        return call_command(self.gate.port, method, path, who, body, **more)

    def attach(self, agent, who="floor", profile="FullControl", **more):
        answer = self.send("PUT", control_of(agent), {"profile": profile}, who, **more)
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def release(self, agent, lease, who="floor"):
        answer = self.send("DELETE", control_of(agent), None, who, lease=lease)
        self.assertIn(answer.status, (200, 204), answer)

    def no_control(self):
        """Nobody has FullControl of anybody."""
        for agent in self.sim.state()["agents"]:
            self.send("DELETE", control_of(agent["id"]) + "?force=true", None, "operator")

    def audit(self, query="", who="operator"):
        answer = self.gate.get("/v1/audit" + query, who)
        self.assertEqual(answer.status, 200, answer)
        return answer.json["items"]

    def assert_done(self, answer, message=None):
        self.assertIn(answer.status, (200, 204), (message, answer))
        self.assertEqual(answer.status == 204, answer.body == b"", answer)
        return answer


def together(count, act):
    """act(i) in as many threads, begun at once; their results in order. What a thread raised is raised here."""
    results, failures, barrier = [None] * count, [], threading.Barrier(count)

    def run(i):
        try:
            barrier.wait()
            results[i] = act(i)
        except BaseException as failure:  # pylint: disable=broad-except
            failures.append(failure)
    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(harness.BOUND * 2)
        assert not thread.is_alive(), "a client never got its answer"
    if failures:
        raise failures[0]
    return results


def b64(data):
    return base64.b64encode(data).decode()
