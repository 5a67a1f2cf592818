"""HTML and SVG from the templates beside this file; every value that a template is given is escaped.

jinja2 is imported when the first page is made, so that no command starts slower for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facerec_cli._version import __version__
from facerec_cli.wording import counted, one_in

if TYPE_CHECKING:
    from jinja2 import Environment

_LETTER, _PADDING = 7, 20  # pixels of a table's letter and of a cell's sides, for an estimate of its width
_WIDTHS = (390, 560, 760, 960, 1160)  # of windows, below which a hint to scroll is shown (style.css)
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: its text, whether it is bold, and small text below it."""

    text: str
    small: str = ""
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: its cells, the first of which is its heading, and whether it counts for less."""

    cells: Sequence[str | Cell]
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is scrolled sideways where it does not fit, and says so.

    Attributes:
        head: Titles of the columns.
        rows: Rows of as many cells.
        label: What it shows, for screen readers.
    """

    head: Sequence[str]
    rows: Sequence[Row]
    label: str

    @property
    def hint_below(self) -> int | None:
        """Width in pixels of the windows in which the table is cut off; None where it fits all of them."""
        needed = sum(self._width(column) for column in range(len(self.head)))
        return next((width for width in reversed(_WIDTHS) if needed > width - 60), None)

    def _width(self, column: int) -> int:
        """About how many pixels a column takes: of its title the longest word, of a cell the longest line."""
        cells = [row.cells[column] for row in self.rows]
        texts = [
            text for cell in cells for text in ((cell,) if isinstance(cell, str) else (cell.text, cell.small))
        ]
        lines = [line for text in texts for line in text.splitlines()]
        return _LETTER * max([*map(len, self.head[column].split(" ")), *map(len, lines), 1]) + _PADDING


def render(template: str, **values: Any) -> str:
    """The text of ``templates/<template>`` with ``values``."""
    return "".join(render_parts(template, **values))


def render_parts(template: str, **values: Any) -> Iterator[str]:
    """The same piece by piece; iterators among ``values`` are read as the page grows."""
    return map(_without_surrogates, environment().get_template(template).generate(**values))


@cache
def environment() -> Environment:
    """The templates, with autoescape on; a name that a template was not given is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"percentage": percentage, "one_in": one_in, "counted": counted}
    made.globals["version"] = __version__
    return made


def percentage(share: float | None, digits: int = 2) -> str:
    """``98.93 %`` for 0.9893, ``–`` for None."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def _without_surrogates(text: str) -> str:
    """Show the bytes of a path that are not UTF-8 by their numbers."""
    return _SURROGATE.sub(lambda found: ascii(found[0])[1:-1].replace("\\udc", "\\x"), text)
