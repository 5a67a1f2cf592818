"""What a training photo costs before the GPU has it, stage by stage, and how many cores a GPU then needs.

    python benchmarks/data_path.py --photos CROPS --json FILE
    python benchmarks/data_path.py --arcface-torch CHECKOUT/recognition/arcface_torch [--mxnet SITE_PACKAGES]

A ``.rec`` of 112 x 112 JPEGs is made of the photos (without ``--photos`` of made-up ones), read,
decoded, augmented, put into batches and handed over as a worker does it. CPU time of one thread, so
that other programs on the machine change little; the stages take turns, medians.

Beside it stand arcface_torch's ``MXFaceDataset`` itself, where its checkout is given and mxnet is there
(``--mxnet`` names the packages of another environment; the time of mxnet's own threads is in it), and
what its trainer does with folders: torchvision's ``ImageFolder`` with its three transforms. Both end in
float32 batches.

The cores follow from the rate that a GPU learns at. No rate of ours is known; that of arcface_torch on a V100
is published, and the others are reckoned from it (:data:`RATES`).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from gpu_kit.photos import crops, make_rec
from history import record
from torch.utils.data import default_collate

from facerec_cli.data import open_dataset
from facerec_cli.data.decode import decode_rgb
from facerec_cli.data.loading.augment import Augment, uniform_rows
from facerec_cli.data.loading.batches import BatchBuilder
from facerec_cli.data.loading.samplers import BatchPlan, Shuffled

BATCH, PHOTOS, CLASSES = 128, 2048, 500
EVERYTHING = Augment(flip=0.5, crop=0.2, lowres=0.2, photometric=0.2, occlusion=0.2)
RATES = {
    "V100, as published": 5300 / 8,
    "A100, by its peak": 5300 / 8 * 312 / 125,
    "H100, by its peak": 5300 / 8 * 989.5 / 125,
}
"""Photos a second of iresnet50. The first: insightface's ``docs/speed_benchmark.md``, 8 V100, mixed
precision, batch 1,024, 3 million people, Partial FC 0.1. The others use as large a part of the peak of
their tensor cores (dense, in half precision) as that uses of a V100's: 125, 312 and 989.5 TFLOPS in
NVIDIA's data sheets."""

Ways = dict[str, Callable[[], object]]


def stages(rec: Path) -> Ways:
    """Each stage of :class:`BatchBuilder` alone, on a batch; then batches whole, and what a worker adds."""
    dataset = open_dataset(str(rec))
    order = Shuffled(dataset.labels, BATCH)
    plan = order.plan(0, 0)
    indices = plan.layout.indices.tolist()
    encoded = [dataset.read(index) for index in indices]
    arrays = [np.frombuffer(data, np.uint8) for data in encoded]
    images = [decode_rgb(data, "photo") for data in encoded]
    rows = uniform_rows(0, 0, 0, BATCH)
    batch = np.empty((BATCH, 112, 112, 3), np.uint8)
    flag = cv2.IMREAD_COLOR_RGB

    def filled(augment: Augment) -> None:
        for number, image in enumerate(images):
            batch[number] = augment(image, rows[number])

    def build(augment: Augment) -> Callable[[], object]:
        builder = BatchBuilder(dataset, seed=0, size=112, augment=augment, degradations=("lowres",))
        return lambda: builder[plan]

    return {
        "plan and random numbers": lambda: (_planned(order), uniform_rows(0, 0, 0, BATCH)),
        "read": lambda: [dataset.read(index) for index in indices],
        "decode": lambda: [decode_rgb(data, "photo") for data in encoded],
        "of it OpenCV's decoder": lambda: [cv2.imdecode(array, flag) for array in arrays],
        "flip, into the batch": lambda: filled(Augment()),
        "every augmentation at 0.2, into the batch": lambda: filled(EVERYTHING),
        "to shared memory, as a worker hands over": lambda: torch.from_numpy(batch).clone().share_memory_(),
        "facerec: whole batch, flip": build(Augment()),
        "facerec: whole batch, every augmentation at 0.2": build(EVERYTHING),
    }


def _planned(order: Shuffled) -> BatchPlan:
    return order.plan(0, 1)


