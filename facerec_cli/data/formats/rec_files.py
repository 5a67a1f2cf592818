"""The small text files beside a ``.rec``: ``.idx`` and ``property``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import MAX_CLASSES
from facerec_cli.errors import InputError

REBUILD = "Delete the .idx, and the index is rebuilt from the .rec."


@dataclass(frozen=True, slots=True)
class Property:
    """What a ``property`` file says: classes, photo size, and, in some, the number of photos."""

    num_classes: int
    width: int
    height: int
    photos: int | None


def read_property(path: Path) -> Property | None:
    """Read ``num_classes,112,112`` and, where there is one, the second line; None without a file.

    Raises:
        InputError: The file says something else.
    """
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8-sig", errors="replace").split()
    try:
        num_classes, width, height = map(int, lines[0].split(","))
        photos = int(lines[1]) if len(lines) > 1 else None
    except (ValueError, IndexError) as fault:
        raise InputError(
            f"{path} is no property file.",
            hint="Its first line is num_classes,width,height, e.g. 85742,112,112.",
        ) from fault
    if not 1 <= num_classes <= MAX_CLASSES:
        raise InputError(
            f"{path} says {num_classes} classes.",
            hint=f"There must be from 1 to {MAX_CLASSES:,}.",
        )
    return Property(num_classes, width, height, photos)


def parse_index(path: Path) -> NDArray[np.int64]:
    """(N, 2) int64: key and byte offset of each line."""
    data = path.read_bytes()
    try:
        if data.strip(b"0123456789\t\r\n ") or b"\x00" in data:
            raise ValueError
        numbers = np.fromstring(data, np.int64, sep=" ")
        return numbers.reshape(data.rstrip().count(b"\n") + 1, 2) if len(numbers) else numbers.reshape(0, 2)
    except (ValueError, DeprecationWarning) as fault:
        for number, line in enumerate(data.split(b"\n"), 1):
            words = line.split()
            if words and (len(words) != 2 or not all(word.isdigit() for word in words)):
                raise InputError(f"Line {number} of {path} is not `key<TAB>offset`.", hint=REBUILD) from fault
        raise InputError(f"{path} is no index.", hint=REBUILD) from fault
