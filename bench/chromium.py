"""Headless Chromium over its debugging pipe: pages are opened, keys pressed, pictures taken.

It speaks the Chrome DevTools Protocol (https://chromedevtools.github.io/devtools-protocol/) with
what Python has: Chromium reads commands from its descriptor 3 and writes replies to 4, as JSON with
a NUL after each.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe"),
)
# Codes of the keys that are no characters: https://w3c.github.io/uievents-code/.
_CODES = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39}
_CODES |= {"ArrowDown": 40, "Home": 36, "End": 35, "Tab": 9}

# Calls `done` when what the page's scripts made so far has been drawn.
_DRAWN = "requestAnimationFrame(() => setTimeout(() => done(performance.now())))"


def find() -> str | None:
    """Chromium's command; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """A Chromium of its own, with one page, for a `with` block.

    Args:
        command: The program.
        seconds: How long a command may take, seconds.

    Attributes:
        told: What Chromium reported of the page by itself, as (method, parameters), in order.
    """

    def __init__(self, command: str, seconds: float = 60.0):
        self._command = command
        self._seconds = seconds
        self._number = 0
        self._rest = b""
        self.told: list[tuple[str, dict[str, Any]]] = []

    def __enter__(self) -> Self:
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # The shell moves the ends of the pipes to the descriptors that Chromium expects.
        moves = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        arguments = [*FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", moves, "bash", self._command, *arguments],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        os.set_blocking(self._in, False)
        target = self._send("Target.createTarget", {"url": "about:blank"}, "")["targetId"]
        attach = {"targetId": target, "flatten": True}
        self._session = self._send("Target.attachToTarget", attach, "")["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._profile.cleanup()

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command to the page.

        Returns:
            Its result.

        Raises:
            RuntimeError: Chromium refuses it.
            TimeoutError: It does not answer.
        """
        return self._send(method, parameters, self._session)

    def _send(self, method: str, parameters: dict[str, Any], session: str) -> dict[str, Any]:
        self._number += 1
        command: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            command["sessionId"] = session
        os.write(self._out, json.dumps(command).encode() + b"\0")
        until = time.monotonic() + self._seconds
        while True:
            message = self._receive(until)
            if message.get("id") == self._number:
                break
            self.told.append((message.get("method", ""), message.get("params", {})))
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return message["result"]

    def _receive(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if time.monotonic() > until:
                raise TimeoutError(f"Chromium did not answer within {self._seconds:g} s")
            try:
                self._rest += os.read(self._in, 1 << 20)
            except BlockingIOError:
                time.sleep(0.002)
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def screen(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Sets the size of the page, in CSS pixels, and the colours that it should prefer."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 2, "mobile": phone},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> float:
        """Opens a page and waits until it has been drawn.

        Returns:
            Seconds from the start of the navigation until what the page's scripts made was drawn.
        """
        self.send("Page.navigate", url=address)
        self.evaluate("new Promise((done) => document.readyState === 'complete' ? done() : "
                      "addEventListener('load', done))")  # fmt: skip
        return float(self.evaluate(f"new Promise((done) => {_DRAWN})")) / 1000

    def evaluate(self, source: str) -> Any:
        """The value of an expression in the page, promises awaited.

        Raises:
            RuntimeError: It throws.
        """
        told = {"expression": source, "awaitPromise": True, "returnByValue": True}
        answer = self.send("Runtime.evaluate", **told)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Presses keys, one after the other: a character, or a name such as "Enter"."""
        for key in keys:
            code = {"windowsVirtualKeyCode": _CODES[key]} if key in _CODES else {"text": key}
            self.send("Input.dispatchKeyEvent", type="keyDown", key=key, **code)
            self.send("Input.dispatchKeyEvent", type="keyUp", key=key, **code)
        self._settle()

    def click(self, x: float, y: float) -> None:
        """Clicks at a place of the page, in CSS pixels."""
        for kind in ("mousePressed", "mouseReleased"):
            self.send(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )  # fmt: skip
        self._settle()

    def _settle(self) -> None:
        """Waits for what an input set off: a changed address reaches the page in a later task."""
        self.evaluate(f"new Promise((done) => {_DRAWN})")

    def picture(self, path: Path) -> None:
        """Saves what the screen shows as a PNG."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))
