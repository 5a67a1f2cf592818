"""The files of a mining: lists to train on, pairs, and the table of suspected labels."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import class_lines
from facerec_cli.data.formats.list import list_lines, listable
from facerec_cli.data.mining.crops import crops_of
from facerec_cli.data.mining.run import Mined
from facerec_cli.data.mining.settings import MineOutputs, MineSettings
from facerec_cli.data.mining.suspects import SAME_PEOPLE
from facerec_cli.errors import InputError
from facerec_cli.files import write_file
from facerec_cli.verify.settings import Steps, no_steps

NOISE_COLUMNS = ("path", "label", "suggested", "own", "other", "reason")


def write_mined(
    mined: Mined, outputs: MineOutputs, settings: MineSettings, *, steps: Steps = no_steps
) -> dict[str, int]:
    """Write the files that are wanted.

    Args:
        mined: What was found.
        outputs: Where to.
        settings: How crops are cut that have to be.
        steps: Watches the work.

    Returns:
        Path of each file as text -> how many photos, pairs or rows it has.

    Raises:
        InputError: No face has a crop or photo, or its path cannot stand in a list.
        OutputError: One cannot be written.
    """
    written: dict[str, int] = {}
    faces, places = mined.faces, np.array([mined.faces.place(row) for row in range(len(mined.faces))], object)
    if outputs.noise is not None:
        content, count = _noise(mined)
        write_file(outputs.noise, content)
        written[str(outputs.noise)] = count
    there = mined.kept.copy()
    if outputs.lists:
        rows = np.flatnonzero(mined.kept)
        crops = crops_of(faces.select(rows), outputs.crops_folder, settings, steps)
        places[rows] = crops
        there[rows] = [bool(crop) for crop in crops]
        parts = {"output": there, "easy": there & ~mined.hard, "hard": there & mined.hard}
        for name, path in outputs.lists.items():
            written[str(path)] = _list(mined, parts[name], places, path, weighted=name == "output")
    if outputs.pairs is not None:
        written[str(outputs.pairs)] = _pairs(mined, there, places, outputs.pairs)
    return written


def _list(
    mined: Mined, use: NDArray[np.bool_], places: NDArray[np.object_], path: Path, *, weighted: bool
) -> int:
    """A list of some faces with the names of their people beside it, numbered without gaps."""
    rows = np.flatnonzero(use)
    if not len(rows):
        raise InputError(f"There is no photo for {path}.", hint="Give more photos, or another --hard-share.")
    people, labels = np.unique(mined.faces.labels[rows], return_inverse=True)
    names = [mined.faces.people[person] for person in people.tolist()]
    weights = mined.weights[rows] if weighted else None
    relative = _relative_to(path)
    content = list_lines([relative(places[row]) for row in rows.tolist()], labels, weights)
    write_file(path.with_suffix(".classes.txt"), class_lines(names, mined.faces.source))
    write_file(path, content)
    return len(rows)


def _pairs(mined: Mined, there: NDArray[np.bool_], places: NDArray[np.object_], path: Path) -> int:
    pairs = mined.pairs
    use = np.flatnonzero(there[pairs.first] & there[pairs.second])
    relative = _relative_to(path)
    lines = [
        f"{relative(places[pairs.first[at]])}\t{relative(places[pairs.second[at]])}\t{int(pairs.same[at])}\n"
        for at in use.tolist()
    ]
    write_file(path, "".join(lines).encode("utf-8", "surrogateescape"))
    return len(lines)


def _relative_to(path: Path) -> Callable[[str], str]:
    """Where a photo is, seen from a list's folder."""
    folder = path.parent.resolve()
    return lambda place: listable(Path(os.path.relpath(place, folder)).as_posix())


def _noise(mined: Mined) -> tuple[bytes, int]:
    """The suspected labels, the surest first: a row a face, and one without a path for two people."""
    faces, found = mined.faces, mined.suspects
    rows = np.flatnonzero((found.reasons != "") & (found.reasons != SAME_PEOPLE))
    order = rows[np.argsort(found.scores.margin[rows], kind="stable")]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(NOISE_COLUMNS)
    for row in order.tolist():
        suggested = int(found.suggested[row])
        table.writerow(
            [
                faces.place(row),
                faces.people[faces.labels[row]],
                faces.people[suggested] if suggested >= 0 else "",
                _score(found.scores.own[row]),
                _score(found.scores.other[row]),
                found.reasons[row],
            ]
        )
    pairs = mined.same_people
    table.writerows(["", smaller, larger, "", _score(score), SAME_PEOPLE] for smaller, larger, score in pairs)
    return text.getvalue().encode("utf-8", "surrogateescape"), len(order) + len(pairs)


def _score(value: float) -> str:
    return f"{value:.4f}" if np.isfinite(value) else ""
