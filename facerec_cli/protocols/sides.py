"""A gallery and probes that are named one by one: each a folder of people, or a list of photos and people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facerec_cli.errors import InputError
from facerec_cli.images import find_images
from facerec_cli.pairs.find_photos import find_listed
from facerec_cli.pairs.names import has_suffix, is_folder
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.pairs.text_rows import broken
from facerec_cli.protocols.people import DISTRACTOR, NOBODY, number_people
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.tables.rows import (
    PATH_WORDS,
    Row,
    column,
    fields_of,
    full_lines,
    is_heading,
    label_column,
    separator_of,
)
from facerec_cli.tables.text import read_text, split_lines


def read_sides(paths: Sequence[Path]) -> SearchProtocol:
    """Read a gallery and probes; photos of the gallery come first.

    Raises:
        InputError: A list is broken, a folder has no photo, or the gallery does not say who is on a photo.
    """
    gallery, probes = (_of_folder(path) if is_folder(path) else _of_list(path) for path in paths)
    unnamed = next((place for place, _, person in gallery if person.lower() in NOBODY), None)
    if unnamed is not None:
        raise InputError(
            f"{unnamed}: the gallery does not say who is on this photo.",
            hint="Name a person for each photo, by a folder or in the list; `distractor` for one who is "
            "nobody's mate.",
        )
    enrolled = [None if person.lower() in DISTRACTOR else person for _, _, person in gallery]
    wanted = [None if person.lower() in NOBODY else person for _, _, person in probes]
    people, identity = number_people([*enrolled, *wanted])
    names = tuple(name for _, name, _ in (*gallery, *probes))
    items = np.arange(len(names), dtype=np.int64)
    return SearchProtocol(
        images=tuple(Path(name) for name in names),
        names=names,
        people=people,
        identity=identity,
        trials=(SearchTrial("search", items[: len(gallery)], items[len(gallery) :]),),
    )


def find_sides(
    protocol: SearchProtocol, paths: Sequence[Path], root: Path | str | None
) -> tuple[Path | bytes, ...]:
    """Find the photos of each list around that list; those of folders were found when they were read."""
    count = protocol.trials[0].gallery.size
    found: list[Path | bytes] = []
    for images, path in zip((protocol.images[:count], protocol.images[count:]), paths, strict=True):
        found += images if is_folder(path) else find_listed(images, ("{stem}",), path.parent, root)
    return tuple(found)


def read_probes(path: Path) -> tuple[tuple[Path, ...], tuple[str, ...], tuple[str, ...]]:
    """The probes of a list or a folder alone: N photos, their names, and who is on each, "" of nobody.

    Raises:
        InputError: It is broken, or has no probe.
    """
    photos = _of_folder(path) if is_folder(path) else _of_list(path)
    if not photos:
        raise InputError(f"{str(path)!r} has no probe.", hint="Write a photo and a person a line.")
    names = tuple(name for _, name, _ in photos)
    images = tuple(map(Path, names))
    if not is_folder(path):
        found = find_listed(images, ("{stem}",), path.parent, None)
        images = tuple(image for image in found if isinstance(image, Path))
    people = tuple("" if person.lower() in NOBODY else person for _, _, person in photos)
    return images, names, people


def is_list_of_photos(head: ListHead) -> bool:
    """Whether a file is a table in which a column names photos."""
    if head.is_folder or has_suffix(str(head.path)):
        return False
    rows = _rows(head.lines, head.path)
    if len(rows) == 1 and is_heading(rows[0][1]) and column(rows[0][1], PATH_WORDS) is not None:
        return True  # of no photo, which is said when it is read
    body = rows[1:] or rows
    return bool(body) and any(_names_photos(body, at) for at in range(len(body[0][1])))


_Labeled = tuple[str, str, str]
"""Where it says so, for messages; a photo; who is on it, "" where nobody says."""


def _of_folder(folder: Path) -> list[_Labeled]:
    """Each photo below a folder, and the subfolder of the first level that it is in."""
    photos = [Path(path) for path in find_images([folder])]
    if not photos:
        raise InputError(f"There is no photo in {str(folder)!r}.", hint="Name a folder of people's photos.")
    parts = [photo.relative_to(folder).parts for photo in photos]
    return [
        (repr(str(photo)), str(photo), part[0] if len(part) > 1 else "")
        for photo, part in zip(photos, parts, strict=True)
    ]


def _of_list(path: Path) -> list[_Labeled]:
    """The photos of a list."""
    rows = _rows(split_lines(read_text(path, "list")), path)
    if not rows:
        raise InputError(f"The list {str(path)!r} is empty.", hint="Write a photo and a person a line.")
    at, who, start = _columns(path, rows)
    width = max(len(rows[0][1]), len(rows[-1][1]))
    labeled: list[_Labeled] = []
    for line, fields in rows[start:]:
        if at >= len(fields) or not fields[at] or len(fields) > width:
            raise broken(path, line, fields, "`path,person`")
        person = fields[who] if who is not None and who < len(fields) else ""
        labeled.append((f"{str(path)!r}, line {line}", fields[at], person))
    return labeled


def _rows(lines: Sequence[str], path: Path) -> list[Row]:
    """The rows of a list; some of the lines may have no person, and then no separator either."""
    full = list(full_lines(lines))
    separator = separator_of([line for _, line in full])
    if separator == " " and not all(has_suffix(line) for _, line in full):
        separator = next((sign for sign in "\t,;" if any(sign in line for _, line in full)), " ")
    return list(fields_of(full, separator, str(path)))


def _columns(path: Path, rows: Sequence[Row]) -> tuple[int, int | None, int]:
    """The column of the photos, that of the people or None where there is none, and the first row to read."""
    line, first = rows[0]
    at = column(first, PATH_WORDS)
    if is_heading(first) or (at is not None and not any(map(has_suffix, first))):
        who = None if at is None else label_column(first, at)
        if who is None and at is not None and len(first) == 2:
            who = 1 - at  # whatever it is called
        if at is None or (who is None and len(first) > 1):
            raise broken(path, line, first, "a heading with columns `path` and `person`")
        return at, who, 1
    width = max(len(fields) for _, fields in rows)
    photos = [at for at in range(width) if _names_photos(rows, at)]
    if width > 2 or len(photos) != 1:
        line, first = next(((n, f) for n, f in rows if not any(map(has_suffix, f))), (line, first))
        raise broken(path, line, first, "`path,person`")
    return photos[0], (1 - photos[0] if width == 2 else None), 0


def _names_photos(rows: Sequence[Row], at: int) -> bool:
    return all(at < len(fields) and has_suffix(fields[at]) for _, fields in rows)
