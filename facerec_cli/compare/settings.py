"""What decides a comparison of models, besides the models and the list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from facerec_cli.faces.settings import RESULTS, BatchSize, Device, Flip, MinScore, Threads
from facerec_cli.option import Option
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.settings import check
from facerec_cli.threshold import DEFAULT_FARS, false_accept_rate
from facerec_cli.verify.settings import Aligned, Cache, FaceRule, VerifySettings


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
    cache: Cache = True
    faces: FaceRule = "main"
    min_score: MinScore = None
    aligned: Aligned = None
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
