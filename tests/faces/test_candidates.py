"""The choice among overlapping proposals, few and many."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.faces.detectors import candidates
from facerec_cli.faces.detectors.candidates import Candidates, non_maximum_suppression


def proposals(count: int) -> Candidates:
    rng = np.random.default_rng(count)
    corner, side = rng.uniform(0, 40 * np.sqrt(count), (count, 2)), rng.uniform(15, 60, (count, 1))
    boxes = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
    scores = rng.uniform(0.3, 1, count).astype(np.float32)
    return Candidates(np.zeros(count, np.int64), boxes, np.zeros((count, 5, 2), np.float32), scores)


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_a_crowd_is_chosen_from_as_a_few_are(monkeypatch: pytest.MonkeyPatch, offset: float) -> None:
    crowd = proposals(1500)
    by_opencv = non_maximum_suppression(crowd, iou=0.3, offset=offset)
    monkeypatch.setattr(candidates, "_OPENCV_ABOVE", len(crowd.scores))
    np.testing.assert_array_equal(by_opencv, non_maximum_suppression(crowd, iou=0.3, offset=offset))
    assert 500 < len(by_opencv) < 1500


def test_the_better_of_two_that_overlap_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10]], np.float32)
    found = Candidates(
        np.zeros(3, np.int64), boxes, np.zeros((3, 5, 2), np.float32), np.array([0.7, 0.9, 0.8], np.float32)
    )
    assert non_maximum_suppression(found, iou=0.3).tolist() == [1, 2]
    assert non_maximum_suppression(found, iou=0.9).tolist() == [1, 2, 0]
