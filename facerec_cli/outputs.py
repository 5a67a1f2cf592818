"""Outputs before anything is made: nothing is replaced without a word (docs/errors.md says it to users)."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from facerec_cli.errors import OutputError, UsageError
from facerec_cli.option import options

_SIZE = 1 << 16  # bytes at either end of a file that say what it is

SCORE_COLUMNS = ("first", "second", "same", "fold", "score", "failed")


def named_paths(outputs: Any, *, besides: tuple[str, ...] = ()) -> dict[str, tuple[str, Path]]:
    """Of a dataclass of outputs those that are wanted, by field: flag and path.

    Args:
        outputs: Its fields are paths, or None where one is not wanted.
        besides: Fields that are no path of an output.
    """
    flags = {field.name: field.flag for field in options(type(outputs)) if field.name not in besides}
    paths = {name: getattr(outputs, name) for name in flags}
    return {name: (flags[name], path) for name, path in paths.items() if path is not None}


def refuse_existing(paths: Iterable[Path], *, overwrite: bool = False, hint: str = "") -> None:
    """Refuse to replace anything that is there.

    Args:
        paths: The outputs.
        overwrite: The user has said to replace them; a folder never is.
        hint: What to do instead of ``--overwrite``.

    Raises:
        UsageError: One exists.
    """
    for path in paths:
        if path.is_dir():
            raise UsageError(
                f"{path} exists and is a folder.", hint=hint or "Name another place, or remove it first."
            )
        if (path.exists() or path.is_symlink()) and not overwrite:
            raise UsageError(
                f"{path} exists.", hint=hint or "Name another place, or replace it with --overwrite."
            )


def refuse_foreign(kind: str, path: Path, *, flag: str = "", overwrite: bool = False) -> None:
    """Refuse to replace a file that is no earlier report of the same kind: those are made again all the time.

    Args:
        kind: A key of ``_OURS``.
        path: Where the report goes.
        flag: The flag that named it.
        overwrite: The user has said to replace it.

    Raises:
        UsageError: Something else is there.
    """
    if overwrite or not path.is_file():  # a folder, pipe or device is another question
        return
    with contextlib.suppress(OSError):
        if path.stat().st_size == 0 or _OURS[kind](path):
            return
    raise UsageError(
        f"{f'{flag} ' if flag else ''}{path} exists and is no {kind} of facerec's.",
        hint="Name another file, or replace it with --overwrite.",
    )


def check_writable(flag: str, path: str | Path, folder: Path) -> None:
    """Refuse an output in a folder that can neither be written to nor made.

    A run that finds it out at its end leaves its work behind, which is in the way of the corrected command.

    Args:
        flag: Of the output.
        path: The output, as the user named it.
        folder: Where its files are written.

    Raises:
        OutputError: The message says which folder is in the way.
    """
    there = next((place for place in (folder, *folder.parents) if os.path.lexists(place)), folder)
    if not os.path.isdir(there):  # noqa: PTH112 - False, not a fault, where one may not look
        why = f"{there} is not a folder"
    elif not os.access(there, os.W_OK | os.X_OK):
        why = f"you may not write to the folder {there}"
    else:
        return
    raise OutputError(f"{flag} {path} cannot be written: {why}.", hint=f"Name another place for {flag}.")


def _ends(path: Path) -> bytes:
    with path.open("rb") as stream:
        head = stream.read(_SIZE)
        stream.seek(max(0, path.stat().st_size - _SIZE))
        return head + stream.read()


def _is_page(path: Path) -> bool:
    content = _ends(path).lower()
    return content.lstrip().startswith(b"<!doctype html") and b"facerec" in content


def _is_card(path: Path) -> bool:
    content = _ends(path)
    return b"model_sha256 = " in content and b"threshold = " in content


def _is_card_of(version: bytes, path: Path) -> bool:
    content = _ends(path)
    return version + b" = " in content and b"model_sha256 = " in content


def _is_model_card(path: Path) -> bool:
    content = _ends(path)
    return content.startswith(b"# ") and b"sha256 `" in content and b"Embedding" in content


def _are_results(path: Path) -> bool:
    content = _ends(path)
    if content.startswith(b"PAR1"):
        return b"decision" in content and b"margin" in content
    return content.startswith((b"path,face,status,decision,person,score,margin", b'{"path": ')) and (
        b"decision" in content
    )


def _are_groups(path: Path) -> bool:
    content = _ends(path)
    if content.startswith(b"PAR1"):
        return b"cluster" in content and b"margin" in content
    return content.startswith((b"path,face,status,cluster,person,margin", b'{"path": ')) and (
        b"cluster" in content
    )


def _are_scores(path: Path) -> bool:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return {"score.npy", "same.npy"} <= set(archive.namelist())
    return _ends(path).startswith(",".join(SCORE_COLUMNS).encode())


_OURS: Mapping[str, Callable[[Path], bool]] = {
    "report": _is_page,
    "contact sheet": _is_page,
    "threshold card": _is_card,
    "likelihood card": partial(_is_card_of, b"likelihood_version"),
    "quality card": partial(_is_card_of, b"quality_version"),
    "calibration card": partial(_is_card_of, b"calibration_version"),
    "model card": _is_model_card,
    "file of scores": _are_scores,
    "table of results": _are_results,
    "table of groups": _are_groups,
}
