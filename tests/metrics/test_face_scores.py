"""Faces against the means of people: a loop over faces says the same."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.metrics.face_scores import best_others, face_scores, sums_of, unit_means


def units(count, seed=0, size=16):
    vectors = np.random.default_rng(seed).standard_normal((count, size))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("masked", [False, True])
def test_scores_are_those_of_a_loop_that_leaves_each_face_out(masked):
    people = np.array([0, 3, 0, 1, 3, 0, 5, 3])  # numbers 2 and 4 are nobody's
    vectors = units(len(people))
    used = np.ones(len(people), bool)
    if masked:
        used[[1, 3]] = False
    found = face_scores(vectors, people, used)
    for row, person in enumerate(people.tolist()):
        means = {
            one: vectors[(people == one) & used & (np.arange(len(people)) != row)].astype(float).sum(axis=0)
            for one in set(people.tolist())
        }
        score = {
            one: float(mean @ vectors[row] / np.linalg.norm(mean))
            for one, mean in means.items()
            if mean.any()
        }
        own = score.pop(person, np.nan)
        np.testing.assert_allclose(found.own[row], own, atol=1e-6)
        best = max(score, key=score.get)
        assert found.nearest[row] == best
        np.testing.assert_allclose(found.other[row], score[best], atol=1e-6)
    np.testing.assert_array_equal(found.margin, found.own - found.other)


def test_of_one_person_nobody_else_is_nearest():
    found = face_scores(units(3), np.zeros(3, np.int64))
    assert np.isneginf(found.other).all() and np.isfinite(found.own).all()


def test_sums_means_and_others_of_many_tiles():
    vectors, people = units(3000, size=4), np.random.default_rng(1).integers(0, 900, 3000)
    sums, count = sums_of(vectors, people, 901)
    np.testing.assert_allclose(sums[17], vectors[people == 17].astype(float).sum(axis=0), atol=1e-9)
    assert count[900] == 0 and not sums[900].any() and count.sum() == 3000
    templates = unit_means(sums)
    best, nearest = best_others(vectors, people, templates)
    scores = vectors @ templates.T
    scores[np.arange(3000), people] = -np.inf
    np.testing.assert_allclose(best, scores.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(scores[np.arange(3000), nearest], best, atol=1e-6)
