"""The rows of pair lists in text files, and the shapes by which their formats are told apart."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from facerec_cli.errors import InputError
from facerec_cli.tables.rows import Row, read_rows
from facerec_cli.tables.text import read_text, split_lines

log = logging.getLogger("facerec")

#: What to do where a list is none of pairs but may be one to train on.
TRAINING = "If it lists photos and people, as for training, draw pairs: facerec data pairs LIST -o pairs.txt"

_INTEGER = re.compile(r"[0-9]+")
_INT64 = re.compile(r"[0-9]{1,18}")


def read_list(path: Path, what: str = "pair list") -> list[Row]:
    """The rows of a list; one that is not UTF-8 is told of.

    Args:
        path: The list.
        what: What it is, for messages.

    Raises:
        InputError: It cannot be read, or a quote is not closed.
    """
    text = read_text(path, what)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # Lists that are written here keep the bytes of names that are not UTF-8.
        log.warning(
            "%s is not UTF-8 text (byte %d); its names are taken as the bytes that they are. "
            "Save it as UTF-8 if its photos are not found.",
            path,
            len(text[: error.start].encode()),
        )
    return tidy(read_rows(split_lines(text), str(path)))


def tidy(rows: list[Row]) -> list[Row]:
    """The rows without empty fields at their end, as tables with shorter rows have them."""
    for _, fields in rows:
        while len(fields) > 1 and not fields[-1]:
            del fields[-1]
    return rows


def is_integer(field: str) -> bool:
    """Whether a field is a whole number, of any length."""
    return _INTEGER.fullmatch(field) is not None


def fits_int64(field: str) -> bool:
    """Whether a field is a whole number that fits an array."""
    return _INT64.fullmatch(field) is not None


def shape_of(fields: Sequence[str]) -> str:
    """Which fields are whole numbers: "nii" is a name and two of them. Names of people may be numbers too."""
    kinds = "".join("i" if is_integer(field) else "n" for field in fields)
    return {"iiii": "nini", "niii": "nini", "iini": "nini"}.get(kinds, kinds)


def is_count_heading(fields: Sequence[str]) -> bool:
    """LFW's first line, ``10 300`` or ``500``."""
    return len(fields) in (1, 2) and all(is_integer(field) for field in fields)


def is_word_heading(rows: Sequence[Row]) -> bool:
    """Words above numbered pairs, as in ``name,imagenum1,imagenum2``."""
    shapes = {shape_of(fields) for _, fields in rows[1:200]}
    return bool(shapes) and shapes <= {"nii", "nini"} and shape_of(rows[0][1]) in ("nnn", "nnnn")


def without_heading(rows: Sequence[Row]) -> list[Row]:
    """The rows without such a heading."""
    has_heading = bool(rows) and (is_count_heading(rows[0][1]) or is_word_heading(rows))
    return list(rows[1:] if has_heading else rows)


def broken(path: Path, line: int, fields: Sequence[str], expected: str) -> InputError:
    """The error for a line that is not as its format has it."""
    return InputError(
        f"{str(path)!r}, line {line}: {' '.join(fields)[:80]!r} is not {expected}.",
        hint="Put paths that hold spaces in double quotes, or separate the columns by tabs or commas.",
    )
