"""The faces of a gallery embedded anew by another model, from their photos or from crops that were kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.embed.settings import EmbedOptions
from facerec_cli.errors import InputError
from facerec_cli.faces.choice import choose
from facerec_cli.gallery.gallery import Gallery
from facerec_cli.gallery.person import GalleryFace
from facerec_cli.gallery.xmp import overlap
from facerec_cli.images.encoded import ImageError, read_encoded
from facerec_cli.images.photo import read_image
from facerec_cli.progress import Progress

if TYPE_CHECKING:
    from facerec_cli.embed.photo_result import EmbeddedFace, PhotoResult
    from facerec_cli.faces import FaceModel

LEAST_OVERLAP = 0.3
"""The least overlap (IoU) of a face's box with the one that the new model's detector finds at its place."""

_AT_ONCE = 64  # photos that are in memory, encoded


@dataclass(frozen=True, slots=True, eq=False)
class ReembeddedFace:
    """A face of a gallery as another model sees it.

    Attributes:
        face: As it was.
        source: ``photo``; ``landmarks``: the photo, in which the model's detector does not find the face, cut
            by the landmarks that were known; ``crop``; or "" where there is nothing to embed.
        reason: Why not, for a person.
        vector: (D,) float32 of unit length.
        norm: Of the raw embedding.
        box: x1, y1, x2, y2, where the detector found it anew; else as it was.
        landmarks: Likewise.
        score: Likewise.
        crop: The aligned crop as PNG; b"" where there is none anew.
    """

    face: GalleryFace
    source: str = ""
    reason: str = ""
    vector: NDArray[np.float32] | None = None
    norm: float | None = None
    box: tuple[float, ...] | None = None
    landmarks: tuple[float, ...] | None = None
    score: float | None = None
    crop: bytes = b""


def options_of(settings: Mapping[str, Any], **more: Any) -> EmbedOptions:
    """The options of embedding that a gallery was made with, as far as it says."""
    known = {field.name for field in fields(EmbedOptions)} - {"faces", "batch_size", "max_pixels"}
    return EmbedOptions(**{key: value for key, value in settings.items() if key in known}, **more)


def why_gone(gallery: Gallery, face: GalleryFace) -> str:
    """Why a face can be embedded neither from its photo nor from a crop, told without reading them; or ""."""
    crop = gallery.crop(face)
    if crop is not None and crop.is_file():
        return ""
    if not face.path:
        return "nobody knows which photo it was, and there is no crop"
    if "://" in face.path or os.path.isfile(face.path):  # noqa: PTH113 - False for odd names
        return ""
    return "the photo is gone, and there is no crop"


def reembed(
    gallery: Gallery, faces: Sequence[GalleryFace], model: FaceModel, progress: Progress
) -> Iterator[ReembeddedFace]:
    """Embed faces anew.

    A face is looked for in its photo with the model's own detector, where its box was. Where it is not found
    there it is cut out by its landmarks; where the photo is gone or was changed, its crop is taken as it is.

    Args:
        gallery: Where they are enrolled.
        faces: Which.
        model: Opened, with its detector unless the gallery's photos are aligned crops.
        progress: Told the faces done.

    Yields:
        Each face, photo by photo.

    Raises:
        ModelError: The model fails.
    """
    from facerec_cli.embed import embed_photos

    options = options_of(gallery.info.settings, faces="all")
    photos: dict[tuple[str, str], list[GalleryFace]] = {}
    for face in faces:
        photos.setdefault((face.path, face.photo_sha256), []).append(face)
    keys = list(photos)
    done = 0
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        contents = [_content(path, sha256) for path, sha256 in some]
        there = [data for data, _ in contents if data]
        results = iter(list(embed_photos(there, model, options, keep_crops=gallery.info.crops)))
        for key, (data, reason) in zip(some, contents, strict=True):
            result = next(results) if data else None
            yield from _of_photo(gallery, photos[key], model, options, data, result, reason)
            done += len(photos[key])
            progress(done, len(faces))


def _content(path: str, sha256: str) -> tuple[bytes, str]:
    """The bytes of a photo, or why there are none that are still those that were enrolled."""
    if not path:
        return b"", "nobody knows which photo it was"
    try:
        data = read_encoded(path)
    except ImageError as fault:
        return b"", fault.reason
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        return b"", "the photo was changed since it was enrolled"
    return data, ""


def _of_photo(
    gallery: Gallery,
    faces: Sequence[GalleryFace],
    model: FaceModel,
    options: EmbedOptions,
    data: bytes,
    result: PhotoResult | None,
    reason: str,
) -> Iterator[ReembeddedFace]:
    """The faces of one photo."""
    found = [None] * len(faces) if result is None else match(faces, result, aligned=options.aligned)
    if result is not None:
        reason = result.reason or "no face is found where it was"
    for face, embedded in zip(faces, found, strict=True):
        if embedded is not None:
            yield _of_embedded(face, embedded)
            continue
        cut, source = _cut(gallery, face, model, data)
        if cut is None:
            yield ReembeddedFace(face, reason=f"{reason}, and there is no crop")
            continue
        raw = model.encode(cut[None], flip=options.flip)[0].astype(np.float64)
        norm = float(np.linalg.norm(raw))
        if not np.isfinite(norm) or norm == 0:
            yield ReembeddedFace(face, reason="the model gives no embedding for its crop")
            continue
        png = _png(cut) if source == "landmarks" and gallery.info.crops else b""
        yield ReembeddedFace(
            face,
            source,
            vector=(raw / norm).astype(np.float32),
            norm=norm,
            box=face.box,
            landmarks=face.landmarks,
            score=face.score,
            crop=png,
        )


def match(
    faces: Sequence[GalleryFace], result: PhotoResult, *, aligned: bool = False
) -> list[EmbeddedFace | None]:
    """Which of the faces that were found in a photo each enrolled face is, by the overlap of their boxes.

    A face whose box nobody knows is the main one.
    """
    matched: list[EmbeddedFace | None] = [None] * len(faces)
    if aligned or not result.faces:
        return [result.faces[0]] * len(faces) if result.faces else matched
    boxes = [tuple(map(float, one.face.box)) if one.face else (0.0,) * 4 for one in result.faces]
    pairs = []
    for f, face in enumerate(faces):
        if face.box is None:
            matched[f] = result.faces[choose(boxes, (result.width, result.height))]
        else:
            pairs += [(-overlap(face.box, box), f, number) for number, box in enumerate(boxes)]
    taken: set[int] = set()
    for share, f, number in sorted(pairs):
        if -share >= LEAST_OVERLAP and matched[f] is None and number not in taken:
            matched[f] = result.faces[number]
            taken.add(number)
    return matched


def _of_embedded(face: GalleryFace, embedded: EmbeddedFace) -> ReembeddedFace:
    found = embedded.face
    return ReembeddedFace(
        face,
        "photo",
        vector=embedded.embedding,
        norm=embedded.norm,
        box=face.box if found is None else tuple(map(float, found.box)),
        landmarks=face.landmarks if found is None else tuple(map(float, found.landmarks.reshape(-1))),
        score=face.score if found is None else float(found.score),
        crop=b"" if embedded.crop is None else _png(embedded.crop),
    )


def _cut(
    gallery: Gallery, face: GalleryFace, model: FaceModel, data: bytes
) -> tuple[NDArray[np.uint8] | None, str]:
    """The crop of a face that no detector found: by its landmarks in the photo, or as it was kept."""
    from facerec_cli.faces import Face

    try:
        if data and face.landmarks is not None and face.box is not None:
            points = np.array(face.landmarks, np.float32).reshape(5, 2)
            known = Face(np.array(face.box, np.float32), points, face.score or 0.0)
            return np.asarray(model.align(read_image(data), known), np.uint8), "landmarks"
    except (ImageError, InputError):
        pass
    crop = gallery.crop(face)
    try:
        if crop is not None and crop.is_file():
            image = read_image(crop)
            return np.asarray(cv2.resize(image, model.input_size, interpolation=cv2.INTER_AREA)), "crop"
    except ImageError:
        pass
    return None, ""


def _png(crop: NDArray[np.uint8]) -> bytes:
    done, png = cv2.imencode(".png", crop)
    assert done, "an 8-bit BGR picture can always be written as PNG"
    return png.tobytes()
