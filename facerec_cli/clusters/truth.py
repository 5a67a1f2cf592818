"""Who is on each face, by a list of the user's, to measure groups with."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError
from facerec_cli.metrics.clustering import ClusteringQuality, evaluate_clustering
from facerec_cli.pairs.names import match_names
from facerec_cli.pairs.pairlist import distinct
from facerec_cli.pairs.text_rows import read_list
from facerec_cli.tables.rows import PATH_WORDS, column, label_column, word
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

Truth = dict[tuple[str, int | None], str]
"""Photo as the list calls it, and number of the face or None for all of the photo's -> person."""


def measure(
    labels: NDArray[np.int64], faces: EmbeddingTable, path: Path, *, rounds: int
) -> ClusteringQuality:
    """Compare groups with a list of ``path,person`` or ``path,face,person``.

    Faces that the list does not name, and junk that it does not name, do not count. A photo that is named
    without a face says who is on all of its faces, so it should show one.

    Args:
        labels: (F,) int64, the group of each face; -1 for junk, which counts as alone.
        faces: The faces.
        path: The list; photos are matched by the ends of their paths.
        rounds: Of the bootstrap over people.

    Raises:
        InputError: The list cannot be read, contradicts itself, or names none of the faces.
    """
    person = people_of_faces(faces, read_truth(path), path)
    named = np.flatnonzero([bool(one) for one in person])
    if not named.size:
        raise InputError(
            f"{str(path)!r} names none of the faces of {faces.source!r}.",
            hint="Write path,person on each line, with paths as the column path of -o has them.",
        )
    if named.size < len(person):
        log.warning(
            "%s names %s of %s; the others do not count",
            path,
            counted(int(named.size), "face"),
            f"{len(person):,}",
        )
    _, number = distinct([person[face] for face in named.tolist()])
    return evaluate_clustering(labels[named], number, rounds=rounds)


def read_truth(path: Path) -> Truth:
    """The people of a list.

    Raises:
        InputError: It cannot be read, a line is not so, or a face has two people.
    """
    rows = read_list(path, "list of people")
    heading = rows[0][1] if rows else []
    at_path = column(heading, PATH_WORDS)
    at_person = label_column(heading, at_path)
    at_face = next((at for at, cell in enumerate(heading) if word(cell) == "face"), None)
    if at_path is not None and at_person is not None:
        rows.pop(0)
    else:
        at_path, at_person = 0, min(2, max(len(heading) - 1, 1))
        at_face = 1 if at_person == 2 else None
    truth: Truth = {}
    for line, fields in rows:
        cells = [
            fields[at] if at is not None and at < len(fields) else "" for at in (at_path, at_face, at_person)
        ]
        if not cells[0] or not cells[2] or not (not cells[1] or (cells[1].isascii() and cells[1].isdigit())):
            raise InputError(
                f"{str(path)!r} has no path and person on line {line}: {','.join(fields)[:80]!r}.",
                hint="Write path,person or path,face,person on each line.",
            )
        key = (cells[0], int(cells[1]) if cells[1] else None)
        if truth.setdefault(key, cells[2]) != cells[2]:
            raise InputError(
                f"{str(path)!r} has two people for {cells[0]!r}, the second on line {line}.",
                hint="Name the face too: path,face,person.",
            )
    return truth


def people_of_faces(faces: EmbeddingTable, truth: Truth, path: Path) -> list[str]:
    """F names, "" where the list has none."""
    photos = list(faces.paths) if faces.paths is not None else [str(row) for row in range(len(faces.vectors))]
    names = list(dict.fromkeys(name for name, _ in truth))
    there = dict.fromkeys([*photos, *faces.failed])
    called: dict[str, list[str]] = {}
    for name, photo in zip(names, match_names(names, there, repr(faces.source)), strict=True):
        if photo is not None:
            called.setdefault(photo, []).append(name)
    numbers = np.maximum(faces.numbers, 0).tolist()
    return [
        next(
            (
                truth[key]
                for name in called.get(photo, ())
                for key in ((name, number), (name, None))
                if key in truth
            ),
            "",
        )
        for photo, number in zip(photos, numbers, strict=True)
    ]
