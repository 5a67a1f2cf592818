"""Forgetting: facts are deleted, what they pointed to is overwritten, and all is read again as proof."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.cache import EmbeddingCache, cache_path
from facerec_cli.errors import InputError
from facerec_cli.files import writing
from facerec_cli.gallery.facts import let_go
from facerec_cli.gallery.folder import GalleryFolder, clear
from facerec_cli.gallery.person import Person
from facerec_cli.gallery.traces import Traces, find_traces
from facerec_cli.gallery.vectors import SEGMENT

log = logging.getLogger("facerec")


@dataclass(frozen=True, slots=True)
class RemovalProof:
    """What was erased with a person, and what was found when all files were read again.

    Attributes:
        person: The name.
        faces: How many faces they had, each a vector that was overwritten with zeros.
        crops: How many crops were overwritten and removed.
        cached: How many embeddings of their photos were deleted from the cache.
        index: Whether there was an index, which is removed; it is built anew when it is wanted.
        scanned_files: How many files were read for the proof: those of the gallery, and the caches.
        scanned_bytes: How many bytes they have.
        disk_bytes: How many of them are on the disk; zeros that were never written are not.
        left: Where bytes of the name, a vector or a crop are found still, for a person; empty where they are
            nowhere.
        shared: Faces of other people with the very same vector, since the same photo was enrolled for both.
        mentions: Facts of other people in which the name can be read, for a person: paths of their photos.
        by_hand: Files and folders of ``left`` that are not the gallery's, which no command erases.
        foreign: How many other files are not the gallery's; whom photos among them show nobody has looked.
    """

    person: str
    faces: int
    crops: int
    cached: int
    index: bool
    scanned_files: int
    scanned_bytes: int
    left: tuple[str, ...]
    shared: int = 0
    mentions: tuple[str, ...] = ()
    disk_bytes: int = 0
    by_hand: tuple[str, ...] = ()
    foreign: int = 0

    @property
    def proven(self) -> bool:
        """Whether nothing was found."""
        return not self.left

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        texts = {"left": [*self.left], "mentions": [*self.mentions], "by_hand": [*self.by_hand]}
        return {**asdict(self), **texts, "proven": self.proven}


def remove(folder: GalleryFolder, person: Person) -> RemovalProof:
    """Erase a person, and prove it.

    Args:
        folder: Open for writing.
        person: Who.

    Raises:
        OutputError: Something cannot be overwritten. The person is not searched for any more; the next change
            of the gallery goes on with the rest.
    """
    faces = folder.facts.faces("WHERE person = ?", (person.id,))
    vectors = folder.faces.read([face.row for face in faces])
    template = folder.templates.read(folder.facts.all("SELECT row FROM person WHERE id = ?", (person.id,))[0])
    crops = [
        (folder.crops / face.crop).read_bytes() for face in faces if (folder.crops / face.crop).is_file()
    ]
    had_index = folder.index.exists()
    with folder.facts.change() as base:
        let_go(base, "faces", [face.row for face in faces])
        let_go(base, "crop", [face.crop for face in faces if face.crop])
        let_go(base, "photo", [bytes.fromhex(face.photo_sha256) for face in faces])
        base.execute("DELETE FROM face WHERE person = ?", (person.id,))
        forget_people(base, [person.id])
    cached = sweep(folder)
    found = find_traces(folder, person.name, np.concatenate([vectors, template]), crops)
    return RemovalProof(
        person.name,
        len(faces),
        sum(bool(face.crop) for face in faces),
        cached,
        had_index,
        found.files,
        found.bytes,
        found.left,
        found.shared,
        found.mentions,
        found.disk,
        found.by_hand,
        found.foreign,
    )


def forget_people(base: sqlite3.Connection, people: Sequence[int]) -> None:
    """Delete people who have no face any more; their templates and the index are loose."""
    for one in people:
        let_go(base, "templates", base.execute("SELECT row FROM person WHERE id = ?", (one,)).fetchone())
        base.execute("DELETE FROM person WHERE id = ?", (one,))
    let_go(base, "index", [0])
    base.execute("UPDATE state SET value = 1 WHERE key = 'vacuum'")


def sweep(folder: GalleryFolder) -> int:
    """Erase what no fact points to, make stale templates anew, and write the facts without deleted ones.

    Args:
        folder: Open for writing.

    Returns:
        How many embeddings the cache has lost.

    Raises:
        OutputError: Something cannot be written; it stays loose.
    """
    folder.facts.drop_journal()
    loose = folder.facts.all("SELECT kind, what FROM loose")
    of: dict[str, list[Any]] = {}
    for kind, what in loose:
        of.setdefault(kind, []).append(what)
    cached = 0
    if "photo" in of:  # first, while the vectors are still there to be looked for
        try:
            cached = _forget_cached(of["photo"], folder.faces.read(folder.faces.there(of.get("faces", []))))
        except sqlite3.Error as fault:
            log.warning(
                "The cache of embeddings cannot be cleaned now: %s. The next change tries again.", fault
            )
            loose = [one for one in loose if one[0] != "photo"]
    for rows in (folder.faces, folder.templates):
        rows.erase(of.get(rows.kind, []))
    for crop in of.get("crop", []):
        clear(folder.crops / Path(crop).name)
    if "index" in of and folder.index.exists():
        with writing(folder.index):
            shutil.rmtree(folder.index)
    if loose:
        with folder.facts.change() as base:
            now = int(time.time())
            freed = [(kind, row, now) for kind in ("faces", "templates") for row in of.get(kind, [])]
            base.executemany("INSERT OR IGNORE INTO free VALUES (?, ?, ?)", freed)
            base.executemany("DELETE FROM loose WHERE kind = ? AND what = ?", loose)
    _mend_templates(folder)
    folder.write_templates([row[0] for row in folder.facts.all("SELECT id FROM person WHERE stale")])
    if folder.facts.state("vacuum"):
        folder.facts.vacuum()
    return cached


def _mend_templates(folder: GalleryFolder) -> None:
    """Take away files of templates that are damaged, which are made anew of the faces."""
    highest = folder.facts.one("SELECT max(row) FROM person")
    for number in range(0 if highest is None else highest // SEGMENT + 1):
        try:
            folder.templates.segment(number)
        except InputError as fault:
            log.warning("%s It is made anew of the faces.", fault.message)
            clear(folder.templates.path(number))
            with folder.facts.change() as base:
                ends = (number * SEGMENT, (number + 1) * SEGMENT)
                base.execute("UPDATE person SET stale = 1 WHERE row >= ? AND row < ?", ends)


def find_name(folder: GalleryFolder, name: str) -> Traces:
    """Where the bytes of a name are found still."""
    return find_traces(folder, name, np.zeros((0, folder.info.dimensions), np.float32), [])


def _forget_cached(photos: Sequence[bytes], vectors: NDArray[np.float32]) -> int:
    if not cache_path().is_file():
        return 0
    cache = EmbeddingCache(cache_path())
    try:
        return cache.forget(photos, vectors)
    finally:
        cache.close()
