"""Accuracy says nothing where one kind of pairs is rare; then it is balanced accuracy, and called so."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.metrics import statistics
from facerec_cli.metrics.all_pairs import evaluate_all_pairs
from facerec_cli.metrics.folds import BALANCED, PLAIN, best_threshold
from facerec_cli.metrics.statistics import evaluate
from facerec_cli.metrics.summary import measured_points, not_measured


def _scores(same: int, different: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.repeat([True, False], [same, different])
    return random.normal(labels * 1.5, 1.0), labels


@pytest.mark.parametrize(
    ("same", "different", "kind"),
    [(300, 300, PLAIN), (300, 299, PLAIN), (55, 45, PLAIN), (60, 40, BALANCED), (10, 990, BALANCED)],
)
def test_the_kind_follows_the_numbers_of_scored_pairs(same, different, kind):
    assert evaluate(*_scores(same, different)).accuracy.kind == kind


def test_calling_all_pairs_different_is_no_merit():
    labels = np.repeat([True, False], [20, 1980])
    scores = np.random.default_rng(1).normal(size=2000)  # knows nothing
    accuracy = evaluate(scores, labels).accuracy
    assert accuracy.kind == BALANCED
    assert 0.3 < accuracy.mean < 0.7


def test_balanced_accuracy_is_that_of_scikit_learn_in_each_fold():
    scores, same = _scores(40, 760)
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
    scores, same = _scores(50, 50)
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
    scores, same = _scores(10, 100)
    found = evaluate(scores, same, folds=np.r_[np.zeros(60), np.ones(50)].astype(int))
    assert found.accuracy is None
    assert "fold 1 has pairs of one kind only" in found.not_measurable["accuracy"]


def test_more_pairs_than_are_folded_is_told_as_a_limit(monkeypatch):
    monkeypatch.setattr(statistics, "MAX_PAIRS_FOR_FOLDS", 100)
    listed = evaluate(*_scores(20, 200)).not_measurable["accuracy"]
    assert "220 pairs" in listed and "more than the 100" in listed
    vectors = np.random.default_rng(0).normal(size=(1500, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    streamed = evaluate_all_pairs(vectors, np.arange(1500) // 3).evaluation.not_measurable["accuracy"]
    assert "1,124,250 pairs" in streamed and "more than" in streamed


def test_too_few_pairs_for_folds_is_not_told_as_too_many():
    found = evaluate([0.9, 0.1, 0.2], [True, False, False])
    assert found.not_measurable["accuracy"] == "folds need at least two same and two different pairs"


def test_rates_that_are_not_measurable_are_one_sentence_below_the_measured():
    found = evaluate(*_scores(100, 100))
    assert [point.far for point in measured_points(found)] == [1e-1]
    (sentence,) = not_measured(found)
    assert sentence == (
        "TAR at FAR 1 in 100 (1 %) and 4 lower rates: not measurable with 100 different pairs; "
        "it takes 3 / FAR of them, here 300."
    )


def test_figures_with_one_reason_are_one_sentence():
    sentences = not_measured(evaluate([0.5] * 40, [False] * 40))
    reason = "EER, AUC, d′, TAR at FAR 1 in 10 (10 %): not measurable: there is no same pair with a score."
    assert reason in sentences


def test_verify_calls_it_by_its_name(tmp_path):
    """All pairs of 18 photos of six people, whose vectors are random."""
    vectors = np.random.default_rng(3).normal(size=(18, 8)).astype(np.float32)
    np.save(tmp_path / "e.npy", vectors)
    lines = [
        f"p{j // 3}/{j}.jpg p{i // 3}/{i}.jpg {int(i // 3 == j // 3)}\n" for i in range(18) for j in range(i)
    ]
    (tmp_path / "pairs.txt").write_text("".join(lines))

    def verify(*flags: str) -> str:
        command = ["verify", str(tmp_path / "pairs.txt"), "--embeddings", str(tmp_path / "e.npy"), *flags]
        result = CliRunner().invoke(build_app(["verify"]), command)
        assert result.exit_code == 0, result.output
        return result.stdout

    shown = verify()
    assert "balanced accuracy: " in shown and "\naccuracy: " not in shown
    accuracy = json.loads(verify("--json"))["accuracy"]
    assert accuracy["kind"] == BALANCED
    assert accuracy["mean"] < 0.8  # "all different" is right in 88 %
