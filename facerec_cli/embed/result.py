"""What the pipeline gives for a photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces import Face

STATUSES = ("ok", "doubtful", "no_face", "missing", "empty", "unreadable", "too_large")
"""Every status that a row can have. A doubtful face is embedded, and its reason says why not to trust it. All
after the first three are failures of the input."""


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedFace:
    """One face and its embedding.

    Attributes:
        face: Where it is, in pixels of the upright photo at full size; None for a ready crop.
        embedding: (D,) float32 of unit length.
        norm: Length of the raw embedding, which many networks make larger for clearer photos.
        crop: (H, W, 3) uint8 BGR, what the encoder saw; None unless it was asked for.
        doubt: Why the face's place is doubtful, for a person; "" where it is not.
    """

    face: Face | None
    embedding: NDArray[np.float32]
    norm: float
    crop: NDArray[np.uint8] | None = None
    doubt: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PhotoResult:
    """What came of one input.

    Attributes:
        name: The path as the user named it; "photo" for bytes.
        status: One of ``STATUSES``, but for "doubtful": that is said of each face.
        reason: Why it is not ``ok``, for a person; empty when it is.
        faces: The embedded faces, best first.
        width: Of the upright photo in pixels; 0 when it could not be read.
        height: The same.
        rotation: Degrees clockwise by which the photo had to be turned before a face was found.
    """

    name: str
    status: str
    reason: str = ""
    faces: tuple[EmbeddedFace, ...] = ()
    width: int = 0
    height: int = 0
    rotation: int = 0
