"""Writing ``.rec`` in insightface's layout."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np

from facerec_cli.data.dataset import FaceDataset, class_lines
from facerec_cli.data.formats.rec.recordio import frame, pack
from facerec_cli.data.targets import named, require_free_beside
from facerec_cli.errors import UsageError
from facerec_cli.files import writing
from facerec_cli.progress import Progress, silent
from facerec_cli.workshop import move, workshop

_SUFFIXES = (".idx", ".lst", ".classes.txt", ".rec")
_EXACT = 2**24  # identity records hold their ranges in float32


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
    *places, beside_property = rec_files(target)
    with workshop(target, rec_files(target)) as folder:
        differs = not beside_property.is_file() or beside_property.read_text() != property_text
        if beside_property.is_file() and differs and not (overwrite and target.exists()):
            raise UsageError(f"{beside_property} belongs to another .rec.", hint="Write to a new folder.")
        require_free_beside(target, _SUFFIXES, source, overwrite)
        made = {suffix: folder / target.with_suffix(suffix).name for suffix in _SUFFIXES}
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
    return [*(target.with_suffix(suffix) for suffix in _SUFFIXES), target.parent / "property"]


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
