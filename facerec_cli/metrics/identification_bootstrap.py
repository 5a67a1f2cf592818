"""Intervals of TPIR at FPIR that know that searches share people: resample the people, not the searches."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.bootstrap import MIN_PEOPLE, BootstrapInterval
from facerec_cli.metrics.identification_counting import least_threshold
from facerec_cli.metrics.roc import wilson_interval
from facerec_cli.metrics.scores import Scores
from facerec_cli.progress import Progress, silent

_CELLS = 1 << 22  # weights that are held at once, 32 MB


def bootstrap_tpir(
    mates: Scores,
    strangers: Scores,
    people: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    fpirs: Sequence[float],
    rounds: int,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[BootstrapInterval, ...]:
    """Draw people with replacement, and measure TPIR at FPIR anew each time, threshold included.

    The people of the mated searches are drawn from themselves, those of the non-mated searches from
    themselves, and a person drawn w times gives weight w to each of their searches. The gallery stays as it
    is: a person who was not drawn would leave it smaller, which lowers every threshold, and one who was drawn
    twice would tie with themselves. So these are intervals over the people who come to be searched for, given
    the people who are enrolled; how much other galleries differ only other galleries show.

    Percentiles are too narrow where few searches fail: of searches that all succeed each draw does too. So
    an interval reaches at least as far as Wilson's at the threshold of all searches. With that it holds in
    94 % of draws or more on LFW, also of 50 people (``benchmarks/search_intervals.py``).

    Args:
        mates: (A,) score of each mate that is first; -inf of the others.
        strangers: (X,) highest score of each non-mated search.
        people: (A,) and (X,) int64, who each search is for.
        fpirs: Rates, each measurable on the whole data.
        rounds: How many times.
        seed: Of the random numbers; the same seed gives the same intervals.
        progress: Told the rounds done.
    """
    if not fpirs:
        return ()
    for who, kind in zip(people, ("mated", "non-mated"), strict=True):
        count = len(np.unique(who))
        if count < MIN_PEOPLE:
            reason = f"not measurable over {count} people of {kind} searches; it takes {MIN_PEOPLE}"
            return tuple(BootstrapInterval(fpir, None, None, reason) for fpir in fpirs)
    rates = resampled_tpir(mates, strangers, people, fpirs=fpirs, rounds=rounds, seed=seed, progress=progress)
    ends = np.percentile(rates, [2.5, 97.5], axis=0).T.tolist()
    intervals = []
    for fpir, (low, high) in zip(fpirs, ends, strict=True):
        accepted = mates >= least_threshold(fpir, strangers, mates)
        least, most = _wilson(accepted, people[0])
        intervals.append(BootstrapInterval(fpir, min(low, least), max(high, most)))
    return tuple(intervals)


def _wilson(accepted: NDArray[np.bool_], who: NDArray[np.int64]) -> tuple[float, float]:
    """Wilson's interval; where all searches end alike, of people instead of searches."""
    if 0 < accepted.sum() < len(accepted):
        return wilson_interval(int(accepted.sum()), len(accepted))
    people = len(np.unique(who))
    return wilson_interval(people if accepted.all() else 0, people)


