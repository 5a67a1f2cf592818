"""Where a run's result goes: one file that is put together at the end, or a folder of Parquet shards."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from facerec_cli.embeddings.shards import Shard
from facerec_cli.images.remote import is_url
from facerec_cli.tables.paths import absolute


class Destination(Protocol):
    """Takes the shards of a run as they are done, in any order, and is whole or taken up again.

    A shard's content is made by :meth:`pack`, on whatever machine embedded it, and stored under the shard's
    number: one that is made twice replaces itself.

    Attributes:
        path: What the user named.
        files: What the result consists of, the embeddings last.
        shared: Whether every machine of a cluster can store shards itself; otherwise they are sent to the
            process that runs the job.
        working: Where the shards are until then; photos are not looked for there.
    """

    path: str
    files: tuple[str, ...]
    shared: bool
    working: Path | str

    def check(self) -> None:
        """Refuse what cannot be written, before any work is done."""

    def alone(self) -> AbstractContextManager[object]:
        """Keep every other process from writing here."""

    def finished(
        self, run: Mapping[str, Any], photos: Sequence[str], *, resume: bool
    ) -> Mapping[str, Any] | None:
        """The description of the result that is there, if it is this very run's and nothing is to be done.

        Its files are read, and compared with what the run wrote.
        """

    def prepare(
        self, run: Mapping[str, Any], photos: Sequence[str], *, resume: bool, overwrite: bool
    ) -> None:
        """Begin, or take up what is there; refuse to lose anything.

        Raises:
            UsageError: Something else is there.
        """

    def missing(self, count: int) -> list[int]:
        """Which of ``count`` shards are still to be made."""

    def pack(self, shard: Shard) -> bytes:
        """What is stored of a shard."""

    def store(self, index: int, content: bytes) -> None:
        """Store a packed shard, whole or not at all."""

    def finish(
        self, run: Mapping[str, Any], versions: Mapping[str, str], preview: Path | None
    ) -> Mapping[str, Any]:
        """Make the result whole and return its description: ``run``, rows, statuses, versions."""

    def begun(self) -> bool:
        """Whether there is work here that can be taken up again."""


def open_destination(output: str | Path) -> Destination:
    """The destination that a user named.

    A URL, and a name that ends in a slash, is a folder of Parquet shards; all else is a file.

    Raises:
        UsageError: No format has the file's suffix.
        InputError: The name is relative and the current folder has been deleted.
        MissingExtraError: The format's package is not installed.
    """
    from facerec_cli.embeddings.dataset import ParquetFolder
    from facerec_cli.embeddings.files import ResultFile

    text = os.fspath(output)
    if not is_url(text):
        absolute(text)  # before any work, whether there is a current folder to write to
    separators = tuple(filter(None, ("/", os.sep, os.altsep)))
    if is_url(text) or text.endswith(separators):
        return ParquetFolder(text)
    return ResultFile(Path(output))
