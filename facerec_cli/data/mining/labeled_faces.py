"""Faces with the people that they are said to show, from whatever says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.metrics.scores import Vectors


@dataclass(frozen=True, slots=True, eq=False)
class LabeledFaces:
    """F faces of P people. Entry i of every column belongs to row i of ``vectors``.

    Attributes:
        source: What the user calls them.
        vectors: (F, D) float32, unit length.
        labels: (F,) int64, numbers of ``people``.
        people: What each person is called.
        photos: Path of the photo; "" where nobody knows.
        numbers: (F,) int64, number of the face in its photo; -1 where nobody knows.
        sha256: Of the photo in hexadecimal; "" where nobody knows.
        crops: Path of the aligned crop; "" where there is none.
        landmarks: (F, 5, 2) float32, in pixels of the upright photo; NaN where nobody knows.
        margins: (F,) float32, what a file of groups says of how sure its group is; NaN elsewhere.
        model: What made the vectors.
        flip: Whether the mirrored crop was added.
        groups: Whether the people are groups that nobody has named.
    """

    source: str
    vectors: Vectors
    labels: NDArray[np.int64]
    people: tuple[str, ...]
    photos: tuple[str, ...]
    numbers: NDArray[np.int64]
    sha256: tuple[str, ...]
    crops: tuple[str, ...]
    landmarks: NDArray[np.float32]
    margins: NDArray[np.float32]
    model: ModelInfo
    flip: bool
    groups: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> LabeledFaces:
        """Some of the faces, in this order; people keep their numbers."""
        at = np.flatnonzero(rows) if rows.dtype == bool else rows
        columns: dict[str, Any] = {}
        for name in ("vectors", "labels", "numbers", "landmarks", "margins"):
            columns[name] = getattr(self, name)[at]
        for name in ("photos", "sha256", "crops"):
            columns[name] = tuple(getattr(self, name)[row] for row in at.tolist())
        return replace(self, **columns)

    def place(self, row: int) -> str:
        """What a face is called in tables: its photo, or else its crop."""
        return self.photos[row] or self.crops[row] or f"row {row}"


def number_names(names: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels by the order of the names, and the names."""
    people = tuple(sorted(set(names)))
    number = {name: at for at, name in enumerate(people)}
    return np.array([number[name] for name in names], np.int64), people
