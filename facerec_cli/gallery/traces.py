"""Whether bytes of a person are anywhere in a gallery's files or in the caches: everything is read again."""

from __future__ import annotations

import mmap
import os
import re
import struct
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.cache import cache_path
from facerec_cli.gallery.facts import FILE as FACTS
from facerec_cli.gallery.folder import LOCK, GalleryFolder
from facerec_cli.gallery.info import FILE
from facerec_cli.gallery.vectors import SEGMENT, Rows

_WORDS = frozenset([b"SQLite format 3\0"])
_OURS = frozenset([FILE, FACTS, f"{FACTS}-journal", LOCK, "vectors", "crops", "index"])
_SEGMENT = re.compile(r"(faces|templates)-\d+\.npy")
_CHANCE = 1e-3  # of finding a name in a file of other things
_BLOCK = 8192  # rows that are compared together


@dataclass(frozen=True, slots=True)
class Traces:
    """What was read, and found.

    Attributes:
        files: How many files were read.
        bytes: How many bytes they have.
        disk: How many of them are on the disk; zeros that were never written are not.
        left: Where something was found, for a person.
        by_hand: Files and folders among them that are not the gallery's, which no command erases.
        foreign: How many other files are not the gallery's; whom photos among them show nobody has looked.
        shared: Rows with a vector of the person that are facts of other people.
        mentions: Facts of other people in which the name can be read, for a person: paths of their photos.
    """

    files: int
    bytes: int
    disk: int
    left: tuple[str, ...]
    shared: int
    mentions: tuple[str, ...]
    by_hand: tuple[str, ...]
    foreign: int


def foreign_paths(folder: GalleryFolder) -> list[Path]:
    """Files and folders in a gallery's folder that facerec has not put there; ``damage`` tells of crops."""
    found = []
    for path in sorted(folder.path.rglob("*")):
        where = path.parent.relative_to(folder.path).parts
        ours = path.name in _OURS if not where else len(where) == 1 and where[0] in ("crops", "index")
        if where == ("vectors",):
            ours = _SEGMENT.fullmatch(path.name) is not None
        if where and path.is_dir():
            ours = False
        if not ours and not path.name.startswith("."):  # those are of work that is going on, or the system's
            found.append(path)
    return found


def find_traces(
    folder: GalleryFolder, name: str, vectors: NDArray[np.float32], crops: Sequence[bytes]
) -> Traces:
    """Look for a person's name, vectors and crops in every file of the gallery and in the embedding cache.

    What other people's facts say is no trace: a photo of theirs may lie in a folder of that name, and names
    may contain each other.

    Args:
        folder: The gallery, from which the person is gone.
        name: What they were called.
        vectors: (F, D) float32, as they were stored.
        crops: As they were stored.
    """
    names = {unicodedata.normalize(form, name).encode() for form in ("NFC", "NFD")}
    others = _values_with(folder, names)
    needles = {vector.tobytes() for vector in vectors}
    left: list[str] = []
    by_hand: list[Path] = []
    size = disk = shared = 0
    own = [path for path in sorted(folder.path.rglob("*")) if path.is_file() and path.name != LOCK]
    foreign = foreign_paths(folder)
    files = [*own, *_caches()]
    for path in files:
        about = path.stat()
        size += about.st_size
        disk += min(about.st_size, 512 * getattr(about, "st_blocks", about.st_size))
        before = len(left)
        if path.parent == folder.crops:
            left += [f"a crop: {path}"] if path.read_bytes() in crops else []
        elif path.parent != folder.faces.folder:  # rows are compared as such below
            known = {value for _, value in others} if path == folder.facts.path else None
            searched = set() if path.name == FILE else names
            left += [f"{what} in {path}" for what in _found(path, needles, searched, known)]
        if len(left) > before and (path in foreign or path.parent == folder.crops):
            by_hand.append(path)
    named = [path for path in foreign if any(one in os.fsencode(path.name) for one in names)]
    left += [f"the name of {path}" for path in named]
    by_hand += [path for path in named if path not in by_hand]
    for rows, table in ((folder.faces, "face"), (folder.templates, "person")):
        same = set(_rows_like(rows, vectors))
        owned = {row[0] for row in folder.facts.all(f"SELECT row FROM {table}")}
        shared += len(same & owned)
        left += [f"a vector in row {row} of {rows.kind}" for row in sorted(same - owned)]
    told = tuple(map(str, by_hand))
    unknown = sum(path.is_file() and path not in by_hand for path in foreign)
    return Traces(len(files), size, disk, tuple(left), shared, _mentions(others), told, unknown)


