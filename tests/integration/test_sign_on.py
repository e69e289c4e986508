"""Signing on: bearer tokens, wrong passwords, signing off, restarts; and tokens of an identity provider."""
import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import harness
from harness import Case, Gateway, PASSWORD, Simulator, eventually, exchange
from websocket import WebSocket

LOGIN = "SessionService.LogInToCCTServer"
JSON = {"Content-Type": "application/json"}


def sign_on(port, user, password=PASSWORD, domain="CC", **more):
    body = {"username": user, "password": password}
    if domain is not None:
        body["domain"] = domain
    body.update(more)
    return exchange(port, "POST", "/v1/sessions", JSON, json.dumps(body))


def bearer(token):
    return {"Authorization": "Bearer " + token}


class SignOn(Case):
    gateway_options = {"session": {"lockoutAfter": 1000, "lingerMs": 600000}}

    def logins(self):
        return self.sim.calls(LOGIN)

    def token_of(self, user):
        answer = sign_on(self.gate.port, user)
        self.assertEqual(answer.status, 201, answer)
        return answer.json["token"]

    def get(self, path, token):
        return exchange(self.gate.port, "GET", path, bearer(token))

    def sign_off(self, token):
        return exchange(self.gate.port, "DELETE", "/v1/sessions", bearer(token))

    def test_answer(self):
        answer = sign_on(self.gate.port, "agent2003")
        self.assertEqual(answer.status, 201, answer)
        self.assertEqual(answer.headers["cache-control"], "no-store")
        self.assertEqual(answer.headers["location"], "/v1/sessions")
        self.assertEqual(set(answer.json), {"token", "expiresAt", "user", "agents"})
        self.assertRegex(answer.json["token"], "^[A-Za-z0-9_-]{43}$")
        self.assertEqual(answer.json["user"], "agent2003")
        self.assertEqual(answer.json["agents"], ["2003"])
        token = answer.json["token"]
        for _ in range(8):  # whichever front takes it
            me = self.get("/v1/users/me", token)
            self.assertEqual((me.status, me.json["user"]), (200, "agent2003"), me)
        self.assertEqual([a["loginId"] for a in self.get("/v1/agents", token).json["items"]], ["2003"])
        self.assertEqual(self.get("/v1/agents/2001", token).status, 404)
        sessions = self.get("/v1/sessions", token).json["items"]
        self.assertEqual([s["user"] for s in sessions], ["agent2003"])

    def test_second_sign_on_is_verified(self):
        self.token_of("agent2004")
        before = self.logins()
        again = sign_on(self.gate.port, "agent2004")
        self.assertEqual(again.status, 201)
        self.assertEqual(self.logins(), before)
        self.assert_problem(sign_on(self.gate.port, "agent2004", "wrong"), 401, "sign-on-denied")
        self.assert_problem(sign_on(self.gate.port, "agent2004", domain="OTHER"), 401, "sign-on-denied")
        other = sign_on(self.gate.port, "AGENT2004")
        self.assertEqual((other.status, other.json["user"]), (201, "agent2004"))

    def test_configured_user(self):
        answer = sign_on(self.gate.port, "agent2001", domain=None)
        self.assertEqual(answer.status, 201, answer)
        self.assertEqual(answer.json["agents"], ["2001"])
        self.assertEqual(self.get("/v1/users/me", answer.json["token"]).json["user"], "agent2001")

    def test_denied_alike(self):
        known = sign_on(self.gate.port, "agent2002", "wrong")
        unknown = sign_on(self.gate.port, "nobody", "wrong")
        for answer in (known, unknown):
            self.assert_problem(answer, 401, "sign-on-denied")
            self.assertEqual(answer.headers["www-authenticate"], 'Bearer realm="cctgate"')
        self.assertEqual(known.body, unknown.body)

    def test_bad_bodies(self):
        before = self.logins()
        for body, pointer in ((b"", ""), (b"[]", ""), (b"{", ""), (b'{"username":"a"}', "/password"),
                              (b'{"password":"a"}', "/username"), (b'{"username":"","password":"a"}', "/username"),
                              (b'{"username":1,"password":"a"}', "/username"),
                              (b'{"username":"a","password":["secret-in-list"]}', "/password"),
                              (b'{"username":"a\\u0007","password":"a"}', "/username"),
                              (b'{"username":"a","password":"b","x/y":1}', "/x~1y"),
                              (b'{"username":"a","password":"b","domain":{}}', "/domain"),
                              (b'{"username":"a","username":"a","password":"b"}', "")):
            answer = self.assert_problem(exchange(self.gate.port, "POST", "/v1/sessions", JSON, body), 400)
            self.assertEqual(answer.json.get("pointer"), pointer, (body, answer))
            self.assertNotIn("secret", answer.body.decode())
        self.assert_problem(exchange(self.gate.port, "POST", "/v1/sessions", JSON,
                                     json.dumps({"username": "a", "password": "b" * 9000})), 413)
        self.assert_problem(exchange(self.gate.port, "POST", "/v1/sessions",
                                     {"Content-Type": "text/plain"}, b"{}"), 415)
        self.assertEqual(self.logins(), before)

    def test_sign_off(self):
        one, two = self.token_of("agent2005"), self.token_of("agent2005")
        client = WebSocket(self.gate.port, who=None, headers=bearer(one))
        self.assertEqual(self.sign_off(one).status, 204)
        for _ in range(8):
            answer = self.assert_problem(self.get("/v1/users/me", one), 401, "unauthorized")
            self.assertEqual(answer.headers["www-authenticate"], 'Bearer realm="cctgate", error="invalid_token"')
        self.assertEqual(client.expect_close(), 4401)
        client.sock.close()
        self.assertEqual(self.get("/v1/users/me", two).status, 200)
        self.assert_problem(self.sign_off(one), 401)

    def test_sign_off_of_others(self):
        self.assert_problem(exchange(self.gate.port, "DELETE", "/v1/sessions", harness.bearer("operator")), 409,
                            "not-signed-on")
        answer = self.assert_problem(exchange(self.gate.port, "DELETE", "/v1/sessions"), 401)
        self.assertEqual(answer.headers["www-authenticate"], 'Bearer realm="cctgate"')

    def test_roles(self):
        token = self.token_of("agent2003")
        answer = self.assert_problem(self.get("/v1/audit", token), 403, "forbidden")
        self.assertEqual(answer.headers["www-authenticate"], 'Bearer realm="cctgate", error="insufficient_scope"')

    def test_audit_and_secrets(self):
        token = self.token_of("agent2003")
        sign_on(self.gate.port, "agent2003", "marked-wrong-password")
        self.sign_off(token)
        entries = []
        def find():
            entries[:] = [e for e in self.gate.get("/v1/audit?limit=1000", "operator").json["items"]
                          if e.get("user") == "agent2003"]
            what = {(e["what"], e.get("outcome")) for e in entries}
            return {("signOn", "done"), ("signOn", "notDone"), ("signOff", "done")} <= what
        eventually(find, "the audit's entries")
        self.assertTrue(all(e.get("address") == "127.0.0.1" for e in entries if e["what"] != "bearerEnded"))
        everything = json.dumps(entries) + self.gate.child.text()
        everything += exchange(self.gate.port, "GET", "/metrics").body.decode()
        for secret in (token, "marked-wrong-password", PASSWORD):
            self.assertNotIn(secret, everything)
        data = os.path.join(self.gate.directory, "data")
        for folder, _, files in os.walk(data):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    bytes_ = file.read()
                for secret in (token, "marked-wrong-password", PASSWORD):
                    self.assertNotIn(secret.encode(), bytes_, name)

    def test_upstream_away(self):
        self.sim.fault("reset", operation="LogInToCCTServer")
        answer = sign_on(self.gate.port, "agent2006")
        self.assertIn(answer.status, (502, 503, 504), answer)
        self.sim.no_faults()
        self.assertEqual(eventually(lambda: sign_on(self.gate.port, "agent2006").status == 201 and 201, "again"), 201)


