"""What decides a search, besides the gallery and the probes; declared without what does the work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from facerec_cli.errors import UsageError
from facerec_cli.faces.settings import MACHINE, PHOTOS, RESULTS, BatchSize, Device, Flip, MinScore, Threads
from facerec_cli.option import Option, rate
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.registry import POOLINGS, PROTOCOL_FORMATS, embedding_suffixes
from facerec_cli.settings import check

if TYPE_CHECKING:
    from facerec_cli.verify.settings import VerifySettings

EVALUATION = "Evaluation"
DEFAULT_FPIR = 0.01
EVALUATED_FPIRS = (0.001, 0.01, 0.1)
ROUNDS = 1000  # of a bootstrap, one to two seconds of CPU for thousands of searches


def _rates(text: str) -> tuple[float, ...]:
    """The rates of ``0.001,0.01``.

    Raises:
        ValueError: With what the text must be.
    """
    return tuple(rate(part) for part in text.split(","))


@dataclass(frozen=True, slots=True)
class ProtocolReading:
    """Whether a search is measured instead of made, and how its lists are read."""

    evaluate: Annotated[
        bool,
        Option(
            "Measure the search: GALLERY and PROBES say who is on their photos, or GALLERY is a protocol.",
            panel=EVALUATION,
        ),
    ] = False
    format: Annotated[
        str | None,
        Option("{choices} (default: told by the content).", panel=EVALUATION, offers=PROTOCOL_FORMATS),
    ] = None
    root: Annotated[
        Path | None,
        Option("Folder that the paths of lists start from (default: guessed).", panel=EVALUATION),
    ] = None

    def refuse_flags(self, settings: IdentifySettings) -> None:
        """A search that is not measured has no use for what measures one.

        Raises:
            UsageError: With the flags.
        """
        given = {
            "--format": self.format is not None,
            "--root": self.root is not None,
            "--embeddings": settings.embeddings is not None,
            "--bootstrap": settings.bootstrap != ROUNDS,
            "--pool": settings.pool != "mean",
            "--published": settings.published,
        }
        flags = [flag for flag, is_given in given.items() if is_given]
        if flags:
            raise UsageError(f"{', '.join(flags)} take --evaluate.", hint="Add it, or leave them out.")


@dataclass(frozen=True, slots=True)
class IdentifySettings:
    """How people are searched for.

    ``fpir`` is one rate for a search and any number for an evaluation; empty takes 0.01 and 0.001, 0.01 and
    0.1. ``threshold`` is a cosine, also as text. Of ``model``, a pack or its name, folder or ONNX file, None
    takes the gallery's; of ``aligned`` a protocol's format decides.

    Raises:
        UsageError: A value is out of range, or two contradict each other.
    """

    candidates: Annotated[
        int, Option("People that are told for each face.", short="-k", panel=RESULTS, ge=1, le=1000)
    ] = 5
    mode: Annotated[
        Literal["identify", "investigate"],
        Option(
            "identify: at most one name a face; investigate: a list of candidates and no claim.",
            panel=RESULTS,
        ),
    ] = "identify"
    fpir: Annotated[
        tuple[float, ...],
        Option(
            "Share of strangers who may get a name (default: 0.01); several with commas for --evaluate.",
            panel=RESULTS,
            metavar="RATE",
            gt=0,
            lt=1,
            parse=_rates,
        ),
    ] = ()
    threshold: Annotated[
        str | None,
        Option("A cosine from which on a face gets a name, instead of --fpir.", panel=RESULTS),
    ] = None
    model: str | ModelPack | None = None
    device: Device = "auto"
    threads: Threads = None
    batch_size: BatchSize = 16
    cache: Annotated[
        bool,
        Option(
            "Keep embeddings of lists and folders for the next time.",
            flag="--cache/--no-cache",
            panel=MACHINE,
        ),
    ] = True
    faces: Annotated[
        Literal["all", "main", "center", "largest"],
        Option("Which faces of a probe are searched for: {choices}.", panel=PHOTOS),
    ] = "all"
    min_score: MinScore = None
    aligned: Annotated[
        bool | None,
        Option("Whether photos are aligned face crops.", flag="--aligned/--detect", panel=PHOTOS),
    ] = None
    flip: Flip = False
    embeddings: Annotated[
        Path | None,
        Option(
            f"Vectors of `facerec embed` ({', '.join(embedding_suffixes())}, folder/) for the photos of an "
            "evaluation.",
            panel=EVALUATION,
        ),
    ] = None
    pool: Annotated[
        str,
        Option(
            "What a photo of a template (IJB) weighs: {choices}; see facerec verify --pool.",
            panel=EVALUATION,
            choices=POOLINGS,
        ),
    ] = "mean"
    bootstrap: Annotated[
        int,
        Option(
            "Rounds of a bootstrap over people, for intervals of TPIR; 0 leaves Wilson's.",
            panel=EVALUATION,
            ge=0,
        ),
    ] = ROUNDS
    published: Annotated[
        bool,
        Option("Also by the rule of IJB 1:N tables before 2022, which is wrong.", panel=EVALUATION),
    ] = False

    def __post_init__(self) -> None:
        check(self)
        if self.threshold is not None and self.fpir:
            raise UsageError(
                "--fpir and --threshold are two ways to say one thing.", hint="Give one of them."
            )
        if self.mode == "investigate" and (self.threshold is not None or self.fpir):
            raise UsageError(
                "--mode investigate makes no claim, so it takes neither --fpir nor --threshold.",
                hint="Leave them out, or search with --mode identify.",
            )

    @property
    def rate(self) -> float:
        """The one rate of a search.

        Raises:
            UsageError: There are several.
        """
        if len(self.fpir) > 1:
            raise UsageError("A search takes one --fpir.", hint="Several are for --evaluate.")
        return self.fpir[0] if self.fpir else DEFAULT_FPIR

    @property
    def photo_face(self) -> str:
        """Which face of a photo counts where one has to: of labeled photos."""
        return "main" if self.faces == "all" else self.faces

    def embedding(self, faces: str = "main", *, flip: bool | None = None) -> VerifySettings:
        """How one face of each photo of a list is embedded.

        Args:
            faces: Which of several.
            flip: Another one than was asked for.
        """
        from facerec_cli.verify.settings import VerifySettings

        return VerifySettings(
            model=self.model,
            device=self.device,
            threads=self.threads,
            batch_size=self.batch_size,
            cache=self.cache,
            faces=faces,
            min_score=self.min_score,
            aligned=self.aligned,
            flip=self.flip if flip is None else flip,
            pool=self.pool,
            embeddings=self.embeddings,
        )
