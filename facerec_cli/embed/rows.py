"""The rows of a shard: one for each face of an input, for every input at least one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facerec_cli.embed.result import EmbeddedFace, PhotoResult
from facerec_cli.embeddings.records import BOX, LANDMARKS
from facerec_cli.embeddings.shards import Shard
from facerec_cli.files import atomic_write


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
    return columns


def _save_crop(face: EmbeddedFace, folder: Path, name: str) -> str:
    done, png = cv2.imencode(".png", face.crop)  # type: ignore[arg-type,unused-ignore]
    assert done, "an 8-bit BGR picture can always be written as PNG"
    with atomic_write(folder / name) as stream:
        stream.write(png.tobytes())
    return name


def _stem(path: str) -> str:
    """The part of a file's name that is safe in every file system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(path).stem)[:60].strip("-.") or "photo"
