"""Fold accuracy; where one kind of pairs is rare it is balanced accuracy, and called so."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_scores import labeled_scores, random_scores
from hypothesis import given, settings
from sklearn.metrics import balanced_accuracy_score

from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.metrics.folds import BALANCED, PLAIN, best_threshold, stratified_folds


@given(labeled_scores())
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


@pytest.mark.parametrize(
    ("same", "different", "kind"),
    [(300, 300, PLAIN), (300, 299, PLAIN), (55, 45, PLAIN), (60, 40, BALANCED), (10, 990, BALANCED)],
)
def test_the_kind_follows_the_numbers_of_scored_pairs(same, different, kind):
    assert evaluate(*random_scores(same, different)).accuracy.kind == kind


def test_calling_all_pairs_different_is_no_merit():
    labels = np.repeat([True, False], [20, 1980])
    scores = np.random.default_rng(1).normal(size=2000)  # knows nothing
    accuracy = evaluate(scores, labels).accuracy
    assert accuracy.kind == BALANCED
    assert 0.3 < accuracy.mean < 0.7


def test_balanced_accuracy_is_that_of_scikit_learn_in_each_fold():
    scores, same = random_scores(40, 760)
    folds = np.arange(800) % 4
    found = evaluate(scores, same, folds=folds).accuracy
    for fold in found.folds:
        own = folds == fold.fold
        assert fold.accuracy == pytest.approx(
            balanced_accuracy_score(same[own], scores[own] >= fold.threshold)
        )
        order = np.argsort(scores[~own])
        train, labels = scores[~own][order], same[~own][order]
        best = max(balanced_accuracy_score(labels, train >= cut) for cut in [*train, np.inf])
        assert balanced_accuracy_score(labels, train >= fold.threshold) == pytest.approx(best)
    assert found.mean == pytest.approx(np.mean([fold.accuracy for fold in found.folds]))


def test_both_kinds_agree_where_both_classes_are_alike_in_number():
    scores, same = random_scores(50, 50)
    order = np.argsort(scores)
    assert best_threshold(scores[order], same[order], BALANCED) == best_threshold(scores[order], same[order])


def test_a_failure_counts_as_wrong_in_its_own_class():
    scores = np.array([0.9, 0.9, 0.9, 0.9] + [0.1] * 40)
    same = np.arange(44) < 4
    failed = np.zeros(44, bool)
    failed[0] = True
    accuracy = evaluate(scores, same, failed=failed, folds=np.arange(44) % 2).accuracy
    assert accuracy.kind == BALANCED
    assert accuracy.mean == 1.0
    assert accuracy.mean_with_failures == pytest.approx(
        (0.75 + 1.0) / 2
    )  # 1 of 2 in one fold, 2 of 2 in the other


def test_a_fold_of_one_kind_has_no_balanced_accuracy():
    scores, same = random_scores(10, 100)
    found = evaluate(scores, same, folds=np.r_[np.zeros(60), np.ones(50)].astype(int))
    assert found.accuracy is None
    assert "fold 1 has pairs of one kind only" in found.not_measurable["accuracy"]
