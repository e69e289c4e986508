import subprocess, unittest, sys, time
class A(unittest.TestCase):
    def test_a(self): subprocess.Popen(["sleep","77"])
    def test_b(self): time.sleep(1)
unittest.main()
