"""Reading a photo: bytes to upright (H, W, 3) uint8 BGR pixels, with every bad file named for what it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.images import jpeg
from facerec_cli.images.encoded import ImageError, no_photo, read_encoded
from facerec_cli.images.headers import ImageHeader, read_header
from facerec_cli.images.limits import MAX_PIXELS, max_memory, room
from facerec_cli.images.samples import Image, as_bgr8, shrink
from facerec_cli.images.suffixes import UNREAD_SUFFIXES, suffix_of
from facerec_cli.sniff import HEAD, RAW

REDUCTIONS = (1, 2, 4, 8)
"""By what a photo's sides can be divided while it is decoded."""

_FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_RGB: int | None = getattr(cv2, "IMREAD_COLOR_RGB", None)  # from OpenCV 4.11 on


@dataclass(frozen=True, slots=True)
class Photo:
    """An encoded photo whose header has been checked.

    Attributes:
        name: What the user calls it.
        data: The encoded file; of a JPEG without its end marker, with it.
        header: Format and stored size.
    """

    name: str
    data: bytes
    header: ImageHeader

    def decode(self, reduction: int = 1) -> Image:
        """Decode the photo.

        Orientation from EXIF is applied, gray becomes BGR, 16-bit and float values are scaled to 0..255,
        alpha is dropped.

        Args:
            reduction: One of ``REDUCTIONS``: the sides are divided by it (area averages).

        Returns:
            (H, W, 3) uint8 BGR, upright; pixel (x, y) covers the ``reduction`` x ``reduction`` pixels of the
            full photo from (x * reduction, y * reduction) on.

        Raises:
            ImageError: The pixels cannot be decoded.
        """
        kind = self.header.format
        if kind == "heic":
            if find_spec("pillow_heif") is None:
                reason = "HEIC needs pillow-heif: pip install 'facerec-cli[heic]', or convert it to JPEG"
                raise ImageError("unreadable", reason, name=self.name)
            return self._guarded(lambda: shrink(as_bgr8(_heic(self.data)), reduction))
        if kind == "jpeg":  # which is averaged while it is decoded
            return self._guarded(lambda: _opencv(self.data, _FLAGS[reduction]))
        flag = cv2.IMREAD_UNCHANGED if kind == "float tiff" else _FLAGS[1]  # which refuses floats
        return self._guarded(lambda: shrink(as_bgr8(_opencv(self.data, flag)), reduction))

    def decode_rgb(self) -> Image:
        """The whole photo as :meth:`decode` gives it, but (H, W, 3) uint8 RGB.

        A JPEG has its channels in this order as it is decoded: turning them round afterwards is a twentieth
        of the time that a small crop takes.

        Raises:
            ImageError: The pixels cannot be decoded.
        """
        if self.header.format == "jpeg" and _RGB is not None:
            return self._guarded(lambda: _opencv(self.data, _RGB))
        image = self.decode()
        into = image if image.flags.writeable else None  # in place: photos are large
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=into), np.uint8)

    def upright_size(self, image: Image) -> tuple[int, int]:
        """(width, height) of the whole photo, given the outcome of ``decode`` at any reduction.

        EXIF may have swapped the sides; the shape of the decoded pixels tells. Where it does not (see
        ``rounded_to_square``) the whole photo is decoded.

        Raises:
            ImageError: The whole photo cannot be decoded.
        """
        width, height = self.header.width, self.header.height
        if self.rounded_to_square(image):
            image = self.decode()
        swapped = (image.shape[1] > image.shape[0]) != (width > height)
        return (height, width) if swapped else (width, height)

    def rounded_to_square(self, image: Image) -> bool:
        """Whether an outcome of ``decode`` no longer shows which side is the longer one."""
        return self.header.width != self.header.height and image.shape[0] == image.shape[1]

    def _guarded(self, decode: Callable[[], Image]) -> Image:
        """Call a decoder, here and nowhere else: whatever it raises is this photo's fault, not the run's."""
        try:
            return decode()
        except MemoryError as error:
            raise self._no_memory() from error
        except cv2.error as error:
            if error.code == cv2.Error.StsNoMem:
                raise self._no_memory() from error
            raise self._damaged(f"OpenCV cannot decode it: {error.err}") from error
        except Exception as error:  # damaged files make decoders raise whatever there is
            raise self._damaged(
                f"the {self.header.format} data is damaged or of a kind that the decoder lacks"
                + (f": {error}" if str(error) else "")
            ) from error

    def _no_memory(self) -> ImageError:
        reason = f"not enough memory for {self.header.width} x {self.header.height} pixels"
        return ImageError("too_large", reason, name=self.name)

    def _damaged(self, reason: str) -> ImageError:
        return ImageError("unreadable", " ".join(reason.split()), name=self.name)


