"""Advice on a run: its plan with memory and warnings, and why a loss is not a number."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from facerec_cli.backbones import Backbone
from facerec_cli.backbones.encoder import to_input
from facerec_cli.data import FaceDataset
from facerec_cli.errors import InputError
from facerec_cli.images.headers import read_header
from facerec_cli.losses.base import Loss
from facerec_cli.training.config import Recipe
from facerec_cli.training.defaults import class_update
from facerec_cli.training.devices import World, slow_format
from facerec_cli.training.report import Plan
from facerec_cli.training.run import Run
from facerec_cli.training.teacher import Teacher
from facerec_cli.wording import counted

_USUAL_RATES = {"sgd": 0.1, "adamw": 5e-4}  # of a batch of 512, as in defaults.py
_SAMPLE = 8  # photos whose size is looked at


def make_plan(run: Run, *, start_step: int = 0) -> Plan:
    """What a run is going to do, what it needs, and what is odd about it.

    Args:
        run: As it was prepared.
        start_step: Steps that were done before.
    """
    recipe, model, length, world = run.recipe, run.model, run.optimization, run.world
    sharded = model.loss.sharded_names()
    shard = sum(t.numel() for name, t in model.loss.state_dict().items() if name in sharded)
    memory = estimate_memory(recipe, model.backbone, model.loss, world, model.dtype, model.teacher)
    available = available_memory(world.device)
    dataset, loss = run.data.dataset, model.loss
    warnings = list(dataset.warnings)
    if unaligned := size_warning(dataset, model.backbone.preprocessing.size):
        warnings.append(unaligned)
    if slower := slow_format(model.dtype, world.device):
        warnings.append(slower)
    if loss.start_epoch * length.steps_per_epoch >= length.steps:
        warnings.append(
            f"a term of {recipe.loss.name} takes no part: loss.start_epoch is {loss.start_epoch}, and the "
            f"run ends in epoch {(length.steps - 1) // length.steps_per_epoch} (the first is 0); lower it, "
            "or train longer"
        )
    warnings += _without_effect(recipe, length.steps, length.steps_per_epoch)
    if available is not None and sum(memory.values()) > available:
        warnings.append(
            "the estimate is more than what is free; lower --batch-size, or use --sample-rate 0.1"
        )
    gpu = world.device.type == "cuda"
    return Plan(
        recipe=recipe,
        images=len(dataset),
        classes=dataset.num_classes,
        parameters=sum(p.numel() for p in model.backbone.parameters()),
        trained=sum(p.numel() for p in model.backbone.parameters() if p.requires_grad),
        class_parameters=shard * world.size,
        steps=length.steps,
        steps_per_epoch=length.steps_per_epoch,
        device=torch.cuda.get_device_name(world.device) if gpu else world.device.type,
        processes=world.size,
        precision=str(model.dtype).removeprefix("torch."),
        memory=memory,
        available=available,
        evaluation={one.name: len(one) for one in run.data.evaluation_sets},
        units={one.name: one.unit for one in run.data.evaluation_sets},
        warnings=tuple(warnings),
        start_step=start_step,
    )


def _without_effect(recipe: Recipe, steps: int, steps_per_epoch: int) -> Iterator[str]:
    """Settings that cannot do what they say in a run of this length."""
    warmup = recipe.schedule.warmup or 0.0
    if round(warmup * steps_per_epoch) > steps:
        yield (
            f"the warm-up of {warmup:g} epochs is longer than the run of {counted(steps, 'step')}, so "
            "the learning rate never reaches its peak; lower --warmup, or train longer"
        )
    best = recipe.evaluate.best
    if best and not recipe.evaluate.sets:
        yield f"--best {best} says nothing without --eval: nothing is evaluated that it could be taken from"


def estimate_memory(
    recipe: Recipe,
    backbone: Backbone,
    loss: Loss,
    world: World,
    dtype: torch.dtype,
    teacher: Teacher | None = None,
) -> dict[str, int]:
    """Bytes of one process: weights with gradient and optimizer, class weights with theirs, logits, maps.

    Class weights with gradient and momentum take 12 C D / P bytes under SGD, logits and their gradient
    8 B c for each class matrix that the loss looks at, with the c classes of a step, C / P or a sample. A
    sample's own rows and their gradient take 8 c D more, and where only those rows are updated there is no
    gradient of the others. A teacher keeps no maps for the way back, so it adds its weights only.
    """
    copies = 3 if recipe.optimizer.name == "sgd" else 4  # weight, gradient, one or two moments
    trained = sum(p.numel() for p in backbone.parameters() if p.requires_grad)
    fixed = sum(t.numel() for t in backbone.state_dict().values()) - trained
    sharded = loss.sharded_names()
    weights = sum(p.numel() for name, p in loss.named_parameters() if name in sharded)
    buffers = sum(t.numel() for name, t in loss.state_dict().items() if name in sharded) - weights
    batch = recipe.run.batch_size or 0
    matrices = 0 if not weights else 1 + buffers / weights
    classes = weights / max(loss.embedding_size, 1)  # of this process
    part = min(classes, max(recipe.loss.sample_rate * classes, batch))  # of the classes, in a step
    estimate = {
        "network": 4 * (copies * trained + fixed) + (4 * (trained + fixed) if recipe.optimizer.ema else 0),
        "classes": 4 * (copies * weights + buffers) + _sample_bytes(recipe, part, classes, weights),
        "logits": round(8 * batch * part * matrices),
        "activations": _activations(backbone) * (batch // world.size) * dtype.itemsize,
    }
    if teacher is not None:
        estimate["teacher"] = teacher.nbytes
    return estimate


def _sample_bytes(recipe: Recipe, part: float, classes: float, weights: int) -> int:
    """What a sample of ``part`` of the classes takes beside the class weights, less what it saves."""
    if not classes or part >= classes:
        return 0
    batches = recipe.optimizer.accumulate
    rows, drawn = round(4 * weights * part / classes), 4 * weights
    if class_update(recipe.optimizer, recipe.loss.sample_rate) == "dense":
        return rows  # their gradient, which is added into that of all
    # Rows and gradient; the gradients of several batches are joined, old and new at once.
    return 2 * rows + (min(2 * batches * rows, 2 * drawn) if batches > 1 else 0) - drawn


def available_memory(device: torch.device) -> int | None:
    """Bytes free on the device, None where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "cpu" and "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _activations(backbone: Backbone) -> int:
    """Values that one photo leaves behind for the way back: the outputs of all innermost modules.

    Of parts that are computed twice only the outputs stay, and one part at a time lies open.
    """
    parts = backbone.parts() if backbone.recompute else ()
    part_of = {m: n for n, part in enumerate(parts) for module in part for m in module.modules()}
    inside = [0] * (1 + len(parts))  # of each part, and at the end of what is in none
    ends = {part[-1]: 0 for part in parts}

    def add(module: nn.Module, inputs: Any, output: Any) -> None:
        values = output.numel() if isinstance(output, Tensor) else 0
        if module in ends:
            ends[module] = values
        if not list(module.children()):
            inside[part_of.get(module, -1)] += values

    hooks = [m.register_forward_hook(add) for m in backbone.modules()]
    mode = {module: module.training for module in backbone.modules()}
    device = next(backbone.parameters()).device
    try:
        backbone.eval()
        with torch.no_grad():
            backbone(torch.zeros(1, 3, 112, 112, device=device))
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in mode.items():
            module.training = training
    return inside[-1] + sum(ends.values()) + max(inside[:-1], default=0)


