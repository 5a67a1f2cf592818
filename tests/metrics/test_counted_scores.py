"""Scores counted at their values, exactly or to 65,536 of them."""

from __future__ import annotations

import numpy as np

from facerec_cli.metrics.counted_scores import EXACT_SCORES, count_scores, of_distributions, score_levels
from facerec_cli.metrics.roc import distributions


def test_few_scores_are_counted_one_by_one():
    counted = count_scores(np.array([0.5, 0.1, 0.5, 0.5]), np.array([True, False, False, True]))
    assert counted.values.tolist() == [0.1, 0.5]
    assert (counted.genuine.tolist(), counted.impostor.tolist()) == ([0, 2], [1, 1])
    assert counted.sizes == (2, 2)


def test_many_are_rounded_to_the_nearest_of_65_536_values():
    scores = np.random.default_rng(0).uniform(-1, 1, EXACT_SCORES + 1)
    values, index = score_levels(scores)
    assert values.size == 65_536 and (np.diff(values) > 0).all()
    assert np.abs(values[index] - scores).max() <= np.ptp(scores) / 65_535 / 2 + 1e-12
    counted = count_scores(scores, scores > 0)
    assert counted.sizes == ((scores > 0).sum(), (scores <= 0).sum())
    assert score_levels(np.zeros(EXACT_SCORES + 1))[1].max() == 0


def test_bins_of_distributions_are_at_their_middles():
    random = np.random.default_rng(0)
    genuine, impostor = random.uniform(0.3, 1, 500), random.uniform(-1, 0.4, 900)
    counted = of_distributions(
        *distributions(np.concatenate([genuine, impostor]), np.repeat([True, False], [500, 900]), (0.1,))
    )
    assert counted.sizes == (500, 900)
    for count, scores in ((counted.genuine, genuine), (counted.impostor, impostor)):
        assert np.abs(np.repeat(counted.values, count) - np.sort(scores)).max() < 2 / 65_535
