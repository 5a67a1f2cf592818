"""The folder of a run: made once, never one that holds another run, and one run at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from facerec_cli.errors import UsageError
from facerec_cli.files import output_error
from facerec_cli.locks import exclusive
from facerec_cli.training.devices import World
from facerec_cli.training.records import RECIPE
from facerec_cli.training.state import LAST

_LOCK = ".lock"
_PATIENCE = 10.0  # seconds; the readers of a killed process hold its lock until they notice
_PATIENCE_RESTARTED = 90.0  # after a kill for certain, and nobody waits at a terminal


@contextmanager
def open_folder(out: str, world: World, *, resume: bool, force: bool) -> Iterator[Path]:
    """Make the folder, or take the one that is there where the user says so, and keep other runs out of it.

    Args:
        out: As the user wrote it.
        world: The processes; the first makes the folder.
        resume: Go on with the run that it holds.
        force: Write over the run that it holds.

    Raises:
        UsageError: It is not named, holds a run, is a file, or another run is at work in it.
        OutputError: It cannot be made or written.
    """
    if not out:
        raise UsageError("There is no folder to write to.", hint="Give --out runs/NAME.")
    folder = Path(out)
    taken = (folder / RECIPE).exists() or (folder / LAST).exists()
    if taken and not resume and not force:
        raise UsageError(
            f"{out} holds a run already.",
            hint="Go on with --resume, write over it with --overwrite, or choose another --out.",
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{out} is a file.", hint="Choose another --out.")
    world.barrier()  # all have looked before one writes
    patience = _PATIENCE_RESTARTED if world.restarted else _PATIENCE
    with _alone(folder, patience) if world.first else nullcontext():
        if world.first and force and not resume:
            for old in [*folder.glob("*.pt"), *folder.glob("*.jsonl")]:
                old.unlink()
        world.barrier()
        yield folder


@contextmanager
def _alone(folder: Path, patience: float) -> Iterator[None]:
    """Make ``folder`` and hold its lock, which the system takes back however this process ends."""
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(folder / _LOCK, patience=patience))
        except BlockingIOError as fault:
            raise UsageError(
                f"Another process is training in {folder}.", hint="Wait for it, or choose another --out."
            ) from fault
        except OSError as fault:
            raise output_error(folder, fault, hint="Choose another --out.") from fault
        yield
