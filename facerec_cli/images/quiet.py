"""The terminal is kept free of what the C libraries below OpenCV write."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keep the C libraries below OpenCV from writing to stderr.

    libjpeg and libpng print a line for every slightly odd file straight to file descriptor 2, where it tears
    progress bars apart. Inside this block the descriptor leads nowhere, while Python's ``sys.stderr`` still
    reaches the terminal. Meant for a program, not for a library: descriptors belong to the whole process.
    """
    try:
        shown = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        shown = -1
    if shown != 2:  # already led elsewhere (tests, notebooks)
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    python_stderr = sys.stderr
    sys.stderr = open(terminal, "w", buffering=1, encoding=python_stderr.encoding, errors="backslashreplace")  # noqa: PTH123, SIM115
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        sys.stderr.close()
        sys.stderr = python_stderr
