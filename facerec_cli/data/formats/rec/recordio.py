"""RecordIO, the container of ``.rec`` files, read and written without mxnet.

A file repeats: magic word, length word, data, zeros up to a multiple of 4, all little-endian. The length
word holds the length in 29 bits and, above them, which part of a record this is: 0 the whole, 1 the first,
2 a middle, 3 the last. A writer cuts a record wherever the payload itself holds the magic word at a multiple
of 4 and leaves that word out; a reader puts it back between the parts (format of dmlc-core's recordio.h).

A payload of an image data set begins with a header of 24 bytes (flag, label, two ids); flag > 0 means that
so many float32 labels follow; the encoded photo is the rest (mxnet's recordio.IRHeader).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack("<I", MAGIC)
MAX_LENGTH = 2**29 - 1

_FRAME = struct.Struct("<II")
_HEADER = struct.Struct("<IfQQ")
_READ_AHEAD = 64 * 1024


class ReadAt(Protocol):
    """A function that reads ``size`` bytes at ``offset``, fewer at the end of the file."""

    def __call__(self, offset: int, size: int) -> bytes:
        """Bytes from ``offset`` on."""
        ...


class RecordHeader(NamedTuple):
    """What stands before a photo.

    Attributes:
        labels: (L,) float32; one, or as many as the flag says.
        key: Number of the record.
        many: Whether the labels were a list (flag > 0).
    """

    labels: NDArray[np.float32]
    key: int
    many: bool


def frame(payload: bytes) -> bytes:
    """A record as it stands in the file.

    Raises:
        InputError: The payload is 512 MiB or larger, which the format cannot hold.
    """
    if len(payload) > MAX_LENGTH:
        raise InputError(
            f"A record of {len(payload):,} bytes is too large.", hint="A .rec holds up to 512 MiB each."
        )
    cuts = _aligned_magic(payload)
    starts = [0, *(cut + 4 for cut in cuts)]
    ends = [*cuts, len(payload)]
    pieces: list[bytes] = []
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        part = 0 if not cuts else 1 if number == 0 else 3 if number == len(cuts) else 2
        pieces += [
            _FRAME.pack(MAGIC, part << 29 | (end - start)),
            payload[start:end],
            bytes(-(end - start) % 4),
        ]
    return b"".join(pieces)


def _aligned_magic(payload: bytes) -> list[int]:
    """Offsets, multiples of 4, at which ``payload`` holds the magic word."""
    offsets, position = [], payload.find(MAGIC_BYTES)
    while position >= 0:
        if position % 4 == 0:
            offsets.append(position)
        position = payload.find(MAGIC_BYTES, position + 1 if position % 4 else position + 4)
    return offsets


def read_record(read_at: ReadAt, offset: int, *, expected: int = _READ_AHEAD) -> tuple[bytes, int]:
    """Read the record at ``offset``.

    Args:
        read_at: Reads the file.
        offset: Where a magic word should stand.
        expected: A guess of its framed size in bytes; the right one saves a second read.

    Returns:
        The payload, and the offset of the next record.

    Raises:
        InputError: No record begins there, or the file ends inside it.
    """
    start, buffer = offset, read_at(offset, max(8, min(expected, _READ_AHEAD)))
    parts: list[bytes] = []
    while True:
        if len(buffer) < 8:
            buffer, start = read_at(offset, _READ_AHEAD if parts else 8), offset
        if len(buffer) < 8:
            raise InputError(f"The file ends inside the record at byte {start:,}.")
        magic, word = _FRAME.unpack_from(buffer)
        part, length = word >> 29, word & MAX_LENGTH
        if magic != MAGIC:
            raise InputError(f"No record begins at byte {offset:,}.")
        if part not in ((2, 3) if parts else (0, 1)):
            raise InputError(f"The record at byte {offset:,} begins in the middle of another.")
        padded = 8 + length + -length % 4
        if len(buffer) < 8 + length:
            buffer += read_at(offset + len(buffer), padded - len(buffer))
            if len(buffer) < 8 + length:
                raise InputError(f"The file ends inside the record at byte {offset:,}.")
        parts.append(buffer[8 : 8 + length])
        offset, buffer = offset + padded, buffer[padded:]
        if part in (0, 3):
            return MAGIC_BYTES.join(parts), offset


def scan(read_at: ReadAt, size: int) -> Iterator[int]:
    """The offset of every record of a file of ``size`` bytes, in order, without reading the payloads.

    Raises:
        InputError: The framing is broken or the file ends inside a record.
    """
    offset, inside, start = 0, False, 0
    window, base = b"", 0
    while offset < size:
        at = offset - base
        if not 0 <= at <= len(window) - 8:
            window, base, at = read_at(offset, _READ_AHEAD), offset, 0
        if len(window) < 8:
            raise InputError(f"The file ends inside the record at byte {offset:,}.")
        magic, word = _FRAME.unpack_from(window, at)
        part, length = word >> 29, word & MAX_LENGTH
        if magic != MAGIC or part not in ((2, 3) if inside else (0, 1)):
            raise InputError(f"No record begins at byte {offset:,}.")
        start = start if inside else offset
        inside = part in (1, 2)
        offset += 8 + length + -length % 4
        if offset > size:
            raise InputError(f"The file ends inside the record at byte {start:,}.")
        if not inside:
            yield start
    if inside:
        raise InputError(f"The file ends inside the record at byte {start:,}.")


def pack(labels: float | NDArray[np.float32], key: int, data: bytes) -> bytes:
    """A payload: header, labels, photo. A single number is written with flag 0, an array with its length."""
    if isinstance(labels, np.ndarray):
        values = labels.astype("<f4")
        return _HEADER.pack(len(values), 0.0, key, 0) + values.tobytes() + data
    return _HEADER.pack(0, labels, key, 0) + data


def unpack(payload: bytes) -> tuple[RecordHeader, bytes]:
    """Split a payload into header and photo.

    Raises:
        InputError: It is too short for what its header says.
    """
    if len(payload) < _HEADER.size:
        raise InputError(f"A record of {len(payload)} bytes has no room for its header.")
    flag, label, key, _ = _HEADER.unpack_from(payload)
    end = _HEADER.size + 4 * flag
    if end > len(payload):
        raise InputError(f"Record {key} speaks of {flag} labels but holds {len(payload)} bytes.")
    labels = np.frombuffer(payload, "<f4", flag, _HEADER.size) if flag else np.array([label], np.float32)
    return RecordHeader(labels, key, flag > 0), payload[end:]
