"""The figures against scikit-learn, against counting by hand, and at the edges of what can be measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from facerec_cli.errors import InputError
from facerec_cli.metrics.distribution import accepted_at_most
from facerec_cli.metrics.folds import best_threshold, between, stratified_folds
from facerec_cli.metrics.statistics import evaluate, wilson_interval

FARS = (0.9, 0.5, 0.3, 0.1, 0.05)


@st.composite
def labelled_scores(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, both classes present."""
    kind = draw(st.sampled_from([np.float32, np.float64]))
    grain = draw(st.sampled_from([1, 3, 20, 1000]))
    size = draw(st.integers(2, 120))
    raw = draw(st.lists(st.integers(-grain, grain), min_size=size, max_size=size))
    same = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    same[0], same[1] = True, False
    return (np.array(raw) / grain).astype(kind), np.array(same)


@given(labelled_scores(), st.sampled_from([1, 2, 5, 64, 65536]))
@settings(max_examples=80, deadline=None)
def test_figures_equal_scikit_learn_for_any_fineness_of_the_histograms(data, bins):
    scores, same = data
    result = evaluate(scores, same, fars=FARS, bins=bins)
    fpr, tpr, _ = roc_curve(same, scores, drop_intermediate=False)
    assert result.auc == pytest.approx(roc_auc_score(same, scores), abs=1e-12)
    assert result.auc_error == 0.0
    # The ROC polyline meets the line FPR = FNR once; np.interp needs ascending x.
    assert result.eer == pytest.approx(np.interp(0.0, fpr - (1 - tpr), fpr), abs=1e-9)
    for point in result.tar_at_far:
        enough = (~same).sum() * point.far >= 3 - 1e-9
        assert point.measurable == enough
        if enough:
            assert point.tar == tpr[fpr <= point.far].max()


@given(labelled_scores(), st.sampled_from([1, 3, 65536]))
@settings(max_examples=60, deadline=None)
def test_thresholds_reproduce_the_counts_from_the_saved_scores(data, bins):
    scores, same = data
    for point in evaluate(scores, same, fars=FARS, bins=bins).tar_at_far:
        if point.measurable:
            for copy in (
                scores,
                scores.astype(np.float64),
                np.array([float(repr(float(s))) for s in scores]),
            ):
                accepted = copy >= point.threshold
                assert (accepted & same).sum() == point.accepted_same
                assert (accepted & ~same).sum() == point.accepted_different
            assert point.accepted_different / (~same).sum() == point.measured_far <= point.far


@given(labelled_scores())
@settings(max_examples=60, deadline=None)
def test_best_threshold_has_the_best_accuracy_of_all(data):
    scores, same = data
    order = np.argsort(scores, kind="stable")
    s, y = scores[order].astype(np.float64), same[order]
    threshold = best_threshold(s, y)
    reached = ((s >= threshold) == y).sum()
    every = [*np.unique(s), np.inf]
    assert reached == max(((s >= t) == y).sum() for t in every)


def test_the_median_of_tied_thresholds_is_taken():
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    assert best_threshold(scores, np.array([False, False, True, True])) == pytest.approx(0.25)
    same = np.array([False, True, False, True])
    right = [((scores >= t) == same).sum() for t in (0.15, 0.25, 0.35)]
    assert right == [3, 2, 3]
    assert best_threshold(scores, same) == pytest.approx(0.15)  # the lower of two middle ones


def test_fold_accuracy_by_hand():
    scores = np.array([0.9, 0.15, 0.8, 0.1, 0.3, 0.7])
    same = np.array([True, False, True, False, True, False])
    folds = np.array([0, 0, 1, 1, 2, 2])
    accuracy = evaluate(scores, same, folds=folds, fars=(0.5,)).accuracy
    # Folds 0 and 1 are judged with thresholds from the other pairs: (0.8, 0.1, 0.3, 0.7) and
    # (0.9, 0.15, 0.3, 0.7); fold 2 with one of (0.9, 0.15, 0.8, 0.1), which gets both its pairs wrong.
    assert [fold.accuracy for fold in accuracy.folds] == [1.0, 1.0, 0.0]
    assert accuracy.mean == pytest.approx(2 / 3)
    assert accuracy.standard_error == pytest.approx(np.std([1, 1, 0], ddof=1) / np.sqrt(3))


