"""From photos and crops to what a network takes: the one place that applies a manifest's preprocessing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.network import Empty


def planes(
    images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    *,
    color: str,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    empty: Empty = np.empty,
) -> NDArray[np.float32]:
    """Images of one size as (N, 3, H, W) float32: (pixel - mean) / std.

    Args:
        images: (H, W, 3) uint8 BGR each.
        color: Order of the channels in the result, "rgb" or "bgr"; mean and std are in this order.
        mean: Subtracted, 0..255 scale.
        std: Divided by.
        empty: Makes the result's array.
    """
    height, width = images[0].shape[:2]
    out: NDArray[np.float32] = empty((len(images), 3, height, width), np.float32)
    for target, image in zip(out, images, strict=True):  # one photo at a time stays in the cache
        np.copyto(target, (image[..., ::-1] if color == "rgb" else image).transpose(2, 0, 1))
    if any(mean):
        out -= np.array(mean, np.float32)[:, None, None]
    if any(value != 1 for value in std):
        out *= (1 / np.array(std, np.float32))[:, None, None]
    return out


def network_input(
    crops: NDArray[np.uint8], spec: Any, empty: Empty = np.empty
) -> NDArray[np.float32] | NDArray[np.uint8]:
    """Crops as the encoder that ``spec`` (an ``EncoderSpec``) describes takes them.

    Args:
        crops: (N, H, W, 3) uint8 BGR.
        spec: The manifest's encoder table.
        empty: Makes the result's array.
    """
    if spec.layout == "nhwc":  # preprocessing is inside the graph
        out: NDArray[np.uint8] = empty(crops.shape, np.uint8)
        np.copyto(out, crops[..., ::-1] if spec.color == "rgb" else crops)
        return out
    return planes(crops, color=spec.color, mean=spec.mean, std=spec.std, empty=empty)