class LockOut(Case):
    gateway_options = {"session": {"lockoutAfter": 3, "lockoutMs": 1000, "lockoutMaxMs": 900000}}

    def test_user_then_address(self):
        for _ in range(3):
            self.assert_problem(sign_on(self.gate.port, "agent2001", "wrong"), 401)
        before = self.sim.calls(LOGIN)
        for password in ("wrong", PASSWORD):
            answer = self.assert_problem(sign_on(self.gate.port, "Agent2001", password), 429, "sign-on-locked")
            self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
        self.assertEqual(self.sim.calls(LOGIN), before)
        self.assertEqual(sign_on(self.gate.port, "agent2002").status, 201)
        # the wait is over: one more try, and a longer wait after it
        eventually(lambda: sign_on(self.gate.port, "agent2001", "wrong").status == 401, "the wait's end")
        answer = sign_on(self.gate.port, "agent2001", "wrong")
        self.assertEqual(answer.status, 429)
        self.assertGreaterEqual(int(answer.headers["retry-after"]), 2)
        # four wrong ones and a right one so far from here: nine more, of users that are none
        statuses = [sign_on(self.gate.port, "nobody%d" % i, "wrong").status for i in range(10)]
        self.assertEqual(statuses, [401] * 9 + [429])
        before = self.sim.calls(LOGIN)
        self.assert_problem(sign_on(self.gate.port, "agent2002"), 429, "sign-on-locked")
        self.assertEqual(self.sim.calls(LOGIN), before)
        eventually(lambda: sign_on(self.gate.port, "agent2002").status == 201, "the address' wait's end")
        self.assertGreaterEqual(self.gate.metric("sign_on_lockouts_total"), 2)


