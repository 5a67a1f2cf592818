"""Ctrl-C and SIGTERM as a request that the loop grants after its step, not in the middle of one."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

_GRACE = 10.0  # torchrun passes a Ctrl-C on, so the same one may arrive twice
_heard = [signal.SIGINT, signal.SIGTERM]


def leave_interrupts_to_parent() -> None:
    """Let this process ignore Ctrl-C, which a terminal sends to children too; their parent ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if signal.SIGINT in _heard:
        _heard.remove(signal.SIGINT)


class Interruption:
    """While entered, a first signal sets :attr:`wanted`; a second Ctrl-C, later, interrupts at once.

    Args:
        tell: Is called at the first signal, between any two lines: it must not print.
    """

    def __init__(self, tell: Callable[[], None] = lambda: None) -> None:
        self.wanted = False
        self._tell = tell
        self._since = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
            for number in _heard:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.wanted and number == signal.SIGINT and time.monotonic() - self._since > _GRACE:
            raise KeyboardInterrupt("interrupted again; the last checkpoint is kept")
        if not self.wanted:
            self.wanted, self._since = True, time.monotonic()
            self._tell()
