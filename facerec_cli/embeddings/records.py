"""Tables made of records, which are what files of embeddings hold: a dictionary for each row of the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError
from facerec_cli.faces.quality_limits import QUALITY

BOX = ("x1", "y1", "x2", "y2")
LANDMARKS = tuple(
    f"{name}_{axis}"
    for name in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    for axis in ("x", "y")
)
COLUMNS = (
    "path", "row", "face", "status", "reason", "score", "norm", *BOX, *LANDMARKS, *QUALITY,
    "rotation", "width", "height", "crop",
)  # fmt: skip
"""The columns of the table that ``facerec embed`` writes, in order. An input has a row for each of its faces,
or one without ``row`` and ``face``."""

OF_PEOPLE = ("person", "photo_sha256", "added")
"""Columns that the export of a gallery has besides: who is on each face, the photo's sha256 and when it was
enrolled."""


def columns_of(description: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of a table: of ``OF_PEOPLE`` those that ``columns`` of its description names."""
    more = description.get("columns") or ()
    return (*COLUMNS, *(name for name in OF_PEOPLE if name in more))


_ROUNDING = 1e-5
"""By how much the length of a unit vector may differ from 1 after arithmetic in float32."""

AGAIN = "Embed the photos again with `facerec embed`."


def table_of(
    source: str | Path,
    vectors: NDArray[Any],
    records: Sequence[Mapping[str, Any]] | None,
    description: Mapping[str, Any],
) -> EmbeddingTable:
    """Make a table of what a file holds.

    Args:
        source: The file.
        vectors: (N, D) floats of any length.
        records: A dictionary for each face and each photo without one, with those of ``COLUMNS`` and
            ``OF_PEOPLE`` as keys that are known; numbers may be text. None for a plain array.
        description: What the file says of its run.

    Raises:
        InputError: Unusable vectors, or records that do not fit them.
    """
    source = str(source)
    for name in ("model", "settings"):
        part = description.get(name) or {}
        if not isinstance(part, Mapping):
            raise InputError(
                f"The description of {source!r} has {str(part)[:80]!r} as {name!r}.",
                hint="Use it as `facerec embed` wrote it, or move a .json of your own away from there.",
            )
    unit, lengths = _unit(vectors, source)
    if records is None:
        faces: list[Mapping[str, Any]] = [{}] * len(unit)
        failed: dict[str, str] = {}
    else:
        unit, faces, failed = _split(source, unit, records)
    columns = _columns(faces, source)
    if records is None and (lengths != 1).any():  # raw ones, whose length nothing else could tell
        columns["norms"] = lengths
    paths = None if records is None else tuple(str(face["path"]) for face in faces)
    return EmbeddingTable(source, unit, description, paths, failed=failed, **columns)


def whole_number(cell: Any, what: str, source: str) -> int | None:
    """The number in a cell, also as pandas saves it again (``3.0``); None where it is empty.

    Raises:
        InputError: It is no whole number; ``what`` says which column it is.
    """
    if cell in (None, "") or cell != cell:
        return None
    with suppress(TypeError, ValueError):
        number = float(cell)
        if number.is_integer():
            return int(number)
    raise InputError(
        f"The table of {source!r} has {str(cell)[:80]!r} as {what}, which is no whole number.",
        hint="Use the table as `facerec embed` wrote it.",
    )


def _unit(vectors: NDArray[Any], source: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N, D) of unit length, and the lengths that they had."""
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or not vectors.shape[1]:
        raise InputError(
            f"{source!r} holds {vectors.dtype} of shape {vectors.shape}; embeddings are (N, D) floats."
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size:
        raise InputError(
            f"{source!r}: {bad.size} rows hold NaN or infinity, the first is row {bad[0]}.", hint=AGAIN
        )
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    if not norms.all():
        raise InputError(
            f"{source!r}: row {int(np.argmin(norms))} is all zero, which has no direction.", hint=AGAIN
        )
    if vectors.dtype == np.float32:  # what has been rounded once is kept to the byte
        norms[np.abs(norms - 1) < _ROUNDING] = 1
    return np.asarray(wide / norms, np.float32), norms[:, 0].astype(np.float32)


def _split(
    source: str, unit: NDArray[np.float32], records: Iterable[Mapping[str, Any]]
) -> tuple[NDArray[np.float32], list[Mapping[str, Any]], dict[str, str]]:
    """The vectors of the records with a face, those records, and why other photos have none."""
    rows: list[int] = []
    faces: list[Mapping[str, Any]] = []
    failed: dict[str, str] = {}
    for record in records:
        row = whole_number(record.get("row"), "row", source)
        if row is None:
            failed[str(record["path"])] = (
                f"{record.get('status') or 'no_face'}: {record.get('reason') or 'no embedding'}"
            )
            continue
        if not 0 <= row < len(unit):
            raise InputError(
                f"The table of {source!r} names row {row}, but the array has {len(unit)} rows.", hint=AGAIN
            )
        rows.append(row)
        faces.append(record)
    in_order = rows == list(range(len(unit)))
    return (unit if in_order else unit[np.array(rows, np.int64)]), faces, failed


def _columns(faces: Sequence[Mapping[str, Any]], source: str) -> dict[str, Any]:
    """The columns of a table of the records of its faces."""
    numbers = [whole_number(face.get("face"), "face", source) for face in faces]
    return {
        "numbers": np.array([-1 if number is None else number for number in numbers], np.int64),
        "boxes": _floats(faces, BOX),
        "landmarks": _floats(faces, LANDMARKS).reshape(len(faces), 5, 2),
        "scores": _floats(faces, ("score",))[:, 0],
        "norms": _floats(faces, ("norm",))[:, 0],
        "qualities": _floats(faces, QUALITY),
        "sizes": _floats(faces, ("width", "height")),
        "statuses": tuple(str(face.get("status") or "") for face in faces),
        "reasons": tuple(str(face.get("reason") or "") for face in faces),
        "people": tuple(str(face.get("person") or "") for face in faces),
        "photo_sha256": tuple(str(face.get("photo_sha256") or "") for face in faces),
    }


def _floats(faces: Sequence[Mapping[str, Any]], names: Sequence[str]) -> NDArray[np.float32]:
    """(R, len(names)) float32; NaN where a cell is empty or no number."""
    columns: list[ArrayLike] = []
    for name in names:
        cells = [np.nan if (cell := face.get(name)) in (None, "") else cell for face in faces]
        try:
            columns.append(np.array(cells, np.float64))
        except (TypeError, ValueError):
            columns.append([_float(cell) for cell in cells])
    return np.array(columns, np.float32).reshape(len(names), len(faces)).T


def _float(cell: Any) -> float:
    with suppress(TypeError, ValueError):
        return float(cell)
    return float("nan")
