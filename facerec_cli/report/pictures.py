"""Pictures inside a page: as addresses that hold them, so that the page needs no other file."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from numpy.typing import NDArray


def jpeg_address(image: NDArray[np.uint8], quality: int = 82) -> str:
    """A (H, W, 3) uint8 BGR picture as ``data:image/jpeg;base64,...``."""
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return data_address(encoded.tobytes(), "jpeg")


def data_address(data: bytes, kind: str) -> str:
    """The bytes of a picture's file as ``data:image/<kind>;base64,...``."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def resized(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The picture with ``side`` pixels on its longer side; a smaller one is enlarged."""
    scale = side / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)
