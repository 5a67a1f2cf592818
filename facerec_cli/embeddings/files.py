"""A result in one file with a table beside it: shards gathered in ``OUTPUT.parts``, then put together."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from facerec_cli.embed.preview import write_preview
from facerec_cli.embed.result import STATUSES
from facerec_cli.embeddings.shards import Parts, Shard
from facerec_cli.embeddings.writers import (
    is_rest_of,
    read_description,
    result_fault,
    result_files,
    writer_for,
)
from facerec_cli.errors import UsageError
from facerec_cli.files import lock, refuse_special
from facerec_cli.resume import Fingerprint

log = logging.getLogger("facerec")


class ResultFile:
    """The destination of ``-o embeddings.npy``; see ``destination.Destination``.

    Args:
        output: The file; its suffix is the format.

    Raises:
        UsageError: No format has this suffix.
        MissingExtraError: The format's package is not installed.
    """

    shared = False  # a cluster's machines need not see this one's disk

    def __init__(self, output: Path) -> None:
        self._output = output
        self._write = writer_for(output)
        self._parts = Parts(output.with_name(f"{output.name}.parts"))
        self.path = str(output)
        self.files: tuple[str, ...] = tuple(map(str, result_files(output)))
        self.working: Path | str = self._parts.folder

    def check(self) -> None:
        """Refuse a folder, a device and a pipe of that name."""
        for path in result_files(self._output):
            refuse_special(path)
            if path.is_dir():
                raise UsageError(
                    f"{path} is a folder; a file is to be written there.",
                    hint="Name another file, or write Parquet shards into the folder: end its name in /.",
                )

    def alone(self) -> AbstractContextManager[object]:
        """Keep every other process away."""
        return lock(self._output)

    def begun(self) -> bool:
        """Whether an interrupted run is here."""
        return self._parts.exists()

    def finished(
        self, run: Mapping[str, Any], photos: Sequence[str], *, resume: bool
    ) -> Mapping[str, Any] | None:
        """The description of this very run's result; without ``resume`` it is made anew."""
        if not resume or self.begun():
            return None
        before = read_description(self._output)
        if before is None or differences(before, run):
            return None
        fault = result_fault(self._output, before)
        if fault:
            log.warning("%s. The result is made again.", fault)
        return None if fault else before

    def prepare(
        self, run: Mapping[str, Any], photos: Sequence[str], *, resume: bool, overwrite: bool
    ) -> None:
        """Begin or take up; an existing result is kept until the new one is whole."""
        self._output.parent.mkdir(parents=True, exist_ok=True)
        if self.begun() and not overwrite:
            if resume:
                self._parts.resume(run, photos)
                return
            raise UsageError(
                f"An interrupted run is in {self.working}.",
                hint="Go on with --resume, or start over with --overwrite.",
            )
        there = [path for path in self.files if Path(path).exists()]
        if there and not overwrite:
            before = read_description(self._output)
            changed = "it says nothing about its model" if before is None else differences(before, run)
            if before is None and resume and is_rest_of(self._output, photos):
                log.warning("%s is not whole. The result is made again.", there[-1])
            elif changed:
                raise UsageError(
                    f"{there[-1]} is there already and is not the result of this run: {changed}.",
                    hint="Choose another -o, or replace it with --overwrite.",
                )
        self._parts.begin(run, photos)

    def missing(self, count: int) -> list[int]:
        """Which of ``count`` shards are still to be made."""
        return self._parts.missing(count)

    def pack(self, shard: Shard) -> bytes:
        """A shard as it is stored."""
        return self._parts.pack(shard)

    def store(self, index: int, content: bytes) -> None:
        """Store a packed shard among the parts."""
        self._parts.store(index, content)

    def finish(
        self, run: Mapping[str, Any], versions: Mapping[str, str], preview: Path | None
    ) -> Mapping[str, Any]:
        """Put the shards together, and drop them."""
        rows = 0
        counts: Counter[str] = Counter()
        for shard in self._parts.read():
            rows += len(shard.embeddings)
            counts.update(shard.statuses())
        statuses = {status: counts[status] for status in STATUSES if counts[status]}
        document = {**run, "rows": rows, "statuses": statuses, "versions": versions}
        if preview is not None:
            write_preview(preview, self._parts, document)
        self._write(self._output, self._parts, document)
        self._parts.remove()
        return document


def differences(before: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """In words, by what a finished result differs from a run; empty where it is that run's."""
    if before.get("inputs") != run["inputs"]:
        return "it was made from other photos"
    return Fingerprint(run).differences({key: before.get(key) for key in run})
