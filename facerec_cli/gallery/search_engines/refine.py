"""Candidates that something coarse has found, compared exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.gallery.search_engines.codes import take
from facerec_cli.metrics.scores import Vectors

_ROUNDING = 1e-4  # more than float32 makes of unit vectors of 65,536 numbers
_NUMBERS = 1 << 22  # of gathered templates at a time: 16 MB


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
        candidates = np.sort(
            rows[part], axis=1
        )  # in the order of the file; and of equal scores the lower row first
        exact = _exact(take(blocks, np.maximum(candidates, 0)), probes[part], candidates >= 0, k)
        best = np.argsort(-exact, axis=1, kind="stable")[:, :k]
        width = best.shape[1]
        scores[part, :width] = np.take_along_axis(exact, best, axis=1)
        found[part, :width] = np.take_along_axis(candidates, best, axis=1)
    return found, scores


def _exact(
    vectors: NDArray[np.float32], probes: Vectors, there: NDArray[np.bool_], k: int
) -> NDArray[np.float32]:
    """(M, C) float32 scores of (M, C, D) candidates; -inf for none, and where it cannot be among the best.

    As in ``metrics.search``, float32 products are a sieve, and what it leaves is scored in float64.
    """
    scores: NDArray[np.float32] = np.matmul(vectors, probes[:, :, None])[..., 0]
    scores[~there] = -np.inf
    if k < scores.shape[1]:
        least = np.partition(scores, -k, axis=1)[:, -k, None]
        there = there & (scores >= least - _ROUNDING)
    probe, candidate = np.nonzero(there)
    scores[:] = -np.inf
    scores[probe, candidate] = np.einsum(
        "pd,pd->p", vectors[probe, candidate].astype(np.float64), probes[probe].astype(np.float64)
    )
    return scores
