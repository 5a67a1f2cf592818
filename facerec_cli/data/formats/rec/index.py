"""What lies beside a ``.rec``: ``.idx`` with the offsets of records, ``.lst`` with names, ``property``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data import cache
from facerec_cli.data.dataset import MAX_CLASSES
from facerec_cli.data.formats.positioned import PositionedFile
from facerec_cli.data.formats.rec.recordio import MAGIC, RecordHeader, read_record, scan, unpack
from facerec_cli.errors import InputError

PROBES = 256
"""Records that are checked against the index, and identities against their photos."""
REBUILD = "Delete the .idx, and the index is rebuilt from the .rec."

_DAMAGED = "The file is damaged or was not copied to its end; fetch it again."
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


class Records:
    """The records of a ``.rec``, in the order of their keys.

    Args:
        path: The ``.rec``. Without an ``.idx`` beside it, it is scanned.

    Attributes:
        file: Reads it.
        keys: (R,) int64, ascending.
        offsets: (R,) int64, in bytes.
        scanned: Whether there was no ``.idx``.

    Raises:
        InputError: It is truncated, or the index does not match it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = PositionedFile(path)
        index = path.with_suffix(".idx")
        self.scanned = not index.is_file()
        if self.scanned:
            self.offsets = cache.remember("offsets", [path], self._scan)
            self.keys = np.arange(len(self.offsets))
        else:
            table = parse_index(index)
            if len(table) == 0:
                raise InputError(
                    f"{index} is empty.", hint="Delete it, and the index is rebuilt from the .rec."
                )
            table = table[sorting(table[:, 0])]
            twice = np.flatnonzero(np.diff(table[:, 0]) == 0)
            if len(twice):
                raise InputError(f"{index} lists record {table[twice[0], 0]} twice.", hint=REBUILD)
            self.keys, self.offsets = map(np.ascontiguousarray, table.T)
        self._check_offsets()

    def header(self, position: int) -> RecordHeader:
        """The header of a record, by its position in :attr:`keys`."""
        return self.read(position, expected=256)[0]

    def read(self, position: int, *, expected: int = 0) -> tuple[RecordHeader, bytes]:
        """Header and content of a record.

        Args:
            position: In :attr:`keys`.
            expected: A guess of its size in bytes; the right one saves a second read.
        """
        try:
            return unpack(read_record(self.file, int(self.offsets[position]), expected=expected)[0])
        except InputError as fault:
            raise InputError(f"{self.path}: {fault.message}", hint=_DAMAGED) from fault

    def _scan(self) -> NDArray[np.int64]:
        try:
            return np.fromiter(scan(self.file, self.file.size), np.int64)
        except InputError as fault:
            raise InputError(f"{self.path}: {fault.message}", hint=_DAMAGED) from fault

    def _check_offsets(self) -> None:
        """Raise unless the index fits the file, as far as a few hundred probes can tell."""
        offsets, size = self.offsets, self.file.size
        if len(offsets) == 0:
            return
        last = int(offsets.max())
        if int(offsets.min()) < 0 or last + 8 > size:
            raise InputError(
                f"{self.path} ends at byte {size:,}, but its index speaks of a record at byte {last:,}.",
                hint=_DAMAGED,
            )
        probes = np.unique(np.linspace(0, len(offsets) - 1, PROBES).astype(int))
        for offset in (*map(int, offsets[probes]), last):
            head = np.frombuffer(self.file(offset, 8), "<u4")
            if head[0] != MAGIC:
                raise InputError(
                    f"The index of {self.path} does not match: no record begins at byte {offset:,}.",
                    hint=REBUILD,
                )
        try:
            read_record(self.file, last)
        except InputError as fault:
            raise InputError(f"{self.path} is truncated. {fault.message}", hint=_DAMAGED) from fault


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


def sorting(values: NDArray[np.int64]) -> NDArray[np.intp] | slice:
    """What sorts ``values``; everything as it is where they are sorted, which they nearly always are."""
    return slice(None) if (np.diff(values) >= 0).all() else np.argsort(values, kind="stable")
