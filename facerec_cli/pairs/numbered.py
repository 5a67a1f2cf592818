"""Photos that LFW numbers, under other names: ``IMG_1.jpg``, ``X_0001_0.jpg``, ``X_1.png`` for X 1."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from facerec_cli.images import IMAGE_SUFFIXES
from facerec_cli.tables.paths import form

_DIGITS = re.compile(r"[0-9]{1,18}")
_REST = re.compile(r"[)\]]*([ _.-][0-9]+)?")  # facenet's alignment adds the number of the face
_LFW = re.compile(r"(?P<folder>(?:.*/)?)(?P<name>[^/]+)/(?P=name)_(?P<number>[0-9]+)")


class NumberedPhotos:
    """Photos by the person whose folder or name they have, and the number in their name.

    A photo is meant by a number where it is the only one of the person that has it: at the end of its name,
    or before the number of a face. Zeros before a number do not count, and the suffix does not.
    """

    def __init__(self) -> None:
        self._of_name: dict[tuple[str, str, int], set[str]] = {}
        self._of_folder: dict[tuple[str, int], set[str]] = {}

    def add(self, folder: str, file: str, path: str) -> None:
        """Take in a photo.

        Args:
            folder: The folder that it lies in, as :meth:`find` is asked for it.
            file: Its name.
            path: What to answer.
        """
        stem, suffix = os.path.splitext(file)  # noqa: PTH122 - vector files have millions of names
        if suffix.lower() not in IMAGE_SUFFIXES:
            return
        for digits in _DIGITS.finditer(stem):
            if _REST.fullmatch(stem[digits.end() :]):
                number = int(digits[0])
                name = form(stem[: digits.start()].rstrip(" _.-(["))
                self._of_name.setdefault((folder, name, number), set()).add(path)
                self._of_folder.setdefault((folder, number), set()).add(path)

    def find(self, folder: str, name: str, number: int, *, any_name: bool) -> str | None:
        """The one photo of a person with a number; None where there is none, or several.

        Args:
            folder: Where to look.
            name: The person.
            number: Of the photo.
            any_name: Whether all photos of the folder are of the person, so that they need not have the name.
        """
        photos = self._of_name.get((folder, form(name), number), set())
        if not photos and any_name:
            photos = self._of_folder.get((folder, number), set())
        return next(iter(photos)) if len(photos) == 1 else None


class NumberedOnDisk:
    """The same for photos on a disk, whose folders are listed when they are asked for."""

    def __init__(self) -> None:
        self._photos, self._listed = NumberedPhotos(), set[str]()

    def find(self, root: Path, stem: str) -> Path | None:
        """The photo that LFW's name means.

        Args:
            root: Where the list's paths start.
            stem: ``name/name_0001``.
        """
        parts = numbered(stem)
        if parts is None:
            return None
        above, name, number = parts
        for folder, any_name in ((root / above / name, True), (root / above, False)):
            self._list(folder)
            photo = self._photos.find(str(folder), name, number, any_name=any_name)
            if photo is not None:
                return Path(photo)
        return None

    def _list(self, folder: Path) -> None:
        if str(folder) in self._listed:
            return
        self._listed.add(str(folder))
        for entry in photos_in(folder):
            self._photos.add(str(folder), entry.name, str(entry))


def numbered(stem: str) -> tuple[str, str, int] | None:
    """Folder, person and number of ``folder/name/name_0001``; None for another name."""
    match = _LFW.fullmatch(stem.replace("\\", "/"))
    return (match["folder"].rstrip("/"), match["name"], int(match["number"])) if match else None


def photos_in(folder: Path) -> Iterator[Path]:
    """The photos that lie directly in a folder, by name; none where it cannot be listed."""
    try:
        with os.scandir(folder) as scan:
            names = sorted(entry.name for entry in scan)
    except (OSError, ValueError):
        return
    for name in names:
        if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
            yield folder / name
