"""Tails of impostor scores: read, continued, raised for templates, and made of searches."""

from __future__ import annotations

import dataclasses
from statistics import NormalDist

import numpy as np
import pytest

from facerec_cli.errors import UsageError
from facerec_cli.metrics.fpir import interval, of_search, per_comparison
from facerec_cli.metrics.impostor_tail import (
    as_single_photos,
    for_templates,
    rate_at,
    score_at,
    supports,
    tail_of,
    tail_of_searches,
    template_lengths,
)
from facerec_cli.packs.resolve import open_pack
from facerec_cli.threshold import ImpostorTail

NORMAL = NormalDist(0.08, 0.09)
RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
TAIL = ImpostorTail(
    data="drawn from a normal distribution",
    people=5000,
    pairs=12_000_000,
    mean=0.08,
    deviation=0.09,
    rates=RATES,
    scores=tuple(NORMAL.inv_cdf(1 - rate) for rate in RATES),
    genuine_mean=0.64,
)


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.03, 1e-3, 2e-6, 1e-6, 1e-9, 1e-15])
def test_rate_and_score_are_each_other_s_inverse(rate):
    assert rate_at(TAIL, score_at(TAIL, rate)) == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize("rate", [0.5, 0.2, 1e-7, 1e-9])
def test_beyond_what_is_measured_the_normal_distribution_goes_on(rate):
    assert score_at(TAIL, rate) == pytest.approx(0.08 - 0.09 * NormalDist().inv_cdf(rate), abs=1e-6)


def test_it_joins_what_was_measured_though_that_is_not_normal():
    off = dataclasses.replace(TAIL, scores=(*TAIL.scores[:-1], TAIL.scores[-1] + 0.02))
    just = score_at(off, 0.999e-6)
    assert off.scores[-1] < just < off.scores[-1] + 1e-4
    assert supports(off, 1e-6) and not supports(off, 0.99e-6)


def test_templates_score_higher_with_strangers_as_drawn_vectors_do():
    """People as directions with noise, who have something in common with all others: by brute force."""
    random = np.random.default_rng(0)
    size, photos, people = 128, 8, 400

    def faces(count: int, each: int, own: float) -> np.ndarray:
        person = random.normal(size=(count, 1, size))
        drawn = np.sqrt(own) * person + np.sqrt(1 - own) * random.normal(size=(count, each, size))
        drawn[..., 0] += 3.5
        return drawn / np.linalg.norm(drawn, axis=2, keepdims=True)

    enrolled, strangers = faces(people, photos, 0.6), faces(2000, 1, 0.6)[:, 0]
    pairs = np.einsum("pad,pbd->pab", enrolled, enrolled)
    genuine = float((pairs.sum() - people * photos) / (people * photos * (photos - 1)))
    single = enrolled[:, 0] @ strangers.T
    means = enrolled.mean(axis=1)
    scores = means / np.linalg.norm(means, axis=1, keepdims=True) @ strangers.T
    tail = dataclasses.replace(
        TAIL,
        mean=float(single.mean()),
        deviation=float(single.std()),
        rates=RATES[:4],
        scores=tuple(float(np.quantile(single, 1 - rate)) for rate in RATES[:4]),
        genuine_mean=genuine,
    )
    raised = for_templates(tail, np.full(people, photos))
    assert scores.mean() > single.mean() + 0.01
    assert raised.mean == pytest.approx(scores.mean(), abs=0.002)
    for rate in (1e-1, 1e-2, 1e-3):
        assert score_at(raised, rate) == pytest.approx(float(np.quantile(scores, 1 - rate)), abs=0.006)


def test_templates_of_one_photo_change_nothing_and_of_many_lengths_are_averaged():
    assert for_templates(TAIL, np.ones(9, np.int64)) is TAIL
    assert for_templates(dataclasses.replace(TAIL, genuine_mean=None), np.full(9, 5)).scores == TAIL.scores
    one, many = for_templates(TAIL, np.full(4, 2)), for_templates(TAIL, np.full(4, 20))
    mixed = for_templates(TAIL, np.array([2, 2, 20, 20]))
    assert one.scores[2] < mixed.scores[2] < many.scores[2]
    rate = (rate_at(one, mixed.scores[2]) + rate_at(many, mixed.scores[2])) / 2
    assert rate == pytest.approx(1e-3, rel=0.02)
    assert for_templates(many, np.full(4, 20)) is many, "it is raised once"


