"""The training loop, in the order in which it runs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import torch

from facerec_cli.backbones.encoder import to_input
from facerec_cli.data.loading.batches import Batch
from facerec_cli.errors import TrainingError
from facerec_cli.losses.base import LossInput
from facerec_cli.training.advice import cause_of, make_plan
from facerec_cli.training.class_means import start_classes
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import World, join_world
from facerec_cli.training.evaluate import best_metric, evaluate_sets, found_metric, require_best
from facerec_cli.training.faults import explain
from facerec_cli.training.loggers.feed import followed
from facerec_cli.training.loggers.logger import logger_names, make_logger
from facerec_cli.training.metric_names import worth
from facerec_cli.training.optimizer import clip_gradients, set_rate
from facerec_cli.training.processes import Interruption
from facerec_cli.training.report import (
    Clock,
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
from facerec_cli.training.run import Run, hard_left_out
from facerec_cli.training.run_folder import check_folder, draw_curve, goes_on, open_folder
from facerec_cli.training.setup import prepare, seed_step
from facerec_cli.training.start import train_mode
from facerec_cli.training.state import (
    TrainingState,
    is_finite,
    restore,
    save_best,
    save_last,
    share_buffers,
)

_ROLLBACKS = 3
_STOP_CHECK_EVERY = 10  # steps between questions whether another process was told to stop, on GPUs


def plan(recipe: Recipe) -> Plan:
    """Check data, settings and memory without training.

    Raises:
        FacerecError: The run could not start.
    """
    for name in logger_names(recipe.run):
        make_logger(name)
    with join_world(recipe.run.device, deterministic=recipe.run.deterministic) as world:
        run = prepare(recipe, world)
        require_best(run.recipe.evaluate.best, run.data.watched, world)
        next(run.data.loader.epoch(0))  # the data can be read and the batch be filled
        return make_plan(run)


def train(
    recipe: Recipe, *, resume: bool = False, force: bool = False, observer: Observer = unobserved
) -> Outcome:
    """Train, or go on with an interrupted run.

    Args:
        recipe: What to do; what it leaves open is decided by ``defaults.resolve``.
        resume: Go on from ``last.pt`` in the run's folder; from the start where there is none yet.
        force: Write over the run that its folder holds, once this one begins.
        observer: Is told what happens; in the first process only.

    Raises:
        FacerecError: The run cannot start or go on.
        KeyboardInterrupt: It was told to stop; it is saved and can be resumed.
    """
    names = logger_names(recipe.run)
    check_folder(recipe, resume=resume, force=force)
    with (
        join_world(recipe.run.device, deterministic=recipe.run.deterministic) as world,
        Interruption(lambda: observer(Stopping())) as interruption,
        open_folder(recipe.run.out, world, resume=resume or world.restarted, force=force) as out,
        followed(names if world.first else (), out, observer if world.first else unobserved) as told,
    ):
        run: Run | None = None
        try:
            resuming = goes_on(out, resume=resume, restarted=world.restarted)
            run = prepare(recipe, world, weights=not resuming, observer=told)
            require_best(recipe.evaluate.best, run.data.watched, world)
            state = restore(run) if resuming else begin(run, told)
            if force and not resuming:
                run.folder.clear()
            return _train(run, state, interruption, told)
        except (RuntimeError, MemoryError) as fault:
            if error := explain(fault, recipe, run, world):
                raise error from fault
            raise


def begin(run: Run, observer: Observer = unobserved) -> TrainingState:
    """The state before the first step, with the class weights where the recipe wants them to start."""
    source = run.recipe.loss.class_weights
    if source not in (None, "random"):
        progress = telling(observer, "class weights from the network of --init")
        start_classes(run.model.loss, run.model.backbone, run.data.dataset, source, progress)
    return TrainingState()


def _train(run: Run, state: TrainingState, interruption: Interruption, observer: Observer) -> Outcome:
    """From the first evaluation to the last checkpoint."""
    recipe, folder, clock = run.recipe, run.folder, Clock()
    folder.begin(recipe, state.offset)
    observer(make_plan(run, start_step=state.step))
    if recipe.run.deterministic:
        torch.use_deterministic_algorithms(True)
    if state.step == 0:  # what the run starts from
        state.first = _evaluate(run, state, observer)
    state = _steps(run, state, clock, interruption, observer)
    if not run.data.watched:  # nothing has judged the model, so the last one is the one to export
        share_buffers(run)
        save_best(run, state)
    judge = found_metric(recipe.evaluate.best, run.data.watched, state.metrics)
    return Outcome(
        out=folder.path,
        checkpoint=folder.best,
        steps=state.step,
        best=state.best,
        best_name=judge.partition("/")[2] or None,
        first=state.first,
        last=state.metrics,
        curve=draw_curve(folder.path) if run.world.first else None,
        seconds=clock.seconds,
        broken=len(run.data.loader.broken),
    )


def _steps(
    run: Run, state: TrainingState, clock: Clock, interruption: Interruption, observer: Observer
) -> TrainingState:
    """All steps that are left, with what is due after each: a record, an evaluation, a checkpoint."""
    recipe, steps, per_epoch = run.recipe, run.optimization.steps, run.optimization.steps_per_epoch
    clock.restart(state.step)
    while state.step < steps:
        epoch, start = divmod(state.step, per_epoch)
        train_mode(run.model.backbone, recipe)
        batches = run.data.loader.epoch(epoch, start=start * recipe.optimizer.accumulate)
        with contextlib.closing(batches):  # type: ignore[type-var]
            for _ in range(start, min(per_epoch, start + steps - state.step)):
                rate = run.learning_rate(state.step) * state.lr_scale
                batch = _step(run, state, batches, epoch, rate)
                state.step += 1

                finite = True
                if state.step % (recipe.run.log_every or 1) == 0 or state.step == steps:
                    finite = _log(run, state, epoch, rate, clock, observer)
                epoch_done = state.step % per_epoch == 0 or state.step == steps
                every = recipe.run.checkpoint_every
                save_due = epoch_done or (every > 0 and state.step % every == 0)
                stop = finite and state.step < steps and _must_stop(interruption, state, run.world)
                if finite and (save_due or stop):
                    finite = not run.world.any(not is_finite(run, state))
                if not finite:
                    state = _roll_back(run, state, batch, rate, observer)
                    clock.restart(state.step)
                    break
                evaluate_due = (epoch + 1) % recipe.evaluate.every == 0 or state.step == steps
                if epoch_done and evaluate_due:
                    _evaluate(run, state, observer)
                    clock.restart(state.step)
                if save_due or stop:
                    observer(Saved(save_last(run, state), state.step))
                if stop:
                    raise KeyboardInterrupt(
                        f"stopped after step {state.step} of {steps}, saved in {run.folder.last}; "
                        f"go on with: facerec train --resume --out {run.folder.path}"
                    )
    return state


def _step(run: Run, state: TrainingState, batches: Iterator[Batch], epoch: int, rate: float) -> Batch:
    """Forward, backward, clip, step. Nothing here waits for the GPU, except fp16's scaler."""
    recipe, world, model, optimization = run.recipe, run.world, run.model, run.optimization
    accumulate = recipe.optimizer.accumulate
    seed_step(recipe.run.seed, world.rank, state.step)
    set_rate(optimization.optimizer, rate)
    for part in range(accumulate):
        batch = next(batches)
        images = to_input(
            batch.images.to(world.device, non_blocking=True),
            model.backbone.preprocessing,
            channels_last=recipe.run.channels_last,
        )
        with _gradients_averaged(model.network, part + 1 == accumulate):
            embeddings, feature_map = model.embed(images)
            given = LossInput(
                embeddings,
                batch.labels,
                feature_map if model.loss.needs_feature_map else None,
                branch=batch.branch,
                pair=batch.pair,
                target=model.target(batch.clean),
                epoch=epoch,
                step=state.step * accumulate + part,
            )
            loss, terms = model.loss(given)
            if model.distill is not None:
                kept = given if recipe.loss.distill_hard else hard_left_out(given, batch)
                distill, _ = model.distill(kept)
                loss, terms = loss + recipe.loss.distill * distill, {**terms, "distill": distill.detach()}
            optimization.scaler.scale(loss / accumulate).backward()
        state.note({"loss": loss, **terms})
    optimization.scaler.unscale_(optimization.optimizer)
    norm = clip_gradients(optimization.parameters, optimization.sharded, recipe.optimizer.clip, world)
    if not optimization.scaler.is_enabled():  # fp16 overflows now and then, and its scaler skips those steps
        state.note({"grad_norm": norm})
    optimization.scaler.step(optimization.optimizer)
    optimization.scaler.update()
    optimization.optimizer.zero_grad(set_to_none=True)
    if model.ema is not None:
        model.ema.update_parameters(model.backbone)
    return batch


