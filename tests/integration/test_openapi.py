"""/openapi.json: valid by OpenAPI's own schema, whole, and true; a typed client that is made from it type-checks and works."""
import functools
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

import jsonschema

import harness
from harness import BOUND, Case, TOP, TOKENS, bearer, exchange

METHODS = ("get", "put", "post", "delete", "patch")
MYPY = shutil.which("mypy") or "/usr/bin/mypy"


class Document:
    def __init__(self, json_):
        self.json = json_

    def at(self, reference):
        node = self.json
        for step in reference.split("/")[1:]:
            node = node[urllib.parse.unquote(step).replace("~1", "/").replace("~0", "~")]
        return node

    def resolve(self, node):
        return self.at(node["$ref"]) if "$ref" in node else node

    @functools.cached_property
    def components(self):
        """All components' schemas, referred to from below "$defs"."""
        text = json.dumps({"$defs": self.json["components"]["schemas"]}).replace("#/components/schemas/", "#/$defs/")
        return json.loads(text)

    def validator(self, schema):
        own = json.loads(json.dumps(schema).replace("#/components/schemas/", "#/$defs/"))
        return jsonschema.Draft202012Validator({"allOf": [own], "$defs": self.components["$defs"]})

    def operations(self):
        for path, item in self.json["paths"].items():
            for method, operation in item.items():
                yield path, method, operation

    def operation(self, name):
        return next(o for _, _, o in self.operations() if o["operationId"] == name)

    def body(self, name):
        return self.validator(self.operation(name)["requestBody"]["content"]["application/json"]["schema"])

    def media(self):
        """Every media type object, with where it stands."""
        for path, method, operation in self.operations():
            holders = [(r, self.resolve(response)) for r, response in operation["responses"].items()]
            for name, holder in holders + [("body", operation.get("requestBody", {}))]:
                for media in holder.get("content", {}).values():
                    yield (method, path, name), media


def nodes(node):
    todo = [node]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            yield one
            todo += one.values()
        elif isinstance(one, list):
            todo += one


def table_of_commands():
    """(method, path) of the rows of gateway/command/table.c, its macros resolved."""
    with open(os.path.join(TOP, "gateway/command/table.c")) as file:
        text = file.read()
    macros = {}
    for name, value in re.findall(r"^#define (AGENT|TERM|ADDR|CALL|RP|CONTROL) +(.*)$", text, re.M):
        macros[name] = value
    def whole(words):
        return "".join(w[1:-1] if w[0] == '"' else whole(macros[w]) for w in re.findall(r'"[^"]*"|\w+', words))
    rows = re.findall(r'^    \{"([A-Z]+)", ([^,]+),', text, re.M)
    return [(method.lower(), whole(path)) for method, path in rows]


