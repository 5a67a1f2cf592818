"""What other people in the gallery would change of a difference, by deleting them from the scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facerec_cli.metrics.identification import evaluate_scores
from facerec_cli.metrics.paired_galleries import gallery_variance

PEOPLE = 52
IDENTITY = np.concatenate([np.repeat(np.arange(PEOPLE), 2), PEOPLE + np.arange(60)])


def rate(scores: np.ndarray, columns: np.ndarray, fpir: float | None) -> float:
    """The rate among the people of these columns and the mate."""
    strangers = sorted((scores[row, columns].max() for row in range(2 * PEOPLE, len(scores))), reverse=True)
    least = -np.inf if fpir is None else strangers[int(fpir * len(strangers) + 1e-9)]
    found = []
    for row in range(2 * PEOPLE):
        who = IDENTITY[row]
        mate, others = scores[row, who], scores[row, columns[columns != who]]
        found.append(mate > others.max() and mate > least)
    return float(np.mean(found))


@pytest.mark.parametrize("fpir", [None, 0.1])
def test_it_is_the_delete_a_group_jackknife(fpir: float | None) -> None:
    order = np.random.default_rng(0).permutation(PEOPLE)  # the columns' order; 50 of them are five groups
    kept = [np.setdiff1d(np.arange(PEOPLE), group) for group in order[:50].reshape(5, 10)]
    expected, told = [], []
    for seed in range(8):
        random = np.random.default_rng(seed)
        shared = np.where(IDENTITY[:, None] == np.arange(PEOPLE), 1.3, 0.0)
        tables = [shared + random.normal(size=shared.shape) * size for size in (0.5, 0.6)]
        two = [evaluate_scores(t, np.arange(PEOPLE), IDENTITY, fpirs=(0.1,), ranks=(1,)) for t in tables]
        changes = [rate(tables[1], columns, fpir) - rate(tables[0], columns, fpir) for columns in kept]
        expected.append(np.var(changes, ddof=1) * PEOPLE / 10)
        told.append(gallery_variance(two[0], two[1], fpir))
        assert gallery_variance(two[0], two[0], fpir) == 0
    # Two of 52 people are in no group, and the last of a group is not where a mate has taken the place: what
    # is left without a group has fewer people, so the variance is rather too large.
    assert 0.85 < np.mean(told) / np.mean(expected) < 1.7
    assert np.corrcoef(told, expected)[0, 1] > 0.6
    alone = [replace(one, outcomes=replace(one.outcomes, subsets={})) for one in two]
    assert gallery_variance(alone[0], alone[1], fpir) == 0
