"""One photo under two names: what a list calls it, and what a file of embeddings or a table calls it."""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from facerec_cli.errors import InputError
from facerec_cli.images import IMAGE_SUFFIXES
from facerec_cli.pairs.numbered import NumberedPhotos, numbered
from facerec_cli.tables.paths import form

Key = tuple[str, ...]


# A name that no file system takes (longer than 255 bytes) names nothing; pathlib's own raise for it.
is_there, is_file, is_folder = os.path.exists, os.path.isfile, os.path.isdir

# Plain strings and not pathlib: lists have hundreds of thousands of names.


def path_parts(path: str) -> Key:
    """The parts of a path in one Unicode form; where it starts (``/``, ``.``, ``..``) is left out."""
    plain = form(path).replace("\\", "/")
    return tuple(part for part in plain.split("/") if part not in ("", ".", ".."))


def has_suffix(path: str) -> bool:
    """Whether a path ends as image files do."""
    stem, dot, suffix = path.rpartition(".")
    return bool(stem) and dot + suffix.lower() in IMAGE_SUFFIXES


def path_key(path: str) -> Key:
    """The parts of a path, without an image suffix."""
    parts = path_parts(path)
    if parts and has_suffix(parts[-1]):
        return (*parts[:-1], parts[-1].rpartition(".")[0])
    return parts


def match_names(names: Sequence[str], photos: Iterable[str], where: str) -> list[str | None]:
    """The photo that each name of a list means, None where it is not there.

    A name and a path mean the same photo where one of them is the end of the other, folder by folder: nobody
    is taken for a person of another folder. Suffixes count wherever that finds a photo; a name with another
    suffix gets what no other name of the list has taken.

    Args:
        names: What the list calls its photos.
        photos: The paths that are there.
        where: What has them, for messages.

    Raises:
        InputError: A name fits several photos, or a photo several names that contradict each other.
    """
    paths = list(photos)
    exact, full, short = set(paths), _Ends(paths, path_parts), _Ends(paths, path_key)
    matches = [
        name if name in exact else full.find(name, path_parts(name), where) if has_suffix(name) else None
        for name in names
    ]
    taken = set(matches)
    for i, name in enumerate(names):
        if matches[i] is None:
            photo = short.find(name, path_key(name), where)
            matches[i] = None if has_suffix(name) and photo in taken else photo
    if any(photo is None and numbered(name) for name, photo in zip(names, matches, strict=True)):
        _by_number(names, matches, paths)
    _refuse_contradictions(names, matches, where)
    return matches


def _by_number(names: Sequence[str], matches: list[str | None], paths: Sequence[str]) -> None:
    """Fill in photos that LFW's names mean by their number, as on a disk (see ``numbered``)."""
    photos = NumberedPhotos()
    for path in paths:
        *folders, file = path_parts(path) or ("",)
        photos.add(folders[-1] if folders else "", file, path)
    for i, name in enumerate(names):
        parts = numbered(name)
        if matches[i] is None and parts is not None and not has_suffix(name):
            matches[i] = photos.find(form(parts[1]), parts[1], parts[2], any_name=True)


class _Ends:
    """Paths that are found by their end, and by a longer path that ends with them."""

    def __init__(self, paths: Sequence[str], key: Callable[[str], Key]) -> None:
        # Sorted from the last part on, so that all paths with one end stand together.
        self._paths = sorted((key(path)[::-1], path) for path in paths)
        self._whole: dict[Key, list[str]] = {}
        for parts, path in self._paths:
            self._whole.setdefault(parts, []).append(path)

    def find(self, name: str, parts: Key, where: str) -> str | None:
        """The path that ``name`` means; of several the one that says as much, then those that say more."""
        last = parts[::-1]
        if not last:
            return None
        fitting = self._whole.get(last) or self._ending(last) or self._ended_by(last)
        if not fitting and _is_lfw(parts):
            fitting = self._ending(last[:1])
        if len(fitting) > 1:
            raise InputError(
                f"{name!r} fits several photos of {where}: {fitting[0]!r} and {fitting[1]!r}.",
                hint="Write the paths of the list with the folders that tell them apart.",
            )
        return fitting[0] if fitting else None

    def _ending(self, last: Key) -> list[str]:
        """Up to two longer paths whose last parts are these."""
        start = bisect_left(self._paths, (last, ""))
        near = self._paths[start : start + 2]
        return [path for parts, path in near if parts[: len(last)] == last]

    def _ended_by(self, last: Key) -> list[str]:
        """The longest path that these parts end with."""
        return next(
            (self._whole[last[:n]] for n in range(len(last) - 1, 0, -1) if last[:n] in self._whole), []
        )


def _is_lfw(parts: Key) -> bool:
    """``name/name_0001``: the folder says only what the file's name says, so it may be another or none."""
    return len(parts) == 2 and re.fullmatch(re.escape(parts[0]) + r"_\d+", parts[1]) is not None


def _refuse_contradictions(names: Sequence[str], matches: Sequence[str | None], where: str) -> None:
    """Two people of the list must not share a photo whose path is too short to tell them apart."""
    longest: dict[str, str] = {}
    for name, photo in zip(names, matches, strict=True):
        if photo is None:
            continue
        other = longest.setdefault(photo, name)
        if name == other:
            continue
        if not _agree(name, other):
            raise InputError(
                f"{other!r} and {name!r} of the list both fit {photo!r} of {where}.",
                hint="Embed the photos again by paths that have the folders of the list in them.",
            )
        longest[photo] = max(name, other, key=lambda path: len(path_parts(path)))


def _agree(name: str, other: str) -> bool:
    """Whether one name is the end of the other."""
    if has_suffix(name) and has_suffix(other):
        a, b = path_parts(name), path_parts(other)
    else:
        a, b = path_key(name), path_key(other)
    short = min(len(a), len(b))
    return a[-short:] == b[-short:] or _is_lfw(a) or _is_lfw(b)
