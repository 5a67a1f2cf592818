"""How embeddings lie in files: one class a format, which writes them and reads them again.

The name that a user gives decides the format: the keys of ``registry.EMBEDDING_FORMATS`` are suffixes, and
``/`` stands for a folder or a URL. ``docs/extending.md`` shows how to add one.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Protocol

from facerec_cli import registry
from facerec_cli.embeddings.shards import Shard
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import FacerecError, InputError, UsageError
from facerec_cli.images.remote import is_url
from facerec_cli.sniff import HEAD, refuse_pointer
from facerec_cli.wording import alternatives

FOLDER = "/"


class EmbeddingFormat(Protocol):
    """A format of stored embeddings.

    Attributes:
        magic: The first bytes of such a file, by which one with another format's suffix is known.
    """

    magic: ClassVar[bytes]

    def __init__(self) -> None:
        """Formats are made without arguments.

        Raises:
            MissingExtraError: The package that it needs is not installed.
        """

    def files(self, output: Path) -> tuple[Path, ...]:
        """Every file that a result consists of, the embeddings last."""

    def write(
        self, output: Path, shards: Iterable[Shard], description: Mapping[str, Any], scratch: Path | None
    ) -> None:
        """Write a result, each of its files whole or not at all; one shard is in memory at a time.

        Args:
            output: The file with the embeddings; one that is there is replaced.
            shards: Of all inputs, in order; they are walked as often as needed.
            description: What ``read`` gives back: ``model``, ``settings``, ``rows`` (how many embeddings),
                ``embedding_size`` and more.
            scratch: A folder for unfinished files, which are cleared away together with the shards where the
                process is killed; None for the output's own.

        Raises:
            OutputError: It cannot be written.
        """

    def read(self, path: Path) -> EmbeddingTable:
        """Read what ``write`` or a like program has written.

        Raises:
            InputError: It cannot be read, or is no such file; see also :func:`records.table_of`.
        """

    def description(self, path: Path) -> Mapping[str, Any] | None:
        """What a finished result says of its run, read quickly; None where it says nothing."""

    def fault(self, path: Path, description: Mapping[str, Any]) -> str:
        """What is wrong with a finished result, as a sentence without its full stop; "" for nothing.

        Args:
            path: The file with the embeddings.
            description: What it says of itself.
        """

    def is_rest_of(self, path: Path, photos: Sequence[str]) -> bool:
        """Whether a result without a description is what is left of one of these photos."""


class SingleFile(ABC):
    """A format whose file holds everything, to derive from: all but ``write`` follows from its ``read``."""

    magic: ClassVar[bytes] = b""

    def files(self, output: Path) -> tuple[Path, ...]:
        """The file."""
        return (output,)

    @abstractmethod
    def read(self, path: Path) -> EmbeddingTable:
        """As in :class:`EmbeddingFormat`."""

    def description(self, path: Path) -> Mapping[str, Any] | None:
        """What the file says of its run; None where it cannot be read."""
        try:
            return self.read(path).description or None
        except FacerecError:
            return None

    def fault(self, path: Path, description: Mapping[str, Any]) -> str:
        """Read the file to its end and count its embeddings."""
        try:
            table = self.read(path)
        except FacerecError as fault:
            return fault.message.rstrip(".")
        same = len(table.vectors) == description.get("rows")
        return "" if same else f"{path} holds other faces than it says"

    def is_rest_of(self, path: Path, photos: Sequence[str]) -> bool:
        """A file that does not say what it is may be anything."""
        return False


def is_folder_name(path: str | Path) -> bool:
    """Whether a user means a folder: a URL, or a name that ends in a slash."""
    text = os.fspath(path)
    return is_url(text) or text.endswith(tuple(filter(None, ("/", os.sep, os.altsep))))


def format_to_write(output: str | Path) -> EmbeddingFormat:
    """The format that an output's name asks for.

    Raises:
        UsageError: No format has this suffix.
        MissingExtraError: The format's package is not installed.
    """
    name = FOLDER if is_folder_name(output) else Path(output).suffix.lower()
    if name not in registry.EMBEDDING_FORMATS:
        raise UsageError(
            f"{output} does not end in a known format.",
            hint=f"Use one of {', '.join(registry.embedding_suffixes())}.",
        )
    return _load(name)


def format_to_read(path: str | Path) -> EmbeddingFormat:
    """The format of stored embeddings, by their name and their first bytes.

    Raises:
        InputError: They are not there, or of no known format.
        MissingExtraError: The format's package is not installed.
    """
    if is_url(os.fspath(path)) or os.path.isdir(path):  # noqa: PTH112 - False for names that no disk takes
        return _load(FOLDER)
    if not os.path.isfile(path):  # noqa: PTH113
        raise InputError(
            f"There is no embeddings file {str(path)!r}.", hint="Name what `facerec embed -o` wrote."
        )
    head = b""
    with suppress(OSError), Path(path).open("rb") as stream:  # the reader says why it cannot be opened
        head = stream.read(HEAD)
    refuse_pointer(head, repr(str(path)))
    name = Path(path).suffix.lower()
    if name not in registry.EMBEDDING_FORMATS:
        raise InputError(f"{str(path)!r} is not {alternatives(registry.embedding_suffixes())}.")
    known = _load(name)
    if known.magic and not head.startswith(known.magic):
        for other in registry.embedding_suffixes():
            with suppress(FacerecError):  # a package that is not installed
                if (candidate := _load(other)).magic and head.startswith(candidate.magic):
                    return candidate
    return known


def _load(name: str) -> EmbeddingFormat:
    made: EmbeddingFormat = registry.load(registry.EMBEDDING_FORMATS, name, "embedding format")()
    return made
