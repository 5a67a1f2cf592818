"""MLflow: one run in a database of the run's folder, or on the user's server."""

from __future__ import annotations

import importlib.util
import sqlite3
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from facerec_cli.training.loggers.logger import FollowedRun
from facerec_cli.training.loggers.mlflow import MlflowLogger

INSTALLED = all(importlib.util.find_spec(name) for name in ("mlflow", "sqlalchemy", "alembic"))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What a client of MLflow is asked for; no MLflow is needed."""
    made: list[tuple[Any, ...]] = []

    class Client:
        def __init__(self, tracking_uri: str) -> None:
            made.append(("client", tracking_uri))

        def __getattr__(self, name: str) -> Any:
            def call(*given: Any, **named: Any) -> Any:
                made.append((name, *given, *named.values()))
                if name == "get_experiment_by_name":
                    return None
                return SimpleNamespace(info=SimpleNamespace(run_id="run 7"))

            return call

    entities = {"Param": lambda *given: given, "Metric": lambda name, value, now, step: (name, value, step)}
    modules = {"mlflow": {}, "mlflow.entities": entities, "mlflow.tracking": {"MlflowClient": Client}}
    for name, members in modules.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "sqlalchemy", ModuleType("sqlalchemy"))
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.setenv(variable, "1")
    return made


def test_a_run_stays_in_its_folder(calls: list[tuple[Any, ...]], tmp_path: Path) -> None:
    logger = MlflowLogger()
    assert logger.begin(FollowedRun("mine", tmp_path, {"loss.name": "npt"}, 0)) == "run 7"
    assert calls[0] == ("client", f"sqlite:///{tmp_path.resolve()}/mlflow/mlflow.db")
    made = next(call for call in calls if call[0] == "create_experiment")
    assert made[1:] == ("facerec", (tmp_path.resolve() / "mlflow" / "artifacts").as_uri())
    assert ("log_batch", "run 7", [("loss.name", "npt")]) in calls
    logger.evaluated(4, {"pairs/tar@0.001": 0.5})
    assert calls[-1] == ("log_batch", "run 7", [("pairs/tar_0.001", 0.5, 4)])
    logger.end("stopped")
    assert calls[-1] == ("set_terminated", "run 7", "KILLED")
    calls.clear()
    assert MlflowLogger().begin(FollowedRun("mine", tmp_path, {}, 4, "run 7")) == "run 7"
    assert [call[0] for call in calls] == ["client", "update_run"]  # neither a new run nor its settings again


def test_a_server_of_the_users_is_taken(
    calls: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "faces")
    MlflowLogger().begin(FollowedRun("mine", tmp_path, {}, 0))
    assert calls[0] == ("client", "http://mlflow.example:5000")
    assert ("create_experiment", "faces", None) in calls and not list(tmp_path.iterdir())


@pytest.mark.skipif(not INSTALLED, reason="needs MLflow: pip install 'facerec-cli[mlflow]'")
def test_the_real_one_keeps_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    key = ""
    for step in (0, 2):
        logger = MlflowLogger()
        key = logger.begin(FollowedRun("mine", tmp_path, {"loss.name": "npt"}, step, key))
        logger.log(step + 2, {"loss": 1.5, "pairs/tar@0.001": 0.5})
        logger.end("finished")
    with sqlite3.connect(tmp_path / "mlflow" / "mlflow.db") as database:
        rows = database.execute("select step, value from metrics where key = 'loss' order by step").fetchall()
        runs = database.execute("select name, status from runs").fetchall()
    assert rows == [(2, 1.5), (4, 1.5)] and runs == [("mine", "FINISHED")]
