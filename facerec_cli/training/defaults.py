"""What a recipe leaves open, decided from the data and the device, so that a plain run works untuned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from facerec_cli.errors import UsageError
from facerec_cli.training.config import OptimizerSettings, Recipe
from facerec_cli.wording import counted

T = TypeVar("T")

PHOTOS_OF_EACH = 4
"""Photos of a person whose mean a class weight starts at: more cost as much each and move the mean little."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What defaults are decided from.

    Attributes:
        images: Photos to train on.
        backbone: The network that will be trained.
        embedding_size: Of the weights it starts from.
        pretrained: Whether it starts from weights.
        classes: People to tell apart.
        streamed: Whether the photos come in the order of their shards only.
        needs_target: Whether the loss is about photos made hard.
        waits: Whether a term of the loss waits for its ``start_epoch``.
        gpu: Whether it runs on a GPU.
        processes: How many share the batch.
        cores: CPU cores of a process.
        cuda: Whether the GPU is one that PyTorch calls CUDA.
    """

    images: int
    backbone: str
    embedding_size: int
    pretrained: bool
    classes: int
    streamed: bool
    needs_target: bool
    waits: bool
    gpu: bool
    processes: int
    cores: int
    cuda: bool = False


def default_backbone(*, gpu: bool) -> str:
    """Light on a CPU; the field's usual one on a GPU."""
    return "iresnet50" if gpu else "mobilefacenet"


