"""What enrolling can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from facerec_cli.faces.settings import (
    PHOTOS,
    BatchSize,
    Device,
    Flip,
    MinScore,
    MinSize,
    OneFace,
    ReadyCrops,
    Threads,
)
from facerec_cli.gallery.person import expiry_date
from facerec_cli.option import Option
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.settings import check

if TYPE_CHECKING:
    from facerec_cli.embed import EmbedOptions

ENROLLED = "Enrolled people"

LOOK_ALIKE_FPIR = 0.001
"""Of so many photos of people who are new one may look like somebody else by chance."""


def _date(text: str) -> str:
    from facerec_cli.errors import InputError

    try:
        return expiry_date(text)
    except InputError as fault:
        raise ValueError("a date such as 2027-12-31") from fault


@dataclass(frozen=True, slots=True)
class EnrollSettings:
    """How photos are enrolled.

    Of ``model``, a pack or its name, folder or ONNX file, None takes the gallery's own, and the default for a
    new gallery. ``flip`` and ``crops`` are those of the gallery once it is made. No cache is used: a photo
    that is enrolled is known by its content, and embeddings lie in no other place than the gallery.

    Raises:
        UsageError: A value is out of range.
    """

    model: str | ModelPack | None = None
    device: Device = "auto"
    threads: Threads = None
    batch_size: BatchSize = 16
    faces: OneFace = "main"
    min_score: MinScore = None
    min_size: MinSize = 0
    aligned: ReadyCrops = False
    flip: Flip = False
    keep_doubtful: Annotated[
        bool, Option("Also enroll faces whose place in the photo is doubtful.", panel=PHOTOS)
    ] = False
    keep_look_alikes: Annotated[
        bool, Option("Also enroll faces that look like somebody else who is enrolled.", panel=PHOTOS)
    ] = False
    crops: Annotated[bool, Option("Keep the aligned crop of each face in a new gallery.", panel=ENROLLED)] = (
        False
    )
    expires: Annotated[
        str,
        Option(
            "The day from which on these people are not searched for any more, as 2027-12-31.",
            panel=ENROLLED,
            metavar="DATE",
            rule=_date,
        ),
    ] = ""
    note: Annotated[
        str, Option("A text that is kept with these people, such as where their consent is.", panel=ENROLLED)
    ] = ""

    def __post_init__(self) -> None:
        check(self)

    def embed_options(self) -> EmbedOptions:
        """How photos are embedded for it; what is too small is told, not left out before one is chosen."""
        from facerec_cli.embed import EmbedOptions

        return EmbedOptions(
            faces=self.faces,  # type: ignore[arg-type]  # checked
            min_score=self.min_score,
            aligned=self.aligned,
            flip=self.flip,
            batch_size=self.batch_size,
        )
