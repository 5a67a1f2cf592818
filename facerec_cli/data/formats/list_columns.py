"""Which column of a training list is the path and which the person.

=============================== ============================================================================
``path label``, ``label path``  told apart by which of them is there, else by the suffix of photos
``index label... path``         im2rec's ``.lst``; of several labels the first, of ``2 width label ...``
                                (im2rec's header of labels) the first after the header
``flag path label [box]``       insightface's; also ``index path label`` as CVLface and pandas write
with a heading                  the columns whose names say it: ``path``, ``file``, ``image`` and so on;
                                ``label``, ``person``, ``identity``, ``class`` and so on; and ``weight``
=============================== ============================================================================

Columns are separated by tabs, commas, semicolons or blanks, fields may be quoted. A path may hold the
separator: in ``my photo.jpg 3`` the last blank counts.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from facerec_cli.errors import InputError
from facerec_cli.tables.rows import PATH_WORDS, Row, column, fields_of, is_heading, label_column, word

_INTEGER = re.compile(r"[0-9]+")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
MAX_WEIGHT = 1_000_000
WEIGHT_WORDS = ("weight", "weights", "sample_weight")
_SAMPLE = 40  # lines whose paths are looked up on the disk

Line = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Columns:
    """How the lines of a list are cut.

    Attributes:
        separator: A tab, comma, semicolon, or a blank for any number of blanks.
        way: "last" or "first" for two columns around the last or first separator; "all" for a table.
        path: The column of the path; negative from the end.
        label: The column of the label.
        description: What the columns are, in words; empty for ``path label``.
        heading: Whether the first line is one.
        weight: The column of the weight; -1 where there is none.
    """

    separator: str
    way: str
    path: int
    label: int
    description: str = ""
    heading: bool = False
    weight: int = -1


def columns_of(
    lines: Sequence[str], where: str, is_there: Callable[[str], bool], is_photo_name: Callable[[str], bool]
) -> Columns:
    """Find out how a list is meant.

    Args:
        lines: Its first lines, without comments and blank ones.
        where: The list, for messages.
        is_there: Whether there is a file of this name.
        is_photo_name: Whether a name ends as those of photos do.

    Raises:
        InputError: A table of more than two columns whose label cannot be told.
    """
    named = _named(lines, where, is_photo_name)
    if named is not None:
        return named
    body = list(lines[1:] or lines)
    sample = body[:: max(1, len(body) // _SAMPLE)]
    ways = list(_ways(body, where))
    paths = {way: [_path(line, way) for line in sample] for way in ways}
    best = max(ways, key=lambda way: sum(map(is_there, paths[way])))
    if not any(map(is_there, paths[best])):
        best = max(ways, key=lambda way: sum(map(is_photo_name, paths[way])))
    columns = _with_label(best, body, where)
    return _with_heading(columns, lines, is_there, is_photo_name)


def cut(
    lines: Iterable[Line], columns: Columns, where: str, weights: list[float] | None = None
) -> Iterator[tuple[str, str]]:
    """(path, label) of each line; its weight, where there is such a column, goes into ``weights``.

    Raises:
        InputError: A line lacks one of them; the message has its number.
    """
    if columns.way == "all":
        rows: Iterable[Row] = fields_of(lines, columns.separator, where)
        for number, fields in rows:
            most = max(columns.path, columns.label)
            pair = (fields[columns.path], fields[columns.label]) if most < len(fields) else ("", "")
            if not all(pair):
                raise _broken(number, where, columns.separator.join(fields), columns)
            if weights is not None and columns.weight >= 0:
                weights.append(_weight(fields, columns.weight, number, where))
            yield pair
        return
    sign = None if columns.separator == " " else columns.separator
    last, path, label = columns.way == "last", columns.path, columns.label
    for number, line in lines:
        if '"' in line:
            both = _two(line, columns.separator, columns.way)
        else:  # the same, for lists of millions of lines
            both = line.rsplit(sign, 1) if last else line.split(sign, 1)
            both = [field.strip() for field in both]
        if len(both) != 2 or not both[0] or not both[1]:
            raise _broken(number, where, line, columns)
        yield both[path], both[label]


def _weight(fields: Sequence[str], at: int, number: int, where: str) -> float:
    """The weight of a line; 1 where its field is empty, but a line that ends before it was cut short."""
    if at >= len(fields):
        raise InputError(
            f"Line {number} of {where} has no weight, though the list has a column of them.",
            hint="Give every line one; with 1 a photo is shown as often as others.",
        )
    text = fields[at]
    try:
        weight = float(text or 1)
    except ValueError:
        weight = -1.0
    if not 0 <= weight <= MAX_WEIGHT:
        raise InputError(
            f"Line {number} of {where} has the weight {text!r}.",
            hint=f"A weight is a number from 0 (never shown) to {MAX_WEIGHT:,}.",
        )
    return weight


def _named(lines: Sequence[str], where: str, is_photo_name: Callable[[str], bool]) -> Columns | None:
    """The columns that a heading names."""
    for separator in "\t,; ":
        if separator not in lines[0]:
            continue
        heading = next(iter(_fields(lines[:1], separator, where)), [])
        if any(map(is_photo_name, heading)) or (
            separator == " " and not is_heading([cell for cell in heading if word(cell) not in WEIGHT_WORDS])
        ):
            continue
        path = column(heading, PATH_WORDS)
        label = label_column(heading, besides=path)
        if path is None or (label is None and len(heading) != 2):
            continue
        if label is None:
            label = 1 - path
        order = [heading[at] for at in sorted((path, label))]
        way = "all" if len(heading) > 2 else "last" if path == 0 else "first"
        weight = next((at for at, cell in enumerate(heading) if word(cell) in WEIGHT_WORDS), -1)
        description = (
            ""
            if path == 0 and len(heading) == 2 + (weight >= 0)
            else f"a table with the columns {' and '.join(order)}"
        )
        return Columns(separator, way, path, label, description, True, weight)
    return None


def _ways(lines: Sequence[str], where: str) -> Iterator[Columns]:
    """The ways in which the lines can be cut, the likeliest first."""
    for separator in [sign for sign in "\t,;" if all(sign in line for line in lines)] + [" "]:
        yield Columns(separator, "last", 0, 1)
        if all(len(_two(line, separator, "last")) == 2 for line in lines):
            width = _width(_fields(lines, separator, where))
            for path in range(width) if width > 2 else ():
                yield Columns(separator, "all", path, -1)
            yield Columns(separator, "first", 1, 0, "label and path")
            yield Columns(separator, "first", 0, 1)


def _fields(lines: Sequence[str], separator: str, where: str) -> list[list[str]]:
    """The fields of some lines; none where quotes show that these are not the fields."""
    try:
        return [fields for _, fields in fields_of(enumerate(lines, 1), separator, where)]
    except InputError:
        return []


def _width(rows: Sequence[Sequence[str]]) -> int:
    """How many fields nearly all rows have; 0 where they differ."""
    width, count = max(Counter(map(len, rows)).items(), key=lambda item: item[1], default=(0, 0))
    return width if 5 * count >= 4 * len(rows) else 0


def _path(line: str, way: Columns) -> str:
    fields = (
        next(fields_of([(1, line)], way.separator, ""))[1]
        if way.way == "all"
        else _two(line, way.separator, way.way)
    )
    return fields[way.path] if way.path < len(fields) else ""


def _two(line: str, separator: str, way: str) -> list[str]:
    """A line's two columns, without blanks and quotes around them; fewer where there are fewer."""
    if '"' in line and separator != " ":
        try:
            fields = next(csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True))
        except csv.Error:
            fields = []
        if len(fields) == 2:
            return [field.strip() for field in fields]
    sign = None if separator == " " else separator
    fields = line.strip().rsplit(sign, 1) if way == "last" else line.strip().split(sign, 1)
    return [_bare(field) for field in fields]


