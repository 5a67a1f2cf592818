"""What scores are worth by all photos of many people: against the true ratio, and within what they carry."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.metrics.impostor_pairs import measure_impostor_tail
from facerec_cli.metrics.likelihood import calibration_of
from facerec_cli.metrics.people_likelihood import measure_likelihood
from facerec_cli.threshold import ImpostorTail, Likelihood


@pytest.fixture(scope="module")
def made() -> tuple[np.ndarray, np.ndarray, ImpostorTail, Likelihood]:
    """400 people with one to three photos, and one with 60."""
    rng = np.random.default_rng(0)
    photos = rng.integers(1, 4, 400)
    photos[0] = 60
    identity = np.repeat(np.arange(400) * 7, photos)  # numbers need not be close
    centres = np.repeat(rng.normal(size=(400, 16)), photos, axis=0)
    vectors = (centres + 0.7 * rng.normal(size=centres.shape)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    tail = measure_impostor_tail(vectors, identity, data="made, no flip", rates=(0.1, 0.01, 0.001))
    return vectors, identity, tail, measure_likelihood(vectors, identity, tail)


def test_ratios_are_those_of_people_who_count_once(made):
    vectors, identity, tail, found = made
    first, second = np.triu_indices(len(identity), 1)
    scores = (vectors @ vectors.T)[first, second]
    photos = np.unique(identity, return_counts=True)[1]
    of = np.repeat(photos, photos)
    same = identity[first] == identity[second]
    weight = np.where(same, 2 / (of[first] * (of[first] - 1.0).clip(1)), 1 / (of[first] * of[second]))
    llr = calibration_of(found).unbounded(scores)
    for low, high in ((0.3, 0.5), (0.5, 0.7)):
        # Whole steps: shares of both classes in steps that lie between two scores.
        kept = [s for s in found.starts if low <= s < high]
        inside = (scores >= kept[0]) & (scores < kept[-1])
        share = [weight[inside & kind].sum() / weight[kind].sum() for kind in (same, ~same)]
        stated = np.exp(llr[inside & ~same])
        assert np.average(stated, weights=weight[inside & ~same]) == pytest.approx(
            share[0] / share[1], rel=0.1
        )
    assert (found.people, found.person_pairs) == (int((photos > 1).sum()), 400 * 399 // 2)
    assert (found.same_pairs, found.different_pairs) == (int(same.sum()), int((~same).sum()))
    assert (found.data, found.flip, found.method) == (tail.data, False, "isotonic")
    assert np.diff(found.steps).min() >= 0.15 and found.cllr >= found.min_cllr > 0


def test_no_ratio_is_stated_beyond_the_tail_or_what_the_people_carry(made):
    vectors, identity, tail, found = made
    assert 0 < found.high <= np.log(1000) + 1e-3  # 1 / the smallest rate of the tail
    assert np.exp(-found.low) <= found.people
    few = identity < 7 * 12
    with pytest.raises(InputError, match="it takes 10"):
        measure_likelihood(vectors[few & (identity > 21)], identity[few & (identity > 21)], tail)
