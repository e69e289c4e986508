"""A page of another origin, in Chromium: plain WebSocket and EventSource, let in only where the origin is listed, and without a hole
or a repetition after the gateway was killed.

SCREENSHOT=FILE takes a picture of the page at the end.
"""
import http.client
import http.server
import json
import os
import sys
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

import chromium
import harness
from harness import BOUND, Gateway, Simulator, TOKENS, bearer, eventually, exchange
from websocket import EventStream, WebSocket

ACROSS = ("socket", "ticket", "foreign")  # from the page's origin to the gateway's
WAYS = ACROSS + ("server",)


class PageServer:
    """The page, what it must know, and /stream, which passes the gateway's events on: the server has a token."""

    def __init__(self):
        self.gateway_port = 0
        self.last_event_ids = []
        page = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/":
                    with open(os.path.join(HERE, "page.html"), "rb") as file:
                        self.answer("text/html; charset=utf-8", file.read())
                elif self.path == "/config.json":
                    self.answer("application/json", json.dumps(page.config()).encode())
                elif self.path == "/ticket.json":
                    self.pass_on("POST", "/v1/events/ticket")
                elif self.path == "/stream":
                    page.last_event_ids.append(self.headers["Last-Event-ID"])
                    self.pass_on("GET", "/v1/events?snapshot=true", "Accept", "Last-Event-ID")
                else:
                    self.send_error(404)

            def answer(self, kind, body):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def pass_on(self, method, path, *names):
                self.close_connection = True
                headers = {n: self.headers[n] for n in names if self.headers[n] is not None}
                gateway = http.client.HTTPConnection("127.0.0.1", page.gateway_port, timeout=BOUND)
                try:
                    gateway.request(method, path, headers=dict(headers, **bearer("supervisor")))
                    answer = gateway.getresponse()
                    self.send_response(answer.status)
                    self.send_header("Content-Type", answer.headers["Content-Type"])
                    self.end_headers()
                    while piece := answer.read1(65536):
                        self.wfile.write(piece)
                        self.wfile.flush()
                except (OSError, http.client.HTTPException):
                    pass  # either side has gone; without an answer the browser asks again
                finally:
                    gateway.close()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.origin = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def gateway(self):
        return "http://127.0.0.1:%d" % self.gateway_port

    def config(self):
        document = exchange(self.gateway_port, "GET", "/asyncapi.json").json
        return {"gateway": self.gateway(), "token": TOKENS["supervisor"][0],
                "types": document["components"]["schemas"]["EventType"]["enum"]}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def seq_of(place):
    return int(place.split("-")[1])


