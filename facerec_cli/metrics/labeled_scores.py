"""Scores of both classes in one array, with labels: counted and picked without a copy of the larger class.

A list of IJB-C has 15.7 million scores, of which a thousandth is genuine. Splitting, counting and picking out
the scores that decide anything are passes through memory; each is made once, in blocks that a core's cache
holds, so that all of it takes less time than sorting the scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.scores import Binning, Scores, moments
from facerec_cli.runtime import usable_cores

_BLOCK = 1 << 16
_T = TypeVar("_T")


class LabeledScores:
    """The scores of P pairs.

    Args:
        scores: (P,) float32 or float64, finite.
        same: (P,) bool.
        bins: Fineness of the histograms.

    Attributes:
        binning: Of both classes.
        histograms: (bins,) of the genuine and of the impostor scores.
    """

    def __init__(self, scores: Scores, same: NDArray[np.bool_], bins: int) -> None:
        self._scores = scores
        self._genuine_are_few = 2 * np.count_nonzero(same) <= same.size
        self._rows = np.flatnonzero(same if self._genuine_are_few else ~same)
        self._few = scores[self._rows]
        ends = (float(scores.min()), float(scores.max())) if scores.size else (0.0, 0.0)
        self.binning = Binning(*ends, bins)
        self._index = np.empty(scores.size, np.uint16)
        self._each(self._bin)
        few = self.binning.histogram(self._index[self._rows])
        self.histograms = self._ordered(few, self.binning.histogram(self._index) - few)

    def values(self, opened: NDArray[np.bool_]) -> tuple[Scores, Scores]:
        """The genuine and the impostor scores in the opened bins, in any order."""

        def pick(part: slice) -> Scores:
            wanted = opened.take(self._index[part])
            wanted[self._few_in(part)] = False
            picked: Scores = self._scores[part].take(np.flatnonzero(wanted))
            return picked

        parts = [self._scores[:0], *self._each(pick)]
        few = self._few[opened.take(self._index[self._rows])]
        return self._ordered(few, np.concatenate(parts))

    def moments(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Mean and unbiased variance of the genuine and of the impostor scores, in float64."""
        return self._ordered(moments(self._few), self._moments_of_many())

    def _moments_of_many(self) -> tuple[float, float]:
        count = self._scores.size - self._rows.size
        if count < 2:
            many = np.delete(self._scores, self._rows)
            return moments(many)
        center = self._near_the_middle()

        def sums(part: slice) -> tuple[float, float]:
            centered = np.subtract(self._scores[part], center, dtype=np.float64)
            centered[self._few_in(part)] = 0
            # Not np.dot: BLAS starts all threads for it, and waits long for a core that another program uses.
            return float(centered.sum()), float(np.einsum("i,i->", centered, centered))

        first, second = (math.fsum(column) for column in zip(*self._each(sums), strict=True))
        return center + first / count, max(0.0, second - first * first / count) / (count - 1)

    def _near_the_middle(self) -> float:
        """A score near the middle of the larger class; the only one, where it does not vary."""
        at = np.linspace(0, self._scores.size - 1, 1001).astype(np.int64)
        sample = np.delete(self._scores[at], np.flatnonzero(np.isin(at, self._rows)))
        return float(np.median(sample)) if sample.size else float(self._scores[0])

    def _bin(self, part: slice) -> None:
        self.binning.index_inside(self._scores[part], out=self._index[part])

    def _few_in(self, part: slice) -> NDArray[np.int64]:
        """Where in a block the smaller class is."""
        first, stop = np.searchsorted(self._rows, [part.start, part.stop])
        inside: NDArray[np.int64] = self._rows[first:stop] - part.start
        return inside

    def _each(self, work: Callable[[slice], _T]) -> list[_T]:
        """What ``work`` says of each block, on all cores."""
        parts = [slice(at, min(at + _BLOCK, self._scores.size)) for at in range(0, self._scores.size, _BLOCK)]
        cores = min(usable_cores(), len(parts) // 32)  # for fewer, threads cost more than they save
        if cores < 2:
            return [work(part) for part in parts]
        with ThreadPoolExecutor(cores) as pool:
            return list(pool.map(work, parts))

    def _ordered(self, few: _T, many: _T) -> tuple[_T, _T]:
        return (few, many) if self._genuine_are_few else (many, few)
