"""Tables of results, such as those of a search and of groups, as CSV, lines of JSON, or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from facerec_cli.errors import UsageError
from facerec_cli.files import atomic_write

TABLES = (".csv", ".jsonl", ".parquet")
Columns = Mapping[str, type[Any]]
"""Name of each column, in order, and what is in it: str, int or float."""


def require_table(path: Path, flag: str) -> None:
    """Refuse a name that no table can be written under, before any work is done.

    Raises:
        UsageError: Its suffix is unknown.
        MissingExtraError: ``.parquet`` without pyarrow.
    """
    if path.suffix.lower() not in TABLES:
        raise UsageError(f"{flag} {path} does not end in {', '.join(TABLES)}.")
    if path.suffix.lower() == ".parquet":
        from facerec_cli.embeddings.formats.parquet import import_pyarrow

        import_pyarrow()


def write_rows(
    path: Path,
    rows: Iterable[Mapping[str, Any]],
    columns: Columns,
    *,
    about: Mapping[str, Any] | None = None,
    what: str = "table of results",
) -> None:
    """Write rows; the file is there whole or not at all.

    Args:
        path: Its suffix is the format.
        rows: Each with the columns that have a value.
        columns: All of them.
        about: What the metadata of Parquet say.
        what: What it is, for messages.

    Raises:
        OutputError: It cannot be written.
        UsageError: Its suffix is unknown.
    """
    require_table(path, "The table")
    with atomic_write(path, what=what) as stream:
        if path.suffix.lower() == ".csv":
            _write_csv(rows, columns, stream)
        elif path.suffix.lower() == ".jsonl":
            for row in rows:
                record = {name: row.get(name) for name in columns}
                stream.write(json.dumps(record, allow_nan=False).encode("ascii") + b"\n")
        else:
            _write_parquet(rows, columns, about or {}, stream)


def _write_csv(rows: Iterable[Mapping[str, Any]], columns: Columns, stream: BinaryIO) -> None:
    text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    quoted = csv.DictWriter(text, columns, restval="", lineterminator="\n", quoting=csv.QUOTE_ALL)
    table.writeheader()
    for row in rows:  # before Python 3.13 a lone carriage return is not quoted
        (quoted if any("\r" in str(row.get(name, "")) for name in ("path", "person")) else table).writerow(
            row
        )
    text.flush()
    text.detach()


def _write_parquet(
    rows: Iterable[Mapping[str, Any]], columns: Columns, about: Mapping[str, Any], stream: BinaryIO
) -> None:
    from facerec_cli.embeddings.formats.parquet import import_pyarrow, utf8

    pa = import_pyarrow()
    kinds = {str: pa.string(), int: pa.int64(), float: pa.float32()}
    table = list(rows)
    arrays = []
    for name, kind in columns.items():
        cells = [row.get(name) for row in table]
        arrays.append(pa.array([utf8(cell) for cell in cells] if kind is str else cells, kinds[kind]))
    told = {"facerec": json.dumps(dict(about))}
    pa.parquet.write_table(pa.Table.from_arrays(arrays, list(columns)).replace_schema_metadata(told), stream)
