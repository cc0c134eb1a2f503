"""A headless Chromium, driven over its DevTools pipe; nothing but Python.

    with Browser("chromium") as browser:
        browser.open("http://127.0.0.1:8080/")
        browser.run("document.title")

Whatever the page says on its console as a warning or an error, exceptions, and
what the browser itself has against it, is in browser.complaints.

SPDX-License-Identifier: Apache-2.0
"""
import base64
import json
import os
import select
import signal
import subprocess
import tempfile
import time

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars",
         "--disable-dev-shm-usage", "--remote-debugging-pipe", "about:blank"]


class Browser:
    def __init__(self, program, patience_s=20):
        self.patience_s = patience_s
        self.folder = tempfile.TemporaryDirectory(
            prefix="fedge-browser.", ignore_cleanup_errors=True)
        ours, theirs = os.pipe(), os.pipe()  # 3: it reads, 4: it writes

        def place():
            # Out of the way first: the pipes may be 3 and 4 themselves.
            read, write = os.dup(ours[0]), os.dup(theirs[1])
            os.dup2(read, 3)
            os.dup2(write, 4)

        self.process = subprocess.Popen(
            [program, f"--user-data-dir={self.folder.name}", *FLAGS],
            preexec_fn=place, close_fds=False, start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(ours[0])
        os.close(theirs[1])
        self.to, self.back = ours[1], theirs[0]
        self.number = 0
        self.session = None
        self.unread = b""
        self.complaints = []
        self.seen = set()

    def __enter__(self):
        target = self.call("Target.createTarget", url="about:blank")
        self.session = self.call("Target.attachToTarget", flatten=True,
                                 targetId=target["targetId"])["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        return self

    def __exit__(self, *_):
        # Its helpers, too: they go on writing into the folder, and one that is
        # just making a file there must not fail the test.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.folder.cleanup()

    def _read(self, until):
        while b"\0" not in self.unread:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.back], [], [], left)[0]:
                raise TimeoutError("the browser does not answer")
            data = os.read(self.back, 1 << 20)
            if not data:
                raise EOFError("the browser has gone")
            self.unread += data
        message, self.unread = self.unread.split(b"\0", 1)
        return json.loads(message)

    def _note(self, message):
        method, about = message.get("method"), message.get("params", {})
        self.seen.add(method)
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(about["exceptionDetails"])[:600])
        elif method == "Runtime.consoleAPICalled" and about["type"] in (
                "error", "warning", "assert"):
            self.complaints.append(json.dumps(about["args"])[:600])
        elif method == "Log.entryAdded" and about["entry"]["level"] in (
                "error", "warning"):
            entry = about["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}")

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + self.patience_s
        while True:
            answer = self._read(until)
            if answer.get("id") != self.number:
                self._note(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def open(self, url):
        self.seen.clear()
        self.call("Page.navigate", url=url)
        until = time.monotonic() + self.patience_s
        while "Page.loadEventFired" not in self.seen:
            self._note(self._read(until))

    def run(self, script):
        """The value of an expression; what it promises is awaited."""
        answer = self.call("Runtime.evaluate", expression=script,
                           returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:600])
        return answer["result"].get("value")

    def wait_for(self, script, what):
        until = time.monotonic() + self.patience_s
        while not self.run(script):
            if time.monotonic() > until:
                raise TimeoutError(f"{what}: never true: {script}")
            time.sleep(0.05)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode={"Tab": 9, "ArrowLeft": 37,
                                             "ArrowRight": 39, "Home": 36,
                                             "Enter": 13}[key])

    def look(self, width, scheme, motion="no-preference"):
        """A viewport of this width, in light or dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width,
                  height=900, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion}])

    def screenshot(self, path):
        picture = self.call("Page.captureScreenshot",
                            captureBeyondViewport=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture["data"]))
