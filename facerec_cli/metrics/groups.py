"""Error rates per group of people at one global threshold, as NIST reports them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.group_report import GroupRate, GroupReport
from facerec_cli.metrics.roc import wilson_interval
from facerec_cli.pairs.names import Key, has_suffix, path_key, path_parts
from facerec_cli.tables.rows import (
    PATH_WORDS,
    column,
    fields_of,
    full_lines,
    is_heading,
    label_column,
    separator_of,
)
from facerec_cli.tables.text import read_text, split_lines

log = logging.getLogger("facerec")

#: Fewer genuine pairs than this say little about a rate of some per cent.
MIN_GENUINE_PAIRS = 100


def read_groups(path: Path, names: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The group of each photo from a table ``path or person, group``.

    Args:
        path: Two columns, separated by commas, tabs, semicolons or blanks, with or without a heading. The
            first is a photo's path as the list has it, or a person: the folder that their photos lie in.
            Either may have folders above that the list leaves out, or leave out folders that the list has.
        names: The photos.

    Returns:
        (N,) int64 group numbers, -1 for none, and the groups' names.

    Raises:
        InputError: The table cannot be read, or fits no photo.
    """
    table = _GroupTable(_read(path))
    group_of = [table.group_of(name) for name in names]
    groups = tuple(sorted({group for group in group_of if group is not None}))
    if not groups:
        first = path_parts(names[0])
        person = "/".join(first[:-1])
        raise InputError(
            f"The table of groups {str(path)!r} names none of the {len(names):,} photos.",
            hint=f"Its first column is a path such as {names[0]!r}"
            + (f", or the person's folder, such as {person!r}." if person else "."),
        )
    number = {group: i for i, group in enumerate(groups)}
    missing = group_of.count(None)
    if missing:
        log.warning("%d of %d photos have no group and are left out of the groups.", missing, len(names))
    return np.array([-1 if group is None else number[group] for group in group_of], np.int64), groups


def _read(path: Path) -> list[tuple[str, str]]:
    """(photo or person, group) of each row."""
    lines = list(full_lines(split_lines(read_text(path, "table of groups"))))
    separator = separator_of([line for _, line in lines])
    rows = list(fields_of(lines, separator, str(path)))
    wrong = next((i for i, row in rows if len(row) < 2 or (separator == " " and len(row) > 2)), None)
    if wrong or not rows:
        raise InputError(
            f"{str(path)!r}, line {wrong or 1}: a row is `path or person,group`.",
            hint="Separate the two by a comma, as in: Ann_Smith,group A",
        )
    heading = rows[0][1]
    key, group = 0, 1
    known = [column(heading, PATH_WORDS), label_column(heading)]
    if any(at is not None for at in known):
        key = next(at for at in known if at is not None)
        others = [at for at, cell in enumerate(heading) if cell and at not in known]
        rest = [at for at in others if not is_heading([heading[at]])] or others  # no number of a row
        group = next(iter(rest), 1 - key if key < 2 else 0)
    return [(row[key], row[group]) for _, row in rows if max(key, group) < len(row)]


class _GroupTable:
    """The groups of photos and people."""

    def __init__(self, rows: Sequence[tuple[str, str]]) -> None:
        self._entries = {path_parts(name): group for name, group in rows}
        self._stems = {path_key(name): group for name, group in rows if has_suffix(name)}
        # What longer entries end with; of two groups neither.
        self._ends: dict[Key, str | None] = {}
        for parts, group in self._entries.items():
            for start in range(1, len(parts)):
                end = parts[start:]
                self._ends[end] = group if self._ends.get(end, group) == group else None

    def group_of(self, name: str) -> str | None:
        """The group of a photo: by its path or the end of it, then by its person's folder."""
        parts, key = path_parts(name), path_key(name)
        for start in range(len(key)):
            # A lone "1" in the table is a person: it must not be taken for the photo 2/1.jpg.
            bare = 0 < start == len(key) - 1
            if parts[start:] in self._entries and not (bare and parts == key):
                return self._entries[parts[start:]]
            if key[start:] in self._stems:
                return self._stems[key[start:]]
            if key[start:] in self._entries and not bare:
                return self._entries[key[start:]]
        longer = self._ends.get(parts) if has_suffix(name) or len(parts) > 1 else None
        if longer is not None:
            return longer
        person = key[:-1]
        shorter = (self._entries[person[at:]] for at in range(len(person)) if person[at:] in self._entries)
        return next(shorter, self._ends.get(person))


def group_rates(
    scores: NDArray[np.float32],
    same: NDArray[np.bool_],
    failed: NDArray[np.bool_],
    sides: tuple[NDArray[np.int64], NDArray[np.int64]],
    groups: tuple[str, ...],
    *,
    threshold: float,
    far: float,
    unknown: int = 0,
) -> GroupReport:
    """FNMR and FMR inside and between groups; of FNMR only between those that a person's photos are in.

    Args:
        scores: (P,) similarity.
        same: (P,) bool.
        failed: (P,) bool, pairs without a score; left out.
        sides: (P,) group number of each side, -1 for none.
        groups: Names of the groups.
        threshold: The global threshold.
        far: The rate that it stands for.
        unknown: Photos without a group.
    """
    a, b = np.minimum(*sides), np.maximum(*sides)
    use = ~failed & (a >= 0)
    count = len(groups)
    cell = a * count + b
    wrong = (scores >= threshold) != same

    def counted(mask: NDArray[np.bool_]) -> list[list[int]]:
        """How many pairs of ``mask`` each two groups have."""
        counts: list[list[int]] = np.bincount(cell[mask], minlength=count**2).reshape(count, count).tolist()
        return counts

    def rate(i: int, j: int, errors: int, pairs: int, enough: float) -> GroupRate:
        low, high = wilson_interval(errors, pairs)
        share = errors / pairs if pairs else None
        return GroupRate(groups[i], groups[j], share, low, high, errors, pairs, pairs >= enough)

    genuine, rejected = counted(use & same), counted(use & same & wrong)
    impostor, accepted = counted(use & ~same), counted(use & ~same & wrong)
    cells = [(i, j) for i in range(count) for j in range(i, count)]
    fnmr = [
        rate(i, j, rejected[i][j], genuine[i][j], MIN_GENUINE_PAIRS)
        for i, j in cells
        if i == j or genuine[i][j]
    ]
    fmr = [rate(i, j, accepted[i][j], impostor[i][j], 3 / far) for i, j in cells]
    return GroupReport(threshold, far, tuple(fnmr), tuple(fmr), unknown)
