"""From a recipe to a run: its data, its model, its optimization and its folder, one function for each."""

from __future__ import annotations

import random
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from facerec_cli.backbones import Backbone
from facerec_cli.data import FaceDataset, join_sets, open_dataset
from facerec_cli.data.dataset import fingerprint
from facerec_cli.data.formats.joined import check_settings, refuse_twice
from facerec_cli.data.formats.stream import TarStream
from facerec_cli.data.loading.augment import Augment
from facerec_cli.data.loading.loader import Loader, build_loader
from facerec_cli.errors import InputError, UsageError
from facerec_cli.losses.base import Loss
from facerec_cli.losses.distill import Distill
from facerec_cli.runtime import usable_cores
from facerec_cli.training import defaults
from facerec_cli.training.class_rows import keep_rows
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import World, number_format
from facerec_cli.training.evaluate import open_evaluation_sets
from facerec_cli.training.loss_settings import loss_class, loss_settings
from facerec_cli.training.optimizer import (
    build_optimizer,
    make_ema,
    make_scaler,
    named_parameters,
    sharded_parameters,
)
from facerec_cli.training.report import Observer, Working, telling, unobserved
from facerec_cli.training.run import Data, Model, Optimization, Run
from facerec_cli.training.run_folder import RunFolder
from facerec_cli.training.start import Start, freeze, make_backbone, open_start
from facerec_cli.training.teacher import Teacher, distils, open_teacher
from facerec_cli.wording import counted


def prepare(recipe: Recipe, world: World, *, weights: bool = True, observer: Observer = unobserved) -> Run:
    """Open the data and build model and optimizer; nothing is written.

    Args:
        recipe: What the user set.
        world: The processes.
        weights: False where a checkpoint will bring them: ``--init`` is not read then.
        observer: Is told of what takes a while.

    Raises:
        FacerecError: Something in the recipe does not exist, does not fit, or cannot be read.
    """
    loss_settings(loss_class(recipe.loss.name), recipe)  # this and the networks before large data is opened
    dtype = number_format(recipe.run.precision, world.device)
    start, teacher = _open_networks(recipe, world, weights=weights)
    observer(Working("opening the data"))
    dataset = open_data(recipe)
    recipe = _decide(recipe, start, dataset, world)
    evaluation_sets = open_evaluation_sets(
        recipe.evaluate, world, telling(observer, "reading the photos of --eval")
    )
    model = _build_model(recipe, start, dataset.num_classes, dtype, world)
    model.teacher = teacher
    loader = _build_loader(recipe, dataset, model.loss, world)
    return Run(
        recipe=recipe,
        world=world,
        model=model,
        data=Data(dataset, loader, evaluation_sets, fingerprint(dataset)),
        optimization=_build_optimization(recipe, model, loader.steps, world),
        folder=RunFolder(Path(recipe.run.out), writes=world.first),
    )


def open_data(recipe: Recipe) -> FaceDataset:
    """Open each ``--data`` and, for hard branches, ``--hard-data``, as one data set.

    Raises:
        FacerecError: One cannot be read or joined with the others, or there are fewer than two people.
    """
    data = recipe.data
    data.require_path()
    check_settings(data.path, data.labels, data.weights)  # before a large set is opened
    refuse_twice(data.path, data.labels)
    dataset = join_sets(
        [open_dataset(path) for path in data.path],
        labels=data.labels,
        weights=data.weights,
        hard=[open_dataset(path) for path in data.hard],
    )
    if dataset.num_classes < 2:
        raise InputError(
            f"{data.name} holds one person, so there is nothing to tell apart.",
            hint="Training needs at least two people, with a folder each.",
        )
    return dataset


def seed_step(seed: int, rank: int, step: int) -> None:
    """Make a step's randomness (dropout, stochastic depth) a function of its number.

    So a resumed run needs no saved random state, and does not care how often a loader was started.
    """
    mixed = int(np.random.SeedSequence([seed, rank, step + 1]).generate_state(1)[0])
    torch.manual_seed(mixed)
    np.random.seed(mixed)
    random.seed(mixed)


def _open_networks(recipe: Recipe, world: World, *, weights: bool) -> tuple[Start, Teacher | None]:
    """What the backbone starts from, and what it learns from."""
    backbone = recipe.backbone
    resolved = backbone.name is not None  # by the run that is gone on with
    taught = distils(recipe)
    if resolved and not weights and (backbone.teacher or not taught):
        backbone = replace(backbone, init="")
    start = open_start(backbone, defaults.default_backbone(gpu=world.device.type != "cpu"))
    teacher = open_teacher(recipe, start, world.device) if taught else None
    if teacher is not None and start.state is None:
        start = replace(start, embedding_size=recipe.backbone.embedding_size or teacher.embedding_size)
    return start, teacher


