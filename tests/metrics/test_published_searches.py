"""The published rule of 2018 by numbers worked out by hand, and against the whole matrix."""

from __future__ import annotations

import math

import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.metrics import published_searches, searches
from facerec_cli.metrics.identification import evaluate_identification
from facerec_cli.metrics.published_searches import evaluate_ijb_2018


def test_numbers_by_hand():
    """Two people along the axes, four probes between them: the scores can be read off.

    Scores with the mate: 1, 0.8, 0.6, 0.28; with the other: 0, 0.6, 0.8, 0.96. FAR 0.25 is one score of four:
    0.96, above which lies 1 alone. FAR 0.3 is ceil(1.2) = 2: 0.8, which is not above itself. FAR 1: all.
    """
    gallery = np.eye(2, dtype=np.float32)
    probes = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0.28, 0.96]], np.float32)
    found = evaluate_ijb_2018(gallery, [7, 9], probes, [7] * 4, fars=(0.25, 0.3, 0.75, 1.0))
    assert [point.tpir for point in found] == [0.25, 0.25, 0.5, 1.0]
    assert [point.threshold for point in found] == pytest.approx([0.96, 0.8, 0.6, 0.0], abs=1e-6)
    missed = evaluate_ijb_2018(
        gallery, [7, 9], probes, [7] * 4, fars=(0.25,), failed_probes=[True, False, False, False]
    )
    assert missed[0].tpir == 0.0  # the search that was accepted has no score, and the others stay below 0.96


@pytest.mark.parametrize("tile", [(512, 2048), (64, 64)])
def test_it_is_what_the_whole_matrix_gives(tile, monkeypatch):
    for module in (searches, published_searches):
        monkeypatch.setattr(module, "ROWS", tile[0])
        monkeypatch.setattr(module, "COLUMNS", tile[1])
    random = np.random.default_rng(0)
    gallery = random.normal(size=(300, 24)).astype(np.float32)
    identity = random.integers(0, 300, 500)
    probes = gallery[identity] + random.normal(size=(500, 24)).astype(np.float32)
    people = np.arange(300)
    found = evaluate_ijb_2018(gallery, people, probes, identity, fars=(0.01, 0.1))
    units = [(x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float64) for x in (probes, gallery)]
    matrix = units[0] @ units[1].T
    mates = matrix[np.arange(500), identity]
    others = np.sort(matrix[identity[:, None] != people])[::-1]
    for point, far in zip(found, (0.01, 0.1), strict=True):
        threshold = others[math.ceil(500 * far) - 1]
        assert point.threshold == pytest.approx(threshold, abs=1e-6)
        assert point.tpir == pytest.approx((mates > threshold).mean(), abs=1e-12)


def test_it_is_not_tpir_at_fpir():
    """The best other of every search is accepted, and the rule still speaks of a rate of 1 %."""
    random = np.random.default_rng(1)
    gallery = random.normal(size=(400, 16)).astype(np.float32)
    probes = gallery + 1.2 * random.normal(size=(400, 16)).astype(np.float32)
    (wrong,) = evaluate_ijb_2018(gallery, np.arange(400), probes, np.arange(400), fars=(0.1,))
    half = np.arange(200)
    right = evaluate_identification(gallery[half], half, probes, np.arange(400), fpirs=(0.1,)).point(0.1)
    assert right.accepted_non_mated == 20
    assert wrong.tpir != pytest.approx(right.tpir, abs=0.01)


def test_a_stranger_among_the_probes_is_refused():
    x = np.eye(3, dtype=np.float32)
    with pytest.raises(InputError, match="1 probes show somebody who is not enrolled"):
        evaluate_ijb_2018(x[:2], [0, 1], x, [0, 1, 2])
    with pytest.raises(InputError, match="asks for 4 scores with other people; there are 2"):
        evaluate_ijb_2018(x[:2], [0, 1], x[:2], [0, 1], fars=(2.0,))
