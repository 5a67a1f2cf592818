"""Faces in an order that their content decides, equal ones together.

All that follows works on nodes in this order, and ties are broken by it. So the order of the input and the
number of threads change nothing, and 10,000 copies of one photo are one node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.scores import Vectors
from facerec_cli.pairs.pairlist import distinct


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """Faces of one vector as one node.

    Attributes:
        vectors: (N, D) float32, in the order of their bytes.
        sizes: (N,) int64, how many faces each node is.
        of_face: (F,) int64, the node of each face.
    """

    vectors: Vectors
    sizes: NDArray[np.int64]
    of_face: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.vectors)


def make_nodes(
    vectors: Vectors,
    photos: Sequence[str] | None = None,
    numbers: NDArray[np.int64] | None = None,
    *,
    alone: NDArray[np.int64] | None = None,
    labels: NDArray[np.int64] | None = None,
) -> Nodes:
    """Put faces with the very same vector together.

    Args:
        vectors: (F, D) float32 of unit length.
        photos: The photo of each face; two faces of one photo are never one node.
        numbers: (F,) int64, which face of its photo it is; a face that is listed twice is one. -1 where not
            known.
        alone: Faces that are nodes of their own, since something is said of them.
        labels: (F,) int64, faces of one node have one label.
    """
    count = len(vectors)
    plain = np.ascontiguousarray(vectors + np.float32(0))  # -0 and 0 are one number
    rows = plain.view(np.dtype((np.void, plain.shape[1] * plain.itemsize))).ravel()
    order = np.argsort(rows, kind="stable")
    first = np.ones(count, bool)
    if count > 1:
        first[1:] = (plain[order[1:]] != plain[order[:-1]]).any(axis=1)
    group = np.empty(count, np.int64)
    group[order] = np.cumsum(first) - 1
    parts = np.zeros((count, 4), np.int64)  # group, label, which face of its photo, a number of its own
    parts[:, 0] = group
    twins = np.flatnonzero(np.bincount(group)[group] > 1)
    if twins.size:
        _tell_apart(parts, twins, photos, numbers, alone, labels)
    unique, node = np.unique(parts, axis=0, return_inverse=True)
    node = node.reshape(-1).astype(np.int64)
    chosen = np.empty(len(unique), np.int64)
    chosen[node] = np.arange(count)
    return Nodes(plain[chosen], np.bincount(node, minlength=len(unique)), node)


def _tell_apart(
    parts: NDArray[np.int64],
    twins: NDArray[np.int64],
    photos: Sequence[str] | None,
    numbers: NDArray[np.int64] | None,
    alone: NDArray[np.int64] | None,
    labels: NDArray[np.int64] | None,
) -> None:
    """Give faces of one vector that are not one node different numbers, whatever order they come in."""
    if labels is not None:
        parts[twins, 1] = labels[twins]
    kept = set() if alone is None else set(alone.tolist())
    names = [photos[row] if photos is not None else "" for row in twins.tolist()]
    faces = [-1 if numbers is None else int(numbers[row]) for row in twins.tolist()]
    order = sorted(range(len(twins)), key=lambda at: (names[at], faces[at]))
    seen: dict[tuple[int, ...], dict[object, int]] = {}
    _, photo = distinct(names)
    for at in order:
        row = int(twins[at])
        if photos is not None:
            places = seen.setdefault((int(parts[row, 0]), int(photo[at])), {})
            parts[row, 2] = places.setdefault(faces[at] if faces[at] >= 0 else (row,), len(places))
        if row in kept:
            own = seen.setdefault((int(parts[row, 0]),), {})
            parts[row, 3] = own.setdefault(row, len(own) + 1)
