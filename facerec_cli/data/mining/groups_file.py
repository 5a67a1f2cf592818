"""A file of groups, as ``facerec cluster`` writes it, with the vectors of its faces: pseudo-labels.

Of the columns ``path``, ``face``, ``status``, ``cluster``, ``person`` and ``margin`` the first, the second
and the fourth have to be there. A group with a name is that person, another one ``group 12``. Two faces of
one photo are two people: of those that a group has all the same, the surest one stays.
"""

from __future__ import annotations

import contextlib
import csv
import math
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.mining.labeled_faces import LabeledFaces, number_names
from facerec_cli.data.mining.settings import MineSettings
from facerec_cli.embed import embed_photos
from facerec_cli.embed.photo_result import make_shard
from facerec_cli.embeddings.read import open_table
from facerec_cli.embeddings.records import table_of
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError
from facerec_cli.untrusted import parse_json
from facerec_cli.verify.settings import Steps, embed_options, no_steps, open_for
from facerec_cli.wording import counted

NEEDED = ("path", "face", "cluster")
_CLUSTER_AGAIN = "Write the groups anew with `facerec cluster`, or name the file that it wrote."

Place = tuple[str, int]  # a photo, and the number of the face in it


def is_groups_file(path: Path) -> bool:
    """Whether this is a table with the columns of groups; a table of embeddings has no ``cluster``."""
    with contextlib.suppress(OSError, ValueError, csv.Error):
        return path.is_file() and set(NEEDED) <= set(_columns(path))
    return False


def read_groups(path: Path, settings: MineSettings, steps: Steps = no_steps) -> LabeledFaces:
    """The faces of all groups, of several faces or one.

    Args:
        path: The file: csv, jsonl or parquet.
        settings: ``embeddings`` names the vectors that were grouped; else the photos are embedded anew.
        steps: Watches the work.

    Raises:
        InputError: A row is broken, no face has a group, or neither photos nor embeddings have its faces.
    """
    rows = [row for row in _rows(path) if _in_group(row, path)]
    if not rows:
        raise InputError(f"{path} has no face with a group.", hint=_CLUSTER_AGAIN)
    places = [(str(row["path"]), _whole(row["face"], path)) for row in rows]
    if len(set(places)) < len(places):
        twice = next(place for at, place in enumerate(places) if place in places[:at])
        raise InputError(f"{path} has face {twice[1]} of {twice[0]} twice.", hint=_CLUSTER_AGAIN)
    table = open_table(settings.embeddings) if settings.embeddings else _embed(path, places, settings, steps)
    found = _row_of(table)
    there = [at for at, place in enumerate(places) if place in found]
    if not there:
        raise InputError(
            f"None of the {counted(len(places), 'face')} of {path} is in {table.source}; the first is face "
            f"{places[0][1]} of {places[0][0]!r}.",
            hint="Name the embeddings that were grouped with --embeddings.",
        )
    labels, people = number_names([_name(rows[at], path) for at in there])
    vectors = table.select([found[places[at]] for at in there])
    faces = LabeledFaces(
        source=str(path),
        vectors=vectors.vectors,
        labels=labels,
        people=people,
        photos=tuple(places[at][0] for at in there),
        numbers=vectors.numbers,
        sha256=vectors.photo_sha256,
        crops=tuple(places[at][0] if settings.aligned else "" for at in there),
        landmarks=vectors.landmarks,
        margins=np.array([_number(rows[at].get("margin")) for at in there], np.float32),
        model=vectors.model,
        flip=bool(vectors.settings.get("flip", settings.flip)),
        groups=True,
    )
    return faces.select(one_face_of_a_photo(faces))


def one_face_of_a_photo(faces: LabeledFaces) -> NDArray[np.bool_]:
    """(F,) bool: of several faces of one photo in one group the one of highest margin, then the first."""
    sure = np.where(np.isnan(faces.margins), -np.inf, faces.margins)
    best: dict[tuple[str, int], int] = {}
    for row in np.argsort(-sure, kind="stable").tolist():
        best.setdefault((faces.photos[row], int(faces.labels[row])), row)
    kept = np.zeros(len(faces), bool)
    kept[list(best.values())] = True
    return kept


