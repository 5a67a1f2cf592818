"""Results of several files, or a folder: made in a hidden place, and moved to theirs when all is whole."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from facerec_cli.errors import FacerecError
from facerec_cli.files import atomic_write, beside, lock, writing

_JOURNAL = ".moving"


@contextlib.contextmanager
def workshop(
    target: Path, places: Iterable[Path] = (), *, busy: FacerecError | None = None, hint: str = ""
) -> Iterator[Path]:
    """A hidden folder beside ``target`` to make things in, gone at the end; one process at a time.

    What a killed process has left there is cleared away first, and of files that it was just bringing to
    their places with :func:`move` those that had arrived: without the others they are no result.

    Args:
        target: What is made.
        places: Where files are moved to from here; no others are ever taken away again.
        busy: What is raised where another process makes the same; a UsageError by default.
        hint: What more there is to do where it cannot be written.

    Raises:
        UsageError: Another process makes the same.
        OutputError: Nothing can be written there.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100 - a link as target is none of ours to follow
    with lock(target, busy=busy, hint=hint) as held:
        folder = beside(target, "tmp" if held else f"{os.getpid()}.tmp")
        with writing(target, hint=hint):
            _clear(target, folder, places)
            folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            _clear(target, folder, places)


def clear_workshop(target: Path, places: Iterable[Path] = ()) -> None:
    """Clear away what a killed process has left of ``target``, for who asks whether it is there already.

    Raises:
        UsageError: Another process is making it now.
        OutputError: Nothing can be written there.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100
    if any(os.path.lexists(beside(target, ending)) for ending in ("tmp", "old", "lock")):
        with lock(target) as held:
            if held:
                _clear(target, beside(target, "tmp"), places)


def _clear(target: Path, folder: Path, places: Iterable[Path]) -> None:
    ours = {os.path.abspath(place) for place in places}  # noqa: PTH100
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        moves = json.loads((folder / _JOURNAL).read_text("utf-8"))
        left = [made for made in moves if os.path.lexists(folder / made)]
        for made, place in moves.items():
            if left and place in ours and made not in left:
                Path(place).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    old = beside(target, "old")  # a folder that was out of its place when its successor was not yet in it
    with contextlib.suppress(OSError):
        if old.is_dir() and not os.path.lexists(target):
            old.replace(target)
        if old.is_symlink():
            old.unlink()
    shutil.rmtree(old, ignore_errors=True)


def move(folder: Path, moves: Mapping[Path, Path], *, what: str = "", hint: str = "") -> None:
    """Bring finished files from a :func:`workshop` to their places, the last one as the sign of all.

    A fault or a kill in between takes away again what has arrived.

    Args:
        folder: The workshop.
        moves: Made file -> place; of places that are on another disk the file is copied first.
        what: What they are, for the message.
        hint: What more there is to do where one cannot be written.

    Raises:
        OutputError: A place cannot be written.
    """
    places = {made.name: os.path.abspath(place) for made, place in moves.items()}  # noqa: PTH100
    journal = folder / _JOURNAL
    for made, place in moves.items():
        with writing(place, what=what, hint=hint):
            place.parent.mkdir(parents=True, exist_ok=True)
            with made.open("rb+") as stream:
                os.fsync(stream.fileno())
    first = next(iter(moves.values()))
    with writing(first, what=what, hint=hint), journal.open("w", encoding="utf-8") as text:
        json.dump(places, text)
        text.flush()
        os.fsync(text.fileno())
    for made, place in moves.items():
        with writing(place, what=what, hint=hint):
            if made.stat().st_dev == place.parent.stat().st_dev:
                made.replace(place)
                continue
        with made.open("rb") as source, atomic_write(place, what=what, hint=hint) as target:
            shutil.copyfileobj(source, target)
        made.unlink()
    journal.unlink()


@contextlib.contextmanager
def atomic_folder(
    target: Path, *, replace: bool = False, busy: FacerecError | None = None, hint: str = ""
) -> Iterator[Path]:
    """A new folder that takes the place of ``target``, an empty folder or none, when the block ends well.

    Args:
        target: Where it appears.
        replace: A folder with something in it gives way too; it stays in its place until the block ends.
        busy: As for :func:`workshop`.
        hint: As for :func:`workshop`.

    Raises:
        UsageError: Another process makes the same.
        OutputError: It cannot be written.
    """
    with workshop(target, busy=busy, hint=hint) as folder:
        yield folder
        with writing(target, hint=hint):
            if replace and target.is_dir():
                target.replace(beside(target, "old"))
            elif target.is_dir() and not target.is_symlink():
                target.rmdir()
            folder.replace(os.path.realpath(target) if target.is_symlink() else target)
