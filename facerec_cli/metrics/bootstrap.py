"""Intervals that know that pairs share people: resample the people, not the pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.scores import Scores
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.progress import Progress, silent

#: Of fewer people with genuine pairs a draw is too often the same few again: its interval is too narrow.
MIN_PEOPLE = 10

_MAX_TABLE = 3000  # people whose numbers of pairs with each other are kept as a table, 72 MB


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
    scores: Scores,
    same: NDArray[np.bool_],
    people: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    fars: Sequence[float],
    rounds: int,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[BootstrapInterval, ...]:
    """Draw people with replacement, and measure TAR at FAR anew each time, threshold included.

    A person drawn w times gives weight w to each of their genuine pairs; an impostor pair has the product of
    its two people's weights (the "subsets" bootstrap of Bolle, Ratha and Pankanti 2004 in weighted form).

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
    with_genuine_pairs = len(np.unique(people[0][same]))
    if with_genuine_pairs < MIN_PEOPLE:
        reason = f"not measurable over {with_genuine_pairs} people with a same pair; it takes {MIN_PEOPLE}"
        return tuple(BootstrapInterval(far, None, None, reason) for far in fars)
    rates = resampled_tar(scores, same, people, fars=fars, rounds=rounds, seed=seed, progress=progress)
    low, high = np.nanpercentile(rates, [2.5, 97.5], axis=0)
    return tuple(
        BootstrapInterval(far, float(a), float(b)) for far, a, b in zip(fars, low, high, strict=True)
    )


def resampled_tar(
    scores: Scores,
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
    genuine, person = scores[same], people[0][same]
    impostors = _Impostors(scores[~same], people[0][~same], people[1][~same])
    count = 1 + int(max(side.max() for side in people))
    total = _TotalWeight(impostors, count)
    # Only the highest scores can be thresholds; a draw that would need more of them gets all.
    highest = impostors.highest(round(4 * max(fars) * len(impostors.scores)) + 1000)
    everything: _Impostors | None = None
    random = np.random.default_rng(seed)
    rates = np.full((rounds, len(fars)), np.nan)
    for r in range(rounds):
        weight = np.bincount(random.integers(0, count, count), minlength=count)
        impostor_weight, genuine_weight = total(weight), weight[person]
        if impostor_weight and genuine_weight.sum():
            allowed = np.floor(np.asarray(fars) * impostor_weight * (1 + 1e-12))
            rejected = highest.first_rejected(weight, allowed)
            if rejected is None:
                everything = everything or impostors.highest(len(impostors.scores))
                rejected = everything.first_rejected(weight, allowed)
                assert rejected is not None
            rates[r] = [genuine_weight[genuine > s].sum() / genuine_weight.sum() for s in rejected]
        progress(r + 1, rounds)
    return rates


@dataclass(frozen=True, slots=True)
class _Impostors:
    """Impostor pairs: (I,) scores and the (I,) int64 people of both sides."""

    scores: Scores
    first: NDArray[np.int64]
    second: NDArray[np.int64]

    def highest(self, count: int) -> _Impostors:
        """The ``count`` highest scores and those equal to the last of them, from high to low."""
        rows = np.arange(len(self.scores))
        if count < len(rows):
            rows = np.flatnonzero(self.scores >= np.partition(self.scores, -count)[-count])
        rows = rows[np.argsort(-self.scores[rows], kind="stable")]
        return _Impostors(self.scores[rows], self.first[rows], self.second[rows])

    def first_rejected(self, weight: NDArray[np.int64], allowed: NDArray[np.float64]) -> Scores | None:
        """For each allowed weight of accepted pairs the first score beyond it; None if it is not here.

        The scores are sorted from high to low.
        """
        accepted = np.cumsum(weight[self.first] * weight[self.second])
        if not len(accepted) or accepted[-1] <= allowed.max():
            return None
        return self.scores[np.searchsorted(accepted, allowed, side="right")]


class _TotalWeight:
    """The weight of all impostor pairs, by a table of how many each two people have if it is small."""

    def __init__(self, impostors: _Impostors, count: int) -> None:
        self.impostors = impostors
        self.table: NDArray[np.float64] | None = None
        if count <= _MAX_TABLE:
            cells = impostors.first * count + impostors.second
            pairs = np.bincount(cells, minlength=count * count)
            self.table = pairs.reshape(count, count).astype(np.float64)

    def __call__(self, weight: NDArray[np.int64]) -> int:
        if self.table is None:
            return int((weight[self.impostors.first] * weight[self.impostors.second]).sum())
        return round(float(weight @ self.table @ weight))


def people_in(pairs: PairList) -> NDArray[np.int64]:
    """Who is who in a list, (N,) int64: as the list says of its photos, else by :func:`people_of`."""
    if pairs.identity is None or pairs.templates is not None:
        return people_of(pairs.first, pairs.second, pairs.same)
    return pairs.identity


def people_of(
    first: NDArray[np.int64], second: NDArray[np.int64], same: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Who is who, where a list does not say: items joined by genuine pairs are one person.

    Args:
        first: (P,) int64 index of an item (photo or template) from 0.
        second: (P,) the other side.
        same: (P,) bool.

    Returns:
        (N,) int64 person numbers, 0..n-1, of the items up to the highest index.
    """
    parent = list(range(1 + int(max(first.max(), second.max()))))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in zip(first[same].tolist(), second[same].tolist(), strict=True):
        parent[root(a)] = root(b)
    return np.unique([root(i) for i in range(len(parent))], return_inverse=True)[1].astype(np.int64)
