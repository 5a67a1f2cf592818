"""A folder of Parquet shards, on a disk or in an object store: those that a run has made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from facerec_cli.embeddings.formats import SingleFile
from facerec_cli.embeddings.formats.parquet import (
    from_arrow,
    import_pyarrow,
    reading_parquet,
    refuse_missing_columns,
)
from facerec_cli.embeddings.parquet_shards import ABOUT, ParquetShards
from facerec_cli.embeddings.shards import Shard
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError


class ParquetFolder(SingleFile):
    """The columns of ``.parquet`` but ``row``, in shards."""

    def __init__(self) -> None:
        import_pyarrow()

    def files(self, output: Path) -> tuple[Path, ...]:
        """The description and the folder."""
        return (output / ABOUT, output)

    def write(
        self,
        output: str | Path,
        shards: Iterable[Shard],
        description: Mapping[str, Any],
        scratch: Path | None = None,
    ) -> None:
        """See ``EmbeddingFormat``; ``embed`` stores the shards itself, as they are done."""
        folder = ParquetShards(str(output))
        folder.begin({name: value for name, value in description.items() if name != "rows"}, ())
        for number, shard in enumerate(shards):
            folder.store(number, folder.pack(shard))
        folder.finish(description)

    def read(self, path: str | Path) -> EmbeddingTable:
        """See ``EmbeddingFormat``."""
        folder = ParquetShards(str(path))
        if folder.begun():
            raise InputError(
                f"The run in {str(path)!r} was interrupted.", hint="Go on with `facerec embed --resume`."
            )
        pa = import_pyarrow("reading .parquet")
        with reading_parquet(path):
            numbers = folder.numbers()
            if not numbers:
                raise InputError(
                    f"{str(path)!r} has no Parquet shards of `facerec embed`.",
                    hint="Name the file with the embeddings, or the folder with part-000000.parquet.",
                )
            shards = [folder.read_shard(number) for number in numbers]
            # Those that an earlier version has begun with lack columns.
            table = pa.concat_tables(shards, promote_options="default")
            refuse_missing_columns({"path", "embedding"}, table, path)
            return from_arrow(path, table, folder.description())

    def description(self, path: str | Path) -> Mapping[str, Any] | None:
        """What the folder says of its run; None where the run is not finished."""
        return ParquetShards(str(path)).description()
