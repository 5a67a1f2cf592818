"""A run's work on disk: one file a shard, written whole or not at all, and what the run was asked to do.

A shard is a fixed range of the inputs and is worked on in batches of its own, so a run that is taken up again
meets the same batches as one that was never interrupted, and its results are the same to the byte.
"""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError, UsageError
from facerec_cli.files import atomic_write
from facerec_cli.resume import Fingerprint
from facerec_cli.untrusted import parse_json

log = logging.getLogger("facerec")

_MANIFEST, _INPUTS = "run.json", "inputs.jsonl"


@dataclass(frozen=True, slots=True)
class Shard:
    """The outcome of a range of inputs.

    Attributes:
        embeddings: (N, D) float32 of unit length.
        rows: One record per input and face; those with a face have the keys of a face.
    """

    embeddings: NDArray[np.float32]
    rows: list[dict[str, Any]]

    def statuses(self) -> Counter[str]:
        """How many inputs have each status; with several faces once, doubtful if one of them is."""
        photos: list[str] = []
        for row in self.rows:
            if row.get("face", 0) == 0:
                photos.append(row["status"])
            elif row["status"] == "doubtful":
                photos[-1] = "doubtful"
        return Counter(photos)


class Parts:
    """The folder beside the output in which a run gathers its shards.

    Args:
        folder: Where; made by :meth:`begin`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def exists(self) -> bool:
        """Whether a run was begun here and not finished."""
        return (self.folder / _MANIFEST).is_file()

    def begin(self, run: Mapping[str, Any], inputs: Sequence[str]) -> None:
        """Start afresh: whatever an earlier run left here is dropped."""
        self.remove()
        self.folder.mkdir(parents=True)
        with atomic_write(self.folder / _INPUTS) as stream:
            stream.writelines(f"{line}\n".encode() for line in _signatures(inputs))
        with atomic_write(self.folder / _MANIFEST) as stream:
            stream.write(json.dumps(run, indent=2).encode())

    def resume(self, run: Mapping[str, Any], inputs: Sequence[str]) -> None:
        """Check that an interrupted run was asked the same thing, and drop its damaged shards.

        Raises:
            UsageError: Something that decides the result differs; the message says what.
        """
        try:
            before = dict(parse_json((self.folder / _MANIFEST).read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise _unreadable(self.folder / _MANIFEST, error) from error
        Fingerprint(run, ignore=["inputs"]).require_same(
            before,
            f"--resume cannot go on, because the run in {self.folder} was another one",
            hint="Give the same settings as before, or start over with --overwrite.",
        )
        self._check_inputs(inputs)
        self._drop_damaged(inputs, run["shard_size"])

    def count(self) -> int:
        """How many shards are done; an engine may do them in any order."""
        return len(list(self.folder.glob("*.npz")))

    def missing(self, count: int) -> list[int]:
        """Which of ``count`` shards are not done."""
        return [index for index in range(count) if not self._shard_path(index).is_file()]

    @staticmethod
    def pack(shard: Shard) -> bytes:
        """A shard as it is stored."""
        lines = "\n".join(json.dumps(row, separators=(",", ":")) for row in shard.rows).encode("ascii")
        content = io.BytesIO()
        np.savez(content, embeddings=shard.embeddings, rows=np.frombuffer(lines, np.uint8))
        return content.getvalue()

    def store(self, index: int, content: bytes) -> None:
        """Store a packed shard, whole and flushed to the disk."""
        with atomic_write(self._shard_path(index)) as stream:
            stream.write(content)

    def read(self) -> Iterator[Shard]:
        """All shards in order, one in memory at a time.

        Raises:
            InputError: One is damaged.
        """
        for index in range(self.count()):
            yield self._load(self._shard_path(index))

    def remove(self) -> None:
        """Drop the folder and all that is in it."""
        if self.folder.exists():
            (self.folder / _MANIFEST).unlink(missing_ok=True)  # first: half a folder must not look resumable
            shutil.rmtree(self.folder)

    def _shard_path(self, index: int) -> Path:
        return self.folder / f"{index:06d}.npz"

    def _load(self, path: Path) -> Shard:
        try:
            with np.load(path, allow_pickle=False) as stored:
                lines = stored["rows"].tobytes().decode("ascii")
                return Shard(stored["embeddings"], [json.loads(line) for line in lines.splitlines()])
        except Exception as error:  # zip, zlib and NumPy have a dozen kinds of faults for a damaged file
            raise InputError(
                f"{path} is damaged: {error}.", hint="Go on with --resume: it is made again."
            ) from error

    def _drop_damaged(self, inputs: Sequence[str], step: int) -> None:
        """What a crash or a bad disk has spoilt, or is of other photos, is missing, and so is made again."""
        for path in sorted(self.folder.glob("*.npz")):
            first = int(path.stem) * step if path.stem.isdecimal() else len(inputs)
            try:
                rows = self._load(path).rows
                held = [row.get("path") for row in rows if not row.get("face", 0)]
                fault = "" if held == list(inputs[first : first + step]) else f"{path} is of other photos."
            except InputError as error:
                fault = error.message
            if fault:
                log.warning("%s It is made again.", fault)
                path.unlink()

    def _check_inputs(self, inputs: Sequence[str]) -> None:
        path = self.folder / _INPUTS
        try:
            stream = path.open(encoding="ascii", errors="replace")  # damage is a difference as well
        except OSError as error:
            raise _unreadable(path, error) from error
        with stream:
            before = (line.rstrip("\n") for line in stream)
            for was, now in zip_longest(before, _signatures(inputs)):
                if was == now:
                    continue
                raise UsageError(
                    f"--resume cannot go on, because the photos are not the same: {_difference(was, now)}.",
                    hint="Start over with --overwrite.",
                )


def _unreadable(path: Path, error: Exception) -> UsageError:
    return UsageError(f"{path} cannot be read: {error}.", hint="Start over with --overwrite.")


def _difference(was: str | None, now: str | None) -> str:
    """What the first two signatures that differ say."""
    try:
        old, new = (json.loads(line)[0] if line else None for line in (was, now))
    except (ValueError, LookupError, TypeError):
        return "the list of the earlier run's photos is damaged"
    if old == new:
        return f"{new} was changed"
    if old is None or (new is not None and new < old):
        return f"{new} is new"
    return f"{old} is gone"


def digest_inputs(inputs: Sequence[str]) -> str:
    """sha256 over the names, sizes and times of change of the inputs."""
    digest = sha256()
    for line in _signatures(inputs):
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def _signatures(inputs: Sequence[str]) -> Iterator[str]:
    """One line of JSON per input: its name and, for a file, size and time of last change in nanoseconds."""
    for path in inputs:
        try:
            state = os.stat(path)  # noqa: PTH116 - a million times
            yield json.dumps([path, state.st_size, state.st_mtime_ns])
        except (OSError, ValueError):
            yield json.dumps([path, None, None])
