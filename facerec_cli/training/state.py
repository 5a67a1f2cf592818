"""What changes while a run goes on: saved whole, and put back for any number of processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
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
from facerec_cli.training.class_rows import keepers
from facerec_cli.training.devices import World
from facerec_cli.training.optimizer import load_state_by_name, state_by_name
from facerec_cli.training.run import Run

# What may differ between a run and its continuation without changing what is learned.
_MAY_CHANGE = frozenset(
    f"{table}.{key}"
    for table, keys in {
        "data": ("path", "hard", "workers"),
        "backbone": ("init", "teacher"),  # a teacher is known by its file, see _require_same
        "loss": ("class_weights",),  # where they started; the checkpoint has where they are
        "run": (
            *("out", "device", "compile", "recompute", "log_every", "checkpoint_every", "on_nan"),
            *("loggers", "tensorboard"),
        ),
        "evaluate": ("sets", "last", "every", "flip", "pool", "best"),
    }.items()
    for key in keys
)
# Settings that earlier versions did not have, with the values that learn what those versions did.
_UNSAID = (("optimizer", "class_update", ("dense", "lazy")), ("loss", "matmul", ("float32", "tf32")))


@dataclass(slots=True)
class TrainingState:
    """How far a run has come; each field is saved under its name, in a checkpoint's ``progress``.

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
            self.sums[name] = value.detach().to(sum_type(value.device)) if known is None else known + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Means since the last call; this waits for the device, once."""
        names = list(self.sums)
        totals = torch.stack([self.sums[name] for name in names]).tolist() if names else []
        means = {name: total / self.counts[name] for name, total in zip(names, totals, strict=True)}
        self.sums, self.counts = {}, {}
        return means


def sum_type(device: torch.device) -> torch.dtype:
    """What sums of logged values are kept in: float64, but on Apple's GPUs, which have none."""
    return torch.float32 if device.type == "mps" else torch.float64


def save_last(run: Run, state: TrainingState) -> Path:
    """Write everything that a bit-exact continuation needs; a collective.

    Class rows that are behind (``optimizer.class_update = "lazy"``) are saved as they are, with what they
    have missed; only at the end of the run all are brought up to date.

    Raises:
        OutputError: It cannot be written; the previous checkpoint is kept.
    """
    share_buffers(run)
    model, world, path = run.model, run.world, run.folder.last
    if state.step >= run.optimization.steps:
        for rows in keepers(model.loss).values():
            rows.settle()
    loss = model.loss.state_dict()
    sharded = model.loss.sharded_names()
    optimizer = state_by_name(run.optimization.optimizer, run.optimization.parameters)
    shard = {
        "loss": {name: value for name, value in loss.items() if name in sharded},
        "optimizer": {name: value for name, value in optimizer.items() if name in run.optimization.sharded},
    }
    ranks: list[Any] = [shard]
    if world.group is not None:
        ranks = [f"last-{state.step:08d}.rank-{rank}.pt" for rank in range(world.size)]
        checkpoint.write(path.parent / ranks[world.rank], {**checkpoint.header(__version__), **shard})
        world.barrier()  # last.pt may name the shards only once all are there
    if world.first:
        document = _describe(run, state) | {
            "ema": None if model.ema is None else model.ema.module.state_dict(),
            "optimizer": {name: v for name, v in optimizer.items() if name not in run.optimization.sharded},
            "average_count": None if model.ema is None else model.ema.n_averaged,
            "scaler": run.optimization.scaler.state_dict(),
            "ranks": ranks,
        }
        document["loss"] |= {"state": {name: value for name, value in loss.items() if name not in sharded}}
        checkpoint.write(path, document)
        for old in path.parent.glob("last-*.rank-*.pt"):
            if old.name not in ranks:
                old.unlink(missing_ok=True)
    world.barrier()
    return path


def save_best(run: Run, state: TrainingState) -> None:
    """Write the backbone alone, and its EMA where there is one.

    Raises:
        OutputError: It cannot be written; the previous checkpoint is kept.
    """
    if run.world.first:
        document = _describe(run, state)
        if run.model.ema is not None:
            document["ema"] = run.model.ema.module.state_dict()
        checkpoint.write(run.folder.best, document)


def restore(run: Run) -> TrainingState:
    """Put a run back to where its ``last.pt`` was written.

    Raises:
        ModelError: It belongs to another run: other loss, backbone, data or settings.
    """
    path, model, world = run.folder.last, run.model, run.world
    document = checkpoint.read(path)
    if "ranks" not in document:
        raise ModelError(
            f"{path} holds the network alone.", hint="Resume from last.pt, or use it with --init."
        )
    _require_same(document, run, path)
    model.backbone.load_state_dict(document["backbone"]["state"])
    if model.ema is not None:
        model.ema.module.load_state_dict(document["ema"])
        model.ema.n_averaged.copy_(document["average_count"])
    shards = [
        checkpoint.read(path.parent / shard) if isinstance(shard, str) else shard
        for shard in document["ranks"]
    ]
    sharded = model.loss.sharded_names()
    rows = {name: _rows(v, world) for name, v in model.loss.state_dict().items() if name in sharded}

    def mine(name: str, tensors: list[Tensor]) -> Tensor:
        return _slice(tensors, *rows[name], path)

    loss = {name: mine(name, [shard["loss"][name] for shard in shards]) for name in sharded}
    model.loss.load_state_dict(document["loss"]["state"] | loss)
    optimizer = dict(document["optimizer"])
    for name, moments in shards[0]["optimizer"].items():
        weight = name.removeprefix("loss.")
        count = len(shards[0]["loss"][weight])
        optimizer[name] = {
            key: mine(weight, [shard["optimizer"][name][key] for shard in shards])
            if isinstance(value, Tensor) and value.ndim and len(value) == count and key != "missed"
            else value
            for key, value in moments.items()
        }
    load_state_by_name(run.optimization.optimizer, run.optimization.parameters, optimizer)
    run.optimization.scaler.load_state_dict(document["scaler"])
    saved = document["progress"]
    state = TrainingState(**{field.name: saved[field.name] for field in fields(TrainingState)})
    kind = sum_type(world.device)
    state.sums = {name: v.clone().to(world.device, kind) for name, v in state.sums.items()}
    return state


