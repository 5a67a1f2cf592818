"""What the pipeline gives for a photo, and the rows of a shard that are made of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.records import BOX, LANDMARKS
from facerec_cli.embeddings.shards import Shard
from facerec_cli.faces import Face
from facerec_cli.faces.quality import NO_QUALITY, FaceQuality
from facerec_cli.faces.quality_limits import LOW_QUALITY
from facerec_cli.files import atomic_write

STATUSES = ("ok", "doubtful", LOW_QUALITY, "no_face", "missing", "empty", "unreadable", "too_large")
"""Every status that a row can have. A doubtful face and one of low quality are embedded, and their reason
says why not to trust them. All after the first four are failures of the input."""


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedFace:
    """One face and its embedding.

    Attributes:
        face: Where it is, in pixels of the upright photo at full size; None for a ready crop.
        embedding: (D,) float32 of unit length.
        norm: Length of the raw embedding, which many networks make larger for clearer photos.
        crop: (H, W, 3) uint8 BGR, what the encoder saw; None unless it was asked for.
        doubt: Why the face's place is doubtful, for a person; "" where it is not.
        quality: What was measured of it.
        low_quality: Which limits of ``EmbedOptions.min_quality`` it does not keep to; "" for none.
    """

    face: Face | None
    embedding: NDArray[np.float32]
    norm: float
    crop: NDArray[np.uint8] | None = None
    doubt: str = ""
    quality: FaceQuality = NO_QUALITY
    low_quality: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PhotoResult:
    """What came of one input.

    Attributes:
        name: The path as the user named it; "photo" for bytes.
        status: One of ``STATUSES``, but for "doubtful" and "low_quality": those are said of each face.
        reason: Why it is not ``ok``, for a person; empty when it is.
        faces: The embedded faces, best first.
        width: Of the upright photo in pixels; 0 when it could not be read.
        height: The same.
        rotation: Degrees clockwise by which the photo had to be turned before a face was found.
        found: How many faces it has, of which ``faces`` are those that were asked for.
    """

    name: str
    status: str
    reason: str = ""
    faces: tuple[EmbeddedFace, ...] = ()
    width: int = 0
    height: int = 0
    rotation: int = 0
    found: int = 0


def make_shard(results: Iterable[PhotoResult], *, size: int, first: int, crops: Path | None) -> Shard:
    """Turn a range of results into rows and vectors, writing their crops where wished.

    Args:
        results: The results of a range of inputs.
        size: D, the length of an embedding.
        first: Number of the first input of the range, for the names of the crops.
        crops: Folder for the aligned crops, or None.
    """
    rows: list[dict[str, Any]] = []
    vectors = []
    for number, result in enumerate(results, first):
        photo: dict[str, Any] = {"path": result.name, "status": result.status, "reason": result.reason}
        if result.width:
            photo |= {"rotation": result.rotation, "width": result.width, "height": result.height}
        for index, face in enumerate(result.faces):
            vectors.append(face.embedding)
            row = {**photo, "face": index, **_face_columns(face)}
            if face.doubt:
                row |= {"status": "doubtful", "reason": face.doubt}
            if face.low_quality:
                reason = "; ".join(filter(None, (face.low_quality, face.doubt)))
                row |= {"status": LOW_QUALITY, "reason": reason}
            if crops is not None and face.crop is not None:
                row["crop"] = _save_crop(face, crops, f"{crop_prefix(number, result.name)}{index}.png")
            rows.append(row)
        if not result.faces:
            rows.append(photo)
    stacked = np.stack(vectors) if vectors else np.zeros((0, size), np.float32)
    return Shard(stacked, rows)


def crop_prefix(number: int, path: str) -> str:
    """How the names of an input's crops begin, which end in the number of the face.

    Args:
        number: Of the input.
        path: Its name.
    """
    return f"{number:07d}_{_stem(path)}_"


def _face_columns(face: EmbeddedFace) -> dict[str, float]:
    columns = {"norm": round(face.norm, 5)}
    if face.face is not None:
        columns["score"] = round(float(face.face.score), 5)
        columns |= {name: round(float(v), 2) for name, v in zip(BOX, face.face.box, strict=True)}
        points = face.face.landmarks.reshape(-1)
        columns |= {name: round(float(v), 2) for name, v in zip(LANDMARKS, points, strict=True)}
    measured = asdict(face.quality)
    return columns | {name: round(v, 5) for name, v in measured.items() if not math.isnan(v)}


def _save_crop(face: EmbeddedFace, folder: Path, name: str) -> str:
    done, png = cv2.imencode(".png", face.crop)  # type: ignore[arg-type,unused-ignore]
    assert done, "an 8-bit BGR picture can always be written as PNG"
    with atomic_write(folder / name) as stream:
        stream.write(png.tobytes())
    return name


def _stem(path: str) -> str:
    """The part of a file's name that is safe in every file system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(path).stem)[:60].strip("-.") or "photo"
