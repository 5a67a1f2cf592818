"""Encoded photo in, RGB array out: how training reads photos, with the decoder of all other commands.

OpenCV decodes: see docs/data.md for the measurement against torchvision and Pillow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec_cli.images import ImageError, photo_of, read_encoded


class BrokenPhotoError(ImageError):
    """A single photo of a data set that cannot be read or decoded; training skips and counts it.

    Args:
        message: A sentence that names it.
        status: As of every ``ImageError``.
    """

    def __init__(self, message: str, *, status: str = "unreadable") -> None:
        super().__init__(status, message)
        self.hint = "`facerec data check` lists every photo that cannot be used."


def decode_rgb(data: bytes | memoryview, name: str) -> NDArray[np.uint8]:
    """Decode a photo of any format that can be read (``images.suffixes``).

    Args:
        data: The encoded file.
        name: What to call it in the error.

    Returns:
        (H, W, 3) uint8 RGB, upright.

    Raises:
        BrokenPhotoError: It is empty, truncated, too large or no photo at all.
    """
    try:
        return photo_of(data if isinstance(data, bytes) else bytes(data), name).decode_rgb()
    except ImageError as fault:
        raise BrokenPhotoError(f"{name} cannot be used: {fault.reason}.", status=fault.status) from fault


def read_photo(path: str, name: str) -> bytes:
    """The bytes of a photo's file; pipes and devices are not waited for.

    Args:
        path: Where it is.
        name: What to call it in the error.

    Raises:
        BrokenPhotoError: It cannot be read.
    """
    try:
        return read_encoded(path)
    except ImageError as fault:
        raise BrokenPhotoError(f"{name} cannot be read: {fault.reason}.", status=fault.status) from fault
