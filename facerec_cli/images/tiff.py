"""What a TIFF's first directory says: size, samples, strips, and whether it is a raw photo's thumbnail."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_TYPES = {1: "u1", 3: "u2", 4: "u4", 16: "u8"}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _ROWS, _STRIP_BYTES = 273, 277, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _SUBFILES, _SAMPLE_FORMAT = 322, 323, 324, 325, 330, 339
_SUBFILE_TYPE, _DNG_VERSION, _ORIENTATION = 254, 50706, 274
_CFA, _LINEAR_RAW = 32803, 34892
_TAGS = frozenset([
    _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _STRIPS, _SAMPLES, _ROWS, _STRIP_BYTES, _TILE_WIDTH,
    _TILE_HEIGHT, _TILES, _TILE_BYTES, _SUBFILES, _SAMPLE_FORMAT, _SUBFILE_TYPE, _DNG_VERSION, _ORIENTATION,
])  # fmt: skip
_MAX_ENTRIES = 4096


class Directory(NamedTuple):
    """What is needed of a directory.

    Attributes:
        kind: tiff, float tiff, or raw tiff: the file of a camera's raw photo.
        width: In pixels.
        height: In pixels.
        need: Bytes a pixel that decoding takes.
    """

    kind: str
    width: int
    height: int
    need: float


def read_directory(data: bytes) -> Directory:
    """Read the first directory; later ones are never decoded.

    Raises:
        ValueError: Pixels that it speaks of are not in the file.
        struct.error: The file ends early.
    """
    tags = _read_tags(data)
    width, height = (_first(tags, tag, 0) for tag in (_WIDTH, _HEIGHT))
    for starts, lengths in ((_STRIPS, _STRIP_BYTES), (_TILES, _TILE_BYTES)):
        places, sizes = (tags.get(tag, np.zeros(0, np.uint64)) for tag in (starts, lengths))
        count = min(len(places), len(sizes))
        ends = places[:count].astype(np.float64) + sizes[:count]
        if (ends > len(data)).any():
            raise ValueError("the TIFF ends early; copy or download it again")
    reduced = _first(tags, _SUBFILE_TYPE, 0) == 1 and _SUBFILES in tags
    raw = _DNG_VERSION in tags or _first(tags, _PHOTOMETRIC, 0) in (_CFA, _LINEAR_RAW)
    floats = 3 in tags.get(_SAMPLE_FORMAT, ())
    kind = "raw tiff" if raw or reduced else "float tiff" if floats else "tiff"
    return Directory(kind, width, height, _need(tags, width, height, floats=floats))


def read_orientation(data: bytes) -> int:
    """How the first directory says that pixels lie, 1 to 8 as in EXIF; 1 where it does not say.

    Raises:
        struct.error: The file ends early.
    """
    turn = _first(_read_tags(data), _ORIENTATION, 1)
    return turn if 1 <= turn <= 8 else 1


def _read_tags(data: bytes) -> dict[int, NDArray[Any]]:
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    offset, count, size = ("Q", "Q", 20) if big else ("I", "H", 12)
    field = struct.calcsize(order + offset)
    (at,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    (entries,) = struct.unpack_from(order + count, data, at)
    at += struct.calcsize(order + count)
    tags: dict[int, NDArray[Any]] = {}
    for entry in range(at, at + min(entries, _MAX_ENTRIES) * size, size):
        tag, kind, length = struct.unpack_from(f"{order}HH{offset}", data, entry)
        if tag not in _TAGS or kind not in _TYPES:
            continue
        numbers = np.dtype(order + _TYPES[kind])
        place = entry + 4 + field
        if length * numbers.itemsize > field:
            (place,) = struct.unpack_from(order + offset, data, place)
        if place + length * numbers.itemsize > len(data):
            raise struct.error("a tag's values lie behind the end")
        tags[tag] = np.frombuffer(data, numbers, length, place)
    return tags


def _need(tags: dict[int, NDArray[Any]], width: int, height: int, *, floats: bool) -> float:
    """Bytes a pixel: what OpenCV gives, a copy, and the strip or tile that libtiff unpacks at a time."""
    samples = _first(tags, _SAMPLES, 1)
    bits = int(np.max(tags.get(_BITS, np.ones(1)), initial=1))
    sample = samples * max(bits, 8) / 8
    pixels = max(width * height, 1)
    if _TILE_WIDTH in tags:
        piece = _first(tags, _TILE_WIDTH, 0) * _first(tags, _TILE_HEIGHT, 0)
    else:
        piece = width * min(_first(tags, _ROWS, height), height)
    whole = 2 * sample + 3.5 if floats else 6.5
    return whole + (1.5 * sample if sample > 3 else 4) * piece / pixels


def _first(tags: dict[int, NDArray[Any]], tag: int, default: int) -> int:
    values = tags.get(tag)
    return int(values[0]) if values is not None and len(values) else default
