"""What is left out when a calibration is measured, and what the figures are then."""

from __future__ import annotations

import json

import numpy as np
import pytest

from facerec_cli.metrics.counted_scores import count_scores
from facerec_cli.metrics.likelihood import IsotonicModel, cllr, fit_logistic, min_cllr
from facerec_cli.metrics.likelihood_evaluation import (
    LikelihoodEvaluation,
    evaluate_counted,
    evaluate_likelihood,
)


def all_pairs(people: int = 24, photos: int = 4, noise: float = 0.9, seed: int = 0):
    """Scores, labels and people of all pairs of photos of made-up people."""
    random = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), photos)
    vectors = random.normal(size=(people, 12))[person] + noise * random.normal(size=(people * photos, 12))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    first, second = np.triu_indices(len(person), 1)
    scores = (vectors[first] * vectors[second]).sum(axis=1)
    return scores, person[first] == person[second], (person[first], person[second])


def test_with_folds_each_is_judged_by_the_others():
    scores, same, people = all_pairs()
    folds = np.random.default_rng(1).integers(0, 4, scores.size)
    found = evaluate_likelihood(scores, same, people, folds=folds)
    assert isinstance(found, LikelihoodEvaluation)
    stated = np.empty(scores.size)
    for fold in range(4):
        others = folds != fold
        pairs = {tuple(sorted(pair)) for pair in zip(*(p[others & ~same] for p in people), strict=True)}
        model = fit_logistic(
            scores[others],
            same[others],
            people=len(set(people[0][others & same])),
            person_pairs=len(pairs),
        )
        stated[folds == fold] = model.llr(scores[folds == fold])
    assert found.cllr == pytest.approx(cllr(stated, same), abs=1e-12)
    assert found.min_cllr == min_cllr(scores, same)
    assert found.calibration_loss == found.cllr - found.min_cllr > 0
    assert found.model == fit_logistic(scores, same, people=24, person_pairs=276)
    assert (found.people, found.person_pairs, found.held_out) == (24, 276, "folds")
    assert (found.same_pairs, found.different_pairs) == (same.sum(), (~same).sum())
    assert sum(point.genuine + point.impostor for point in found.reliability) == scores.size
    assert found.min_cllr < found.cllr_of["isotonic"] < 1
    stairs = evaluate_likelihood(scores, same, people, folds=folds, method="isotonic")
    assert isinstance(stairs, LikelihoodEvaluation) and isinstance(stairs.model, IsotonicModel)
    assert stairs.cllr_of == found.cllr_of and stairs.cllr == found.cllr_of["isotonic"] != found.cllr
    assert found.cllr == found.cllr_of["logistic"]


def test_without_folds_nobody_is_judged_by_a_calibration_that_has_seen_them():
    scores, same, people = all_pairs()
    found = evaluate_likelihood(scores, same, people)
    assert isinstance(found, LikelihoodEvaluation) and found.held_out == "people"
    group = np.stack(people) * 5 // 24  # the people appear in their order
    stated = np.empty(scores.size)
    for a, b in {tuple(sorted(pair)) for pair in group.T.tolist()}:
        inside = (np.sort(group, axis=0) == [[a], [b]]).all(axis=0)
        others = ~np.isin(group, (a, b)).any(axis=0)
        seen = {*people[0][others], *people[1][others]}
        assert not seen & {*people[0][inside], *people[1][inside]}
        n = len(seen)
        model = fit_logistic(scores[others], same[others], people=n, person_pairs=n * (n - 1) // 2)
        stated[inside] = model.llr(scores[inside])
    assert found.cllr == pytest.approx(cllr(stated, same), abs=1e-12)


def test_the_order_of_pairs_and_the_numbers_of_people_change_nothing_that_matters():
    scores, same, people = all_pairs()
    a = evaluate_likelihood(scores, same, people)
    b = evaluate_likelihood(scores, same, (people[1] * 7 + 100, people[0] * 7 + 100))
    assert isinstance(a, LikelihoodEvaluation) and isinstance(b, LikelihoodEvaluation)
    assert a.model == b.model and a.min_cllr == b.min_cllr
    assert b.cllr == pytest.approx(a.cllr, abs=0.05)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s, y, p: (s, np.ones_like(y), p), "none of two people"),
        (lambda s, y, p: (s, np.zeros_like(y), p), "none of one person"),
        (lambda s, y, p: (np.full_like(s, np.nan), y, p), "NaN"),
        (lambda s, y, p: (np.zeros_like(s), y, p), "all scores are equal"),
        (lambda s, y, p: (-s, y, p), "do not score higher"),
        (lambda s, y, p: (s, y, (p[0] % 9, p[1] % 9)), "9 people with a same pair; it takes 10"),
    ],
)
def test_why_there_is_none(change, reason):
    found = evaluate_likelihood(*change(*all_pairs()))
    assert isinstance(found, str) and reason in found


def test_folds_of_one_kind_are_told():
    scores, same, people = all_pairs()
    found = evaluate_likelihood(scores, same, people, folds=same.astype(np.int64))
    assert found == "what is left without one of its folds, or some people, has pairs of one kind only"


def test_scores_that_are_only_counted_are_measured_as_they_are():
    scores, same, _ = all_pairs()
    found = evaluate_counted(count_scores(scores, same), 24, 276)
    assert isinstance(found, LikelihoodEvaluation) and found.held_out == "nothing"
    model = fit_logistic(scores, same, people=24, person_pairs=276)
    assert found.model == model and found.cllr == pytest.approx(cllr(model.llr(scores), same))
    assert found.cllr_of["isotonic"] >= found.min_cllr == min_cllr(scores, same)


def test_the_document_is_plain():
    stairs = evaluate_likelihood(*all_pairs(), method="isotonic")
    assert isinstance(stairs, LikelihoodEvaluation)
    steps = json.loads(json.dumps(stairs.document(), allow_nan=False))["steps"]
    assert (steps[0], steps[-1]) == (-1000, 1000)  # where one kind has no score
    found = evaluate_likelihood(*all_pairs())
    assert isinstance(found, LikelihoodEvaluation)
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert document["method"] == "logistic" and document["held_out"] == "people"
    assert document["highest_ratio"] == pytest.approx(np.exp(document["high"]))
    assert {"slope", "intercept", "cllr", "min_cllr", "calibration_loss", "cllr_of"} <= set(document)
