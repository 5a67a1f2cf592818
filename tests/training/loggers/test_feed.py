"""Loggers get each step once and never hold a run up, whatever they do."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from facerec_cli.errors import FacerecError, MissingExtraError, ResourceError, UsageError
from facerec_cli.training.config import Recipe, RunSettings
from facerec_cli.training.loggers import feed
from facerec_cli.training.loggers.logger import logger_names, make_logger
from facerec_cli.training.report import Evaluated, Logged, Plan, RolledBack, unobserved
from facerec_cli.training.train import plan, train


class Notebook:
    """A logger that writes down what it is told."""

    package = "json"

    def __init__(self, *, rewinds: bool = False) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.faults = 0  # so many calls fail
        self.open = threading.Event()
        self.open.set()
        self.rewinds = rewinds

    def begin(self, run: Any) -> str:
        self.heard.append(("begin", run.id, run.step))
        self.settings = run.settings
        return "number 1"

    def log(self, step: int, values: Any) -> None:
        self.open.wait(20)
        if self.faults:
            self.faults -= 1
            raise ConnectionError("nobody answers")
        self.heard.append(("log", step, values.get("loss")))

    def evaluated(self, step: int, metrics: Any) -> None:
        self.heard.append(("evaluated", step, metrics["pairs/auc"]))

    def rewind(self, step: int) -> bool:
        self.heard.append(("rewind", step))
        return self.rewinds

    def end(self, how: str) -> None:
        self.heard.append(("end", how))

    @property
    def steps(self) -> list[int]:
        return [told[1] for told in self.heard if told[0] == "log"]


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    logger = Notebook()
    monkeypatch.setattr(feed, "make_logger", lambda name: logger)
    monkeypatch.setattr(feed, "_WAITS", (0.01,))
    return logger


def planned(step: int = 0) -> Plan:
    return Plan(Recipe(), 10, 3, 100, 100, 96, 8, 4, "cpu", 1, "float32", {}, None, {}, start_step=step)


def logged(step: int, loss: float = 1.0) -> Logged:
    return Logged(0, step, 0.1, {"loss": loss}, 5.0, 1.0, None)


def record(folder: Path, *steps: int) -> None:
    """What the run's own file has by then."""
    with (folder / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps({"step": s, "epoch": 0, "lr": 0.1, "loss": 1.0}) + "\n" for s in steps)


def test_a_run_that_is_stopped_and_resumed_is_one_run_with_each_step_once(
    small: Any, tmp_path: Path, stop_at: Any, notebook: Notebook
) -> None:
    recipe = small(tmp_path / "run", run__loggers=["wandb"])
    with pytest.raises(KeyboardInterrupt):
        train(recipe, observer=stop_at(4))
    assert notebook.heard[0] == ("begin", "", 0) and notebook.heard[-1] == ("end", "stopped")
    assert notebook.steps == [2, 4]
    assert notebook.settings["run.batch_size"] == 12 and notebook.settings["people"] == 12
    train(recipe, resume=True)
    assert notebook.steps == [2, 4, 6, 8]
    assert ("begin", "number 1", 4) in notebook.heard and notebook.heard[-1] == ("end", "finished")
    kept = json.loads((tmp_path / "run" / "loggers" / "wandb.json").read_text())
    assert kept == {"id": "number 1", "logged": 8, "evaluated": -1}
    train(recipe, force=True)
    assert notebook.heard[-6] == ("begin", "", 0) and notebook.steps[4:] == [2, 4, 6, 8]


def test_what_was_logged_before_a_kill_is_not_logged_again(tmp_path: Path, notebook: Notebook) -> None:
    with feed.followed(["x"], tmp_path, unobserved) as tell:
        tell(planned())
        for step in (2, 4, 6):
            tell(logged(step))
        tell(Evaluated(0, 6, {"pairs/auc": 0.7}, "pairs/auc", True))
    record(tmp_path, 2, 4)  # the checkpoint is that of step 4
    with feed.followed(["x"], tmp_path, unobserved) as tell:
        tell(planned(4))
        for step in (6, 8):
            tell(logged(step))
            tell(Evaluated(0, step, {"pairs/auc": 0.7}, "pairs/auc", True))
    assert notebook.steps == [2, 4, 6, 8]
    assert [told[1] for told in notebook.heard if told[0] == "evaluated"] == [6, 8]


@pytest.mark.parametrize("rewinds", [True, False])
def test_a_roll_back_is_forgotten_where_the_tool_can_forget(
    tmp_path: Path, notebook: Notebook, rewinds: bool
) -> None:
    notebook.rewinds = rewinds
    with feed.followed(["x"], tmp_path, unobserved) as tell:
        tell(planned())
        for step, loss in ((2, 1.0), (4, 9.0)):
            tell(logged(step, loss))
        tell(RolledBack(2, "too high", 0.5))
        for step, loss in ((4, 2.0), (6, 3.0)):
            tell(logged(step, loss))
    told = [entry[1:] for entry in notebook.heard if entry[0] == "log"]
    again = [(4, 2.0)] if rewinds else []
    assert told == [(2, 1.0), (4, 9.0), *again, (6, 3.0)]


