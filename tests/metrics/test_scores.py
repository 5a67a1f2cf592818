"""Cosines of listed pairs, and what a distribution knows without having sorted everything."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec_cli.metrics.scores import Binning, Distribution, moments, score_pairs, unit_vectors


def test_scores_are_cosines_whatever_the_norms():
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(300, 24)) * random.uniform(0.1, 50, (300, 1))).astype(np.float32)
    vectors[7] = 0  # without an embedding
    first, second = random.integers(0, 300, (2, 40_000))
    told = []
    scores = score_pairs(
        vectors,
        SimpleNamespace(first=first, second=second),
        progress=lambda done, total=None: told.append((done, total)),
    )
    wide = vectors.astype(np.float64)
    norms = np.maximum(np.linalg.norm(wide, axis=1), 1e-300)
    expected = np.einsum("pd,pd->p", wide[first], wide[second]) / norms[first] / norms[second]
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert (scores[(first == 7) | (second == 7)] == 0).all()
    assert told[-1] == (40_000, 40_000)


def test_unit_vectors_are_left_as_they_are():
    vectors = np.random.default_rng(1).normal(size=(50, 512)).astype(np.float32)
    units = unit_vectors(vectors)
    np.testing.assert_allclose(np.linalg.norm(units, axis=1), 1, atol=1e-6)
    assert unit_vectors(units) is units
    units[3] = 0
    assert unit_vectors(units) is units
    units[4] *= 1.001
    assert np.linalg.norm(unit_vectors(units)[4]) == pytest.approx(1, abs=1e-6)


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=80), st.sampled_from([1, 3, 40, 65536]))
@settings(max_examples=60, deadline=None)
def test_counts_and_ranks_equal_those_of_sorted_scores(values, bins):
    scores = np.array(values, np.float32) / 20
    binning = Binning(-1.0, 1.0, bins)
    index = binning.index(scores)
    histogram = binning.histogram(index)
    opened = np.zeros(bins, bool)
    opened[index[: 1 + len(index) // 2]] = True  # some scores are known by their bin alone
    known = scores[opened[index]]
    spread = Distribution(binning, histogram, opened, known, moments(scores))
    assert spread.size == scores.size
    assert spread.at_least(known).tolist() == [(scores >= s).sum() for s in known]
    assert spread.above(known).tolist() == [(scores > s).sum() for s in known]
    descending = np.sort(scores)[::-1]
    for k in range(scores.size):
        if opened[binning.index(descending[k : k + 1])[0]]:
            assert spread.largest(k) == descending[k]
    assert (spread.mean, spread.variance) == moments(scores)


def test_moments_by_hand():
    assert moments(np.array([1.0, 2.0, 6.0])) == (3.0, 7.0)
    assert moments(np.array([0.25], np.float32)) == (0.25, 0.0)
    assert moments(np.zeros(0, np.float32)) == (0.0, 0.0)
    scores = np.random.default_rng(2).normal(3, 0.1, 200_000).astype(np.float32)  # more than one block
    mean, variance = moments(scores)
    assert mean == pytest.approx(scores.astype(np.float64).mean(), rel=1e-12)
    assert variance == pytest.approx(scores.astype(np.float64).var(ddof=1), rel=1e-9)
