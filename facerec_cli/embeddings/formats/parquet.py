"""``.parquet``: one file with all columns and the embeddings; the description is in the schema's metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from facerec_cli.embeddings.formats import SingleFile
from facerec_cli.embeddings.records import AGAIN, BOX, LANDMARKS, OF_PEOPLE, columns_of, table_of
from facerec_cli.embeddings.shards import Shard
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import FacerecError, InputError, MissingExtraError
from facerec_cli.faces.quality_limits import QUALITY
from facerec_cli.files import atomic_write
from facerec_cli.untrusted import parse_json

_TEXT = ("path", "status", "reason", "crop", *OF_PEOPLE)
_WHOLE = ("row", "face", "rotation", "width", "height")
_FLOATS = ("score", "norm", *BOX, *LANDMARKS, *QUALITY)


SEALED: Mapping[str, bool] = {"write_page_checksum": True, "write_statistics": False}
"""How files are written: every page with a checksum, and no statistics, whose damage nothing would show."""


class Parquet(SingleFile):
    """The columns of the table and ``embedding``, a list of fixed size, null where there is no face."""

    magic: ClassVar[bytes] = b"PAR1"

    def __init__(self) -> None:
        import_pyarrow()

    def write(
        self, output: Path, shards: Iterable[Shard], description: Mapping[str, Any], scratch: Path | None
    ) -> None:
        """See ``EmbeddingFormat``."""
        schema = schema_of(description, description["embedding_size"], numbered=True)
        with (
            atomic_write(output, folder=scratch) as stream,
            import_pyarrow().parquet.ParquetWriter(stream, schema, **SEALED) as writer,
        ):
            row = 0
            for shard in shards:
                writer.write_table(arrow_table(shard, schema, row))
                row += len(shard.embeddings)

    def read(self, path: Path) -> EmbeddingTable:
        """See ``EmbeddingFormat``."""
        pa = import_pyarrow("reading .parquet")
        with reading_parquet(path):
            table = pa.parquet.read_table(path)
            refuse_missing_columns({"path", "row", "embedding"}, table, path)
            return from_arrow(path, table)

    def description(self, path: Path) -> Mapping[str, Any] | None:
        """What the schema's metadata say."""
        try:
            metadata = import_pyarrow().parquet.read_schema(path).metadata or {}
            document = parse_json(metadata[b"facerec"])
        except (OSError, ValueError, KeyError):
            return None
        return document if isinstance(document, dict) else None

    def fault(self, path: Path, description: Mapping[str, Any]) -> str:
        """Read the file to its last byte, with its checksums, and count its embeddings."""
        try:
            with import_pyarrow().parquet.ParquetFile(path, page_checksum_verification=True) as file:
                faces = file.read().column("row").drop_null()
        except (OSError, ValueError, KeyError) as fault:
            return f"{path} is damaged: {brief(fault)}"
        return "" if len(faces) == description.get("rows") else f"{path} holds other faces than it says"

    def is_rest_of(self, path: Path, photos: Sequence[str]) -> bool:
        """Whether it is a Parquet file that nobody can read, or that had a description."""
        try:
            return b"facerec" in (import_pyarrow().parquet.read_schema(path).metadata or {})
        except (OSError, ValueError):
            with path.open("rb") as stream:
                return stream.read(4) == self.magic


def import_pyarrow(purpose: str = "Writing .parquet") -> Any:
    """The pyarrow module, with Parquet.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        module = import_module("pyarrow")
        import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError("pyarrow", extra="parquet", purpose=purpose) from error
    return module


def schema_of(description: Mapping[str, Any], size: int, *, numbered: bool) -> Any:
    """The columns of the table and ``embedding``, with the run's description as metadata.

    Args:
        description: Of the run.
        size: D.
        numbered: Whether there is a column ``row``, the number among all faces, which a shard cannot know.
    """
    pa = import_pyarrow()
    kinds = {name: pa.float32() for name in _FLOATS} | {name: pa.string() for name in _TEXT}
    kinds |= {name: pa.int64() for name in _WHOLE}
    columns = [name for name in columns_of(description) if numbered or name != "row"]
    fields = [(name, kinds[name]) for name in columns] + [("embedding", pa.list_(pa.float32(), size))]
    model = description["model"]
    about = {
        "facerec": json.dumps(description, indent=2),
        "model": model["name"],
        "model_sha256": model["sha256"],
    }
    return pa.schema(fields, metadata=about)


def arrow_table(shard: Shard, schema: Any, first: int = 0) -> Any:
    """A shard as a ``pyarrow.Table``.

    Args:
        shard: The rows and vectors.
        schema: Of :func:`schema_of`.
        first: Number of its first face among all.
    """
    pa = import_pyarrow()
    records = [{**dict.fromkeys(schema.names), **record} for record in shard.rows]
    faces = iter(enumerate(shard.embeddings, first))
    for record in records:
        record |= {name: utf8(record[name]) for name in _TEXT if name in record}
        if record["face"] is not None:
            record["row"], record["embedding"] = next(faces)
    columns = [pa.array([record[field.name] for record in records], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def from_arrow(path: str | Path, table: Any, description: Mapping[str, Any] | None = None) -> EmbeddingTable:
    """The embeddings of a ``pyarrow.Table``, whose rows with an embedding are numbered if they are not.

    Args:
        path: Where it is from.
        table: With all columns.
        description: Of the result; None takes that of the schema's metadata.
    """
    pa = import_pyarrow()
    if description is None:
        description = parse_json((table.schema.metadata or {}).get(b"facerec", b"{}"))
    records = table.drop_columns(["embedding"]).to_pylist()
    column = table.column("embedding").combine_chunks()
    if "row" not in table.column_names:
        row = 0
        for record, there in zip(records, column.is_valid().to_pylist(), strict=True):
            record["row"] = row if there else None
            row += there
    column = column.drop_null()
    size = column.type.list_size if pa.types.is_fixed_size_list(column.type) else None
    flat = column.flatten().to_numpy(zero_copy_only=False)
    vectors = flat.reshape(len(column), size or (flat.size // max(1, len(column))))
    return table_of(path, vectors, records, description if isinstance(description, dict) else {})


@contextmanager
def reading_parquet(path: str | Path) -> Iterator[None]:
    """Say what is wrong with a Parquet file; damage makes pyarrow raise errors of a dozen kinds.

    Raises:
        InputError: It cannot be read.
    """
    try:
        yield
    except FacerecError:
        raise
    except Exception as error:
        raise InputError(
            f"{str(path)!r} cannot be read as Parquet: {error}.",
            hint="Make it again with `facerec embed`; a file that was copied may be cut short.",
        ) from error


def refuse_missing_columns(needed: set[str], table: Any, path: str | Path) -> None:
    """Refuse a Parquet file of something else.

    Raises:
        InputError: It lacks a column.
    """
    missing = needed - set(table.column_names)
    if missing:
        raise InputError(f"{str(path)!r} has no column {', '.join(sorted(missing))}.", hint=AGAIN)


def brief(fault: Exception) -> str:
    """The first line of what pyarrow says, without its full stop."""
    return (str(fault).splitlines() or ["it is empty"])[0].rstrip(".")


def utf8(text: str | None) -> str | None:
    """Parquet holds UTF-8 only: other bytes of a name are shown in hexadecimal."""
    return (
        None if text is None else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    )
