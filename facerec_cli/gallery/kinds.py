"""What a user means by the name of a gallery or of probes."""

# ruff: noqa: PTH112, PTH113, PTH118
from __future__ import annotations

import os
from pathlib import Path

from facerec_cli.errors import UsageError
from facerec_cli.gallery.info import FILE
from facerec_cli.gallery.leftovers import put_back
from facerec_cli.images.remote import is_url
from facerec_cli.registry import embedding_suffixes

_LISTS = (".csv", ".txt", ".tsv", ".lst", ".list")


def gallery_folder(name: str | Path) -> Path | None:
    """The folder of an enrolled gallery, of which ``NAME`` and ``NAME.gallery`` are names; None if none.

    Where there is a folder ``NAME`` of something else too, ``NAME/`` means that one.
    """
    typed = os.fspath(name)
    text = typed.rstrip("/" + os.sep)
    if is_url(text):
        return None
    other = typed != text and os.path.isdir(text) and not text.endswith(".gallery")
    for place in (text,) if other else (text, f"{text}.gallery"):
        if place.endswith(".gallery"):
            put_back(Path(place))
        if os.path.isfile(os.path.join(place, "gallery.toml")) or (
            place.endswith(".gallery") and os.path.isdir(place)
        ):
            return Path(place)
    return None


def is_embeddings(name: str | Path) -> bool:
    """Whether these are stored embeddings: a file by its suffix, a folder or URL by its shards."""
    text = os.fspath(name)
    if text.lower().endswith(embedding_suffixes()):
        return True
    return os.path.isdir(text) and os.path.isfile(os.path.join(text, "_facerec.json"))


def is_list(name: str | Path) -> bool:
    """Whether it is a list or table of photos."""
    text = os.fspath(name)
    return text.lower().endswith(_LISTS) and os.path.isfile(text)


def refuse_inside_gallery(path: str | Path, flag: str = "") -> None:
    """Refuse an output that would lie in a gallery's folder: `remove` could not erase it with its person.

    Args:
        path: Where something is to be written, a file or a folder; nothing has to be there. URLs are fine.
        flag: The flag that named it, for the message; "" where none did.

    Raises:
        UsageError: It is a gallery's folder, or lies in one, also by a symbolic link.
    """
    if is_url(os.fspath(path)):
        return
    place = Path(os.path.realpath(path))
    for folder in (place, *place.parents):
        if os.path.isfile(folder / FILE):
            raise UsageError(
                f"{flag}{' ' if flag else ''}{path} is in the gallery {folder}, which is for facerec alone.",
                hint="Name a place outside of its folder.",
            )
