"""The folder of a run: made once, one run at a time; and what it holds beside the checkpoints.

``metrics.jsonl`` holds nothing that depends on the machine's speed, so an interrupted and resumed run writes
the same file as one that was left alone; speeds are in ``timing.jsonl``. ``recipe.toml`` is everything that
was decided, ``curve.png`` loss and metrics over the steps.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import tomli_w

from facerec_cli.data.formats.recognize import detect
from facerec_cli.errors import UsageError
from facerec_cli.files import atomic_write, output_error, write_file, writing
from facerec_cli.locks import exclusive
from facerec_cli.settings import to_tables
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import World
from facerec_cli.training.metric_names import is_shown
from facerec_cli.untrusted import parse_json

logger = logging.getLogger("facerec")

LAST, BEST = "last.pt", "best.pt"
RECIPE, METRICS, TIMING, CURVE = "recipe.toml", "metrics.jsonl", "timing.jsonl", "curve.png"
LOGGERS_FOLDER = "loggers"  # what each logger has got
_LOCK = ".lock"
_REPLACED = ".replaced"  # is there from --overwrite until the new run begins; restarted processes look
_ELSEWHERE = "Choose another --out."
_WAIT = 10.0  # seconds for the lock; the readers of a killed process hold it until they notice
_WAIT_RESTARTED = 90.0  # after a kill for certain, and nobody waits at a terminal


@contextmanager
def open_folder(out: str, world: World, *, resume: bool, force: bool) -> Iterator[Path]:
    """Make the folder, or take the one that is there where the user says so, and keep other runs out of it.

    Args:
        out: As the user wrote it.
        world: The processes; the first makes the folder.
        resume: Go on with the run that it holds.
        force: Write over the run that it holds, once the new one begins: see :meth:`RunFolder.clear`.

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
    patience = _WAIT_RESTARTED if world.restarted else _WAIT
    with _left_as_found(folder), _locked(folder, patience) if world.first else nullcontext():
        if world.first and not world.restarted:
            (folder / _REPLACED).unlink(missing_ok=True)
            if taken and force:
                write_file(folder / _REPLACED, b"")
        world.barrier()
        yield folder


def check_folder(recipe: Recipe, *, resume: bool, force: bool) -> None:
    """Refuse a folder that a run must not write to: among its photos, or over the network it starts from.

    Raises:
        UsageError: It is one, or is to be both gone on with and written over.
    """
    if resume and force:
        raise UsageError("A run is either gone on with or written over.", hint="Leave one of them out.")
    if not recipe.run.out or resume:
        return
    out = Path(recipe.run.out).resolve()
    for spec in (*recipe.data.path, *recipe.data.hard):
        place = Path(spec)
        if place.is_dir() and out.is_relative_to(place.resolve()) and detect(spec) == "folder":
            raise UsageError(f"--out {recipe.run.out} is among the photos of {spec}.", hint=_ELSEWHERE)
    for flag, name in (("--init", recipe.backbone.init), ("--teacher", recipe.backbone.teacher)):
        read = [place for place in (Path(name), Path(name.rpartition(":")[2])) if name and place.exists()]
        if force and any(place.resolve().is_relative_to(out) for place in read):
            raise UsageError(f"{flag} {name} is in the folder that is written over.", hint=_ELSEWHERE)


def goes_on(out: Path, *, resume: bool, restarted: bool) -> bool:
    """Whether a run goes on from the checkpoint in its folder.

    Args:
        out: The folder.
        resume: The user wants it.
        restarted: torchrun has started the processes again. A checkpoint may then still be that of the run
            that was to be written over.
    """
    begun = not (out / _REPLACED).exists()
    return (resume or (restarted and begun)) and (out / LAST).exists()


@contextmanager
def _left_as_found(folder: Path) -> Iterator[None]:
    """Remove the folders that were not there before, if nothing was written in them."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    finally:
        with suppress(OSError):  # what holds anything stays, another run's lock too
            for path in made:
                path.rmdir()


@contextmanager
def _locked(folder: Path, patience: float) -> Iterator[None]:
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


class RunFolder:
    """The files of one run beside its checkpoints; nothing is made before :meth:`begin`.

    Args:
        path: The folder.
        writes: Whether this process writes; of several only the first does.

    Attributes:
        last: Checkpoint that the run can go on from.
        best: Checkpoint of the best backbone so far.
    """

    def __init__(self, path: Path, *, writes: bool) -> None:
        self.path, self.writes = path, writes
        self.last, self.best = path / LAST, path / BEST

    def clear(self) -> None:
        """Remove what the run before has left, now that nothing can stand in the way of the new one."""
        if self.writes:
            patterns = "*.pt", "*.jsonl", f"{LOGGERS_FOLDER}/*.json", _REPLACED
            for old in [path for pattern in patterns for path in self.path.glob(pattern)]:
                with writing(old):
                    old.unlink()

    def begin(self, recipe: Recipe, offset: int) -> None:
        """Write the recipe, and cut what an interrupted run wrote after its last checkpoint.

        Args:
            recipe: Everything decided.
            offset: Bytes of the metrics that belong to the steps done.

        Raises:
            OutputError: The folder cannot be written.
        """
        if not self.writes:
            return
        write_file(self.path / RECIPE, tomli_w.dumps(to_tables(recipe)).encode())
        with writing(self.path / METRICS), (self.path / METRICS).open("ab") as file:
            file.truncate(min(offset, file.tell()))  # cutting beyond the end would append zeros

    def metrics(self, record: dict[str, Any]) -> int:
        """Append one record; returns the length of the file."""
        return self._append(METRICS, record) if self.writes else 0

    def timing(self, record: dict[str, Any]) -> None:
        """Append one record of speeds."""
        if self.writes:
            self._append(TIMING, record)

    def _append(self, name: str, record: dict[str, Any]) -> int:
        path = self.path / name
        with writing(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            return file.tell()


def read_metrics(out: Path) -> list[dict[str, Any]]:
    """All records of a run."""
    path = out / METRICS
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        with suppress(ValueError):  # a line that a killed run half wrote, or a damaged one
            records.append(parse_json(line))
    return [record for record in records if isinstance(record, dict)]


def draw_curve(out: Path) -> Path | None:
    """Draw loss and metrics of the evaluation sets over the steps; None where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        logger.warning("no curve is drawn: matplotlib is not installed (pip install 'facerec-cli[report]')")
        return None
    records = read_metrics(out)
    steps = [r for r in records if "loss" in r]
    checks = [r for r in records if "loss" not in r]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    left = figure.subplots()
    left.plot([r["step"] for r in steps], [r["loss"] for r in steps], color="tab:blue", label="loss")
    left.set_xlabel("step")
    left.set_ylabel("loss", color="tab:blue")
    names = [key for key in (checks[-1] if checks else {}) if is_shown(key)]
    if names:
        right = left.twinx()
        for name in names:
            measured = [r for r in checks if name in r]
            steps_of, values = [r["step"] for r in measured], [r[name] for r in measured]
            right.plot(steps_of, values, "o--", markersize=3, label=name)
        right.set_ylim(0, 1.02)
        right.legend(loc="center right", fontsize=8)
    left.set_title(out.name)
    left.grid(alpha=0.3)
    path = out / CURVE
    with atomic_write(path) as stream:
        figure.savefig(stream, dpi=120, format="png")
    return path
