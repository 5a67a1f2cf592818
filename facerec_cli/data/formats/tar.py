"""Tar shards as webdataset lays them out: ``key.jpg`` beside ``key.cls``, the class number.

Shards on a disk are indexed once (the index is kept until they change) and then serve photos in any order,
like every other format. ``key.txt``, which ``facerec data convert`` writes, holds the photo's name.
"""

from __future__ import annotations

import glob
import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data import cache
from facerec_cli.data.dataset import MAX_CLASSES, ClassNumbers, FaceDataset, class_lines, class_names_beside
from facerec_cli.data.decode import BrokenPhotoError
from facerec_cli.data.formats.positioned import PositionedFile
from facerec_cli.data.targets import named
from facerec_cli.errors import FacerecError, InputError
from facerec_cli.files import writing
from facerec_cli.images.inputs import LONGEST_PATH
from facerec_cli.images.suffixes import IMAGE_SUFFIXES, suffix_for
from facerec_cli.progress import Progress, silent
from facerec_cli.sniff import HEAD, refuse_pointer
from facerec_cli.workshop import atomic_folder

_BLOCK = 512  # bytes of a tar header
_SHARD_BYTES = 512 * 1024**2  # of the shards that are written
MAX_SHARDS = 1_000_000
_DIGITS = 18  # numbers of more are no numbers of shards
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MAX_TEXT = 64 * 1024  # of a .cls or .txt member


class TarDataset(FaceDataset):
    """Photos of tar shards on a disk.

    Args:
        spec: What the user typed.
        shards: The tar files, in order.
    """

    format = "tar"

    def __init__(self, spec: str, shards: list[Path]) -> None:
        self.spec = spec
        self._files = [PositionedFile(shard) for shard in shards]
        rows = [cache.remember("tar", [shard], lambda shard=shard: _index(shard)) for shard in shards]  # type: ignore[misc]
        self._shard = np.repeat(np.arange(len(shards)), [len(part) for part in rows])
        self._rows = np.concatenate(rows) if rows else np.empty((0, 6), np.int64)
        self.labels = np.ascontiguousarray(self._rows[:, 0])
        count = int(self.labels.max()) + 1 if len(self.labels) else 0
        self.class_names = class_names_beside(shards[0].parent / "shards.tar", None) or ClassNumbers(count)
        if count > len(self.class_names):
            raise InputError(
                f"{spec} holds the label {count - 1:,}, but {len(self.class_names):,} classes are named.",
                hint="Correct or delete shards.classes.txt.",
            )
        missing = len(self.class_names) - len(np.unique(self.labels))
        self.warnings = (
            (f"{missing:,} of {len(self.class_names):,} classes have no photo",) if missing else ()
        )

    @classmethod
    def open(cls, spec: str) -> TarDataset:
        """Open a shard, a folder of shards, or a pattern such as ``shards/*.tar``."""
        path = Path(spec)
        shards = (
            sorted(path.glob("*.tar")) if path.is_dir() else [Path(name) for name in sorted(_expand(spec))]
        )
        if not shards or not all(shard.is_file() for shard in shards):
            raise InputError(
                f"No tar shards match {spec}.", hint="Give shards/, shards/*.tar or shards-{000..127}.tar."
            )
        return cls(spec, shards)

    def read(self, index: int) -> bytes:
        """The encoded photo."""
        _, offset, size, _, _, _ = map(int, self._rows[index])
        data: bytes = self._files[self._shard[index]](offset, size)
        if len(data) < size:
            raise BrokenPhotoError(f"{self._files[self._shard[index]].path} ends inside a photo.")
        return data

    def name(self, index: int) -> str:
        """The text of ``key.txt``, else ``class/`` and the member's own name."""
        label, _, _, header, text, length = map(int, self._rows[index])
        file = self._files[int(self._shard[index])]
        if length:
            return file(text, length).decode("utf-8", "surrogateescape")
        with file.path.open("rb") as shard:
            shard.seek(header)
            with tarfile.open(fileobj=shard, mode="r:") as archive:
                member = archive.next()
                assert member is not None
                return f"{self.class_names[label]}/{member.name.removeprefix('./').replace('/', '_')}"


