"""A gallery on the disk: enrolled people with their faces, opened to read or to change."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import UsageError
from facerec_cli.files import make_folder, write_file
from facerec_cli.gallery import calibrate, changes, erase, info
from facerec_cli.gallery.candidates import CandidatePeople
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.facts import create_facts
from facerec_cli.gallery.folder import GalleryFolder, write_lock
from facerec_cli.gallery.leftovers import erase_leftovers, put_back
from facerec_cli.gallery.people import read_enrolled
from facerec_cli.gallery.person import FaceFacts, GalleryFace, Person, person_name
from facerec_cli.gallery.vectors import unit
from facerec_cli.metrics.scores import Vectors
from facerec_cli.metrics.search_threshold import SearchThreshold
from facerec_cli.progress import Progress, silent
from facerec_cli.workshop import atomic_folder

log = logging.getLogger("facerec")

WAIT = 10.0
"""Seconds for which a writer waits for another one."""


def open_gallery(path: str | Path, *, write: bool = False, wait: float = WAIT) -> Gallery:
    """Open a gallery; a context manager.

    Args:
        path: ``NAME`` or ``NAME.gallery``, which are one folder.
        write: Whether it is changed; one process at a time. Readers work beside it.
        wait: Seconds to wait for another writer.

    Raises:
        InputError: It is not there, is no gallery, is damaged, or is one of a newer facerec.
        UsageError: Another process is changing it.
    """
    folder = info.gallery_path(path)
    put_back(folder)
    return Gallery(folder, write=write, wait=wait)


def create_gallery(
    path: str | Path,
    model: ModelInfo,
    dimensions: int,
    settings: Mapping[str, Any] | None = None,
    *,
    crops: bool = False,
) -> Gallery:
    """Make an empty gallery, and open it for writing.

    Args:
        path: ``NAME`` or ``NAME.gallery``.
        model: What its embeddings are made by. Those of another are refused from now on.
        dimensions: D, how many numbers an embedding has.
        settings: How else they are made, as ``embed.EmbedOptions`` has it.
        crops: Whether the aligned crop of each face is kept.

    Raises:
        UsageError: Something of that name is there.
        OutputError: It cannot be written.
    """
    folder = info.gallery_path(path)
    put_back(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists.", hint="Choose another name, or remove it first.")
    made = info.new_info(model, dimensions, settings or {}, crops=crops)
    with atomic_folder(folder) as place:
        create_facts(place)
        make_folder(place / "vectors")
        if crops:
            make_folder(place / "crops")
        write_file(place / info.FILE, info.info_toml(made))
    return Gallery(folder, write=True)


class Gallery:
    """Enrolled people; made by :func:`open_gallery` and :func:`create_gallery`.

    Attributes:
        path: The folder.
        info: What it is bound to.

    Every method raises ``InputError`` where files are damaged. Those that change something raise
    ``UsageError`` where it was not opened for that, and ``OutputError`` where it cannot be written: then
    nothing was changed.
    """

    def __init__(self, path: Path, *, write: bool = False, wait: float = WAIT) -> None:
        self.path = path
        self._writes = write
        with contextlib.ExitStack() as stack:
            if write:
                info.read_info(path)  # a folder that is none must not get a lock
                stack.enter_context(write_lock(path, wait))
                erase_leftovers(path)
            self._folder = GalleryFolder(path, write=write)
            stack.callback(self._folder.close)
            self.info = self._folder.info
            if write:
                erase.sweep(self._folder)
            self._stack = stack.pop_all()
        self._enrolled: tuple[int, EnrolledPeople] | None = None

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let all files, and the lock, go."""
        self._enrolled = None
        self._stack.close()

    @property
    def name(self) -> str:
        """What the gallery is called."""
        return self.path.name.removesuffix(info.SUFFIX)

    @property
    def generation(self) -> int:
        """A number that grows with each change."""
        return self._folder.facts.state("generation")

    def people(self) -> tuple[Person, ...]:
        """The people, in the order in which they were enrolled."""
        return self._folder.facts.people()

    def person(self, name: str | int | Person) -> Person:
        """One of the people, by name or number.

        Raises:
            InputError: Nobody is called so; the nearest name is told.
        """
        return self._folder.facts.find(person_name(name) if isinstance(name, str) else name)

    def faces(self, person: str | int | Person | None = None) -> tuple[GalleryFace, ...]:
        """The faces of one person or of all, in the order in which they were enrolled."""
        if person is None:
            return self._folder.facts.faces()
        return self._folder.facts.faces("WHERE person = ?", (self.person(person).id,))

    def vectors(self, faces: Sequence[GalleryFace]) -> NDArray[np.float32]:
        """(F, D) float32 of unit length, a copy."""
        return self._folder.faces.read([face.row for face in faces])

    def crop(self, face: GalleryFace) -> Path | None:
        """Where the aligned crop of a face is; None where there is none."""
        return self._folder.crops / face.crop if face.crop else None

    def enrolled(self) -> EnrolledPeople:
        """What a search needs: the people whose date has not expired, their templates memory-mapped.

        It is of this moment; what is enrolled or removed later is not in it.
        """
        generation = self.generation
        if self._enrolled is None or self._enrolled[0] != generation:
            self._enrolled = generation, read_enrolled(self._folder, str(self.path))
        return self._enrolled[1]

    def add(
        self,
        person: str,
        vectors: NDArray[np.float32],
        facts: Sequence[FaceFacts] = (),
        *,
        expires: str = "",
        note: str = "",
    ) -> tuple[int, ...]:
        """Add faces of one person, who is there or is new; see :meth:`add_faces`."""
        return self.add_faces([person] * len(vectors), vectors, facts, expires=expires, note=note)

    def add_faces(
        self,
        people: Sequence[str],
        vectors: NDArray[np.float32],
        facts: Sequence[FaceFacts] = (),
        *,
        expires: str = "",
        note: str = "",
    ) -> tuple[int, ...]:
        """Add faces, all or none.

        Args:
            people: F names, the person of each face.
            vectors: (F, D); rows that are not of unit length are brought to it.
            facts: F, or none.
            expires: A date ``YYYY-MM-DD`` that is kept with these people, where it is not "".
            note: A text, the same.

        Returns:
            The ids of the faces.

        Raises:
            InputError: A name or a vector cannot be used; nothing was added.
        """
        return changes.add_faces(self._open(), people, vectors, facts, expires=expires, note=note)

    def annotate(
        self, person: str | int | Person, *, expires: str | None = None, note: str | None = None
    ) -> None:
        """Keep an expiry date or a note with a person; "" takes it away."""
        changes.annotate(self._open(), self.person(person), expires, note)

    def rename(self, person: str | int | Person, name: str, *, forget_paths: bool = False) -> tuple[str, ...]:
        """Call a person something else, and overwrite the old name; gives where that can be read still.

        ``forget_paths`` also forgets where their photos are, since folders are often called as people are.
        """
        return changes.rename(self._open(), self.person(person), name, forget_paths=forget_paths)

    def merge(self, person: str | int | Person, into: str | int | Person) -> None:
        """Make one person of two: all faces are those of ``into``, and the name of the first is gone."""
        changes.merge(self._open(), self.person(person), self.person(into))

    def split(self, faces: Sequence[GalleryFace | int], name: str) -> Person:
        """Make some faces of a person those of a new one."""
        ids = [face if isinstance(face, int) else face.id for face in faces]
        changes.split(self._open(), ids, name)
        return self.person(name)

    def remove(self, person: str | int | Person) -> erase.RemovalProof:
        """Erase a person: facts, vectors, crops, what is cached of their photos; then read all as proof."""
        return erase.remove(self._open(), self.person(person))

    def enroll(self, vectors: NDArray[np.float32], people: Sequence[str]) -> tuple[int, ...]:
        """Add (F, D) embeddings of F named people; for those who make embeddings themselves."""
        return self.add_faces(people, vectors)

    def identify(self, vectors: NDArray[np.float32], k: int = 5) -> CandidatePeople:
        """The ``k`` nearest people of each of (M, D) embeddings."""
        enrolled = self.enrolled()
        people, scores = enrolled.search(unit(vectors), k)
        return CandidatePeople(enrolled.names, people, scores, self.threshold)

    def threshold(self, fpir: float) -> SearchThreshold:
        """The threshold at a rate: of the card, moved to the number of people; without one it is measured.

        Raises:
            InputError: Nobody is enrolled.
            UsageError: ``fpir`` is no rate between 0 and 1.
        """
        people = len(self.enrolled())
        return calibrate.card_at(self.cards(), fpir, people, str(self.path)) or self.calibrate(fpir)

    def calibrate(
        self, fpir: float = 0.01, *, outsiders: Vectors | None = None, progress: Progress = silent
    ) -> SearchThreshold:
        """Measure the threshold at which a share ``fpir`` of searches for strangers gives a name.

        It rests on ``outsiders``, (S, D) embeddings of strangers, one photo each; on each person searched for
        among the others; or on the model's impostor tail: the first of them that can carry it. It is not
        kept; see :meth:`save_card`.

        Raises:
            InputError: Nobody is enrolled.
            UsageError: ``fpir`` is no rate between 0 and 1.
        """
        strangers = None if outsiders is None else unit(outsiders)
        tail = calibrate.gallery_tail(self.info)
        return calibrate.calibrate(self.enrolled(), fpir, tail, outsiders=strangers, progress=progress)

    def cards(self) -> tuple[SearchThreshold, ...]:
        """The thresholds that are kept with the gallery, the newest first."""
        return calibrate.read_cards(self._folder.facts)

    def save_card(self, card: SearchThreshold) -> None:
        """Keep a threshold, instead of an earlier one of the same rate."""
        calibrate.write_card(self._open().facts, card)

    def require_writing(self) -> None:
        """Refuse to change a gallery that was opened to read.

        Raises:
            UsageError: It was.
        """
        if not self._writes:
            raise UsageError(
                f"The gallery {self.path} was opened to read.", hint="Open it with write=True to change it."
            )

    def _open(self) -> GalleryFolder:
        self.require_writing()
        return self._folder
