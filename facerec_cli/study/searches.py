"""The searches that a study is judged by: TPIR at FPIR 0.01 on the judged people, subset by subset.

The judged people are numbered in the order of the data. Those with even numbers are enrolled in a first
gallery, the others in a second one, each with one photo: their first. In each gallery the other photos of its
people are searched for, and all photos of the other half, who are its strangers. So everybody is enrolled
once and a stranger once, and no photo is searched for in the gallery that it is in.

TPIR is the share of the mated searches whose mate is first and reaches the threshold at which at most one in
100 of that gallery's searches for strangers gives a name; the figure is the mean of both galleries. In a
subset of two conditions ("clean px16") enrolled photos have the first and probes the second. The naturally
hard pairs choose pairs and not photos, so there is no search for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.bootstrap import MIN_PEOPLE
from facerec_cli.metrics.cosine_blocks import CosineBlocks
from facerec_cli.metrics.fpir import searches_needed
from facerec_cli.metrics.identification_bootstrap import resampled_tpir
from facerec_cli.metrics.identification_counting import accepted_scores, least_threshold
from facerec_cli.metrics.searches import search_outcomes
from facerec_cli.study.subsets import NATURAL, sides_of

SEARCH_FPIR = 0.01
MIN_MATED = 20  # mated searches of a gallery; fewer are no figure: one would be more than five points


@dataclass(frozen=True, slots=True, eq=False)
class SearchHalf:
    """One gallery.

    Attributes:
        gallery: (N,) int64, the enrolled photos.
        mated: (A,) int64, photos of the same people.
        mate: (A,) int64, whose each is, 0..N-1.
        strangers: (X,) int64, photos of the other half.
    """

    gallery: NDArray[np.int64]
    mated: NDArray[np.int64]
    mate: NDArray[np.int64]
    strangers: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class JudgedSearches:
    """Both galleries, or why there is none.

    Attributes:
        people: (N,) int64, person of each judged photo.
        halves: The galleries.
        reason: Why TPIR cannot be measured, else "".
        has_intervals: Whether there are people enough to say what others would give.
    """

    people: NDArray[np.int64]
    halves: tuple[SearchHalf, ...]
    reason: str
    has_intervals: bool

    def measurable(self, subset: str) -> bool:
        """Whether a subset has a figure."""
        return not self.reason and subset != NATURAL

    def measure(
        self, subset: str, embeddings: Mapping[str, NDArray[np.float32]], rounds: int
    ) -> tuple[float, NDArray[np.float64]]:
        """TPIR of a run on a subset, and (rounds, 1) in each round of a bootstrap over people.

        The people who are searched for are drawn, the galleries stay; which are drawn depends on the gallery
        alone, so that the rounds of two runs are paired.

        Args:
            subset: One that is :meth:`measurable`.
            embeddings: (N, D) float32 unit rows of the judged photos under each condition.
            rounds: How many.
        """
        enrolled, searched = (embeddings[name] for name in sides_of(subset))
        rates, resampled = [], []
        for number, half in enumerate(self.halves):
            probes = np.concatenate([half.mated, half.strangers])
            person = np.concatenate([half.mate, np.full(len(half.strangers), -1)])
            found = search_outcomes(
                CosineBlocks(searched[probes], enrolled[half.gallery]),
                np.arange(len(half.gallery) + 1),
                person,
            )
            mates, strangers = accepted_scores(found), found.best[~found.mated]
            rates.append(float((mates >= least_threshold(SEARCH_FPIR, strangers, mates)).mean()))
            who = self.people[half.mated], self.people[half.strangers]
            resampled.append(
                resampled_tpir(mates, strangers, who, fpirs=(SEARCH_FPIR,), rounds=rounds, seed=number)
            )
        return float(np.mean(rates)), np.mean(resampled, axis=0)


def judged_searches(people: NDArray[np.int64]) -> JudgedSearches:
    """Who is enrolled and who is searched for.

    Args:
        people: (N,) int64 person of each judged photo, from 0 without gaps.
    """
    first = np.unique(people, return_index=True)[1]
    halves = tuple(_half(people, first, number) for number in (0, 1))
    needed = searches_needed(SEARCH_FPIR, own=False)
    strangers, mated = min(len(half.strangers) for half in halves), min(len(half.mated) for half in halves)
    reason = ""
    if strangers < needed:
        reason = f"{strangers} searches for strangers are too few; it takes {needed}"
    elif mated < MIN_MATED:
        reason = f"{mated} searches for enrolled people are too few; it takes {MIN_MATED}"
    fewest = min(len(np.unique(people[part])) for half in halves for part in (half.mated, half.strangers))
    return JudgedSearches(people, halves, reason, fewest >= MIN_PEOPLE)


def _half(people: NDArray[np.int64], first: NDArray[np.int64], number: int) -> SearchHalf:
    gallery = first[number::2]
    mine = people % 2 == number
    mine_but_first = mine.copy()
    mine_but_first[gallery] = False
    mated = np.flatnonzero(mine_but_first)
    return SearchHalf(gallery, mated, people[mated] // 2, np.flatnonzero(~mine))


def mean_subsets(rows: Sequence[tuple[float, NDArray[np.float64]]]) -> tuple[float, NDArray[np.float64]]:
    """The mean of several subsets as if it were one."""
    return float(np.mean([rate for rate, _ in rows])), np.mean([rounds for _, rounds in rows], axis=0)
