"""Photos for the kit: crops that are given or made up, and a ``.rec`` of them with many classes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import ClassNumbers
from facerec_cli.data.formats.rec.write import write_rec
from facerec_cli.data.formats.synthetic import SyntheticDataset
from facerec_cli.images import find_images, open_photo

SIDE = 112
_DIFFERENT = 256  # photos that a .rec repeats; their decoding costs what that of as many others would


def crops(count: int, folder: Path | None) -> list[NDArray[np.uint8]]:
    """``count`` crops, (112, 112, 3) uint8 BGR, of the photos in ``folder`` or made up.

    Photos are scaled whole: they should be square crops of faces.
    """
    if folder is None:
        # Smoothed, so that a JPEG of it is no larger than one of a face.
        photos = SyntheticDataset(count, 1)
        return [cv2.GaussianBlur(photos.image(number)[..., ::-1], (0, 0), 1.0) for number in range(count)]  # type: ignore[misc]
    paths = find_images([str(folder)])[:count]
    images = [open_photo(path).decode() for path in paths]
    return [cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for image in images]  # type: ignore[misc]


class JpegPhotos(SyntheticDataset):
    """JPEGs of a few hundred crops again and again, their people spread over many classes.

    Args:
        jpegs: The encoded photos.
        count: Photos.
        classes: Classes; where there are more than photos, most of them have none.
    """

    def __init__(self, jpegs: list[bytes], count: int, classes: int) -> None:
        super().__init__(1, 1)
        self.spec = "made photos"
        self._jpegs = jpegs
        self.labels = np.arange(count, dtype=np.int64) * classes // count
        self.class_names = ClassNumbers(classes)

    def read(self, index: int) -> bytes:
        """One of the JPEGs."""
        return self._jpegs[index % len(self._jpegs)]

    def name(self, index: int) -> str:
        """``class/number.jpg``."""
        return f"{self.labels[index]}/{index:08d}.jpg"


def make_rec(folder: Path, count: int, classes: int, photos: Path | None) -> Path:
    """Write a ``.rec`` of ``count`` JPEGs of 112 x 112, quality 95, by facerec's own writer."""
    made = crops(min(count, _DIFFERENT), photos)
    jpegs = [cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes() for crop in made]
    path = folder / "photos.rec"
    write_rec(JpegPhotos(jpegs, count, classes), path)
    return path
