"""What a score of a model is worth, measured on all photos of many people, for its manifest.

As in an impostor tail each two people count once, however many photos they have, and so does each person of
whom there are several photos: a person with hundreds of them would be most of all pairs of one person. Ratios
are stated as far as so many people carry them (``likelihood_bounds.py``), and no higher than the reciprocal
of the smallest false match rate that the tail has.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.counted_scores import CountedScores
from facerec_cli.metrics.impostor_pairs import BINS, impostor_histogram, score_bins
from facerec_cli.metrics.likelihood import parameters
from facerec_cli.metrics.likelihood_evaluation import evaluate_counted
from facerec_cli.metrics.scores import Vectors
from facerec_cli.progress import Progress, silent
from facerec_cli.threshold import LARGEST, ImpostorTail, Likelihood

_UNIT = 1e6  # so many weights of whole numbers make one of two people, or of one
_WIDTH = 100  # bins that are one, 0.001 of a cosine
_APART = 0.2  # natural logarithm: steps of the stairs are no closer, a factor of 1.2


def measure_likelihood(
    vectors: Vectors,
    identity: NDArray[np.int64],
    tail: ImpostorTail,
    *,
    progress: Progress = silent,
) -> Likelihood:
    """Calibrate a model by stairs on all pairs of photos; see ``likelihood.fit_isotonic``.

    Args:
        vectors: (N, D) float32, unit length, one face a photo.
        identity: (N,) int64, who is on each photo.
        tail: Measured on the same vectors; it gives the data, flip and the highest ratio that is stated.
        progress: Told the rows done.

    Raises:
        InputError: The people are too few.
    """
    people = np.unique(identity, return_inverse=True)[1].astype(np.int64)
    impostor, _ = impostor_histogram(vectors, people, progress=progress)
    genuine, same_pairs = _genuine_histogram(vectors, people)
    photos = np.bincount(people)
    several = int((photos > 1).sum())
    counted = _coarse(genuine, impostor)
    found = evaluate_counted(counted, several, tail.pairs, "isotonic")
    if isinstance(found, str):
        raise InputError(f"What scores are worth cannot be measured: {found}.", hint="Add people.")
    starts, steps = _apart(counted, **parameters(found.model))
    photo_pairs = len(people) * (len(people) - 1) // 2
    return Likelihood(
        method="isotonic",
        low=math.ceil(1000 * found.model.low) / 1000,
        high=math.floor(1000 * min(found.model.high, -math.log(tail.rates[-1]))) / 1000,
        cllr=round(found.cllr, 5),
        min_cllr=round(found.min_cllr, 5),
        same_pairs=same_pairs,
        different_pairs=photo_pairs - same_pairs,
        people=several,
        person_pairs=tail.pairs,
        data=tail.data,
        flip=tail.flip,
        starts=starts,
        steps=steps,
    )


def _genuine_histogram(vectors: Vectors, people: NDArray[np.int64]) -> tuple[NDArray[np.float64], int]:
    """(BINS,) weight of the scores of each bin, each person with several photos 1 together; and the pairs."""
    histogram, pairs = np.zeros(BINS), 0
    order = np.argsort(people, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(people[order])) + 1):
        if len(rows) > 1:
            scores = (vectors[rows] @ vectors[rows].T)[np.triu_indices(len(rows), 1)]
            histogram += np.bincount(score_bins(scores.astype(np.float64)), minlength=BINS) / scores.size
            pairs += scores.size
    return histogram, pairs


def _coarse(genuine: NDArray[np.float64], impostor: NDArray[np.float64]) -> CountedScores:
    """Weights as whole numbers, at scores 0.001 apart."""
    values = (np.arange(BINS // _WIDTH) * _WIDTH) / (BINS / 2) - 1
    both = [
        np.rint(part.reshape(-1, _WIDTH).sum(axis=1) * _UNIT).astype(np.int64) for part in (genuine, impostor)
    ]
    used = (both[0] > 0) | (both[1] > 0)
    return CountedScores(values[used], both[0][used], both[1][used])


def _apart(
    counted: CountedScores, starts: list[float], steps: list[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Steps that are pooled until they are far enough apart to be worth a number of their own."""
    kept = [0]
    for at in range(1, len(steps)):
        if steps[at] - steps[kept[-1]] >= _APART:
            kept.append(at)
    edges = np.searchsorted(counted.values, [starts[at] for at in kept])
    sums = (np.add.reduceat(part, edges).astype(np.float64) for part in (counted.genuine, counted.impostor))
    genuine, impostor = (part / part.sum() for part in sums)
    with np.errstate(divide="ignore"):
        ratios = np.clip(np.log(genuine) - np.log(impostor), -LARGEST, LARGEST)
    return tuple(round(starts[at], 4) for at in kept), tuple(np.round(ratios, 3).tolist())
