"""Format, size and need of memory of an image from its header, without decoding a pixel.

A few kilobytes can claim 40,000 x 40,000 pixels, 16,000 channels or a strip of a gigabyte. The decoder would
allocate them before it looks at the data, so the claims are read here first. Bytes that no format below
recognizes never reach a decoder.

By hand, since the package imagesize tells width and height alone, and not those of all these formats, while
what decoding holds (an animation's frames, components, strips, scans, bits) is what this guard is about.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

from facerec_cli.images.jpeg import Frame, read_frame, require_few_scans
from facerec_cli.images.tiff import read_directory
from facerec_cli.sniff import photo_format


class ImageHeader(NamedTuple):
    """What a header says.

    Attributes:
        format: jpeg, png, webp, ...
        width: Of the stored picture in pixels, before any rotation.
        height: The same.
        need: Bytes a pixel of the whole photo that decoding it holds at most, our own conversion included; as
            measured with OpenCV 5.0 and pillow-heif 1.8, and rounded up.
        frame: JPEG only: its markers.
        fault: Why it must not be decoded, though its size is known; empty where it may.
    """

    format: str
    width: int
    height: int
    need: float = 6.5
    frame: Frame | None = None
    fault: str = ""

    def memory(self, reduction: int = 1) -> int:
        """Bytes that decoding takes at the most when the sides are divided by ``reduction``."""
        pixels = self.width * self.height
        if self.frame is not None:
            return int(pixels * (self.need / reduction**2 + self.frame.coefficients))
        return int(pixels * self.need)


def read_header(data: bytes) -> ImageHeader | None:
    """Read the header of an encoded image.

    Args:
        data: The whole file (a TIFF's directory and a JPEG's frame may lie anywhere in it).

    Returns:
        The header, or None where the bytes are no image format known here.

    Raises:
        ValueError: The format is known but the header is broken, ends early or asks too much of a decoder.
    """
    name = photo_format(data)
    if not name:
        return None
    try:
        header = _READERS[name](data)
    except (struct.error, IndexError) as error:
        raise ValueError(f"its {name} header ends early") from error
    if min(header.width, header.height) < 1:
        raise ValueError(f"its {name} header states {header.width} x {header.height} pixels")
    return header


def _jpeg(data: bytes) -> ImageHeader:
    frame = read_frame(data)
    require_few_scans(data, frame)
    return ImageHeader("jpeg", frame.width, frame.height, frame=frame)


_MAX_CHUNKS = 200_000


def _png(data: bytes) -> ImageHeader:
    """The size, and whether chunks are as long as they say: OpenCV makes room for what they claim to hold."""
    width, height = struct.unpack_from(">II", data, 16)
    need, at = 6.5, 8
    fault = "the PNG is cut into more pieces than any program makes; save it anew"
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, at) if at + 8 <= len(data) else (len(data), b"")
        if kind == b"acTL":
            need = 12.5
        at += 12 + length
        if at > len(data):
            fault = "the PNG ends early; copy or download it again"
            break
        if kind == b"IEND" or at == len(data):
            fault = ""
            break
    return ImageHeader("png", width, height, need, fault=fault)


def _webp(data: bytes) -> ImageHeader:
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        return ImageHeader("webp", width, height, 11.5 if data[20] & 2 else 7.5)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return ImageHeader("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 7.5)
    width, height = struct.unpack_from("<HH", data, 26)
    return ImageHeader("webp", width & 0x3FFF, height & 0x3FFF, 7.5)


def _bmp(data: bytes) -> ImageHeader:
    (kind,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if kind == 12 else "<ii", data, 18)
    return ImageHeader("bmp", width, abs(height))


def _gif(data: bytes) -> ImageHeader:
    width, height = struct.unpack_from("<HH", data, 6)
    return ImageHeader("gif", width, height, 8.5)


def _tiff(data: bytes) -> ImageHeader:
    directory = read_directory(data)
    return ImageHeader(directory.kind, directory.width, directory.height, directory.need)


_SPACE = re.compile(rb"(?:\s|#[^\n]*\n)*+")
_HEAD = 1 << 16  # bytes of a header, comments and all
_NUMBER = re.compile(rb"\d{1,9}")


def _pnm(data: bytes) -> ImageHeader:
    """P1 to P6 and PFM: magic, width, height, with comments in between."""
    sizes: list[int] = []
    at = 2
    for _ in range(2):
        space = _SPACE.match(data, at, _HEAD)
        number = _NUMBER.match(data, space.end() if space else at)
        if number is None:
            raise ValueError("its pnm header states no size")
        sizes.append(int(number[0]))
        at = number.end()
    width, height = sizes
    if data[1] in b"123" and len(data) > 4096 + 64 * width * height:  # a sample takes five bytes or six
        raise ValueError("its pnm text is far longer than its pixels ask for")
    return ImageHeader("pnm", width, height, 24.5 if data[1] in b"Ff" else 6.5)


def _pam(data: bytes) -> ImageHeader:
    head = data[:4096]
    width, height = (re.search(rb"\b" + key + rb"\s+(\d{1,9})", head) for key in (b"WIDTH", b"HEIGHT"))
    if width is None or height is None:
        raise ValueError("its pam header states no size")
    depth = re.search(rb"\bDEPTH\s+(\d{1,9})", head)
    return ImageHeader(
        "pam", int(width[1]), int(height[1]), 6.5 + 4 * max(int(depth[1]) - 3 if depth else 0, 0)
    )


def _jp2(data: bytes) -> ImageHeader:
    """The codestream's own size, which is what the decoder allocates; a box before it may say another."""
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0:
        raise IndexError
    right, bottom, left, top, *tile = struct.unpack_from(">IIIIIIII", data, at + 8)
    (count,) = struct.unpack_from(">H", data, at + 40)
    width, height = right - left, bottom - top
    if min(tile[:2]) < 1:
        raise ValueError(f"its jp2 header states tiles of {tile[0]} x {tile[1]} pixels")
    return ImageHeader("jp2", width, height, 5.5 + 3.6 * count)


