"""The photos of protocols that say by folders and names who is on them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from facerec_cli.images import IMAGE_SUFFIXES
from facerec_cli.pairs.names import is_folder

_PERSON = re.compile(r"([^_]+)_.*")
_MANY = 20_000  # files that are looked at to see what a folder is


def files_below(folder: Path, most: int = _MANY) -> Iterator[Path]:
    """Up to so many photos below a folder, in sorted order; hidden ones are passed over."""
    left = most
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(place) / name
                left -= 1
                if not left:
                    return


def place_of(folder: Path, parts: Sequence[str], below: Sequence[str]) -> Path | None:
    """The folder, or the first of those below it, that has all of these parts; None where none has."""
    places = [folder, *(folder / name for name in below)]
    return next((place for place in places if all((place / part).exists() for part in parts)), None)


def photos_of(folder: Path) -> list[str]:
    """The names of the photos directly in a folder, sorted; none where there is no such folder."""
    if not is_folder(folder):
        return []
    with os.scandir(folder) as scan:
        names = [entry.name for entry in scan]
    return sorted(
        name for name in names if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
    )


def before_underscore(name: str) -> str | None:
    """The person of a name: ``17`` of ``17_3.jpg`` and ``17_cam2_4.jpg``; None where it does not say."""
    found = _PERSON.fullmatch(name)
    return found[1] if found else None
