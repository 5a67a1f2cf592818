"""Reading a photo: bytes to upright (H, W, 3) uint8 BGR pixels, with every bad file named for what it is."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.images.headers import Header, read_header
from facerec_cli.images.remote import is_url, read_url

MAX_PIXELS = 200_000_000
"""The largest photo that is decoded: as many pixels as the largest phone cameras give."""

MAX_BYTES = 1 << 30
"""The largest file that is read; an uncompressed photo of ``MAX_PIXELS`` stays below it."""

REDUCTIONS = (1, 2, 4, 8)
"""By what a photo's sides can be divided while it is decoded."""

_FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}

Image = NDArray[np.uint8]


class ImageError(InputError):
    """A photo that cannot be used.

    Args:
        status: One word for tables: missing, empty, unreadable or too_large.
        reason: What is wrong with it, without its name.
        name: What the user calls it.
    """

    def __init__(self, status: str, reason: str, *, name: str = "") -> None:
        super().__init__(f"{name}: {reason}" if name else reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Photo:
    """An encoded photo whose header has been checked.

    Attributes:
        name: What the user calls it.
        data: The encoded file.
        header: Format and stored size.
    """

    name: str
    data: bytes
    header: Header

    def decode(self, reduction: int = 1) -> Image:
        """Decode the photo.

        Orientation from EXIF is applied, grey becomes BGR, 16-bit and float values are scaled to 0..255,
        alpha is dropped.

        Args:
            reduction: One of ``REDUCTIONS``: the sides are divided by it (area averages).

        Returns:
            (H, W, 3) uint8 BGR, upright; pixel (x, y) covers the ``reduction`` x ``reduction`` pixels of the
            full photo from (x * reduction, y * reduction) on.

        Raises:
            ImageError: The pixels cannot be decoded.
        """
        if self.header.format == "heic":
            return shrink(self._decode_heic(), reduction)
        if self.header.format == "jpeg" and self.data.find(b"\xff\xd9", self.header.scan) < 0:
            raise self._unreadable("the JPEG ends early; copy or download it again")
        scaled = self.header.format == "jpeg"
        floats = self.header.format == "float tiff"  # which IMREAD_COLOR refuses
        image = self._opencv(cv2.IMREAD_UNCHANGED if floats else _FLAGS[reduction if scaled else 1])
        if image is None:
            raise self._unreadable(f"the {self.header.format} data is damaged or of a kind that OpenCV lacks")
        return np.asarray(image, np.uint8) if scaled else shrink(_as_bgr8(image), reduction)

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

    def _opencv(self, flag: int) -> Any:
        try:
            return cv2.imdecode(np.frombuffer(self.data, np.uint8), flag)
        except cv2.error as error:
            raise self._unreadable(f"OpenCV cannot decode it: {error.err}") from error
        except MemoryError as error:
            width, height = self.header.width, self.header.height
            reason = f"not enough memory for {width} x {height} pixels"
            raise ImageError("too_large", reason, name=self.name) from error

    def _decode_heic(self) -> Image:
        if find_spec("pillow_heif") is None:
            raise self._unreadable(
                "HEIC needs pillow-heif: pip install 'facerec-cli[heic]', or convert it to JPEG"
            )
        heif = import_module("pillow_heif")
        try:
            opened = heif.open_heif(self.data, convert_hdr_to_8bit=True, bgr_mode=True)
            return _as_bgr8(np.asarray(opened))
        except (ValueError, RuntimeError, EOFError, SyntaxError) as error:
            raise self._unreadable(f"the HEIC data is damaged: {error}") from error

    def _unreadable(self, reason: str) -> ImageError:
        return ImageError("unreadable", reason, name=self.name)


def open_photo(source: str | os.PathLike[str] | bytes, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read an encoded photo and check its header; no pixel is decoded yet.

    Args:
        source: A path, a URL (see ``images.remote``), or the encoded bytes.
        max_pixels: Photos with more pixels than this are refused.

    Raises:
        ImageError: The file is missing, empty, unreadable, no image, or too large.
    """
    name = "photo" if isinstance(source, bytes) else os.fspath(source)
    data = source if isinstance(source, bytes) else _read(name)
    if not data:
        raise ImageError("empty", "the file is empty", name=name)
    try:
        header = read_header(data)
    except ValueError as error:
        raise ImageError("unreadable", str(error), name=name) from error
    if header is None:
        raise ImageError("unreadable", "not an image of a known format", name=name)
    if header.width * header.height > max_pixels:
        reason = f"{header.width} x {header.height} pixels, more than the limit of {max_pixels:,}"
        raise ImageError("too_large", reason, name=name)
    return Photo(name, data, header)


def read_image(source: str | os.PathLike[str] | bytes, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Read a photo: EXIF orientation applied, grey, 16-bit, float and alpha brought to 8-bit BGR.

    Args:
        source: A path, or the encoded bytes.
        max_pixels: Photos with more pixels than this are refused before they are decoded.

    Returns:
        (H, W, 3) uint8 BGR, upright.

    Raises:
        ImageError: See ``open_photo`` and ``Photo.decode``; ``status`` says which kind.
    """
    return open_photo(source, max_pixels=max_pixels).decode()


@contextlib.contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keep the C libraries below OpenCV from writing to stderr.

    libjpeg and libpng print a line for every slightly odd file straight to file descriptor 2, where it tears
    progress bars apart. Inside this block the descriptor leads nowhere, while Python's ``sys.stderr`` still
    reaches the terminal. Meant for a program, not for a library: descriptors belong to the whole process.
    """
    try:
        shown = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        shown = -1
    if shown != 2:  # already led elsewhere (tests, notebooks)
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    python_stderr = sys.stderr
    sys.stderr = open(kept, "w", buffering=1, encoding=python_stderr.encoding, errors="backslashreplace")  # noqa: PTH123, SIM115
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        sys.stderr.close()
        sys.stderr = python_stderr


def _read(path: str) -> bytes:
    """The bytes of a regular file, or the ImageError that says why not."""
    if is_url(path):
        return _fetch(path)
    try:
        found = Path(path).stat()
        if not stat.S_ISREG(found.st_mode):
            if stat.S_ISDIR(found.st_mode):
                effective = os.access in os.supports_effective_ids
                sealed = not os.access(path, os.R_OK | os.X_OK, effective_ids=effective)
                reason = "a folder that may not be opened" if sealed else "a folder, not a file"
                raise ImageError("unreadable", reason, name=path)
            raise ImageError("unreadable", "a device, pipe or socket, not a file", name=path)
        if found.st_size > MAX_BYTES:
            reason = f"a file of {found.st_size:,} bytes, more than the limit of {MAX_BYTES:,}"
            raise ImageError("too_large", reason, name=path)
        with Path(path).open("rb") as file:
            return file.read(MAX_BYTES)
    except ValueError as error:  # a NUL byte in the name
        raise ImageError("missing", "not a possible file name", name=path) from error
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            broken = Path(path).is_symlink()
            reason = "a link to a file that does not exist" if broken else "no such file"
            raise ImageError("missing", reason, name=path) from error
        status = "missing" if error.errno == errno.ENAMETOOLONG else "unreadable"
        raise ImageError(status, (error.strerror or str(error)).lower(), name=path) from error


def _fetch(url: str) -> bytes:
    """The same for a URL."""
    try:
        data = read_url(url, MAX_BYTES)
    except FileNotFoundError as error:
        raise ImageError("missing", "no such file", name=url) from error
    except OSError as error:
        raise ImageError("unreadable", f"it cannot be fetched: {error}", name=url) from error
    if data is None:
        raise ImageError("too_large", f"more than the limit of {MAX_BYTES:,} bytes", name=url)
    return data


def shrink(image: Image, reduction: int) -> Image:
    """Average squares of ``reduction`` x ``reduction`` pixels; a rest at the right and below is left out.

    Args:
        image: (H, W, 3) uint8.
        reduction: Any whole number; photos smaller than it are returned as they are.
    """
    height, width = image.shape[0] // reduction, image.shape[1] // reduction
    if reduction == 1 or min(height, width) < 1:
        return image
    whole = image[: height * reduction, : width * reduction]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _as_bgr8(image: Any) -> Image:
    """Bring decoded samples of any type and channel count to (H, W, 3) uint8."""
    if image.dtype != np.uint8:
        if np.issubdtype(image.dtype, np.floating):
            with np.errstate(over="ignore"):  # of float64, beyond float32: infinite, and so black
                values = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
            top = float(values.max(initial=0.0))
            # Floating samples carry no stated range: 0..1, 0..255 and 0..65535 are the ones in use.
            scale = 255.0 if top <= 1 else 1.0 if top <= 255 else 255 / max(65535.0, top)
        else:
            values = image.astype(np.float32)
            scale = 255 / float(np.iinfo(image.dtype).max)
        image = np.clip(values * scale + 0.5, 0, 255).astype(np.uint8)
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    if image.shape[2] == 1:
        return np.asarray(cv2.cvtColor(image[..., 0], cv2.COLOR_GRAY2BGR), np.uint8)
    return np.ascontiguousarray(image[..., :3], np.uint8)
