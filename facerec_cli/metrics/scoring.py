"""Cosine similarity of listed pairs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from facerec_cli.progress import Progress, silent
from facerec_cli.runtime import usable_cores

_CHUNK = 1 << 14  # pairs whose vectors are gathered at once: 16 MB at 128 numbers


def score_pairs(
    vectors: NDArray[np.float32],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    *,
    progress: Progress = silent,
) -> NDArray[np.float32]:
    """The dot product of each pair's vectors; the cosine when they have unit length.

    Args:
        vectors: (N, D) float32.
        first: (P,) index into ``vectors``.
        second: (P,) the same.
        progress: Told the pairs done.

    Returns:
        (P,) float32.
    """
    scores = np.empty(first.size, np.float32)

    def work(start: int) -> int:
        part = slice(start, start + _CHUNK)
        np.einsum("pd,pd->p", vectors[first[part]], vectors[second[part]], out=scores[part])
        return start

    with ThreadPoolExecutor(usable_cores()) as pool:
        for start in pool.map(work, range(0, first.size, _CHUNK)):
            progress(min(start + _CHUNK, first.size), first.size)
    return scores
