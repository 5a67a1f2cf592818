"""Taking the wanted files out of a zip archive that may be hostile."""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from facerec_cli.errors import ModelError

MAX_ENTRIES = 1000
MAX_BYTES = 2 << 30  # of one file; the largest known network has 261 MB


def extract(archive: Path, wanted: Collection[str], folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Write the files called ``wanted`` from ``archive`` into ``folder``, wherever they are inside.

    Nothing else is written, so that an archive's own paths never matter; one that holds links or paths out
    of its folder is refused all the same.

    Args:
        archive: A zip file.
        wanted: Plain file names; each must be in the archive once.
        folder: An existing folder.
        max_bytes: Refuse a file that unpacks to more.

    Raises:
        ModelError: Not a zip file, damaged, hostile, or without a wanted file.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            if len(entries) > MAX_ENTRIES:
                raise _refused(archive, f"it has {len(entries):,} entries")
            for entry in entries:
                _check(archive, entry)
            for name in wanted:
                _extract_one(archive, opened, name, folder / name, max_bytes)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as fault:
        raise ModelError(f"{archive.name} is not a whole zip archive: {fault}.") from fault


def _check(archive: Path, entry: zipfile.ZipInfo) -> None:
    path = PurePosixPath(entry.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in entry.filename:
        raise _refused(archive, f"{entry.filename!r} leads out of its folder")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise _refused(archive, f"{entry.filename!r} is a link")
    if entry.flag_bits & 0x1:
        raise _refused(archive, f"{entry.filename!r} is encrypted")


def _extract_one(archive: Path, opened: zipfile.ZipFile, name: str, target: Path, max_bytes: int) -> None:
    found = [e for e in opened.infolist() if PurePosixPath(e.filename).name == name and not e.is_dir()]
    if len(found) != 1:
        raise ModelError(
            f"{archive.name} has {name} {len(found)} times, not once.",
            hint="It is not the pack that its name says, or it was packed differently.",
        )
    if found[0].file_size > max_bytes:
        raise _refused(archive, f"{name} unpacks to {found[0].file_size:,} bytes")
    with opened.open(found[0]) as source, target.open("wb") as sink:
        # zipfile stops at the size that the directory states, and checks the CRC there
        shutil.copyfileobj(source, sink, 1 << 20)


def _refused(archive: Path, reason: str) -> ModelError:
    return ModelError(
        f"{archive.name} is refused: {reason}.", hint="Nothing of it was kept. Get it from another place."
    )
