"""A headless Chromium, driven over its DevTools protocol: what the pictures and the tests of pages look through."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")


def find_browser() -> str | None:
    """The browser on PATH; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Page:
    """One tab. `events` are the protocol's messages that were read so far, oldest first."""

    socket: ClientConnection
    events: list[dict[str, Any]] = field(default_factory=list)
    _calls: int = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer. Raises RuntimeError where the browser refuses it."""
        self._calls += 1
        self.socket.send(json.dumps({"id": self._calls, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(timeout=30))
            if message.get("id") == self._calls:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return dict(message["result"])
            self.events.append(message)

    def open(self, address: str, width: int = 1280, height: int = 800) -> None:
        """Go to an address in a window of this size, in pixels."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.call("Page.navigate", url=address)

    def resize(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives, as JSON; None where it throws."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 30) -> None:
        """Until an expression is true. Raises TimeoutError, with what the page says then."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            if time.monotonic() > end:
                said = str(self.value("document.body.innerText"))[:400]
                raise TimeoutError(f"{expression} is not true after {seconds:g} s; the page says: {said}")
            time.sleep(0.1)

    def picture(self, whole: bool = False) -> bytes:
        """The window, or the whole page below it too, as a PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])


@contextmanager
def opened_page() -> Iterator[Page]:
    """A tab of a browser of its own, with a profile that is thrown away."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            str(find_browser()),
            *FLAGS,
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            "about:blank",
        ]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with connect(_tab(Path(profile)), max_size=None) as socket:
                page = Page(socket)
                yield page
                with suppress(Exception):  # closing ends the connection, sometimes before it is answered
                    page.call("Browser.close")
            browser.wait(timeout=15)
        finally:
            browser.kill()
            browser.wait()


def _tab(profile: Path) -> str:
    """The address of the first tab, once the browser has written down its port."""
    written, end = profile / "DevToolsActivePort", time.monotonic() + 30
    while not written.exists() or not written.read_text():
        if time.monotonic() > end:
            raise TimeoutError("the browser has not opened its DevTools port within 30 s")
        time.sleep(0.05)
    port = written.read_text().split()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
        return next(tab["webSocketDebuggerUrl"] for tab in json.load(answer) if tab["type"] == "page")
