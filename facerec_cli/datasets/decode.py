"""Encoded photo in, RGB array out: the one decoder of the training path.

OpenCV decodes: see docs/data.md for the measurement against torchvision and Pillow.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError


class BrokenPhotoError(InputError):
    """A single photo of a data set that cannot be read or decoded; training skips and counts it."""


def decode_rgb(data: bytes | memoryview, name: str) -> NDArray[np.uint8]:
    """Decode a JPEG, PNG, WebP or BMP.

    Args:
        data: The encoded file.
        name: What to call it in the error.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        BrokenPhotoError: It is empty, truncated beyond use or no photo at all.
    """
    if len(data) == 0:
        raise BrokenPhotoError(f"{name} is empty.")
    if not _ends_whole(data):
        raise BrokenPhotoError(f"{name} is truncated.")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as fault:
        raise BrokenPhotoError(f"{name} cannot be decoded ({fault.err}).") from fault
    if image is None:
        raise BrokenPhotoError(f"{name} cannot be decoded; it is not a whole JPEG, PNG, WebP or BMP.")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)  # type: ignore[return-value]


def _ends_whole(data: bytes | memoryview) -> bool:
    """False for a JPEG or PNG without its end, which OpenCV would fill up with grey."""
    data = bytes(data)
    if data.startswith(b"\xff\xd8"):
        return data.rfind(b"\xff\xd9", len(data) // 2) >= 0  # the first half may hold a thumbnail's end
    return not data.startswith(b"\x89PNG") or data.rfind(b"IEND", len(data) // 2) >= 0
