"""Cutting faces out of photos: five landmarks onto a template, by a similarity transform."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError, ModelError
from facerec_cli.suggest import guess_or_list

# Points of the aligned crop in the order of ``Face.landmarks``, for a crop of 112 x 112 pixels.
TEMPLATES: Mapping[str, NDArray[np.float64]] = {
    "arcface": np.array(
        [
            [38.2946, 51.6963],
            [73.5318, 51.5014],
            [56.0252, 71.7366],
            [41.5493, 92.3655],
            [70.7299, 92.2041],
        ]
    ),
}


def template(name: str, size: tuple[int, int]) -> NDArray[np.float64]:
    """The (5, 2) landmark positions of a crop.

    Args:
        name: A key of ``TEMPLATES``.
        size: (width, height) of the crop. Squares of a multiple of 112 scale the template; squares of a
            multiple of 128 scale it by 1/128 with a margin of 8/128 to the left; 96 x 112 is the 112 crop
            without 8 columns at each side. These are the conventions of published models.

    Raises:
        ModelError: Unknown name, or a size for which no convention exists.
    """
    if name not in TEMPLATES:
        raise ModelError(
            f"There is no alignment template {name!r}.",
            hint=guess_or_list(name, TEMPLATES),
        )
    points, (width, height) = TEMPLATES[name], size
    if (width, height) == (96, 112):
        return np.subtract(points, [8.0, 0.0])
    if width == height and width > 0:
        if width % 112 == 0:
            return points * (width / 112)
        if width % 128 == 0:
            return np.add(points, [8.0, 0.0]) * (width / 128)
    raise ModelError(
        f"No convention says where the landmarks lie in a crop of {width} x {height} pixels, so faces cannot "
        "be cut out for such a network as they were for its training.",
        hint="Squares of a multiple of 112 or 128 pixels, and 96 x 112, have a convention.",
    )


def similarity(landmarks: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """The similarity transforms that bring landmarks closest to a template.

    Least squares over rotation, one scale and shift. This is S. Umeyama's solution (TPAMI 1991), which in
    the plane is a linear regression of complex numbers: with x and y the centered points, the rotation and
    scale are the one number sum(conj(x)·y) / sum(|x|²).

    Args:
        landmarks: (..., K, 2) points in the photo.
        target: (K, 2) points in the crop.

    Returns:
        (..., 2, 3) float64 matrices that map photo to crop.

    Raises:
        InputError: All landmarks of a face are at one point, or not numbers.
    """
    source = np.asarray(landmarks, np.float64)
    goal = np.asarray(target, np.float64)
    source_mean, goal_mean = source.mean(axis=-2), goal.mean(axis=-2)
    x, y = source - source_mean[..., None, :], goal - goal_mean
    spread = (x**2).sum(axis=(-2, -1))
    if not (np.isfinite(spread) & (spread > 0)).all():
        raise InputError(
            "A face cannot be aligned: its landmarks are missing or all at one point.",
            hint="Give five landmarks (x, y) that are not at one point.",
        )
    real = (x * y).sum(axis=(-2, -1)) / spread
    imaginary = (x[..., 0] * y[..., 1] - x[..., 1] * y[..., 0]).sum(axis=-1) / spread
    turn = np.stack([np.stack([real, -imaginary], -1), np.stack([imaginary, real], -1)], -2)
    shift = goal_mean - (turn @ source_mean[..., None])[..., 0]
    return np.concatenate([turn, shift[..., None]], axis=-1)


DOUBT = 20 / 112
"""The distance between landmarks and template, as root mean square and part of the crop's side, from which
the points are not taken for a face's. Of 300 faces of UMIST (up to profile) and 480 of LFW none is there."""


def doubt(landmarks: NDArray[np.floating], box: NDArray[np.floating], target: NDArray[np.floating]) -> str:
    """Why five points can hardly be those of the face in a box; "" where nothing speaks against it.

    Args:
        landmarks: (5, 2) points in the photo.
        box: (4,) x1, y1, x2, y2 in the photo.
        target: (5, 2) points in the crop.

    Raises:
        InputError: All landmarks are at one point, or not numbers.
    """
    matrix = similarity(landmarks, target)
    placed = landmarks @ matrix[:, :2].T + matrix[:, 2]
    side = 112 * (target[1, 0] - target[0, 0]) / (TEMPLATES["arcface"][1, 0] - TEMPLATES["arcface"][0, 0])
    if np.sqrt(((placed - target) ** 2).sum(axis=1).mean()) > DOUBT * side:
        return "its landmarks do not have the form of a face"
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    if (np.abs(landmarks.mean(axis=0) - middle) > half).any():
        return "its landmarks lie outside its box"
    return ""


def warp(image: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Cut one crop: bilinear, black outside the photo.

    Args:
        image: (H, W, 3) uint8.
        matrix: (2, 3) photo to crop.
        size: (width, height) of the crop.
    """
    return np.asarray(cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)
