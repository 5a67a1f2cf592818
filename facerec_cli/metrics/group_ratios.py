"""How many times the error rate of one group is that of another, with intervals over people.

Two summaries of rates at one threshold: the worst group's rate over the best's, as NIST's Face Recognition
Vendor Test compares groups in its Part 3 (NIST IR 8280, 2019), and each group's over the geometric mean of
all, whose largest is the Max/GeoMean of its Part 8 ("Summarizing Demographic Differentials", draft of 2022).
ISO/IEC 19795-10:2024 asks for the statistical uncertainty of such variation.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import compress
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.bootstrap import MIN_PEOPLE
from facerec_cli.metrics.group_draws import GroupPairs, drawn_counts
from facerec_cli.metrics.group_report import (
    GroupRate,
    GroupRatio,
    GroupRatios,
    GroupReport,
    RateRatios,
    RefusedGroup,
)
from facerec_cli.metrics.roc import wilson_interval
from facerec_cli.progress import Progress, silent
from facerec_cli.wording import counted, people

ROUNDS = 2000  # 50 draws beyond each end of a 95 % interval

_Rates = NDArray[np.float64]


def with_ratios(
    report: GroupReport,
    scores: NDArray[np.float32],
    same: NDArray[np.bool_],
    failed: NDArray[np.bool_],
    sides: tuple[NDArray[np.int64], NDArray[np.int64]],
    people: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
    progress: Progress = silent,
) -> GroupReport:
    """The report with ratios between its groups, at its threshold.

    People are drawn with replacement, the same for all groups in a round, since one person may be in several
    (of photos as a child and as an adult) and a pair of two people belongs to both.

    Args:
        report: Of :func:`~facerec_cli.metrics.groups.group_rates` on these pairs.
        scores: (P,) similarity.
        same: (P,) bool.
        failed: (P,) bool, pairs without a score; left out.
        sides: (P,) group number of each side, -1 for none.
        people: (P,) int64 person of each side, 0..n-1.
        rounds: How often people are drawn.
        seed: Of the random numbers.
        progress: Told the rounds done of both kinds together.
    """
    inside = ~failed & (sides[0] >= 0) & (sides[0] == sides[1])
    wrong = (scores >= report.threshold) != same
    found = []
    for number, (kind, rates) in enumerate(((True, report.fnmr), (False, report.fmr))):
        use = inside & (same == kind)
        within = [rate for rate in rates if rate.group == rate.other]
        pairs = GroupPairs.of(
            sides[0][use], (people[0][use], people[1][use]), wrong[use], len(within), same=kind
        )
        found.append(_ratios(within, pairs, rounds, seed, _part(progress, number * rounds, 2 * rounds)))
    return replace(report, ratios=GroupRatios(found[0], found[1], rounds))


def _part(progress: Progress, before: int, every: int) -> Progress:
    """Progress of a part of ``every`` round, after those ``before``."""

    def told(done: int, total: int | None = None) -> None:
        progress(before + done, every)

    return told


def _ratios(
    rates: list[GroupRate], pairs: GroupPairs, rounds: int, seed: int, progress: Progress
) -> RateRatios:
    numbers = pairs.people_of_groups()
    reasons = [_too_small(rate, number) for rate, number in zip(rates, numbers, strict=True)]
    refused = tuple(
        RefusedGroup(rate.group, number, rate.pairs, reason)
        for rate, number, reason in zip(rates, numbers, reasons, strict=True)
        if reason
    )
    kept = [not reason for reason in reasons]
    rates = list(compress(rates, kept))
    if len(rates) < 2:
        told = f"ratios take two groups; {len(rates)} of {len(kept)} has enough people and pairs"
        return RateRatios(None, (), None, refused, told)
    if not any(rate.errors for rate in rates):
        return RateRatios(None, (), None, refused, "no group has an error at this threshold")
    counts = drawn_counts(pairs, kept, rounds, seed, progress)
    with np.errstate(invalid="ignore"):
        drawn = counts[..., 0] / counts[..., 1]
    for g, rate in enumerate(rates):
        if not rate.errors:  # draws of nothing but zeros would say that it is surely zero
            drawn[:, g] = wilson_interval(0, rate.pairs)[1]
    few = min(compress(numbers, kept))
    mean, over_mean = _over_mean(rates, drawn, _expanded(0.05, few))
    looks = len(rates) * (len(rates) - 1) // 2
    return RateRatios(_worst_over_best(rates, drawn, _expanded(0.05 / looks, few)), over_mean, mean, refused)


def _too_small(rate: GroupRate, number: int) -> str:
    if number < MIN_PEOPLE:
        return f"{people(number)}; it takes {MIN_PEOPLE}"
    return "" if rate.enough else f"{counted(rate.pairs, 'pair')}, too few for its rate"


def _expanded(error: float, number: int) -> float:
    """What a percentile interval over so many people must leave out to hold as often as it says.

    Draws spread too little by (n - 1) / n, and know nothing of Student's t: Hesterberg's expanded percentile
    interval ("What Teachers Should Know About the Bootstrap", 2015). Of t the first terms of its expansion.
    """
    z, nu = NormalDist().inv_cdf(1 - error / 2), number - 1
    t = z + (z**3 + z) / (4 * nu) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * nu**2)
    return 2 * NormalDist().cdf(-t * math.sqrt(number / nu))


def _worst_over_best(rates: list[GroupRate], drawn: _Rates, error: float) -> GroupRatio:
    # Of several groups without an error the one with most pairs bounds the ratio best.
    order = sorted(range(len(rates)), key=lambda g: (rates[g].rate or 0.0, -rates[g].pairs))
    worst, best = order[-1], order[0]
    low, high = _ends(drawn[:, worst], drawn[:, best], error)
    top, bottom = rates[worst], rates[best]
    if not bottom.errors:
        reason = f"{bottom.group} has no error in {counted(bottom.pairs, 'pair')}"
        return GroupRatio(top.group, bottom.group, None, low or None, None, reason)
    return GroupRatio(top.group, bottom.group, _share(top) / _share(bottom), low, high)


def _over_mean(
    rates: list[GroupRate], drawn: _Rates, error: float
) -> tuple[float | None, tuple[GroupRatio, ...]]:
    with np.errstate(divide="ignore"):
        means = np.exp(np.log(drawn).mean(axis=1))
    zero = [rate.group for rate in rates if not rate.errors]
    if not zero:
        mean = float(np.exp(np.mean([np.log(_share(rate)) for rate in rates])))
        return mean, tuple(
            GroupRatio(rate.group, "", _share(rate) / mean, *_ends(drawn[:, g], means, error))
            for g, rate in enumerate(rates)
        )
    reason = f"the geometric mean is zero: {', '.join(zero)} without an error"
    lows = [_ends(drawn[:, g], means, error)[0] if rate.errors else 0.0 for g, rate in enumerate(rates)]
    return None, tuple(
        GroupRatio(rate.group, "", None, low or None, None, reason)
        for rate, low in zip(rates, lows, strict=True)
    )


def _share(rate: GroupRate) -> float:
    return rate.errors / rate.pairs


def _ends(above: _Rates, below: _Rates, error: float) -> tuple[float, float | None]:
    """The percentile interval of a ratio; the upper end is None where draws had nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = above / below
    unknown = np.isnan(ratio)  # nobody of a group was drawn, or neither had an error: it may be anything
    low = np.quantile(np.where(unknown, 0.0, ratio), error / 2, method="lower")
    high = np.quantile(np.where(unknown, np.inf, ratio), 1 - error / 2, method="higher")
    return float(low), float(high) if np.isfinite(high) else None
