"""A headless Chromium, spoken to by its DevTools protocol over a websocket: for tests of the page, and for its picture in README."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastspec.errors import RunFailed

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
START_S = 60
FLAGS = (
    "--headless=new",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--remote-debugging-port=0",
)


def find_browser() -> str:
    """A Chromium's path. RunFailed: there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise RunFailed(f"there is no browser; install one of {', '.join(NAMES)}")
    return found


class Page:
    """One open page.

    Attributes:
        console: what it wrote to the console, and exceptions that nobody caught.
        requests: addresses that it asked for.
        refusals: addresses that answered 400 or more.
    """

    def __init__(self, socket: "ClientConnection") -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._events: deque[dict[str, Any]] = deque()
        self.console: list[str] = []
        self.requests: list[str] = []
        self.refusals: list[str] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command's result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Network.responseReceived" if told["response"]["status"] >= 400:
                self.refusals.append(told["response"]["url"])
            case "Runtime.consoleAPICalled":
                self.console.append(f"{told['type']}: {[argument.get('value') for argument in told['args']]}")
            case "Runtime.exceptionThrown":
                self.console.append(json.dumps(told["exceptionDetails"]))
            case "Log.entryAdded" if told["entry"]["source"] != "network":  # a refused request is no mistake of the page
                self.console.append(told["entry"]["text"])

    def open(self, address: str, *, ready: str = "document.body?.dataset.ready === 'yes'") -> None:
        """Go to an address, and wait until a JavaScript condition says that the page is ready."""
        for told in (self.console, self.requests, self.refusals):
            told.clear()
        for domain in ("Page", "Network", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=address)
        self.wait(ready)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited where it is a promise."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, condition: str, *, seconds: float = 60) -> None:
        """Until a JavaScript condition holds."""
        end = time.monotonic() + seconds
        while not self.run(f"!!({condition})"):
            assert time.monotonic() < end, f"{condition} did not come true; the console says {self.console}"
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        """What people read in an element."""
        return self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    def click(self, selector: str) -> None:
        """Click an element."""
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def pick(self, selector: str, *files: Path) -> None:
        """Choose files in a file chooser."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file.resolve()) for file in files])

    def press(self, key: str, code: int) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        """Give the window a size in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone)

    def prefer(self, scheme: str) -> None:
        """Set the colour scheme, "light" or "dark"."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def download_to(self, folder: Path) -> None:
        """Where downloads go."""
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def nameless(self) -> list[str]:
        """Roles of what people use and a screen reader has no name for."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        used = {"button", "img", "image", "slider", "combobox", "link", "textbox", "canvas"}
        return [
            node["role"]["value"]
            for node in nodes
            if not node["ignored"] and node["role"]["value"] in used and not node.get("name", {}).get("value")
        ]

    def screenshot(self, path: Path) -> Path:
        """A PNG of what the window shows."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
        return path


@contextmanager
def open_page(profile: Path) -> Iterator[Page]:
    """A page of a browser of its own, whose profile lies in a new folder. RunFailed: there is no browser."""
    from websockets.sync.client import connect

    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [find_browser(), *FLAGS, *sandbox, f"--user-data-dir={profile}", "about:blank"]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with connect(_page_address(profile, browser), max_size=None) as socket:
            yield Page(socket)
    finally:
        browser.terminate()
        browser.wait(timeout=30)


def _page_address(profile: Path, browser: "subprocess.Popen[bytes]") -> str:
    """The websocket of the browser's first page, once it is up."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        assert browser.poll() is None, f"the browser ended with {browser.returncode}"
        with suppress(OSError, StopIteration):
            port = (profile / "DevToolsActivePort").read_text(encoding="utf8").split()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
                return next(tab["webSocketDebuggerUrl"] for tab in json.load(answer) if tab["type"] == "page")
        time.sleep(0.1)
    raise AssertionError(f"the browser did not start within {START_S} s")
