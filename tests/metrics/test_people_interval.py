"""Intervals over people: the variance against a sum over all pairs of pairs, and how often they hold."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from facerec_cli.metrics import people_interval
from facerec_cli.metrics.people_interval import of_all_pairs, of_one_person, of_two_people, student
from facerec_cli.metrics.roc import wilson_interval


def drawn(seed: int, people: int = 12, pairs: int = 150) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, people, pairs)
    second = (first + rng.integers(1, people, pairs)) % people
    likely = 0.05 + 0.4 * (first < 2) + 0.4 * (second < 2)
    return rng.random(pairs) < likely, first, second


@pytest.mark.parametrize("seed", range(4))
def test_pairs_of_two_people_have_the_variance_of_all_pairs_that_share_somebody(seed):
    accepted, first, second = drawn(seed)
    shared = of_two_people(accepted, first, second)
    rate = accepted.mean()
    residual = accepted - rate
    total = 0.0
    for k in range(len(first)):
        for m in range(len(first)):
            if {first[k], second[k]} & {first[m], second[m]}:
                total += residual[k] * residual[m]
    people = 12
    variance = total / len(first) ** 2 * people * (people - 1) / (people - 2) ** 2
    number = min(len(first), rate * (1 - rate) / variance)
    sums = np.array([residual[(first == p) | (second == p)].sum() for p in range(people)])
    freedom = (sums**2).sum() ** 2 / (sums**4).sum() - 1
    assert shared.rate == pytest.approx(rate)
    assert shared.interval() == pytest.approx(wilson_interval(rate * number, number, student(freedom)))


def test_pairs_of_one_person_count_as_their_people():
    person = np.repeat(np.arange(30), 20)
    accepted = person >= 6  # all or none of a person's pairs
    low, high = of_one_person(accepted, person).interval()
    alone = wilson_interval(24, 30)
    assert low < alone[0] and alone[1] < high < 1
    assert of_one_person(np.ones(600, bool), person).interval() == pytest.approx(wilson_interval(30, 30))
    assert of_one_person(np.zeros(600, bool), person).interval() == pytest.approx(wilson_interval(0, 30))


@pytest.mark.parametrize("seed", range(20))
def test_it_is_never_narrower_than_wilson_s(seed):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 40, 300)
    second = (first + rng.integers(1, 40, 300)) % 40
    accepted = rng.random(300) < 0.1 * (seed % 3)
    low, high = of_two_people(accepted, first, second).interval()
    alone = wilson_interval(int(accepted.sum()), 300)
    assert low <= alone[0] + 1e-12 and alone[1] - 1e-12 <= high


@pytest.mark.parametrize("kept", [1 << 24, 10])
def test_a_folder_s_pairs_are_counted_as_a_list_s(monkeypatch, kept):
    monkeypatch.setattr(people_interval, "_KEPT", kept)
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(300, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    person = np.unique(rng.integers(0, 70, 300), return_inverse=True)[1]
    first, second = np.triu_indices(300, 1)
    accepted = (vectors @ vectors.T)[first, second] >= 0.8
    same = person[first] == person[second]
    genuine, impostor = of_all_pairs(vectors, person, 0.8)
    assert genuine.interval() == pytest.approx(of_one_person(accepted[same], person[first][same]).interval())
    listed = of_two_people(accepted[~same], person[first][~same], person[second][~same])
    assert impostor.rate == pytest.approx(accepted[~same].mean()) and impostor.largest == listed.largest
    if kept > 10:
        assert impostor.interval() == pytest.approx(listed.interval())
    else:  # who is accepted with whom is not kept: nothing is taken off
        assert impostor.interval()[0] < listed.interval()[0] < listed.interval()[1] < impostor.interval()[1]


def test_no_pairs_have_no_rate():
    none = np.zeros(0, np.int64)
    assert of_two_people(none.astype(bool), none, none).rate is None
    assert of_two_people(none.astype(bool), none, none).interval() == (0.0, 1.0)
    assert of_one_person(none.astype(bool), none).interval() == (0.0, 1.0)


def test_student_s_point_is_that_of_tables():
    assert [student(v) for v in (3, 5, 10, 30, 1e9)] == pytest.approx(
        [3.182, 2.571, 2.228, 2.042, 1.960], abs=4e-3
    )


def test_it_has_the_true_rate_in_it_nearly_as_often_as_it_should():
    rng = np.random.default_rng(0)
    people, photos, far = 40, 4, 0.02
    first, second = np.triu_indices(people * photos, 1)
    a, b = first // photos, second // photos
    use = a != b
    a, b = a[use], b[use]
    threshold, inside, alone = NormalDist().inv_cdf(1 - far), 0, 0
    for _ in range(200):
        own = rng.normal(size=people) * np.sqrt(0.05)
        alike = rng.normal(size=people * people) * np.sqrt(0.2)
        score = own[a] + own[b] + alike[a * people + b] + rng.normal(size=a.size) * np.sqrt(0.7)
        accepted = score >= threshold
        low, high = of_two_people(accepted, a, b).interval()
        inside += low <= far <= high
        low, high = wilson_interval(int(accepted.sum()), a.size)
        alone += low <= far <= high
    assert 184 <= inside <= 200  # of 190
    assert alone < 130
