"""Aligned face crops to compare, calibrate and measure networks on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.backbones import Preprocessing
from facerec_cli.errors import FacerecError, InputError, UsageError
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.progress import Progress, silent
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

COUNT = 128  # crops to calibrate on and to compare files by

Images = NDArray[np.uint8]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CropSet:
    """Crops and where they are from.

    Attributes:
        crops: (N, H, W, 3) uint8 BGR.
        origin: For a person.
        real: Whether they show faces.
    """

    crops: Images
    origin: str
    real: bool

    def some(self, count: int) -> CropSet:
        """At most ``count`` of them, from all over the set."""
        chosen = np.array(_spread(range(len(self.crops)), count))
        return replace(self, crops=self.crops[chosen])

    def __str__(self) -> str:
        return f"{len(self.crops)} {self.origin}"


@dataclass(frozen=True, slots=True)
class PairCrops:
    """The crops of a list of pairs.

    Attributes:
        pairs: The list.
        crops: (K, H, W, 3) uint8 BGR.
        row: (N,) int64, the crop of each photo of the list, -1 where no face was found.
    """

    pairs: PairList
    crops: Images
    row: NDArray[np.int64]


def from_folder(folder: Path, preprocessing: Preprocessing, *, aligned: bool) -> CropSet:
    """Crops of the central faces of a folder's photos.

    Args:
        folder: Searched below.
        preprocessing: What the crops are for.
        aligned: Whether the photos are aligned crops already.

    Raises:
        InputError: No face was found.
    """
    from facerec_cli.images import find_images

    photos = _spread(find_images([str(folder)]), COUNT)
    crops, _ = _cut(photos, preprocessing, aligned=aligned)
    if not len(crops):
        raise InputError(
            f"No face was found in {folder} ({counted(len(photos), 'photo')}).",
            hint="If they are aligned crops already, say --aligned.",
        )
    return CropSet(crops, f"crops of {folder.name or folder}", real=True)


def from_training_data(spec: str, preprocessing: Preprocessing) -> CropSet | None:
    """Crops of the data that a checkpoint was trained on, or None where it is not here any more."""
    from facerec_cli.data import open_dataset

    if not spec:
        return None
    try:
        dataset = open_dataset(spec)
        chosen = _spread(range(len(dataset)), COUNT)
        images = [dataset.image(i)[..., ::-1] for i in chosen]
    except FacerecError as fault:
        log.debug("the training data cannot be used for the parity check: %s", fault)
        return None
    crops = np.stack([_fitted(image, preprocessing.size) for image in images])
    return CropSet(crops, "crops of the training data", real=not spec.startswith("synthetic:"))


def generated(preprocessing: Preprocessing) -> CropSet:
    """Made-up crops, the same on every machine; they show no faces."""
    from facerec_cli.data.formats.synthetic import SyntheticDataset

    dataset = SyntheticDataset(32, 1)
    crops = np.stack([_fitted(dataset.image(i)[..., ::-1], preprocessing.size) for i in range(len(dataset))])
    return CropSet(crops, "generated crops, which show no faces", real=False)


def from_pairs(
    path: Path,
    preprocessing: Preprocessing,
    *,
    root: Path | None = None,
    aligned: bool = False,
    progress: Progress = silent,
) -> PairCrops:
    """The crops of a list of pairs, cut as ``facerec verify`` cuts them.

    Raises:
        InputError: The list cannot be read or none of its photos shows a face.
        UsageError: It compares templates.
    """
    from facerec_cli.pairs.read import read_pairs

    pairs = read_pairs(path, root=root)
    if pairs.templates is not None:
        raise UsageError(f"{path} compares templates.", hint="Give --pairs a list of pairs of photos.")
    crops, row = _cut(pairs.images, preprocessing, aligned=aligned or pairs.aligned, progress=progress)
    if not len(crops):
        raise InputError(
            f"None of the photos of {path} shows a face.",
            hint="If they are aligned crops already, say --aligned.",
        )
    return PairCrops(pairs, crops, row)


def _cut(
    photos: Sequence[str | Path | bytes],
    preprocessing: Preprocessing,
    *,
    aligned: bool,
    progress: Progress = silent,
) -> tuple[Images, NDArray[np.int64]]:
    """One face of each photo, the one that verification would take, and which crop is whose."""
    from facerec_cli.embed.pipeline import embed_photos
    from facerec_cli.embed.settings import EmbedOptions
    from facerec_cli.faces import open_model
    from facerec_cli.images import quiet_decoders

    model = open_model("pack:sface", device="cpu", threads=1)
    cut = (model.pack.encoder.input_size, model.pack.encoder.template)
    assert cut == (preprocessing.size, preprocessing.template), "all backbones take the default pack's crops"
    found: dict[int, Images] = {}

    options = EmbedOptions(faces="main", aligned=aligned)
    with quiet_decoders():
        results = embed_photos(photos, model, options, keep_crops=True)
        for at, result in enumerate(results):
            if result.faces and result.faces[0].crop is not None:
                found[at] = result.faces[0].crop
            progress(at + 1, len(photos))
    row = np.full(len(photos), -1, np.int64)
    row[list(found)] = range(len(found))
    width, height = preprocessing.size
    return np.stack(list(found.values())) if found else np.zeros((0, height, width, 3), np.uint8), row


def _spread(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` items from all over the list."""
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else list(items)


def _fitted(image: Images, size: tuple[int, int]) -> Images:
    if image.shape[1::-1] == size:
        return np.ascontiguousarray(image)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
