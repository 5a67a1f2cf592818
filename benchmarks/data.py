"""How fast training data is opened, read, decoded, augmented and handed to the trainer.

    python benchmarks/data.py open      # a .rec with an index of MS1M's size
    python benchmarks/data.py decode    # OpenCV, Pillow and torchvision on one 112 x 112 JPEG
    python benchmarks/data.py augment   # each operation, per photo; torchvision v2 beside ours
    python benchmarks/data.py loader    # photos/s by source and number of workers
    python benchmarks/data.py           # all of them
    python benchmarks/data.py decode augment loader --json FILE   # and append the figures to a history

``FACE_PHOTO=path.jpg`` names the photo that is decoded (resized to 112 x 112 first); without it a synthetic
one serves. Medians of repeated runs; the machine's name and the versions are printed first.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from history import record

from facerec_cli.data import open_dataset
from facerec_cli.data.decode import decode_rgb
from facerec_cli.data.formats.rec.recordio import frame, pack
from facerec_cli.data.formats.rec.write import write_rec
from facerec_cli.data.formats.synthetic import SyntheticDataset
from facerec_cli.data.loading import augment

MS1M_PHOTOS, MS1M_PEOPLE = 5_822_653, 85_742


ROWS: list[dict[str, Any]] = []  # what --json writes


def main() -> None:
    """Run what the command line names."""
    parts = {"open": bench_open, "decode": bench_decode, "augment": bench_augment, "loader": bench_loader}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="all of them by default")
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    wanted = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"OpenCV {cv2.__version__}"
    )
    for name in wanted.parts or list(parts):
        print(f"\n{name}")
        parts[name]()
    if wanted.json:
        record("data", ROWS, {"parts": wanted.parts or list(parts)}, wanted.json)


def bench_open() -> None:
    """Open a .rec of 5.8 million tiny records, in a fresh process each time."""
    with tempfile.TemporaryDirectory() as folder:
        for identities in (True, False):
            rec = Path(folder, "with.rec" if identities else "without.rec")
            make_index(rec, identities=identities)
            layout = "identity records" if identities else "labels in headers only"
            print(f"  {rec.stat().st_size / 1e6:,.0f} MB of tiny records, {layout}:")
            runs = ("first",) if identities else ("first", "again")
            for run in runs:
                env = os.environ | {"FACEREC_HOME": folder}
                out = subprocess.run(
                    [sys.executable, __file__, "--open", str(rec)],
                    env=env,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                print(f"    {run}: {out.stdout.strip()}")
            if not identities:
                rec.with_suffix(".idx").unlink()
                out = subprocess.run(
                    [sys.executable, __file__, "--open", str(rec)],
                    env=env,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                print(f"    without .idx: {out.stdout.strip()}")


def make_index(rec: Path, *, identities: bool, photos: int = MS1M_PHOTOS, people: int = MS1M_PEOPLE) -> None:
    """Write a .rec whose photos are 8 bytes each, by NumPy, with its .idx and property."""
    counts = np.full(people, photos // people)
    counts[: photos - counts.sum()] += 1
    labels = np.repeat(np.arange(people), counts)
    first = 1 if identities else 0
    record = np.zeros(
        photos, dtype=[("magic", "<u4"), ("length", "<u4"), ("flag", "<u4"), ("label", "<f4"), ("key", "<u8"),
                       ("key2", "<u8"), ("photo", "S8")],
    )  # fmt: skip
    record["magic"], record["length"] = 0xCED7230A, 32
    record["label"], record["key"], record["photo"] = labels, np.arange(first, first + photos), b"tiny"
    lead = frame(pack(np.array([photos + 1, photos + 1 + people], np.float32), 0, b"")) if identities else b""
    ends = first + np.cumsum(counts)
    tail = [
        frame(pack(np.array([end - count, end], np.float32), photos + 1 + person, b""))
        for person, (end, count) in enumerate(zip(ends, counts, strict=True))
    ]
    with rec.open("wb") as file:
        file.write(lead)
        file.write(record.tobytes())
        offsets = len(lead) + record.itemsize * np.arange(photos)
        if identities:
            sizes = np.array([len(one) for one in tail])
            offsets = np.concatenate([[0], offsets, file.tell() + np.cumsum(sizes) - sizes])
            file.write(b"".join(tail))
    with rec.with_suffix(".idx").open("w") as file:
        file.writelines(f"{key}\t{offset}\n" for key, offset in enumerate(offsets))
    (rec.parent / "property").write_text(f"{people},112,112\n")


def open_once(rec: str) -> None:
    """Open and report; runs in a process of its own."""
    before = peak_memory()
    start, cpu = time.perf_counter(), time.process_time()
    dataset = open_dataset(rec)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(
        f"{seconds:.2f} s ({cpu:.2f} s of CPU), {len(dataset):,} photos of {dataset.num_classes:,} people, "
        f"peak memory {peak_memory():,.0f} MiB ({before:,.0f} before opening)"
    )


def peak_memory() -> float:
    """Of this process so far, in MiB; from /proc, as getrusage counts the parent's too."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1024


