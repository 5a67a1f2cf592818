"""Pairs at a threshold, as the discard curves take them: of a list, or all pairs of labeled photos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.all_pairs import tiles
from facerec_cli.metrics.discard import Floats, PairsAtThreshold, at_least
from facerec_cli.metrics.scores import Vectors, score_pairs
from facerec_cli.progress import Progress, silent

MOST_SAME = 20_000_000
"""So many same pairs of a folder are listed at most: 0.5 GB."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Sides:
    """Rows of both sides of pairs."""

    first: Ints
    second: Ints


def judge_list(
    scores: NDArray[np.float32],
    same: NDArray[np.bool_],
    sides: tuple[Ints, Ints],
    people: Ints,
    threshold: float,
) -> PairsAtThreshold:
    """The scored pairs of a list.

    Args:
        scores: (P,).
        same: (P,) bool.
        sides: (P,) the photos of both sides.
        people: (P,) who is on the first side.
        threshold: A pair is accepted when its score is at least this.
    """
    accepted = scores >= np.float64(threshold)
    first, second = sides
    different = first[~same], second[~same]

    def left(quality: Floats, cuts: Floats) -> Ints:
        return at_least(np.minimum(quality[different[0]], quality[different[1]]), cuts)

    hits = ~same & accepted
    return PairsAtThreshold(
        (first[same], second[same]), ~accepted[same], people[same], (first[hits], second[hits]), left
    )


def judge_all(
    vectors: Vectors,
    people: Ints,
    threshold: float,
    *,
    failed: NDArray[np.bool_],
    progress: Progress = silent,
) -> PairsAtThreshold | str:
    """All pairs of photos.

    Args:
        vectors: (N, D) float32, unit length.
        people: (N,) who is on each photo.
        threshold: A pair is accepted when its score is at least this.
        failed: (N,) bool, photos without an embedding.
        progress: Told the photos done.

    Returns:
        The pairs, or why they are too many.
    """
    rows = np.flatnonzero(~failed)
    rows = rows[np.argsort(people[rows], kind="stable")]
    who = people[rows]
    starts = np.flatnonzero(np.diff(who, prepend=-1))
    sizes = np.diff(np.append(starts, len(rows)))
    count = int((sizes * (sizes - 1) // 2).sum())
    if count > MOST_SAME:
        return f"there are {count:,} same pairs; at most {MOST_SAME:,} are followed"
    blocks = [
        np.array(np.triu_indices(size, 1), np.int64) + start
        for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)
        if size > 1
    ]
    at = np.concatenate(blocks, axis=1) if blocks else np.zeros((2, 0), np.int64)
    pairs = _Sides(rows[at[0]], rows[at[1]])
    rejected = score_pairs(vectors, pairs) < np.float64(threshold)
    hits = _reaching(vectors[rows], who, threshold, progress)

    def left(quality: Floats, cuts: Floats) -> Ints:
        counts = []
        for cut in cuts.tolist():
            kept = people[rows[quality[rows] >= cut]]
            own = np.bincount(kept)
            counts.append(len(kept) * (len(kept) - 1) // 2 - int((own * (own - 1) // 2).sum()))
        return np.array(counts, np.int64)

    return PairsAtThreshold(
        (pairs.first, pairs.second), rejected, people[pairs.first], (rows[hits[0]], rows[hits[1]]), left
    )


def _reaching(units: Vectors, who: Ints, threshold: float, progress: Progress) -> tuple[Ints, Ints]:
    """Pairs of two people that reach the threshold; ``who`` is sorted."""
    least = np.float32(threshold)
    if least < np.float64(threshold):
        least = np.nextafter(least, np.float32(np.inf))
    found: list[tuple[Ints, Ints]] = []
    for tile in tiles(units):
        i, j = np.nonzero(tile.scores >= least)
        first, second = i + tile.rows.start, j + tile.columns.start
        use = (first < second) & (who[first] != who[second])
        found.append((first[use], second[use]))
        progress(tile.rows.stop, len(units))
    firsts, seconds = zip(*found, strict=True)
    return np.concatenate(firsts), np.concatenate(seconds)
