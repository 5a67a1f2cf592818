"""Classes that are counted and picked in blocks, against plain splitting and sorting."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.metrics import labeled_scores
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.metrics.labeled_scores import LabeledScores
from facerec_cli.metrics.scores import moments


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.5, 0.9, 0.0, 1.0])
def test_both_classes_are_as_if_they_were_split(
    monkeypatch: pytest.MonkeyPatch, kind: type, share: float
) -> None:
    monkeypatch.setattr(labeled_scores, "_BLOCK", 700)
    random = np.random.default_rng(3)
    same = random.random(5000) < share
    scores = np.where(same, random.normal(0.6, 0.2, 5000), random.normal(0, 0.1, 5000)).astype(kind)
    labeled = LabeledScores(scores, same, 256)
    opened = np.zeros(256, bool)
    opened[100:180:3] = True
    values, spreads = labeled.values(opened), labeled.moments()
    for part, histogram, found, spread in zip(
        (same, ~same), labeled.histograms, values, spreads, strict=True
    ):
        index = labeled.binning.index(scores[part])
        assert np.array_equal(histogram, np.bincount(index, minlength=256))
        assert np.array_equal(np.sort(found), np.sort(scores[part][opened[index]]))
        assert found.dtype == kind
        assert spread == pytest.approx(moments(scores[part]), rel=1e-12, abs=1e-15)


def test_a_class_that_does_not_vary_has_no_variance() -> None:
    scores = np.full(1001, 0.1, np.float32)
    same = np.arange(1001) % 7 == 0
    labeled = LabeledScores(scores, same, 256)
    assert [spread[1] for spread in labeled.moments()] == [0, 0]
    scores[same] = 0.5
    mean, variance = LabeledScores(scores, same, 256).moments()[1]
    assert (mean, variance) == (float(np.float32(0.1)), 0)
    assert LabeledScores(np.array([3.0]), np.array([False]), 256).moments() == ((0, 0), (3, 0))


def test_an_outlier_does_not_spoil_the_variance() -> None:
    random = np.random.default_rng(0)
    scores = np.concatenate([[1e6], random.random(4000)])
    spread = LabeledScores(scores, np.arange(4001) % 2 == 0, 256).moments()
    assert spread[1] == pytest.approx(moments(scores[1::2]), rel=1e-12)


def test_wide_scores_stay_in_the_bins() -> None:
    scores = np.array([-3e38, 0, 1, 3e38], np.float32)
    told = evaluate(scores, np.array([False, False, True, True]), fars=(0.5,))
    assert told.auc == 1