def resampled_tpir(
    mates: Scores,
    strangers: Scores,
    people: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    fpirs: Sequence[float],
    rounds: int,
    seed: int = 0,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """TPIR at each FPIR in each round of :func:`bootstrap_tpir`, (rounds, F).

    The people drawn depend on the seed only, so the rounds of two models on the same searches are paired.
    """
    trial = TrialSearches(mates, strangers, *people)
    return resampled_trials([trial], fpirs=fpirs, rounds=rounds, seed=seed, progress=progress)[:, :-1]


@dataclass(frozen=True, slots=True, eq=False)
class TrialSearches:
    """The searches of one gallery.

    Attributes:
        mates: (A,) score of each mate that is first; -inf of the others.
        strangers: (X,) highest score of each non-mated search.
        known: (A,) int64, who each mated search is for.
        unknown: (X,) int64, who each non-mated search is for.
    """

    mates: Scores
    strangers: Scores
    known: NDArray[np.int64]
    unknown: NDArray[np.int64]


def resampled_trials(
    trials: Sequence[TrialSearches],
    *,
    fpirs: Sequence[float],
    rounds: int,
    seed: int = 0,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """TPIR at each FPIR, and last the rate at rank 1, in rounds of people drawn anew: (rounds, F + 1).

    Of several trials the mean. A person has one weight in all of them, since their photos are the same ones;
    people who have a mated search in any trial are drawn from themselves, and so are the others.

    Args:
        trials: One or more; people have the same number in each.
        fpirs: Rates, each measurable in every trial.
        rounds: How many times.
        seed: Of the random numbers.
        progress: Told the rounds done.
    """
    known = np.unique(np.concatenate([trial.known for trial in trials]))
    others = np.setdiff1d(np.concatenate([trial.unknown for trial in trials]), known)
    draws = [_Drawn(known, [seed, 0]), _Drawn(others, [seed, 1])]
    everybody = np.concatenate([known, others])
    order = np.argsort(everybody)
    sorted_trials = [_Descending.of(trial, everybody[order], order) for trial in trials]
    rates = np.empty((rounds, len(fpirs) + 1))
    step = max(1, _CELLS // max(len(side.scores) for pair in sorted_trials for side in pair))
    for start in range(0, rounds, step):
        part = slice(start, min(start + step, rounds))
        weight = np.concatenate([drawn.weights(part.stop - part.start) for drawn in draws], axis=1)
        measured = [_rates(known, unknown, weight, fpirs) for known, unknown in sorted_trials]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a trial of which nobody was drawn
            rates[part] = np.nanmean(measured, axis=0)
        progress(part.stop, rounds)
    return rates


def _rates(
    known: _Descending, unknown: _Descending, weight: NDArray[np.int64], fpirs: Sequence[float]
) -> NDArray[np.float64]:
    """(R, F + 1) of one trial; NaN where none of its people was drawn."""
    hits_of, alarms = known.accepted(weight), unknown.accepted(weight)
    rows, total = np.arange(len(weight)), hits_of[:, -1].astype(np.float64)
    total[total == 0] = np.nan
    rates = np.empty((len(weight), len(fpirs) + 1))
    for f, fpir in enumerate(fpirs):
        allowed = np.floor(fpir * alarms[:, -1:] * (1 + 1e-12))
        beyond = (alarms <= allowed).sum(axis=1) - 1  # the first column is 0
        rejected = unknown.scores[np.minimum(beyond, len(unknown.scores) - 1)]
        hits = np.searchsorted(-known.scores, -rejected, side="left")
        rates[:, f] = hits_of[rows, hits] / total
    rates[:, -1] = hits_of[:, int(np.isfinite(known.scores).sum())] / total
    return rates


class _Drawn:
    """People drawn with replacement from themselves, with random numbers of their own."""

    def __init__(self, people: NDArray[np.int64], seed: Sequence[int]) -> None:
        self.count, self.random = len(people), np.random.default_rng(seed)

    def weights(self, rounds: int) -> NDArray[np.int64]:
        """(rounds, people), how often each is drawn."""
        if not self.count:
            return np.zeros((rounds, 0), np.int64)
        drawn = self.random.integers(0, self.count, (rounds, self.count))
        drawn += self.count * np.arange(rounds)[:, None]
        return np.bincount(drawn.reshape(-1), minlength=rounds * self.count).reshape(rounds, -1)


class _Descending:
    """Scores from high to low, with whose search each is."""

    def __init__(self, scores: Scores, person: NDArray[np.int64]) -> None:
        order = np.argsort(-scores, kind="stable")
        self.scores, self.person = scores[order], person[order]

    @classmethod
    def of(
        cls, trial: TrialSearches, people: NDArray[np.int64], column: NDArray[np.int64]
    ) -> tuple[_Descending, _Descending]:
        """Mated and non-mated searches; ``column`` is where the weight of each of the sorted people is."""
        sides = ((trial.mates, trial.known), (trial.strangers, trial.unknown))
        mated, others = (cls(scores, column[np.searchsorted(people, who)]) for scores, who in sides)
        return mated, others

    def accepted(self, weight: NDArray[np.int64]) -> NDArray[np.int64]:
        """(rounds, size + 1), the weight of the 0, 1, 2 ... highest scores."""
        total = np.zeros((len(weight), len(self.scores) + 1), np.int64)
        np.cumsum(weight[:, self.person], axis=1, out=total[:, 1:])
        return total
