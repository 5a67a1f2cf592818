"""1:N search: the nearest rows of a gallery for each probe, exactly.

Gallery and probes are cut into tiles that stay in a core's cache. A tile's scores come from a float32 matrix
product, whose last bits depend on the tile's shape and on the library behind NumPy; they are only a sieve.
What they cannot rule out, by the bound of their rounding, is scored again in float64, and that score, rounded
once to float32, is the answer. So a pair has one score, in whatever tile, block, batch or thread it comes,
equal vectors have equal scores, and of a million rows some hundred are scored twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.scores import Vectors
from facerec_cli.progress import Progress, silent
from facerec_cli.runtime import one_blas_thread, usable_cores

_SCORES, _PROBES = 1 << 19, 512  # of a tile: 2 MB, 1,024 rows of the gallery for 512 probes
_MOST_ROWS = 4096  # of a tile for few probes
_BUNCH = 16  # rows of which only the highest score is looked at first
_PASS = 1 << 14  # probes that are searched for at a time, while the gallery is read once
_ANSWERS = 1 << 18  # rows that are kept for them; putting these in order takes some 30 MB
_PAIRS_AT_ONCE = 1 << 9  # pairs whose vectors are gathered in float64; a core's cache holds them
_DENSE = 32  # where more than one of so many scores has to be made again, all of the tile are
_TINY = np.finfo(np.float32).tiny  # what is smaller has fewer bits, or none
_LONGEST = 1e18  # scores of longer vectors may not fit float32

_Rows = NDArray[np.int64]
_Scores = NDArray[np.float32]


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
        live: (R,) bool, the rows that may come; None means all. The others may hold anything.
        threads: How many search at a time; None means one a core. The answer does not depend on it.
        progress: Told the probes done; as they are searched for together, their number by the work done.

    Returns:
        (M, k) int64 rows and their (M, k) float32 scores, the highest first; of equal scores the lower row
        first. Where fewer than ``k`` rows are live, rows of -1 with scores of -inf follow. A score is the
        inner product in float64, rounded to float32.

    Raises:
        InputError: ``k`` is below 1, the tables differ in their dimensions, ``live`` has another length, or
            a vector has a number that is not finite or too large for its square.
    """
    blocks = [np.asarray(block) for block in ([gallery] if isinstance(gallery, np.ndarray) else gallery)]
    _check(blocks, probes, k, live)
    rows, scores = np.empty((len(probes), k), np.int64), np.empty((len(probes), k), np.float32)
    step = max(1, min(_PASS, _ANSWERS // k))
    for start in range(0, len(probes), step):
        part = slice(start, min(start + step, len(probes)))

        def tell(done: int, total: int | None = None, part: slice = part) -> None:
            progress(part.start + done * (part.stop - part.start) // (total or 1), len(probes))

        wanted = _Wanted(np.ascontiguousarray(probes[part], np.float32), k, start)
        _search(blocks, wanted, live, threads or usable_cores(), tell)
        rows[part], scores[part] = wanted.rows, wanted.scores
    return rows, scores


def _check(blocks: Sequence[Vectors], probes: Vectors, k: int, live: NDArray[np.bool_] | None) -> None:
    if k < 1:
        raise InputError(f"The {k} nearest of a gallery cannot be given; it takes at least 1.")
    for block in blocks:
        if block.shape[1] != probes.shape[1]:
            raise InputError(
                f"The gallery's embeddings have {block.shape[1]} dimensions, the probes' {probes.shape[1]}.",
                hint="Embed both with the same model.",
            )
    rows = sum(len(block) for block in blocks)
    if live is not None and len(live) != rows:
        raise InputError(f"A gallery of {rows} rows is said to have {len(live)}, live or not.")


@dataclass(frozen=True, slots=True, eq=False)
class _Strip:
    """Rows of the gallery that are scored together: the number of the first, and which may come."""

    first: int
    vectors: Vectors
    live: NDArray[np.bool_] | None


def _strips(blocks: Sequence[Vectors], live: NDArray[np.bool_] | None, size: int) -> Iterator[_Strip]:
    """The gallery in strips of ``size`` rows or fewer; where none is live there is no strip."""
    offset = 0
    for block in blocks:
        for start in range(0, len(block), size):
            part = slice(start, min(start + size, len(block)))
            alive = live[offset + part.start : offset + part.stop] if live is not None else None
            if alive is not None and not alive.all():
                inside = np.flatnonzero(alive)
                if inside.size == 0:
                    continue
                alive = alive[inside[0] : inside[-1] + 1]
                part = slice(start + int(inside[0]), start + int(inside[-1]) + 1)
            yield _Strip(offset + part.start, block[part], alive)
        offset += len(block)


class _Wanted:
    """Probes with the best rows found for them so far.

    Attributes:
        probes: (M, D) float32.
        lengths: (M,) float32, bounds of their lengths.
        rows, scores: (M, k), in order.
        least: (M,) float32, what a score must reach to come among the best; it only rises.
    """

    def __init__(self, probes: Vectors, k: int, first: int) -> None:
        self.probes, self.lengths = probes, _lengths(probes, "probe {}", first)
        self.rows = np.full((len(probes), k), -1, np.int64)
        self.scores = np.full(self.rows.shape, -np.inf, np.float32)
        self.least = np.full(len(probes), -10 * _LONGEST**2, np.float32)
        self._found: list[tuple[_Rows, _Rows, _Scores]] = []
        self._waiting = 0
        self._lock = Lock()

    def better(self, probe: _Rows, row: _Rows, score: _Scores) -> NDArray[np.bool_]:
        """Which pairs, entries of three arrays, are better than the last of the best so far."""
        with self._lock:
            scores, rows = self.scores[:, -1], self.rows[:, -1]
        least, last = scores[probe], rows[probe]
        return np.asarray((score > least) | ((score == least) & (row < last)))

    def add(self, probe: _Rows, row: _Rows, score: _Scores) -> None:
        """Take what one tile has. The order in which tiles come changes nothing."""
        better = self.better(probe, row, score)
        with self._lock:
            self._found.append((probe[better], row[better], score[better]))
            self._waiting += int(np.count_nonzero(better))
            # To put them in order each time would cost more than what a lower bar lets through.
            if self._waiting >= self.rows.size:
                self.settle()

    def settle(self) -> None:
        """Put what was found in its place."""
        count, k = self.rows.shape
        kept = np.repeat(np.arange(count), k), self.rows.ravel(), self.scores.ravel()
        probe, row, score = (np.concatenate(parts) for parts in zip(kept, *self._found, strict=True))
        order = np.lexsort((row, -score, probe.astype(np.uint16)))  # uint16: sorted by digits
        best = order[np.searchsorted(probe[order], np.arange(count))[:, None] + np.arange(k)]
        self.rows, self.scores = row[best], score[best]
        np.maximum(self.least, self.scores[:, -1], out=self.least)
        self._found, self._waiting = [], 0


def _search(
    blocks: Sequence[Vectors],
    wanted: _Wanted,
    live: NDArray[np.bool_] | None,
    threads: int,
    progress: Progress,
) -> None:
    """One pass over the gallery."""
    wide = min(_PROBES, len(wanted.probes))
    size = min(_MOST_ROWS, _SCORES // wide)
    with one_blas_thread() as ours:
        # Where BLAS cuts a product for threads of its own, each still gets a tile.
        threads, size = (threads, size) if ours else (1, size * min(threads, 8))
        strips = list(_strips(blocks, live, size))
        threads = max(1, min(threads, len(strips)))
        buffers: SimpleQueue[_Scores] = SimpleQueue()
        for _ in range(threads):
            buffers.put(np.empty((size + _BUNCH) * wide, np.float32))

        def scan(strip: _Strip) -> None:
            buffer = buffers.get()
            try:
                _scan(strip, wanted, buffer)
            finally:
                buffers.put(buffer)

        with ThreadPoolExecutor(threads) as pool:
            for done, _ in enumerate(pool.map(scan, strips) if threads > 1 else map(scan, strips), start=1):
                progress(done, len(strips))
    wanted.settle()


def _scan(strip: _Strip, wanted: _Wanted, buffer: _Scores) -> None:
    """Score a strip of the gallery with all probes, tile by tile, and keep what may be among the best."""
    vectors, length = _bounded(strip)
    lengths, count = length * wanted.lengths, len(vectors)
    slack = _rounding(np.float32, vectors, lengths)
    dead = np.flatnonzero(~strip.live) if strip.live is not None else slice(0)
    for start in range(0, len(wanted.probes), _PROBES):
        part = slice(start, start + _PROBES)
        probes = wanted.probes[part]
        scores = buffer[: -(-count // _BUNCH) * _BUNCH * len(probes)].reshape(-1, len(probes))
        np.matmul(vectors, probes.T, out=scores[:count])
        scores[count:] = scores[dead] = -np.inf
        row, column = _above(scores, wanted.least[part] - slack[part], slack[part], wanted.rows.shape[1])
        if row.size * _DENSE > scores.size:  # many equal scores: a product in float64 is a finer sieve
            wide = vectors.astype(np.float64) @ probes.astype(np.float64).T
            wide += _rounding(np.float64, vectors, lengths[part])
            at_most = wide[row, column].astype(np.float32)
            better = wanted.better(column + start, row + strip.first, at_most)
            row, column = row[better], column[better]
        if row.size:
            wanted.add(column + start, row + strip.first, _exact(vectors, probes, row, column))


def _bounded(strip: _Strip) -> tuple[Vectors, float]:
    """A strip's vectors, and a length that none exceeds: that of all as one vector, quick to have."""
    vectors = np.ascontiguousarray(strip.vectors, np.float32)
    flat = vectors.ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        squared = float(np.dot(flat, flat))
    if not squared < _LONGEST**2:
        if strip.live is not None:
            vectors = np.where(strip.live[:, None], vectors, np.float32(0))
        squared = float(
            np.square(_lengths(vectors, "row {} of the gallery", strip.first), dtype=np.float64).sum()
        )
    if squared == 0 and not vectors.any():
        return vectors, 0.0
    return vectors, 1.1 * float(np.sqrt(squared + vectors.size * _TINY))  # 1.1: the sum is rounded too


def _lengths(vectors: Vectors, what: str, first: int) -> _Scores:
    """Bounds of the lengths of (N, D) vectors, of which the first has the number ``first`` in messages."""
    with np.errstate(over="ignore", invalid="ignore"):
        squared = np.einsum("nd,nd->n", vectors, vectors)
        lengths: _Scores = np.float32(1.1) * np.sqrt(squared + vectors.shape[1] * _TINY)
    lengths[~vectors.any(axis=1)] = 0
    fits = lengths < _LONGEST
    if not fits.all():
        name = what.format(first + int(np.argmin(fits)))
        raise InputError(
            f"The embedding of {name} has a number that is not finite, or too large.",
            hint="Embed its photo again, or leave it out.",
        )
    return lengths


def _above(scores: _Scores, least: _Scores, slack: _Scores, k: int) -> tuple[_Rows, _Rows]:
    """Rows and columns of a tile whose score reaches its column's ``least`` and may be of its best ``k``."""
    width = scores.shape[1]
    # Of a handful of columns the scores are compared at once: NumPy's loops go along the columns.
    bunch = _BUNCH if width >= _BUNCH else 1
    highest = scores.reshape(-1, bunch, width).max(axis=1) if bunch > 1 else scores
    hot = highest >= least
    if np.count_nonzero(hot) * 4 > hot.size and k < len(scores):  # as in the first tiles
        least = np.maximum(least, np.partition(scores, -k, axis=0)[-k] - 2 * slack)
        hot = highest >= least
    row, column = np.divmod(np.flatnonzero(hot), width)
    rows = row * bunch + np.arange(bunch)[:, None]
    inside, which = np.nonzero(scores[rows, column] >= least[column])
    return rows[inside, which], column[which]


def _exact(vectors: Vectors, probes: Vectors, row: _Rows, column: _Rows) -> _Scores:
    """The scores of pairs: each made by itself in float64, so that nothing else changes it, and rounded."""
    scores = np.empty(row.size, np.float32)
    for start in range(0, row.size, _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        pairs = (side.astype(np.float64) for side in (vectors[row[part]], probes[column[part]]))
        scores[part] = np.einsum("pd,pd->p", *pairs)
    return scores


def _rounding(kind: type[np.floating[Any]], vectors: Vectors, lengths: _Scores) -> NDArray[np.floating[Any]]:
    """How far a matrix product in floats of ``kind`` may be from the inner products, in any order of sums.

    That is D times half an eps times both vectors' lengths, nearly (Higham 2002, section 3.1); twice that
    leaves room for the rounding of the score, of the lengths, and of the sums made with this.
    """
    floats = np.finfo(kind)
    return np.asarray((vectors.shape[1] + 8) * (floats.eps * lengths + floats.tiny))
