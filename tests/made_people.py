"""People whose vectors are made by hand, as files of embeddings, for tests of searches."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MODEL = {"name": "made", "sha256": "d" * 64}


def unit(*numbers: float) -> NDArray[np.float32]:
    """A vector of length 1 in the direction of these numbers."""
    vector = np.array(numbers, np.float64)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def write_embeddings(
    path: Path, faces: list[tuple[str, NDArray[np.float32]]], *, model: dict | None = None, **columns: list
) -> Path:
    """Write ``.npy``, table and description as ``facerec embed`` does.

    Args:
        path: The ``.npy``.
        faces: Photo and vector of each face; a photo that is named again has a further face.
        model: What the description says of the model.
        columns: Further columns of the table.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.stack([vector for _, vector in faces]))
    seen: dict[str, int] = {}
    with path.with_suffix(".csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "row", "face", "status", "reason", *columns])
        for row, (photo, _) in enumerate(faces):
            seen[photo] = seen.get(photo, -1) + 1
            table.writerow([photo, row, seen[photo], "ok", "", *(values[row] for values in columns.values())])
    path.with_suffix(".json").write_text(json.dumps({"model": model or MODEL, "settings": {"flip": False}}))
    return path
