"""What the markers of a JPEG say: its frame, how often its scans go over it, and whether all of it is there.

ITU-T T.81: a frame header (SOF) states size and components; each scan (SOS) carries some components, in a
progressive file some coefficients and bits of them; FF D9 ends the file.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset([0xC2, 0xC6, 0xCA, 0xCE])
_SOI, _EOI, _SOS, _DNL, _DRI = 0xD8, 0xD9, 0xDA, 0xDC, 0xDD
_STANDALONE = frozenset([0x01, *range(0xD0, 0xD8)])
_BETWEEN_SCANS = frozenset([0xC4, 0xCC, _DNL, _DRI, 0xDB, 0xFE, *range(0xE0, 0xF0)])
END = b"\xff\xd9"

# What a byte behind FF means before the first scan. One look-up a segment: crops are small, and many.
_PASSED_OVER, _NO_MARKER, _NO_LENGTH, _FRAME, _SCAN = range(5)
_ROLES = bytes(
    _NO_MARKER
    if byte in (0x00, 0xFF)
    else _SCAN
    if byte == _SOS
    else _FRAME
    if byte in _SOF
    else _NO_LENGTH
    if byte in _STANDALONE
    else _PASSED_OVER
    for byte in range(256)
)

_MARKER = re.compile(rb"\xff([^\x00\xff])")
_AFTER_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # not stuffed, no restart
_MAX_SEGMENTS = 100_000  # before the first scan; a file of a gigabyte could have 250 million of them

_MAX_RUBBISH = 1 << 20  # bytes between two segments

MAX_SCANS = 1_000
"""Cameras and encoders write one to a dozen."""

MAX_SCANNED = 4_000_000_000
"""Pixels times scans; a scan costs at least 0.7 ns a pixel, even one without any data."""


class Frame(NamedTuple):
    """What precedes the first scan.

    Attributes:
        width: In pixels, as stored.
        height: The same.
        scan: Where the first scan's header begins, after its marker.
        coefficients: Bytes a pixel of the coefficients that must be held, 0 where one pass decodes.
        components: Their numbers.
        progressive: Whether scans refine each other.
    """

    width: int
    height: int
    scan: int
    coefficients: float
    components: tuple[int, ...]
    progressive: bool


def read_frame(data: bytes) -> Frame:
    """Read the markers up to the first scan.

    Raises:
        ValueError: There is no end of them, or they go over the photo too often.
        struct.error: The file ends before.
        IndexError: The same.
    """
    kind = frame = 0  # where the frame header lies
    at = 2
    for _ in range(_MAX_SEGMENTS):
        role = _ROLES[data[at + 1]] if data[at] == 0xFF else _NO_MARKER
        at += 2
        if role:
            if role == _NO_MARKER:
                mark = _MARKER.search(data, at - 2, at - 2 + _MAX_RUBBISH)  # libjpeg skips what is before it
                if mark is None:
                    raise IndexError
                at = mark.end()
                role = _ROLES[data[at - 1]]
            if role == _NO_LENGTH:
                continue
            if role == _SCAN:
                return _frame(data, kind, frame, at)
            if role == _FRAME:
                kind, frame = data[at - 1], at
        at += data[at] << 8 | data[at + 1]
    raise ValueError("its jpeg header has no end")


def _frame(data: bytes, kind: int, frame: int, scan: int) -> Frame:
    if not frame:
        raise IndexError
    height, width, count = struct.unpack_from(">HHB", data, frame + 3)
    parts = data[frame + 8 : frame + 8 + 3 * count]
    progressive = kind in _PROGRESSIVE
    several = progressive or data[scan + 2] < count
    return Frame(width, height, scan, _held(parts[1::3]) if several else 0.0, tuple(parts[::3]), progressive)


def _held(sampling: bytes) -> float:
    """Bytes a pixel of all coefficients, of two bytes each, under the components' sampling factors."""
    sizes = [(factors >> 4, factors & 15) for factors in sampling]
    across, down = (max((size[side] for size in sizes), default=1) for side in (0, 1))
    return 2 * sum(h * v for h, v in sizes) / max(across * down, 1)


