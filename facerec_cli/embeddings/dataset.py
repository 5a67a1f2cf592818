"""A result as a folder of Parquet shards, on a disk or in an object store.

Every shard is a file of its own, ``part-000000.parquet``, written by whoever embedded it, so nothing has to
pass through one machine. The name follows from the photos' order: a shard that is made again, after a lost
machine or an interruption, replaces itself, and no row is lost or doubled. ``_facerec.json`` says what the
run was asked and, once the folder is whole, what came of it.
"""

from __future__ import annotations

import io
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from facerec_cli.embed.result import STATUSES
from facerec_cli.embeddings.files import differences
from facerec_cli.embeddings.parquet import digest, import_pyarrow, schema_of, shard_fault, table_of
from facerec_cli.embeddings.shards import Shard
from facerec_cli.errors import InputError, UsageError
from facerec_cli.files import atomic_write, lock
from facerec_cli.images.remote import is_url, kind_of, locate
from facerec_cli.locks import clear_dead
from facerec_cli.untrusted import parse_json

log = logging.getLogger("facerec")

_ABOUT = "_facerec.json"  # readers of Parquet pass over names with an underscore
_READERS = 16


class ParquetFolder:
    """The destination of ``-o embeddings/`` and of ``-o s3://bucket/embeddings``; see ``Destination``.

    Args:
        path: A folder or its URL.
    """

    shared = True

    def __init__(self, path: str) -> None:
        import_pyarrow()
        local = path.removeprefix("file://")
        self.path = path
        self.working: Path | str = path if is_url(local) else Path(local)
        # Absolute, for a cluster's machines have other working folders.
        self._place = path if is_url(local) else f"file://{Path(local).absolute()}"
        self._about: dict[str, Any] = {}
        self._mending: dict[int, str] | None = None  # what is sound of a finished folder that is not
        self.files: tuple[str, ...] = (self._name(_ABOUT), path)

    def check(self) -> None:
        """Refuse a file of that name."""
        if kind_of(self._place) == import_pyarrow().fs.FileType.File:
            raise UsageError(
                f"{self.path} is a file; a folder of shards is to be written there.",
                hint="Name a folder, or remove the file.",
            )

    def alone(self) -> AbstractContextManager[object]:
        """Keep other processes of this machine away; object stores have no locks."""
        return lock(self.working) if isinstance(self.working, Path) else nullcontext()

    def begun(self) -> bool:
        """Whether a run was begun here and not finished."""
        before = self._read_about()
        return before is not None and "rows" not in before

    def finished(
        self, run: Mapping[str, Any], photos: Sequence[str], *, resume: bool
    ) -> Mapping[str, Any] | None:
        """The description of this very run's result, with or without ``resume``: no shard is made anew.

        Every shard is read, for a description alone does not say that they are there and sound.
        """
        before = self._read_about()
        if before is None or "rows" not in before or differences(before, run):
            return None
        self._about = dict(run)
        sound = self._sound(photos)
        if len(sound) == -(-len(photos) // run["shard_size"]):
            return before
        self._put(_ABOUT, json.dumps(run, indent=2).encode())  # no longer whole
        self._mending = sound
        return None

    def prepare(
        self, run: Mapping[str, Any], photos: Sequence[str], *, resume: bool, overwrite: bool
    ) -> None:
        """Begin or take up; with ``overwrite`` the shards that are there go first."""
        self._about = dict(run)
        before = self._read_about()
        if not overwrite:
            changed = differences(before, run) if before is not None else ""
            if before is not None and "rows" in before:
                raise UsageError(
                    f"{self.path} holds the result of "
                    + (f"another run: {changed}." if changed else "this run already."),
                    hint="Choose another -o, or replace it with --overwrite.",
                )
            if before is not None and (resume or self._mending is not None) and not changed:
                self._drop_all_but(self._sound(photos) if self._mending is None else self._mending)
                return
            if before is not None:
                raise UsageError(
                    f"An interrupted run is in {self.path}"
                    + (f", of another kind: {changed}." if resume else "."),
                    hint="Start over with --overwrite."
                    if resume
                    else "Go on with --resume, or use --overwrite.",
                )
            if resume and self._adopt(run, photos):
                return
            if self._shards():
                raise UsageError(
                    f"{self.path} has Parquet shards of unknown origin.", hint="Name another folder."
                )
        files, folder = locate(self._place)
        if before is not None:
            files.delete_file(self._path(_ABOUT))  # first: half a folder must not look whole
        for path in self._shards().values():
            files.delete_file(path)
        files.create_dir(folder)
        self._put(_ABOUT, json.dumps(run, indent=2).encode())

    def missing(self, count: int) -> list[int]:
        """Which of ``count`` shards are still to be made."""
        there = self._shards()
        return [index for index in range(count) if index not in there]

    def pack(self, shard: Shard) -> bytes:
        """A shard as a Parquet file, with its counts in the metadata."""
        schema = schema_of(self._about, shard.embeddings.shape[1], numbered=False)
        table = table_of(shard, schema)
        counted = {"rows": len(shard.embeddings), "statuses": shard.statuses(), "sha256": digest(table)}
        table = table.replace_schema_metadata({**schema.metadata, b"shard": json.dumps(counted).encode()})
        content = io.BytesIO()
        import_pyarrow().parquet.write_table(table, content, write_page_checksum=True)
        return content.getvalue()

    def store(self, index: int, content: bytes) -> None:
        """Store a packed shard under its number."""
        self._put(f"part-{index:06d}.parquet", content)

    def finish(
        self, run: Mapping[str, Any], versions: Mapping[str, str], preview: Path | None
    ) -> Mapping[str, Any]:
        """Read what every shard says of itself, and declare the folder whole."""
        if preview is not None:
            raise UsageError("--preview needs a result in one file.", hint="Use -o embeddings.parquet.")
        rows = 0
        counts: Counter[str] = Counter()
        with ThreadPoolExecutor(_READERS, "facerec-shards") as pool:
            for counted in pool.map(self._counts, self._shards().values()):
                rows += counted["rows"]
                counts.update(counted["statuses"])
        if isinstance(self.working, Path):  # whole: the rest is of workers that were killed
            for left in self.working.glob(".facerec.*.tmp"):
                clear_dead(left)
        statuses = {status: counts[status] for status in STATUSES if counts[status]}
        document = {**run, "rows": rows, "statuses": statuses, "versions": versions}
        self._put(_ABOUT, json.dumps(document, indent=2).encode())
        return document

    def _sound(self, photos: Sequence[str]) -> dict[int, str]:
        """The shards that can be read to the last byte and hold their photos of this run; told of the others.

        Raises:
            UsageError: One has a number that this run does not come to.
        """
        shards, step = self._shards(), self._about["shard_size"]
        for index, path in shards.items():
            if index * step >= len(photos):
                raise UsageError(
                    f"{path} is no shard of this run, which has {-(-len(photos) // step):,}.",
                    hint="Move it elsewhere, or start over with --overwrite.",
                )
        with ThreadPoolExecutor(_READERS, "facerec-shards") as pool:
            ranges = [photos[index * step : (index + 1) * step] for index in shards]
            faults = pool.map(self._fault, shards.values(), ranges)
        sound = {}
        for (index, path), fault in zip(shards.items(), faults, strict=True):
            if fault:
                log.warning("%s %s. It is made again.", path, fault)
            else:
                sound[index] = path
        return sound

    def _fault(self, path: str, photos: Sequence[str]) -> str:
        """What is wrong with a shard of this run; "" for nothing."""
        files, _ = locate(self._place)
        with files.open_input_file(path) as stream:
            return shard_fault(stream, self._about, photos)

    def _adopt(self, run: Mapping[str, Any], photos: Sequence[str]) -> bool:
        """Whether the shards say that they are this run's, where the folder's description is gone."""
        sound = self._sound(photos)
        if not sound:
            return False
        self._put(_ABOUT, json.dumps(run, indent=2).encode())
        self._drop_all_but(sound)
        return True

    def _drop_all_but(self, sound: Mapping[int, str]) -> None:
        """What is damaged or another run's is missing, and so is made again."""
        files, _ = locate(self._place)
        for index, path in self._shards().items():
            if index not in sound:
                files.delete_file(path)

    def _counts(self, path: str) -> dict[str, Any]:
        pa = import_pyarrow()
        files, _ = locate(self._place)
        try:
            metadata = pa.parquet.read_schema(path, filesystem=files).metadata
            counted: dict[str, Any] = parse_json(metadata[b"shard"])
        except Exception as error:  # as in shard_fault
            raise InputError(
                f"The shard {path} is damaged: {error}.", hint="Delete it, and go on with --resume."
            ) from error
        return counted

    def _shards(self) -> dict[int, str]:
        """The shards that are there, by number."""
        pa = import_pyarrow()
        files, folder = locate(self._place)
        listed = files.get_file_info(pa.fs.FileSelector(folder, allow_not_found=True))
        found = {}
        for entry in listed:
            number = entry.base_name.removeprefix("part-").removesuffix(".parquet")
            if number.isdecimal() and entry.base_name == f"part-{int(number):06d}.parquet":
                found[int(number)] = entry.path
        return dict(sorted(found.items()))

    def _read_about(self) -> dict[str, Any] | None:
        files, _ = locate(self._place)
        try:
            with files.open_input_file(self._path(_ABOUT)) as stream:
                document = parse_json(stream.read())
        except (OSError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def _put(self, name: str, content: bytes) -> None:
        """Write a file that appears whole: renamed into place on a disk, at once in an object store."""
        files, folder = locate(self._place)
        if files.type_name == "local":
            with atomic_write(Path(folder) / name) as stream:
                stream.write(content)
            return
        with files.open_output_stream(self._path(name)) as stream:
            stream.write(content)

    def _path(self, name: str) -> str:
        return f"{locate(self._place)[1].rstrip('/')}/{name}"

    def _name(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}"
