"""A recipe: the settings of a training run, one TOML document in seven tables, declared without torch.

::

    [data]       what to train on, sampling, augmentation
    [backbone]   the network, where its weights start, what stays frozen; other keys are its own settings
    [loss]       name and sample_rate; every other key is a setting of that loss (``k`` of npt)
    [optimizer]  sgd or adamw, learning rates, decay, clipping
    [schedule]   how long, and how the learning rate moves
    [run]        folder, batch, device, precision, checkpoints
    [evaluate]   pairs to watch and the metric that names the best checkpoint

A setting that is left out is decided by :mod:`facerec_cli.training.defaults` from the data and the device;
``recipe.toml`` in the run's folder holds what was decided. Those with a flag are the flags of
``facerec train``; ``training/compose.py`` reads recipes and lays flags over them.
"""

# Without `from __future__ import annotations`: types as texts would be evaluated anew in each run of facerec.

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from facerec_cli.registry import BACKBONES, LOGGERS, LOSSES, POOLINGS
from facerec_cli.settings import Field, Option, filled, options
from facerec_cli.training.data_settings import (
    COMMON,
    LEARNING,
    MACHINE,
    NETWORK,
    RUNNING,
    DataSettings,
)
from facerec_cli.training.data_settings import key_only as _key


def _models_here() -> Iterator[str]:
    from facerec_cli.packs.catalog import catalog

    return (entry.name for entry in catalog() if entry.status in ("embedded", "registered", "insightface"))


_Others = Annotated[dict[str, Any], Option(others=True)]


