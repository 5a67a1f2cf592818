"""What a run tells its caller while it works; the command line draws it, a notebook may collect it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from facerec_cli.progress import Progress
from facerec_cli.training.config import Recipe


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to happen.

    Attributes:
        recipe: Everything, decided.
        images: Photos.
        classes: People.
        parameters: Of the backbone.
        trained: Of those, not frozen.
        class_parameters: Of the loss, over all processes.
        steps: Optimizer steps of the whole run.
        steps_per_epoch: Optimizer steps of an epoch.
        device: In words.
        processes: How many share the batch.
        precision: float32, bfloat16 or float16.
        memory: Bytes per process by what they are for, an estimate.
        available: Bytes free on the device of a process, None where unknown.
        evaluation: Names of the evaluation sets and their number of pairs or searches.
        units: What those are, one and several, by the set's name.
        warnings: What is odd.
        start_step: Steps that were done before (a resumed run).
    """

    recipe: Recipe
    images: int
    classes: int
    parameters: int
    trained: int
    class_parameters: int
    steps: int
    steps_per_epoch: int
    device: str
    processes: int
    precision: str
    memory: dict[str, int]
    available: int | None
    evaluation: dict[str, int]
    warnings: tuple[str, ...] = ()
    start_step: int = 0
    units: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Logged:
    """Means since the last report.

    Attributes:
        epoch: 0-based.
        step: Steps done.
        lr: Learning rate of the last step.
        values: ``loss``, its terms, ``grad_norm``.
        images_per_second: Over all processes, data and all.
        seconds: Since the run (or its continuation) began.
        device_memory: Peak bytes on the GPU, None on a CPU.
    """

    epoch: int
    step: int
    lr: float
    values: dict[str, float]
    images_per_second: float
    seconds: float
    device_memory: int | None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Held-out pairs and searches, by ``SET/metric``.

    Attributes:
        epoch: 0-based.
        step: Steps done.
        metrics: What was measured.
        judge: The one of them that names the best checkpoint; nothing where no set is watched.
        best: Whether this is the best so far.
    """

    epoch: int
    step: int
    metrics: dict[str, float]
    judge: str
    best: bool


@dataclass(frozen=True, slots=True)
class Working:
    """How far something has come that takes a while and is no training step, such as an evaluation.

    Attributes:
        what: In words: ``evaluating``, ``opening the data``.
        done: Photos so far.
        total: Of so many; None where it is not known.
    """

    what: str
    done: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Stopping:
    """The run was told to stop, which it does after what is under way."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint is on disk."""

    path: Path
    step: int


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The loss was not finite; the run goes on from an earlier step with a lower learning rate."""

    step: int
    cause: str
    lr_scale: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        out: The run's folder.
        checkpoint: The best checkpoint, or the last where nothing was evaluated.
        steps: Steps done.
        best: Value of the metric that names the best checkpoint, None without evaluation.
        best_name: That metric, None without evaluation.
        first: Metrics before the first step.
        last: Metrics after the last.
        curve: PNG of loss and metrics, None without matplotlib.
        seconds: Wall time of this part of the run.
        broken: Photos that could not be read.
    """

    out: Path
    checkpoint: Path
    steps: int
    best: float | None
    best_name: str | None
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    curve: Path | None = None
    seconds: float = 0.0
    broken: int = 0


Event = Plan | Logged | Working | Evaluated | Saved | RolledBack | Stopping
Observer = Callable[[Event], None]


def unobserved(event: Event) -> None:
    """Observer that takes no note."""


def telling(observer: Observer, what: str) -> Progress:
    """Progress that tells ``observer`` of :class:`Working` on ``what``."""

    def progress(done: int, total: int | None = None) -> None:
        observer(Working(what, done, total))

    return progress


class Clock:
    """Seconds since it was made, and steps per second since it was read or restarted last."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.restart(0)

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return time.monotonic() - self._began

    def restart(self, step: int) -> None:
        """Count from ``step`` and now on."""
        self._since, self._step = time.monotonic(), step

    def steps_per_second(self, step: int) -> float:
        """Up to ``step`` and now; counts from there on."""
        since, before = self._since, self._step
        self.restart(step)
        return (step - before) / max(self._since - since, 1e-9)