def write_tar(
    source: FaceDataset, target: Path, progress: Progress = silent, overwrite: bool = False
) -> None:
    """Write a folder of shards of about 512 MiB, photos in random order as streaming wants them."""
    with atomic_folder(target) as folder, writing(target):
        (folder / "shards.classes.txt").write_bytes(class_lines(source.class_names, source.spec))
        names = dict(named(source))
        shard, archive, room = -1, None, 0
        try:
            for done, index in enumerate(np.random.default_rng(0).permutation(len(source)).tolist(), 1):
                data = source.read(index)
                if archive is None or room < len(data):
                    if archive is not None:
                        archive.close()
                    shard, room = shard + 1, _SHARD_BYTES
                    archive = tarfile.open(folder / f"shard-{shard:06d}.tar", "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
                room -= len(data)
                members = (
                    (suffix_for(data), data),
                    (".cls", str(int(source.labels[index])).encode()),
                    (".txt", names[index].encode("utf-8", "surrogateescape")),
                )
                for suffix, content in members:
                    info = tarfile.TarInfo(f"{index:09d}{suffix}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
                progress(done, len(source))
        finally:
            if archive is not None:
                archive.close()


def _expand(pattern: str) -> Iterator[str]:
    """Paths that a pattern of ``*``, ``?``, ``[]`` or ``{000..127}`` stands for."""
    for name in expand_numbers(pattern):
        if len(name) > LONGEST_PATH or Path(name).is_file():
            yield name
        else:
            yield from glob.glob(name) or [name]  # noqa: PTH207 - the pattern may be absolute


def expand_numbers(pattern: str) -> Iterator[str]:
    """``a-{008..010}.tar`` as ``a-008.tar``, ``a-009.tar``, ``a-010.tar``.

    Raises:
        InputError: It stands for more names than any data set has shards.
    """
    count = 1
    for ends in _RANGE.findall(pattern):
        first, last = (int(end.lstrip("0")[:_DIGITS] or 0) for end in ends)
        count *= max(0, last - first + 1)
        if count > MAX_SHARDS or any(len(end.lstrip("0")) >= _DIGITS for end in ends):
            raise InputError(
                f"{pattern} stands for more than {MAX_SHARDS:,} shards.",
                hint="Correct the numbers in {first..last}.",
            )
    yield from _numbered(pattern)


def _numbered(pattern: str) -> Iterator[str]:
    before, brace, rest = pattern.partition("{")
    inside, closed, after = rest.partition("}")
    first, dots, last = inside.partition("..")
    if not (brace and closed and dots and first.isdecimal() and last.isdecimal()):
        yield pattern
        return
    for number in range(int(first), int(last) + 1):
        yield from _numbered(f"{before}{number:0{len(first)}d}{after}")


def _index(shard: Path) -> NDArray[np.int64]:
    """(N, 6) int64: label, photo's offset and size, its header's offset, name's offset and size (0: none)."""
    photos: dict[str, tuple[int, int, int]] = {}
    labels: dict[str, int] = {}
    texts: dict[str, tuple[int, int]] = {}
    size = shard.stat().st_size
    with shard.open("rb") as stream:
        refuse_pointer(stream.read(HEAD), str(shard))
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # or it keeps one object per member
                if not member.isfile():
                    continue
                folder, _, file = member.name.rpartition("/")
                stem, _, suffix = file.partition(".")
                key, suffix = f"{folder}/{stem}", f".{suffix.lower()}"
                if member.offset_data + member.size > size:
                    raise tarfile.ReadError("unexpected end of data")
                if suffix in IMAGE_SUFFIXES:
                    photos[key] = (member.offset_data, member.size, member.offset)
                elif suffix == ".cls":
                    labels[key] = _label(archive, member, shard)
                elif suffix == ".txt" and 0 < member.size <= _MAX_TEXT:
                    texts[key] = (member.offset_data, member.size)
    except FacerecError:
        raise
    except Exception as fault:  # tarfile lets ValueError, RecursionError and others of odd headers through
        raise InputError(
            f"{shard} is truncated or no tar file ({str(fault) or type(fault).__name__}).",
            hint="Fetch it again; compressed shards (.tar.gz) must be unpacked to .tar.",
        ) from fault
    without = next((key for key in photos if key not in labels), None)
    if without is not None:
        raise InputError(
            f"{shard} holds the photo {without} without its label.", hint="Each photo needs a .cls beside it."
        )
    rows = [(labels[key], *photo, *texts.get(key, (0, 0))) for key, photo in photos.items()]
    return np.array(rows, np.int64).reshape(-1, 6)


def _label(archive: tarfile.TarFile, member: tarfile.TarInfo, shard: Path) -> int:
    file = archive.extractfile(member)
    text = file.read(_MAX_TEXT) if file else b""
    if not text.strip().isdigit() or len(text) > 20 or int(text) >= MAX_CLASSES:
        raise InputError(
            f"{member.name} in {shard} is no class number: {text[:40]!r}",
            hint=f"A .cls holds a number from 0 to {MAX_CLASSES - 1:,}.",
        )
    return int(text)
