"""An index in use: codes are scanned for candidates, and these are compared exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from facerec_cli.gallery.search_engines.codes import Codes, import_faiss, padded
from facerec_cli.gallery.search_engines.refine import refine
from facerec_cli.metrics.scores import Vectors
from facerec_cli.progress import Progress, silent
from facerec_cli.runtime import usable_cores

_PROBES = 64  # of a thread at a time: enough for faiss to read the codes seldom, few enough for two threads


class CodeScan:
    """Codes that are ready to be searched.

    Args:
        codes: Of N templates.
        rows: (N,) int64, where each of them is in ``blocks``.
        blocks: Of (R, D) float32, memory-mapped or not: what candidates are compared with.
    """

    def __init__(self, codes: Codes, rows: NDArray[np.int64], blocks: Sequence[Vectors]) -> None:
        self._scanner = codes.scanner()
        self._rows = np.append(rows, -1)  # no candidate, -1, is the last
        self._blocks = blocks

    def search(
        self, probes: Vectors, k: int, count: int, *, progress: Progress = silent
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best ``k`` of ``count`` candidates; as ``metrics.search.top_k``, but some may be missed."""
        found = np.full((len(probes), k), -1, np.int64)
        scores = np.full((len(probes), k), -np.inf, np.float32)

        def search(part: slice) -> None:
            rows = self._scan(probes[part], min(count, len(self._rows) - 1))
            found[part], scores[part] = refine(self._blocks, probes[part], rows, k)

        self._each(search, len(probes), progress)
        return found, scores

    def _scan(self, probes: Vectors, count: int) -> NDArray[np.int64]:
        if (
            count == len(self._rows) - 1
        ):  # all are candidates; faiss leaves out one with the lowest score there is
            return np.tile(self._rows[:-1], (len(probes), 1))
        found: NDArray[np.int64] = self._rows[self._scanner.search(padded(probes), count)[1]]
        return found

    @staticmethod
    def _each(work: Callable[[slice], None], probes: int, progress: Progress) -> None:
        """Do ``work`` for all probes, on threads of ours; faiss's would spin."""
        faiss = import_faiss()
        parts = [slice(start, min(start + _PROBES, probes)) for start in range(0, probes, _PROBES)]
        with ThreadPoolExecutor(usable_cores(), initializer=faiss.omp_set_num_threads, initargs=(1,)) as pool:
            for part, _ in zip(parts, pool.map(work, parts), strict=True):
                progress(part.stop, probes)
