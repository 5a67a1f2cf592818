"""Galleries in files of other programs, and back: Parquet, npz, npy and CSV; XMP is in ``sidecars.py``.

The export with vectors is a table of embeddings that says who is on each face, in the formats of ``facerec
embed``: enrolling it gives the same people, faces and vectors, to the last bit, and every command that takes
such a file takes it. The CSV has the facts alone, for it is the vectors that are sensitive.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli._version import __version__
from facerec_cli.embeddings.formats import format_to_write
from facerec_cli.embeddings.records import BOX, LANDMARKS, OF_PEOPLE
from facerec_cli.embeddings.shards import Shard
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.files import atomic_write
from facerec_cli.gallery.gallery import Gallery
from facerec_cli.gallery.kinds import refuse_inside_gallery
from facerec_cli.gallery.person import FaceFacts, GalleryFace, Person, person_name
from facerec_cli.images.remote import is_url
from facerec_cli.outputs import refuse_existing
from facerec_cli.progress import Progress, silent
from facerec_cli.tables.paths import absolute

_AT_ONCE = 4096  # faces that are in memory with their vectors
_SHA256 = re.compile("[0-9a-f]{64}")
_DECIDING = ("flip", "aligned")  # settings without which vectors of one model cannot be compared


@dataclass(frozen=True, slots=True)
class ExportedGallery:
    """What was exported.

    Attributes:
        files: What was written.
        people: How many people.
        faces: How many faces.
    """

    files: tuple[str, ...]
    people: int
    faces: int


def export_gallery(
    gallery: Gallery,
    output: str | Path,
    *,
    people: Sequence[str] = (),
    overwrite: bool = False,
    progress: Progress = silent,
) -> ExportedGallery:
    """Write the faces of a gallery, in the order in which they were enrolled.

    Args:
        gallery: The gallery.
        output: A file of a format of ``registry.EMBEDDING_FORMATS``, or a ``.csv`` with the facts alone.
        people: Whose; empty means everybody.
        overwrite: What is there is replaced.
        progress: Told the faces done.

    Raises:
        InputError: Nobody is called so, or a vector cannot be read.
        UsageError: The format is not known, something is there, or it would lie in a gallery.
        OutputError: It cannot be written.
        MissingExtraError: The format's package is not installed.
    """
    if is_url(str(output)):
        raise UsageError(f"{output} is a URL.", hint="Export to a file or folder, and copy that.")
    refuse_inside_gallery(output, "-o")
    chosen = [gallery.person(name) for name in people] or list(gallery.people())
    faces = _GalleryShards(gallery, chosen, progress)
    if Path(output).suffix.lower() == ".csv":
        refuse_existing([Path(output)], overwrite=overwrite)
        _write_facts(Path(output), faces)
        return ExportedGallery((str(output),), len(chosen), len(faces.faces))
    try:
        form = format_to_write(output)
    except UsageError as fault:
        raise UsageError(
            fault.message, hint=f"{fault.hint} For faces with vectors; .csv has the facts alone; -o xmp."
        ) from fault
    files = form.files(Path(output))
    refuse_existing([file for file in files if file != Path(output) or file.is_file()], overwrite=overwrite)
    form.write(Path(output), faces, _description(gallery, chosen, len(faces.faces)), None)
    return ExportedGallery(tuple(map(str, files)), len(chosen), len(faces.faces))


class _GalleryShards:
    """The faces of some people as a format takes them: walked as often as needed, a part in memory."""

    def __init__(self, gallery: Gallery, people: Sequence[Person], progress: Progress = silent) -> None:
        self.names = {person.id: person.name for person in people}
        self.faces = [face for face in gallery.faces() if face.person in self.names]
        self._gallery, self._progress = gallery, progress
        seen: dict[str, int] = {}
        self.numbers = [seen.setdefault(face.path, -1) for face in self.faces]
        for at, face in enumerate(self.faces):
            seen[face.path] += 1
            self.numbers[at] = seen[face.path]

    def __iter__(self) -> Iterator[Shard]:
        for start in range(0, len(self.faces), _AT_ONCE):
            some = self.faces[start : start + _AT_ONCE]
            yield Shard(self._gallery.vectors(some), [self.record(start + i) for i in range(len(some))])
            self._progress(start + len(some), len(self.faces))

    def record(self, at: int) -> dict[str, Any]:
        """A face as a row of a table; what is not known of it is left out."""
        face = self.faces[at]
        record: dict[str, Any] = {"path": face.path, "face": self.numbers[at], "status": "ok", "reason": ""}
        record |= {"person": self.names[face.person], "photo_sha256": face.photo_sha256, "added": face.added}
        record["norm"] = math.nan if face.norm is None else face.norm
        if face.score is not None:
            record["score"] = face.score
        record |= dict(zip(BOX, face.box or (), strict=False))
        return record | dict(zip(LANDMARKS, face.landmarks or (), strict=False))


def _description(gallery: Gallery, people: Sequence[Person], faces: int) -> dict[str, Any]:
    info = gallery.info
    kept = {p.name: {"expires": p.expires, "note": p.note} for p in people if p.expires or p.note}
    return {
        "model": {"name": info.model, "sha256": info.model_sha256},
        "settings": dict(info.settings),
        "embedding_size": info.dimensions,
        "columns": list(OF_PEOPLE),
        "gallery": {"name": gallery.name, "template": info.template, "people": kept},
        "rows": faces,
        "statuses": {"ok": faces},
        "versions": {"facerec": __version__},
    }


def _write_facts(output: Path, faces: _GalleryShards) -> None:
    """``path,person`` and what else is known of each face: also a list that enrolls the photos again."""
    columns = ("path", "person", "face", "score", "norm", *BOX, *LANDMARKS, "photo_sha256", "added")
    with atomic_write(output) as stream:
        text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
        table = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        for at, face in enumerate(faces.faces):
            table.writerow(faces.record(at) | ({"norm": ""} if face.norm is None else {}))
        text.flush()
        text.detach()


def import_table(
    gallery: Gallery,
    table: EmbeddingTable,
    people: Sequence[str] = (),
    *,
    expires: str = "",
    note: str = "",
    progress: Progress = silent,
) -> tuple[str, ...]:
    """Enroll the faces of a table of embeddings: an export, or another file that says who is on each face.

    An expiry date and a note come with people who had none in the gallery. A face that is there already, of
    the same person, photo and vector, is a duplicate, so an import that was interrupted is simply run again.

    Args:
        gallery: Opened for writing.
        table: R faces.
        people: R names; those of the table by default.
        expires: A date that is kept with all of them, instead of the table's; "" for none.
        note: A text, likewise.
        progress: Told the faces done.

    Returns:
        R statuses, ``enrolled`` or ``duplicate``.

    Raises:
        ModelError: The table is of another model, or of other settings.
        InputError: It does not say who is on each face, or a name cannot be used; nothing was enrolled.
    """
    names = [person_name(name) if name else "" for name in people or table.people]
    if "" in names or len(names) != len(table.vectors):
        raise InputError(
            f"{table.source!r} does not say who is on each face.",
            hint="Its table needs a column person, as the export of a gallery has one.",
        )
    require_comparable(gallery, table)
    before = {person.name: person for person in gallery.people()}
    known: set[tuple[int | str, str, bytes]] = {
        (face.person, face.photo_sha256, _digest(vector))
        for some in _parts(gallery.faces())
        for face, vector in zip(some, gallery.vectors(some), strict=True)
    }
    owners: dict[str, int | str] = {name: person.id for name, person in before.items()}
    statuses, fresh = [], []
    for row, name in enumerate(names):
        key = (owners.get(name, name), table.photo_sha256[row], _digest(table.vectors[row]))
        statuses.append("duplicate" if key in known else "enrolled")
        known.add(key)
        if statuses[-1] == "enrolled":
            fresh.append(row)
    for start in range(0, len(fresh), _AT_ONCE):
        rows = fresh[start : start + _AT_ONCE]
        gallery.add_faces(
            [names[row] for row in rows],
            table.vectors[rows],
            [_facts(table, row) for row in rows],
            expires=expires,
            note=note,
        )
        progress(start + len(rows), len(fresh))
    _annotate(gallery, table, before, expires, note)
    return tuple(statuses)


def is_export(table: EmbeddingTable) -> bool:
    """Whether a table is the export of a gallery."""
    return isinstance(table.description.get("gallery"), dict) and any(table.people)


def require_comparable(gallery: Gallery, table: EmbeddingTable) -> None:
    """Refuse vectors that cannot be compared with the gallery's.

    Raises:
        ModelError: They are of another model, or made with or without the mirrored crop, unlike these.
    """
    gallery.info.require_model(table.model, gallery.path)
    for name in _DECIDING:
        here, there = (bool(one.get(name, False)) for one in (gallery.info.settings, table.settings))
        if here != there:
            raise ModelError(
                f"{table.source!r} was made {'with' if there else 'without'} {name}, the gallery "
                f"{gallery.path} {'with' if here else 'without'}.",
                hint="Embed the photos as the gallery's, or enroll them in a gallery of their own.",
            )


def _annotate(
    gallery: Gallery, table: EmbeddingTable, before: dict[str, Person], expires: str, note: str
) -> None:
    """Keep the dates and notes of an export with people who had none."""
    about = table.description.get("gallery")
    kept = about.get("people") if isinstance(about, dict) else None
    for name, values in kept.items() if isinstance(kept, dict) else ():
        if name not in table.people or not isinstance(values, dict):
            continue
        person = before.get(name)
        if person is None or not (person.expires or person.note):
            own = {"expires": expires, "note": note}
            with contextlib.suppress(InputError):  # of a date that is none nothing is kept
                gallery.annotate(name, **{key: own[key] or str(values.get(key, "")) for key in own})


def _facts(table: EmbeddingTable, row: int) -> FaceFacts:
    box, landmarks = table.boxes[row], table.landmarks[row].ravel()
    numbers = [float(value) for value in (table.scores[row], table.norms[row])]
    score, norm = (None if math.isnan(value) else value for value in numbers)
    path, digest = table.paths[row] if table.paths is not None else "", table.photo_sha256[row]
    return FaceFacts(
        path=absolute(path) if os.path.isfile(path) else path,  # noqa: PTH113 - False for odd names
        photo_sha256=digest if _SHA256.fullmatch(digest) else "",
        box=None if math.isnan(float(box.sum())) else tuple(box.tolist()),
        landmarks=None if math.isnan(float(landmarks.sum())) else tuple(landmarks.tolist()),
        score=score,
        norm=norm,
    )


def _digest(vector: NDArray[np.float32]) -> bytes:
    return hashlib.blake2b(vector.tobytes(), digest_size=16).digest()


def _parts(faces: Sequence[GalleryFace]) -> Iterator[Sequence[GalleryFace]]:
    for start in range(0, len(faces), _AT_ONCE):
        yield faces[start : start + _AT_ONCE]
