"""Arrays with a table (``.csv``) and a description (``.json``) beside them: what the NumPy formats share."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.records import AGAIN, COLUMNS, columns_of, table_of, whole_number
from facerec_cli.embeddings.shards import Shard, numbered
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError
from facerec_cli.files import atomic_write, sha256_of
from facerec_cli.tables.text import decode
from facerec_cli.untrusted import parse_json

Records = list[dict[str, Any]]


class WithTable:
    """A format of an array that has no room for a table, which lies beside it; to derive from."""

    def files(self, output: Path) -> tuple[Path, ...]:
        """The table, the description and the array."""
        return (output.with_suffix(".csv"), output.with_suffix(".json"), output)

    def description(self, path: Path) -> Mapping[str, Any] | None:
        """What the ``.json`` says; None where it is no description."""
        try:
            document = parse_json(path.with_suffix(".json").read_bytes())
        except (OSError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def fault(self, path: Path, description: Mapping[str, Any]) -> str:
        """Compare array and table with the sizes and sha256 in the description."""
        sums = description.get("files")
        for file in self.files(path):
            if not file.is_file():
                return f"{file} is missing"
            if (
                isinstance(sums, Mapping)
                and file.suffix != ".json"
                and sums.get(file.name) != _checksum(file)
            ):
                return f"{file} is not as it was written"
        return ""

    def is_rest_of(self, path: Path, photos: Sequence[str]) -> bool:
        """Whether there is a table of the very same photos."""
        try:
            table = path.with_suffix(".csv").open(encoding="utf-8", errors="surrogateescape", newline="")
        except OSError:
            return False
        with table, contextlib.suppress(csv.Error):
            rows = csv.DictReader(table)
            # Earlier versions have fewer columns.
            head = rows.fieldnames or ()
            ours = set(COLUMNS[:5]) <= set(head) <= set(COLUMNS)
            return ours and photos == [row["path"] for row in rows if row["face"] in ("", "0")]
        return False


def write_beside(
    output: Path,
    stream: BinaryIO,
    shards: Iterable[Shard],
    description: Mapping[str, Any],
    scratch: Path | None,
) -> None:
    """Write the table, and the description with the sizes and sha256 of both, before the array is there.

    Args:
        output: The array.
        stream: To which it has been written.
        shards: See ``EmbeddingFormat.write``.
        description: The same.
        scratch: The same.
    """
    table = output.with_suffix(".csv")
    with atomic_write(table, folder=scratch) as binary:
        _write_table(binary, shards, columns_of(description))
    sums = {table.name: _checksum(table)}
    stream.flush()
    position = stream.tell()
    with open(stream.fileno(), "rb", closefd=False) as again:
        again.seek(0)
        sums[output.name] = {"bytes": position, "sha256": file_digest(again, "sha256").hexdigest()}
    os.lseek(stream.fileno(), position, os.SEEK_SET)
    with atomic_write(output.with_suffix(".json"), folder=scratch) as about:
        about.write(json.dumps({**description, "files": sums}, indent=2).encode() + b"\n")


def _write_table(stream: BinaryIO, shards: Iterable[Shard], columns: Sequence[str]) -> None:
    """The rows as CSV; names that are not UTF-8 keep their bytes."""
    text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    quoted = csv.DictWriter(text, columns, restval="", lineterminator="\n", quoting=csv.QUOTE_ALL)
    table.writeheader()
    for row in numbered(shards):
        # Before Python 3.13 a lone carriage return is not quoted, and would end the row for who reads it.
        returns = "\r" in row["path"] or "\r" in row.get("person", "")
        (quoted if returns else table).writerow(row)
    text.flush()
    text.detach()


def _checksum(path: Path) -> dict[str, Any]:
    """Size and sha256 of a file, as a description holds them."""
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


@contextlib.contextmanager
def reading_numpy(path: Path) -> Iterator[None]:
    """Say what is wrong with a NumPy file in words of ours; NumPy's own advise to unpickle it.

    Raises:
        InputError: It cannot be read.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read: {error.strerror or error}.", hint=AGAIN) from error
    except (ValueError, EOFError) as error:
        raise InputError(
            f"{str(path)!r} is not a NumPy file of plain numbers, or is cut short.",
            hint="Pickled objects are not read, because they can run code; save the array with numpy.save.",
        ) from error


def table_beside(path: Path, vectors: NDArray[Any], named: Records | None = None) -> EmbeddingTable:
    """The table of an array, with what lies beside it.

    Args:
        path: The array.
        vectors: Its values.
        named: What it says of its rows itself; the table beside it says more.
    """
    table = path.with_suffix(".csv")
    records = _read_table(table) if os.path.isfile(table) else None  # noqa: PTH113 - False for odd names
    if records is not None:
        _check_table(records, named, vectors.shape[0] if vectors.ndim else 0, path, table)
    about = _read_description(path.with_suffix(".json"))
    return table_of(path, vectors, records if records is not None else named, about)


def _read_table(table: Path) -> Records | None:
    """The rows of a table of ``facerec embed``; None for some other CSV."""
    try:
        text = decode(table.read_bytes(), table, "table")
        for separator in ",;\t":  # spreadsheets save it with others, and in UTF-16
            reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
            if {"path", "row"} <= set(reader.fieldnames or ()):
                return list(reader)
        return None
    except (OSError, csv.Error) as error:
        raise InputError(
            f"The table {str(table)!r} beside the embeddings cannot be read: {error}.",
            hint="Use it as `facerec embed` wrote it, or move a .csv of your own away from there.",
        ) from error


def _check_table(records: Records, named: Records | None, count: int, path: Path, table: Path) -> None:
    """Refuse a table that belongs to other embeddings."""
    hint = "Keep the files of one `facerec embed` together."
    numbers = [whole_number(record["row"], "row", str(path)) for record in records]
    filled = sum(number is not None for number in numbers)
    if filled != count:
        raise InputError(
            f"{str(path)!r} has {count:,} rows, its table {str(table)!r} names {filled:,}.", hint=hint
        )
    paths = {number: record["path"] for number, record in zip(numbers, records, strict=True)}
    other = next((record for record in named or () if paths.get(record["row"]) != record["path"]), None)
    if other is not None:
        raise InputError(
            f"Row {other['row']} of {str(path)!r} is {other['path']!r}, but another photo in its table "
            f"{str(table)!r}.",
            hint=hint,
        )


def _read_description(about: Path) -> dict[str, Any]:
    """The ``.json`` of ``facerec embed``; empty where there is none."""
    if not os.path.isfile(about):  # noqa: PTH113
        return {}
    try:
        document = parse_json(about.read_bytes())
    except OSError as error:
        raise InputError(f"{str(about)!r} cannot be read: {error.strerror}.", hint=AGAIN) from error
    except ValueError as error:
        raise InputError(
            f"{str(about)!r} is not JSON: {error}.",
            hint="Use it as `facerec embed` wrote it, or move a .json of your own away from there.",
        ) from error
    return document if isinstance(document, dict) else {}


def write_npy(stream: Any, kind: str, shape: tuple[int, ...], blocks: Iterable[NDArray[Any]]) -> None:
    """Write a ``.npy`` of ``shape`` that is never in memory as a whole.

    Args:
        stream: Where to.
        kind: NumPy's name of the type, with its byte order.
        shape: Of the whole.
        blocks: Its parts along the first axis.
    """
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    for block in blocks:
        stream.write(block.astype(kind, copy=False).tobytes())
