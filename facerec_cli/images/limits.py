"""How much memory photos may take: one limit for each, and one for all that are decoded at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

MAX_PIXELS = 200_000_000
"""The largest photo that is decoded: as many pixels as the largest phone cameras give."""

BYTES_PER_PIXEL = 8
"""What decoding may take for each pixel of the limit, the file included: JPEG, PNG and most others take 6.5,
some a multiple (AVIF 21, a float TIFF in color 28), so that their limit is reached with fewer pixels."""

_SMALL = 32_000_000  # bytes; less than this is never waited for


def max_memory(max_pixels: int = MAX_PIXELS) -> int:
    """Bytes that a photo may take while it is decoded, where ``max_pixels`` are allowed.

    A limit of fewer pixels than ``MAX_PIXELS`` leaves it as it is, so that it refuses by pixels alone.
    """
    return BYTES_PER_PIXEL * max(max_pixels, MAX_PIXELS)


class Room:
    """Memory that threads share: who finds too little of it free waits until others are done.

    Args:
        size: Bytes that may be taken at a time. Who asks for more gets in alone.
    """

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = threading.Condition()
        self._own = threading.local()

    def take(self, amount: int) -> AbstractContextManager[None]:
        """Wait for ``amount`` bytes and hold them within the block.

        A thread that holds some already is let through: it could only wait for itself.
        """
        if amount < _SMALL or getattr(self._own, "holds", False):
            return nullcontext()
        return self._hold(min(amount, self._size))

    @contextmanager
    def _hold(self, amount: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._free >= amount)
            self._free -= amount
        self._own.holds = True
        try:
            yield
        finally:
            self._own.holds = False
            with self._changed:
                self._free += amount
                self._changed.notify_all()


room = Room(max_memory())
"""Where photos are decoded: however many threads, one huge photo at a time is in memory."""
