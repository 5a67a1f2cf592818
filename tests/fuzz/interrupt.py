"""``facerec`` that ends itself at the k-th time that it changes a name in a folder or flushes a file.

``python -m tests.fuzz.interrupt K SIGNAL before|after ARGS...``; with K = 0 it runs to the end and writes the
number of such moments to the file that FUZZ_MOMENTS names.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOMENTS = ("fsync", "replace", "rename", "unlink", "remove", "mkdir", "rmdir", "link", "symlink")


def main() -> None:
    """Wrap the moments, then run the command."""
    last, number, side = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    sys.argv = ["facerec", *sys.argv[4:]]
    process, seen = os.getpid(), 0

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            nonlocal seen
            if os.getpid() != process:
                return function(*arguments, **named)
            seen += 1
            now = seen == last
            if now and side == "before":
                _end(number)
            result = function(*arguments, **named)
            if now and side == "after":
                _end(number)
            return result

        return run

    for name in MOMENTS:
        setattr(os, name, wrapped(getattr(os, name)))
    from facerec_cli.cli import main as facerec

    try:
        facerec()
    finally:
        if last == 0:
            Path(os.environ["FUZZ_MOMENTS"]).write_text(str(seen))


def _end(number: int) -> None:
    os.kill(os.getpid(), number)
    if number == signal.SIGKILL:
        time.sleep(60)  # it is on its way


if __name__ == "__main__":
    main()
