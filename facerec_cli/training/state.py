"""What changes while a run goes on: saved whole, and put back for any number of processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from facerec_cli._version import __version__
from facerec_cli.errors import ModelError
from facerec_cli.resume import Fingerprint
from facerec_cli.settings import to_tables
from facerec_cli.training import checkpoint
from facerec_cli.training.devices import World
from facerec_cli.training.optimizer import load_state_by_name, state_by_name
from facerec_cli.training.setup import Parts

LAST, BEST = "last.pt", "best.pt"
# What may differ between a run and its continuation without changing what is learnt.
_MAY_CHANGE = frozenset(
    f"{table}.{key}"
    for table, keys in {
        "data": ("path", "hard", "workers"),
        "backbone": ("init",),
        "loss": ("class_weights",),  # where they started; the checkpoint has where they are
        "run": ("out", "device", "log_every", "checkpoint_every", "on_nan", "tensorboard", "compile"),
        "evaluate": ("sets", "every", "flip", "best"),
    }.items()
    for key in keys
)


@dataclass(slots=True)
class Progress:
    """How far a run has come.

    Attributes:
        step: Optimizer steps done.
        best: Best value of the metric so far, None before the first evaluation.
        first: Evaluation before the first step.
        metrics: The last evaluation.
        offset: Bytes of the metrics file that belong to the steps done.
        lr_scale: What roll-backs have multiplied the learning rate with.
        rollbacks: How many there were.
        sums: Sum of each logged value since the last report, on the device.
        counts: How many values are in each sum.
    """

    step: int = 0
    best: float | None = None
    first: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    offset: int = 0
    lr_scale: float = 1.0
    rollbacks: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def note(self, values: Mapping[str, Tensor]) -> None:
        """Add one step's values; no wait for the GPU."""
        for name, value in values.items():
            known = self.sums.get(name)
            self.sums[name] = value.detach().double() if known is None else known + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Means since the last call; this waits for the device, once."""
        names = list(self.sums)
        totals = torch.stack([self.sums[name].cpu() for name in names]).tolist() if names else []
        means = {name: total / self.counts[name] for name, total in zip(names, totals, strict=True)}
        self.sums, self.counts = {}, {}
        return means


def save_last(parts: Parts, progress: Progress, out: Path, world: World) -> Path:
    """Write everything that a bit-exact continuation needs; a collective.

    Raises:
        OutputError: It cannot be written; the previous checkpoint is kept.
    """
    share_buffers(parts, world)
    state = parts.loss.state_dict()
    split = parts.loss.sharded_names()
    optimizer = state_by_name(parts.optimizer, parts.parameters)
    own = {
        "loss": {name: value for name, value in state.items() if name in split},
        "optimizer": {name: value for name, value in optimizer.items() if name in parts.split},
    }
    ranks: list[Any] = [own]
    if world.group is not None:
        ranks = [f"last-{progress.step:08d}.rank-{rank}.pt" for rank in range(world.size)]
        checkpoint.write(out / ranks[world.rank], {**checkpoint.header(__version__), **own})
        world.barrier()  # last.pt may name the parts only once all are there
    if world.first:
        document = _describe(parts, progress) | {
            "ema": None if parts.average is None else parts.average.module.state_dict(),
            "optimizer": {name: value for name, value in optimizer.items() if name not in parts.split},
            "average_count": None if parts.average is None else parts.average.n_averaged,
            "scaler": parts.scaler.state_dict(),
            "ranks": ranks,
        }
        document["loss"] |= {"state": {name: value for name, value in state.items() if name not in split}}
        checkpoint.write(out / LAST, document)
        for old in out.glob("last-*.rank-*.pt"):
            if old.name not in ranks:
                old.unlink(missing_ok=True)
    world.barrier()
    return out / LAST


def save_best(parts: Parts, progress: Progress, out: Path, world: World) -> Path:
    """Write the network alone, averaged where there is an average."""
    if world.first:
        document = _describe(parts, progress)
        if parts.average is not None:
            document["ema"] = parts.average.module.state_dict()
        checkpoint.write(out / BEST, document)
    return out / BEST


def restore(parts: Parts, path: Path, world: World) -> Progress:
    """Put a run back to where ``path`` (its ``last.pt``) was written.

    Raises:
        ModelError: It belongs to another run: other loss, network, data or settings.
    """
    document = checkpoint.read(path)
    if "ranks" not in document:
        raise ModelError(
            f"{path} holds the network alone.", hint="Resume from last.pt, or use it with --init."
        )
    _require_same(document, parts, path)
    device = world.device
    parts.backbone.load_state_dict(document["backbone"]["state"])
    if parts.average is not None:
        parts.average.module.load_state_dict(document["ema"])
        parts.average.n_averaged.copy_(document["average_count"])
    pieces = [
        checkpoint.read(path.parent / piece) if isinstance(piece, str) else piece
        for piece in document["ranks"]
    ]
    share = {name: _rows(value, world) for name, value in _split_tensors(parts).items()}

    def own(name: str, parts_of_tensor: list[Tensor]) -> Tensor:
        start, count = share[name]
        return _slice(parts_of_tensor, start, count, path)

    loss = {name: own(name, [p["loss"][name] for p in pieces]) for name in parts.loss.sharded_names()}
    parts.loss.load_state_dict(document["loss"]["state"] | loss)
    optimizer = dict(document["optimizer"])
    for name in pieces[0]["optimizer"]:
        rows = len(pieces[0]["loss"][name.removeprefix("loss.")])
        optimizer[name] = {
            key: own(name.removeprefix("loss."), [p["optimizer"][name][key] for p in pieces])
            if isinstance(value, Tensor) and value.ndim and len(value) == rows
            else value
            for key, value in pieces[0]["optimizer"][name].items()
        }
    load_state_by_name(parts.optimizer, parts.parameters, optimizer)
    parts.scaler.load_state_dict(document["scaler"])
    saved = document["progress"]
    return Progress(
        step=saved["step"],
        best=saved["best"],
        first=saved["first"],
        metrics=saved["metrics"],
        offset=saved["offset"],
        lr_scale=saved["lr_scale"],
        rollbacks=saved["rollbacks"],
        sums={name: value.clone().to(device) for name, value in saved["sums"].items()},
        counts=dict(saved["counts"]),
    )


def share_buffers(parts: Parts, world: World) -> None:
    """Give all processes the first one's batch statistics, so that they evaluate and save one network."""
    if world.group is not None:
        averaged = () if parts.average is None else parts.average.module.buffers()
        for buffer in (*parts.backbone.buffers(), *averaged):
            dist.broadcast(buffer, 0)