def test_own_scores_of_templates_come_down_to_those_of_photos():
    faces, best = np.array([1, 4]), np.array([0.4, 0.4], np.float32)
    lengths = template_lengths(TAIL, faces)
    assert lengths.tolist() == pytest.approx([1.0, np.sqrt((1 + 3 * 0.64) / 4)])
    found = as_single_photos(best, TAIL, faces)
    assert found[0] == pytest.approx(0.4) and 0.38 < found[1] < 0.4


def test_the_tail_of_searches_is_the_one_they_were_drawn_from():
    random = np.random.default_rng(2)
    rates = 1 - (1 - random.random(20_000)) ** (1 / 500)
    best = np.sort([score_at(TAIL, float(rate)) for rate in rates])
    found = tail_of_searches(best, 500, 1, "drawn")
    for fpir in (0.5, 0.1, 0.01, 0.003):
        rate = per_comparison(fpir, 500)
        assert score_at(found, rate) == pytest.approx(score_at(TAIL, rate), abs=0.006)
    assert score_at(found, 1e-8) == pytest.approx(score_at(TAIL, 1e-8), abs=0.03)


def test_the_interval_is_that_of_chance_where_fpir_is_known():
    random = np.random.default_rng(3)
    low, high = interval(0.01, 1e-9)
    drawn = random.binomial(1000, 0.01, 100_000) / 1000
    assert 0.95 <= ((low <= drawn) & (drawn <= high)).mean() < 0.985
    wide = interval(0.01, 0.5)
    assert wide[0] < low < high < wide[1]
    assert interval(0.0, 1) == (0, 0) and interval(1.0, 1) == (1, 1)


def test_the_binomial_rule_and_back():
    for people, fpir in ((1, 0.3), (1000, 0.01), (10**7, 1e-4)):
        assert of_search(per_comparison(fpir, people), people) == pytest.approx(fpir, rel=1e-9)
    assert of_search(1.0, 5) == 1.0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rates": RATES[:-1]}, "5 rates and 6 scores"),
        ({"rates": (1e-2, 1e-1, *RATES[2:])}, "not in order"),
        ({"scores": tuple(-score for score in TAIL.scores)}, "not in order"),
        ({"pairs": 2_999_999}, "cannot have the rate 1e-06"),
        ({"rates": (), "scores": ()}, "0 rates"),
    ],
)
def test_a_tail_that_cannot_be_is_refused(changed, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(TAIL, **changed)


@pytest.mark.parametrize("name", ["sface", "sface-degraded"])
def test_the_embedded_packs_have_a_tail_with_flip_and_one_without(name):
    pack = open_pack(f"pack:{name}")
    plain, flipped = (tail_of(pack, flip=flip) for flip in (False, True))
    assert plain is not None and flipped is not None and plain.flip is False and flipped.flip is True
    for tail in (plain, flipped):
        assert tail.rates == RATES and "doubtful" in tail.data
        assert tail.pairs == tail.people * (tail.people - 1) // 2
        assert tail.raised is None and 0.5 < (tail.genuine_mean or 0) < 0.8
    assert tail_of(dataclasses.replace(pack, impostor_tails=()), flip=False) is None


def test_the_threshold_of_two_photos_is_no_threshold_of_a_search():
    """The pack's threshold among 1,000 people gives most strangers a name; among two people few."""
    pack = open_pack("pack:sface")
    tail = tail_of(pack, flip=False)
    assert tail is not None and pack.threshold is not None
    rate = rate_at(tail, pack.threshold.value)
    assert of_search(rate, 1000) > 0.5 and of_search(rate, 2) < 0.01
