"""Intervals that know that pairs share people: resample the people, not the pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.progress import Progress, silent

#: Of fewer people with same pairs a draw is too often the same few again: its interval would be too narrow.
MIN_PEOPLE = 10


@dataclass(frozen=True, slots=True)
class BootstrapInterval:
    """95 % percentile interval of TAR at a FAR, over resampled people.

    Attributes:
        far: The rate.
        low: Lower end, 0..1; None where it is not measurable.
        high: Upper end.
        reason: Why it is not measurable, else "".
    """

    far: float
    low: float | None
    high: float | None
    reason: str = ""


def bootstrap_tar(
    scores: NDArray[np.float32],
    same: NDArray[np.bool_],
    people: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    fars: Sequence[float],
    rounds: int,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[BootstrapInterval, ...]:
    """Draw people with replacement, and measure TAR at FAR anew each time, threshold included.

    A person drawn w times gives weight w to each of their same pairs; a different pair has the product of its
    two people's weights (the "subsets" bootstrap of Bolle, Ratha and Pankanti 2004 in weighted form).

    Args:
        scores: (P,) of scored pairs only.
        same: (P,) bool.
        people: (P,) int64 for each side, 0..n-1.
        fars: False accept rates, each measurable on the whole data.
        rounds: How many times.
        seed: Of the random numbers; the same seed gives the same intervals.
        progress: Told the rounds done.
    """
    if not fars:
        return ()
    having = len(np.unique(people[0][same]))
    if having < MIN_PEOPLE:
        reason = f"not measurable over {having} people with a same pair; it takes {MIN_PEOPLE}"
        return tuple(BootstrapInterval(far, None, None, reason) for far in fars)
    rates = resampled_tar(scores, same, people, fars=fars, rounds=rounds, seed=seed, progress=progress)
    low, high = np.nanpercentile(rates, [2.5, 97.5], axis=0)
    return tuple(
        BootstrapInterval(far, float(a), float(b)) for far, a, b in zip(fars, low, high, strict=True)
    )


def resampled_tar(
    scores: NDArray[np.float32],
    same: NDArray[np.bool_],
    people: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    fars: Sequence[float],
    rounds: int,
    seed: int = 0,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """TAR at each FAR in each round of :func:`bootstrap_tar`, (rounds, F); NaN where nobody was left.

    The people drawn depend on the seed only, so the rounds of two models on the same pairs are paired: the
    spread of their difference is that of the models' difference, without what the people have in common.
    """
    if not fars:
        return np.empty((rounds, 0))
    negative = scores[~same]
    one, two = (side[~same] for side in people)
    genuine, owner = scores[same], people[0][same]
    count = int(max(side.max() for side in people)) + 1
    # Only the highest scores can be thresholds; a draw that would need more of them gets all.
    most = max(fars)
    tail = _Tail(negative, one, two, min(len(negative), round(4 * most * len(negative)) + 1000))
    everything: _Tail | None = None
    total = _Total(one, two, count)
    random = np.random.default_rng(seed)
    rates = np.full((rounds, len(fars)), np.nan)
    for r in range(rounds):
        weight = np.bincount(random.integers(0, count, count), minlength=count)
        whole = total(weight)
        own = weight[owner]
        if whole and own.sum():
            allowed = np.floor(np.asarray(fars) * whole * (1 + 1e-12))
            found = tail.first_rejected(weight, allowed)
            if found is None:
                everything = everything or _Tail(negative, one, two, len(negative))
                found = everything.first_rejected(weight, allowed)
                assert found is not None
            rates[r] = [(own[genuine > s]).sum() / own.sum() for s in found]
        progress(r + 1, rounds)
    return rates


class _Tail:
    """The highest scores of different pairs, from high to low, with their two people."""

    def __init__(
        self, scores: NDArray[np.float32], one: NDArray[np.int64], two: NDArray[np.int64], keep: int
    ) -> None:
        chosen = np.arange(len(scores))
        if keep < len(scores):
            chosen = np.flatnonzero(scores >= np.partition(scores, -keep)[-keep])
        order = chosen[np.argsort(-scores[chosen], kind="stable")]
        self.scores, self.one, self.two = scores[order], one[order], two[order]

    def first_rejected(
        self, weight: NDArray[np.int64], allowed: NDArray[np.float64]
    ) -> NDArray[np.float32] | None:
        """For each allowed weight of accepted pairs the first score beyond it; None if it is not here."""
        accepted = np.cumsum(weight[self.one] * weight[self.two])
        if not len(accepted) or accepted[-1] <= allowed.max():
            return None
        rejected: NDArray[np.float32] = self.scores[np.searchsorted(accepted, allowed, side="right")]
        return rejected


class _Total:
    """The weight of all different pairs, by a table of how many each two people have if it is small."""

    def __init__(self, one: NDArray[np.int64], two: NDArray[np.int64], count: int) -> None:
        self.one, self.two = one, two
        self.table: NDArray[np.float64] | None = None
        if count <= 3000:
            pairs = np.bincount(one * count + two, minlength=count * count)
            self.table = pairs.reshape(count, count).astype(np.float64)

    def __call__(self, weight: NDArray[np.int64]) -> int:
        if self.table is None:
            return int((weight[self.one] * weight[self.two]).sum())
        return round(float(weight @ self.table @ weight))


def people_of(
    first: NDArray[np.int64], second: NDArray[np.int64], same: NDArray[np.bool_], count: int
) -> NDArray[np.int64]:
    """Who is who, where a list does not say: items joined by same pairs are one person.

    Args:
        first: (P,) index of an item (photo or template), 0..count-1.
        second: (P,) the other side.
        same: (P,) bool.
        count: Number of items.

    Returns:
        (count,) int64 person numbers, 0..n-1.
    """
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in zip(first[same].tolist(), second[same].tolist(), strict=True):
        parent[root(a)] = root(b)
    return np.unique([root(i) for i in range(count)], return_inverse=True)[1].astype(np.int64)
