"""Where a result goes: a file, put together of shards at the end, or a folder whose shards are the result."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from facerec_cli.embed.photo_result import STATUSES
from facerec_cli.embeddings.formats import format_to_write, is_folder_name
from facerec_cli.embeddings.npz_shards import NpzShards
from facerec_cli.embeddings.parquet_shards import ParquetShards
from facerec_cli.embeddings.shards import differences
from facerec_cli.errors import UsageError
from facerec_cli.files import lock, refuse_special
from facerec_cli.images.remote import is_url
from facerec_cli.tables.paths import absolute

log = logging.getLogger("facerec")


class Destination:
    """Takes the shards of a run as they are done, in any order, and makes the result of them.

    The shards of a file lie in ``OUTPUT.parts`` until all are there; a result that is there already is kept
    until then. Those of a folder (a name that ends in a slash, or a URL) are the result: each machine of a
    cluster writes its own, and terabytes are written once.

    Args:
        output: What the user named; of a file the suffix is the format.

    Attributes:
        path: The same.
        files: What the result consists of, the embeddings last.
        target: The file or folder on this machine's disk; None for a URL.
        shards: Where the shards are.

    Raises:
        UsageError: No format has the file's suffix.
        InputError: The name is relative and the current folder has been deleted.
        MissingExtraError: The format's package is not installed.
    """

    files: tuple[str, ...]
    target: Path | None
    shards: NpzShards | ParquetShards

    def __init__(self, output: str | Path) -> None:
        self.path = os.fspath(output)
        if not is_url(self.path):
            absolute(self.path)  # before any work, whether there is a current folder to write to
        self._format = format_to_write(output)
        self._output = Path(output)
        self._goes_on = False  # with a folder that was finished and has lost shards since
        if is_folder_name(output):
            self.shards = ParquetShards(self.path)
            self.target = self.shards.place if isinstance(self.shards.place, Path) else None
            self.files = self.shards.files
        else:
            self.shards = NpzShards(self._output.with_name(f"{self._output.name}.parts"))
            self.target = self._output
            self.files = tuple(map(str, self._format.files(self._output)))

    def check(self) -> None:
        """Refuse what cannot be written, before any work is done.

        Raises:
            UsageError: Something else of that name is there: a folder, a file, a device or a pipe.
        """
        if isinstance(self.shards, ParquetShards):
            if self.shards.is_file():
                raise UsageError(
                    f"{self.path} is a file; a folder of shards is to be written there.",
                    hint="Name a folder, or remove the file.",
                )
            return
        for path in map(Path, self.files):
            refuse_special(path)
            if path.is_dir():
                raise UsageError(
                    f"{path} is a folder; a file is to be written there.",
                    hint="Name another file, or write Parquet shards into the folder: end its name in /.",
                )

    def lock(self) -> AbstractContextManager[object]:
        """Keep other processes of this machine away; object stores have no locks."""
        return nullcontext() if self.target is None else lock(self.target)

    def finished(self, run: Mapping[str, Any], photos: Sequence[str]) -> Mapping[str, Any] | None:
        """The description of the result that is here, if it is this very run's and nothing is to be done.

        Its files are read, for a description alone does not say that they are there and sound. A folder
        keeps its sound shards.
        """
        before = None if self.shards.begun() else self._description()
        if before is None or differences(before, run):
            return None
        if isinstance(self.shards, ParquetShards):
            self._goes_on = not self.shards.is_whole(run, photos)
            return None if self._goes_on else before
        fault = self._format.fault(self._output, before)
        if fault:
            log.warning("%s. The result is made again.", fault)
        return None if fault else before

    def prepare(
        self, run: Mapping[str, Any], photos: Sequence[str], *, resume: bool, overwrite: bool
    ) -> None:
        """Begin, or go on with what is here; refuse to lose anything.

        Raises:
            UsageError: Something else is here, or an interrupted run and neither flag is given.
        """
        if not overwrite:
            if self.shards.begun():
                if not resume and not self._goes_on:
                    raise UsageError(
                        f"An interrupted run is in {self.shards.place}.",
                        hint="Go on with --resume, or start over with --overwrite.",
                    )
                self.shards.resume(run, photos)
                return
            if isinstance(self.shards, ParquetShards):
                self._refuse_folder(self.shards, run)
                if resume and self.shards.adopt(run, photos):
                    return
                if self.shards.numbers():
                    raise UsageError(
                        f"{self.path} has Parquet shards of unknown origin.", hint="Name another folder."
                    )
            else:
                self._refuse_file(run, photos, resume=resume)
        self.shards.begin(run, photos)

    def describe(self, run: Mapping[str, Any], versions: Mapping[str, str]) -> dict[str, Any]:
        """The description of the result: the run, and what came of it."""
        rows, counts = self.shards.counts()
        statuses = {status: counts[status] for status in STATUSES if counts[status]}
        return {**run, "rows": rows, "statuses": statuses, "versions": versions}

    def finish(self, description: Mapping[str, Any]) -> None:
        """Make the result whole; the shards of a file are dropped."""
        if isinstance(self.shards, ParquetShards):
            self.shards.finish(description)
        else:
            self._format.write(self._output, self.shards, description, self.shards.place)
            self.shards.remove()

    def _description(self) -> Mapping[str, Any] | None:
        """What a finished result says of its run."""
        if isinstance(self.shards, ParquetShards):
            return self.shards.description()
        return self._format.description(self._output)

    def _refuse_folder(self, shards: ParquetShards, run: Mapping[str, Any]) -> None:
        before = shards.description()
        if before is not None:
            changed = differences(before, run)
            raise UsageError(
                f"{self.path} holds the result of "
                + (f"another run: {changed}." if changed else "this run already."),
                hint="Choose another -o, or replace it with --overwrite.",
            )

    def _refuse_file(self, run: Mapping[str, Any], photos: Sequence[str], *, resume: bool) -> None:
        there = [path for path in self.files if Path(path).exists()]
        if not there:
            return
        before = self._description()
        changed = "it says nothing about its model" if before is None else differences(before, run)
        if before is None and resume and self._format.is_rest_of(self._output, photos):
            log.warning("%s is not whole. The result is made again.", there[-1])
        elif changed:
            raise UsageError(
                f"{there[-1]} is there already and is not the result of this run: {changed}.",
                hint="Choose another -o, or replace it with --overwrite.",
            )