def share_buffers(run: Run) -> None:
    """Give all processes the first one's batch statistics, so that they evaluate and save one network."""
    if run.world.group is not None:
        averaged = () if run.model.ema is None else run.model.ema.module.buffers()
        for buffer in (*run.model.backbone.buffers(), *averaged):
            dist.broadcast(buffer, 0)


def is_finite(run: Run, state: TrainingState) -> bool:
    """Whether a checkpoint would hold finite numbers only, BN statistics and prototypes, too."""
    modules = (*run.model.backbone.state_dict().values(), *run.model.loss.state_dict().values())
    finite = [t.isfinite().all() for t in (*state.sums.values(), *modules) if t.is_floating_point()]
    return bool(torch.stack(finite).all())


def _describe(run: Run, state: TrainingState) -> dict[str, Any]:
    recipe, dataset = run.recipe, run.data.dataset
    backbone = recipe.backbone
    return checkpoint.header(__version__) | {
        "backbone": checkpoint.describe_backbone(backbone.name or "", backbone.settings, run.model.backbone),
        "loss": {"name": recipe.loss.name, "classes": run.model.loss.num_classes},
        "teacher": None if run.model.teacher is None else run.model.teacher.sha256,
        "recipe": to_tables(recipe),
        "data": {
            "name": recipe.data.name,
            "classes": dataset.num_classes,
            "images": len(dataset),
            "people": run.data.fingerprint,
        },
        "progress": {
            "epoch": state.step // run.optimization.steps_per_epoch,
            **{field.name: getattr(state, field.name) for field in fields(state)},
        },
    }


def _require_same(document: Mapping[str, Any], run: Run, path: Path) -> None:
    """Refuse a checkpoint that is not an earlier state of this very run."""
    now = to_tables(run.recipe)
    before = {table: document["recipe"].get(table, {}) for table in now}
    for table, key, same in _UNSAID:
        if key in now[table] and now[table][key] in same:
            before[table] = {key: now[table][key], **before[table]}
    saved = document["data"]
    counts: dict[str, Any] = {
        "classes in the data": run.data.dataset.num_classes,
        "images in the data": len(run.data.dataset),
    }
    known = {"classes in the data": saved["classes"], "images in the data": saved["images"]}
    if saved.get("people"):  # older checkpoints do not say
        counts["people of the photos (a hash)"] = run.data.fingerprint
        known["people of the photos (a hash)"] = saved["people"]
    if document.get("teacher") and run.model.teacher is not None:
        counts["the teacher's file (sha256)"] = run.model.teacher.sha256
        known["the teacher's file (sha256)"] = document["teacher"]
    started, starts = before["backbone"].get("init", ""), run.recipe.backbone.init
    if bool(started) != bool(starts):  # a file may have moved
        known["--init"], counts["--init"] = started or "not given", starts or "not given"
    if known != counts:  # the same photos may lie elsewhere; others are told by what they are called
        counts["the data"], known["the data"] = run.recipe.data.name, saved["name"]
    Fingerprint({**now, **counts}, ignore=_MAY_CHANGE).require_same(
        {**before, **known},
        f"{path} is the checkpoint of another run",
        hint="Resume with the settings of the run's recipe.toml, or start a new run from it with --init.",
        error=ModelError,
    )


def _rows(shard: Tensor, world: World) -> tuple[int, int]:
    """Where this process's rows start among all, and how many they are."""
    if world.group is None:
        return 0, len(shard)
    counts = [torch.zeros(1, dtype=torch.int64, device=world.device) for _ in range(world.size)]
    dist.all_gather(counts, torch.tensor([len(shard)], device=world.device))
    numbers = [int(count) for count in counts]
    return sum(numbers[: world.rank]), numbers[world.rank]


def _slice(shards: list[Tensor], start: int, count: int, path: Path) -> Tensor:
    """Rows start .. start + count of the shards laid end to end; only those are read from disk."""
    pieces, position = [], 0
    for shard in shards:
        low, high = max(start - position, 0), min(start + count - position, len(shard))
        if low < high:
            pieces.append(shard[low:high])
        position += len(shard)
    if position < start + count:
        raise ModelError(
            f"{path}: {position} class rows are saved, {start + count} are needed.",
            hint="Go on with the data that the run began with.",
        )
    return torch.cat(pieces) if pieces else shards[0][:0].clone()