def _heif(data: bytes) -> ImageHeader:
    """AVIF and HEIC: the largest of the image extents ("ispe"); thumbnails and tiles state smaller ones."""
    length, _, brand = struct.unpack_from(">I4s4s", data, 0)
    brands = brand + data[16:length]
    extents = [
        struct.unpack_from(">II", data, match.end() + 4) for match in re.finditer(b"ispe", data[: 1 << 20])
    ]
    if not extents:
        raise ValueError("its header states no size")
    width, height = max(extents, key=lambda extent: extent[0] * extent[1])
    if b"avi" in brands:
        return ImageHeader("avif", width, height, 21.0)
    settings = [match.end() + 16 for match in re.finditer(b"hvcC", data[: 1 << 20])]
    full_chroma = any(data[at] & 3 > 1 for at in settings)  # ISO/IEC 14496-15, 8.3.3.1: chroma_format_idc
    return ImageHeader("heic", width, height, 10.0 if full_chroma else 8.0)


def _hdr(data: bytes) -> ImageHeader:
    match = re.search(rb"\n[-+]Y +(\d{1,9}) +[-+]X +(\d{1,9})\n", data[:65536])
    if match is None:
        raise ValueError("its hdr header states no size")
    return ImageHeader("hdr", int(match[2]), int(match[1]), 15.5)


def _sun(data: bytes) -> ImageHeader:
    return ImageHeader("sun raster", *struct.unpack_from(">II", data, 4))


_READERS: dict[str, Callable[[bytes], ImageHeader]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "bmp": _bmp,
    "gif": _gif,
    "tiff": _tiff,
    "pnm": _pnm,
    "pam": _pam,
    "jp2": _jp2,
    "heif": _heif,
    "hdr": _hdr,
    "sun raster": _sun,
}
