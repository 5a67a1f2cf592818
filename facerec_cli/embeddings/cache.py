"""Embeddings that were made before, kept by the content of the photo and everything that decided them.

One SQLite file holds them all, so that two processes can share it; a row that does not check out is not used,
and a file that is no database is replaced. Without a cache everything works, only slower.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.quality_limits import MEASURES
from facerec_cli.home import cache_folder

log = logging.getLogger("facerec")

MAX_BYTES = 1 << 30  # two million embeddings of 128 numbers
_DAY = 86400
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS embedding (key BLOB PRIMARY KEY, value BLOB, used INTEGER) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS photo (photo BLOB, key BLOB, PRIMARY KEY (photo, key)) WITHOUT ROWID",
)


class CachedFace(NamedTuple):
    """What is kept of a photo's face.

    Attributes:
        vector: (D,) float32 of unit length.
        measures: (10,) float32, those of ``faces.quality_limits.MEASURES``; NaN where not known.
    """

    vector: NDArray[np.float32]
    measures: NDArray[np.float32]


#: What is kept for a photo: its face, or the reason why it has none.
Entry = CachedFace | str

_MEASURED = 4 * len(MEASURES)  # bytes
_VECTOR = 5  # where the vector begins: behind a checksum and a letter


def cache_path() -> Path:
    """Where the cache is."""
    return cache_folder() / "embeddings.sqlite"


def content_key(content: bytes, settings: bytes) -> bytes:
    """The key of a photo under ``settings`` (model hash and everything else that decides the embedding)."""
    return hashlib.blake2b(content, digest_size=24, key=hashlib.sha256(settings).digest()).digest()


class EmbeddingCache:
    """A file of embeddings; every fault of the file is a miss, never an error.

    Args:
        path: The SQLite file, made when it is not there.
        max_bytes: The least recently used rows are dropped when the rows take more.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._base: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._base = _open(path)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):  # locked or no rights: not ours to remove
                    raise
                log.warning("The embedding cache %s is damaged and is started anew.", path)
                path.unlink()
                self._base = _open(path)
        except (OSError, sqlite3.Error) as error:
            log.warning("Embeddings are not cached: %s: %s", path, error)

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """Those of ``keys`` that are there."""
        entries: dict[bytes, Entry] = {}
        if self._base is None:
            return entries
        today = int(time.time()) // _DAY
        stale = []
        with _quietly():
            for key in dict.fromkeys(keys):
                row = self._base.execute("SELECT value, used FROM embedding WHERE key = ?", (key,)).fetchone()
                entry = None if row is None else _unpack(row[0])
                if entry is not None:
                    entries[key] = entry
                    if row[1] != today:
                        stale.append((today, key))
            if stale:
                with self._base:
                    self._base.executemany("UPDATE embedding SET used = ? WHERE key = ?", stale)
        return entries

    def put(self, entries: Mapping[bytes, Entry], photos: Mapping[bytes, bytes] | None = None) -> None:
        """Keep ``entries``.

        Args:
            entries: Key -> what is kept.
            photos: Key -> sha256 of the photo's bytes, by which all that is kept of a photo can be forgotten.
        """
        if self._base is None or not entries:
            return
        today = int(time.time()) // _DAY
        rows: Iterable[tuple[bytes, bytes, int]] = [(k, _pack(e), today) for k, e in entries.items()]
        named = [(photos[key], key) for key in entries if key in photos] if photos else []
        with _quietly(), self._base:
            self._base.executemany("INSERT OR REPLACE INTO embedding VALUES (?, ?, ?)", rows)
            self._base.executemany("INSERT OR IGNORE INTO photo VALUES (?, ?)", named)

    def forget(self, photos: Iterable[bytes], vectors: Iterable[NDArray[np.float32]] = ()) -> int:
        """Delete what is kept of photos, under whatever settings, so that no byte of it is left in the file.

        Args:
            photos: The sha256 of each photo's bytes.
            vectors: Embeddings that are deleted whatever photo they are of.

        Returns:
            How many entries are gone.

        Raises:
            sqlite3.Error: The file cannot be changed.
        """
        if self._base is None:
            raise sqlite3.OperationalError("it cannot be opened")
        with self._base:
            self._base.execute("CREATE TEMP TABLE gone (key BLOB PRIMARY KEY)")
            find = "INSERT OR IGNORE INTO gone SELECT key FROM photo WHERE photo = ?"
            self._base.executemany(find, [(photo,) for photo in photos])
            self._base.execute("CREATE TEMP TABLE like (value BLOB PRIMARY KEY)")
            like = [(v.astype("<f4").tobytes(),) for v in vectors]
            self._base.executemany("INSERT OR IGNORE INTO like VALUES (?)", like)
            for begins in (_VECTOR, _VECTOR + _MEASURED):  # as earlier versions kept it, and as this one does
                self._base.execute(
                    "INSERT OR IGNORE INTO gone SELECT key FROM embedding "
                    "WHERE substr(value, ?) IN (SELECT value FROM like)",
                    (begins + 1,),
                )
            gone = self._base.execute("DELETE FROM embedding WHERE key IN (SELECT key FROM gone)").rowcount
            self._base.execute("DELETE FROM photo WHERE key IN (SELECT key FROM gone)")
            self._base.execute("DROP TABLE gone")
            self._base.execute("DROP TABLE like")
        self._base.execute("VACUUM")  # entries that were moved leave copies behind in their pages
        return gone

    def close(self) -> None:
        """Drop what is too much, and close the file."""
        if self._base is None:
            return
        with _quietly(), self._base:
            size, count = self._base.execute(
                "SELECT TOTAL(LENGTH(value)), COUNT(*) FROM embedding"
            ).fetchone()
            if size > self._max_bytes:
                surplus = int(count * (1 - 0.8 * self._max_bytes / size)) + 1
                self._base.execute(
                    "DELETE FROM embedding WHERE key IN (SELECT key FROM embedding ORDER BY used LIMIT ?)",
                    (surplus,),
                )
                self._base.execute("DELETE FROM photo WHERE key NOT IN (SELECT key FROM embedding)")
        with _quietly():
            self._base.close()
        self._base = None


def _open(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, timeout=20)
    try:
        base.execute("PRAGMA secure_delete = ON")
        base.execute("PRAGMA temp_store = MEMORY")
        with base:
            for table in _SCHEMA:
                base.execute(table)
            base.execute("SELECT key, value, used FROM embedding LIMIT 1")
    except BaseException:
        base.close()
        raise
    return base


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        log.info("The embedding cache is left out: %s", error)


def _pack(entry: Entry) -> bytes:
    if isinstance(entry, str):
        body = b"t" + entry.encode()
    else:
        body = b"f" + b"".join(part.astype("<f4").tobytes() for part in (entry.measures, entry.vector))
    return zlib.crc32(body).to_bytes(4, "little") + body


def _unpack(value: object) -> Entry | None:
    """The entry of a row; None where it does not check out, or is a vector alone, as of earlier versions."""
    if not isinstance(value, bytes) or len(value) < 5:
        return None
    body = value[4:]
    if zlib.crc32(body) != int.from_bytes(value[:4], "little"):
        return None
    if body[:1] == b"t":
        return body[1:].decode()
    if body[:1] != b"f" or len(body) % 4 != 1 or len(body) <= 1 + _MEASURED:
        return None
    numbers = np.frombuffer(body[1:], "<f4").astype(np.float32)
    return CachedFace(numbers[len(MEASURES) :], numbers[: len(MEASURES)])