def _bare(field: str) -> str:
    field = field.strip()
    return field[1:-1] if len(field) > 1 and field[0] == field[-1] == '"' else field.strip('"')


def _with_label(way: Columns, lines: Sequence[str], where: str) -> Columns:
    """The way with the column of the label, where there are more than two."""
    if way.way != "all":
        return way
    rows = [fields for _, fields in fields_of(enumerate(lines, 1), way.separator, where)]
    width, path = _width(rows), way.path
    rows = [fields for fields in rows if len(fields) == width]
    if 0 < path < width - 1:
        rest = f", and {width - path - 2} columns that are not read" if width > path + 2 else ""
        return _all(way, path + 1, "a number, path and label" + rest)
    if path == width - 1 and all(_INTEGER.fullmatch(fields[0]) for fields in rows):
        header = _label_header(rows)
        if header:
            return _all(
                way, 1 + header, f"index, labels and path; the first label after their header of {header}"
            )
        several = ", the first of several labels" if width > 3 else ", label"
        return _all(way, 1, f"index{several} and path, as im2rec writes them")
    others = [at for at in range(width) if at != path]
    names = [at for at in others if not all(_NUMBER.fullmatch(fields[at]) for fields in rows)]
    if path == 0 and names and way.separator == " ":  # a.jpg Ann Smith
        return Columns(" ", "first", 0, 1)
    if len(names) == 1:
        return _all(way, names[0], "a path, a name and numbers that are not read")
    if path == 0 and not names and width >= 6:  # a box or points
        return _all(way, 1, f"path and label, and {width - 2} columns that are not read")
    raise InputError(
        f"{where} has {width} columns, and which of them is the person cannot be told: "
        f"{way.separator.join(rows[0])[:80]!r}",
        hint="Put a heading above with the words path and label over these columns, or leave these two only.",
    )