def is_finite(parts: Parts, progress: Progress) -> bool:
    """Whether a checkpoint would hold finite numbers only, BN statistics and prototypes, too."""
    state = (*parts.backbone.state_dict().values(), *parts.loss.state_dict().values())
    found = [t.isfinite().all().cpu() for t in (*progress.sums.values(), *state) if t.is_floating_point()]
    return bool(torch.stack(found).all())


def _describe(parts: Parts, progress: Progress) -> dict[str, Any]:
    recipe = parts.recipe
    backbone = recipe.backbone
    return checkpoint.header(__version__) | {
        "backbone": checkpoint.describe_backbone(backbone.name or "", backbone.settings, parts.backbone),
        "loss": {"name": recipe.loss.name, "classes": parts.loss.num_classes},
        "recipe": to_tables(recipe),
        "data": {
            "name": recipe.data.path,
            "classes": parts.dataset.num_classes,
            "images": len(parts.dataset),
        },
        "progress": {
            "epoch": progress.step // parts.plan.steps_per_epoch,
            "step": progress.step,
            "best": progress.best,
            "first": progress.first,
            "metrics": progress.metrics,
            "offset": progress.offset,
            "lr_scale": progress.lr_scale,
            "rollbacks": progress.rollbacks,
            "sums": progress.sums,
            "counts": progress.counts,
        },
    }


def _require_same(document: Mapping[str, Any], parts: Parts, path: Path) -> None:
    """Refuse a checkpoint that is not an earlier state of this very run."""
    now = to_tables(parts.recipe)
    before = {table: document["recipe"].get(table, {}) for table in now}
    saved = document["data"]
    counts = {"classes in the data": parts.dataset.num_classes, "images in the data": len(parts.dataset)}
    Fingerprint({**now, **counts}, ignore=_MAY_CHANGE).require_same(
        {**before, "classes in the data": saved["classes"], "images in the data": saved["images"]},
        f"{path} is the checkpoint of another run",
        hint="Resume with the settings of the run's recipe.toml, or start a new run from it with --init.",
        error=ModelError,
    )


def _split_tensors(parts: Parts) -> dict[str, Tensor]:
    split = parts.loss.sharded_names()
    return {name: value for name, value in parts.loss.state_dict().items() if name in split}


def _rows(own: Tensor, world: World) -> tuple[int, int]:
    """Where this process's rows start among all, and how many they are."""
    if world.group is None:
        return 0, len(own)
    counts = [torch.zeros(1, dtype=torch.int64, device=world.device) for _ in range(world.size)]
    dist.all_gather(counts, torch.tensor([len(own)], device=world.device))
    numbers = [int(count) for count in counts]
    return sum(numbers[: world.rank]), numbers[world.rank]


def _slice(pieces: list[Tensor], start: int, count: int, path: Path) -> Tensor:
    """Rows start .. start + count of the pieces laid end to end; only those are read from disk."""
    chosen, position = [], 0
    for piece in pieces:
        low, high = max(start - position, 0), min(start + count - position, len(piece))
        if low < high:
            chosen.append(piece[low:high])
        position += len(piece)
    if position < start + count:
        raise ModelError(
            f"{path}: {position} class rows are saved, {start + count} are needed.",
            hint="Go on with the data that the run began with.",
        )
    return torch.cat(chosen) if chosen else pieces[0][:0].clone()
