"""What all commands have in common: how much they say, and one place where their faults end."""

from __future__ import annotations

import errno
import functools
import inspect
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import typer

from facerec_cli.cli import console
from facerec_cli.cli.options import Debug, Quiet, Verbose
from facerec_cli.cli.signature import Signature
from facerec_cli.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    FacerecError,
    InputError,
    MissingExtraError,
    OutputError,
    UsageError,
    was_interrupt,
)
from facerec_cli.resources import resource_error

_SHOWN_NAME = 80  # characters of a name that is too long
_LONGEST_IMPORT = 30.0  # seconds
_asked = 0.0  # when the user first asked to end, where that had to be put off


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Make a function the body of a command, with the flags of its settings (see ``signature``).

    A parameter named ``json_output`` that is true turns an error into a JSON document on stdout too, unless
    the results are there already: stdout has one document.
    """

    def shared(*, quiet: Quiet = False, verbose: Verbose = False, debug: Debug = False) -> None: ...

    signature = Signature(function)

    @functools.wraps(function)
    def run(*, quiet: bool, verbose: bool, debug: bool, **typed: Any) -> None:
        console.configure(quiet=quiet, verbose=verbose or debug)
        _listen_to_signals()
        try:
            _refuse_flags_as_values(typed, signature.flags)
            function(**signature.arguments(typed))
        except typer.Exit:
            raise
        except typer.Abort:  # Ctrl-C, or the end of the input, at a question; typer would end with code 1
            unanswered = KeyboardInterrupt("interrupted before the question was answered")
            _end(unanswered, as_json=bool(typed.get("json_output")), debug=debug)
        except BaseException as fault:
            _end(fault, as_json=bool(typed.get("json_output")), debug=debug)

    parameters = [*signature.parameters, *Signature(shared).parameters]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    del run.__wrapped__  # or Typer would look past the shared flags
    return run


def require_torch(purpose: str) -> None:
    """Refuse what needs torch where it is not installed.

    Raises:
        MissingExtraError: With what to install.
    """
    if find_spec("torch") is None:
        raise MissingExtraError("torch", extra="train", purpose=purpose)


def _refuse_flags_as_values(arguments: Mapping[str, Any], flags: Mapping[str, str]) -> None:
    """Refuse ``-o --json``, which would write a file of that name; ``./--json`` does, if it is meant."""
    for name, value in arguments.items():
        if isinstance(value, str | Path) and re.fullmatch(r"--[a-z][a-z-]*", str(value)):
            raise UsageError(
                f"{value} stands where a value of {flags.get(name, name)} is asked for.",
                hint=f"Give the value first; a file of this name is ./{value}",
            )


def _listen_to_signals() -> None:
    """Have a kill from outside end like Ctrl-C: what is under way is left resumable and the code is 130."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell said to ignore it
        signal.signal(signal.SIGINT, _interrupt)
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, but not where it would be lost or break something: then try again soon.

    Signals are answered between any two lines, also of ``__del__``, which exceptions do not leave, and of an
    import. A library that is half imported says that it is broken, or is taken for one that is not there. An
    import that takes longer than any library is ended all the same.
    """
    global _asked
    if _is_deaf(frame):
        _asked = _asked or time.monotonic()
        if time.monotonic() - _asked < _LONGEST_IMPORT:
            again = threading.Timer(0.01, _send_to_main_thread, (number,))
            again.daemon = True
            again.start()
            return
    _asked = 0.0
    raise KeyboardInterrupt


def _is_deaf(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "__del__" or frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _send_to_main_thread(number: int) -> None:
    if hasattr(signal, "pthread_kill"):  # wakes it where it waits
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


def _too_long(fault: BaseException) -> InputError | None:
    """The error for a name that no disk holds, wherever it was first looked up; None for other faults."""
    if not isinstance(fault, OSError) or fault.errno != errno.ENAMETOOLONG:
        return None
    name = str(fault.filename or "")
    shown = name if len(name) <= _SHOWN_NAME else f"{name[:_SHOWN_NAME]}..."
    return InputError(f"{shown} is too long for the name of a file or folder.", hint="Give a shorter name.")


def _end(fault: BaseException, *, as_json: bool, debug: bool) -> NoReturn:
    """Report ``fault`` and leave with its exit code."""
    if isinstance(fault, SystemExit) or (
        debug and not isinstance(fault, KeyboardInterrupt | BrokenPipeError)
    ):
        raise fault
    if isinstance(fault, BrokenPipeError):  # `facerec models list | head` is not a fault
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0)
    if isinstance(fault, KeyboardInterrupt) or was_interrupt(fault):
        kind, hint, code = "Interrupted", "", EXIT_INTERRUPTED
        message = str(fault) if isinstance(fault, KeyboardInterrupt) and str(fault) else "interrupted"
        console.interrupted(message.removeprefix("interrupted").lstrip(":; "))
    else:
        if not isinstance(fault, FacerecError):
            fault = resource_error(fault) or _too_long(fault) or fault
        kind = type(fault).__name__
        if isinstance(fault, FacerecError):
            message, hint, code = fault.message, fault.hint, fault.exit_code
        else:
            message, code = f"{kind}: {fault}", EXIT_BUG
            hint = "This is a fault of facerec. Run again with --debug and report the traceback."
        console.fault(message, hint)
    if as_json and not console.answered():  # the results may say it all, as of some photos without a face
        error = {"kind": kind, "message": message, "hint": hint, "exit_code": code}
        with suppress(OSError, OutputError):  # where stdout itself is the fault
            console.result_json({"error": error})
    raise typer.Exit(code)
