"""One detected face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A detected face, in pixels of the upright photo.

    Attributes:
        box: (4,) float32: x1, y1, x2, y2. May reach past the photo's border.
        landmarks: (5, 2) float32, x and y of: left eye, right eye, nose tip, left and right corner of the
            mouth, left and right as seen in the photo.
        score: Confidence of the detector, 0..1.
    """

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    score: float

    @property
    def size(self) -> float:
        """The shorter side of the box in pixels."""
        return float(min(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        width, height = np.maximum(self.box[2:] - self.box[:2], 0)
        return float(width * height)
