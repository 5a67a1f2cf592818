"""Ratios of groups' error rates against a plain count of every pair in every draw."""

from __future__ import annotations

import math

import numpy as np
import pytest

from facerec_cli.metrics.group_draws import GroupPairs, drawn_counts
from facerec_cli.metrics.group_ratios import with_ratios
from facerec_cli.metrics.groups import group_rates
from facerec_cli.metrics.roc import wilson_interval

THRESHOLD = 0.5


def all_pairs(person, group, score):
    """What the functions take, of all pairs of photos."""
    first, second = np.triu_indices(len(person), 1)
    return {
        "scores": np.float32([score(a, b) for a, b in zip(first, second, strict=True)]),
        "same": person[first] == person[second],
        "failed": np.zeros(len(first), bool),
        "sides": (group[first], group[second]),
        "people": (person[first], person[second]),
    }


def measured(pairs, names, *, far=0.01, **options):
    given = {name: value for name, value in pairs.items() if name != "people"}
    report = group_rates(*given.values(), names, threshold=THRESHOLD, far=far)
    return with_ratios(report, **pairs, **options)


def made(random, people=40, photos=6, strictness=(0.2, 0.4)):
    """Photos of people, each in two groups by turns; a group's pairs are wrong as often as it says."""
    person = np.repeat(np.arange(people), photos)
    group = np.tile(np.arange(photos) % len(strictness), people)
    wrong = np.array(strictness)[:, None] > random.random((len(strictness), len(person) ** 2))

    def score(a, b):
        is_wrong = wrong[group[a], a * len(person) + b]
        return 0.9 if (person[a] == person[b]) != is_wrong else 0.1

    return all_pairs(person, group, score)


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("dense", [True, False])
def test_draws_count_each_pair_as_often_as_its_people_are_drawn(same, dense, monkeypatch):
    monkeypatch.setattr("facerec_cli.metrics.group_draws._DENSE", 10**6 if dense else 0)
    monkeypatch.setattr("facerec_cli.metrics.group_draws._ROUNDS", 2)  # several blocks of rounds and cells
    monkeypatch.setattr("facerec_cli.metrics.group_draws._CELLS", 7)
    pairs = made(np.random.default_rng(1), people=12)
    wrong = (pairs["scores"] >= THRESHOLD) != pairs["same"]
    use = (pairs["sides"][0] == pairs["sides"][1]) & (pairs["same"] == same)
    group, people = pairs["sides"][0][use], tuple(side[use] for side in pairs["people"])
    counts = drawn_counts(GroupPairs.of(group, people, wrong[use], 2, same=same), [True, True], 5, seed=3)

    drawn = np.random.default_rng(3).integers(0, 12, (5, 12))
    weights = [[int((row == p).sum()) for p in range(12)] for row in drawn]
    for r, weight in enumerate(weights):
        for g in (0, 1):
            errors = total = 0
            for i in np.flatnonzero(group == g):
                a, b = people[0][i], people[1][i]
                times = weight[a] if same else weight[a] * weight[b]
                total += times
                errors += times * bool(wrong[use][i])
            assert counts[r, g].tolist() == [errors, total]


def test_values_are_the_rates_divided():
    pairs = made(np.random.default_rng(0), strictness=(0.1, 0.2, 0.4), people=40, photos=9)
    report = measured(pairs, ("a", "b", "c"))
    for rates, ratios in ((report.fnmr, report.ratios.fnmr), (report.fmr, report.ratios.fmr)):
        rate = {r.group: r.errors / r.pairs for r in rates if r.group == r.other}
        mean = math.prod(rate.values()) ** (1 / 3)
        assert ratios.geometric_mean == pytest.approx(mean)
        assert {r.group: r.value for r in ratios.over_mean} == pytest.approx(
            {g: rate[g] / mean for g in rate}
        )
        extremes = ratios.worst_over_best
        assert (extremes.group, extremes.other) == ("c", "a")
        assert extremes.value == pytest.approx(rate["c"] / rate["a"])
        assert 1 < extremes.low < extremes.value < extremes.high
        assert ratios.refused == () and ratios.reason == ""
        for ratio in ratios.over_mean:
            assert ratio.low < ratio.value < ratio.high


