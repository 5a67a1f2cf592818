"""Evaluation during training, judged by the code behind ``facerec verify`` and ``facerec identify``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from facerec_cli.backbones import Backbone
from facerec_cli.backbones.encoder import TorchEncoder
from facerec_cli.errors import FacerecError, InputError, UsageError
from facerec_cli.progress import Progress, silent
from facerec_cli.training.config import EvaluateSettings
from facerec_cli.training.devices import World
from facerec_cli.training.evaluation_open import open_set
from facerec_cli.training.evaluation_sets import EvaluationSet
from facerec_cli.training.metric_names import metric_name

_TOGETHER, _TOGETHER_PER_THREAD = 256, 4  # crops that are embedded together on a GPU, and on a CPU
_GATHERED = 65_536  # rows of each process that are sent at a time


def open_evaluation_sets(
    settings: EvaluateSettings, world: World, progress: Progress = silent
) -> list[EvaluationSet]:
    """Open all sets; two of one name would share their metrics. A collective.

    Raises:
        InputError: One cannot be used.
        UsageError: Two have one name, or templates are to be weighed and there are none.
    """
    unit = _together(world)
    sets = [
        open_set(path, world, unit=unit, pool=settings.pool, at_end=at_end, progress=progress)
        for at_end, paths in ((False, settings.sets), (True, settings.last))
        for path in paths
    ]
    if len({one.name for one in sets}) < len(sets):
        raise UsageError("Two --eval sets have the same name.", hint="Rename one of the files.")
    if settings.pool != "mean" and not any(one.has_templates for one in sets):
        raise UsageError(
            f"evaluate.pool = {settings.pool!r} weighs the photos of templates, and no --eval has any.",
            hint="Leave it out.",
        )
    return sets


def evaluate_sets(
    backbone: Backbone,
    sets: Sequence[EvaluationSet],
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
        ``SET/auc``, ``SET/eer`` and ``SET/tar@FAR``, of searches ``SET/rank-1``, ``SET/tpir@FPIR`` and
        ``SET/map``, where measurable, 0..1.

    Raises:
        InputError: Nothing of a set can be measured.
    """
    result: dict[str, float] = {}
    shares = [len(one.crops.mine) for one in sets]
    for number, one in enumerate(sets):
        before = sum(shares[:number])
        rows: list[NDArray[np.float32]] = [np.zeros((0, backbone.embedding_size), np.float32)]
        for crops, missing in one.crops.chunks():
            read = before + sum(map(len, rows))

            def told(done: int, total: int | None = None, *, read: int = read) -> None:
                progress(read + done, sum(shares))

            encoder = TorchEncoder(
                backbone, world.device, flip=flip, dtype=dtype, batch_size=_together(world), progress=told
            )
            encoded = encoder.encode(crops)
            encoded[missing] = np.nan
            rows.append(encoded)
        gathered = _gather(np.concatenate(rows), one, world)
        found = _of_the_first(world, lambda one=one, rows=gathered: one.measure(rows))  # type: ignore[misc]
        result |= _named(one, found)
    return result


def _together(world: World) -> int:
    """Crops that are embedded together: on a CPU as many as stay in its cache."""
    on_cpu = world.device.type == "cpu"
    return _TOGETHER_PER_THREAD * torch.get_num_threads() if on_cpu else _TOGETHER


def _gather(rows: NDArray[np.float32], one: EvaluationSet, world: World) -> NDArray[np.float32]:
    """All rows of all processes in the first one, a part at a time; in the others nothing of use."""
    if world.group is None:
        return rows
    share, width = one.crops.share, rows.shape[1]
    whole = np.zeros((share * world.size if world.first else 0, width), np.float32)
    for start in range(0, share, _GATHERED):
        count = min(_GATHERED, share - start)
        part = torch.zeros(count, width, device=world.device)
        mine = rows[start : start + count]
        part[: len(mine)] = torch.from_numpy(mine)
        parts = [torch.empty_like(part) for _ in range(world.size)]
        dist.all_gather(parts, part)
        for rank, sent in enumerate(parts if world.first else ()):
            place = rank * share + start
            whole[place : place + count] = sent.cpu().numpy()
    return whole[: one.crops.count]


def _of_the_first(world: World, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What the first process measures, in all of them; also where it cannot."""
    if world.group is None:
        return measure()
    said: list[Any] = [None, "", ""]
    if world.first:
        try:
            said[0] = measure()
        except FacerecError as fault:
            said[1:] = [fault.message, fault.hint]
    dist.broadcast_object_list(said, 0, device=world.device if world.device.type == "cuda" else None)
    if said[0] is None:
        raise InputError(said[1], hint=said[2])
    return dict(said[0])


def require_best(name: str, watched: Sequence[EvaluationSet], world: World) -> None:
    """Refuse a ``--best`` that no set has, before any network is evaluated. A collective.

    What can be measured depends on the sets and not on the network, so embeddings drawn at random tell.

    Raises:
        UsageError: See :func:`best_metric`.
    """
    metrics: dict[str, float] = {}
    for one in watched:
        rows = np.random.default_rng(0).standard_normal((one.crops.count, 4), dtype=np.float32)
        found = _of_the_first(world, lambda one=one, rows=rows: one.measure(rows))  # type: ignore[misc]
        metrics |= _named(one, found)
        if found_metric(name, watched, metrics):
            return
    best_metric(name, watched, metrics)


def best_metric(name: str, watched: Sequence[EvaluationSet], metrics: Mapping[str, float]) -> str:
    """The key of ``metrics`` that names the best checkpoint: that metric of the first set that has it.

    Nothing is watched, nothing names it.

    Raises:
        UsageError: It was not measured; the message lists what was.
    """
    key = found_metric(name, watched, metrics)
    if key or not watched:
        return key
    sets = ", ".join(f"{one.name} ({one.size})" for one in watched)
    measured = dict.fromkeys(key.partition("/")[2] for one in watched for key in _of(one, metrics))
    raise UsageError(
        f"--best {name} is not measured on {sets}.", hint=f"Measured are: {', '.join(measured)}."
    )


def found_metric(name: str, watched: Sequence[EvaluationSet], metrics: Mapping[str, float]) -> str:
    """As :func:`best_metric`, or nothing where it was not measured."""
    for one in watched:
        own = _of(one, metrics)
        key = f"{one.name}/{metric_name(name, [key.partition('/')[2] for key in own])}"
        if key in own:
            return key
    return ""


def _named(one: EvaluationSet, found: Mapping[str, float]) -> dict[str, float]:
    return {f"{one.name}/{key}": value for key, value in found.items()}


def _of(one: EvaluationSet, metrics: Mapping[str, float]) -> list[str]:
    return [key for key in metrics if key.startswith(f"{one.name}/")]
