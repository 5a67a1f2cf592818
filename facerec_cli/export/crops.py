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
from facerec_cli.errors import FacerecError, InputError
from facerec_cli.faces import FaceModel, open_model
from facerec_cli.verify.pair_crops import cut_main_faces
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
        rows = np.array(_spread(range(len(self.crops)), count))
        return replace(self, crops=self.crops[rows])

    def __str__(self) -> str:
        return f"{len(self.crops)} {self.origin}"


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
    crops, missing = cut_main_faces(photos, open_cutter(preprocessing), aligned=aligned)
    if missing.all():
        raise InputError(
            f"No face was found in {folder} ({counted(len(photos), 'photo')}).",
            hint="If they are aligned crops already, say --aligned.",
        )
    return CropSet(crops[~missing], f"crops of {folder.name or folder}", real=True)


def from_training_data(specs: Sequence[str], preprocessing: Preprocessing) -> CropSet | None:
    """Crops of the first data set that a checkpoint was trained on and that is still here, or None."""
    found = (_of_data_set(spec, preprocessing) for spec in specs)
    return next((crops for crops in found if crops is not None), None)


def _of_data_set(spec: str, preprocessing: Preprocessing) -> CropSet | None:
    from facerec_cli.data import open_dataset

    if not spec:
        return None
    try:
        dataset = open_dataset(spec)
        rows = _spread(range(len(dataset)), COUNT)
        images = [dataset.image(row)[..., ::-1] for row in rows]
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


def open_cutter(preprocessing: Preprocessing) -> FaceModel:
    """The default pack, which cuts the crops that every backbone takes."""
    model = open_model("pack:sface", device="cpu", threads=1)
    cut = (model.input_size, model.pack.encoder.template)
    assert cut == (preprocessing.size, preprocessing.template), "all backbones take the default pack's crops"
    return model


def _spread(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` items from all over the list."""
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else list(items)


def _fitted(image: Images, size: tuple[int, int]) -> Images:
    if image.shape[1::-1] == size:
        return np.ascontiguousarray(image)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
