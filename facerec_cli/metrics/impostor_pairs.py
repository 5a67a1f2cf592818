"""An impostor tail measured on embeddings of many people: how high the scores of two people come."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.all_pairs import tiles
from facerec_cli.metrics.scores import Vectors
from facerec_cli.progress import Progress, silent
from facerec_cli.threshold import ImpostorTail

RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
BINS = 200_000  # of the cosines from -1 to 1: scores are known to 1e-5
_HITS = 1000  # so many pairs tell how unevenly people are taken for others


def measure_impostor_tail(
    vectors: Vectors,
    identity: NDArray[np.int64],
    *,
    data: str,
    flip: bool = False,
    rates: Sequence[float] = RATES,
    progress: Progress = silent,
) -> ImpostorTail:
    """Compare all photos of each two people; each two people count once, however many photos they have.

    People are what a gallery has one template each of, and a person with hundreds of photos would be a large
    part of all pairs of photos. So a pair of photos has the weight 1 / (photos of one * photos of the other).

    Args:
        vectors: (N, D) float32, unit length, one face a photo.
        identity: (N,) int64, who is on each photo; a person under two numbers makes the tail too long.
        data: What the photos are, for the tail.
        flip: Whether the mirrored crop was added.
        rates: False match rates, from large to small; those that take more pairs of people than there are
            (3 / rate) are left out.
        progress: Told the rows done.

    Returns:
        The tail, with scores rounded up to 1e-5.

    Raises:
        InputError: There are too few people for the largest rate.
    """
    people = np.unique(identity, return_inverse=True)[1]
    photos = np.bincount(people)
    count = photos.size
    pairs = count * (count - 1) // 2
    kept = tuple(rate for rate in rates if rate * pairs >= 3 * (1 - 1e-9))
    if not kept:
        raise InputError(f"{count:,} people make too few pairs for an impostor tail.", hint="Add people.")
    histogram, sums = impostor_histogram(vectors, people, progress=progress)
    mean = sums[1] / sums[0]
    above = np.cumsum(histogram[::-1])[::-1] / sums[0]  # the share at or above each bin's lower edge
    scores = [2 * int(np.argmax(above <= rate * (1 + 1e-9))) / BINS - 1 for rate in kept]
    often = sum(rate * pairs >= _HITS for rate in kept[1:])  # the smallest rate that tells of people
    return ImpostorTail(
        data=data,
        people=count,
        pairs=pairs,
        mean=round(float(mean), 4),
        deviation=round(math.sqrt(sums[2] / sums[0] - mean * mean), 4),
        rates=kept,
        scores=tuple(round(score, 5) for score in scores),
        flip=flip,
        variation=round(variation(vectors[np.unique(people, return_index=True)[1]], scores[often]), 2),
        genuine_mean=_genuine_mean(vectors, people, photos),
    )


def impostor_histogram(
    vectors: Vectors, people: NDArray[np.int64], *, progress: Progress = silent
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The scores of all photos of each two people, each two people with a weight of 1 together.

    Args:
        vectors: (N, D) float32, unit length, one face a photo.
        people: (N,) int64 from 0, who is on each photo.
        progress: Told the rows done.

    Returns:
        (BINS,) weight of the scores of each bin of the cosines from -1 to 1; and (3,) the sums of weights, of
        weighted scores and of their squares.
    """
    weight = 1 / np.bincount(people)[people]
    histogram, sums = np.zeros(BINS), np.zeros(3)
    for tile in tiles(vectors):
        rows, columns = tile.rows, tile.columns
        weights = np.outer(weight[rows], weight[columns])
        weights[people[rows, None] == people[None, columns]] = 0
        weights[np.arange(columns.start, columns.stop) <= np.arange(rows.start, rows.stop)[:, None]] = 0
        wide = tile.scores.astype(np.float64)
        sums += weights.sum(), (weights * wide).sum(), (weights * wide * wide).sum()
        histogram += np.bincount(score_bins(wide).ravel(), weights.ravel(), BINS)
        progress(rows.stop, len(vectors))
    return histogram, sums


def score_bins(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each cosine."""
    return np.clip((scores + 1) * (BINS / 2), 0, BINS - 1).astype(np.int64)


def variation(vectors: Vectors, least: float) -> float:
    """How unevenly people are taken for others: see :class:`facerec_cli.threshold.ImpostorTail`.

    Two strangers who are both taken for one person tell of it: the share of such threes among all threes,
    over the square of the share of such pairs, is 1 + variation, whatever their number.

    Args:
        vectors: (P, D) float32, one photo a person.
        least: The score from which on two people are taken for one.
    """
    count, met = len(vectors), np.full(len(vectors), -1.0)  # each meets oneself
    for tile in tiles(vectors, vectors):
        met[tile.rows] += (tile.scores >= least).sum(axis=1)
    share = met.sum() / (count * (count - 1))
    threes = (met * (met - 1)).sum() / max(1, count * (count - 1) * (count - 2))
    return max(0.0, float(threes / share**2 - 1)) if share > 0 else 0.0


def _genuine_mean(vectors: Vectors, people: NDArray[np.int64], photos: NDArray[np.int64]) -> float | None:
    """Mean over people with several photos of the mean score of two of them."""
    totals = np.zeros((photos.size, vectors.shape[1]))
    np.add.at(totals, people, vectors)
    several = photos > 1
    if not several.any():
        return None
    squared = (totals[several] ** 2).sum(axis=1)
    mean = (squared - photos[several]) / (photos[several] * (photos[several] - 1))
    return round(float(np.clip(mean.mean(), 0.01, 1)), 3)