class OpenApi(Case):
    gateway_options = {"users": ("supervisor",)}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.answer = exchange(cls.gate.port, "GET", "/openapi.json")
        cls.document = Document(cls.answer.json)

    def test_valid_by_the_specification(self):
        with open(os.path.join(TOP, "tests/schemas/openapi/3.1.json")) as file:
            schema = json.load(file)
        jsonschema.Draft202012Validator(schema).validate(self.document.json)
        broken = json.loads(self.answer.body)
        broken["paths"]["/v1/agents"]["get"]["responses"]["200"].pop("description")
        with self.assertRaises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate(broken)

    def test_whole(self):
        """References lead somewhere, ids are names and unique, path and parameters agree, schemas are schemas."""
        for node in nodes(self.document.json):
            if isinstance(node.get("$ref"), str):
                self.document.at(node["$ref"])
        ids = [o["operationId"] for _, _, o in self.document.operations()]
        self.assertEqual(len(ids), len(set(ids)))
        for id_ in ids:
            self.assertRegex(id_, r"^[A-Za-z][A-Za-z0-9_]*$")
        for path, method, operation in self.document.operations():
            self.assertIn(method, METHODS)
            parameters = [self.document.resolve(p) for p in operation.get("parameters", ())]
            self.assertEqual([p["name"] for p in parameters if p["in"] == "path"], re.findall(r"\{([^}]+)\}", path))
            keys = [(p["in"], p["name"].lower()) for p in parameters]
            self.assertEqual(len(keys), len(set(keys)), path)
        for section in ("schemas", "parameters", "headers", "responses"):
            for name in self.document.json["components"][section]:
                self.assertRegex(name, r"^[A-Za-z0-9._-]+$")
        for schema in self.document.json["components"]["schemas"].values():
            jsonschema.Draft202012Validator.check_schema(schema)
        for _, media in self.document.media():
            jsonschema.Draft202012Validator.check_schema(media["schema"])

    def test_examples(self):
        checked = 0
        for where, media in self.document.media():
            examples = [media["example"]] if "example" in media else []
            examples += [e["value"] for e in media.get("examples", {}).values()]
            validator = self.document.validator(media["schema"]) if examples else None
            for example in examples if where[2][0] not in "45d" else ():
                self.assertEqual([e.message for e in validator.iter_errors(example)], [], where)
                checked += 1
        self.assertGreater(checked, 500)
        problem = self.document.validator({"$ref": "#/components/schemas/Problem"})
        for response in self.document.json["components"]["responses"].values():
            for example in response["content"]["application/problem+json"].get("examples", {}).values():
                problem.validate(example["value"])

    def test_no_secret_in_an_example(self):
        self.assertNotIn("examples", self.document.operation("dtmf")["requestBody"]["content"]["application/json"])
        for name in ("login", "dtmf"):
            text = json.dumps(self.document.operation(name)["requestBody"])
            self.assertIn('"format": "password"', text)
            self.assertIn('"writeOnly": true', text)

    def test_each_command_once(self):
        described = {(method, path) for path, method, _ in self.document.operations()}
        table = table_of_commands()
        self.assertGreater(len(table), 80)
        for row in table:
            self.assertIn(row, described)
        for path in {p for _, p in table}:
            for method in self.document.json["paths"][path]:
                self.assertTrue(method == "get" or (method, path) in table)
        for method, path in set(table):
            names = [self.document.resolve(p)["name"] for p in self.document.json["paths"][path][method]["parameters"]]
            self.assertIn("Idempotency-Key", names)

    def test_bodies_fit_one_form(self):
        good = {
            "setReadiness": [{"ready": True}, {"ready": False}, {"ready": False, "reasonCode": "3"}],
            "login": [{}, {"terminal": "x"}, {"workstation": "w", "password": "p", "initialState": "READY"}],
            "pickup": [{"group": "3"}, {"terminalConnectionId": "1"}, {"from": "x"}, {"to": "7001", "agent": "2001"}],
            "transfer": [{"to": "7001"}, {"to": "7001", "mode": "blind"}, {"to": "7001", "mode": "supervised"}],
            "recording": [{"state": "start"}, {"state": "stop", "port": 1, "transportType": "TLS"}],
            "makeCall": [{"to": "7001", "from": {"agent": "2001"}}, {"to": "7001", "terminal": "x"}],
            "attach": [{"profile": "FullControl"}], "answer": [{}, {"terminal": "x"}],
            "setData": [{"k": "v"}, {"type": "STRING", "value": "v"}, {"type": "BINARY", "value": "dGV4dA=="}],
        }
        bad = {
            "setReadiness": [{}, {"ready": "yes"}, {"ready": True, "reasonCode": "3"}, {"ready": False, "code": "3"}],
            "login": [{"initialState": "BUSY"}, {"password": 1}],
            "pickup": [{}, {"group": ""}, {"group": "3", "to": "7001"}],
            "transfer": [{}, {"to": ""}, {"to": "7001", "mode": "other"}],
            "recording": [{}, {"state": "pause"}, {"state": "start", "port": -1}, {"state": "start", "port": 2 ** 31}],
            "makeCall": [{"to": "7001", "from": {}}, {"to": "7001", "from": {"agent": ""}}, {"from": {"agent": "2001"}}],
            "attach": [{}, {"profile": "All"}, {"profile": "FullControl", "agent": "2001"}], "answer": [{"to": "7001"}],
            "setData": [{"k": 1}, []],
        }
        for table, wanted in ((good, True), (bad, False)):
            for name, bodies in table.items():
                for body in bodies:
                    self.assertEqual(self.document.body(name).is_valid(body), wanted, (name, body))

    def test_roles_and_answers(self):
        self.assertEqual(self.document.operation("transferControl")["security"], [{"bearer": ["operator"]}])
        self.assertEqual(self.document.operation("makeCall")["security"],
                         [{"bearer": ["controller"]}, {"bearer": ["supervisor"]}])
        self.assertEqual(self.document.operation("listAgents")["security"], [{"bearer": []}])
        self.assertIn("200", self.document.operation("makeCall")["responses"])
        self.assertEqual(set(self.document.operation("transfer")["responses"]) & {"200", "202", "204"}, {"200", "202", "204"})
        self.assertFalse({"200", "202", "204"} & set(self.document.operation("mute")["responses"]))
        for name in ("makeCall", "answer", "AgentService_Login"):
            for status in ("400", "401", "403", "404", "409", "422", "429", "501", "502", "503", "504"):
                self.assertIn(status, self.document.operation(name)["responses"], name)

    def test_catalogue(self):
        services = self.gate.get("/v1/services").json["items"]
        wanted = {"/v1/services/%s/%s" % (s["name"], o["name"]) for s in services for o in s["operations"]}
        described = {p for p, m, _ in self.document.operations() if p.startswith("/v1/services/") and m == "post"}
        self.assertEqual({p for p in described if "{" in p}, set())
        self.assertLessEqual(described, wanted)
        self.assertEqual(len(described), 217)
        self.assertNotIn("ssoToken", json.dumps({k: v for k, v in self.document.json["components"]["schemas"].items()
                                                 if k.startswith("cct.in.")}))
        self.assertLess(len(self.answer.body), 3 << 20)
        path = "/v1/services/UserService/GetAgents"
        operation = self.document.json["paths"][path]["post"]
        told = exchange(self.gate.port, "POST", path, dict(bearer("supervisor"), **{"Content-Type": "application/json"}),
                        json.dumps(operation["requestBody"]["content"]["application/json"]["example"]))
        if told.status == 200:
            self.document.validator(operation["responses"]["200"]["content"]["application/json"]["schema"]).validate(told.json)
        else:
            self.document.validator({"$ref": "#/components/schemas/Problem"}).validate(told.json)

    def test_enumerations_are_the_contracts(self):
        schemas = self.document.json["components"]["schemas"]
        for name, value in (("AgentType", "Supervisor"), ("TerminalType", "AGENT"), ("AddressType", "ROUTE_POINT"),
                            ("ResourceState", "IN_SERVICE"), ("ConnectionState", "ESTABLISHED"),
                            ("TerminalConnectionState", "RINGING"), ("AttachedDataType", "KEY_VALUE_PAIRS")):
            self.assertIn(value, schemas[name]["anyOf"][0]["enum"], name)
            self.assertEqual(schemas[name]["anyOf"][1], {"type": "string"})
        for name in ("AgentFlags", "TerminalFlags", "AddressFlags", "CallFlags", "ConnectionFlags", "LegFlags"):
            self.assertGreater(len(schemas[name]["properties"]), 5, name)

    def check_answer(self, path, url):
        answer = self.gate.get(url, "operator")
        response = self.document.json["paths"][path]["get"]["responses"][str(answer.status)]
        response = self.document.resolve(response)
        media = response["content"][answer.headers["content-type"].split(";")[0]]
        if "json" in answer.headers["content-type"]:
            self.document.validator(media["schema"]).validate(answer.json)
        named = {h.lower() for h in response.get("headers", {})}
        for header in ("etag", "age", "cache-status", "cct-sync", "link"):
            if header in answer.headers:
                self.assertIn(header, named, path)
        return answer

    def test_reads_are_as_described(self):
        made = self.sim.admin("POST", "/calls", {"to": "2002", "answer": True, "data": {"case": "4"}})["contactId"]
        call = harness.eventually(lambda: [c for c in self.gate.get("/v1/calls", headers={"Cache-Control": "no-cache"}).json["items"]
                                           if c["contactId"] == made], "the call is listed")
        ids = {"loginId": "2001", "user": "supervisor", "slug": "not-found", "service": "UserService",
               "operation": "GetAgents", "contactId": call[0]["contactId"]}
        names = {"/v1/terminals/": self.gate.get("/v1/terminals").json["items"][0]["name"],
                 "/v1/addresses/": self.gate.get("/v1/addresses").json["items"][0]["name"]}
        checked = 0
        for path, method, _ in list(self.document.operations()):
            if method != "get" or path == "/v1/events" or path.startswith("/v1/outbound"):  # that: test_outbound.py
                continue
            own = dict(ids, name=next((v for k, v in names.items() if path.startswith(k)), None))
            wanted = re.findall(r"\{([^}]+)\}", path)
            if all(own.get(w) for w in wanted):
                answer = self.check_answer(path, re.sub(r"\{([^}]+)\}", lambda m: urllib.parse.quote(own[m.group(1)], safe=""), path))
                self.assertEqual(answer.status, 200, path)
                checked += 1
        self.assertGreater(checked, 25)

    def test_made_once(self):
        again = exchange(self.gate.port, "GET", "/openapi.json", {"If-None-Match": self.answer.headers["etag"]})
        self.assertEqual((again.status, again.body), (304, b""))
        self.assertEqual(exchange(self.gate.port, "GET", "/openapi.json").body, self.answer.body)


