"""The training loop, in the order in which it runs."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from facerec_cli.backbones.encoder import to_input
from facerec_cli.data.loading.fetch import Batch
from facerec_cli.data.loading.loader import lost_reader
from facerec_cli.errors import TrainingError
from facerec_cli.losses.base import LossInput
from facerec_cli.training.class_means import start_classes
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import World, join_world
from facerec_cli.training.diagnose import cause_of, has_lost_process, is_out_of_memory, out_of_memory
from facerec_cli.training.distillation import target_of
from facerec_cli.training.evaluate import best_metric, evaluate_pairs, metric_name
from facerec_cli.training.freezing import train_mode
from facerec_cli.training.interruption import Interruption
from facerec_cli.training.optimizer import clip_gradients, set_rate
from facerec_cli.training.records import Records, draw_curve
from facerec_cli.training.report import (
    Evaluated,
    Logged,
    Observer,
    Outcome,
    Plan,
    RolledBack,
    Saved,
    Stopping,
    telling,
    unobserved,
)
from facerec_cli.training.run_folder import open_folder
from facerec_cli.training.schedule import factor
from facerec_cli.training.setup import Parts, prepare, seed_step
from facerec_cli.training.state import (
    BEST,
    LAST,
    Progress,
    is_finite,
    restore,
    save_best,
    save_last,
    share_buffers,
)

_ROLLBACKS = 3
_LISTEN = 10  # steps between questions whether another process was told to stop, on GPUs


def plan(recipe: Recipe) -> Plan:
    """Check data, settings and memory without training.

    Raises:
        FacerecError: The run could not start.
    """
    with join_world(recipe.run.device) as world:
        parts = prepare(recipe, world)
        next(parts.loader.epoch(0))  # the data can be read and the batch be filled
        return parts.plan


def train(
    recipe: Recipe, *, resume: bool = False, force: bool = False, observer: Observer = unobserved
) -> Outcome:
    """Train, or go on with an interrupted run.

    Args:
        recipe: What to do; what it leaves open is decided by ``defaults.resolve``.
        resume: Go on from ``last.pt`` in the run's folder; from the start where there is none yet.
        force: Use the folder though it holds a run.
        observer: Is told what happens; in the first process only.

    Raises:
        FacerecError: The run cannot start or go on.
        KeyboardInterrupt: It was told to stop; it is saved and can be resumed.
    """
    with (
        join_world(recipe.run.device) as world,
        Interruption(lambda: observer(Stopping())) as interruption,
        open_folder(recipe.run.out, world, resume=resume or world.restarted, force=force) as out,
    ):
        resuming = (resume or world.restarted) and (out / LAST).exists()
        parts: Parts | None = None
        told = observer if world.first else unobserved
        try:
            parts = prepare(recipe, world, weights=not resuming, observer=told)
            progress = restore(parts, out / LAST, world) if resuming else begin(parts, told)
            return _run(parts, progress, out, world, interruption, told)
        except (RuntimeError, MemoryError) as fault:
            if world.group is not None and has_lost_process(fault):
                raise TrainingError(
                    "Another process of this run has ended, so this one cannot go on.",
                    hint="Its own message says why. --resume goes on from the last checkpoint.",
                ) from fault
            if lost := lost_reader(fault):
                raise lost from fault
            if not is_out_of_memory(fault):
                raise
            now = recipe if parts is None else parts.recipe
            raise out_of_memory(now, 0 if parts is None else parts.dataset.num_classes, fault) from fault


def begin(parts: Parts, observer: Observer = unobserved) -> Progress:
    """The state before the first step, with the class weights where the recipe wants them to start."""
    source = parts.recipe.loss.class_weights
    if source not in (None, "random"):
        told = telling(observer, "class weights from the network of --init")
        start_classes(parts.loss, parts.backbone, parts.dataset, source, told)
    return Progress()


def _run(
    parts: Parts,
    progress: Progress,
    out: Path,
    world: World,
    interruption: Interruption,
    observer: Observer,
) -> Outcome:
    recipe, per_epoch, steps = parts.recipe, parts.plan.steps_per_epoch, parts.plan.steps
    began = time.monotonic()
    records = Records(out, writes=world.first, tensorboard=recipe.run.tensorboard)
    records.start(recipe, progress.offset)
    observer(replace(parts.plan, start_step=progress.step))
    if recipe.run.deterministic:
        torch.use_deterministic_algorithms(True)

    if progress.step == 0 and parts.sets:  # what the run starts from
        progress.first = _evaluate(parts, progress, out, world, records, observer)

    clock, clocked = time.monotonic(), progress.step
    while progress.step < steps:
        epoch, start = divmod(progress.step, per_epoch)
        train_mode(parts.backbone, recipe)
        batches = parts.loader.epoch(epoch, start=start * recipe.optimizer.accumulate)
        with contextlib.closing(batches):  # type: ignore[type-var]
            for _ in range(start, min(per_epoch, start + steps - progress.step)):
                rate = (recipe.optimizer.lr or 0.0) * progress.lr_scale
                rate *= factor(recipe.schedule, progress.step, per_epoch, steps)
                last_batch = _step(parts, progress, batches, epoch, rate, world)
                progress.step += 1

                if progress.step % (recipe.run.log_every or 1) == 0 or progress.step == steps:
                    values = progress.means()
                    if not all(math.isfinite(value) for value in values.values()):
                        progress = _not_finite(parts, progress, last_batch, rate, out, world, observer)
                        records.start(recipe, progress.offset)
                        break
                    record = {"step": progress.step, "epoch": epoch, "lr": rate, **values}
                    progress.offset = records.metrics(record)
                    now = time.monotonic()
                    rows = (recipe.run.batch_size or 0) * recipe.optimizer.accumulate
                    speed = (progress.step - clocked) * rows / max(now - clock, 1e-9)
                    clock, clocked = now, progress.step
                    memory = torch.cuda.max_memory_allocated() if world.device.type == "cuda" else None
                    logged = Logged(epoch, progress.step, rate, values, speed, now - began, memory)
                    records.timing(
                        {"step": logged.step, "images_per_second": speed, "seconds": logged.seconds}
                    )
                    observer(logged)

                epoch_done = progress.step % per_epoch == 0 or progress.step == steps
                every = recipe.run.checkpoint_every
                due = epoch_done or (every > 0 and progress.step % every == 0)
                stop = progress.step < steps and _must_stop(interruption, progress, world)
                if (due or stop) and world.any(not is_finite(parts, progress)):
                    progress = _not_finite(parts, progress, last_batch, rate, out, world, observer)
                    records.start(recipe, progress.offset)
                    break
                if (
                    epoch_done
                    and parts.sets
                    and ((epoch + 1) % recipe.evaluate.every == 0 or progress.step == steps)
                ):
                    _evaluate(parts, progress, out, world, records, observer)
                    clock, clocked = time.monotonic(), progress.step
                if due or stop:
                    saved = _save(parts, progress, out, world, observer)
                if stop:
                    raise KeyboardInterrupt(
                        f"stopped after step {progress.step} of {steps}, saved in {saved}; "
                        f"go on with: facerec train --resume --out {out}"
                    )

    if not parts.sets:  # nothing has judged the network, so the last one is the one to export
        share_buffers(parts, world)
        save_best(parts, progress, out, world)
    records.close()
    curve = draw_curve(out) if world.first else None
    return Outcome(
        out=out,
        checkpoint=out / BEST,
        steps=progress.step,
        best=progress.best,
        best_name=metric_name(recipe.evaluate.best, progress.metrics),
        first=progress.first,
        last=progress.metrics,
        curve=curve,
        seconds=time.monotonic() - began,
        broken=len(parts.loader.broken),
    )


def _step(
    parts: Parts, progress: Progress, batches: Iterator[Batch], epoch: int, rate: float, world: World
) -> Batch:
    """Forward, backward, clip, step. Nothing here waits for the GPU, except fp16's scaler."""
    recipe = parts.recipe
    seed_step(recipe.run.seed, world.rank, progress.step)
    set_rate(parts.optimizer, rate)
    for part in range(recipe.optimizer.accumulate):
        batch = next(batches)
        images = to_input(
            batch.images.to(world.device, non_blocking=True),
            parts.backbone.preprocessing,
            channels_last=recipe.run.channels_last,
        )
        final = part + 1 == recipe.optimizer.accumulate
        alone = final or not isinstance(parts.network, torch.nn.parallel.DistributedDataParallel)
        with contextlib.nullcontext() if alone else parts.network.no_sync():  # type: ignore[operator]
            with torch.autocast(world.device.type, parts.dtype, enabled=parts.dtype != torch.float32):
                embeddings, feature_map = parts.network(images)
            target = target_of(parts.teacher, batch, world, parts.dtype)
            given = LossInput(
                embeddings,
                batch.labels,
                feature_map if parts.loss.needs_feature_map else None,
                branch=batch.branch,
                pair=batch.pair,
                target=target,
                epoch=epoch,
                step=progress.step * recipe.optimizer.accumulate + part,
            )
            loss, terms = parts.loss(given)
            if parts.distill is not None:
                pull, _ = parts.distill(given)
                loss, terms = loss + recipe.loss.distill * pull, {**terms, "distill": pull.detach()}
            parts.scaler.scale(loss / recipe.optimizer.accumulate).backward()
        progress.note({"loss": loss, **terms})
    parts.scaler.unscale_(parts.optimizer)
    length = clip_gradients(parts.parameters, parts.split, recipe.optimizer.clip, world)
    if not parts.scaler.is_enabled():  # fp16 overflows now and then, and its scaler skips those steps
        progress.note({"grad_norm": length})
    parts.scaler.step(parts.optimizer)
    parts.scaler.update()
    parts.optimizer.zero_grad(set_to_none=True)
    if parts.average is not None:
        parts.average.update_parameters(parts.backbone)
    return batch


