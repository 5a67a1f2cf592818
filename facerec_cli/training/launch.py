"""``facerec train --gpus N``: start N processes on this machine, without asking for torchrun.

Knows no torch, so the parent starts at once and costs nothing. It passes signals on, ends all when one
fails, and returns the exit code of the one that failed first.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from types import FrameType
from typing import IO

from facerec_cli.errors import TrainingError

# The file by which the processes of one machine find each other. An address would have torch ask the name
# server whom 127.0.0.1 belongs to, and take a port that another program may have taken meanwhile.
MEETING = "FACEREC_MEETING"
_PATIENCE = 120.0  # seconds that the others may take to save after one has ended


def is_child() -> bool:
    """Whether this process was started by :func:`launch` or torchrun."""
    return "WORLD_SIZE" in os.environ


def restarts() -> int:
    """How often torchrun has started this process again after a failure."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def is_restarted() -> bool:
    """Whether torchrun has started this process again after a failure."""
    return restarts() > 0


def launch(arguments: Sequence[str], processes: int) -> int:
    """Run ``facerec ARGUMENTS`` in ``processes`` processes that know each other; returns the exit code.

    The first one speaks to the terminal. What the others say is shown only if one of them fails first.
    """
    meeting = tempfile.TemporaryDirectory(prefix="facerec-", ignore_cleanup_errors=True)
    shared = {MEETING: os.path.join(meeting.name, "processes"), "WORLD_SIZE": str(processes)}  # noqa: PTH118
    threads = max((os.cpu_count() or processes) // processes, 1)
    children: list[subprocess.Popen[bytes]] = []
    voices: list[IO[bytes]] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for rank in range(processes):
            voice: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
            voices.append(voice)
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            children.append(
                subprocess.Popen(
                    [sys.executable, "-m", "facerec_cli", *arguments],
                    env={"OMP_NUM_THREADS": str(threads), **os.environ, **shared, **own},
                    stdout=None if rank == 0 else voice,
                    stderr=None if rank == 0 else subprocess.STDOUT,
                    start_new_session=rank > 0,  # a Ctrl-C reaches them once, through us
                )
            )
        return _wait(children, voices)
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
        for number, handler in before.items():
            signal.signal(number, handler)
        for voice in voices:
            voice.close()
        meeting.cleanup()


def _let_end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=10)


def _wait(children: list[subprocess.Popen[bytes]], voices: list[IO[bytes]]) -> int:
    """Wait for all; the first failure ends the others."""
    failed: int | None = None
    deadline = float("inf")
    while True:
        codes = [child.poll() for child in children]
        if failed is None and any(codes):
            failed = next(rank for rank, code in enumerate(codes) if code)
            deadline = time.monotonic() + _PATIENCE
            _let_end(children[0])  # it may be about to say the same
            for child in children:
                if child.poll() is None:
                    child.send_signal(signal.SIGTERM)
        if None not in codes:
            break
        if time.monotonic() > deadline:
            for child in children:
                child.kill()
        time.sleep(0.1)
    if failed is None:
        return 0
    code, first = children[0].returncode, children[failed].returncode
    # A fault of the recipe is said by all alike; a lost connection is what the others say of one's own fault.
    if failed and (code != first or code == TrainingError.exit_code):
        voices[failed].seek(0)
        sys.stderr.write(voices[failed].read().decode(errors="replace"))
        if first < 0:
            sys.stderr.write(f"Process {failed} was ended from outside by signal {-first}.\n")
        code = first
    return 128 - code if code < 0 else code
