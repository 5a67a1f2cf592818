"""The exact k-nearest-neighbor graph of faces, made in blocks that can be kept.

A graph of a million faces is hours of one core: each block of it is a file in a work folder, and a run that
was killed makes those that are missing. Scores are those of ``metrics.search.top_k``: a pair has one, in
whatever block it is made.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facerec_cli._version import __version__
from facerec_cli.errors import UsageError
from facerec_cli.files import atomic_write, lock, make_folder, write_file, writing
from facerec_cli.metrics.scores import Vectors
from facerec_cli.metrics.search import top_k
from facerec_cli.progress import Progress, silent
from facerec_cli.resume import Fingerprint
from facerec_cli.untrusted import NpzFile, parse_json

BLOCK = 1 << 14
"""Faces whose neighbors are a file of the work folder."""


class NeighborSearch(Protocol):
    """Finds the ``k`` best rows of a table for each probe, as ``top_k`` does."""

    def __call__(
        self, vectors: Vectors, probes: Vectors, k: int, /, *, progress: Progress = silent
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(M, k) int64 rows and float32 scores, the highest first, of equal ones the lower row."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class NeighborGraph:
    """The nearest others of each node.

    Attributes:
        rows: (N, k) int32, the nearest first; -1 where there are no more.
        scores: (N, k) float32 cosines; -inf likewise.
    """

    rows: NDArray[np.int32]
    scores: NDArray[np.float32]

    def edges(self, threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The pairs of nodes of which one is a neighbor of the other and whose score may reach a value."""
        first, place = np.nonzero(self.scores >= np.float32(threshold - 1e-6))
        return first.astype(np.int64), self.rows[first, place].astype(np.int64)

    def saturated(self, threshold: float) -> NDArray[np.bool_]:
        """(N,) bool, nodes that may have more neighbors at this score than the graph has room for."""
        if self.rows.shape[1] >= len(self.rows) - 1:
            return np.zeros(len(self.rows), bool)
        return np.asarray(self.scores[:, -1] >= np.float32(threshold - 1e-6))


def build_graph(
    vectors: Vectors,
    k: int,
    *,
    search: NeighborSearch = top_k,
    work: Path | None = None,
    progress: Progress = silent,
) -> NeighborGraph:
    """Find the ``k`` nearest others of each node.

    Args:
        vectors: (N, D) float32 of unit length.
        k: How many, at least 1.
        search: What finds them.
        work: A folder for finished blocks; it is made, and left to the user. None keeps nothing.
        progress: Told the nodes done.

    Raises:
        UsageError: The work folder is of another graph, or another process works in it.
        OutputError: It cannot be written.
    """
    count = len(vectors)
    k = max(1, min(k, count - 1))
    rows = np.full((count, k), -1, np.int32)
    scores = np.full((count, k), -np.inf, np.float32)
    if count < 2:
        return NeighborGraph(rows, scores)
    if work is None:
        for start in range(0, count, BLOCK):
            part = slice(start, min(start + BLOCK, count))
            rows[part], scores[part] = _block(vectors, part, k, search, _moved(progress, part, count))
        return NeighborGraph(rows, scores)
    make_folder(work, what="work folder")
    with lock(work, inside=True):
        _begin(work, vectors, k)
        for start in range(0, count, BLOCK):
            part = slice(start, min(start + BLOCK, count))
            place = work / f"{start // BLOCK:06d}.npz"
            done = _read_block(place, part, k)
            if done is None:
                done = _block(vectors, part, k, search, _moved(progress, part, count))
                with atomic_write(place, what="block of the graph") as stream:
                    np.savez(stream, rows=done[0], scores=done[1])
            rows[part], scores[part] = done
            progress(part.stop, count)
    return NeighborGraph(rows, scores)


def _moved(progress: Progress, part: slice, count: int) -> Progress:
    """Progress within a part, told of the whole."""

    def tell(done: int, total: int | None = None) -> None:
        progress(part.start + done, count)

    return tell


def _block(
    vectors: Vectors, part: slice, k: int, search: NeighborSearch, progress: Progress
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The neighbors of some nodes, without the nodes themselves."""
    found, best = search(vectors, vectors[part], k + 1, progress=progress)
    own = found == np.arange(part.start, part.stop)[:, None]
    own[~own.any(axis=1), -1] = True  # among more than k of the same score: the last is one too many
    keep = ~own
    shape = (part.stop - part.start, k)
    return found[keep].reshape(shape).astype(np.int32), best[keep].reshape(shape)


def _begin(work: Path, vectors: Vectors, k: int) -> None:
    """Note whose graph it is, or refuse to go on with another one's."""
    digest = hashlib.sha256(np.ascontiguousarray(vectors).data).hexdigest()
    about = {"facerec": __version__, "vectors": digest, "faces": len(vectors), "neighbors": k, "block": BLOCK}
    place = work / "graph.json"
    with writing(work, what="work folder"):
        there = [path.name for path in work.iterdir() if not path.name.startswith(".facerec")]
        before = place.read_bytes() if place.name in there else b"{}"
    if there and place.name not in there:
        raise UsageError(f"--work {work} is a folder of something else.", hint="Name an empty folder.")
    if not there:
        write_file(place, json.dumps(about, indent=1).encode(), what="work folder")
        return
    known: object = None
    with suppress(ValueError):
        known = parse_json(before)
    Fingerprint(about).require_same(
        known if isinstance(known, dict) else {},
        f"The work folder {work} is of another graph",
        hint="Name another folder with --work, or remove this one.",
    )


def _read_block(place: Path, part: slice, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]] | None:
    """A finished block; None where it is not there or cannot be used, and is made again."""
    try:
        with NpzFile(place) as kept:
            rows, scores = kept["rows"], kept["scores"]
    except (OSError, ValueError, KeyError):
        return None
    shape = (part.stop - part.start, k)
    fits = rows.shape == scores.shape == shape and rows.dtype == np.int32 and scores.dtype == np.float32
    return (rows, scores) if fits else None
