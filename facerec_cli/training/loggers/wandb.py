"""Weights & Biases: offline in the run's folder, or online for who has logged in."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import uuid4

from facerec_cli.errors import UsageError
from facerec_cli.files import make_folder
from facerec_cli.training.loggers.logger import PROJECT, Ending, FollowedRun, RunLogger

log = logging.getLogger("facerec")

_SECONDS = 20  # that it may take to begin, and for what is left at the end


class WandbLogger(RunLogger):
    """One run of wandb, in the project of ``WANDB_PROJECT``.

    What wandb collects by itself (host, user, git, code, packages, console, use of the machine) is not asked
    for: it gets the settings and the figures.
    """

    package: ClassVar[str] = "wandb"

    def __init__(self) -> None:
        self._run: Any = None

    def begin(self, run: FollowedRun) -> str:
        """See :class:`RunLogger`."""
        folder = make_folder(run.folder / "wandb")
        os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "cache"))  # where it keeps a log of its own
        os.environ.setdefault("WANDB_SILENT", "true")  # also of what is said before a run has settings
        import wandb

        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            save_code=False,
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_disable_stats=True,
            x_save_requirements=False,
            init_timeout=_SECONDS,
            finish_timeout=_SECONDS,
        )
        key = run.id or uuid4().hex[:8]
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=run.name,
            id=key,
            resume="allow" if run.id else None,
            dir=str(folder),
            config=dict(run.settings),
            mode=_mode(wandb, run),
            settings=settings,
        )
        return key

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See :class:`RunLogger`."""
        self._run.log(dict(values), step=step)

    def end(self, how: Ending) -> None:
        """See :class:`RunLogger`."""
        self._run.finish(exit_code=1 if how == "failed" else 0)


def _mode(wandb: Any, run: FollowedRun) -> Any:
    """``WANDB_MODE`` where the user has set it; else online for who has logged in, and offline for others."""
    wanted = os.environ.get("WANDB_MODE", "")
    if wanted and wanted != "online":
        return wanted
    logged_in = bool(wandb.login(prompt=False, verify=False))  # reads what `wandb login` wrote, asks nobody
    if wanted and not logged_in:
        raise UsageError(
            "WANDB_MODE asks for wandb online, and nobody has logged in.",
            hint="Run `wandb login`, or leave WANDB_MODE out: the run is then logged offline.",
        )
    if not logged_in:
        log.warning(
            "nobody has logged in to wandb, so the run is logged offline; to send it later: "
            "wandb login; wandb sync %s",
            run.folder / "wandb" / "wandb" / "offline-run-*",
        )
    return "online" if logged_in else "offline"
