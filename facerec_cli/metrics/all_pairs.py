"""Each row of a table against each of another, or of itself, in bounded memory.

:func:`tiles` makes the scores block by block as matrix products; for the best few of them ``search.py`` is
quicker. :func:`evaluate_all_pairs` has the exact statistics of N (N - 1) / 2 scores,
:func:`evaluate_against` those of photos with each other and with distractors: they are made twice, once to
count them in fine bins, once to keep those of the few bins in which an answer lies (see ``scores.py``).
Photos are sorted by person, so that genuine pairs lie in a band along the diagonal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from facerec_cli.metrics.scores import Binning, Distribution, Vectors, lowest_accepted
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
    thresholds: Sequence[float] = (),
    progress: Progress = silent,
) -> Evaluation:
    """Compare each photo with each other.

    Args:
        vectors: (N, D) float32, unit length.
        identity: (N,) int64, who is on each photo.
        failed: (N,) bool, photos without an embedding; their pairs are counted as failures.
        fars: Wanted false accept rates.
        thresholds: Cosines of which ``Distribution.accepted`` is asked later.
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
    total, gram = _sums(units)
    squared = np.einsum("nd,nd->n", units, units, dtype=np.float64)
    everything = np.array([total @ total - squared.sum(), (gram * gram).sum() - squared @ squared]) / 2
    return _evaluate(
        lambda: _classes(units, people),
        lambda genuine: everything - genuine,  # the sums over all pairs follow from the vectors alone
        _count_pairs(identity, fail),
        fars,
        progress,
        thresholds,
    )


def evaluate_against(
    vectors: Vectors,
    identity: NDArray[np.int64],
    distractors: Vectors,
    *,
    failed: NDArray[np.bool_] | None = None,
    failed_distractors: NDArray[np.bool_] | None = None,
    fars: Sequence[float] = DEFAULT_FARS,
    progress: Progress = silent,
) -> Evaluation:
    """Compare each two photos of one person, and each photo with each distractor, as MegaFace has it.

    Args:
        vectors: (N, D) float32, unit length.
        identity: (N,) int64, who is on each photo.
        distractors: (G, D) float32, unit length, of other people.
        failed: (N,) bool, photos without an embedding; their pairs are counted as failures.
        failed_distractors: (G,) bool.
        fars: Wanted false accept rates.
        progress: Told the pairs done, of twice the number of pairs.

    Raises:
        InputError: No photo, or no distractor, with an embedding.
    """
    fail = np.zeros(len(identity), bool) if failed is None else failed
    lost = np.zeros(len(distractors), bool) if failed_distractors is None else failed_distractors
    if fail.all() or lost.all():
        raise InputError("It takes a photo and a distractor with an embedding.")
    order = np.argsort(identity, kind="stable")
    order = order[~fail[order]]
    units, people = np.ascontiguousarray(vectors[order]), identity[order]
    others = np.ascontiguousarray(distractors[~lost])
    (total, gram), (other_total, other_gram) = _sums(units), _sums(others)
    sums = np.array([total @ other_total, (gram * other_gram).sum()])
    same, different = _count_pairs(identity, fail), fail.size * lost.size

    def classes() -> Iterator[tuple[NDArray[np.float32], list[NDArray[np.float32]]]]:
        for genuine, _ in _classes(units, people):
            yield genuine, []
        for tile in tiles(units, others):
            yield np.zeros(0, np.float32), _parts(tile.scores)

    counts = PairCounts(
        total=same.genuine + different,
        genuine=same.genuine,
        impostor=different,
        failed_genuine=same.failed_genuine,
        failed_impostor=different - len(units) * len(others),
    )
    return _evaluate(classes, lambda _: sums, counts, fars, progress)


