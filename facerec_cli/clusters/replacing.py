"""Whether a table of groups may be replaced: not one that somebody has worked on, without being told to."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facerec_cli.clusters.clustering import FACE_STATUSES
from facerec_cli.clusters.earlier import read_clusters
from facerec_cli.clusters.settings import ClusterSettings
from facerec_cli.errors import FacerecError, UsageError
from facerec_cli.review.decisions import Decisions, read_decisions
from facerec_cli.review.log import log_of, noted_results


def refuse_reviewed(table: Path, settings: ClusterSettings, *, flag: str) -> None:
    """Refuse to replace a table with names, decisions or edits that the new one would not have.

    A table as ``facerec cluster`` wrote it is made again. So is one that came of decisions and was left as it
    was, when decisions are carried out that give all of its names and put away all of its junk.

    Args:
        table: Where the new one goes.
        settings: How the new one is made; what it takes over with ``update`` is not lost.
        flag: The flag that named it.

    Raises:
        UsageError: What would be lost.
        InputError: The decisions that are to be carried out cannot be read.
    """
    if not table.is_file() or goes_on(table, settings.update):
        return
    log = log_of(table)
    noted = noted_results(log) if log.is_file() else set()
    if not noted and table.stat().st_size == 0:
        return
    decisions = None if settings.apply is None else read_decisions(settings.apply)
    lost = _lost(table, settings, decisions, noted)
    if not lost and noted and decisions is None:
        lost = "decisions that were carried out on it"
    if lost:
        raise UsageError(
            f"{flag} {table} exists and has {lost}.",
            hint=f"Go on from it with --update {table}, or replace it with --overwrite.",
        )


def goes_on(table: Path, update: Path | None) -> bool:
    """Whether a table takes the place of the earlier result that it goes on from."""
    return update is not None and os.path.realpath(table) == os.path.realpath(update)


def hash_of(table: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with table.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _lost(table: Path, settings: ClusterSettings, decisions: Decisions | None, noted: set[str]) -> str:
    """What a table has that a new one would not have; "" for nothing. ``noted``: what the log knows of it."""
    rows: list[dict[str, Any]] = []
    try:
        rows = [row for row in read_clusters(table) if row["status"] in FACE_STATUSES]
    except FacerecError:
        return "rows that cannot be read as groups"
    given = [] if decisions is None else decisions.items
    names = {one.name for one in given}
    junk = {(face.path, face.face) for one in given if one.kind == "junk" for face in one.faces}
    for row in rows:
        name, again = row.get("person"), settings.gallery is not None and row["status"] == "known"
        if name and not again and name not in names:
            return f"names, such as {name!r} of {row['path']}"
        if row["status"] == "junk" and (row["path"], int(row.get("face", 0))) not in junk:
            return f"junk, such as a face of {row['path']}"
    untouched = noted == {hash_of(table)} if noted else _as_made(rows)
    return "" if untouched else "groups that were changed since it was made"


def _as_made(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether groups are numbered, and faces called alone or grouped, as in a new table."""
    left = [row for row in rows if row["status"] != "known"]
    sizes = Counter(int(row.get("cluster", -1)) for row in left)
    ordered = [sizes[number] for number in range(len(sizes))]
    right = all((sizes[int(row.get("cluster", -1))] > 1) == (row["status"] == "grouped") for row in left)
    return right and 0 not in ordered and ordered == sorted(ordered, reverse=True)
