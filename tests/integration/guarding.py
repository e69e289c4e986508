"""What the tests of isolation share: who there is, what is whose, and how two answers are compared.

A cell is one try of a table: this token, that resource, that door. What is denied is the same to the byte as what does not exist, and the
simulator's counters do not move.
"""
import atexit
import contextlib
import http.client
import os
import re
import shutil
import tempfile
import uuid
from collections import Counter
from urllib.parse import quote

import harness
import outbounding
import test_catalogue
from commanding import call_command, control_of, line, of, position
from harness import Case, Gateway, Simulator, bearer, eventually, exchange
from test_live import CONSUMER, is_live, quiet
from test_sign_on import Provider

ROLES = ("viewer", "controller", "supervisor", "recorder", "operator", "campaigner")
READERS = {"viewer", "controller", "supervisor", "recorder", "operator"}
ACTORS = {"controller", "supervisor"}
ACTING = ["viewer", "controller", "supervisor", "recorder"]
LONG = 3600000

harness.TOKENS.update({
    "mine": ("guard-mine-token", ["agent2002"], ACTING),
    "other": ("guard-other-token", ["agent2003"], ACTING),
    "twins": ("guard-twins-token", ["agent2002", "agent2003"], ACTING),
    "every": ("guard-every-token", ["*"], ACTING + ["operator"]),
    "outbound": ("guard-outbound-token", ["agent2002"], ["campaigner"]),
    "outbound2": ("guard-outbound-2-token", ["agent2002"], ["campaigner"]),
})
# who sees through whose sessions; those that are made while the test runs have their tokens then
SEES = {"mine": {"agent2002"}, "other": {"agent2003"}, "twins": {"agent2002", "agent2003"},
        "every": {"supervisor", "agent2002", "agent2003"}, "signed": {"agent2004"}, "jwt": {"agent2003"}, "nobody": set(),
        "outbound": set()}

KINDS = ("agents", "terminals", "addresses", "calls", "users")

cells, allowed = Counter(), Counter()


def tell():
    if cells:
        print("cells: " + ", ".join("%s %d (%d of them allowed)" % (name, count, allowed[name]) for name, count in sorted(cells.items()))
              + "; %d in all" % sum(cells.values()), flush=True)


atexit.register(tell)


def form(answer):
    """All of an answer that must not differ."""
    return answer.status, answer.body, sorted(f for f in answer.fields if f[0] not in ("date", "x-request-id"))


def is_forbidden(answer):
    return answer.status == 403 and answer.json["type"] == "/problems/forbidden"


def problem_of(answer):
    return answer.json["type"].rsplit("/", 1)[1] if answer.status >= 400 and answer.body else None


