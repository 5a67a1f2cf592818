"""Which face of a listed photo is embedded: the one that the list places, or the one that a rule chooses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embed import EmbedOptions, embed_photos
from facerec_cli.embed.photo_result import PhotoResult
from facerec_cli.embeddings.cache import CachedFace, Entry
from facerec_cli.embeddings.table import EmbeddingTable, Matches
from facerec_cli.errors import ModelError
from facerec_cli.faces import Face, FaceModel
from facerec_cli.faces.choice import choose
from facerec_cli.faces.quality import measure, measures_of
from facerec_cli.faces.quality_limits import LOW_QUALITY, MEASURES
from facerec_cli.images import ImageError, read_image
from facerec_cli.pairs.pairlist import ListedPhotos
from facerec_cli.protocols.protocol import SearchProtocol

_OVERLAP = 0.2
"""The least intersection over union of a face and a list's box, which people have drawn by other habits."""

_NONE_THERE = "no_face: none where the list has its box"

Embedded = tuple[int, Entry, str]
"""Number of a photo, its face or why there is none, why that is doubtful."""


@dataclass(frozen=True, slots=True)
class FacePlaces:
    """What a list says of where the faces of its N photos are.

    Attributes:
        landmarks: (N, 5, 2) pixels: photos are aligned by them and not searched.
        boxes: (N, 4) pixels x1, y1, x2, y2: of the faces that are found, the one that overlaps most is meant;
            NaN where the list has none.
    """

    landmarks: NDArray[np.float32] | None = None
    boxes: NDArray[np.float32] | None = None

    def key(self, number: int) -> bytes:
        """What of this decides the embedding of a photo."""
        parts = (self.landmarks, self.boxes)
        return b"".join(part[number].tobytes() for part in parts if part is not None)


NOWHERE = FacePlaces()


def places_of(photos: ListedPhotos) -> FacePlaces:
    """What a list says of where faces are; landmarks say more than boxes."""
    is_boxed = isinstance(photos, SearchProtocol) and photos.landmarks is None
    return FacePlaces(photos.landmarks, photos.boxes if is_boxed else None)  # type: ignore[attr-defined]


def embed_faces(
    images: Sequence[Path | bytes],
    numbers: Sequence[int],
    model: FaceModel,
    options: EmbedOptions,
    places: FacePlaces,
    workers: int | None,
) -> Iterator[Embedded]:
    """Embed one face of each of the photos with these numbers."""
    if places.landmarks is not None:
        for start in range(0, len(numbers), options.batch_size):
            batch = numbers[start : start + options.batch_size]
            yield from _embed_by_landmarks(images, batch, model, options, places.landmarks)
        return
    every = options if places.boxes is None else replace(options, faces="all")
    results = embed_photos([images[i] for i in numbers], model, every, workers=workers)
    for i, result in zip(numbers, results, strict=True):
        at = 0 if places.boxes is None else _in_box(result, places.boxes[i], options.faces)
        if not result.faces or at is None:
            reason = f"{result.status}: {result.reason}" if not result.faces else _NONE_THERE
            yield i, reason, ""
            continue
        face = result.faces[at]
        measures = measures_of(face.norm, face.face, face.quality)
        yield i, CachedFace(face.embedding, _row(measures)), face.doubt


def match_in_boxes(
    every: EmbeddingTable, photos: Sequence[str], found: Matches, boxes: NDArray[np.float32]
) -> Matches:
    """Choose among all stored faces of each photo the one in the list's box.

    Args:
        every: A table with all faces.
        photos: Path of each row of the table with one face a photo, in which ``found`` was looked for.
        found: What the list's names were found as there.
        boxes: (N, 4) pixels of the list.

    Returns:
        The same with rows of ``every``. A photo without boxes of its faces keeps the face that it had.
    """
    rows_of: dict[str, list[int]] = {}
    for row, path in enumerate(every.paths or ()):
        rows_of.setdefault(path, []).append(row)
    rows, reasons = np.full(len(found.rows), -1, np.int64), dict(found.reasons)
    for i in np.flatnonzero(found.rows >= 0).tolist():
        faces = rows_of[photos[found.rows[i]]]
        one = found.vectors[i]
        at = next((row for row in faces if np.array_equal(every.vectors[row], one)), faces[0])
        if np.isfinite(boxes[i]).all() and np.isfinite(every.boxes[faces]).all():
            best = _best_overlap(every.boxes[faces], boxes[i])
            at = -1 if best is None else faces[best]
        if at < 0:
            reasons[i] = _NONE_THERE
        elif every.statuses[at] == LOW_QUALITY:
            reasons[i], at = f"{LOW_QUALITY}: {every.reasons[at] or 'no reason is given'}", -1
        rows[i] = at
    vectors = np.where((rows >= 0)[:, None], every.vectors[rows], np.float32(0))
    doubts = {
        i: every.reasons[row] or "no reason is given"
        for i, row in enumerate(rows.tolist())
        if row >= 0 and every.statuses[row] == "doubtful"
    }
    return Matches(vectors, reasons, doubts, rows)


def _in_box(result: PhotoResult, box: NDArray[np.float32], rule: str) -> int | None:
    """Which of the faces of a photo the list means; None where none is there."""
    faces = [face.face.box for face in result.faces if face.face is not None]
    if len(faces) < len(result.faces) or not faces:
        return 0  # a crop has one face and no box
    if not np.isfinite(box).all():
        return choose(faces, (result.width, result.height), rule)
    return _best_overlap(np.stack(faces), box)


def _best_overlap(boxes: NDArray[np.float32], box: NDArray[np.float32]) -> int | None:
    """The box with the most intersection over union; None where that is too little."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + np.prod(box[2:] - box[:2])
    overlap = shared / np.maximum(areas - shared, 1e-9)
    best = int(overlap.argmax())
    return best if overlap[best] >= _OVERLAP else None


def _embed_by_landmarks(
    images: Sequence[Path | bytes],
    numbers: Sequence[int],
    model: FaceModel,
    options: EmbedOptions,
    landmarks: NDArray[np.float32],
) -> Iterator[Embedded]:
    """The same for a batch of photos that are aligned by given landmarks, as IJB's protocol does."""
    crops, places = {}, {}
    for i in numbers:
        try:
            photo = read_image(images[i], max_pixels=options.max_pixels)
        except ImageError as error:
            yield i, f"{error.status}: {error.reason}", ""
            continue
        places[i] = Face(box=np.full(4, np.nan, np.float32), landmarks=landmarks[i], score=math.nan)
        crops[i] = model.align(photo, places[i])
    if not crops:
        return
    raw = model.encode(np.stack(list(crops.values())), flip=options.flip, batch_size=options.batch_size)
    norms = np.linalg.norm(raw, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or not norms.all():
        raise ModelError(
            f"The model {model.pack.name} gave an embedding that is not finite or all zero.",
            hint="Check its files with `facerec models check`, and its mean and std.",
        )
    for i, vector, norm in zip(crops, raw / norms, norms[:, 0].tolist(), strict=True):
        measures = measures_of(norm, places[i], measure(crops[i], places[i]))
        yield i, CachedFace(vector, _row(measures)), ""


def _row(measures: Mapping[str, float]) -> NDArray[np.float32]:
    return np.array([measures[name] for name in MEASURES], np.float32)
