"""``pairs.txt`` of Labeled Faces in the Wild, and lists like it.

Source: Huang et al., "Labeled Faces in the Wild", University of Massachusetts, Amherst, Technical
Report 07-49, 2007.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np

from facerec_cli.images.suffixes import IMAGE_SUFFIXES
from facerec_cli.pairs.pair_format import ListHead, PairFormat
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.pairs.text_rows import (
    broken,
    fits_int64,
    is_count_heading,
    read_list,
    shape_of,
    without_heading,
)
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

_FREQUENT = (".jpg", ".png", ".jpeg", ".JPG")
_SUFFIXES = (*_FREQUENT, *(suffix for suffix in IMAGE_SUFFIXES if suffix not in _FREQUENT))


class Lfw(PairFormat):
    """``name n1 n2`` is a pair of one person, ``name1 n1 name2 n2`` of two; a first line tells the folds."""

    description = "LFW's pairs.txt: `name n1 n2` and `name1 n1 name2 n2`"
    #: ``name/name_0001.jpg`` as in LFW, then flat folders and other suffixes.
    photo_patterns = tuple(place + suffix for suffix in _SUFFIXES for place in ("{stem}", "{name}"))

    def recognizes(self, head: ListHead) -> bool:
        """Whether there are names and numbers only, under LFW's heading, another one or none."""
        shapes = {shape_of(fields) for _, fields in without_heading(head.rows)}
        return bool(shapes) and shapes <= {"nii", "nini"}

    def read(self, path: Path) -> PairList:
        """Read it; the folds are those that a heading ``sets pairs`` announces."""
        rows = read_list(path)
        header: list[int] = []
        if rows and is_count_heading(rows[0][1]):
            line, fields = rows[0]
            if not all(fits_int64(field) for field in fields):
                raise broken(path, line, fields, "a heading `sets pairs`")
            header = [int(field) for field in fields]
        sides: list[str] = []
        same: list[bool] = []
        for line, fields in without_heading(rows):
            if shape_of(fields) == "nini":
                photos = [(fields[0], fields[1]), (fields[2], fields[3])]
            elif len(fields) == 3:
                photos = [(fields[0], fields[1]), (fields[0], fields[2])]
            else:
                photos = []
            if not photos or not all(fits_int64(number) for _, number in photos):
                raise broken(path, line, fields, "`name n1 n2` or `name1 n1 name2 n2`")
            sides += [f"{name}/{name}_{int(number):04d}" for name, number in photos]
            same.append(len(fields) == 3)
        announced = 2 * math.prod(header) if header else len(same)
        if len(same) != announced:
            log.warning(
                "The heading of %s announces %s, the list has %s: is it cut short? Folds are made anew.",
                path,
                counted(announced, "pair"),
                counted(len(same), "pair"),
            )
        has_folds = len(header) == 2 and len(same) == announced and header[0] > 1
        fold = np.arange(len(same)) // (2 * header[1]) if has_folds else None
        return PairList.from_names(sides, same, fold=fold, person=lambda name: name.rpartition("/")[0])
