"""Rows of numbers on the disk: segments of 65,536 vectors, read through memory maps, written through files.

Nothing is written through a map: where the disk is full, a file says so, and a map ends the process.
"""

from __future__ import annotations

import ast
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.files import atomic_write, writing
from facerec_cli.metrics.scores import Vectors

SEGMENT = 1 << 16
"""Rows in a file. It has its full size from the start, as a sparse file."""

_HEADER = 128  # bytes before the first number, as NumPy pads it
_TOLERANCE = 1e-3  # of a length of 1


class Rows:
    """All vectors of one kind: ``faces-000001.npy``, ``faces-000002.npy``, ...

    Args:
        folder: Where the files are.
        kind: ``faces`` or ``templates``.
        dimensions: D.
    """

    def __init__(self, folder: Path, kind: str, dimensions: int) -> None:
        self.folder = folder
        self.kind = kind
        self.dimensions = dimensions
        self._maps: dict[int, Vectors] = {}

    def path(self, segment: int) -> Path:
        """The file of a segment, counted from 0."""
        return self.folder / f"{self.kind}-{segment + 1:06d}.npy"

    def segment(self, number: int) -> Vectors:
        """(65536, D) float32, a map of one file that cannot be written to.

        Raises:
            InputError: It is missing, or is not the file that was made.
        """
        if number not in self._maps:
            path = self.path(number)
            try:
                _check(path, self.dimensions)
                mapped = np.memmap(path, "<f4", "r", _HEADER, (SEGMENT, self.dimensions))
            except (OSError, ValueError) as fault:
                reason = fault.strerror if isinstance(fault, OSError) else fault
                raise InputError(
                    f"{path} cannot be used: {reason}.",
                    hint="Put it back from a copy of the gallery. `facerec gallery check` says whose faces "
                    "are in it.",
                ) from fault
            self._maps[number] = mapped
        return self._maps[number]

    def read(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """(F, D) float32, a copy of these rows."""
        at = np.asarray(rows, np.int64)
        vectors = np.empty((len(at), self.dimensions), np.float32)
        for number in np.unique(at // SEGMENT).tolist():
            here = at // SEGMENT == number
            vectors[here] = self.segment(number)[at[here] % SEGMENT]
        return vectors

    def write(self, rows: Sequence[int] | NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Write these rows, and flush them to the disk.

        Raises:
            OutputError: There is no room, or no right.
        """
        at = np.asarray(rows, np.int64)
        values = np.ascontiguousarray(vectors, "<f4")
        for number in np.unique(at // SEGMENT).tolist():
            here = np.flatnonzero(at // SEGMENT == number)
            path = self._made(number)
            with writing(path), path.open("r+b", buffering=0) as stream:
                for start, end in _runs(at[here]):
                    part = values[here[start:end]]
                    stream.seek(_HEADER + int(at[here[start]]) % SEGMENT * self.dimensions * 4)
                    _write_all(stream.fileno(), part.tobytes())
                os.fsync(stream.fileno())

    def erase(self, rows: Sequence[int] | NDArray[np.int64]) -> None:
        """Overwrite these rows with zeros; those of files that are not there are gone already."""
        at = self.there(rows)
        self.write(at, np.zeros((len(at), self.dimensions), np.float32))

    def there(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the rows whose file is there, each once."""
        at = np.unique(np.asarray(rows, np.int64))
        return at[[self.path(int(row) // SEGMENT).is_file() for row in at]]

    def close(self) -> None:
        """Let the maps go."""
        self._maps.clear()

    def require(self, highest: int | None) -> None:
        """Refuse to go on without a file that has rows up to ``highest``; None where there are none.

        Raises:
            InputError: One is missing or damaged.
        """
        for number in range(0 if highest is None else highest // SEGMENT + 1):
            self.segment(number)

    def _made(self, number: int) -> Path:
        path = self.path(number)
        if not path.is_file():
            with atomic_write(path, sync_folder=True) as stream:
                stream.write(_header(self.dimensions))
                stream.truncate(_HEADER + SEGMENT * self.dimensions * 4)
        self.segment(number)
        return path


def unit_rows(vectors: Vectors, rows: int = 8192) -> NDArray[np.bool_]:
    """(R,) bool: which rows are finite and of length 1, looked at in blocks."""
    fine = np.zeros(len(vectors), bool)
    for start in range(0, len(vectors), rows):
        block = np.asarray(vectors[start : start + rows])
        squares = np.einsum("rd,rd->r", block, block)
        fine[start : start + rows] = np.abs(squares - 1) < 2 * _TOLERANCE  # NaN is not
    return fine


def unit(vectors: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float32]:
    """(N, D) float32 of unit length; rows that have it stay as they are, to the last bit.

    Raises:
        InputError: They are not (N, D), not finite, or one is all zero.
    """
    values = np.asarray(vectors)
    if values.ndim != 2 or values.dtype.kind != "f":
        raise InputError(f"Embeddings are (N, D) real numbers, not {values.dtype} of shape {values.shape}.")
    norms = np.linalg.norm(values.astype(np.float64), axis=1)
    bad = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
    if len(bad):
        raise InputError(
            f"{len(bad):,} of {len(values):,} embeddings are not finite or are all zero, "
            f"the first is row {bad[0]}.",
            hint="Leave them out: nothing was stored.",
        )
    off = np.abs(norms - 1) > 1e-5
    made = values.astype(np.float32)
    made[off] = values[off] / norms[off, None]
    return made


def _header(dimensions: int) -> bytes:
    described = npy.header_data_from_array_1_0(np.empty((0, dimensions), "<f4")) | {
        "shape": (SEGMENT, dimensions)
    }
    text = "{" + "".join(f"'{key}': {described[key]!r}, " for key in sorted(described)) + "}"
    magic = npy.magic(1, 0)
    room = _HEADER - len(magic) - 2
    return magic + room.to_bytes(2, "little") + text.encode().ljust(room - 1) + b"\n"


def _check(path: Path, dimensions: int) -> None:
    """Refuse a file that is not exactly the one that was made.

    Raises:
        ValueError: With what is wrong.
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEADER)
    try:
        found = ast.literal_eval(head[10:].decode("latin-1").strip()) if head[:8] == npy.magic(1, 0) else {}
    except (SyntaxError, ValueError):
        found = {}
    wanted = {"descr": "<f4", "fortran_order": False, "shape": (SEGMENT, dimensions)}
    if found != wanted:
        raise ValueError(f"its beginning is not that of {SEGMENT:,} vectors of {dimensions} numbers")
    size, whole = path.stat().st_size, _HEADER + SEGMENT * dimensions * 4
    if size != whole:
        raise ValueError(f"it has {size:,} bytes instead of {whole:,}")


def _runs(rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of positions whose rows follow one another."""
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    edges = [0, *cuts.tolist(), len(rows)]
    yield from itertools.pairwise(edges)


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]
