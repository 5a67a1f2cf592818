"""Errors and pairs inside groups when people are drawn with replacement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from facerec_cli.progress import Progress, silent

_ROUNDS = 64  # at a time
_MOST_WEIGHTS = 8_000_000  # at a time, 32 MB
_CELLS = 65_536  # whose weights are looked up at a time, 16 MB
_DENSE = 8  # so many numbers of a table cost less than looking up the weights of a cell

_Numbers = NDArray[np.float64]
_Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class GroupPairs:
    """Errors and pairs inside groups, summed over each two people.

    Attributes:
        people: How many there are, numbered 0..n-1.
        groups: For each group (C,) int64 people of the first and of the second side, and (C, 2) float64
            errors and pairs.
        same: Whether the pairs are of one person, who counts once.
    """

    people: int
    groups: tuple[tuple[NDArray[np.int64], NDArray[np.int64], _Numbers], ...]
    same: bool

    @classmethod
    def of(
        cls,
        group: NDArray[np.int64],
        people: tuple[NDArray[np.int64], NDArray[np.int64]],
        wrong: NDArray[np.bool_],
        count: int,
        *,
        same: bool,
    ) -> GroupPairs:
        """Sum pairs.

        Args:
            group: (P,) int64 of each pair, 0..count-1.
            people: (P,) int64 for each side.
            wrong: (P,) bool, pairs that are answered wrongly.
            count: How many groups.
            same: Whether all are pairs of one person.
        """
        known, numbers = np.unique(np.concatenate(people), return_inverse=True)
        n = max(len(known), 1)
        first, second = numbers[: len(group)], numbers[len(group) :]
        keys, cell = np.unique((group * n + first) * n + second, return_inverse=True)
        sums = np.stack([np.bincount(cell, wrong, len(keys)), np.bincount(cell, minlength=len(keys))], axis=1)
        starts = np.searchsorted(keys, np.arange(count + 1) * n * n)
        parts = [slice(a, b) for a, b in pairwise(starts.tolist())]
        groups = tuple((keys[part] // n % n, keys[part] % n, sums[part].astype(np.float64)) for part in parts)
        return cls(len(known), groups, same)

    def people_of_groups(self) -> list[int]:
        """How many people each group's pairs have."""
        return [len(np.union1d(first, second)) for first, second, _ in self.groups]


def drawn_counts(
    pairs: GroupPairs, kept: Sequence[bool], rounds: int, seed: int, progress: Progress = silent
) -> _Numbers:
    """Errors and pairs of each group in each round, weighted.

    A person drawn w times gives weight w to their same pairs; a pair of two people has the product of their
    weights, as in :func:`~facerec_cli.metrics.bootstrap.bootstrap_tar`.

    Args:
        pairs: What is counted.
        kept: Which groups are.
        rounds: How often.
        seed: Of the random numbers.
        progress: Told the rounds done.

    Returns:
        (rounds, G, 2) float64 of the groups that are kept.
    """
    used = [group for group, is_kept in zip(pairs.groups, kept, strict=True) if is_kept]
    counters = [_counter(*group, same=pairs.same) for group in used]
    random = np.random.default_rng(seed)
    n = pairs.people
    block = max(1, min(_ROUNDS, _MOST_WEIGHTS // n))
    found = np.empty((rounds, len(counters), 2))
    for start in range(0, rounds, block):
        size = min(block, rounds - start)
        drawn = random.integers(0, n, (size, n)) * size + np.arange(size)[:, None]
        # A person's weights of all rounds lie side by side: they are looked up at once.
        weight = np.bincount(drawn.ravel(), minlength=n * size).reshape(n, size).astype(np.float32)
        for g, count in enumerate(counters):
            found[start : start + size, g] = count(weight)
        progress(start + size, rounds)
    return found


def _counter(
    first: NDArray[np.int64], second: NDArray[np.int64], sums: _Numbers, *, same: bool
) -> Callable[[_Weights], _Numbers]:
    """What gives one group's (B, 2) errors and pairs with (n, B) weights."""
    known, numbers = np.unique(np.concatenate((first, second)), return_inverse=True)
    if not same and len(known) ** 2 <= _DENSE * len(first):
        tables = np.zeros((2, len(known), len(known)), np.float32)
        tables[:, numbers[: len(first)], numbers[len(first) :]] = sums.T

        def of_tables(weight: _Weights) -> _Numbers:
            own = weight[known]
            return np.stack([((table @ own) * own).sum(axis=0, dtype=np.float64) for table in tables], axis=1)

        return of_tables

    def of_cells(weight: _Weights) -> _Numbers:
        found = np.zeros((weight.shape[1], 2))
        for start in range(0, len(first), _CELLS):
            part = slice(start, start + _CELLS)
            product = weight[first[part]]
            if not same:
                product *= weight[second[part]]
            found += product.T @ sums[part].astype(np.float32)
        return found

    return of_cells
