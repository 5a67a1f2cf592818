"""Taking the wanted files out of a zip archive that may be hostile."""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from facerec_cli.errors import ModelError
from facerec_cli.packs.foreign import reading
from facerec_cli.packs.rules import possible_name

MAX_ENTRIES = 1000
MAX_BYTES = 2 << 30  # of one file; the largest known network has 261 MB


def extract(archive: Path, files: Collection[str], folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Write the files called ``files`` from ``archive`` into ``folder``, wherever they are inside.

    Nothing else is written, so that an archive's own paths never matter; one that holds links or paths out
    of its folder is refused all the same.

    Args:
        archive: A zip file.
        files: Plain file names; each must be in the archive once.
        folder: An existing folder.
        max_bytes: Refuse a file that unpacks to more.

    Raises:
        ModelError: Not a zip file, damaged, hostile, or without a wanted file.
    """
    hint = "Nothing of it was kept. Get it again, or from another place."
    with reading(Path(archive.name), "a whole zip archive", hint=hint), zipfile.ZipFile(archive) as opened:
        entries = opened.infolist()
        if len(entries) > MAX_ENTRIES:
            raise _refused(archive, f"it has {len(entries):,} entries")
        names: set[str] = set()
        for entry in entries:
            _check(archive, entry)
            folded = entry.filename.casefold()
            if folded in names:
                raise _refused(
                    archive, f"{entry.filename!r} is in it twice, or in capitals and small letters"
                )
            names.add(folded)
        for name in files:
            _extract_one(archive, opened, name, folder / name, max_bytes)


def _check(archive: Path, entry: zipfile.ZipInfo) -> None:
    path = PurePosixPath(entry.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in entry.filename:
        raise _refused(archive, f"{entry.filename!r} leads out of its folder")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise _refused(archive, f"{entry.filename!r} is a link")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(archive, f"{entry.filename!r} is a device or a pipe")
    if any(not possible_name(part) for part in path.parts):
        raise _refused(archive, f"{entry.filename!r} is no name for a file everywhere")
    if entry.flag_bits & 0x1:
        raise _refused(archive, f"{entry.filename!r} is encrypted")


def _extract_one(archive: Path, opened: zipfile.ZipFile, name: str, target: Path, max_bytes: int) -> None:
    entries = [e for e in opened.infolist() if PurePosixPath(e.filename).name == name and not e.is_dir()]
    if len(entries) != 1:
        raise ModelError(
            f"{archive.name} has {name} {len(entries)} times, not once.",
            hint="It is not the pack that its name says, or it was packed differently.",
        )
    if entries[0].file_size > max_bytes:
        raise _refused(archive, f"{name} unpacks to {entries[0].file_size:,} bytes")
    with opened.open(entries[0]) as source, target.open("wb") as sink:
        # zipfile stops at the size that the directory states, and checks the CRC there
        shutil.copyfileobj(source, sink, 1 << 20)


def _refused(archive: Path, reason: str) -> ModelError:
    return ModelError(
        f"{archive.name} is refused: {reason}.", hint="Nothing of it was kept. Get it from another place."
    )
