"""An earlier result, read again: what ``facerec cluster -o`` wrote, also as somebody has edited it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.clusters.clustering import COLUMNS, FACE_STATUSES
from facerec_cli.clusters.links import FaceKey, faces_by_key, photo_key
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError
from facerec_cli.tables.text import read_text
from facerec_cli.untrusted import parse_json

_MOST = 1 << 40  # a number of a group that fits every array
_AS_WRITTEN = "Use the table as `facerec cluster -o` wrote it."


def read_clusters(path: Path) -> list[dict[str, Any]]:
    """The rows of a table of groups, each with those of ``COLUMNS`` that have a value.

    Raises:
        InputError: It cannot be read, or is no such table.
        MissingExtraError: It is Parquet, and pyarrow is not installed.
    """
    readers = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}
    if path.suffix.lower() not in readers:
        raise InputError(
            f"{path} does not end in {', '.join(readers)}.", hint="Name what `facerec cluster -o` wrote."
        )
    if not path.is_file():
        raise InputError(
            f"There is no table of groups {str(path)!r}.", hint="Name what `facerec cluster -o` wrote."
        )
    rows = list(readers[path.suffix.lower()](path))
    if not rows:
        raise InputError(f"The table of groups {str(path)!r} has no row.", hint=_AS_WRITTEN)
    if not any("cluster" in row for row in rows):
        raise InputError(
            f"{str(path)!r} is no table of groups: it has no column cluster.",
            hint="Name what `facerec cluster -o` wrote.",
        )
    return [_checked(row, number, path) for number, row in enumerate(rows, 1)]


def _csv_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    reader = csv.DictReader(io.StringIO(read_text(path, "table of groups"), newline=""), strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise InputError(
            f"{str(path)!r} is no CSV: {error}, line {reader.line_num}.", hint=_AS_WRITTEN
        ) from error


def _jsonl_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(read_text(path, "table of groups", json=True).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            raise InputError(
                f"{str(path)!r} is no JSON on line {number}: {error}.", hint=_AS_WRITTEN
            ) from error
        yield row if isinstance(row, Mapping) else {}


def _parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    from facerec_cli.embeddings.formats.parquet import import_pyarrow

    pa = import_pyarrow()
    try:
        rows: list[Mapping[str, Any]] = pa.parquet.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{str(path)!r} cannot be read as Parquet: {error}.", hint=_AS_WRITTEN) from error
    yield from rows


def _checked(row: Mapping[str, Any], number: int, path: Path) -> dict[str, Any]:
    """A row with values of the right types."""
    values: dict[str, Any] = {}
    for name, kind in COLUMNS.items():
        cell = row.get(name)
        if cell is None or cell == "" or cell != cell:
            continue
        try:
            value = kind(float(cell)) if kind is int else kind(cell)
        except (TypeError, ValueError, OverflowError):
            value = None
        if value is None or (kind is int and not -1 <= value < _MOST):
            raise InputError(
                f"{str(path)!r} has {str(cell)[:80]!r} as {name} in row {number}.",
                hint=_AS_WRITTEN,
            )
        values[name] = value
    if "path" not in values or "status" not in values:
        raise InputError(
            f"{str(path)!r} has no path and status in row {number}.",
            hint=_AS_WRITTEN,
        )
    return values


@dataclass(frozen=True, slots=True, eq=False)
class EarlierGroups:
    """Where faces were in an earlier result.

    Attributes:
        labels: (F,) int64, the group of each face; -1 for new ones, and for junk.
        status: F statuses; "" for new faces.
        person: F names.
        margins: (F,) float32.
        named: Number of a group -> the name that its faces have.
        next_number: The first number that no group has.
        rest: Rows of faces that are not here.
    """

    labels: NDArray[np.int64]
    status: tuple[str, ...]
    person: tuple[str, ...]
    margins: NDArray[np.float32]
    named: Mapping[int, str]
    next_number: int
    rest: tuple[Mapping[str, Any], ...]


def nothing_earlier(count: int) -> EarlierGroups:
    """The same for ``count`` faces of which all are new."""
    nan, none = np.full(count, np.nan, np.float32), ("",) * count
    return EarlierGroups(np.full(count, -1, np.int64), none, none, nan, {}, 0, ())


def find_earlier(path: Path, faces: EmbeddingTable) -> EarlierGroups:
    """Look faces up in an earlier result, by photo and number.

    Raises:
        InputError: It cannot be read, or none of its faces is among these: nothing could join them.
    """
    rows = read_clusters(path)
    there = faces_by_key(faces)
    found = nothing_earlier(len(faces.vectors))
    status, person = list(found.status), list(found.person)
    named: dict[int, str] = {}
    rest = []
    for row in rows:
        key: FaceKey = (_key(row["path"], faces), int(row.get("face", 0)))
        label = int(row.get("cluster", -1))
        if label >= 0 and row.get("person"):
            named.setdefault(label, row["person"])
        if row["status"] not in FACE_STATUSES:
            continue  # a photo without a face is looked at again
        at = there.get(key)
        if at is None:
            rest.append(row)
            continue
        status[at], person[at] = row["status"], row.get("person", "")
        found.labels[at] = -1 if row["status"] == "junk" else label
        found.margins[at] = row.get("margin", np.nan)
    if not any(status):
        raise InputError(
            f"None of the faces of {str(path)!r} is among those of {faces.source!r}, so none can join them.",
            hint="Name the earlier photos or embeddings too, under the paths that the table has.",
        )
    numbers: Sequence[int] = [int(row.get("cluster", -1)) for row in rows]
    return EarlierGroups(
        found.labels, tuple(status), tuple(person), found.margins, named, max(numbers) + 1, tuple(rest)
    )


def _key(path: str, faces: EmbeddingTable) -> str:
    return path if faces.paths is None else photo_key(path)