class Identities:
    """A provider of identities, and tokens of it, of somebody who signed on, and of nobody."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="cctgate-guard-")
        self.provider = Provider(self.directory)
        self.provider.add("one")
        self.provider.publish("one")

    def settings(self, **more):
        return dict({"issuer": "https://id.example", "audience": "cctgate", "clockSkewMs": 0, "jwksFile": self.provider.file}, **more)

    def token(self, users, roles, **claims):
        return self.provider.token("one", life=LONG / 1000, cct_users=users, roles=roles, **claims)

    def release(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def sign_on(port, user):
    body = {"username": user, "password": harness.PASSWORD, "domain": "CC"}
    answer = call_command(port, "POST", "/v1/sessions", None, body)
    assert answer.status == 201, answer
    return answer.json["token"]


class Guarded(Case):
    """Four agents with a call each: two are users of the configuration, one has signed on, one is only the supervisor's to see."""
    simulator_options = {"agents": 8, "scenario": "idle"}
    gateway_options = {}
    owners = ("2002", "2003", "2004", "2005")
    session = {"roles": ACTING, "lingerMs": LONG}

    @classmethod
    def setUpClass(cls):
        cls.identities, cls.gate, cls.tokens_made = Identities(), None, []
        cls.sim = Simulator(**cls.simulator_options)
        try:
            cls.open()
        except BaseException:
            if cls.gate is not None:
                cls.gate.child.end()
            cls.sim.child.end()
            raise

    @classmethod
    def open(cls):
        options = {"consumer": CONSUMER, "upstream": {"reconcileMs": LONG, "pollMs": LONG}, "jwt": cls.identities.settings(),
                   "session": cls.session, "control": {"ttlMs": LONG}, "outbound": outbounding.settings(cls.sim),
                   "cache": {"ttlMs": {"outbound": LONG}}}
        options.update(cls.gateway_options)
        cls.gate = cls.gateway(users=("supervisor", "agent2002", "agent2003"), **options)
        cls.token("signed", sign_on(cls.gate.port, "agent2004"), ["agent2004"])
        cls.token("jwt", cls.identities.token(["agent2003"], ACTING), ["agent2003"])
        cls.token("nobody", cls.identities.token(["nobody"], ACTING), [])
        cls.objects = {}
        for owner in cls.owners:
            cls.sim.admin("POST", "/agents/" + owner, {"loggedIn": True, "ready": True})
            call = cls.sim.admin("POST", "/calls", {"to": owner, "answer": True, "data": {"case": "data-of-" + owner}})
            cls.objects[owner] = {"agents": owner, "terminals": line(owner), "addresses": position(owner),
                                  "calls": call["contactId"], "users": "agent" + owner}
        cls.settle()
        cls.warm()

    @classmethod
    def gateway(cls, **options):
        return Gateway(cls.sim, **options)

    @classmethod
    def token(cls, name, token, users):
        harness.TOKENS[name] = (token, users, ACTING)
        cls.tokens_made.append(name)

    @classmethod
    def tearDownClass(cls):
        for name in cls.tokens_made:
            harness.TOKENS.pop(name, None)
        cls.identities.release()
        super().tearDownClass()

    @classmethod
    def settle(cls):
        eventually(lambda: is_live(cls.gate, "mine", "other", "signed"), "live")
        eventually(lambda: quiet(cls.sim, cls.gate), "quiet")

    @classmethod
    def warm(cls):
        """Everybody has read all that there is: what is denied from now on is denied from the cache."""
        for who in SEES:
            for kind in KINDS:
                cls.gate.get("/v1/" + kind, who)
        for owner in cls.owners:
            for who in SEES:
                if cls.sees(who, owner):
                    for kind in KINDS[:4]:
                        answer = cls.gate.get(of(kind, cls.objects[owner][kind]), who)
                        assert answer.status == 200, (who, owner, kind, answer)
        cls.warm_campaigns()

    @classmethod
    def warm_campaigns(cls):
        answer = cls.gate.get(outbounding.CAMPAIGNS, "outbound")
        assert answer.status == 200, answer

    @classmethod
    def sees(cls, who, owner, kind=None):
        """May the token see the object? A user is seen by those who act for it, all else also through the session that sees all."""
        users = SEES[who]
        return "agent" + owner in users or (kind != "users" and "supervisor" in users)

    @classmethod
    def strangers(cls, owner, kind=None):
        return [who for who in SEES if not cls.sees(who, owner, kind) and who != "outbound"]

    @staticmethod
    def absent(kind):
        """What nobody has ever heard of, of the same form."""
        return {"agents": "2999", "terminals": "Line 9.9.9", "addresses": "52999", "users": "agent2999",
                "calls": str(uuid.UUID(int=0x5eed))}[kind]

    # ---- cells ----

    def setUp(self):
        super().setUp()
        self.wrong, self.asking = [], None

    def tearDown(self):
        if self.asking is not None:
            self.asking.close()
        self.assertEqual(len(self.wrong), 0, "%d wrong cells:\n%s" % (len(self.wrong), "\n".join(str(w)[:600] for w in self.wrong[:12])))

    @contextlib.contextmanager
    def control(self, agent, who):
        """FullControl of an agent for a while: its lease."""
        answer = call_command(self.gate.port, "PUT", control_of(agent), who, {"profile": "FullControl"})
        assert answer.status == 200, answer
        try:
            yield answer.json["lease"]
        finally:
            call_command(self.gate.port, "DELETE", control_of(agent), who, lease=answer.json["lease"])

    def counters(self):
        """The simulator's, asked over and over by one connection."""
        if self.asking is None:
            self.asking = http.client.HTTPConnection("127.0.0.1", self.sim.admin_port, timeout=harness.BOUND)
        return exchange(self.sim.admin_port, "GET", "/counters", connection=self.asking).json

    def operations(self):
        return self.counters()["operations"]

    def table(self):
        return self.id().rsplit(".", 1)[1].replace("test_", "")

    def cell(self, fine, *what, granted=False):
        cells[self.table()] += 1
        allowed[self.table()] += granted
        if not fine:
            self.wrong.append(what)

    def untouched(self, act, *what):
        """Whatever it does, the contact centre does not hear of it."""
        before = self.operations()
        result = act()
        after = self.operations()
        if after != before:
            self.wrong.append(what + ("the contact centre was asked", {k: v for k, v in after.items() if before.get(k) != v}))
        return result

    def denied_like(self, foreign, absent, *what):
        """Both were answered: alike, and with a refusal."""
        self.cell(form(foreign) == form(absent) and foreign.status >= 400, *what, foreign, absent)


