"""Error against discard: what false rejects remain when the pairs of the worst quality are left out.

A measure of quality is worth as much as the errors that it foretells. Pairs of one person are discarded by
their quality, worst first, at one threshold, and the false non-match rate of what is left is followed: a
measure that knows nothing leaves it where it was. P. Grother and E. Tabassi, "Performance of Biometric
Quality Measures", TPAMI 29(4), 2007; the error versus discard characteristic of ISO/IEC 29794-1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.quality_limits import goodness, limit_of
from facerec_cli.metrics.bootstrap import MIN_PEOPLE
from facerec_cli.metrics.discard_curve import SHARES, DiscardCurve, DiscardPoint, DiscardReport
from facerec_cli.metrics.group_draws import GroupPairs, drawn_counts
from facerec_cli.progress import Progress, silent
from facerec_cli.wording import counted

MIN_ERRORS = 10
"""Of fewer false rejects a curve has so few steps that its area is chance."""

_ROUNDS = 1000
_CELLS = 150  # in which pairs of like quality are summed for the intervals: five a step
_CONFIDENCE = 0.95

Floats = NDArray[np.float64]
#: Of (N,) qualities of photos and (K,) values: how many different pairs have a quality of each value or more.
Left = Callable[[Floats, Floats], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class PairsAtThreshold:
    """Pairs at a threshold.

    Attributes:
        same: (G,) int64 photos of both sides of the pairs of one person.
        rejected: (G,) bool, those below the threshold.
        person: (G,) int64, whom they show.
        accepted: (A,) int64 photos of both sides of the pairs of two people that reach it.
        left: Counts all pairs of two people.
    """

    same: tuple[NDArray[np.int64], NDArray[np.int64]]
    rejected: NDArray[np.bool_]
    person: NDArray[np.int64]
    accepted: tuple[NDArray[np.int64], NDArray[np.int64]]
    left: Left


def discard_curves(
    pairs: PairsAtThreshold,
    measures: Mapping[str, NDArray[np.floating]],
    *,
    threshold: float,
    far: float,
    rounds: int = _ROUNDS,
    seed: int = 0,
    progress: Progress = silent,
) -> DiscardReport:
    """Follow the false non-match rate for each measure.

    The quality of a pair is the smaller :func:`goodness` of its two photos. Of G same pairs d G are
    discarded, worst first; where d G is no whole number, or ends among pairs of equal quality, their false
    rejects count as if they were spread evenly among them: the mean over all orders of equal pairs.

    Args:
        pairs: At the threshold.
        measures: Measure -> (N,) its value of each photo; NaN where it is not known.
        threshold: At which they were judged.
        far: What it stands for.
        rounds: How often people are drawn with replacement for the intervals of ``gain``, at one threshold.
        seed: Of the random numbers.
        progress: Told the measures done.
    """
    curves = []
    tail = (1 - _CONFIDENCE) / max(1, len(measures)) / 2
    for number, (name, values) in enumerate(measures.items(), 1):
        quality = np.asarray(goodness(name, np.asarray(values, np.float64)))
        curves.append(_curve(pairs, name, quality, tail, rounds, seed))
        progress(number, len(measures))
    return DiscardReport(threshold, far, _CONFIDENCE, rounds, tuple(curves))


def _curve(
    pairs: PairsAtThreshold, name: str, quality: Floats, tail: float, rounds: int, seed: int
) -> DiscardCurve:
    of_pairs = np.minimum(quality[pairs.same[0]], quality[pairs.same[1]])
    known = np.isfinite(of_pairs)
    of_pairs, rejected, person = of_pairs[known], pairs.rejected[known], pairs.person[known]
    errors, people = int(rejected.sum()), len(np.unique(person))
    counts = DiscardCurve(name, len(of_pairs), int((~known).sum()), errors, people)
    reason = _not_measurable(counts)
    if reason:
        return _without(counts, reason)
    values, cell = np.unique(of_pairs, return_inverse=True)
    sums = np.stack([np.bincount(cell, rejected), np.bincount(cell)], axis=1)
    fnmr = remaining(sums[None])[0]
    cuts = _cuts(values, sums[:, 1])
    accepted_left = at_least(np.minimum(quality[pairs.accepted[0]], quality[pairs.accepted[1]]), cuts)
    left = pairs.left(quality, cuts)
    points = tuple(
        DiscardPoint(
            share,
            float(rate),
            limit_of(name, float(cut)) if np.isfinite(cut) else None,
            float(matches / count) if count else None,
            float(count / left[0]) if left[0] else 0.0,
        )
        for share, rate, cut, matches, count in zip(SHARES, fnmr, cuts, accepted_left, left, strict=True)
    )
    gains = _drawn_gains(of_pairs, rejected, person, rounds, seed)
    low, high = np.nanquantile(gains, [tail, 1 - tail])
    gain = float(gain_of(fnmr[None])[0])
    return DiscardCurve(
        name,
        counts.same_pairs,
        counts.unknown,
        errors,
        people,
        points,
        gain,
        float(low),
        float(high),
        bool(low > 0),
    )


def _not_measurable(counts: DiscardCurve) -> str:
    if not counts.same_pairs:
        return "it is not known of any same pair"
    if counts.false_rejects < MIN_ERRORS:
        rejects = counted(counts.false_rejects, "false reject")
        return f"there are {rejects} at this threshold; it takes {MIN_ERRORS}"
    if counts.people < MIN_PEOPLE:
        return f"{counted(counts.people, 'person', 'people')} have a same pair; it takes {MIN_PEOPLE}"
    return ""


def _without(counts: DiscardCurve, reason: str) -> DiscardCurve:
    made = asdict(counts) | {"reason": reason}
    return DiscardCurve(**made)


def remaining(sums: Floats | NDArray[np.int64], shares: Sequence[float] = SHARES) -> Floats:
    """The false non-match rate of what is left at each share.

    Args:
        sums: (B, C, 2) false rejects and pairs of each quality, worst first.
        shares: Of the pairs that are discarded, below 1.

    Returns:
        (B, len(shares)); NaN where there is no pair.
    """
    at = np.zeros((len(sums), sums.shape[1] + 1, 2))
    np.cumsum(sums, axis=1, out=at[:, 1:])
    part = np.asarray(shares, np.float64)
    rates = np.full((len(sums), len(part)), np.nan)
    for row, (errors, pairs) in enumerate(zip(at[:, :, 0], at[:, :, 1], strict=True)):
        if pairs[-1] > 0:
            gone = np.interp(part * pairs[-1], pairs, errors)
            rates[row] = (errors[-1] - gone) / (pairs[-1] * (1 - part))
    return rates


def at_least(values: Floats, cuts: Floats) -> NDArray[np.int64]:
    """How many of some values are at least each of (K,) others; NaN never is."""
    known = np.sort(values[np.isfinite(values)])
    return np.asarray(len(known) - np.searchsorted(known, cuts), np.int64)


def gain_of(fnmr: Floats) -> Floats:
    """(B,) 1 - mean FNMR over FNMR of all pairs, of (B, K) rates at evenly spaced shares (trapezoids)."""
    mean = (fnmr[:, 1:] + fnmr[:, :-1]).mean(axis=1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(fnmr[:, 0] > 0, 1 - mean / fnmr[:, 0], np.nan))


def _cuts(values: Floats, counts: NDArray[np.int64]) -> Floats:
    """From which quality on pairs are kept at each share: all as long as the worst are not all discarded."""
    below = np.cumsum(counts)
    cuts = []
    for share in SHARES:
        at = int(np.searchsorted(below, share * below[-1] * (1 + 1e-12), side="right"))
        cuts.append(-np.inf if at == 0 else (values[at - 1] + values[at]) / 2)
    return np.array(cuts)


def _drawn_gains(
    quality: Floats, rejected: NDArray[np.bool_], person: NDArray[np.int64], rounds: int, seed: int
) -> Floats:
    """(rounds,) the gain when the people are drawn with replacement; pairs of like quality are summed."""
    order = np.argsort(quality, kind="stable")
    ordered = quality[order]
    starts = np.searchsorted(ordered, ordered)  # of equal ones the first: they stay together
    cell = np.unique(starts * _CELLS // len(ordered), return_inverse=True)[1].astype(np.int64)
    who = person[order]
    count = int(cell[-1]) + 1
    summed = GroupPairs.of(cell, (who, who), rejected[order], count, same=True)
    return gain_of(remaining(drawn_counts(summed, [True] * count, rounds, seed)))
