"""The nearest of a gallery are those of a full sort, whatever the tiles."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.metrics import all_pairs
from facerec_cli.metrics.search import top_k


def brute_force(gallery: np.ndarray, probes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    scores = probes @ gallery.T
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(scores, rows, axis=1)


@pytest.mark.parametrize("k", [1, 3, 40, 41, 500])
def test_the_highest_of_all_tiles_come_in_order(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_pairs, "ROWS", 7)
    monkeypatch.setattr(all_pairs, "COLUMNS", 41)
    random = np.random.default_rng(k)
    # Whole numbers have many equal scores, and are exact in float32 whatever the order of sums.
    gallery, probes = (random.integers(-2, 3, (n, 6)).astype(np.float32) for n in (200, 30))
    rows, scores = top_k(gallery, probes, k)
    expected_rows, expected_scores = brute_force(gallery, probes, k)
    np.testing.assert_array_equal(rows[:, :200], expected_rows)
    np.testing.assert_array_equal(scores[:, :200], expected_scores)
    assert rows.dtype == np.int64 and scores.dtype == np.float32 and rows.shape == (30, k)
    assert (rows[:, 200:] == -1).all() and (scores[:, 200:] == -np.inf).all()


def test_progress_counts_probes() -> None:
    told: list[tuple[int, int]] = []
    x = np.eye(5, dtype=np.float32)
    rows, scores = top_k(x, x[[3, 1]], 1, progress=lambda done, total: told.append((done, total)))
    assert rows.tolist() == [[3], [1]] and scores.tolist() == [[1.0], [1.0]]
    assert told == [(2, 2)]


def test_an_empty_gallery_finds_nobody_and_no_probe_gives_no_answer() -> None:
    x = np.eye(3, dtype=np.float32)
    for gallery in (x[:0], [], [x[:0], x[:0]]):
        assert top_k(gallery, x, 2)[0].tolist() == [[-1, -1]] * 3
    assert top_k(x, x[:0], 2)[0].shape == (0, 2)


def test_what_cannot_be_searched_is_refused() -> None:
    x = np.eye(3, dtype=np.float32)
    with pytest.raises(InputError, match="3 dimensions, the probes' 2"):
        top_k(x, x[:, :2], 1)
    with pytest.raises(InputError, match="at least 1"):
        top_k(x, x, 0)
