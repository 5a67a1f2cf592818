"""All pairs of N photos at once: exact statistics of N (N - 1) / 2 scores in bounded memory.

The scores are made twice, tile by tile, as matrix products: once to count them in fine bins, once to keep
those of the few bins in which an answer lies (see ``distribution.py``). Photos are sorted by person, so that
same pairs lie in a band along the diagonal and all other tiles hold different pairs only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.distribution import Binning, Counts, Distribution, bins_to_open
from facerec_cli.metrics.statistics import (
    DEFAULT_FARS,
    MAX_PAIRS_FOR_FOLDS,
    Measured,
    PairCounts,
    summarise,
    too_many_for_folds,
)
from facerec_cli.progress import Progress, silent
from facerec_cli.runtime import usable_cores

ROWS, COLUMNS = 1024, 8192  # a tile of 32 MB: large enough for BLAS, small enough for any machine
_KEPT_FOR_AUC = 1 << 25  # 128 MB

Tile = tuple[NDArray[np.float32], NDArray[np.int8] | None]


def evaluate_all_pairs(
    vectors: NDArray[np.float32],
    identity: NDArray[np.int64],
    *,
    failed: NDArray[np.bool_] | None = None,
    fars: Sequence[float] = DEFAULT_FARS,
    progress: Progress = silent,
) -> Measured:
    """Compare each photo with each other.

    Args:
        vectors: (N, D) float32, unit length.
        identity: (N,) int64, who is on each photo.
        failed: (N,) bool, photos without an embedding; their pairs are counted as failures.
        fars: Wanted false accept rates.
        progress: Told the pairs done, of twice the number of pairs.

    Raises:
        InputError: Fewer than two photos with an embedding.
    """
    fail = np.zeros(len(identity), bool) if failed is None else failed
    if len(identity) - int(fail.sum()) < 2:
        raise InputError("Comparing all pairs takes at least two photos with an embedding.")
    order = np.argsort(identity, kind="stable")
    order = order[~fail[order]]
    x, people = np.ascontiguousarray(vectors[order]), identity[order]
    pairs = _count_pairs(identity, fail)
    binning = Binning(-1.0, 1.0)
    total = 2 * (len(x) * (len(x) - 1) // 2)
    done = 0
    counts: list[Counts] = [np.zeros(binning.bins, np.int64) for _ in range(2)]
    sums = np.zeros(2)
    with ThreadPoolExecutor(usable_cores()) as pool:
        for scores, same in tiles(x, people):
            genuine, impostor = split(scores, same)
            counts[0] += binning.histogram(binning.index(genuine))
            for part in pool.map(lambda s: binning.histogram(binning.index(s)), _stripes(impostor)):
                counts[1] += part
            wide = genuine.astype(np.float64)
            sums += wide.sum(), np.dot(wide, wide)
            done += genuine.size + impostor.size
            progress(done, total)
        opened = bins_to_open(counts[0], counts[1], fars, budget=_KEPT_FOR_AUC)
        kept: tuple[list[NDArray[np.float32]], ...] = ([], [])
        for scores, same in tiles(x, people):
            genuine, impostor = split(scores, same)
            kept[0].append(genuine[opened[binning.index(genuine)]])
            kept[1].extend(pool.map(lambda s: s[opened[binning.index(s)]], _stripes(impostor)))
            done += genuine.size + impostor.size
            progress(done, total)
    genuine, impostor = (np.concatenate(k) if k else np.zeros(0, np.float32) for k in kept)
    alike = Distribution(binning, counts[0], opened, genuine)
    unlike = Distribution(binning, counts[1], opened, impostor)
    moments = _moments(x, sums, alike.size, unlike.size)
    reason = too_many_for_folds(pairs.total)
    if pairs.total <= MAX_PAIRS_FOR_FOLDS:  # a caller of the library may use this for few photos
        reason = "photos compared tile by tile are not cut into folds"
    return Measured(summarise(alike, unlike, pairs, moments, accuracy=reason, fars=fars), alike, unlike)


def tiles(x: NDArray[np.float32], people: NDArray[np.int64]) -> Iterator[Tile]:
    """The upper triangle of the Gram matrix, in tiles.

    Args:
        x: (N, D) float32, sorted by person.
        people: (N,) ascending.

    Yields:
        Scores (R, C) float32 in a buffer that the next tile overwrites, and a mask: None where all of them
        are of different pairs, else (R, C) int8 with 1 for same, 0 for different, -1 for the other triangle.
    """
    buffer = np.empty(ROWS * COLUMNS, np.float32)
    n = len(x)
    for a in range(0, n, ROWS):
        b = min(a + ROWS, n)
        end = int(np.searchsorted(people, people[b - 1], side="right"))  # the band of same pairs ends here
        for first, last, mixed in ((a, end, True), (end, n, False)):
            for c in range(first, last, COLUMNS):
                d = min(c + COLUMNS, last)
                scores = buffer[: (b - a) * (d - c)].reshape(b - a, d - c)
                np.matmul(x[a:b], x[c:d].T, out=scores)
                mask = None
                if mixed:
                    mask = (people[a:b, None] == people[None, c:d]).astype(np.int8)
                    mask[np.arange(c, d)[None, :] <= np.arange(a, b)[:, None]] = -1
                yield scores, mask


def split(
    scores: NDArray[np.float32], mask: NDArray[np.int8] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The tile's scores of same and of different pairs, both one-dimensional."""
    if mask is None:
        return np.zeros(0, np.float32), scores.reshape(-1)
    return scores[mask == 1], scores[mask == 0]


def _stripes(scores: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Parts that fit a core's cache."""
    step = 1 << 18
    return [scores[start : start + step] for start in range(0, scores.size, step)]


def _moments(
    x: NDArray[np.float32], genuine: NDArray[np.float64], same: int, different: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Mean and variance of both classes; the sums over all pairs follow from the vectors alone."""
    wide = x.astype(np.float64)
    squared = np.einsum("nd,nd->n", wide, wide)
    gram = wide.T @ wide
    total = wide.sum(axis=0)
    everything = np.array([total @ total - squared.sum(), (gram * gram).sum() - squared @ squared]) / 2

    def moments(sums: NDArray[np.float64], n: int) -> tuple[float, float]:
        if n < 2:
            return float(sums[0]), 0.0
        mean = float(sums[0] / n)
        return mean, max(0.0, float(sums[1] - n * mean * mean) / (n - 1))

    return moments(genuine, same), moments(everything - genuine, different)


def _count_pairs(identity: NDArray[np.int64], failed: NDArray[np.bool_]) -> PairCounts:
    def counts(people: NDArray[np.int64]) -> tuple[int, int]:
        each = np.unique(people, return_counts=True)[1]
        same = int((each * (each - 1) // 2).sum())
        return same, people.size * (people.size - 1) // 2 - same

    same, different = counts(identity)
    scored_same, scored_different = counts(identity[~failed])
    return PairCounts(same + different, same, different, same - scored_same, different - scored_different)
