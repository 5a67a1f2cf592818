"""Templates in a few bits each, scanned whole: what the index keeps, and its nearest rows.

Each two numbers of a template become one of 16 pairs (product quantization, Jegou, Douze & Schmid 2011), 4
bits that faiss compares 32 templates at a time within registers (Andre, Kermarrec & Le Scouarnec 2015). Every
template is looked at, as in an exact search, only coarsely; so nobody is out of reach as with lists or graphs
of neighbors, and all there is to choose is how many candidates are then compared exactly.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import MissingExtraError
from facerec_cli.metrics.scores import Vectors
from facerec_cli.progress import Progress, silent

WIDTH, BITS = 2, 4  # numbers that a code stands for, and its bits
_TRAINED_ON = 1 << 16  # templates: 4,096 for each of 16 pairs
_AT_ONCE = 1 << 14  # templates that are read and encoded together


def import_faiss() -> Any:
    """The faiss module.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module("faiss")
    except ImportError as error:
        raise MissingExtraError("faiss", extra="index", purpose="A gallery's index") from error


@contextlib.contextmanager
def one_thread(faiss: Any) -> Iterator[None]:
    """What this thread asks of faiss runs on it alone.

    faiss's own threads wait for one another by spinning: 65,536 templates were learned from in 0.8 s of CPU
    on one thread and in 3 to 6 s on two that shared their cores with others.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Templates as codes.

    Attributes:
        dimensions: D of the templates.
        pairs: (C, 16, 2) float32: what each of the 16 values of each code stands for; C is half of D.
        codes: (N, bytes) uint8, two codes a byte.
    """

    dimensions: int
    pairs: NDArray[np.float32]
    codes: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together.

        Raises:
            ValueError: Their shapes or types differ from what faiss would read.
        """
        count = codes_of(self.dimensions)
        if self.pairs.shape != (count, 1 << BITS, WIDTH) or self.pairs.dtype != np.float32:
            raise ValueError("the values of its codes have another shape")
        if self.codes.ndim != 2 or self.codes.dtype != np.uint8 or self.codes.shape[1] != (count + 1) // 2:
            raise ValueError("its codes have another shape")
        if not np.isfinite(self.pairs).all():
            raise ValueError("the values of its codes are not finite")

    def encode(self, vectors: Vectors) -> NDArray[np.uint8]:
        """(N, bytes) uint8, the codes of (N, D) float32 vectors."""
        faiss = import_faiss()
        quantizer = faiss.ProductQuantizer(len(self.pairs) * WIDTH, len(self.pairs), BITS)
        faiss.copy_array_to_vector(self.pairs.reshape(-1), quantizer.centroids)
        codes: NDArray[np.uint8] = quantizer.compute_codes(padded(vectors))
        return codes

    def scanner(self) -> Any:
        """A faiss index of the codes, in the order that registers want.

        Its parts are arrays whose shapes are checked; no file of faiss is ever parsed.
        """
        faiss = import_faiss()
        plain = faiss.IndexPQ(len(self.pairs) * WIDTH, len(self.pairs), BITS, faiss.METRIC_INNER_PRODUCT)
        faiss.copy_array_to_vector(self.pairs.reshape(-1), plain.pq.centroids)
        faiss.copy_array_to_vector(np.ascontiguousarray(self.codes).reshape(-1), plain.codes)
        plain.ntotal, plain.is_trained = len(self.codes), True
        return faiss.IndexPQFastScan(plain)


def codes_of(dimensions: int) -> int:
    """How many codes a template of D numbers has."""
    return -(-dimensions // WIDTH)


def padded(vectors: Vectors) -> Vectors:
    """Contiguous float32 with an even number of columns."""
    odd = vectors.shape[1] % WIDTH
    return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, odd))) if odd else vectors, np.float32)


def make_codes(blocks: Sequence[Vectors], rows: NDArray[np.int64], *, progress: Progress = silent) -> Codes:
    """Learn what codes stand for, and encode.

    Args:
        blocks: Of (R, D) float32 templates; read in parts.
        rows: (N,) ascending rows of all blocks that are encoded, at least one.
        progress: Told the templates encoded.
    """
    faiss = import_faiss()
    dimensions = blocks[0].shape[1]
    drawn = rows[np.linspace(0, len(rows) - 1, min(len(rows), _TRAINED_ON)).astype(np.int64)]
    sample = padded(take(blocks, drawn))
    if len(sample) < 1 << BITS:
        sample = np.resize(sample, (1 << BITS, sample.shape[1]))
    quantizer = faiss.ProductQuantizer(sample.shape[1], codes_of(dimensions), BITS)
    quantizer.cp.min_points_per_centroid = 1  # or it writes about few templates to the terminal
    with one_thread(faiss):
        quantizer.train(sample)
    pairs = faiss.vector_to_array(quantizer.centroids).reshape(-1, 1 << BITS, WIDTH)
    codes = np.empty((len(rows), quantizer.code_size), np.uint8)
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        codes[part] = quantizer.compute_codes(padded(take(blocks, rows[part])))
        progress(min(start + _AT_ONCE, len(rows)), len(rows))
    return Codes(dimensions, pairs, codes)


def take(blocks: Sequence[Vectors], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """A copy of rows that are counted over all blocks, in the order and shape of ``rows``.

    Returns:
        (*rows.shape, D) float32.
    """
    if len(blocks) == 1:
        return np.asarray(blocks[0]).take(rows, axis=0, mode="clip")
    flat = rows.reshape(-1)
    order = np.argsort(flat, kind="stable")
    ascending, starts = flat[order], np.cumsum([0, *map(len, blocks)])
    edges = np.searchsorted(ascending, starts)
    taken = np.empty((len(flat), blocks[0].shape[1]), np.float32)
    for number in np.flatnonzero(np.diff(edges)).tolist():
        part = slice(edges[number], edges[number + 1])
        block = np.asarray(blocks[number])  # a memory map's own way to take rows is slower
        taken[order[part]] = block.take(ascending[part] - starts[number], axis=0, mode="clip")
    return taken.reshape(*rows.shape, -1)
