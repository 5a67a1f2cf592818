"""The rates at a model's threshold are those of the scores, and what is said of them follows."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.metrics.all_pairs import evaluate_all_pairs
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.metrics.roc import wilson_interval
from facerec_cli.metrics.transfer import ThresholdTransfer, transfer
from facerec_cli.threshold import Threshold

OWN = Threshold(0.345, 0.01, "LFW View 2, deep-funneled, 6,000 pairs; no flip", 3000)


def of_counts(accepted: int, impostors: int, genuine: int = 200) -> ThresholdTransfer:
    """Scores of which so many impostors, and nine in ten genuine pairs, are accepted."""
    scores = np.concatenate(
        [
            np.where(np.arange(impostors) < accepted, 0.5, 0.1),
            np.where(np.arange(genuine) % 10 > 0, 0.8, 0.2),
        ]
    )
    same = np.arange(len(scores)) >= impostors
    found = transfer(OWN, evaluate(scores.astype(np.float32), same, thresholds=(OWN.value,)))
    assert found is not None
    return found


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.345, float(np.float32(0.345)), -2.0, 2.0, 0.0])
def test_a_list_is_counted_as_its_scores_are_compared_in_full_precision(kind, value):
    rng = np.random.default_rng(1)
    scores = rng.normal(0.2, 0.2, 5000).astype(kind)
    scores[:50] = kind(0.345)  # in float32 below 0.345 by rounding
    same = rng.random(5000) < 0.3
    failed = rng.random(5000) < 0.1
    found = evaluate(scores, same, failed=failed, fars=(0.1,), thresholds=(value,))
    accepted = scores.astype(np.float64) >= value
    assert found.impostor.accepted(value) == int((accepted & ~same & ~failed).sum())
    assert found.genuine.accepted(value) == int((accepted & same & ~failed).sum())


def test_pairs_that_are_not_kept_are_counted_as_exactly():
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(300, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    people = np.arange(300) // 4
    found = evaluate_all_pairs(vectors, people, fars=(0.1,), thresholds=(0.345,))
    first, second = np.triu_indices(300, 1)
    accepted = (vectors @ vectors.T)[first, second].astype(np.float64) >= 0.345
    same = people[first] == people[second]
    assert found.impostor.accepted(0.345) == int((accepted & ~same).sum())
    assert found.genuine.accepted(0.345) == int((accepted & same).sum())


def test_a_threshold_that_accepts_too_many_does_not_hold():
    found = of_counts(40, 2000)
    assert (found.measured_far, found.tar, found.holds) == (0.02, 0.9, False)
    assert (found.far_low, found.far_high) == wilson_interval(40, 2000)
    assert (found.tar_low, found.tar_high) == wilson_interval(180, 200)
    assert found.sentence == (
        "the model's threshold 0.3450 stands for FAR 0.01 (LFW View 2); on these pairs it has FAR 0.02 "
        "(0.0147 to 0.0271) and TAR 90.00% (85.06% to 93.43%): it does not hold here"
    )


@pytest.mark.parametrize(("accepted", "holds"), [(0, True), (20, True), (28, True), (29, False), (60, False)])
def test_it_holds_where_the_interval_has_the_rate_or_lies_below(accepted, holds):
    found = of_counts(accepted, 2000)
    assert found.holds is holds is (wilson_interval(accepted, 2000)[0] <= 0.01)
    assert found.sentence.endswith("it holds here" if holds else "it does not hold here")


def test_few_pairs_do_not_show_that_it_holds_but_can_show_that_it_does_not():
    for accepted in (0, 1, 2):
        found = of_counts(accepted, 50)
        assert found.holds is None and found.measured_far == accepted / 50
        assert found.sentence.endswith(
            "whether it holds here cannot be seen with 50 different pairs, it takes 300"
        )
    assert of_counts(10, 50).holds is False
    # By chance of 299 pairs: fewer than one list in 40 of a true rate of 0.01 is called wrong.
    rng = np.random.default_rng(0)
    wrong = [count for count in range(60) if of_counts(count, 299).holds is False]
    assert np.isin(rng.binomial(299, 0.01, 20_000), wrong).mean() < 0.025


def test_one_kind_of_pairs_has_no_rate_of_the_other():
    scores = np.linspace(0, 1, 400).astype(np.float32)
    only_same = transfer(OWN, evaluate(scores, np.ones(400, bool), thresholds=(OWN.value,)))
    assert only_same is not None and only_same.holds is None
    assert (only_same.measured_far, only_same.far_low, only_same.tar) == (
        None,
        None,
        (scores >= 0.345).mean(),
    )
    assert "it has TAR 65.50%" in only_same.sentence and "0 different pairs" in only_same.sentence
    only_different = transfer(OWN, evaluate(scores, np.zeros(400, bool), thresholds=(OWN.value,)))
    assert only_different is not None and (only_different.tar, only_different.holds) == (None, False)
    assert "TAR" not in only_different.sentence


def test_a_threshold_of_no_known_rate_says_nothing():
    given = Threshold(0.3, None, "", None)
    evaluation = evaluate(np.array([0.1, 0.9], np.float32), np.array([False, True]), thresholds=(0.3,))
    assert transfer(given, evaluation) is None