def bench_decode() -> None:
    """Time three decoders on one crop."""
    from PIL import Image

    data = photo()
    import torch
    from torchvision.io import decode_jpeg

    tensor = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    print(f"  one 112 x 112 JPEG of {len(data):,} bytes, one thread")
    table({
        "OpenCV, to RGB array": lambda: decode_rgb(data, "photo"),
        "Pillow, to RGB array": lambda: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")),
        "torchvision decode_jpeg": lambda: decode_jpeg(tensor),
    })  # fmt: skip


def bench_augment() -> None:
    """Time each operation on one photo."""
    import torch
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    image = SyntheticDataset(10).image(0)
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    row = np.random.default_rng(0).random(augment.COLUMNS)
    v2_crop, v2_jitter = v2.RandomResizedCrop(112, (0.75, 1.0)), v2.ColorJitter(0.3, 0.3, 0.3)
    v2_erase, v2_blur = v2.RandomErasing(1.0), v2.GaussianBlur(15, (2.0, 4.0))
    table({
        "crop": lambda: augment.crop(image, row),
        "crop, torchvision v2": lambda: v2_crop(tensor),
        "low resolution": lambda: augment.lowres(image, row),
        "photometric": lambda: augment.photometric(image, row),
        "photometric, torchvision v2": lambda: v2_jitter(tensor),
        "occlusion": lambda: augment.occlusion(image, row),
        "occlusion, torchvision v2": lambda: v2_erase(tensor),
        "blur": lambda: augment.blur(image, row),
        "blur, torchvision v2": lambda: v2_blur(tensor),
        "dark": lambda: augment.dark(image, row),
        "flip": lambda: np.ascontiguousarray(image[:, ::-1]),
    })  # fmt: skip


def bench_loader() -> None:
    """Time whole epochs."""
    from facerec_cli.data.loading.augment import Augment
    from facerec_cli.data.loading.loader import build_loader

    with tempfile.TemporaryDirectory() as folder:
        rec = Path(folder, "train.rec")
        write_rec(JpegPhotos(photo(), people=500, each=20), rec)
        sources = {".rec": open_dataset(rec), "synthetic": SyntheticDataset(500, 20)}
        everything = Augment(flip=0.5, crop=0.2, lowres=0.2, photometric=0.2, occlusion=0.2)
        for name, dataset in sources.items():
            start = time.perf_counter()
            for index in range(len(dataset)):
                dataset.read(index) if name == ".rec" else dataset.image(index)
            seconds = time.perf_counter() - start
            alone = "reading" if name == ".rec" else "drawing"
            print(f"  {name}: {alone} alone {len(dataset) / seconds:,.0f} photos/s")
            ROWS.append(
                {"name": f"{name}: {alone} alone", "value": len(dataset) / seconds, "unit": "photos/s"}
            )
            for workers in (0, 1, 2):
                for label, chosen in (("flip", Augment()), ("all augmentations at 0.2", everything)):
                    loader = build_loader(dataset, batch_size=128, workers=workers, augment=chosen)
                    next(loader.epoch(0))
                    start = time.perf_counter()
                    count = sum(len(batch.images) for batch in loader.epoch(1))
                    rate = count / (time.perf_counter() - start)
                    print(f"    {workers} workers, {label}: {rate:,.0f} photos/s")
                    about = f"{name}, {workers} workers, {label}"
                    ROWS.append({"name": about, "value": rate, "unit": "photos/s"})


class JpegPhotos(SyntheticDataset):
    """Every photo is the same JPEG: its decoding, not its content, is what is measured."""

    def __init__(self, data: bytes, *, people: int, each: int) -> None:
        super().__init__(people, each)
        self._data = data

    def read(self, index: int) -> bytes:
        """The same bytes for every index."""
        return self._data

    def name(self, index: int) -> str:
        """``class/number.jpg``."""
        return super().name(index).replace(".png", ".jpg")


def photo() -> bytes:
    """The JPEG of 112 x 112 that is decoded."""
    source = os.environ.get("FACE_PHOTO")
    image = cv2.imread(source) if source else cv2.GaussianBlur(SyntheticDataset(1).image(0), (0, 0), 1.0)
    return cv2.imencode(".jpg", cv2.resize(image, (112, 112), interpolation=cv2.INTER_AREA))[1].tobytes()


def table(functions: dict[str, Callable[[], object]], seconds: float = 0.3, rounds: int = 7) -> None:
    """Print microseconds of CPU per call (all is one thread), the median of interleaved rounds."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            function()
            count, start = 0, time.process_time()
            while time.process_time() - start < seconds / rounds:
                function()
                count += 1
            times[name].append((time.process_time() - start) / count * 1e6)
    for name, values in times.items():
        print(f"    {name:30} {statistics.median(values):9.1f} us")
        ROWS.append({"name": name, "value": statistics.median(values), "unit": "us"})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--open"]:
        open_once(sys.argv[2])
    else:
        main()
