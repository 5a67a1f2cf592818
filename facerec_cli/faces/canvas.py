"""Putting a photo before a detector: shrunk, in overlapping tiles where it is large, padded to its stride."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from facerec_cli.faces.detectors.candidates import Candidates
from facerec_cli.images.samples import Image

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


@dataclass(frozen=True, slots=True)
class InputSizes:
    """The inputs that a detector is shown.

    Attributes:
        tile: Side in pixels of the tiles in which large photos are searched.
        stride: Sides are padded to multiples of it, see ``Decoder.stride``.
        fixed: (width, height) of a network that takes no other input; tiles have that size, and all else is
            padded to it.
    """

    tile: int
    stride: int = 32
    fixed: tuple[int, int] | None = None

    def fit(self, image: Image, scale: float) -> list[Canvas]:
        """Show a photo at a scale, in one piece or in tiles.

        Args:
            image: (H, W, 3) uint8 BGR.
            scale: At most 1; photos are never enlarged.
        """
        height, width = image.shape[:2]
        size = max(1, round(width * scale)), max(1, round(height * scale))
        if size != (width, height):
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        scales = size[0] / width, size[1] / height
        sides, room = (self.fixed, 1.0) if self.fixed else ((self.tile, self.tile), _ROOM)
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
                pixels = self._pad(image[top:bottom, left:right])
                canvases.append(Canvas(pixels, scales, (left, top), cut))
        return canvases

    def close_up(self, image: Image, side: int) -> Canvas:
        """The photo small, with as much black around it: for faces that fill it and reach past its borders.

        Args:
            image: (H, W, 3) uint8 BGR.
            side: The longer side in pixels that it gets, also where it has fewer.
        """
        if self.fixed:
            side = min(side, min(self.fixed) // 2)
        height, width = image.shape[:2]
        scale = side / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
        margin = side // 2
        scales = size[0] / width, size[1] / height
        return Canvas(self._pad(small, margin), scales, (-margin, -margin))

    def _pad(self, image: Image, margin: int = 0) -> Image:
        """Black to the left and above by ``margin``, to the right and below as far as the input reaches."""
        height, width = image.shape[:2]
        full_width, full_height = self.fixed or (
            -(-(side + 2 * margin) // self.stride) * self.stride for side in (width, height)
        )
        if (full_height, full_width) == (height, width):
            return image
        padded = np.zeros((full_height, full_width, 3), np.uint8)
        padded[margin : margin + height, margin : margin + width] = image
        return padded


def _spans(length: int, side: int, room: float) -> list[tuple[int, int]]:
    """Where tiles begin and end along a side: as few as overlap by ``OVERLAP``, evenly spread."""
    if length <= side * room:
        return [(0, length)]
    overlap = round(side * OVERLAP)
    count = -(-(length - overlap) // (side - overlap))
    starts = [round(i * (length - side) / (count - 1)) for i in range(count)]
    return [(start, start + side) for start in starts]
