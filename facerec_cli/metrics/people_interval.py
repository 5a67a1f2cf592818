"""Intervals of rates over pairs that share people.

Wilson's interval takes pairs as independent. Pairs of photos are not: whoever looks like many people is in
many accepted pairs, and two people who look alike are accepted with each of their photos. The variance of a
rate f over pairs of two people that knows this is the dyadic cluster-robust one (Fafchamps and Gubert 2007,
"The formation of risk sharing networks", Journal of Development Economics 83, 326-350; Aronow, Samii and
Assenova 2015, "Cluster-robust variance estimation for dyadic data", Political Analysis 23, 564-577)::

    S_p  = accepted pairs of person p - f * pairs of p
    T_pq = accepted pairs of the two people p and q - f * pairs of p and q
    V    = (sum of S_p^2 - sum of T_pq^2 over each two people) / pairs^2 * n (n - 1) / (n - 2)^2

The last factor makes it right for n people whose effects add up. Of a rate over pairs of one person it is
the sum of S_p^2 / pairs^2 * n / (n - 1). V makes an effective number of pairs, f (1 - f) / V, at most the
real one, and Wilson's interval is taken of so many (as Korn and Graubard 1998, "Confidence intervals for
proportions with small expected number of positive counts estimated from survey data", Survey Methodology 24,
193-201, do with another interval). For the normal distribution's 97.5 % point stands that of Student's t, as
V is the sum of few people's S_p^2: its degrees of freedom are (sum of S_p^2)^2 / (sum of S_p^4) - 1, at least
2. Where no pair or every pair is accepted nothing is known of who shares what, and pairs of the same two
people count as one.

``benchmarks/people_intervals.py`` counts how often it holds: docs/verify.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.all_pairs import tiles
from facerec_cli.metrics.roc import Z95, wilson_interval
from facerec_cli.metrics.scores import Vectors, lowest_accepted
from facerec_cli.progress import Progress, silent

_Floats = NDArray[np.float64]
_Numbers = NDArray[np.int64]

_KEPT = 1 << 24  # accepted pairs of a folder of which it is known who they show, 128 MB
_AT_ONCE = 128  # rows of a tile that are looked through together


@dataclass(frozen=True, slots=True, eq=False)
class SharedPairs:
    """How the pairs of a class, and those of them that are accepted, lie among people.

    Attributes:
        accepted: (n,) accepted pairs that each person is in.
        pairs: (n,) all pairs that each person is in; their sum is 1 (one person a pair) or 2 times all pairs.
        sides: How many people a pair shows, 1 or 2.
        together: Sum of T_pq^2 as coefficients of 1, f and f^2; 0 for pairs of one person.
        largest: Sum of the squared numbers of pairs of each two people, or of each person.
    """

    accepted: _Floats
    pairs: _Floats
    sides: int
    together: tuple[float, float, float]
    largest: float

    @property
    def rate(self) -> float | None:
        """The share of accepted pairs; None without a pair."""
        total = float(self.pairs.sum())
        return float(self.accepted.sum()) / total if total else None

    def interval(self) -> tuple[float, float]:
        """95 % interval of the rate over people like these; never narrower than Wilson's."""
        rate, total = self.rate, float(self.pairs.sum()) / self.sides
        if rate is None:
            return 0.0, 1.0
        if not 0 < rate < 1:
            number = total * total / self.largest
            return wilson_interval(rate * number, number)
        people = int(np.count_nonzero(self.pairs))
        spread = (self.accepted - rate * self.pairs) ** 2
        variance = float(spread.sum()) - float(np.dot(self.together, (1.0, rate, rate * rate)))
        factor = people / (people - 1) if self.sides == 1 else people * (people - 1) / max(people - 2, 1) ** 2
        variance *= factor / (total * total)
        number = total if variance <= 0 else min(total, rate * (1 - rate) / variance)
        freedom = float(spread.sum()) ** 2 / max(float((spread**2).sum()), 1e-300) - 1
        return wilson_interval(rate * number, number, student(freedom))


