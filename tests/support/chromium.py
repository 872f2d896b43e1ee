"""Chromium without a window, driven by its own protocol: pages, keys, what a screen reader is told, pictures."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
START_LIMIT = 60.0
"""Seconds that Chromium may take to start."""
ANSWER_LIMIT = 60.0
"""Seconds that an answer or a condition of a page may take."""
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-dev-shm-usage", "--remote-debugging-port=0"),
)


def executable() -> str | None:
    """Return Chromium's executable, or ``None`` where it is not on the path."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One page of a browser.

    :param socket: connection to its debugger.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        for domain in ("Page", "Runtime", "Accessibility"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command of the protocol and return its result.

        :param method: its name.
        :param params: its parameters.
        :raises RuntimeError: when Chromium refuses it.
        """
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=ANSWER_LIMIT))
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return dict(answer["result"])

    def show(self, url: str, *, theme: str = "light", size: tuple[int, int] = (1280, 800)) -> None:
        """Open an address and wait until it is loaded.

        :param url: the address.
        :param theme: ``light`` or ``dark``, as the system would say it.
        :param size: width and height of the window, in pixels.
        """
        features = [
            {"name": "prefers-color-scheme", "value": theme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.command("Emulation.setEmulatedMedia", features=features)
        self.resize(size)
        self.command("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def resize(self, size: tuple[int, int]) -> None:
        """Change the size of the window.

        :param size: width and height, in pixels.
        """
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=1,
            mobile=False,
        )

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression.

        :param expression: it, with a value that JSON has.
        """
        found = self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["text"])
        return found["result"].get("value")

    def wait_for(self, expression: str, limit: float = ANSWER_LIMIT) -> None:
        """Wait until a JavaScript expression is true.

        :param expression: it.
        :param limit: seconds.
        :raises TimeoutError: when it is not.
        """
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            try:
                if self.evaluate(f"Boolean({expression})"):
                    return
            except RuntimeError:
                pass  # the page is being replaced
            time.sleep(0.1)
        raise TimeoutError(f"never true: {expression}")

    def press(self, key: str, code: int, *, shift: bool = False) -> None:
        """Press and release a key.

        :param key: its name, such as ``Tab`` or ``Enter``.
        :param code: its virtual key code.
        :param shift: whether the shift key is held.
        """
        text = {"text": "\r"} if key == "Enter" else {}
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.command("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **common, **text)
        self.command("Input.dispatchKeyEvent", type="keyUp", **common)

    def spoken(self) -> list[tuple[str, str]]:
        """Return role and name of everything that a screen reader is told, in order."""
        nodes: Sequence[Mapping[str, Any]] = self.command("Accessibility.getFullAXTree")["nodes"]
        return [
            (str(each["role"]["value"]), str(each.get("name", {}).get("value", "")))
            for each in nodes
            if not each.get("ignored")
        ]

    def picture(self, path: Path) -> Path:
        """Write what the window shows as PNG and return the path.

        :param path: where.
        """
        found = self.command("Page.captureScreenshot", format="png", optimizeForSpeed=False)
        path.write_bytes(base64.b64decode(found["data"]))
        return path


@contextmanager
def browser() -> Iterator[Page]:
    """Start Chromium, yield its page, and end it.

    :raises RuntimeError: when Chromium is not on the path, or does not start.
    """
    chromium = executable()
    if chromium is None:
        raise RuntimeError("Chromium is not on the path (apt-get install chromium)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [chromium, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_address(Path(profile), process), max_size=None, proxy=None) as socket:
                yield Page(socket)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Return the address of the first page's debugger."""
    import httpx

    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            port = int((profile / "DevToolsActivePort").read_text().split()[0])
            pages = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
            return next(str(each["webSocketDebuggerUrl"]) for each in pages if each["type"] == "page")
        except (OSError, IndexError, ValueError, StopIteration, httpx.HTTPError):
            time.sleep(0.1)
    raise RuntimeError("Chromium did not start")
