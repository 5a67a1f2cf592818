"""Valid inputs of every format, small and made in code; whatever a family damages begins here.

All functions are cached and give bytes, so that one process makes each seed once.
"""

from __future__ import annotations

import csv
import io
import pickle
import struct
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import cv2
import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
REC_MAGIC = 0xCED7230A
_POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")


def picture(number: int, width: int = 112, height: int = 112) -> np.ndarray:
    """A smooth coloured pattern, another one for each number: (H, W, 3) uint8 BGR."""
    random = np.random.default_rng(number)
    small = random.integers(0, 256, (7, 7, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def _encoded(suffix: str, image: np.ndarray, *settings: int) -> bytes:
    done, data = cv2.imencode(suffix, image, settings)
    assert done, suffix
    return data.tobytes()


def _pillow(image: np.ndarray, kind: str, mode: str = "RGB", **settings: object) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image[..., ::-1]).convert(mode).save(stream, kind, **settings)
    return stream.getvalue()


def _with_orientation(image: np.ndarray) -> bytes:
    from PIL import Image

    picture = Image.fromarray(image[..., ::-1])
    exif = picture.getexif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    stream = io.BytesIO()
    picture.save(stream, "JPEG", exif=exif)
    return stream.getvalue()


def _tiff_float(image: np.ndarray) -> bytes:
    return _encoded(".tiff", image.astype(np.float32) / 255)


def _heic(image: np.ndarray) -> bytes:
    import pillow_heif

    stream = io.BytesIO()
    pillow_heif.from_bytes("RGB", image.shape[1::-1], image[..., ::-1].tobytes()).save(stream)
    return stream.getvalue()


def _animated(image: np.ndarray, kind: str) -> bytes:
    from PIL import Image

    frames = [Image.fromarray(np.roll(image, 9 * i, axis=1)) for i in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:], duration=50)
    return stream.getvalue()


