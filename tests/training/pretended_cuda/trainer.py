"""The trainer on the pretended device: a run as ``facerec train`` prepares it, and its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from torch import Tensor, nn

from facerec_cli import registry
from facerec_cli.backbones import Backbone, BackboneOutput
from facerec_cli.training.compose import changed
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import World
from facerec_cli.training.run import Run
from facerec_cli.training.setup import prepare
from facerec_cli.training.start import train_mode
from facerec_cli.training.state import TrainingState
from facerec_cli.training.train import _step
from pretended_cuda.ledger import Ledger

#: A step is looked at once what is made once is there: constants on the device, the first look at labels.
WARM_UP = 1

SETTINGS: Mapping[str, Any] = {
    "data.path": "synthetic:60:4",
    "data.workers": 0,
    "backbone.name": "tiny",
    "backbone.embedding_size": 16,
    "run.batch_size": 12,
    "run.device": "cuda",
    "data.photos_per_identity": 3,
    "schedule.steps": 8,
}

#: The same loss in other circumstances.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "plain": {"run.precision": "fp32"},
    "sampled, bf16": {"loss.sample_rate": 0.3, "run.precision": "bf16"},
    "ema, accumulated, fp16": {
        "optimizer.ema": 0.99,
        "optimizer.accumulate": 2,
        "run.precision": "fp16",
    },
}

#: What does not depend on the loss.
OF_ONE_LOSS: Mapping[str, Mapping[str, Any]] = {
    "adamw": {"optimizer.name": "adamw"},
    "adamw, sampled": {
        "optimizer.name": "adamw",
        "loss.sample_rate": 0.3,
        "optimizer.class_update": "sampled",
    },
    "sampled, fp16": {"loss.sample_rate": 0.3, "run.precision": "fp16"},
    "sampled, accumulated": {"loss.sample_rate": 0.3, "optimizer.accumulate": 2},
    "dense, sampled": {"loss.sample_rate": 0.3, "optimizer.class_update": "dense"},
    "frozen": {"backbone.freeze": ("all",), "run.precision": "fp32"},
}

#: What a loss needs to have all of its terms in the first epoch, and a light step.
OWN: Mapping[str, Mapping[str, Any]] = {
    "epl": {"loss.start_epoch": 0},
    "otface": {"loss.max_triplets": 16, "loss.iterations": 2},
    "boundaryface": {"loss.start_epoch": 0},
    "unitsface": {"loss.start_epoch": 0},
}

#: Losses in other settings than their own, which have code that a default leaves out.
OTHER_SETTINGS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "arcface, bfloat16": ("arcface", {"loss.matmul": "bfloat16"}),
    "arcface, distill": (
        "arcface",
        {"loss.distill": 1.0, "loss.distill_hard": False, "data.degraded": 0.5},
    ),
    "adaface, straight through": ("adaface", {"loss.margin_gradient": "straight_through"}),
    "boundaryface, official": ("boundaryface", {"loss.official_mask": True}),
    "ddl, later index": ("ddl", {"loss.later_index": True, "loss.detach_teacher": True}),
    "elasticface, plus": ("elasticface", {"loss.plus": True}),
    "epl, uniface": ("epl", {"loss.host": "uniface", "loss.clamp_weight": True}),
    "epl, arcface": ("epl", {"loss.host": "arcface", "loss.replace_unseen": True}),
    "npt, official": ("npt", {"loss.official_mask": True}),
    "otface, groups": ("otface", {"loss.variant": "group"}),
}

#: One of each family of backbones, with what may go on in it.
BACKBONES: Mapping[str, Mapping[str, Any]] = {
    "iresnet18": {"run.precision": "bf16"},
    "mobilefacenet": {"run.recompute": True, "run.precision": "bf16"},
    "sface": {"run.precision": "fp32", "run.channels_last": False},
    "vit_t": {"run.precision": "bf16"},
}


class TinyBackbone(Backbone):
    """One convolution: as much as the trainer needs to train something."""

    def __init__(self, embedding_size: int) -> None:
        super().__init__(embedding_size)
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 16, 16), nn.BatchNorm2d(4), nn.PReLU(4))
        self.output = nn.Linear(4 * 49, embedding_size)
        self.norm = nn.BatchNorm1d(embedding_size)

    def forward(self, images: Tensor) -> BackboneOutput:
        maps = self.stem(images)
        return BackboneOutput(self.norm(self.output(maps.flatten(1))).float(), maps)

    def output_layers(self) -> tuple[str, ...]:
        return ("output", "norm")


def tiny(embedding_size: int = 16) -> Backbone:
    """What ``registry.BACKBONES`` has for it."""
    return TinyBackbone(embedding_size)


@contextmanager
def tiny_backbone() -> Iterator[None]:
    """``--backbone tiny``."""
    with mock.patch.dict(registry.BACKBONES, tiny=f"{__name__}:tiny"):  # type: ignore[arg-type]
        yield


def recipe(out: Path, loss: str, init: Path | None = None, **settings: Any) -> Recipe:
    """A recipe for a few steps of ``loss``."""
    made = Recipe()
    own = {**OWN.get(loss, {})}
    if init is not None:
        own["backbone.init"] = str(init)
    for key, value in {**SETTINGS, "loss.name": loss, "run.out": str(out), **own, **settings}.items():
        made = changed(made, key, value)
    return made


def steps(run: Run, ledger: Ledger, count: int = WARM_UP + 1) -> Ledger:
    """Make ``count`` steps of the trainer; what happened in those after the warm-up."""
    state = TrainingState()
    train_mode(run.model.backbone, run.recipe)
    batches = run.data.loader.epoch(0)
    before = ledger.snapshot()
    for number in range(count):
        if number == WARM_UP:
            before = ledger.snapshot()
        _step(run, state, batches, epoch=0, rate=0.01)
        state.step += 1
    batches.close()  # type: ignore[attr-defined]
    return ledger.since(before)


def prepared(made: Recipe, world: World) -> Run:
    """The run of a recipe."""
    return prepare(made, world)
