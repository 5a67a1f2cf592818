"""Pictures of faces for a page, cut out of their photos."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.surroundings import around
from facerec_cli.faces.views import reduction_for, room_for
from facerec_cli.images import ImageError, open_photo
from facerec_cli.images.remote import is_url
from facerec_cli.images.samples import Image
from facerec_cli.report.pictures import resized

SIDE = 112  # pixels
_AROUND, _QUALITY = 0.3, 78


class FacePictures:
    """The faces of photos as JPEG; one photo after another is fastest.

    Args:
        paths: F, the photo of each face. None on a network is opened.
        boxes: (F, 4) float32, in pixels of the upright photo; NaN where the photo is the face.
    """

    def __init__(self, paths: Sequence[str], boxes: NDArray[np.float32]) -> None:
        self._paths, self._boxes = paths, boxes
        self._decoded = lru_cache(2)(_decoded)  # the faces of one photo are asked for one after another

    def __call__(self, face: int) -> bytes | None:
        """The JPEG of a face, ``SIDE`` pixels on its longer side; None where its photo cannot be read."""
        path, box = self._paths[face], self._boxes[face].astype(float)
        if not path or is_url(path):
            return None
        known = bool(np.isfinite(box).all())
        side = max(box[2] - box[0], box[3] - box[1], 1.0) * (1 + 2 * _AROUND) if known else 0.0
        try:
            image, reduction = self._decoded(path, side)
        except ImageError:
            return None
        part = around(image, (box / reduction).tolist(), _AROUND) if known else image
        return cv2.imencode(".jpg", resized(part, SIDE), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()


def _decoded(path: str, side: float) -> tuple[Image, int]:
    """A photo at the scale at which ``side`` of its pixels, or else all of it, are enough for a picture."""
    photo = open_photo(path)
    whole = max(photo.header.width, photo.header.height)
    reduction = reduction_for(min(1.0, SIDE / (side or whole)))
    with room_for(photo, reduction):
        return photo.decode(reduction), reduction
