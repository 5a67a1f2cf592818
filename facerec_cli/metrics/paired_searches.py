"""Is model B better than model A at finding people? Both make the same searches.

As ``paired.py`` does it for pairs: the verdict rests on one figure, TPIR at one FPIR with the threshold found
anew in each round (without searches for strangers on rank 1), people are drawn with replacement, the same
ones for all models, and with several models the intervals hold at once (Bonferroni).

Percentiles are too narrow where few searches differ: four that one model alone finds, each of another person,
are left out of all draws so rarely that they would pass for a difference, and yet a coin shows four heads in
one case of sixteen. So an interval reaches at least as far as the exact one for these searches alone
(:func:`discordant_interval`), which does not hold 0 only where McNemar's exact test says the same.

Drawn are the people who are searched for. What other people in the gallery would change is added to the
interval (``paired_galleries.py``): distances from the difference add up as roots of sums of squares (Zou and
Donner 2008).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import MIN_PEOPLE
from facerec_cli.metrics.identification_bootstrap import TrialSearches, resampled_trials
from facerec_cli.metrics.identification_counting import accepted_scores
from facerec_cli.metrics.identification_figures import IdentificationEvaluation
from facerec_cli.metrics.paired import McNemar, PairedFigure, PairedModels, exact_mcnemar, verdict_of
from facerec_cli.metrics.paired_galleries import gallery_variance
from facerec_cli.progress import Progress, silent

_ACCEPTED = 30
"""Strangers who get a name at least at the rate of a verdict where it is chosen; see ``paired.py``."""


@dataclass(frozen=True, slots=True)
class PairedSearches:
    """Models on the same searches, two by two.

    Attributes:
        evaluations: Of each model, its trials.
        pairs: Each two of the models.
        confidence: Of each interval, 0..1: 0.95 for two models, more for several.
        rounds: Of the bootstrap.
        fpir: Of the verdicts; None where they rest on rank 1.
    """

    evaluations: tuple[tuple[IdentificationEvaluation, ...], ...]
    pairs: tuple[PairedModels, ...]
    confidence: float
    rounds: int
    fpir: float | None

    def document(self) -> dict[str, Any]:
        """The comparisons as plain values for JSON; the evaluations have documents of their own."""
        comparisons = [asdict(pair) for pair in self.pairs]
        for one in comparisons:
            for figure in (one["primary"], one["mcnemar"], *one["figures"]):
                if figure is not None:
                    figure["fpir"] = figure.pop("far")
        return {
            "fpir": self.fpir,
            "confidence": self.confidence,
            "rounds": self.rounds,
            "comparisons": comparisons,
        }

    def found(self, model: int, trial: int) -> NDArray[np.bool_]:
        """(A,) bool, mated searches of a trial whose mate is first, and accepted at the verdict's FPIR."""
        return _found(self.evaluations[model][trial], self.fpir)


def compare_searches(
    models: Sequence[Sequence[IdentificationEvaluation]],
    people: Sequence[NDArray[np.int64]],
    *,
    fpir: float | None = None,
    rounds: int = 2000,
    seed: int = 0,
    progress: Progress = silent,
) -> PairedSearches:
    """Compare models by what the same searches returned.

    Args:
        models: Of each of two or more models its trials, asked for the same FPIRs. The searches of a trial
            are the same ones, in one order.
        people: Of each trial (S,) int64, who each search is for, with the same number in all trials.
        fpir: Of the verdict, one that was asked for; None takes the smallest that lets 30 strangers through,
            or else that is measurable in every trial, and rank 1 where there is none.
        rounds: Of the bootstrap.
        seed: The same seed gives the same intervals.
        progress: Told the rounds done.

    Raises:
        InputError: Fewer than two models, other searches, or no mated one.
    """
    _require_same_searches(models)
    first = models[0]
    measured = [
        points[0].fpir
        for points in zip(*(trial.tpir_at_fpir for trial in first), strict=True)
        if all(point.measurable for point in points)
    ]
    strangers = min(int((~trial.outcomes.mated).sum()) for trial in first)
    steady = [rate for rate in measured if rate * strangers >= _ACCEPTED * (1 - 1e-9)]
    chosen = fpir if fpir is not None else min(steady or measured, default=None)
    measurable = chosen is None or chosen in measured
    couples = list(combinations(range(len(models)), 2))
    confidence = 1 - 0.05 / len(couples)
    reason = _too_few(first, people, needs_strangers=bool(measured))
    draws: list[NDArray[np.float64]] = []
    for number, trials in enumerate(models):
        if reason:
            break

        def told(done: int, total: int | None = None, number: int = number) -> None:
            progress(number * rounds + done, len(models) * rounds)

        searches = [_searches(trial, who) for trial, who in zip(trials, people, strict=True)]
        draws.append(resampled_trials(searches, fpirs=measured, rounds=rounds, seed=seed, progress=told))
    compared = []
    for one, other in couples:
        figures = tuple(
            _figure(
                rate, (models[one], models[other]), reason or (draws[one], draws[other], column), confidence
            )
            for column, rate in enumerate((*measured, None))
        )
        primary = next((figure for figure in figures if figure.far == chosen), None) if measurable else None
        counts = _discordant((models[one], models[other]), chosen) if measurable else None
        mcnemar = None if counts is None else McNemar(chosen, *counts, exact_mcnemar(*counts))
        compared.append(PairedModels(one, other, verdict_of(primary), primary, figures, mcnemar))
    evaluations = tuple(tuple(trials) for trials in models)
    return PairedSearches(evaluations, tuple(compared), confidence, rounds, chosen if measurable else fpir)


