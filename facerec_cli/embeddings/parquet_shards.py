"""Shards that are the result of a run: Parquet files in a folder, on a disk or in an object store.

This is the one kind of shards that are not turned into another format at the end. Every shard is a file,
``part-000000.parquet``, written by whoever embedded it, so nothing has to pass through one machine, and
embeddings of terabytes are written once. The name follows from the photos' order: a shard that is made again,
after a lost machine or an interruption, replaces itself, and no row is lost or doubled.
``_facerec.json`` says what the run was asked and, once the folder is whole, what came of it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from facerec_cli.embeddings.formats.parquet import (
    SEALED,
    arrow_table,
    brief,
    import_pyarrow,
    schema_of,
    utf8,
)
from facerec_cli.embeddings.shards import READERS, Shard, Shards, differences
from facerec_cli.errors import InputError, UsageError
from facerec_cli.files import write_file
from facerec_cli.images.remote import is_url, kind_of, locate
from facerec_cli.locks import clear_dead
from facerec_cli.untrusted import parse_json

ABOUT = "_facerec.json"  # readers of Parquet pass over names with an underscore


class ParquetShards(Shards):
    """The shards in a folder; see ``Shards``.

    Args:
        path: A folder or its URL.
    """

    shared = True

    def __init__(self, path: str) -> None:
        import_pyarrow()
        local = path.removeprefix("file://")
        self.place: Path | str = path if is_url(local) else Path(local)
        self.files = (f"{path.rstrip('/')}/{ABOUT}", path)
        # Absolute, for a cluster's machines have other working folders.
        self.url = path if is_url(local) else f"file://{Path(local).absolute()}"
        self._run: Mapping[str, Any] = {}
        self._sound: set[int] | None = None  # shards that were read and found whole

    def is_file(self) -> bool:
        """Whether a file is in the place of the folder."""
        return bool(kind_of(self.url) == import_pyarrow().fs.FileType.File)

    def begun(self) -> bool:
        """Whether a run was begun here and not finished."""
        about = self._read_about()
        return about is not None and "rows" not in about

    def description(self) -> Mapping[str, Any] | None:
        """What a finished run says of itself."""
        about = self._read_about()
        return about if about is not None and "rows" in about else None

    def begin(self, run: Mapping[str, Any], photos: Sequence[str]) -> None:
        """Start afresh: the shards that are here go first."""
        files, folder = locate(self.url)
        if self._read_about() is not None:
            files.delete_file(self._path(ABOUT))  # first: half a folder must not look whole
        for number in self.numbers():
            self.drop(number)
        files.create_dir(folder)
        self._begin(run)

    def resume(self, run: Mapping[str, Any], photos: Sequence[str]) -> None:
        """Check that the run was asked the same thing, and drop its damaged shards.

        Raises:
            UsageError: Something that decides the result differs; the message says what.
        """
        changed = differences(self._read_about() or {}, run)
        if changed:
            raise UsageError(
                f"--resume cannot go on, because the run in {self.place} was of another kind: {changed}.",
                hint="Give the same settings as before, or start over with --overwrite.",
            )
        self._run = run
        self.keep(self._sound if self._sound is not None else self.sound(photos, run["shard_size"]))

    def is_whole(self, run: Mapping[str, Any], photos: Sequence[str]) -> bool:
        """Whether every shard of a finished run is here and sound; where not, it is one to go on with."""
        self._run = run
        self._sound = self.sound(photos, run["shard_size"])
        if len(self._sound) == -(-len(photos) // run["shard_size"]):
            return True
        self._begin(run)
        return False

    def adopt(self, run: Mapping[str, Any], photos: Sequence[str]) -> bool:
        """Whether the shards say that they are this run's, where the folder's description is gone."""
        self._run = run
        sound = self.sound(photos, run["shard_size"])
        if sound:
            self._begin(run)
            self.keep(sound)
        return bool(sound)

    def numbers(self) -> list[int]:
        """The numbers of the shards that are here."""
        pa = import_pyarrow()
        files, folder = locate(self.url)
        numbers = []
        for entry in files.get_file_info(pa.fs.FileSelector(folder, allow_not_found=True)):
            number = entry.base_name.removeprefix("part-").removesuffix(".parquet")
            if number.isdecimal() and entry.base_name == f"part-{int(number):06d}.parquet":
                numbers.append(int(number))
        return sorted(numbers)

    def name(self, number: int) -> str:
        """The path of a shard."""
        return self._path(f"part-{number:06d}.parquet")

    def pack(self, shard: Shard) -> bytes:
        """A shard as a Parquet file, with its counts in the metadata."""
        schema = schema_of(self._run, shard.embeddings.shape[1], numbered=False)
        table = arrow_table(shard, schema)
        counted = {"rows": len(shard.embeddings), "statuses": shard.statuses(), "sha256": _digest(table)}
        table = table.replace_schema_metadata({**schema.metadata, b"shard": json.dumps(counted).encode()})
        content = io.BytesIO()
        import_pyarrow().parquet.write_table(table, content, **SEALED)
        return content.getvalue()

    def store(self, number: int, content: bytes) -> None:
        """Store a packed shard under its number."""
        self._put(f"part-{number:06d}.parquet", content)

    def drop(self, number: int) -> None:
        """Delete a shard."""
        locate(self.url)[0].delete_file(self.name(number))

    def read_shard(self, number: int) -> Any:
        """A shard as a ``pyarrow.Table``."""
        files, _ = locate(self.url)
        return import_pyarrow().parquet.read_table(self.name(number), filesystem=files, partitioning=None)

    def fault(self, number: int, photos: Sequence[str]) -> str:
        """Read a shard to its last byte, checksums included, and compare it with the run and the photos."""
        pa = import_pyarrow()
        files, _ = locate(self.url)
        with files.open_input_file(self.name(number)) as stream:
            try:
                with pa.parquet.ParquetFile(stream, page_checksum_verification=True) as file:
                    metadata = file.schema_arrow.metadata or {}
                    before, counted = json.loads(metadata[b"facerec"]), json.loads(metadata[b"shard"])
                    table = file.read()
                ours = {key: before.get(key) for key in self._run} == self._run
                faces, paths = (table.column(name).to_pylist() for name in ("face", "path"))
                rows = counted["rows"]
                sound = counted.get("sha256") in (None, _digest(table))  # those of earlier versions have none
            except (
                Exception
            ) as error:  # damaged metadata ask pyarrow for anything: memory, types that it lacks
                return f"is damaged: {brief(error)}"
        if not ours:
            return "is of another run"
        if not sound:
            return "is damaged: its content is not what was written"
        held = [path for path, face in zip(paths, faces, strict=True) if not face]
        if held != [utf8(photo) for photo in photos] or rows != len(faces) - faces.count(None):
            return "holds other photos than it should"
        return ""

    def sound(self, photos: Sequence[str], step: int) -> set[int]:
        """As in ``Shards``.

        Raises:
            UsageError: A shard has a number that this run does not come to.
        """
        for number in self.numbers():
            if number * step >= len(photos):
                raise UsageError(
                    f"{self.name(number)} is no shard of this run, which has {-(-len(photos) // step):,}.",
                    hint="Move it elsewhere, or start over with --overwrite.",
                )
        return super().sound(photos, step)

    def counts(self) -> tuple[int, Counter[str]]:
        """As in ``Shards``, from what each shard says of itself."""
        rows, statuses = 0, Counter[str]()
        with ThreadPoolExecutor(READERS, "facerec-shards") as pool:
            for counted in pool.map(self._counted, self.numbers()):
                rows += counted["rows"]
                statuses.update(counted["statuses"])
        return rows, statuses

    def finish(self, description: Mapping[str, Any]) -> None:
        """Declare the folder whole."""
        if isinstance(self.place, Path):  # the rest is of workers that were killed
            for left in self.place.glob(".facerec.*.tmp"):
                clear_dead(left)
        self._put(ABOUT, json.dumps(description, indent=2).encode())

    def _begin(self, run: Mapping[str, Any]) -> None:
        self._run = run
        self._put(ABOUT, json.dumps(run, indent=2).encode())

    def _counted(self, number: int) -> dict[str, Any]:
        files, _ = locate(self.url)
        try:
            metadata = import_pyarrow().parquet.read_schema(self.name(number), filesystem=files).metadata
            counted: dict[str, Any] = parse_json(metadata[b"shard"])
        except Exception as error:  # as in fault
            raise InputError(
                f"The shard {self.name(number)} is damaged: {error}.",
                hint="Delete it, and go on with --resume.",
            ) from error
        return counted

    def _read_about(self) -> dict[str, Any] | None:
        files, _ = locate(self.url)
        try:
            with files.open_input_file(self._path(ABOUT)) as stream:
                document = parse_json(stream.read())
        except (OSError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def _put(self, name: str, content: bytes) -> None:
        """Write a file that appears whole: renamed into place on a disk, at once in an object store."""
        files, folder = locate(self.url)
        if files.type_name == "local":
            write_file(Path(folder) / name, content)
            return
        with files.open_output_stream(self._path(name)) as stream:
            stream.write(content)

    def _path(self, name: str) -> str:
        return f"{locate(self.url)[1].rstrip('/')}/{name}"


def _digest(table: Any) -> str:
    """SHA-256 of a shard's columns; Parquet's own checksums leave out headers and the names of columns."""
    sha = hashlib.sha256()
    for name in table.column_names:
        column = table.column(name)
        sha.update(f"{name} ".encode())
        if name == "embedding":  # (faces, D) float32, and which rows have one is told by the other columns
            sha.update(column.combine_chunks().flatten().to_numpy(zero_copy_only=False).tobytes())
        else:
            sha.update(repr(column.to_pylist()).encode("utf-8", "surrogateescape"))
    return sha.hexdigest()
