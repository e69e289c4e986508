#!/usr/bin/env python3
"""Sessions over crashes and losses, from outside: adopted or logged off, paced, announced ends."""
import glob
import os
import random
import signal
import stat
import time
import unittest

from harness import Case, Gateway, Simulator, eventually, main

KILLS = int(os.environ.get("SESSION_KILLS", "20"))
STORM = int(os.environ.get("SESSION_STORM", "120"))
CONSUMER = {"address": "127.0.0.1", "port": 0}


def users_of(sim):
    return sorted(s["user"] for s in sim.state()["sessions"])


def agents(count):
    return ["agent%d" % (2001 + i) for i in range(count)]


class Own(unittest.TestCase):
    """A simulator and a gateway per test."""

    def begin(self, users, sim=None, **changes):
        self.sim = Simulator(agents=max(6, len(users)), **(sim or {}))
        self.addCleanup(self.sim.stop)
        changes.setdefault("consumer", CONSUMER)
        self.gate = Gateway(self.sim, users=users, **changes)
        self.addCleanup(self.gate.stop)

    def restart(self, ready=True):
        self.gate.kill()
        self.gate.start(ready)

    def one_each(self, users):
        eventually(lambda: users_of(self.sim) == sorted(users), "one session for each: %s" % users_of(self.sim))


class Crash(Own):
    def subscriptions(self):
        return {s["id"] for s in self.sim.admin("GET", "/subscriptions")}

    def test_what_lives_is_adopted_and_its_subscription_replaced(self):
        users = agents(5)
        self.begin(users)
        eventually(lambda: self.gate.metric("subscriptions_active") == 5, "subscribed")
        tokens = sorted(s["token"] for s in self.sim.state()["sessions"])
        before = self.subscriptions()
        self.restart()
        self.assertEqual(self.sim.counters()["logins"], 5)
        self.assertEqual(sorted(s["token"] for s in self.sim.state()["sessions"]), tokens)
        self.assertEqual(self.gate.metric("session_adoptions_total"), 5)
        eventually(lambda: len(self.subscriptions()) == 5 and not self.subscriptions() & before, "the old ones are ended")

    def test_what_died_meanwhile_is_logged_in_anew(self):
        users = agents(3)
        self.begin(users)
        self.gate.kill()
        self.sim.admin("POST", "/sessions/kill", {"user": users[0], "silently": True})
        self.gate.start()
        self.one_each(users)
        self.assertEqual(self.sim.counters()["logins"], 4)
        self.assertEqual(self.gate.metric("session_adoptions_total"), 2)

    def test_what_nobody_wants_any_more_is_logged_off(self):
        users = agents(4)
        self.begin(users)
        self.gate.kill()
        del self.gate.config["sessions"][2:]
        self.gate.config["tokens"] = [t for t in self.gate.config["tokens"] if t["users"] == ["*"]]
        self.gate.write()
        self.gate.start()
        self.one_each(users[:2])
        self.assertEqual(self.sim.counters()["logins"], 4)

    def test_the_contact_centre_away_at_the_start(self):
        users = agents(3)
        self.begin(users)
        self.gate.kill()
        self.sim.fault("refuse")
        self.gate.start(ready=False)
        eventually(lambda: self.gate.child.log("endpointLost"), "noticed")
        self.sim.no_faults()
        self.gate.wait_ready()
        self.one_each(users)
        self.assertEqual(self.sim.counters()["logins"], 3)

    def test_files_are_the_owners_and_hold_no_token(self):
        users = agents(3)
        self.begin(users)
        tokens = [s["token"].encode() for s in self.sim.state()["sessions"]]
        files = [f for f in glob.glob(os.path.join(self.gate.directory, "data", "**"), recursive=True) if os.path.isfile(f)]
        self.assertTrue(any(f.endswith("session.key") for f in files))
        for file in files:
            self.assertEqual(stat.S_IMODE(os.stat(file).st_mode) & 0o077, 0, file)
            with open(file, "rb") as opened:
                content = opened.read()
            for token in tokens:
                self.assertNotIn(token, content, file)

    def want(self, users):
        self.gate.config["sessions"] = [dict(user=u, domain="CC", password={"file": "password"}) for u in users]
        self.gate.write()

    def test_killed_at_any_moment(self):
        """Each life wants other users than the one before. Only a login whose answer was under way may be left: nobody can know its token."""
        seed = int(os.environ.get("SESSION_SEED", str(random.randrange(1 << 30))))
        chance, all_users = random.Random(seed), agents(40)
        self.begin(all_users, upstream={"loginsPerSecond": 50}, tokens=[])
        told = 0
        for kill in range(KILLS):
            time.sleep(chance.random() * 0.5)  # any moment will do
            self.gate.kill()
            told += len(self.gate.child.log("loggedIn"))
            users = chance.sample(all_users, 20)
            self.want(users)
            self.gate.start(ready=False)
        eventually(lambda: self.gate.metric("sessions_up") == len(users) and self.gate.metric("sessions_leaving") == 0, "settled")

        def zombies():
            return len(users_of(self.sim)) - len(users)
        untold = self.sim.counters()["logins"] - told - len(self.gate.child.log("loggedIn"))
        self.assertLessEqual(zombies(), untold, "seed %d: %d zombies, %d logins were not told of" % (seed, zombies(), untold))
        self.assertEqual(set(users_of(self.sim)) - set(all_users), set())
        print("seed %d: %d kills, %d logins, %d not told of, %d zombies"
              % (seed, KILLS, self.sim.counters()["logins"], untold, zombies()))


