"""Pair lists of every format: recognized, read, and their photos found. All commands read them here."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from facerec_cli import registry
from facerec_cli.errors import InputError
from facerec_cli.pairs.find_photos import find_listed
from facerec_cli.pairs.known import explain_folder, explain_known
from facerec_cli.pairs.names import is_there
from facerec_cli.pairs.pair_format import ListHead, PairFormat
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.pairs.text_rows import without_heading
from facerec_cli.sniff import refuse_as_list
from facerec_cli.spelling import american
from facerec_cli.tables.rows import Row
from facerec_cli.tables.text import split_lines
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

_NO_PAIR = "Write a pair a line, such as `a.jpg b.jpg 1`."


def read_pairs(
    path: Path | str,
    format: str | None = None,
    root: Path | str | None = None,
    *,
    images: bool = True,
    templates: bool = True,
) -> PairList:
    """Read a list of pairs and find its photos.

    Args:
        path: The list; for ``ijb`` and ``cfp`` a folder or one of its files.
        format: A key of ``registry.PAIR_FORMATS``; recognized from the content when None.
        root: Folder that the list's paths start from; guessed around the list when None.
        images: False when the photos are not needed, because their embeddings are there.
        templates: False when only pairs of photos can be used.

    Raises:
        InputError: The list is missing, empty or broken (with the line), none of its photos is there, or it
            compares templates and they cannot be used.
        UsageError: ``format`` is unknown.
    """
    path = Path(path)
    format = format and american(format)
    if not is_there(path):
        raise InputError(
            f"There is no pair list {str(path)!r}.",
            hint="Give a list of pairs, a .bin, or the folder of a protocol that is there.",
        )
    format = format or recognize(path)
    reader = open_format(format)
    pairs = replace(reader.read(path), format=format)
    if not templates and pairs.templates is not None:
        raise InputError(f"{path} compares templates.", hint="Give a list of pairs of photos.")
    if not len(pairs):
        raise InputError(f"The pair list {str(path)!r} has no pair in it.", hint=_NO_PAIR)
    _warn_of_repeats(pairs)
    if images and any(isinstance(image, Path) for image in pairs.images):
        photos = find_listed(pairs.images, reader.photo_patterns, reader.folder(path), root)
        pairs = replace(pairs, images=photos)
    return pairs


def open_format(name: str) -> PairFormat:
    """The reader of a format.

    Raises:
        UsageError: There is none of this name.
    """
    reader: PairFormat = registry.load(registry.PAIR_FORMATS, name, "pair format")()
    return reader


def recognize(path: Path) -> str:
    """The format of a pair list, from its content: the first of the registry that says that it is its own.

    Raises:
        InputError: It is none of them; the message shows the first line and names the formats.
    """
    head = ListHead(path)
    for name in registry.PAIR_FORMATS:
        if open_format(name).recognizes(head):
            return name
    raise _unknown(head)


def is_protocol(path: Path) -> bool:
    """Whether a folder is a pair list, such as CFP's ``Protocol``."""
    head = ListHead(path)
    return head.is_folder and any(open_format(name).recognizes(head) for name in registry.PAIR_FORMATS)


def files_of(path: Path) -> list[Path]:
    """The files that reading a list may open, whatever its format: no output may replace one of them."""
    return [path, *(file for name in registry.PAIR_FORMATS for file in open_format(name).other_files(path))]


def _unknown(head: ListHead) -> InputError:
    """What a file or folder is instead of a list that could be read."""
    name = str(head.path)
    if head.is_folder:
        return explain_folder(head.path)
    known = explain_known(head)
    if known is not None:
        return known
    formats = ", ".join(registry.PAIR_FORMATS)
    if not head.text:
        refuse_as_list(head.data, repr(name), what="list of pairs")
        return InputError(
            f"{name!r} is not a list of pairs but a binary file.",
            hint=f"Known formats: {formats}; `facerec verify` takes one list or two photos.",
        )
    if not head.rows:
        return InputError(f"The pair list {name!r} has no pair in it.", hint=_NO_PAIR)
    rows = without_heading(head.rows)
    widths = {len(fields) for _, fields in rows}
    unlabeled = widths == {2} or (widths == {3} and not rows[0][1][0])
    return InputError(
        f"{name!r} is not a list of pairs that is known here; {_odd_line(rows, split_lines(head.text)[0])}.",
        hint=(
            "It names pairs without a label; add a third column with 1 for same and 0 for different."
            if unlabeled
            else f"Name its format with --format ({formats}); in `path path label` lists put "
            "paths that hold spaces in double quotes."
        ),
    )


def _odd_line(rows: list[Row], first: str) -> str:
    """The first line that has a number of columns as few have, in words; where there is none, ``first``."""
    counts = Counter(len(fields) for _, fields in rows).most_common()
    if len(counts) < 2 or 4 * counts[-1][1] > len(rows):
        return f"its first line is {first[:80]!r}"
    number, fields = next(row for row in rows if len(row[1]) == counts[-1][0])
    return f"line {number}, unlike most, is {' '.join(fields)[:80]!r}"


def _warn_of_repeats(pairs: PairList) -> None:
    """Say how often a pair is listed twice, with two labels, or with itself; every line still counts."""
    low, high = np.minimum(pairs.first, pairs.second), np.maximum(pairs.first, pairs.second)
    key = low * (int(high.max()) + 1) + high
    labeled = key * 2 + pairs.same
    key.sort()
    labeled.sort()
    repeated = int(np.count_nonzero(key[1:] == key[:-1]))
    agreeing = int(np.count_nonzero(labeled[1:] == labeled[:-1]))
    if repeated:
        log.warning("%s of %d repeated; each is counted", counted(repeated, "pair"), len(pairs))
    if repeated > agreeing:
        log.warning("listed both as same and as different: %s", counted(repeated - agreeing, "pair"))
    alone = int(np.count_nonzero(low == high))
    if alone:
        log.warning("a photo is compared with itself in %s", counted(alone, "pair"))
