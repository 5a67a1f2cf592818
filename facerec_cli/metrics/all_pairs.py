"""Each row of a table against each of another, or of itself, in bounded memory.

:func:`tiles` makes the scores block by block as matrix products; search (``search.py``) and
clustering can take it as it is. :func:`evaluate_all_pairs` has the exact statistics of N (N - 1) / 2 scores:
they are made twice, once to count them in fine bins, once to keep those of the few bins in which an answer
lies (see ``scores.py``). Photos are sorted by person, so that genuine pairs lie in a band along the diagonal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.evaluate import (
    Evaluation,
    PairCounts,
    from_distributions,
)
from facerec_cli.metrics.folds import MAX_PAIRS_FOR_FOLDS, no_folds
from facerec_cli.metrics.roc import bins_to_open
from facerec_cli.metrics.scores import Binning, Distribution, Vectors
from facerec_cli.progress import Progress, silent
from facerec_cli.runtime import usable_cores
from facerec_cli.threshold import DEFAULT_FARS

ROWS, COLUMNS = 1024, 8192  # a tile of 32 MB: large enough for BLAS, small enough for any machine
_SORTED_FOR_AUC = 1 << 25  # 128 MB


@dataclass(frozen=True, slots=True)
class Tile:
    """A block of scores.

    Attributes:
        rows: Which rows of the first table.
        columns: Which rows of the second.
        scores: (R, C) float32 dot products, in a buffer that the next tile overwrites.
    """

    rows: slice
    columns: slice
    scores: NDArray[np.float32]


def tiles(first: Vectors, second: Vectors | None = None) -> Iterator[Tile]:
    """The matrix ``first @ second.T``, block by block; memory for one block of at most 32 MB.

    Args:
        first: (N, D) float32; for cosines of unit length.
        second: (M, D) float32. None compares ``first`` with itself, each two rows once: only blocks that
            reach above the diagonal are made, and of those on it only the part above it counts.

    Yields:
        Blocks, the rows of ``first`` from the top, and for each of them the rows of ``second``.
    """
    table = first if second is None else second
    buffer = np.empty(ROWS * COLUMNS, np.float32)
    for a in range(0, len(first), ROWS):
        b = min(a + ROWS, len(first))
        for c in range(a if second is None else 0, len(table), COLUMNS):
            d = min(c + COLUMNS, len(table))
            scores = buffer[: (b - a) * (d - c)].reshape(b - a, d - c)
            np.matmul(first[a:b], table[c:d].T, out=scores)
            yield Tile(slice(a, b), slice(c, d), scores)


def evaluate_all_pairs(
    vectors: Vectors,
    identity: NDArray[np.int64],
    *,
    failed: NDArray[np.bool_] | None = None,
    fars: Sequence[float] = DEFAULT_FARS,
    progress: Progress = silent,
) -> Evaluation:
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
    units, people = np.ascontiguousarray(vectors[order]), identity[order]
    binning = Binning(-1.0, 1.0)
    counts = [np.zeros(binning.bins, np.int64) for _ in ("genuine", "impostor")]
    sums = np.zeros(2)  # of the genuine scores and of their squares
    total, done = len(units) * (len(units) - 1), 0
    with ThreadPoolExecutor(usable_cores()) as pool:
        for genuine, impostor in _classes(units, people):
            counts[0] += binning.histogram(binning.index(genuine))
            for part in pool.map(lambda s: binning.histogram(binning.index(s)), impostor):
                counts[1] += part
            wide = genuine.astype(np.float64)
            sums += wide.sum(), np.dot(wide, wide)
            done += genuine.size + sum(part.size for part in impostor)
            progress(done, total)
        opened = bins_to_open(counts[0], counts[1], fars, budget=_SORTED_FOR_AUC)
        values: tuple[list[NDArray[np.float32]], ...] = ([], [])
        for genuine, impostor in _classes(units, people):
            values[0].append(genuine[opened[binning.index(genuine)]])
            values[1].extend(pool.map(lambda s: s[opened[binning.index(s)]], impostor))
            done += genuine.size + sum(part.size for part in impostor)
            progress(done, total)
    moments = _moments(units, sums, int(counts[0].sum()), int(counts[1].sum()))
    classes = [
        Distribution(binning, count, opened, np.concatenate(parts), moment)
        for count, parts, moment in zip(counts, values, moments, strict=True)
    ]
    pairs = _count_pairs(identity, fail)
    reason = no_folds(pairs.total)
    if pairs.total <= MAX_PAIRS_FOR_FOLDS:  # a caller of the library may use this for few photos
        reason = "photos compared tile by tile are not cut into folds"
    return from_distributions(classes[0], classes[1], pairs, accuracy=reason, fars=fars)


def _classes(
    units: Vectors, people: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.float32], list[NDArray[np.float32]]]]:
    """The scores of each tile by class.

    Args:
        units: (N, D) float32, sorted by person.
        people: (N,) ascending.

    Yields:
        (G,) scores of genuine pairs, and those of impostor pairs in parts of any shape that fit a core's
        cache. They may share the tile's buffer.
    """
    for tile in tiles(units):
        rows, columns = tile.rows, tile.columns
        # Right of the last row's person these rows have nobody, so all pairs there are impostor pairs.
        end = int(np.searchsorted(people, people[rows.stop - 1], side="right"))
        end = min(max(end, columns.start), columns.stop)
        mixed, others = np.split(tile.scores, [end - columns.start], axis=1)
        same = people[rows, None] == people[None, columns.start : end]
        above = np.arange(columns.start, end) > np.arange(rows.start, rows.stop)[:, None]
        step = max(1, (1 << 18) // max(1, others.shape[1]))
        parts = [others[start : start + step] for start in range(0, len(others), step)]
        yield mixed[same & above], [mixed[~same & above], *(parts if others.size else [])]


def _moments(
    units: Vectors, genuine: NDArray[np.float64], genuine_pairs: int, impostor_pairs: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Mean and variance of both classes; the sums over all pairs follow from the vectors alone."""
    wide = units.astype(np.float64)
    squared = np.einsum("nd,nd->n", wide, wide)
    gram = wide.T @ wide
    total = wide.sum(axis=0)
    everything = np.array([total @ total - squared.sum(), (gram * gram).sum() - squared @ squared]) / 2

    def moments(sums: NDArray[np.float64], pairs: int) -> tuple[float, float]:
        if pairs < 2:
            return float(sums[0]), 0.0
        mean = float(sums[0] / pairs)
        return mean, max(0.0, float(sums[1] - pairs * mean * mean) / (pairs - 1))

    return moments(genuine, genuine_pairs), moments(everything - genuine, impostor_pairs)


def _count_pairs(identity: NDArray[np.int64], failed: NDArray[np.bool_]) -> PairCounts:
    def counts(people: NDArray[np.int64]) -> tuple[int, int]:
        each = np.unique(people, return_counts=True)[1]
        genuine = int((each * (each - 1) // 2).sum())
        return genuine, people.size * (people.size - 1) // 2 - genuine

    genuine, impostor = counts(identity)
    scored = counts(identity[~failed])
    return PairCounts(genuine + impostor, genuine, impostor, genuine - scored[0], impostor - scored[1])
