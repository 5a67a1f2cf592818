"""Which faces and which pairs are hard for the network that made the vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.all_pairs import tiles
from facerec_cli.metrics.face_scores import FaceScores
from facerec_cli.metrics.scores import Vectors
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.progress import Progress, silent

_MOST_FACES = 500  # of a person whose faces are compared with each other


def hard_faces(scores: FaceScores, use: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """The faces that are least nearer to their own person than to the next one.

    Args:
        scores: Of F faces.
        use: (F,) bool, the faces that count; of these, faces alone under their name are never hard.
        share: Part of them that is hard, 0..1.

    Returns:
        (F,) bool, ``share`` of the faces that have others of their person beside them.
    """
    margin = scores.margin
    rows = np.flatnonzero(use & np.isfinite(margin))
    hardest = rows[np.argsort(margin[rows], kind="stable")[: round(share * len(rows))]]
    hard = np.zeros(len(use), bool)
    hard[hardest] = True
    return hard


def hard_pairs(
    vectors: Vectors, people: NDArray[np.int64], count: int, *, progress: Progress = silent
) -> tuple[PairList, NDArray[np.float32]]:
    """The least alike pairs of one person and the most alike pairs of two.

    Each face gives the pair with the least alike face of its own person (of the first 500 of them) and that
    with the most alike one of somebody else; no pair is given twice. So nobody has more of the pairs than
    faces, and memory for one tile of scores is enough.

    Args:
        vectors: (F, D) float32, unit length.
        people: (F,) int64.
        count: Pairs, half of each kind; fewer of a kind where there are no more.
        progress: Told the faces done.

    Returns:
        The pairs, in turn of one person and of two, the hardest first, and their (P,) scores.
    """
    order = np.argsort(people, kind="stable")
    units, who = np.ascontiguousarray(vectors[order]), people[order]
    kinds = [_unlike_own(units, who), _like_others(units, who, progress)]
    found = []
    for sign, (first, second, score) in zip((1, -1), kinds, strict=True):
        sides = np.sort(np.stack([order[first], order[second]]), axis=0)
        once = np.unique(sides, axis=1, return_index=True)[1]
        best = once[np.argsort(sign * score[once], kind="stable")[: count // 2]]
        found.append((sides[:, best], score[best]))
    same = np.repeat([True, False], [len(scores) for _, scores in found])
    turn = np.concatenate([np.arange(len(scores)) for _, scores in found])
    mixed = np.lexsort((~same, turn))
    sides, scores = (np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True))
    return PairList(sides[0][mixed], sides[1][mixed], same[mixed]), scores[mixed]


_Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


def _unlike_own(units: Vectors, who: NDArray[np.int64]) -> _Found:
    """For each face of a person with several the least alike other one; faces are sorted by person."""
    starts = np.flatnonzero(np.diff(who, prepend=-1))
    first, second, scores = [], [], []
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(who)], strict=True):
        size = min(stop - start, _MOST_FACES)
        if size < 2:
            continue
        own = units[start : start + size] @ units[start : start + size].T
        np.fill_diagonal(own, np.inf)
        least = own.argmin(axis=1)
        first.append(start + np.arange(size))
        second.append(start + least)
        scores.append(own[np.arange(size), least])
    if not first:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    return np.concatenate(first), np.concatenate(second), np.concatenate(scores)


def _like_others(units: Vectors, who: NDArray[np.int64], progress: Progress) -> _Found:
    """For each face the most alike one of another person."""
    best = np.full(len(units), -np.inf, np.float32)
    nearest = np.zeros(len(units), np.int64)
    for tile in tiles(units, units):
        tile.scores[who[tile.rows, None] == who[None, tile.columns]] = -np.inf
        column = tile.scores.argmax(axis=1)
        score = tile.scores[np.arange(len(column)), column]
        rows = np.arange(tile.rows.start, tile.rows.stop)
        better = score > best[tile.rows]
        best[rows[better]], nearest[rows[better]] = score[better], column[better] + tile.columns.start
        progress(tile.rows.stop, len(units))
    there = np.flatnonzero(np.isfinite(best))
    return there, nearest[there], best[there]
