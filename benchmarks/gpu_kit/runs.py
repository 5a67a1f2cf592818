"""Whole runs of the trainer: five losses in two number formats, and a run that is killed and gone on with."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facerec_cli.training import checkpoint
from facerec_cli.training.compose import changed
from facerec_cli.training.config import Recipe
from facerec_cli.training.report import Event, Logged
from facerec_cli.training.run_folder import LAST, METRICS
from facerec_cli.training.train import train
from gpu_kit.alone import kill_when, run_alone, start
from gpu_kit.losses import distances
from gpu_kit.recipes import make_recipe
from gpu_kit.report import Kit, Report

LOSSES = ("arcface", "otface", "ddl", "npt", "epl")
FALLS = {"second half / first": 0.97}
"""The mean loss of the second half of a short run on few people, as a part of that of the first half."""
RESUMED = {"": 0.0}
"""A run that is gone on with has the numbers of one that was left alone, bit for bit: it is deterministic."""


def train_losses(kit: Kit, report: Report) -> None:
    """Is the loss finite, and does it fall? The trainer itself ends with an error where it is not finite."""
    for precision, losses in _formats(kit, report).items():
        for loss in losses:
            about = f"{loss} in {precision}"
            if not report.has_time(about, kit.size(8, 2)):
                continue
            with report.attempt(about):
                values, speed = _losses_of(_short_run(kit, loss, precision))
                half = len(values) // 2
                first, second = statistics.mean(values[:half]), statistics.mean(values[half:])
                report.proof(about, {"second half / first": second / first}, FALLS)
                report.figure(f"{about}: the trainer, data and all", speed, "images/s")


def _short_run(kit: Kit, loss: str, precision: str) -> Recipe:
    """One epoch, and so one checkpoint, on people who are told apart soon."""
    settings = {
        "data.path": kit.size("synthetic:32:160", "synthetic:4:5"),
        "backbone.name": "iresnet18",  # of the same layers as iresnet50, and sooner done
        "loss.name": loss,
        "run.batch_size": kit.size(128, 10),
        "run.precision": precision,
        "run.log_every": kit.size(5, 1),
        "run.out": str(kit.folder / f"{loss}-{precision}"),
        "schedule.steps": kit.size(40, 8),
        "schedule.warmup": 0.0,
        "optimizer.lr": 0.1,
    }
    if loss == "epl":
        settings["loss.start_epoch"] = 0  # its own term is to take part in so short a run
    if kit.plant == "runs":
        settings["optimizer.lr"] = 1e-9
    return make_recipe(kit, settings)


def _formats(kit: Kit, report: Report) -> dict[str, tuple[str, ...]]:
    """The number formats that the device computes in, and the losses that are trained in each."""
    if not kit.on_gpu:
        report.left_out("runs in fp16", "it needs a GPU")
        return {"fp32": LOSSES, "bf16": LOSSES[:1]}
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return {"bf16": LOSSES, "fp16": LOSSES}
    report.left_out("runs in bf16", "this GPU has no bfloat16")
    return {"fp16": LOSSES}


def _losses_of(recipe: Recipe) -> tuple[list[float], float]:
    """The loss at each record of a run, and the images a second of the last one."""
    values, speeds = [], []

    def note(event: Event) -> None:
        if isinstance(event, Logged):
            values.append(event.values["loss"])
            speeds.append(event.images_per_second)

    train(recipe, observer=note)
    shutil.rmtree(recipe.run.out)  # the checkpoints of many runs fill a disk
    return values, speeds[-1]


def resume_run(kit: Kit, report: Report) -> None:
    """Train in one go; train, kill the process, go on; compare every number of the two checkpoints."""
    settings = {
        "data.path": kit.size("synthetic:64:16", "synthetic:6:4"),
        "backbone.name": "mobilefacenet",
        "loss.name": "epl",  # which keeps the most between steps
        "loss.start_epoch": 0,
        "run.batch_size": kit.size(64, 6),
        "run.deterministic": True,
        "run.log_every": 1,
        "schedule.steps": kit.size(120, 12),
    }
    recipe, notes = make_recipe(kit, settings), kit.folder / "notes.txt"
    whole, parted = (changed(recipe, "run.out", str(kit.folder / name)) for name in ("whole", "parted"))
    with report.attempt("a run that is killed and gone on with"):
        run_alone(_train, whole, False, notes=notes, seconds=report.left / 2)
        kill_when(start(_train, parted, False, notes=notes), kit.folder / "parted" / LAST, report.left / 2)
        went_on = int(checkpoint.read(kit.folder / "parted" / LAST)["progress"]["step"])
        run_alone(_train, parted, True, notes=notes, seconds=report.left - 1)
        one, other = (_saved(kit.folder / name) for name in ("whole", "parted"))
        if kit.plant == "resume":
            other["state"] = {
                key: value + 1e-6 * (value == value.max()) for key, value in other["state"].items()
            }
        measured = {
            key: max(distances(one[key], other[key]).values()) for key in ("state", "loss", "momentum")
        }
        records = [(kit.folder / name / METRICS).read_bytes() for name in ("whole", "parted")]
        measured["records"] = float(records[0] != records[1])
        report.proof(f"killed, gone on with from step {went_on}, against left alone", measured, RESUMED)


def _train(recipe: Recipe, resume: bool) -> None:
    train(recipe, resume=resume)


def _saved(folder: Path) -> dict[str, dict[str, Tensor]]:
    """What a run has at its end: the network, the loss with its class weights, the optimizer's momentum."""
    document = checkpoint.read(folder / LAST)
    (shard,) = document["ranks"]
    state: dict[str, Any] = document["optimizer"] | shard["optimizer"]
    return {
        "state": _floats(document["backbone"]["state"]),
        "loss": _floats(document["loss"]["state"] | shard["loss"]),
        "momentum": _floats(
            {f"{name} {key}": v for name, moments in state.items() for key, v in moments.items()}
        ),
    }


def _floats(tensors: dict[str, Any]) -> dict[str, Tensor]:
    return {
        name: v
        for name, v in tensors.items()
        if isinstance(v, Tensor) and v.is_floating_point() and v.numel()
    }