class LockOutOfMany(Case):
    gateway_options = {"session": {"lockoutAfter": 3, "lockoutMs": 60000}}

    def test_many_at_once_do_not_slip_through(self):
        statuses = []
        def attempt(i):
            statuses.append(sign_on(self.gate.port, "agent2003", "wrong%d" % i).status)
        threads = [threading.Thread(target=attempt, args=(i,)) for i in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(statuses), [401] * 3 + [429] * 9)


class Life(Case):
    gateway_options = {"session": {"lingerMs": 500}}

    def test_survives_restart(self):
        gate = Gateway(self.sim)
        try:
            token = sign_on(gate.port, "agent2001").json["token"]
            for end in (gate.kill, lambda: harness.check_clean(gate.child, gate.child.end(), "cctgate")):
                end()
                gate.start()
                answer = exchange(gate.port, "GET", "/v1/users/me", bearer(token))
                self.assertEqual((answer.status, answer.json["user"]), (200, "agent2001"))
            self.assertEqual(exchange(gate.port, "DELETE", "/v1/sessions", bearer(token)).status, 204)
            gate.kill()
            gate.start()
            self.assertEqual(exchange(gate.port, "GET", "/v1/users/me", bearer(token)).status, 401)
        finally:
            gate.stop()

    def test_session_survives_a_crash(self):
        gate = Gateway(self.sim, session={"lingerMs": 600000})
        try:
            token = sign_on(gate.port, "agent2006").json["token"]
            gate.kill()
            logins = self.sim.calls(LOGIN)
            gate.start()
            answer = exchange(gate.port, "GET", "/v1/agents/2006", dict(bearer(token), **{"Cache-Control": "no-cache"}))
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(self.sim.calls(LOGIN), logins)
        finally:
            gate.stop()

    def test_lingers_after_the_last(self):
        token = sign_on(self.gate.port, "agent2004").json["token"]
        users = lambda: [s["user"] for s in self.gate.get("/v1/sessions", "operator").json["items"]]
        self.assertIn("agent2004", users())
        self.assertEqual(exchange(self.gate.port, "DELETE", "/v1/sessions", bearer(token)).status, 204)
        eventually(lambda: "agent2004" not in users(), "logged off")
        again = sign_on(self.gate.port, "agent2004")
        self.assertEqual((again.status, again.json["agents"]), (201, ["2004"]), again)

    def test_unused_bearer_lets_go(self):
        token = sign_on(self.gate.port, "agent2005").json["token"]
        eventually(lambda: exchange(self.gate.port, "GET", "/v1/sessions", harness.bearer("operator")).json["items"] and
                   "agent2005" not in [s["user"] for s in
                                       self.gate.get("/v1/sessions", "operator").json["items"]], "logged off")
        eventually(lambda: exchange(self.gate.port, "GET", "/v1/users/me", bearer(token)).status == 401, "revoked")


