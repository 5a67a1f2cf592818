"""Result files, streamed from the shards: one shard in memory, and there whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from facerec_cli.embeddings.parquet import import_pyarrow, schema_of, table_of
from facerec_cli.embeddings.rows import BOX, COLUMNS, LANDMARKS, numbered
from facerec_cli.embeddings.shards import Parts
from facerec_cli.errors import UsageError
from facerec_cli.files import atomic_write, sha256_of
from facerec_cli.untrusted import parse_json

Writer = Callable[[Path, Parts, Mapping[str, Any]], None]


def writer_for(output: Path) -> Writer:
    """The writer for an output's suffix.

    Raises:
        UsageError: No format has this suffix.
        MissingExtraError: The format's package is not installed.
    """
    suffix = output.suffix.lower()
    if suffix not in WRITERS:
        known = ", ".join(WRITERS)
        raise UsageError(f"{output} does not end in a known format.", hint=f"Use one of {known}.")
    if suffix == ".parquet":
        import_pyarrow()
    return WRITERS[suffix]


def result_files(output: Path) -> tuple[Path, ...]:
    """Every file that a run with this output makes, the output last."""
    if output.suffix.lower() == ".parquet":
        return (output,)
    return (output.with_suffix(".csv"), output.with_suffix(".json"), output)


def read_description(output: Path) -> Mapping[str, Any] | None:
    """What a finished result says about its run; None where it says nothing that can be read."""
    try:
        if output.suffix.lower() == ".parquet":
            metadata = import_pyarrow().parquet.read_schema(output).metadata or {}
            document = parse_json(metadata[b"facerec"])
        else:
            document = parse_json(output.with_suffix(".json").read_bytes())
    except (OSError, ValueError, KeyError):
        return None
    return document if isinstance(document, dict) else None


def _write_npy(output: Path, parts: Parts, document: Mapping[str, Any]) -> None:
    with atomic_write(output, folder=parts.folder) as stream:
        _stream_embeddings(stream, parts, document)
        _write_beside(output, stream, parts, document)


def _write_npz(output: Path, parts: Parts, document: Mapping[str, Any]) -> None:
    """The embeddings and, for each of them, path, face, box, landmarks, score and norm."""
    with atomic_write(output, folder=parts.folder) as stream:
        with zipfile.ZipFile(stream, "w", allowZip64=True) as archive:
            with archive.open(_member("embeddings"), "w", force_zip64=True) as member:
                _stream_embeddings(member, parts, document)
            longest = max((len(row["path"]) for row in _faces(parts)), default=1)
            columns: dict[str, tuple[str, tuple[int, ...], Callable[[dict[str, Any]], object]]] = {
                "path": (f"<U{longest}", (), lambda row: row["path"]),
                "face": ("<i4", (), lambda row: row["face"]),
                "box": ("<f4", (4,), lambda row: [row.get(name, np.nan) for name in BOX]),
                "landmarks": ("<f4", (5, 2), lambda row: [row.get(name, np.nan) for name in LANDMARKS]),
                "score": ("<f4", (), lambda row: row.get("score", np.nan)),
                "norm": ("<f4", (), lambda row: row["norm"]),
            }
            for name, (kind, shape, value) in columns.items():
                with archive.open(_member(name), "w", force_zip64=True) as member:
                    _npy_header(member, kind, (document["rows"], *shape))
                    for shard in parts.read():
                        values = [value(row) for row in shard.rows if "face" in row]
                        member.write(np.array(values, kind).tobytes())
        _write_beside(output, stream, parts, document)


def _write_beside(output: Path, stream: BinaryIO, parts: Parts, document: Mapping[str, Any]) -> None:
    """The table, and the description with the size and sha256 of both, which are there before the output."""
    table = output.with_suffix(".csv")
    _write_table(table, parts)
    sums = {table.name: checksum(table)}
    stream.flush()
    position = stream.tell()
    with open(stream.fileno(), "rb", closefd=False) as again:
        again.seek(0)
        sums[output.name] = {"bytes": position, "sha256": file_digest(again, "sha256").hexdigest()}
    os.lseek(stream.fileno(), position, os.SEEK_SET)
    _write_document(output.with_suffix(".json"), parts, {**document, "files": sums})


def checksum(path: Path) -> dict[str, Any]:
    """Size and sha256 of a file, as a description holds them."""
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def result_fault(output: Path, document: Mapping[str, Any]) -> str:
    """Compare the files of a finished result with its description.

    Returns:
        What is wrong, as a sentence without its full stop; "" for nothing.
    """
    if output.suffix.lower() == ".parquet":
        try:
            with import_pyarrow().parquet.ParquetFile(output, page_checksum_verification=True) as file:
                faces = file.read().column("row").drop_null()
        except (OSError, ValueError, KeyError) as fault:
            return f"{output} is damaged: {(str(fault).splitlines() or ['it is empty'])[0].rstrip('.')}"
        return "" if len(faces) == document.get("rows") else f"{output} holds other faces than it says"
    sums = document.get("files")
    for path in result_files(output):
        if not path.is_file():
            return f"{path} is missing"
        if isinstance(sums, Mapping) and path.suffix != ".json" and sums.get(path.name) != checksum(path):
            return f"{path} is not as it was written"
    return ""


def is_rest_of(output: Path, photos: Sequence[str]) -> bool:
    """Whether a result without a description is what is left of one of these photos.

    A Parquet file that nobody can read, or that had one, or a table of the very same photos.
    """
    if output.suffix.lower() == ".parquet":
        try:
            return b"facerec" in (import_pyarrow().parquet.read_schema(output).metadata or {})
        except (OSError, ValueError):
            with output.open("rb") as stream:
                return stream.read(4) == b"PAR1"
    try:
        table = output.with_suffix(".csv").open(encoding="utf-8", errors="surrogateescape", newline="")
    except OSError:
        return False
    with table, contextlib.suppress(csv.Error):
        rows = csv.DictReader(table)
        return tuple(rows.fieldnames or ()) == COLUMNS and photos == [
            row["path"] for row in rows if row["face"] in ("", "0")
        ]
    return False


def _write_parquet(output: Path, parts: Parts, document: Mapping[str, Any]) -> None:
    pa = import_pyarrow()
    schema = schema_of(document, document["embedding_size"], numbered=True)
    with (
        atomic_write(output, folder=parts.folder) as stream,
        pa.parquet.ParquetWriter(stream, schema, write_page_checksum=True) as writer,
    ):
        row = 0
        for shard in parts.read():
            writer.write_table(table_of(shard, schema, row))
            row += len(shard.embeddings)


WRITERS: Mapping[str, Writer] = {".npy": _write_npy, ".npz": _write_npz, ".parquet": _write_parquet}


def _write_table(path: Path, parts: Parts) -> None:
    """The rows as CSV; names that are not UTF-8 keep their bytes."""
    with atomic_write(path, folder=parts.folder) as stream:
        text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
        table = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
        quoted = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n", quoting=csv.QUOTE_ALL)
        table.writeheader()
        for row in numbered(parts.read()):
            # Before Python 3.13 a lone carriage return is not quoted, and would end the row for who reads it.
            (quoted if "\r" in row["path"] else table).writerow(row)
        text.flush()
        text.detach()


def _write_document(path: Path, parts: Parts, document: Mapping[str, Any]) -> None:
    with atomic_write(path, folder=parts.folder) as stream:
        stream.write(_json(document).encode() + b"\n")


def _stream_embeddings(stream: Any, parts: Parts, document: Mapping[str, Any]) -> None:
    _npy_header(stream, "<f4", (document["rows"], document["embedding_size"]))
    for shard in parts.read():
        stream.write(shard.embeddings.astype("<f4", copy=False).tobytes())


def _npy_header(stream: BinaryIO | Any, kind: str, shape: tuple[int, ...]) -> None:
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


def _member(name: str) -> zipfile.ZipInfo:
    """An entry without the time of day, so that equal results are equal files."""
    return zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))


def _faces(parts: Parts) -> Iterable[dict[str, Any]]:
    return (row for shard in parts.read() for row in shard.rows if "face" in row)


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2)
