"""A run and its four parts: model, data, optimization and folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from facerec_cli.backbones import Backbone, BackboneOutput
from facerec_cli.data import FaceDataset
from facerec_cli.data.loading.batches import Batch
from facerec_cli.data.loading.loader import Loader
from facerec_cli.losses.base import Loss, LossInput
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import World
from facerec_cli.training.evaluation_sets import EvaluationSet
from facerec_cli.training.optimizer import schedule_factor
from facerec_cli.training.run_folder import RunFolder
from facerec_cli.training.teacher import Teacher


@dataclass(slots=True)
class Model:
    """What is trained, and what it is trained towards.

    Attributes:
        backbone: The module itself, as it is saved.
        network: The backbone as it is called: compiled, its gradients averaged over processes.
        loss: With its class weights (the head); never wrapped.
        dtype: Of autocast.
        ema: Moving average of the backbone, or None.
        teacher: What a distillation learns from; or None.
        distill: The distill term beside the loss, or None.
    """

    backbone: Backbone
    network: nn.Module
    loss: Loss
    dtype: torch.dtype
    ema: Any = None
    teacher: Teacher | None = None
    distill: Loss | None = None

    def embed(self, images: Tensor) -> BackboneOutput:
        """Call the network under autocast; ``images`` (B, 3, S, S) are on its device and preprocessed."""
        with torch.autocast(images.device.type, self.dtype, enabled=self.dtype != torch.float32):
            output: BackboneOutput = self.network(images)
        return output

    @torch.no_grad()
    def target(self, clean: Tensor | None) -> Tensor | None:
        """(B, D), the teacher's embeddings of ``clean`` (B, 3, S, S) uint8; None without one of both."""
        if self.teacher is None or clean is None:
            return None
        return self.teacher.embed(clean, self.dtype)


def hard_left_out(given: LossInput, batch: Batch) -> LossInput:
    """The same rows; those made hard are their own targets, where the distill term is 0 and pulls nowhere."""
    assert batch.clean is not None and given.target is not None
    clean = (batch.images == batch.clean).flatten(1).all(1).to(given.target.device, non_blocking=True)
    own = given.embeddings.detach().to(given.target.dtype)
    return replace(given, target=torch.where(clean[:, None], given.target, own))


@dataclass(frozen=True, slots=True)
class Data:
    """What it is trained and judged on.

    Attributes:
        dataset: Photos to train on.
        loader: This process's batches of them.
        evaluation_sets: Pairs and searches that judge the model while it is trained, or after it.
        fingerprint: Of the data set's people, by which a resumed run knows it again.
    """

    dataset: FaceDataset
    loader: Loader
    evaluation_sets: list[EvaluationSet]
    fingerprint: str = ""

    @property
    def watched(self) -> list[EvaluationSet]:
        """The sets that are looked at while the model is trained; the first names the best checkpoint."""
        return [one for one in self.evaluation_sets if not one.at_end]

    def due(self, *, at_end: bool) -> list[EvaluationSet]:
        """The sets that an evaluation looks at: after the last step all."""
        return self.evaluation_sets if at_end else self.watched


@dataclass(slots=True)
class Optimization:
    """How it is trained, and for how long.

    Attributes:
        parameters: What is trained, by checkpoint name.
        sharded: Names of those that are sharded by class over the processes.
        optimizer: Over ``parameters``.
        scaler: Of fp16; disabled otherwise.
        steps: Optimizer steps of the whole run.
        steps_per_epoch: Optimizer steps of an epoch.
    """

    parameters: dict[str, nn.Parameter]
    sharded: frozenset[str]
    optimizer: torch.optim.Optimizer
    scaler: Any
    steps: int
    steps_per_epoch: int


@dataclass(frozen=True, slots=True)
class Run:
    """All that a training run is made of; how far it has come is ``state.TrainingState``.

    Attributes:
        recipe: Everything decided.
        world: The processes that share it.
        model: Backbone, loss, EMA, teacher.
        data: Data set, batches, evaluation sets.
        optimization: Optimizer, scaler, length.
        folder: Recipe, metrics and checkpoints on disk.
    """

    recipe: Recipe
    world: World
    model: Model
    data: Data
    optimization: Optimization
    folder: RunFolder

    def learning_rate(self, step: int) -> float:
        """The rate at ``step`` (0-based), before the factors of backbone and head."""
        length = self.optimization
        factor = schedule_factor(self.recipe.schedule, step, length.steps_per_epoch, length.steps)
        return (self.recipe.optimizer.lr or 0.0) * factor
