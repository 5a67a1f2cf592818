"""``.lst``: the names of a ``.rec``'s photos, ``key<TAB>label...<TAB>path`` per line (im2rec's format)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


class NameList:
    """Looks names up by key, holding the text and one offset per line.

    Args:
        path: The ``.lst``.
    """

    def __init__(self, path: Path) -> None:
        self._text = path.read_bytes()
        breaks = np.flatnonzero(np.frombuffer(self._text, np.uint8) == ord("\n"))
        self._starts = np.concatenate([[0], breaks + 1])

    def name(self, key: int, position: int) -> str | None:
        """The path of record ``key``, probably on line ``position``; None where it is not listed."""
        for line in dict.fromkeys((position, key, key - 1)):
            if 0 <= line < len(self._starts):
                columns = self._line(line)
                if len(columns) >= 3 and columns[0] == str(key) and not _NUMBER.fullmatch(columns[-1]):
                    return columns[-1]  # insightface's lists begin with a flag and end with numbers
        return None

    def _line(self, number: int) -> list[str]:
        start = int(self._starts[number])
        end = int(self._starts[number + 1]) - 1 if number + 1 < len(self._starts) else len(self._text)
        return self._text[start:end].decode("utf-8", "surrogateescape").rstrip("\r").split("\t")
