"""The folder of a gallery: facts, rows and crops, with what every change to them needs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError, UsageError
from facerec_cli.files import output_error, writing
from facerec_cli.gallery.facts import PeopleFacts
from facerec_cli.gallery.info import read_info
from facerec_cli.gallery.vectors import Rows
from facerec_cli.locks import exclusive
from facerec_cli.metrics.templates import mean_templates

LOCK = ".facerec.lock"
_AT_ONCE = 4096  # people whose templates are made together


class GalleryFolder:
    """The files of an open gallery.

    Args:
        path: The folder.
        write: Whether anything is changed.

    Raises:
        InputError: It is no gallery, or one that cannot be read.
    """

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self.path = path
        self.info = read_info(path)
        self.facts = PeopleFacts(path, write=write)
        self.faces = Rows(path / "vectors", "faces", self.info.dimensions)
        self.templates = Rows(path / "vectors", "templates", self.info.dimensions)
        self.crops = path / "crops"
        self.index = path / "index"

    def close(self) -> None:
        """Let all files go."""
        self.facts.close()
        self.faces.close()
        self.templates.close()

    def rows_of(self, people: Sequence[int]) -> dict[int, list[int]]:
        """The rows of the faces of people, in the order in which they were enrolled."""
        rows: dict[int, list[int]] = {person: [] for person in people}
        for start in range(0, len(people), 500):
            some = list(people[start : start + 500])
            marks = ", ".join("?" * len(some))
            query = f"SELECT person, row FROM face WHERE person IN ({marks}) ORDER BY id"
            for person, row in self.facts.all(query, some):
                rows[person].append(row)
        return rows

    def means(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """(P, D) float32: the template of each list of faces' rows.

        Raises:
            InputError: A vector is not of unit length any more.
        """
        made = np.empty((len(rows), self.info.dimensions), np.float32)
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            vectors = self.faces.read([row for one in some for row in one])
            if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < 1e-3).all():
                raise InputError(
                    f"{self.faces.folder} is damaged: a vector is not of unit length.",
                    hint=f"`facerec gallery check {self.path}` says whose. Put the folder back from a copy, "
                    "or remove and enroll these people again.",
                )
            starts = np.cumsum([0, *(len(one) for one in some)])
            made[start : start + len(some)] = mean_templates(vectors, starts)
        return made

    def write_templates(self, people: Sequence[int]) -> None:
        """Make the templates of people who are stale anew, as their faces are now, and say so."""
        if not people:
            return
        rows = self.rows_of(people)
        places = dict(self.facts.all("SELECT id, row FROM person WHERE stale"))
        self.templates.write([places[one] for one in people], self.means([rows[one] for one in people]))
        with self.facts.change() as base:
            base.executemany("UPDATE person SET stale = 0 WHERE id = ?", [(one,) for one in people])


@contextlib.contextmanager
def write_lock(path: Path, patience: float) -> Iterator[None]:
    """Be the only one who changes the gallery; a second waits, and is told when that takes too long.

    Raises:
        UsageError: Another process is changing it.
        OutputError: Nothing can be written there.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive(path / LOCK, patience=patience))
        except BlockingIOError as fault:
            raise UsageError(
                f"Another facerec is changing the gallery {path} now.",
                hint="Wait for it to end, and try again.",
            ) from fault
        except OSError as fault:
            raise output_error(path, fault) from fault
        yield


def write_crops(crops: Mapping[Path, bytes]) -> None:
    """Write and flush crops at their places; they are loose until facts point to them.

    Raises:
        OutputError: One cannot be written.
    """
    for path, content in crops.items():
        with writing(path):
            path.write_bytes(content)
    for path in crops:  # by now the system has most of them on the disk
        with writing(path), path.open("rb+") as stream:
            os.fsync(stream.fileno())


def clear(path: Path) -> None:
    """Overwrite a file with zeros, flush that, and remove it; one that is not there is well.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        with path.open("r+b", buffering=0) as stream:
            left = path.stat().st_size
            while left > 0:
                left -= os.write(stream.fileno(), bytes(min(left, 1 << 20)))
            os.fsync(stream.fileno())
        path.unlink()
    except FileNotFoundError:
        return
    except OSError as fault:
        raise output_error(path, fault) from fault