class Storm(Own):
    def test_all_lost_at_once(self):
        users, per_second = agents(STORM), 40
        self.begin(users, upstream={"loginsPerSecond": per_second, "heartbeatMs": 1000})
        logins = self.sim.counters()["logins"]
        self.assertEqual(logins, STORM)
        begun = time.monotonic()
        self.sim.admin("POST", "/sessions/kill", {"user": "*", "silently": True})

        def up_again():
            """Never more of them than there may be by then: who has to wait, is late, and nobody is early."""
            again = self.sim.counters()["logins"] - STORM
            self.assertLessEqual(again, per_second * (time.monotonic() - begun + 1))
            return again >= STORM and self.gate.metric("sessions_up") == STORM
        eventually(up_again, "all are up again")
        self.assertEqual(self.sim.counters()["logins"], 2 * STORM, "one for each")
        self.one_each(users)


class Ending(Own):
    def end_of(self, user, remaining, **more):
        self.sim.admin("POST", "/system", dict(event="SESSION_TERMINATION_IMMINENT", user=user, remainingMs=remaining, **more))

    def test_an_end_that_is_willed_leaves_no_gap(self):
        self.begin(["agent2001"])
        eventually(lambda: self.gate.metric("subscriptions_active") == 1, "subscribed")
        token = self.sim.state()["sessions"][0]["token"]
        self.end_of("agent2001", 12000)
        eventually(lambda: self.sim.counters()["logins"] == 2, "a new session before the end")
        self.assertIn(token, [s["token"] for s in self.sim.state()["sessions"]], "while the old one lives")
        eventually(lambda: self.gate.metric("subscribes_total") == 2 and self.gate.metric("unsubscribes_total") >= 1,
                   "a successor")
        eventually(lambda: token not in [s["token"] for s in self.sim.state()["sessions"]], "the old one is over")
        self.one_each(["agent2001"])
        self.assertEqual(self.gate.metric("session_losses_total"), 0)
        self.assertEqual(self.gate.child.log("subscriptionLost"), [])

    def test_an_end_by_the_timer_is_no_loss(self):
        self.begin(["agent2001"], sim={"session_timeout_ms": 11000, "imminent_ms": 10000}, upstream={"heartbeatMs": 3600000})
        eventually(lambda: self.gate.metric("session_heartbeats_total") >= 1, "a call moves it")
        eventually(lambda: self.sim.counters()["logins"] >= 3, "and nobody relies on that")
        self.assertEqual(self.gate.metric("session_losses_total"), 0)
        self.assertEqual(self.gate.child.log("subscriptionLost"), [])


if __name__ == "__main__":
    main()
