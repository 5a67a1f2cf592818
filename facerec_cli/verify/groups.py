"""Error rates per group of people at one global threshold, as NIST reports them."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.verify.names import Key, has_suffix, path_key, path_parts
from facerec_cli.verify.statistics import wilson_interval

log = logging.getLogger("facerec")

#: Fewer same pairs than this say little about a rate of some per cent.
MIN_SAME_PAIRS = 100


@dataclass(frozen=True, slots=True)
class GroupRate:
    """An error rate of one group, or between two.

    Attributes:
        group: The first side's group.
        other: The second side's; equal to ``group`` inside a group.
        rate: Share of wrong answers, or None without pairs.
        low: Lower end of its 95 % Wilson interval.
        high: Upper end.
        errors: Wrong answers.
        pairs: Scored pairs.
        enough: False where there are too few pairs to read anything into the rate.
    """

    group: str
    other: str
    rate: float | None
    low: float
    high: float
    errors: int
    pairs: int
    enough: bool

    @property
    def label(self) -> str:
        """``A``, or ``A × B`` between two groups."""
        return self.group if self.group == self.other else f"{self.group} × {self.other}"


@dataclass(frozen=True, slots=True)
class GroupReport:
    """Rates at one threshold.

    Attributes:
        threshold: Accept when score >= threshold; the same for everybody.
        far: The false accept rate over all pairs that it stands for.
        fnmr: False non-matches per group, of its same pairs.
        fmr: False matches inside each group and between each two, of different pairs.
        unknown: Photos that the table gives no group.
    """

    threshold: float
    far: float
    fnmr: tuple[GroupRate, ...]
    fmr: tuple[GroupRate, ...]
    unknown: int


def read_groups(path: Path, names: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The group of each photo from a table ``path or person, group``.

    Args:
        path: CSV with two columns, with or without a heading. The first is a photo's path as the list has it,
            or a person's name: the folder that their photos lie in.
        names: The photos.

    Returns:
        (N,) int64 group numbers, -1 for none, and the groups' names.

    Raises:
        InputError: The table cannot be read, or fits no photo.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = [row for row in csv.reader(lines) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The table of groups {str(path)!r} cannot be read: {error}.") from error
    wrong = next((i for i, row in enumerate(rows, 1) if len(row) < 2), None)
    if wrong or not rows:
        raise InputError(f"{str(path)!r}, line {wrong or 1}: a row is `path or person,group`.")
    table = {path_parts(row[0]): row[1].strip() for row in rows}
    stems = {path_key(row[0]): row[1].strip() for row in rows if has_suffix(row[0])}
    found = [_group_of(name, table, stems) for name in names]
    groups = tuple(sorted({group for group in found if group is not None}))
    if not groups:
        raise InputError(
            f"The table of groups {str(path)!r} names none of the {len(names):,} photos.",
            hint=f"Its first column is a path such as {names[0]!r}, or the person's folder.",
        )
    number = {group: i for i, group in enumerate(groups)}
    missing = sum(group is None for group in found)
    if missing:
        log.warning("%d of %d photos have no group and are left out of the groups.", missing, len(names))
    return np.array([-1 if g is None else number[g] for g in found], np.int64), groups


def _group_of(name: str, table: dict[Key, str], stems: dict[Key, str]) -> str | None:
    """The group of a photo: by its path or the end of it, then by its person's folder.

    Args:
        name: The photo.
        table: The entries as they stand.
        stems: Those that end as image files do, without that end.
    """
    parts, key = path_parts(name), path_key(name)
    for start in range(len(key)):
        # A lone "1" in the table is a person: it must not be taken for the photo 2/1.jpg.
        bare = 0 < start == len(key) - 1
        if parts[start:] in table and not (bare and parts == key):
            return table[parts[start:]]
        if key[start:] in stems:
            return stems[key[start:]]
        if key[start:] in table and not bare:
            return table[key[start:]]
    return table.get(key[-2:-1])


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
    """FNMR per group and FMR inside and between groups.

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

    def table(mask: NDArray[np.bool_]) -> list[list[int]]:
        counts: list[list[int]] = np.bincount(cell[mask], minlength=count**2).reshape(count, count).tolist()
        return counts

    def rate(i: int, j: int, errors: int, pairs: int, enough: float) -> GroupRate:
        low, high = wilson_interval(errors, pairs)
        share = errors / pairs if pairs else None
        return GroupRate(groups[i], groups[j], share, low, high, errors, pairs, pairs >= enough)

    same_pairs, same_wrong = table(use & same), table(use & same & wrong)
    pairs, errors = table(use & ~same), table(use & ~same & wrong)
    fnmr = [rate(i, i, same_wrong[i][i], same_pairs[i][i], MIN_SAME_PAIRS) for i in range(count)]
    fmr = [rate(i, j, errors[i][j], pairs[i][j], 3 / far) for i in range(count) for j in range(i, count)]
    return GroupReport(threshold, far, tuple(fnmr), tuple(fmr), unknown)
