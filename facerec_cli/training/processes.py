"""``facerec train --gpus N``: N processes on this machine, and how Ctrl-C and SIGTERM end a run.

The parent knows no torch, so it starts at once and costs nothing. It passes signals on, ends all processes
when one fails, and returns the exit code of the one that failed first.

``torch.distributed.run`` may start the processes just as well, on clusters, and restarts them
(:func:`is_restarted`). It does not take the place of :func:`launch`, as tried with PyTorch 2.14:

* It ends the other processes the moment it sees that one has failed. The first of them, which speaks to the
  terminal, is killed before or after it has said the same, so a fault of the recipe is told by nobody or
  twice. ``test_the_process_that_failed_first_is_heard`` holds that it is told once.
* Told to stop, it drops the exit codes of the processes. Ours tells a run that is saved (130, as
  ``test_sigterm_of_the_parent_saves_in_all_processes`` holds) from one that could not be, as on a full disk.
* After 30 seconds it kills what has not stopped; an evaluation is finished and a checkpoint written first.
* It asks the name server for this machine's address, also where it is given one; ``tests/test_privacy.py``
  allows no look-up.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import IO, Annotated, Any

from facerec_cli.errors import TrainingError
from facerec_cli.option import Option
from facerec_cli.settings import check
from facerec_cli.training import slurm
from facerec_cli.training.data_settings import MACHINE

# Variable with the file by which the processes of one machine find each other. With an address torch would
# ask the name server whom 127.0.0.1 belongs to, and take a port that another program may have meanwhile.
MEETING = "FACEREC_MEETING"
_ENDING = 120.0  # seconds that the others may take to end after one has failed
_SPEAKING = 10.0  # seconds that the first one may take to tell its own fault after another has failed
_SAME_SIGNAL = 10.0  # seconds in which a second Ctrl-C is the first once more, as torchrun passes it on
_answered = [signal.SIGINT, signal.SIGTERM]


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """How many processes a run has on this machine.

    Raises:
        UsageError: A number is below 1.
    """

    gpus: Annotated[int | None, Option("One process on each of so many GPUs.", panel=MACHINE, ge=1)] = None
    processes: Annotated[int | None, Option("So many processes (gloo on a CPU).", panel=MACHINE, ge=1)] = None

    def __post_init__(self) -> None:
        check(self)

    def settings(self) -> dict[str, Any]:
        """What of the recipe follows from them, unless it is said."""
        return {"run.device": "cuda"} if self.gpus else {}

    def to_launch(self) -> int:
        """How many processes this one has to start; 0 where it does the work itself."""
        wanted = self.gpus or self.processes or 1
        return wanted if wanted > 1 and not is_child() else 0


def is_first() -> bool:
    """Whether this process is the one that speaks to the terminal."""
    slurm.adopt()
    return os.environ.get("RANK", "0") == "0"


def is_child() -> bool:
    """Whether this process was started by :func:`launch`, torchrun or srun."""
    slurm.adopt()
    return "WORLD_SIZE" in os.environ


def restarts() -> int:
    """How often torchrun has started this process again after a failure."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def is_restarted() -> bool:
    """Whether torchrun or Slurm has started this process again after a failure."""
    slurm.adopt()
    return restarts() > 0 or slurm.requeued()


def launch(arguments: Sequence[str], processes: int) -> int:
    """Run ``facerec ARGUMENTS`` in ``processes`` processes that know each other; returns the exit code.

    The first one speaks to the terminal. What the others say is shown only if one of them fails first.
    """
    from facerec_cli.runtime import usable_cores

    meeting = tempfile.TemporaryDirectory(prefix="facerec-", ignore_cleanup_errors=True)
    shared = {MEETING: os.path.join(meeting.name, "processes"), "WORLD_SIZE": str(processes)}  # noqa: PTH118
    threads = max(usable_cores() // processes, 1)
    children: list[subprocess.Popen[bytes]] = []
    outputs: list[IO[bytes]] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for rank in range(processes):
            output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
            outputs.append(output)
            numbers = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            children.append(
                subprocess.Popen(
                    [sys.executable, "-m", "facerec_cli", *arguments],
                    env={"OMP_NUM_THREADS": str(threads), **os.environ, **shared, **numbers},
                    stdout=None if rank == 0 else output,
                    stderr=None if rank == 0 else subprocess.STDOUT,
                    start_new_session=rank > 0,  # a Ctrl-C reaches them once, through us
                )
            )
        return _wait(children, outputs)
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
        for number, handler in before.items():
            signal.signal(number, handler)
        for output in outputs:
            output.close()
        meeting.cleanup()


def _wait(children: list[subprocess.Popen[bytes]], outputs: list[IO[bytes]]) -> int:
    """Wait for all; the first failure ends the others."""
    failed: int | None = None
    deadline = float("inf")
    while True:
        codes = [child.poll() for child in children]
        if failed is None and any(codes):
            failed = next(rank for rank, code in enumerate(codes) if code)
            deadline = time.monotonic() + _ENDING
            with contextlib.suppress(subprocess.TimeoutExpired):
                children[0].wait(timeout=_SPEAKING)  # it may be about to say the same
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
    # All processes tell a fault of the recipe alike, and the first one's message is on the terminal already.
    # Of another one's fault it tells only that it has lost the connection (TrainingError).
    if failed and (code != first or code == TrainingError.exit_code):
        outputs[failed].seek(0)
        sys.stderr.write(outputs[failed].read().decode(errors="replace"))
        if first < 0:
            sys.stderr.write(f"Process {failed} was ended from outside by signal {-first}.\n")
        code = first
    return 128 - code if code < 0 else code


def leave_interrupts_to_parent() -> None:
    """Let this process ignore Ctrl-C, which a terminal sends to children too; their parent ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if signal.SIGINT in _answered:
        _answered.remove(signal.SIGINT)


class Interruption:
    """Ctrl-C and SIGTERM as a request that the loop grants after its step, not in the middle of one.

    While entered, a first signal sets :attr:`requested`; a second Ctrl-C, later, interrupts at once.

    Args:
        tell: Is called at the first signal, between any two lines: it must not print.
    """

    def __init__(self, tell: Callable[[], None] = lambda: None) -> None:
        self.requested = False
        self._tell = tell
        self._since = 0.0
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
            for number in _answered:
                self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT and time.monotonic() - self._since > _SAME_SIGNAL:
            raise KeyboardInterrupt("interrupted again; the last checkpoint is kept")
        if not self.requested:
            self.requested, self._since = True, time.monotonic()
            self._tell()
