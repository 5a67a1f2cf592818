"""The ``facerec`` program: one thin module a command, each of them parse, one library call, render.

Nothing here imports more than typer and rich; ``program.py`` imports the command that is asked for.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from typing import Any

from facerec_cli.cli.program import build_app
from facerec_cli.errors import FacerecError, OutputError, ResourceError


def at_home(word: str) -> str:
    """A word with ``~`` spelled out where a shell leaves it: ``--data=~/x``, ``adaface:~/x``."""
    before = re.match(r"((--)?[\w.-]+=)?(\w+:)?(?=~/)", word)
    if before is None or os.path.lexists(word[before.end() :]):
        return word
    return before[0] + os.path.expanduser(word[before.end() :])  # noqa: PTH111 - where there is no home it stays


def main() -> None:
    """Run the program; the entry point of the console script."""
    from facerec_cli.cli.streams import lose_output, prepare_streams

    prepare_streams()
    words = sys.argv[1:] = [at_home(word) for word in sys.argv[1:]]
    if any(name.endswith("FACEREC_COMPLETE") for name in os.environ):  # a shell asks what may follow
        words = (os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or "").split()[1:]
    first = next((word for word in words if not word.startswith("-")), "")
    try:
        build_app([first])()
    except SystemExit as end:
        if end.code == ResourceError.exit_code:
            _leave(ResourceError.exit_code)
        raise
    except FacerecError as fault:  # of --version: a command ends its own faults
        if "--debug" in sys.argv:
            raise
        lose_output()
        sys.stderr.write(f"error: {fault}\n")
        sys.exit(fault.exit_code)
    except OSError as fault:  # of help: a command ends its own faults, unless --debug asks for the traceback
        if "--debug" in sys.argv:
            raise
        lose_output()
        sys.stderr.write(f"error: The help cannot be written to standard output: {fault.strerror}.\n")
        sys.exit(OutputError.exit_code)


def _leave(code: int) -> None:
    """End a program that lacks memory or threads, also where a thread of a library now waits for ever.

    Python would wait for that thread as long. The fault is on stderr by now, and files are whole or absent.
    """
    deadline = time.monotonic() + 5
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)


def __getattr__(name: str) -> Any:
    """``app``, the whole program with every command loaded, for documents and tests."""
    if name == "app":
        return build_app()
    raise AttributeError(name)
