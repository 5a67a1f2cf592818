"""Decoded samples of any type and channel count to 8-bit BGR, and averages of squares of pixels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

_STRIP = 1 << 20  # samples that are converted at a time


def shrink(image: Image, reduction: int) -> Image:
    """Average squares of ``reduction`` x ``reduction`` pixels; a rest at the right and below is left out.

    Args:
        image: (H, W, 3) uint8.
        reduction: Any whole number; photos smaller than it are returned as they are.
    """
    height, width = image.shape[0] // reduction, image.shape[1] // reduction
    if reduction == 1 or min(height, width) < 1:
        return image
    whole = image[: height * reduction, : width * reduction]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def as_bgr8(image: NDArray[Any]) -> Image:
    """Bring decoded samples to 8-bit BGR; gray is repeated, alpha and further channels are dropped.

    Args:
        image: (H, W) or (H, W, C) of any integers or floats. Floats carry no stated range: 0..1, 0..255 and
            0..65535 are the ones in use, and the greatest value tells which. What is not finite is black.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: It has two channels or no sample.
    """
    if image.ndim not in (2, 3) or image.size == 0 or (image.ndim == 3 and image.shape[2] == 2):
        raise ValueError(f"samples of shape {image.shape} are no picture")
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] >= 3:
        return np.ascontiguousarray(image[..., :3])
    planes = image[..., None] if image.ndim == 2 else image[..., : 3 if image.shape[2] > 1 else 1]
    out = np.empty((*planes.shape[:2], 3), np.uint8)
    rows = max(1, _STRIP // (planes.shape[1] * planes.shape[2]))
    strips = [slice(start, start + rows) for start in range(0, len(planes), rows)]
    if image.dtype == np.uint8:
        scale = 1.0
    elif np.issubdtype(image.dtype, np.floating):
        top = max(float(_finite(planes[strip]).max()) for strip in strips)
        scale = 255.0 if top <= 1 else 1.0 if top <= 255 else 255 / max(65535.0, top)
    else:
        scale = 255 / float(np.iinfo(image.dtype).max)
    for strip in strips:
        if scale == 1.0 and image.dtype == np.uint8:
            out[strip] = planes[strip]
        else:
            out[strip] = np.clip(_finite(planes[strip]) * scale + 0.5, 0, 255).astype(np.uint8)
    return out


def _finite(values: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # of float64, beyond float32: infinite, and so black
        return np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
