"""From what a user types to a list of files: files, folders, list files, patterns, standard input."""

# ruff: noqa: PTH112, PTH113, PTH116, PTH120, PTH207
from __future__ import annotations

import errno
import glob
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from facerec_cli.errors import InputError
from facerec_cli.images.lists import read_photo_list
from facerec_cli.images.remote import is_url, list_url
from facerec_cli.images.suffixes import IMAGE_SUFFIXES, UNREAD_SUFFIXES, is_photo_name, suffix_of, unread_told
from facerec_cli.tables.paths import absolute, is_root

log = logging.getLogger("facerec")

# Plain strings and os.path throughout: they keep odd names as typed and are quick with a million files.

_LIST_SUFFIXES = frozenset([".txt", ".lst", ".list", ".csv", ".tsv"])
_NOTHING_THERE = frozenset([errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG])
_FAULTS_SHOWN = 3
LONGEST_PATH = 4096  # characters, Linux's limit; other systems have lower ones


def find_images(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    exclude: Iterable[str | os.PathLike[str]] = (),
    stdin: BinaryIO | None = None,
) -> list[str]:
    """Expand what a user named into files, in a stable order.

    Each line of a list has its place in the answer, also where a photo is listed twice, so that what is made
    of the photos can be joined to the list by position. All else names a file once: folders, patterns and
    files give what nothing before them has given, a folder in a list what no line of the list names.

    * A folder gives the photos below it, in sorted order; other and hidden files are passed over, and a
      warning counts those of pictures and videos in formats that are not read. Links to folders are
      followed, each folder once.
    * ``.txt``, ``.lst``, ``.list``, ``.csv`` and ``.tsv`` files are lists, one path a line (or ended by NUL
      bytes, as ``find -print0`` writes), or tables with a column of paths; a relative path is looked up
      beside the list, then in the current folder. Blank lines, comments (``# ...``) and a heading name
      nothing. A line that names nothing as it stands is tried without blanks around it, without quotes
      around it, with Windows' backslashes turned, and in other Unicode forms. The root of the disk is not
      searched.
    * ``-`` is such a list on standard input.
    * A name with ``*``, ``?`` or ``[`` that is no file is a pattern; ``**`` goes into folders.
    * A URL (``s3://bucket/photos``, see ``images.remote``) is a photo, or a folder whose photos are listed.
    * Anything else is kept as it is, so that a missing file shows up in the results.

    Args:
        inputs: What the user named; a single name does as well.
        exclude: Folders that are passed over (where results are written).
        stdin: What ``-`` reads; standard input by default.

    Returns:
        Paths as the user wrote them, or joined to the folder they were found in.

    Raises:
        InputError: A list cannot be read, standard input is closed, or a path is relative and the current
            folder has been deleted.
    """
    if isinstance(inputs, str | os.PathLike):  # or its characters would be searched, "/" among them
        inputs = [inputs]
    search = _InputSearch({absolute(path) for path in exclude}, stdin)
    seen: set[str] = set()
    photos: list[str] = []
    for given in inputs:
        for path, is_line in search.expand(os.fspath(given)):
            key = _key(path)
            if is_line or key not in seen:
                seen.add(key)
                photos.append(path)
    if search.unread:
        log.warning("Passed over: %s. Convert those that show faces to JPEG.", unread_told(search.unread))
    return photos


def refuse_missing(inputs: Iterable[str]) -> None:
    """Refuse inputs of which not one exists or matches: names typed wrong, and no photos to report on.

    A list that exists is data, whatever its lines name; what is at a URL only its reader can say.

    Args:
        inputs: What the user named, as for :func:`find_images`.

    Raises:
        InputError: The message says of each input why it is none, up to a few.
    """
    faults = []
    for given in inputs:
        fault = _why_missing(given)
        if not fault:
            return
        faults.append(fault)
    if faults:
        more = len(faults) - _FAULTS_SHOWN
        reasons = "; ".join(faults[:_FAULTS_SHOWN]) + (f"; and {more:,} more" if more > 0 else "")
        raise InputError(
            f"No photo was found. {reasons}.",
            hint="Correct the name. Photos, folders with photos, lists of them and patterns can be named.",
        )


def _why_missing(given: str) -> str:
    """Why a named input is none; empty where there is something, or only reading can tell."""
    path = given.removeprefix("file://")
    if given == "-" or is_url(path):
        return ""
    if _is_pattern(given) and not is_url(given):
        match = next(glob.iglob(given, recursive=True), None)
        return f"the pattern {given} matches nothing" if match is None else ""
    try:
        os.stat(path)
    except OSError as error:
        return f"{given}: no such file or folder" if error.errno in _NOTHING_THERE else ""
    except ValueError:  # a NUL; the photo's row says so
        return ""
    return ""


