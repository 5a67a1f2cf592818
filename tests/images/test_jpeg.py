"""JPEGs without their end marker, with something behind it, truncated, and with scans without end."""

from __future__ import annotations

import io
import random
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facerec_cli.data.decode import BrokenPhotoError, decode_rgb
from facerec_cli.images import ImageError, read_image
from facerec_cli.images.jpeg import MAX_SCANNED, MAX_SCANS


def picture() -> Image.Image:
    """61 x 47 RGB with detail everywhere, the last corner included."""
    noise = np.random.default_rng(5).integers(0, 256, (16, 21, 3), np.uint8)
    return Image.fromarray(cv2.resize(noise, (61, 47), interpolation=cv2.INTER_CUBIC))


def jpeg(mode: str = "RGB", **settings: Any) -> bytes:
    stream = io.BytesIO()
    picture().convert(mode).save(stream, "JPEG", **settings)
    return stream.getvalue()


def upright() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def with_thumbnail() -> bytes:
    """Its EXIF holds a whole JPEG, which has an end of its own."""
    small = io.BytesIO()
    picture().resize((16, 12)).save(small, "JPEG")
    body = b"Exif\0\0" + small.getvalue()
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg()[2:]


KINDS = {
    "baseline": jpeg(quality=90),
    "no subsampling": jpeg(quality=95, subsampling=0),
    "grey": jpeg("L"),
    "CMYK": jpeg("CMYK"),
    "progressive": jpeg(progressive=True),
    "progressive, no subsampling": jpeg(progressive=True, subsampling=0, quality=92),
    "restart markers": jpeg(restart_marker_blocks=3),
    "restart markers each row": jpeg(restart_marker_rows=1, quality=90),
    "progressive with restart markers": jpeg(progressive=True, restart_marker_rows=1),
    "turned": jpeg(exif=upright()),
    "thumbnail": with_thumbnail(),
}
TRAILERS = {
    "nothing": b"",
    "a doorbell's eight bytes": b"dhfvY\x19\x01\x00",
    "a lone FF": b"\xff",
    "zeros": bytes(3000),
    "ones": b"\xff" * 3000,
    "Samsung's": b"SEFH\x6a\x00\x00\x00" + random.Random(1).randbytes(2000).replace(b"\xff", b"") + b"SEFT",
    "a second photo, as in MPO": jpeg(quality=30),
}


def pixels(data: bytes) -> NDArray[np.uint8]:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)  # type: ignore[return-value]


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("kind", KINDS)
def test_whole_photos_are_read_without_their_end_marker_and_with_anything_behind(
    kind: str, trailer: str
) -> None:
    whole = KINDS[kind]
    assert whole[-2:] == b"\xff\xd9"
    for data in (whole[:-2] + TRAILERS[trailer], whole + TRAILERS[trailer]):
        assert np.array_equal(read_image(data), pixels(whole))
        assert np.array_equal(decode_rgb(data, "photo"), pixels(whole)[..., ::-1])


@pytest.mark.parametrize("padding", [b"", bytes(4096), b"\xff" * 4096])
@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_that_lacks_pixels_is_refused_wherever_it_ends(kind: str, padding: bytes) -> None:
    whole = KINDS[kind]
    start = whole.rindex(b"\xff\xda") if "progressive" in kind else whole.rindex(b"\xff\xda") + 14
    drawn = random.Random(kind).sample(range(start, len(whole) - 4), 12)
    for end in [len(whole) - 4, len(whole) - 6, len(whole) - 20, *drawn]:
        with pytest.raises(ImageError, match="ends early") as caught:
            read_image(whole[:end] + padding)
        assert caught.value.status == "unreadable"
        with pytest.raises(BrokenPhotoError, match="ends early"):
            decode_rgb(whole[:end] + padding, "photo")


def test_a_progressive_photo_that_lacks_a_scan_is_refused() -> None:
    whole = KINDS["progressive"]
    scans = [at for at in range(len(whole)) if whole.startswith(b"\xff\xda", at)]
    for scan in scans[1:]:
        table = whole.rindex(b"\xff\xc4", 0, scan)  # its own table of codes comes before it
        with pytest.raises(ImageError, match="ends early"):
            read_image(whole[:table])


def scans(count: int, width: int, height: int) -> bytes:
    """A progressive JPEG whose first coefficient is refined again and again."""
    whole = bytearray(KINDS["progressive"])
    frame = whole.index(b"\xff\xc2")
    whole[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00"
    return bytes(whole[:-2]) + scan * count + b"\xff\xd9"


def test_scans_are_bounded_by_the_pixels_that_they_go_over() -> None:
    own = KINDS["progressive"].count(b"\xff\xda")
    for data in (scans(3000, 61, 47), scans(3000, 6000, 6000), scans(MAX_SCANNED // 36_000_000, 6000, 6000)):
        with pytest.raises(ImageError, match="goes over its pixels") as caught:
            read_image(data)
        assert caught.value.status == "unreadable"
        with pytest.raises(BrokenPhotoError, match="goes over its pixels"):
            decode_rgb(data, "photo")
    assert read_image(scans(MAX_SCANS - own, 61, 47)).shape == (47, 61, 3)


def test_a_sequential_photo_of_many_scans_is_bounded_too() -> None:
    """Of a baseline photo whose components come one by one the decoder reads scan after scan as well."""
    single = bytearray(KINDS["baseline"])
    at = single.index(b"\xff\xda")
    one = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\xff\x00"
    with pytest.raises(ImageError, match="goes over its pixels 3,000 times"):
        read_image(bytes(single[:at]) + one * 3000 + b"\xff\xd9")


def test_rubbish_before_the_first_scan_costs_no_time() -> None:
    head = KINDS["baseline"]
    for filling in (bytes(50_000_000), b"\xff" * 50_000_000, b"\xff\xfe\x00\x02" * 5_000_000):
        with pytest.raises(ImageError) as caught:
            read_image(head[:2] + b"\xff" + filling)
        assert caught.value.status == "unreadable"
