"""The facts of a gallery: people, faces and cards in ``people.sqlite``, which decides what is true.

Vectors and crops are written and flushed before a fact points to them, and what no fact points to any more is
noted as loose in the change that lets it go. So whatever a killed command has left is known at the next open.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.errors import FacerecError, InputError, OutputError, UsageError
from facerec_cli.gallery.info import SCHEMA, SUFFIX, now
from facerec_cli.gallery.person import FaceFacts, GalleryFace, Person, read_text, stored_text
from facerec_cli.suggest import guess

FILE = "people.sqlite"
PATIENCE = 30.0
"""Seconds that a reader and a writer wait for each other."""
RESTS = 86400
"""Seconds for which a freed row is not given again."""

_SCHEMA = """
CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO state VALUES ('generation', 0), ('faces', 0), ('templates', 0), ('vacuum', 0);
CREATE TABLE person (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
    row INTEGER NOT NULL UNIQUE, stale INTEGER NOT NULL, created TEXT NOT NULL, expires TEXT NOT NULL,
    note TEXT NOT NULL);
CREATE TABLE face (id INTEGER PRIMARY KEY AUTOINCREMENT, person INTEGER NOT NULL REFERENCES person (id),
    path TEXT NOT NULL, photo BLOB NOT NULL, box BLOB, landmarks BLOB, score REAL, norm REAL,
    row INTEGER NOT NULL UNIQUE, crop TEXT NOT NULL, added TEXT NOT NULL);
CREATE INDEX face_person ON face (person);
CREATE INDEX face_photo ON face (photo);
CREATE TABLE loose (kind TEXT NOT NULL, what BLOB NOT NULL, PRIMARY KEY (kind, what)) WITHOUT ROWID;
CREATE TABLE free (kind TEXT NOT NULL, row INTEGER NOT NULL, since INTEGER NOT NULL, PRIMARY KEY (kind, row))
    WITHOUT ROWID;
CREATE TABLE card (id INTEGER PRIMARY KEY AUTOINCREMENT, document TEXT NOT NULL, people INTEGER NOT NULL,
    generation INTEGER NOT NULL, created TEXT NOT NULL);