@dataclass(frozen=True, slots=True)
class BackboneSettings:
    """The network."""

    name: Annotated[
        str | None,
        Option(
            "iresnet50, mobilefacenet, vit_s, sface, ...", flag="--backbone", panel=NETWORK, offers=BACKBONES
        ),
    ] = None
    embedding_size: Annotated[
        int | None,
        Option("D (default: 512, or the start's).", flag="--embedding-size", panel=NETWORK, ge=1),
    ] = None
    init: Annotated[
        str,
        Option(
            "Start from a checkpoint, sface, or another project's network (adaface:FILE).",
            flag="--init",
            panel=NETWORK,
            offers=_models_here,
        ),
    ] = ""
    teacher: Annotated[
        str,
        Option(
            "Whose embeddings distill learns: a model, an ONNX file or a checkpoint (default: --init).",
            flag="--teacher",
            panel=NETWORK,
            offers=_models_here,
        ),
    ] = ""
    freeze: Annotated[
        tuple[str, ...],
        Option("Module that is not trained; 'all': the whole network.", flag="--freeze", panel=NETWORK),
    ] = ()
    freeze_bn: Annotated[
        bool | None,
        Option(
            "Keep BN statistics (default: when fine-tuning).", flag="--freeze-bn/--train-bn", panel=NETWORK
        ),
    ] = None
    settings: _Others = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LossSettings:
    """The loss; ``settings`` go to its constructor.

    ``class_weights``: ``random``, ``means`` of what the network of ``--init`` makes of each person, or a
    ``.npy`` of such means, (people, D), that several runs share.
    """

    name: Annotated[
        str,
        Option(
            "otface, ddl, npt, epl, arcface, ... (default: {default}).",
            flag="--loss",
            short="-l",
            panel=COMMON,
            offers=LOSSES,
        ),
    ] = "arcface"
    sample_rate: Annotated[
        float,
        Option(
            "Share of the classes in a step (Partial-FC) (default: {default}).",
            flag="--sample-rate",
            panel=LEARNING,
            gt=0,
            le=1,
        ),
    ] = 1.0
    class_weights: Annotated[str | None, _key("Where class weights start: random, means, or a .npy.")] = None
    distill: Annotated[float, _key("Weight of the distill term beside the loss.", ge=0)] = 0.0
    distill_hard: Annotated[bool, _key("Whether that term pulls photos made hard, too.")] = True
    settings: _Others = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """How weights move; ``clip`` and ``ema`` are off at 0."""

    name: Annotated[
        Literal["sgd", "adamw"],
        Option("{choices} (default: {default}).", flag="--optimizer", panel=LEARNING),
    ] = "sgd"
    lr: Annotated[float | None, Option("Peak learning rate.", flag="--lr", panel=LEARNING, ge=0)] = None
    momentum: Annotated[float, _key("Of SGD.", ge=0, le=1)] = 0.9
    nesterov: Annotated[bool, _key("Nesterov's momentum.")] = False
    weight_decay: Annotated[float, _key("Not of norms, slopes, biases and position tables.", ge=0)] = 5e-4
    head_lr: Annotated[float, _key("Factor on lr for the class weights.", ge=0)] = 1.0
    backbone_lr: Annotated[float, _key("Factor on lr for the network.", ge=0)] = 1.0
    clip: Annotated[float, _key("Largest norm of the gradient; 0 is off.", ge=0)] = 5.0
    accumulate: Annotated[int, _key("Batches whose gradients make one step.", ge=1)] = 1
    class_update: Annotated[
        Literal["auto", "lazy", "sampled", "dense"],
        _key("Class rows that a step with a sample updates: {choices}; see docs/train.md."),
    ] = "auto"
    ema: Annotated[float, _key("Decay of the moving average of the weights; 0 is off.", ge=0, le=1)] = 0.0


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """How long, and how the learning rate moves; ``steps`` overrules ``epochs`` when it is not 0."""

    name: Annotated[
        Literal["constant", "step", "polynomial", "cosine"],
        Option("{choices} (default: {default}).", flag="--schedule", panel=LEARNING),
    ] = "polynomial"
    epochs: Annotated[int | None, Option("Passes over the data.", flag="--epochs", panel=LEARNING, ge=1)] = (
        None
    )
    steps: Annotated[
        int, Option("Optimizer steps; overrules --epochs.", flag="--steps", panel=LEARNING, ge=0)
    ] = 0
    warmup: Annotated[
        float | None, Option("Epochs of linear warm-up.", flag="--warmup", panel=LEARNING, ge=0)
    ] = None
    milestones: Annotated[tuple[float, ...], _key("Epochs at which the rate falls (step).", ge=0)] = ()
    gamma: Annotated[float, _key("Factor by which it falls.", ge=0)] = 0.1
    power: Annotated[float, _key("Exponent of polynomial.", ge=0)] = 2.0


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Where and on what it runs."""

    out: Annotated[
        str, Option("Folder of the run (default: runs/LOSS-DATA).", flag="--out", short="-o", panel=COMMON)
    ] = ""
    batch_size: Annotated[
        int | None,
        Option("Rows over all processes.", flag="--batch-size", short="-b", panel=LEARNING, ge=2),
    ] = None
    device: Annotated[
        str,
        Option(
            "auto, cpu, cuda, cuda:1, mps (default: {default}).",
            flag="--device",
            panel=MACHINE,
            offers=("auto", "cpu", "cuda", "mps"),
        ),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        Option("{choices} (default: {default}).", flag="--precision", panel=MACHINE),
    ] = "auto"
    channels_last: Annotated[bool, _key("Order of the numbers in memory that GPUs like.")] = True
    compile: Annotated[bool, _key("torch.compile the network.")] = False
    recompute: Annotated[bool, _key("Compute blocks twice instead of keeping what is in them.")] = False
    deterministic: Annotated[bool, _key("The same numbers every time on a GPU, slower.")] = False
    sync_bn: Annotated[bool, _key("Share BN statistics between GPUs.")] = False
    seed: Annotated[
        int,
        Option(
            "Of order, weights and augmentation (default: {default}).", flag="--seed", panel=LEARNING, ge=0
        ),
    ] = 0
    log_every: Annotated[int | None, _key("Steps between lines of the log.", ge=1)] = None
    checkpoint_every: Annotated[int, _key("Steps between checkpoints, beside each epoch's end.", ge=0)] = 1000
    on_nan: Annotated[
        Literal["stop", "rollback"],
        Option("stop, or rollback with half the rate (default: {default}).", flag="--on-nan", panel=RUNNING),
    ] = "stop"
    loggers: Annotated[
        tuple[str, ...],
        Option(
            "Follow the run with tensorboard, wandb, mlflow or trackio, too.",
            flag="--logger",
            panel=RUNNING,
            offers=LOGGERS,
        ),
    ] = ()
    tensorboard: Annotated[bool, _key('The same as loggers = ["tensorboard"].')] = False


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """``best`` is accuracy, auc, tar@FAR, rank-1 or tpir@FPIR, of the first of ``sets`` that has it."""

    sets: Annotated[
        tuple[str, ...],
        Option(
            "What to watch: pairs or searches of aligned crops; a .bin, a list, a folder of a protocol.",
            flag="--eval",
            panel=COMMON,
            rule=filled,
        ),
    ] = ()
    last: Annotated[tuple[str, ...], _key("The same, looked at after the last step only.")] = ()
    every: Annotated[int, _key("Epochs between evaluations.", ge=1)] = 1
    flip: Annotated[bool, _key("Add the embedding of the mirrored crop.")] = False
    pool: Annotated[str, Option("How photos of a template weigh: {choices}.", flag="", choices=POOLINGS)] = (
        "mean"
    )
    best: Annotated[
        str,
        Option(
            "Metric of the best checkpoint: accuracy, auc, tar@1e-3, of searches rank-1, tpir@0.01.",
            flag="--best",
            panel=COMMON,
            offers=("accuracy", "auc", "tar@1e-3", "rank-1", "tpir@0.01"),
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a run; see the module's description."""

    data: DataSettings = field(default_factory=DataSettings)
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    run: RunSettings = field(default_factory=RunSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)


def recipe_settings() -> dict[str, Field]:
    """Every setting with its flag, choices and help, by its key with the table: ``data.path``."""
    return {
        f"{table.name}.{setting.name}": setting
        for table in options(Recipe)
        for setting in options(table.kind)
        if not setting.option.others
    }