def discordant_interval(
    only_first: int, only_second: int, searches: int, confidence: float
) -> tuple[float, float]:
    """Interval of the difference of two rates from the searches on which models differ, taken as independent.

    Given how many differ, the share that the second finds is binomial: its exact interval (Clopper and
    Pearson 1934), times their share of all searches.

    Args:
        only_first: Found by the first model alone.
        only_second: Found by the second alone.
        searches: All mated searches.
        confidence: 0..1.
    """
    differ = only_first + only_second
    if not differ:
        return 0.0, 0.0
    tail = (1 - confidence) / 2
    low = _share(only_second, differ, tail)
    high = 1 - _share(only_first, differ, tail)
    return (2 * low - 1) * differ / searches, (2 * high - 1) * differ / searches


def _share(successes: int, trials: int, tail: float) -> float:
    """The share at which at least so many successes have probability ``tail``; 0 for none."""
    if not successes:
        return 0.0
    k = np.arange(successes, trials + 1)
    lgamma = np.frompyfunc(math.lgamma, 1, 1)
    logs = math.lgamma(trials + 1) - (lgamma(k + 1.0) + lgamma(trials - k + 1.0)).astype(np.float64)
    low, high = 0.0, 1.0
    for _ in range(50):
        p = (low + high) / 2
        reached = np.exp(logs + k * math.log(p) + (trials - k) * math.log1p(-p)).sum()
        low, high = (p, high) if reached < tail else (low, p)
    return low


def _require_same_searches(models: Sequence[Sequence[IdentificationEvaluation]]) -> None:
    if len(models) < 2:
        raise InputError("A comparison takes two models at least.")
    for trials in models:
        for mine, theirs in zip(models[0], trials, strict=False):
            a, b = mine.searches, theirs.searches
            same = np.array_equal(a.made, b.made) and np.array_equal(a.identity, b.identity)
            if not same or not np.array_equal(mine.outcomes.mated, theirs.outcomes.mated):
                raise InputError("The models made different searches, so they cannot be compared.")
        if len(trials) != len(models[0]):
            raise InputError("The models made searches in different trials, so they cannot be compared.")
    if not all(trial.outcomes.mated.any() for trial in models[0]):
        raise InputError("There is no mated search that all models can make.")


def _too_few(
    trials: Sequence[IdentificationEvaluation], people: Sequence[NDArray[np.int64]], *, needs_strangers: bool
) -> str:
    """Why there is no interval; "" where there is one."""
    for trial, who in zip(trials, people, strict=True):
        for kind, rows in (("mated", trial.outcomes.mated), ("non-mated", ~trial.outcomes.mated)):
            count = len(np.unique(who[rows]))
            if count < MIN_PEOPLE and (kind == "mated" or needs_strangers):
                return f"not measurable over {count} people of {kind} searches; it takes {MIN_PEOPLE}"
    return ""


def _searches(trial: IdentificationEvaluation, who: NDArray[np.int64]) -> TrialSearches:
    mated = trial.outcomes.mated
    return TrialSearches(
        accepted_scores(trial.outcomes), trial.outcomes.best[~mated], who[mated], who[~mated]
    )


def _found(trial: IdentificationEvaluation, fpir: float | None) -> NDArray[np.bool_]:
    if fpir is None:
        return np.asarray(trial.outcomes.rank[trial.outcomes.mated] == 1)
    point = trial.point(fpir)
    assert point is not None and point.threshold is not None
    return np.asarray(accepted_scores(trial.outcomes) >= point.threshold)


def _discordant(
    two: tuple[Sequence[IdentificationEvaluation], Sequence[IdentificationEvaluation]], fpir: float | None
) -> tuple[int, int]:
    """How many mated searches, over the trials, the first alone finds, and the second alone."""
    found = [(_found(a, fpir), _found(b, fpir)) for a, b in zip(*two, strict=True)]
    return sum(int((a & ~b).sum()) for a, b in found), sum(int((b & ~a).sum()) for a, b in found)


def _figure(
    fpir: float | None,
    two: tuple[Sequence[IdentificationEvaluation], Sequence[IdentificationEvaluation]],
    drawn: str | tuple[NDArray[np.float64], NDArray[np.float64], int],
    confidence: float,
) -> PairedFigure:
    """One figure, the mean over the trials; ``drawn`` is why it has no interval, or the rounds."""
    first, second = (float(np.mean([_found(trial, fpir).mean() for trial in trials])) for trials in two)
    name = "rank 1" if fpir is None else "TPIR"
    if isinstance(drawn, str):
        return PairedFigure(name, fpir, first, second, second - first, reason=drawn)
    differences = drawn[1][:, drawn[2]] - drawn[0][:, drawn[2]]
    tail = 100 * (1 - confidence) / 2
    low, high = np.nanpercentile(differences, [tail, 100 - tail]).tolist()
    difference = second - first
    # The galleries of several trials share people: as much as if they were one.
    deviation = float(np.mean([gallery_variance(a, b, fpir) ** 0.5 for a, b in zip(*two, strict=True)]))
    gallery = NormalDist().inv_cdf((1 + confidence) / 2) * deviation
    low, high = (
        difference - math.hypot(difference - low, gallery),
        difference + math.hypot(high - difference, gallery),
    )
    searches = sum(int(trial.outcomes.mated.sum()) for trial in two[0])
    least, most = discordant_interval(*_discordant(two, fpir), searches, confidence)
    return PairedFigure(name, fpir, first, second, difference, min(low, least), max(high, most))
