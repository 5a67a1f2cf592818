"""A training run in words: the plan, an evaluation, the outcome."""

from __future__ import annotations

import dataclasses
import shlex
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from facerec_cli.cli.console import note, result, result_json, result_table, warn
from facerec_cli.training.metric_names import is_shown, worth
from facerec_cli.wording import counted, people

if TYPE_CHECKING:
    from facerec_cli.training.report import Evaluated, Logged, Outcome, Plan


def show_plan(plan: Plan, *, as_json: bool) -> None:
    """The plan as a result, for ``--dry-run``."""
    if as_json:
        from facerec_cli.settings import to_tables

        document = dataclasses.asdict(plan)
        document["recipe"] = to_tables(plan.recipe)
        result_json(document)
        return
    result_table(plan_rows(plan), columns=("", "plan"))
    for warning in plan.warnings:
        warn(warning)


def plan_rows(plan: Plan) -> list[tuple[str, str]]:
    """What will be trained on what, in words."""
    recipe = plan.recipe
    backbone, optimizer, schedule = recipe.backbone, recipe.optimizer, recipe.schedule
    start = f"from {backbone.init}" if backbone.init else "from fresh weights"
    frozen = f", {plan.parameters - plan.trained:,} of them frozen" if plan.trained < plan.parameters else ""
    total = sum(plan.memory.values())
    parts = ", ".join(f"{name} {bytes_in_words(size)}" for name, size in plan.memory.items())
    free = "" if plan.available is None else f"; {bytes_in_words(plan.available)} free"
    places = f"{plan.processes} x " if plan.processes > 1 else ""
    rows = [
        ("data", f"{recipe.data.name}: {counted(plan.images, 'photo')} of {people(plan.classes)}"),
        (
            "network",
            f"{backbone.name}, D {backbone.embedding_size}, {plan.parameters:,} parameters{frozen}, {start}",
        ),
        ("loss", f"{recipe.loss.name}, {plan.class_parameters:,} values for classes"),
        *([("teacher", backbone.teacher)] if backbone.teacher else []),
        (
            "steps",
            f"{plan.steps:,} of {recipe.run.batch_size} photos, {plan.steps_per_epoch:,} an epoch"
            + (f", {plan.start_step:,} done" if plan.start_step else ""),
        ),
        (
            "optimizer",
            f"{optimizer.name}, lr {optimizer.lr:g}, {schedule.name}, warm-up {schedule.warmup:g} epochs",
        ),
        ("device", f"{places}{plan.device}, {plan.precision}"),
        ("memory", f"about {bytes_in_words(total)} a process ({parts}){free}"),
    ]
    if plan.evaluation:
        rows.append(
            (
                "evaluation",
                ", ".join(
                    f"{name} ({counted(n, *plan.units.get(name, ('pair', 'pairs')))})"
                    for name, n in plan.evaluation.items()
                ),
            )
        )
    if recipe.run.out:
        rows.append(("folder", recipe.run.out))
    return rows


def show_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """The end of a run: how good, where, and what to type next."""
    if as_json:
        result_json(outcome_document(outcome))
        return
    note(f"{outcome.steps:,} steps, {duration(outcome.seconds)}")
    if outcome.broken:
        warn(f"{counted(outcome.broken, 'photo')} could not be read, so others were taken")
    for name, value in outcome.last.items():
        if is_shown(name):
            before = f" (before training {outcome.first[name]:.2%})" if name in outcome.first else ""
            result(f"{name}: {value:.2%}{before}")
    if outcome.best is not None:
        result(f"best {outcome.best_name}: {abs(outcome.best):.2%}")
        start = next((v for k, v in outcome.first.items() if k.endswith(f"/{outcome.best_name}")), None)
        if start is not None and worth(outcome.best_name or "", start) > outcome.best:
            warn(f"that is worse than before training ({start:.2%}): use a lower --lr or fewer --epochs")
    result(f"checkpoint: {outcome.checkpoint}")
    if outcome.curve:
        result(f"curve: {outcome.curve}")
    note(f"next: {_export_command(outcome)}")


def _export_command(outcome: Outcome) -> str:
    """What to type next, with the folder's name for the model's where a model can be called so."""
    from facerec_cli.packs.rules import model_name

    words = ["facerec", "export", str(outcome.checkpoint)]
    with suppress(ValueError):
        words += ["--name", model_name(outcome.out.name)]
    return shlex.join(words)


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """The outcome for ``--json``."""
    document = dataclasses.asdict(outcome)
    for key in ("out", "checkpoint", "curve"):
        document[key] = None if document[key] is None else str(document[key])
    return document


def evaluation_parts(event: Evaluated) -> list[str]:
    """What an evaluation gave, in parts that a line may be broken between."""
    when = f"epoch {event.epoch + 1}" if event.step else "before training"
    shown = {name: value for name, value in event.metrics.items() if is_shown(name) or name == event.judge}
    figures = [f"{name} {value:.2%}" for name, value in shown.items()]
    return [f"{when}:", *figures, *(["(best so far)"] if event.best else [])]


def time_left(plan: Plan, event: Logged) -> str:
    """How long the rest of the run takes at the latest speed."""
    rows = (plan.recipe.run.batch_size or 0) * plan.recipe.optimizer.accumulate
    return duration((plan.steps - event.step) * rows / max(event.images_per_second, 1e-9))


def duration(seconds: float) -> str:
    """``45 s``, ``01:30:00``, ``2.5 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return (
        time.strftime("%H:%M:%S", time.gmtime(seconds))
        if seconds < 86_400
        else f"{seconds / 86_400:.1f} days"
    )


def bytes_in_words(size: int) -> str:
    """``12.3 MB``."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:,.3g} {unit}" if unit != "B" else f"{size} B"
        size /= 1000  # type: ignore[assignment]
    return ""
