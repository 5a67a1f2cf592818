"""Wrong labels are named, and hard photos are not."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.metrics.doubtful import DoubtfulPair, doubtful_pairs
from facerec_cli.metrics.doubtful_labels import MOST, DoubtfulLabels, doubtful_bound
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.metrics.impostor_tail import score_at
from facerec_cli.metrics.scores import Distribution
from facerec_cli.packs.resolve import open_pack


def impostors(scores: np.ndarray) -> Distribution:
    return evaluate(scores.astype(np.float32), np.zeros(len(scores), bool)).impostor


def test_chance_reaches_the_bound_in_one_list_of_twenty():
    rng = np.random.default_rng(5)
    reached = 0
    for _ in range(200):
        scores = rng.normal(0.08, 0.09, 2000)
        reached += scores.max() >= (doubtful_bound(impostors(scores)) or 0)
    assert 2 <= reached <= 20  # 10 expected


def test_a_few_wrong_labels_do_not_move_the_bound():
    rng = np.random.default_rng(6)
    scores = rng.normal(0.08, 0.09, 3000)
    clean = doubtful_bound(impostors(scores))
    scores[:30] = 0.9
    assert doubtful_bound(impostors(scores)) == pytest.approx(clean, abs=0.01)


def test_neither_the_list_nor_the_model_may_explain_the_score():
    rng = np.random.default_rng(7)
    tail = open_pack("pack:sface").impostor_tails[0]
    easy, hard = (impostors(rng.normal(mean, wide, 5000)) for mean, wide in ((0.0, 0.05), (0.2, 0.15)))
    by_tail = score_at(tail, 0.05 / 5000)
    assert doubtful_bound(easy, tail=tail) == by_tail > (doubtful_bound(easy) or 1)
    assert doubtful_bound(hard, tail=tail) == doubtful_bound(hard) > by_tail
    assert doubtful_bound(easy, threshold=0.6) == 0.6
    assert doubtful_bound(impostors(rng.normal(0.3, 0.3, 5000))) == 0.99  # one photo under two labels


def test_few_pairs_tell_nothing():
    rng = np.random.default_rng(8)
    assert doubtful_bound(impostors(rng.normal(0, 0.1, 99))) is None
    assert doubtful_bound(impostors(rng.normal(0, 0.1, 100))) is not None


def test_listed_pairs_give_each_two_people_once_with_their_most_alike_photos():
    people = np.array([0, 0, 1, 1, 2])
    sides = np.array([2, 0, 3, 4, 1]), np.array([0, 3, 4, 0, 4])
    scores = np.array([0.7, 0.8, 0.9, 0.65, 0.3], np.float32)
    found = doubtful_pairs(scores, sides, people, 0.6)
    assert [(pair.first, pair.second, pair.rows) for pair in found] == [
        (1, 2, (3, 4)),
        (0, 1, (0, 3)),
        (0, 2, (0, 4)),
    ]
    assert [pair.score for pair in found] == pytest.approx([0.9, 0.8, 0.65])
    assert len(doubtful_pairs(scores, sides, people, 0.6, limit=2)) == 2


def test_what_is_said_of_one_and_of_a_thousand():
    pair = DoubtfulPair(0, 1, 0.9, (0, 1))
    one = DoubtfulLabels(0.6, (pair,), (("a.jpg", "b.jpg"),))
    assert one.sentence().startswith("1 pair of different labels looks like one person (score 0.6000 or more")
    assert one.sentence().endswith("the FARs here are too high, and the thresholds of small FARs with them")
    assert one.document()["pairs"] == [{"first": "a.jpg", "second": "b.jpg", "score": 0.9}]
    many = DoubtfulLabels(0.6, (pair,) * MOST, (("a.jpg", "b.jpg"),) * MOST)
    assert many.sentence().startswith("1,000 pairs or more of different labels look like")
