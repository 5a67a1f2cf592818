"""trackio: one run in a database of the run's folder; it prints nothing and asks nobody who the user is."""

from __future__ import annotations

import importlib.util
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from facerec_cli.training.loggers.logger import FollowedRun
from facerec_cli.training.loggers.trackio import TrackioLogger

INSTALLED = importlib.util.find_spec("trackio") is not None


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Any:
    """As much of trackio as is called."""
    modules = {name: ModuleType(name) for name in ("trackio", "trackio.run", "trackio.utils")}
    given: dict[str, Any] = {}
    rows: list[tuple[int, dict[str, float]]] = []

    def asked() -> str:
        raise AssertionError("huggingface.co is asked")

    def init(**named: Any) -> Any:
        given.update(named)
        vars(modules["trackio"])["print"]("* Trackio project initialized")
        vars(modules["trackio.run"])["_get_default_namespace"]()
        return SimpleNamespace(name=named["name"], log=lambda values, step: rows.append((step, values)),
                               finish=lambda: None)  # fmt: skip

    vars(modules["trackio"]).update(init=init, run=modules["trackio.run"], utils=modules["trackio.utils"])
    vars(modules["trackio.run"])["_get_default_namespace"] = asked
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("TRACKIO_DIR", "")
    for variable in ("TRACKIO_PROJECT", "TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):
        monkeypatch.delenv(variable, raising=False)
    return SimpleNamespace(given=given, rows=rows, asked=asked)


def test_a_run_stays_in_its_folder_and_goes_on(
    fake: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = TrackioLogger()
    assert logger.begin(FollowedRun("mine", tmp_path, {"run.seed": 3}, 0)) == "mine"
    assert (fake.given["project"], fake.given["resume"]) == ("facerec", "never")
    assert not (fake.given["auto_log_gpu"] or fake.given["auto_log_cpu"] or fake.given["embed"])
    assert (tmp_path / "trackio").is_dir() and capsys.readouterr().out == ""
    logger.log(2, {"loss": 1.5})
    logger.evaluated(2, {"pairs/auc": 0.75})
    logger.end("finished")
    assert fake.rows == [(2, {"loss": 1.5}), (2, {"pairs/auc": 0.75})]
    TrackioLogger().begin(FollowedRun("mine", tmp_path, {}, 2, "mine"))
    assert (fake.given["name"], fake.given["resume"]) == ("mine", "allow")


def test_only_who_names_a_space_is_asked_for(
    fake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_SPACE_ID", "me/faces")
    with pytest.raises(AssertionError, match="huggingface"):
        TrackioLogger().begin(FollowedRun("mine", tmp_path, {}, 0))


REAL = """
import socket, sys
from pathlib import Path
import facerec_cli
from facerec_cli.training.loggers.logger import FollowedRun
from facerec_cli.training.loggers.trackio import TrackioLogger
def refuse(*a, **k):
    raise AssertionError(f"somebody is asked: {a}")
socket.socket.connect = socket.getaddrinfo = refuse
key = ""
for step in (0, 2):
    logger = TrackioLogger()
    key = logger.begin(FollowedRun("mine", Path("."), {"run.seed": 3}, step, key))
    logger.log(step + 2, {"loss": 1.5})
    logger.end("finished")
"""


@pytest.mark.skipif(not INSTALLED, reason="needs trackio: pip install 'facerec-cli[trackio]'")
def test_the_real_one_keeps_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_none")  # with which it would ask whose it is
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]), prepend=":")
    done = subprocess.run(
        [sys.executable, "-c", REAL], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    with sqlite3.connect(tmp_path / "trackio" / "facerec.db") as database:
        assert database.execute("select step from metrics order by step").fetchall() == [(2,), (4,)]
