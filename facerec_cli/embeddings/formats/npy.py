"""``.npy``: the embeddings as one array, with a table and a description beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from facerec_cli.embeddings.formats.beside import (
    WithTable,
    reading_numpy,
    table_beside,
    write_beside,
    write_npy,
)
from facerec_cli.embeddings.shards import Shard
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.files import atomic_write
from facerec_cli.untrusted import read_npy


class Npy(WithTable):
    """(N, D) float32; without its table a plain array of anybody's, in the order of some list."""

    magic: ClassVar[bytes] = b"\x93NUMPY"

    def write(
        self, output: Path, shards: Iterable[Shard], description: Mapping[str, Any], scratch: Path | None
    ) -> None:
        """See ``EmbeddingFormat``."""
        shape = (description["rows"], description["embedding_size"])
        with atomic_write(output, folder=scratch) as stream:
            write_npy(stream, "<f4", shape, (shard.embeddings for shard in shards))
            write_beside(output, stream, shards, description, scratch)

    def read(self, path: Path) -> EmbeddingTable:
        """See ``EmbeddingFormat``."""
        with reading_numpy(path):
            vectors = read_npy(path)
        return table_beside(path, vectors)
