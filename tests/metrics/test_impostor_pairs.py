"""An impostor tail measured: against brute force over all pairs of photos."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.metrics.impostor_pairs import measure_impostor_tail, variation


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """60 people with 1 to 7 photos."""
    random = np.random.default_rng(0)
    identity = np.repeat(np.arange(60), random.integers(1, 8, 60))
    person = random.normal(size=(60, 16))
    vectors = person[identity] + random.normal(size=(identity.size, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = random.permutation(identity.size)
    return vectors[order].astype(np.float32), identity[order] * 7 + 3


def test_it_is_that_of_all_pairs_each_two_people_counting_once(drawn):
    vectors, identity = drawn
    tail = measure_impostor_tail(vectors, identity, data="drawn", flip=True)
    photos = {person: (identity == person).sum() for person in set(identity.tolist())}
    scores, weights = [], []
    for a in range(len(identity)):
        for b in range(a + 1, len(identity)):
            if identity[a] != identity[b]:
                scores.append(float(vectors[a].astype(np.float64) @ vectors[b]))
                weights.append(1 / (photos[identity[a]] * photos[identity[b]]))
    every, weight = np.array(scores), np.array(weights)
    assert tail.people == 60 and tail.pairs == 1770 == round(weight.sum())
    assert tail.mean == pytest.approx(np.average(every, weights=weight), abs=1e-4)
    spread = np.sqrt(np.average((every - np.average(every, weights=weight)) ** 2, weights=weight))
    assert tail.deviation == pytest.approx(spread, abs=1e-4)
    assert tail.rates == (0.1, 0.01), "0.001 takes 3,000 pairs"
    for rate, score in zip(tail.rates, tail.scores, strict=True):
        assert weight[every >= score].sum() <= rate * 1770
        assert weight[every >= score - 2e-5].sum() >= rate * 1770 - 1
    assert tail.flip and tail.data == "drawn"


def test_the_mean_of_two_photos_of_one_person(drawn):
    vectors, identity = drawn
    means = []
    for person in set(identity.tolist()):
        rows = vectors[identity == person].astype(np.float64)
        if len(rows) > 1:
            means.append(((rows @ rows.T).sum() - len(rows)) / (len(rows) * (len(rows) - 1)))
    tail = measure_impostor_tail(vectors, identity, data="drawn")
    assert tail.genuine_mean == pytest.approx(float(np.mean(means)), abs=1e-3)
    alone = np.unique(identity, return_index=True)[1]
    assert measure_impostor_tail(vectors[alone], identity[alone], data="drawn").genuine_mean is None


def test_people_who_are_taken_for_many_others_are_told_by_the_variation():
    random = np.random.default_rng(1)
    even = random.normal(size=(1500, 64)).astype(np.float32)
    even /= np.linalg.norm(even, axis=1, keepdims=True)
    uneven = random.normal(size=(1500, 64)).astype(np.float32)
    uneven[:, 0] += random.gamma(1.0, 2.5, 1500)
    uneven /= np.linalg.norm(uneven, axis=1, keepdims=True)
    assert variation(even, 0.3) < 0.1
    assert variation(uneven, 0.55) > 0.5


def test_too_few_people_are_refused(drawn):
    vectors, identity = drawn
    few = np.isin(identity, np.unique(identity)[:5])
    with pytest.raises(InputError, match="5 people make too few pairs"):
        measure_impostor_tail(vectors[few], identity[few], data="drawn")
