"""Format and size of an image from its header, without decoding a pixel.

A few kilobytes can claim 40,000 x 40,000 pixels. The decoder would allocate them before it looks at the data,
so the claim is read here first. Bytes that no format below recognizes never reach a decoder.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN = 0xDA
_JPEG_STANDALONE = frozenset([0x01, *range(0xD0, 0xD8)])
_TIFF_TAGS = frozenset([256, 257, 273, 279, 324, 325, 339])  # sizes, strips, tiles, sample format
_TIFF_INTEGERS = {3: "H", 4: "I", 16: "Q"}


class Header(NamedTuple):
    """What a header says.

    Attributes:
        format: jpeg, png, webp, ...
        width: Of the stored picture in pixels, before any rotation.
        height: The same.
        scan: JPEG only: where the compressed pixels begin.
    """

    format: str
    width: int
    height: int
    scan: int = 0


def read_header(data: bytes) -> Header | None:
    """Read the header of an encoded image.

    Args:
        data: The whole file (a TIFF's directory and a JPEG's frame may lie anywhere in it).

    Returns:
        The header, or None where the bytes are no image format known here.

    Raises:
        ValueError: The format is known but the header is broken or ends early.
    """
    for magic, name, reader in _FORMATS:
        if re.match(magic, data, re.DOTALL):
            try:
                header = reader(data)
            except (struct.error, IndexError) as error:
                raise ValueError(f"its {name} header ends early") from error
            if min(header.width, header.height) < 1:
                raise ValueError(f"its {name} header states {header.width} x {header.height} pixels")
            return header
    return None


def _jpeg(data: bytes) -> Header:
    width = height = 0
    at = 2
    while True:
        while data[at] != 0xFF:  # rubbish between segments is skipped, as libjpeg does
            at += 1
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in _JPEG_STANDALONE:
            continue
        if marker == _JPEG_SCAN:
            return Header("jpeg", width, height, at)
        (length,) = struct.unpack_from(">H", data, at)
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
        at += length


def _png(data: bytes) -> Header:
    return Header("png", *struct.unpack_from(">II", data, 16))


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        return Header("webp", width, height)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    width, height = struct.unpack_from("<HH", data, 26)
    return Header("webp", width & 0x3FFF, height & 0x3FFF)


def _bmp(data: bytes) -> Header:
    (kind,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if kind == 12 else "<ii", data, 18)
    return Header("bmp", width, abs(height))


def _gif(data: bytes) -> Header:
    return Header("gif", *struct.unpack_from("<HH", data, 6))


def _tiff(data: bytes) -> Header:
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    offset, count, size = ("Q", "Q", 20) if big else ("I", "H", 12)
    (at,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    (entries,) = struct.unpack_from(order + count, data, at)
    at += struct.calcsize(order + count)
    tags: dict[int, tuple[int, ...]] = {}
    for entry in range(at, at + min(entries, 4096) * size, size):
        tag, kind, length = struct.unpack_from(f"{order}HH{offset}", data, entry)
        if tag in _TIFF_TAGS and kind in _TIFF_INTEGERS and length <= len(data):
            code = f"{order}{length}{_TIFF_INTEGERS[kind]}"
            place = entry + 4 + struct.calcsize(order + offset)
            if struct.calcsize(code) > struct.calcsize(order + offset):
                (place,) = struct.unpack_from(order + offset, data, place)
            tags[tag] = struct.unpack_from(code, data, place)
    for starts, lengths in ((273, 279), (324, 325)):  # of strips and of tiles
        pieces = zip(tags.get(starts, ()), tags.get(lengths, ()), strict=False)
        if any(start + length > len(data) for start, length in pieces):
            raise ValueError("the TIFF ends early; copy or download it again")
    kind_name = "float tiff" if 3 in tags.get(339, ()) else "tiff"
    return Header(kind_name, *(tags.get(tag, (0,))[0] for tag in (256, 257)))


def _pnm(data: bytes) -> Header:
    """P1 to P6 and PFM: magic, width, height, with comments in between."""
    sizes: list[int] = []
    at = 2
    while len(sizes) < 2:
        found = re.compile(rb"\s*(?:#[^\n]*\n\s*)*(\d{1,9})").match(data, at)
        if found is None:
            raise ValueError("its pnm header states no size")
        sizes.append(int(found[1]))
        at = found.end()
    return Header("pnm", *sizes)


def _pam(data: bytes) -> Header:
    head = data[:4096]
    width, height = (re.search(rb"\b" + key + rb"\s+(\d{1,9})", head) for key in (b"WIDTH", b"HEIGHT"))
    if width is None or height is None:
        raise ValueError("its pam header states no size")
    return Header("pam", int(width[1]), int(height[1]))


def _jp2(data: bytes) -> Header:
    at = data.index(b"ihdr") + 4 if b"ihdr" in data[:4096] else len(data)
    height, width = struct.unpack_from(">II", data, at)
    return Header("jp2", width, height)


def _j2k(data: bytes) -> Header:
    right, bottom, left, top = struct.unpack_from(">IIII", data, 8)
    return Header("jp2", right - left, bottom - top)


def _heif(data: bytes) -> Header:
    """AVIF and HEIC: the largest of the image extents ("ispe"); thumbnails and tiles state smaller ones."""
    length, _, brand = struct.unpack_from(">I4s4s", data, 0)
    brands = brand + data[16:length]
    extents = [
        struct.unpack_from(">II", data, found.end() + 4) for found in re.finditer(b"ispe", data[: 1 << 20])
    ]
    if not extents:
        raise ValueError("its header states no size")
    width, height = max(extents, key=lambda extent: extent[0] * extent[1])
    return Header("avif" if b"avif" in brands else "heic", width, height)


def _hdr(data: bytes) -> Header:
    found = re.search(rb"\n[-+]Y +(\d{1,9}) +[-+]X +(\d{1,9})\n", data[:65536])
    if found is None:
        raise ValueError("its hdr header states no size")
    return Header("hdr", int(found[2]), int(found[1]))


def _sun(data: bytes) -> Header:
    return Header("sun raster", *struct.unpack_from(">II", data, 4))


_FORMATS: tuple[tuple[bytes, str, Callable[[bytes], Header]], ...] = (
    (rb"\xff\xd8\xff", "jpeg", _jpeg),
    (rb"\x89PNG\r\n\x1a\n", "png", _png),
    (rb"RIFF.{4}WEBPVP8[ LX]", "webp", _webp),
    (rb"BM", "bmp", _bmp),
    (rb"GIF8[79]a", "gif", _gif),
    (rb"II[\x2a\x2b]\x00|MM\x00[\x2a\x2b]", "tiff", _tiff),
    (rb"P[1-6]\s|P[Ff]\s", "pnm", _pnm),
    (rb"P7\s", "pam", _pam),
    (rb"\x00\x00\x00\x0cjP  ", "jp2", _jp2),
    (rb"\xff\x4f\xff\x51", "jp2", _j2k),
    (rb".{4}ftyp(avi[fs]|hei[cfxms]|hev[cx]|mif1|msf1)", "heif", _heif),
    (rb"#\?(RADIANCE|RGBE)", "hdr", _hdr),
    (rb"\x59\xa6\x6a\x95", "sun raster", _sun),
)
