"""What decides a comparison of models, besides the models and the list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from facerec_cli.faces.settings import MACHINE, PHOTOS, RESULTS, BatchSize, Device, Flip, MinScore, Threads
from facerec_cli.option import Option
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.registry import FACE_RULES
from facerec_cli.settings import check
from facerec_cli.threshold import DEFAULT_FARS, false_accept_rate
from facerec_cli.verify.settings import VerifySettings


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """How models are compared.

    Raises:
        UsageError: A value is out of range.
    """

    far: Annotated[
        float | None,
        Option(
            "False accept rate that the verdict is about (default: the smallest that accepts 30 impostors).",
            panel=RESULTS,
            rule=false_accept_rate,
        ),
    ] = None
    bootstrap: Annotated[int, Option("Rounds of the bootstrap over people.", panel=RESULTS, ge=100)] = 2000
    device: Device = "auto"
    threads: Threads = None
    batch_size: BatchSize = 16
    cache: Annotated[
        bool, Option("Keep embeddings for the next time.", flag="--cache/--no-cache", panel=MACHINE)
    ] = True
    faces: Annotated[
        str,
        Option(
            "Which face of a photo with several is compared: {choices}.", panel=PHOTOS, choices=FACE_RULES
        ),
    ] = "main"
    min_score: MinScore = None
    aligned: Annotated[
        bool | None,
        Option(
            "Whether photos are aligned face crops (default: aligned for .bin lists).",
            flag="--aligned/--detect",
            panel=PHOTOS,
        ),
    ] = None
    flip: Flip = False

    def __post_init__(self) -> None:
        check(self)

    def of_model(self, model: str | ModelPack) -> VerifySettings:
        """How one of the models is measured."""
        return VerifySettings(
            model=model,
            device=self.device,
            threads=self.threads,
            batch_size=self.batch_size,
            cache=self.cache,
            faces=self.faces,
            min_score=self.min_score,
            aligned=self.aligned,
            flip=self.flip,
            fars=DEFAULT_FARS,
            far=self.far,
        )
