"""Which pairs are compared: all pairs of the photos under two conditions, or the naturally hardest ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.pairs.pairlist import PairList

NATURAL = "natural"
_CELL, _DIRECTIONS = 8, 9


def sides_of(subset: str) -> tuple[str, str]:
    """The conditions of the first and of the second photo of a subset's pairs."""
    first, second = ("clean", "clean") if subset == NATURAL else subset.split(" ")
    return first, second


def score_subset(
    subset: str, pairs: PairList, embeddings: Mapping[str, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """(P,) float32 cosines of a subset's pairs.

    One product of matrices gives those of all photos, which is faster than ``metrics.scores.score_pairs``
    where nearly all of them are compared.

    Args:
        subset: Which.
        pairs: :func:`make_pairs` of it.
        embeddings: (N, D) float32 unit rows of the photos under each condition.
    """
    first, second = (embeddings[name] for name in sides_of(subset))
    scores: NDArray[np.float32] = (first @ second.T)[pairs.first, pairs.second]
    return scores


def conditions_of(subsets: Sequence[str]) -> tuple[str, ...]:
    """The conditions that photos are needed under, each once, the clean one first."""
    parts = [part for subset in subsets if subset != NATURAL for part in subset.split(" ")]
    return tuple(dict.fromkeys(["clean", *parts]))


def make_pairs(subset: str, people: NDArray[np.int64], crops: NDArray[np.uint8], natural: float) -> PairList:
    """All pairs of different photos, both ways round where the two sides differ.

    Args:
        subset: Two conditions, or ``natural``: all clean different pairs, and those of the clean same pairs
            that look least like each other by a descriptor that knows no faces (:func:`gradients`).
        people: (N,) int64.
        crops: (N, 112, 112, 3) uint8 RGB, clean.
        natural: What part of the same pairs those are.
    """
    count = len(people)
    if len(set(sides_of(subset))) == 1:
        first, second = np.triu_indices(count, 1)
    else:
        first, second = np.nonzero(~np.eye(count, dtype=bool))
    same = people[first] == people[second]
    if subset == NATURAL:
        rows = np.flatnonzero(same)
        looks = gradients(crops)
        similarity = np.einsum("pd,pd->p", looks[first[rows]], looks[second[rows]])
        hard = rows[np.argsort(similarity, kind="stable")[: max(1, round(natural * len(rows)))]]
        rows = np.union1d(np.flatnonzero(~same), hard)
        first, second, same = first[rows], second[rows], same[rows]
    return PairList(first.astype(np.int64), second.astype(np.int64), same)


def measurable(fars: Sequence[float], different: int) -> tuple[float, ...]:
    """The rates that there are enough different pairs for: three over the rate."""
    return tuple(far for far in fars if far * different >= 3)


def gradients(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Histograms of oriented gradients (Dalal and Triggs 2005), (N, D) rows of length one.

    Cells of 8 x 8 pixels, nine unsigned directions, blocks of 2 x 2 cells normalized with a clip at 0.2. It
    is not learned, so none of the networks under test decides which pairs count as hard. It is written out
    here because OpenCV 5 has no HOGDescriptor, and because the published figures rest on these pairs.
    """
    rows = []
    for crop in crops:
        grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
        dx, dy = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=1), cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=1)
        length = np.hypot(dx, dy)
        direction = ((np.arctan2(dy, dx) % np.pi) * (_DIRECTIONS / np.pi)).astype(int) % _DIRECTIONS
        side = grey.shape[0] // _CELL
        cell = np.arange(grey.shape[0]) // _CELL
        index = (cell[:, None] * side + cell[None, :]) * _DIRECTIONS + direction
        cells = np.bincount(index.ravel(), length.ravel(), side * side * _DIRECTIONS)
        cells = cells.reshape(side, side, _DIRECTIONS)
        corners = (cells[:-1, :-1], cells[1:, :-1], cells[:-1, 1:], cells[1:, 1:])
        blocks = _normalised(np.minimum(_normalised(np.concatenate(corners, axis=2)), 0.2))
        rows.append((blocks / np.linalg.norm(blocks)).ravel())
    return np.stack(rows).astype(np.float32)


def _normalised(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = blocks / (np.linalg.norm(blocks, axis=2, keepdims=True) + 1e-3)
    return unit
