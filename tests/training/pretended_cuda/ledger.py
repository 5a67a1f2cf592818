"""What was noted while the device was pretended: waits of the CPU, and copies, by source line."""

from __future__ import annotations

import linecache
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch

_HERE = str(Path(__file__).resolve().parent)
_TORCH = str(Path(torch.__file__).resolve().parent)
_PYTHON = (str(Path(contextlib_file).resolve().parent) for contextlib_file in [linecache.__file__])
_ELSEWHERE = (_HERE, _TORCH, *_PYTHON, "<")
_PACKAGE = "facerec_cli/"


class Place(NamedTuple):
    """A line of a program: its file (below the package, where it is in there), number and text."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class Note(NamedTuple):
    """One thing that happened, and where."""

    kind: str
    place: Place

    def __str__(self) -> str:
        return f"{self.kind} at {self.place}"


@dataclass(frozen=True)
class Allowed:
    """A wait that is meant.

    Attributes:
        file: Below the package.
        text: Part of the line that waits.
        most: How often at most, in what is looked at.
        reason: Why it is meant.
    """

    file: str
    text: str
    most: int
    reason: str

    def covers(self, note: Note) -> bool:
        return note.place.file == self.file and self.text in note.place.text


@dataclass
class Ledger:
    """What happened on the pretended device.

    Attributes:
        waits: The CPU had to wait until the GPU was done with what it had been given.
        copies: The CPU gave the GPU a copy to make, and went on.
        operations: How many operations the GPU was given.
    """

    waits: Counter[Note] = field(default_factory=Counter)
    copies: Counter[Note] = field(default_factory=Counter)
    operations: int = 0

    def wait(self, kind: str) -> None:
        self.waits[Note(kind, here())] += 1

    def copy(self, kind: str) -> None:
        self.copies[Note(kind, here())] += 1

    def snapshot(self) -> Ledger:
        return Ledger(self.waits.copy(), self.copies.copy(), self.operations)

    def since(self, before: Ledger) -> Ledger:
        return Ledger(
            self.waits - before.waits, self.copies - before.copies, self.operations - before.operations
        )


def undeclared(waits: Counter[Note], allowed: Sequence[Allowed]) -> list[str]:
    """The waits that no entry of ``allowed`` covers, or that happened more often than it says."""
    left = Counter(waits)
    for entry in allowed:
        room = entry.most
        for note in [n for n in left if entry.covers(n)]:
            taken = min(room, left[note])
            room -= taken
            left[note] -= taken
    return [f"{count} x {note}" for note, count in (+left).items()]


def here() -> Place:
    """The innermost line that is not torch's, Python's or the pretended device's."""
    frame = sys._getframe(1)
    fallback = frame
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_ELSEWHERE):
            return _place(frame.f_code.co_filename, frame.f_lineno)
        if not frame.f_code.co_filename.startswith(_HERE) and fallback.f_code.co_filename.startswith(_HERE):
            fallback = frame
        frame = frame.f_back  # type: ignore[assignment]
    return _place(fallback.f_code.co_filename, fallback.f_lineno)


def _place(file: str, line: int) -> Place:
    text = linecache.getline(file, line).strip()
    short = file.rpartition(_PACKAGE)[2] if _PACKAGE in file else Path(file).name
    return Place(short, line, text)


def listed(notes: Iterable[Note]) -> str:
    """One line a note."""
    return "\n".join(str(note) for note in notes)
