"""A list file: ``path label`` per line, separated by a tab, a comma or blanks; the label comes last.

Paths are relative to the list. Labels are numbers from 0 without gaps, or any names, which are then
numbered in order. ``x.classes.txt`` beside ``x.txt`` names numbered classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.datasets.base import FaceDataset, class_names_beside, gaps
from facerec_cli.datasets.decode import BrokenPhotoError
from facerec_cli.errors import InputError


class ListDataset(FaceDataset):
    """Photos named by a list.

    Args:
        path: The list, UTF-8. Empty lines and lines that begin with ``#`` are skipped.
    """

    format = "list"

    def __init__(self, path: Path) -> None:
        self.spec = str(path)
        self.root = path.parent
        self._names, written = _parse(path)
        self.labels, self.class_names, self.warnings = _number(written, path)

    @classmethod
    def open(cls, spec: str) -> ListDataset:
        """Open the list ``spec``."""
        return cls(Path(spec))

    def read(self, index: int) -> bytes:
        """The file."""
        try:
            return (self.root / self._names[index]).read_bytes()
        except OSError as fault:
            raise BrokenPhotoError(f"{self._names[index]} cannot be read ({fault.strerror}).") from fault

    def name(self, index: int) -> str:
        """The path as it is listed."""
        return self._names[index]


def split_line(line: str) -> tuple[str, str] | None:
    """Path and label of a line, or None where there are not both."""
    for separator in ("\t", ",", None):
        if separator is None or separator in line:
            parts = [part.strip() for part in line.rsplit(separator, 1)]
            return (parts[0].strip('"'), parts[1]) if len(parts) == 2 and all(parts) else None
    return None


def _parse(path: Path) -> tuple[list[str], list[str]]:
    names, labels = [], []
    try:
        with path.open(encoding="utf-8") as lines:
            for number, raw in enumerate(lines, 1):
                line = raw.strip()
                if not line or line.startswith("#"):
                    continue
                both = split_line(line)
                if both is None:
                    raise InputError(
                        f"Line {number} of {path} is not `path label`: {line[:80]!r}",
                        hint="Each line holds a path and, last, a label, separated by a tab, comma or blank.",
                    )
                names.append(both[0])
                labels.append(both[1])
    except UnicodeDecodeError as fault:
        raise InputError(
            f"{path} is no data set: neither a UTF-8 list nor a format that its name tells.",
            hint="A list holds `path label` lines; others are .rec, .tar, folders and synthetic:CLASSES.",
        ) from fault
    return names, labels


def _number(written: list[str], path: Path) -> tuple[NDArray[np.int64], Sequence[str], tuple[str, ...]]:
    """Labels as class numbers, the classes' names, warnings."""
    if written and all(label.isascii() and label.isdecimal() and len(label) < 10 for label in set(written)):
        numbers = np.array(written, np.int64)
        named = class_names_beside(path, None)
        if named is not None and int(numbers.max()) >= len(named):
            raise InputError(
                f"{path} holds the label {int(numbers.max()):,}, but only {len(named):,} classes are named.",
                hint=f"Correct or delete {path.with_suffix('.classes.txt').name}.",
            )
        present = np.bincount(numbers) > 0
        if named is not None:
            return numbers, named, ()
        values = np.flatnonzero(present)
        warnings = (gaps(len(values), len(present) - 1),) if len(values) < len(present) else ()
        return (np.cumsum(present) - 1)[numbers], [str(value) for value in values], warnings
    names = sorted(set(written))
    number_of = {name: number for number, name in enumerate(names)}
    return np.array([number_of[label] for label in written], np.int64), names, ()