def folder_peer(folder: Path, photos: Path | None) -> Ways:
    """The same crops as files, by torchvision's ImageFolder and arcface_torch's transforms."""
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    (folder / "person").mkdir(parents=True)
    for number, crop in enumerate(crops(BATCH, photos)):
        cv2.imwrite(str(folder / "person" / f"{number}.jpg"), crop, [cv2.IMWRITE_JPEG_QUALITY, 95])
    half = [0.5, 0.5, 0.5]
    chain = [transforms.RandomHorizontalFlip(), transforms.ToTensor(), transforms.Normalize(half, half)]
    dataset = ImageFolder(str(folder), transforms.Compose(chain))
    return {"ImageFolder, arcface_torch's transforms": lambda: _collated(dataset, len(dataset))}


def mxnet_peer(rec: Path, checkout: Path, packages: Path | None) -> Ways:
    """arcface_torch's own data set on the same ``.rec``."""
    if packages is not None:
        sys.path.append(str(packages))
    sys.path.insert(0, str(checkout))
    own = getattr(np, "__getattr__", None)
    np.__getattr__ = lambda name: None  # names that mxnet 1.9 looks for and NumPy 2 has no more
    try:
        warnings.simplefilter("ignore")
        import mxnet  # noqa: F401
        from dataset import MXFaceDataset
    finally:
        np.__getattr__ = own
        sys.path.remove(str(checkout))
    for suffix in (".rec", ".idx"):
        (rec.parent / f"train{suffix}").symlink_to(rec.with_suffix(suffix))
    dataset = MXFaceDataset(str(rec.parent), 0)
    return {"arcface_torch MXFaceDataset": lambda: _collated(dataset, BATCH)}


def _collated(dataset: Any, count: int) -> object:
    return default_collate([dataset[number] for number in range(count)])


def measured(ways: Ways, rounds: int) -> dict[str, float]:
    """Median microseconds of CPU time a photo, the ways in turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(1 + rounds):
        for name, work in ways.items():
            start = time.process_time()
            work()
            if turn:
                taken[name].append(1e6 * (time.process_time() - start) / BATCH)
    return {name: statistics.median(values) for name, values in taken.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder of square crops of faces")
    parser.add_argument(
        "--arcface-torch", type=Path, help="recognition/arcface_torch of a checkout of insightface"
    )
    parser.add_argument("--mxnet", type=Path, help="site-packages of an environment that has mxnet")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        rec = make_rec(Path(folder), PHOTOS, CLASSES, wanted.photos)
        size = rec.stat().st_size / PHOTOS
        ways = stages(rec) | folder_peer(Path(folder, "files"), wanted.photos)
        if wanted.arcface_torch:
            ways |= mxnet_peer(rec, wanted.arcface_torch, wanted.mxnet)
        costs = measured(ways, wanted.rounds)
    print(f"JPEGs of {size:,.0f} bytes, batches of {BATCH}, one thread\n")
    for name, cost in costs.items():
        print(f"{name:50} {cost:8.1f} us a photo   {1e6 / cost:10,.0f} photos/s a core")
    handed = costs["to shared memory, as a worker hands over"]
    print()
    for gpu, rate in RATES.items():
        flip, all_of_it = ((costs[f"facerec: whole batch, {way}"] + handed) * rate / 1e6 for way in
                           ("flip", "every augmentation at 0.2"))  # fmt: skip
        print(f"{gpu}: {rate:,.0f} photos/s of iresnet50 take {flip:.2f} cores, augmented {all_of_it:.2f}")
    if wanted.json:
        peer = next((name for name in costs if "MXFace" in name), "ImageFolder, arcface_torch's transforms")
        rows = [{"name": name, "value": cost, "unit": "us"} for name, cost in costs.items()]
        for row in rows:
            if row["name"] == "facerec: whole batch, flip":
                row["peer"] = peer
        about = {
            "photos": "faces" if wanted.photos else "made up",
            "batch": BATCH,
            "bytes of a photo": round(size),
        }
        record("data_path", rows, about | {"rounds": wanted.rounds, "threads": 1}, wanted.json)


if __name__ == "__main__":
    main()
