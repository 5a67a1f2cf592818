"""Every kind of photo comes out upright, 8-bit and BGR; every bad one with a status and a reason."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facerec_cli.images import REDUCTIONS, ImageError, open_photo, quiet_decoders, read_image
from facerec_cli.images.headers import read_header

WIDTH, HEIGHT = 120, 90


def scene() -> NDArray[np.uint8]:
    """(90, 120, 3) uint8 BGR, smooth, with four corners that cannot be mixed up."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    blue, green, red = 255 * x / WIDTH, 255 * y / HEIGHT, 128 + 100 * np.sin(x / 25) * np.cos(y / 30)
    return np.stack([blue, green, red], axis=2).astype(np.uint8)


SCENE = scene()
GREY = cv2.cvtColor(SCENE, cv2.COLOR_BGR2GRAY)


def pillow(image: Image.Image, kind: str, **settings: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **settings)
    return stream.getvalue()


def rgb() -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(SCENE[..., ::-1]))


def opencv(suffix: str, image: NDArray[np.generic], *settings: int) -> bytes:
    done, data = cv2.imencode(suffix, image, list(settings))
    assert done
    return data.tobytes()


GREY3 = np.repeat(GREY[..., None], 3, axis=2)
WIDE = SCENE.astype(np.uint16) * 257

# name -> (encoded, expected pixels, allowed mean difference)
READABLE = {
    "jpeg": (opencv(".jpg", SCENE, cv2.IMWRITE_JPEG_QUALITY, 95), SCENE, 2.5),
    "jpeg progressive": (pillow(rgb(), "JPEG", progressive=True, quality=95), SCENE, 2.5),
    "jpeg grey": (pillow(Image.fromarray(GREY), "JPEG", quality=95), GREY3, 1.5),
    "jpeg cmyk, inverted by Adobe": (pillow(rgb().convert("CMYK"), "JPEG", quality=95), SCENE, 3.5),
    "png": (opencv(".png", SCENE), SCENE, 0),
    "png grey": (opencv(".png", GREY), GREY3, 0),
    "png 16 bit": (opencv(".png", WIDE), SCENE, 0),
    "png 16 bit grey": (opencv(".png", GREY.astype(np.uint16) * 257), GREY3, 0),
    "png alpha": (opencv(".png", np.dstack([SCENE, GREY])), SCENE, 0),
    "png grey and alpha": (pillow(Image.merge("LA", [Image.fromarray(GREY)] * 2), "PNG"), GREY3, 0),
    "png palette": (pillow(rgb().quantize(256), "PNG"), SCENE, 8),
    "webp": (opencv(".webp", SCENE, cv2.IMWRITE_WEBP_QUALITY, 101), SCENE, 0),
    "webp lossy": (opencv(".webp", SCENE, cv2.IMWRITE_WEBP_QUALITY, 90), SCENE, 4),
    "bmp": (opencv(".bmp", SCENE), SCENE, 0),
    "bmp 32 bit": (opencv(".bmp", np.dstack([SCENE, GREY])), SCENE, 0),
    "tiff": (opencv(".tiff", SCENE), SCENE, 0),
    "tiff 16 bit": (opencv(".tiff", WIDE), SCENE, 0),
    "tiff 16 bit grey": (opencv(".tiff", GREY.astype(np.uint16) * 257), GREY3, 0),
    "tiff float 0..1": (opencv(".tiff", (SCENE / 255).astype(np.float32)), SCENE, 0.01),
    "tiff float 0..255": (opencv(".tiff", SCENE.astype(np.float32)), SCENE, 0),
    "tiff float64 grey 0..65535": (opencv(".tiff", GREY.astype(np.float64) * 257), GREY3, 0.01),
    "tiff cmyk": (pillow(rgb().convert("CMYK"), "TIFF"), SCENE, 0),
    "pgm": (opencv(".pgm", GREY), GREY3, 0),
    "pgm 16 bit": (opencv(".pgm", GREY.astype(np.uint16) * 257), GREY3, 0),
    "pgm with comments": (b"P5 # one\n# two\n120 # three\n90\n255\n" + GREY.tobytes(), GREY3, 0),
    "ppm": (opencv(".ppm", SCENE), SCENE, 0),
    "jp2": (opencv(".jp2", SCENE), SCENE, 2.5),
    "hdr": (opencv(".hdr", (SCENE / 255).astype(np.float32)), SCENE, 1),
}


@pytest.mark.parametrize("kind", READABLE)
def test_every_kind_comes_out_as_8_bit_bgr(kind: str) -> None:
    data, expected, allowed = READABLE[kind]
    photo = open_photo(data)
    assert (photo.header.width, photo.header.height) == (WIDTH, HEIGHT)
    image = photo.decode()
    assert image.shape == (HEIGHT, WIDTH, 3) and image.dtype == np.uint8
    assert np.abs(image.astype(int) - expected).mean() <= allowed


