"""Photos on disk: which files are photos, what their headers say, and their pixels, upright and BGR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.lazy import lazy_names

if TYPE_CHECKING:
    from facerec_cli.images.encoded import ImageError, read_encoded
    from facerec_cli.images.inputs import find_images
    from facerec_cli.images.limits import MAX_PIXELS
    from facerec_cli.images.photo import REDUCTIONS, Photo, open_photo, photo_of, read_image
    from facerec_cli.images.quiet import quiet_decoders
    from facerec_cli.images.samples import shrink
    from facerec_cli.images.suffixes import IMAGE_SUFFIXES, is_photo_name

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "REDUCTIONS",
    "ImageError",
    "Photo",
    "find_images",
    "is_photo_name",
    "open_photo",
    "photo_of",
    "quiet_decoders",
    "read_encoded",
    "read_image",
    "shrink",
]

__getattr__ = lazy_names(
    __name__,
    {
        "IMAGE_SUFFIXES": "facerec_cli.images.suffixes",
        "ImageError": "facerec_cli.images.encoded",
        "MAX_PIXELS": "facerec_cli.images.limits",
        "Photo": "facerec_cli.images.photo",
        "REDUCTIONS": "facerec_cli.images.photo",
        "find_images": "facerec_cli.images.inputs",
        "is_photo_name": "facerec_cli.images.suffixes",
        "open_photo": "facerec_cli.images.photo",
        "photo_of": "facerec_cli.images.photo",
        "quiet_decoders": "facerec_cli.images.quiet",
        "read_encoded": "facerec_cli.images.encoded",
        "read_image": "facerec_cli.images.photo",
        "shrink": "facerec_cli.images.samples",
    },
)
