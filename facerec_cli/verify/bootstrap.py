"""Intervals that know that pairs share people: resample the people, not the pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class BootstrapInterval:
    """95 % percentile interval of TAR at a FAR, over resampled people."""

    far: float
    low: float
    high: float


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
    order = np.argsort(-scores[~same], kind="stable")
    impostor = scores[~same][order]
    one, two = (side[~same][order] for side in people)
    genuine, owner = scores[same], people[0][same]
    count = int(max(side.max() for side in people)) + 1
    random = np.random.default_rng(seed)
    rates = np.full((rounds, len(fars)), np.nan)
    for r in range(rounds):
        weight = np.bincount(random.integers(0, count, count), minlength=count)
        accepted = np.cumsum(weight[one] * weight[two])
        own = weight[owner]
        if accepted[-1] and own.sum():
            allowed = np.floor(np.asarray(fars) * accepted[-1] * (1 + 1e-12))
            first_rejected = impostor[np.searchsorted(accepted, allowed, side="right")]
            rates[r] = [(own[genuine > s]).sum() / own.sum() for s in first_rejected]
        progress(r + 1, rounds)
    low, high = np.nanpercentile(rates, [2.5, 97.5], axis=0)
    return tuple(
        BootstrapInterval(far, float(a), float(b)) for far, a, b in zip(fars, low, high, strict=True)
    )


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
