"""A file that is read at any offset, by any process or thread, without a shared position."""

from __future__ import annotations

import os
import threading
from pathlib import Path

_BINARY = getattr(os, "O_BINARY", 0)
_SEEK = threading.Lock()  # where reading moves a position (Windows), threads take turns


class PositionedFile:
    """Reads a file at any offset; each process that uses it opens it for itself.

    Args:
        path: The file. It must not change size.
    """

    def __init__(self, path: Path) -> None:
        self._process, self._descriptor = -1, -1
        self.path = path
        self.size = path.stat().st_size

    def __call__(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset`` on."""
        if self._process != os.getpid():
            self._process, self._descriptor = os.getpid(), os.open(self.path, os.O_RDONLY | _BINARY)
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, size, offset)
        with _SEEK:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, size)

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "size": self.size, "_process": -1, "_descriptor": -1}

    def __del__(self) -> None:
        if self._process == os.getpid():
            os.close(self._descriptor)
