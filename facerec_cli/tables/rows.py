"""The rows and columns of a list or table: separators, quotes, comments, headings."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

from facerec_cli.errors import InputError

Row = tuple[int, list[str]]
"""Number of the line, from 1, and its fields."""

# fmt: off
PATH_WORDS = frozenset([
    "path", "paths", "file", "files", "filename", "file_name", "filepath", "file_path", "image", "images",
    "image_path", "image_name", "imagepath", "img", "img_path", "img_name", "photo", "photos", "photo_path",
])
LABEL_WORDS = frozenset([
    "label", "labels", "class", "class_id", "person", "person_id", "people", "identity", "identity_id", "id",
    "subject", "subject_id", "target", "name", "person_name",
])
# fmt: on
"""What people write above the columns; see :func:`word`."""
_AMBIGUOUS = ("name", "id")  # the person's or the row's: the label only where no column says it better

_COMMENT = re.compile(r"#(\s|$)")
_SAMPLE = 200  # lines by which a separator is known


def is_comment(line: str) -> bool:
    """Whether a line is a remark: ``# `` and a text, or ``#`` alone. ``#1.jpg`` is a name."""
    return line.startswith("#") and bool(_COMMENT.match(line))


def full_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """(number from 1, line without blanks around it) of the lines that are neither blank nor a comment."""
    for number, line in enumerate(lines, 1):
        bare = line.strip(" \r\n")
        if bare.strip() and not is_comment(bare):
            yield number, bare


def separator_of(lines: Sequence[str], separators: str = "\t,;") -> str:
    """The one separator that all of these lines have; a blank where there is none."""
    return next((sign for sign in separators if lines and all(sign in line for line in lines)), " ")


def fields_of(lines: Iterable[tuple[int, str]], separator: str, where: str) -> Iterator[Row]:
    """Cut lines into fields.

    Args:
        lines: (number, line), as :func:`full_lines` gives them.
        separator: What stands between fields; a blank stands for any number of blanks and tabs. Fields may be
            quoted, as in CSV.
        where: The file, for messages.

    Raises:
        InputError: A quote is not closed, or a field is longer than any name; with the number of the line.
    """
    pending: list[int] = []  # lines that the reader has taken since the last row

    def cleaned() -> Iterator[str]:
        for number, line in lines:
            pending.append(number)
            yield (
                line.strip("\t")
                if separator == "\t"
                else line.replace("\t", " ")
                if separator == " "
                else line
            )

    reader = csv.reader(cleaned(), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for fields in reader:
            if len(pending) > 1:
                raise csv.Error("a quote is open at the end of the line")
            yield pending.pop(), [field.strip() for field in fields]
    except csv.Error as error:
        if "field larger" in str(error):
            raise InputError(
                f"{where!r}, line {pending[0]}: a field is longer than {csv.field_size_limit():,} signs.",
                hint="Is this the right file? A list holds a path a line.",
            ) from error
        raise InputError(
            f"{where!r}, line {pending[0]}: a quote is not closed.",
            hint='Close it, or write "" for a quote inside quotes.',
        ) from error


def read_rows(lines: Iterable[str], where: str) -> list[Row]:
    """The rows of a table: all lines but blank ones and comments, cut at the one separator that all have.

    Args:
        lines: The text's lines.
        where: The file, for messages.

    Raises:
        InputError: As :func:`fields_of`.
    """
    full = list(full_lines(lines))
    separator = separator_of([line for _, line in full[:_SAMPLE]])
    return list(fields_of(full, separator, where))


def word(field: str) -> str:
    """A heading's cell as it is compared: ``Image Path`` is ``image_path``."""
    return re.sub(r"[\s\-]+", "_", field.strip().strip("\"'").lower())


def column(heading: Sequence[str], words: frozenset[str]) -> int | None:
    """The first column of a heading that has one of these words."""
    return next((at for at, cell in enumerate(heading) if word(cell) in words), None)


def label_column(heading: Sequence[str], besides: int | None = None) -> int | None:
    """The column of a heading that says who is on the photo: ``label`` in ``id,path,label``."""
    named = [
        (_AMBIGUOUS.index(cell) + 1 if cell in _AMBIGUOUS else 0, at)
        for at, cell in enumerate(map(word, heading))
        if at != besides and cell in LABEL_WORDS
    ]
    return min(named)[1] if named else None


def is_heading(fields: Sequence[str]) -> bool:
    """Whether each cell is empty or one of the words that people write above columns of paths and labels."""
    cells = [word(field) for field in fields]
    return any(cells) and all(not cell or cell in PATH_WORDS or cell in LABEL_WORDS for cell in cells)
