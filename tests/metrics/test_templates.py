"""The template of a person: the mean of unit vectors, whoever else is made at the same time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from facerec_cli.metrics import templates
from facerec_cli.metrics.templates import mean_templates


def _units(rows: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, 8))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("at_once", [1, 3, 65_536])
def test_each_is_the_mean_of_its_rows(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(templates, "_AT_ONCE", at_once)
    units, starts = _units(10), np.array([0, 1, 4, 6, 10])
    made = mean_templates(units, starts)
    for i, (a, b) in enumerate(pairwise(starts)):
        mean = units[a:b].astype(np.float64).mean(axis=0)
        assert np.abs(made[i] - mean / np.linalg.norm(mean)).max() < 1e-7
    assert made.dtype == np.float32
    assert (made[0] == units[0]).all(), "one photo is its own template, to the bit"


def test_vectors_that_cancel_out_leave_the_first() -> None:
    one, other = _units(2)
    made = mean_templates(np.array([one, -one, other, other]), np.array([0, 2, 4]))
    assert (made[0] == one).all()
    assert np.abs(made[1] - other).max() < 1e-7
