"""Mean and spread over galleries."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.metrics.identification import evaluate_scores
from facerec_cli.metrics.trials import mean_and_sd, over_trials


def test_figures_over_trials():
    random = np.random.default_rng(0)
    identity = np.arange(100) % 20
    trials = []
    for _ in range(3):
        scores = random.normal(size=(100, 10))
        scores[np.arange(100), identity % 10] += 2 * (identity < 10)
        trials.append(evaluate_scores(scores, np.arange(10), identity, fpirs=(0.1, 0.01), ranks=(1, 3)))
    found = {(figure.figure, figure.at): figure for figure in over_trials(trials)}
    assert list(found) == [("cmc", 1), ("cmc", 3), ("tpir", 0.1), ("tpir", 0.01)]
    rates = [trial.point(0.1).tpir for trial in trials]
    tpir = found["tpir", 0.1]
    assert tpir.mean == pytest.approx(np.mean(rates)) and tpir.sd == pytest.approx(np.std(rates, ddof=1))
    assert tpir.mean_less_sd == tpir.mean - tpir.sd and tpir.trials == 3
    assert found["cmc", 3].mean == pytest.approx(np.mean([trial.cmc[1].rate for trial in trials]))
    assert found["tpir", 0.01].mean is None  # of 50 strangers


def test_one_trial_has_no_spread_and_none_no_figure():
    figure = mean_and_sd("tpir", 0.01, [0.5])
    assert (figure.mean, figure.sd, figure.mean_less_sd) == (0.5, None, None)
    assert mean_and_sd("tpir", 0.01, [0.5, None]).mean is None
    assert over_trials([]) == ()