def _all(way: Columns, label: int, description: str) -> Columns:
    return Columns(way.separator, "all", way.path, label, description)


def _label_header(rows: Sequence[Sequence[str]]) -> int:
    """How many columns the header of im2rec's labels takes (``2 width label ...``); 0 where there is none."""
    for fields in rows:
        labels = fields[1:-1]
        try:
            header, width = (int(float(label)) for label in labels[:2])
        except (ValueError, OverflowError):
            return 0
        fits = header >= 2 and width >= 1 and len(labels) >= header + width
        if not fits or (len(labels) - header) % width or fields[1:3] != rows[0][1:3]:
            return 0
    return int(float(rows[0][1])) if len(rows) > 1 else 0


def _with_heading(
    columns: Columns,
    lines: Sequence[str],
    is_there: Callable[[str], bool],
    is_photo_name: Callable[[str], bool],
) -> Columns:
    """The columns, and whether the first line is a heading: its path is none, its label unlike the others."""
    if len(lines) < 2:
        return columns
    try:
        (path, label), *others = cut(enumerate(lines, 1), columns, "")
    except InputError:
        return columns  # the line is told of when all are read
    if is_there(path) or is_photo_name(path):
        return columns
    numbers = not _NUMBER.fullmatch(label) and all(_NUMBER.fullmatch(other) for _, other in others)
    photos = all(is_photo_name(other) for other, _ in others)
    if numbers or photos or is_heading((path, label)):
        return Columns(columns.separator, columns.way, columns.path, columns.label, columns.description, True)
    return columns


def _broken(number: int, where: str, line: str, columns: Columns) -> InputError:
    expected = columns.description or "`path label`"
    return InputError(
        f"Line {number} of {where} is not {expected}: {line.strip()[:80]!r}",
        hint="Each line holds a path and, last, a label, separated by a tab, comma, semicolon or blank.",
    )
