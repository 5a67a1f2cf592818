"""Scores of pairs, and what is known of the scores of a class: genuine (one person) or impostor (two people).

A verification statistic asks few things of millions of scores: the k-th largest, how many lie above a value,
how two classes interleave. So scores are counted in fine bins first; the two histograms say which bins an
answer can lie in (``roc.bins_to_open``); only the scores of those *open* bins are kept and sorted. Nothing is
approximated: the answers equal those from sorting everything, at a fraction of the work, and the scores may
also come in blocks that are made twice instead of stored (``all_pairs.py``).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.progress import Progress, silent
from facerec_cli.runtime import usable_cores

BINS = 1 << 16

Scores = NDArray[Any]  # float32 or float64
Counts = NDArray[np.int64]
Vectors = NDArray[np.float32]

_PAIRS_AT_ONCE = 1 << 14  # pairs whose vectors are gathered together: 16 MB at 128 dimensions
_UNIT = 1e-5  # a norm this close to 1 is that of a unit vector, rounded to float32


class IndexPairs(Protocol):
    """Pairs of rows of a table, such as a ``pairs.PairList``."""

    @property
    def first(self) -> NDArray[np.int64]:
        """(P,) int64, row of each pair's first side."""

    @property
    def second(self) -> NDArray[np.int64]:
        """(P,) int64, row of its second side."""


def unit_vectors(vectors: Vectors) -> Vectors:
    """Each row divided by its norm; rows of zeros stay zeros.

    Args:
        vectors: (N, D) float32. When all rows that are not zero have unit length already, ``vectors`` itself
            is returned, so that stored unit embeddings keep their bits.

    Returns:
        (N, D) float32.
    """
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    if np.all((np.abs(norms - 1) <= _UNIT) | (norms == 0)):
        return vectors
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), np.float32)


def score_pairs(vectors: Vectors, pairs: IndexPairs, *, progress: Progress = silent) -> NDArray[np.float32]:
    """The cosine similarity of each pair.

    Args:
        vectors: (N, D) float32 embeddings, raw or unit.
        pairs: Which rows are compared.
        progress: Told the pairs done.

    Returns:
        (P,) float32, -1..1 but for rounding; 0 where a row is all zeros.
    """
    units, first, second = unit_vectors(vectors), pairs.first, pairs.second
    scores = np.empty(first.size, np.float32)

    def score(start: int) -> int:
        part = slice(start, start + _PAIRS_AT_ONCE)
        np.einsum("pd,pd->p", units[first[part]], units[second[part]], out=scores[part])
        return start

    with ThreadPoolExecutor(usable_cores()) as pool:
        for start in pool.map(score, range(0, first.size, _PAIRS_AT_ONCE)):
            progress(min(start + _PAIRS_AT_ONCE, first.size), first.size)
    return scores


@dataclass(frozen=True, slots=True)
class Binning:
    """Maps a score to one of ``bins`` bins so that a larger score never gets a smaller bin.

    Attributes:
        low: The smallest score that can occur.
        high: The largest.
        bins: How many bins, at most 65,536.
    """

    low: float
    high: float
    bins: int = BINS

    def index(self, scores: Scores) -> NDArray[np.uint16]:
        """The bin of each score, uint16; rounding keeps the order, which is all that is asked of it."""
        width = self.high - self.low
        if not 0 < width < np.inf:
            return np.zeros(scores.shape, np.uint16)
        scale = scores.dtype.type((self.bins - 1) / width)
        position = scores - scores.dtype.type(self.low)
        position *= scale
        np.clip(position, 0, self.bins - 1, out=position)
        index: NDArray[np.uint16] = position.astype(np.uint16)
        return index

    def index_inside(self, scores: Scores, out: NDArray[np.uint16]) -> None:
        """The same into ``out``, of scores that all lie from ``low`` to ``high``."""
        width = self.high - self.low
        if not 0 < width < np.inf:
            out[:] = 0
            return
        with np.errstate(over="ignore"):  # of scores of 1e38, which lie in the last bin then
            position = scores - scores.dtype.type(self.low)
        position *= scores.dtype.type((self.bins - 1) / width)
        np.minimum(position, self.bins - 1, out=position)
        out[:] = position

    @property
    def width(self) -> float:
        """How much scores of one bin can differ."""
        return (self.high - self.low) / (self.bins - 1)

    def histogram(self, index: NDArray[np.uint16]) -> Counts:
        """How many scores each bin holds, (bins,) int64."""
        total = np.zeros(self.bins, np.int64)
        step = 1 << 24  # OpenCV counts in float32: exact up to 2^24 in a call
        flat = index.reshape(-1)
        for start in range(0, flat.size, step):
            block = flat[start : start + step].reshape(1, -1)
            counts = cv2.calcHist([block], [0], None, [self.bins], [0.0, float(self.bins)])
            total += counts.reshape(-1).astype(np.int64)
        return total


