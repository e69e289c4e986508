"""Resources: their shapes, who sees what, paging, validators."""
import re
import urllib.parse

import harness
from harness import Case, bearer, exchange

SHAPES = {
    "agents": ["loginId", "userName", "agentType", "loginStatus", "readyStatus", "notReadyReasonCode", "activityCode",
               "presence", "voiceTerminal", "terminals", "addresses", "supervisor", "contactTypes", "calls",
               "capabilities", "control", "sync", "staleSince"],
    "terminals": ["name", "type", "state", "addresses", "terminalConnections", "agent", "doNotDisturb", "forwarding",
                  "capabilities", "sync"],
    "addresses": ["name", "type", "state", "terminals", "connections", "doNotDisturb", "forwarding", "messageWaiting",
                  "capabilities", "sync"],
    "calls": ["contactId", "externalContactId", "contactTypes", "calling", "called", "originalDestination",
              "lastRedirected", "connections", "data", "intrinsics", "uui", "consultOf", "transferredFrom",
              "capabilities", "sync"],
    "users": ["user", "agents", "terminals", "addresses", "session", "sync"],
}
KEYS = {"agents": "loginId", "terminals": "name", "addresses": "name", "calls": "contactId", "users": "user"}


def path_of(kind, item):
    return "/v1/%s/%s" % (kind, urllib.parse.quote(item[KEYS[kind]], safe=""))


