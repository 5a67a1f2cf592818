"""Everything that the commands print: results on stdout, all the rest on stderr.

The library never prints. Commands are made with :func:`command`, which adds ``--quiet``, ``--verbose``
and ``--debug``, and turns every fault into one message and a documented exit code.
"""

from __future__ import annotations

import errno
import functools
import inspect
import io
import json
import logging
import os
import re
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from facerec_cli.cli.layout import broken, needed, one_below_the_other
from facerec_cli.cli.streams import lose_output
from facerec_cli.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    FacerecError,
    InputError,
    OutputError,
    UsageError,
    was_interrupt,
)
from facerec_cli.progress import Progress, Stages, silent_stages
from facerec_cli.resources import resource_error

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHOWN_NAME = 80  # characters of a name that is too long
_PIPE_WIDTH = 160  # a table in a pipe must not be cut at 80 columns

_quiet = False
_debug = False
_live: Console | None = None  # what draws a bar or a view, and so has to print everything else above it


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to :func:`_end`, as for every other result; rich would end with code 1."""
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
    except (
        UnicodeEncodeError
    ):  # a terminal that is not UTF-8, or a name that is not: JSON has escapes for both
        text = json.dumps(document, indent=2, allow_nan=False)
    with _writing():
        sys.stdout.write(text + "\n")


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
def progress_bar(description: str, *, unit: str = "photos") -> Iterator[Progress]:
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


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more about what is done.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]


def _refuse_flags_as_values(arguments: Mapping[str, Any]) -> None:
    """Refuse ``-o --json``, which would write a file of that name; ``./--json`` does, if it is meant."""
    for name, value in arguments.items():
        if isinstance(value, str | Path) and re.fullmatch(r"--[a-z][a-z-]*", str(value)):
            raise UsageError(
                f"{value} stands where a value of {name} is asked for.",
                hint=f"Give the value first; a file of this name is ./{value}",
            )


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Make a function the body of a command: the shared flags, and one place where faults end.

    A parameter named ``json_output`` that is true turns an error into a JSON document on stdout too.
    """

    @functools.wraps(function)
    def run(*, quiet: bool, verbose: bool, debug: bool, **arguments: Any) -> None:
        _configure(quiet=quiet, verbose=verbose, debug=debug)
        try:
            _refuse_flags_as_values(arguments)
            function(**arguments)
        except typer.Exit:
            raise
        except typer.Abort:  # Ctrl-C, or the end of the input, at a question; typer would end with code 1
            unanswered = KeyboardInterrupt("interrupted before the question was answered")
            _end(unanswered, as_json=bool(arguments.get("json_output")))
        except BaseException as fault:
            _end(fault, as_json=bool(arguments.get("json_output")))

    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in (("quiet", Quiet), ("verbose", Verbose), ("debug", Debug))
    ]
    own = inspect.signature(function, eval_str=True)
    parameters = [*own.parameters.values(), *shared]
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    del run.__wrapped__  # or Typer would look past the shared flags
    return run


def _configure(*, quiet: bool, verbose: bool, debug: bool) -> None:
    global _quiet, _debug
    _quiet, _debug = quiet, debug
    logger = logging.getLogger("facerec")
    logger.setLevel(logging.DEBUG if verbose or debug else logging.WARNING)
    logger.handlers = [_StderrHandler()]
    logger.propagate = False
    # A kill from outside ends like Ctrl-C: what is under way is left resumable and the code is 130.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell said to ignore it
        signal.signal(signal.SIGINT, _interrupt)
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, but not where Python would only print it and go on: then try again soon.

    Signals are answered between any two lines, also of ``__del__`` and of the weak reference's callback that
    ends every import, and exceptions do not leave those.
    """
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or (code.co_name == "cb" and "importlib" in code.co_filename):
            again = threading.Timer(0.01, _send_to_main_thread, (number,))
            again.daemon = True
            again.start()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def _send_to_main_thread(number: int) -> None:
    if hasattr(signal, "pthread_kill"):  # wakes it where it waits
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


class _StderrHandler(logging.Handler):
    """The library's log on stderr: warnings always, more with ``--verbose``."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            warn(text)
        else:
            note(text)


def _too_long(fault: BaseException) -> InputError | None:
    """The error for a name that no disk holds, wherever it was first looked up; None for other faults."""
    if not isinstance(fault, OSError) or fault.errno != errno.ENAMETOOLONG:
        return None
    name = str(fault.filename or "")
    shown = name if len(name) <= _SHOWN_NAME else f"{name[:_SHOWN_NAME]}..."
    return InputError(f"{shown} is too long for the name of a file or folder.", hint="Give a shorter name.")


def _end(fault: BaseException, *, as_json: bool) -> NoReturn:
    """Report ``fault`` and leave with its exit code."""
    if _debug and not isinstance(fault, KeyboardInterrupt | BrokenPipeError):
        raise fault
    if isinstance(fault, BrokenPipeError):  # `facerec models list | head` is not a fault
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0)
    if isinstance(fault, SystemExit):
        raise fault
    if not isinstance(fault, KeyboardInterrupt) and was_interrupt(fault):
        fault = KeyboardInterrupt()
    if not isinstance(fault, FacerecError):
        fault = resource_error(fault) or _too_long(fault) or fault
    if isinstance(fault, KeyboardInterrupt):
        kind, message, hint, code = "Interrupted", str(fault) or "interrupted", "", EXIT_INTERRUPTED
    elif isinstance(fault, FacerecError):
        kind, message, hint = type(fault).__name__, fault.message, fault.hint
        code = fault.exit_code
    else:
        kind, message, code = type(fault).__name__, f"{type(fault).__name__}: {fault}", EXIT_BUG
        hint = "This is a fault of facerec. Run again with --debug and report the traceback."
    console = _console(stderr=True)
    if isinstance(fault, KeyboardInterrupt):  # what somebody wanted is not an error
        told = message.removeprefix("interrupted").lstrip(":; ")
        console.print("[yellow]interrupted[/yellow]" + (f": {escape(told)}" if told else ""))
    else:
        console.print(f"[bold red]error:[/bold red] {escape(message)}")
    if hint:
        console.print(escape(hint))
    if as_json:
        error = {"kind": kind, "message": message, "hint": hint, "exit_code": code}
        with suppress(OSError, OutputError):  # where stdout itself is the fault
            result_json({"error": error})
    raise typer.Exit(code)
