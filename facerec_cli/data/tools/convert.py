"""From one format to another without loss: the encoded bytes of every photo stay as they are.

Everything is written beside its place and moved there when it is whole, by the format's own module.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.data.decode import BrokenPhotoError
from facerec_cli.data.formats.rec.write import rec_files
from facerec_cli.data.subset import PhotoSubset
from facerec_cli.data.targets import require_free
from facerec_cli.data.tools.check import in_threads
from facerec_cli.errors import InputError, UsageError
from facerec_cli.images.suffixes import IMAGE_SUFFIXES
from facerec_cli.progress import Progress, silent
from facerec_cli.registry import DATASET_WRITERS, load
from facerec_cli.suggest import guess_or_list
from facerec_cli.wording import counted
from facerec_cli.workshop import clear_workshop

log = logging.getLogger("facerec")
_NAMED = 10  # photos that are left out, in warnings
# What a name with such an end is meant to be is a file.
_NO_FOLDER = frozenset(
    {".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".csv", ".json", ".jsonl", ".npy", ".npz"}
    | {".parquet", ".arrow", ".lmdb", ".mdb", ".tfrecord", ".tfrecords", ".idx", ".bin", ".h5", ".hdf5"}
    | {".pt", ".onnx"}
    | set(IMAGE_SUFFIXES)
)


def format_of(target: Path) -> str:
    """The format that a target's name asks for: .rec, .tar (a folder of shards), a list, else a folder.

    Raises:
        UsageError: It is the name of an archive or a file that is not written.
    """
    formats = {".rec": "rec", ".tar": "tar", ".txt": "list", ".tsv": "list", ".lst": "list"}
    if target.suffix.lower() in _NO_FOLDER and not target.is_dir():
        raise UsageError(
            f"{target} would be a folder: {target.suffix} is no format that is written.",
            hint="Name a new folder, x.rec, x.tar (a folder of shards) or x.txt; --to folder takes any name.",
        )
    return formats.get(target.suffix, "folder")


def readable(source: FaceDataset, progress: Progress = silent) -> FaceDataset:
    """The photos of ``source`` that can be decoded; warnings count the others and name the first of them.

    Args:
        source: What to read once.
        progress: Told of the photos looked at.

    Raises:
        InputError: None can be decoded.
    """

    def fault(index: int) -> str:
        try:
            source.image(index)
        except InputError as broken:
            return broken.message
        return ""

    faults = []
    for text in in_threads(fault, range(len(source))):
        faults.append(text)
        progress(len(faults), len(source))
    rows = np.flatnonzero([not text for text in faults])
    if len(rows) == len(source):
        return source
    if not len(rows):
        raise InputError(
            f"None of the {counted(len(source), 'photo')} of {source.spec} can be used: {faults[0]}",
            hint="`facerec data check` lists why not.",
        )
    broken = [text for text in faults if text]
    for text in broken[:_NAMED]:
        log.warning("left out: %s", text.rstrip("."))
    log.warning("%s left out; `facerec data check` lists them all", counted(len(broken), "photo"))
    return PhotoSubset(source, rows)


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
    if to not in DATASET_WRITERS:
        raise UsageError(f"There is no way to write {to!r}.", hint=guess_or_list(to, sorted(DATASET_WRITERS)))
    if source.weights is not None and to != "list":
        log.warning("The weights of %s are not kept: only a list has them.", source.spec)
    clear_workshop(target, rec_files(target) if to == "rec" else ())
    if not (target.is_dir() and not any(target.iterdir())):
        require_free([target], source, overwrite=overwrite and to in ("rec", "list"))
    try:
        load(DATASET_WRITERS, to, "format")(source, target, progress, overwrite)
    except BrokenPhotoError as fault:
        fault.hint = f"{fault.hint} --skip-broken leaves them out."
        raise
    return to
