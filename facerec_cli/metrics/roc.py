"""The ROC curve of two classes of scores: area, equal error rate, and TAR at a FAR with its threshold.

A pair is accepted (called the same person) when its score >= the threshold. FAR is the share of accepted
impostor pairs, TAR that of accepted genuine pairs. Every figure is exact on the given scores, ties included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.labeled_scores import LabeledScores
from facerec_cli.metrics.scores import (
    BINS,
    Counts,
    Distribution,
    Scores,
    cumulated,
    lowest_accepted,
)

_SORTED_FOR_AUC = 1 << 26  # 64 million scores, 256 MB in float32
Z95 = 1.959963984540054  # the normal distribution's 97.5 % point


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The largest TAR whose measured FAR is at most the wanted one.

    Attributes:
        far: The wanted false accept rate.
        measurable: Whether there are at least 3 / far impostor pairs (rule of three).
        tar: Share of accepted genuine pairs among those with a score; None when not measurable.
        low: Lower end of the 95 % Wilson interval of ``tar``.
        high: Upper end.
        threshold: Accept when score >= threshold.
        measured_far: Share of accepted impostor pairs at that threshold, <= ``far``.
        tar_with_failures: Share when genuine pairs without a score count as rejected.
        accepted_genuine: Accepted genuine pairs.
        accepted_impostor: Accepted impostor pairs.
        reason: Why it is not measurable, else "".
    """

    far: float
    measurable: bool
    tar: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    measured_far: float | None = None
    tar_with_failures: float | None = None
    accepted_genuine: int | None = None
    accepted_impostor: int | None = None
    reason: str = ""


def distributions(
    scores: Scores,
    same: NDArray[np.bool_],
    fars: Sequence[float],
    *,
    thresholds: Sequence[float] = (),
    bins: int = BINS,
) -> tuple[Distribution, Distribution]:
    """Both classes, genuine and impostor, arranged so that the functions below are exact.

    Args:
        scores: (P,) float32 or float64, finite.
        same: (P,) bool.
        fars: False accept rates of which thresholds are wanted.
        thresholds: Of which rates are wanted, by ``Distribution.accepted``.
        bins: Fineness of the histograms, which changes the speed and never a result.
    """
    labeled = LabeledScores(scores, same, bins)
    binning, counts = labeled.binning, labeled.histograms
    opened = bins_to_open(counts[0], counts[1], fars, budget=_SORTED_FOR_AUC)
    for threshold in thresholds:
        opened[binning.index(lowest_accepted(threshold, scores.dtype))] = True
    made = [
        Distribution(binning, count, opened, values, spread)
        for count, values, spread in zip(counts, labeled.values(opened), labeled.moments(), strict=True)
    ]
    return made[0], made[1]


def bins_to_open(
    genuine: Counts, impostor: Counts, fars: Sequence[float], *, budget: int
) -> NDArray[np.bool_]:
    """The bins in which an answer can lie.

    Args:
        genuine: (bins,) counts of the scores of genuine pairs.
        impostor: (bins,) counts of the scores of impostor pairs.
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
    impostors, below = int(impostor.sum()), cumulated(impostor)
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
        opened[_crossing_bin(genuine, impostor)] = True
        shared = np.flatnonzero((genuine > 0) & (impostor > 0))
        gain = genuine[shared] * (impostor[shared] / both[shared])  # what counting half could cost, per score
        shared = shared[np.argsort(-gain, kind="stable")]
        opened[shared[np.cumsum(both[shared]) <= budget]] = True
    return opened


def accepted_at_most(far: float, impostors: int) -> int:
    """The largest number k of accepted impostors with k / impostors <= far, in float64."""
    k = int(far * impostors)
    if (k + 1) / impostors <= far:  # 0.29 * 100 is 28.999999999999996
        return k + 1
    return k - 1 if k / impostors > far else k


def area_under_curve(genuine: Distribution, impostor: Distribution) -> tuple[float, float]:
    """Area under the ROC curve: how often a genuine pair scores above an impostor pair, ties counting half.

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
    inside = (lower + upto - 2 * impostor.values_below[bins]) / 2
    return (wins + float(inside.sum()) + closed / 2) / product, closed / 2 / product


