"""Reliability and Tippett curves by hand."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.metrics.counted_scores import CountedScores
from facerec_cli.metrics.likelihood_curves import reliability, tippett
from facerec_cli.metrics.roc import wilson_interval

STATED = CountedScores(np.array([-2.0, -1.9, 0.0, 2.0]), np.array([1, 0, 4, 15]), np.array([30, 9, 1, 0]))


def test_bins_say_what_was_stated_and_how_it_was():
    first, middle, last = reliability(STATED)
    assert (first.genuine, first.impostor) == (1, 39)
    assert first.stated == pytest.approx((31 * -2.0 + 9 * -1.9) / 40)
    assert first.observed == pytest.approx(np.log((1 / 20) / (39 / 40)))
    low, high = wilson_interval(1, 40)
    assert np.exp([first.low, first.high]) == pytest.approx([2 * low / (1 - low), 2 * high / (1 - high)])
    assert np.exp(middle.observed) == pytest.approx((4 / 20) / (1 / 40))
    assert (last.stated, last.observed, last.high, last.genuine, last.impostor) == (2, None, None, 15, 0)
    assert np.exp(last.low) == pytest.approx(2 * 15 / 1.96**2, rel=1e-3)  # Wilson of 15 of 15


def test_one_ratio_is_one_point_and_right():
    (point,) = reliability(CountedScores(np.zeros(1), np.array([3]), np.array([50])))
    assert point.stated == 0 and point.observed == pytest.approx(0, abs=1e-12)
    assert point.low < 0 < point.high


def test_ratios_of_gaussians_lie_on_the_diagonal():
    random = np.random.default_rng(0)
    same = np.arange(100_000) < 40_000
    llr = 2 * random.normal(2.0 * same, 1.0) - 2
    points = reliability(CountedScores.at(*np.unique(llr, return_inverse=True), same), bins=20)
    there = [point for point in points if point.genuine > 50 and point.impostor > 50]
    assert len(there) >= 6
    for point in there:
        assert point.observed == pytest.approx(point.stated, abs=0.4)


def test_tippett_by_hand():
    at, genuine, impostor = tippett(STATED, points=5)
    assert at.tolist() == [-2, -1, 0, 1, 2]
    assert genuine == pytest.approx([1, 19 / 20, 19 / 20, 15 / 20, 15 / 20])
    assert impostor == pytest.approx([1, 1 / 40, 1 / 40, 0, 0])
