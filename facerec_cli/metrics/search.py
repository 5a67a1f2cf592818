"""1:N search: the nearest rows of a gallery for each probe, exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.all_pairs import tiles
from facerec_cli.metrics.scores import Vectors
from facerec_cli.progress import Progress, silent


def top_k(
    gallery: Vectors, probes: Vectors, k: int, *, progress: Progress = silent
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The ``k`` rows of the gallery with the highest scores for each probe, in bounded memory.

    Args:
        gallery: (N, D) float32 embeddings of the enrolled people; for cosines of unit length.
        probes: (M, D) float32 embeddings that are searched for.
        k: How many; at most N are given.
        progress: Told the probes done.

    Returns:
        (M, min(k, N)) int64 rows of the gallery and their float32 scores, the highest first; of equal scores
        the lower row first.

    Raises:
        InputError: ``k`` is below 1, or the tables differ in their dimensions.
    """
    if k < 1:
        raise InputError(f"The {k} nearest of a gallery cannot be given; it takes at least 1.")
    if gallery.shape[1] != probes.shape[1]:
        raise InputError(
            f"The gallery's embeddings have {gallery.shape[1]} dimensions, the probes' {probes.shape[1]}.",
            hint="Embed both with the same model.",
        )
    rows = np.full((len(probes), min(k, len(gallery))), -1, np.int64)
    scores = np.full(rows.shape, -np.inf, np.float32)
    for tile in tiles(probes, gallery):
        columns = _highest(tile.scores, min(k, tile.scores.shape[1]))
        # The best of the tiles before stand on the left, so that of equal scores the lower row stays first.
        values = np.concatenate([scores[tile.rows], np.take_along_axis(tile.scores, columns, 1)], axis=1)
        numbers = np.concatenate([rows[tile.rows], columns + tile.columns.start], axis=1)
        best = _highest(values, rows.shape[1])
        scores[tile.rows] = np.take_along_axis(values, best, axis=1)
        rows[tile.rows] = np.take_along_axis(numbers, best, axis=1)
        progress(tile.rows.stop, len(probes))
    return rows, scores


def _highest(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Columns of the ``k`` highest of each row, the highest first, of equal ones the lower column first."""
    if k == scores.shape[1]:
        return np.argsort(-scores, axis=1, kind="stable")
    columns = np.argpartition(scores, -k, axis=1)[:, -k:]
    lowest = np.take_along_axis(scores, columns, axis=1).min(axis=1, keepdims=True)
    # A partition takes any of several columns with the lowest score that still counts: such rows are sorted.
    for row in np.flatnonzero((scores >= lowest).sum(axis=1) > k):
        columns[row] = np.argsort(-scores[row], kind="stable")[:k]
    columns.sort(axis=1)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)
