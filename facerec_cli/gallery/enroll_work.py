"""The work of enrolling, batch by batch: what is said of each face, and which of them a gallery takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.table import EmbeddingTable, ModelInfo
from facerec_cli.errors import ModelError, UsageError
from facerec_cli.faces.quality_limits import LOW_QUALITY
from facerec_cli.gallery.enroll_claims import EnrolledFaces, SameFace
from facerec_cli.gallery.enroll_inputs import ToEnroll
from facerec_cli.gallery.enrollment import (
    DUPLICATE,
    ENROLLED,
    ENROLLED_AS,
    LOOKS_LIKE,
    EnrolledPhoto,
    Enrollment,
)
from facerec_cli.gallery.exchange import import_table, is_export
from facerec_cli.gallery.gallery import Gallery
from facerec_cli.gallery.look_alikes import look_alikes
from facerec_cli.gallery.person import FaceFacts
from facerec_cli.gallery.settings import EnrollSettings
from facerec_cli.images import ImageError
from facerec_cli.images.encoded import read_encoded
from facerec_cli.images.remote import is_url
from facerec_cli.progress import Progress
from facerec_cli.tables.paths import absolute
from facerec_cli.wording import counted

if TYPE_CHECKING:
    from facerec_cli.embed.photo_result import PhotoResult
    from facerec_cli.faces import FaceModel

_RULES = {"main": "main one", "center": "one in the middle", "largest": "largest"}
BATCH = 256
"""Photos that are enrolled together: what a kill can cost."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundFace:
    """The face of a photo that may be enrolled."""

    row: EnrolledPhoto
    vector: NDArray[np.float32]
    facts: FaceFacts
    same: SameFace | None = None


