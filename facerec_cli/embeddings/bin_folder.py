"""A folder of MegaFace's features: a ``.bin`` a photo, as its devkit and the programs around it have them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.records import table_of
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError

_HEADER, _FLOAT32 = (
    16,
    (4, 5),
)  # rows, columns, bytes of an element and OpenCV's number of its type, int32 each
_DIMENSIONS = 1 << 16
_PHOTO = re.compile(r"(.+\.(?:jpe?g|png|bmp|webp|tiff?|gif))(?:_.*)?", re.IGNORECASE)


def is_bin_folder(folder: Path) -> bool:
    """Whether the first file of a folder, wherever it lies below, is a ``.bin``."""
    return next(_files(folder), "").endswith(".bin")


def read_bin_folder(folder: Path) -> EmbeddingTable:
    """Read all features below a folder.

    ``Ann/Ann_1.png_ALGORITHM.bin`` is of the photo ``Ann/Ann_1.png``. Features that are all zero stand for
    photos without a face.

    Raises:
        InputError: A file is cut short or not as published, or files have different numbers of dimensions.
    """
    files = [path for path in _files(folder) if path.endswith(".bin")]
    vectors: NDArray[np.float32] | None = None
    for number, path in enumerate(files):
        vector = _read(path)
        if vectors is None:
            vectors = np.empty((len(files), vector.size), np.float32)
        if vector.size != vectors.shape[1]:
            raise InputError(
                f"{path!r} has {vector.size} numbers, {files[0]!r} {vectors.shape[1]}.",
                hint="Keep features of one model in a folder.",
            )
        vectors[number] = vector
    if vectors is None:
        raise InputError(
            f"{str(folder)!r} has no .bin features.", hint="Name the folder with MegaFace's features."
        )
    usable = np.asarray(vectors.any(axis=1))
    rows = np.cumsum(usable) - 1
    norms = np.linalg.norm(vectors, axis=1)
    records: list[dict[str, Any]] = []
    for i, path in enumerate(files):
        found = {"row": int(rows[i]), "face": 0, "status": "ok", "norm": float(norms[i])}
        nothing = {"status": "no_face", "reason": "its features are all zero"}
        records.append({"path": _photo(path, folder), **(found if usable[i] else nothing)})
    return table_of(folder, vectors if usable.all() else vectors[usable], records, {})


def _files(folder: Path) -> Iterator[str]:
    """The files below a folder in sorted order, hidden ones passed over."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (f"{place}/{name}" for name in sorted(names) if not name.startswith("."))


def _photo(path: str, folder: Path) -> str:
    below = os.path.relpath(path, folder).replace(os.sep, "/").removesuffix(".bin")
    found = _PHOTO.fullmatch(below)
    return found[1] if found else below


def _read(path: str) -> NDArray[np.float32]:
    """The vector of a file, after a look whether the file is as large as its header says."""
    try:
        with Path(path).open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            header = np.frombuffer(stream.read(_HEADER), "<i4")
            if header.size != 4 or tuple(header[2:].tolist()) != _FLOAT32:
                raise ValueError("its header is not `rows, columns, 4, 5`")
            rows, columns = header[:2].tolist()
            if min(rows, columns) != 1 or max(rows, columns) > _DIMENSIONS:
                raise ValueError(f"its header claims {rows} x {columns} numbers")
            if size != _HEADER + 4 * rows * columns:
                raise ValueError(f"it has {size} bytes, {rows} x {columns} numbers take another number")
            vector = np.frombuffer(stream.read(), "<f4")
    except OSError as error:
        raise InputError(
            f"{path!r} cannot be read: {error.strerror}.", hint="Make its features again."
        ) from error
    except ValueError as error:
        raise InputError(f"{path!r} is no feature of MegaFace: {error}.", hint="Make it again.") from None
    return vector.astype(np.float32)
