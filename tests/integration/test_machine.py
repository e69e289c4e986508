"""Faults of the machine while the gateway runs: no descriptor left, files that may not grow. Both go away without a restart."""
import os
import resource
import signal

import harness
from commanding import Floor, Speaker, control_of
from harness import eventually, exchange

WHO = "2001"


class Machine(Floor):
    def limit(self, what, soft):
        """Sets a limit of the running gateway; what it was."""
        pid = self.gate.child.process.pid
        before = resource.prlimit(pid, what)
        resource.prlimit(pid, what, (soft, before[1]))
        return before


class Descriptors(Machine):
    def test_no_descriptor_left(self):
        pid = self.gate.child.process.pid
        with Speaker(self.gate.port, "floor") as speaker:
            lease = speaker.attach(WHO)
            before = self.limit(resource.RLIMIT_NOFILE, 3)  # fewer than are open
            self.addCleanup(resource.prlimit, pid, resource.RLIMIT_NOFILE, before)
            with self.assertRaises(OSError, msg="nobody new is served"):
                exchange(self.gate.port, "GET", "/healthz", timeout=2)
            # a stream that is there goes on (only idle connections make room), and what is written down needs no new descriptor
            renewed = speaker.command("PUT", control_of(WHO), {"profile": "FullControl"}, lease=lease["lease"])
            self.assertEqual((renewed["status"], renewed["body"]["fence"]), (200, lease["fence"]))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            eventually(lambda: exchange(self.gate.port, "GET", "/healthz").status == 200, "new connections")
            self.release(WHO, lease["lease"])


class Files(Machine):
    def test_files_that_may_not_grow(self):
        """What cannot be written down is not granted; what was granted before is kept; afterwards all is as before."""
        data = os.path.join(self.gate.directory, "data")
        lease = self.attach(WHO)
        sizes = [os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(data) for name in names if name == "data.mdb"]
        before = self.limit(resource.RLIMIT_FSIZE, min(sizes))
        refused, granted = None, []
        for i in range(2000):
            answer = self.send("PUT", control_of("2002"), {"profile": "MonitorOnly"})
            if answer.status != 200:
                refused = answer
                break
            granted.append(answer.json["lease"])
            self.assertIn(self.send("DELETE", control_of("2002"), None, lease=granted[-1]).status, (204, 503))
        self.assertIsNotNone(refused, "the file never had to grow")
        self.assert_problem(refused, 503, "store-failed")
        self.assertEqual(self.gate.get(control_of(WHO), "operator").json["fence"], lease["fence"])
        resource.prlimit(self.gate.child.process.pid, resource.RLIMIT_FSIZE, before)
        again = eventually(lambda: (lambda a: a if a.status == 200 else None)(
            self.send("PUT", control_of("2002"), {"profile": "MonitorOnly"})), "granted again")
        self.assertGreater(again.json["fence"], lease["fence"])
        self.gate.child.end(signal.SIGKILL)
        self.gate.start()
        self.assertEqual(self.gate.get(control_of(WHO), "operator").json["fence"], lease["fence"])
        self.assertEqual(self.send("PUT", control_of(WHO), {"profile": "FullControl"}, lease=lease["lease"]).status, 200)


del Floor, Machine

if __name__ == "__main__":
    harness.main()
