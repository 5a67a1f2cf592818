"""Thresholds between scores, accepted impostors and intervals, against counting and published values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec_cli.metrics.roc import accepted_at_most, threshold_between, wilson_interval


@given(st.floats(1e-7, 0.999), st.integers(1, 10**9))
@settings(deadline=None)
def test_the_number_of_accepted_impostors_is_the_largest_that_fits(far, impostors):
    k = accepted_at_most(far, impostors)
    assert k / impostors <= far < (k + 1) / impostors


def test_wilson_interval_equals_published_values():
    # Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29.
    expected = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605)}
    expected |= {(0, 20): (0.0, 0.1611), (1, 29): (0.0061, 0.1718)}
    for (successes, trials), interval in expected.items():
        assert wilson_interval(successes, trials) == pytest.approx(interval, abs=5e-5)
    assert wilson_interval(7, 7)[1] == 1.0


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("highest", [-1.0, -1e-45, 0.0, 1e-45, 0.5])
def test_above_the_highest_score_lies_a_normal_number(highest, kind):
    """ONNX Runtime and torch can make a process flush denormal numbers; 0 must stay below the threshold."""
    threshold = threshold_between(highest, np.inf, kind)
    assert threshold > highest
    assert abs(threshold) >= np.finfo(kind).tiny
    assert kind(threshold) == threshold
