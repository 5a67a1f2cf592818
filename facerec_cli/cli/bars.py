"""A line that shows how far long work has come, in whatever room there is."""

from __future__ import annotations

from rich import filesize
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

_WIDE, _MIDDLE = 80, 55  # characters from which on there is room for rate and time, and for the bar


class _Count(ProgressColumn):
    """``120/412``, ``12/40 MB``; nothing where nothing is counted."""

    def render(self, task: Task) -> Text:
        if not task.completed and task.total is None:
            return Text("")
        amounts = [task.completed, *([] if task.total is None else [task.total])]
        if task.fields["unit"] == "bytes":
            return Text(" of ".join(filesize.decimal(int(amount)) for amount in amounts))
        return Text("/".join(f"{int(amount):,}" for amount in amounts))


class _Rate(ProgressColumn):
    """``19.0 photos/s``."""

    def render(self, task: Task) -> Text:
        speed, unit = task.finished_speed or task.speed, task.fields["unit"]
        if speed is None:
            return Text("")
        return Text(f"{filesize.decimal(int(speed))}/s" if unit == "bytes" else f"{speed:,.1f} {unit}/s")


class _Time(ProgressColumn):
    """``0:01:30 left``, or how long it has taken where that cannot be known."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        left = task.time_remaining
        seconds = task.elapsed if left is None else left
        if seconds is None:
            return Text("")
        minutes, rest = divmod(int(seconds), 60)
        shown = f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
        return Text(shown if left is None else f"{shown} left")


def progress_line(console: Console) -> RichProgress:
    """The line, for tasks with a field ``unit``: what fits of name, bar, count, rate and time left."""
    room = console.width
    name = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))
    columns: list[ProgressColumn] = [SpinnerColumn(), name]
    if room >= _MIDDLE:
        columns.append(BarColumn(20 if room < 100 else 40))
    columns.append(_Count(table_column=Column(no_wrap=True)))
    if room >= _WIDE:
        columns.append(_Rate(table_column=Column(no_wrap=True)))
    if room >= _MIDDLE:
        columns.append(_Time(table_column=Column(no_wrap=True)))
    return RichProgress(*columns, console=console, transient=True)