def _found(
    path: Path, needles: Iterable[bytes], names: Iterable[bytes], known: Set[bytes] | None
) -> Iterator[str]:
    """What of a person is in a file.

    Args:
        path: The file.
        needles: Vectors.
        names: The name. One so short that it stands in such a file by chance is not looked for.
        known: Of the file of facts the values of other people that have the name in them.
    """
    size = path.stat().st_size
    if not size:
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if any(data.find(one) >= 0 for one in needles):
            yield "a vector"
        for name in names:
            by_chance = len(name) < 3 if known is not None else size > _CHANCE * 256 ** len(name)
            if not by_chance and _is_loose(data, name, (known or set()) | _WORDS):
                yield "the name"
                return


def _is_loose(data: mmap.mmap, name: bytes, known: Set[bytes]) -> bool:
    """Whether a name stands in a file where it is no part of a known value."""
    places = {(at.start(), len(value)) for value in known for at in re.finditer(re.escape(name), value)}
    at = data.find(name)
    while at >= 0:
        if not any(data[at - start : at - start + size] in known for start, size in places if start <= at):
            return True
        at = data.find(name, at + 1)
    return False


def _mentions(others: Iterable[tuple[str, bytes]]) -> tuple[str, ...]:
    counts = Counter(column for column, _ in others)
    told = {"path": "path of a photo", "name": "name of somebody else", "note": "note"}
    return tuple(f"{counts[column]:,} x the {what}" for column, what in told.items() if counts[column])


def _caches() -> Iterator[Path]:
    for path in (cache_path(), *(Path(f"{cache_path()}{end}") for end in ("-journal", "-wal"))):
        if path.is_file():
            yield path


def _values_with(folder: GalleryFolder, names: Iterable[bytes]) -> set[tuple[str, bytes]]:
    """(column, value) of the facts of others in which one of these names can be read."""
    found = set()
    for table, columns in _TEXTS.items():
        for row in folder.facts.all(f"SELECT {', '.join(columns)} FROM {table}"):
            for column, value in zip(columns, row, strict=True):
                data = _bytes(value)
                if any(name in data for name in names):
                    found.add((column, data))
    return found


_TEXTS = {
    "person": ("name", "note", "created", "expires"),
    "face": ("path", "crop", "added", "photo", "box", "landmarks", "score", "norm"),
    "card": ("document", "created"),
    "state": ("key",),
    "loose": ("kind",),
    "free": ("kind",),
    "sqlite_schema": ("sql", "name", "tbl_name", "type"),
    "sqlite_sequence": ("name",),
}


def _bytes(value: Any) -> bytes:
    """As SQLite stores it."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, float):
        return struct.pack(">d", value)
    return value if isinstance(value, bytes) else b""


def _rows_like(rows: Rows, vectors: NDArray[np.float32]) -> Iterator[int]:
    """The rows that hold one of these vectors, to the last bit."""
    if not len(vectors):
        return
    keys = (
        np.unique(np.ascontiguousarray(vectors[:, :2]).view(np.uint64).ravel())
        if vectors.shape[1] > 1
        else None
    )
    wanted = {vector.tobytes() for vector in vectors}
    number = 0
    while rows.path(number).is_file():
        segment = rows.segment(number)
        for start in range(0, SEGMENT, _BLOCK):
            block = np.asarray(segment[start : start + _BLOCK])
            at = np.arange(len(block))
            if keys is not None:
                at = np.flatnonzero(np.isin(np.ascontiguousarray(block[:, :2]).view(np.uint64).ravel(), keys))
            for row in at.tolist():
                if block[row].tobytes() in wanted:
                    yield number * SEGMENT + start + row
        number += 1
