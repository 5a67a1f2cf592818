"""Standard output and error made fit for whatever the shell has done to them."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


def prepare_streams() -> None:
    """Make stdout and stderr fit to print any name on, whatever the shell has set or closed.

    A closed descriptor would be given to the next file that is opened, and what a library prints would land
    in it. A character that the terminal lacks, and a byte of a name that is no text, are shown as an escape.
    Of a terminal of 0 columns, as some without a size say, nothing would be printed.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif stream.errors == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    for name in ("COLUMNS", "LINES"):
        size = os.environ.get(name, "1")
        if not (size.isascii() and size.isdecimal() and int(size)):
            del os.environ[name]
    for name, kind in (("stdout", _Pipe), ("stderr", _Errors)):
        plain: Any = getattr(sys, name)
        untouched = plain is getattr(sys, f"__{name}__")  # no other that a test has put there
        if untouched and os.name == "posix" and not plain.isatty():
            again = io.TextIOWrapper(
                io.BufferedWriter(kind(plain.fileno(), "wb", closefd=False)),
                encoding=plain.encoding,
                errors=plain.errors,
                line_buffering=plain.line_buffering,
                write_through=plain.write_through,
            )
            setattr(sys, name, again)


class _Errors(io.FileIO):
    """A standard error that may be full or left: what is said there is not worth the work or its code."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError:
            return len(data)


class _Pipe(io.FileIO):
    """A standard output whose reader may leave, as of ``facerec verify --help | head -1``: no fault of ours.

    What comes after that goes nowhere, and the program ends as it would have.
    """

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            lose_output()
            return len(data)


def lose_output() -> None:
    """Send what is still to be printed on stdout nowhere, also what Python flushes at its end."""
    try:
        if sys.stdout.fileno() != 1:
            return
    except (OSError, ValueError):  # not the program's own
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
