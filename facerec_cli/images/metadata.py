"""What a photo's file says beside its pixels: how they are turned, and its XMP packet.

By hand, since what is read are two entries at known places, and a package of metadata would read all of them.
Nothing here decodes a pixel, and nothing is believed: damaged metadata are metadata that are not there.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from facerec_cli.images.tiff import read_orientation
from facerec_cli.sniff import photo_format

MAX_PACKET = 16 << 20
"""Bytes of an XMP packet that are read; those of photos have some kilobytes."""

Box = tuple[float, float, float, float]

_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_ITXT = b"XML:com.adobe.xmp\0"
_MAX_BLOCKS = 100_000


def orientation_of(data: bytes) -> int:
    """How a photo's stored pixels are turned, as EXIF has it and OpenCV applies it when it decodes.

    Args:
        data: The encoded file.

    Returns:
        1 (as stored) to 8; 1 where the file does not say, and for HEIC, whose decoder turns by other rules.
    """
    try:
        match photo_format(data):
            case "tiff":
                return read_orientation(data)
            case "jpeg":
                found = [body[len(_EXIF) :] for body in _segments(data) if body.startswith(_EXIF)]
            case "png":
                found = [body for kind, body in _chunks(data) if kind == b"eXIf"]
            case "webp":
                found = [body.removeprefix(_EXIF) for kind, body in _riff(data) if kind == b"EXIF"]
            case _:
                found = []
        return read_orientation(found[0]) if found else 1
    except (struct.error, IndexError, ValueError):
        return 1


def xmp_packet(data: bytes) -> bytes | None:
    """The XMP packet in a JPEG, PNG or WebP; None where there is none, or more than ``MAX_PACKET`` of it.

    The second part of a JPEG's packet of more than 64 KiB ("extended XMP") is not looked at.

    Args:
        data: The encoded file.
    """
    packets: Iterator[bytes] = iter(())
    try:
        match photo_format(data):
            case "jpeg":
                packets = (body[len(_XMP) :] for body in _segments(data) if body.startswith(_XMP))
            case "png":
                packets = (
                    _text(body) for kind, body in _chunks(data) if kind == b"iTXt" and _ITXT in body[:18]
                )
            case "webp":
                packets = (body for kind, body in _riff(data) if kind == b"XMP ")
        packet = next(packets, b"").rstrip(b"\0")
    except (struct.error, IndexError, ValueError, zlib.error):
        return None
    return packet if 0 < len(packet) <= MAX_PACKET else None


def upright(box: Box, orientation: int) -> Box:
    """Where a box of the stored picture lies in the upright one.

    Args:
        box: x1, y1, x2, y2 as shares of the stored picture's width and height, 0 to 1.
        orientation: Of the photo, 1 to 8.

    Returns:
        The same of the upright picture.
    """
    corners = [_upright(x, y, orientation) for x, y in (box[:2], box[2:])]
    (x1, x2), (y1, y2) = (sorted(numbers) for numbers in zip(*corners, strict=True))
    return x1, y1, x2, y2


def stored(box: Box, orientation: int) -> Box:
    """Where a box of the upright picture lies in the stored one: the reverse of :func:`upright`."""
    return upright(box, {6: 8, 8: 6}.get(orientation, orientation))


def _upright(x: float, y: float, orientation: int) -> tuple[float, float]:
    """CIPA DC-008 (EXIF), 4.6.4: which sides of the picture are the first row and the first column."""
    places = {
        1: (x, y),
        2: (1 - x, y),
        3: (1 - x, 1 - y),
        4: (x, 1 - y),
        5: (y, x),
        6: (1 - y, x),
        7: (1 - y, 1 - x),
        8: (y, 1 - x),
    }
    return places[orientation]


def _segments(data: bytes) -> Iterator[bytes]:
    """The bodies of a JPEG's APP1 segments before its first scan."""
    at = 2
    for _ in range(_MAX_BLOCKS):
        if data[at] != 0xFF:
            return
        kind = data[at + 1]
        if kind == 0xFF:  # fill
            at += 1
            continue
        if kind in (0xDA, 0xD9):
            return
        (length,) = struct.unpack_from(">H", data, at + 2)
        if kind == 0xE1:
            yield data[at + 4 : at + 2 + length]
        at += 2 + length


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and body of a PNG's chunks of metadata."""
    at = 8
    for _ in range(_MAX_BLOCKS):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return
        if kind != b"IDAT":
            yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length


def _riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of a WebP's chunks of metadata."""
    at = 12
    for _ in range(_MAX_BLOCKS):
        if at + 8 > len(data):
            return
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind in (b"EXIF", b"XMP "):
            yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _text(body: bytes) -> bytes:
    """The text of an iTXt chunk: keyword, 0, compressed, method, language, 0, translated keyword, 0, text."""
    compressed = body[len(_ITXT)]
    _, _, text = body[len(_ITXT) + 2 :].split(b"\0", 2)
    return zlib.decompressobj().decompress(text, MAX_PACKET + 1) if compressed else text
