"""What decides the embeddings of a photo, and what makes them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from facerec_cli.errors import UsageError
from facerec_cli.faces.settings import DEFAULT_MAX_SIDE
from facerec_cli.images.memory import MAX_PIXELS
from facerec_cli.registry import unknown_name

FacePolicy = Literal["all", "main", "center", "largest"]
RotatePolicy = Literal["none", "auto"]


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """What decides the embeddings of a photo, besides the model.

    Attributes:
        faces: Which faces of a photo are embedded: all, or one, by a rule of ``faces.choice``.
        min_score: Threshold on the detection score, 0..1; None takes the pack's.
        min_size: Faces whose box's shorter side is below this many pixels of the photo are left out.
        max_side: Photos with a longer side are searched at a reduced scale of this many pixels first; see
            ``FaceModel.detect``.
        rotate: "auto" searches a photo without a face, or with none whose score reaches 0.9, again, turned by
            90, 180 and 270 degrees, and takes the turn whose best face has the highest score.
        aligned: The photos are face crops already: no detection, they are only brought to the pack's size.
        flip: Add the embedding of the mirrored crop before the length is made 1.
        batch_size: Photos that are worked on together, and crops per run of the network.
        max_pixels: Photos with more pixels are refused before they are decoded.

    Raises:
        UsageError: A value is out of range.
    """

    faces: FacePolicy = "all"
    min_score: float | None = None
    min_size: float = 0
    max_side: int = DEFAULT_MAX_SIDE
    rotate: RotatePolicy = "auto"
    aligned: bool = False
    flip: bool = False
    batch_size: int = 16
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if self.faces not in get_args(FacePolicy):
            raise unknown_name(self.faces, get_args(FacePolicy), "choice of --faces")
        if self.rotate not in get_args(RotatePolicy):
            raise unknown_name(self.rotate, get_args(RotatePolicy), "choice of --rotate")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise UsageError(f"--min-score {self.min_score} is not between 0 and 1.")
        if self.max_side < 32:
            raise UsageError(f"--max-side {self.max_side} is below 32 pixels.")
        if not 1 <= self.batch_size <= 1024:
            raise UsageError(f"--batch-size {self.batch_size} is not between 1 and 1024.")
        if not 0 <= self.min_size < math.inf:  # NaN, which no comparison finds, fails here too
            raise UsageError(f"--min-size {self.min_size} is not a number of pixels, 0 or more.")
        if self.max_pixels < 1:
            raise UsageError(
                f"A limit of {self.max_pixels} pixels leaves no photo.", hint="Give a larger one."
            )
