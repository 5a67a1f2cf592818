"""A path as a list writes it, and the file that is meant by it: quotes, Windows' paths, Unicode forms."""

# ruff: noqa: PTH100, PTH118, PTH208
from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from facerec_cli.errors import InputError

_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\[^\\]")  # C:\, C:/, \\server
_SAMPLE = 40

# Plain strings and os.path, as in images.inputs: names are kept as written, and lists have millions.


def absolute(path: str | os.PathLike[str]) -> str:
    """The full path, without ``.`` and ``..``; links are left as they are.

    Raises:
        InputError: The path is relative and the current folder has been deleted.
    """
    try:
        return os.path.abspath(path)
    except FileNotFoundError as error:
        raise InputError(
            "The current folder has been deleted.", hint="Change into one that exists, or give full paths."
        ) from error


def turned(path: str) -> str:
    """The path with Windows' backslashes as slashes."""
    return path.replace("\\", "/")


def has_drive(path: str) -> bool:
    """Whether a path begins with a drive or server of Windows, which are nowhere on this machine."""
    return os.name != "nt" and bool(_DRIVE.match(path))


def without_drive(path: str) -> Iterator[str]:
    r"""What may be left of ``C:\data\ann\1.jpg`` elsewhere: ``data/ann/1.jpg``, ``ann/1.jpg``, ``1.jpg``."""
    parts = [part for part in turned(path).split("/") if part]
    for at in range(1, len(parts)):
        yield "/".join(parts[at:])


def shared_depth(paths: Sequence[str], is_there: Callable[[str], bool]) -> int:
    r"""How many leading parts Windows' paths have that this machine has not: the same for the whole list.

    Else ``C:\bob\1.jpg`` would be another person's ``1.jpg`` that happens to lie beside the list.

    Args:
        paths: Paths with a drive.
        is_there: Whether a file of such a name is here.

    Returns:
        What :func:`drop_parts` takes; 0 where no path is found whatever is left out.
    """
    tails = [list(without_drive(path)) for path in paths[:: max(1, len(paths) // _SAMPLE)]]
    hits = [
        sum(depth < len(tail) and is_there(tail[depth]) for tail in tails)
        for depth in range(min(map(len, tails), default=0))
    ]
    best = max(hits, default=0)
    return 1 + hits.index(best) if best else 0


def drop_parts(path: str, depth: int) -> str:
    """A path of Windows without its first parts, the drive among them; one that has no more as it stands."""
    parts = [part for part in turned(path).split("/") if part]
    return "/".join(parts[depth:]) or path


def is_root(path: str) -> bool:
    """Whether a line of a list names the root of the disk, which nobody means by it."""
    bare = turned(path.strip())
    return bool(bare) and (
        (bare.startswith("/") and not bare.strip("/.")) or bool(re.fullmatch("[A-Za-z]:/*", bare))
    )


def form(name: str) -> str:
    """One spelling of all that look the same: Unicode's forms NFC, NFD, NFKC and NFKD, and names in Latin-1.

    A name whose bytes are not UTF-8 (they are kept as lone surrogates) is read as Windows' Latin letters.
    """
    if name.isascii():
        return name
    if any("\udc80" <= sign <= "\udcff" for sign in name):
        name = name.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return unicodedata.normalize("NFKC", name)


class Disk:
    """Finds what lines of a list name, though the disk writes it in another form.

    Folders are listed once, and only for names that are not there as they are written. An instance serves one
    reading of a list: files that appear later are not seen.
    """

    def __init__(self) -> None:
        self._listed: dict[str, dict[str, list[str]]] = {}

    def find(self, name: str, folders: Sequence[str] = ("",)) -> str | None:
        """The existing path that ``name`` means below the first folder that has it; None where there is none.

        Tried in this order: as it stands; without blanks and quotes around it; with backslashes turned; in
        other Unicode forms. The drive of a Windows path is not taken off, see :func:`without_drive`.
        """
        spellings = list(dict.fromkeys(_spellings(name)))
        for spelling in spellings:
            for folder in folders:
                path = os.path.join(folder, spelling)
                if os.path.lexists(path):
                    return path
        if name.isascii():
            return None
        return next(
            (found for one in spellings for folder in folders if (found := self._in_form(folder, one))), None
        )

    def _in_form(self, folder: str, name: str) -> str | None:
        """The path below ``folder`` whose parts look like those of ``name``."""
        path = "/" if name.startswith("/") else folder
        for part in name.split("/"):
            if part in ("", "."):
                continue
            exact = os.path.join(path, part)
            if part == ".." or os.path.lexists(exact):
                path = exact
                continue
            there = self._entries(path).get(form(part), [])
            same = [entry for entry in there if _nfc(entry) == _nfc(part)]
            if len(same or there) != 1:
                return None
            path = os.path.join(path, (same or there)[0])
        return path if path != folder else None

    def _entries(self, folder: str) -> dict[str, list[str]]:
        """Form -> names of a folder."""
        if folder not in self._listed:
            entries: dict[str, list[str]] = {}
            try:
                names = os.listdir(folder or ".")
            except (OSError, ValueError):
                names = []
            for name in names:
                entries.setdefault(form(name), []).append(name)
            self._listed[folder] = entries
        return self._listed[folder]


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _spellings(name: str) -> Iterator[str]:
    bare = name.strip()
    quoted = len(bare) > 2 and bare[0] == bare[-1] and bare[0] in "\"'"
    plain = bare[1:-1] if quoted else bare
    yield from (name, bare, plain, turned(plain))
