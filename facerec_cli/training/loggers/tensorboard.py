"""TensorBoard: event files in the run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from facerec_cli.training.loggers.logger import Ending, FollowedRun, RunLogger


class TensorBoardLogger(RunLogger):
    """Writes below ``tensorboard/`` of the run; ``tensorboard --logdir RUN`` shows it."""

    package: ClassVar[str] = "tensorboard"

    def __init__(self) -> None:
        self._folder = ""
        self._writer: Any = None

    def begin(self, run: FollowedRun) -> str:
        """See :class:`RunLogger`."""
        self._folder = str(run.folder / "tensorboard")
        self._open(run.step + 1 if run.id else 0)
        return "tensorboard"

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See :class:`RunLogger`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def rewind(self, step: int) -> bool:
        """See :class:`RunLogger`."""
        self._writer.close()
        self._open(step + 1)
        return True

    def end(self, how: Ending) -> None:
        """See :class:`RunLogger`."""
        self._writer.close()

    def _open(self, first: int) -> None:
        """Go on in a new file, which has TensorBoard drop what older ones hold from the step ``first`` on."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(self._folder, purge_step=first)
