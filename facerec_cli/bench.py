"""How many photos a second this machine manages: each stage alone, and the whole way from file to embedding.

Every figure is the median of repeated runs, so that a moment in which the machine was busy does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facerec_cli.embed.pipeline import embed_photos
from facerec_cli.embed.settings import EmbedOptions
from facerec_cli.errors import InputError, UsageError
from facerec_cli.faces import Face, FaceModel, open_model
from facerec_cli.faces.align import template
from facerec_cli.faces.views import View, open_view
from facerec_cli.images import ImageError, find_images, open_photo, quiet_decoders
from facerec_cli.images.samples import Image
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.progress import Progress, silent
from facerec_cli.registry import DEFAULT_PACK
from facerec_cli.runtime import usable_cores
from facerec_cli.wording import counted

BATCHES = (1, 4, 16)
_PHOTOS = 64  # of the user's, at most
_MADE_UP = (640, 480)
_NEARLY_BEST = 0.97  # of the best rate: good enough if it takes fewer threads or less memory
_HINT = "Give photos like those that you want to embed, or none to use made-up ones."

Source = str | bytes


@dataclass(frozen=True, slots=True)
class BenchRow:
    """Rates at one setting, in photos or faces a second.

    Attributes:
        threads: CPU threads.
        batch: Photos and crops worked on together.
        read: Photos decoded.
        detect: Photos searched for faces.
        align: Faces cut out.
        encode: Faces embedded.
        pipeline: Photos from file to embedding; None without photos of faces.
    """

    threads: int
    batch: int
    read: float
    detect: float
    align: float
    encode: float
    pipeline: float | None

    @property
    def bound(self) -> float:
        """Photos of one face a second if all stages ran one after the other and nothing else cost time.

        On a CPU, where the stages share the cores, no pipeline can be faster.
        """
        return 1 / (1 / self.read + 1 / self.detect + 1 / self.align + 1 / self.encode)


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What was measured.

    Attributes:
        model: Name of the pack.
        provider: What its recognition network ran on.
        photos: Whose photos, for a person.
        size: Mean (width, height) of the photos as searched for faces.
        faces: Faces in them.
        rows: One for each setting.
        best: The setting to use.
    """

    model: str
    provider: str
    photos: str
    size: tuple[int, int]
    faces: int
    rows: tuple[BenchRow, ...]
    best: BenchRow

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        rows = [asdict(row) | {"bound": row.bound} for row in self.rows]
        return asdict(self) | {"rows": rows, "best": asdict(self.best) | {"bound": self.best.bound}}


@dataclass(frozen=True, slots=True)
class _Material:
    """What the stages work on."""

    sources: Sequence[Source]
    views: Sequence[View]
    faces: Sequence[tuple[Image, Face]]
    crops: Image
    origin: str
    real: bool


