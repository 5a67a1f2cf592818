"""What commands that look for faces can be told: one declaration for all of them."""

from __future__ import annotations

from typing import Annotated

from facerec_cli.faces.quality_limits import quality_given
from facerec_cli.option import Option
from facerec_cli.registry import DEVICES, FACE_RULES

DEFAULT_MAX_SIDE = 1024
"""The longer side, in pixels, at which photos are searched first; for commands and Python alike."""

MACHINE, PHOTOS, RESULTS = "Model and machine", "Photos and faces", "Results"

Device = Annotated[str, Option("{choices}.", panel=MACHINE, choices=DEVICES)]
Threads = Annotated[int | None, Option("CPU threads (default: all cores).", panel=MACHINE, ge=1)]
BatchSize = Annotated[int, Option("Photos and crops worked on together.", panel=MACHINE, ge=1, le=1024)]
OneFace = Annotated[
    str, Option("Which face of a photo with several: {choices}.", panel=PHOTOS, choices=FACE_RULES)
]
MinScore = Annotated[
    float | None, Option("Least detection score (default: the pack's).", panel=PHOTOS, ge=0, le=1)
]
MinSize = Annotated[
    float,
    Option("Least shorter side of a face's box in pixels of the photo.", panel=PHOTOS, ge=0, unit="pixels"),
]
MinQuality = Annotated[
    str | None,
    Option(
        "Faces beyond limits get the status low_quality: norm=8,yaw=0.2, or a card of verify --save-quality.",
        metavar="LIMITS",
        panel=PHOTOS,
        rule=quality_given,
    ),
]
MaxSide = Annotated[
    int,
    Option("Photos with a longer side are searched at this scale first.", panel=PHOTOS, ge=32, unit="pixels"),
]
Flip = Annotated[bool, Option("Add the embedding of the mirrored crop.", panel=PHOTOS)]
ReadyCrops = Annotated[bool, Option("The photos are aligned face crops: no detection.", panel=PHOTOS)]
