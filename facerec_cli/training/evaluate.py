"""Held-out pairs during training, judged by the code behind ``facerec verify``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from facerec_cli.backbones import Backbone
from facerec_cli.backbones.encoder import TorchEncoder
from facerec_cli.errors import UsageError
from facerec_cli.progress import Progress, silent
from facerec_cli.training.devices import World
from facerec_cli.verify.pair_crops import PairCrops, evaluate_crops, read_pair_crops

FARS = (1e-4, 1e-3, 1e-2, 1e-1)


def open_evaluation_sets(paths: Sequence[str], progress: Progress = silent) -> list[PairCrops]:
    """Open all sets; two of one name would share their metrics.

    Raises:
        InputError: One cannot be used.
        UsageError: Two have one name.
    """
    sets = [read_pair_crops(path, progress=progress) for path in paths]
    if len({pairs.name for pairs in sets}) < len(sets):
        raise UsageError("Two --eval sets have the same name.", hint="Rename one of the files.")
    return sets


def evaluate_pairs(
    backbone: Backbone,
    sets: Sequence[PairCrops],
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
    result: dict[str, float] = {}
    shares = [-(-len(pairs.crops) // world.size) for pairs in sets]
    for number, pairs in enumerate(sets):

        def told(done: int, total: int | None = None, *, before: int = sum(shares[:number])) -> None:
            progress(before + done, sum(shares))

        encoder = TorchEncoder(backbone, world.device, flip=flip, dtype=dtype, progress=told)
        embeddings = _encode_shared(encoder, pairs.crops, world)
        evaluation = evaluate_crops(pairs, embeddings, FARS).evaluation
        if evaluation.accuracy is not None:
            kind = evaluation.accuracy.kind.replace(" ", "_")
            result[f"{pairs.name}/{kind}"] = evaluation.accuracy.mean_with_failures
        for key in ("auc", "eer"):
            value = getattr(evaluation, key)
            if value is not None:
                result[f"{pairs.name}/{key}"] = float(value)
        for point in evaluation.tar_at_far:
            if point.tar_with_failures is not None:
                result[f"{pairs.name}/tar@{point.far:g}"] = point.tar_with_failures
    return result


def _encode_shared(encoder: TorchEncoder, crops: NDArray[np.uint8], world: World) -> NDArray[np.float32]:
    """Each process encodes its share of the crops; all get all rows."""
    share = -(-len(crops) // world.size)  # equal shares, the last ones may be shorter
    rows = encoder.encode(crops[world.rank * share : (world.rank + 1) * share])
    if world.group is None:
        return rows
    padded = torch.zeros(share, rows.shape[1], device=world.device)
    padded[: len(rows)] = torch.from_numpy(rows)
    shares = [torch.empty_like(padded) for _ in range(world.size)]
    dist.all_gather(shares, padded)
    return torch.cat(shares)[: len(crops)].cpu().numpy()


def best_metric(name: str, sets: Sequence[PairCrops], metrics: dict[str, float]) -> float:
    """The value that names the best checkpoint: ``name`` on the first set, larger is better.

    Raises:
        UsageError: It was not measured; the message lists what was.
    """
    wanted = metric_name(name, metrics)
    key = f"{sets[0].name}/{wanted}"
    if key not in metrics:
        measured = [k.partition("/")[2] for k in metrics if k.startswith(f"{sets[0].name}/")]
        raise UsageError(
            f"--best {name} is not measured on {sets[0].name} ({sets[0].pairs.impostors} different pairs).",
            hint=f"Measured are: {', '.join(measured)}.",
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