class Reads(Case):
    simulator_options = {"agents": 8}

    def items(self, kind, who="supervisor"):
        response = self.gate.get("/v1/" + kind, who)
        self.assertEqual(response.status, 200, response)
        return response.json["items"]

    def test_every_object_has_its_shape(self):
        for kind, names in SHAPES.items():
            items = self.items(kind)
            self.assertTrue(items, kind)
            for item in items:
                single = self.gate.get(path_of(kind, item))
                self.assertEqual(single.status, 200, single)
                for name in names:
                    self.assertIn(name, single.json, kind)
                self.assertIn(item["sync"], ("cached", "stale"))
                self.assertEqual(single.json["sync"], "cached")

    def test_agents_match_the_ground_truth(self):
        truth = {a["id"]: a for a in self.sim.state()["agents"]}
        for agent in self.items("agents"):
            real = truth[agent["loginId"]]
            self.assertEqual(agent["loginStatus"] == "LOGGED_IN", real["loggedIn"], agent)
            self.assertEqual(sorted(agent["terminals"]), sorted(real["terminals"]))
            if real["loggedIn"]:
                self.assertEqual(agent["readyStatus"] == "READY", real["ready"], agent)
                if not real["ready"]:
                    self.assertEqual(agent["notReadyReasonCode"] or "", real["reasonCode"])

    def test_calls_match_the_ground_truth(self):
        truth = {c["contactId"]: c for c in self.sim.state()["calls"]}
        calls = {c["contactId"]: c for c in self.items("calls")}
        self.assertEqual(set(calls), set(truth))
        for contact_id, call in calls.items():
            real = {c["id"]: c["state"] for c in truth[contact_id]["connections"]}
            self.assertEqual({c["connectionId"]: c["state"] for c in call["connections"]}, real)
            self.assertEqual((call["calling"], call["called"]), (truth[contact_id]["calling"], truth[contact_id]["called"]))
            tcs = {t["id"]: t["state"] for c in truth[contact_id]["connections"] for t in c["terminalConnections"]}
            self.assertEqual({t["terminalConnectionId"]: t["state"] for c in call["connections"]
                              for t in c["terminalConnections"]}, tcs)
            if truth[contact_id]["consultOf"]:
                self.assertIn(contact_id, calls[truth[contact_id]["consultOf"]]["consults"])
            for connection in call["connections"]:
                self.assertIsInstance(connection["capabilities"].get("canDisconnect"), bool)
                for tc in connection["terminalConnections"]:
                    self.assertIsInstance(tc["capabilities"].get("canAnswer"), bool)

    def test_capabilities_alone(self):
        for kind, flag in (("agents", "canLogin"), ("terminals", "canOriginate"), ("addresses", "canForward"),
                           ("calls", "canDrop")):
            for item in self.items(kind)[:3]:
                response = self.gate.get(path_of(kind, item) + "/capabilities")
                self.assertEqual(response.status, 200, response)
                self.assertIsInstance(response.json[flag], bool)
                self.assertEqual(response.json["sync"], "cached")

    def test_agent_terminals_show_both_sets_of_capabilities(self):
        kinds = {t["type"]: t["capabilities"] for t in self.items("terminals")}
        self.assertIn("canCallSupervisor", kinds["AGENT"])
        self.assertIn("canPickup", kinds["AGENT"])

    def test_parts_of_a_call(self):
        for call in self.items("calls"):
            path = path_of("calls", call)
            data = self.gate.get(path + "/data")
            self.assertEqual(data.status, 200, data)
            if call["data"] and call["data"]["type"] == "KEY_VALUE_PAIRS":
                self.assertEqual(data.json, call["data"]["value"])
            elif call["data"]:
                self.assertEqual(data.json, call["data"])
            self.assertEqual(data.headers["cct-sync"], "cached")
            self.assertEqual(self.gate.get(path + "/intrinsics").json, call["intrinsics"])
            self.assertEqual(self.gate.get(path + "/uui").json["uui"], call["uui"])
            self.assertIn("items", self.gate.get(path + "/messages").json)

    def test_one_user_sees_its_own_only(self):
        mine = {kind: {i[KEYS[kind]] for i in self.items(kind, "agent2001")} for kind in SHAPES}
        everything = {kind: {i[KEYS[kind]] for i in self.items(kind)} for kind in SHAPES}
        self.assertEqual(mine["agents"], {"2001"})
        self.assertEqual(mine["users"], {"agent2001"})
        for kind in ("agents", "terminals", "addresses", "calls"):
            self.assertLessEqual(mine[kind], everything[kind])
            for foreign in sorted(everything[kind] - mine[kind]):
                path = "/v1/%s/%s" % (kind, urllib.parse.quote(foreign, safe=""))
                for sub in ("", "/capabilities") + (("/data", "/intrinsics", "/uui", "/messages") if kind == "calls" else ()):
                    self.assertEqual(self.gate.get(path + sub).status, 200)  # in the cache for others
                    hidden = self.gate.get(path + sub, "agent2001")
                    absent = self.gate.get("/v1/%s/%s" % (kind, "x" * len(foreign)) + sub, "agent2001")
                    self.assert_problem(hidden, 404, "not-found")
                    self.assertEqual(hidden.body, absent.body)
                    ignored = ("x-request-id", "date")
                    self.assertEqual({k: v for k, v in hidden.fields if k not in ignored},
                                     {k: v for k, v in absent.fields if k not in ignored})

    def test_only_if_cached_does_not_tell_them_apart_either(self):
        self.assertEqual(self.gate.get("/v1/agents/2003").status, 200)
        hidden = self.gate.get("/v1/agents/2003", "agent2001", {"Cache-Control": "only-if-cached"})
        absent = self.gate.get("/v1/agents/9003", "agent2001", {"Cache-Control": "only-if-cached"})
        self.assertEqual((hidden.status, hidden.body), (absent.status, absent.body))

    def test_token_of_two_users(self):
        self.assertEqual({a["loginId"] for a in self.items("agents", "both")}, {"2001", "2002"})
        self.assertEqual({u["user"] for u in self.items("users", "both")}, {"agent2001", "agent2002"})
        chosen = self.gate.get("/v1/agents", "both", {"CCT-User": "agent2002"}).json["items"]
        self.assertEqual([a["loginId"] for a in chosen], ["2002"])
        self.assertEqual(self.gate.get("/v1/agents/2001", "both", {"CCT-User": "agent2002"}).status, 404)
        self.assertEqual(self.gate.get("/v1/users/me", "both", {"CCT-User": "agent2002"}).json["user"], "agent2002")

    def test_operator_sees_everybody(self):
        self.assertEqual({a["loginId"] for a in self.items("agents", "operator")},
                         {a["loginId"] for a in self.items("agents")})
        sessions = self.gate.get("/v1/sessions", "operator").json["items"]
        self.assertEqual({s["user"] for s in sessions}, {"supervisor", "agent2001", "agent2002"})
        self.assertEqual({s["state"] for s in sessions}, {"up"})
        self.assertEqual([s["user"] for s in self.gate.get("/v1/sessions", "agent2001").json["items"]], ["agent2001"])

    def test_me(self):
        me = self.gate.get("/v1/users/me", "agent2001").json
        self.assertEqual(me["user"], "agent2001")
        self.assertEqual(me["agents"], ["2001"])
        self.assertEqual(me["session"]["state"], "up")
        self.assertNotIn("unsupportedMapping", me)
        self.assertTrue(self.gate.get("/v1/users/me", "supervisor").json["unsupportedMapping"])

    def test_pages(self):
        for kind in ("agents", "terminals", "addresses", "users"):
            for who in ("supervisor", "operator", "both"):
                whole = [i[KEYS[kind]] for i in self.items(kind, who)]
                self.assertEqual(whole, sorted(whole, key=lambda t: t.encode()) if kind != "users" else whole)
                path, seen = "/v1/%s?limit=3" % kind, []
                while path:
                    page = self.gate.get(path, who)
                    self.assertLessEqual(len(page.json["items"]), 3)
                    seen += [i[KEYS[kind]] for i in page.json["items"]]
                    link = re.match(r'<([^>]+)>; rel="next"', page.headers.get("link", ""))
                    path = link.group(1) if link else None
                self.assertEqual(seen, whole, (kind, who))

    def test_validators(self):
        for path in ("/v1/agents/2001", "/v1/agents", "/v1/users/supervisor", "/v1/agents/2001/capabilities"):
            first = self.gate.get(path)
            etag = first.headers["etag"]
            self.assertRegex(etag, r'^"[^"]+"$')
            self.assertEqual(first.headers["cache-control"], "private, no-cache")
            self.assertGreaterEqual(int(first.headers["age"]), 0)
            for condition in (etag, "*", '"other", ' + etag, "W/" + etag):
                again = self.gate.get(path, headers={"If-None-Match": condition})
                self.assertEqual(again.status, 304, condition)
                self.assertEqual(again.body, b"")
                self.assertEqual(again.headers["etag"], etag)
            for condition in ('"other"', etag[:-2] + '"', etag.strip('"')):
                self.assertEqual(self.gate.get(path, headers={"If-None-Match": condition}).status, 200, condition)

    def test_etag_follows_the_content(self):
        before = self.gate.get("/v1/agents/2002", headers={"Cache-Control": "no-cache"})
        same = self.gate.get("/v1/agents/2002", headers={"Cache-Control": "no-cache"})
        self.assertEqual(before.headers["etag"], same.headers["etag"])
        truth = {a["id"]: a for a in self.sim.state()["agents"]}["2002"]
        self.sim.admin("POST", "/agents/2002", {"loggedIn": not truth["loggedIn"]})
        after = self.gate.get("/v1/agents/2002", headers={"Cache-Control": "no-cache"})
        self.assertNotEqual(before.headers["etag"], after.headers["etag"])
        self.assertNotEqual(before.json["loginStatus"], after.json["loginStatus"])

    def test_head(self):
        connection = self.gate.connect()
        for path in ("/v1/agents/2001", "/v1/agents", "/healthz", "/v1/agents/9999999"):
            get = self.gate.get(path, connection=connection)
            head = self.gate.get(path, connection=connection, method="HEAD")
            self.assertEqual(head.status, get.status)
            self.assertEqual(head.body, b"")
            self.assertEqual(head.headers.get("content-length"), str(len(get.body)), path)
        connection.close()

    def test_ids_with_odd_characters(self):
        for item in self.items("terminals"):
            encoded = "".join("%%%02X" % b for b in item["name"].encode())
            self.assertEqual(self.gate.get("/v1/terminals/" + encoded).json["name"], item["name"])

    def test_routes_are_described(self):
        described = exchange(self.gate.port, "GET", "/openapi.json").json
        self.assertEqual(described["openapi"], "3.1.0")
        others = {"/v1/events": 426, "/v1/audit": 403}  # another protocol, another role
        for path, item in described["paths"].items():
            if "{" not in path and "get" in item and not path.startswith("/v1/outbound/"):
                answer = exchange(self.gate.port, "GET", path, bearer("supervisor"))
                self.assertEqual(answer.status, others.get(path, 200), path)

    def test_metrics_are_openmetrics(self):
        text = exchange(self.gate.port, "GET", "/metrics").body.decode()
        self.assertTrue(text.endswith("# EOF\n"))
        families = set()
        for line in text.splitlines()[:-1]:
            if line.startswith("# TYPE "):
                _, _, family, kind = line.split(" ")
                self.assertIn(kind, ("counter", "gauge", "info", "stateset"))
                self.assertNotIn(family, families)
                families.add(family)
            else:
                self.assertRegex(line, r"^cctgate_[a-z0-9_]+(\{[^}]*\})? [0-9]+$")

    def test_capacity(self):
        capacity = self.gate.get("/v1/capacity", "operator").json
        self.assertEqual(capacity["loggedInAgents"]["limit"], 1000)
        self.assertEqual(capacity["loggedInAgents"]["warningAt"], 850)

    def test_no_secret_in_the_log(self):
        self.items("calls")
        text = self.gate.child.text()
        for secret in (harness.PASSWORD, "supervisor-token", "agent-2001-token"):
            self.assertNotIn(secret, text)


if __name__ == "__main__":
    harness.main()