class Expiry(Case):
    gateway_options = {"session": {"bearerTtlMs": 10000}}

    def test_ends_unused(self):
        answer = sign_on(self.gate.port, "agent2001")
        unused, used = answer.json["token"], sign_on(self.gate.port, "agent2001").json["token"]
        bearers = lambda: self.gate.metric("bearers")
        self.assertEqual(bearers(), 2)
        def one_left():
            self.assertEqual(exchange(self.gate.port, "GET", "/v1/users/me", bearer(used)).status, 200)
            return bearers() == 1
        eventually(one_left, "the unused one ends")
        eventually(lambda: exchange(self.gate.port, "GET", "/v1/users/me", bearer(unused)).status == 401, "at every front")


class Burst(Case):
    simulator_options = {"agents": 120}
    gateway_options = {"users": ("supervisor",), "upstream": {"loginsPerSecond": 1000}, "session": {}}

    def test_burst(self):
        results = {}
        def run(start):
            for i in range(start, 100, 10):
                user = "agent%d" % (2001 + i)
                answer = sign_on(self.gate.port, user)
                token = answer.json["token"]
                me = exchange(self.gate.port, "GET", "/v1/users/me", bearer(token))
                results[user] = (answer.status, me.status, me.json.get("user"))
        threads = [threading.Thread(target=run, args=(i,)) for i in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(results), 100)
        for user, seen in results.items():
            self.assertEqual(seen, (201, 200, user))


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    """An identity provider: Ed25519 keys by openssl, and their JWK set in a file."""

    def __init__(self, directory):
        self.directory, self.file, self.keys = directory, os.path.join(directory, "jwks.json"), {}

    def openssl(self, *arguments, data=None):
        return subprocess.run(("openssl",) + arguments, input=data, stdout=subprocess.PIPE, check=True).stdout

    def add(self, kid):
        private = os.path.join(self.directory, kid + ".pem")
        self.openssl("genpkey", "-algorithm", "ed25519", "-out", private)
        public = self.openssl("pkey", "-in", private, "-pubout", "-outform", "DER")[-32:]
        self.keys[kid] = {"kty": "OKP", "crv": "Ed25519", "x": base64url(public), "kid": kid, "use": "sig"}

    def publish(self, *kids, text=None):
        fresh = self.file + ".new"
        with open(fresh, "w") as file:
            file.write(text if text is not None else json.dumps({"keys": [self.keys[k] for k in kids]}))
        os.replace(fresh, self.file)

    def token(self, kid, life=300, **claims):
        payload = {"iss": "https://id.example", "aud": "cctgate", "exp": time.time() + life, "azp": "desk", "sub": "s1",
                   "cct_users": ["agent2001"], "roles": ["viewer"]}
        payload.update(claims)
        text = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "EdDSA", "kid": kid}, payload))
        message = os.path.join(self.directory, "message")
        with open(message, "w") as file:
            file.write(text)
        signature = self.openssl("pkeyutl", "-sign", "-rawin", "-in", message, "-inkey",
                                 os.path.join(self.directory, kid + ".pem"))
        return text + "." + base64url(signature)


