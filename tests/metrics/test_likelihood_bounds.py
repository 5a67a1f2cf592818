"""How large a likelihood ratio is stated, against the rule tried at every ratio."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm

from facerec_cli.metrics.likelihood import fit_logistic
from facerec_cli.metrics.likelihood_bounds import at_most, bounds
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
            misled = at_most(np.mean(sign * llr[wrong] >= x) * units[1]) / units[1]
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
    assert np.exp(high) == pytest.approx(2000 / 2003 * 3000 / 3, rel=0.015)
    assert np.exp(-low) == pytest.approx(3000 / 3003 * 2000 / 3, rel=0.015)
    of_few = bounds(np.where(same, 50.0, -50.0), same, people=20, person_pairs=190)
    assert np.exp(of_few[1]) == pytest.approx(20 / 23 * 190 / 3, rel=0.015)  # 20 people are no more than 20
    assert np.exp(-of_few[0]) == pytest.approx(190 / 193 * 20 / 3, rel=0.015)


def test_an_impostor_above_lowers_the_bound():
    same = np.arange(2000) < 1000
    llr = np.where(same, 20.0, -20.0)
    for impostors in (1, 5, 100):
        llr[-impostors:] = 20.0
        most = chi2.ppf(0.95, 2 * (impostors + 1)) / 2  # that a mean is where so many were counted
        assert np.exp(bounds(llr, same)[1]) == pytest.approx(1000 / 1003 * 1000 / most, rel=0.005)


def test_limits_are_those_of_poisson_s_distribution():
    counts = np.array([0, 1, 2, 5, 20, 100, 1000.0])
    assert at_most(counts) == pytest.approx(chi2.ppf(0.95, 2 * (counts + 1)) / 2, rel=0.01)


@pytest.mark.parametrize(("same", "different"), [(100, 200), (1000, 3000)])
def test_what_is_stated_at_the_bound_is_rarely_more_than_is_true(same, different):
    """Scores of which one in a hundred impostors is a lookalike, which a line does not know."""
    label, over = np.arange(same + different) < same, 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        alike = random.random(label.size) < 0.01
        scores = random.normal(np.where(label, 4.0, 3.5 * alike), 1.0)
        model = fit_logistic(scores, label)
        at = (model.high - model.intercept) / model.slope
        far = 0.99 * norm.sf(at) + 0.01 * norm.sf(at - 3.5)
        over += np.exp(model.high) > norm.sf(at - 4) / far
    assert over <= 10


def test_no_ratio_is_stated_beyond_that_of_the_highest_score():
    same = np.arange(20_000) < 10_000
    assert bounds(np.where(same, 1.5, -0.5), same) == (-0.5, 1.5)


def test_where_nothing_can_be_said_both_are_zero():
    same = np.array([True, False, True, False])
    assert bounds([0.0, 0.0, 0.0, 0.0], same) == (0, 0)
    assert bounds([9.0, -9.0, 9.0, -9.0], ~same) == (0, 0)  # always wrong
    assert bounds([np.inf, -np.inf, np.inf, -np.inf], same) == (0, 0)  # two of each are too few
