"""Stored embeddings of any format, read into one table."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from facerec_cli.embeddings.bin_folder import is_bin_folder, read_bin_folder
from facerec_cli.embeddings.formats import format_to_read
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.images.remote import is_url


def open_table(path: str | Path) -> EmbeddingTable:
    """Read stored embeddings: what ``facerec embed`` writes, or a plain array of somebody else's.

    Args:
        path: A file of a format of ``registry.EMBEDDING_FORMATS``, with its table beside it where it has one,
            a folder of Parquet shards or its URL, or a folder of MegaFace's features (``.bin``).

    Raises:
        InputError: Not there, no such file, not (N, D) finite vectors other than zero, or a table that does
            not fit them.
        MissingExtraError: The format's package is not installed.
    """
    place = path if is_url(str(path)) else Path(path)
    if isinstance(place, Path) and is_bin_folder(place):
        return read_bin_folder(place)
    return format_to_read(path).read(cast(Path, place))  # a URL is for the format that takes it
