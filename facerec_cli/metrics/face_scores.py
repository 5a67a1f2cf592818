"""Each face against its own person's other faces, and against everybody else's.

A person is the mean of the unit vectors of their faces. A face is never compared with a mean that it is part
of (leave-one-out): of two faces under one name, one of which is wrong, the mean lies half way to both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.all_pairs import tiles
from facerec_cli.metrics.scores import Vectors
from facerec_cli.progress import Progress, silent


@dataclass(frozen=True, slots=True, eq=False)
class FaceScores:
    """How alike each of F faces is to people.

    Attributes:
        own: (F,) float32, cosine with the mean of the person's other faces; NaN where there is none.
        other: (F,) float32, the highest cosine with the mean of another person; -inf without one.
        nearest: (F,) int64, that person; 0 without one.
    """

    own: NDArray[np.float32]
    other: NDArray[np.float32]
    nearest: NDArray[np.int64]

    @property
    def margin(self) -> NDArray[np.float32]:
        """(F,) float32, ``own - other``; NaN where there is no ``own``, inf without another person."""
        return np.asarray(self.own - self.other, np.float32)


def face_scores(
    vectors: Vectors,
    people: NDArray[np.int64],
    used: NDArray[np.bool_] | None = None,
    *,
    progress: Progress = silent,
) -> FaceScores:
    """Score faces against the means of all people.

    Args:
        vectors: (F, D) float32, unit length.
        people: (F,) int64 from 0, whom each face shows.
        used: (F,) bool, the faces that make the means; the others are scored all the same. None: all.
        progress: Told the faces done.
    """
    made = np.ones(len(vectors), bool) if used is None else used
    sums, count = sums_of(vectors[made], people[made], 1 + int(people.max(initial=-1)))
    others = sums[people] - np.where(made, 1.0, 0.0)[:, None] * vectors
    lengths = np.linalg.norm(others, axis=1)
    there = (count[people] - made > 0) & (lengths > 1e-6)
    own = np.where(there, np.einsum("fd,fd->f", others, vectors) / np.maximum(lengths, 1e-9), np.nan)
    present = np.flatnonzero(count)
    place = np.full(len(count), -1)
    place[present] = np.arange(len(present))
    best, at = best_others(vectors, place[people], unit_means(sums[present]), progress=progress)
    nearest = present[at] if len(present) else np.zeros(len(vectors), np.int64)
    return FaceScores(own.astype(np.float32), best, nearest)


def sums_of(
    vectors: Vectors, people: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(P, D) sums of each person's vectors, and (P,) how many these are."""
    order = np.argsort(people, kind="stable")
    faces = np.bincount(people, minlength=count)
    sums = np.zeros((count, vectors.shape[1]))
    present = np.flatnonzero(faces)
    if len(present):
        starts = (np.cumsum(faces) - faces)[present]
        sums[present] = np.add.reduceat(vectors[order].astype(np.float64), starts, axis=0)
    return sums, faces


def unit_means(sums: NDArray[np.float64]) -> Vectors:
    """(P, D) float32 sums at unit length; zeros where vectors cancel each other."""
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, sums / np.maximum(lengths, 1e-9), 0).astype(np.float32)


def best_others(
    vectors: Vectors, people: NDArray[np.int64], templates: Vectors, *, progress: Progress = silent
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The highest score of each face with another person's template, and who that is.

    Args:
        vectors: (F, D) float32, unit length.
        people: (F,) int64, the row of the person's own template; -1 where that is none of them.
        templates: (P, D) float32, unit length.
        progress: Told the faces done.

    Returns:
        (F,) float32, -inf where there is nobody else, and (F,) int64 rows of ``templates``.
    """
    best = np.full(len(vectors), -np.inf, np.float32)
    nearest = np.zeros(len(vectors), np.int64)
    for tile in tiles(vectors, templates):
        mine = people[tile.rows] - tile.columns.start
        here = np.flatnonzero((people[tile.rows] >= 0) & (mine >= 0) & (mine < tile.scores.shape[1]))
        tile.scores[here, mine[here]] = -np.inf
        column = tile.scores.argmax(axis=1)
        score = tile.scores[np.arange(len(column)), column]
        rows = np.arange(tile.rows.start, tile.rows.stop)
        better = rows[score > best[tile.rows]]
        best[better] = score[better - tile.rows.start]
        nearest[better] = column[better - tile.rows.start] + tile.columns.start
        progress(tile.rows.stop, len(vectors))
    return best, nearest