def of_one_person(accepted: NDArray[np.bool_], person: _Numbers) -> SharedPairs:
    """Pairs of one person.

    Args:
        accepted: (P,) bool.
        person: (P,) int64 from 0, whom each pair shows.
    """
    pairs = np.bincount(person).astype(np.float64)
    found = np.bincount(person[accepted], minlength=pairs.size).astype(np.float64)
    return SharedPairs(found, pairs, 1, (0.0, 0.0, 0.0), float((pairs**2).sum()))


def of_two_people(accepted: NDArray[np.bool_], first: _Numbers, second: _Numbers) -> SharedPairs:
    """Pairs of two people.

    Args:
        accepted: (P,) bool.
        first: (P,) int64 from 0, who is on one side.
        second: (P,) the other side.
    """
    count = 1 + int(max(first.max(initial=-1), second.max(initial=-1)))
    sides = (first, second)
    pairs, found = (
        np.bincount(np.concatenate([side[use] for side in sides]), minlength=count).astype(np.float64)
        for use in (slice(None), accepted)
    )
    keys = np.minimum(first, second) * count + np.maximum(first, second)
    cells, cell = np.unique(keys, return_inverse=True)
    of_two = np.bincount(cell, minlength=cells.size).astype(np.float64)
    accepted_of_two = np.bincount(cell[accepted], minlength=cells.size).astype(np.float64)
    return SharedPairs(found, pairs, 2, _together(accepted_of_two, of_two), float((of_two**2).sum()))


def of_all_pairs(
    vectors: Vectors, person: _Numbers, threshold: float, *, progress: Progress = silent
) -> tuple[SharedPairs, SharedPairs]:
    """Each two photos of a folder: pairs of one person, and of two, without a list of them.

    Args:
        vectors: (N, D) float32, unit length.
        person: (N,) int64 from 0, who is on each photo.
        threshold: Accept when score >= threshold.
        progress: Told the photos done.
    """
    photos = np.bincount(person).astype(np.float64)
    least = lowest_accepted(threshold, np.dtype(np.float32))[0]
    count, found = photos.size, np.zeros((2, photos.size))
    kept: list[_Numbers] | None = []
    for tile in tiles(vectors):
        for start in range(0, len(tile.scores), _AT_ONCE):
            i, j = np.nonzero(tile.scores[start : start + _AT_ONCE] >= least)
            i, j = i + tile.rows.start + start, j + tile.columns.start
            above = i < j
            a, b = person[i[above]], person[j[above]]
            same = a == b
            found[0] += np.bincount(a[same], minlength=count)
            a, b = a[~same], b[~same]
            found[1] += np.bincount(a, minlength=count) + np.bincount(b, minlength=count)
            if kept is not None:
                kept.append(np.minimum(a, b) * count + np.maximum(a, b))
        if kept is not None and sum(map(len, kept)) > _KEPT:
            kept = None
        progress(tile.rows.stop, len(vectors))
    squares = photos**2
    largest = (squares.sum() ** 2 - (squares**2).sum()) / 2
    together = (0.0, 0.0, 0.0)  # of too many accepted pairs nothing is taken off: a little too wide
    if kept is not None:
        cells, accepted = np.unique(np.concatenate([np.zeros(0, np.int64), *kept]), return_counts=True)
        of_two = photos[cells // count] * photos[cells % count]
        together = (*_together(accepted.astype(np.float64), of_two)[:2], float(largest))
    own = photos * (photos - 1) / 2
    others = photos * (photos.sum() - photos)
    return (
        SharedPairs(found[0], own, 1, (0.0, 0.0, 0.0), float((own**2).sum())),
        SharedPairs(found[1], others, 2, together, float(largest)),
    )


def _together(accepted: _Floats, pairs: _Floats) -> tuple[float, float, float]:
    """The sum of (accepted - f pairs)^2 over each two people, as coefficients of 1, f and f^2."""
    return float((accepted**2).sum()), -2 * float((accepted * pairs).sum()), float((pairs**2).sum())


def student(freedom: float) -> float:
    """The 97.5 % point of Student's t, of 2 degrees of freedom or more: 4.27 there, for 4.30.

    By the expansion at the normal distribution (Abramowitz and Stegun 1964, 26.7.5).
    """
    x, v = Z95, max(freedom, 2.0)
    terms = (
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return float(x + sum(term / v**power for power, term in enumerate(terms, start=1)))
