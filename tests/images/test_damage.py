"""Damaged, odd and greedy files of every format: an image or an ImageError, in bounded time and memory."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from facerec_cli.data.decode import BrokenPhotoError, decode_rgb
from facerec_cli.images import ImageError, open_photo, photo, read_image
from facerec_cli.images.limits import MAX_PIXELS, Room, max_memory

WIDTH, HEIGHT = 97, 71
y, x = np.mgrid[:HEIGHT, :WIDTH]
BGR = np.stack([x * 2 % 251, y * 3 % 253, (x + y) % 255], axis=2).astype(np.uint8)
RGB = Image.fromarray(np.ascontiguousarray(BGR[..., ::-1]))


def opencv(suffix: str, image: Any, *settings: int) -> bytes:
    return cv2.imencode(suffix, image, list(settings))[1].tobytes()


def pillow(image: Image.Image, kind: str, **settings: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **settings)
    return stream.getvalue()


def seeds() -> Iterator[bytes]:
    """One small file of each kind."""
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [RGB.transpose(Image.Transpose.FLIP_LEFT_RIGHT)] * 2
    wide = np.dstack([BGR, BGR[..., 0]]).astype(np.uint16) * 257
    yield pillow(RGB, "JPEG", exif=exif)
    yield pillow(RGB, "JPEG", progressive=True, icc_profile=b"x" * 2000)
    yield pillow(RGB.convert("CMYK"), "JPEG", progressive=True, restart_marker_rows=1)
    yield pillow(RGB, "PNG", exif=exif)
    yield pillow(RGB.quantize(16), "PNG", transparency=3)
    yield opencv(".png", wide)
    for kind in ("PNG", "WEBP", "GIF"):
        yield pillow(RGB, kind, save_all=True, append_images=frames)
    yield pillow(RGB, "WEBP", exif=exif)
    yield opencv(".webp", BGR, cv2.IMWRITE_WEBP_QUALITY, 101)
    for mode in ("RGB", "P", "1"):
        yield pillow(RGB.convert(mode), "BMP")
    for compression in (None, "tiff_adobe_deflate", "tiff_lzw", "packbits", "jpeg"):
        yield pillow(RGB, "TIFF", compression=compression, exif=exif)
    yield pillow(RGB.convert("1"), "TIFF", compression="group4")
    for kind in (np.uint16, np.float32, np.float64):
        yield opencv(".tiff", BGR.astype(kind))
    yield opencv(".pgm", BGR[..., 0])
    yield opencv(".ppm", BGR, cv2.IMWRITE_PXM_BINARY, 0)
    yield opencv(".pam", BGR)
    yield opencv(".pfm", BGR.astype(np.float32))
    yield opencv(".jp2", BGR)
    yield opencv(".hdr", BGR.astype(np.float32) / 255)
    yield opencv(".ras", BGR)
    if cv2.haveImageWriter("a.avif"):
        yield opencv(".avif", BGR)
    try:
        import pillow_heif
    except ImportError:
        return
    stream = io.BytesIO()
    pillow_heif.from_pillow(RGB).save(stream, quality=60, exif=exif.tobytes())
    yield stream.getvalue()


NUMBERS = (0, 1, 255, 256, 4096, 0x7FFF, 0xFFFF, 0x10000, 1 << 20, 1 << 28, 0x7FFFFFFF, 0xFFFFFFFF)


def damaged(data: bytes, draw: random.Random) -> bytes:
    """The file with one to four faults, most of them in its header."""
    out = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(max(1, min(len(out), draw.choice((64, 256, len(out))))))
        match draw.randrange(6):
            case 0:
                out[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                out[at : at + 4] = struct.pack(draw.choice(("<I", ">I")), draw.choice(NUMBERS))
            case 2:
                out[at : at + 2] = struct.pack(draw.choice(("<H", ">H")), draw.choice(NUMBERS) & 0xFFFF)
            case 3:
                del out[at:]
            case 4:
                del out[at : at + draw.choice((1, 4, 64))]
            case _:
                out[at:at] = out[: draw.choice((1, 4, 64, 500))]
    return bytes(out)


def try_all(count: int) -> None:
    """Decode mutations of all seeds in this process; anything but an ImageError ends it."""
    files = list(seeds())
    for number in range(count):
        data = damaged(files[number % len(files)], random.Random(number))
        try:
            assert read_image(data).dtype == np.uint8
        except ImageError as error:
            assert error.status in ("unreadable", "too_large", "empty") and error.reason


@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
def test_damaged_files_of_every_format_give_an_image_or_its_error() -> None:
    """In a process of its own, with limits, since the decoders are C: 800 files, all of them small."""
    code = (
        "import pathlib, resource, test_damage\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (120, 120))\n"
        "test_damage.try_all(800)\n"
        "status = pathlib.Path('/proc/self/status')\n"  # maxrss is that of the parent too
        "if status.exists():\n"
        "    print('peak', status.read_text().partition('VmHWM:')[2].split()[0])\n"
        "else:\n"
        "    print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    peak = int(done.stdout.rpartition("peak ")[2]) // (1024 if sys.platform == "darwin" else 1)
    assert peak < 2_200_000  # KiB: the limit of 1.6 GB, and the libraries


@pytest.mark.parametrize(
    "fault",
    [IndexError("list index out of range"), ZeroDivisionError(), struct.error("x"), SystemError("x"),
     OverflowError("x"), KeyError("x"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), RecursionError()],
)  # fmt: skip
@pytest.mark.parametrize("kind", [".png", ".jpg"])
def test_any_fault_of_a_decoder_is_the_photos_own(
    fault: Exception, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = opencv(kind, BGR)

    def decoder(*_: object) -> None:
        raise fault

    monkeypatch.setattr(photo.cv2, "imdecode", decoder)
    with pytest.raises(ImageError) as caught:
        read_image(data)
    assert caught.value.status == "unreadable" and "damaged" in caught.value.reason
    with pytest.raises(BrokenPhotoError):
        decode_rgb(data, "photo")


def test_too_little_memory_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    def decoder(*_: object) -> None:
        raise MemoryError

    data = opencv(".png", BGR)
    monkeypatch.setattr(photo.cv2, "imdecode", decoder)
    with pytest.raises(ImageError, match="not enough memory for 97 x 71 pixels") as caught:
        read_image(data)
    assert caught.value.status == "too_large"


def tiff(**changed: int) -> bytes:
    """A grey TIFF of 8 x 8 with some tags changed: width, height, bits, samples, rows, tile, floats."""
    tags = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64}
    numbers = {"width": 256, "height": 257, "bits": 258, "samples": 277, "rows": 278, "kind": 339}
    tags |= {numbers[name]: value for name, value in changed.items() if name in numbers}
    if "tile" in changed:
        for tag in (273, 278, 279):
            del tags[tag]
        tags |= {322: changed["tile"], 323: changed["tile"], 324: 8, 325: 64}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<I", 72) + bytes(64) + struct.pack("<H", len(tags)) + entries + bytes(4)


def heif(extent: int, brand: bytes) -> bytes:
    box = struct.pack(">I4sIII", 20, b"ispe", 0, extent, extent)
    return struct.pack(">I4s4s4s4s", 20, b"ftyp", brand, bytes(4), brand) + box


GREEDY = {
    "float tiff of 196 megapixels": tiff(width=14_000, height=14_000, bits=32, kind=3, rows=1),
    "tiff of 255 channels": tiff(width=3000, height=3000, samples=255, rows=3000),
    "tiff with one tile of a gigapixel": tiff(tile=32_768),
    "tiff with a strip of 190 megapixels": tiff(width=1_000_000, height=190, rows=190),
    "avif of 100 megapixels": heif(10_000, b"avif"),
    "pam of 1000 channels": b"P7\nWIDTH 3000\nHEIGHT 3000\nDEPTH 1000\nMAXVAL 255\nENDHDR\n",
    "gif of 196 megapixels": b"GIF89a" + struct.pack("<HH", 14_000, 14_000) + bytes(50),
}


@pytest.mark.parametrize("kind", GREEDY)
def test_memory_is_bounded_by_bytes_and_not_by_pixels(kind: str) -> None:
    with pytest.raises(ImageError, match=r"GB, more than the limit of 1\.6") as caught:
        open_photo(GREEDY[kind])
    assert caught.value.status == "too_large"
    with pytest.raises(BrokenPhotoError, match="GB, more than the limit"):
        decode_rgb(GREEDY[kind], "photo")


def test_a_higher_limit_of_pixels_raises_that_of_memory_and_a_lower_one_leaves_it() -> None:
    assert max_memory(2 * MAX_PIXELS) == 2 * max_memory() == 2 * max_memory(10)
    wide = GREEDY["float tiff of 196 megapixels"]
    assert open_photo(wide, max_pixels=2 * MAX_PIXELS).header.width == 14_000
    assert read_image(tiff(kind=3, bits=32, width=4, height=4), max_pixels=16).shape == (4, 4, 3)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    head = (b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (head, *chunks)
    )


def test_chunks_of_a_png_are_as_long_as_they_say_and_not_too_many() -> None:
    pixels = (b"IDAT", zlib.compress(bytes(9 * 8)))
    assert read_image(png(pixels, (b"IEND", b""))).shape == (8, 8, 3)
    greedy = png() + struct.pack(">I4s", 0x7FFFFFFF, b"IDAT") + bytes(100)
    with pytest.raises(ImageError, match="ends early"):
        open_photo(greedy)
    with pytest.raises(ImageError, match="more pieces than any program makes"):
        open_photo(png(*[(b"tEXt", b"a\0b")] * 200_000, pixels, (b"IEND", b"")))


def test_text_of_a_pnm_is_no_longer_than_its_pixels_ask_for() -> None:
    ten = b"P2 10 10 255\n" + b"7 " * 100
    assert (read_image(ten) == 7).all()
    for data in (
        ten + b" " * 2_000_000,
        b"P2" + b" " * 2_000_000 + b"10 10 255\n",
        b"P2" + b"#\n" * 1_000_000,
    ):
        with pytest.raises(ImageError):
            open_photo(data)


def test_threads_share_the_room_for_photos() -> None:
    room = Room(1_000_000_000)
    inside: list[str] = []
    first, second = threading.Event(), threading.Event()

    def small() -> None:
        with room.take(1000):  # too little to wait for
            inside.append("small")

    def large() -> None:
        first.set()
        with room.take(900_000_000):
            inside.append("large")
        second.set()

    with room.take(5_000_000_000), room.take(100_000_000):  # alone, and again by the one that holds it all
        waiting = threading.Thread(target=large)
        waiting.start()
        first.wait(10)
        small()
        assert not second.wait(0.2) and inside == ["small"]
    waiting.join(10)
    assert inside == ["small", "large"]


def test_what_a_photo_takes_follows_its_reduction() -> None:
    jpeg = open_photo(opencv(".jpg", BGR))
    assert jpeg.header.memory(8) * 60 < jpeg.header.memory(1)
    progressive = open_photo(opencv(".jpg", BGR, cv2.IMWRITE_JPEG_PROGRESSIVE, 1))
    held = progressive.header.memory() - jpeg.header.memory()
    assert held == 3 * WIDTH * HEIGHT  # coefficients of two bytes each, colour at half the resolution
    assert progressive.header.memory(8) > held
