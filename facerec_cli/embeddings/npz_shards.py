"""The shards of a result that is put together at the end, and which photos they were made of."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.embeddings.shards import Shard, Shards
from facerec_cli.errors import InputError, UsageError
from facerec_cli.files import atomic_write, write_file
from facerec_cli.resume import Fingerprint
from facerec_cli.untrusted import parse_json

_RUN, _INPUTS = "run.json", "inputs.jsonl"


class NpzShards(Shards):
    """The shards of a result that is put together at the end, in a folder beside it; see ``Shards``.

    Args:
        place: The folder; made by :meth:`begin`.
    """

    shared = False  # a cluster's machines need not see this one's disk

    def __init__(self, place: Path) -> None:
        self.place: Path = place

    def begun(self) -> bool:
        """Whether a run was begun here and not finished."""
        return (self.place / _RUN).is_file()

    def begin(self, run: Mapping[str, Any], photos: Sequence[str]) -> None:
        """Start afresh."""
        self.remove()
        self.place.mkdir(parents=True)
        with atomic_write(self.place / _INPUTS) as stream:
            stream.writelines(f"{line}\n".encode() for line in _signatures(photos))
        write_file(self.place / _RUN, json.dumps(run, indent=2).encode())

    def resume(self, run: Mapping[str, Any], photos: Sequence[str]) -> None:
        """Go on with a run; of photos that differ the first is named."""
        try:
            before = dict(parse_json((self.place / _RUN).read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise _unreadable(self.place / _RUN, error) from error
        Fingerprint(run, ignore=["inputs"]).require_same(
            before,
            f"--resume cannot go on, because the run in {self.place} was another one",
            hint="Give the same settings as before, or start over with --overwrite.",
        )
        self._check_inputs(photos)
        self.keep(self.sound(photos, run["shard_size"]))

    def remove(self) -> None:
        """Drop the folder and all that is in it."""
        if self.place.exists():
            (self.place / _RUN).unlink(missing_ok=True)  # first: half a folder must not look resumable
            shutil.rmtree(self.place)

    def numbers(self) -> list[int]:
        """The numbers of the shards that are here."""
        return sorted(int(path.stem) for path in self.place.glob("*.npz") if path.stem.isdecimal())

    def name(self, number: int) -> str:
        """The path of a shard."""
        return str(self._path(number))

    def pack(self, shard: Shard) -> bytes:
        """A shard as an ``.npz``: the embeddings, and the records as lines of JSON."""
        lines = "\n".join(json.dumps(row, separators=(",", ":")) for row in shard.rows).encode("ascii")
        content = io.BytesIO()
        np.savez(content, embeddings=shard.embeddings, rows=np.frombuffer(lines, np.uint8))
        return content.getvalue()

    def store(self, number: int, content: bytes) -> None:
        """Store a packed shard."""
        write_file(self._path(number), content)

    def drop(self, number: int) -> None:
        """Delete a shard."""
        self._path(number).unlink()

    def fault(self, number: int, photos: Sequence[str]) -> str:
        """Whether a shard is damaged, or of other photos."""
        try:
            rows = self._read(number).rows
        except InputError as error:
            return error.message.removeprefix(f"{self.name(number)} ").rstrip(".")
        held = [row.get("path") for row in rows if not row.get("face", 0)]
        return "" if held == list(photos) else "is of other photos"

    def counts(self) -> tuple[int, Counter[str]]:
        """As in ``Shards``; every shard is read."""
        rows, statuses = 0, Counter[str]()
        for shard in self:
            rows += len(shard.embeddings)
            statuses.update(shard.statuses())
        return rows, statuses

    def __iter__(self) -> Iterator[Shard]:
        """All shards in order, one in memory at a time.

        Raises:
            InputError: One is damaged.
        """
        return map(self._read, self.numbers())

    def _path(self, number: int) -> Path:
        return self.place / f"{number:06d}.npz"

    def _read(self, number: int) -> Shard:
        try:
            with np.load(self._path(number), allow_pickle=False) as stored:
                lines = stored["rows"].tobytes().decode("ascii")
                return Shard(stored["embeddings"], [json.loads(line) for line in lines.splitlines()])
        except Exception as error:  # zip, zlib and NumPy have a dozen kinds of faults for a damaged file
            raise InputError(
                f"{self.name(number)} is damaged: {error}.", hint="Go on with --resume: it is made again."
            ) from error

    def _check_inputs(self, photos: Sequence[str]) -> None:
        path = self.place / _INPUTS
        try:
            stream = path.open(encoding="ascii", errors="replace")  # damage is a difference as well
        except OSError as error:
            raise _unreadable(path, error) from error
        with stream:
            before = (line.rstrip("\n") for line in stream)
            for was, now in zip_longest(before, _signatures(photos)):
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
