"""What decides a comparison of models, besides the models and the list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from facerec_cli.errors import UsageError
from facerec_cli.faces.settings import RESULTS, BatchSize, Device, Flip, MinScore, Threads
from facerec_cli.option import Option, rate
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.settings import check
from facerec_cli.threshold import DEFAULT_FARS, false_accept_rate
from facerec_cli.verify.settings import Aligned, Cache, FaceRule, VerifySettings

SEARCHES = "Searches"


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
    search: Annotated[
        Path | None,
        Option(
            "Compare on searches: a protocol as `facerec identify --evaluate` takes it, or a gallery (a "
            "folder of people, a list of path,person) with --probes.",
            panel=SEARCHES,
        ),
    ] = None
    probes: Annotated[
        Path | None, Option("What is searched for in the gallery of --search.", panel=SEARCHES)
    ] = None
    fpir: Annotated[
        float | None,
        Option(
            "Share of strangers who may get a name, for the verdict (default: the smallest that lets 30 "
            "through).",
            panel=SEARCHES,
            metavar="RATE",
            gt=0,
            lt=1,
            parse=rate,
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
        if self.search is None and (self.probes is not None or self.fpir is not None):
            raise UsageError(
                "--probes and --fpir are for searches.", hint="Name the gallery or protocol with --search."
            )
        if self.search is not None and self.far is not None:
            raise UsageError("--far is for pairs.", hint="Searches take --fpir.")

    def of_model(self, model: str | ModelPack | None, embeddings: Path | None = None) -> VerifySettings:
        """How one of the models is measured; ``embeddings`` stand for the one that made them."""
        return VerifySettings(
            model=model,
            embeddings=embeddings,
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
