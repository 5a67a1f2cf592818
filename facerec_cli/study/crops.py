"""The photos of a study as aligned crops, cut once and kept in a folder that several studies may share.

``sources.json`` there says what each crop was cut from and how, so that another photo of the same name, or
another rule for the face, is cut anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.data.subset import PhotoSubset
from facerec_cli.data.targets import named
from facerec_cli.errors import InputError, UsageError
from facerec_cli.files import write_file, writing
from facerec_cli.locks import exclusive
from facerec_cli.progress import Progress, silent
from facerec_cli.registry import DEFAULT_PACK

logger = logging.getLogger("facerec")
SIDE = 112
SOURCES, _LOCK = "sources.json", ".lock"


def cut_crops(
    dataset: FaceDataset,
    rows: NDArray[np.int64],
    folder: Path,
    *,
    aligned: bool,
    faces: str,
    progress: Progress = silent,
) -> dict[int, str]:
    """Photo number -> its crop's path in ``folder``; photos without a face are left out.

    Args:
        dataset: All photos.
        rows: Numbers of the photos that are needed.
        folder: Crops that are there already are kept, if they were cut from the same photos.
        aligned: The photos are crops and are copied.
        faces: Which face of several.
        progress: Told of the photos done.

    Raises:
        InputError: A photo's name cannot be written, or most photos have no face.
        UsageError: The folder holds photos of somebody else's.
        OutputError: It cannot be written.
    """
    part = PhotoSubset(dataset, np.unique(rows))
    paths = {int(part.rows[index]): name for index, name in named(part, None if aligned else ".jpg")}
    rule = "copied" if aligned else faces
    sources = {name: f"{rule} {_digest(dataset, i)}" for i, name in paths.items()}
    hint = "Or choose another --crops."
    with ExitStack() as stack:
        with writing(folder, what="folder of crops", hint=hint):
            # another study may cut the same ones
            stack.enter_context(exclusive(folder / _LOCK, patience=math.inf))
        _cut(part, folder, paths, sources, None if aligned else faces, progress)
    found = {i: name for i, name in paths.items() if (folder / name).is_file()}
    if len(found) < len(paths):
        logger.warning("%d of %d photos give no crop and are left out", len(paths) - len(found), len(paths))
    if 2 * len(found) < len(paths):
        raise InputError(
            f"Only {len(found):,} of {len(paths):,} photos of {dataset.spec} give a crop.",
            hint="Crops of 112 x 112 that are aligned already need aligned = true in [study].",
        )
    return found


def _cut(
    part: PhotoSubset,
    folder: Path,
    paths: Mapping[int, str],
    sources: Mapping[str, str],
    faces: str | None,
    progress: Progress,
) -> None:
    """Bring ``folder`` to where ``sources`` says, and keep that for the next time, also if interrupted."""
    record = folder / SOURCES
    if not record.is_file():
        if any((folder / name).exists() for name in paths.values()):
            raise UsageError(
                f"{folder} holds photos of the same names that no study put there.",
                hint="Choose an empty folder for --crops, or that of another study.",
            )
        write_file(record, b"{}")  # from here on they are ours to replace
    try:
        known = json.loads(record.read_text("utf-8"))
    except ValueError:
        known = {}
    for name, source in sources.items():
        if known.get(name) != source:
            (folder / name).unlink(missing_ok=True)
    missing = {i: folder / name for i, name in paths.items() if not (folder / name).is_file()}
    if not missing:
        return
    try:
        if faces is None:
            _copy(part.whole, missing, progress)
        else:
            from facerec_cli.data.tools.align import align
            from facerec_cli.faces import open_model
            from facerec_cli.images import quiet_decoders

            with quiet_decoders():
                align(part, folder, open_model(DEFAULT_PACK), faces=faces, resume=True, progress=progress)
    finally:
        known |= {name: source for name, source in sources.items() if (folder / name).is_file()}
        write_file(record, json.dumps(known).encode())


def _digest(dataset: FaceDataset, index: int) -> str:
    """sha256 of a photo's bytes; "" where it cannot be read."""
    try:
        return hashlib.sha256(dataset.read(index)).hexdigest()
    except (OSError, InputError):
        return ""


def _copy(dataset: FaceDataset, targets: Mapping[int, Path], progress: Progress) -> None:
    """Copy aligned crops; one that is no picture is left out, as a photo without a face is."""
    for done, (index, target) in enumerate(targets.items(), 1):
        try:
            shape = dataset.image(index).shape
        except InputError as fault:
            logger.debug("%s", fault.message)
            continue
        if shape != (SIDE, SIDE, 3):
            raise InputError(
                f"{dataset.name(index)} has {shape[1]} x {shape[0]} pixels and is no aligned crop.",
                hint="Leave aligned out of [study], and the faces are found and aligned.",
            )
        write_file(target, dataset.read(index))
        progress(done, len(targets))


def read_crops(folder: Path, paths: Sequence[str]) -> NDArray[np.uint8]:
    """(N, 112, 112, 3) uint8 RGB.

    Raises:
        InputError: One cannot be read.
    """
    from facerec_cli.data.decode import decode_rgb

    crops = np.empty((len(paths), SIDE, SIDE, 3), np.uint8)
    for row, path in enumerate(paths):
        try:
            crops[row] = decode_rgb((folder / path).read_bytes(), path)
        except (OSError, ValueError, InputError) as fault:
            raise InputError(
                f"The crop {folder / path} cannot be used: {fault}.", hint="Delete it."
            ) from fault
    return crops
