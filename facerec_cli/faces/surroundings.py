"""The part of a photo around a face, as people want to see it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facerec_cli.images.samples import Image


def around(image: Image, box: Sequence[float], more: float) -> Image:
    """A square around a box, as far as the photo goes; the photo where the box is not in it.

    Args:
        image: (H, W, 3) uint8 BGR.
        box: x1, y1, x2, y2 in its pixels.
        more: What is shown around the box on each side, as a share of its longer side.
    """
    left, top, right, bottom = box
    half = max(right - left, bottom - top, 1.0) * (0.5 + more)
    x, y = (left + right) / 2, (top + bottom) / 2
    height, width = image.shape[:2]
    x0, x1 = (int(np.clip(x + side, 0, width)) for side in (-half, half))
    y0, y1 = (int(np.clip(y + side, 0, height)) for side in (-half, half))
    part = image[y0:y1, x0:x1]
    return part if part.size else image
