"""Putting a photo before a detector: shrunk, in overlapping tiles where it is large, padded to its grid."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.detectors.candidates import Candidates

Image = NDArray[np.uint8]

GRID = 32  # the detectors' coarsest stride; inputs are padded to multiples of it
OVERLAP = 0.25  # of a tile with the next one: a face up to this size is whole in one of them
_ROOM = 1.25  # a photo of up to this many tiles' sides is searched in one piece


@dataclass(frozen=True, slots=True)
class Canvas:
    """What a detector is shown, and where that is in the photo: photo = (input + origin) / scale.

    Attributes:
        pixels: (H, W, 3) uint8 BGR.
        scale: (x, y): pixels of the canvas for one pixel of the photo.
        origin: (x, y) in pixels of the canvas at this scale; negative where there is a margin.
        cut: (x1, y1, x2, y2) in pixels of the canvas: where a tile ends and the photo goes on; infinite at
            the photo's own borders.
    """

    pixels: Image
    scale: tuple[float, float]
    origin: tuple[int, int] = (0, 0)
    cut: tuple[float, float, float, float] = (-np.inf, -np.inf, np.inf, np.inf)

    def in_photo(self, proposed: Candidates) -> Candidates:
        """Proposals in pixels of the photo, without those that a tile's edge cuts: the next tile has them."""
        whole = (proposed.boxes[:, :2] >= self.cut[:2]).all(1) & (proposed.boxes[:, 2:] <= self.cut[2:]).all(
            1
        )
        proposed = proposed.take(np.flatnonzero(whole))
        scale, origin = np.array(self.scale, np.float32), np.array(self.origin, np.float32)
        boxes = (proposed.boxes.reshape(-1, 2, 2) + origin) / scale
        proposed = proposed._replace(
            boxes=boxes.reshape(-1, 4), landmarks=(proposed.landmarks + origin) / scale
        )
        return proposed.take(np.flatnonzero(np.isfinite(proposed.boxes).all(axis=1)))


def fit(image: Image, scale: float, *, tile: int, fixed: tuple[int, int] | None = None) -> list[Canvas]:
    """Show a photo at a scale, in one piece or in tiles.

    Args:
        image: (H, W, 3) uint8 BGR.
        scale: At most 1; photos are never enlarged.
        tile: Side of a tile in pixels.
        fixed: (width, height) of a network that takes no other input; tiles have that size.
    """
    height, width = image.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size != (width, height):
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    scales = size[0] / width, size[1] / height
    sides, room = (fixed, 1.0) if fixed else ((tile, tile), _ROOM)
    columns, rows = (_spans(length, side, room) for length, side in zip(size, sides, strict=True))
    canvases = []
    for top, bottom in rows:
        for left, right in columns:
            cut = (
                0 if left else -np.inf,
                0 if top else -np.inf,
                right - left if right < size[0] else np.inf,
                bottom - top if bottom < size[1] else np.inf,
            )
            pixels = _pad(image[top:bottom, left:right], 0, fixed)
            canvases.append(Canvas(pixels, scales, (left, top), cut))
    return canvases


def close_up(image: Image, side: int, *, fixed: tuple[int, int] | None = None) -> Canvas:
    """The photo small, with as much black around it: for faces that fill it and reach past its borders.

    Args:
        image: (H, W, 3) uint8 BGR.
        side: The longer side in pixels that it gets, also where it has fewer.
        fixed: As for :func:`fit`.
    """
    if fixed:
        side = min(side, min(fixed) // 2)
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
    margin = side // 2
    return Canvas(_pad(small, margin, fixed), (size[0] / width, size[1] / height), (-margin, -margin))


def _spans(length: int, side: int, room: float) -> list[tuple[int, int]]:
    """Where tiles begin and end along a side: as few as overlap by ``OVERLAP``, evenly spread."""
    if length <= side * room:
        return [(0, length)]
    overlap = round(side * OVERLAP)
    count = -(-(length - overlap) // (side - overlap))
    starts = [round(i * (length - side) / (count - 1)) for i in range(count)]
    return [(start, start + side) for start in starts]


def _pad(image: Image, margin: int, fixed: tuple[int, int] | None) -> Image:
    height, width = image.shape[:2]
    if fixed:
        full_width, full_height = fixed
    else:
        full_width = -(-(width + 2 * margin) // GRID) * GRID
        full_height = -(-(height + 2 * margin) // GRID) * GRID
    if (full_height, full_width) == (height, width):
        return image
    canvas = np.zeros((full_height, full_width, 3), np.uint8)
    canvas[margin : margin + height, margin : margin + width] = image
    return canvas