class Jwt(unittest.TestCase):
    def setUp(self):
        self.sim = Simulator()
        self.directory = tempfile.mkdtemp(prefix="cctgate-jwt-")
        self.provider = Provider(self.directory)
        self.provider.add("one")
        self.provider.add("two")
        self.provider.publish("one")
        self.gate = Gateway(self.sim, jwt={"issuer": "https://id.example", "audience": "cctgate", "clockSkewMs": 0,
                                           "jwksFile": self.provider.file})

    def tearDown(self):
        self.gate.stop()
        self.sim.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def get(self, token, path="/v1/users/me"):
        return exchange(self.gate.port, "GET", path, bearer(token))

    def close_of(self, client):
        code = client.expect_close()
        client.sock.close()
        return code

    def test_access(self):
        token = self.provider.token("one")
        for _ in range(8):
            answer = self.get(token)
            self.assertEqual((answer.status, answer.json["user"]), (200, "agent2001"), answer)
        self.assertEqual(self.get(token, "/v1/agents/2002").status, 404)
        self.assertEqual(self.get(token, "/v1/audit").status, 403)
        self.assertLessEqual(self.gate.metric("jwt_verified_total"), 2)  # once for each front
        none = self.get(self.provider.token("one", roles=["root"]))
        self.assertEqual(none.status, 403, none)
        everybody = self.get(self.provider.token("one", cct_users=["*"]), "/v1/agents")
        self.assertEqual((everybody.status, everybody.json["items"]), (200, []))
        stranger = self.get(self.provider.token("one", cct_users=["nobody"]), "/v1/agents")
        self.assertEqual((stranger.status, stranger.json["items"]), (200, []))
        calls = self.sim.calls()
        text, signature = token.rsplit(".", 1)
        forged = text + "." + ("B" if signature[0] == "A" else "A") + signature[1:]
        for wrong in (self.provider.token("two"), self.provider.token("one", aud="other"), forged,
                      self.provider.token("one", life=-1), token + "x", "a.b.c"):
            answer = self.get(wrong)
            self.assertEqual(answer.status, 401, answer)
            self.assertIn("invalid_token", answer.headers["www-authenticate"])
        self.assertEqual(self.sim.calls(), calls)
        self.assertEqual(exchange(self.gate.port, "DELETE", "/v1/sessions", bearer(token)).status, 409)
        self.assertNotIn(token.split(".")[2], self.gate.child.text())

    def test_large(self):
        self.assertEqual(self.get(self.provider.token("one", more="x" * 4500)).status, 200)

    def test_streams_and_expiry(self):
        token = self.provider.token("one", life=15)
        ticket = exchange(self.gate.port, "POST", "/v1/events/ticket", bearer(token)).json["ticket"]
        self.assertEqual(self.get(token, "/v1/agents/2001").status, 200)
        clients = [WebSocket(self.gate.port, who=None, headers=bearer(token)),
                   WebSocket(self.gate.port, who=None, path="/v1/events?ticket=" + ticket),
                   WebSocket(self.gate.port, who=None, headers={
                       "Sec-WebSocket-Protocol": "cctgate.v1, bearer." + token})]
        for client in clients:
            client.subscribe("a", snapshot=True)
            subjects, _ = client.snapshot("a")
            self.assertIn("/v1/agents/2001", subjects)
            self.assertNotIn("/v1/agents/2002", subjects)
        self.assertEqual([self.close_of(c) for c in clients], [4401] * 3)
        self.assertEqual(self.get(token).status, 401)

    def test_rotation(self):
        one, two = self.provider.token("one"), self.provider.token("two")
        client = WebSocket(self.gate.port, who=None, headers=bearer(one))
        self.assertEqual(self.get(two).status, 401)
        self.provider.publish("one", "two")
        eventually(lambda: self.get(two).status == 200, "the new key is in force")
        self.assertEqual(self.get(one).status, 200)
        self.provider.publish(text="{")
        eventually(lambda: self.gate.child.log("jwtKeysBad"), "a bad file is told")
        self.assertEqual((self.get(one).status, self.get(two).status), (200, 200))
        self.provider.publish("two")
        eventually(lambda: self.get(one).status == 401, "the old key is gone")
        self.assertEqual(self.close_of(client), 4401)
        self.assertEqual(self.get(two).status, 200)

    def test_reload(self):
        token = self.provider.token("one")
        self.assertEqual(self.get(token).status, 200)
        self.gate.config["jwt"]["audience"] = "other"
        self.gate.write()
        self.gate.child.process.send_signal(signal.SIGHUP)
        eventually(lambda: self.get(token).status == 401, "the audience is another")
        other = self.provider.token("one", aud=["x", "other"])
        eventually(lambda: self.get(other).status == 200, "on the other front, too")
        del self.gate.config["jwt"]
        self.gate.write()
        self.gate.child.process.send_signal(signal.SIGHUP)
        eventually(lambda: self.get(self.provider.token("one", aud="other")).status == 401, "no JWT any more")

    def test_for_a_user_who_signed_on(self):
        token = self.provider.token("one", cct_users=["agent2003"])
        for _ in range(8):
            self.assertEqual(self.get(token, "/v1/agents").json["items"], [])
        self.assertEqual(sign_on(self.gate.port, "agent2003").status, 201)
        for _ in range(8):
            self.assertEqual([a["loginId"] for a in self.get(token, "/v1/agents").json["items"]], ["2003"])
        self.assertLessEqual(self.gate.metric("jwt_verified_total"), 2)  # once for each front: who comes and goes changes nothing of that


if __name__ == "__main__":
    harness.main()
