"""Two people who are so alike that they are rather one person, or photos of one under the other's name.

Scores of two people have a normal tail (docs/search-thresholds.md). So from the middle of the scores of all
pairs of people, which a few pairs do not move, follows how high the highest of so many comes by chance.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.scores import Vectors
from facerec_cli.metrics.search import top_k
from facerec_cli.progress import Progress, silent

BY_CHANCE = 0.05
"""Pairs of two people that are expected at or above the score from which on they are doubted."""

_SAMPLED = 2_000  # people whose scores tell of all
_NEIGHBORS = 5  # others that are looked at of each person
_SIGMA = 0.841344746  # share below one deviation above the mean


class AlikePeople(NamedTuple):
    """Pairs of people who look like one.

    Attributes:
        pairs: (K, 2) int64 rows of the templates, the most alike first, the lower row on the left.
        scores: (K,) float32, their cosines.
        threshold: From which on pairs are told; infinite where there are too few people to say.
    """

    pairs: NDArray[np.int64]
    scores: NDArray[np.float32]
    threshold: float


def alike_people(templates: Vectors, *, seed: int = 0, progress: Progress = silent) -> AlikePeople:
    """The pairs of people whose templates are more alike than chance has it.

    Args:
        templates: (N, D) float32 unit vectors, one a person.
        seed: Of the people that are sampled where there are many.
        progress: Told the people done.

    Returns:
        The pairs, of each person with the five who are most alike; none of fewer than 20 people.
    """
    count = len(templates)
    none = AlikePeople(np.zeros((0, 2), np.int64), np.zeros(0, np.float32), float("inf"))
    if count < 20:
        return none
    some = templates
    if count > _SAMPLED:
        some = templates[np.random.default_rng(seed).choice(count, _SAMPLED, replace=False)]
    scores = (some @ some.T)[np.triu_indices(len(some), 1)]
    low, middle, high = np.quantile(scores, [1 - _SIGMA, 0.5, _SIGMA])
    every = count * (count - 1) / 2
    threshold = float(middle + (high - low) / 2 * NormalDist().inv_cdf(1 - BY_CHANCE / every))
    rows, best = top_k(templates, templates, min(_NEIGHBORS + 1, count), progress=progress)
    left = np.repeat(np.arange(count), rows.shape[1])
    right, found = rows.ravel(), best.ravel()
    alike = (left != right) & (found >= threshold) & (right >= 0)
    pairs = np.sort(np.stack([left[alike], right[alike]], axis=1), axis=1)
    pairs, first = np.unique(pairs, axis=0, return_index=True)
    kept = found[alike][first]
    order = np.argsort(-kept, kind="stable")
    return AlikePeople(pairs[order], kept[order], threshold)
