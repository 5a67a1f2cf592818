"""Rows and vectors as Parquet: one schema for the single file and for a folder of shards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from facerec_cli.embeddings.rows import BOX, COLUMNS, LANDMARKS
from facerec_cli.embeddings.shards import Shard
from facerec_cli.errors import MissingExtraError

_TEXT = ("path", "status", "reason", "crop")
_WHOLE = ("row", "face", "rotation", "width", "height")
_FLOATS = ("score", "norm", *BOX, *LANDMARKS)


def import_pyarrow() -> Any:
    """The pyarrow module, with Parquet.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        module = import_module("pyarrow")
        import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError("pyarrow", extra="parquet", purpose="Writing .parquet") from error
    return module


def schema_of(document: Mapping[str, Any], size: int, *, numbered: bool) -> Any:
    """The columns of the table and ``embedding``, with the run's description as metadata.

    Args:
        document: The run's description.
        size: D.
        numbered: Whether there is a column ``row``, the number among all faces, which a shard cannot know.
    """
    pa = import_pyarrow()
    kinds = {name: pa.float32() for name in _FLOATS} | {name: pa.string() for name in _TEXT}
    kinds |= {name: pa.int64() for name in _WHOLE}
    columns = [name for name in COLUMNS if numbered or name != "row"]
    fields = [(name, kinds[name]) for name in columns] + [("embedding", pa.list_(pa.float32(), size))]
    model = document["model"]
    about = {
        "facerec": json.dumps(document, indent=2),
        "model": model["name"],
        "model_sha256": model["sha256"],
    }
    return pa.schema(fields, metadata=about)


def table_of(shard: Shard, schema: Any, first: int = 0) -> Any:
    """A shard as a table.

    Args:
        shard: The rows and vectors.
        schema: Of :func:`schema_of`.
        first: Number of its first face among all.
    """
    pa = import_pyarrow()
    records = [{**dict.fromkeys(COLUMNS), "embedding": None, **record} for record in shard.rows]
    faces = iter(enumerate(shard.embeddings, first))
    for record in records:
        record |= {name: _utf8(record[name]) for name in _TEXT}
        if record["face"] is not None:
            record["row"], record["embedding"] = next(faces)
    columns = [pa.array([record[field.name] for record in records], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _utf8(text: str | None) -> str | None:
    """Parquet holds UTF-8 only: other bytes of a name are shown in hexadecimal."""
    return (
        None if text is None else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    )


def digest(table: Any) -> str:
    """SHA-256 of a shard's columns; Parquet's own checksums leave out headers and the names of columns."""
    sha = hashlib.sha256()
    for name in table.column_names:
        column = table.column(name)
        sha.update(f"{name} ".encode())
        if name == "embedding":  # (faces, D) float32, and which rows have one is told by the other columns
            sha.update(column.combine_chunks().flatten().to_numpy(zero_copy_only=False).tobytes())
        else:
            sha.update(repr(column.to_pylist()).encode("utf-8", "surrogateescape"))
    return sha.hexdigest()


def shard_fault(stream: Any, run: Mapping[str, Any], photos: Sequence[str]) -> str:
    """Read a shard to its last byte, checksums included, and compare it with the run it should be of.

    Args:
        stream: A file to read from.
        run: The run's description.
        photos: What the shard was to be made of.

    Returns:
        What is wrong, as the end of a sentence; "" for nothing.
    """
    pa = import_pyarrow()
    try:
        with pa.parquet.ParquetFile(stream, page_checksum_verification=True) as file:
            metadata = file.schema_arrow.metadata or {}
            before, counted = json.loads(metadata[b"facerec"]), json.loads(metadata[b"shard"])
            table = file.read()
        ours = {key: before.get(key) for key in run} == run
        faces, paths = (table.column(name).to_pylist() for name in ("face", "path"))
        rows = counted["rows"]
        sound = counted.get("sha256") in (None, digest(table))  # those of earlier versions have none
    except Exception as fault:  # damaged metadata ask pyarrow for anything: memory, types that it lacks
        return f"is damaged: {(str(fault).splitlines() or ['it is empty'])[0].rstrip('.')}"
    if not ours:
        return "is of another run"
    if not sound:
        return "is damaged: its content is not what was written"
    held = [path for path, face in zip(paths, faces, strict=True) if not face]
    if held != [_utf8(photo) for photo in photos] or rows != len(faces) - faces.count(None):
        return "holds other photos than it should"
    return ""
