"""Likelihood ratios against scikit-learn, against what is known of Gaussians, and by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from facerec_cli.errors import InputError
from facerec_cli.metrics.likelihood import RIDGE, cllr, fit_isotonic, fit_logistic, min_cllr
from tests.metrics.drawn_scores import labeled_scores, random_scores

BOTH = np.array([True, False])


@pytest.mark.parametrize(("same", "different"), [(300, 400), (2000, 50), (20, 3000)])
def test_the_line_is_that_of_scikit_learn_with_classes_that_weigh_alike(same, different):
    scores, label = random_scores(same, different)
    model = fit_logistic(scores, label)
    z = (scores - scores.mean()) / scores.std()
    weight = np.where(label, 0.5 / same, 0.5 / different)
    theirs = LogisticRegression(C=1 / RIDGE, tol=1e-12, max_iter=1000, solver="newton-cholesky")
    theirs.fit(z[:, None], label, sample_weight=weight)
    slope = theirs.coef_[0, 0] / scores.std()
    assert model.slope == pytest.approx(slope, rel=1e-7)
    assert model.intercept == pytest.approx(theirs.intercept_[0] - slope * scores.mean(), rel=1e-6)


def test_of_gaussians_with_one_variance_the_line_is_known():
    """The log likelihood ratio of N(m, 1) and N(0, 1) is m s - m^2 / 2."""
    random = np.random.default_rng(1)
    label = np.arange(400_000) < 100_000
    scores = random.normal(2.0 * label, 1.0)
    model = fit_logistic(scores, label)
    assert (model.slope, model.intercept) == (pytest.approx(2, abs=0.02), pytest.approx(-2, abs=0.02))
    assert fit_logistic(10 * scores - 3, label).slope == pytest.approx(model.slope / 10, rel=1e-3)
    known = 2 * scores - 2
    assert cllr(model.llr(scores), label) == pytest.approx(cllr(known, label), abs=1e-4)
    again = random.normal(2.0 * label, 1.0)  # on scores that it has not seen it is as good
    assert cllr(model.llr(again), label) == pytest.approx(cllr(2 * again - 2, label), abs=1e-3)


def test_classes_that_separate_get_a_finite_line_and_no_more_than_the_data_carry():
    label = np.arange(2000) < 1000
    scores = np.where(label, 0.8, 0.1) + np.linspace(0, 0.01, 2000)
    model = fit_logistic(scores, label)
    assert math.isfinite(model.slope) and math.isfinite(model.intercept)
    assert abs(model.unbounded(0.455)) < 1  # the middle between both says nothing
    stated = model.llr(scores)
    assert np.exp(stated.max()) == pytest.approx(1000 / 3, rel=0.015)
    assert stated.max() == pytest.approx(-stated.min())


@settings(max_examples=100, deadline=None)
@given(labeled_scores())
def test_isotonic_steps_are_those_of_scikit_learn(drawn):
    scores, label = drawn
    model = fit_isotonic(scores, label)
    weight = np.where(label, 0.5 / label.sum(), 0.5 / (~label).sum())
    share = IsotonicRegression().fit(scores, label, sample_weight=weight).predict(scores)
    assert 1 / (1 + np.exp(-model.unbounded(scores))) == pytest.approx(share, abs=1e-6)
    assert (np.diff(model.starts) > 0).all() and all(a < b for a, b in pairwise(model.steps))


@settings(max_examples=100, deadline=None)
@given(labeled_scores())
def test_the_least_cost_is_that_of_the_steps_and_below_any_line(drawn):
    scores, label = drawn
    least = min_cllr(scores, label)
    assert least == pytest.approx(cllr(fit_isotonic(scores, label).unbounded(scores), label), abs=1e-12)
    assert 0 <= least <= 1 + 1e-12
    for slope in (0.0, 0.5, 2.0, 20.0):
        assert least <= cllr(slope * scores, label) + 1e-12
    assert min_cllr(3 * scores + 1, label) == pytest.approx(least, abs=1e-12)


def test_isotonic_by_hand():
    """Scores 1 to 6 with labels d s d d s s, 3 of each: d | s d d pooled to 1 of 3 | s s."""
    label = np.array([0, 1, 0, 0, 1, 1], bool)
    model = fit_isotonic(np.arange(1.0, 7), label)
    assert model.starts.tolist() == [1, 2, 5]
    assert np.exp(model.steps) == pytest.approx([0, 0.5, np.inf])
    assert np.exp(model.unbounded([0.0, 1.9, 2.0, 4.9, 5.0, 9.0])) == pytest.approx(
        [0, 0, 0.5, 0.5, np.inf, np.inf]
    )
    # of the pool: one genuine pair at log2(1 + 2), two impostor pairs at log2(1 + 1/2)
    assert min_cllr(np.arange(6), label) == pytest.approx((np.log2(3) / 3 + 2 * np.log2(1.5) / 3) / 2)


def test_equal_scores_are_one_step():
    label = np.array([1, 0, 1, 0, 0], bool)
    model = fit_isotonic(np.ones(5), label)
    assert model.starts.tolist() == [1] and model.steps == pytest.approx([0])
    assert min_cllr(np.ones(5), label) == 1


def test_cost_by_hand():
    assert cllr([0.0, 0.0], BOTH) == 1
    assert cllr([np.inf, -np.inf], BOTH) == 0
    assert cllr([-np.inf, 0], BOTH) == np.inf
    # a ratio of 3 for one person costs log2(1 + 1/3), one of 1/7 for two people log2(1 + 1/7)
    assert cllr(np.log([3, 1 / 7]), BOTH) == pytest.approx((np.log2(4 / 3) + np.log2(8 / 7)) / 2)
    many = np.log([3, 3, 3, 1 / 7])  # each class counts for half
    assert cllr(many, [True, True, True, False]) == pytest.approx(cllr(np.log([3, 1 / 7]), BOTH))


def test_many_scores_are_rounded_and_that_is_not_seen():
    scores, label = random_scores(20_000, 120_000, seed=3)
    model = fit_logistic(scores, label)
    halves = [fit_logistic(scores[k::2], label[k::2]) for k in (0, 1)]  # each is counted exactly
    assert model.slope == pytest.approx(np.mean([half.slope for half in halves]), rel=1e-3)
    weight = np.where(label, 0.5 / label.sum(), 0.5 / (~label).sum())
    share = IsotonicRegression().fit(scores, label, sample_weight=weight).predict(scores)
    with np.errstate(divide="ignore"):
        assert min_cllr(scores, label) == pytest.approx(cllr(np.log(share / (1 - share)), label), abs=1e-4)


@pytest.mark.parametrize(
    ("scores", "label", "message"),
    [
        ([0.1, 0.2], [True, True], "none of two people"),
        ([0.1, 0.2], [False, False], "none of one person"),
        ([], [], "none of one person"),
        ([0.1, np.nan], [True, False], "1 of 2 scores are NaN or infinite, the first at position 1"),
        ([np.inf, 0.1], [True, False], "NaN or infinite"),
        ([0.1], [True, False], "one length"),
        ([[0.1]], [[True]], "one-dimensional"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(scores, label, message):
    for function in (fit_logistic, fit_isotonic, min_cllr):
        with pytest.raises(InputError, match=message):
            function(scores, label)


def test_scores_that_tell_nothing_are_refused():
    with pytest.raises(InputError, match="All scores are equal"):
        fit_logistic([0.1, 0.1, 0.1], [True, False, True])
    with pytest.raises(InputError, match="wrong way round"):
        fit_logistic([0.1, 0.2, 0.3, 0.4], [True, False, True, False])
    with pytest.raises(InputError, match="NaN"):
        cllr([np.nan, 0], BOTH)