def _columns(path: Path) -> Sequence[str]:
    kind = path.suffix.lower()
    if kind == ".parquet":
        from facerec_cli.embeddings.formats.parquet import import_pyarrow

        return list(import_pyarrow().parquet.read_schema(path).names)
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        if kind == ".csv":
            return next(csv.reader(file), [])
        if kind == ".jsonl":
            first = parse_json(next(islice(file, 1), "{}"))
            return list(first) if isinstance(first, dict) else []
    return []


def _rows(path: Path) -> list[Mapping[str, Any]]:
    kind = path.suffix.lower()
    try:
        if kind == ".parquet":
            from facerec_cli.embeddings.formats.parquet import import_pyarrow

            rows: list[Mapping[str, Any]] = import_pyarrow().parquet.read_table(path).to_pylist()
            return rows
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            if kind == ".csv":
                return list(csv.DictReader(file))
            return [dict(parse_json(line)) for line in file if line.strip()]
    except (OSError, ValueError, TypeError, csv.Error) as fault:
        raise InputError(f"{path} is damaged: {fault}.", hint=_CLUSTER_AGAIN) from fault


def _in_group(row: Mapping[str, Any], path: Path) -> bool:
    """Whether it is a face with a group; photos without a face, and junk, are not."""
    if row.get("status") == "junk" or row.get("cluster") in (None, "") or row.get("face") in (None, ""):
        return False
    return bool(row.get("path")) and _whole(row["cluster"], path) >= 0


def _name(row: Mapping[str, Any], path: Path) -> str:
    return str(row.get("person") or "") or f"group {_whole(row['cluster'], path)}"


def _whole(value: Any, path: Path) -> int:
    number = _number(value)
    if not math.isfinite(number) or number != int(number):
        raise InputError(f"{path} has {value!r} where a whole number stands.", hint=_CLUSTER_AGAIN)
    return int(number)


def _number(value: Any) -> float:
    try:
        return math.nan if value in (None, "") else float(value)
    except (TypeError, ValueError):
        return math.nan


def _row_of(table: EmbeddingTable) -> dict[Place, int]:
    """Row of each face; a table of one face a photo may not number them."""
    paths = table.paths or ()
    return {
        (path, max(0, int(number))): row
        for row, (path, number) in enumerate(zip(paths, table.numbers, strict=True))
    }


def _embed(path: Path, places: Sequence[Place], settings: MineSettings, steps: Steps) -> EmbeddingTable:
    """All faces of the photos, embedded anew."""
    photos = [photo for photo in dict.fromkeys(photo for photo, _ in places) if Path(photo).is_file()]
    if not photos:
        raise InputError(
            f"The photos of {path} are gone: none of {counted(len({p for p, _ in places}), 'photo')} is "
            f"there, the first {places[0][0]!r}.",
            hint="Run the command in the folder in which the photos were grouped, or name the embeddings "
            "that were grouped with --embeddings.",
        )
    embedding = settings.embedding()
    model, workers = open_for(embedding, aligned=settings.aligned)
    options = embed_options(embedding, faces="all", aligned=settings.aligned)

    def watched(progress: Any) -> Any:
        for done, result in enumerate(embed_photos(photos, model, options, workers=workers), 1):
            yield result
            progress(done, len(photos))

    with steps("Embedding", "photos") as progress:
        shard = make_shard(watched(progress), size=model.embedding_size, first=0, crops=None)
    faces = [{**row, "row": at} for at, row in enumerate(shard.faces())]
    about = {
        "model": {"name": model.pack.name, "sha256": model.hash},
        "provider": model.provider,
        "settings": {"flip": settings.flip, "aligned": settings.aligned},
    }
    return table_of("the photos", shard.embeddings, faces, about)
