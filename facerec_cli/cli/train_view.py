"""How a training run looks: the plan, a live table (or plain lines), the outcome."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from facerec_cli.cli.console import live_view, note, result, result_json, result_table, warn
from facerec_cli.wording import counted, people

if TYPE_CHECKING:
    from rich.console import RenderableType

    from facerec_cli.training.report import Evaluated, Event, Logged, Observer, Outcome, Plan


def silence() -> None:
    """Only errors from a process that is not the first."""
    logging.getLogger("facerec").setLevel(logging.ERROR)


def show_plan(plan: Plan, *, as_json: bool) -> None:
    """The plan as a result, for ``--dry-run``."""
    if as_json:
        from facerec_cli.training.config import to_document

        document = dataclasses.asdict(plan)
        document["recipe"] = to_document(plan.recipe)
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
    parts = ", ".join(f"{name} {_bytes(size)}" for name, size in plan.memory.items())
    free = "" if plan.available is None else f"; {_bytes(plan.available)} free"
    places = f"{plan.processes} x " if plan.processes > 1 else ""
    rows = [
        ("data", f"{recipe.data.path}: {counted(plan.images, 'photo')} of {people(plan.classes)}"),
        (
            "network",
            f"{backbone.name}, D {backbone.embedding_size}, {plan.parameters:,} parameters{frozen}, {start}",
        ),
        ("loss", f"{recipe.loss.name}, {plan.class_parameters:,} values for classes"),
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
        ("memory", f"about {_bytes(total)} a process ({parts}){free}"),
    ]
    if plan.evaluation:
        rows.append(
            ("evaluation", ", ".join(f"{name} ({counted(n, 'pair')})" for name, n in plan.evaluation.items()))
        )
    if recipe.run.out:
        rows.append(("folder", recipe.run.out))
    return rows


@contextmanager
def watch() -> Iterator[Observer]:
    """An observer that draws a live table on a terminal, and writes plain lines elsewhere."""
    with live_view() as draw:
        yield (_Table(draw) if draw is not None else _Lines())


def show_outcome(outcome: Outcome) -> None:
    """The end of a run: how good, where, and what to type next."""
    note(f"{outcome.steps:,} steps, {_duration(outcome.seconds)}")
    if outcome.broken:
        warn(f"{counted(outcome.broken, 'photo')} could not be read, so others were taken")
    for name, value in outcome.last.items():
        if name.endswith("accuracy") or "/tar@" in name:
            before = f" (before training {outcome.first[name]:.2%})" if name in outcome.first else ""
            result(f"{name}: {value:.2%}{before}")
    if outcome.best is not None:
        result(f"best {outcome.best_name}: {abs(outcome.best):.2%}")
        start = next((v for k, v in outcome.first.items() if k.endswith(f"/{outcome.best_name}")), None)
        if start is not None and start > abs(outcome.best):
            warn(f"that is less than before training ({start:.2%}): use a lower --lr or fewer --epochs")
    result(f"checkpoint: {outcome.checkpoint}")
    if outcome.curve:
        result(f"curve: {outcome.curve}")
    note(f"next: facerec export {outcome.checkpoint} --name {outcome.out.name}")


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """The outcome for ``--json``."""
    document = dataclasses.asdict(outcome)
    for key in ("out", "checkpoint", "curve"):
        document[key] = None if document[key] is None else str(document[key])
    return document


class _Lines:
    """One line for each thing that happens."""

    def __init__(self) -> None:
        self.plan: Plan | None = None

    def __call__(self, event: Event) -> None:
        kind = type(event).__name__
        getattr(self, f"on_{kind.lower()}", _ignore)(event)

    def on_plan(self, plan: Plan) -> None:
        self.plan = plan
        for name, text in plan_rows(plan):
            note(f"{name:<11}{text}")
        for warning in plan.warnings:
            warn(warning)

    def on_logged(self, event: Logged) -> None:
        values = "  ".join(f"{name} {value:.4g}" for name, value in event.values.items())
        assert self.plan is not None
        note(
            f"epoch {event.epoch + 1}  step {event.step:,}/{self.plan.steps:,}  {values}  lr {event.lr:.3g}  "
            f"{event.images_per_second:,.0f} images/s  {_left(self.plan, event)} left"
        )

    def on_evaluated(self, event: Evaluated) -> None:
        note(_evaluation(event))

    def on_rolledback(self, event: Any) -> None:
        warn(f"{event.cause}; back to step {event.step} with {event.lr_scale:g} of the learning rate")


class _Table(_Lines):
    """The same, drawn in place."""

    def __init__(self, draw: Any) -> None:
        super().__init__()
        self._draw = draw
        self._checks: deque[str] = deque(maxlen=5)

    def on_logged(self, event: Logged) -> None:
        self._draw(self._table(event))

    def on_evaluated(self, event: Evaluated) -> None:
        self._checks.append(_evaluation(event))

    def _table(self, event: Logged) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        assert self.plan is not None
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        cells = {
            "epoch": f"{event.epoch + 1}/{-(-self.plan.steps // self.plan.steps_per_epoch)}",
            "step": f"{event.step:,}/{self.plan.steps:,}",
            **{name: f"{value:.4g}" for name, value in event.values.items()},
            "lr": f"{event.lr:.3g}",
            "images/s": f"{event.images_per_second:,.0f}",
            "left": _left(self.plan, event),
        }
        if event.device_memory is not None:
            cells["GPU memory"] = _bytes(event.device_memory)
        for name in cells:
            table.add_column(name, justify="right")
        table.add_row(*cells.values())
        checks = [Text(line) for line in self._checks]
        return Group(table, ProgressBar(self.plan.steps, event.step), *checks)


def _ignore(event: Any) -> None: ...


def _evaluation(event: Evaluated) -> str:
    shown = {n: v for n, v in event.metrics.items() if n.endswith("accuracy") or "/tar@" in n}
    text = "  ".join(f"{name} {value:.2%}" for name, value in shown.items())
    when = f"epoch {event.epoch + 1}" if event.step else "before training"
    return f"{when}: {text}" + ("  (best so far)" if event.best else "")


def _left(plan: Plan, event: Logged) -> str:
    rows = (plan.recipe.run.batch_size or 0) * plan.recipe.optimizer.accumulate
    return _duration((plan.steps - event.step) * rows / max(event.images_per_second, 1e-9))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return (
        time.strftime("%H:%M:%S", time.gmtime(seconds))
        if seconds < 86_400
        else f"{seconds / 86_400:.1f} days"
    )


def _bytes(size: int) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:,.3g} {unit}" if unit != "B" else f"{size} B"
        size /= 1000  # type: ignore[assignment]
    return ""
