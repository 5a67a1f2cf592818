"""What a user knows of pairs of faces: a file of ``path,face,path,face,same`` or ``different``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from facerec_cli.clusters.grouping import Pairs, no_pairs
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError
from facerec_cli.images.remote import is_url
from facerec_cli.pairs.text_rows import read_list
from facerec_cli.tables.paths import absolute

_SAME = frozenset(["same", "1", "true", "yes"])
_DIFFERENT = frozenset(["different", "0", "false", "no"])
FaceKey = tuple[str, int]


class Links(NamedTuple):
    """(L, 2) int64 each: faces of one person, and of two."""

    must: Pairs
    cannot: Pairs


def photo_key(path: str) -> str:
    """One spelling of a photo's path: results and lists are made in different folders."""
    return path if is_url(path) or "\0" in path else absolute(os.fspath(path))


def faces_by_key(faces: EmbeddingTable) -> Mapping[FaceKey, int]:
    """Photo and number of a face -> its row."""
    if faces.paths is None:
        return {(str(row), 0): row for row in range(len(faces.vectors))}
    keys = {path: photo_key(path) for path in dict.fromkeys(faces.paths)}
    numbers = np.maximum(faces.numbers, 0).tolist()
    return {
        (keys[path], number): row for row, (path, number) in enumerate(zip(faces.paths, numbers, strict=True))
    }


def read_links(path: Path, faces: EmbeddingTable) -> Links:
    """Read links between faces.

    Args:
        path: A list with a line a pair; a heading may stand above. The number of a face may be empty: 0.
        faces: What they are of; of plain arrays the number of a row is its path.

    Raises:
        InputError: It cannot be read, a line is not so, or names a face that is not there.
    """
    rows = read_list(path, "list of links")
    if rows and _is_heading(rows[0][1]):
        rows.pop(0)
    there = faces_by_key(faces)
    pairs: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
    for line, fields in rows:
        word = fields[-1].lower() if fields else ""
        if (
            len(fields) != 5
            or word not in _SAME | _DIFFERENT
            or not all(_is_number(fields[i]) for i in (1, 3))
        ):
            raise InputError(
                f"{str(path)!r} has no link on line {line}: {','.join(fields)[:80]!r}.",
                hint="Write path,face,path,face,same (or different) on each line.",
            )
        ends = []
        for name, number in (fields[0:2], fields[2:4]):
            own = name if faces.paths is None else photo_key(name)
            row = there.get((own, int(number or 0)))
            if row is None:
                raise InputError(
                    f"{str(path)!r} names face {number or 0} of {name!r} on line {line}, which is not there.",
                    hint="Name photos and faces as the columns path and face of -o do.",
                )
            ends.append(row)
        pairs[word in _SAME].append((ends[0], ends[1]))
    must, cannot = (np.array(pairs[key], np.int64) if pairs[key] else no_pairs() for key in (True, False))
    return Links(must, cannot)


def _is_heading(fields: Sequence[str]) -> bool:
    """Whether a line has neither numbers of faces nor what they are to each other."""
    return (
        fields[-1:] != []
        and fields[-1].lower() not in _SAME | _DIFFERENT
        and not any(_is_number(field) for field in (*fields[1:2], *fields[3:4]))
    )


def _is_number(field: str) -> bool:
    return not field or (field.isascii() and field.isdigit() and len(field) < 10)