def _gradients_averaged(network: torch.nn.Module, last: bool) -> contextlib.AbstractContextManager[None]:
    """Average gradients over the processes in the backward of a step's last batch only."""
    if last or not isinstance(network, torch.nn.parallel.DistributedDataParallel):
        return contextlib.nullcontext()
    return network.no_sync()


def _log(run: Run, state: TrainingState, epoch: int, rate: float, clock: Clock, observer: Observer) -> bool:
    """Record the means since the last record; False, and no record, where one of them is not finite."""
    recipe, device = run.recipe, run.world.device
    values = state.means()
    if not all(math.isfinite(value) for value in values.values()):
        return False
    state.offset = run.folder.metrics({"step": state.step, "epoch": epoch, "lr": rate, **values})
    photos = (recipe.run.batch_size or 0) * recipe.optimizer.accumulate  # of a step
    speed, seconds = clock.steps_per_second(state.step) * photos, clock.seconds
    run.folder.timing({"step": state.step, "images_per_second": speed, "seconds": seconds})
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else None
    observer(Logged(epoch, state.step, rate, values, speed, seconds, memory))
    return True


def _evaluate(run: Run, state: TrainingState, observer: Observer) -> dict[str, float]:
    """Measure on the evaluation sets that are due; keep the model if it is the best so far."""
    model, sets = run.model, run.data.due(at_end=state.step == run.optimization.steps)
    if not sets:
        return {}
    share_buffers(run)
    epoch = (state.step - 1) // run.optimization.steps_per_epoch if state.step else 0
    what = f"evaluating after epoch {1 + epoch}" if state.step else "evaluating before training"
    network, flip = model.backbone if model.ema is None else model.ema.module, run.recipe.evaluate.flip
    progress = telling(observer, what)
    metrics = evaluate_sets(network, sets, run.world, flip=flip, dtype=model.dtype, progress=progress)
    judge = best_metric(run.recipe.evaluate.best, run.data.watched, metrics)
    score = worth(judge, metrics[judge]) if judge else None
    best = score is not None and state.step > 0 and (state.best is None or score > state.best)
    state.metrics = metrics
    state.offset = run.folder.metrics({"step": state.step, "epoch": epoch, **metrics})
    if best:
        state.best = score
        save_best(run, state)
    observer(Evaluated(epoch, state.step, metrics, judge, best))
    return metrics


def _roll_back(
    run: Run, state: TrainingState, batch: Batch, rate: float, observer: Observer
) -> TrainingState:
    """Go back to the last checkpoint with half the rate, or stop with the cause."""
    cause, advice = cause_of(run, batch.images, rate)
    last = run.folder.last
    if run.recipe.run.on_nan == "rollback" and last.exists() and state.rollbacks < _ROLLBACKS:
        rollbacks = state.rollbacks + 1
        state = restore(run)
        state.rollbacks = rollbacks
        state.lr_scale = 0.5**rollbacks
        observer(RolledBack(state.step, cause, state.lr_scale))
        run.folder.begin(run.recipe, state.offset)
        return state
    kept = f"The last finite state is kept in {last}." if last.exists() else "There is no checkpoint yet."
    raise TrainingError(f"The loss is not finite at step {state.step}: {cause}.", hint=f"{advice} {kept}")


def _must_stop(interruption: Interruption, state: TrainingState, world: World) -> bool:
    """Whether any process was told to stop; asked seldom on GPUs, where the answer costs a wait."""
    if world.group is not None and world.device.type == "cuda" and state.step % _STOP_CHECK_EVERY:
        return False
    return world.any(interruption.requested)
