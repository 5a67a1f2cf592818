"""What a verification can be told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from facerec_cli.errors import UsageError
from facerec_cli.faces import FaceModel, open_model
from facerec_cli.metrics.roc import DEFAULT_FARS
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.progress import Progress, silent
from facerec_cli.registry import DEFAULT_PACK, FACE_RULES, unknown_name
from facerec_cli.runtime import usable_cores

#: Makes a progress for a step of the work: its description and unit in, a context that gives it out.
Steps = Callable[[str, str], AbstractContextManager[Progress]]


def no_steps(description: str, unit: str) -> AbstractContextManager[Progress]:
    """Steps that nobody watches."""
    return nullcontext(silent)


@dataclass(frozen=True, slots=True)
class VerifySettings:
    """What decides a verification, besides the list.

    Attributes:
        model: A pack, or its name, folder or ONNX file; None takes the default, or the embeddings' own.
        device: As for ``facerec embed``.
        threads: CPU threads; None takes all cores.
        batch_size: Photos and crops worked on together.
        faces: Which face of a photo is compared: one of ``registry.FACE_RULES``.
        min_score: Least detection score; None takes the pack's.
        flip: Add the embedding of the mirrored crop.
        aligned: The photos are aligned crops; None leaves it to the list's format.
        cache: Keep embeddings for the next time.
        embeddings: Precomputed vectors instead of a model.
        fars: False accept rates.
        far: The one of them for threshold cards and groups; None takes the smallest measurable one.
        groups: Table of groups.
        bootstrap: Rounds of the bootstrap over people.
    """

    model: str | ModelPack | None = None
    device: str = "auto"
    threads: int | None = None
    batch_size: int = 16
    faces: str = "main"
    min_score: float | None = None
    flip: bool = False
    aligned: bool | None = None
    cache: bool = True
    embeddings: Path | None = None
    fars: tuple[float, ...] = DEFAULT_FARS
    far: float | None = None
    groups: Path | None = None
    bootstrap: int = 0

    def __post_init__(self) -> None:
        if self.faces not in FACE_RULES:
            raise unknown_name(self.faces, FACE_RULES, "choice of --faces for pairs, which compare one face:")
        if self.bootstrap < 0:
            raise UsageError(f"--bootstrap {self.bootstrap} is below 0.")
        for far in (*self.fars, *((self.far,) if self.far is not None else ())):
            if not 0 < far < 1:
                raise UsageError(f"--far {far:g} is not between 0 and 1.")

    @property
    def all_fars(self) -> tuple[float, ...]:
        """The rates to measure, smallest first."""
        return tuple(sorted({*self.fars, *((self.far,) if self.far is not None else ())}))


def open_for(settings: VerifySettings, *, aligned: bool) -> tuple[FaceModel, int]:
    """Open the model on all threads; one batch of photos more than those is under way."""
    total = settings.threads or usable_cores()
    opened = open_model(
        settings.model or DEFAULT_PACK, device=settings.device, threads=total, detector=not aligned
    )
    return opened, total + 1
