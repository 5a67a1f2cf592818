"""Lines and tables that fit the width of a terminal, without anything cut and with no word broken."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

_LONG_WORD = 20  # from here on a cell's word is a path or a hash, which may be broken


def broken(line: str, room: int, further: str = "") -> str:
    """``line``, broken between words where it is longer than ``room``; ``further`` indents what goes on."""
    if len(line) <= room or line.startswith("    "):
        return line
    begins = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line.strip(),
        room,
        initial_indent=begins,
        subsequent_indent=begins + further,
        break_long_words=False,
        break_on_hyphens=False,
    )


def needed(rows: Sequence[Sequence[object]], columns: Sequence[str]) -> int:
    """Characters that a table takes with no word broken but long ones, such as paths and hashes."""
    cells = [[str(row[place]) for row in [columns, *rows]] for place in range(len(columns))]
    words = [max((len(w) for cell in column for w in cell.split()), default=0) for column in cells]
    return sum(min(word, _LONG_WORD) for word in words) + 3 * len(columns)


def one_below_the_other(
    rows: Sequence[Sequence[object]], columns: Sequence[str], title: str
) -> Iterator[str]:
    """The rows of a table as lines: the first cell, and each other one after its column's name."""
    if title:
        yield title
    for row in rows:
        yield " ".join(f"{columns[0]} {row[0]}".split())
        for name, cell in zip(columns[1:], row[1:], strict=True):
            if str(cell):
                yield f"  {name}: {cell}" if name else f"  {cell}"
