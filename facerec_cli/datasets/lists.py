"""A list file: ``path label`` per line, separated by a tab, a comma or blanks; the label comes last.

Paths are relative to the list. Labels are numbers from 0 without gaps, or any names, which are then
numbered in order. ``x.classes.txt`` beside ``x.txt`` names numbered classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.datasets.base import FaceDataset, class_names_beside, gaps, renumber
from facerec_cli.datasets.decode import BrokenPhotoError
from facerec_cli.errors import InputError

_HEAD = 1 << 16  # bytes by which a file is known to be no text
_BREAKS = "\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"  # the tab, and what str.splitlines ends a line at


class ListDataset(FaceDataset):
    """Photos named by a list.

    Args:
        path: The list, UTF-8; paths that are not keep their bytes. Empty lines and lines that begin with
            ``#`` are skipped.

    Raises:
        InputError: It is no list, or one of its lines is not ``path label``.
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


def listable(path: str) -> str:
    """``path`` as it is written to a list and read back from it, by us and by readers with more line breaks.

    Raises:
        InputError: It would end its line or column, or lose its end.
    """
    if any(sign in path for sign in _BREAKS) or path != path.rstrip().rstrip('"'):
        raise InputError(
            f"{path!r} cannot stand in a list.",
            hint="Rename the file or its folder: no line breaks, tabs and control signs in it, "
            "no blank or quote at its end.",
        )
    # Else it would be a comment, be taken for quoted, or lose its blanks.
    return f"./{path}" if path[0] in '#"' or path[0].isspace() else path


def _parse(path: Path) -> tuple[list[str], list[str]]:
    names, labels = [], []
    with path.open("rb") as file:
        if b"\0" in file.read(_HEAD):  # no file name has one
            raise InputError(
                f"{path} is no data set: neither a UTF-8 list nor a format that its name tells.",
                hint="A list holds `path label` lines; others are .rec, .tar, folders and synthetic:CLASSES.",
            )
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
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
        if named is not None:
            return numbers, named, ()
        values, numbered = renumber(numbers)
        highest = int(values[-1])
        warnings = (gaps(len(values), highest),) if len(values) <= highest else ()
        return numbered, [str(value) for value in values.tolist()], warnings
    names = sorted(set(written))
    number_of = {name: number for number, name in enumerate(names)}
    return np.array([number_of[label] for label in written], np.int64), names, ()
