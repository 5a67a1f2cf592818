"""Work in a process of its own: a run that can be killed, a command of facerec.

Processes are forked where that is possible, so that PyTorch need not be imported again in each. CUDA does not
survive a fork: who forks must not have used it, which is why these processes use it themselves.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from facerec_cli.errors import FacerecError
from gpu_kit.report import told

CONTEXT: Any = multiprocessing.get_context(
    "fork" if "fork" in multiprocessing.get_all_start_methods() else None
)


def run_alone(work: Callable[..., object], *arguments: object, notes: Path, seconds: float) -> None:
    """Call ``work(*arguments)`` in a process and wait for it.

    Args:
        work: A function at the top level of a module.
        *arguments: What it is given.
        notes: A file for what goes wrong there.
        seconds: It is ended after so long.

    Raises:
        RuntimeError: It failed or took too long.
    """
    process = start(work, *arguments, notes=notes)
    process.join(max(seconds, 1.0))
    if process.is_alive():
        process.kill()
        process.join()
        raise RuntimeError(f"{work.__name__} was not done after {seconds:.0f} s")
    if process.exitcode:
        reason = notes.read_text(encoding="utf-8") if notes.exists() else f"exit code {process.exitcode}"
        raise RuntimeError(f"{work.__name__}: {reason}")


def start(work: Callable[..., object], *arguments: object, notes: Path) -> Any:
    """Begin ``work(*arguments)`` in a process of its own."""
    notes.unlink(missing_ok=True)
    process = CONTEXT.Process(target=_noting, args=(work, arguments, notes))
    process.start()
    return process


def _noting(work: Callable[..., object], arguments: Sequence[object], notes: Path) -> None:
    try:
        work(*arguments)
    except Exception as fault:
        notes.write_text(told(fault), encoding="utf-8")
        sys.exit(1)


def kill_when(process: Any, path: Path, seconds: float) -> None:
    """Kill a process, without a warning to it, a moment after ``path`` has appeared.

    Raises:
        RuntimeError: It was over before, or the file did not appear in time.
    """
    deadline = time.monotonic() + seconds
    while not path.exists() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    appeared = path.exists()
    time.sleep(0.05)  # into the steps that follow
    process.kill()
    process.join()
    if not appeared or process.exitcode == 0:
        raise RuntimeError(
            "the run was over before it could be killed" if appeared else f"no {path.name} appeared"
        )


def facerec(arguments: Sequence[str], output: Path) -> None:
    """The command ``facerec ARGUMENTS`` in this process; what it prints as its result goes to ``output``.

    Raises:
        FacerecError: It ended with another exit code than 0; the message is what it said.
    """
    from facerec_cli.cli import main

    before, said = sys.argv, output.with_suffix(".said")
    sys.argv = ["facerec", *arguments]
    try:
        with _redirected(1, output), _redirected(2, said):
            main()
    except SystemExit as end:
        if end.code:
            words = " ".join(said.read_text(encoding="utf-8", errors="replace").split())
            raise FacerecError(f"facerec {arguments[0]} ended with {end.code}: {words[-400:]}") from None
    finally:
        sys.argv = before


@contextlib.contextmanager
def _redirected(number: int, path: Path) -> Iterator[None]:
    """Send what is written to standard output (1) or standard error (2) to a file."""
    streams = {1: sys.stdout, 2: sys.stderr}
    kept = os.dup(number)
    with path.open("wb") as file:
        os.dup2(file.fileno(), number)
        try:
            yield
        finally:
            streams[number].flush()
            os.dup2(kept, number)
            os.close(kept)
