"""The folder of a run: made once, never one that holds another run."""

from __future__ import annotations

from pathlib import Path

from facerec_cli.errors import UsageError
from facerec_cli.training.devices import World
from facerec_cli.training.records import RECIPE
from facerec_cli.training.state import LAST


def open_folder(out: str, world: World, *, resume: bool, force: bool) -> Path:
    """Make the folder, or take the one that is there where the user says so.

    Args:
        out: As the user wrote it.
        world: The processes; the first makes the folder.
        resume: Go on with the run that it holds.
        force: Write over the run that it holds.

    Raises:
        UsageError: It is not named, holds a run, is a file, or cannot be made.
    """
    if not out:
        raise UsageError("There is no folder to write to.", hint="Give --out runs/NAME.")
    folder = Path(out)
    taken = (folder / RECIPE).exists() or (folder / LAST).exists()
    if taken and not resume and not force:
        raise UsageError(
            f"{out} holds a run already.",
            hint="Go on with --resume, write over it with --force, or choose another --out.",
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{out} is a file.", hint="Choose another --out.")
    world.barrier()  # all have looked before one writes
    if world.first:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise UsageError(
                f"{out} cannot be made: {fault.strerror}.", hint="Choose another --out."
            ) from fault
        if force and not resume:
            for old in [*folder.glob("*.pt"), *folder.glob("*.jsonl")]:
                old.unlink()
    world.barrier()
    return folder
