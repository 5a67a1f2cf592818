"""What ``facerec data mine`` can be told: what is mined, from what, and what is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from facerec_cli.errors import UsageError
from facerec_cli.faces.settings import PHOTOS, RESULTS, Device, Flip, OneFace, ReadyCrops, Threads
from facerec_cli.option import Option
from facerec_cli.outputs import check_writable, named_paths, refuse_existing
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.settings import check
from facerec_cli.verify.settings import Cache, VerifySettings

LISTS = (".txt", ".tsv", ".lst", ".csv")
MINING = "Mining"


@dataclass(frozen=True, slots=True)
class MineSettings:
    """How faces are read and what counts as hard.

    Raises:
        UsageError: A value is out of range.
    """

    never: Annotated[
        tuple[Path, ...],
        Option(
            "Never a person or photo of this evaluation: pairs, a protocol, a study's split.json, or labeled "
            "photos; may be given several times.",
            panel=MINING,
        ),
    ] = ()
    hard_share: Annotated[
        float, Option("Part of the photos that counts as hard.", panel=MINING, gt=0, lt=1)
    ] = 0.2
    hard_weight: Annotated[
        float, Option("How many times as often a hard photo is shown.", panel=MINING, ge=1, le=100)
    ] = 2.0
    pair_count: Annotated[
        int, Option("Pairs in --pairs, half of them of one person.", panel=MINING, ge=2)
    ] = 2000
    min_photos: Annotated[
        int | None,
        Option("People with fewer photos are left out (default: 2 for groups, else 1).", panel=MINING, ge=1),
    ] = None
    min_margin: Annotated[
        float | None,
        Option(
            "Faces that are not this much nearer to their own person than to the next are left out (default: "
            "the deviation of impostor scores for groups, else no bound).",
            panel=MINING,
            ge=0,
            le=2,
        ),
    ] = None
    keep_suspects: Annotated[
        bool, Option("Leave photos with a suspected label in the lists.", panel=MINING)
    ] = False
    embeddings: Annotated[
        Path | None, Option("The embeddings that a file of groups was made of.", panel=PHOTOS)
    ] = None
    model: str | ModelPack | None = None
    device: Device = "auto"
    threads: Threads = None
    cache: Cache = True
    faces: OneFace = "main"
    aligned: ReadyCrops = False
    flip: Flip = False

    def __post_init__(self) -> None:
        check(self)

    def embedding(self) -> VerifySettings:
        """How photos are embedded, one face each."""
        return VerifySettings(
            model=self.model,
            device=self.device,
            threads=self.threads,
            cache=self.cache,
            faces=self.faces,
            aligned=self.aligned,
            flip=self.flip,
        )


@dataclass(frozen=True, slots=True)
class MineOutputs:
    """Where to, each only where it is named.

    Raises:
        UsageError: Two of them are one file, or a name does not end as a list does.
    """

    output: Annotated[
        Path | None, Option("Write the list to train on: path, label, weight.", short="-o", panel=RESULTS)
    ] = None
    noise: Annotated[Path | None, Option("Write the suspected labels: a CSV.", panel=RESULTS)] = None
    pairs: Annotated[
        Path | None, Option("Write the hardest pairs of one person and of two.", panel=RESULTS)
    ] = None
    easy: Annotated[
        Path | None, Option("Write the list without the hard photos (ddl: --data).", panel=RESULTS)
    ] = None
    hard: Annotated[
        Path | None, Option("Write the list of the hard photos (ddl: --hard-data).", panel=RESULTS)
    ] = None
    crops: Annotated[
        Path | None,
        Option("Folder for crops that have to be cut (default: beside the list).", panel=RESULTS),
    ] = None

    def __post_init__(self) -> None:
        check(self)
        seen: dict[Path, str] = {}
        for name, (flag, path) in self.named().items():
            if name != "noise" and path.suffix.lower() not in LISTS:
                raise UsageError(f"{flag} {path} does not end in {', '.join(LISTS)}.", hint="It is a list.")
            if name == "noise" and path.suffix.lower() != ".csv":
                raise UsageError(f"--noise {path} does not end in .csv.", hint="Name it noise.csv.")
            if path.absolute() in seen:
                raise UsageError(f"{seen[path.absolute()]} and {flag} both write {path}.")
            seen[path.absolute()] = flag

    def named(self) -> dict[str, tuple[str, Path]]:
        """The files that are wanted, by field: flag and path."""
        return named_paths(self, besides=("crops",))

    @property
    def lists(self) -> dict[str, Path]:
        """The lists that are trained on, by field."""
        return {name: path for name, (_, path) in self.named().items() if name in ("output", "easy", "hard")}

    @property
    def crops_folder(self) -> Path:
        """Where crops are written that nobody has yet."""
        first = next(iter(self.lists.values()), Path("mined"))
        return self.crops or first.with_suffix(".crops")

    def refuse_faults(self, read: Sequence[Path], *, overwrite: bool) -> None:
        """Refuse what cannot be written, or would replace something, before any work is done.

        Args:
            read: Files that are read.
            overwrite: Replace what is there.

        Raises:
            UsageError: With the flag.
            OutputError: A folder may not be written to.
        """
        from facerec_cli.gallery.kinds import refuse_inside_gallery  # which imports NumPy

        inputs = {path.resolve() for path in read}
        for flag, path in self.named().values():
            refuse_inside_gallery(path, flag)
            if path.resolve() in inputs:
                raise UsageError(f"{flag} {path} would overwrite an input.", hint="Name another file.")
            check_writable(flag, path, path.parent)
            refuse_existing([path], overwrite=overwrite)
        for path in self.lists.values():
            refuse_existing([path.with_suffix(".classes.txt")], overwrite=overwrite)
        if self.lists:
            refuse_inside_gallery(self.crops_folder, "--crops")
