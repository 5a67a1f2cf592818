"""From a recipe to everything a run is made of: data, network, loss, optimizer, and the plan to show."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from facerec_cli.backbones import Backbone
from facerec_cli.data import FaceDataset, open_dataset
from facerec_cli.data.formats.stream import TarStream
from facerec_cli.data.loading.augment import Augment
from facerec_cli.data.loading.loader import Loader, build_loader
from facerec_cli.errors import InputError, UsageError
from facerec_cli.losses.base import Loss
from facerec_cli.losses.distill import Distill
from facerec_cli.training import defaults
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import World, number_format
from facerec_cli.training.distillation import distils, make_teacher, require_teacher
from facerec_cli.training.evaluate import open_evaluation_sets
from facerec_cli.training.freezing import freeze
from facerec_cli.training.initial import make_backbone, open_start
from facerec_cli.training.loss_settings import loss_class, loss_settings
from facerec_cli.training.memory import available_memory, estimate_memory
from facerec_cli.training.optimizer import build_optimizer, named_parameters
from facerec_cli.training.photo_size import size_warning
from facerec_cli.training.report import Observer, Plan, Working, telling, unobserved
from facerec_cli.verify.pair_crops import PairCrops
from facerec_cli.wording import counted


@dataclass(slots=True)
class Parts:
    """What a run is made of.

    Attributes:
        recipe: Everything decided.
        dataset: What is trained on.
        loader: This process's batches.
        backbone: The network itself.
        network: The network as it is called: compiled, averaged over processes.
        loss: With its class weights; never wrapped.
        parameters: What is trained, by checkpoint name.
        split: Names of those that are split by class over processes.
        optimizer: Over ``parameters``.
        scaler: Of fp16; disabled otherwise.
        average: Running average of the backbone, or None.
        teacher: The network as it was before, frozen, where there is a distillation; or None.
        distill: The distill term beside the loss, or None.
        sets: Pairs to watch.
        dtype: Of autocast.
        plan: To show.
    """

    recipe: Recipe
    dataset: FaceDataset
    loader: Loader
    backbone: Backbone
    network: nn.Module
    loss: Loss
    parameters: dict[str, nn.Parameter]
    split: frozenset[str]
    optimizer: torch.optim.Optimizer
    scaler: Any
    average: Any
    teacher: Backbone | None
    distill: Loss | None
    sets: list[PairCrops]
    dtype: torch.dtype
    plan: Plan


def prepare(recipe: Recipe, world: World, *, weights: bool = True, observer: Observer = unobserved) -> Parts:
    """Open the data and build network, loss and optimizer.

    Args:
        recipe: What the user set.
        world: The processes.
        weights: False where a checkpoint will bring them: ``--init`` is not read then.
        observer: Is told of what takes a while.

    Raises:
        FacerecError: Something in the recipe does not exist, does not fit, or cannot be read.
    """
    kind = loss_class(recipe.loss.name)
    loss_settings(kind, recipe)  # refused before the data is opened
    observer(Working("opening the data"))
    dataset = open_data(recipe)
    dtype = number_format(recipe.run.precision, world.device)
    gpu = world.device.type != "cpu"
    pretrained, taught = bool(recipe.backbone.init), distils(recipe)
    resolved = recipe.backbone.name is not None  # by the run that is gone on with
    wanted = recipe.backbone if weights or taught or not resolved else replace(recipe.backbone, init="")
    start = open_start(wanted, defaults.default_backbone(gpu=gpu))
    if taught:
        require_teacher(recipe, start)
    recipe = replace(recipe, backbone=replace(recipe.backbone, settings=start.settings))
    facts = defaults.Facts(
        images=len(dataset),
        backbone=start.backbone,
        embedding_size=start.embedding_size,
        pretrained=pretrained,
        classes=dataset.num_classes,
        streamed=isinstance(dataset, TarStream),
        needs_target=kind.needs_target,
        waits="start_epoch" in kind.settings(),
        gpu=gpu,
        processes=world.size,
        cores=max(len(os.sched_getaffinity(0)) // world.size, 1) if hasattr(os, "sched_getaffinity") else 4,
    )
    recipe = defaults.resolve(recipe, facts)
    sets = open_evaluation_sets(recipe.evaluate.sets, telling(observer, "reading the pairs of --eval"))
    seed_step(recipe.run.seed, 0, -1)  # the same fresh weights on every process
    backbone = make_backbone(start, recipe.backbone.embedding_size or start.embedding_size)
    backbone = backbone.to(world.device)
    if recipe.run.channels_last:
        backbone = backbone.to(memory_format=torch.channels_last)
    freeze(backbone, recipe.backbone.freeze)
    try:
        loss: Loss = kind(
            dataset.num_classes,
            backbone.embedding_size,
            sample_rate=recipe.loss.sample_rate,
            group=world.group,
            **{"seed": recipe.run.seed, **loss_settings(kind, recipe)},
        )
    except TypeError as fault:  # a setting whose default is None does not tell its type
        raise UsageError(
            f"The loss {recipe.loss.name} cannot be built with {recipe.loss.settings}: {fault}.",
            hint="Correct these keys of [loss], or leave them out; docs/losses.md explains them.",
        ) from fault
    loss = loss.to(world.device)
    loader = _loader(recipe, dataset, loss, world)
    if loader.steps < recipe.optimizer.accumulate:
        raise UsageError(
            f"An epoch has {counted(loader.steps, 'batch', 'batches')}, fewer than accumulate "
            f"{recipe.optimizer.accumulate}.",
            hint="Lower optimizer.accumulate or --batch-size.",
        )
    parameters = named_parameters(backbone, loss)
    teacher = make_teacher(start, backbone) if taught else None
    return Parts(
        recipe=recipe,
        dataset=dataset,
        loader=loader,
        backbone=backbone,
        network=_wrapped(backbone, recipe, world),
        loss=loss,
        parameters=parameters,
        split=frozenset(f"loss.{name}" for name in loss.sharded_names()),
        optimizer=build_optimizer(recipe.optimizer, parameters),
        scaler=_scaler(dtype, world),
        average=_average(backbone, recipe.optimizer.ema),
        teacher=teacher,
        distill=Distill(dataset.num_classes, backbone.embedding_size, group=world.group)
        if recipe.loss.distill
        else None,
        sets=sets,
        dtype=dtype,
        plan=_plan(recipe, dataset, backbone, teacher, loss, loader, world, dtype, sets),
    )


def open_data(recipe: Recipe) -> FaceDataset:
    """Open ``--data`` and, for hard branches, ``--hard-data``."""
    if not recipe.data.path:
        raise UsageError(
            "There is nothing to train on.", hint="Give --data FOLDER (or a .rec, a list, tar shards)."
        )
    dataset = open_dataset(recipe.data.path)
    if recipe.data.hard:
        from facerec_cli.data import join_datasets

        dataset = join_datasets(dataset, [open_dataset(path) for path in recipe.data.hard])
    if dataset.num_classes < 2:
        raise InputError(
            f"{recipe.data.path} holds one person, so there is nothing to tell apart.",
            hint="Training needs at least two people, with a folder each.",
        )
    return dataset


def seed_step(seed: int, rank: int, step: int) -> None:
    """Make a step's randomness (dropout, stochastic depth) a function of its number.

    So a resumed run needs no saved random state, and does not care how often a loader was started.
    """
    import random

    import numpy as np

    mixed = int(np.random.SeedSequence([seed, rank, step + 1]).generate_state(1)[0])
    torch.manual_seed(mixed)
    np.random.seed(mixed)
    random.seed(mixed)


def _loader(recipe: Recipe, dataset: FaceDataset, loss: Loss, world: World) -> Loader:
    data = recipe.data
    sampler: dict[str, Any] = {
        "shuffled": {},
        "identities": {"share": data.identity_share, "per_identity": data.photos_per_identity},
        "branches": {"singles": data.singles},
    }[loss.batches]
    return build_loader(
        dataset,
        batch_size=(recipe.run.batch_size or 0) // world.size,
        sampler=loss.batches,
        seed=recipe.run.seed,
        rank=world.rank,
        world_size=world.size,
        workers=data.workers or 0,
        augment=Augment(data.flip, data.crop, data.lowres, data.photometric, data.occlusion),
        degradations=data.degradations,
        degraded=data.degraded or 0.0,
        keep_clean=distils(recipe),
        max_broken=data.max_broken,
        pin_memory=world.device.type == "cuda",
        **sampler,
    )


def _wrapped(backbone: Backbone, recipe: Recipe, world: World) -> nn.Module:
    network: nn.Module = backbone
    if recipe.run.sync_bn and world.device.type == "cuda" and world.group is not None:
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    elif recipe.run.sync_bn:
        raise UsageError("sync_bn needs several GPUs.", hint="Leave it out.")
    if recipe.run.compile:
        network = torch.compile(network)  # type: ignore[assignment]
    if world.group is not None and any(p.requires_grad for p in backbone.parameters()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # newer versions of torch rename broadcast_buffers
            network = nn.parallel.DistributedDataParallel(
                network,
                device_ids=[world.device] if world.device.type == "cuda" else None,
                broadcast_buffers=False,  # each process keeps its own batch statistics between checkpoints
                gradient_as_bucket_view=True,
            )
    return network


def _scaler(dtype: torch.dtype, world: World) -> Any:
    wanted = dtype == torch.float16
    if wanted and world.group is not None:  # an overflow in one process's classes must skip the step in all
        from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler

        return ShardedGradScaler(world.device.type, process_group=world.group)
    return torch.amp.GradScaler(world.device.type, enabled=wanted)


def _average(backbone: Backbone, decay: float) -> Any:
    if not decay:
        return None
    if not decay < 1:
        raise UsageError(
            f"optimizer.ema = {decay} is not a decay.", hint="Use a number below 1, such as 0.999."
        )
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(backbone, multi_avg_fn=average, use_buffers=True)


def _plan(
    recipe: Recipe,
    dataset: FaceDataset,
    backbone: Backbone,
    teacher: Backbone | None,
    loss: Loss,
    loader: Loader,
    world: World,
    dtype: torch.dtype,
    sets: list[PairCrops],
) -> Plan:
    per_epoch = loader.steps // recipe.optimizer.accumulate
    steps = recipe.schedule.steps or (recipe.schedule.epochs or 1) * per_epoch
    split = loss.sharded_names()
    shard = sum(t.numel() for name, t in loss.state_dict().items() if name in split)
    memory = estimate_memory(recipe, backbone, loss, world, dtype, teacher)
    unaligned = size_warning(dataset, backbone.preprocessing.size)
    warnings = [*dataset.warnings, *([unaligned] if unaligned else [])]
    if loss.start_epoch * per_epoch >= steps:
        warnings.append(
            f"a term of {recipe.loss.name} takes no part: loss.start_epoch is {loss.start_epoch}, and the "
            f"run ends in epoch {(steps - 1) // per_epoch} (the first is 0); lower it, or train longer"
        )
    available = available_memory(world.device)
    if available is not None and sum(memory.values()) > available:
        warnings.append(
            "the estimate is more than what is free; lower --batch-size, or use --sample-rate 0.1"
        )
    return Plan(
        recipe=recipe,
        images=len(dataset),
        classes=dataset.num_classes,
        parameters=sum(p.numel() for p in backbone.parameters()),
        trained=sum(p.numel() for p in backbone.parameters() if p.requires_grad),
        class_parameters=shard * world.size,
        steps=steps,
        steps_per_epoch=per_epoch,
        device=torch.cuda.get_device_name(world.device) if world.device.type == "cuda" else world.device.type,
        processes=world.size,
        precision=str(dtype).removeprefix("torch."),
        memory=memory,
        available=available,
        evaluation={one.name: len(one.pairs) for one in sets},
        warnings=tuple(warnings),
    )