"""
_FACE = "id, person, path, photo, box, landmarks, score, norm, row, crop, added"
_PERSON = "person.id, name, count(face.id), created, expires, note"


class PeopleFacts:
    """One connection to a gallery's facts.

    Args:
        folder: The gallery.
        write: Whether anything is changed.

    Raises:
        InputError: The file is missing, damaged, or of another schema.
    """

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self.path = folder / FILE
        if not self.path.is_file():
            raise InputError(f"{self.path} is missing.", hint="Put it back from a copy of the gallery.")
        with self._told():
            self.base = _connect(self.path, "rw")  # a reader too may have to undo what a killed writer began
            try:
                self.base.execute(f"PRAGMA query_only = {'OFF' if write else 'ON'}")
                schema = self.one("PRAGMA user_version")
                self.one("SELECT count(*) FROM person, state WHERE person.id = 0")
            except BaseException:
                self.base.close()
                raise
        if schema != SCHEMA:
            self.base.close()
            raise InputError(
                f"{self.path} has schema {schema}, this facerec knows {SCHEMA}.",
                hint="Update facerec: pip install -U facerec-cli. Nothing was changed.",
            )

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of the block is kept and flushed, or nothing.

        Raises:
            OutputError: It cannot be written; nothing was changed.
            InputError: The file is damaged.
            UsageError: Readers have held the file for too long.
        """
        with self._told():
            self.base.execute("BEGIN IMMEDIATE")
            try:
                yield self.base
                self.base.execute("UPDATE state SET value = value + 1 WHERE key = 'generation'")
                self.base.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self.base.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def view(self) -> Iterator[None]:
        """Everything that is read in the block is of one moment."""
        with self._told():
            self.base.execute("BEGIN")
            try:
                yield
            finally:
                with contextlib.suppress(sqlite3.Error):
                    self.base.execute("ROLLBACK")

    def one(self, query: str, values: Sequence[Any] = ()) -> Any:
        """The first value of the first row; None where there is none."""
        with self._told():
            row = self.base.execute(query, values).fetchone()
        return None if row is None else row[0]

    def all(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows."""
        with self._told():
            return self.base.execute(query, values).fetchall()

    def state(self, key: str) -> int:
        """A number: ``generation``, ``faces`` and ``templates`` (rows that were ever given), ``vacuum``."""
        return int(self.one("SELECT value FROM state WHERE key = ?", (key,)))

    def people(self, where: str = "", values: Sequence[Any] = ()) -> tuple[Person, ...]:
        """The people, in the order in which they were enrolled."""
        query = f"SELECT {_PERSON} FROM person LEFT JOIN face ON face.person = person.id {where} "
        return tuple(
            Person(*row) for row in self.all(query + "GROUP BY person.id ORDER BY person.id", values)
        )

    def find(self, person: str | int | Person) -> Person:
        """The person of a name, a number or an earlier answer.

        Raises:
            InputError: Nobody is called so; the nearest name is told.
        """
        if isinstance(person, str):
            found = self.people("WHERE name = ?", (person,))
        else:
            found = self.people("WHERE person.id = ?", (person if isinstance(person, int) else person.id,))
        if found and found[0].id is not None:
            return found[0]
        named = person.name if isinstance(person, Person) else str(person)
        names = [row[0] for row in self.all("SELECT name FROM person")]
        gallery = str(self.path.parent).removesuffix(SUFFIX)
        raise InputError(
            f"Nobody in the gallery is called {named!r}.",
            hint=guess(named, names) or f"`facerec gallery list {gallery}` names all {len(names):,}.",
        )

    def faces(self, where: str = "", values: Sequence[Any] = ()) -> tuple[GalleryFace, ...]:
        """The faces, in the order in which they were enrolled."""
        return tuple(map(_face, self.all(f"SELECT {_FACE} FROM face {where} ORDER BY id", values)))

    def close(self) -> None:
        """Let the file go."""
        with contextlib.suppress(sqlite3.Error):
            self.base.close()

    def drop_journal(self) -> None:
        """Take away a journal that a killed writer began and that undoes nothing; it has copies of facts."""
        if Path(f"{self.path}-journal").exists():
            with self.change():
                pass

    def vacuum(self) -> None:
        """Write the file anew, without what was deleted from it."""
        with self._told():
            self.base.execute("VACUUM")
            self.base.execute("UPDATE state SET value = 0 WHERE key = 'vacuum'")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as fault:
            raise _told(self.path, fault) from fault


def create_facts(folder: Path) -> None:
    """Make the file, empty.

    Raises:
        OutputError: It cannot be written.
    """
    path = folder / FILE
    try:
        base = _connect(path, "rwc")
        with contextlib.closing(base):
            base.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA}; COMMIT;")
    except sqlite3.Error as fault:
        raise _told(path, fault) from fault


def take_rows(base: sqlite3.Connection, kind: str, count: int) -> list[int]:
    """Rows for new vectors, noted as loose until facts point to them; long freed ones first.

    A row is given again after a day only, since a program that is searching now may have looked up earlier
    whose it is.

    Args:
        base: In a change.
        kind: ``faces`` or ``templates``.
        count: How many.
    """
    query = "SELECT row FROM free WHERE kind = ? AND since <= ? ORDER BY row LIMIT ?"
    found = base.execute(query, (kind, int(time.time()) - RESTS, count)).fetchall()
    rows = [row for (row,) in found]
    base.executemany("DELETE FROM free WHERE kind = ? AND row = ?", [(kind, row) for row in rows])
    (first,) = base.execute("SELECT value FROM state WHERE key = ?", (kind,)).fetchone()
    fresh = count - len(rows)
    base.execute("UPDATE state SET value = ? WHERE key = ?", (first + fresh, kind))
    rows += range(first, first + fresh)
    let_go(base, kind, rows)
    return rows


def let_go(base: sqlite3.Connection, kind: str, what: Iterable[object]) -> None:
    """Note what no fact points to: rows of faces or templates, crop files, sha256 of photos, the index."""
    base.executemany("INSERT OR IGNORE INTO loose VALUES (?, ?)", [(kind, one) for one in what])


def keep(base: sqlite3.Connection, kind: str, what: Iterable[object]) -> None:
    """A fact points to it now."""
    base.executemany("DELETE FROM loose WHERE kind = ? AND what = ?", [(kind, one) for one in what])


def insert_faces(
    base: sqlite3.Connection,
    people: Sequence[int],
    facts: Sequence[FaceFacts],
    rows: Sequence[int],
    crops: Sequence[str],
) -> list[int]:
    """Add faces; gives their ids."""
    added = now()
    ids = []
    for person, fact, row, crop in zip(people, facts, rows, crops, strict=True):
        values = (
            person, stored_text(fact.path), bytes.fromhex(fact.photo_sha256), _blob(fact.box),
            _blob(fact.landmarks), fact.score, fact.norm, row, crop, added,
        )  # fmt: skip
        done = base.execute(
            "INSERT INTO face (person, path, photo, box, landmarks, score, norm, row, crop, added) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        ids.append(int(done.lastrowid or 0))
    return ids


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    base = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", timeout=PATIENCE, isolation_level=None, uri=True,
        check_same_thread=False,
    )  # fmt: skip
    for pragma in ("secure_delete = ON", "foreign_keys = ON", "temp_store = MEMORY", "trusted_schema = OFF"):
        base.execute(f"PRAGMA {pragma}")
    return base


def _told(path: Path, fault: sqlite3.Error) -> FacerecError:
    """What SQLite's error means for who reads it."""
    code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UsageError(f"Another program is using {path} now.", hint="Try again when it has ended.")
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return OutputError(
            f"{path} cannot be written: {fault}.",
            hint="Make room there, or see to your rights. Nothing was changed.",
        )
    return InputError(
        f"{path} cannot be read: {fault}.",
        hint="It is damaged, or no file of a gallery. Put it back from a copy of the gallery; vectors and "
        "photos are as they were.",
    )


def _blob(numbers: Iterable[float] | None) -> bytes | None:
    return None if numbers is None else np.fromiter(numbers, "<f4").tobytes()


def _numbers(blob: bytes | None) -> tuple[float, ...] | None:
    return None if blob is None else tuple(np.frombuffer(blob, "<f4").tolist())


def _face(row: Sequence[Any]) -> GalleryFace:
    number, person, path, photo, box, landmarks, *rest = row
    return GalleryFace(
        number, person, read_text(path), photo.hex(), _numbers(box), _numbers(landmarks), *rest
    )