class Distribution:
    """The scores of one class.

    Args:
        binning: Shared by the two classes that are compared.
        histogram: (bins,) int64, of all scores.
        opened: (bins,) bool, the bins whose scores are known one by one.
        values: The scores in the opened bins, in any order.
        moments: Mean and unbiased variance of all scores.
    """

    def __init__(
        self,
        binning: Binning,
        histogram: Counts,
        opened: NDArray[np.bool_],
        values: Scores,
        moments: tuple[float, float],
    ) -> None:
        self.binning = binning
        self.histogram = histogram
        self.opened = opened
        self.values = np.sort(values)
        self.mean, self.variance = moments
        self.size = int(histogram.sum())
        #: Scores in lower bins than b, for b in 0..bins; and the sorted ones among them.
        self.below = cumulated(histogram)
        self.values_below = cumulated(np.where(opened, histogram, 0))

    def at_least(self, scores: Scores) -> Counts:
        """How many scores of the class are >= each of ``scores``, which lie in opened bins."""
        return self._count(scores, "left")

    def above(self, scores: Scores) -> Counts:
        """How many scores of the class are > each of ``scores``, which lie in opened bins."""
        return self._count(scores, "right")

    def _count(self, scores: Scores, side: str) -> Counts:
        bins = self.binning.index(scores).astype(np.int64)
        lower = np.searchsorted(self.values, scores, side=side)  # type: ignore[call-overload]
        return np.asarray(self.size - (self.below[bins] + lower - self.values_below[bins]), np.int64)

    def accepted(self, threshold: float) -> int:
        """How many scores are >= ``threshold`` as float64 compares them; its bin must be open."""
        return int(self.at_least(lowest_accepted(threshold, self.values.dtype))[0])

    def reaches(self, score: float) -> bool:
        """Whether any score lies in the bin of ``score`` or above."""
        b = self.binning.index(np.array([score], self.values.dtype))[0]
        return bool(self.below[b] < self.size)

    def quantile(self, share: float) -> float:
        """The score below which a share of all lies, to the width of a bin; the class must not be empty."""
        b = int(np.searchsorted(self.below, share * self.size, side="right")) - 1
        return self.binning.low + min(b, self.binning.bins - 1) * self.binning.width

    def largest(self, k: int) -> float:
        """The score that exactly ``k`` others precede in descending order; its bin is open."""
        rank = self.size - 1 - k  # in ascending order
        b = int(np.searchsorted(self.below, rank, side="right")) - 1
        return float(self.values[rank - self.below[b] + self.values_below[b]])

    def next_above(self, score: float) -> float:
        """The smallest sorted score > ``score``, or infinity."""
        at = int(np.searchsorted(self.values, self.values.dtype.type(score), side="right"))
        return float(self.values[at]) if at < self.values.size else np.inf


def lowest_accepted(threshold: float, kind: np.dtype[Any]) -> Scores:
    """(1,) The smallest score of a type that is at least ``threshold``, a number of any type."""
    score = np.array([threshold], kind)
    return score if float(score[0]) >= threshold else np.nextafter(score, kind.type(np.inf))


def cumulated(histogram: Counts) -> Counts:
    """(bins + 1,) how many scores lie in lower bins than each."""
    total = np.zeros(histogram.size + 1, np.int64)
    np.cumsum(histogram, out=total[1:])
    return total


def moments(scores: Scores) -> tuple[float, float]:
    """Mean and unbiased variance in float64."""
    if scores.size < 2:
        return (float(scores[0]) if scores.size else 0.0), 0.0
    mean, total = float(scores.mean(dtype=np.float64)), 0.0
    for start in range(0, scores.size, 1 << 16):  # small enough for the cache
        centered = scores[start : start + (1 << 16)].astype(np.float64) - mean
        # Not np.dot: BLAS starts all threads for it, and waits long for a core that another program uses.
        total += float(np.einsum("i,i->", centered, centered))
    return mean, total / (scores.size - 1)
