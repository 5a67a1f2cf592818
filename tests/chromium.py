"""A headless Chromium, driven through a pipe by the DevTools protocol, for tests and benchmarks."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SHIFT, _CONTROL = 8, 2
_CODES = {
    "Escape": 27,
    "Enter": 13,
    "Tab": 9,
    "Delete": 46,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
}


def find_chromium() -> str | None:
    """The browser; None where there is none that can be driven through a pipe."""
    if sys.platform == "win32":
        return None
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """One page of a browser of its own, with what the page asks the network for.

    Args:
        folder: An empty folder, for its profile and for what is downloaded.
        width, height: Of the window.
        dark: Whether the page is told that the user likes it dark.

    Attributes:
        requests: Every address that the page asked for, its own first.
        faults: What its console says of errors.
    """

    def __init__(self, folder: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        program = find_chromium()
        assert program, "no Chromium"
        self.downloads = folder / "downloads"
        self.downloads.mkdir(parents=True)
        ours, theirs = os.pipe(), os.pipe()  # what it reads, what it writes
        for end in (ours[0], theirs[1]):
            os.set_inheritable(end, True)
        flags = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
            "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
            "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}",
        ]  # fmt: skip
        # the browser's ends are its descriptors 3 and 4, whatever they were here
        start = f'exec "$0" "$@" 3<&{ours[0]} 4>&{theirs[1]}'
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", start, program, *flags, "about:blank"],
            pass_fds=(ours[0], theirs[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self._to, self._from = ours[1], theirs[0]
        self._rest, self._number, self._session = b"", 0, ""
        self.requests: list[str] = []
        self.faults: list[str] = []
        self.asked_to_stay = False
        target = next(one for one in self._call("Target.getTargets")["targetInfos"] if one["type"] == "page")
        attach = {"targetId": target["targetId"], "flatten": True}
        self._session = self._call("Target.attachToTarget", attach)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")
        where = {"behavior": "allow", "downloadPath": str(self.downloads), "eventsEnabled": True}
        self._call("Browser.setDownloadBehavior", where)
        self._call(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        likes = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._call("Emulation.setEmulatedMedia", {"features": likes})

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._to)
        os.close(self._from)

    def call(self, method: str, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One call of the protocol."""
        return self._call(method, values)

    def open(self, address: str, *, seconds: float = 30) -> None:
        """Open a page and wait until it is loaded."""
        self._loaded = False
        self._call("Page.navigate", {"url": address})
        end = time.monotonic() + seconds
        while not self._loaded:
            assert time.monotonic() < end, f"{address} was not loaded"
            self._read()

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        done = self._call(
            "Runtime.evaluate", {"expression": script, "returnByValue": True, "awaitPromise": True}
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait_for(self, script: str, *, seconds: float = 15) -> Any:
        """The first true value of an expression."""
        end = time.monotonic() + seconds
        while not (value := self.run(f"(one => one instanceof Node || one)({script})")):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.03)
        return value

    def press(self, *keys: str) -> None:
        """Press keys one after another: ``a``, ``ArrowDown``, ``Shift+z``, ``Control+s``."""
        for key in keys:
            *held, name = key.split("+") if len(key) > 1 else [key]
            flags = sum({"Shift": _SHIFT, "Control": _CONTROL}[one] for one in held)
            sign = len(name) == 1
            values: dict[str, Any] = {"key": name, "modifiers": flags}
            values["windowsVirtualKeyCode"] = ord(name.upper()) if sign else _CODES.get(name, 0)
            text = {"Enter": "\r"}.get(name, name if sign and not flags & _CONTROL else "")
            self._call("Input.dispatchKeyEvent", {"type": "keyDown", "text": text, **values})
            self._call("Input.dispatchKeyEvent", {"type": "keyUp", **values})

    def type(self, text: str) -> None:
        """Write a text where the focus is."""
        self._call("Input.insertText", {"text": text})

    def downloaded(self, name: str, *, seconds: float = 15) -> Path:
        """A file that the page has saved, once it is whole."""
        end = time.monotonic() + seconds
        while not (path := self.downloads / name).is_file() or list(self.downloads.glob("*.crdownload")):
            assert time.monotonic() < end, f"{name} was not saved"
            time.sleep(0.03)
        return path

    def picture(self, path: Path) -> None:
        """Write what is seen as a PNG."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot")["data"]))

    def _call(self, method: str, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": dict(values or {})}
        if self._session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == message["id"]:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])

    def _read(self) -> dict[str, Any]:
        """The next message; events are kept."""
        while b"\0" not in self._rest:
            part = os.read(self._from, 1 << 20)
            assert part, "the browser is gone"
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        values = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                self.requests.append(values["request"]["url"])
            case "Runtime.exceptionThrown":
                self.faults.append(str(values["exceptionDetails"]))
            case "Log.entryAdded" if values["entry"]["level"] == "error":
                self.faults.append(values["entry"]["text"])
            case "Page.javascriptDialogOpening":
                self.asked_to_stay = values["type"] == "beforeunload"
        return message
