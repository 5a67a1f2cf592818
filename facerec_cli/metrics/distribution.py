"""How the scores of a class are spread: exact where an answer depends on single scores, counts elsewhere.

A verification statistic asks few things of millions of scores: the k-th largest, how many lie above a value,
how two classes interleave. So scores are counted in fine bins first; the two histograms say which bins an
answer can lie in; only the scores of those *open* bins are kept and sorted. Nothing is approximated: the
answers equal those from sorting everything, at a fraction of the work, and the scores may also come in
blocks that are made twice instead of stored (``allpairs.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

BINS = 1 << 16

Scores = NDArray[Any]  # float32 or float64
Counts = NDArray[np.int64]


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
    """

    def __init__(
        self, binning: Binning, histogram: Counts, opened: NDArray[np.bool_], values: Scores
    ) -> None:
        self.binning = binning
        self.histogram = histogram
        self.opened = opened
        self.values = np.sort(values)
        self.size = int(histogram.sum())
        #: Scores in lower bins than b, for b in 0..bins; and the kept ones among them.
        self.below = _below(histogram)
        self._kept_below = _below(np.where(opened, histogram, 0))

    def at_least(self, scores: Scores) -> Counts:
        """How many scores of the class are >= each of ``scores``, which lie in opened bins."""
        return self._count(scores, "left")

    def above(self, scores: Scores) -> Counts:
        """How many scores of the class are > each of ``scores``, which lie in opened bins."""
        return self._count(scores, "right")

    def _count(self, scores: Scores, side: str) -> Counts:
        bins = self.binning.index(scores).astype(np.int64)
        lower = np.searchsorted(self.values, scores, side=side)  # type: ignore[call-overload]
        return np.asarray(self.size - (self.below[bins] + lower - self._kept_below[bins]), np.int64)

    def largest(self, k: int) -> float:
        """The score that exactly ``k`` others precede in descending order; its bin is open."""
        rank = self.size - 1 - k  # in ascending order
        b = int(np.searchsorted(self.below, rank, side="right")) - 1
        return float(self.values[rank - self.below[b] + self._kept_below[b]])

    def next_above(self, score: float) -> float:
        """The smallest kept score > ``score``, or infinity."""
        at = int(np.searchsorted(self.values, self.values.dtype.type(score), side="right"))
        return float(self.values[at]) if at < self.values.size else np.inf


def accepted_at_most(far: float, impostors: int) -> int:
    """The largest number k of accepted impostors with k / impostors <= far, in float64."""
    k = int(far * impostors)
    if (k + 1) / impostors <= far:  # 0.29 * 100 is 28.999999999999996
        return k + 1
    return k - 1 if k / impostors > far else k


def bins_to_open(
    genuine: Counts, impostor: Counts, fars: Sequence[float], *, budget: int
) -> NDArray[np.bool_]:
    """The bins in which an answer can lie.

    Args:
        genuine: (bins,) counts of the scores of same-person pairs.
        impostor: (bins,) counts of the scores of different-person pairs.
        fars: False accept rates of which the thresholds are wanted.
        budget: How many scores may be kept for the sake of an exact AUC alone.

    Returns:
        (bins,) bool.
    """
    both = genuine + impostor
    occupied = np.flatnonzero(both)
    opened = np.zeros(both.size, bool)
    if not occupied.size:
        return opened
    impostors, below = int(impostor.sum()), _below(impostor)
    opened[occupied[0]] = True  # the threshold that accepts everything
    if impostors:
        for far in fars:
            k = accepted_at_most(far, impostors)
            if k < impostors:
                b = int(np.searchsorted(below, impostors - 1 - k, side="right")) - 1
                opened[b] = True
                after = int(np.searchsorted(occupied, b, side="right"))
                opened[occupied[after : after + 1]] = True  # holds the next larger score
    if impostors and genuine.any():
        opened[crossing_bin(genuine, impostor)] = True
        shared = np.flatnonzero((genuine > 0) & (impostor > 0))
        gain = genuine[shared] * (impostor[shared] / both[shared])  # what counting half could cost, per score
        shared = shared[np.argsort(-gain, kind="stable")]
        opened[shared[np.cumsum(both[shared]) <= budget]] = True
    return opened


def crossing_bin(genuine: Counts, impostor: Counts) -> int:
    """The bin in which the false accept rate falls below the false reject rate."""
    accepted = (impostor.sum() - _below(impostor)) / impostor.sum()
    rejected = _below(genuine) / genuine.sum()
    return int(np.argmax(accepted <= rejected)) - 1


def auc(genuine: Distribution, impostor: Distribution) -> tuple[float, float]:
    """Area under the ROC curve: how often a same pair scores above a different pair, ties counting half.

    Returns:
        The area (Mann-Whitney U over the product of the sizes), and how far it can be off: 0 when every bin
        that both classes share is open, else what counting half in the closed ones can cost.
    """
    product = float(genuine.size) * impostor.size
    g, i = genuine.histogram.astype(np.float64), impostor.histogram.astype(np.float64)
    opened = genuine.opened
    wins = float(np.dot(g, impostor.below[:-1].astype(np.float64)))  # against impostors of lower bins
    closed = float(np.dot(g[~opened], i[~opened]))
    bins = genuine.binning.index(genuine.values).astype(np.int64)
    lower = np.searchsorted(impostor.values, genuine.values, side="left")
    upto = np.searchsorted(impostor.values, genuine.values, side="right")
    inside = (lower + upto - 2 * impostor._kept_below[bins]) / 2
    return (wins + float(inside.sum()) + closed / 2) / product, closed / 2 / product


def equal_error_rate(genuine: Distribution, impostor: Distribution) -> float:
    """Where the ROC curve, its points joined by straight lines, has false accepts = false rejects."""
    b = crossing_bin(genuine.histogram, impostor.histogram)
    inside = [d.values[d.binning.index(d.values) == b] for d in (genuine, impostor)]
    at = np.unique(np.concatenate(inside))
    accepted = np.append(impostor.at_least(at), impostor.size - impostor.below[b + 1]) / impostor.size
    rejected = np.append(genuine.size - genuine.at_least(at), genuine.below[b + 1]) / genuine.size
    first = int(np.argmax(accepted <= rejected))  # never 0: the bin's first score still accepts too many
    before = accepted[first - 1] - rejected[first - 1]
    share = before / (before - (accepted[first] - rejected[first]))
    return float(accepted[first - 1] + share * (accepted[first] - accepted[first - 1]))


def _below(histogram: Counts) -> Counts:
    total = np.zeros(histogram.size + 1, np.int64)
    np.cumsum(histogram, out=total[1:])
    return total
