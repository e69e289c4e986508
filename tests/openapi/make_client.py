"""Writes a typed Python client for an OpenAPI 3.1 document: make_client.py < openapi.json > client.py

One method per operation, with the types of its path, its parameters, its body and its answers; mypy --strict checks whoever uses it. What
a document may hold that is not understood here is an error, so that a client is never less than the document says.
"""
import json
import keyword
import re
import sys

HEAD = '''"""Made from an OpenAPI document."""
import http.client
import json
import urllib.parse
from typing import Any, Dict, Generic, List, Literal, Optional, TypedDict, TypeVar, Union, cast

T = TypeVar("T")


class Answer(Generic[T]):
    def __init__(self, status: int, headers: Dict[str, str], body: T) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class ProblemError(Exception):
    def __init__(self, status: int, problem: "Problem") -> None:
        super().__init__(status, problem)
        self.status = status
        self.problem = problem


class Connection:
    def __init__(self, host: str, port: int, token: Optional[str] = None) -> None:
        self.host = host
        self.port = port
        self.token = token

    def ask(self, method: str, path: str, query: Dict[str, Any], headers: Dict[str, Any], body: Any) -> Answer[Any]:
        given = {k: v for k, v in query.items() if v is not None}
        fields = {k: str(v) for k, v in headers.items() if v is not None}
        if self.token is not None:
            fields["Authorization"] = "Bearer " + self.token
        if body is not None:
            fields["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(method, path + ("?" + urllib.parse.urlencode(given) if given else ""),
                               body=None if body is None else json.dumps(body), headers=fields)
            reply = connection.getresponse()
            text = reply.read()
            kind = reply.getheader("Content-Type", "")
            told: Any = json.loads(text) if text and "json" in kind else text.decode()
            if kind == "application/problem+json":
                raise ProblemError(reply.status, cast("Problem", told))
            return Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()}, told if text else None)
        finally:
            connection.close()


def quote(text: str) -> str:
    return urllib.parse.quote(text, safe="")

'''
ANNOTATIONS = {"description", "format", "title", "example", "examples", "writeOnly", "default", "contentEncoding"}
BOUNDS = {"minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems", "minProperties"}
SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def identifier(name):
    name = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return name + "_" if keyword.iskeyword(name) or name[0].isdigit() else name


def snake(name):
    return identifier(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower())


