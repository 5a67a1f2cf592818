"""Cosines of blocks of probes and columns of a gallery, in which equal columns have equal scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.scores import Scores, Vectors

_HASHED_AT_ONCE = 1 << 14  # rows


class CosineBlocks:
    """Scores of unit vectors, as ``searches.ScoreBlock`` has it.

    A matrix product adds in an order that depends on where a column lies, and on the processor. One photo
    under two names must tie with itself all the same, and a model that gives everybody one vector must not
    find anybody by chance. So columns that are there several times are multiplied once for each block of
    probes, and all of them get that score.

    Args:
        probes: (S, D) float32, unit length.
        columns: (C, D) float32, unit length.
    """

    def __init__(self, probes: Vectors, columns: Vectors) -> None:
        self._probes, self._columns = probes, columns
        self._group, firsts = equal_rows(columns)
        self._repeated = columns[firsts]
        self._rows: NDArray[np.int64] | None = None
        self._buffer = np.empty(0, np.float32)

    def __call__(self, rows: NDArray[np.int64], first: int, stop: int) -> Scores:
        """(R, stop - first), in a buffer that the next call overwrites."""
        if rows is not self._rows:
            self._rows, self._left = rows, self._probes[rows]
            self._once = self._left @ self._repeated.T
        size = len(rows) * (stop - first)
        if self._buffer.size < size:
            self._buffer = np.empty(size, np.float32)
        scores = self._buffer[:size].reshape(len(rows), stop - first)
        np.matmul(self._left, self._columns[first:stop].T, out=scores)
        equal = np.flatnonzero(self._group[first:stop] >= 0)
        if equal.size:
            scores[:, equal] = self._once[:, self._group[first + equal]]
        return scores


def equal_rows(table: Vectors) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that are there several times, bit for bit.

    Args:
        table: (R, D) float32.

    Returns:
        (R,) the number of the rows that each is equal to, from 0; -1 for a row that is there once. And the
        (U,) rows that are the first of their number.
    """
    bits = np.ascontiguousarray(table).view(np.uint32)
    factors = np.random.default_rng(0).integers(0, 2**63, bits.shape[1], np.uint64) * np.uint64(
        2
    ) + np.uint64(1)
    sums = np.empty(len(bits), np.uint64)
    for start in range(0, len(bits), _HASHED_AT_ONCE):
        part = slice(start, start + _HASHED_AT_ONCE)
        sums[part] = (bits[part] * factors).sum(axis=1)  # modulo 2^64
    order = np.argsort(sums, kind="stable")
    near = np.flatnonzero(sums[order[1:]] == sums[order[:-1]])
    again = np.zeros(len(order), bool)  # whether a row in this order is equal to the one before it
    again[near + 1] = [np.array_equal(bits[order[i]], bits[order[i + 1]]) for i in near]
    several = again | np.append(again[1:], False)
    group = np.full(len(order), -1, np.int64)
    first = several & ~again
    group[order[several]] = np.cumsum(first)[several] - 1
    return group, order[first]
