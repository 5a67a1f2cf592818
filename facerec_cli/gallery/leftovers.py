"""What a killed upgrade has left beside a gallery: put back where the gallery is missing, else erased.

An upgrade makes the new gallery in a hidden folder beside, moves the old one out of its place and the new one
in. Both moves are at once each; a kill between them leaves the old one whole, under a hidden name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from facerec_cli.errors import UsageError
from facerec_cli.files import beside, lock, writing
from facerec_cli.gallery.folder import LOCK, clear


def put_back(gallery: Path) -> None:
    """Bring a gallery that is out of its place back to it; one that is there is left alone.

    Raises:
        UsageError: Another process is just upgrading it.
        OutputError: It cannot be moved.
    """
    old = beside(gallery, "old")
    if not _is_missing(gallery) or not old.is_dir():
        return
    with lock(gallery), writing(gallery):
        if _is_missing(gallery):
            move_in(old, gallery)


def move_in(folder: Path, gallery: Path) -> None:
    """Bring a folder to the place of a gallery, which is free but for the lock of somebody who waits for it.

    Raises:
        OSError: It cannot be moved.
    """
    for left in reversed(range(100)):
        try:
            folder.replace(gallery)
            return
        except OSError:
            if not left or not _is_missing(gallery):
                raise
            shutil.rmtree(gallery, ignore_errors=True)


def _is_missing(gallery: Path) -> bool:
    """Whether nothing is at a gallery's place but the lock of a writer, who makes a folder for it."""
    return not os.path.lexists(gallery) or (gallery.is_dir() and not {*os.listdir(gallery)} - {LOCK})  # noqa: PTH208


def erase_leftovers(gallery: Path) -> None:
    """Overwrite and remove what lies beside a gallery; for who has it open for writing.

    Raises:
        OutputError: Something cannot be overwritten.
    """
    places = [beside(gallery, ending) for ending in ("tmp", "old", "lock")]
    if not any(map(os.path.lexists, places)):
        return
    with contextlib.suppress(UsageError), lock(gallery):  # a reader may just be putting back
        for place in places[:2]:
            if place.exists():
                erase_folder(place)


def erase_folder(folder: Path) -> int:
    """Overwrite all files of a folder with zeros, and remove it; gives how many.

    Raises:
        OutputError: Something cannot be overwritten.
    """
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    for path in files:
        clear(path)
    shutil.rmtree(folder, ignore_errors=True)
    return len(files)
