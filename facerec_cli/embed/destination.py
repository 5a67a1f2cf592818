"""Where a result goes: a file, put together of shards at the end, or a folder whose shards are the result."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from facerec_cli.embed.photo_result import STATUSES
from facerec_cli.embeddings.formats import format_to_write, is_folder_name
from facerec_cli.embeddings.npz_shards import NpzShards
from facerec_cli.embeddings.shards import Shards, differences
from facerec_cli.errors import UsageError
from facerec_cli.files import lock, refuse_special
from facerec_cli.images.remote import is_url
from facerec_cli.tables.paths import absolute

log = logging.getLogger("facerec")


class Destination(ABC):
    """Takes the shards of a run as they are done, in any order, and is whole or gone on with.

    Attributes:
        path: What the user named.
        files: What the result consists of, the embeddings last.
        target: The file or folder on this machine's disk; None for a URL.
        shards: Where the shards are until then.
    """

    path: str
    target: Path | None
    files: tuple[str, ...]
    shards: Shards

    @abstractmethod
    def check(self) -> None:
        """Refuse what cannot be written, before any work is done."""

    def lock(self) -> AbstractContextManager[object]:
        """Keep other processes of this machine away; object stores have no locks."""
        return nullcontext() if self.target is None else lock(self.target)

    @abstractmethod
    def finished(self, run: Mapping[str, Any], photos: Sequence[str]) -> Mapping[str, Any] | None:
        """The description of the result that is here, if it is this very run's and nothing is to be done.

        Its files are read, for a description alone does not say that they are there and sound.
        """

    @abstractmethod
    def refuse_other(self, run: Mapping[str, Any], photos: Sequence[str], *, resume: bool) -> bool:
        """Refuse to lose a result that is not this run's.

        Returns:
            Whether work of this very run is here after all, and has been taken up.

        Raises:
            UsageError: Something else is here.
        """

    def prepare(
        self, run: Mapping[str, Any], photos: Sequence[str], *, resume: bool, overwrite: bool
    ) -> None:
        """Begin, or go on with what is here; refuse to lose anything.

        Raises:
            UsageError: Something else is here, or an interrupted run and neither flag is given.
        """
        if not overwrite:
            if self.shards.begun():
                if not resume:
                    raise UsageError(
                        f"An interrupted run is in {self.shards.place}.",
                        hint="Go on with --resume, or start over with --overwrite.",
                    )
                self.shards.resume(run, photos)
                return
            if self.refuse_other(run, photos, resume=resume):
                return
        self.shards.begin(run, photos)

    def describe(self, run: Mapping[str, Any], versions: Mapping[str, str]) -> dict[str, Any]:
        """The description of the result: the run, and what came of it."""
        rows, counts = self.shards.counts()
        statuses = {status: counts[status] for status in STATUSES if counts[status]}
        return {**run, "rows": rows, "statuses": statuses, "versions": versions}

    @abstractmethod
    def finish(self, description: Mapping[str, Any]) -> None:
        """Make the result whole."""


class ResultFile(Destination):
    """The destination of ``-o embeddings.npy``: shards gathered in ``OUTPUT.parts``, then put together.

    Args:
        output: The file; its suffix is the format.

    Raises:
        UsageError: No format has this suffix.
        MissingExtraError: The format's package is not installed.
    """

    shards: NpzShards

    def __init__(self, output: Path) -> None:
        self._output = self.target = output
        self._format = format_to_write(output)
        self.path = str(output)
        self.files = tuple(map(str, self._format.files(output)))
        self.shards = NpzShards(output.with_name(f"{output.name}.parts"))

    def check(self) -> None:
        """Refuse a folder, a device and a pipe of that name."""
        for path in map(Path, self.files):
            refuse_special(path)
            if path.is_dir():
                raise UsageError(
                    f"{path} is a folder; a file is to be written there.",
                    hint="Name another file, or write Parquet shards into the folder: end its name in /.",
                )

    def finished(self, run: Mapping[str, Any], photos: Sequence[str]) -> Mapping[str, Any] | None:
        """As in :class:`Destination`."""
        if self.shards.begun():
            return None
        before = self._format.description(self._output)
        if before is None or differences(before, run):
            return None
        fault = self._format.fault(self._output, before)
        if fault:
            log.warning("%s. The result is made again.", fault)
        return None if fault else before

    def refuse_other(self, run: Mapping[str, Any], photos: Sequence[str], *, resume: bool) -> bool:
        """As in :class:`Destination`; an existing result is kept until the new one is whole."""
        self._output.parent.mkdir(parents=True, exist_ok=True)
        there = [path for path in self.files if Path(path).exists()]
        if not there:
            return False
        before = self._format.description(self._output)
        changed = "it says nothing about its model" if before is None else differences(before, run)
        if before is None and resume and self._format.is_rest_of(self._output, photos):
            log.warning("%s is not whole. The result is made again.", there[-1])
        elif changed:
            raise UsageError(
                f"{there[-1]} is there already and is not the result of this run: {changed}.",
                hint="Choose another -o, or replace it with --overwrite.",
            )
        return False

    def finish(self, description: Mapping[str, Any]) -> None:
        """Put the shards together, and drop them."""
        self._format.write(self._output, self.shards, description, self.shards.place)
        self.shards.remove()


class ResultFolder(Destination):
    """The destination of ``-o embeddings/`` and of ``-o s3://bucket/embeddings``: shards that are the result.

    They are not put together at the end: each machine of a cluster writes its own, and terabytes are written
    once.

    Args:
        path: A folder or its URL.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, path: str) -> None:
        from facerec_cli.embeddings.formats.parquet_folder import ParquetShards

        self.path = path
        self._shards = self.shards = ParquetShards(path)
        self.target = None if isinstance(self._shards.place, str) else self._shards.place
        self.files = (f"{path.rstrip('/')}/_facerec.json", path)
        self._mended = False

    def check(self) -> None:
        """Refuse a file of that name."""
        if self._shards.is_file():
            raise UsageError(
                f"{self.path} is a file; a folder of shards is to be written there.",
                hint="Name a folder, or remove the file.",
            )

    def finished(self, run: Mapping[str, Any], photos: Sequence[str]) -> Mapping[str, Any] | None:
        """As in :class:`Destination`; of a result that is not whole any more, the sound shards are kept."""
        before = self._shards.description()
        if before is None or differences(before, run):
            return None
        self._mended = not self._shards.is_whole(run, photos)
        return None if self._mended else before

    def prepare(
        self, run: Mapping[str, Any], photos: Sequence[str], *, resume: bool, overwrite: bool
    ) -> None:
        """As in :class:`Destination`."""
        super().prepare(run, photos, resume=resume or self._mended, overwrite=overwrite)

    def refuse_other(self, run: Mapping[str, Any], photos: Sequence[str], *, resume: bool) -> bool:
        """As in :class:`Destination`."""
        before = self._shards.description()
        if before is not None:
            changed = differences(before, run)
            raise UsageError(
                f"{self.path} holds the result of "
                + (f"another run: {changed}." if changed else "this run already."),
                hint="Choose another -o, or replace it with --overwrite.",
            )
        if resume and self._shards.adopt(run, photos):
            return True
        if self._shards.numbers():
            raise UsageError(
                f"{self.path} has Parquet shards of unknown origin.", hint="Name another folder."
            )
        return False

    def finish(self, description: Mapping[str, Any]) -> None:
        """Declare the folder whole."""
        self._shards.finish(description)


def open_destination(output: str | Path) -> Destination:
    """The destination that a user named.

    A URL, and a name that ends in a slash, is a folder of Parquet shards; all else is a file.

    Raises:
        UsageError: No format has the file's suffix.
        InputError: The name is relative and the current folder has been deleted.
        MissingExtraError: The format's package is not installed.
    """
    text = os.fspath(output)
    if not is_url(text):
        absolute(text)  # before any work, whether there is a current folder to write to
    return ResultFolder(text) if is_folder_name(text) else ResultFile(Path(output))