# ---- routes, as the gateway describes them ----

METHODS = ("get", "put", "post", "delete", "patch")


def routes(gate):
    """(method, path, operation) of all that /openapi.json has, and the document."""
    document = exchange(gate.port, "GET", "/openapi.json").json
    return [(method.upper(), path, operation) for path, item in document["paths"].items() for method, operation in item.items()
            if method in METHODS], document


def parameters(path):
    return re.findall(r"\{(\w+)\}", path)


def kind_of(path):
    """Of what kind the object is that a path's first parameter names; None: of none that is somebody's."""
    for kind in KINDS:
        if path.startswith("/v1/%s/{" % kind):
            return kind
    return "addresses" if path.startswith("/v1/route-points/{") else None


def concrete(path, *values):
    """The path with values in the place of its parameters."""
    for name, value in zip(parameters(path), values):
        path = path.replace("{%s}" % name, quote(value, safe="-._~"))
    return path


def resolve(document, schema):
    while "$ref" in schema:
        node = document
        for part in schema["$ref"][2:].split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]
        schema = node
    return schema


def body_schemas(document, operation):
    """The alternatives of a body, each an object's schema."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = next((c["schema"] for t, c in content.items() if "json" in t), None)
    if schema is None:
        return []
    schema = resolve(document, schema)
    return [resolve(document, s) for s in schema.get("oneOf") or schema.get("anyOf") or [schema]]


class Maker:
    """Values that a schema accepts; what members are called says which texts."""
    made = test_catalogue.EveryRoute.instance

    def __init__(self, **names):
        self.names = names

    def instance(self, schema, document, name="", depth=0):
        if "properties" in schema and "required" in schema.get("anyOf", [{}])[0]:
            schema = dict(schema, required=schema.get("required", []) + schema["anyOf"][0]["required"])
            del schema["anyOf"]
        return self.made(schema, document, name, depth)


def handles(value, found=None, at=()):
    """Where a body of the catalogue names objects: [(path of members, member)]."""
    found = [] if found is None else found
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in HANDLE and isinstance(inner, str):
                found.append((at, name))
            handles(inner, found, at + (name,))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            handles(inner, found, at + (i,))
    return found


HANDLE = {"agentLoginId": "agents", "agentId": "agents", "terminalName": "terminals", "addressName": "addresses", "contactId": "calls",
          "connectionId": "connections", "terminalConnectionId": "legs"}


def put(value, at, name, text):
    """A copy with one member replaced."""
    if isinstance(value, list):
        return [put(inner, at[1:], name, text) if i == at[0] else inner for i, inner in enumerate(value)]
    if not at:
        return dict(value, **{name: text})
    return dict(value, **{at[0]: put(value[at[0]], at[1:], name, text)})


def bare(who):
    return dict(bearer(who))