def bench(
    inputs: Sequence[str] = (),
    model: str | Path | ModelPack = DEFAULT_PACK,
    *,
    device: str = "auto",
    threads: Sequence[int] = (),
    batches: Sequence[int] = (),
    seconds: float = 30,
    progress: Progress = silent,
) -> BenchReport:
    """Measure the stages and the whole pipeline at every combination of threads and batch sizes.

    Args:
        inputs: Photos and folders; without any, photos without faces are made up and the pipeline as a
            whole is not measured.
        model: As for ``open_model``.
        device: As for ``open_model``.
        threads: CPU threads to try; one, half and all cores by default.
        batches: Batch sizes to try; :data:`BATCHES` by default.
        seconds: About how long to measure in all; a run that takes longer than its share is made once.
        progress: Told the settings done.

    Raises:
        UsageError: A number is out of range.
        InputError: There is no photo, none can be read, or none shows a face.
        ModelError: The model or device cannot be used.
    """
    cores = usable_cores()
    thread_counts = sorted(set(threads or (1, max(1, cores // 2), cores)))
    batch_sizes = sorted(set(batches or BATCHES))
    if min(*thread_counts, *batch_sizes, 1) < 1 or max(batch_sizes) > 1024 or not seconds > 0:
        raise UsageError("Threads, batch sizes (up to 1024) and seconds must be above 0.")
    measured = []
    with quiet_decoders():
        first = open_model(model, device=device, threads=thread_counts[-1])
        material = _from_photos(inputs, first) if inputs else _made_up(first)
        share = seconds / (len(thread_counts) * (2 + len(batch_sizes) * (3 if material.real else 2)))
        opened, alone = first, (0.0, 0.0)
        settings = list(product(thread_counts, batch_sizes))
        for done, (count, batch) in enumerate(settings):
            if batch == batch_sizes[0]:
                opened = open_model(first.pack, device=device, threads=count)
                alone = _read_rate(material, count, share), _align_rate(material, opened, count, share)
            measured.append(_row(material, opened, count, batch, alone, share))
            progress(done + 1, len(settings))
    sizes = np.array([view.image.shape[1::-1] for view in material.views])
    width, height = sizes.mean(axis=0).round().astype(int).tolist()
    return BenchReport(
        model=first.pack.name,
        provider=first.provider,
        photos=material.origin,
        size=(width, height),
        faces=len(material.faces) if material.real else 0,
        rows=tuple(measured),
        best=recommended(measured),
    )


def recommended(rows: Sequence[BenchRow]) -> BenchRow:
    """The fewest threads, then the smallest batch, that come within 3 % of the best rate."""

    def rate(row: BenchRow) -> float:
        return row.encode if row.pipeline is None else row.pipeline

    fastest = max(map(rate, rows))
    good = [row for row in rows if rate(row) >= _NEARLY_BEST * fastest]
    return min(good, key=lambda row: (row.threads, row.batch))


def median_rate(
    work: Callable[[], object], units: int, seconds: float, *, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Units a second: the median of three runs or as many as fit; of one where that takes longer.

    Args:
        work: What is measured.
        units: How many photos or faces one run of it takes.
        seconds: About how long to measure.
        clock: Tells the time in seconds.
    """
    taken: list[float] = []
    while not taken or (taken[0] < seconds and (sum(taken) < seconds or len(taken) < 4)):
        start = clock()
        work()
        taken.append(clock() - start)
    return units / float(np.median(taken[1:] or taken))  # the first run allocates and warms up


def _row(
    material: _Material, model: FaceModel, threads: int, batch: int, alone: tuple[float, float], share: float
) -> BenchRow:
    images = _cycled([view.image for view in material.views], batch * threads)
    crops = material.crops[np.arange(batch * threads) % len(material.crops)]
    detect = median_rate(
        lambda: [model.detect(images[at : at + batch]) for at in range(0, len(images), batch)],
        len(images),
        share,
    )
    encode = median_rate(lambda: model.encode(crops, batch_size=batch), len(crops), share)
    pipeline = None
    if material.real:
        sources = _cycled(material.sources, max(16, batch * (threads + 1)))
        options = EmbedOptions(faces="largest", batch_size=batch)

        def whole() -> None:
            for _ in embed_photos(sources, model, options, workers=threads + 1):
                pass

        pipeline = median_rate(whole, len(sources), share)
    return BenchRow(threads, batch, alone[0], detect, alone[1], encode, pipeline)


def _read_rate(material: _Material, threads: int, share: float) -> float:
    sources = _cycled(material.sources, max(8, 2 * threads))
    with ThreadPoolExecutor(threads) as pool:
        return median_rate(lambda: list(pool.map(_open, sources)), len(sources), share)


def _align_rate(material: _Material, model: FaceModel, threads: int, share: float) -> float:
    faces = _cycled(material.faces, max(64, 16 * threads))
    with ThreadPoolExecutor(threads) as pool:
        return median_rate(lambda: list(pool.map(lambda f: model.align(*f), faces)), len(faces), share)


def _from_photos(inputs: Sequence[str], model: FaceModel) -> _Material:
    photos = find_images(list(inputs))
    if not photos:
        raise InputError("No photo was found.", hint=_HINT)
    sample = [photos[i * len(photos) // _PHOTOS] for i in range(_PHOTOS)] if len(photos) > _PHOTOS else photos
    sources, views, faces = [], [], []
    faults: list[ImageError] = []
    for path in sample:
        try:
            view = _open(path)
        except ImageError as fault:
            faults.append(fault)
            continue
        sources.append(path)
        views.append(view)
        faces += [(view.image, face) for face in model.detect([view.image])[0]]
    if not sources:
        raise InputError(f"None of the photos can be read: {faults[0].message}.", hint=_HINT)
    if not faces:
        raise InputError(f"No face was found in {counted(len(sources), 'photo')}.", hint=_HINT)
    crops = np.stack([model.align(image, face) for image, face in faces])
    return _Material(sources, views, faces, crops, f"{len(sources)} photos of yours", real=True)


def _made_up(model: FaceModel) -> _Material:
    """Photos as smooth and as noisy as photos are, without faces; the same on every machine."""
    generator = np.random.default_rng(0)
    width, height = _MADE_UP
    sources: list[Source] = []
    for _ in range(8):
        coarse = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        photo = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        photo += np.rint(generator.normal(0, 6, (height, width, 3))).astype(np.int16)
        sources.append(cv2.imencode(".jpg", np.clip(photo, 0, 255).astype(np.uint8))[1].tobytes())
    views = [_open(source) for source in sources]
    encoder = model.pack.encoder
    landmarks = template(encoder.template, encoder.input_size).astype(np.float32) * 1.5 + 100
    box = np.concatenate([landmarks.min(axis=0) - 40, landmarks.max(axis=0) + 40])
    faces = [(view.image, Face(box=box, landmarks=landmarks, score=1.0)) for view in views]
    crops = np.stack([model.align(image, face) for image, face in faces])
    origin = f"{len(sources)} made-up photos of {width} x {height}"
    return _Material(sources, views, faces, crops, origin, real=False)


def _open(source: Source) -> View:
    settings = EmbedOptions()
    return open_view(open_photo(source, max_pixels=settings.max_pixels), settings.max_side)


def _cycled(items: Sequence[Any], count: int) -> list[Any]:
    return [items[i % len(items)] for i in range(count)]
