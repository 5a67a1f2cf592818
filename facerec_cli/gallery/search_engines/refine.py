"""Candidates that something coarse has found, compared exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.gallery.search_engines.codes import take
from facerec_cli.metrics.scores import Vectors

_ROUNDING = 1e-4  # more than float32 makes of unit vectors of 65,536 numbers
_NUMBERS = 1 << 19  # of gathered templates at a time: 2 MB, which a core's cache holds


def refine(
    blocks: Sequence[Vectors], probes: Vectors, rows: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The best ``k`` of each probe's candidates.

    Args:
        blocks: Of (R, D) float32 templates, memory-mapped or not.
        probes: (M, D) float32.
        rows: (M, C) int64 candidates of each probe, rows over all blocks; -1 for none.
        k: How many.

    Returns:
        As ``metrics.search.top_k``.
    """
    found = np.full((len(probes), k), -1, np.int64)
    scores = np.full((len(probes), k), -np.inf, np.float32)
    step = max(1, _NUMBERS // max(1, rows.shape[1] * probes.shape[1]))
    for start in range(0, len(probes), step):
        part = slice(start, start + step)
        candidates = np.sort(rows[part], axis=1)  # in the order of the file
        probe, place, exact = _compared(
            take(blocks, np.maximum(candidates, 0)), probes[part], candidates >= 0, k
        )
        order = np.lexsort((place, -exact, probe))  # of equal scores the lower row first
        rank = np.arange(len(order)) - np.searchsorted(probe[order], probe[order])
        best, rank = order[rank < k], rank[rank < k]
        found[start + probe[best], rank] = candidates[probe[best], place[best]]
        scores[start + probe[best], rank] = exact[best]
    return found, scores


def _compared(
    vectors: NDArray[np.float32], probes: Vectors, there: NDArray[np.bool_], k: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Of (M, C, D) candidates those that can be among the best: probes, candidates, scores.

    As in ``metrics.search``, float32 products are a sieve, and what it leaves is scored in float64.
    """
    coarse: NDArray[np.float32] = np.matmul(vectors, probes[:, :, None])[..., 0]
    if k < coarse.shape[1]:
        coarse[~there] = -np.inf
        there = there & (coarse >= np.partition(coarse, -k, axis=1)[:, -k, None] - _ROUNDING)
    probe, place = np.nonzero(there)
    wide = vectors[probe, place].astype(np.float64), probes[probe].astype(np.float64)
    return probe, place, np.einsum("pd,pd->p", *wide).astype(np.float32)