@unittest.skipUnless(chromium.find(), "there is no chromium")
class InABrowser(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.server, self.foreign = PageServer(), PageServer()
        self.addCleanup(self.server.close)
        self.addCleanup(self.foreign.close)
        self.sim = Simulator()
        self.addCleanup(self.sim.stop)
        self.gate = Gateway(self.sim, users=("supervisor",), consumer={"address": "127.0.0.1", "port": 0},
                            events={"origins": ["https://desk.example", self.server.origin], "heartbeatMs": 1000})
        self.addCleanup(self.gate.stop)
        # the same port after a restart
        self.gate.config["listen"][0]["port"] = self.gate.port
        self.gate.write()
        self.server.gateway_port = self.foreign.gateway_port = self.gate.port
        self.browser = chromium.Browser(chromium.find())
        self.addCleanup(self.browser.close)

    def way(self, page, name):
        return json.loads(page.evaluate("ways.%s && JSON.stringify({...ways.%s, section: 0})" % (name, name)) or "null")

    def eventually(self, page, condition, what, names=WAYS):
        """condition(way) for each way; what the page knows otherwise."""
        def holds():
            ways = [self.way(page, name) for name in names]
            return all(ways) and all(condition(w) for w in ways)
        try:
            eventually(holds, what)
        except AssertionError:
            raise AssertionError(what, [dict(self.way(page, name), subjects=0) for name in names]) from None

    def log(self):
        """Every event of the log: [(seq, id)], as one who sees them all is told."""
        with WebSocket(self.gate.port) as ws:
            last, epoch = ws.hello["seq"], ws.hello["epoch"]
        with EventStream(self.gate.port, query="?since=%s-0" % epoch) as stream:
            events = []
            while not events or events[-1]["seq"] < last:
                fields = stream.receive_event()
                if fields["event"] not in ("hello", "gap", "snapshot"):
                    events.append(json.loads(fields["data"]))
        return events

    def call(self):
        return self.sim.admin("POST", "/calls", {"to": "2002", "answer": True})["contactId"]

    def times_in_step(self):
        return sum(e["type"] == "gateway.session" and e["data"]["state"] in ("live", "resynced") for e in self.log())

    def is_told(self, call, state):
        """An event of the call has been committed."""
        def told():
            return any(e["data"].get("contactId") == call and e["data"].get("newState") == state for e in self.log())
        eventually(told, "%s is in the log" % state)

    def tail_of(self, way):
        """The ids of the log from the way's snapshot to the place where it is."""
        place = seq_of(way["place"])
        return [e["id"] for e in self.log() if way["from"] < e["seq"] <= place]

    def begin(self, server):
        page = self.browser.open(server.origin + "/")
        self.eventually(page, lambda w: w["snapshots"] == 1, "a snapshot each way")
        return page

    def complete(self, page):
        """Every way has the log's end; then nothing is missing, doubled or in another order."""
        end = self.log()[-1]["seq"]
        self.eventually(page, lambda w: seq_of(w["place"]) >= end, "all is told")
        for name in WAYS:
            way = self.way(page, name)
            self.assertEqual(way["ids"], self.tail_of(way), name)
            self.assertEqual((way["gaps"], way["snapshots"]), (0, 1), name)

    def test_listed_origin(self):
        page = self.begin(self.server)
        for name in WAYS:
            self.assertIn("/v1/agents/2001", self.way(page, name)["subjects"])
        call = self.call()
        self.is_told(call, "ESTABLISHED")
        self.complete(page)
        self.kill_and_resume(page, call)
        if os.environ.get("SCREENSHOT"):
            page.screenshot(os.environ["SCREENSHOT"])

    def kill_and_resume(self, page, call):
        other = self.call()
        self.is_told(other, "ESTABLISHED")
        before = self.times_in_step()
        self.gate.kill()
        self.sim.admin("POST", "/calls/%s/end" % call)
        self.sim.admin("POST", "/agents/2003", {"loggedIn": True, "ready": True})
        self.eventually(page, lambda w: w["what"] == "closed", "the loss is noticed")
        self.gate.start()
        eventually(lambda: self.times_in_step() > before, "in step again")
        self.sim.admin("POST", "/calls/%s/end" % other)
        self.is_told(other, "DISCONNECTED")
        self.eventually(page, lambda w: w["opened"] >= 2, "every way is open again")
        self.complete(page)
        # the browser itself has come back, and said where it was
        self.assertEqual(self.way(page, "server")["refused"], 0)
        self.assertEqual(self.way(page, "socket")["protocol"], "cctgate.v1")
        self.assertIsNone(self.server.last_event_ids[0])
        self.assertRegex(self.server.last_event_ids[-1], r"^\d+-\d+$")

    def test_other_origin(self):
        page = self.browser.open(self.foreign.origin + "/")
        self.eventually(page, lambda w: w["snapshots"] == 1, "its server may", ("server",))
        call = self.call()
        self.is_told(call, "ESTABLISHED")
        end = self.log()[-1]["seq"]
        self.eventually(page, lambda w: seq_of(w["place"]) >= end, "its server is told", ("server",))
        self.eventually(page, lambda w: w["refused"] + w["denied"] > 1, "the page is refused each way", ACROSS)
        for name in ACROSS:
            way = self.way(page, name)
            self.assertEqual((way["opened"], way["ids"], way["subjects"]), (0, [], []), name)
        self.assertGreater(self.way(page, "ticket")["denied"], 0)
        self.assertGreater(self.way(page, "foreign")["refused"], 0)
        eventually(lambda: self.gate.metric("event_clients") == 1, "one stream, the server's")


if __name__ == "__main__":
    harness.main()