class TypedClient(Case):
    gateway_options = {"users": ("supervisor",)}

    def mypy(self, directory, text):
        with open(os.path.join(directory, "use.py"), "w") as file:
            file.write("from client import Client, ProblemError\nc = Client('127.0.0.1', 1, 'token')\n" + text)
        done = subprocess.run([MYPY, "--strict", "--cache-dir", os.path.join(directory, "cache"), "use.py"], cwd=directory,
                              capture_output=True, text=True, timeout=BOUND * 4, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_client(self):
        with tempfile.TemporaryDirectory(prefix="cctgate-client-") as directory:
            made = subprocess.run([sys.executable, os.path.join(TOP, "tests/openapi/make_client.py")], check=True,
                                  input=exchange(self.gate.port, "GET", "/openapi.json").body, capture_output=True,
                                  timeout=BOUND)
            with open(os.path.join(directory, "client.py"), "wb") as file:
                file.write(made.stdout)
            good = ("c.setReadiness('2001', {'ready': False, 'reasonCode': '3'}, control_lease='x')\n"
                    "a = c.getAgent('2001').body\nn: str = a['loginId']\nk = c.listCalls(limit=3).body['items'][0]['contactId']\n")
            status, text = self.mypy(directory, good)
            self.assertEqual(status, 0, text)
            for bad in ("c.setReadiness('2001', {'ready': 'yes'})\n", "c.transfer('1', {'mode': 'blind'})\n",
                        "c.getAgent(2001)\n", "x: int = c.getAgent('2001').body['loginId']\n", "c.attach('2001', {'profile': 'All'})\n"):
                self.assertEqual(self.mypy(directory, bad)[0], 1, bad)
            spec = importlib.util.spec_from_file_location("client", os.path.join(directory, "client.py"))
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            client = module.Client("127.0.0.1", self.gate.port, TOKENS["supervisor"][0])
            answer = client.getAgent("2001")
            self.assertEqual((answer.status, answer.body["loginId"]), (200, "2001"))
            self.assertEqual(client.listAgents(limit=1).body["items"][0]["loginId"], "2001")
            with self.assertRaises(module.ProblemError) as raised:
                client.getAgent("9999999")
            self.assertEqual(raised.exception.problem["type"], "/problems/not-found")


if __name__ == "__main__":
    harness.main()
