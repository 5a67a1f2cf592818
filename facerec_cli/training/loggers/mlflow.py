"""MLflow: a database in the run's folder, or the server of ``MLFLOW_TRACKING_URI``."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from facerec_cli.errors import MissingExtraError
from facerec_cli.files import make_folder
from facerec_cli.training.loggers.logger import PROJECT, Ending, FollowedRun, RunLogger

# Of one call to a server, where the user says nothing; by itself MLflow tries for more than ten minutes.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
_ALLOWED = re.compile(r"[^\w .:/-]")  # what a name may not hold
_STATUS: dict[Ending, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_AT_ONCE = 100  # parameters in a call, as many as MLflow takes


class MlflowLogger(RunLogger):
    """One run of MLflow, in the experiment of ``MLFLOW_EXPERIMENT_NAME``."""

    package: ClassVar[str] = "mlflow"

    def __init__(self) -> None:
        self._client: Any = None
        self._id = ""

    def begin(self, run: FollowedRun) -> str:
        """See :class:`RunLogger`."""
        for variable, value in _PATIENCE.items():
            os.environ.setdefault(variable, value)
        for name in ("mlflow", "alembic"):  # of the tables that a new database gets
            logging.getLogger(name).setLevel(logging.ERROR)
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        place, artifacts = _place(run)
        self._client = MlflowClient(tracking_uri=place)
        if run.id:
            self._id = run.id
            self._client.update_run(self._id, status="RUNNING")
            return self._id
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        known = self._client.get_experiment_by_name(experiment)
        number = known.experiment_id if known else self._client.create_experiment(experiment, artifacts)
        self._id = str(self._client.create_run(number, run_name=run.name).info.run_id)
        parameters = [Param(_ALLOWED.sub("_", key), str(value)[:500]) for key, value in run.settings.items()]
        for start in range(0, len(parameters), _AT_ONCE):
            self._client.log_batch(self._id, params=parameters[start : start + _AT_ONCE])
        return self._id

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See :class:`RunLogger`; ``pairs/tar@0.001`` is ``pairs/tar_0.001`` there."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(_ALLOWED.sub("_", name), value, now, step) for name, value in values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def end(self, how: Ending) -> None:
        """See :class:`RunLogger`."""
        self._client.set_terminated(self._id, status=_STATUS[how])


def _place(run: FollowedRun) -> tuple[str, str | None]:
    """Where the run is logged, and where files of a new experiment go; None leaves that to a server."""
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return uri, None
    try:
        import sqlalchemy  # noqa: F401 - mlflow-skinny has no database without it
    except ImportError as fault:
        raise MissingExtraError("sqlalchemy", extra="mlflow", purpose="MLflow without a server") from fault
    folder = make_folder(run.folder / "mlflow").resolve()
    return f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()