def test_lists_without_folds_are_cut_into_ten_runs_of_each_class():
    lfw = np.tile(np.repeat([True, False], 300), 10)
    assert np.array_equal(stratified_folds(lfw), np.arange(6000) // 600)
    assert stratified_folds(lfw[:7]) is None
    three = np.array([True] * 3 + [False] * 50)
    assert np.unique(stratified_folds(three)).size == 3


def test_failures_are_left_out_and_also_counted_as_errors():
    scores = np.array([0.9] * 50 + [0.1] * 50)
    same = np.array([True] * 50 + [False] * 50)
    failed = np.zeros(100, bool)
    failed[[0, 1, 99]] = True
    scores[failed] = np.nan  # the scores of failures are never looked at
    result = evaluate(scores, same, failed=failed, fars=(0.1,))
    point = result.tar_at_far[0]
    assert (result.pairs.failed_same, result.pairs.failed_different, result.pairs.failed) == (2, 1, 3)
    assert point.tar == 1.0
    assert point.tar_with_failures == pytest.approx(48 / 50)
    assert result.accuracy.mean == 1.0
    assert result.accuracy.mean_with_failures == pytest.approx(97 / 100, abs=1e-9)


def test_rule_of_three_decides_what_is_measurable():
    random = np.random.default_rng(0)
    scores, same = random.normal(size=6000), np.repeat([True, False], 3000)
    points = {point.far: point for point in evaluate(scores, same).tar_at_far}
    assert [far for far, point in points.items() if point.measurable] == [1e-3, 1e-2, 1e-1]
    assert "needs 30,000" in points[1e-4].reason
    one_less = evaluate(scores[:-1], same[:-1], fars=(1e-3,)).tar_at_far[0]
    assert not one_less.measurable
    assert one_less.tar is None


@pytest.mark.parametrize("value", [True, False])
def test_one_class_only(value):
    result = evaluate(np.linspace(0, 1, 50), np.full(50, value), fars=(0.1,))
    assert (result.accuracy, result.eer, result.auc, result.d_prime) == (None, None, None, None)
    assert set(result.not_measurable) == {"accuracy", "eer", "auc", "d_prime"}
    assert not result.tar_at_far[0].measurable
    assert result.tar_at_far[0].reason


def test_constant_scores():
    result = evaluate(np.full(80, 0.5), np.repeat([True, False], 40), fars=(0.1,))
    assert (result.auc, result.eer, result.d_prime) == (0.5, 0.5, None)
    point = result.tar_at_far[0]
    assert (point.tar, point.measured_far) == (0.0, 0.0)
    assert point.threshold > 0.5


def test_d_prime_by_hand():
    random = np.random.default_rng(1)
    genuine, impostor = random.normal(2, 1, 400), random.normal(0, 3, 500)
    expected = (genuine.mean() - impostor.mean()) / np.sqrt((genuine.var(ddof=1) + impostor.var(ddof=1)) / 2)
    result = evaluate(np.concatenate([genuine, impostor]), np.repeat([True, False], [400, 500]))
    assert result.d_prime == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("scores", "same", "message"),
    [
        ([0.1, np.nan, np.inf], [1, 0, 1], "2 of 3 scores are NaN"),
        ([], [], "no pair"),
        ([0.1, 0.2], [1], "one length"),
    ],
)
def test_bad_scores_are_refused(scores, same, message):
    with pytest.raises(InputError, match=message):
        evaluate(scores, same)


def test_bad_rates_are_refused():
    with pytest.raises(InputError, match="between 0 and 1"):
        evaluate([0.1, 0.2], [0, 1], fars=(1.0,))


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


def test_millions_of_scores_equal_scikit_learn():
    random = np.random.default_rng(2)
    same = random.random(1_500_000) < 0.002
    scores = random.normal(np.where(same, 0.5, 0.0), 0.12).astype(np.float32)
    result = evaluate(scores, same)
    fpr, tpr, _ = roc_curve(same, scores, drop_intermediate=False)
    assert result.accuracy is None
    assert result.auc == pytest.approx(roc_auc_score(same, scores), abs=1e-12)
    for point in result.tar_at_far[1:]:
        assert point.tar == tpr[fpr <= point.far].max()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("highest", [-1.0, -1e-45, 0.0, 1e-45, 0.5])
def test_above_the_highest_score_lies_a_normal_number(highest, kind):
    """ONNX Runtime and torch can make a process flush denormal numbers; 0 must stay below the threshold."""
    threshold = between(highest, np.inf, kind)
    assert threshold > highest
    assert abs(threshold) >= np.finfo(kind).tiny
    assert kind(threshold) == threshold
