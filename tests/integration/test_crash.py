"""A short form of `make crash`: kill -9 under load, and what was acknowledged is still there (tests/crash/crash.py)."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../crash"))

import harness  # noqa: E402
from crash import Crash  # noqa: E402


class KillNine(unittest.TestCase):
    def test_rounds(self):
        crash = Crash(int(os.environ.get("CRASH_ROUNDS", "10")), int(os.environ.get("CRASH_SEED", "1")), sys.stderr)
        try:
            crash.run()
            crash.report()
        finally:
            crash.end()
        for what in ("grants acknowledged", "commands acknowledged", "leases compared", "audit entries compared", "events compared",
                     "acknowledged commands repeated", "models compared", "warm first reads"):
            self.assertGreater(crash.ledger.counts[what], 0, what)


if __name__ == "__main__":
    harness.main()