def test_a_logger_that_fails_for_a_while_misses_nothing_and_is_told_of_once(
    tmp_path: Path, notebook: Notebook, caplog: pytest.LogCaptureFixture
) -> None:
    notebook.faults = 3
    with feed.followed(["x"], tmp_path, unobserved) as tell:
        tell(planned())
        for step in (2, 4):
            tell(logged(step))
    assert notebook.steps == [2, 4]
    assert caplog.text.count("nobody answers") == 1 and "has not got everything" not in caplog.text


def test_a_logger_that_stays_away_gets_the_rest_when_the_run_is_resumed(
    tmp_path: Path, notebook: Notebook, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "END", 0.3)
    notebook.faults = 10**9
    with feed.followed(["x"], tmp_path, unobserved) as tell:
        tell(planned())
        for step in (2, 4):
            tell(logged(step))
    record(tmp_path, 2, 4)
    assert notebook.steps == []
    assert "x has not got everything of this run" in caplog.text
    notebook.faults = 0
    with feed.followed(["x"], tmp_path, unobserved) as tell:
        tell(planned(4))
        tell(logged(6))
    assert notebook.steps == [2, 4, 6]


def test_a_logger_that_blocks_holds_up_neither_steps_nor_the_end(
    tmp_path: Path, notebook: Notebook, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "END", 0.3)
    monkeypatch.setattr(feed, "_KEPT", 50)
    notebook.open.clear()
    start = time.monotonic()
    with feed.followed(["x"], tmp_path, unobserved) as tell:
        tell(planned())
        for step in range(200):
            tell(logged(step))
    assert time.monotonic() - start < 10  # it would take 20 seconds a call
    assert "has not got everything" in caplog.text and notebook.steps == []
    notebook.open.set()


FAULTS = [OSError(28, "No space left on device"), UsageError("Nobody has logged in.")]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_logger_that_cannot_begin_is_an_error_before_the_first_step(
    small: Any, tmp_path: Path, notebook: Notebook, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def begin(run: Any) -> str:
        raise fault

    monkeypatch.setattr(notebook, "begin", begin)
    expected = UsageError if isinstance(fault, FacerecError) else ResourceError
    with pytest.raises(expected, match=r"Nobody has logged in|logger wandb cannot begin: .*No space left"):
        train(small(tmp_path / "run", run__loggers=["wandb"]))
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == ""


def test_a_logger_that_does_not_begin_is_not_waited_for(
    tmp_path: Path, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "BEGIN", 0.2)
    wait = threading.Event()
    monkeypatch.setattr(notebook, "begin", lambda run: wait.wait(20))
    with (
        pytest.raises(ResourceError, match="has not begun within"),
        feed.followed(["x"], tmp_path, unobserved) as tell,
    ):
        tell(planned())
    wait.set()


def test_how_a_run_ended_is_told(tmp_path: Path, notebook: Notebook) -> None:
    for fault, how in ((KeyboardInterrupt(), "stopped"), (RuntimeError(), "failed")):
        with pytest.raises(type(fault)), feed.followed(["x"], tmp_path, unobserved) as tell:
            tell(planned())
            raise fault
        assert notebook.heard[-1] == ("end", how)


def test_damaged_notes_begin_a_new_run(tmp_path: Path, notebook: Notebook) -> None:
    (tmp_path / "loggers").mkdir()
    (tmp_path / "loggers" / "x.json").write_text('{"id": "a", "logged": "many"}')
    with feed.followed(["x"], tmp_path, unobserved) as tell:
        tell(planned())
    assert notebook.heard[0] == ("begin", "", 0)


def test_loggers_are_named_once() -> None:
    named = RunSettings(loggers=("wandb", "tensorboard", "wandb"), tensorboard=True)
    assert logger_names(named) == ("wandb", "tensorboard")
    assert logger_names(RunSettings(tensorboard=True)) == ("tensorboard",)


@pytest.mark.parametrize("ask", [plan, train])
def test_a_logger_that_is_not_there_is_told_before_the_data_is_opened(
    small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Any
) -> None:
    nowhere = {"data__path": str(tmp_path / "nowhere")}
    with pytest.raises(UsageError, match=r"no logger 'wandbb'.*wandb"):
        ask(small(tmp_path / "run", run__loggers=["wandbb"], **nowhere))
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"mlflow.*facerec-cli\[mlflow\]"):
        ask(small(tmp_path / "run", run__loggers=["mlflow"], **nowhere))


def test_every_logger_has_its_extra(repository: Path) -> None:
    import tomllib

    from facerec_cli.registry import LOGGERS, load

    extras = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in LOGGERS:
        package = load(LOGGERS, name, "logger").package
        assert any(line.startswith(package) for line in extras[name])
    assert callable(make_logger)
