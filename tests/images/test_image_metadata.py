"""How photos are turned, and the XMP packets in them."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from facerec_cli.images.metadata import orientation_of, stored, upright, xmp_packet
from facerec_cli.images.photo import read_image
from facerec_cli.images.samples import Image

KINDS = ("jpeg", "png", "webp")
_PACKET = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>photo</x:xmpmeta>"


def exif(orientation: int, order: str = "<") -> bytes:
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, 1)
    return head + struct.pack(f"{order}HHIHHI", 274, 3, 1, orientation, 0, 0)


def photo(kind: str, picture: Image, orientation: int = 1, packet: bytes = b"") -> bytes:
    """An encoded photo with an orientation and an XMP packet, put together here."""
    data = cv2.imencode({"jpeg": ".jpg"}.get(kind, f".{kind}"), picture)[1].tobytes()
    if kind == "jpeg":
        bodies = [b"Exif\0\0" + exif(orientation)]
        bodies += [b"http://ns.adobe.com/xap/1.0/\0" + packet] if packet else []
        return data[:2] + b"".join(b"\xff\xe1" + struct.pack(">H", len(b) + 2) + b for b in bodies) + data[2:]
    if kind == "png":
        text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet)
        chunks = [b"eXIf" + exif(orientation, ">")] + ([b"iTXt" + text] if packet else [])
        made = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
        return data[:33] + b"".join(made) + data[33:]
    size = b"".join((side - 1).to_bytes(3, "little") for side in picture.shape[1::-1])
    chunks = [b"VP8X" + struct.pack("<I", 10) + bytes([12, 0, 0, 0]) + size, data[12:]]
    for name, body in ((b"EXIF", exif(orientation)), (b"XMP ", packet)):
        chunks += [name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)] if body else []
    whole = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole


def marked() -> tuple[Image, tuple[float, float, float, float]]:
    """A picture with a bright rectangle, and where it lies, as shares."""
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[8:16, 8:32] = 255
    return picture, (8 / 80, 8 / 40, 32 / 80, 16 / 40)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_lies_in_the_upright_photo_where_the_decoder_puts_it(kind: str, orientation: int) -> None:
    picture, box = marked()
    data = photo(kind, picture, orientation)
    assert orientation_of(data) == orientation
    bright = read_image(data)[:, :, 0] > 128
    ys, xs = np.nonzero(bright)
    height, width = bright.shape
    found = (xs.min() / width, ys.min() / height, (xs.max() + 1) / width, (ys.max() + 1) / height)
    np.testing.assert_allclose(upright(box, orientation), found, atol=0.03)
    np.testing.assert_allclose(stored(upright(box, orientation), orientation), box, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_packet_of_a_photo(kind: str) -> None:
    data = photo(kind, marked()[0], 6, _PACKET)
    assert xmp_packet(data) == _PACKET
    assert xmp_packet(photo(kind, marked()[0])) is None
    assert read_image(data).shape == (80, 40, 3)  # it is a photo


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_metadata_are_none(kind: str) -> None:
    data = photo(kind, marked()[0], 6, _PACKET)
    for end in range(0, len(data), 3):
        assert orientation_of(data[:end]) in (1, 6)
        assert _PACKET.startswith(xmp_packet(data[:end]) or b"")
    assert orientation_of(photo(kind, marked()[0], 9)) == 1
    assert orientation_of(b"") == orientation_of(b"\xff\xd8\xff") == 1


def test_a_packed_text_that_unpacks_to_gigabytes_is_none() -> None:
    bomb = zlib.compressobj(9)
    packed = b"".join(bomb.compress(b"\0" * (1 << 20)) for _ in range(40)) + bomb.flush()
    data = photo("png", marked()[0])
    chunk = b"iTXt" + b"XML:com.adobe.xmp\0\1\0\0\0" + packed
    data = (
        data[:33]
        + struct.pack(">I", len(chunk) - 4)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + data[33:]
    )
    assert xmp_packet(data) is None
