"""Two people who are so alike that they are rather one person, or photos of one under the other's name.

Scores of two people have a normal tail (docs/search-thresholds.md). So from the middle of the scores of all
pairs of people, which a few pairs do not move, follows how high the highest of so many comes by chance.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from facerec_cli.metrics.doubtful import DoubtfulPair, doubtful_people
from facerec_cli.metrics.scores import Vectors
from facerec_cli.progress import Progress, silent

BY_CHANCE = 0.05
"""Pairs of two people that are expected at or above the score from which on they are told."""

FEWEST = 20
"""People of whom too few pairs can be made to know what is usual among them."""

_SAMPLED = 2_000  # people whose scores tell of all

SIGMAS = (0.158655254, 0.5, 0.841344746)
"""Shares below one deviation under the mean, below the mean, and below one deviation above it."""


def alike_people(
    templates: Vectors, *, seed: int = 0, limit: int = 1000, progress: Progress = silent
) -> tuple[DoubtfulPair, ...]:
    """The pairs of people whose templates are more alike than chance has it.

    Args:
        templates: (N, D) float32 unit vectors, one a person.
        seed: Of the people that are sampled where there are many.
        limit: How many pairs are given at most, the most alike.
        progress: Told the people done.

    Returns:
        Pairs of rows, the most alike first; none of fewer than 20 people.
    """
    if len(templates) < FEWEST:
        return ()
    bound = chance_bound(templates, seed=seed)
    return doubtful_people(templates, np.arange(len(templates)), bound, limit=limit, progress=progress)


def chance_bound(templates: Vectors, *, seed: int = 0) -> float:
    """The score that 0.05 pairs of so many different people are expected to reach.

    Args:
        templates: (N, D) float32 unit vectors of at least two people.
        seed: Of the people that are sampled where there are many.
    """
    count = len(templates)
    some = templates
    if count > _SAMPLED:
        some = templates[np.random.default_rng(seed).choice(count, _SAMPLED, replace=False)]
    scores = (some @ some.T)[np.triu_indices(len(some), 1)]
    low, middle, high = (float(score) for score in np.quantile(scores, SIGMAS))
    return bound_by_chance(low, middle, high, count * (count - 1) / 2)


def bound_by_chance(low: float, middle: float, high: float, pairs: float) -> float:
    """The score that 0.05 of so many pairs of two people are expected to reach.

    Args:
        low: The quantile of their scores at the first of :data:`SIGMAS`.
        middle: At the second.
        high: At the third.
        pairs: How many, 1 or more.
    """
    return middle + (high - low) / 2 * NormalDist().inv_cdf(1 - BY_CHANCE / pairs)