def _evaluate(
    classes: Callable[[], Iterator[tuple[NDArray[np.float32], list[NDArray[np.float32]]]]],
    impostor_sums: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    pairs: PairCounts,
    fars: Sequence[float],
    progress: Progress,
    thresholds: Sequence[float] = (),
) -> Evaluation:
    """The statistics of scores that are made twice.

    Args:
        classes: Makes the scores of genuine pairs and those of impostor pairs, tile by tile.
        impostor_sums: The sums of the impostor scores and of their squares, from those of the genuine ones.
        pairs: How many there are.
        fars: Wanted false accept rates.
        progress: Told the scores made.
        thresholds: Of which rates are asked later.
    """
    binning = Binning(-1.0, 1.0)
    counts = [np.zeros(binning.bins, np.int64) for _ in ("genuine", "impostor")]
    sums = np.zeros(2)  # of the genuine scores and of their squares
    total, done = 2 * (pairs.total - pairs.failed), 0
    with ThreadPoolExecutor(usable_cores()) as pool:
        for genuine, impostor in classes():
            counts[0] += binning.histogram(binning.index(genuine))
            for part in pool.map(lambda s: binning.histogram(binning.index(s)), impostor):
                counts[1] += part
            wide = genuine.astype(np.float64)
            sums += wide.sum(), np.dot(wide, wide)
            done += genuine.size + sum(part.size for part in impostor)
            progress(done, total)
        opened = bins_to_open(counts[0], counts[1], fars, budget=_SORTED_FOR_AUC)
        for threshold in thresholds:
            opened[binning.index(lowest_accepted(threshold, np.dtype(np.float32)))] = True
        values: tuple[list[NDArray[np.float32]], ...] = ([], [])
        for genuine, impostor in classes():
            values[0].append(genuine[opened[binning.index(genuine)]])
            values[1].extend(pool.map(lambda s: s[opened[binning.index(s)]], impostor))
            done += genuine.size + sum(part.size for part in impostor)
            progress(done, total)
    made = [
        Distribution(binning, count, opened, np.concatenate(parts), _moments(sum_, int(count.sum())))
        for count, parts, sum_ in zip(counts, values, (sums, impostor_sums(sums)), strict=True)
    ]
    reason = no_folds(pairs.total)
    if pairs.total <= MAX_PAIRS_FOR_FOLDS:  # a caller of the library may use this for few photos
        reason = "photos compared tile by tile are not cut into folds"
    return from_distributions(made[0], made[1], pairs, accuracy=reason, fars=fars)


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
        yield mixed[same & above], [mixed[~same & above], *_parts(others)]


def _parts(scores: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Rows together, as many as fit a core's cache."""
    step = max(1, (1 << 18) // max(1, scores.shape[1]))
    return [scores[start : start + step] for start in range(0, len(scores), step)] if scores.size else []


def _sums(vectors: Vectors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sum (D,) of the rows, and that (D, D) of their products with themselves."""
    size = vectors.shape[1]
    total, gram = np.zeros(size), np.zeros((size, size))
    for start in range(0, len(vectors), COLUMNS):
        wide = vectors[start : start + COLUMNS].astype(np.float64)
        total += wide.sum(axis=0)
        gram += wide.T @ wide
    return total, gram


def _moments(sums: NDArray[np.float64], pairs: int) -> tuple[float, float]:
    """Mean and variance of a class, of which the sum of scores and that of their squares are known."""
    if pairs < 2:
        return float(sums[0]), 0.0
    mean = float(sums[0] / pairs)
    return mean, max(0.0, float(sums[1] - pairs * mean * mean) / (pairs - 1))


def _count_pairs(identity: NDArray[np.int64], failed: NDArray[np.bool_]) -> PairCounts:
    def counts(people: NDArray[np.int64]) -> tuple[int, int]:
        each = np.unique(people, return_counts=True)[1]
        genuine = int((each * (each - 1) // 2).sum())
        return genuine, people.size * (people.size - 1) // 2 - genuine

    genuine, impostor = counts(identity)
    scored = counts(identity[~failed])
    return PairCounts(genuine + impostor, genuine, impostor, genuine - scored[0], impostor - scored[1])
