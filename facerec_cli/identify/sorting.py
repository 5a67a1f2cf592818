"""Photos sorted by person: a folder a person, and ``unknown`` for faces of nobody in the gallery.

Nothing that is there is ever replaced: a file of the same content is the one that was wanted, and one of
another content has its name alone. So a run that was killed is finished by running it again.
"""

# ruff: noqa: PTH116, PTH119
from __future__ import annotations

import contextlib
import filecmp
import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from facerec_cli.files import atomic_write, lock, make_folder, writing
from facerec_cli.identify.result import Identification
from facerec_cli.images.remote import is_url
from facerec_cli.progress import Progress, silent

UNKNOWN = "unknown"

_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))]
)
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]')
_LONGEST = 120  # bytes of a folder's name; disks take 255, some encrypted ones 143


@dataclass(frozen=True, slots=True)
class SortedPhotos:
    """What was sorted.

    Attributes:
        folder: Where to.
        made: How many files or links were made.
        there: How many were there already.
        left: Photos that could not be sorted -> why.
        others: How many folders are there besides those that photos were sorted into.
    """

    folder: Path
    made: int = 0
    there: int = 0
    left: Mapping[str, str] = field(default_factory=dict)
    others: int = 0

    def document(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"folder": str(self.folder), "made": self.made, "there": self.there, "left": dict(self.left)}


def sort_photos(
    found: Identification, folder: Path, *, link: str = "none", progress: Progress = silent
) -> SortedPhotos:
    """Put each photo with a face into the folders of the people on it, or into ``unknown``.

    Args:
        found: A search that made claims. Photos without a face are left where they are.
        folder: Where to; it is made.
        link: ``none`` copies; ``hard`` or ``symbolic`` links.
        progress: Told the photos done.

    Raises:
        OutputError: Something cannot be written.
        UsageError: Another process sorts into this folder now.
    """
    return put_photos(_folders_of_photos(found), folder, link=link, progress=progress)


def put_photos(
    wanted: Mapping[str, Sequence[str]], folder: Path, *, link: str = "none", progress: Progress = silent
) -> SortedPhotos:
    """Put photos into folders of a folder; see :func:`sort_photos`.

    Args:
        wanted: Photo -> names of the folders that it goes to, which :func:`folder_names` has made.
        folder: Where these are; it is made.
        link: ``none`` copies; ``hard`` or ``symbolic`` links.
        progress: Told the photos done.
    """
    make_folder(folder)
    counts = {True: 0, False: 0}
    left: dict[str, str] = {}
    with lock(folder, inside=True):
        for done, (photo, names) in enumerate(wanted.items(), 1):
            for name in names:
                try:
                    counts[_put(photo, make_folder(folder / name), link)] += 1
                except _UnreadablePhotoError as fault:
                    left[photo] = str(fault)
            progress(done, len(wanted))
    own = {name for names in wanted.values() for name in names}
    others = sum(one.is_dir() and one.name not in own and one.name[0] != "." for one in folder.iterdir())
    return SortedPhotos(folder, counts[True], counts[False], left, others)


def folder_names(people: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each person with the name of their folder, which every system takes and no other person has.

    A name that cannot be one, or that another person's differs from only in case, has eight digits of its
    sha256 at its end.
    """
    taken = {UNKNOWN}
    for person in people:
        name = unicodedata.normalize("NFC", person)
        safe = _UNSAFE.sub("_", name).strip(" .")
        safe = safe.encode()[:_LONGEST].decode("utf-8", "ignore").rstrip(" .") or "person"
        key = safe.casefold()
        if safe != name or key in taken or key.partition(".")[0] in _RESERVED or safe.startswith(".facerec"):
            digits = hashlib.sha256(person.encode("utf-8", "surrogatepass")).hexdigest()[:8]
            safe = f"{safe}-{digits}" if key.partition(".")[0] not in _RESERVED else f"_{safe}-{digits}"
        taken.add(safe.casefold())
        yield person, safe


def _folders_of_photos(found: Identification) -> dict[str, list[str]]:
    """The folders that each photo with a face goes to."""
    folder_of = dict(folder_names(found.gallery.names))
    wanted: dict[str, list[str]] = {}
    for record, face in found.faces():
        if face < 0:
            continue
        names = wanted.setdefault(record["path"], [])
        if found.known[face]:
            name = folder_of[found.gallery.names[found.people[face, 0]]]
            if name not in names:
                names.append(name)
    return {photo: names or [UNKNOWN] for photo, names in wanted.items()}


class _UnreadablePhotoError(Exception):
    """A photo that cannot be copied for a reason of its own."""


def _put(photo: str, folder: Path, link: str) -> bool:
    """Put a photo into a folder; False where it is there already."""
    if is_url(photo):
        raise _UnreadablePhotoError("it is not on this disk")
    source = photo.removeprefix("file://")
    stem, suffix = os.path.splitext(os.path.basename(source))  # noqa: PTH122
    for number in count(1):
        place = folder / (f"{stem}-{number}{suffix}" if number > 1 else f"{stem}{suffix}")
        if not os.path.lexists(place):
            break
        try:
            if place.is_file() and filecmp.cmp(source, place, shallow=False):
                return False
        except OSError as fault:
            raise _UnreadablePhotoError(str(fault.strerror or fault)) from fault
    if link == "none":
        _copy(source, place)
        return True
    try:
        os.stat(source)
    except OSError as fault:
        raise _UnreadablePhotoError(str(fault.strerror or fault)) from fault
    with writing(place, what="link", hint="Other disks take copies only: --link none."):
        if link == "hard":
            os.link(os.path.realpath(source), place)
        else:
            place.symlink_to(os.path.abspath(source))  # noqa: PTH100 - a link of the user's stays one
    return True


def _copy(source: str, place: Path) -> None:
    try:
        content = open(source, "rb")  # noqa: SIM115, PTH123 - closed below; its fault is the photo's own
    except OSError as fault:
        raise _UnreadablePhotoError(str(fault.strerror or fault)) from fault
    with content, atomic_write(place, what="copy") as target:
        shutil.copyfileobj(content, target)
    with contextlib.suppress(OSError):  # its time of day; some disks keep none
        shutil.copystat(source, place)
