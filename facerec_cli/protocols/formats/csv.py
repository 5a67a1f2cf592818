"""Two lists of photos and people: the gallery and the probes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facerec_cli.errors import InputError
from facerec_cli.pairs.find_photos import find_listed
from facerec_cli.pairs.names import has_suffix
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.pairs.text_rows import broken
from facerec_cli.protocols.people import DISTRACTOR, NOBODY, number_people
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.protocols.protocol_format import ProtocolFormat, folder_of
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


class PeopleLists(ProtocolFormat):
    """Lines ``path,person`` with any separator, with or without a heading, in two lists.

    A probe without a person, or of one who is called ``unknown``, shows nobody of the gallery. A person of
    the gallery who is called ``distractor`` is nobody's mate, and each such photo is a person of its own.
    """

    description = "two lists, the gallery and the probes, with lines `path,person`"
    inputs = 2

    def recognizes(self, heads: Sequence[ListHead]) -> bool:
        """Whether both are tables in which a column names photos."""
        return all(bool(head.rows) and _has_photos(head.rows) for head in heads)

    def read(self, paths: Sequence[Path]) -> SearchProtocol:
        """Read both. Photos of the gallery come first."""
        gallery, probes = (_read(path) for path in paths)
        unnamed = next((line for line, _, person in gallery if person.lower() in NOBODY), None)
        if unnamed is not None:
            raise InputError(
                f"{str(paths[0])!r}, line {unnamed}: the gallery does not say who is on this photo.",
                hint="Write a person beside each photo, or `distractor` for one who is nobody's mate.",
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

    def find(
        self, protocol: SearchProtocol, paths: Sequence[Path], root: Path | str | None
    ) -> tuple[Path | bytes, ...]:
        """Find the photos of each list around that list."""
        count = protocol.trials[0].gallery.size
        parts = protocol.images[:count], protocol.images[count:]
        found = (
            find_listed(part, self.photo_patterns, folder_of(path), root)
            for part, path in zip(parts, paths, strict=True)
        )
        return tuple(image for part in found for image in part)


def _read(path: Path) -> list[tuple[int, str, str]]:
    """(line, photo, person) of a list; the person is "" where there is none."""
    full = list(full_lines(split_lines(read_text(path, "list"))))
    separator = separator_of([line for _, line in full])
    if separator == " " and not all(has_suffix(line) for _, line in full):
        # A person may be left out together with the comma, in some of the lines.
        separator = next((sign for sign in "\t,;" if any(sign in line for _, line in full)), " ")
    rows = list(fields_of(full, separator, str(path)))
    if not rows:
        raise InputError(f"The list {str(path)!r} is empty.", hint="Write a photo and a person a line.")
    at, who, start = _columns(path, rows)
    people: list[tuple[int, str, str]] = []
    for line, fields in rows[start:]:
        if at >= len(fields) or not fields[at] or len(fields) > max(len(rows[0][1]), len(rows[-1][1])):
            raise broken(path, line, fields, "`path,person`")
        people.append((line, fields[at], fields[who] if who is not None and who < len(fields) else ""))
    return people


def _columns(path: Path, rows: Sequence[Row]) -> tuple[int, int | None, int]:
    """The column of the photos, that of the people or None where there is none, and the first row to read."""
    line, first = rows[0]
    if is_heading(first) or (column(first, PATH_WORDS) is not None and not any(map(has_suffix, first))):
        at = column(first, PATH_WORDS)
        if at is None:
            raise broken(path, line, first, "a heading with a column `path`")
        return at, label_column(first, at), 1
    width = max(len(fields) for _, fields in rows)
    photos = [at for at in range(width) if _names_photos(rows, at)]
    if width > 2 or len(photos) != 1:
        line, first = next(((n, f) for n, f in rows if not any(map(has_suffix, f))), (line, first))
        raise broken(path, line, first, "`path,person`")
    at = photos[0]
    return at, (1 - at if width == 2 else None), 0


def _names_photos(rows: Sequence[Row], at: int) -> bool:
    return all(at < len(fields) and has_suffix(fields[at]) for _, fields in rows)


def _has_photos(rows: Sequence[Row]) -> bool:
    """Whether a column of these rows names photos."""
    body = rows[1:] or rows
    return any(_names_photos(body, at) for at in range(len(body[0][1])))
