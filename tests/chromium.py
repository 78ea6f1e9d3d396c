"""A headless Chromium that a test looks through, clicks in and asks, over its debugging pipe.

What is evaluated runs beside the page's own Content-Security-Policy, and changes nothing of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
needed = pytest.mark.skipif(BROWSER is None, reason="there is no chromium here")
"""For tests that look through it."""


class Page:
    """One page, open."""

    def __init__(self, send: int, receive: int) -> None:
        self._send = send
        self._receive = os.fdopen(receive, "rb")
        self._number = 0
        self._session: str | None = None
        self.told: list[str] = []
        """What the page wrote to its console, and what was refused it."""

    def call(self, method: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol; gives its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def open(self, file: Path) -> None:
        """Load a file, and wait until it is there."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = session["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=file.as_uri())
        while self.ask("document.readyState + location.protocol") != "completefile:":
            pass

    def ask(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def click(self, selector: str) -> None:
        """Press and release the mouse on the first such element."""
        self.ask(f"document.querySelector({selector!r}).scrollIntoView()")
        x, y = self.ask(
            f"(r => [r.x + 5, r.y + r.height / 2])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def _read(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self._receive.read(1)) != b"\0":
            assert byte, "the browser is gone"
            data += byte
        message: dict[str, Any] = json.loads(data)
        if message.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.told.append(json.dumps(message["params"]))
        return message


@contextmanager
def opened(file: Path, profile: Path, *options: str) -> Iterator[Page]:
    """A page in a browser with a profile of its own."""
    assert BROWSER is not None
    to_browser, send = os.pipe()
    receive, from_browser = os.pipe()

    def hand_over() -> None:
        # The browser reads its descriptor 3 and writes to 4; first out of their way.
        ends = os.dup(to_browser), os.dup(from_browser)
        high = [os.dup2(end, 60 + at) for at, end in enumerate(ends)]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu"]
    command += ["--remote-debugging-pipe", f"--user-data-dir={profile}", *options]
    browser = subprocess.Popen(
        command,
        preexec_fn=hand_over,
        close_fds=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(from_browser)
    page = Page(send, receive)
    try:
        page.open(file)
        yield page
        page._session = None
        page.call("Browser.close")
    finally:
        os.close(send)
        page._receive.close()
        browser.terminate()
        browser.wait(20)
