"""Photos on disk: which files are photos, what their headers say, and their pixels, upright and BGR."""

from __future__ import annotations

from facerec_cli.images.find import IMAGE_SUFFIXES, find_images
from facerec_cli.images.photo import (
    MAX_PIXELS,
    REDUCTIONS,
    ImageError,
    Photo,
    open_photo,
    quiet_decoders,
    read_image,
    shrink,
)

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "REDUCTIONS",
    "ImageError",
    "Photo",
    "find_images",
    "open_photo",
    "quiet_decoders",
    "read_image",
    "shrink",
]
