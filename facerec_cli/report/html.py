"""HTML as calls: text is escaped because it is not :class:`Markup`, so no name can be forgotten."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli._version import __version__

_STYLE = (Path(__file__).parent / "style.css").read_text("utf-8")
_TAG = re.compile(r"<[^>]*>")
_VOID = frozenset(["img", "br", "meta"])
_LETTER, _PADDING = 7, 20  # pixels of a table's letter and of a cell's sides, for a guess of its width
_WIDTHS = (390, 560, 760, 960, 1160)  # of windows at which a wide table begins to be cut off


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | Iterable[str]


def text(value: str) -> Markup:
    """``value`` as HTML; bytes of a path that are not UTF-8 are shown by their numbers."""
    try:
        value = value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        value = value.encode("utf-8", "backslashreplace").decode()
    return Markup(escape(value))


def tag(name: str, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """``<name attribute="...">children</name>``; children that are not :class:`Markup` are escaped.

    Args:
        name: The element.
        children: Text, markup, or several of them.
        attributes: ``class_`` is ``class``, ``aria_label`` is ``aria-label``; True gives the name alone, None
            and False nothing.
    """
    opening = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        opening.append(label if value is True else f'{label}="{text(str(value))}"')
    if name in _VOID:
        return Markup(f"<{' '.join(opening)}>")
    return Markup(f"<{' '.join(opening)}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Children one after the other."""
    parts = []
    for child in children:
        for one in (child,) if isinstance(child, str) else child:
            parts.append(one if isinstance(one, Markup) else text(one))
    return Markup("".join(parts))


def percentage(share: float | None, digits: int = 2) -> str:
    """``98.93 %`` for 0.9893, ``–`` for None."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def opening(title: str, style: str = "") -> Markup:
    """A page up to its body; ``style`` comes after the common one."""
    return join(
        Markup('<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        tag("title", title),
        tag("style", Markup(_STYLE + style)),
        Markup("</head><body><main>\n"),
    )


def closing(note: str = "") -> Markup:
    """The end of a page, with the version below."""
    return join(tag("footer", f"facerec {__version__}. {note}".strip()), Markup("</main></body></html>\n"))


def page(title: str, *body: Child, style: str = "", note: str = "") -> str:
    """A whole page."""
    return join(opening(title, style), *body, closing(note))


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: its cells, the first of which is its heading, and whether it counts for less."""

    cells: Sequence[str]
    muted: bool = False


def table(head: Sequence[str], rows: Sequence[Row], label: str) -> Markup:
    """A table that is scrolled sideways where it does not fit, and says so; its first column stays.

    Args:
        head: Titles of the columns.
        rows: Rows of as many cells.
        label: What it shows, for screen readers.
    """
    titles = [tag("th", title, scope="col") for title in head]
    lines = []
    for row in rows:
        first, *others = row.cells
        cells = [tag("th", first, scope="row"), *(tag("td", cell) for cell in others)]
        lines.append(tag("tr", cells, class_="muted" if row.muted else None))
    body = tag("table", tag("thead", tag("tr", titles)), tag("tbody", lines))
    needed = sum(_width(head[i], [row.cells[i] for row in rows]) for i in range(len(head)))
    hint = next((width for width in reversed(_WIDTHS) if needed > width - 60), None)
    told = tag(
        "p", f"{len(head)} columns: scroll sideways →", class_=f"hint below-{hint}", aria_hidden="true"
    )
    scroll = tag("div", body, class_="scroll", role="region", aria_label=label, tabindex=0)
    return join(told if hint else "", scroll)


def _width(title: str, cells: Sequence[str]) -> int:
    """About how many pixels a column takes: of a title its longest word, of a cell its longest line."""
    lines = [line for cell in cells for line in _TAG.sub("\n", cell).splitlines()]
    longest = max([*map(len, title.split(" ")), *(len(unescape(line)) for line in lines), 1])
    return _LETTER * longest + _PADDING


def cards(items: Iterable[tuple[str, str, str]]) -> Markup:
    """Figures side by side: (value, what it is, how sure)."""
    parts = (
        tag("div", tag("strong", value), tag("span", label), tag("small", note))
        for value, label, note in items
    )
    return tag("section", parts, class_="cards")


def figure(picture: Markup, *caption: Child) -> Markup:
    """A plot with its caption."""
    return tag("figure", picture, tag("figcaption", *caption))


def jpeg(image: NDArray[np.uint8], quality: int = 82) -> str:
    """A (H, W, 3) uint8 BGR picture as an address that needs no file."""
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return data_address(encoded.tobytes(), "jpeg")


def data_address(data: bytes, kind: str) -> str:
    """A picture of a file's bytes as an address that needs no file."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def shrunk(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The picture with ``side`` pixels on its longer side; a smaller one is enlarged."""
    scale = side / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)
