"""That a run's outputs can be written, and take nothing from one another or from what the run is to read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facerec_cli.embed.destination import Destination
from facerec_cli.embed.photo_result import crop_prefix
from facerec_cli.errors import UsageError
from facerec_cli.files import refuse_special
from facerec_cli.images.remote import is_url
from facerec_cli.outputs import check_writable, refuse_foreign
from facerec_cli.tables.paths import absolute


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a run writes; every fault is raised before any work is done.

    Attributes:
        destination: Of ``-o``.
        crops: Folder of ``--crops``, or None.
        preview: File of ``--preview``, or None.
    """

    destination: Destination
    crops: Path | None
    preview: Path | None

    @property
    def folders(self) -> list[Path | str]:
        """Where photos are not looked for."""
        return [path for path in (self.crops, self.destination.shards.place) if path is not None]

    def check(self, *, local: bool, overwrite: bool) -> None:
        """Refuse what cannot be written.

        Args:
            local: Whether this process embeds.
            overwrite: The user has said to replace what is there.

        Raises:
            UsageError: Something else is in an output's place, or an output does not go with another.
            OutputError: A folder may not be written to.
        """
        place = self.destination.shards.place
        if isinstance(place, Path):
            check_writable("-o", self.destination.path, place.parent)
        self.destination.check()
        if self.preview is not None:
            refuse_special(self.preview)
            check_writable("--preview", self.preview, self.preview.parent)
            refuse_foreign("contact sheet", self.preview, flag="--preview", overwrite=overwrite)
            if self.preview.is_dir():
                raise UsageError(
                    f"{self.preview} is a folder; a file is to be written there.", hint="Name another file."
                )
            if self.destination.shards.shared:
                raise UsageError("--preview needs a result in one file.", hint="Use -o embeddings.parquet.")
        if self.crops is not None:
            if os.path.isfile(self.crops):  # noqa: PTH113 - False where one may not look
                raise UsageError(f"--crops {self.crops} is a file, not a folder.", hint="Name a folder.")
            check_writable("--crops", self.crops, self.crops)
            if not local:
                raise UsageError(
                    "--crops is for --engine local.", hint="Leave it out, or embed on this machine."
                )

    def refuse_collisions(self, inputs: Iterable[str]) -> None:
        """Refuse outputs that are in each other's way, and a folder of results that is also one of photos.

        Args:
            inputs: What the user named.

        Raises:
            UsageError: The message says which.
        """
        shards = self.destination.shards
        name = f"-o {self.destination.path}"
        taken = {_real(path): name for path in (*self.destination.files, shards.place) if _is_local(path)}
        for flag, path in (("--preview", self.preview), ("--crops", self.crops)):
            if path is None:
                continue
            place = _real(path)
            if place in taken or (not shards.shared and _real(shards.place) in place.parents):
                raise UsageError(
                    f"{flag} {path} is where {taken.get(place, name)} is written.",
                    hint=f"Name another place for {flag}.",
                )
            taken[place] = f"{flag} {path}"
        folders = [("--crops", self.crops), ("-o", shards.place if shards.shared else None)]
        results = {_real(path): flag for flag, path in folders if path is not None and _is_local(path)}
        for named in inputs:
            if not _is_local(named) or not os.path.isdir(_local(named)):  # noqa: PTH112 - a million times
                continue
            if (owner := results.get(_real(named))) is not None:
                raise UsageError(
                    f"{named} is the folder of {owner} and an input: photos are not looked for among "
                    "results.",
                    hint=f"Name another folder for {owner}, such as one below it: {Path(named, 'faces')}",
                )

    def refuse_overwriting(self, inputs: Iterable[str], photos: Sequence[str]) -> None:
        """Refuse to write over what is to be read, by whatever name or link it is known.

        Args:
            inputs: What the user named; a list must not be lost either.
            photos: What they were expanded to.

        Raises:
            UsageError: The message says what would be lost.
        """
        written = {
            _identity(p): f"-o {self.destination.path}" for p in self.destination.files if _is_local(p)
        }
        if self.preview is not None:
            written[_identity(self.preview)] = f"--preview {self.preview}"
        written.pop(None, None)
        if written:  # seldom, and only then a million photos are looked at once more
            for name in (*inputs, *photos):
                output = written.get(_identity(name)) if _is_local(name) else None
                if output is not None:
                    raise _lost(name, output)
        if self.crops is not None and self.crops.is_dir():
            folder = _real(self.crops)
            for name in photos:
                if _is_crop_of(name, photos) and _is_local(name) and _real(name).parent == folder:
                    raise _lost(name, f"--crops {self.crops}")


def _lost(name: str, output: str) -> UsageError:
    return UsageError(
        f"{name} is an input and would be overwritten by {output}.",
        hint="Choose another name for the output.",
    )


def _is_crop_of(name: str, photos: Sequence[str]) -> bool:
    """Whether a crop of one of the photos has the name of this one."""
    base = os.path.basename(name)  # noqa: PTH119 - a million times
    number = re.match(r"(\d{7,})_", base)
    if number is None or int(number[1]) >= len(photos):
        return False
    return base.startswith(crop_prefix(int(number[1]), photos[int(number[1])]))


def _is_local(path: str | Path) -> bool:
    text = os.fspath(path)
    return "\0" not in text and (text.startswith("file://") or not is_url(text))


def _local(path: str | Path) -> str:
    return os.fspath(path).removeprefix("file://")


def _real(path: str | Path) -> Path:
    """Where a path leads, whether or not something is there."""
    text = _local(path)
    absolute(text)  # raises where there is no current folder
    return Path(os.path.realpath(text))


def _identity(path: str | Path) -> tuple[int, int] | None:
    """What a file is known by under all its names; None where there is none."""
    try:
        state = os.stat(_local(path))  # noqa: PTH116 - a million times
    except (OSError, ValueError):
        return None
    return state.st_dev, state.st_ino
