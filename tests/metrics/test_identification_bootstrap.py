"""The bootstrap over the people of searches against a plain one that copies the searches of those drawn."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.metrics import identification_bootstrap
from facerec_cli.metrics.bootstrap import MIN_PEOPLE
from facerec_cli.metrics.identification import evaluate_scores
from facerec_cli.metrics.identification_bootstrap import bootstrap_tpir, resampled_tpir
from facerec_cli.metrics.roc import wilson_interval

FPIRS = (0.5, 0.1, 0.02)


def drawn():
    random = np.random.default_rng(0)
    mates = np.round(random.normal(0.6, 0.2, 300), 2).astype(np.float32)
    mates[::9] = -np.inf  # not first
    strangers = np.round(random.normal(0.3, 0.2, 400), 2).astype(np.float32)
    return mates, strangers, (random.integers(0, 40, 300) * 3, random.integers(-60, 0, 400))


@pytest.mark.parametrize("cells", [1 << 22, 1])
def test_rounds_equal_those_of_copied_searches(monkeypatch, cells):
    monkeypatch.setattr(identification_bootstrap, "_CELLS", cells)
    mates, strangers, people = drawn()
    rates = resampled_tpir(mates, strangers, people, fpirs=FPIRS, rounds=6, seed=5)
    random = [np.random.default_rng([5, side]) for side in (0, 1)]
    expected = np.empty((6, len(FPIRS)))
    for r in range(6):
        copies = []
        for scores, who, drawer in zip((mates, strangers), people, random, strict=True):
            names = np.unique(who)
            drawn_people = names[drawer.integers(0, len(names), len(names))]
            copies.append(np.repeat(scores, [(drawn_people == w).sum() for w in who]))
        known, unknown = copies[0], np.sort(copies[1])[::-1]
        for f, fpir in enumerate(FPIRS):
            rejected = unknown[int(fpir * unknown.size * (1 + 1e-12))]
            expected[r, f] = (known > rejected).mean()
    np.testing.assert_allclose(rates, expected, atol=1e-12)


def test_intervals_are_percentiles_of_the_rounds_and_no_narrower_than_wilsons():
    mates, strangers, people = drawn()
    rates = resampled_tpir(mates, strangers, people, fpirs=(0.1,), rounds=200, seed=3)
    (interval,) = bootstrap_tpir(mates, strangers, people, fpirs=(0.1,), rounds=200, seed=3)
    assert (interval.low, interval.high) == tuple(np.percentile(rates, [2.5, 97.5]))
    accepted = mates > np.sort(strangers)[-41]
    wilson = wilson_interval(int(accepted.sum()), len(mates))
    assert interval.low < wilson[0] < accepted.mean() < wilson[1] < interval.high
    alone = (np.arange(300), people[1])  # everybody with one search: the percentiles are near Wilson's
    (interval,) = bootstrap_tpir(mates, strangers, alone, fpirs=(0.1,), rounds=2, seed=3)
    assert interval.low <= wilson[0] and interval.high >= wilson[1]


def test_searches_that_all_succeed_are_not_certain():
    mates, strangers, people = drawn()
    (interval,) = bootstrap_tpir(np.full_like(mates, 9), strangers, people, fpirs=(0.1,), rounds=50)
    assert (interval.low, interval.high) == wilson_interval(40, 40)
    (interval,) = bootstrap_tpir(np.full_like(mates, -9), strangers, people, fpirs=(0.1,), rounds=50)
    assert (interval.low, interval.high) == wilson_interval(0, 40)


@pytest.mark.parametrize("side", [0, 1])
def test_few_people_on_either_side_have_no_interval(side):
    mates, strangers, people = drawn()
    people[side][:] = np.arange(len(people[side])) % (MIN_PEOPLE - 1)
    (interval,) = bootstrap_tpir(mates, strangers, people, fpirs=(0.1,), rounds=5)
    assert (interval.low, interval.high) == (None, None)
    assert f"over {MIN_PEOPLE - 1} people of {('mated', 'non-mated')[side]} searches" in interval.reason


def test_an_evaluation_has_an_interval_for_each_rate_that_is_measurable():
    random = np.random.default_rng(0)
    scores, identity = random.normal(size=(400, 30)), np.arange(400) % 60
    scores[np.arange(400), identity % 30] += 2.0 * (identity < 30)
    found = evaluate_scores(scores, np.arange(30), identity, fpirs=(0.1, 0.001), rounds=100)
    (interval,) = found.bootstrap
    assert interval.far == 0.1 and interval.low < found.point(0.1).tpir < interval.high
    (written,) = found.document()["bootstrap"]
    assert written == {"fpir": 0.1, "low": interval.low, "high": interval.high, "reason": ""}
    assert "bootstrap" not in evaluate_scores(scores, np.arange(30), identity).document()
