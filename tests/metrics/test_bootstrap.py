"""The bootstrap over people against a plain one that copies the pairs of those who are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.metrics import bootstrap
from facerec_cli.metrics.bootstrap import MIN_PEOPLE, bootstrap_tar, people_of, resampled_tar

PEOPLE = 30


def listed() -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(0)
    first, second = random.integers(0, PEOPLE, (2, 3000))
    second[:600] = first[:600]
    same = first == second
    scores = np.round(random.normal(0.5 * same, 0.2), 2).astype(np.float32)  # with ties
    return scores, same, (first, second)


def by_copying(scores, same, people, fars, rounds):
    """TAR at each FAR, each pair repeated as often as its people were drawn."""
    random = np.random.default_rng(0)
    rates = np.full((rounds, len(fars)), np.nan)
    for r in range(rounds):
        weight = np.bincount(random.integers(0, PEOPLE, PEOPLE), minlength=PEOPLE)
        times = np.where(same, weight[people[0]], weight[people[0]] * weight[people[1]])
        genuine, impostor = (np.repeat(scores[kind], times[kind]) for kind in (same, ~same))
        impostor = np.sort(impostor)[::-1]
        for i, far in enumerate(fars):
            rejected = impostor[int(far * impostor.size * (1 + 1e-12))]
            rates[r, i] = (genuine > rejected).mean()
    return rates


@pytest.mark.parametrize("table", [3000, 3])
def test_rounds_equal_those_of_copied_pairs(monkeypatch, table):
    monkeypatch.setattr(bootstrap, "_MAX_TABLE", table)
    scores, same, people = listed()
    fars = (0.5, 0.1, 0.01)
    rates = resampled_tar(scores, same, people, fars=fars, rounds=20)
    np.testing.assert_allclose(rates, by_copying(scores, same, people, fars, 20), atol=1e-12)


def test_intervals_are_percentiles_of_the_rounds():
    scores, same, people = listed()
    rates = resampled_tar(scores, same, people, fars=(0.1,), rounds=100, seed=3)
    (interval,) = bootstrap_tar(scores, same, people, fars=(0.1,), rounds=100, seed=3)
    assert (interval.low, interval.high) == tuple(np.percentile(rates, [2.5, 97.5]))
    assert interval.low < (scores[same] > np.sort(scores[~same])[-241]).mean() < interval.high


def test_few_people_have_no_interval():
    scores, same, people = listed()
    few = ~same | (people[0] < MIN_PEOPLE - 1)
    sides = (people[0][few], people[1][few])
    (interval,) = bootstrap_tar(scores[few], same[few], sides, fars=(0.1,), rounds=5)
    assert (interval.low, interval.high) == (None, None)
    assert f"over {MIN_PEOPLE - 1} people" in interval.reason


def test_people_are_those_whom_genuine_pairs_join():
    first, second = np.array([0, 1, 3, 4]), np.array([1, 2, 4, 5])
    people = people_of(first, second, np.array([True, True, True, False]))
    assert people[0] == people[1] == people[2] and people[3] == people[4]
    assert len(set(people.tolist())) == 3 and people.max() == 2