def _opencv(data: bytes, flag: int) -> NDArray[Any]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if image is None:
        raise ValueError
    return image


def _heic(data: bytes) -> NDArray[Any]:
    heif = import_module("pillow_heif")
    return np.asarray(heif.open_heif(data, convert_hdr_to_8bit=True, bgr_mode=True))


def open_photo(source: str | os.PathLike[str] | bytes, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read an encoded photo and check its header; no pixel is decoded, unless a JPEG lacks its end marker.

    Args:
        source: A path, a URL (see ``images.remote``), or the encoded bytes.
        max_pixels: Photos with more pixels than this are refused, and so are those that would take more than
            ``memory.max_memory`` of it.

    Raises:
        ImageError: The file is missing, empty, unreadable, no image, or too large.
    """
    if isinstance(source, bytes):
        return photo_of(source, "photo", max_pixels)
    return photo_of(read_encoded(source), os.fspath(source), max_pixels)


def photo_of(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Photo:
    """The same for encoded bytes that have a name.

    Raises:
        ImageError: The bytes are empty, no image, truncated or too large.
    """
    if not data:
        raise ImageError("empty", "the file is empty", name=name)
    try:
        header = read_header(data)
    except ValueError as error:
        raise ImageError("unreadable", str(error), name=name) from error
    if header is None:
        raise ImageError("unreadable", no_photo(data[:HEAD], name), name=name)
    if header.format == "raw tiff" or (
        header.format.endswith("tiff") and UNREAD_SUFFIXES.get(suffix_of(name)) == RAW
    ):  # OpenCV would find the thumbnail
        raise ImageError("unreadable", "; ".join(RAW), name=name)
    if header.width * header.height > max_pixels or len(data) + header.memory() > max_memory(max_pixels):
        raise _too_large(data, name, header, max_pixels)
    if header.fault:
        raise ImageError("unreadable", header.fault, name=name)
    if header.frame is not None and not jpeg.has_end(data, header.frame):
        data = _with_end(data, header, header.frame, name)
    return Photo(name, data, header)


def _too_large(data: bytes, name: str, header: ImageHeader, max_pixels: int) -> ImageError:
    pixels = f"{header.width} x {header.height} pixels"
    if header.width * header.height > max_pixels:
        return ImageError("too_large", f"{pixels}, more than the limit of {max_pixels:,}", name=name)
    memory = (len(data) + header.memory()) / 1e9
    reason = (
        f"{pixels} of this kind of {header.format} take {memory:,.1f} GB, more than the limit of "
        f"{max_memory(max_pixels) / 1e9:,.1f}"
    )
    return ImageError("too_large", reason, name=name)


def _with_end(data: bytes, header: ImageHeader, frame: jpeg.Frame, name: str) -> bytes:
    """A JPEG that does not end as it should, so that it does, if all its pixels are there.

    Raises:
        ImageError: They are not.
    """

    def decode(mended: bytes) -> Image:
        with room.take(header.memory()):
            return Photo(name, mended, header).decode()

    whole = jpeg.with_end(data, frame, decode)
    if whole is None:
        raise ImageError("unreadable", "the JPEG ends early; copy or download it again", name=name)
    return whole


def read_image(source: str | os.PathLike[str] | bytes, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Read a photo: EXIF orientation applied, gray, 16-bit, float and alpha brought to 8-bit BGR.

    Args:
        source: A path, or the encoded bytes.
        max_pixels: Photos with more pixels than this are refused before they are decoded.

    Returns:
        (H, W, 3) uint8 BGR, upright.

    Raises:
        ImageError: See ``open_photo`` and ``Photo.decode``; ``status`` says which kind.
    """
    return open_photo(source, max_pixels=max_pixels).decode()