# name of the variant -> (suffix of the file, how it is made)
_VARIANTS = {
    "jpeg": (".jpg", lambda a: _encoded(".jpg", a)),
    "jpeg progressive": (".jpeg", lambda a: _encoded(".jpg", a, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
    "jpeg grey": (".JPG", lambda a: _encoded(".jpg", a[..., 0])),
    "jpeg cmyk": (".jpg", lambda a: _pillow(a, "JPEG", "CMYK")),
    "jpeg turned": (".jfif", _with_orientation),
    "jpeg restarts": (".jpe", lambda a: _encoded(".jpg", a, cv2.IMWRITE_JPEG_RST_INTERVAL, 2)),
    "png": (".png", lambda a: _encoded(".png", a)),
    "png 16": (".png", lambda a: _encoded(".png", a.astype(np.uint16) * 257)),
    "png alpha": (".png", lambda a: _encoded(".png", np.dstack([a, a[..., 0]]))),
    "png palette": (".png", lambda a: _pillow(a, "PNG", "P")),
    "png bits": (".png", lambda a: _pillow(a, "PNG", "1")),
    "webp": (".webp", lambda a: _encoded(".webp", a, cv2.IMWRITE_WEBP_QUALITY, 80)),
    "webp lossless": (".webp", lambda a: _pillow(a, "WEBP", lossless=True)),
    "webp animated": (".webp", lambda a: _animated(a, "WEBP")),
    "bmp": (".bmp", lambda a: _encoded(".bmp", a)),
    "bmp palette": (".dib", lambda a: _pillow(a, "BMP", "P")),
    "gif": (".gif", lambda a: _pillow(a, "GIF", "P")),
    "gif animated": (".gif", lambda a: _animated(a, "GIF")),
    "tiff": (".tif", lambda a: _encoded(".tiff", a)),
    "tiff lzw": (".tiff", lambda a: _pillow(a, "TIFF", compression="tiff_lzw")),
    "tiff deflate": (".tiff", lambda a: _pillow(a, "TIFF", compression="tiff_deflate")),
    "tiff 16": (".tiff", lambda a: _encoded(".tiff", a.astype(np.uint16) * 257)),
    "tiff float": (".tiff", _tiff_float),
    "tiff pages": (".tiff", lambda a: _animated(a, "TIFF")),
    "ppm": (".ppm", lambda a: _encoded(".ppm", a)),
    "pgm": (".pgm", lambda a: _encoded(".pgm", a[..., 0])),
    "pbm": (".pbm", lambda a: _encoded(".pbm", a[..., 0])),
    "pam": (".pam", lambda a: _encoded(".pam", a)),
    "pfm": (".pfm", lambda a: _encoded(".pfm", a.astype(np.float32) / 255)),
    "jpeg 2000": (".jp2", lambda a: _pillow(a, "JPEG2000")),
    "j2k": (".j2k", lambda a: _pillow(a, "JPEG2000", no_jp2=True)),
    "avif": (".avif", lambda a: _pillow(a, "AVIF")),
    "heic": (".heic", _heic),
    "hdr": (".hdr", lambda a: _encoded(".hdr", a.astype(np.float32) / 255)),
    "sun raster": (".ras", lambda a: _encoded(".ras", a)),
    "mpo": (".mpo", lambda a: _animated(a, "MPO")),
}
VARIANTS = tuple(_VARIANTS)


@cache
def photo(variant: str, number: int = 0, width: int = 112, height: int = 112) -> tuple[str, bytes]:
    """(suffix, bytes) of a photo in one of ``VARIANTS``."""
    suffix, make = _VARIANTS[variant]
    return suffix, make(picture(number, width, height))


@cache
def jpeg(number: int, width: int = 112, height: int = 112) -> bytes:
    """A small JPEG."""
    return photo("jpeg", number, width, height)[1]


@cache
def face(number: int = 0) -> bytes:
    """A photo with a face, of ``examples/photos``, made small."""
    names = ("obama-2.jpg", "obama-1.jpg", "biden.jpg", "astronaut.jpg", "three-people.jpg")
    image = cv2.imread(str(REPOSITORY / "examples" / "photos" / names[number % len(names)]))
    scale = 320 / max(image.shape[:2])
    return _encoded(".jpg", cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


@cache
def tiny_pack() -> dict[str, bytes]:
    """The files of a pack of two kilobytes, by their names."""
    from tests.tiny_pack import write_tiny_pack

    with tempfile.TemporaryDirectory() as folder:
        write_tiny_pack(Path(folder) / "tiny")
        return {path.name: path.read_bytes() for path in sorted((Path(folder) / "tiny").iterdir())}


def record(data: bytes, label: float, number: int, *, flag: int = 0, labels: tuple[float, ...] = ()) -> bytes:
    """One record of a ``.rec``: header, label, image, padding."""
    payload = struct.pack("<IfQQ", flag, label, number, 0)
    payload += struct.pack(f"<{len(labels)}f", *labels) + data
    head = struct.pack("<II", REC_MAGIC, len(payload))
    return head + payload + b"\0" * (-len(payload) % 4)


@cache
def recordio(people: int = 3, photos: int = 2, *, identities: bool = True) -> dict[str, bytes]:
    """``train.rec`` and its companions as insightface (or, without identities, im2rec) writes them."""
    images = [record(jpeg(i), float(i // photos), i + 1) for i in range(people * photos)]
    if identities:
        first = len(images) + 1
        head = record(b"", 0, 0, flag=2, labels=(float(first), float(first + people)))
        spans = [
            record(b"", float(i), first + i, flag=2, labels=(1.0 + i * photos, 1.0 + (i + 1) * photos))
            for i in range(people)
        ]
        parts, start = [head, *images, *spans], 0
    else:
        parts, start = images, 1
    offsets = np.cumsum([0, *map(len, parts)])
    index = "".join(f"{i + start}\t{offset}\n" for i, offset in enumerate(offsets[:-1]))
    rows = "".join(f"{i}\t{i // photos}\tp{i // photos}/{i}.jpg\n" for i in range(len(images)))
    return {
        "train.rec": b"".join(parts),
        "train.idx": index.encode(),
        "property": f"{people},112,112\n".encode(),
        "train.lst": rows.encode(),
    }


@cache
def shard(people: int = 3, photos: int = 2) -> bytes:
    """A tar shard: ``key.jpg``, ``key.cls``, ``key.txt``."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for i in range(people * photos):
            parts = {
                "jpg": jpeg(i),
                "cls": str(i // photos).encode(),
                "txt": f"p{i // photos}/{i}.jpg".encode(),
            }
            for suffix, data in parts.items():
                member = tarfile.TarInfo(f"{i:06d}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


@cache
def evaluation_bin(pairs: int = 12, protocol: int = 4) -> bytes:
    """insightface's ``.bin``: a pickle of images and flags."""
    images = [jpeg(i % 7) for i in range(2 * pairs)]
    return pickle.dumps((images, [i % 2 == 0 for i in range(pairs)]), protocol=protocol)


def vectors(count: int, size: int = 8, seed: int = 0) -> np.ndarray:
    """(N, D) float32 of unit length."""
    values = np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@cache
def vector_files(names: tuple[str, ...]) -> dict[str, bytes]:
    """Embeddings of the named photos in every format that ``verify --embeddings`` reads or may be given."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = vectors(len(names))
    boxes = np.tile(np.float32([10, 10, 90, 90]), (len(names), 1))
    landmarks = np.tile(np.float32([[30, 40], [70, 40], [50, 60], [35, 75], [65, 75]]), (len(names), 1, 1))
    scores = np.full(len(names), 0.9, np.float32)
    npy, npz, parquet, table = io.BytesIO(), io.BytesIO(), io.BytesIO(), io.StringIO()
    np.save(npy, values)
    np.savez(
        npz, embeddings=values, path=np.array(names), face=np.zeros(len(names), np.int64), box=boxes,
        landmarks=landmarks, score=scores, norm=scores,
    )  # fmt: skip
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(
        [
            *("path", "row", "face", "status", "reason", "score", "norm", "x1", "y1", "x2", "y2"),
            *(f"{point}_{axis}" for point in _POINTS for axis in "xy"),
            *("rotation", "width", "height", "crop"),
        ]
    )
    for i, name in enumerate(names):
        rows.writerow([name, i, 0, "ok", "", 0.9, 1.5, *boxes[i], *landmarks[i].ravel(), 0, 112, 112, ""])
    columns = {
        "path": list(names),
        "row": list(range(len(names))), "face": [0] * len(names), "status": ["ok"] * len(names),
        "score": scores.tolist(), "width": [112] * len(names), "height": [112] * len(names),
        **{name: boxes[:, i].tolist() for i, name in enumerate(("x1", "y1", "x2", "y2"))},
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1]),
    }  # fmt: skip
    pq.write_table(pa.table(columns), parquet)
    description = b'{"model": {"name": "tiny", "sha256": ""}, "settings": {}, "provider": "cpu"}'
    lines = "".join(
        f'{{"path": "{name}", "embedding": {row.tolist()}}}\n'
        for name, row in zip(names, values, strict=True)
    )
    return {
        "v.npy": npy.getvalue(),
        "v.npz": npz.getvalue(),
        "v.parquet": parquet.getvalue(),
        "v.csv": table.getvalue().encode(),
        "v.json": description,
        "v.jsonl": lines.encode(),
    }


def zipped(files: dict[str, bytes], *, compressed: bool = True) -> bytes:
    """A zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w") -> bytes:
    """A tar archive (``w``, ``w:gz``, ...)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


@cache
def checkpoint() -> bytes:
    """What ``facerec train`` leaves as ``best.pt``: a very small network."""
    from facerec_cli.backbones import build
    from tests.export.made_checkpoint import lively, write_checkpoint

    network = build("mobilefacenet", 16, width=0.125)
    lively(network)
    with tempfile.TemporaryDirectory() as folder:
        path = write_checkpoint(
            Path(folder) / "best.pt", network, "mobilefacenet", "synthetic:4:1", width=0.125
        )
        return path.read_bytes()


CARD = """version = 1
threshold = 0.3
far = 0.01
measured_far = 0.01
tar = 0.9
different_pairs = 300
same_pairs = 300
data = "pairs.txt"
model = "tiny"
model_sha256 = "{sha256}"
flip = false
aligned = true
"""


@cache
def card() -> str:
    """A threshold card of the pack ``tiny``."""
    from facerec_cli.packs.resolve import open_pack, pack_hash

    with tempfile.TemporaryDirectory() as folder:
        for name, data in tiny_pack().items():
            (Path(folder) / name).write_bytes(data)
        return CARD.format(sha256=pack_hash(open_pack(folder)))


RECIPE = """[data]
path = "synthetic:4:2"
workers = 0

[backbone]
name = "mobilefacenet"
width = 0.125
embedding_size = 16

[loss]
name = "arcface"
margin = 0.5
scale = 64.0

[optimizer]
name = "sgd"
lr = 0.1
momentum = 0.9

[schedule]
name = "polynomial"
steps = 1
warmup = 0.0

[run]
out = "run"
batch_size = 4
device = "cpu"
seed = 0
"""

STUDY = """[study]
name = "drawn people"
data = "people"
aligned = true
seeds = [0]

[split]
seed = 0
train = 0.5
validation = 0.2

[test]
photos = 40
rounds = 100
far = 0.2
fars = [0.2]
subsets = ["clean clean"]

[validation]
photos = 20

[recipe.backbone]
name = "mobilefacenet"
width = 0.125
embedding_size = 16

[recipe.run]
batch_size = 4
device = "cpu"

[recipe.data]
workers = 0

[recipe.schedule]
steps = 1

[arms.arcface]

[arms.npt]
"""
