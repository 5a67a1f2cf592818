"""What decides groups of faces, besides the faces; declared without what does the work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from facerec_cli.errors import UsageError
from facerec_cli.faces.settings import MACHINE, Device, Threads
from facerec_cli.option import Option
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.settings import check

GROUPS, QUALITY = "Groups", "How good the groups are"
FALSE_LINKS = 0.1
FPIR = 0.01
ROUNDS = 1000  # of the bootstrap over people; a second of CPU for thousands of people


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How faces are grouped.

    Of ``model``, a pack or its name, folder or ONNX file, None takes the gallery's, or the default.

    Raises:
        UsageError: A value is out of range, or two contradict each other.
    """

    model: str | ModelPack | None = None
    device: Device = "auto"
    threads: Threads = None
    false_links: Annotated[
        float | None,
        Option(
            "False neighbors to expect of a face; with the number of faces this gives the threshold "
            "(default: 0.1).",
            panel=GROUPS,
            metavar="NUMBER",
            gt=0,
            le=1000,
        ),
    ] = None
    threshold: Annotated[
        float | None,
        Option(
            "The mean cosine from which on two groups are one, instead of --false-links.",
            panel=GROUPS,
            ge=-1,
            le=1,
        ),
    ] = None
    same_photo: Annotated[
        bool, Option("Two faces of one photo may be one person, as in a collage.", panel=GROUPS)
    ] = False
    links: Annotated[
        Path | None,
        Option(
            "What is known of faces: a CSV of path,face,path,face,same or different.",
            panel=GROUPS,
            metavar="FILE",
        ),
    ] = None
    gallery: Annotated[
        str | None,
        Option("Name the people of this gallery first; the rest is grouped.", panel=GROUPS),
    ] = None
    fpir: Annotated[
        float, Option("Share of strangers who may get a name of --gallery.", panel=GROUPS, gt=0, lt=1)
    ] = FPIR
    gallery_threshold: Annotated[
        float | None,
        Option("A cosine from which on a face gets a name, instead of --fpir.", panel=GROUPS, ge=-1, le=1),
    ] = None
    update: Annotated[
        Path | None,
        Option(
            "An earlier -o: its faces stay where they are, new ones join them or each other.",
            panel=GROUPS,
            metavar="FILE",
        ),
    ] = None
    apply: Annotated[
        Path | None,
        Option(
            "Carry out what was decided on a review page: its decisions.json.", panel=GROUPS, metavar="FILE"
        ),
    ] = None
    neighbors: Annotated[
        int, Option("Neighbors of each face that are looked at.", panel=MACHINE, ge=1, le=1000)
    ] = 10
    work: Annotated[
        Path | None,
        Option(
            "Keep the graph of neighbors in this folder, to go on after an interruption.",
            panel=MACHINE,
            metavar="FOLDER",
        ),
    ] = None

    truth: Annotated[
        Path | None,
        Option(
            "Measure the groups: a list of path,person or path,face,person.", panel=QUALITY, metavar="FILE"
        ),
    ] = None
    bootstrap: Annotated[
        int, Option("Rounds of a bootstrap over people, for intervals; 0 gives none.", panel=QUALITY, ge=0)
    ] = ROUNDS

    def __post_init__(self) -> None:
        check(self)
        if self.threshold is not None and self.false_links is not None:
            raise UsageError(
                "--false-links and --threshold are two ways to say one thing.", hint="Give one of them."
            )
        if self.gallery is None and (self.gallery_threshold is not None or self.fpir != FPIR):
            raise UsageError("--fpir and --gallery-threshold are for --gallery.", hint="Name a gallery.")
        if self.gallery_threshold is not None and self.fpir != FPIR:
            raise UsageError(
                "--fpir and --gallery-threshold are two ways to say one thing.", hint="Give one of them."
            )
        if self.truth is None and self.bootstrap != ROUNDS:
            raise UsageError("--bootstrap is for --truth.", hint="Name a list of people with --truth.")