@pytest.mark.skipif(tuple(map(int, cv2.__version__.split(".")[:2])) < (4, 11), reason="OpenCV without GIF")
@pytest.mark.filterwarnings("error")
def test_values_beyond_float32_are_no_reason_to_warn() -> None:
    image = np.full((8, 8), 0.5)
    image[0, 0] = 1e300
    decoded = read_image(cv2.imencode(".tiff", image)[1].tobytes())
    assert decoded[0, 0].tolist() == [0, 0, 0] and decoded[4, 4].tolist() == [128, 128, 128]


def test_a_gif_gives_its_first_frame() -> None:
    frames = [rgb(), Image.new("RGB", (WIDTH, HEIGHT))]
    image = read_image(pillow(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert np.abs(image.astype(int) - SCENE).mean() < 8


def test_heic_is_read_upright_or_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    heif.from_pillow(rgb()).save(stream, quality=95, exif=exif.tobytes())
    image = read_image(stream.getvalue())
    turned = cv2.rotate(SCENE, cv2.ROTATE_90_CLOCKWISE)
    assert image.shape == turned.shape and np.abs(image.astype(int) - turned).mean() < 4
    monkeypatch.setattr("facerec_cli.images.photo.find_spec", lambda name: None)
    with pytest.raises(ImageError, match="pip install 'facerec-cli\\[heic\\]'"):
        read_image(stream.getvalue())


TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", TURNS)
def test_orientation_from_exif_is_applied(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = open_photo(pillow(rgb(), kind, exif=exif, quality=95))
    upright = TURNS[orientation](SCENE)
    image = photo.decode()
    assert image.shape == upright.shape and np.abs(image.astype(int) - upright).mean() < 4
    assert photo.upright_size(image) == (upright.shape[1], upright.shape[0])
    small = photo.decode(4)
    assert photo.upright_size(small) == (upright.shape[1], upright.shape[0])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("size", [(200, 199), (199, 200), (201, 200), (200, 200)])
def test_sides_that_are_nearly_equal_are_not_mixed_up(
    kind: str, orientation: int, size: tuple[int, int]
) -> None:
    """Of 200 x 199 pixels 100 x 100 are left at half size, and nothing of which side was longer."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = open_photo(pillow(rgb().resize(size), kind, exif=exif))
    upright = size if orientation < 5 else size[::-1]
    for reduction in REDUCTIONS:
        assert photo.upright_size(photo.decode(reduction)) == upright


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_reduced_photo_is_the_area_average(kind: str, reduction: int) -> None:
    image = open_photo(READABLE[kind][0]).decode(reduction)
    width, height = WIDTH // reduction, HEIGHT // reduction
    assert image.shape[1] - width in (0, 1) and image.shape[0] - height in (0, 1)
    blocks = SCENE[: height * reduction, : width * reduction].reshape(height, reduction, width, reduction, 3)
    assert np.abs(image[:height, :width] - blocks.mean(axis=(1, 3))).mean() < 2.5


def png_header(width: int, height: int) -> bytes:
    body = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunk = b"IHDR" + body
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


JPEG = READABLE["jpeg"][0]
SCAN = read_header(JPEG).frame.scan  # type: ignore[union-attr]

# name -> (bytes, status, a word of the reason)
BAD = {
    "empty": (b"", "empty", "empty"),
    "text": (b"this is no photo\n" * 10, "unreadable", "known format"),
    "html": (b"<!doctype html><html>not found</html>", "unreadable", "a web page; look into it"),
    "jpeg cut in the header": (JPEG[:20], "unreadable", "header ends early"),
    "jpeg cut after the header": (JPEG[:SCAN], "unreadable", "ends early"),
    "jpeg half": (JPEG[: len(JPEG) // 2], "unreadable", "ends early"),
    "jpeg without its last byte of pixels": (JPEG[:-3], "unreadable", "ends early"),
    "jpeg half, padded with zeros": (JPEG[: len(JPEG) // 2] + bytes(4096), "unreadable", "ends early"),
    "png half": (READABLE["png"][0][:4000], "unreadable", "ends early"),
    "png signature only": (b"\x89PNG\r\n\x1a\n", "unreadable", "header ends early"),
    "png of no pixels": (png_header(0, 10), "unreadable", "0 x 10"),
    "png bomb": (png_header(40_000, 40_000) + bytes(100), "too_large", "40000 x 40000"),
    "webp half": (READABLE["webp lossy"][0][:400], "unreadable", "damaged"),
    "tiff cut in its pixels": (pillow(rgb(), "TIFF")[:9000], "unreadable", "ends early"),
    "tiff without its directory": (READABLE["tiff"][0][:2000], "unreadable", "ends early"),
    "bmp half": (READABLE["bmp"][0][:9000], "unreadable", "damaged"),
    "bmp bomb": (
        b"BM" + bytes(12) + struct.pack("<Iii", 40, 100_000, -100_000),
        "too_large",
        "100000 x 100000",
    ),
    "gif bomb": (b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(50), "too_large", "65535"),
    "pgm half": (READABLE["pgm"][0][:5000], "unreadable", "damaged"),
    "pgm bomb": (b"P5\n99999 99999\n255\n", "too_large", "99999"),
    "pgm without a size": (b"P5 nothing here", "unreadable", "no size"),
    "webp bomb": (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\xff" * 6 + bytes(20), "too_large", "16777216"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_bytes_have_a_status_and_a_reason(kind: str, tmp_path: Path) -> None:
    data, status, word = BAD[kind]
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(ImageError) as caught:
            read_image(source)
        assert caught.value.status == status
        assert word in caught.value.reason
        assert caught.value.exit_code == 3
    assert str(path) in str(caught.value)


def test_the_limit_of_pixels_is_the_callers() -> None:
    assert read_image(JPEG, max_pixels=WIDTH * HEIGHT).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ImageError, match="120 x 90 pixels, more than the limit of 10,799"):
        read_image(JPEG, max_pixels=WIDTH * HEIGHT - 1)


@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
def test_a_png_bomb_is_never_allocated(tmp_path: Path) -> None:
    """A complete PNG of 40,000 x 40,000 black pixels in 200 kB, read under a peak-memory meter."""
    packer = zlib.compressobj(1)
    row = bytes(5001)
    pixels = b"".join([*(packer.compress(row) for _ in range(40_000)), packer.flush()])
    chunk = b"IDAT" + pixels
    end = b"\0\0\0\0IEND\xaeB`\x82"
    data = png_header(40_000, 40_000) + struct.pack(">I", len(pixels)) + chunk
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(data + struct.pack(">I", zlib.crc32(chunk)) + end)
    code = (
        "import resource, sys\nfrom facerec_cli.images import ImageError, read_image\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "try:\n    read_image(sys.argv[1])\n"
        "except ImageError as error:\n    print(error.status, peak() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, bomb], capture_output=True, text=True, timeout=60)
    status, grown = done.stdout.split()
    assert status == "too_large" and int(grown) < 20_000 * (1024 if sys.platform == "darwin" else 1)


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    def status(path: Path | str) -> tuple[str, str]:
        with pytest.raises(ImageError) as caught:
            open_photo(path)
        return caught.value.status, caught.value.reason

    assert status(tmp_path / "none.jpg") == ("missing", "no such file")
    assert status(tmp_path) == ("unreadable", "a folder, not a file")
    assert status("nul\0byte.jpg") == ("missing", "not a possible file name")
    assert status(tmp_path / ("long" * 200 + ".jpg"))[0] == "missing"
    link = tmp_path / "broken.jpg"
    link.symlink_to(tmp_path / "gone.jpg")
    assert status(link) == ("missing", "a link to a file that does not exist")
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    assert status(loop)[0] == "unreadable"
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        assert status(tmp_path / "pipe.jpg") == ("unreadable", "a device, pipe or socket, not a file")
        assert status("/dev/zero")[0] == "unreadable"
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.write(JPEG)
        file.truncate(3 << 30)  # sparse: no disk is used
    assert status(huge)[0] == "too_large"


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX permissions")
def test_a_file_without_permission_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(JPEG)
    path.chmod(0)
    (tmp_path / "sealed").mkdir(0)
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(ImageError) as caught:
            open_photo(path)
        with pytest.raises(ImageError) as sealed:
            open_photo(tmp_path / "sealed")
    finally:
        if root:
            os.seteuid(0)
        (tmp_path / "sealed").chmod(0o700)
    assert (caught.value.status, caught.value.reason) == ("unreadable", "permission denied")
    assert (sealed.value.status, sealed.value.reason) == ("unreadable", "a folder that may not be opened")


@pytest.mark.parametrize(
    "name", ["photo æøå 写真 😀.jpg", "new\nline.jpg", "a" * 240 + ".jpg", "quo\"te',.jpg"]
)
def test_odd_names_are_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(JPEG)
    assert read_image(path).shape == (HEIGHT, WIDTH, 3)


def test_decoders_do_not_write_to_the_terminal(tmp_path: Path) -> None:
    """A JPEG with a hole in its data makes libjpeg print; inside the block only Python reaches stderr."""
    damaged = bytearray(JPEG)
    damaged[SCAN + 300 : SCAN + 340] = bytes(b ^ 0x55 for b in damaged[SCAN + 300 : SCAN + 340])
    path = tmp_path / "damaged.jpg"
    path.write_bytes(bytes(damaged))
    code = (
        "import sys\nfrom facerec_cli.images import quiet_decoders, read_image, ImageError\n"
        "def go():\n    try: read_image(sys.argv[1])\n    except ImageError: pass\n"
        "go()\nsys.stderr.write('--- quiet ---\\n')\n"
        "with quiet_decoders():\n    go(); sys.stderr.write('progress\\n')\n"
        "sys.stderr.write('after\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60)
    loud, _, quiet = done.stderr.partition("--- quiet ---\n")
    assert "JPEG" in loud, "the photo must be one that libjpeg complains about"
    assert quiet == "progress\nafter\n"


def test_quiet_decoders_leaves_a_replaced_stderr_alone() -> None:
    kept = sys.stderr
    sys.stderr = io.StringIO()
    try:
        with quiet_decoders():
            sys.stderr.write("seen")
        assert sys.stderr.getvalue() == "seen"
    finally:
        sys.stderr = kept
