"""That a run's outputs can be written, and take nothing from one another or from what the run is to read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from facerec_cli.embed.destination import Destination
from facerec_cli.embed.rows import crop_prefix
from facerec_cli.errors import UsageError
from facerec_cli.images.remote import is_url
from facerec_cli.tables.paths import absolute


def check_outputs(
    destination: Destination, crops: Path | None, preview: Path | None, inputs: Iterable[str]
) -> None:
    """Refuse outputs that are in each other's way, and a folder of results that is also one of photos.

    Args:
        destination: Of ``-o``.
        crops: Of ``--crops``.
        preview: Of ``--preview``.
        inputs: What the user named.

    Raises:
        UsageError: The message says which.
    """
    named = f"-o {destination.path}"
    taken = {_real(path): named for path in (*destination.files, destination.shards.place) if _is_local(path)}
    for flag, path in (("--preview", preview), ("--crops", crops)):
        if path is None:
            continue
        place = _real(path)
        if place in taken or (
            not destination.shards.shared and _real(destination.shards.place) in place.parents
        ):
            raise UsageError(
                f"{flag} {path} is where {taken.get(place, named)} is written.",
                hint=f"Name another place for {flag}.",
            )
        taken[place] = f"{flag} {path}"
    folders = [("--crops", crops), ("-o", destination.shards.place if destination.shards.shared else None)]
    results = {_real(path): flag for flag, path in folders if path is not None and _is_local(path)}
    for name in inputs:
        if not _is_local(name) or not os.path.isdir(_local(name)):  # noqa: PTH112 - a million times
            continue
        if (owner := results.get(_real(name))) is not None:
            raise UsageError(
                f"{name} is the folder of {owner} and an input: photos are not looked for among results.",
                hint=f"Name another folder for {owner}, such as one below it: {Path(name, 'faces')}",
            )


def check_overwriting(
    destination: Destination,
    crops: Path | None,
    preview: Path | None,
    inputs: Iterable[str],
    photos: Sequence[str],
) -> None:
    """Refuse to write over what is to be read, by whatever name or link it is known.

    Args:
        destination: Of ``-o``.
        crops: Of ``--crops``.
        preview: Of ``--preview``.
        inputs: What the user named; a list must not be lost either.
        photos: What they were expanded to.

    Raises:
        UsageError: The message says what would be lost.
    """
    there = {_identity(path): f"-o {destination.path}" for path in destination.files if _is_local(path)}
    if preview is not None:
        there[_identity(preview)] = f"--preview {preview}"
    there.pop(None, None)
    if there:  # seldom, and then a million photos are looked at once more
        for name in (*inputs, *photos):
            output = there.get(_identity(name)) if _is_local(name) else None
            if output is not None:
                raise _lost(name, output)
    if crops is not None and crops.is_dir():
        folder = _real(crops)
        for name in photos:
            if _is_crop_of(name, photos) and _is_local(name) and _real(name).parent == folder:
                raise _lost(name, f"--crops {crops}")


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
