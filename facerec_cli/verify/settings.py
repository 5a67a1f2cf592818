"""What a verification can be told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from facerec_cli.faces.settings import (
    MACHINE,
    PHOTOS,
    RESULTS,
    BatchSize,
    Device,
    Flip,
    MinQuality,
    MinScore,
    Threads,
)
from facerec_cli.option import Option
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.progress import Progress, silent
from facerec_cli.registry import DEFAULT_PACK, FACE_RULES, PAIR_FORMATS, POOLINGS, embedding_suffixes
from facerec_cli.settings import check
from facerec_cli.threshold import DEFAULT_FARS, false_accept_rate

if TYPE_CHECKING:
    from facerec_cli.embed import EmbedOptions
    from facerec_cli.faces import FaceModel

PAIRS = "Pairs"

Cache = Annotated[
    bool, Option("Keep embeddings for the next time.", flag="--cache/--no-cache", panel=MACHINE)
]
FaceRule = Annotated[
    str,
    Option("Which face of a photo with several is compared: {choices}.", panel=PHOTOS, choices=FACE_RULES),
]
Aligned = Annotated[
    bool | None,
    Option(
        "Whether photos are aligned face crops (default: aligned for .bin lists).",
        flag="--aligned/--detect",
        panel=PHOTOS,
    ),
]

#: Makes a progress for a step of the work: its description and unit in, a context that gives it out.
Steps = Callable[[str, str], AbstractContextManager[Progress]]


def no_steps(description: str, unit: str) -> AbstractContextManager[Progress]:
    """Steps that nobody watches."""
    return nullcontext(silent)


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How the pairs are read; see ``run.verify``."""

    format: Annotated[
        str | None, Option("{choices} (default: told by the content).", panel=PAIRS, offers=PAIR_FORMATS)
    ] = None
    root: Annotated[
        Path | None, Option("Folder that the list's paths start from (default: guessed).", panel=PAIRS)
    ] = None
    all_pairs: Annotated[
        bool,
        Option("Compare each photo of a folder with each other; one subfolder per person.", panel=PAIRS),
    ] = False


@dataclass(frozen=True, slots=True)
class VerifySettings:
    """What decides a verification, besides the list.

    Of ``model``, a pack or its name, folder or ONNX file, None takes the default, or the embeddings' own; of
    ``aligned`` the list's format decides. ``far`` is measured beside ``fars``.

    Raises:
        UsageError: A value is out of range.
    """

    model: str | ModelPack | None = None
    device: Device = "auto"
    threads: Threads = None
    batch_size: BatchSize = 16
    cache: Cache = True
    faces: FaceRule = "main"
    min_score: MinScore = None
    min_quality: MinQuality = None
    aligned: Aligned = None
    flip: Flip = False
    pool: Annotated[
        str,
        Option(
            "What a photo of a template (IJB) weighs: {choices}; all alike, the length of its raw embedding, "
            "the score of its detection, or both.",
            panel=PAIRS,
            choices=POOLINGS,
        ),
    ] = "mean"
    embeddings: Annotated[
        Path | None,
        Option(
            f"Vectors of `facerec embed` ({', '.join(embedding_suffixes())}, folder/) instead of photos.",
            panel=PAIRS,
        ),
    ] = None
    fars: Annotated[
        tuple[float, ...],
        Option("False accept rates that are measured.", flag="", rule=false_accept_rate),
    ] = DEFAULT_FARS
    far: Annotated[
        float | None,
        Option(
            "False accept rate for --calibrate, --save-threshold, --by (default: the smallest measurable).",
            panel=RESULTS,
            rule=false_accept_rate,
        ),
    ] = None
    groups: Annotated[
        Path | None,
        Option(
            "Error rates per group at one threshold, and their ratios: a CSV of `path or person,group`.",
            flag="--by",
            panel=RESULTS,
        ),
    ] = None
    calibration: Annotated[
        Literal["logistic", "isotonic"],
        Option(
            "How scores become likelihood ratios: {choices}; by a line, or by stairs, which take many pairs.",
            panel=RESULTS,
        ),
    ] = "logistic"
    discard: Annotated[
        float,
        Option(
            "For --save-quality: the share of the same pairs that the limit discards.",
            panel=RESULTS,
            ge=0.01,
            le=0.3,
        ),
    ] = 0.1
    bootstrap: Annotated[
        int,
        Option(
            "Rounds of a bootstrap over people, for intervals that know that pairs share people.",
            panel=RESULTS,
            ge=0,
        ),
    ] = 0

    def __post_init__(self) -> None:
        check(self)

    @property
    def all_fars(self) -> tuple[float, ...]:
        """The rates to measure, smallest first."""
        return tuple(sorted({*self.fars, *((self.far,) if self.far is not None else ())}))


def open_for(settings: VerifySettings, *, aligned: bool) -> tuple[FaceModel, int]:
    """Open the model on all threads; one batch of photos more than those is under way."""
    from facerec_cli.faces import open_model
    from facerec_cli.runtime import usable_cores

    total = settings.threads or usable_cores()
    opened = open_model(
        settings.model or DEFAULT_PACK, device=settings.device, threads=total, detector=not aligned
    )
    return opened, total + 1


def embed_options(settings: VerifySettings, *, faces: str, aligned: bool) -> EmbedOptions:
    """How photos are embedded for a verification.

    Args:
        settings: Of the verification.
        faces: Which faces of a photo: ``settings.faces`` for a list; "all" where they are told to a person.
        aligned: Whether the photos are aligned crops.
    """
    from facerec_cli.embed import EmbedOptions

    return EmbedOptions(
        faces=faces,  # type: ignore[arg-type]  # checked by VerifySettings
        min_score=settings.min_score,
        aligned=aligned,
        flip=settings.flip,
        batch_size=settings.batch_size,
    )
