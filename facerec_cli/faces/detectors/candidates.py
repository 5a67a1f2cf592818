"""What a detector's network proposes for a batch of photos, and the choice among overlapping proposals."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_OPENCV_ABOVE = 1000  # proposals; NumPy takes a step for every face that stays


class Candidates(NamedTuple):
    """Proposals of one run, all photos of the batch together, in pixels of the network's input.

    Attributes:
        photo: (K,) int64: row of the batch.
        boxes: (K, 4) float32: x1, y1, x2, y2.
        landmarks: (K, 5, 2) float32, NaN where the network gives none.
        scores: (K,) float32, 0..1.
    """

    photo: NDArray[np.int64]
    boxes: Floats
    landmarks: Floats
    scores: Floats

    def take(self, rows: NDArray[np.int64]) -> Candidates:
        """The proposals of ``rows``: indices."""
        return Candidates(self.photo[rows], self.boxes[rows], self.landmarks[rows], self.scores[rows])


def concatenate(parts: list[Candidates]) -> Candidates:
    """Several sets of proposals as one."""
    return Candidates(
        np.concatenate([part.photo for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.landmarks for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def non_maximum_suppression(proposed: Candidates, *, iou: float, offset: float = 0.0) -> NDArray[np.int64]:
    """Keep the best of the proposals that overlap, greedily, within one photo.

    Args:
        proposed: Proposals of one photo.
        iou: A box is dropped when it overlaps a better one by more than this (intersection over union).
        offset: 1 where a box's last pixel belongs to it (width is x2 - x1 + 1), as in SCRFD's own program.

    Returns:
        Rows that stay, best score first; equal scores in the network's order.
    """
    if len(proposed.scores) > _OPENCV_ABOVE:
        sizes = proposed.boxes[:, 2:] - proposed.boxes[:, :2] + offset
        rects = np.concatenate([proposed.boxes[:, :2], sizes], axis=1).astype(np.float64)
        return np.asarray(
            cv2.dnn.NMSBoxes(rects.tolist(), proposed.scores.tolist(), 0.0, iou), np.int64
        ).ravel()
    order = np.argsort(-proposed.scores, kind="stable")
    low, high = proposed.boxes[:, :2], proposed.boxes[:, 2:]
    area = np.prod(high - low + offset, axis=1)
    staying: list[np.int64] = []
    while order.size:
        top, order = order[0], order[1:]
        staying.append(top)
        shared = np.minimum(high[top], high[order]) - np.maximum(low[top], low[order]) + offset
        intersection = np.prod(np.maximum(shared, 0), axis=1)
        union = area[top] + area[order] - intersection
        order = order[intersection <= iou * union]
    return np.array(staying, np.int64)
