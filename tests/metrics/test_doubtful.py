"""Two people who look like one are found as by comparing everybody with everybody."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.metrics import all_pairs, doubtful
from facerec_cli.metrics.doubtful import doubtful_people


def plain(units: np.ndarray, people: np.ndarray, bound: float) -> list[tuple[float, int, int]]:
    best: dict[tuple[int, int], float] = {}
    for a in range(len(units)):
        for b in range(len(units)):
            if people[a] < people[b]:
                pair = (int(people[a]), int(people[b]))
                best[pair] = max(best.get(pair, -2.0), float(units[a] @ units[b]))
    return sorted(((s, *pair) for pair, s in best.items() if s >= bound), reverse=True)


@pytest.mark.parametrize("limit", [1000, 7, 1])
def test_pairs_are_those_of_everybody_with_everybody(limit, monkeypatch):
    monkeypatch.setattr(all_pairs, "ROWS", 16)
    monkeypatch.setattr(all_pairs, "COLUMNS", 32)
    monkeypatch.setattr(doubtful, "_AT_ONCE", 5)
    random = np.random.default_rng(0)
    vectors = random.normal(size=(120, 6)).astype(np.float32)
    people, failed = random.integers(0, 40, 120) * 3, random.random(120) < 0.1
    found = doubtful_people(vectors, people, 0.8, failed=failed, limit=limit)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = plain(units[~failed], people[~failed], 0.8)[:limit]
    assert len(expected) == min(limit, len(plain(units[~failed], people[~failed], 0.8))) > 0
    assert [(pair.first, pair.second) for pair in found] == [(a, b) for _, a, b in expected]
    np.testing.assert_allclose([pair.score for pair in found], [s for s, *_ in expected], atol=1e-6)
    for pair in found:
        assert (people[pair.rows[0]], people[pair.rows[1]]) == (pair.first, pair.second)
        assert float(units[pair.rows[0]] @ units[pair.rows[1]]) == pytest.approx(pair.score, abs=1e-6)
        assert not failed[list(pair.rows)].any()


def test_a_model_that_gives_everybody_one_vector_is_bounded():
    vectors = np.ones((700, 8), np.float32)
    found = doubtful_people(vectors, np.arange(700), 0.9, limit=10)
    assert len(found) == 10 and {pair.first for pair in found} == {0}


def test_nobody_is_doubted_below_the_bound():
    assert doubtful_people(np.eye(5, dtype=np.float32), np.arange(5), 0.1) == ()
    assert doubtful_people(np.ones((5, 3), np.float32), np.zeros(5, np.int64), 0.1) == ()