def test_two_seeds_differ_little_and_one_seed_not_at_all():
    pairs = made(np.random.default_rng(0))
    first, again, other = (
        measured(pairs, ("a", "b"), seed=seed).ratios.fmr.worst_over_best for seed in (0, 0, 1)
    )
    assert first == again
    assert (other.low, other.high) == pytest.approx((first.low, first.high), rel=0.05)


def test_a_best_group_without_an_error_gives_a_lower_bound_only():
    pairs = made(np.random.default_rng(0), strictness=(0.0, 0.4))
    report = measured(pairs, ("calm", "odd"))
    ratios = report.ratios.fmr
    assert ratios.geometric_mean is None
    extremes = ratios.worst_over_best
    assert (extremes.group, extremes.other, extremes.value, extremes.high) == ("odd", "calm", None, None)
    calm, odd = (next(r for r in report.fmr if r.group == r.other == name) for name in ("calm", "odd"))
    most = wilson_interval(0, calm.pairs)[1]
    assert 0.8 * odd.rate / most < extremes.low < odd.rate / most
    assert extremes.reason == f"calm has no error in {calm.pairs:,} pairs"
    told = {ratio.group: ratio for ratio in ratios.over_mean}
    assert (told["calm"].value, told["calm"].low, told["odd"].value) == (None, None, None)
    assert 1 < told["odd"].low < math.sqrt(odd.rate / most)


def test_no_errors_at_all_give_no_ratio():
    ratios = measured(made(np.random.default_rng(0), strictness=(0.0, 0.0)), ("a", "b")).ratios
    assert ratios.fnmr.worst_over_best is None and ratios.fnmr.over_mean == ()
    assert ratios.fnmr.reason == ratios.fmr.reason == "no group has an error at this threshold"


def test_small_groups_are_refused_and_named():
    random = np.random.default_rng(0)
    person = np.repeat(np.arange(45), 6)
    group = np.where(person < 9, 0, np.where(person < 19, 1, 2))  # 9, 10 and 26 people
    wrong = random.random((270, 270)) < 0.3
    pairs = all_pairs(person, group, lambda a, b: 0.9 if (person[a] == person[b]) != wrong[a, b] else 0.1)
    ratios = measured(pairs, ("few", "ten", "many")).ratios
    for kind in (ratios.fnmr, ratios.fmr):
        assert [(r.group, r.people, r.reason) for r in kind.refused] == [("few", 9, "9 people; it takes 10")]
        assert {kind.worst_over_best.group, kind.worst_over_best.other} == {"ten", "many"}
        assert kind.sentences() == ["left out of the ratios: few (9 people; it takes 10)"]
    ratios = measured(pairs, ("few", "ten", "many"), far=0.001).ratios  # takes 3,000 different pairs
    assert [r.group for r in ratios.fmr.refused] == ["few", "ten"]
    assert ratios.fmr.refused[1].reason == "1,620 pairs, too few for its rate"
    assert ratios.fmr.worst_over_best is None
    assert ratios.fmr.reason == "ratios take two groups; 1 of 3 has enough people and pairs"


def test_groups_that_do_not_differ_are_seldom_called_different():
    """People differ in how often they fail, groups do not: 200 lists, 30 people in each group."""
    random = np.random.default_rng(7)
    person, group = np.repeat(np.arange(90), 2), np.repeat(np.arange(90) % 3, 2)
    same = np.repeat(np.arange(90), 12)
    called = 0
    for _ in range(200):
        fails = random.beta(1, 4, 90)
        wrong = random.random(len(same)) < fails[same]
        first, second = np.triu_indices(len(person), 1)
        inside = (person[first] != person[second]) & (group[first] == group[second])
        first, second = person[first][inside], person[second][inside]
        alike = random.random(len(first)) < 4 * fails[first] * fails[second]
        whose = (np.concatenate((same, first)), np.concatenate((same, second)))
        is_same = np.arange(len(whose[0])) < len(same)
        pairs = {
            "scores": np.float32(np.where(is_same != np.concatenate((wrong, alike)), 0.9, 0.1)),
            "same": is_same,
            "failed": np.zeros(len(is_same), bool),
            "sides": tuple(side % 3 for side in whose),
            "people": whose,
        }
        ratios = measured(pairs, ("a", "b", "c"), rounds=1000).ratios
        for kind in (ratios.fnmr, ratios.fmr):
            called += not kind.worst_over_best.low <= 1 <= kind.worst_over_best.high
    assert called / 400 <= 0.08, called
