"""What can be seen of a face without a network: size, sharpness, light, and pose from five landmarks.

Each measure costs microseconds. None is a verdict: which of them goes with errors, and from which value
on, has to be measured (``metrics/discard.py``).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.align import TEMPLATES
from facerec_cli.faces.face import Face
from facerec_cli.images.samples import Image

_DARK, _BRIGHT = 5, 250
"""Gray values up to which, and from which on, a pixel counts as clipped."""


_LEVELS = np.arange(256)


def _nose_at(points: NDArray[np.floating]) -> float:
    """Where the nose lies on the way from the eyes (0) to the mouth (1)."""
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    down = mouth - eyes
    return float((points[2] - eyes) @ down / (down @ down))


_FRONTAL = _nose_at(TEMPLATES["arcface"])


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """Measures of one face; NaN where one is not known, as size and pose of a ready crop are not.

    With e the middle between the eyes, m that between the corners of the mouth, n the tip of the nose, all in
    pixels of the upright photo at full size, d = m - e, and gray levels of the middle of the aligned crop
    (columns W/4 to 3W/4, rows 3H/8 to 7H/8: from above the eyes to below the mouth, without background):

    Attributes:
        size: The shorter side of the box, in pixels of the upright photo at full size.
        sharpness: Standard deviation of the Laplacian (the four neighbors minus four times the pixel) over
            that of the gray levels, 0 to 8: free of light and contrast, low for blur and for crops that were
            enlarged. 0 where all pixels are alike. After J. L. Pech-Pacheco et al., ICPR 2000.
        brightness: Mean gray level, 0 to 255.
        contrast: Standard deviation of the gray levels, 0 to 127.5.
        clipped: Share of pixels with a gray level of at most 5 or at least 250, 0 to 1.
        yaw: How far n lies beside the line from e to m, in lengths of d: 0 from the front, positive where the
            nose points to the right of the photo. About proportional to the sine of the angle.
        pitch: Where n lies on the way from e (0) to m (1), less 0.49496, where the alignment template has it:
            positive where the face looks down.
        roll: Degrees by which d is turned clockwise from straight down, -180 to 180.
    """

    size: float = math.nan
    sharpness: float = math.nan
    brightness: float = math.nan
    contrast: float = math.nan
    clipped: float = math.nan
    yaw: float = math.nan
    pitch: float = math.nan
    roll: float = math.nan


NO_QUALITY = FaceQuality()
"""Nothing is known."""


def measure(crop: Image, face: Face | None) -> FaceQuality:
    """Measure a face.

    Args:
        crop: (H, W, 3) uint8 BGR, the aligned face as the encoder sees it, not mirrored; 16 pixels or more a
            side.
        face: Where it is in the upright photo at full size; None where nobody knows, as of ready crops. A box
            of NaN leaves the size out.
    """
    height, width = crop.shape[:2]
    top, bottom, left, right = 3 * height // 8, 7 * height // 8, width // 4, 3 * width // 4
    around = cv2.cvtColor(crop[top - 1 : bottom + 1, left - 1 : right + 1], cv2.COLOR_BGR2GRAY)
    gray = around[1:-1, 1:-1]
    laplacian = cv2.Laplacian(around, cv2.CV_16S, ksize=1)[1:-1, 1:-1]
    counts = cv2.calcHist([gray], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    total, squares = int(counts @ _LEVELS), int(counts @ _LEVELS**2)  # exact: a plain crop has none
    deviation = math.sqrt(gray.size * squares - total * total) / gray.size
    edges = float(cv2.meanStdDev(laplacian)[1][0, 0])
    clipped = float(counts[: _DARK + 1].sum() + counts[_BRIGHT:].sum()) / gray.size
    sharpness = edges / deviation if deviation > 0 else 0.0
    size, yaw, pitch, roll = (math.nan,) * 4 if face is None else (face.size, *pose(face.landmarks))
    return FaceQuality(size, sharpness, total / gray.size, deviation, clipped, yaw, pitch, roll)


def pose(landmarks: NDArray[np.floating]) -> tuple[float, float, float]:
    """Yaw, pitch and roll of :class:`FaceQuality`; NaN where eyes and mouth are at one point.

    Args:
        landmarks: (5, 2) x, y of eyes, nose and corners of the mouth, left as seen, in pixels.
    """
    points = np.asarray(landmarks, np.float64)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    (x, y), (a, b) = (mouth - eyes).tolist(), (points[2] - eyes).tolist()
    length = x * x + y * y
    if not length > 0:
        return math.nan, math.nan, math.nan
    beside, along = (a * y - b * x) / length, (a * x + b * y) / length
    return beside, along - _FRONTAL, math.degrees(math.atan2(-x, y))


def measures_of(norm: float, face: Face | None, quality: FaceQuality) -> dict[str, float]:
    """All of ``quality_limits.MEASURES`` of a face by name; NaN where one is not known."""
    return {"norm": norm, "score": math.nan if face is None else float(face.score), **asdict(quality)}
