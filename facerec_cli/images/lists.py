"""Lists of photos: which path each line means."""

# ruff: noqa: PTH118, PTH122
from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from facerec_cli.images.remote import is_url
from facerec_cli.tables.paths import Disk, drop_parts, has_drive, shared_depth, turned, without_drive
from facerec_cli.tables.rows import PATH_WORDS, fields_of, is_comment, is_heading, separator_of, word
from facerec_cli.tables.text import is_nul_separated, list_lines

log = logging.getLogger("facerec")

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_SAMPLE = 40  # lines by which it is known how a list is meant


def read_photo_list(data: bytes, what: str, folders: Sequence[str], suffixes: Collection[str]) -> list[str]:
    """The path that each line of a list means, in order; blank lines, comments and a heading have none.

    A line is a path. Where the lines are not paths as they stand, but one of their columns is (``.lst`` of
    im2rec, a CSV of paths and labels), that column is read, and it is said.

    Args:
        data: The list.
        what: What to call it in messages.
        folders: Where a relative path is looked up; one that is nowhere is put below the first.
        suffixes: What names of photos end in.

    Raises:
        InputError: It is no text, or a quote in a table is not closed.
    """
    look = _Lookup(Disk(), folders, suffixes)
    lines = [line for line in list_lines(data, what) if line.strip()]
    if not is_nul_separated(data):
        lines = [line for line in lines if not is_comment(line.strip()) or look.is_there(line)]
        lines = _as_paths(lines, what, look)
    return [_path_of(line, look) for line in _without_drives(lines, look)]


@dataclass(frozen=True, slots=True)
class _Lookup:
    """Where the names of a list are looked up."""

    disk: Disk
    folders: Sequence[str]
    suffixes: Collection[str]

    def is_there(self, name: str) -> bool:
        """Whether something has this name, for a path of Windows also below one of its folders."""
        if is_url(name.strip()) or self.disk.find(name, self.folders) is not None:
            return True
        bare = _bare(name)
        return has_drive(bare) and any(self.disk.find(tail, self.folders) for tail in without_drive(bare))

    def is_photo_name(self, name: str) -> bool:
        """Whether the name ends as those of photos do."""
        return os.path.splitext(turned(_bare(name)))[1].lower() in self.suffixes


def _as_paths(lines: list[str], what: str, look: _Lookup) -> list[str]:
    """The paths in the lines: the lines themselves, or one of their columns, without a heading."""
    sample = lines[1:] or lines  # the first may be a heading
    sample = sample[:: max(1, len(sample) // _SAMPLE)]
    whole = sum(map(look.is_there, sample))
    if 2 * whole < len(sample):
        table = _path_column(sample, what, look, whole)
        if table is not None:
            return _cells(lines, what, *table, look)
    if lines and word(lines[0]) in PATH_WORDS and not look.is_there(lines[0]):
        log.info("%s: the first line is taken for a heading", what)
        return lines[1:]
    return lines


def _path_column(sample: list[str], what: str, look: _Lookup, whole: int) -> tuple[str, int] | None:
    """Separator and column of the paths in a table; None where the lines are no table of paths.

    Args:
        sample: Lines.
        what: What to call the list in messages.
        look: Where names are looked up.
        whole: How many of the lines name something as they stand.
    """
    best, place = whole, None
    for separator in dict.fromkeys((separator_of(sample), " ")):
        if any(len(_cut(line, separator)) < 2 for line in sample):
            continue
        rows = [fields for _, fields in fields_of(enumerate(sample, 1), separator, what)]
        columns = list(zip(*rows, strict=False))
        hits = [sum(map(look.is_there, cells)) for cells in columns]
        if not any(hits) and not whole and (separator == "\t" or not any(map(look.is_photo_name, sample))):
            hits = [sum(map(look.is_photo_name, cells)) for cells in columns]  # all may be missing
        for column, count in enumerate(hits):
            if count > best and (separator != " " or _are_numbers(columns, column)):
                best, place = count, (separator, column)
    return place


def _are_numbers(columns: Sequence[Sequence[str]], path: int) -> bool:
    """Whether all other columns are numbers: ``3 a.jpg`` is a label and a path, ``John a.jpg`` is a name."""
    return all(_NUMBER.fullmatch(cell) for at, cells in enumerate(columns) if at != path for cell in cells)


def _cells(lines: list[str], what: str, separator: str, column: int, look: _Lookup) -> list[str]:
    """One column of a table; a line that has no such column stays as it is."""
    rows = [fields for _, fields in fields_of(enumerate(lines, 1), separator, what)]
    cells = [
        fields[column] if column < len(fields) else line for line, fields in zip(lines, rows, strict=True)
    ]
    if (
        not look.is_there(cells[0])
        and not look.is_photo_name(cells[0])
        and (len(rows) > 1 or is_heading(rows[0]))
    ):
        cells = cells[1:]
    log.warning("%s is read as a table: its photos are those in column %d", what, column + 1)
    return cells


def _cut(line: str, separator: str) -> list[str]:
    return line.split(None if separator == " " else separator)


def _without_drives(lines: list[str], look: _Lookup) -> list[str]:
    """Paths of Windows from the first folder on that is here."""
    drives = [_bare(line) for line in lines if has_drive(_bare(line))]
    depth = shared_depth(drives, lambda name: look.disk.find(name, look.folders) is not None)
    if not depth:
        return lines
    return [drop_parts(_bare(line), depth) if has_drive(_bare(line)) else line for line in lines]


def _bare(line: str) -> str:
    return line.strip().strip("\"'")


def _path_of(line: str, look: _Lookup) -> str:
    """The path that a line means; as it stands in the first folder where there is no such thing."""
    bare = line.strip()
    if is_url(bare):
        return bare
    place = look.disk.find(line, look.folders)
    if place is not None:
        return place
    quoted = len(bare) > 2 and bare[0] == bare[-1] and bare[0] in "\"'"
    return os.path.join(look.folders[0], line if glob.has_magic(line) else bare[1:-1] if quoted else bare)
