"""How large a likelihood ratio is stated, against the rule tried at every ratio."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec_cli.metrics.likelihood_bounds import bounds
from tests.metrics.drawn_scores import labeled_scores


def tried(llr, same, people, person_pairs):
    """The first ratio, going out from 1, at which the rule fails; by trying a grid of them."""
    ends = []
    for sign, right, wrong, units in (
        (1, same, ~same, (people, person_pairs)),
        (-1, ~same, same, (person_pairs, people)),
    ):
        bound = 0.0
        for x in np.arange(0.0005, 12, 0.001):
            share = np.mean(sign * llr[right] >= x) * units[0] / (units[0] + 3)
            misled = (np.mean(sign * llr[wrong] >= x) * units[1] + 3) / (units[1] + 3)
            if np.exp(x) > share / misled:
                break
            bound = x
        ends.append(sign * bound)
    return ends[1], ends[0]


@settings(max_examples=40, deadline=None)
@given(labeled_scores(), st.floats(0.3, 12), st.integers(1, 300), st.integers(1, 3000))
def test_bounds_are_those_of_the_rule(drawn, slope, people, person_pairs):
    scores, same = drawn
    llr = slope * scores.astype(np.float64)
    low, high = bounds(llr, same, people=people, person_pairs=person_pairs)
    least, most = tried(llr, same, people, person_pairs)
    assert (low, high) == (pytest.approx(least, abs=0.0011), pytest.approx(most, abs=0.0011))


def test_without_overlap_it_is_the_rule_of_three():
    same = np.arange(5000) < 2000
    low, high = bounds(np.where(same, 50.0, -50.0), same)
    assert np.exp(high) == pytest.approx(2000 / 2003 * 3003 / 3)
    assert np.exp(-low) == pytest.approx(3000 / 3003 * 2003 / 3)
    of_few = bounds(np.where(same, 50.0, -50.0), same, people=20, person_pairs=190)
    assert np.exp(of_few[1]) == pytest.approx(20 / 23 * 193 / 3)  # 20 people are no more than 20
    assert np.exp(-of_few[0]) == pytest.approx(190 / 193 * 23 / 3)


def test_an_impostor_above_lowers_the_bound():
    same = np.arange(2000) < 1000
    llr = np.where(same, 20.0, -20.0)
    assert np.exp(bounds(llr, same)[1]) == pytest.approx(1000 / 3)
    llr[-1] = 20.0
    assert np.exp(bounds(llr, same)[1]) == pytest.approx(1000 / 4)
    llr[-100:] = 20.0
    assert np.exp(bounds(llr, same)[1]) == pytest.approx(1000 / 103)


def test_no_ratio_is_stated_beyond_that_of_the_highest_score():
    same = np.arange(20_000) < 10_000
    assert bounds(np.where(same, 1.5, -0.5), same) == (-0.5, 1.5)


def test_where_nothing_can_be_said_both_are_zero():
    same = np.array([True, False, True, False])
    assert bounds([0.0, 0.0, 0.0, 0.0], same) == (0, 0)
    assert bounds([9.0, -9.0, 9.0, -9.0], ~same) == (0, 0)  # always wrong
    assert bounds([np.inf, -np.inf, np.inf, -np.inf], same) == (0, 0)  # two of each are too few
