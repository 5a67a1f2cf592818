"""1:N search: the nearest rows of a gallery for each probe, exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.all_pairs import tiles
from facerec_cli.metrics.scores import Vectors
from facerec_cli.progress import Progress, silent


def top_k(
    gallery: Vectors | Sequence[Vectors],
    probes: Vectors,
    k: int,
    *,
    live: NDArray[np.bool_] | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The ``k`` rows of the gallery with the highest scores for each probe, in bounded memory.

    Args:
        gallery: (R, D) float32 embeddings of the enrolled people, or blocks of them, whose rows are counted
            on from block to block; in memory or memory-mapped; for cosines of unit length.
        probes: (M, D) float32 embeddings that are searched for.
        k: How many, at least 1.
        live: (R,) bool, the rows that may come; None means all.
        threads: How many search at a time; None means one for each core. The answer is the same.
        progress: Told the probes done.

    Returns:
        (M, k) int64 rows and their (M, k) float32 scores, the highest first; of equal scores the lower row
        first. Where fewer than ``k`` rows are live, rows of -1 with scores of -inf follow.

    Raises:
        InputError: ``k`` is below 1, the tables differ in their dimensions, ``live`` is of another length, or
            a vector has a number that is not finite.
    """
    blocks = [gallery] if isinstance(gallery, np.ndarray) else list(gallery)
    if k < 1:
        raise InputError(f"The {k} nearest of a gallery cannot be given; it takes at least 1.")
    for block in blocks:
        if block.shape[1] != probes.shape[1]:
            raise InputError(
                f"The gallery's embeddings have {block.shape[1]} dimensions, the probes' {probes.shape[1]}.",
                hint="Embed both with the same model.",
            )
    if live is not None and len(live) != sum(map(len, blocks)):
        raise InputError(f"{len(live)} rows are live or not, of a gallery of {sum(map(len, blocks))} rows.")
    rows = np.full((len(probes), k), -1, np.int64)
    scores = np.full(rows.shape, -np.inf, np.float32)
    start = 0
    for block in blocks:
        alive = np.flatnonzero(live[start : start + len(block)]) if live is not None else None
        for tile in tiles(probes, block):
            found = tile.scores
            numbers = np.arange(tile.columns.start, tile.columns.stop)
            if alive is not None:
                numbers = alive[
                    np.searchsorted(alive, tile.columns.start) : np.searchsorted(alive, tile.columns.stop)
                ]
                found = found[:, numbers - tile.columns.start]
            if not np.isfinite(found).all():
                raise InputError("A vector of the gallery or of the probes has a number that is not finite.")
            columns = _highest(found, min(k, found.shape[1]))
            # The best of the tiles before stand on the left: of equal scores the lower row stays first.
            values = np.concatenate([scores[tile.rows], np.take_along_axis(found, columns, 1)], axis=1)
            candidates = np.concatenate([rows[tile.rows], numbers[columns] + start], axis=1)
            best = _highest(values, k)
            scores[tile.rows] = np.take_along_axis(values, best, axis=1)
            rows[tile.rows] = np.take_along_axis(candidates, best, axis=1)
            progress(tile.rows.stop, len(probes))
        start += len(block)
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