def size_warning(dataset: FaceDataset, size: tuple[int, int]) -> str:
    """A sentence for the plan where photos have another size than the network takes, else "".

    Training resizes such photos as they are, and a network that sees whole photos where it expects faces
    learns next to nothing, without any error. Only the headers of a few photos over the whole data are read;
    photos that cannot be read are left to the loader, which counts them.

    Args:
        dataset: What is trained on; of a stream nothing is read.
        size: (width, height) of the network's input.
    """
    if dataset.format == "stream":
        return ""
    numbers = np.unique(np.linspace(0, len(dataset) - 1, _SAMPLE).astype(int)).tolist()
    sizes = {number: shape for number in numbers if (shape := _size(dataset, number)) is not None}
    odd = [number for number, shape in sizes.items() if shape != size]
    if not odd:
        return ""
    width, height = sizes[odd[0]]
    return (
        f"{len(odd)} of {len(sizes)} photos looked at are not {size[0]} x {size[1]} "
        f"({dataset.name(odd[0])} is {width} x {height}) and will be resized as they are; unless they are "
        "aligned crops of another size, run `facerec data align` first"
    )


def _size(dataset: FaceDataset, number: int) -> tuple[int, int] | None:
    """(width, height) of a photo; None where it cannot be told."""
    try:
        header = read_header(dataset.read(number))
    except (InputError, ValueError):
        return None
    return None if header is None else (header.width, header.height)


@torch.no_grad()
def cause_of(run: Run, images: Tensor, rate: float) -> tuple[str, str]:
    """What most likely made the loss infinite or not a number, and what to do.

    Looked at in the order in which one causes the other: weights, then the batch, then the embeddings, then
    the loss's scale.

    Args:
        run: The run.
        images: (B, 3, S, S) uint8, the batch at hand.
        rate: Learning rate of the last step.
    """
    recipe = run.recipe
    lower = min(rate / 10, _USUAL_RATES.get(recipe.optimizer.name, 0.1))
    broken = [name for name, p in run.optimization.parameters.items() if not bool(torch.isfinite(p).all())]
    if broken:
        scaled = f", after gradients grew past what {recipe.run.precision} holds" if _half(run) else ""
        return (
            f"weights are not finite any more ({broken[0]} and {counted(len(broken) - 1, 'other')}){scaled}: "
            f"the learning rate {rate:g} is too high",
            f"Use --lr {lower:.2g}, a longer --warmup, or --set optimizer.clip=1.",
        )
    if bool((images == images[:1]).all()):
        return "all photos of the batch are the same", "Run `facerec data check` on the data."
    device = next(run.model.backbone.parameters()).device
    inputs = to_input(images.to(device), run.model.backbone.preprocessing)
    with torch.autocast(device.type, run.model.dtype, enabled=run.model.dtype != torch.float32):
        embeddings = run.model.backbone(inputs).embeddings
    if not bool(torch.isfinite(embeddings).all()):
        if _half(run):
            return "float16 overflows inside the network", "Use --precision bf16 or fp32."
        return "the network's activations overflow", f"Use --lr {lower:.2g} or --set optimizer.clip=1."
    scale = getattr(run.model.loss, "scale", None)
    if scale is not None and scale > 128:
        return f"the loss's scale of {scale:g} is very large", "Use --set loss.scale=64."
    if rate > 100 * lower:  # after going back to an earlier checkpoint the weights tell nothing
        return f"the learning rate {rate:g} is too high", f"Use --lr {lower:.2g}."
    return (
        "weights and embeddings are finite, so it arose inside the loss",
        f"Try --lr {lower:.2g}, and report it with the run's recipe.toml.",
    )


def _half(run: Run) -> bool:
    return run.model.dtype == torch.float16
