"""The photos of a study as aligned crops, cut once and kept in a folder that several studies may share."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from facerec_cli.datasets.base import FaceDataset
from facerec_cli.datasets.convert import named
from facerec_cli.errors import InputError
from facerec_cli.progress import Progress, silent

logger = logging.getLogger("facerec")
SIDE = 112


class Part(FaceDataset):
    """Some photos of a data set, under their own names and labels."""

    format = "part"

    def __init__(self, whole: FaceDataset, rows: NDArray[np.int64]) -> None:
        self.whole, self.rows = whole, rows
        self.spec = whole.spec
        self.labels = whole.labels[rows]
        self.class_names = whole.class_names

    def read(self, index: int) -> bytes:
        """The encoded photo."""
        return self.whole.read(int(self.rows[index]))

    def name(self, index: int) -> str:
        """Its name in the whole."""
        return self.whole.name(int(self.rows[index]))


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
        folder: Crops that are there already are kept.
        aligned: The photos are crops and are copied.
        faces: Which face of several.
        progress: Told of the photos done.

    Raises:
        InputError: A photo's name cannot be written, or most photos have no face.
    """
    part = Part(dataset, np.unique(rows))
    whose = {int(part.rows[index]): name for index, name in named(part)}
    paths = whose if aligned else {i: str(PurePosixPath(n).with_suffix(".jpg")) for i, n in whose.items()}
    missing = np.array([i for i, name in paths.items() if not (folder / name).is_file()], np.int64)
    if len(missing):
        if aligned:
            _copy(dataset, {i: folder / paths[i] for i in missing.tolist()}, progress)
        else:
            from facerec_cli.datasets.align import align
            from facerec_cli.faces import open_model
            from facerec_cli.images import quiet_decoders

            with quiet_decoders():
                align(part, folder, open_model("sface"), faces=faces, resume=True, progress=progress)
    found = {i: name for i, name in paths.items() if (folder / name).is_file()}
    if len(found) < len(paths):
        logger.warning("%d of %d photos give no crop and are left out", len(paths) - len(found), len(paths))
    if 2 * len(found) < len(paths):
        raise InputError(
            f"Only {len(found):,} of {len(paths):,} photos of {dataset.spec} give a crop.",
            hint="Crops of 112 x 112 that are aligned already need aligned = true in [study].",
        )
    return found


def _copy(dataset: FaceDataset, targets: dict[int, Path], progress: Progress) -> None:
    from facerec_cli.datasets.evaluation import write_at_once

    for done, (index, target) in enumerate(targets.items(), 1):
        shape = dataset.image(index).shape
        if shape != (SIDE, SIDE, 3):
            raise InputError(
                f"{dataset.name(index)} has {shape[1]} x {shape[0]} pixels and is no aligned crop.",
                hint="Leave aligned out of [study], and the faces are found and aligned.",
            )
        write_at_once(target, dataset.read(index))
        progress(done, len(targets))


def read_crops(folder: Path, paths: Sequence[str]) -> NDArray[np.uint8]:
    """(N, 112, 112, 3) uint8 RGB.

    Raises:
        InputError: One cannot be read.
    """
    from facerec_cli.datasets.decode import decode_rgb

    crops = np.empty((len(paths), SIDE, SIDE, 3), np.uint8)
    for row, path in enumerate(paths):
        try:
            crops[row] = decode_rgb((folder / path).read_bytes(), path)
        except (OSError, ValueError) as fault:
            raise InputError(
                f"The crop {folder / path} cannot be used: {fault}.", hint="Delete it."
            ) from fault
    return crops
