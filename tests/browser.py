"""A headless Chromium, driven over its own pipe (the Chrome DevTools Protocol): no library is needed."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REMEDY = "no Chromium is installed: sudo apt install chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",  # which root cannot have
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]
PATIENCE = 60  # seconds, for any answer
OWN = ("file:", "data:", "about:")  # addresses that are no request to anybody


def find():
    """The path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A process of its own with a new profile, as a context manager."""

    def __init__(self, program):
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        (from_us, self.writer), (self.reader, to_us) = os.pipe(), os.pipe()
        # out of the way of 3 and 4, where the browser listens and speaks
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (from_us, to_us)]
        command = [program, *FLAGS, f"--user-data-dir={self.profile}", "about:blank"]
        redirect = f'exec "$@" 3<&{theirs[0]} 4>&{theirs[1]}'
        self.process = subprocess.Popen(
            ["bash", "-c", redirect, "bash", *command], pass_fds=theirs, stderr=subprocess.DEVNULL
        )
        for end in (from_us, to_us, *theirs):
            os.close(end)
        os.set_blocking(self.reader, False)
        self.buffer, self.count, self.events = b"", 0, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE)
        os.close(self.reader)
        os.close(self.writer)
        shutil.rmtree(self.profile, ignore_errors=True)

    def send(self, method, session=None, **params):
        """Call a method of the protocol and return its result."""
        self.count += 1
        call = {"id": self.count, "method": method, "params": params}
        if session:
            call["sessionId"] = session
        os.write(self.writer, json.dumps(call).encode() + b"\0")
        number = self.count
        answer = self.wait(lambda message: message.get("id") == number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def wait(self, wanted):
        """The next message that is wanted; events that come before are kept in `events`."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            while b"\0" in self.buffer:
                text, self.buffer = self.buffer.split(b"\0", 1)
                message = json.loads(text)
                if "method" in message:
                    self.events.append(message)
                if wanted(message):
                    return message
            try:
                part = os.read(self.reader, 1 << 20)
            except BlockingIOError:
                time.sleep(0.002)
                continue
            if not part:
                raise RuntimeError("the browser has ended")
            self.buffer += part
        raise TimeoutError("the browser does not answer")

    def open(self, path, width=1400, height=900, dark=False):
        """A `Page` of a file."""
        return Page(self, path, width, height, dark)


class Page:
    """An open page: what it complains of, what it asks for, and what it looks like."""

    def __init__(self, browser, path, width, height, dark):
        self.browser = browser
        target = browser.send("Target.createTarget", url="about:blank")["targetId"]
        self.target = target
        attached = browser.send("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.send("Emulation.setEmulatedMedia", features=[scheme, still])
        self.send("Page.navigate", url=Path(path).resolve().as_uri())
        browser.wait(lambda m: m.get("method") == "Page.loadEventFired" and self._mine(m))

    def _mine(self, message):
        return message.get("sessionId") == self.session

    def send(self, method, **params):
        """Call a method of the protocol on this page."""
        return self.browser.send(method, self.session, **params)

    def resize(self, width, height=900):
        """Give the window another size."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def run(self, script):
        """The value of a JavaScript expression."""
        found = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"]["description"])
        return found["result"].get("value")

    def point(self, x, y, kind="mouseMoved", **params):
        """Move the pointer to a place of the window, or press a button there."""
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **params)

    def click(self, selector):
        """Click in the middle of an element."""
        x, y = self.middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.point(x, y, kind, button="left", clickCount=1)

    def middle(self, selector):
        """The middle of an element in the window, scrolled into it."""
        return self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] })()"
        )

    def key(self, name):
        """Press a key that has a name, such as ArrowLeft."""
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=name, code=name)

    def complaints(self):
        """What the page wrote to the console or failed at."""
        self.run("new Promise((done) => setTimeout(done, 30))")  # what is under way arrives
        found = []
        for event in filter(self._mine, self.browser.events):
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                found.append(details.get("exception", {}).get("description") or details["text"])
            elif event["method"] == "Runtime.consoleAPICalled":
                found.append(" ".join(str(arg.get("value")) for arg in params["args"]))
            elif event["method"] == "Log.entryAdded":
                found.append(params["entry"]["text"])
        return found

    def requests(self):
        """The addresses that the page asked for, other than itself and what it contains."""
        mine = [event for event in self.browser.events if self._mine(event)]
        stopped = {  # by the page's own policy, before anything left
            event["params"]["requestId"]
            for event in mine
            if event["method"] == "Network.loadingFailed" and "blockedReason" in event["params"]
        }
        asked = [
            event["params"] for event in mine if event["method"] == "Network.requestWillBeSent"
        ]
        urls = [call["request"]["url"] for call in asked if call["requestId"] not in stopped]
        return [url for url in urls if not url.startswith(OWN)]

    def overflow(self):
        """By how many pixels the page is wider than the window."""
        return self.run(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )

    def screenshot(self, path, full=True):
        """Write a PNG of the page."""
        self.send("Page.bringToFront")
        found = self.send("Page.captureScreenshot", captureBeyondViewport=full)
        Path(path).write_bytes(base64.b64decode(found["data"]))

    def close(self):
        """Close the page."""
        self.browser.send("Target.closeTarget", targetId=self.target)
