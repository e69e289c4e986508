"""Chromium without a window, driven over its DevTools protocol through two pipes: messages of JSON, each ended by a NUL."""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

BOUND = 60.0


def find():
    """The command; None: there is none."""
    for name in (os.environ.get("CHROMIUM"), "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name) if name else None
        if path:
            return path
    return None


class Browser:
    def __init__(self, command):
        self.directory = tempfile.mkdtemp(prefix="cctgate-browser-")
        read, self.to = os.pipe()
        self.source, write = os.pipe()

        def pipes():  # the browser reads from 3 and writes to 4
            first, second = os.dup(read), os.dup(write)
            os.dup2(first, 3)
            os.dup2(second, 4)

        # As root, and where /dev/shm is small or absent, as in a container; it is shown pages of this test alone.
        self.log = open(os.path.join(self.directory, "log"), "wb")
        self.process = subprocess.Popen(
            [command, "--headless", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--disable-extensions", "--no-proxy-server", "--remote-debugging-pipe",
             "--user-data-dir=" + os.path.join(self.directory, "profile"), "about:blank"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=pipes, close_fds=False,
            start_new_session=True)
        os.close(read)
        os.close(write)
        self.number, self.buffer = 0, b""

    def receive(self):
        end = time.monotonic() + BOUND
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.source], [], [], max(0, end - time.monotonic()))
            piece = os.read(self.source, 1 << 20) if ready else b""
            if not piece:
                raise AssertionError("the browser is silent:\n" + self.text())
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url):
        target = self.call("Target.createTarget", url=url)["targetId"]
        return Page(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])

    def text(self):
        self.log.flush()
        with open(self.log.name, errors="replace") as file:
            return file.read()[-4000:]

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(BOUND)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            os.close(self.to)
            os.close(self.source)
            self.log.close()
            shutil.rmtree(self.directory, ignore_errors=True)


class Page:
    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def evaluate(self, expression):
        """The value of an expression in the page, None while it cannot be had."""
        result = self.browser.call("Runtime.evaluate", self.session, expression=expression, returnByValue=True)
        return None if "exceptionDetails" in result else result["result"].get("value")

    def screenshot(self, path):
        data = self.browser.call("Page.captureScreenshot", self.session)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