class EnrollWork:
    """One run of enrolling: the rows so far, and what is enrolled of each batch.

    Args:
        gallery: Open for writing.
        settings: How, with the gallery's own ``flip`` and ``crops``.
        threshold: The score from which on a face looks like somebody else.
    """

    def __init__(self, gallery: Gallery, settings: EnrollSettings, threshold: float) -> None:
        self.gallery = gallery
        self.settings = settings
        self.threshold = threshold
        self.rows: list[EnrolledPhoto] = []
        self._there = EnrolledFaces(gallery)

    @contextmanager
    def kept(self, total: int) -> Iterator[None]:
        """Work that says, when it is interrupted, what is enrolled."""
        try:
            yield
        except KeyboardInterrupt:
            done = sum(row.enrolled for row in self.rows)
            raise KeyboardInterrupt(
                f"interrupted; {done:,} of {counted(total, 'photo')} are enrolled: the same command goes on"
            ) from None

    def photos(self, given: ToEnroll, progress: Progress, total: int) -> None:
        """Enroll photos."""
        from facerec_cli.embed import embed_photos

        model, workers = self._model()
        options = self.settings.embed_options()
        for start in range(0, len(given.photos), BATCH):
            paths, names = given.photos[start : start + BATCH], given.names[start : start + BATCH]
            hashes = [photo_sha256(path) for path in paths]
            known = self._known(paths, names, hashes)
            new = [at for at, is_known in enumerate(known) if not is_known]
            results = embed_photos(
                [paths[at] for at in new], model, options, workers=workers, keep_crops=self.settings.crops
            )
            made: dict[int, EnrolledPhoto | FoundFace] = {}
            for at, result in zip(new, results, strict=True):
                made[at] = self._of_result(result, names[at], hashes[at])
                progress(len(self.rows) + len(made), total)
            self._keep(made.get(at) or duplicate_of(paths[at], names[at]) for at in range(len(paths)))
            progress(len(self.rows), total)

    def table(self, given: ToEnroll, table: EmbeddingTable, progress: Progress, total: int) -> None:
        """Enroll stored embeddings; of the export of a gallery all faces, as they were enrolled there.

        Raises:
            ModelError: They are of another model.
            UsageError: They were made with another setting of ``flip``.
        """
        if is_export(table) and given.names == table.people:
            keep = {"expires": self.settings.expires, "note": self.settings.note}
            statuses = import_table(self.gallery, table, progress=progress, **keep)
            photos = zip(table.paths or (), given.names, statuses, strict=True)
            self.rows += [EnrolledPhoto(path, name, status) for path, name, status in photos]
            return
        info = self.gallery.info
        info.require_model(table.model, self.gallery.path)
        if bool(table.settings.get("flip", False)) != info.flip:
            raise UsageError(
                f"{table.source!r} and the gallery {self.gallery.path} differ in --flip.",
                hint="Embed the photos as the gallery's were.",
            )
        paths = table.paths or tuple(f"row {row}" for row in range(len(table.vectors)))
        self.rows += [_failed(path, name, why) for path, name, why in given.failed]
        for start in range(0, len(paths), BATCH):
            batch = range(start, min(start + BATCH, len(paths)))
            names = [given.names[row] for row in batch]
            hashes = [table.photo_sha256[row] or photo_sha256(paths[row]) for row in batch]
            known = self._known([paths[row] for row in batch], names, hashes)
            self._keep(
                duplicate_of(paths[row], name)
                if is_known
                else self._of_row(table, row, paths[row], name, sha256)
                for row, name, sha256, is_known in zip(batch, names, hashes, known, strict=True)
            )
            progress(len(self.rows), total)

    def result(self) -> Enrollment:
        """What it came to; dates and notes are kept with people whose photos were there already, too."""
        people = self.gallery.people()
        there = {one.name for one in people}
        had = there.intersection(row.person for row in self.rows if row.status == DUPLICATE)
        if had and (self.settings.expires or self.settings.note):
            told = {"expires": self.settings.expires or None, "note": self.settings.note or None}
            self.gallery.annotate(*sorted(had), **told)
        there.update(row.person for row in self.rows if row.enrolled)  # some under another name
        without: dict[str, str] = {}
        for row in self.rows:
            if row.person not in there:
                without.setdefault(row.person, row.reason or row.status)
        faces = sum(one.faces for one in people)
        place = str(self.gallery.path)
        return Enrollment(place, tuple(self.rows), len(people), faces, without, self.threshold)

    def _model(self) -> tuple[FaceModel, int]:
        """The model, opened: the gallery's own, or one that is it."""
        from facerec_cli.faces import open_model
        from facerec_cli.runtime import usable_cores

        info, settings = self.gallery.info, self.settings
        if not info.model_sha256:
            raise ModelError(
                f"Nobody knows which model made the embeddings of {self.gallery.path}: no photo fits them.",
                hint="Enroll embeddings from Python, or make a new gallery.",
            )
        total = settings.threads or usable_cores()
        model = open_model(
            settings.model or info.model, device=settings.device, threads=total, detector=not settings.aligned
        )
        info.require_model(ModelInfo(model.pack.name, model.hash), self.gallery.path)
        return model, total + 1

    def _known(self, paths: Sequence[str], names: Sequence[str], hashes: Sequence[str]) -> list[bool]:
        """Which photos their person has already, or has earlier in this batch."""
        photos = [sha256 or stored_path(path) for path, sha256 in zip(paths, hashes, strict=True)]
        return self._there.known(photos, names)

    def _of_result(self, result: PhotoResult, name: str, sha256: str) -> EnrolledPhoto | FoundFace:
        """The face of a photo that the pipeline has embedded, or why there is none to enroll."""
        if not result.faces:
            return EnrolledPhoto(result.name, name, result.status, result.reason)
        embedded = result.faces[0]
        face, crop = embedded.face, b""
        if embedded.crop is not None:
            _, png = cv2.imencode(".png", embedded.crop)
            crop = png.tobytes()
        facts = FaceFacts(
            stored_path(result.name),
            sha256,
            None if face is None else tuple(map(float, face.box)),
            None if face is None else tuple(map(float, face.landmarks.reshape(-1))),
            None if face is None else float(face.score),
            embedded.norm,
            crop,
        )
        made = self._judged(result.name, name, embedded.embedding, facts, embedded.doubt)
        if result.found > 1 and isinstance(made, FoundFace):
            said = f"{result.found} faces, of which the {_RULES[self.settings.faces]} counts"
            return replace(
                made, row=replace(made.row, reason="; ".join(filter(None, (made.row.reason, said))))
            )
        return made

    def _of_row(
        self, table: EmbeddingTable, row: int, path: str, name: str, sha256: str
    ) -> EnrolledPhoto | FoundFace:
        """The face of a row of stored embeddings."""
        box, points = table.boxes[row], table.landmarks[row].reshape(-1)
        facts = FaceFacts(
            stored_path(path) if table.paths is not None else "",
            sha256,
            tuple(box.tolist()) if np.isfinite(box).all() else None,
            tuple(points.tolist()) if np.isfinite(points).all() else None,
            _known_number(table.scores[row]),
            _known_number(table.norms[row]),
        )
        doubt = table.reasons[row] or "doubtful" if table.statuses[row] in ("doubtful", LOW_QUALITY) else ""
        return self._judged(path, name, table.vectors[row], facts, doubt)

    def _judged(
        self, path: str, name: str, vector: NDArray[np.float32], facts: FaceFacts, doubt: str
    ) -> EnrolledPhoto | FoundFace:
        """What is said of a face by itself."""
        row = EnrolledPhoto(path, name, ENROLLED, doubt, facts.score)
        if facts.box is not None:
            side = min(facts.box[2] - facts.box[0], facts.box[3] - facts.box[1])
            if side < self.settings.min_size:
                reason = f"the face has {side:.0f} pixels, less than {self.settings.min_size:g}"
                return replace(row, status="too_small", reason=reason)
        if doubt and not self.settings.keep_doubtful:
            return replace(row, status="doubtful")
        same = self._there.same_face(facts.photo_sha256 or facts.path, name, vector)
        if same and not same.disputed:
            return replace(row, status=DUPLICATE, reason=f"{ENROLLED_AS}{same.person}")
        return FoundFace(row, vector, facts, same)

    def _keep(self, made: Iterable[EnrolledPhoto | FoundFace]) -> None:
        """Enroll a batch: all of it that looks like nobody else."""
        batch = list(made)
        found = [one for one in batch if isinstance(one, FoundFace)]
        alike: list[tuple[str, float] | None] = [None] * len(found)
        if found:
            names, vectors = [one.row.person for one in found], np.stack([one.vector for one in found])
            alike = look_alikes(self.gallery.everybody(), names, vectors, self.threshold)
        told = {id(one): like for one, like in zip(found, alike, strict=True)}
        rows, kept = [], []
        for one in batch:
            if not isinstance(one, FoundFace):
                rows.append(one)
                continue
            row, like = one.row, told[id(one)] or one.same
            if like is not None:
                why = f"scores {like[1]:.3f} with {like[0]}, from {self.threshold:.3f} on people look alike"
                row = replace(row, reason="; ".join(filter(None, (why, row.reason))), likeness=like[1])
                if not self.settings.keep_look_alikes:
                    row = replace(row, status=f"{LOOKS_LIKE}:{like[0]}")
            if row.status == ENROLLED:
                kept.append(one)
            rows.append(row)
        if kept:
            added = self.gallery.add_faces(
                [one.row.person for one in kept],
                np.stack([one.vector for one in kept]),
                [one.facts for one in kept],
                expires=self.settings.expires,
                note=self.settings.note,
            )
            self._there.claim(added, [one.row.person for one in kept])
        self.rows += rows


def stored_path(path: str) -> str:
    """A photo's path as it is kept: a full one where it is a file."""
    return path if is_url(path) or "\0" in path else absolute(path)


def duplicate_of(path: str, name: str) -> EnrolledPhoto:
    """The row of a photo that its person has already."""
    return EnrolledPhoto(path, name, DUPLICATE, f"{name} has this photo already")


def _failed(path: str, name: str, why: str) -> EnrolledPhoto:
    status, _, reason = why.partition(": ")
    return EnrolledPhoto(path, name, status, reason)


def _known_number(value: np.float32) -> float | None:
    return float(value) if np.isfinite(value) else None


def photo_sha256(path: str) -> str:
    """Of a photo's bytes; "" where it cannot be read, as the pipeline will say."""
    try:
        return hashlib.sha256(read_encoded(path)).hexdigest()
    except ImageError:
        return ""