def resolve(recipe: Recipe, facts: Facts) -> Recipe:
    """Fill in every setting that ``recipe`` leaves open.

    * batch: 256 on a GPU, 64 on a CPU (16 for fine-tuning there, where the network is the larger one), over
      all processes; never more than a quarter of the data.
    * learning rate: SGD 0.1 per 512 rows (insightface's), not under 0.1; AdamW 5e-4 per 512 rows, not
      under 1e-4; a fiftieth (AdamW: a tenth) for fine-tuning.
    * epochs: 20 (3 for fine-tuning), more on small data so that there are about 3,000 (fine-tuning: 500, on a
      CPU 100) steps.
    * warm-up: a tenth of the run, at most 2 epochs on large data.
    * class weights: for fine-tuning the means of up to four photos of each person, if those are no more
      photos than the run will train on; else random.
    * a term that waits until the class weights mean something (EPL's): from the first epoch where they start
      at means.
    * class rows that a step with a sample updates: those of the sample, where the result is that of all
      (SGD); else all.
    * products with the class matrix: TF32 on CUDA, unless float32 or the same numbers every time were asked
      for.
    * photos made hard: three quarters for distillation, none for other losses.

    Raises:
        UsageError: The batch cannot be split over the processes, or is larger than the data.
    """
    batch = _batch_size(recipe, facts)
    rows = batch * recipe.optimizer.accumulate
    steps_per_epoch = max(facts.images // rows, 1)
    epochs = _epochs(recipe, facts, steps_per_epoch)
    total_steps = recipe.schedule.steps or epochs * steps_per_epoch
    class_weights = _class_weights(recipe, facts, photos=total_steps * rows)
    skip_wait = {"start_epoch": 0} if facts.waits and class_weights != "random" else {}
    settings: dict[str, Any] = skip_wait | recipe.loss.settings
    if settings.get("matmul", "auto") == "auto":
        settings["matmul"] = _matmul(recipe, facts)
    data, backbone, schedule = recipe.data, recipe.backbone, recipe.schedule
    return replace(
        recipe,
        backbone=replace(
            backbone,
            name=facts.backbone,
            embedding_size=backbone.embedding_size or facts.embedding_size,
            freeze_bn=_or(backbone.freeze_bn, facts.pretrained),
        ),
        optimizer=replace(
            recipe.optimizer,
            lr=recipe.optimizer.lr or _learning_rate(recipe, facts, rows),
            class_update=class_update(recipe.optimizer, recipe.loss.sample_rate),
        ),
        schedule=replace(
            schedule,
            epochs=epochs,
            warmup=_or(schedule.warmup, min(0.1 * (total_steps / steps_per_epoch), 2.0)),
        ),
        run=replace(
            recipe.run,
            batch_size=batch,
            log_every=recipe.run.log_every or min(50 if facts.gpu else 10, max(steps_per_epoch // 2, 1)),
        ),
        data=replace(
            data,
            workers=_or(data.workers, _workers(facts)),
            degraded=_or(data.degraded, 0.75 if facts.needs_target else 0.0),
        ),
        loss=replace(recipe.loss, class_weights=class_weights, settings=settings),
    )


def class_update(settings: OptimizerSettings, sample_rate: float) -> Literal["lazy", "sampled", "dense"]:
    """``optimizer.class_update``; left open, the cheapest that learns what ``dense`` does.

    Raises:
        UsageError: The optimizer has no such update.
    """
    if settings.class_update == "lazy" and settings.name != "sgd":
        raise UsageError(
            f"optimizer.class_update = 'lazy' is for sgd, not for {settings.name}: what a row misses under "
            "that cannot be made up for at once.",
            hint="Use sampled (other rows stand still) or dense (all rows move at every step).",
        )
    if settings.class_update != "auto":
        return settings.class_update
    return "lazy" if sample_rate < 1 and settings.name == "sgd" else "dense"


def _or(given: T | None, default: T) -> T:
    """``given``, or the default where it is None; 0 and False are given."""
    return default if given is None else given


def _batch_size(recipe: Recipe, facts: Facts) -> int:
    batch = recipe.run.batch_size
    if batch is None:
        largest = 256 if facts.gpu else 16 if facts.pretrained else 64
        batch = min(largest, max(8, facts.images // 4))
        batch = max(batch // facts.processes, 2) * facts.processes
    if batch % facts.processes:
        raise UsageError(
            f"--batch-size {batch} cannot be split evenly over {facts.processes} processes.",
            hint="It counts the rows of all processes; use a multiple of their number.",
        )
    if batch // facts.processes < 2:
        raise UsageError("Each process needs at least 2 rows.", hint="Raise --batch-size.")
    if batch > facts.images:
        raise UsageError(
            f"--batch-size {batch} is larger than the data, {counted(facts.images, 'photo')}.",
            hint=f"Use --batch-size {max(facts.images // 2, 2)} or less, or more data.",
        )
    return batch


def _matmul(recipe: Recipe, facts: Facts) -> str:
    return (
        "tf32"
        if facts.cuda and recipe.run.precision != "fp32" and not recipe.run.deterministic
        else "float32"
    )


def _epochs(recipe: Recipe, facts: Facts, steps_per_epoch: int) -> int:
    if recipe.schedule.epochs is not None:
        return recipe.schedule.epochs
    if recipe.schedule.steps:
        return -(-recipe.schedule.steps // steps_per_epoch)
    fewest, steps = (3, 500 if facts.gpu else 100) if facts.pretrained else (20, 3000)
    return min(max(fewest, -(-steps // steps_per_epoch)), 10 * fewest)


def _class_weights(recipe: Recipe, facts: Facts, photos: int) -> str:
    obstacle = (
        "there are no weights to start from (--init)"
        if not facts.pretrained
        else "the embedding size is not that of --init"
        if recipe.backbone.embedding_size not in (None, facts.embedding_size)
        else "a stream of tar shards cannot be looked up"
        if facts.streamed
        else ""
    )
    given = recipe.loss.class_weights
    if given not in (None, "random", "means") and not given.endswith(".npy"):
        raise UsageError(
            f"loss.class_weights cannot be {given!r}.", hint="Known: random, means, or a .npy file of means."
        )
    if given == "means" and obstacle:
        raise UsageError(
            f"Class weights cannot start at means: {obstacle}.", hint="Leave out loss.class_weights."
        )
    affordable = not obstacle and min(facts.images, PHOTOS_OF_EACH * facts.classes) <= photos
    return given or ("means" if affordable else "random")


def _learning_rate(recipe: Recipe, facts: Facts, rows: int) -> float:
    if recipe.optimizer.name == "sgd":
        per_512_rows, lowest, fine_tuning = 0.1, 0.1, 0.02
    else:
        per_512_rows, lowest, fine_tuning = 5e-4, 1e-4, 0.1
    rate = max(per_512_rows * rows / 512, lowest) * (fine_tuning if facts.pretrained else 1.0)
    return float(f"{rate:.3g}")


def _workers(facts: Facts) -> int:
    """On a CPU the network needs the cores; on a GPU decoding does."""
    return min(8, max(facts.cores - 1, 1)) if facts.gpu else (1 if facts.cores > 1 else 0)
