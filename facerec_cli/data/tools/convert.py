"""From one format to another without loss: the encoded bytes of every photo stay as they are.

Everything is written beside its place and moved there when it is whole.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import FaceDataset, class_lines
from facerec_cli.data.formats.folder import FolderDataset
from facerec_cli.data.formats.list import ListDataset, listable
from facerec_cli.data.formats.recordio import frame, pack
from facerec_cli.data.tools.outputs import require_free
from facerec_cli.errors import InputError, UsageError
from facerec_cli.files import write_file, writing
from facerec_cli.images.suffixes import is_photo_name, suffix_for
from facerec_cli.progress import Progress, silent
from facerec_cli.suggest import guess_or_list
from facerec_cli.workshop import atomic_folder, clear_workshop, move, workshop

_EXACT = 2**24  # identity records hold their ranges in float32
_SHARD_BYTES = 512 * 1024**2


def format_of(target: Path) -> str:
    """The format that a target's name asks for: .rec, .tar (a folder of shards), a list, else a folder."""
    return {".rec": "rec", ".tar": "tar", ".txt": "list", ".tsv": "list", ".lst": "list"}.get(
        target.suffix, "folder"
    )


def convert(
    source: FaceDataset,
    target: Path,
    to: str | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> str:
    """Write ``source`` in another format.

    Args:
        source: What to write.
        target: A new folder, ``x.rec``, or ``x.txt`` (a list of files that exist already).
        to: "folder", "rec", "list" or "tar"; None: by the target's name.
        overwrite: Replace files that are there; a folder with something in it never is.
        progress: Told of the photos written.

    Returns:
        The format written.

    Raises:
        UsageError: The target or a file beside it exists, or its format is unknown.
        OutputError: It cannot be written.
        InputError: A photo cannot be read, or has a name that cannot be written.
    """
    to = to or format_of(target)
    if to not in _WRITERS:
        known = sorted(_WRITERS)
        raise UsageError(f"There is no way to write {to!r}.", hint=guess_or_list(to, known))
    clear_workshop(*((target, rec_files(target)) if to == "rec" else (target, ())))
    if not (target.is_dir() and not any(target.iterdir())):
        require_free([target], source, overwrite=overwrite and to in ("rec", "list"))
    _WRITERS[to](source, target, progress, overwrite)
    return to


def write_folder(
    source: FaceDataset, target: Path, progress: Progress = silent, overwrite: bool = False
) -> None:
    """Write a folder per person."""
    with atomic_folder(target) as folder:
        for done, (index, name) in enumerate(named(source), 1):
            data = source.read(index)
            photo = is_photo_name(name)
            with writing(target):
                path = _free(folder / (name if photo else name + suffix_for(data)))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            progress(done, len(source))


def write_rec(
    source: FaceDataset, target: Path, progress: Progress = silent, overwrite: bool = False
) -> None:
    """Write ``x.rec`` with ``x.idx``, ``x.lst``, ``x.classes.txt`` and ``property``, in insightface's layout.

    Photos are ordered by person. Above 16.7 million photos, where float32 is no longer exact, record 0 and
    the identity records are left out.
    """
    if target.suffix != ".rec":
        target = target / "train.rec"
    property_text = f"{source.num_classes},112,112\n"
    suffixes = (".idx", ".lst", ".classes.txt", ".rec")
    *places, beside_property = rec_files(target)
    with workshop(target, rec_files(target)) as folder:
        differs = not beside_property.is_file() or beside_property.read_text() != property_text
        if beside_property.is_file() and differs and not (overwrite and target.exists()):
            raise UsageError(f"{beside_property} belongs to another .rec.", hint="Write to a new folder.")
        _require_free_beside(target, suffixes, source, overwrite)
        made = {suffix: folder / target.with_suffix(suffix).name for suffix in suffixes}
        with (
            writing(target),
            made[".rec"].open("wb") as rec,
            made[".idx"].open("w", newline="\n") as idx,
            made[".lst"].open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as lst,
        ):
            _write_records(source, rec, idx, lst, progress)
        with writing(target):
            made[".classes.txt"].write_bytes(class_lines(source.class_names, source.spec))
            (folder / "property").write_text(property_text)
        moves = {folder / "property": beside_property} if differs else {}
        # The .rec comes last, so that it is never seen without its index.
        move(folder, moves | dict(zip(made.values(), places, strict=True)))


def rec_files(target: Path) -> list[Path]:
    """All that is written for a ``.rec``."""
    suffixes = (".idx", ".lst", ".classes.txt", ".rec")
    return [*(target.with_suffix(suffix) for suffix in suffixes), target.parent / "property"]


def _write_records(source: FaceDataset, rec: BinaryIO, idx: TextIO, lst: TextIO, progress: Progress) -> None:
    ranged = len(source) + source.num_classes < _EXACT
    counts = np.bincount(source.labels, minlength=source.num_classes)
    ends = 1 + np.cumsum(counts)

    def put(key: int, payload: bytes) -> None:
        idx.write(f"{key}\t{rec.tell()}\n")
        rec.write(frame(payload))

    first = 1 if ranged else 0
    if ranged:
        lead = np.array([len(source) + 1, len(source) + 1 + source.num_classes], np.float32)
        put(0, pack(lead, 0, b""))
    for key, (index, name) in enumerate(named(source), first):
        label = int(source.labels[index])
        put(key, pack(float(label), key, source.read(index)))
        lst.write(f"{key}\t{label}\t{name}\n")
        progress(key + 1 - first, len(source))
    if ranged:
        for person, (end, count) in enumerate(zip(ends, counts, strict=True)):
            key = len(source) + 1 + person
            put(key, pack(np.array([end - count, end], np.float32), key, b""))


def write_list(
    source: FaceDataset, target: Path, progress: Progress = silent, overwrite: bool = False
) -> None:
    """Write ``path<TAB>number`` lines for photos that are files already, and ``x.classes.txt``."""
    if not isinstance(source, FolderDataset | ListDataset):
        raise UsageError(
            f"The photos of {source.spec} are not files that a list can name.",
            hint="Convert to a folder first.",
        )
    root = os.path.relpath(source.root.resolve(), target.parent.resolve())
    prefix = PurePosixPath(Path(root).as_posix())
    lines = []
    for index in range(len(source)):
        lines.append(f"{listable(str(prefix / source.name(index)))}\t{source.labels[index]}\n")
        progress(index + 1, len(source))
    require_free([target], source, overwrite=overwrite)
    _require_free_beside(target, (".classes.txt",), source, overwrite)
    write_file(target.with_suffix(".classes.txt"), class_lines(source.class_names, source.spec))
    write_file(target, "".join(lines).encode("utf-8", "surrogateescape"))


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


_WRITERS: Mapping[str, Callable[[FaceDataset, Path, Progress, bool], None]] = {
    "folder": write_folder,
    "rec": write_rec,
    "list": write_list,
    "tar": write_tar,
}


def named(source: FaceDataset, suffix: str | None = None) -> Iterator[tuple[int, str]]:
    """Photos ordered by person, each with a name ``person/file`` that no other has and no path escapes by.

    Args:
        source: The photos.
        suffix: What takes the place of each file's own suffix, e.g. ".jpg" for crops; None: it keeps its own.

    Raises:
        InputError: A person's or photo's name would leave the target folder or break a line.
    """
    order: NDArray[np.intp] = np.argsort(source.labels, kind="stable")
    person, used = -1, set[str]()
    for index in order.tolist():
        label = int(source.labels[index])
        if label != person:
            person, used = label, set()
        folder = source.class_names[label]
        file = PurePosixPath(source.name(index).replace("\\", "/")).name
        name = f"{folder}/{file}"
        if any(part in ("", ".", "..") for part in name.split("/")) or any(
            sign in name for sign in "\n\r\t\0"
        ):
            raise InputError(f"{name!r} in {source.spec} is no name that can be written.", hint="Rename it.")
        own = PurePosixPath(file if suffix is None else PurePosixPath(file).with_suffix(suffix))
        file, number = own.name, 1
        while file in used:  # asked of the name as it will be written, or 1.png would replace 1.jpg
            number += 1
            file = f"{own.stem}-{number}{own.suffix}"
        used.add(file)
        yield index, f"{folder}/{file}"


def _free(path: Path) -> Path:
    """``path``, or ``x-2.jpg`` where ``x.jpg`` is there already, as ``x`` that was given a suffix."""
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


def _require_free_beside(target: Path, suffixes: Sequence[str], source: FaceDataset, overwrite: bool) -> None:
    """Refuse to replace files that go with ``target``; the same class names may be there already."""
    names = target.with_suffix(".classes.txt")
    same = names.is_file() and names.read_bytes() == class_lines(source.class_names, source.spec)
    others = (target.with_suffix(suffix) for suffix in suffixes)
    free = (path for path in others if not (same and path == names))
    require_free(free, source, overwrite=overwrite)
