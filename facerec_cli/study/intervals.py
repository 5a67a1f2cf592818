"""How sure a study's figures are: intervals over seeds, and over people and seeds, or none.

Two kinds of chance: seeds, and who happens to be tested. An arm's mean has Student's interval over its seeds
(another seed, the same people), and one over both (another seed and other people): a bootstrap draws the test
people, and Student's t times the standard error over the arm's seeds is added to each draw. To draw the few
seeds themselves with replacement would give intervals that are too narrow. Differences between arms have the
latter; both arms see the same people, so what makes a draw easy for both cancels. Below ``MIN_SEEDS`` nothing
can be said but for the people: Student's t for two seeds is 12.7, so the interval of any two that differ by a
few points would hold everything. An interval never leaves what a rate can be, 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from facerec_cli.study.comparison import MIN_SEEDS, Difference, MeanOverSeeds
from facerec_cli.study.protocol import BEFORE

Rows = NDArray[np.float64]

_DRAWS = 16  # of Student's t for each draw of people: its tails are heavy


@dataclass(frozen=True, slots=True)
class Rates:
    """TAR of one arm on one subset.

    Attributes:
        arm: Its name.
        fars: F false accept rates.
        tar: (S, F) of each seed.
        rounds: (S, R, F) of each seed in each round of the bootstrap over people.
    """

    arm: str
    fars: tuple[float, ...]
    tar: Rows
    rounds: Rows


def mean_over_seeds(values: Sequence[float], ends: tuple[float, float] | None = None) -> MeanOverSeeds:
    """Mean with half of Student's 95 % interval; no interval below three seeds.

    Args:
        values: Of each seed.
        ends: The interval over people and seeds, where there is one.
    """
    from scipy.stats import t

    mean, count = float(np.mean(values)), len(values)
    half = None
    if count >= MIN_SEEDS:
        half = float(t.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    low, high = ends or (None, None)
    return MeanOverSeeds(mean=mean, half=half, seeds=tuple(values), low=low, high=high)


def mean_if_known(values: Sequence[float | None]) -> MeanOverSeeds | None:
    """:func:`mean_over_seeds` of the values that there are; None where there are none."""
    known = [value for value in values if value is not None]
    return mean_over_seeds(known) if known else None


def difference(rates: Rates, others: Rates, *, intervals: bool = True) -> dict[str, Difference]:
    """FAR -> how much more TAR one arm has than another, with its interval over people and seeds.

    The network before training counts as no seed: it is the same for all of them.

    Args:
        rates: Of the arm.
        others: Of the reference.
        intervals: Whether there are people enough for intervals.
    """
    seeds = min(len(arm.tar) for arm in (rates, others) if arm.arm != BEFORE)
    means = rates.tar.mean(axis=0) - others.tar.mean(axis=0)
    ends = percentiles(drawn(rates) - drawn(others))
    return {
        f"{far:g}": Difference(float(mean), seeds, *(own if own and intervals else ()))
        for far, mean, own in zip(rates.fars, means, ends, strict=True)
    }


def drawn(rates: Rates) -> Rows:
    """(R * draws, F) mean TAR of an arm with other people and, from three seeds, other seeds; 0..1.

    The people of a row are the same for all arms; the seeds are not.
    """
    people = np.tile(rates.rounds.mean(axis=0), (_DRAWS, 1))
    count = len(rates.tar)
    if count < MIN_SEEDS:
        return people
    error = np.std(rates.tar, axis=0, ddof=1) / np.sqrt(count)
    student = np.random.default_rng(crc32(rates.arm.encode())).standard_t(count - 1, (len(people), 1))
    return np.asarray(np.clip(people + student * error, 0.0, 1.0))


def percentiles(rows: Rows) -> list[tuple[float, float] | None]:
    """2.5 and 97.5 % points of each column; None where no draw could be measured."""
    ends: list[tuple[float, float] | None] = []
    for column in rows.T:
        known = column[np.isfinite(column)]
        low, high = np.percentile(known, [2.5, 97.5]) if known.size else (0.0, 0.0)
        ends.append((float(low), float(high)) if known.size else None)
    return ends