class Client:
    def __init__(self, document):
        self.document = document
        self.types = []
        self.names = set()

    def at(self, reference):
        node = self.document
        for step in reference.split("/")[1:]:
            node = node[step.replace("~1", "/").replace("~0", "~")]
        return node

    def resolve(self, node):
        return self.at(node["$ref"]) if "$ref" in node else node

    def union(self, types):
        types = list(dict.fromkeys(types))
        return "Any" if "Any" in types else types[0] if len(types) == 1 else "Union[%s]" % ", ".join(types)

    def type_of(self, schema, name):
        """The Python type of a schema; `name` is what an object in it is called."""
        if schema is True or not set(schema) - ANNOTATIONS:
            return "Any"
        unknown = set(schema) - ANNOTATIONS - BOUNDS - {
            "$ref", "type", "enum", "const", "properties", "required", "additionalProperties", "items", "anyOf", "oneOf", "allOf"}
        assert not unknown, (unknown, name)
        if "$ref" in schema:
            return '"%s"' % identifier(schema["$ref"].rsplit("/", 1)[1])
        if "const" in schema:
            return "Literal[%r]" % (schema["const"],)
        if "enum" in schema:
            return "Literal[%s]" % ", ".join(repr(v) for v in schema["enum"])
        if "oneOf" in schema:
            return self.union(self.type_of(one, "%s%d" % (name, i + 1)) for i, one in enumerate(schema["oneOf"]))
        if "anyOf" in schema and "properties" not in schema:
            return self.union(self.type_of(one, "%s%d" % (name, i + 1)) for i, one in enumerate(schema["anyOf"]))
        types = schema.get("type", "object")
        return self.union(self.of_one_type(schema, one, name) for one in (types if isinstance(types, list) else [types]))

    def of_one_type(self, schema, type_, name):
        if type_ in SCALARS:
            return SCALARS[type_]
        if type_ == "array":
            return "List[%s]" % self.type_of(schema.get("items", {}), name + "Item")
        assert type_ == "object", type_
        properties, required = dict(schema.get("properties", {})), set(schema.get("required", ()))
        for one in schema.get("allOf", ()):
            properties.update(self.resolve(one).get("properties", {}))
        if not properties:
            return "Dict[str, %s]" % self.type_of(schema.get("additionalProperties", {}) or {}, name + "Value")
        return '"%s"' % self.object(identifier(name), properties, required)

    def object(self, name, properties, required):
        assert name not in self.names, name
        self.names.add(name)
        for part, total in (("Required", True), ("", False)):
            members = {k: v for k, v in properties.items() if (k in required) == total}
            text = ", ".join("%r: %s" % (k, self.type_of(v, name + "_" + identifier(k))) for k, v in members.items())
            self.types.append((name + part, text, total))
        return name

    def components(self):
        for name, schema in self.document["components"]["schemas"].items():
            own = identifier(name)
            is_object = schema.get("type", "object") == "object" and not {"anyOf", "oneOf"} & set(schema)
            type_ = self.type_of(schema, own if is_object else own + "_")
            if type_ != '"%s"' % own:
                assert own not in self.names, own
                self.names.add(own)
                self.types.append((own, type_, None))

    def print_types(self, out):
        """An object is a class with two bases' worth of members: those that must be there, and the others."""
        for name, text, total in self.types:
            if total is None:
                out.write("%s = Union[%s]\n" % (name, text))  # a name alone would be a text
            elif total:
                out.write("%s_ = TypedDict(%r, {%s})\n" % (name, name + "_", text))
            else:
                out.write("%sOptional_ = TypedDict(%r, {%s}, total=False)\n" % (name, name + "Optional_", text))
                out.write("class %s(%sRequired_, %sOptional_):\n    pass\n" % (name, name, name))

    def answers(self, operation, name):
        types = []
        for status, response in operation["responses"].items():
            if status[0] not in "2":
                continue
            content = self.resolve(response).get("content")
            for media, one in (content or {}).items():
                json_ = media.endswith("json")
                types.append(self.type_of(one["schema"], "%s_%s" % (name, status)) if json_ else "str")
            if not content:
                types.append("None")
        return self.union(types) if types else "None"

    def method(self, path, method, operation):
        name = identifier(operation["operationId"])
        parameters = [self.resolve(p) for p in operation.get("parameters", ())]
        body = operation.get("requestBody")
        names = {id(p): snake(p["name"]) for p in parameters}
        assert len(set(names.values()) | {"body"}) == len(names) + 1, (path, names.values())
        must, may = [], []
        for parameter in parameters:
            type_ = self.type_of(parameter["schema"], "%s_%s" % (name, names[id(parameter)]))
            if parameter.get("required"):
                must.append("%s: %s" % (names[id(parameter)], type_))
            else:
                may.append("%s: Optional[%s] = None" % (names[id(parameter)], type_))
        if body is not None:
            type_ = self.type_of(body["content"]["application/json"]["schema"], name + "_Body")
            (must if body.get("required") else may).append(
                "body: %s" % type_ if body.get("required") else "body: Optional[%s] = None" % type_)
        by_place = {place: "{%s}" % ", ".join("%r: %s" % (p["name"], names[id(p)]) for p in parameters if p["in"] == place)
                    for place in ("query", "header")}
        template = re.sub(r"\{([^}]+)\}", lambda m: '" + quote(%s) + "' % snake(m.group(1)), path)
        answer = self.answers(operation, name)
        signature = ", ".join(["self"] + must + (["*"] + may if may else []))
        return ("    def %s(%s) -> Answer[%s]:\n        return self.ask(%r, \"%s\", %s, %s, %s)\n"
                % (name, signature, answer, method.upper(), template, by_place["query"], by_place["header"],
                   "body" if body is not None else "None"))

    def write(self, out):
        methods = []
        self.components()
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                methods.append(self.method(path, method, operation))
        out.write(HEAD)
        self.print_types(out)
        out.write("\nclass Client(Connection):\n" + "\n".join(methods))


if __name__ == "__main__":
    Client(json.load(sys.stdin)).write(sys.stdout)