def _is_pattern(name: str) -> bool:
    """Whether it stands for other names.

    What damaged lists have does not: a NUL byte, or more characters than a path can have, for which Python's
    search would go into each of its thousand folders.
    """
    possible = len(name) <= LONGEST_PATH and "\0" not in name
    return possible and glob.has_magic(name) and not os.path.lexists(name)


def _key(path: str) -> str:
    return absolute(path) if "\0" not in path else path


@dataclass(frozen=True, slots=True)
class _InputSearch:
    """One search for photos.

    Attributes:
        banned: Folders that are passed over.
        stdin: What ``-`` reads; standard input where it is None.
        unread: How many files were passed over for their format, by suffix.
    """

    banned: set[str]
    stdin: BinaryIO | None
    unread: Counter[str] = field(default_factory=Counter)

    def expand(self, given: str) -> Iterator[tuple[str, bool]]:
        """Files, and whether each is a line of a list by itself."""
        if given == "-":
            yield from self._list(_read_stdin(self.stdin), "standard input", [""])
        elif Path(given).suffix.lower() in _LIST_SUFFIXES and os.path.isfile(given):
            try:
                data = Path(given).read_bytes()
            except OSError as error:
                raise InputError(
                    f"The list {given} cannot be read: {error.strerror}.",
                    hint="Name a list that you may read.",
                ) from error
            yield from self._list(data, given, [os.path.dirname(given), ""])
        else:
            yield from ((path, False) for path in self._entry(given))

    def _list(self, data: bytes, what: str, folders: list[str]) -> Iterator[tuple[str, bool]]:
        lines = read_photo_list(data, what, folders, IMAGE_SUFFIXES)
        several = [not is_root(line) and _is_several(line) for line in lines]
        listed: set[str] = set()
        if any(several):  # `find photos` names the folder and then each photo in it
            listed = {_key(line) for line, more in zip(lines, several, strict=True) if not more}
        for line, more in zip(lines, several, strict=True):
            if is_root(line):
                log.warning(
                    "%s names the root of the disk in a line, which is not searched for photos.", what
                )
            if not more:
                yield line, True
                continue
            for path in self._entry(line):
                if path == line:  # a pattern without a match, a folder that cannot be opened
                    yield path, True
                elif _key(path) not in listed:
                    yield path, False

    def _entry(self, given: str) -> Iterator[str]:
        """A file, a folder, a pattern or a URL."""
        if is_url(given):
            yield from self._url(given)
        elif os.path.isdir(given):
            yield from _or_warn(given, self._walk(given, set()))
        elif _is_pattern(given):
            matches = sorted(glob.glob(given, recursive=True))
            for match in matches:
                yield from self._walk(match, set()) if os.path.isdir(match) else [match]
            if not matches:
                yield given
        else:
            yield given

    def _url(self, given: str) -> Iterator[str]:
        listed = None if _is_photo(given) else list_url(given)
        if listed is None:
            yield given
            return
        for url in listed:
            self._note_unread(_url_name(url))
        yield from _or_warn(given, filter(_is_photo, listed))

    def _note_unread(self, name: str) -> None:
        """Count a picture or video in a format that is not read."""
        suffix = suffix_of(name)
        if suffix in UNREAD_SUFFIXES and not name.startswith("."):
            self.unread[suffix] += 1

    def _walk(self, folder: str, visited: set[tuple[int, int]]) -> Iterator[str]:
        """The photos below a folder; a folder that cannot be opened is yielded itself, to be reported."""
        if absolute(folder) in self.banned:
            return
        try:
            state = os.stat(folder)
            if (state.st_dev, state.st_ino) in visited:  # a link that leads back
                return
            visited.add((state.st_dev, state.st_ino))
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError:
            yield folder
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                yield from self._walk(entry.path, visited)
            elif is_photo_name(entry.name):
                yield entry.path
            else:
                self._note_unread(entry.name)


def _or_warn(folder: str, photos: Iterable[str]) -> Iterator[str]:
    """The photos of a folder, or a warning that it has none."""
    empty = True
    for photo in photos:
        empty = False
        yield photo
    if empty:
        log.warning("The folder %s has no photo in it.", folder)


def _is_several(entry: str) -> bool:
    """Whether an entry is a folder, a pattern or a URL, which stand for any number of photos."""
    if is_url(entry):
        return not _is_photo(entry)
    return os.path.isdir(entry) or _is_pattern(entry)


def _is_photo(url: str) -> bool:
    name = _url_name(url)
    return not name.startswith(".") and is_photo_name(name)


def _url_name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def _read_stdin(stdin: BinaryIO | None) -> bytes:
    if stdin is None and sys.stdin is None:  # as Python has it where the shell has closed it
        raise InputError(
            "Standard input is closed, so there is no list to read.",
            hint="Pipe one in: find . -name '*.jpg' -print0 | facerec embed -",
        )
    try:
        return (stdin or sys.stdin.buffer).read()
    except OSError as error:
        raise InputError(
            f"Standard input cannot be read: {error.strerror}.", hint="Give the list as a file."
        ) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
