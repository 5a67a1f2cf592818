"""The pair lists of CALFW and CPLFW.

Source: Zheng et al., "Cross-Age LFW", arXiv 1708.08197, and Zheng and Deng, "Cross-Pose LFW", 2018.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facerec_cli.errors import InputError
from facerec_cli.pairs.known import explain_known
from facerec_cli.pairs.pair_format import ListHead, PairFormat
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.pairs.text_rows import TRAINING, broken, fits_int64, is_integer, read_list, without_heading


class Calfw(PairFormat):
    """Two lines ``file label`` for a pair; 0 is different, any other number same."""

    description = "CALFW's and CPLFW's: two lines `file label` for each pair, label 0 for different"

    def recognizes(self, head: ListHead) -> bool:
        """Whether each line is a name and a number, and the list is none of people or photos."""
        rows = [fields for _, fields in without_heading(head.rows)]
        fits = bool(rows) and all(len(fields) == 2 and is_integer(fields[1]) for fields in rows)
        return fits and explain_known(head) is None

    def read(self, path: Path) -> PairList:
        """Read it."""
        rows = read_list(path)
        if len(rows) % 2:
            raise InputError(
                f"{str(path)!r} has {len(rows)} lines; a pair takes two, so one is missing.", hint=TRAINING
            )
        for line, fields in rows:
            if len(fields) != 2 or not fits_int64(fields[1]):
                raise broken(path, line, fields, "`file label`")
        same = np.array([int(fields[1]) != 0 for _, fields in rows], bool).reshape(-1, 2)
        unequal = same[:, 0] != same[:, 1]
        if unequal.any():
            line, _ = rows[2 * int(np.argmax(unequal))]
            raise InputError(
                f"{str(path)!r}, line {line}: the two lines of a pair differ in label.", hint=TRAINING
            )
        return PairList.from_names((fields[0] for _, fields in rows), same[:, 0])