def require_few_scans(data: bytes, frame: Frame) -> None:
    """Refuse a file that goes over the photo so often that decoding would not end.

    Raises:
        ValueError: The message says how often.
    """
    if not frame.coefficients:  # one pass, and what follows is never decoded
        return
    scans = 1 + data.count(b"\xff\xda", frame.scan)
    if scans > MAX_SCANS or scans * frame.width * frame.height > MAX_SCANNED:
        raise ValueError(f"the JPEG goes over its pixels {scans:,} times; save it anew with another program")


def has_end(data: bytes, frame: Frame) -> bool:
    """Whether the last bytes are the end marker, and of this photo as far as that matters to a decoder.

    One that gathers several scans stumbles over a second photo where it looks for the first one's end.
    """
    return data.endswith(END) and (not frame.coefficients or data.find(b"\xff\xd8\xff", frame.scan) < 0)


def with_end(data: bytes, frame: Frame, decode: Callable[[bytes], np.ndarray | None]) -> bytes | None:
    """The file with its end marker, or None where pixels are missing.

    Some cameras, phones and doorbells leave out FF D9, or write something of their own in its place. What is
    there is whole if nothing that follows the data could change a pixel: then the decoder has had all it asks
    for. So the photo is decoded with different bytes in place of the end, and the outcomes are compared.

    Args:
        data: The file.
        frame: Its frame.
        decode: Gives pixels, or None.
    """
    bare = _unpadded(data)
    end, restart, whole = _last_scan(bare, frame)
    if bare.startswith(END, end):
        return data
    if not whole:
        return None
    body = _unpadded(bare[:end])
    seen = set()
    for fill in (b"\x00", b"\xaa\x55", b"\x37\xc9\x5b\x81\xee\x12"):
        piece = (fill * 64)[:64]
        restarts = (bytes([0xFF, 0xD0 + (restart + n) % 8]) + piece for n in range(8))
        pixels = decode(body + piece + b"".join(restarts) + END)
        if pixels is None:
            return None
        seen.add(zlib.crc32(np.ascontiguousarray(pixels).data))
    return body + END if len(seen) == 1 else None


def _last_scan(data: bytes, frame: Frame) -> tuple[int, int, bool]:
    """Where the photo's data ends, the restart that would come next, and whether all scans are there.

    What follows is the end marker, the end of the file, or something that is not of this photo.
    """
    at = frame.scan
    left: dict[int, dict[int, int]] = {number: {} for number in frame.components}  # bits still to come
    while True:
        (length,) = struct.unpack_from(">H", data, at) if at + 2 <= len(data) else (2,)
        scan = data[at + 2 : at + length]
        at += length
        if len(scan) == length - 2 >= 4:
            count = scan[0]
            first, last, bits = scan[-3], scan[-2], scan[-1] & 15
            for number in scan[1 : 1 + 2 * count : 2]:
                if number in left:
                    steps = range(first, last + 1) if frame.progressive else range(64)
                    left[number].update(dict.fromkeys(steps, bits if frame.progressive else 0))
        data_from = at
        while True:
            marker = _AFTER_SCAN.search(data, at)
            if marker is None or marker[1][0] == _SOS or marker[1][0] not in _BETWEEN_SCANS:
                break
            at = marker.end()
            at += struct.unpack_from(">H", data, at)[0] if at + 2 <= len(data) else 2
        if marker is not None and marker[1][0] == _SOS:
            at = marker.end()
            continue
        whole = all(len(bits) == 64 and not any(bits.values()) for bits in left.values())
        end = len(data) if marker is None else marker.start()
        if marker is not None and marker[1][0] == _EOI:
            end = marker.end() - 2
        restarts = re.findall(rb"\xff([\xd0-\xd7])", data[data_from:end])
        return end, (restarts[-1][0] - 0xCF) % 8 if restarts else 0, whole


def _unpadded(body: bytes) -> bytes:
    """Without a long run of zeros or ones at the end, which no encoder writes: the rest of a broken copy."""
    for padding in (b"\x00", b"\xff"):
        bare = body.rstrip(padding)
        if len(body) - len(bare) >= 16:
            body = bare + b"\x00" * (bare.endswith(b"\xff"))  # a stuffed byte keeps its zero
    return body.rstrip(b"\xff")
