"""What can be read of a gallery, and searched for in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.gallery import calibrate, info
from facerec_cli.gallery.candidates import CandidatePeople
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.folder import GalleryFolder
from facerec_cli.gallery.outsiders import Outsiders, as_outsiders, strangers_of
from facerec_cli.gallery.people import read_enrolled
from facerec_cli.gallery.person import SHA256, GalleryFace, Person, person_name, stored_text
from facerec_cli.gallery.vectors import unit
from facerec_cli.metrics.scores import Vectors
from facerec_cli.metrics.search_threshold import SearchThreshold
from facerec_cli.progress import Progress, silent


class GalleryReader:
    """The part of :class:`gallery.Gallery` that changes nothing.

    Attributes:
        path: The folder.
        info: What it is bound to.

    Every method raises ``InputError`` where files are damaged.
    """

    def __init__(self, folder: GalleryFolder) -> None:
        self._folder = folder
        self.path = folder.path
        self.info = folder.info
        self._enrolled: tuple[int, EnrolledPeople] | None = None

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
        return self._folder.facts.find(person_name(name, new=False) if isinstance(name, str) else name)

    def faces(self, person: str | int | Person | None = None) -> tuple[GalleryFace, ...]:
        """The faces of one person or of all, in the order in which they were enrolled."""
        if person is None:
            return self._folder.facts.faces()
        return self._folder.facts.faces("WHERE person = ?", (self.person(person).id,))

    def has_photo(self, name: str, photo: str) -> bool:
        """Whether a person, who may be nobody here, has a photo: its sha256 in hexadecimal, or its path."""
        return any(owner == name for _, owner in self.faces_of_photo(photo))

    def faces_of_photo(self, photo: str) -> tuple[tuple[GalleryFace, str], ...]:
        """The faces of a photo, named by its sha256 in hexadecimal or its path, and whose they are."""
        value: str | bytes = stored_text(photo)
        column = "photo" if SHA256.fullmatch(photo) else "path"
        if column == "photo":
            value = bytes.fromhex(photo)
        facts = self._folder.facts
        faces = facts.faces(f"WHERE {column} = ?", (value,))
        return tuple((one, facts.one("SELECT name FROM person WHERE id = ?", (one.person,))) for one in faces)

    def vectors(self, faces: Sequence[GalleryFace]) -> NDArray[np.float32]:
        """(F, D) float32 of unit length, a copy."""
        return self._folder.faces.read([face.row for face in faces])

    def crop(self, face: GalleryFace) -> Path | None:
        """Where the aligned crop of a face is; None where there is none."""
        return self._folder.crops / face.crop if face.crop else None

    def everybody(self) -> EnrolledPeople:
        """As :meth:`enrolled`, with the people whose date has expired: to compare, not to search."""
        return read_enrolled(self._folder, str(self.path), expired=True)

    def enrolled(self) -> EnrolledPeople:
        """What a search needs: the people whose date has not expired, their templates memory-mapped.

        It is of this moment; what is enrolled or removed later is not in it.
        """
        generation = self.generation
        if self._enrolled is None or self._enrolled[0] != generation:
            self._enrolled = generation, read_enrolled(self._folder, str(self.path))
        return self._enrolled[1]

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
        self,
        fpir: float = 0.01,
        *,
        outsiders: Vectors | EmbeddingTable | Outsiders | None = None,
        keep_look_alikes: bool = False,
        progress: Progress = silent,
    ) -> SearchThreshold:
        """Measure the threshold at which a share ``fpir`` of searches for strangers gives a name.

        It rests on ``outsiders`` where they are given: (S, D) embeddings of strangers, or the table of
        :func:`facerec_cli.open_table`, 3 / ``fpir`` of them at least. Else on each person searched for among
        the others, or on the model's impostor tail. It is not kept; see :meth:`save_card`.

        Strangers who look like one person count once, and those who look like somebody enrolled are refused;
        ``keep_look_alikes`` takes each for another person.

        Raises:
            InputError: Nobody is enrolled, or strangers are, or they are too few.
            ModelError: The table of strangers is of another model.
            UsageError: ``fpir`` is no rate between 0 and 1.
        """
        strangers = None
        if outsiders is not None:
            given = as_outsiders(outsiders, self.info, self.path)
            names = {one.id: one.name for one in self.people()}
            photos = {face.photo_sha256 or face.path: names[face.person] for face in self.faces()}
            strangers = strangers_of(
                given, self.enrolled(), photos, self.info, keep_look_alikes=keep_look_alikes
            )
        tail = calibrate.gallery_tail(self.info)
        return calibrate.calibrate(self.enrolled(), fpir, tail, outsiders=strangers, progress=progress)

    def cards(self) -> tuple[SearchThreshold, ...]:
        """The thresholds that are kept with the gallery, the newest first."""
        return calibrate.read_cards(self._folder.facts)
