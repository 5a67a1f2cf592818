"""The pair lists of CALFW and CPLFW.

Both list 3,000 pairs of one person and then 3,000 of two, ten folds of 300 each, two lines a pair. CPLFW
writes 1 beside the first and 0 beside the second; CALFW writes the fold of a pair of one person, 1 to 10,
and 0 for two people, whose fold follows from their place.

Source: Zheng et al., "Cross-Age LFW", arXiv 1708.08197, and Zheng and Deng, "Cross-Pose LFW", 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from facerec_cli.errors import InputError
from facerec_cli.pairs.known import explain_known
from facerec_cli.pairs.pair_format import ListHead, PairFormat
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.pairs.people_by_name import people_by_name, person_of_name
from facerec_cli.pairs.text_rows import TRAINING, broken, fits_int64, is_integer, read_list, without_heading

_FOLDS = 10


class Calfw(PairFormat):
    """Two lines ``file label`` for a pair; 0 is different, 1 to 10 same."""

    description = "CALFW's and CPLFW's: two lines `file label` for each pair, label 0 for different"

    def recognizes(self, head: ListHead) -> bool:
        """Whether each line is a name and a number, and the list is none of people or photos."""
        rows = [fields for _, fields in without_heading(head.rows)]
        fits = bool(rows) and all(len(fields) == 2 and is_integer(fields[1]) for fields in rows)
        return fits and explain_known(head) is None

    def read(self, path: Path) -> PairList:
        """Read it.

        Raises:
            InputError: A line is not as published, or the list is one of photos and people.
        """
        rows = read_list(path)
        if len(rows) % 2:
            raise InputError(
                f"{str(path)!r} has {len(rows)} lines; a pair takes two, so one is missing.", hint=TRAINING
            )
        for line, fields in rows:
            if len(fields) != 2 or not fits_int64(fields[1]):
                raise broken(path, line, fields, "`file label`")
        if is_of_people([fields for _, fields in rows]):
            raise InputError(
                f"{str(path)!r} is no list of pairs as CALFW's and CPLFW's: its numbers are people.",
                hint=TRAINING,
            )
        label = np.array([int(fields[1]) for _, fields in rows], np.int64).reshape(-1, 2)
        unequal = (label[:, 0] != 0) != (label[:, 1] != 0)
        if unequal.any():
            line, _ = rows[2 * int(np.argmax(unequal))]
            raise InputError(
                f"{str(path)!r}, line {line}: the two lines of a pair differ in label.", hint=TRAINING
            )
        same = label[:, 0] != 0
        pairs = PairList.from_names((fields[0] for _, fields in rows), same, fold=_folds(label[:, 0]))
        return replace(pairs, identity=people_by_name(pairs.names, pairs.first, pairs.second, same))


def is_of_people(rows: Sequence[Sequence[str]]) -> bool:
    """Whether lines ``file number`` number people, as lists for training do, and not pairs.

    Then a number is above CALFW's ten folds, 0 is of one person by the names of two lines, or none is 0.

    Args:
        rows: Lines of two fields, the second a whole number.
    """
    numbers = [fields[1].lstrip("0")[:3] for fields in rows]
    if any(len(number) > 2 or int(number or 0) > _FOLDS for number in numbers):
        return True
    people = [_person(fields[0]) for fields in rows]
    if len(set(people)) < 2:
        return False  # the names say nothing
    zeros = [at for at in range(0, len(rows) - 1, 2) if not numbers[at] and not numbers[at + 1]]
    return any(people[at] == people[at + 1] for at in zeros)


def _person(name: str) -> str:
    """By a name that says it, else the folder."""
    return person_of_name(name) or name.replace("\\", "/").rpartition("/")[0]


def _folds(label: np.ndarray) -> np.ndarray | None:
    """The ten folds that CALFW's numbers tell, the pairs of two people in as many runs; None in CPLFW's."""
    same = label != 0
    told, sizes = np.unique(label[same], return_counts=True)
    if len(told) != _FOLDS or len(set(sizes.tolist())) > 1 or (~same).sum() != same.sum():
        return None
    fold = label - 1
    fold[~same] = np.arange(int((~same).sum())) // sizes[0]
    return fold
