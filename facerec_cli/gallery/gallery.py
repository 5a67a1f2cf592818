"""A gallery on the disk: enrolled people with their faces, opened to read or to change."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import UsageError
from facerec_cli.files import make_folder, write_file
from facerec_cli.gallery import calibrate, changes, erase, info
from facerec_cli.gallery.facts import create_facts
from facerec_cli.gallery.folder import GalleryFolder, write_lock
from facerec_cli.gallery.kinds import refuse_inside_gallery
from facerec_cli.gallery.leftovers import erase_leftovers, put_back
from facerec_cli.gallery.person import FaceFacts, GalleryFace, Person
from facerec_cli.gallery.reader import GalleryReader
from facerec_cli.gallery.reassign import NewOwner, reassign
from facerec_cli.metrics.search_threshold import SearchThreshold
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import pack_hash
from facerec_cli.workshop import atomic_folder

if TYPE_CHECKING:
    from facerec_cli.faces import FaceModel

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
    model: ModelInfo | ModelPack | FaceModel,
    dimensions: int | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    crops: bool = False,
) -> Gallery:
    """Make an empty gallery, and open it for writing.

    Args:
        path: ``NAME`` or ``NAME.gallery``.
        model: What its embeddings are made by, as ``open_model`` and ``open_pack`` give it or, for a model of
            yours, by name and sha256. Those of another are refused from now on.
        dimensions: D, how many numbers an embedding has; None takes the pack's.
        settings: How else they are made, as ``embed.EmbedOptions`` has it.
        crops: Whether the aligned crop of each face is kept.

    Raises:
        UsageError: Something of that name is there, it would lie in another gallery, or nobody knows the
            dimensions.
        OutputError: It cannot be written.
    """
    if not isinstance(model, ModelInfo):
        pack = model if isinstance(model, ModelPack) else model.pack
        model, dimensions = ModelInfo(pack.name, pack_hash(pack)), pack.encoder.embedding_size
    if dimensions is None:
        raise UsageError("How many numbers an embedding has is not said.", hint="Give dimensions=512.")
    folder = info.gallery_path(path)
    put_back(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists.", hint="Choose another name, or remove it first.")
    refuse_inside_gallery(folder)
    made = info.new_info(model, dimensions, settings or {}, crops=crops)
    with atomic_folder(folder) as place:
        create_facts(place)
        make_folder(place / "vectors")
        if crops:
            make_folder(place / "crops")
        write_file(place / info.FILE, info.info_toml(made))
    return Gallery(folder, write=True)


class Gallery(GalleryReader):
    """Enrolled people; made by :func:`open_gallery` and :func:`create_gallery`.

    Attributes:
        path: The folder.
        info: What it is bound to.

    What only reads is in :class:`GalleryReader`. Every method raises ``InputError`` where files are damaged.
    Those that change something raise ``UsageError`` where it was not opened for that, and ``OutputError``
    where it cannot be written: then nothing was changed.
    """

    def __init__(self, path: Path, *, write: bool = False, wait: float = WAIT) -> None:
        self._writes = write
        with contextlib.ExitStack() as stack:
            if write:
                info.read_info(path)  # a folder that is none must not get a lock
                stack.enter_context(write_lock(path, wait))
                erase_leftovers(path)
            folder = GalleryFolder(path, write=write)
            stack.callback(folder.close)
            super().__init__(folder)
            if write:
                erase.sweep(folder)
            self._stack = stack.pop_all()

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
        self, *people: str | int | Person, expires: str | None = None, note: str | None = None
    ) -> None:
        """Keep an expiry date or a note with people; "" takes it away."""
        changes.annotate(self._open(), [self.person(one) for one in people], expires, note)

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

    def reassign(self, owners: Sequence[NewOwner], erased: Sequence[int] = ()) -> None:
        """Give faces to other people, rename these, erase faces by their ids; all of it or nothing."""
        reassign(self._open(), owners, erased)

    def remove(self, person: str | int | Person) -> erase.RemovalProof:
        """Erase a person: facts, vectors, crops, what is cached of their photos; then read all as proof."""
        return erase.remove(self._open(), self.person(person))

    def enroll(self, vectors: NDArray[np.float32], people: Sequence[str]) -> tuple[int, ...]:
        """Add (F, D) embeddings of F named people; for those who make embeddings themselves.

        A vector that its person has already, to the last bit, is not added again: its face's id is given.
        """
        return changes.add_new_faces(self._open(), people, vectors)

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
