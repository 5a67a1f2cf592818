"""An index on the disk, and whether it is that of the people who are searched now.

It is one ``.npz`` of plain arrays, each of which is checked; what a file claims is never believed. It keeps
no name. Since candidates are compared exactly with the templates themselves, a wrong index could only miss
people; one that is damaged, of another version or of other templates is not used but made anew.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.files import atomic_write
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.search_engines.codes import Codes
from facerec_cli.gallery.search_engines.settings import MAX_CANDIDATES
from facerec_cli.untrusted import NpzFile, parse_json

log = logging.getLogger("facerec")

SCHEMA = 1
FOLDER, FILE = "index", "templates.npz"
_RACE = 2 * 10**9  # ns: a file that was changed less before the index was made may have been changed again


@dataclass(frozen=True, slots=True, eq=False)
class TemplateIndex:
    """What is kept of an index.

    Attributes:
        codes: Of the template of each person, in the order of rows.
        candidates: How many are compared exactly.
        measured: What that was found to miss, see ``index_measure.IndexMeasurement``.
    """

    codes: Codes
    candidates: int
    measured: Mapping[str, Any]


def live_rows(people: EnrolledPeople) -> NDArray[np.int64]:
    """(N,) int64, the rows that somebody has, ascending."""
    return np.flatnonzero(people.person >= 0)


def write_index(folder: Path, index: TemplateIndex, people: EnrolledPeople, templates: str) -> Path:
    """Keep an index in a gallery.

    Args:
        folder: Of the gallery.
        index: What is kept.
        people: Of whom it was made.
        templates: Their :func:`templates_hash`.

    Returns:
        The file.

    Raises:
        OutputError: It cannot be written.
    """
    header = {
        "schema": SCHEMA,
        "dimensions": index.codes.dimensions,
        "candidates": index.candidates,
        "measured": dict(index.measured),
        "people": _signature(people),
        "templates": templates,
        "files": _files(people),
        "made": time.time_ns(),
    }
    path = folder / FOLDER / FILE
    with atomic_write(path, what="index") as stream:
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        np.savez(stream, header=text, pairs=index.codes.pairs, codes=index.codes.codes)
    return path


def read_index(folder: Path, people: EnrolledPeople) -> TemplateIndex | None:
    """The index of a gallery, or None where it has none that is whole and of these people's templates."""
    path = folder / FOLDER / FILE
    try:
        with NpzFile(path) as arrays:
            header = parse_json(arrays["header"].tobytes())
            if header["schema"] != SCHEMA or header["people"] != _signature(people):
                raise ValueError("it is of other people or another version")
            if not _unchanged(header, people) and header["templates"] != templates_hash(people):
                raise ValueError("the people have changed since it was made")
            candidates, measured = header["candidates"], header["measured"]
            if type(candidates) is not int or not 1 <= candidates <= MAX_CANDIDATES:
                raise ValueError("its number of candidates is none")
            if not isinstance(measured, dict) or header["dimensions"] != people.templates[0].shape[1]:
                raise ValueError("its description does not fit")
            codes = Codes(people.templates[0].shape[1], arrays["pairs"], arrays["codes"])
            if len(codes.codes) != np.count_nonzero(people.person >= 0):
                raise ValueError("it is of another number of people")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as fault:
        log.info("The index %s is not used: %s.", path, fault)
        return None
    return TemplateIndex(codes, candidates, measured)


def templates_hash(people: EnrolledPeople) -> str:
    """The sha256 of all rows; of a million templates of 128 numbers in 0.4 s of CPU."""
    digest = sha256()
    for block in people.templates:
        for start in range(0, len(block), 1 << 13):
            digest.update(np.ascontiguousarray(block[start : start + (1 << 13)]).data)
    return digest.hexdigest()


def _signature(people: EnrolledPeople) -> str:
    """Of which model, and who has a row; without the templates themselves."""
    digest = sha256(f"{people.model.sha256} {len(people.person)} ".encode())
    digest.update(np.packbits(people.person >= 0).data)
    return digest.hexdigest()


def _files(people: EnrolledPeople) -> list[list[int]]:
    """Size and time of the file that each block is mapped from; empty where one is in memory."""
    facts = []
    for block in people.templates:
        name = getattr(block, "filename", None)
        if not isinstance(block, np.memmap) or name is None:
            return []
        try:
            status = os.stat(name)  # noqa: PTH116 - the map's own name, in whatever form
        except OSError:
            return []
        facts.append([status.st_size, status.st_mtime_ns])
    return facts


def _unchanged(header: Mapping[str, Any], people: EnrolledPeople) -> bool:
    """Whether the files are those of then, without reading them."""
    files = _files(people)
    return bool(files) and header["files"] == files and all(header["made"] - at > _RACE for _, at in files)
