"""trackio: a database in the run's folder, or the Space or server that the user's variables name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from facerec_cli.files import make_folder
from facerec_cli.training.loggers.logger import PROJECT, Ending, FollowedRun, RunLogger

_ELSEWHERE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")


class TrackioLogger(RunLogger):
    """One run of trackio, in the project of ``TRACKIO_PROJECT``."""

    package: ClassVar[str] = "trackio"

    def __init__(self) -> None:
        self._run: Any = None

    def begin(self, run: FollowedRun) -> str:
        """See :class:`RunLogger`."""
        if not os.environ.get("TRACKIO_DIR"):
            os.environ["TRACKIO_DIR"] = str(make_folder(run.folder / "trackio").resolve())
        import trackio
        import trackio.run
        import trackio.utils

        for module in (trackio, trackio.run, trackio.utils):
            vars(module)["print"] = _unheard  # stdout is for results
        if not any(os.environ.get(variable) for variable in _ELSEWHERE):
            # It asks huggingface.co who is logged in, for each run, also for one that stays here.
            vars(trackio.run)["_get_default_namespace"] = _nobody
        self._run = trackio.init(
            project=os.environ.get("TRACKIO_PROJECT") or PROJECT,
            name=run.id or run.name,
            resume="allow" if run.id else "never",
            config=dict(run.settings),
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        return str(self._run.name)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See :class:`RunLogger`."""
        self._run.log(dict(values), step=step)

    def end(self, how: Ending) -> None:
        """See :class:`RunLogger`."""
        self._run.finish()


def _unheard(*_: object, **__: object) -> None: ...


def _nobody() -> None: ...
