"""The figures against scikit-learn, against counting by hand, and at the edges of what can be measured."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from drawn_scores import labeled_scores, random_scores
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from facerec_cli.errors import InputError
from facerec_cli.metrics.all_pairs import evaluate_all_pairs
from facerec_cli.metrics.evaluate import evaluate

FARS = (0.9, 0.5, 0.3, 0.1, 0.05)


@given(labeled_scores(), st.sampled_from([1, 2, 5, 64, 65536]))
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


@given(labeled_scores(), st.sampled_from([1, 3, 65536]))
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
                assert (accepted & same).sum() == point.accepted_genuine
                assert (accepted & ~same).sum() == point.accepted_impostor
            assert point.accepted_impostor / (~same).sum() == point.measured_far <= point.far


def test_failures_are_left_out_and_also_counted_as_errors():
    scores = np.array([0.9] * 50 + [0.1] * 50)
    same = np.array([True] * 50 + [False] * 50)
    failed = np.zeros(100, bool)
    failed[[0, 1, 99]] = True
    scores[failed] = np.nan  # the scores of failures are never looked at
    result = evaluate(scores, same, failed=failed, fars=(0.1,))
    point = result.tar_at_far[0]
    assert (result.pairs.failed_genuine, result.pairs.failed_impostor, result.pairs.failed) == (2, 1, 3)
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


def test_more_pairs_than_are_folded_is_told_as_a_limit(monkeypatch):
    monkeypatch.setattr(import_module("facerec_cli.metrics.folds"), "MAX_PAIRS_FOR_FOLDS", 100)
    listed = evaluate(*random_scores(20, 200)).not_measurable["accuracy"]
    assert "220 pairs" in listed and "more than the 100" in listed
    vectors = np.random.default_rng(0).normal(size=(1500, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    streamed = evaluate_all_pairs(vectors, np.arange(1500) // 3).not_measurable["accuracy"]
    assert "1,124,250 pairs" in streamed and "more than" in streamed


def test_too_few_pairs_for_folds_is_not_told_as_too_many():
    found = evaluate([0.9, 0.1, 0.2], [True, False, False])
    assert found.not_measurable["accuracy"] == "folds need at least two same and two different pairs"


def test_rates_that_are_not_measurable_are_one_sentence_below_the_measured():
    found = evaluate(*random_scores(100, 100))
    assert [point.far for point in found.measured_points] == [1e-1]
    (sentence,) = found.reasons()
    assert sentence == (
        "TAR at FAR 1 in 100 (1 %) and 4 lower rates: not measurable with 100 different pairs; "
        "it takes 3 / FAR of them, here 300."
    )


def test_figures_with_one_reason_are_one_sentence():
    sentences = evaluate([0.5] * 40, [False] * 40).reasons()
    reason = "EER, AUC, d′, TAR at FAR 1 in 10 (10 %): not measurable: there is no same pair with a score."
    assert reason in sentences