def _evaluate(
    parts: Parts, progress: Progress, out: Path, world: World, records: Records, observer: Observer
) -> dict[str, float]:
    """Measure the pair sets; keep the network if it is the best so far."""
    share_buffers(parts, world)
    network = parts.backbone if parts.average is None else parts.average.module
    what = f"judging after epoch {1 + (progress.step - 1) // parts.plan.steps_per_epoch}"
    metrics = evaluate_pairs(
        network,
        parts.sets,
        world,
        flip=parts.recipe.evaluate.flip,
        dtype=parts.dtype,
        progress=telling(observer, what if progress.step else "judging before training"),
    )
    score = best_metric(parts.recipe.evaluate.best, parts.sets, metrics)
    best = progress.step > 0 and (progress.best is None or score > progress.best)
    progress.metrics = metrics
    epoch = (progress.step - 1) // parts.plan.steps_per_epoch if progress.step else 0
    progress.offset = records.metrics({"step": progress.step, "epoch": epoch, **metrics})
    if best:
        progress.best = score
        save_best(parts, progress, out, world)
    observer(Evaluated(epoch, progress.step, metrics, best))
    return metrics


def _save(parts: Parts, progress: Progress, out: Path, world: World, observer: Observer) -> Path:
    """Write ``last.pt``."""
    path = save_last(parts, progress, out, world)
    observer(Saved(path, progress.step))
    return path


def _not_finite(
    parts: Parts, progress: Progress, batch: Batch, rate: float, out: Path, world: World, observer: Observer
) -> Progress:
    """Go back to the last checkpoint with half the rate, or stop with the cause."""
    cause, advice = cause_of(parts, batch.images, rate)
    last = out / LAST
    if parts.recipe.run.on_nan == "rollback" and last.exists() and progress.rollbacks < _ROLLBACKS:
        again = progress.rollbacks + 1
        progress = restore(parts, last, world)
        progress.rollbacks = again
        progress.lr_scale = 0.5**again
        observer(RolledBack(progress.step, cause, progress.lr_scale))
        return progress
    kept = f"The last finite state is kept in {last}." if last.exists() else "There is no checkpoint yet."
    raise TrainingError(f"The loss is not finite at step {progress.step}: {cause}.", hint=f"{advice} {kept}")


def _must_stop(interruption: Interruption, progress: Progress, world: World) -> bool:
    """Whether any process was told to stop; asked seldom on GPUs, where the answer costs a wait."""
    if world.group is not None and world.device.type == "cuda" and progress.step % _LISTEN:
        return False
    return world.any(interruption.wanted)
