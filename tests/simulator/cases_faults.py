"""What cctsim says to wrong requests, and how it misbehaves when it is told to."""

import time

from simdrive import AGT, MET, TC, USR, SimCase, agent, open_socket, termconn, wait_until


class Violations(SimCase):
    def expect(self, reply, statuses=(500,)):
        self.count = getattr(self, "count", 0) + 1
        self.assertIn(reply.status, statuses)
        if 500 in statuses:
            self.assertIn("e:Client", reply.body.decode())
            self.assertIsNone(reply.headers.get("nothing"))
        self.assertEqual(self.sim.counters()["violations"], self.count, self.sim.counters()["violationMessages"])

    def test_wrong_requests_are_counted_and_told(self):
        good = self.sim.envelope(USR, "GetVersion", None, ())
        path = self.sim.path(USR)
        post = lambda body, headers=None: self.sim.raw(path, body, headers)
        self.expect(post(b"<not closed"))
        self.expect(post(good.replace(b"GetVersionRequest", b"GetVersionRequests")))
        self.expect(post(b'<!DOCTYPE e [<!ENTITY x "y">]>' + good))
        self.expect(post(self.sim.envelope(USR, "GetAgents", None, ())))
        self.expect(post(self.sim.envelope(USR, "GetAddress", "t", (("wrong", "x"),))))
        self.expect(post(self.sim.envelope(AGT, "IsReady", "t", (("agent", agent(2001)),))))
        self.expect(post(good, {"Content-Type": "text/xml"}))
        self.expect(post(good, {"Content-Type": "application/json", "SOAPAction": '""'}))
        self.expect(post(good.replace(b"</e:Body>", b"</e:Body><e:More/>")))
        self.expect(self.sim.raw(path, None, {}, "GET"), (405,))
        self.expect(self.sim.raw("/SOAOICCT/services/NoService", good), (404,))
        self.expect(self.sim.raw(self.sim.path("OutboundUtilityWS"), good))
        token = self.sim.login()
        self.good(USR, "GetAgents", token)
        self.assertEqual(len(self.sim.counters()["violationMessages"]), self.count)
        self.sim.admin("POST", "/counters/reset")
        self.assertEqual(self.sim.counters()["violations"], 0)

    def test_malformed_http_is_counted(self):
        body = b"x"
        heads = [b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: -1\r\n",
                 b"Content-Length: 1\r\nContent-Length: 2\r\n", b"Content-Length : 1\r\n",
                 b"Transfer-Encoding: gzip\r\n", b""]
        for i, head in enumerate(heads):
            reply = self.exchange(b"POST /SOAOICCT/services/UserService HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n" + body)
            self.assertTrue(reply.startswith(b"HTTP/1.1 400 "), (head, reply))
            self.assertEqual(self.sim.counters()["violations"], i + 1)
        reply = self.exchange(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        self.assertTrue(reply.startswith(b"HTTP/1.1 400 "))

    def exchange(self, data):
        with open_socket(self.sim.port) as s:
            s.sendall(data)
            got = b""
            while chunk := s.recv(65536):
                got += chunk
        return got

    def test_chunked_pipelined_and_continued_requests_are_fine(self):
        envelope = self.sim.envelope(USR, "GetVersion", None, ())
        head = b"POST /SOAOICCT/services/UserService HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nSOAPAction: a\r\n"
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + envelope[:5] + \
            b"\r\n%x\r\n" % (len(envelope) - 5) + envelope[5:] + b"\r\n0\r\n\r\n"
        plain = head + b"Content-Length: %d\r\n\r\n" % len(envelope) + envelope
        last = head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(envelope) + envelope
        got = self.exchange(chunked + plain + last)
        self.assertEqual(got.count(b"HTTP/1.1 200 OK"), 3)
        with open_socket(self.sim.port) as s:
            s.sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(envelope))
            self.assertEqual(s.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            s.sendall(envelope)
            self.assertTrue(s.recv(65536).startswith(b"HTTP/1.1 200 OK"))
        self.assertEqual(self.sim.counters()["violations"], 0)


class Wsdl(SimCase):
    def test_contract_is_served_with_the_callers_host(self):
        for path in ("/SOAOICCT/services/AgentService?wsdl", "/SOAOICCT/services/AgentService?WSDL",
                     "/ccmmoutboundwebservices/OutboundContactWS.asmx?Wsdl"):
            reply = self.sim.raw(path, None, {"Host": "gateway.test:8080"}, "GET")
            self.assertEqual(reply.status, 200)
            text = reply.body.decode()
            name = path.split("?")[0]
            self.assertIn(f'address location="http://gateway.test:8080{name}"', text)
            self.assertNotIn('address location="http://localhost', text)
        reply = self.sim.raw("/SOAOICCT/services/types.xsd", None, {}, "GET")
        self.assertEqual((reply.status, reply.root.get("targetNamespace")),
                         (200, "http://www.nortel.com/soa/oi/cct/types"))
        self.assertEqual(self.sim.counters()["violations"], 0)


class Faults(SimCase):
    """Each kind of injected fault, seen from outside."""

    def ask(self, **more):
        return self.sim.call(USR, "GetVersion", None, keep=False, **more)

    def test_replies_that_are_no_soap(self):
        expected = {"garbage": (200, "text/xml;charset=utf-8"), "html": (200, "text/html"),
                    "http500": (500, "text/plain"), "empty": (200, "text/xml;charset=utf-8")}
        for kind, (status, content_type) in expected.items():
            self.sim.fault(kind, service="UserService", operation="GetVersion", count=1)
            reply = self.ask()
            self.assertEqual((reply.status, reply.headers["Content-Type"]), (status, content_type), kind)
            self.assertFalse(reply.ok, kind)
            self.assertEqual(reply.body == b"", kind == "empty")
            self.assertTrue(self.ask().ok, f"{kind} was to be once")

    def test_declared_faults_and_sessions(self):
        token = self.sim.login()
        self.sim.fault("fault", operation="IsReady", fault="IsReadyException", message="on purpose", count=2)
        for _ in range(2):
            reply = self.bad("IsReadyException", AGT, "IsReady", token, ("agent", agent(2001)))
            self.assertIn("on purpose", reply.fault_text)
        self.good(AGT, "IsReady", token, ("agent", agent(2001)))
        self.sim.fault("fault", operation="IsReady", fault="SomethingElseException", count=1)
        reply = self.sim.call(AGT, "IsReady", token, ("agent", agent(2001)), keep=False)
        self.assertEqual(reply.fault, "SomethingElseException")
        self.sim.fault("session", service=AGT)
        self.bad("SessionNotCreatedException", AGT, "IsReady", token, ("agent", agent(2001)))
        self.good(USR, "GetAgents", token)
        self.sim.clear_faults()
        self.good(AGT, "IsReady", token, ("agent", agent(2001)))

    def test_replies_of_wrong_content(self):
        token = self.sim.login()
        who = ("agent", agent(2002))
        self.sim.fault("wrongType", operation="IsReady")
        self.assertEqual(self.sim.call(AGT, "IsReady", token, who, keep=False).text("response"), "perhaps")
        self.sim.fault("wrongElement", operation="GetType")
        self.assertIn("GetActiveSessionCountResponse",
                      self.sim.call(AGT, "GetType", token, who, keep=False).body.decode())
        self.sim.fault("wrongElement", service=MET, operation="GetActiveSessionCount")
        self.assertIn("GetVersionResponse", self.sim.call(MET, "GetActiveSessionCount", token, keep=False).body.decode())
        self.sim.fault("doctype", operation="IsSupervisor")
        reply = self.sim.raw(self.sim.path(AGT), self.sim.envelope(AGT, "IsSupervisor", token, (who,)))
        self.assertIn(b"<!ENTITY lol9", reply.body)
        self.assertIn(b"IsSupervisorResponse", reply.body)

    def test_broken_connections(self):
        self.sim.fault("reset", operation="GetVersion", count=1)
        with self.assertRaises(ConnectionResetError):
            self.ask()
        self.sim.fault("truncate", operation="GetVersion", count=1)
        with self.assertRaises(Exception) as caught:
            self.ask()
        self.assertIn("IncompleteRead", repr(caught.exception))
        self.assertTrue(self.ask().ok)

    def test_hang_answers_nothing_and_hinders_nobody(self):
        self.sim.fault("hang", operation="GetVersion", count=1)
        with self.assertRaises(TimeoutError):
            self.ask(timeout=0.5)
        self.assertTrue(self.ask().ok)
        self.assertTrue(wait_until(lambda: self.sim.counters()["inFlight"] == 0))

    def post_raw(self):
        body = self.sim.envelope(USR, "GetVersion", None, ())
        s = open_socket(self.sim.port)
        s.sendall(b"POST /SOAOICCT/services/UserService HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n"
                  b"SOAPAction: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return s

    def test_drip_sends_a_byte_at_a_time(self):
        self.sim.fault("drip", operation="GetVersion", count=1)
        started = time.monotonic()
        with self.post_raw() as s:
            parts = [s.recv(1) for _ in range(5)]
            self.assertEqual(b"".join(parts), b"HTTP/")
            self.assertGreater(time.monotonic() - started, 0.6)

    def test_huge_does_not_end(self):
        self.sim.fault("huge", operation="GetVersion", count=1)
        with self.post_raw() as s:
            got = 0
            while got < 20_000_000:
                chunk = s.recv(1 << 20)
                self.assertTrue(chunk)
                got += len(chunk)
        self.assertTrue(self.ask().ok)

    def test_refuse_closes_the_door_until_cleared(self):
        self.assertTrue(self.ask().ok)
        self.sim.fault("refuse")
        with self.assertRaises((ConnectionError, OSError)):
            self.ask()
        with self.assertRaises(ConnectionRefusedError):
            open_socket(self.sim.port)
        self.sim.clear_faults()
        self.assertTrue(self.ask().ok)

    def test_commands_are_carried_out_or_not_as_told(self):
        token = self.sim.login()
        for execute in (False, True):
            call = self.sim.incoming("2018")["contactId"]
            leg = ("terminalConnection", termconn(self.leg(call, "52018")[1]))
            self.sim.fault("reset", operation="Answer", count=1, execute=execute)
            with self.assertRaises(ConnectionResetError):
                self.sim.call(TC, "Answer", token, leg)
            self.assertEqual(self.states(call)["52018"][1], "ACTIVE" if execute else "RINGING")
            self.sim.admin("POST", f"/calls/{call}/end")

    def test_unknown_kinds_are_refused(self):
        with self.assertRaises(RuntimeError):
            self.sim.fault("nonsense")

    def test_latency_delays_replies_side_by_side(self):
        self.sim.admin("POST", "/latency", {"ms": 2000, "jitterMs": 0})
        started = time.monotonic()
        sockets = [self.post_raw() for _ in range(20)]
        for s in sockets:
            self.assertTrue(s.recv(65536).startswith(b"HTTP/1.1 200"))
            s.close()
        took = time.monotonic() - started
        self.assertGreater(took, 1.9)
        self.assertLess(took, 20)
        self.assertEqual(self.sim.counters()["maxInFlight"], 20)
