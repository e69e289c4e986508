"""Pages of other origins: every path of /v1 shares with those that are listed, and with nobody else."""
import harness
from harness import Case, bearer, exchange

LISTED = "https://desk.example"
FOREIGN = ("https://evil.example", "null", "https://desk.example.evil.example", "http://desk.example", "https://desk.example:444", "*", "")


class Origins(Case):
    gateway_options = {"events": {"origins": [LISTED]}}

    def paths(self):
        described = exchange(self.gate.port, "GET", "/openapi.json").json["paths"]
        found = [p for p in described if p.startswith("/v1/")]
        self.assertGreater(len(found), 50)
        return [(p, p.replace("{", "").replace("}", ""), [m.upper() for m in described[p]]) for p in found]

    def test_preflight(self):
        for path, concrete, methods in self.paths():
            with self.subTest(path):
                answer = exchange(self.gate.port, "OPTIONS", concrete, {"Origin": LISTED, "Access-Control-Request-Method": methods[0]})
                self.assertEqual((answer.status, answer.headers["access-control-allow-origin"]), (204, LISTED))
                allowed = answer.headers["access-control-allow-methods"].split(", ")
                self.assertEqual([m for m in methods if m in ("GET", "POST", "PUT", "PATCH", "DELETE") and m not in allowed], [])
                self.assertIn("authorization", answer.headers["access-control-allow-headers"])
                self.assertNotIn("access-control-allow-credentials", answer.headers)
                for origin in FOREIGN:
                    answer = exchange(self.gate.port, "OPTIONS", concrete, {"Origin": origin, "Access-Control-Request-Method": methods[0]})
                    self.assert_problem(answer, 403)
                    self.assertNotIn("access-control-allow-origin", answer.headers)

    def test_answers(self):
        for path, headers in (("/v1/agents/2001", bearer("supervisor")), ("/v1/agents/none", bearer("supervisor")), ("/v1/agents", {}),
                              ("/v1/nothing", {})):
            for origin in (LISTED,) + FOREIGN:
                with self.subTest(path, origin=origin):
                    answer = exchange(self.gate.port, "GET", path, dict(headers, Origin=origin))
                    self.assertEqual(answer.headers.get("access-control-allow-origin"), LISTED if origin == LISTED else None)
                    self.assertNotIn("access-control-allow-credentials", answer.headers)
                    self.assertEqual(answer.headers["vary"], "Origin")


if __name__ == "__main__":
    harness.main()
