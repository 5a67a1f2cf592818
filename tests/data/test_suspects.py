"""Suspected labels: wrong ones are put among people who are made of random vectors, and are found."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from facerec_cli.data.mining.hard import hard_faces, hard_pairs
from facerec_cli.data.mining.suspects import NOT_ALIKE, OTHER_PERSON, SAME_PEOPLE, find_suspects
from facerec_cli.metrics.face_scores import face_scores
from facerec_cli.metrics.fpir import per_comparison
from facerec_cli.threshold import ImpostorTail

SIZE = 128
TAIL = ImpostorTail("made", 1000, 100_000, 0.0, SIZE**-0.5, (0.5,), (0.0,))  # of random directions


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def made(people=40, each=6, seed=0, spread=0.75):
    """(vectors, labels): faces of one person score about 1 / (1 + spread^2)."""
    random = np.random.default_rng(seed)
    centers = unit(random.standard_normal((people, SIZE)))
    noise = unit(random.standard_normal((people * each, SIZE))) * spread
    return unit(np.repeat(centers, each, axis=0) + noise), np.repeat(np.arange(people), each)


def test_right_labels_are_not_suspected_and_the_bounds_are_those_of_the_tail():
    vectors, labels = made()
    found = find_suspects(vectors, labels, TAIL)
    assert set(found.reasons) == {""} and (found.suggested == -1).all()
    z = NormalDist().inv_cdf
    # from the middle of the scores that are here, or from the tail if that demands more
    assert found.named == pytest.approx(-z(per_comparison(1e-3, 40)) * SIZE**-0.5, abs=0.04)
    assert found.named >= -z(per_comparison(1e-3, 40)) * SIZE**-0.5 - 1e-9
    assert found.alone == pytest.approx(-z(0.05) * SIZE**-0.5)
    assert found.deviation == TAIL.deviation


def test_faces_under_another_name_are_found_with_whose_they_are():
    vectors, true = made()
    labels = true.copy()
    moved = np.random.default_rng(1).choice(len(labels), 12, replace=False)
    labels[moved] = (true[moved] + 1 + np.arange(12)) % 40
    found = find_suspects(vectors, labels, TAIL)
    assert np.flatnonzero(found.reasons == OTHER_PERSON).tolist() == sorted(moved.tolist())
    np.testing.assert_array_equal(found.suggested[moved], true[moved])
    clean = np.setdiff1d(np.arange(len(labels)), moved)
    np.testing.assert_array_equal(
        found.scores.own[clean], face_scores(vectors, labels, found.reasons == "").own[clean]
    )


def test_a_wrong_face_does_not_hide_behind_the_means_that_it_spoils():
    """Of three faces of a person one is somebody else's, who has one other face, and so on in a row."""
    vectors, true = made(people=30, each=2)
    labels = true.copy()
    labels[::6] = (true[::6] + 1) % 30  # 10 of 60; whose name they get keeps two faces of its own
    found = find_suspects(vectors, labels, TAIL)
    assert np.flatnonzero(found.reasons == OTHER_PERSON).tolist() == list(range(0, 60, 6))


def test_a_face_of_nobody_here_is_not_like_its_person():
    vectors, labels = made()
    stranger = unit(np.random.default_rng(9).standard_normal((1, SIZE)))
    labels = np.append(labels, 3)
    found = find_suspects(np.concatenate([vectors, stranger]), labels, TAIL)
    assert np.flatnonzero(found.reasons).tolist() == [len(labels) - 1]
    assert found.reasons[-1] == NOT_ALIKE and found.suggested[-1] == -1


def test_of_two_faces_that_are_not_alike_nobody_knows_which_is_wrong():
    vectors, labels = made()
    pair = unit(np.random.default_rng(9).standard_normal((2, SIZE)))
    found = find_suspects(np.concatenate([vectors, pair]), np.append(labels, [40, 40]), TAIL)
    assert np.flatnonzero(found.reasons == NOT_ALIKE).tolist() == [240, 241] and found.suggested[-1] == -1


def test_one_person_under_two_names_is_told_of_the_smaller_one():
    vectors, labels = made()
    labels = np.where((labels == 7) & (np.arange(240) % 6 < 2), 40, labels)  # two of the six have a new name
    found = find_suspects(vectors, labels, TAIL)
    rows = np.flatnonzero(found.reasons == SAME_PEOPLE)
    assert rows.tolist() == [42, 43] and set(found.suggested[rows]) == {7}
    assert set(found.reasons) == {"", SAME_PEOPLE}


def test_people_who_are_more_alike_than_those_of_the_tail_raise_the_bound():
    vectors, labels = made()
    alike = unit(vectors + 0.5 * unit(np.ones((1, SIZE))))  # all share something, as photos of one camera
    found = find_suspects(alike, labels, TAIL)
    assert set(found.reasons) <= {"", SAME_PEOPLE}
    assert found.named > find_suspects(vectors, labels, TAIL).named + 0.05


def test_hard_faces_have_the_least_margins_of_those_that_count():
    vectors, labels = made(people=10, each=5)
    labels[49] = 10  # alone under its name
    use = np.ones(50, bool)
    use[:5] = False
    scores = face_scores(vectors, labels, use)
    hard = hard_faces(scores, use, 0.25)
    others = np.flatnonzero(use & (np.arange(50) != 49))
    assert hard.sum() == round(0.25 * 44) and not hard[:5].any() and not hard[49]
    assert scores.margin[hard].max() <= scores.margin[np.setdiff1d(others, np.flatnonzero(hard))].min()


def test_hard_pairs_are_those_of_all_pairs():
    vectors, labels = made(people=12, each=4, seed=3)
    order = np.random.default_rng(0).permutation(48)
    vectors, labels = vectors[order], labels[order]
    pairs, scores = hard_pairs(vectors, labels, 40)
    every = vectors @ vectors.T
    same = labels[:, None] == labels
    assert pairs.same.tolist() == [True, False] * 20 and (pairs.first < pairs.second).all()
    assert len({*zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)}) == 40
    np.testing.assert_allclose(scores, every[pairs.first, pairs.second], atol=1e-6)
    np.testing.assert_array_equal(same[pairs.first, pairs.second], pairs.same)
    off = np.where(same & ~np.eye(48, dtype=bool), every, np.inf)
    lowest = {tuple(sorted((i, int(off[i].argmin())))) for i in range(48)}
    expected = sorted(every[a, b] for a, b in lowest)[:20]
    np.testing.assert_allclose(scores[0::2], expected, atol=1e-6)
    away = np.where(same, -np.inf, every)
    highest = {tuple(sorted((i, int(away[i].argmax())))) for i in range(48)}
    np.testing.assert_allclose(
        scores[1::2], sorted((every[a, b] for a, b in highest), reverse=True)[:20], atol=1e-6
    )


def test_without_two_photos_of_anybody_there_are_pairs_of_two_people_only():
    vectors, _ = made(people=5, each=1)
    pairs, _ = hard_pairs(vectors, np.arange(5), 4)
    assert not pairs.same.any() and len(pairs) == 2
