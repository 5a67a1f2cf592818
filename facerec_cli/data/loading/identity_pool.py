"""Drawing photos by identity: some people at random, and a few photos of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError

Ints = NDArray[np.int64]


class IdentityPool:
    """Photos that a sampler may draw from, grouped by person.

    Args:
        labels: (N,) int64, class of each photo of the data set.
        members: The photos that may be drawn.
        what: Their name, for messages.
        weights: (N,) of each photo: people are drawn by the mean of theirs, and photos of weight 0 never are;
            None: all alike.
    """

    def __init__(
        self,
        labels: Ints,
        members: NDArray[np.intp],
        what: str,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        if weights is not None:
            members = members[weights[members] > 0]
        member_labels = labels[members]
        self._members = members[np.argsort(member_labels, kind="stable")].astype(np.int32)
        counts = np.bincount(member_labels)
        starts = np.cumsum(counts) - counts
        present = np.flatnonzero(counts)
        self._count, self._start = counts[present], starts[present]
        self._paired = np.flatnonzero(self._count >= 2)
        self._weights = None
        if weights is not None:
            self._weights = np.bincount(member_labels, weights[members])[present] / self._count
        self._what = what

    @property
    def photos(self) -> int:
        """How many may be drawn."""
        return len(self._members)

    def require_pairs(self) -> None:
        """Refuse photos among which nobody has two."""
        if len(self._paired) == 0:
            raise InputError(
                f"No person in {self._what} has two photos, so there are no same-person pairs to learn from.",
                hint="Use a loss with shuffled batches (arcface, npt, epl), or data with more photos each.",
            )

    def require_people(self, count: int) -> None:
        """Refuse photos of fewer than ``count`` people."""
        if len(self._count) < count:
            raise InputError(
                f"A batch needs one photo each of {count} people, but {self._what} has {len(self._count)}.",
                hint="Lower --batch-size or the share of singles.",
            )

    def pick(self, random: np.random.Generator, people: int, each: int) -> Ints:
        """(people, each) int64: ``each`` photos of different people; repeats only where there are too few."""
        eligible = self._paired if each > 1 else np.arange(len(self._count))
        chances = None if self._weights is None else self._weights[eligible] / self._weights[eligible].sum()
        drawn = random.choice(len(eligible), min(people, len(eligible)), replace=False, p=chances)
        who = eligible[np.resize(drawn, people)]
        count = self._count[who]
        offset = (
            _one_or_two(random.random((people, each)), count)
            if each <= 2
            else np.stack(
                [
                    np.resize(random.choice(size, min(each, size), replace=False), each)
                    for size in count.tolist()
                ]
            )
        )
        photos: Ints = self._members[self._start[who][:, None] + offset].astype(np.int64)
        return photos


def _one_or_two(keys: NDArray[np.float64], count: NDArray[np.int64]) -> Ints:
    """Different offsets below ``count``, one or two a row, without a loop."""
    first = (keys[:, :1] * count[:, None]).astype(np.int64)
    if keys.shape[1] == 1:
        return first
    apart = 1 + (keys[:, 1:] * (count[:, None] - 1)).astype(np.int64)
    return np.concatenate([first, (first + apart) % count[:, None]], axis=1)
