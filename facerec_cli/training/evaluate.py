"""Held-out pairs during training, judged by the code behind ``facerec verify``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from facerec_cli.backbones import Backbone, Preprocessing
from facerec_cli.errors import InputError, UsageError
from facerec_cli.progress import Progress, silent
from facerec_cli.training.devices import World

logger = logging.getLogger("facerec")
FARS = (1e-4, 1e-3, 1e-2, 1e-1)
_BATCH = 256
_BATCH_A_THREAD = 4  # on a CPU: what a layer writes is still in the cache when the next one reads it


@dataclass(frozen=True, slots=True)
class PairSet:
    """Labelled pairs of aligned crops, decoded once.

    Attributes:
        name: Of the file, without its ending.
        crops: (N, S, S, 3) uint8 RGB; zeros where a photo cannot be read.
        unreadable: (N,) bool.
        first: (P,) int64 index into ``crops``.
        second: (P,) int64.
        same: (P,) bool.
        fold: (P,) int64, or None.
    """

    name: str
    crops: NDArray[np.uint8]
    unreadable: NDArray[np.bool_]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    same: NDArray[np.bool_]
    fold: NDArray[np.int64] | None


def open_pair_set(path: str, size: int = 112, progress: Progress = silent) -> PairSet:
    """Read a ``.bin`` or a list of pairs of aligned crops; ``progress`` is told of the photos.

    Raises:
        InputError: It cannot be read, is empty, or its photos are not aligned crops.
    """
    from facerec_cli.images import read_image
    from facerec_cli.pairs.read import read_pairs

    pairs = read_pairs(path)
    if pairs.templates is not None:
        raise InputError(f"{path} compares templates.", hint="Evaluate on pairs of photos while training.")
    crops = np.zeros((len(pairs.images), size, size, 3), np.uint8)
    unreadable = np.zeros(len(pairs.images), bool)
    for i, (source, name) in enumerate(zip(pairs.images, pairs.names, strict=True)):
        progress(i, len(pairs.images))
        try:
            image = read_image(source)
        except InputError as fault:
            logger.warning("%s: %s", path, fault.message)
            unreadable[i] = True
            continue
        if image.shape[:2] != (size, size):
            if not pairs.aligned:
                raise InputError(
                    f"{path}: {name} is no aligned crop, it has {image.shape[1]} x {image.shape[0]} pixels.",
                    hint=f"Crop the photos to {size} x {size} with `facerec data align`, and list those.",
                )
            image = np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
        crops[i] = image[..., ::-1]
    if unreadable.all():
        raise InputError(
            f"None of the photos of {path} can be read.",
            hint="Correct the list's paths, or give another --eval.",
        )
    return PairSet(Path(path).stem, crops, unreadable, pairs.first, pairs.second, pairs.same, pairs.fold)


def evaluate_pairs(
    backbone: Backbone,
    sets: Sequence[PairSet],
    world: World,
    *,
    flip: bool = False,
    dtype: torch.dtype,
    progress: Progress = silent,
) -> dict[str, float]:
    """Measure ``backbone`` on every set; the processes share the photos, and all get the result.

    Args:
        backbone: In any mode; left as it was.
        sets: What to measure on.
        world: The processes.
        flip: Add the embedding of the mirrored crop.
        dtype: Of autocast.
        progress: Told of this process's photos, over all sets.

    Returns:
        ``SET/accuracy`` (``SET/balanced_accuracy`` where one kind of pairs is much more frequent),
        ``SET/auc``, ``SET/eer`` and ``SET/tar@FAR`` where measurable, 0..1.
    """
    from facerec_cli.metrics.evaluate import evaluate
    from facerec_cli.metrics.scores import score_pairs

    result: dict[str, float] = {}
    parts = [-(-len(one.crops) // world.size) for one in sets]
    for number, one in enumerate(sets):

        def told(done: int, total: int | None = None, *, before: int = sum(parts[:number])) -> None:
            progress(before + done, sum(parts))

        embeddings = _embed_shared(backbone, one.crops, world, flip=flip, dtype=dtype, progress=told)
        broken = one.unreadable | ~np.isfinite(embeddings).all(axis=1)
        embeddings[broken] = 0
        failed = broken[one.first] | broken[one.second]
        scores = score_pairs(embeddings, one)
        found = evaluate(scores, one.same, failed=failed, folds=one.fold, fars=FARS)
        if found.accuracy is not None:
            kind = found.accuracy.kind.replace(" ", "_")
            result[f"{one.name}/{kind}"] = found.accuracy.mean_with_failures
        for key in ("auc", "eer"):
            value = getattr(found, key)
            if value is not None:
                result[f"{one.name}/{key}"] = float(value)
        for point in found.tar_at_far:
            if point.tar_with_failures is not None:
                result[f"{one.name}/tar@{point.far:g}"] = point.tar_with_failures
    return result


def best_metric(name: str, sets: Sequence[PairSet], metrics: dict[str, float]) -> float:
    """The value that names the best checkpoint: ``name`` on the first set, larger is better.

    Raises:
        UsageError: It was not measured; the message lists what was.
    """
    wanted = metric_name(name, metrics)
    key = f"{sets[0].name}/{wanted}"
    if key not in metrics:
        own = [k.partition("/")[2] for k in metrics if k.startswith(f"{sets[0].name}/")]
        different = int((~sets[0].same).sum())
        raise UsageError(
            f"--best {name} is not measured on {sets[0].name} ({different} different pairs).",
            hint=f"Measured are: {', '.join(own)}.",
        )
    return -metrics[key] if wanted == "eer" else metrics[key]


def metric_name(name: str, metrics: Mapping[str, float]) -> str:
    """What ``--best`` means among ``metrics``: ``tar@0.001`` for ``TAR@1e-3``.

    ``accuracy`` is the balanced accuracy of a first set whose pairs are mostly of one kind.
    """
    text = name.lower()
    if text.startswith("tar@"):
        try:
            return f"tar@{float(text[4:]):g}"
        except ValueError:
            return name
    first = next(iter(metrics), "").rpartition("/")[0]
    balanced = text == "accuracy" and f"{first}/accuracy" not in metrics
    return "balanced_accuracy" if balanced and f"{first}/balanced_accuracy" in metrics else text


@torch.no_grad()
def embed(
    backbone: Backbone,
    crops: NDArray[np.uint8],
    device: torch.device,
    *,
    flip: bool,
    dtype: torch.dtype,
    progress: Progress = silent,
) -> Tensor:
    """(N, D) float32 raw embeddings on the CPU of (N, S, S, 3) uint8 RGB crops."""
    rows = []
    mode = {module: module.training for module in backbone.modules()}
    backbone.eval()
    try:
        count = _BATCH_A_THREAD * torch.get_num_threads() if device.type == "cpu" else _BATCH
        for start in range(0, len(crops), count):
            progress(start, len(crops))
            batch = torch.from_numpy(np.ascontiguousarray(crops[start : start + count])).permute(0, 3, 1, 2)
            images = to_input(batch.to(device), backbone.preprocessing)
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                found = backbone(images).embeddings
                if flip:
                    found = found + backbone(images.flip(3)).embeddings
            rows.append(found.float().cpu())
    finally:
        for module, training in mode.items():
            module.training = training
    return torch.cat(rows) if rows else torch.zeros(0, backbone.embedding_size)


def to_input(images: Tensor, preprocessing: Preprocessing, *, channels_last: bool = True) -> Tensor:
    """(B, 3, S, S) uint8 RGB to what the network wants, on the device that ``images`` is on."""
    if preprocessing.color == "bgr":
        images = images.flip(1)
    mean, std = _mean_and_std(preprocessing, images.device)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return ((images.float() - mean) / std).contiguous(memory_format=layout)


@lru_cache(maxsize=8)
def _mean_and_std(preprocessing: Preprocessing, device: torch.device) -> tuple[Tensor, Tensor]:
    """(1, 3, 1, 1) each, made once: copying them to a GPU makes the CPU wait for all it was given to do."""
    values = (preprocessing.mean, preprocessing.std)
    mean, std = (torch.tensor(value, device=device).view(1, 3, 1, 1) for value in values)
    return mean, std


def _embed_shared(
    backbone: Backbone,
    crops: NDArray[np.uint8],
    world: World,
    *,
    flip: bool,
    dtype: torch.dtype,
    progress: Progress,
) -> NDArray[np.float32]:
    """Each process embeds its part of the crops; all get all rows."""
    part = -(-len(crops) // world.size)  # equal parts, the last ones may be shorter
    own = crops[world.rank * part : (world.rank + 1) * part]
    rows = embed(backbone, own, world.device, flip=flip, dtype=dtype, progress=progress)
    if world.group is None:
        return rows.numpy()
    padded = torch.zeros(part, rows.shape[1], device=world.device)
    padded[: len(rows)] = rows.to(world.device)
    parts = [torch.empty_like(padded) for _ in range(world.size)]
    dist.all_gather(parts, padded)
    return torch.cat(parts)[: len(crops)].cpu().numpy()


def open_pair_sets(paths: Sequence[str], progress: Progress = silent) -> list[PairSet]:
    """Open all sets; two of one name would share their metrics.

    Raises:
        InputError: One cannot be used.
        UsageError: Two have one name.
    """
    sets = [open_pair_set(path, progress=progress) for path in paths]
    names = [one.name for one in sets]
    if len(set(names)) < len(names):
        raise UsageError("Two --eval sets have the same name.", hint="Rename one of the files.")
    return sets
