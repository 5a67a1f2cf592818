"""The template of a person: what a probe is compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.scores import Vectors

_AT_ONCE = 65_536  # rows that are in memory in double precision
_CANCELED = 1e-6  # a shorter sum has no direction of its own


def mean_templates(units: Vectors, starts: NDArray[np.int64]) -> Vectors:
    """One template a person: the mean of unit vectors, of unit length again.

    Sums are made in double precision, row after row, so that a template does not depend on who else is there.

    Args:
        units: (R, D) float32 unit vectors, the rows of a person beside each other.
        starts: (N + 1,) int64, rising; person i has the rows ``starts[i]:starts[i + 1]``, one or more.

    Returns:
        (N, D) float32; the row itself where a person has one, and the first where they cancel out.
    """
    if len(starts) == len(units) + 1:
        return units
    made = np.empty((len(starts) - 1, units.shape[1]), np.float32)
    first = 0
    while first < len(made):
        stop = max(int(np.searchsorted(starts, starts[first] + _AT_ONCE, side="right")) - 1, first + 1)
        own = starts[first : stop + 1] - starts[first]
        rows = units[starts[first] : starts[stop]]
        sums = np.add.reduceat(rows, own[:-1], axis=0, dtype=np.float64)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        unclear = ((np.diff(own) == 1) | (lengths[:, 0] <= _CANCELED))[:, None]
        made[first:stop] = np.where(unclear, rows[own[:-1]], sums / np.maximum(lengths, _CANCELED))
        first = stop
    return made
