"""Pair lists in text files: LFW's, ``path path label``, and CALFW/CPLFW's."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facerec_cli.errors import InputError
from facerec_cli.images.suffixes import IMAGE_SUFFIXES
from facerec_cli.pairs.known import refuse_known
from facerec_cli.pairs.names import has_suffix
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.registry import PAIR_FORMATS
from facerec_cli.tables.rows import Row, read_rows, word
from facerec_cli.tables.text import read_text, split_lines
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

#: What people write for the two labels.
LABELS = {
    **dict.fromkeys(("1", "1.0", "same", "true", "yes", "genuine", "match", "positive"), True),
    **dict.fromkeys(("0", "0.0", "-1", "different", "diff", "false", "no", "impostor", "mismatch"), False),
    **dict.fromkeys(("negative", "non-match"), False),
}

_SUFFIXES = (
    ".jpg",
    ".png",
    ".jpeg",
    ".JPG",
    *(one for one in IMAGE_SUFFIXES if one not in (".jpg", ".png", ".jpeg")),
)

#: ``name/name_0001.jpg`` as in LFW, then flat folders and other suffixes.
_LFW_PATTERNS = tuple(place + suffix for suffix in _SUFFIXES for place in ("{stem}", "{name}"))
_TRAINING = "If it lists photos and people, as for training, draw pairs: facerec data pairs LIST -o pairs.txt"
_LABEL_WORDS = ("label", "same", "is_same", "issame", "match", "target", "genuine", "y")
_INTEGER = re.compile(r"[0-9]+")
_NUMBER = re.compile(r"[0-9]{1,18}")  # fits an array


def recognize_text(path: Path, head: str, *, whole: bool) -> str:
    """The format of a text list from its first lines; see ``pairs.recognize``."""
    lines = split_lines(head)
    if not whole:
        lines = lines[:-1]
    if head.lstrip("\ufeff \r\n")[:1] == "{":
        refuse_known(path, head, [])
    rows = _tidy(read_rows(lines[:200], str(path)))
    if not rows:
        raise InputError(
            f"The pair list {str(path)!r} has no pair in it.",
            hint="Write a pair a line, such as `a.jpg b.jpg 1`.",
        )
    every = [fields for _, fields in rows]
    if _is_lfw_header(rows[0][1]) or _is_lfw_heading(rows):
        del rows[0]
    body = [fields for _, fields in rows]
    shapes = {_shape(fields) for fields in body}
    if body and shapes <= {"nii"}:
        return "lfw" if not all(_INTEGER.fullmatch(f) for f in body[0]) else "ijb"
    if body and shapes <= {"nii", "nini"}:
        return "lfw"
    if shapes == {"iii"}:
        return "ijb"
    width = {len(fields) for fields in body}
    if width == {3} and any(_label(fields[2]) is not None for fields in body[:2]):
        return "labeled"
    if _labelled_columns(body) is not None:
        return "labeled"
    refuse_known(path, head, every)
    if width == {2} and all(_INTEGER.fullmatch(fields[1]) for fields in body):
        return "calfw"
    unlabelled = width == {2} or (width == {3} and not body[0][0])
    raise InputError(
        f"{str(path)!r} is not a list of pairs that is known here; {_odd_line(rows, lines[0])}.",
        hint=(
            "It names pairs without a label; add a third column with 1 for same and 0 for different."
            if unlabelled
            else f"Name its format with --format ({', '.join(PAIR_FORMATS)}); in `path path label` lists put "
            "paths that hold spaces in double quotes."
        ),
    )


def _odd_line(rows: Sequence[Row], first: str) -> str:
    """The first line that has a number of columns as few have, in words; where there is none, ``first``."""
    counts = Counter(len(fields) for _, fields in rows).most_common()
    if len(counts) < 2 or 4 * counts[-1][1] > len(rows):
        return f"its first line is {first[:80]!r}"
    number, fields = next(row for row in rows if len(row[1]) == counts[-1][0])
    return f"line {number}, unlike most, is {' '.join(fields)[:80]!r}"


def read_lfw(path: Path) -> tuple[PairList, Sequence[str]]:
    """``name n1 n2`` and ``name1 n1 name2 n2``, with the folds that a ``sets pairs`` heading announces."""
    rows = _read(path)
    header: list[int] = []
    if rows and _is_lfw_header(rows[0][1]):
        line, fields = rows.pop(0)
        if not all(_NUMBER.fullmatch(field) for field in fields):
            raise _broken(path, line, fields, "a heading `sets pairs`")
        header = [int(field) for field in fields]
    elif _is_lfw_heading(rows):
        del rows[0]
    sides: list[str] = []
    same: list[bool] = []
    for line, fields in rows:
        if _shape(fields) == "nini":
            pair = [(fields[0], fields[1]), (fields[2], fields[3])]
        elif len(fields) == 3:
            pair = [(fields[0], fields[1]), (fields[0], fields[2])]
        else:
            pair = []
        if not pair or not all(_NUMBER.fullmatch(number) for _, number in pair):
            raise _broken(path, line, fields, "`name n1 n2` or `name1 n1 name2 n2`")
        sides += [f"{name}/{name}_{int(number):04d}" for name, number in pair]
        same.append(len(fields) == 3)
    announced = 2 * math.prod(header) if header else len(same)
    if len(same) != announced:
        log.warning(
            "The heading of %s announces %s, the list has %s: is it cut short? Folds are made anew.",
            path,
            counted(announced, "pair"),
            counted(len(same), "pair"),
        )
    fold = None
    if len(header) == 2 and len(same) == announced and header[0] > 1:
        fold = np.arange(len(same)) // (2 * header[1])
    return PairList.from_names(
        sides, same, fold=fold, person=lambda name: name.rpartition("/")[0]
    ), _LFW_PATTERNS


def read_labelled(path: Path) -> tuple[PairList, Sequence[str]]:
    """``path path label``, or a table with these three columns, with or without a heading.

    A first line without paths, or whose label is not like the others, is a heading.
    """
    sides: list[str] = []
    same: list[bool] = []
    rows = _read(path)
    first = [fields for _, fields in rows[:200]]
    found = _labelled_columns(first)
    a, b, at = found or (0, 1, 2)
    if rows and (found is not None or _is_labelled_heading(first)):
        top = first[0] if len(first[0]) == len(first[-1]) else []
        is_heading = found is None or not top or _label(top[at]) is None or not has_suffix(top[a])
        del rows[: int(is_heading)]
    for line, fields in rows:
        label = _label(fields[at]) if len(fields) == (3 if found is None else len(first[-1])) else None
        if label is None:
            raise _broken(path, line, fields, "`path path label` with a label such as 0, 1, same, different")
        sides += [fields[a], fields[b]]
        same.append(label)
    return PairList.from_names(sides, same), ("{stem}",)


def read_calfw(path: Path) -> tuple[PairList, Sequence[str]]:
    """Two lines ``file label`` per pair; 0 is different, any other number same. Folds are ten equal runs."""
    rows = _read(path)
    if len(rows) % 2:
        raise InputError(
            f"{str(path)!r} has {len(rows)} lines; a pair takes two, so one is missing.", hint=_TRAINING
        )
    labels = []
    for line, fields in rows:
        if len(fields) != 2 or not _NUMBER.fullmatch(fields[1]):
            raise _broken(path, line, fields, "`file label`")
        labels.append(int(fields[1]))
    a, b = np.array(labels[0::2], np.int64), np.array(labels[1::2], np.int64)
    if ((a != 0) != (b != 0)).any():
        at = int(np.argmax((a != 0) != (b != 0)))
        raise InputError(
            f"{str(path)!r}, line {rows[2 * at][0]}: the two lines of a pair differ in label.",
            hint=_TRAINING,
        )
    return PairList.from_names((fields[0] for _, fields in rows), a != 0), ("{stem}",)


def _label(text: str) -> bool | None:
    """What a label says; numbers may be written as 1.000000."""
    word = text.strip().strip("\"'").lower()
    return LABELS.get(re.sub(r"^(-?[01])\.0*$", r"\1", word))


def _read(path: Path) -> list[Row]:
    """The rows of a list; one that is not UTF-8 is told of."""
    text = read_text(path, "pair list")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # Lists that are written here keep the bytes of names that are not UTF-8.
        log.warning(
            "%s is not UTF-8 text (byte %d); its names are taken as the bytes that they are. "
            "Save it as UTF-8 if its photos are not found.",
            path,
            len(text[: error.start].encode()),
        )
    return _tidy(read_rows(split_lines(text), str(path)))


def _tidy(rows: list[Row]) -> list[Row]:
    """The rows without empty fields at their end, as tables with shorter rows have them."""
    for _, fields in rows:
        while len(fields) > 1 and not fields[-1]:
            del fields[-1]
    return rows


def _shape(fields: list[str]) -> str:
    """Which fields are whole numbers: "nii" is a name and two of them. A first field may be one too."""
    kinds = "".join("i" if _INTEGER.fullmatch(field) else "n" for field in fields)
    return {"iiii": "nini", "niii": "nini", "iini": "nini"}.get(kinds, kinds)


def _is_lfw_header(fields: list[str]) -> bool:
    return len(fields) in (1, 2) and all(_INTEGER.fullmatch(field) for field in fields)


def _is_lfw_heading(rows: Sequence[Row]) -> bool:
    """Words above numbered pairs, as in ``name,imagenum1,imagenum2``."""
    shapes = {_shape(fields) for _, fields in rows[1:200]}
    return bool(shapes) and shapes <= {"nii", "nini"} and _shape(rows[0][1]) in ("nnn", "nnnn")


def _labelled_columns(rows: Sequence[list[str]]) -> tuple[int, int, int] | None:
    """Which columns are the two paths and the label, where these are not the three that there are, in order.

    Two columns must name photos by their suffixes; if several could be the label, the heading has to name it.
    """
    body = rows[1:] or rows
    width = len(body[0]) if body else 0
    if width < 3 or any(len(fields) != width for fields in body):
        return None
    paths = [at for at in range(width) if all(has_suffix(fields[at]) for fields in body)]
    labels = [at for at in range(width) if all(_label(fields[at]) is not None for fields in body)]
    if len(labels) > 1:
        labels = [at for at in labels if at < len(rows[0]) and word(rows[0][at]) in _LABEL_WORDS]
    if len(paths) != 2 or len(labels) != 1 or (width == 3 and labels == [2]):
        return None
    return paths[0], paths[1], labels[0]


def _is_labelled_heading(rows: Sequence[list[str]]) -> bool:
    """``first,second,label``; and ``first,second,same`` above numbers, though "same" is a label elsewhere."""
    first = rows[0]
    if len(first) != 3 or any(Path(field).suffix for field in first[:2]):
        return False
    if first[2].lower() not in LABELS:
        return True
    words = [len(fields) == 3 and fields[2].isalpha() for fields in rows]
    return words[0] and len(rows) > 1 and not any(words[1:])


def _broken(path: Path, line: int, fields: list[str], wanted: str) -> InputError:
    return InputError(
        f"{str(path)!r}, line {line}: {' '.join(fields)[:80]!r} is not {wanted}.",
        hint="Put paths that hold spaces in double quotes, or separate the columns by tabs or commas.",
    )