def _decide(recipe: Recipe, start: Start, dataset: FaceDataset, world: World) -> Recipe:
    """The recipe with nothing left open."""
    kind = loss_class(recipe.loss.name)
    backbone = replace(recipe.backbone, settings=start.settings)
    facts = defaults.Facts(
        images=len(dataset),
        backbone=start.backbone,
        embedding_size=start.embedding_size,
        pretrained=bool(backbone.init),
        classes=dataset.num_classes,
        streamed=isinstance(dataset, TarStream),
        needs_target=kind.needs_target and not backbone.teacher,  # another network teaches clean photos too
        waits="start_epoch" in kind.settings(),
        gpu=world.device.type != "cpu",
        cuda=world.device.type == "cuda",
        processes=world.size,
        cores=max(usable_cores() // world.size, 1),
    )
    return defaults.resolve(replace(recipe, backbone=backbone), facts)


def _build_model(recipe: Recipe, start: Start, classes: int, dtype: torch.dtype, world: World) -> Model:
    seed_step(recipe.run.seed, 0, -1)  # the same fresh weights on every process
    backbone = make_backbone(start, recipe.backbone.embedding_size or start.embedding_size)
    backbone = backbone.to(world.device)
    if recipe.run.channels_last:
        backbone = backbone.to(memory_format=torch.channels_last)
    freeze(backbone, recipe.backbone.freeze)
    if recipe.run.recompute:
        backbone.compute_twice()
    loss = _build_loss(recipe, classes, backbone.embedding_size, world)
    model = Model(backbone, _wrapped(backbone, recipe, world), loss, dtype)
    model.ema = make_ema(backbone, recipe.optimizer.ema)
    if recipe.loss.distill:
        model.distill = Distill(classes, backbone.embedding_size, group=world.group)
    return model


def _build_loss(recipe: Recipe, classes: int, embedding_size: int, world: World) -> Loss:
    kind = loss_class(recipe.loss.name)
    settings = {"seed": recipe.run.seed, **loss_settings(kind, recipe)}
    try:
        loss: Loss = kind(
            classes, embedding_size, sample_rate=recipe.loss.sample_rate, group=world.group, **settings
        )
    except TypeError as fault:  # a setting whose default is None does not tell its type
        raise UsageError(
            f"The loss {recipe.loss.name} cannot be built with {recipe.loss.settings}: {fault}.",
            hint="Correct these keys of [loss], or leave them out; docs/losses.md explains them.",
        ) from fault
    return loss.to(world.device)


def _wrapped(backbone: Backbone, recipe: Recipe, world: World) -> nn.Module:
    """The backbone as it is called: with BN over all processes, compiled, gradients averaged."""
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


def _build_loader(recipe: Recipe, dataset: FaceDataset, loss: Loss, world: World) -> Loader:
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
        augment=Augment(data.flip, data.crop, data.lowres, data.photometric, data.occlusion, data.gray),
        degradations=data.degradations,
        degraded=data.degraded or 0.0,
        versions=[open_dataset(path) for path in data.versions],
        keep_clean=distils(recipe),
        in_memory=data.in_memory,
        max_broken=data.max_broken,
        pin_memory=world.device.type == "cuda",
        **sampler,
    )


def _build_optimization(recipe: Recipe, model: Model, batches: int, world: World) -> Optimization:
    """``batches``: how many an epoch has."""
    if batches < recipe.optimizer.accumulate:
        raise UsageError(
            f"An epoch has {counted(batches, 'batch', 'batches')}, fewer than accumulate "
            f"{recipe.optimizer.accumulate}.",
            hint="Lower optimizer.accumulate or --batch-size.",
        )
    keep_rows(model.loss, recipe.optimizer)
    parameters = named_parameters(model.backbone, model.loss)
    steps_per_epoch = batches // recipe.optimizer.accumulate
    return Optimization(
        parameters=parameters,
        sharded=sharded_parameters(model.loss),
        optimizer=build_optimizer(recipe.optimizer, parameters, model.loss),
        scaler=make_scaler(model.dtype, world),
        steps=recipe.schedule.steps or (recipe.schedule.epochs or 1) * steps_per_epoch,
        steps_per_epoch=steps_per_epoch,
    )
