"""A training run while it works: drawn in place on a terminal, plain lines elsewhere.

It fits any width: figures stand in columns of a fixed width, as many side by side as there is room for, and
go on below. A line is never cut, and nothing is drawn on the line of a bar.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from facerec_cli.cli.console import live_view, note, note_fields, progress_bar, warn
from facerec_cli.cli.train_words import bytes_in_words, evaluation_parts, plan_rows, time_left
from facerec_cli.images import quiet_decoders
from facerec_cli.training.processes import is_child, is_first

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from facerec_cli.training.config import Recipe
    from facerec_cli.training.report import Evaluated, Event, Logged, Observer, Plan, Stopping, Working

_COLUMN = 9  # of a figure: 0.0001234
_LATEST = 4  # evaluations that are shown, besides the one before training
_GAP = "  "


def planned(recipe: Recipe) -> Plan:
    """What would be trained; nothing is."""
    with quiet_decoders(), progress_bar("Opening data and network"):
        from facerec_cli.training.train import plan

        return plan(recipe)


@contextmanager
def watch() -> Iterator[Observer]:
    """An observer that draws a live table on a terminal, and writes plain lines elsewhere.

    Of a process that is not the first only errors are heard. What NCCL and gloo say of several processes is
    wanted, so C libraries are kept quiet only where there is one.
    """
    if not is_first():
        logging.getLogger("facerec").setLevel(logging.ERROR)
        yield _ignore
        return
    with nullcontext() if is_child() else quiet_decoders(), live_view() as draw:
        if draw is None:
            yield Lines()
            return
        from rich.console import Group

        view = _LiveTable(draw)
        view(_starting())
        try:
            yield view
        except BaseException:
            if view.plan is None:  # nothing was begun: no bar stays above the error
                draw(Group())
            raise


class Lines:
    """One line for each thing that happens."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self._told = ""

    def __call__(self, event: Event) -> None:
        """Take an event; kinds that are not shown are left alone."""
        kind = type(event).__name__
        getattr(self, f"on_{kind.lower()}", _ignore)(event)

    def on_plan(self, plan: Plan) -> None:
        """What will be done."""
        self.plan = plan
        note_fields(plan_rows(plan))
        for warning in plan.warnings:
            warn(warning)

    def on_logged(self, event: Logged) -> None:
        """Figures since the last time."""
        values = "  ".join(f"{name} {value:.4g}" for name, value in event.values.items())
        assert self.plan is not None
        note(
            f"epoch {event.epoch + 1}  step {event.step:,}/{self.plan.steps:,}  {values}  lr {event.lr:.3g}  "
            f"{event.images_per_second:,.0f} images/s  {time_left(self.plan, event)} left"
        )

    def on_working(self, event: Working) -> None:
        """Something else than steps takes a while."""
        if event.what != self._told:
            self._told = event.what
            note(f"{event.what} ...")

    def on_evaluated(self, event: Evaluated) -> None:
        """An evaluation."""
        self._told = ""
        note(" ".join(evaluation_parts(event)))

    def on_rolledback(self, event: Any) -> None:
        """Back to an earlier step."""
        warn(f"{event.cause}; back to step {event.step} with {event.lr_scale:g} of the learning rate")


def _ignore(event: Any) -> None: ...


class _LiveTable(Lines):
    """The same, drawn in place; it looks at itself anew whenever it is drawn."""

    def __init__(self, draw: Callable[[RenderableType], None]) -> None:
        super().__init__()
        self._logged: Logged | None = None
        self._working: Working | None = None
        self._evaluated: list[Evaluated] = []
        self._stopping = False
        self._done = 0
        self._draw = draw

    def __call__(self, event: Event) -> None:
        """Take an event and show it."""
        super().__call__(event)
        self._draw(self)

    def on_plan(self, plan: Plan) -> None:
        """What will be done."""
        super().on_plan(plan)
        self._working, self._done = None, plan.start_step

    def on_logged(self, event: Logged) -> None:
        """Figures since the last time."""
        self._logged, self._working, self._done = event, None, event.step

    def on_working(self, event: Working) -> None:
        """Something else than steps takes a while."""
        self._working = event

    def on_evaluated(self, event: Evaluated) -> None:
        """An evaluation."""
        self._evaluated.append(event)
        self._working = None

    def on_stopping(self, event: Stopping) -> None:
        """Somebody wants it to stop."""
        self._stopping = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines of this moment, none wider than the terminal."""
        from rich.text import Text

        width = options.max_width
        for names, values in columns(self._figures(), width):
            yield Text(names, style="dim")
            yield Text(values)
        if self.plan is not None and (self._logged or self._working is None):
            yield self._steps(width)
        if self._working is not None:
            yield _bar(self._working.what, self._working.done, self._working.total, "photos", width)
        if self._stopping:
            yield Text(flowed(["told to stop:", "what is under way is finished and saved first"], width))
        shown = (
            self._evaluated
            if len(self._evaluated) <= _LATEST
            else [self._evaluated[0], *self._evaluated[-_LATEST:]]
        )
        for event in shown:
            yield Text(flowed(evaluation_parts(event), width))

    def _figures(self) -> dict[str, str]:
        event = self._logged
        if event is None:
            return {}
        figures = {name: f"{value:.4g}" for name, value in event.values.items()}
        figures |= {"lr": f"{event.lr:.3g}", "images/s": f"{event.images_per_second:,.1f}"}
        if event.device_memory is not None:
            figures["GPU memory"] = bytes_in_words(event.device_memory)
        return figures

    def _steps(self, width: int) -> RenderableType:
        assert self.plan is not None
        epoch = self._done // self.plan.steps_per_epoch if self._logged is None else self._logged.epoch
        left = "" if self._logged is None else f", {time_left(self.plan, self._logged)} left"
        epochs = -(-self.plan.steps // self.plan.steps_per_epoch)
        return _bar(f"epoch {epoch + 1}/{epochs}", self._done, self.plan.steps, f"steps{left}", width)


def columns(figures: Mapping[str, str], width: int) -> Iterator[tuple[str, str]]:
    """Lines of names and, below them, of values; as many side by side as ``width`` has room for."""
    names: list[str] = []
    values: list[str] = []
    for name, value in figures.items():
        room = max(_COLUMN, len(name), len(value))
        used = sum(len(shown) + len(_GAP) for shown in names)
        if names and used + room > width:
            yield _GAP.join(names), _GAP.join(values)
            names, values = [], []
        names.append(name.rjust(room))
        values.append(value.rjust(room))
    if names:
        yield _GAP.join(names), _GAP.join(values)


def flowed(parts: Sequence[str], width: int) -> str:
    """Parts one after the other, broken between them where a line is full; the next ones stand further in."""
    lines = [""]
    for part in parts:
        longer = f"{lines[-1]}{' ' if len(lines[-1].strip()) else ''}{part}"
        if len(longer) > width and lines[-1].strip():
            lines.append(f"    {part}")
        else:
            lines[-1] = longer
    return "\n".join(lines)


def _bar(what: str, done: int, total: int | None, unit: str, width: int) -> RenderableType:
    """A line ``what ━━━━╸ 45/108 unit``; without the bar where there is no room for one."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    count = "" if total is None else f"{done:,}/{total:,} {unit}"
    room = width - len(what) - len(count) - 2
    if room < 5:
        return Text(flowed([what, count], width))
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(what, ProgressBar(total, done, width=min(room, 40), pulse=total is None), count)
    return grid


def _starting() -> Any:
    from facerec_cli.training.report import Working

    return Working("starting")
