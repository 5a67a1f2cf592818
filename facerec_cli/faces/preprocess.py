"""From photos and crops to what a network takes: the one place that applies a manifest's preprocessing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.runtime.session import Empty
from facerec_cli.packs.manifest import EncoderSpec
from facerec_cli.packs.onnx_encoder import whole_shift


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
    crops: NDArray[np.uint8], spec: EncoderSpec, empty: Empty = np.empty, *, dtype: str | None = None
) -> NDArray[Any]:
    """Crops as the encoder that ``spec`` describes takes them.

    Floats are (pixel - mean) / std, computed in float32. Whole numbers are pixels: what scales them is inside
    the graph, and only a shift by whole numbers can be applied here.

    Args:
        crops: (N, H, W, 3) uint8 BGR.
        spec: The manifest's encoder table.
        empty: Makes the result's array.
        dtype: Of the network's input; None takes float32 for channels first and uint8 for channels last,
            as ``facerec export`` writes them.

    Returns:
        (N, 3, H, W) or, for layout "nhwc", (N, H, W, 3) of ``dtype``.
    """
    last = spec.layout == "nhwc"
    number = np.dtype(dtype or (np.uint8 if last else np.float32))
    if number == np.float32 and not last:
        return planes(crops, color=spec.color, mean=spec.mean, std=spec.std, empty=empty)
    ordered: NDArray[Any] = crops[..., ::-1] if spec.color == "rgb" else crops
    if not last:
        ordered = ordered.transpose(0, 3, 1, 2)
    out: NDArray[Any] = empty(ordered.shape, number)
    if number.kind in "iu":
        shift = np.array(whole_shift(spec, number), np.int64)
        shifted: NDArray[Any] = ordered if last else ordered.transpose(0, 2, 3, 1)
        shifted = shifted if not shift.any() else shifted - shift
        np.copyto(out, shifted if last else shifted.transpose(0, 3, 1, 2), casting="unsafe")
        return out
    scaled = planes(crops, color=spec.color, mean=spec.mean, std=spec.std)
    np.copyto(out, scaled.transpose(0, 2, 3, 1) if last else scaled, casting="same_kind")
    return out
