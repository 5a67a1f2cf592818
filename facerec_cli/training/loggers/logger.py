"""What every logger does, and how the names of a recipe become loggers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from facerec_cli.errors import MissingExtraError
from facerec_cli.registry import LOGGERS, load
from facerec_cli.training.config import RunSettings

PROJECT = "facerec"  # of wandb and trackio, the experiment of MLflow, where the user's variables name none

Ending = Literal["finished", "stopped", "failed"]
"""How a run ended: with its last step, because somebody stopped it (it can go on), or with an error."""


@dataclass(frozen=True, slots=True)
class FollowedRun:
    """What a logger is told before the first step.

    Attributes:
        name: Of the run: that of its folder.
        folder: Of the run; a tool that stores on this machine has a folder of its name in it.
        settings: The recipe, every setting by its key (``optimizer.lr``), and facts of the run by a word
            (``photos``, ``parameters``, ``device``).
        step: Steps done; 0 at the start.
        id: What :meth:`RunLogger.begin` gave when the run began; "" for a new one.
    """

    name: str
    folder: Path
    settings: Mapping[str, Any]
    step: int
    id: str = ""


class RunLogger(Protocol):
    """One tool that follows a run; made without arguments. Subclasses inherit the defaults.

    All calls come from one thread, in the order in which things happened, and none comes twice for one step
    and kind. A call may wait and may raise what the tool raises: training does not notice, and a failed call
    is made again. Only :meth:`begin` holds up the start, where its error ends the run.

    Attributes:
        package: What has to be installed, as it is imported.
    """

    package: ClassVar[str]

    def begin(self, run: FollowedRun) -> str:
        """Begin to follow, or go on with what is known under ``run.id``.

        Returns:
            Under what the tool knows the run, for when it goes on; not empty.

        Raises:
            FacerecError: It cannot, for a reason that the user can mend.
        """
        ...

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Means over the steps up to ``step``."""
        ...

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """An evaluation after ``step`` steps, by ``SET/metric``; by default figures like any others."""
        self.log(step, metrics)

    def rewind(self, step: int) -> bool:
        """Forget what came after ``step``, as training goes back there; False where the tool cannot."""
        return False

    def end(self, how: Ending) -> None:
        """Write and send what is left."""
        ...


def logger_names(settings: RunSettings) -> tuple[str, ...]:
    """The loggers of a recipe, each once; ``tensorboard = true`` is the older way to name that one."""
    return tuple(dict.fromkeys([*settings.loggers, *(["tensorboard"] if settings.tensorboard else [])]))


def make_logger(name: str) -> RunLogger:
    """The logger ``name``; its tool is not imported yet.

    Raises:
        UsageError: There is no such logger.
        MissingExtraError: Its tool is not installed.
    """
    logger: RunLogger = load(LOGGERS, name, "logger")()
    if not _is_installed(logger.package):
        raise MissingExtraError(logger.package, extra=name, purpose=f"--logger {name}")
    return logger


def _is_installed(package: str) -> bool:
    if package in sys.modules:
        return sys.modules[package] is not None
    return find_spec(package) is not None
