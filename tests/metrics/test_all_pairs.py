"""All pairs in tiles against all scores at once."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.metrics import all_pairs
from facerec_cli.metrics.evaluate import evaluate

FARS = (1e-4, 1e-3, 0.01, 0.1)


def vectors_of(n: int, per: int, *, digits: int | None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    identity = random.integers(0, n // per, n)
    x = random.normal(size=(n // per, 32))[identity] + random.normal(size=(n, 32))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    if digits is not None:  # few distinct scores: ties everywhere
        x = np.sign(x) / np.sqrt(32)
    return x.astype(np.float32), identity


@pytest.fixture(params=[(16, 40), (1024, 8192)])
def _tiles(request, monkeypatch):
    monkeypatch.setattr(all_pairs, "ROWS", request.param[0])
    monkeypatch.setattr(all_pairs, "COLUMNS", request.param[1])


@pytest.mark.usefixtures("_tiles")
@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("per", [5, 150])
def test_every_figure_equals_brute_force_on_the_same_scores(digits, per):
    vectors, identity = vectors_of(450, per, digits=digits)
    order = np.argsort(identity, kind="stable")
    people, (genuine, impostor) = identity[order], ([], [])
    for tile in all_pairs.tiles(vectors[order]):
        above = np.arange(450)[tile.columns] > np.arange(450)[tile.rows, None]
        same = people[tile.rows, None] == people[None, tile.columns]
        genuine.append(tile.scores[above & same])
        impostor.append(tile.scores[above & ~same])
    scores = np.concatenate(genuine + impostor)
    same = np.repeat([True, False], [sum(map(len, genuine)), sum(map(len, impostor))])
    expected = evaluate(scores, same, fars=FARS)
    told = []
    result = all_pairs.evaluate_all_pairs(
        vectors, identity, fars=FARS, progress=lambda done, total=None: told.append((done, total))
    )
    assert result.tar_at_far == expected.tar_at_far
    assert result.eer == expected.eer
    assert result.auc == pytest.approx(expected.auc, abs=1e-14)
    assert result.d_prime == pytest.approx(expected.d_prime, rel=1e-5)
    assert result.pairs == expected.pairs
    assert told[-1] == (450 * 449, 450 * 449)


def test_the_tiles_hold_each_pair_once():
    vectors, identity = vectors_of(300, 7, digits=None)
    result = all_pairs.evaluate_all_pairs(vectors, identity, fars=FARS)
    gram = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    rows, columns = np.triu_indices(300, 1)
    expected = evaluate(gram[rows, columns], identity[rows] == identity[columns], fars=FARS)
    assert result.pairs == expected.pairs
    assert result.auc == pytest.approx(expected.auc, abs=1e-6)


def test_auc_says_how_far_it_can_be_off(monkeypatch):
    vectors, identity = vectors_of(300, 7, digits=None)
    exact = all_pairs.evaluate_all_pairs(vectors, identity)
    monkeypatch.setattr(all_pairs, "_SORTED_FOR_AUC", 0)
    rough = all_pairs.evaluate_all_pairs(vectors, identity)
    assert exact.auc_error == 0.0
    assert 0 < rough.auc_error < 1e-3
    assert abs(rough.auc - exact.auc) <= rough.auc_error
    assert rough.eer == exact.eer


@pytest.mark.usefixtures("_tiles")
def test_tiles_of_two_tables_make_the_whole_matrix():
    first, second = vectors_of(90, 5, digits=None)[0], vectors_of(130, 5, digits=None, seed=1)[0]
    whole = np.full((90, 130), np.nan)
    for tile in all_pairs.tiles(first, second):
        assert np.isnan(whole[tile.rows, tile.columns]).all()
        whole[tile.rows, tile.columns] = tile.scores
    np.testing.assert_allclose(whole, first @ second.T, atol=1e-6)
    assert not list(all_pairs.tiles(first[:0], second)) and not list(all_pairs.tiles(first, second[:0]))


@pytest.mark.usefixtures("_tiles")
@pytest.mark.parametrize("digits", [None, 1])
def test_photos_against_distractors_equal_brute_force(digits):
    vectors, identity = vectors_of(200, 9, digits=digits)
    distractors = vectors_of(330, 5, digits=digits, seed=1)[0]
    if digits:  # of 16 signs the products are exact
        vectors, distractors = (np.sign(x[:, :16]) / 4 for x in (vectors, distractors))
    failed, lost = np.arange(200) % 11 == 0, np.arange(330) % 7 == 0
    told = []
    result = all_pairs.evaluate_against(
        vectors,
        identity,
        distractors,
        failed=failed,
        failed_distractors=lost,
        fars=FARS,
        progress=lambda done, total=None: told.append((done, total)),
    )
    rows, columns = np.triu_indices(200, 1)
    mates = identity[rows] == identity[columns]
    rows, columns = rows[mates], columns[mates]
    wide, others = vectors.astype(np.float64), distractors.astype(np.float64)
    scores = np.concatenate([np.einsum("nd,nd->n", wide[rows], wide[columns]), (wide @ others.T).ravel()])
    without = np.concatenate([failed[rows] | failed[columns], (failed[:, None] | lost).ravel()])
    expected = evaluate(scores, np.repeat([True, False], [rows.size, 200 * 330]), failed=without, fars=FARS)
    assert result.pairs == expected.pairs
    for point, other in zip(result.tar_at_far, expected.tar_at_far, strict=True):
        assert (point.accepted_genuine, point.accepted_impostor) == (
            other.accepted_genuine,
            other.accepted_impostor,
        )
        assert (point.tar, point.tar_with_failures) == (other.tar, other.tar_with_failures)
    assert result.auc == pytest.approx(expected.auc, abs=1e-6)
    assert result.d_prime == pytest.approx(expected.d_prime, rel=1e-4)
    assert told[-1] == (2 * (~without).sum(), 2 * (~without).sum())


def test_failed_photos_are_counted_in_pairs():
    vectors, identity = vectors_of(60, 6, digits=None)
    failed = np.zeros(60, bool)
    failed[:3] = True
    counts = all_pairs.evaluate_all_pairs(vectors, identity, failed=failed).pairs
    assert counts.total == 60 * 59 // 2
    assert counts.failed == counts.total - 57 * 56 // 2


def test_one_photo_is_not_enough():
    with pytest.raises(InputError, match="at least two"):
        all_pairs.evaluate_all_pairs(np.ones((1, 4), np.float32), np.zeros(1, np.int64))
    with pytest.raises(InputError, match="a distractor"):
        all_pairs.evaluate_against(np.eye(2, dtype=np.float32), np.zeros(2, np.int64), np.ones((0, 2)))
