"""Everything that the commands print: results on stdout, all the rest on stderr. The library never prints."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from facerec_cli.cli.layout import broken, needed, one_below_the_other
from facerec_cli.cli.streams import lose_output
from facerec_cli.errors import OutputError
from facerec_cli.progress import Progress, Stages, silent_stages

if TYPE_CHECKING:
    from rich.console import RenderableType

_PIPE_WIDTH = 160  # a table in a pipe must not be cut at 80 columns

_quiet = False
_answered = False  # a JSON document is on stdout, which has one
_live: Console | None = None  # what draws a bar or a view, and so has to print everything else above it


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to who ends the command, as for every other result; rich would end with code 1."""
        raise BrokenPipeError


def _console(*, stderr: bool) -> Console:
    """A console on the stream of this moment, so that tests and pipes can replace it."""
    if stderr and _live is not None:
        return _live
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return _Console(file=stream, width=width, highlight=False, emoji=False, soft_wrap=not stream.isatty())


@contextmanager
def _writing() -> Iterator[None]:
    """Results that cannot be written are the user's to mend; noticed here, not at the end of the process."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        lose_output()
        raise OutputError(
            f"The results cannot be written to standard output: {error.strerror}.",
            hint="Make room there, or send them somewhere else.",
        ) from error


def result(text: str) -> None:
    """Print a line of result on stdout: broken between words on a terminal, as it is anywhere else.

    Indented lines are there to be copied and stay whole.
    """
    if sys.stdout.isatty():
        text = "\n".join(broken(line, width()) for line in text.split("\n"))
    with _writing():
        sys.stdout.write(text + "\n")


def result_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON document on stdout; NaN and infinity, which JSON lacks, must be None by now."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # of the terminal or of a name: JSON has escapes
        text = json.dumps(document, indent=2, allow_nan=False)
    with _writing():
        sys.stdout.write(text + "\n")
    global _answered
    _answered = True


def result_table(
    rows: Sequence[Sequence[object]], *, columns: Sequence[str], title: str = "", right: Sequence[str] = ()
) -> None:
    """Print a table of results on stdout; below one another where the terminal is too narrow for its words.

    Args:
        rows: One sequence of cells per row; each cell is shown as ``str`` of it, never as markup.
        columns: The headings.
        title: Shown above the table.
        right: Headings of the columns to align to the right.
    """
    from rich import box
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    console = _console(stderr=False)
    with _writing():
        if needed(rows, columns) <= console.width:
            console.print(table)
            return
        for line in one_below_the_other(rows, columns, title):
            sys.stdout.write(broken(line, console.width, "  ") + "\n")


def width() -> int:
    """Characters that a line of stdout has room for."""
    return _console(stderr=False).width


def note(text: str) -> None:
    """Say something on stderr that is not a result; silent under ``--quiet``."""
    if not _quiet:
        _console(stderr=True).print(escape(text))


def detail(text: str) -> None:
    """Say on stderr what only ``--verbose`` asks for."""
    logging.getLogger("facerec").info("%s", text)


def note_fields(rows: Sequence[tuple[str, str]]) -> None:
    """Say names and what they are on stderr, one below the other; long texts stay in their column."""
    if _quiet:
        return
    room = max((len(name) for name, _ in rows), default=0) + 1
    console = _console(stderr=True)
    for name, text in rows:
        lines = textwrap.wrap(text, max(console.width - room, 20), break_on_hyphens=False) or [""]
        shown = lines if sys.stderr.isatty() else [text]  # a line a fact where a program may read it
        for number, line in enumerate(shown):
            console.print(escape(f"{'' if number else name:<{room}}{line}"))


def warn(text: str) -> None:
    """Warn on stderr, also under ``--quiet``."""
    _console(stderr=True).print(f"[yellow]warning:[/yellow] {escape(text)}")


@contextmanager
def _drawing() -> Iterator[Console]:
    """The console of stderr, which all notes go through while something is drawn there."""
    global _live
    _live = _console(stderr=True)
    try:
        yield _live
    finally:
        _live = None


@contextmanager
def stages() -> Iterator[Stages]:
    """A line on stderr for one part of the work after another; nothing when quiet or not on a terminal."""
    if _quiet or not sys.stderr.isatty():
        yield silent_stages
        return
    from facerec_cli.cli.bars import progress_line

    with _drawing() as drawn, progress_line(drawn) as line:
        task = line.add_task("", total=None, unit="")

        def begin(description: str, unit: str = "photos") -> Progress:
            line.reset(task, description=escape(description), total=None, unit=unit)

            def update(done: int, total: int | None = None) -> None:
                line.update(task, completed=done, total=total)

            return update

        yield begin


@contextmanager
def progress_bar(description: str, unit: str = "photos") -> Iterator[Progress]:
    """A bar with count, rate and time left on stderr; nothing when quiet or not on a terminal."""
    with stages() as begin:
        yield begin(description, unit)


class _Log(io.TextIOBase):
    """A stream whose lines go to the log."""

    def write(self, text: str) -> int:
        for line in text.splitlines():
            logging.getLogger("facerec").debug(line)
        return len(text)


@contextmanager
def stray_prints() -> Iterator[None]:
    """Keep what libraries print off stdout, which carries results; ``--verbose`` shows it on stderr."""
    with redirect_stdout(_Log()):
        yield


@contextmanager
def live_view() -> Iterator[Callable[[RenderableType], None] | None]:
    """A place on the terminal that is drawn again and again; None when quiet or not on a terminal."""
    if _quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.live import Live

    with _drawing() as drawn, Live(console=drawn, refresh_per_second=4) as live:
        yield live.update


class _StderrHandler(logging.Handler):
    """The library's log on stderr: warnings always, more with ``--verbose``."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            warn(text)
        else:
            note(text)


def configure(*, quiet: bool, verbose: bool) -> None:
    """Say how much is told, for one command."""
    global _quiet, _answered
    _quiet, _answered = quiet, False
    logger = logging.getLogger("facerec")
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    logger.handlers = [_StderrHandler()]
    logger.propagate = False


def answered() -> bool:
    """Whether the command has printed its JSON document."""
    return _answered


def fault(message: str, hint: str = "") -> None:
    """Say what ended the command, in red, and what to do about it."""
    console = _console(stderr=True)
    console.print(f"[bold red]error:[/bold red] {escape(message)}")
    if hint:
        console.print(escape(hint))


def interrupted(message: str) -> None:
    """Say that somebody ended the command, which is no error, and how to go on."""
    _console(stderr=True).print("[yellow]interrupted[/yellow]" + (f": {escape(message)}" if message else ""))
