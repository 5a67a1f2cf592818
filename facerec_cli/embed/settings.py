"""What decides the embeddings of a photo, and what makes them; declared without what does the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

from facerec_cli.errors import UsageError
from facerec_cli.faces.quality_limits import is_limits, refuse_for_crops
from facerec_cli.faces.settings import (
    DEFAULT_MAX_SIDE,
    MACHINE,
    PHOTOS,
    BatchSize,
    Flip,
    MaxSide,
    MinQuality,
    MinScore,
    MinSize,
    ReadyCrops,
)
from facerec_cli.images.limits import MAX_PIXELS
from facerec_cli.option import Option
from facerec_cli.registry import ENGINES
from facerec_cli.settings import check

Address = Annotated[
    str | None,
    Option(
        "The Ray cluster: auto, HOST:PORT or ray://HOST:PORT (default: one on this machine).",
        panel=MACHINE,
    ),
]


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """What decides the embeddings of a photo, besides the model.

    ``faces`` that is not "all" is a rule of ``faces.choice``. With ``rotate`` "auto" a photo without a face,
    or with none whose score reaches 0.9, is searched again, turned by 90, 180 and 270 degrees; the turn
    whose best face has the highest score is taken. With ``aligned`` the photos are only brought to the
    pack's size. See ``FaceModel.detect`` for ``max_side``.

    Raises:
        UsageError: A value is out of range.
    """

    faces: Annotated[
        Literal["all", "main", "center", "largest"],
        Option("Which faces of a photo: {choices}.", panel=PHOTOS),
    ] = "all"
    min_score: MinScore = None
    min_size: MinSize = 0
    min_quality: MinQuality = None
    max_side: MaxSide = DEFAULT_MAX_SIDE
    rotate: Annotated[
        Literal["none", "auto"],
        Option(
            "auto: also turn photos by 90, 180 and 270 degrees where no face is sure; or none.", panel=PHOTOS
        ),
    ] = "auto"
    aligned: ReadyCrops = False
    flip: Flip = False
    batch_size: BatchSize = 16
    max_pixels: Annotated[
        int, Option("Photos with more are refused before they are decoded.", flag="", ge=1, unit="pixels")
    ] = MAX_PIXELS

    def __post_init__(self) -> None:
        check(self)
        if self.aligned and self.min_quality is not None:
            refuse_for_crops(self.min_quality)

    def document(self) -> dict[str, Any]:
        """What is compared when a run is gone on with: no limits are as in versions that knew none."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("min_quality", None)}

    def with_limits(self, model: str, sha256: Callable[[], str]) -> EmbedOptions:
        """The same with the limits of a card in its place.

        Args:
            model: Name of the pack.
            sha256: Gives what identifies it.

        Raises:
            InputError: The card cannot be read.
            ModelError: It belongs to another model or to the other setting of ``flip``.
        """
        if self.min_quality is None or is_limits(self.min_quality):
            return self
        from facerec_cli.metrics.quality_card import limits_for

        limits = limits_for(self.min_quality, model=model, sha256=sha256(), flip=self.flip)
        return replace(self, min_quality=limits.text)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Where embeddings are computed.

    Raises:
        UsageError: A value is out of range, or is for another engine.
    """

    engine: Annotated[
        str,
        Option("local: this process; ray: workers on a Ray cluster.", panel=MACHINE, choices=ENGINES),
    ] = "local"
    address: Address = None
    actors: Annotated[
        int | None,
        Option(
            "Workers on the cluster, each with --threads CPUs (default: as many as fit).", panel=MACHINE, ge=1
        ),
    ] = None
    actor_gpus: Annotated[
        float | None,
        Option(
            "GPUs of a worker; 0.25 lets four share one (default: 1 on a GPU, else 0).", panel=MACHINE, ge=0
        ),
    ] = None

    def __post_init__(self) -> None:
        check(self)
        if self.engine != "ray" and (self.address, self.actors, self.actor_gpus) != (None, None, None):
            raise UsageError("--address, --actors and --actor-gpus are for --engine ray.")