def equal_error_rate(genuine: Distribution, impostor: Distribution) -> float:
    """Where the ROC curve, its points joined by straight lines, has false accepts = false rejects."""
    b = _crossing_bin(genuine.histogram, impostor.histogram)
    inside = [d.values[d.binning.index(d.values) == b] for d in (genuine, impostor)]
    at = np.unique(np.concatenate(inside))
    accepted = np.append(impostor.at_least(at), impostor.size - impostor.below[b + 1]) / impostor.size
    rejected = np.append(genuine.size - genuine.at_least(at), genuine.below[b + 1]) / genuine.size
    first = int(np.argmax(accepted <= rejected))  # never 0: the bin's first score still accepts too many
    before = accepted[first - 1] - rejected[first - 1]
    share = before / (before - (accepted[first] - rejected[first]))
    return float(accepted[first - 1] + share * (accepted[first] - accepted[first - 1]))


def _crossing_bin(genuine: Counts, impostor: Counts) -> int:
    """The bin in which the false accept rate falls below the false reject rate."""
    accepted = (impostor.sum() - cumulated(impostor)) / impostor.sum()
    rejected = cumulated(genuine) / genuine.sum()
    return int(np.argmax(accepted <= rejected)) - 1


def operating_point(
    far: float, genuine: Distribution, impostor: Distribution, *, failed_genuine: int = 0
) -> OperatingPoint:
    """TAR at ``far``; see :class:`OperatingPoint`.

    The threshold lies midway between the highest score that must be rejected and the next higher score of
    either class. ``failed_genuine`` is the number of genuine pairs without a score.
    """
    if impostor.size * far < 3 * (1 - 1e-12):
        reason = (
            f"not measurable with {impostor.size:,} different pairs; needs {pairs_needed(far):,} (3 / FAR)"
        )
        return OperatingPoint(far, False, reason=reason)
    if not genuine.size:
        return OperatingPoint(far, False, reason="there is no same pair with a score")
    k = accepted_at_most(far, impostor.size)  # < size, because far < 1
    rejected = impostor.largest(k)
    following = min(genuine.next_above(rejected), impostor.next_above(rejected))
    kind = impostor.values.dtype.type
    accepted_genuine = int(genuine.above(np.array([rejected], kind))[0])
    accepted_impostor = int(impostor.above(np.array([rejected], kind))[0])
    low, high = wilson_interval(accepted_genuine, genuine.size)
    return OperatingPoint(
        far=far,
        measurable=True,
        tar=accepted_genuine / genuine.size,
        low=low,
        high=high,
        threshold=threshold_between(rejected, following, kind),
        measured_far=accepted_impostor / impostor.size,
        tar_with_failures=accepted_genuine / (genuine.size + failed_genuine),
        accepted_genuine=accepted_genuine,
        accepted_impostor=accepted_impostor,
    )


def pairs_needed(far: float) -> int:
    """How many impostor pairs it takes to measure ``far``: 3 / far, the rule of three."""
    return int(np.ceil(3 / far - 1e-6))


def threshold_between(lower: float, upper: float, kind: type[np.floating[Any]] = np.float64) -> float:
    """A threshold that accepts ``upper`` and rejects ``lower``: their midpoint, or ``upper`` without one.

    Args:
        lower: The highest score to reject.
        upper: The lowest score to accept, or infinity.
        kind: The type of the scores. The threshold is a number of that type, so that it parts the scores in
            the same way whether they are compared in that type or in float64. Above the highest score it is
            never a denormal number: where those are flushed to zero, as in a process that has trained or
            exported a network, it would not be above a score of 0.
    """
    if not np.isfinite(upper):
        above, normal = float(np.nextafter(kind(lower), kind(np.inf))), float(np.finfo(kind).tiny)
        return above if abs(above) >= normal else normal
    middle = float(kind(lower + (upper - lower) / 2))
    return middle if lower < middle <= upper else upper


def wilson_interval(successes: float, trials: float, z: float = Z95) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson 1927); ``z`` is the quantile that it is made with.

    Chosen over Clopper-Pearson because its average coverage is the nominal 95 % also for rates near 0 and 1
    and for few trials (Brown, Cai and DasGupta 2001), where Clopper-Pearson is needlessly wide. It takes the
    trials as independent; ``people_interval.py`` has one for pairs that share people.
    """
    if not trials:
        return 0.0, 1.0
    z2 = z * z
    share = successes / trials
    center = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = z * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials)) / (1 + z2 / trials)
    low = 0.0 if successes == 0 else float(center - half)
    return low, 1.0 if successes == trials else float(center + half)
